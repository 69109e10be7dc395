//! Features: what is known of each candidate, as numbers. Pure.
//!
//! Everything is relative to the change and to the other candidates, so that what was learned on one repository says
//! something of another. Counts and distances are logarithms; what does not apply is 0, or `FAR` for a distance.

mod naming;
mod places;
mod wording;

use std::sync::Arc;

use precedent_pipeline::syntax::Kind;
use rustc_hash::FxHashMap;

use naming::{Kin, Named, Related};
pub use places::is_test;
use places::{PathWords, Paths, extension};
use wording::{Changed, Heard, Words};

use super::ledger::Ledger;
use super::names::{self, Terms};
use super::question::{Question, Seen, Tallies, Tally, Texts};

/// A distance that is none.
const FAR: f32 = 12.0;

/// What is known of a candidate node, in this order.
pub const NODE_COLUMNS: [&str; 64] = [
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
    "same_file",
    "seen_in_file",
    "share_of_file",
    "file_since",
    "line_distance",
    "same_directory",
    "common_path",
    "same_file_stem",
    "same_name",
    "tests_it",
    "name_words",
    "same_container",
    "member_of_seen",
    "holds_seen",
    "is_function",
    "is_test",
    "seen_tests",
    "same_kind",
    "length",
    "removed_words",
    "most_removed",
    "added_words",
    "most_added",
    "changed_to_best",
    "mentions_seen",
    "seen_mention",
    "change_mentions",
    "text_overlap",
    "vector",
    "seen_count",
    "removed_pairs",
    "most_removed_pair",
    "added_pairs",
    "pairs_to_best",
    "common_removed_pair",
    "removed_lines",
    "most_removed_line",
    "added_lines",
    "lines_to_best",
    "common_removed_line",
    "common_removed",
    "by_files_share",
    "by_files_likeness",
    "since_by_files",
    "share_of_container",
    "share_of_namesakes",
];

/// What is known of a candidate file, in this order.
pub const FILE_COLUMNS: [&str; 28] = [
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
    "author_since",
    "author_count",
    "same_directory",
    "common_path",
    "same_stem",
    "same_extension",
    "share_of_extension",
    "is_test",
    "seen_tests",
    "node_share",
    "stem_in_change",
    "stem_in_texts",
    "seen_count",
    "path_words",
    "node_belief",
    "sum_of_beliefs",
];

fn log(count: usize) -> f32 {
    (1.0 + count as f32).ln()
}

/// How long ago a step was, counted in steps.
fn since(ledger: &Ledger, step: Option<u32>) -> f32 {
    step.map_or(FAR, |step| log(ledger.steps.len().saturating_sub(step as usize + 1)).min(FAR))
}

