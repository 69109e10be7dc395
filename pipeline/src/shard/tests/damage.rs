//! Damage: whatever byte is wrong, the file is named, and nothing panics.

use std::fs;

use super::*;

/// A fixed sequence of numbers that look random, so that every run damages the same places.
pub(super) fn places(seed: u64) -> impl Iterator<Item = u64> {
    let next =
        |state: &u64| Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
    std::iter::successors(next(&seed), next).map(|state| state >> 33)
}

fn assert_damaged(result: Result<(), StoreError>, file: &str) {
    match result {
        Err(StoreError::Damaged { what, .. }) => assert_eq!(what, file),
        other => panic!("{file}: {other:?}"),
    }
}

/// Makes the manifest agree with whatever a shard's file holds now, as somebody who makes up a store would.
pub(super) fn forge(store: &Store, index: usize, bytes: &[u8]) -> Store {
    let dir = store.dir().unwrap();
    let mut manifest = store.manifest().clone();
    let old = &manifest.shards[index];
    let forged = ShardEntry::new(&old.table, blake3::hash(bytes), old.rows, bytes.len() as u64);
    fs::write(dir.join(forged.file()), bytes).unwrap();
    manifest.shards[index] = forged;
    fs::write(dir.join("manifest.json"), manifest.text()).unwrap();
    open(dir)
}

#[test]
fn a_flipped_bit_anywhere_in_a_shard_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let store = store_of(dir.path(), &[300]);
    for (entry, path) in store.manifest().shards.iter().zip(shard_files(&store)) {
        let good = fs::read(&path).unwrap();
        for place in places(1).take(200) {
            let mut bad = good.clone();
            bad[place as usize % good.len()] ^= 1 << (place % 8);
            fs::write(&path, &bad).unwrap();
            assert_damaged(read_all(&open(dir.path())), &entry.file());
        }
        let problems = open(dir.path()).check().unwrap().problems;
        assert!(problems.len() == 1 && problems[0].contains(&entry.file()), "{problems:?}");
        fs::write(&path, &good).unwrap();
    }
    assert_eq!(open(dir.path()).check().unwrap().problems, Vec::<String>::new());
}

#[test]
fn a_forged_shard_is_refused_or_read_but_never_panics() {
    // Here the hash is right, so that the bytes reach the footer's parser and the pages' decoders. A flip may also
    // land in a value, and then it is read as another value.
    let dir = tempfile::tempdir().unwrap();
    let store = store_of(dir.path(), &[300]);
    let mut refused = 0;
    for (index, path) in shard_files(&store).into_iter().enumerate() {
        let good = fs::read(&path).unwrap();
        for place in places(index as u64).take(200) {
            let mut bad = good.clone();
            bad[place as usize % good.len()] ^= 1 << (place % 8);
            let forged = forge(&store, index, &bad);
            let file = forged.manifest().shards[index].file();
            let result = read_all(&forged);
            forged.check().unwrap();
            fs::remove_file(dir.path().join(&file)).unwrap();
            refused += u32::from(result.is_err());
            assert!(matches!(&result, Ok(()) | Err(StoreError::Damaged { .. })), "{file}: {result:?}");
        }
    }
    // Most bytes are values or statistics; the rest is what this is about.
    assert!(refused > 200, "{refused}");
}

#[test]
fn a_shard_of_another_length_is_named_when_opening() {
    let dir = tempfile::tempdir().unwrap();
    let store = store_of(dir.path(), &[20]);
    for (entry, path) in store.manifest().shards.iter().zip(shard_files(&store)) {
        let good = fs::read(&path).unwrap();
        let longer = [&good[..], b"x"].concat();
        for bad in [&good[..good.len() - 1], &good[..4], &[], &longer] {
            fs::write(&path, bad).unwrap();
            assert_damaged(Store::open(dir.path()).map(drop), &entry.file());
            // A store that was opened before finds out when it reads.
            assert_damaged(read_all(&store), &entry.file());
        }
        fs::remove_file(&path).unwrap();
        assert_damaged(Store::open(dir.path()).map(drop), &entry.file());
        fs::create_dir(&path).unwrap();
        assert_damaged(Store::open(dir.path()).map(drop), &entry.file());
        fs::remove_dir(&path).unwrap();
        fs::write(&path, &good).unwrap();
    }
    read_all(&open(dir.path())).unwrap();
}

