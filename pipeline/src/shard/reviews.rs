//! The table `reviews`: what members said of earlier pull requests, in one shard that is replaced as a whole.
//!
//! A comment can be edited after it was fetched, so rows are put by the number of their comment. There are few of
//! them beside the other tables: a hundred thousand are some ten megabytes.

use std::collections::BTreeMap;

use super::commit::{GRACE, seconds_now};
use super::error::StoreError;
use super::lock::WriteLock;
use super::manifest::{Manifest, Retired, ReviewsPlace, ShardEntry};
use super::rows::ReviewRow;
use super::schema::{Effort, Table};
use super::store::Store;
use super::writer::write_shard;

impl Store {
    /// What members said, in order of the comments' numbers. Empty where nothing was fetched.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] naming the shard that cannot be read.
    pub fn reviews(&self) -> Result<Vec<ReviewRow>, StoreError> {
        let mut rows: Vec<ReviewRow> = self.table()?;
        rows.sort_by_key(|row| row.comment);
        Ok(rows)
    }

    /// Adds comments, in the place of those of the same number, and notes how far they have been fetched, as one
    /// generation. A failure leaves the store as it was, as with [`Store::commit`].
    ///
    /// # Errors
    /// A shard that cannot be read; a store that cannot be written, or that another writer wrote.
    pub fn put_reviews(
        &mut self,
        lock: &WriteLock,
        rows: Vec<ReviewRow>,
        place: ReviewsPlace,
    ) -> Result<(), StoreError> {
        if rows.is_empty() && place == self.manifest().reviews {
            return Ok(());
        }
        self.check_current(lock)?;
        let known = self.reviews()?.into_iter().chain(rows);
        let all: BTreeMap<i64, ReviewRow> = known.map(|row| (row.comment, row)).collect();
        let all: Vec<ReviewRow> = all.into_values().collect();
        self.remove_orphans(GRACE)?;
        let result = self.write_reviews(lock, &all, place);
        if result.is_err() {
            self.clean_up();
        }
        result
    }

    fn write_reviews(&mut self, lock: &WriteLock, rows: &[ReviewRow], place: ReviewsPlace) -> Result<(), StoreError> {
        let generation = self.manifest().generation + 1;
        let mut next = Manifest { generation, reviews: place, ..self.manifest().clone() };
        let at = seconds_now();
        let old: Vec<ShardEntry> = next.shards.extract_if(.., |shard| shard.table == Table::Reviews.name()).collect();
        let new = write_shard(self.medium(), rows, self.manifest().dimension, Effort::Quick)?;
        let is_new = |shard: &ShardEntry| new.as_ref().is_some_and(|new| new.name == shard.name);
        let retired = old.iter().filter(|shard| !is_new(shard));
        next.retired.extend(retired.map(|shard| Retired {
            table: shard.table.clone(),
            name: shard.name.clone(),
            bytes: shard.bytes,
            at,
        }));
        next.retired.retain(|file| new.as_ref().is_none_or(|new| new.name != file.name || new.table != file.table));
        next.shards.extend(new);
        self.publish(lock, next, GRACE)?;
        Ok(())
    }
}
