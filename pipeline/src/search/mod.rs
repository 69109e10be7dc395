//! Search: a question to ranked nodes, at a commit or over all of history.
//!
//! Found by meaning, the place (file stem and container) weighed in; by words, BM25; and by messages of past commits, which
//! speak for what they touched. All of it then comes in one [order](rank).

mod lexical;
mod lexicon;
mod past;
mod question;
mod rank;
mod vector;
mod weights;
mod words;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use globset::{GlobBuilder, GlobMatcher};
use precedent_model::Embedder;
use serde::Serialize;

use crate::PipelineError;
use crate::archive::{Archive, Known, Place};
use crate::history::Objects;
use crate::shard::{Change, ObjectId};

pub use lexical::LexicalIndex;
pub use lexicon::Lexicon;
pub(crate) use lexicon::{NAME_TIMES, messages_of};
pub use past::{Deeds, FileDeeds, HEARD, Past, SUBJECT_TIMES, Votes, said};
pub use question::{Question, QuestionKind, readable};
pub use rank::{Candidate, SIDE, SIGNALS, Signals, Told};
pub(crate) use rank::{called, order, order_by, pool, signals, voted};
pub(crate) use vector::header_words;
pub use vector::{Scored, VectorIndex};
pub(crate) use weights::FILE_DECAY;
pub use weights::of as weights_of;
pub use words::for_each_word;

/// Candidates of each side, at the least.
const RESCORED: usize = 300;

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// The question, in words or code.
    pub text: String,
    /// How many results.
    pub limit: usize,
    /// Only paths that match this glob.
    pub path: Option<String>,
    /// Only this language.
    pub lang: Option<String>,
    /// Only this kind of node.
    pub kind: Option<String>,
    /// Where words are indexed if the store cannot be written.
    pub words_elsewhere: Option<PathBuf>,
}

/// One result.
#[derive(Debug, Clone, Serialize)]
pub struct Hit {
    /// From 1.
    pub rank: usize,
    /// What it is ranked by: greater is better, and comparable within one answer.
    pub score: f32,
    /// Cosine similarity with the question, -1 to 1; `None` where it was not among the nearest.
    pub similarity: Option<f32>,
    /// The path, as of `commit`.
    pub path: Arc<str>,
    /// Qualified name inside the file.
    pub symbol: Arc<str>,
    /// What kind of node it is.
    pub kind: Arc<str>,
    /// Its language.
    pub lang: Arc<str>,
    /// First and last line, from 1, as of `commit`.
    pub lines: [u32; 2],
    /// A commit in which the text stands at this place.
    pub commit: String,
    /// The identity of the text.
    pub chunk: String,
    /// The text itself.
    pub text: String,
    /// With history: the life of the node.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub life: Option<Life>,
}

/// The life of a node over all versions.
#[derive(Debug, Clone, Serialize)]
pub struct Life {
    /// An identity shared by all versions of the node.
    pub lineage: String,
    /// How many distinct texts it has had.
    pub versions: usize,
    /// The first commit known to hold it.
    pub first_commit: String,
    /// The last commit that edited it.
    pub last_commit: String,
    /// Whether it stands in the tree asked about.
    pub alive: bool,
}

/// The nodes alive at `commit` that are nearest to the question, best first.
///
/// # Errors
/// A pattern that is not a glob, a model that fails, or history or a store that cannot be read.
pub fn alive(
    archive: &Archive,
    embedder: &dyn Embedder,
    objects: &Objects,
    commit: &ObjectId,
    query: &Query,
) -> Result<Vec<Hit>, PipelineError> {
    let filter = Filter::new(query)?;
    let places: Vec<Place> =
        archive.alive(objects, commit)?.into_iter().filter(|place| filter.allows(archive, place)).collect();
    let known = archive.known_at(commit).unwrap_or_default();
    let engine = Engine { archive, embedder, known: &known, tip: archive.number(commit).unwrap_or(0) };
    let mut ranked = engine.rank(query, &places, RESCORED.max(query.limit * 4), weights::FILE_DECAY)?;
    ranked.truncate(query.limit);
    let rows =
        ranked.into_iter().map(|found| Row { place: places[found.at].clone(), commit: *commit, life: None, found });
    hits(archive, rows.collect())
}

