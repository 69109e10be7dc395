//! Stale-doc: this change removes or renames a parameter or a type parameter, and the documentation of the same function
//! still names it. What else makes documentation stale stands in `stale_words`.
//!
//! Said only where the name can be read in no other way: it stands in code markup or in a parameter
//! list of the documentation, no code of the function uses it any more, and nothing else in the file
//! is called so.

use std::collections::HashSet;

use precedent_pipeline::lineage::last_name;
use precedent_pipeline::shard::Change as Edit;
use precedent_pipeline::syntax::{Anatomy, DocLine, Kind, anatomy};

use super::mention::{is_about_another_time, occurrences};
use super::tree::words;
use super::{Past, Scene};
use crate::change::{Change, ChangedFile, ChangedNode};
use crate::diff::FileDiff;
use crate::finding::{Citation, Finding, Severity, Side};
use crate::render::{code, short};

pub(super) const NAME: &str = "stale-doc";

/// One claim for each parameter that is gone and still documented.
pub(super) fn findings(scene: &Scene<'_>) -> Vec<Finding> {
    let change = scene.change;
    let mut findings = Vec::new();
    if !may_claim(change) {
        return findings;
    }
    for (at, node) in change.nodes.iter().enumerate() {
        let (Some((old_path, before)), Some((path, after))) = (&node.before, &node.after) else { continue };
        if node.kind == Edit::Added || !matches!(after.kind, Kind::Function | Kind::Test) {
            continue;
        }
        let (Some(file), Some(old_file)) = (change.file(path), change.file(old_path)) else { continue };
        let old = anatomy(node.language, &before.text);
        let new = anatomy(node.language, &after.text);
        let parameters = removed(&old.parameters, &new.parameters);
        for (gone, replacement) in parameters.into_iter().chain(removed(&old.generics, &new.generics)) {
            // A comment inside the function is about it too, but has no lists of parameters.
            let quotes = |line: &&DocLine| line.text.contains(&format!("`{gone}`"));
            let documented = new.doc.iter().find(|line| names(line, gone, &new.doc));
            let Some(line) = documented.or_else(|| new.comments.iter().find(quotes)) else { continue };
            if new.identifiers.contains(gone)
                || is_taken_apart(gone, replacement, &before.text, &after.text)
                || is_passed_by_name(gone, &after.text, &new)
                || is_called_so_elsewhere(gone, file, node)
                || is_about_another_time(&file.after, after.start_line + line.line)
            {
                continue;
            }
            let is_comment = documented.is_none();
            let claim = Claim { change, node, at, file, old_file, gone, replacement, line, is_comment };
            findings.extend(claim.finding(scene));
        }
    }
    findings
}

/// Whether a claim is possible: near a hunk, markup or a list of parameters names what the hunk took away.
pub(super) fn may_claim(change: &Change) -> bool {
    /// Documentation is that near to the parameters, in lines.
    const NEAR: usize = 150;
    change.files.iter().filter(|file| file.language.is_ok_and(|language| !language.is_text())).any(|file| {
        let lines: Vec<&str> = file.after.lines().collect();
        // The difference of a renamed file is to its old text, which stands under the old name.
        let old = file.old_path.as_ref().and_then(|path| change.file(path)).unwrap_or(file);
        gone_by_hunk(&old.before, &file.after, &file.diff).iter().any(|(at, gone)| {
            let to = (at + NEAR).min(lines.len());
            let near = &lines[at.saturating_sub(NEAR).min(to)..to];
            let has_sections = near.iter().any(|line| SECTIONS.contains(&line.trim()));
            near.iter().any(|line| may_name(line, gone, has_sections))
        })
    })
}

