//! Places: the nodes of one tree, column by column.
//!
//! What a search asks of a tree fits in a few bytes a node, so it is kept in a file and not joined anew for each question.
//! The file is derived: it names what it was made of, holds its own hash, and whatever is amiss with it is a reason to
//! make it again, never one to fail.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::Place;
use crate::shard::{ChunkHead, ChunkId};

/// Opens a file of places; another layout gets another number.
const MAGIC: &[u8; 8] = b"places01";
/// Bytes of a blake3 hash.
const HASH_BYTES: usize = 32;
/// Bytes of a chunk's id.
const ID_BYTES: usize = 16;
/// Columns of numbers, of which the first name strings.
const COLUMNS: usize = 10;
const STRING_COLUMNS: usize = 6;
const PATH: usize = 0;
const SYMBOL: usize = 1;
const CONTAINER: usize = 2;
const NAME: usize = 3;
const KIND: usize = 4;
const LANG: usize = 5;
const CHUNK: usize = 6;
const ROW: usize = 7;
const START: usize = 8;
const END: usize = 9;
/// Where the row of a text is not told.
const UNTOLD: u32 = u32::MAX;

/// The nodes of a tree in the order of their places, each with the head of its text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    columns: [Vec<u32>; COLUMNS],
    ids: Vec<ChunkId>,
    /// Where each string ends.
    ends: Vec<u32>,
    text: String,
}

/// Places that are still being gathered.
#[derive(Default)]
pub(crate) struct Gathered {
    places: Places,
    known: FxHashMap<Arc<str>, u32>,
}

impl Gathered {
    /// Adds a place, the head of its text, and in which row of the chunks the text is.
    pub(crate) fn push(&mut self, place: &Place, head: &ChunkHead, row: Option<u32>) {
        let strings = [&place.path, &place.symbol, &place.container, &head.name, &head.kind, &head.lang];
        for (column, text) in strings.into_iter().enumerate() {
            let number = self.number(text);
            self.places.columns[column].push(number);
        }
        let row = row.unwrap_or(UNTOLD);
        for (column, value) in [(CHUNK, place.chunk), (ROW, row), (START, place.start_line), (END, place.end_line)] {
            self.places.columns[column].push(value);
        }
        self.places.ids.push(head.id);
    }

    fn number(&mut self, text: &Arc<str>) -> u32 {
        if let Some(number) = self.known.get(text) {
            return *number;
        }
        let number = self.places.ends.len() as u32;
        self.places.text.push_str(text);
        self.places.ends.push(self.places.text.len() as u32);
        self.known.insert(Arc::clone(text), number);
        number
    }

    pub(crate) fn finish(self) -> Places {
        self.places
    }
}

impl Places {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The number of each one's text.
    pub(crate) fn chunks(&self) -> &[u32] {
        &self.columns[CHUNK]
    }

    /// The row of one's text among the chunks, if it is told.
    pub(crate) fn row(&self, at: usize) -> Option<u32> {
        Some(self.columns[ROW][at]).filter(|row| *row != UNTOLD)
    }

    /// The number of one's path: equal numbers are equal paths.
    pub(crate) fn path_number(&self, at: usize) -> usize {
        self.columns[PATH][at] as usize
    }

    pub(crate) fn path(&self, at: usize) -> &str {
        self.string(PATH, at)
    }

    pub(crate) fn kind(&self, at: usize) -> &str {
        self.string(KIND, at)
    }

    pub(crate) fn lang(&self, at: usize) -> &str {
        self.string(LANG, at)
    }

    /// How many strings there are: above every [`Places::path_number`].
    pub(crate) fn strings(&self) -> usize {
        self.ends.len()
    }

    /// One of them.
    pub(crate) fn place(&self, at: usize) -> Place {
        Place {
            path: self.string(PATH, at).into(),
            symbol: self.string(SYMBOL, at).into(),
            container: self.string(CONTAINER, at).into(),
            chunk: self.columns[CHUNK][at],
            start_line: self.columns[START][at],
            end_line: self.columns[END][at],
        }
    }

    /// The head of one's text.
    pub(crate) fn head(&self, at: usize) -> ChunkHead {
        ChunkHead {
            number: self.columns[CHUNK][at],
            id: self.ids[at],
            lang: self.string(LANG, at).into(),
            kind: self.string(KIND, at).into(),
            name: self.string(NAME, at).into(),
        }
    }

