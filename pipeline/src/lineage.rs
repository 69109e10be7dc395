//! Lineage: two lists of nodes to edits. Pure; it reads neither Git nor the store.
//!
//! Within a file, nodes meet by symbol and kind. What is left over on both sides of a whole commit
//! meets by text (moved or renamed unchanged), then by name, then by similarity.
//! In a merge, an edit is what differs from every parent.

use std::collections::HashMap;
use std::sync::Arc;

use crate::shard::{Change, ChunkId};
use crate::syntax::Kind;

/// Two versions of one name are still the same node from this similarity on; below it, the pair is
/// one removal and one addition.
const SAME_NAME_SIMILARITY: f32 = 0.5;
/// A different name in the same file needs more.
const SAME_FILE_SIMILARITY: f32 = 0.6;
/// A different name in a different file needs still more.
const ANYWHERE_SIMILARITY: f32 = 0.75;
/// More leftovers than this on a side are only paired by text and by name, so that a commit which
/// imports a directory costs linear time.
const MAX_COMPARED: usize = 400;

/// A node as it stands in one version of a file.
#[derive(Debug, Clone)]
pub struct Placed {
    /// Qualified name inside the file.
    pub symbol: Arc<str>,
    /// What kind of node it is.
    pub kind: Kind,
    /// Its text.
    pub chunk: ChunkId,
    /// First line, from 1.
    pub start_line: u32,
    /// Last line, inclusive.
    pub end_line: u32,
}

/// One file of a commit: its nodes in each parent, and now.
pub struct FileNodes<'a> {
    /// The path.
    pub path: Arc<str>,
    /// The nodes in each parent, in the order of the parents; an empty list where there was no file.
    pub before: Vec<&'a [Placed]>,
    /// The nodes now; empty where the file is gone.
    pub after: &'a [Placed],
}

/// What happened to one node.
#[derive(Debug, Clone)]
pub struct NodeEdit {
    /// The kind of change.
    pub change: Change,
    /// Path and node before; `None` for an addition.
    pub before: Option<(Arc<str>, Placed)>,
    /// Path and node after; `None` for a removal.
    pub after: Option<(Arc<str>, Placed)>,
    /// Between the two texts, 0 to 1; `None` when there is only one.
    pub similarity: Option<f32>,
}

/// The edits of one commit. `similarity` compares the texts of two chunks, 0 to 1.
pub fn edits(files: &[FileNodes<'_>], similarity: &dyn Fn(&ChunkId, &ChunkId) -> f32) -> Vec<NodeEdit> {
    let mut edits = Vec::new();
    let mut removed: Vec<(Arc<str>, Placed)> = Vec::new();
    let mut added: Vec<(Arc<str>, Placed)> = Vec::new();
    for file in files {
        let local = file_edits(file);
        for (before, after) in local.modified {
            let score = similarity(&before.chunk, &after.chunk);
            edits.push(NodeEdit {
                change: Change::Modified,
                before: Some((file.path.clone(), before.clone())),
                after: Some((file.path.clone(), after.clone())),
                similarity: Some(score),
            });
        }
        removed.extend(local.removed.into_iter().map(|node| (file.path.clone(), node.clone())));
        added.extend(local.added.into_iter().map(|node| (file.path.clone(), node.clone())));
    }
    pair_leftovers(removed, added, similarity, &mut edits);
    edits
}

#[derive(Default)]
struct LocalEdits<'a> {
    modified: Vec<(&'a Placed, &'a Placed)>,
    added: Vec<&'a Placed>,
    removed: Vec<&'a Placed>,
}

/// Nodes of one file, matched against each parent; only what differs from all of them remains.
fn file_edits<'a>(file: &FileNodes<'a>) -> LocalEdits<'a> {
    let matches: Vec<Matching<'a>> = file.before.iter().map(|before| Matching::new(before, file.after)).collect();
    let Some((first, others)) = matches.split_first() else {
        return LocalEdits::default();
    };
    let mut local = LocalEdits::default();
    for (at, after) in file.after.iter().enumerate() {
        let same = |matching: &Matching<'a>| matching.of_after[at].is_some_and(|before| before.chunk == after.chunk);
        if same(first) || others.iter().any(same) {
            continue;
        }
        match matches.iter().find_map(|matching| matching.of_after[at]) {
            Some(before) => local.modified.push((before, after)),
            None => local.added.push(after),
        }
    }
    for node in &first.removed {
        // Also gone from every other parent's point of view: there, and not taken over.
        let gone_everywhere = others
            .iter()
            .all(|other| other.removed.iter().any(|there| there.symbol == node.symbol && there.kind == node.kind));
        if gone_everywhere {
            local.removed.push(node);
        }
    }
    local
}

