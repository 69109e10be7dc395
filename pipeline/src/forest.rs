//! Forest: boosted trees that rank a list, and how they are grown. Pure.
//!
//! Each tree asks the same question of all rows at a level ("oblivious" trees, as in Prokhorenkova et al., "CatBoost",
//! 2018), so that a tree of depth d is d comparisons and a table of 2^d values. They are grown by gradient boosting
//! (Friedman, 2001) on the list-wise loss: the cross entropy between the softmax of a list's scores and the row of it that
//! was right (Cao et al., "Learning to rank: from pairwise approach to listwise approach", 2007); or on pairs of a right and
//! a wrong row, each by what the list would gain were they in the other order (Burges, "From RankNet to LambdaRank to
//! LambdaMART", 2010).

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
    /// What is made small.
    pub loss: Loss,
    /// The share of the columns that a tree may ask about, drawn anew for each tree.
    pub share: f64,
    /// In how many parts at the most the values of a column are cut.
    pub bins: u8,
}

/// What a forest makes small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The cross entropy of each list, by its right row.
    List,
    /// What each list lacks of the best order of its first rows.
    Order,
}

/// Lists to learn from: rows of `columns` values, lists of consecutive rows, in each list some rows that are right.
#[derive(Debug, Clone, Default)]
pub struct Lists {
    /// Values a row.
    pub columns: usize,
    /// Row after row.
    pub values: Vec<f32>,
    /// Where each list ends, in rows.
    pub ends: Vec<usize>,
    /// Whether each row is right.
    pub right: Vec<bool>,
    /// What each row scores without a forest.
    pub base: Vec<f32>,
    /// What each list counts for.
    pub weights: Vec<f32>,
}

impl Lists {
    /// Adds a list that counts once, with one right row, counted within it.
    pub fn push(&mut self, rows: &[f32], right: usize) {
        let count = rows.len() / self.columns;
        let right: Vec<bool> = (0..count).map(|row| row == right).collect();
        self.push_list(rows, &right, &vec![0.0; count], 1.0);
    }

    /// Adds a list: its rows, whether each is right, what each scores without a forest, and what the list counts for.
    pub fn push_list(&mut self, rows: &[f32], right: &[bool], base: &[f32], weight: f32) {
        self.values.extend_from_slice(rows);
        self.right.extend_from_slice(right);
        self.base.extend_from_slice(base);
        self.weights.push(weight);
        self.ends.push(self.rows() + right.len());
    }

    /// Adds the lists of another, behind these.
    pub fn append(&mut self, other: &Lists) {
        let start = self.rows();
        self.values.extend_from_slice(&other.values);
        self.ends.extend(other.ends.iter().map(|end| start + end));
        self.right.extend_from_slice(&other.right);
        self.base.extend_from_slice(&other.base);
        self.weights.extend_from_slice(&other.weights);
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }
}

/// Rows of a list whose order counts.
const FIRST: usize = 15;
/// Added to the distance of two scores, so that what is near each other counts more.
const NEAR: f32 = 0.01;

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

    /// The same forest, its scores so many times as large.
    #[must_use]
    pub fn scaled(mut self, times: f64) -> Forest {
        for leaf in self.trees.iter_mut().flat_map(|tree| &mut tree.leaves) {
            *leaf = ((f64::from(*leaf) * times * 1e5).round() / 1e5) as f32;
        }
        self
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
        let thresholds: Vec<Vec<f32>> =
            (0..columns).map(|column| quantiles(lists, column, usize::from(growth.bins))).collect();
        // Column after column, so that a column's histogram reads it in order.
        let mut bins = vec![0u8; rows * columns];
        for column in 0..columns {
            for row in 0..rows {
                let value = lists.values[row * columns + column];
                bins[column * rows + row] = thresholds[column].partition_point(|threshold| *threshold < value) as u8;
            }
        }
        let mut forest = Forest::default();
        let mut scores = lists.base.clone();
        let mut draws = Draws(1);
        for _ in 0..growth.trees {
            let asked: Vec<bool> = (0..columns).map(|_| draws.next() < growth.share).collect();
            let (slopes, curves) = slopes(lists, &scores, growth.loss);
            let (tree, leaf_of) = tree(&bins, &thresholds, &slopes, &curves, &asked, growth);
            for (score, leaf) in scores.iter_mut().zip(&leaf_of) {
                *score += tree.leaves[usize::from(*leaf)];
            }
            forest.trees.push(tree);
        }
        forest
    }
}

