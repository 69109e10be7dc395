//! Layer: what a repository teaches beyond the default ranking. Pure.
//!
//! A weight for each column, and one for the default score, learned by one step of gradient descent for each past change
//! that hid a part of itself, in order of time. So at any step it holds what the steps before it taught, and nothing else.
//! Step sizes are those of AdaGrad (Duchi, Hazan and Singer, 2011).

use serde::{Deserialize, Serialize};

/// How far one change may move the weights.
const RATE: f32 = 0.02;
/// Rows of a query that are learned from: the right one, and those that were ranked above or next to it.
const ROWS: usize = 50;
/// Pulls weights back to the default at each step.
const DECAY: f32 = 1e-3;

/// Weights beside the default score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    weights: Vec<f32>,
    squares: Vec<f32>,
    /// Queries that it has learned from.
    pub queries: u32,
}

impl Layer {
    /// A layer that changes nothing yet.
    pub fn new(columns: usize) -> Layer {
        Layer { weights: vec![0.0; columns], squares: vec![1e-2; columns], queries: 0 }
    }

    /// The score of a row, given its default score.
    pub fn score(&self, default: f32, row: &[f32]) -> f32 {
        default + self.weights.iter().zip(row).map(|(weight, value)| weight * value).sum::<f32>()
    }

    /// Learns from one query: its rows, their default scores, and the right one.
    pub fn learn(&mut self, rows: &[f32], defaults: &[f32], right: usize) {
        let columns = self.weights.len();
        let row = |at: usize| &rows[at * columns..(at + 1) * columns];
        let scores: Vec<f32> = (0..defaults.len()).map(|at| self.score(defaults[at], row(at))).collect();
        let mut order: Vec<usize> = (0..scores.len()).filter(|at| *at != right).collect();
        order.sort_by(|one, two| scores[*two].total_cmp(&scores[*one]).then(one.cmp(two)));
        order.truncate(ROWS);
        order.push(right);
        let most = order.iter().map(|at| scores[*at]).fold(f32::MIN, f32::max);
        let sum: f32 = order.iter().map(|at| (scores[*at] - most).exp()).sum();
        let mut slopes = vec![0f32; columns];
        for &at in &order {
            let slope = (scores[at] - most).exp() / sum - f32::from(u8::from(at == right));
            for (sum, value) in slopes.iter_mut().zip(row(at)) {
                *sum += slope * value;
            }
        }
        for ((weight, square), slope) in self.weights.iter_mut().zip(&mut self.squares).zip(slopes) {
            *square += slope * slope;
            *weight = *weight * (1.0 - DECAY) - RATE * slope / square.sqrt();
        }
        self.queries += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_that_decides_here_gains_weight_and_one_that_does_not_stays() {
        let mut layer = Layer::new(2);
        for turn in 0..200 {
            // The right row has the greater first value; the second is the same for all, the default score says nothing.
            let rows = [1.0, 0.5, 0.0, 0.5, 0.2, 0.5];
            let right = 0;
            assert_eq!(layer.queries, turn);
            layer.learn(&rows, &[0.0; 3], right);
        }
        let score = |row: [f32; 2]| layer.score(0.0, &row);
        assert!(score([1.0, 0.5]) > score([0.2, 0.5]) + 0.2);
        assert!((score([0.0, 1.0]) - score([0.0, 0.0])).abs() < 1e-3);
    }
}
