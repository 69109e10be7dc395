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

use std::collections::HashMap;

pub(crate) use life::timelines;
pub use life::{Event, Timeline};

use crate::change::Change;
use crate::evidence::Evidence;
use crate::finding::{Fact, FactKind};
use crate::precedent::Precedents;

/// Lines open at the most, by kind: a dozen in all, the rest folded.
const MAX_COMPANIONS: usize = 5;
const MAX_LIVES: usize = 4;
const MAX_RETURNS: usize = 3;
const MAX_COPIES: usize = 2;
const MAX_TESTS: usize = 2;
const MAX_REVIEWS: usize = 2;
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

/// Opens the best few of each kind, so that the common kinds do not crowd out the rare ones.
fn open(facts: &mut [Fact]) {
    let mut open: HashMap<FactKind, usize> = HashMap::new();
    for fact in facts.iter_mut().filter(|fact| fact.passes) {
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
    use crate::finding::NodeName;

    fn facts(kinds: &[(FactKind, usize)]) -> Vec<Fact> {
        let node = NodeName { path: "a.rs".into(), symbol: "a".into() };
        let fact = |kind| Fact {
            kind,
            node: node.clone(),
            about: node.clone(),
            text: String::new(),
            score: 0.0,
            passes: true,
            shown: false,
            here: None,
            citations: Vec::new(),
        };
        kinds.iter().flat_map(|(kind, count)| std::iter::repeat_n(*kind, *count)).map(fact).collect()
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
    fn of_more_than_a_dozen_the_rare_kinds_stay() {
        use FactKind::{Companion, Copy, Life, Return, Review, Test};
        let open = open(&[(Life, 9), (Test, 9), (Copy, 9), (Companion, 9), (Review, 9), (Return, 9)]);
        assert_eq!(open.len(), MAX_OPEN);
        for (kind, count) in [(Return, 3), (Review, 2), (Companion, 5), (Copy, 2), (Test, 0), (Life, 0)] {
            assert_eq!(open.iter().filter(|open| **open == kind).count(), count, "{kind:?}");
        }
    }
}
