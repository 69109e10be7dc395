//! Anatomy: what a node's text consists of, as far as checks ask: parameters, documentation, identifiers, comments.
//!
//! The text is parsed on its own, without the file around it. That is enough for a whole node; a part of a split one, or
//! a text format, gives what can be seen, down to nothing.

use std::collections::HashSet;
use std::ops::Range;

use tree_sitter::{Node as Syntax, TreeCursor};

use super::languages::{Grammar, Language, Rules};
use super::parse::{Parsed, Role, parse};

/// The parts of one node's text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Anatomy {
    /// The names of a function's parameters, in order, without `self`; the names in a pattern each count.
    pub parameters: Vec<String>,
    /// The names of the item's type parameters, in order.
    pub generics: Vec<String>,
    /// The documentation of the node itself, and of what it stands in.
    pub doc: Vec<DocLine>,
    /// Every identifier in code, also in the names that a format string captures; not in comments or other strings.
    pub identifiers: HashSet<String>,
    /// All other comments.
    pub comments: Vec<DocLine>,
}

/// A line of documentation or of a comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocLine {
    /// The line inside the node's text, from 0.
    pub line: u32,
    /// What it says, without the marks of a comment.
    pub text: String,
}

/// Looks inside one node. A text format has no anatomy.
pub fn anatomy(language: &'static Language, node_text: &str) -> Anatomy {
    match language.rules {
        Rules::Grammar(grammar) => of_code(grammar, node_text),
        Rules::Blocks(_) => Anatomy::default(),
    }
}

/// A node's text in two: what documents it, and the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Documented {
    /// The lines of the documentation that say something, without the marks of a comment. Where a language has no marks
    /// for documentation, as Go, all comments that lead up to the item count.
    pub lines: Vec<DocLine>,
    /// The text without them, and without the lines that held nothing else.
    pub code: String,
}

/// Takes the documentation off a node. A text format has none.
pub fn documented(language: &'static Language, node_text: &str) -> Documented {
    match language.rules {
        Rules::Grammar(grammar) => Dissection::of(grammar, node_text)
            .map(Dissection::split)
            .unwrap_or_else(|| Documented { lines: Vec::new(), code: node_text.to_owned() }),
        Rules::Blocks(_) => Documented { lines: Vec::new(), code: node_text.to_owned() },
    }
}

fn of_code(grammar: &Grammar, text: &str) -> Anatomy {
    Dissection::of(grammar, text).map(|dissection| dissection.found).unwrap_or_default()
}

/// Visits a subtree in order, with the depth of each node, and without recursion. A node is entered if the visit says so.
fn walk<'tree>(cursor: &mut TreeCursor<'tree>, mut visit: impl FnMut(&TreeCursor<'tree>, usize) -> bool) {
    let mut depth = 0;
    loop {
        if visit(cursor, depth) && cursor.goto_first_child() {
            depth += 1;
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return;
            }
            depth -= 1;
        }
    }
}

struct Dissection<'s> {
    grammar: &'s Grammar,
    text: &'s str,
    found: Anatomy,
    /// The byte where the node's own item starts, once it was met.
    item: Option<usize>,
    /// The depth of the macro call around the current node.
    captures_below: Option<usize>,
    /// The bytes of what documents the node.
    documentation: Vec<Range<usize>>,
    /// Comments that lead up to the item without the marks of documentation.
    lead: Vec<DocLine>,
    lead_bytes: Vec<Range<usize>>,
}

