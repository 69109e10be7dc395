//! Batch: some commits to rows.
//!
//! Cutting and matching are spread over the threads; numbering is done in order, so that the rows do not depend on how
//! many there are.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::Arc;

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::changes::{Class, Classified};
use crate::chunker::Interner;
use crate::history::{Commit, Entry, HistoryError, Objects, Pool, Repository};
use crate::ingest::{Reparse, Run};
use crate::lineage::{self, NodeEdit, Placed};
use crate::shard::{Change, ChunkId, ChunkRow, CommitRow, EditRow, Generation, ObjectId, SpanRow, Store, StoreError};
use crate::syntax::{Bag, Language, Skip};
use crate::version::{Chunked, Key, Version, Versions, chunk};

/// File versions that are cut before their rows are made. It bounds how many texts wait for the ordered part at once.
const SLICE_VERSIONS: usize = 512;

/// What the run knows while it goes through the batches.
pub(crate) struct Known<'r> {
    /// Every chunk of the store, by its number.
    chunks: FxHashMap<ChunkId, u32>,
    /// Blobs whose places the store already has, by language: equal content may be Markdown here and plain text there.
    spanned: FxHashSet<(ObjectId, Arc<str>)>,
    versions: Versions,
    objects: Pool<'r>,
    reparse: Reparse,
    strings: Interner,
    next_commit: u32,
    next_chunk: u32,
}

impl<'r> Known<'r> {
    /// What a store says before anything is added to it. File versions take at most so many bytes between batches.
    ///
    /// # Errors
    /// A shard that cannot be read.
    pub(crate) fn of(
        repository: &'r Repository,
        store: &Store,
        reparse: Reparse,
        version_bytes: usize,
    ) -> Result<Known<'r>, StoreError> {
        Ok(Known {
            chunks: store.chunk_ids()?.into_iter().map(|(number, id)| (id, number)).collect(),
            spanned: spanned(store)?,
            versions: Versions::new(version_bytes),
            objects: Pool::new(repository, Objects::for_blobs),
            reparse,
            strings: Interner::default(),
            next_commit: store.manifest().next_commit,
            next_chunk: store.manifest().next_chunk,
        })
    }
}

/// One file version that must be cut.
struct Job {
    path: Arc<str>,
    id: ObjectId,
    language: &'static Language,
    /// The version that stood at this path before.
    before: Option<Key>,
}

impl Job {
    fn key(&self) -> Key {
        (self.id, self.language.name)
    }
}

/// Blobs and languages that have places in the store.
fn spanned(store: &Store) -> Result<FxHashSet<(ObjectId, Arc<str>)>, StoreError> {
    let heads = store.chunk_heads()?;
    let mut spanned = FxHashSet::default();
    let mut last: Option<(ObjectId, &Arc<str>)> = None;
    let mut unknown = None;
    store.each_span(|blob, chunk| match heads.get(chunk as usize) {
        // The spans of a blob stand together.
        Some(head) if last != Some((blob, &head.lang)) => {
            last = Some((blob, &head.lang));
            spanned.insert((blob, head.lang.clone()));
        }
        Some(_) => {}
        None => unknown = Some(chunk),
    })?;
    match unknown {
        Some(chunk) => {
            Err(StoreError::Damaged { what: "spans".into(), why: format!("no chunk has the number {chunk}") })
        }
        None => Ok(spanned),
    }
}

/// Cuts, numbers and matches what a batch of commits changed; the rows go into `generation`.
///
/// # Errors
/// A blob that is damaged, or missing and not on purpose; `generation` then holds a part of the batch.
pub(crate) fn ingest_batch(
    commits: Vec<(Commit, Vec<Classified>)>,
    known: &mut Known<'_>,
    generation: &mut Generation,
    run: &mut Run,
) -> Result<(), HistoryError> {
    let jobs = jobs_of(&commits, known);
    cut_versions(&jobs, known, generation, run)?;
    let edits: Vec<Vec<NodeEdit>> = commits.par_iter().map(|(_, changes)| node_edits(changes, known)).collect();
    for file in commits.iter().flat_map(|(_, changes)| changes) {
        let key = |side: &Option<(Entry, Class)>| match side {
            Some((entry, Ok(language))) => Some((entry.id, language.name)),
            _ => None,
        };
        known.versions.replace(file.before.first().and_then(key), key(&file.after));
    }
    for ((commit, changes), edits) in commits.into_iter().zip(edits) {
        push_rows(commit, changes, edits, known, generation, run);
    }
    known.versions.settle();
    Ok(())
}

