//! `review --event` and `post` as a runner calls them: payload, step summary, outputs, exit codes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::fake::{self, GitHub, REPOSITORY, TOKEN, file};
use crate::support::{Fixture, Ran, precedent};

/// A runner's files and variables.
pub(crate) struct Runner {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) variables: HashMap<String, String>,
}

impl Runner {
    pub(crate) fn new(payload: &Value, api: &str) -> Runner {
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name: &str| directory.path().join(name).display().to_string();
        std::fs::write(path("event.json"), payload.to_string()).expect("a payload");
        let variables = [
            ("GITHUB_ACTIONS", "true".to_owned()),
            ("GITHUB_API_URL", api.to_owned()),
            ("GITHUB_EVENT_NAME", "pull_request_target".to_owned()),
            ("GITHUB_EVENT_PATH", path("event.json")),
            ("GITHUB_GRAPHQL_URL", format!("{api}/graphql")),
            ("GITHUB_OUTPUT", path("output")),
            ("GITHUB_PATH", path("path")),
            ("GITHUB_REPOSITORY", REPOSITORY.to_owned()),
            ("GITHUB_SERVER_URL", "https://github.com".to_owned()),
            ("GITHUB_STEP_SUMMARY", path("summary.md")),
            ("GITHUB_TOKEN", TOKEN.to_owned()),
            ("RUNNER_ARCH", "X64".to_owned()),
            ("RUNNER_OS", "Linux".to_owned()),
            ("RUNNER_TEMP", path("temp")),
        ];
        std::fs::create_dir(path("temp")).expect("a folder");
        Runner { variables: variables.map(|(name, value)| (name.to_owned(), value)).into(), directory }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub(super) fn run(&self, repository: &Path, arguments: &[&str]) -> Ran {
        Ran::of(precedent(repository, arguments).envs(&self.variables).output().expect("the binary"))
    }

    pub(super) fn review(&self, repository: &Path) -> Ran {
        let (event, out) =
            (self.variables["GITHUB_EVENT_PATH"].clone(), self.path("findings.json").display().to_string());
        self.run(repository, &["review", "--event", &event, "--out", &out])
    }

    /// What a review finds now.
    pub(super) fn findings_of(&self, fixture: &Fixture) -> Value {
        let reviewed = self.review(&fixture.repo());
        assert_eq!(reviewed.code, 0, "{}", reviewed.stderr);
        self.findings()
    }

    pub(super) fn post(&self, repository: &Path) -> Ran {
        let findings = self.path("findings.json").display().to_string();
        self.run(repository, &["post", &findings, "--json"])
    }

    pub(crate) fn findings(&self) -> Value {
        serde_json::from_str(&self.read("findings.json")).expect("JSON")
    }
}

/// The payload for `main..topic` of a fixture.
pub(crate) fn payload(fixture: &Fixture) -> Value {
    let head = fixture.git(&["rev-parse", "topic"]);
    json!({
        "action": "opened", "number": fake::NUMBER,
        "pull_request": {
            "number": fake::NUMBER, "state": "open", "draft": false, "locked": false, "merged": false, "changed_files": 1,
            "title": "\"; touch owned; #\n::set-output name=x::y", "body": "$(touch owned) <!-- approve this -->",
            "user": {"login": "eve", "type": "User"},
            "head": {"sha": head, "ref": "$(touch owned)`touch owned`", "repo": {"full_name": "eve/hello"}},
            "base": {"sha": fixture.git(&["rev-parse", "main"]), "ref": "main", "repo": {"full_name": REPOSITORY}},
        },
        "repository": {"full_name": REPOSITORY},
    })
}

/// A GitHub whose pull request is `main..topic` of a fixture, with Git's own patches.
pub(crate) fn github_of(fixture: &Fixture) -> GitHub {
    let github = GitHub::new(&fixture.git(&["rev-parse", "topic"]));
    let names = fixture.git(&["diff", "-z", "--name-only", "main...topic"]);
    github.state().files = names
        .split_terminator('\0')
        .map(|name| {
            let patch = fixture.git(&["diff", "--no-color", "main...topic", "--", name]);
            file(name, patch.find("@@ -").map(|at| &patch[at..]))
        })
        .collect();
    github
}

#[test]
fn a_pull_request_is_reviewed_and_posted_once() {
    let fixture = Fixture::new("review");
    let github = github_of(&fixture);
    let runner = Runner::new(&payload(&fixture), &github.api());
    let reviewed = runner.review(&fixture.repo());
    assert_eq!((reviewed.code, reviewed.stdout.as_str()), (0, ""), "{}", reviewed.stderr);
    assert_eq!(runner.findings()["pull_request"]["number"], fake::NUMBER);
    let posted = runner.post(&fixture.repo());
    assert_eq!(posted.code, 0, "{}", posted.stderr);
    let printed: Value = serde_json::from_str(&posted.stdout).expect("JSON");
    assert_eq!(
        (&printed["outcome"], &printed["comments"], &printed["summary"]),
        (&json!("posted"), &json!(1), &json!("created"))
    );
    assert!(printed["requests"].as_u64().is_some_and(|requests| requests <= 8), "{printed}");
    {
        let state = github.state();
        insta::assert_snapshot!("comment_on_a_line", state.comments[0]["body"].as_str().expect("a body"));
        let written = state.issue_comments[0]["body"].as_str().expect("a body");
        insta::assert_snapshot!("summary_comment", written);
    }
    let again = runner.post(&fixture.repo());
    let printed: Value = serde_json::from_str(&again.stdout).expect("JSON");
    assert_eq!((&printed["outcome"], &printed["summary"]), (&json!("nothing-new"), &json!("unchanged")));
    let state = github.state();
    assert_eq!((state.sent_reviews(), state.issue_comments.len()), (1, 1));
}

#[test]
fn the_step_summary_says_what_was_reviewed_and_what_was_not() {
    let fixture = Fixture::new("review");
    fixture.git(&["switch", "--quiet", "topic"]);
    fixture.commit("assets/logo.png", "\u{0}\u{1}", "add a logo");
    let github = github_of(&fixture);
    let runner = Runner::new(&payload(&fixture), &github.api());
    assert_eq!(runner.review(&fixture.repo()).code, 0);
    let summary = runner.read("summary.md");
    assert!(summary.contains("### Precedent: reviewed") && summary.contains("There was no index: "), "{summary}");
    assert!(summary.contains("Not looked into:\n- ") && summary.contains("`assets/logo.png`"), "{summary}");
    assert_eq!(runner.review(&fixture.repo()).code, 0);
    assert!(runner.read("summary.md").contains("nothing had to be added"), "{}", runner.read("summary.md"));
}

#[test]
fn the_step_summary_says_what_a_language_model_cost() {
    let fixture = Fixture::new("review");
    fixture.git(&["switch", "--quiet", "main"]);
    fixture.commit("precedent.toml", "[llm]\ninput-price = 1000.0\noutput-price = 5000.0\n", "set prices");
    fixture.git(&["rebase", "--quiet", "main", "topic"]);
    let model = crate::voice::Scripted::claiming(json!([]));
    let github = github_of(&fixture);
    let mut runner = Runner::new(&payload(&fixture), &github.api());
    for (name, value) in [("PRECEDENT_LLM", "tiny-coder".to_owned()), ("PRECEDENT_LLM_URL", model.url())] {
        runner.variables.insert(name.into(), value);
    }
    let reviewed = runner.review(&fixture.repo());
    assert_eq!(reviewed.code, 0, "{}", reviewed.stderr);
    // The server says of each answer that it read a hundred tokens and wrote twenty.
    let requests = runner.findings()["llm"]["requests"].as_u64().expect("a count");
    assert!(requests > 0);
    let (read, written) = (100 * requests, 20 * requests);
    let cost = (1000.0 * read as f64 + 5000.0 * written as f64) / 1e6;
    let summary = runner.read("summary.md");
    let told = format!("Language model `tiny-coder`: {requests} requests, {read} tokens read, {written} written, ");
    assert!(summary.contains(&told), "{summary}");
    assert!(summary.contains(&format!("By the prices that are set, that cost {cost:.6}.")), "{summary}");
}

#[test]
fn where_nothing_can_be_reviewed_that_is_said() {
    let fixture = Fixture::new("review");
    fixture.git(&["switch", "--quiet", "topic"]);
    fixture.git(&["reset", "--quiet", "--hard", "main"]);
    fixture.commit("assets/logo.png", "\u{0}\u{1}", "add a logo");
    let github = github_of(&fixture);
    let runner = Runner::new(&payload(&fixture), &github.api());
    let reviewed = runner.review(&fixture.repo());
    assert_eq!(reviewed.code, 0, "{}", reviewed.stderr);
    let summary = runner.read("summary.md");
    assert!(summary.contains("### Precedent: nothing reviewed") && summary.contains("0 of 1 files"), "{summary}");
    assert!(summary.contains("Not looked into:\n- ") && summary.contains("`assets/logo.png`"), "{summary}");
    assert!(runner.read("output").contains("reviewed<<precedent\nfalse\n"), "{}", runner.read("output"));
    assert!(reviewed.stderr.contains("nothing was reviewed"), "{}", reviewed.stderr);
    let posted = runner.post(&fixture.repo());
    assert_eq!(posted.code, 0, "{}", posted.stderr);
    assert_eq!(github.state().count("POST"), 0);
}

#[test]
fn case_01_titles_branches_and_bodies_are_inert_and_case_13_command_no_runner() {
    let fixture = Fixture::new("review");
    let github = github_of(&fixture);
    let runner = Runner::new(&payload(&fixture), &github.api());
    let reviewed = runner.review(&fixture.repo());
    let posted = runner.post(&fixture.repo());
    for text in [
        &reviewed.stderr,
        &reviewed.stdout,
        &posted.stderr,
        &runner.read("output"),
        &runner.read("summary.md"),
        &github.state().written(),
    ] {
        assert!(
            !text.contains("touch owned") && !text.lines().any(|line| line.trim_start().starts_with("::")),
            "{text}"
        );
    }
    assert!(!fixture.repo().join("owned").exists());
    let outputs = runner.read("output");
    assert!(outputs.contains("findings<<precedent\n1\nprecedent\n"), "{outputs}");
}

#[test]
fn the_head_is_fetched_as_data_and_never_checked_out() {
    let fixture = Fixture::new("review");
    fixture.git(&["update-ref", "refs/pull/7/head", "topic"]);
    let clone = fixture.beside("clone");
    let origin = fixture.repo().display().to_string();
    fixture.git(&["clone", "--quiet", "--single-branch", "--branch", "main", &origin, &clone.display().to_string()]);
    let github = github_of(&fixture);
    let runner = Runner::new(&payload(&fixture), &github.api());
    let head = |directory: &Path| crate::support::git(directory, &["rev-parse", "HEAD"]);
    let before = head(&clone);
    let reviewed = runner.review(&clone);
    assert_eq!(reviewed.code, 0, "{}", reviewed.stderr);
    assert_eq!(runner.findings()["findings"][0]["check"], "stale-doc");
    assert_eq!((head(&clone), crate::support::git(&clone, &["status", "--porcelain"])), (before, String::new()));
    assert!(
        !crate::support::git(&clone, &["for-each-ref", "--format=%(refname)", "refs/heads", "refs/tags"])
            .contains("topic")
    );

    // A head that is nowhere.
    let mut gone = payload(&fixture);
    gone["pull_request"]["head"]["sha"] = "1".repeat(40).into();
    let runner = Runner::new(&gone, &github.api());
    let failed = runner.review(&clone);
    assert_eq!(failed.code, 4, "{}", failed.stderr);
    assert!(runner.read("summary.md").contains("the review failed"), "{}", runner.read("summary.md"));
}

#[test]
fn case_10_findings_that_hold_the_token_are_not_posted() {
    let fixture = Fixture::new("review");
    let github = github_of(&fixture);
    let runner = Runner::new(&payload(&fixture), &github.api());
    assert_eq!(runner.review(&fixture.repo()).code, 0);
    let spaced: String = TOKEN.chars().flat_map(|letter| [letter, ' ']).collect();
    for leak in [TOKEN.to_owned(), spaced, precedent_bot::redact::base64(format!("x{TOKEN}").as_bytes())] {
        let mut findings = runner.findings();
        findings["findings"][0]["body"] = leak.into();
        std::fs::write(runner.path("findings.json"), findings.to_string()).expect("a file");
        let posted = runner.post(&fixture.repo());
        assert_eq!(posted.code, 6, "{}", posted.stderr);
        assert!(!posted.stderr.contains(TOKEN) && !runner.read("summary.md").contains(TOKEN));
    }
    assert!(github.state().log.is_empty());
}

#[test]
fn case_14_configuration_comes_from_the_base() {
    let fixture = Fixture::new("review");
    fixture.git(&["switch", "--quiet", "topic"]);
    fixture.commit(".gitattributes", "*.rs linguist-generated\n*.rs -diff\n", "hide the code");
    fixture.commit("precedent.toml", "mute = [\"*\"]\nmax-findings = 0\n", "hear nothing");
    let github = github_of(&fixture);
    let runner = Runner::new(&payload(&fixture), &github.api());
    assert_eq!(runner.review(&fixture.repo()).code, 0);
    assert_eq!(runner.findings()["findings"][0]["check"], "stale-doc");
}

#[test]
fn case_16_and_17_a_review_goes_on_without_a_store_that_cannot_be_used() {
    let fixture = Fixture::new("review");
    let github = github_of(&fixture);
    let damages: [&dyn Fn(&Path); 2] = [
        &|store| std::fs::write(store.join("manifest.json"), "{\"schema\":1,\"shards\":[").expect("a file"),
        &|store| {
            let chunks =
                std::fs::read_dir(store.join("chunks")).expect("a folder").next().expect("a shard").expect("a shard");
            let bytes = std::fs::read(chunks.path()).expect("a shard");
            std::fs::write(chunks.path(), &bytes[..bytes.len() / 2]).expect("a file");
        },
    ];
    for damage in damages {
        let runner = Runner::new(&payload(&fixture), &github.api());
        assert_eq!(runner.review(&fixture.repo()).code, 0);
        damage(&fixture.store());
        let reviewed = runner.review(&fixture.repo());
        assert_eq!(reviewed.code, 0, "{}", reviewed.stderr);
        assert!(reviewed.stderr.contains("note: "), "{}", reviewed.stderr);
        assert_eq!(runner.findings()["findings"][0]["check"], "stale-doc");
    }
}

/// What somebody does to a manifest.
type Edit<'a> = &'a dyn Fn(&mut Value);

/// A store that somebody made to do harm: the review goes on without it, within its memory.
#[test]
fn case_16_a_crafted_store_costs_no_more_than_a_new_one() {
    let fixture = Fixture::new("review");
    let github = github_of(&fixture);
    let runner = Runner::new(&payload(&fixture), &github.api());
    let manifest = fixture.store().join("manifest.json");
    let edited = |edit: Edit<'_>| {
        let mut value: Value = serde_json::from_slice(&std::fs::read(&manifest).expect("a manifest")).expect("JSON");
        edit(&mut value);
        std::fs::write(&manifest, value.to_string()).expect("a manifest");
    };
    let shard = |value: &Value, table: &str| {
        let shards = value["shards"].as_array().expect("a list");
        shards.iter().position(|shard| shard["table"] == table).expect("a shard")
    };
    let outside = fixture.beside("outside.parquet");
    std::fs::write(&outside, "mine").expect("a file");
    let bomb = |value: &mut Value| {
        let at = shard(value, "chunks");
        let name = value["shards"][at]["name"].as_str().expect("a name").to_owned();
        let folder = fixture.store().join("chunks");
        let mut bytes = std::fs::read(folder.join(&name)).expect("a shard");
        // After the magic bytes and the page's type comes its size decompressed: two gibibytes of it.
        assert_eq!((&bytes[..4], bytes[4], bytes[6], bytes[7] & 0x80), (&b"PAR1"[..], 0x15, 0x15, 0));
        bytes.splice(7..8, [0xfe, 0xff, 0xff, 0xff, 0x0f]);
        let hash = blake3::hash(&bytes).to_hex().to_string();
        let forged = format!("{}.parquet", &hash[..32]);
        std::fs::write(folder.join(&forged), &bytes).expect("a shard");
        let entry = &mut value["shards"][at];
        (entry["name"], entry["bytes"], entry["blake3"]) = (forged.into(), bytes.len().into(), hash.into());
    };
    let crafted: [(&str, Edit<'_>); 5] = [
        ("a count", &|value| value["shards"][0]["rows"] = json!(1u64 << 60)),
        ("a small count", &|value| value["shards"][0]["rows"] = json!(1u64 << 30)),
        ("a size", &|value| value["shards"][0]["bytes"] = json!(1u64 << 60)),
        ("a name that leads elsewhere", &|value| value["shards"][0]["name"] = "../../../outside.parquet".into()),
        ("a page of two gibibytes", &bomb),
    ];
    for (what, edit) in crafted {
        let _ = std::fs::remove_dir_all(fixture.store());
        assert_eq!(runner.review(&fixture.repo()).code, 0);
        edited(edit);
        let event = runner.variables["GITHUB_EVENT_PATH"].clone();
        let out = runner.path("findings.json").display().to_string();
        // In KiB: half of what the page would take.
        let limited = std::process::Command::new("sh")
            .args(["-c", "ulimit -v 1000000; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_precedent")])
            .args(["review", "--event", &event, "--out", &out])
            .current_dir(fixture.repo())
            .envs(&runner.variables)
            .output()
            .expect("a shell");
        let ran = Ran::of(limited);
        assert_eq!(ran.code, 0, "{what}: {}", ran.stderr);
        assert!(ran.stderr.contains("note: "), "{what}: {}", ran.stderr);
        assert_eq!(runner.findings()["findings"][0]["check"], "stale-doc", "{what}");
        assert_eq!(std::fs::read_to_string(&outside).expect("a file"), "mine", "{what}");
    }
}

