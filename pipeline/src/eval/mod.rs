//! Eval: how well search finds what it should, on any repository.
//!
//! [`doc_search`] asks for functions by the first sentence of their documentation, which the searched text then lacks.
//! [`message_search`] asks by commit message for the nodes that the commit went on to change, as of the commit before it.
//! [`questions()`] asks what somebody wrote down. Each gives the same figures for search as it is and for its parts alone,
//! with intervals from the bootstrap, so that a difference can be told from chance.

mod documentation;
mod figures;
mod messages;
mod questions;
mod ranked;

pub use documentation::doc_search;
pub use figures::{Figure, Figures};
pub use messages::message_search;
pub use questions::{Gold, Question, questions};

use std::collections::BTreeMap;

use serde::Serialize;

/// What is asked of a task.
#[derive(Debug, Clone, Copy)]
pub struct EvalOptions {
    /// Queries at most; they are drawn by hash, so that a larger number keeps those of a smaller one.
    pub queries: usize,
    /// Changes which are drawn.
    pub seed: u64,
}

/// How a task went.
#[derive(Debug, Clone, Serialize)]
pub struct EvalReport {
    /// `doc-search`, `message-search` or `questions`.
    pub task: &'static str,
    /// Queries asked.
    pub queries: usize,
    /// What was searched: the number of nodes, the mean over the queries where it varies.
    pub candidates: usize,
    /// Search as it is.
    pub metrics: Figures,
    /// Its parts alone: `bm25`; `vectors`, without the place; `hybrid`, 0.3 BM25 and 0.7 search, each from 0 to 1 over its
    /// best hundred.
    pub baselines: BTreeMap<&'static str, Figures>,
}
