//! C#.
//!
//! Properties, fields and events stay in the text of their class. A namespace with a block lends its name; one for the
//! whole file has no block to lend it to.

use super::grammar::{Grammar, Shape, When, item};
use super::{Language, Rules, SLASHES};
use crate::syntax::Kind;

pub(super) static CSHARP: Language = Language {
    name: "csharp",
    extensions: &["cs", "csx"],
    file_names: &[],
    comments: SLASHES,
    rules: Rules::Grammar(&GRAMMAR),
};

static GRAMMAR: Grammar = Grammar {
    items: &[
        item("method_declaration", Shape::Leaf(Kind::Function), "name"),
        item("constructor_declaration", Shape::Leaf(Kind::Function), "name"),
        item("destructor_declaration", Shape::Leaf(Kind::Function), "name"),
        item("operator_declaration", Shape::Leaf(Kind::Function), "operator"),
        item("conversion_operator_declaration", Shape::Leaf(Kind::Function), "type"),
        item("local_function_statement", Shape::Leaf(Kind::Function), "name"),
        item("class_declaration", Shape::Container(Kind::Class), "name"),
        item("struct_declaration", Shape::Container(Kind::Struct), "name"),
        item("record_declaration", Shape::Container(Kind::Struct), "name"),
        item("interface_declaration", Shape::Container(Kind::Trait), "name"),
        item("enum_declaration", Shape::Leaf(Kind::Enum), "name"),
        item("delegate_declaration", Shape::Leaf(Kind::TypeAlias), "name"),
        item("namespace_declaration", Shape::Scope, "name").when(When::Has(&["body"])),
    ],
    open: &[
        "compilation_unit",
        "declaration_list",
        "global_statement",
        "block",
        "preproc_if",
        "preproc_elif",
        "preproc_else",
    ],
    attributes: &["attribute_list"],
    closers: &["#endif", "#endregion"],
    outer_docs: &["///"],
    not_outer_docs: &["////"],
    test_attributes: &["Fact", "Theory", "Test", "TestCase", "TestCaseSource", "TestMethod", "DataTestMethod"],
    identifiers: &["identifier"],
    ..Grammar::of(|| tree_sitter_c_sharp::LANGUAGE.into())
};
