//! Kotlin.

use super::grammar::{Grammar, Shape, When, item};
use super::{Language, Rules, SLASHES};
use crate::syntax::Kind;
use crate::syntax::guard::Hazard;

pub(super) static KOTLIN: Language = Language {
    name: "kotlin",
    extensions: &["kt", "kts"],
    file_names: &[],
    comments: SLASHES,
    rules: Rules::Grammar(&GRAMMAR),
};

static GRAMMAR: Grammar = Grammar {
    items: &[
        item("function_declaration", Shape::Leaf(Kind::Function), "name"),
        item("secondary_constructor", Shape::Leaf(Kind::Function), "name").nameless("constructor"),
        item("class_declaration", Shape::Container(Kind::Trait), "name").when(When::Holds(&["interface"])),
        item("class_declaration", Shape::Container(Kind::Enum), "name").when(When::Holds(&["enum_class_body"])),
        item("class_declaration", Shape::Container(Kind::Class), "name"),
        item("object_declaration", Shape::Container(Kind::Class), "name"),
        item("type_alias", Shape::Leaf(Kind::TypeAlias), "type"),
    ],
    open: &["source_file", "class_body", "enum_class_body", "companion_object", "function_body", "block"],
    comments: &["line_comment", "block_comment"],
    attributes: &["annotation"],
    modifiers: &["modifiers"],
    outer_docs: &["/**"],
    not_outer_docs: &["/***", "/**/"],
    test_attributes: &["Test", "ParameterizedTest", "RepeatedTest", "TestFactory"],
    identifiers: &["identifier"],
    has_windows: false,
    hazard: Hazard::Annotations,
    ..Grammar::of(|| tree_sitter_kotlin_ng::LANGUAGE.into())
};
