//! Ranking: the candidates of one change, best first, by the default weights or by what a repository taught beside them.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use precedent_pipeline::archive::Archive;
use precedent_pipeline::forest::Forest;
use precedent_pipeline::history::{Commit, Objects};
use precedent_pipeline::shard::{ObjectId, StoreError};

use super::authors::{Authors, Mailmap};
use super::features::{Beliefs, FILE_COLUMNS, NODE_COLUMNS, file_rows, node_rows};
use super::layer::Layer;
use super::ledger::{Ledger, Line};
use super::names::Terms;
use super::question::{Question, Seen, Texts, candidates, file_tallies};
use super::texts::ChunkVectors;
use crate::change::Change;

/// What ranks candidates.
#[derive(Debug, Clone)]
pub struct Weights {
    /// Default ranking of nodes, then of files.
    pub forests: &'static [Forest; 2],
    /// What was learned here besides, in the same order.
    pub layers: [Layer; 2],
}

impl Weights {
    /// The default weights, learned on the repositories that `docs/replay.md` names.
    pub fn built_in() -> Weights {
        static FORESTS: OnceLock<[Forest; 2]> = OnceLock::new();
        let forests = FORESTS.get_or_init(|| {
            serde_json::from_str(include_str!("../../assets/companions.json"))
                .expect("because the file is part of the program, and a test reads it")
        });
        Weights { forests, layers: [Layer::new(NODE_COLUMNS.len()), Layer::new(FILE_COLUMNS.len())] }
    }

    /// The scores of rows: 0 for nodes, 1 for files.
    pub fn scores(&self, task: usize, rows: &[f32]) -> Vec<f32> {
        let columns = [NODE_COLUMNS.len(), FILE_COLUMNS.len()][task];
        let (forest, layer) = (&self.forests[task], &self.layers[task]);
        rows.chunks(columns).map(|row| layer.score(forest.score(row), row)).collect()
    }

    /// Learns from one past change that hid a part of itself.
    pub fn learn(&mut self, task: usize, rows: &[f32], right: usize) {
        let columns = [NODE_COLUMNS.len(), FILE_COLUMNS.len()][task];
        let forest = &self.forests[task];
        let defaults: Vec<f32> = rows.chunks(columns).map(|row| forest.score(row)).collect();
        self.layers[task].learn(rows, &defaults, right);
    }
}

/// Candidates by their places, with what the ranking makes of them.
#[derive(Debug, Clone, Default)]
pub struct Ranking {
    /// Nodes that the change does not touch: path, symbol, and the share of the ranking's belief, from 0 to 1.
    pub nodes: HashMap<(Arc<str>, Arc<str>), f64>,
    /// Files likewise.
    pub files: HashMap<Arc<str>, f64>,
}

/// The `.mailmap` of a tree.
pub fn mailmap(objects: &Objects, commit: &ObjectId) -> Mailmap {
    let text = objects.entry(commit, ".mailmap").and_then(|entry| objects.blob(&entry.id)).unwrap_or_default();
    Mailmap::parse(&String::from_utf8_lossy(&text))
}

/// A ledger that has taken every step of a line.
pub fn ledger(archive: &Archive, line: &Line<'_>, mailmap: Mailmap) -> Ledger {
    let mut ledger = Ledger::new(Authors::new(mailmap));
    for &commit in &line.spine {
        let preview = ledger.preview(line.edits(commit));
        ledger.advance(archive, line, commit, &preview);
    }
    ledger
}

impl Ranking {
    /// Ranks what might belong to a change that some commits make up.
    ///
    /// # Errors
    /// A shard that cannot be read.
    pub fn of(
        archive: &Archive,
        ledger: &Ledger,
        weights: &Weights,
        change: &Change,
        commits: &[Commit],
    ) -> Result<Ranking, StoreError> {
        let question = question(ledger, change, commits);
        let (tallies, files) = candidates(ledger, &question);
        let (mut ranking, mut beliefs) = (Ranking::default(), Beliefs::default());
        if !tallies.ids.is_empty() {
            let texts = SomeTexts::read(archive, ledger, &tallies.ids, &question)?;
            let rows = node_rows(ledger, &question, (&tallies, &files), &texts);
            let shares = shares(&weights.scores(0, &rows));
            beliefs = Beliefs::of(ledger, tallies.ids.iter().copied().zip(shares.iter().copied()));
            for (id, share) in tallies.ids.iter().zip(shares) {
                let node = &ledger.nodes[*id as usize];
                ranking.nodes.insert((node.path.clone(), node.symbol.clone()), share);
            }
        }
        let (ids, rows) = file_rows(ledger, &question, &file_tallies(ledger, &question), &beliefs);
        for (id, share) in ids.iter().zip(shares(&weights.scores(1, &rows))) {
            ranking.files.insert(ledger.files[*id as usize].path.clone(), share);
        }
        Ok(ranking)
    }
}

