//! Ever: every place where a text of a history stood, which of them are one node, and the lives of the nodes.
//!
//! All of it follows from the edits of a store and the tree that is asked about, so it is put together once and
//! [kept](crate::archive) in a file.

use std::collections::HashSet;
use std::path::Path;

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
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ever {
    pub(super) places: Places,
    /// For each place the number of the commit that first brought its text there.
    pub(super) brought: Vec<u32>,
    /// And the node that stood there.
    pub(super) node: Vec<u32>,
    lives: Vec<Lived>,
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
        let made_of = made_of(store, tip, &TABLES);
        let manifest = store.manifest();
        Kept::new(store, elsewhere, FOLDER, &made_of, KEPT)
            .read(|bytes| Ever::from_bytes(bytes, &made_of, manifest.next_chunk, manifest.next_commit))
    }

    /// Keeps it for the next question.
    pub(super) fn keep(&self, store: &Store, tip: &ObjectId, elsewhere: Option<&Path>) {
        let made_of = made_of(store, tip, &TABLES);
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
        let living: HashSet<u32> = (0..tree.len()).filter_map(|at| lineages.of_place(&tree.place(at))).collect();
        let rows = rows_of(store, archive.chunk_count())?;
        let allowed: Vec<bool> = archive.commits().iter().map(|commit| brought.allows(commit)).collect();
        let (mut ever, mut gathered) = (Ever::default(), Gathered::default());
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
                    ever.lives.push(lived);
                    let node = ever.lives.len() as u32 - 1;
                    nodes.insert(lineage, node);
                    node
                }
            };
            gathered.push(&place, archive.head(chunk), rows[chunk as usize]);
            ever.brought.push(edit.commit);
            ever.node.push(node);
        }
        Ok(Ever { places: gathered.finish(), ..ever })
    }

    /// The life of a node; `ids` are those of all commits.
    pub(super) fn life(&self, node: u32, ids: &[ObjectId]) -> Option<Life> {
        let lived = self.lives.get(node as usize)?;
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
        for count in [self.places.len(), self.lives.len()] {
            bytes.extend_from_slice(&(count as u32).to_le_bytes());
        }
        for value in self.brought.iter().chain(&self.node) {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        for lived in &self.lives {
            bytes.extend_from_slice(&lived.lineage.to_le_bytes());
            for value in [lived.versions, lived.first, lived.last, u32::from(lived.alive)] {
                bytes.extend_from_slice(&value.to_le_bytes());
            }
        }
        let hash = blake3::hash(&bytes);
        bytes.extend_from_slice(hash.as_bytes());
        bytes.extend_from_slice(&self.places.to_bytes(made_of));
        bytes
    }

    /// Reads a file, if it was made of the same and refers to nothing that is not there. `chunks` and `commits` are above every
    /// number of one.
    fn from_bytes(bytes: &[u8], made_of: &blake3::Hash, chunks: u32, commits: u32) -> Option<Ever> {
        let rest = bytes.strip_prefix(MAGIC)?.strip_prefix(made_of.as_bytes().as_slice())?;
        let (counts, rest) = rest.split_at_checked(8)?;
        let (count, lives) = (number(&counts[..4])? as usize, number(&counts[4..])? as usize);
        // Counts are from outside: nothing is allocated before there are as many bytes.
        let length = count.checked_mul(4 * OF_PLACE)?.checked_add(lives.checked_mul(4 * OF_LIFE)?)?;
        let (numbers, rest) = rest.split_at_checked(length)?;
        let (hash, rest) = rest.split_at_checked(HASH_BYTES)?;
        let hashed = &bytes[..bytes.len() - rest.len() - HASH_BYTES];
        if blake3::hash(hashed).as_bytes().as_slice() != hash {
            return None;
        }
        let places = Places::from_bytes(rest, made_of, chunks)?;
        let (of_places, of_lives) = numbers.split_at(count * 4 * OF_PLACE);
        let mut brought = of_places.chunks_exact(4).map(number).collect::<Option<Vec<u32>>>()?;
        let node = brought.split_off(count);
        let lived = |bytes: &[u8]| {
            let (lineage, rest) = bytes.split_first_chunk()?;
            let at = |at: usize| number(rest.get(4 * at..4 * at + 4)?);
            let lineage = u64::from_le_bytes(*lineage);
            Some(Lived { lineage, versions: at(0)?, first: at(1)?, last: at(2)?, alive: at(3)? != 0 })
        };
        let lives = of_lives.chunks_exact(4 * OF_LIFE).map(lived).collect::<Option<Vec<Lived>>>()?;
        let is_sound = places.len() == count
            && brought.iter().all(|commit| *commit < commits)
            && node.iter().all(|node| (*node as usize) < lives.len())
            && lives.iter().all(|lived| lived.first < commits && lived.last < commits);
        is_sound.then_some(Ever { places, brought, node, lives })
    }
}

fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::{ChunkHead, ChunkId};

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
        Ever {
            places: gathered.finish(),
            brought: vec![0, 3, 4],
            node: vec![0, 0, 1],
            lives: vec![lived(9, 2), lived(u64::MAX, 1)],
        }
    }

    #[test]
    fn a_file_gives_back_what_was_written_and_a_damaged_one_nothing() {
        let (ever, made_of) = (some(), blake3::hash(b"a store and a tree"));
        let bytes = ever.to_bytes(&made_of);
        assert_eq!(Ever::from_bytes(&bytes, &made_of, 3, 5), Some(some()));
        assert_eq!(Ever::from_bytes(&bytes, &blake3::hash(b"another"), 3, 5), None);
        assert_eq!(Ever::from_bytes(&bytes, &made_of, 3, 4), None, "it names commit 4");
        assert_eq!(Ever::from_bytes(&bytes, &made_of, 2, 5), None, "it names chunk 2");
        for at in 0..bytes.len() {
            assert_eq!(Ever::from_bytes(&bytes[..at], &made_of, 3, 5), None, "cut at {at}");
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x40;
            assert_eq!(Ever::from_bytes(&flipped, &made_of, 3, 5), None, "changed at {at}");
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
                if let Some(read) = Ever::from_bytes(&made_up, &made_of, 3, 5) {
                    let ids = vec![ObjectId::from_bytes(&[1; 20]).expect("20 bytes"); 5];
                    assert!(read.node.iter().all(|node| read.life(*node, &ids).is_some()));
                    assert!(read.brought.iter().all(|commit| *commit < 5));
                }
            }
        }
    }
}
