//! Question: what is asked, by kind, since a name, a piece of code and a sentence are answered differently.

use super::words::{for_each_stem, telling_stems};
use crate::syntax::Kind;

/// Characters of a question that are looked at. More than any model reads, and few enough for any search to stay quick.
const READ_BYTES: usize = 16 << 10;
/// Words that a question about tests holds, as stems.
const TEST_STEMS: [&str; 8] = ["test", "exampl", "bench", "benchmark", "fixtur", "mock", "spec", "demo"];
/// Words that a question about documents holds, as stems.
const DOCUMENT_STEMS: [&str; 8] =
    ["changelog", "chapter", "doc", "document", "documentation", "guid", "readm", "tutorial"];
/// Verbs that open a request for a change or the report of one, as stems; documentation says "returns" and "creates".
const CHANGE_STEMS: [&str; 45] = [
    "add",
    "added",
    "adding",
    "adjust",
    "allow",
    "avoid",
    "bump",
    "chang",
    "clean",
    "cleanup",
    "correct",
    "delet",
    "deprecat",
    "disabl",
    "don",
    "drop",
    "enabl",
    "ensur",
    "expos",
    "fix",
    "fixed",
    "fixing",
    "handl",
    "implement",
    "improv",
    "introduc",
    "keep",
    "mak",
    "mov",
    "prevent",
    "refactor",
    "remov",
    "renam",
    "replac",
    "rewrit",
    "simplify",
    "stop",
    "support",
    "switch",
    "tweak",
    "updat",
    "upgrad",
    "use",
    "using",
    "wip",
];

/// Words for kinds of nodes, in the singular, with the kinds that may be meant: languages have different words for one thing.
const KIND_WORDS: [(&str, &[Kind]); 16] = [
    ("class", TYPES),
    ("constant", &[Kind::Const]),
    ("enum", &[Kind::Enum]),
    ("enumeration", &[Kind::Enum]),
    ("exception", TYPES),
    ("function", &[Kind::Function]),
    ("interface", ABSTRACT),
    ("macro", &[Kind::Macro]),
    ("method", &[Kind::Function]),
    ("object", TYPES),
    ("protocol", ABSTRACT),
    ("record", TYPES),
    ("struct", TYPES),
    ("structure", TYPES),
    ("trait", ABSTRACT),
    ("type", ALL_TYPES),
];
const TYPES: &[Kind] = &[Kind::Struct, Kind::Class, Kind::Union];
const ABSTRACT: &[Kind] = &[Kind::Trait, Kind::Class];
const ALL_TYPES: &[Kind] = &[Kind::Struct, Kind::Class, Kind::Union, Kind::Enum, Kind::Trait, Kind::TypeAlias];
/// How many words may come up to the word for a kind.
const BEFORE_KIND: usize = 3;
/// What follows the word for a kind where a node of it is asked for.
const AFTER_KIND: [&str; 21] = [
    "allowing",
    "allows",
    "behind",
    "containing",
    "describing",
    "for",
    "handling",
    "holding",
    "implemented",
    "implementing",
    "keeping",
    "must",
    "raised",
    "representing",
    "responsible",
    "that",
    "thrown",
    "used",
    "which",
    "whose",
    "with",
];

/// What a message of a tool opens with, before a colon.
const DIAGNOSES: [&str; 9] = ["error", "warning", "note", "help", "hint", "fatal", "panic", "exception", "caused by"];

/// What kind of question it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QuestionKind {
    /// A name, `Parser::next`.
    Symbol,
    /// A piece of code.
    Code,
    /// What is to change, or has changed: `fix the last line of a patch`.
    Change,
    /// A description in words.
    Words,
}

/// A question, taken apart.
#[derive(Debug, Clone)]
pub struct Question {
    /// What kind it is.
    pub kind: QuestionKind,
    /// The distinct stems of its words, without those that name nothing.
    pub(super) stems: Vec<String>,
    /// What it holds that is spelt as in code: `parse_header`, `Parser::next`.
    pub(super) spelt: Vec<String>,
    /// Whether tests, examples and the like are asked for.
    pub(super) about_tests: bool,
    /// Whether documents are asked for.
    pub(super) about_documents: bool,
    /// The kinds of nodes that are asked for, if the question names one.
    pub(super) kinds: &'static [Kind],
}

