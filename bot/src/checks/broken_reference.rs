//! Broken-reference: this change moves or deletes a file, a directory or a heading, and documentation still points at it.
//!
//! Said only where the reference led to the very file before the change and leads nowhere after it.

use std::collections::BTreeSet;

use super::links::{Token, anchors, has_explicit, is_same_path, resolve, slugs, token_at};
use super::mention::{is_about_another_time, is_historical, occurrences};
use super::tree::{Role, Tree, role, words};
use super::{Scene, anchor};
use crate::change::{Change, ChangedFile};
use crate::finding::{Citation, Finding, NodeName, Severity};
use crate::render::{code, visible};

pub(super) const NAME: &str = "broken-reference";

/// Paths and headings looked into on one change, so that a review ends in time.
const MAX_TARGETS: usize = 400;
/// Places that are cited for one target.
const MAX_CITED: usize = 3;

/// What is not there any more.
struct Target {
    /// The path, or the path of the document that lost a heading.
    path: String,
    /// The heading's anchor; empty for the file or directory itself.
    slug: String,
    is_directory: bool,
    /// What the file became.
    moved_to: Option<String>,
    /// A line of the base that shows it, from 1.
    line: u32,
}

/// A reference that leads nowhere.
struct Broken {
    file: usize,
    line: u32,
    text: String,
}

/// One claim for each file, directory or heading.
pub(super) fn findings(scene: &Scene<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for target in targets(scene) {
        let broken = references(scene, &target);
        found.extend(finding(scene, &target, &broken));
    }
    found
}

fn targets(scene: &Scene<'_>) -> Vec<Target> {
    let mut targets = Vec::new();
    let mut directories: BTreeSet<&str> = BTreeSet::new();
    for file in scene.change.files.iter().filter(|file| !file.exists) {
        let moved_to = anchor::target_of(scene.change, file).map(|new| new.path.to_string());
        targets.push(Target {
            path: file.path.to_string(),
            slug: String::new(),
            is_directory: false,
            moved_to,
            line: 1,
        });
        let above = std::iter::successors(file.path.rsplit_once('/'), |(directory, _)| directory.rsplit_once('/'));
        directories.extend(above.map(|(directory, _)| directory).filter(|directory| directory.contains('/')));
    }
    for directory in directories {
        if !scene.tree.has_directory(directory) {
            let path = directory.to_owned();
            targets.push(Target { path, slug: String::new(), is_directory: true, moved_to: None, line: 1 });
        }
    }
    for file in scene
        .change
        .files
        .iter()
        .filter(|file| file.exists && file.language.is_ok_and(|language| language.name == "markdown"))
    {
        targets.extend(gone_headings(scene.change, file));
    }
    targets.truncate(MAX_TARGETS);
    targets
}

fn gone_headings(change: &Change, file: &ChangedFile) -> Vec<Target> {
    if file.before.is_empty() {
        return Vec::new();
    }
    let after = anchors(&file.after);
    let included: Vec<BTreeSet<String>> = included(change, file).map(|other| anchors(&other.after)).collect();
    let is_kept = |slug: &str| {
        after.contains(slug) || has_explicit(&file.after, slug) || included.iter().any(|anchors| anchors.contains(slug))
    };
    let mut gone = Vec::new();
    for (slug, line) in slugs(&file.before) {
        if !is_kept(&slug) && file.diff.removed.binary_search(&line).is_ok() {
            gone.push(Target { path: file.path.to_string(), slug, is_directory: false, moved_to: None, line });
        }
    }
    gone
}

/// Documents of this change that a page has come to name: it may show what has moved into them as its own.
fn included<'c>(change: &'c Change, page: &'c ChangedFile) -> impl Iterator<Item = &'c ChangedFile> {
    let lines: Vec<&str> = page.after.lines().collect();
    let added: Vec<&str> =
        page.diff.added.iter().filter_map(|number| lines.get(*number as usize - 1).copied()).collect();
    change.files.iter().filter(move |other| {
        let name = other.path.rsplit('/').next().unwrap_or(&other.path);
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        other.path != page.path && stem.len() >= 4 && added.iter().any(|line| line.contains(stem))
    })
}

