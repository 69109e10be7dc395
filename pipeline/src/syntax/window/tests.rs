//! Whatever a version was cut from, its nodes are those of a parse of all of it.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::syntax::{Cut, Language, Node, Outline, Reading, cut, language, nodes};

/// Sources with items of every shape, for edits to be made to.
const SOURCES: &[(&str, &str)] = &[
    (
        "rust",
        "//! m\nuse a;\nuse b::{c, d};\n\n/// one\n#[test]\nfn one() {\n    a();\n    /* b */\n}\n\n// note\n\npub struct Two<T>(T);\n\nimpl<T> Two<T> {\n    const N: u8 = 1;\n\n    /// f\n    fn f(&self) -> u8 {\n        fn inner() {}\n        if x { y() } else { z(\"}\") }\n    }\n\n    fn g() {}\n    // tail\n    fn h() { let x = r#\"\n\"#; }\n\n    fn i() {}\n}\n\nmod tests {\n    use super::*;\n\n    #[test]\n    fn t() {}\n\n    fn u() {\n        v();\n    }\n\n    fn w() {}\n    fn x() {}\n}\n\ncfg_rt! {\n    /// in a macro\n    pub fn k() {}\n\n    impl K {\n        fn l() {}\n    }\n    fn m() {}\n}\n\nextern \"C\" {\n    fn n();\n    fn o();\n}\n\nenum P { Q, R }\ntrait S { type T; fn s(); }\nfn last() {}\nfn very_last() { 'x' }\n",
    ),
    (
        "python",
        "\"\"\"m\"\"\"\nimport a\nfrom b import (\n    c,\n)\n\nX = 1\n\n@d\ndef one(a, b=1):\n    \"\"\"s\"\"\"\n    return a\n\n\nclass TestTwo(B):\n    \"\"\"s\"\"\"\n\n    x = 1\n\n    def test_f(self):\n        def inner():\n            pass\n        return inner\n\n    @property\n    def g(self): pass\n\n    def h(self):\n        return '''\n'''\n\n    async def i(self):\n        pass\n\n\nif x:\n    def j():\n        pass\n\n    def k():\n        pass\n\n    def l():\n        pass\nelse:\n    def j():\n        pass\n\n# c\ndef last(): pass\ndef very_last():\n    pass\n",
    ),
];

/// What edits bring in: ordinary lines, and what can reach far.
const LINES: &[&str] = &[
    "",
    "    a();",
    "a = 1",
    "}",
    "{",
    "    }",
    "/*",
    "*/",
    "\"",
    "\"\"\"",
    "'''",
    "r#\"",
    "(",
    ")",
    "fn new() {}",
    "fn open() {",
    "    fn method() {}",
    "impl X for Y {",
    "mod z {",
    "struct;",
    "#[test]",
    "/// doc",
    "// c",
    "# c",
    "@d",
    "def new(): pass",
    "    def method(self): pass",
    "        def deep(self): pass",
    "class C:",
    "if y:",
    "else:",
    "cfg_x! {",
    "    \\",
    "é\r",
    "end",
    "def x",
    "  class D",
    "<<~E",
    "E",
    "`",
    "#if X",
    "#endif",
    "namespace z {",
    "<?php",
    "?>",
    "  x: 1",
    "=> 1",
    "--[[",
    "API_BEGIN",
    "API_CALL(x)",
    "API_ONLY:",
    "API_X A(int a) : g(a) {}",
    "class API_X Y {",
    "static int v;",
    "T v;",
];

