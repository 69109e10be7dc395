//! Protocol: which past steps are asked about, what is hidden, and how answers are scored.
//!
//! `docs/replay.md` states it in words. Steps are taken in order, and each is asked about before it is learned from.

use precedent_pipeline::archive::Archive;
use precedent_pipeline::forest::Forest;
use precedent_pipeline::syntax::Kind;

use super::features::{Beliefs, FILE_COLUMNS, NODE_COLUMNS, file_rows, node_rows};
use super::ledger::{Ledger, Line, Preview, counts};
use super::names;
use super::question::{Question, Texts, candidates, file_tallies};
use super::ranking::shares;

/// Nodes, and files, of a step that is asked about: at least so many that have a past, and at most.
pub const MEMBERS: std::ops::RangeInclusive<usize> = 2..=20;
/// Members hidden in turn, each in a query of its own; a step counts once whatever their number.
pub const HIDDEN_A_STEP: usize = 3;

/// One query: something was hidden, and these are the candidates.
pub struct Query {
    /// The step, by its place in [`Ledger::steps`].
    pub step: usize,
    /// Candidates, by number.
    pub ids: Vec<u32>,
    /// Their features, row after row.
    pub rows: Vec<f32>,
    /// Values a row.
    pub columns: usize,
    /// The place of the hidden one among them; `None` when it is not there.
    pub right: Option<usize>,
    /// How many members of the step are hidden in turn.
    pub turns: usize,
}

impl Query {
    /// The rank of the right answer among scores, from 1; ties count as their mean. Infinite when it is not there.
    pub fn rank(&self, scores: &[f32]) -> f64 {
        let Some(right) = self.right else { return f64::INFINITY };
        let own = scores[right];
        let above = scores.iter().filter(|score| **score > own).count();
        let equal = scores.iter().filter(|score| **score == own).count();
        1.0 + above as f64 + (equal.saturating_sub(1)) as f64 / 2.0
    }

    /// A row's values.
    pub fn row(&self, at: usize) -> &[f32] {
        &self.rows[at * self.columns..(at + 1) * self.columns]
    }

    /// Rows to learn from, in order, and the place of the right one among them: the right one, those with the greatest of some
    /// values, so many of each, and some by chance, the same each time. `None` where the right one is not there.
    pub fn sample(&self, greatest: &[(Vec<f32>, usize)], by_chance: usize) -> Option<(Vec<usize>, usize)> {
        let right = self.right?;
        let mut chosen = vec![right];
        for (values, count) in greatest {
            let mut order: Vec<usize> = (0..values.len()).collect();
            order.sort_by(|one, two| values[*two].total_cmp(&values[*one]).then(one.cmp(two)));
            chosen.extend(order.into_iter().take(*count));
        }
        let mut state = self.step as u32 ^ 0x9e37_79b9;
        for _ in 0..by_chance {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            chosen.push((state >> 8) as usize % self.ids.len());
        }
        chosen.sort_unstable();
        chosen.dedup();
        let place = chosen.partition_point(|at| *at < right);
        Some((chosen, place))
    }

    /// A score for each row.
    pub fn scores(&self, score: impl Fn(&[f32]) -> f32) -> Vec<f32> {
        (0..self.ids.len()).map(|at| score(self.row(at))).collect()
    }
}

/// The members of a step that may be hidden: functions and tests that are there before it.
fn hideable(ledger: &Ledger, preview: &Preview) -> Vec<u32> {
    let is_function = |id: &u32| {
        let kind = &*ledger.nodes[*id as usize].kind;
        kind == Kind::Function.as_str() || kind == Kind::Test.as_str()
    };
    preview.nodes.iter().filter_map(|touched| touched.id).filter(is_function).collect()
}

/// A few members, the same whatever else is in the step.
fn drawn(members: Vec<u32>, key: impl Fn(u32) -> u32) -> Vec<u32> {
    let mut members = members;
    members.sort_by_key(|id| (key(*id), *id));
    members.dedup();
    members.truncate(HIDDEN_A_STEP);
    members
}

