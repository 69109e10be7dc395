//! Snapshot: a store opened for questions about one tree.
//!
//! Commits and edits are not read, which are most of what an [`Archive`](super::Archive) holds; of spans only those of
//! blobs in the tree are.

use std::collections::HashMap;
use std::sync::Arc;

use crate::PipelineError;
use crate::chunker::Chunker;
use crate::history::{AttributeRules, Objects};
use crate::shard::{ChunkHead, ObjectId, Store, StoreError};

/// A store with the heads of its chunks in memory.
pub struct Snapshot {
    store: Store,
    heads: Vec<ChunkHead>,
}

/// A node as it stands in a tree.
#[derive(Debug, Clone)]
pub struct Place {
    /// The path.
    pub path: Arc<str>,
    /// Qualified name inside the file.
    pub symbol: Arc<str>,
    /// The enclosing container, may be empty.
    pub container: Arc<str>,
    /// The number of its text.
    pub chunk: u32,
    /// First line, from 1.
    pub start_line: u32,
    /// Last line, inclusive.
    pub end_line: u32,
}

impl Snapshot {
    /// Reads the chunk heads of a store.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] naming the shard that cannot be read.
    pub fn open(store: Store) -> Result<Snapshot, StoreError> {
        let heads = heads(&store)?;
        Ok(Snapshot { store, heads })
    }

    /// A store with its heads, as [`heads`] gives them.
    pub(super) fn with(store: Store, heads: Vec<ChunkHead>) -> Snapshot {
        Snapshot { store, heads }
    }

    /// The store underneath.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Language, kind and name of a chunk.
    pub fn head(&self, chunk: u32) -> &ChunkHead {
        &self.heads[chunk as usize]
    }

    /// The same of all chunks, by number.
    pub fn heads(&self) -> &[ChunkHead] {
        &self.heads
    }

    /// How many chunks there are.
    pub fn chunk_count(&self) -> usize {
        self.heads.len()
    }

    /// Every node in the tree of `commit`.
    ///
    /// # Errors
    /// A tree that is missing, or a spans shard that cannot be read.
    pub fn alive(&self, objects: &Objects, commit: &ObjectId) -> Result<Vec<Place>, PipelineError> {
        alive(&self.store, &self.heads, objects, commit)
    }
}

/// The heads of all chunks, each at its number.
pub(super) fn heads(store: &Store) -> Result<Vec<ChunkHead>, StoreError> {
    let heads = store.chunk_heads()?;
    // Heads are found by their numbers from here on.
    if let Some(at) = (0..heads.len()).find(|at| heads[*at].number as usize != *at) {
        return Err(StoreError::Damaged { what: "chunks".into(), why: format!("row {at} has another number") });
    }
    Ok(heads)
}

/// [`Snapshot::alive`] with the heads of all chunks.
pub(super) fn alive(
    store: &Store,
    heads: &[ChunkHead],
    objects: &Objects,
    commit: &ObjectId,
) -> Result<Vec<Place>, PipelineError> {
    let mut paths_of: HashMap<ObjectId, Vec<(Arc<str>, &'static str)>> = HashMap::new();
    let files = objects.files(commit)?;
    let mut rules = AttributeRules::in_tree(&files);
    for (path, entry) in files {
        let attributes = rules.of(objects, commit, &path)?;
        if let Ok(language) = Chunker::classify(&path, &entry, attributes) {
            paths_of.entry(entry.id).or_default().push((path.into(), language.name));
        }
    }
    let mut places = Vec::new();
    for span in store.spans_of(|blob| paths_of.contains_key(blob))? {
        let Some(paths) = paths_of.get(&span.blob) else { continue };
        if span.chunk as usize >= heads.len() {
            return Err(StoreError::Damaged { what: "spans".into(), why: "a row names no chunk".into() }.into());
        }
        // Equal content may stand at paths of different languages; each has its own nodes.
        let lang = &heads[span.chunk as usize].lang;
        for (path, _) in paths.iter().filter(|(_, language)| **language == **lang) {
            places.push(Place {
                path: path.clone(),
                symbol: span.symbol.clone(),
                container: span.container.clone(),
                chunk: span.chunk,
                start_line: span.start_line,
                end_line: span.end_line,
            });
        }
    }
    places.sort_by(|one, two| {
        (&one.path, one.start_line, two.end_line, one.chunk).cmp(&(&two.path, two.start_line, one.end_line, two.chunk))
    });
    Ok(places)
}
