//! The facts of `precedent review`: what history says of the nodes that a change touches.

use serde_json::Value;

use crate::review::assert_citations_resolve;
use crate::support::Fixture;

#[test]
fn companions_are_counted_over_first_parent_steps() {
    let fixture = Fixture::new("review");
    let review = fixture.json(&["review", "main..topic", "--json"]);
    let facts = review["briefing"].as_array().expect("facts");
    let text = |node: &str, about: &str| {
        let fact = facts.iter().find(|fact| {
            fact["kind"] == "companion"
                && fact["about"]["symbol"] == about
                && (fact["node"]["symbol"] == node || fact["node"]["path"] == node)
        });
        fact.unwrap_or_else(|| panic!("{node} about {about}"))["text"].as_str().expect("text").to_owned()
    };
    assert_eq!(text("Config::validate", "connect"), "`Config::validate` changed in 6 of the 6 changes of `connect`");
    assert_eq!(text("CHANGES.md", ""), "`CHANGES.md` changed in 7 of the 7 changes of this file");
}

/// The text of the fact of this kind about a symbol, if there is one.
fn fact_about(review: &Value, kind: &str, symbol: &str) -> Option<String> {
    let facts = review["briefing"].as_array().expect("facts");
    let fact = facts.iter().find(|fact| fact["kind"] == kind && fact["about"]["symbol"] == symbol)?;
    Some(fact["text"].as_str().expect("text").to_owned())
}

#[test]
fn a_node_that_was_removed_and_added_again_is_said_to_have_been() {
    let fixture = Fixture::new("review");
    fixture.commit("a.rs", "pub fn gone() -> u8 {\n    1\n}\n", "add");
    fixture.commit("a.rs", "pub fn other() {}\n", "drop");
    fixture.commit("a.rs", "pub fn other() {}\n\npub fn gone() -> u8 {\n    2 + 2\n}\n", "again");
    fixture.commit("a.rs", "pub fn other() {}\n\npub fn gone() -> u8 {\n    3 + 3\n}\n", "edit");
    let review = fixture.json(&["review", "HEAD~1..HEAD", "--json"]);
    let life = fact_about(&review, "life", "gone").expect("a life");
    assert!(life.contains(", 0 edits, removed and added again; last by Ada"), "{life}");
}

#[test]
fn a_life_tells_what_came_back_as_it_was_and_a_revert_without_a_word_of_one() {
    let fixture = Fixture::new("review");
    let gone =
        |value: u8| format!("pub fn other() {{}}\n\npub fn gone() -> u8 {{\n    let one = {value};\n    one\n}}\n");
    fixture.commit("a.rs", &gone(1), "add");
    fixture.commit("a.rs", "pub fn other() {}\n", "drop");
    fixture.commit("a.rs", &gone(1), "again");
    fixture.commit("a.rs", &gone(2), "two");
    fixture.commit("a.rs", &gone(1), "one is enough");
    fixture.commit("a.rs", &gone(3), "edit");
    let review = fixture.json(&["review", "HEAD~1..HEAD", "--json"]);
    let life = fact_about(&review, "life", "gone").expect("a life");
    assert!(life.contains(", 2 edits, one of them a revert, removed and brought back as it was; last by"), "{life}");
}

#[test]
fn a_life_names_who_knows_the_code_and_which_commits_repaired_it() {
    let fixture = Fixture::new("review");
    let text = |value: u8| format!("pub fn known() -> u8 {{\n    {value}\n}}\n");
    fixture.commit(".mailmap", "Bo Proper <bo@example.org>\n", "say who is who");
    fixture.commit("a.rs", &text(0), "add");
    let by = |value: u8, author: &str, message: &str| {
        std::fs::write(fixture.repo().join("a.rs"), text(value)).expect("a file");
        fixture.git(&["commit", "--quiet", "--all", "--author", author, "--message", message]);
        fixture.git(&["rev-parse", "--short=7", "HEAD"])
    };
    by(1, "Bo <bo@example.org>", "one");
    let fix = by(2, "bo <BO@example.org>", "fix the value");
    by(3, "dependabot[bot] <bot@example.org>", "three");
    by(4, "Eve <eve@example.org>", "four");
    let review = fixture.json(&["review", "HEAD~1..HEAD", "--json"]);
    let life = fact_about(&review, "life", "known").expect("a life");
    let middle = format!(", 3 edits, one of them a fix ({fix}); by Bo Proper (2) and Ada; last by dependabot[bot]");
    assert!(life.contains(&middle), "{life}");
    let fact = review["briefing"].as_array().expect("facts").iter().find(|fact| fact["kind"] == "life");
    let cited = fact.expect("a life")["citations"].as_array().expect("citations");
    assert!(cited.iter().any(|citation| citation["commit"].as_str().expect("a commit").starts_with(&fix)), "{cited:?}");
    assert_citations_resolve(&fixture, &review);
}

