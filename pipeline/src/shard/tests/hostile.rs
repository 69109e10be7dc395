//! Bytes that somebody made up: thousands of seeded changes to shards and manifest, each of which is refused by name
//! or read, and none of which panics or asks for memory without bound.

use std::fs;

use super::damage::{forge, places};
use super::*;

/// Changes of one shard.
const CHANGES: usize = 200;
/// Changes of the manifest.
const MANIFESTS: usize = 1500;

/// One change, chosen by the numbers of a sequence that looks random.
fn change(good: &[u8], random: &mut impl Iterator<Item = u64>) -> Vec<u8> {
    let mut next = || random.next().unwrap() as usize;
    let mut bad = good.to_vec();
    // Half of the changes are in the last part, where a shard has its footer.
    let tail = if next().is_multiple_of(2) { good.len().min(700) } else { good.len() };
    let at = good.len() - tail + next() % tail;
    let until = (at + 1 + next() % 8).min(bad.len());
    match next() % 8 {
        0 => bad[at] ^= 1 << (next() % 8),
        // The end of a number, or the greatest one that there is.
        1 => bad[at..until].fill(0xff),
        2 => bad[at..until].fill(0),
        // A number that goes on for longer, or is negative.
        3 => drop(bad.splice(at..at + 1, [0xff, 0xff, 0xff, 0xff, 0x0f])),
        4 => drop(bad.splice(at..at + 1, [0x81, 0x80, 0x80, 0x80, 0x10])),
        // Cut out, with the end that says where the footer is.
        5 => drop(bad.drain(at..until)),
        6 => {
            let from = next() % good.len();
            let length = (1 + next() % 64).min(good.len() - from.max(at));
            bad[at..at + length].copy_from_slice(&good[from..from + length]);
        }
        _ => bad.truncate(at),
    }
    bad
}

#[test]
fn a_made_up_shard_is_refused_by_name_or_read() {
    let dir = tempfile::tempdir().unwrap();
    let store = store_of(dir.path(), &[60]);
    let (mut refused, mut random) = (0, places(20));
    for (index, path) in shard_files(&store).into_iter().enumerate() {
        let good = fs::read(&path).unwrap();
        for _ in 0..CHANGES {
            let bad = change(&good, &mut random);
            // Entries that state more rows than so few bytes hold are refused with the manifest.
            if bad.len() < 16 {
                continue;
            }
            let forged = forge(&store, index, &bad);
            let entry = forged.manifest().shards[index].clone();
            let result = read_all(&forged);
            assert!(forged.check().is_ok());
            fs::remove_file(dir.path().join(entry.file())).unwrap();
            match result {
                Ok(()) => {}
                Err(StoreError::Damaged { what, .. }) => {
                    // A number that was changed may be missed where it is looked for.
                    // Clusters that do not fit are told with the vectors that they are of.
                    let beside = entry.table == "clusters" && what.starts_with("vectors/");
                    assert!(what == entry.file() || what == "chunks" || beside, "{what}");
                    refused += 1;
                }
                Err(other) => panic!("{other}"),
            }
        }
        fs::write(&path, &good).unwrap();
    }
    assert!(refused > CHANGES, "{refused}");
}

#[test]
fn a_made_up_manifest_is_refused_or_read_and_leads_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_of(dir.path(), &[3, 3]);
    let lock = store.lock().unwrap();
    store.merge(&lock, Merging::Everything).unwrap();
    drop(lock);
    let path = dir.path().join("manifest.json");
    let good = fs::read(&path).unwrap();
    let (mut refused, mut random) = (0, places(21));
    for _ in 0..MANIFESTS {
        fs::write(&path, change(&good, &mut random)).unwrap();
        match Store::open(dir.path()) {
            Ok(Some(store)) => {
                for shard in &store.manifest().shards {
                    assert!(!shard.file().contains(".."), "{}", shard.file());
                }
                for file in &store.manifest().retired {
                    assert!(!file.table.contains(['.', '/']) && !file.name.contains('/'), "{file:?}");
                }
                drop(read_all(&store));
            }
            Ok(None) => panic!("the manifest is there"),
            Err(StoreError::Damaged { .. } | StoreError::Version { .. }) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(refused > MANIFESTS / 2, "{refused}");
}

#[test]
fn a_page_that_would_fill_the_memory_is_refused_before_it_is_decompressed() {
    let dir = tempfile::tempdir().unwrap();
    let store = store_of(dir.path(), &[600]);
    let chunks = 2;
    let good = fs::read(&shard_files(&store)[chunks]).unwrap();
    // The first page begins after the four magic bytes: its type, its size decompressed, its size.
    assert_eq!((&good[..4], good[4], good[6]), (&b"PAR1"[..], 0x15, 0x15));
    let mut bad = good.clone();
    let mut at = 7;
    while bad[at] & 0x80 != 0 {
        bad[at] = 0xfe;
        at += 1;
    }
    bad[at] = 0x7e;
    let error = read_all(&forge(&store, chunks, &bad)).unwrap_err();
    assert!(error.to_string().contains("more bytes than it states"), "{error}");
    // The same page, of two gibibytes.
    let mut bomb = good.clone();
    bomb.splice(7..=at, [0xfe, 0xff, 0xff, 0xff, 0x0f]);
    let error = read_all(&forge(&store, chunks, &bomb)).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}
