//! Archive: a store opened for questions about the past.
//!
//! Answers are as of a commit: *known at* it is what its ancestors introduced, *alive at* it is what
//! its tree holds. Both follow the graph, never the dates.

mod ancestry;
mod kept;
mod places;
mod snapshot;
mod trace;
mod tree;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use rustc_hash::{FxHashMap, FxHashSet};

pub(crate) use kept::{Kept, made_of};
pub(crate) use places::Gathered;
pub use places::Places;
pub use snapshot::{Place, Snapshot};
pub use trace::{Return, Step, Via};
pub use tree::places_at;
pub(crate) use tree::rows_of;

use crate::PipelineError;
use crate::history::Objects;
use crate::shard::{ChunkHead, ChunkId, CommitRow, EditRow, ObjectId, Store, StoreError};

/// A store with its commits and edits in memory.
pub struct Archive {
    snapshot: Snapshot,
    commits: Vec<CommitRow>,
    numbers: FxHashMap<ObjectId, u32>,
    /// The parents of all commits by number, one commit's after the other's, and where those of each begin.
    parents: Vec<u32>,
    first_parents: Vec<u32>,
    edits: Vec<EditRow>,
    by_path: FxHashMap<Arc<str>, Vec<u32>>,
    /// Removals by text, made when first asked for.
    removals: OnceLock<HashMap<u32, Vec<u32>>>,
    /// For each commit its date, put after those of its parents where a clock was wrong.
    dates: Vec<i64>,
}

/// The commits known at a tip: the tip and its ancestors.
#[derive(Debug, Clone, Default)]
pub struct Known {
    member: Vec<bool>,
}

impl Known {
    /// Whether a commit, by number, is among them.
    pub fn has(&self, commit: u32) -> bool {
        self.member.get(commit as usize).copied().unwrap_or(false)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.member.iter().filter(|member| **member).count()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        !self.member.contains(&true)
    }
}

/// First-parent steps: for each commit, the step that brought it in.
#[derive(Debug, Clone, Default)]
pub struct Units {
    unit_of: Vec<u32>,
}

impl Units {
    /// The number of the first-parent commit that brought `commit` in; `None` if it is not known.
    pub fn of(&self, commit: u32) -> Option<u32> {
        self.unit_of.get(commit as usize).copied().filter(|unit| *unit != u32::MAX)
    }
}

impl Archive {
    /// Reads the commits, edits and chunk heads of a store.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] naming the shard that cannot be read.
    pub fn open(store: Store) -> Result<Archive, StoreError> {
        let (edits, (commits, heads)) =
            rayon::join(|| store.edits(), || rayon::join(|| store.commits(), || snapshot::heads(&store)));
        let (edits, commits) = (edits?, commits?);
        for (at, commit) in commits.iter().enumerate() {
            if commit.number as usize != at {
                return Err(StoreError::Damaged {
                    what: "commits".into(),
                    why: format!("commit number {} stands at row {at}", commit.number),
                });
            }
        }
        let snapshot = Snapshot::with(store, heads?);
        let in_range = |chunk: Option<u32>| chunk.is_none_or(|chunk| (chunk as usize) < snapshot.chunk_count());
        for edit in &edits {
            if edit.commit as usize >= commits.len() || !in_range(edit.before) || !in_range(edit.after) {
                return Err(StoreError::Damaged {
                    what: "edits".into(),
                    why: format!("a row of commit {} refers to what is not there", edit.commit),
                });
            }
        }
        let mut by_path: FxHashMap<Arc<str>, Vec<u32>> = FxHashMap::default();
        for (at, edit) in edits.iter().enumerate() {
            by_path.entry(edit.path.clone()).or_default().push(at as u32);
        }
        let numbers: FxHashMap<ObjectId, u32> = commits.iter().map(|commit| (commit.id, commit.number)).collect();
        let (mut parents, mut first_parents) = (Vec::with_capacity(commits.len()), vec![0]);
        let mut dates: Vec<i64> = Vec::with_capacity(commits.len());
        for commit in &commits {
            let of = parents.len();
            parents.extend(commit.parents.iter().filter_map(|parent| numbers.get(parent)));
            first_parents.push(parents.len() as u32);
            let times = parents[of..].iter().filter_map(|parent| dates.get(*parent as usize));
            let after = times.max().map_or(i64::MIN, |date| date.saturating_add(1));
            dates.push(commit.commit_time.max(after));
        }
        let removals = OnceLock::new();
        Ok(Archive { snapshot, commits, numbers, parents, first_parents, edits, by_path, removals, dates })
    }

