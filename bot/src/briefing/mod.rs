//! Briefing: facts about the changed nodes; one file per kind, one registry.
//!
//! Every line is true as stated and cited. Nothing is a reproach, and when nothing is worth a
//! minute of a reviewer's time, nothing is shown.

mod companion;
mod copy;
mod life;

use std::collections::HashMap;

use precedent_pipeline::history::Objects;

use crate::change::Change;
use crate::finding::{Fact, FactKind};
use crate::precedent::Precedents;

/// Lines open at the most, by kind: a dozen in all, the rest folded.
const MAX_COMPANIONS: usize = 5;
const MAX_COPIES: usize = 3;
const MAX_LIVES: usize = 4;

type Kind = fn(&Change, &Precedents<'_>, &Objects) -> Vec<Fact>;

/// All kinds, in the order in which they are told.
const KINDS: [Kind; 3] = [life::facts, companion::facts, copy::facts];

/// Every candidate fact, best first within a kind; `shown` says which people see.
pub fn facts(change: &Change, precedents: &Precedents<'_>, objects: &Objects) -> Vec<Fact> {
    let mut all = Vec::new();
    for kind in KINDS {
        let mut facts = kind(change, precedents, objects);
        facts.sort_by(|one, two| {
            two.score.total_cmp(&one.score).then_with(|| (&one.about, &one.node).cmp(&(&two.about, &two.node)))
        });
        all.extend(facts);
    }
    cap(&mut all);
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
        };
        let count = open.entry(fact.kind).or_default();
        *count += 1;
        fact.shown = *count <= limit;
    }
}
