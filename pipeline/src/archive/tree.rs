//! Tree: the places of one commit's tree, joined once and kept in a file.
//!
//! A file stands in `places/` of the store, or of another folder where the store cannot hold it, under the name of what it
//! was made of: the commit, and the shards that were joined. So no file is ever out of date; those of the trees asked about last stay.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::places::{Gathered, Places};
use super::snapshot::{alive, heads};
use crate::PipelineError;
use crate::history::Objects;
use crate::shard::{ChunkHead, ObjectId, Store};

/// The folder inside a store.
const FOLDER: &str = "places";
/// Files that are kept in it: the trees that were asked about last.
const KEPT: usize = 8;
/// A longer file is none of ours, in bytes: some four million places.
const LONGEST_BYTES: u64 = 512 << 20;

/// The nodes in the tree of a commit, in order of their places: from a file, or joined and put into one. `elsewhere` is a
/// folder for where the store cannot hold it; `known` are the heads of all chunks, if they were read.
///
/// # Errors
/// A tree that is missing, or a shard that cannot be read. Files never are a reason to fail.
pub fn places_at(
    store: &Store,
    known: Option<&[ChunkHead]>,
    objects: &Objects,
    commit: &ObjectId,
    elsewhere: Option<&Path>,
) -> Result<Places, PipelineError> {
    let made_of = made_of(store, commit);
    let name = made_of.to_hex()[..32].to_owned();
    let folders: Vec<PathBuf> = [store.dir(), elsewhere].into_iter().flatten().map(|dir| dir.join(FOLDER)).collect();
    let read = |folder: &PathBuf| {
        let file = folder.join(&name);
        let places = Places::from_bytes(&read(&file).ok()?, &made_of, store.manifest().next_chunk)?;
        touch(&file);
        Some(places)
    };
    if let Some(places) = folders.iter().find_map(read) {
        return Ok(places);
    }
    let places = match known {
        Some(known) => joined(store, known, objects, commit)?,
        None => joined(store, &heads(store)?, objects, commit)?,
    };
    let bytes = places.to_bytes(&made_of);
    // Where nothing can be written, the next question joins again.
    let _ = folders.iter().any(|folder| keep(folder, &name, &bytes).is_ok());
    Ok(places)
}

fn joined(store: &Store, heads: &[ChunkHead], objects: &Objects, commit: &ObjectId) -> Result<Places, PipelineError> {
    let mut rows = vec![None; heads.len()];
    for (row, (number, _)) in (0..).zip(store.chunk_ids()?) {
        if let Some(of_number) = rows.get_mut(number as usize) {
            *of_number = Some(row);
        }
    }
    let mut gathered = Gathered::default();
    for place in alive(store, heads, objects, commit)? {
        gathered.push(&place, &heads[place.chunk as usize], rows[place.chunk as usize]);
    }
    Ok(gathered.finish())
}

/// Everything that decides what places a tree has, and where their texts are.
fn made_of(store: &Store, commit: &ObjectId) -> blake3::Hash {
    let manifest = store.manifest();
    let mut hasher = blake3::Hasher::new();
    hasher.update(commit.as_bytes());
    hasher.update(&manifest.next_chunk.to_le_bytes());
    hasher.update(manifest.chunker.as_bytes());
    for table in ["chunks", "spans"] {
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

/// Makes a file the one asked about last.
fn touch(file: &Path) {
    // Where that cannot be told, it counts as asked about when it was made.
    let _ = File::options().append(true).open(file).and_then(|file| file.set_modified(SystemTime::now()));
}

/// Puts a file into a folder, whole or not at all, and removes those that were not asked about for longest.
fn keep(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
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
    files.iter().rev().skip(KEPT).try_for_each(|(_, file)| fs::remove_file(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_files_go() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = dir.path().join(FOLDER);
        for number in 0..KEPT + 3 {
            keep(&folder, &format!("{number:02}"), b"x").expect("written");
        }
        assert_eq!(fs::read_dir(&folder).expect("a folder").count(), KEPT);
        assert!(folder.join("10").exists());
        keep(&folder.join("10"), "x", b"x").expect_err("a file is in the way");
    }
}