impl Question {
    /// Takes a question apart.
    pub fn new(text: &str) -> Question {
        let text = readable(text);
        let stems = telling_stems(text);
        let about_tests = stems.iter().any(|stem| TEST_STEMS.contains(&stem.as_str()));
        let about_documents = stems.iter().any(|stem| DOCUMENT_STEMS.contains(&stem.as_str()));
        let after_kind = after_kind(text);
        let kind = if after_kind.is_some() { QuestionKind::Symbol } else { kind(text) };
        let is_name = |word: &&str| kind == QuestionKind::Symbol || is_quoted(word) || is_spelt(bare(word));
        let spelt = after_kind.unwrap_or(text).split_whitespace();
        let spelt = spelt.filter(is_name).map(|word| bare(word).to_owned()).collect();
        let kinds = if kind == QuestionKind::Words { kinds_asked_for(text) } else { &[] };
        Question { kind, stems, spelt, about_tests, about_documents, kinds }
    }
}

/// The name in `function a` or `method from`: a word that tells nothing elsewhere, alone after the word for a kind of node.
fn after_kind(text: &str) -> Option<&str> {
    let mut words = text.split_whitespace();
    let (kind, name) = (words.next()?.to_lowercase(), words.next()?);
    let of_code = |kind| !matches!(kind, Kind::Test | Kind::Run | Kind::Section);
    let is_kind =
        Kind::from_name(&kind).is_some_and(of_code) || ["def", "fn", "func", "method"].contains(&kind.as_str());
    let is_name = !bare(name).is_empty() && telling_stems(name).is_empty();
    (is_kind && is_name && words.next().is_none()).then_some(name)
}

/// The kinds that `struct that holds the options` or `which error type for a timeout` asks for: a word for a kind near the
/// beginning, with what makes it the subject behind it, and nothing before it that makes it an object, as in `returns the
/// type that` or `make a class that`.
fn kinds_asked_for(text: &str) -> &'static [Kind] {
    let words: Vec<String> =
        text.split_whitespace().take(BEFORE_KIND + 2).map(|word| bare(word).to_lowercase()).collect();
    let known = |word: &String| KIND_WORDS.iter().find(|(name, _)| name == word);
    let Some((at, (_, kinds))) = words.iter().enumerate().find_map(|(at, word)| Some((at, known(word)?))) else {
        return &[];
    };
    let is_article = |word: &String| ["a", "an", "the", "this", "its", "of"].contains(&word.as_str());
    let is_verb = |word: &String| word.ends_with('s') && !is_article(word);
    let is_object = words[..at].iter().skip(1).any(is_article) || words[..at].first().is_some_and(is_verb);
    let is_subject = words.get(at + 1).is_some_and(|word| AFTER_KIND.contains(&word.as_str()));
    if is_subject && !is_object { kinds } else { &[] }
}