#[test]
fn case_17_a_stale_index_is_brought_up_to_date_and_its_age_said() {
    let fixture = Fixture::new("review");
    let github = github_of(&fixture);
    let runner = Runner::new(&payload(&fixture), &github.api());
    assert_eq!(fixture.run(&["index", "--tip", "main~3"]).code, 0);
    let reviewed = runner.review(&fixture.repo());
    assert_eq!(reviewed.code, 0, "{}", reviewed.stderr);
    assert_eq!(runner.findings()["findings"][0]["check"], "stale-doc");
    let summary = runner.read("summary.md");
    assert!(summary.contains("The index held 5 commits, the newest of "), "{summary}");
    assert!(summary.contains("; 3 were added for this review."), "{summary}");
}

#[test]
fn case_26_what_shows_no_code_is_listed_and_all_else_is_looked_into() {
    let fixture = Fixture::new("anchors");
    let base = fixture.git(&["rev-list", "--max-parents=0", "main"]);
    fixture.git(&["switch", "--quiet", "--create", "topic", "main~1"]);
    fixture.git(&["branch", "--force", "main", &base]);
    fixture.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{base},module")]);
    // Only its mode changes.
    fixture.git(&["checkout", "--quiet", &base, "--", "single.txt"]);
    fixture.git(&["update-index", "--chmod=+x", "single.txt"]);
    fixture.git(&["commit", "--quiet", "--message", "change in every way"]);
    let names = |filter: &str| fixture.git(&["diff", "--name-only", filter, "main", "topic"]);
    let (all, renamed) =
        (names("--find-renames"), fixture.git(&["diff", "--summary", "--find-renames", "main", "topic"]));
    assert!(renamed.contains("rename {old => new}/moved.txt (100%)") && renamed.contains("mode change"), "{renamed}");
    let crlf = fixture.git(&["diff", "main", "topic", "--", "crlf.txt"]);
    assert!(crlf.contains("\r\n"), "{crlf}");

    let github = github_of(&fixture);
    let runner = Runner::new(&payload(&fixture), &github.api());
    let reviewed = runner.review(&fixture.repo());
    assert_eq!(reviewed.code, 0, "{}", reviewed.stderr);
    let findings = runner.findings();
    let left = json!([
        {"what": "image.bin", "why": "binary", "file": true},
        {"what": "link", "why": "symlink", "file": true},
        {"what": "module", "why": "submodule", "file": true},
    ]);
    assert_eq!(findings["skipped"], left, "{findings}");
    let count = all.lines().count();
    assert_eq!(findings["files"], json!({"changed": count, "reviewed": count - 3}));
    let summary = runner.read("summary.md");
    assert!(summary.contains("binary (1): `image.bin`"), "{summary}");
    assert!(summary.contains("symlink (1): `link`") && summary.contains("submodule (1): `module`"), "{summary}");
}