#[derive(Clone, Debug)]
enum Edit {
    Insert(Index, &'static str),
    Remove(Index),
    Replace(Index, &'static str),
    Repeat(Index, usize, Index),
    RemoveMany(Index, usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    prop_oneof![
        4 => (at(), select(LINES)).prop_map(|(at, line)| Edit::Insert(at, line)),
        2 => at().prop_map(Edit::Remove),
        3 => (at(), select(LINES)).prop_map(|(at, line)| Edit::Replace(at, line)),
        2 => (at(), 1..9_usize, at()).prop_map(|(from, count, to)| Edit::Repeat(from, count, to)),
        2 => (at(), 1..9_usize).prop_map(|(at, count)| Edit::RemoveMany(at, count)),
    ]
}

fn apply(source: &str, edits: &[Edit]) -> String {
    let mut lines: Vec<&str> = source.split('\n').collect();
    for edit in edits {
        if lines.is_empty() {
            lines.push("");
        }
        let count = lines.len();
        match edit {
            Edit::Insert(at, line) => lines.insert(at.index(count), line),
            Edit::Replace(at, line) => lines[at.index(count)] = line,
            Edit::Remove(at) => drop(lines.remove(at.index(count))),
            Edit::RemoveMany(at, many) => drop(lines.drain(at.index(count)..(at.index(count) + many).min(count))),
            Edit::Repeat(from, many, to) => {
                let copied = lines[from.index(count)..(from.index(count) + many).min(count)].to_vec();
                let to = to.index(count);
                lines.splice(to..to, copied);
            }
        }
    }
    lines.join("\n")
}

/// The version after one whose nodes are known, all spelled out.
fn next(
    language: &'static Language,
    source: &str,
    before: Option<(&Outline, &[Node])>,
) -> (Vec<Node>, Option<Outline>, Reading) {
    let version = cut(language, source.to_owned(), before.map(|(outline, _)| outline));
    let spelled = |cut| match cut {
        Cut::New(node) => node,
        Cut::Same { index, start_line, end_line } => {
            let old = before.expect("because there is a version before").1[index].clone();
            Node { start_line, end_line, ..old }
        }
    };
    (version.cuts.into_iter().map(spelled).collect(), version.outline, version.reading)
}

/// Cuts each version from the one before it, and compares with cutting it alone. Returns how each was read.
#[track_caller]
fn check(name: &str, versions: &[String]) -> Vec<Reading> {
    let language = language(name).expect("because the tests name languages of the table");
    let mut readings = Vec::new();
    let mut before: Option<(Outline, Vec<Node>)> = None;
    for source in versions {
        let known = before.as_ref().map(|(outline, nodes)| (outline, nodes.as_slice()));
        let (found, outline, reading) = next(language, source, known);
        assert_eq!(found, nodes(language, source), "{source}\n--- after ---\n{versions:?}");
        readings.push(reading);
        before = outline.map(|outline| (outline, found));
    }
    readings
}

proptest! {
    #[test]
    fn a_chain_of_edits_gives_what_whole_parses_give(
        chain in proptest::collection::vec(proptest::collection::vec(edit(), 1..4), 1..6)
    ) {
        for (name, source) in SOURCES {
            let mut versions = vec![(*source).to_owned()];
            for edits in &chain {
                versions.push(apply(&versions[versions.len() - 1], edits));
            }
            check(name, &versions);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, ..ProptestConfig::default() })]

    /// The same of every grammar.
    #[test]
    fn edits_of_any_language_give_what_whole_parses_give(
        chain in proptest::collection::vec(proptest::collection::vec(edit(), 1..4), 1..6)
    ) {
        for (name, source) in crate::syntax::tests::SAMPLES {
            let mut versions = vec![source.repeat(2)];
            for edits in &chain {
                versions.push(apply(&versions[versions.len() - 1], edits));
            }
            check(name, &versions);
        }
    }
}

#[track_caller]
fn check_edit(name: &str, from: &str, to: &str, expected: Reading) {
    let source = SOURCES.iter().find(|(other, _)| *other == name).expect("because there is one a language").1;
    assert!(source.contains(from), "{from}");
    let readings = check(name, &[source.to_owned(), source.replacen(from, to, 1)]);
    assert_eq!(readings[1], expected, "{from:?} to {to:?}");
}

#[test]
fn ordinary_edits_are_read_in_windows() {
    for (name, from, to) in [
        ("rust", "    v();\n", "    v(1);\n    w();\n"),
        ("rust", "use a;\n", "use a;\nuse e;\n"),
        ("rust", "    fn g() {}\n", "    fn g() {}\n\n    fn g2() {}\n"),
        ("rust", "    fn g() {}\n", ""),
        ("rust", "fn one()", "fn uno()"),
        ("rust", "fn very_last() { 'x' }", "fn very_last() { 'y' }\nfn the_end() {}"),
        ("rust", "pub fn k() {}", "pub fn k(x: u8) {}"),
        ("python", "return inner", "return 1"),
        ("python", "def very_last():\n    pass", "def very_last():\n    return 1"),
        ("python", "X = 1\n", "X = 1\nY = 2\n"),
        ("python", "    def g(self): pass\n", "    def g(self): return 1\n"),
    ] {
        check_edit(name, from, to, Reading::Windows);
    }
}

#[test]
fn what_reaches_past_its_item_is_read_whole() {
    for (name, from, to) in [
        ("rust", "/* b */", "/* b"),
        ("rust", "    a();\n", "    a(\"\n"),
        ("rust", "    a();\n", "    a();\n}\n}\n"),
        ("rust", "fn u() {\n", "fn u() {{\n"),
        ("python", "\"\"\"s\"\"\"", "\"\"\"s"),
    ] {
        check_edit(name, from, to, Reading::Doubtful);
    }
}

#[test]
fn what_stands_in_a_column_of_its_own_is_no_ground_to_start_from() {
    let uneven =
        "class C:\n    x = 1\n\n    def f(self): pass\n\n        return '''\n'''\n\n    def g(self):\n        pass\n";
    let readings = check("python", &[uneven.to_owned(), uneven.replace("'''\n\n", "'''\n")]);
    assert_eq!(readings[1], Reading::Doubtful);
}

#[test]
fn most_nodes_of_a_long_file_come_over() {
    let rust = language("rust").expect("because the table has it");
    let function = |at: usize| format!("/// Does {at}.\npub fn f{at}() {{\n    g({at});\n}}\n\n");
    let source: String = (0..100).map(function).collect();
    let outline = cut(rust, source.clone(), None).outline.expect("because it parses");
    let version = cut(rust, source.replace("g(50)", "h(50)"), Some(&outline));
    let new: Vec<_> = version.cuts.iter().filter(|cut| matches!(cut, Cut::New(_))).collect();
    assert_eq!((version.reading, version.cuts.len(), new.len()), (Reading::Windows, 100, 1), "{new:?}");
}

#[test]
fn parts_of_a_long_function_do_not_come_over_with_what_is_nested_in_it() {
    let statements =
        |from: usize| -> String { (from..from + 400).map(|at| format!("    g({at}, \"{at}\");\n")).collect() };
    let nested =
        |at: usize| format!("    fn n{at}() {{\n{}    }}\n", statements(1_000 * at).replace("    g", "        g"));
    let source = format!("fn f() {{\n    a();\n{}{}{}{}    b();\n}}\n", nested(1), nested(2), nested(3), nested(4));
    let readings = check("rust", &[source.clone(), source.replace("a();", "c();"), source.replace("b();", "d();")]);
    assert_eq!(readings[1..], [Reading::Windows, Reading::Windows]);
}

/// In Ruby a comment before the first item of a body lies outside of the body's node.
#[test]
fn a_comment_put_before_the_first_item_of_a_body_is_that_items() {
    let before = "  module Helpers\n    class Session < Test\n      def env\n      end\n    end\n    extend Forwardable\n      \
                  Session.new session(name)\n  end\n";
    let after = before
        .replace("    class", "    # A variant of session.\n    class")
        .replace("      Session.new", "    #\n      Session.new");
    check("ruby", &[before.to_owned(), after]);
}

/// Without its body this is no function, so it does not come back. What it is in then has to be read with all that is in it.
#[test]
fn what_does_not_come_back_without_its_middle_is_read_whole() {
    let source = crate::syntax::tests::SAMPLES.iter().find(|(name, _)| *name == "cpp").expect("because it has one").1;
    let [first, second] = [source.replace(" public:", "namespace z {"), source.replace(" public:", " public:\n    }")];
    let before = first + &second;
    let at = before.rfind("/// c\n").expect("because the sample has one");
    check("cpp", &[before.clone(), before[..at].to_owned() + &before[at + 6..]]);
}

#[test]
fn blocks_of_a_text_come_over_where_their_lines_and_names_do() {
    let markdown = language("markdown").expect("because the table has it");
    let section = |at: usize| format!("# Part {at}\n\nText {at}.\n\nMore {at}.\n\n## Below\n\nEnd.\n\n");
    let source: String = (0..40).map(section).collect();
    let outline = cut(markdown, source.clone(), None).outline.expect("because texts are always kept");
    let new = |to: &str| {
        check("markdown", &[source.clone(), source.replace("# Part 20\n", to)]);
        let version = cut(markdown, source.replace("# Part 20\n", to), Some(&outline));
        version.cuts.iter().filter(|cut| matches!(cut, Cut::New(_))).count()
    };
    assert_eq!(new("# Part 20\n"), 0);
    assert_eq!(new("A line more.\n\n# Part 20\n"), 1);
    // What stands below a heading is called after it.
    assert_eq!(new("# Part 20 and more\n"), 3);
    assert_eq!(new("```\n# Part 20\n"), 1);
}

#[test]
fn a_block_in_several_parts_is_cut_anew() {
    let line = "word ".repeat(8_000);
    let long = "a line of a long block\n".repeat(2_000);
    let source = format!("# A\n\n{line}\n\n# B\n\n{long}\n# C\n\nx\n");
    let readings = check("markdown", &[source.clone(), source.replace("# C", "# D"), source.replace("# A", "# E")]);
    assert_eq!(readings, [Reading::Whole; 3]);
}
