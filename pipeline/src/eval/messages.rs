//! Messages: the nodes that a commit changed are asked for by its message, as of the commit before it.

use std::collections::HashMap;
use std::sync::Arc;

use precedent_model::Embedder;

use super::memory::Memory;
use super::ranked::{Asked, Members, Node, Nodes, draw};
use super::{EvalOptions, EvalReport};
use crate::PipelineError;
use crate::archive::Archive;
use crate::chunker::Chunker;
use crate::history::{AttributeRules, Objects};
use crate::search::{for_each_word, said};
use crate::shard::{Change, EditRow, ObjectId, SpanRow};

/// Words that a query has at the least.
const LEAST_WORDS: usize = 3;
/// Commits that change more nodes are sweeps, which no message tells apart.
const MOST_GOLDS: usize = 20;

/// A place of a text: path, symbol, number of the text.
type Spot = (Arc<str>, Arc<str>, u32);

/// Searches the tree before each of some commits by the commit's subject.
///
/// # Errors
/// An embedder that cannot go on, a tree that cannot be read, or a damaged store.
pub fn message_search(
    archive: &Archive,
    embedder: &dyn Embedder,
    objects: &Objects,
    tip: &ObjectId,
    options: &EvalOptions,
) -> Result<EvalReport, PipelineError> {
    let known = archive.known_at(tip).unwrap_or_default();
    let mut golds_of: HashMap<u32, Vec<&EditRow>> = HashMap::new();
    for edit in archive.edits().iter().filter(|edit| known.has(edit.commit) && is_gold(archive, edit)) {
        golds_of.entry(edit.commit).or_default().push(edit);
    }
    let mut commits: Vec<u32> = golds_of.keys().copied().collect();
    commits.sort_unstable();
    commits.retain(|number| {
        let commit = archive.commit(*number);
        commit.parents.len() == 1 && golds_of[number].len() <= MOST_GOLDS && query(&commit.message).is_some()
    });
    let commits = draw(commits, options.queries, options.seed, |number| archive.commit(*number).id.to_string());

    let mut spans: HashMap<ObjectId, Vec<SpanRow>> = HashMap::new();
    for span in archive.store().spans()? {
        spans.entry(span.blob).or_default().push(span);
    }
    let mut spots: HashMap<Spot, u32> = HashMap::new();
    let mut found: Vec<(Spot, Arc<str>, u32)> = Vec::new();
    let mut trees: Vec<Members> = Vec::new();
    let mut asked = Vec::new();
    for number in commits {
        let commit = archive.commit(number);
        let mut tree = Vec::new();
        for (path, span) in alive(archive, objects, &commit.parents[0], &spans, options.among_all)? {
            let spot = (path, span.symbol.clone(), span.chunk);
            let next = found.len() as u32;
            let at = *spots.entry(spot.clone()).or_insert(next);
            if at == next {
                found.push((spot, span.container.clone(), span.end_line - span.start_line + 1));
            }
            tree.push(at);
        }
        let tree = Members::of(tree);
        let spot_before = |edit: &&EditRow| -> Option<Spot> {
            let path = edit.before_path.clone().unwrap_or_else(|| edit.path.clone());
            let symbol = edit.before_symbol.clone().or_else(|| edit.symbol.clone())?;
            Some((path, symbol, edit.before?))
        };
        let mut golds: Vec<u32> =
            golds_of[&number].iter().filter_map(spot_before).filter_map(|spot| spots.get(&spot).copied()).collect();
        golds.retain(|gold| tree.has(*gold));
        golds.sort_unstable();
        golds.dedup();
        if let Some(subject) = query(&commit.message).filter(|_| !golds.is_empty()) {
            let text = if options.whole_messages { format!("{subject}\n{}", said(&commit.message).1) } else { subject };
            asked.push(Asked { text, golds, tree: trees.len(), at: commit.parents[0] });
            trees.push(tree);
        }
    }
    let nodes = nodes(archive, found)?;
    let options = EvalOptions { by_file: true, ..*options };
    Ok(Nodes::new(embedder, &nodes, Some(Memory::new(archive)))?.evaluate(
        "message-search",
        &asked,
        &trees,
        &options,
    )?)
}

