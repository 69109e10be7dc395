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
