//! Committing a generation: every step of it before the manifest's rename can be lost without loss.

use std::collections::HashSet;
use std::thread;
use std::time::{Duration, SystemTime};

use super::encode::Encode;
use super::error::StoreError;
use super::folder::TEMPORARY;
use super::ids::ObjectId;
use super::location::{Location, Medium};
use super::lock::WriteLock;
use super::manifest::{FORMAT, MANIFEST, Manifest, Retired, ShardEntry, is_shard_name};
use super::rows::{ChunkRow, CommitRow, EditRow, SpanRow, VectorRow};
use super::schema::{Effort, Table};
use super::store::Store;
use super::writer::{invalid, write_shard, write_vectors};

/// How long a file that was a shard stays for readers that opened the store before others took its place. A command
/// that reads takes seconds, so this is for those that are slow or were stopped.
pub const GRACE: Duration = Duration::from_secs(60 * 60);

/// What one commit adds to a store.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Generation {
    /// New commits, numbered from the manifest's `next_commit`.
    pub commits: Vec<CommitRow>,
    /// Their edits.
    pub edits: Vec<EditRow>,
    /// New chunks, numbered from the manifest's `next_chunk`.
    pub chunks: Vec<ChunkRow>,
    /// Spans of blobs that had none.
    pub spans: Vec<SpanRow>,
    /// The vectors of the new chunks.
    pub vectors: Vec<VectorRow>,
    /// The indexed tips from now on, in place of the previous ones.
    pub tips: Vec<ObjectId>,
    /// The boundary of a shallow clone from now on, likewise.
    pub shallow: Vec<ObjectId>,
    /// The folders with a `.gitattributes` from now on, likewise.
    pub attribute_dirs: Vec<String>,
}

impl Store {
    /// Adds a generation: writes one shard for each table that has rows, then the manifest. When this returns, the
    /// generation is durable. When it fails, the manifest on disk is the one from before, nothing of the generation
    /// is left, and the same call may be made again; the one exception is a failure to sync the folder after the
    /// manifest was replaced, after which the store is to be opened again.
    pub fn commit(&mut self, lock: &WriteLock, mut generation: Generation) -> Result<(), StoreError> {
        self.check_current(lock)?;
        let next = next_manifest(self.location(), self.manifest(), &mut generation)?;
        self.remove_orphans(GRACE)?;
        let result = self.write_generation(lock, next, &generation);
        if result.is_err() {
            self.clean_up();
        }
        result
    }

    /// Refuses to write over what another writer committed after this store was opened.
    pub(super) fn check_current(&mut self, lock: &WriteLock) -> Result<(), StoreError> {
        let path = self.medium().name(MANIFEST);
        if lock.location() != self.location() {
            let why = format!("the lock is that of {}", lock.location());
            return Err(StoreError::Write { path, source: invalid(why) });
        }
        lock.renew()?;
        let found = Manifest::read(self.medium())?;
        let expected = self.manifest().generation;
        // The whole manifest is compared: a store that was set aside and rebuilt may have come to the same number.
        match found {
            Some((found, version)) if found == *self.manifest() => {
                self.version = version;
                Ok(())
            }
            None if expected == 0 => Ok(()),
            found => {
                let found = found.map_or(0, |(manifest, _)| manifest.generation);
                Err(StoreError::Stale { path, found, expected })
            }
        }
    }

    fn write_generation(
        &mut self,
        lock: &WriteLock,
        mut next: Manifest,
        generation: &Generation,
    ) -> Result<(), StoreError> {
        for entry in write_shards(self.medium(), generation, next.dimension)? {
            next.first_bytes = next.first_bytes.saturating_add(entry.bytes);
            // Equal content is one file, which the manifest names once.
            if !next.shards.contains(&entry) {
                next.shards.push(entry);
            }
        }
        self.publish(lock, next, GRACE)?;
        Ok(())
    }

    /// Makes a manifest the one that counts, and then removes files that were retired for longer than the grace
    /// period; says which.
    pub(super) fn publish(
        &mut self,
        lock: &WriteLock,
        mut next: Manifest,
        grace: Duration,
    ) -> Result<Vec<Retired>, StoreError> {
        // Writing shards may have taken longer than a lease. Who took it over may have removed them, for no manifest names them.
        lock.renew()?;
        next.format = FORMAT;
        let now = seconds_now();
        let over: Vec<Retired> = next.retired.extract_if(.., |file| file.is_over(now, grace)).collect();
        let path = self.medium().name(MANIFEST);
        next.check().map_err(|why| StoreError::Write { path: path.clone(), source: invalid(why) })?;
        let expected = (self.manifest().generation > 0).then_some(&self.version);
        let Some(version) = self.medium().replace_manifest(&next.text(), expected)? else {
            let found = Manifest::read(self.medium())?.map_or(0, |(manifest, _)| manifest.generation);
            return Err(StoreError::Stale { path, found, expected: self.manifest().generation });
        };
        self.set_manifest(next, version);
        for file in &over {
            // What cannot be removed now is named by nothing any more, and the next writer removes it.
            let _ = self.medium().remove(&file.file());
        }
        Ok(over)
    }

    /// After a failure: removes what no manifest names. Errors are dropped, for the first one is the one to tell,
    /// and the next commit removes what is left.
    pub(super) fn clean_up(&self) {
        // If the failure came after the manifest was replaced, the new one's shards must stay.
        let found = Manifest::read(self.medium());
        let found = found.map(|found| found.map_or(0, |(manifest, _)| manifest.generation));
        if found.is_ok_and(|generation| generation == self.manifest().generation) {
            let _ = self.medium().remove_unfinished_manifest();
            for table in Table::ALL {
                let _ = self.remove_orphans_of(table, GRACE);
            }
        }
    }

