//! Mention: where documentation speaks of a name, and whether it can mean anything else. Pure.

use std::ops::Range;

use super::tree::{Role, Tree};

/// How a name stands in its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    /// In code markup: between backticks, in a link to an item, in a block of code.
    Markup,
    /// Followed by parentheses.
    Call,
    /// As a bare word.
    Plain,
}

/// One place where documentation names something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mention {
    /// The file, by its number in the tree.
    pub(super) file: usize,
    /// The line, from 1.
    pub(super) line: u32,
    /// The whole line.
    pub(super) text: String,
    /// The byte of the name in the line.
    pub(super) at: usize,
    /// How it stands there.
    pub(super) form: Form,
    /// Whether it stands in a file of its own rather than in a comment.
    pub(super) is_document: bool,
    /// Whether it stands in a fenced block of code.
    pub(super) is_fenced: bool,
}

/// Every mention of `name` in comments and documents of the tree; `None` when something else still uses it.
pub(super) fn mentions(tree: &Tree<'_>, name: &str) -> Option<Vec<Mention>> {
    let mut holders = tree.holders(name);
    // What is used is used in code first of all, and one use is enough.
    holders.sort_by_key(|file| (matches!(tree.role(*file), Role::Document(_)), *file));
    if !holders.is_empty() && !tree.is_whole() {
        return None;
    }
    let mut found = Vec::new();
    for file in holders {
        found.extend(in_file(tree, file, name)?);
    }
    Some(found)
}

/// The mentions in one file; `None` when the file uses the name.
pub(super) fn in_file(tree: &Tree<'_>, file: usize, name: &str) -> Option<Vec<Mention>> {
    let Some(text) = tree.text(file) else { return Some(Vec::new()) };
    let starts: Vec<usize> = occurrences(&text, name).collect();
    if starts.is_empty() {
        return Some(Vec::new());
    }
    let role = tree.role(file);
    match role {
        Role::Document(_) => {}
        Role::Other => return None,
        Role::Settings => {
            if starts.iter().any(|at| !line_before(&text, *at).trim_start().starts_with(['#', ';'])) {
                return None;
            }
        }
        Role::Code(language) => {
            if starts.iter().any(|at| is_surely_code(language.name, &text[..*at])) {
                return None;
            }
            let comments = tree.comments(file, language)?;
            if starts.iter().any(|at| !is_within(*at, &comments)) {
                return None;
            }
        }
    }
    Some(starts.into_iter().map(|at| mention(&text, file, at, name, matches!(role, Role::Document(_)))).collect())
}

fn mention(text: &str, file: usize, at: usize, name: &str, is_document: bool) -> Mention {
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let line = text[start..].lines().next().unwrap_or_default();
    let is_fenced = is_fenced(&text[..start], line, is_document);
    Mention {
        file,
        line: u32::try_from(text[..start].matches('\n').count() + 1).unwrap_or(u32::MAX),
        text: line.to_owned(),
        at: at - start,
        form: if is_fenced { Form::Markup } else { form(line, at - start, name) },
        is_document,
        is_fenced,
    }
}

/// Where a name stands as a whole word.
pub(super) fn occurrences<'t>(text: &'t str, name: &'t str) -> impl Iterator<Item = usize> + 't {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    text.match_indices(name)
        .map(|(at, _)| at)
        .filter(move |at| !text[..*at].ends_with(is_word) && !text[at + name.len()..].starts_with(is_word))
}

fn line_before(text: &str, at: usize) -> &str {
    &text[text[..at].rfind('\n').map_or(0, |end| end + 1)..at]
}

/// Whether what stands behind a text is code for sure: its line has no mark of a comment before it. What stands in a block
/// comment without marks is taken for code, which costs a claim and makes none.
fn is_surely_code(language: &str, before: &str) -> bool {
    let line = line_before(before, before.len());
    let trimmed = line.trim_start();
    let (starts, inner): (&[&str], &[&str]) = match language {
        "rust" | "go" | "java" | "javascript" | "typescript" | "tsx" | "c" | "cpp" | "kotlin" | "swift" => {
            (&["*"], &["//", "/*"])
        }
        "python" => (&[], &["#"]),
        _ => (&["*", "#", "--", ";", "%", "\"", "'", "<!--", "=begin"], &["//", "/*", " #", "\t#", "--", "<!--"]),
    };
    let is_marked = starts.iter().any(|mark| trimmed.starts_with(mark)) || inner.iter().any(|mark| line.contains(mark));
    !(is_marked || language == "python" && may_be_in_docstring(before))
}

