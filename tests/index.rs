//! `precedent index`: what is indexed, counted and left out.

use crate::support::{Fixture, content, skipped};

#[test]
fn a_second_run_with_nothing_new_does_nothing_and_says_so() {
    let fixture = Fixture::new("review");
    let first = fixture.json(&["index", "--json", "--tip", "main"]);
    assert_eq!(first["commits"], 8);
    let again = fixture.json(&["index", "--json", "--tip", "main"]);
    assert_eq!(again["commits"], 0);
    assert_eq!(again["chunks"], 0);
    assert_eq!(again["generation"], first["generation"], "nothing was written");
    assert_eq!(again["totals"], first["totals"]);
    let told = fixture.run(&["index", "--tip", "main"]);
    insta::assert_snapshot!(told.stdout, @"  nothing new since 2658235 · 8 commits indexed");
    assert_eq!(told.stderr, "");
}

#[test]
fn every_content_in_history_is_indexed_or_left_out_for_a_reason() {
    for name in ["review", "merges", "numeric", "hostile"] {
        let fixture = Fixture::new(name);
        let report = fixture.json(&["index", "--json"]);
        let objects = fixture.git(&["rev-list", "--objects", "HEAD"]);
        let blobs = objects
            .lines()
            .filter(|line| {
                let id = line.split(' ').next().expect("an id");
                fixture.git(&["cat-file", "-t", id]) == "blob"
            })
            .count() as u64;
        let left_out: u64 = report["skipped"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|skip| skip["count"].as_u64().expect("a count"))
            .sum();
        // A submodule's commit is no object of this repository.
        let indexed = report["file_versions"].as_u64().expect("a count");
        assert_eq!(indexed + left_out - skipped(&report, "submodule"), blobs, "{name}: {report}");
    }
}

#[test]
fn what_is_left_out_is_counted_by_reason() {
    let fixture = Fixture::new("hostile");
    let report = fixture.json(&["index", "--json"]);
    for (reason, count) in [
        ("binary", 2),
        ("data", 1),
        ("generated", 2),
        ("huge", 1),
        ("lock-file", 1),
        ("submodule", 1),
        ("symlink", 1),
        ("vendored", 1),
    ] {
        assert_eq!(skipped(&report, reason), count, "{reason}: {report}");
    }
    // Their file-level edits are kept.
    let lock = fixture.json(&["lineage", "Cargo.lock", "--json"]);
    assert_eq!(lock["edits"][0]["change"], "added");
}

#[test]
fn nodes_are_found_around_an_error_in_odd_bytes_and_in_large_files() {
    let fixture = Fixture::new("hostile");
    let report = fixture.json(&["index", "--json"]);
    assert_eq!(report["partial"], false);
    for (place, lines) in [
        ("src/broken.rs#before", [1, 3]),
        ("src/caf\\xe9.rs#coffee", [1, 4]),
        ("src/windows.rs#windows", [1, 3]),
        ("src/unfinished.rs#unfinished", [1, 3]),
        ("marked/kept.rs#kept", [1, 1]),
        ("vendor/ours/lib.rs#ours", [1, 1]),
    ] {
        let lineage = fixture.json(&["lineage", place, "--json"]);
        assert_eq!(lineage["edits"][0]["lines"], serde_json::json!(lines), "{place}");
    }
    // Split, never dropped: the parts cover every line of the long function.
    let store = precedent_pipeline::shard::Store::open(&fixture.store()).expect("opens").expect("is there");
    let mut parts: Vec<(u32, u32)> = store
        .spans()
        .expect("spans")
        .iter()
        .filter(|span| &*span.symbol == "long")
        .map(|span| (span.start_line, span.end_line))
        .collect();
    parts.sort_unstable();
    assert!(parts.len() > 1);
    assert_eq!((parts[0].0, parts[parts.len() - 1].1), (1, 3002));
    assert!(parts.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0), "{parts:?}");
    let chunks = store.chunks().expect("chunks");
    let text: String = chunks.iter().filter(|chunk| &*chunk.name == "long").map(|chunk| chunk.text.as_str()).collect();
    assert!((0..3000).all(|step| text.contains(&format!("step_{step}("))));
}

