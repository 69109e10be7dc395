//! Headings: the lines that name what follows them, in each text format.
//!
//! One function a format, each of which looks at the line in question and at most two further ones. Where blocks begin
//! and end is decided in `blocks.rs`.

use super::extent::{NumberedLine, label};
use super::languages::Style;

/// A heading, a table header, a key or a function head.
pub(super) struct Heading {
    /// 1 for the outermost.
    pub(super) level: usize,
    pub(super) name: String,
    /// How many lines it takes.
    pub(super) lines: usize,
}

/// The headings of one file. reStructuredText gives its adornments their levels in order of appearance.
pub(super) struct Titles {
    style: Style,
    adornments: Vec<(char, bool)>,
}

impl Titles {
    pub(super) const fn of(style: Style) -> Self {
        Titles { style, adornments: Vec::new() }
    }

    /// The heading that starts at a line, if one does. `fresh` lines come behind a blank line or another heading.
    pub(super) fn heading(&mut self, lines: &[NumberedLine<'_>], at: usize, fresh: bool) -> Option<Heading> {
        let line = lines[at].1;
        let next = |ahead: usize| lines.get(at + ahead).map_or("", |line| line.1);
        match self.style {
            Style::Plain => None,
            Style::Markdown => markdown(line).or_else(|| if fresh { underlined(line, next(1)) } else { None }),
            Style::Rst => self.rst(line, next(1), next(2), fresh),
            Style::Asciidoc => asciidoc(line),
            Style::Roff => roff(line, next(1)),
            Style::Tables => table(line),
            Style::Keys => key(line),
            Style::Functions => function(line),
            Style::Targets => target(line),
        }
    }

    fn rst(&mut self, line: &str, second: &str, third: &str, fresh: bool) -> Option<Heading> {
        let (title, adornment, overlined) = match (adornment(line), adornment(second)) {
            (Some(over), None) if adornment(third) == Some(over) => (second, over, true),
            (None, Some(under)) if fresh && second.trim_end().len() >= line.trim_end().len().min(4) => {
                (line, under, false)
            }
            _ => return None,
        };
        if is_blank(title) || (!overlined && title.starts_with(' ')) {
            return None;
        }
        let known = self.adornments.iter().position(|known| *known == (adornment, overlined));
        let level = known.unwrap_or_else(|| {
            self.adornments.push((adornment, overlined));
            self.adornments.len() - 1
        });
        heading(level + 1, title, if overlined { 3 } else { 2 })
    }
}

fn heading(level: usize, name: &str, lines: usize) -> Option<Heading> {
    Some(Heading { level, name: label(name).into_owned(), lines })
}

pub(super) fn is_blank(line: &str) -> bool {
    line.trim().is_empty()
}

/// Whether a line starts a paragraph though no blank line stands before it.
pub(super) fn breaks(style: Style, line: &str) -> bool {
    let word = line.split_whitespace().next().unwrap_or("");
    style == Style::Roff && [".PP", ".P", ".LP", ".Pp", ".sp", ".TP", ".IP", ".HP"].contains(&word)
}

fn markdown(line: &str) -> Option<Heading> {
    let line = line.trim_end();
    let title = line.trim_start_matches('#');
    let level = line.len() - title.len();
    let is_title = (1..=6).contains(&level) && (title.is_empty() || title.starts_with([' ', '\t']));
    if is_title { heading(level, title.trim_end_matches('#'), 1) } else { None }
}

fn underlined(line: &str, under: &str) -> Option<Heading> {
    let level = match adornment(under) {
        Some('=') => 1,
        Some('-') => 2,
        _ => return None,
    };
    let is_title = !is_blank(line) && !line.starts_with(['-', '*', '|', '>', '<', ' ', '\t', '=', '`']);
    if is_title && under.trim_end().len() >= 3 { heading(level, line, 2) } else { None }
}

/// The punctuation character of which a line consists.
fn adornment(line: &str) -> Option<char> {
    let line = line.trim_end();
    let first = line.chars().next().filter(char::is_ascii_punctuation)?;
    line.chars().all(|letter| letter == first).then_some(first)
}

fn asciidoc(line: &str) -> Option<Heading> {
    let title = line.trim_start_matches('=');
    let level = line.len() - title.len();
    let is_title = (1..=6).contains(&level) && title.starts_with(' ') && !is_blank(title);
    // `=` is the document's title, `==` the first section.
    if is_title { heading(level.max(2) - 1, title, 1) } else { None }
}

fn roff(line: &str, next: &str) -> Option<Heading> {
    let (name, level) = match line.get(..3)? {
        ".SH" | ".Sh" => (&line[3..], 1),
        ".SS" | ".Ss" => (&line[3..], 2),
        _ => return None,
    };
    let is_title = name.is_empty() || name.starts_with(char::is_whitespace);
    let name = if is_blank(name) { next } else { name };
    if is_title { heading(level, name.trim().trim_matches('"'), 1) } else { None }
}

fn table(line: &str) -> Option<Heading> {
    let rest = line.strip_prefix('[')?;
    let (name, after) = rest.rsplit_once(']').filter(|_| !rest.contains('#')).or_else(|| rest.split_once(']'))?;
    let after = after.trim_start_matches(']').trim();
    let name = name.trim_start_matches('[').trim_end_matches(']');
    // A line of an array may look like a header. What is in quotes does not count, as in `'cfg(a = "b")'`.
    let is_array = name.split(['\'', '"']).step_by(2).any(|unquoted| unquoted.contains([',', '=']));
    let is_header = !is_blank(name) && !is_array && (after.is_empty() || after.starts_with(['#', ';']));
    if is_header { heading(1, name, 1) } else { None }
}

fn key(line: &str) -> Option<Heading> {
    let (name, after) = line.split_once(':')?;
    let is_key = !name.is_empty()
        && !name.starts_with([' ', '\t', '#', '-', '{', '[', '}', ']', '%', '&', '*', '!', '|', '>', '@', '`'])
        && (after.is_empty() || after.starts_with(char::is_whitespace));
    if is_key { heading(1, name.trim().trim_matches(['"', '\'']), 1) } else { None }
}

fn function(line: &str) -> Option<Heading> {
    let in_name = |letter: char| letter.is_alphanumeric() || "_-:.".contains(letter);
    let after_keyword = ["function ", "Function ", "filter "].into_iter().find_map(|word| line.strip_prefix(word));
    let rest = after_keyword.unwrap_or(line).trim_start();
    let name = &rest[..rest.find(|letter| !in_name(letter)).unwrap_or(rest.len())];
    let called = rest[name.len()..].trim_start().starts_with("()");
    if !name.is_empty() && !line.starts_with([' ', '\t']) && (called || after_keyword.is_some()) {
        heading(1, name, 1)
    } else {
        None
    }
}

fn target(line: &str) -> Option<Heading> {
    let (name, after) = line.split_once(':')?;
    let variable = after.starts_with('=') || after.starts_with(":=");
    let name = name.split_whitespace().next()?.trim_start_matches('@');
    let is_target = !variable && !name.is_empty() && !name.contains('=') && !line.starts_with([' ', '\t', '#', '-']);
    if is_target { heading(1, name, 1) } else { None }
}
