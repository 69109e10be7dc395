//! `precedent index` on histories that are very large, or odd.

use crate::support::{Fixture, import, skipped, stream_commit};

#[test]
fn two_commits_of_100000_files_each_are_indexed() {
    let fixture = Fixture::empty();
    let texts = |with: &str| -> Vec<(String, String)> {
        let text = |at: usize| format!("pub fn f{at}() -> u32 {{\n    {at}{with}\n}}\n");
        (0..100_000).map(|at| (format!("src/{}/{at}.rs", at % 1_000), text(at))).collect()
    };
    let mut stream = Vec::new();
    for (time, with) in [("1710000000", ""), ("1710000001", " + 1")] {
        let texts = texts(with);
        let files: Vec<(&str, &str)> = texts.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        stream_commit(&mut stream, time, "all", &files);
    }
    import(&fixture, &stream);
    let report = fixture.json(&["index", "--json", "--memory", "32"]);
    let count = |key: &str| report[key].as_u64();
    assert_eq!(
        (count("file_versions"), count("chunks"), count("edits")),
        (Some(200_000), Some(200_000), Some(200_000))
    );
    let lineage = fixture.json(&["lineage", "src/7/54007.rs#f54007", "--json"]);
    let changes: Vec<_> = lineage["edits"].as_array().expect("edits").iter().map(|edit| &edit["change"]).collect();
    assert_eq!(changes, ["modified", "added"]);
}

#[test]
fn commits_of_many_files_are_not_all_in_memory_at_once() {
    let fixture = Fixture::empty();
    let mut stream = Vec::new();
    for round in 0..64 {
        let texts: Vec<(String, String)> = (0..500)
            .map(|at| {
                let lines: String = (0..8).map(|line| format!("    step_{at}_{line}(round_{round});\n")).collect();
                (format!("src/{}/{at}.rs", at % 100), format!("pub fn f{at}() {{\n{lines}}}\n"))
            })
            .collect();
        let files: Vec<(&str, &str)> = texts.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        stream_commit(&mut stream, &(1_710_000_000 + round).to_string(), &format!("round {round}"), &files);
    }
    import(&fixture, &stream);
    let first = fixture.git(&["rev-list", "--max-parents=0", "main"]);
    let index = |tip: &str, store: &str| -> serde_json::Value {
        let store = fixture.beside(store);
        let arguments = ["index", "--json", "--memory", "32", "--tip", tip, "--store", &store.to_string_lossy()];
        // Each thread has caches of its own.
        let ran = crate::support::precedent(&fixture.repo(), &arguments).env("RAYON_NUM_THREADS", "2").output();
        serde_json::from_slice(&ran.expect("the binary").stdout).expect("JSON")
    };
    let (one, all) = (index(&first, "one"), index("main", "all"));
    assert_eq!((one["file_versions"].as_u64(), all["file_versions"].as_u64()), (Some(500), Some(32_000)));
    // Though a run takes as many commits together, it does not wait for all of them to write some.
    assert!(all["generation"].as_u64() > Some(2), "{all}");
    let peak = |report: &serde_json::Value| report["peak_rss_bytes"].as_f64();
    if let (Some(one), Some(all)) = (peak(&one), peak(&all)) {
        // What is in flight and what waits are a few times what `--memory` says.
        assert!(all - one < 4.0 * 32.0 * 1_048_576.0, "{one} for one commit, {all} for all");
    }
}

#[test]
fn a_line_of_50_mb_is_left_out_and_one_of_1_mb_is_not() {
    let fixture = Fixture::empty();
    let (long, shorter) = ("x".repeat(50 << 20), "x".repeat(1_000_000));
    let files = [("long.md", long.as_str()), ("shorter.md", &shorter), ("a.rs", "fn a() {}\n")];
    let mut stream = Vec::new();
    stream_commit(&mut stream, "1710000000", "all", &files);
    import(&fixture, &stream);
    let report = fixture.json(&["index", "--json"]);
    assert_eq!(skipped(&report, "huge"), 1, "{report}");
    assert_eq!(report["file_versions"].as_u64().expect("a count") + skipped(&report, "generated"), 2, "{report}");
}