#[test]
fn a_change_of_words_alone_calls_for_no_companion_and_no_life() {
    let fixture = Fixture::new("review");
    let one = |about: &str, value: u8| format!("/// {about}.\npub fn one() -> u8 {{\n    {value}\n}}\n");
    let commit = |about: &str, value: u8, other: u8| {
        std::fs::write(fixture.repo().join("two.rs"), format!("pub fn two() -> u8 {{\n    {other}\n}}\n"))
            .expect("a file");
        fixture.commit("one.rs", &one(about, value), "step");
    };
    (0..5).for_each(|value| commit("One", value, value));
    let passing = |review: &Value| -> Vec<String> {
        let facts = review["briefing"].as_array().expect("facts").iter();
        let own = facts.filter(|fact| fact["about"]["symbol"] == "one" && fact["passes"] == true);
        own.map(|fact| fact["kind"].as_str().expect("a kind").to_owned()).collect()
    };
    commit("Another word", 4, 4);
    let review = fixture.json(&["review", "HEAD~1..HEAD", "--json"]);
    assert_eq!(passing(&review), [""; 0]);
    assert!(fact_about(&review, "companion", "one").is_some() && fact_about(&review, "life", "one").is_some());
    commit("Another word", 5, 4);
    assert_eq!(passing(&fixture.json(&["review", "HEAD~1..HEAD", "--json"])), ["companion", "life"]);
}

#[test]
fn a_test_that_changes_calls_for_no_code() {
    let fixture = Fixture::new("review");
    let commit = |code: u8, test: u8| {
        std::fs::write(fixture.repo().join("one.rs"), format!("pub fn one() -> u8 {{\n    {code}\n}}\n"))
            .expect("a file");
        fixture.commit(
            "tests/one.rs",
            &format!("#[test]\nfn it_is() {{\n    assert_eq!(one(), {test});\n}}\n"),
            "step",
        );
    };
    let passing = |symbol: &str| -> Vec<Value> {
        let review = fixture.json(&["review", "HEAD~1..HEAD", "--json"]);
        let facts = review["briefing"].as_array().expect("facts").iter();
        let own = facts.filter(|fact| fact["about"]["symbol"] == symbol && fact["passes"] == true);
        own.filter(|fact| fact["kind"] != "life").map(|fact| fact["kind"].clone()).collect()
    };
    (0..5).for_each(|value| commit(value, value));
    commit(4, 5);
    assert_eq!(passing("it_is"), [""; 0]);
    let review = fixture.json(&["review", "HEAD~1..HEAD", "--json"]);
    let life = review["briefing"].as_array().expect("facts").iter().find(|fact| fact["kind"] == "life");
    assert_eq!(life.expect("a life")["passes"], false, "of a test, edits alone say nothing");
    commit(5, 5);
    assert_eq!(passing("one"), ["test"]);
}

#[test]
fn a_split_begins_a_life_and_a_join_is_no_edit_of_its_own() {
    let fixture = Fixture::new("lineage");
    let edit = |from: &str, to: &str, message: &str| {
        let source = std::fs::read_to_string(fixture.repo().join("src/load.rs")).expect("a file");
        fixture.commit("src/load.rs", &source.replace(from, to), message);
        fixture.json(&["review", "HEAD~1..HEAD", "--json"])
    };
    let review = edit("table.dedup()", "table.unique()", "unique");
    let life = fact_about(&review, "life", "load").expect("a life");
    assert!(
        life.starts_with("added 2024-01-02") && life.contains(", 2 edits, one of them a revert; last by"),
        "{life}"
    );
    fixture.git(&["reset", "--quiet", "--hard", ":/function of its own"]);
    let review = edit("key.trim(), value", "key, value", "keep the space");
    let life = fact_about(&review, "life", "fill").expect("a life");
    assert!(life.starts_with("split off 2024-01-03") && life.ends_with("never edited since"), "{life}");
}

#[test]
fn the_life_of_what_has_no_name_is_not_shown() {
    let fixture = Fixture::new("review");
    for step in 0..5 {
        let blank = format!("var _ Reader = (*File)(nil)\n\nvar _ Writer = (*File{step})(nil)\n");
        let named = format!("func Named() int {{\n\treturn {step}\n}}\n");
        fixture.commit("file.go", &format!("package file\n\n{blank}\n{named}"), "edit");
    }
    let review = fixture.json(&["review", "HEAD~1..HEAD", "--json"]);
    let shown = |symbol: &str| {
        let facts = review["briefing"].as_array().expect("facts");
        let life = facts.iter().find(|fact| fact["kind"] == "life" && fact["about"]["symbol"] == symbol);
        life.expect("a life")["shown"].as_bool().expect("a flag")
    };
    assert!(shown("Named"));
    assert!(!shown("_"));
}

