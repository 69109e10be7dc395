//! Settle: which comments may be marked as settled, because the code changed since and their findings are gone. Pure.
//!
//! Neither is enough alone. A finding is missing too where its check became silent, where a language model was not asked or
//! failed, and where its file was not looked into; and code that is as it was settles nothing. What is in doubt stays open.

use std::collections::{HashMap, HashSet};

use super::report::{Report, is_of_model};

/// A comment of ours that is not marked yet and whose finding is not among those of today.
#[derive(Debug, Clone)]
pub struct Open {
    /// The number of the comment.
    pub comment: u64,
    /// The finding.
    pub id: String,
    /// The check that made it; older comments do not tell.
    pub check: Option<String>,
    /// Its file.
    pub path: String,
    /// The fingerprint of that file's patch when it was made.
    pub patch: Option<String>,
    /// Whether GitHub shows it as outdated: its lines changed.
    pub outdated: bool,
    /// Its body.
    pub body: String,
}

/// The files of the pull request, as far as they were looked through.
#[derive(Debug, Clone, Default)]
pub struct Files {
    /// Fingerprints of their patches, where GitHub gave any.
    pub patches: HashMap<String, Option<String>>,
    /// What files were called before they were renamed.
    pub renamed: HashSet<String>,
    /// Whether there are no others.
    pub is_whole: bool,
}

/// Whether the code changed since a comment was made, and its finding would be told if it still held.
pub fn is_settled(open: &Open, report: &Report, files: &Files) -> bool {
    let Some(check) = &open.check else { return false };
    // A model may say nothing of what it said before, for no reason but chance: its lines themselves must have changed.
    let changed = if is_of_model(check) { open.outdated || is_gone(open, files) } else { has_changed(open, files) };
    changed && report.would_tell(check, &open.path)
}

fn has_changed(open: &Open, files: &Files) -> bool {
    let now = files.patches.get(&open.path).and_then(Option::as_ref);
    let differs = open.patch.as_ref().zip(now).is_some_and(|(then, now)| then != now);
    open.outdated || differs || is_gone(open, files)
}

/// Whether the file is as it was before the pull request.
fn is_gone(open: &Open, files: &Files) -> bool {
    files.is_whole && !files.patches.contains_key(&open.path) && !files.renamed.contains(&open.path)
}