/// The file versions that this batch needs and that are not at hand, each once, in order.
fn jobs_of(commits: &[(Commit, Vec<Classified>)], known: &mut Known<'_>) -> Vec<Job> {
    let mut wanted: FxHashSet<Key> = FxHashSet::default();
    let mut jobs = Vec::new();
    for change in commits.iter().flat_map(|(_, changes)| changes) {
        let mut before = None;
        for (entry, class) in change.before.iter().flatten().chain(&change.after) {
            let Ok(language) = class else { continue };
            let key = (entry.id, language.name);
            if !known.versions.touch(&key) && wanted.insert(key) {
                let path = change.change.path.clone();
                jobs.push(Job { path, id: entry.id, language, before: before.filter(|(_, other)| *other == key.1) });
            }
            before = before.or(Some(key));
        }
    }
    jobs
}

/// Cuts versions, each after the one that it is cut from, and makes their rows in order.
fn cut_versions(
    jobs: &[Job],
    known: &mut Known<'_>,
    generation: &mut Generation,
    run: &mut Run,
) -> Result<(), HistoryError> {
    for slice in jobs.chunks(SLICE_VERSIONS) {
        let places: FxHashMap<Key, usize> = slice.iter().enumerate().map(|(at, job)| (job.key(), at)).collect();
        let mut next_of: Vec<Vec<usize>> = vec![Vec::new(); slice.len()];
        let mut first = Vec::new();
        for (at, job) in slice.iter().enumerate() {
            // What a version is cut from comes before it in the list, so there are no circles.
            match job.before.and_then(|before| places.get(&before)).filter(|before| **before < at) {
                Some(before) => next_of[*before].push(at),
                None => first.push(at),
            }
        }
        let seen = &*known;
        let cut: Vec<Vec<(usize, Chunked)>> = first
            .par_iter()
            .with_max_len(4)
            .map_init(|| seen.objects.take(), |objects, first| cut_chain(objects, slice, *first, &next_of, seen))
            .collect();
        let mut in_order: Vec<Option<Chunked>> = slice.iter().map(|_| None).collect();
        for (at, chunked) in cut.into_iter().flatten() {
            in_order[at] = Some(chunked);
        }
        for (job, chunked) in slice.iter().zip(in_order) {
            number_version(job, chunked.expect("because every job hangs on a first one"), known, generation, run)?;
        }
    }
    Ok(())
}

/// Cuts a version and those that are cut from it.
fn cut_chain(
    objects: &Objects,
    jobs: &[Job],
    first: usize,
    next_of: &[Vec<usize>],
    known: &Known<'_>,
) -> Vec<(usize, Chunked)> {
    let is_known = |id: &ChunkId| known.chunks.contains_key(id);
    let mut done: Vec<(usize, Chunked)> = Vec::new();
    // A job, and where in `done` the version stands that it is cut from.
    let mut pending: Vec<(usize, Option<usize>)> = vec![(first, None)];
    while let Some((at, place)) = pending.pop() {
        let job = &jobs[at];
        let before: Option<&Version> = match (place, job.before, known.reparse) {
            (_, _, Reparse::Full) => None,
            (Some(place), ..) => done[place].1.version.as_ref().ok(),
            (None, Some(key), _) => known.versions.get(&key).and_then(|version| version.as_deref().ok()),
            (None, None, _) => None,
        };
        let chunked = chunk(objects, &job.path, &job.id, job.language, before, &is_known);
        pending.extend(next_of[at].iter().rev().map(|next| (*next, Some(done.len()))));
        done.push((at, chunked));
    }
    done
}

