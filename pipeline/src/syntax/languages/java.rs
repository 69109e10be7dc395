//! Java.

use super::grammar::{Grammar, Shape, item};
use super::{Language, Rules, SLASHES};
use crate::syntax::Kind;

pub(super) static JAVA: Language = Language {
    name: "java",
    extensions: &["java"],
    file_names: &[],
    comments: SLASHES,
    rules: Rules::Grammar(&GRAMMAR),
};

static GRAMMAR: Grammar = Grammar {
    items: &[
        item("method_declaration", Shape::Leaf(Kind::Function), "name"),
        item("constructor_declaration", Shape::Leaf(Kind::Function), "name"),
        item("compact_constructor_declaration", Shape::Leaf(Kind::Function), "name"),
        item("class_declaration", Shape::Container(Kind::Class), "name"),
        item("interface_declaration", Shape::Container(Kind::Trait), "name"),
        item("enum_declaration", Shape::Container(Kind::Enum), "name"),
        item("record_declaration", Shape::Container(Kind::Struct), "name"),
        item("annotation_type_declaration", Shape::Leaf(Kind::Trait), "name"),
    ],
    open: &["program", "class_body", "interface_body", "enum_body", "enum_body_declarations"],
    comments: &["line_comment", "block_comment"],
    attributes: &["annotation", "marker_annotation"],
    modifiers: &["modifiers"],
    outer_docs: &["/**"],
    not_outer_docs: &["/***", "/**/"],
    test_attributes: &["Test", "ParameterizedTest", "RepeatedTest", "TestFactory", "TestTemplate", "Property"],
    parameters: "parameters",
    bindings: &["identifier"],
    identifiers: &["identifier", "type_identifier"],
    ..Grammar::of(|| tree_sitter_java::LANGUAGE.into())
};
