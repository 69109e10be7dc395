//! Learns the default weights of companions from the first 80 % of the steps of some repositories:
//! `cargo run --release -p precedent-bot --example companions -- OUT.json STORE…`. See `docs/replay.md`.
#![expect(clippy::print_stdout, reason = "it tells what it learned from")]

use std::error::Error;
use std::path::Path;

use precedent_bot::companions::features::{FILE_COLUMNS, NODE_COLUMNS};
use precedent_bot::companions::forest::{Forest, Growth, Lists};
use precedent_bot::companions::ledger::{Ledger, Line};
use precedent_bot::companions::protocol::{Query, file_queries, node_queries, walk};
use precedent_bot::companions::texts::AllTexts;
use precedent_pipeline::archive::Archive;
use precedent_pipeline::shard::Store;

/// The shares of a repository's steps between which it is learned from: the first ones have nothing before them, the last
/// ones are kept.
const FROM: f64 = 0.05;
const TO: f64 = 0.8;
/// Steps of one repository at the most, spread evenly, so that a large one does not drown the others.
const MOST_STEPS: f64 = 800.0;
const GROWTH: Growth = Growth { trees: 120, depth: 6, rate: 0.12, ridge: 3.0 };

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (out, stores) = arguments.split_first().ok_or("name a file to write, then stores")?;
    let lists = |columns| Lists { columns, ..Lists::default() };
    let mut learned = [lists(NODE_COLUMNS.len()), lists(FILE_COLUMNS.len())];
    for store in stores {
        gather(Path::new(store), &mut learned)?;
        println!("{store}: {} and {} lists so far", learned[0].ends.len(), learned[1].ends.len());
    }
    let forests: Vec<Forest> = learned.iter().map(|lists| Forest::grow(lists, GROWTH)).collect();
    std::fs::write(out, serde_json::to_string(&forests)?)?;
    Ok(())
}

/// Adds the lists of one repository.
fn gather(store: &Path, learned: &mut [Lists; 2]) -> Result<(), Box<dyn Error>> {
    let archive = Archive::open(Store::open(store)?.ok_or("there is no store")?)?;
    let texts = AllTexts::read(archive.store())?;
    let tip = archive.store().manifest().tips.first().and_then(|tip| archive.number(tip)).ok_or("it has no tip")?;
    let line = Line::of(&archive, tip);
    let steps = line.spine.len() as f64;
    let stride = ((TO - FROM) * steps / MOST_STEPS).ceil().max(1.0) as usize;
    let wants = |at: usize| (FROM * steps..TO * steps).contains(&(at as f64)) && at.is_multiple_of(stride);
    walk(&archive, &line, &mut Ledger::default(), &texts, wants, &mut |asked| {
        for query in node_queries(asked.ledger, asked.preview, &asked.question, &texts) {
            push(
                &mut learned[0],
                &query,
                &["most_share", "likeness", "author_since", "changed_to_best", "text_overlap"],
            );
        }
        for query in file_queries(asked.ledger, asked.preview, &asked.question) {
            push(&mut learned[1], &query, &["most_share", "likeness", "author_since", "node_share", "common_path"]);
        }
    });
    Ok(())
}

/// The right row, those that look best by one feature or another, and some by chance.
fn push(lists: &mut Lists, query: &Query, features: &[&str]) {
    const BEST: usize = 12;
    const BY_CHANCE: usize = 40;
    let Some(right) = query.right else { return };
    let names: &[&str] = if query.columns == NODE_COLUMNS.len() { &NODE_COLUMNS } else { &FILE_COLUMNS };
    let mut chosen = vec![right];
    for column in features.iter().filter_map(|feature| names.iter().position(|name| name == feature)) {
        let mut order: Vec<usize> = (0..query.ids.len()).collect();
        order.sort_by(|one, two| query.row(*two)[column].total_cmp(&query.row(*one)[column]).then(one.cmp(two)));
        chosen.extend(order.into_iter().take(BEST));
    }
    let mut state = query.step as u32 ^ 0x9e37_79b9;
    for _ in 0..BY_CHANCE {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        chosen.push((state >> 8) as usize % query.ids.len());
    }
    chosen.sort_unstable();
    chosen.dedup();
    let rows: Vec<f32> = chosen.iter().flat_map(|at| query.row(*at)).copied().collect();
    let right = chosen.binary_search(&right).expect("because it was put there");
    lists.push(&rows, right);
}
