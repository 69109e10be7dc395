//! `precedent replay`: the past asked about itself, and nothing later.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

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

/// A clone that ends at a commit holds nothing later: no commit, no blob, no text.
fn ending_at(fixture: &Fixture, tip: &str) -> PathBuf {
    let clone = fixture.beside("truncated");
    let later = fixture.git(&["rev-parse", "HEAD"]);
    fixture.git(&["branch", "then", tip]);
    let from = format!("file://{}", fixture.repo().display());
    fixture.git(&["clone", "--quiet", "--single-branch", "--branch", "then", &from, &clone.to_string_lossy()]);
    let has = std::process::Command::new("git").current_dir(&clone).args(["cat-file", "-e", &later]).output();
    assert!(!has.expect("git").status.success(), "the clone must not hold what came later");
    clone
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
    let clone = ending_at(&fixture, &tip);
    let ran = precedent(&clone, &["replay", "--last", "6", "--json"]).output().expect("the binary");
    let truncated: Value = serde_json::from_slice(&ran.stdout).expect("JSON");
    for part in ["queries", "metrics", "baselines"] {
        assert_eq!(whole[part], truncated[part], "{part}");
    }
    assert_eq!(whole["replay"], truncated["replay"]);
    assert!(whole["queries"].as_u64() > Some(4));
}

/// Near-copies of past steps, and the facts of a past change. What comes later would tell otherwise: one original goes, another
/// is called deprecated, of a third there are more, and one changes so that its copy is none.
#[test]
fn nothing_later_leaks_into_near_copies_and_facts() {
    let fixture = Fixture::empty();
    fixture.git(&["init", "--quiet", "--initial-branch=main"]);
    let function = |name: &str| {
        let sum: String =
            (0..12).map(|at| format!("    let {name}_{at} = {name}_of_{at}({name}_row, {name}_base);\n")).collect();
        format!("pub fn {name}(list: &[u32]) -> u32 {{\n{sum}    {name}_0 + {name}_11\n}}\n")
    };
    let fruit = ["pears", "plums", "figs", "limes"];
    for name in fruit {
        fixture.commit(&format!("shop/{name}.rs"), &function(name), "Sell fruit");
    }
    for name in fruit {
        fixture.commit(&format!("yard/much/heap_of_{}.rs", &name[..2]), &function(name), "Heap fruit");
    }
    let tip = fixture.git(&["rev-parse", "HEAD"]);
    fixture.commit("shop/pears.rs", "\n", "Sell no pears");
    fixture.commit("shop/plums.rs", &format!("//! Deprecated: see the yard.\n{}", function("plums")), "Sell few plums");
    for place in ["barn", "cart", "mill"] {
        fixture.commit(&format!("{place}/{place}.rs"), &function("figs"), "Figs are everywhere");
    }
    fixture.commit("shop/limes.rs", "pub fn limes() -> u32 {\n    7\n}\n", "Count limes");
    fixture.json(&["index", "--json"]);
    let range = format!("{tip}~1..{tip}");
    let whole = fixture.json_lines(&["eval", "copies", "--queries", "20", "--as-of", &tip]);
    let whole_review = fixture.json(&["review", &range, "--json"]);

    let clone = ending_at(&fixture, &tip);
    let output = |arguments: &[&str]| precedent(&clone, arguments).output().expect("the binary").stdout;
    let lines = output(&["eval", "copies", "--queries", "20", "--json"]);
    let truncated: Vec<Value> =
        serde_json::Deserializer::from_slice(&lines).into_iter().collect::<Result<_, _>>().expect("JSON");
    assert_eq!(whole, truncated);
    let symbols: Vec<&str> = whole.iter().filter_map(|line| line["about"]["symbol"].as_str()).collect();
    assert_eq!(symbols, ["limes", "figs", "plums", "pears"], "what is compared is there");

    let mut reviews = [whole_review, serde_json::from_slice(&output(&["review", &range, "--json"])).expect("JSON")];
    for review in &mut reviews {
        review["seconds"] = Value::Null;
    }
    let [whole, truncated] = &reviews;
    assert_eq!(whole, truncated);
    let facts = whole["briefing"].as_array().expect("a list");
    assert!(facts.iter().any(|fact| fact["kind"] == "copy" && fact["passes"] == true), "{facts:?}");
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
    let ended = |at: usize| &blob["value"]["claims"][at]["ended"];
    assert_eq!((&ended(0)["borne_out"], &ended(1)["borne_out"]), (&true.into(), &false.into()), "{blob}");
    assert_eq!(blob["value"]["replayed"]["stale-doc"]["claims"], 2);
    assert_eq!(blob["value"]["tip"].as_str(), Some(&*fixture.git(&["rev-parse", "HEAD"])));
    fixture.json(&["replay", "--last", "5", "--keep", "--json"]);
    assert_eq!(manifest()["generation"], kept["generation"], "what is there is not written again");
}