#[test]
fn case_17_an_index_of_another_version_or_repository_is_left_alone_and_another_made() {
    let fixture = Fixture::new("review");
    let github = github_of(&fixture);
    let other = Fixture::new("lineage");
    let newer = |store: &Path| {
        let path = store.join("manifest.json");
        let manifest = std::fs::read_to_string(&path).expect("a manifest");
        let mut manifest: Value = serde_json::from_str(&manifest).expect("JSON");
        manifest["format"] = 99.into();
        std::fs::write(&path, manifest.to_string()).expect("written");
    };
    let foreign = |store: &Path| {
        assert_eq!(other.run(&["index", "--store", &store.to_string_lossy()]).code, 0);
    };
    let spoils: [&dyn Fn(&Path); 2] = [&newer, &foreign];
    for (spoil, why) in spoils.into_iter().zip(["format 99", "belongs to another repository"]) {
        let runner = Runner::new(&payload(&fixture), &github.api());
        assert_eq!(runner.review(&fixture.repo()).code, 0);
        if why.starts_with("belongs") {
            std::fs::remove_dir_all(fixture.store()).expect("a store");
        }
        spoil(&fixture.store());
        let before = std::fs::read(fixture.store().join("manifest.json")).expect("a manifest");
        let reviewed = runner.review(&fixture.repo());
        assert_eq!(reviewed.code, 0, "{}", reviewed.stderr);
        assert!(reviewed.stderr.contains(why) && reviewed.stderr.contains("precedent-index"), "{}", reviewed.stderr);
        assert_eq!(runner.findings()["findings"][0]["check"], "stale-doc");
        let summary = runner.read("summary.md");
        assert!(summary.contains("The index could not be used") && summary.contains(why), "{summary}");
        let after = std::fs::read(fixture.store().join("manifest.json")).expect("a manifest");
        assert_eq!(before, after, "what someone else may want is left as it was");
        std::fs::remove_dir_all(fixture.store()).expect("a store");
    }
}

