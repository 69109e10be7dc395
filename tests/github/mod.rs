//! On GitHub: payloads, posting, and the hostile and faulty cases of docs/github.md by their numbers.
//!
//! The program talks to a fault proxy where faults are wanted, and then to the gate of a small stateful GitHub. With
//! `PRECEDENT_CONTRACT` set, a validating proxy with GitHub's own description of its API stands behind every gate; see
//! `chain.rs`. `just contract` installs it.

mod action;
mod anchors;
mod cases;
mod chain;
mod contract;
mod fake;
mod faults;
mod git_data;
mod graph;
mod heard;
pub(crate) mod http;
mod objects;
mod proxy;
mod reviews;
pub(crate) mod run;
mod settle;
mod shallow;
mod workflows;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use precedent_bot::diff::FileDiff;
use precedent_bot::github::client::{Client, Settings as Access};
use precedent_bot::github::event::{PullNumber, PullRequest};
use precedent_bot::github::post::{self, PostError, Posted, Settings};
use precedent_bot::github::report::Report;
use precedent_pipeline::shard::ObjectId;
use serde_json::{Value, json};

const HEAD: &str = "1111111111111111111111111111111111111111";
const NEXT_HEAD: &str = "2222222222222222222222222222222222222222";
const BASE: &str = "9999999999999999999999999999999999999999";

fn pull(head: &str) -> PullRequest {
    PullRequest {
        repository: fake::REPOSITORY.into(),
        number: PullNumber(fake::NUMBER),
        head: ObjectId::from_hex(head).expect("an id"),
        base: ObjectId::from_hex(BASE).expect("an id"),
        fork: true,
    }
}

/// A finding on a line of `src/a.rs`; `key` makes its id.
fn finding(key: &str, line: u32) -> Value {
    json!({
        "id": format!("{:016x}", key.bytes().fold(7u64, |id, byte| id.wrapping_mul(31).wrapping_add(u64::from(byte)))),
        "check": "stale-doc", "path": "src/a.rs", "side": "RIGHT", "start_line": null, "line": line,
        "severity": "minor", "confidence": null, "title": format!("title of {key}"), "body": format!("body of {key}"),
        "suggestion": null,
        "citations": [{"commit": BASE, "path": "src/a.rs", "lines": [1, 1], "quote": "1"}],
    })
}

/// A report of these findings with one fact that people see.
fn report(head: &str, findings: &[Value]) -> Value {
    json!({
        "schema": 1, "base": BASE, "base_tip": BASE, "head": head, "model": "table-v2",
        "pull_request": {"repository": fake::REPOSITORY, "number": fake::NUMBER, "head": head, "base": BASE, "fork": true},
        "files": {"changed": 2, "reviewed": 1},
        "briefing": [{
            "kind": "companion", "node": {"path": "src/b.rs", "symbol": "b"}, "about": {"path": "src/a.rs", "symbol": "a"},
            "text": "`b` changed in 6 of the 6 changes of `a`", "score": 1.0, "shown": true, "here": false,
            "citations": [{"commit": BASE, "path": "src/b.rs", "lines": [1, 2], "quote": "fn b() {}"}],
        }],
        "findings": findings,
        "checks": ["stale-doc"],
        "skipped": [{"what": "gen/x.rs", "why": "generated", "file": true}],
        "partial": true, "seconds": 0.1,
    })
}

/// Posts a report; waits are noted, not waited.
struct Run {
    waits: Arc<Mutex<Vec<u64>>>,
    requests: u32,
    result: Result<Posted, PostError>,
}

/// How to ask, with waits that are noted and not waited.
fn access(api: &str, waits: &Arc<Mutex<Vec<u64>>>) -> Access {
    let noted = Arc::clone(waits);
    Access {
        sleep: Arc::new(move |time: Duration| noted.lock().expect("the waits").push(time.as_secs())),
        timeout: Duration::from_secs(20),
        ..Access::new(api, fake::TOKEN)
    }
}

/// A client that notes its waits and does not wait.
fn client(api: &str, waits: &Arc<Mutex<Vec<u64>>>) -> Client {
    Client::new(access(api, waits)).expect("a client")
}

fn post_to(api: &str, head: &str, report: &Value) -> Run {
    post_with(api, head, report, &HashMap::new())
}

/// The same with the clone's own hunks.
fn post_with(api: &str, head: &str, report: &Value, own_diff: &HashMap<String, FileDiff>) -> Run {
    let waits = Arc::new(Mutex::new(Vec::new()));
    let client = client(api, &waits);
    let report = Report::read(report.to_string().as_bytes()).expect("a report");
    let result = post::post(&client, &pull(head), &report, own_diff, &Settings::default());
    Run { waits, requests: client.requests(), result }
}

impl Run {
    fn posted(&self) -> &Posted {
        self.result.as_ref().unwrap_or_else(|error| panic!("{error}"))
    }

    fn error(&self) -> String {
        self.result.as_ref().expect_err("a failure").to_string()
    }

    fn waits(&self) -> Vec<u64> {
        self.waits.lock().expect("the waits").clone()
    }
}
