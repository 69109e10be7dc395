//! Syntax: one version of a file, cut into the nodes that are worth a row of their own.
//!
//! The flow: [`classify_path`] decides by name alone whether a file is read at all and in which [`Language`];
//! [`classify_content`] decides again once the bytes are there; [`nodes()`] cuts the text. A language with a grammar is cut
//! at its items (`rules.rs`, `items.rs`, `extent.rs`, `nodes.rs`), a text format at its headings and blank lines
//! (`blocks.rs`); whatever is too long is cut once more (`split.rs`). What a grammar's scanner cannot take is kept from it
//! (`guard.rs`). [`anatomy()`] looks inside one node, [`similarity()`] compares two.
//!
//! This room reads text and returns text. It knows nothing of Git, of commits or of files on disk, and it never fails: a
//! file that does not parse gives fewer and larger nodes, never lost lines.

mod anatomy;
mod blocks;
mod classify;
mod extent;
mod file_names;
#[cfg(test)]
mod fixtures;
mod guard;
mod headings;
mod items;
mod languages;
mod macros;
mod nodes;
mod parse;
#[cfg(test)]
mod properties;
mod prose;
mod rules;
mod similarity;
mod split;
mod stretches;
mod window;

pub use anatomy::{Anatomy, DocLine, Documented, anatomy, documented};
pub use classify::{MAX_FILE_BYTES, Skip, classify_content, classify_name, classify_path};
pub use languages::{Language, language};
pub use prose::{Member, MemberKind, comments, members};
pub use similarity::{Bag, containment, shared, similarity};
pub use split::MAX_NODE_BYTES;

/// The fingerprint of everything in this room that decides what a node is.
///
/// It changes whenever any node of any file could change: an edit of the language table, of an extent, of a symbol, of
/// the cuts. A store that was written under another fingerprint is rebuilt.
pub const CHUNKER: &str = "chunker-2";

/// A piece of one version of one file: a function, a type, a run of top-level statements, a block of prose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Its own name; empty where it has none.
    pub name: String,
    /// Its qualified name inside the file, `Parser::next`. Two nodes of one file may share it.
    pub symbol: String,
    /// What encloses it: `x::Foo for Vec`, or the headings above it joined by ` > `; empty at the top.
    pub container: String,
    /// First line, from 1.
    pub start_line: u32,
    /// Last line, inclusive.
    pub end_line: u32,
    /// Its text: whole lines joined by `\n`, without the indentation of its first line, so that a function keeps its
    /// text when it moves into a module. Line endings are `\n` whatever the file uses. A container (impl, trait, class)
    /// is what is left of its lines once those of the nodes inside it are cut out.
    pub text: String,
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A function, a method, or the signature of one.
    Function,
    /// A struct.
    Struct,
    /// An enum.
    Enum,
    /// A union.
    Union,
    /// A trait, without its items.
    Trait,
    /// An impl header: the block without its items.
    Impl,
    /// A type alias or an associated type.
    TypeAlias,
    /// A macro definition.
    Macro,
    /// A constant or a static.
    Const,
    /// A class, without its methods.
    Class,
    /// A test function.
    Test,
    /// Consecutive statements that belong to no item: imports, top-level calls, stray comments.
    Run,
    /// A block of a text file.
    Section,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 13] = [
        Kind::Function,
        Kind::Struct,
        Kind::Enum,
        Kind::Union,
        Kind::Trait,
        Kind::Impl,
        Kind::TypeAlias,
        Kind::Macro,
        Kind::Const,
        Kind::Class,
        Kind::Test,
        Kind::Run,
        Kind::Section,
    ];

    /// The name that people and stores see, `type-alias`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Function => "function",
            Kind::Struct => "struct",
            Kind::Enum => "enum",
            Kind::Union => "union",
            Kind::Trait => "trait",
            Kind::Impl => "impl",
            Kind::TypeAlias => "type-alias",
            Kind::Macro => "macro",
            Kind::Const => "const",
            Kind::Class => "class",
            Kind::Test => "test",
            Kind::Run => "run",
            Kind::Section => "section",
        }
    }

    /// The kind of this name, if there is one.
    pub fn from_name(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// The nodes of one file, in file order: by first line, the outermost first.
///
/// `source` is the file decoded to UTF-8, with losses where it was not. Every line that holds more than closing brackets
/// lies in the line range of at least one node.
pub fn nodes(language: &'static Language, source: &str) -> Vec<Node> {
    match &language.rules {
        languages::Rules::Grammar(grammar) => nodes::nodes(grammar, source),
        languages::Rules::Blocks(format) => blocks::nodes(format, source),
    }
}

/// How many places of a source its grammar cannot read; `None` for text formats, and where it would take too much work.
pub fn faults(language: &'static Language, source: &str) -> Option<usize> {
    match &language.rules {
        languages::Rules::Grammar(grammar) => parse::faults(grammar, source),
        languages::Rules::Blocks(_) => None,
    }
}

/// A node of a version that is cut from the version before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    /// A node of the version before, unchanged, at these lines.
    Same {
        /// Its place among the nodes of the version before.
        index: usize,
        /// First line now, from 1.
        start_line: u32,
        /// Last line now, inclusive.
        end_line: u32,
    },
    /// A node that was looked at; it may still equal one of the version before.
    New(Node),
}

