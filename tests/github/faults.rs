//! Faults at every request of a run, each alone: exactly one review and one summary, every time.

use std::collections::HashMap;

use precedent_bot::github::post::Outcome;

use super::fake::{GitHub, file};
use super::proxy::{Fault, Proxy};
use super::{HEAD, finding, post_to, report};

#[test]
fn one_fault_at_any_request_leaves_one_review_and_one_summary() {
    let report = report(HEAD, &[finding("a", 5), finding("b", 4)]);
    let undisturbed = GitHub::new(HEAD);
    let proxy = Proxy::new(undisturbed.address(), HashMap::new());
    assert_eq!(post_to(&proxy.api(), HEAD, &report).posted().outcome, Outcome::Posted { comments: 2 });
    let requests = proxy.seen();
    assert!((6..=8).contains(&requests), "{requests} requests");

    let faults = [Fault::BadGateway, Fault::BadGatewayBefore, Fault::Drop, Fault::DropBefore, Fault::TooMany(1)];
    for fault in faults {
        for position in 0..requests {
            let github = GitHub::new(HEAD);
            let proxy = Proxy::new(github.address(), HashMap::from([(position, fault.clone())]));
            let run = post_to(&proxy.api(), HEAD, &report);
            let context = format!("{fault:?} at request {position}");
            assert_eq!(run.posted().outcome, Outcome::Posted { comments: 2 }, "{context}");
            let state = github.state();
            let counts = (state.sent_reviews(), state.reviews.len(), state.comments.len(), state.issue_comments.len());
            assert_eq!(counts, (1, 1, 2, 1), "{context}");
        }
    }
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
        let writes = |state: &super::fake::State| (state.count("POST"), state.count("PATCH"));
        let before = writes(&github.state());
        let again = post_to(&github.api(), HEAD, &report);
        assert_eq!((&again.posted().outcome, again.posted().summary), (&Outcome::NothingNew, "unchanged"));
        assert_eq!(writes(&github.state()), before, "{count} findings");
    }
}

/// A thousand changes of any shape, findings in and beyond their hunks, and then the same findings in other words and in
/// another order, as a language model or a later version may put them.
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
        let github = GitHub::new(HEAD);
        github.state().files = vec![file("src/a.rs", Some(patch.trim_end()))];
        let first = post_to(&github.api(), HEAD, &report(HEAD, &findings));
        if let Outcome::Posted { comments } = first.posted().outcome {
            commented += comments;
        }
        // What could stand on no line is in the summary, whose words may change in their place.
        let writes =
            |state: &super::fake::State| (state.count("POST"), state.comments.len(), state.issue_comments.len());
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
