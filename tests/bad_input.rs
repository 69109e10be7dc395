//! Bad input gets a sentence and the right exit code, and nothing is lost.

use crate::support::{Fixture, Ran, content, git, precedent};

/// The run ends with this code and begins with this sentence; never with a backtrace.
fn check(fixture: &Fixture, arguments: &[&str], code: i32, sentence: &str) -> String {
    let ran = fixture.run(arguments);
    assert_eq!(ran.code, code, "{arguments:?}: {}", ran.stderr);
    let first = ran.stderr.lines().find(|line| line.starts_with("error: ")).unwrap_or("").to_owned();
    assert!(first.contains(sentence), "{arguments:?}: {:?}", ran.stderr);
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    ran.stderr
}

#[test]
fn not_a_repository() {
    let fixture = Fixture::empty();
    for command in [&["index"][..], &["search", "x"], &["review"], &["lineage", "x"], &["store", "check"]] {
        check(&fixture, command, 3, "is not in a Git repository");
    }
    check(&fixture, &["index", "no/such/place"], 3, "is not in a Git repository");
    // A diagnosis is no failure.
    let diagnosis = fixture.json(&["doctor", "--json"]);
    assert!(diagnosis["problems"][0].as_str().expect("a problem").contains("is not in a Git repository"));
}

#[test]
fn a_repository_without_commits() {
    let fixture = Fixture::empty();
    git(&fixture.repo(), &["init", "--quiet"]);
    for command in [&["index"][..], &["search", "x"], &["review"]] {
        let said = check(&fixture, command, 3, "has no commits yet");
        assert!(said.contains("make a first commit"), "{said}");
    }
    let said = check(&fixture, &["review", "HEAD~1..HEAD"], 3, "is not a commit here");
    assert!(said.contains("make a first commit"), "{said}");
    let diagnosis = fixture.run(&["doctor"]).stdout;
    assert!(diagnosis.lines().all(|line| !line.trim().is_empty()), "{diagnosis}");
}

#[test]
fn a_revision_that_does_not_exist() {
    let fixture = Fixture::new("review");
    let said = check(&fixture, &["review", "nowhere..HEAD"], 3, "`nowhere` is not a commit here");
    assert!(said.contains("this clone has `main`, `topic`"), "{said}");
    assert!(!said.contains("git fetch"), "there is no remote to fetch from: {said}");
    check(&fixture, &["index", "--tip", "HEAD~99"], 3, "`HEAD~99` is not a commit here");
    check(&fixture, &["search", "x", "--as-of", "v9"], 3, "`v9` is not a commit here");
    check(&fixture, &["lineage", "src/none.rs"], 3, "`src/none.rs` has no history");
}

#[test]
fn what_helps_where_a_revision_is_not_here_is_something_that_can_be_done() {
    let fixture = Fixture::new("review");
    let clone = fixture.beside("clone");
    git(&fixture.repo(), &["checkout", "--quiet", "main"]);
    git(&fixture.repo(), &["clone", "--quiet", ".", &clone.to_string_lossy()]);
    let said = |range: &str| Ran::of(precedent(&clone, &["review", range]).output().expect("the binary")).stderr;
    assert!(said("topic..HEAD").contains("\n  there is `origin/topic`\n"), "{}", said("topic..HEAD"));
    let unknown = said("nowhere..HEAD");
    assert!(unknown.contains("git fetch origin nowhere, which is `origin/nowhere` then"), "{unknown}");
    // As a branch to fetch, the first would set another branch, and the others are none.
    for range in ["HEAD:CHANGES.md..HEAD", "main..topic..HEAD", "-x..HEAD"] {
        let said = Ran::of(precedent(&clone, &["review", "--", range]).output().expect("the binary")).stderr;
        assert!(said.contains("is not a commit here") && !said.contains("git fetch"), "{said}");
    }
}

