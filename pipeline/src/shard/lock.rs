//! The write lock: at most one writer a store, and none left over after a crash.
//!
//! In a folder, the operating system holds the lock on the open file, so it ends with the process. The file stays, and
//! the pid in it is a courtesy to whoever waits, never a reason to believe that the lock is held. Among objects it is a
//! lease, and the manifest's condition is what keeps writers apart.

use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

use super::disk::{Disk, DiskFile};
use super::error::StoreError;
use super::location::Location;
use super::objects::Lease;

/// The lock file's name inside the store.
pub(super) const LOCK: &str = "lock";

/// The right to write to one store, until it is dropped.
#[derive(Debug)]
pub struct WriteLock {
    held: Held,
    location: Location,
}

/// What holds the lock.
#[derive(Debug)]
pub(super) enum Held {
    /// Closing the file releases the lock.
    File { _file: DiskFile },
    /// An object, which says until when.
    Lease(Lease),
}

impl WriteLock {
    /// Takes the lock of the store in `location`, creating a folder if needed, or says at once who holds it.
    pub(super) fn take(location: &Location) -> Result<Self, StoreError> {
        Ok(Self { held: location.medium().lock()?, location: location.clone() })
    }

    /// The place of the store that may be written.
    pub(super) fn location(&self) -> &Location {
        &self.location
    }

    /// Makes sure that it is still held, as far as that can be known.
    pub(super) fn renew(&self) -> Result<(), StoreError> {
        match &self.held {
            Held::File { .. } => Ok(()),
            Held::Lease(lease) => lease.renew(),
        }
    }
}

/// Takes the lock of the store in a folder.
pub(super) fn take_file(dir: &Path, disk: &Disk) -> Result<Held, StoreError> {
    disk.create_folder(dir).map_err(StoreError::write(dir))?;
    let path = dir.join(LOCK);
    let mut file = disk.open(&path).map_err(StoreError::write(&path))?;
    match file.file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let pid = stated_pid(&mut file.file);
            return Err(StoreError::Locked { path, pid });
        }
        Err(TryLockError::Error(source)) => return Err(StoreError::Write { path, source }),
    }
    file.file
        .set_len(0)
        .and_then(|()| file.write_all(std::process::id().to_string().as_bytes()))
        .map_err(StoreError::write(&path))?;
    Ok(Held::File { _file: file })
}

/// The pid that the holder wrote, if there is one. Ten digits hold every u32.
fn stated_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(10).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_writer_is_told_who_holds_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let held = WriteLock::take(&Location::folder(dir.path())).unwrap();
        let error = WriteLock::take(&Location::folder(dir.path())).unwrap_err();
        assert!(matches!(&error, StoreError::Locked { pid: Some(pid), .. } if *pid == std::process::id()));
        assert!(error.to_string().contains(&format!("process {}", std::process::id())));
        drop(held);
        WriteLock::take(&Location::folder(dir.path())).unwrap();
    }

    #[test]
    fn what_a_dead_writer_left_does_not_lock() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(LOCK), "4294967295 and more").unwrap();
        let _held = WriteLock::take(&Location::folder(dir.path())).unwrap();
        let text = std::fs::read_to_string(dir.path().join(LOCK)).unwrap();
        assert_eq!(text, std::process::id().to_string());
    }
}
