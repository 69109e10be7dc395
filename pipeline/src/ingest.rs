//! Ingest: the recipe that brings a store up to a set of tips.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rayon::prelude::*;
use serde::Serialize;

use crate::chunker::{Chunker, Interner, Piece};
use crate::history::{AttributeRules, Commit, Entry, FileChange, Repository, Walk};
use crate::lineage::{self, NodeEdit, Placed};
use crate::shard::{
    Change, ChunkId, ChunkRow, CommitRow, EditRow, Generation, ObjectId, SpanRow, Store, StoreError, WriteLock,
};
use crate::syntax::{Bag, Language, Skip, similarity};
use crate::{PipelineError, embed};

/// Commits taken together. More gives the threads more to share; fewer bounds memory and makes an
/// interrupt answer sooner.
const BATCH_COMMITS: usize = 128;
/// A generation is written when it holds this much new text, or this many rows.
const GENERATION_TEXT_BYTES: usize = 48 << 20;
const GENERATION_ROWS: usize = 600_000;

/// What a run is doing, for a progress bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Finding the commits.
    Walk,
    /// Reading, chunking, embedding; counted in commits.
    Index,
    /// Writing shards.
    Store,
}

/// How far a stage has come.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// The stage.
    pub stage: Stage,
    /// Commits done.
    pub done: u64,
    /// Commits in all; 0 while unknown.
    pub total: u64,
}

/// Set from a signal handler to end a run at the next batch, with everything so far durable.
pub type Interrupt = AtomicBool;

/// Versions left out, by reason.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Skipped {
    /// Why.
    pub reason: &'static str,
    /// How many distinct contents.
    pub count: u64,
}

/// Where the time went.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Seconds {
    /// Walking commits and comparing trees.
    pub history: f64,
    /// Reading, parsing and hashing file versions; matching nodes.
    pub syntax: f64,
    /// Embedding.
    pub embed: f64,
    /// Writing shards.
    pub write: f64,
    /// All of it.
    pub total: f64,
}

/// Rows in a store.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Counts {
    /// Commits.
    pub commits: u64,
    /// Unique node texts.
    pub chunks: u64,
    /// Places of nodes in file versions.
    pub nodes: u64,
    /// Edits of files and nodes.
    pub edits: u64,
}

/// What a run did. The counts are this run's; `totals` are the store's.
#[derive(Debug, Clone, Serialize)]
pub struct IndexReport {
    /// Commits indexed.
    pub commits: u64,
    /// Distinct file contents chunked.
    pub file_versions: u64,
    /// Their size.
    pub bytes_parsed: u64,
    /// Nodes found in them.
    pub nodes: u64,
    /// Node texts never seen before.
    pub chunks: u64,
    /// Of these, embedded.
    pub embedded: u64,
    /// Edits of nodes.
    pub edits: u64,
    /// Edits of files.
    pub file_edits: u64,
    /// Distinct file contents left out, by reason.
    pub skipped: Vec<Skipped>,
    /// Where the time went.
    pub seconds: Seconds,
    /// Bytes of the store on disk.
    pub store_bytes: u64,
    /// The embedder's fingerprint.
    pub model: String,
    /// The store's generation.
    pub generation: u64,
    /// True when the run was interrupted, or history is cut off or incomplete here.
    pub partial: bool,
    /// The store's rows.
    pub totals: Counts,
    /// Commits at which a shallow clone ends.
    pub shallow: u64,
    /// True when the run was interrupted.
    #[serde(skip)]
    pub interrupted: bool,
}