impl<'s> Dissection<'s> {
    /// `None` for what takes too much work to parse.
    fn of(grammar: &'s Grammar, text: &'s str) -> Option<Dissection<'s>> {
        let Parsed { tree, .. } = parse(grammar, text)?;
        let mut dissection = Dissection {
            grammar,
            text,
            found: Anatomy::default(),
            item: None,
            captures_below: None,
            documentation: Vec::new(),
            lead: Vec::new(),
            lead_bytes: Vec::new(),
        };
        dissection.docstring(Some(tree.root_node()));
        walk(&mut tree.walk(), |cursor, depth| dissection.visit(cursor.node(), depth));
        Some(dissection)
    }

    fn split(self) -> Documented {
        let (lines, mut cut) = match self.grammar.outer_docs {
            [] => ([self.lead, self.found.doc].concat(), [self.lead_bytes, self.documentation].concat()),
            _ => (self.found.doc, self.documentation),
        };
        cut.sort_unstable_by_key(|range| range.start);
        let mut code = String::with_capacity(self.text.len());
        let mut at = 0;
        for range in cut.into_iter().filter(|range| !range.is_empty()) {
            // Two node types may hold one comment.
            code.push_str(self.text.get(at..range.start).unwrap_or_default());
            at = at.max(range.end);
            // Of a line that held nothing else, the indentation and the end go too.
            let indent = code.len() - code.trim_end_matches([' ', '\t']).len();
            let begins = code[..code.len() - indent].ends_with('\n') || code.len() == indent;
            if begins && self.text[at..].trim_start_matches([' ', '\t']).starts_with('\n') {
                code.truncate(code.len() - indent);
                at += self.text[at..].find('\n').map_or(0, |end| end + 1);
            }
        }
        code.push_str(self.text.get(at..).unwrap_or_default());
        Documented { lines, code }
    }
    fn visit(&mut self, node: Syntax<'_>, depth: usize) -> bool {
        if self.captures_below.is_some_and(|above| depth <= above) {
            self.captures_below = None;
        }
        match self.grammar.roles().role(node) {
            Role::Item(index) if self.item.is_none() && self.grammar.rule(index, node, self.text).is_some() => {
                self.own_item(node);
            }
            Role::Comment => return self.comment(node),
            _ => self.word(node, depth),
        }
        true
    }

    fn own_item(&mut self, node: Syntax<'_>) {
        self.item = Some(node.start_byte());
        self.docstring(node.child_by_field_name("body"));
        if let Some(list) = node.child_by_field_name(self.grammar.parameters) {
            self.parameters(list);
        }
        if let Some(list) = node.child_by_field_name("type_parameters") {
            let name = |child: Syntax<'_>| {
                let name = child.child_by_field_name("name").or_else(|| child.named_child(0)).unwrap_or(child);
                self.grammar.identifiers.contains(&name.kind()).then(|| self.text[name.byte_range()].to_owned())
            };
            self.found.generics = list.named_children(&mut list.walk()).filter_map(name).collect();
        }
    }

    fn parameters(&mut self, list: Syntax<'_>) {
        let mut names = Vec::new();
        walk(&mut list.walk(), |cursor, _| {
            let node = cursor.node();
            let elsewhere = cursor.field_name().is_some_and(|field| ["type", "value"].contains(&field))
                || self.grammar.attributes.contains(&node.kind());
            if !elsewhere && self.grammar.bindings.contains(&node.kind()) {
                names.push(self.text[node.byte_range()].to_owned());
            }
            !elsewhere
        });
        if names.first().is_some_and(|first| self.grammar.receiver_names.contains(&first.as_str())) {
            names.remove(0);
        }
        self.found.parameters = names;
    }

    /// Takes the string that opens a body as documentation.
    fn docstring(&mut self, body: Option<Syntax<'_>>) {
        let first = body.filter(|_| self.grammar.docstrings).and_then(|body| {
            let mut cursor = body.walk();
            body.named_children(&mut cursor).find(|child| !self.grammar.comments.contains(&child.kind()))
        });
        let string = first.and_then(|statement| statement.named_child(0)).filter(|string| string.kind() == "string");
        if let Some(string) = string {
            let text = self.text[string.byte_range()].trim_start_matches(char::is_alphabetic);
            let lines = lines(string, text.trim_matches(['"', '\'']));
            self.found.doc.extend(lines);
            self.documentation.push(string.byte_range());
        }
    }

    fn comment(&mut self, node: Syntax<'_>) -> bool {
        let text = self.text[node.byte_range()].trim_end();
        if let Some(name) = self.grammar.macro_behind(text) {
            self.found.identifiers.insert(name.to_owned());
            return false;
        }
        let documents = self.grammar.is_inner_doc(text) || self.item.is_none() && self.grammar.is_outer_doc(text);
        let lines = lines(node, text);
        let bytes = node.start_byte()..node.start_byte() + text.len();
        if documents {
            self.found.doc.extend(lines);
            self.documentation.push(bytes);
        } else {
            if self.item.is_none() {
                self.lead.extend(lines.iter().cloned());
                self.lead_bytes.push(bytes);
            }
            self.found.comments.extend(lines);
        }
        false
    }

    fn word(&mut self, node: Syntax<'_>, depth: usize) {
        let is = |kinds: &[&str]| kinds.contains(&node.kind());
        if is(self.grammar.identifiers) {
            self.found.identifiers.insert(self.text[node.byte_range()].to_owned());
        } else if is(self.grammar.captures_in) {
            self.captures_below = self.captures_below.or(Some(depth));
        } else if self.captures_below.is_some() && is(self.grammar.captures) {
            self.capture(&self.text[node.byte_range()]);
        }
    }

    /// Takes the names in `{name}` and `{name:?}` of a format string.
    fn capture(&mut self, format: &str) {
        let in_name = |letter: char| letter.is_alphanumeric() || letter == '_';
        // Doubled braces stand for themselves.
        for piece in format.replace("{{", "").split('{').skip(1) {
            let name = &piece[..piece.find(|letter| !in_name(letter)).unwrap_or(piece.len())];
            let is_name = name.starts_with(|first: char| first.is_alphabetic() || first == '_');
            if is_name && piece[name.len()..].starts_with(['}', ':']) {
                self.found.identifiers.insert(name.to_owned());
            }
        }
    }
}

