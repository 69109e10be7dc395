//! Life: how old a changed node is, how often it was edited, and how much of that was repair.

use precedent_pipeline::archive::Step;
use precedent_pipeline::shard::{Change as Edit, CommitRow, EditRow, ObjectId};
use precedent_pipeline::syntax::Kind;

use crate::change::Change;
use crate::evidence::Evidence;
use crate::finding::{Citation, Fact, FactKind, NodeName};
use crate::precedent::Precedents;
use crate::render::{day, short};

/// Fewer edits than this, without a fix among them, are not worth a line.
const MIN_EDITS: usize = 3;

/// One fact for each changed node that has a past.
pub(super) fn facts(change: &Change, precedents: &Precedents<'_>, evidence: &Evidence<'_>) -> Vec<Fact> {
    let ends = precedents.traces.iter().filter_map(|trace| Life::of(trace, precedents)).flat_map(|life| life.ends());
    evidence.expect(ends);
    change
        .nodes
        .iter()
        .zip(&precedents.traces)
        .zip(&precedents.examined)
        .filter(|((node, trace), examined)| **examined && node.before.is_some() && !trace.is_empty())
        .filter_map(|((node, trace), _)| {
            let kind = node.now().1.kind;
            if kind == Kind::Run {
                return None;
            }
            let life = Life::of(trace, precedents)?;
            let citations = life.citations(evidence, precedents);
            Some(Fact {
                kind: FactKind::Life,
                node: node.name(),
                about: node.name(),
                text: life.text(precedents),
                score: life.weight(),
                shown: kind != Kind::Section && (life.edits >= MIN_EDITS || life.fixes + life.reverts > 0),
                here: None,
                citations,
            })
        })
        .collect()
}

struct Life<'a> {
    first: &'a EditRow,
    last: &'a EditRow,
    edits: usize,
    /// How often it was added again after it had been removed.
    returns: usize,
    /// How often it came back as the very text that was removed.
    unchanged_returns: usize,
    fixes: usize,
    reverts: usize,
}

impl<'a> Life<'a> {
    fn of(trace: &[&'a EditRow], precedents: &Precedents<'_>) -> Option<Life<'a>> {
        let archive = precedents.archive;
        // What another node brought along is that one's; its own edit stands beside it.
        let own = trace.iter().copied().filter(|edit| edit.change != Edit::Joined);
        let first = own.clone().next_back()?;
        // A text that only went elsewhere was not edited.
        let later: Vec<&EditRow> =
            own.filter(|edit| !std::ptr::eq(*edit, first) && edit.before != edit.after).collect();
        let steps = archive.steps(trace.iter().map(|edit| (*edit, None)));
        let step_of = |edit: &EditRow| steps.iter().find(|step| std::ptr::eq(step.edit, edit));
        let (mut edits, mut returns, mut unchanged_returns, mut fixes, mut reverts) = (0, 0, 0, 0, 0);
        for edit in &later {
            let step = step_of(edit);
            // Only what was edited is counted as repaired, so that the parts never exceed the whole.
            match edit.change {
                Edit::Added | Edit::Split | Edit::Copied => {
                    returns += 1;
                    let is_same = |step: &Step<'_>| step.returns.is_some_and(|found| found.similarity == Some(1.0));
                    unchanged_returns += usize::from(step.is_some_and(is_same));
                    continue;
                }
                Edit::Removed => continue,
                _ => edits += 1,
            }
            let is_undoing = step.is_some_and(|step| !step.reverts.is_empty());
            match repair(archive.commit(edit.commit)) {
                _ if is_undoing => reverts += 1,
                Some(Repair::Fix) => fixes += 1,
                Some(Repair::Revert) => reverts += 1,
                None => {}
            }
        }
        let last = later.first().copied().unwrap_or(first);
        Some(Life { first, last, edits, returns, unchanged_returns, fixes, reverts })
    }

    fn weight(&self) -> f64 {
        (1.0 + self.edits as f64).ln() + self.fixes as f64 + 2.0 * self.reverts as f64
    }

    fn text(&self, precedents: &Precedents<'_>) -> String {
        let first = precedents.archive.commit(self.first.commit);
        let began = match self.first.change {
            Edit::Added => "added",
            Edit::Split => "split off",
            Edit::Copied => "copied",
            Edit::Present => "older than this shallow clone, which begins",
            _ => "known since",
        };
        let mut text = format!("{began} {} ({})", day(first.author_time), short(&first.id));
        if self.first.commit == self.last.commit {
            text.push_str(", never edited since");
            return text;
        }
        text.push_str(&format!(", {} edit{}", self.edits, plural(self.edits)));
        for (count, one, many) in [(self.fixes, "a fix", "fixes"), (self.reverts, "a revert", "reverts")] {
            match count {
                0 => {}
                1 if self.edits == 1 => text.push_str(&format!(", {one}")),
                1 => text.push_str(&format!(", one of them {one}")),
                _ => text.push_str(&format!(", {count} of them {many}")),
            }
        }
        match self.returns {
            0 => {}
            all if all == self.unchanged_returns => text.push_str(", removed and brought back as it was"),
            _ => text.push_str(", removed and added again"),
        }
        let last = precedents.archive.commit(self.last.commit);
        text.push_str(&format!(
            "; last by {} on {} ({})",
            last.author.replace('`', "'"),
            day(last.author_time),
            short(&last.id)
        ));
        text
    }

