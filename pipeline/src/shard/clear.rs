//! Clearing: removes files that no longer count, once nobody can be reading them.

use std::time::Duration;

use super::commit::seconds_now;
use super::error::StoreError;
use super::lock::WriteLock;
use super::manifest::{Manifest, Retired};
use super::schema::Table;
use super::store::Store;

/// What clearing a store did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClearReport {
    /// Files that are gone: retired shards, and what writers that died left.
    pub removed: Vec<String>,
    /// Bytes of the retired shards among them.
    pub bytes: u64,
    /// Retired shards that stay, since their grace period is not over.
    pub kept: Vec<Retired>,
}

impl Store {
    /// Removes shards that were retired for at least `grace`, and files that a writer left which died before it named
    /// them. A reader that opened the store before may lack what is removed, and is told that its view is stale.
    ///
    /// # Errors
    /// A store that cannot be written, or that another writer wrote.
    pub fn clear(&mut self, lock: &WriteLock, grace: Duration) -> Result<ClearReport, StoreError> {
        self.check_current(lock)?;
        let mut orphans = Vec::new();
        for table in Table::ALL {
            orphans.extend(self.orphans_of(table, grace)?);
        }
        let now = seconds_now();
        // What is no shard yet may become one, where another writer goes on whose lock ran out. After this generation it
        // cannot commit any more, and what it wrote may go.
        let over = if !orphans.is_empty() || self.manifest().retired.iter().any(|file| file.is_over(now, grace)) {
            let next = Manifest { generation: self.manifest().generation + 1, ..self.manifest().clone() };
            self.publish(lock, next, grace)?
        } else {
            Vec::new()
        };
        let mut report = ClearReport { removed: self.remove_orphans(grace)?, ..ClearReport::default() };
        report.bytes = over.iter().map(|file| file.bytes).fold(0, u64::saturating_add);
        report.removed.extend(over.iter().map(Retired::file));
        report.kept.clone_from(&self.manifest().retired);
        Ok(report)
    }
}
