//! SARIF: the findings for code scanning, as SARIF 2.1.0 (OASIS). Facts are no results and are left out.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::visible;
use crate::Review;
use crate::finding::{Citation, Finding, Severity, Side};

/// One SARIF log, pretty-printed, with a final newline.
pub fn sarif(review: &Review) -> String {
    let checks: BTreeSet<&str> = review.findings.iter().map(|finding| finding.check).collect();
    let rules: Vec<Value> = checks
        .iter()
        .map(|check| json!({"id": check, "shortDescription": {"text": check.replace('-', " ")}}))
        .collect();
    let skipped: Vec<Value> = review
        .skipped
        .iter()
        .map(|left| json!({"level": "note", "message": {"text": visible(&format!("{}: {}", left.what, left.why))}}))
        .collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "precedent", "version": env!("CARGO_PKG_VERSION"), "rules": rules}},
            "columnKind": "utf16CodeUnits",
            "invocations": [{"executionSuccessful": true, "toolExecutionNotifications": skipped}],
            "results": review.findings.iter().map(result).collect::<Vec<Value>>(),
        }],
    });
    let mut text = serde_json::to_string_pretty(&log).expect("because every field can be written as JSON");
    text.push('\n');
    text
}

fn result(finding: &Finding) -> Value {
    // A removed line is no line of the file as it is now.
    let (region, note) = match finding.side {
        Side::Right => (Some((finding.start_line.unwrap_or(finding.line), finding.line)), String::new()),
        Side::Left => (None, format!(" (removed line {})", finding.line)),
    };
    let mut place = json!({"artifactLocation": artifact(&finding.path)});
    if let Some((start, end)) = region {
        place["region"] = json!({"startLine": start, "endLine": end});
    }
    json!({
        "ruleId": finding.check,
        "level": level(finding.severity),
        "message": {"text": visible(&format!("{}{note}. {}", finding.title, finding.body))},
        "locations": [{"physicalLocation": place}],
        "relatedLocations": finding.citations.iter().map(related).collect::<Vec<Value>>(),
        "partialFingerprints": {"precedent/v1": finding.id},
    })
}

fn related(citation: &Citation) -> Value {
    let [start, end] = citation.lines;
    json!({
        "message": {"text": visible(&format!("at {}: {}", super::short(&citation.commit), citation.quote))},
        "physicalLocation": {
            "artifactLocation": artifact(&citation.path),
            "region": {"startLine": start, "endLine": end},
        },
    })
}

/// A path as a relative URI.
fn artifact(path: &str) -> Value {
    let segments: Vec<String> = path.split('/').map(crate::github::client::segment).collect();
    json!({"uri": segments.join("/"), "uriBaseId": "%SRCROOT%"})
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "note",
        Severity::Minor => "warning",
        Severity::Major | Severity::Critical => "error",
    }
}