/// Every reference to the target that led to it, and now leads nowhere.
fn references(scene: &Scene<'_>, target: &Target) -> Vec<Broken> {
    let last = target.path.rsplit('/').next().unwrap_or(&target.path);
    let needle = if target.slug.is_empty() { last } else { &target.slug };
    if words(needle).next().is_none() || is_made_by_programs(scene.tree, last) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for file in scene.tree.holders(needle) {
        let path = scene.tree.path(file);
        let role = scene.tree.role(file);
        if matches!(role, Role::Other) || is_historical(path) && !is_link_list(path) || is_ignore_list(path) {
            continue;
        }
        let Some(text) = scene.tree.text(file) else { continue };
        if !text.contains(needle) {
            continue;
        }
        let comments = match role {
            Role::Code(language) => match scene.tree.comments(file, language) {
                Some(comments) => Some(comments),
                None => continue,
            },
            _ => None,
        };
        for at in occurrences(&text, needle) {
            if comments.as_ref().is_some_and(|comments| !comments.iter().any(|range| range.contains(&at))) {
                continue;
            }
            let token = token_at(&text, at, needle.len());
            if !leads_to(scene, path, &token, target) {
                continue;
            }
            let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
            let line = u32::try_from(text[..start].matches('\n').count() + 1).unwrap_or(u32::MAX);
            if is_about_another_time(&text, line) && !token.is_link || is_new(scene.change, path, line, &text) {
                continue;
            }
            let text = text[start..].lines().next().unwrap_or_default().to_owned();
            if text.contains("panicked at") {
                continue;
            }
            found.push(Broken { file, line, text });
        }
    }
    found.dedup_by(|one, two| (one.file, one.line) == (two.file, two.line));
    found
}

/// Whether a reference led to the target before, and nowhere after.
fn leads_to(scene: &Scene<'_>, from: &str, token: &Token<'_>, target: &Target) -> bool {
    let (path, fragment) = token.text.split_once('#').unwrap_or((token.text, ""));
    let directory = from.rsplit_once('/').map_or("", |(directory, _)| directory);
    if !target.slug.is_empty() {
        let is_here = path.is_empty() && from == target.path;
        let is_there = !path.is_empty() && resolve(directory, path).is_some_and(|path| path == target.path);
        return token.is_link && fragment == target.slug && (is_here || is_there);
    }
    if token.text.contains("://") || path.is_empty() || token.is_template {
        return false;
    }
    let exists = |path: &str| scene.tree.has(path) || scene.tree.has_directory(path);
    let relative = resolve(directory, path);
    let rooted = resolve("", path.trim_start_matches('/'));
    if relative.as_deref().is_some_and(exists) || rooted.as_deref().is_some_and(exists) {
        return false;
    }
    let is_target = |path: &Option<String>| path.as_deref().is_some_and(|path| is_same_path(path, &target.path));
    if token.is_link && !target.is_directory {
        return is_target(&relative) || path.starts_with('/') && is_target(&rooted);
    }
    let depth = path.trim_matches('/').matches('/').count();
    if depth == 0 {
        return false;
    }
    let starts_here = path.starts_with("./") || path.starts_with("../");
    if is_target(&rooted) || is_target(&relative) && starts_here {
        return true;
    }
    // A path from the root of a package, as people write in its sources.
    let suffix = format!("/{}", path.trim_matches('/'));
    matches!(role(from), Role::Code(_))
        && !target.is_directory
        && target.path.ends_with(&suffix)
        && is_nearby(from, &target.path[..target.path.len() - suffix.len()])
        && !scene.tree.paths().any(|other| other.ends_with(&suffix))
}

