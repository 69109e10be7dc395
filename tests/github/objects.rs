//! A pull request whose objects Git cannot fetch: they come through GitHub's API, or the run says why not.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::fake::GitHub;
use super::http::Response;
use super::proxy::{Fault, Proxy, html};
use super::run::{Runner, github_of, payload};
use crate::support::{Fixture, Ran, git};

/// Requests before the first file: the head, the comparison, all trees.
const FIRST_FILE: usize = 3;

/// A pull request of every kind of change, a GitHub that has its objects, and a clone of `main` whose remote is gone.
pub(super) struct Scene {
    fixture: Fixture,
    pub(super) github: GitHub,
    pub(super) clone: PathBuf,
}

impl Scene {
    pub(super) fn new() -> Scene {
        let fixture = Fixture::new("review");
        fixture.git(&["switch", "--quiet", "main"]);
        fixture.commit("tools/run.sh", "#!/bin/sh\n\necho one\necho two\n", "add a script");
        fixture.git(&["rebase", "--quiet", "main", "topic"]);
        std::fs::create_dir_all(fixture.repo().join("deep/er/still")).expect("folders");
        std::fs::write(fixture.repo().join("deep/er/still/new.rs"), "/// Adds.\npub fn add() {}\n").expect("a file");
        fixture.git(&["mv", "CHANGES.md", "deep/NEWS.md"]);
        fixture.git(&["rm", "--quiet", "README.md"]);
        fixture.git(&["add", "--all"]);
        fixture.git(&["update-index", "--chmod=+x", "tools/run.sh"]);
        let commit = fixture.git(&["rev-parse", "main"]);
        fixture.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{commit},vendored")]);
        let target = fixture.git(&["hash-object", "-w", "precedent.toml"]);
        fixture.git(&["update-index", "--add", "--cacheinfo", &format!("120000,{target},link")]);
        fixture.git(&["commit", "--quiet", "--message", "change in every way"]);
        fixture.git(&["reset", "--quiet", "--hard"]);
        let clone = fixture.beside("clone");
        let origin = format!("file://{}", fixture.repo().display());
        let arguments = ["clone", "--quiet", "--single-branch", "--branch", "main", &origin];
        fixture.git(&[&arguments[..], &[&clone.display().to_string()]].concat());
        git(&clone, &["remote", "set-url", "origin", &fixture.beside("gone").display().to_string()]);
        let github = github_of(&fixture);
        github.state().repository = Some(fixture.repo());
        Scene { fixture, github, clone }
    }

    pub(super) fn runner(&self, api: &str) -> Runner {
        Runner::new(&payload(&self.fixture), api)
    }

    /// A run whose answers are as these faults say.
    fn faulty(&self, faults: &[(usize, Response)]) -> (Ran, usize, Runner) {
        let faults = faults.iter().map(|(at, answer)| (*at, Fault::Instead(answer.clone())));
        let proxy = Proxy::new(self.github.address(), faults.collect());
        let runner = self.runner(&proxy.api());
        let ran = runner.review(&self.clone);
        (ran, proxy.seen(), runner)
    }

    /// A run that such an answer ends, with words that say why.
    fn fails(&self, at: usize, answer: Response, why: &str) {
        let (ran, _, runner) = self.faulty(&[(at, answer)]);
        assert_eq!(ran.code, 4, "{why}: {}", ran.stderr);
        assert!(ran.stderr.contains(why), "{why}: {}", ran.stderr);
        assert!(ran.stderr.contains("could not be fetched"), "{}", ran.stderr);
        assert!(runner.read("summary.md").contains("the review failed"), "{why}");
        assert!(!runner.path("findings.json").exists(), "{why}");
        assert_eq!(names(&self.clone), "", "{why}");
    }

    fn id(&self, revision: &str) -> String {
        self.fixture.git(&["rev-parse", revision])
    }
}

/// What this program's references are in a clone.
fn names(clone: &Path) -> String {
    git(clone, &["for-each-ref", "--format=%(refname)", "refs/precedent"])
}

/// A review without what differs between two runs of it.
fn plain(mut review: Value) -> Value {
    for key in ["seconds", "skipped", "partial"] {
        review.as_object_mut().expect("an object").remove(key);
    }
    review
}

/// What was left out besides the notice.
fn skipped(review: &Value) -> Vec<&Value> {
    let all = review["skipped"].as_array().expect("a list");
    all.iter().filter(|left| left["what"] != "the pull request's own commits").collect()
}

