//! JavaScript, TypeScript and TSX, which share most of their grammar.
//!
//! Functions that are values count where they have a name and stand outside other functions: `const f = () => {}`,
//! `exports.f = function () {}`, class fields, object members. A call such as `describe("…", () => {})` lends its title to
//! what stands in it, and `it("…", () => {})` is a test of that name. A function that is wrapped, `const Box = memo(() => {})`,
//! counts as one that is not, unless a method is called with it, as in `const all = list.map(() => {})`. `parameters` is
//! left empty: JSDoc names a parameter that is taken apart, `({ a, b })`, by a name of its own, so that one which the
//! signature lacks may still be right.

use super::grammar::{Grammar, Item, Shape, When, item};
use super::{Language, Rules, SLASHES};
use crate::syntax::Kind;

pub(super) static JAVASCRIPT: Language = Language {
    name: "javascript",
    extensions: &["js", "jsx", "mjs", "cjs"],
    file_names: &["jakefile"],
    comments: SLASHES,
    rules: Rules::Grammar(&JAVASCRIPT_GRAMMAR),
};

pub(super) static TYPESCRIPT: Language = Language {
    name: "typescript",
    extensions: &["ts", "mts", "cts"],
    file_names: &[],
    comments: SLASHES,
    rules: Rules::Grammar(&TYPESCRIPT_GRAMMAR),
};

pub(super) static TSX: Language = Language {
    name: "tsx",
    extensions: &["tsx"],
    file_names: &[],
    comments: SLASHES,
    rules: Rules::Grammar(&TSX_GRAMMAR),
};

const FUNCTIONS: &[&str] = &["arrow_function", "function_expression", "generator_function"];
const FUNCTION: Shape = Shape::Leaf(Kind::Function);
const CLASS: Shape = Shape::Container(Kind::Class);

const SUITES: &[&str] = &["describe", "fdescribe", "xdescribe", "suite", "context"];
const TESTS: &[&str] = &["it", "fit", "xit", "test", "specify"];

/// The only object whose functions wrap others: `React.memo(…)`.
const WRAPPING: &str = "React";

/// A function, a class or an object that is the value of something else, or a function that is wrapped.
const fn value(node: &'static str, field: &'static str, name: &'static str) -> [Item; 4] {
    [
        item(node, FUNCTION, name).when(When::Is(field, FUNCTIONS)).outside_leaves(),
        item(node, FUNCTION, name).when(When::Wraps(field, WRAPPING)).outside_leaves(),
        item(node, CLASS, name).when(When::Is(field, &["class"])).outside_leaves(),
        item(node, Shape::Scope, name).when(When::Is(field, &["object"])).outside_leaves(),
    ]
}

const VARIABLE: [Item; 4] = value("variable_declarator", "value", "name");
const ASSIGNMENT: [Item; 4] = value("assignment_expression", "right", "left");
const PAIR: [Item; 4] = value("pair", "value", "key");
const DEFAULT: [Item; 4] = value("export_statement", "value", "value");

/// What both languages have.
const COMMON: [Item; 21] = [
    item("function_declaration", FUNCTION, "name"),
    item("generator_function_declaration", FUNCTION, "name"),
    item("class_declaration", CLASS, "name"),
    item("method_definition", FUNCTION, "name"),
    VARIABLE[0],
    VARIABLE[1],
    VARIABLE[2],
    VARIABLE[3],
    ASSIGNMENT[0],
    ASSIGNMENT[1],
    ASSIGNMENT[2],
    ASSIGNMENT[3],
    PAIR[0],
    PAIR[2],
    PAIR[3],
    DEFAULT[0].nameless("default"),
    DEFAULT[1].nameless("default"),
    DEFAULT[2].nameless("default"),
    DEFAULT[3].nameless("default"),
    item("call_expression", Shape::Scope, "").when(When::Calls(SUITES)).outside_leaves(),
    item("call_expression", Shape::Leaf(Kind::Test), "").when(When::Calls(TESTS)).outside_leaves(),
];