/// Whether a file stands under the directory that a path is meant from.
fn is_nearby(from: &str, root: &str) -> bool {
    from.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'))
}

/// A line that this change wrote; a line that only moved is not.
pub(super) fn is_new(change: &Change, path: &str, line: u32, text: &str) -> bool {
    let Some(file) = change.file(path) else { return false };
    let trimmed = text.lines().nth(line as usize - 1).unwrap_or_default().trim();
    file.diff.added.binary_search(&line).is_ok() && !file.before.lines().any(|line| line.trim() == trimmed)
}

/// What a build makes may be spoken of without being in the tree.
fn is_made_by_programs(tree: &Tree<'_>, name: &str) -> bool {
    tree.holders(name).into_iter().any(|file| {
        is_ignore_list(tree.path(file)) && tree.text(file).is_some_and(|text| occurrences(&text, name).next().is_some())
    })
}

fn is_ignore_list(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.contains("ignore") || name.starts_with('.') && (name == ".gitattributes" || name.ends_with("rc"))
}

/// A table of contents is about now, whatever its name.
fn is_link_list(path: &str) -> bool {
    path.rsplit('/').next() == Some("SUMMARY.md")
}

fn finding(scene: &Scene<'_>, target: &Target, broken: &[Broken]) -> Option<Finding> {
    let path_of = |broken: &Broken| scene.tree.path(broken.file).to_owned();
    let shown = broken
        .iter()
        .find_map(|broken| Some((broken, anchor::of_new_line(scene.change, &path_of(broken), broken.line)?)));
    let (first, anchor) = match shown {
        Some(shown) => shown,
        None => (broken.first()?, anchor_of(scene.change, target)?),
    };
    let mut citations = Vec::new();
    let rest = broken.iter().filter(|other| !std::ptr::eq(*other, first));
    for broken in std::iter::once(first).chain(rest).take(MAX_CITED) {
        citations.push(Citation::read(scene.objects, &scene.change.head, &path_of(broken), broken.line, broken.line)?);
    }
    let place = visible(&path_of(first));
    let what = match (target.slug.is_empty(), target.is_directory) {
        (false, _) => format!("the heading {} of {}", code(&format!("#{}", target.slug)), code(&target.path)),
        (true, true) => format!("the directory {}", code(&target.path)),
        (true, false) => code(&target.path),
    };
    let verb = match &target.moved_to {
        Some(new) => format!("which this change moves to {}", code(new)),
        None if !target.slug.is_empty() => "which this change renames or removes".to_owned(),
        None => "which this change moves or removes".to_owned(),
    };
    let mut body = format!("Line {} of {} reads: {}.", first.line, code(&place), code(first.text.trim()));
    if broken.len() > 1 {
        body.push_str(&format!(" {} places point there in all.", broken.len()));
    }
    if !target.is_directory {
        citations.push(Citation::read(scene.objects, &scene.change.base, &target.path, target.line, target.line)?);
    }
    let evidence = format!("{}#{}", target.path, target.slug);
    Some(Finding {
        id: Finding::id(NAME, &NodeName { path: path_of(first), symbol: String::new() }, &evidence),
        check: NAME,
        path: anchor.path,
        side: anchor.side,
        start_line: None,
        line: anchor.line,
        severity: Severity::Minor,
        confidence: None,
        title: format!("{} still points at {what}, {verb}", code(&place)),
        body,
        suggestion: None,
        citations,
    })
}

fn anchor_of(change: &Change, target: &Target) -> Option<anchor::Anchor> {
    if !target.slug.is_empty() {
        return Some(anchor::Anchor { path: target.path.clone(), side: crate::finding::Side::Left, line: target.line });
    }
    if target.is_directory {
        let inside = |file: &&ChangedFile| !file.exists && file.path.starts_with(&format!("{}/", target.path));
        return change.files.iter().filter(inside).find_map(|file| anchor::of_gone_file(change, &file.path));
    }
    anchor::of_gone_file(change, &target.path)
}