#[test]
fn a_review_without_git_says_the_same_as_one_with_it() {
    let scene = Scene::new();
    let by_git = scene.runner(&scene.github.api()).findings_of(&scene.fixture);
    assert_eq!(by_git["findings"][0]["check"], "stale-doc");
    let runner = scene.runner(&scene.github.api());
    let ran = runner.review(&scene.clone);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("could not be fetched") && ran.stderr.contains("github's API"), "{}", ran.stderr);
    let by_api = runner.findings();
    assert_eq!(skipped(&by_api), skipped(&by_git));
    let notice = by_api["skipped"].as_array().expect("a list").last().expect("a notice");
    assert_eq!(notice["what"], "the pull request's own commits");
    let why = notice["why"].as_str().expect("a reason");
    assert!(why.contains("gone") && why.ends_with("; their files came through github's API"), "{why}");
    assert_eq!(by_api["head"], scene.id("topic"));
    assert_eq!(plain(by_api), plain(by_git));
    let summary = runner.read("summary.md");
    assert!(summary.contains("came through github's API") && summary.contains(&scene.id("topic")[..7]), "{summary}");
    assert!(scene.github.state().log.iter().all(|(method, ..)| method == "GET"), "nothing is written");

    // Nothing is checked out, all that is needed is there, and it is what Git has.
    assert_eq!(names(&scene.clone), "refs/precedent/pull/7");
    let tree = git(&scene.clone, &["rev-parse", "refs/precedent/pull/7^{tree}"]);
    assert_eq!(tree, scene.id("topic^{tree}"));
    assert_eq!(git(&scene.clone, &["rev-parse", "refs/precedent/pull/7^"]), scene.id("main"));
    git(&scene.clone, &["fsck", "--strict"]);
    assert_eq!(git(&scene.clone, &["status", "--porcelain"]), "");

    let posted = runner.post(&scene.clone);
    assert_eq!(posted.code, 0, "{}", posted.stderr);
    let state = scene.github.state();
    assert_eq!((state.sent_reviews(), &state.reviews[0]["commit_id"]), (1, &json!(scene.id("topic"))));
}

#[test]
fn files_are_asked_for_once_and_only_those_that_are_missing() {
    let scene = Scene::new();
    assert_eq!(scene.runner(&scene.github.api()).review(&scene.clone).code, 0);
    let asked = |what: &str| scene.github.state().log.iter().filter(|(_, path, _)| path.contains(what)).count();
    assert_eq!((asked("/git/commits/"), asked("/compare/"), asked("/git/trees/")), (1, 1, 1));
    // `src/client.rs` and `deep/er/still/new.rs`: all others the clone has under other names or modes.
    assert_eq!(asked("/git/blobs/"), 2);
    assert_eq!(scene.runner(&scene.github.api()).review(&scene.clone).code, 0);
    assert_eq!(asked("/git/blobs/"), 2, "they are there now");
}

#[test]
fn where_the_list_of_all_trees_is_cut_off_they_are_walked() {
    let scene = Scene::new();
    scene.github.state().truncates = true;
    let runner = scene.runner(&scene.github.api());
    let ran = runner.review(&scene.clone);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(runner.findings()["findings"][0]["check"], "stale-doc");
    let log = &scene.github.state().log;
    // The root twice, `src`, `tools`, `deep`, `deep/er`, `deep/er/still`.
    assert_eq!(log.iter().filter(|(_, path, _)| path.contains("/git/trees/")).count(), 7, "{log:?}");
    assert_eq!(git(&scene.clone, &["rev-parse", "refs/precedent/pull/7^{tree}"]), scene.id("topic^{tree}"));
}

#[test]
fn files_that_are_too_large_to_be_reviewed_are_left_out_and_said() {
    let scene = Scene::new();
    scene.fixture.commit("src/huge.rs", &"// words\n".repeat(120_000), "add much");
    let runner = scene.runner(&scene.github.api());
    for _ in 0..2 {
        let ran = runner.review(&scene.clone);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let review = runner.findings();
        let by_git = scene.runner(&scene.github.api()).findings_of(&scene.fixture);
        assert_eq!(skipped(&review), skipped(&by_git));
        assert!(skipped(&review).iter().any(|left| left["what"] == "src/huge.rs"), "{review}");
        assert!(review["skipped"].to_string().contains("1 that are too large to be reviewed"), "{}", review["skipped"]);
        assert_eq!(plain(review), plain(by_git));
        assert_eq!(names(&scene.clone), "", "Git expects to find what a reference names");
    }
}

