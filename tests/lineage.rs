//! `precedent lineage`: the life of a node, followed where it goes.

use serde_json::{Value, json};

use crate::support::{Fixture, Ran, content, precedent};

#[test]
fn a_node_is_followed_across_a_move() {
    let fixture = Fixture::new("review");
    let lineage = fixture.json(&["lineage", "src/retry.rs#backoff", "--json"]);
    let edits = lineage["edits"].as_array().expect("edits");
    let told: Vec<(&str, &str, &str)> = edits
        .iter()
        .map(|edit| {
            let text = |key: &str| edit[key].as_str().expect("text");
            (text("change"), text("path"), text("subject"))
        })
        .collect();
    assert_eq!(
        told,
        [("moved", "src/retry.rs", "move backoff to a file of its own"), ("added", "src/client.rs", "add the client")]
    );
    assert_eq!(edits[0]["before_path"], "src/client.rs");
    assert_eq!(edits[0]["similarity"], 1.0);
}

#[test]
fn a_line_names_the_innermost_node_around_it() {
    let fixture = Fixture::new("review");
    let lineage = fixture.json(&["lineage", "src/config.rs:8", "--json"]);
    assert_eq!(lineage["symbol"], "Config::validate");
    let ran = fixture.run(&["lineage", "src/config.rs:999"]);
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.starts_with("error: no node stands at `src/config.rs:999`"), "{}", ran.stderr);
}

#[test]
fn a_place_is_named_from_here_or_from_the_root_and_the_end_of_a_symbol_will_do() {
    let fixture = Fixture::new("review");
    let inside = fixture.repo().join("src");
    let of = |directory: &std::path::Path, place: &str| {
        let ran = Ran::of(precedent(directory, &["lineage", place, "--json"]).output().expect("the binary"));
        assert_eq!(ran.code, 0, "{place}: {}", ran.stderr);
        let lineage: Value = serde_json::from_str(&ran.stdout).expect("JSON");
        (lineage["path"].as_str().expect("a path").to_owned(), lineage["symbol"].as_str().expect("a symbol").to_owned())
    };
    let absolute = format!("{}/src/config.rs:8", fixture.repo().canonicalize().expect("a folder").display());
    for (directory, place) in [
        (&inside, "config.rs#Config::validate"),
        (&inside, "src/config.rs#Config::validate"),
        (&inside, "./config.rs#validate"),
        (&inside, "../src/config.rs:8"),
        (&fixture.repo(), "./src/config.rs#validate"),
        (&fixture.repo(), &absolute),
    ] {
        assert_eq!(of(directory, place), ("src/config.rs".to_owned(), "Config::validate".to_owned()), "{place}");
    }
}

#[test]
fn what_is_nearly_a_file_is_answered_with_it() {
    let fixture = Fixture::new("review");
    fixture.commit("src/deep/Thing.rs", "pub fn thing() {}\n", "add");
    for typed in ["Thing.rs", "src/deep/thing.rs"] {
        let said = fixture.run(&["lineage", typed]).stderr;
        assert!(said.contains("\n  there is `src/deep/Thing.rs`\n"), "{said}");
    }
    let said = fixture.run(&["lineage", "src/deep"]).stderr;
    assert!(said.contains("it is a folder"), "{said}");
}

#[test]
fn where_several_nodes_have_the_name_their_lines_are_told() {
    let fixture = Fixture::new("review");
    let class = |value: u8| {
        format!(
            "class A {{\n  int f(int a) {{\n    return {value};\n  }}\n\n  int f(long a) {{\n    return {value};\n  }}\n}}\n"
        )
    };
    fixture.commit("A.java", &class(1), "add");
    fixture.commit("A.java", &class(2), "edit");
    let ran = fixture.run(&["lineage", "A.java#A.f"]);
    assert!(
        ran.stderr.contains("note: 2 nodes are called `A.f`; a line tells them apart: A.java:2, A.java:6"),
        "{}",
        ran.stderr
    );
    let ran = fixture.run(&["lineage", "A.java:6"]);
    assert!(!ran.stderr.contains("nodes are called"), "{}", ran.stderr);
}

