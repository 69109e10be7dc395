//! Words: BM25 over the words of names and texts.
//!
//! The score of a document d for a query is, summed over the query's distinct words w,
//! `idf(w) · f · (k1 + 1) / (f + k1 · (1 − b + b · |d| / avg))` with f the count of w in d, |d| its number of words, avg
//! their mean, and `idf(w) = ln(1 + (N − n + 0.5) / (n + 0.5))` for n of N documents that hold w (Robertson and Zaragoza,
//! "The Probabilistic Relevance Framework", 2009).

use rustc_hash::FxHashMap;

use super::lexicon::question_stems;
use super::words::for_each_stem;

/// How quickly another occurrence stops counting.
const K1: f32 = 1.2;
/// How much a long document's words count less.
const B: f32 = 0.75;

/// Documents by their words.
#[derive(Default)]
pub struct LexicalIndex {
    /// For each word, the documents that hold it and how often, in order.
    postings: FxHashMap<String, Vec<(u32, f32)>>,
    /// The number of words in each document.
    lengths: Vec<f32>,
}

impl LexicalIndex {
    /// Adds a document, given in parts that count so many times each. Documents are numbered from 0.
    pub fn add(&mut self, parts: &[(&str, f32)]) {
        let number = self.lengths.len() as u32;
        let mut counts: FxHashMap<String, f32> = FxHashMap::default();
        for (text, times) in parts {
            for_each_stem(text, |stem| *counts.entry(stem.to_owned()).or_default() += times);
        }
        self.lengths.push(counts.values().sum());
        for (stem, count) in counts {
            self.postings.entry(stem).or_default().push((number, count));
        }
    }

    /// The most that a document could score for a query: what one would that said nothing else, without end. Only those that
    /// may count make up the statistics.
    pub fn most(&self, query: &str, counts: impl Fn(u32) -> bool) -> f32 {
        let documents = (0..self.lengths.len() as u32).filter(|number| counts(*number)).count() as f32;
        let held = question_stems(query).into_iter().map(|stem| {
            let held = self.postings.get(&stem).into_iter().flatten().filter(|(number, _)| counts(*number));
            held.count() as f32
        });
        most(documents, held)
    }

    /// The documents that hold a word of the query and may count, with their scores, best first, at most so many. Only
    /// those that may count make up the statistics.
    pub fn best(&self, query: &str, count: usize, counts: impl Fn(u32) -> bool) -> Vec<(u32, f32)> {
        let stems = question_stems(query);
        let (mut documents, mut words) = (0.0f32, 0.0f64);
        for (number, length) in self.lengths.iter().enumerate() {
            if counts(number as u32) {
                documents += 1.0;
                words += f64::from(*length);
            }
        }
        let mean = (words / f64::from(documents.max(1.0))) as f32;
        let mut scores: FxHashMap<u32, f32> = FxHashMap::default();
        for postings in stems.iter().filter_map(|stem| self.postings.get(stem)) {
            let held: Vec<&(u32, f32)> = postings.iter().filter(|(number, _)| counts(*number)).collect();
            let rarity = rarity(documents, held.len() as f32);
            for (number, times) in held {
                let longer = 1.0 - B + B * self.lengths[*number as usize] / mean;
                *scores.entry(*number).or_default() += rarity * times * (K1 + 1.0) / (times + K1 * longer);
            }
        }
        let mut best: Vec<(u32, f32)> = scores.into_iter().collect();
        best.sort_unstable_by(|one, two| two.1.total_cmp(&one.1).then(one.0.cmp(&two.0)));
        best.truncate(count);
        best
    }
}

/// What a word is worth that so many of so many documents hold.
fn rarity(documents: f32, held: f32) -> f32 {
    (1.0 + (documents - held + 0.5) / (held + 0.5)).ln()
}

/// What words are worth together that stand in a text without end, by how many of so many documents hold each.
pub(super) fn most(documents: f32, held: impl IntoIterator<Item = f32>) -> f32 {
    held.into_iter().map(|held| rarity(documents, held) * (K1 + 1.0)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_words_and_short_documents_count_more() {
        let mut index = LexicalIndex::default();
        index.add(&[("open the file", 1.0)]);
        index.add(&[("open the socket and a great many other things that nobody asked for", 1.0)]);
        index.add(&[("open the door", 1.0)]);
        let numbers =
            |query: &str| index.best(query, 10, |_| true).into_iter().map(|found| found.0).collect::<Vec<_>>();
        assert_eq!(numbers("open a socket"), [1, 0, 2]);
        assert_eq!(numbers("files"), [0]);
        assert!(numbers("window").is_empty());
        assert_eq!(index.best("open", 10, |number| number == 2).len(), 1);
    }

    #[test]
    fn the_score_is_the_formula() {
        let mut index = LexicalIndex::default();
        index.add(&[("alpha beta", 1.0), ("alpha", 2.0)]);
        index.add(&[("gamma", 1.0)]);
        // Two documents of 4 and 1 words; `alpha` stands three times in the first.
        let rarity = (1.0 + (2.0 - 1.0 + 0.5) / (1.0 + 0.5f32)).ln();
        let expected = rarity * 3.0 * 2.2 / (3.0 + 1.2 * (1.0 - 0.75 + 0.75 * 4.0 / 2.5));
        let best = index.best("alpha", 1, |_| true);
        assert!((best[0].1 - expected).abs() < 1e-5, "{best:?} against {expected}");
        assert!((index.most("alpha", |_| true) - rarity * 2.2).abs() < 1e-5);
        assert_eq!(index.most("alpha", |number| number == 5), index.most("gamma", |number| number == 5));
    }
}