/// One parent's nodes against the present ones.
struct Matching<'a> {
    /// For each present node, its counterpart.
    of_after: Vec<Option<&'a Placed>>,
    /// Nodes of the parent without a counterpart.
    removed: Vec<&'a Placed>,
}

impl<'a> Matching<'a> {
    /// By symbol and kind; among equals of both, equal text first, then in order.
    fn new(before: &'a [Placed], after: &'a [Placed]) -> Matching<'a> {
        let mut waiting: HashMap<(&str, Kind), Vec<&'a Placed>> = HashMap::with_capacity(before.len());
        for node in before {
            waiting.entry((&node.symbol, node.kind)).or_default().push(node);
        }
        let mut of_after: Vec<Option<&'a Placed>> = vec![None; after.len()];
        for (at, node) in after.iter().enumerate() {
            if let Some(group) = waiting.get_mut(&(&*node.symbol, node.kind))
                && let Some(place) = group.iter().position(|candidate| candidate.chunk == node.chunk)
            {
                of_after[at] = Some(group.remove(place));
            }
        }
        for (at, node) in after.iter().enumerate() {
            if of_after[at].is_none()
                && let Some(group) = waiting.get_mut(&(&*node.symbol, node.kind))
                && !group.is_empty()
            {
                of_after[at] = Some(group.remove(0));
            }
        }
        let mut removed: Vec<&'a Placed> = waiting.into_values().flatten().collect();
        removed.sort_by_key(|node| (node.start_line, node.end_line));
        Matching { of_after, removed }
    }
}

/// What disappeared and what appeared in one commit, brought together where it is the same node.
fn pair_leftovers(
    removed: Vec<(Arc<str>, Placed)>,
    added: Vec<(Arc<str>, Placed)>,
    similarity: &dyn Fn(&ChunkId, &ChunkId) -> f32,
    edits: &mut Vec<NodeEdit>,
) {
    let mut source_of: Vec<Option<(usize, f32)>> = vec![None; added.len()];
    let mut used = vec![false; removed.len()];

    let mut by_chunk: HashMap<ChunkId, Vec<usize>> = HashMap::new();
    for (at, (_, node)) in removed.iter().enumerate().rev() {
        by_chunk.entry(node.chunk).or_default().push(at);
    }
    for (at, (_, node)) in added.iter().enumerate() {
        if let Some(source) = by_chunk.get_mut(&node.chunk).and_then(Vec::pop) {
            source_of[at] = Some((source, 1.0));
            used[source] = true;
        }
    }

    let mut candidates: Vec<(f32, usize, usize)> = Vec::new();
    let mut by_name: HashMap<(&str, Kind), Vec<usize>> = HashMap::new();
    for (at, (_, node)) in removed.iter().enumerate().filter(|(at, _)| !used[*at]) {
        by_name.entry((last_name(&node.symbol), node.kind)).or_default().push(at);
    }
    for (at, (_, node)) in added.iter().enumerate().filter(|(at, _)| source_of[*at].is_none()) {
        let named = by_name.get(&(last_name(&node.symbol), node.kind)).map_or(&[][..], Vec::as_slice);
        for &source in named.iter().take(MAX_COMPARED) {
            let score = similarity(&removed[source].1.chunk, &node.chunk);
            if score >= SAME_NAME_SIMILARITY {
                // A shared name decides between equally similar candidates.
                candidates.push((score + 0.1, at, source));
            }
        }
    }
    let open_removed: Vec<usize> = (0..removed.len()).filter(|at| !used[*at]).collect();
    let open_added: Vec<usize> = (0..added.len()).filter(|at| source_of[*at].is_none()).collect();
    if open_removed.len() <= MAX_COMPARED && open_added.len() <= MAX_COMPARED {
        for &at in &open_added {
            for &source in &open_removed {
                let (old, new) = (&removed[source], &added[at]);
                if old.1.kind != new.1.kind || last_name(&old.1.symbol) == last_name(&new.1.symbol) {
                    continue;
                }
                let score = similarity(&old.1.chunk, &new.1.chunk);
                let bar = if old.0 == new.0 { SAME_FILE_SIMILARITY } else { ANYWHERE_SIMILARITY };
                if score >= bar {
                    candidates.push((score, at, source));
                }
            }
        }
    }
    candidates.sort_by(|one, two| two.0.total_cmp(&one.0).then(one.1.cmp(&two.1)).then(one.2.cmp(&two.2)));
    for (_, at, source) in candidates {
        if source_of[at].is_none() && !used[source] {
            used[source] = true;
            source_of[at] = Some((source, similarity(&removed[source].1.chunk, &added[at].1.chunk)));
        }
    }

    for (at, after) in added.into_iter().enumerate() {
        edits.push(match source_of[at] {
            Some((source, score)) => {
                let before = removed[source].clone();
                let change = if before.0 == after.0 { Change::Renamed } else { Change::Moved };
                NodeEdit { change, before: Some(before), after: Some(after), similarity: Some(score) }
            }
            None => NodeEdit { change: Change::Added, before: None, after: Some(after), similarity: None },
        });
    }
    for (at, before) in removed.into_iter().enumerate() {
        if !used[at] {
            edits.push(NodeEdit { change: Change::Removed, before: Some(before), after: None, similarity: None });
        }
    }
}