#[test]
fn an_end_that_several_symbols_have_is_answered_with_them() {
    let fixture = Fixture::new("review");
    let two = "struct A;\nimpl A {\n    fn go() {}\n}\nstruct B;\nimpl B {\n    fn go() {}\n}\n";
    fixture.commit("src/two.rs", two, "add two");
    let ran = fixture.run(&["lineage", "src/two.rs#go"]);
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.contains("`go` may be any of 2 nodes there"), "{}", ran.stderr);
    assert!(ran.stderr.contains("name one in full: `A::go`, `B::go`"), "{}", ran.stderr);
    let ran = fixture.run(&["lineage", "go"]);
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.contains("there is `src/two.rs#A::go`, `src/two.rs#B::go`"), "{}", ran.stderr);
}

#[test]
fn the_terminal_tells_it_newest_first() {
    let fixture = Fixture::new("review");
    let ran = fixture.run(&["lineage", "src/client.rs#connect", "--as-of", "main"]);
    insta::assert_snapshot!(ran.stdout);
}

#[test]
fn known_at_is_what_the_ancestors_did_whatever_else_is_indexed() {
    let fixture = Fixture::new("review");
    fixture.json(&["index", "--json", "--tip", "topic"]);
    let count = |revision: &str| {
        let lineage = fixture.json(&["lineage", "src/client.rs#connect", "--as-of", revision, "--json"]);
        lineage["edits"].as_array().expect("edits").len()
    };
    assert_eq!((count("topic"), count("main"), count("main~3")), (7, 6, 5));
}

#[test]
fn a_file_is_followed_across_a_rename_and_a_path_may_hold_a_hash() {
    let fixture = Fixture::new("numeric");
    std::fs::create_dir(fixture.repo().join("a#1")).expect("a folder");
    fixture.git(&["mv", "src/text.rs", "a#1/text.rs"]);
    fixture.git(&["commit", "--quiet", "--message", "move"]);
    let changes = |place: &str| -> Vec<String> {
        let lineage = fixture.json(&["lineage", place, "--json"]);
        let edits = lineage["edits"].as_array().expect("edits");
        edits.iter().map(|edit| edit["change"].as_str().expect("text").to_owned()).collect()
    };
    assert_eq!(changes("a#1/text.rs"), ["moved", "added"]);
    assert_eq!(changes("a#1/text.rs#parse_header"), ["moved", "added"]);
}

#[test]
fn edits_of_the_old_path_on_another_branch_belong_to_a_file_that_moved() {
    let fixture = Fixture::new("numeric");
    let text = |at: u32| format!("pub fn steps() -> u32 {{\n    let all = [1, 2, 3, 4, 5];\n    all[{at}]\n}}\n");
    fixture.commit("old.rs", &text(0), "begin");
    fixture.git(&["switch", "--quiet", "--create", "side"]);
    // In one second each; so the second edit comes after the move, by its date.
    fixture.commit("old.rs", &text(1), "side edit");
    fixture.commit("old.rs", &text(2), "later side edit");
    fixture.git(&["switch", "--quiet", "main"]);
    fixture.git(&["mv", "old.rs", "new.rs"]);
    fixture.git(&["commit", "--quiet", "--message", "move"]);
    fixture.git(&["merge", "--quiet", "--no-ff", "--message", "merge", "side"]);
    // Another file of the old name is none of it.
    fixture.commit("old.rs", "fn other() {}\n", "another file");
    let told = |place: &str, revision: &str| -> Vec<String> {
        let lineage = fixture.json(&["lineage", place, "--json", "--as-of", revision]);
        let edits = lineage["edits"].as_array().expect("edits");
        edits.iter().map(|edit| edit["subject"].as_str().expect("text").to_owned()).collect()
    };
    for revision in ["main", "main~1"] {
        let mut steps = told("new.rs", revision);
        assert_eq!(steps[..2], ["merge", "later side edit"]);
        steps[2..4].sort();
        assert_eq!(steps[2..], ["move", "side edit", "begin"]);
    }
    assert_eq!(told("new.rs", "main~2"), ["move", "begin"]);
    assert_eq!(told("old.rs", "side"), ["later side edit", "side edit", "begin"]);
    assert_eq!(told("old.rs", "main")[0], "another file");
}

