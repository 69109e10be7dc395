//! Past: what history says of a node before anybody asks: how often it changed, when, how often to be mended, and which
//! commits that spoke of what is asked went on to touch it.
//!
//! All of it is as known at one commit: an edit counts when its commit is an ancestor.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::archive::{Archive, Known};
use crate::shard::{Change, EditRow};

/// Messages that are asked what their commits touched.
pub const HEARD: usize = 100;
/// How often the words of a subject count.
pub const SUBJECT_TIMES: usize = 2;
/// Renames that are followed from one place, in either direction; a guard against circles.
const MOST_HOPS: usize = 16;

type Name = (Arc<str>, Arc<str>);

/// The edits of an archive, ready to be asked about places.
pub struct Past<'a> {
    archive: &'a Archive,
    /// For what was renamed or moved away: when, and to where; and the reverse.
    after: FxHashMap<Name, Vec<(u32, Name)>>,
    before: FxHashMap<Name, Vec<(u32, Name)>>,
    /// The same of files.
    file_after: FxHashMap<Arc<str>, Vec<(u32, Arc<str>)>>,
    file_before: FxHashMap<Arc<str>, Vec<(u32, Arc<str>)>>,
    /// For each commit, whether its subject speaks of a fault.
    mends: Vec<bool>,
}

/// What happened to a node, or to a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deeds {
    /// Commits that edited it.
    pub edits: u32,
    /// Those among them that mended something.
    pub mends: u32,
    /// The number of the last one, plus one; 0 where there is none.
    pub last: u32,
}

impl Deeds {
    fn add(&mut self, commit: u32, mends: bool) {
        // Edits come in order of commits, and one commit may have more than one row for a node.
        if self.last != commit + 1 {
            self.edits += 1;
            self.mends += u32::from(mends);
        }
        self.last = self.last.max(commit + 1);
    }

    fn with(self, other: Deeds) -> Deeds {
        Deeds { edits: self.edits + other.edits, mends: self.mends + other.mends, last: self.last.max(other.last) }
    }
}

/// Everything that happened at one path.
#[derive(Debug, Clone, Default)]
pub struct FileDeeds {
    file: Deeds,
    nodes: FxHashMap<Arc<str>, Deeds>,
}

/// What commits that speak of the question touched, by today's names. The most touched has 1.
#[derive(Debug, Clone, Default)]
pub struct Votes {
    /// By path and symbol.
    pub nodes: FxHashMap<Name, f32>,
    /// By path.
    pub files: FxHashMap<Arc<str>, f32>,
}