/// The part of a question that is read, cut between characters.
pub fn readable(text: &str) -> &str {
    let text = text.trim();
    let mut end = text.len().min(READ_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn kind(text: &str) -> QuestionKind {
    let words = text.split_whitespace().count();
    if words == 1 && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"_:.#$!?()<>->".contains(&c)) {
        return QuestionKind::Symbol;
    }
    let marks = text.bytes().filter(|c| b"{}();=<>[]&|".contains(c)).count();
    if marks >= 4 && marks * 14 >= text.len() || text.contains('\n') && marks >= 4 && marks * 30 >= text.len() {
        return QuestionKind::Code;
    }
    if is_change(text) { QuestionKind::Change } else { QuestionKind::Words }
}

/// Whether a text opens as a message of a commit does, perhaps after what it is about: `parser: fix the last line`.
fn is_change(text: &str) -> bool {
    let mut head = text;
    if let Some((scope, rest)) = text.split_once(": ")
        && scope.split_whitespace().count() <= 2
    {
        let is_scope = scope.bytes().all(|c| c.is_ascii_alphanumeric() || b"_-/().!:,* ".contains(&c));
        if is_scope && !is_diagnosis(scope) {
            return true;
        }
        head = rest;
    }
    let mut first = None;
    for_each_stem(head.split_whitespace().next().unwrap_or(""), |stem| {
        first.get_or_insert_with(|| CHANGE_STEMS.contains(&stem));
    });
    first.unwrap_or(false)
}

/// Whether a tool says what is wrong: `error: expected one of`, `TypeError: x is not a function`.
fn is_diagnosis(scope: &str) -> bool {
    let scope = scope.to_ascii_lowercase();
    DIAGNOSES.contains(&scope.as_str()) || scope.ends_with("error") || scope.ends_with("exception")
}

/// A word without the punctuation around it.
fn bare(word: &str) -> &str {
    word.trim_matches(|letter: char| !letter.is_alphanumeric() && letter != '_').trim_end_matches("()")
}

/// Whether a word stands in backticks, as names do in prose.
fn is_quoted(word: &str) -> bool {
    word.starts_with('`') && word.trim_end_matches(['.', ',', '?', ')', ':']).ends_with('`')
}

/// Whether a word is spelt as a name in code is: with an underscore, a path, or a capital inside.
fn is_spelt(word: &str) -> bool {
    let inner = word.get(1..).unwrap_or("");
    word.contains("::")
        || inner.contains(['_', '.', '#'])
        || inner.chars().any(char::is_uppercase) && word.chars().any(char::is_lowercase)
        || word.starts_with('_') && word.len() > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_apart() {
        let check = |text: &str, expected| assert_eq!(Question::new(text).kind, expected, "{text}");
        for name in ["roll", "LineBuffer::roll", "parse_header", "self.next()", "#new", "HTTPHeader2"] {
            check(name, QuestionKind::Symbol);
        }
        check("let x = parse(&line)?; if x.is_none() { return; }", QuestionKind::Code);
        check("for (i, c) in s.chars() {\n    out.push(c);\n}", QuestionKind::Code);
        for change in ["Fix the last line of a patch", "parser: keep the last line", "fix(cli)!: say why", "Use a map"]
        {
            check(change, QuestionKind::Change);
        }
        check("error: add the missing hint", QuestionKind::Change);
        for words in [
            "error: expected `;`, found the end of the file",
            "note: required by a bound in `spawn`",
            "TypeError: x is not a function",
            "where is a date parsed (in which file)?",
            "Returns the sum of all parts",
            "",
            "Straße öffnen",
            "日付 を 読む",
        ] {
            check(words, QuestionKind::Words);
        }
    }

    #[test]
    fn a_word_that_tells_nothing_is_a_name_after_the_word_for_a_kind() {
        for (text, name) in [("function a", "a"), ("fn from", "from"), ("Struct A", "A"), ("method `is()`", "is")] {
            let question = Question::new(text);
            assert_eq!((question.kind, &*question.spelt), (QuestionKind::Symbol, &[name.to_owned()][..]), "{text}");
        }
        for text in ["function call", "function of a caller", "a function", "function ->", "run it"] {
            assert_eq!(Question::new(text).kind, QuestionKind::Words, "{text}");
        }
    }

    #[test]
    fn a_kind_is_asked_for_where_it_is_the_subject() {
        let check = |text: &str, expected: &[Kind]| assert_eq!(Question::new(text).kinds, expected, "{text}");
        check("struct that holds the resolver's options", TYPES);
        check("the class responsible for retries", TYPES);
        check("which error type for a timeout", ALL_TYPES);
        check("Trait implemented by all sources", ABSTRACT);
        check("macro that prints a warning", &[Kind::Macro]);
        for none in [
            "Returns the type that a column has",
            "make a class that keeps names",
            "type of the column",
            "how is a type parsed that has two names",
            "the file that holds all types",
            "type",
            "function a",
        ] {
            check(none, &[]);
        }
        assert!(AFTER_KIND.is_sorted() && KIND_WORDS.is_sorted_by_key(|(word, _)| *word));
    }

    #[test]
    fn names_are_found_in_a_sentence() {
        let question = Question::new("why does `LineBuffer::roll` call copy_within() and `open`, in tests?");
        assert_eq!(question.spelt, ["LineBuffer::roll", "copy_within", "open"]);
        assert!(question.about_tests && !question.about_documents);
        for documents in ["the chapter about modes", "documented defaults", "which guides name it", "README"] {
            assert!(Question::new(documents).about_documents, "{documents}");
        }
        assert!(CHANGE_STEMS.is_sorted());
    }

    #[test]
    fn long_questions_are_cut_between_characters() {
        let long = "é".repeat(1 << 20);
        assert!(readable(&long).len() <= READ_BYTES && readable(&long).chars().all(|letter| letter == 'é'));
        assert_eq!(readable("  a \n"), "a");
    }
}
