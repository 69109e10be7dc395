//! Briefing: facts about the changed nodes; one file per kind, one registry.
//!
//! Every line is true as stated and cited. Nothing is a reproach, and when nothing is worth a
//! minute of a reviewer's time, nothing is shown.

mod companion;
pub(crate) mod copy;
mod life;
mod returns;
mod review;

#[cfg(feature = "llm")]
pub(crate) use life::{Repair, repair};

use std::collections::{HashMap, HashSet};

pub(crate) use life::timelines;
pub use life::{Event, Timeline};

use crate::change::Change;
use crate::evidence::Evidence;
use crate::finding::{Fact, FactKind, NodeName};
use crate::precedent::Precedents;

/// Lines open at the most, by kind: a dozen in all, the rest folded.
const MAX_COMPANIONS: usize = 5;
const MAX_LIVES: usize = 4;
const MAX_RETURNS: usize = 3;
const MAX_COPIES: usize = 2;
const MAX_TESTS: usize = 2;
const MAX_REVIEWS: usize = 2;
/// Companions of one node, so that one node does not take the places of all.
const MAX_COMPANIONS_OF_ONE: usize = 2;
/// And of all kinds together; the rarer kinds come first.
const MAX_OPEN: usize = 12;

type Kind = fn(&Change, &Precedents<'_>, &Evidence<'_>) -> Vec<Fact>;

/// All kinds.
const KINDS: [Kind; 5] = [life::facts, returns::facts, companion::facts, copy::facts, review::facts];

/// Every candidate fact, best first within a kind; `passes` says which meet the rules of their kind, and `shown` which of those
/// are open.
pub fn facts(change: &Change, precedents: &Precedents<'_>, evidence: &Evidence<'_>) -> Vec<Fact> {
    let mut all = Vec::new();
    for kind in KINDS {
        let mut facts = kind(change, precedents, evidence);
        facts.sort_by(|one, two| {
            two.score.total_cmp(&one.score).then_with(|| (&one.about, &one.node).cmp(&(&two.about, &two.node)))
        });
        all.extend(facts);
    }
    open(&mut all);
    all.sort_by_key(|fact| fact.kind);
    all
}

/// Opens the best few of each kind, so that the common kinds do not crowd out the rare ones. What reads the same, as of two
/// methods of one name, is opened once.
fn open(facts: &mut [Fact]) {
    let mut open: HashMap<FactKind, usize> = HashMap::new();
    let mut told: HashSet<(FactKind, NodeName, String)> = HashSet::new();
    let mut of_one: HashMap<(FactKind, NodeName), usize> = HashMap::new();
    for fact in facts.iter_mut().filter(|fact| fact.passes) {
        if !told.insert((fact.kind, fact.about.clone(), fact.text.clone())) {
            continue;
        }
        if matches!(fact.kind, FactKind::Companion | FactKind::Test) {
            let own = of_one.entry((fact.kind, fact.about.clone())).or_default();
            *own += 1;
            if *own > MAX_COMPANIONS_OF_ONE {
                continue;
            }
        }
        let limit = match fact.kind {
            FactKind::Companion => MAX_COMPANIONS,
            FactKind::Copy => MAX_COPIES,
            FactKind::Life => MAX_LIVES,
            FactKind::Return | FactKind::Undo => MAX_RETURNS,
            FactKind::Test => MAX_TESTS,
            FactKind::Review => MAX_REVIEWS,
        };
        // Both kinds of return share a limit.
        let kind = if fact.kind == FactKind::Undo { FactKind::Return } else { fact.kind };
        let count = open.entry(kind).or_default();
        *count += 1;
        fact.shown = *count <= limit;
    }
    let mut shown: Vec<&mut Fact> = facts.iter_mut().filter(|fact| fact.shown).collect();
    shown.sort_by_key(|fact| fact.kind);
    for fact in shown.into_iter().skip(MAX_OPEN) {
        fact.shown = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(kinds: &[(FactKind, usize)]) -> Vec<Fact> {
        let node = NodeName { path: "a.rs".into(), symbol: "a".into() };
        let fact = |(number, kind): (usize, FactKind)| Fact {
            kind,
            node: node.clone(),
            about: NodeName { symbol: number.to_string(), ..node.clone() },
            text: number.to_string(),
            score: 0.0,
            passes: true,
            shown: false,
            here: None,
            citations: Vec::new(),
        };
        kinds.iter().flat_map(|(kind, count)| std::iter::repeat_n(*kind, *count)).enumerate().map(fact).collect()
    }

    fn open(kinds: &[(FactKind, usize)]) -> Vec<FactKind> {
        let mut facts = facts(kinds);
        super::open(&mut facts);
        facts.into_iter().filter(|fact| fact.shown).map(|fact| fact.kind).collect()
    }

    #[test]
    fn no_kind_has_more_lines_than_its_own() {
        assert_eq!(open(&[(FactKind::Companion, 9)]).len(), MAX_COMPANIONS);
        assert_eq!(open(&[(FactKind::Undo, 2), (FactKind::Return, 2)]).len(), MAX_RETURNS);
        assert_eq!(open(&[(FactKind::Copy, 3)]).len(), MAX_COPIES);
    }

    #[test]
    fn only_what_passes_is_opened() {
        let mut facts = facts(&[(FactKind::Life, 3)]);
        facts[0].passes = false;
        super::open(&mut facts);
        assert_eq!(facts.iter().map(|fact| fact.shown).collect::<Vec<bool>>(), [false, true, true]);
    }

    #[test]
    fn what_reads_the_same_is_opened_once() {
        let mut facts = facts(&[(FactKind::Undo, 2), (FactKind::Life, 1)]);
        for fact in &mut facts {
            fact.text = "the same".into();
            fact.about = fact.node.clone();
        }
        super::open(&mut facts);
        assert_eq!(facts.iter().map(|fact| fact.shown).collect::<Vec<bool>>(), [true, false, true]);
    }

    #[test]
    fn one_node_does_not_take_the_places_of_all() {
        let mut facts = facts(&[(FactKind::Companion, 6), (FactKind::Life, 1)]);
        for fact in facts.iter_mut().take(4) {
            fact.about = fact.node.clone();
        }
        super::open(&mut facts);
        let shown: Vec<bool> = facts.iter().map(|fact| fact.shown).collect();
        assert_eq!(shown, [true, true, false, false, true, true, true]);
    }

    #[test]
    fn of_more_than_a_dozen_the_rare_kinds_stay() {
        use FactKind::{Companion, Copy, Life, Return, Review, Test};
        let open = open(&[(Life, 9), (Test, 9), (Copy, 9), (Companion, 9), (Review, 9), (Return, 9)]);
        assert_eq!(open.len(), MAX_OPEN);
        for (kind, count) in [(Return, 3), (Review, 2), (Companion, 5), (Copy, 2), (Test, 0), (Life, 0)] {
            assert_eq!(open.iter().filter(|open| **open == kind).count(), count, "{kind:?}");
        }
    }
}
