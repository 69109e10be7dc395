//! Crashes and failures: the old generation or the new one, and never a part of one.

use std::fs;

use super::*;

/// Names in a folder of the store.
fn names(dir: &Path, folder: &str) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir.join(folder)).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_a_dead_writer_left_is_ignored_and_later_removed() {
    let dir = tempfile::tempdir().unwrap();
    let before = store_of(dir.path(), &[5]);
    // A writer that died between naming its shards and replacing the manifest …
    let manifest = fs::read(dir.path().join("manifest.json")).unwrap();
    let mut died = open(dir.path());
    died.commit(&died.lock().unwrap(), sample(5, 2)).unwrap();
    fs::write(dir.path().join("manifest.json"), manifest).unwrap();
    // … and one that died earlier, while writing.
    fs::write(dir.path().join("edits/writing.tmp"), "PAR1").unwrap();
    fs::write(dir.path().join("manifest.json.tmp"), "{").unwrap();
    fs::write(dir.path().join("edits/notes.txt"), "not ours").unwrap();

    let mut store = open(dir.path());
    assert_eq!(store.manifest(), before.manifest());
    assert_eq!(store.commits().unwrap().len(), 5);
    assert_eq!(names(dir.path(), "edits").len(), 4);
    store.commit(&store.lock().unwrap(), sample(5, 3)).unwrap();
    assert_eq!(open(dir.path()).commits().unwrap(), sample(0, 8).commits);
    for table in ["commits", "chunks", "spans", "vectors"] {
        assert_eq!(names(dir.path(), table).len(), 2, "{table}");
    }
    assert_eq!(names(dir.path(), "edits").iter().filter(|name| name.ends_with(".parquet")).count(), 2);
    assert!(names(dir.path(), "edits").contains(&"notes.txt".to_owned()));
    assert!(!dir.path().join("edits/writing.tmp").exists() && !dir.path().join("manifest.json.tmp").exists());
}

#[test]
fn the_same_work_again_gives_the_same_store() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, two) = (store_of(one.path(), &[300, 20]), store_of(two.path(), &[300, 20]));
    assert_eq!(one.manifest(), two.manifest());
}

#[test]
fn a_failure_leaves_the_store_as_it_was() {
    // Where a writer makes a file there is a folder, which fails as a full disk would: after other tables were
    // written, and in the last case after all of them.
    for blocked in ["edits/writing.tmp", "vectors/writing.tmp", "manifest.json.tmp"] {
        let dir = tempfile::tempdir().unwrap();
        let mut store = store_of(dir.path(), &[5]);
        let manifest = fs::read(dir.path().join("manifest.json")).unwrap();
        let lock = store.lock().unwrap();
        // Orphans are removed first, and a folder in their place is where that fails already.
        fs::create_dir(dir.path().join(blocked)).unwrap();
        let error = store.commit(&lock, sample(5, 2)).unwrap_err();
        assert!(matches!(&error, StoreError::Write { path, .. } if path.ends_with(blocked)), "{error}");
        assert_eq!(fs::read(dir.path().join("manifest.json")).unwrap(), manifest);
        fs::remove_dir(dir.path().join(blocked)).unwrap();
        store.commit(&lock, sample(5, 2)).unwrap();
        assert_eq!(open(dir.path()).commits().unwrap(), sample(0, 7).commits);
    }
}

#[test]
fn a_table_that_cannot_be_written_takes_the_others_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::create(dir.path(), settings());
    let lock = store.lock().unwrap();
    // A dangling link: listing the folder finds nothing there, and making it fails.
    #[cfg(unix)]
    std::os::unix::fs::symlink("nowhere/at/all", dir.path().join("spans")).unwrap();
    #[cfg(not(unix))]
    fs::write(dir.path().join("spans"), "").unwrap();
    let error = store.commit(&lock, sample(0, 2)).unwrap_err();
    assert!(error.to_string().contains("spans"), "{error}");
    assert!(Store::open(dir.path()).unwrap().is_none());
    for table in ["commits", "edits", "chunks", "vectors"] {
        let folder = dir.path().join(table);
        assert!(!folder.exists() || names(dir.path(), table).is_empty(), "{table}");
    }
    fs::remove_file(dir.path().join("spans")).unwrap();
    store.commit(&lock, sample(0, 2)).unwrap();
    assert_eq!(open(dir.path()).check().unwrap().problems, Vec::<String>::new());
}

