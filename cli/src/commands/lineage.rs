//! `precedent lineage`

use std::collections::BTreeSet;
use std::path::{Component, Path};
use std::process::ExitCode;
use std::sync::Arc;

use precedent_bot::render::{NO_MESSAGE, NO_NAME, clip, day, or_none, short, subject, visible, wrap};
use precedent_pipeline::archive::{Archive, Step};
use precedent_pipeline::history::Objects;
use precedent_pipeline::shard::{EditRow, ObjectId};
use serde::Serialize;

use super::json_line;
use crate::args::LineageArguments;
use crate::failure::{Failure, Kind};
use crate::place::{Place, Settings};
use crate::screen;

/// Commits that an edit is shown to revert, and names that are proposed.
const MAX_LISTED: usize = 3;
/// Columns of a subject, over several lines.
const MAX_SUBJECT_COLUMNS: usize = 120;

pub(crate) fn run(settings: &Settings, options: &LineageArguments) -> Result<ExitCode, Failure> {
    let place = Place::open(settings)?;
    let tip = match &options.as_of {
        Some(revision) => place.repository.resolve(revision)?,
        None => place.repository.head()?,
    };
    let objects = place.repository.objects();
    let root = place.repository.work_tree();
    let here = root.as_deref().and_then(|root| from_root(root, &settings.repository, &options.place));
    let (path, symbol, rows) = place.with_archive(settings, &[tip], |archive, _| {
        // As Git does, names are read from the folder that one stands in; and from the root, as they are printed.
        let here = here.as_deref().filter(|typed| names_a_file(archive, typed));
        trace(archive, &objects, &tip, here.unwrap_or(&options.place))
    })?;
    if settings.json {
        screen::print(&json_line(&Document {
            path: &path,
            symbol: symbol.as_deref(),
            as_of: tip.to_string(),
            edits: &rows,
        }))?;
    } else {
        screen::print(&shown(&path, symbol.as_deref(), &rows))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What was typed in a folder, as from the root of its work tree; nothing if it leads out of it.
fn from_root(root: &Path, folder: &Path, typed: &str) -> Option<String> {
    let folder = folder.canonicalize().ok()?;
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.strip_prefix(root).ok()?.components() {
        let Component::Normal(part) = part else { return None };
        parts.push(part.to_str()?);
    }
    let mut rest = typed;
    if let Some(inside) = Path::new(typed).strip_prefix(root).ok().and_then(Path::to_str) {
        (parts, rest) = (Vec::new(), inside);
    }
    loop {
        if let Some(after) = rest.strip_prefix("./") {
            rest = after;
        } else if let Some(after) = rest.strip_prefix("../") {
            parts.pop()?;
            rest = after;
        } else {
            parts.push(rest);
            return Some(parts.join("/"));
        }
    }
}

/// Whether what was typed is a file that history knows, with or without a node in it.
fn names_a_file(archive: &Archive, typed: &str) -> bool {
    let ends = typed.match_indices(['#', ':']).map(|(at, _)| at).chain([typed.len()]);
    ends.into_iter().any(|end| archive.edits_at(&typed[..end]).next().is_some())
}

/// The edits of what was typed, newest first.
fn trace(
    archive: &Archive,
    objects: &Objects,
    tip: &ObjectId,
    typed: &str,
) -> Result<(String, Option<String>, Vec<Row>), Failure> {
    let known = archive.known_at(tip).unwrap_or_default();
    let (path, node) = find(archive, objects, tip, typed)?;
    let mut steps = match &node {
        Some(node) => archive.lineage(&known, &path, &node.symbol, &node.kind, node.text),
        None => archive.steps(archive.trace_file(&known, &path).into_iter().map(|edit| (edit, None))),
    };
    archive.compare_returns(&mut steps)?;
    let symbol = node.map(|node| node.symbol);
    if steps.is_empty() {
        let what = symbol.as_ref().map_or(path.clone(), |symbol| format!("{path}#{symbol}"));
        let failure = Failure::new(Kind::Data, format!("`{what}` has no history as of {}", short(tip)));
        let places = archive.alive(objects, tip)?;
        let named = places.iter().filter(|place| is_end_of(&place.symbol, typed));
        let named: BTreeSet<String> = named.map(|place| format!("`{}#{}`", place.path, place.symbol)).collect();
        let paths = || places.iter().map(|place| &*place.path);
        let files: BTreeSet<String> =
            paths().filter(|path| is_file_of(path, typed)).map(|path| format!("`{path}`")).collect();
        let folder = format!("{}/", typed.trim_end_matches('/'));
        return Err(failure.with_hint(match some_of(&named).or_else(|| some_of(&files)) {
            Some(named) => format!("there is {named}"),
            None if paths().any(|path| path.starts_with(&folder)) => "it is a folder; name a file in it".to_owned(),
            None => {
                "paths are those of here or of the root of the repository; name a node as in: src/lib.rs#Parser::next"
                    .to_owned()
            }
        }));
    }
    let rows: Vec<Row> = steps.iter().map(|step| Row::of(archive, step)).collect();
    if let Some(symbol) = symbol.as_deref().filter(|_| has_namesakes(&rows)) {
        let places = archive.alive(objects, tip)?;
        let of_name = places.iter().filter(|place| *place.path == *path && *place.symbol == *symbol);
        let mut lines: Vec<String> = of_name.map(|place| format!("{path}:{}", place.start_line)).collect();
        lines.dedup();
        if lines.len() > 1 {
            let shown = visible(&lines[..lines.len().min(MAX_LISTED)].join(", "));
            screen::tell(&format!(
                "note: {} nodes are called `{}`; a line tells them apart: {shown}",
                lines.len(),
                visible(symbol)
            ));
        }
    }
    Ok((path, symbol, rows))
}

/// Whether one commit did something to more than one node of the name that was asked for.
fn has_namesakes(rows: &[Row]) -> bool {
    let own = || rows.iter().filter(|row| row.via.is_none());
    own()
        .zip(own().skip(1))
        .any(|(one, two)| (&one.commit, &one.path, &one.symbol) == (&two.commit, &two.path, &two.symbol))
}

/// Whether a path is what was typed, but for capitals, or ends in it as `src/a.rs` does in `a.rs`.
fn is_file_of(path: &str, typed: &str) -> bool {
    let (path, typed) = (path.to_lowercase(), typed.to_lowercase());
    path.strip_suffix(&typed).is_some_and(|before| before.is_empty() || before.ends_with('/'))
}

/// A node that was asked for.
struct Node {
    symbol: String,
    kind: Arc<str>,
    /// The number of its text, where a line said which of several namesakes is meant.
    text: Option<u32>,
}

/// What was typed, as a path and perhaps a node.
fn find(archive: &Archive, objects: &Objects, tip: &ObjectId, typed: &str) -> Result<(String, Option<Node>), Failure> {
    // A path may hold `#` or `:`; what exists under the whole text is meant.
    if archive.edits_at(typed).next().is_some() {
        return Ok((typed.to_owned(), None));
    }
    let splits = || typed.match_indices('#').map(|(at, _)| (&typed[..at], &typed[at + 1..]));
    let indexed = splits().find(|(path, _)| archive.edits_at(path).next().is_some());
    if let Some((path, symbol)) = indexed.or_else(|| splits().next()) {
        // The newest node of that name; a line tells its namesakes apart.
        let known = archive.known_at(tip).unwrap_or_default();
        let names =
            archive.edits_at(path).filter(|edit| known.has(edit.commit)).filter_map(|edit| edit.symbol.as_deref());
        let symbol = spelt_out(names, symbol)?;
        let is_named = |edit: &&EditRow| known.has(edit.commit) && edit.symbol.as_deref() == Some(symbol);
        let kind = archive.edits_at(path).rev().find(is_named).and_then(|edit| edit.kind.clone());
        let node = Node { symbol: symbol.to_owned(), kind: kind.unwrap_or_else(|| "".into()), text: None };
        return Ok((path.to_owned(), Some(node)));
    }
    let Some((path, line)) = typed.rsplit_once(':').and_then(|(path, line)| Some((path, line.parse::<u32>().ok()?)))
    else {
        return Ok((typed.to_owned(), None));
    };
    let places = archive.alive(objects, tip)?;
    let innermost = places
        .iter()
        .filter(|place| *place.path == *path && (place.start_line..=place.end_line).contains(&line))
        .min_by_key(|place| place.end_line - place.start_line);
    match innermost {
        Some(place) => {
            let kind = archive.head(place.chunk).kind.clone();
            Ok((path.to_owned(), Some(Node { symbol: place.symbol.to_string(), kind, text: Some(place.chunk) })))
        }
        None => Err(Failure::new(Kind::Data, format!("no node stands at `{typed}` as of {}", short(tip))).with_hint(
            "the line may be blank, or the file not indexed; see the file itself with: precedent lineage PATH",
        )),
    }
}

/// The one name that was meant: itself, or the only one that ends in it.
fn spelt_out<'a>(names: impl Iterator<Item = &'a str>, typed: &'a str) -> Result<&'a str, Failure> {
    let found: BTreeSet<&str> = names.filter(|name| is_end_of(name, typed)).collect();
    if found.contains(typed) {
        return Ok(typed);
    }
    match (found.len(), found.first()) {
        (0, _) | (_, None) => Ok(typed),
        (1, Some(only)) => Ok(only),
        (number, _) => {
            let named: BTreeSet<String> = found.iter().map(|name| format!("`{name}`")).collect();
            let failure = Failure::new(Kind::Data, format!("`{typed}` may be any of {number} nodes there"));
            Err(failure.with_hint(format!("name one in full: {}", some_of(&named).unwrap_or_default())))
        }
    }
}

/// Whether a symbol is what was typed, or ends in it as `Parser::next` does in `next`.
fn is_end_of(symbol: &str, typed: &str) -> bool {
    let before = symbol.strip_suffix(typed).filter(|_| !typed.is_empty());
    before.is_some_and(|before| before.is_empty() || before.ends_with([':', '.', '#', '/']))
}

/// The first few of some names.
fn some_of(names: &BTreeSet<String>) -> Option<String> {
    let shown: Vec<String> = names.iter().take(MAX_LISTED).map(|name| visible(name)).collect();
    match names.len().saturating_sub(MAX_LISTED) {
        0 => (!shown.is_empty()).then(|| shown.join(", ")),
        more => Some(format!("{} and {more} more", shown.join(", "))),
    }
}

#[derive(Serialize)]
struct Document<'a> {
    path: &'a str,
    symbol: Option<&'a str>,
    as_of: String,
    edits: &'a [Row],
}

#[derive(Serialize)]
struct Row {
    commit: String,
    time: i64,
    author: String,
    subject: String,
    change: &'static str,
    path: Arc<str>,
    symbol: Option<Arc<str>>,
    before_path: Option<Arc<str>>,
    before_symbol: Option<Arc<str>>,
    lines: Option<[u32; 2]>,
    similarity: Option<f32>,
    before: Option<String>,
    after: Option<String>,
    /// For an edit of another node: how that one belongs here.
    via: Option<&'static str>,
    /// The commit that had removed what is there again.
    returns: Option<String>,
    reverts: Vec<String>,
    reapplies: Vec<String>,
}

impl Row {
    fn of(archive: &Archive, step: &Step<'_>) -> Row {
        let edit: &EditRow = step.edit;
        let ids = |numbers: &[u32]| numbers.iter().map(|number| archive.commit(*number).id.to_string()).collect();
        let commit = archive.commit(edit.commit);
        let chunk = |number: Option<u32>| number.map(|number| archive.head(number).id.to_string());
        Row {
            commit: commit.id.to_string(),
            time: commit.author_time,
            author: commit.author.clone(),
            subject: subject(&commit.message),
            change: edit.change.as_str(),
            path: edit.path.clone(),
            symbol: edit.symbol.clone(),
            before_path: edit.before_path.clone(),
            before_symbol: edit.before_symbol.clone(),
            lines: edit.symbol.as_ref().map(|_| [edit.start_line, edit.end_line]),
            similarity: edit.similarity.or(step.returns.and_then(|found| found.similarity)),
            before: chunk(edit.before),
            after: chunk(edit.after),
            via: step.via.map(|via| via.as_str()),
            returns: step.returns.map(|found| archive.commit(found.commit).id.to_string()),
            reverts: ids(&step.reverts),
            reapplies: ids(&step.reapplies),
        }
    }
}

fn shown(path: &str, symbol: Option<&str>, rows: &[Row]) -> String {
    let style = screen::style();
    let mut out = match symbol {
        Some(symbol) => format!("  {}  {}\n", visible(symbol), visible(path)),
        None => format!("  {}\n", visible(path)),
    };
    for row in rows {
        let what = match row.similarity {
            // What is not the same is not told as the whole of it.
            Some(similarity) if similarity < 1.0 => format!("{} {:.2}", row.change, similarity.min(0.99)),
            _ => row.change.to_owned(),
        };
        out.push_str(&format!("  {}  {}  {what:<14}", &row.commit[..7], day(row.time)));
        // Some messages are one long paragraph.
        let subject = clip(&visible(or_none(&row.subject, NO_MESSAGE)), MAX_SUBJECT_COLUMNS);
        let text = format!("{subject} ({})", visible(or_none(&row.author, NO_NAME)));
        for (at, line) in wrap(&text, style.width.saturating_sub(37)).iter().enumerate() {
            let indent = if at == 0 { "" } else { "                                     " };
            out.push_str(&format!("{indent}{line}\n"));
        }
        let from: Vec<String> =
            [row.before_path.as_deref(), row.before_symbol.as_deref()].into_iter().flatten().map(visible).collect();
        let mut notes = Vec::new();
        if !from.is_empty() {
            notes.push(format!("from {}", from.join("#")));
        }
        if let (Some(via), Some(symbol)) = (row.via, &row.symbol) {
            notes.push(format!("{via}: {}#{}", visible(&row.path), visible(symbol)));
        }
        if let Some(commit) = &row.returns {
            notes.push(format!("removed in {}", &commit[..7]));
        }
        for (word, commits) in [("reverts", &row.reverts), ("reapplies", &row.reapplies)] {
            if !commits.is_empty() {
                notes.push(format!("{word} {}", listed(commits)));
            }
        }
        for note in notes {
            out.push_str(&format!("{}{note}\n", " ".repeat(37)));
        }
    }
    out
}

/// Commits by their short ids, the first few of many.
fn listed(commits: &[String]) -> String {
    let shown: Vec<&str> = commits.iter().take(MAX_LISTED).map(|commit| &commit[..7]).collect();
    match commits.len().saturating_sub(MAX_LISTED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
