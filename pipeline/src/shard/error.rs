//! Errors of the store, each naming the file that it is about.

use std::io;
use std::path::PathBuf;

/// Why a store could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file of the store is not what the store says it is. Setting the store aside and rebuilding it helps.
    #[error("{what} in the store is damaged: {why}")]
    Damaged {
        /// The file, relative to the store.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// The store has a format that this version does not read.
    #[error("manifest.json of the store has format {found}, and this version reads format {supported}")]
    Version {
        /// The format that the manifest states.
        found: u64,
        /// The format that this version reads and writes.
        supported: u64,
    },
    /// Another process is writing.
    #[error("{} is held by another writer{}", path.display(), process(pid))]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// The process that holds it, if it said so.
        pid: Option<u32>,
    },
    /// Another writer committed since this store was opened, so that writing now would lose its generation.
    #[error("{} was replaced since it was read (generation {expected} then, {found} now)", path.display())]
    Stale {
        /// The manifest.
        path: PathBuf,
        /// The generation on disk.
        found: u64,
        /// The generation that was opened.
        expected: u64,
    },
    /// The operating system refused to read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something could not be written: no space, no permission, or rows that the tables cannot hold.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl StoreError {
    pub(super) fn damaged(what: impl Into<String>, why: impl ToString) -> Self {
        Self::Damaged { what: what.into(), why: why.to_string() }
    }

    pub(super) fn read(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::Read { path, source }
    }

    pub(super) fn write(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::Write { path, source }
    }
}

fn process(pid: &Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}
