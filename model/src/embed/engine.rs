//! Engine: many texts to vectors, in batches of equal length, with nothing missing.
//!
//! ```text
//! unique texts, longest first ──tokenise──▶ batches ──compute──▶ vectors, back in order
//!                        (all cores, a window ahead)   (workers)
//! ```
//!
//! A batch that fails is halved down to the text that fails. Then a text that is known to work is tried: if that fails
//! too, it is the device, and the run ends; otherwise the text is reported.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
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

    /// Runs a batch on the other device, where there is one, and everything from then on if that works.
    fn run_elsewhere(&self, batch: &[&[u32]], why: &str) -> Option<Result<Vec<Vec<f32>>, String>>;

    /// How many batches may be in work at once.
    fn workers(&self) -> usize;
}

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
    /// Embeds each text. One without tokens has an empty vector.
    pub(super) fn run(&self, texts: &[&str]) -> Result<Vec<Outcome>, Broken> {
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
        let outcomes = self.run_unique(&unique)?;
        Ok(places.into_iter().map(|place| outcomes[place].clone()).collect())
    }

    fn run_unique(&self, texts: &[&str]) -> Result<Vec<Outcome>, Broken> {
        // The longest first: what does not fit into memory shows at once. Bytes are near enough to tokens here.
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|at| (std::cmp::Reverse(texts[*at].len()), *at));
        let outcomes: Mutex<Vec<Option<Outcome>>> = Mutex::new(vec![None; texts.len()]);
        let broken: Mutex<Option<Broken>> = Mutex::new(None);
        let is_over = AtomicBool::new(false);
        let (sender, receiver) = sync_channel(BATCHES_AHEAD + self.compute.workers());
        let receiver = Mutex::new(receiver);
        std::thread::scope(|scope| {
            for _ in 0..self.compute.workers().max(1) {
                scope.spawn(|| {
                    while let Some(batch) = take(&receiver) {
                        if is_over.load(Ordering::Relaxed) {
                            continue;
                        }
                        match self.solve(&batch) {
                            Ok(solved) => {
                                let mut outcomes = lock(&outcomes);
                                batch.at.iter().zip(solved).for_each(|(at, outcome)| outcomes[*at] = Some(outcome));
                            }
                            Err(error) => {
                                is_over.store(true, Ordering::Relaxed);
                                lock(&broken).get_or_insert(error);
                            }
                        }
                    }
                });
            }
            self.cut(texts, &order, &outcomes, sender, &is_over);
        });
        if let Some(broken) = lock(&broken).take() {
            return Err(broken);
        }
        let outcomes = std::mem::take(&mut *lock(&outcomes));
        Ok(outcomes.into_iter().map(|outcome| outcome.expect("because every text is in one batch")).collect())
    }

    /// Tokenises windows and sends them in batches, until there are no more or nobody wants them.
    fn cut(
        &self,
        texts: &[&str],
        order: &[usize],
        outcomes: &Mutex<Vec<Option<Outcome>>>,
        batches: SyncSender<Batch>,
        is_over: &AtomicBool,
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
                let count = (size / longest.len()).max(1);
                let (at, tokens) = ready.by_ref().take(count).unzip();
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
        let is_full = rows.iter().map(|row| row.len()).sum::<usize>() * 2 > batch.size;
        match self.compute.run(&rows) {
            Ok(vectors) => {
                // What is left at the end of a window says nothing about a size.
                if is_full {
                    let tokens = rows.iter().map(|row| row.len()).sum();
                    lock(self.tuner).record(batch.size, tokens, started.elapsed());
                }
                self.checked(&rows, vectors)
            }
            Err(why) => self.halve(&rows, &why),
        }
    }

    fn solve_rows(&self, rows: &[&[u32]]) -> Result<Vec<Outcome>, Broken> {
        match self.compute.run(rows) {
            Ok(vectors) => self.checked(rows, vectors),
            Err(why) => self.halve(rows, &why),
        }
    }

    fn halve(&self, rows: &[&[u32]], why: &str) -> Result<Vec<Outcome>, Broken> {
        if let [_] = rows {
            return self.alone(rows, why).map(|outcome| vec![outcome]);
        }
        lock(self.tuner).shrink(rows.iter().map(|row| row.len()).max().unwrap_or(0) * rows.len());
        let (one, two) = rows.split_at(rows.len() / 2);
        let mut outcomes = self.solve_rows(one)?;
        outcomes.extend(self.solve_rows(two)?);
        Ok(outcomes)
    }

    /// A text that fails alone: on the other device, or for good.
    fn alone(&self, row: &[&[u32]], why: &str) -> Result<Outcome, Broken> {
        if let Some(Ok(vectors)) = self.compute.run_elsewhere(row, why) {
            return Ok(first_usable(vectors));
        }
        match self.compute.run(&[self.probe]) {
            Ok(_) => Ok(Err(why.to_owned())),
            Err(why) => Err(Broken(why)),
        }
    }

    /// Vectors that are no directions are computed again alone, since one text may have spoilt a batch.
    fn checked(&self, rows: &[&[u32]], vectors: Vec<Vec<f32>>) -> Result<Vec<Outcome>, Broken> {
        if vectors.len() != rows.len() {
            return Err(Broken(format!("{} vectors came back for {} texts", vectors.len(), rows.len())));
        }
        let alone = rows.len() == 1;
        rows.iter()
            .zip(vectors)
            .map(|(row, vector)| match usable(&vector) {
                Ok(()) => Ok(Ok(vector)),
                Err(why) if alone => Ok(Err(why)),
                Err(_) => Ok(self.solve_rows(&[row])?.swap_remove(0)),
            })
            .collect()
    }
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
        has_other: bool,
        runs: Mutex<Vec<usize>>,
        elsewhere: AtomicBool,
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

        fn run_elsewhere(&self, batch: &[&[u32]], _: &str) -> Option<Result<Vec<Vec<f32>>, String>> {
            if !self.has_other || batch.iter().any(|row| self.bad.is_some_and(|bad| row.contains(&bad))) {
                return None;
            }
            self.elsewhere.store(true, Ordering::Relaxed);
            Some(Ok(Self::vectors(batch)))
        }

        fn workers(&self) -> usize {
            2
        }
    }

    /// Each word is a token: its number.
    fn words(text: &str) -> Result<Tokens, String> {
        text.split_whitespace().map(|word| word.parse().map_err(|_| format!("`{word}` is no number"))).collect()
    }

    fn embed(device: &Fake, texts: &[&str]) -> Result<Vec<Outcome>, Broken> {
        let tuner = Mutex::new(Tuner::new(256));
        Engine { tokenise: &words, compute: device, tuner: &tuner, probe: &[1] }.run(texts)
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
    fn a_device_that_vanishes_is_replaced_or_ends_the_run() {
        let texts = texts();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let device = Fake { life: Some(9), has_other: true, ..Fake::default() };
        check_all(&texts, &embed(&device, &texts).expect("vectors"));
        let device = Fake { life: Some(9), ..Fake::default() };
        assert_eq!(embed(&device, &texts), Err(Broken("the device is gone".into())));
    }
}
