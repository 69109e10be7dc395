//! Engine: one question asked of some places, by all that finds them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use precedent_model::Embedder;

use super::past::Past;
use super::question::{Question, readable};
use super::rank::{Candidate, Told, called, order_by, pool, signals, voted};
use super::vector::{Effort, Explanation, Rows, Scored, VectorIndex};
use super::{HEARD, Query, lexicon, weights};
use crate::PipelineError;
use crate::archive::{Archive, Known, Place, Snapshot};
use crate::shard::ObjectId;

/// Nearest rows whose recall is measured.
const MEASURED: usize = 10;

/// What is known where a question is asked.
pub(super) struct History<'a> {
    pub(super) archive: &'a Archive,
    pub(super) known: Known,
    /// The commit, by number.
    pub(super) tip: u32,
}

/// Whether history has a say in what a question finds: reading it takes longer than all else.
pub fn asks_history(text: &str) -> bool {
    weights::ask_history(Question::new(text).kind)
}

impl<'a> History<'a> {
    /// What is known at a commit, if the question asks for it.
    pub(super) fn at(archive: &'a Archive, commit: &ObjectId, text: &str) -> Option<History<'a>> {
        let known = archive.known_at(commit).filter(|_| asks_history(text))?;
        Some(History { archive, known, tip: archive.number(commit)? })
    }
}

/// What a question is asked of.
pub(super) struct Engine<'a> {
    pub(super) snapshot: &'a Snapshot,
    /// `None` where history has no say.
    pub(super) history: Option<History<'a>>,
    pub(super) embedder: &'a dyn Embedder,
}

/// A place, by its position among those that were given, with its score and its similarity.
pub(super) struct Ranked {
    pub(super) at: usize,
    pub(super) score: f32,
    pub(super) similarity: Option<f32>,
}

impl Engine<'_> {
    /// What is found by meaning, by words and by messages among the places, in one order. `count` of each are looked at;
    /// each further node of a file loses `decay`.
    pub(super) fn rank(
        &self,
        query: &Query,
        places: &[Place],
        count: usize,
        decay: f32,
    ) -> Result<(Vec<Ranked>, Explanation), PipelineError> {
        let text = readable(&query.text);
        let mut by_chunk: HashMap<u32, Vec<u32>> = HashMap::new();
        for (at, place) in (0u32..).zip(places) {
            by_chunk.entry(place.chunk).or_default().push(at);
        }
        let asked = self.embedder.query(text)?;
        // A question whose words the model does not know is near to nothing.
        let meant = if asked.norm > 0.0 { count } else { 0 };
        let (near, how) = self.near(&asked.unit, places, &by_chunk, meant, query.measure)?;
        let worded = lexicon::texts(self.snapshot, places, text, count)?;
        let past = self.history.as_ref().map(|history| Past::new(history.archive));
        let told = self.history.as_ref().zip(past.as_ref()).map(|(history, past)| {
            let heard = lexicon::messages(history.archive, &history.known, text, HEARD);
            (history, past, past.votes(&heard, &history.known))
        });
        let told =
            told.as_ref().map(|(history, past, votes)| Told { past, known: &history.known, tip: history.tip, votes });
        let spoken_for = told.as_ref().map_or_else(Vec::new, |told| {
            let mut by_path: HashMap<&Arc<str>, Vec<(u32, Arc<str>)>> = HashMap::new();
            for (at, place) in (0u32..).zip(places) {
                by_path.entry(&place.path).or_default().push((at, place.symbol.clone()));
            }
            voted(told.votes, |path| by_path.get(path).cloned().unwrap_or_default())
        });
        let pool = pool(&near, &worded, &spoken_for);
        let candidates: Vec<Candidate> = pool
            .iter()
            .map(|(at, similarity, words)| self.candidate(&places[*at as usize], *similarity, *words, &asked.unit))
            .collect();
        let question = Question::new(text);
        let signals = signals(&question, &candidates, told.as_ref());
        let order = order_by(&weights::of(question.kind), decay, &candidates, &signals);
        let ranked = |(at, score): (usize, f32)| {
            let (place, similarity, _) = pool[at];
            Ranked { at: place as usize, score, similarity }
        };
        Ok((order.into_iter().map(ranked).collect(), how))
    }

    /// The nearest places, their place weighed in, best first.
    fn near(
        &self,
        question: &[f32],
        places: &[Place],
        by_chunk: &HashMap<u32, Vec<u32>>,
        count: usize,
        measure: bool,
    ) -> Result<(Vec<(u32, f32)>, Explanation), PipelineError> {
        let index = VectorIndex::open(self.snapshot.store())?;
        let rows = index.rows(|chunk| by_chunk.contains_key(&chunk))?;
        let (nearest, how) = nearest(&index, question, count, &rows, measure)?;
        let mut near: Vec<(u32, f32)> = Vec::new();
        for found in &nearest {
            for at in by_chunk.get(&found.chunk).into_iter().flatten() {
                let place = &places[*at as usize];
                let score = index.score_at_place(self.embedder, found, question, &place.path, &place.container);
                near.push((*at, score));
            }
        }
        near.sort_by(|one, two| two.1.total_cmp(&one.1).then(one.0.cmp(&two.0)));
        near.truncate(count);
        Ok((near, how))
    }

    fn candidate(&self, place: &Place, similarity: Option<f32>, words: Option<f32>, question: &[f32]) -> Candidate {
        let head = self.snapshot.head(place.chunk);
        Candidate {
            path: place.path.clone(),
            symbol: place.symbol.clone(),
            container: place.container.clone(),
            name: head.name.clone(),
            kind: head.kind.clone(),
            lines: place.end_line.saturating_sub(place.start_line) + 1,
            similarity,
            words,
            called: called(self.embedder, &head.name, question),
        }
    }
}

/// The nearest rows; with `measure`, the recall of the first ten is part of the explanation.
fn nearest(
    index: &VectorIndex,
    question: &[f32],
    count: usize,
    rows: &Rows,
    measure: bool,
) -> Result<(Vec<Scored>, Explanation), PipelineError> {
    let (found, mut how) = index.search(question, count, rows, &Effort::default())?;
    if measure {
        let (exact, _) = index.search(question, MEASURED, rows, &Effort::EXACT)?;
        let first: HashSet<u32> = found.iter().take(MEASURED).map(|found| found.chunk).collect();
        let both = exact.iter().filter(|exact| first.contains(&exact.chunk)).count();
        how.recall = Some(if exact.is_empty() { 1.0 } else { both as f32 / exact.len() as f32 });
    }
    Ok((found, how))
}