/// Brings `store` up to `tips`: every commit that they reach, once.
///
/// # Errors
/// History that cannot be read, or a store that cannot be written; what earlier generations hold
/// stays.
pub fn index(
    repository: &Repository,
    store: &mut Store,
    lock: &WriteLock,
    tips: &[ObjectId],
    progress: &(dyn Fn(Progress) + Sync),
    interrupt: &Interrupt,
) -> Result<IndexReport, PipelineError> {
    let started = Instant::now();
    let mut run = Run::default();
    if !is_indexed(store, tips)? {
        progress(Progress { stage: Stage::Walk, done: 0, total: 0 });
        let known = commit_ids(store)?;
        let walk = Walk::new(repository, tips, &known)?;
        run.seconds.history += started.elapsed().as_secs_f64();
        ingest(repository, store, lock, tips, &walk, &mut run, progress, interrupt)?;
    }
    run.seconds.total = started.elapsed().as_secs_f64();
    Ok(report(repository, store, run))
}

/// Whether a store holds these commits, and with them all that they reach.
///
/// # Errors
/// [`StoreError::Damaged`] naming the shard that cannot be read.
pub fn is_indexed(store: &Store, tips: &[ObjectId]) -> Result<bool, StoreError> {
    if tips.iter().all(|tip| store.manifest().tips.contains(tip)) {
        return Ok(true);
    }
    let known = commit_ids(store)?;
    Ok(tips.iter().all(|tip| known.contains(tip)))
}

fn commit_ids(store: &Store) -> Result<HashSet<ObjectId>, StoreError> {
    Ok(store.commits()?.into_iter().map(|commit| commit.id).collect())
}

/// The report of a run that had nothing to do.
pub(crate) fn nothing_new(repository: &Repository, store: &Store) -> IndexReport {
    report(repository, store, Run::default())
}

/// Counters of one run.
#[derive(Default)]
struct Run {
    commits: u64,
    file_versions: u64,
    bytes_parsed: u64,
    nodes: u64,
    chunks: u64,
    edits: u64,
    file_edits: u64,
    skipped: HashSet<(ObjectId, Skip)>,
    seconds: Seconds,
    interrupted: bool,
}

fn report(repository: &Repository, store: &Store, run: Run) -> IndexReport {
    let mut reasons: BTreeMap<&'static str, u64> = BTreeMap::new();
    for (_, skip) in &run.skipped {
        *reasons.entry(skip.as_str()).or_default() += 1;
    }
    let missing = reasons.contains_key(Skip::Missing.as_str());
    let rows = |table: &str| store.manifest().rows(table);
    IndexReport {
        commits: run.commits,
        file_versions: run.file_versions,
        bytes_parsed: run.bytes_parsed,
        nodes: run.nodes,
        chunks: run.chunks,
        embedded: run.chunks,
        edits: run.edits,
        file_edits: run.file_edits,
        skipped: reasons.into_iter().map(|(reason, count)| Skipped { reason, count }).collect(),
        seconds: run.seconds,
        store_bytes: store.bytes_on_disk(),
        model: store.manifest().embedder.clone(),
        generation: store.manifest().generation,
        partial: run.interrupted || missing || !repository.shallow().is_empty(),
        totals: Counts { commits: rows("commits"), chunks: rows("chunks"), nodes: rows("spans"), edits: rows("edits") },
        shallow: repository.shallow().len() as u64,
        interrupted: run.interrupted,
    }
}