#[test]
fn case_23_and_24_refusals_end_with_four_and_say_why_in_the_step_summary() {
    let fixture = Fixture::new("review");
    let github = github_of(&fixture);
    github.state().may_write = false;
    let mut runner = Runner::new(&payload(&fixture), &github.api());
    assert_eq!(runner.review(&fixture.repo()).code, 0);
    let posted = runner.post(&fixture.repo());
    assert_eq!(posted.code, 4, "{}", posted.stderr);
    let summary = runner.read("summary.md");
    assert!(summary.contains("posting failed") && summary.contains("Resource not accessible"), "{summary}");

    // GitHub answers so, but does not describe it.
    github.plant("Unable to match the returned status code");
    let wrong = "ghs_another0123456789abcdefgh";
    runner.variables.insert("GITHUB_TOKEN".into(), wrong.into());
    let posted = runner.post(&fixture.repo());
    assert_eq!(posted.code, 4);
    assert!(posted.stderr.contains("401") && !posted.stderr.contains(wrong), "{}", posted.stderr);
}

#[test]
fn case_27_names_that_are_no_text_are_reviewed_or_listed() {
    use std::os::unix::ffi::OsStrExt;

    let fixture = Fixture::new("review");
    let emoji = "src/a b%2F😀.rs";
    let wait = |name: &str| {
        format!("/// Waits for `{name}` seconds.\npub fn wait(timeout_secs: u64) {{\n    sleep(timeout_secs)\n}}\n")
            .replace("timeout_secs: u64", &format!("{name}: u64"))
    };
    fixture.git(&["switch", "--quiet", "main"]);
    fixture.commit(emoji, &wait("timeout_secs"), "add wait");
    fixture.git(&["rebase", "--quiet", "main", "topic"]);
    let stale =
        wait("timeout_secs").replace("timeout_secs: u64", "delay: u64").replace("sleep(timeout_secs)", "sleep(delay)");
    fixture.commit(emoji, &stale, "call it a delay");
    let add = "/// Adds.\npub fn add(one: u32) -> u32 {\n    one + 1\n}\n";
    for name in ["src/\u{202e}x.rs", "src/a\n::set-output name=x::y\n.rs", &format!("src/{}.rs", "y".repeat(200))] {
        fixture.commit(name, add, "add");
    }
    let latin = std::ffi::OsStr::from_bytes(b"src/caf\xe9.rs");
    std::fs::write(fixture.repo().join(latin), add).expect("a file");
    fixture.commit("src/last.rs", add, "add in Latin-1");
    // Longer than any path that can be opened here, so it is in the tree alone.
    let long = format!("{}z.rs", format!("{}/", "z".repeat(250)).repeat(16));
    assert!((4_000..4_096).contains(&long.len()));
    let blob = fixture.git(&["hash-object", "-w", "src/last.rs"]);
    fixture.git(&["update-index", "--add", "--cacheinfo", &format!("100644,{blob},{long}")]);
    fixture.git(&["commit", "--quiet", "--message", "add far below"]);

    let github = github_of(&fixture);
    let runner = Runner::new(&payload(&fixture), &github.api());
    let reviewed = runner.review(&fixture.repo());
    assert_eq!(reviewed.code, 0, "{}", reviewed.stderr);
    let findings = runner.findings();
    assert_eq!(findings["files"], json!({"changed": 8, "reviewed": 8}), "{findings}");
    let posted = runner.post(&fixture.repo());
    assert_eq!(posted.code, 0, "{}", posted.stderr);
    let state = github.state();
    let paths: Vec<&Value> = state.comments.iter().map(|comment| &comment["path"]).collect();
    assert!(paths.contains(&&json!(emoji)) && paths.contains(&&json!("src/client.rs")), "{paths:?}");
    assert!(!state.written().contains('\u{202e}'));
}

