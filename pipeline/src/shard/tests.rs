//! Tests of the whole store: what is written is read, crashes lose nothing, damage is named.

mod crash;
mod damage;
mod draft;
pub(super) mod fault;
mod former;
mod hostile;
mod merge;
mod objects;
mod round_trip;

use std::path::{Path, PathBuf};

use super::*;

/// Values a vector in these tests.
const DIMENSION: u32 = 8;

fn settings() -> Settings {
    Settings { chunker: "items 1".into(), embedder: "table 1".into(), dimension: DIMENSION }
}

fn object(byte: u8) -> ObjectId {
    ObjectId::from_bytes(&[byte; 20]).unwrap()
}

/// A consistent generation of `count` commits, each of which brings one chunk, numbered from `first`.
fn sample(first: u32, count: u32) -> Generation {
    let numbers = || first..first + count;
    let id = |number: u32| {
        let mut bytes = [7; 20];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        ObjectId::from_bytes(&bytes).unwrap()
    };
    let commit = |number: u32| CommitRow {
        number,
        id: id(number),
        parents: number.checked_sub(1).map(id).into_iter().collect(),
        author: format!("author {}", number % 3),
        author_email: String::new(),
        author_time: 1_700_000_000 + i64::from(number),
        commit_time: -1 - i64::from(number),
        message: format!("change {number}\n\n"),
    };
    let edit = |number: u32| EditRow {
        commit: number,
        path: format!("src/{}.rs", number % 5).into(),
        symbol: number.is_multiple_of(2).then(|| format!("f{}", number % 7).into()),
        kind: number.is_multiple_of(2).then(|| "function".into()),
        change: Change::ALL[number as usize % Change::ALL.len()],
        before: number.checked_sub(1),
        after: Some(number),
        before_path: None,
        before_symbol: None,
        similarity: number.is_multiple_of(3).then_some(0.5),
        start_line: number + 1,
        end_line: number + 9,
        before_blob: None,
        after_blob: (number % 2 == 1).then(|| id(number)),
        skipped: None,
    };
    let chunk = |number: u32| ChunkRow {
        number,
        id: ChunkId(u128::from(number).to_be_bytes()),
        lang: "rust".into(),
        kind: "function".into(),
        name: format!("f{}", number % 7).into(),
        text: format!("fn f{}() {{ {number} }}", number % 7),
    };
    let span = |number: u32| SpanRow {
        blob: id(number / 4),
        chunk: number,
        symbol: format!("T::f{}", number % 7).into(),
        container: "T".into(),
        start_line: 1,
        end_line: number + 1,
    };
    let values: Vec<f32> = (0..DIMENSION).map(|i| 1.0 / (1.0 + i as f32)).collect();
    Generation {
        commits: numbers().map(commit).collect(),
        edits: numbers().map(edit).collect(),
        chunks: numbers().map(chunk).collect(),
        spans: numbers().map(span).collect(),
        vectors: numbers().map(|number| VectorRow::quantise(number, &values, 1.5)).collect(),
        tips: vec![id(first + count - 1)],
        shallow: vec![],
        attribute_dirs: vec!["docs".into()],
    }
}

/// A store with these generations of [`sample`].
fn store_of(dir: &Path, counts: &[u32]) -> Store {
    let mut store = Store::create(dir, settings());
    let lock = store.lock().unwrap();
    for count in counts {
        store.commit(&lock, sample(store.manifest().next_commit, *count)).unwrap();
    }
    store
}

fn open(dir: &Path) -> Store {
    Store::open(dir).unwrap().unwrap()
}

/// Every shard's path.
fn shard_files(store: &Store) -> Vec<PathBuf> {
    store.manifest().shards.iter().map(|shard| store.location().medium().name(&shard.file())).collect()
}

/// Reads every table in every way, and stops at the first error.
fn read_all(store: &Store) -> Result<(), StoreError> {
    store.commits()?;
    store.edits()?;
    store.chunks()?;
    let ids = store.chunk_ids()?;
    store.chunks_by_number(&ids.iter().map(|(number, _)| *number).collect::<Vec<_>>())?;
    store.spans()?;
    store.each_span(|_, _| {})?;
    store.commit_ids()?;
    store.vectors()?;
    store.spans_of(|_| true)?;
    store.vector_shards()?.iter().try_for_each(VectorShard::check_codes)?;
    Ok(())
}
