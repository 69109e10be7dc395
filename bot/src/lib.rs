//! Bot: a change to a review. Knows the history and its archive; prints nothing.
//!
//! ```text
//! A..B ──change──▶ changed nodes ──precedent──▶ what is known at the base
//!                                     │
//!                     briefing (facts) and checks (claims)
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
pub mod finding;
pub mod github;
pub mod precedent;
pub mod redact;
pub mod render;
pub mod replay;
pub mod sanitise;

use std::time::Instant;

use precedent_model::Embedder;
use precedent_pipeline::PipelineError;
use precedent_pipeline::archive::Archive;
use precedent_pipeline::history::Repository;

use change::Change;
use checks::Scene;
use checks::tree::{Library, Tree};
use finding::{Fact, Finding, Left};
use precedent::Precedents;

/// What a review says.
#[derive(Debug, Clone)]
pub struct Review {
    /// The change it is about.
    pub change: Change,
    /// Facts, best first within a kind.
    pub briefing: Vec<Fact>,
    /// Claims, best first.
    pub findings: Vec<Finding>,
    /// What was not looked at, and why.
    pub skipped: Vec<Left>,
    /// The embedder's fingerprint.
    pub model: String,
    /// Wall-clock time of the review in seconds, without indexing.
    pub seconds: f64,
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
    let started = Instant::now();
    let objects = repository.objects();
    let mut skipped = change.skipped();
    let precedents = Precedents::gather(archive, embedder, &objects, &change)?;
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
    let (briefing, unverified_facts) = finding::verified(briefing::facts(&change, &precedents, &objects), &objects);
    let config = config::Config::at(&objects, &change.base).unwrap_or_else(|why| {
        skipped.push(Left { what: "the configuration".into(), why });
        config::Config::default()
    });
    let max_findings = config.max_findings();
    let library = Library::default();
    let tree = Tree::of(Some(repository), &objects, &library, &change.head);
    let scene = Scene::new(&change, &objects, &tree, Some(&precedents)).with_facts(&briefing);
    // What replay knows of this repository comes in here.
    let outcome = |_: &str| None;
    let (mut findings, unverified_claims) = finding::verified(checks::findings(&scene, &config, outcome), &objects);
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
        skipped,
        model: archive.store().manifest().embedder.clone(),
        seconds: started.elapsed().as_secs_f64(),
    })
}
