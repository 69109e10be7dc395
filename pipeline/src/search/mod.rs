//! Search: a question to ranked nodes, at a commit or over all of history.
//!
//! Vectors are searched by clusters and codes where there are many ([`VectorIndex`]). The place (file stem and container)
//! is added to the best candidates only, since it varies while the vector is shared.

mod lexical;
mod vector;

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use globset::{GlobBuilder, GlobMatcher};
use precedent_model::Embedder;
use serde::Serialize;

use crate::PipelineError;
use crate::archive::{Archive, Known, Place, Snapshot};
use crate::history::Objects;
use crate::shard::{Change, CommitRow, ObjectId};

pub use lexical::{LexicalIndex, for_each_word};
pub(crate) use vector::header_words;
pub use vector::{Effort, Explanation, Method, Rows, Scored, VectorIndex};

/// Candidates that are scored again with their place, at the least.
const RESCORED: usize = 300;
/// Nearest rows whose recall is measured.
const MEASURED: usize = 10;

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

/// Commits, by who wrote them and when.
#[derive(Debug, Clone, Default)]
pub struct Brought {
    /// The author's name or address holds this, in any case.
    pub author: Option<String>,
    /// Authored then or later, in seconds since 1970 UTC.
    pub since: Option<i64>,
    /// Authored then or before.
    pub until: Option<i64>,
}

impl Brought {
    /// Whether every commit is one.
    pub fn is_any(&self) -> bool {
        self.author.is_none() && self.since.is_none() && self.until.is_none()
    }

    fn allows(&self, commit: &CommitRow) -> bool {
        self.since.is_none_or(|since| commit.author_time >= since)
            && self.until.is_none_or(|until| commit.author_time <= until)
            && self.author.as_ref().is_none_or(|author| {
                let author = author.to_lowercase();
                [&commit.author, &commit.author_email].iter().any(|name| name.to_lowercase().contains(&author))
            })
    }