/// The words that each hunk takes away, with a line of the new text near it.
fn gone_by_hunk<'t>(before: &'t str, after: &'t str, diff: &FileDiff) -> Vec<(usize, HashSet<&'t str>)> {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let words_of = |lines: &[&'t str], numbers: &[u32], start: u32, end: u32| -> HashSet<&'t str> {
        let from = numbers.partition_point(|number| *number < start);
        let inside = numbers[from..].iter().take_while(|number| **number < end);
        inside
            .filter_map(|number| lines.get(*number as usize - 1))
            .flat_map(|line| words(line))
            .map(|(_, word)| word)
            .collect()
    };
    let of_hunk = |hunk: &crate::diff::Hunk| {
        let mut gone = words_of(&old, &diff.removed, hunk.old_start, hunk.old_start + hunk.old_lines);
        let come = words_of(&new, &diff.added, hunk.new_start, hunk.new_start + hunk.new_lines);
        gone.retain(|word| !come.contains(word));
        (hunk.new_start as usize, gone)
    };
    diff.hunks.iter().map(of_hunk).filter(|(_, gone)| !gone.is_empty()).collect()
}

fn may_name(line: &str, gone: &HashSet<&str>, has_sections: bool) -> bool {
    if line.contains('`') && line.split('`').skip(1).any(|inner| gone.contains(inner)) {
        return true;
    }
    let text = line.trim_start_matches(|mark: char| mark.is_whitespace() || "/*!#\"'".contains(mark));
    let mut parts = text.split_whitespace();
    let is_field = matches!(parts.next(), Some(":param" | "@param" | "\\param" | ":type"));
    if is_field && parts.take(2).any(|word| gone.contains(word.trim_end_matches(':'))) {
        return true;
    }
    let (_, first) = words(text).next().unwrap_or((0, ""));
    let is_headed = || text.strip_prefix(first).is_some_and(|rest| rest.trim_start().starts_with([':', '(']));
    has_sections && gone.contains(first) && is_headed()
}

/// Headings of lists of parameters (Google's style).
const SECTIONS: [&str; 3] = ["Args:", "Arguments:", "Parameters:"];

/// Names that only the old list has, each with the new name in its place if that is the only thing that happened to the
/// list.
fn removed<'a>(old: &'a [String], new: &'a [String]) -> Vec<(&'a str, Option<&'a str>)> {
    let plain = |name: &'a String| name.trim_start_matches('_');
    let is_kept = |name: &'a String, others: &'a [String]| others.iter().any(|other| plain(other) == plain(name));
    let is_rename = old.len() == new.len();
    old.iter()
        .enumerate()
        .filter(|(_, name)| !name.is_empty() && !is_kept(name, new))
        .map(|(at, name)| {
            let replacement = new.get(at).filter(|other| is_rename && !is_kept(other, old)).map(String::as_str);
            (name.as_str(), replacement)
        })
        .collect()
}

/// Whether a parameter was only taken apart, or was a part of one that was: `opts: Options` and `Options { depth, .. }:
/// Options`. Words about it hold as before.
fn is_taken_apart(name: &str, replacement: Option<&str>, before: &str, after: &str) -> bool {
    let (old, new) = (signature(before), signature(after));
    let whole = occurrences(old, name).find(|at| !old[..*at].ends_with('.'));
    let Some(at) = whole else { return false };
    let is_part = old[..at].matches('{').count() > old[..at].matches('}').count();
    let ty = old[at + name.len()..].trim_start().strip_prefix(':').and_then(|rest| {
        let (_, word) = words(rest).find(|(_, word)| word.starts_with(char::is_uppercase))?;
        Some(word)
    });
    is_part || replacement.is_none() && ty.is_some_and(|ty| occurrences(new, ty).next().is_some() && new.contains('{'))
}

/// The text of a function as far as the bracket that closes its parameters.
fn signature(text: &str) -> &str {
    let Some(open) = text.find('(') else { return "" };
    let mut depth = 0_usize;
    for (at, letter) in text[open..].char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &text[..=open + at];
        }
    }
    text
}

/// The name as a string, or a signature that takes any name: it may still be passed.
fn is_passed_by_name(name: &str, text: &str, anatomy: &Anatomy) -> bool {
    let takes_any = anatomy.parameters.iter().any(|parameter| text.contains(&format!("**{parameter}")));
    takes_any || text.contains(&format!("\"{name}\"")) || text.contains(&format!("'{name}'"))
}

/// Another item, field or member of that name in the same file: the words may mean that one.
fn is_called_so_elsewhere(name: &str, file: &ChangedFile, node: &ChangedNode) -> bool {
    let pieces = precedent_pipeline::Chunker::chunk_text(node.language, &file.after);
    if pieces.iter().any(|piece| piece.name == name || last_name(&piece.symbol) == name) {
        return true;
    }
    if file.after.contains(&format!(".{name}")) {
        return true;
    }
    pieces
        .iter()
        .filter(|piece| matches!(piece.kind, Kind::Struct | Kind::Enum | Kind::Union | Kind::Class | Kind::Const))
        .any(|piece| anatomy(node.language, &piece.text).identifiers.contains(name))
}

