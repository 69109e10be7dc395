//! The tests that drive the whole: fixtures, the binary, and Git as the judge.

mod support;

mod bad_input;
mod checks;
mod contract;
mod crafted;
mod durability;
mod eval;
mod exact;
mod extremes;
mod facts;
mod github;
mod index;
mod lineage;
mod models;
mod replay;
mod review;
mod s3;
mod search;
mod store;
#[cfg(feature = "llm")]
mod voice;
