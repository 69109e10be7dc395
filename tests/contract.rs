//! The command line as scripts rely on it: exit codes, what goes where, the keys of the JSON.

use serde_json::Value;

use crate::support::{Fixture, keys};

#[test]
fn the_index_report_has_the_keys_that_were_promised() {
    let fixture = Fixture::new("review");
    let report = fixture.json(&["index", "--json"]);
    for key in [
        "bytes_parsed",
        "chunks",
        "commits",
        "edits",
        "embedded",
        "file_versions",
        "generation",
        "merged",
        "missing",
        "model",
        "nodes",
        "partial",
        "peak_rss_bytes",
        "replay",
        "readings",
        "schema",
        "seconds",
        "shards",
        "skipped",
        "store_bytes",
        "totals",
        "write_amplification",
    ] {
        assert!(report.get(key).is_some(), "{key}: {report}");
    }
    assert_eq!(
        keys(&report["seconds"]),
        ["embed", "hash", "history", "inflate", "merge", "parse", "rows", "syntax", "total", "write"]
    );
    assert_eq!(report["embedded"], report["chunks"]);
}

#[test]
fn search_and_lineage_have_the_keys_that_were_promised() {
    let fixture = Fixture::new("review");
    let hits = fixture.json_lines(&["search", "connect", "--json", "-k", "1"]);
    assert_eq!(
        keys(&hits[0]),
        ["chunk", "commit", "kind", "lang", "lines", "path", "rank", "schema", "score", "similarity", "symbol", "text"]
    );
    let hits = fixture.json_lines(&["search", "connect", "--history", "--json", "-k", "1"]);
    for key in ["lineage", "versions", "first_commit", "last_commit", "alive"] {
        assert!(hits[0].get(key).is_some(), "{key}: {}", hits[0]);
    }
    let lineage = fixture.json(&["lineage", "src/config.rs", "--json"]);
    assert_eq!(keys(&lineage), ["as_of", "edits", "path", "schema", "symbol"]);
}

#[test]
fn doctor_and_check_report_on_a_sound_store() {
    let fixture = Fixture::new("review");
    fixture.json(&["index", "--json"]);
    let diagnosis = fixture.json(&["doctor", "--json"]);
    assert_eq!(diagnosis["problems"], serde_json::json!([]));
    assert_eq!(diagnosis["store"]["has_head"], true);
    assert_eq!(diagnosis["store"]["zero_vectors"], 0);
    let check = fixture.json(&["store", "check", "--json"]);
    assert_eq!(check["ok"], true);
    assert_eq!(check["rows"]["commits"], 9);
}

#[test]
fn doctor_counts_the_texts_that_nothing_finds_by_meaning() {
    let fixture = Fixture::empty();
    fixture.git(&["init", "--quiet", "--initial-branch=main"]);
    fixture.commit("words.txt", "some words\n", "Add words");
    fixture.commit("signs.txt", "+++ --- +++\n", "Add signs");
    fixture.json(&["index", "--json"]);
    let store = &fixture.json(&["doctor", "--json"])["store"];
    assert_eq!((&store["chunks"], &store["zero_vectors"]), (&2.into(), &1.into()), "{store}");
    let shown = fixture.run(&["doctor"]).stdout;
    assert!(shown.contains("; 1 text not found by meaning\n"), "{shown}");
}

#[test]
fn machine_output_stands_alone_on_standard_output_and_nothing_moves_in_a_pipe() {
    let fixture = Fixture::new("review");
    for arguments in
        [&["index", "--json"][..], &["review", "--json"], &["doctor", "--json"], &["store", "check", "--json"]]
    {
        let ran = fixture.run(arguments);
        assert!(serde_json::from_str::<Value>(&ran.stdout).is_ok(), "{arguments:?}: {}", ran.stdout);
        assert_eq!(ran.stderr, "", "{arguments:?}");
        assert!(!ran.stdout.contains('\u{1b}'));
    }
    let review = Fixture::new("review").run(&["review", "main..topic"]);
    assert!(!review.stderr.contains(['\u{1b}', '\r']), "no bars in a pipe: {:?}", review.stderr);
}

#[test]
fn usage_errors_are_two() {
    let fixture = Fixture::new("review");
    for arguments in [
        &["frobnicate"][..],
        &["search"],
        &["search", "  "],
        &["search", "x", "-k", "0"],
        &["search", "x", "--path", "a[", "--json"],
        &["review", "main"],
        &["review", "--json", "--format", "markdown"],
        &["index", "--store", "gs://bucket/store"],
    ] {
        let ran = fixture.run(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "");
    }
}
