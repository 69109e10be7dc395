//! Links: how documents point at files and headings. Pure.

use std::collections::BTreeSet;

/// What stands in a text around a name, up to white space or the marks of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token<'t> {
    /// The reference as written.
    pub(super) text: &'t str,
    /// Whether it is the target of a link, which is relative to its document.
    pub(super) is_link: bool,
    /// Whether it holds a mark for something to be filled in.
    pub(super) is_template: bool,
}

/// The reference that holds the `length` bytes from `at`.
pub(super) fn token_at(text: &str, at: usize, length: usize) -> Token<'_> {
    let ends = |letter: char| letter.is_whitespace() || "\"'`()[]<>,;|{}".contains(letter);
    let start = text[..at].rfind(ends).map_or(0, |end| end + text[end..].chars().next().map_or(1, char::len_utf8));
    let end = text[at + length..].find(ends).map_or(text.len(), |end| at + length + end);
    let (before, after) = (&text[..start], &text[end..]);
    let is_definition = || {
        let line = before.rsplit('\n').next().unwrap_or_default().trim_start();
        line.starts_with('[') && line.trim_end().ends_with("]:")
    };
    let is_link = before.ends_with("](") && after.starts_with([')', ' '])
        || before.ends_with("](<")
        || is_definition()
        || ["href=\"", "src=\"", "href='", "src='"].iter().any(|mark| before.ends_with(mark));
    let is_template = before.ends_with(['{', '<', '[']) && !before.ends_with("](<")
        || after.starts_with(['{', '['])
        || text[start..end].contains(['*', '$', '%']);
    let token = text[start..end].trim_end_matches(['.', ':', '!', '?']);
    Token { text: token, is_link, is_template }
}

/// A path from a directory, without `.` and `..`; `None` when it leaves the repository.
pub(super) fn resolve(directory: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = directory.split('/').filter(|part| !part.is_empty()).collect();
    if path.starts_with('/') {
        parts.clear();
    }
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// Whether two paths are the same but for what follows a line number, `a.rs:12`.
pub(super) fn is_same_path(written: &str, path: &str) -> bool {
    let rest = written.strip_prefix(path);
    rest.is_some_and(|rest| {
        rest.is_empty()
            || rest.strip_prefix(':').is_some_and(|line| line.starts_with(|digit: char| digit.is_ascii_digit()))
    })
}

/// The anchors of a Markdown document's headings as GitHub makes them, each with its line from 1.
pub(super) fn slugs(text: &str) -> Vec<(String, u32)> {
    let mut found: Vec<(String, u32)> = Vec::new();
    let mut is_fenced = false;
    for (number, line) in (1u32..).zip(text.lines()) {
        let trimmed = line.trim_start();
        if trimmed.starts_with("```") || trimmed.starts_with("~~~") {
            is_fenced = !is_fenced;
        }
        let marks = line.bytes().take_while(|byte| *byte == b'#').count();
        if is_fenced || !(1..=6).contains(&marks) || !line[marks..].starts_with(' ') {
            continue;
        }
        let base = slug(line[marks..].trim().trim_end_matches('#').trim());
        if base.is_empty() {
            continue;
        }
        let same = found.iter().filter(|(other, _)| {
            *other == base
                || other.strip_prefix(&base).is_some_and(|rest| {
                    rest.strip_prefix('-')
                        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
                })
        });
        let count = same.count();
        found.push((if count == 0 { base } else { format!("{base}-{count}") }, number));
    }
    found
}

/// Every anchor that a Markdown document may have: of its headings, underlined ones too, and of the terms of definition
/// lists, which some generators give one.
pub(super) fn anchors(text: &str) -> BTreeSet<String> {
    let mut found: BTreeSet<String> = slugs(text).into_iter().map(|(slug, _)| slug).collect();
    let lines: Vec<&str> = text.lines().collect();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let next = lines[at + 1..].iter().find(|line| !line.trim().is_empty()).map_or("", |line| line.trim_start());
        let is_term = next.strip_prefix(':').is_some_and(|rest| rest.starts_with([' ', '\t']));
        let is_underlined = ["---", "==="].iter().any(|mark| next.starts_with(mark));
        if is_term || is_underlined {
            found.insert(slug(line.trim()));
        }
    }
    found
}

/// Whether a document gives something this anchor in so many words: `id="x"`, `<a name='x'>`, `{#x}`, `(x)=`.
pub(super) fn has_explicit(text: &str, slug: &str) -> bool {
    let is_given = |before: &str, after: &str| {
        let before = before.trim_end_matches(['"', '\'']);
        let ends = |marks: &[&str]| marks.iter().any(|mark| before.ends_with(mark));
        let is_attribute = ends(&["id=", "id =", "name=", "name ="]);
        let in_braces =
            || before.rsplit('\n').next().is_some_and(|line| line.ends_with('#') && line.rfind('{') > line.rfind('}'));
        is_attribute || in_braces() || before.ends_with('(') && after.starts_with(")=")
    };
    let is_part = |next: char| next.is_alphanumeric() || next == '-' || next == '_';
    text.match_indices(slug).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + slug.len()..]);
        !after.starts_with(is_part) && is_given(before, after)
    })
}

