//! Terminal: a review in eighty columns.

use std::path::Path;

use unicode_width::UnicodeWidthStr;

use super::{NO_MESSAGE, by_node, coverage, label, notes, or_none, sentence, summary, title, voice};
use crate::Review;
use crate::finding::{Fact, Finding, NodeName, Side};

/// How to write on this terminal.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// Columns.
    pub width: usize,
    /// Whether to use colour.
    pub colour: bool,
}

impl Style {
    fn paint(&self, text: &str, code: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn bold(&self, text: &str) -> String {
        self.paint(text, "1")
    }

    fn dim(&self, text: &str) -> String {
        self.paint(text, "2")
    }
}

/// Columns of a label and the space before it.
const LABEL_COLUMNS: usize = 14;

/// What places are written with.
struct Paper<'a> {
    style: Style,
    /// The work tree, which places are linked to.
    root: Option<&'a Path>,
}

impl Paper<'_> {
    /// A place in a file, cut at its beginning where it takes more columns. On a terminal it is a link to the file, which
    /// terminals that know none leave out.
    fn place(&self, path: &str, line: Option<u32>, columns: usize) -> String {
        let line = line.map_or(String::new(), |line| format!(":{line}"));
        let shown = self.style.dim(&fit(&format!("{}{line}", visible(path)), columns));
        match self.root.filter(|_| self.style.colour) {
            Some(root) => format!("\x1b]8;;file://{}\x1b\\{shown}\x1b]8;;\x1b\\", address(&root.join(path))),
            None => shown,
        }
    }
}

