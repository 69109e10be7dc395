//! Blocks: the pieces of a text file, cut at headings, tables, keys and blank lines, and never at line counts.
//!
//! An edit of one paragraph is then an edit of one block, and an insertion moves the others without changing them. What a
//! heading looks like in which format stands in `headings.rs`.

use super::extent::{Lines, NumberedLine, dedent};
use super::headings::{Heading, Titles, breaks, is_blank};
use super::languages::{Format, Style};
use super::split::emit;
use super::stretches::{Stretch, unchanged};
use super::{Cut, Kind, Node};

/// What joins the names of nested headings.
const PATH_SEPARATOR: &str = " > ";

/// The blocks of a text, in file order.
pub(super) fn nodes(format: &Format, source: &str) -> Vec<Node> {
    let (cuts, _) = blocks(format, &Lines::of(source), None);
    let node = |cut| match cut {
        Cut::New(node) => node,
        Cut::Same { .. } => unreachable!("because nothing is carried over from nothing"),
    };
    cuts.into_iter().map(node).collect()
}

/// What is kept of a version of a text to cut the next one from.
#[derive(Clone, Debug)]
pub(super) struct Outline {
    source: Box<str>,
    starts: Box<[usize]>,
    blocks: Vec<Block>,
}

/// A block that is one node.
#[derive(Clone, Debug)]
struct Block {
    /// The node, without its text.
    node: Node,
    /// Its place among the nodes.
    index: usize,
}

impl Outline {
    /// About how many bytes it holds.
    pub(super) fn bytes(&self) -> usize {
        let names = |Node { name, symbol, container, .. }: &Node| name.len() + symbol.len() + container.len();
        let names: usize = self.blocks.iter().map(|block| names(&block.node)).sum();
        self.source.len() + size_of_val(&*self.starts) + size_of_val(&*self.blocks) + names
    }
}

/// The blocks of a text as far as they are not those of the version before it, and what the next version is cut from.
///
/// Where blocks begin is found anew. A block whose lines stand in that version too, and are one there, has its text.
pub(super) fn cut(format: &Format, text: String, before: Option<&Outline>) -> (Vec<Cut>, Outline) {
    let lines = Lines::of(&text);
    let (cuts, blocks) = blocks(format, &lines, before);
    let starts = lines.starts.into();
    (cuts, Outline { source: text.into_boxed_str(), starts, blocks })
}

fn blocks(format: &Format, source: &Lines<'_>, before: Option<&Outline>) -> (Vec<Cut>, Vec<Block>) {
    let past = before.map(|before| {
        let old = Lines::known(&before.source, &before.starts);
        Past { blocks: &before.blocks, stretches: unchanged(&old, source) }
    });
    let lines = source.within(0..source.source.len());
    let mut cutter = Cutter {
        format,
        past,
        lines: &lines,
        headings: Headings::default(),
        start: 0,
        body: 0,
        cuts: Vec::new(),
        blocks: Vec::new(),
    };
    let mut titles = Titles::of(format.style);
    let mut at = front_matter(format, &lines);
    while at < lines.len() {
        at += match titles.heading(&lines, at, cutter.is_fresh(at)) {
            Some(heading) => cutter.enter(heading, at),
            None => cutter.pass(at),
        };
    }
    cutter.cut(lines.len());
    (cutter.cuts, cutter.blocks)
}

/// The version before.
struct Past<'a> {
    blocks: &'a [Block],
    stretches: Vec<Stretch>,
}