/// Lower case, without punctuation, spaces as hyphens; of a link only its words, and nothing of tags and attribute lists.
fn slug(heading: &str) -> String {
    let text = heading.trim_end();
    let text = text.strip_suffix('}').and_then(|text| text.rsplit_once('{')).map_or(text, |(before, _)| before);
    let words = without_tags(&without_targets(text));
    let kept = words.trim().chars().filter(|letter| letter.is_alphanumeric() || [' ', '-', '_'].contains(letter));
    kept.flat_map(char::to_lowercase).map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

/// A text without where its links lead: `](target)`, `][target]`.
fn without_targets(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(open) = rest.find("](").into_iter().chain(rest.find("][")).min() {
        kept.push_str(&rest[..open]);
        let closing = if rest[open + 1..].starts_with('(') { ')' } else { ']' };
        let target = &rest[open + 2..];
        rest = target.find(closing).map_or("", |close| &target[close + 1..]);
    }
    kept + rest
}

/// A text without the tags of HTML that stand in it outside of code: `<a id="x">`, `</a>`.
fn without_tags(text: &str) -> String {
    let mut kept = String::new();
    let mut is_code = false;
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        is_code ^= letter == '`';
        let opens = letter == '<' && rest[1..].starts_with(|next: char| next == '/' || next.is_ascii_alphabetic());
        match rest.find('>').filter(|_| opens && !is_code) {
            Some(close) => rest = &rest[close + 1..],
            None => {
                kept.push(letter);
                rest = &rest[letter.len_utf8()..];
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_token(text: &str, name: &str, expected: &str, is_link: bool) {
        let at = text.find(name).expect("because the text holds it");
        let token = token_at(text, at, name.len());
        assert_eq!((token.text, token.is_link), (expected, is_link), "{text}");
    }

    #[test]
    fn references_are_read_whole() {
        check_token("see [a](../b/c.md#d) there", "c.md", "../b/c.md#d", true);
        check_token("see `src/c.rs`.", "c.rs", "src/c.rs", false);
        check_token("see src/c.rs:12.", "c.rs", "src/c.rs:12", false);
        check_token("[x]: docs/c.md\n", "c.md", "docs/c.md", true);
        check_token("https://a.b/c.md", "c.md", "https://a.b/c.md", false);
        check_token("<a href=\"c.md\">", "c.md", "c.md", true);
    }

    #[test]
    fn paths_are_resolved_inside_the_repository() {
        let check = |directory, path, expected: Option<&str>| {
            assert_eq!(resolve(directory, path).as_deref(), expected, "{directory} {path}");
        };
        check("docs/a", "../b.md", Some("docs/b.md"));
        check("docs", "./b.md", Some("docs/b.md"));
        check("", "../b.md", None);
        check("docs", "/b.md", Some("b.md"));
    }

    #[test]
    fn headings_have_the_anchors_that_github_gives() {
        let text = "# A `b` C!\n## x_y-z\n```\n# no\n```\n## x_y-z\n### [Link](u) and *more*\n";
        let found: Vec<String> = slugs(text).into_iter().map(|(slug, _)| slug).collect();
        assert_eq!(found, ["a-b-c", "x_y-z", "x_y-z-1", "link-and-more"]);
        for (heading, expected) in [
            ("[Enum][enum]", "enum"),
            ("`Model.dump(...)` <a id=\"model.dump\"></a>", "modeldump"),
            ("[`Model`](api.md)<a name='x'></a>", "model"),
            ("Title {.big data-toc-label=\"T\"}", "title"),
            ("`Vec<T>` here", "vect-here"),
            ("a < b and c", "a--b-and-c"),
        ] {
            assert_eq!(slug(heading), expected, "{heading}");
        }
    }

    #[test]
    fn anchors_are_given_by_terms_and_in_so_many_words() {
        let found = anchors("AddResource\n: Adds.\n\nOther\n\n: Is.\n\nUnder Line\n----------\n\nplain\n");
        assert!(["addresource", "other", "under-line"].iter().all(|slug| found.contains(*slug)), "{found:?}");
        assert!(!found.contains("plain"));
        for (text, expected) in [
            ("## Title {#old-name}", true),
            ("## Title {.big #old-name}", true),
            ("<a id=\"old-name\"></a>", true),
            ("<a name='old-name'>", true),
            ("(old-name)=\n# Title", true),
            ("[see](#old-name)", false),
            ("id=\"old-name-2\"", false),
        ] {
            assert_eq!(has_explicit(text, "old-name"), expected, "{text}");
        }
    }
}
