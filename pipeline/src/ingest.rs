//! Ingest: the recipe that brings a store up to a set of tips.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use precedent_model::Embedder;
use serde::Serialize;

use crate::batch::{Rows, numbers};
use crate::changes::{Batch, Changes};
use crate::cut::{Begun, Cutter, Numbers, Part, Workers};
use crate::history::{Repository, Walk};
use crate::shard::{CommitRow, Generation, Manifest, MergeReport, Merging, ObjectId, Store, StoreError, WriteLock};
use crate::syntax::{Reading, Skip};
use crate::{PipelineError, Unembedded, embed};

/// Commits taken together. More gives the threads more to share; fewer bounds memory and makes an
/// interrupt answer sooner.
const BATCH_COMMITS: usize = 256;
/// Files that the commits of a batch change, from which on it is cut and made rows of in parts. The versions of a part are
/// in memory together, whatever a run may hold.
const BATCH_FILES: usize = 1024;
/// Text of a generation that an encoder embeds, which on a CPU takes minutes: what an interrupt loses.
const ENCODED_TEXT_BYTES: usize = 4 << 20;
/// Batches that are read ahead.
const READ_AHEAD: usize = 1;

/// How file versions are parsed. The store is the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reparse {
    /// Each version whole.
    Full,
    /// Each version around what differs from the one before it.
    #[default]
    Window,
}

/// How a run goes about it. No choice changes what comes out.
#[derive(Debug, Clone, Copy)]
pub struct IndexOptions {
    /// How file versions are parsed.
    pub reparse: Reparse,
    /// About how many bytes a run may hold, over what the ids of the store's rows take, what is in flight, and the caches of
    /// Git's objects. In flight are three parts of a batch, each of a thousand changed files or one commit.
    pub memory: usize,
}

impl Default for IndexOptions {
    fn default() -> Self {
        IndexOptions { reparse: Reparse::Window, memory: 384 << 20 }
    }
}

impl IndexOptions {
    /// Bytes of file versions that are kept to cut and compare later ones with.
    fn version_bytes(&self) -> usize {
        self.memory / 4
    }

    /// A generation is written when it holds this much text. Two are in memory: one being filled, one being written.
    fn generation_text_bytes(&self) -> usize {
        self.memory / 16
    }

    /// The same for rows, of about 100 bytes each.
    fn generation_rows(&self) -> usize {
        self.memory / 8 / 100
    }
}

/// What a run is doing, for a progress bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Finding the commits.
    Walk,
    /// Reading, chunking, embedding; counted in commits.
    Index,
    /// Embedding what was read, beside it; counted in texts, of those that are written next. Only slow models tell.
    Embed,
    /// Writing shards.
    Store,
}

/// How far a stage has come.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// The stage.
    pub stage: Stage,
    /// Commits done, or texts.
    pub done: u64,
    /// Commits or texts in all; 0 while unknown.
    pub total: u64,
}

/// Set from a signal handler to end a run at the next batch, with everything so far durable. An encoder stops embedding, and
/// what it had embedded since the last generation is lost.
pub type Interrupt = AtomicBool;

/// Versions left out, by reason.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Skipped {
    /// Why.
    pub reason: &'static str,
    /// How many distinct contents.
    pub count: u64,
}

/// Where the time went. `history`, `syntax`, `rows`, and `embed` with `write` run side by side, so their sum may exceed
/// `total`; `inflate`, `parse` and `hash` are parts of `syntax`, added up over the threads.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Seconds {
    /// Walking commits and comparing trees.
    pub history: f64,
    /// Reading, parsing and hashing file versions.
    pub syntax: f64,
    /// Of `syntax`, on all threads: reading blobs.
    pub inflate: f64,
    /// Of `syntax`, on all threads: finding the nodes.
    pub parse: f64,
    /// Of `syntax`, on all threads: hashes and token bags of new texts.
    pub hash: f64,
    /// Numbering texts, matching nodes, making rows.
    pub rows: f64,
    /// Embedding.
    pub embed: f64,
    /// Writing shards.
    pub write: f64,
    /// Merging shards, after all else.
    pub merge: f64,
    /// All of it.
    pub total: f64,
}

/// How the versions of one language were read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Readings {
    /// Parsed whole, for want of a version before.
    pub whole: u64,
    /// Parsed around what differs from the version before.
    pub windows: u64,
    /// Parsed whole after all, since it was not certain what differs.
    pub doubtful: u64,
}

