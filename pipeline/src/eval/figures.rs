//! Figures: ranked lists and right answers to MRR, NDCG and recall, with intervals.

use serde::Serialize;

/// Results that count.
pub(super) const DEPTH: usize = 10;
/// Samples of the bootstrap.
const SAMPLES: usize = 1_000;

/// A mean over queries or steps, with the 95 % interval of the percentile bootstrap over 1,000 samples (Efron, 1979).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Figure {
    /// The mean.
    pub value: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// What is told of a way to search, each from 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Figures {
    /// One over the rank of the first right answer, 0 beyond rank 10.
    #[serde(rename = "mrr@10")]
    pub mrr: Figure,
    /// The discounted gain `Σ 1 / log2(rank + 1)` over the right answers up to rank 10, over the greatest possible.
    #[serde(rename = "ndcg@10")]
    pub ndcg: Figure,
    /// The share of the right answers, of which ten at most count, that stand in the first ten.
    #[serde(rename = "recall@10")]
    pub recall: Figure,
    /// The share of queries with a right answer in the first ten.
    #[serde(rename = "success@10")]
    pub success: Figure,
}

/// What one query gave.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Outcome {
    pub(super) reciprocal_rank: f64,
    pub(super) ndcg: f64,
    pub(super) recall: f64,
    pub(super) success: f64,
}

impl Outcome {
    /// From a ranked list, best first, and `golds` right answers in all.
    pub(super) fn of<T>(ranked: &[T], golds: usize, is_gold: impl Fn(&T) -> bool) -> Outcome {
        let ranks: Vec<usize> =
            ranked.iter().take(DEPTH).enumerate().filter(|(_, at)| is_gold(at)).map(|(rank, _)| rank + 1).collect();
        let gain = |rank: usize| 1.0 / (rank as f64 + 1.0).log2();
        let most = golds.min(DEPTH);
        Outcome {
            reciprocal_rank: ranks.first().map_or(0.0, |rank| 1.0 / *rank as f64),
            // An empty sum is -0.
            ndcg: ranks.iter().map(|rank| gain(*rank)).fold(0.0, |sum, gain| sum + gain)
                / (1..=most).map(gain).sum::<f64>(),
            recall: ranks.len() as f64 / most as f64,
            success: if ranks.is_empty() { 0.0 } else { 1.0 },
        }
    }
}

impl Figures {
    /// Over all queries; the seed decides what the bootstrap draws.
    pub(super) fn of(outcomes: &[Outcome], seed: u64) -> Figures {
        let figure = |part: fn(&Outcome) -> f64| {
            let values: Vec<f64> = outcomes.iter().map(part).collect();
            Figure::of(&values, seed)
        };
        Figures {
            mrr: figure(|outcome| outcome.reciprocal_rank),
            ndcg: figure(|outcome| outcome.ndcg),
            recall: figure(|outcome| outcome.recall),
            success: figure(|outcome| outcome.success),
        }
    }
}

/// What a signal adds: the figures with it, less those without it, over the same queries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Gains {
    /// In the reciprocal rank.
    #[serde(rename = "mrr@10")]
    pub mrr: Figure,
    /// In recall.
    #[serde(rename = "recall@10")]
    pub recall: Figure,
}

impl Gains {
    /// From what each query gave with the signal and without.
    pub(super) fn of(outcomes: &[(Outcome, Outcome)], seed: u64) -> Gains {
        let figure = |part: fn(&Outcome) -> f64| {
            let gains: Vec<f64> = outcomes.iter().map(|(with, without)| part(with) - part(without)).collect();
            Figure::of(&gains, seed)
        };
        Gains { mrr: figure(|outcome| outcome.reciprocal_rank), recall: figure(|outcome| outcome.recall) }
    }
}

impl Figure {
    /// Over all values; the seed decides what the bootstrap draws.
    pub fn of(values: &[f64], seed: u64) -> Figure {
        if values.is_empty() {
            return Figure::default();
        }
        let count = values.len() as f64;
        let mut draws = Draws(seed);
        let mut means: Vec<f64> = (0..SAMPLES)
            .map(|_| (0..values.len()).map(|_| values[draws.below(values.len())]).sum::<f64>() / count)
            .collect();
        means.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| means[(share * (SAMPLES - 1) as f64).round() as usize];
        Figure { value: values.iter().sum::<f64>() / count, low: at(0.025), high: at(0.975) }
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Draws(u64);

impl Draws {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((u128::from(mixed ^ (mixed >> 31)) * limit as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_become_figures() {
        let one = Outcome::of(&[7, 3, 5], 1, |at| *at == 3);
        assert_eq!((one.reciprocal_rank, one.recall, one.success), (0.5, 1.0, 1.0));
        assert!((one.ndcg - 1.0 / 3f64.log2()).abs() < 1e-12);
        let two = Outcome::of(&[1, 2, 3], 4, |at| *at == 1 || *at == 3);
        assert_eq!((two.reciprocal_rank, two.recall), (1.0, 0.5));
        let best = 1.0 + 1.0 / 3f64.log2() + 0.5 + 1.0 / 5f64.log2();
        assert!((two.ndcg - 1.5 / best).abs() < 1e-12);
        assert_eq!(Outcome::of(&[1], 1, |_: &u32| false), Outcome::default());
        // What stands further down does not count.
        let late: Vec<u32> = (0..20).collect();
        assert_eq!(Outcome::of(&late, 1, |at| *at == 10), Outcome::default());
    }

    #[test]
    fn the_interval_holds_the_mean_and_narrows_with_the_number() {
        let values = |count: usize| (0..count).map(|at| f64::from(u32::from(at % 2 == 0))).collect::<Vec<_>>();
        let (few, many) = (Figure::of(&values(20), 1), Figure::of(&values(2_000), 1));
        for figure in [few, many] {
            assert_eq!(figure.value, 0.5);
            assert!(figure.low < 0.5 && 0.5 < figure.high, "{figure:?}");
        }
        // The normal approximation gives 0.5 ± 1.96 · sqrt(0.25 / n).
        assert!((many.high - many.low - 0.0438).abs() < 0.01, "{many:?}");
        assert!(few.high - few.low > 5.0 * (many.high - many.low));
        assert_eq!(Figure::of(&[], 1), Figure::default());
    }
}