    /// The store underneath.
    pub fn store(&self) -> &Store {
        self.snapshot.store()
    }

    /// The chunks, for questions about one tree.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// All commits, by number.
    pub fn commits(&self) -> &[CommitRow] {
        &self.commits
    }

    /// A commit by its number.
    pub fn commit(&self, number: u32) -> &CommitRow {
        &self.commits[number as usize]
    }

    /// The number of a commit; `None` when it is not indexed.
    pub fn number(&self, id: &ObjectId) -> Option<u32> {
        self.numbers.get(id).copied()
    }

    /// Language, kind and name of a chunk.
    pub fn head(&self, chunk: u32) -> &ChunkHead {
        self.snapshot.head(chunk)
    }

    /// How many commits there are; they are numbered from 0.
    pub fn commit_count(&self) -> usize {
        self.commits.len()
    }

    /// How many chunks there are.
    pub fn chunk_count(&self) -> usize {
        self.snapshot.chunk_count()
    }

    /// All edits, oldest first.
    pub fn edits(&self) -> &[EditRow] {
        &self.edits
    }

    /// The edits at a path, oldest first: those of the file and those of its nodes.
    pub fn edits_at(&self, path: &str) -> impl DoubleEndedIterator<Item = &EditRow> {
        self.by_path.get(path).map_or(&[][..], Vec::as_slice).iter().map(|at| &self.edits[*at as usize])
    }

    /// What is known at `tip`; `None` when it is not indexed.
    pub fn known_at(&self, tip: &ObjectId) -> Option<Known> {
        let mut member = vec![false; self.commits.len()];
        self.mark_ancestors(self.number(tip)?, &mut |at| !std::mem::replace(&mut member[at as usize], true));
        Some(Known { member })
    }

    /// What any indexed commit knows.
    pub fn known_ever(&self) -> Known {
        Known { member: vec![true; self.commits.len()] }
    }

    /// The first-parent steps up to `tip`.
    pub fn units(&self, tip: u32) -> Units {
        let mut spine = vec![tip];
        while let Some(parent) = self.parents(spine[spine.len() - 1]).next() {
            spine.push(parent);
        }
        let mut unit_of = vec![u32::MAX; self.commits.len()];
        for &unit in spine.iter().rev() {
            self.mark_ancestors(unit, &mut |at| {
                let is_new = unit_of[at as usize] == u32::MAX;
                if is_new {
                    unit_of[at as usize] = unit;
                }
                is_new
            });
        }
        Units { unit_of }
    }

    fn parents(&self, commit: u32) -> impl Iterator<Item = u32> {
        let range = self.first_parents[commit as usize]..self.first_parents[commit as usize + 1];
        self.parents[range.start as usize..range.end as usize].iter().copied()
    }

    /// Visits `from` and its ancestors; `enter` says whether a commit is new to the caller.
    fn mark_ancestors(&self, from: u32, enter: &mut dyn FnMut(u32) -> bool) {
        let mut pending = vec![from];
        while let Some(at) = pending.pop() {
            if enter(at) {
                pending.extend(self.parents(at));
            }
        }
    }

    /// The numbers of some texts, by their identities.
    pub fn chunk_numbers(&self, wanted: &FxHashSet<ChunkId>) -> FxHashMap<ChunkId, u32> {
        let heads = self.snapshot.heads().iter().filter(|head| wanted.contains(&head.id));
        heads.map(|head| (head.id, head.number)).collect()
    }

    /// Every node in the tree of `commit`.
    ///
    /// # Errors
    /// A tree that is missing, or a spans shard that cannot be read.
    pub fn alive(&self, objects: &Objects, commit: &ObjectId) -> Result<Vec<Place>, PipelineError> {
        self.snapshot.alive(objects, commit)
    }
}
