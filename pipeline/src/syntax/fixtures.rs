//! Fixtures: what each language with a grammar gives, on one source that shows the shapes of its items.
//!
//! Rust and Python have their tests beside the code that they drive, in `nodes.rs`. Here, each node is written as its
//! kind, its symbol and its lines; the first line of a source is 1.

mod managed;
mod scripts;
mod systems;
mod web;

use super::{Node, anatomy, language, nodes, prose};

/// Checks nodes, written as `kind symbol first-last`.
#[track_caller]
fn check(language_name: &str, source: &str, expected: &[&str]) {
    let source = source.strip_prefix('\n').expect("because the fixtures begin on a line of their own");
    let shown = |node: &Node| format!("{} {} {}-{}", node.kind.as_str(), node.symbol, node.start_line, node.end_line);
    let language = language(language_name).expect("because the fixtures name languages of the table");
    let found: Vec<_> = nodes(language, source).iter().map(shown).collect();
    assert_eq!(found, expected, "{source}");
}

#[test]
fn java_has_parameters() {
    let java = language("java").expect("because the table has it");
    let parameters = |text: &str| anatomy(java, text).parameters;
    let source = "/** @param a x */\n@X(b)\n<T> void f(@Named(\"c\") final List<D> a, int[] e, String... rest) {}";
    assert_eq!(parameters(source), ["a", "e", "rest"]);
    assert_eq!(parameters("int f(Outer this, int a) { Runnable r = b -> {}; }"), ["a"]);
    // A constructor does not parse without its class.
    assert_eq!(parameters("Box(int a) {}"), [""; 0]);
    let found = anatomy(java, "/**\n * Does.\n * @param a x\n */\nvoid f(int b) { return b; }");
    let doc: Vec<_> = found.doc.iter().map(|line| (line.line, line.text.as_str())).collect();
    assert_eq!(doc, [(1, "Does."), (2, "@param a x")]);
}

#[test]
fn of_other_languages_nothing_is_said_about_parameters() {
    for (name, text) in [
        ("javascript", "function f(a) {}"),
        ("typescript", "function f(a: B) {}"),
        ("go", "func f(a int) {}"),
        ("c", "int f(int a) { return 1; }"),
        ("csharp", "int F(int a) { return 1; }"),
        ("ruby", "def f(a)\nend"),
        ("php", "<?php function f($a) {}"),
        ("kotlin", "fun f(a: Int) {}"),
    ] {
        let language = language(name).expect("because the table has it");
        assert_eq!(anatomy(language, text).parameters, [""; 0], "{name}");
    }
}
