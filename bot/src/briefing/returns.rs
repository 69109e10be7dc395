//! Return: a text that was removed before comes back; a line that a fix added goes away.

use std::cell::LazyCell;
use std::collections::{HashMap, HashSet};

use precedent_pipeline::shard::{Change as Edit, EditRow};
use precedent_pipeline::syntax::{Bag, Kind, similarity};
use rustc_hash::FxHashMap;

use super::life::{Repair, repair};
use crate::change::{Change, ChangedNode, code_of};
use crate::evidence::Evidence;
use crate::finding::{Fact, FactKind, NodeName};
use crate::precedent::Precedents;
use crate::render::{code, day, short, subject, visible};

/// Shorter texts come back by chance; in lines.
const MIN_LINES: u32 = 3;
/// A text that comes back elsewhere has more of them.
const MIN_LINES_ELSEWHERE: u32 = 6;
/// Shorter lines are written by anybody; in letters and digits.
const MIN_LINE_LETTERS: usize = 12;
/// A line is an edit of another from this share of common tokens on.
const EDITED_LINE: f32 = 0.5;
/// Fixes of one node that are looked into, newest first.
const MAX_FIXES: usize = 12;

/// What comes back, and what a fix added and goes away.
pub(super) fn facts(change: &Change, precedents: &Precedents<'_>, evidence: &Evidence<'_>) -> Vec<Fact> {
    let numbers = &precedents.numbers;
    let nodes = change.nodes.iter().zip(&precedents.traces).zip(&precedents.examined);
    let brought: Vec<(&ChangedNode, &[&EditRow], u32)> = nodes
        .filter(|((node, _), examined)| {
            **examined && !matches!(node.now().1.kind, Kind::Run | Kind::Section) && is_edited(node)
        })
        .filter_map(|((node, trace), _)| {
            let (_, piece) = node.after.as_ref()?;
            Some((node, trace.as_slice(), *numbers.get(&piece.chunk)?))
        })
        .collect();
    let pasts = pasts(brought.iter().map(|(.., text)| *text), precedents);
    let mut facts: Vec<Fact> = brought
        .into_iter()
        .filter_map(|(node, trace, text)| {
            let fact = comes_back(node, trace, text, &pasts[&text], precedents, evidence)?;
            Some(Fact { text: change.which(node) + &fact.text, ..fact })
        })
        .collect();
    facts.extend(fixes_undone(change, precedents, evidence));
    facts
}

/// Where a text is known to have stood and to have been removed, newest first.
#[derive(Default)]
struct Past<'a> {
    stood: Vec<&'a EditRow>,
    removed: Vec<&'a EditRow>,
}

/// The pasts of some texts, in one look at all edits.
fn pasts<'a>(texts: impl Iterator<Item = u32>, precedents: &Precedents<'a>) -> FxHashMap<u32, Past<'a>> {
    let mut pasts: FxHashMap<u32, Past<'a>> = texts.map(|text| (text, Past::default())).collect();
    if pasts.is_empty() {
        return pasts;
    }
    for edit in precedents.archive.edits().iter().rev().filter(|edit| precedents.known.has(edit.commit)) {
        if edit.symbol.is_some()
            && let Some(past) = edit.after.and_then(|text| pasts.get_mut(&text))
        {
            past.stood.push(edit);
        }
        if edit.change == Edit::Removed
            && let Some(past) = edit.before.and_then(|text| pasts.get_mut(&text))
        {
            past.removed.push(edit);
        }
    }
    pasts
}

/// What only moved or was renamed brings nothing back.
fn is_edited(node: &ChangedNode) -> bool {
    match (&node.before, &node.after) {
        (Some((_, before)), Some((_, after))) => before.chunk != after.chunk,
        (None, Some(_)) => true,
        _ => false,
    }
}

fn comes_back(
    node: &ChangedNode,
    trace: &[&EditRow],
    text: u32,
    past: &Past<'_>,
    precedents: &Precedents<'_>,
    evidence: &Evidence<'_>,
) -> Option<Fact> {
    let (path, piece) = node.after.as_ref()?;
    let lines = piece.end_line + 1 - piece.start_line;
    let archive = precedents.archive;
    let was_lost =
        |edit: &&EditRow| edit.before == Some(text) && edit.after != Some(text) && edit.change != Edit::Joined;
    let here = trace.iter().copied().find(was_lost);
    let name = piece.symbol.as_str();
    let is_here = |edit: &EditRow| edit.path == *path && edit.symbol.as_deref() == Some(name);
    let (lost, stays) = match here {
        Some(lost) if lines >= MIN_LINES => (lost, true),
        Some(_) => return None,
        None if node.before.is_some() => return None,
        None => {
            let mut removals = past.removed.iter().copied().filter(was_lost);
            let lost = removals
                .clone()
                .find(|edit| is_here(edit))
                .or_else(|| removals.next().filter(|_| lines >= MIN_LINES_ELSEWHERE))?;
            (lost, is_here(lost))
        }
    };
    // The newest place in which the text is known to have stood.
    let stood = past.stood.iter().find(|edit| edit.commit < lost.commit)?;
    let commit = archive.commit(stood.commit).id;
    let citation = evidence.cite(&commit, &stood.path, stood.start_line, stood.end_line)?;
    let cause = archive.commit(lost.commit);
    let place = match stays {
        true => "here".to_owned(),
        false => format!("in {} as {}", code(&lost.path), code(lost.symbol.as_deref().unwrap_or(""))),
    };
    let verb = if lost.change == Edit::Removed { "removed" } else { "changed" };
    Some(Fact {
        kind: FactKind::Return,
        node: node.name(),
        about: node.name(),
        text: format!(
            "this text stood {place} until {} {verb} it on {} (\"{}\")",
            short(&cause.id),
            day(cause.author_time),
            said(&cause.message)
        ),
        score: 1.0 + f64::from(lines).ln() + if repair(cause).is_some() { 2.0 } else { 0.0 },
        passes: true,
        shown: false,
        here: None,
        citations: vec![citation],
    })
}