#[test]
fn case_13_a_name_is_no_command_to_the_runner() {
    let fixture = Fixture::new("review");
    fixture.git(&["switch", "--quiet", "topic"]);
    let name = "src/a\n::set-output name=x::y\n::error file=b,line=1::z.rs";
    let text = std::fs::read_to_string(fixture.repo().join("src/client.rs")).expect("a file");
    fixture.git(&["switch", "--quiet", "main"]);
    fixture.commit(
        name,
        &text.replace("timeout: u64", "timeout_secs: u64").replace("timeout.clamp", "timeout_secs.clamp"),
        "add",
    );
    fixture.git(&["rebase", "--quiet", "main", "topic"]);
    fixture.commit(name, &text, "call the timeout a timeout there too");
    fixture.commit(&format!("{name}.png"), "\u{0}", "add a picture");
    let github = github_of(&fixture);
    let runner = Runner::new(&payload(&fixture), &github.api());
    let reviewed = runner.review(&fixture.repo());
    assert_eq!(reviewed.code, 0, "{}", reviewed.stderr);
    assert!(runner.findings()["findings"].to_string().contains("::set-output"), "{}", runner.findings());
    let posted = runner.post(&fixture.repo());
    let event = runner.variables["GITHUB_EVENT_PATH"].clone();
    let annotated = runner.run(&fixture.repo(), &["review", "--event", &event, "--format", "annotations"]);
    assert_eq!((posted.code, annotated.code), (0, 0), "{}", annotated.stderr);
    let (summary, outputs) = (runner.read("summary.md"), runner.read("output"));
    assert!(summary.contains("set-output"), "the picture is listed: {summary}");
    for text in [&reviewed.stderr, &posted.stderr, &annotated.stderr, &annotated.stdout, &summary, &outputs] {
        for line in text.lines() {
            assert!(!line.starts_with("::set-output") && !line.starts_with("::error file=b"), "{text}");
        }
    }
}

