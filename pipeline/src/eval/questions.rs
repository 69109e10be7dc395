//! Questions: written down by hand, with the places that answer them.

use precedent_model::Embedder;
use serde::Deserialize;

use super::documentation::pieces;
use super::memory::Memory;
use super::ranked::{Asked, Members, Node, Nodes};
use super::{EvalOptions, EvalReport};
use crate::PipelineError;
use crate::archive::Archive;
use crate::history::Repository;
use crate::shard::ObjectId;
use crate::syntax::Kind;

/// A question and what answers it.
#[derive(Debug, Clone, Deserialize)]
pub struct Question {
    /// The commit whose tree is searched.
    pub commit: String,
    /// What is asked.
    pub question: String,
    /// Every place that is a right answer.
    pub gold: Vec<Gold>,
}

/// A place that answers a question.
#[derive(Debug, Clone, Deserialize)]
pub struct Gold {
    /// The path.
    pub path: String,
    /// The node's own name.
    pub name: String,
    /// A line of the node, from 1.
    pub line: u32,
}

/// Asks questions of the functions, types and other named nodes of a tree, tests apart, documentation included.
///
/// Any right answer will do: each question has one, the first that is found. Questions none of whose places is a node are
/// left out, and are missing from the number of queries.
///
/// # Errors
/// An embedder that cannot go on, a tree that cannot be read.
pub fn questions(
    repository: &Repository,
    archive: Option<&Archive>,
    embedder: &dyn Embedder,
    commit: &ObjectId,
    asked: &[Question],
    options: &EvalOptions,
) -> Result<EvalReport, PipelineError> {
    let mut nodes = Vec::new();
    let mut golds: Vec<Vec<u32>> = vec![Vec::new(); asked.len()];
    for (path, _, piece) in pieces(repository, commit)? {
        if !options.among_all && matches!(piece.kind, Kind::Run | Kind::Section | Kind::Test) {
            continue;
        }
        for (question, golds) in asked.iter().zip(&mut golds) {
            let is_here = |gold: &Gold| {
                *gold.path == *path
                    && *gold.name == *piece.name
                    && (piece.start_line..=piece.end_line).contains(&gold.line)
            };
            if question.gold.iter().any(is_here) {
                golds.push(nodes.len() as u32);
            }
        }
        nodes.push(Node::of(path, piece));
    }
    let asked: Vec<Asked> = asked
        .iter()
        .zip(golds)
        .filter(|(_, golds)| !golds.is_empty())
        .map(|(question, golds)| Asked { text: question.question.clone(), golds, tree: 0, at: *commit })
        .collect();
    let all = Members::of(0..nodes.len() as u32);
    Ok(Nodes::new(embedder, &nodes, archive.map(Memory::new))?.evaluate("questions", &asked, &[all], options)?)
}