/// Nodes of all history known in `known` that are nearest to the question; one row a node, or with
/// `all_versions` one row a text.
///
/// # Errors
/// As for [`alive`].
pub fn history(
    archive: &Archive,
    embedder: &dyn Embedder,
    objects: &Objects,
    tip: &ObjectId,
    known: &Known,
    query: &Query,
    all_versions: bool,
) -> Result<Vec<Hit>, PipelineError> {
    let filter = Filter::new(query)?;
    let lineages = Lineages::of(archive, known);
    let (mut introduced, mut places, mut commits) = (HashSet::new(), Vec::new(), Vec::new());
    for edit in archive.edits() {
        let (Some(symbol), Some(chunk)) = (&edit.symbol, edit.after) else { continue };
        if !known.has(edit.commit) || introduced.contains(&chunk) {
            continue;
        }
        let place = Place {
            path: edit.path.clone(),
            symbol: symbol.clone(),
            container: container_of(symbol).into(),
            chunk,
            start_line: edit.start_line,
            end_line: edit.end_line,
        };
        if filter.allows(archive, &place) {
            introduced.insert(chunk);
            places.push(place);
            commits.push(edit.commit);
        }
    }
    let count = if all_versions { query.limit } else { query.limit * 20 };
    let engine = Engine { archive, embedder, known, tip: archive.number(tip).unwrap_or(0) };
    let ranked = engine.rank(query, &places, count.max(RESCORED), 0.0)?;
    let living: HashSet<(Arc<str>, Arc<str>)> =
        archive.alive(objects, tip)?.into_iter().map(|place| (place.path, place.symbol)).collect();
    let mut seen = HashSet::new();
    let mut rows = Vec::new();
    for found in ranked {
        let place = &places[found.at];
        let lineage = lineages.of_place(&place.path, &place.symbol);
        if !all_versions && !seen.insert(lineage) {
            continue;
        }
        let commit = archive.commit(commits[found.at]).id;
        rows.push(Row { place: place.clone(), commit, life: Some(lineages.life(archive, lineage, &living)), found });
        if rows.len() == query.limit {
            break;
        }
    }
    hits(archive, rows)
}

/// What a question is asked of.
struct Engine<'a> {
    archive: &'a Archive,
    embedder: &'a dyn Embedder,
    known: &'a Known,
    tip: u32,
}

/// A place, by its position among those that were given, with its score and its similarity.
struct Ranked {
    at: usize,
    score: f32,
    similarity: Option<f32>,
}