#[test]
fn forged_files_that_are_no_such_table_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = store_of(dir.path(), &[20]);
    let files: Vec<_> = shard_files(&store).iter().map(|path| fs::read(path).unwrap()).collect();
    for index in 0..5 {
        let good = &files[index];
        // Another table's file, a file cut short with and without its end, and no Parquet at all.
        let tail = [&good[..8], &good[good.len() - 8..]].concat();
        for bad in [&files[(index + 1) % 5][..], &good[..good.len() - 1], &tail, b"PAR1PAR1", b"{}"] {
            let forged = forge(&store, index, bad);
            assert_damaged(read_all(&forged), &forged.manifest().shards[index].file());
        }
        forge(&store, index, good);
    }
}

#[test]
fn pages_of_other_encodings_do_not_reach_their_decoder() {
    use super::super::encode::Encode;
    use super::super::schema::Table;
    use parquet::arrow::ArrowWriter;
    use parquet::basic::Encoding;
    use parquet::file::properties::{WriterProperties, WriterVersion};

    let dir = tempfile::tempdir().unwrap();
    let store = store_of(dir.path(), &[20]);
    let batch = ChunkRow::batch(&store.chunks().unwrap(), DIMENSION).unwrap();
    let plain = WriterProperties::builder().set_dictionary_enabled(false);
    let cases = [
        (None, plain.clone()),
        (Some("encoding"), plain.clone().set_column_encoding("text".into(), Encoding::DELTA_LENGTH_BYTE_ARRAY)),
        (Some("encoding"), plain.clone().set_column_encoding("name".into(), Encoding::DELTA_BYTE_ARRAY)),
        (Some("version"), plain.set_writer_version(WriterVersion::PARQUET_2_0)),
    ];
    for (why, properties) in cases {
        let mut bytes = Vec::new();
        let schema = Table::Chunks.schema(DIMENSION);
        let mut writer = ArrowWriter::try_new(&mut bytes, schema, Some(properties.build())).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let result = forge(&store, 2, &bytes).chunks();
        match why {
            None => assert_eq!(result.unwrap(), store.chunks().unwrap()),
            Some(why) => assert!(result.unwrap_err().to_string().contains(why)),
        }
    }
}

#[test]
fn a_forged_count_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = store_of(dir.path(), &[20]);
    for index in 0..5 {
        let mut manifest = store.manifest().clone();
        for rows in [0, 19] {
            manifest.shards[index].rows = rows;
            fs::write(dir.path().join("manifest.json"), manifest.text()).unwrap();
            assert_damaged(read_all(&open(dir.path())), &manifest.shards[index].file());
        }
        manifest.shards[index].rows = 1 << 31;
        fs::write(dir.path().join("manifest.json"), manifest.text()).unwrap();
        assert_damaged(Store::open(dir.path()).map(drop), "manifest.json");
    }
    let mut manifest = store.manifest().clone();
    manifest.dimension = 16;
    fs::write(dir.path().join("manifest.json"), manifest.text()).unwrap();
    assert_damaged(open(dir.path()).vectors().map(drop), &manifest.shards[4].file());
}