/// A function of seven lines that is like no other one.
fn function(name: &str, words: [&str; 5]) -> String {
    let lines: String = words.iter().map(|word| format!("    {word}.{name}({word}_of, next_{word});\n")).collect();
    format!("pub fn {name}() {{\n{lines}}}\n\n")
}

#[test]
fn a_file_that_was_renamed_and_edited_at_once_is_the_same_file() {
    let fixture = Fixture::new("numeric");
    let [a, b, c] = [
        function("alpha", ["ant", "bee", "cow", "dog", "elk"]),
        function("beta", ["fig", "gum", "hop", "ivy", "jut"]),
        function("gamma", ["kin", "log", "map", "net", "oak"]),
    ];
    let edited = b.replace("ivy.beta(ivy_of, next_ivy)", "ivy.beta()");
    fixture.commit("old.rs", &[&*a, &*b, &*c].concat(), "three");
    fixture.commit(
        "other.rs",
        &[&*function("delta", ["pen", "quo", "rye", "sum", "tea"]), "fn x() {}\n"].concat(),
        "one",
    );
    for gone in ["old.rs", "other.rs"] {
        fixture.git(&["rm", "--quiet", gone]);
    }
    // Most of it is of `old.rs`, which is gone, and some of `other.rs`, which is gone too.
    let new = [&*a, &*edited, &*c, &*function("delta", ["pen", "quo", "rye", "sum", "tea"])].concat();
    fixture.commit("new.rs", &new, "rename and edit");
    fixture.json(&["index", "--json"]);
    let lineage = fixture.json(&["lineage", "new.rs", "--json"]);
    let edits = lineage["edits"].as_array().expect("edits");
    let told: Vec<_> = edits.iter().map(|edit| (&edit["change"], &edit["subject"], &edit["before_path"])).collect();
    let expected = [("moved", "rename and edit", json!("old.rs")), ("added", "three", Value::Null)];
    assert_eq!(told.len(), 2, "{lineage}");
    for ((change, subject, before), expected) in told.iter().zip(&expected) {
        assert_eq!((change.as_str(), subject.as_str(), *before), (Some(expected.0), Some(expected.1), &expected.2));
    }
    assert!(edits[0]["similarity"].as_f64().is_some_and(|share| (0.75..0.95).contains(&share)), "{lineage}");
}

#[test]
fn a_new_file_that_took_one_function_of_many_is_a_new_file() {
    let fixture = Fixture::new("numeric");
    let functions = [
        function("alpha", ["ant", "bee", "cow", "dog", "elk"]),
        function("beta", ["fig", "gum", "hop", "ivy", "jut"]),
        function("gamma", ["kin", "log", "map", "net", "oak"]),
        function("delta", ["pen", "quo", "rye", "sum", "tea"]),
    ];
    fixture.commit("old.rs", &functions.concat(), "four");
    fixture.git(&["rm", "--quiet", "old.rs"]);
    fixture.commit("new.rs", &functions[2], "keep one");
    fixture.json(&["index", "--json"]);
    let lineage = fixture.json(&["lineage", "new.rs", "--json"]);
    assert_eq!(lineage["edits"].as_array().map(Vec::len), Some(1), "{lineage}");
    assert_eq!(lineage["edits"][0]["change"], "added");
    assert_eq!(fixture.json(&["lineage", "new.rs#gamma", "--json"])["edits"][0]["change"], "moved");
}