impl Past<'_> {
    /// The place of the node with these lines, names and text, among those of the version before. The text is that of the
    /// lines, whatever stands around them.
    fn same(&self, node: &Node) -> Option<usize> {
        let (first, last) = (node.start_line as usize - 1, node.end_line as usize - 1);
        let at = self.stretches.partition_point(|stretch| stretch.new_end() <= first);
        let stretch =
            self.stretches.get(at).filter(|stretch| stretch.new_start <= first && last < stretch.new_end())?;
        let old_line = (first - stretch.new_start + stretch.old.start + 1) as u32;
        let at = self.blocks.binary_search_by_key(&old_line, |block| block.node.start_line).ok()?;
        let Block { node: old, index } = &self.blocks[at];
        let is_same = old.end_line - old.start_line == node.end_line - node.start_line
            && (&old.name, &old.symbol, &old.container) == (&node.name, &node.symbol, &node.container);
        is_same.then_some(*index)
    }
}

struct Cutter<'s> {
    format: &'s Format,
    past: Option<Past<'s>>,
    lines: &'s [NumberedLine<'s>],
    headings: Headings,
    /// The line where the current block starts.
    start: usize,
    /// The line where its text starts, behind its heading.
    body: usize,
    cuts: Vec<Cut>,
    blocks: Vec<Block>,
}

impl Cutter<'_> {
    /// Starts a block with a heading. Returns the lines of the heading.
    fn enter(&mut self, heading: Heading, at: usize) -> usize {
        let comment = |line: &&NumberedLine<'_>| self.format.comments.iter().any(|opener| line.1.starts_with(opener));
        let comments = self.lines[self.start..at].iter().rev().take_while(comment).count();
        let lines = heading.lines;
        self.cut(at - comments);
        self.body = at + lines;
        self.headings.enter(heading);
        lines
    }

    /// Deals with what is no heading: a line, or all lines of a fence. Returns how many.
    fn pass(&mut self, at: usize) -> usize {
        let line = self.lines[at].1;
        if breaks(self.format.style, line) {
            if self.has_text(at) {
                self.cut(at);
            }
            self.body = self.body.max(at + 1);
        } else if !is_blank(line) && self.is_fresh(at) && self.has_text(at) && !self.continues(line) {
            self.cut(at);
        }
        fence(self.format, &self.lines[at..])
    }

    /// Whether a line comes right behind a heading or a blank line.
    fn is_fresh(&self, at: usize) -> bool {
        at == self.body || is_blank(self.lines[at - 1].1)
    }

    /// Whether the block has text already, apart from its heading.
    fn has_text(&self, at: usize) -> bool {
        self.lines.get(self.body..at).is_some_and(|lines| lines.iter().any(|line| !is_blank(line.1)))
    }

    /// Whether a line behind a blank one goes on with the block: a deeper one, as a list item's second paragraph, or one
    /// that only closes brackets.
    fn continues(&self, line: &str) -> bool {
        let indent = |line: &str| line.len() - line.trim_start().len();
        let first = self.lines[self.start..].iter().find(|line| !is_blank(line.1)).map_or("", |line| line.1);
        let deeper = indent(line) > indent(first);
        self.format.indent_continues && (deeper || line.chars().all(|letter| "})];, \t\r".contains(letter)))
    }

    /// Ends the block before this line and starts the next there.
    fn cut(&mut self, end: usize) {
        let lines = &self.lines[self.start..end];
        let has_text = |line: &&NumberedLine<'_>| !is_blank(line.1);
        if let (Some(first), Some(last)) = (lines.iter().find(has_text), lines.iter().rfind(has_text)) {
            self.add(self.headings.node(first.0, last.0), lines);
        }
        self.start = end;
        self.body = end;
        if matches!(self.format.style, Style::Functions | Style::Targets) {
            self.headings.0.clear();
        }
    }

    fn add(&mut self, node: Node, lines: &[NumberedLine<'_>]) {
        let index = self.cuts.len();
        if let Some(same) = self.past.as_ref().and_then(|past| past.same(&node)) {
            self.cuts.push(Cut::Same { index: same, start_line: node.start_line, end_line: node.end_line });
            self.blocks.push(Block { node, index });
            return;
        }
        let mut parts = Vec::new();
        emit(node.clone(), &dedent(lines), &mut parts);
        if parts.len() == 1 {
            self.blocks.push(Block { node, index });
        }
        self.cuts.extend(parts.into_iter().map(Cut::New));
    }
}

