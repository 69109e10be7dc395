//! Lexicon: the words of texts and of messages, counted anew for each question.

use super::LexicalIndex;
use super::past::{SUBJECT_TIMES, said};
use super::vector::header_words;
use super::words::{for_each_stem, telling_stems};
use crate::archive::{Archive, Known, Place, Snapshot};
use crate::shard::StoreError;

/// How often a name counts.
pub(crate) const NAME_TIMES: f32 = 3.0;

/// The places that hold words of the question, by position, with their BM25 scores, best first.
///
/// # Errors
/// Texts that cannot be read.
pub(super) fn texts(
    snapshot: &Snapshot,
    places: &[Place],
    question: &str,
    count: usize,
) -> Result<Vec<(u32, f32)>, StoreError> {
    let mut index = LexicalIndex::default();
    let numbers: Vec<u32> = places.iter().map(|place| place.chunk).collect();
    for (place, chunk) in places.iter().zip(snapshot.store().chunks_by_number(&numbers)?) {
        let header = header_words(&place.path, &place.container);
        index.add(&[(&chunk.text, 1.0), (&chunk.name, NAME_TIMES), (&header, 1.0)]);
    }
    Ok(index.best(question, count, |_| true))
}

/// The known commits whose messages hold words of the question, by number, likewise.
pub(super) fn messages(archive: &Archive, known: &Known, question: &str, count: usize) -> Vec<(u32, f32)> {
    messages_of(archive).best(question, count, |commit| known.has(commit))
}

/// The messages of all commits.
pub(crate) fn messages_of(archive: &Archive) -> LexicalIndex {
    let mut messages = LexicalIndex::default();
    for number in 0..archive.commit_count() as u32 {
        let (subject, body) = said(&archive.commit(number).message);
        messages.add(&[(subject, SUBJECT_TIMES as f32), (&body, 1.0)]);
    }
    messages
}

/// The words of a question that tell something; all of them where none does.
pub(super) fn question_stems(question: &str) -> Vec<String> {
    let stems = telling_stems(question);
    if !stems.is_empty() {
        return stems;
    }
    let mut all: Vec<String> = Vec::new();
    for_each_stem(question, |stem| {
        if !all.iter().any(|known| known == stem) {
            all.push(stem.to_owned());
        }
    });
    all
}
