//! An extent: the bytes of a source that belong to one item, and how they become the text of a node.
//!
//! Extents are whole lines wherever no other item shares the line. Here are the line arithmetic, the cutting out of inner
//! items and the dedenting; which items there are is found in `nodes.rs`.

use std::borrow::Cow;
use std::ops::Range;

/// Where the lines of a source begin and end. Lines end at `\n`, as Git counts them.
pub(super) struct Lines<'s> {
    pub(super) source: &'s str,
    /// The byte at which each line begins.
    pub(super) starts: Cow<'s, [usize]>,
}

/// One line of a node's text with its number in the file, from 1.
pub(super) type NumberedLine<'s> = (u32, &'s str);

impl<'s> Lines<'s> {
    pub(super) fn of(source: &'s str) -> Self {
        let after_each_line = memchr::memchr_iter(b'\n', source.as_bytes()).map(|at| at + 1);
        let mut starts = Vec::with_capacity(source.len() / 32 + 1);
        starts.push(0);
        starts.extend(after_each_line);
        Lines { source, starts: Cow::Owned(starts) }
    }

    /// The same for a source whose lines are known.
    pub(super) fn known(source: &'s str, starts: &'s [usize]) -> Self {
        Lines { source, starts: Cow::Borrowed(starts) }
    }

    /// A range of bytes as tree-sitter names it.
    pub(super) fn positions(&self, range: &Range<usize>) -> tree_sitter::Range {
        let point = |at| tree_sitter::Point { row: self.index(at), column: at - self.start(at) };
        tree_sitter::Range {
            start_byte: range.start,
            end_byte: range.end,
            start_point: point(range.start),
            end_point: point(range.end),
        }
    }

    /// The line, from 0, that holds this byte.
    pub(super) fn index(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at) - 1
    }

    /// The number, from 1, of the line that holds this byte.
    pub(super) fn number(&self, at: usize) -> u32 {
        u32::try_from(self.index(at) + 1).unwrap_or(u32::MAX)
    }

    pub(super) fn start(&self, at: usize) -> usize {
        self.starts[self.index(at)]
    }

    /// The end of the line that holds this byte, before its `\n`.
    pub(super) fn end(&self, at: usize) -> usize {
        self.starts.get(self.index(at) + 1).map_or(self.source.len(), |next| next - 1)
    }

    /// The lines in a range of bytes; the first and the last may be parts of lines.
    pub(super) fn within(&self, range: Range<usize>) -> Vec<NumberedLine<'s>> {
        let first = self.index(range.start);
        let breaks = self.starts[first + 1..].iter().take_while(|start| **start <= range.end);
        let mut at = range.start;
        let mut lines = Vec::new();
        for next in breaks.map(|start| Some(*start)).chain([None]) {
            let end = next.map_or(range.end, |next| next - 1);
            lines.push((u32::try_from(first + 1 + lines.len()).unwrap_or(u32::MAX), &self.source[at..end]));
            at = next.unwrap_or(end);
        }
        lines
    }
}

/// Widens extents to whole lines, except where another one begins or ends on the same line.
///
/// The extents come in file order, the outer before the inner, and either nest or are apart; they still do afterwards.
pub(super) fn widen(lines: &Lines<'_>, extents: &mut [Range<usize>]) {
    let starts: Vec<usize> = extents.iter().map(|extent| extent.start).collect();
    let mut ends: Vec<usize> = extents.iter().map(|extent| extent.end).collect();
    ends.sort_unstable();
    // How many begin before this one, and how many end where it begins or before.
    let (mut begun, mut ended) = (0, 0);
    for (at, extent) in extents.iter_mut().enumerate() {
        let (start, end) = (extent.start, extent.end);
        let line = lines.index(start);
        let line_start = lines.starts[line];
        if start > line_start {
            begun = if at > 0 && starts[at - 1] == start { begun } else { at };
            ended += ends[ended..].iter().take_while(|other| **other <= start).count();
            let begins_on_it = begun > 0 && starts[begun - 1] >= line_start;
            let ends_on_it = ended > 0 && ends[ended - 1] > line_start;
            if !begins_on_it && !ends_on_it {
                extent.start = line_start;
            }
        }
        let line_end = lines.end(end);
        if end < line_end {
            let next = |sorted: &[usize], least: usize| sorted.get(sorted.partition_point(|at| *at < least)).copied();
            let begins_on_it = next(&starts[at..], end).is_some_and(|start| start < line_end);
            let ends_on_it = next(&ends, end + 1).is_some_and(|end| end <= line_end);
            if !begins_on_it && !ends_on_it {
                extent.end = line_end;
            }
        }
    }
}