#[test]
fn a_merge_edits_what_differs_from_every_parent_as_git_shows_it() {
    let fixture = Fixture::new("merges");
    fixture.json(&["index", "--json"]);
    let store = precedent_pipeline::shard::Store::open(&fixture.store()).expect("opens").expect("is there");
    let commits = store.commits().expect("commits");
    let edits = store.edits().expect("edits");
    for commit in &commits {
        let id = commit.id.to_string();
        let shown = fixture.git(&["show", "-c", "--root", "--no-renames", "--name-only", "--format=", &id]);
        let mut expected: Vec<&str> = shown.lines().filter(|line| !line.is_empty()).collect();
        expected.sort_unstable();
        let mut found: Vec<&str> = edits
            .iter()
            .filter(|edit| edit.commit == commit.number && edit.symbol.is_none())
            .map(|edit| &*edit.path)
            .collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{id} {}", commit.message);
    }
    let nodes_of = |message: &str| -> Vec<String> {
        let commit = commits.iter().find(|commit| commit.message.trim() == message).expect("the merge");
        edits
            .iter()
            .filter(|edit| edit.commit == commit.number)
            .filter_map(|edit| edit.symbol.as_ref().map(ToString::to_string))
            .collect()
    };
    assert_eq!(nodes_of("merge a"), [""; 0]);
    assert_eq!(nodes_of("merge b, by hand"), ["shared"]);
    assert_eq!(nodes_of("merge c, and more"), ["own"]);
    assert_eq!(nodes_of("merge d and e"), [""; 0]);
}

#[test]
fn an_index_made_in_steps_equals_one_made_at_once() {
    for name in ["review", "merges", "hostile"] {
        let fixture = Fixture::new(name);
        let whole = fixture.beside("whole");
        let steps = fixture.beside("steps");
        fixture.json(&["index", "--json", "--store", &whole.to_string_lossy()]);
        let commits = fixture.git(&["rev-list", "--topo-order", "--reverse", "HEAD"]);
        for commit in commits.lines() {
            fixture.json(&["index", "--json", "--store", &steps.to_string_lossy(), "--tip", commit]);
        }
        assert_eq!(content(&whole), content(&steps), "{name}");
    }
}

#[test]
fn a_bare_repository_is_indexed_inside_itself() {
    let fixture = Fixture::new("review");
    let bare = fixture.beside("bare.git");
    fixture.git(&["clone", "--quiet", "--bare", ".", &bare.to_string_lossy()]);
    let report = fixture.json(&["index", &bare.to_string_lossy(), "--tip", "main", "--json"]);
    assert_eq!(report["commits"], 8);
    assert!(bare.join("precedent/manifest.json").is_file());
}

#[test]
fn nothing_shows_in_git_status() {
    let fixture = Fixture::new("review");
    fixture.json(&["index", "--json"]);
    assert_eq!(fixture.git(&["status", "--porcelain"]), "");
}

