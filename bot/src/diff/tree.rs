//! Tree: the files that differ between two commits, renamed ones paired, each with its hunks.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use precedent_pipeline::history::{Entry, FileChange, Mode, Objects};

use super::FileDiff;
use super::rename::{self, Side};

/// A larger content has no hunks here, as it has none on GitHub.
const MAX_DIFFED_BYTES: usize = 64 << 20;

/// One file of a diff.
#[derive(Debug, Clone)]
pub struct TreeDiff {
    /// The old path; `None` for an added file.
    pub old_path: Option<Arc<str>>,
    /// The new path; `None` for a removed file.
    pub new_path: Option<Arc<str>>,
    /// Its hunks; none for what is binary, a link, a submodule, or differs in mode or name alone.
    pub diff: FileDiff,
}

impl TreeDiff {
    /// The path that a comment names.
    pub fn path(&self) -> &Arc<str> {
        self.new_path.as_ref().or(self.old_path.as_ref()).expect("because a file has at least one side")
    }
}

/// The old path of each file that a change renamed, by new path.
pub fn renames(objects: &Objects, changes: &[FileChange]) -> HashMap<Arc<str>, Arc<str>> {
    Sides::of(objects, changes)
        .renames()
        .into_iter()
        .map(|(from, to)| (changes[to].path.clone(), changes[from].path.clone()))
        .collect()
}

/// The diff of two commits, given the paths that differ between them. What cannot be read has no hunks.
pub fn diff(objects: &Objects, changes: &[FileChange]) -> Vec<TreeDiff> {
    let sides = Sides::of(objects, changes);
    let renames = sides.renames();
    let sources: HashMap<usize, usize> = renames.iter().map(|(from, to)| (*to, *from)).collect();
    let gone: HashSet<usize> = renames.iter().map(|(from, _)| *from).collect();
    let mut files = Vec::with_capacity(changes.len());
    for (at, change) in changes.iter().enumerate().filter(|(at, _)| !gone.contains(at)) {
        let from = sources.get(&at).copied().unwrap_or(at);
        let old = changes[from].before.first().copied().flatten();
        files.push(TreeDiff {
            old_path: old.map(|_| changes[from].path.clone()),
            new_path: change.after.map(|_| change.path.clone()),
            diff: hunks(objects, old, change.after),
        });
    }
    files
}

fn hunks(objects: &Objects, old: Option<Entry>, new: Option<Entry>) -> FileDiff {
    let (Some(before), Some(after)) = (text(objects, old), text(objects, new)) else { return FileDiff::default() };
    if rename::is_binary(&before) || rename::is_binary(&after) {
        return FileDiff::default();
    }
    FileDiff::between_bytes(&before, &after)
}

/// The bytes of a regular file, none for no file; `None` for what has no lines.
fn text(objects: &Objects, entry: Option<Entry>) -> Option<Vec<u8>> {
    match entry {
        None => Some(Vec::new()),
        Some(entry) if entry.mode == Mode::File => objects.blob_within(&entry.id, MAX_DIFFED_BYTES).ok(),
        Some(_) => None,
    }
}

/// What was removed and what was added, with contents.
struct Sides<'a> {
    changes: &'a [FileChange],
    removed: Vec<(usize, Option<Vec<u8>>)>,
    added: Vec<(usize, Option<Vec<u8>>)>,
}

impl<'a> Sides<'a> {
    fn of(objects: &Objects, changes: &'a [FileChange]) -> Sides<'a> {
        let mut sides = Sides { changes, removed: Vec::new(), added: Vec::new() };
        let is_removed = |change: &FileChange| change.after.is_none();
        let is_added = |change: &FileChange| change.before.first().copied().flatten().is_none();
        if !changes.iter().any(is_removed) || !changes.iter().any(is_added) {
            return sides;
        }
        for (at, change) in changes.iter().enumerate() {
            if is_removed(change) {
                sides.removed.push((at, text(objects, change.before.first().copied().flatten())));
            } else if is_added(change) {
                sides.added.push((at, text(objects, change.after)));
            }
        }
        sides
    }

    /// Indices of changes, (removed, added).
    fn renames(&self) -> Vec<(usize, usize)> {
        fn side<'s>(changes: &'s [FileChange], at: usize, content: &'s Option<Vec<u8>>) -> Option<Side<'s>> {
            let change = &changes[at];
            let entry = change.after.as_ref().or(change.before.first().and_then(Option::as_ref))?;
            Some(Side {
                path: change.path.as_bytes(),
                id: entry.id.as_bytes(),
                content: content.as_deref(),
                kind: entry.mode as u8,
            })
        }
        let removed: Vec<Side<'_>> =
            self.removed.iter().filter_map(|(at, content)| side(self.changes, *at, content)).collect();
        let added: Vec<Side<'_>> =
            self.added.iter().filter_map(|(at, content)| side(self.changes, *at, content)).collect();
        rename::pairs(&removed, &added).into_iter().map(|(from, to)| (self.removed[from].0, self.added[to].0)).collect()
    }
}
