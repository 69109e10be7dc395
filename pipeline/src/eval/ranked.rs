//! Ranked: some nodes, searched in four ways.

use precedent_model::{Document, EmbedError, Embedder};
use rayon::prelude::*;

use super::figures::{Figures, Outcome};
use super::{EvalOptions, EvalReport};
use crate::search::{LexicalIndex, header_words};

/// How many of each side a hybrid looks at.
const FUSED: usize = 100;
/// What BM25 counts for in it; search counts for the rest.
const LEXICAL_SHARE: f32 = 0.3;
/// How often a name counts in BM25.
const NAME_TIMES: f32 = 3.0;

/// A node that may be found.
pub(super) struct Node {
    pub(super) path: String,
    pub(super) container: String,
    pub(super) name: String,
    pub(super) text: String,
}

/// Nodes, ready to be searched.
pub(super) struct Nodes<'e> {
    embedder: &'e dyn Embedder,
    lexical: LexicalIndex,
    /// Unit vectors of text and name, and with the place.
    plain: Vec<Vec<f32>>,
    placed: Vec<Vec<f32>>,
}

/// A query with its right answers.
pub(super) struct Asked {
    pub(super) text: String,
    pub(super) golds: Vec<u32>,
    /// Which tree is searched, for [`Nodes::evaluate`].
    pub(super) tree: usize,
}

impl Nodes<'_> {
    /// Embeds nodes and counts their words.
    ///
    /// # Errors
    /// An embedder that cannot go on. A node that fails alone has no vector, and is found by its words only.
    pub(super) fn new<'e>(embedder: &'e dyn Embedder, nodes: &[Node]) -> Result<Nodes<'e>, EmbedError> {
        let mut lexical = LexicalIndex::default();
        for node in nodes {
            let header = header_words(&node.path, &node.container);
            lexical.add(&[(&node.text, 1.0), (&node.name, NAME_TIMES), (&header, 1.0)]);
        }
        let documents: Vec<Document<'_>> =
            nodes.iter().map(|node| Document { text: &node.text, name: &node.name }).collect();
        let embeddings = embedder.documents(&documents)?.embeddings;
        let (plain, placed) = nodes
            .par_iter()
            .zip(embeddings)
            .map(|(node, embedding)| {
                let header = embedder.header(&header_words(&node.path, &node.container));
                let placed =
                    header.map_or_else(|| embedding.unit.clone(), |header| embedding.with_header(&header).unit);
                (embedding.unit, placed)
            })
            .unzip();
        Ok(Nodes { embedder, lexical, plain, placed })
    }

    /// Asks every query of the nodes of its tree.
    pub(super) fn evaluate(
        &self,
        task: &'static str,
        asked: &[Asked],
        is_in: impl Fn(usize, u32) -> bool + Sync,
        options: &EvalOptions,
    ) -> Result<EvalReport, EmbedError> {
        let outcomes: Vec<[Outcome; 4]> = asked
            .par_iter()
            .map(|asked| {
                let found = self.rank(&asked.text, |node| is_in(asked.tree, node))?;
                Ok(found.map(|ranked| Outcome::of(&ranked, asked.golds.len(), |node| asked.golds.contains(&node))))
            })
            .collect::<Result<_, EmbedError>>()?;
        let figures = |way: usize| {
            let outcomes: Vec<Outcome> = outcomes.iter().map(|ways| ways[way]).collect();
            Figures::of(&outcomes, options.seed)
        };
        let sizes = asked.iter().map(|asked| (0..self.plain.len()).filter(|at| is_in(asked.tree, *at as u32)).count());
        Ok(EvalReport {
            task,
            queries: asked.len(),
            candidates: sizes.sum::<usize>() / asked.len().max(1),
            metrics: figures(0),
            baselines: [("bm25", figures(1)), ("vectors", figures(2)), ("hybrid", figures(3))].into(),
        })
    }

    /// The nodes found, best first: by search as it is, by BM25, by vectors without the place, by both.
    fn rank(&self, query: &str, is_in: impl Fn(u32) -> bool) -> Result<[Vec<u32>; 4], EmbedError> {
        let question = self.embedder.query(query)?.unit;
        let nearest = |vectors: &[Vec<f32>]| {
            let mut scored: Vec<(u32, f32)> = (0u32..)
                .zip(vectors)
                .filter(|(at, _)| is_in(*at))
                .map(|(at, vector)| (at, vector.iter().zip(&question).map(|(one, two)| one * two).sum()))
                .collect();
            scored.sort_unstable_by(|one: &(u32, f32), two| two.1.total_cmp(&one.1).then(one.0.cmp(&two.0)));
            scored.truncate(FUSED);
            scored
        };
        let (searched, lexical) = (nearest(&self.placed), self.lexical.best(query, FUSED, &is_in));
        let fused = fused(&searched, &lexical);
        let order = |scored: Vec<(u32, f32)>| scored.into_iter().map(|(at, _)| at).collect();
        Ok([order(searched), order(lexical), order(nearest(&self.plain)), order(fused)])
    }
}

