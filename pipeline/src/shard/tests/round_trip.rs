//! What is written is read, whatever it is.

use std::collections::HashSet;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

/// Any text: empty, of any script, with control characters, or longer than a page of Parquet.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => any::<String>(),
        4 => "[a-z_/]{0,12}",
        1 => Just(String::new()),
        1 => ("\\PC{1,4}", 1_usize..200_000).prop_map(|(unit, times)| unit.repeat(times)),
    ]
}

fn shared() -> impl Strategy<Value = Arc<str>> {
    text().prop_map(Arc::from)
}

fn id() -> impl Strategy<Value = ObjectId> {
    prop_oneof![vec(any::<u8>(), 20), vec(any::<u8>(), 32)].prop_map(|raw| ObjectId::from_bytes(&raw).unwrap())
}

fn commit() -> impl Strategy<Value = CommitRow> {
    let times = -62_135_596_800_i64..=253_402_300_799;
    (id(), vec(id(), 0..4), [text(), text(), text()], [times.clone(), times]).prop_map(
        |(id, parents, [author, author_email, message], [author_time, commit_time])| CommitRow {
            number: 0,
            id,
            parents,
            author,
            author_email,
            author_time,
            commit_time,
            message,
        },
    )
}

fn edit() -> impl Strategy<Value = EditRow> {
    let names = (option::of(shared()), option::of(shared()), option::of(shared()), option::of(shared()));
    let numbers = (any::<[u32; 3]>(), any::<[Option<u32>; 2]>(), any::<Option<f32>>());
    let rest = (0..Change::ALL.len(), option::of(id()), option::of(id()), option::of(shared()));
    (shared(), names, numbers, rest).prop_map(
        |(path, (symbol, kind, before_path, before_symbol), (lines, texts, similarity), rest)| EditRow {
            commit: lines[0],
            path,
            symbol,
            kind,
            change: Change::ALL[rest.0],
            before: texts[0],
            after: texts[1],
            before_path,
            before_symbol,
            similarity: similarity.filter(|value| !value.is_nan()),
            start_line: lines[1],
            end_line: if lines[1] == 0 { 0 } else { lines[1].saturating_add(lines[2]) },
            before_blob: rest.1,
            after_blob: rest.2,
            skipped: rest.3,
        },
    )
}

fn chunk() -> impl Strategy<Value = ChunkRow> {
    (any::<[u8; 16]>(), shared(), shared(), shared(), text()).prop_map(|(id, lang, kind, name, text)| ChunkRow {
        number: 0,
        id: ChunkId(id),
        lang,
        kind,
        name,
        text,
    })
}

fn span() -> impl Strategy<Value = SpanRow> {
    (id(), any::<[u32; 3]>(), shared(), shared()).prop_map(|(blob, numbers, symbol, container)| SpanRow {
        blob,
        chunk: numbers[0],
        symbol,
        container,
        start_line: numbers[1],
        end_line: if numbers[1] == 0 { 0 } else { numbers[1].saturating_add(numbers[2]) },
    })
}

fn vector() -> impl Strategy<Value = VectorRow> {
    (any::<[i8; DIMENSION as usize]>(), -1e30_f32..1e30, 0_f32..1.0).prop_map(|(vector, norm, scale)| VectorRow {
        chunk: 0,
        norm,
        scale,
        vector: vector.to_vec(),
    })
}

fn review() -> impl Strategy<Value = ReviewRow> {
    let times = -62_135_596_800_i64..=253_402_300_799;
    let vector = (any::<[i8; DIMENSION as usize]>(), 0_f32..1.0);
    (
        (0..4_i64, any::<u32>(), any::<bool>()),
        [times.clone(), times],
        [shared(), shared()],
        [text(), text(), text()],
        id(),
        vector,
    )
        .prop_map(
            |((comment, pull, outdated), [created, updated], [author, path], [link, text, hunk], merge, vector)| {
                ReviewRow {
                    comment,
                    pull,
                    author,
                    created,
                    updated,
                    link,
                    merge,
                    path,
                    outdated,
                    text,
                    hunk,
                    scale: vector.1,
                    vector: vector.0.to_vec(),
                }
            },
        )
}

