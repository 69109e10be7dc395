//! Trees: what a sum of signals misses, for questions in words.
//!
//! A forest that was grown upon the sum, by `training/ranking/trees.rs`. Where little of a question is said in its words
//! anywhere, or nothing is very near to it, other signals tell what is meant: so it is asked about those of the list as a
//! whole, too. docs/ranking.md has the measurements.

use std::sync::OnceLock;

use super::rank::{SIGNALS, Signals};
use crate::forest::Forest;

/// Signals that a row of the forest has. The others are judgement's alone, or history's.
const ASKED: [&str; 18] = [
    "meaning",
    "words",
    "called",
    "path",
    "container",
    "coherence",
    "apart",
    "callable",
    "size",
    "private",
    "prose",
    "akin",
    "common",
    "declared",
    "container-akin",
    "container-said",
    "covered",
    "similar",
];
/// Of these the best of the list and the mean of its ten best stand in each row, behind the row's own.
const OF_LIST: [&str; 2] = ["covered", "similar"];
/// How many of the best are looked at.
const BEST: usize = 10;
/// Values of a row.
pub const COLUMNS: usize = ASKED.len() + 2 * OF_LIST.len();

/// The rows of a list of candidates, one after the other.
pub fn rows(signals: &[Signals]) -> Vec<f32> {
    let column = |name: &str| SIGNALS.iter().position(|signal| *signal == name);
    let of_list = OF_LIST.iter().filter_map(|name| column(name)).flat_map(|column| {
        let mut values: Vec<f32> = signals.iter().map(|row| row[column]).collect();
        values.sort_unstable_by(|one, two| two.total_cmp(one));
        values.truncate(BEST);
        let mean = values.iter().sum::<f32>() / values.len().max(1) as f32;
        [values.first().copied().unwrap_or(0.0), mean]
    });
    let of_list: Vec<f32> = of_list.collect();
    let asked: Vec<usize> = ASKED.iter().filter_map(|name| column(name)).collect();
    signals.iter().flat_map(|row| asked.iter().map(|column| row[*column]).chain(of_list.iter().copied())).collect()
}

/// What to add to the sum of each candidate of a list.
pub(super) fn corrections(signals: &[Signals]) -> Vec<f32> {
    static FOREST: OnceLock<Forest> = OnceLock::new();
    let forest =
        FOREST.get_or_init(|| serde_json::from_str(include_str!("trees.json")).expect("because a test has read it"));
    rows(signals).chunks(COLUMNS).map(|row| forest.score(row)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_its_signals_and_those_of_its_list() {
        let at = |name: &str| SIGNALS.iter().position(|signal| *signal == name).expect("because it is one");
        let mut list = vec![[0.0; SIGNALS.len()]; 12];
        for (place, row) in list.iter_mut().enumerate() {
            row[at("meaning")] = 0.5;
            row[at("covered")] = place as f32 / 100.0;
            row[at("similar")] = 0.3;
        }
        let rows = rows(&list);
        assert_eq!(rows.len(), 12 * COLUMNS);
        let row = &rows[3 * COLUMNS..4 * COLUMNS];
        assert_eq!((row[0], row[16], row[17]), (0.5, 0.03, 0.3));
        let expected = [0.11, 0.065, 0.3, 0.3];
        assert!(row[18..].iter().zip(expected).all(|(one, two)| (one - two).abs() < 1e-5), "{row:?}");
        assert!(super::rows(&[]).is_empty());
    }

    #[test]
    fn every_signal_that_is_asked_about_is_one() {
        assert!(ASKED.iter().chain(&OF_LIST).all(|name| SIGNALS.contains(name)));
    }

    #[test]
    fn the_forest_is_read_and_tells_candidates_apart() {
        let mut list = vec![[0.0; SIGNALS.len()]; 2];
        list[1] = [0.8; SIGNALS.len()];
        let corrections = corrections(&list);
        assert!(corrections.iter().all(|correction| correction.is_finite()) && corrections[0] != corrections[1]);
    }
}
