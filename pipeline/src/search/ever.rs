//! Ever: every place where a text of a history stood, which of them are one node, and the lives of the nodes.
//!
//! All of it follows from the edits of a store and the tree that is asked about, so it is put together once and
//! [kept](crate::archive) in a file.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::lineages::{Life, Lineages};
use super::{Brought, container_of};
use crate::PipelineError;
use crate::archive::{Archive, Gathered, Kept, Place, Places, made_of, places_at, rows_of};
use crate::history::Objects;
use crate::shard::{ObjectId, Store};

/// The folder inside a store.
const FOLDER: &str = "nodes";
/// Files that are kept in it: each has all of history.
const KEPT: usize = 2;
/// What it is made of.
const TABLES: [&str; 4] = ["chunks", "commits", "edits", "spans"];
/// Opens a file; another layout, and another rule of what one node is, gets another number.
const MAGIC: &[u8; 8] = b"nodes002";
/// Bytes of a blake3 hash.
const HASH_BYTES: usize = 32;
/// Numbers that are told of each place and of each life.
const OF_PLACE: usize = 2;
const OF_LIFE: usize = 6;

/// The places of all history in the order in which texts came to them, each once.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ever {
    pub(super) places: Places,
    numbers: Numbers,
}

/// What is told of places and lives, as it lies in a file: for each place the number of the commit that first brought its text
/// there, for each the node that stood there, and the lives of the nodes.
#[derive(Debug)]
struct Numbers {
    /// The file's bytes, or some that hold them.
    bytes: Arc<Vec<u8>>,
    /// Where in them.
    within: Range<usize>,
    places: usize,
}

/// The life of a node, by numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lived {
    pub(super) lineage: u64,
    pub(super) versions: u32,
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) alive: bool,
}

impl Ever {
    /// What is kept of a store for the tree of a commit, if anything is.
    pub(super) fn kept(store: &Store, tip: &ObjectId, elsewhere: Option<&Path>) -> Option<Ever> {
        let made_of = made_of(store, Some(tip), &TABLES);
        Kept::new(store, elsewhere, FOLDER, &made_of, KEPT)
            .read(|bytes| Ever::from_bytes(bytes, &made_of, store.chunk_count(), store.commit_count()))
    }

    /// Keeps it for the next question.
    pub(super) fn keep(&self, store: &Store, tip: &ObjectId, elsewhere: Option<&Path>) {
        let made_of = made_of(store, Some(tip), &TABLES);
        Kept::new(store, elsewhere, FOLDER, &made_of, KEPT).keep(&self.to_bytes(&made_of));
    }

    /// Puts it together, of texts that such commits brought.
    ///
    /// # Errors
    /// A tree or a shard that cannot be read.
    pub(super) fn of(
        archive: &Archive,
        objects: &Objects,
        tip: &ObjectId,
        brought: &Brought,
        elsewhere: Option<&Path>,
    ) -> Result<Ever, PipelineError> {
        let store = archive.store();
        let mut lineages = Lineages::of(archive, &archive.known_ever())?;
        let tree = places_at(store, Some(archive.snapshot().heads()), objects, tip, elsewhere)?;
        let living: FxHashSet<u32> = (0..tree.len()).filter_map(|at| lineages.of_place(&tree.place(at))).collect();
        let rows = rows_of(store, archive.chunk_count())?;
        let allowed: Vec<bool> = archive.commits().iter().map(|commit| brought.allows(commit)).collect();
        let (mut brought_by, mut of_node, mut lives) = (Vec::new(), Vec::new(), Vec::new());
        let mut gathered = Gathered::default();
        let (mut seen, mut nodes) = (FxHashSet::default(), FxHashMap::default());
        for (at, edit) in archive.edits().iter().enumerate().filter(|(_, edit)| allowed[edit.commit as usize]) {
            let (Some(symbol), Some(chunk)) = (&edit.symbol, edit.after) else { continue };
            let Some(standing) = lineages.brought(at).filter(|standing| seen.insert(*standing)) else { continue };
            let place = Place {
                path: edit.path.clone(),
                symbol: symbol.clone(),
                container: container_of(symbol).into(),
                chunk,
                start_line: edit.start_line,
                end_line: edit.end_line,
            };
            let lineage = lineages.find(standing);
            let node = match nodes.get(&lineage) {
                Some(node) => *node,
                None => {
                    let Some(lived) = lineages.lived(archive, lineage, &living) else { continue };
                    lives.push(lived);
                    let node = lives.len() as u32 - 1;
                    nodes.insert(lineage, node);
                    node
                }
            };
            gathered.push(&place, archive.head(chunk), rows[chunk as usize]);
            brought_by.push(edit.commit);
            of_node.push(node);
        }
        Ok(Ever { places: gathered.finish(), numbers: Numbers::of(&brought_by, &of_node, &lives) })
    }

