//! `precedent review --llm`: what a language model says, and what becomes of it when it lies, stalls or breaks.
//!
//! The model is a scripted server on this machine.

mod budget;
mod cases;
mod faults;
mod local;
mod untrue;

use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::github::http::{Request, Response, Server, header};
use crate::support::{Fixture, Ran, keys, precedent};

const KEY: &str = "sk-canary-0123456789abcdefghij";
const BEFORE: &str =
    "/// Waits.\npub fn delay(base: u64, attempt: u32) -> u64 {\n    base.saturating_mul(1 << attempt.min(16))\n}\n";
const AFTER: &str = "/// Waits.\npub fn delay(base: u64, attempt: u32) -> u64 {\n    base << attempt\n}\n";

/// A repository in which `topic` changes what `main` has.
fn repository(files: &[(&str, &str, &str)]) -> Fixture {
    let fixture = Fixture::empty();
    fixture.git(&["init", "--quiet", "--initial-branch=main"]);
    for (path, before, _) in files {
        fixture.commit(path, before, &format!("add {path}"));
    }
    fixture.git(&["checkout", "--quiet", "-b", "topic"]);
    for (path, _, after) in files {
        std::fs::write(fixture.repo().join(path), after).expect("a file");
    }
    fixture.git(&["commit", "--quiet", "--all", "--message", "shift instead"]);
    fixture
}

pub(crate) fn one_file() -> Fixture {
    repository(&[("src/lib.rs", BEFORE, AFTER)])
}

