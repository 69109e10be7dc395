//! `precedent replay`: the past asked about itself, and nothing later.

use serde_json::Value;

use crate::support::{Fixture, keys, precedent};

/// Steps in which `a` and `b` change together, and once in a while `c` alone.
fn history(fixture: &Fixture, steps: std::ops::Range<usize>) {
    for step in steps {
        let function =
            |name: &str| format!("pub fn {name}() -> usize {{\n    let {name}_value = {step};\n    {name}_value\n}}\n");
        if step % 3 < 2 {
            std::fs::write(fixture.repo().join("a.rs"), function("a")).expect("a file");
            std::fs::write(fixture.repo().join("x.rs"), function("x")).expect("a file");
            fixture.commit("b.rs", &function("b"), "both");
        } else {
            fixture.commit("c.rs", &function("c"), "the other one");
        }
    }
}

#[test]
fn the_contract_of_the_json_holds() {
    let fixture = Fixture::new("review");
    history(&fixture, 0..12);
    let found = fixture.json(&["replay", "--last", "50%", "--json"]);
    assert_eq!(keys(&found), ["baselines", "metrics", "queries", "replay", "repo", "schema", "task"]);
    assert_eq!((found["schema"].as_u64(), found["task"].as_str()), (Some(1), Some("replay")));
    assert_eq!(keys(&found["baselines"]), ["overlap", "popular", "share"]);
    for kind in ["node", "file"] {
        let mrr = &found["metrics"][kind]["mrr"];
        assert!(mrr["low"].as_f64() <= mrr["value"].as_f64() && mrr["value"].as_f64() <= mrr["high"].as_f64());
        // What always changes together is found.
        assert!(found["metrics"][kind]["recall@10"]["value"].as_f64() > Some(0.9), "{found}");
    }
    assert!(found["queries"].as_u64() > Some(10));
    let again = fixture.json(&["replay", "--last", "50%", "--json"]);
    assert_eq!(found, again, "the same history gives the same figures");
}

#[test]
fn nothing_later_leaks_into_what_is_said_of_a_step() {
    let fixture = Fixture::new("review");
    history(&fixture, 0..10);
    let tip = fixture.git(&["rev-parse", "HEAD"]);
    history(&fixture, 10..24);
    // With everything in the index, as of then.
    fixture.json(&["index", "--json"]);
    let whole = fixture.json(&["replay", "--last", "6", "--as-of", &tip, "--json"]);
    // A clone that ends there holds nothing later: no commit, no blob, no text.
    let clone = fixture.beside("truncated");
    fixture.git(&["branch", "then", &tip]);
    let from = format!("file://{}", fixture.repo().display());
    fixture.git(&["clone", "--quiet", "--single-branch", "--branch", "then", &from, &clone.to_string_lossy()]);
    let later = fixture.git(&["rev-parse", "HEAD"]);
    let has = std::process::Command::new("git").current_dir(&clone).args(["cat-file", "-e", &later]).output();
    assert!(!has.expect("git").status.success(), "the clone must not hold what came later");
    let ran = precedent(&clone, &["replay", "--last", "6", "--json"]).output().expect("the binary");
    let truncated: Value = serde_json::from_slice(&ran.stdout).expect("JSON");
    for part in ["queries", "metrics", "baselines"] {
        assert_eq!(whole[part], truncated[part], "{part}");
    }
    assert_eq!(whole["replay"], truncated["replay"]);
    assert!(whole["queries"].as_u64() > Some(4));
}

/// A commit so many days after the first.
fn dated(fixture: &Fixture, day: u64, files: &[(&str, &str)]) {
    for (path, text) in files {
        std::fs::write(fixture.repo().join(path), text).expect("a file");
    }
    fixture.git(&["add", "--all"]);
    let date = format!("@{} +0000", 1_710_000_000 + day * 86_400);
    let mut command = std::process::Command::new("git");
    command.current_dir(fixture.repo()).args(["commit", "--quiet", "--message", "a step"]);
    command.envs([("GIT_AUTHOR_NAME", "Ada"), ("GIT_AUTHOR_EMAIL", "ada@example.org")]);
    command.envs([("GIT_COMMITTER_NAME", "Ada"), ("GIT_COMMITTER_EMAIL", "ada@example.org")]);
    command.envs([("GIT_AUTHOR_DATE", &date), ("GIT_COMMITTER_DATE", &date)]);
    assert!(command.status().expect("git").success());
}

#[test]
fn what_became_of_claims_is_told_and_kept() {
    let fixture = Fixture::empty();
    fixture.git(&["init", "--quiet", "--initial-branch=main"]);
    let code = |documented: &str, named: &str| {
        format!(
            "/// Waits, at most `{documented}` seconds.\npub fn wait({named}: u64) -> u64 {{\n    let most = {named} * 2;\n    most + 1\n}}\n"
        )
    };
    dated(&fixture, 0, &[("lib.rs", &code("limit", "limit")), ("other.md", "one\n"), ("last.md", "one\n")]);
    // A claim that its author bears out the next day, and one that nobody does.
    dated(&fixture, 1, &[("lib.rs", &code("limit", "bound"))]);
    dated(&fixture, 2, &[("lib.rs", &code("bound", "bound"))]);
    dated(&fixture, 40, &[("lib.rs", &code("bound", "ceiling"))]);
    dated(&fixture, 80, &[("other.md", "two\n")]);
    let found = fixture.json(&["replay", "--last", "5", "--json"]);
    let stale = &found["replay"]["outcomes"]["stale-doc"];
    assert_eq!((stale["alarms"].as_u64(), stale["borne_out"].as_u64()), (Some(2), Some(1)), "{found}");

    let manifest = || {
        let text = std::fs::read_to_string(fixture.store().join("manifest.json")).expect("a manifest");
        serde_json::from_str::<Value>(&text).expect("JSON")
    };
    assert_eq!(manifest()["blobs"], Value::Array(vec![]), "nothing is kept that was not asked for");
    fixture.json(&["replay", "--last", "5", "--keep", "--json"]);
    let kept = manifest();
    let blob = &kept["blobs"][0];
    assert_eq!(blob["name"], "outcomes");
    assert_eq!(blob["value"]["replayed"]["stale-doc"]["claims"], 2);
    assert_eq!(blob["value"]["tip"].as_str(), Some(&*fixture.git(&["rev-parse", "HEAD"])));
    fixture.json(&["replay", "--last", "5", "--keep", "--json"]);
    assert_eq!(manifest()["generation"], kept["generation"], "what is there is not written again");
}

#[test]
fn a_number_that_is_none_is_a_usage_error() {
    let fixture = Fixture::new("review");
    for wrong in ["0", "many", "200%"] {
        assert_eq!(fixture.run(&["replay", "--last", wrong]).code, 2, "{wrong}");
    }
}
