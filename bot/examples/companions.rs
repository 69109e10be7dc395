//! Learns the default weights of companions from the first 80 % of the steps of some repositories:
//! `cargo run --release -p precedent-bot --example companions -- OUT.json STORE…`. See `docs/replay.md`.
//!
//! It goes over them twice. The first time it learns to rank nodes from the stores at even and at odd places apart. The
//! second time each store is asked about with what the *other* half taught: for the nodes that are wrongly thought much
//! of, from which most is to be learned, and for what nodes say of their files.
#![expect(clippy::print_stdout, reason = "it tells what it learned from")]

use std::error::Error;
use std::path::Path;

use precedent_bot::companions::features::{FILE_COLUMNS, NODE_COLUMNS};
use precedent_bot::companions::ledger::{Ledger, Line};
use precedent_bot::companions::protocol::{Query, file_queries, node_queries, walk};
use precedent_bot::companions::texts::AllTexts;
use precedent_pipeline::archive::Archive;
use precedent_pipeline::forest::{Forest, Growth, Lists, Loss};
use precedent_pipeline::shard::Store;
use rayon::prelude::*;

/// The shares of a repository's steps between which it is learned from: the first ones have nothing before them, the last
/// ones are kept.
const FROM: f64 = 0.05;
const TO: f64 = 0.8;
/// Steps of one repository at the most, spread evenly, so that a large one does not drown the others.
const MOST_STEPS: f64 = 800.0;
const GROWTH: Growth = Growth { trees: 240, depth: 6, rate: 0.1, ridge: 3.0, loss: Loss::List, share: 1.0, bins: 48 };
/// Features whose greatest values are looked at, and how many of each.
const OF_NODES: [&str; 8] = [
    "most_share",
    "likeness",
    "author_since",
    "changed_to_best",
    "text_overlap",
    "pairs_to_best",
    "lines_to_best",
    "vector",
];
const OF_FILES: [&str; 7] =
    ["most_share", "likeness", "author_since", "node_share", "common_path", "path_words", "node_belief"];
const BEST: usize = 8;
/// How many of those that are thought most of, and how many by chance.
const BELIEVED: usize = 40;
const BY_CHANCE: usize = 30;

/// What a thread that fails says.
type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (out, stores) = arguments.split_first().ok_or("name a file to write, then stores")?;
    let mut halves = [lists(NODE_COLUMNS.len()), lists(NODE_COLUMNS.len())];
    for (at, (nodes, _)) in gathered(stores, |_| None)?.into_iter().enumerate() {
        halves[at % 2].append(&nodes);
    }
    let halves = halves.map(|lists| Forest::grow(&lists, GROWTH));
    let (mut nodes, mut files) = (lists(NODE_COLUMNS.len()), lists(FILE_COLUMNS.len()));
    for (of_nodes, of_files) in gathered(stores, |at| Some(&halves[1 - at % 2]))? {
        nodes.append(&of_nodes);
        files.append(&of_files);
    }
    println!("{} lists of nodes, {} of files", nodes.ends.len(), files.ends.len());
    std::fs::write(out, serde_json::to_string(&[Forest::grow(&nodes, GROWTH), Forest::grow(&files, GROWTH)])?)?;
    Ok(())
}

/// The lists of every repository, in their order; those of files only where `others` ranks nodes.
fn gathered<'f>(
    stores: &[String],
    others: impl Fn(usize) -> Option<&'f Forest> + Sync,
) -> Result<Vec<(Lists, Lists)>, Failure> {
    let gather = |(at, store): (usize, &String)| {
        let found = gather(Path::new(store), others(at))?;
        println!("{store}: {} and {} lists", found.0.ends.len(), found.1.ends.len());
        Ok(found)
    };
    stores.par_iter().enumerate().map(gather).collect()
}

fn lists(columns: usize) -> Lists {
    Lists { columns, ..Lists::default() }
}

fn gather(store: &Path, others: Option<&Forest>) -> Result<(Lists, Lists), Failure> {
    let (mut nodes, mut files) = (lists(NODE_COLUMNS.len()), lists(FILE_COLUMNS.len()));
    let archive = Archive::open(Store::open(store)?.ok_or("there is no store")?)?;
    let texts = AllTexts::read(archive.store())?;
    let tip = archive.store().manifest().tips.first().and_then(|tip| archive.number(tip)).ok_or("it has no tip")?;
    let line = Line::of(&archive, tip);
    let steps = line.spine.len() as f64;
    let stride = ((TO - FROM) * steps / MOST_STEPS).ceil().max(1.0) as usize;
    let wants = |at: usize| (FROM * steps..TO * steps).contains(&(at as f64)) && at.is_multiple_of(stride);
    walk(&archive, &line, &mut Ledger::default(), &texts, wants, &mut |asked| {
        for query in node_queries(asked.ledger, asked.preview, &asked.question, &texts) {
            push(&mut nodes, &query, &OF_NODES, others);
        }
        let Some(others) = others else { return };
        for query in file_queries(asked.ledger, asked.preview, &asked.question, &texts, others) {
            push(&mut files, &query, &OF_FILES, None);
        }
    });
    Ok((nodes, files))
}

/// The right row, those that look best by one feature or another, or to what was learned before, and some by chance.
fn push(lists: &mut Lists, query: &Query, features: &[&str], believed: Option<&Forest>) {
    let names: &[&str] = if query.columns == NODE_COLUMNS.len() { &NODE_COLUMNS } else { &FILE_COLUMNS };
    let columns = features.iter().filter_map(|feature| names.iter().position(|name| name == feature));
    let mut greatest: Vec<(Vec<f32>, usize)> = columns.map(|column| (query.scores(|row| row[column]), BEST)).collect();
    greatest.extend(believed.map(|forest| (query.scores(|row| forest.score(row)), BELIEVED)));
    let Some((chosen, right)) = query.sample(&greatest, BY_CHANCE) else { return };
    let rows: Vec<f32> = chosen.iter().flat_map(|at| query.row(*at)).copied().collect();
    lists.push(&rows, right);
}