#[test]
fn a_shallow_clone_is_indexed_as_far_as_it_goes_and_again_when_deepened() {
    let fixture = Fixture::new("review");
    let clone = fixture.beside("clone");
    let from = format!("file://{}", fixture.repo().display());
    git(&fixture.repo(), &["clone", "--quiet", "--depth", "3", &from, &clone.to_string_lossy()]);
    let clone =
        |arguments: &[&str]| crate::support::Ran::of(precedent(&clone, arguments).output().expect("the binary"));

    let ran = clone(&["index", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("git fetch --unshallow"), "{}", ran.stderr);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!((report["commits"].as_u64(), report["partial"].as_bool()), (Some(3), Some(true)));
    let said = clone(&["review", "HEAD~5..HEAD"]);
    assert_eq!(said.code, 3);
    assert!(said.stderr.contains("git fetch --unshallow"), "{}", said.stderr);
    // What stood at the boundary was not added by it.
    let lineage = clone(&["lineage", "src/config.rs#Config", "--json"]);
    assert!(lineage.stdout.contains("\"change\":\"present\""), "{}", lineage.stdout);

    git(&fixture.beside("clone"), &["fetch", "--quiet", "--unshallow"]);
    let ran = clone(&["index", "--json"]);
    assert!(ran.stderr.contains("made from a shorter clone"), "{}", ran.stderr);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!((report["totals"]["commits"].as_u64(), report["partial"].as_bool()), (Some(9), Some(false)));
}

#[test]
fn a_partial_clone_says_what_is_missing() {
    let fixture = Fixture::new("review");
    git(&fixture.repo(), &["config", "uploadpack.allowFilter", "true"]);
    let clone = fixture.beside("clone");
    let from = format!("file://{}", fixture.repo().display());
    git(&fixture.repo(), &["clone", "--quiet", "--filter=blob:none", &from, &clone.to_string_lossy()]);
    let ran = crate::support::Ran::of(precedent(&clone, &["index", "--json"]).output().expect("the binary"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("missing from the index, since a partial clone lacks them"), "{}", ran.stderr);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(report["partial"], true);
    let missing = crate::support::skipped(&report, "missing");
    assert!(missing > 0);
    assert_eq!(report["missing"], missing);

    // They are missing until the index is built again, also when nothing is new and Git has fetched them.
    let index = |more: &[&str]| {
        let arguments = [&["index", "--json"], more].concat();
        let ran = Ran::of(precedent(&clone, &arguments).output().expect("the binary"));
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let report: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
        (report["missing"].as_u64(), report["partial"].as_bool(), ran.stderr)
    };
    let (again, partial, said) = index(&[]);
    assert_eq!((again, partial), (Some(missing), Some(true)));
    assert!(said.contains("git fetch --refetch --no-filter"), "{said}");
    // It was counted once, and is kept: edits are not read for it again. A file that is not whole is no file.
    let store = clone.join(".git/precedent");
    let only = |folder: &str| {
        let mut files =
            std::fs::read_dir(store.join(folder)).expect("a folder").map(|file| file.expect("a file").path());
        (files.next().expect("one file"), files.count())
    };
    let ((counted, others), (edits, _)) = (only("left-out"), only("edits"));
    assert_eq!(others, 0);
    let (number, rows) = (std::fs::read(&counted).expect("bytes"), std::fs::read(&edits).expect("bytes"));
    std::fs::write(&edits, "").expect("written");
    assert_eq!(index(&[]).0, Some(missing));
    std::fs::write(&edits, rows).expect("written");
    for at in (0..number.len()).step_by(9) {
        let mut changed = number.clone();
        changed[at] ^= 1;
        std::fs::write(&counted, changed).expect("written");
        assert_eq!(index(&[]).0, Some(missing), "changed at {at}");
    }
    assert_eq!(std::fs::read(&counted).expect("bytes"), number);
    git(&clone, &["fetch", "--quiet", "--refetch", "--no-filter"]);
    assert_eq!(index(&[]), (Some(missing), Some(true), said));
    let (_, partial, said) = index(&["--rebuild"]);
    assert_eq!((index(&[]).0, partial), (Some(0), Some(false)), "{said}");
}

/// A copy of such a clone, without its settings.
#[test]
fn a_partial_clone_is_known_by_its_packs_too() {
    let fixture = Fixture::new("review");
    git(&fixture.repo(), &["config", "uploadpack.allowFilter", "true"]);
    let clone = fixture.beside("clone");
    let from = format!("file://{}", fixture.repo().display());
    git(&fixture.repo(), &["clone", "--quiet", "--bare", "--filter=blob:none", &from, &clone.to_string_lossy()]);
    std::fs::write(clone.join("config"), "[core]\n\trepositoryformatversion = 0\n\tbare = true\n").expect("settings");
    let ran = Ran::of(precedent(&clone, &["index", "--json"]).output().expect("the binary"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("since a partial clone lacks them"), "{}", ran.stderr);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(report["partial"], true);
}

#[test]
fn a_store_of_another_repository_is_refused() {
    let one = Fixture::new("review");
    let two = Fixture::new("numeric");
    let store = one.beside("shared");
    one.json(&["index", "--json", "--store", &store.to_string_lossy()]);
    let said = check(&two, &["index", "--store", &store.to_string_lossy()], 3, "belongs to another repository");
    assert!(said.contains("precedent index --rebuild"), "{said}");
    // And nothing was touched.
    assert_eq!(one.json(&["index", "--json", "--store", &store.to_string_lossy()])["totals"]["commits"], 9);
}

#[test]
fn a_store_of_another_maker_or_version_is_refused_and_can_be_rebuilt() {
    let fixture = Fixture::new("review");
    fixture.json(&["index", "--json"]);
    let manifest = fixture.store().join("manifest.json");
    let good = std::fs::read_to_string(&manifest).expect("a manifest");
    let embedder = precedent_model::Table::built_in().fingerprint();
    for (from, to, sentence) in [
        (embedder, "table-v0:0000", "was built with embedder `table-v0:0000`"),
        (precedent_pipeline::syntax::CHUNKER, "chunker-0", "was built with chunker `chunker-0`"),
        ("\"format\": 3", "\"format\": 99", "has format 99"),
    ] {
        let changed = good.replace(from, to);
        assert_ne!(changed, good, "{from}");
        std::fs::write(&manifest, changed).expect("a manifest");
        for command in [&["index"][..], &["search", "x"], &["review", "main..topic"]] {
            let said = check(&fixture, command, 3, sentence);
            assert!(said.contains("precedent index --rebuild"), "{said}");
        }
    }
    let report = fixture.json(&["index", "--rebuild", "--json"]);
    assert_eq!(report["commits"], 9);
}

#[test]
fn a_damaged_store_is_named_set_aside_and_rebuilt() {
    let fixture = Fixture::new("review");
    let whole = fixture.json(&["index", "--json"]);
    let shards = |table: &str| -> std::path::PathBuf {
        let mut files = std::fs::read_dir(fixture.store().join(table)).expect("a table");
        files.next().expect("a shard").expect("a file").path()
    };
    type Damage = fn(&std::path::Path);
    let cut: Damage = |file| {
        let bytes = std::fs::read(file).expect("a file");
        std::fs::write(file, &bytes[..bytes.len() / 2]).expect("a file");
    };
    let flip: Damage = |file| {
        let mut bytes = std::fs::read(file).expect("a file");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x40;
        std::fs::write(file, bytes).expect("a file");
    };
    let remove: Damage = |file| std::fs::remove_file(file).expect("gone");
    // Spans first: they are read only for a tree that nobody asked about before.
    for (table, damage) in [("spans", flip), ("edits", cut), ("vectors", remove), ("commits", flip), ("chunks", flip)] {
        damage(&shards(table));
        // A search of one tree reads no commits.
        let more: &[&str] = if table == "commits" { &["--history"] } else { &[] };
        let ran = fixture.run(&[&["search", "wait", "--json"], more].concat());
        assert_eq!(ran.code, 0, "{table}: {}", ran.stderr);
        assert!(
            ran.stderr.contains("the store is built again") && ran.stderr.contains(table),
            "{table}: {}",
            ran.stderr
        );
        assert!(!ran.stdout.is_empty());
        let check = fixture.json(&["store", "check", "--json"]);
        assert_eq!(check["ok"], true, "{table}");
        assert_eq!(check["rows"]["commits"], whole["totals"]["commits"]);
    }
    std::fs::write(fixture.store().join("manifest.json"), "{ not json").expect("a manifest");
    let ran = fixture.run(&["index", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("manifest.json"), "{}", ran.stderr);
}

#[test]
fn store_check_names_what_is_wrong() {
    let fixture = Fixture::new("review");
    check(&fixture, &["store", "check"], 3, "there is no store");
    fixture.json(&["index", "--json"]);
    let shard = std::fs::read_dir(fixture.store().join("chunks"))
        .expect("a table")
        .next()
        .expect("a shard")
        .expect("a file")
        .path();
    let mut bytes = std::fs::read(&shard).expect("a file");
    bytes[20] ^= 1;
    std::fs::write(&shard, bytes).expect("a file");
    let ran = fixture.run(&["store", "check", "--json"]);
    assert_eq!(ran.code, 3);
    assert!((ran.stdout + &ran.stderr).contains("chunks/"), "{}", ran.stderr);
}

#[test]
fn unrelated_histories_have_no_base() {
    let fixture = Fixture::new("review");
    fixture.git(&["switch", "--quiet", "--orphan", "island"]);
    fixture.commit("island.rs", "fn island() {}\n", "an island");
    check(&fixture, &["review", "main..island"], 3, "have no commit in common");
}

#[test]
fn two_roots_are_both_indexed() {
    let fixture = Fixture::new("review");
    fixture.git(&["switch", "--quiet", "--orphan", "island"]);
    fixture.commit("island.rs", "fn island() {}\n", "an island");
    fixture.git(&["merge", "--quiet", "--allow-unrelated-histories", "-m", "join", "main"]);
    let report = fixture.json(&["index", "--json"]);
    assert_eq!(report["commits"], 10);
}

#[test]
fn files_of_something_else_are_not_touched() {
    let fixture = Fixture::new("review");
    let other = fixture.beside("other");
    std::fs::create_dir_all(other.join("set-aside")).expect("a folder");
    std::fs::write(other.join("manifest.json"), "{\"manifest_version\": 3}").expect("a file");
    std::fs::write(other.join("set-aside/keep.txt"), "keep").expect("a file");
    for command in [&["index"][..], &["index", "--rebuild"], &["search", "x"]] {
        let store = other.to_string_lossy();
        let arguments: Vec<&str> = command.iter().copied().chain(["--store", &store]).collect();
        check(&fixture, &arguments, 3, "holds files of something else");
    }
    let kept = |path: &str| std::fs::read_to_string(other.join(path)).expect("a file");
    assert_eq!(
        (kept("set-aside/keep.txt"), kept("manifest.json")),
        ("keep".into(), "{\"manifest_version\": 3}".into())
    );
}

#[test]
fn a_head_that_names_no_branch_is_said_to() {
    let fixture = Fixture::new("review");
    fixture.git(&["symbolic-ref", "HEAD", "refs/heads/nope"]);
    let said = check(&fixture, &["index"], 3, "`HEAD` is not a commit here");
    assert!(said.contains("names the branch `nope`"), "{said}");
    assert_eq!(fixture.run(&["review", "main..topic"]).code, 0, "HEAD was not asked for");
}

#[test]
fn names_of_kinds_and_languages_are_checked() {
    let fixture = Fixture::new("review");
    let said = check(&fixture, &["search", "x", "--kind", "funktion"], 2, "`funktion` is no kind of node");
    assert!(said.contains("function"), "{said}");
    check(&fixture, &["search", "x", "--lang", "cobol"], 2, "`cobol` is not indexed");
    check(&fixture, &["index", "--store", ""], 2, "--store is empty");
}

#[test]
fn a_damaged_pack_is_an_error_that_names_the_object_or_does_not_matter() {
    let fixture = Fixture::new("review");
    let (good, store) = (fixture.beside("good"), fixture.beside("store"));
    fixture.json(&["index", "--json", "--tip", "main", "--store", &good.to_string_lossy()]);
    let expected = content(&good);
    fixture.git(&["repack", "-adfq"]);
    let packs = std::fs::read_dir(fixture.repo().join(".git/objects/pack")).expect("a folder");
    let mut packs = packs.map(|entry| entry.expect("an entry").path());
    let pack = packs.find(|path| path.extension().is_some_and(|end| end == "pack")).expect("a pack");
    let bytes = std::fs::read(&pack).expect("a pack");
    let mut named = std::collections::BTreeSet::new();
    for step in 1..60 {
        let mut damaged = bytes.clone();
        damaged[bytes.len() * step / 60] ^= 0x11;
        // A pack is read-only, so it is replaced.
        std::fs::remove_file(&pack).expect("gone");
        std::fs::write(&pack, damaged).expect("a pack");
        let ran = fixture.run(&["index", "--json", "--tip", "main", "--store", &store.to_string_lossy()]);
        if ran.code == 0 {
            assert!(content(&store) == expected, "byte {step} of 60");
        } else {
            assert_eq!(ran.code, 3, "{}", ran.stderr);
            assert!(ran.stderr.contains("git fsck") && !ran.stderr.contains("panicked"), "{}", ran.stderr);
            let said = ran.stderr.strip_prefix("error: cannot read ").unwrap_or_else(|| panic!("{}", ran.stderr));
            named.insert(said.split(' ').next().expect("a word").to_owned());
        }
        let _ = std::fs::remove_dir_all(&store);
    }
    assert_eq!(named.iter().map(String::as_str).collect::<Vec<_>>(), ["blob", "commit", "tree"]);
}

#[test]
fn a_missing_object_is_named_and_once_it_is_back_the_next_run_goes_on() {
    let fixture = Fixture::new("review");
    for (kind, revision) in
        [("commit", "main"), ("commit", "main~3"), ("tree", "main~3^{tree}"), ("blob", "main~3:src/client.rs")]
    {
        let id = fixture.git(&["rev-parse", revision]);
        let file = fixture.repo().join(".git/objects").join(&id[..2]).join(&id[2..]);
        let aside = fixture.beside("aside");
        std::fs::rename(&file, &aside).expect("a loose object");
        let said =
            check(&fixture, &["index", "--tip", "main"], 3, &format!("{kind} {id} is missing from the repository"));
        assert!(said.contains("git fsck"), "{said}");
        std::fs::rename(&aside, &file).expect("a loose object");
    }
    assert_eq!(fixture.json(&["index", "--json", "--tip", "main"])["totals"]["commits"], 8);
}

#[test]
fn rules_that_cannot_be_read_are_named_and_not_taken_for_none() {
    let fixture = Fixture::new("numeric");
    // In a vendored folder nothing else would read the file.
    fixture.commit("vendor/a.rs", "pub fn a() {}\n", "a vendored file");
    fixture.commit("vendor/.gitattributes", "*.rs -linguist-vendored\n", "and read all the same");
    let id = fixture.git(&["rev-parse", "HEAD:vendor/.gitattributes"]);
    let file = fixture.repo().join(".git/objects").join(&id[..2]).join(&id[2..]);
    let aside = fixture.beside("aside");
    std::fs::rename(&file, &aside).expect("a loose object");
    check(&fixture, &["index"], 3, &format!("blob {id} is missing from the repository"));
    std::fs::rename(&aside, &file).expect("a loose object");
    let lineage = fixture.json(&["lineage", "vendor/a.rs#a", "--json"]);
    assert_eq!(lineage["edits"][0]["change"], "present");
}

#[test]
fn what_was_complete_is_kept_when_a_later_commit_cannot_be_read() {
    let fixture = Fixture::new("many");
    // The runs take 128 commits together, and their versions 512 at a time: the missing one comes last of 1,101.
    fixture.git(&["reset", "--quiet", "--hard", "main~1072"]);
    let complete = fixture.git(&["rev-parse", "main"]);
    for at in 0..1_100 {
        std::fs::write(fixture.repo().join(format!("file_{at}.rs")), format!("fn f{at}() {{}}\n")).expect("a file");
    }
    fixture.git(&["add", "--all"]);
    let blob = "f".repeat(40);
    fixture.git(&["update-index", "--add", "--cacheinfo", &format!("100644,{blob},zz.rs")]);
    let tree = fixture.git(&["write-tree", "--missing-ok"]);
    let commit = fixture.git(&["commit-tree", &tree, "-p", "main", "-m", "files, and one that is not there"]);
    fixture.git(&["update-ref", "refs/heads/main", &commit]);
    check(&fixture, &["index"], 3, &format!("blob {blob} is missing from the repository"));
    let expected = fixture.beside("expected");
    fixture.json(&["index", "--json", "--tip", &complete, "--store", &expected.to_string_lossy()]);
    assert!(content(&fixture.store()) == content(&expected));
    assert_eq!(fixture.json(&["store", "check", "--json"])["rows"]["commits"], 128);
}

#[test]
fn a_clone_without_trees_says_what_brings_them() {
    let fixture = Fixture::new("review");
    fixture.git(&["config", "uploadpack.allowFilter", "true"]);
    let clone = fixture.beside("clone");
    let from = format!("file://{}", fixture.repo().display());
    git(&fixture.repo(), &["clone", "--quiet", "--bare", "--filter=tree:0", &from, &clone.to_string_lossy()]);
    let ran = Ran::of(precedent(&clone, &["index"]).output().expect("the binary"));
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(ran.stderr.contains("error: tree ") && ran.stderr.contains("is missing"), "{}", ran.stderr);
    assert!(ran.stderr.contains("git fetch --refetch --no-filter"), "{}", ran.stderr);
}

#[test]
fn a_repository_that_is_repacked_meanwhile_gives_the_same_store() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let fixture = Fixture::new("many");
    let good = fixture.beside("good");
    fixture.json(&["index", "--json", "--store", &good.to_string_lossy()]);
    let expected = content(&good);
    /// Ends the repacking also when an assertion fails.
    struct Ending<'a>(&'a AtomicBool);
    impl Drop for Ending<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let ending = Ending(&done);
        let repacking = scope.spawn(|| {
            let mut rounds = 0;
            while !done.load(Ordering::Relaxed) {
                // Another window each time, so that each pack has another name and the one before it goes.
                let window = format!("--window={}", rounds % 7 + 1);
                fixture.git(&["repack", "-adfq", &window]);
                fixture.git(&["prune"]);
                rounds += 1;
            }
            rounds
        });
        let (mut runs, mut whole) = (0, 0);
        while runs < 12 || whole == 0 && runs < 60 {
            let store = fixture.beside("store");
            let ran = fixture.run(&["index", "--store", &store.to_string_lossy()]);
            if ran.code == 0 {
                assert!(content(&store) == expected, "run {runs}: {}", ran.stderr);
                std::fs::remove_dir_all(&store).expect("gone");
                whole += 1;
            } else {
                // Not a store that is less than it seems: the run says so, and the next one goes on.
                assert_eq!(ran.code, 3, "{}", ran.stderr);
                assert!(ran.stderr.starts_with("error: "), "{}", ran.stderr);
            }
            runs += 1;
        }
        drop(ending);
        assert!(repacking.join().expect("an end") > 3);
        assert!(whole > 0, "no run of {runs} came to its end");
    });
    let store = fixture.beside("store");
    fixture.json(&["index", "--json", "--store", &store.to_string_lossy()]);
    assert!(content(&store) == expected);
}