/// Whether a documentation line speaks of a parameter: `` `name` ``, `:param name:`, `@param name`,
/// or an entry of a list under "Args" or "Parameters".
fn names(line: &DocLine, name: &str, doc: &[DocLine]) -> bool {
    let text = line.text.trim();
    if text.contains(&format!("`{name}`")) {
        return true;
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    if let Some(first) = words.first() {
        let is_field = matches!(*first, ":param" | "@param" | "\\param" | ":type");
        if is_field && words.iter().skip(1).take(2).any(|word| word.trim_end_matches(':') == name) {
            return true;
        }
    }
    let heads_an_entry = text.strip_prefix(name).map(str::trim_start).is_some_and(|rest| {
        rest.starts_with(':') && !rest.starts_with("::") || rest.starts_with('(') && rest.contains("):")
    });
    heads_an_entry && in_parameter_section(line, doc)
}

/// Whether the nearest section heading above a line announces parameters (Google's style).
fn in_parameter_section(line: &DocLine, doc: &[DocLine]) -> bool {
    let heading = doc.iter().filter(|other| other.line < line.line).rev().find_map(|other| {
        let text = other.text.trim();
        let is_heading = matches!(
            text,
            "Args:"
                | "Arguments:"
                | "Parameters:"
                | "Returns:"
                | "Raises:"
                | "Yields:"
                | "Example:"
                | "Examples:"
                | "Note:"
                | "Attributes:"
        );
        is_heading.then_some(text)
    });
    heading.is_some_and(|heading| SECTIONS.contains(&heading))
}

struct Claim<'a> {
    change: &'a Change,
    node: &'a ChangedNode,
    at: usize,
    file: &'a ChangedFile,
    old_file: &'a ChangedFile,
    gone: &'a str,
    replacement: Option<&'a str>,
    line: &'a DocLine,
    is_comment: bool,
}