const fn join<const A: usize, const B: usize, const ALL: usize>(first: [Item; A], second: [Item; B]) -> [Item; ALL] {
    let mut all = [first[0]; ALL];
    let mut at = 0;
    while at < ALL {
        all[at] = if at < A { first[at] } else { second[at - A] };
        at += 1;
    }
    all
}

const FIELD: [Item; 4] = value("field_definition", "value", "property");
const TYPED_FIELD: [Item; 4] = value("public_field_definition", "value", "name");

const JAVASCRIPT_ITEMS: [Item; 22] = join(COMMON, [FIELD[0]]);

const TYPESCRIPT_ITEMS: [Item; 31] = join(
    COMMON,
    [
        TYPED_FIELD[0],
        item("function_signature", FUNCTION, "name"),
        item("method_signature", FUNCTION, "name"),
        item("abstract_method_signature", FUNCTION, "name"),
        item("abstract_class_declaration", CLASS, "name"),
        item("interface_declaration", Shape::Leaf(Kind::Trait), "name"),
        item("type_alias_declaration", Shape::Leaf(Kind::TypeAlias), "name").outside_leaves(),
        item("enum_declaration", Shape::Leaf(Kind::Enum), "name"),
        item("internal_module", Shape::Scope, "name").when(When::Has(&["body"])),
        item("module", Shape::Scope, "name").when(When::Has(&["body"])),
    ],
);

const OPEN: &[&str] = &[
    "program",
    "statement_block",
    "class_body",
    "class_static_block",
    "object",
    "arguments",
    "parenthesized_expression",
    "call_expression",
    "arrow_function",
    "function_expression",
    "generator_function",
    "class",
    "if_statement",
    "else_clause",
    "try_statement",
    "catch_clause",
    "finally_clause",
    "for_statement",
    "for_in_statement",
    "while_statement",
    "do_statement",
    "switch_statement",
    "switch_body",
    "switch_case",
    "switch_default",
    "labeled_statement",
    "return_statement",
];

const WRAPPERS: &[&str] = &["export_statement", "lexical_declaration", "variable_declaration", "expression_statement"];

const OUTER_DOCS: &[&str] = &["/**"];
const NOT_OUTER_DOCS: &[&str] = &["/***", "/**/"];

static JAVASCRIPT_GRAMMAR: Grammar = Grammar {
    items: &JAVASCRIPT_ITEMS,
    open: OPEN,
    wrappers: WRAPPERS,
    attributes: &["decorator"],
    functions: FUNCTIONS,
    strings: &["string", "template_string"],
    outer_docs: OUTER_DOCS,
    not_outer_docs: NOT_OUTER_DOCS,
    identifiers: &[
        "identifier",
        "property_identifier",
        "private_property_identifier",
        "shorthand_property_identifier",
        "shorthand_property_identifier_pattern",
        "statement_identifier",
    ],
    ..Grammar::of(|| tree_sitter_javascript::LANGUAGE.into())
};

const fn typed(parser: fn() -> tree_sitter::Language) -> Grammar {
    Grammar {
        items: &TYPESCRIPT_ITEMS,
        open: OPEN,
        wrappers: &[
            "export_statement",
            "lexical_declaration",
            "variable_declaration",
            "expression_statement",
            "ambient_declaration",
        ],
        attributes: &["decorator"],
        functions: FUNCTIONS,
        strings: &["string", "template_string"],
        outer_docs: OUTER_DOCS,
        not_outer_docs: NOT_OUTER_DOCS,
        identifiers: &[
            "identifier",
            "type_identifier",
            "property_identifier",
            "private_property_identifier",
            "shorthand_property_identifier",
            "shorthand_property_identifier_pattern",
            "statement_identifier",
        ],
        ..Grammar::of(parser)
    }
}

static TYPESCRIPT_GRAMMAR: Grammar = typed(|| tree_sitter_typescript::LANGUAGE_TYPESCRIPT.into());
static TSX_GRAMMAR: Grammar = typed(|| tree_sitter_typescript::LANGUAGE_TSX.into());
