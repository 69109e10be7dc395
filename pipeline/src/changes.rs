//! Changes: some commits, read and classified: the first stage of a run.
//!
//! Reading is spread over the threads. Attributes build up from commit to commit, so classifying is done in order.

use std::collections::HashSet;
use std::time::Instant;

use rayon::prelude::*;

use crate::PipelineError;
use crate::chunker::Chunker;
use crate::history::{AttributeRules, Commit, Entry, FileChange, Objects, Pool, Repository, Walk};
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

/// Some commits with what they changed, in order.
pub(crate) struct Batch {
    pub(crate) commits: Vec<(Commit, Vec<Classified>)>,
    /// Every directory in which history has held an attribute file so far.
    pub(crate) attribute_dirs: Vec<String>,
    /// The time it took.
    pub(crate) seconds: f64,
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

/// Gives every commit that the tips reach, parents first, with the files that it changed: the first stage of a run alone.
///
/// # Errors
/// History that cannot be read.
pub fn each_change(
    repository: &Repository,
    tips: &[ObjectId],
    mut each: impl FnMut(&Commit, &[FileChange]),
) -> Result<(), PipelineError> {
    let walk = Walk::new(repository, tips, &HashSet::new())?;
    let objects = Pool::new(repository, Objects::for_trees);
    for ids in walk.order.chunks(1024) {
        for (commit, changes) in read(repository, &objects, ids)? {
            each(&commit, &changes);
        }
    }
    Ok(())
}

/// Reads batches, one after the other.
pub(crate) struct Changes<'r> {
    repository: &'r Repository,
    objects: Pool<'r>,
    rules: AttributeRules,
}

impl<'r> Changes<'r> {
    /// A reader that knows the directories with attribute files that earlier runs have met.
    pub(crate) fn new(repository: &'r Repository, attribute_dirs: &[String]) -> Changes<'r> {
        let rules = AttributeRules::new(attribute_dirs.iter().cloned());
        Changes { repository, objects: Pool::new(repository, Objects::for_trees), rules }
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
            .collect();
        Ok(Batch { commits, attribute_dirs: self.rules.directories(), seconds: started.elapsed().as_secs_f64() })
    }

    fn classify(&mut self, commit: Commit, changes: Vec<FileChange>) -> (Commit, Vec<Classified>) {
        let objects = self.objects.take();
        for change in &changes {
            self.rules.notice(&change.path);
        }
        let classified = changes.into_iter().map(|change| {
            let attributes = self.rules.of(&objects, &commit.id, &change.path);
            let class = |entry: Entry| (entry, Chunker::classify(&change.path, &entry, attributes));
            Classified {
                before: change.before.iter().map(|entry| entry.map(class)).collect(),
                after: change.after.map(class),
                change,
            }
        });
        let classified = classified.collect();
        (commit, classified)
    }
}
