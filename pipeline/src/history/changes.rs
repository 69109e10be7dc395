//! Changes: what a commit did to which files, as `git log -c` sees it.
//!
//! A commit with one parent changes what differs from it. A merge changes only what differs from
//! *every* parent; what one side brings unchanged is that side's work, not the merge's.

use std::cmp::Ordering;
use std::sync::Arc;

use gix::objs::TreeRefIter;
use gix::objs::tree::EntryRef;
use gix::prelude::FindExt;

use super::repository::{from_gix, to_gix};
use super::{Commit, HistoryError, Objects, path_from_bytes};
use crate::shard::ObjectId;

/// What kind of thing a tree entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A file, executable or not.
    File,
    /// A symbolic link; its content is a path.
    Symlink,
    /// A commit of another repository.
    Submodule,
}

impl Mode {
    /// `None` for a directory.
    pub(super) fn of(mode: gix::objs::tree::EntryMode) -> Option<Mode> {
        match mode.kind() {
            gix::objs::tree::EntryKind::Tree => None,
            gix::objs::tree::EntryKind::Blob | gix::objs::tree::EntryKind::BlobExecutable => Some(Mode::File),
            gix::objs::tree::EntryKind::Link => Some(Mode::Symlink),
            gix::objs::tree::EntryKind::Commit => Some(Mode::Submodule),
        }
    }
}

/// A file as a tree names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The blob, or the commit of a submodule.
    pub id: ObjectId,
    /// What it is.
    pub mode: Mode,
}

/// One path that a commit changed.
#[derive(Debug, Clone)]
pub struct FileChange {
    /// The path, `/`-separated; bytes that are not UTF-8 as `\xNN`.
    pub path: Arc<str>,
    /// What stood there in each parent, in the order of the parents; one `None` for a root commit.
    pub before: Vec<Option<Entry>>,
    /// What stands there now; `None` when the path is gone.
    pub after: Option<Entry>,
}

impl Objects {
    /// The paths that `commit` changed, sorted.
    ///
    /// # Errors
    /// [`HistoryError::Missing`] when a tree that must be compared is not there.
    pub fn changes(&self, commit: &Commit) -> Result<Vec<FileChange>, HistoryError> {
        let trees = commit.parents.iter().map(|parent| self.tree_of(parent)).collect::<Result<_, _>>()?;
        self.changes_of_trees(trees, commit.tree)
    }

    /// The same of a commit's tree and those of its parents.
    ///
    /// # Errors
    /// As [`Objects::changes`].
    pub fn changes_of_trees(&self, parents: Vec<ObjectId>, tree: ObjectId) -> Result<Vec<FileChange>, HistoryError> {
        if parents.is_empty() {
            return self.difference(None, &tree);
        }
        self.combined(parents.into_iter().map(Some).collect(), Some(tree))
    }

    /// The paths that differ between two trees, sorted; `None` is the empty tree.
    ///
    /// # Errors
    /// [`HistoryError::Missing`] when a tree is not there.
    pub fn difference(&self, before: Option<&ObjectId>, after: &ObjectId) -> Result<Vec<FileChange>, HistoryError> {
        self.combined(vec![before.copied()], Some(*after))
    }

    /// The paths that differ between two commits, sorted.
    ///
    /// # Errors
    /// [`HistoryError::Missing`] when a commit or a tree is not there.
    pub fn between(&self, before: &ObjectId, after: &ObjectId) -> Result<Vec<FileChange>, HistoryError> {
        self.difference(Some(&self.tree_of(before)?), &self.tree_of(after)?)
    }

    /// The paths at which `after` differs from each of `before`; `None` is an empty tree.
    ///
    /// All trees are walked side by side, and only where the new one equals none of the old: a merge costs what it
    /// resolved by hand, not what it brought together.
    fn combined(
        &self,
        before: Vec<Option<ObjectId>>,
        after: Option<ObjectId>,
    ) -> Result<Vec<FileChange>, HistoryError> {
        let mut changes = Vec::new();
        if before.contains(&after) {
            return Ok(changes);
        }
        let mut buffers = self.tree_buffers.borrow_mut();
        let mut pending = vec![Directory { prefix: String::new(), before, after }];
        while let Some(directory) = pending.pop() {
            self.compare(&directory, &mut buffers, &mut changes, &mut pending)?;
        }
        drop(buffers);
        changes.sort_unstable_by(|one: &FileChange, two: &FileChange| one.path.cmp(&two.path));
        Ok(changes)
    }

