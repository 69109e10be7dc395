//! Briefing: facts about the changed nodes; one file per kind, one registry.
//!
//! Every line is true as stated and cited. Nothing is a reproach, and when nothing is worth a
//! minute of a reviewer's time, nothing is shown.

mod companion;
mod copy;
mod life;
mod returns;
mod review;

#[cfg(feature = "llm")]
pub(crate) use life::{Repair, repair};

use std::collections::HashMap;

pub(crate) use life::timelines;
pub use life::{Event, Timeline};

use crate::change::Change;
use crate::evidence::Evidence;
use crate::finding::{Fact, FactKind};
use crate::precedent::Precedents;

/// Lines open at the most, by kind: a dozen in all, the rest folded.
const MAX_COMPANIONS: usize = 5;
const MAX_COPIES: usize = 3;
const MAX_LIVES: usize = 4;
const MAX_RETURNS: usize = 3;
const MAX_TESTS: usize = 2;
const MAX_REVIEWS: usize = 2;
/// And of all kinds together; the rarer kinds come first.
const MAX_OPEN: usize = 12;

type Kind = fn(&Change, &Precedents<'_>, &Evidence<'_>) -> Vec<Fact>;

/// All kinds, in the order in which they are told.
const KINDS: [Kind; 5] = [life::facts, returns::facts, companion::facts, copy::facts, review::facts];

/// Every candidate fact, best first within a kind; `shown` says which people see.
pub fn facts(change: &Change, precedents: &Precedents<'_>, evidence: &Evidence<'_>) -> Vec<Fact> {
    let mut all = Vec::new();
    for kind in KINDS {
        let mut facts = kind(change, precedents, evidence);
        facts.sort_by(|one, two| {
            two.score.total_cmp(&one.score).then_with(|| (&one.about, &one.node).cmp(&(&two.about, &two.node)))
        });
        all.extend(facts);
    }
    cap(&mut all);
    all.sort_by_key(|fact| fact.kind);
    all
}

/// Keeps the best few of each kind open, so that the common kinds do not crowd out the rare ones.
fn cap(facts: &mut [Fact]) {
    let mut open: HashMap<FactKind, usize> = HashMap::new();
    for fact in facts.iter_mut().filter(|fact| fact.shown) {
        let limit = match fact.kind {
            FactKind::Companion => MAX_COMPANIONS,
            FactKind::Copy => MAX_COPIES,
            FactKind::Life => MAX_LIVES,
            FactKind::Return => MAX_RETURNS,
            FactKind::Test => MAX_TESTS,
            FactKind::Review => MAX_REVIEWS,
        };
        let count = open.entry(fact.kind).or_default();
        *count += 1;
        fact.shown = *count <= limit;
    }
    let mut shown: Vec<&mut Fact> = facts.iter_mut().filter(|fact| fact.shown).collect();
    // What is rare first: that something comes back, before what every node has, a life.
    shown.sort_by_key(|fact| match fact.kind {
        FactKind::Return => 0,
        FactKind::Review => 1,
        FactKind::Companion => 2,
        FactKind::Copy => 3,
        FactKind::Test => 4,
        FactKind::Life => 5,
    });
    for fact in shown.into_iter().skip(MAX_OPEN) {
        fact.shown = false;
    }
}
