//! Python.

use super::grammar::{Grammar, Shape, item};
use super::{Language, Rules};
use crate::syntax::Kind;

pub(super) static PYTHON: Language = Language {
    name: "python",
    extensions: &["py", "pyi", "pyw"],
    file_names: &["sconstruct", "wscript"],
    comments: &["#", "\"\"\"", "'''"],
    rules: Rules::Grammar(&GRAMMAR),
};

static GRAMMAR: Grammar = Grammar {
    items: &[
        item("function_definition", Shape::Leaf(Kind::Function), "name"),
        item("class_definition", Shape::Container(Kind::Class), "name"),
        item("type_alias_statement", Shape::Leaf(Kind::TypeAlias), "left"),
    ],
    open: &[
        "module",
        "block",
        "decorated_definition",
        "if_statement",
        "elif_clause",
        "else_clause",
        "for_statement",
        "while_statement",
        "try_statement",
        "except_clause",
        "finally_clause",
        "with_statement",
        "match_statement",
        "case_clause",
    ],
    attributes: &["decorator"],
    docstrings: true,
    test_prefixes: &["test_"],
    test_method_prefixes: &["test"],
    parameters: "parameters",
    bindings: &["identifier"],
    receiver_names: &["self", "cls"],
    identifiers: &["identifier"],
    is_indented: true,
    max_indent_columns: 360,
    ..Grammar::of(|| tree_sitter_python::LANGUAGE.into())
};
