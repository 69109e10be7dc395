//! Lua. A function that is assigned, `f = function() end`, stays in the run of statements around it.

use super::grammar::{Grammar, Shape, When, item};
use super::{Language, Rules};
use crate::syntax::Kind;

pub(super) static LUA: Language = Language {
    name: "lua",
    extensions: &["lua", "rockspec"],
    file_names: &[],
    comments: &["--"],
    rules: Rules::Grammar(&GRAMMAR),
};

static GRAMMAR: Grammar = Grammar {
    items: &[
        item("function_declaration", Shape::Leaf(Kind::Function), "name"),
        item("field", Shape::Leaf(Kind::Function), "name")
            .when(When::Is("value", &["function_definition"]))
            .outside_leaves(),
        item("function_call", Shape::Scope, "").when(When::Calls(&["describe", "context"])).outside_leaves(),
        item("function_call", Shape::Leaf(Kind::Test), "").when(When::Calls(&["it", "test"])).outside_leaves(),
    ],
    open: &[
        "chunk",
        "block",
        "do_statement",
        "if_statement",
        "else_statement",
        "elseif_statement",
        "while_statement",
        "for_statement",
        "assignment_statement",
        "variable_declaration",
        "expression_list",
        "return_statement",
        "table_constructor",
        "arguments",
        "function_definition",
    ],
    qualified: &[["dot_index_expression", "table", "field"], ["method_index_expression", "table", "method"]],
    call: ("name", "arguments"),
    functions: &["function_definition"],
    strings: &["string"],
    closers: &["end", "end,", "end)"],
    identifiers: &["identifier"],
    ..Grammar::of(|| tree_sitter_lua::LANGUAGE.into())
};
