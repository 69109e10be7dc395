//! Render: a review in words, the same words everywhere. Pure.
//!
//! Names, quotes and messages come from the repository and are hostile: what could not be seen is
//! made visible, and what could be taken for markup is not.

mod annotations;
mod html;
mod json;
mod markdown;
mod sarif;
mod terminal;

use std::collections::BTreeMap;

use jiff::Timestamp;
use precedent_pipeline::shard::ObjectId;

pub use annotations::annotations;
pub use html::{Passages, html, passage_key};
pub use json::{json, json_of};
pub use markdown::markdown;
pub use sarif::sarif;
pub use terminal::{Style, clip, columns, terminal, visible, wrap};

use crate::Review;
use crate::change::MAX_COMMITS;
use crate::finding::{Fact, FactKind, NodeName};

/// A commit in seven digits.
pub fn short(id: &ObjectId) -> String {
    let mut text = id.to_string();
    text.truncate(7);
    text
}

/// The subject of a commit's message as Git tells it: its first paragraph, in one line.
pub fn subject(message: &str) -> String {
    let lines = message.lines().map(str::trim).skip_while(|line| line.is_empty()).take_while(|line| !line.is_empty());
    lines.collect::<Vec<&str>>().join(" ")
}

/// What is shown in place of a text that Git allows to be empty.
pub fn or_none<'t>(text: &'t str, none: &'static str) -> &'t str {
    if text.trim().is_empty() { none } else { text.trim() }
}

/// Of a message.
pub const NO_MESSAGE: &str = "(no message)";
/// Of an author's name.
pub const NO_NAME: &str = "someone without a name";

/// A time as a date in UTC.
pub fn day(seconds: i64) -> String {
    Timestamp::from_second(seconds)
        .map(|time| time.strftime("%Y-%m-%d").to_string())
        .unwrap_or_else(|_| "an impossible date".to_owned())
}

/// A name or quote in code markup that it cannot leave.
pub fn code(text: &str) -> String {
    format!("`{}`", visible(text).replace('`', "'"))
}

/// "2 files, 3 nodes changed · nothing claimed · 4 facts", with "5 commits, " before where a change has more than one.
fn summary(review: &Review) -> String {
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let files = review.change.shown_files().count();
    let commits = match review.change.commits {
        0 | 1 => String::new(),
        MAX_COMMITS => format!("{MAX_COMMITS} commits or more, "),
        number => format!("{number} commits, "),
    };
    let changed = format!("{commits}{}, {} changed", count(files, "file"), count(review.change.nodes.len(), "node"));
    let claimed = match review.findings.len() {
        0 => "nothing claimed".to_owned(),
        number => format!("{} claimed", count(number, "thing")),
    };
    let facts = match review.briefing.iter().filter(|fact| fact.shown).count() {
        0 => "nothing worth a look".to_owned(),
        number => count(number, "fact"),
    };
    format!("{changed} · {claimed} · {facts}")
}

/// Facts by the node that they are about, those first that teach most.
fn by_node<'a>(facts: impl IntoIterator<Item = &'a Fact>) -> Vec<(&'a NodeName, Vec<&'a Fact>)> {
    let mut grouped: BTreeMap<&NodeName, Vec<&Fact>> = BTreeMap::new();
    for fact in facts {
        grouped.entry(&fact.about).or_default().push(fact);
    }
    let mut grouped: Vec<_> = grouped.into_iter().collect();
    grouped.sort_by_key(|(_, facts)| facts.iter().map(|fact| fact.kind).min());
    grouped
}

/// How a fact is introduced.
fn label(kind: FactKind) -> &'static str {
    match kind {
        FactKind::Life => "life",
        FactKind::Return | FactKind::Undo => "before",
        FactKind::Companion => "usually",
        FactKind::Test => "tests",
        FactKind::Review => "said",
        FactKind::Copy => "like",
    }
}

/// A node as people name it: the symbol, or the file.
fn title(name: &NodeName) -> &str {
    if name.symbol.is_empty() { &name.path } else { &name.symbol }
}

/// A sentence with what this change does about it.
fn sentence(fact: &Fact) -> String {
    match fact.here {
        Some(true) => format!("{}; here too", fact.text),
        Some(false) => format!("{}; not here", fact.text),
        None => fact.text.clone(),
    }
}

/// "3 of 5 files reviewed, 2 generated".
fn coverage(review: &Review) -> Option<String> {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for file in review.change.shown_files() {
        if let Err(reason) = file.language {
            *reasons.entry(reason).or_default() += 1;
        }
    }
    if reasons.is_empty() {
        return None;
    }
    let all = review.change.shown_files().count();
    let left: usize = reasons.values().sum();
    let why: Vec<String> = reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    Some(format!("{} of {all} files reviewed, {}", all - left, why.join(", ")))
}

/// What was left out besides files: "left out: 2 more findings (at most 3 are shown)".
fn notes(review: &Review) -> Vec<String> {
    review
        .skipped
        .iter()
        .filter(|left| review.change.file(&left.what).is_none())
        .map(|left| format!("left out: {} ({})", left.what, left.why))
        .collect()
}

/// "model tiny-coder: 4 statements, 3 dropped".
fn voice(review: &Review) -> Option<String> {
    let account = review.voice.as_ref().filter(|account| !account.model.is_empty())?;
    let dropped: u32 = account.dropped.iter().map(|drop| drop.count).sum();
    let ending = if account.stated == 1 { "" } else { "s" };
    Some(format!("model {}: {} statement{ending}, {dropped} dropped", account.model, account.stated))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_markup_cannot_be_left() {
        assert_eq!(code("a`b"), "`a'b`");
        assert_eq!(code("a\u{202e}b"), "`aU+202Eb`");
    }

    #[test]
    fn a_subject_ends_with_its_paragraph() {
        assert_eq!(subject("fix a race in\n  Parser::next\r\n\nIt was old.\n"), "fix a race in Parser::next");
        assert_eq!(subject("\n \none\n"), "one");
        assert_eq!(subject(""), "");
    }

    #[test]
    fn dates_are_days_in_utc() {
        assert_eq!(day(0), "1970-01-01");
        assert_eq!(day(1_700_000_000), "2023-11-14");
        assert_eq!(day(i64::MAX), "an impossible date");
    }
}