/// The headings that are open, each with its level.
#[derive(Default)]
struct Headings(Vec<(usize, String)>);

impl Headings {
    fn enter(&mut self, heading: Heading) {
        while self.0.last().is_some_and(|(level, _)| *level >= heading.level) {
            self.0.pop();
        }
        self.0.push((heading.level, heading.name));
    }

    fn node(&self, start_line: u32, end_line: u32) -> Node {
        let path = |headings: &[(usize, String)]| {
            headings.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(PATH_SEPARATOR)
        };
        let (name, above) = self.0.split_last().map_or(("", &[][..]), |(last, above)| (last.1.as_str(), above));
        Node {
            kind: Kind::Section,
            name: name.to_owned(),
            symbol: if self.0.is_empty() { "(top)".to_owned() } else { path(&self.0) },
            container: path(above),
            start_line,
            end_line,
            text: String::new(),
        }
    }
}

/// How many lines belong to the fence that opens here; one if none does. An unclosed fence goes on to the end of the file.
fn fence(format: &Format, lines: &[NumberedLine<'_>]) -> usize {
    let Some(mark) = fence_mark(format, lines[0].1) else { return 1 };
    let closes = |line: &NumberedLine<'_>| {
        let line = line.1.trim();
        line.starts_with(mark) && line.trim_start_matches(&mark[..1]).is_empty()
    };
    lines[1..].iter().position(closes).map_or(lines.len(), |length| length + 2)
}

/// The run of fence characters that opens a fence.
fn fence_mark<'s>(format: &Format, line: &'s str) -> Option<&'s str> {
    let line = line.trim_start();
    let character = line.chars().next().filter(|first| format.fences.contains(first))?;
    let (mark, info) = line.split_at(line.len() - line.trim_start_matches(character).len());
    let opens = match format.style {
        // A line of code may begin with three backticks only if no other backtick follows.
        Style::Markdown => mark.len() >= 3 && !info.contains('`'),
        _ => mark.len() >= 4 && info.trim().is_empty(),
    };
    opens.then_some(mark)
}

