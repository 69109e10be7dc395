//! Wording: what the texts of a change say of a candidate's. Pure.

use std::sync::Arc;

use precedent_pipeline::lineage::last_name;
use rustc_hash::FxHashMap;

use super::log;
use super::naming::Named;
use crate::companions::names::{self, Terms};
use crate::companions::question::Question;

/// Words that the change is made of, with what each says.
#[derive(Default, Clone)]
pub(super) struct Word {
    rarity: f32,
    /// How many touched nodes it goes away from.
    removers: u32,
    added: bool,
    /// Touched nodes that hold it, by place.
    holders: Vec<u16>,
}

/// What the texts of a change say of a candidate's.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) removed: f32,
    pub(super) most_removed: f32,
    pub(super) added: f32,
    pub(super) most_added: f32,
    pub(super) mentions_seen: f32,
    pub(super) seen_mention: f32,
    pub(super) change_mentions: f32,
    pub(super) overlap: f32,
    pub(super) common_removed: f32,
}

/// How much it says that a term is in a text that few of the candidates have.
pub(super) fn rarity(candidates: usize, count: u32) -> f32 {
    ((candidates as f32 + 2.0) / (count as f32 + 1.0)).ln()
}

/// What a change takes out of texts, or puts into them, and which of it the candidates have.
pub(super) struct Changed {
    /// Of each candidate: what it has of what goes, the rarest of that, what it has of what comes, and how many touched
    /// nodes lose one of those that it has.
    of: Vec<[f32; 4]>,
    most: f32,
}

impl Changed {
    pub(super) fn of(question: &Question, texts: &[Arc<Terms>], kind: fn(&Terms) -> &Vec<u32>) -> Changed {
        let mut terms: FxHashMap<u32, Word> = FxHashMap::default();
        for seen in &question.seen {
            let (before, after) = seen.terms(kind);
            for term in names::without(before, after) {
                terms.entry(term).or_default().removers += 1;
            }
            for term in names::without(after, before) {
                terms.entry(term).or_default().added = true;
            }
        }
        let mut counts: FxHashMap<u32, u32> = FxHashMap::default();
        for term in texts.iter().flat_map(|text| kind(text)).filter(|term| terms.contains_key(term)) {
            *counts.entry(*term).or_default() += 1;
        }
        for (term, known) in &mut terms {
            known.rarity = rarity(texts.len(), counts.get(term).copied().unwrap_or(0));
        }
        let of = |text: &Arc<Terms>| {
            let mut columns = [0f32; 4];
            for known in kind(text).iter().filter_map(|term| terms.get(term)) {
                if known.removers > 0 {
                    columns[0] += known.rarity;
                    columns[1] = columns[1].max(known.rarity);
                    columns[3] = columns[3].max(log(known.removers as usize));
                }
                if known.added {
                    columns[2] += known.rarity;
                }
            }
            columns
        };
        let of: Vec<[f32; 4]> = texts.iter().map(of).collect();
        let most = of.iter().map(|columns| columns[0] + columns[2]).fold(f32::MIN_POSITIVE, f32::max);
        Changed { of, most }
    }

    pub(super) fn columns(&self, at: usize) -> [f32; 5] {
        let [removed, most_removed, added, common] = self.of[at];
        [removed, most_removed, added, (removed + added) / self.most, common]
    }
}

pub(super) struct Words {
    words: FxHashMap<u32, Word>,
    /// Of each touched node: its name, and the weight of its text.
    seen: Vec<(u32, f32)>,
    rarity_of_rare: f32,
}