    fn string(&self, column: usize, at: usize) -> &str {
        let number = self.columns[column][at] as usize;
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start as usize..self.ends[number] as usize]
    }

    /// The file: what opens it, what it was made of, three counts, the columns, and the hash of all that.
    pub(crate) fn to_bytes(&self, made_of: &blake3::Hash) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len() * (4 * COLUMNS + ID_BYTES) + self.text.len() + 128);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(made_of.as_bytes());
        for count in [self.len(), self.ends.len(), self.text.len()] {
            bytes.extend_from_slice(&(count as u32).to_le_bytes());
        }
        for value in self.columns.iter().chain([&self.ends]).flatten() {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        self.ids.iter().for_each(|id| bytes.extend_from_slice(id.as_bytes()));
        bytes.extend_from_slice(self.text.as_bytes());
        let hash = blake3::hash(&bytes);
        bytes.extend_from_slice(hash.as_bytes());
        bytes
    }

    /// Reads a file, if it was made of the same and refers to nothing that is not there. `chunks` is above every number of
    /// a chunk.
    pub(crate) fn from_bytes(bytes: &[u8], made_of: &blake3::Hash, chunks: u32) -> Option<Places> {
        let (body, hash) = bytes.split_at_checked(bytes.len().checked_sub(HASH_BYTES)?)?;
        let rest = body.strip_prefix(MAGIC)?.strip_prefix(made_of.as_bytes().as_slice())?;
        if blake3::hash(body).as_bytes().as_slice() != hash {
            return None;
        }
        let (counts, mut rest) = rest.split_at_checked(12)?;
        let [rows, strings, text] = [0, 4, 8].map(|at| number(&counts[at..at + 4]) as usize);
        // Counts are from outside: the length is computed without a wrap and compared before anything is allocated.
        let expected = (rows as u64) * (4 * COLUMNS + ID_BYTES) as u64 + (strings as u64) * 4 + text as u64;
        if expected != rest.len() as u64 {
            return None;
        }
        let mut take = |length: usize| {
            let (taken, left) = rest.split_at(length);
            rest = left;
            taken
        };
        let numbers = |bytes: &[u8]| bytes.chunks_exact(4).map(number).collect::<Vec<u32>>();
        let columns = std::array::from_fn(|_| numbers(take(4 * rows)));
        let ends = numbers(take(4 * strings));
        let ids = take(ID_BYTES * rows).chunks_exact(ID_BYTES).map(|id| id.try_into().ok().map(ChunkId));
        let ids = ids.collect::<Option<Vec<ChunkId>>>()?;
        let text = std::str::from_utf8(take(text)).ok()?.to_owned();
        let places = Places { columns, ids, ends, text };
        places.is_sound(chunks).then_some(places)
    }

    fn is_sound(&self, chunks: u32) -> bool {
        let ends = self.ends.is_sorted()
            && self.ends.iter().all(|end| self.text.is_char_boundary(*end as usize))
            && self.ends.last().is_none_or(|end| *end as usize <= self.text.len());
        let strings =
            self.columns[..STRING_COLUMNS].iter().flatten().all(|number| (*number as usize) < self.ends.len());
        ends && strings && self.columns[CHUNK].iter().all(|chunk| *chunk < chunks)
    }
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> Places {
        let mut gathered = Gathered::default();
        for (path, symbol, chunk) in [("src/a.rs", "Tür::öffne", 3), ("src/b.rs", "b", 0)] {
            let place = Place {
                path: path.into(),
                symbol: symbol.into(),
                container: "".into(),
                chunk,
                start_line: 1,
                end_line: 2 + chunk,
            };
            let head = ChunkHead {
                number: chunk,
                id: ChunkId([chunk as u8; 16]),
                lang: "rust".into(),
                kind: "function".into(),
                name: symbol.into(),
            };
            gathered.push(&place, &head, Some(7 - chunk));
        }
        gathered.finish()
    }

    #[test]
    fn a_file_gives_back_what_was_written() {
        let (places, made_of) = (two(), blake3::hash(b"a store and a tree"));
        let bytes = places.to_bytes(&made_of);
        let read = Places::from_bytes(&bytes, &made_of, 4).expect("it is whole");
        assert_eq!(read, places);
        assert_eq!((read.len(), &*read.place(0).symbol, read.place(0).end_line), (2, "Tür::öffne", 5));
        assert_eq!((&*read.head(1).name, read.lang(1), read.path(1), read.row(1)), ("b", "rust", "src/b.rs", Some(7)));
        assert!(Places::from_bytes(&bytes, &blake3::hash(b"another"), 4).is_none());
        assert!(Places::from_bytes(&bytes, &made_of, 3).is_none(), "it names chunk 3");
        let none = Places::default().to_bytes(&made_of);
        assert!(Places::from_bytes(&none, &made_of, 0).expect("it is whole").is_empty());
    }

    #[test]
    fn a_file_that_is_damaged_or_made_up_is_no_file() {
        let (places, made_of) = (two(), blake3::hash(b"x"));
        let bytes = places.to_bytes(&made_of);
        for at in 0..bytes.len() {
            assert!(Places::from_bytes(&bytes[..at], &made_of, 4).is_none(), "cut at {at}");
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x40;
            assert!(Places::from_bytes(&flipped, &made_of, 4).is_none(), "changed at {at}");
        }
        // With a hash that fits, whatever it says: never a panic, and nothing that points elsewhere.
        for at in MAGIC.len() + HASH_BYTES..bytes.len() - HASH_BYTES {
            for value in [0, 1, 0x7f, 0xff] {
                let mut made_up = bytes[..bytes.len() - HASH_BYTES].to_vec();
                made_up[at] = value;
                let hash = blake3::hash(&made_up);
                made_up.extend_from_slice(hash.as_bytes());
                if let Some(read) = Places::from_bytes(&made_up, &made_of, 4) {
                    (0..read.len()).for_each(|at| drop((read.place(at), read.head(at))));
                    assert!(read.chunks().iter().all(|chunk| *chunk < 4));
                }
            }
        }
    }
}
