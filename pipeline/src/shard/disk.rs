//! Disk: everything that the store changes on disk goes through here, so that a test can stop any step of it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

#[cfg(test)]
use super::tests::fault::Fault;

/// Unit tests commit thousands of times, and outlast no power failure.
const SYNCS: bool = !cfg!(test);

/// One change, by the names it is about.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(test), expect(dead_code, reason = "only a test looks at them"))]
pub(super) enum Step<'a> {
    /// A folder, and those above it.
    CreateFolder(&'a Path),
    /// A file, empty or as it was.
    Create(&'a Path),
    /// Bytes at the end of a file.
    Write(&'a Path, &'a [u8]),
    /// A file's content made durable.
    Sync(&'a Path),
    /// The names in a folder made durable.
    SyncFolder(&'a Path),
    /// A new name, in place of what had it.
    Rename(&'a Path, &'a Path),
    /// A file.
    Remove(&'a Path),
    /// A folder with all that is in it.
    RemoveFolder(&'a Path),
}

/// The file system as the operating system gives it; in a test, with a fault.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk {
    #[cfg(test)]
    pub(super) fault: Option<std::sync::Arc<Fault>>,
}

impl Disk {
    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "a test has something there")]
    fn take<T>(&self, _: Step<'_>, step: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        step()
    }

    #[cfg(test)]
    fn take<T>(&self, what: Step<'_>, step: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        match &self.fault {
            Some(fault) => fault.take(what, step),
            None => step(),
        }
    }

    pub(super) fn create_folder(&self, folder: &Path) -> io::Result<()> {
        self.take(Step::CreateFolder(folder), || fs::create_dir_all(folder))
    }

    /// An empty file, in place of what had the name.
    pub(super) fn create(&self, path: &Path) -> io::Result<DiskFile> {
        let file = self.take(Step::Create(path), || File::create(path))?;
        Ok(DiskFile { file, path: path.to_owned(), disk: self.clone() })
    }

    /// A file to read and to write, as it is or empty.
    pub(super) fn open(&self, path: &Path) -> io::Result<DiskFile> {
        let open = || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = self.take(Step::Create(path), open)?;
        Ok(DiskFile { file, path: path.to_owned(), disk: self.clone() })
    }

    pub(super) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.take(Step::Rename(from, to), || fs::rename(from, to))
    }

    pub(super) fn remove(&self, path: &Path) -> io::Result<()> {
        self.take(Step::Remove(path), || fs::remove_file(path))
    }

    pub(super) fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        self.take(Step::RemoveFolder(folder), || fs::remove_dir_all(folder))
    }

    /// Makes the names in a folder durable, where the operating system lets a folder be synced.
    pub(super) fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let sync = || if cfg!(unix) && SYNCS { File::open(folder)?.sync_all() } else { Ok(()) };
        self.take(Step::SyncFolder(folder), sync)
    }
}

/// A file that is written.
#[derive(Debug)]
pub(super) struct DiskFile {
    pub(super) file: File,
    path: PathBuf,
    disk: Disk,
}

impl DiskFile {
    /// Makes what was written durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.disk.take(Step::Sync(&self.path), || if SYNCS { self.file.sync_all() } else { Ok(()) })
    }
}

impl Write for DiskFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.disk.take(Step::Write(&self.path, bytes), || self.file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
