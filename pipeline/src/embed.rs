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
pub(crate) type Vectors = (Vec<VectorRow>, Vec<Unembedded>);

/// Embeds chunks for as long as `goes_on` says so, which hears how many are done. `None` if it did not want all of them.
pub(crate) fn embed(
    embedder: &dyn Embedder,
    chunks: &[ChunkRow],
    goes_on: &(dyn Fn(usize) -> bool + Sync),
) -> Result<Option<Vectors>, EmbedError> {
    let documents: Vec<Document<'_>> =
        chunks.iter().map(|chunk| Document { text: &chunk.text, name: &chunk.name }).collect();
    let Some(embedded) = embedder.documents_while(&documents, goes_on)? else { return Ok(None) };
    let rows = chunks.par_iter().zip(&embedded.embeddings);
    let rows = rows.map(|(chunk, embedding)| VectorRow::quantise(chunk.number, &embedding.unit, embedding.norm));
    let failed = embedded.failed.into_iter().map(|FailedText { at, why }| {
        let chunk = &chunks[at];
        Unembedded { chunk: chunk.id.to_string(), name: chunk.name.to_string(), why }
    });
    Ok(Some((rows.collect(), failed.collect())))
}
