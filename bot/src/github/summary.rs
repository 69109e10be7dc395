//! Summary: what a run says of itself in the step summary. Pure.
//!
//! Never green and silent: what was reviewed, what was not and why, how old the index is, what it cost.

use std::collections::BTreeMap;

use precedent_pipeline::IndexReport;

use super::comment::short;
use super::event::PullRequest;
use super::post::{Outcome, Posted};
use crate::Review;
use crate::render::{code, day};
use crate::sanitise::prose;
use crate::voice::Account;

/// Reasons that are told one by one.
const MAX_REASONS: usize = 20;

/// What is known of the index that a review stood on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexAge {
    /// Commits in the index before the review; 0 when there was none.
    pub commits_before: u64,
    /// Commits that the review had to add.
    pub commits_added: u64,
    /// When the newest commit of the index was made, in seconds since 1970; `None` when there was none.
    pub newest: Option<i64>,
    /// Why the index that was there could not be used, where the review made one of its own.
    pub unfit: Option<String>,
}

/// A pull request that was not reviewed, and why.
pub fn not_reviewed(pull: &PullRequest, why: &str) -> String {
    format!("### Precedent: not reviewed\n\nPull request {} was not reviewed: {}.\n", pull.number, prose(why))
}

/// What a review did.
pub fn reviewed(pull: &PullRequest, review: &Review, age: &IndexAge) -> String {
    let change = &review.change;
    let (files, looked) = (change.files.len(), change.files.iter().filter(|file| file.language.is_ok()).count());
    let title = if looked == 0 { "nothing reviewed" } else { "reviewed" };
    let mut out = format!(
        "### Precedent: {title}\n\nPull request {} at {} against {}: {looked} of {files} files looked into, {} nodes changed, {} findings, {} facts worth a look.\n",
        pull.number,
        code(short(&change.head.to_string())),
        code(short(&change.base_tip.to_string())),
        change.nodes.len(),
        review.findings.len(),
        review.briefing.iter().filter(|fact| fact.shown).count(),
    );
    let left = reasons(review);
    if !left.is_empty() {
        out.push_str("\nNot looked into:\n");
        for line in left {
            out.push_str(&format!("- {line}\n"));
        }
    }
    out.push_str(&format!("\n{}\n", index(age)));
    out.push_str(&format!("\nThe review took {:.1} s; model: {}.\n", review.seconds, code(&review.model)));
    if let Some(account) = &review.voice {
        out.push_str(&asked(account));
    }
    out
}

/// What a language model was asked, and what that cost. One that could not be opened has no name and cost nothing.
fn asked(account: &Account) -> String {
    let Account { model, requests, cached, tokens, cost, seconds, .. } = account;
    if model.is_empty() {
        return String::new();
    }
    let known = if *cached > 0 { format!(" ({cached} more answers were known)") } else { String::new() };
    let cost = match cost {
        Some(cost) => format!("By the prices that are set, that cost {cost:.6}."),
        None => "No prices are set, so what that cost is not known.".to_owned(),
    };
    let (read, written) = (tokens.prompt, tokens.completion);
    format!(
        "\nLanguage model {}: {requests} requests{known}, {read} tokens read, {written} written, {seconds:.1} s. {cost}\n",
        code(model)
    )
}

fn index(age: &IndexAge) -> String {
    if let Some(why) = &age.unfit {
        return format!(
            "The index could not be used: {}. {} commits were indexed anew for this review.",
            prose(why),
            age.commits_added
        );
    }
    match age.newest {
        None => format!("There was no index: {} commits were indexed for this review.", age.commits_added),
        Some(newest) => {
            let added = match age.commits_added {
                0 => "nothing had to be added".to_owned(),
                added => format!("{added} were added for this review"),
            };
            format!("The index held {} commits, the newest of {}; {added}.", age.commits_before, day(newest))
        }
    }
}

