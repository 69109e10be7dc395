//! Items: the functions, types and other declarations of a source, found by walking its syntax tree.
//!
//! One pass, no deeper than items can stand, gives each item with the attributes and comments that lead up to it. Nothing
//! here recurses, since how deep a tree goes is up to whoever wrote the file.

use std::ops::Range;

use tree_sitter::{Node as Syntax, Tree};

use super::Kind;
use super::extent::Lines;
use super::languages::{Grammar, Shape};
use super::parse::Role;

/// Items inside more items than this are no nodes of their own. Their text stands in each item around them, so without a
/// bound a file of nested functions would grow quadratically. Real code stays below ten.
const MAX_NESTING: usize = 32;

/// A declaration.
pub(super) struct Item {
    pub(super) shape: Shape,
    /// Without generics; `_` where the source has none.
    pub(super) name: String,
    /// Whose it is by its own words, as of `A::f` outside `A`; empty otherwise.
    pub(super) owner: String,
    /// For which trait an impl stands; empty otherwise.
    pub(super) interface: String,
    pub(super) is_test: bool,
    /// The item that it stands in.
    pub(super) parent: Option<usize>,
    /// The bytes from its first attribute, decorator or comment to its last.
    pub(super) extent: Range<usize>,
}

/// The items of a tree, in file order, the outer before the inner.
pub(super) fn collect(grammar: &Grammar, lines: &Lines<'_>, tree: &Tree) -> Vec<Item> {
    let roles = grammar.roles();
    let mut walk = Walk { grammar, lines, items: Vec::new(), around: Vec::new(), lead: None, wrapper: None };
    let mut cursor = tree.walk();
    // The cursor knows its depth too, but counts it anew each time.
    let mut depth = 0;
    loop {
        let node = cursor.node();
        let enter = match roles.role(node) {
            Role::Item(index) => walk.item(index, node, depth) || walk.open(node, depth),
            Role::Open => walk.open(node, depth),
            Role::Comment => walk.comment(node),
            Role::Attribute => walk.attribute(node),
            Role::Closed => false,
        };
        if enter && cursor.goto_first_child() {
            depth += 1;
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return walk.items;
            }
            depth -= 1;
        }
        walk.leave(depth);
    }
}

struct Walk<'s> {
    grammar: &'s Grammar,
    lines: &'s Lines<'s>,
    items: Vec<Item>,
    /// The items around the current node, and their depths in the tree.
    around: Vec<(usize, usize)>,
    lead: Option<Lead>,
    wrapper: Option<Wrapper>,
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

impl Walk<'_> {
    fn leave(&mut self, depth: usize) {
        while self.around.last().is_some_and(|(_, of_item)| *of_item >= depth) {
            self.around.pop();
        }
        self.wrapper.take_if(|wrapper| wrapper.depth >= depth);
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
        true
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
        self.around.push((self.items.len(), depth));
        self.items.push(Item {
            shape: rule.shape,
            name: name.own,
            owner: name.owner,
            interface: self.grammar.interface(rule, node, source),
            is_test,
            parent,
            extent,
        });
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
        let in_test_class = || parent.is_some_and(|parent| self.items[parent].name.contains("Test"));
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
