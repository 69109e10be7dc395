//! Places: the nodes of one tree, column by column.
//!
//! What a search asks of a tree fits in a few bytes a node, so it is kept in a file and not joined anew for each question.
//! The file is derived: it names what it was made of, holds its own hash, and whatever is amiss with it is a reason to
//! make it again, never one to fail. What was read is looked up where it lies, since copies of it would take longer to make
//! than a question asks of them.

use std::ops::Range;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::Place;
use crate::shard::{ChunkHead, ChunkId};

/// Opens a file of places; another layout gets another number.
const MAGIC: &[u8; 8] = b"places01";
/// Bytes of a blake3 hash.
const HASH_BYTES: usize = 32;
/// Bytes of a chunk's id, of a number, and of the three counts.
const ID_BYTES: usize = 16;
const NUMBER_BYTES: usize = 4;
const COUNTS_BYTES: usize = 12;
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
#[derive(Debug, Clone)]
pub struct Places {
    /// The file's bytes, or some that hold them.
    bytes: Arc<Vec<u8>>,
    /// Where its counts, columns, ends of strings, ids and text are.
    body: Range<usize>,
    rows: usize,
    strings: usize,
}

/// Places that are still being gathered.
#[derive(Default)]
pub(crate) struct Gathered {
    columns: [Vec<u32>; COLUMNS],
    ids: Vec<ChunkId>,
    /// Where each string ends.
    ends: Vec<u32>,
    text: String,
    known: FxHashMap<Arc<str>, u32>,
}

impl Gathered {
    /// Adds a place, the head of its text, and in which row of the chunks the text is.
    pub(crate) fn push(&mut self, place: &Place, head: &ChunkHead, row: Option<u32>) {
        let strings = [&place.path, &place.symbol, &place.container, &head.name, &head.kind, &head.lang];
        for (column, text) in strings.into_iter().enumerate() {
            let number = self.number(text);
            self.columns[column].push(number);
        }
        let row = row.unwrap_or(UNTOLD);
        for (column, value) in [(CHUNK, place.chunk), (ROW, row), (START, place.start_line), (END, place.end_line)] {
            self.columns[column].push(value);
        }
        self.ids.push(head.id);
    }

    fn number(&mut self, text: &Arc<str>) -> u32 {
        if let Some(number) = self.known.get(text) {
            return *number;
        }
        let number = self.ends.len() as u32;
        self.text.push_str(text);
        self.ends.push(self.text.len() as u32);
        self.known.insert(Arc::clone(text), number);
        number
    }

    pub(crate) fn finish(self) -> Places {
        let (rows, strings) = (self.ids.len(), self.ends.len());
        let mut bytes = Vec::with_capacity(rows * (NUMBER_BYTES * COLUMNS + ID_BYTES) + self.text.len() + 128);
        for count in [rows, strings, self.text.len()] {
            bytes.extend_from_slice(&(count as u32).to_le_bytes());
        }
        for value in self.columns.iter().chain([&self.ends]).flatten() {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        self.ids.iter().for_each(|id| bytes.extend_from_slice(id.as_bytes()));
        bytes.extend_from_slice(self.text.as_bytes());
        let body = 0..bytes.len();
        Places { bytes: Arc::new(bytes), body, rows, strings }
    }
}

impl Places {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The numbers of their texts.
    pub(crate) fn chunks(&self) -> impl DoubleEndedIterator<Item = u32> + ExactSizeIterator {
        self.column(CHUNK)
    }

    /// The number of one's text.
    pub(crate) fn chunk(&self, at: usize) -> u32 {
        self.value(CHUNK, at)
    }

    /// The row of one's text among the chunks, if it is told.
    pub(crate) fn row(&self, at: usize) -> Option<u32> {
        Some(self.value(ROW, at)).filter(|row| *row != UNTOLD)
    }

