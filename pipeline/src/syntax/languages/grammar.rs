//! What can be said of a language with a grammar.

use std::mem::ManuallyDrop;
use std::sync::OnceLock;

use crate::syntax::Kind;
use crate::syntax::guard::Hazard;
use crate::syntax::parse::Roles;

/// What a grammar calls its items. Strings are node types of the tree-sitter grammar unless they say otherwise.
#[derive(Debug)]
pub(in crate::syntax) struct Grammar {
    pub(in crate::syntax) parser: fn() -> tree_sitter::Language,
    /// What stands between the parts of a symbol.
    pub(in crate::syntax) separator: &'static str,
    /// Where one node type stands in several entries, the first whose condition holds counts.
    pub(in crate::syntax) items: &'static [Item],
    /// Node types that may hold items without being one.
    pub(in crate::syntax) open: &'static [&'static str],
    /// Node types whose children stand one after the other and can be parsed without each other, such as blocks. It only
    /// matters for how much of a version has to be parsed; those that a grammar does not have do no harm.
    pub(in crate::syntax) bodies: &'static [&'static str],
    /// Whether a version may be parsed around what differs from the version before it. Not so where how one declaration
    /// is read depends on others, as when line breaks and indentation end statements by what follows.
    pub(in crate::syntax) has_windows: bool,
    /// Whether indentation says what belongs together.
    pub(in crate::syntax) is_indented: bool,
    /// Whether what stands between the braces of a body may be nothing.
    pub(in crate::syntax) has_empty_bodies: bool,
    /// Node types that belong to the item that they hold, if they hold one only: `export`, `template <…>`, `const`.
    pub(in crate::syntax) wrappers: &'static [&'static str],
    pub(in crate::syntax) comments: &'static [&'static str],
    /// Attributes, decorators and annotations: they belong to the item that follows, or that they stand in.
    pub(in crate::syntax) attributes: &'static [&'static str],
    /// Macro calls. What their last child holds between braces is read as items if it parses as such.
    pub(in crate::syntax) macros: &'static [&'static str],
    /// Node types that hold the attributes of the item that they stand in.
    pub(in crate::syntax) modifiers: &'static [&'static str],
    /// Node types between an item and its name, such as the declarators of C. The way leads through their field
    /// `declarator` or `name`, or else their first child.
    pub(in crate::syntax) declarators: &'static [&'static str],
    /// Names that say where the item belongs, `A::f`: the node type, its field for the owner, its field for the name.
    pub(in crate::syntax) qualified: &'static [[&'static str; 3]],
    /// The fields of a call that say what is called, and with what.
    pub(in crate::syntax) call: (&'static str, &'static str),
    /// Functions as values, and titles of tests.
    pub(in crate::syntax) functions: &'static [&'static str],
    pub(in crate::syntax) strings: &'static [&'static str],
    /// Lines, besides those of brackets, that only close what stands above them.
    pub(in crate::syntax) closers: &'static [&'static str],
    /// Whether what stands between items is cut at blank lines, as in a language whose programs are mostly that.
    pub(in crate::syntax) cuts_runs: bool,
    /// Text with which a comment documents what follows it, and what looks the same but does not.
    pub(in crate::syntax) outer_docs: &'static [&'static str],
    pub(in crate::syntax) not_outer_docs: &'static [&'static str],
    /// Text with which a comment documents what it stands in.
    pub(in crate::syntax) inner_docs: &'static [&'static str],
    /// Whether a string that opens a body documents it.
    pub(in crate::syntax) docstrings: bool,
    /// Last segments of attribute paths that make a function a test; so does any that ends in `_test`.
    pub(in crate::syntax) test_attributes: &'static [&'static str],
    /// Function names that begin so are tests; after a capital word, only where a new word follows.
    pub(in crate::syntax) test_prefixes: &'static [&'static str],
    /// Function names that begin so are tests inside a class whose name holds `Test`.
    pub(in crate::syntax) test_method_prefixes: &'static [&'static str],
    /// The field that holds a function's parameters, and the node types in it that are a parameter's name. Empty where
    /// the names cannot be told for sure, or documentation may rightly use others: nothing is then claimed of them.
    pub(in crate::syntax) parameters: &'static str,
    pub(in crate::syntax) bindings: &'static [&'static str],
    /// Names that a method's first parameter has by custom.
    pub(in crate::syntax) receiver_names: &'static [&'static str],
    /// Node types whose text is an identifier.
    pub(in crate::syntax) identifiers: &'static [&'static str],
    /// Node types of string content that may capture `{identifiers}` when they stand inside one of `captures_in`.
    pub(in crate::syntax) captures: &'static [&'static str],
    pub(in crate::syntax) captures_in: &'static [&'static str],
    /// The grammar of a larger language, and what begins a line of it: a source with such a line is read as that one.
    pub(in crate::syntax) dialect: Option<(&'static Grammar, &'static [&'static str])>,
    /// A source with a line that is indented further is not parsed. tree-sitter-python's scanner keeps its indentation
    /// levels, two bytes each, in a buffer of 1,024 bytes whose last byte it can overrun; 360 levels are safe.
    pub(in crate::syntax) max_indent_columns: usize,
    /// What is kept from the grammar's scanner.
    pub(in crate::syntax) hazard: Hazard,
    /// Never dropped, so that entries can be written over [`Grammar::of`].
    pub(in crate::syntax) roles: ManuallyDrop<OnceLock<Roles>>,
}

/// What most grammars call them.
const BODIES: &[&str] = &[
    "source_file",
    "source_code",
    "program",
    "module",
    "chunk",
    "translation_unit",
    "compilation_unit",
    "declaration_list",
    "field_declaration_list",
    "class_body",
    "interface_body",
    "enum_body_declarations",
    "body_statement",
    "block",
    "block_body",
    "statement_block",
    "statements",
    "statement_list",
    "compound_statement",
    "constructor_body",
    "function_body",
    "match_block",
    "switch_block",
    "switch_body",
];

impl Grammar {
    /// What an entry says unless it says otherwise.
    pub(super) const fn of(parser: fn() -> tree_sitter::Language) -> Grammar {
        Grammar {
            parser,
            separator: ".",
            items: &[],
            open: &[],
            bodies: BODIES,
            has_windows: true,
            is_indented: false,
            has_empty_bodies: true,
            wrappers: &[],
            comments: &["comment"],
            attributes: &[],
            macros: &[],
            modifiers: &[],
            declarators: &[],
            qualified: &[],
            call: ("function", "arguments"),
            functions: &[],
            strings: &[],
            closers: &[],
            cuts_runs: false,
            outer_docs: &[],
            not_outer_docs: &[],
            inner_docs: &[],
            docstrings: false,
            test_attributes: &[],
            test_prefixes: &[],
            test_method_prefixes: &[],
            parameters: "",
            bindings: &[],
            receiver_names: &[],
            identifiers: &[],
            captures: &[],
            captures_in: &[],
            dialect: None,
            max_indent_columns: usize::MAX,
            hazard: Hazard::None,
            roles: ManuallyDrop::new(OnceLock::new()),
        }
    }

    /// The grammar to read this source with.
    pub(in crate::syntax) fn for_source(&'static self, source: &str) -> &'static Grammar {
        let Some((larger, marks)) = self.dialect else { return self };
        let is_marked = |line: &str| marks.iter().any(|mark| line.trim_start().starts_with(mark));
        if source.lines().any(is_marked) { larger } else { self }
    }
}

/// One node type that is an item.
#[derive(Clone, Copy, Debug)]
pub(in crate::syntax) struct Item {
    pub(in crate::syntax) node: &'static str,
    pub(in crate::syntax) shape: Shape,
    /// When such a node is this item. One that is no item may hold some.
    pub(in crate::syntax) when: When,
    /// Whether it is an item inside a leaf too.
    pub(in crate::syntax) nests: bool,
    /// The field that holds its name; if empty, its first child leads to it.
    pub(in crate::syntax) name: &'static str,
    /// What it is called where it has no name.
    pub(in crate::syntax) nameless: &'static str,
    /// The field that says for which interface a container stands, if there can be one.
    pub(in crate::syntax) interface: &'static str,
    /// The field that says whose method it is, and the node type in it that is the owner's name.
    pub(in crate::syntax) owner: (&'static str, &'static str),
}

/// What becomes of the items inside an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::syntax) enum Shape {
    /// They are nodes, and stay in its text too.
    Leaf(Kind),
    /// They are nodes, and are cut out of its text.
    Container(Kind),
    /// They are nodes; it is none, and only lends them its name.
    Scope,
    /// They are nodes as if it were not there: a statement. It stands in no table.
    Plain,
}

/// A condition on a node.
#[derive(Clone, Copy, Debug)]
pub(in crate::syntax) enum When {
    Always,
    /// It has these fields.
    Has(&'static [&'static str]),
    /// What stands in this field has one of these types.
    Is(&'static str, &'static [&'static str]),
    /// What stands in this field is a call of a function that is no method, or of one of this object, and a function is
    /// passed to it, directly or in such a call again: `memo(forwardRef((props, ref) => …))`.
    Wraps(&'static str, &'static str),
    /// The same as `Is`, and it has a field `body`.
    Defines(&'static str, &'static [&'static str]),
    /// One of its children has one of these types.
    Holds(&'static [&'static str]),
    /// The declarator next to its name has this type.
    Declares(&'static str),
    /// It calls a function with one of these names, or with a variant such as `name.only`, and passes a title first and
    /// a function or a block somewhere. The string is its name.
    Calls(&'static [&'static str]),
    /// It looks like a function, and is one of these macros with a block. Its arguments are its name.
    Expands(&'static [&'static str]),
}

/// An item without conditions.
pub(super) const fn item(node: &'static str, shape: Shape, name: &'static str) -> Item {
    Item { node, shape, when: When::Always, nests: true, name, nameless: "_", interface: "", owner: ("", "") }
}

impl Item {
    pub(super) const fn when(self, when: When) -> Item {
        Item { when, ..self }
    }

    /// It is no item inside a leaf.
    pub(super) const fn outside_leaves(self) -> Item {
        Item { nests: false, ..self }
    }

    pub(super) const fn nameless(self, nameless: &'static str) -> Item {
        Item { nameless, ..self }
    }

    pub(super) const fn interface(self, interface: &'static str) -> Item {
        Item { interface, ..self }
    }

    pub(super) const fn owner(self, field: &'static str, name: &'static str) -> Item {
        Item { owner: (field, name), ..self }
    }
}

#[cfg(test)]
impl Grammar {
    /// Every string of the entry that must be a node type.
    pub(super) fn node_types(&self) -> Vec<&'static str> {
        let lists = [
            self.open,
            self.wrappers,
            self.comments,
            self.attributes,
            self.macros,
            self.modifiers,
            self.declarators,
            self.functions,
            self.strings,
            self.bindings,
            self.identifiers,
            self.captures,
            self.captures_in,
        ];
        let of_item = |item: &Item| {
            let in_condition = match item.when {
                When::Is(_, types) | When::Defines(_, types) | When::Holds(types) => types.to_vec(),
                When::Declares(declarator) => vec![declarator],
                When::Always | When::Has(_) | When::Wraps(..) | When::Calls(_) | When::Expands(_) => Vec::new(),
            };
            let owner = Some(item.owner.1).filter(|owner| !owner.is_empty());
            in_condition.into_iter().chain([item.node]).chain(owner)
        };
        let qualified = self.qualified.iter().map(|[node, ..]| *node);
        lists.into_iter().flatten().copied().chain(self.items.iter().flat_map(of_item)).chain(qualified).collect()
    }

    /// Every string of the entry that must be a field, or empty.
    pub(super) fn fields(&self) -> Vec<&'static str> {
        let of_item = |item: &Item| {
            let in_condition = match item.when {
                When::Has(fields) => fields.to_vec(),
                When::Is(field, _) => vec![field],
                When::Wraps(field, _) => vec![field, self.call.0, self.call.1],
                When::Defines(field, _) => vec![field, "body"],
                When::Declares(_) => vec!["declarator"],
                When::Calls(_) => vec![self.call.0, self.call.1],
                When::Expands(_) => vec!["declarator", "parameters"],
                When::Always | When::Holds(_) => Vec::new(),
            };
            in_condition.into_iter().chain([item.name, item.interface, item.owner.0])
        };
        let qualified = self.qualified.iter().flat_map(|[_, owner, name]| [*owner, *name]);
        self.items.iter().flat_map(of_item).chain(qualified).chain([self.parameters]).collect()
    }
}