/// The value of the blob that holds what became of claims.
fn kept(fixture: &Fixture) -> Value {
    let text = std::fs::read_to_string(fixture.store().join("manifest.json")).expect("a manifest");
    let manifest: Value = serde_json::from_str(&text).expect("JSON");
    let blobs = manifest["blobs"].as_array().expect("a list");
    blobs.iter().find(|blob| blob["name"] == "outcomes").map_or(Value::Null, |blob| blob["value"].clone())
}

/// Twenty-five claims that nobody comes back for, each followed by a change of what no claim points at.
fn ignored_claims(fixture: &Fixture) -> String {
    let code = |renamed: usize| -> String {
        let function = |at: usize| {
            let name = if at < renamed { "bound" } else { "limit" };
            format!(
                "/// Waits, at most `limit_{at}` seconds.\npub fn wait_{at}({name}_{at}: u64) -> u64 {{\n    let most = {name}_{at} * 2;\n    most + 1\n}}\n\n"
            )
        };
        (0..26).map(function).collect()
    };
    fixture.git(&["init", "--quiet", "--initial-branch=main"]);
    dated(fixture, 0, &[("lib.rs", &code(0)), ("notes.md", "none\n"), ("other.md", "none\n"), ("last.md", "none\n")]);
    let mut fifth = String::new();
    for at in 0..25 {
        let text = format!("{at}\n");
        dated(fixture, 20 * at + 1, &[("lib.rs", &code(at as usize + 1)), ("notes.md", &text)]);
        if at == 5 {
            fifth = fixture.git(&["rev-parse", "HEAD"]);
        }
        let text = format!("{at} and more\n");
        dated(fixture, 20 * at + 2, &[("notes.md", &text), ("other.md", &text)]);
    }
    dated(fixture, 20 * 25 + 30, &[("last.md", "one\n")]);
    fixture.git(&["checkout", "--quiet", "-b", "topic"]);
    dated(fixture, 20 * 25 + 31, &[("lib.rs", &code(26))]);
    fixture.git(&["checkout", "--quiet", "main"]);
    fifth
}

#[test]
fn outcomes_silence_a_check_as_of_each_base_and_not_before() {
    let fixture = Fixture::empty();
    let fifth = ignored_claims(&fixture);
    let found = fixture.json(&["replay", "--last", "100%", "--json"]);
    let stale = &found["replay"]["outcomes"]["stale-doc"];
    assert_eq!((stale["alarms"].as_u64(), stale["borne_out"].as_u64()), (Some(25), Some(0)), "{stale}");
    assert!(stale["base_rate"].as_f64() > Some(0.9), "{stale}");
    // Of a claim it is known what became of it from the second claim after it on, and twenty silence.
    assert_eq!(stale["told"].as_u64(), Some(21), "{stale}");

    let claimed = |range: &str| {
        let review = fixture.json(&["review", range, "--format", "json"]);
        review["findings"].as_array().expect("a list").iter().filter(|found| found["check"] == "stale-doc").count()
    };
    assert_eq!(claimed("main..topic"), 1, "nothing is known of outcomes yet");
    let indexed = fixture.json(&["index", "--json"]);
    assert_eq!(indexed["replay"]["steps"].as_u64(), Some(52), "{indexed}");
    assert_eq!(claimed("main..topic"), 0, "the claims were ignored");
    let voices = fixture.json(&["doctor", "--checks", "--json"]);
    let stale = voices["checks"].as_array().expect("a list").iter().find(|voice| voice["check"] == "stale-doc");
    let stale = stale.expect("a check");
    assert_eq!((&stale["speaks"], &stale["speaks_here"]), (&true.into(), &false.into()), "{stale}");
    assert_eq!(stale["replayed"]["claims"], 25, "{stale}");
    assert_eq!(claimed(&format!("{fifth}^..{fifth}")), 1, "that was not known then");
}

#[test]
fn an_index_replays_new_steps_and_comes_to_what_one_replay_does() {
    let fixture = Fixture::empty();
    ignored_claims(&fixture);
    let tip = fixture.git(&["rev-parse", "main"]);
    let index = |more: &[&str]| fixture.json(&[&["index", "--json"], more].concat())["replay"].clone();
    let state = |replay: &Value| (replay["steps"].as_u64(), replay["behind"].as_u64());
    assert_eq!(index(&["--tip", "main~11", "--no-replay"]), Value::Null);
    assert_eq!(kept(&fixture), Value::Null, "nothing is kept that was not asked for");
    assert_eq!(state(&index(&["--tip", "main~11"])), (Some(41), Some(0)));
    let first = kept(&fixture);
    assert_eq!(first["changes"], 41);
    assert!(first["claims"].as_array().expect("a list").iter().any(|claim| claim["ended"].is_null()), "{first}");
    // A few are not worth it, and nothing is written.
    assert_eq!(state(&index(&["--tip", "main~8"])), (Some(0), Some(3)));
    assert_eq!(kept(&fixture), first);
    assert_eq!(state(&index(&["--replay", "600"])), (Some(11), Some(0)));
    let whole = kept(&fixture);
    assert_eq!((whole["changes"].as_u64(), whole["tip"].as_str()), (Some(52), Some(&*tip)));
    // What is kept goes beyond an older commit, and stays.
    assert_eq!(state(&index(&["--tip", "main~20", "--replay", "600"])), (Some(0), Some(0)));
    assert_eq!(state(&index(&["--tip", "main~50"])), (Some(0), Some(0)), "so near the root, too");
    assert_eq!(kept(&fixture), whole);
    fixture.json(&["replay", "--last", "100%", "--keep", "--json"]);
    assert_eq!(kept(&fixture), whole, "a part at a time or at once");

    // A rewritten branch has other steps from where it left.
    fixture.git(&["reset", "--quiet", "--hard", "main~4"]);
    dated(&fixture, 600, &[("last.md", "two\n")]);
    assert_eq!(state(&index(&["--replay", "600"])), (Some(1), Some(0)));
    let rewritten = kept(&fixture);
    fixture.json(&["replay", "--last", "100%", "--keep", "--json"]);
    assert_eq!(kept(&fixture), rewritten, "as if it had never been otherwise");
    assert_ne!(rewritten["claims"], whole["claims"]);
}

