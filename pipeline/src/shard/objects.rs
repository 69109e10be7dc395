//! Objects: a store under a prefix of an object store.
//!
//! A shard is one object, got whole once and compared with its hash, then kept on a shelf of this machine and in memory
//! while there is room, and read in ranges when there is none: a range costs a request, which takes longer than most
//! shards. The manifest is replaced
//! on condition that nobody else did, which alone keeps two writers from losing each other's work; the lock spares them
//! the work. It is a lease, since nothing here ends with a process: whoever finds one that was not renewed for [`LEASE`]
//! may take it over.
//!
//! Waiting for an answer blocks the thread, so that the rest of the room is without futures. A cold search that does not
//! find room in memory reads each group of rows with a request of its own.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload, UpdateVersion};

use super::bytes::ShardBytes;
use super::error::StoreError;
use super::folder::SET_ASIDE;
use super::location::{Listed, Medium, Version};
use super::lock::{Held, LOCK};
use super::manifest::{MANIFEST, ShardEntry};
use super::schema::Table;
use super::shelf::Shelf;
use super::waiting::Waiting;

/// How long a lock holds that its holder does not renew; every commit renews it. The longest step between two commits
/// is merging the largest shards, which takes a minute.
const LEASE: Duration = Duration::from_secs(15 * 60);
/// What a lock says that nobody holds.
const FREE: &[u8] = b"free";
/// Bytes of shards that are kept in memory.
const KEPT_BYTES: u64 = 256 << 20;

/// A prefix of an object store.
#[derive(Debug, Clone)]
pub(super) struct Objects {
    objects: Arc<dyn ObjectStore>,
    waiting: Waiting,
    prefix: Path,
    shown: String,
    kept: Arc<Mutex<HashMap<String, Bytes>>>,
    shelf: Option<Arc<Shelf>>,
}

impl Objects {
    pub(super) fn new(objects: Arc<dyn ObjectStore>, prefix: &str, shown: &str) -> Self {
        let (prefix, shown) = (Path::from(prefix), shown.to_owned());
        Self { objects, waiting: Waiting::default(), prefix, shown, kept: Arc::default(), shelf: None }
    }

    /// The same, where answers have to be waited for in another way.
    pub(super) fn with_waiting(self, waiting: Waiting) -> Self {
        Self { waiting, ..self }
    }

    /// The same, with a shelf on this machine for shards.
    pub(super) fn with_shelf(self, shelf: Shelf) -> Self {
        Self { shelf: Some(Arc::new(shelf)), ..self }
    }

    fn path(&self, file: &str) -> Path {
        let parts = self.prefix.parts().map(|part| part.as_ref().to_owned());
        Path::from_iter(parts.chain(file.split('/').map(str::to_owned)))
    }

    fn reading(&self, file: &str) -> impl FnOnce(Error) -> StoreError {
        let path = self.name(file);
        |error| StoreError::Read { path, source: io_error(error) }
    }

    fn writing(&self, file: &str) -> impl FnOnce(Error) -> StoreError {
        let path = self.name(file);
        |error| StoreError::Write { path, source: io_error(error) }
    }

    /// An object's description, if there is one.
    fn head(&self, file: &str) -> Result<Option<ObjectMeta>, StoreError> {
        match self.waiting.until(self.objects.head(&self.path(file))) {
            Ok(meta) => Ok(Some(meta)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.reading(file)(error)),
        }
    }

    /// Puts an object on condition; `None` if the condition does not hold. Where it is these bytes already, they were put:
    /// the answer to a first try was lost, and the second one did not find the version that the first had replaced.
    fn put(&self, file: &str, bytes: Bytes, mode: PutMode) -> Result<Option<Version>, StoreError> {
        let payload = PutPayload::from_bytes(bytes.clone());
        match self.waiting.until(self.objects.put_opts(&self.path(file), payload, mode.into())) {
            Ok(put) => Ok(Some(Version(Some(put.into())))),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {
                let found = self.with_version(file, bytes.len() as u64)?;
                Ok(found.filter(|(found, _)| *found == bytes).map(|(_, version)| version))
            }
            Err(error) => Err(self.writing(file)(error)),
        }
    }

    /// The bytes of an object and its version. Of one that is longer than `longest`, so many zeros and one are given and
    /// nothing is read.
    fn with_version(&self, file: &str, longest: u64) -> Result<Option<(Bytes, Version)>, StoreError> {
        let get = async {
            let got = self.objects.get(&self.path(file)).await?;
            let version = UpdateVersion { e_tag: got.meta.e_tag.clone(), version: got.meta.version.clone() };
            let bytes =
                if got.meta.size > longest { vec![0; longest as usize + 1].into() } else { got.bytes().await? };
            Ok((bytes, Version(Some(version))))
        };
        match self.waiting.until(get) {
            Ok(found) => Ok(Some(found)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.reading(file)(error)),
        }
    }

