//! Cut: the file versions that a batch of commits needs, each cut into nodes: the second stage of a run.
//!
//! Versions are spread over the threads, each as soon as the one is cut that it is cut from. The versions of a batch are
//! begun before all of the batch before it are done, so that no thread waits for the longest chain of a batch. They leave
//! in order, so that what is made of them does not depend on how many threads there are.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Instant;

use rayon::Scope;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::PipelineError;
use crate::batch::Needed;
use crate::changes::{Batch, Class};
use crate::history::{Entry, HistoryError, Objects, Pool, Repository};
use crate::ingest::Reparse;
use crate::shard::{ChunkId, ObjectId};
use crate::syntax::{Language, Skip};
use crate::version::{Chunked, Key, Outcome, Version, Versions, chunk};

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

/// What the threads cut with.
pub(crate) struct Workers<'r> {
    numbers: &'r Numbers,
    objects: Pool<'r>,
    reparse: Reparse,
}

impl<'r> Workers<'r> {
    pub(crate) fn new(repository: &'r Repository, numbers: &'r Numbers, reparse: Reparse) -> Workers<'r> {
        Workers { numbers, objects: Pool::new(repository, Objects::for_blobs), reparse }
    }

    fn cut(&self, task: &Task) -> Chunked {
        let is_known = |id: &ChunkId| self.numbers.read().unwrap_or_else(PoisonError::into_inner).contains_key(id);
        // Taken out, so that a chain of versions does not stay in memory as a whole.
        let before = match locked(&task.before).take() {
            Some(Before::AtHand(version)) => Some(version),
            Some(Before::Cut(before)) => before.outcome.get().and_then(|outcome| outcome.clone().ok()),
            None => None,
        };
        let Job { path, id, language, .. } = &task.job;
        chunk(&self.objects.take(), path, id, language, before.as_deref(), &is_known)
    }

    /// Cuts a version, and lets those begin that are cut from it.
    fn run<'s>(&'s self, task: &Arc<Task>, scope: &Scope<'s>) {
        match catch_unwind(AssertUnwindSafe(|| self.cut(task))) {
            Ok(chunked) => {
                let _ = task.outcome.set(chunked.version.clone());
                *locked(&task.chunked) = Some(chunked);
                for next in locked(&task.waiting).take().unwrap_or_default() {
                    self.spawn(next, scope);
                }
                task.latch.count(Ok(()));
            }
            Err(panic) => task.latch.count(Err(panic)),
        }
    }

    fn spawn<'s>(&'s self, task: Arc<Task>, scope: &Scope<'s>) {
        scope.spawn(move |scope| self.run(&task, scope));
    }
}

/// A version that is being cut, or will be.
struct Task {
    job: Job,
    before: Mutex<Option<Before>>,
    /// Those that are cut from it; `None` once it is cut.
    waiting: Mutex<Option<Vec<Arc<Task>>>>,
    outcome: OnceLock<Outcome>,
    chunked: Mutex<Option<Chunked>>,
    latch: Arc<Latch>,
}

/// The version before.
enum Before {
    AtHand(Arc<Version>),
    Cut(Arc<Task>),
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens when so many tasks are done.
struct Latch {
    left: Mutex<Result<usize, Box<dyn Any + Send>>>,
    changed: Condvar,
}

impl Latch {
    fn of(tasks: usize) -> Latch {
        Latch { left: Mutex::new(Ok(tasks)), changed: Condvar::new() }
    }

    fn count(&self, done: Result<(), Box<dyn Any + Send>>) {
        let mut left = locked(&self.left);
        match (&mut *left, done) {
            (Ok(left), Ok(())) => *left -= 1,
            (Ok(_), Err(panic)) => *left = Err(panic),
            (Err(_), _) => {}
        }
        // Who waits is woken once, not at every task.
        if !matches!(*left, Ok(1..)) {
            self.changed.notify_all();
        }
    }

