//! Anchor: the line of the diff that a claim hangs on. Pure.
//!
//! A file that moved is shown by Git as a rename: only what differs between its two texts is in the diff, and nothing at
//! all where they are equal. So the lines of a file that is gone are anchored in the file that it became.

use crate::change::{Change, ChangedFile};
use crate::diff::FileDiff;
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

/// The share of lines that two texts must have in common for Git to call one a rename of the other.
const RENAME_SHARE: f64 = 0.5;

/// Where this line of the new side is shown, if it is.
pub(super) fn of_new_line(change: &Change, path: &str, line: u32) -> Option<Anchor> {
    let file = change.file(path)?;
    let shown = match source_of(change, file) {
        Some(source) => FileDiff::between(&source.before, &file.after).holds_new(line),
        None => file.diff.holds_new(line),
    };
    shown.then(|| Anchor { path: path.to_owned(), side: Side::Right, line })
}

/// The removed line of this file that names `name` and is nearest to `near`; or the line that took its place.
pub(super) fn of_removed_name(change: &Change, path: &str, name: &str, near: u32) -> Option<Anchor> {
    let file = change.file(path)?;
    let holds = |line: &u32| {
        let text = file.before.lines().nth(*line as usize - 1).unwrap_or_default();
        occurrences(text, name).next().is_some()
    };
    match target_of(change, file) {
        None => {
            let line = file.diff.removed.iter().copied().filter(holds).min_by_key(|line| line.abs_diff(near))?;
            Some(Anchor { path: path.to_owned(), side: Side::Left, line })
        }
        Some(target) => {
            let diff = FileDiff::between(&file.before, &target.after);
            let line = diff.added.first().copied()?;
            Some(Anchor { path: target.path.to_string(), side: Side::Right, line })
        }
    }
}

/// Any line that stands for a file that is gone: its first line, or the first that changed in what it became.
pub(super) fn of_gone_file(change: &Change, path: &str) -> Option<Anchor> {
    let file = change.file(path)?;
    match target_of(change, file) {
        None => file.diff.removed.first().map(|line| Anchor { path: path.to_owned(), side: Side::Left, line: *line }),
        Some(target) => {
            let line = FileDiff::between(&file.before, &target.after).added.first().copied()?;
            Some(Anchor { path: target.path.to_string(), side: Side::Right, line })
        }
    }
}

/// What a file that is gone became, if Git would say so.
pub(super) fn target_of<'a>(change: &'a Change, gone: &ChangedFile) -> Option<&'a ChangedFile> {
    if gone.exists || gone.before.is_empty() {
        return None;
    }
    best(change.files.iter().filter(|file| file.exists && file.before.is_empty()), &gone.before, |file| &file.after)
}

/// What a new file was before, if Git would say so.
fn source_of<'a>(change: &'a Change, new: &ChangedFile) -> Option<&'a ChangedFile> {
    if !new.exists || !new.before.is_empty() || new.after.is_empty() {
        return None;
    }
    best(change.files.iter().filter(|file| !file.exists), &new.after, |file| &file.before)
}

fn best<'a>(
    files: impl Iterator<Item = &'a ChangedFile>,
    text: &str,
    other: fn(&ChangedFile) -> &str,
) -> Option<&'a ChangedFile> {
    // Comparing every pair of a change that moves thousands of files would take too long.
    const MAX_COMPARED: usize = 100;
    files
        .filter(|file| !other(file).is_empty())
        .take(MAX_COMPARED)
        .map(|file| (share(text, other(file)), file))
        .filter(|(share, _)| *share >= RENAME_SHARE)
        .max_by(|one, two| one.0.total_cmp(&two.0))
        .map(|(_, file)| file)
}

/// The bytes of lines that two texts have in common, as a share of the longer one.
fn share(one: &str, two: &str) -> f64 {
    let longer = one.len().max(two.len());
    // Lengths alone may rule it out.
    if longer == 0 || (one.len().min(two.len()) as f64) < RENAME_SHARE * longer as f64 {
        return 0.0;
    }
    if one == two {
        return 1.0;
    }
    let mut lines: std::collections::HashMap<&str, usize> = std::collections::HashMap::new();
    for line in one.lines() {
        *lines.entry(line).or_default() += 1;
    }
    let mut shared = 0;
    for line in two.lines() {
        if let Some(left) = lines.get_mut(line).filter(|left| **left > 0) {
            *left -= 1;
            shared += line.len() + 1;
        }
    }
    shared as f64 / longer as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_shared_by_lines() {
        assert_eq!(share("a\nb\n", "a\nb\n"), 1.0);
        assert_eq!(share("a\nb\n", "a\nc\n"), 0.5);
        assert_eq!(share("a\n", "b\n"), 0.0);
        assert_eq!(share("a\n", "a\nb\nc\nd\n"), 0.0);
    }
}
