//! Broken-lines: this change takes away lines of a file, and a document still points at them: `a.rs#L10-L20`, `a.rs:10`.
//!
//! Said only where the lines were there before, and either the file ends before them now or all of them went and nothing
//! took their place. Lines that only moved are not spoken of: nobody knows whether the reference was right before.

use super::broken_reference::is_new;
use super::links::{resolve, token_at};
use super::mention::{is_about_another_time, is_historical};
use super::tree::Role;
use super::{Scene, anchor};
use crate::change::ChangedFile;
use crate::finding::{Citation, Finding, NodeName, Severity, Side};
use crate::render::{code, visible};

pub(super) const NAME: &str = "broken-lines";

/// References looked into on one change, so that a review ends in time.
const MAX_REFERENCES: usize = 2_000;

/// A reference to lines of a file.
#[derive(Debug, PartialEq, Eq)]
struct Reference<'t> {
    /// The byte where its lines are named.
    at: usize,
    path: &'t str,
    first: u32,
    last: u32,
    /// Whether it is the target of a link, which is relative to its document.
    is_link: bool,
}

/// One claim for each reference.
pub(super) fn findings(scene: &Scene<'_>) -> Vec<Finding> {
    let is_cut = |file: &&ChangedFile| {
        file.exists && file.old_path.is_none() && file.language.is_ok() && !file.diff.removed.is_empty()
    };
    let cut: Vec<&ChangedFile> = scene.change.files.iter().filter(is_cut).collect();
    let mut found = Vec::new();
    if cut.is_empty() {
        return found;
    }
    let mut looked_at = 0;
    let count = scene.tree.paths().count();
    for document in (0..count).filter(|file| matches!(scene.tree.role(*file), Role::Document(_))) {
        let path = scene.tree.path(document);
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        let Some(text) = scene.tree.text(document).filter(|_| !is_historical(path)) else { continue };
        for reference in references(&text) {
            looked_at += 1;
            if looked_at > MAX_REFERENCES {
                return found;
            }
            let rooted = resolve("", reference.path.trim_start_matches('/'));
            let target = match reference.is_link && !reference.path.starts_with('/') {
                true => resolve(directory, reference.path),
                false => rooted,
            };
            let Some(file) = cut.iter().find(|file| target.as_deref() == Some(&*file.path)) else { continue };
            if is_gone(file, reference.first, reference.last) {
                found.extend(finding(scene, path, &text, &reference, file));
            }
        }
    }
    found
}

/// Every reference to lines: those of links, and those in code markup.
fn references(text: &str) -> Vec<Reference<'_>> {
    let mut found = Vec::new();
    for (at, mark) in text.match_indices(['#', ':']) {
        let rest = &text[at + 1..];
        let is_fragment = mark == "#";
        let Some((first, rest)) = number(if is_fragment { rest.strip_prefix('L').unwrap_or("") } else { rest }) else {
            continue;
        };
        let range = rest.strip_prefix('-').map(|rest| rest.strip_prefix('L').unwrap_or(rest)).and_then(number);
        let (last, rest) = range.unwrap_or((first, rest));
        // `a.rs:10:5` is what a compiler says of one day.
        if first > last || rest.starts_with(|next: char| next.is_alphanumeric() || ":-_/".contains(next)) {
            continue;
        }
        let token = token_at(text, at, 1);
        let start = token.text.as_ptr() as usize - text.as_ptr() as usize;
        let path = &text[start.min(at)..at];
        let is_marked = || text[..start.min(at)].ends_with('`') && rest.starts_with('`');
        if token.is_template || path.contains(':') || !path.contains('.') || !(token.is_link || is_marked()) {
            continue;
        }
        if token.is_link == is_fragment {
            found.push(Reference { at, path, first, last, is_link: token.is_link });
        }
    }
    found
}

/// The number that a text begins with, and what follows it.
fn number(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let number = text[..end].parse().ok().filter(|number| *number > 0)?;
    Some((number, &text[end..]))
}

/// Whether these lines were there, and nothing stands in their place now.
fn is_gone(file: &ChangedFile, first: u32, last: u32) -> bool {
    let count = |text: &str| u32::try_from(text.lines().count()).unwrap_or(u32::MAX);
    let (before, after) = (count(&file.before), count(&file.after));
    last <= before && (last > after || is_cut_out(&file.diff.removed, &file.diff.added, (first, last), (before, after)))
}

/// Whether all of these old lines were removed, and no new ones were added there.
fn is_cut_out(removed: &[u32], added: &[u32], lines: (u32, u32), counts: (u32, u32)) -> bool {
    let is_removed = |line: u32| removed.binary_search(&line).is_ok();
    if !(lines.0..=lines.1).all(is_removed) {
        return false;
    }
    // The lines that stay around the block: they are neighbours where nothing was added.
    let above = (1..lines.0).rev().find(|line| !is_removed(*line)).unwrap_or(0);
    let below = (lines.1 + 1..=counts.0).find(|line| !is_removed(*line)).unwrap_or(counts.0 + 1);
    let rank = above - removed.partition_point(|line| *line < above) as u32;
    let now = |rank: u32| kept_line(added, rank).min(counts.1 + 1);
    let end = if below > counts.0 { counts.1 + 1 } else { now(rank + 1) };
    end == (if rank == 0 { 0 } else { now(rank) }) + 1
}

