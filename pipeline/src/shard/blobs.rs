//! Named blobs: small JSON values of other rooms, kept in the manifest and read by nobody here.
//!
//! They last as long as the store: what can be made again from history, at some cost, and what GitHub said.

use serde_json::{Value, json};

use super::commit::GRACE;
use super::error::StoreError;
use super::lock::WriteLock;
use super::manifest::Manifest;
use super::store::Store;
use super::writer::invalid;

/// The longest blob, in bytes of JSON: the manifest is read whole by every command.
const LONGEST_BYTES: usize = 256 << 10;

impl Store {
    /// A named blob; `None` where there is none.
    pub fn blob(&self, name: &str) -> Option<&Value> {
        self.manifest().blobs.iter().find(|blob| named(blob) == Some(name))?.get("value")
    }

    /// Puts a named blob in the place of the one of this name, as one generation. What is there already is not written
    /// again. A failure leaves the store as it was, as with [`Store::commit`].
    ///
    /// # Errors
    /// A blob that is too long; a store that cannot be written, or that another writer wrote.
    pub fn put_blob(&mut self, lock: &WriteLock, name: &str, value: Value) -> Result<(), StoreError> {
        if self.blob(name) == Some(&value) {
            return Ok(());
        }
        let bytes = value.to_string().len();
        if bytes > LONGEST_BYTES {
            let why = format!("the blob {name:?} has {bytes} bytes, and a blob has {LONGEST_BYTES} at the most");
            return Err(StoreError::Write { path: self.location().to_string().into(), source: invalid(why) });
        }
        self.check_current(lock)?;
        let mut next = Manifest { generation: self.manifest().generation + 1, ..self.manifest().clone() };
        next.blobs.retain(|blob| named(blob) != Some(name));
        next.blobs.push(json!({ "name": name, "value": value }));
        self.publish(lock, next, GRACE)?;
        Ok(())
    }
}

fn named(blob: &Value) -> Option<&str> {
    blob.get("name")?.as_str()
}

#[cfg(test)]
mod tests {
    use super::super::store::Settings;
    use super::*;

    #[test]
    fn a_blob_is_kept_by_name_and_written_once() {
        let dir = tempfile::tempdir().unwrap();
        let settings = || Settings { chunker: "none".into(), embedder: "none".into(), dimension: 4 };
        let mut store = Store::create(dir.path(), settings());
        let lock = store.lock().unwrap();
        store.put_blob(&lock, "one", json!({ "n": 1 })).unwrap();
        store.put_blob(&lock, "two", json!([2])).unwrap();
        store.put_blob(&lock, "one", json!({ "n": 3 })).unwrap();
        let generation = store.manifest().generation;
        store.put_blob(&lock, "one", json!({ "n": 3 })).unwrap();
        assert_eq!(store.manifest().generation, generation, "nothing was new");
        let opened = Store::open(dir.path()).unwrap().unwrap();
        assert_eq!((opened.blob("one"), opened.blob("two")), (Some(&json!({ "n": 3 })), Some(&json!([2]))));
        assert_eq!(opened.blob("three"), None);
        let long = Value::from("x".repeat(LONGEST_BYTES));
        assert!(store.put_blob(&lock, "one", long).unwrap_err().to_string().contains("cannot write"));
        assert_eq!(store.blob("one"), Some(&json!({ "n": 3 })));
    }
}
