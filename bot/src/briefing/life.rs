//! Life: how old a changed node is, how often it was edited, and how much of that was repair.

use precedent_pipeline::archive::Step;
use precedent_pipeline::shard::{Change as Edit, CommitRow, EditRow, ObjectId};
use precedent_pipeline::syntax::Kind;

use super::companion::is_of_tests;
use crate::change::{Change, ChangedNode};
use crate::evidence::Evidence;
use crate::finding::{Citation, Fact, FactKind, NodeName};
use crate::precedent::Precedents;
use crate::render::{day, short, subject};

/// Fewer edits than this, without a fix among them, are not worth a line.
const MIN_EDITS: usize = 3;

/// One fact for each changed node that has a past.
pub(super) fn facts(change: &Change, precedents: &Precedents<'_>, evidence: &Evidence<'_>) -> Vec<Fact> {
    let lives: Vec<(&ChangedNode, Life<'_>)> = change
        .nodes
        .iter()
        .zip(&precedents.traces)
        .zip(&precedents.examined)
        .filter(|((node, trace), examined)| **examined && node.before.is_some() && !trace.is_empty())
        .filter(|((node, _), _)| node.now().1.kind != Kind::Run)
        .filter_map(|((node, trace), _)| Some((node, Life::of(trace, precedents)?)))
        .collect();
    evidence.expect(lives.iter().flat_map(|(_, life)| life.ends()));
    lives
        .into_iter()
        .map(|(node, life)| {
            let kind = node.now().1.kind;
            let citations = life.citations(evidence, precedents);
            Fact {
                kind: FactKind::Life,
                node: node.name(),
                about: node.name(),
                text: change.which(node) + &life.text(precedents),
                score: weight(life.edits, life.fixes.len(), life.reverts.len()),
                passes: kind != Kind::Section
                    && !is_blank(&node.now().1.symbol)
                    && life.is_worth_a_line(is_of_tests(kind.as_str(), &node.now().0))
                    && !node.is_in_words()
                    && !node.is_by_its_parts(&change.nodes),
                shown: false,
                here: None,
                citations,
            }
        })
        .collect()
}

/// Whether a node has the name of what nobody can name: `var _ Reader = …` of Go, `const _: () = …` of Rust.
fn is_blank(symbol: &str) -> bool {
    symbol.rsplit([':', '.']).next() == Some("_")
}

struct Life<'a> {
    first: &'a EditRow,
    last: &'a EditRow,
    edits: usize,
    /// How often it was added again after it had been removed.
    returns: usize,
    /// How often it came back as the very text that was removed.
    unchanged_returns: usize,
    /// The edits that were one, newest first.
    fixes: Vec<&'a EditRow>,
    reverts: Vec<&'a EditRow>,
    /// Who wrote it and edited it, those who did so most often first, with how often.
    people: Vec<(&'a str, usize)>,
}

impl<'a> Life<'a> {
    fn of(trace: &[&'a EditRow], precedents: &'a Precedents<'_>) -> Option<Life<'a>> {
        let archive = precedents.archive;
        // What another node brought along is that one's; its own edit stands beside it.
        let own = trace.iter().copied().filter(|edit| edit.change != Edit::Joined);
        let first = own.clone().next_back()?;
        // A text that only went elsewhere was not edited.
        let later: Vec<&EditRow> =
            own.filter(|edit| !std::ptr::eq(*edit, first) && edit.before != edit.after).collect();
        let steps = archive.steps(trace.iter().map(|edit| (*edit, None)));
        let step_of = |edit: &EditRow| steps.iter().find(|step| std::ptr::eq(step.edit, edit));
        let (mut edits, mut returns, mut unchanged_returns) = (0, 0, 0);
        let (mut fixes, mut reverts) = (Vec::new(), Vec::new());
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
                _ if is_undoing => reverts.push(*edit),
                Some(Repair::Fix) => fixes.push(*edit),
                Some(Repair::Revert) => reverts.push(*edit),
                None => {}
            }
        }
        let last = later.first().copied().unwrap_or(first);
        let mut people: Vec<(&str, usize)> = Vec::new();
        // Nobody is known to have written what was there when a shallow clone begins.
        let written = later.iter().copied().chain((first.change != Edit::Present).then_some(first));
        for edit in written.filter(|edit| edit.change != Edit::Removed) {
            let Some(name) = precedents.authors.name(archive.commit(edit.commit)) else { continue };
            match people.iter_mut().find(|(known, _)| *known == name) {
                Some((_, count)) => *count += 1,
                None => people.push((name, 1)),
            }
        }
        people.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Some(Life { first, last, edits, returns, unchanged_returns, fixes, reverts, people })
    }

    /// Tests are edited with the code, so that of theirs only repairs say something.
    fn is_worth_a_line(&self, is_of_tests: bool) -> bool {
        let is_repaired = !self.fixes.is_empty() || !self.reverts.is_empty();
        is_repaired || self.edits >= MIN_EDITS && !is_of_tests
    }

    fn text(&self, precedents: &Precedents<'_>) -> String {
        let first = precedents.archive.commit(self.first.commit);
        let began = match self.first.change {
            Edit::Added => "added",
            Edit::Split => "split off",
            Edit::Copied => "copied",
            Edit::Present if first.parents.is_empty() => "older than this shallow clone, which begins",
            _ => "known since",
        };
        let mut text = format!("{began} {} ({})", day(first.author_time), short(&first.id));
        if self.first.commit == self.last.commit {
            text.push_str(", never edited since");
            return text;
        }
        text.push_str(&format!(", {} edit{}", self.edits, plural(self.edits)));
        for (repairs, one, many) in [(&self.fixes, "a fix", "fixes"), (&self.reverts, "a revert", "reverts")] {
            let Some(last) = repairs.first() else { continue };
            match repairs.len() {
                1 if self.edits == 1 => text.push_str(&format!(", {one}")),
                1 => text.push_str(&format!(", one of them {one}")),
                count => text.push_str(&format!(", {count} of them {many}")),
            }
            // Where it is the last edit of all, its commit stands at the end of the sentence.
            if last.commit != self.last.commit {
                let id = short(&precedents.archive.commit(last.commit).id);
                text.push_str(&if repairs.len() == 1 { format!(" ({id})") } else { format!(" (last {id})") });
            }
        }
        match self.returns {
            0 => {}
            all if all == self.unchanged_returns => text.push_str(", removed and brought back as it was"),
            _ => text.push_str(", removed and added again"),
        }
        let last = precedents.archive.commit(self.last.commit);
        let name = precedents.authors.name(last).unwrap_or(&last.author);
        if self.people.len() > 1 {
            text.push_str(&format!("; by {}", self.people()));
        }
        text.push_str(&format!("; last by {} on {} ({})", plain(name), day(last.author_time), short(&last.id)));
        text
    }

    /// "Ada (4), Bo and 2 more".
    fn people(&self) -> String {
        const MAX_NAMED: usize = 3;
        let mut named: Vec<String> = (self.people.iter().take(MAX_NAMED))
            .map(|(name, count)| if *count > 1 { format!("{} ({count})", plain(name)) } else { plain(name) })
            .collect();
        if self.people.len() > MAX_NAMED {
            named.push(format!("{} more", self.people.len() - MAX_NAMED));
        }
        let last = named.pop().unwrap_or_default();
        format!("{} and {last}", named.join(", "))
    }

    /// The edits that are cited.
    fn ends(&self) -> impl Iterator<Item = &'a EditRow> {
        let last = (self.last.commit != self.first.commit).then_some(self.last);
        let is_other = |edit: &&EditRow| edit.commit != self.first.commit && edit.commit != self.last.commit;
        let repairs = [&self.fixes, &self.reverts].into_iter().filter_map(|repairs| repairs.first().copied());
        std::iter::once(self.first).chain(last).chain(repairs.filter(is_other))
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
    /// What it was by its message, or by what it undid: `fix`, `revert`, `edit`; `born` where the node was not there
    /// before, `gone` where it went, and `move` where only its place or its name's did.
    pub class: &'static str,
    /// The subject of the commit's message.
    pub subject: String,
}

/// Edits of a node that a time line shows.
const MAX_EVENTS: usize = 300;

/// The time lines of the nodes that have facts to show, in order of the change's nodes.
pub(crate) fn timelines(change: &Change, precedents: &Precedents<'_>, facts: &[Fact]) -> Vec<Timeline> {
    let event = |step: &Step<'_>| {
        let edit = step.edit;
        let commit = precedents.archive.commit(edit.commit);
        let is_born = matches!(edit.change, Edit::Added | Edit::Split | Edit::Copied | Edit::Present);
        // As in the sentence, only what was edited is counted as edited or repaired.
        let class = match repair(commit) {
            _ if is_born => "born",
            _ if edit.change == Edit::Removed => "gone",
            _ if edit.before == edit.after => "move",
            _ if !step.reverts.is_empty() => "revert",
            Some(Repair::Fix) => "fix",
            Some(Repair::Revert) => "revert",
            None => "edit",
        };
        Event {
            when: commit.author_time,
            commit: commit.id,
            change: edit.change.as_str(),
            class,
            subject: subject(&commit.message),
        }
    };
    let nodes = change.nodes.iter().zip(&precedents.traces);
    nodes
        .filter(|(node, trace)| {
            let name = node.name();
            trace.len() > 1 && facts.iter().any(|fact| fact.shown && fact.about == name)
        })
        .map(|(node, trace)| {
            let steps = precedents.archive.steps(trace.iter().map(|edit| (*edit, None)));
            let own = steps.iter().filter(|step| step.edit.change != Edit::Joined);
            Timeline { node: node.name(), events: own.take(MAX_EVENTS).map(event).collect() }
        })
        .collect()
}

