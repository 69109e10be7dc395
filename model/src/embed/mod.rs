//! An embedding: one text as one direction in a space where related texts lie close together.
//!
//! Queries and documents are embedded by different weights into the same space; the product of
//! a query's and a document's `unit` is their similarity, from -1 to 1. Storing vectors and
//! searching among them belong to other crates.

mod pieces;
mod table;
mod words;

pub use table::Table;

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