/// The softmax of scores, which add up to 1.
pub(super) fn shares(scores: &[f32]) -> Vec<f64> {
    let most = scores.iter().copied().fold(f32::MIN, f32::max);
    let powers: Vec<f64> = scores.iter().map(|score| f64::from(score - most).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// A change of more nodes is asked about by its first ones, so that a review ends in time.
const MAX_SEEN: usize = 200;

/// The question that a change is.
fn question(ledger: &Ledger, change: &Change, commits: &[Commit]) -> Question {
    let seen = change
        .nodes
        .iter()
        .take(MAX_SEEN)
        .map(|node| {
            let (path, piece) = node.now();
            let text = |side: &Option<(Arc<str>, precedent_pipeline::Piece)>| {
                side.as_ref().map(|(_, piece)| Arc::new(Terms::of(&piece.text)))
            };
            Seen {
                id: node.before.as_ref().and_then(|(path, piece)| ledger.node_at(path, &piece.symbol)),
                path: path.clone(),
                symbol: piece.symbol.as_str().into(),
                kind: piece.kind.as_str().into(),
                before: text(&node.before),
                after: text(&node.after),
            }
        })
        .collect();
    let files =
        change.files.iter().take(MAX_SEEN).map(|file| (ledger.file_at(&file.path), file.path.clone())).collect();
    Question { authors: ledger.authors.known_of_change(commits), seen, files, ..Question::default() }
}

/// The texts that one question needs.
struct SomeTexts {
    terms: HashMap<u32, Arc<Terms>>,
    vectors: ChunkVectors,
}

impl SomeTexts {
    fn read(archive: &Archive, ledger: &Ledger, ids: &[u32], question: &Question) -> Result<SomeTexts, StoreError> {
        let known = question.known(ledger);
        let mut numbers: Vec<u32> = ids.iter().chain(&known).map(|id| ledger.nodes[*id as usize].chunk).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let chunks = archive.store().chunks_by_number(&numbers)?;
        Ok(SomeTexts {
            terms: chunks.into_iter().map(|chunk| (chunk.number, Terms::of(&chunk.text).into())).collect(),
            vectors: ChunkVectors::of(archive.store(), &numbers)?,
        })
    }
}

impl Texts for SomeTexts {
    fn terms(&self, chunk: u32) -> Arc<Terms> {
        self.terms.get(&chunk).cloned().unwrap_or_default()
    }

    fn cosine(&self, one: u32, two: u32) -> f32 {
        self.vectors.cosine(one, two)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_weights_read_and_rank_by_more_than_one_feature() {
        let weights = Weights::built_in();
        for (task, columns) in [NODE_COLUMNS.len(), FILE_COLUMNS.len()].into_iter().enumerate() {
            let questions = weights.forests[task].questions(columns);
            assert!(questions.iter().filter(|count| **count > 0).count() > 10, "{questions:?}");
        }
        // A node that always changed with what is touched, against one that never did.
        let mut rows = vec![0f32; 2 * NODE_COLUMNS.len()];
        for (column, value) in NODE_COLUMNS.iter().zip(&mut rows) {
            *value = match *column {
                "most_share" | "likeness_to_best" | "share_to_best" | "most_likeness" => 0.9,
                "most_together" | "likeness" | "sources" | "steps" => 2.0,
                _ => 0.0,
            };
        }
        let scores = weights.scores(0, &rows);
        assert!(scores[0] > scores[1], "{scores:?}");
    }

    #[test]
    fn shares_add_up() {
        let shares = shares(&[1.0, 2.0, -3.0]);
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9 && shares[1] > shares[0]);
    }
}
