//! Review: what a reviewer said of the same code, or of the code that is nearest to it.

use std::collections::HashSet;

use precedent_pipeline::shard::{ObjectId, ReviewRow};
use precedent_pipeline::syntax::Kind;

use crate::change::{Change, ChangedNode};
use crate::evidence::Evidence;
use crate::finding::{Citation, Fact, FactKind, NodeName};
use crate::github::reviews::code_of;
use crate::precedent::Precedents;
use crate::render::{code, day};
use crate::sanitise;

/// Cosine similarity of the code spoken of and a node from which on people see what was said; with less, the line that was
/// spoken of must stand in the node. Not tuned: there are no judged examples.
const MIN_SHOWN: f32 = 0.8;
/// The same for what programs see.
const MIN_LISTED: f32 = 0.65;
/// Shorter lines stand in many nodes; in letters and digits.
const MIN_LINE_LETTERS: usize = 12;
/// What is quoted of a comment, in characters.
const MAX_QUOTE_CHARS: usize = 160;

/// What was said of each changed node, one fact a comment.
pub(super) fn facts(change: &Change, precedents: &Precedents<'_>, evidence: &Evidence<'_>) -> Vec<Fact> {
    let known =
        |row: &ReviewRow| precedents.archive.number(&row.merge).is_some_and(|number| precedents.known.has(number));
    let mut facts = Vec::new();
    let mut told: HashSet<i64> = HashSet::new();
    for (node, near) in change.nodes.iter().zip(&precedents.said) {
        for (row, cosine) in near.iter().map(|(at, cosine)| (&precedents.reviews[*at], *cosine)) {
            let is_here = stands_in(row, node);
            if told.contains(&row.comment) || !known(row) || (!is_here && cosine < MIN_LISTED) {
                continue;
            }
            let Some(citation) = cited(row, &change.base, evidence) else { continue };
            told.insert(row.comment);
            facts.push(Fact {
                kind: FactKind::Review,
                node: NodeName { path: row.path.to_string(), symbol: String::new() },
                about: node.name(),
                text: text(row, is_here),
                score: f64::from(cosine) + if is_here { 1.0 } else { 0.0 },
                passes: (is_here || cosine >= MIN_SHOWN) && node.now().1.kind != Kind::Section,
                shown: false,
                here: None,
                citations: vec![citation],
            });
        }
    }
    facts
}

fn text(row: &ReviewRow, is_here: bool) -> String {
    let is_said = |line: &&str| !line.is_empty() && !line.starts_with('>') && !line.starts_with("```");
    let first = row.text.lines().map(str::trim).find(is_said).unwrap_or("");
    let mut quote: String = first.chars().take(MAX_QUOTE_CHARS).collect();
    if first.chars().nth(MAX_QUOTE_CHARS).is_some() {
        quote.push('…');
    }
    let of_what = if is_here { "of this code" } else { "of code like it" };
    let after = if row.outdated { ", which changed afterwards" } else { ", which did not change afterwards" };
    let link = if sanitise::is_plain_link(&row.link) { format!(" ({})", row.link) } else { String::new() };
    format!("{} on {} in #{}, {of_what}{after}: {}{link}", code(&row.author), day(row.created), row.pull, code(&quote))
}

/// Whether the line that was spoken of stands in a node, before or after the change.
fn stands_in(row: &ReviewRow, node: &ChangedNode) -> bool {
    let spoken_of = code_of(&row.hunk);
    let Some(line) = spoken_of.lines().next_back().map(str::trim) else { return false };
    let letters = line.chars().filter(|letter| letter.is_alphanumeric()).count();
    let sides = [&node.before, &node.after].into_iter().flatten();
    letters >= MIN_LINE_LETTERS
        && sides.into_iter().any(|(_, piece)| piece.text.lines().any(|other| other.trim() == line))
}

/// The last line of the hunk that stands in the file as it was merged; in a clone that lacks the merge, as it stands at
/// the base.
fn cited(row: &ReviewRow, base: &ObjectId, evidence: &Evidence<'_>) -> Option<Citation> {
    let objects = evidence.objects();
    let commit = if objects.contains(&row.merge) { &row.merge } else { base };
    let content = objects.content(commit, &row.path)?;
    let content = String::from_utf8_lossy(&content);
    let spoken_of = code_of(&row.hunk);
    let wanted = spoken_of.lines().rev().map(str::trim).filter(|line| line.chars().any(char::is_alphanumeric));
    let at = wanted.into_iter().find_map(|wanted| content.lines().position(|line| line.trim() == wanted))?;
    let line = u32::try_from(at + 1).ok()?;
    evidence.cite(commit, &row.path, line, line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str) -> ReviewRow {
        ReviewRow {
            comment: 1,
            pull: 7,
            author: "ada".into(),
            created: 0,
            updated: 0,
            link: "https://github.com/o/r/pull/7#discussion_r1".into(),
            merge: ObjectId::from_bytes(&[1; 20]).expect("because it is of 20 bytes"),
            path: "a.rs".into(),
            outdated: true,
            text: text.into(),
            hunk: "@@ -1 +1 @@\n+let x = 1;".into(),
            scale: 0.0,
            vector: Vec::new(),
        }
    }

    #[test]
    fn a_fact_says_who_when_where_and_what_came_of_it() {
        assert_eq!(
            text(&row("> quoted\n\nThis `lock` is held too long.\nMore."), true),
            "`ada` on 1970-01-01 in #7, of this code, which changed afterwards: `This 'lock' is held too long.` \
             (https://github.com/o/r/pull/7#discussion_r1)"
        );
        let long = ReviewRow { outdated: false, link: "javascript:alert(1)".into(), ..row(&"é ".repeat(500)) };
        let said = text(&long, false);
        assert!(
            said.contains("of code like it, which did not change afterwards: `é é") && said.ends_with("…`"),
            "{said}"
        );
    }
}
