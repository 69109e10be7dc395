//! Faults at every request of a run, each alone: exactly one review and one summary, every time.

use std::collections::HashMap;

use precedent_bot::github::post::{Outcome, Posted};
use serde_json::{Value, json};

use super::fake::{AUTHOR, GitHub, State, file, user};
use super::proxy::{Fault, Proxy};
use super::{HEAD, NEXT_HEAD, finding, post_to, report};

const FAULTS: [Fault; 5] =
    [Fault::BadGateway, Fault::BadGatewayBefore, Fault::Drop, Fault::DropBefore, Fault::TooMany(1)];

/// Posts a report with each fault at each request, to a GitHub that is made for each; `holds` says what must be there then.
fn with_each_fault(
    github: impl Fn() -> GitHub,
    report: &Value,
    requests: std::ops::RangeInclusive<usize>,
    holds: impl Fn(&State, &Posted, &str),
) {
    let head = report["head"].as_str().expect("a head");
    let undisturbed = github();
    let proxy = Proxy::new(undisturbed.address(), HashMap::new());
    let run = post_to(&proxy.api(), head, report);
    holds(&undisturbed.state(), run.posted(), "no fault");
    let seen = proxy.seen();
    assert!(requests.contains(&seen), "{seen} requests: {:?}", undisturbed.state().log);
    for fault in FAULTS {
        for position in 0..seen {
            let github = github();
            let proxy = Proxy::new(github.address(), HashMap::from([(position, fault.clone())]));
            let run = post_to(&proxy.api(), head, report);
            let context = format!("{fault:?} at request {position}");
            assert!(run.result.is_ok(), "{context}: {}", run.error());
            holds(&github.state(), run.posted(), &context);
        }
    }
}

/// Reviews that are seen, all reviews, comments on lines, other comments.
fn counts(state: &State) -> [usize; 4] {
    [state.sent_reviews(), state.reviews.len(), state.comments.len(), state.issue_comments.len()]
}

#[test]
fn one_fault_at_any_request_leaves_one_review_and_one_summary() {
    let report = report(HEAD, &[finding("a", 5), finding("b", 4)]);
    with_each_fault(
        || GitHub::new(HEAD),
        &report,
        6..=8,
        |state, posted, context| {
            assert_eq!(posted.outcome, Outcome::Posted { comments: 2 }, "{context}");
            assert_eq!(counts(state), [1, 1, 2, 1], "{context}");
        },
    );
}

#[test]
fn one_fault_at_any_request_leaves_one_review_where_an_earlier_run_left_one_unsent() {
    let with_leftover = || {
        let github = GitHub::new(HEAD);
        let body = format!("x <!-- precedent:1 review {HEAD} -->");
        github.state().reviews.push(json!({"id": 5, "user": user(AUTHOR), "body": body, "state": "PENDING"}));
        github
    };
    let report = report(HEAD, &[finding("a", 5), finding("b", 4)]);
    with_each_fault(with_leftover, &report, 7..=9, |state, posted, context| {
        assert_eq!(posted.outcome, Outcome::Posted { comments: 2 }, "{context}");
        assert_eq!(counts(state), [1, 1, 2, 1], "{context}");
    });
}

#[test]
fn one_fault_at_any_request_of_a_later_push_leaves_one_review_more() {
    let pushed = || {
        let github = GitHub::new(HEAD);
        post_to(&github.api(), HEAD, &report(HEAD, &[finding("a", 5), finding("b", 4)])).posted();
        github.state().push(NEXT_HEAD);
        github
    };
    let mut next = report(NEXT_HEAD, &[finding("a", 5), finding("c", 3)]);
    next["briefing"][0]["text"] = "another text".into();
    with_each_fault(pushed, &next, 8..=10, |state, posted, context| {
        assert_eq!((&posted.outcome, posted.settled), (&Outcome::Posted { comments: 1 }, 1), "{context}");
        assert_eq!(counts(state), [2, 2, 3, 1], "{context}");
        let is = |entry: &Value, words: &str| entry["body"].as_str().is_some_and(|body| body.contains(words));
        assert!(is(&state.issue_comments[0], "another text"), "{context}");
        let settled: Vec<bool> = state.comments.iter().map(|comment| is(comment, "Settled by `2222222`")).collect();
        assert_eq!(settled, [false, true, false], "{context}");
    });
}

#[test]
fn two_faults_at_any_two_requests_leave_one_review_and_one_summary() {
    let report = report(HEAD, &[finding("a", 5)]);
    for first in 0..8 {
        for second in first + 1..10 {
            let github = GitHub::new(HEAD);
            let faults = HashMap::from([(first, Fault::BadGateway), (second, Fault::Drop)]);
            let proxy = Proxy::new(github.address(), faults);
            let run = post_to(&proxy.api(), HEAD, &report);
            let state = github.state();
            let context = format!("faults at {first} and {second}");
            assert!(run.result.is_ok(), "{context}: {}", run.error());
            assert_eq!((state.sent_reviews(), state.issue_comments.len()), (1, 1), "{context}");
        }
    }
}

