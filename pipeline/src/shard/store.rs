//! A store: one directory, opened at one generation.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::disk::Disk;
use super::error::StoreError;
use super::lock::WriteLock;
use super::manifest::{FORMAT, MANIFEST, Manifest};
use super::schema::Table;

/// Where a store that is to be rebuilt is put.
const SET_ASIDE: &str = "set-aside";

/// The store in one directory as one manifest describes it. What others commit later is not seen; the files of this
/// generation stay readable, for nothing that a manifest names is ever changed.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    manifest: Manifest,
    pub(super) disk: Disk,
    /// Hashes of shards that were compared with their files.
    verified: Mutex<HashSet<String>>,
}

/// What a new store is made for. None of it can change later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Fingerprint of what cuts files into chunks.
    pub chunker: String,
    /// Fingerprint of what makes vectors.
    pub embedder: String,
    /// Values a vector, from 1 to 65,536.
    pub dimension: u32,
}

impl Store {
    /// Opens the store in `dir`, or `None` if there is no manifest. Reads the manifest and asks for the size of each
    /// shard; the content of a shard is checked when it is read.
    pub fn open(dir: &Path) -> Result<Option<Self>, StoreError> {
        let Some(manifest) = Manifest::read(dir)? else { return Ok(None) };
        for shard in &manifest.shards {
            let path = dir.join(&shard.table).join(&shard.name);
            let damaged = |why: String| StoreError::damaged(shard.file(), why);
            match fs::metadata(&path) {
                Ok(found) if !found.is_file() => return Err(damaged("it is not a file".into())),
                Ok(found) if found.len() != shard.bytes => {
                    return Err(damaged(format!("it has {} bytes and not {}", found.len(), shard.bytes)));
                }
                Ok(_) => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                    return Err(damaged("it is missing".into()));
                }
                Err(source) => return Err(StoreError::Read { path, source }),
            }
        }
        Ok(Some(Self { dir: dir.to_owned(), manifest, disk: Disk::default(), verified: Mutex::default() }))
    }

    /// An empty store for `dir`. Nothing is written before the first commit, which fails as stale if there is a
    /// store already.
    pub fn create(dir: &Path, settings: Settings) -> Self {
        let manifest = Manifest {
            schema: 1,
            format: FORMAT,
            generation: 0,
            tips: Vec::new(),
            shallow: Vec::new(),
            chunker: settings.chunker,
            embedder: settings.embedder,
            dimension: settings.dimension,
            next_commit: 0,
            next_chunk: 0,
            attribute_dirs: Vec::new(),
            shards: Vec::new(),
            blobs: Vec::new(),
        };
        Self { dir: dir.to_owned(), manifest, disk: Disk::default(), verified: Mutex::default() }
    }

    /// What the store holds.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Takes the right to write, creating the directory if needed. It is released when the lock is dropped, and
    /// when the process ends in whatever way.
    pub fn lock(&self) -> Result<WriteLock, StoreError> {
        WriteLock::take(&self.dir, &self.disk)
    }

    /// Bytes of all shards and the manifest.
    pub fn bytes_on_disk(&self) -> u64 {
        let manifest = if self.manifest.generation == 0 { 0 } else { self.manifest.text().len() as u64 };
        self.manifest.shards.iter().fold(manifest, |sum, shard| sum.saturating_add(shard.bytes))
    }

    /// Moves the manifest and the tables in `dir` into `dir/set-aside/GENERATION/`, so that a rebuild starts clean,
    /// and returns that folder. What was set aside before is removed. The caller should hold the lock, which stays
    /// where it is, as do files that are not part of the format.
    pub fn set_aside(dir: &Path) -> io::Result<PathBuf> {
        Self::set_aside_on(&Disk::default(), dir)
    }

    pub(super) fn set_aside_on(disk: &Disk, dir: &Path) -> io::Result<PathBuf> {
        let all = dir.join(SET_ASIDE);
        match disk.remove_folder(&all) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // The manifest may be what is damaged, so only its number is asked for.
        let text = fs::read(dir.join(MANIFEST)).unwrap_or_default();
        let generation = serde_json::from_slice::<serde_json::Value>(&text).ok();
        let generation = generation.and_then(|manifest| manifest.get("generation")?.as_u64());
        let folder = all.join(generation.map_or_else(|| "unreadable".to_owned(), |number| number.to_string()));
        disk.create_folder(&folder)?;
        // The manifest goes first: without it there is no store, whatever else is still to be moved.
        for name in std::iter::once(MANIFEST).chain(Table::ALL.map(Table::name)) {
            match disk.rename(&dir.join(name), &folder.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(folder)
    }

    pub(super) fn set_manifest(&mut self, manifest: Manifest) {
        self.manifest = manifest;
    }

    pub(super) fn is_verified(&self, hash: &str) -> bool {
        self.verified().contains(hash)
    }

    pub(super) fn set_verified(&self, hash: &str) {
        self.verified().insert(hash.to_owned());
    }

    pub(super) fn forget_verified(&self) {
        self.verified().clear();
    }

    fn verified(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        // A set of hashes is whole whenever the lock is free, also after a panic elsewhere.
        self.verified.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
