//! The contract: our requests, and the answers of our small GitHub, against GitHub's own description of its API.
//!
//! `just contract` prepares `target/contract` and runs these; without it they check nothing, and say so. The validating
//! proxy knows REST alone, so GraphQL does not go through it: its one query is held against GitHub's schema as a text.

use std::collections::HashMap;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use precedent_bot::github::event::{Event, Skip};
use precedent_bot::github::post::Outcome;
use precedent_bot::github::{heard, threads};
use serde_json::Value;

use super::fake::GitHub;
use super::proxy::{Fault, Proxy};
use super::{HEAD, NEXT_HEAD, finding, post_to, report};

/// Where `just contract` put GitHub's description; `None` where it has not run.
#[expect(clippy::print_stderr, reason = "that nothing was checked must be seen")]
fn contract() -> Option<PathBuf> {
    match std::env::var_os("PRECEDENT_CONTRACT") {
        Some(path) => Some(path.into()),
        None => {
            assert!(std::env::var_os("PRECEDENT_REQUIRE_CONTRACT").is_none(), "the contract is required and not here");
            eprintln!("PRECEDENT_CONTRACT is not set: nothing is checked here; see `just contract`");
            None
        }
    }
}

/// Prism, until it is dropped.
struct Prism {
    process: Child,
    address: String,
}

