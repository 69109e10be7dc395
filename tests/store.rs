//! The store over its life: many runs, merging, clearing, other places, other tools, and stores of earlier formats.

use std::path::Path;

use precedent_pipeline::shard::{ObjectId, ReviewRow, ReviewsPlace, Store};

use crate::support::{Fixture, content, keys, root};

#[test]
fn a_hundred_runs_of_one_commit_leave_few_shards_and_the_store_of_one_run() {
    const RUNS: usize = 100;
    let fixture = Fixture::new("many");
    let history = fixture.git(&["rev-list", "--reverse", "HEAD"]);
    let tips: Vec<&str> = history.lines().take(RUNS).collect();
    let (many, one) = (fixture.beside("many"), fixture.beside("one"));
    let index =
        |store: &Path, tip: &str| fixture.json(&["index", "--json", "--tip", tip, "--store", &store.to_string_lossy()]);
    let mut report = serde_json::Value::Null;
    for tip in &tips {
        report = index(&many, tip);
        assert_eq!(report["commits"], 1);
        assert!(report["shards"].as_u64().expect("a count") <= 6 * 21, "{report}");
    }
    index(&one, tips[RUNS - 1]);
    assert!(content(&many) == content(&one));
    let check = fixture.json(&["store", "check", "--json", "--store", &many.to_string_lossy()]);
    assert_eq!(check["ok"], true);
    for (table, shards) in check["shards_by_table"].as_object().expect("an object") {
        // Fewer than ten of each level.
        assert!(shards.as_u64().expect("a count") <= 21, "{table}: {shards}");
    }
    let amplification = report["write_amplification"].as_f64().expect("a number");
    assert!(amplification > 1.0 && amplification < 8.0, "{amplification}");
    assert_eq!(check["write_amplification"], report["write_amplification"]);
}

#[test]
fn compaction_and_clearing_change_nothing_that_is_read() {
    let fixture = Fixture::new("review");
    fixture.json(&["index", "--json", "--tip", "main~2"]);
    fixture.json(&["index", "--json", "--tip", "main"]);
    let before = content(&fixture.store());
    let compacted = fixture.json(&["store", "compact", "--json"]);
    assert_eq!(
        keys(&compacted),
        [
            "bytes",
            "bytes_before",
            "generation",
            "schema",
            "shards",
            "shards_before",
            "write_amplification",
            "written_bytes"
        ]
    );
    assert_eq!((&compacted["shards_before"], &compacted["shards"]), (&12.into(), &6.into()));
    assert!(content(&fixture.store()) == before);
    assert!(fixture.run(&["store", "compact"]).stdout.contains("nothing to merge"));

    let cleared = fixture.json(&["store", "gc", "--json"]);
    assert_eq!((&cleared["removed"], &cleared["kept"]), (&0.into(), &12.into()));
    let cleared = fixture.json(&["store", "gc", "--grace", "0", "--json"]);
    assert_eq!((&cleared["removed"], &cleared["kept"]), (&12.into(), &0.into()));
    assert!(content(&fixture.store()) == before);
    assert_eq!(fixture.json(&["store", "check", "--json"])["retired"], 0);
    assert_eq!(fixture.json(&["index", "--json", "--tip", "topic"])["commits"], 1);
    assert_eq!(fixture.run(&["store", "gc", "--grace", "soon"]).code, 2);
    let empty = Fixture::new("review");
    for command in [&["store", "compact"][..], &["store", "gc"], &["export", "--format", "npy"]] {
        let ran = empty.run(command);
        assert_eq!(ran.code, 3, "{}", ran.stderr);
        assert!(ran.stderr.contains("precedent index"), "{}", ran.stderr);
    }
}

#[test]
fn a_store_is_a_path_a_file_url_or_memory() {
    let fixture = Fixture::new("review");
    let place = fixture.beside("a store");
    let url = format!("file://{}", place.display()).replace(' ', "%20");
    assert_eq!(fixture.json(&["index", "--json", "--no-replay", "--store", &url])["generation"], 1);
    let path = place.to_string_lossy();
    assert_eq!(fixture.json(&["index", "--json", "--store", &path])["commits"], 0);
    // Nothing is left of this one, and it answers all the same.
    let search = ["search", "connect", "--json", "-k", "3", "--store"];
    let kept = fixture.json_lines(&[&search[..], &[&path]].concat());
    assert_eq!(fixture.json_lines(&[&search[..], &["memory://"]].concat()), kept);
    assert!(!fixture.store().exists());
    assert_eq!(fixture.run(&["index", "--store", "file://here"]).code, 2);
}