    /// Waits until it opens, and goes on with the panic of a task that had one.
    fn wait(&self) {
        let is_closed = |left: &mut Result<usize, _>| matches!(left, Ok(1..));
        let mut left = self.changed.wait_while(locked(&self.left), is_closed).unwrap_or_else(PoisonError::into_inner);
        if let Err(panic) = std::mem::replace(&mut *left, Ok(0)) {
            drop(left);
            resume_unwind(panic);
        }
    }
}

/// A batch whose versions are being cut.
pub(crate) struct Begun {
    batch: Batch,
    /// The tasks that are handed on together, and what opens when they are done.
    slices: Vec<(Arc<Latch>, Vec<Arc<Task>>)>,
    /// What the batch needs and is at hand, which nobody may drop meanwhile.
    needed: Needed,
    /// What else it needs.
    cut: Vec<(Key, Arc<Task>)>,
    seconds: f64,
}

/// Cuts batch after batch, and keeps the versions that later ones are likely to be cut from.
pub(crate) struct Cutter<'s, 'r> {
    workers: &'s Workers<'r>,
    versions: Versions,
    /// Those that were begun and not handed on yet.
    begun: FxHashMap<Key, Arc<Task>>,
}

impl<'s, 'r> Cutter<'s, 'r> {
    /// A cutter whose kept versions take at most so many bytes between batches.
    pub(crate) fn new(workers: &'s Workers<'r>, version_bytes: usize) -> Cutter<'s, 'r> {
        Cutter { workers, versions: Versions::new(version_bytes), begun: FxHashMap::default() }
    }

    /// Begins to cut what a batch of commits needs.
    pub(crate) fn begin(&mut self, batch: Batch, scope: &Scope<'s>) -> Begun {
        let started = Instant::now();
        let mut jobs = self.jobs_of(&batch).into_iter();
        let mut slices = Vec::new();
        while jobs.len() > 0 {
            let count = jobs.len().min(SLICE_VERSIONS);
            let latch = Arc::new(Latch::of(count));
            let tasks = jobs.by_ref().take(count).map(|job| self.begin_one(job, &latch, scope)).collect();
            slices.push((latch, tasks));
        }
        let (mut needed, mut cut) = (Needed::default(), Vec::new());
        for changed in &batch.commits {
            let let_in = changed.let_in.iter().map(|file| (file.id, file.language.name));
            let sides = changed.files.iter().flat_map(|file| file.before.iter().chain([&file.after]));
            for key in sides.filter_map(key).chain(let_in) {
                if let Some(outcome) = self.versions.get(&key) {
                    needed.insert(key, outcome.clone());
                } else if let Some(task) = self.begun.get(&key) {
                    cut.push((key, task.clone()));
                }
            }
        }
        Begun { batch, slices, needed, cut, seconds: started.elapsed().as_secs_f64() }
    }

    fn begin_one(&mut self, job: Job, latch: &Arc<Latch>, scope: &Scope<'s>) -> Arc<Task> {
        let before = job.before.filter(|_| self.workers.reparse == Reparse::Window).and_then(|key| {
            let begun = self.begun.get(&key).map(|task| Before::Cut(task.clone()));
            begun.or_else(|| self.versions.get(&key)?.clone().ok().map(Before::AtHand))
        });
        let waits_for = if let Some(Before::Cut(before)) = &before { Some(before.clone()) } else { None };
        let task = Arc::new(Task {
            job,
            before: Mutex::new(before),
            waiting: Mutex::new(Some(Vec::new())),
            outcome: OnceLock::new(),
            chunked: Mutex::new(None),
            latch: latch.clone(),
        });
        self.begun.insert(task.job.key(), task.clone());
        let must_wait = waits_for.is_some_and(|before| match &mut *locked(&before.waiting) {
            Some(waiting) => {
                waiting.push(task.clone());
                true
            }
            None => false,
        });
        if !must_wait {
            self.workers.spawn(task.clone(), scope);
        }
        task
    }

