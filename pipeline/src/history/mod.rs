//! History: a Git repository as commits and file changes, oldest first.
//!
//! This is the only room that knows gix. It reads objects; `write` alone adds some, for a change under review that Git
//! cannot fetch. What a file's content means is for `syntax` to say.
//!
//! ```text
//! tips ──walk──▶ commit ids, parents first ──changes──▶ FileChange (as `git log -c` sees them)
//! ```

mod attributes;
mod changes;
mod packs;
mod repository;
mod walk;
mod write;

pub(crate) use attributes::attribute_directory;
pub use attributes::{AttributeFiles, AttributeRules, Attributes};
pub use changes::{Entry, FileChange, Mode};
pub use repository::{HistoryError, NoBlob, Objects, Pool, Pooled, Repository};
pub use walk::{Commit, Linked, Walk};
pub use write::{NewCommit, NewEntry, WriteError};

/// A path as text: valid UTF-8 as it is, every other byte as `\xNN`.
///
/// The form is for showing and for keys. [`path_to_bytes`] turns it back; a valid path that itself
/// contains such an escape of a byte above 127 would be misread, and has not been seen.
pub fn path_from_bytes(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for part in path.utf8_chunks() {
        text.push_str(part.valid());
        for byte in part.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// The bytes of a path that [`path_from_bytes`] made.
pub fn path_to_bytes(path: &str) -> Vec<u8> {
    let bytes = path.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at..].starts_with(b"\\x") && at + 4 <= bytes.len())
            .then(|| path.get(at + 2..at + 4))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok())
            .filter(|byte| *byte >= 0x80);
        match escaped {
            Some(byte) => {
                out.push(byte);
                at += 4;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_survive_the_round_trip() {
        for path in [&b"src/lib.rs"[..], b"caf\xc3\xa9.md", b"latin-\xe9\xff.txt", b"a\\x41.rs", b"\\x", b""] {
            assert_eq!(path_to_bytes(&path_from_bytes(path)), path, "{path:?}");
        }
        assert_eq!(path_from_bytes(b"latin-\xe9.txt"), "latin-\\xe9.txt");
    }
}