impl Cut {
    fn lines(&self) -> (u32, u32) {
        match self {
            Cut::Same { start_line, end_line, .. } => (*start_line, *end_line),
            Cut::New(node) => (node.start_line, node.end_line),
        }
    }
}

/// How a version was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Whole, for want of a version before it, or because the language is read line by line.
    Whole,
    /// Around what differs from the version before it.
    Windows,
    /// Whole, since it could not be told for sure what differs.
    Doubtful,
}

/// What is kept of a version to cut the next one from.
#[derive(Clone, Debug)]
pub struct Outline(Kept);

#[derive(Clone, Debug)]
enum Kept {
    Items(window::Outline),
    Blocks(blocks::Outline),
}

impl Outline {
    /// About how many bytes it holds.
    pub fn bytes(&self) -> usize {
        match &self.0 {
            Kept::Items(outline) => outline.bytes(),
            Kept::Blocks(outline) => outline.bytes(),
        }
    }
}

/// One version of a file in nodes.
#[derive(Clone, Debug)]
pub struct Version {
    /// The nodes, in file order.
    pub cuts: Vec<Cut>,
    /// What the next version can be cut from; `None` where parsing took too much work.
    pub outline: Option<Outline>,
    /// How it was read.
    pub reading: Reading,
}

/// The nodes of one version of a file, cut only where it differs from the version before it, if there is one.
///
/// The nodes are those that [`nodes()`] gives: what is [`Cut::Same`] is that node of `before`, and what is
/// [`Cut::New`] is spelled out. The text is kept for the next version.
pub fn cut(language: &'static Language, text: String, before: Option<&Outline>) -> Version {
    let before = before.map(|before| &before.0);
    match &language.rules {
        languages::Rules::Grammar(grammar) => {
            let before = before.and_then(|before| if let Kept::Items(before) = before { Some(before) } else { None });
            let (cuts, outline, reading) = nodes::cut(grammar, text, before);
            Version { cuts, outline: outline.map(|outline| Outline(Kept::Items(outline))), reading }
        }
        languages::Rules::Blocks(format) => {
            let before = before.and_then(|before| if let Kept::Blocks(before) = before { Some(before) } else { None });
            let (cuts, outline) = blocks::cut(format, text, before);
            Version { cuts, outline: Some(Outline(Kept::Blocks(outline))), reading: Reading::Whole }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source of each language and format.
    pub(super) const SAMPLES: &[(&str, &str)] = &[
        (
            "rust",
            "//! m\n\nuse a;\n\n/// s\n#[derive(A)]\nstruct S<T>(T);\n\nimpl<T> A for S<T> {\n    type B = u8;\n\n    // c\n    fn f(&self) {\n        fn g() {}\n    }\n}\n\n#[cfg(test)]\nmod tests {\n    use super::*;\n\n    #[test]\n    fn t() {}\n}\n\ncfg_rt! {\n    // k\n    fn k() {}\n}\n",
        ),
        (
            "python",
            "\"\"\"m\"\"\"\nimport a\n\n# c\n@d\nclass TestC(B):\n    \"\"\"s\"\"\"\n\n    async def testF(self, *a):\n        pass\n\nif x:\n    def g(): pass\n",
        ),
        (
            "javascript",
            "import a;\n\n/** c */\nexport const f = () => {};\n\nclass A extends B {\n  #x = 1;\n\n  @d\n  g() {\n    function h() {}\n  }\n}\n\nmodule.exports = {\n  y: 1,\n  z() {},\n};\n\ndescribe('s', () => {\n  it('t', () => {});\n});\n",
        ),
        (
            "typescript",
            "export interface A<T> { b(): T }\n\nnamespace N {\n  export type C = 1;\n}\n\n@D()\nexport abstract class E {\n  abstract f(): void;\n  g = async () => {};\n}\n\ndeclare function h(a: string): void;\nenum I { J }\n",
        ),
        ("tsx", "export const A: B = ({ c }) => {\n  return <d>{c}</d>;\n};\n"),
        (
            "go",
            "package a\n\n// C does.\nfunc (a *A[T]) C() {}\n\ntype A[T any] struct{}\n\ntype (\n\tB interface{}\n\tD int\n)\n\nconst E = 1\n\nfunc TestF(t *testing.T) {}\n",
        ),
        (
            "c",
            "#include <a.h>\n\n/** c */\nint f(void);\n#define M(a) a\n\n#if X\nstruct S { int a; };\n#endif\ntypedef struct { int b; } T;\nstatic char *g(int a) { return 0; }\n",
        ),
        (
            "cpp",
            "namespace n {\n/// c\ntemplate <class T>\nclass A : B {\n public:\n  A();\n  int f() const { return 1; }\n  int g;\n};\n\nvoid A<int>::h() {}\nbool operator<(A a, A b);\n}\n\nTEST(A, B) {}\n",
        ),
        (
            "java",
            "package a;\n\n/** c */\n@X\npublic class A<T> {\n    int b = 1;\n\n    A() {}\n\n    @Test\n    void t() {}\n\n    enum E { F; int g() { return 1; } }\n}\n\ninterface I { void h(); }\nrecord R(int a) {}\n",
        ),
        (
            "csharp",
            "using A;\n\nnamespace B.C {\n    /// c\n    [X]\n    class D<T> : E {\n        int f = 1;\n\n        D() {}\n\n        [Fact]\n        void G() { int h() => 1; }\n    }\n\n    interface I { void J(); }\n    record K(int L);\n}\n",
        ),
        (
            "ruby",
            "# m\n\nmodule A\n  B = 1\n\n  # c\n  class C < D\n    private def e\n      <<~F\n        def g; end\n      F\n    end\n\n    class << self\n      def h; end\n    end\n  end\nend\n\ndescribe C do\n  it 'i' do\n  end\nend\n",
        ),
        (
            "php",
            "<?php\nnamespace A;\n\n/** c */\n#[X]\nclass B extends C {\n    private $d = 1;\n\n    public function e(): int { return 1; }\n}\n\ninterface F {}\ntrait G { function h() {} }\n\nif (1) {\n    function i() {}\n}\n",
        ),
        (
            "bash",
            "#!/bin/sh\nset -e\n\n# c\nf() {\n  a\n\n  b\n}\n\nif x; then\n  g() { :; }\nfi\n\ncat <<E\nh() {}\nE\n",
        ),
        (
            "kotlin",
            "package a\n\n/** c */\n@X\ndata class A<T>(val b: Int) : C() {\n    val d = 1\n\n    @Test\n    fun e() {}\n\n    companion object {\n        fun f() = 1\n    }\n}\n\ninterface G {\n    fun h()\n}\n",
        ),
        (
            "scala",
            "package a\n\n/** c */\n@x case class A[T](b: Int) extends C {\n  val d = 1\n\n  def e: Int = {\n    def f = 1\n    f\n  }\n}\n\nobject G:\n  def h = 1\n\ntrait I { def j: Int }\ntype K = Int\n",
        ),
        (
            "swift",
            "import A\n\n/// c\n@x public struct B<T>: C {\n    let d = 1\n\n    init() {}\n\n    func e(f: Int) -> Int { 1 }\n}\n\nextension B: G {}\nprotocol H {\n    func i()\n}\nenum J { case k }\n",
        ),
        (
            "lua",
            "local M = {}\n\n-- c\nfunction M.f(a)\n  local function g() end\nend\n\nlocal t = {\n  h = function() end,\n}\n\nreturn M\n",
        ),
        (
            "zig",
            "const a = @import(\"a\");\n\n/// c\npub const B = struct {\n    d: u8,\n\n    fn e() void {}\n\n    test \"f\" {}\n};\n\nconst G = enum { h };\n",
        ),
        ("markdown", "a\n\n# T\n\n- b\n\n  c\n\nS\n---\n```\n\nx\n```\n\nd\n"),
        ("restructuredtext", "==\nT\n==\n\nS\n--\n\nx::\n\n  y\n\nz\n"),
        ("asciidoc", "= T\n\n== S\n----\n\nx\n----\n\ny\n"),
        ("roff", ".TH A 1\n.SH N\nx\n.PP\ny\n"),
        ("toml", "a = 1\n\n# c\n[t]\nb = 2\n\nc = 3\n"),
        ("yaml", "on: push\njobs:\n  a: 1\n\n  b: 2\n"),
        ("shell", "#!/bin/zsh\nset -e\n\n# c\nf() {\n  a\n\n  b\n}\n"),
        ("make", "A = 1\n\nall: b\n\tc\n\n.PHONY: all\n"),
        ("text", "a\n\n  b\n\nc\n"),
    ];

    #[test]
    fn the_fingerprint_changes_with_the_nodes() {
        let found =
            SAMPLES.iter().map(|(name, source)| nodes(language(name).expect("because the table has it"), source));
        let digest = similarity::fnv1a(format!("{:?}", found.collect::<Vec<_>>()).as_bytes());
        assert_eq!(
            (CHUNKER, digest),
            ("chunker-2", 479780160),
            "nodes have changed: give CHUNKER a new number, then set both here"
        );
    }

    #[test]
    fn kinds_are_found_by_their_names() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.as_str()), Some(kind));
        }
        assert_eq!(Kind::from_name("Function"), None);
    }
}