/// A subject inside a sentence, cut where it would take the sentence over.
fn said(message: &str) -> String {
    visible(&cut(&subject(message), 72)).replace('`', "'")
}

/// The first letters of a text, with a mark where there are more.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

/// Lines that say something, without the space around them.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let says = |line: &&str| line.chars().filter(|letter| letter.is_alphanumeric()).count() >= MIN_LINE_LETTERS;
    text.lines().map(str::trim).filter(says)
}

fn fixes_undone(change: &Change, precedents: &Precedents<'_>, evidence: &Evidence<'_>) -> Vec<Fact> {
    let archive = precedents.archive;
    let mut wanted: Vec<(&ChangedNode, Vec<&EditRow>)> = Vec::new();
    for ((node, trace), examined) in change.nodes.iter().zip(&precedents.traces).zip(&precedents.examined) {
        if !*examined || node.before.is_none() || node.after.is_none() || !is_edited(node) {
            continue;
        }
        let is_fix = |edit: &&&EditRow| {
            edit.change == Edit::Modified && matches!(repair(archive.commit(edit.commit)), Some(Repair::Fix))
        };
        let fixes: Vec<&EditRow> = trace.iter().filter(is_fix).take(MAX_FIXES).copied().collect();
        if !fixes.is_empty() {
            wanted.push((node, fixes));
        }
    }
    let mut numbers: Vec<u32> =
        wanted.iter().flat_map(|(_, fixes)| fixes).flat_map(|edit| [edit.before, edit.after]).flatten().collect();
    numbers.sort_unstable();
    numbers.dedup();
    let Ok(chunks) = archive.store().chunks_by_number(&numbers) else { return Vec::new() };
    let texts: HashMap<u32, String> = chunks.into_iter().map(|chunk| (chunk.number, chunk.text)).collect();
    wanted.iter().filter_map(|(node, fixes)| fix_undone(change, node, fixes, &texts, precedents, evidence)).collect()
}

/// The first line that the newest of these fixes added, that the node still has, and that the change takes out of its
/// file.
fn fix_undone(
    change: &Change,
    node: &ChangedNode,
    fixes: &[&EditRow],
    texts: &HashMap<u32, String>,
    precedents: &Precedents<'_>,
    evidence: &Evidence<'_>,
) -> Option<Fact> {
    let (Some((path, before)), Some((after_path, _))) = (&node.before, &node.after) else { return None };
    let file = change.file(after_path)?;
    let kept: HashSet<&str> = lines(&file.after).collect();
    let going: HashSet<&str> = lines(&before.text).filter(|line| !kept.contains(line)).collect();
    if going.is_empty() {
        return None;
    }
    // A line that was only edited did not go away.
    let bags = LazyCell::new(|| lines(&file.after).map(Bag::of).collect::<Vec<Bag>>());
    let is_edited = |line: &str| {
        let own = Bag::of(line);
        bags.iter().any(|bag| similarity(&own, bag) >= EDITED_LINE)
    };
    let mut found = fixes.iter().filter_map(|fix| {
        let (old, new) = (texts.get(&fix.before?)?, texts.get(&fix.after?)?);
        let had: HashSet<&str> = lines(old).collect();
        let mut found =
            lines(new).filter(|line| !had.contains(line) && going.contains(line) && !is_edited(line)).peekable();
        found.peek()?;
        // A comment that goes away undoes nothing.
        let code = code_of(node.language, new);
        let line = found.find(|line| match &code {
            Some(code) => code.iter().any(|other| other.trim() == *line),
            None => !line.starts_with('#'),
        })?;
        let commit = precedents.archive.commit(fix.commit);
        let place = new.lines().position(|other| other.trim() == line)? as u32 + fix.start_line;
        let citation = evidence
            .cite(&commit.id, &fix.path, place, place)
            .filter(|citation| line.starts_with(citation.quote.as_str()))?;
        Some((line.to_owned(), commit, citation))
    });
    let (line, commit, citation) = found.next()?;
    Some(Fact {
        kind: FactKind::Undo,
        node: NodeName { path: path.to_string(), symbol: before.symbol.clone() },
        about: node.name(),
        text: format!(
            "{}{} goes away, which {} added on {} (\"{}\")",
            change.which(node),
            code(&cut(&line, 60)),
            short(&commit.id),
            day(commit.author_time),
            said(&commit.message)
        ),
        score: 2.0,
        passes: true,
        shown: false,
        here: None,
        citations: vec![citation],
    })
}
