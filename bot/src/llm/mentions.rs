//! Mentions: what the words of an answer name, held against what was shown. Pure.
//!
//! A line, a commit, a precedent, an issue, a file or a piece of code that was not shown is refused, in whichever way it is
//! named that is known here. In doubt a statement is refused: a true one less is lost, an untrue one less is shown.

use std::collections::HashSet;

use precedent_pipeline::syntax::{Skip, classify_name};

use super::answer::Reason;
use super::passage::{Mark, Passage, Shown};

/// Tokens of a list of numbers that are looked at.
const MAX_LIST: usize = 60;
/// Shorter names in code are too common to tell anything.
const MIN_NAME_CHARS: usize = 3;
/// Pairs that people write with a slash and that are no paths.
const PAIRS: [&str; 14] = [
    "and/or",
    "either/or",
    "read/write",
    "input/output",
    "client/server",
    "true/false",
    "start/end",
    "begin/end",
    "open/close",
    "success/failure",
    "request/response",
    "key/value",
    "name/value",
    "push/pull",
];
/// Endings of files that are no source code.
const DATA_ENDINGS: [&str; 13] =
    ["json", "yaml", "yml", "xml", "csv", "txt", "toml", "ini", "cfg", "conf", "env", "log", "md"];
/// Names of products, units, limits and usual errors that are written as only code is.
const USUAL_NAMES: [&str; 56] = [
    "MAX",
    "MIN",
    "GitHub",
    "GitLab",
    "JavaScript",
    "TypeScript",
    "PostgreSQL",
    "MySQL",
    "SQLite",
    "OpenSSL",
    "OpenAPI",
    "GraphQL",
    "WebSocket",
    "WebSockets",
    "OAuth",
    "macOS",
    "DoS",
    "KiB",
    "MiB",
    "GiB",
    "TiB",
    "TypeError",
    "ValueError",
    "IndexError",
    "KeyError",
    "AttributeError",
    "RuntimeError",
    "ZeroDivisionError",
    "OverflowError",
    "RecursionError",
    "StopIteration",
    "NotImplementedError",
    "FileNotFoundError",
    "PermissionError",
    "OSError",
    "ImportError",
    "NameError",
    "UnicodeDecodeError",
    "TimeoutError",
    "AssertionError",
    "RangeError",
    "SyntaxError",
    "ReferenceError",
    "NullPointerException",
    "IllegalArgumentException",
    "IllegalStateException",
    "IndexOutOfBoundsException",
    "ArrayIndexOutOfBoundsException",
    "ArithmeticException",
    "ClassCastException",
    "NumberFormatException",
    "ConcurrentModificationException",
    "UnsupportedOperationException",
    "InterruptedException",
    "StackOverflowError",
    "OutOfMemoryError",
];
/// What issues and pull requests are called before their number, and how they are written.
const ISSUES: [&str; 6] = ["issue", "pr", "mr", "gh", "ticket", "bug"];
/// The same where several are listed; one number behind such a word may be a number of things.
const SEVERAL_ISSUES: [&str; 5] = ["issues", "prs", "mrs", "tickets", "bugs"];
/// Signs before which a line of code has ended and words begin.
const COMMENTS: [&str; 7] = ["//", "# ", "## ", "/*", "<!--", "-- ", "\"\"\""];

/// Words of languages themselves.
const OF_LANGUAGES: [&str; 76] = [
    "None",
    "Some",
    "Err",
    "null",
    "nil",
    "undefined",
    "NaN",
    "true",
    "false",
    "True",
    "False",
    "self",
    "Self",
    "this",
    "super",
    "void",
    "bool",
    "boolean",
    "char",
    "str",
    "String",
    "string",
    "int",
    "uint",
    "long",
    "float",
    "double",
    "u16",
    "u32",
    "u64",
    "u128",
    "usize",
    "i16",
    "i32",
    "i64",
    "i128",
    "isize",
    "f32",
    "f64",
    "Option",
    "Result",
    "Vec",
    "list",
    "dict",
    "panic",
    "return",
    "break",
    "continue",
    "else",
    "while",
    "for",
    "loop",
    "match",
    "switch",
    "case",
    "try",
    "catch",
    "except",
    "finally",
    "throw",
    "raise",
    "await",
    "async",
    "yield",
    "unsafe",
    "const",
    "let",
    "mut",
    "var",
    "static",
    "def",
    "class",
    "struct",
    "enum",
    "impl",
    "not",
];