fn generation() -> impl Strategy<Value = Generation> {
    let rows = (vec(commit(), 0..8), vec(edit(), 0..12), vec(chunk(), 0..8), vec(span(), 0..12), vec(vector(), 0..8));
    (rows, vec(id(), 0..3), vec(id(), 0..3), vec(text(), 0..3)).prop_map(
        |((mut commits, edits, mut chunks, mut spans, mut vectors), tips, shallow, attribute_dirs)| {
            (0..).zip(&mut commits).for_each(|(number, row)| row.number = number);
            (0..).zip(&mut chunks).for_each(|(number, row)| row.number = 3 * number);
            (0..).zip(&mut vectors).for_each(|(number, row)| row.chunk = 3 * number);
            spans.sort_by_key(|span| span.chunk);
            Generation { commits, edits, chunks, spans, vectors, tips, shallow, attribute_dirs }
        },
    )
}

/// What a generation's vectors read back as.
fn expected(rows: &[VectorRow]) -> Vectors {
    Vectors {
        chunk: rows.iter().map(|row| row.chunk).collect(),
        norm: rows.iter().map(|row| row.norm).collect(),
        scale: rows.iter().map(|row| row.scale).collect(),
        values: rows.iter().flat_map(|row| row.vector.clone()).collect(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, ..ProptestConfig::default() })]

    #[test]
    fn every_table_comes_back(written in generation()) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::create(dir.path(), settings());
        store.commit(&store.lock().unwrap(), written.clone()).unwrap();
        let store = open(dir.path());
        prop_assert_eq!(store.commits().unwrap(), written.commits);
        prop_assert_eq!(store.edits().unwrap(), written.edits);
        prop_assert_eq!(store.chunks().unwrap(), written.chunks.clone());
        prop_assert_eq!(store.spans().unwrap(), written.spans.clone());
        prop_assert_eq!(store.vectors().unwrap(), expected(&written.vectors));
        let ids: Vec<_> = written.chunks.iter().map(|row| (row.number, row.id)).collect();
        let mut found = store.chunk_ids().unwrap();
        found.sort_unstable();
        prop_assert_eq!(found, ids);
        let blobs: HashSet<_> = written.spans.iter().map(|row| row.blob).collect();
        let mut found = HashSet::new();
        store.each_span(|blob, _| found.extend([blob])).unwrap();
        prop_assert_eq!(found, blobs);
        let some: Vec<_> = written.chunks.into_iter().rev().step_by(2).collect();
        let numbers: Vec<_> = some.iter().map(|row| row.number).collect();
        prop_assert_eq!(store.chunks_by_number(&numbers).unwrap(), some);
        prop_assert_eq!(&store.manifest().tips, &written.tips);
        prop_assert_eq!(&store.manifest().shallow, &written.shallow);
        prop_assert_eq!(&store.manifest().attribute_dirs, &written.attribute_dirs);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 8, ..ProptestConfig::default() })]

    #[test]
    fn reviews_take_the_place_of_those_of_their_number(runs in vec(vec(review(), 0..5), 1..4)) {
        let dir = tempfile::tempdir().unwrap();
        store_of(dir.path(), &[3]);
        let mut expected = std::collections::BTreeMap::new();
        for run in runs {
            let mut store = open(dir.path());
            expected.extend(run.iter().map(|row| (row.comment, row.clone())));
            let lock = store.lock().unwrap();
            let place = ReviewsPlace { until: run.iter().map(|row| row.updated).max(), waiting: vec![1, 2] };
            store.put_reviews(&lock, run, place.clone()).unwrap();
            drop(lock);
            let store = open(dir.path());
            prop_assert_eq!(&store.manifest().reviews, &place);
            prop_assert_eq!(store.reviews().unwrap(), expected.values().cloned().collect::<Vec<_>>());
            prop_assert!(store.manifest().shards_of("reviews").count() <= 1);
            prop_assert_eq!(store.check().unwrap().problems, Vec::<String>::new());
            prop_assert_eq!(store.commits().unwrap().len(), 3);
        }
    }
}