    /// The number of one's path: equal numbers are equal paths.
    pub(crate) fn path_number(&self, at: usize) -> usize {
        self.value(PATH, at) as usize
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
        self.strings
    }

    /// One of them.
    pub(crate) fn place(&self, at: usize) -> Place {
        Place {
            path: self.string(PATH, at).into(),
            symbol: self.string(SYMBOL, at).into(),
            container: self.string(CONTAINER, at).into(),
            chunk: self.chunk(at),
            start_line: self.value(START, at),
            end_line: self.value(END, at),
        }
    }

    /// The head of one's text.
    pub(crate) fn head(&self, at: usize) -> ChunkHead {
        ChunkHead {
            number: self.chunk(at),
            id: self.id(at),
            lang: self.string(LANG, at).into(),
            kind: self.string(KIND, at).into(),
            name: self.string(NAME, at).into(),
        }
    }

    fn string(&self, column: usize, at: usize) -> &str {
        let number = self.value(column, at) as usize;
        let start = number.checked_sub(1).map_or(0, |before| self.end(before));
        // Where it begins and ends was looked at when it was read.
        std::str::from_utf8(&self.text()[start..self.end(number)]).unwrap_or_default()
    }

    /// Where the values of a column are, in the body; the one past the last is that of the ends of strings.
    fn column_start(&self, column: usize) -> usize {
        COUNTS_BYTES + column * self.rows * NUMBER_BYTES
    }

    fn column(&self, column: usize) -> impl DoubleEndedIterator<Item = u32> + ExactSizeIterator {
        let start = self.column_start(column);
        numbers(&self.body()[start..start + self.rows * NUMBER_BYTES])
    }

    fn value(&self, column: usize, at: usize) -> u32 {
        number(&self.body()[self.column_start(column)..][NUMBER_BYTES * at..])
    }

    fn ends(&self) -> impl Iterator<Item = u32> {
        let start = self.column_start(COLUMNS);
        numbers(&self.body()[start..start + self.strings * NUMBER_BYTES])
    }

    fn end(&self, string: usize) -> usize {
        number(&self.body()[self.column_start(COLUMNS)..][NUMBER_BYTES * string..]) as usize
    }

    fn ids_start(&self) -> usize {
        self.column_start(COLUMNS) + self.strings * NUMBER_BYTES
    }

    fn id(&self, at: usize) -> ChunkId {
        let mut id = [0; ID_BYTES];
        id.copy_from_slice(&self.body()[self.ids_start() + ID_BYTES * at..][..ID_BYTES]);
        ChunkId(id)
    }

    fn text(&self) -> &[u8] {
        &self.body()[self.ids_start() + ID_BYTES * self.rows..]
    }

    fn body(&self) -> &[u8] {
        &self.bytes[self.body.clone()]
    }

    /// The file: what opens it, what it was made of, three counts, the columns, and the hash of all that.
    pub(crate) fn to_bytes(&self, made_of: &blake3::Hash) -> Vec<u8> {
        let mut bytes = [MAGIC.as_slice(), made_of.as_bytes(), self.body()].concat();
        let hash = blake3::hash(&bytes);
        bytes.extend_from_slice(hash.as_bytes());
        bytes
    }

    /// Reads a file that begins so far into some bytes and ends with them, if it was made of the same and refers to nothing
    /// that is not there. `chunks` is above every number of a chunk.
    pub(crate) fn from_bytes(bytes: Arc<Vec<u8>>, start: usize, made_of: &blake3::Hash, chunks: u32) -> Option<Places> {
        let file = bytes.get(start..)?;
        let (hashed, hash) = file.split_at_checked(file.len().checked_sub(HASH_BYTES)?)?;
        let body = hashed.strip_prefix(MAGIC)?.strip_prefix(made_of.as_bytes().as_slice())?;
        if blake3::hash(hashed).as_bytes().as_slice() != hash {
            return None;
        }
        let (counts, rest) = body.split_at_checked(COUNTS_BYTES)?;
        let [rows, strings, text] = [0, 4, 8].map(|at| number(&counts[at..]) as usize);
        // Counts are from outside: the length is computed without a wrap and compared before anything is looked up.
        let expected =
            (rows as u64) * (NUMBER_BYTES * COLUMNS + ID_BYTES) as u64 + (strings * NUMBER_BYTES + text) as u64;
        if expected != rest.len() as u64 {
            return None;
        }
        let end = bytes.len() - HASH_BYTES;
        let body = end - body.len()..end;
        let places = Places { bytes, body, rows, strings };
        places.is_sound(chunks).then_some(places)
    }

