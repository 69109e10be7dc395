//! Items: the functions, types and other declarations of a source, found by walking its syntax tree.
//!
//! One pass, no deeper than items can stand, gives each item with the attributes and comments that lead up to it. Nothing
//! here recurses, since how deep a tree goes is up to whoever wrote the file.

use std::ops::Range;

use tree_sitter::{Node as Syntax, Tree};

use super::Kind;
use super::extent::{Lines, label};
use super::languages::{self, Grammar, Shape};
use super::parse::{Parsed, Role, parse_parts};

/// Items inside more items than this are no nodes of their own. Their text stands in each item around them, so without a
/// bound a file of nested functions would grow quadratically. Real code stays below ten.
const MAX_NESTING: usize = 32;
/// Macro calls inside more macro calls than this are not looked into; each is parsed anew.
const MAX_MACROS: usize = 4;

/// A declaration.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) shape: Shape,
    /// Without generics; `_` where the source has none.
    pub(super) name: String,
    /// For which trait an impl stands; empty otherwise.
    pub(super) interface: String,
    pub(super) is_test: bool,
    /// The item that it stands in.
    pub(super) parent: Option<usize>,
    /// Tells which items stand side by side: those of one parent and one group.
    pub(super) group: Option<usize>,
    /// The bytes from its first attribute, decorator or comment to its last.
    pub(super) extent: Range<usize>,
}

/// The items of a tree, in file order, the outer before the inner; and where the source did not parse.
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
    let Parsed { tree, reports } = parse_parts(grammar, lines, parts)?;
    let mut walk =
        Walk { grammar, lines, parts, items: Vec::new(), around: Vec::new(), entered: Vec::new(), lead: None };
    walk.run(&tree, 0);
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
    parts: &'s [Range<usize>],
    items: Vec<Item>,
    /// The items around the current node, and their depths in the tree.
    around: Vec<(usize, usize)>,
    /// The nodes around the current one.
    entered: Vec<Range<usize>>,
    lead: Option<Lead>,
}

/// Attributes and comments that may belong to an item which has not come yet.
struct Lead {
    extent: Range<usize>,
    /// Whether it belongs to the next item even across a blank line, as attributes and documentation do.
    binds: bool,
    marks_test: bool,
}

