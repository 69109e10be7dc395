//! Embed: unique node texts to vectors, with the built-in table.

use precedent_model::embed::Table;
use rayon::prelude::*;

use crate::shard::{ChunkRow, VectorRow};

/// What must not change between two runs on one store.
pub fn fingerprint() -> &'static str {
    Table::built_in().fingerprint()
}

/// Numbers in a vector.
pub(crate) fn dimension() -> u32 {
    Table::built_in().dimension() as u32
}

/// One vector a chunk, in the order of the chunks.
pub(crate) fn embed(chunks: &[ChunkRow]) -> Vec<VectorRow> {
    chunks.par_iter().map(|chunk| embed_document(chunk.number, &chunk.text, &chunk.name)).collect()
}

/// The vector of one text under its own name; where it stands is weighed at query time.
pub fn embed_document(number: u32, text: &str, name: &str) -> VectorRow {
    let embedding = Table::built_in().document(text, name);
    VectorRow::quantise(number, &embedding.unit, embedding.norm)
}
