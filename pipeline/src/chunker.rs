//! Chunker: one blob to identified nodes, the same way for a store and for a change under review.

use std::collections::HashMap;
use std::sync::Arc;

use crate::history::{Attributes, Entry, Mode, NoBlob, Objects};
use crate::shard::{ChunkId, ObjectId};
use crate::syntax::{self, Kind, Language, MAX_FILE_BYTES, Skip};

/// A node with its identity, as [`Chunker::chunk`] gives it.
#[derive(Debug, Clone)]
pub struct Piece {
    /// Qualified name inside the file.
    pub symbol: String,
    /// The enclosing container, may be empty.
    pub container: String,
    /// Its own name, may be empty.
    pub name: String,
    /// What kind of node it is.
    pub kind: Kind,
    /// The identity of its text.
    pub chunk: ChunkId,
    /// First line, from 1.
    pub start_line: u32,
    /// Last line, inclusive.
    pub end_line: u32,
    /// The text.
    pub text: String,
}

/// What became of one version of a file.
pub type FileNodes = Result<Vec<Piece>, Skip>;

/// Chunks blobs; holds no state but the language that each path has.
pub struct Chunker;

impl Chunker {
    /// The language of a file, or why its content is left out, before any content is read.
    ///
    /// `.gitattributes` has the last word in both directions.
    pub fn classify(path: &str, entry: &Entry, attributes: Attributes) -> Result<&'static Language, Skip> {
        match entry.mode {
            Mode::Symlink => return Err(Skip::Symlink),
            Mode::Submodule => return Err(Skip::Submodule),
            Mode::File => {}
        }
        if attributes.binary == Some(true) {
            return Err(Skip::Binary);
        }
        if attributes.vendored == Some(true) {
            return Err(Skip::Vendored);
        }
        if attributes.generated == Some(true) {
            return Err(Skip::Generated);
        }
        match syntax::classify_path(path) {
            Err(Skip::Vendored) if attributes.vendored == Some(false) => syntax::classify_name(path),
            Err(Skip::Generated) if attributes.generated == Some(false) => syntax::classify_name(path),
            other => other,
        }
    }

    /// Reads one blob as text, with its size in bytes; bytes that are not UTF-8 become U+FFFD.
    ///
    /// # Errors
    /// Why its content is left out.
    pub fn text(
        objects: &Objects,
        path: &str,
        id: &ObjectId,
        language: &'static Language,
    ) -> Result<(String, u64), Skip> {
        let content = objects.blob_within(id, MAX_FILE_BYTES).map_err(|reason| match reason {
            NoBlob::Larger => Skip::Huge,
            NoBlob::Missing => Skip::Missing,
        })?;
        syntax::classify_content(path, language, &content)?;
        let bytes = content.len() as u64;
        let text =
            String::from_utf8(content).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        Ok((text, bytes))
    }

    /// Reads and chunks one blob; also its size in bytes.
    pub fn chunk(objects: &Objects, path: &str, id: &ObjectId, language: &'static Language) -> (FileNodes, u64) {
        match Self::text(objects, path, id, language) {
            Ok((text, bytes)) => (Ok(Self::chunk_text(language, &text)), bytes),
            Err(skip) => (Err(skip), 0),
        }
    }

    /// Chunks a text.
    pub fn chunk_text(language: &'static Language, source: &str) -> Vec<Piece> {
        syntax::nodes(language, source)
            .into_iter()
            .map(|node| Piece {
                chunk: chunk_id(language.name, node.kind, &node.name, &node.text),
                symbol: node.symbol,
                container: node.container,
                name: node.name,
                kind: node.kind,
                start_line: node.start_line,
                end_line: node.end_line,
                text: node.text,
            })
            .collect()
    }
}

/// The identity of a node's text: the first 16 bytes of blake3 over language, kind, own name and
/// text, each preceded by its length in bytes as a little-endian `u64`.
pub fn chunk_id(language: &str, kind: Kind, name: &str, text: &str) -> ChunkId {
    let mut hasher = blake3::Hasher::new();
    for part in [language, kind.as_str(), name, text] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let mut id = [0; 16];
    id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    ChunkId(id)
}

/// Equal strings, one allocation.
#[derive(Default)]
pub(crate) struct Interner {
    strings: HashMap<Arc<str>, ()>,
}

impl Interner {
    pub(crate) fn intern(&mut self, text: &str) -> Arc<str> {
        if let Some((known, ())) = self.strings.get_key_value(text) {
            return known.clone();
        }
        let shared: Arc<str> = text.into();
        self.strings.insert(shared.clone(), ());
        shared
    }
}
