//! Checks: claims about a change; one file per check, one registry.
//!
//! A claim must be right. What a check is not sure of, it does not say; and a check that has not been shown to be right
//! is silent (`calibration`).
//!
//! ```text
//! change ──gone──▶ names, options ──tree──▶ who still holds them ──mention──▶ how they speak of them ──▶ claims
//! ```

mod anchor;
mod broken_lines;
mod broken_reference;
mod copied_doc;
mod copied_test;
mod dead_name;
mod elsewhere;
mod facts;
mod features;
mod gone;
mod links;
mod mention;
mod stale_doc;
mod stale_words;
pub mod tree;

use std::cell::OnceCell;
use std::collections::HashSet;

use precedent_pipeline::history::Objects;

use crate::calibration;
use crate::change::Change;
use crate::config::{self, Config};
use crate::evidence::Evidence;
use crate::finding::{Fact, Finding, Side};
use crate::outcomes::Standing;
use crate::precedent::Precedents;
use elsewhere::Spoken;
pub(crate) use facts::MAX_CLAIMS;
use tree::Tree;

/// What a check may look at.
pub struct Scene<'a> {
    /// The change.
    pub change: &'a Change,
    /// The object database.
    pub objects: &'a Objects,
    /// The tree at the head.
    pub tree: &'a Tree<'a>,
    /// What is known at the base, where there is a store.
    pub past: Option<Past<'a>>,
    /// The facts of the briefing, where there is one; they may have to be waited for.
    pub facts: &'a dyn Fn() -> &'a [Fact],
    spoken: OnceCell<Vec<Spoken>>,
    owns_up: OnceCell<bool>,
}

/// What is known at the base of a change, and what it is cited from.
#[derive(Clone, Copy)]
pub struct Past<'a> {
    /// What is known.
    pub precedents: &'a Precedents<'a>,
    /// The sources of citations.
    pub evidence: &'a Evidence<'a>,
}

impl<'a> Scene<'a> {
    /// A change with the tree at its head.
    pub fn new(change: &'a Change, objects: &'a Objects, tree: &'a Tree<'a>, past: Option<Past<'a>>) -> Scene<'a> {
        Scene { change, objects, tree, past, facts: &|| &[], spoken: OnceCell::new(), owns_up: OnceCell::new() }
    }

    /// The same, with the facts of the briefing.
    pub fn with_facts(self, facts: &'a dyn Fn() -> &'a [Fact]) -> Scene<'a> {
        Scene { facts, ..self }
    }

    /// Whether the change itself says in a document that documentation is out of date.
    fn owns_up(&self) -> bool {
        const WORDS: [&str; 4] = ["out of date", "out-of-date", "outdated", "not yet been updated"];
        *self.owns_up.get_or_init(|| {
            let documents =
                self.change.files.iter().filter(|file| matches!(tree::role(&file.path), tree::Role::Document(_)));
            documents.into_iter().any(|file| {
                let lines: Vec<&str> = file.after.lines().collect();
                file.diff.added.iter().filter_map(|number| lines.get(*number as usize - 1)).any(|line| {
                    let line = line.to_lowercase();
                    line.contains("doc") && WORDS.iter().any(|words| line.contains(words))
                })
            })
        })
    }

    /// The names that went and are still spoken of.
    fn spoken(&self) -> &[Spoken] {
        self.spoken.get_or_init(|| elsewhere::spoken(self))
    }
}