/// Steps that take a while to look at: each takes a parameter away that documentation still names, in a large file.
fn slow_steps(fixture: &Fixture, steps: u32) {
    fixture.git(&["init", "--quiet", "--initial-branch=main"]);
    for step in 0..steps {
        let function = |at: u32| {
            let name = if at < step { "bound" } else { "limit" };
            format!(
                "/// Waits, at most `limit_{at}` seconds.\npub fn wait_{at}({name}_{at}: u64) -> u64 {{\n    let most = {name}_{at} * 2;\n    most + 1\n}}\n\n"
            )
        };
        fixture.commit("lib.rs", &(0..4_000).map(function).collect::<String>(), "Bound one wait");
    }
}

#[test]
fn a_replay_after_an_index_ends_at_its_time_and_at_ctrl_c_and_keeps_what_it_did() {
    const STEPS: u64 = 60;
    let fixture = Fixture::empty();
    slow_steps(&fixture, STEPS as u32);
    fixture.json(&["index", "--json", "--no-replay"]);
    let index = |more: &[&str]| fixture.json(&[&["index", "--json"], more].concat())["replay"].clone();
    // A busy machine may take a second for one step, and a commit before the last of those that are kept takes two.
    let (mut first, mut timed) = (0, Value::Null);
    while first < 2 {
        timed = index(&["--tip", "main~1", "--replay", "1"]);
        let steps = timed["steps"].as_u64().filter(|steps| *steps > 0);
        first += steps.expect("each run takes a step");
    }
    let behind = timed["behind"].as_u64().expect("a count");
    assert!(behind > 0 && first + behind == STEPS - 1, "a second is not enough for all: {timed}");
    assert_eq!(kept(&fixture)["changes"].as_u64(), Some(first));
    // What is left for later is told whatever is asked about: a step that is new, and a commit that what is kept goes beyond.
    for (more, left) in [(&[][..], 1), (&["--tip", "main~2"], 0), (&["--tip", "main~2", "--replay", "600"], 0)] {
        let replay = index(more);
        let told = (replay["steps"].as_u64(), replay["behind"].as_u64());
        assert_eq!(told, (Some(0), Some(behind + left)), "{more:?}: {replay}");
    }
    assert_eq!(kept(&fixture)["changes"].as_u64(), Some(first));

    let child = precedent(&fixture.repo(), &["index", "--json", "--replay", "600"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary");
    // As long as what came before took, so that it is among its steps, and not at their end.
    std::thread::sleep(Duration::from_secs_f64(timed["seconds"].as_f64().expect("seconds")));
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
    assert!(killed.success());
    let ran = child.wait_with_output().expect("an end");
    assert_eq!(ran.status.code(), Some(130));
    let report: Value = serde_json::from_slice(&ran.stdout).expect("what was done is told");
    let stopped = &report["replay"];
    let (second, behind) = (stopped["steps"].as_u64().expect("a count"), stopped["behind"].as_u64().expect("a count"));
    assert!(second > 0 && behind > 0 && first + second + behind == STEPS, "{timed} {stopped}");
    assert_eq!(kept(&fixture)["changes"].as_u64(), Some(first + second), "it goes on where it ended");
}

#[test]
fn a_history_that_can_be_asked_nothing_has_no_figures() {
    let fixture = Fixture::empty();
    fixture.git(&["init", "--quiet"]);
    fixture.commit("a.rs", "pub fn a() {}\n", "one");
    let shown = fixture.run(&["replay"]).stdout;
    assert!(shown.contains("one function hidden: no change here could be asked about\n"), "{shown}");
    assert!(!shown.contains("0.000"), "{shown}");
    let diagnosis = fixture.run(&["doctor"]).stdout;
    assert!(diagnosis.contains(", 1 commit, 1 text, "), "{diagnosis}");
}

#[test]
fn a_number_that_is_none_is_a_usage_error() {
    let fixture = Fixture::new("review");
    for wrong in ["0", "many", "200%"] {
        assert_eq!(fixture.run(&["replay", "--last", wrong]).code, 2, "{wrong}");
    }
}
