//! Claims: what the checks, silent or not, say of a past step. They look at its tree and at nothing after it.

use precedent_pipeline::PipelineError;
use precedent_pipeline::history::{Objects, Repository};
use precedent_pipeline::shard::ObjectId;

use crate::change::Change;
use crate::checks::tree::{Library, Tree};
use crate::checks::{Scene, alarms, may_claim};
use crate::finding;

/// A claim about a step: the check, and the file whose words it calls untrue, as of the step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claimed {
    pub(super) check: &'static str,
    pub(super) path: String,
}

/// What the checks claim of the step from `parent` to `head`; one for a check and a file.
pub(super) fn claims(
    repository: &Repository,
    objects: &Objects,
    library: &Library,
    parent: ObjectId,
    head: ObjectId,
) -> Result<Vec<Claimed>, PipelineError> {
    // Beyond where a shallow clone ends there is nothing to compare with.
    if !objects.contains(&parent) {
        return Ok(Vec::new());
    }
    let change = Change::files_since(repository, parent, parent, head)?;
    let tree = Tree::of(None, objects, library, &head);
    if !may_claim(&Scene::new(&change, objects, &tree, None)) {
        return Ok(Vec::new());
    }
    let change = change.with_nodes();
    let found = alarms(&Scene::new(&change, objects, &tree, None));
    let (findings, _) = finding::verified(found, |citation| citation.holds(objects));
    let mut claims: Vec<Claimed> = Vec::new();
    for finding in findings {
        let Some(cited) = finding.citations.iter().find(|citation| citation.commit == head) else { continue };
        let claimed = Claimed { check: finding.check, path: cited.path.clone() };
        if !claims.contains(&claimed) {
            claims.push(claimed);
        }
    }
    Ok(claims)
}
