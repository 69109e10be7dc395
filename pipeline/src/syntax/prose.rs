//! Prose: where a file of code speaks to people, and the parts of its types that people speak of. It reads one parse of
//! a whole text and knows nothing of nodes.

use std::ops::Range;

use tree_sitter::{Node as Syntax, TreeCursor};

use super::languages::{Grammar, Language, Rules};
use super::parse::{Parsed, Role, parse};

/// A field, a variant, a constant of an enumeration: a named part of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its own name.
    pub name: String,
    /// The line inside the text, from 0.
    pub line: u32,
    /// What it is.
    pub kind: MemberKind,
}

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberKind {
    /// It holds a value.
    Field,
    /// It is one of several alternatives.
    Variant,
}

/// Node types of members, in any grammar that has them.
const FIELDS: &[&str] = &[
    "field_declaration",
    "field_definition",
    "public_field_definition",
    "property_signature",
    "property_declaration",
    "property_element",
];
const VARIANTS: &[&str] = &[
    "enum_variant",
    "enum_constant",
    "enum_assignment",
    "enumerator",
    "enum_member_declaration",
    "enum_entry",
    "enum_case",
];
/// The fields of a member's node that lead to its name.
const NAMES: &[&str] = &["name", "property", "declarator", "left"];

/// The bytes of every comment and of every string that stands alone as documentation, in order. `None` for a text format,
/// and for what takes too much work to parse.
pub fn comments(language: &'static Language, source: &str) -> Option<Vec<Range<usize>>> {
    let Rules::Grammar(grammar) = language.rules else { return None };
    let grammar = grammar.for_source(source);
    let Parsed { tree, .. } = parse(grammar, source)?;
    let mut found = Vec::new();
    each(&mut tree.walk(), &mut |node| {
        let is_comment = grammar.roles().role(node) == Role::Comment || grammar.comments.contains(&node.kind());
        let is_macro = || is_comment && grammar.macro_behind(&source[node.byte_range()]).is_some();
        if (is_comment || grammar.docstrings && is_bare_string(node)) && !is_macro() {
            found.push(node.byte_range());
        }
        !is_comment
    });
    Some(found)
}

/// The members of every type in a text, in order. Text formats have none.
pub fn members(language: &'static Language, source: &str) -> Vec<Member> {
    let Rules::Grammar(grammar) = language.rules else { return Vec::new() };
    let grammar = grammar.for_source(source);
    let Some(Parsed { tree, .. }) = parse(grammar, source) else { return Vec::new() };
    let mut found = Vec::new();
    each(&mut tree.walk(), &mut |node| {
        let kind = match node.kind() {
            kind if FIELDS.contains(&kind) => MemberKind::Field,
            kind if VARIANTS.contains(&kind) => MemberKind::Variant,
            "assignment" if is_in_class_body(node) => MemberKind::Field,
            "property_identifier" if node.parent().is_some_and(|parent| parent.kind() == "enum_body") => {
                found.push(member(source, node, MemberKind::Variant));
                return false;
            }
            _ => return true,
        };
        found.extend(names(grammar, node).into_iter().map(|name| member(source, name, kind)));
        true
    });
    found
}

fn member(source: &str, name: Syntax<'_>, kind: MemberKind) -> Member {
    let line = u32::try_from(name.start_position().row).unwrap_or(u32::MAX);
    Member { name: source[name.byte_range()].to_owned(), line, kind }
}

/// The nodes that name a member; one declaration may bring several.
fn names<'t>(grammar: &Grammar, node: Syntax<'t>) -> Vec<Syntax<'t>> {
    let mut cursor = node.walk();
    for field in NAMES {
        let found: Vec<Syntax<'t>> =
            node.children_by_field_name(field, &mut cursor).filter_map(|child| identifier(grammar, child)).collect();
        if !found.is_empty() {
            return found;
        }
    }
    node.named_children(&mut cursor).find(|child| is_identifier(grammar, *child)).into_iter().collect()
}

