//! Copied-test: this change brings a test that is, but for its name, one that stands in the same scope already.
//!
//! It asserts nothing new: most often it was copied to be changed, and what was to be changed was not. Where the outcome hangs
//! on the name, as with snapshots, nothing is said.

use precedent_pipeline::syntax::{Kind, documented};
use precedent_pipeline::{Chunker, Piece};

use super::{Scene, anchor};
use crate::change::{Change, ChangedFile, ChangedNode};
use crate::finding::{Citation, Finding, Severity};
use crate::render::code;

pub(super) const NAME: &str = "copied-test";

/// Lines and letters of a test; what is shorter says little, and may well be said twice.
const MIN_LINES: usize = 3;
const MIN_LETTERS: usize = 60;

/// One claim for each test.
pub(super) fn findings(scene: &Scene<'_>) -> Vec<Finding> {
    scene.change.nodes.iter().filter_map(|node| finding(scene, node)).collect()
}

/// Whether a claim is possible: a file that stood before has a new line that may declare a test.
pub(super) fn may_claim(change: &Change) -> bool {
    const STARTS: [&str; 4] = ["fit(", "it ", "it(", "specify"];
    change.files.iter().filter(|file| !file.before.is_empty() && file.language.is_ok()).any(|file| {
        let lines: Vec<&str> = file.after.lines().collect();
        file.diff.added.iter().filter_map(|number| lines.get((*number as usize).checked_sub(1)?)).any(|line| {
            let line = line.trim_start();
            line.to_lowercase().contains("test") || STARTS.iter().any(|start| line.starts_with(start))
        })
    })
}

fn finding(scene: &Scene<'_>, node: &ChangedNode) -> Option<Finding> {
    let (path, new) = node.after.as_ref().filter(|(_, piece)| node.before.is_none() && piece.kind == Kind::Test)?;
    let file = scene.change.file(path).filter(|file| !file.before.is_empty())?;
    let text = nameless(node, new).filter(|text| is_enough(text) && !hangs_on_its_name(text))?;
    let before = Chunker::chunk_text(node.language, &file.before);
    // What had the name before was changed, and is not new; two of one name hide each other.
    if before.iter().any(|old| old.symbol == new.symbol) {
        return None;
    }
    let is_same = |old: &&Piece| {
        old.kind == Kind::Test && old.container == new.container && nameless(node, old).as_deref() == Some(&text)
    };
    let after = Chunker::chunk_text(node.language, &file.after);
    let stays = |old: &&Piece| {
        let is_old = |piece: &Piece| piece.symbol == old.symbol && piece.text == old.text;
        after.iter().any(|piece| is_old(piece) && are_in_one_block(&file.after, piece.start_line, new.start_line))
    };
    let old = before.iter().filter(is_same).find(stays)?;
    claim(scene, node, file, new, old)
}

fn claim(scene: &Scene<'_>, node: &ChangedNode, file: &ChangedFile, new: &Piece, old: &Piece) -> Option<Finding> {
    let was = file.old_path.as_deref().unwrap_or(&file.path);
    let citation = Citation::read(scene.objects, &scene.change.base, was, old.start_line, old.end_line)?;
    let anchor = anchor::of_new_line(scene.change, &file.path, file.diff.first_added(new.start_line, new.end_line)?)?;
    Some(Finding {
        id: Finding::id(NAME, &node.name(), &old.symbol),
        check: NAME,
        path: anchor.path,
        side: anchor.side,
        start_line: None,
        severity: Severity::Minor,
        confidence: None,
        title: format!("the test {} is {} but for its name, and asserts nothing new", code(&new.name), code(&old.name)),
        body: format!(
            "{} stands in lines {} to {} of {} before this change, and after it too.",
            code(&old.name),
            old.start_line,
            old.end_line,
            code(was)
        ),
        suggestion: None,
        line: anchor.line,
        citations: vec![citation],
    })
}

/// The text of a test, attributes and all, without its documentation and with nothing in place of its name. White space counts:
/// tests are about that, too.
fn nameless(node: &ChangedNode, piece: &Piece) -> Option<String> {
    let code = documented(node.language, &piece.text).code;
    let at = code.find(&*piece.name).filter(|_| !piece.name.is_empty())?;
    Some([&code[..at], &code[at + piece.name.len()..]].concat())
}

/// Whether two lines, from 1, are of one block by their indentation. Suites whose names are put together (`context 'a' + 'b' do`)
/// are no scopes by name, and each may set up another state.
fn are_in_one_block(text: &str, one: u32, two: u32) -> bool {
    let (first, last) = (one.min(two) as usize, one.max(two) as usize);
    let indentation = |line: &str| line.len() - line.trim_start().len();
    let lines = text.lines().take(last).skip(first.saturating_sub(1));
    let mut between = lines.filter(|line| !line.trim().is_empty()).map(indentation).peekable();
    let Some(at_first) = between.peek().copied() else { return false };
    let at_last = text.lines().nth(last.saturating_sub(1)).map(indentation);
    at_last == Some(at_first) && between.all(|indented| indented >= at_first)
}

fn is_enough(text: &str) -> bool {
    let lines = text.lines().filter(|line| !line.trim().is_empty()).count();
    lines >= MIN_LINES && text.chars().filter(|letter| !letter.is_whitespace()).count() >= MIN_LETTERS
}

/// Whether a test asks for its own name, so that another name makes it another test.
fn hangs_on_its_name(text: &str) -> bool {
    const WORDS: [&str; 9] =
        [".name()", "__func__", "__name__", "approve", "currenttest", "golden", "node.name", "snapshot", "testname"];
    let text = text.to_lowercase();
    WORDS.iter().any(|word| text.contains(word))
}
