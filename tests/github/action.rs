//! The composite action, its steps played in a shell with a runner's environment.

use std::process::Command;

use super::reviews::own_comment;
use super::run::{Runner, github_of, payload};
use crate::support::{Fixture, Ran, git, root};

/// Plays a script of the action as its step does: the inputs in variables, the workspace as the directory.
fn step(runner: &Runner, fixture: &Fixture, script: &str, inputs: &[(&str, &str)]) -> Ran {
    let output = Command::new("bash")
        .arg(root().join("action").join(script))
        .current_dir(fixture.beside("workspace"))
        .envs(&runner.variables)
        .env("GITHUB_ACTION_PATH", root())
        .envs(inputs.iter().copied())
        .output()
        .expect("bash");
    Ran::of(output)
}

#[test]
fn the_steps_index_review_and_post_as_the_workflows_do() {
    let fixture = Fixture::new("review");
    fixture.git(&["update-ref", "refs/pull/7/head", "topic"]);
    let workspace = fixture.beside("workspace").display().to_string();
    let origin = fixture.repo().display().to_string();
    fixture.git(&["clone", "--quiet", "--single-branch", "--branch", "main", &origin, &workspace]);
    let github = github_of(&fixture);
    let runner = Runner::new(&payload(&fixture), &github.api());
    github.state().past_comments = [20, 21].map(|id| own_comment(id, 3, 1)).to_vec();
    github.state().past_comments[1]["user"]["login"] = "octo-reviews[bot]".into();
    let store = fixture.beside("store").display().to_string();
    let inputs = |mode| {
        [
            ("PRECEDENT_BINARY", env!("CARGO_BIN_EXE_precedent")),
            ("PRECEDENT_MODE", mode),
            ("PRECEDENT_STORE", store.as_str()),
            ("PRECEDENT_FINDINGS", "precedent-findings.json"),
            ("PRECEDENT_AUTHOR", "github-actions[bot]"),
        ]
    };
    let installed = step(&runner, &fixture, "install.sh", &inputs("index"));
    assert_eq!(installed.code, 0, "{}", installed.stderr);
    assert!(installed.stdout.starts_with("precedent ") && runner.read("path").contains("precedent-bin"));

    let indexed = step(&runner, &fixture, "run.sh", &inputs("index"));
    assert_eq!(indexed.code, 0, "{}", indexed.stderr);
    assert!(runner.read("summary.md").contains("### Precedent: index"), "{}", runner.read("summary.md"));
    let asked = |what: &str| github.state().log.iter().filter(|(_, path, _)| path.contains(what)).count();
    assert!(asked("/pulls/comments?sort=updated") > 0 && asked("/pulls/comments?sort=created") > 0);
    assert!(indexed.stdout.contains("own comments of stale-doc: 0 taken up, 1 turned down"), "{}", indexed.stdout);
    // An app of one's own posts under its own name.
    let mut other = inputs("index");
    other[4] = ("PRECEDENT_AUTHOR", "octo-reviews[bot]");
    github.state().past_comments.push(own_comment(22, 3, 1));
    let indexed = step(&runner, &fixture, "run.sh", &other);
    assert!(indexed.stdout.contains("own comments of stale-doc: 0 taken up, 1 turned down"), "{}", indexed.stdout);

    let reviewed = step(&runner, &fixture, "run.sh", &inputs("review"));
    assert_eq!(reviewed.code, 0, "{}", reviewed.stderr);
    let outputs = runner.read("output");
    assert!(outputs.contains("report<<precedent_") && outputs.contains("\nprecedent-findings.json\n"), "{outputs}");
    assert!(runner.read("summary.md").contains("nothing had to be added"), "{}", runner.read("summary.md"));

    // For those who want no comments: code scanning reads the one, the runner the other.
    let file = fixture.beside("workspace").join("precedent-findings.json");
    let as_format =
        |format| step(&runner, &fixture, "run.sh", &[&inputs("review")[..], &[("PRECEDENT_FORMAT", format)]].concat());
    let sarif = as_format("sarif");
    assert_eq!((sarif.code, sarif.stdout.as_str()), (0, ""), "{}", sarif.stderr);
    let written: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&file).expect("a file")).expect("JSON");
    assert_eq!(written["runs"][0]["results"][0]["ruleId"], "stale-doc", "{written}");
    std::fs::remove_file(&file).expect("a file");
    std::fs::remove_file(runner.path("output")).expect("a file");
    let annotated = as_format("annotations");
    assert_eq!(annotated.code, 0, "{}", annotated.stderr);
    assert!(annotated.stdout.contains("::warning file=src/client.rs,line="), "{}", annotated.stdout);
    assert!(!file.exists() && !runner.read("output").contains("report<<"), "{}", runner.read("output"));
    assert_eq!(as_format("html").code, 2);

    // A model that nobody answers for takes nothing with it.
    let voice =
        [("PRECEDENT_LLM", "a-model"), ("PRECEDENT_LLM_URL", "http://127.0.0.1:9/v1"), ("PRECEDENT_LLM_KEY", "k")];
    let asked = step(&runner, &fixture, "run.sh", &[&inputs("review")[..], &voice].concat());
    assert_eq!(asked.code, 0, "{}", asked.stderr);
    let report =
        std::fs::read_to_string(fixture.beside("workspace").join("precedent-findings.json")).expect("a report");
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(report["llm"]["model"], "a-model", "{}", report["llm"]);
    assert!(report["skipped"].to_string().contains("model"), "{}", report["skipped"]);

    // What it may cost reaches it: no question may be asked here.
    let capped = step(
        &runner,
        &fixture,
        "run.sh",
        &[&inputs("review")[..], &voice, &[("PRECEDENT_LLM_REQUESTS", "0"), ("PRECEDENT_LLM_COST", "x")]].concat(),
    );
    assert!(capped.code == 2 && capped.stderr.contains("--llm-cost"), "{}", capped.stderr);
    for (name, option) in
        [("SECONDS", "--llm-seconds"), ("INPUT_PRICE", "--llm-input-price"), ("OUTPUT_PRICE", "--llm-output-price")]
    {
        let name = format!("PRECEDENT_LLM_{name}");
        let wrong = step(&runner, &fixture, "run.sh", &[&inputs("review")[..], &voice, &[(&*name, "x")]].concat());
        assert!(wrong.code == 2 && wrong.stderr.contains(option), "{}", wrong.stderr);
    }
    let capped = step(
        &runner,
        &fixture,
        "run.sh",
        &[&inputs("review")[..], &voice, &[("PRECEDENT_LLM_REQUESTS", "0"), ("PRECEDENT_LLM_COST", "")]].concat(),
    );
    assert_eq!(capped.code, 0, "{}", capped.stderr);
    let report = std::fs::read_to_string(&file).expect("a report");
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!((&report["llm"]["requests"], report["llm"]["unasked"].as_array().map(Vec::len)), (&0.into(), Some(1)));

    let posted = step(&runner, &fixture, "run.sh", &inputs("post"));
    assert_eq!(posted.code, 0, "{}", posted.stderr);
    assert!(runner.read("output").contains("outcome<<precedent\nposted\nprecedent\n"));
    assert_eq!(github.state().sent_reviews(), 1);
    // The workspace holds the base and one file more.
    assert_eq!(git(&fixture.beside("workspace"), &["status", "--porcelain"]), "?? precedent-findings.json");

    let wrong = step(&runner, &fixture, "run.sh", &inputs("approve"));
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
}