/// Whether a text of Python has an odd number of marks of one kind, or a string at the start of its last line. Where a comment or a string holds such a mark,
/// a docstring is taken for code, which costs a claim and makes none.
fn may_be_in_docstring(before: &str) -> bool {
    let line = line_before(before, before.len()).trim_start();
    if ["\"", "'", "r\"", "r'"].iter().any(|mark| line.starts_with(mark)) {
        return true;
    }
    ["\"\"\"", "'''"].iter().any(|mark| before.matches(mark).count() % 2 == 1)
}

fn is_within(at: usize, ranges: &[Range<usize>]) -> bool {
    ranges.iter().any(|range| range.contains(&at))
}

/// How a name stands in its line.
pub(super) fn form(line: &str, at: usize, name: &str) -> Form {
    let (before, after) = (&line[..at], &line[at + name.len()..]);
    let ticks = before.matches('`').count();
    if ticks % 2 == 1 && after.contains('`') || is_double_ticked(before, after) {
        return Form::Markup;
    }
    let opens_link = before.rfind('[').is_some_and(|open| {
        let inner = &before[open + 1..];
        inner.chars().all(|letter| letter.is_alphanumeric() || ":_.#".contains(letter))
    });
    if opens_link
        && after
            .trim_start_matches(|letter: char| letter.is_alphanumeric() || "()!:_".contains(letter))
            .starts_with(']')
    {
        return Form::Markup;
    }
    let in_tag = ["{@link ", "{@code ", "{@linkplain ", "@see ", "<code>", "<c>", "cref=\""];
    if in_tag
        .iter()
        .any(|tag| before.rfind(tag).is_some_and(|open| !before[open + tag.len()..].contains(['}', '<', ' '])))
    {
        return Form::Markup;
    }
    if after.starts_with("()") {
        return Form::Call;
    }
    Form::Plain
}

/// `` ``name`` `` as reStructuredText has it.
fn is_double_ticked(before: &str, after: &str) -> bool {
    before.matches("``").count() % 2 == 1 && after.contains("``")
}

/// Whether the line stands in a fenced block: of the document, or of the run of comment lines that it belongs to.
fn is_fenced(above: &str, line: &str, is_document: bool) -> bool {
    let content = |line: &str| line.trim_start().trim_start_matches(['/', '!', '*', '#']).trim_start().to_owned();
    let is_fence = |line: &str| {
        let content = content(line);
        content.starts_with("```") || content.starts_with("~~~")
    };
    if is_document {
        return !is_fence(line) && above.lines().filter(|line| is_fence(line)).count() % 2 == 1;
    }
    let mark = |line: &str| line.trim_start().chars().take(3).collect::<String>();
    let own = mark(line);
    let fences = above
        .lines()
        .rev()
        .take_while(|other| mark(other).trim_end() == own.trim_end() || other.trim_start().starts_with('*'));
    fences.filter(|line| is_fence(line)).count() % 2 == 1
}

/// Words with which a text speaks of what was, or of what others have.
const PAST: &[&str] = &[
    "removed",
    "rename",
    "formerly",
    "previous",
    "used to",
    "no longer",
    "deprecat",
    "was called",
    "old name",
    "replaced",
    "replaces",
    "legacy",
    "obsolete",
    "historic",
    "backward",
    "compat",
    "instead of",
    "dropped",
    "superseded",
    "originally",
    "in the past",
    "prior to",
    "earlier version",
    "older version",
    "before version",
    "until version",
    "migrat",
    "upgrad",
    "existed",
    "breaking",
    "since version",
    "versionchanged",
    "versionadded",
    "todo",
    "fixme",
    "xxx",
    "lower than",
    "older than",
    "versions before",
    "would be",
    "could be",
    "in the future",
    "eventually",
    "hypothetical",
    "analogous",
    "similar to",
    "equivalent",
    "inspired",
    "copied from",
    "taken from",
    "adapted from",
    "ported from",
    "upstream",
    "based on",
    "borrowed",
    // An installation of one version.
    "--vers",
];

