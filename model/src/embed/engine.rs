//! Engine: many texts to vectors, in batches of equal length, with nothing missing.
//!
//! ```text
//! unique texts, longest first ──tokenise──▶ batches ──compute──▶ vectors, back in order
//!                        (all cores, a window ahead)   (workers)
//! ```
//!
//! A batch that fails is halved down to the text that fails. Then a text that is known to work is tried. If it works, the
//! one that failed is tried on the other device, where there is one, and is reported if it fails there too. If it does not,
//! it is the device: everything goes on on the other one, or the run ends.

use std::any::Any;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use rayon::prelude::*;

use super::tuner::Tuner;

/// Texts that are tokenised together; batches are cut from such a window, sorted by length. The first one is small, and each
/// of the next is twice as large, so that the device has work soon.
const FIRST_WINDOW: usize = 128;
const WINDOW: usize = 2048;
/// Windows that may wait, each as the batches that are cut from it.
const BATCHES_AHEAD: usize = 2;

/// A text as token ids.
pub(super) type Tokens = Vec<u32>;

/// What runs batches.
pub(super) trait Compute: Sync {
    /// Pooled vectors, one a text, or why there are none. No text is empty.
    fn run(&self, batch: &[&[u32]]) -> Result<Vec<Vec<f32>>, String>;

    /// Runs a batch, and nothing else, on the other device; `None` where there is none that may be used.
    fn run_elsewhere(&self, batch: &[&[u32]]) -> Option<Result<Vec<Vec<f32>>, String>>;

    /// Goes over to the other device, for good, since this one fails even with `probe`. Whether `probe` works there.
    fn move_elsewhere(&self, probe: &[u32], why: &str) -> bool;

    /// How many batches may be in work at once.
    fn workers(&self) -> usize;

    /// Tokens of a batch where measurement starts.
    fn first_batch(&self) -> usize;

    /// The most that a batch may have of texts × longest², which is what attention takes memory by. One text may have more.
    fn room(&self) -> usize;
}

/// Hears how many texts are done, and says whether to go on.
pub(super) type Watch<'a> = &'a (dyn Fn(usize) -> bool + Sync);

/// Why no more texts can be embedded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken(pub(super) String);

/// One text's vector, or why it has none.
pub(super) type Outcome = Result<Vec<f32>, String>;

/// The parts of a run.
pub(super) struct Engine<'a> {
    pub(super) tokenise: &'a (dyn Fn(&str) -> Result<Tokens, String> + Sync),
    pub(super) compute: &'a dyn Compute,
    pub(super) tuner: &'a Mutex<Tuner>,
    /// Tokens of a text that works.
    pub(super) probe: &'a [u32],
    /// How often the device was changed: what failed before says nothing about what works after.
    pub(super) moves: AtomicUsize,
}

/// What became of rows, and how often the device had been changed when they were started.
struct Attempt {
    moves: usize,
    result: Result<Vec<Vec<f32>>, String>,
}

/// A part of a window that is computed together.
struct Batch {
    /// Places among the unique texts.
    at: Vec<usize>,
    tokens: Vec<Tokens>,
    /// What the tuner allowed.
    size: usize,
}

