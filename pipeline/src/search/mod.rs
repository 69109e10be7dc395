//! Search: a question to ranked nodes, at a commit or over all of history.
//!
//! Found by meaning, the place (file stem and container) weighed in; by words, BM25; and by messages of past commits, which
//! speak for what they touched. All of it then comes in one order, by `rank.rs`. Vectors are searched by clusters and codes
//! where there are many ([`VectorIndex`]).

mod engine;
mod ever;
mod filter;
mod lexical;
mod lexicon;
mod likeness;
mod lineages;
mod looks;
mod past;
mod question;
mod rank;
mod signature;
mod trees;
mod vector;
mod weights;
mod words;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use precedent_model::Embedder;
use rustc_hash::FxHashSet;
use serde::Serialize;

use crate::PipelineError;
use crate::archive::{Archive, Places, places_at};
use crate::chunker::chunk_id;
use crate::history::Objects;
use crate::shard::{ObjectId, Store, StoreError};
use crate::syntax::Kind;

pub use engine::asks_history;
use engine::{Engine, History, Ranked};
use ever::Ever;
pub use filter::Brought;
use filter::Filter;
pub use lexical::LexicalIndex;
pub(crate) use lexicon::{NAME_TIMES, messages_of};
pub use likeness::Kinship;
pub(crate) use likeness::{Kin, in_common};
pub use lineages::Life;
pub use past::{Deeds, FileDeeds, HEARD, Past, SUBJECT_TIMES, Votes, said};
pub use question::{Question, QuestionKind, readable};
pub use rank::sums;
pub use rank::{Candidate, SIDE, SIGNALS, Signals, Told, stands_apart};
pub(crate) use rank::{called, order, pool, signals, voted};
pub(crate) use signature::signature_words;
pub use trees::{COLUMNS as TREE_COLUMNS, rows as tree_rows};
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
    /// A folder for what is derived from a store that cannot hold it: trees and words.
    pub elsewhere: Option<PathBuf>,
}

/// What a question is asked of: a store, or all of it in memory.
#[derive(Clone, Copy)]
pub enum Ground<'a> {
    /// A store, of which as much is read as the question needs.
    Store(&'a Store),
    /// An archive.
    Archive(&'a Archive),
}

impl<'a> Ground<'a> {
    fn store(self) -> &'a Store {
        match self {
            Ground::Store(store) => store,
            Ground::Archive(archive) => archive.store(),
        }
    }

    fn archive(self) -> Option<&'a Archive> {
        match self {
            Ground::Store(_) => None,
            Ground::Archive(archive) => Some(archive),
        }
    }
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
    ground: Ground<'_>,
    embedder: &dyn Embedder,
    objects: &Objects,
    commit: &ObjectId,
    query: &Query,
) -> Result<Found, PipelineError> {
    let filter = Filter::new(query)?;
    let (store, archive, elsewhere) = (ground.store(), ground.archive(), query.elsewhere.as_deref());
    let places = places_at(store, archive.map(|archive| archive.snapshot().heads()), objects, commit, elsewhere)?;
    let mut allowed = filter.allowed(&places);
    if let Some(archive) = archive.filter(|_| !query.brought.is_any()) {
        let known = archive.known_at(commit).unwrap_or_default();
        let brought = query.brought.to(&places, archive, &known)?;
        allowed.iter_mut().zip(brought).for_each(|(allowed, brought)| *allowed &= brought);
    }
    let history = archive.and_then(|archive| History::at(archive, commit, &query.text));
    let engine = Engine { store, places: &places, allowed, history, embedder, elsewhere };
    let (mut ranked, how) = engine.rank(query, RESCORED.max(query.limit * 4), weights::FILE_DECAY)?;
    ranked.truncate(query.limit);
    let rows = ranked.into_iter().map(|found| Row { commit: *commit, life: None, found }).collect();
    Ok(Found { hits: hits(store, &places, rows)?, how })
}

