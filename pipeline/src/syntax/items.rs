//! Items: the functions, types and other declarations of a source, found by walking its syntax tree.
//!
//! One pass, no deeper than items can stand, gives each item with the attributes and comments that lead up to it. Nothing
//! here recurses, since how deep a tree goes is up to whoever wrote the file.

use std::ops::Range;
use std::sync::Arc;

use tree_sitter::{Node as Syntax, Tree};

use super::Kind;
use super::extent::Lines;
use super::guard::Tame;
use super::languages::{Grammar, Shape};
use super::parse::{Parsed, Role, parse_parts, tame};
use super::window::names_tests;

/// Items inside more items than this are no nodes of their own. Their text stands in each item around them, so without a
/// bound a file of nested functions would grow quadratically. Real code stays below ten.
const MAX_NESTING: usize = 32;

/// Macro calls inside more macro calls than this are not looked into; each is parsed anew.
const MAX_MACROS: usize = 4;
/// What stands in a shorter function is not listed: it is quickly parsed.
const MIN_LISTED_BYTES: usize = 1024;

/// A declaration, or a statement beside declarations.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) shape: Shape,
    /// What it is called; `None` for a statement.
    pub(super) label: Option<Arc<Label>>,
    pub(super) is_test: bool,
    /// The declaration that it stands in.
    pub(super) parent: Option<u32>,
    /// The declaration or statement that it stands in.
    pub(super) within: Option<u32>,
    /// Tells, among those within the same, which stand side by side.
    pub(super) group: Option<u32>,
    /// The bytes from its first attribute, decorator or comment to its last.
    pub(super) extent: Range<usize>,
    /// Of these, counted from the first, the whole lines between its braces. Without them it is still an item, and of the
    /// same name. Empty where there are none.
    pub(super) hollow: Range<u32>,
}

/// What a declaration is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Label {
    /// Without generics; `_` where the source has none.
    pub(super) name: String,
    /// Whose it is by its own words, as of `A::f` outside `A`; empty otherwise.
    pub(super) owner: String,
    /// For which trait an impl stands; empty otherwise.
    pub(super) interface: String,
}

impl Item {
    /// Its name; empty for a statement.
    pub(super) fn name(&self) -> &str {
        self.label.as_ref().map_or("", |label| &label.name)
    }
}

/// The items of a source, in file order, the outer before the inner; and where it did not parse.
#[derive(Default)]
pub(super) struct Found {
    pub(super) items: Vec<Item>,
    pub(super) errors: Vec<Range<usize>>,
    /// The reports of progress that parsing took.
    pub(super) reports: usize,
}

/// Parses parts of a source, all of it if none is named, and finds the items in them; `None` when it would take too much
/// work.
pub(super) fn find(grammar: &Grammar, lines: &Lines<'_>, parts: &[Range<usize>]) -> Option<Found> {
    let tame = tame(grammar, lines.source)?;
    let Parsed { tree, reports } = parse_parts(grammar, lines, &tame, parts)?;
    let mut walk = Walk::new(grammar, lines, &tame, parts, 0);
    walk.run(&tree);
    Some(Found { items: walk.items, errors: errors(&tree), reports })
}

/// Where a source did not parse: the outermost stretches.
fn errors(tree: &Tree) -> Vec<Range<usize>> {
    let mut errors = Vec::new();
    let mut cursor = tree.walk();
    loop {
        let node = cursor.node();
        let found = node.is_error() || node.is_missing();
        if found {
            errors.push(node.byte_range());
        }
        if !found && node.has_error() && cursor.goto_first_child() {
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return errors;
            }
        }
    }
}

struct Walk<'s> {
    grammar: &'s Grammar,
    lines: &'s Lines<'s>,
    tame: &'s Tame<'s>,
    parts: &'s [Range<usize>],
    /// The number of macro calls around.
    macros: usize,
    items: Vec<Item>,
    /// The declarations around the current node, and their depths in the tree.
    around: Vec<(usize, usize)>,
    /// The same with statements.
    holders: Vec<(usize, usize)>,
    /// The nodes around the current one.
    entered: Vec<Entered>,
    lead: Option<Lead>,
    wrapper: Option<Wrapper>,
}