#[test]
fn a_writer_that_slept_cannot_undo_what_others_did() {
    let dir = tempfile::tempdir().unwrap();
    store_of(dir.path(), &[5]);
    let mut slept = open(dir.path());
    let mut other = open(dir.path());
    other.commit(&other.lock().unwrap(), sample(5, 1)).unwrap();
    let error = slept.commit(&slept.lock().unwrap(), sample(5, 2)).unwrap_err();
    assert!(matches!(error, StoreError::Stale { found: 2, expected: 1, .. }));
    let mut fresh = Store::create(dir.path(), settings());
    let error = fresh.commit(&fresh.lock().unwrap(), sample(0, 1)).unwrap_err();
    assert!(matches!(error, StoreError::Stale { found: 2, expected: 0, .. }));
    assert_eq!(open(dir.path()).check().unwrap().problems, Vec::<String>::new());
    // A rebuilt store may have the same generation, and is another one all the same.
    let rebuilt = tempfile::tempdir().unwrap();
    let mut before = store_of(rebuilt.path(), &[5]);
    Store::set_aside(rebuilt.path()).unwrap();
    let after = store_of(rebuilt.path(), &[6]);
    let error = before.commit(&after.lock().unwrap(), sample(5, 2)).unwrap_err();
    assert!(matches!(error, StoreError::Stale { found: 1, expected: 1, .. }));
    // A reader of the older generation still has all its files.
    read_all(&slept).unwrap();
    assert_eq!(slept.commits().unwrap().len(), 5);
}

#[test]
fn rows_that_readers_could_not_trust_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_of(dir.path(), &[5]);
    let lock = store.lock().unwrap();
    let mut refused = |change: fn(&mut Generation)| {
        let mut generation = sample(5, 2);
        change(&mut generation);
        let error = store.commit(&lock, generation).unwrap_err();
        let StoreError::Write { source, .. } = error else { panic!("{error}") };
        source.to_string()
    };
    assert!(refused(|g| g.commits[0].number = 4).contains("commit number 4 was given before"));
    assert!(refused(|g| g.chunks[1].number = 5).contains("chunk number 5 was given before"));
    assert!(refused(|g| g.chunks[1].number = u32::MAX).contains("used up"));
    assert!(refused(|g| g.vectors[1].vector.truncate(3)).contains("3 values"));
    let elsewhere = tempfile::tempdir().unwrap();
    let wrong = Store::create(elsewhere.path(), settings()).lock().unwrap();
    assert!(store.commit(&wrong, sample(5, 2)).is_err());
    drop(wrong);
    assert_eq!(open(dir.path()).manifest().generation, 1);

    let mut flat = Store::create(elsewhere.path(), Settings { dimension: 0, ..settings() });
    assert!(flat.commit(&flat.lock().unwrap(), Generation::default()).is_err());
    assert!(Store::open(elsewhere.path()).unwrap().is_none());
}

#[test]
fn one_writer_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (store_of(dir.path(), &[1]), open(dir.path()));
    let held = one.lock().unwrap();
    assert!(matches!(two.lock(), Err(StoreError::Locked { pid: Some(_), .. })));
    drop(held);
    two.lock().unwrap();
}

#[test]
fn setting_aside_keeps_the_latest_only() {
    let dir = tempfile::tempdir().unwrap();
    store_of(dir.path(), &[5, 2]);
    fs::write(dir.path().join("notes.txt"), "not ours").unwrap();
    let aside = Store::set_aside(dir.path()).unwrap();
    assert_eq!(aside, dir.path().join("set-aside/2"));
    assert!(Store::open(dir.path()).unwrap().is_none());
    assert_eq!(open(&aside).commits().unwrap().len(), 7);

    store_of(dir.path(), &[1]);
    fs::write(dir.path().join("manifest.json"), "{").unwrap();
    let aside = Store::set_aside(dir.path()).unwrap();
    assert_eq!(aside, dir.path().join("set-aside/unreadable"));
    assert_eq!(names(dir.path(), "set-aside"), ["unreadable"]);
    assert_eq!(names(&aside, "commits").len(), 1);
    assert!(dir.path().join("notes.txt").exists());
    // With nothing to set aside there is nothing to fail.
    Store::set_aside(dir.path()).unwrap();
    assert!(Store::open(dir.path()).unwrap().is_none());
}