#[test]
fn generations_accumulate_in_order() {
    let dir = tempfile::tempdir().unwrap();
    store_of(dir.path(), &[40, 1, 25]);
    let store = open(dir.path());
    let whole = sample(0, 66);
    assert_eq!(store.commits().unwrap(), whole.commits);
    assert_eq!(store.edits().unwrap(), whole.edits);
    assert_eq!(store.chunks().unwrap(), whole.chunks);
    assert_eq!(store.vectors().unwrap(), expected(&whole.vectors));
    let manifest = store.manifest();
    assert_eq!((manifest.generation, manifest.next_commit, manifest.next_chunk), (3, 66, 66));
    assert_eq!(manifest.tips, whole.tips);
    assert_eq!(manifest.shards.len(), 18);
    let on_disk: u64 = shard_files(&store).iter().map(|path| path.metadata().unwrap().len()).sum();
    let manifest_bytes = dir.path().join("manifest.json").metadata().unwrap().len();
    assert_eq!(store.bytes_on_disk(), on_disk + manifest_bytes);
    let report = store.check().unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    assert_eq!((report.shards, report.bytes, report.rows["spans"]), (18, store.bytes_on_disk(), 66));
}

#[test]
fn a_large_table_is_read_in_part_and_whole() {
    // More rows than a batch and than a row group of chunks, so that selections cross both.
    let dir = tempfile::tempdir().unwrap();
    let store = store_of(dir.path(), &[70_000, 3000]);
    let numbers = [72_999, 5, 69_999, 65_535, 65_536, 5, 8191, 8192, 70_000];
    let chunks = store.chunks_by_number(&numbers).unwrap();
    assert_eq!(chunks.iter().map(|chunk| chunk.number).collect::<Vec<_>>(), numbers);
    assert!(chunks.iter().all(|chunk| chunk.text.contains(&format!("{{ {} }}", chunk.number))));
    let error = store.chunks_by_number(&[5, 73_000]).unwrap_err();
    assert!(error.to_string().contains("no chunk has the number 73000"));
    // Equal strings of a table are one allocation, in whatever batch, row group or shard they stand.
    let spans = store.spans().unwrap();
    assert_eq!(spans.iter().map(|span| Arc::as_ptr(&span.symbol)).collect::<HashSet<_>>().len(), 7);
    assert_eq!(store.vectors().unwrap().values.len(), 73_000 * DIMENSION as usize);
    assert_eq!(store.check().unwrap().problems, Vec::<String>::new());
}

#[test]
fn times_beyond_all_calendars_are_kept_within_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::create(dir.path(), settings());
    let mut generation = sample(0, 1);
    generation.commits[0].author_time = i64::MIN;
    generation.commits[0].commit_time = i64::MAX;
    store.commit(&store.lock().unwrap(), generation).unwrap();
    let commit = store.commits().unwrap().remove(0);
    assert_eq!((commit.author_time, commit.commit_time), (-62_135_596_800, 253_402_300_799));
}

#[test]
fn an_empty_generation_moves_the_tips_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store_of(dir.path(), &[3]);
    let tips = vec![object(1)];
    store.commit(&store.lock().unwrap(), Generation { tips: tips.clone(), ..Generation::default() }).unwrap();
    let again = open(dir.path());
    assert_eq!((&again.manifest().tips, again.manifest().shards.len()), (&tips, 6));
    assert_eq!(again.manifest(), store.manifest());
}

#[test]
fn blobs_and_tables_of_later_versions_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = store_of(dir.path(), &[3]);
    let mut manifest = store.manifest().clone();
    manifest.blobs.push(serde_json::json!({ "name": "replay.json", "bytes": 3 }));
    let dreams = ShardEntry::new("dreams", blake3::hash(b"abc"), 1, 3);
    std::fs::create_dir(dir.path().join("dreams")).unwrap();
    std::fs::write(dir.path().join(dreams.file()), "abc").unwrap();
    manifest.shards.push(dreams.clone());
    std::fs::write(dir.path().join("manifest.json"), manifest.text()).unwrap();
    let mut store = open(dir.path());
    store.commit(&store.lock().unwrap(), sample(3, 3)).unwrap();
    let store = open(dir.path());
    assert_eq!(store.manifest().blobs, manifest.blobs);
    assert!(store.manifest().shards.contains(&dreams));
    assert_eq!(store.check().unwrap().problems, Vec::<String>::new());
    std::fs::write(dir.path().join(dreams.file()), "abd").unwrap();
    assert_eq!(store.check().unwrap().problems.len(), 1);
}
