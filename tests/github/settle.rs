//! Comments that are marked as settled, and those that must stay open although their findings are gone.

use serde_json::{Value, json};

use super::fake::{GitHub, file};
use super::run::{Runner, github_of, payload};
use super::{HEAD, NEXT_HEAD, finding, post_to, report};
use crate::support::Fixture;
use crate::voice;

/// A pull request with one comment, a push, and a report that says nothing of it any more; how many comments are settled.
fn settled_by(check: &str, push: impl Fn(&GitHub), report_of: impl Fn(&mut Value)) -> usize {
    let github = GitHub::new(HEAD);
    let mut said = finding("a", 5);
    said["check"] = check.into();
    post_to(&github.api(), HEAD, &report(HEAD, &[said])).posted();
    push(&github);
    let mut next = report(NEXT_HEAD, &[]);
    next["checks"] = json!(["stale-doc"]);
    report_of(&mut next);
    let run = post_to(&github.api(), NEXT_HEAD, &next);
    let settled = run.posted().settled;
    let body = github.state().comments[0]["body"].as_str().expect("a body").to_owned();
    assert_eq!(body.starts_with("Settled by `2222222`."), settled == 1, "{body}");
    settled
}

/// A push that changes the line.
fn changed(github: &GitHub) {
    github.state().push(NEXT_HEAD);
}

/// A push that changes the line, which GitHub tells as well.
fn outdated(github: &GitHub) {
    github.state().push(NEXT_HEAD);
    github.state().outdate(0);
}

/// A push after which the pull request's files are these.
fn with_files(files: Vec<Value>) -> impl Fn(&GitHub) {
    move |github| {
        github.state().head = NEXT_HEAD.into();
        github.state().files.clone_from(&files);
    }
}

#[test]
fn a_comment_is_settled_where_the_code_changed_and_nowhere_else() {
    let of = |push: &dyn Fn(&GitHub)| settled_by("stale-doc", push, |_| ());
    assert_eq!(of(&changed), 1);
    assert_eq!(of(&outdated), 1);
    // The push was about something else, or a base that moved on moved the lines.
    assert_eq!(of(&|github| github.state().head = NEXT_HEAD.into()), 0);
    let moved = file("src/a.rs", Some("@@ -12,7 +12,7 @@ fn b\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8"));
    assert_eq!(of(&with_files(vec![moved])), 0);
    // The file is as it was before, or is called otherwise, or GitHub shows nothing of it.
    assert_eq!(of(&with_files(vec![file("src/b.rs", None)])), 1);
    let mut renamed = file("src/b.rs", None);
    renamed["previous_filename"] = "src/a.rs".into();
    assert_eq!(of(&with_files(vec![renamed])), 0);
    assert_eq!(of(&with_files(vec![file("src/a.rs", None)])), 0);
    let many = (0..3000).map(|number| file(&format!("gen/{number}.rs"), None)).collect();
    assert_eq!(of(&with_files(many)), 0);
}

#[test]
fn a_check_that_says_nothing_any_more_settles_nothing() {
    let with = |edit: fn(&mut Value)| settled_by("stale-doc", changed, edit);
    assert_eq!(with(|report| report["checks"] = json!(["dead-name"])), 0);
    assert_eq!(with(|report| report["checks"] = json!([])), 0);
    assert_eq!(with(|report| drop(report.as_object_mut().expect("an object").remove("checks"))), 0);
}

#[test]
fn what_was_not_looked_into_or_was_cut_off_settles_nothing() {
    let with = |what: &str| {
        settled_by("stale-doc", changed, |report| {
            report["skipped"].as_array_mut().expect("a list").push(json!({"what": what, "why": "x"}));
        })
    };
    for what in [
        "src/a.rs",
        "2 more findings",
        "statements: 1",
        "the past of 3 nodes",
        "the past of everything",
        "the configuration",
    ] {
        assert_eq!(with(what), 0, "{what}");
    }
    // Names that only look like it, and a model that has no part in it.
    for what in ["src/finding.rs", "statement.rs", "the language model", "the pull request's own commits"] {
        assert_eq!(with(what), 1, "{what}");
    }
}

#[test]
fn a_language_model_settles_only_what_it_read_again() {
    let left = |what: &str| {
        let what = what.to_owned();
        move |report: &mut Value| {
            report["llm"] = json!({"model": "m", "unasked": []});
            report["skipped"].as_array_mut().expect("a list").push(json!({"what": what, "why": "x"}));
        }
    };
    let asked = |report: &mut Value| report["llm"] = json!({"model": "m", "unasked": []});
    assert_eq!(settled_by("model-bug", outdated, asked), 1);
    // It is no proof that it says nothing now, where the line is as it was.
    assert_eq!(settled_by("model-bug", changed, asked), 0);
    // It was not asked, not about this file, or it failed.
    assert_eq!(settled_by("model-bug", outdated, |_| ()), 0);
    let unasked = |path: &'static str| {
        move |report: &mut Value| {
            report["llm"] = json!({"model": "m", "unasked": [{"path": path, "risk": 1.0, "why": "it took too long"}]});
        }
    };
    assert_eq!(settled_by("model-bug", outdated, unasked("src/a.rs")), 0);
    assert_eq!(settled_by("model-bug", outdated, unasked("src/b.rs")), 1);
    assert_eq!(settled_by("model-bug", outdated, left("the language model")), 0);
    assert_eq!(settled_by("model-bug", outdated, left("the second look at what the language model claims")), 0);
    assert_eq!(settled_by("model-bug", outdated, left("the language model's reading of src/b.rs")), 1);
}

