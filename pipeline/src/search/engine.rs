//! Engine: one question asked of some places, by all that finds them.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use precedent_model::Embedder;
use rustc_hash::{FxHashMap, FxHashSet};

use super::lexicon::Worded;
use super::likeness::{Kin, Kinship, in_common};
use super::past::{Past, Votes};
use super::question::{Question, readable};
use super::rank::{Candidate, Told, called, order, pool, signals, voted};
use super::vector::{Effort, Explanation, Rows, Scored, VectorIndex};
use super::{HEARD, Query, lexicon, weights};
use crate::PipelineError;
use crate::archive::{Archive, Known, Places};
use crate::shard::{ObjectId, Store, StoreError};

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
    pub(super) store: &'a Store,
    pub(super) places: &'a Places,
    /// Whether each of the places may be found.
    pub(super) allowed: Vec<bool>,
    /// `None` where history has no say.
    pub(super) history: Option<History<'a>>,
    pub(super) embedder: &'a dyn Embedder,
    /// Where words are kept that cannot be kept beside the store.
    pub(super) elsewhere: Option<&'a Path>,
}

/// The places of each text that may be found.
struct ByChunk {
    /// For each chunk where its places begin; the next one's beginning is where they end.
    starts: Vec<u32>,
    /// The places, those of a chunk in order.
    places: Vec<u32>,
}

impl ByChunk {
    fn of(places: &Places, allowed: &[bool]) -> ByChunk {
        let wanted = || (0..places.len() as u32).zip(places.chunks()).filter(|(at, _)| allowed[*at as usize]);
        let chunks = wanted().map(|(_, chunk)| chunk as usize + 1).max().unwrap_or(0);
        let mut starts = vec![0; chunks + 1];
        wanted().for_each(|(_, chunk)| starts[chunk as usize] += 1);
        let mut end = 0;
        for start in &mut starts {
            end += *start;
            *start = end;
        }
        // Each place from behind takes the last seat of its chunk that is left, until each chunk's beginning is reached.
        let mut by_chunk = vec![0; end as usize];
        for (at, chunk) in wanted().rev() {
            let start = &mut starts[chunk as usize];
            *start -= 1;
            by_chunk[*start as usize] = at;
        }
        ByChunk { starts, places: by_chunk }
    }

    /// Chunks that may have places are below this.
    fn chunks(&self) -> usize {
        self.starts.len() - 1
    }

    fn has(&self, chunk: u32) -> bool {
        !self.places(chunk).is_empty()
    }

    fn places(&self, chunk: u32) -> &[u32] {
        match self.starts.get(chunk as usize..).unwrap_or_default() {
            [start, end, ..] => &self.places[*start as usize..*end as usize],
            _ => &[],
        }
    }
}