/// Refuses words that name what was not shown. `own` is what the answer itself proposes to write.
pub(super) fn check(passage: &Passage, hunk: &Shown, text: &str, own: &str) -> Result<(), Reason> {
    let tokens = tokens(text);
    let text_tokens = Text { passage, hunk, tokens: &tokens };
    text_tokens.lines()?;
    text_tokens.precedents()?;
    text_tokens.commits()?;
    text_tokens.issues()?;
    text_tokens.paths(text)?;
    text_tokens.names(text, own)
}

/// The same of what a suggestion says in its comments, where everything may be named that stands in its code.
pub(super) fn check_comments(passage: &Passage, hunk: &Shown, suggestion: &str) -> Result<(), Reason> {
    let comments: Vec<&str> = suggestion.lines().map(|line| parted(line).1).collect();
    let text = comments.join("\n");
    let tokens = tokens(&text);
    let said = Text { passage, hunk, tokens: &tokens };
    said.lines()?;
    said.precedents()?;
    said.commits()?;
    said.issues()?;
    said.paths(&text)
}

/// Code without what its comments say.
pub(super) fn code(text: &str) -> String {
    text.lines().map(|line| parted(line).0).collect::<Vec<&str>>().join("\n")
}

/// A line's code and its comment, by the signs of most languages. The `//` of an address begins none.
fn parted(line: &str) -> (&str, &str) {
    let trimmed = line.trim_start();
    if trimmed.starts_with("* ") {
        return ("", trimmed);
    }
    let begins = |mark: &&str| {
        let places = line.match_indices(*mark).map(|(at, _)| at);
        places.into_iter().find(|at| *mark != "//" || !line[..*at].ends_with(':'))
    };
    let at = COMMENTS.iter().filter_map(begins).min().unwrap_or(line.len());
    line.split_at(at)
}

/// A word, or one sign that is no white space.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Token<'t> {
    text: &'t str,
    /// Whether white space stands before it.
    is_apart: bool,
}

impl Token<'_> {
    fn is(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.text.eq_ignore_ascii_case(word))
    }

    fn is_word(&self) -> bool {
        self.text.starts_with(is_word_letter)
    }

    fn is_number(&self) -> bool {
        self.text.starts_with(char::is_numeric)
    }
}

fn is_hex(word: &str) -> bool {
    word.len() <= 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_word_letter(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// Words and signs. Thousands that are parted by commas are one word.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    let mut is_apart = true;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if first.is_whitespace() {
            is_apart = true;
            at += first.len_utf8();
            continue;
        }
        let run = |text: &str| text.find(|letter| !is_word_letter(letter)).unwrap_or(text.len());
        let mut length = run(rest).max(if is_word_letter(first) { 0 } else { first.len_utf8() });
        while first.is_ascii_digit()
            && let Some(next) = rest[length..].strip_prefix(',')
            && run(next) == 3
            && next[..3].bytes().all(|byte| byte.is_ascii_digit())
        {
            length += 4;
        }
        found.push(Token { text: &rest[..length], is_apart });
        is_apart = false;
        at += length;
    }
    found
}

/// Whether a text holds a word or a path as a whole.
fn stands(text: &str, word: &str) -> bool {
    let is_part = |letter: char| is_word_letter(letter) || letter == '-';
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + word.len()..]);
        let ends = |letter: char| !is_part(letter);
        before.chars().next_back().is_none_or(|letter| ends(letter) && letter != '.')
            && after
                .chars()
                .next()
                .is_none_or(|letter| ends(letter) || !word.ends_with(is_word_letter) || letter == '-')
    })
}

struct Text<'a> {
    passage: &'a Passage,
    hunk: &'a Shown,
    tokens: &'a [Token<'a>],
}

impl<'a> Text<'a> {
    /// Whether a number is that of a line that was shown in the hunk.
    fn is_shown(&self, number: &str) -> bool {
        let digits: String = number.chars().filter(|letter| !matches!(letter, '_' | ',')).collect();
        let digits = &digits[..digits.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(digits.len())];
        let Ok(line) = digits.parse::<u32>() else { return false };
        self.hunk.lines.iter().any(|shown| {
            shown.mark != Mark::Removed && shown.new == line || shown.mark != Mark::Added && shown.old == line
        })
    }

    fn holds(&self, word: &str) -> bool {
        stands(&self.passage.text, word)
    }

