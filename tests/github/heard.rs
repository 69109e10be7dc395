//! What people made of own comments, as GraphQL tells of conversations that were resolved.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use precedent_bot::github::heard::{self, Hearing};
use precedent_bot::outcomes::Heard;
use serde_json::json;

use super::fake::{AUTHOR, GitHub, REPOSITORY, refusal};
use super::graph::thread;
use super::http::Response;
use super::proxy::{Fault, Proxy, html};
use super::reviews::{fetched, own_comment, scene};
use super::{HEAD, access, client};

/// Six comments of ours in two pull requests, of which nothing is known but what their conversations tell.
fn resolved() -> GitHub {
    let github = GitHub::new(HEAD);
    {
        let mut state = github.state();
        state.past_comments = (1..=6).map(|id| own_comment(id, 3 + id % 2, 0)).collect();
        state.past_comments.push(own_comment(7, 5, 1));
        state.threads = vec![
            (4, thread(1, Some("ada"), true)),
            (3, thread(2, Some("ada"), false)),
            (4, thread(3, Some("github-actions"), true)),
            (3, thread(4, None, true)),
            (4, thread(99, Some("ada"), true)),
            (5, thread(7, Some("ada"), true)),
        ];
    }
    github
}

fn hear(api: &str, graphql: &str) -> (Hearing, Vec<u64>) {
    let waits = Arc::new(Mutex::new(Vec::new()));
    let hearing = heard::heard(&client(api, &waits), &access(graphql, &waits), REPOSITORY, AUTHOR).expect("comments");
    let waits = waits.lock().expect("the waits").clone();
    (hearing, waits)
}

#[test]
fn what_a_person_resolved_was_taken_up_if_the_lines_changed_and_else_turned_down() {
    let github = resolved();
    let (hearing, _) = hear(&github.api(), &format!("{}/graphql", github.api()));
    assert_eq!(hearing.heard["stale-doc"], Heard { taken_up: 1, turned_down: 2, open: 4 });
    assert_eq!((hearing.notes, hearing.requests), (Vec::new(), 2));
    // Of pull request 5 all was known.
    let log = &github.state().log;
    assert_eq!(log.iter().filter(|(_, path, _)| path == "/graphql").count(), 2, "{log:?}");
    assert!(log.iter().all(|(_, path, status)| *status == 200 && (path == "/graphql" || path.starts_with("/repos/"))));
}

#[test]
fn nobody_is_asked_where_all_is_known() {
    let github = resolved();
    github.state().past_comments.retain(|comment| comment["id"] == 7);
    let (hearing, _) = hear(&github.api(), "http://127.0.0.1:9/graphql");
    assert_eq!(hearing.heard["stale-doc"], Heard { taken_up: 0, turned_down: 1, open: 0 });
    assert_eq!((hearing.notes, hearing.requests), (Vec::new(), 0));
}

#[test]
fn github_enterprises_addresses_are_beside_each_other() {
    let github = resolved();
    let api = format!("{}/api/v3", github.api());
    let (hearing, _) = hear(&api, &precedent_bot::github::threads::address(&api));
    assert_eq!((hearing.notes, hearing.requests), (Vec::new(), 2));
    assert!(github.state().log.iter().any(|(method, path, _)| method == "POST" && path == "/api/graphql"));
}

#[test]
fn pages_of_conversations_are_read_up_to_a_limit() {
    let github = resolved();
    {
        let mut state = github.state();
        state.past_comments = vec![own_comment(1, 3, 0), own_comment(2, 3, 0)];
        state.threads = (0..400).map(|id| (3, thread(1000 + id, Some("ada"), true))).collect();
        state.threads[250] = (3, thread(1, Some("ada"), true));
        state.threads[350] = (3, thread(2, Some("ada"), true));
    }
    let (hearing, _) = hear(&github.api(), &format!("{}/graphql", github.api()));
    assert_eq!(hearing.heard["stale-doc"], Heard { taken_up: 1, turned_down: 0, open: 1 });
    assert_eq!(hearing.requests, 3);
}

#[test]
fn more_pull_requests_than_may_be_asked_about_are_said() {
    let github = resolved();
    github.state().past_comments = (0..60).map(|id| own_comment(1 + id, 100 + id, 0)).collect();
    let (hearing, _) = hear(&github.api(), &format!("{}/graphql", github.api()));
    assert_eq!(hearing.requests, 50);
    assert_eq!(hearing.notes, ["10 more pull requests were not asked about for resolved conversations"]);
}

