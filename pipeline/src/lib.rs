//! Pipeline: Git history to a searchable index. Knows nothing of GitHub.
//!
//! Data goes one way:
//!
//! ```text
//! Git objects ──history──▶ Commit, FileChange ──syntax──▶ nodes ──lineage──▶ edits
//!                                                           │ unique text only
//!                                                         embed ──▶ shard ──▶ search, archive
//! ```
//!
//! [`index()`] is the recipe. It takes commits in batches, parents first; each batch is chunked in
//! parallel, numbered in order, embedded, and written with a manifest that makes it durable. A run
//! that is interrupted has lost only what came after its last manifest.

pub mod archive;
mod batch;
mod caught;
mod changes;
mod chunker;
mod cut;
mod embed;
pub mod eval;
pub mod export;
pub mod forest;
pub mod history;
mod ingest;
mod kernels;
pub mod lineage;
pub mod search;
pub mod shard;
pub mod syntax;
mod upkeep;
mod version;

pub use changes::each_change;
pub use chunker::{Chunker, FileNodes, Piece, chunk_id};
pub use embed::Unembedded;
pub use ingest::{
    Counts, IndexOptions, IndexReport, Interrupt, Merged, Progress, Readings, Reparse, Seconds, Skipped, Stage, index,
    is_indexed,
};

pub use upkeep::{Notice, UpkeepOptions, bring_up};

use history::HistoryError;
use shard::StoreError;

/// Why a run ended without a result.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The model does not work.
    #[error(transparent)]
    Model(#[from] precedent_model::EmbedError),
    /// History could not be read.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store was made from other history.
    #[error("the store at `{}` belongs to another repository: none of its commits is here", store.display())]
    OtherRepository {
        /// Where the store is.
        store: std::path::PathBuf,
    },
    /// There is something else where the store should be.
    #[error("`{}` holds files of something else, and no store", directory.display())]
    NotAStore {
        /// The directory.
        directory: std::path::PathBuf,
    },
    /// The store was made by another chunker or embedder.
    #[error("the store at `{}` was built with {what} `{found}`; this program has `{expected}`", store.display())]
    OtherMaker {
        /// Where the store is.
        store: std::path::PathBuf,
        /// `chunker` or `embedder`.
        what: &'static str,
        /// The store's.
        found: String,
        /// Ours.
        expected: String,
    },
    /// A path filter that is not a glob.
    #[error("`{pattern}` is not a path pattern: {why}")]
    Pattern {
        /// What was given.
        pattern: String,
        /// What is wrong with it.
        why: String,
    },
}
