//! JSON: a review for programs; the shape is a contract.

use serde::Serialize;

use crate::Review;
use crate::finding::{Fact, Finding, Left};

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    base: String,
    base_tip: String,
    head: String,
    model: &'a str,
    briefing: &'a [Fact],
    findings: &'a [Finding],
    skipped: &'a [Left],
    partial: bool,
    seconds: f64,
}

/// One object, pretty-printed, with a final newline.
pub fn json(review: &Review) -> String {
    let document = Document {
        schema: 1,
        base: review.change.base.to_string(),
        base_tip: review.change.base_tip.to_string(),
        head: review.change.head.to_string(),
        model: &review.model,
        briefing: &review.briefing,
        findings: &review.findings,
        skipped: &review.skipped,
        partial: !review.skipped.is_empty(),
        seconds: review.seconds,
    };
    let mut text = serde_json::to_string_pretty(&document).expect("because every field can be written as JSON");
    text.push('\n');
    text
}