/// The lines of a comment or a docstring that say something, without marks.
fn lines(node: Syntax<'_>, text: &str) -> Vec<DocLine> {
    let first = node.start_position().row;
    let numbered = text.lines().enumerate().map(|(index, line)| {
        let line_number = u32::try_from(first + index).unwrap_or(u32::MAX);
        DocLine { line: line_number, text: without_marks(line, text.starts_with("/*")).to_owned() }
    });
    numbered.filter(|line| !line.text.is_empty()).collect()
}

fn without_marks(line: &str, in_block: bool) -> &str {
    let line = line.trim();
    let line = match line.bytes().next() {
        _ if in_block => line.trim_start_matches(['/', '*', '!']).trim_end_matches("*/"),
        Some(b'/') => line.trim_start_matches('/').trim_start_matches('!'),
        Some(b'#') => line.trim_start_matches('#').trim_start_matches('!'),
        _ => line,
    };
    line.trim()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::language;

    fn of(language_name: &str, text: &str) -> Anatomy {
        anatomy(language(language_name).expect("because the tests name languages of the table"), text)
    }

    #[track_caller]
    fn check_parameters(language_name: &str, text: &str, expected: &[&str]) {
        assert_eq!(of(language_name, text).parameters, expected, "{text}");
    }

    #[test]
    fn parameters_are_named_in_order_without_the_receiver() {
        check_parameters("rust", "fn f(&mut self, a: u8, mut b: Vec<(A, B)>, _: u8) {}", &["a", "b"]);
        check_parameters(
            "rust",
            "pub async fn f<T>(self: Box<Self>, (a, b): (A, B), P { x, y: z }: P) -> T;",
            &["a", "b", "x", "z"],
        );
        check_parameters(
            "rust",
            "fn f(#[cfg(test)] a: u8, Some(b): Option<u8>, c: impl Fn(D) -> E) {}",
            &["a", "b", "c"],
        );
        check_parameters("rust", "fn outer() { fn inner(a: u8) {} }", &[]);
        check_parameters("rust", "struct S { a: u8 }", &[]);
        check_parameters(
            "python",
            "def f(self, a, b: int = c, *args: d, e=1, **kwargs): pass",
            &["a", "b", "args", "e", "kwargs"],
        );
        check_parameters("python", "@x\nasync def f(cls, a, /, b, *, c): pass", &["a", "b", "c"]);
    }

    #[test]
    fn type_parameters_are_named_in_order() {
        let check = |language_name: &str, text: &str, expected: &[&str]| {
            assert_eq!(of(language_name, text).generics, expected, "{text}");
        };
        check("rust", "fn f<'a, T: Into<U>, const N: usize, U>(a: &'a T) {}", &["T", "N", "U"]);
        check("java", "class A<T, U> {}", &["T", "U"]);
        check("typescript", "function f<T extends U, V>(a: T) {}", &["T", "V"]);
        check("python", "def f(a): pass", &[]);
    }

    /// Checks documentation and comments, written as `line:text`.
    #[track_caller]
    fn check_words(language_name: &str, text: &str, doc: &[&str], comments: &[&str]) {
        let found = of(language_name, text);
        let shown =
            |lines: &[DocLine]| lines.iter().map(|line| format!("{}:{}", line.line, line.text)).collect::<Vec<_>>();
        assert_eq!(shown(&found.doc), doc, "{text}");
        assert_eq!(shown(&found.comments), comments, "{text}");
    }

    #[test]
    fn documentation_is_told_from_other_comments() {
        check_words(
            "rust",
            "// why\n/// One.\n///\n/// # Two\n#[a]\nfn f() { // x\n    /// inner\n    fn g() {}\n}",
            &["1:One.", "3:# Two"],
            &["0:why", "5:x", "6:inner"],
        );
        check_words("rust", "/**\n * One.\n */\nfn f() { /* x\n y */ }", &["1:One."], &["3:x", "4:y"]);
        check_words("rust", "//! In.\nuse a;\n//// no", &["0:In."], &["2:no"]);
    }

    #[test]
    fn docstrings_are_documentation() {
        check_words(
            "python",
            "# a\ndef f(x):\n    # b\n    r\"\"\"One.\n\n    Two.\n    \"\"\"\n    'no'",
            &["3:One.", "5:Two."],
            &["0:a", "2:b"],
        );
        check_words("python", "\"\"\"Module.\"\"\"\nimport a\n", &["0:Module."], &[]);
        check_words("python", "class A:\n    'One.'\n    x = 1", &["1:One."], &[]);
    }

    #[test]
    fn documentation_comes_off() {
        let check = |language_name: &str, text: &str, lines: &[&str], code: &str| {
            let found = documented(language(language_name).expect("because the table has it"), text);
            let shown: Vec<_> = found.lines.iter().map(|line| line.text.as_str()).collect();
            assert_eq!((shown, found.code.as_str()), (lines.to_vec(), code), "{text}");
        };
        check(
            "rust",
            "// why\n/// One.\n///\n/// Two.\n#[a]\nfn f() {} // x\n",
            &["One.", "Two."],
            "// why\n#[a]\nfn f() {} // x\n",
        );
        check("rust", "/** One. */ fn f() {}", &["One."], " fn f() {}");
        check("rust", "fn f() {}", &[], "fn f() {}");
        check(
            "python",
            "def f():\n    \"\"\"One.\n\n    Two.\"\"\"\n    g()\n",
            &["One.", "Two."],
            "def f():\n    g()\n",
        );
        check("python", "def f(): 'One.'\n", &["One."], "def f(): \n");
        check(
            "go",
            "// F does.\n// More.\nfunc F() {\n\t// in\n}\n",
            &["F does.", "More."],
            "func F() {\n\t// in\n}\n",
        );
        check("java", "/**\n * One.\n */\nclass A {}\n", &["One."], "class A {}\n");
        check("markdown", "# A\n", &[], "# A\n");
    }

    #[track_caller]
    fn check_identifiers(language_name: &str, text: &str, expected: &[&str]) {
        let mut found: Vec<_> = of(language_name, text).identifiers.into_iter().collect();
        found.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn identifiers_are_those_in_code() {
        check_identifiers(
            "rust",
            "/// doc\nfn f(a: T) -> m::U { a.b + S { c }.d // e\n}",
            &["S", "T", "U", "a", "b", "c", "d", "f", "m"],
        );
        check_identifiers(
            "rust",
            "fn f() { p!(\"{a} {{b}} {c:?} {0} d\", e); g(\"{h}\") }",
            &["a", "c", "e", "f", "g", "p"],
        );
        check_identifiers("python", "def f(a):\n  'b'\n  return f'{c} d'", &["a", "c", "f"]);
    }

    #[test]
    fn what_does_not_parse_gives_what_can_be_seen() {
        check_identifiers("rust", "a.b()) } fn (", &["a", "b"]);
        assert_eq!(of("rust", ""), Anatomy::default());
        assert_eq!(of("markdown", "# `fn a()`"), Anatomy::default());
    }
}
