//! Comment: everything that is written on a pull request, as pure functions of a report.
//!
//! Markdown is rebuilt from typed fields; see [`crate::sanitise`].

use std::collections::BTreeMap;

use super::marker::Marker;
use super::report::{Citation, Fact, Finding, Node, Report};
use crate::finding::{Side, ground};
use crate::sanitise::{MAX_BODY_CHARS, capped, code, prose, suggestion};

/// Nodes of the summary that stand open, and below the fold.
const MAX_OPEN: usize = 12;
const MAX_FOLDED: usize = 30;
/// Citations shown with one statement.
const MAX_CITATIONS: usize = 4;
/// Room for the marker below a body.
const MARKER_CHARS: usize = 3_000;

/// The body of a comment on a line, with the fingerprint of its file's patch, if there is one.
pub fn finding(finding: &Finding, patch: Option<&str>) -> String {
    let mut body = claim(finding);
    // A suggestion replaces lines of the new version, and there are none under a comment on removed ones.
    let suggested = finding.suggestion.as_deref().filter(|_| finding.side == Side::Right);
    if let Some(block) = suggested.and_then(suggestion) {
        body.push_str(&format!("\n{block}\n"));
    }
    let (id, check, patch) = (finding.id.clone(), Some(finding.check.clone()), patch.map(str::to_owned));
    with_marker(&body, &Marker::Finding { id, check, patch, settled: false })
}

/// The body of a comment whose finding is gone, because the code has changed.
pub fn settled(old_body: &str, id: &str, check: Option<&str>, head: &str) -> String {
    let text = old_body.rsplit_once("<!-- precedent:").map_or(old_body, |(text, _)| text).trim_end();
    // A suggestion that is applied now would undo what was done.
    let text: String = text.replace("```suggestion", "```text");
    let body = format!(
        "Settled by {}.\n\n<details>\n<summary>what was said</summary>\n\n{text}\n\n</details>\n",
        code(short(head))
    );
    let (id, check) = (id.to_owned(), check.map(str::to_owned));
    with_marker(&body, &Marker::Finding { id, check, patch: None, settled: true })
}

/// The body of a review: how many comments it has, or the findings themselves where they cannot be comments.
pub fn review(report: &Report, commented: &[&Finding], told: &[&Finding]) -> String {
    let count = commented.len() + told.len();
    let mut body = format!("{count} finding{} on {}.\n", if count == 1 { "" } else { "s" }, code(short(&report.head)));
    for finding in told {
        body.push_str(&placed(finding));
    }
    let findings = commented.iter().chain(told).map(|finding| finding.id.clone()).collect();
    with_marker(&body, &Marker::Review { head: report.head.clone(), findings })
}

/// The summary comment; `None` when there is nothing worth a minute of a reviewer's time.
pub fn summary(report: &Report, elsewhere: &[&Finding]) -> Option<String> {
    let shown: Vec<&Fact> = report.briefing.iter().filter(|fact| fact.shown).collect();
    if shown.is_empty() && elsewhere.is_empty() {
        return None;
    }
    let mut body = heading(report);
    for note in &report.skipped {
        // The heading counts the files.
        if note.file && report.files.changed > report.files.reviewed {
            continue;
        }
        body.push_str(&format!("\nleft out: {} ({})\n", prose(&note.what), prose(&note.why)));
    }
    if !elsewhere.is_empty() {
        body.push_str("\nNot on a line that a comment may stand on:\n");
        for finding in elsewhere {
            body.push_str(&placed(finding));
        }
    }
    body.push_str(&facts(&shown, MAX_OPEN));
    let folded: Vec<&Fact> = report.briefing.iter().filter(|fact| fact.passes && !fact.shown).collect();
    if !folded.is_empty() && !shown.is_empty() {
        body.push_str(&format!("\n<details>\n<summary>{} more</summary>\n", folded.len()));
        body.push_str(&facts(&folded, MAX_FOLDED));
        body.push_str("\n</details>\n");
    }
    Some(with_marker(&body, &Marker::Summary))
}

/// What the summary comment says when there is nothing to say any more.
pub fn nothing(report: &Report) -> String {
    with_marker(&format!("{}\nnothing claimed · nothing worth a look\n", heading(report)), &Marker::Summary)
}

fn heading(report: &Report) -> String {
    let mut line = format!("**Precedent for this change** · as of {}", code(short(&report.base_tip)));
    if report.files.changed > report.files.reviewed {
        line.push_str(&format!(" · {} of {} files reviewed", report.files.reviewed, report.files.changed));
    }
    line + "\n"
}

fn facts(facts: &[&Fact], limit: usize) -> String {
    let mut grouped: BTreeMap<&Node, Vec<&Fact>> = BTreeMap::new();
    for fact in facts.iter().take(limit) {
        grouped.entry(&fact.about).or_default().push(fact);
    }
    let mut out = String::new();
    for (about, facts) in grouped {
        let (name, place) =
            if about.symbol.is_empty() { (&about.path, None) } else { (&about.symbol, Some(&about.path)) };
        out.push_str(&format!("\n{}", code(name)));
        if let Some(place) = place {
            out.push_str(&format!(" in {}", code(place)));
        }
        out.push('\n');
        for fact in facts {
            let here = match fact.here {
                Some(true) => "; here too",
                Some(false) => "; not here",
                None => "",
            };
            out.push_str(&format!("- {}{here}{}\n", prose(&fact.text), evidence(&fact.citations)));
        }
    }
    if facts.len() > limit {
        out.push_str(&format!("\n{} are left out here; the JSON has them.\n", facts.len() - limit));
    }
    out
}

/// A claim with its place, for where it cannot stand on its line.
fn placed(finding: &Finding) -> String {
    let mut out = format!("\n{} line {}\n\n", code(&finding.path), finding.line);
    out.push_str(&claim(finding));
    out
}

fn claim(finding: &Finding) -> String {
    let mut out = format!("**{}**", finding.check);
    let confidence = finding.confidence.as_ref();
    if let Some(ground) = confidence.and_then(|stated| ground(stated.value, &stated.basis, stated.n)) {
        out.push_str(&format!(" · {ground}"));
    }
    out.push_str(&format!("\n{}\n", prose(&finding.title)));
    if !finding.body.trim().is_empty() {
        out.push_str(&format!("\n{}\n", prose(&finding.body)));
    }
    let places = places(&finding.citations);
    if !places.is_empty() {
        out.push_str(&format!("\n{}\n", places.join(", ")));
    }
    out
}

fn evidence(citations: &[Citation]) -> String {
    let places = places(citations);
    if places.is_empty() { String::new() } else { format!(" ({})", places.join(", ")) }
}

fn places(citations: &[Citation]) -> Vec<String> {
    let place = |citation: &Citation| format!("{}:{} at {}", citation.path, citation.lines[0], short(&citation.commit));
    citations.iter().take(MAX_CITATIONS).map(|citation| code(&place(citation))).collect()
}

/// A commit in seven digits.
pub fn short(id: &str) -> &str {
    id.get(..7).unwrap_or(id)
}

fn with_marker(body: &str, marker: &Marker) -> String {
    format!("{}\n{}", capped(body.trim_end(), MAX_BODY_CHARS - MARKER_CHARS), marker.text())
}