/// Nodes of all history that are nearest to the question; one row a node, or with `all_versions` one row for each of its
/// texts.
///
/// # Errors
/// As for [`alive`].
pub fn history(
    store: Store,
    embedder: &dyn Embedder,
    objects: &Objects,
    tip: &ObjectId,
    query: &Query,
    all_versions: bool,
) -> Result<Found, PipelineError> {
    let elsewhere = query.elsewhere.as_deref();
    let kept = query.brought.is_any().then(|| Ever::kept(&store, tip, elsewhere)).flatten();
    if let Some(ever) = &kept
        && !asks_history(&query.text)
    {
        return ever_found(Ground::Store(&store), embedder, tip, query, all_versions, ever);
    }
    let archive = Archive::open(store)?;
    let ever = match kept {
        Some(ever) => ever,
        None => {
            let ever = Ever::of(&archive, objects, tip, &query.brought, elsewhere)?;
            if query.brought.is_any() {
                ever.keep(archive.store(), tip, elsewhere);
            }
            ever
        }
    };
    ever_found(Ground::Archive(&archive), embedder, tip, query, all_versions, &ever)
}

fn ever_found(
    ground: Ground<'_>,
    embedder: &dyn Embedder,
    tip: &ObjectId,
    query: &Query,
    all_versions: bool,
    ever: &Ever,
) -> Result<Found, PipelineError> {
    let (store, places, elsewhere) = (ground.store(), &ever.places, query.elsewhere.as_deref());
    // A node's text is told where it first stood, of the places that are allowed.
    let mut allowed = Filter::new(query)?.allowed(places);
    let mut told = Met::new(store.chunk_count());
    for (at, (allowed, chunk)) in allowed.iter_mut().zip(places.chunks()).enumerate() {
        *allowed = *allowed && told.is_first(chunk, ever.node(at));
    }
    let history = ground.archive().filter(|_| asks_history(&query.text)).map(|archive| History {
        archive,
        known: archive.known_ever(),
        tip: archive.number(tip).unwrap_or(0),
    });
    let wanted = allowed.iter().filter(|allowed| **allowed).count();
    let engine = Engine { store, places, allowed, history, embedder, elsewhere };
    let mut count = RESCORED.max(if all_versions { query.limit } else { query.limit.saturating_mul(20) });
    loop {
        let (ranked, how) = engine.rank(query, count, 0.0)?;
        let mut seen = HashSet::new();
        let first = |found: &Ranked| all_versions || seen.insert(ever.node(found.at));
        let ranked: Vec<Ranked> = ranked.into_iter().filter(first).take(query.limit).collect();
        // Versions of few nodes may have taken all places.
        if ranked.len() == query.limit || count >= wanted {
            let ids = store.commit_ids()?;
            let row = |found: Ranked| {
                let commit = *ids.get(ever.brought(found.at) as usize)?;
                Some(Row { commit, life: ever.life(ever.node(found.at), &ids), found })
            };
            return Ok(Found { hits: hits(store, places, ranked.into_iter().filter_map(row).collect())?, how });
        }
        count = count.saturating_mul(4);
    }
}

/// Which texts of which nodes were met. Most texts are of one node alone, which costs no look-up.
struct Met {
    /// For each text the node that had it first.
    first: Vec<Option<u32>>,
    others: FxHashSet<(u32, u32)>,
}

impl Met {
    fn new(chunks: u32) -> Met {
        Met { first: vec![None; chunks as usize], others: FxHashSet::default() }
    }

    /// Whether it was not met before.
    fn is_first(&mut self, chunk: u32, node: u32) -> bool {
        match self.first.get_mut(chunk as usize) {
            Some(first @ None) => first.replace(node).is_none(),
            Some(Some(first)) if *first == node => false,
            _ => self.others.insert((chunk, node)),
        }
    }
}

/// A result that is still to be told.
struct Row {
    commit: ObjectId,
    life: Option<Life>,
    found: Ranked,
}

/// What encloses a symbol: `Parser` of `Parser::next`.
fn container_of(symbol: &str) -> &str {
    symbol.rfind("::").or_else(|| symbol.rfind('.')).or_else(|| symbol.rfind(" > ")).map_or("", |at| &symbol[..at])
}