#[test]
fn a_damaged_manifest_is_named_and_never_panics() {
    let dir = tempfile::tempdir().unwrap();
    store_of(dir.path(), &[3]);
    let path = dir.path().join("manifest.json");
    let good = fs::read(&path).unwrap();
    for length in (0..good.len() - 2).step_by(7) {
        fs::write(&path, &good[..length]).unwrap();
        assert_damaged(Store::open(dir.path()).map(drop), "manifest.json");
    }
    for place in places(5).take(400) {
        let mut bad = good.clone();
        bad[place as usize % good.len()] ^= 1 << (place % 8);
        fs::write(&path, &bad).unwrap();
        // A flip in a free text such as the embedder's name is another name; most others are damage or another
        // format, and what still opens must read without a panic.
        match Store::open(dir.path()) {
            Ok(Some(store)) => drop(read_all(&store)),
            Ok(None) => panic!("the manifest is there"),
            Err(StoreError::Damaged { .. } | StoreError::Version { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn a_name_that_leaves_the_store_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = store_of(dir.path(), &[3]);
    let path = dir.path().join("manifest.json");
    for (from, to) in [("commits", ".."), (store.manifest().shards[0].name.as_str(), "../manifest.json")] {
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replacen(&format!("\"{from}\""), &format!("\"{to}\""), 1)).unwrap();
        assert_damaged(Store::open(dir.path()).map(drop), "manifest.json");
        fs::write(&path, text).unwrap();
    }
}

#[test]
fn a_newer_format_is_refused_by_number() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_of(dir.path(), &[3]);
    let path = dir.path().join("manifest.json");
    let text = fs::read_to_string(&path).unwrap().replace("\"format\": 3", "\"format\": 7");
    fs::write(&path, &text).unwrap();
    assert!(matches!(Store::open(dir.path()), Err(StoreError::Version { found: 7, supported: FORMAT })));
    // Nor is it overwritten by a writer that was there before.
    assert!(store.commit(&store.lock().unwrap(), sample(3, 1)).is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn broken_references_are_told() {
    let problems = |change: fn(&mut Generation)| {
        let dir = tempfile::tempdir().unwrap();
        let mut generation = sample(0, 9);
        change(&mut generation);
        let mut store = Store::create(dir.path(), settings());
        store.commit(&store.lock().unwrap(), generation).unwrap();
        store.check().unwrap().problems.join("; ")
    };
    assert_eq!(problems(|_| {}), "");
    assert_eq!(problems(|g| g.edits[2].commit = 50), "edits are of a commit that is not stored: 1 (first: 50)");
    assert_eq!(problems(|g| g.edits[2].before = Some(77)), "edits name a chunk that is not stored: 1 (first: 77)");
    assert_eq!(problems(|g| g.spans[8].chunk = 99), "spans name a chunk that is not stored: 1 (first: 99)");
    assert_eq!(problems(|g| drop(g.vectors.drain(..2))), "chunks have no vector: 2 (first: 0)");
    assert_eq!(
        problems(|g| g.vectors[8].chunk = 9),
        "vectors are of a chunk that is not stored: 1 (first: 9); chunks have no vector: 1 (first: 8)"
    );
    assert_eq!(
        problems(|g| g.vectors[8].chunk = 7),
        "vectors share a chunk: 1 (first: 7); chunks have no vector: 1 (first: 8)"
    );
    assert_eq!(
        problems(|g| g.vectors[1].norm = f32::NAN),
        "vectors have a norm or scale that is not finite: 1 (first: 1)"
    );
    assert!(problems(|g| g.chunks[1].id = g.chunks[0].id).starts_with("chunks share an id: 1"));
    assert!(problems(|g| g.commits[1].id = g.commits[0].id).contains("commits share an id: 1"));
    assert!(problems(|g| g.commits[0].parents = vec![object(9)]).contains("parent that is not indexed: 1"));
    assert_eq!(
        problems(|g| {
            g.commits[0].parents = vec![object(9)];
            g.shallow = vec![g.commits[0].id];
        }),
        ""
    );
    assert!(problems(|g| g.tips = vec![object(9)]).contains("tips are not indexed: 1"));
}