impl Readings {
    fn count(&mut self, reading: Reading) {
        match reading {
            Reading::Whole => self.whole += 1,
            Reading::Windows => self.windows += 1,
            Reading::Doubtful => self.doubtful += 1,
        }
    }
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

/// What merging did to a store's shards.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Merged {
    /// Shards that others took the place of.
    pub shards: u64,
    /// The shards that did.
    pub into: u64,
    /// Bytes of these.
    pub bytes: u64,
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
    /// How the versions of each language with a grammar were read.
    pub readings: BTreeMap<&'static str, Readings>,
    /// Where the time went.
    pub seconds: Seconds,
    /// Bytes of the store on disk.
    pub store_bytes: u64,
    /// Shards of the store.
    pub shards: u64,
    /// Shards that this run merged into fewer.
    pub merged: Merged,
    /// Bytes of shards written for each byte written for new rows, since the store was made.
    pub write_amplification: f64,
    /// The embedder's fingerprint.
    pub model: String,
    /// Texts that the embedder failed on.
    pub unembedded: Vec<Unembedded>,
    /// The store's generation.
    pub generation: u64,
    /// True when the run was interrupted, or history is cut off or incomplete here.
    pub partial: bool,
    /// Distinct file contents that the store lacks since a partial clone lacked them, whichever run met them.
    pub missing: u64,
    /// The store's rows.
    pub totals: Counts,
    /// Indexed commits whose parents a shallow clone lacked.
    pub shallow: u64,
    /// True when the run was interrupted.
    #[serde(skip)]
    pub interrupted: bool,
}

/// Brings `store` up to `tips`: every commit that they reach, once.
///
/// # Errors
/// History that cannot be read, a store that cannot be written, or an embedder that cannot go on; what earlier
/// generations hold stays.
#[expect(clippy::too_many_arguments, reason = "each is a thing of its own, and all are needed")]
pub fn index(
    repository: &Repository,
    store: &mut Store,
    lock: &WriteLock,
    tips: &[ObjectId],
    embedder: &dyn Embedder,
    options: &IndexOptions,
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
        let ingest = Ingest { repository, embedder, options, tips, walk: &walk, progress, interrupt };
        ingest.run(store, lock, &mut run)?;
        let merging = Instant::now();
        let merged = if run.interrupted { MergeReport::default() } else { store.merge(lock, Merging::Levels)? };
        run.merged = Merged { shards: merged.shards as u64, into: merged.into as u64, bytes: merged.bytes };
        run.seconds.merge += merging.elapsed().as_secs_f64();
    }
    run.seconds.total = started.elapsed().as_secs_f64();
    Ok(report(store, run))
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
    Ok(store.commit_ids()?.into_iter().collect())
}

/// The report of a run that had nothing to do.
pub(crate) fn nothing_new(store: &Store) -> IndexReport {
    report(store, Run::default())
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
    pub(crate) readings: BTreeMap<&'static str, Readings>,
    pub(crate) seconds: Seconds,
    pub(crate) unembedded: Vec<Unembedded>,
    pub(crate) merged: Merged,
    pub(crate) interrupted: bool,
}

impl Run {
    pub(crate) fn count_reading(&mut self, language: &'static str, reading: Reading) {
        self.readings.entry(language).or_default().count(reading);
    }
}

fn report(store: &Store, run: Run) -> IndexReport {
    let mut reasons: BTreeMap<&'static str, u64> = BTreeMap::new();
    for (_, skip) in &run.skipped {
        *reasons.entry(skip.as_str()).or_default() += 1;
    }
    let missing = reasons.get(Skip::Missing.as_str()).copied().unwrap_or(0);
    let rows = |table: &str| store.manifest().rows(table);
    IndexReport {
        commits: run.commits,
        file_versions: run.file_versions,
        bytes_parsed: run.bytes_parsed,
        nodes: run.nodes,
        chunks: run.chunks,
        embedded: run.chunks - run.unembedded.len() as u64,
        edits: run.edits,
        file_edits: run.file_edits,
        skipped: reasons.into_iter().map(|(reason, count)| Skipped { reason, count }).collect(),
        readings: run.readings,
        seconds: run.seconds,
        store_bytes: store.bytes_on_disk(),
        shards: store.manifest().shards.len() as u64,
        merged: run.merged,
        write_amplification: store.write_amplification(),
        model: store.manifest().embedder.clone(),
        unembedded: run.unembedded,
        generation: store.manifest().generation,
        partial: run.interrupted || missing > 0 || !store.manifest().shallow.is_empty(),
        missing,
        totals: Counts { commits: rows("commits"), chunks: rows("chunks"), nodes: rows("spans"), edits: rows("edits") },
        shallow: store.manifest().shallow.len() as u64,
        interrupted: run.interrupted,
    }
}

/// The parts of a run: a reader, a cutter, a maker of rows and a writer, side by side. Each waits for the next to take what it has, so that
/// what is in flight is bounded.
struct Ingest<'a> {
    repository: &'a Repository,
    embedder: &'a dyn Embedder,
    options: &'a IndexOptions,
    tips: &'a [ObjectId],
    walk: &'a Walk,
    progress: &'a (dyn Fn(Progress) + Sync),
    interrupt: &'a Interrupt,
}