/// Whether the words around a mention speak of the past, of plans, or of other people's code.
pub(super) fn is_about_another_time(text: &str, line: u32) -> bool {
    let from = (line as usize).saturating_sub(3);
    let near: String = text.lines().skip(from).take(5).collect::<Vec<_>>().join(" ").to_lowercase();
    let own = text.lines().nth((line as usize).saturating_sub(1)).unwrap_or_default();
    PAST.iter().any(|word| near.contains(word))
        || names_a_version(own)
        || is_in_a_paragraph_on_versions(text, line)
        || is_in_a_note_on_versions(text, line)
}

/// Whether a line names a version or a branch of one: `v3.4`, `release-3.4`, `3.4.x`, `1.2.3`.
fn names_a_version(line: &str) -> bool {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || ".-_".contains(letter);
    line.split(|letter: char| !is_part(letter)).any(|word| {
        let word = word.trim_matches(['.', '-', '_']).to_ascii_lowercase();
        let rest = ["release-", "release_", "version-", "v"].iter().find_map(|mark| word.strip_prefix(mark));
        let (digits, least) = rest.map_or((word.as_str(), 3), |rest| (rest, 2));
        let parts: Vec<&str> = digits.split('.').collect();
        let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        parts.len() >= least
            && parts.first().is_some_and(is_number)
            && parts.iter().all(|part| is_number(part) || matches!(*part, "x" | "y" | "z"))
    })
}

/// Whether the paragraph of a line, as far as it goes, tells versions apart.
fn is_in_a_paragraph_on_versions(text: &str, line: u32) -> bool {
    /// Lines on either side; longer paragraphs say more than one thing.
    const MAX_LINES: usize = 8;
    const WORDS: &[&str] = &[" version", "deprecat", "no longer", "formerly", "legacy"];
    let lines: Vec<&str> = text.lines().take(line as usize + MAX_LINES).collect();
    let at = (line as usize - 1).min(lines.len());
    let is_text = |line: &&&str| line.chars().any(char::is_alphanumeric);
    let above = lines[..at].iter().rev().take(MAX_LINES).take_while(is_text);
    let below = lines[at..].iter().take_while(is_text);
    above.chain(below).any(|line| {
        let line = line.to_lowercase();
        WORDS.iter().any(|word| line.contains(word))
    })
}

/// Whether a line belongs to a directive such as `.. versionchanged::`, which stands above it, less indented.
fn is_in_a_note_on_versions(text: &str, line: u32) -> bool {
    /// Directives are short.
    const MAX_LINES: usize = 40;
    let lines: Vec<&str> = text.lines().take(line as usize).collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let Some((own, above)) = lines.split_last() else { return false };
    let mut depth = indent(own);
    for line in above.iter().rev().take(MAX_LINES).filter(|line| !line.trim().is_empty()) {
        if indent(line) < depth {
            depth = indent(line);
            if line.trim_start().starts_with(".. ") && ["version", "deprecat"].iter().any(|word| line.contains(word)) {
                return true;
            }
        }
    }
    false
}

/// Documents about the past or the future, by their paths: change logs, migration guides, proposals, posts.
pub(super) fn is_historical(path: &str) -> bool {
    const PARTS: &[&str] = &[
        "change",
        "history",
        "news",
        "release",
        "migrat",
        "upgrad",
        "rfc",
        "adr",
        "blog",
        "archive",
        "proposal",
        "design",
        "postmortem",
        "announc",
        "versioned",
        "whatsnew",
        "whats_new",
        "roadmap",
        "todo",
        "authors",
        "thanks",
        "deprecat",
        "enhancement",
        "legacy",
        "minutes",
        "plan",
        "lint-",
    ];
    let path = path.to_lowercase();
    path.split('/').any(|part| {
        let is_version = part
            .strip_prefix('v')
            .unwrap_or(part)
            .split('.')
            .all(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()));
        // Proposals for Python and its kin have such directories.
        is_version || matches!(part, "sep" | "pep" | "peps") || PARTS.iter().any(|word| part.contains(word))
    })
}