/// The queries that hide a function of a step.
pub fn node_queries(ledger: &Ledger, preview: &Preview, question: &Question, texts: &dyn Texts) -> Vec<Query> {
    let with_past = preview.nodes.iter().filter(|touched| touched.id.is_some() && counts(&touched.kind)).count();
    if !MEMBERS.contains(&with_past) || preview.files.len() > super::ledger::MAX_FILES_IN_STEP {
        return Vec::new();
    }
    let key = |id: u32| {
        let node = &ledger.nodes[id as usize];
        names::hash(&format!("{}#{}@{}", node.path, node.symbol, ledger.steps.len()))
    };
    let mut queries: Vec<Query> = drawn(hideable(ledger, preview), key)
        .into_iter()
        .filter_map(|hidden| {
            let question = question.without(ledger, hidden);
            if !question.seen.iter().any(|seen| counts(&seen.kind)) {
                return None;
            }
            let (tallies, files) = candidates(ledger, &question);
            let rows = node_rows(ledger, &question, (&tallies, &files), texts);
            let right = tallies.ids.iter().position(|id| *id == hidden);
            Some(Query {
                step: ledger.steps.len(),
                ids: tallies.ids,
                rows,
                columns: NODE_COLUMNS.len(),
                right,
                turns: 0,
            })
        })
        .collect();
    let turns = queries.len();
    queries.iter_mut().for_each(|query| query.turns = turns);
    queries
}

/// The queries that hide a file of a step; `nodes` ranks the nodes that might belong to what is left.
pub fn file_queries(
    ledger: &Ledger,
    preview: &Preview,
    question: &Question,
    texts: &dyn Texts,
    nodes: &Forest,
) -> Vec<Query> {
    let members: Vec<u32> = preview.files.iter().filter_map(|touched| touched.id).collect();
    if !MEMBERS.contains(&members.len()) || preview.files.len() > super::ledger::MAX_FILES_IN_STEP {
        return Vec::new();
    }
    let key = |id: u32| names::hash(&format!("{}@{}", ledger.files[id as usize].path, ledger.steps.len()));
    let hidden = drawn(members, key);
    let turns = hidden.len();
    hidden
        .into_iter()
        .map(|hidden| {
            let question = question.without_file(ledger, hidden);
            let tallies = file_tallies(ledger, &question);
            let beliefs = beliefs(ledger, &question, texts, nodes);
            let (ids, rows) = file_rows(ledger, &question, &tallies, &beliefs);
            let right = ids.iter().position(|id| *id == hidden);
            Query { step: ledger.steps.len(), ids, rows, columns: FILE_COLUMNS.len(), right, turns }
        })
        .collect()
}

/// How the belief of a ranking of nodes is spread over files.
fn beliefs(ledger: &Ledger, question: &Question, texts: &dyn Texts, nodes: &Forest) -> Beliefs {
    let (tallies, files) = candidates(ledger, question);
    let rows = node_rows(ledger, question, (&tallies, &files), texts);
    let scores: Vec<f32> = rows.chunks(NODE_COLUMNS.len()).map(|row| nodes.score(row)).collect();
    Beliefs::of(ledger, tallies.ids.iter().copied().zip(shares(&scores)))
}

/// A step before it is taken.
pub struct Asked<'w> {
    /// What is known.
    pub ledger: &'w Ledger,
    /// What the step does.
    pub preview: &'w Preview,
    /// The question that it is.
    pub question: Question,
    /// Its place on the line.
    pub at: usize,
}

/// Takes every step of a line in order; steps for which `wants` says so are first shown to `each`. What bots alone wrote
/// is not asked about.
pub fn walk(
    archive: &Archive,
    line: &Line<'_>,
    ledger: &mut Ledger,
    texts: &dyn Texts,
    wants: impl Fn(usize) -> bool,
    each: &mut dyn FnMut(&Asked<'_>),
) {
    for (at, &commit) in line.spine.iter().enumerate().skip(ledger.steps.len()) {
        let preview = ledger.preview(line.edits(commit));
        let commits = line.commits(commit);
        if wants(at) && !ledger.authors.is_of_bots(archive, commits) {
            let authors = ledger.authors.known_of_step(archive, commits);
            let question = Question::of(&preview, authors, texts);
            each(&Asked { ledger, preview: &preview, question, at });
        }
        ledger.advance(archive, line, commit, &preview);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_the_right_row_the_greatest_and_some_by_chance() {
        let query = |right| Query { step: 3, ids: (0..100).collect(), rows: vec![], columns: 1, right, turns: 1 };
        let values: Vec<f32> = (0..100).map(|at| at as f32).collect();
        let (rows, place) = query(Some(7)).sample(&[(values.clone(), 3)], 0).expect("because the right one is there");
        assert_eq!((rows, place), (vec![7, 97, 98, 99], 0));
        let (rows, place) = query(Some(98)).sample(&[(values, 3)], 20).expect("because the right one is there");
        assert!(rows.len() > 15 && rows.is_sorted() && rows[place] == 98, "{rows:?}");
        assert_eq!(query(None).sample(&[], 20), None);
    }
}
