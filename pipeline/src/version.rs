//! Version: one version of a file as a run knows it, cut from the version before it where there is one.

use std::sync::Arc;
use std::time::Instant;

use rustc_hash::FxHashMap;

use crate::chunker::{Chunker, chunk_id};
use crate::history::Objects;
use crate::lineage::Placed;
use crate::shard::{ChunkId, ObjectId};
use crate::syntax::{self, Bag, Cut, Language, Outline, Reading, Skip};

/// A file version: its content, and as what it is read. Equal content may be Markdown here and plain text there.
pub(crate) type Key = (ObjectId, &'static str);

/// A file version, or why there is none.
pub(crate) type Outcome = Result<Arc<Version>, Skip>;

/// The nodes of one version of a file.
pub(crate) struct Version {
    /// The nodes, in file order.
    pub(crate) placed: Vec<Placed>,
    /// The enclosing container of each.
    pub(crate) containers: Vec<Arc<str>>,
    /// The tokens of each.
    pub(crate) bags: Vec<Arc<Bag>>,
    outline: Option<Outline>,
}

impl Version {
    /// About how many bytes it holds. What it shares with other versions counts for each.
    fn bytes(&self) -> usize {
        let node = size_of::<Placed>() + size_of::<Arc<str>>() + size_of::<Arc<Bag>>();
        let bags: usize = self.bags.iter().map(|bag| 4 * bag.len() + 32).sum();
        self.placed.len() * node + bags + self.outline.as_ref().map_or(0, Outline::bytes)
    }
}

/// A text that may be new to the store.
pub(crate) struct Fresh {
    /// The place of its node among those of the version.
    pub(crate) node: usize,
    pub(crate) name: String,
    pub(crate) text: String,
}

/// Time spent on one version, in seconds.
#[derive(Clone, Copy, Default)]
pub(crate) struct Work {
    pub(crate) inflate: f64,
    pub(crate) parse: f64,
    pub(crate) hash: f64,
}

/// A version on its way from the worker that cut it.
pub(crate) struct Chunked {
    pub(crate) version: Outcome,
    pub(crate) fresh: Vec<Fresh>,
    pub(crate) bytes: u64,
    pub(crate) reading: Reading,
    pub(crate) work: Work,
}

/// Reads a blob and cuts it. `before` is the version before it, and `is_known` says whether a text is in the store.
pub(crate) fn chunk(
    objects: &Objects,
    path: &str,
    id: &ObjectId,
    language: &'static Language,
    before: Option<&Version>,
    is_known: &(dyn Fn(&ChunkId) -> bool + Sync),
) -> Chunked {
    let started = Instant::now();
    let (text, bytes) = match Chunker::text(objects, path, id, language) {
        Ok(read) => read,
        Err(skip) => {
            let work = Work { inflate: started.elapsed().as_secs_f64(), ..Work::default() };
            return Chunked { version: Err(skip), fresh: Vec::new(), bytes: 0, reading: Reading::Whole, work };
        }
    };
    let inflated = Instant::now();
    let before = before.filter(|before| before.outline.is_some());
    let cut = syntax::cut(language, text, before.and_then(|before| before.outline.as_ref()));
    let parsed = Instant::now();
    let count = cut.cuts.len();
    let mut version = Version {
        placed: Vec::with_capacity(count),
        containers: Vec::with_capacity(count),
        bags: Vec::with_capacity(count),
        outline: cut.outline,
    };
    let mut fresh = Vec::new();
    for piece in cut.cuts {
        match (piece, before) {
            (Cut::Same { index, start_line, end_line }, Some(before)) => {
                version.placed.push(Placed { start_line, end_line, ..before.placed[index].clone() });
                version.containers.push(before.containers[index].clone());
                version.bags.push(before.bags[index].clone());
            }
            (Cut::Same { .. }, None) => unreachable!("because nothing comes over from nothing"),
            (Cut::New(node), _) => {
                let chunk = chunk_id(language.name, node.kind, &node.name, &node.text);
                version.bags.push(Arc::new(Bag::of(&node.text)));
                if !is_known(&chunk) {
                    fresh.push(Fresh { node: version.placed.len(), name: node.name, text: node.text });
                }
                version.containers.push(node.container.into());
                version.placed.push(Placed {
                    symbol: node.symbol.into(),
                    kind: node.kind,
                    chunk,
                    start_line: node.start_line,
                    end_line: node.end_line,
                });
            }
        }
    }
    let work = Work {
        inflate: (inflated - started).as_secs_f64(),
        parse: (parsed - inflated).as_secs_f64(),
        hash: parsed.elapsed().as_secs_f64(),
    };
    Chunked { version: Ok(Arc::new(version)), fresh, bytes, reading: cut.reading, work }
}

/// The versions that later ones are likely to be cut from and compared with, up to a number of bytes.
///
/// What was dropped is read and cut again when it is asked for, so the bound is one on memory and not on what is found.
pub(crate) struct Versions {
    entries: FxHashMap<Key, Kept>,
    bytes: usize,
    most_bytes: usize,
    turn: u64,
}

struct Kept {
    version: Outcome,
    bytes: usize,
    /// Whether no version has taken its place yet.
    is_latest: bool,
    last_used: u64,
}

impl Versions {
    pub(crate) fn new(most_bytes: usize) -> Versions {
        Versions { entries: FxHashMap::default(), bytes: 0, most_bytes, turn: 0 }
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Outcome> {
        self.entries.get(key).map(|kept| &kept.version)
    }

    /// Whether a version is there; if so, it counts as used.
    pub(crate) fn touch(&mut self, key: &Key) -> bool {
        let turn = self.turn;
        self.entries.get_mut(key).map(|kept| kept.last_used = turn).is_some()
    }

    pub(crate) fn insert(&mut self, key: Key, version: Outcome) {
        let bytes = size_of::<Kept>() + version.as_ref().map_or(0, |version| version.bytes());
        self.bytes += bytes;
        let kept = Kept { version, bytes, is_latest: true, last_used: self.turn };
        if let Some(old) = self.entries.insert(key, kept) {
            self.bytes -= old.bytes;
        }
    }

    /// Notes that one version has taken the place of another. Branches that began before may still ask for the old one.
    pub(crate) fn replace(&mut self, before: Option<Key>, after: Option<Key>) {
        for (key, is_latest) in [(before, false), (after, true)] {
            if let Some(kept) = key.and_then(|key| self.entries.get_mut(&key)) {
                kept.is_latest = is_latest;
            }
        }
    }

    /// Ends a turn: if there is too much, drops what was superseded, then what was not used for longest.
    pub(crate) fn settle(&mut self) {
        self.turn += 1;
        if self.bytes <= self.most_bytes {
            return;
        }
        let mut by_age: Vec<((bool, u64), Key, usize)> =
            self.entries.iter().map(|(key, kept)| ((kept.is_latest, kept.last_used), *key, kept.bytes)).collect();
        by_age.sort_unstable();
        for (_, key, bytes) in by_age {
            // A quarter is made free at once, so that this does not happen at every turn.
            if self.bytes <= self.most_bytes / 4 * 3 {
                break;
            }
            self.entries.remove(&key);
            self.bytes -= bytes;
        }
    }
}
