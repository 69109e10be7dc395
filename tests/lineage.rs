//! `precedent lineage`: the life of a node, followed where it goes.

use crate::support::Fixture;

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