    /// The number of the commit that first brought the text of a place there.
    pub(super) fn brought(&self, at: usize) -> u32 {
        self.numbers.at(at)
    }

    /// The node that stood at a place.
    pub(super) fn node(&self, at: usize) -> u32 {
        self.numbers.at(self.numbers.places + at)
    }

    /// The life of a node; `ids` are those of all commits.
    pub(super) fn life(&self, node: u32, ids: &[ObjectId]) -> Option<Life> {
        let lived = self.numbers.lived(node)?;
        Some(Life {
            lineage: format!("{:016x}", lived.lineage),
            versions: lived.versions as usize,
            first_commit: ids.get(lived.first as usize)?.to_string(),
            last_commit: ids.get(lived.last as usize)?.to_string(),
            alive: lived.alive,
        })
    }

    /// The file: what opens it, what it was made of, two counts, the numbers, the hash of all that, and the places, which
    /// have a hash of their own.
    fn to_bytes(&self, made_of: &blake3::Hash) -> Vec<u8> {
        let mut bytes = [MAGIC.as_slice(), made_of.as_bytes()].concat();
        for count in [self.places.len(), self.numbers.lives().len()] {
            bytes.extend_from_slice(&(count as u32).to_le_bytes());
        }
        bytes.extend_from_slice(self.numbers.all());
        let hash = blake3::hash(&bytes);
        bytes.extend_from_slice(hash.as_bytes());
        bytes.extend_from_slice(&self.places.to_bytes(made_of));
        bytes
    }

    /// Reads a file, if it was made of the same and refers to nothing that is not there. `chunks` and `commits` are above every
    /// number of one.
    fn from_bytes(bytes: Arc<Vec<u8>>, made_of: &blake3::Hash, chunks: u32, commits: u32) -> Option<Ever> {
        let rest = bytes.strip_prefix(MAGIC)?.strip_prefix(made_of.as_bytes().as_slice())?;
        let (counts, rest) = rest.split_at_checked(8)?;
        let (count, lives) = (number(&counts[..4])? as usize, number(&counts[4..])? as usize);
        // Counts are from outside: nothing is looked up before there are as many bytes.
        let length = count.checked_mul(4 * OF_PLACE)?.checked_add(lives.checked_mul(4 * OF_LIFE)?)?;
        let start = bytes.len() - rest.len();
        let (hash, rest) = rest.get(length..)?.split_at_checked(HASH_BYTES)?;
        if blake3::hash(&bytes[..start + length]).as_bytes().as_slice() != hash {
            return None;
        }
        let places_start = bytes.len() - rest.len();
        let numbers = Numbers { bytes: Arc::clone(&bytes), within: start..start + length, places: count };
        let places = Places::from_bytes(bytes, places_start, made_of, chunks)?;
        (places.len() == count && numbers.are_sound(commits)).then_some(Ever { places, numbers })
    }
}

impl Numbers {
    fn of(brought: &[u32], node: &[u32], lives: &[Lived]) -> Numbers {
        let mut bytes: Vec<u8> = brought.iter().chain(node).flat_map(|value| value.to_le_bytes()).collect();
        for lived in lives {
            bytes.extend_from_slice(&lived.lineage.to_le_bytes());
            for value in [lived.versions, lived.first, lived.last, u32::from(lived.alive)] {
                bytes.extend_from_slice(&value.to_le_bytes());
            }
        }
        let within = 0..bytes.len();
        Numbers { bytes: Arc::new(bytes), within, places: brought.len() }
    }

    fn all(&self) -> &[u8] {
        &self.bytes[self.within.clone()]
    }

