//! A store: one place, opened at one generation.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::error::StoreError;
use super::location::{Location, Version};
use super::lock::WriteLock;
use super::manifest::{FORMAT, LONGEST_BYTES, MANIFEST, Manifest};

/// How often a store is opened again whose files were cleared away while it was being opened.
const OPENINGS: usize = 3;

/// The store in one place as one manifest describes it. What others commit later is not seen; the files of this
/// generation stay readable as long as the grace period says, for nothing that a manifest names is ever changed.
#[derive(Debug)]
pub struct Store {
    pub(super) location: Location,
    manifest: Manifest,
    pub(super) version: Version,
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
    /// Opens the store in a place, or `None` if there is no manifest. Reads the manifest and, in a folder, asks for the
    /// size of each shard; the content of a shard is checked when it is read.
    pub fn open(location: impl Into<Location>) -> Result<Option<Self>, StoreError> {
        let location = location.into();
        let mut opened = Self::open_once(&location);
        for _ in 1..OPENINGS {
            match &opened {
                // The manifest may have been replaced after it was read, and what it named removed.
                Err(StoreError::Damaged { what, .. }) if what != MANIFEST => opened = Self::open_once(&location),
                _ => break,
            }
        }
        opened
    }

    fn open_once(location: &Location) -> Result<Option<Self>, StoreError> {
        let Some((manifest, version)) = Manifest::read(location.medium())? else { return Ok(None) };
        for shard in &manifest.shards {
            let damaged = |why: String| StoreError::damaged(shard.file(), why);
            match location.medium().length(&shard.file())? {
                Some(Err(why)) => return Err(damaged(why)),
                Some(Ok(bytes)) if bytes != shard.bytes => {
                    return Err(damaged(format!("it has {bytes} bytes and not {}", shard.bytes)));
                }
                _ => {}
            }
        }
        Ok(Some(Self { location: location.clone(), manifest, version, verified: Mutex::default() }))
    }

    /// An empty store for a place. Nothing is written before the first commit, which fails as stale if there is a
    /// store already.
    pub fn create(location: impl Into<Location>, settings: Settings) -> Self {
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
            retired: Vec::new(),
            first_bytes: 0,
            merged_bytes: 0,
            reviews: super::manifest::ReviewsPlace::default(),
            blobs: Vec::new(),
        };
        Self { location: location.into(), manifest, version: Version::default(), verified: Mutex::default() }
    }

    /// What the store holds.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Every number of a chunk is below this: there are as many, and their files hold them, which the manifest's next number
    /// does not say.
    pub(crate) fn chunk_count(&self) -> u32 {
        u32::try_from(self.manifest.rows("chunks")).unwrap_or(u32::MAX)
    }

    /// And every number of a commit below this.
    pub(crate) fn commit_count(&self) -> u32 {
        u32::try_from(self.manifest.rows("commits")).unwrap_or(u32::MAX)
    }

    /// Where it is.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// The folder that it is in, where it is in one.
    pub fn dir(&self) -> Option<&Path> {
        self.location.path()
    }

    /// Takes the right to write, creating a folder if needed. It is released when the lock is dropped; in a folder,
    /// also when the process ends in whatever way, and elsewhere a while after that.
    pub fn lock(&self) -> Result<WriteLock, StoreError> {
        WriteLock::take(&self.location)
    }

    /// Bytes of all shards and the manifest.
    pub fn bytes_on_disk(&self) -> u64 {
        let manifest = if self.manifest.generation == 0 { 0 } else { self.manifest.text().len() as u64 };
        self.manifest.shards.iter().fold(manifest, |sum, shard| sum.saturating_add(shard.bytes))
    }

    /// Bytes of shards that were written for each byte of a shard that was written for new rows; 1 before anything was
    /// merged.
    pub fn write_amplification(&self) -> f64 {
        let (first, merged) = (self.manifest.first_bytes as f64, self.manifest.merged_bytes as f64);
        if first > 0.0 { (first + merged) / first } else { 1.0 }
    }

    /// Moves the manifest and the tables of a place into `set-aside/GENERATION/`, so that a rebuild starts clean,
    /// and says where that is. What was set aside before is removed. The caller should hold the lock, which stays
    /// where it is, as do files that are not part of the format.
    pub fn set_aside(location: impl Into<Location>) -> Result<PathBuf, StoreError> {
        let location = location.into();
        let medium = location.medium();
        // The manifest may be what is damaged, so only its number is asked for.
        let text = medium.read_manifest(LONGEST_BYTES).ok().flatten().map(|(text, _)| text).unwrap_or_default();
        let generation = serde_json::from_slice::<serde_json::Value>(&text).ok();
        let generation = generation.and_then(|manifest| manifest.get("generation")?.as_u64());
        medium.set_aside(&generation.map_or_else(|| "unreadable".to_owned(), |number| number.to_string()))
    }

    pub(super) fn set_manifest(&mut self, manifest: Manifest, version: Version) {
        self.manifest = manifest;
        self.version = version;
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
