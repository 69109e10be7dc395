//! Syntax: one version of a file, cut into the nodes that are worth a row of their own.
//!
//! The flow: [`classify_path`] decides by name alone whether a file is read at all and in which [`Language`];
//! [`classify_content`] decides again once the bytes are there; [`nodes()`] cuts the text. A language with a grammar is cut
//! at its items (`items.rs`, `extent.rs`, `nodes.rs`), a text format at its headings and blank
//! lines (`blocks.rs`); whatever is too long is cut once more (`split.rs`). [`anatomy()`] looks inside one node,
//! [`similarity()`] compares two.
//!
//! This room reads text and returns text. It knows nothing of Git, of commits or of files on disk, and it never fails: a
//! file that does not parse gives fewer and larger nodes, never lost lines.

mod anatomy;
mod blocks;
mod classify;
mod extent;
mod file_names;
mod headings;
mod items;
mod languages;
mod nodes;
mod parse;
#[cfg(test)]
mod properties;
mod similarity;
mod split;

pub use anatomy::{Anatomy, DocLine, anatomy};
pub use classify::{MAX_FILE_BYTES, Skip, classify_content, classify_name, classify_path};
pub use languages::{Language, language};
pub use similarity::{Bag, containment, shared, similarity};

/// The fingerprint of everything in this room that decides what a node is.
///
/// It changes whenever any node of any file could change: an edit of the language table, of an extent, of a symbol, of
/// the cuts. A store that was written under another fingerprint is rebuilt.
pub const CHUNKER: &str = "chunker-1";

/// A piece of one version of one file: a function, a type, a run of top-level statements, a block of prose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Its own name; empty where it has none.
    pub name: String,
    /// Its qualified name inside the file, `Parser::next`. Two nodes of one file may share it.
    pub symbol: String,
    /// What encloses it: `x::Foo for Vec`, or the headings above it joined by ` > `; empty at the top.
    pub container: String,
    /// First line, from 1.
    pub start_line: u32,
    /// Last line, inclusive.
    pub end_line: u32,
    /// Its text: whole lines joined by `\n`, without the indentation of its first line, so that a function keeps its
    /// text when it moves into a module. Line endings are `\n` whatever the file uses. A container (impl, trait, class)
    /// is what is left of its lines once those of the nodes inside it are cut out.
    pub text: String,
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A function, a method, or the signature of one.
    Function,
    /// A struct.
    Struct,
    /// An enum.
    Enum,
    /// A union.
    Union,
    /// A trait, without its items.
    Trait,
    /// An impl header: the block without its items.
    Impl,
    /// A type alias or an associated type.
    TypeAlias,
    /// A macro definition.
    Macro,
    /// A constant or a static.
    Const,
    /// A class, without its methods.
    Class,
    /// A test function.
    Test,
    /// Consecutive statements that belong to no item: imports, top-level calls, stray comments.
    Run,
    /// A block of a text file.
    Section,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 13] = [
        Kind::Function,
        Kind::Struct,
        Kind::Enum,
        Kind::Union,
        Kind::Trait,
        Kind::Impl,
        Kind::TypeAlias,
        Kind::Macro,
        Kind::Const,
        Kind::Class,
        Kind::Test,
        Kind::Run,
        Kind::Section,
    ];

    /// The name that people and stores see, `type-alias`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Function => "function",
            Kind::Struct => "struct",
            Kind::Enum => "enum",
            Kind::Union => "union",
            Kind::Trait => "trait",
            Kind::Impl => "impl",
            Kind::TypeAlias => "type-alias",
            Kind::Macro => "macro",
            Kind::Const => "const",
            Kind::Class => "class",
            Kind::Test => "test",
            Kind::Run => "run",
            Kind::Section => "section",
        }
    }

    /// The kind of this name, if there is one.
    pub fn from_name(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// The nodes of one file, in file order: by first line, the outermost first.
///
/// `source` is the file decoded to UTF-8, with losses where it was not. Every line that holds more than closing brackets
/// lies in the line range of at least one node.
pub fn nodes(language: &'static Language, source: &str) -> Vec<Node> {
    match &language.rules {
        languages::Rules::Grammar(grammar) => nodes::nodes(grammar, source),
        languages::Rules::Blocks(format) => blocks::nodes(format, source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLES: &[(&str, &str)] = &[
        (
            "rust",
            "//! m\n\nuse a;\n\n/// s\n#[derive(A)]\nstruct S<T>(T);\n\nimpl<T> A for S<T> {\n    type B = u8;\n\n    // c\n    fn f(&self) {\n        fn g() {}\n    }\n}\n\n#[cfg(test)]\nmod tests {\n    use super::*;\n\n    #[test]\n    fn t() {}\n}\n",
        ),
        (
            "python",
            "\"\"\"m\"\"\"\nimport a\n\n# c\n@d\nclass TestC(B):\n    \"\"\"s\"\"\"\n\n    async def testF(self, *a):\n        pass\n\nif x:\n    def g(): pass\n",
        ),
        ("markdown", "a\n\n# T\n\n- b\n\n  c\n\nS\n---\n```\n\nx\n```\n\nd\n"),
        ("restructuredtext", "==\nT\n==\n\nS\n--\n\nx::\n\n  y\n\nz\n"),
        ("asciidoc", "= T\n\n== S\n----\n\nx\n----\n\ny\n"),
        ("roff", ".TH A 1\n.SH N\nx\n.PP\ny\n"),
        ("toml", "a = 1\n\n# c\n[t]\nb = 2\n\nc = 3\n"),
        ("yaml", "on: push\njobs:\n  a: 1\n\n  b: 2\n"),
        ("shell", "#!/bin/sh\nset -e\n\n# c\nf() {\n  a\n\n  b\n}\n"),
        ("make", "A = 1\n\nall: b\n\tc\n\n.PHONY: all\n"),
        ("text", "a\n\n  b\n\nc\n"),
    ];

    #[test]
    fn the_fingerprint_changes_with_the_nodes() {
        let found =
            SAMPLES.iter().map(|(name, source)| nodes(language(name).expect("because the table has it"), source));
        let digest = similarity::fnv1a(format!("{:?}", found.collect::<Vec<_>>()).as_bytes());
        assert_eq!(
            (CHUNKER, digest),
            ("chunker-1", 2307393356),
            "nodes have changed: give CHUNKER a new number, then set both here"
        );
    }

    #[test]
    fn kinds_are_found_by_their_names() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.as_str()), Some(kind));
        }
        assert_eq!(Kind::from_name("Function"), None);
    }
}
