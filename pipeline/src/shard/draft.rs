//! Draft: a store that may only be read, with what is written over it kept in memory, for as long as this process runs.
//!
//! Nothing below is changed or locked. Which manifest it has is asked once, so what others write there meanwhile is not
//! seen, and the shards of that generation stay readable as long as the grace period says.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use object_store::memory::InMemory;

use super::bytes::ShardBytes;
use super::error::StoreError;
use super::location::{Listed, Medium, Version};
use super::lock::Held;
use super::manifest::ShardEntry;
use super::objects::Objects;

/// A manifest and its version, if there is one.
type Found = Option<(Vec<u8>, Version)>;

/// A place below, and what was written over it.
#[derive(Debug)]
pub(super) struct Draft {
    below: Arc<dyn Medium>,
    above: Objects,
    /// The manifest below, as it was when it was asked for.
    seen: OnceLock<Found>,
    /// Whether what is below was set aside.
    hidden: AtomicBool,
}

impl Draft {
    pub(super) fn new(below: Arc<dyn Medium>) -> Self {
        let shown = below.name("").display().to_string();
        let above = Objects::new(Arc::new(InMemory::new()), "", &shown);
        Self { below, above, seen: OnceLock::new(), hidden: AtomicBool::new(false) }
    }

    fn is_hidden(&self) -> bool {
        self.hidden.load(Ordering::SeqCst)
    }

    fn read_below(&self, longest: u64) -> Result<Found, StoreError> {
        if self.is_hidden() {
            return Ok(None);
        }
        if let Some(seen) = self.seen.get() {
            return Ok(seen.clone());
        }
        let found = self.below.read_manifest(longest)?;
        Ok(self.seen.get_or_init(|| found).clone())
    }
}

impl Medium for Draft {
    fn name(&self, file: &str) -> PathBuf {
        self.below.name(file)
    }

    fn folder(&self) -> Option<&Path> {
        None
    }

    fn read_manifest(&self, longest: u64) -> Result<Found, StoreError> {
        match self.above.read_manifest(longest)? {
            Some(found) => Ok(Some(found)),
            None => self.read_below(longest),
        }
    }

    fn replace_manifest(&self, text: &[u8], expected: Option<&Version>) -> Result<Option<Version>, StoreError> {
        // The first one stands over the one below, whose version means nothing here.
        let is_first = self.above.read_manifest(0)?.is_none();
        self.above.replace_manifest(text, expected.filter(|_| !is_first))
    }

    fn remove_unfinished_manifest(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn length(&self, file: &str) -> Result<Option<Result<u64, String>>, StoreError> {
        // Above, a shard appears whole and is not looked for by its length.
        if self.is_hidden() || self.above.open(file, true)?.is_some() { Ok(None) } else { self.below.length(file) }
    }

    fn open(&self, file: &str, verified: bool) -> Result<Option<ShardBytes>, StoreError> {
        match self.above.open(file, verified)? {
            None if !self.is_hidden() => self.below.open(file, verified),
            found => Ok(found),
        }
    }

    fn write_shard(
        &self,
        table: &str,
        write: &mut dyn FnMut(&mut (dyn Write + Send)) -> io::Result<ShardEntry>,
    ) -> Result<ShardEntry, StoreError> {
        self.above.write_shard(table, write)
    }

    fn list(&self, table: &str) -> Result<Vec<Listed>, StoreError> {
        // Only what could be removed.
        self.above.list(table)
    }

    fn remove(&self, file: &str) -> Result<(), StoreError> {
        self.above.remove(file)
    }

    fn lock(&self) -> Result<Held, StoreError> {
        self.above.lock()
    }

    fn was_locked(&self) -> Result<bool, StoreError> {
        Ok(self.above.was_locked()? || self.below.was_locked()?)
    }

    fn set_aside(&self, generation: &str) -> Result<PathBuf, StoreError> {
        self.above.set_aside(generation)?;
        self.hidden.store(true, Ordering::SeqCst);
        Ok(self.below.name(""))
    }
}
