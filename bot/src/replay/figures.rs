//! Figures: ranks to MRR and recall, a step at a time, with intervals. Pure.

use serde::Serialize;

/// Samples of the bootstrap.
const SAMPLES: usize = 1_000;
/// Ranks that count as found.
const DEPTH: f64 = 10.0;

/// A mean over steps, with the 95 % interval of the percentile bootstrap over 1,000 samples (Efron, 1979).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Figure {
    /// The mean.
    pub value: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// How well hidden members were found, from 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Figures {
    /// One over the rank of the hidden member.
    pub mrr: Figure,
    /// The share whose rank is ten at most.
    #[serde(rename = "recall@10")]
    pub recall: Figure,
}

/// What one way of ranking gave, a step at a time.
#[derive(Debug, Clone, Default)]
pub(super) struct Scores {
    reciprocal: Vec<f64>,
    found: Vec<f64>,
}

impl Scores {
    /// Adds a step by the ranks of its hidden members; infinity is not found.
    pub(super) fn add(&mut self, ranks: &[f64]) {
        let count = ranks.len() as f64;
        self.reciprocal.push(ranks.iter().map(|rank| 1.0 / rank).sum::<f64>() / count);
        self.found.push(ranks.iter().filter(|rank| **rank <= DEPTH).count() as f64 / count);
    }

    /// How many steps there were.
    pub(super) fn steps(&self) -> usize {
        self.found.len()
    }

    pub(super) fn figures(&self) -> Figures {
        Figures { mrr: Figure::of(&self.reciprocal), recall: Figure::of(&self.found) }
    }
}

impl Figure {
    fn of(values: &[f64]) -> Figure {
        if values.is_empty() {
            return Figure::default();
        }
        let count = values.len() as f64;
        let mut state = 0u64;
        // SplitMix64 (Steele, Lea and Flood, 2014).
        let mut draw = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((u128::from(mixed ^ (mixed >> 31)) * values.len() as u128) >> 64) as usize
        };
        let mut means: Vec<f64> =
            (0..SAMPLES).map(|_| (0..values.len()).map(|_| values[draw()]).sum::<f64>() / count).collect();
        means.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| means[(share * (SAMPLES - 1) as f64).round() as usize];
        Figure { value: values.iter().sum::<f64>() / count, low: at(0.025), high: at(0.975) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_counts_once_whatever_it_hides() {
        let mut scores = Scores::default();
        scores.add(&[1.0, f64::INFINITY]);
        scores.add(&[2.0]);
        scores.add(&[11.0]);
        let figures = scores.figures();
        assert!((figures.mrr.value - (0.5 + 0.5 + 1.0 / 11.0) / 3.0).abs() < 1e-12);
        assert!((figures.recall.value - 0.5).abs() < 1e-12);
        assert!(figures.mrr.low <= figures.mrr.value && figures.mrr.value <= figures.mrr.high);
        assert_eq!(Scores::default().figures(), Figures::default());
    }
}