#[test]
fn worktrees_of_one_repository_share_one_store() {
    let fixture = Fixture::new("review");
    fixture.json(&["index", "--json", "--tip", "main"]);
    let other = fixture.beside("other");
    fixture.git(&["worktree", "add", "--quiet", &other.to_string_lossy(), "main"]);
    let ran =
        crate::support::Ran::of(crate::support::precedent(&other, &["index", "--json"]).output().expect("the binary"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!((report["commits"].as_u64(), report["totals"]["commits"].as_u64()), (Some(0), Some(8)));
}

#[test]
fn commits_that_were_rewritten_away_do_not_make_the_store_a_stranger() {
    let fixture = Fixture::new("review");
    fixture.json(&["index", "--json", "--tip", "topic"]);
    fixture.git(&["commit", "--quiet", "--amend", "--message", "said otherwise"]);
    let report = fixture.json(&["index", "--json"]);
    assert_eq!((report["commits"].as_u64(), report["totals"]["commits"].as_u64()), (Some(1), Some(10)));
    // What is known at the new tip does not hold the old one.
    let lineage = fixture.json(&["lineage", "src/client.rs#connect", "--json"]);
    assert_eq!(lineage["edits"].as_array().expect("edits").len(), 7);
    assert_eq!(lineage["edits"][0]["subject"], "said otherwise");
}

#[test]
fn attributes_count_for_what_is_alive_too() {
    let fixture = Fixture::new("hostile");
    let found = |path: &str| {
        let hits = fixture.json_lines(&["search", "ours vendored marked kept", "--path", path, "--json"]);
        hits.len()
    };
    assert_eq!((found("vendor/ours/*"), found("vendor/other/*")), (1, 0));
    assert_eq!((found("marked/kept.rs"), found("marked/out.rs")), (1, 0));
    let lineage = fixture.json(&["lineage", "vendor/ours/lib.rs:1", "--json"]);
    assert_eq!(lineage["symbol"], "ours");
}

#[test]
fn equal_content_has_the_nodes_of_each_language_it_stands_in() {
    let fixture = Fixture::new("numeric");
    let text = "# Title\n\nSome words.\n";
    std::fs::write(fixture.repo().join("a.py"), text).expect("a file");
    fixture.commit("a.md", text, "twice");
    fixture.json(&["index", "--json"]);
    fixture.commit("a.txt", text, "and once more");
    let langs = |path: &str| -> Vec<String> {
        let hits = fixture.json_lines(&["search", "title words", "--path", path, "--json"]);
        hits.iter().map(|hit| hit["lang"].as_str().expect("a language").to_owned()).collect()
    };
    assert_eq!(langs("a.py"), ["python"]);
    assert!(!langs("a.md").is_empty() && langs("a.md").iter().all(|lang| lang == "markdown"));
    assert!(!langs("a.txt").is_empty() && langs("a.txt").iter().all(|lang| lang == "text"));
}

#[test]
fn replacements_of_objects_are_not_history() {
    let fixture = Fixture::new("review");
    fixture.git(&["replace", "--graft", "main~2"]);
    assert_eq!(fixture.json(&["index", "--json", "--tip", "main"])["commits"], 8);
}

#[test]
fn repositories_with_sha256_are_indexed() {
    let fixture = Fixture::empty();
    fixture.git(&["init", "--quiet", "--object-format=sha256"]);
    fixture.commit("a.rs", "pub fn a() -> u8 {\n    1\n}\n", "one");
    fixture.commit("a.rs", "pub fn a() -> u8 {\n    2\n}\n", "two");
    assert_eq!(fixture.json(&["index", "--json"])["commits"], 2);
    let lineage = fixture.json(&["lineage", "a.rs#a", "--json"]);
    assert_eq!(lineage["edits"][0]["commit"], fixture.git(&["rev-parse", "HEAD"]).as_str());
    let review = fixture.json(&["review", "HEAD~1..HEAD", "--json"]);
    assert_eq!(review["base"], fixture.git(&["rev-parse", "HEAD~1"]).as_str());
}

#[test]
fn the_same_store_comes_of_one_thread_and_of_many() {
    let fixture = Fixture::new("merges");
    let shards = |threads: &str| -> Vec<String> {
        let store = fixture.beside(threads);
        let ran = crate::support::precedent(&fixture.repo(), &["index", "--store", &store.to_string_lossy()])
            .env("RAYON_NUM_THREADS", threads)
            .output()
            .expect("the binary");
        assert!(ran.status.success());
        let store = precedent_pipeline::shard::Store::open(&store).expect("opens").expect("is there");
        store.manifest().shards.iter().map(|shard| shard.blake3.clone()).collect()
    };
    assert_eq!(shards("1"), shards("3"));
}
