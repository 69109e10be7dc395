//! `precedent index`: what is indexed, counted and left out.

use crate::support::{Fixture, content, import, skipped, stream_commit};

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
    insta::assert_snapshot!(told.stdout, @"  nothing new since c4bdf26 · 8 commits indexed");
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
    for name in ["attributes", "review", "merges", "hostile"] {
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

/// The hashes of the shards that an index of this repository has, in a store of this name.
fn shards(fixture: &Fixture, name: &str, more: &[&str], threads: &str) -> Vec<String> {
    let store = fixture.beside(name);
    let place = store.to_string_lossy();
    let arguments = [&["index", "--store", &place], more].concat();
    let ran = crate::support::precedent(&fixture.repo(), &arguments).env("RAYON_NUM_THREADS", threads).output();
    let ran = crate::support::Ran::of(ran.expect("the binary"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let store = precedent_pipeline::shard::Store::open(&store).expect("opens").expect("is there");
    store.manifest().shards.iter().map(|shard| shard.blake3.clone()).collect()
}

#[test]
fn the_same_store_comes_of_one_thread_and_of_many() {
    // Of a hundred commits and more, threads read some each; with little memory there are several generations.
    for (name, more) in [("merges", &[][..]), ("attributes", &[]), ("many", &[]), ("generations", &["--memory", "32"])]
    {
        let fixture = Fixture::new(name);
        let one = shards(&fixture, "1", more, "1");
        assert_eq!(one, shards(&fixture, "3", more, "3"), "{name}");
        assert_eq!(one, shards(&fixture, "8", more, "8"), "{name}");
    }
}

/// Every fixture there is.
const ALL: [&str; 8] = ["attributes", "generations", "hostile", "lineage", "many", "merges", "numeric", "review"];

#[test]
fn alive_at_a_commit_is_what_a_parse_of_its_whole_tree_finds() {
    use precedent_pipeline::archive::Archive;
    use precedent_pipeline::history::{AttributeRules, Objects, Repository};
    use precedent_pipeline::shard::{ObjectId, Store};
    use precedent_pipeline::{Chunker, FileNodes};
    for name in ALL {
        let fixture = Fixture::new(name);
        fixture.json(&["index", "--json"]);
        let archive = Archive::open(Store::open(&fixture.store()).expect("opens").expect("is there")).expect("opens");
        let repository = Repository::discover(&fixture.repo()).expect("a repository");
        let objects = repository.objects();
        let mut parsed: std::collections::HashMap<(ObjectId, &str), FileNodes> = std::collections::HashMap::new();
        let mut whole = |objects: &Objects, commit: &ObjectId| -> Vec<String> {
            let files = objects.files(commit).expect("a tree");
            let mut rules = AttributeRules::in_tree(&files);
            let mut nodes = Vec::new();
            for (path, entry) in &files {
                let said = rules.of(objects, commit, path).expect("rules");
                let Ok(language) = Chunker::classify(path, entry, said) else { continue };
                let found = parsed
                    .entry((entry.id, language.name))
                    .or_insert_with(|| Chunker::chunk(objects, path, &entry.id, language).0);
                nodes.extend(found.iter().flatten().map(|node| {
                    let lines = (node.start_line, node.end_line);
                    format!("{path} {} {} {lines:?} {}", node.symbol, node.container, node.chunk)
                }));
            }
            nodes.sort();
            nodes
        };
        let commits = archive.commits();
        // Of long histories some; they have no merges.
        for commit in commits.iter().rev().step_by(commits.len() / 20 + 1) {
            let mut alive: Vec<String> = archive
                .alive(&objects, &commit.id)
                .expect("a tree")
                .iter()
                .map(|place| {
                    let lines = (place.start_line, place.end_line);
                    let chunk = archive.head(place.chunk).id;
                    format!("{} {} {} {lines:?} {chunk}", place.path, place.symbol, place.container)
                })
                .collect();
            alive.sort();
            assert_eq!(alive, whole(&objects, &commit.id), "{name} {} {}", commit.id, commit.message);
        }
    }
}

#[test]
fn files_that_attributes_let_in_are_there_from_then_on_and_nobody_added_them() {
    let fixture = Fixture::new("attributes");
    let told = |place: &str| -> Vec<String> {
        let lineage = fixture.json(&["lineage", place, "--json"]);
        let edits = lineage["edits"].as_array().expect("edits").iter();
        let text = |edit: &serde_json::Value, key: &str| edit[key].as_str().expect("text").to_owned();
        edits.map(|edit| format!("{} by {}", text(edit, "change"), text(edit, "subject"))).collect()
    };
    assert_eq!(
        told("vendor/ours/one.rs#one"),
        ["present by let ours in again", "modified by edit one", "present by let ours in"]
    );
    // Where they were out of sight in between, they are there again.
    assert_eq!(told("vendor/ours/two.rs#two"), ["present by let ours in again", "present by let ours in"]);
    assert_eq!(told("gen/made.rs#made"), ["present by let gen in"]);
    assert_eq!(told("vendor/ours/aside.rs#aside"), ["present by let ours in again", "present by merge side"]);
    assert_eq!(told("gen/made_too.rs#made_too"), ["present by merge main into side"]);
    // The files themselves were added by whom Git says.
    assert_eq!(told("gen/made_too.rs"), ["added by a generated file"]);
    let alive = |revision: &str| -> Vec<String> {
        let commit = fixture.git(&["rev-parse", revision]);
        let hits = fixture.json_lines(&["search", "made", "--as-of", &commit, "--json", "-k", "50"]);
        let mut symbols: Vec<String> = hits.iter().map(|hit| hit["symbol"].as_str().expect("text").into()).collect();
        symbols.retain(|symbol| symbol != "(top)" && !symbol.is_empty());
        symbols.sort();
        symbols
    };
    assert_eq!(alive(":/^begin"), ["main"]);
    assert_eq!(alive(":/^edit one"), ["main", "one", "two"]);
    assert_eq!(alive(":/^merge side"), ["aside", "made", "main", "one", "two"]);
    assert_eq!(alive(":/^unseen edit"), ["made", "main"]);
    assert_eq!(alive("main"), ["aside", "made", "made_too", "main", "one", "two"]);
}

#[test]
fn a_commit_graph_changes_nothing() {
    for name in ["merges", "lineage", "attributes"] {
        let fixture = Fixture::new(name);
        let without = shards(&fixture, "without", &[], "2");
        fixture.git(&["commit-graph", "write", "--reachable"]);
        assert!(fixture.repo().join(".git/objects/info/commit-graph").is_file());
        assert_eq!(shards(&fixture, "with", &[], "2"), without, "{name}");
    }
    // Dates that do not fit into 34 bits, on branches that run side by side: only dates put them in order.
    let fixture = Fixture::new("numeric");
    let base = fixture.git(&["rev-parse", "HEAD"]);
    let mut parents = Vec::new();
    for (at, time) in ["1710000000", "-86400", "17179869189", "99999999999999", "1000"].iter().enumerate() {
        std::fs::write(fixture.repo().join("a.rs"), format!("fn a{at}() {{\n    step({at});\n}}\n")).expect("a file");
        fixture.git(&["add", "--all"]);
        let tree = fixture.git(&["write-tree"]);
        let who = format!("Ada <ada@example.org> {time} +0000");
        let commit = format!("tree {tree}\nparent {base}\nauthor {who}\ncommitter {who}\n\nbranch {at}\n");
        std::fs::write(fixture.beside("commit"), commit).expect("a file");
        let file = fixture.beside("commit").to_string_lossy().into_owned();
        let id = fixture.git(&["hash-object", "-w", "--literally", "-t", "commit", &file]);
        parents.extend(["-p".to_owned(), id]);
    }
    let tree = fixture.git(&["write-tree"]);
    let arguments: Vec<&str> =
        ["commit-tree", &tree, "-m", "all"].into_iter().chain(parents.iter().map(String::as_str)).collect();
    let merge = fixture.git(&arguments);
    fixture.git(&["update-ref", "refs/heads/main", &merge]);
    let without = shards(&fixture, "without", &[], "2");
    fixture.git(&["commit-graph", "write", "--reachable"]);
    assert_eq!(shards(&fixture, "with", &[], "2"), without);
}

#[test]
fn modes_that_git_takes_for_one_another_are_no_change() {
    let fixture = Fixture::empty();
    fixture.git(&["init", "--quiet", "--initial-branch=main"]);
    std::fs::write(fixture.beside("blob"), "pub fn a() {}\n").expect("a file");
    let file = fixture.beside("blob").to_string_lossy().into_owned();
    let blob = fixture.git(&["hash-object", "-w", &file]);
    let bytes: Vec<u8> = (0..20).map(|at| u8::from_str_radix(&blob[2 * at..2 * at + 2], 16).expect("an id")).collect();
    let mut parent: Option<String> = None;
    for mode in ["100664", "100644", "100755", "100775"] {
        let tree = [format!("{mode} a.rs\0").as_bytes(), &bytes].concat();
        std::fs::write(fixture.beside("tree"), tree).expect("a file");
        let file = fixture.beside("tree").to_string_lossy().into_owned();
        let tree = fixture.git(&["hash-object", "-w", "--literally", "-t", "tree", &file]);
        let above: Vec<&str> = parent.as_deref().map_or(Vec::new(), |parent| vec!["-p", parent]);
        parent = Some(fixture.git(&[&["commit-tree", &tree, "-m", mode], &above[..]].concat()));
    }
    fixture.git(&["update-ref", "refs/heads/main", &parent.expect("a commit")]);
    let shown = fixture.git(&["log", "--reverse", "--root", "--raw", "--format=%s"]);
    let by_git = shown.lines().filter(|line| line.starts_with(':')).count() as u64;
    // Added, and made executable.
    assert_eq!((by_git, fixture.json(&["index", "--json"])["file_edits"].as_u64()), (2, Some(2)), "{shown}");
}

#[test]
fn how_versions_were_read_is_counted_by_language() {
    let fixture = Fixture::empty();
    let mut stream = Vec::new();
    let good = "pub fn a() {\n    1;\n}\n\npub fn b() {\n    2;\n}\n";
    stream_commit(
        &mut stream,
        "1710000000",
        "one",
        &[("a.rs", good), ("a.py", "def f():\n    pass\n"), ("a.md", "a\n")],
    );
    stream_commit(&mut stream, "1710000001", "two", &[("a.rs", &good.replace("2;", "3;")), ("a.md", "b\n")]);
    // A string that does not end reaches past what is around it.
    stream_commit(&mut stream, "1710000002", "three", &[("a.rs", &good.replace("2;", "\";"))]);
    import(&fixture, &stream);
    let report = fixture.json(&["index", "--json"]);
    let expected = serde_json::json!({
        "python": {"whole": 1, "windows": 0, "doubtful": 0},
        "rust": {"whole": 1, "windows": 1, "doubtful": 1},
    });
    assert_eq!(report["readings"], expected);
}

#[test]
fn parsing_whole_and_parsing_windows_give_the_same_shards() {
    for name in ALL {
        let fixture = Fixture::new(name);
        let shards = |reparse: &str| -> Vec<String> {
            let store = fixture.beside(reparse);
            fixture.json(&["index", "--json", "--reparse", reparse, "--store", &store.to_string_lossy()]);
            let store = precedent_pipeline::shard::Store::open(&store).expect("opens").expect("is there");
            store.manifest().shards.iter().map(|shard| shard.blake3.clone()).collect()
        };
        assert_eq!(shards("full"), shards("window"), "{name}");
    }
}

#[test]
fn little_memory_gives_the_same_store() {
    for name in ALL {
        let fixture = Fixture::new(name);
        let (much, little) = (fixture.beside("much"), fixture.beside("little"));
        let much_report = fixture.json(&["index", "--json", "--store", &much.to_string_lossy()]);
        let report = fixture.json(&["index", "--json", "--memory", "32", "--store", &little.to_string_lossy()]);
        assert_eq!(name == "generations", report["generation"] != much_report["generation"], "{name}");
        assert!(content(&much) == content(&little), "{name}");
    }
}

#[test]
fn a_rewritten_branch_costs_only_its_new_commits() {
    let fixture = Fixture::new("review");
    fixture.json(&["index", "--json", "--tip", "main"]);
    // The last two commits of the branch are made again on the one before them, and the first says something else.
    fixture.git(&["switch", "--quiet", "main"]);
    let old = fixture.git(&["rev-parse", "main"]);
    fixture.git(&["reset", "--quiet", "--hard", "main~2"]);
    fixture.commit("src/rewritten.rs", "pub fn rewritten() -> u8 {\n    1\n}\n", "said otherwise");
    fixture.git(&["checkout", "--quiet", &old, "--", "."]);
    fixture.commit("src/rewritten.rs", "pub fn rewritten() -> u8 {\n    2\n}\n", "and the rest");
    let report = fixture.json(&["index", "--json", "--tip", "main"]);
    assert_eq!((report["commits"].as_u64(), report["totals"]["commits"].as_u64()), (Some(2), Some(10)));
    // Everything else that the new commits hold was read before the branch was rewritten.
    assert_eq!(report["file_versions"], 2, "{report}");
}

#[test]
fn a_second_worktree_costs_only_its_new_commits() {
    let fixture = Fixture::new("review");
    fixture.json(&["index", "--json", "--tip", "main"]);
    let other = fixture.beside("other");
    fixture.git(&["worktree", "add", "--quiet", "-b", "side", &other.to_string_lossy(), "main"]);
    std::fs::write(other.join("side.rs"), "pub fn side() -> u8 {\n    1\n}\n").expect("a file");
    crate::support::git(&other, &["add", "--all"]);
    crate::support::git(&other, &["commit", "--quiet", "--message", "aside"]);
    let index = || {
        let ran = crate::support::precedent(&other, &["index", "--json"]).output().expect("the binary");
        let ran = crate::support::Ran::of(ran);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        serde_json::from_str::<serde_json::Value>(&ran.stdout).expect("JSON")
    };
    let report = index();
    assert_eq!((report["commits"].as_u64(), report["file_versions"].as_u64()), (Some(1), Some(1)), "{report}");
    assert_eq!(report["totals"]["commits"], 9);
    assert_eq!(fixture.json(&["index", "--json", "--tip", "side"])["commits"], 0);
}
