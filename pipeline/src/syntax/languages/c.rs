//! C and C++.
//!
//! A header `.h` is C, since its name cannot say more; one with lines that only C++ has is read by the grammar of C++. A
//! name is found through its declarators; `A::f` outside its class has `A` for owner. Macros that stand for no declaration
//! are kept from the parser (`macros.rs`). Of `parameters` nothing is said: a prototype and its
//! definition may name them differently, and either is documented.

use super::grammar::{Grammar, Item, Shape, When, item};
use super::{Language, Rules, SLASHES};
use crate::syntax::Kind;
use crate::syntax::guard::Hazard;

pub(super) static C: Language = Language {
    name: "c",
    extensions: &["c", "h"],
    file_names: &[],
    comments: SLASHES,
    rules: Rules::Grammar(&C_GRAMMAR),
};

pub(super) static CPP: Language = Language {
    name: "cpp",
    extensions: &[
        "cc", "cpp", "cxx", "c++", "hh", "hpp", "hxx", "h++", "inl", "ipp", "tpp", "txx", "ixx", "cppm", "cu", "cuh",
        "ino",
    ],
    file_names: &[],
    comments: SLASHES,
    rules: Rules::Grammar(&CPP_GRAMMAR),
};

const FUNCTION: Shape = Shape::Leaf(Kind::Function);

/// A type that is declared with its parts. One that is only named is none.
const fn defined(node: &'static str, shape: Shape) -> Item {
    item(node, shape, "name").when(When::Has(&["name", "body"])).outside_leaves()
}

const fn typedef_of(kind: Kind, node: &'static [&'static str]) -> Item {
    item("type_definition", Shape::Leaf(kind), "declarator").when(When::Defines("type", node)).outside_leaves()
}

const TYPEDEF: Item = item("type_definition", Shape::Leaf(Kind::TypeAlias), "declarator").outside_leaves();
const MACRO: Item = item("preproc_function_def", Shape::Leaf(Kind::Macro), "name").outside_leaves();

/// What begins lines of C++ and none of C.
const CPP_MARKS: &[&str] =
    &["namespace ", "class ", "template <", "template<", "public:", "private:", "protected:", "using namespace "];

/// GoogleTest's, and those that were made like them.
const TEST_MACROS: &[&str] = &["TEST", "TEST_F", "TEST_P", "TYPED_TEST", "TYPED_TEST_P", "BOOST_AUTO_TEST_CASE"];

/// A declaration that is a prototype.
const fn prototype(node: &'static str) -> Item {
    item(node, FUNCTION, "declarator").when(When::Declares("function_declarator")).outside_leaves()
}

const OUTER_DOCS: &[&str] = &["///", "/**", "//!", "/*!"];
const NOT_OUTER_DOCS: &[&str] = &["////", "/***", "/**/", "///<", "/**<", "//!<", "/*!<"];

static C_GRAMMAR: Grammar = Grammar {
    separator: "::",
    items: &[
        item("function_definition", FUNCTION, "declarator"),
        prototype("declaration"),
        defined("struct_specifier", Shape::Leaf(Kind::Struct)),
        defined("union_specifier", Shape::Leaf(Kind::Union)),
        defined("enum_specifier", Shape::Leaf(Kind::Enum)),
        typedef_of(Kind::Struct, &["struct_specifier"]),
        typedef_of(Kind::Union, &["union_specifier"]),
        typedef_of(Kind::Enum, &["enum_specifier"]),
        TYPEDEF,
        MACRO,
    ],
    open: &[
        "translation_unit",
        "linkage_specification",
        "declaration_list",
        "preproc_if",
        "preproc_ifdef",
        "preproc_else",
        "preproc_elif",
        "preproc_elifdef",
    ],
    attributes: &["attribute_declaration"],
    declarators: &[
        "pointer_declarator",
        "function_declarator",
        "array_declarator",
        "parenthesized_declarator",
        "attributed_declarator",
        "init_declarator",
    ],
    closers: &["#endif"],
    outer_docs: OUTER_DOCS,
    not_outer_docs: NOT_OUTER_DOCS,
    identifiers: &["identifier", "type_identifier", "field_identifier", "statement_identifier"],
    dialect: Some((&CPP_GRAMMAR, CPP_MARKS)),
    hazard: Hazard::Macros,
    ..Grammar::of(|| tree_sitter_c::LANGUAGE.into())
};

static CPP_GRAMMAR: Grammar = Grammar {
    separator: "::",
    items: &[
        item("function_definition", Shape::Leaf(Kind::Test), "declarator").when(When::Expands(TEST_MACROS)),
        item("function_definition", FUNCTION, "declarator"),
        prototype("declaration"),
        prototype("field_declaration"),
        defined("class_specifier", Shape::Container(Kind::Class)),
        defined("struct_specifier", Shape::Container(Kind::Struct)),
        defined("union_specifier", Shape::Container(Kind::Union)),
        defined("enum_specifier", Shape::Leaf(Kind::Enum)),
        typedef_of(Kind::Struct, &["struct_specifier", "class_specifier"]),
        typedef_of(Kind::Union, &["union_specifier"]),
        typedef_of(Kind::Enum, &["enum_specifier"]),
        TYPEDEF,
        MACRO,
        item("alias_declaration", Shape::Leaf(Kind::TypeAlias), "name").outside_leaves(),
        item("concept_definition", Shape::Leaf(Kind::Trait), "name"),
        item("namespace_definition", Shape::Scope, "name").when(When::Has(&["body"])),
    ],
    open: &[
        "translation_unit",
        "linkage_specification",
        "declaration_list",
        "field_declaration_list",
        "preproc_if",
        "preproc_ifdef",
        "preproc_else",
        "preproc_elif",
        "preproc_elifdef",
    ],
    wrappers: &["template_declaration", "friend_declaration"],
    attributes: &["attribute_declaration"],
    declarators: &[
        "pointer_declarator",
        "reference_declarator",
        "function_declarator",
        "array_declarator",
        "parenthesized_declarator",
        "attributed_declarator",
        "init_declarator",
    ],
    qualified: &[["qualified_identifier", "scope", "name"]],
    closers: &["#endif", "public:", "private:", "protected:"],
    outer_docs: OUTER_DOCS,
    not_outer_docs: NOT_OUTER_DOCS,
    identifiers: &["identifier", "type_identifier", "field_identifier", "namespace_identifier", "statement_identifier"],
    hazard: Hazard::Macros,
    ..Grammar::of(|| tree_sitter_cpp::LANGUAGE.into())
};