#[test]
fn a_file_of_as_many_nodes_as_fit_is_indexed_and_so_is_its_next_version() {
    let fixture = Fixture::empty();
    let first = "fn a(){}\n".repeat((1 << 20) / 9);
    let mut second = first.clone();
    second.replace_range(450_000..450_009, "fn b(){}\n");
    let mut stream = Vec::new();
    stream_commit(&mut stream, "1710000000", "one", &[("a.rs", &first)]);
    stream_commit(&mut stream, "1710000001", "two", &[("a.rs", &second)]);
    import(&fixture, &stream);
    let report = fixture.json(&["index", "--json"]);
    assert_eq!(report["file_versions"], 2, "{report}");
    let lineage = fixture.json(&["lineage", "a.rs#b", "--json"]);
    assert_eq!(lineage["edits"].as_array().map(Vec::len), Some(1), "{lineage}");
}

#[test]
fn a_text_of_200000_equal_blocks_is_indexed_and_so_is_one_with_one_less() {
    let fixture = Fixture::empty();
    let (all, fewer) = ("a\n\n".repeat(200_000), "a\n\n".repeat(199_999));
    let mut stream = Vec::new();
    stream_commit(&mut stream, "1710000000", "one", &[("a.md", &all)]);
    stream_commit(&mut stream, "1710000001", "two", &[("a.md", &fewer)]);
    import(&fixture, &stream);
    let report = fixture.json(&["index", "--json"]);
    assert_eq!((report["nodes"].as_u64(), report["chunks"].as_u64()), (Some(399_999), Some(1)), "{report}");
    assert_eq!(report["edits"], 200_001, "all were added, and one was removed: {report}");
}

#[test]
fn a_text_of_100000_blocks_in_another_order_is_the_same_blocks() {
    // As many blocks as fit into a file, all of one name: nothing but their texts tells them apart.
    let fixture = Fixture::empty();
    let blocks: Vec<String> = (0..100_000).map(|at| format!("b{at:06}\n")).collect();
    let (there, back) = (blocks.join("\n"), blocks.iter().rev().map(String::as_str).collect::<Vec<_>>().join("\n"));
    let mut stream = Vec::new();
    stream_commit(&mut stream, "1710000000", "one", &[("a.md", &there)]);
    stream_commit(&mut stream, "1710000001", "two", &[("a.md", &back)]);
    import(&fixture, &stream);
    let report = fixture.json(&["index", "--json"]);
    assert_eq!((report["nodes"].as_u64(), report["chunks"].as_u64()), (Some(200_000), Some(100_000)));
    assert_eq!(report["edits"], 100_000, "all were added by the first commit");
}

#[test]
fn paths_that_differ_in_case_alone_are_two_paths() {
    let fixture = Fixture::empty();
    let mut stream = Vec::new();
    let files = [("a.rs", "fn lower() {}\n"), ("A.rs", "fn upper() {}\n"), ("Src/a.rs", "fn far() {}\n")];
    stream_commit(&mut stream, "1710000000", "one", &files);
    stream_commit(&mut stream, "1710000001", "two", &[("src/a.rs", "fn near() {}\n")]);
    import(&fixture, &stream);
    assert_eq!(fixture.json(&["index", "--json"])["file_edits"], 4);
    for (place, symbol) in [("a.rs:1", "lower"), ("A.rs:1", "upper"), ("Src/a.rs:1", "far"), ("src/a.rs:1", "near")] {
        assert_eq!(fixture.json(&["lineage", place, "--json"])["symbol"], symbol, "{place}");
    }
}

#[test]
fn clocks_that_run_backwards_or_mad_change_nothing_but_dates() {
    let fixture = Fixture::empty();
    fixture.git(&["init", "--quiet", "--initial-branch=main"]);
    let mut parent = String::new();
    for (at, time) in ["1710000000", "1000", "-86400", "99999999999999", "5"].iter().enumerate() {
        std::fs::write(fixture.repo().join("a.rs"), format!("fn a() {{\n    step({at});\n}}\n")).expect("a file");
        fixture.git(&["add", "--all"]);
        let tree = fixture.git(&["write-tree"]);
        let above = if parent.is_empty() { String::new() } else { format!("parent {parent}\n") };
        let who = format!("Ada <ada@example.org> {time} +0000");
        let commit = format!("tree {tree}\n{above}author {who}\ncommitter {who}\n\nstep {at}\n");
        std::fs::write(fixture.beside("commit"), commit).expect("a file");
        let file = fixture.beside("commit").to_string_lossy().into_owned();
        parent = fixture.git(&["hash-object", "-w", "--literally", "-t", "commit", &file]);
    }
    fixture.git(&["update-ref", "refs/heads/main", &parent]);
    assert_eq!(fixture.json(&["index", "--json"])["commits"], 5);
    let lineage = fixture.json(&["lineage", "a.rs#a", "--json"]);
    let subjects: Vec<_> = lineage["edits"].as_array().expect("edits").iter().map(|edit| &edit["subject"]).collect();
    assert_eq!(subjects, ["step 4", "step 3", "step 2", "step 1", "step 0"]);
    assert_eq!(fixture.json(&["store", "check", "--json"])["ok"], true);
}