impl Walk<'_> {
    /// Goes through a tree; `macros` is the number of macro calls around it.
    fn run(&mut self, tree: &Tree, macros: usize) {
        let roles = self.grammar.roles();
        let mut cursor = tree.walk();
        // The cursor knows its depth too, but counts it anew each time.
        let mut depth = 0;
        loop {
            let node = cursor.node();
            let enter = match roles.role(node) {
                Role::Item(index) => self.item(self.grammar.item(index), node, depth),
                Role::Open => true,
                Role::Comment => self.comment(node),
                Role::Attribute => self.attribute(node),
                Role::Macro => {
                    if !self.macro_call(node, macros) {
                        self.statement(node);
                    }
                    false
                }
                Role::Closed => {
                    self.statement(node);
                    false
                }
            };
            if enter && cursor.goto_first_child() {
                self.entered.push(node.byte_range());
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
        while self.around.last().is_some_and(|(_, of_item)| *of_item >= depth) {
            self.around.pop();
        }
    }

    /// Takes an item up; says whether to look for more inside it.
    fn item(&mut self, rule: languages::Item, node: Syntax<'_>, depth: usize) -> bool {
        let own = trimmed(self.lines.source, node);
        let bodiless = rule.shape == Shape::Scope && node.child_by_field_name("body").is_none();
        if own.is_empty() || bodiless || self.around.len() >= MAX_NESTING {
            return false;
        }
        let parent = self.around.last().map(|(index, _)| *index);
        let lead = self.lead.take().filter(|lead| lead.reaches(self.lines.source, own.start));
        let name = Some(self.name(node, rule.name)).filter(|name| !name.is_empty()).unwrap_or_else(|| "_".to_owned());
        let is_test = rule.shape == Shape::Leaf(Kind::Function)
            && (lead.as_ref().is_some_and(|lead| lead.marks_test) || self.is_test_by_name(&name, parent));
        self.around.push((self.items.len(), depth));
        let start = lead.map_or(own.start, |lead| lead.extent.start);
        self.items.push(Item {
            shape: rule.shape,
            name,
            interface: self.name(node, rule.interface),
            is_test,
            parent,
            group: self.group(start, node.end_byte()),
            extent: start..own.end,
        });
        true
    }

    /// Where the innermost node begins that holds more than this item; `None` for the outermost of all.
    fn group(&self, start: usize, end: usize) -> Option<usize> {
        // The semicolon behind a statement is not more.
        let says_more = |text: &str| text.contains(|letter: char| letter != ';' && !letter.is_whitespace());
        let holds_more =
            |node: &&Range<usize>| node.start < start || node.end > end && says_more(&self.lines.source[end..node.end]);
        self.entered.iter().skip(1).rev().find(holds_more).map(|node| node.start)
    }

    /// Looks for items in a macro call, as in `cfg_rt! { fn f() {} }`. It is a scope without a name if what stands between
    /// its braces is items and parses as such. Says whether it is.
    fn macro_call(&mut self, node: Syntax<'_>, macros: usize) -> bool {
        let in_leaf = self.around.iter().any(|(item, _)| matches!(self.items[*item].shape, Shape::Leaf(_)));
        let last = node.child_count().checked_sub(1).and_then(|last| node.child(last as u32));
        let Some(body) = last.map(|last| last.byte_range()).filter(|body| {
            let text = &self.lines.source[body.clone()];
            text.len() > 2 && text.starts_with('{') && text.ends_with('}')
        }) else {
            return false;
        };
        if in_leaf || macros >= MAX_MACROS || self.around.len() >= MAX_NESTING {
            return false;
        }
        let inner = body.start + 1..body.end - 1;
        let mut parts: Vec<_> =
            self.parts.iter().map(|part| part.start.max(inner.start)..part.end.min(inner.end)).collect();
        parts.retain(|part| !part.is_empty());
        if self.parts.is_empty() {
            parts.push(inner);
        }
        if parts.is_empty() {
            return false;
        }
        let Some(Parsed { tree, .. }) = parse_parts(self.grammar, self.lines, &parts) else { return false };
        if tree.root_node().has_error() {
            return false;
        }
        let (grammar, lines) = (self.grammar, self.lines);
        let mut inside = Walk {
            grammar,
            lines,
            parts: &parts,
            items: Vec::new(),
            around: Vec::new(),
            entered: Vec::new(),
            lead: None,
        };
        inside.run(&tree, macros + 1);
        if inside.items.iter().all(|item| item.shape == Shape::Plain) {
            return false;
        }
        let own = trimmed(self.lines.source, node);
        let lead = self.lead.take().filter(|lead| lead.reaches(self.lines.source, own.start));
        let start = lead.map_or(own.start, |lead| lead.extent.start);
        let scope = self.items.len();
        self.items.push(Item {
            shape: Shape::Scope,
            name: "_".into(),
            interface: String::new(),
            is_test: false,
            parent: self.around.last().map(|(index, _)| *index),
            group: self.group(start, node.end_byte()),
            extent: start..own.end,
        });
        self.items.extend(
            inside
                .items
                .into_iter()
                .map(|item| Item { parent: Some(item.parent.map_or(scope, |parent| parent + scope + 1)), ..item }),
        );
        true
    }

    /// Takes up what stands between items, so that a later version need not parse it again.
    fn statement(&mut self, node: Syntax<'_>) {
        let parent = self.around.last().map(|(index, _)| *index);
        let in_open = parent.is_none_or(|parent| self.items[parent].shape.is_open());
        let own = trimmed(self.lines.source, node);
        if node.is_named() && in_open && !own.is_empty() {
            self.items.push(Item {
                shape: Shape::Plain,
                name: String::new(),
                interface: String::new(),
                is_test: false,
                parent,
                group: self.group(own.start, node.end_byte()),
                extent: own,
            });
        }
    }

    fn name(&self, node: Syntax<'_>, field: &str) -> String {
        let named = if field.is_empty() { None } else { node.child_by_field_name(field) };
        named.map_or_else(String::new, |named| {
            label(&without_generics(&self.lines.source[named.byte_range()])).into_owned()
        })
    }

    fn is_test_by_name(&self, name: &str, parent: Option<usize>) -> bool {
        let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
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

/// A type without what stands in angle brackets: `Foo<T>` is `Foo`.
fn without_generics(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut depth = 0_usize;
    let mut before = ' ';
    for letter in text.chars() {
        match letter {
            '<' => depth += 1,
            '>' if before != '-' && depth > 0 => depth -= 1,
            _ if depth == 0 => kept.push(letter),
            _ => {}
        }
        before = letter;
    }
    kept
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

    /// Whether an attribute, such as `#[tokio::test(start_paused = true)]`, makes a function a test.
    fn marks_test(&self, attribute: &str) -> bool {
        let path = attribute.trim_start_matches(['#', '[', ' ']);
        let path = &path
            [..path.find(|letter: char| !letter.is_alphanumeric() && !"_:".contains(letter)).unwrap_or(path.len())];
        let last = path.rsplit("::").next().unwrap_or(path);
        self.test_attributes.contains(&last) || (!self.test_attributes.is_empty() && last.ends_with("_test"))
    }
}
