//! An embedding: one text as one direction in a space where related texts lie close together.
//!
//! Queries and documents are embedded by different weights into the same space; the product of
//! a query's and a document's `unit` is their similarity, from -1 to 1. Storing vectors and
//! searching among them belong to other crates.
//!
//! [`Embedder`] is what all models have in common: the built-in [`Table`], a [`StaticModel`] read from a directory,
//! and an [`OnnxEncoder`].

mod built_in;
mod engine;
mod hashes;
mod layout;
mod onnx;
mod packed;
mod pieces;
mod pooling;
mod static_model;
mod table;
mod tuner;
mod words;

use std::fmt::Debug;
use std::path::PathBuf;

pub use hashes::Hashes;
pub(crate) use hashes::sha256;
pub use layout::{Layout, Pooling, SETTINGS_FILE, Settings};
#[cfg(feature = "generate")]
pub(crate) use onnx::weights_of;
pub use onnx::{Device, OnnxEncoder, Options, Tell};
pub use static_model::StaticModel;
pub use table::Table;

/// Turns texts into vectors. Two vectors compare only if they come from equal fingerprints.
pub trait Embedder: Debug + Send + Sync {
    /// What people call it.
    fn name(&self) -> &str;

    /// Names everything that decides a vector.
    fn fingerprint(&self) -> &str;

    /// Components per vector.
    fn dimension(&self) -> usize;

    /// Tokens that are read of a text; `None` where there is no limit.
    fn max_tokens(&self) -> Option<usize>;

    /// Embeds texts that are searched, one embedding each, in order.
    ///
    /// A text alone decides its vector: which others are given with it, and in which order, changes rounding at most.
    ///
    /// # Errors
    /// If nothing can be computed. A text that fails alone is named in [`Embedded::failed`].
    fn documents(&self, documents: &[Document<'_>]) -> Result<Embedded, EmbedError>;

    /// The same, for as long as `goes_on` says so, which hears from time to time how many texts are done. `None` if it did
    /// not want all of them. A model that is fast may not ask.
    ///
    /// # Errors
    /// As [`Embedder::documents`].
    fn documents_while(
        &self,
        documents: &[Document<'_>],
        goes_on: &(dyn Fn(usize) -> bool + Sync),
    ) -> Result<Option<Embedded>, EmbedError> {
        let _ = goes_on;
        self.documents(documents).map(Some)
    }

    /// Embeds a question.
    ///
    /// # Errors
    /// If it cannot be computed.
    fn query(&self, text: &str) -> Result<Embedding, EmbedError>;

    /// What the place of a text adds to it, to be added to `unit × norm`: [`Embedding::with_header`]. `None` for a model
    /// that is no sum.
    fn header(&self, words: &str) -> Option<Vec<f32>>;
}

/// A text that is searched.
#[derive(Debug, Clone, Copy)]
pub struct Document<'a> {
    /// The text.
    pub text: &'a str,
    /// Its own name, which a table weighs more than the rest.
    pub name: &'a str,
}

/// What became of documents.
#[derive(Debug, Clone, Default)]
pub struct Embedded {
    /// One embedding a document; all zero where the text has no token, or has failed.
    pub embeddings: Vec<Embedding>,
    /// The documents that failed.
    pub failed: Vec<FailedText>,
}

/// A document without a vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedText {
    /// Its position among the documents.
    pub at: usize,
    /// Why.
    pub why: String,
}

/// Why a model cannot be had, or does not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbedError {
    /// An ONNX model, and nothing to run it.
    #[error("`{model}` is an ONNX model, and there is no ONNX Runtime here")]
    NoRuntime {
        /// The model.
        model: String,
    },
    /// A runtime that does not load.
    #[error("the ONNX Runtime at `{}` cannot be used: {why}", path.display())]
    Runtime {
        /// The library.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A runtime that could not be installed.
    #[error("the ONNX Runtime was not installed: {why}")]
    Install {
        /// What went wrong.
        why: String,
    },
    /// A directory that holds no usable model.
    #[error("the model in `{}` cannot be used: {why}", directory.display())]
    Model {
        /// The directory.
        directory: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A name that is neither a preset, a repository nor a directory.
    #[error("`{name}` is no model: there is no preset and no directory of that name")]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// A model that is not here and could not be fetched.
    #[error("`{model}` could not be fetched: {why}")]
    Fetch {
        /// The model.
        model: String,
        /// What went wrong.
        why: String,
    },
    /// A file that is not the one that was recorded.
    #[error("`{file}` of `{model}` is not what it was when it was first fetched: {why}")]
    Changed {
        /// The model.
        model: String,
        /// The file.
        file: String,
        /// What differs.
        why: String,
    },
    /// A computation that failed for more than one text.
    #[error("`{model}` cannot go on: {why}")]
    Compute {
        /// The model.
        model: String,
        /// What the runtime says.
        why: String,
    },
}

impl EmbedError {
    /// The command or the change that helps.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            EmbedError::NoRuntime { .. } => {
                "install it with: precedent runtime install (the built-in model needs none)".into()
            }
            EmbedError::Runtime { .. } => {
                "install one that fits with: precedent runtime install; ORT_DYLIB_PATH is looked at first".into()
            }
            EmbedError::Install { .. } => "it needs Python 3 with pip; or set ORT_DYLIB_PATH to the library".into(),
            EmbedError::Model { .. } => "see what is expected in docs/models.md, or try: precedent models check".into(),
            EmbedError::Unknown { .. } => "list the presets with: precedent models list".into(),
            EmbedError::Fetch { .. } => "a directory with the model's files works as well as its name".into(),
            EmbedError::Changed { .. } => {
                "bring it again, or take a change that is wanted, with: precedent models fetch --again".into()
            }
            EmbedError::Compute { .. } => return None,
        })
    }
}

