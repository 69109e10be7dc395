//! Shelf: shards of object stores, kept in a folder of this machine from one command to the next.
//!
//! A shard's name is the beginning of the hash of its bytes, so what stands on the shelf is compared with its name when
//! a process first takes it, and what does not fit is thrown away. A shelf has a size, and what was taken longest ago
//! goes first. It may fail in any way: then the shard is fetched, as if there were no shelf.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use super::bytes::hash_file;
use super::manifest::{is_shard_name, shard_name};

/// Bytes that a user's shelf holds.
pub(super) const BYTES: u64 = 1 << 30;

/// A folder of shards, whosever store they are of.
#[derive(Debug)]
pub(super) struct Shelf {
    folder: PathBuf,
    bytes: u64,
    /// Names that this process compared with their bytes.
    checked: Mutex<HashSet<String>>,
}

impl Shelf {
    pub(super) fn new(folder: PathBuf, bytes: u64) -> Self {
        Self { folder, bytes, checked: Mutex::default() }
    }

    /// A shard that stands here, read from its beginning.
    pub(super) fn take(&self, file: &str) -> Option<File> {
        let name = named(file)?;
        let path = self.folder.join(name);
        let mut found = File::open(&path).ok()?;
        // What is used stays.
        let _ = found.set_modified(SystemTime::now());
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if !checked.contains(name) {
            let hash = hash_file(&mut found).map(|(hash, _)| hash);
            if !hash.is_ok_and(|hash| shard_name(&hash) == name) {
                let _ = fs::remove_file(&path);
                return None;
            }
            checked.insert(name.to_owned());
        }
        found.rewind().ok()?;
        Some(found)
    }

    /// Puts a shard here, if there is room or can be made.
    pub(super) fn put(&self, file: &str, bytes: &[u8]) {
        let Some(name) = named(file) else { return };
        if bytes.len() as u64 <= self.bytes && self.write(name, bytes).is_ok() {
            let _ = self.make_room();
        }
    }

    /// Others see a whole file or none.
    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        fs::create_dir_all(&self.folder)?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let temporary = self.folder.join(format!("{}-{number}.tmp", std::process::id()));
        let written = File::create(&temporary)
            .and_then(|mut file| file.write_all(bytes))
            .and_then(|()| fs::rename(&temporary, self.folder.join(name)));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// Removes what was taken longest ago until the rest is small enough.
    fn make_room(&self) -> io::Result<()> {
        let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            // Another process may have removed it meanwhile.
            let Ok(metadata) = entry.metadata() else { continue };
            files.push((metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH), metadata.len(), entry.path()));
        }
        files.sort();
        let mut held: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, bytes, path) in files {
            if held <= self.bytes {
                break;
            }
            held -= bytes;
            let _ = fs::remove_file(path);
        }
        Ok(())
    }
}

/// The name of a shard, without its table; `None` for what is no shard.
fn named(file: &str) -> Option<&str> {
    let name = Path::new(file).file_name()?.to_str()?;
    is_shard_name(name).then_some(name)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::Duration;

    use super::*;

    fn name_of(bytes: &[u8]) -> String {
        format!("chunks/{}", shard_name(&blake3::hash(bytes)))
    }

    fn taken(shelf: &Shelf, file: &str) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        shelf.take(file)?.read_to_end(&mut bytes).unwrap();
        Some(bytes)
    }

    #[test]
    fn what_was_put_is_taken_by_others_and_only_if_it_is_that() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = || Shelf::new(dir.path().join("shards"), 100);
        let name = name_of(b"one");
        assert!(taken(&shelf(), &name).is_none());
        shelf().put(&name, b"one");
        let here = shelf();
        assert_eq!((taken(&here, &name), taken(&here, &name)), (Some(b"one".to_vec()), Some(b"one".to_vec())));
        // Bytes that are others are not given, and are gone.
        let path = dir.path().join("shards").join(named(&name).unwrap());
        fs::write(&path, "two").unwrap();
        assert!(taken(&shelf(), &name).is_none() && !path.exists());
        for name in ["manifest.json", "lock", "chunks/../../x", "chunks/x.parquet", ""] {
            shelf().put(name, b"one");
            assert!(shelf().take(name).is_none(), "{name}");
        }
        assert_eq!(fs::read_dir(dir.path().join("shards")).unwrap().count(), 0);
    }

    #[test]
    fn what_was_taken_longest_ago_makes_room() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(dir.path().to_owned(), 10);
        let (one, two, three) = ([1; 4], [2; 4], [3; 4]);
        shelf.put(&name_of(&one), &one);
        shelf.put(&name_of(&two), &two);
        for (bytes, ago) in [(&one, 60), (&two, 50)] {
            let file = File::options().write(true).open(dir.path().join(named(&name_of(bytes)).unwrap())).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(ago)).unwrap();
        }
        assert!(taken(&shelf, &name_of(&one)).is_some());
        shelf.put(&name_of(&three), &three);
        let there = |bytes: &[u8]| taken(&shelf, &name_of(bytes)).is_some();
        assert_eq!((there(&one), there(&two), there(&three)), (true, false, true));
        // What would not find room at all takes nothing away.
        shelf.put(&name_of(&[4; 11]), &[4; 11]);
        assert_eq!((there(&one), there(&three)), (true, true));
    }

    #[test]
    fn a_shelf_that_cannot_be_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "x").unwrap();
        let shelf = Shelf::new(path.clone(), 100);
        shelf.put(&name_of(b"one"), b"one");
        assert!(shelf.take(&name_of(b"one")).is_none());
        assert_eq!(fs::read(path).unwrap(), b"x");
    }
}
