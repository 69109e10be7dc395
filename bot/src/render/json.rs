//! JSON: a review for programs; the shape is a contract.

use serde::Serialize;

use crate::Review;
use crate::finding::{Fact, Finding, Left};
use crate::github::event::PullRequest;
use crate::github::report::Files;
use crate::voice::Account;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    base: String,
    base_tip: String,
    head: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pull_request: Option<&'a PullRequest>,
    model: &'a str,
    files: Files,
    briefing: &'a [Fact],
    findings: &'a [Finding],
    checks: &'a [&'static str],
    skipped: Vec<Skipped<'a>>,
    partial: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    llm: Option<&'a Account>,
    seconds: f64,
}

/// Something left out, and whether it is a file of the change.
#[derive(Serialize)]
struct Skipped<'a> {
    #[serde(flatten)]
    left: &'a Left,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    file: bool,
}

/// One object, pretty-printed, with a final newline.
pub fn json(review: &Review) -> String {
    json_of(review, None)
}

/// The same, with the pull request that it is about, which `post` needs.
pub fn json_of(review: &Review, pull_request: Option<&PullRequest>) -> String {
    let files = || review.change.shown_files();
    let document = Document {
        schema: 1,
        base: review.change.base.to_string(),
        base_tip: review.change.base_tip.to_string(),
        head: review.change.head.to_string(),
        pull_request,
        model: &review.model,
        files: Files {
            changed: files().count() as u64,
            reviewed: files().filter(|file| file.language.is_ok()).count() as u64,
        },
        briefing: &review.briefing,
        findings: &review.findings,
        checks: &review.checks,
        skipped: review
            .skipped
            .iter()
            .map(|left| Skipped { left, file: review.change.file(&left.what).is_some() })
            .collect(),
        partial: !review.skipped.is_empty(),
        llm: review.voice.as_ref(),
        seconds: review.seconds,
    };
    let mut text = serde_json::to_string_pretty(&document).expect("because every field can be written as JSON");
    text.push('\n');
    text
}