/// A vector in two parts, so that something can still be added to what was normalised.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// The direction: L2-normalised, or all zero where the text had no token.
    pub unit: Vec<f32>,
    /// The Euclidean length before normalisation: `unit × norm` is the sum over the tokens.
    pub norm: f32,
}

impl Embedding {
    /// Normalises a sum over tokens.
    pub(crate) fn from_sum(mut sum: Vec<f32>) -> Embedding {
        let norm = length(&sum);
        if norm > 0.0 {
            sum.iter_mut().for_each(|x| *x /= norm);
        }
        Embedding { unit: sum, norm }
    }

    /// The document with a header added, as if it had been summed with the other parts.
    ///
    /// `header` comes from the same model, un-normalised: [`Table::header`].
    ///
    /// # Panics
    /// If `header` has another dimension.
    pub fn with_header(&self, header: &[f32]) -> Embedding {
        assert_eq!(self.unit.len(), header.len(), "dimension of the header");
        let parts = self.unit.iter().zip(header);
        Embedding::from_sum(parts.map(|(unit, head)| unit * self.norm + head).collect())
    }
}

/// The Euclidean length, summed in 16 lanes: one chain of additions would wait on each.
fn length(vector: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 16];
    for part in vector.chunks(lanes.len()) {
        lanes.iter_mut().zip(part).for_each(|(lane, x)| *lane += x * x);
    }
    lanes.iter().sum::<f32>().sqrt()
}

/// Why bytes are not a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The container cannot be read.
    #[error("the model is not a readable safetensors file")]
    Container(#[source] safetensors::SafeTensorError),
    /// A tensor that the model needs is absent.
    #[error("the model has no tensor `{tensor}`")]
    Missing {
        /// The name of the tensor.
        tensor: &'static str,
    },
    /// A tensor has another element type.
    #[error("tensor `{tensor}` holds {found}, expected {expected}")]
    ElementType {
        /// The name of the tensor.
        tensor: &'static str,
        /// The element type in the file.
        found: String,
        /// The element type that the model needs.
        expected: &'static str,
    },
    /// A tensor has another shape.
    #[error("tensor `{tensor}` has shape {found:?}, expected {expected:?}")]
    Shape {
        /// The name of the tensor.
        tensor: &'static str,
        /// The shape in the file.
        found: Vec<usize>,
        /// The shape that the vocabulary and the dimension require.
        expected: Vec<usize>,
    },
    /// A tensor holds an infinity or a NaN, which would spread to every vector.
    #[error("tensor `{tensor}` has a value that is not finite, in row {row}")]
    NotFinite {
        /// The name of the tensor.
        tensor: &'static str,
        /// The first such row, from 0.
        row: usize,
    },
    /// The second line of a vocabulary, token 1, stands for every unknown word.
    #[error("the vocabulary does not have `[UNK]` on its second line")]
    NoUnknown,
    /// Two tokens with the same text: one of their vectors would never be used.
    #[error("the vocabulary has `{token}` twice")]
    Duplicate {
        /// The repeated line.
        token: String,
    },
}

#[cfg(test)]
mod tests {
    use super::Embedding;

    #[test]
    fn a_header_is_added_to_the_sum_and_not_to_the_direction() {
        let document = Embedding::from_sum(vec![0.0, 4.0]);
        let whole = document.with_header(&[3.0, 0.0]);
        assert_eq!(whole.norm, 5.0);
        assert_eq!(whole.unit, [0.6, 0.8]);
    }
}