#[test]
fn files_that_two_branches_moved_to_where_the_other_was_have_an_end() {
    let fixture = Fixture::new("numeric");
    fixture.commit("a.rs", "pub fn a() {}\n", "a");
    fixture.commit("b.rs", "pub fn b() {}\n", "b");
    let base = fixture.git(&["rev-parse", "HEAD"]);
    for (branch, from, to) in [("one", "a.rs", "b.rs"), ("two", "b.rs", "a.rs")] {
        fixture.git(&["switch", "--quiet", "--create", branch, &base]);
        fixture.git(&["rm", "--quiet", to]);
        fixture.git(&["commit", "--quiet", "--message", "make room"]);
        fixture.git(&["mv", from, to]);
        fixture.git(&["commit", "--quiet", "--message", branch]);
    }
    let tree = fixture.git(&["rev-parse", "one^{tree}"]);
    let merge = fixture.git(&["commit-tree", &tree, "-p", "one", "-p", "two", "-m", "merge"]);
    fixture.git(&["switch", "--quiet", "--detach", &merge]);
    for path in ["a.rs", "b.rs"] {
        let lineage = fixture.json(&["lineage", path, "--json"]);
        assert!(lineage["edits"].as_array().is_some_and(|edits| edits.len() >= 3), "{lineage}");
    }
}

/// The steps of a node, newest first, as `change subject` with what else is told of them.
fn steps(fixture: &Fixture, place: &str, more: &[&str]) -> Vec<String> {
    let arguments: Vec<&str> = ["lineage", place, "--json"].iter().chain(more).copied().collect();
    let lineage = fixture.json(&arguments);
    let subject = |id: &Value| fixture.git(&["log", "-1", "--format=%s", id.as_str().expect("an id")]);
    let subjects = |ids: &Value| ids.as_array().expect("a list").iter().map(subject).collect::<Vec<_>>().join(" and ");
    let edits = lineage["edits"].as_array().expect("edits").iter();
    edits
        .map(|edit| {
            let mut told = format!("{} by `{}`", edit["change"].as_str().expect("text"), subject(&edit["commit"]));
            for key in ["before_symbol", "via"] {
                if let Some(text) = edit[key].as_str() {
                    told.push_str(&format!(", {key} {text}"));
                }
            }
            if !edit["returns"].is_null() {
                told.push_str(&format!(", removed by `{}`", subject(&edit["returns"])));
            }
            for key in ["reverts", "reapplies"] {
                if edit[key] != json!([]) {
                    told.push_str(&format!(", {key} `{}`", subjects(&edit[key])));
                }
            }
            told
        })
        .collect()
}

#[test]
fn splits_joins_and_copies_are_told_with_what_they_came_from() {
    let fixture = Fixture::new("lineage");
    assert_eq!(
        steps(&fixture, "src/load.rs#fill", &["--as-of", ":/function of its own"]),
        ["split by `load: fill in a function of its own`, before_symbol load", "added by `begin`, via split",]
    );
    assert_eq!(
        steps(&fixture, "src/load.rs#load", &[]),
        [
            "joined by `load: no need for fill`, before_symbol fill",
            "modified by `load: no need for fill`, reverts `load: fill in a function of its own`",
            "split by `load: fill in a function of its own`, before_symbol load, via joined",
            "modified by `load: fill in a function of its own`",
            "added by `begin`",
        ]
    );
    assert_eq!(
        steps(&fixture, "src/sum.rs#rough_mean", &["--as-of", ":/a rough mean"]),
        ["copied by `sum: a rough mean`, before_symbol mean"]
    );
    // A copy begins a life of its own, and Git agrees about where the text came from.
    let copy = fixture.git(&["rev-parse", ":/a rough mean"]);
    let blame =
        fixture.git(&["blame", "--root", "-s", "-l", "-C", "-C", "-L/rough_mean/,+8", &copy, "--", "src/sum.rs"]);
    let begin = fixture.git(&["rev-parse", ":/^begin"]);
    let lines = |id: &str| blame.lines().filter(|line| line.starts_with(id)).count();
    assert_eq!((lines(&begin), lines(&copy)), (2, 6), "{blame}");
}

