//! The model crate: what turns text into vectors that can be compared, and text into text.
//!
//! A model takes plain strings and gives plain floats. It knows nothing of repositories, chunks, indexes or pull
//! requests, and reads no environment: where models and runtimes lie is told to it.

pub mod embed;
#[cfg(feature = "generate")]
pub mod generate;
pub mod hub;
pub mod install;
pub mod kept;
pub mod open;
pub mod presets;
pub mod runtime;

pub use embed::{Document, EmbedError, Embedded, Embedder, Embedding, FailedText, ModelError, Table};
