//! Checks on facts: what the briefing knows, said as a claim. Silent until labels say that they may speak.
//!
//! *duplicate*: new code is like existing code. *companion*: what usually changes too did not. *untested*: the tests that
//! changed with this before did not. *undoes-a-fix*: text that a fix brought goes away.

use super::{Scene, anchor};
use crate::finding::{Fact, FactKind, Finding, Severity};

/// Each check with the kind of fact that it is made from.
const CHECKS: [(&str, FactKind); 4] = [
    ("duplicate", FactKind::Copy),
    ("companion", FactKind::Companion),
    ("untested", FactKind::Test),
    ("undoes-a-fix", FactKind::Undo),
];

/// Facts of a kind that would be claimed, at the most; the briefing has them all.
pub(crate) const MAX_CLAIMS: usize = 3;

/// One claim for each fact that meets the rules of its kind and is not heeded by the change, whether it is open or folded.
pub(super) fn findings(scene: &Scene<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for (check, kind) in CHECKS {
        let of_kind = (scene.facts)().iter().filter(|fact| fact.passes && fact.here != Some(true) && fact.kind == kind);
        found.extend(of_kind.filter_map(|fact| finding(scene, check, fact)).take(MAX_CLAIMS));
    }
    found
}

fn finding(scene: &Scene<'_>, check: &'static str, fact: &Fact) -> Option<Finding> {
    let file = scene.change.file(&fact.about.path)?;
    let node = scene.change.nodes.iter().find(|node| node.name() == fact.about);
    let line = match node.and_then(|node| node.after.as_ref()) {
        Some((_, piece)) => file.diff.first_added(piece.start_line, piece.end_line)?,
        None => *file.diff.added.first()?,
    };
    let anchor = anchor::of_new_line(scene.change, &fact.about.path, line)?;
    Some(Finding {
        id: Finding::id(check, &fact.about, &format!("{}#{}", fact.node.path, fact.node.symbol)),
        check,
        path: anchor.path,
        side: anchor.side,
        start_line: None,
        line: anchor.line,
        severity: Severity::Info,
        confidence: None,
        title: fact.text.clone(),
        body: "This is what history says of the changed code.".to_owned(),
        suggestion: None,
        citations: fact.citations.clone(),
    })
}