/// A name that cannot be taken for code.
fn plain(name: &str) -> String {
    name.replace('`', "'")
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
    let words: Vec<&str> =
        subject.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let is_fix = |word: &&str| {
        matches!(*word, "fix" | "fixes" | "fixed" | "fixing" | "bug" | "bugfix" | "hotfix" | "regression")
    };
    // What only mends how code reads, or takes other versions in, repairs nothing that it does.
    let is_cosmetic = words.iter().any(|word| COSMETIC.contains(word))
        || words.windows(2).any(|pair| matches!(pair, ["fix", "cs" | "deps"]));
    (words.iter().any(is_fix) && !is_cosmetic).then_some(Repair::Fix)
}

/// How much is learned from a life: the share of its edits that were repairs, as if it had been edited some times more
/// without any, since what is edited most is mostly a list that everything adds to. Of two that were repaired as often,
/// what was edited more.
fn weight(edits: usize, fixes: usize, reverts: usize) -> f64 {
    const MORE: f64 = 8.0;
    let (edits, repairs) = (edits as f64, fixes as f64 + 2.0 * reverts as f64);
    repairs / (edits + MORE) + (1.0 + edits).ln() / 1e3
}

/// Words of a subject that say that a fix is of words, of a style or of what a tool says of it.
const COSMETIC: [&str; 14] = [
    "typo",
    "typos",
    "spelling",
    "whitespace",
    "whitespaces",
    "lint",
    "lints",
    "linting",
    "javadoc",
    "javadocs",
    "phpdoc",
    "docblock",
    "docblocks",
    "docstring",
];

#[cfg(test)]
mod tests {
    use super::*;
    use precedent_pipeline::shard::ObjectId;

    #[test]
    fn what_was_repaired_often_comes_before_what_was_edited_often() {
        // Edits, fixes and reverts, best first.
        let lives = [(25, 21, 0), (3, 2, 0), (16, 2, 1), (1, 1, 0), (203, 8, 0), (40, 0, 0), (5, 0, 0)];
        let weights = lives.map(|(edits, fixes, reverts)| weight(edits, fixes, reverts));
        assert!(weights.is_sorted_by(|one, two| one > two), "{weights:?}");
    }

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
        check("Fix Javadoc typos (closes #30)", "none");
        check("Fix CS (#11003)", "none");
        check("fix Program.cs", "fix");
        check("fix(deps): update all non-major dependencies (#22985)", "none");
        check("fix(parser): deps are read", "fix");
    }
}