/// The rows of candidate nodes: [`NODE_COLUMNS`] values each.
pub fn node_rows(
    ledger: &Ledger,
    question: &Question,
    (tallies, files): (&Tallies, &Tallies),
    texts: &dyn Texts,
) -> Vec<f32> {
    let texts_of: Vec<Arc<Terms>> =
        tallies.ids.iter().map(|id| texts.terms(ledger.nodes[*id as usize].chunk)).collect();
    let words = Words::of(question, &texts_of);
    let pairs = Changed::of(question, &texts_of, |terms| &terms.pairs);
    let lines = Changed::of(question, &texts_of, |terms| &terms.lines);
    let names: Vec<Named> = question.seen.iter().map(Named::of).collect();
    let mut name_counts: FxHashMap<u32, u32> = FxHashMap::default();
    let own: Vec<Named> = tallies.ids.iter().map(|id| Named::of_node(ledger, *id)).collect();
    for named in &own {
        for word in &named.words {
            *name_counts.entry(*word).or_default() += 1;
        }
    }
    let name_rarity = |word: u32| {
        let count = name_counts.get(&word).copied().unwrap_or(0);
        ((own.len() as f32 + 2.0) / (count as f32 + 1.0)).ln()
    };
    let (best_likeness, best_share) = best(tallies);
    let changed: Vec<Heard> =
        texts_of.iter().zip(&own).map(|(text, named)| words.heard(&text.identifiers, named)).collect();
    let best_changed = changed.iter().map(|heard| heard.removed + heard.added).fold(f32::MIN_POSITIVE, f32::max);
    let seen_tests = question.seen.iter().any(|seen| is_test(&seen.kind, &seen.path));
    let seen_count = question.seen.iter().filter(|seen| super::ledger::counts(&seen.kind)).count();
    let seen_chunks: Vec<u32> = question.known(ledger).iter().map(|id| ledger.nodes[*id as usize].chunk).collect();
    let paths = Paths::of(question);
    let by_files = by_files(ledger, question);
    let kin = Kin::of(ledger, question, &names, (&tallies.ids, &own));
    let mut rows = Vec::with_capacity(tallies.ids.len() * NODE_COLUMNS.len());
    for (at, (&id, tally)) in tallies.ids.iter().zip(&tallies.of).enumerate() {
        let node = &ledger.nodes[id as usize];
        let (own, heard) = (&own[at], &changed[at]);
        let file = &ledger.files[node.file as usize];
        let in_file: Vec<&Seen> = question.seen.iter().filter(|seen| seen.path == file.path).collect();
        let same_file = question.files.iter().any(|(id, _)| *id == Some(node.file));
        let file_tally = files.get(node.file).copied().unwrap_or_default();
        let line = in_file
            .iter()
            .filter_map(|seen| seen.id)
            .map(|id| ledger.nodes[id as usize].line.abs_diff(node.line))
            .min();
        let author = author(question, &ledger.by_author, id);
        let alive_in_file = ledger.nodes_in(node.file).take(400).count();
        let test = is_test(&node.kind, &node.path);
        let related = Related::of(own, &names, &name_rarity);
        let vector = seen_chunks.iter().take(12).map(|seen| texts.cosine(node.chunk, *seen)).fold(0.0f32, f32::max);
        push_tally(&mut rows, ledger, tally, node.steps.len(), (best_likeness, best_share));
        rows.extend([
            log(node.steps.len()),
            since(ledger, node.steps.last().copied()),
            since(ledger, Some(node.born)),
            since(ledger, author.map(|author| author.0)),
            log(author.map_or(0, |author| author.1 as usize)),
            author.map_or(0.0, |author| author.1 as f32 / (node.steps.len() as f32 + 1.0)),
            file_tally.most_share,
            file_tally.likeness,
            f32::from(u8::from(same_file)),
            log(in_file.len()),
            in_file.len() as f32 / (alive_in_file as f32 + 1.0),
            since(ledger, file.steps.last().copied()),
            line.map_or(FAR, |line| log(line as usize).min(FAR)),
        ]);
        rows.extend(paths.columns(&node.path));
        rows.extend([
            f32::from(u8::from(related.same_name)),
            f32::from(u8::from(related.same_stem && (test != seen_tests || test))),
            related.words,
            f32::from(u8::from(related.same_container)),
            f32::from(u8::from(related.member)),
            f32::from(u8::from(related.holds)),
            f32::from(u8::from(&*node.kind == Kind::Function.as_str())),
            f32::from(u8::from(test)),
            f32::from(u8::from(seen_tests)),
            question.seen.iter().filter(|seen| seen.kind == node.kind).count() as f32
                / (question.seen.len() as f32 + 1.0),
            log(texts_of[at].identifiers.len()),
            heard.removed,
            heard.most_removed,
            heard.added,
            heard.most_added,
            (heard.removed + heard.added) / best_changed,
            heard.mentions_seen,
            heard.seen_mention,
            heard.change_mentions,
            heard.overlap,
            vector,
            log(seen_count),
        ]);
        rows.extend(pairs.columns(at));
        rows.extend(lines.columns(at));
        let by_files = by_files.get(id).copied().unwrap_or_default();
        rows.extend([
            heard.common_removed,
            by_files.most_share,
            by_files.likeness,
            since(ledger, by_files.last_together.checked_sub(1)),
        ]);
        rows.extend(kin.columns(node.file, own));
    }
    rows
}

/// What the steps of the touched files say of nodes, for nodes that are new there, or have no past of their own.
fn by_files(ledger: &Ledger, question: &Question) -> Tallies {
    let files: Vec<u32> = question.files.iter().filter_map(|(id, _)| *id).collect();
    let steps = |file: u32| ledger.files[file as usize].steps.as_slice();
    Tallies::count(&files, |_| false, steps, |step| ledger.steps[step as usize].nodes.as_slice())
}

fn push_tally(rows: &mut Vec<f32>, ledger: &Ledger, tally: &Tally, steps: usize, best: (f32, f32)) {
    rows.extend([
        tally.most_share,
        tally.sum_of_shares,
        tally.sources,
        (1.0 + tally.most_together).ln(),
        tally.likeness,
        tally.most_likeness,
        since(ledger, tally.last_together.checked_sub(1)),
        tally.most_together / (steps as f32 + 1.0),
        tally.likeness / best.0,
        tally.most_share / best.1,
    ]);
}

fn best(tallies: &Tallies) -> (f32, f32) {
    let most = |part: fn(&Tally) -> f32| tallies.of.iter().map(part).fold(f32::MIN_POSITIVE, f32::max);
    (most(|tally| tally.likeness), most(|tally| tally.most_share))
}