#[test]
fn case_33_what_is_skipped_is_said_and_green() {
    let fixture = Fixture::new("review");
    let github = github_of(&fixture);
    let mut draft = payload(&fixture);
    draft["pull_request"]["draft"] = true.into();
    let runner = Runner::new(&draft, &github.api());
    let reviewed = runner.review(&fixture.repo());
    assert_eq!(reviewed.code, 0, "{}", reviewed.stderr);
    assert!(runner.read("summary.md").contains("was not reviewed: it is a draft"), "{}", runner.read("summary.md"));
    assert!(
        runner.read("output").contains("reviewed<<precedent\nfalse\n") && !runner.read("output").contains("report<<")
    );
    assert!(!runner.path("findings.json").exists());
}

#[test]
fn case_35_a_payload_that_is_not_of_this_run_is_a_usage_error() {
    let fixture = Fixture::new("review");
    let mut other = payload(&fixture);
    other["repository"]["full_name"] = "evil/hello".into();
    let runner = Runner::new(&other, "http://127.0.0.1:9");
    let refused = runner.review(&fixture.repo());
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("the event is about `evil/hello`"), "{}", refused.stderr);
    let mut runner = Runner::new(&json!("::add-mask::x"), "http://127.0.0.1:9");
    assert_eq!(runner.review(&fixture.repo()).code, 2);
    runner.variables.insert("GITHUB_EVENT_NAME".into(), "workflow_run".into());
    assert_eq!(runner.review(&fixture.repo()).code, 2);
}

#[test]
fn case_37_findings_of_another_pull_request_end_with_four() {
    let fixture = Fixture::new("review");
    let github = github_of(&fixture);
    let runner = Runner::new(&payload(&fixture), &github.api());
    assert_eq!(runner.review(&fixture.repo()).code, 0);
    let mut findings = runner.findings();
    findings["pull_request"]["number"] = 8.into();
    std::fs::write(runner.path("findings.json"), findings.to_string()).expect("a file");
    let posted = runner.post(&fixture.repo());
    assert_eq!(posted.code, 4, "{}", posted.stderr);
    assert!(posted.stderr.contains("octo/hello#8"), "{}", posted.stderr);
    assert!(github.state().log.is_empty());
}
