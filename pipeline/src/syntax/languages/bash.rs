//! Bash, and what is close to it. Zsh and fish differ too much, and stand among the text formats.

use super::grammar::{Grammar, Shape, item};
use super::{HASH, Language, Rules};
use crate::syntax::Kind;

pub(super) static BASH: Language = Language {
    name: "bash",
    extensions: &["sh", "bash", "ksh", "envrc", "ebuild"],
    file_names: &[".bashrc", ".bash_profile", ".profile", ".envrc", "configure", "pkgbuild"],
    comments: HASH,
    rules: Rules::Grammar(&GRAMMAR),
};

static GRAMMAR: Grammar = Grammar {
    items: &[item("function_definition", Shape::Leaf(Kind::Function), "name")],
    open: &[
        "program",
        "compound_statement",
        "subshell",
        "list",
        "if_statement",
        "elif_clause",
        "else_clause",
        "case_statement",
        "case_item",
        "while_statement",
        "for_statement",
        "do_group",
    ],
    closers: &["fi", "done", "esac", ";;"],
    cuts_runs: true,
    identifiers: &["word", "variable_name"],
    has_empty_bodies: false,
    ..Grammar::of(|| tree_sitter_bash::LANGUAGE.into())
};