#[test]
fn what_is_exported_has_one_vector_a_text() {
    let fixture = Fixture::new("review");
    let chunks = fixture.json(&["index", "--json"])["chunks"].as_u64().expect("a count");
    for (format, files) in [
        ("faiss", &["out", "out.jsonl"][..]),
        ("pinecone", &["out"]),
        ("weaviate", &["out"]),
        ("npy", &["out/vectors.npy", "out/ids.npy", "out/chunks.jsonl"]),
    ] {
        let folder = fixture.beside(format);
        std::fs::create_dir(&folder).expect("a folder");
        let out = folder.join("out");
        let report = fixture.json(&["export", "--format", format, "--out", &out.to_string_lossy(), "--json"]);
        assert_eq!((&report["format"], &report["rows"]), (&format.into(), &chunks.into()));
        let dimension = report["dimension"].as_u64().expect("a count");
        let bytes = |file: &str| std::fs::read(folder.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(report["bytes"], files.iter().map(|file| bytes(file).len() as u64).sum::<u64>());
        match format {
            // Two heads of 37 bytes, a length, the values, a length, the ids.
            "faiss" => assert_eq!(bytes("out").len() as u64, 2 * 37 + 8 + 4 * chunks * dimension + 8 + 8 * chunks),
            "npy" => assert_eq!(bytes("out/vectors.npy").len() as u64, 128 + 4 * chunks * dimension),
            "weaviate" => assert_eq!(bytes("out").split(|byte| *byte == b'\n').count() as u64, chunks + 1),
            _ => assert!(bytes("out").starts_with(b"PAR1") && bytes("out").ends_with(b"PAR1")),
        }
    }
    let nowhere = fixture.run(&["export", "--format", "faiss", "--out", "no/such/place"]);
    assert_eq!(nowhere.code, 2, "{}", nowhere.stderr);
    assert!(nowhere.stderr.contains("no/such/place"), "{}", nowhere.stderr);
}

#[test]
fn stored_examples_of_every_format_still_read() {
    let mut formats = 0;
    for entry in std::fs::read_dir(root().join("fixtures/shards")).expect("the examples") {
        let folder = entry.expect("an entry").path();
        let store = Store::open(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let store = store.unwrap_or_else(|| panic!("{}: no store", folder.display()));
        assert_eq!(store.check().expect("readable").problems, Vec::<String>::new(), "{}", folder.display());
        let rows: Vec<u64> = ["commits", "edits", "chunks", "spans", "vectors", "clusters", "reviews"]
            .iter()
            .map(|table| store.manifest().rows(table))
            .collect();
        assert!(rows.iter().all(|rows| *rows > 0), "{}: {rows:?}", folder.display());
        // Everything but the vectors, which the model of the day made.
        let lines: Vec<String> = content(&folder).into_iter().filter(|line| !line.starts_with("vector ")).collect();
        let expected = std::fs::read_to_string(folder.join("content.txt")).expect("what it holds");
        assert!(lines.join("\n") == expected.trim_end(), "{}", folder.display());
        assert!(folder.ends_with(format!("v{}", store.manifest().format)), "{}", folder.display());
        assert_eq!(store.reviews().expect("readable"), said(store.manifest().tips[0]), "{}", folder.display());
        assert_eq!(store.manifest().reviews, told());
        formats += 1;
    }
    assert_eq!(formats, 2, "formats 2 and 3");
}

/// What the stored examples have in the table `reviews`, whose rows no fixture brings.
fn said(merge: ObjectId) -> Vec<ReviewRow> {
    let row = |comment: i64, path: &str, outdated: bool, text: &str| ReviewRow {
        comment,
        pull: 7,
        author: "ada".into(),
        created: 1_710_000_000,
        updated: 1_710_000_060 + comment,
        link: format!("https://github.com/example/example/pull/7#discussion_r{comment}"),
        merge,
        path: path.into(),
        outdated,
        text: text.to_owned(),
        hunk: "@@ -1,2 +1,2 @@\n-fn a() {}\n+fn a(first: u8) {}".to_owned(),
        scale: 0.5,
        vector: (0..256).map(|at| (at % 7) as i8 - 3).collect(),
    };
    vec![row(3, "src/a.rs", true, "Why not `u16`?"), row(9, "src/b.rs", false, "Tür zu.\n\n> as above")]
}

/// And how far the manifest says that comments were fetched.
fn told() -> ReviewsPlace {
    ReviewsPlace { until: Some(1_710_000_100), waiting: vec![8] }
}

/// Makes the stored example of the format again: `just golden-shards`.
#[test]
#[ignore = "writes to the source tree"]
fn make_the_stored_example_of_the_format() {
    let fixture = Fixture::new("lineage");
    let folder = root().join(format!("fixtures/shards/v{}", precedent_pipeline::shard::FORMAT));
    let _ = std::fs::remove_dir_all(&folder);
    fixture.json(&["index", "--json", "--store", &folder.to_string_lossy()]);
    let mut store = Store::open(&folder).expect("readable").expect("a store");
    let lock = store.lock().expect("nobody else is there");
    let merge = store.manifest().tips[0];
    store.put_reviews(&lock, said(merge), told()).expect("written");
    drop(lock);
    std::fs::remove_file(folder.join("lock")).expect("the lock file");
    let lines: Vec<String> = content(&folder).into_iter().filter(|line| !line.starts_with("vector ")).collect();
    std::fs::write(folder.join("content.txt"), lines.join("\n") + "\n").expect("what it holds");
}
