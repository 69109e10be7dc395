//! Bot: a change to a review. Knows the history and its archive; prints nothing.
//!
//! ```text
//! A..B ──change──▶ changed nodes ──precedent──▶ what is known at the base
//!                                     │
//!                     briefing (facts) and checks (claims); llm, if asked for (claims)
//!                                     │ finding: verify citations, rank, cap
//!                                     ▼
//!                       render: terminal · JSON · Markdown
//! ```
//!
//! [`review()`] is the recipe. Facts and claims are never mixed: a fact is true as stated and
//! reproaches nobody, a claim must be right.

pub mod briefing;
pub mod calibration;
pub mod change;
pub mod checks;
pub mod companions;
pub mod config;
pub mod diff;
pub mod evidence;
pub mod finding;
pub mod github;
#[cfg(feature = "llm")]
pub mod llm;
pub mod outcomes;
pub mod precedent;
pub mod redact;
pub mod render;
pub mod replay;
pub mod sanitise;
pub mod voice;

use std::cell::{Cell, OnceCell};
use std::thread;
use std::time::Instant;

use precedent_model::Embedder;
use precedent_pipeline::PipelineError;
use precedent_pipeline::archive::Archive;
use precedent_pipeline::history::Repository;
use precedent_pipeline::shard::ObjectId;

use briefing::Timeline;
use change::Change;
use checks::tree::{Library, Tree};
use checks::{Past, Scene};
use evidence::Evidence;
use finding::{Citation, Fact, Finding, Left};
use outcomes::Outcomes;
use precedent::Precedents;
use voice::{Account, Material, Voice};

/// What a review says.
#[derive(Debug, Clone)]
pub struct Review {
    /// The change it is about.
    pub change: Change,
    /// Facts, best first within a kind.
    pub briefing: Vec<Fact>,
    /// Claims, best first.
    pub findings: Vec<Finding>,
    /// The checks that had a voice.
    pub checks: Vec<&'static str>,
    /// The lives of the nodes that have facts to show, edit by edit.
    pub timelines: Vec<Timeline>,
    /// What was not looked at, and why.
    pub skipped: Vec<Left>,
    /// The embedder's fingerprint.
    pub model: String,
    /// What a language model was asked, if one was.
    pub voice: Option<Account>,
    /// Wall-clock time of the review in seconds, without indexing.
    pub seconds: f64,
}

impl Review {
    /// The same review under the id that people know its head by, where the commit that was read has another and the same
    /// files.
    pub fn of_head(mut self, head: ObjectId) -> Review {
        let read = std::mem::replace(&mut self.change.head, head);
        let facts = self.briefing.iter_mut().flat_map(|fact| &mut fact.citations);
        let all = facts.chain(self.findings.iter_mut().flat_map(|finding| &mut finding.citations));
        for citation in all.filter(|citation| citation.commit == read) {
            citation.commit = head;
        }
        self
    }
}

/// The facts about a change whose citations hold, and how many others there are.
fn briefed(
    repository: &Repository,
    archive: &Archive,
    change: &Change,
    precedents: &Precedents<'_>,
) -> (Vec<Fact>, usize) {
    let objects = repository.objects();
    let evidence = Evidence::new(&objects, archive);
    finding::verified(briefing::facts(change, precedents, &evidence), |citation| evidence.holds(citation))
}

/// Reviews a change against what is known at its base.
///
/// # Errors
/// History or a store that cannot be read, or a model that fails.
pub fn review(
    repository: &Repository,
    archive: &Archive,
    embedder: &dyn Embedder,
    change: Change,
) -> Result<Review, PipelineError> {
    review_with(repository, archive, embedder, change, None)
}

/// The same, with a voice that is asked when facts and checks are done. Whatever becomes of it, they stay.
///
/// # Errors
/// As [`review()`]; a voice that fails is no error, and is named among what was left out.
pub fn review_with(
    repository: &Repository,
    archive: &Archive,
    embedder: &dyn Embedder,
    change: Change,
    voice: Option<Voice<'_>>,
) -> Result<Review, PipelineError> {
    let started = Instant::now();
    let objects = repository.objects();
    let mut skipped = change.skipped();
    let precedents = Precedents::gather(archive, embedder, repository, &objects, &change)?;
    if archive.number(&change.base_tip).is_none() && change.base != change::empty_tree(&change.head) {
        skipped.push(Left { what: "the past of everything".into(), why: "the base is not indexed".into() });
    }
    let unexamined_files = change.files.len().saturating_sub(precedent::MAX_FILES);
    if unexamined_files > 0 {
        skipped.push(Left {
            what: format!("the companions of {unexamined_files} files"),
            why: "the change is very large".into(),
        });
    }
    let unexamined = precedents.examined.iter().filter(|examined| !**examined).count();
    if unexamined > 0 {
        skipped.push(Left { what: format!("the past of {unexamined} nodes"), why: "the change is very large".into() });
    }
    let config = config::Config::at(&objects, &change.base).unwrap_or_else(|why| {
        skipped.push(Left { what: "the configuration".into(), why });
        config::Config::default()
    });
    let max_findings = config.max_findings();
    let outcomes = Outcomes::of(archive.store()).as_of(archive, &precedents.known);
    let evidence = Evidence::new(&objects, archive);
    let holds = |citation: &Citation| evidence.holds(citation);
    let told = OnceCell::new();
    let (mut findings, unverified_claims) = thread::scope(|scope| {
        // Beside it, the checks look for claims, few of which need facts.
        let briefing = Cell::new(Some(scope.spawn(|| briefed(repository, archive, &change, &precedents))));
        let told = || -> &(Vec<Fact>, usize) {
            told.get_or_init(|| {
                let briefing = briefing.take().expect("because it is waited for once");
                briefing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
        };
        let facts = || told().0.as_slice();
        let library = Library::default();
        let tree = Tree::of(Some(repository), &objects, &library, &change.head);
        let past = Past { precedents: &precedents, evidence: &evidence };
        let scene = Scene::new(&change, &objects, &tree, Some(past)).with_facts(&facts);
        let claims = checks::findings(&scene, &config, |check| outcomes.standing(check));
        told();
        finding::verified(claims, holds)
    });
    let (briefing, unverified_facts) = told.into_inner().expect("because it was waited for");
    let timelines = briefing::timelines(&change, &precedents, &briefing);
    let mut account = None;
    if let Some(voice) = voice {
        let material = Material {
            evidence: &evidence,
            change: &change,
            precedents: &precedents,
            facts: &briefing,
            findings: &findings,
            config: &config,
        };
        let spoken = voice(&material);
        skipped.extend(spoken.skipped);
        account = Some(spoken.account);
        // Behind the checks, whose precision has been judged.
        findings.extend(finding::verified(spoken.findings, holds).0);
    }
    if findings.len() > max_findings {
        let more = findings.len() - max_findings;
        findings.truncate(max_findings);
        skipped.push(Left { what: format!("{more} more findings"), why: format!("at most {max_findings} are shown") });
    }
    if unverified_facts + unverified_claims > 0 {
        skipped.push(Left {
            what: format!("statements: {}", unverified_facts + unverified_claims),
            why: "a citation did not resolve".into(),
        });
    }
    Ok(Review {
        change,
        briefing,
        findings,
        checks: checks::heard(&config, |check| outcomes.standing(check)),
        timelines,
        skipped,
        model: archive.store().manifest().embedder.clone(),
        voice: account,
        seconds: started.elapsed().as_secs_f64(),
    })
}
