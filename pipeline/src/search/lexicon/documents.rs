//! Documents: the texts and the messages of a store, as they are handed to an index of words.

use std::collections::HashMap;

use super::{LexiconError, NAME_TIMES};
use crate::archive::Archive;
use crate::search::LexicalIndex;
use crate::search::past::{SUBJECT_TIMES, said};
use crate::search::signature::signature_words;
use crate::search::vector::header_words;
use crate::shard::{Store, StoreError};

/// Documents whose texts are read at once.
const BATCH: u32 = 16_384;

/// Takes the words of a document, in parts that count so many times each, and those of its signature.
pub(super) type Sink<'a> = dyn FnMut(u32, &[(&str, usize)], &str) -> Result<(), LexiconError> + 'a;

/// Documents numbered from 0, and what tells them from others.
pub(super) trait Source {
    fn count(&self) -> u32;
    /// The files that they are in: the same files hold the same documents.
    fn files(&self) -> Vec<String>;
    /// A hash of the first so many.
    fn mark(&self, count: u32) -> Result<String, StoreError>;
    /// Adds the documents of a range of numbers.
    fn add(&self, numbers: std::ops::Range<u32>, sink: &mut Sink<'_>) -> Result<(), LexiconError>;
}

fn files_of(store: &Store, table: &str) -> Vec<String> {
    store.manifest().shards_of(table).map(|shard| shard.name.clone()).collect()
}

pub(super) struct Texts<'a> {
    pub(super) store: &'a Store,
}

impl Texts<'_> {
    /// For some chunks the words of where each first stood.
    fn places(&self, numbers: &std::ops::Range<u32>) -> Result<HashMap<u32, String>, StoreError> {
        let mut places = HashMap::new();
        for edit in self.store.edits()? {
            if let (Some(chunk), Some(symbol)) = (edit.after, &edit.symbol)
                && numbers.contains(&chunk)
            {
                places.entry(chunk).or_insert_with(|| header_words(&edit.path, crate::search::container_of(symbol)));
            }
        }
        Ok(places)
    }
}

impl Source for Texts<'_> {
    fn count(&self) -> u32 {
        self.store.chunk_count()
    }

    fn files(&self) -> Vec<String> {
        files_of(self.store, "chunks")
    }

    fn mark(&self, count: u32) -> Result<String, StoreError> {
        let mut ids = self.store.chunk_ids()?;
        ids.retain(|(number, _)| *number < count);
        ids.sort_unstable();
        let mut hasher = blake3::Hasher::new();
        for (_, id) in &ids {
            hasher.update(id.as_bytes());
        }
        Ok(hasher.finalize().to_hex().to_string())
    }

    fn add(&self, numbers: std::ops::Range<u32>, sink: &mut Sink<'_>) -> Result<(), LexiconError> {
        if numbers.is_empty() {
            return Ok(());
        }
        let places = self.places(&numbers)?;
        let mut start = numbers.start;
        while start < numbers.end {
            let end = numbers.end.min(start.saturating_add(BATCH));
            let batch: Vec<u32> = (start..end).collect();
            for chunk in self.store.chunks_by_number(&batch)? {
                let place = places.get(&chunk.number).map_or("", String::as_str);
                let parts = [(chunk.text.as_str(), 1), (&chunk.name, NAME_TIMES as usize), (place, 1)];
                sink(chunk.number, &parts, &signature_words(&chunk.text))?;
            }
            start = end;
        }
        Ok(())
    }
}

pub(super) struct Messages<'a> {
    pub(super) store: &'a Store,
}

impl Source for Messages<'_> {
    fn count(&self) -> u32 {
        self.store.commit_count()
    }

    fn files(&self) -> Vec<String> {
        files_of(self.store, "commits")
    }

    fn mark(&self, count: u32) -> Result<String, StoreError> {
        let mut hasher = blake3::Hasher::new();
        for id in self.store.commit_ids()?.iter().take(count as usize) {
            hasher.update(id.as_bytes());
        }
        Ok(hasher.finalize().to_hex().to_string())
    }

    fn add(&self, numbers: std::ops::Range<u32>, sink: &mut Sink<'_>) -> Result<(), LexiconError> {
        for commit in self.store.commits()?.into_iter().filter(|commit| numbers.contains(&commit.number)) {
            let (subject, body) = said(&commit.message);
            sink(commit.number, &[(subject, SUBJECT_TIMES), (&body, 1)], "")?;
        }
        Ok(())
    }
}

/// The messages of all commits, in memory.
pub(crate) fn messages_of(archive: &Archive) -> LexicalIndex {
    let mut messages = LexicalIndex::default();
    for number in 0..archive.commit_count() as u32 {
        let (subject, body) = said(&archive.commit(number).message);
        messages.add(&[(subject, SUBJECT_TIMES as f32), (&body, 1.0)]);
    }
    messages
}