/// The new number of the line that is the `rank`th of those that were not added.
fn kept_line(added: &[u32], rank: u32) -> u32 {
    let mut line = rank;
    for new in added {
        if *new > line {
            break;
        }
        line += 1;
    }
    line
}

fn finding(
    scene: &Scene<'_>,
    path: &str,
    text: &str,
    reference: &Reference<'_>,
    file: &ChangedFile,
) -> Option<Finding> {
    let start = text[..reference.at].rfind('\n').map_or(0, |end| end + 1);
    let line = u32::try_from(text[..start].matches('\n').count() + 1).ok()?;
    if is_new(scene.change, path, line, text) || !reference.is_link && is_about_another_time(text, line) {
        return None;
    }
    let Reference { first, last, .. } = *reference;
    let anchor = anchor::of_new_line(scene.change, path, line).or_else(|| {
        let near = file.diff.removed.iter().copied().min_by_key(|line| line.abs_diff(first))?;
        Some(anchor::Anchor { path: file.path.to_string(), side: Side::Left, line: near })
    })?;
    let citations = vec![
        Citation::read(scene.objects, &scene.change.head, path, line, line)?,
        Citation::read(scene.objects, &scene.change.base, &file.path, first, first)?,
    ];
    let left = file.after.lines().count();
    let verb = match last as usize > left {
        true => format!("which has {left} lines after this change"),
        false => "which this change removes".to_owned(),
    };
    let lines = if first == last { format!("line {first}") } else { format!("lines {first} to {last}") };
    let place = visible(path);
    Some(Finding {
        id: Finding::id(
            NAME,
            &NodeName { path: path.to_owned(), symbol: String::new() },
            &format!("{}:{first}-{last}", file.path),
        ),
        check: NAME,
        path: anchor.path,
        side: anchor.side,
        start_line: None,
        line: anchor.line,
        severity: Severity::Info,
        confidence: None,
        title: format!("{} points at {lines} of {}, {verb}", code(&place), code(&file.path)),
        body: format!("Line {line} of {} reads: {}.", code(&place), code(&citations[0].quote)),
        suggestion: None,
        citations,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::FileDiff;

    #[test]
    fn references_to_lines_are_links_or_stand_in_code_markup() {
        let check = |text: &str, expected: Option<(&str, u32, u32)>| {
            let found = references(text);
            let found: Vec<_> = found.iter().map(|found| (found.path, found.first, found.last)).collect();
            assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{text}");
        };
        check("see [it](../src/a.rs#L10-L20).", Some(("../src/a.rs", 10, 20)));
        check("see [it](src/a.rs#L10).", Some(("src/a.rs", 10, 10)));
        check("see [it](src/a.rs#L10-20).", Some(("src/a.rs", 10, 20)));
        check("[it]: src/a.rs#L3\n", Some(("src/a.rs", 3, 3)));
        check("see `src/a.rs:10-20`.", Some(("src/a.rs", 10, 20)));
        check("see `src/a.rs:10`.", Some(("src/a.rs", 10, 10)));
        for other in [
            "`src/a.rs:10:5`",
            "src/a.rs:10",
            "[it](https://x.example/a.rs#L10)",
            "[it](a.md#Later)",
            "[it](a.rs#L20-L10)",
            "[it](a.rs#L10-section)",
            "`localhost:8080`",
            "at 10:30",
            "`a.rs:0`",
            "#L4",
        ] {
            check(other, None);
        }
    }

    #[test]
    fn lines_are_gone_where_nothing_took_their_place() {
        let check = |before: &str, after: &str, lines: (u32, u32), expected: bool| {
            let diff = FileDiff::between(before, after);
            let counts = (before.lines().count() as u32, after.lines().count() as u32);
            assert_eq!(
                is_cut_out(&diff.removed, &diff.added, lines, counts),
                expected,
                "{before:?} {after:?} {lines:?}"
            );
        };
        let old = "a\nb\nc\nd\ne\n";
        check(old, "a\nb\ne\n", (3, 4), true);
        check(old, "a\nb\ne\n", (3, 3), true);
        check(old, "a\nb\ne\n", (2, 3), false);
        check(old, "x\ny\na\nb\ne\n", (3, 4), true);
        check(old, "a\nb\nx\ne\n", (3, 4), false);
        check(old, "c\nd\ne\n", (1, 2), true);
        check(old, "x\nc\nd\ne\n", (1, 2), false);
        check(old, "a\nb\nc\n", (4, 5), true);
        check(old, "a\nb\nc\nx\n", (4, 5), false);
        check(old, "", (1, 5), true);
    }
}