#[test]
fn a_push_that_settles_many_comments_takes_few_requests() {
    let keys: Vec<String> = (0..20).map(|key| format!("f{key}")).collect();
    let findings: Vec<Value> = keys.iter().map(|key| finding(key, 5)).collect();
    let github = GitHub::new(HEAD);
    post_to(&github.api(), HEAD, &report(HEAD, &findings)).posted();
    github.state().push(NEXT_HEAD);
    let mut next = report(NEXT_HEAD, &[finding("new", 5)]);
    next["briefing"][0]["text"] = "another text".into();
    let mut settled = 0;
    for expected in [4, 4, 4, 4, 4, 0] {
        let run = post_to(&github.api(), NEXT_HEAD, &next);
        assert_eq!(run.posted().settled, expected);
        assert!(run.requests <= 12, "{} requests", run.requests);
        settled += expected;
        let notes = &run.posted().notes;
        let said = notes.iter().any(|note| note.starts_with(&format!("{} more comments are settled", 20 - settled)));
        assert_eq!(said, settled < 20, "{notes:?}");
    }
}

/// The whole way: a review is posted, a push changes its file, and what the next review says decides.
#[test]
fn what_a_review_says_next_settles_a_comment_or_does_not() {
    for (edit, mute, expected) in [("name", false, 1), ("body", false, 0), ("body", true, 0), ("name", true, 0)] {
        let fixture = Fixture::new("review");
        let github = github_of(&fixture);
        let runner = Runner::new(&payload(&fixture), &github.api());
        assert_eq!(runner.review(&fixture.repo()).code, 0);
        assert_eq!(runner.findings()["checks"], json!(["stale-doc", "dead-name", "broken-reference"]));
        assert_eq!(runner.post(&fixture.repo()).code, 0);
        assert_eq!(github.state().comments.len(), 1);
        if mute {
            fixture.git(&["switch", "--quiet", "main"]);
            fixture.commit("precedent.toml", "mute = [\"stale-doc\"]\n", "hear less");
            fixture.git(&["rebase", "--quiet", "main", "topic"]);
        }
        fixture.git(&["switch", "--quiet", "topic"]);
        let path = fixture.repo().join("src/client.rs");
        let text = std::fs::read_to_string(&path).expect("a file");
        let text = match edit {
            "name" => text.replace("`timeout_secs`", "`timeout`"),
            _ => text.replace("unreachable!()", "unreachable!(\"never\")"),
        };
        fixture.commit("src/client.rs", &text, "go on");
        let comments = std::mem::take(&mut github.state().comments);
        let reviews = std::mem::take(&mut github.state().reviews);
        let pushed = github_of(&fixture);
        (pushed.state().comments, pushed.state().reviews) = (comments, reviews);
        let runner = Runner::new(&payload(&fixture), &pushed.api());
        assert_eq!(runner.review(&fixture.repo()).code, 0);
        let posted = runner.post(&fixture.repo());
        assert_eq!(posted.code, 0, "{}", posted.stderr);
        let printed: Value = serde_json::from_str(&posted.stdout).expect("JSON");
        assert_eq!(printed["settled"], expected, "{edit}, muted: {mute}: {printed}");
        assert_eq!(runner.findings()["checks"].as_array().map(Vec::len), Some(if mute { 2 } else { 3 }));
    }
}

/// What the model said stays open where it fails or is not asked, and is settled once it has read the change again.
#[test]
fn what_a_model_said_is_settled_only_where_it_was_asked_again() {
    let fixture = voice::one_file();
    let model = voice::Scripted::claiming(json!([voice::claim()]));
    let github = github_of(&fixture);
    let review = |api: &str, url: Option<&str>| {
        let mut runner = Runner::new(&payload(&fixture), api);
        for (name, value) in [("PRECEDENT_LLM", "tiny-coder"), ("PRECEDENT_LLM_URL", url.unwrap_or(""))] {
            runner.variables.insert(name.into(), url.map_or("", |_| value).into());
        }
        let reviewed = runner.review(&fixture.repo());
        assert_eq!(reviewed.code, 0, "{}", reviewed.stderr);
        let posted = runner.post(&fixture.repo());
        assert_eq!(posted.code, 0, "{}", posted.stderr);
        serde_json::from_str::<Value>(&posted.stdout).expect("JSON")
    };
    assert_eq!(review(&github.api(), Some(&model.url()))["comments"], 1);
    let text = std::fs::read_to_string(fixture.repo().join("src/lib.rs")).expect("a file");
    fixture.commit("src/lib.rs", &text.replace("base << attempt", "base << attempt.min(16)"), "shift less");
    {
        let pushed = github_of(&fixture);
        let (mut now, mut state) = (pushed.state(), github.state());
        (state.head, state.files) = (std::mem::take(&mut now.head), std::mem::take(&mut now.files));
        state.outdate(0);
    }
    assert_eq!(review(&github.api(), None)["settled"], 0, "it is not asked");
    assert_eq!(review(&github.api(), Some("http://127.0.0.1:9/v1"))["settled"], 0, "it does not answer");
    let quiet = voice::Scripted::claiming(json!([]));
    assert_eq!(review(&github.api(), Some(&quiet.url()))["settled"], 1);
}