    /// Waits for what a batch needs, and hands it on; `false` when nobody wants it. Batches are finished in the order in
    /// which they were begun.
    ///
    /// # Errors
    /// A blob that is damaged, or missing and not on purpose.
    pub(crate) fn finish(
        &mut self,
        begun: Begun,
        parts: &SyncSender<Result<Part, PipelineError>>,
    ) -> Result<bool, HistoryError> {
        let Begun { batch, slices, mut needed, cut: others, mut seconds } = begun;
        for (latch, tasks) in slices {
            let started = Instant::now();
            latch.wait();
            let cut = tasks.iter().map(|task| self.take(task)).collect::<Result<_, _>>()?;
            let seconds = std::mem::take(&mut seconds) + started.elapsed().as_secs_f64();
            if parts.send(Ok(Part::Versions { cut, seconds })).is_err() {
                return Ok(false);
            }
        }
        let outcome = |task: &Task| task.outcome.get().cloned();
        needed.extend(others.into_iter().filter_map(|(key, task)| Some((key, outcome(&task)?))));
        for file in batch.commits.iter().flat_map(|changed| &changed.files) {
            self.versions.replace(file.before.first().and_then(key), key(&file.after));
        }
        self.versions.settle();
        Ok(parts.send(Ok(Part::Commits(batch, needed))).is_ok())
    }

    /// Keeps a version that is cut, and gives what is made of it.
    fn take(&mut self, task: &Task) -> Result<Cut, HistoryError> {
        let chunked = locked(&task.chunked).take().expect("because its latch has opened");
        let Job { id, language, .. } = task.job;
        if chunked.version.as_ref().is_err_and(|skip| *skip == Skip::Missing)
            && let Some(failure) = self.workers.objects.take().blob_failure(&id)
        {
            return Err(failure);
        }
        self.begun.remove(&task.job.key());
        self.versions.insert(task.job.key(), chunked.version.clone());
        Ok(Cut { id, language, chunked })
    }

    /// The file versions that a batch needs and that are neither at hand nor begun, each once, in order.
    fn jobs_of(&mut self, batch: &Batch) -> Vec<Job> {
        let mut wanted: FxHashSet<Key> = FxHashSet::default();
        let mut jobs = Vec::new();
        for changed in &batch.commits {
            for file in &changed.files {
                let mut before = None;
                for (entry, class) in file.before.iter().flatten().chain(&file.after) {
                    let Ok(language) = class else { continue };
                    let key = (entry.id, language.name);
                    if !self.has(&key) && wanted.insert(key) {
                        let path = file.change.path.clone();
                        let before = before.filter(|(_, other)| *other == key.1);
                        jobs.push(Job { path, id: entry.id, language, before });
                    }
                    before = before.or(Some(key));
                }
            }
            for file in &changed.let_in {
                let key = (file.id, file.language.name);
                if !self.has(&key) && wanted.insert(key) {
                    jobs.push(Job { path: file.path.clone(), id: file.id, language: file.language, before: None });
                }
            }
        }
        jobs
    }

    /// Whether a version is at hand, which then counts as used, or begun.
    fn has(&mut self, key: &Key) -> bool {
        self.versions.touch(key) || self.begun.contains_key(key)
    }
}

/// What one side of a file change is read as.
pub(crate) fn key(side: &Option<(Entry, Class)>) -> Option<Key> {
    match side {
        Some((entry, Ok(language))) => Some((entry.id, language.name)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_latch_opens_when_all_tasks_are_done() {
        let latch = Latch::of(2);
        let is_open = OnceLock::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                latch.wait();
                is_open.set(()).expect("because it opens once");
            });
            latch.count(Ok(()));
            thread::yield_now();
            assert!(is_open.get().is_none());
            latch.count(Ok(()));
        });
        assert!(is_open.get().is_some());
        Latch::of(0).wait();
    }

    #[test]
    fn the_panic_of_a_task_reaches_who_waits() {
        let latch = Latch::of(2);
        latch.count(Err(Box::new("what went wrong")));
        latch.count(Ok(()));
        let panic = catch_unwind(AssertUnwindSafe(|| latch.wait())).expect_err("because a task had one");
        assert_eq!(panic.downcast_ref(), Some(&"what went wrong"));
    }
}