/// Files by reason, then everything else that was left out.
fn reasons(review: &Review) -> Vec<String> {
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut lines = Vec::new();
    for left in &review.skipped {
        if review.change.file(&left.what).is_some() {
            by_reason.entry(&left.why).or_default().push(&left.what);
        } else {
            lines.push(format!("{}: {}", prose(&left.what), prose(&left.why)));
        }
    }
    for (reason, files) in by_reason {
        let named: Vec<String> = files.iter().take(3).map(|file| code(file)).collect();
        let more = if files.len() > 3 { format!(" and {} more", files.len() - 3) } else { String::new() };
        lines.push(format!("{} ({}): {}{more}", prose(reason), files.len(), named.join(", ")));
    }
    if lines.len() > MAX_REASONS {
        let more = lines.len() - MAX_REASONS;
        lines.truncate(MAX_REASONS);
        lines.push(format!("{more} more, which the JSON has"));
    }
    lines
}

/// What an index run did.
pub fn indexed(report: &IndexReport) -> String {
    let totals = format!(
        "{} commits and {} texts are indexed, {:.1} MB.",
        report.totals.commits,
        report.totals.chunks,
        report.store_bytes as f64 / 1e6
    );
    if report.commits == 0 {
        return format!("### Precedent: index\n\nNothing new. {totals}\n");
    }
    let mut out = format!(
        "### Precedent: index\n\n{} commits were new, with {} versions of files and {} new texts; {:.1} s. {totals}\n",
        report.commits, report.file_versions, report.chunks, report.seconds.total
    );
    if !report.skipped.is_empty() {
        let reasons: Vec<String> =
            report.skipped.iter().map(|skip| format!("{} {}", skip.count, prose(skip.reason))).collect();
        out.push_str(&format!("\nLeft out: {}.\n", reasons.join(", ")));
    }
    if report.partial {
        out.push_str("\nThe index is partial: history is cut off or incomplete here.\n");
    }
    out
}

/// What was posted.
pub fn posted(pull: &PullRequest, posted: &Posted, requests: u32) -> String {
    let review = match &posted.outcome {
        Outcome::Posted { comments: 0 } => "one review without comments on lines was posted".to_owned(),
        Outcome::Posted { comments } => format!("one review with {comments} comments was posted"),
        Outcome::NothingNew => "there was nothing new to say on lines".to_owned(),
        Outcome::AlreadyReviewed => "this commit had its review already, so no other was posted".to_owned(),
        Outcome::Stale(why) => format!("nothing was posted, since {}", prose(why)),
    };
    let mut out = format!(
        "### Precedent: posting\n\nPull request {}: {review}. Summary comment: {}.",
        pull.number, posted.summary
    );
    if posted.settled > 0 {
        out.push_str(&format!(" {} comments were marked as settled.", posted.settled));
    }
    out.push('\n');
    for note in &posted.notes {
        out.push_str(&format!("- {}\n", prose(note)));
    }
    out.push_str(&format!("\n{requests} requests.\n"));
    out
}

/// What kept a run from doing its work.
pub fn failed(what: &str, why: &str, hint: Option<&str>) -> String {
    let hint = hint.map_or(String::new(), |hint| format!("\n\n{}", prose(hint)));
    format!("### Precedent: {what} failed\n\n{}{hint}\n", prose(why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::Tokens;

    #[test]
    fn what_a_language_model_cost_is_said() {
        let account = Account {
            model: "tiny`coder".into(),
            requests: 3,
            tokens: Tokens { prompt: 1200, completion: 34 },
            seconds: 1.24,
            ..Account::default()
        };
        assert_eq!(
            asked(&account),
            "\nLanguage model `tiny'coder`: 3 requests, 1200 tokens read, 34 written, 1.2 s. No prices are set, so what that cost \
             is not known.\n"
        );
        let priced = Account { cached: 2, cost: Some(0.00125), ..account };
        assert_eq!(
            asked(&priced),
            "\nLanguage model `tiny'coder`: 3 requests (2 more answers were known), 1200 tokens read, 34 written, 1.2 s. By the \
             prices that are set, that cost 0.001250.\n"
        );
        assert_eq!(asked(&Account::default()), "");
    }
}
