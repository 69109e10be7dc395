//! Properties that hold for every input, however broken, in every language.

use proptest::prelude::*;

use super::languages::{Rules, all};
use super::split::MAX_NODE_BYTES;
use super::*;

/// Fragments that make, mixed, something like source code.
const FRAGMENTS: &[&str] = &[
    "fn f() {",
    "}",
    "impl<T> A<T> for B {",
    "mod m {",
    "#[test]",
    "/// doc",
    "// c",
    "/* b",
    "*/",
    "let x = \"",
    "\"",
    "x!(",
    ")",
    "struct S;",
    "trait T { fn g(); }",
    "macro_rules! m { () => {} }",
    "r#\"",
    "'a",
    "class A:",
    "def f(a):",
    "@d",
    "    ",
    "\t",
    "\"\"\"",
    "pass",
    "if x:",
    "# Title",
    "====",
    "----",
    "```",
    "~~~",
    "[a.b]",
    "key: 1",
    ".SH X",
    ".PP",
    "- item",
    "a:",
    "f() {",
    "\n",
    "\n",
    "\n\n",
    "\r\n",
    "\u{2028}",
    "é",
    "🦀",
    "\u{0}",
    "\u{feff}",
    " ",
    "; ",
    "use a::b;",
    "const _: () = {",
    "lambda:",
    "export default ",
    "const f = () => {",
    "function f(a, b) {",
    "describe('x', () => {",
    "`${",
    "class A { m() {",
    "interface I<T> {",
    "namespace a {",
    "@Override",
    "func (a *T) f() {",
    "type A struct {",
    "int f(int a) {",
    "typedef struct {",
    "#if X\n",
    "#endif\n",
    "#define M(a) \\\n",
    "template <class T>",
    "A::operator<(",
    "R\"x(",
    "public:",
    "</a>",
    "<a b={",
    "/x/",
    "def self.f",
    "end\n",
    "<<~A\n",
    "<<-'B C'\n",
    "A\n",
    "%w[a",
    "\"#{",
    "private def g",
    "it 'x' do",
    "<?php ",
    "<<<X\n",
    "X;\n",
    "public function f() {",
    "[Fact]",
    "$@\"a{",
    "$$\"\"\"",
    "record A(int b);",
    "#region x\n",
    "case x in",
    "cat <<EOF\n",
    "EOF\n",
    "${a[",
    "fun f() =",
    "companion object {",
    "local function f()",
    "--[[",
    "]]",
    "const A = struct {",
    "\\\\ line",
    "def f =\n",
    "object A:\n  ",
    "end A\n",
    "extension A {",
    "init() {",
    "#\"a\\#(",
    "s\"\"\"$",
];

fn source() -> impl Strategy<Value = String> {
    let fragments =
        proptest::collection::vec(proptest::sample::select(FRAGMENTS), 0..60).prop_map(|parts| parts.concat());
    prop_oneof![4 => fragments, 1 => any::<String>()]
}

/// Whether a line says anything: what closes is the one thing that runs may leave out.
fn says_something(language: &Language, source: &str, line: &str) -> bool {
    let closers: &[&str] = match language.rules {
        // A file of C that is C++ is read as such.
        Rules::Grammar(grammar) => grammar.for_source(source).closers,
        Rules::Blocks(_) => &[],
    };
    !line.chars().all(|letter| letter.is_whitespace() || "})];".contains(letter)) && !closers.contains(&line.trim())
}

fn check_file(language: &'static Language, source: &str) {
    let found = nodes(language, source);
    let lines: Vec<_> = source.split('\n').collect();
    let mut covered = vec![false; lines.len()];
    for node in &found {
        assert!(1 <= node.start_line && node.start_line <= node.end_line, "{node:?}");
        let range = node.start_line as usize - 1..node.end_line as usize;
        assert!(
            range.end <= lines.len() && node.text.len() <= MAX_NODE_BYTES && !node.text.trim().is_empty(),
            "{node:?}"
        );
        check_text(node, &lines[range.clone()]);
        covered[range].fill(true);
    }
    for (line, covered) in lines.iter().zip(covered) {
        assert!(
            covered || !says_something(language, source, line),
            "{}: {line:?} is in no node of {source:?}",
            language.name
        );
    }
    assert!(found.windows(2).all(|pair| pair[0].start_line <= pair[1].start_line));
}