/// The last part of a symbol: `next` of `Parser::next`.
pub fn last_name(symbol: &str) -> &str {
    let after_colons = symbol.rsplit("::").next().unwrap_or(symbol);
    let after_dot = after_colons.rsplit('.').next().unwrap_or(after_colons);
    after_dot.rsplit(" > ").next().unwrap_or(after_dot)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nodes written as `symbol=text`; the text is one byte, repeated into a chunk id.
    fn nodes(list: &str) -> Vec<Placed> {
        list.split_whitespace()
            .enumerate()
            .map(|(at, item)| {
                let (symbol, text) = item.split_once('=').expect("because the test writes it so");
                Placed {
                    symbol: symbol.into(),
                    kind: Kind::Function,
                    chunk: ChunkId([text.as_bytes()[0]; 16]),
                    start_line: at as u32 + 1,
                    end_line: at as u32 + 1,
                }
            })
            .collect()
    }

    /// Letters are as similar as they are close in the alphabet.
    fn closeness(one: &ChunkId, two: &ChunkId) -> f32 {
        1.0 - f32::from(one.0[0].abs_diff(two.0[0])) / 10.0
    }

    fn check(files: &[(&str, &[&str], &str)], expected: &[&str]) {
        type Sides = (Vec<Vec<Placed>>, Vec<Placed>);
        let parsed: Vec<(Arc<str>, Sides)> = files
            .iter()
            .map(|(path, before, after)| {
                ((*path).into(), (before.iter().map(|list| nodes(list)).collect(), nodes(after)))
            })
            .collect();
        let inputs: Vec<FileNodes<'_>> = parsed
            .iter()
            .map(|(path, (before, after))| FileNodes {
                path: path.clone(),
                before: before.iter().map(Vec::as_slice).collect(),
                after,
            })
            .collect();
        let mut found: Vec<String> = edits(&inputs, &closeness)
            .iter()
            .map(|edit| {
                let side = |place: &Option<(Arc<str>, Placed)>| {
                    place.as_ref().map_or("-".to_owned(), |(path, node)| format!("{path}#{}", node.symbol))
                };
                format!("{} {} {}", edit.change.as_str(), side(&edit.before), side(&edit.after))
            })
            .collect();
        found.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn an_edit_is_a_node_whose_text_changed() {
        check(&[("a", &["f=a g=b"], "f=c g=b")], &["modified a#f a#f"]);
        check(&[("a", &["f=a"], "f=a g=z")], &["added - a#g"]);
        check(&[("a", &["f=a g=z"], "f=a")], &["removed a#g -"]);
        check(&[("a", &["f=a g=b"], "g=b f=a")], &[]);
    }

    #[test]
    fn the_same_text_elsewhere_is_a_move() {
        check(&[("a", &["f=a"], ""), ("b", &[""], "f=a")], &["moved a#f b#f"]);
        check(&[("a", &["T::f=a"], "U::f=a")], &["renamed a#T::f a#U::f"]);
    }

    #[test]
    fn a_move_with_an_edit_is_found_by_name_before_likeness() {
        // `h` is closer to f's text than the new `f` is, but the name decides.
        check(&[("a", &["f=a"], ""), ("b", &[""], "f=d h=c")], &["added - b#h", "moved a#f b#f"]);
        check(&[("a", &["f=a"], "g=c")], &["renamed a#f a#g"]);
        check(&[("a", &["f=a"], "g=z")], &["added - a#g", "removed a#f -"]);
    }

    #[test]
    fn duplicates_meet_their_equals_first() {
        check(&[("a", &["f=a f=b"], "f=b f=c")], &["modified a#f a#f"]);
    }

    #[test]
    fn a_merge_edits_only_what_differs_from_every_parent() {
        // f comes from one side, g from the other; h was resolved by hand.
        check(&[("a", &["f=a g=b h=c", "f=x g=y h=d"], "f=a g=y h=e")], &["modified a#h a#h"]);
        // Removed against one parent only: that was the other side's work.
        check(&[("a", &["f=a g=b", "f=a"], "f=a")], &[]);
        check(&[("a", &["f=a g=b", "f=a g=b"], "f=a")], &["removed a#g -"]);
    }

    #[test]
    fn the_last_name_of_a_symbol() {
        assert_eq!(last_name("Parser::next"), "next");
        assert_eq!(last_name("Class.method"), "method");
        assert_eq!(last_name("Guide > Install"), "Install");
        assert_eq!(last_name("main"), "main");
    }
}
