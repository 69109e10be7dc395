//! Parsing: text to a syntax tree, with one parser kept per thread and a bound on the work.
//!
//! This is the only file that starts a parser. It says what each node type means to the walks ([`Role`]), and refuses
//! what would be too costly; it looks at no tree.

use std::cell::RefCell;
use std::ops::{ControlFlow, Range};

use tree_sitter::{ParseOptions, Parser, Tree};

use super::extent::Lines;
use super::guard::Tame;
use super::languages::Grammar;

/// How many reports of progress a parse may make: one for so many bytes of source, and some in any case.
///
/// tree-sitter reports every hundred steps. Of 2,497 Rust and Python files the median makes one report per 130 bytes, the
/// worst one per 17; what needs twice as many as the worst is garbage or an attack. Counting steps instead of time makes
/// the outcome the same on every machine. It is no bound on time: when a long stretch of nonsense operators ends, error
/// recovery can take time quadratic in its length within one step, where nothing can interrupt it.
const BYTES_PER_REPORT: usize = 8;
const REPORTS_IN_ANY_CASE: usize = 2_000;

/// What a node type means to a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The item at this place of the grammar's table.
    Item(u8),
    /// May hold items.
    Open,
    Comment,
    Attribute,
    /// A macro call, in which items may stand.
    Macro,
    /// Holds no items, unless something in it did not parse.
    Closed,
}

/// A grammar made ready: the role of each node type, by its number.
#[derive(Debug)]
pub(super) struct Roles {
    language: tree_sitter::Language,
    roles: Vec<Role>,
    bodies: Vec<bool>,
}

impl Roles {
    fn of(grammar: &Grammar) -> Roles {
        let language = (grammar.parser)();
        let count = u16::try_from(language.node_kind_count()).unwrap_or(u16::MAX);
        let role = |id| {
            let name = language.node_kind_for_id(id).filter(|_| language.node_kind_is_named(id));
            name.map_or(Role::Closed, |name| role(grammar, name))
        };
        let roles = (0..count).map(role).collect();
        let is_body = |id| language.node_kind_for_id(id).is_some_and(|name| grammar.bodies.contains(&name));
        let bodies = (0..count).map(is_body).collect();
        Roles { language, roles, bodies }
    }

    /// Whether the children of this node are statements or items, one after the other.
    pub(super) fn is_body(&self, node: tree_sitter::Node<'_>) -> bool {
        self.bodies.get(usize::from(node.kind_id())).copied().unwrap_or(false)
    }

    /// The role of this node. What did not parse is open: there may be items in it.
    pub(super) fn role(&self, node: tree_sitter::Node<'_>) -> Role {
        match self.roles.get(usize::from(node.kind_id())) {
            Some(Role::Closed) if node.has_error() => Role::Open,
            Some(role) => *role,
            None => Role::Open,
        }
    }
}

fn role(grammar: &Grammar, name: &str) -> Role {
    if let Some(index) = grammar.items.iter().position(|item| item.node == name) {
        return Role::Item(u8::try_from(index).expect("because the table has a few dozen items"));
    }
    let is = |names: &[&str]| names.contains(&name);
    match () {
        () if is(grammar.open) || is(grammar.wrappers) => Role::Open,
        () if is(grammar.comments) => Role::Comment,
        () if is(grammar.attributes) => Role::Attribute,
        () if is(grammar.macros) => Role::Macro,
        () => Role::Closed,
    }
}

impl Grammar {
    pub(super) fn roles(&self) -> &Roles {
        self.roles.get_or_init(|| Roles::of(self))
    }
}

#[cfg(test)]
thread_local! {
    /// How many sources this thread has read whole before they were parsed.
    pub(super) static TAMED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

thread_local! {
    static PARSER: RefCell<Parser> = RefCell::new(Parser::new());
}

/// A syntax tree.
pub(super) struct Parsed {
    pub(super) tree: Tree,
    /// The reports of progress that it took.
    pub(super) reports: usize,
}

/// A source as its grammar's scanner may see it; `None` when it cannot be made safe, or would take too much work. Making
/// it reads all of the source, so it is made once for however many parts are parsed.
pub(super) fn tame<'s>(grammar: &Grammar, source: &'s str) -> Option<Tame<'s>> {
    #[cfg(test)]
    TAMED.set(TAMED.get() + 1);
    if exceeds_indent(source, grammar.max_indent_columns) {
        return None;
    }
    grammar.hazard.tame(source)
}

