//! Eval: how well search finds what it should, on any repository.
//!
//! [`doc_search`] asks for functions by the first sentence of their documentation, which the searched text then lacks.
//! [`message_search`] asks by commit message for the nodes that the commit went on to change, as of the commit before it.
//! [`questions()`] asks what somebody wrote down. Each gives the same figures for search as it is and for its parts alone,
//! with intervals from the bootstrap, so that a difference can be told from chance.

mod documentation;
mod figures;
mod memory;
mod messages;
mod questions;
mod ranked;

pub use documentation::doc_search;
pub use figures::{Figure, Figures, Gains};
pub use messages::message_search;
pub use questions::{Gold, Question, questions};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::search::QuestionKind;

/// What is asked of a task.
#[derive(Debug, Clone, Copy, Default)]
pub struct EvalOptions {
    /// Queries at most; they are drawn by hash, so that a larger number keeps those of a smaller one.
    pub queries: usize,
    /// Changes which are drawn.
    pub seed: u64,
    /// Whether to tell what each signal adds.
    pub ablate: bool,
    /// Whether to keep what each candidate was judged by.
    pub keep: bool,
    /// Whether files count, and not nodes, in what is told of signals.
    pub by_file: bool,
    /// Whether everything in the tree is searched: tests, types, pieces of code without a name, and sections of documents too.
    pub among_all: bool,
    /// Whether a message is asked whole, and not by its subject alone.
    pub whole_messages: bool,
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
    /// The same of files: a file is found where its first node is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by_file: Option<ByFile>,
    /// What each signal adds to search as it is: of files where there are figures of files, else of nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ablations: Option<BTreeMap<&'static str, Gains>>,
    /// What candidates were judged by, where that is kept.
    #[serde(skip)]
    pub judged: Vec<Judged>,
}

/// Figures of files.
#[derive(Debug, Clone, Serialize)]
pub struct ByFile {
    /// Search as it is.
    pub metrics: Figures,
    /// Its parts alone; `messages` is BM25 over past messages, whose commits vote for their files.
    pub baselines: BTreeMap<&'static str, Figures>,
}

/// The candidates of one query.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Judged {
    /// The kind of the question.
    pub kind: QuestionKind,
    /// How many right answers there are, found or not.
    pub golds: usize,
    /// Of each candidate its signals, whether it is a right answer, whether its file holds one, and the file by number.
    pub rows: Vec<(Vec<f32>, u8, u8, u32)>,
}