fn hits(store: &Store, places: &Places, rows: Vec<Row>) -> Result<Vec<Hit>, PipelineError> {
    let at: Vec<usize> = rows.iter().map(|row| row.found.at).collect();
    let texts = texts(store, places, &at)?;
    Ok(rows
        .into_iter()
        .zip(texts)
        .enumerate()
        .map(|(at, (Row { commit, life, found }, text))| {
            let (place, head) = (places.place(found.at), places.head(found.at));
            Hit {
                rank: at + 1,
                score: found.score,
                similarity: found.similarity,
                path: place.path,
                symbol: place.symbol,
                kind: head.kind,
                lang: head.lang,
                lines: [place.start_line, place.end_line],
                commit: commit.to_string(),
                chunk: head.id.to_string(),
                text,
                life,
            }
        })
        .collect())
}

/// The texts of some places. Where their rows are told, the pages of those are all that is read, and each text is compared
/// with its id.
fn texts(store: &Store, places: &Places, at: &[usize]) -> Result<Vec<String>, StoreError> {
    let Some(rows) = at.iter().map(|at| places.row(*at)).collect::<Option<Vec<u32>>>() else {
        let numbers: Vec<u32> = at.iter().map(|at| places.chunk(*at)).collect();
        return Ok(store.chunks_by_number(&numbers)?.into_iter().map(|chunk| chunk.text).collect());
    };
    let texts = store.texts_in_rows(&rows)?;
    for (at, text) in at.iter().zip(&texts) {
        let head = places.head(*at);
        if Kind::from_name(&head.kind).map(|kind| chunk_id(&head.lang, kind, &head.name, text)) != Some(head.id) {
            let why = format!("chunk {} does not have the id that is stated", head.number);
            return Err(StoreError::Damaged { what: "chunks".into(), why });
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::{Gathered, Place};
    use crate::shard::{ChunkHead, ChunkRow, Generation, Settings};

    #[test]
    fn a_text_is_shown_only_with_its_id() {
        let dir = tempfile::tempdir().expect("a folder");
        let settings = Settings { chunker: "none".into(), embedder: "none".into(), dimension: 8 };
        let mut store = Store::create(dir.path(), settings);
        let lock = store.lock().expect("nobody else is there");
        let row = |number: u32, text: &str| ChunkRow {
            number,
            id: chunk_id("rust", Kind::Function, "f", text),
            lang: "rust".into(),
            kind: "function".into(),
            name: "f".into(),
            text: text.to_owned(),
        };
        let rows = [row(0, "fn f() {\n}"), row(1, "fn f() {\n    g()\n}"), row(2, "fn f(a: u8) {}")];
        for chunks in [rows[..2].to_vec(), rows[2..].to_vec()] {
            store.commit(&lock, Generation { chunks, ..Generation::default() }).expect("written");
        }
        let found = |rows_told: &[Option<u32>]| {
            let mut gathered = Gathered::default();
            for (chunk, told) in rows.iter().zip(rows_told) {
                let ChunkRow { number, id, lang, kind, name, .. } = chunk.clone();
                let place = Place {
                    path: "a.rs".into(),
                    symbol: "f".into(),
                    container: "".into(),
                    chunk: number,
                    start_line: 1,
                    end_line: 1,
                };
                gathered.push(&place, &ChunkHead { number, id, lang, kind, name }, *told);
            }
            texts(&store, &gathered.finish(), &[2, 0, 1])
        };
        let expected = ["fn f(a: u8) {}", "fn f() {\n}", "fn f() {\n    g()\n}"];
        assert_eq!(found(&[Some(0), Some(1), Some(2)]).expect("whole"), expected);
        assert_eq!(found(&[Some(0), None, Some(2)]).expect("whole"), expected, "by number");
        let error = found(&[Some(0), Some(0), Some(2)]).expect_err("row 0 is another text").to_string();
        assert!(error.contains("chunk 1"), "{error}");
        assert!(found(&[Some(0), Some(1), Some(3)]).expect_err("there are three").to_string().contains("row 3"));
    }
}