/// How many lines the front matter of a Markdown file takes.
fn front_matter(format: &Format, lines: &[NumberedLine<'_>]) -> usize {
    let mark = lines[0].1.trim_end();
    if format.style != Style::Markdown || !["---", "+++"].contains(&mark) {
        return 0;
    }
    lines[1..].iter().position(|line| line.1.trim_end() == mark).map_or(0, |length| length + 2)
}

#[cfg(test)]
mod tests {
    use crate::syntax::{language, nodes};

    /// Checks blocks, written as `symbol: text`, one a line, with `|` for line breaks.
    #[track_caller]
    fn check(language_name: &str, source: &str, expected: &[&str]) {
        let language = language(language_name).expect("because the tests name languages of the table");
        let found = nodes(language, source);
        let found: Vec<_> =
            found.iter().map(|node| format!("{}: {}", node.symbol, node.text.replace('\n', "|"))).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_heading_stays_with_its_first_paragraph() {
        check("markdown", "a\n\n# T\n\nb\nb\n\nc\n", &["(top): a", "T: # T||b|b", "T: c"]);
        check("markdown", "# T\n## S\nx\n# U\n", &["T: # T", "T > S: ## S|x", "U: # U"]);
        check("markdown", "Title\n=====\n\nx\n\nSub\n---\ny", &["Title: Title|=====||x", "Title > Sub: Sub|---|y"]);
        check("markdown", "a\nb\n---\nc\n", &["(top): a|b|---|c"]);
    }

    #[test]
    fn continuations_stay_with_their_block() {
        check("markdown", "- a\n\n  more\n\n      code\n\n- b\n", &["(top): - a||  more||      code", "(top): - b"]);
        check("toml", "a = [\n  1,\n\n  2,\n\n]\n\nb = 1", &["(top): a = [|  1,||  2,||]", "(top): b = 1"]);
        check("html", "<a>\n\n  <b>\n", &["(top): <a>", "(top): <b>"]);
    }

    #[test]
    fn fences_are_not_cut() {
        check("markdown", "a\n\n```sh\n\n# no\n\n```\n\nb", &["(top): a", "(top): ```sh||# no||```", "(top): b"]);
        check("markdown", "~~~~\n~~~\n\n# no\n~~~~\nb\n\n````\nx", &["(top): ~~~~|~~~||# no|~~~~|b", "(top): ````|x"]);
        check("markdown", "```a```\n\nb", &["(top): ```a```", "(top): b"]);
        check("markdown", "---\na: 1\n\nb: 2\n---\n\nx", &["(top): ---|a: 1||b: 2|---", "(top): x"]);
        check(
            "asciidoc",
            "== A\n\n----\na\n\n== no\n----\n=== B\nx",
            &["A: == A||----|a||== no|----", "A > B: === B|x"],
        );
    }

    #[test]
    fn tables_and_keys_start_blocks_with_their_comments() {
        let manifest = "x = 1\n# about a\n[a.b]\ny = 2\n\nz = 3\n[[bin]] # c\n";
        check("toml", manifest, &["(top): x = 1", "a.b: # about a|[a.b]|y = 2", "a.b: z = 3", "bin: [[bin]] # c"]);
        check(
            "toml",
            "[t.'cfg(a = \"b\")'.d]\nx = [\n[1, 2],\n]\n",
            &["t.'cfg(a = \"b\")'.d: [t.'cfg(a = \"b\")'.d]|x = [|[1, 2],|]"],
        );
        let workflow = "on: push\n# j\njobs:\n  a: 1\n\n  b: 2\n'q': 3\n";
        check("yaml", workflow, &["on: on: push", "jobs: # j|jobs:|  a: 1||  b: 2", "q: 'q': 3"]);
        check("ini", "; s\n[S e]\na=1\n", &["S e: ; s|[S e]|a=1"]);
    }

    #[test]
    fn functions_and_targets_name_their_own_block() {
        check("shell", "x\nf() {\n\n  a\n\n  b\n}\n\ny\n", &["(top): x", "f: f() {||  a||  b|}", "(top): y"]);
        check("shell", "# d\nfunction g {\n}\n", &["g: # d|function g {|}"]);
        check(
            "make",
            "A := 1\nall: a b\n\tx\n\n\ty\n\nz = 1\n",
            &["(top): A := 1", "all: all: a b|\tx||\ty", "(top): z = 1"],
        );
        check("just", "# d\n@b a='1':\n  x\n", &["b: # d|@b a='1':|  x"]);
    }

    #[test]
    fn other_headings() {
        check(
            "restructuredtext",
            "===\nA\n===\n\na\n\nB\n-\n\nb\n\nC\n---\nc",
            &["A: ===|A|===||a", "A > B: B|-||b", "A > C: C|---|c"],
        );
        check(
            "roff",
            ".SH \"A B\"\nx\n.PP\ny\n.SS C\n.sp\nz",
            &["A B: .SH \"A B\"|x", "A B: .PP|y", "A B > C: .SS C|.sp|z"],
        );
    }

    #[test]
    fn ends_and_line_endings_do_not_matter() {
        check("markdown", "", &[]);
        check("markdown", "\n \n\t\n", &[]);
        check("markdown", "# A\r\n\r\nb\r\n\r\nc", &["A: # A||b", "A: c"]);
        check("text", "  a\n\n  b", &["(top): a", "(top): b"]);
    }

    #[test]
    fn lines_are_those_of_the_file() {
        let language = language("markdown").expect("because the table has it");
        let lines: Vec<_> =
            nodes(language, "\n\na\nb\n\n\nc\n").iter().map(|node| (node.start_line, node.end_line)).collect();
        assert_eq!(lines, [(3, 4), (7, 7)]);
    }
}
