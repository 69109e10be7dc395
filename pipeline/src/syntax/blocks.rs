//! Blocks: the pieces of a text file, cut at headings, tables, keys and blank lines, and never at line counts.
//!
//! An edit of one paragraph is then an edit of one block, and an insertion moves the others without changing them. What a
//! heading looks like in which format stands in `headings.rs`.

use super::extent::{Lines, NumberedLine, dedent};
use super::headings::{Heading, Titles, breaks, is_blank};
use super::languages::{Format, Style};
use super::split::emit;
use super::{Kind, Node};

/// What joins the names of nested headings.
const PATH_SEPARATOR: &str = " > ";

/// The blocks of a text, in file order.
pub(super) fn nodes(format: &Format, source: &str) -> Vec<Node> {
    let lines = Lines::of(source).within(0..source.len());
    let mut cutter = Cutter { format, lines: &lines, outline: Outline::default(), start: 0, body: 0, out: Vec::new() };
    let mut titles = Titles::of(format.style);
    let mut at = front_matter(format, &lines);
    while at < lines.len() {
        at += match titles.heading(&lines, at, cutter.is_fresh(at)) {
            Some(heading) => cutter.enter(heading, at),
            None => cutter.pass(at),
        };
    }
    cutter.cut(lines.len());
    cutter.out
}

struct Cutter<'s> {
    format: &'s Format,
    lines: &'s [NumberedLine<'s>],
    outline: Outline,
    /// The line where the current block starts.
    start: usize,
    /// The line where its text starts, behind its heading.
    body: usize,
    out: Vec<Node>,
}

impl Cutter<'_> {
    /// Starts a block with a heading. Returns the lines of the heading.
    fn enter(&mut self, heading: Heading, at: usize) -> usize {
        let comment = |line: &&NumberedLine<'_>| self.format.comments.iter().any(|opener| line.1.starts_with(opener));
        let comments = self.lines[self.start..at].iter().rev().take_while(comment).count();
        let lines = heading.lines;
        self.cut(at - comments);
        self.body = at + lines;
        self.outline.enter(heading);
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
        let block = dedent(&self.lines[self.start..end]);
        if let (Some(first), Some(last)) = (block.first(), block.last()) {
            emit(self.outline.node(first.0, last.0), &block, &mut self.out);
        }
        self.start = end;
        self.body = end;
        if matches!(self.format.style, Style::Functions | Style::Targets) {
            self.outline.0.clear();
        }
    }
}

/// The headings that are open, each with its level.
#[derive(Default)]
struct Outline(Vec<(usize, String)>);

impl Outline {
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