/// What the run knows while it goes through the batches.
struct Known {
    /// Every chunk of the store, by its number.
    chunks: HashMap<ChunkId, u32>,
    /// Token bags of the chunks that this run has seen the text of.
    bags: HashMap<ChunkId, Bag>,
    /// Blobs whose places the store already has, by language: equal content may be Markdown here and plain text there.
    spanned: HashSet<(ObjectId, Arc<str>)>,
    /// File versions chunked in this run.
    versions: HashMap<(ObjectId, &'static str), Version>,
    strings: Interner,
    next_commit: u32,
    next_chunk: u32,
}

type Version = Result<Arc<[Placed]>, Skip>;

/// One file version that must be chunked.
struct Job {
    path: Arc<str>,
    id: ObjectId,
    language: &'static Language,
}

/// How the content of one side of a file change is to be treated.
type Class = Result<&'static Language, Skip>;

struct Classified {
    change: FileChange,
    before: Vec<Option<(Entry, Class)>>,
    after: Option<(Entry, Class)>,
}

#[expect(clippy::too_many_arguments, reason = "the one place where all of a run's parts meet")]
fn ingest(
    repository: &Repository,
    store: &mut Store,
    lock: &WriteLock,
    tips: &[ObjectId],
    walk: &Walk,
    run: &mut Run,
    progress: &(dyn Fn(Progress) + Sync),
    interrupt: &Interrupt,
) -> Result<(), PipelineError> {
    let mut known = Known {
        chunks: store.chunk_ids()?.into_iter().map(|(number, id)| (id, number)).collect(),
        bags: HashMap::new(),
        spanned: spanned(store)?,
        versions: HashMap::new(),
        strings: Interner::default(),
        next_commit: store.manifest().next_commit,
        next_chunk: store.manifest().next_chunk,
    };
    let mut rules = AttributeRules::new(store.manifest().attribute_dirs.iter().cloned());
    let mut generation = Generation::default();
    let mut done: HashSet<ObjectId> = HashSet::new();
    let total = walk.order.len() as u64;
    for batch in walk.order.chunks(BATCH_COMMITS) {
        if interrupt.load(Ordering::Relaxed) {
            run.interrupted = true;
            break;
        }
        progress(Progress { stage: Stage::Index, done: run.commits, total });
        ingest_batch(repository, batch, &mut known, &mut rules, &mut generation, run)?;
        done.extend(batch);
        if is_full(&generation) {
            progress(Progress { stage: Stage::Store, done: run.commits, total });
            let reached = reached_tips(store, &generation, tips, &done);
            flush(repository, store, lock, &mut generation, &rules, reached, run)?;
        }
    }
    progress(Progress { stage: Stage::Store, done: run.commits, total });
    let reached = reached_tips(store, &generation, tips, &done);
    flush(repository, store, lock, &mut generation, &rules, reached, run)
}

/// Blobs and languages that have places in the store.
fn spanned(store: &Store) -> Result<HashSet<(ObjectId, Arc<str>)>, StoreError> {
    let heads = store.chunk_heads()?;
    let mut spanned = HashSet::new();
    for (blob, chunk) in store.span_chunks()? {
        let unknown = || StoreError::Damaged { what: "spans".into(), why: format!("no chunk has the number {chunk}") };
        spanned.insert((blob, heads.get(chunk as usize).ok_or_else(unknown)?.lang.clone()));
    }
    Ok(spanned)
}

fn is_full(generation: &Generation) -> bool {
    let text: usize = generation.chunks.iter().map(|chunk| chunk.text.len()).sum();
    text >= GENERATION_TEXT_BYTES || generation.spans.len() + generation.edits.len() >= GENERATION_ROWS
}

/// The tips that the store holds whole from now on. An earlier tip that a new commit builds on is
/// reached through that one, and is a tip no longer.
fn reached_tips(store: &Store, generation: &Generation, tips: &[ObjectId], done: &HashSet<ObjectId>) -> Vec<ObjectId> {
    let parents: HashSet<&ObjectId> = generation.commits.iter().flat_map(|commit| &commit.parents).collect();
    let mut reached = store.manifest().tips.clone();
    reached.retain(|tip| !parents.contains(tip));
    for tip in tips {
        if done.contains(tip) && !reached.contains(tip) && !parents.contains(tip) {
            reached.push(*tip);
        }
    }
    reached
}

fn flush(
    repository: &Repository,
    store: &mut Store,
    lock: &WriteLock,
    generation: &mut Generation,
    rules: &AttributeRules,
    tips: Vec<ObjectId>,
    run: &mut Run,
) -> Result<(), PipelineError> {
    let started = Instant::now();
    let mut generation = std::mem::take(generation);
    generation.vectors = embed::embed(&generation.chunks);
    run.seconds.embed += started.elapsed().as_secs_f64();
    let writing = Instant::now();
    generation.tips = tips;
    generation.shallow = repository.shallow().to_vec();
    generation.attribute_dirs = rules.directories();
    store.commit(lock, generation)?;
    run.seconds.write += writing.elapsed().as_secs_f64();
    Ok(())
}

fn ingest_batch(
    repository: &Repository,
    batch: &[ObjectId],
    known: &mut Known,
    rules: &mut AttributeRules,
    generation: &mut Generation,
    run: &mut Run,
) -> Result<(), PipelineError> {
    let started = Instant::now();
    let commits: Vec<(Commit, Vec<FileChange>)> = batch
        .par_iter()
        .with_min_len(16)
        .map_init(
            || repository.objects(),
            |objects, id| {
                let commit = objects.commit(repository, id)?;
                let changes = objects.changes(&commit)?;
                Ok((commit, changes))
            },
        )
        .collect::<Result<_, PipelineError>>()?;
    let classified = classify(repository, commits, rules);
    run.seconds.history += started.elapsed().as_secs_f64();

    let started = Instant::now();
    let jobs = jobs_of(&classified, known);
    chunk_versions(repository, &jobs, known, generation, run);
    let edits: Vec<Vec<NodeEdit>> = classified.par_iter().map(|(_, changes)| node_edits(changes, known)).collect();
    for ((commit, changes), edits) in classified.into_iter().zip(edits) {
        push_rows(commit, changes, edits, known, generation, run);
    }
    run.seconds.syntax += started.elapsed().as_secs_f64();
    Ok(())
}

/// Decides for each side of each change what its content is, in order, since attributes build up.
fn classify(
    repository: &Repository,
    commits: Vec<(Commit, Vec<FileChange>)>,
    rules: &mut AttributeRules,
) -> Vec<(Commit, Vec<Classified>)> {
    let objects = repository.objects();
    commits
        .into_iter()
        .map(|(commit, changes)| {
            for change in &changes {
                rules.notice(&change.path);
            }
            let classified = changes
                .into_iter()
                .map(|change| {
                    let attributes = rules.of(&objects, &commit.id, &change.path);
                    let class = |entry: Entry| (entry, Chunker::classify(&change.path, &entry, attributes));
                    Classified {
                        before: change.before.iter().map(|entry| entry.map(class)).collect(),
                        after: change.after.map(class),
                        change,
                    }
                })
                .collect();
            (commit, classified)
        })
        .collect()
}

/// The file versions that this batch needs and this run has not chunked yet, each once, in order.
fn jobs_of(commits: &[(Commit, Vec<Classified>)], known: &Known) -> Vec<Job> {
    let mut wanted: HashSet<(ObjectId, &'static str)> = HashSet::new();
    let mut jobs = Vec::new();
    for (_, changes) in commits {
        for change in changes {
            for (entry, class) in change.before.iter().flatten().chain(&change.after) {
                let Ok(language) = class else { continue };
                let key = (entry.id, language.name);
                if !known.versions.contains_key(&key) && wanted.insert(key) {
                    jobs.push(Job { path: change.change.path.clone(), id: entry.id, language });
                }
            }
        }
    }
    jobs
}

/// A chunked version on its way from a worker: text only where the chunk may be new.
struct Chunked {
    pieces: Result<Vec<(Piece, Option<Bag>)>, Skip>,
    bytes: u64,
}

fn chunk_versions(
    repository: &Repository,
    jobs: &[Job],
    known: &mut Known,
    generation: &mut Generation,
    run: &mut Run,
) {
    // Slices bound how many texts wait for the ordered part at once.
    for slice in jobs.chunks(1024) {
        let seen = &*known;
        let chunked: Vec<Chunked> = slice
            .par_iter()
            .with_max_len(8)
            .map_init(
                || repository.objects(),
                |objects, job| {
                    let (nodes, bytes) = Chunker::chunk(objects, &job.path, &job.id, job.language);
                    Chunked { pieces: nodes.map(|pieces| strip_known(pieces, seen)), bytes }
                },
            )
            .collect();
        for (job, version) in slice.iter().zip(chunked) {
            number_version(job, version, known, generation, run);
        }
    }
}

/// Drops the texts that the store has, so that waiting results stay small.
fn strip_known(pieces: Vec<Piece>, known: &Known) -> Vec<(Piece, Option<Bag>)> {
    pieces
        .into_iter()
        .map(|mut piece| {
            let bag = (!known.bags.contains_key(&piece.chunk)).then(|| Bag::of(&piece.text));
            if known.chunks.contains_key(&piece.chunk) {
                piece.text = String::new();
            }
            (piece, bag)
        })
        .collect()
}

/// Gives new chunks their numbers, in order, and records where the nodes stand.
fn number_version(job: &Job, version: Chunked, known: &mut Known, generation: &mut Generation, run: &mut Run) {
    let key = (job.id, job.language.name);
    let pieces = match version.pieces {
        Ok(pieces) => pieces,
        Err(skip) => {
            run.skipped.insert((job.id, skip));
            known.versions.insert(key, Err(skip));
            return;
        }
    };
    let lang = known.strings.intern(job.language.name);
    let is_new = known.spanned.insert((job.id, lang));
    if is_new {
        run.file_versions += 1;
        run.bytes_parsed += version.bytes;
        run.nodes += pieces.len() as u64;
    }
    let mut placed = Vec::with_capacity(pieces.len());
    for (piece, bag) in pieces {
        if let Some(bag) = bag {
            known.bags.entry(piece.chunk).or_insert(bag);
        }
        let number = match known.chunks.get(&piece.chunk) {
            Some(number) => *number,
            None => {
                let number = known.next_chunk;
                known.next_chunk += 1;
                known.chunks.insert(piece.chunk, number);
                run.chunks += 1;
                generation.chunks.push(ChunkRow {
                    number,
                    id: piece.chunk,
                    lang: known.strings.intern(job.language.name),
                    kind: known.strings.intern(piece.kind.as_str()),
                    name: known.strings.intern(&piece.name),
                    text: piece.text,
                });
                number
            }
        };
        let symbol = known.strings.intern(&piece.symbol);
        if is_new {
            generation.spans.push(SpanRow {
                blob: job.id,
                chunk: number,
                symbol: symbol.clone(),
                container: known.strings.intern(&piece.container),
                start_line: piece.start_line,
                end_line: piece.end_line,
            });
        }
        placed.push(Placed {
            symbol,
            kind: piece.kind,
            chunk: piece.chunk,
            start_line: piece.start_line,
            end_line: piece.end_line,
        });
    }
    known.versions.insert(key, Ok(placed.into()));
}

fn node_edits(changes: &[Classified], known: &Known) -> Vec<NodeEdit> {
    let nodes = |side: &Option<(Entry, Class)>| -> &[Placed] {
        let Some((entry, Ok(language))) = side else { return &[] };
        match known.versions.get(&(entry.id, language.name)) {
            Some(Ok(placed)) => placed,
            _ => &[],
        }
    };
    let files: Vec<lineage::FileNodes<'_>> = changes
        .iter()
        .map(|file| lineage::FileNodes {
            path: file.change.path.clone(),
            before: file.before.iter().map(nodes).collect(),
            after: nodes(&file.after),
        })
        .collect();
    lineage::edits(&files, &|one, two| match (known.bags.get(one), known.bags.get(two)) {
        (Some(one), Some(two)) => similarity(one, two),
        _ => 0.0,
    })
}

fn push_rows(
    commit: Commit,
    changes: Vec<Classified>,
    edits: Vec<NodeEdit>,
    known: &mut Known,
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
    known: &mut Known,
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

fn node_row(commit: u32, boundary: bool, edit: NodeEdit, known: &mut Known) -> EditRow {
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
