//! Lineage: two lists of nodes to edits. Pure; it reads neither Git nor the store.
//!
//! Within a file, nodes meet by symbol and kind. What is left over on both sides of a whole commit
//! meets by text (moved or renamed unchanged), then by name, then by similarity. Of what is left then, some came out
//! of another node, went into one, or copies one (`parts.rs`). `docs/lineage.md` has the definitions and figures.
//! In a merge, an edit is what differs from every parent.

mod parts;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::shard::{Change, ChunkId};
use crate::syntax::{Bag, Kind, similarity};

/// Two versions of one name are still the same node from this similarity on; below it, the pair is
/// one removal and one addition.
const SAME_NAME_SIMILARITY: f32 = 0.5;
/// A different name in the same file needs more.
const SAME_FILE_SIMILARITY: f32 = 0.6;
/// A different name in a different file needs still more.
const ANYWHERE_SIMILARITY: f32 = 0.75;
/// Leftovers of one name that are compared with one another at the most.
const MAX_NAMESAKES: usize = 400;
/// Comparisons of namesakes in one commit at the most. Each that is alike is kept until the likest are known. Where there
/// would be more, each node is compared with fewer, those that stand where it does in the order of the removed.
const MAX_NAMED_COMPARISONS: usize = 2_000_000;
/// More comparisons of different names than this are not made, first between files and then within them, so that a
/// commit which imports a directory costs linear time.
const MAX_COMPARISONS: usize = 250_000;

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

/// The tokens of the texts that the nodes name.
pub trait Texts {
    /// The bag of a text; `None` where it is not known, and then it is like nothing.
    fn bag(&self, chunk: &ChunkId) -> Option<&Bag>;
}

impl Texts for HashMap<ChunkId, Bag> {
    fn bag(&self, chunk: &ChunkId) -> Option<&Bag> {
        self.get(chunk)
    }
}

/// What happened to one node.
#[derive(Debug, Clone)]
pub struct NodeEdit {
    /// The kind of change.
    pub change: Change,
    /// Path and node before; `None` for an addition. For a split, a join and a copy it is the other node.
    pub before: Option<(Arc<str>, Placed)>,
    /// Path and node after; `None` for a removal.
    pub after: Option<(Arc<str>, Placed)>,
    /// Between the two texts, 0 to 1; `None` when there is only one.
    pub similarity: Option<f32>,
}