struct Entered {
    bytes: Range<usize>,
    is_body: bool,
}

/// What belongs to the item inside it, such as `export`, with what leads up to it.
struct Wrapper {
    extent: Range<usize>,
    lead: Option<Lead>,
    /// The depth of the innermost one.
    depth: usize,
}

/// Attributes and comments that may belong to an item which has not come yet.
struct Lead {
    extent: Range<usize>,
    /// Whether it belongs to the next item even across a blank line, as attributes and documentation do.
    binds: bool,
    marks_test: bool,
}

impl<'s> Walk<'s> {
    fn new(
        grammar: &'s Grammar,
        lines: &'s Lines<'s>,
        tame: &'s Tame<'s>,
        parts: &'s [Range<usize>],
        macros: usize,
    ) -> Walk<'s> {
        Walk {
            grammar,
            lines,
            tame,
            parts,
            macros,
            items: Vec::new(),
            around: Vec::new(),
            holders: Vec::new(),
            entered: Vec::new(),
            lead: None,
            wrapper: None,
        }
    }

    fn run(&mut self, tree: &Tree) {
        let roles = self.grammar.roles();
        let mut cursor = tree.walk();
        // The cursor knows its depth too, but counts it anew each time.
        let mut depth = 0;
        loop {
            let node = cursor.node();
            let enter = match roles.role(node) {
                Role::Item(index) => self.item(index, node, depth) || self.open(node, depth),
                Role::Open => self.open(node, depth),
                Role::Comment => self.comment(node),
                Role::Attribute => self.attribute(node),
                Role::Macro => self.macro_call(node, depth),
                Role::Closed => self.statement(node, None),
            };
            if enter && cursor.goto_first_child() {
                self.entered.push(Entered { bytes: node.byte_range(), is_body: roles.is_body(node) });
                depth += 1;
                continue;
            }
            while !cursor.goto_next_sibling() {
                if !cursor.goto_parent() {
                    return;
                }
                self.entered.pop();
                depth -= 1;
            }
            self.leave(depth);
        }
    }

    fn leave(&mut self, depth: usize) {
        for around in [&mut self.around, &mut self.holders] {
            while around.last().is_some_and(|(_, of_item)| *of_item >= depth) {
                around.pop();
            }
        }
        self.wrapper.take_if(|wrapper| wrapper.depth >= depth);
    }

    /// Adds an item to the list, and says where it stands.
    fn push(&mut self, shape: Shape, label: Option<Label>, is_test: bool, extent: Range<usize>) -> usize {
        let last = |around: &[(usize, usize)]| around.last().and_then(|(index, _)| u32::try_from(*index).ok());
        self.items.push(Item {
            shape,
            label: label.map(Arc::new),
            is_test,
            parent: last(&self.around),
            within: last(&self.holders),
            group: self.group(&extent),
            extent,
            hollow: 0..0,
        });
        self.items.len() - 1
    }

    /// Notes the lines between the braces of an item.
    fn set_hollow(&mut self, index: usize, node: Syntax<'_>) {
        let inner = || node.named_child(0).filter(|_| node.named_child_count() == 1)?.child_by_field_name("body");
        let body = node.child_by_field_name("body").or_else(inner);
        let Some(body) = body.filter(|body| self.grammar.has_empty_bodies && self.grammar.roles().is_body(*body))
        else {
            return;
        };
        let Range { start, end } = body.byte_range();
        let source = self.lines.source;
        if !source[start..end].starts_with('{') || !source[start..end].ends_with('}') {
            return;
        }
        let is_blank = |text: &str| text.trim().is_empty();
        let (first, last) = (self.lines.end(start) + 1, self.lines.start(end - 1));
        if first < last && is_blank(&source[start + 1..first]) && is_blank(&source[last..end - 1]) {
            let item = &mut self.items[index];
            let from_start = |at: usize| u32::try_from(at - item.extent.start).unwrap_or(0);
            let hollow = from_start(first)..from_start(last);
            item.hollow = hollow;
        }
    }

    /// Where the innermost node begins that holds more than this item; `None` for the outermost of all.
    fn group(&self, extent: &Range<usize>) -> Option<u32> {
        // The semicolon behind a statement is not more.
        let says_more = |text: &str| text.contains(|letter: char| letter != ';' && !letter.is_whitespace());
        let holds_more = |node: &&Entered| {
            let Range { start, end } = node.bytes;
            start < extent.start || end > extent.end && says_more(&self.lines.source[extent.end..end])
        };
        self.entered.iter().skip(1).rev().find(holds_more).and_then(|node| u32::try_from(node.bytes.start).ok())
    }

    /// Lists what stands beside items, so that a later version need not parse it again. `depth` is that of a node that is
    /// entered.
    fn statement(&mut self, node: Syntax<'_>, depth: Option<usize>) -> bool {
        let in_short = || {
            let leaf = self.around.last().map(|(index, _)| &self.items[*index]);
            leaf.is_some_and(|leaf| matches!(leaf.shape, Shape::Leaf(_)) && leaf.extent.len() < MIN_LISTED_BYTES)
        };
        if node.is_named() && self.entered.last().is_some_and(|around| around.is_body) && !in_short() {
            let own = trimmed(self.lines.source, node);
            if !own.is_empty() {
                let index = self.push(Shape::Plain, None, false, own);
                self.set_hollow(index, node);
                self.holders.extend(depth.map(|depth| (index, depth)));
            }
        }
        depth.is_some()
    }

    /// Looks for items in a macro call, as in `cfg_rt! { fn f() {} }`. It is a scope without a name if what stands between
    /// its braces is items and parses as such.
    fn macro_call(&mut self, node: Syntax<'_>, depth: usize) -> bool {
        match self.inside_macro(node) {
            None => {
                self.statement(node, None);
            }
            Some(inside) => {
                let own = trimmed(self.lines.source, node);
                let lead = self.lead.take().filter(|lead| lead.reaches(self.lines.source, own.start));
                let start = lead.map_or(own.start, |lead| lead.extent.start);
                let label = Label { name: "_".to_owned(), ..Label::default() };
                let scope = self.push(Shape::Scope, Some(label), false, start..own.end) as u32;
                let moved = |inner: Option<u32>| Some(inner.map_or(scope, |index| index + scope + 1));
                self.items.extend(inside.into_iter().map(|item| Item {
                    parent: moved(item.parent),
                    within: moved(item.within),
                    ..item
                }));
                self.wrapper.take_if(|wrapper| wrapper.depth >= depth);
            }
        }
        false
    }

    /// The items inside a macro call, if there are any and nothing else that does not parse.
    fn inside_macro(&self, node: Syntax<'_>) -> Option<Vec<Item>> {
        let last = node.child(node.child_count().checked_sub(1)?)?;
        let body = last.byte_range();
        let text = &self.lines.source[body.clone()];
        let braced = text.len() > 2 && text.starts_with('{') && text.ends_with('}');
        let in_leaf = self.around.iter().any(|(item, _)| matches!(self.items[*item].shape, Shape::Leaf(_)));
        if !braced || in_leaf || self.macros >= MAX_MACROS || self.around.len() >= MAX_NESTING {
            return None;
        }
        let inner = body.start + 1..body.end - 1;
        let within = |part: &Range<usize>| part.start.max(inner.start)..part.end.min(inner.end);
        let parts: Vec<_> = match self.parts {
            [] => vec![inner],
            parts => parts.iter().map(within).filter(|part| !part.is_empty()).collect(),
        };
        if parts.is_empty() {
            return None;
        }
        let Parsed { tree, .. } = parse_parts(self.grammar, self.lines, self.tame, &parts)?;
        if tree.root_node().has_error() {
            return None;
        }
        let mut walk = Walk::new(self.grammar, self.lines, self.tame, &parts, self.macros + 1);
        walk.run(&tree);
        walk.items.iter().any(|item| item.shape != Shape::Plain).then_some(walk.items)
    }

    /// Notes a node that only holds items; they are looked for in any case.
    fn open(&mut self, node: Syntax<'_>, depth: usize) -> bool {
        let wraps = self.grammar.wrappers.contains(&node.kind()) && self.holds_one(node);
        let outer = self.wrapper.take().filter(|wrapper| wraps && wrapper.depth + 1 == depth);
        self.wrapper = match outer {
            Some(outer) => Some(Wrapper { depth, ..outer }),
            None if wraps => {
                let extent = trimmed(self.lines.source, node);
                let lead = self.lead.take().filter(|lead| lead.reaches(self.lines.source, extent.start));
                Some(Wrapper { extent, lead, depth })
            }
            None => None,
        };
        self.statement(node, Some(depth))
    }

    /// Whether just one child may be an item or hold one.
    fn holds_one(&self, node: Syntax<'_>) -> bool {
        let mut cursor = node.walk();
        let may = |child: &Syntax<'_>| {
            matches!(self.grammar.roles().role(*child), Role::Item(_)) || self.grammar.wrappers.contains(&child.kind())
        };
        node.named_children(&mut cursor).filter(may).take(2).count() == 1
    }

    /// Takes an item up, if it is one; says whether to look for more inside it.
    fn item(&mut self, index: u8, node: Syntax<'_>, depth: usize) -> bool {
        let source = self.lines.source;
        let Some(rule) = self.grammar.rule(index, node, source) else { return false };
        let own = trimmed(source, node);
        let in_leaf = || self.around.iter().any(|(around, _)| matches!(self.items[*around].shape, Shape::Leaf(_)));
        if own.is_empty() || self.around.len() >= MAX_NESTING || !rule.nests && in_leaf() {
            return false;
        }
        let parent = self.around.last().map(|(index, _)| *index);
        let wrapper = self.wrapper.take().filter(|wrapper| wrapper.depth + 1 == depth);
        let lead = self.lead.take().filter(|lead| lead.reaches(source, own.start));
        let marks_test = |lead: &Option<Lead>| lead.as_ref().is_some_and(|lead| lead.marks_test);
        let mut marked = marks_test(&lead) || self.holds_test_mark(node);
        let mut extent = lead.map_or(own.start, |lead| lead.extent.start)..own.end;
        if let Some(wrapper) = wrapper {
            marked |= marks_test(&wrapper.lead);
            extent = wrapper.lead.map_or(wrapper.extent.start, |lead| lead.extent.start)..wrapper.extent.end;
        }
        let name = self.grammar.name(rule, node, source);
        let is_test = rule.shape == Shape::Leaf(Kind::Function) && (marked || self.is_test_by_name(&name.own, parent));
        let interface = self.grammar.interface(rule, node, source);
        let label = Label { name: name.own, owner: name.owner, interface };
        let index = self.push(rule.shape, Some(label), is_test, extent);
        self.set_hollow(index, node);
        self.around.push((index, depth));
        self.holders.push((index, depth));
        true
    }

    /// Whether an attribute inside the item marks it as a test.
    fn holds_test_mark(&self, node: Syntax<'_>) -> bool {
        let marks = |child: Syntax<'_>| {
            self.grammar.attributes.contains(&child.kind())
                && self.grammar.marks_test(&self.lines.source[child.byte_range()])
        };
        let mut cursor = node.walk();
        if !cursor.goto_first_child() {
            return false;
        }
        loop {
            let child = cursor.node();
            let holds = self.grammar.modifiers.contains(&child.kind());
            if marks(child) || holds && child.named_children(&mut child.walk()).any(marks) {
                return true;
            }
            if !cursor.goto_next_sibling() {
                return false;
            }
        }
    }

    fn is_test_by_name(&self, name: &str, parent: Option<usize>) -> bool {
        let begins_with = |prefix: &&str| {
            let in_a_word = |rest: &str| prefix.starts_with(char::is_uppercase) && rest.starts_with(char::is_lowercase);
            name.strip_prefix(prefix).is_some_and(|rest| !in_a_word(rest))
        };
        let begins = |prefixes: &[&str]| prefixes.iter().any(begins_with);
        let in_test_class = || parent.is_some_and(|parent| names_tests(&self.items[parent]));
        begins(self.grammar.test_prefixes) || begins(self.grammar.test_method_prefixes) && in_test_class()
    }

    fn comment(&mut self, node: Syntax<'_>) -> bool {
        let extent = trimmed(self.lines.source, node);
        let text = &self.lines.source[extent.clone()];
        if self.grammar.is_inner_doc(text) {
            self.lead = None;
        } else {
            self.extend_lead(extent.clone(), self.grammar.is_outer_doc(text), false);
        }
        false
    }

    fn attribute(&mut self, node: Syntax<'_>) -> bool {
        let extent = trimmed(self.lines.source, node);
        let marks_test = self.grammar.marks_test(&self.lines.source[extent.clone()]);
        self.extend_lead(extent, true, marks_test);
        false
    }

    fn extend_lead(&mut self, extent: Range<usize>, binds: bool, marks_test: bool) {
        let before = self.lead.take().filter(|lead| lead.reaches(self.lines.source, extent.start));
        // A comment that follows code on its line is about that code.
        let own_line =
            !self.lines.source[self.lines.start(extent.start)..extent.start].contains(|c: char| !c.is_whitespace());
        self.lead = match before {
            Some(lead) => Some(Lead {
                extent: lead.extent.start..extent.end,
                binds: lead.binds || binds,
                marks_test: lead.marks_test || marks_test,
            }),
            None if own_line || binds => Some(Lead { extent, binds, marks_test }),
            None => None,
        };
    }
}

