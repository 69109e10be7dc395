//! Changes: some commits, read and classified: the first stage of a run.
//!
//! Reading is spread over the threads. Attributes build up from commit to commit, so classifying is done in order.
//!
//! Where the attribute files of a tree are others than those of a parent, files that the commit leaves as they are may
//! become readable. The commit *lets them in*: they are cut here, since no earlier commit had them cut.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Instant;

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use crate::PipelineError;
use crate::chunker::Chunker;
use crate::history::{
    AttributeFiles, AttributeRules, Commit, Entry, FileChange, HistoryError, Mode, Objects, Pool, Repository, Walk,
    attribute_directory,
};
use crate::shard::ObjectId;
use crate::syntax::{Language, Skip};

/// How the content of one side of a file change is to be treated.
pub(crate) type Class = Result<&'static Language, Skip>;

/// A file change with the class of each side.
pub(crate) struct Classified {
    pub(crate) change: FileChange,
    pub(crate) before: Vec<Option<(Entry, Class)>>,
    pub(crate) after: Option<(Entry, Class)>,
}

/// A file that a commit lets in.
pub(crate) struct LetIn {
    pub(crate) path: Arc<str>,
    pub(crate) id: ObjectId,
    pub(crate) language: &'static Language,
}

/// A commit with what it changed and what it lets in, each in order of path.
pub(crate) struct Changed {
    pub(crate) commit: Commit,
    pub(crate) files: Vec<Classified>,
    pub(crate) let_in: Vec<LetIn>,
}

/// Some commits with what they changed, in order.
pub(crate) struct Batch {
    pub(crate) commits: Vec<Changed>,
    /// Every directory in which history has held an attribute file so far.
    pub(crate) attribute_dirs: Vec<String>,
    /// Attribute files that a partial clone lacks.
    pub(crate) missing: Vec<ObjectId>,
    /// The time it took.
    pub(crate) seconds: f64,
}

impl Batch {
    /// The same commits in batches that change about so many files at the most, but for single commits of more.
    pub(crate) fn split(self, most_files: usize) -> Vec<Batch> {
        let Batch { commits, attribute_dirs, missing, mut seconds } = self;
        let mut batches: Vec<Batch> = Vec::new();
        let mut files = 0;
        for changed in commits {
            let more = changed.files.len() + changed.let_in.len();
            files += more;
            match batches.last_mut() {
                Some(last) if files <= most_files => last.commits.push(changed),
                _ => {
                    files = more;
                    batches.push(Batch {
                        commits: vec![changed],
                        attribute_dirs: attribute_dirs.clone(),
                        missing: missing.clone(),
                        seconds: std::mem::take(&mut seconds),
                    });
                }
            }
        }
        batches
    }
}

fn read(
    repository: &Repository,
    objects: &Pool<'_>,
    ids: &[ObjectId],
) -> Result<Vec<(Commit, Vec<FileChange>)>, PipelineError> {
    ids.par_iter()
        .with_min_len(16)
        .map_init(
            || objects.take(),
            |objects, id| {
                let commit = objects.commit(repository, id)?;
                let changes = objects.changes(&commit)?;
                Ok((commit, changes))
            },
        )
        .collect()
}

/// Gives every commit that the tips reach, parents first, with the files that it changed: the first stage of a run, but for
/// what the commits say.
///
/// # Errors
/// History that cannot be read.
pub fn each_change(
    repository: &Repository,
    tips: &[ObjectId],
    mut each: impl FnMut(&ObjectId, &[FileChange]),
) -> Result<(), PipelineError> {
    let commits = Walk::linked(repository, tips, &HashSet::new())?;
    let trees: FxHashMap<ObjectId, ObjectId> = commits.iter().map(|commit| (commit.id, commit.tree)).collect();
    let pool = Pool::new(repository, Objects::for_trees);
    for commits in commits.chunks(1024) {
        let changes: Vec<Vec<FileChange>> = commits
            .par_iter()
            .with_min_len(16)
            .map_init(
                || pool.take(),
                |objects, commit| {
                    let parents = commit.parents.iter().map(|parent| trees[parent]).collect();
                    objects.changes_of_trees(parents, commit.tree)
                },
            )
            .collect::<Result<_, HistoryError>>()?;
        commits.iter().zip(&changes).for_each(|(commit, changes)| each(&commit.id, changes));
    }
    Ok(())
}

/// Commits whose attribute files are kept. Those of others are looked up when a child of theirs comes.
const KEPT_COMMITS: usize = 1 << 16;

/// Reads batches, one after the other.
pub(crate) struct Changes<'r> {
    repository: &'r Repository,
    objects: Pool<'r>,
    rules: AttributeRules,
    /// The attribute files of commits that were read, which are those of their parents but for what they changed.
    files: FxHashMap<ObjectId, Arc<AttributeFiles>>,
}

