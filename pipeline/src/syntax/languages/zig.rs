//! Zig. A type is a constant that holds it.

use super::grammar::{Grammar, Item, Shape, When, item};
use super::{Language, Rules};
use crate::syntax::Kind;

pub(super) static ZIG: Language = Language {
    name: "zig",
    extensions: &["zig", "zon"],
    file_names: &[],
    comments: &["//"],
    rules: Rules::Grammar(&GRAMMAR),
};

const fn constant(shape: Shape, holding: &'static [&'static str]) -> Item {
    item("variable_declaration", shape, "").when(When::Holds(holding))
}

static GRAMMAR: Grammar = Grammar {
    items: &[
        item("function_declaration", Shape::Leaf(Kind::Function), "name"),
        item("test_declaration", Shape::Leaf(Kind::Test), ""),
        constant(Shape::Container(Kind::Struct), &["struct_declaration", "opaque_declaration"]),
        constant(Shape::Container(Kind::Enum), &["enum_declaration"]),
        constant(Shape::Container(Kind::Union), &["union_declaration"]),
        constant(Shape::Leaf(Kind::Enum), &["error_set_declaration"]),
    ],
    open: &[
        "source_file",
        "struct_declaration",
        "enum_declaration",
        "union_declaration",
        "opaque_declaration",
        "block",
        "expression_statement",
        "return_expression",
    ],
    outer_docs: &["///"],
    not_outer_docs: &["////"],
    inner_docs: &["//!"],
    identifiers: &["identifier"],
    ..Grammar::of(|| tree_sitter_zig::LANGUAGE.into())
};