/// Both lists as one, each scaled to 0 for its last and 1 for its first.
fn fused(searched: &[(u32, f32)], lexical: &[(u32, f32)]) -> Vec<(u32, f32)> {
    let mut sum: std::collections::BTreeMap<u32, f32> = std::collections::BTreeMap::new();
    for (scored, share) in [(searched, 1.0 - LEXICAL_SHARE), (lexical, LEXICAL_SHARE)] {
        let (Some((_, best)), Some((_, worst))) = (scored.first(), scored.last()) else { continue };
        let range = (best - worst).max(f32::MIN_POSITIVE);
        for (at, score) in scored {
            *sum.entry(*at).or_default() += share * (score - worst) / range;
        }
    }
    let mut fused: Vec<(u32, f32)> = sum.into_iter().collect();
    fused.sort_by(|one, two| two.1.total_cmp(&one.1));
    fused
}

/// The first `count` of the items in the order of their hashes under a seed.
pub(super) fn draw<T>(mut items: Vec<T>, count: usize, seed: u64, identity: impl Fn(&T) -> String) -> Vec<T> {
    items.sort_by_cached_key(|item| {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes());
        hasher.update(identity(item).as_bytes());
        *hasher.finalize().as_bytes()
    });
    items.truncate(count);
    items
}

#[cfg(test)]
mod tests {
    use precedent_model::Table;

    use super::*;

    fn node(name: &str, text: &str) -> Node {
        Node { path: format!("{name}.rs"), container: String::new(), name: name.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn every_way_finds_what_shares_all_words() {
        let nodes = [
            node("parse_date", "fn parse_date(text: &str) -> Date { Date::from(text) }"),
            node("open_socket", "fn open_socket(address: &str) -> Socket { Socket::connect(address) }"),
            node("sort_names", "fn sort_names(names: &mut [String]) { names.sort(); }"),
        ];
        let table = Table::built_in();
        let nodes = Nodes::new(&table, &nodes).expect("because the table takes any text");
        for ranked in nodes.rank("open a socket to an address", |_| true).expect("because the table takes any text") {
            assert_eq!(ranked[0], 1, "{ranked:?}");
        }
        // What is not in the tree is not found.
        for ranked in nodes.rank("open a socket to an address", |at| at != 1).expect("because the table takes any text")
        {
            assert!(!ranked.contains(&1), "{ranked:?}");
        }
    }

    #[test]
    fn lists_are_fused_by_their_shares() {
        let fused = fused(&[(1, 0.9), (2, 0.8), (3, 0.5)], &[(4, 7.0), (2, 3.0)]);
        let order: Vec<u32> = fused.iter().map(|(at, _)| *at).collect();
        assert_eq!(order, [1, 2, 4, 3]);
        assert!((fused[0].1 - 0.7).abs() < 1e-6 && (fused[1].1 - 0.525).abs() < 1e-6, "{fused:?}");
    }

    #[test]
    fn a_larger_draw_holds_a_smaller_one() {
        let all: Vec<u32> = (0..100).collect();
        let drawn = |count, seed| draw(all.clone(), count, seed, u32::to_string);
        assert_eq!(drawn(10, 1), drawn(50, 1)[..10]);
        assert_ne!(drawn(10, 1), drawn(10, 2));
    }
}