/// A path as a link has it: what is not plain is written as bytes.
fn address(path: &Path) -> String {
    let mut out = String::new();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' | b'~' => out.push(char::from(*byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The review as lines of text; places are links where there is a work tree and colour.
pub fn terminal(review: &Review, style: Style, root: Option<&Path>) -> String {
    let paper = Paper { style, root };
    let mut out = String::new();
    let id = review.change.head.to_string();
    let subject = clip(&visible(or_none(&review.change.subject, NO_MESSAGE)), style.width.saturating_sub(12));
    out.push_str(&format!("  {}  {}\n", style.bold(&id[..8]), subject));
    for line in wrap(&summary(review), style.width.saturating_sub(2)) {
        out.push_str(&format!("  {line}\n"));
    }
    if let Some(coverage) = coverage(review) {
        for line in wrap(&coverage, style.width.saturating_sub(2)) {
            out.push_str(&format!("  {}\n", style.dim(&line)));
        }
    }
    for note in notes(review) {
        for line in wrap(&visible(&note), style.width.saturating_sub(2)) {
            out.push_str(&format!("  {}\n", style.dim(&line)));
        }
    }
    for finding in &review.findings {
        out.push_str(&claim(finding, &paper));
    }
    let by_node = by_node(review.briefing.iter().filter(|fact| fact.shown));
    for (about, facts) in &by_node {
        out.push_str(&node(about, facts, review, &paper));
    }
    let has_name = |about: &NodeName| !about.symbol.is_empty() && !about.symbol.ends_with("(top)");
    if let Some((about, _)) = by_node.iter().find(|(about, _)| has_name(about)) {
        let place = format!("{}#{}", about.path, about.symbol);
        // A command that could not be typed as it is shown is not shown.
        if visible(&place) == place {
            let command = format!("precedent lineage {}", quoted(&place));
            let gap = if columns(&command) + 8 > style.width { "\n  " } else { " " };
            out.push_str(&format!("\n  {}{gap}{}\n", style.dim("more:"), style.dim(&command)));
        }
    }
    if let Some(voice) = voice(review) {
        out.push('\n');
        for line in wrap(&visible(&voice), style.width.saturating_sub(2)) {
            out.push_str(&format!("  {}\n", style.dim(&line)));
        }
    }
    out
}

fn node(about: &NodeName, facts: &[&Fact], review: &Review, paper: &Paper<'_>) -> String {
    let style = paper.style;
    let line = review.change.nodes.iter().find(|node| node.name() == *about).map(|node| node.now().1.start_line);
    let room = style.width.saturating_sub(2);
    let name = clip(&visible(title(about)), room);
    let wanted = line.map_or(0, |line| columns(&format!("{}:{line}", visible(&about.path))));
    let gap = room.saturating_sub(columns(&name) + wanted);
    let mut out = match line {
        None => format!("\n  {}\n", style.bold(&name)),
        Some(_) if gap >= 2 => {
            format!("\n  {}{}{}\n", style.bold(&name), " ".repeat(gap), paper.place(&about.path, line, wanted))
        }
        Some(_) => {
            let place = paper.place(&about.path, line, style.width.saturating_sub(4));
            format!("\n  {}\n    {place}\n", style.bold(&name))
        }
    };
    for fact in facts {
        let text = visible(&sentence(fact));
        out.push_str(&labelled(label(fact.kind), &text, style));
        if fact.node != fact.about && fact.node.path != fact.about.path && !fact.node.symbol.is_empty() {
            let line = fact.citations.first().map(|citation| citation.lines[0]);
            let place = paper.place(&fact.node.path, line, style.width.saturating_sub(LABEL_COLUMNS));
            out.push_str(&format!("{}{place}\n", " ".repeat(LABEL_COLUMNS)));
        }
    }
    out
}

fn claim(finding: &Finding, paper: &Paper<'_>) -> String {
    let style = paper.style;
    let side = if finding.side == Side::Left { " (removed line)" } else { "" };
    let room = style.width.saturating_sub(4 + columns(finding.check) + columns(side));
    let place = paper.place(&finding.path, Some(finding.line), room);
    let mut out = format!("\n  {}  {place}{}\n", style.paint(finding.check, "1;33"), style.dim(side));
    for text in [&finding.title, &finding.body] {
        for line in wrap(&visible(text), style.width.saturating_sub(4)) {
            out.push_str(&format!("    {line}\n"));
        }
    }
    if let Some(ground) = finding.confidence.and_then(|confidence| confidence.ground()) {
        out.push_str(&format!("    {}\n", style.dim(&ground)));
    }
    if let Some(suggestion) = &finding.suggestion {
        out.push_str(&labelled("suggested", &visible(suggestion.trim()), style));
    }
    out
}

fn labelled(label: &str, text: &str, style: Style) -> String {
    let mut out = String::new();
    for (at, line) in wrap(text, style.width.saturating_sub(LABEL_COLUMNS)).iter().enumerate() {
        let label = if at == 0 { label } else { "" };
        let padding = " ".repeat(LABEL_COLUMNS - 4 - label.len());
        out.push_str(&format!("    {}{padding}{line}\n", style.dim(label)));
    }
    out
}

/// A shell word.
fn quoted(text: &str) -> String {
    let is_plain = text.chars().all(|letter| letter.is_ascii_alphanumeric() || "/._-:#".contains(letter));
    if is_plain && !text.starts_with('#') { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// The columns that a text takes: two for wide letters, none for combining marks.
pub fn columns(text: &str) -> usize {
    text.width()
}

/// The end of a text, where all of it takes more columns.
fn fit(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let starts = text.char_indices().map(|(at, _)| &text[at..]);
    let end = starts.into_iter().find(|end| columns(end) < width).unwrap_or_default();
    format!("…{end}")
}

/// The beginning of a text, where all of it takes more columns.
pub fn clip(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let ends = text.char_indices().map(|(at, _)| &text[..at]);
    let start = ends.take_while(|start| columns(start) < width).last().unwrap_or_default();
    format!("{start}…")
}

/// Breaks a text at spaces into lines of at most `width` columns; a longer word stands alone.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("because there is always a line");
        if line.is_empty() {
            line.push_str(word);
        } else if columns(line) + 1 + columns(word) <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// Shows what a terminal would obey or hide: control characters, bidirectional overrides, and
/// characters without width, as `U+XXXX`.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        let hidden = matches!(letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}');
        match letter {
            '\t' | '\n' => out.push(' '),
            _ if hidden || letter.is_control() => out.push_str(&format!("U+{:04X}", u32::from(letter))),
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_spaces() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("incomprehensible a", 5), ["incomprehensible", "a"]);
        assert_eq!(wrap("", 5), [""]);
    }

    #[test]
    fn what_would_act_on_the_terminal_is_shown() {
        assert_eq!(visible("a\x1b[31mb"), "aU+001B[31mb");
        assert_eq!(visible("a\u{202e}b\u{e0041}"), "aU+202EbU+E0041");
        assert_eq!(visible("naïve — ok"), "naïve — ok");
    }

    #[test]
    fn a_place_is_quoted_for_the_shell_only_when_needed() {
        assert_eq!(quoted("src/a.rs#A::b"), "src/a.rs#A::b");
        assert_eq!(quoted("src/a b.rs#it's"), "'src/a b.rs#it'\\''s'");
    }
}
