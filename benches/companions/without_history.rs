//! Learns the ranking of companions once more without anything that history tells, and measures it beside the default one:
//! `cargo run --release -p precedent-bot --example without_history -- STORE… -- CLONE=STORE=LAST…`, where LAST is a number of
//! steps, or a share as `20%`. What it learns from, and how it is measured, is as `docs/replay.md` has it.
#![expect(clippy::print_stdout, reason = "it tells what it found")]

use std::error::Error;
use std::path::Path;

use precedent_bot::companions::authors::Authors;
use precedent_bot::companions::features::{FILE_COLUMNS, NODE_COLUMNS};
use precedent_bot::companions::ledger::{Ledger, Line};
use precedent_bot::companions::protocol::{Asked, Query, file_queries, node_queries, walk};
use precedent_bot::companions::ranking::{Weights, mailmap};
use precedent_bot::companions::texts::AllTexts;
use precedent_pipeline::archive::Archive;
use precedent_pipeline::eval::Figure;
use precedent_pipeline::forest::{Forest, Growth, Lists, Loss};
use precedent_pipeline::history::Repository;
use precedent_pipeline::shard::Store;

/// As in `bot/examples/companions.rs`, which made the default weights.
const FROM: f64 = 0.05;
const TO: f64 = 0.8;
const MOST_STEPS: f64 = 800.0;
const GROWTH: Growth = Growth { trees: 240, depth: 6, rate: 0.1, ridge: 3.0, loss: Loss::List, share: 1.0, bins: 48 };
const BEST: usize = 12;
const BY_CHANCE: usize = 40;

/// Columns that past changes fill; all others are of texts, names and places.
const HISTORY: [&str; 23] = [
    "most_share",
    "sum_of_shares",
    "sources",
    "most_together",
    "likeness",
    "most_likeness",
    "since_together",
    "share_of_its_own",
    "likeness_to_best",
    "share_to_best",
    "steps",
    "since_changed",
    "age",
    "author_since",
    "author_count",
    "author_share",
    "file_share",
    "file_likeness",
    "file_since",
    "node_share",
    "by_files_share",
    "by_files_likeness",
    "since_by_files",
];
/// What looks best by one of these is learned from, besides the right row and some by chance.
const LOOKS: [&[&str]; 2] = [
    &["text_overlap", "vector", "changed_to_best", "pairs_to_best", "lines_to_best", "name_words", "share_of_file"],
    &["common_path", "same_stem", "stem_in_texts", "stem_in_change", "same_directory", "path_words", "node_belief"],
];

/// Passes over all lists, and the step size, for the linear ranking.
const PASSES: usize = 8;
const RATE: f32 = 0.1;

fn columns(task: usize) -> &'static [&'static str] {
    [&NODE_COLUMNS[..], &FILE_COLUMNS[..]][task]
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (stores, held) = arguments.split_at(arguments.iter().position(|one| one == "--").unwrap_or(arguments.len()));
    let mut learned = [0, 1].map(|task| Lists { columns: columns(task).len(), ..Lists::default() });
    // What nodes say of their files is said by a ranking of nodes that knows no history either.
    let mut nodes = Forest::default();
    for task in [0, 1] {
        for store in stores {
            gather(Path::new(store), task, &nodes, &mut learned[task])?;
            println!("{store}: {} lists so far", learned[task].ends.len());
        }
        if task == 0 {
            nodes = Forest::grow(&learned[0], GROWTH);
        }
    }
    let forests = [nodes, Forest::grow(&learned[1], GROWTH)];
    let lines = learned.each_ref().map(linear);
    drop(learned);
    let built_in = Weights::built_in();
    let ways = ["default", "forest", "linear"];
    let mut sums = [[[0f64; 2]; 3]; 2];
    for repository in held.iter().skip(1) {
        let [clone, store, last] = repository.split('=').collect::<Vec<&str>>()[..] else {
            return Err(format!("{repository} is no CLONE=STORE=LAST").into());
        };
        let mut scores: [[Vec<[f64; 2]>; 3]; 2] = Default::default();
        let believed = [&built_in.forests[0], &forests[0]];
        ask(Path::new(clone), Path::new(store), last, believed, &mut |task, [queries, others]| {
            for (way, scores) in scores[task].iter_mut().enumerate() {
                let ranks = if way == 0 { queries } else { others }.iter().map(|query| {
                    let blank = blanked(task, &query.rows);
                    query.rank(&match way {
                        0 => built_in.scores(task, &query.rows),
                        1 => blank.chunks(query.columns).map(|row| forests[task].score(row)).collect(),
                        _ => blank.chunks(query.columns).map(|row| dot(&lines[task], row)).collect(),
                    })
                });
                let ranks: Vec<f64> = ranks.collect();
                let mean =
                    |of: &dyn Fn(f64) -> f64| ranks.iter().map(|rank| of(*rank)).sum::<f64>() / ranks.len() as f64;
                scores.push([mean(&|rank| 1.0 / rank), mean(&|rank| f64::from(u8::from(rank <= 10.0)))]);
            }
        })?;
        for (task, kind) in ["function", "file"].iter().enumerate() {
            for (way, name) in ways.iter().enumerate() {
                let [mrr, recall] = [0, 1]
                    .map(|at| Figure::of(&scores[task][way].iter().map(|step| step[at]).collect::<Vec<f64>>(), 0));
                sums[task][way][0] += mrr.value;
                sums[task][way][1] += recall.value;
                println!(
                    "{clone} {kind} {name}: N {} MRR {:.3} ({:.3} to {:.3}) recall@10 {:.3} ({:.3} to {:.3})",
                    scores[task][way].len(),
                    mrr.value,
                    mrr.low,
                    mrr.high,
                    recall.value,
                    recall.low,
                    recall.high
                );
            }
        }
    }
    let count = held.len().saturating_sub(1) as f64;
    for (task, kind) in ["function", "file"].iter().enumerate() {
        for (way, name) in ways.iter().enumerate() {
            let [mrr, recall] = sums[task][way].map(|sum| sum / count);
            println!("mean {kind} {name}: MRR {mrr:.3} recall@10 {recall:.3}");
        }
    }
    Ok(())
}