fn is_identifier(grammar: &Grammar, node: Syntax<'_>) -> bool {
    node.child_count() == 0 && grammar.identifiers.contains(&node.kind())
}

/// The node itself, or the first identifier that its name leads to.
fn identifier<'t>(grammar: &Grammar, mut node: Syntax<'t>) -> Option<Syntax<'t>> {
    // A name lies a few declarators deep; what is deeper is something else.
    for _ in 0..4 {
        if is_identifier(grammar, node) {
            return Some(node);
        }
        node = NAMES.iter().find_map(|field| node.child_by_field_name(field)).or_else(|| node.named_child(0))?;
    }
    None
}

/// A statement that is nothing but a string.
fn is_bare_string(node: Syntax<'_>) -> bool {
    node.kind() == "expression_statement"
        && node.named_child_count() == 1
        && node.named_child(0).is_some_and(|child| child.kind() == "string")
}

fn is_in_class_body(node: Syntax<'_>) -> bool {
    let body = node.parent().and_then(|statement| statement.parent());
    body.and_then(|body| body.parent()).is_some_and(|class| class.kind() == "class_definition")
}

/// Visits a subtree in order, without recursion; a node is entered if the visit says so.
fn each<'tree>(cursor: &mut TreeCursor<'tree>, visit: &mut dyn FnMut(Syntax<'tree>) -> bool) {
    loop {
        if visit(cursor.node()) && cursor.goto_first_child() {
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::language;

    fn known(name: &str) -> &'static Language {
        language(name).expect("because the tests name languages of the table")
    }

    #[track_caller]
    fn check_comments(name: &str, source: &str, expected: &[&str]) {
        let found = comments(known(name), source).expect("because it has a grammar");
        let shown: Vec<&str> = found.into_iter().map(|range| source[range].trim_end()).collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn comments_are_found_wherever_they_stand() {
        check_comments(
            "rust",
            "//! a\nfn f() { // b\n    /* c */ g(\"// no\") }\n/// d\nstruct S;\n",
            &["//! a", "// b", "/* c */", "/// d"],
        );
        check_comments(
            "python",
            "\"\"\"a\"\"\"\nclass A:\n    \"b\"\n    x = \"no\"\n    def f(self):\n        'c'\n",
            &["\"\"\"a\"\"\"", "\"b\"", "'c'"],
        );
        check_comments("go", "// a\nfunc f() { g(`// no`) /* b */ }\n", &["// a", "/* b */"]);
        assert_eq!(comments(known("markdown"), "# a\n"), None);
    }

    #[track_caller]
    fn check_members(name: &str, source: &str, expected: &[&str]) {
        let found = members(known(name), source);
        let shown: Vec<String> = found.iter().map(|member| format!("{}:{}", member.line, member.name)).collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn members_are_named_in_every_language() {
        check_members(
            "rust",
            "struct S { a: u8,\n b: T }\nenum E { C, D(u8), E { f: u8 } }",
            &["0:a", "1:b", "2:C", "2:D", "2:E", "2:f"],
        );
        check_members("go", "type S struct {\n\ta, b int\n\tc string\n}\n", &["1:a", "1:b", "2:c"]);
        check_members(
            "python",
            "class A:\n    a = 1\n    b: int = 2\n    def f(self):\n        c = 3\n",
            &["1:a", "2:b"],
        );
        check_members("java", "class A { int a = 1; }\nenum B { C, D }", &["0:a", "1:C", "1:D"]);
        check_members(
            "typescript",
            "interface A { a: string; b?: number }\nenum B { C, D = 1 }",
            &["0:a", "0:b", "1:C", "1:D"],
        );
        check_members("c", "struct s { int a; char *b; };\nenum e { C, D = 1 };", &["0:a", "0:b", "1:C", "1:D"]);
    }
}