#[test]
fn a_change_that_takes_too_many_requests_is_refused_before_they_are_made() {
    let scene = Scene::new();
    for number in 0..250 {
        let path = scene.fixture.repo().join(format!("src/many_{number}.rs"));
        std::fs::write(path, format!("pub fn number() -> u32 {{\n    {number}\n}}\n")).expect("a file");
    }
    scene.fixture.commit("src/last.rs", "", "add many");
    let runner = scene.runner(&scene.github.api());
    let ran = runner.review(&scene.clone);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert!(ran.stderr.contains("253 files are missing here") && ran.stderr.contains("197 more"), "{}", ran.stderr);
    assert_eq!(scene.github.state().log.len(), FIRST_FILE);
    assert_eq!(names(&scene.clone), "");
}

#[test]
fn what_is_not_what_was_asked_for_is_not_used() {
    let scene = Scene::new();
    let ok = |value: Value| Response::json(200, &value);
    // The head: another one, or one with another's tree.
    let head = |sha: &str, tree: &str| {
        let author = json!({"name": "a", "email": "a", "date": "2020-01-01T00:00:00Z"});
        ok(json!({"sha": sha, "tree": {"sha": tree}, "author": author, "message": "x", "parents": []}))
    };
    let topic = scene.id("topic");
    scene.fails(0, head(&scene.id("main"), &scene.id("topic^{tree}")), "is not what was asked for");
    scene.fails(0, head(&topic, &"1".repeat(40)), "404");
    scene.fails(0, head(&topic, "../../x"), "is not what github sends");

    // The merge base: one that is nowhere, and one that is none.
    let base = |sha: &str| ok(json!({"merge_base_commit": {"sha": sha}}));
    scene.fails(1, base(&"1".repeat(40)), "is not in this clone");
    let side = git(&scene.clone, &["commit-tree", "-m", "beside", "HEAD^{tree}"]);
    scene.fails(1, base(&side), "no commit in common");
    let above = git(&scene.clone, &["commit-tree", "-m", "above", "-p", "HEAD", "HEAD^{tree}"]);
    scene.fails(1, base(&above), "is no ancestor of the base");

    // Trees: another one, one with a name that leads elsewhere, one that is cut.
    let blob = scene.id("topic:precedent.toml");
    let entry = |path: &str, mode: &str| json!({"path": path, "mode": mode, "type": "blob", "sha": blob});
    let tree = |entries: Value| ok(json!({"sha": "x", "tree": entries, "truncated": false}));
    scene.fails(2, tree(json!([])), "hashes to");
    scene.fails(2, tree(json!([entry("a", "100644")])), "hashes to");
    for name in ["", "..", ".git", ".GIT", "a\0b"] {
        scene.fails(2, tree(json!([entry(name, "100644")])), "which Git does not allow");
    }
    scene.fails(2, tree(json!([entry("../../x", "100644")])), "hashes to");
    scene.fails(2, tree(json!([entry("a", "777")])), "which Git does not know");
    let below = json!({"path": "src", "mode": "040000", "type": "tree", "sha": scene.id("topic:src")});
    scene.fails(2, tree(json!([below, entry("src/client.rs", "100644")])), "hashes to");
    let cut = ok(json!({"sha": "x", "tree": [], "truncated": true}));
    let (ran, ..) = scene.faulty(&[(2, cut.clone()), (3, cut)]);
    assert!(ran.code == 4 && ran.stderr.contains("more entries than github gives"), "{}", ran.stderr);

    // Files, once the trees are there.
    let other = json!({"encoding": "base64", "content": "b3RoZXI=\n", "sha": "0".repeat(40), "size": 5});
    scene.fails(FIRST_FILE, ok(other), "hashes to");
    scene.fails(FIRST_FILE, ok(json!({"encoding": "utf-8", "content": "x"})), "is not what was asked for");
    scene.fails(FIRST_FILE, ok(json!({"encoding": "base64", "content": "<>"})), "is not what was asked for");
    scene.fails(FIRST_FILE, ok(json!({"encoding": "none"})), "is not what github sends");
    // Afterwards all is as if nothing had come.
    assert_eq!(scene.runner(&scene.github.api()).review(&scene.clone).code, 0);
}

#[test]
fn answers_that_are_none_end_with_four() {
    let scene = Scene::new();
    for at in 0..=FIRST_FILE {
        scene.fails(at, html(200), "is not what github sends");
        scene.fails(at, html(404), "404");
        scene.fails(at, Response::json(200, &json!({"sha": null})), "is not what github sends");
        scene.fails(at, super::fake::refusal(403, "Resource not accessible by integration"), "contents: read");
    }
}

#[test]
fn without_the_history_of_the_base_nothing_helps() {
    let scene = Scene::new();
    scene.fixture.git(&["switch", "--quiet", "main"]);
    scene.fixture.commit("src/later.rs", "fn later() {}\n", "go on");
    let ran = scene.runner(&scene.github.api()).review(&scene.clone);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert!(ran.stderr.contains("the base") && ran.stderr.contains("fetch-depth: 0"), "{}", ran.stderr);
    assert!(scene.github.state().log.is_empty(), "nothing is asked for then");
}

