//! How many tokens a batch takes, found by measurement.
//!
//! Two sizes, one twice the other, are used in turns, so that both see texts of the same lengths. The faster one is
//! kept and compared with its other neighbour, until neither neighbour is faster. Running out of memory lowers the
//! ceiling for good.

use std::time::Duration;

/// The smallest and the largest batch that are tried, in tokens.
const SMALLEST: usize = 128;
const LARGEST: usize = 1 << 17;
/// Batches and time on each side before two sizes are compared.
const SAMPLES: u32 = 4;
const TIME: Duration = Duration::from_millis(200);
/// How much faster another size must be, so that noise does not decide.
const GAIN: f64 = 1.03;

/// Batches of one size.
#[derive(Debug, Clone, Copy, Default)]
struct Sample {
    batches: u32,
    tokens: u64,
    time: Duration,
}

impl Sample {
    fn is_enough(&self) -> bool {
        self.batches >= SAMPLES && self.time >= TIME
    }

    fn rate(&self) -> f64 {
        self.tokens as f64 / self.time.as_secs_f64().max(1e-9)
    }
}

/// What is being compared with the best size so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Search {
    /// Twice the size; `moved` says whether that has won before, so that the other side need not be tried.
    Up {
        moved: bool,
    },
    /// Half the size.
    Down,
    Settled,
}

/// The size of batches, as it is known so far.
#[derive(Debug)]
pub(super) struct Tuner {
    best: usize,
    ceiling: usize,
    search: Search,
    samples: [Sample; 2],
    turn: bool,
}

impl Tuner {
    pub(super) fn new(start: usize) -> Tuner {
        Tuner {
            best: start.clamp(SMALLEST, LARGEST),
            ceiling: LARGEST,
            search: Search::Up { moved: false },
            samples: [Sample::default(); 2],
            turn: false,
        }
    }

    /// A size that is not measured, and is left only when it does not work.
    pub(super) fn fixed(size: usize) -> Tuner {
        Tuner { search: Search::Settled, ..Tuner::new(size) }
    }

    /// Tokens for the next batch, padding included.
    pub(super) fn next(&mut self) -> usize {
        self.turn = !self.turn;
        if self.turn { self.best } else { self.other().unwrap_or(self.best) }
    }

    /// The size that has won so far.
    pub(super) fn best(&self) -> usize {
        self.best
    }

    /// The size that the best is compared with.
    fn other(&self) -> Option<usize> {
        match self.search {
            Search::Up { .. } => Some(self.best * 2).filter(|size| *size <= self.ceiling),
            Search::Down => Some(self.best / 2).filter(|size| *size >= SMALLEST),
            Search::Settled => None,
        }
    }

    /// A batch that was made for `size` has computed this many tokens, padding left out, in this time.
    pub(super) fn record(&mut self, size: usize, tokens: usize, time: Duration) {
        let other = self.other();
        let sample = match size {
            size if size == self.best => &mut self.samples[0],
            size if Some(size) == other => &mut self.samples[1],
            _ => return,
        };
        sample.batches += 1;
        sample.tokens += tokens as u64;
        sample.time += time;
        if other.is_none() || self.samples.iter().all(Sample::is_enough) {
            self.decide(other);
        }
    }

    fn decide(&mut self, other: Option<usize>) {
        let [best, rival] = self.samples;
        let wins = rival.is_enough() && rival.rate() > best.rate() * GAIN;
        (self.best, self.search) = match (self.search, other) {
            (Search::Up { .. }, Some(other)) if wins => (other, Search::Up { moved: true }),
            (Search::Up { moved: false }, _) => (self.best, Search::Down),
            (Search::Down, Some(other)) if wins => (other, Search::Down),
            _ => (self.best, Search::Settled),
        };
        self.samples = [Sample::default(); 2];
    }

    /// A batch of this many tokens did not work: no batch is as large again.
    pub(super) fn shrink(&mut self, tokens: usize) {
        self.ceiling = (tokens / 2).clamp(SMALLEST, self.ceiling);
        self.best = self.best.min(self.ceiling);
        self.samples = [Sample::default(); 2];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs batches on a device with this many tokens a second at a size.
    fn settle(tuner: &mut Tuner, rate: impl Fn(usize) -> f64) -> usize {
        for _ in 0..500 {
            let size = tuner.next();
            tuner.record(size, size, Duration::from_secs_f64((size as f64 / rate(size)).max(0.06)));
        }
        assert_eq!(tuner.search, Search::Settled);
        tuner.best()
    }

    #[test]
    fn the_fastest_size_is_found_from_both_sides() {
        // Slower by a tenth for each doubling away from 4096, with batches long enough to be measured.
        let rate = |size: usize| 1000.0 * 0.9f64.powf((size as f64 / 4096.0).log2().abs());
        assert_eq!(settle(&mut Tuner::new(512), rate), 4096);
        assert_eq!(settle(&mut Tuner::new(32_768), rate), 4096);
        assert_eq!(settle(&mut Tuner::new(4096), rate), 4096);
    }

    #[test]
    fn a_fixed_size_stays() {
        let mut tuner = Tuner::fixed(1024);
        assert_eq!(settle(&mut tuner, |size| size as f64), 1024);
        tuner.shrink(1024);
        assert_eq!(tuner.best(), 512);
    }

    #[test]
    fn a_size_that_did_not_work_is_not_used_again() {
        let mut tuner = Tuner::new(4096);
        tuner.shrink(4000);
        assert!((0..100).all(|_| tuner.next() <= 2000));
        let best = settle(&mut tuner, |size| size as f64);
        assert!(best <= 2000, "{best}");
    }
}