/// Vectors of texts, by number.
type Vectors = FxHashMap<u32, Scored>;
/// Places with their similarities, best first, the vectors of their texts, and how they were found.
type Near = (Vec<(u32, f32)>, Vectors, Explanation);

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
        count: usize,
        decay: f32,
    ) -> Result<(Vec<Ranked>, Explanation), PipelineError> {
        let text = readable(&query.text);
        let by_chunk = Arc::new(ByChunk::of(self.places, &self.allowed));
        let index = VectorIndex::open_whole(self.store, self.elsewhere)?;
        let asked = self.embedder.query(text)?;
        // A question whose words the model does not know is near to nothing.
        let meant = if asked.norm > 0.0 { count } else { 0 };
        let (near, worded) = rayon::join(
            || self.near(&index, &asked.unit, &by_chunk, meant, query.measure),
            || self.worded(text, &by_chunk, count),
        );
        let ((near, mut vectors, mut how), (worded, words)) = (near?, worded?);
        let told = match &self.history {
            None => None,
            Some(history) => Some(self.told(history, text)?),
        };
        let told = told.as_ref().zip(self.history.as_ref()).map(|((past, votes), history)| Told {
            past,
            known: &history.known,
            tip: history.tip,
            votes,
        });
        let spoken_for = told.as_ref().map_or_else(Vec::new, |told| self.spoken_for(told.votes));
        let pool = pool(&near, &worded, &spoken_for);
        let mut candidates: Vec<Candidate> = pool
            .iter()
            .map(|(at, similarity, words)| self.candidate(*at as usize, *similarity, *words, &asked.unit))
            .collect();
        let chunk = |at: usize| self.places.chunk(pool[at].0 as usize);
        let mut pooled = vec![false; by_chunk.chunks()];
        (0..pool.len()).for_each(|at| pooled[chunk(at) as usize] = true);
        let signatures = words.signatures(|chunk| pooled.get(chunk as usize).copied().unwrap_or(false));
        candidates.iter_mut().for_each(|candidate| candidate.covered = words.share(candidate.words));
        let mut kin = Kin::of(self.embedder, text)?;
        for (at, candidate) in candidates.iter_mut().enumerate() {
            let signature = signatures.get(&chunk(at)).map_or("", String::as_str);
            candidate.kinship = kin.with(&candidate.name, &candidate.container, &candidate.path, signature);
        }
        // Of texts that are not among the nearest the vectors are read now.
        let missing: FxHashSet<u32> = (0..pool.len()).map(chunk).filter(|chunk| !vectors.contains_key(chunk)).collect();
        let rows = index.rows(|chunk| missing.contains(&chunk))?;
        let (found, _) = index.search(&asked.unit, rows.len(), &rows, &Effort::EXACT)?;
        vectors.extend(found.into_iter().map(|found| (found.chunk, found)));
        let placed = |at: usize| {
            let Candidate { path, container, .. } = &candidates[at];
            Some(Cow::Owned(index.at_place(self.embedder, vectors.get(&chunk(at))?, path, container)))
        };
        let common = in_common(&asked.unit, pool.len(), placed);
        candidates.iter_mut().zip(common).for_each(|(candidate, common)| candidate.common = common);
        let question = Question::new(text);
        (how.kind, how.worded) = (Some(question.kind), Some(worded.len()));
        let signals = signals(&question, &candidates, told.as_ref());
        let order = order(question.kind, decay, &candidates, &signals);
        let ranked = |(at, score): (usize, f32)| {
            let (place, similarity, _) = pool[at];
            Ranked { at: place as usize, score, similarity }
        };
        Ok((order.into_iter().map(ranked).collect(), how))
    }

    /// The nearest places, their place weighed in, best first, with the vectors of their texts.
    fn near(
        &self,
        index: &VectorIndex,
        question: &[f32],
        by_chunk: &ByChunk,
        count: usize,
        measure: bool,
    ) -> Result<Near, StoreError> {
        let rows = index.rows(|chunk| by_chunk.has(chunk))?;
        let (nearest, how) = nearest(index, question, count, &rows, measure)?;
        let mut near: Vec<(u32, f32)> = Vec::new();
        for found in &nearest {
            for at in by_chunk.places(found.chunk) {
                let place = self.places.place(*at as usize);
                let score = index.score_at_place(self.embedder, found, question, &place.path, &place.container);
                near.push((*at, score));
            }
        }
        near.sort_by(|one, two| two.1.total_cmp(&one.1).then(one.0.cmp(&two.0)));
        near.truncate(count);
        Ok((near, nearest.into_iter().map(|found| (found.chunk, found)).collect(), how))
    }

    /// The places whose texts hold words of the question, with their BM25 scores, best first, and what tells of texts by
    /// their words.
    fn worded(
        &self,
        question: &str,
        by_chunk: &Arc<ByChunk>,
        count: usize,
    ) -> Result<(Vec<(u32, f32)>, Worded), StoreError> {
        let found = Arc::clone(by_chunk);
        let wanted = Arc::new(move |chunk: u32| found.has(chunk));
        // What a filter leaves out says as well as the rest how rare a word is.
        let mut standing = vec![false; self.store.chunk_count() as usize];
        self.places.chunks().for_each(|chunk| standing.get_mut(chunk as usize).into_iter().for_each(|is| *is = true));
        let among = Arc::new(move |chunk: u32| standing.get(chunk as usize).copied().unwrap_or(false));
        let found = lexicon::texts(self.store, self.elsewhere, &lexicon::Asked { question, count, wanted, among })?;
        let places =
            found.best.iter().flat_map(|(chunk, score)| by_chunk.places(*chunk).iter().map(move |at| (*at, *score)));
        Ok((places.take(count).collect(), found))
    }

    /// What commits that speak of the question touched.
    fn told<'h>(&self, history: &History<'h>, question: &str) -> Result<(Past<'h>, Votes), StoreError> {
        let past = Past::new(history.archive);
        let known = history.known.clone();
        let wanted: lexicon::Wanted = Arc::new(move |commit| known.has(commit));
        let asked = lexicon::Asked { question, count: HEARD, wanted: Arc::clone(&wanted), among: wanted };
        let heard = lexicon::messages(self.store, self.elsewhere, &asked)?;
        let votes = past.votes(&heard, &history.known);
        Ok((past, votes))
    }

    /// Places in files that commits speak for.
    fn spoken_for(&self, votes: &Votes) -> Vec<u32> {
        let mut by_path: HashMap<&str, Vec<usize>> = HashMap::new();
        for at in (0..self.places.len()).filter(|at| self.allowed[*at]) {
            by_path.entry(self.places.path(at)).or_default().push(at);
        }
        let symbol = |at: &usize| (*at as u32, self.places.place(*at).symbol);
        voted(votes, |path| by_path.get(&**path).into_iter().flatten().map(symbol).collect())
    }

    fn candidate(&self, at: usize, similarity: Option<f32>, words: Option<f32>, question: &[f32]) -> Candidate {
        let (place, head) = (self.places.place(at), self.places.head(at));
        Candidate {
            path: place.path,
            symbol: place.symbol,
            container: place.container,
            lines: place.end_line.saturating_sub(place.start_line) + 1,
            similarity,
            words,
            covered: 0.0,
            called: called(self.embedder, &head.name, question),
            kinship: Kinship::default(),
            common: 0.0,
            name: head.name,
            kind: head.kind,
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
) -> Result<(Vec<Scored>, Explanation), StoreError> {
    let (found, mut how) = index.search(question, count, rows, &Effort::usual(rows.len(), index.len()))?;
    if measure {
        let (exact, _) = index.search(question, MEASURED, rows, &Effort::EXACT)?;
        let first: HashSet<u32> = found.iter().take(MEASURED).map(|found| found.chunk).collect();
        let both = exact.iter().filter(|exact| first.contains(&exact.chunk)).count();
        how.recall = Some(if exact.is_empty() { 1.0 } else { both as f32 / exact.len() as f32 });
    }
    Ok((found, how))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::archive::{Gathered, Place};
    use crate::shard::{ChunkHead, ChunkId};

    proptest! {
        #[test]
        fn each_chunk_has_its_places_that_are_allowed(given in prop::collection::vec((0_u32..9, any::<bool>()), 0..40)) {
            let mut gathered = Gathered::default();
            for (chunk, _) in &given {
                let [path, symbol, container, lang, kind, name] = ["a.rs", "f", "", "rust", "function", "f"].map(Arc::from);
                let place = Place { path, symbol, container, chunk: *chunk, start_line: 1, end_line: 2 };
                gathered.push(&place, &ChunkHead { number: *chunk, id: ChunkId([0; 16]), lang, kind, name }, None);
            }
            let allowed: Vec<bool> = given.iter().map(|(_, allowed)| *allowed).collect();
            let by_chunk = ByChunk::of(&gathered.finish(), &allowed);
            for chunk in 0..12 {
                let expected: Vec<u32> =
                    (0..).zip(&given).filter(|(_, given)| **given == (chunk, true)).map(|(at, _)| at).collect();
                prop_assert_eq!(by_chunk.has(chunk), !expected.is_empty());
                prop_assert!(expected.is_empty() || (chunk as usize) < by_chunk.chunks());
                prop_assert_eq!(by_chunk.places(chunk), expected);
            }
        }
    }
}
