//! Search: a question to ranked nodes, at a commit or over all of history.
//!
//! Found by meaning, the place (file stem and container) weighed in; by words, BM25; and by messages of past commits, which
//! speak for what they touched. All of it then comes in one [order](rank). Vectors are searched by clusters and codes
//! where there are many ([`VectorIndex`]).

mod engine;
mod filter;
mod lexical;
mod lexicon;
mod lineages;
mod past;
mod question;
mod rank;
mod vector;
mod weights;
mod words;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use precedent_model::Embedder;
use serde::Serialize;

use crate::PipelineError;
use crate::archive::{Archive, Known, Place, Snapshot};
use crate::history::Objects;
use crate::shard::ObjectId;

pub use engine::asks_history;
use engine::{Engine, History, Ranked};
pub use filter::Brought;
use filter::Filter;
pub use lexical::LexicalIndex;
pub(crate) use lexicon::{NAME_TIMES, messages_of};
pub use lineages::Life;
use lineages::Lineages;
pub use past::{Deeds, FileDeeds, HEARD, Past, SUBJECT_TIMES, Votes, said};
pub use question::{Question, QuestionKind, readable};
pub use rank::{Candidate, SIDE, SIGNALS, Signals, Told};
pub(crate) use rank::{called, order, order_by, pool, signals, voted};
pub(crate) use vector::header_words;
pub use vector::{Effort, Explanation, Method, Rows, Scored, VectorIndex};
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
    /// Only texts that such a commit brought.
    pub brought: Brought,
    /// Compare every vector as well, to say what part of the nearest was found.
    pub measure: bool,
}

/// What was found, and how.
#[derive(Debug, Clone)]
pub struct Found {
    /// The results, best first.
    pub hits: Vec<Hit>,
    /// How the vectors were searched.
    pub how: Explanation,
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

/// The nodes alive at `commit` that answer the question, best first. An archive is needed for what [`Query::brought`] asks,
/// and where the question [asks history](asks_history); without one neither has a say.
///
/// # Errors
/// A pattern that is not a glob, a model that fails, or history or a store that cannot be read.
pub fn alive(
    snapshot: &Snapshot,
    archive: Option<&Archive>,
    embedder: &dyn Embedder,
    objects: &Objects,
    commit: &ObjectId,
    query: &Query,
) -> Result<Found, PipelineError> {
    let filter = Filter::new(query)?;
    let places: Vec<Place> =
        snapshot.alive(objects, commit)?.into_iter().filter(|place| filter.allows(snapshot, place)).collect();
    let brought = archive.filter(|_| !query.brought.is_any()).map(|archive| query.brought.texts(archive));
    let places: Vec<Place> = match brought {
        Some(texts) => places.into_iter().filter(|place| texts.contains(&place.chunk)).collect(),
        None => places,
    };
    let history = archive.and_then(|archive| History::at(archive, commit, &query.text));
    let engine = Engine { snapshot, history, embedder };
    let (mut ranked, how) = engine.rank(query, &places, RESCORED.max(query.limit * 4), weights::FILE_DECAY)?;
    ranked.truncate(query.limit);
    let rows =
        ranked.into_iter().map(|found| Row { place: places[found.at].clone(), commit: *commit, life: None, found });
    Ok(Found { hits: hits(snapshot, rows.collect())?, how })
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
) -> Result<Found, PipelineError> {
    let filter = Filter::new(query)?;
    let lineages = Lineages::of(archive, known);
    let (mut introduced, mut places, mut commits) = (HashSet::new(), Vec::new(), Vec::new());
    let brought: Vec<bool> = archive.commits().iter().map(|commit| query.brought.allows(commit)).collect();
    for edit in archive.edits() {
        let (Some(symbol), Some(chunk)) = (&edit.symbol, edit.after) else { continue };
        if !known.has(edit.commit) || !brought[edit.commit as usize] || introduced.contains(&chunk) {
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
        if filter.allows(archive.snapshot(), &place) {
            introduced.insert(chunk);
            places.push(place);
            commits.push(edit.commit);
        }
    }
    let count = if all_versions { query.limit } else { query.limit * 20 };
    let tip_number = archive.number(tip).unwrap_or(0);
    let history = asks_history(&query.text).then(|| History { archive, known: known.clone(), tip: tip_number });
    let engine = Engine { snapshot: archive.snapshot(), history, embedder };
    let (ranked, how) = engine.rank(query, &places, count.max(RESCORED), 0.0)?;
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
    Ok(Found { hits: hits(archive.snapshot(), rows)?, how })
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

fn hits(snapshot: &Snapshot, rows: Vec<Row>) -> Result<Vec<Hit>, PipelineError> {
    let numbers: Vec<u32> = rows.iter().map(|row| row.place.chunk).collect();
    let texts: HashMap<u32, String> =
        snapshot.store().chunks_by_number(&numbers)?.into_iter().map(|chunk| (chunk.number, chunk.text)).collect();
    Ok(rows
        .into_iter()
        .enumerate()
        .map(|(at, Row { place, commit, life, found })| {
            let head = snapshot.head(place.chunk);
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
