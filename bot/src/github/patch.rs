//! Patch: the `patch` text of GitHub's API to hunks and lines, and to what tells it from another. Pure.

use crate::diff::{FileDiff, Hunk};

/// Reads a patch; `None` when its counts do not fit its lines, so that it proves nothing.
pub fn parse(patch: &str) -> Option<FileDiff> {
    let mut diff = FileDiff::default();
    // What is left of the present hunk, old and new, and the next numbers.
    let (mut old_left, mut new_left, mut old, mut new) = (0u32, 0u32, 0u32, 0u32);
    for line in patch.split('\n') {
        if old_left == 0 && new_left == 0 {
            if let Some(hunk) = header(line) {
                (old, new) = (first(hunk.old_start, hunk.old_lines), first(hunk.new_start, hunk.new_lines));
                (old_left, new_left) = (hunk.old_lines, hunk.new_lines);
                diff.hunks.push(hunk);
            } else if !(line.is_empty() || line.starts_with('\\')) {
                return None;
            }
            continue;
        }
        match line.as_bytes().first() {
            Some(b'+') => {
                diff.added.push(new);
                new = new.checked_add(1)?;
                new_left = new_left.checked_sub(1)?;
            }
            Some(b'-') => {
                diff.removed.push(old);
                old = old.checked_add(1)?;
                old_left = old_left.checked_sub(1)?;
            }
            Some(b'\\') => {}
            // A context line of nothing may have lost its space.
            Some(b' ') | None => {
                (old, new) = (old.checked_add(1)?, new.checked_add(1)?);
                (old_left, new_left) = (old_left.checked_sub(1)?, new_left.checked_sub(1)?);
            }
            Some(_) => return None,
        }
    }
    (old_left == 0 && new_left == 0).then_some(diff)
}

/// What a patch says, in sixteen digits: its lines without where they stand, since a base that moves on moves lines and
/// changes none of them.
pub fn fingerprint(patch: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    for line in patch.split('\n').filter(|line| !line.starts_with("@@")) {
        hasher.update(line.as_bytes()).update(b"\n");
    }
    hasher.finalize().to_hex()[..16].to_owned()
}

/// The number of the first line of a side; an empty side names the line before it.
fn first(start: u32, lines: u32) -> u32 {
    if lines == 0 { start.saturating_add(1) } else { start }
}

/// `@@ -1,2 +3,4 @@ context`
fn header(line: &str) -> Option<Hunk> {
    let ranges = line.strip_prefix("@@ -")?.split_once(" @@")?.0;
    let (old, new) = ranges.split_once(" +")?;
    let range = |text: &str| -> Option<(u32, u32)> {
        match text.split_once(',') {
            Some((start, lines)) => Some((start.parse().ok()?, lines.parse().ok()?)),
            None => Some((text.parse().ok()?, 1)),
        }
    };
    let ((old_start, old_lines), (new_start, new_lines)) = (range(old)?, range(new)?);
    old_start.checked_add(old_lines)?;
    new_start.checked_add(new_lines)?;
    Some(Hunk { old_start, old_lines, new_start, new_lines })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_is_read_as_git_wrote_it() {
        let diff =
            parse("@@ -1,3 +1,3 @@ fn a\n one\n-two\n+2\n three\n@@ -9 +8,0 @@\n-nine\n\\ No newline at end of file")
                .expect("a patch");
        assert_eq!((diff.removed, diff.added), (vec![2, 9], vec![2]));
        assert_eq!(diff.hunks[1], Hunk { old_start: 9, old_lines: 1, new_start: 8, new_lines: 0 });
        let added = parse("@@ -0,0 +1,2 @@\n+a\n+b").expect("a patch");
        assert_eq!((added.added, added.removed), (vec![1, 2], vec![]));
    }

    #[test]
    fn a_line_may_look_like_a_header() {
        let diff = parse("@@ -1 +1 @@\n-@@ -1 +1 @@\n+@@ -5,5 +5,5 @@").expect("a patch");
        assert_eq!((diff.hunks.len(), diff.removed, diff.added), (1, vec![1], vec![1]));
    }

    #[test]
    fn a_patch_is_the_same_wherever_its_lines_stand() {
        let one = fingerprint("@@ -1,2 +1,2 @@ fn a\n one\n-two\n+2");
        assert_eq!(one.len(), 16);
        assert_eq!(one, fingerprint("@@ -7,2 +8,2 @@ fn b\n one\n-two\n+2"));
        assert_ne!(one, fingerprint("@@ -1,2 +1,2 @@ fn a\n one\n-two\n+zwei"));
        assert_ne!(one, fingerprint("@@ -1,2 +1,2 @@ fn a\n one\n-two\n+2\n@@ -9 +9 @@\n-x\n+y"));
    }

    #[test]
    fn what_does_not_add_up_proves_nothing() {
        for bad in ["@@ -1,2 +1,2 @@\n one", "nonsense", "@@ -1 +1 @@\n-a\n-b\n+c", "@@ -1,9999999999 +1 @@\n x"] {
            assert!(parse(bad).is_none(), "{bad:?}");
        }
        assert!(parse("").is_some_and(|diff| diff.hunks.is_empty()));
        assert!(parse("@@ -4294967295,2 +1 @@\n x").is_none());
    }
}