#[test]
fn what_was_removed_and_is_back_says_where_it_was() {
    let fixture = Fixture::new("lineage");
    let told = steps(&fixture, "src/sum.rs#total", &["--as-of", ":/needed after all"]);
    assert_eq!(
        told,
        [
            "added by `total is needed after all`, removed by `drop total and the rough mean`",
            "removed by `drop total and the rough mean`, via returned",
            "moved by `keep some of it`, via returned",
            "added by `begin`, via returned",
        ]
    );
    let before = fixture.git(&["log", "--format=%s", "-Sfn total(", ":/needed after all", "--", "src"]);
    assert_eq!(before.lines().count(), 4, "Git saw the text come and go as often: {before}");
}

#[test]
fn reverts_are_known_from_the_text_and_from_the_message_and_a_revert_of_one_reapplies() {
    let fixture = Fixture::new("lineage");
    let told = steps(&fixture, "src/sum.rs#total", &[]);
    let (change, revert) = ("total: begin with one", "Revert \"total: begin with one\"");
    let reapply = "Reapply \"total: begin with one\"";
    assert_eq!(
        told[..4],
        [
            format!("modified by `total: begin with nothing`, reverts `{reapply} and {change}`"),
            format!("modified by `{reapply}`, reverts `{revert}`, reapplies `{change}`"),
            format!("modified by `{revert}`, reverts `{change}`"),
            format!("modified by `{change}`"),
        ]
    );
    // Nothing of it is known on the side branch.
    assert_eq!(steps(&fixture, "src/sum.rs#total", &["--as-of", "topic"])[0], told[4]);
    // The merge brought `mean` as it was, and undid nothing.
    let mean = steps(&fixture, "src/sum.rs#mean", &[]);
    assert_eq!(mean, ["modified by `mean: say all`", "added by `begin`"]);
}

#[test]
fn the_answer_does_not_depend_on_what_else_is_indexed_or_in_which_order() {
    let (once, pieces) = (Fixture::new("lineage"), Fixture::new("lineage"));
    once.json(&["index", "--json"]);
    for tip in [":/a rough mean", "topic", "main~4", "main"] {
        pieces.json(&["index", "--json", "--tip", tip]);
    }
    assert_eq!(content(&once.store()), content(&pieces.store()));
    for place in ["src/sum.rs#total", "src/load.rs#load", "src/sum.rs"] {
        assert_eq!(once.json(&["lineage", place, "--json"]), pieces.json(&["lineage", place, "--json"]));
    }
}

#[test]
fn a_revert_may_be_abbreviated_and_one_of_what_is_not_here_stays_unlinked() {
    let fixture = Fixture::new("lineage");
    let source = std::fs::read_to_string(fixture.repo().join("src/sum.rs")).expect("a file");
    fixture.commit("src/sum.rs", &source.replace("let mut sum = 0", "let mut sum = 7"), "seven");
    let seven = fixture.git(&["rev-parse", "HEAD"]);
    let undo = |start: &str, message: &str| {
        fixture.commit("src/sum.rs", &source.replace("let mut sum = 0", start), message);
        steps(&fixture, "src/sum.rs#total", &[])[0].clone()
    };
    let told = undo("let mut sum = 0 + 0", &format!("not seven\n\nThis reverts commit {}.", &seven[..9]));
    assert_eq!(told, "modified by `not seven`, reverts `seven`");
    let told = undo("let mut sum = 8", "eight\n\nThis reverts commit 0123456789abcdef0123456789abcdef01234567.");
    assert_eq!(told, "modified by `eight`");
}

#[test]
fn the_terminal_tells_what_came_back_and_what_was_undone() {
    let fixture = Fixture::new("lineage");
    let ran = fixture.run(&["lineage", "src/sum.rs#total"]);
    assert!(ran.stdout.lines().all(|line| line.chars().count() <= 80), "{}", ran.stdout);
    insta::assert_snapshot!(ran.stdout);
}
