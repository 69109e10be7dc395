//! Ancestry: the common ancestor of an indexed commit and of one that need not be, where a clone lacks what is older.

use std::collections::{BTreeSet, HashSet};

use super::Archive;
use crate::history::{HistoryError, Repository};
use crate::shard::ObjectId;

impl Archive {
    /// The best common ancestor of an indexed commit and of any other: of several the one committed last. Commits that
    /// are indexed need not be in the clone, the others must be.
    ///
    /// # Errors
    /// [`HistoryError::Unrelated`] when they have none, and a commit that cannot be read.
    pub fn merge_base(
        &self,
        repository: &Repository,
        indexed: ObjectId,
        other: ObjectId,
    ) -> Result<ObjectId, HistoryError> {
        let unrelated = || HistoryError::Unrelated { one: indexed, two: other };
        let known = self.known_at(&indexed).ok_or_else(unrelated)?;
        let objects = repository.objects();
        let (mut seen, mut shared, mut pending) = (HashSet::new(), BTreeSet::new(), vec![other]);
        while let Some(id) = pending.pop() {
            if !seen.insert(id) {
                continue;
            }
            match self.number(&id) {
                Some(number) if known.has(number) => {
                    shared.insert(number);
                }
                Some(number) => pending.extend(self.parents(number).map(|parent| self.commits[parent as usize].id)),
                None => pending.extend(objects.commit(repository, &id)?.parents),
            }
        }
        // What another of them descends from is not the best. Ancestors have smaller numbers.
        let mut older = vec![false; self.commits.len()];
        let mut best = Vec::new();
        for number in shared.into_iter().rev() {
            if !older[number as usize] {
                best.push(number);
                self.mark_ancestors(number, &mut |at| !std::mem::replace(&mut older[at as usize], true));
            }
        }
        let last = best.into_iter().max_by_key(|number| (self.commits[*number as usize].commit_time, *number));
        last.map(|number| self.commits[number as usize].id).ok_or_else(unrelated)
    }
}
