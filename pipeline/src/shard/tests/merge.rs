//! Merging and clearing: the same rows in fewer shards, whatever happens on the way.

use std::collections::BTreeSet;
use std::time::Duration;

use super::fault::{Fate, Fault, at_every_step, files, folder_at};
use super::*;

type Content = (Vec<CommitRow>, Vec<EditRow>, Vec<ChunkRow>, Vec<String>, Vec<(u32, Vec<i8>)>);

/// What a store holds, in an order that does not depend on its shards.
fn content(store: &Store) -> Content {
    let mut spans: Vec<String> = store.spans().unwrap().iter().map(|span| format!("{span:?}")).collect();
    spans.sort();
    let vectors = store.vectors().unwrap();
    let rows = vectors.values.chunks(DIMENSION as usize).map(<[i8]>::to_vec);
    let mut vectors: Vec<_> = vectors.chunk.iter().copied().zip(rows).collect();
    vectors.sort();
    (store.commits().unwrap(), store.edits().unwrap(), store.chunks().unwrap(), spans, vectors)
}

fn shards_of(store: &Store, table: &str) -> usize {
    store.manifest().shards_of(table).count()
}

#[test]
fn a_hundred_runs_of_one_commit_leave_few_shards_and_the_content_of_one_run() {
    let (one, many) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let expected = content(&store_of(one.path(), &[100]));
    let mut most = 0;
    for run in 0..100 {
        // Each run opens the store anew, as each night does.
        let mut store = Store::open(many.path()).unwrap().unwrap_or_else(|| Store::create(many.path(), settings()));
        let lock = store.lock().unwrap();
        store.commit(&lock, sample(run, 1)).unwrap();
        store.merge(&lock, Merging::Levels).unwrap();
        most = most.max(shards_of(&store, "edits"));
    }
    let store = open(many.path());
    // Fewer than ten of each of the levels 1 and 10, and what becomes a hundred.
    assert!(most <= 19, "{most}");
    for table in ["commits", "edits", "chunks", "spans", "vectors"] {
        assert!(shards_of(&store, table) <= 12, "{table}: {}", shards_of(&store, table));
    }
    assert_eq!(content(&store), expected);
    assert_eq!(store.check().unwrap().problems, Vec::<String>::new());
    let amplification = store.write_amplification();
    assert!(amplification > 1.0 && amplification < 5.0, "{amplification}");
}

#[test]
fn compaction_leaves_one_shard_a_table_and_is_done_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_of(dir.path(), &[40, 3, 25]);
    let before = content(&store);
    let lock = store.lock().unwrap();
    let report = store.merge(&lock, Merging::Everything).unwrap();
    assert_eq!((report.shards, report.into), (18, 6));
    assert_eq!(store.manifest().shards.len(), 6);
    assert_eq!(content(&open(dir.path())), before);
    assert_eq!(store.check().unwrap().problems, Vec::<String>::new());
    let generation = store.manifest().generation;
    assert_eq!(store.merge(&lock, Merging::Everything).unwrap(), MergeReport::default());
    assert_eq!(store.manifest().generation, generation);
    // It grows on as any other.
    store.commit(&lock, sample(68, 2)).unwrap();
    assert_eq!(store.commits().unwrap(), sample(0, 70).commits);
}

#[test]
fn a_reader_that_began_before_finds_its_files_until_they_are_cleared() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_of(dir.path(), &[5, 5]);
    let (early, late) = (open(dir.path()), open(dir.path()));
    let lock = store.lock().unwrap();
    store.merge(&lock, Merging::Everything).unwrap();
    // Neither the next writer nor a clearing within the grace period takes them away.
    store.commit(&lock, sample(10, 1)).unwrap();
    let report = store.clear(&lock, Duration::from_secs(3600)).unwrap();
    assert_eq!((report.removed.len(), report.kept.len()), (0, 12));
    read_all(&early).unwrap();

    let report = store.clear(&lock, Duration::ZERO).unwrap();
    assert_eq!((report.removed.len(), report.kept.len()), (12, 0));
    assert!(store.manifest().retired.is_empty());
    // That is no damage, and nothing to build again.
    assert!(matches!(read_all(&late), Err(StoreError::Stale { found: 5, expected: 2, .. })));
    read_all(&open(dir.path())).unwrap();
    let generation = store.manifest().generation;
    assert_eq!(store.clear(&lock, Duration::ZERO).unwrap(), ClearReport::default());
    assert_eq!(store.manifest().generation, generation);
}

#[test]
fn clearing_takes_what_a_dead_writer_left_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_of(dir.path(), &[5]);
    let orphan = format!("edits/{:032x}.parquet", 7);
    for name in [orphan.as_str(), "edits/writing.tmp", "edits/notes.txt"] {
        std::fs::write(dir.path().join(name), "PAR1").unwrap();
    }
    let lock = store.lock().unwrap();
    let report = store.clear(&lock, Duration::from_secs(3600)).unwrap();
    assert_eq!(BTreeSet::from_iter(report.removed), BTreeSet::from([orphan, "edits/writing.tmp".to_owned()]));
    assert!(dir.path().join("edits/notes.txt").exists());
    read_all(&open(dir.path())).unwrap();
}

#[test]
fn a_damaged_shard_is_not_merged_away() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_of(dir.path(), &[5, 5]);
    let path = shard_files(&store).remove(1);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[9] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let lock = store.lock().unwrap();
    let before = store.manifest().clone();
    assert!(matches!(store.merge(&lock, Merging::Everything), Err(StoreError::Damaged { .. })));
    assert_eq!(*open(dir.path()).manifest(), before);
}

/// Merges and then clears what was merged, through a disk with this fault.
fn merge_and_clear(dir: &Path, fault: Option<std::sync::Arc<Fault>>) -> Result<(), StoreError> {
    let mut store = open(dir);
    store.location = folder_at(dir, fault);
    let lock = store.lock()?;
    store.merge(&lock, Merging::Everything)?;
    store.clear(&lock, Duration::ZERO)?;
    Ok(())
}

#[test]
fn whatever_step_of_merging_and_clearing_fails_the_rows_are_all_there_and_the_next_run_ends_it() {
    let whole = tempfile::tempdir().unwrap();
    store_of(whole.path(), &[5, 3]);
    let expected = content(&open(whole.path()));
    merge_and_clear(whole.path(), None).unwrap();
    let expected_files = files(whole.path());
    for fate in [Fate::Error, Fate::Killed, Fate::Power] {
        at_every_step(fate, |fault| {
            let dir = tempfile::tempdir().unwrap();
            store_of(dir.path(), &[5, 3]);
            // A file that cannot be removed is left for the next writer, which is no error.
            let _ = merge_and_clear(dir.path(), Some(fault.clone()));
            let found = Store::open(dir.path()).unwrap_or_else(|error| panic!("{error}: {fault:?}")).unwrap();
            assert_eq!(found.check().unwrap().problems, Vec::<String>::new(), "{fault:?}");
            assert_eq!(content(&found), expected, "{fault:?}");
            merge_and_clear(dir.path(), None).unwrap_or_else(|error| panic!("{error}: {fault:?}"));
            assert_eq!(content(&open(dir.path())), expected, "{fault:?}");
            assert_eq!(files(dir.path()), expected_files, "{fault:?}");
        });
    }
}