#[test]
fn comments_beyond_those_that_are_read_are_said() {
    let github = resolved();
    github.state().past_comments = (0..501).map(|id| own_comment(1 + id, 3, 1)).collect();
    let (hearing, _) = hear(&github.api(), "http://127.0.0.1:9/graphql");
    assert_eq!(hearing.heard["stale-doc"].turned_down, 500);
    assert_eq!(hearing.notes, ["only the newest 500 comments were looked through for own ones"]);
}

#[test]
fn the_account_is_the_same_in_letters_of_any_size() {
    let github = resolved();
    github.state().past_comments = vec![own_comment(1, 3, 1)];
    github.state().past_comments[0]["user"]["login"] = "GitHub-Actions[bot]".into();
    let (hearing, _) = hear(&github.api(), "http://127.0.0.1:9/graphql");
    assert_eq!(hearing.heard["stale-doc"].turned_down, 1);
}

#[test]
fn a_failure_of_graphql_takes_nothing_else_with_it() {
    let ok = |value: serde_json::Value| Response::json(200, &value);
    let answers = [
        (refusal(403, "Resource not accessible by integration"), "403"),
        (refusal(404, "Not Found"), "404"),
        (html(200), "is not what github sends"),
        (html(404), "404"),
        (
            ok(json!({"data": null, "errors": [{"message": "Field 'x' doesn't exist \u{202e}"}]})),
            "Field 'x' doesn't exist U+202E",
        ),
        (ok(json!({"errors": "none"})), "is not what github sends"),
        (ok(json!({"data": null})), "it has no data"),
        (ok(json!({})), "it has no data"),
        (ok(json!({"data": {"repository": {"pullRequest": {}}}})), "is not what github sends"),
    ];
    for (answer, why) in answers {
        let github = resolved();
        // The second pull request's answer fails: what the first told is kept.
        for (at, expected) in [(0, (0, 1)), (1, (1, 1))] {
            let proxy = Proxy::new(github.address(), HashMap::from([(at, Fault::Instead(answer.clone()))]));
            let (hearing, waits) = hear(&github.api(), &format!("{}/graphql", proxy.api()));
            let heard = hearing.heard["stale-doc"];
            assert_eq!((heard.taken_up, heard.turned_down), expected, "{why}");
            let [note] = &hearing.notes[..] else { panic!("{why}: {:?}", hearing.notes) };
            assert!(
                note.starts_with("whether conversations were resolved is not known: ") && note.contains(why),
                "{note}"
            );
            assert_eq!((waits, proxy.seen()), (Vec::new(), at + 1), "nothing is asked again");
        }
    }
    let github = resolved();
    let unreachable = hear(&github.api(), "http://127.0.0.1:9/graphql").0;
    assert_eq!((unreachable.heard["stale-doc"].open, unreachable.notes.len()), (6, 1));
    assert_eq!(hear(&github.api(), "nonsense").0.notes.len(), 1);
}

#[test]
fn a_query_is_a_read_and_is_asked_again() {
    let github = resolved();
    for fault in [Fault::BadGateway, Fault::Drop, Fault::TooMany(7)] {
        let proxy = Proxy::new(github.address(), HashMap::from([(0, fault.clone())]));
        let (hearing, waits) = hear(&github.api(), &format!("{}/graphql", proxy.api()));
        assert_eq!((hearing.notes, hearing.requests), (Vec::new(), 3), "{fault:?}");
        assert_eq!(waits.len(), 1, "{fault:?}");
    }
}

#[test]
fn a_run_keeps_what_conversations_tell_and_says_what_it_could_not_learn() {
    let (fixture, github, mut runner) = scene();
    github.state().past_comments = vec![own_comment(20, 3, 0), own_comment(21, 3, 0)];
    github.state().threads = vec![(3, thread(20, Some("ada"), true)), (3, thread(21, Some("ada"), false))];
    let told = fetched(&fixture, &runner);
    assert_eq!(told["heard"]["stale-doc"], json!({"taken_up": 1, "turned_down": 1, "open": 0}));
    assert_eq!(told["notes"], json!([]));
    runner.variables.insert("GITHUB_GRAPHQL_URL".into(), format!("{}/elsewhere/graphql", github.api()));
    let untold = fetched(&fixture, &runner);
    assert_eq!(untold["heard"]["stale-doc"], json!({"taken_up": 0, "turned_down": 0, "open": 2}));
    assert!(untold["notes"][0].as_str().is_some_and(|note| note.contains("404")), "{untold}");
    let shown = runner.run(&fixture.repo(), &["reviews", "fetch"]).stdout;
    assert!(shown.contains("whether conversations were resolved is not known: github answered 404"), "{shown}");
    // Without the variable it is beside the REST API.
    runner.variables.insert("GITHUB_GRAPHQL_URL".into(), String::new());
    assert_eq!(fetched(&fixture, &runner)["notes"], json!([]));
}
