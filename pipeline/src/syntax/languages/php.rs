//! PHP.
//!
//! A namespace with a block lends its name; one for the rest of the file has no block to lend it to.

use super::grammar::{Grammar, Shape, When, item};
use super::{Language, Rules};
use crate::syntax::Kind;

pub(super) static PHP: Language = Language {
    name: "php",
    extensions: &["php", "phtml", "php5", "phpt"],
    file_names: &[],
    comments: &["//", "/*", "*", "#", "<?php //", "<?php /*"],
    rules: Rules::Grammar(&GRAMMAR),
};

static GRAMMAR: Grammar = Grammar {
    separator: "::",
    items: &[
        item("function_definition", Shape::Leaf(Kind::Function), "name"),
        item("method_declaration", Shape::Leaf(Kind::Function), "name"),
        item("class_declaration", Shape::Container(Kind::Class), "name"),
        item("interface_declaration", Shape::Container(Kind::Trait), "name"),
        item("trait_declaration", Shape::Container(Kind::Trait), "name"),
        item("enum_declaration", Shape::Container(Kind::Enum), "name"),
        item("namespace_definition", Shape::Scope, "name").when(When::Has(&["body"])),
        item("function_call_expression", Shape::Scope, "").when(When::Calls(&["describe"])).outside_leaves(),
        item("function_call_expression", Shape::Leaf(Kind::Test), "")
            .when(When::Calls(&["it", "test"]))
            .outside_leaves(),
    ],
    open: &[
        "program",
        "declaration_list",
        "enum_declaration_list",
        "compound_statement",
        "colon_block",
        "if_statement",
        "else_clause",
        "else_if_clause",
        "arguments",
        "argument",
        "anonymous_function",
        "arrow_function",
    ],
    wrappers: &["expression_statement"],
    attributes: &["attribute_list"],
    functions: &["anonymous_function", "arrow_function"],
    strings: &["string", "encapsed_string"],
    outer_docs: &["/**"],
    not_outer_docs: &["/***", "/**/"],
    test_attributes: &["Test"],
    test_method_prefixes: &["test"],
    identifiers: &["name"],
    ..Grammar::of(|| tree_sitter_php::LANGUAGE_PHP.into())
};
