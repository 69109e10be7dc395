//! Cut: the file versions that a batch of commits needs, each cut into nodes: the second stage of a run.
//!
//! Versions are spread over the threads, but for those that are cut from one another. They leave in order, so that what is
//! made of them does not depend on how many threads there are.

use std::sync::mpsc::SyncSender;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::PipelineError;
use crate::batch::Needed;
use crate::changes::{Batch, Class};
use crate::history::{Entry, HistoryError, Objects, Pool, Repository};
use crate::ingest::Reparse;
use crate::shard::{ChunkId, ObjectId};
use crate::syntax::{Language, Skip};
use crate::version::{Chunked, Key, Version, Versions, chunk};

/// File versions that are cut before they are handed on. It bounds how many texts wait for the ordered part at once.
const SLICE_VERSIONS: usize = 512;

/// The number of each text that has one. The rows' stage adds to it; here it only spares texts that are not new, so it
/// does no harm if it lags behind.
pub(crate) type Numbers = RwLock<FxHashMap<ChunkId, u32>>;

/// What this stage hands on, in order.
pub(crate) enum Part {
    /// Versions that no part before this one had.
    Versions {
        /// In the order in which the commits need them.
        cut: Vec<Cut>,
        /// The time it took.
        seconds: f64,
    },
    /// Commits, behind all versions that they need.
    Commits(Batch, Needed),
}

/// One version, cut.
pub(crate) struct Cut {
    pub(crate) id: ObjectId,
    pub(crate) language: &'static Language,
    pub(crate) chunked: Chunked,
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

/// Cuts batch after batch, and keeps the versions that later ones are likely to be cut from.
pub(crate) struct Cutter<'r> {
    numbers: &'r Numbers,
    versions: Versions,
    objects: Pool<'r>,
    reparse: Reparse,
}

