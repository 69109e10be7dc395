//! Rules: whether a node of the syntax tree is an item of the table, what it is called and whose it is.
//!
//! A rule is an entry of the table; here it is held against one node. The walk over the tree is `items.rs`.

use tree_sitter::Node as Syntax;

use super::extent::label;
use super::languages::{Grammar, Item, When};

/// How far to look for a name, for an owner or along arguments. Real code stays below ten; each step is taken for each
/// item, so without a bound nonsense could make it quadratic.
const MAX_STEPS: usize = 40;

/// What an item is called.
#[derive(Debug, Default)]
pub(super) struct Name {
    /// Whose it is by its own words: `A` of `A::f`, or of the receiver of a method; empty otherwise.
    pub(super) owner: String,
    pub(super) own: String,
}

impl Grammar {
    /// The first entry for this node, from the one at this place on, whose condition holds.
    pub(super) fn rule(&self, first: u8, node: Syntax<'_>, source: &str) -> Option<Item> {
        let candidates = &self.items[usize::from(first)..];
        let of_type = candidates.iter().filter(|item| item.node == candidates[0].node);
        of_type.copied().find(|item| self.holds(item.when, node, source))
    }

    fn holds(&self, when: When, node: Syntax<'_>, source: &str) -> bool {
        let is =
            |field: &str, types: &[&str]| node.child_by_field_name(field).filter(|found| types.contains(&found.kind()));
        match when {
            When::Always => true,
            When::Has(fields) => fields.iter().all(|field| node.child_by_field_name(field).is_some()),
            When::Is(field, types) => is(field, types).is_some(),
            When::Holds(types) => {
                let mut cursor = node.walk();
                node.children(&mut cursor).take(MAX_STEPS).any(|child| types.contains(&child.kind()))
            }
            When::Wraps(field, object) => self.wrapped(node, field, object, source).is_some(),
            When::Defines(field, types) => {
                is(field, types).is_some_and(|found| found.child_by_field_name("body").is_some())
            }
            When::Declares(declarator) => {
                let first = node.child_by_field_name("declarator");
                self.declarators_from(first).last().is_some_and(|last| last.kind() == declarator)
            }
            When::Calls(names) => self.title(names, node, source).is_some(),
            When::Expands(macros) => self.macro_call(macros, node, source).is_some(),
        }
    }

