//! Companions: what usually changes together with what a change touches, ranked.
//!
//! ```text
//! edits of the past ──ledger──▶ who changed what together, as of a step
//! a change ──question──▶ candidates ──features──▶ numbers ──forest──▶ a ranking
//! ```
//!
//! [`protocol`] asks past changes about themselves with a part of them hidden: what measures the ranking is what it is
//! learned from.

pub mod authors;
pub mod features;
pub mod layer;
pub mod ledger;
pub mod names;
pub mod protocol;
pub mod question;
pub mod ranking;
pub mod texts;