    /// What is listed behind a word like "lines": words for which `is_member` holds, and what may stand between them. After
    /// one of a word in the singular, a comma ends the list.
    fn listed(&self, at: usize, is_member: fn(&Token<'a>) -> bool) -> Vec<&'a str> {
        let is_plural = self.tokens[at].text.ends_with(['s', 'S']);
        let mut found = Vec::new();
        for (place, token) in self.tokens.iter().enumerate().skip(at + 1).take(MAX_LIST) {
            let is_inside = self.tokens.get(place + 1).is_some_and(|next| !next.is_apart);
            let is_short = self.tokens[place - 1].is(&["no", "nos", "nr", "ln", "lns"]);
            let goes_on = match token.text {
                _ if is_member(token) => {
                    found.push(token.text);
                    true
                }
                ":" | "(" | "[" | "=" => found.is_empty(),
                "," => is_plural && !found.is_empty(),
                "." => is_short || !found.is_empty() && is_inside,
                "#" | "`" | "\"" | "'" | "*" | "~" => true,
                "-" | "–" | "—" | "/" | "&" | "+" | "…" => !found.is_empty(),
                _ if token.is(&["number", "numbers", "no", "nos", "nr", "id", "ids", "hash", "sha"]) => {
                    found.is_empty()
                }
                _ => !found.is_empty() && token.is(&["and", "to", "or", "through", "thru", "until", "till"]),
            };
            if !goes_on {
                break;
            }
        }
        found
    }

    /// "line 12", "lines 12-14", "lines 12, 13 and 14", "line number 12", "the 12th line", "L12", "ln 12", "row 12".
    fn lines(&self) -> Result<(), Reason> {
        for (at, token) in self.tokens.iter().enumerate() {
            let lower = token.text.to_lowercase();
            let digits = lower.trim_start_matches(|letter: char| letter.is_ascii_alphabetic());
            let is_name = ["l", "ln", "line", "lines"].contains(&&lower[..lower.len() - digits.len()]);
            let is_named = is_name && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            if is_named && !self.is_shown(digits) && !self.holds(token.text) {
                return Err(Reason::Line);
            }
            if token.is(&["line", "lines", "ln", "lns", "row", "rows"])
                && !self.listed(at, Token::is_number).into_iter().all(|number| self.is_shown(number))
            {
                return Err(Reason::Line);
            }
            let ordinal = lower.trim_start_matches(|letter: char| letter.is_ascii_digit());
            let next = self.tokens.get(at + 1).is_some_and(|next| next.is(&["line"]));
            let is_ordinal = lower.len() > ordinal.len() && ["st", "nd", "rd", "th"].contains(&ordinal);
            if is_ordinal && next && !self.is_shown(&lower) {
                return Err(Reason::Line);
            }
        }
        Ok(())
    }

    /// "P7", "precedent 7", "precedents 1 and 7".
    fn precedents(&self) -> Result<(), Reason> {
        let is_offered = |number: &str| {
            let id = format!("P{number}");
            self.passage.offered.iter().any(|offered| offered.id == id)
        };
        for (at, token) in self.tokens.iter().enumerate() {
            let number = token.text.strip_prefix(['P', 'p']).filter(|rest| !rest.is_empty());
            let number = number.filter(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
            // A variable may have such a name.
            if number.is_some_and(|number| !is_offered(number)) && !self.holds(token.text) {
                return Err(Reason::Precedent);
            }
            if token.is(&["precedent", "precedents"]) && !self.listed(at, Token::is_number).into_iter().all(is_offered)
            {
                return Err(Reason::Precedent);
            }
        }
        Ok(())
    }

    /// What looks like the id of a commit, and what is called one.
    fn commits(&self) -> Result<(), Reason> {
        let is_known = |word: &str| {
            let cited = self.passage.offered.iter().flat_map(|offered| &offered.citations);
            cited.map(|citation| citation.commit.to_string()).any(|commit| commit.starts_with(&word.to_lowercase()))
                || self.holds(word)
        };
        // "added" and "faced" are words, and "3 commits" is a number of them.
        let is_id: fn(&Token<'a>) -> bool = |token| {
            let has_digit = token.text.bytes().any(|byte| byte.is_ascii_digit());
            is_hex(token.text) && (token.text.len() >= 4 && has_digit || token.text.len() >= 7)
        };
        for (at, token) in self.tokens.iter().enumerate() {
            let word = token.text;
            let has_digit = word.bytes().any(|byte| byte.is_ascii_digit());
            let has_letter = word.bytes().any(|byte| byte.is_ascii_alphabetic());
            // No word of eight letters is made of these six.
            let least = if has_digit { 7 } else { 8 };
            if is_hex(word) && has_letter && word.len() >= least && !is_known(word) {
                return Err(Reason::Invented);
            }
            // `r1234567`, as Subversion has them.
            let number = word.strip_prefix('r').filter(|rest| rest.len() >= 5);
            if number.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit())) && !is_known(word) {
                return Err(Reason::Invented);
            }
            if token.is(&["commit", "commits", "revision", "revisions", "rev", "revs", "changeset", "sha"])
                && !self.listed(at, is_id).into_iter().all(is_known)
            {
                return Err(Reason::Invented);
            }
        }
        Ok(())
    }

    /// "#7", "!7", "GH-7", "issue 7", "PR 7", "pull request 7", "issues 7 and 8".
    fn issues(&self) -> Result<(), Reason> {
        let shown = self.passage.text.to_lowercase();
        let is_known = |number: &str| {
            let words = ISSUES.iter().flat_map(|word| [format!("{word} "), format!("{word}-"), format!("{word} #")]);
            let mut forms = words.chain(["#".into(), "!".into(), "pull request ".into(), "merge request ".into()]);
            forms.any(|form| stands(&shown, &format!("{form}{number}")))
        };
        for (at, token) in self.tokens.iter().enumerate() {
            let next = self.tokens.get(at + 1).filter(|next| next.is_number());
            // `!0` is code.
            let is_sign = token.text == "#"
                || token.text == "!" && token.is_apart && next.is_some_and(|next| next.text.len() > 1);
            if is_sign && next.is_some_and(|next| !next.is_apart && !is_known(next.text)) {
                return Err(Reason::Invented);
            }
            // "The issue: 64 bits".
            if self.tokens.get(at + 1).is_some_and(|next| matches!(next.text, ":" | "(" | "[")) {
                continue;
            }
            let is_request = token.is(&["request"]) && at > 0 && self.tokens[at - 1].is(&["pull", "merge"]);
            let mut listed = Vec::new();
            if is_request || token.is(&ISSUES) {
                // The sign between `GH` and its number begins no list.
                let is_joined = self.tokens.get(at + 1).is_some_and(|next| next.text == "-" && !next.is_apart);
                listed = self.listed(at + usize::from(is_joined), Token::is_number);
            } else if token.is(&SEVERAL_ISSUES) {
                listed = Some(self.listed(at, Token::is_number)).filter(|listed| listed.len() > 1).unwrap_or_default();
            }
            if !listed.into_iter().all(is_known) {
                return Err(Reason::Invented);
            }
        }
        Ok(())
    }

    /// Paths and names of files, with the lines that may stand behind them; and addresses.
    fn paths(&self, text: &str) -> Result<(), Reason> {
        let mut addresses = text.split(|letter: char| letter.is_whitespace() || "`\"'()[]{},;<>".contains(letter));
        let is_invented = |word: &str| {
            word.contains("://") && !self.passage.text.contains(word.trim_end_matches(['.', ':', '!', '?']))
        };
        if addresses.any(is_invented) {
            return Err(Reason::Invented);
        }
        let words = text
            .split(|letter: char| letter.is_whitespace() || "`\"'()[]{},;<>".contains(letter))
            .map(|word| word.trim_matches(['.', ':', '!', '?', '*', '#', '@']))
            .filter(|word| !word.is_empty() && !word.contains("://"));
        for word in words {
            let end = word.find([':', '#']).unwrap_or(word.len());
            let (path, behind) = (word[..end].trim_end_matches('/'), &word[end..]);
            if self.is_invented(path) {
                return Err(Reason::Invented);
            }
            let is_here = path == self.passage.path || self.passage.path.ends_with(&format!("/{path}"));
            let is_file = path.contains(['/', '.']) && self.holds(path);
            let mut numbers = behind.split(|letter: char| !letter.is_alphanumeric()).filter(|part| !part.is_empty());
            let is_numbered = numbers.clone().next().is_some_and(|part| part.starts_with(|c: char| c.is_ascii_digit()));
            let is_true = match () {
                () if !is_numbered || !is_file && !is_here => true,
                () if is_here => numbers.all(|number| self.is_shown(number)),
                () => self.holds(word),
            };
            if !is_true {
                return Err(Reason::Line);
            }
        }
        Ok(())
    }

    /// Whether a word is a path or the name of a file that was not shown.
    fn is_invented(&self, path: &str) -> bool {
        let lower = path.to_lowercase();
        let ending = lower.rsplit_once('.').map(|(_, ending)| ending).unwrap_or_default();
        let is_name = lower.split(['/', '.']).any(|part| part.chars().any(char::is_alphabetic));
        let cited = self.passage.offered.iter().flat_map(|offered| &offered.citations);
        let mut shown = cited.map(|citation| citation.path.as_str()).chain([self.passage.path.as_str()]);
        let is_of = |shown: &str| shown == path || shown.ends_with(&format!("/{path}"));
        if !is_name || self.holds(path) || shown.clone().any(is_of) || lower == "node.js" {
            return false;
        }
        let is_file = DATA_ENDINGS.contains(&ending)
            || ending.chars().any(char::is_alphabetic) && !matches!(classify_name(path), Err(Skip::Data));
        let has_stem = lower.rsplit('/').next().is_some_and(|name| !name.starts_with('.') && name.contains('.'));
        if is_file && has_stem {
            return true;
        }
        let parts: Vec<&str> = path.split('/').collect();
        if parts.len() < 2 {
            return false;
        }
        let is_folder = shown.any(|shown| shown.split('/').rev().skip(1).any(|folder| folder == parts[0]));
        let is_short = |part: &&str| part.chars().count() <= 3 || part.chars().all(char::is_numeric);
        match () {
            () if is_folder || parts.len() > 2 || parts[0].is_empty() || parts[0].starts_with('.') => true,
            () if PAIRS.contains(&&*lower) || parts.iter().all(is_short) => false,
            () => !parts.iter().all(|part| self.holds(part)),
        }
    }

    /// Names in code markup, and names outside of it that only code has.
    fn names(&self, text: &str, own: &str) -> Result<(), Reason> {
        fn words(text: &str) -> impl Iterator<Item = &str> {
            text.split(|letter: char| !is_word_letter(letter)).filter(|word| !word.is_empty())
        }
        let own = code(own);
        let shown: HashSet<&str> =
            words(&self.passage.text).chain(words(&own)).chain(words(&self.passage.path)).collect();
        let is_known = |word: &str| {
            word.chars().count() < MIN_NAME_CHARS
                || word.starts_with(char::is_numeric)
                || shown.contains(word)
                || OF_LANGUAGES.contains(&word)
                || USUAL_NAMES.contains(&word)
        };
        let parts: Vec<&str> = text.split('`').collect();
        let closed = parts.iter().enumerate().filter(|(at, _)| at % 2 == 1 && at + 1 < parts.len());
        let mut marked = closed.flat_map(|(_, part)| words(part));
        let is_called = |at: usize| {
            self.tokens[at + 1..].iter().take(2).map(|next| (next.text, next.is_apart)).eq([("(", false), (")", false)])
        };
        let is_colon = |at: usize| self.tokens.get(at).is_some_and(|token| token.text == ":" && !token.is_apart);
        let is_joined = |at: usize| {
            let is_before = at >= 2 && !self.tokens[at].is_apart && is_colon(at - 1) && is_colon(at - 2);
            is_before || is_colon(at + 1) && is_colon(at + 2)
        };
        let has_humps = |word: &str| {
            let letters: Vec<char> = word.chars().collect();
            letters.windows(2).any(|pair| pair[0].is_lowercase() && pair[1].is_uppercase())
        };
        let is_code = |at: usize, word: &str| {
            word.trim_matches('_').contains('_') || is_called(at) || is_joined(at) || has_humps(word)
        };
        let mut bare = self.tokens.iter().enumerate().filter(|(at, token)| token.is_word() && is_code(*at, token.text));
        if marked.all(is_known) && bare.all(|(_, token)| is_known(token.text)) { Ok(()) } else { Err(Reason::Name) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_signs_are_parted() {
        let texts = |text| tokens(text).iter().map(|token| token.text).collect::<Vec<&str>>();
        assert_eq!(texts("lines 3-5,000 (a_b)"), ["lines", "3", "-", "5,000", "(", "a_b", ")"]);
        assert_eq!(texts("3, 4,55"), ["3", ",", "4", ",", "55"]);
    }

    #[test]
    fn a_word_stands_where_it_is_whole() {
        for (text, word, expected) in [
            ("file: src/retry.rs\n", "retry.rs", true),
            ("file: src/retry.rs\n", "try.rs", false),
            ("file: src/retry.rs\n", "src/retry", true),
            ("file: src/retry.rs\n", "src/ret", false),
            ("P1: (src/old.rs:1-2 at 01234567)", "src/old.rs:1", true),
            ("P1: (src/old.rs:12-20 at 01234567)", "src/old.rs:1", false),
        ] {
            assert_eq!(stands(text, word), expected, "{word} in {text}");
        }
    }
}