/// The syntax tree of a source; `None` when it would take too much work.
pub(super) fn parse(grammar: &Grammar, source: &str) -> Option<Parsed> {
    parse_parts(grammar, &Lines::of(source), &tame(grammar, source)?, &[])
}

/// How many nodes of the syntax tree stand for what could not be read, or are missing; `None` when parsing would take too
/// much work.
pub(super) fn faults(grammar: &Grammar, source: &str) -> Option<usize> {
    let parsed = parse(grammar, source)?;
    let mut cursor = parsed.tree.walk();
    let mut count = 0;
    loop {
        let node = cursor.node();
        count += usize::from(node.is_error() || node.is_missing());
        // What is whole inside is not entered.
        if node.has_error() && cursor.goto_first_child() || cursor.goto_next_sibling() {
            continue;
        }
        loop {
            if !cursor.goto_parent() {
                return Some(count);
            }
            if cursor.goto_next_sibling() {
                break;
            }
        }
    }
}

/// The syntax tree of parts of a source, as if nothing stood between them; all of it if no part is named. The parts are
/// apart and in order.
pub(super) fn parse_parts(
    grammar: &Grammar,
    lines: &Lines<'_>,
    source: &Tame<'_>,
    parts: &[Range<usize>],
) -> Option<Parsed> {
    let parts: Vec<_> = parts.iter().map(|part| lines.positions(part)).collect();
    PARSER.with_borrow_mut(|parser| {
        parser.set_language(&grammar.roles().language).expect("because the grammars match the library's version");
        parser.set_included_ranges(&parts).expect("because the parts are apart and in order");
        bounded(parser, source, budget(source.len()))
    })
}

/// The reports of progress that a source of so many bytes may take.
pub(super) fn budget(bytes: usize) -> usize {
    REPORTS_IN_ANY_CASE + bytes / BYTES_PER_REPORT
}

fn bounded(parser: &mut Parser, source: &Tame<'_>, budget: usize) -> Option<Parsed> {
    let mut reports = 0;
    let mut stop = |_: &tree_sitter::ParseState| {
        reports += 1;
        if reports > budget { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let options = ParseOptions::new().progress_callback(&mut stop);
    let tree = parser.parse_with_options(&mut |at, _| source.from(at), None, Some(options));
    if tree.is_none() {
        parser.reset();
    }
    tree.map(|tree| Parsed { tree, reports })
}

/// Whether a line starts further right than this, with tabs eight columns wide.
fn exceeds_indent(source: &str, columns: usize) -> bool {
    columns < usize::MAX
        && source.lines().any(|line| {
            let indent = line.bytes().take_while(|byte| matches!(byte, b' ' | b'\t'));
            indent.map(|byte| if byte == b'\t' { 8 } else { 1 }).sum::<usize>() > columns
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::guard::Hazard;
    use crate::syntax::languages::{Rules, language};

    fn rust() -> &'static Grammar {
        match language("rust").map(|language| &language.rules) {
            Some(Rules::Grammar(grammar)) => grammar,
            _ => panic!("the table has a grammar for Rust"),
        }
    }

    #[test]
    fn a_parse_without_budget_ends_and_leaves_the_parser_usable() {
        let source = "fn f() { g(1, 2, 3); }\n".repeat(1_000);
        let mut parser = Parser::new();
        parser.set_language(&rust().roles().language).expect("because the versions match");
        let safe = |source| Hazard::None.tame(source).expect("because there is nothing to refuse");
        assert!(bounded(&mut parser, &safe(&source), 3).is_none());
        let parsed = bounded(&mut parser, &safe("fn h() {}"), 3).expect("because it is short");
        assert_eq!(parsed.tree.root_node().to_sexp().matches("function_item").count(), 1);
    }

    #[test]
    fn ordinary_code_stays_within_the_budget() {
        let source = "fn f() { g(1, 2, 3); }\n".repeat(20_000);
        assert!(parse(rust(), &source).is_some());
    }

    #[test]
    fn indentation_counts_tabs_as_eight_columns() {
        assert!(!exceeds_indent("\t\tx\n        y", 16));
        assert!(exceeds_indent("x\n\t\t y", 16));
    }
}
