//! Committing a generation: every step of it before the manifest's rename can be lost without loss.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::thread;

use super::disk::Disk;
use super::encode::Encode;
use super::error::StoreError;
use super::ids::ObjectId;
use super::lock::WriteLock;
use super::manifest::{MANIFEST, MANIFEST_TEMPORARY, Manifest, ShardEntry};
use super::rows::{ChunkRow, CommitRow, EditRow, SpanRow, VectorRow};
use super::schema::Table;
use super::store::Store;
use super::writer::{TEMPORARY, invalid, order_spans, write_shard, write_vectors};

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
        let next = next_manifest(self.dir(), self.manifest(), &mut generation)?;
        self.remove_orphans()?;
        let result = self.write_generation(next, &generation);
        if result.is_err() {
            self.clean_up();
        }
        result
    }

    /// Refuses to write over what another writer committed after this store was opened.
    fn check_current(&self, lock: &WriteLock) -> Result<(), StoreError> {
        let path = self.dir().join(MANIFEST);
        if lock.dir() != self.dir() {
            let why = format!("the lock is that of {}", lock.dir().display());
            return Err(StoreError::Write { path, source: invalid(why) });
        }
        let found = Manifest::read(self.dir())?;
        let expected = self.manifest().generation;
        // The whole manifest is compared: a store that was set aside and rebuilt may have come to the same number.
        let same = match &found {
            Some(found) => found == self.manifest(),
            None => expected == 0,
        };
        let found = found.map_or(0, |manifest| manifest.generation);
        if same { Ok(()) } else { Err(StoreError::Stale { path, found, expected }) }
    }

    fn write_generation(&mut self, mut next: Manifest, generation: &Generation) -> Result<(), StoreError> {
        let dir = self.dir();
        for entry in write_shards(&self.disk, dir, generation, next.dimension)? {
            // Equal content is one file, which the manifest names once.
            if !next.shards.contains(&entry) {
                next.shards.push(entry);
            }
        }
        next.check().map_err(|why| StoreError::Write { path: dir.join(MANIFEST), source: invalid(why) })?;
        if self.manifest().generation == 0 {
            // The store's folder may be new. Where the folder above may not be read, its names last when the system says so.
            let above = dir.parent().filter(|above| !above.as_os_str().is_empty());
            let _ = self.disk.sync_folder(above.unwrap_or(Path::new(".")));
        }
        // The tables' folders may be new, and their names must last before the manifest relies on them.
        self.disk.sync_folder(dir).map_err(StoreError::write(dir))?;
        let temporary = dir.join(MANIFEST_TEMPORARY);
        next.write_temporary(dir, &self.disk).map_err(StoreError::write(&temporary))?;
        let path = dir.join(MANIFEST);
        self.disk.rename(&temporary, &path).map_err(StoreError::write(&path))?;
        self.disk.sync_folder(dir).map_err(StoreError::write(dir))?;
        self.set_manifest(next);
        Ok(())
    }

    /// After a failure: removes what no manifest names. Errors are dropped, for the first one is the one to tell,
    /// and the next commit removes what is left.
    fn clean_up(&self) {
        // If the failure came after the rename, the new manifest's shards must stay.
        let found = Manifest::read(self.dir()).map(|manifest| manifest.map_or(0, |manifest| manifest.generation));
        if found.is_ok_and(|generation| generation == self.manifest().generation) {
            let _ = self.remove(&self.dir().join(MANIFEST_TEMPORARY));
            for table in Table::ALL {
                let _ = self.remove_orphans_of(table);
            }
        }
    }

    /// Removes shards that the manifest does not name, and unfinished files: both are left by a writer that died or
    /// failed. Files that no writer of this format makes are not touched.
    fn remove_orphans(&self) -> Result<(), StoreError> {
        self.remove(&self.dir().join(MANIFEST_TEMPORARY))?;
        Table::ALL.into_iter().try_for_each(|table| self.remove_orphans_of(table))
    }

    fn remove_orphans_of(&self, table: Table) -> Result<(), StoreError> {
        let folder = self.dir().join(table.name());
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(StoreError::Write { path: folder, source }),
        };
        let named: HashSet<&str> = self.manifest().shards_of(table.name()).map(|shard| shard.name.as_str()).collect();
        for entry in entries {
            let name = entry.map_err(StoreError::write(&folder))?.file_name();
            let Some(name) = name.to_str() else { continue };
            if name == TEMPORARY || (is_shard_name(name) && !named.contains(name)) {
                self.remove(&folder.join(name))?;
            }
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> Result<(), StoreError> {
        match self.disk.remove(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(StoreError::write(path)(error)),
            _ => Ok(()),
        }
    }
}

fn is_shard_name(name: &str) -> bool {
    name.strip_suffix(".parquet").is_some_and(|stem| stem.len() == 32 && stem.bytes().all(|c| c.is_ascii_hexdigit()))
}

/// The manifest after the generation, without its shards. Rows are put into their tables' order, and refused where
/// they would break what readers rely on.
fn next_manifest(dir: &Path, now: &Manifest, generation: &mut Generation) -> Result<Manifest, StoreError> {
    generation.commits.sort_by_key(|row| row.number);
    generation.chunks.sort_by_key(|row| row.number);
    generation.vectors.sort_by_key(|row| row.chunk);
    order_spans(&mut generation.spans);
    let refused = |why: String| StoreError::Write { path: dir.join(MANIFEST), source: invalid(why) };
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
fn write_shards(
    disk: &Disk,
    dir: &Path,
    generation: &Generation,
    dimension: u32,
) -> Result<Vec<ShardEntry>, StoreError> {
    fn start<'scope, R: Encode>(
        scope: &'scope thread::Scope<'scope, '_>,
        disk: &'scope Disk,
        dir: &'scope Path,
        rows: &'scope [R],
        dimension: u32,
    ) -> thread::ScopedJoinHandle<'scope, Result<Option<ShardEntry>, StoreError>> {
        scope.spawn(move || write_shard(disk, dir, rows, dimension))
    }
    thread::scope(|scope| {
        let writers = [
            start(scope, disk, dir, &generation.commits, dimension),
            start(scope, disk, dir, &generation.edits, dimension),
            start(scope, disk, dir, &generation.chunks, dimension),
            start(scope, disk, dir, &generation.spans, dimension),
        ];
        let vectors = scope.spawn(move || write_vectors(disk, dir, &generation.vectors, dimension));
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