impl<'a> Past<'a> {
    /// Looks for renames and fixes.
    pub fn new(archive: &'a Archive) -> Past<'a> {
        let mut past = Past {
            archive,
            after: FxHashMap::default(),
            before: FxHashMap::default(),
            file_after: FxHashMap::default(),
            file_before: FxHashMap::default(),
            mends: (0..archive.commit_count())
                .map(|at| speaks_of_a_fault(&archive.commit(at as u32).message))
                .collect(),
        };
        for edit in archive.edits() {
            match &edit.symbol {
                None => {
                    if let Some(old) = &edit.before_path {
                        let (old, new) = (old.clone(), edit.path.clone());
                        past.file_before.entry(new.clone()).or_default().push((edit.commit, old.clone()));
                        past.file_after.entry(old).or_default().push((edit.commit, new));
                    }
                }
                Some(symbol) if matches!(edit.change, Change::Moved | Change::Renamed) => {
                    let path = edit.before_path.clone().unwrap_or_else(|| edit.path.clone());
                    let old = (path, edit.before_symbol.clone().unwrap_or_else(|| symbol.clone()));
                    let new = (edit.path.clone(), symbol.clone());
                    if old != new {
                        past.before.entry(new.clone()).or_default().push((edit.commit, old.clone()));
                        past.after.entry(old).or_default().push((edit.commit, new));
                    }
                }
                Some(_) => {}
            }
        }
        past
    }

    /// What happened at a path, under its present name.
    pub fn at_path(&self, path: &str, known: &Known) -> FileDeeds {
        let mut deeds = FileDeeds::default();
        for edit in self.archive.edits_at(path).filter(|edit| known.has(edit.commit)) {
            let mends = self.mends[edit.commit as usize];
            match &edit.symbol {
                None => deeds.file.add(edit.commit, mends),
                Some(symbol) => deeds.nodes.entry(symbol.clone()).or_default().add(edit.commit, mends),
            }
        }
        deeds
    }

    /// What happened to a file, before it was renamed too. `at` gives what happened at a path.
    pub fn of_file(&self, path: &Arc<str>, known: &Known, at: &mut impl FnMut(&Arc<str>) -> Arc<FileDeeds>) -> Deeds {
        let mut all = at(path).file;
        let (mut path, mut until) = (path.clone(), u32::MAX);
        for _ in 0..MOST_HOPS {
            let Some((commit, old)) = latest(self.file_before.get(&path), known, until) else { break };
            all = all.with(at(&old).file);
            (path, until) = (old, commit);
        }
        all
    }

    /// What happened to a node, under its earlier names too.
    pub fn of_node(
        &self,
        path: &Arc<str>,
        symbol: &Arc<str>,
        known: &Known,
        at: &mut impl FnMut(&Arc<str>) -> Arc<FileDeeds>,
    ) -> Deeds {
        let deeds = |name: &Name, file: &FileDeeds| file.nodes.get(&name.1).copied().unwrap_or_default();
        let (mut name, mut until) = ((path.clone(), symbol.clone()), u32::MAX);
        let mut all = deeds(&name, &at(&name.0));
        for _ in 0..MOST_HOPS {
            let Some((commit, old)) = latest(self.before.get(&name), known, until) else { break };
            all = all.with(deeds(&old, &at(&old.0)));
            (name, until) = (old, commit);
        }
        all
    }

    /// The nodes and files that commits touched whose messages match a question, best first with their scores. What
    /// matches worse counts less, and a commit that touched many says less of each.
    pub fn votes(&self, commits: &[(u32, f32)], known: &Known) -> Votes {
        let mut votes = Votes::default();
        let best = commits.first().map_or(1.0, |commit| commit.1).max(f32::MIN_POSITIVE);
        for (commit, score) in commits.iter().filter(|(commit, _)| known.has(*commit)) {
            let weight = (score / best).powi(2);
            let edits = self.edits_of(*commit);
            let nodes: FxHashSet<Name> = edits
                .iter()
                .filter(|edit| edit.change != Change::Removed)
                .filter_map(|edit| Some((edit.path.clone(), edit.symbol.clone()?)))
                .collect();
            let files: FxHashSet<Arc<str>> =
                edits.iter().filter(|edit| edit.symbol.is_none()).map(|edit| edit.path.clone()).collect();
            let (node_share, file_share) = (share(weight, nodes.len()), share(weight, files.len()));
            for name in nodes {
                *votes.nodes.entry(self.name_now(name, *commit, known)).or_default() += node_share;
            }
            for path in files {
                *votes.files.entry(self.path_now(path, *commit, known)).or_default() += file_share;
            }
        }
        scale(&mut votes.nodes);
        scale(&mut votes.files);
        votes
    }

    fn edits_of(&self, commit: u32) -> &[EditRow] {
        let edits = self.archive.edits();
        let start = edits.partition_point(|edit| edit.commit < commit);
        let count = edits[start..].partition_point(|edit| edit.commit == commit);
        &edits[start..start + count]
    }

    fn name_now(&self, mut name: Name, mut since: u32, known: &Known) -> Name {
        for _ in 0..MOST_HOPS {
            let Some((commit, new)) = next(self.after.get(&name), known, since) else { break };
            (name, since) = (new, commit);
        }
        name
    }

    fn path_now(&self, mut path: Arc<str>, mut since: u32, known: &Known) -> Arc<str> {
        for _ in 0..MOST_HOPS {
            let Some((commit, new)) = next(self.file_after.get(&path), known, since) else { break };
            (path, since) = (new, commit);
        }
        path
    }
}

/// What one of so many gets.
fn share(weight: f32, count: usize) -> f32 {
    weight / (count.max(1) as f32).sqrt()
}

fn scale<K>(votes: &mut FxHashMap<K, f32>) {
    let most = votes.values().fold(0.0f32, |most, vote| most.max(*vote));
    if most > 0.0 {
        votes.values_mut().for_each(|vote| *vote /= most);
    }
}

/// The last known rename before a commit; renames are in order of commits.
fn latest<T: Clone>(renames: Option<&Vec<(u32, T)>>, known: &Known, until: u32) -> Option<(u32, T)> {
    renames?.iter().rev().find(|(commit, _)| *commit < until && known.has(*commit)).cloned()
}

/// The first known rename after a commit.
fn next<T: Clone>(renames: Option<&Vec<(u32, T)>>, known: &Known, since: u32) -> Option<(u32, T)> {
    renames?.iter().find(|(commit, _)| *commit > since && known.has(*commit)).cloned()
}

/// Whether the subject of a message calls the commit a fix.
fn speaks_of_a_fault(message: &str) -> bool {
    let subject = message.lines().next().unwrap_or("");
    let mut speaks = false;
    super::words::for_each_stem(subject, |stem| {
        speaks |= matches!(stem, "fix" | "fixed" | "fixing" | "bug" | "bugfix" | "hotfix" | "regression");
    });
    speaks
}

/// The words of a message that are its author's: no trailers, no lines of other tools, no addresses. The subject stands
/// apart, since it counts more.
pub fn said(message: &str) -> (&str, String) {
    let mut lines = message.lines();
    let subject = lines.next().unwrap_or("").trim();
    let mut body = String::new();
    for line in lines {
        let is_trailer = line.split_once(": ").is_some_and(|(key, _)| {
            key.contains('-')
                && key.starts_with(char::is_uppercase)
                && key.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
        });
        if is_trailer || line.starts_with("git-subtree-") {
            continue;
        }
        for word in line.split_whitespace().filter(|word| !word.contains("://")) {
            body.push_str(word);
            body.push(' ');
        }
    }
    (subject, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_their_authors_words() {
        let (subject, body) =
            said("parse: keep lines (#12)\n\nSee https://example.org/x for why.\n\nSigned-off-by: A <a@b>\nNote: kept");
        assert_eq!((subject, body.trim()), ("parse: keep lines (#12)", "See for why. Note: kept"));
    }

    #[test]
    fn faults_are_spoken_of() {
        assert!(speaks_of_a_fault("Fixes the parser") && speaks_of_a_fault("fixed bugs in lines"));
        assert!(!speaks_of_a_fault("add a prefix\n\nfix"));
    }

    #[test]
    fn a_commit_with_two_rows_for_a_node_is_one_edit() {
        let mut deeds = Deeds::default();
        [(3, true), (3, true), (5, false)].iter().for_each(|(commit, mends)| deeds.add(*commit, *mends));
        assert_eq!(deeds, Deeds { edits: 2, mends: 1, last: 6 });
    }
}