/// Whether an edit changed a node that was there before and has a name.
fn is_gold(archive: &Archive, edit: &EditRow) -> bool {
    let changed = matches!(edit.change, Change::Modified | Change::Renamed | Change::Moved | Change::Removed);
    changed
        && edit.symbol.is_some()
        && edit.before.is_some_and(|chunk| is_named(archive, chunk))
        && edit.before != edit.after
}

fn is_named(archive: &Archive, chunk: u32) -> bool {
    !["run", "section"].contains(&&*archive.head(chunk).kind)
}

/// The named nodes in the tree of a commit, or all that there are.
fn alive<'s>(
    archive: &Archive,
    objects: &Objects,
    commit: &ObjectId,
    spans: &'s HashMap<ObjectId, Vec<SpanRow>>,
    among_all: bool,
) -> Result<Vec<(Arc<str>, &'s SpanRow)>, PipelineError> {
    let files = objects.files(commit)?;
    let mut rules = AttributeRules::in_tree(&files);
    let mut alive = Vec::new();
    for (path, entry) in files {
        let Some(spans) = spans.get(&entry.id) else { continue };
        let attributes = rules.of(objects, commit, &path)?;
        let Ok(language) = Chunker::classify(&path, &entry, attributes) else { continue };
        let path: Arc<str> = path.into();
        let is_here = |span: &&SpanRow| {
            *archive.head(span.chunk).lang == *language.name && (among_all || is_named(archive, span.chunk))
        };
        alive.extend(spans.iter().filter(is_here).map(|span| (path.clone(), span)));
    }
    Ok(alive)
}

fn nodes(archive: &Archive, spots: Vec<(Spot, Arc<str>, u32)>) -> Result<Vec<Node>, PipelineError> {
    let mut numbers: Vec<u32> = spots.iter().map(|((_, _, chunk), _, _)| *chunk).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let texts: HashMap<u32, String> =
        archive.store().chunks_by_number(&numbers)?.into_iter().map(|chunk| (chunk.number, chunk.text)).collect();
    let node = |((path, symbol, chunk), container, lines): (Spot, Arc<str>, u32)| {
        let head = archive.head(chunk);
        let text = texts.get(&chunk).cloned().unwrap_or_default();
        Node { path, symbol, container, name: head.name.clone(), kind: head.kind.clone(), lines, text }
    };
    Ok(spots.into_iter().map(node).collect())
}

/// The subject of a message without what a tool put there: the type of a conventional commit, the number of a pull
/// request. `None` for one that says too little, or that only undoes or joins others.
fn query(message: &str) -> Option<String> {
    let subject = message.lines().next()?.trim();
    if ["Merge ", "Auto merge", "Revert ", "fixup!", "squash!", "Bump ", "Release "]
        .iter()
        .any(|mark| subject.starts_with(mark))
    {
        return None;
    }
    let subject = match subject.split_once(": ") {
        Some((kind, rest)) if is_conventional(kind) => rest,
        _ => subject,
    };
    let subject = match subject.rfind(" (#") {
        Some(at) if subject.ends_with(')') => &subject[..at],
        _ => subject,
    };
    let mut words = 0;
    for_each_word(subject, |_| words += 1);
    (words >= LEAST_WORDS).then(|| subject.to_owned())
}

/// Whether this is `fix`, `feat(parser)!` or the like (Conventional Commits 1.0.0).
fn is_conventional(kind: &str) -> bool {
    let kind = kind.trim_end_matches('!');
    let word = kind.split_once('(').map_or(kind, |(word, _)| word);
    ["feat", "fix", "docs", "style", "refactor", "perf", "test", "tests", "build", "ci", "chore", "revert"]
        .contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_lose_what_tools_put_there() {
        let is = |message: &str, expected: Option<&str>| assert_eq!(query(message).as_deref(), expected, "{message}");
        is("fix(parser): keep the last line (#123)\n\nLong.", Some("keep the last line"));
        is("refactor!: split the large file", Some("split the large file"));
        is("parser: keep the last line", Some("parser: keep the last line"));
        is("Merge branch 'a' of b", None);
        is("typo", None);
        is("", None);
    }
}