    fn is_sound(&self, chunks: u32) -> bool {
        let Ok(text) = std::str::from_utf8(self.text()) else { return false };
        // An end past the text is no boundary of it.
        let ends = self.ends().is_sorted() && self.ends().all(|end| text.is_char_boundary(end as usize));
        let below =
            |column: usize, bound: usize| self.column(column).fold(true, |all, value| all & ((value as usize) < bound));
        ends && (0..STRING_COLUMNS).all(|column| below(column, self.strings)) && below(CHUNK, chunks as usize)
    }
}

impl Default for Places {
    fn default() -> Places {
        Gathered::default().finish()
    }
}

impl PartialEq for Places {
    fn eq(&self, other: &Places) -> bool {
        self.body() == other.body()
    }
}

impl Eq for Places {}

fn numbers(bytes: &[u8]) -> impl DoubleEndedIterator<Item = u32> + ExactSizeIterator {
    bytes.as_chunks::<NUMBER_BYTES>().0.iter().map(|number| u32::from_le_bytes(*number))
}

/// The number that some bytes begin with.
fn number(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_bytes(bytes: &[u8], made_of: &blake3::Hash, chunks: u32) -> Option<Places> {
        Places::from_bytes(Arc::new(bytes.to_vec()), 0, made_of, chunks)
    }

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
        let read = from_bytes(&bytes, &made_of, 4).expect("it is whole");
        assert_eq!(read, places);
        assert_eq!((read.len(), &*read.place(0).symbol, read.place(0).end_line), (2, "Tür::öffne", 5));
        assert_eq!((&*read.head(1).name, read.lang(1), read.path(1), read.row(1)), ("b", "rust", "src/b.rs", Some(7)));
        assert!(from_bytes(&bytes, &blake3::hash(b"another"), 4).is_none());
        assert!(from_bytes(&bytes, &made_of, 3).is_none(), "it names chunk 3");
        let none = Places::default().to_bytes(&made_of);
        assert!(from_bytes(&none, &made_of, 0).expect("it is whole").is_empty());
    }

    #[test]
    fn a_file_that_is_damaged_or_made_up_is_no_file() {
        let (places, made_of) = (two(), blake3::hash(b"x"));
        let bytes = places.to_bytes(&made_of);
        for at in 0..bytes.len() {
            assert!(from_bytes(&bytes[..at], &made_of, 4).is_none(), "cut at {at}");
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x40;
            assert!(from_bytes(&flipped, &made_of, 4).is_none(), "changed at {at}");
        }
        // With a hash that fits, whatever it says: never a panic, and nothing that points elsewhere.
        for at in MAGIC.len() + HASH_BYTES..bytes.len() - HASH_BYTES {
            for value in [0, 1, 0x7f, 0xff] {
                let mut made_up = bytes[..bytes.len() - HASH_BYTES].to_vec();
                made_up[at] = value;
                let hash = blake3::hash(&made_up);
                made_up.extend_from_slice(hash.as_bytes());
                if let Some(read) = from_bytes(&made_up, &made_of, 4) {
                    (0..read.len()).for_each(|at| drop((read.place(at), read.head(at))));
                    assert!(read.chunks().all(|chunk| chunk < 4));
                }
            }
        }
    }
}