#[test]
fn a_repository_that_is_fetched_into_meanwhile_gives_the_same_store() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let fixture = Fixture::new("many");
    fixture.git(&["config", "uploadpack.allowReachableSHA1InWant", "true"]);
    let history = fixture.git(&["rev-list", "--reverse", "main"]);
    let history: Vec<&str> = history.lines().collect();
    let clone = fixture.beside("clone");
    git(&fixture.repo(), &["init", "--quiet", "--bare", &clone.to_string_lossy()]);
    let from = format!("file://{}", fixture.repo().display());
    let fetch = |at: usize| git(&clone, &["fetch", "--quiet", &from, &format!("+{}:refs/heads/main", history[at])]);
    fetch(599);
    let index = |tip: &str, store: &str| {
        let store = fixture.beside(store);
        let ran = Ran::of(
            precedent(&clone, &["index", "--tip", tip, "--store", &store.to_string_lossy()])
                .output()
                .expect("the binary"),
        );
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        content(&store)
    };
    let expected = index(history[599], "good");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let fetching = scope.spawn(|| {
            let mut fetched = 599;
            while !done.load(Ordering::Relaxed) && fetched < 1199 {
                fetched += 1;
                fetch(fetched);
            }
            fetched - 599
        });
        for run in 0..8 {
            // A store of its own each time, and one that goes on with whatever is there.
            assert!(index(history[599], &format!("run {run}")) == expected, "run {run}");
            index("main", "growing");
        }
        done.store(true, Ordering::Relaxed);
        assert!(fetching.join().expect("an end") > 3);
    });
    fetch(1199);
    assert!(index("main", "growing") == index("main", "whole"));
}
