//! Embed: unique node texts to vectors.

use precedent_model::{Document, EmbedError, Embedder, FailedText};
use rayon::prelude::*;

use crate::shard::{ChunkRow, VectorRow};

/// A text without a vector: search does not find it by meaning.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Unembedded {
    /// The identity of the text.
    pub chunk: String,
    /// Its own name.
    pub name: String,
    /// Why.
    pub why: String,
}

/// One vector a chunk, in the order of the chunks, and those that failed, whose vectors are zero.
pub(crate) fn embed(
    embedder: &dyn Embedder,
    chunks: &[ChunkRow],
) -> Result<(Vec<VectorRow>, Vec<Unembedded>), EmbedError> {
    let documents: Vec<Document<'_>> =
        chunks.iter().map(|chunk| Document { text: &chunk.text, name: &chunk.name }).collect();
    let embedded = embedder.documents(&documents)?;
    let rows = chunks.par_iter().zip(&embedded.embeddings);
    let rows = rows.map(|(chunk, embedding)| VectorRow::quantise(chunk.number, &embedding.unit, embedding.norm));
    let failed = embedded.failed.into_iter().map(|FailedText { at, why }| {
        let chunk = &chunks[at];
        Unembedded { chunk: chunk.id.to_string(), name: chunk.name.to_string(), why }
    });
    Ok((rows.collect(), failed.collect()))
}
