//! A store among objects: the same store, and writers that cannot keep each other out.

use std::sync::Arc;
use std::time::Duration;

use futures_executor::block_on;
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use object_store::path::Path as ObjectPath;

use super::super::objects::Objects;
use super::*;

/// Two views of the same objects, as two machines have them.
fn two_views() -> (Arc<InMemory>, Location, Location) {
    let objects = Arc::new(InMemory::new());
    let view = || Location::of(Objects::new(objects.clone(), "team/store", "memory://team/store/"));
    let (one, two) = (view(), view());
    (objects, one, two)
}

fn store_at(location: &Location, counts: &[u32]) -> Store {
    let mut store = Store::create(location, settings());
    let lock = store.lock().unwrap();
    for count in counts {
        store.commit(&lock, sample(store.manifest().next_commit, *count)).unwrap();
    }
    store
}

fn open_at(location: &Location) -> Store {
    Store::open(location).unwrap().unwrap()
}

#[test]
fn what_is_written_in_one_place_is_read_in_another() {
    let (_, here, there) = two_views();
    assert!(Store::open(&here).unwrap().is_none());
    store_at(&here, &[40, 25]);
    let store = open_at(&there);
    let whole = sample(0, 65);
    assert_eq!(store.commits().unwrap(), whole.commits);
    assert_eq!(store.edits().unwrap(), whole.edits);
    assert_eq!(store.chunks().unwrap(), whole.chunks);
    read_all(&store).unwrap();
    assert_eq!(store.check().unwrap().problems, Vec::<String>::new());
    assert_eq!(store.dir(), None);
    // The same rows make the same shards as in a folder.
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(store.manifest(), store_of(dir.path(), &[40, 25]).manifest());
}

#[test]
fn it_is_merged_cleared_and_set_aside_as_in_a_folder() {
    let (_, here, there) = two_views();
    let mut store = store_at(&here, &[9, 4, 2]);
    let early = open_at(&there);
    let lock = store.lock().unwrap();
    assert_eq!(store.merge(&lock, Merging::Everything).unwrap().into, 6);
    assert_eq!(store.commits().unwrap(), sample(0, 15).commits);
    read_all(&early).unwrap();
    assert_eq!(store.clear(&lock, Duration::ZERO).unwrap().removed.len(), 18);
    drop(lock);
    assert_eq!(store.check().unwrap().problems, Vec::<String>::new());
    let aside = Store::set_aside(&here).unwrap();
    assert!(aside.ends_with("set-aside/5"), "{aside:?}");
    assert!(Store::open(&there).unwrap().is_none());
    store_at(&there, &[3]);
    assert_eq!(open_at(&here).commits().unwrap().len(), 3);
}

#[test]
fn of_two_writers_that_both_believe_to_be_alone_one_loses_and_nothing_else_is_lost() {
    let (objects, here, there) = two_views();
    store_at(&here, &[5]);
    let (mut one, mut two) = (open_at(&here), open_at(&there));
    let lock_of_one = one.lock().unwrap();
    assert!(matches!(two.lock(), Err(StoreError::Locked { .. })));
    // The lock is taken from a writer that is thought to be dead, and is not.
    block_on(objects.delete(&ObjectPath::from("team/store/lock"))).unwrap();
    let lock_of_two = two.lock().unwrap();
    two.commit(&lock_of_two, sample(5, 2)).unwrap();
    let error = one.commit(&lock_of_one, sample(5, 3)).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    let store = open_at(&here);
    assert_eq!(store.commits().unwrap(), sample(0, 7).commits);
    assert_eq!(store.check().unwrap().problems, Vec::<String>::new());
    // The loser's lock is not its own any more, so that dropping it frees nothing.
    drop(lock_of_one);
    assert!(matches!(open_at(&here).lock(), Err(StoreError::Locked { .. })));
    drop(lock_of_two);
    open_at(&here).lock().unwrap();
}

#[test]
fn the_manifest_is_replaced_only_by_who_has_seen_the_one_before() {
    let (objects, here, there) = two_views();
    let (first, other) = (Store::create(&here, settings()), Store::create(&there, settings()));
    let (here, there) = (first.location().clone(), other.location().clone());
    let (one, two) = (here.medium(), there.medium());
    let version = one.replace_manifest(b"one", None).unwrap().unwrap();
    assert_eq!(two.replace_manifest(b"two", None).unwrap(), None);
    let next = two.replace_manifest(b"two", Some(&version)).unwrap().unwrap();
    assert_eq!(one.replace_manifest(b"three", Some(&version)).unwrap(), None);
    assert_eq!(one.read_manifest(100).unwrap(), Some((b"two".to_vec(), next)));
    assert_eq!(one.read_manifest(2).unwrap().unwrap().0.len(), 3);
    let got = block_on(async { objects.get(&ObjectPath::from("team/store/manifest.json")).await?.bytes().await });
    assert_eq!(&*got.unwrap(), b"two");
}

#[test]
fn a_shard_that_does_not_stay_in_memory_is_read_in_ranges() {
    let (_, here, there) = two_views();
    store_at(&there, &[500]);
    let store = open_at(&there);
    read_all(&store).unwrap();
    // A view that keeps nothing in memory, of shards that were verified before.
    let ranged = open_at(&here);
    for shard in &store.manifest().shards {
        ranged.set_verified(&shard.blake3);
    }
    assert_eq!(ranged.chunks().unwrap(), sample(0, 500).chunks);
    assert_eq!(ranged.edits().unwrap(), sample(0, 500).edits);
}

#[test]
fn damage_among_objects_is_named() {
    let (objects, here, _) = two_views();
    let store = store_at(&here, &[20]);
    let shard = store.manifest().shards[1].clone();
    let path = ObjectPath::from(format!("team/store/{}", shard.file()));
    let view = || Location::of(Objects::new(objects.clone(), "team/store", "memory://team/store/"));
    for bad in [&b""[..], &b"PAR1"[..], &vec![0; shard.bytes as usize][..]] {
        block_on(objects.put(&path, bad.to_vec().into())).unwrap();
        let error = read_all(&open_at(&view())).unwrap_err();
        assert!(matches!(&error, StoreError::Damaged { what, .. } if *what == shard.file()), "{error}");
    }
    block_on(objects.delete(&path)).unwrap();
    let error = read_all(&open_at(&view())).unwrap_err();
    assert!(error.to_string().contains("it is missing"), "{error}");
}