/// Values that cut a column into parts of equal size; a value is in the bin of the first threshold that is not below it.
fn quantiles(lists: &Lists, column: usize, bins: usize) -> Vec<f32> {
    let mut values: Vec<f32> = lists.values.iter().skip(column).step_by(lists.columns).copied().collect();
    values.sort_unstable_by(f32::total_cmp);
    values.dedup();
    let step = (values.len() as f64 / bins as f64).max(1.0);
    let mut thresholds: Vec<f32> = (1..bins)
        .map(|bin| (bin as f64 * step) as usize)
        .take_while(|at| *at < values.len())
        .map(|at| values[at - 1])
        .collect();
    thresholds.dedup();
    thresholds
}

/// First and second derivatives of the loss by each row's score.
fn slopes(lists: &Lists, scores: &[f32], loss: Loss) -> (Vec<f32>, Vec<f32>) {
    let (mut slopes, mut curves) = (vec![0f32; scores.len()], vec![0f32; scores.len()]);
    let mut start = 0;
    for (&end, &weight) in lists.ends.iter().zip(&lists.weights) {
        let (scores, right) = (&scores[start..end], &lists.right[start..end]);
        let sums = (&mut slopes[start..end], &mut curves[start..end]);
        match loss {
            Loss::List => of_list(scores, right, weight, sums),
            Loss::Order => of_order(scores, right, weight, sums),
        }
        start = end;
    }
    (slopes, curves)
}

fn of_list(scores: &[f32], right: &[bool], weight: f32, (slopes, curves): (&mut [f32], &mut [f32])) {
    let most = scores.iter().copied().fold(f32::MIN, f32::max);
    let rises: Vec<f32> = scores.iter().map(|score| (score - most).exp()).collect();
    let sum: f32 = rises.iter().sum();
    let of_right: f32 = rises.iter().zip(right).filter(|(_, right)| **right).map(|(rise, _)| rise).sum();
    for (row, rise) in rises.iter().enumerate() {
        let share = rise / sum;
        let wanted = if right[row] { rise / of_right.max(f32::MIN_POSITIVE) } else { 0.0 };
        slopes[row] = weight * (share - wanted);
        curves[row] = weight * (share * (1.0 - share)).max(1e-6);
    }
}

fn of_order(scores: &[f32], right: &[bool], weight: f32, (slopes, curves): (&mut [f32], &mut [f32])) {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|one, two| scores[*two].total_cmp(&scores[*one]).then(one.cmp(two)));
    let discount = |rank: usize| 1.0 / (rank as f32 + 2.0).log2();
    let best: f32 = (0..right.iter().filter(|right| **right).count().min(FIRST)).map(discount).sum();
    let mut pulls: Vec<(usize, f32, f32)> = Vec::new();
    for (rank, &row) in order.iter().enumerate().take(FIRST) {
        for (behind, &other) in order.iter().enumerate().skip(rank + 1) {
            if right[row] == right[other] {
                continue;
            }
            let (good, bad) = if right[row] { (row, other) } else { (other, row) };
            let apart = scores[good] - scores[bad];
            let gain = (discount(rank) - discount(behind)) / best / (NEAR + apart.abs());
            let doubt = 1.0 / (1.0 + apart.exp());
            let (pull, curve) = (doubt * gain, doubt * (1.0 - doubt) * gain);
            pulls.extend([(good, -pull, curve), (bad, pull, curve)]);
        }
    }
    // A list with many pairs counts little more than one with few.
    let total: f32 = pulls.iter().map(|(_, pull, _)| pull.abs()).sum();
    let share = if total > 0.0 { weight * (1.0 + total).log2() / total } else { 0.0 };
    for (row, pull, curve) in pulls {
        slopes[row] += share * pull;
        curves[row] += share * curve;
    }
}

/// Numbers from 0 to 1, the same each time.
struct Draws(u32);

impl Draws {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(self.0 >> 8) / f64::from(1u32 << 24)
    }
}

