//! Splitting: a node whose text is too long becomes several, cut where the text itself suggests it.
//!
//! Where to cut depends on the lines around the cut alone, not on how far the node's start is, so that an edit in one
//! part leaves the others as they were. What a node is, is decided elsewhere.

use super::Node;
use super::extent::{NumberedLine, join};
use super::similarity::fnv1a;

/// The longest text of a node, in bytes. About four thousand tokens: more than the encoders that embed it look at, and
/// more than a person reads as one thing. One function in a thousand is longer.
pub const MAX_NODE_BYTES: usize = 16 * 1024;

/// The shortest part that a cut may leave before it, in bytes: a quarter, so that most windows hold good places to cut.
const MIN_PART_BYTES: usize = MAX_NODE_BYTES / 4;

/// Gives a node its text, in parts if it is too long. The parts share its kind, name and symbol; the first begins and the
/// last ends where the node does.
pub(super) fn emit(mut node: Node, lines: &[NumberedLine<'_>], out: &mut Vec<Node>) {
    let bytes: usize = lines.iter().map(|line| line.1.len() + 1).sum();
    if bytes <= MAX_NODE_BYTES + 1 {
        node.text = join(lines);
        out.push(node);
        return;
    }
    let lines: Vec<_> = lines.iter().flat_map(pieces).collect();
    let mut start_line = node.start_line;
    let mut rest = lines.as_slice();
    while !rest.is_empty() {
        let (part, after) = rest.split_at(part_length(rest));
        let end_line = if after.is_empty() { node.end_line } else { part.last().map_or(start_line, |line| line.0) };
        out.push(Node { start_line, end_line, text: join(part), ..node.clone() });
        start_line = after.first().map_or(end_line, |line| line.0);
        rest = after;
    }
}

/// A line in pieces that fit.
fn pieces<'s>(line: &NumberedLine<'s>) -> Vec<NumberedLine<'s>> {
    let (number, mut rest) = *line;
    let mut pieces = Vec::new();
    while rest.len() > MAX_NODE_BYTES {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(MAX_NODE_BYTES));
        pieces.push((number, piece));
        rest = after;
    }
    pieces.push((number, rest));
    pieces
}

/// How many of these lines make the next part.
fn part_length(lines: &[NumberedLine<'_>]) -> usize {
    let mut bytes = 0;
    let mut best = None;
    for (index, line) in lines.iter().enumerate() {
        if bytes + line.1.len() > MAX_NODE_BYTES {
            return best.map_or(index, |(_, cut)| cut);
        }
        if bytes >= MIN_PART_BYTES {
            let place = (worth(lines[index - 1].1, line.1), index);
            best = best.max(Some(place));
        }
        bytes += line.1.len() + 1;
    }
    lines.len()
}

/// How good it is to cut between these lines: best behind a blank line, then before a shallow one. Among equals the
/// hash decides, which picks the same place however much stands before it.
fn worth(before: &str, line: &str) -> (bool, std::cmp::Reverse<usize>, u32) {
    let blank = |line: &str| line.trim().is_empty();
    let indent = if blank(line) { usize::MAX } else { line.len() - line.trim_start().len() };
    (blank(before) && !blank(line), std::cmp::Reverse(indent), fnv1a(line.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::Kind;

    fn parts(text: &str) -> Vec<Node> {
        let lines: Vec<_> = (10..).zip(text.split('\n')).collect();
        let node = Node {
            kind: Kind::Function,
            name: "f".into(),
            symbol: "f".into(),
            container: String::new(),
            start_line: 10,
            end_line: lines[lines.len() - 1].0,
            text: String::new(),
        };
        let mut out = Vec::new();
        emit(node, &lines, &mut out);
        out
    }

    fn long_function(statements: usize) -> String {
        let statement = |at: usize| {
            format!("    let value_{at} = compute({at});\n{}", if at.is_multiple_of(7) { "\n" } else { "" })
        };
        format!("fn f() {{\n{}}}", (0..statements).map(statement).collect::<String>())
    }

    #[test]
    fn nothing_is_lost_and_lines_follow_on() {
        let text = long_function(2_000);
        let parts = parts(&text);
        assert!(parts.len() > 3, "{} parts", parts.len());
        assert!(parts.iter().all(|part| part.text.len() <= MAX_NODE_BYTES && part.symbol == "f"));
        assert_eq!(parts.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join("\n"), text);
        assert!(parts.windows(2).all(|pair| pair[0].end_line + 1 == pair[1].start_line));
        assert_eq!((parts[0].start_line, parts[parts.len() - 1].end_line), (10, 9 + text.lines().count() as u32));
    }

    #[test]
    fn cuts_are_at_blank_lines_where_there_are_any() {
        let parts = parts(&long_function(2_000));
        assert!(parts[..parts.len() - 1].iter().all(|part| part.text.ends_with('\n')));
    }

    #[test]
    fn an_edit_in_one_part_leaves_the_others() {
        let before = long_function(2_000);
        let after = before.replace("compute(3)", "compute(3) + another(3)\n        + a_third(3)");
        let (before, after) = (parts(&before), parts(&after));
        let kept = before.iter().filter(|part| after.iter().any(|other| other.text == part.text)).count();
        assert_eq!(kept, before.len() - 1);
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_between_characters() {
        let text = "ü".repeat(MAX_NODE_BYTES);
        let parts = parts(&text);
        assert!(
            parts.iter().all(|part| part.text.len() <= MAX_NODE_BYTES && (part.start_line, part.end_line) == (10, 10))
        );
        assert_eq!(parts.iter().map(|part| part.text.as_str()).collect::<String>(), text);
    }

    #[test]
    fn what_fits_stays_whole() {
        assert_eq!(parts(&"x".repeat(MAX_NODE_BYTES)).len(), 1);
        assert_eq!(parts(&"x".repeat(MAX_NODE_BYTES + 1)).len(), 2);
    }
}