#[test]
fn case_36_files_and_reviews_are_asked_for_at_the_address_that_was_given() {
    let scene = Scene::new();
    let mut runner = scene.runner(&format!("{}/api/v3", scene.github.api()));
    let ran = runner.review(&scene.clone);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    scene.github.state().past_comments = vec![super::reviews::own_comment(20, 3, 0)];
    // Beside the REST API, as GitHub Enterprise has it.
    runner.variables.remove("GITHUB_GRAPHQL_URL");
    let ran = runner.run(&scene.clone, &["reviews", "fetch"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let log = &scene.github.state().log;
    let asked = |what: &str| log.iter().any(|(_, path, _)| path.contains(what));
    assert!(asked("/git/blobs/") && asked("/pulls/comments?") && asked("/api/graphql"), "{log:?}");
    let is_below = |path: &str| path.starts_with("/api/v3/repos/") || path == "/api/graphql";
    assert!(log.iter().all(|(_, path, _)| is_below(path)), "{log:?}");
}

#[test]
fn one_fault_at_any_request_takes_nothing_from_a_review() {
    let scene = Scene::new();
    let repository = |clone: &Path| precedent_pipeline::history::Repository::discover(clone).expect("a repository");
    let pull = || match precedent_bot::github::event::Event::read(
        payload(&scene.fixture).to_string().as_bytes(),
        "pull_request_target",
        super::fake::REPOSITORY,
    ) {
        Ok(precedent_bot::github::event::Event::Review(pull)) => pull,
        other => panic!("{other:?}"),
    };
    let fresh = |number: usize| {
        let clone = scene.fixture.beside(&format!("clone {number}"));
        let copied = std::process::Command::new("cp").arg("-r").args([&scene.clone, &clone]).status().expect("cp");
        assert!(copied.success());
        clone
    };
    let bring = |number: usize, faults: HashMap<usize, Fault>| {
        let clone = fresh(number);
        let proxy = Proxy::new(scene.github.address(), faults);
        let client = super::client(&proxy.api(), &Default::default());
        let brought = precedent_bot::github::objects::bring(&client, &repository(&clone), &pull());
        let brought = brought.unwrap_or_else(|error| panic!("{number}: {error}"));
        let tree = git(&clone, &["rev-parse", &format!("{}^{{tree}}", brought.commit)]);
        assert_eq!(tree, scene.id("topic^{tree}"), "{number}");
        git(&clone, &["fsck", "--strict"]);
        proxy.seen()
    };
    let requests = bring(0, HashMap::new());
    assert!(requests >= 5, "{requests}");
    let faults = [Fault::BadGateway, Fault::BadGatewayBefore, Fault::Drop, Fault::DropBefore, Fault::TooMany(1)];
    for (at, fault) in faults.iter().enumerate() {
        for position in 0..requests {
            bring(100 * (at + 1) + position, HashMap::from([(position, fault.clone())]));
        }
    }
}

#[test]
fn without_a_token_nobody_is_asked() {
    let scene = Scene::new();
    let mut runner = scene.runner(&scene.github.api());
    runner.variables.remove("GITHUB_TOKEN");
    let ran = runner.review(&scene.clone);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert!(scene.github.state().log.is_empty());
}

#[test]
fn lost_answers_are_asked_for_again() {
    let scene = Scene::new();
    let proxy =
        Proxy::new(scene.github.address(), HashMap::from([(1, Fault::Drop), (FIRST_FILE + 1, Fault::BadGateway)]));
    let runner = scene.runner(&proxy.api());
    let ran = runner.review(&scene.clone);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(runner.findings()["findings"][0]["check"], "stale-doc");
}

#[test]
fn a_page_shows_the_lines_of_the_head() {
    let scene = Scene::new();
    let page = |runner: &Runner, repository: &Path| {
        let (event, out) = (runner.variables["GITHUB_EVENT_PATH"].clone(), runner.path("page.html"));
        let ran = runner
            .run(repository, &["review", "--event", &event, "--format", "html", "--out", &out.display().to_string()]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let page = runner.read("page.html");
        page[page.find("<section").expect("sections")..].to_owned()
    };
    let (one, two) = (scene.runner(&scene.github.api()), scene.runner(&scene.github.api()));
    let (by_git, by_api) = (page(&one, &scene.fixture.repo()), page(&two, &scene.clone));
    let lines = |page: &str| {
        page.lines()
            .filter(|line| !line.contains("own commits") && !line.contains(" s, without a language model"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(lines(&by_api), lines(&by_git));
}
