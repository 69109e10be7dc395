//! Changes: what a commit did to which files, as `git log -c` sees it.
//!
//! A commit with one parent changes what differs from it. A merge changes only what differs from
//! *every* parent; what one side brings unchanged is that side's work, not the merge's.

use std::collections::BTreeMap;
use std::sync::Arc;

use gix::diff::tree::Recorder;
use gix::diff::tree::recorder::Change;
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
        if commit.parents.is_empty() {
            return self.difference(None, &commit.tree);
        }
        let mut parent_trees = Vec::with_capacity(commit.parents.len());
        for parent in &commit.parents {
            parent_trees.push(self.tree_of(parent)?);
        }
        // Equal to one parent: nothing differs from every parent.
        if parent_trees.contains(&commit.tree) {
            return Ok(Vec::new());
        }
        let mut combined = self.difference(Some(&parent_trees[0]), &commit.tree)?;
        for tree in &parent_trees[1..] {
            if combined.is_empty() {
                break;
            }
            let mut side: BTreeMap<Arc<str>, FileChange> = self
                .difference(Some(tree), &commit.tree)?
                .into_iter()
                .map(|change| (change.path.clone(), change))
                .collect();
            combined.retain_mut(|change| match side.remove(&change.path) {
                Some(other) => {
                    change.before.extend(other.before);
                    true
                }
                None => false,
            });
        }
        Ok(combined)
    }

    /// The paths that differ between two trees, sorted; `None` is the empty tree.
    ///
    /// # Errors
    /// [`HistoryError::Missing`] when a tree is not there.
    pub fn difference(&self, before: Option<&ObjectId>, after: &ObjectId) -> Result<Vec<FileChange>, HistoryError> {
        let odb = &self.repo.objects;
        let (mut before_buffer, mut after_buffer) = (Vec::new(), Vec::new());
        let before_entries = match before {
            Some(tree) => {
                odb.find_tree_iter(&to_gix(tree), &mut before_buffer).map_err(|_| self.missing("tree", tree))?
            }
            None => gix::objs::TreeRefIter::from_bytes(&[], self.repo.object_hash()),
        };
        let after_entries =
            odb.find_tree_iter(&to_gix(after), &mut after_buffer).map_err(|_| self.missing("tree", after))?;
        let mut recorder = Recorder::default();
        gix::diff::tree(before_entries, after_entries, gix::diff::tree::State::default(), odb, &mut recorder)
            .map_err(|error| HistoryError::read(format!("the trees below {after}"), error))?;
        Ok(combine_by_path(recorder.records))
    }

    /// The paths that differ between two commits, sorted.
    ///
    /// # Errors
    /// [`HistoryError::Missing`] when a commit or a tree is not there.
    pub fn between(&self, before: &ObjectId, after: &ObjectId) -> Result<Vec<FileChange>, HistoryError> {
        self.difference(Some(&self.tree_of(before)?), &self.tree_of(after)?)
    }
}

/// Directories are dropped; a file that became a directory, or the reverse, gives both changes.
fn combine_by_path(records: Vec<Change>) -> Vec<FileChange> {
    let mut by_path: BTreeMap<String, (Option<Entry>, Option<Entry>)> = BTreeMap::new();
    let entry = |mode, id: &gix::oid| Mode::of(mode).map(|mode| Entry { id: from_gix(id), mode });
    for record in records {
        let (path, before, after) = match &record {
            Change::Addition { entry_mode, oid, path, .. } => (path, None, entry(*entry_mode, oid)),
            Change::Deletion { entry_mode, oid, path, .. } => (path, entry(*entry_mode, oid), None),
            Change::Modification { previous_entry_mode, previous_oid, entry_mode, oid, path } => {
                (path, entry(*previous_entry_mode, previous_oid), entry(*entry_mode, oid))
            }
        };
        if before.is_none() && after.is_none() {
            continue;
        }
        let slot = by_path.entry(path_from_bytes(path)).or_default();
        slot.0 = slot.0.or(before);
        slot.1 = slot.1.or(after);
    }
    by_path
        .into_iter()
        .map(|(path, (before, after))| FileChange { path: path.into(), before: vec![before], after })
        .collect()
}
