//! The model crate: what turns text into vectors that can be compared.
//!
//! A model takes plain strings and gives plain floats. It reads no repository, no file and no
//! environment, and it knows nothing of chunks, indexes or pull requests.

pub mod embed;

pub use embed::{Embedding, ModelError, Table};
