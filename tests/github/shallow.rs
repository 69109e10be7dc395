//! A pull request in a shallow clone, as a checkout makes it: no more of the history is fetched than the index lacks, and
//! the review is that of a whole clone.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::fake::GitHub;
use super::run::{Runner, github_of, payload};
use crate::support::{Fixture, Ran, git};

/// Commits on `main` that change nothing, behind those that do.
const QUIET: usize = 300;

/// `review` with a long and quiet end of its history, and a pull request upon it.
struct Scene {
    fixture: Fixture,
    github: GitHub,
}

impl Scene {
    /// A pull request that begins at the tip of `main`, or where `main` was long ago.
    fn new(begins_at_tip: bool) -> Scene {
        let fixture = Fixture::new("review");
        fixture.git(&["switch", "--quiet", "main"]);
        let mut stream = String::new();
        for at in 0..QUIET {
            let from = if at == 0 { "from refs/heads/main^0\n" } else { "" };
            let when = 1_710_000_000 + at;
            stream.push_str(&format!(
                "commit refs/heads/main\ncommitter Ada <ada@example.org> {when} +0000\ndata 6\nquiet\n\n{from}"
            ));
        }
        let mut import = Command::new("git")
            .current_dir(fixture.repo())
            .args(["fast-import", "--quiet"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("git");
        import.stdin.take().expect("a pipe").write_all(stream.as_bytes()).expect("a stream");
        assert!(import.wait().expect("an end").success());
        if begins_at_tip {
            fixture.git(&["rebase", "--quiet", "main", "topic"]);
        }
        fixture.git(&["update-ref", "refs/pull/7/head", "topic"]);
        fixture.git(&["switch", "--quiet", "--detach", "main"]);
        let github = github_of(&fixture);
        Scene { fixture, github }
    }

    /// A clone of the newest commit of `main`, as `actions/checkout` makes it, with the index of the whole repository at a
    /// revision.
    fn clone(&self, name: &str, indexed: Option<&str>) -> PathBuf {
        let clone = self.fixture.beside(name);
        let origin = format!("file://{}", self.fixture.repo().display());
        let arguments = ["clone", "--quiet", "--depth=1", "--single-branch", "--branch", "main", &origin];
        self.fixture.git(&[&arguments[..], &[&clone.display().to_string()]].concat());
        if let Some(revision) = indexed {
            let store = clone.join(".git/precedent");
            self.fixture.json(&["index", "--tip", revision, "--store", &store.display().to_string(), "--json"]);
        }
        clone
    }

    fn review(&self, clone: &Path) -> (Value, Ran, Runner) {
        let runner = Runner::new(&payload(&self.fixture), &self.github.api());
        let ran = runner.review(clone);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        (plain(runner.findings()), ran, runner)
    }

    /// What a clone with everything says.
    fn whole(&self) -> Value {
        let (review, ..) = self.review(&self.fixture.repo());
        assert_eq!(review["findings"][0]["check"], "stale-doc");
        let facts = review["briefing"].as_array().expect("facts");
        for kind in ["life", "companion"] {
            assert!(facts.iter().any(|fact| fact["kind"] == kind), "{kind}");
        }
        review
    }

    fn has(&self, clone: &Path, revision: &str) -> bool {
        let id = self.fixture.git(&["rev-parse", revision]);
        let mut git = Command::new("git");
        git.current_dir(clone).args(["cat-file", "-e", &id]).stderr(Stdio::null());
        git.status().expect("git").success()
    }
}

/// A review without what differs between two runs of it.
fn plain(mut review: Value) -> Value {
    review.as_object_mut().expect("an object").remove("seconds");
    review
}

fn is_shallow(clone: &Path) -> bool {
    git(clone, &["rev-parse", "--is-shallow-repository"]) == "true"
}

fn commits(clone: &Path) -> usize {
    git(clone, &["rev-list", "--count", "--all"]).parse().expect("a number")
}

/// A file's own line in the commit of long ago is known to Git alone, so a file is cited as it stands at the base.
fn without_files(mut review: Value) -> Value {
    for fact in review["briefing"].as_array_mut().expect("facts") {
        if fact["kind"] == "companion" && fact["node"]["symbol"] == "" {
            fact.as_object_mut().expect("a fact").remove("citations");
        }
    }
    review
}

/// Compares a review with that of a whole clone, fact by fact.
fn assert_same(review: &Value, whole: &Value) {
    let (review, whole) = (without_files(review.clone()), without_files(whole.clone()));
    for key in ["briefing", "findings", "skipped"] {
        let (ours, theirs) = (review[key].as_array().expect("a list"), whole[key].as_array().expect("a list"));
        ours.iter().zip(theirs).for_each(|(ours, theirs)| assert_eq!(ours, theirs));
        assert_eq!(ours.len(), theirs.len(), "{key}");
    }
    assert_eq!(review, whole);
}

#[test]
fn what_is_indexed_is_not_fetched_and_is_cited_all_the_same() {
    let scene = Scene::new(true);
    let whole = scene.whole();
    let clone = scene.clone("clone", Some("main"));
    let (review, ran, runner) = scene.review(&clone);
    assert_same(&review, &whole);
    assert!(is_shallow(&clone) && !ran.stderr.contains("shallow"), "{}", ran.stderr);
    assert!(commits(&clone) <= 65, "{}", commits(&clone));
    // The commits that are cited are not here.
    let cited: Vec<&Value> = review["briefing"]
        .as_array()
        .expect("facts")
        .iter()
        .flat_map(|fact| fact["citations"].as_array())
        .flatten()
        .collect();
    let is_away = |citation: &&Value| !scene.has(&clone, citation["commit"].as_str().expect("a commit"));
    assert!(cited.iter().filter(|citation| is_away(citation)).count() >= 3, "{cited:?}");
    let summary = runner.read("summary.md");
    assert!(summary.contains("1 findings, 3 facts") && !summary.contains("not indexed"), "{summary}");
    assert!(scene.github.state().log.is_empty(), "nothing is asked of the API");
}

#[test]
fn a_clone_is_deepened_until_it_meets_the_index() {
    let scene = Scene::new(true);
    let whole = scene.whole();
    let clone = scene.clone("clone", Some("main~150"));
    let (review, ..) = scene.review(&clone);
    assert_same(&review, &whole);
    assert!(is_shallow(&clone));
    assert!(scene.has(&clone, "main~150") && !scene.has(&clone, "main~290"), "{}", commits(&clone));
}

#[test]
fn a_pull_request_from_long_ago_is_compared_with_where_it_began() {
    let scene = Scene::new(false);
    let whole = scene.whole();
    for indexed in ["main", "main~150"] {
        let clone = scene.clone(&format!("clone{indexed}"), Some(indexed));
        let (review, ..) = scene.review(&clone);
        assert_eq!(review["base"], whole["base"]);
        assert_same(&review, &whole);
        assert!(is_shallow(&clone) && !scene.has(&clone, "main~280"), "{}", commits(&clone));
    }
}

#[test]
fn without_an_index_the_whole_history_is_fetched() {
    let scene = Scene::new(true);
    let whole = scene.whole();
    let clone = scene.clone("clone", None);
    let (review, ..) = scene.review(&clone);
    assert_eq!(review, whole);
    assert!(!is_shallow(&clone));

    // So it is where the index is of no use.
    let clone = scene.clone("other", None);
    let store = clone.join(".git/precedent");
    Fixture::new("merges").json(&["index", "--store", &store.display().to_string(), "--json"]);
    let (review, ran, runner) = scene.review(&clone);
    assert_eq!(review, whole);
    assert!(ran.stderr.contains("an index of its own"), "{}", ran.stderr);
    assert!(runner.read("summary.md").contains("another repository"), "{}", runner.read("summary.md"));
}

#[test]
fn a_clone_that_cannot_be_deepened_is_reviewed_and_says_what_is_missing() {
    let scene = Scene::new(true);
    let clone = scene.clone("clone", Some("main~150"));
    git(&clone, &["fetch", "--quiet", "--depth=1", "origin", "refs/pull/7/head:refs/pull/7/head"]);
    git(&clone, &["fetch", "--quiet", "--depth=2", "origin", "refs/pull/7/head:refs/pull/7/head"]);
    git(&clone, &["remote", "set-url", "origin", &scene.fixture.beside("gone").display().to_string()]);
    let (review, ..) = scene.review(&clone);
    assert_eq!(review["partial"], true);
    let skipped = review["skipped"].as_array().expect("a list");
    let left = skipped.iter().find(|left| left["what"] == "the history between this clone and the index");
    assert!(left.expect("a notice")["why"].as_str().expect("a reason").contains("gone"), "{skipped:?}");
    assert_eq!(review["findings"][0]["check"], "stale-doc");
}