/// Every line of a text is a line of the file, or a part of one, in the file's order; and all lines are there unless the
/// node is a container.
fn check_text(node: &Node, lines: &[&str]) {
    let mut at = 0;
    for line in node.text.split('\n').filter(|line| !line.trim().is_empty()) {
        let ahead = lines[at..].iter().position(|other| other.contains(line));
        at += ahead.unwrap_or_else(|| panic!("{line:?} of {node:?} is not in {lines:?}"));
    }
    let may_be_container =
        matches!(node.kind, Kind::Impl | Kind::Trait | Kind::Class | Kind::Struct | Kind::Union | Kind::Enum);
    if !may_be_container {
        assert_eq!(node.text.split('\n').count(), lines.len(), "{node:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, ..ProptestConfig::default() })]

    #[test]
    fn no_line_is_lost_and_nothing_panics(source in prop_oneof![99 => source(), 1 => Just("public:".to_owned())]) {
        for language in all() {
            check_file(language, &source);
            anatomy(language, &source);
        }
    }

    #[test]
    fn any_bytes_and_any_path_are_classified(path in any::<String>(), bytes in any::<Vec<u8>>()) {
        let _ = classify_path(&path);
        for language in all() {
            let _ = classify_content(&path, language, &bytes);
            check_file(language, &String::from_utf8_lossy(&bytes));
        }
    }
}

/// What opens a level, what closes it, how many levels to build, and in which languages. Others take tree-sitter's error
/// recovery too long.
const NESTS: &[(&str, &str, usize, &[&str])] = &[
    ("{", "}", 200_000, &["rust", "javascript", "java", "c"]),
    ("(", ")", 200_000, &["python"]),
    ("[", "", 50_000, &["rust", "python"]),
    ("mod m {\n", "}\n", 10_000, &["rust"]),
    ("fn f() { ", "}", 5_000, &["rust"]),
    ("impl A { fn f() { ", "}}", 2_000, &["rust"]),
    ("if x {", "}", 10_000, &["rust", "css"]),
    ("a::<", ">", 10_000, &["rust"]),
    ("/*", "*/", 10_000, &["rust"]),
    ("if x:\n", "", 5_000, &["python", "yaml"]),
    ("f(lambda:", ")", 5_000, &["python"]),
    ("> ", "", 50_000, &["markdown"]),
    ("- ", "\n", 50_000, &["markdown", "yaml"]),
    ("class A { m() { ", "}}", 2_000, &["javascript", "typescript", "tsx"]),
    ("describe('x', () => {", "})", 2_000, &["javascript", "typescript"]),
    ("const f = () => {", "}", 5_000, &["javascript", "typescript"]),
    ("export ", "", 5_000, &["javascript"]),
    ("namespace a { ", "}", 5_000, &["typescript", "cpp"]),
    ("template <class T> ", "", 5_000, &["cpp"]),
    ("struct A { ", "};", 5_000, &["c", "cpp"]),
    ("#if X\n", "#endif\n", 5_000, &["c", "cpp"]),
    ("int f() { ", "}", 5_000, &["c", "cpp"]),
    ("typedef int (*", ")", 5_000, &["c", "cpp"]),
    ("A::", "", 10_000, &["cpp"]),
    ("class A { ", "}", 5_000, &["java"]),
    ("func(", ")", 5_000, &["go"]),
    ("class A { ", "}", 5_000, &["csharp", "php", "kotlin"]),
    ("class A\n", "end\n", 5_000, &["ruby"]),
    ("describe 'x' do\n", "end\n", 2_000, &["ruby"]),
    ("\"#{", "}\"", 1_000, &["ruby"]),
    ("class A { ", "}", 5_000, &["scala", "swift"]),
    ("object A:\n  ", "", 2_000, &["scala"]),
    ("f() { ", "}", 5_000, &["bash"]),
    ("if a; then ", "fi;", 2_000, &["bash"]),
    ("$(", ")", 2_000, &["bash"]),
    ("function f() ", "end ", 5_000, &["lua"]),
    ("const A = struct { ", "};", 5_000, &["zig"]),
    ("fun f() { ", "}", 2_000, &["kotlin"]),
];

#[test]
fn depth_does_not_overflow_the_stack() {
    for (opener, closer, levels, names) in NESTS {
        let source = opener.repeat(*levels) + &closer.repeat(*levels);
        for name in *names {
            let language = language(name).expect("because the table has it");
            check_file(language, &source);
            anatomy(language, &source);
        }
    }
}

#[test]
fn python_is_not_parsed_where_its_scanner_would_overrun() {
    let source: String = (0..600).map(|depth| format!("{}if x:\n", " ".repeat(depth))).collect();
    let python = language("python").expect("because the table has it");
    check_file(python, &source);
    assert!(nodes(python, &source).iter().all(|node| node.kind == Kind::Run));
}

#[test]
fn heredocs_do_not_overrun_the_scanner_of_ruby() {
    let ruby = language("ruby").expect("because the table has it");
    let after = "\ndef f\nend\n";
    for source in [
        format!("x = <<{}", "A".repeat(300)),
        format!("x = <<'{}'", "a ".repeat(300)),
        format!("x = [<<RUBY, {}", "\"#{".repeat(230)),
        format!("x = [{}", "<<~ABC, ".repeat(300)),
        format!("x = [{}\nABC", "<<~ABC, ".repeat(300)),
    ] {
        check_file(ruby, &(source + after));
    }
}
