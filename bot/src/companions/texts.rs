//! Texts: the terms and vectors of every chunk of a store, in memory.

use std::sync::Arc;

use precedent_pipeline::shard::{Store, StoreError, Vectors};
use rayon::prelude::*;

use super::names::Terms;
use super::question::Texts;

/// All of a store's texts, as far as companions need them.
pub struct AllTexts {
    terms: Vec<Arc<Terms>>,
    vectors: ChunkVectors,
}

impl AllTexts {
    /// Reads them.
    ///
    /// # Errors
    /// A shard that cannot be read.
    pub fn read(store: &Store) -> Result<AllTexts, StoreError> {
        let chunks = store.chunks()?;
        let most = chunks.iter().map(|chunk| chunk.number as usize + 1).max().unwrap_or(0);
        let mut all: Vec<Arc<Terms>> = vec![Arc::default(); most];
        let terms: Vec<Terms> = chunks.par_iter().map(|chunk| Terms::of(&chunk.text)).collect();
        for (chunk, terms) in chunks.iter().zip(terms) {
            all[chunk.number as usize] = terms.into();
        }
        Ok(AllTexts { terms: all, vectors: ChunkVectors::read(store)? })
    }
}

impl Texts for AllTexts {
    fn terms(&self, chunk: u32) -> Arc<Terms> {
        self.terms.get(chunk as usize).cloned().unwrap_or_default()
    }

    fn cosine(&self, one: u32, two: u32) -> f32 {
        self.vectors.cosine(one, two)
    }
}

/// Vectors by the numbers of their chunks.
pub struct ChunkVectors {
    values: Vec<i8>,
    scales: Vec<f32>,
    /// The row of each chunk; the greatest number where it has none.
    rows: Vec<u32>,
    dimension: usize,
}

impl ChunkVectors {
    /// Reads all vectors of a store.
    ///
    /// # Errors
    /// A shard that cannot be read.
    pub fn read(store: &Store) -> Result<ChunkVectors, StoreError> {
        let Vectors { chunk, scale, values, .. } = store.vectors()?;
        Ok(ChunkVectors { rows: rows(chunk), scales: scale, values, dimension: store.manifest().dimension as usize })
    }

    /// Reads the vectors of some chunks, whose numbers are in order.
    ///
    /// # Errors
    /// A shard that cannot be read.
    pub fn of(store: &Store, chunks: &[u32]) -> Result<ChunkVectors, StoreError> {
        let dimension = store.manifest().dimension as usize;
        let found = store.vectors_of(|chunk| chunks.binary_search(&chunk).is_ok())?;
        let mut values = Vec::with_capacity(found.len() * dimension);
        found.iter().for_each(|row| values.extend_from_slice(&row.vector));
        let scales = found.iter().map(|row| row.scale).collect();
        Ok(ChunkVectors { rows: rows(found.into_iter().map(|row| row.chunk).collect()), scales, values, dimension })
    }

    /// The cosine similarity of two chunks, -1 to 1; 0 where one has no vector.
    pub fn cosine(&self, one: u32, two: u32) -> f32 {
        let row = |chunk: u32| self.rows.get(chunk as usize).copied().filter(|row| *row != u32::MAX);
        let (Some(one), Some(two)) = (row(one), row(two)) else { return 0.0 };
        let values = |row: u32| &self.values[row as usize * self.dimension..(row as usize + 1) * self.dimension];
        let dot: i32 = values(one).iter().zip(values(two)).map(|(one, two)| i32::from(*one) * i32::from(*two)).sum();
        dot as f32 * self.scales[one as usize] * self.scales[two as usize]
    }
}

/// The row of each chunk, given the chunk of each row.
fn rows(chunks: Vec<u32>) -> Vec<u32> {
    let most = chunks.iter().map(|chunk| *chunk as usize + 1).max().unwrap_or(0);
    let mut rows = vec![u32::MAX; most];
    for (row, chunk) in (0..).zip(chunks) {
        rows[chunk as usize] = row;
    }
    rows
}