/// Whether a name cannot be an ordinary word: it is made of several words, or of letters and digits.
pub(super) fn is_unmistakable(name: &str) -> bool {
    const MIN_CHARS: usize = 6;
    if name.len() < MIN_CHARS || !name.is_ascii() {
        return false;
    }
    let inner = name.trim_matches('_');
    let parts = inner.split('_').filter(|part| part.len() > 1).count();
    let humps = inner.as_bytes().windows(2).filter(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase());
    parts >= 2 || humps.count() >= 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_form(line: &str, name: &str, expected: Form) {
        let at = occurrences(line, name).next().expect("because the line holds the name");
        assert_eq!(form(line, at, name), expected, "{line}");
    }

    #[test]
    fn markup_is_told_from_words() {
        check_form("/// see `foo_bar` for", "foo_bar", Form::Markup);
        check_form("/// see `A::foo_bar(x)` for", "foo_bar", Form::Markup);
        check_form("see ``foo_bar`` for", "foo_bar", Form::Markup);
        check_form("/// see [foo_bar] or [A::foo_bar]", "foo_bar", Form::Markup);
        check_form(" * {@link A#fooBar}", "fooBar", Form::Markup);
        check_form("// foo_bar() does", "foo_bar", Form::Call);
        check_form("// the `x` of foo_bar is", "foo_bar", Form::Plain);
        check_form("// `x` and foo_bar and `y`", "foo_bar", Form::Plain);
    }

    #[test]
    fn words_are_whole() {
        assert_eq!(occurrences("a_b ab b a", "a").collect::<Vec<_>>(), [9]);
        assert_eq!(occurrences("é_a a", "a").collect::<Vec<_>>(), [5]);
    }

    #[test]
    fn notes_on_versions_speak_of_the_past() {
        let text = "def f():\n    \"\"\"One.\n\n    .. versionchanged:: 2.0\n        ``a_b`` is\n        gone.\n\n    ``c_d``\n    \"\"\"\n";
        assert!(is_in_a_note_on_versions(text, 5) && is_in_a_note_on_versions(text, 6));
        assert!(!is_in_a_note_on_versions(text, 8));
    }

    #[test]
    fn versions_are_told_from_other_numbers() {
        for (line, expected) in [
            ("not there on release-3.4", true),
            ("since v2.1 it is", true),
            ("in 3.4.x", true),
            ("as of 1.2.3.", true),
            ("about 3.5 times", false),
            ("see a.b.c", false),
            ("of x.y", false),
        ] {
            assert_eq!(names_a_version(line), expected, "{line}");
        }
    }

    #[test]
    fn paragraphs_may_tell_versions_apart() {
        let text = "# For Foo lower than version 2, do\n# one\n# two\n# three\n# `c_d`\n#\n# and `e_f`.\n";
        assert!(is_in_a_paragraph_on_versions(text, 5));
        assert!(!is_in_a_paragraph_on_versions(text, 7));
    }

    #[test]
    fn code_is_told_from_comments_without_a_parse_where_it_can() {
        for (language, before, expected) in [
            ("rust", "let x = ", true),
            ("rust", "let x = 1; // as ", false),
            ("rust", "/* a\n * b ", false),
            ("rust", "\"--flag ", true),
            ("python", "x = ", true),
            ("python", "def f():\n    \"\"\"One.\n\n    Two ", false),
            ("python", "def f():\n    \"\"\"One.\"\"\"\n    x = ", true),
            ("python", "x = 1  # as ", false),
            ("ruby", "=begin ", false),
        ] {
            assert_eq!(is_surely_code(language, before), expected, "{before}");
        }
    }

    #[test]
    fn some_names_cannot_be_words() {
        for (name, expected) in [
            ("foo_bar", true),
            ("fooBar", true),
            ("FooBar", true),
            ("MAX_SIZE", true),
            ("parse", false),
            ("Error", false),
            ("a_b", false),
            ("_private", false),
        ] {
            assert_eq!(is_unmistakable(name), expected, "{name}");
        }
    }

    #[test]
    fn documents_of_the_past_are_known() {
        for (path, expected) in [
            ("CHANGELOG.md", true),
            ("docs/v1.2/a.md", true),
            ("docs/releases/2.0.rst", true),
            ("README.md", false),
            ("docs/guide.md", false),
        ] {
            assert_eq!(is_historical(path), expected, "{path}");
        }
    }

    #[test]
    fn fences_hold_what_stands_between_them() {
        assert!(is_fenced("a\n```rust\n", "foo();", true));
        assert!(!is_fenced("a\n```rust\nb\n```\n", "foo();", true));
        assert!(is_fenced("fn g() {}\n/// Text.\n/// ```\n", "/// foo();", false));
        assert!(!is_fenced("/// ```\n/// a\n/// ```\n", "/// foo();", false));
    }
}
