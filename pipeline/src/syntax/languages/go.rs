//! Go.
//!
//! A method has its receiver's type for owner. A comment documents what stands directly below it, as any comment does.

use super::grammar::{Grammar, Shape, When, item};
use super::{Language, Rules, SLASHES};
use crate::syntax::Kind;

pub(super) static GO: Language =
    Language { name: "go", extensions: &["go"], file_names: &[], comments: SLASHES, rules: Rules::Grammar(&GRAMMAR) };

static GRAMMAR: Grammar = Grammar {
    items: &[
        item("function_declaration", Shape::Leaf(Kind::Function), "name"),
        item("method_declaration", Shape::Leaf(Kind::Function), "name").owner("receiver", "type_identifier"),
        item("type_spec", Shape::Leaf(Kind::Struct), "name").when(When::Is("type", &["struct_type"])).outside_leaves(),
        item("type_spec", Shape::Leaf(Kind::Trait), "name")
            .when(When::Is("type", &["interface_type"]))
            .outside_leaves(),
        item("type_spec", Shape::Leaf(Kind::TypeAlias), "name").outside_leaves(),
        item("type_alias", Shape::Leaf(Kind::TypeAlias), "name").outside_leaves(),
        item("const_declaration", Shape::Leaf(Kind::Const), "").outside_leaves(),
        item("var_declaration", Shape::Leaf(Kind::Const), "").outside_leaves(),
    ],
    open: &["source_file"],
    wrappers: &["type_declaration"],
    declarators: &["const_spec", "var_spec", "var_spec_list"],
    test_prefixes: &["Test", "Benchmark", "Fuzz", "Example"],
    identifiers: &["identifier", "type_identifier", "field_identifier", "package_identifier", "label_name"],
    ..Grammar::of(|| tree_sitter_go::LANGUAGE.into())
};
