//! The language table: what each language calls its parts. It is data; adding a language is adding an entry.
//!
//! A language is either a grammar (items are found by parsing) or a text format (blocks are found line by line). Each
//! grammar has a file of its own here, and what can be said of one stands in `grammar.rs`; all text formats stand in
//! `formats.rs`. What is done with an entry stands elsewhere: `items.rs`, `rules.rs`, `nodes.rs` and `anatomy.rs` read
//! grammars, `blocks.rs` reads formats.

mod bash;
mod c;
mod csharp;
mod formats;
mod go;
mod grammar;
mod java;
mod javascript;
mod kotlin;
mod lua;
mod php;
mod python;
mod ruby;
mod rust;
mod scala;
mod swift;
mod zig;

pub(super) use formats::{Format, Style};
pub(super) use grammar::{Grammar, Item, Shape, When};

/// A language that can be cut into nodes.
#[derive(Debug)]
pub struct Language {
    /// Its name in lower case, `rust`.
    pub name: &'static str,
    /// File name endings in lower case, without the dot.
    pub(super) extensions: &'static [&'static str],
    /// Whole file names in lower case; one that ends in `*` stands for every extensionless name that begins so.
    pub(super) file_names: &'static [&'static str],
    /// What opens a comment, for finding the marks of generated files.
    pub(super) comments: &'static [&'static str],
    pub(super) rules: Rules,
}

/// How a language is cut.
#[derive(Debug)]
pub(super) enum Rules {
    Grammar(&'static Grammar),
    Blocks(Format),
}

impl Language {
    /// Whether files of this language are prose or settings rather than code.
    pub const fn is_text(&self) -> bool {
        matches!(self.rules, Rules::Blocks(_))
    }
}

impl PartialEq for Language {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Language {}

/// The language of this name, if there is one.
pub fn language(name: &str) -> Option<&'static Language> {
    all().find(|language| language.name == name)
}

/// The languages that have a grammar.
static WITH_GRAMMAR: &[&Language] = &[
    &rust::RUST,
    &python::PYTHON,
    &javascript::JAVASCRIPT,
    &javascript::TYPESCRIPT,
    &javascript::TSX,
    &go::GO,
    &c::C,
    &c::CPP,
    &java::JAVA,
    &csharp::CSHARP,
    &ruby::RUBY,
    &php::PHP,
    &bash::BASH,
    &kotlin::KOTLIN,
    &scala::SCALA,
    &swift::SWIFT,
    &lua::LUA,
    &zig::ZIG,
];

/// Every language, grammars first. Where two claim a file, the first wins.
pub(super) fn all() -> impl Iterator<Item = &'static Language> {
    WITH_GRAMMAR.iter().copied().chain(&formats::FORMATS)
}

const HASH: &[&str] = &["#"];
const SLASHES: &[&str] = &["//", "/*", "*"];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_languages_share_a_name_or_an_extension() {
        let mut seen = HashSet::new();
        for language in all() {
            assert!(seen.insert(language.name), "{} stands twice", language.name);
        }
        let mut seen = HashSet::new();
        for extension in all().flat_map(|language| language.extensions) {
            assert!(seen.insert(extension), ".{extension} stands twice");
        }
    }

    #[test]
    fn every_node_type_and_field_in_the_table_exists_in_its_grammar() {
        let grammars = WITH_GRAMMAR.iter().filter_map(|language| match language.rules {
            Rules::Grammar(grammar) => Some((language.name, grammar)),
            Rules::Blocks(_) => None,
        });
        for (name, grammar) in grammars {
            let language = (grammar.parser)();
            for node in grammar.node_types() {
                let id = [true, false].map(|named| language.id_for_node_kind(node, named));
                assert_ne!(id, [0, 0], "{name}: {node} is no node type");
            }
            for field in grammar.fields() {
                assert!(field.is_empty() || language.field_id_for_name(field).is_some(), "{name}: {field} is no field");
            }
        }
    }

    #[test]
    fn languages_are_found_by_name() {
        assert_eq!(language("rust").map(|found| found.name), Some("rust"));
        assert_eq!(language("Rust"), None);
    }
}
