//! Markdown: a review for a comment or a step summary.

use super::{by_node, code, coverage, label, notes, sentence, short, summary, title, visible, voice};
use crate::Review;
use crate::finding::Fact;
use crate::sanitise::prose;

/// The review as GitHub-flavoured Markdown.
pub fn markdown(review: &Review) -> String {
    let mut out = format!("**Precedent for this change** · as of {}", code(&short(&review.change.base_tip)));
    if let Some(coverage) = coverage(review) {
        out.push_str(&format!(" · {coverage}"));
    }
    out.push_str(&format!("\n\n{}\n", summary(review)));
    for note in notes(review) {
        out.push_str(&format!("\n{}\n", prose(&note)));
    }
    for finding in &review.findings {
        let ground = finding.confidence.and_then(|confidence| confidence.ground());
        let ground = ground.map(|ground| format!(" · {ground}")).unwrap_or_default();
        out.push_str(&format!(
            "\n> **{}** · {} line {}{ground}\n>\n> {}\n>\n> {}\n",
            finding.check,
            code(&finding.path),
            finding.line,
            prose(&finding.title),
            prose(&finding.body)
        ));
        if let Some(suggestion) = &finding.suggestion {
            out.push_str(&format!(">\n> Suggested: {}\n", exact_code(suggestion.trim())));
        }
    }
    // What meets no rules is for the JSON: nothing "usually" changes that did once in seventeen times.
    let passing = review.briefing.iter().filter(|fact| fact.passes);
    let (shown, folded): (Vec<&Fact>, Vec<&Fact>) = passing.partition(|fact| fact.shown);
    out.push_str(&listed(&shown));
    if !folded.is_empty() && !shown.is_empty() {
        const MAX_FOLDED: usize = 30;
        let count = folded.len();
        out.push_str(&format!("\n<details>\n<summary>{count} more</summary>\n"));
        out.push_str(&listed(&folded[..count.min(MAX_FOLDED)]));
        if count > MAX_FOLDED {
            out.push_str(&format!("\n{} are left out here; the JSON has them.\n", count - MAX_FOLDED));
        }
        out.push_str("\n</details>\n");
    }
    if let Some(voice) = voice(review) {
        out.push_str(&format!("\n{}\n", prose(&voice)));
    }
    out
}

fn listed(facts: &[&Fact]) -> String {
    let mut out = String::new();
    for (about, facts) in by_node(facts.iter().copied()) {
        out.push_str(&format!("\n{}", code(title(about))));
        if !about.symbol.is_empty() {
            out.push_str(&format!(" in {}", code(&about.path)));
        }
        out.push('\n');
        for fact in facts {
            out.push_str(&format!("- *{}*: {}{}\n", label(fact.kind), prose(&sentence(fact)), evidence(fact)));
        }
    }
    out
}

fn evidence(fact: &Fact) -> String {
    let places: Vec<String> = fact
        .citations
        .iter()
        .map(|citation| format!("{}:{} at {}", citation.path, citation.lines[0], short(&citation.commit)))
        .map(|place| code(&place))
        .collect();
    format!(" ({})", places.join(", "))
}

/// A code span that keeps the backticks of its text: its own fence is longer than any inside.
fn exact_code(text: &str) -> String {
    let text = visible(text);
    let longest = text.split(|letter| letter != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    format!("{fence} {text} {fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suggestion_keeps_its_backticks() {
        assert_eq!(exact_code("see `a`"), "`` see `a` ``");
        assert_eq!(exact_code("```"), "```` ``` ````");
    }
}
