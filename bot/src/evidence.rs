//! Evidence: what citations are read from. That is the object database; where a shallow or partial clone lacks a commit or
//! a file, it is what the store keeps of it.
//!
//! The store has the text of every node that a commit touched, under its commit, path and lines. It has nothing of files
//! that are not cut into nodes, nor of lines between nodes, so such places are not cited there. A line that several nodes
//! share is quoted from where the node begins.

use std::cell::RefCell;

use precedent_pipeline::archive::Archive;
use precedent_pipeline::history::Objects;
use precedent_pipeline::shard::{EditRow, ObjectId};
use rustc_hash::FxHashMap;

use crate::finding::Citation;

/// The sources of citations.
pub struct Evidence<'a> {
    objects: &'a Objects,
    archive: &'a Archive,
    /// Texts of the store that were asked for, by chunk.
    texts: RefCell<FxHashMap<u32, String>>,
    /// Whether the object database has a commit.
    here: RefCell<FxHashMap<ObjectId, bool>>,
}

/// Text around a citation: the whole file, or a node of it.
pub struct Around {
    /// The text.
    pub text: String,
    /// The number of its first line in the file, from 1.
    pub first_line: u32,
}

impl<'a> Evidence<'a> {
    /// The object database first, then the store.
    pub fn new(objects: &'a Objects, archive: &'a Archive) -> Evidence<'a> {
        Evidence { objects, archive, texts: RefCell::default(), here: RefCell::default() }
    }

    /// The object database.
    pub fn objects(&self) -> &'a Objects {
        self.objects
    }

    /// Reads a place; `None` unless commit, path and lines exist in one of the two.
    pub fn cite(&self, commit: &ObjectId, path: &str, start: u32, end: u32) -> Option<Citation> {
        let by_git = if self.has(commit) { Citation::read(self.objects, commit, path, start, end) } else { None };
        by_git.or_else(|| {
            let node = self.stored(commit, path, start, end)?;
            let first = node.text.lines().nth((start - node.first_line) as usize)?;
            Some(Citation::quoting(commit, path, [start, end], first.as_bytes()))
        })
    }

    /// Whether a place still reads as quoted.
    pub fn holds(&self, citation: &Citation) -> bool {
        let [start, end] = citation.lines;
        self.cite(&citation.commit, &citation.path, start, end).as_ref() == Some(citation)
    }

    /// What is known of the text around a citation; `None` when it cannot be read.
    pub fn around(&self, citation: &Citation) -> Option<Around> {
        let Citation { commit, path, lines: [start, end], .. } = citation;
        let by_git = if self.has(commit) { self.objects.content(commit, path) } else { None };
        let whole =
            by_git.map(|content| Around { text: String::from_utf8_lossy(&content).into_owned(), first_line: 1 });
        whole.or_else(|| self.stored(commit, path, *start, *end))
    }

    /// The lines of a citation, each ending in a line feed; `None` when they cannot be read.
    pub fn passage(&self, citation: &Citation) -> Option<String> {
        let around = self.around(citation)?;
        let [start, end] = citation.lines;
        let lines = around.text.lines().skip((start - around.first_line) as usize).take((end + 1 - start) as usize);
        Some(lines.flat_map(|line| [line, "\n"]).collect())
    }

    /// Reads at once what places of these edits will be read from, where the object database lacks them.
    pub fn expect<'e>(&self, edits: impl IntoIterator<Item = &'e EditRow>) {
        let mut wanted: Vec<u32> = Vec::new();
        for edit in edits {
            let Some(text) = edit.after else { continue };
            if !self.texts.borrow().contains_key(&text) && !self.has(&self.archive.commit(edit.commit).id) {
                wanted.push(text);
            }
        }
        self.fetch(wanted);
    }

    fn has(&self, commit: &ObjectId) -> bool {
        *self.here.borrow_mut().entry(*commit).or_insert_with(|| self.objects.contains(commit))
    }

    /// Texts that cannot be read are none; whoever wants them goes without.
    fn fetch(&self, mut wanted: Vec<u32>) {
        wanted.sort_unstable();
        wanted.dedup();
        let Ok(chunks) = self.archive.store().chunks_by_number(&wanted) else { return };
        self.texts.borrow_mut().extend(chunks.into_iter().map(|chunk| (chunk.number, chunk.text)));
    }

    /// The node that spans lines `start` to `end` of a file as a commit left it, if the commit touched one that does.
    fn stored(&self, commit: &ObjectId, path: &str, start: u32, end: u32) -> Option<Around> {
        if start == 0 || end < start {
            return None;
        }
        let number = self.archive.number(commit)?;
        let here = self.archive.edits_at(path).rev().skip_while(|edit| edit.commit > number);
        let mut spanning = here
            .take_while(|edit| edit.commit == number)
            .filter(|edit| edit.symbol.is_some() && edit.start_line <= start && end <= edit.end_line);
        spanning.find_map(|edit| {
            let number = edit.after?;
            if !self.texts.borrow().contains_key(&number) {
                self.fetch(vec![number]);
            }
            let text = self.texts.borrow().get(&number)?.clone();
            // Of a node that holds others, no more is kept than what is its own: its lines cannot be counted.
            let is_whole = text.lines().count() == (edit.end_line + 1 - edit.start_line) as usize;
            (is_whole || start == edit.start_line).then_some(Around { text, first_line: edit.start_line })
        })
    }
}