#[test]
fn a_mailmap_that_goes_in_circles_changes_nothing() {
    let fixture = Fixture::new("numeric");
    let map = "Ada <ada@example.org> <bob@example.org>\nBob <bob@example.org> <ada@example.org>\n";
    fixture.commit(".mailmap", map, "circles");
    assert_eq!(fixture.json(&["index", "--json"])["commits"], 4);
    assert_eq!(fixture.run(&["lineage", "src/numeric.rs#gcd"]).code, 0);
    // A review asks who wrote what, and so reads the map, which Git follows one step.
    assert_eq!(fixture.git(&["check-mailmap", "<bob@example.org>"]), "Ada <ada@example.org>");
    let source = std::fs::read_to_string(fixture.repo().join("src/numeric.rs")).expect("a file");
    fixture.commit("src/numeric.rs", &source.replace("gcd(b, a % b)", "gcd(b, a.rem_euclid(b))"), "a change");
    assert_eq!(fixture.json(&["review", "HEAD~1..HEAD", "--json"])["files"]["changed"], 1);
}

#[test]
fn an_octopus_edits_what_git_log_says_it_does() {
    let fixture = Fixture::new("numeric");
    let base = fixture.git(&["rev-parse", "HEAD"]);
    for (name, text) in [("one", "1"), ("two", "2"), ("three", "3")] {
        fixture.git(&["switch", "--quiet", "--create", name, &base]);
        fixture.commit("shared.rs", &format!("fn shared() {{\n    {text};\n}}\n"), name);
        fixture.commit(&format!("{name}.rs"), &format!("fn {name}() {{}}\n"), name);
    }
    // Nobody's `shared`, somebody's `two`, and a file that was in no parent.
    std::fs::write(fixture.repo().join("shared.rs"), "fn shared() {\n    4;\n}\n").expect("a file");
    std::fs::write(fixture.repo().join("two.rs"), "fn two() {}\n").expect("a file");
    std::fs::write(fixture.repo().join("new.rs"), "fn new() {}\n").expect("a file");
    fixture.git(&["add", "--all"]);
    let tree = fixture.git(&["write-tree"]);
    let merge =
        fixture.git(&["commit-tree", &tree, "-p", "one", "-p", "two", "-p", "three", "-p", &base, "-m", "octopus"]);
    fixture.git(&["reset", "--quiet", "--hard", &merge]);
    let raw = fixture.git(&["log", "-1", "--raw", "-c", "--format=", "--no-renames"]);
    let shown: Vec<&str> = raw.lines().filter_map(|line| line.split('\t').nth(1)).collect();
    fixture.json(&["index", "--json"]);
    let store = precedent_pipeline::shard::Store::open(&fixture.store()).expect("opens").expect("is there");
    let commits = store.commits().expect("commits");
    let octopus = commits.iter().find(|commit| commit.id.to_string() == merge).expect("the merge");
    assert_eq!(octopus.parents.len(), 4);
    let edits = store.edits().expect("edits");
    let own = || edits.iter().filter(|edit| edit.commit == octopus.number);
    let mut paths: Vec<&str> = own().filter(|edit| edit.symbol.is_none()).map(|edit| &*edit.path).collect();
    paths.sort_unstable();
    assert_eq!((paths.as_slice(), shown.as_slice()), (&["new.rs", "shared.rs"][..], &["new.rs", "shared.rs"][..]));
    let mut nodes: Vec<&str> = own().filter_map(|edit| edit.symbol.as_deref()).collect();
    nodes.sort_unstable();
    assert_eq!(nodes, ["new", "shared"]);
}

#[test]
fn grafts_are_not_history() {
    let fixture = Fixture::new("review");
    let id = fixture.git(&["rev-parse", "main~2"]);
    std::fs::create_dir_all(fixture.repo().join(".git/info")).expect("a folder");
    std::fs::write(fixture.repo().join(".git/info/grafts"), format!("{id}\n")).expect("a file");
    // Git still follows them, and says that it will not for long; `git replace` took their place.
    assert_eq!(fixture.git(&["rev-list", "--count", "main"]), "3");
    assert_eq!(fixture.json(&["index", "--json", "--tip", "main"])["commits"], 8);
}
