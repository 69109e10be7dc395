//! Scala, both of its syntaxes.

use super::grammar::{Grammar, Shape, When, item};
use super::{Language, Rules, SLASHES};
use crate::syntax::Kind;

pub(super) static SCALA: Language = Language {
    name: "scala",
    extensions: &["scala", "sc", "sbt"],
    file_names: &[],
    comments: SLASHES,
    rules: Rules::Grammar(&GRAMMAR),
};

static GRAMMAR: Grammar = Grammar {
    items: &[
        item("function_definition", Shape::Leaf(Kind::Function), "name"),
        item("function_declaration", Shape::Leaf(Kind::Function), "name"),
        item("class_definition", Shape::Container(Kind::Class), "name"),
        item("object_definition", Shape::Container(Kind::Class), "name"),
        item("trait_definition", Shape::Container(Kind::Trait), "name"),
        item("enum_definition", Shape::Container(Kind::Enum), "name"),
        item("given_definition", Shape::Container(Kind::Class), "name").nameless("given"),
        item("type_definition", Shape::Leaf(Kind::TypeAlias), "name").outside_leaves(),
        item("package_clause", Shape::Scope, "name").when(When::Has(&["body"])),
        item("package_object", Shape::Scope, "name").when(When::Has(&["body"])),
    ],
    open: &[
        "compilation_unit",
        "template_body",
        "with_template_body",
        "enum_body",
        "extension_definition",
        "block",
        "indented_block",
    ],
    comments: &["comment", "block_comment"],
    attributes: &["annotation"],
    outer_docs: &["/**"],
    not_outer_docs: &["/***", "/**/"],
    test_attributes: &["Test"],
    identifiers: &["identifier", "type_identifier", "operator_identifier"],
    has_windows: false,
    ..Grammar::of(|| tree_sitter_scala::LANGUAGE.into())
};