#[test]
fn a_run_that_was_cut_off_is_finished_by_the_next() {
    let report = report(HEAD, &[finding("a", 5), finding("b", 4)]);
    for position in 0..8 {
        let github = GitHub::new(HEAD);
        // From some request on, nothing is answered any more.
        let faults = (position..100).map(|number| (number, Fault::DropBefore)).collect();
        let proxy = Proxy::new(github.address(), faults);
        let _ = post_to(&proxy.api(), HEAD, &report);
        let run = post_to(&github.api(), HEAD, &report);
        assert!(run.result.is_ok());
        let state = github.state();
        assert_eq!((state.sent_reviews(), state.comments.len(), state.issue_comments.len()), (1, 2, 1), "{position}");
    }
}

#[test]
fn a_second_run_on_the_same_head_writes_nothing() {
    for count in 1..=20u32 {
        let findings: Vec<_> = (0..count).map(|key| finding(&format!("f{key}"), 2 + key % 7)).collect();
        let report = report(HEAD, &findings);
        let github = GitHub::new(HEAD);
        post_to(&github.api(), HEAD, &report).posted();
        let writes = |state: &State| (state.count("POST"), state.count("PATCH"));
        let before = writes(&github.state());
        let again = post_to(&github.api(), HEAD, &report);
        assert_eq!((&again.posted().outcome, again.posted().summary), (&Outcome::NothingNew, "unchanged"));
        assert_eq!(writes(&github.state()), before, "{count} findings");
    }
}

#[test]
fn a_second_run_shows_what_the_first_one_showed() {
    // Fifteen on lines leave room for five of the ten that stand on none.
    let on_lines = (0..15).map(|key| finding(&format!("f{key}"), 5));
    let findings: Vec<_> = on_lines.chain((0..10).map(|key| finding(&format!("g{key}"), 100))).collect();
    let report = report(HEAD, &findings);
    let github = GitHub::new(HEAD);
    post_to(&github.api(), HEAD, &report).posted();
    let summary = github.state().issue_comments[0].clone();
    assert_eq!(summary["body"].as_str().map(|body| body.matches("**stale-doc**").count()), Some(5));
    let again = post_to(&github.api(), HEAD, &report);
    assert_eq!((&again.posted().outcome, again.posted().summary), (&Outcome::NothingNew, "unchanged"));
    assert_eq!(github.state().issue_comments, [summary]);
    assert_eq!(github.state().count("PATCH"), 0);
}

/// A thousand changes of any shape, findings in and beyond their hunks; then the same again, and then in other words and
/// in another order, as a language model or a later version may put them.
#[test]
fn a_second_run_says_nothing_on_a_thousand_changes() {
    let mut state = 1_u32;
    let mut random = move |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % below
    };
    let mut commented = 0;
    for change in 0..1000 {
        let (start, before, after) = (1 + random(50), random(4), random(4));
        let context = |at: u32| format!(" line {at}\n");
        let mut patch = format!("@@ -{start},{} +{start},{} @@\n", before + 6, after + 6);
        (0..3).for_each(|at| patch.push_str(&context(at)));
        (0..before).for_each(|at| patch.push_str(&format!("-old {at}\n")));
        (0..after).for_each(|at| patch.push_str(&format!("+new {at}\n")));
        (3..6).for_each(|at| patch.push_str(&context(at)));
        let mut findings: Vec<_> = (0..random(6))
            .map(|key| {
                let mut finding = finding(&format!("{change} {key}"), start + random(after + 9));
                if random(4) == 0 {
                    finding["side"] = "LEFT".into();
                }
                finding
            })
            .collect();
        // One in ten is held against GitHub's description; the rest asks the same.
        let github = if change % 10 == 0 { GitHub::new(HEAD) } else { GitHub::straight(HEAD) };
        github.state().files = vec![file("src/a.rs", Some(patch.trim_end()))];
        let first = post_to(&github.api(), HEAD, &report(HEAD, &findings));
        if let Outcome::Posted { comments } = first.posted().outcome {
            commented += comments;
        }
        let all = |state: &State| (state.count("POST"), state.count("PATCH"), state.count("DELETE"));
        let written = all(&github.state());
        let again = post_to(&github.api(), HEAD, &report(HEAD, &findings));
        assert_eq!((again.posted().summary, all(&github.state())), ("unchanged", written), "{patch}");
        // What could stand on no line is in the summary, whose words may change in their place.
        let writes = |state: &State| (state.count("POST"), state.comments.len(), state.issue_comments.len());
        let before = writes(&github.state());
        findings.reverse();
        for finding in &mut findings {
            finding["title"] = "the same in other words".into();
            finding["body"] = "The same in other words.".into();
        }
        post_to(&github.api(), HEAD, &report(HEAD, &findings)).posted();
        assert_eq!(writes(&github.state()), before, "{patch}");
    }
    assert!(commented > 500, "{commented} comments");
}

#[test]
fn a_review_with_many_findings_takes_few_requests() {
    let findings: Vec<_> = (0..20).map(|key| finding(&format!("f{key}"), 2 + key % 7)).collect();
    let github = GitHub::new(HEAD);
    let run = post_to(&github.api(), HEAD, &report(HEAD, &findings));
    assert_eq!(run.posted().outcome, Outcome::Posted { comments: 20 });
    assert!(run.requests <= 8, "{} requests", run.requests);
}
