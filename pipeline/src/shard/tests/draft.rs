//! A store written over one that may only be read: all of it is there, and nothing below changes.

use std::time::Duration;

use super::*;

/// Every file of a folder, with its bytes.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push((path.clone(), std::fs::read(&path).unwrap())),
        }
    }
    found.sort();
    found
}

fn open_at(location: &Location) -> Store {
    Store::open(location).unwrap().unwrap()
}

#[test]
fn what_is_written_over_a_store_is_read_with_it_and_leaves_it_alone() {
    let dir = tempfile::tempdir().unwrap();
    let below = store_of(dir.path(), &[40, 9]);
    // Somebody else is writing there meanwhile.
    let _busy = below.lock().unwrap();
    let before = files(dir.path());
    let draft = below.location().draft();
    assert_eq!((draft.to_string(), draft.path()), (below.location().to_string(), None));
    let mut store = open_at(&draft);
    let lock = store.lock().unwrap();
    for count in [20, 5, 3] {
        store.commit(&lock, sample(store.manifest().next_commit, count)).unwrap();
    }
    let whole = |store: &Store| {
        assert_eq!(store.commits().unwrap(), sample(0, 77).commits);
        assert_eq!(store.edits().unwrap(), sample(0, 77).edits);
        read_all(store).unwrap();
        assert_eq!(store.check().unwrap().problems, Vec::<String>::new());
    };
    whole(&store);
    whole(&open_at(&draft));
    store.merge(&lock, Merging::Everything).unwrap();
    store.clear(&lock, Duration::ZERO).unwrap();
    whole(&store);
    drop(lock);
    whole(&open_at(&draft));
    assert!(files(dir.path()) == before, "nothing below changed");
    // Another draft begins with what is below.
    assert_eq!(open_at(&below.location().draft()).commits().unwrap().len(), 49);
}

#[test]
fn what_others_write_below_is_not_seen_and_what_was_set_aside_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let mut below = store_of(dir.path(), &[4]);
    let draft = below.location().draft();
    let mut store = open_at(&draft);
    {
        let lock = below.lock().unwrap();
        below.commit(&lock, sample(4, 2)).unwrap();
    }
    let lock = store.lock().unwrap();
    store.commit(&lock, sample(4, 3)).unwrap();
    assert_eq!(open_at(&draft).commits().unwrap(), sample(0, 7).commits);
    drop(lock);
    let before = files(dir.path());
    assert_eq!(Store::set_aside(&draft).unwrap(), dir.path());
    assert!(Store::open(&draft).unwrap().is_none());
    assert!(draft.was_written().unwrap());
    let mut store = Store::create(&draft, settings());
    let lock = store.lock().unwrap();
    store.commit(&lock, sample(0, 3)).unwrap();
    assert_eq!(open_at(&draft).commits().unwrap().len(), 3);
    assert!(files(dir.path()) == before, "nothing below changed");
}

#[test]
fn a_draft_of_nothing_is_an_empty_store() {
    let dir = tempfile::tempdir().unwrap();
    let draft = Location::folder(dir.path().join("none")).draft();
    assert!(Store::open(&draft).unwrap().is_none());
    let mut store = Store::create(&draft, settings());
    let lock = store.lock().unwrap();
    store.commit(&lock, sample(0, 3)).unwrap();
    drop(lock);
    assert_eq!(open_at(&draft).commits().unwrap().len(), 3);
    assert!(!dir.path().join("none").exists());
}
