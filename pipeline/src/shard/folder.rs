//! Folder: a store on this machine, in plain files.
//!
//! Not object_store's own local files: those sync neither a file nor its folder, so that a manifest could outlast the
//! shards that it names, and they cannot replace an object on condition. Here every step goes through [`Disk`], and
//! shards are synced before the manifest that names them.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use super::bytes::ShardBytes;
use super::disk::Disk;
use super::error::StoreError;
use super::location::{Listed, Medium, Version};
use super::lock::{self, Held};
use super::manifest::{MANIFEST, MANIFEST_TEMPORARY, ShardEntry};
use super::schema::Table;

/// The name that a shard has until it is complete. There is one writer, and it writes one shard a table.
pub(super) const TEMPORARY: &str = "writing.tmp";

/// Where a store that is to be rebuilt is put.
pub(super) const SET_ASIDE: &str = "set-aside";

/// A folder that holds a store, or will.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    pub(super) dir: PathBuf,
    pub(super) disk: Disk,
}

impl Folder {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir, disk: Disk::default() }
    }

    fn remove_path(&self, path: &Path) -> Result<(), StoreError> {
        match self.disk.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::write(path)(error)),
            _ => Ok(()),
        }
    }

    /// Writes a durable copy of a manifest under the temporary name; renaming it is the commit.
    fn write_temporary(&self, path: &Path, text: &[u8]) -> io::Result<()> {
        let mut file = self.disk.create(path)?;
        file.write_all(text)?;
        file.sync()
    }

    fn write_temporary_shard(
        &self,
        path: &Path,
        write: &mut dyn FnMut(&mut (dyn Write + Send)) -> io::Result<ShardEntry>,
    ) -> io::Result<ShardEntry> {
        let mut file = BufWriter::new(self.disk.create(path)?);
        let entry = write(&mut file)?;
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync()?;
        Ok(entry)
    }
}

impl Medium for Folder {
    fn name(&self, file: &str) -> PathBuf {
        // Joining nothing would add a separator.
        if file.is_empty() { self.dir.clone() } else { self.dir.join(file) }
    }

    fn folder(&self) -> Option<&Path> {
        Some(&self.dir)
    }

    fn read_manifest(&self, longest: u64) -> Result<Option<(Vec<u8>, Version)>, StoreError> {
        let path = self.dir.join(MANIFEST);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StoreError::Read { path, source }),
        };
        let mut text = Vec::new();
        file.take(longest + 1).read_to_end(&mut text).map_err(StoreError::read(&path))?;
        Ok(Some((text, Version::default())))
    }

    fn replace_manifest(&self, text: &[u8], expected: Option<&Version>) -> Result<Option<Version>, StoreError> {
        let dir = &self.dir;
        if expected.is_none() {
            // The store's folder may be new. Where the folder above may not be read, its names last when the system says so.
            let above = dir.parent().filter(|above| !above.as_os_str().is_empty());
            let _ = self.disk.sync_folder(above.unwrap_or(Path::new(".")));
        }
        // The tables' folders may be new, and their names must last before the manifest relies on them.
        self.disk.sync_folder(dir).map_err(StoreError::write(dir))?;
        let temporary = dir.join(MANIFEST_TEMPORARY);
        self.write_temporary(&temporary, text).map_err(StoreError::write(&temporary))?;
        let path = dir.join(MANIFEST);
        self.disk.rename(&temporary, &path).map_err(StoreError::write(&path))?;
        self.disk.sync_folder(dir).map_err(StoreError::write(dir))?;
        Ok(Some(Version::default()))
    }

    fn remove_unfinished_manifest(&self) -> Result<(), StoreError> {
        self.remove_path(&self.dir.join(MANIFEST_TEMPORARY))
    }

    fn length(&self, file: &str) -> Result<Option<Result<u64, String>>, StoreError> {
        let path = self.dir.join(file);
        match fs::metadata(&path) {
            Ok(found) if !found.is_file() => Ok(Some(Err("it is not a file".into()))),
            Ok(found) => Ok(Some(Ok(found.len()))),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(Some(Err("it is missing".into())))
            }
            Err(source) => Err(StoreError::Read { path, source }),
        }
    }

    fn open(&self, file: &str, _: bool) -> Result<Option<ShardBytes>, StoreError> {
        let path = self.dir.join(file);
        match File::open(&path) {
            Ok(file) => Ok(Some(ShardBytes::File(file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StoreError::Read { path, source }),
        }
    }

    fn write_shard(
        &self,
        table: &str,
        write: &mut dyn FnMut(&mut (dyn Write + Send)) -> io::Result<ShardEntry>,
    ) -> Result<ShardEntry, StoreError> {
        let folder = self.dir.join(table);
        self.disk.create_folder(&folder).map_err(StoreError::write(&folder))?;
        let temporary = folder.join(TEMPORARY);
        let entry = self.write_temporary_shard(&temporary, write).map_err(StoreError::write(&temporary))?;
        let named = folder.join(&entry.name);
        self.disk.rename(&temporary, &named).map_err(StoreError::write(&named))?;
        self.disk.sync_folder(&folder).map_err(StoreError::write(&folder))?;
        Ok(entry)
    }

    fn list(&self, table: &str) -> Result<Vec<Listed>, StoreError> {
        let folder = self.dir.join(table);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(StoreError::Write { path: folder, source }),
        };
        let mut listed = Vec::new();
        for entry in entries {
            let name = entry.map_err(StoreError::write(&folder))?.file_name();
            // No name of ours is anything but ASCII.
            listed.extend(name.into_string().ok().map(|name| Listed { name, written: None }));
        }
        Ok(listed)
    }

    fn remove(&self, file: &str) -> Result<(), StoreError> {
        self.remove_path(&self.dir.join(file))
    }

    fn lock(&self) -> Result<Held, StoreError> {
        lock::take_file(&self.dir, &self.disk)
    }

    fn was_locked(&self) -> Result<bool, StoreError> {
        Ok(self.dir.join(lock::LOCK).is_file())
    }

    fn set_aside(&self, generation: &str) -> Result<PathBuf, StoreError> {
        let all = self.dir.join(SET_ASIDE);
        match self.disk.remove_folder(&all) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(StoreError::write(&all)(error)),
            _ => {}
        }
        let folder = all.join(generation);
        self.disk.create_folder(&folder).map_err(StoreError::write(&folder))?;
        // The manifest goes first: without it there is no store, whatever else is still to be moved.
        for name in std::iter::once(MANIFEST).chain(Table::ALL.map(Table::name)) {
            let from = self.dir.join(name);
            match self.disk.rename(&from, &folder.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(StoreError::write(&from)(error)),
                _ => {}
            }
        }
        Ok(folder)
    }
}