impl Prism {
    fn start(contract: &std::path::Path, upstream: &str) -> Prism {
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        let process = Command::new("node")
            .arg(contract.join("node_modules/@stoplight/prism-cli/dist/index.js"))
            .arg("proxy")
            .arg(contract.join("api.json"))
            .args([upstream, "--port", &port.to_string(), "--host", "127.0.0.1"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("node");
        let prism = Prism { process, address: format!("127.0.0.1:{port}") };
        for _ in 0..600 {
            if TcpStream::connect(&prism.address).is_ok() {
                return prism;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("prism did not start");
    }
}

impl Drop for Prism {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn requests_and_answers_are_those_of_githubs_description() {
    let Some(contract) = contract() else { return };
    let github = GitHub::new(HEAD);
    let prism = Prism::start(&contract, &github.api());
    let proxy = Proxy::new(&prism.address, HashMap::new());
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
    assert_eq!(proxy.violations(), Vec::<String>::new());
    assert!(proxy.seen() >= 14);
}

#[test]
fn what_reviewers_said_is_asked_for_as_github_describes() {
    let Some(contract) = contract() else { return };
    let github = GitHub::new(HEAD);
    github.state().past_comments = vec![
        super::reviews::comment(11, 3, "2020-01-03T00:00:00Z"),
        super::reviews::comment(12, 4, "2020-01-04T00:00:00Z"),
    ];
    github.state().merged.insert(3, HEAD.into());
    let prism = Prism::start(&contract, &github.api());
    let proxy = Proxy::new(&prism.address, HashMap::new());
    let client = super::client(&proxy.api(), &Default::default());
    let place = precedent_pipeline::shard::ReviewsPlace { until: Some(0), waiting: Vec::new() };
    let fetched =
        precedent_bot::github::reviews::fetch(&client, super::fake::REPOSITORY, &place, 5, &[]).expect("comments");
    assert_eq!((fetched.read, fetched.said.len(), fetched.left_out.len()), (2, 0, 1), "{:?}", fetched.left_out);
    assert_eq!(proxy.violations(), Vec::<String>::new());
    assert_eq!(proxy.seen(), 3);
}

#[test]
fn objects_are_asked_for_as_github_describes() {
    let Some(contract) = contract() else { return };
    for truncates in [false, true] {
        let scene = super::objects::Scene::new();
        scene.github.state().truncates = truncates;
        let prism = Prism::start(&contract, &scene.github.api());
        let proxy = Proxy::new(&prism.address, HashMap::new());
        let ran = scene.runner(&proxy.api()).review(&scene.clone);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert_eq!(proxy.violations(), Vec::<String>::new());
        assert!(proxy.seen() >= 5, "{}", proxy.seen());
    }
}

#[test]
fn what_people_made_of_comments_is_asked_for_as_github_describes() {
    let Some(contract) = contract() else { return };
    let github = GitHub::new(HEAD);
    github.state().past_comments = vec![super::reviews::own_comment(11, 3, 0)];
    let prism = Prism::start(&contract, &github.api());
    let proxy = Proxy::new(&prism.address, HashMap::new());
    let client = super::client(&proxy.api(), &Default::default());
    let graphql = super::access(&format!("{}/graphql", github.api()), &Default::default());
    let hearing = heard::heard(&client, &graphql, super::fake::REPOSITORY, super::fake::AUTHOR).expect("comments");
    assert_eq!((hearing.heard["stale-doc"].open, hearing.notes), (1, Vec::new()));
    assert_eq!((proxy.violations(), proxy.seen(), hearing.requests), (Vec::new(), 1, 1));

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

#[test]
fn the_chain_holds_under_faults() {
    let Some(contract) = contract() else { return };
    let github = GitHub::new(HEAD);
    let prism = Prism::start(&contract, &github.api());
    for fault in [Fault::BadGateway, Fault::Drop, Fault::TooMany(1)] {
        for position in 0..8 {
            {
                let mut state = github.state();
                state.reviews.clear();
                state.comments.clear();
                state.issue_comments.clear();
            }
            let proxy = Proxy::new(&prism.address, HashMap::from([(position, fault.clone())]));
            post_to(&proxy.api(), HEAD, &report(HEAD, &[finding("a", 5)])).posted();
            let state = github.state();
            assert_eq!((state.sent_reviews(), state.issue_comments.len()), (1, 1), "{fault:?} at {position}");
        }
    }
}

#[test]
fn the_description_would_notice_a_wrong_request() {
    let Some(contract) = contract() else { return };
    let github = GitHub::new(HEAD);
    let prism = Prism::start(&contract, &github.api());
    let wrong = super::http::Request {
        method: "POST".into(),
        target: "/repos/octo/hello/pulls/7/reviews".into(),
        headers: vec![("content-type".into(), "application/json".into())],
        body: br#"{"event": "APPLAUD", "comments": [{"path": 7}]}"#.to_vec(),
    };
    let answer = super::http::forward(&prism.address, &wrong).expect("an answer");
    assert!(super::http::header(&answer.headers, "sl-violations").is_some_and(|said| said.contains("event")));
}

#[test]
fn every_payload_that_github_gives_as_an_example_is_read() {
    let Some(contract) = contract() else { return };
    let path = contract.join("node_modules/@octokit/webhooks-examples/api.github.com/index.json");
    let all: Vec<Value> = serde_json::from_slice(&std::fs::read(path).expect("the examples")).expect("JSON");
    let events = all.iter().find(|event| event["name"] == "pull_request").expect("pull requests");
    let examples = events["examples"].as_array().expect("a list");
    let mut reviews = 0;
    for example in examples {
        let repository = example["repository"]["full_name"].as_str().expect("a name");
        let read = |payload: &Value| Event::read(payload.to_string().as_bytes(), "pull_request", repository);
        let event = read(example).unwrap_or_else(|error| panic!("{error}: {}", example["action"]));
        if matches!(event, Event::Review(_)) {
            reviews += 1;
        }
        // None of them is from a fork, or from one that is gone.
        let mut fork = example.clone();
        fork["pull_request"]["head"]["repo"]["full_name"] = "ada/fork".into();
        fork["pull_request"]["head"]["repo"]["fork"] = true.into();
        let is_fork = |event: &Event| matches!(event, Event::Review(pull) | Event::Skip(pull, _) if pull.fork);
        assert!(read(&fork).is_ok_and(|event| is_fork(&event)));
        fork["pull_request"]["head"]["repo"] = Value::Null;
        let gone = read(&fork).expect("a payload");
        assert!(matches!(gone, Event::Skip(_, _)), "{gone:?}");
        if matches!(event, Event::Review(_)) {
            assert!(matches!(gone, Event::Skip(_, Skip::HeadGone)));
        }
    }
    assert!(examples.len() >= 20 && reviews >= 4, "{reviews} of {}", examples.len());
}
