//! Forest: boosted trees that rank a list, and how they are grown. Pure.
//!
//! Each tree asks the same question of all rows at a level ("oblivious" trees, as in Prokhorenkova et al., "CatBoost",
//! 2018), so that a tree of depth d is d comparisons and a table of 2^d values. They are grown by gradient boosting
//! (Friedman, 2001) on the list-wise loss: the cross entropy between the softmax of a list's scores and the row of it that
//! was right (Cao et al., "Learning to rank: from pairwise approach to listwise approach", 2007).

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// One tree: `depth` questions, 2^depth values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Tree {
    /// Column and threshold; a row whose value is greater sets the bit of the level.
    splits: Vec<(u16, f32)>,
    leaves: Vec<f32>,
}

/// Trees whose values are summed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Forest {
    trees: Vec<Tree>,
}

/// How to grow.
#[derive(Debug, Clone, Copy)]
pub struct Growth {
    /// How many trees.
    pub trees: usize,
    /// Questions a tree.
    pub depth: usize,
    /// How much of each tree's value is added.
    pub rate: f64,
    /// Added to the sum of curvatures, against leaves of few rows.
    pub ridge: f64,
}

/// Lists to learn from: rows of `columns` values, lists of consecutive rows, in each list one row that is right.
#[derive(Debug, Clone, Default)]
pub struct Lists {
    /// Values a row.
    pub columns: usize,
    /// Row after row.
    pub values: Vec<f32>,
    /// Where each list ends, in rows.
    pub ends: Vec<usize>,
    /// The right row of each list, counted over all.
    pub right: Vec<usize>,
}

impl Lists {
    /// Adds a list; `right` counts within it.
    pub fn push(&mut self, rows: &[f32], right: usize) {
        let start = self.ends.last().copied().unwrap_or(0);
        self.values.extend_from_slice(rows);
        self.ends.push(start + rows.len() / self.columns);
        self.right.push(start + right);
    }

    /// Adds the lists of another, behind these.
    pub fn append(&mut self, other: &Lists) {
        let start = self.rows();
        self.values.extend_from_slice(&other.values);
        self.ends.extend(other.ends.iter().map(|end| start + end));
        self.right.extend(other.right.iter().map(|right| start + right));
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }
}

/// Thresholds a column.
const BINS: usize = 48;

impl Forest {
    /// The score of a row; only differences within a list mean anything.
    pub fn score(&self, row: &[f32]) -> f32 {
        self.trees
            .iter()
            .map(|tree| {
                let leaf = tree.splits.iter().enumerate().fold(0, |leaf, (level, (column, threshold))| {
                    leaf | usize::from(row.get(usize::from(*column)).is_some_and(|value| value > threshold)) << level
                });
                tree.leaves.get(leaf).copied().unwrap_or(0.0)
            })
            .sum()
    }

    /// How much each column is asked for: the number of questions.
    pub fn questions(&self, columns: usize) -> Vec<usize> {
        let mut counts = vec![0; columns];
        for (column, _) in self.trees.iter().flat_map(|tree| &tree.splits) {
            counts[usize::from(*column)] += 1;
        }
        counts
    }

    /// Grows a forest. The same lists give the same forest.
    pub fn grow(lists: &Lists, growth: Growth) -> Forest {
        let (rows, columns) = (lists.rows(), lists.columns);
        let thresholds: Vec<Vec<f32>> = (0..columns).map(|column| quantiles(lists, column)).collect();
        // Column after column, so that a column's histogram reads it in order.
        let mut bins = vec![0u8; rows * columns];
        for column in 0..columns {
            for row in 0..rows {
                let value = lists.values[row * columns + column];
                bins[column * rows + row] = thresholds[column].partition_point(|threshold| *threshold < value) as u8;
            }
        }
        let mut forest = Forest::default();
        let mut scores = vec![0f32; rows];
        for _ in 0..growth.trees {
            let (slopes, curves) = slopes(lists, &scores);
            let (tree, leaf_of) = tree(&bins, &thresholds, &slopes, &curves, growth);
            for (score, leaf) in scores.iter_mut().zip(&leaf_of) {
                *score += tree.leaves[usize::from(*leaf)];
            }
            forest.trees.push(tree);
        }
        forest
    }
}