/// The edits of one commit.
pub fn edits(files: &[FileNodes<'_>], texts: &dyn Texts) -> Vec<NodeEdit> {
    let similarity = |one: &ChunkId, two: &ChunkId| match (texts.bag(one), texts.bag(two)) {
        (Some(one), Some(two)) => similarity(one, two),
        _ => 0.0,
    };
    let mut edits = Vec::new();
    let mut removed: Vec<(Arc<str>, Placed)> = Vec::new();
    let mut added: Vec<(Arc<str>, Placed)> = Vec::new();
    let mut matches: Vec<(&Arc<str>, Vec<Matching<'_>>)> = Vec::with_capacity(files.len());
    for file in files {
        let (local, matching) = file_edits(file);
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
        matches.push((&file.path, matching));
    }
    if removed.is_empty() && added.is_empty() {
        return edits;
    }
    pair_leftovers(removed, added, texts, &similarity, &mut edits);
    let standing = || {
        let mut standing: Vec<parts::Standing<'_>> = Vec::new();
        for (path, matching) in &matches {
            for at in 0..matching.first().map_or(0, |first| first.of_after.len()) {
                let counterpart = matching.iter().find_map(|matching| matching.of_after[at]);
                standing.extend(counterpart.map(|node| ((*path).clone(), node)));
            }
        }
        standing
    };
    parts::tell(&mut edits, &standing, texts);
    edits
}

#[derive(Default)]
struct LocalEdits<'a> {
    modified: Vec<(&'a Placed, &'a Placed)>,
    added: Vec<&'a Placed>,
    removed: Vec<&'a Placed>,
}

/// Nodes of one file, matched against each parent; only what differs from all of them remains.
fn file_edits<'a>(file: &FileNodes<'a>) -> (LocalEdits<'a>, Vec<Matching<'a>>) {
    let matches: Vec<Matching<'a>> = file.before.iter().map(|before| Matching::new(before, file.after)).collect();
    let Some((first, others)) = matches.split_first() else {
        return Default::default();
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
    // Also gone from every other parent's point of view: there, and not taken over.
    let gone: Vec<HashSet<(&str, Kind)>> =
        others.iter().map(|other| other.removed.iter().map(|node| (&*node.symbol, node.kind)).collect()).collect();
    local.removed.extend(
        first.removed.iter().filter(|node| gone.iter().all(|there| there.contains(&(&*node.symbol, node.kind)))),
    );
    (local, matches)
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
    ///
    /// Most of a file is as it was: what is equal at its beginning and at its end meets without a look at the rest.
    fn new(before: &'a [Placed], after: &'a [Placed]) -> Matching<'a> {
        let is_same = |(one, two): &(&Placed, &Placed)| {
            one.chunk == two.chunk && one.kind == two.kind && one.symbol == two.symbol
        };
        let head = before.iter().zip(after).take_while(is_same).count();
        let tail = before[head..].iter().rev().zip(after[head..].iter().rev()).take_while(is_same).count();
        let (old, new) = (head..before.len() - tail, head..after.len() - tail);
        let mut of_after: Vec<Option<&'a Placed>> = Vec::with_capacity(after.len());
        of_after.extend(before[..head].iter().map(Some));
        of_after.resize(new.end, None);
        of_after.extend(before[old.end..].iter().map(Some));
        if old.is_empty() || new.is_empty() {
            return Matching { of_after, removed: before[old].iter().collect() };
        }
        // Their places, last first, so that the first is at hand. A text without headings is all one name.
        let mut equals: HashMap<(&str, Kind, ChunkId), Vec<usize>> = HashMap::with_capacity(old.len());
        for (at, node) in old.clone().zip(&before[old.clone()]).rev() {
            equals.entry((&node.symbol, node.kind, node.chunk)).or_default().push(at);
        }
        let mut is_taken = vec![false; old.len()];
        for (counterpart, node) in of_after[new.clone()].iter_mut().zip(&after[new.clone()]) {
            if let Some(at) = equals.get_mut(&(&*node.symbol, node.kind, node.chunk)).and_then(Vec::pop) {
                *counterpart = Some(&before[at]);
                is_taken[at - old.start] = true;
            }
        }
        let mut namesakes: HashMap<(&str, Kind), Vec<usize>> = HashMap::new();
        for (at, node) in old.clone().zip(&before[old.clone()]).rev().filter(|(at, _)| !is_taken[at - old.start]) {
            namesakes.entry((&node.symbol, node.kind)).or_default().push(at);
        }
        for (counterpart, node) in of_after[new.clone()].iter_mut().zip(&after[new]).filter(|(one, _)| one.is_none()) {
            if let Some(at) = namesakes.get_mut(&(&*node.symbol, node.kind)).and_then(Vec::pop) {
                *counterpart = Some(&before[at]);
                is_taken[at - old.start] = true;
            }
        }
        let mut removed: Vec<&'a Placed> =
            before[old].iter().zip(is_taken).filter(|(_, is_taken)| !is_taken).map(|(node, _)| node).collect();
        removed.sort_by_key(|node| (node.start_line, node.end_line));
        Matching { of_after, removed }
    }
}

