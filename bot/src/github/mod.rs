//! GitHub: a payload to the pull request that it is about, and a report to comments on it.
//!
//! ```text
//! payload ──event──▶ pull request ─▶ review, which writes a report
//!                                              │ a file, between two jobs
//!                        report (checked, not believed) ──post──▶ one review, one summary comment
//! ```
//!
//! The half that reads code holds no token that writes; the half that writes trusts nothing that it reads.

pub mod client;
pub mod comment;
pub mod event;
pub mod fetch;
pub mod heard;
pub mod marker;
pub mod objects;
pub mod outputs;
pub mod patch;
pub mod plan;
pub mod post;
pub mod report;
pub mod reviews;
pub mod settle;
pub mod summary;
pub mod threads;