impl Claim<'_> {
    fn finding(&self, scene: &Scene<'_>) -> Option<Finding> {
        let objects = scene.objects;
        let (path, after) = self.node.after.as_ref()?;
        let doc_line = after.start_line + self.line.line;
        let (anchor_path, side, line) = self.anchor(doc_line)?;
        let stale = Citation::read(objects, &self.change.head, path, doc_line, doc_line)?;
        let mut body = format!("Line {doc_line} of {} reads: {}.", code(path), code(&stale.quote));
        let mut citations = vec![stale];
        if let Some(origin) = scene.past.and_then(|past| self.origin(past)) {
            body.push_str(&format!(" It was written in {}.", short(&origin.commit)));
            citations.push(origin);
        }
        let name = self.node.name();
        let verb = match self.replacement {
            Some(new) => format!("renames to {}", code(new)),
            None => "removes".to_owned(),
        };
        Some(Finding {
            id: Finding::id(NAME, &name, self.gone),
            check: NAME,
            path: anchor_path,
            side,
            start_line: None,
            line,
            severity: Severity::Minor,
            confidence: None,
            title: format!(
                "{} of {} still names {}, which this change {verb}",
                if self.is_comment { "a comment" } else { "the documentation" },
                code(&after.name),
                code(self.gone)
            ),
            body,
            suggestion: self.suggestion(doc_line).filter(|_| side == Side::Right && line == doc_line),
            citations,
        })
    }

    /// The documentation itself where the diff shows it, else the first changed line of the node.
    fn anchor(&self, doc_line: u32) -> Option<(String, Side, u32)> {
        let (path, after) = self.node.after.as_ref()?;
        let (old_path, before) = self.node.before.as_ref()?;
        if self.file.diff.holds_new(doc_line) {
            return Some((path.to_string(), Side::Right, doc_line));
        }
        if let Some(line) = self.file.diff.first_added(after.start_line, after.end_line) {
            return Some((path.to_string(), Side::Right, line));
        }
        // The removed lines of a renamed file are shown under its new name.
        let is_renamed = self.file.old_path.as_ref() == Some(old_path);
        let (file, path) = if is_renamed { (self.file, path) } else { (self.old_file, old_path) };
        let line = file.diff.first_removed(before.start_line, before.end_line)?;
        Some((path.to_string(), Side::Left, line))
    }

    /// The documentation line with the new name, when that is all that it takes.
    fn suggestion(&self, doc_line: u32) -> Option<String> {
        let text = self.file.after.lines().nth(doc_line as usize - 1)?;
        let quoted = format!("`{}`", self.gone);
        let new = format!("`{}`", self.replacement?);
        text.contains(&quoted).then(|| text.replace(&quoted, &new))
    }

    /// The commit that brought the documentation line, as far back as the node's edits hold it. The claim stands
    /// without it, so texts that cannot be read only leave the sentence out.
    fn origin(&self, Past { precedents, evidence }: Past<'_>) -> Option<Citation> {
        let wanted = self.line.text.trim();
        let trace = &precedents.traces[self.at];
        let numbers: Vec<u32> = trace.iter().filter_map(|edit| edit.after).collect();
        let texts = precedents.archive.store().chunks_by_number(&numbers).ok()?;
        let offset_in = |chunk: u32| {
            let text = &texts.iter().find(|row| row.number == chunk)?.text;
            let doc = anatomy(self.node.language, text).doc;
            doc.iter().find(|line| line.text.trim() == wanted).map(|line| line.line)
        };
        let (edit, offset) = trace
            .iter()
            .filter(|edit| edit.after.is_some())
            .map_while(|edit| Some((edit, offset_in(edit.after?)?)))
            .last()
            // At the end of a shallow clone the line may be older than what is here.
            .filter(|(edit, _)| edit.change != Edit::Present)?;
        let commit = precedents.archive.commit(edit.commit).id;
        let line = edit.start_line + offset;
        evidence.cite(&commit, &edit.path, line, line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doc(lines: &[&str]) -> Vec<DocLine> {
        lines.iter().enumerate().map(|(at, text)| DocLine { line: at as u32, text: (*text).into() }).collect()
    }

    #[test]
    fn a_parameter_is_named_in_markup_or_in_a_list_of_parameters() {
        let check = |lines: &[&str], at: usize, expected: bool| {
            let doc = doc(lines);
            assert_eq!(names(&doc[at], "limit", &doc), expected, "{lines:?}");
        };
        check(&["Stops after `limit` lines."], 0, true);
        check(&["There is a limit to everything."], 0, false);
        check(&["`limits` are elsewhere"], 0, false);
        check(&[":param limit: how many"], 0, true);
        check(&[":param int limit: how many"], 0, true);
        check(&["@param limit how many"], 0, true);
        check(&["Args:", "limit: how many"], 1, true);
        check(&["Args:", "limit (int): how many"], 1, true);
        check(&["limit: how many"], 0, false);
        check(&["Args:", "other: x", "Returns:", "limit: not this"], 3, false);
    }

    #[test]
    fn what_is_taken_apart_is_there() {
        let check = |name, replacement, before, after, expected| {
            assert_eq!(is_taken_apart(name, replacement, before, after), expected, "{name}: {before} to {after}");
        };
        let (whole, parts) = ("fn f(opts: Options) {}", "fn f(Options { depth, .. }: Options) {}");
        check("opts", None, whole, parts, true);
        check("opts", Some("settings"), whole, "fn f(settings: Options) {}", false);
        check("opts", None, whole, "fn f() {}", false);
        check("depth", None, parts, "fn f(opts: Options) {}", true);
        check("limit", None, "fn f(limit: usize) {}", "fn f() {}", false);
    }

    #[test]
    fn a_rename_keeps_the_place_in_the_list() {
        let with = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>();
        let check = |old: &[&str], new: &[&str], expected: &[(&str, Option<&str>)]| {
            assert_eq!(removed(&with(old), &with(new)), expected);
        };
        check(&["a", "b"], &["a", "c"], &[("b", Some("c"))]);
        check(&["a", "b"], &["a"], &[("b", None)]);
        check(&["a", "b"], &["b", "a"], &[]);
        // Silenced, not removed.
        check(&["a"], &["_a"], &[]);
    }
}