    /// The edits that are cited.
    fn ends(&self) -> impl Iterator<Item = &'a EditRow> + use<'a> {
        let last = (self.last.commit != self.first.commit).then_some(self.last);
        std::iter::once(self.first).chain(last)
    }

    fn citations(&self, evidence: &Evidence<'_>, precedents: &Precedents<'_>) -> Vec<Citation> {
        self.ends()
            .filter(|edit| edit.after.is_some())
            .filter_map(|edit| {
                let commit = precedents.archive.commit(edit.commit).id;
                evidence.cite(&commit, &edit.path, edit.start_line, edit.end_line)
            })
            .collect()
    }
}

/// The life of a changed node, edit by edit.
#[derive(Debug, Clone)]
pub struct Timeline {
    /// The node.
    pub node: NodeName,
    /// Newest first.
    pub events: Vec<Event>,
}

/// One edit of a node.
#[derive(Debug, Clone)]
pub struct Event {
    /// When it was authored, in seconds since 1970 UTC.
    pub when: i64,
    /// The commit.
    pub commit: ObjectId,
    /// What happened, as the store says it: `modified`, `moved` …
    pub change: &'static str,
    /// What it was by its message: `fix`, `revert`, `edit`; `born` where the node was not there before.
    pub class: &'static str,
    /// The first line of the commit's message.
    pub subject: String,
}

/// Edits of a node that a time line shows.
const MAX_EVENTS: usize = 300;

/// The time lines of the nodes that have facts to show, in order of the change's nodes.
pub(crate) fn timelines(change: &Change, precedents: &Precedents<'_>, facts: &[Fact]) -> Vec<Timeline> {
    let event = |edit: &&EditRow| {
        let commit = precedents.archive.commit(edit.commit);
        let is_born = matches!(edit.change, Edit::Added | Edit::Split | Edit::Copied | Edit::Present);
        let class = match repair(commit) {
            _ if is_born => "born",
            Some(Repair::Fix) => "fix",
            Some(Repair::Revert) => "revert",
            None => "edit",
        };
        Event {
            when: commit.author_time,
            commit: commit.id,
            change: edit.change.as_str(),
            class,
            subject: commit.message.lines().next().unwrap_or("").to_owned(),
        }
    };
    let nodes = change.nodes.iter().zip(&precedents.traces);
    nodes
        .filter(|(node, trace)| {
            let name = node.name();
            trace.len() > 1 && facts.iter().any(|fact| fact.shown && fact.about == name)
        })
        .map(|(node, trace)| Timeline {
            node: node.name(),
            events: trace.iter().filter(|edit| edit.change != Edit::Joined).take(MAX_EVENTS).map(event).collect(),
        })
        .collect()
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

pub(crate) enum Repair {
    Fix,
    Revert,
}

/// What a message says of itself: Git's own words for a revert, the usual ones for a fix.
pub(crate) fn repair(commit: &CommitRow) -> Option<Repair> {
    let subject = commit.message.lines().next().unwrap_or("").to_lowercase();
    if subject.starts_with("revert") || commit.message.contains("This reverts commit") {
        return Some(Repair::Revert);
    }
    let mut words = subject.split(|letter: char| !letter.is_alphanumeric());
    words
        .any(|word| matches!(word, "fix" | "fixes" | "fixed" | "fixing" | "bug" | "bugfix" | "hotfix" | "regression"))
        .then_some(Repair::Fix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use precedent_pipeline::shard::ObjectId;

    #[test]
    fn a_repair_is_what_the_message_calls_one() {
        let check = |message: &str, expected: &str| {
            let commit = CommitRow {
                number: 0,
                id: ObjectId::from_bytes(&[1; 20]).expect("because it has 20 bytes"),
                parents: vec![],
                author: String::new(),
                author_email: String::new(),
                author_time: 0,
                commit_time: 0,
                message: message.into(),
            };
            let found = match repair(&commit) {
                Some(Repair::Fix) => "fix",
                Some(Repair::Revert) => "revert",
                None => "none",
            };
            assert_eq!(found, expected, "{message}");
        };
        check("parser: fix an overflow", "fix");
        check("Fixes #12", "fix");
        check("prefix handling", "none");
        check("Revert \"fix the parser\"", "revert");
        check("back it out\n\nThis reverts commit 0123456.", "revert");
        check("add a fixture", "none");
    }
}