    /// The function that the call in a field wraps.
    fn wrapped<'t>(&self, node: Syntax<'t>, field: &str, object: &str, source: &str) -> Option<Syntax<'t>> {
        let (callee, arguments) = self.call;
        let mut at = node.child_by_field_name(field)?;
        for _ in 0..MAX_STEPS {
            let called = &source[at.child_by_field_name(callee)?.byte_range()];
            let name = called.strip_prefix(object).and_then(|rest| rest.strip_prefix('.')).unwrap_or(called);
            if !name.chars().all(|letter| letter.is_alphanumeric() || "_$".contains(letter)) {
                return None;
            }
            let arguments = at.child_by_field_name(arguments)?;
            let mut cursor = arguments.walk();
            let passed: Vec<Syntax<'t>> = arguments.named_children(&mut cursor).take(MAX_STEPS).collect();
            if let Some(function) = passed.iter().find(|argument| self.functions.contains(&argument.kind())) {
                return Some(*function);
            }
            at = *passed.iter().find(|argument| argument.child_by_field_name(callee).is_some())?;
        }
        None
    }

    /// The title that a call to one of these functions passes first, if it passes a function or a block too.
    fn title<'t>(&self, names: &[&str], call: Syntax<'t>, source: &str) -> Option<Syntax<'t>> {
        let (callee, arguments) = self.call;
        let called = &source[call.child_by_field_name(callee)?.byte_range()];
        let name = called.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
        if !names.contains(&&called[..name.unwrap_or(called.len())]) {
            return None;
        }
        // Some grammars have a node around each argument.
        let is = |argument: Syntax<'t>, types: &[&str]| {
            let inside = || argument.named_child(0).filter(|_| argument.named_child_count() == 1);
            Some(argument)
                .filter(|at| types.contains(&at.kind()))
                .or_else(|| inside().filter(|at| types.contains(&at.kind())))
        };
        let arguments = call.child_by_field_name(arguments)?;
        let title = is(arguments.named_child(0)?, self.strings)?;
        let mut cursor = arguments.walk();
        let mut rest = arguments.named_children(&mut cursor).take(MAX_STEPS);
        let passes = rest.any(|argument| is(argument, self.functions).is_some());
        let block = call.child_by_field_name("block").filter(|block| self.functions.contains(&block.kind()));
        (passes || block.is_some()).then_some(title)
    }

    /// The arguments of what looks like a function whose name is one of these macros.
    fn macro_call<'t>(&self, macros: &[&str], node: Syntax<'t>, source: &str) -> Option<Syntax<'t>> {
        let declarator = node.child_by_field_name("declarator")?;
        let name = declarator.child_by_field_name("declarator")?;
        macros.contains(&&source[name.byte_range()]).then(|| declarator.child_by_field_name("parameters"))?
    }

    /// The declarators on the way to a name, from this node inwards.
    fn declarators_from<'t>(&self, first: Option<Syntax<'t>>) -> impl Iterator<Item = Syntax<'t>> {
        let next = |at: &Syntax<'t>| self.inner(*at);
        let is_one = |at: &Syntax<'t>| self.declarators.contains(&at.kind());
        std::iter::successors(first, next).take_while(is_one).take(MAX_STEPS)
    }

    /// One step towards a name.
    fn inner<'t>(&self, node: Syntax<'t>) -> Option<Syntax<'t>> {
        let by_field = node.child_by_field_name("declarator").or_else(|| node.child_by_field_name("name"));
        by_field.or_else(|| {
            let mut cursor = node.walk();
            node.named_children(&mut cursor).find(|child| !self.comments.contains(&child.kind()))
        })
    }

    /// What an item is called, without generics.
    pub(super) fn name(&self, rule: Item, node: Syntax<'_>, source: &str) -> Name {
        let text = |at: Syntax<'_>| short(&source[at.byte_range()]);
        let whole = |own: String| Name { owner: String::new(), own: or_nameless(own, rule) };
        if let When::Calls(names) = rule.when {
            return whole(self.title(names, node, source).map_or_else(String::new, text));
        }
        if let When::Expands(macros) = rule.when {
            let arguments = self.macro_call(macros, node, source).map_or_else(String::new, text);
            let parts = arguments.trim_matches(['(', ')']).split(',').map(str::trim);
            return whole(parts.collect::<Vec<_>>().join(self.separator));
        }
        let first = match rule.when {
            // A value that is exported as such has the name that stands in it.
            When::Is(field, _) if field == rule.name => {
                node.child_by_field_name(field).and_then(|value| value.child_by_field_name("name"))
            }
            When::Wraps(field, object) if field == rule.name => {
                self.wrapped(node, field, object, source).and_then(|function| function.child_by_field_name("name"))
            }
            _ if rule.name.is_empty() => self.inner(node),
            _ => node.child_by_field_name(rule.name),
        };
        let innermost = self.declarators_from(first).last().map_or(first, |last| self.inner(last));
        let Some(mut named) = innermost else { return whole(String::new()) };
        let mut owners = Vec::from_iter(self.owner(rule, node).map(text));
        for _ in 0..MAX_STEPS {
            let qualified = self.qualified.iter().find(|[kind, ..]| *kind == named.kind());
            let Some([_, owner, name]) = qualified else { break };
            let Some(inner) = named.child_by_field_name(name) else { break };
            owners.extend(named.child_by_field_name(owner).map(text));
            named = inner;
        }
        Name { owner: owners.join(self.separator), own: or_nameless(text(named), rule) }
    }

    /// For whose interface a container stands.
    pub(super) fn interface(&self, rule: Item, node: Syntax<'_>, source: &str) -> String {
        let named = Some(rule.interface).filter(|field| !field.is_empty());
        let named = named.and_then(|field| node.child_by_field_name(field));
        named.map_or_else(String::new, |named| short(&source[named.byte_range()]))
    }

    fn owner<'t>(&self, rule: Item, node: Syntax<'t>) -> Option<Syntax<'t>> {
        let (field, kind) = rule.owner;
        let within = Some(field).filter(|field| !field.is_empty()).and_then(|field| node.child_by_field_name(field))?;
        let mut cursor = within.walk();
        for _ in 0..MAX_STEPS {
            if cursor.node().kind() == kind {
                return Some(cursor.node());
            }
            if cursor.goto_first_child() {
                continue;
            }
            while !cursor.goto_next_sibling() {
                if !cursor.goto_parent() {
                    return None;
                }
            }
        }
        None
    }
}

fn or_nameless(name: String, rule: Item) -> String {
    if name.is_empty() { rule.nameless.to_owned() } else { name }
}

/// A name on one line, without generics: `Foo<T>` is `Foo`. `operator<<` keeps its brackets, and what stands in quotes
/// all but these.
fn short(text: &str) -> String {
    let quote = text.chars().next().filter(|first| "\"'`".contains(*first));
    let quoted = quote.and_then(|quote| text.strip_prefix(quote)?.strip_suffix(quote));
    match quoted {
        Some(inside) => label(inside).into_owned(),
        None if text.starts_with("operator") || !text.contains(char::is_alphanumeric) => label(text).into_owned(),
        None => label(&without_generics(text)).into_owned(),
    }
}

/// A type without what stands in angle brackets.
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