impl<'r> Changes<'r> {
    /// A reader that knows the directories with attribute files that earlier runs have met.
    pub(crate) fn new(repository: &'r Repository, attribute_dirs: &[String]) -> Changes<'r> {
        let rules = AttributeRules::new(attribute_dirs.iter().cloned());
        Changes { repository, objects: Pool::new(repository, Objects::for_trees), rules, files: FxHashMap::default() }
    }

    /// What these commits changed.
    ///
    /// # Errors
    /// History that cannot be read.
    pub(crate) fn read(&mut self, ids: &[ObjectId]) -> Result<Batch, PipelineError> {
        let started = Instant::now();
        let commits = read(self.repository, &self.objects, ids)?
            .into_iter()
            .map(|(commit, changes)| self.classify(commit, changes))
            .collect::<Result<_, _>>()?;
        Ok(Batch {
            commits,
            attribute_dirs: self.rules.directories(),
            missing: self.rules.missing().copied().collect(),
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    fn classify(&mut self, commit: Commit, changes: Vec<FileChange>) -> Result<Changed, HistoryError> {
        let pool = &self.objects;
        let objects = pool.take();
        for change in &changes {
            self.rules.notice(&change.path);
        }
        let mut parents = Vec::new();
        let mut files = Arc::default();
        if !self.rules.is_empty() {
            parents.extend(commit.parents.iter().map(|parent| known(&mut self.files, &self.rules, &objects, parent)));
            files = attribute_files(&objects, &commit, &parents, &changes);
            if self.files.len() >= KEPT_COMMITS {
                self.files.clear();
            }
            self.files.insert(commit.id, files.clone());
        }
        let let_in = let_in(&mut self.rules, &objects, &commit, &changes, &files, &parents)?;
        let classified = changes.into_iter().map(|change| {
            let attributes = self.rules.said(&objects, &files, &change.path)?;
            let class = |entry: Entry| (entry, Chunker::classify(&change.path, &entry, attributes));
            Ok(Classified {
                before: change.before.iter().map(|entry| entry.map(class)).collect(),
                after: change.after.map(class),
                change,
            })
        });
        let classified = classified.collect::<Result<_, HistoryError>>()?;
        Ok(Changed { commit, files: classified, let_in })
    }
}

/// The attribute files of a commit, looked up if they are not known.
fn known(
    files: &mut FxHashMap<ObjectId, Arc<AttributeFiles>>,
    rules: &AttributeRules,
    objects: &Objects,
    commit: &ObjectId,
) -> Arc<AttributeFiles> {
    files.entry(*commit).or_insert_with(|| Arc::new(rules.files(objects, commit))).clone()
}

/// The attribute files in the tree of a commit, from those of its parents and what it changed.
fn attribute_files(
    objects: &Objects,
    commit: &Commit,
    parents: &[Arc<AttributeFiles>],
    changes: &[FileChange],
) -> Arc<AttributeFiles> {
    let mut files = parents.first().cloned().unwrap_or_default();
    let mut set = |directory: &str, file: Option<ObjectId>| match file {
        Some(id) => drop(Arc::make_mut(&mut files).insert(directory.to_owned(), id)),
        None => drop(Arc::make_mut(&mut files).remove(directory)),
    };
    // Where parents differ, a merge has the file of one of them, or one that is among its changes.
    if let Some((first, others)) = parents.split_first() {
        let differing: BTreeSet<&String> = others
            .iter()
            .filter(|other| *other != first)
            .flat_map(|other| first.keys().chain(other.keys()).filter(|at| first.get(*at) != other.get(*at)))
            .collect();
        for directory in differing {
            set(directory, AttributeRules::file(objects, &commit.id, directory));
        }
    }
    for change in changes {
        if let Some(directory) = attribute_directory(&change.path) {
            set(directory, change.after.filter(|entry| entry.mode == Mode::File).map(|entry| entry.id));
        }
    }
    files
}

/// The files that a commit lets in, in order of path: in its tree they are read, and in no parent that holds them as
/// they are. Those that it changes are not among them.
fn let_in(
    rules: &mut AttributeRules,
    objects: &Objects,
    commit: &Commit,
    changes: &[FileChange],
    files: &Arc<AttributeFiles>,
    parents: &[Arc<AttributeFiles>],
) -> Result<Vec<LetIn>, HistoryError> {
    if parents.iter().all(|parent| parent == files) {
        return Ok(Vec::new());
    }
    let unchanged: Vec<(Arc<str>, Entry)> = match parents.iter().position(|parent| parent == files) {
        // What stands in a parent of the same rules is read there.
        Some(at) => {
            let others = objects.between(&commit.parents[at], &commit.id)?;
            others.into_iter().filter_map(|other| Some((other.path, other.after?))).collect()
        }
        None => objects.files(&commit.id)?.into_iter().map(|(path, entry)| (path.into(), entry)).collect(),
    };
    let changed: HashSet<&str> = changes.iter().map(|change| &*change.path).collect();
    let mut found = Vec::new();
    for (path, entry) in unchanged.into_iter().filter(|(path, _)| !changed.contains(&**path)) {
        let Ok(language) = Chunker::classify(&path, &entry, rules.said(objects, files, &path)?) else { continue };
        let mut is_read = Vec::with_capacity(parents.len());
        for parent in parents {
            is_read.push(Chunker::classify(&path, &entry, rules.said(objects, parent, &path)?).is_ok());
        }
        // It stands in at least one parent; in which ones matters only where they differ.
        let was_read = is_read.iter().all(|is_read| *is_read)
            || is_read
                .iter()
                .zip(&commit.parents)
                .any(|(is_read, parent)| *is_read && objects.entry(parent, &path) == Some(entry));
        if !was_read {
            found.push(LetIn { path, id: entry.id, language });
        }
    }
    Ok(found)
}