impl Engine<'_> {
    /// What is found by meaning, by words and by messages among the places, in one order. `count` of each are looked at.
    fn rank(&self, query: &Query, places: &[Place], count: usize, decay: f32) -> Result<Vec<Ranked>, PipelineError> {
        let text = readable(&query.text);
        let mut by_chunk: HashMap<u32, Vec<u32>> = HashMap::new();
        let mut by_path: HashMap<&Arc<str>, Vec<(u32, Arc<str>)>> = HashMap::new();
        for (at, place) in (0u32..).zip(places) {
            by_chunk.entry(place.chunk).or_default().push(at);
            by_path.entry(&place.path).or_default().push((at, place.symbol.clone()));
        }
        let asked = self.embedder.query(text)?;
        let near = if asked.norm > 0.0 { self.near(&asked.unit, places, &by_chunk, count)? } else { Vec::new() };
        let lexicon = Lexicon::open(self.archive, query.words_elsewhere.as_deref())?;
        let wanted: Arc<HashSet<u32>> = Arc::new(by_chunk.keys().copied().collect());
        let mut worded: Vec<(u32, f32)> = lexicon
            .texts(text, count, Arc::new(move |chunk| wanted.contains(&chunk)))
            .into_iter()
            .flat_map(|(chunk, score)| by_chunk.get(&chunk).into_iter().flatten().map(move |at| (*at, score)))
            .collect();
        worded.truncate(count);
        let past = Past::new(self.archive);
        let known = Arc::new(self.known.clone());
        let heard = lexicon.messages(text, HEARD, Arc::new(move |commit| known.has(commit)));
        let votes = past.votes(&heard, self.known);
        let voted = voted(&votes, |path| by_path.get(path).cloned().unwrap_or_default());
        let pool = pool(&near, &worded, &voted);
        let candidates: Vec<Candidate> = pool
            .iter()
            .map(|(at, similarity, words)| self.candidate(&places[*at as usize], *similarity, *words, &asked.unit))
            .collect();
        let question = Question::new(text);
        let told = Told { past: &past, known: self.known, tip: self.tip, votes: &votes };
        let signals = signals(&question, &candidates, Some(&told));
        let order = order_by(&weights::of(question.kind), decay, &candidates, &signals);
        let ranked = |(at, score): (usize, f32)| {
            let (place, similarity, _) = pool[at];
            Ranked { at: place as usize, score, similarity }
        };
        Ok(order.into_iter().map(ranked).collect())
    }

    /// The nearest places, their place weighed in, best first.
    fn near(
        &self,
        question: &[f32],
        places: &[Place],
        by_chunk: &HashMap<u32, Vec<u32>>,
        count: usize,
    ) -> Result<Vec<(u32, f32)>, PipelineError> {
        let index = VectorIndex::load(self.archive.store())?;
        let nearest = index.nearest(question, count, &index.rows(|chunk| by_chunk.contains_key(&chunk)));
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
        Ok(near)
    }

    fn candidate(&self, place: &Place, similarity: Option<f32>, words: Option<f32>, question: &[f32]) -> Candidate {
        let head = self.archive.head(place.chunk);
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

/// A result that is still to be told.
struct Row {
    place: Place,
    commit: ObjectId,
    life: Option<Life>,
    found: Ranked,
}

/// What encloses a symbol: `Parser` of `Parser::next`.
fn container_of(symbol: &str) -> &str {
    symbol.rfind("::").or_else(|| symbol.rfind('.')).or_else(|| symbol.rfind(" > ")).map_or("", |at| &symbol[..at])
}

fn hits(archive: &Archive, rows: Vec<Row>) -> Result<Vec<Hit>, PipelineError> {
    let numbers: Vec<u32> = rows.iter().map(|row| row.place.chunk).collect();
    let texts: HashMap<u32, String> =
        archive.store().chunks_by_number(&numbers)?.into_iter().map(|chunk| (chunk.number, chunk.text)).collect();
    Ok(rows
        .into_iter()
        .enumerate()
        .map(|(at, Row { place, commit, life, found })| {
            let head = archive.head(place.chunk);
            Hit {
                rank: at + 1,
                score: found.score,
                similarity: found.similarity,
                path: place.path,
                symbol: place.symbol,
                kind: head.kind.clone(),
                lang: head.lang.clone(),
                lines: [place.start_line, place.end_line],
                commit: commit.to_string(),
                chunk: head.id.to_string(),
                text: texts.get(&place.chunk).cloned().unwrap_or_default(),
                life,
            }
        })
        .collect())
}

/// The filters of a query, ready to be asked.
struct Filter {
    path: Option<GlobMatcher>,
    lang: Option<String>,
    kind: Option<String>,
}

impl Filter {
    fn new(query: &Query) -> Result<Filter, PipelineError> {
        let path = match &query.path {
            None => None,
            Some(pattern) => {
                let glob = GlobBuilder::new(pattern).literal_separator(true).build().map_err(|error| {
                    PipelineError::Pattern { pattern: pattern.clone(), why: error.kind().to_string() }
                })?;
                Some(glob.compile_matcher())
            }
        };
        Ok(Filter { path, lang: query.lang.clone(), kind: query.kind.clone() })
    }

    fn allows(&self, archive: &Archive, place: &Place) -> bool {
        let head = archive.head(place.chunk);
        self.lang.as_ref().is_none_or(|lang| **lang == *head.lang)
            && self.kind.as_ref().is_none_or(|kind| **kind == *head.kind)
            && self.path.as_ref().is_none_or(|path| path.is_match(Path::new(&*place.path)))
    }
}

type Name = (Arc<str>, Arc<str>);

/// Names that are one node: joined wherever an edit renamed or moved it.
struct Lineages {
    at: HashMap<Name, usize>,
    root: Vec<usize>,
    edits: HashMap<usize, Vec<u32>>,
    names: Vec<Name>,
}

impl Lineages {
    fn of(archive: &Archive, known: &Known) -> Lineages {
        let mut lineages = Lineages { at: HashMap::new(), root: Vec::new(), edits: HashMap::new(), names: Vec::new() };
        for edit in archive.edits().iter().filter(|edit| known.has(edit.commit)) {
            let Some(symbol) = &edit.symbol else { continue };
            let now = lineages.slot((edit.path.clone(), symbol.clone()));
            if matches!(edit.change, Change::Moved | Change::Renamed) {
                let path = edit.before_path.clone().unwrap_or_else(|| edit.path.clone());
                let symbol = edit.before_symbol.clone().unwrap_or_else(|| symbol.clone());
                let before = lineages.slot((path, symbol));
                let (one, two) = (lineages.find(now), lineages.find(before));
                let (first, second) = (one.min(two), one.max(two));
                lineages.root[second] = first;
            }
        }
        for (at, edit) in archive.edits().iter().enumerate().filter(|(_, edit)| known.has(edit.commit)) {
            let Some(symbol) = &edit.symbol else { continue };
            let slot = lineages.at[&(edit.path.clone(), symbol.clone())];
            let root = lineages.find(slot);
            lineages.edits.entry(root).or_default().push(at as u32);
        }
        lineages
    }

    fn slot(&mut self, name: Name) -> usize {
        let next = self.root.len();
        match self.at.entry(name) {
            std::collections::hash_map::Entry::Occupied(slot) => *slot.get(),
            std::collections::hash_map::Entry::Vacant(slot) => {
                self.names.push(slot.key().clone());
                slot.insert(next);
                self.root.push(next);
                next
            }
        }
    }

    fn find(&self, mut at: usize) -> usize {
        while self.root[at] != at {
            at = self.root[at];
        }
        at
    }

    fn of_place(&self, path: &Arc<str>, symbol: &Arc<str>) -> usize {
        self.find(self.at[&(path.clone(), symbol.clone())])
    }

    fn life(&self, archive: &Archive, lineage: usize, living: &HashSet<Name>) -> Life {
        let edits: Vec<_> = self.edits[&lineage].iter().map(|at| &archive.edits()[*at as usize]).collect();
        let versions: HashSet<u32> = edits.iter().filter_map(|edit| edit.after).collect();
        let commit = |at: usize| archive.commit(edits[at].commit).id.to_string();
        // Named after where it first stood, which no later edit changes.
        let (path, symbol) = &self.names[lineage];
        let identity = blake3::hash(format!("{path}\0{symbol}").as_bytes()).to_hex();
        let alive = edits.iter().any(|edit| {
            edit.symbol.as_ref().is_some_and(|symbol| living.contains(&(edit.path.clone(), symbol.clone())))
        });
        Life {
            lineage: identity[..16].to_owned(),
            versions: versions.len(),
            first_commit: commit(0),
            last_commit: commit(edits.len() - 1),
            alive,
        }
    }
}