/// Values that cut a column into parts of equal size; a value is in the bin of the first threshold that is not below it.
fn quantiles(lists: &Lists, column: usize) -> Vec<f32> {
    let mut values: Vec<f32> = lists.values.iter().skip(column).step_by(lists.columns).copied().collect();
    values.sort_unstable_by(f32::total_cmp);
    values.dedup();
    let step = (values.len() as f64 / BINS as f64).max(1.0);
    let mut thresholds: Vec<f32> = (1..BINS)
        .map(|bin| (bin as f64 * step) as usize)
        .take_while(|at| *at < values.len())
        .map(|at| values[at - 1])
        .collect();
    thresholds.dedup();
    thresholds
}

/// First and second derivatives of the loss by each row's score.
fn slopes(lists: &Lists, scores: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let (mut slopes, mut curves) = (vec![0f32; scores.len()], vec![0f32; scores.len()]);
    let mut start = 0;
    for (&end, &right) in lists.ends.iter().zip(&lists.right) {
        let list = &scores[start..end];
        let most = list.iter().copied().fold(f32::MIN, f32::max);
        let sum: f32 = list.iter().map(|score| (score - most).exp()).sum();
        for row in start..end {
            let share = (scores[row] - most).exp() / sum;
            slopes[row] = share - f32::from(u8::from(row == right));
            curves[row] = (share * (1.0 - share)).max(1e-6);
        }
        start = end;
    }
    (slopes, curves)
}

fn tree(bins: &[u8], thresholds: &[Vec<f32>], slopes: &[f32], curves: &[f32], growth: Growth) -> (Tree, Vec<u8>) {
    let rows = slopes.len();
    let mut leaf_of = vec![0u8; rows];
    let mut splits = Vec::new();
    for level in 0..growth.depth {
        let leaves = 1 << level;
        let leaves_of = leaf_of.as_slice();
        let of_columns: Vec<Option<(f64, usize, usize)>> = (0..thresholds.len())
            .into_par_iter()
            .map(|column| {
                let own = &bins[column * rows..(column + 1) * rows];
                let gains = gains(own, thresholds[column].len(), (leaves_of, leaves), (slopes, curves), growth.ridge);
                first_best(gains.into_iter().enumerate().map(|(at, gain)| (gain, column, at)))
            })
            .collect();
        let best = first_best(of_columns.into_iter().flatten());
        let Some((_, column, at)) = best else { break };
        splits.push((column as u16, thresholds[column][at]));
        let own = &bins[column * rows..(column + 1) * rows];
        for (leaf, bin) in leaf_of.iter_mut().zip(own) {
            *leaf |= u8::from(usize::from(*bin) > at) << level;
        }
    }
    let mut sums = vec![(0f64, 0f64); 1 << splits.len()];
    for row in 0..rows {
        let sum = &mut sums[usize::from(leaf_of[row])];
        sum.0 += f64::from(slopes[row]);
        sum.1 += f64::from(curves[row]);
    }
    let leaves = sums.iter().map(|(slope, curve)| rounded(-growth.rate * slope / (curve + growth.ridge))).collect();
    (Tree { splits, leaves }, leaf_of)
}