impl<'r> Cutter<'r> {
    /// A cutter whose kept versions take at most so many bytes between batches.
    pub(crate) fn new(
        repository: &'r Repository,
        numbers: &'r Numbers,
        reparse: Reparse,
        version_bytes: usize,
    ) -> Cutter<'r> {
        let objects = Pool::new(repository, Objects::for_blobs);
        Cutter { numbers, versions: Versions::new(version_bytes), objects, reparse }
    }

    /// Cuts what a batch of commits needs, and hands it on; `false` when nobody wants it.
    ///
    /// # Errors
    /// A blob that is damaged, or missing and not on purpose.
    pub(crate) fn cut(
        &mut self,
        batch: Batch,
        parts: &SyncSender<Result<Part, PipelineError>>,
    ) -> Result<bool, HistoryError> {
        let jobs = self.jobs_of(&batch);
        for slice in jobs.chunks(SLICE_VERSIONS) {
            let started = Instant::now();
            let cut = self.cut_slice(slice)?;
            let seconds = started.elapsed().as_secs_f64();
            if parts.send(Ok(Part::Versions { cut, seconds })).is_err() {
                return Ok(false);
            }
        }
        let mut needed = Needed::default();
        for changed in &batch.commits {
            let let_in = changed.let_in.iter().map(|file| (file.id, file.language.name));
            let sides = changed.files.iter().flat_map(|file| file.before.iter().chain([&file.after]));
            for key in sides.filter_map(key).chain(let_in) {
                if let Some(outcome) = self.versions.get(&key) {
                    needed.insert(key, outcome.clone());
                }
            }
            for file in &changed.files {
                self.versions.replace(file.before.first().and_then(key), key(&file.after));
            }
        }
        self.versions.settle();
        Ok(parts.send(Ok(Part::Commits(batch, needed))).is_ok())
    }

    /// The file versions that a batch needs and that are not at hand, each once, in order.
    fn jobs_of(&mut self, batch: &Batch) -> Vec<Job> {
        let mut wanted: FxHashSet<Key> = FxHashSet::default();
        let mut jobs = Vec::new();
        for changed in &batch.commits {
            for file in &changed.files {
                let mut before = None;
                for (entry, class) in file.before.iter().flatten().chain(&file.after) {
                    let Ok(language) = class else { continue };
                    let key = (entry.id, language.name);
                    if !self.versions.touch(&key) && wanted.insert(key) {
                        let path = file.change.path.clone();
                        let before = before.filter(|(_, other)| *other == key.1);
                        jobs.push(Job { path, id: entry.id, language, before });
                    }
                    before = before.or(Some(key));
                }
            }
            for file in &changed.let_in {
                let key = (file.id, file.language.name);
                if !self.versions.touch(&key) && wanted.insert(key) {
                    jobs.push(Job { path: file.path.clone(), id: file.id, language: file.language, before: None });
                }
            }
        }
        jobs
    }

    /// Cuts versions, each after the one that it is cut from.
    fn cut_slice(&mut self, slice: &[Job]) -> Result<Vec<Cut>, HistoryError> {
        let places: FxHashMap<Key, usize> = slice.iter().enumerate().map(|(at, job)| (job.key(), at)).collect();
        let mut next_of: Vec<Vec<usize>> = vec![Vec::new(); slice.len()];
        let mut first = Vec::new();
        // How many hang on each, itself included.
        let mut lengths = vec![1; slice.len()];
        for (at, job) in slice.iter().enumerate() {
            // What a version is cut from comes before it in the list, so there are no circles.
            match job.before.and_then(|before| places.get(&before)).filter(|before| **before < at) {
                Some(before) => next_of[*before].push(at),
                None => first.push(at),
            }
        }
        for at in (0..slice.len()).rev() {
            lengths[at] += next_of[at].iter().map(|next| lengths[*next]).sum::<usize>();
        }
        // What takes longest comes first, so that nobody waits for it at the end.
        first.sort_by_key(|at| std::cmp::Reverse(lengths[*at]));
        let seen = &*self;
        let cut: Vec<Vec<(usize, Chunked)>> = first
            .par_iter()
            .with_max_len(1)
            .map_init(|| seen.objects.take(), |objects, first| seen.cut_chain(objects, slice, *first, &next_of))
            .collect();
        let mut in_order: Vec<Option<Chunked>> = slice.iter().map(|_| None).collect();
        for (at, chunked) in cut.into_iter().flatten() {
            in_order[at] = Some(chunked);
        }
        let with_job = |(job, chunked): (&Job, Option<Chunked>)| {
            let chunked = chunked.expect("because every job hangs on a first one");
            if chunked.version.as_ref().is_err_and(|skip| *skip == Skip::Missing)
                && let Some(failure) = self.objects.take().blob_failure(&job.id)
            {
                return Err(failure);
            }
            self.versions.insert(job.key(), chunked.version.clone());
            Ok(Cut { id: job.id, language: job.language, chunked })
        };
        slice.iter().zip(in_order).map(with_job).collect()
    }

    /// Cuts a version and those that are cut from it.
    fn cut_chain(
        &self,
        objects: &Objects,
        jobs: &[Job],
        first: usize,
        next_of: &[Vec<usize>],
    ) -> Vec<(usize, Chunked)> {
        let is_known = |id: &ChunkId| self.numbers.read().unwrap_or_else(PoisonError::into_inner).contains_key(id);
        let mut done: Vec<(usize, Chunked)> = Vec::new();
        // A job, and where in `done` the version stands that it is cut from.
        let mut pending: Vec<(usize, Option<usize>)> = vec![(first, None)];
        while let Some((at, place)) = pending.pop() {
            let job = &jobs[at];
            let before: Option<&Version> = match (place, job.before, self.reparse) {
                (_, _, Reparse::Full) => None,
                (Some(place), ..) => done[place].1.version.as_deref().ok(),
                (None, Some(key), _) => self.versions.get(&key).and_then(|version| version.as_deref().ok()),
                (None, None, _) => None,
            };
            let chunked = chunk(objects, &job.path, &job.id, job.language, before, &is_known);
            pending.extend(next_of[at].iter().rev().map(|next| (*next, Some(done.len()))));
            done.push((at, chunked));
        }
        done
    }
}

/// What one side of a file change is read as.
pub(crate) fn key(side: &Option<(Entry, Class)>) -> Option<Key> {
    match side {
        Some((entry, Ok(language))) => Some((entry.id, language.name)),
        _ => None,
    }
}
