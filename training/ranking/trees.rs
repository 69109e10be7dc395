//! Grows the trees that correct the ranking of questions in words, upon the weights as they are, from what
//! `precedent eval --judged FILE` wrote of development repositories:
//! `cargo run --release -p precedent-pipeline --example trees -- OUT.json TASK=FILE…`. See `docs/ranking.md`.
//!
//! TASK is a name for what was asked; of those that begin with `asked` any right answer will do. A file's name starts with
//! its repository, `OWNER+NAME.doc.jsonl`. Figures are of trees that were grown from the other half of the repositories
//! than those that they are measured on; the trees that are written are grown from all.
#![expect(clippy::print_stdout, reason = "it tells how good the trees are")]

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::error::Error;
use std::fs;
use std::path::Path;

use precedent_pipeline::eval::Judged;
use precedent_pipeline::forest::{Forest, Growth, Lists, Loss};
use precedent_pipeline::search::{QuestionKind, SIGNALS, Signals, TREE_COLUMNS, sums, tree_rows, weights_of};

const GROWTH: Growth =
    Growth { trees: 150, depth: 4, rate: 0.06, ridge: 20.0, loss: Loss::Order, share: 0.5, bins: 100 };
/// How much the sum of a candidate's signals is worth at the start: the more, the less trees may change.
const SUM: f32 = 6.0;
/// Candidates of a list that are looked at: the right ones, and those with the greatest sums.
const KEPT: usize = 100;
/// What a written question counts for, where a sentence of documentation counts for 1.
const WRITTEN: f32 = 0.5;
/// As search has it.
const FILE_DECAY: f32 = 0.02;
const FIRST: usize = 10;

/// The candidates of a question.
struct Query {
    task: String,
    repository: String,
    /// Whether any right answer will do.
    any: bool,
    golds: usize,
    sums: Vec<f32>,
    rows: Vec<f32>,
    right: Vec<bool>,
    files: Vec<u32>,
}

/// Reciprocal rank and recall among the first ten.
type Outcome = (f64, f64);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (out, files) = arguments.split_first().ok_or("name a file to write, then TASK=FILE…")?;
    let mut queries = Vec::new();
    for file in files {
        let (task, file) = file.split_once('=').ok_or("a file needs its task: TASK=FILE")?;
        read(task, Path::new(file), &mut queries)?;
    }
    let repositories: BTreeSet<&str> = queries.iter().map(|query| &*query.repository).collect();
    let halves: HashMap<&str, usize> = repositories.iter().enumerate().map(|(at, name)| (*name, at % 2)).collect();
    let half_of = |query: &Query| halves[&*query.repository];
    let none = Forest::default();
    println!("{} questions of {} repositories, MRR@10 / recall@10", queries.len(), repositories.len());
    shown("the sum", &queries, |_| &none);
    let grown = [0, 1].map(|half| grow(queries.iter().filter(|query| half_of(query) != half)));
    shown("with trees of the other half", &queries, |query| &grown[half_of(query)]);
    let all = grow(queries.iter());
    println!("questions of the trees of all, by column: {:?}", all.questions(TREE_COLUMNS));
    fs::write(out, serde_json::to_string(&all)? + "\n")?;
    Ok(())
}

/// The questions in words of a file.
fn read(task: &str, file: &Path, queries: &mut Vec<Query>) -> Result<(), Box<dyn Error>> {
    let name = file.file_name().and_then(|name| name.to_str()).ok_or("a file without a name")?;
    let repository = name.split('.').next().unwrap_or(name);
    for line in fs::read_to_string(file)?.lines() {
        let judged: Judged = serde_json::from_str(line)?;
        if judged.kind != QuestionKind::Words || judged.rows.is_empty() {
            continue;
        }
        let signals: Vec<Signals> = judged
            .rows
            .iter()
            .map(|(signals, ..)| signals.as_slice().try_into())
            .collect::<Result<_, _>>()
            .map_err(|_| format!("{name}: there are {} signals now", SIGNALS.len()))?;
        queries.push(Query {
            task: task.to_owned(),
            repository: repository.to_owned(),
            any: task.starts_with("asked"),
            golds: judged.golds,
            sums: sums(&weights_of(QuestionKind::Words), &signals),
            rows: tree_rows(&signals),
            right: judged.rows.iter().map(|row| row.1 == 1).collect(),
            files: judged.rows.iter().map(|row| row.3).collect(),
        });
    }
    Ok(())
}

fn grow<'q>(queries: impl Iterator<Item = &'q Query>) -> Forest {
    let mut lists = Lists { columns: TREE_COLUMNS, ..Lists::default() };
    for query in queries.filter(|query| query.right.contains(&true)) {
        let first = order(&query.sums);
        let mut kept: Vec<usize> = first.iter().take(KEPT).copied().collect();
        kept.extend(first.iter().skip(KEPT).filter(|at| query.right[**at]));
        let rows: Vec<f32> = kept.iter().flat_map(|at| query.row(*at)).copied().collect();
        let right: Vec<bool> = kept.iter().map(|at| query.right[*at]).collect();
        let base: Vec<f32> = kept.iter().map(|at| SUM * query.sums[*at]).collect();
        lists.push_list(&rows, &right, &base, if query.any { WRITTEN } else { 1.0 });
    }
    Forest::grow(&lists, GROWTH).scaled(1.0 / f64::from(SUM))
}

/// Prints the means over repositories for each task.
fn shown<'f>(what: &str, queries: &[Query], forest: impl Fn(&Query) -> &'f Forest) {
    let mut figures: BTreeMap<&str, BTreeMap<&str, Vec<Outcome>>> = BTreeMap::new();
    for query in queries {
        let of_task = figures.entry(&query.task).or_default();
        of_task.entry(&query.repository).or_default().push(query.outcome(forest(query)));
    }
    println!("{what}");
    for (task, repositories) in figures {
        let mean = |all: &[Outcome]| {
            let sum = all.iter().fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
            (sum.0 / all.len() as f64, sum.1 / all.len() as f64)
        };
        let means: Vec<Outcome> = repositories.values().map(|outcomes| mean(outcomes)).collect();
        let (rank, recall) = mean(&means);
        println!("    {task:<16}{rank:.4} / {recall:.4}");
    }
}

impl Query {
    fn row(&self, at: usize) -> &[f32] {
        &self.rows[at * TREE_COLUMNS..(at + 1) * TREE_COLUMNS]
    }

    fn outcome(&self, forest: &Forest) -> Outcome {
        let mut scores: Vec<f32> =
            self.sums.iter().zip(self.rows.chunks(TREE_COLUMNS)).map(|(sum, row)| sum + forest.score(row)).collect();
        let mut seen: HashMap<u32, f32> = HashMap::new();
        for at in order(&scores) {
            let before = seen.entry(self.files[at]).or_default();
            scores[at] -= FILE_DECAY * before.min(4.0);
            *before += 1.0;
        }
        let hits: Vec<usize> = order(&scores)
            .into_iter()
            .take(FIRST)
            .enumerate()
            .filter(|(_, at)| self.right[*at])
            .map(|(rank, _)| rank)
            .collect();
        let Some(first) = hits.first() else { return (0.0, 0.0) };
        let golds = if self.any { 1 } else { self.golds.clamp(1, FIRST) };
        (1.0 / (*first as f64 + 1.0), (hits.len() as f64 / golds as f64).min(1.0))
    }
}

/// Positions by score, the greatest first.
fn order(scores: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|one, two| match scores[*two].total_cmp(&scores[*one]) {
        Ordering::Equal => one.cmp(two),
        other => other,
    });
    order
}