impl Engine<'_> {
    /// Embeds each text. One without tokens has an empty vector. `None` if `watch` did not want to go on; it counts equal
    /// texts once.
    pub(super) fn run(&self, texts: &[&str], watch: Watch<'_>) -> Result<Option<Vec<Outcome>>, Broken> {
        let mut place_of: HashMap<&str, usize> = HashMap::with_capacity(texts.len());
        let mut unique: Vec<&str> = Vec::new();
        let places: Vec<usize> = texts
            .iter()
            .map(|text| {
                *place_of.entry(text).or_insert_with(|| {
                    unique.push(text);
                    unique.len() - 1
                })
            })
            .collect();
        let outcomes = self.run_unique(&unique, watch)?;
        Ok(outcomes.map(|outcomes| places.into_iter().map(|place| outcomes[place].clone()).collect()))
    }

    fn run_unique(&self, texts: &[&str], watch: Watch<'_>) -> Result<Option<Vec<Outcome>>, Broken> {
        // The longest first: what does not fit into memory shows at once. Bytes are near enough to tokens here.
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|at| (std::cmp::Reverse(texts[*at].len()), *at));
        let outcomes: Mutex<Vec<Option<Outcome>>> = Mutex::new(vec![None; texts.len()]);
        let broken: Mutex<Option<Broken>> = Mutex::new(None);
        let (is_over, is_unwanted, done) = (AtomicBool::new(false), AtomicBool::new(false), AtomicUsize::new(0));
        let (sender, receiver) = sync_channel(BATCHES_AHEAD + self.compute.workers());
        let receiver = Mutex::new(receiver);
        let work = || {
            while let Some(batch) = take(&receiver) {
                if is_over.load(Ordering::Relaxed) {
                    continue;
                }
                // Where all workers panicked, nobody would take the next batch, and it would be waited for.
                let solved = catch_unwind(AssertUnwindSafe(|| self.solve(&batch)));
                match solved.unwrap_or_else(|panic| Err(Broken(said(&*panic)))) {
                    Ok(solved) => {
                        let mut outcomes = lock(&outcomes);
                        batch.at.iter().zip(solved).for_each(|(at, outcome)| outcomes[*at] = Some(outcome));
                        drop(outcomes);
                        if !watch(done.fetch_add(batch.at.len(), Ordering::Relaxed) + batch.at.len()) {
                            is_unwanted.store(true, Ordering::Relaxed);
                            is_over.store(true, Ordering::Relaxed);
                        }
                    }
                    Err(error) => {
                        is_over.store(true, Ordering::Relaxed);
                        lock(&broken).get_or_insert(error);
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            let mut workers = 0;
            // Another device may want more of them.
            let staff = || {
                while workers < self.compute.workers().clamp(1, texts.len().max(1)) {
                    scope.spawn(work);
                    workers += 1;
                }
            };
            self.cut(texts, &order, &outcomes, sender, &is_over, staff);
        });
        if let Some(broken) = lock(&broken).take() {
            return Err(broken);
        }
        let outcomes = std::mem::take(&mut *lock(&outcomes)).into_iter();
        if is_unwanted.into_inner() {
            return Ok(outcomes.collect());
        }
        Ok(Some(outcomes.map(|outcome| outcome.expect("because every text is in one batch")).collect()))
    }

    /// Tokenises windows and sends them in batches, until there are no more or nobody wants them.
    fn cut(
        &self,
        texts: &[&str],
        order: &[usize],
        outcomes: &Mutex<Vec<Option<Outcome>>>,
        batches: SyncSender<Batch>,
        is_over: &AtomicBool,
        mut staff: impl FnMut(),
    ) {
        let (mut rest, mut size) = (order, FIRST_WINDOW);
        while !rest.is_empty() {
            let (window, after) = rest.split_at(size.min(rest.len()));
            (rest, size) = (after, (size * 2).min(WINDOW));
            let tokenised: Vec<Result<Tokens, String>> =
                window.par_iter().map(|at| (self.tokenise)(texts[*at])).collect();
            let mut ready: Vec<(usize, Tokens)> = Vec::with_capacity(window.len());
            for (at, tokens) in window.iter().zip(tokenised) {
                match tokens {
                    Ok(tokens) if tokens.is_empty() => lock(outcomes)[*at] = Some(Ok(Vec::new())),
                    Ok(tokens) => ready.push((*at, tokens)),
                    Err(why) => lock(outcomes)[*at] = Some(Err(why)),
                }
            }
            ready.sort_by_key(|(at, tokens)| (std::cmp::Reverse(tokens.len()), *at));
            let mut ready = ready.into_iter().peekable();
            while let Some((_, longest)) = ready.peek() {
                let size = lock(self.tuner).next();
                let count = (size / longest.len()).min(self.compute.room() / longest.len().pow(2)).max(1);
                let (at, tokens) = ready.by_ref().take(count).unzip();
                staff();
                if is_over.load(Ordering::Relaxed) || batches.send(Batch { at, tokens, size }).is_err() {
                    return;
                }
            }
        }
    }

    /// The vectors of a batch, however small the pieces have to be.
    fn solve(&self, batch: &Batch) -> Result<Vec<Outcome>, Broken> {
        let rows: Vec<&[u32]> = batch.tokens.iter().map(Vec::as_slice).collect();
        let started = Instant::now();
        let tokens: usize = rows.iter().map(|row| row.len()).sum();
        let attempt = self.attempt(&rows);
        // What is left at the end of a window says nothing about a size.
        if attempt.result.is_ok() && tokens * 2 > batch.size {
            lock(self.tuner).record(batch.size, tokens, started.elapsed());
        }
        self.settle(&rows, attempt)
    }

    fn attempt(&self, rows: &[&[u32]]) -> Attempt {
        Attempt { moves: self.moves.load(Ordering::SeqCst), result: self.compute.run(rows) }
    }

    /// What has failed is tried in halves, and a text that fails alone is seen to.
    fn settle(&self, rows: &[&[u32]], attempt: Attempt) -> Result<Vec<Outcome>, Broken> {
        let why = match attempt.result {
            Ok(vectors) => return self.checked(rows, vectors),
            Err(why) => why,
        };
        if let [_] = rows {
            return self.alone(rows, &why).map(|outcome| vec![outcome]);
        }
        let (one, two) = rows.split_at(rows.len() / 2);
        let [first, second] = [one, two].map(|half| self.attempt(half));
        // Only where both halves work, and on the same device, was it the size.
        if first.result.is_ok() && second.result.is_ok() && attempt.moves == self.moves.load(Ordering::SeqCst) {
            lock(self.tuner).shrink(rows.iter().map(|row| row.len()).max().unwrap_or(0) * rows.len());
        }
        let mut outcomes = self.settle(one, first)?;
        outcomes.extend(self.settle(two, second)?);
        Ok(outcomes)
    }

    /// A text that fails alone: because of the device, or by itself.
    fn alone(&self, row: &[&[u32]], why: &str) -> Result<Outcome, Broken> {
        let Err(why_probe) = self.compute.run(&[self.probe]) else {
            return Ok(self.elsewhere(row, why));
        };
        // Counted before and after, since others look at any time.
        self.moves.fetch_add(1, Ordering::SeqCst);
        if !self.compute.move_elsewhere(self.probe, &why_probe) {
            return Err(Broken(why_probe));
        }
        self.moves.fetch_add(1, Ordering::SeqCst);
        *lock(self.tuner) = Tuner::new(self.compute.first_batch());
        Ok(self.compute.run(row).and_then(first_usable))
    }

    /// A text that this device has no vector for, `why` being the reason: from the other one, or none.
    fn elsewhere(&self, row: &[&[u32]], why: &str) -> Outcome {
        match self.compute.run_elsewhere(row) {
            Some(Ok(vectors)) => first_usable(vectors),
            _ => Err(why.to_owned()),
        }
    }

    /// Vectors that are no directions are computed again alone, since one text may have spoilt a batch, and then elsewhere.
    fn checked(&self, rows: &[&[u32]], vectors: Vec<Vec<f32>>) -> Result<Vec<Outcome>, Broken> {
        if vectors.len() != rows.len() {
            return Err(Broken(format!("{} vectors came back for {} texts", vectors.len(), rows.len())));
        }
        let alone = rows.len() == 1;
        rows.iter()
            .zip(vectors)
            .map(|(row, vector)| match usable(&vector) {
                Ok(()) => Ok(Ok(vector)),
                Err(why) if alone => Ok(self.elsewhere(&[row], &why)),
                Err(_) => Ok(self.settle(&[row], self.attempt(&[row]))?.swap_remove(0)),
            })
            .collect()
    }
}