#[test]
fn each_variable_of_the_scripts_is_set_by_the_action() {
    let action = std::fs::read_to_string(root().join("action.yml")).expect("the action");
    for script in ["install.sh", "run.sh"] {
        let text = std::fs::read_to_string(root().join("action").join(script)).expect("a script");
        assert!(action.contains(&format!("bash \"$GITHUB_ACTION_PATH/action/{script}\"")), "{script}");
        for word in text.split(|letter: char| !(letter.is_ascii_uppercase() || letter == '_')) {
            if word.starts_with("PRECEDENT_") {
                assert!(action.contains(&format!("{word}: ${{{{")), "{script} reads {word}");
            }
        }
    }
    for (variable, input) in [
        ("FORMAT", "format"),
        ("AUTHOR", "author"),
        ("LLM", "llm"),
        ("LLM_URL", "llm-url"),
        ("LLM_KEY", "llm-key"),
        ("LLM_REQUESTS", "llm-requests"),
        ("LLM_COST", "llm-cost"),
        ("LLM_SECONDS", "llm-seconds"),
        ("LLM_INPUT_PRICE", "llm-input-price"),
        ("LLM_OUTPUT_PRICE", "llm-output-price"),
    ] {
        assert!(action.contains(&format!("PRECEDENT_{variable}: ${{{{ inputs.{input} }}}}")), "{variable}");
    }
}

#[test]
fn a_release_whose_sum_or_attestation_is_missing_is_not_installed() {
    let fixture = Fixture::empty();
    std::fs::create_dir(fixture.beside("workspace")).expect("a folder");
    let bin = fixture.beside("bin");
    std::fs::create_dir(&bin).expect("a folder");
    // In place of GitHub's tool: an archive, its sum, and an attestation that holds only when it is asked to.
    let gh = "#!/bin/sh\nif [ \"$1\" = release ]; then mkdir p; printf '#!/bin/sh\\necho precedent 9\\n' > p/precedent; chmod +x p/precedent\n\
              tar -czf precedent-x86_64-unknown-linux-gnu.tar.gz -C p precedent; sha256sum precedent-*.tar.gz > SHA256SUMS\n\
              [ \"$SPOIL\" = sum ] && echo x >> precedent-x86_64-unknown-linux-gnu.tar.gz; [ \"$SPOIL\" = gone ] && : > SHA256SUMS; exit 0; fi\n\
              case \"$*\" in\n\
              *\" --repo octo/precedent \"*\"--source-ref refs/tags/v9 \"*\"--signer-workflow octo/precedent/.github/workflows/release.yml\") ;;\n\
              *) echo \"not bound: $*\" >&2; exit 1 ;;\nesac\n\
              [ \"$SPOIL\" != attestation ]\n";
    std::fs::write(bin.join("gh"), gh).expect("a script");
    Command::new("chmod").arg("+x").arg(bin.join("gh")).status().expect("chmod");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").expect("a path"));
    for (spoil, works) in [("", true), ("sum", false), ("gone", false), ("attestation", false)] {
        let runner = Runner::new(&serde_json::json!({}), "http://127.0.0.1:9");
        let inputs =
            [("PRECEDENT_VERSION", "v9"), ("PRECEDENT_SOURCE", "octo/precedent"), ("SPOIL", spoil), ("PATH", &*path)];
        let installed = step(&runner, &fixture, "install.sh", &inputs);
        assert_eq!(installed.code == 0, works, "{spoil}: {}{}", installed.stdout, installed.stderr);
        assert_eq!(runner.read("path").contains("precedent-bin"), works, "{spoil}");
    }
}