type Check = fn(&Scene<'_>) -> Vec<Finding>;

/// All checks, with the names that their claims are made under; one name may have several ways to come to a claim.
const CHECKS: [(&[&str], Check); 9] = [
    (&[stale_doc::NAME], stale_doc::findings),
    (&[stale_doc::NAME], stale_words::findings),
    (&[stale_doc::NAME], features::findings),
    (&[dead_name::NAME], dead_name::findings),
    (&[broken_reference::NAME], broken_reference::findings),
    (&[broken_lines::NAME], broken_lines::findings),
    (&[copied_doc::NAME], copied_doc::findings),
    (&[copied_test::NAME], copied_test::findings),
    (&["duplicate", "companion", "untested", "undoes-a-fix"], facts::findings),
];

/// What makes the claims; changes whenever a check's rules do.
pub const FINGERPRINT: &str = "checks-6";

/// The names that claims are made under.
pub const NAMES: [&str; 10] = [
    stale_doc::NAME,
    dead_name::NAME,
    broken_reference::NAME,
    broken_lines::NAME,
    copied_doc::NAME,
    copied_test::NAME,
    "duplicate",
    "companion",
    "untested",
    "undoes-a-fix",
];

/// Whether any check may have a claim, found out without the nodes of the change, which take the longest to read. Where it
/// says no, there is none but of what the briefing knows.
pub fn may_claim(scene: &Scene<'_>) -> bool {
    stale_doc::may_claim(scene.change)
        || copied_doc::may_claim(scene.change)
        || copied_test::may_claim(scene.change)
        || elsewhere::may_speak(scene)
        || !features::findings(scene).is_empty()
        || !broken_reference::findings(scene).is_empty()
        || !broken_lines::findings(scene).is_empty()
}

/// Every claim of every check, silent or not, gravest first, in the order of the diff among equals; each once.
pub fn alarms(scene: &Scene<'_>) -> Vec<Finding> {
    alarms_of(scene, |_| true)
}

/// The same of the checks that are wanted, by name; the others are not run.
fn alarms_of(scene: &Scene<'_>, wants: impl Fn(&str) -> bool) -> Vec<Finding> {
    let wanted = CHECKS.iter().filter(|(names, _)| names.iter().any(|name| wants(name)));
    let mut findings: Vec<Finding> = wanted.flat_map(|(_, check)| check(scene)).collect();
    // Without the list of files nobody knows what is there.
    if !findings.is_empty() && !scene.tree.is_listed() {
        return Vec::new();
    }
    findings.sort_by(|one, two| {
        two.severity
            .cmp(&one.severity)
            .then_with(|| (&one.path, one.line, &one.id).cmp(&(&two.path, two.line, &two.id)))
    });
    let mut seen = HashSet::new();
    // What the diff does not show cannot be spoken of.
    let is_shown = |finding: &Finding| {
        let file = scene.change.file(&finding.path);
        file.is_some_and(|file| file.diff.hunk_of(finding.side, finding.line).is_some())
    };
    findings.retain(|finding| is_shown(finding) && seen.insert(finding.id.clone()));
    findings
}

/// What may be said of a change: the claims of checks that have a voice, with their confidence, and of those that the
/// repository's owners ask for; not muted, best first.
///
/// `standing` is what is known of a check in this repository.
pub fn findings(scene: &Scene<'_>, config: &Config, standing: impl Fn(&str) -> Standing) -> Vec<Finding> {
    let scores = calibration::shipped(&NAMES);
    let heard = heard(config, &standing);
    let mut said: Vec<Finding> = alarms_of(scene, |name| heard.contains(&name))
        .into_iter()
        .filter_map(|finding| {
            let score = scores.iter().find(|score| score.check == finding.check)?;
            let confidence = calibration::voice(score, &standing(finding.check));
            // Owners may ask to hear a check that is not right often enough; no confidence is stated then.
            let is_heard = confidence.is_some() || config.asks_for(finding.check);
            is_heard.then_some(Finding { confidence, ..finding })
        })
        .filter(|finding| !config.mutes(finding) && !is_ignored_in_code(scene, finding))
        .collect();
    said.sort_by(|one, two| two.weight().total_cmp(&one.weight()));
    said
}

/// The checks whose claims [`findings`] would tell, wherever they are not muted by path.
pub fn heard(config: &Config, standing: impl Fn(&str) -> Standing) -> Vec<&'static str> {
    let scores = calibration::shipped(&NAMES);
    let speaks = |name: &str| {
        let score = scores.iter().find(|score| score.check == name);
        score.is_some_and(|score| calibration::voice(score, &standing(name)).is_some() || config.asks_for(name))
    };
    NAMES.into_iter().filter(|name| speaks(name) && !config.mutes_all(name)).collect()
}

/// Whether the code asks for silence where the claim is anchored, or at the words that it is about.
fn is_ignored_in_code(scene: &Scene<'_>, finding: &Finding) -> bool {
    let anchored = (finding.side == Side::Right).then_some((finding.path.as_str(), finding.line));
    let cited = finding
        .citations
        .first()
        .filter(|citation| citation.commit == scene.change.head)
        .map(|citation| (citation.path.as_str(), citation.lines[0]));
    [anchored, cited].into_iter().flatten().any(|(path, line)| {
        let text = match scene.change.file(path) {
            Some(file) if !file.after.is_empty() => Some(file.after.as_str().into()),
            _ => scene.tree.find(path).and_then(|file| scene.tree.text(file)),
        };
        text.is_some_and(|text| config::is_ignored(&text, line, finding.check))
    })
}
