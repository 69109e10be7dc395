//! Rust.

use super::grammar::{Grammar, Shape, When, item};
use super::{Language, Rules, SLASHES};
use crate::syntax::Kind;
use crate::syntax::guard::Hazard;

pub(super) static RUST: Language =
    Language { name: "rust", extensions: &["rs"], file_names: &[], comments: SLASHES, rules: Rules::Grammar(&GRAMMAR) };

static GRAMMAR: Grammar = Grammar {
    separator: "::",
    items: &[
        item("function_item", Shape::Leaf(Kind::Function), "name"),
        item("function_signature_item", Shape::Leaf(Kind::Function), "name"),
        item("struct_item", Shape::Leaf(Kind::Struct), "name"),
        item("enum_item", Shape::Leaf(Kind::Enum), "name"),
        item("union_item", Shape::Leaf(Kind::Union), "name"),
        item("trait_item", Shape::Container(Kind::Trait), "name"),
        item("impl_item", Shape::Container(Kind::Impl), "type").interface("trait"),
        item("type_item", Shape::Leaf(Kind::TypeAlias), "name"),
        item("associated_type", Shape::Leaf(Kind::TypeAlias), "name"),
        item("macro_definition", Shape::Leaf(Kind::Macro), "name"),
        item("const_item", Shape::Leaf(Kind::Const), "name"),
        item("static_item", Shape::Leaf(Kind::Const), "name"),
        item("mod_item", Shape::Scope, "name").when(When::Has(&["body"])),
    ],
    open: &[
        "source_file",
        "declaration_list",
        "foreign_mod_item",
        "block",
        "expression_statement",
        "unsafe_block",
        "async_block",
        "const_block",
        "if_expression",
        "else_clause",
        "match_expression",
        "match_block",
        "match_arm",
        "while_expression",
        "loop_expression",
        "for_expression",
    ],
    comments: &["line_comment", "block_comment"],
    attributes: &["attribute_item"],
    macros: &["macro_invocation"],
    outer_docs: &["///", "/**"],
    not_outer_docs: &["////", "/***", "/**/"],
    inner_docs: &["//!", "/*!"],
    test_attributes: &["test", "rstest", "test_case", "proptest", "quickcheck", "test_log", "bench"],
    parameters: "parameters",
    bindings: &["identifier", "shorthand_field_identifier"],
    identifiers: &["identifier", "type_identifier", "field_identifier", "shorthand_field_identifier", "metavariable"],
    captures: &["string_content"],
    captures_in: &["token_tree"],
    hazard: Hazard::KeywordMacros,
    ..Grammar::of(|| tree_sitter_rust::LANGUAGE.into())
};