    /// The texts that such commits brought, by number.
    pub fn texts(&self, archive: &Archive) -> HashSet<u32> {
        let allowed: Vec<bool> = archive.commits().iter().map(|commit| self.allows(commit)).collect();
        archive.edits().iter().filter(|edit| allowed[edit.commit as usize]).filter_map(|edit| edit.after).collect()
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
    /// Cosine similarity, -1 to 1.
    pub score: f32,
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

/// The nodes alive at `commit` that are nearest to the question, best first; with `texts`, only those of these texts.
/// What [`Query::brought`] asks for is found in an archive: [`Brought::texts`].
///
/// # Errors
/// A pattern that is not a glob, a model that fails, or history or a store that cannot be read.
pub fn alive(
    snapshot: &Snapshot,
    embedder: &dyn Embedder,
    objects: &Objects,
    commit: &ObjectId,
    query: &Query,
    texts: Option<&HashSet<u32>>,
) -> Result<Found, PipelineError> {
    let filter = Filter::new(query)?;
    let places: Vec<Place> =
        snapshot.alive(objects, commit)?.into_iter().filter(|place| filter.allows(snapshot, place)).collect();
    let places: Vec<Place> = match texts {
        Some(texts) => places.into_iter().filter(|place| texts.contains(&place.chunk)).collect(),
        None => places,
    };
    let wanted: HashSet<u32> = places.iter().map(|place| place.chunk).collect();
    let index = VectorIndex::open(snapshot.store())?;
    let question = embedder.query(&query.text)?.unit;
    let rows = index.rows(|chunk| wanted.contains(&chunk))?;
    let (nearest, how) = nearest(&index, &question, RESCORED.max(query.limit * 4), &rows, query.measure)?;
    let mut by_chunk: HashMap<u32, Vec<&Place>> = HashMap::new();
    for place in &places {
        by_chunk.entry(place.chunk).or_default().push(place);
    }
    let mut scored: Vec<(f32, &Place)> = nearest
        .iter()
        .flat_map(|found| by_chunk.get(&found.chunk).into_iter().flatten().map(move |place| (found, *place)))
        .map(|(found, place)| (index.score_at_place(embedder, found, &question, &place.path, &place.container), place))
        .collect();
    scored.sort_by(|one, two| {
        best_first(one.0, two.0).then_with(|| one.1.path.cmp(&two.1.path)).then(one.1.start_line.cmp(&two.1.start_line))
    });
    scored.truncate(query.limit);
    let rows = scored.into_iter().map(|(score, place)| (score, place.clone(), *commit, None)).collect();
    Ok(Found { hits: hits(snapshot, rows)?, how })
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
    let mut introduced: HashMap<u32, (u32, Place)> = HashMap::new();
    let brought: Vec<bool> = archive.commits().iter().map(|commit| query.brought.allows(commit)).collect();
    for (at, edit) in archive.edits().iter().enumerate() {
        let (Some(symbol), Some(chunk)) = (&edit.symbol, edit.after) else { continue };
        if !known.has(edit.commit) || !brought[edit.commit as usize] || introduced.contains_key(&chunk) {
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
            introduced.insert(chunk, (at as u32, place));
        }
    }
    let index = VectorIndex::open(archive.store())?;
    let question = embedder.query(&query.text)?.unit;
    let rows = index.rows(|chunk| introduced.contains_key(&chunk))?;
    let count = if all_versions { query.limit } else { RESCORED.max(query.limit * 20) };
    let (nearest, how) = nearest(&index, &question, count.max(RESCORED), &rows, query.measure)?;
    let mut scored: Vec<(f32, u32, &Place)> = nearest
        .iter()
        .filter_map(|found| {
            let (edit, place) = introduced.get(&found.chunk)?;
            Some((index.score_at_place(embedder, found, &question, &place.path, &place.container), *edit, place))
        })
        .collect();
    scored.sort_by(|one, two| best_first(one.0, two.0).then(one.1.cmp(&two.1)));
    let living: HashSet<(Arc<str>, Arc<str>)> =
        archive.alive(objects, tip)?.into_iter().map(|place| (place.path, place.symbol)).collect();
    let mut seen = HashSet::new();
    let mut rows = Vec::new();
    for (score, edit, place) in scored {
        let lineage = lineages.of_place(&place.path, &place.symbol);
        if !all_versions && !seen.insert(lineage) {
            continue;
        }
        let commit = archive.commit(archive.edits()[edit as usize].commit).id;
        rows.push((score, place.clone(), commit, Some(lineages.life(archive, lineage, &living))));
        if rows.len() == query.limit {
            break;
        }
    }
    Ok(Found { hits: hits(archive.snapshot(), rows)?, how })
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

fn best_first(one: f32, two: f32) -> Ordering {
    two.total_cmp(&one)
}

/// What encloses a symbol: `Parser` of `Parser::next`.
fn container_of(symbol: &str) -> &str {
    symbol.rfind("::").or_else(|| symbol.rfind('.')).or_else(|| symbol.rfind(" > ")).map_or("", |at| &symbol[..at])
}

fn hits(snapshot: &Snapshot, rows: Vec<(f32, Place, ObjectId, Option<Life>)>) -> Result<Vec<Hit>, PipelineError> {
    let numbers: Vec<u32> = rows.iter().map(|(_, place, _, _)| place.chunk).collect();
    let texts: HashMap<u32, String> =
        snapshot.store().chunks_by_number(&numbers)?.into_iter().map(|chunk| (chunk.number, chunk.text)).collect();
    Ok(rows
        .into_iter()
        .enumerate()
        .map(|(at, (score, place, commit, life))| {
            let head = snapshot.head(place.chunk);
            Hit {
                rank: at + 1,
                score,
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

    fn allows(&self, snapshot: &Snapshot, place: &Place) -> bool {
        let head = snapshot.head(place.chunk);
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