/// What a panic says, as a sentence.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the computation panicked: {}", text.unwrap_or("it does not say why"))
}

fn first_usable(vectors: Vec<Vec<f32>>) -> Outcome {
    let vector = vectors.into_iter().next().ok_or("no vector came back")?;
    usable(&vector).map(|()| vector)
}

/// A vector has a direction if it is finite and not zero.
fn usable(vector: &[f32]) -> Result<(), String> {
    if vector.iter().any(|value| !value.is_finite()) {
        Err("the model gives a vector with values that are not finite".into())
    } else if vector.iter().all(|value| *value == 0.0) {
        Err("the model gives a vector of zeros".into())
    } else {
        Ok(())
    }
}

fn take(batches: &Mutex<Receiver<Batch>>) -> Option<Batch> {
    lock(batches).recv().ok()
}

/// A lock whose holder panicked is taken over: the panic ends the run anyway when its thread is joined.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A device whose vector of a text is (first token, tokens), and that fails as it is told to.
    #[derive(Default)]
    struct Fake {
        /// Fails on this token.
        bad: Option<u32>,
        /// Gives NaN for this token, and for all texts of its batch.
        nan: Option<u32>,
        /// Fails above so many padded tokens.
        memory: Option<usize>,
        /// Fails after so many batches.
        life: Option<usize>,
        /// The most that a batch may have of texts × longest².
        room: Option<usize>,
        /// Panics at the first batch.
        panics: bool,
        has_other: bool,
        runs: Mutex<Vec<usize>>,
        elsewhere: AtomicBool,
        /// Batches that ran there alone.
        lent: AtomicUsize,
    }

    impl Fake {
        fn vectors(batch: &[&[u32]]) -> Vec<Vec<f32>> {
            batch.iter().map(|row| vec![row[0] as f32, row.len() as f32]).collect()
        }
    }

    impl Compute for Fake {
        fn run(&self, batch: &[&[u32]]) -> Result<Vec<Vec<f32>>, String> {
            if self.elsewhere.load(Ordering::Relaxed) {
                return Ok(Self::vectors(batch));
            }
            let padded = batch.iter().map(|row| row.len()).max().unwrap_or(0) * batch.len();
            let runs = {
                let mut runs = lock(&self.runs);
                runs.push(padded);
                runs.len()
            };
            let has = |token: Option<u32>| token.is_some_and(|token| batch.iter().any(|row| row.contains(&token)));
            assert!(!self.panics, "a bug");
            if self.life.is_some_and(|life| runs > life) {
                return Err("the device is gone".into());
            }
            if self.memory.is_some_and(|memory| padded > memory) {
                return Err("out of memory".into());
            }
            if has(self.bad) {
                return Err("a bad token".into());
            }
            if has(self.nan) {
                return Ok(vec![vec![f32::NAN; 2]; batch.len()]);
            }
            Ok(Self::vectors(batch))
        }

        fn run_elsewhere(&self, batch: &[&[u32]]) -> Option<Result<Vec<Vec<f32>>, String>> {
            if !self.has_other || batch.iter().any(|row| self.bad.is_some_and(|bad| row.contains(&bad))) {
                return None;
            }
            self.lent.fetch_add(1, Ordering::Relaxed);
            Some(Ok(Self::vectors(batch)))
        }

        fn move_elsewhere(&self, _: &[u32], _: &str) -> bool {
            self.elsewhere.fetch_or(self.has_other, Ordering::Relaxed);
            self.has_other
        }

        fn workers(&self) -> usize {
            if self.elsewhere.load(Ordering::Relaxed) { 4 } else { 2 }
        }

        fn first_batch(&self) -> usize {
            if self.elsewhere.load(Ordering::Relaxed) { 512 } else { 256 }
        }

        fn room(&self) -> usize {
            self.room.unwrap_or(usize::MAX)
        }
    }

    /// Each word is a token: its number.
    fn words(text: &str) -> Result<Tokens, String> {
        text.split_whitespace().map(|word| word.parse().map_err(|_| format!("`{word}` is no number"))).collect()
    }

    fn embed(device: &Fake, texts: &[&str]) -> Result<Vec<Outcome>, Broken> {
        embed_tuned(device, texts, &Mutex::new(Tuner::new(256)))
    }

    fn embed_tuned(device: &Fake, texts: &[&str], tuner: &Mutex<Tuner>) -> Result<Vec<Outcome>, Broken> {
        let engine = Engine { tokenise: &words, compute: device, tuner, probe: &[1], moves: AtomicUsize::new(0) };
        Ok(engine.run(texts, &|_| true)?.expect("because it was to go on"))
    }

    fn texts() -> Vec<String> {
        (2..900).map(|first| format!("{first} {}", "7 ".repeat(first % 40))).collect()
    }

    fn check_all(texts: &[&str], outcomes: &[Outcome]) {
        for (text, outcome) in texts.iter().zip(outcomes) {
            let tokens = words(text).expect("numbers");
            assert_eq!(outcome, &Ok(vec![tokens[0] as f32, tokens.len() as f32]), "{text}");
        }
    }

    #[test]
    fn every_text_gets_its_own_vector_once() {
        let texts = texts();
        let mut texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        texts.extend_from_within(..300);
        let device = Fake::default();
        let outcomes = embed(&device, &texts).expect("vectors");
        assert_eq!(outcomes.len(), texts.len());
        check_all(&texts, &outcomes);
        let computed: usize = lock(&device.runs).iter().sum();
        let once: usize = texts[..898].iter().map(|text| words(text).expect("numbers").len()).sum();
        assert!(computed < once * 11 / 10, "{computed} padded tokens for {once}");
    }

    #[test]
    fn a_text_that_fails_is_named_and_the_others_are_there() {
        let texts = texts();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        for (device, why) in [
            (Fake { bad: Some(500), ..Fake::default() }, "a bad token"),
            (Fake { nan: Some(500), ..Fake::default() }, "the model gives a vector with values that are not finite"),
            (Fake { bad: Some(500), has_other: true, ..Fake::default() }, "a bad token"),
        ] {
            let mut outcomes = embed(&device, &texts).expect("vectors");
            assert_eq!(outcomes.remove(498), Err(why.to_owned()));
            let others: Vec<&str> = texts.iter().copied().filter(|text| !text.starts_with("500 ")).collect();
            check_all(&others, &outcomes);
        }
        let outcomes = embed(&Fake::default(), &["3", "x", "", "4"]).expect("vectors");
        assert_eq!(outcomes[1], Err("`x` is no number".into()));
        assert_eq!(outcomes[2], Ok(Vec::new()));
    }

    #[test]
    fn too_little_memory_makes_batches_smaller_and_loses_nothing() {
        let texts = texts();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let device = Fake { memory: Some(150), ..Fake::default() };
        check_all(&texts, &embed(&device, &texts).expect("vectors"));
        let failed = lock(&device.runs).iter().filter(|padded| **padded > 150).count();
        assert!(failed < 20, "{failed} batches were too large");
    }

    #[test]
    fn one_text_that_fails_leaves_the_size_of_batches_alone() {
        let texts = texts();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        for (has_other, lent) in [(false, 0), (true, 1)] {
            // One text alone is too long for the device.
            let longest = format!("9 {}", "7 ".repeat(400));
            let texts: Vec<&str> = std::iter::once(longest.as_str()).chain(texts.iter().copied()).collect();
            let device = Fake { memory: Some(300), has_other, ..Fake::default() };
            let tuner = Mutex::new(Tuner::new(256));
            let mut outcomes = embed_tuned(&device, &texts, &tuner).expect("vectors");
            assert_eq!(outcomes.remove(0).is_ok(), has_other);
            check_all(&texts[1..], &outcomes);
            assert!(lock(&tuner).best() >= 128, "{}", lock(&tuner).best());
            assert_eq!(device.lent.into_inner(), lent);
            assert!(!device.elsewhere.into_inner(), "the others stay where they are");
        }
        let (device, tuner) = (Fake { bad: Some(500), ..Fake::default() }, Mutex::new(Tuner::new(256)));
        embed_tuned(&device, &texts, &tuner).expect("vectors");
        assert_eq!(lock(&tuner).best(), 256);
    }

    #[test]
    fn a_vector_that_is_no_direction_comes_from_the_other_device() {
        let device = Fake { nan: Some(3), has_other: true, ..Fake::default() };
        check_all(&["2 7", "3 7"], &embed(&device, &["2 7", "3 7"]).expect("vectors"));
        assert_eq!(device.lent.into_inner(), 1);
    }

    #[test]
    fn long_texts_are_computed_few_at_a_time() {
        let texts: Vec<String> = (2..40).map(|first| format!("{first} {}", "7 ".repeat(49))).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        for (room, most) in [(3 * 50 * 50, 3 * 50), (1, 50)] {
            let device = Fake { room: Some(room), ..Fake::default() };
            check_all(&texts, &embed(&device, &texts).expect("vectors"));
            assert_eq!(lock(&device.runs).iter().max(), Some(&most));
        }
    }

    #[test]
    fn a_panic_ends_the_run_with_a_sentence() {
        let (sender, receiver) = sync_channel(1);
        std::thread::spawn(move || {
            let texts = texts();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            sender.send(embed(&Fake { panics: true, ..Fake::default() }, &texts))
        });
        let broken = receiver.recv_timeout(std::time::Duration::from_secs(60)).expect("an end");
        assert_eq!(broken, Err(Broken("the computation panicked: a bug".into())));
    }

    #[test]
    fn a_run_that_is_not_wanted_any_more_ends() {
        let texts = texts();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let (device, tuner) = (Fake::default(), Mutex::new(Tuner::new(256)));
        let engine =
            Engine { tokenise: &words, compute: &device, tuner: &tuner, probe: &[1], moves: AtomicUsize::new(0) };
        let most = AtomicUsize::new(0);
        let heard = engine.run(&texts, &|done| {
            most.fetch_max(done, Ordering::Relaxed);
            true
        });
        assert_eq!(heard.map(|outcomes| outcomes.map(|outcomes| outcomes.len())), Ok(Some(898)));
        assert_eq!(most.into_inner(), 898);
        lock(&device.runs).clear();
        assert_eq!(engine.run(&texts, &|done| done < 20), Ok(None));
        assert!(lock(&device.runs).len() < 10, "{:?}", lock(&device.runs));
    }

    #[test]
    fn a_device_that_vanishes_is_replaced_or_ends_the_run() {
        let texts = texts();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let (device, tuner) = (Fake { life: Some(9), has_other: true, ..Fake::default() }, Mutex::new(Tuner::new(256)));
        check_all(&texts, &embed_tuned(&device, &texts, &tuner).expect("vectors"));
        // What did not work there says nothing about the other device.
        assert!(lock(&tuner).best() >= 512, "{}", lock(&tuner).best());
        let device = Fake { life: Some(9), ..Fake::default() };
        assert_eq!(embed(&device, &texts), Err(Broken("the device is gone".into())));
    }
}
