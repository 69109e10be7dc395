//! Anchor: the line of the diff that a claim hangs on. Pure.
//!
//! A file that moved is shown by Git as a rename: only what differs between its two texts is in the diff, and nothing at
//! all where they are equal. So the lines of a file that is gone are anchored in the file that it became.

use crate::change::{Change, ChangedFile};
use crate::finding::Side;

use super::mention::occurrences;

/// A line of the diff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Anchor {
    /// The path on that side.
    pub(super) path: String,
    /// The side.
    pub(super) side: Side,
    /// The line, from 1.
    pub(super) line: u32,
}

/// Where this line of the new side is shown, if it is.
pub(super) fn of_new_line(change: &Change, path: &str, line: u32) -> Option<Anchor> {
    let shown = change.file(path)?.diff.holds_new(line);
    shown.then(|| Anchor { path: path.to_owned(), side: Side::Right, line })
}

/// The removed line of this file that names `name` and is nearest to `near`; where the file moved and that line with it,
/// the first line that changed in what it became.
pub(super) fn of_removed_name(change: &Change, path: &str, name: &str, near: u32) -> Option<Anchor> {
    let file = change.file(path)?;
    let holds = |line: &u32| {
        let text = file.before.lines().nth(*line as usize - 1).unwrap_or_default();
        occurrences(text, name).next().is_some()
    };
    // The removed lines of a file that moved are shown under its new name.
    let shown = target_of(change, file).unwrap_or(file);
    let line = shown.diff.removed.iter().copied().filter(holds).min_by_key(|line| line.abs_diff(near));
    match line {
        Some(line) => Some(Anchor { path: shown.path.to_string(), side: Side::Left, line }),
        None => of_gone_file(change, path).filter(|anchor| anchor.side == Side::Right),
    }
}

/// Any line that stands for a file that is gone: its first line, or the first that changed in what it became.
pub(super) fn of_gone_file(change: &Change, path: &str) -> Option<Anchor> {
    let file = change.file(path)?;
    match target_of(change, file) {
        None => file.diff.removed.first().map(|line| Anchor { path: path.to_owned(), side: Side::Left, line: *line }),
        Some(target) => {
            let line = target.diff.added.first().copied()?;
            Some(Anchor { path: target.path.to_string(), side: Side::Right, line })
        }
    }
}

/// What a file that is gone became, if Git says so.
pub(super) fn target_of<'a>(change: &'a Change, gone: &ChangedFile) -> Option<&'a ChangedFile> {
    change.files.iter().find(|file| file.old_path.as_ref() == Some(&gone.path))
}