    /// The bytes of an object: from memory, or got whole and kept there while there is room.
    fn whole(&self, file: &str) -> Result<Option<Bytes>, StoreError> {
        if let Some(bytes) = self.kept().get(file) {
            return Ok(Some(bytes.clone()));
        }
        let get = async { self.objects.get(&self.path(file)).await?.bytes().await };
        let bytes = match self.waiting.until(get) {
            Ok(bytes) => bytes,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(self.reading(file)(error)),
        };
        if let Some(shelf) = &self.shelf {
            shelf.put(file, &bytes);
        }
        if self.has_room(bytes.len() as u64) {
            self.kept().insert(file.to_owned(), bytes.clone());
        }
        Ok(Some(bytes))
    }

    /// Whether so many bytes more can be kept in memory.
    fn has_room(&self, bytes: u64) -> bool {
        let held: u64 = self.kept().values().map(|bytes| bytes.len() as u64).sum();
        held + bytes <= KEPT_BYTES
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, HashMap<String, Bytes>> {
        // Entries are whole whenever the lock is free, also after a panic elsewhere.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn metas(&self, prefix: &str) -> Result<Vec<ObjectMeta>, StoreError> {
        let path = self.path(prefix);
        self.waiting.until(self.objects.list(Some(&path)).try_collect()).map_err(self.reading(prefix))
    }
}

impl Medium for Objects {
    fn name(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("{}{file}", self.shown))
    }

    fn folder(&self) -> Option<&FilePath> {
        None
    }

    fn read_manifest(&self, longest: u64) -> Result<Option<(Vec<u8>, Version)>, StoreError> {
        // A manifest that is too long is refused by its length.
        let found = self.with_version(MANIFEST, longest)?;
        Ok(found.map(|(bytes, version)| (bytes.into(), version)))
    }

    fn replace_manifest(&self, text: &[u8], expected: Option<&Version>) -> Result<Option<Version>, StoreError> {
        let mode = match expected {
            None => PutMode::Create,
            Some(version) => PutMode::Update(version.0.clone().unwrap_or(UpdateVersion { e_tag: None, version: None })),
        };
        self.put(MANIFEST, Bytes::copy_from_slice(text), mode)
    }

    fn remove_unfinished_manifest(&self) -> Result<(), StoreError> {
        // An object appears whole, under its own name.
        Ok(())
    }

    fn length(&self, _: &str) -> Result<Option<Result<u64, String>>, StoreError> {
        // A request for each shard is what opening a store should not cost; getting it tells.
        Ok(None)
    }

    fn open(&self, file: &str, verified: bool) -> Result<Option<ShardBytes>, StoreError> {
        let is_kept = self.kept().contains_key(file);
        if !is_kept && let Some(found) = self.shelf.as_ref().and_then(|shelf| shelf.take(file)) {
            return Ok(Some(ShardBytes::File(found)));
        }
        if verified && !is_kept {
            let Some(meta) = self.head(file)? else { return Ok(None) };
            if self.has_room(meta.size) {
                return Ok(self.whole(file)?.map(ShardBytes::Memory));
            }
            let remote = Remote {
                objects: Arc::clone(&self.objects),
                waiting: self.waiting.clone(),
                path: meta.location,
                length: meta.size,
            };
            return Ok(Some(ShardBytes::Remote(remote)));
        }
        Ok(self.whole(file)?.map(ShardBytes::Memory))
    }

    fn write_shard(
        &self,
        table: &str,
        write: &mut dyn FnMut(&mut (dyn Write + Send)) -> io::Result<ShardEntry>,
    ) -> Result<ShardEntry, StoreError> {
        let mut bytes = Vec::new();
        let entry = write(&mut bytes).map_err(StoreError::write(self.name(table)))?;
        // Equal names are equal bytes. Putting them again makes the object young, so that nobody removes it as old.
        let bytes = Bytes::from(bytes);
        self.put(&entry.file(), bytes.clone(), PutMode::Overwrite)?;
        if let Some(shelf) = &self.shelf {
            shelf.put(&entry.file(), &bytes);
        }
        Ok(entry)
    }

    fn list(&self, table: &str) -> Result<Vec<Listed>, StoreError> {
        let listed = |meta: ObjectMeta| {
            let name = meta.location.filename()?.to_owned();
            Some(Listed { name, written: Some(meta.last_modified.into()) })
        };
        Ok(self.metas(table)?.into_iter().filter_map(listed).collect())
    }