impl Ingest<'_> {
    fn run(&self, store: &mut Store, lock: &WriteLock, run: &mut Run) -> Result<(), PipelineError> {
        let numbers = numbers(store)?;
        let mut rows = Rows::of(store, &numbers)?;
        let manifest = store.manifest().clone();
        // Where the clone ends at a commit that the store has, nothing is cut off.
        let mut shallow: Vec<ObjectId> =
            manifest.shallow.iter().chain(self.walk.cut_off(self.repository)).copied().collect();
        shallow.sort_unstable();
        std::thread::scope(|scope| {
            let (batches, read) = sync_channel(READ_AHEAD);
            scope.spawn(|| self.read_batches(&manifest, batches));
            // Two parts are being cut while rows are made of a third.
            let (parts, cut) = sync_channel(0);
            scope.spawn(|| self.cut_batches(&numbers, read, parts));
            let (generations, finished) = sync_channel(0);
            let writer = scope.spawn(|| self.write_generations(store, lock, finished));
            let outcome = self.fill(&manifest, &shallow, cut, &mut rows, generations, run);
            // The writer ends when its channel closes, which `fill` has done.
            let written = writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            let written = written?;
            run.seconds.embed += written.embed_seconds;
            run.seconds.write += written.write_seconds;
            run.unembedded = written.unembedded;
            if written.is_cut_off {
                run.interrupted = true;
                Reach { commits: run.commits, chunks: run.chunks, edits: run.edits, file_edits: run.file_edits } =
                    written.reach;
            }
            outcome
        })
    }

    /// Reads batch after batch, until there are no more, or nobody wants them.
    fn read_batches(&self, manifest: &Manifest, batches: SyncSender<Result<Batch, PipelineError>>) {
        let mut changes = Changes::new(self.repository, &manifest.attribute_dirs);
        for ids in self.walk.order.chunks(BATCH_COMMITS) {
            let batch = changes.read(ids);
            let failed = batch.is_err();
            if batches.send(batch).is_err() || failed {
                return;
            }
        }
    }

    /// Cuts the file versions of batch after batch, until there are no more, or nobody wants them.
    fn cut_batches(
        &self,
        numbers: &Numbers,
        batches: Receiver<Result<Batch, PipelineError>>,
        parts: SyncSender<Result<Part, PipelineError>>,
    ) {
        let workers = Workers::new(self.repository, numbers, self.options.reparse);
        let mut cutter = Cutter::new(&workers, self.options.version_bytes());
        let cut = rayon::in_place_scope(|scope| {
            let mut begun: Option<Begun> = None;
            for batch in batches {
                match batch {
                    Ok(batch) => {
                        for part in batch.split(BATCH_FILES) {
                            let next = cutter.begin(part, scope);
                            if let Some(begun) = begun.replace(next)
                                && !cutter.finish(begun, &parts)?
                            {
                                return Ok(());
                            }
                        }
                    }
                    Err(error) => {
                        if let Some(begun) = begun {
                            cutter.finish(begun, &parts)?;
                        }
                        return Err(error);
                    }
                }
            }
            if let Some(begun) = begun {
                cutter.finish(begun, &parts)?;
            }
            Ok(())
        });
        if let Err(error) = cut {
            // Nobody is there to hear it if the rows' stage has ended.
            let _ = parts.send(Err(error));
        }
    }

    /// Makes rows of parts, and hands them over a generation at a time. What was complete when reading failed is handed
    /// over too.
    fn fill(
        &self,
        manifest: &Manifest,
        shallow: &[ObjectId],
        parts: Receiver<Result<Part, PipelineError>>,
        rows: &mut Rows<'_>,
        generations: SyncSender<(Generation, Reach)>,
        run: &mut Run,
    ) -> Result<(), PipelineError> {
        let total = self.walk.order.len() as u64;
        let mut generation = Generation { attribute_dirs: manifest.attribute_dirs.clone(), ..Generation::default() };
        let mut reached = Reached { tips: manifest.tips.clone(), wanted: self.tips };
        (self.progress)(Progress { stage: Stage::Index, done: 0, total });
        let mut failure = None;
        // Whether the generation holds no version of a commit that it does not hold, and its rows when it last did.
        let (mut is_whole, mut whole) = (true, (0, 0));
        for part in parts {
            if is_whole && self.interrupt.load(Ordering::Relaxed) {
                run.interrupted = true;
                break;
            }
            let (batch, needed) = match part {
                Ok(Part::Versions { cut, seconds }) => {
                    run.seconds.syntax += seconds;
                    let started = Instant::now();
                    if std::mem::replace(&mut is_whole, false) {
                        whole = (generation.chunks.len(), generation.spans.len());
                    }
                    cut.into_iter().for_each(|cut| rows.push_version(cut, &mut generation, run));
                    run.seconds.rows += started.elapsed().as_secs_f64();
                    continue;
                }
                Ok(Part::Commits(batch, needed)) => (batch, needed),
                Err(error) => {
                    if !is_whole {
                        generation.chunks.truncate(whole.0);
                        generation.spans.truncate(whole.1);
                    }
                    failure = Some(error);
                    break;
                }
            };
            is_whole = true;
            let started = Instant::now();
            run.seconds.history += batch.seconds;
            generation.attribute_dirs = batch.attribute_dirs;
            run.skipped.extend(batch.missing.into_iter().map(|id| (id, Skip::Missing)));
            let first = generation.commits.len();
            rows.push_commits(batch.commits, &needed, &mut generation, run);
            reached.after(&generation.commits[first..]);
            run.seconds.rows += started.elapsed().as_secs_f64();
            (self.progress)(Progress { stage: Stage::Index, done: run.commits, total });
            if self.is_full(&generation) {
                let next = Generation { attribute_dirs: generation.attribute_dirs.clone(), ..Generation::default() };
                let full = std::mem::replace(&mut generation, next);
                if generations.send((reached.closed(full, shallow), Reach::of(run))).is_err() {
                    // The writer has failed or was interrupted, and says so.
                    return Ok(());
                }
            }
        }
        (self.progress)(Progress { stage: Stage::Store, done: run.commits, total });
        if !generation.commits.is_empty() {
            // A writer that has ended says why.
            let _ = generations.send((reached.closed(generation, shallow), Reach::of(run)));
        }
        failure.map_or(Ok(()), Err)
    }

    fn is_full(&self, generation: &Generation) -> bool {
        let text: usize = generation.chunks.iter().map(|chunk| chunk.text.len()).sum();
        let is_encoder = self.embedder.max_tokens().is_some();
        let most = self.options.generation_text_bytes();
        text >= if is_encoder { most.min(ENCODED_TEXT_BYTES) } else { most }
            || generation.spans.len() + generation.edits.len() >= self.options.generation_rows()
    }
}

