//! Copied-doc: this change renames or copies a function of Go, and its documentation still begins with the other's name.
//!
//! In Go a documentation comment begins with the name of what it documents; one that begins with the name of a sibling
//! documents the wrong function.

use precedent_pipeline::syntax::{Kind, documented};

use super::mention::is_unmistakable;
use super::tree::words;
use super::{Scene, anchor};
use crate::change::{Change, ChangedFile, ChangedNode};
use crate::finding::{Citation, Finding, Severity, Side};
use crate::render::code;

pub(super) const NAME: &str = "copied-doc";

/// One claim for each function.
pub(super) fn findings(scene: &Scene<'_>) -> Vec<Finding> {
    scene.change.nodes.iter().filter_map(|node| finding(scene, node)).collect()
}

/// Whether a claim is possible: documentation above a new line that declares a function begins with another name.
pub(super) fn may_claim(change: &Change) -> bool {
    let is_go = |file: &&ChangedFile| file.language.is_ok_and(|language| language.name == "go");
    change.files.iter().filter(is_go).any(|file| {
        let lines: Vec<&str> = file.after.lines().collect();
        file.diff.added.iter().any(|number| {
            let (above, below) = lines.split_at((*number as usize - 1).min(lines.len()));
            let Some(declaration) = below.first().filter(|line| line.starts_with("func ")) else { return false };
            let Some(first) = above.iter().rev().take_while(|line| line.starts_with("//")).last() else { return false };
            let other = first.trim_start_matches('/').split_whitespace().next().unwrap_or_default();
            is_unmistakable(other) && !words(declaration).any(|(_, word)| word == other)
        })
    })
}

fn finding(scene: &Scene<'_>, node: &ChangedNode) -> Option<Finding> {
    let (path, after) = node.after.as_ref()?;
    if node.language.name != "go" || after.kind != Kind::Function {
        return None;
    }
    let first = documented(node.language, &after.text).lines.into_iter().next()?;
    let mut words = first.text.split_whitespace();
    let other = words.next()?;
    let is_name = |word: &str| word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !is_name(other) || !is_unmistakable(other) || other.eq_ignore_ascii_case(&after.name) || words.next().is_none() {
        return None;
    }
    let was_so = node.before.as_ref().is_some_and(|(_, before)| before.name == after.name);
    if was_so {
        return None;
    }
    let renamed = node.before.as_ref().filter(|(_, before)| before.name == other);
    let file = scene.change.file(path)?;
    let is_sibling =
        || precedent_pipeline::Chunker::chunk_text(node.language, &file.after).iter().any(|piece| piece.name == other);
    if renamed.is_none() && !is_sibling() {
        return None;
    }
    let line = after.start_line + first.line;
    let head = &scene.change.head;
    let citation = Citation::read(scene.objects, head, path, line, line)?;
    let anchor = anchor::of_new_line(scene.change, path, line).or_else(|| {
        let line = file.diff.first_added(after.start_line, after.end_line)?;
        anchor::of_new_line(scene.change, path, line)
    })?;
    let text = file.after.lines().nth(line as usize - 1)?;
    let suggestion = text.replacen(other, &after.name, 1);
    let why = if renamed.is_some() { "its name before this change" } else { "another function of this file" };
    Some(Finding {
        id: Finding::id(NAME, &node.name(), other),
        check: NAME,
        path: anchor.path,
        side: anchor.side,
        start_line: None,
        severity: Severity::Minor,
        confidence: None,
        title: format!("the documentation of {} begins with {}, {why}", code(&after.name), code(other)),
        body: format!("Line {line} of {} reads: {}.", code(path), code(&citation.quote)),
        suggestion: Some(suggestion).filter(|_| anchor.side == Side::Right && anchor.line == line),
        line: anchor.line,
        citations: vec![citation],
    })
}
