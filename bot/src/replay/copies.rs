//! Copies: the near-copies of past steps that meet all rules, for readers to judge.
//!
//! A step is asked about as a review of it would be: what is near is looked for among what its base holds, and nothing that
//! came later is shown, though the index may hold it.

use precedent_model::Embedder;
use precedent_pipeline::PipelineError;
use precedent_pipeline::archive::Archive;
use precedent_pipeline::history::Repository;
use precedent_pipeline::search::VectorIndex;
use precedent_pipeline::shard::ObjectId;
use serde::Serialize;

use crate::briefing::copy;
use crate::change::Change;
use crate::checks::MAX_CLAIMS;
use crate::evidence::Evidence;
use crate::finding::NodeName;
use crate::precedent::{neighbours, wants};

/// A near-copy that *duplicate* would claim.
#[derive(Debug, Clone, Serialize)]
pub struct NearCopy {
    /// The commit of the step.
    pub commit: String,
    /// The function that it brings.
    pub about: NodeName,
    /// Its first and last line in that commit, from 1.
    pub lines: [u32; 2],
    /// What it is like.
    pub like: NodeName,
    /// The base of the step, and the first and last line there.
    pub base: String,
    /// See [`NearCopy::base`].
    pub like_lines: [u32; 2],
    /// Shared tokens (Dice coefficient), 0 to 1.
    pub overlap: f64,
}

/// How many steps were looked at, and how many of them bring a function that could be a near-copy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Looked {
    /// First-parent steps.
    pub steps: usize,
    /// Those with a new function that is long enough and no test.
    pub asked: usize,
    /// Near-copies that were found.
    pub shown: usize,
}

/// Gives `each` the near-copies of the last so many first-parent steps up to `tip`, newest first. `None` if `tip` is not indexed.
///
/// # Errors
/// History or a store that cannot be read, or a model that fails.
pub fn near_copies(
    repository: &Repository,
    archive: &Archive,
    embedder: &dyn Embedder,
    tip: &ObjectId,
    last: usize,
    mut each: impl FnMut(&NearCopy),
) -> Result<Option<Looked>, PipelineError> {
    let Some(mut step) = archive.number(tip) else { return Ok(None) };
    let objects = repository.objects();
    let evidence = Evidence::new(&objects, archive);
    let index = VectorIndex::load(archive.store())?;
    let mut looked = Looked::default();
    while looked.steps < last {
        let head = archive.commit(step);
        looked.steps += 1;
        let Some((base, number)) = head.parents.first().and_then(|base| Some((base, archive.number(base)?))) else {
            break;
        };
        step = number;
        let change = Change::between(repository, *base, head.id)?;
        let wants = wants(&change, |at| copy::may_pass(&change.nodes[at]));
        if wants.iter().all(Option::is_none) {
            continue;
        }
        looked.asked += 1;
        let places = archive.alive(&objects, base)?;
        let near = neighbours(archive, &index, embedder, &change, &wants, &places)?;
        let mut facts = copy::of(&change, &near, &evidence);
        facts.retain(|(_, fact)| fact.passes);
        facts.sort_by(|(_, one), (_, two)| two.score.total_cmp(&one.score).then_with(|| one.about.cmp(&two.about)));
        for (number, fact) in facts.into_iter().take(MAX_CLAIMS) {
            let Some(citation) = fact.citations.first() else { continue };
            // Two nodes of a file may share a symbol.
            let Some((_, piece)) = &change.nodes[number].after else { continue };
            each(&NearCopy {
                commit: head.id.to_string(),
                lines: [piece.start_line, piece.end_line],
                about: fact.about,
                like: fact.node,
                base: citation.commit.to_string(),
                like_lines: citation.lines,
                overlap: fact.score,
            });
            looked.shown += 1;
        }
    }
    Ok(Some(looked))
}
