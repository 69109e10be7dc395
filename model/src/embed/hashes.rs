//! SHA-256 of files, remembered while a file's size and date stay what they were.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::engine::lock;

/// Bytes read at a time.
const BUFFER_BYTES: usize = 1 << 20;

/// A file as it was when it was hashed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    bytes: u64,
    modified_nanoseconds: u64,
    sha256: String,
}

/// Hashes of files, kept in a file of its own so that gigabytes are not read at every start.
#[derive(Debug, Default)]
pub struct Hashes {
    memory: Option<PathBuf>,
    seen: Mutex<BTreeMap<PathBuf, Seen>>,
}

impl Hashes {
    /// Hashes that are remembered in `memory`. A memory that cannot be read or written is only slower.
    pub fn remembered(memory: PathBuf) -> Hashes {
        let seen = std::fs::read(&memory).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        Hashes { memory: Some(memory), seen: Mutex::new(seen) }
    }

    /// The SHA-256 of a file, in 64 hexadecimal digits.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn of(&self, path: &Path) -> io::Result<String> {
        let path = path.canonicalize()?;
        let about = path.metadata()?;
        let bytes = about.len();
        let since = about.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let modified_nanoseconds = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        if let Some(seen) = lock(&self.seen).get(&path)
            && (seen.bytes, seen.modified_nanoseconds) == (bytes, modified_nanoseconds)
        {
            return Ok(seen.sha256.clone());
        }
        let sha256 = sha256(&path)?;
        lock(&self.seen).insert(path, Seen { bytes, modified_nanoseconds, sha256: sha256.clone() });
        self.remember();
        Ok(sha256)
    }

    fn remember(&self) {
        let Some(memory) = &self.memory else { return };
        if let Ok(text) = serde_json::to_vec(&*lock(&self.seen)) {
            // A reader that meets half a file starts over, so no rename is needed.
            let _ = memory.parent().map_or(Ok(()), std::fs::create_dir_all);
            let _ = std::fs::write(memory, text);
        }
    }
}

/// The SHA-256 of a file's bytes, in 64 hexadecimal digits.
pub(crate) fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_hashed_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let (file, memory) = (directory.path().join("file"), directory.path().join("hashes.json"));
        std::fs::write(&file, "abc").expect("a file");
        let hashes = Hashes::remembered(memory.clone());
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hashes.of(&file).expect("a hash"), abc);
        assert_eq!(Hashes::remembered(memory.clone()).of(&file).expect("a hash"), abc);
        std::fs::write(&file, "abcd").expect("a file");
        assert_ne!(Hashes::remembered(memory).of(&file).expect("a hash"), abc);
    }
}