/// Gives new chunks their numbers, in order, and records where the nodes stand.
fn number_version(
    job: &Job,
    chunked: Chunked,
    known: &mut Known<'_>,
    generation: &mut Generation,
    run: &mut Run,
) -> Result<(), HistoryError> {
    run.seconds.inflate += chunked.work.inflate;
    run.seconds.parse += chunked.work.parse;
    run.seconds.hash += chunked.work.hash;
    let version = match chunked.version {
        Ok(version) => version,
        Err(skip) => {
            if skip == Skip::Missing
                && let Some(failure) = known.objects.take().blob_failure(&job.id)
            {
                return Err(failure);
            }
            run.skipped.insert((job.id, skip));
            known.versions.insert(job.key(), Err(skip));
            return Ok(());
        }
    };
    if !job.language.is_text() {
        run.count_reading(job.language.name, chunked.reading);
    }
    for fresh in chunked.fresh {
        let placed = &version.placed[fresh.node];
        known.chunks.entry(placed.chunk).or_insert_with(|| {
            let number = known.next_chunk;
            known.next_chunk += 1;
            run.chunks += 1;
            generation.chunks.push(ChunkRow {
                number,
                id: placed.chunk,
                lang: known.strings.intern(job.language.name),
                kind: known.strings.intern(placed.kind.as_str()),
                name: known.strings.intern(&fresh.name),
                text: fresh.text,
            });
            number
        });
    }
    if known.spanned.insert((job.id, known.strings.intern(job.language.name))) {
        run.file_versions += 1;
        run.bytes_parsed += chunked.bytes;
        run.nodes += version.placed.len() as u64;
        for (placed, container) in version.placed.iter().zip(&version.containers) {
            generation.spans.push(SpanRow {
                blob: job.id,
                chunk: known.chunks[&placed.chunk],
                symbol: placed.symbol.clone(),
                container: container.clone(),
                start_line: placed.start_line,
                end_line: placed.end_line,
            });
        }
    }
    known.versions.insert(job.key(), Ok(version));
    Ok(())
}

fn version<'k>(side: &Option<(Entry, Class)>, known: &'k Known<'_>) -> Option<&'k Version> {
    let (entry, Ok(language)) = side.as_ref()? else { return None };
    known.versions.get(&(entry.id, language.name))?.as_deref().ok()
}

/// The token bags of the nodes that a commit's files hold, put in order when the first is asked for.
struct Bags<'k> {
    changes: &'k [Classified],
    known: &'k Known<'k>,
    by_chunk: OnceCell<FxHashMap<ChunkId, &'k Bag>>,
}

impl lineage::Texts for Bags<'_> {
    fn bag(&self, chunk: &ChunkId) -> Option<&Bag> {
        let by_chunk = self.by_chunk.get_or_init(|| {
            let sides = self.changes.iter().flat_map(|file| file.before.iter().chain([&file.after]));
            let versions = sides.filter_map(|side| version(side, self.known));
            let nodes = versions.flat_map(|version| version.placed.iter().zip(&version.bags));
            nodes.map(|(placed, bag)| (placed.chunk, &**bag)).collect()
        });
        by_chunk.get(chunk).copied()
    }
}

fn node_edits(changes: &[Classified], known: &Known<'_>) -> Vec<NodeEdit> {
    let nodes = |side| version(side, known).map_or(&[][..], |version| &version.placed);
    let files: Vec<lineage::FileNodes<'_>> = changes
        .iter()
        .map(|file| lineage::FileNodes {
            path: file.change.path.clone(),
            before: file.before.iter().map(nodes).collect(),
            after: nodes(&file.after),
        })
        .collect();
    lineage::edits(&files, &Bags { changes, known, by_chunk: OnceCell::new() })
}