    /// Compares one directory; what lies below it is left in `pending`.
    fn compare(
        &self,
        directory: &Directory,
        buffers: &mut Vec<Vec<u8>>,
        changes: &mut Vec<FileChange>,
        pending: &mut Vec<Directory>,
    ) -> Result<(), HistoryError> {
        let trees: Vec<Option<ObjectId>> = directory.before.iter().chain([&directory.after]).copied().collect();
        buffers.resize_with(buffers.len().max(trees.len()), Vec::new);
        let mut entries = Vec::with_capacity(trees.len());
        for (tree, buffer) in trees.iter().zip(buffers.iter_mut()) {
            entries.push(Entries::of(self, tree.as_ref(), buffer)?);
        }
        loop {
            // Most entries are the same on all sides.
            while let Some(first) = entries[0].next
                && entries[1..].iter().all(|side| side.next == Some(first))
            {
                for side in &mut entries {
                    side.advance()?;
                }
            }
            let Some(least) = entries.iter().filter_map(|side| side.next).min_by(tree_order) else { return Ok(()) };
            let found: Vec<Option<EntryRef<'_>>> = entries
                .iter()
                .map(|side| side.next.filter(|entry| tree_order(entry, &least) == Ordering::Equal))
                .collect();
            for (side, _) in entries.iter_mut().zip(&found).filter(|(_, found)| found.is_some()) {
                side.advance()?;
            }
            let (after, before) = found.split_last().expect("because the new tree is one of them");
            let same = |one: &Option<EntryRef<'_>>| match (one, after) {
                // Old trees hold modes such as 100664, which Git takes for 100644.
                (Some(one), Some(two)) => one.oid == two.oid && one.mode.kind() == two.mode.kind(),
                (None, None) => true,
                _ => false,
            };
            if before.iter().any(same) {
                continue;
            }
            let path = directory.prefix.clone() + &path_from_bytes(least.filename);
            let id = |entry: &Option<EntryRef<'_>>| entry.map(|entry| from_gix(entry.oid));
            if least.mode.is_tree() {
                let before = before.iter().map(id).collect();
                pending.push(Directory { prefix: path + "/", before, after: id(after) });
            } else {
                let entry = |entry: &Option<EntryRef<'_>>| {
                    entry.and_then(|entry| Mode::of(entry.mode).map(|mode| Entry { id: from_gix(entry.oid), mode }))
                };
                changes.push(FileChange {
                    path: path.into(),
                    before: before.iter().map(entry).collect(),
                    after: entry(after),
                });
            }
        }
    }
}

/// One directory in several trees; `None` where a tree does not have it.
struct Directory {
    /// Its path with a slash behind it; empty for the root.
    prefix: String,
    before: Vec<Option<ObjectId>>,
    after: Option<ObjectId>,
}

/// The entries of one tree, read one ahead.
struct Entries<'a> {
    next: Option<EntryRef<'a>>,
    rest: TreeRefIter<'a>,
    tree: Option<ObjectId>,
}

impl<'a> Entries<'a> {
    fn of(objects: &Objects, tree: Option<&ObjectId>, buffer: &'a mut Vec<u8>) -> Result<Entries<'a>, HistoryError> {
        let rest = match tree {
            Some(id) => objects
                .repo
                .objects
                .find_tree_iter(&to_gix(id), buffer)
                .map_err(|error| objects.unreadable("tree", id, error))?,
            None => TreeRefIter::from_bytes(&[], objects.repo.object_hash()),
        };
        let mut entries = Entries { next: None, rest, tree: tree.copied() };
        entries.advance()?;
        Ok(entries)
    }

    fn advance(&mut self) -> Result<(), HistoryError> {
        self.next = self.rest.next().transpose().map_err(|error| {
            HistoryError::read(self.tree.map_or_else(|| "a tree".to_owned(), |tree| format!("tree {tree}")), error)
        })?;
        Ok(())
    }
}

/// The order of entries in a tree: by name, a directory as if a slash followed. A file and a directory of one name are
/// two entries.
fn tree_order(one: &EntryRef<'_>, two: &EntryRef<'_>) -> Ordering {
    let shared = one.filename.len().min(two.filename.len());
    let next = |entry: &EntryRef<'_>| match entry.filename.get(shared) {
        Some(byte) => Some(*byte),
        None => entry.mode.is_tree().then_some(b'/'),
    };
    one.filename[..shared]
        .cmp(&two.filename[..shared])
        .then_with(|| next(one).cmp(&next(two)))
        // The directory `a` and the file `a/` would meet here, but no name holds a slash.
        .then_with(|| one.filename.len().cmp(&two.filename.len()))
}
