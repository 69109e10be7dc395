//! Kept: what was derived from a store for a commit, in files that may be removed at any time.
//!
//! A file stands in a folder of the store, or of another place where the store cannot hold it, under the name of what it was
//! made of: the commit, and the shards that were read. So no file is ever out of date; those that were asked for last stay.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::shard::{ObjectId, Store};

/// A longer file is none of ours, in bytes: some four million places.
const LONGEST_BYTES: u64 = 512 << 20;

/// One such file, whether it is there or not.
pub(crate) struct Kept {
    /// Where it may be, the place to be preferred first.
    folders: Vec<PathBuf>,
    name: String,
    /// How many files its folder may hold.
    most: usize,
}

impl Kept {
    pub(crate) fn new(
        store: &Store,
        elsewhere: Option<&Path>,
        folder: &str,
        made_of: &blake3::Hash,
        most: usize,
    ) -> Kept {
        let folders = [store.dir(), elsewhere].into_iter().flatten().map(|dir| dir.join(folder)).collect();
        Kept { folders, name: made_of.to_hex()[..32].to_owned(), most }
    }

    /// What the file holds, if it is there and `parse` finds it whole.
    pub(crate) fn read<T>(&self, parse: impl Fn(Arc<Vec<u8>>) -> Option<T>) -> Option<T> {
        self.folders.iter().find_map(|folder| {
            let file = folder.join(&self.name);
            let found = parse(Arc::new(read(&file).ok()?))?;
            touch(&file);
            Some(found)
        })
    }

    /// Writes the file. Where that cannot be done, the next question makes anew what it would hold.
    pub(crate) fn keep(&self, bytes: &[u8]) {
        let _ = self.folders.iter().any(|folder| keep(folder, &self.name, bytes, self.most).is_ok());
    }
}

/// What tells apart what was made of some tables of a store, for a commit where it is of one.
pub(crate) fn made_of(store: &Store, commit: Option<&ObjectId>, tables: &[&str]) -> blake3::Hash {
    let manifest = store.manifest();
    let mut hasher = blake3::Hasher::new();
    if let Some(commit) = commit {
        hasher.update(commit.as_bytes());
    }
    hasher.update(&manifest.next_chunk.to_le_bytes());
    hasher.update(manifest.chunker.as_bytes());
    for table in tables {
        hasher.update(table.as_bytes());
        for shard in manifest.shards_of(table) {
            hasher.update(shard.blake3.as_bytes());
        }
    }
    hasher.finalize()
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(file)?;
    let length = file.metadata()?.len();
    if length > LONGEST_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut bytes = Vec::with_capacity(length as usize);
    file.take(LONGEST_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Makes a file the one asked for last.
fn touch(file: &Path) {
    // Where that cannot be told, it counts as asked for when it was made.
    let _ = File::options().append(true).open(file).and_then(|file| file.set_modified(SystemTime::now()));
}

/// Puts a file into a folder, whole or not at all, and removes those that were not asked for for longest.
fn keep(folder: &Path, name: &str, bytes: &[u8], most: usize) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    // Two searches may do this at once, each with a file of its own.
    let temporary = folder.join(format!("{name}.{}.tmp", std::process::id()));
    let written = File::create(&temporary)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::rename(&temporary, folder.join(name)));
    if written.is_err() {
        // Nothing that could be done about it is left.
        drop(fs::remove_file(&temporary));
    }
    written?;
    let mut files: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        files.push((entry.metadata()?.modified()?, entry.path()));
    }
    files.sort();
    files.iter().rev().skip(most).try_for_each(|(_, file)| fs::remove_file(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_files_go() {
        const MOST: usize = 8;
        let dir = tempfile::tempdir().expect("a folder");
        let folder = dir.path().join("kept");
        for number in 0..MOST + 3 {
            keep(&folder, &format!("{number:02}"), b"x", MOST).expect("written");
        }
        assert_eq!(fs::read_dir(&folder).expect("a folder").count(), MOST);
        assert!(folder.join("10").exists());
        keep(&folder.join("10"), "x", b"x", MOST).expect_err("a file is in the way");
    }
}