    fn remove(&self, file: &str) -> Result<(), StoreError> {
        self.kept().remove(file);
        match self.waiting.until(self.objects.delete(&self.path(file))) {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.writing(file)(error)),
        }
    }

    fn lock(&self) -> Result<Held, StoreError> {
        let pid = std::process::id();
        // Unlike any other holder's, so that its version is too, where versions are hashes.
        let nonce = RandomState::new().hash_one(SystemTime::now());
        let text = Bytes::from(format!("{pid} {nonce:016x}"));
        let locked = |pid| StoreError::Locked { path: self.name(LOCK), pid };
        let version = match self.put(LOCK, text.clone(), PutMode::Create)? {
            Some(version) => version,
            None => {
                let Some(found) = self.head(LOCK)? else { return Err(locked(None)) };
                let holder = self.waiting.until(async { self.objects.get(&found.location).await?.bytes().await });
                let holder = holder.map_err(self.reading(LOCK))?;
                let age = SystemTime::now().duration_since(found.last_modified.into()).unwrap_or_default();
                if *holder != *FREE && age < LEASE {
                    let stated = std::str::from_utf8(&holder).ok().and_then(|text| text.split(' ').next());
                    return Err(locked(stated.and_then(|pid| pid.parse().ok())));
                }
                let version = UpdateVersion { e_tag: found.e_tag, version: found.version };
                self.put(LOCK, text.clone(), PutMode::Update(version))?.ok_or_else(|| locked(None))?
            }
        };
        Ok(Held::Lease(Lease { objects: self.clone(), text, version: Mutex::new(version) }))
    }

    fn was_locked(&self) -> Result<bool, StoreError> {
        Ok(self.head(LOCK)?.is_some())
    }

    fn set_aside(&self, generation: &str) -> Result<PathBuf, StoreError> {
        for meta in self.metas(SET_ASIDE)? {
            self.waiting.until(self.objects.delete(&meta.location)).map_err(self.writing(SET_ASIDE))?;
        }
        let aside = |file: &str| format!("{SET_ASIDE}/{generation}/{file}");
        let rename =
            |file: &str| match self.waiting.until(self.objects.rename(&self.path(file), &self.path(&aside(file)))) {
                Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(self.writing(file)(error)),
            };
        // The manifest goes first: without it there is no store, whatever else is still to be moved.
        rename(MANIFEST)?;
        for table in Table::ALL.map(Table::name) {
            for listed in self.list(table)? {
                rename(&format!("{table}/{}", listed.name))?;
            }
        }
        Ok(self.name(&format!("{SET_ASIDE}/{generation}")))
    }
}

/// A lock that was taken, until it is dropped or runs out.
#[derive(Debug)]
pub(super) struct Lease {
    objects: Objects,
    text: Bytes,
    version: Mutex<Version>,
}

impl Lease {
    /// Makes the lock last for another [`LEASE`], or says that somebody else has it.
    pub(super) fn renew(&self) -> Result<(), StoreError> {
        let mut version = self.version.lock().unwrap_or_else(PoisonError::into_inner);
        let mode = PutMode::Update(version.0.clone().unwrap_or(UpdateVersion { e_tag: None, version: None }));
        let renewed = self.objects.put(LOCK, self.text.clone(), mode)?;
        *version = renewed.ok_or_else(|| StoreError::Locked { path: self.objects.name(LOCK), pid: None })?;
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let version = self.version.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mode = PutMode::Update(version.0.take().unwrap_or(UpdateVersion { e_tag: None, version: None }));
        // If it cannot be freed, or is somebody else's by now, it runs out or is theirs.
        let _ = self.objects.put(LOCK, Bytes::from_static(FREE), mode);
    }
}

/// An object that is read in ranges.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    objects: Arc<dyn ObjectStore>,
    waiting: Waiting,
    path: Path,
    length: u64,
}

impl Remote {
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Some of its bytes, all of them or an error.
    pub(super) fn range(&self, start: u64, length: u64) -> io::Result<Bytes> {
        let end = start.saturating_add(length);
        let bytes = self.waiting.until(self.objects.get_range(&self.path, start..end)).map_err(io_error)?;
        if bytes.len() as u64 == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

fn io_error(error: Error) -> io::Error {
    let kind = match &error {
        Error::NotFound { .. } => io::ErrorKind::NotFound,
        Error::AlreadyExists { .. } => io::ErrorKind::AlreadyExists,
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => io::ErrorKind::PermissionDenied,
        Error::NotSupported { .. } | Error::NotImplemented { .. } => io::ErrorKind::Unsupported,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