    /// Removes shards that the manifest does not name, and unfinished files: both are left by a writer that died or
    /// failed, and no reader ever knew of them. Files that no writer of this format makes are not touched, nor are
    /// those that another writer may just have written. Returns names.
    pub(super) fn remove_orphans(&self, grace: Duration) -> Result<Vec<String>, StoreError> {
        self.medium().remove_unfinished_manifest()?;
        let mut removed = Vec::new();
        for table in Table::ALL {
            removed.extend(self.remove_orphans_of(table, grace)?);
        }
        Ok(removed)
    }

    fn remove_orphans_of(&self, table: Table, grace: Duration) -> Result<Vec<String>, StoreError> {
        let orphans = self.orphans_of(table, grace)?;
        orphans.iter().try_for_each(|file| self.medium().remove(file))?;
        Ok(orphans)
    }

    /// Files of a table that [`Store::remove_orphans`] would remove.
    pub(super) fn orphans_of(&self, table: Table, grace: Duration) -> Result<Vec<String>, StoreError> {
        let manifest = self.manifest();
        let retired = manifest.retired.iter().filter(|file| file.table == table.name()).map(|file| file.name.as_str());
        let named: HashSet<&str> =
            manifest.shards_of(table.name()).map(|shard| shard.name.as_str()).chain(retired).collect();
        let now = SystemTime::now();
        let mut orphans = Vec::new();
        for file in self.medium().list(table.name())? {
            let is_old = file.written.is_none_or(|at| now.duration_since(at).unwrap_or_default() >= grace);
            let is_ours = file.name == TEMPORARY || is_shard_name(&file.name);
            if is_ours && is_old && !named.contains(file.name.as_str()) {
                orphans.push(format!("{}/{}", table.name(), file.name));
            }
        }
        Ok(orphans)
    }

    pub(super) fn medium(&self) -> &dyn Medium {
        self.location.medium()
    }
}

/// Seconds since 1970 UTC.
pub(super) fn seconds_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The manifest after the generation, without its shards. Rows are put into their tables' order, and refused where
/// they would break what readers rely on.
fn next_manifest(at: &Location, now: &Manifest, generation: &mut Generation) -> Result<Manifest, StoreError> {
    generation.commits.sort_by_key(|row| row.number);
    generation.chunks.sort_by_key(|row| row.number);
    let refused = |why: String| StoreError::Write { path: at.medium().name(MANIFEST), source: invalid(why) };
    let commits = generation.commits.iter().map(|row| row.number);
    let chunks = generation.chunks.iter().map(|row| row.number);
    let next_commit = next_number("commit", now.next_commit, commits).map_err(refused)?;
    let next_chunk = next_number("chunk", now.next_chunk, chunks).map_err(refused)?;
    if let Some(row) = generation.vectors.iter().find(|row| row.vector.len() != now.dimension as usize) {
        let why = format!(
            "the vector of chunk {} has {} values, and the store {}",
            row.chunk,
            row.vector.len(),
            now.dimension
        );
        return Err(refused(why));
    }
    ChunkRow::order(&mut generation.chunks);
    SpanRow::order(&mut generation.spans);
    generation.vectors.sort_by_key(|row| row.chunk);
    let next = Manifest {
        generation: now.generation + 1,
        tips: std::mem::take(&mut generation.tips),
        shallow: std::mem::take(&mut generation.shallow),
        attribute_dirs: std::mem::take(&mut generation.attribute_dirs),
        next_commit,
        next_chunk,
        ..now.clone()
    };
    next.check().map_err(refused)?;
    Ok(next)
}

/// The number after all of `numbers`, which ascend, are given once, and were not given before.
fn next_number(what: &str, mut next: u32, numbers: impl Iterator<Item = u32>) -> Result<u32, String> {
    for number in numbers {
        if number < next {
            return Err(format!("{what} number {number} was given before"));
        }
        next = number.checked_add(1).ok_or_else(|| format!("{what} numbers are used up"))?;
    }
    Ok(next)
}

/// Writes the tables side by side: compressing is most of the work, and each table has its own folder.
fn write_shards(medium: &dyn Medium, generation: &Generation, dimension: u32) -> Result<Vec<ShardEntry>, StoreError> {
    fn start<'scope, R: Encode>(
        scope: &'scope thread::Scope<'scope, '_>,
        medium: &'scope dyn Medium,
        rows: &'scope [R],
        dimension: u32,
    ) -> thread::ScopedJoinHandle<'scope, Result<Option<ShardEntry>, StoreError>> {
        scope.spawn(move || write_shard(medium, rows, dimension, Effort::Quick))
    }
    thread::scope(|scope| {
        let writers = [
            start(scope, medium, &generation.commits, dimension),
            start(scope, medium, &generation.edits, dimension),
            start(scope, medium, &generation.chunks, dimension),
            start(scope, medium, &generation.spans, dimension),
        ];
        let vectors = scope.spawn(move || write_vectors(medium, &generation.vectors, dimension, Effort::Quick));
        let mut entries = Vec::new();
        let mut failure = None;
        for writer in writers {
            match writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)) {
                Ok(entry) => entries.extend(entry),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        entries.extend(vectors.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        failure.map_or(Ok(entries), Err)
    })
}