fn push_rows(
    commit: Commit,
    changes: Vec<Classified>,
    edits: Vec<NodeEdit>,
    known: &mut Known<'_>,
    generation: &mut Generation,
    run: &mut Run,
) {
    let number = known.next_commit;
    known.next_commit += 1;
    run.commits += 1;
    run.edits += edits.len() as u64;
    run.file_edits += changes.len() as u64;
    let sources = renamed_files(&changes);
    for change in changes {
        generation.edits.push(file_row(number, commit.boundary, change, &sources, known, run));
    }
    for edit in edits {
        generation.edits.push(node_row(number, commit.boundary, edit, known));
    }
    generation.commits.push(CommitRow {
        number,
        id: commit.id,
        parents: commit.parents,
        author: commit.author,
        author_email: commit.author_email,
        author_time: commit.author_time,
        commit_time: commit.commit_time,
        message: commit.message,
    });
}

/// Files that only changed their path: new path to old path, for equal content.
fn renamed_files(changes: &[Classified]) -> HashMap<Arc<str>, Arc<str>> {
    let mut gone: HashMap<ObjectId, Vec<&Arc<str>>> = HashMap::new();
    for change in changes.iter().rev() {
        if let (Some(Some((entry, _))), None) = (change.before.first(), &change.after) {
            gone.entry(entry.id).or_default().push(&change.change.path);
        }
    }
    changes
        .iter()
        .filter(|change| change.before.iter().all(Option::is_none))
        .filter_map(|change| {
            let source = gone.get_mut(&change.after.as_ref()?.0.id)?.pop()?;
            Some((change.change.path.clone(), source.clone()))
        })
        .collect()
}

fn file_row(
    commit: u32,
    boundary: bool,
    file: Classified,
    sources: &HashMap<Arc<str>, Arc<str>>,
    known: &mut Known<'_>,
    run: &mut Run,
) -> EditRow {
    let path = known.strings.intern(&file.change.path);
    let before = file.before.iter().flatten().next().map(|(entry, _)| entry.id);
    let before_path = sources.get(&file.change.path).cloned();
    let skip = file.after.as_ref().or(file.before.iter().flatten().next()).and_then(|(entry, class)| match class {
        Err(skip) => {
            run.skipped.insert((entry.id, *skip));
            Some(*skip)
        }
        Ok(language) => {
            known.versions.get(&(entry.id, language.name)).and_then(|version| version.as_ref().err().copied())
        }
    });
    let change = match (before, &file.after) {
        _ if boundary => Change::Present,
        (_, None) => Change::Removed,
        (None, Some(_)) if before_path.is_some() => Change::Moved,
        (None, Some(_)) => Change::Added,
        (Some(_), Some(_)) => Change::Modified,
    };
    EditRow {
        commit,
        path,
        symbol: None,
        kind: None,
        change,
        before: None,
        after: None,
        before_path,
        before_symbol: None,
        similarity: None,
        start_line: 0,
        end_line: 0,
        before_blob: before,
        after_blob: file.after.map(|(entry, _)| entry.id),
        skipped: skip.map(|skip| known.strings.intern(skip.as_str())),
    }
}

fn node_row(commit: u32, boundary: bool, edit: NodeEdit, known: &mut Known<'_>) -> EditRow {
    let (path, node) = edit.after.as_ref().or(edit.before.as_ref()).expect("because an edit has at least one side");
    let before = edit.before.as_ref();
    let number =
        |place: Option<&(Arc<str>, Placed)>| place.and_then(|(_, node)| known.chunks.get(&node.chunk).copied());
    EditRow {
        commit,
        path: path.clone(),
        symbol: Some(node.symbol.clone()),
        kind: Some(known.strings.intern(node.kind.as_str())),
        change: if boundary { Change::Present } else { edit.change },
        before: number(before),
        after: number(edit.after.as_ref()),
        before_path: before.filter(|(old, _)| old != path).map(|(old, _)| old.clone()),
        before_symbol: before.filter(|(_, old)| old.symbol != node.symbol).map(|(_, old)| old.symbol.clone()),
        similarity: edit.similarity,
        start_line: node.start_line,
        end_line: node.end_line,
        before_blob: None,
        after_blob: None,
        skipped: None,
    }
}
