//! Diff: two versions of a file to hunks, and which lines may carry a comment. Pure.
//!
//! Myers with the indentation heuristic, three lines of context: Git's defaults, since comments are
//! anchored in the diff that Git shows, to the line. `benches/anchors` holds it against `git diff`.

mod compact;
mod myers;
pub mod rename;
pub mod tree;

use std::collections::HashMap;

use compact::Side;

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

impl Hunk {
    fn old_range(&self) -> std::ops::Range<u32> {
        self.old_start..self.old_start.saturating_add(self.old_lines)
    }

    fn new_range(&self) -> std::ops::Range<u32> {
        self.new_start..self.new_start.saturating_add(self.new_lines)
    }
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
        FileDiff::between_bytes(before.as_bytes(), after.as_bytes())
    }

    /// Compares two contents line by line; lines end with a line feed.
    pub fn between_bytes(before: &[u8], after: &[u8]) -> FileDiff {
        let (old_texts, new_texts) = (lines(before), lines(after));
        let (old, new, kinds) = numbered(&old_texts, &new_texts);
        let (mut old_changed, mut new_changed) = myers::changed(&old, &new, kinds);
        let (old_total, new_total) = (old.len() as u32, new.len() as u32);
        let mut old_side = Side { lines: &old, texts: &old_texts, changed: &mut old_changed };
        let mut new_side = Side { lines: &new, texts: &new_texts, changed: &mut new_changed };
        old_side.compact(&new_side);
        new_side.compact(&old_side);
        let mut found = FileDiff::default();
        // Zero-based half-open ranges while merging: (old, new).
        let mut merged: Vec<[u32; 4]> = Vec::new();
        for block in blocks(&old_changed, &new_changed) {
            found.removed.extend((block.old_start..block.old_end).map(|line| line + 1));
            found.added.extend((block.new_start..block.new_end).map(|line| line + 1));
            let before = CONTEXT_LINES.min(block.old_start).min(block.new_start);
            let after = CONTEXT_LINES.min(old_total - block.old_end).min(new_total - block.new_end);
            let next =
                [block.old_start - before, block.old_end + after, block.new_start - before, block.new_end + after];
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

    /// The hunk that holds this line on the given side; of the old version, removed lines only.
    pub fn hunk_of(&self, side: crate::finding::Side, line: u32) -> Option<usize> {
        match side {
            crate::finding::Side::Right => self.hunks.iter().position(|hunk| hunk.new_range().contains(&line)),
            crate::finding::Side::Left if self.holds_old(line) => {
                self.hunks.iter().position(|hunk| hunk.old_range().contains(&line))
            }
            crate::finding::Side::Left => None,
        }
    }

    /// Whether a comment may stand on this line of the new version.
    pub fn holds_new(&self, line: u32) -> bool {
        self.hunks.iter().any(|hunk| hunk.new_range().contains(&line))
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

/// The lines of a content, each with its line feed if it has one.
fn lines(content: &[u8]) -> Vec<&[u8]> {
    content.split_inclusive(|byte| *byte == b'\n').collect()
}

/// Equal lines to equal numbers, and how many different lines there are.
fn numbered(old: &[&[u8]], new: &[&[u8]]) -> (Vec<u32>, Vec<u32>, usize) {
    fn number<'a>(lines: &[&'a [u8]], known: &mut HashMap<&'a [u8], u32>) -> Vec<u32> {
        let mut numbers = Vec::with_capacity(lines.len());
        for line in lines {
            let next = known.len() as u32;
            numbers.push(*known.entry(line).or_insert(next));
        }
        numbers
    }
    let mut known = HashMap::with_capacity(old.len());
    let (old, new) = (number(old, &mut known), number(new, &mut known));
    (old, new, known.len())
}

/// Lines that differ between two equal ones; zero-based, half open.
struct Block {
    old_start: u32,
    old_end: u32,
    new_start: u32,
    new_end: u32,
}

/// The blocks of a difference, in order. Unchanged lines stand opposite each other.
fn blocks(old: &[bool], new: &[bool]) -> Vec<Block> {
    let mut blocks = Vec::new();
    let (mut old_at, mut new_at) = (0, 0);
    let run = |changed: &[bool], from: usize| from + changed[from..].iter().take_while(|changed| **changed).count();
    while old_at < old.len() || new_at < new.len() {
        let (old_end, new_end) = (run(old, old_at), run(new, new_at));
        if old_end > old_at || new_end > new_at {
            blocks.push(Block {
                old_start: old_at as u32,
                old_end: old_end as u32,
                new_start: new_at as u32,
                new_end: new_end as u32,
            });
        }
        (old_at, new_at) = (old_end + 1, new_end + 1);
    }
    blocks
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