/// A model that answers as a script says; it remembers what it was asked.
pub(crate) struct Scripted {
    server: Server,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Scripted {
    fn new(answer: impl Fn(&Value, usize) -> Option<Response> + Send + Sync + 'static) -> Scripted {
        let asked: Arc<Mutex<Vec<Request>>> = Arc::default();
        let log = Arc::clone(&asked);
        let server = Server::start(move |request| {
            let body = serde_json::from_slice(&request.body).unwrap_or_default();
            let at = {
                let mut log = log.lock().expect("the log");
                log.push(request);
                log.len() - 1
            };
            answer(&body, at)
        });
        Scripted { server, asked }
    }

    /// One that claims this, and keeps everything when it is asked a second time.
    pub(crate) fn claiming(claims: Value) -> Scripted {
        Scripted::new(move |body, _| Some(said(body, &first_or_second(body, &claims))))
    }

    fn asked(&self) -> Vec<Request> {
        self.asked.lock().expect("the log").clone()
    }

    pub(crate) fn bodies(&self) -> Vec<Value> {
        self.asked().iter().map(|request| serde_json::from_slice(&request.body).expect("JSON")).collect()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/v1", self.server.address())
    }

    fn review(&self, fixture: &Fixture, more: &[&str]) -> Ran {
        Ran::of(asking(self.server.address(), fixture, more).output().expect("the binary"))
    }

    pub(crate) fn json(&self, fixture: &Fixture, more: &[&str]) -> Value {
        let ran = self.review(fixture, &[&["--json"], more].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        serde_json::from_str(&ran.stdout).expect("JSON")
    }
}

/// A review that asks the server at this address.
fn asking(address: &str, fixture: &Fixture, more: &[&str]) -> Command {
    let url = format!("http://{address}/v1");
    let mut arguments = vec!["review", "main..topic", "--llm", "tiny-coder", "--llm-url", &url];
    arguments.extend(more);
    let mut command = precedent(&fixture.repo(), &arguments);
    command.env("PRECEDENT_LLM_KEY", KEY);
    command
}

/// What a server says when its model says this.
fn said(body: &Value, text: &str) -> Response {
    Response::json(
        200,
        &json!({
            "id": "x", "object": "chat.completion", "model": body["model"],
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
        }),
    )
}

pub(crate) fn user(body: &Value) -> &str {
    body["messages"][1]["content"].as_str().unwrap_or_default()
}

/// The claims; asked a second time, all their ids.
fn first_or_second(body: &Value, claims: &Value) -> String {
    let ids: Vec<&str> = user(body)
        .lines()
        .filter_map(|line| line.split_once(" · ").map(|(id, _)| id))
        .filter(|id| id.strip_prefix('F').is_some_and(|number| number.parse::<u32>().is_ok()))
        .collect();
    match ids.is_empty() {
        true => json!({"findings": claims}).to_string(),
        false => json!({"keep": ids}).to_string(),
    }
}

pub(crate) fn claim() -> Value {
    json!({
        "hunk": 1, "line": 3, "quote": "base << attempt", "kind": "bug", "severity": "major",
        "title": "The shift overflows", "body": "For an attempt of 64 or more this panics, and bits are lost before.",
        "suggestion": "    base.checked_shl(attempt).unwrap_or(u64::MAX)", "precedents": [],
    })
}

fn dropped(review: &Value) -> Vec<(&str, u64)> {
    let list = review["llm"]["dropped"].as_array().expect("a list");
    list.iter()
        .map(|drop| (drop["reason"].as_str().expect("a reason"), drop["count"].as_u64().expect("a count")))
        .collect()
}

#[test]
fn a_claim_that_the_diff_proves_is_shown_with_its_quote() {
    let fixture = one_file();
    let model = Scripted::claiming(json!([claim()]));
    let review = model.json(&fixture, &[]);
    let finding = &review["findings"][0];
    assert_eq!(finding["check"], "model-bug", "{review:#}");
    assert_eq!(
        (&finding["path"], &finding["side"], &finding["line"]),
        (&json!("src/lib.rs"), &json!("RIGHT"), &json!(3))
    );
    assert_eq!(finding["confidence"], Value::Null, "nobody has judged it");
    assert_eq!(finding["citations"][0]["commit"], fixture.git(&["rev-parse", "topic"]).as_str());
    assert_eq!(finding["citations"][0]["quote"], "base << attempt");
    let account = &review["llm"];
    assert_eq!(
        keys(account),
        [
            "cached",
            "cost",
            "dropped",
            "hidden_characters",
            "model",
            "redacted",
            "requests",
            "seconds",
            "stated",
            "tokens",
            "unasked"
        ]
    );
    assert_eq!(
        (&account["requests"], &account["stated"], &account["model"]),
        (&json!(2), &json!(1), &json!("tiny-coder"))
    );
    assert_eq!(account["tokens"], json!({"prompt": 200, "completion": 40}));
    assert_eq!(review["skipped"], json!([]));
    let asked = model.asked();
    assert_eq!(asked[0].target, "/v1/chat/completions");
    assert_eq!(header(&asked[0].headers, "authorization"), Some(format!("Bearer {KEY}").as_str()));
    let body = &model.bodies()[0];
    assert_eq!(body["response_format"]["json_schema"]["strict"], true);
    assert!(user(body).contains("+    3 |     base << attempt\n"), "{}", user(body));
    assert!(user(body).contains("-    3 |     base.saturating_mul(1 << attempt.min(16))\n"));
    assert!(user(body).contains("hunk 1, in: pub fn delay(base: u64, attempt: u32) -> u64 {"));
}

#[test]
fn without_a_model_nothing_changes() {
    let fixture = one_file();
    let review = fixture.json(&["review", "main..topic", "--json", "--llm", "none"]);
    assert!(!keys(&review).contains(&"llm"));
    let ran = fixture.run(&["review", "main..topic", "--llm", "no-such-model"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{}", ran.stderr);
    assert!(ran.stderr.contains("`no-such-model` is no model"), "{}", ran.stderr);
    let ran = fixture.run(&["review", "main..topic", "--explain-prompt"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
}

#[test]
fn a_model_that_cannot_be_opened_is_left_out() {
    let fixture = one_file();
    let empty = fixture.beside("empty-model");
    std::fs::create_dir(&empty).expect("a folder");
    let review = fixture.json(&["review", "main..topic", "--json", "--llm", &empty.display().to_string()]);
    assert!(review["skipped"].to_string().contains("the language model"), "{review:#}");
    assert_eq!(review["partial"], true);
}

#[test]
fn what_is_not_proven_is_dropped_and_counted() {
    let fixture = one_file();
    let with = |name: &str, value: Value| {
        let mut claim = claim();
        claim[name] = value;
        claim
    };
    let model = Scripted::claiming(json!([
        with("quote", json!("base * attempt")),
        with("line", json!(300)),
        with("precedents", json!(["P9"])),
        with("suggestion", json!("base <<< attempt)")),
    ]));
    let review = model.json(&fixture, &[]);
    assert_eq!(review["findings"], json!([]));
    assert_eq!(review["llm"]["stated"], 4);
    assert_eq!(
        dropped(&review),
        [
            ("a quote that is not in the hunk", 1),
            ("a line that is not the quoted one, or not shown", 1),
            ("a precedent that was not given", 1),
            ("a suggestion that does not apply or does not parse", 1),
        ]
    );
    assert_eq!(model.asked().len(), 1, "nothing is left to look at a second time");
}

/// In JSON the reasons stand beside it.
#[test]
fn how_much_was_dropped_is_said_in_every_format() {
    let fixture = one_file();
    let mut wrong = claim();
    wrong["line"] = 300.into();
    let model = Scripted::claiming(json!([claim(), wrong]));
    for format in ["terminal", "markdown", "html"] {
        let ran = model.review(&fixture, &["--format", format]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let shown = ran.stdout.replace(['\\', '\u{200b}'], "");
        let lines: Vec<&str> = shown.lines().filter(|line| line.contains("tiny-coder")).collect();
        assert_eq!(lines.len(), 1, "{shown}");
        assert!(lines[0].contains("model tiny-coder: 2 statements, 1 dropped"), "{format}: {}", lines[0]);
        let silent = fixture.run(&["review", "main..topic", "--llm", "none", "--format", format]);
        assert!(!silent.stdout.contains("statements,"), "{}", silent.stdout);
    }
}

#[test]
fn a_second_look_may_only_reject() {
    for (kept, shown, reasons) in [
        (json!({"keep": []}).to_string(), 0, vec![("rejected by the second look", 1)]),
        (json!({"keep": ["F7", "F1"]}).to_string(), 1, vec![("not in the shape that was asked for", 1)]),
        ("it is right".to_owned(), 0, vec![("not looked at a second time", 1)]),
    ] {
        let model = Scripted::new(move |body, at| {
            let first = first_or_second(body, &json!([claim()]));
            Some(said(body, if at == 0 { &first } else { &kept }))
        });
        // With a cache of its own.
        let review = model.json(&one_file(), &[]);
        assert_eq!(review["findings"].as_array().map(Vec::len), Some(shown), "{review:#}");
        assert_eq!(dropped(&review), reasons);
    }
}

#[test]
fn the_same_question_is_asked_once() {
    let fixture = one_file();
    let model = Scripted::claiming(json!([claim()]));
    let first = model.json(&fixture, &[]);
    let second = model.json(&fixture, &[]);
    assert_eq!(first["findings"], second["findings"]);
    assert_eq!((&second["llm"]["requests"], &second["llm"]["cached"]), (&json!(0), &json!(2)));
    assert_eq!(model.asked().len(), 2);
}

#[test]
fn what_is_explained_is_what_is_sent() {
    let fixture = one_file();
    let model = Scripted::claiming(json!([]));
    let ran = model.review(&fixture, &["--explain-prompt"]);
    assert_eq!((ran.code, model.asked().len()), (0, 0), "{}", ran.stderr);
    assert!(ran.stdout.contains("1 questions to tiny-coder"), "{}", ran.stdout);
    model.json(&fixture, &[]);
    let bodies = model.bodies();
    for message in bodies[0]["messages"].as_array().expect("messages") {
        let content = message["content"].as_str().expect("text");
        assert!(ran.stdout.contains(content.trim_end()), "{content}");
    }
    // So is what goes with the messages.
    let beside = ran.stdout.lines().find_map(|line| line.strip_prefix("--- each with ")).expect("what goes with them");
    let mut body: Value = serde_json::from_str(beside).expect("JSON");
    body["messages"] = bodies[0]["messages"].clone();
    assert_eq!(body, bodies[0]);
    assert!(ran.stdout.contains("You check claims about a change"), "{}", ran.stdout);
}

#[test]
fn tokens_are_counted_by_the_models_own_tokenizer_where_it_is_given() {
    let fixture = one_file();
    let model = Scripted::claiming(json!([]));
    let explained = |more: &[&str]| {
        let ran = model.review(&fixture, &[&["--explain-prompt"], more].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let (_, sum) = ran.stdout.split_once("1 questions to tiny-coder, ").expect("the sum");
        sum.split_once(" tokens to read").expect("a number").0.to_owned()
    };
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/models/writers/deepseek/tokenizer.json");
    let (by_length, by_tokenizer) = (explained(&[]), explained(&["--llm-tokenizer", file]));
    assert_ne!(by_length, by_tokenizer, "{by_length:?}");
    let none = model.review(&fixture, &["--llm-tokenizer", "no-such-file.json"]);
    assert_eq!(none.code, 2, "{}", none.stderr);
    assert!(none.stderr.contains("no-such-file.json"), "{}", none.stderr);
    assert!(model.asked().is_empty());
}

/// A precedent is said with its place; a claim that cites it shows it as evidence.
#[test]
fn a_claim_may_cite_a_precedent() {
    let fixture = repository(&[("src/lib.rs", BEFORE, AFTER)]);
    fixture.git(&["checkout", "--quiet", "main"]);
    for text in [&BEFORE.replace("16", "8"), BEFORE] {
        fixture.commit("src/lib.rs", text, "fix the overflow");
    }
    fixture.git(&["checkout", "--quiet", "topic"]);
    fixture.git(&["rebase", "--quiet", "main"]);
    let mut citing = claim();
    citing["precedents"] = json!(["P1"]);
    citing["body"] = "For an attempt of 64 this panics, and precedent 1 tells that it was fixed before.".into();
    let model = Scripted::claiming(json!([citing]));
    let review = model.json(&fixture, &[]);
    let bodies = model.bodies();
    let told: Vec<&str> = user(&bodies[0]).lines().filter(|line| line.starts_with("precedent P")).collect();
    assert!(told[0].starts_with("precedent P1: ") && told[0].contains(" (src/lib.rs:"), "{told:?}");
    let citations = review["findings"][0]["citations"].as_array().expect("citations");
    assert_eq!(citations.len(), 2, "{review:#}");
    let place = format!("(src/lib.rs:{}-{} at ", citations[1]["lines"][0], citations[1]["lines"][1]);
    let commit = citations[1]["commit"].as_str().expect("a commit");
    assert!(told[0].contains(&place) && told[0].contains(&commit[..7]), "{told:?} {citations:?}");
}

/// What a check claims of a file is a fact for the model.
#[test]
fn claims_of_checks_are_told() {
    let fixture = Fixture::new("review");
    let model = Scripted::claiming(json!([]));
    let review = model.json(&fixture, &[]);
    let claims = review["findings"].as_array().expect("findings");
    assert_eq!((claims.len(), &claims[0]["check"]), (1, &json!("stale-doc")));
    let bodies = model.bodies();
    let about = bodies.iter().map(user).find(|text| text.contains("file: src/client.rs")).expect("a question");
    let told: Vec<&str> = about.lines().filter(|line| line.starts_with("check ")).collect();
    assert_eq!(told.len(), 1, "{about}");
    let title = claims[0]["title"].as_str().expect("a title");
    assert!(told[0].starts_with(&format!("check stale-doc at line 7: {title}")), "{told:?}");
    for other in bodies.iter().map(user).filter(|text| !text.contains("file: src/client.rs")) {
        assert!(!other.contains("check stale-doc"), "{other}");
    }
}

/// Two claims go through the second look: what it puts first is shown first among equals.
#[test]
fn a_second_look_ranks_what_it_keeps() {
    let files = [("src/a.rs", BEFORE, AFTER), ("src/b.rs", BEFORE, AFTER)];
    for is_reversed in [false, true] {
        let model = Scripted::new(move |body, _| {
            let mut answer: Value = serde_json::from_str(&first_or_second(body, &json!([claim()]))).expect("JSON");
            if let Some(ids) = answer.get_mut("keep").and_then(Value::as_array_mut).filter(|_| is_reversed) {
                ids.reverse();
            }
            Some(said(body, &answer.to_string()))
        });
        let review = model.json(&repository(&files), &[]);
        let paths: Vec<&str> = review["findings"]
            .as_array()
            .expect("findings")
            .iter()
            .filter_map(|found| found["path"].as_str())
            .collect();
        let second = model.bodies().pop().expect("a second look");
        let order: Vec<&str> = user(&second)
            .lines()
            .filter_map(|line| line.split_once(" · ")?.1.split_once(':').map(|(path, _)| path))
            .collect();
        let expected: Vec<&str> = if is_reversed { order.into_iter().rev().collect() } else { order };
        assert_eq!((paths.len(), &paths), (2, &expected), "{review:#}");
    }
}

/// More claims than fit into one question are looked at in several; none is lost, and none is asked about for ever.
#[test]
fn a_second_look_is_taken_in_parts_where_the_context_is_small() {
    let names: Vec<String> = (0..6).map(|at| format!("src/m{at}.rs")).collect();
    let files: Vec<(&str, &str, &str)> = names.iter().map(|name| (name.as_str(), BEFORE, AFTER)).collect();
    let mut long = claim();
    long["body"] = "For an attempt of 64 or more this panics, and bits are lost before. ".repeat(20).trim().into();
    let model = Scripted::claiming(json!([long]));
    let review = model.json(&repository(&files), &["--llm-context", "2200"]);
    let bodies = model.bodies();
    let seconds = bodies.iter().filter(|body| user(body).contains("F1 · ") || user(body).contains("F6 · ")).count();
    assert!(seconds >= 2, "{seconds} of {}", bodies.len());
    for body in &bodies {
        let messages = body["messages"].as_array().expect("messages");
        let bytes: usize = messages.iter().filter_map(|message| message["content"].as_str()).map(str::len).sum();
        assert!(bytes / 3 + 100 <= 2200, "{bytes}");
    }
    assert_eq!(dropped(&review), [], "{review:#}");
    assert_eq!(review["findings"].as_array().map(Vec::len), Some(3), "{review:#}");
    assert!(review["skipped"].to_string().contains("3 more findings"), "{}", review["skipped"]);
    // Of few questions, as many are kept as the parts need.
    let few = model.json(&repository(&files), &["--llm-context", "2200", "--llm-requests", "8"]);
    assert!(few["llm"]["unasked"].as_array().is_some_and(|left| (1..6).contains(&left.len())), "{few:#}");
    assert_eq!(dropped(&few), [], "{few:#}");
}

/// Each part of the claims has been looked at when the parts are compared: if that fails, what was kept is still shown.
#[test]
fn a_comparison_that_fails_takes_nothing_that_was_kept() {
    let names: Vec<String> = (0..6).map(|at| format!("src/m{at}.rs")).collect();
    let files: Vec<(&str, &str, &str)> = names.iter().map(|name| (name.as_str(), BEFORE, AFTER)).collect();
    let mut long = claim();
    long["body"] = "For an attempt of 64 or more this panics, and bits are lost before. ".repeat(20).trim().into();
    let seen: Mutex<std::collections::HashSet<String>> = Mutex::default();
    let model = Scripted::new(move |body, _| {
        let mut answer: Value = serde_json::from_str(&first_or_second(body, &json!([long]))).expect("JSON");
        let Some(ids) = answer.get_mut("keep").and_then(Value::as_array_mut) else {
            return Some(said(body, &answer.to_string()));
        };
        let mut seen = seen.lock().expect("what was seen");
        if !ids.iter().all(|id| seen.insert(id.to_string())) {
            return Some(Response::json(400, &json!({"error": {"message": "no more"}})));
        }
        ids.truncate(1);
        Some(said(body, &answer.to_string()))
    });
    let review = model.json(&repository(&files), &["--llm-context", "2200"]);
    let left = review["skipped"].to_string();
    assert!(
        left.contains("the comparison of all that the language model claims") && left.contains("no more"),
        "{left}"
    );
    let shown = review["findings"].as_array().map_or(0, Vec::len);
    let rejected = dropped(&review);
    assert!((2..6).contains(&shown), "{review:#}");
    assert_eq!(rejected, [("rejected by the second look", 6 - shown as u64)], "{review:#}");
}

/// Two questions may say the same: the second look keeps one of them.
#[test]
fn of_claims_that_say_the_same_one_is_shown() {
    let files = [("src/a.rs", BEFORE, AFTER), ("src/b.rs", BEFORE, AFTER)];
    let model = Scripted::new(|body, _| {
        let mut answer: Value = serde_json::from_str(&first_or_second(body, &json!([claim()]))).expect("JSON");
        if let Some(ids) = answer.get_mut("keep").and_then(Value::as_array_mut) {
            ids.truncate(1);
        }
        Some(said(body, &answer.to_string()))
    });
    let review = model.json(&repository(&files), &[]);
    let second = model.bodies().pop().expect("a second look");
    assert_eq!(user(&second).matches("The shift overflows").count(), 2, "both are shown to it at once");
    assert_eq!(review["findings"].as_array().map(Vec::len), Some(1), "{review:#}");
    assert_eq!(dropped(&review), [("rejected by the second look", 1)]);
}
