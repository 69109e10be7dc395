//! Swift. Structures, enumerations, extensions and actors are classes to its grammar, told apart by their keyword.

use super::grammar::{Grammar, Shape, When, item};
use super::{Language, Rules, SLASHES};
use crate::syntax::Kind;

pub(super) static SWIFT: Language = Language {
    name: "swift",
    extensions: &["swift"],
    file_names: &[],
    comments: SLASHES,
    rules: Rules::Grammar(&GRAMMAR),
};

static GRAMMAR: Grammar = Grammar {
    items: &[
        item("function_declaration", Shape::Leaf(Kind::Function), "name"),
        item("protocol_function_declaration", Shape::Leaf(Kind::Function), "name"),
        item("init_declaration", Shape::Leaf(Kind::Function), "name"),
        item("deinit_declaration", Shape::Leaf(Kind::Function), "name").nameless("deinit"),
        // Its field `name` is a type.
        item("subscript_declaration", Shape::Leaf(Kind::Function), "value").nameless("subscript"),
        item("class_declaration", Shape::Container(Kind::Struct), "name")
            .when(When::Is("declaration_kind", &["struct"])),
        item("class_declaration", Shape::Container(Kind::Enum), "name").when(When::Is("declaration_kind", &["enum"])),
        item("class_declaration", Shape::Container(Kind::Impl), "name")
            .when(When::Is("declaration_kind", &["extension"])),
        item("class_declaration", Shape::Container(Kind::Class), "name"),
        item("protocol_declaration", Shape::Container(Kind::Trait), "name"),
        item("typealias_declaration", Shape::Leaf(Kind::TypeAlias), "name").outside_leaves(),
    ],
    open: &["source_file", "class_body", "enum_class_body", "protocol_body", "function_body", "statements"],
    comments: &["comment", "multiline_comment"],
    attributes: &["attribute"],
    modifiers: &["modifiers"],
    outer_docs: &["///", "/**"],
    not_outer_docs: &["////", "/***", "/**/"],
    test_attributes: &["Test"],
    test_method_prefixes: &["test"],
    identifiers: &["simple_identifier", "type_identifier"],
    ..Grammar::of(|| tree_sitter_swift::LANGUAGE.into())
};