/// What disappeared and what appeared in one commit, brought together where it is the same node.
fn pair_leftovers(
    removed: Vec<(Arc<str>, Placed)>,
    added: Vec<(Arc<str>, Placed)>,
    texts: &dyn Texts,
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
    let open = || added.iter().enumerate().filter(|(at, _)| source_of[*at].is_none());
    let compared: usize = open().map(|(_, (_, node))| named(&by_name, node).len().min(MAX_NAMESAKES)).sum();
    let is_limited = compared > MAX_NAMED_COMPARISONS;
    let most = if is_limited { (MAX_NAMED_COMPARISONS / added.len()).max(1) } else { MAX_NAMESAKES };
    let mut seen: HashMap<(&str, Kind), usize> = HashMap::new();
    for (at, (_, node)) in open() {
        let named = named(&by_name, node);
        let first = if is_limited {
            let seen = seen.entry((last_name(&node.symbol), node.kind)).or_default();
            *seen += 1;
            (*seen - 1).saturating_sub(most / 2).min(named.len().saturating_sub(most))
        } else {
            0
        };
        for &source in named[first..].iter().take(most) {
            let score = similarity(&removed[source].1.chunk, &node.chunk);
            if score >= SAME_NAME_SIMILARITY {
                // A shared name decides between equally similar candidates.
                candidates.push((score + 0.1, at, source));
            }
        }
    }
    for (at, source) in comparable(&removed, &used, &added, &source_of, texts) {
        let (old, new) = (&removed[source], &added[at]);
        let score = similarity(&old.1.chunk, &new.1.chunk);
        let bar = if old.0 == new.0 { SAME_FILE_SIMILARITY } else { ANYWHERE_SIMILARITY };
        if score >= bar {
            candidates.push((score, at, source));
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

/// The nodes of a node's kind and own name, of a table by both.
fn named<'m>(by_name: &'m HashMap<(&'m str, Kind), Vec<usize>>, node: &'m Placed) -> &'m [usize] {
    by_name.get(&(last_name(&node.symbol), node.kind)).map_or(&[], Vec::as_slice)
}

/// The pairs of added and removed nodes, by their places, that are worth a comparison: of one kind, of different names,
/// and near enough in size that they can be similar at all.
fn comparable(
    removed: &[(Arc<str>, Placed)],
    used: &[bool],
    added: &[(Arc<str>, Placed)],
    source_of: &[Option<(usize, f32)>],
    texts: &dyn Texts,
) -> Vec<(usize, usize)> {
    let size = |(_, node): &(Arc<str>, Placed)| texts.bag(&node.chunk).map_or(0, Bag::len);
    let mut sources: Vec<(Kind, usize, usize)> =
        (0..removed.len()).filter(|at| !used[*at]).map(|at| (removed[at].1.kind, size(&removed[at]), at)).collect();
    sources.sort_unstable();
    let open: Vec<(usize, usize, usize)> = (0..added.len())
        .filter(|at| source_of[*at].is_none())
        .map(|at| {
            let (kind, size) = (added[at].1.kind, size(&added[at]) as f32);
            // Two bags of sizes a < b have a similarity of 2a / (a + b) at the most.
            let reach = SAME_FILE_SIMILARITY / (2.0 - SAME_FILE_SIMILARITY);
            let (least, most) = ((size * reach) as usize, (size / reach).ceil() as usize);
            let first = sources.partition_point(|(of, size, _)| (*of, *size) < (kind, least));
            let end = sources.partition_point(|(of, size, _)| (*of, *size) <= (kind, most));
            (at, first, end)
        })
        .collect();
    let compared: usize = open.iter().map(|(_, first, end)| end - first).sum();
    // Going through the pairs is much cheaper than comparing them.
    if compared > 100 * MAX_COMPARISONS {
        return Vec::new();
    }
    let is_within = compared > MAX_COMPARISONS;
    let mut pairs = Vec::new();
    for (at, first, end) in open {
        for &(_, _, source) in &sources[first..end] {
            let (old, new) = (&removed[source], &added[at]);
            if (!is_within || old.0 == new.0) && last_name(&old.1.symbol) != last_name(&new.1.symbol) {
                pairs.push((at, source));
            }
        }
        if pairs.len() > MAX_COMPARISONS {
            return Vec::new();
        }
    }
    pairs
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

    /// Nodes written as `symbol=text`. A small letter is a text of ten tokens, as similar to another one as the two are
    /// close in the alphabet. Of other texts each letter is ten tokens of its own, and `+g` is the one word `g`.
    fn nodes(list: &str, texts: &mut HashMap<ChunkId, Bag>) -> Vec<Placed> {
        list.split_whitespace()
            .enumerate()
            .map(|(at, item)| {
                let (symbol, text) = item.split_once('=').expect("because the test writes it so");
                let mut chunk = ChunkId([0; 16]);
                chunk.0[..text.len()].copy_from_slice(text.as_bytes());
                texts.insert(chunk, Bag::of(&words(text)));
                let kind = if symbol.starts_with("test") { Kind::Test } else { Kind::Function };
                let line = at as u32 + 1;
                Placed { symbol: symbol.into(), kind, chunk, start_line: line, end_line: line }
            })
            .collect()
    }

    fn words(text: &str) -> String {
        match text.as_bytes() {
            [letter @ b'a'..=b'z'] => (0..10).map(|step| format!("w{} ", letter + step)).collect(),
            _ => {
                let (letters, calls) = text.split_once('+').unwrap_or((text, ""));
                let block = |letter| (0..10).map(move |step| format!("{letter}{step} "));
                letters.chars().flat_map(block).chain([calls.to_owned()]).collect()
            }
        }
    }

    fn check(files: &[(&str, &[&str], &str)], expected: &[&str]) {
        type Sides = (Vec<Vec<Placed>>, Vec<Placed>);
        let mut texts = HashMap::new();
        let parsed: Vec<(Arc<str>, Sides)> = files
            .iter()
            .map(|(path, before, after)| {
                let before = before.iter().map(|list| nodes(list, &mut texts)).collect();
                ((*path).into(), (before, nodes(after, &mut texts)))
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
        let mut found: Vec<String> = edits(&inputs, &texts)
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
    fn what_comes_out_of_another_node_is_a_split() {
        // With the call that stands for it now, half of the text is enough; without one, it must be nearly all.
        check(&[("a", &["f=ABCD"], "f=AB+g g=CDX")], &["modified a#f a#f", "split a#f a#g"]);
        check(&[("a", &["f=ABCD"], "f=AB g=CDX")], &["added - a#g", "modified a#f a#f"]);
        check(&[("a", &["f=ABCDEF"], "f=AB g=CDEF")], &["modified a#f a#f", "split a#f a#g"]);
        check(&[("a", &["f=ABCDEF"], "f=AB g=CDEFXYZ")], &["added - a#g", "modified a#f a#f"]);
        check(&[("a", &["f=ABCD"], "f=AB+g"), ("b", &[""], "g=CDX")], &["modified a#f a#f", "split a#f b#g"]);
        // The whole may be gone, or live on under another name as the likest part.
        let parts = &["removed a#f -", "split a#f a#g", "split a#f a#h", "split a#f a#i"];
        check(&[("a", &["f=ABCDEFGHIJKL"], "g=ABCD h=EFGH i=IJKL")], parts);
        check(&[("a", &["f=ABCDEFGHIJ"], "g=ABCDEF h=GHIJ")], &["renamed a#f a#g", "split a#f a#h"]);
        // What it keeps was not split off, and what one part took is not there for another.
        check(&[("a", &["f=ABCD"], "f=ABCD+g g=CD")], &["added - a#g", "modified a#f a#f"]);
        let one = &["added - a#h", "modified a#f a#f", "split a#f a#g"];
        check(&[("a", &["f=ABCDEFGH"], "f=ABCD g=EFGH h=EFGH")], one);
        // A handful of tokens is noise.
        check(&[("a", &["f=ABC"], "f=AB+g g=C")], &["added - a#g", "modified a#f a#f"]);
    }

    #[test]
    fn what_goes_into_another_node_is_joined_to_it() {
        let both = &["joined a#g a#f", "modified a#f a#f", "removed a#g -"];
        check(&[("a", &["f=AB+g g=CDX"], "f=ABCD")], both);
        check(&[("a", &["f=AB g=CDEF"], "f=ABCDEF")], both);
        check(&[("a", &["f=AB g=CDX"], "f=ABCD")], &["modified a#f a#f", "removed a#g -"]);
        check(&[("a", &["f=ABCD+g g=CD"], "f=ABCD")], &["modified a#f a#f", "removed a#g -"]);
        check(&[("a", &["f=ABC+g g=D"], "f=ABCD")], &["modified a#f a#f", "removed a#g -"]);
        // Two that became one, under a new name: the likest lives on, the other is joined to it.
        check(&[("a", &["f=ABCDEF g=GHIJ"], "h=ABCDEFGHIJ")], &["joined a#g a#h", "removed a#g -", "renamed a#f a#h"]);
    }

    #[test]
    fn what_is_nearly_a_node_that_still_stands_is_a_copy() {
        check(&[("a", &["f=ABCDE"], "f=ABCDE g=ABCDX")], &["copied a#f a#g"]);
        check(&[("a", &["f=ABCDE"], "f=ABCDX"), ("b", &[""], "f=ABCDE")], &["copied a#f b#f", "modified a#f a#f"]);
        // One of two is the move, the other the copy.
        check(&[("a", &["f=ABC"], ""), ("b", &[""], "f=ABC g=ABC")], &["copied a#f b#g", "moved a#f b#f"]);
        // Not alike enough, too short, or of another kind; and what is new twice copies nothing.
        check(&[("a", &["f=ABCDE"], "f=ABCDE g=ABCXY")], &["added - a#g"]);
        check(&[("a", &["f=AB"], "f=AB g=AB")], &["added - a#g"]);
        check(&[("a", &["f=ABCDE"], "f=ABCDE test=ABCDE")], &["added - a#test"]);
        check(&[("a", &[""], "f=ABC g=ABC")], &["added - a#f", "added - a#g"]);
    }

    #[test]
    fn a_merge_makes_no_parts_of_what_its_parents_brought() {
        // The split was made on one side.
        check(&[("a", &["f=AB+g g=CD", "f=ABCD"], "f=AB+g g=CD")], &[]);
        // It was made in the merge itself.
        check(&[("a", &["f=ABCD", "f=ABCDE"], "f=AB+g g=CD")], &["modified a#f a#f", "split a#f a#g"]);
    }

    #[test]
    fn equal_ends_of_a_file_change_nothing() {
        check(&[("a", &["f=a f=b f=a"], "f=a f=c f=a")], &["modified a#f a#f"]);
        check(&[("a", &["f=a f=a f=b"], "f=a f=b")], &["removed a#f -"]);
        check(&[("a", &["f=a g=b h=c"], "f=a h=c g=b")], &[]);
        check(&[("a", &["f=a"], "f=a f=a")], &["added - a#f"]);
    }

    /// So many removed and added nodes of one name, of which no two texts are equal and all are alike.
    fn namesakes(count: usize) -> (Vec<Placed>, Vec<Placed>) {
        let one = |at: usize, side: u8| {
            let mut chunk = ChunkId([side; 16]);
            chunk.0[..8].copy_from_slice(&at.to_le_bytes());
            let line = at as u32 + 1;
            Placed { symbol: "(top)".into(), kind: Kind::Run, chunk, start_line: line, end_line: line }
        };
        ((0..count).map(|at| one(at, 1)).collect(), (0..count).map(|at| one(at, 2)).collect())
    }

    #[test]
    fn namesakes_are_compared_a_bounded_number_of_times() {
        let (old, new) = namesakes(20_000);
        let at = |nodes: Vec<Placed>, path: &str| -> Vec<(Arc<str>, Placed)> {
            nodes.into_iter().map(|node| (path.into(), node)).collect()
        };
        let compared = std::cell::Cell::new(0);
        let similarity = |_: &ChunkId, _: &ChunkId| {
            compared.set(compared.get() + 1);
            0.9
        };
        let mut edits = Vec::new();
        pair_leftovers(at(old, "old"), at(new, "new"), &HashMap::new(), &similarity, &mut edits);
        assert!(compared.get() <= MAX_NAMED_COMPARISONS + 20_000, "{}", compared.get());
        // All the same each finds one of its own, though far more than are compared with one another come before it.
        assert_eq!(edits.iter().filter(|edit| edit.change == Change::Moved).count(), 20_000);
    }

    #[test]
    fn a_file_of_200000_namesakes_in_another_order_is_the_same_file() {
        let (mut old, _) = namesakes(200_000);
        let new: Vec<Placed> = old.iter().rev().cloned().collect();
        let matching = Matching::new(&old, &new);
        assert!(matching.removed.is_empty());
        assert!(matching.of_after.iter().zip(&new).all(|(one, two)| one.is_some_and(|one| one.chunk == two.chunk)));
        // Of a text that is there twice, the first meets the first.
        old[7].chunk = old[3].chunk;
        let matching = Matching::new(&old, &new);
        let lines: Vec<u32> = matching.removed.iter().map(|node| node.start_line).collect();
        assert_eq!(lines, [0; 0], "what is left over is the same node with another text");
        assert_eq!(matching.of_after[200_000 - 4].map(|node| node.start_line), Some(4));
        assert_eq!(matching.of_after[200_000 - 8].map(|node| node.start_line), Some(8));
    }

    #[test]
    fn what_is_gone_comes_in_the_order_of_the_file() {
        // Nodes of one line are told apart by nothing but their order.
        let mut texts = HashMap::new();
        let mut old = nodes("a=a b=d c=g e=j f=m g=p h=s i=v", &mut texts);
        old.iter_mut().for_each(|node| (node.start_line, node.end_line) = (1, 1));
        let new = nodes("z=z", &mut texts);
        let names: Vec<&str> = Matching::new(&old, &new).removed.iter().map(|node| &*node.symbol).collect();
        assert_eq!(names, ["a", "b", "c", "e", "f", "g", "h", "i"]);
    }

    #[test]
    fn the_last_name_of_a_symbol() {
        assert_eq!(last_name("Parser::next"), "next");
        assert_eq!(last_name("Class.method"), "method");
        assert_eq!(last_name("Guide > Install"), "Install");
        assert_eq!(last_name("main"), "main");
    }
}