impl Lead {
    /// Whether it leads up to what begins here: nothing but space is between them, and no blank line unless it binds.
    fn reaches(&self, source: &str, start: usize) -> bool {
        let between = source.get(self.extent.end..start).unwrap_or("x");
        let blank_line = || between.bytes().filter(|byte| *byte == b'\n').count() > 1;
        between.chars().all(char::is_whitespace) && (self.binds || !blank_line())
    }
}

/// The bytes of a node without the line break that some grammars count in.
fn trimmed(source: &str, node: Syntax<'_>) -> Range<usize> {
    let range = node.byte_range();
    let text = &source[range.clone()];
    range.start..range.start + text.trim_end().len()
}

impl Grammar {
    /// Whether a comment documents what follows it.
    pub(super) fn is_outer_doc(&self, comment: &str) -> bool {
        let begins = |openers: &[&str]| openers.iter().any(|opener| comment.starts_with(opener));
        begins(self.outer_docs) && !begins(self.not_outer_docs)
    }

    /// Whether a comment documents what it stands in.
    pub(super) fn is_inner_doc(&self, comment: &str) -> bool {
        self.inner_docs.iter().any(|opener| comment.starts_with(opener))
    }

    /// Whether an attribute, such as `#[tokio::test(start_paused = true)]` or `@Test`, makes a function a test.
    fn marks_test(&self, attribute: &str) -> bool {
        let path = attribute.trim_start_matches(['#', '[', '@', ' ']);
        let path = &path
            [..path.find(|letter: char| !letter.is_alphanumeric() && !"_:.".contains(letter)).unwrap_or(path.len())];
        let last = path.rsplit([':', '.']).next().unwrap_or(path);
        self.test_attributes.contains(&last) || (!self.test_attributes.is_empty() && last.ends_with("_test"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::languages::{Rules, language};
    use crate::syntax::parse::TAMED;

    #[test]
    fn a_source_is_read_whole_once_however_many_macro_calls_it_holds() {
        let Some(Rules::Grammar(rust)) = language("rust").map(|language| &language.rules) else {
            panic!("the table has a grammar for Rust")
        };
        let source = "a! { fn b() {} }\nc! { d! { fn e() {} } }\n".repeat(100);
        let before = TAMED.get();
        let found = find(rust, &Lines::of(&source), &[]).expect("because it is short");
        assert_eq!(found.items.iter().filter(|item| item.shape == Shape::Leaf(Kind::Function)).count(), 200);
        assert_eq!(TAMED.get() - before, 1);
    }
}
