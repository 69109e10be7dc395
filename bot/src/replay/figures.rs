//! Figures: ranks to MRR and recall, a step at a time, with intervals. Pure.

use precedent_pipeline::eval::Figure;
use serde::Serialize;

/// Ranks that count as found.
const DEPTH: f64 = 10.0;

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
        Figures { mrr: Figure::of(&self.reciprocal, 0), recall: Figure::of(&self.found, 0) }
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