impl Words {
    pub(super) fn of(question: &Question, texts: &[Arc<Terms>]) -> Words {
        let mut words: FxHashMap<u32, Word> = FxHashMap::default();
        for (at, seen) in question.seen.iter().enumerate().take(u16::MAX as usize) {
            let (before, after) = seen.terms(|terms| &terms.identifiers);
            for word in before.iter().chain(after) {
                let held = &mut words.entry(*word).or_default().holders;
                if held.last() != Some(&(at as u16)) {
                    held.push(at as u16);
                }
            }
            for word in names::without(before, after) {
                words.entry(word).or_default().removers += 1;
            }
            for word in names::without(after, before) {
                words.entry(word).or_default().added = true;
            }
        }
        let mut counts: FxHashMap<u32, u32> = FxHashMap::default();
        for word in texts.iter().flat_map(|text| &text.identifiers) {
            if words.contains_key(word) {
                *counts.entry(*word).or_default() += 1;
            }
        }
        let rarity = |count: u32| rarity(texts.len(), count);
        for (word, known) in &mut words {
            known.rarity = rarity(counts.get(word).copied().unwrap_or(0));
        }
        let seen = question
            .seen
            .iter()
            .map(|seen| {
                let text = seen.before.as_deref().or(seen.after.as_deref());
                let text = text.map_or(&[][..], |text| &text.identifiers);
                let weight = text.iter().map(|word| words[word].rarity).sum();
                (names::hash(last_name(&seen.symbol)), weight)
            })
            .collect();
        Words { words, seen, rarity_of_rare: rarity(0) }
    }

    pub(super) fn heard(&self, text: &[u32], own: &Named) -> Heard {
        let mut heard = Heard::default();
        let mut shared = vec![0f32; self.seen.len()];
        let mut weight = 0f32;
        for word in text {
            let Some(known) = self.words.get(word) else {
                weight += self.rarity_of_rare * 0.5;
                continue;
            };
            weight += known.rarity;
            if known.removers > 0 {
                heard.removed += known.rarity;
                heard.most_removed = heard.most_removed.max(known.rarity);
                heard.common_removed = heard.common_removed.max(log(known.removers as usize));
            }
            if known.added {
                heard.added += known.rarity;
                heard.most_added = heard.most_added.max(known.rarity);
            }
            for holder in &known.holders {
                shared[usize::from(*holder)] += known.rarity;
            }
            if own.own != *word && self.seen.iter().any(|(name, _)| name == word) {
                heard.mentions_seen = heard.mentions_seen.max(known.rarity);
            }
        }
        for (shared, (_, seen)) in shared.iter().zip(&self.seen) {
            let length = (weight * seen).sqrt();
            heard.overlap = heard.overlap.max(if length > 0.0 { shared / length } else { 0.0 });
        }
        if let Some(known) = self.words.get(&own.own) {
            heard.seen_mention = known.rarity;
            heard.change_mentions = if known.added || known.removers > 0 { known.rarity } else { 0.0 };
        }
        heard
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::companions::question::Seen;

    fn question(edits: &[(&str, &str)]) -> Question {
        let terms = |text: &str| Some(Arc::new(Terms::of(text)));
        let seen = edits.iter().enumerate().map(|(at, (before, after))| Seen {
            id: None,
            path: "a.rs".into(),
            symbol: format!("node{at}").into(),
            kind: "function".into(),
            before: terms(before),
            after: terms(after),
        });
        Question { seen: seen.collect(), ..Question::default() }
    }

    #[test]
    fn what_goes_from_several_nodes_tells_which_others_have_it() {
        let question =
            question(&[("shell.warn(text);\nkeep(this);", "shell.note(text);\nkeep(this);"), ("shell.warn(why);", "")]);
        let texts = ["shell.warn(late);", "warn.shell(late);", "keep(this);", "unlike(all);"];
        let texts: Vec<Arc<Terms>> = texts.iter().map(|text| Arc::new(Terms::of(text))).collect();
        let pairs = Changed::of(&question, &texts, |terms| &terms.pairs);
        let [removed, most, added, to_best, common] = pairs.columns(0);
        assert!(removed > 0.0 && most == removed && added == 0.0 && to_best == 1.0);
        assert_eq!(common, 3f32.ln(), "two nodes lose the pair, and a count of n is the logarithm of 1 + n");
        for other in 1..texts.len() {
            assert_eq!(pairs.columns(other), [0.0; 5], "{other}");
        }
        let lines = Changed::of(&question, &texts, |terms| &terms.lines);
        assert!((0..texts.len()).all(|at| lines.columns(at) == [0.0; 5]), "no line of theirs goes");
    }
}