/// The tips that the store holds whole, as commits are added. An earlier tip that a new commit builds on is reached
/// through that one, and is a tip no longer.
struct Reached<'a> {
    tips: Vec<ObjectId>,
    wanted: &'a [ObjectId],
}

impl Reached<'_> {
    fn after(&mut self, commits: &[CommitRow]) {
        let is_wanted = |id: &ObjectId| self.wanted.contains(id);
        self.tips.extend(commits.iter().map(|commit| commit.id).filter(is_wanted));
        let parents: HashSet<&ObjectId> = commits.iter().flat_map(|commit| &commit.parents).collect();
        self.tips.retain(|tip| !parents.contains(tip));
    }

    fn closed(&self, generation: Generation, shallow: &[ObjectId]) -> Generation {
        Generation { tips: self.tips.clone(), shallow: shallow.to_vec(), ..generation }
    }
}

/// How far a run has come with a generation.
#[derive(Clone, Copy, Default)]
struct Reach {
    commits: u64,
    chunks: u64,
    edits: u64,
    file_edits: u64,
}

impl Reach {
    fn of(run: &Run) -> Reach {
        Reach { commits: run.commits, chunks: run.chunks, edits: run.edits, file_edits: run.file_edits }
    }
}

/// What became of the generations.
#[derive(Default)]
struct Written {
    embed_seconds: f64,
    write_seconds: f64,
    unembedded: Vec<Unembedded>,
    /// With the last one that was written.
    reach: Reach,
    /// Whether there were more, and the run was interrupted.
    is_cut_off: bool,
}

impl Ingest<'_> {
    /// Embeds and writes generations as they come, each durable before the next.
    fn write_generations(
        &self,
        store: &mut Store,
        lock: &WriteLock,
        generations: Receiver<(Generation, Reach)>,
    ) -> Result<Written, PipelineError> {
        let mut written = Written::default();
        for (mut generation, reach) in generations {
            let started = Instant::now();
            let total = generation.chunks.len() as u64;
            let goes_on = |done: usize| {
                (self.progress)(Progress { stage: Stage::Embed, done: done as u64, total });
                !self.interrupt.load(Ordering::Relaxed)
            };
            let embedded = embed::embed(self.embedder, &generation.chunks, &goes_on)?;
            written.embed_seconds += started.elapsed().as_secs_f64();
            let Some((vectors, unembedded)) = embedded else {
                written.is_cut_off = true;
                break;
            };
            generation.vectors = vectors;
            written.unembedded.extend(unembedded);
            let started = Instant::now();
            store.commit(lock, generation)?;
            written.write_seconds += started.elapsed().as_secs_f64();
            written.reach = reach;
        }
        Ok(written)
    }
}
