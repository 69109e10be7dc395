//! Diff: two versions of a file to hunks, and which lines may carry a comment. Pure.
//!
//! Myers with the indentation heuristic, three lines of context: Git's defaults, since comments are
//! anchored in the diff that Git shows.

use imara_diff::{Algorithm, Diff, InternedInput, sources};

/// Unchanged lines around a change, as `git diff` shows them.
const CONTEXT_LINES: u32 = 3;

/// A range of lines on both sides; numbers are from 1, as in `@@ -old_start,old_lines +new_start,new_lines @@`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hunk {
    /// First old line; the line before the hunk when it has none.
    pub old_start: u32,
    /// How many old lines.
    pub old_lines: u32,
    /// First new line; the line before the hunk when it has none.
    pub new_start: u32,
    /// How many new lines.
    pub new_lines: u32,
}

/// The difference between two versions of a file.
#[derive(Debug, Clone, Default)]
pub struct FileDiff {
    /// Hunks with context, in order.
    pub hunks: Vec<Hunk>,
    /// New line numbers that were added, ascending.
    pub added: Vec<u32>,
    /// Old line numbers that were removed, ascending.
    pub removed: Vec<u32>,
}

impl FileDiff {
    /// Compares two texts line by line.
    pub fn between(before: &str, after: &str) -> FileDiff {
        let input = InternedInput::new(sources::lines(before), sources::lines(after));
        let mut diff = Diff::compute(Algorithm::Myers, &input);
        diff.postprocess_lines(&input);
        let (old_total, new_total) = (input.before.len() as u32, input.after.len() as u32);
        let mut found = FileDiff::default();
        // Zero-based half-open ranges while merging: (old, new).
        let mut merged: Vec<[u32; 4]> = Vec::new();
        for hunk in diff.hunks() {
            found.removed.extend(hunk.before.clone().map(|line| line + 1));
            found.added.extend(hunk.after.clone().map(|line| line + 1));
            let before = CONTEXT_LINES.min(hunk.before.start).min(hunk.after.start);
            let after = CONTEXT_LINES.min(old_total - hunk.before.end).min(new_total - hunk.after.end);
            let next = [
                hunk.before.start - before,
                hunk.before.end + after,
                hunk.after.start - before,
                hunk.after.end + after,
            ];
            match merged.last_mut() {
                Some(last) if next[0] <= last[1] => {
                    last[1] = next[1];
                    last[3] = next[3];
                }
                _ => merged.push(next),
            }
        }
        found.hunks = merged.into_iter().map(as_hunk).collect();
        found
    }

    /// Whether a comment may stand on this line of the new version.
    pub fn holds_new(&self, line: u32) -> bool {
        self.hunks.iter().any(|hunk| (hunk.new_start..hunk.new_start + hunk.new_lines).contains(&line))
    }

    /// Whether a comment may stand on this line of the old version: only where it was removed.
    pub fn holds_old(&self, line: u32) -> bool {
        self.removed.binary_search(&line).is_ok()
    }

    /// The first added line in a range of the new version.
    pub fn first_added(&self, start: u32, end: u32) -> Option<u32> {
        self.added.iter().copied().find(|line| (start..=end).contains(line))
    }

    /// The first removed line in a range of the old version.
    pub fn first_removed(&self, start: u32, end: u32) -> Option<u32> {
        self.removed.iter().copied().find(|line| (start..=end).contains(line))
    }
}

/// Git names the line before an empty side.
fn as_hunk([old_start, old_end, new_start, new_end]: [u32; 4]) -> Hunk {
    let (old_lines, new_lines) = (old_end - old_start, new_end - new_start);
    Hunk {
        old_start: if old_lines == 0 { old_start } else { old_start + 1 },
        old_lines,
        new_start: if new_lines == 0 { new_start } else { new_start + 1 },
        new_lines,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(before: &str, after: &str, hunks: &[(u32, u32, u32, u32)]) {
        let diff = FileDiff::between(before, after);
        let found: Vec<_> = diff.hunks.iter().map(|h| (h.old_start, h.old_lines, h.new_start, h.new_lines)).collect();
        assert_eq!(found, hunks);
    }

    #[test]
    fn hunks_are_numbered_as_git_does() {
        check("", "a\nb\n", &[(0, 0, 1, 2)]);
        check("a\nb\n", "", &[(1, 2, 0, 0)]);
        check("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nx\n6\n7\n8\n9\n", &[(2, 7, 2, 7)]);
        check("a\n", "a\n", &[]);
    }

    #[test]
    fn near_changes_share_a_hunk_and_far_ones_do_not() {
        let lines = |changed: &[usize]| -> String {
            (1..=20).map(|n| if changed.contains(&n) { format!("x{n}\n") } else { format!("{n}\n") }).collect()
        };
        check(&lines(&[]), &lines(&[3, 9]), &[(1, 12, 1, 12)]);
        check(&lines(&[]), &lines(&[3, 12]), &[(1, 6, 1, 6), (9, 7, 9, 7)]);
    }

    #[test]
    fn a_comment_may_stand_on_new_lines_in_a_hunk_and_on_removed_lines() {
        let diff = FileDiff::between("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\n6\n7\n8\n9\n");
        assert_eq!((diff.removed.as_slice(), diff.added.as_slice()), (&[5][..], &[][..]));
        assert!(diff.holds_new(2) && diff.holds_new(7) && !diff.holds_new(1) && !diff.holds_new(8));
        assert!(diff.holds_old(5) && !diff.holds_old(4));
    }
}
