//! A store of the former format: read as it is, carried on, and merged into the present one.

use std::fs;

use parquet::file::metadata::ParquetMetaDataReader;

use super::super::reader::check_columns;
use super::super::schema::Table;
use super::*;

/// The stored example of format 2, where it may be written to.
fn former(dir: &Path) -> Store {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/shards/v2");
    for entry in fs::read_dir(&example).unwrap().map(|entry| entry.unwrap().path()) {
        let to = dir.join(entry.file_name().unwrap());
        if entry.is_dir() {
            fs::create_dir(&to).unwrap();
            for file in fs::read_dir(&entry).unwrap().map(|file| file.unwrap().path()) {
                fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
            }
        } else {
            fs::copy(&entry, &to).unwrap();
        }
    }
    open(dir)
}

/// Everything that was stored, but for the vectors, in an order of its own.
fn rows(store: &Store) -> Vec<String> {
    let mut rows: Vec<String> = store.commits().unwrap().iter().map(|row| format!("{row:?}")).collect();
    rows.extend(store.edits().unwrap().iter().map(|row| format!("{row:?}")));
    rows.extend(store.chunks().unwrap().iter().map(|row| format!("{row:?}")));
    rows.extend(store.spans().unwrap().iter().map(|row| format!("{row:?}")));
    rows.extend(store.reviews().unwrap().iter().map(|row| format!("{row:?}")));
    rows.sort();
    rows
}

/// In which formats the shards of a table are.
fn formats(store: &Store, table: Table) -> Vec<u64> {
    let format = |shard: &ShardEntry| {
        let file = fs::File::open(store.dir().unwrap().join(shard.file())).unwrap();
        let metadata = ParquetMetaDataReader::new().parse_and_finish(&file).unwrap();
        check_columns(table, store.manifest().dimension, &metadata).unwrap()
    };
    store.manifest().shards_of(table.name()).map(format).collect()
}

#[test]
fn a_store_of_the_former_format_is_carried_on_and_merged() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = former(dir.path());
    assert_eq!(store.manifest().format, 2);
    let mut expected = rows(&store);
    assert!(store.edits().unwrap().iter().any(|edit| edit.before_blob.is_some() && edit.end_line == 0));
    assert!(store.spans().unwrap().iter().any(|span| span.end_line > span.start_line));

    let number = store.manifest().next_commit.max(store.manifest().next_chunk);
    let mut added = sample(number, 1);
    added.commits[0].parents = store.manifest().tips.clone();
    added.edits[0].before = None;
    let values = vec![0.0625; store.manifest().dimension as usize];
    added.vectors = vec![VectorRow::quantise(number, &values, 1.5)];
    let lock = store.lock().unwrap();
    store.commit(&lock, added.clone()).unwrap();
    expected.push(format!("{:?}", added.commits[0]));
    expected.push(format!("{:?}", added.edits[0]));
    expected.push(format!("{:?}", added.chunks[0]));
    expected.push(format!("{:?}", added.spans[0]));
    expected.sort();

    let carried_on = open(dir.path());
    assert_eq!(carried_on.manifest().format, FORMAT);
    assert_eq!(formats(&carried_on, Table::Edits), [2, FORMAT]);
    assert_eq!(formats(&carried_on, Table::Spans), [2, FORMAT]);
    assert_eq!(rows(&carried_on), expected);
    assert_eq!(carried_on.check().unwrap().problems, Vec::<String>::new());

    store.merge(&lock, Merging::Everything).unwrap();
    let merged = open(dir.path());
    assert_eq!((formats(&merged, Table::Edits), formats(&merged, Table::Spans)), (vec![FORMAT], vec![FORMAT]));
    assert_eq!(rows(&merged), expected);
    assert_eq!(merged.check().unwrap().problems, Vec::<String>::new());
}
