//! The contract: what `just contract` brings beside GitHub's description of its REST API, which `chain.rs` puts before
//! every test: the schema of GraphQL, against which the one query is held as a text, and examples of payloads.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use precedent_bot::github::event::{Event, Skip};
use precedent_bot::github::post::Outcome;
use precedent_bot::github::threads;
use serde_json::Value;

use super::chain::contract;
use super::fake::{GitHub, NUMBER, REPOSITORY};
use super::proxy::Proxy;
use super::run::{Runner, github_of};
use super::{HEAD, NEXT_HEAD, finding, post_to, report};
use crate::support::Fixture;

#[test]
fn every_request_of_a_review_and_a_push_is_held_against_the_description() {
    if contract().is_none() {
        return;
    }
    let github = GitHub::new(HEAD);
    let proxy = Proxy::new(github.address(), HashMap::new());
    let mut range = finding("range", 6);
    range["start_line"] = 4.into();
    let mut left = finding("left", 5);
    left["side"] = "LEFT".into();
    let findings = [finding("a", 5), range, left];
    assert_eq!(post_to(&proxy.api(), HEAD, &report(HEAD, &findings)).posted().outcome, Outcome::Posted { comments: 3 });
    // A push: the summary is edited, two comments are settled, one is new.
    github.state().push(NEXT_HEAD);
    let next = post_to(&proxy.api(), NEXT_HEAD, &report(NEXT_HEAD, &[finding("a", 5), finding("b", 4)]));
    assert_eq!((&next.posted().outcome, next.posted().settled), (&Outcome::Posted { comments: 1 }, 2));
    assert!(proxy.seen() >= 14);
    assert_eq!((github.checked(), github.state().log.len()), (proxy.seen(), proxy.seen()));
}

#[test]
fn the_query_to_graphql_is_one_that_githubs_schema_has() {
    let Some(contract) = contract() else { return };
    let wrong = |query: &str| {
        let mut node = Command::new("node")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/github/graphql.mjs"))
            .arg(&contract)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node");
        node.stdin.take().expect("its input").write_all(query.as_bytes()).expect("written");
        let output = node.wait_with_output().expect("node");
        assert!(output.status.success(), "see `just contract`");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(wrong(threads::QUERY), "");
    assert!(wrong(&threads::QUERY.replace("isOutdated", "isOld")).contains("isOld"));
}

/// Payloads of pull requests, as GitHub gives them for examples.
fn payloads(contract: &Path) -> Vec<Value> {
    let path = contract.join("node_modules/@octokit/webhooks-examples/api.github.com/index.json");
    let all: Vec<Value> = serde_json::from_slice(&std::fs::read(path).expect("the examples")).expect("JSON");
    let events = all.iter().find(|event| event["name"] == "pull_request").expect("pull requests");
    events["examples"].as_array().expect("a list").clone()
}

/// The same payload from a fork; none of the examples is.
fn from_fork(payload: &Value) -> Value {
    let mut fork = payload.clone();
    fork["pull_request"]["head"]["repo"]["full_name"] = "ada/fork".into();
    fork["pull_request"]["head"]["repo"]["fork"] = true.into();
    fork
}

#[test]
fn a_payload_of_githubs_own_is_reviewed_by_the_binary() {
    let Some(contract) = contract() else { return };
    let fixture = Fixture::new("review");
    let github = github_of(&fixture);
    let examples = payloads(&contract);
    for action in ["opened", "synchronize"] {
        let mut own = examples.iter().find(|example| example["action"] == action).expect("an example").clone();
        (own["number"], own["pull_request"]["number"]) = (NUMBER.into(), NUMBER.into());
        own["repository"]["full_name"] = REPOSITORY.into();
        for (end, revision) in [("head", "topic"), ("base", "main")] {
            own["pull_request"][end]["repo"]["full_name"] = REPOSITORY.into();
            own["pull_request"][end]["sha"] = fixture.git(&["rev-parse", revision]).into();
        }
        for (payload, is_fork) in [(&own, false), (&from_fork(&own), true)] {
            let runner = Runner::new(payload, &github.api());
            let findings = runner.findings_of(&fixture);
            assert_eq!(findings["findings"][0]["check"], "stale-doc", "{action}");
            assert_eq!(findings["pull_request"]["fork"], is_fork, "{action}");
        }
        let mut gone = own.clone();
        gone["pull_request"]["head"]["repo"] = Value::Null;
        let runner = Runner::new(&gone, &github.api());
        assert_eq!(runner.review(&fixture.repo()).code, 0, "{action}");
        assert!(runner.read("summary.md").contains("was not reviewed"), "{action}: {}", runner.read("summary.md"));
        assert!(!runner.path("findings.json").exists(), "{action}");
    }
}

#[test]
fn every_payload_that_github_gives_as_an_example_is_read() {
    let Some(contract) = contract() else { return };
    let examples = payloads(&contract);
    let mut reviews = 0;
    for example in &examples {
        let repository = example["repository"]["full_name"].as_str().expect("a name");
        let read = |payload: &Value| Event::read(payload.to_string().as_bytes(), "pull_request", repository);
        let event = read(example).unwrap_or_else(|error| panic!("{error}: {}", example["action"]));
        if matches!(event, Event::Review(_)) {
            reviews += 1;
        }
        let mut fork = from_fork(example);
        let is_fork = |event: &Event| matches!(event, Event::Review(pull) | Event::Skip(pull, _) if pull.fork);
        assert!(read(&fork).is_ok_and(|event| is_fork(&event)));
        fork["pull_request"]["head"]["repo"] = Value::Null;
        let gone = read(&fork).expect("a payload");
        assert!(matches!(gone, Event::Skip(_, _)), "{gone:?}");
        if matches!(event, Event::Review(_)) {
            assert!(matches!(gone, Event::Skip(_, Skip::HeadGone)));
        }
    }
    assert!(examples.len() >= 29 && reviews >= 10, "{reviews} of {}", examples.len());
}