/// What is left of an extent when those inside it are cut out: the stretches between them, none of them blank.
pub(super) fn gaps<'s>(lines: &Lines<'s>, whole: Range<usize>, inner: &[Range<usize>]) -> Vec<Vec<NumberedLine<'s>>> {
    let mut gaps = Vec::new();
    let mut at = whole.start;
    for cut in inner {
        gaps.push(gap(lines, at..cut.start));
        at = after(lines, cut.end).min(whole.end);
    }
    gaps.push(gap(lines, at..whole.end));
    // Blank lines between two methods come and go with the methods; others are part of the text.
    let last = gaps.len() - 1;
    for (index, gap) in gaps.iter_mut().enumerate() {
        let blank = |line: &NumberedLine<'_>| line.1.trim().is_empty();
        if index > 0 {
            gap.drain(..gap.iter().take_while(|line| blank(line)).count());
        }
        if index < last {
            gap.truncate(gap.len() - gap.iter().rev().take_while(|line| blank(line)).count());
        }
    }
    gaps.retain(|gap| !gap.is_empty());
    gaps
}

/// The place behind an extent: the next line if it took its last line whole.
fn after(lines: &Lines<'_>, end: usize) -> usize {
    if lines.source[end..].starts_with('\n') { end + 1 } else { end }
}

fn gap<'s>(lines: &Lines<'s>, range: Range<usize>) -> Vec<NumberedLine<'s>> {
    if range.is_empty() {
        return Vec::new();
    }
    let mut kept = lines.within(range);
    // A gap that ends where a line begins does not have a last, empty line.
    if kept.last().is_some_and(|line| line.1.is_empty()) {
        kept.pop();
    }
    kept
}

/// Takes blank lines off both ends, the indentation of the first line off all lines that begin with it, and carriage
/// returns off their ends. A line that is indented less, as in a string over many lines, stays where it is, as it does
/// when the node around it is moved to another depth.
pub(super) fn dedent<'s>(lines: &[NumberedLine<'s>]) -> Vec<NumberedLine<'s>> {
    let blank = |line: &&NumberedLine<'_>| line.1.trim().is_empty();
    let leading = lines.iter().take_while(blank).count();
    let trailing = lines[leading..].iter().rev().take_while(blank).count();
    let lines = &lines[leading..lines.len() - trailing];
    let first = lines.first().map_or("", |line| line.1);
    let indent = &first[..first.len() - first.trim_start_matches([' ', '\t']).len()];
    let strip = |line: &'s str| {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.trim().is_empty() { "" } else { line.strip_prefix(indent).unwrap_or(line) }
    };
    lines.iter().map(|(number, line)| (*number, strip(line))).collect()
}