/// The latest step of the change's authors at a candidate, and how many there were.
fn author(question: &Question, all: &FxHashMap<u32, FxHashMap<u32, (u32, u32)>>, id: u32) -> Option<(u32, u32)> {
    let found = question.authors.iter().filter_map(|author| all.get(author)?.get(&id).copied());
    found.reduce(|one, two| (one.0.max(two.0), one.1 + two.1))
}

/// For each file the greatest share, and the sum of the shares, that its nodes have of the belief of the ranking of nodes.
#[derive(Debug, Default)]
pub struct Beliefs(FxHashMap<u32, (f32, f32)>);

impl Beliefs {
    /// Those that shares of candidate nodes give.
    pub fn of(ledger: &Ledger, shares: impl Iterator<Item = (u32, f64)>) -> Beliefs {
        let mut beliefs: FxHashMap<u32, (f32, f32)> = FxHashMap::default();
        for (id, share) in shares {
            let of = beliefs.entry(ledger.nodes[id as usize].file).or_default();
            *of = (of.0.max(share as f32), of.1 + share as f32);
        }
        Beliefs(beliefs)
    }
}

/// The rows of all files that are there and that the change does not touch: their numbers, and [`FILE_COLUMNS`] values
/// each.
pub fn file_rows(ledger: &Ledger, question: &Question, tallies: &Tallies, beliefs: &Beliefs) -> (Vec<u32>, Vec<f32>) {
    let own: std::collections::HashSet<u32> = question.files.iter().filter_map(|(id, _)| *id).collect();
    let ids: Vec<u32> =
        (0..ledger.files.len() as u32).filter(|id| ledger.files[*id as usize].alive && !own.contains(id)).collect();
    let best = best(tallies);
    let nodes = node_shares(ledger, question);
    let (mut changed, mut texts) = (Vec::new(), Vec::new());
    for seen in &question.seen {
        let (before, after) = seen.terms(|terms| &terms.identifiers);
        changed.extend(names::without(before, after));
        changed.extend(names::without(after, before));
        texts.extend_from_slice(before);
        texts.extend_from_slice(after);
    }
    for words in [&mut changed, &mut texts] {
        words.sort_unstable();
        words.dedup();
    }
    let seen_tests = question.files.iter().any(|(_, path)| is_test("", path));
    let paths = Paths::of(question);
    let words = PathWords::of(ledger, question, &ids);
    let mut rows = Vec::with_capacity(ids.len() * FILE_COLUMNS.len());
    for &id in &ids {
        let file = &ledger.files[id as usize];
        let tally = tallies.get(id).copied().unwrap_or_default();
        let author = author(question, &ledger.files_by_author, id);
        let stem = names::hash(&names::file_stem(&file.path));
        let own_extension = extension(&file.path);
        let like = question.files.iter().filter(|(_, path)| extension(path) == own_extension).count();
        push_tally(&mut rows, ledger, &tally, file.steps.len(), best);
        rows.extend([
            log(file.steps.len()),
            since(ledger, file.steps.last().copied()),
            since(ledger, author.map(|author| author.0)),
            log(author.map_or(0, |author| author.1 as usize)),
        ]);
        rows.extend(paths.columns(&file.path));
        rows.extend([
            f32::from(u8::from(like > 0)),
            like as f32 / (question.files.len() as f32 + 1.0),
            f32::from(u8::from(is_test("", &file.path))),
            f32::from(u8::from(seen_tests)),
            nodes.get(&id).copied().unwrap_or(0.0),
            f32::from(u8::from(changed.binary_search(&stem).is_ok())),
            f32::from(u8::from(texts.binary_search(&stem).is_ok())),
            log(question.files.len()),
            words.of_path(&file.path),
        ]);
        let (belief, beliefs) = beliefs.0.get(&id).copied().unwrap_or_default();
        rows.extend([belief, beliefs]);
    }
    (ids, rows)
}

/// For each file the greatest share of a touched node's steps that changed it.
fn node_shares(ledger: &Ledger, question: &Question) -> FxHashMap<u32, f32> {
    let mut most: FxHashMap<u32, f32> = FxHashMap::default();
    for id in question.known(ledger) {
        let steps = &ledger.nodes[id as usize].steps;
        let mut counts: FxHashMap<u32, u32> = FxHashMap::default();
        for file in steps.iter().rev().take(200).flat_map(|step| &ledger.steps[*step as usize].files) {
            *counts.entry(*file).or_default() += 1;
        }
        for (file, count) in counts {
            let share = count as f32 / (steps.len().min(200) as f32 + 1.0);
            let most = most.entry(file).or_default();
            *most = most.max(share);
        }
    }
    most
}
