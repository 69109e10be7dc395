//! Naming: how a candidate's name stands to those that a change touches. Pure.

use precedent_pipeline::lineage::last_name;
use rustc_hash::FxHashMap;

use crate::companions::ledger::Ledger;
use crate::companions::names;
use crate::companions::question::{Question, Seen};

/// A name in its parts.
pub(super) struct Named {
    pub(super) own: u32,
    pub(super) stem: String,
    pub(super) container: String,
    pub(super) container_name: String,
    pub(super) own_text: String,
    pub(super) words: Vec<u32>,
    pub(super) is_inside: bool,
}

impl Named {
    pub(super) fn new(symbol: &str) -> Named {
        let own = last_name(symbol);
        let container = symbol[..symbol.len() - own.len()].trim_end_matches([':', '.', ' ', '>']);
        Named {
            own: names::hash(own),
            stem: names::node_stem(symbol),
            container: container.to_owned(),
            container_name: last_name(container).split([' ', '<']).next().unwrap_or("").to_owned(),
            own_text: own.to_owned(),
            words: names::words(own),
            is_inside: !container.is_empty(),
        }
    }

    pub(super) fn of(seen: &Seen) -> Named {
        Named::new(&seen.symbol)
    }

    pub(super) fn of_node(ledger: &Ledger, id: u32) -> Named {
        Named::new(&ledger.nodes[id as usize].symbol)
    }
}

/// How a candidate's name stands to those that are touched.
#[derive(Default)]
pub(super) struct Related {
    pub(super) same_name: bool,
    pub(super) same_stem: bool,
    pub(super) words: f32,
    pub(super) same_container: bool,
    pub(super) member: bool,
    pub(super) holds: bool,
}

impl Related {
    pub(super) fn of(own: &Named, seen: &[Named], rarity: &dyn Fn(u32) -> f32) -> Related {
        let mut related = Related::default();
        let weight: f32 = own.words.iter().map(|word| rarity(*word)).sum();
        for other in seen {
            related.same_name |= own.own == other.own;
            related.same_stem |= !own.stem.is_empty() && own.stem == other.stem;
            let shared: f32 =
                own.words.iter().filter(|word| other.words.binary_search(word).is_ok()).map(|word| rarity(*word)).sum();
            let all = weight + other.words.iter().map(|word| rarity(*word)).sum::<f32>() - shared;
            related.words = related.words.max(if all > 0.0 { shared / all } else { 0.0 });
            related.same_container |= own.is_inside && own.container == other.container;
            related.member |= own.is_inside && own.container_name == other.own_text;
            related.holds |= other.is_inside && other.container_name == own.own_text;
        }
        related
    }
}

/// How many of a candidate's siblings, in one container of a file, and of its namesakes a change touches.
pub(super) struct Kin {
    siblings: FxHashMap<(u32, u32), (u32, u32)>,
    namesakes: FxHashMap<u32, (u32, u32)>,
}

impl Kin {
    pub(super) fn of(ledger: &Ledger, question: &Question, seen: &[Named], (ids, own): (&[u32], &[Named])) -> Kin {
        let mut kin = Kin { siblings: FxHashMap::default(), namesakes: FxHashMap::default() };
        for (node, named) in question.seen.iter().zip(seen) {
            if let Some(file) = ledger.file_at(&node.path) {
                kin.siblings.entry((file, names::hash(&named.container))).or_default().0 += 1;
            }
            kin.namesakes.entry(named.own).or_default().0 += 1;
        }
        for (id, named) in ids.iter().zip(own) {
            let file = ledger.nodes[*id as usize].file;
            kin.siblings.entry((file, names::hash(&named.container))).or_default().1 += 1;
            kin.namesakes.entry(named.own).or_default().1 += 1;
        }
        kin
    }

    pub(super) fn columns(&self, file: u32, named: &Named) -> [f32; 2] {
        let share = |counts: Option<&(u32, u32)>| {
            counts.map_or(0.0, |(seen, others)| *seen as f32 / (*seen as f32 + *others as f32))
        };
        let siblings = self.siblings.get(&(file, names::hash(&named.container)));
        [share(siblings), share(self.namesakes.get(&named.own))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kin_is_counted_by_container_and_by_name() {
        let kin = Kin {
            siblings: [((1, names::hash("Reader")), (3, 1))].into_iter().collect(),
            namesakes: [(names::hash("close"), (1, 1))].into_iter().collect(),
        };
        assert_eq!(kin.columns(1, &Named::new("Reader::close")), [0.75, 0.5]);
        assert_eq!(kin.columns(1, &Named::new("Reader::open")), [0.75, 0.0]);
        assert_eq!(kin.columns(2, &Named::new("Writer::close")), [0.0, 0.5]);
    }
}