/// What is gained by each threshold of a column, were every leaf split there.
fn gains(
    bins: &[u8],
    thresholds: usize,
    (leaf_of, leaves): (&[u8], usize),
    (slopes, curves): (&[f32], &[f32]),
    ridge: f64,
) -> Vec<f64> {
    let width = thresholds + 1;
    let mut sums = vec![(0f64, 0f64); leaves * width];
    for (((bin, leaf), slope), curve) in bins.iter().zip(leaf_of).zip(slopes).zip(curves) {
        let sum = &mut sums[usize::from(*leaf) * width + usize::from(*bin)];
        sum.0 += f64::from(*slope);
        sum.1 += f64::from(*curve);
    }
    let mut gains = vec![0f64; thresholds];
    for leaf in sums.chunks(width) {
        let (slope, curve) = leaf.iter().fold((0.0, 0.0), |all, one| (all.0 + one.0, all.1 + one.1));
        let (mut below_slope, mut below_curve) = (0.0, 0.0);
        for (gain, (one, two)) in gains.iter_mut().zip(leaf) {
            below_slope += one;
            below_curve += two;
            let above = (slope - below_slope, curve - below_curve);
            *gain += below_slope * below_slope / (below_curve + ridge) + above.0 * above.0 / (above.1 + ridge);
        }
    }
    gains
}

/// The split that gains most: of those that gain as much, the first.
fn first_best(splits: impl Iterator<Item = (f64, usize, usize)>) -> Option<(f64, usize, usize)> {
    splits.reduce(|best, split| if split.0 > best.0 + 1e-9 { split } else { best })
}

/// Four decimals are all that is kept of a value, so that a forest is small as text.
fn rounded(value: f64) -> f32 {
    ((value * 1e4).round() / 1e4) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROWTH: Growth = Growth { trees: 30, depth: 3, rate: 0.3, ridge: 1.0 };

    /// Lists in which the row with a high first and a low second value is right; the third is noise.
    fn lists() -> Lists {
        let mut lists = Lists { columns: 3, ..Lists::default() };
        let mut state = 7u32;
        let mut draw = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32
        };
        for _ in 0..200 {
            let rows: Vec<f32> = (0..30).map(|_| draw()).collect();
            let value = |row: usize| rows[row * 3] - rows[row * 3 + 1];
            let right = (0..10).max_by(|one, two| value(*one).total_cmp(&value(*two))).expect("because there are ten");
            lists.push(&rows, right);
        }
        lists
    }

    #[test]
    fn what_decides_is_learned_and_noise_is_not() {
        let lists = lists();
        let forest = Forest::grow(&lists, GROWTH);
        let mut start = 0;
        let mut hits = 0;
        for (&end, &right) in lists.ends.iter().zip(&lists.right) {
            let score = |row: usize| forest.score(&lists.values[row * 3..row * 3 + 3]);
            let best = (start..end).max_by(|one, two| score(*one).total_cmp(&score(*two)));
            hits += usize::from(best == Some(right));
            start = end;
        }
        assert!(hits > 150, "{hits} of 200");
        let questions = forest.questions(3);
        assert!(questions[2] * 4 < questions[0] + questions[1], "{questions:?}");
    }

    #[test]
    fn lists_that_are_put_together_are_those_that_were_pushed() {
        let (mut one, mut two, mut both) =
            (Lists { columns: 2, ..Lists::default() }, Lists::default(), Lists::default());
        (two.columns, both.columns) = (2, 2);
        for lists in [&mut one, &mut both] {
            lists.push(&[1.0, 2.0, 3.0, 4.0], 1);
        }
        for lists in [&mut two, &mut both] {
            lists.push(&[5.0, 6.0], 0);
        }
        one.append(&two);
        assert_eq!((one.values, one.ends, one.right), (both.values, both.ends, both.right));
    }

    #[test]
    fn growing_is_the_same_each_time_and_survives_text() {
        let lists = lists();
        let forest = Forest::grow(&lists, GROWTH);
        assert_eq!(forest, Forest::grow(&lists, GROWTH));
        let text = serde_json::to_string(&forest).expect("because it is plain");
        assert_eq!(serde_json::from_str::<Forest>(&text).expect("because it was just written"), forest);
    }

    #[test]
    fn rows_that_are_too_short_score_as_if_their_values_were_low() {
        let forest = Forest::grow(&lists(), GROWTH);
        assert!(forest.score(&[]).is_finite());
        assert_eq!(Forest::default().score(&[1.0]), 0.0);
    }
}