fn tree(
    bins: &[u8],
    thresholds: &[Vec<f32>],
    slopes: &[f32],
    curves: &[f32],
    asked: &[bool],
    growth: Growth,
) -> (Tree, Vec<u8>) {
    let rows = slopes.len();
    let mut leaf_of = vec![0u8; rows];
    let mut splits = Vec::new();
    for level in 0..growth.depth {
        let leaves = 1 << level;
        let leaves_of = leaf_of.as_slice();
        let of_columns: Vec<Option<(f64, usize, usize)>> = (0..thresholds.len())
            .into_par_iter()
            .filter(|column| asked[*column])
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

    const GROWTH: Growth =
        Growth { trees: 30, depth: 3, rate: 0.3, ridge: 1.0, loss: Loss::List, share: 1.0, bins: 48 };

    /// Lists in which the row with a high first and a low second value is right; the third is noise.
    fn lists() -> Lists {
        let mut lists = Lists { columns: 3, ..Lists::default() };
        let mut draws = Draws(7);
        for _ in 0..200 {
            let rows: Vec<f32> = (0..30).map(|_| draws.next() as f32).collect();
            let value = |row: usize| rows[row * 3] - rows[row * 3 + 1];
            let right = (0..10).max_by(|one, two| value(*one).total_cmp(&value(*two))).expect("because there are ten");
            lists.push(&rows, right);
        }
        lists
    }

    /// In how many lists the row that scores most is right.
    fn hits(lists: &Lists, forest: &Forest) -> usize {
        let score = |row: usize| lists.base[row] + forest.score(&lists.values[row * 3..row * 3 + 3]);
        let (mut start, mut hits) = (0, 0);
        for &end in &lists.ends {
            let best = (start..end).max_by(|one, two| score(*one).total_cmp(&score(*two)));
            hits += usize::from(best.is_some_and(|best| lists.right[best]));
            start = end;
        }
        hits
    }

    #[test]
    fn what_decides_is_learned_and_noise_is_not() {
        let lists = lists();
        for loss in [Loss::List, Loss::Order] {
            let forest = Forest::grow(&lists, Growth { loss, ..GROWTH });
            let hits = hits(&lists, &forest);
            assert!(hits > 150, "{loss:?}: {hits} of 200");
            let questions = forest.questions(3);
            assert!(questions[2] * 4 < questions[0] + questions[1], "{loss:?}: {questions:?}");
        }
    }

    #[test]
    fn what_is_known_without_a_forest_is_built_upon() {
        // The first value is known already, so the second is asked about more than it otherwise would be.
        let plain = lists();
        let mut known = plain.clone();
        known.base = plain.values.chunks(3).map(|row| 8.0 * row[0]).collect();
        let none = Forest::default();
        for loss in [Loss::List, Loss::Order] {
            let growth = Growth { loss, ..GROWTH };
            let [anew, upon] = [&plain, &known].map(|lists| Forest::grow(lists, growth));
            let share =
                |forest: &Forest| f64::from(forest.questions(3)[1] as u32) / forest.questions(3)[0].max(1) as f64;
            assert!(share(&upon) > share(&anew), "{loss:?}: {:?} {:?}", upon.questions(3), anew.questions(3));
            assert!(hits(&known, &upon) > hits(&known, &none), "{loss:?}");
        }
    }

    #[test]
    fn a_list_that_counts_for_nothing_teaches_nothing() {
        let mut lists = lists();
        let count = lists.weights.len();
        // Half of the lists say the contrary.
        for list in count / 2..count {
            let rows = lists.ends[list - 1]..lists.ends[list];
            let value = |row: usize| lists.values[row * 3] - lists.values[row * 3 + 1];
            let worst = rows.clone().min_by(|one, two| value(*one).total_cmp(&value(*two)));
            rows.for_each(|row| lists.right[row] = worst == Some(row));
        }
        let mut first = lists.clone();
        first.ends.truncate(count / 2);
        let learned = |weight: f32| {
            let mut lists = lists.clone();
            lists.weights[count / 2..].fill(weight);
            hits(&first, &Forest::grow(&lists, GROWTH))
        };
        let [without, with] = [0.0, 1.0].map(learned);
        assert!(without > with + 20, "{without} of the first {} without the contrary, {with} with it", count / 2);
    }

    #[test]
    fn a_tree_asks_about_the_columns_that_it_may_ask_about() {
        let lists = lists();
        let growth = Growth { share: 0.5, trees: 200, ..GROWTH };
        let questions = Forest::grow(&lists, growth).questions(3);
        assert!(questions[2] > 0, "some trees may ask about the third alone: {questions:?}");
        assert_eq!(Forest::grow(&lists, Growth { share: 0.0, ..GROWTH }).questions(3), [0; 3]);
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
        assert_eq!((one.base, one.weights), (both.base, both.weights));
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
    fn a_scaled_forest_scores_so_many_times_as_much() {
        let (lists, forest) = (lists(), Forest::grow(&lists(), GROWTH));
        let half = forest.clone().scaled(0.5);
        for row in lists.values.chunks(3).take(50) {
            assert!((half.score(row) - forest.score(row) / 2.0).abs() < 1e-3);
        }
    }

    #[test]
    fn rows_that_are_too_short_score_as_if_their_values_were_low() {
        let forest = Forest::grow(&lists(), GROWTH);
        assert!(forest.score(&[]).is_finite());
        assert_eq!(Forest::default().score(&[1.0]), 0.0);
    }
}
