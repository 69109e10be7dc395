//! Ingest: the recipe that brings a store up to a set of tips.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde::Serialize;

use crate::batch::{Known, ingest_batch};
use crate::history::{AttributeRules, Repository, Walk};
use crate::shard::{Generation, ObjectId, Store, StoreError, WriteLock};
use crate::syntax::Skip;
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
pub(crate) struct Run {
    pub(crate) commits: u64,
    pub(crate) file_versions: u64,
    pub(crate) bytes_parsed: u64,
    pub(crate) nodes: u64,
    pub(crate) chunks: u64,
    pub(crate) edits: u64,
    pub(crate) file_edits: u64,
    pub(crate) skipped: HashSet<(ObjectId, Skip)>,
    pub(crate) seconds: Seconds,
    pub(crate) interrupted: bool,
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
    let mut known = Known::of(store)?;
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