    fn at(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.all().as_chunks().0[at])
    }

    /// The lives, each as its bytes.
    fn lives(&self) -> &[[u8; 4 * OF_LIFE]] {
        self.all()[4 * OF_PLACE * self.places..].as_chunks().0
    }

    fn lived(&self, node: u32) -> Option<Lived> {
        let (lineage, rest) = self.lives().get(node as usize)?.split_first_chunk()?;
        let at = |at: usize| number(rest.get(4 * at..4 * at + 4)?);
        let lineage = u64::from_le_bytes(*lineage);
        Some(Lived { lineage, versions: at(0)?, first: at(1)?, last: at(2)?, alive: at(3)? != 0 })
    }

    /// Whether they refer to nothing that is not there.
    fn are_sound(&self, commits: u32) -> bool {
        let lives = 0..self.lives().len() as u32;
        (0..self.places).all(|at| self.at(at) < commits && lives.contains(&self.at(self.places + at)))
            && lives
                .clone()
                .all(|node| self.lived(node).is_some_and(|lived| lived.first < commits && lived.last < commits))
    }
}

impl PartialEq for Numbers {
    fn eq(&self, other: &Numbers) -> bool {
        self.places == other.places && self.all() == other.all()
    }
}

impl Eq for Numbers {}

fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::{ChunkHead, ChunkId};

    fn from_bytes(bytes: &[u8], made_of: &blake3::Hash, chunks: u32, commits: u32) -> Option<Ever> {
        Ever::from_bytes(Arc::new(bytes.to_vec()), made_of, chunks, commits)
    }

    fn some() -> Ever {
        let mut gathered = Gathered::default();
        for (path, chunk) in [("a.rs", 0), ("a.rs", 1), ("b.rs", 2)] {
            let place = Place {
                path: path.into(),
                symbol: "f".into(),
                container: "".into(),
                chunk,
                start_line: 1,
                end_line: 2,
            };
            let (id, lang, kind, name) = (ChunkId([7; 16]), "rust".into(), "function".into(), "f".into());
            gathered.push(&place, &ChunkHead { number: chunk, id, lang, kind, name }, Some(chunk));
        }
        let lived = |lineage, versions| Lived { lineage, versions, first: 0, last: 4, alive: lineage == 9 };
        let lives = [lived(9, 2), lived(u64::MAX, 1)];
        Ever { places: gathered.finish(), numbers: Numbers::of(&[0, 3, 4], &[0, 0, 1], &lives) }
    }

    #[test]
    fn a_file_gives_back_what_was_written_and_a_damaged_one_nothing() {
        let (ever, made_of) = (some(), blake3::hash(b"a store and a tree"));
        let bytes = ever.to_bytes(&made_of);
        let read = from_bytes(&bytes, &made_of, 3, 5).expect("it is whole");
        assert_eq!(read, some());
        assert_eq!(([0, 1, 2].map(|at| read.brought(at)), [0, 1, 2].map(|at| read.node(at))), ([0, 3, 4], [0, 0, 1]));
        let second = read.numbers.lived(1).expect("there are two");
        assert_eq!((second.lineage, second.versions, second.last, second.alive), (u64::MAX, 1, 4, false));
        assert_eq!(from_bytes(&bytes, &blake3::hash(b"another"), 3, 5), None);
        assert_eq!(from_bytes(&bytes, &made_of, 3, 4), None, "it names commit 4");
        assert_eq!(from_bytes(&bytes, &made_of, 2, 5), None, "it names chunk 2");
        for at in 0..bytes.len() {
            assert_eq!(from_bytes(&bytes[..at], &made_of, 3, 5), None, "cut at {at}");
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x40;
            assert_eq!(from_bytes(&flipped, &made_of, 3, 5), None, "changed at {at}");
        }
    }

    #[test]
    fn a_file_that_is_made_up_refers_to_nothing_that_is_not_there() {
        let (ever, made_of) = (some(), blake3::hash(b"x"));
        let bytes = ever.to_bytes(&made_of);
        let places = ever.places.to_bytes(&made_of);
        let hashed = bytes.len() - places.len() - HASH_BYTES;
        for at in MAGIC.len() + HASH_BYTES..hashed {
            for value in [0, 1, 0x7f, 0xff] {
                let mut made_up = bytes[..hashed].to_vec();
                made_up[at] = value;
                let hash = blake3::hash(&made_up);
                made_up.extend_from_slice(hash.as_bytes());
                made_up.extend_from_slice(&places);
                if let Some(read) = from_bytes(&made_up, &made_of, 3, 5) {
                    let ids = vec![ObjectId::from_bytes(&[1; 20]).expect("20 bytes"); 5];
                    assert!(
                        (0..read.places.len())
                            .all(|at| read.life(read.node(at), &ids).is_some() && read.brought(at) < 5)
                    );
                }
            }
        }
    }
}
