//! Briefing: facts about the changed nodes; one file per kind, one registry.
//!
//! Every line is true as stated and cited. Nothing is a reproach, and when nothing is worth a
//! minute of a reviewer's time, nothing is shown.

mod companion;
mod copy;
mod life;

use precedent_pipeline::history::Objects;

use crate::change::Change;
use crate::finding::{Fact, FactKind};
use crate::precedent::Precedents;

/// Lines open at the most, over all kinds.
const MAX_SHOWN: usize = 12;

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

/// Keeps a dozen open, taking from each kind in turn so that none crowds out the others.
fn cap(facts: &mut [Fact]) {
    let mut open: Vec<usize> = Vec::new();
    let of_kind =
        |kind| facts.iter().enumerate().filter(move |(_, fact)| fact.kind == kind && fact.shown).map(|(at, _)| at);
    let mut queues: Vec<Vec<usize>> =
        [FactKind::Companion, FactKind::Copy, FactKind::Life].map(|kind| of_kind(kind).collect()).into();
    while open.len() < MAX_SHOWN && queues.iter().any(|queue| !queue.is_empty()) {
        for queue in &mut queues {
            if !queue.is_empty() && open.len() < MAX_SHOWN {
                open.push(queue.remove(0));
            }
        }
    }
    for (at, fact) in facts.iter_mut().enumerate() {
        fact.shown = open.contains(&at);
    }
}