/// Opens a store: its archive, its texts, and the line up to its tip.
fn open(store: &Path) -> Result<(Archive, u32), Box<dyn Error>> {
    let archive = Archive::open(Store::open(store)?.ok_or("there is no store")?)?;
    let tip = archive.store().manifest().tips.first().and_then(|tip| archive.number(tip)).ok_or("it has no tip")?;
    Ok((archive, tip))
}

/// Adds the lists of one repository, of nodes (0) or of files (1).
fn gather(store: &Path, task: usize, nodes: &Forest, learned: &mut Lists) -> Result<(), Box<dyn Error>> {
    let (archive, tip) = open(store)?;
    let texts = AllTexts::read(archive.store())?;
    let line = Line::of(&archive, tip);
    let steps = line.spine.len() as f64;
    let stride = ((TO - FROM) * steps / MOST_STEPS).ceil().max(1.0) as usize;
    let wants = |at: usize| (FROM * steps..TO * steps).contains(&(at as f64)) && at.is_multiple_of(stride);
    walk(&archive, &line, &mut Ledger::default(), &texts, wants, &mut |asked| {
        for query in queries(asked, &texts, task, nodes) {
            push(task, learned, &query);
        }
    });
    Ok(())
}

/// Shows the queries of the last steps of a repository to `each`, a step at a time: twice, with what either ranking of nodes
/// says of files.
fn ask(
    clone: &Path,
    store: &Path,
    last: &str,
    believed: [&Forest; 2],
    each: &mut dyn FnMut(usize, [&[Query]; 2]),
) -> Result<(), Box<dyn Error>> {
    let (archive, tip) = open(store)?;
    let repository = Repository::discover(clone)?;
    let texts = AllTexts::read(archive.store())?;
    let line = Line::of(&archive, tip);
    let steps = line.spine.len();
    let count = match last.strip_suffix('%') {
        Some(share) => (steps as f64 * share.parse::<f64>()? / 100.0).round() as usize,
        None => last.parse()?,
    };
    let first = steps - count.min(steps);
    let mut ledger = Ledger::new(Authors::new(mailmap(&repository.objects(), &archive.commit(tip).id)));
    walk(&archive, &line, &mut ledger, &texts, |at| at >= first, &mut |asked| {
        for task in [0, 1] {
            let [one, two] = believed.map(|nodes| queries(asked, &texts, task, nodes));
            if !one.is_empty() {
                each(task, [&one, &two]);
            }
        }
    });
    Ok(())
}

fn queries(asked: &Asked<'_>, texts: &AllTexts, task: usize, nodes: &Forest) -> Vec<Query> {
    match task {
        0 => node_queries(asked.ledger, asked.preview, &asked.question, texts),
        _ => file_queries(asked.ledger, asked.preview, &asked.question, texts, nodes),
    }
}

/// The rows with all that history tells set to 0.
fn blanked(task: usize, rows: &[f32]) -> Vec<f32> {
    let keeps: Vec<bool> = columns(task).iter().map(|name| !HISTORY.contains(name)).collect();
    rows.iter().zip(keeps.iter().cycle()).map(|(value, keeps)| if *keeps { *value } else { 0.0 }).collect()
}

/// The right row, those that look best by one feature or another, and some by chance.
fn push(task: usize, lists: &mut Lists, query: &Query) {
    let columns = LOOKS[task].iter().filter_map(|look| columns(task).iter().position(|name| name == look));
    let greatest: Vec<(Vec<f32>, usize)> = columns.map(|column| (query.scores(|row| row[column]), BEST)).collect();
    let Some((chosen, right)) = query.sample(&greatest, BY_CHANCE) else { return };
    let rows: Vec<f32> = chosen.iter().flat_map(|at| query.row(*at)).copied().collect();
    lists.push(&blanked(task, &rows), right);
}

fn dot(weights: &[f32], row: &[f32]) -> f32 {
    weights.iter().zip(row).map(|(weight, value)| weight * value).sum()
}

/// A weight for each column: logistic regression on the same loss as the forest's, list by list, with AdaGrad's step sizes.
fn linear(lists: &Lists) -> Vec<f32> {
    let (mut weights, mut squares) = (vec![0f32; lists.columns], vec![1e-2f32; lists.columns]);
    for _ in 0..PASSES {
        let mut start = 0;
        for &end in &lists.ends {
            let row = |at: usize| &lists.values[at * lists.columns..(at + 1) * lists.columns];
            let scores: Vec<f32> = (start..end).map(|at| dot(&weights, row(at))).collect();
            let most = scores.iter().copied().fold(f32::MIN, f32::max);
            let sum: f32 = scores.iter().map(|score| (score - most).exp()).sum();
            let mut slopes = vec![0f32; lists.columns];
            for (at, score) in (start..end).zip(&scores) {
                let slope = (score - most).exp() / sum - f32::from(u8::from(lists.right[at]));
                for (total, value) in slopes.iter_mut().zip(row(at)) {
                    *total += slope * value;
                }
            }
            for ((weight, square), slope) in weights.iter_mut().zip(&mut squares).zip(&slopes) {
                *square += slope * slope;
                *weight -= RATE * slope / square.sqrt();
            }
            start = end;
        }
    }
    weights
}