#[test]
fn namesakes_do_not_share_a_life() {
    let fixture = Fixture::new("review");
    let both = |unix: u8, windows: u8| {
        format!(
            "#[cfg(unix)]\npub fn open() -> u8 {{\n    {unix}\n}}\n\n#[cfg(windows)]\npub fn open() -> u8 {{\n    {windows}\n}}\n"
        )
    };
    for step in 0..4 {
        fixture.commit("open.rs", &both(step, 0), "fix open on unix");
    }
    fixture.commit("open.rs", &both(3, 1), "edit the other one");
    let review = fixture.json(&["review", "HEAD~1..HEAD", "--json"]);
    let life = fact_about(&review, "life", "open").expect("a life");
    assert!(life.ends_with("never edited since"), "{life}");
    assert!(life.starts_with("added "), "{life}");

    fixture.commit("open.rs", &both(4, 2), "fix both");
    let review = fixture.json(&["review", "HEAD~1..HEAD", "--json"]);
    let facts = review["briefing"].as_array().expect("facts");
    let lives = facts.iter().filter(|fact| fact["kind"] == "life").map(|fact| fact["text"].as_str().expect("text"));
    let lives: Vec<&str> = lives.collect();
    for line in [1, 6] {
        let which = format!("of the one in line {line}: added ");
        assert!(lives.iter().any(|life| life.starts_with(&which)), "{lives:?}");
    }
    fixture.commit("open.rs", &both(3, 1), "back again");
    let review = fixture.json(&["review", "HEAD~1..HEAD", "--json"]);
    let back = fact_about(&review, "return", "open").expect("what comes back");
    assert!(back.starts_with("of the one in line ") && back.contains(": this text stood here until "), "{back}");
}

#[test]
fn a_count_that_leaves_out_sweeping_changes_says_so() {
    let fixture = Fixture::new("review");
    for step in 0..4 {
        std::fs::write(fixture.repo().join("a.rs"), format!("pub fn a() -> u8 {{\n    {step}\n}}\n")).expect("a file");
        fixture.commit("b.rs", &format!("pub fn b() -> u8 {{\n    {step}\n}}\n"), "both");
    }
    for file in 0..50 {
        std::fs::write(fixture.repo().join(format!("sweep_{file}.txt")), "x\n").expect("a file");
    }
    fixture.commit("a.rs", "pub fn a() -> u8 {\n    40\n}\n", "a sweep");
    fixture.commit("a.rs", "pub fn a() -> u8 {\n    41\n}\n", "review this");
    let review = fixture.json(&["review", "HEAD~1..HEAD", "--json"]);
    let companion = fact_about(&review, "companion", "a").expect("a companion");
    assert_eq!(companion, "`b` changed in 4 of the 4 changes of `a` (up to 40 files)");
}

#[test]
fn a_companion_of_the_same_name_is_told_with_its_file() {
    let fixture = Fixture::new("review");
    let text = |step: u8| format!("pub fn a() -> u8 {{\n    {step}\n}}\n");
    for step in 0..4 {
        std::fs::write(fixture.repo().join("a.rs"), text(step)).expect("a file");
        fixture.commit("b.rs", &text(step), "both");
    }
    fixture.commit("a.rs", &text(41), "review this");
    let review = fixture.json(&["review", "HEAD~1..HEAD", "--json"]);
    let companion = fact_about(&review, "companion", "a").expect("a companion");
    assert_eq!(companion, "`a` of `b.rs` changed in 4 of the 4 changes of this one");
}

#[test]
fn a_text_that_comes_back_and_a_fix_that_goes_away_are_told() {
    let fixture = Fixture::new("review");
    let step = |body: &str, message: &str| {
        let text = format!("pub fn wait(limit: u64) -> u64 {{\n    let mut total = 0;\n{body}    total\n}}\n");
        fixture.commit("wait.rs", &text, message);
    };
    step("    total += limit;\n", "wait");
    step("    total += limit * 2;\n    total += 1;\n", "wait twice");
    step("    total += limit;\n", "wait once again");
    let review = fixture.json(&["review", "HEAD~1..HEAD", "--json"]);
    let back = fact_about(&review, "return", "wait").expect("what comes back");
    assert!(back.starts_with("this text stood here until ") && back.ends_with("(\"wait twice\")"), "{back}");
    assert_citations_resolve(&fixture, &review);

    step("    total += limit;\n    assert!(limit < 3600, \"an endless wait\");\n", "fix an endless wait");
    step("    total += limit * 5;\n", "wait longer");
    let review = fixture.json(&["review", "HEAD~1..HEAD", "--json"]);
    let facts = review["briefing"].as_array().expect("facts");
    let gone = facts.iter().find(|fact| fact["kind"] == "return").expect("what goes away");
    let text = gone["text"].as_str().expect("text");
    assert!(text.contains("goes away, which") && text.ends_with("(\"fix an endless wait\")"), "{text}");
    assert_eq!(gone["citations"][0]["quote"], "assert!(limit < 3600, \"an endless wait\");");
    assert_citations_resolve(&fixture, &review);
}