/// The parts of a stretch of lines between which a blank line stands before one that is not indented.
pub(super) fn paragraphs(lines: Vec<NumberedLine<'_>>) -> Vec<Vec<NumberedLine<'_>>> {
    let mut parts: Vec<Vec<NumberedLine<'_>>> = Vec::new();
    let mut after_blank = true;
    for line in lines {
        let blank = line.1.trim().is_empty();
        match parts.last_mut() {
            Some(part) if blank || !after_blank || line.1.starts_with([' ', '\t']) => part.push(line),
            _ => parts.push(vec![line]),
        }
        after_blank = blank;
    }
    parts
}

/// The lines as one text.
pub(super) fn join(lines: &[NumberedLine<'_>]) -> String {
    let mut text = String::with_capacity(lines.iter().map(|line| line.1.len() + 1).sum());
    for (index, (_, line)) in lines.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        text.push_str(line);
    }
    text
}

/// A name that came from a source, on one line and of bounded length.
pub(super) fn label(text: &str) -> Cow<'_, str> {
    /// Longer names come from generated code, attacks, and sentences taken for headings. Symbols repeat the names of all
    /// that encloses them, so their length has to be bounded.
    const MAX_LABEL_BYTES: usize = 160;
    let text = text.trim();
    let cut = &text[..text.floor_char_boundary(MAX_LABEL_BYTES)];
    if cut.contains(|letter: char| letter.is_whitespace() && letter != ' ') || cut.contains("  ") {
        return Cow::Owned(cut.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    Cow::Borrowed(cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_dedent(input: &str, expected: &str) {
        let lines = Lines::of(input);
        assert_eq!(join(&dedent(&lines.within(0..input.len()))), expected);
    }

    #[test]
    fn the_first_lines_indentation_goes_if_all_lines_have_it() {
        check_dedent("    a\n      b\n\n    c", "a\n  b\n\nc");
        check_dedent("\ta\n\t\tb", "a\n\tb");
        check_dedent("    a\n  b", "a\n  b");
        check_dedent("\ta\n        b", "a\n        b");
        check_dedent("  a\n \n  b", "a\n\nb");
    }

    #[test]
    fn carriage_returns_and_outer_blank_lines_go() {
        check_dedent("\r\n  a\r\n  b\r\n\r\n", "a\nb");
        check_dedent("   \n", "");
    }

    #[track_caller]
    fn check_widen(source: &str, extents: &[(usize, usize)], expected: &[&str]) {
        let mut extents: Vec<_> = extents.iter().map(|(start, end)| *start..*end).collect();
        widen(&Lines::of(source), &mut extents);
        let widened: Vec<_> = extents.into_iter().map(|extent| &source[extent]).collect();
        assert_eq!(widened, expected);
    }

    #[test]
    fn extents_take_whole_lines_unless_they_share_them() {
        check_widen("x\n  ab ;\ny", &[(4, 6)], &["  ab ;"]);
        check_widen("ab cd ;", &[(0, 2), (3, 5)], &["ab", "cd ;"]);
        check_widen(" {ab} ", &[(1, 5), (2, 4)], &[" {ab} ", "ab"]);
        check_widen("a:\n b # c", &[(0, 5), (4, 5)], &["a:\n b # c", " b # c"]);
    }

    #[test]
    fn gaps_lose_the_blank_lines_beside_a_cut() {
        let source = "{\n  a\n\n  X\n\n  Y\n}";
        let kept = gaps(&Lines::of(source), 0..source.len(), &[7..11, 12..16].map(|cut: Range<usize>| cut));
        assert_eq!(kept.len(), 2, "{kept:?}");
        assert_eq!(kept.concat().iter().map(|line| line.1).collect::<Vec<_>>(), ["{", "  a", "}"]);
    }

    #[test]
    fn paragraphs_begin_after_blank_lines_and_in_the_first_column() {
        let source = "\n a\n\n  b\nc\n\n\nd\n";
        let parts = paragraphs(Lines::of(source).within(0..source.len()));
        let numbers: Vec<Vec<_>> = parts.iter().map(|part| part.iter().map(|line| line.0).collect()).collect();
        assert_eq!(numbers, [vec![1, 2, 3, 4, 5, 6, 7], vec![8, 9]]);
    }

    #[test]
    fn labels_are_short_and_on_one_line() {
        assert_eq!(label(" a\n  b "), "a b");
        assert_eq!(label(&"é".repeat(200)).chars().count(), 80);
    }
}
