//! Texts: the identifiers and vectors of every chunk of a store, in memory.

use std::sync::Arc;

use precedent_pipeline::shard::{Store, StoreError, Vectors};

use super::names::identifiers;
use super::question::Texts;

/// All of a store's texts, as far as companions need them.
pub struct AllTexts {
    identifiers: Vec<Arc<[u32]>>,
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
        let mut all: Vec<Arc<[u32]>> = vec![Arc::from([]); most];
        for chunk in chunks {
            all[chunk.number as usize] = identifiers(&chunk.text).into();
        }
        Ok(AllTexts { identifiers: all, vectors: ChunkVectors::read(store)? })
    }
}

impl Texts for AllTexts {
    fn identifiers(&self, chunk: u32) -> Arc<[u32]> {
        self.identifiers.get(chunk as usize).cloned().unwrap_or_else(|| Arc::from([]))
    }

    fn cosine(&self, one: u32, two: u32) -> f32 {
        self.vectors.cosine(one, two)
    }
}

/// Vectors by the numbers of their chunks.
pub struct ChunkVectors {
    vectors: Vectors,
    rows: Vec<u32>,
    dimension: usize,
}

impl ChunkVectors {
    /// Reads the vectors of a store.
    ///
    /// # Errors
    /// A shard that cannot be read.
    pub fn read(store: &Store) -> Result<ChunkVectors, StoreError> {
        let vectors = store.vectors()?;
        let most = vectors.chunk.iter().map(|chunk| *chunk as usize + 1).max().unwrap_or(0);
        let mut rows = vec![u32::MAX; most];
        for (row, chunk) in vectors.chunk.iter().enumerate() {
            rows[*chunk as usize] = row as u32;
        }
        Ok(ChunkVectors { vectors, rows, dimension: store.manifest().dimension as usize })
    }

    /// The cosine similarity of two chunks, -1 to 1; 0 where one has no vector.
    pub fn cosine(&self, one: u32, two: u32) -> f32 {
        let row = |chunk: u32| self.rows.get(chunk as usize).copied().filter(|row| *row != u32::MAX);
        let (Some(one), Some(two)) = (row(one), row(two)) else { return 0.0 };
        let values =
            |row: u32| &self.vectors.values[row as usize * self.dimension..(row as usize + 1) * self.dimension];
        let dot: i32 = values(one).iter().zip(values(two)).map(|(one, two)| i32::from(*one) * i32::from(*two)).sum();
        dot as f32 * self.vectors.scale[one as usize] * self.vectors.scale[two as usize]
    }
}
