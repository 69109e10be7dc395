//! Memory: the history that a query may know, and what its messages say.

use std::sync::Arc;

use crate::archive::{Archive, Known};
use crate::search::{HEARD, LexicalIndex, Past, Told, Votes, messages_of};
use crate::shard::ObjectId;

/// All commits of an archive by their words; each question knows some of them.
pub(super) struct Memory<'a> {
    archive: &'a Archive,
    past: Past<'a>,
    messages: LexicalIndex,
}

/// What is known to one question.
pub(super) struct Recalled {
    known: Known,
    tip: u32,
    pub(super) votes: Votes,
}

impl<'a> Memory<'a> {
    pub(super) fn new(archive: &'a Archive) -> Memory<'a> {
        Memory { archive, past: Past::new(archive), messages: messages_of(archive) }
    }

    /// What the ancestors of a commit say of a question, itself among them; statistics are of those alone.
    pub(super) fn recall(&self, text: &str, at: &ObjectId) -> Option<Recalled> {
        let known = self.archive.known_at(at)?;
        let heard = self.messages.best(text, HEARD, |commit| known.has(commit));
        let votes = self.past.votes(&heard, &known);
        Some(Recalled { tip: self.archive.number(at)?, known, votes })
    }

    pub(super) fn told<'m>(&'m self, recalled: &'m Recalled) -> Told<'m> {
        Told { past: &self.past, known: &recalled.known, tip: recalled.tip, votes: &recalled.votes }
    }
}

impl Recalled {
    /// Files by how much commits speak for them: what BM25 over messages alone answers.
    pub(super) fn files(&self) -> Vec<Arc<str>> {
        let mut files: Vec<(&Arc<str>, f32)> = self.votes.files.iter().map(|(path, vote)| (path, *vote)).collect();
        files.sort_by(|one, two| two.1.total_cmp(&one.1).then_with(|| one.0.cmp(two.0)));
        files.into_iter().map(|(path, _)| path.clone()).collect()
    }
}
