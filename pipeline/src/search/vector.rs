//! Vectors: an exact scan over quantised rows.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use precedent_model::Embedder;

use crate::shard::{Store, StoreError, Vectors};

/// All vectors of a store, in memory.
pub struct VectorIndex {
    vectors: Vectors,
    dimension: usize,
}

/// A candidate: its row, its chunk, and the cosine similarity of text and name alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// Row in the index.
    pub row: usize,
    /// Chunk number.
    pub chunk: u32,
    /// Cosine similarity, -1 to 1.
    pub score: f32,
}

impl Eq for Scored {}

impl Ord for Scored {
    /// Worse candidates are greater, so that a heap gives up the worst.
    fn cmp(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then(self.chunk.cmp(&other.chunk))
    }
}

impl PartialOrd for Scored {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl VectorIndex {
    /// Reads the vectors of a store.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] naming the shard.
    pub fn load(store: &Store) -> Result<VectorIndex, StoreError> {
        Ok(VectorIndex { vectors: store.vectors()?, dimension: store.manifest().dimension as usize })
    }

    /// The rows whose chunk is wanted, for [`VectorIndex::nearest`].
    pub fn rows(&self, wanted: impl Fn(u32) -> bool) -> Vec<usize> {
        (0..self.vectors.chunk.len()).filter(|row| wanted(self.vectors.chunk[*row])).collect()
    }

    /// The `count` nearest of some rows to a unit vector, best first.
    pub fn nearest(&self, query: &[f32], count: usize, rows: &[usize]) -> Vec<Scored> {
        let mut best: BinaryHeap<Scored> = BinaryHeap::with_capacity(count + 1);
        for &row in rows {
            let chunk = self.vectors.chunk[row];
            let score = dot(query, self.row(row)) * self.vectors.scale[row];
            let candidate = Scored { row, chunk, score };
            if best.len() < count {
                best.push(candidate);
            } else if best.peek().is_some_and(|worst| candidate < *worst) {
                best.pop();
                best.push(candidate);
            }
        }
        best.into_sorted_vec()
    }

    /// The score with the place added: the document is text, name and header in one sum, and the
    /// stored vector holds the first two, so `d = (n·v + h) / |n·v + h|` for norm n and header h. A model that is no
    /// sum has no header, and the score stays.
    pub fn score_at_place(
        &self,
        embedder: &dyn Embedder,
        found: &Scored,
        query: &[f32],
        path: &str,
        container: &str,
    ) -> f32 {
        let Some(header) = embedder.header(&header_words(path, container)) else { return found.score };
        let norm = self.vectors.norm[found.row];
        let scale = self.vectors.scale[found.row];
        let along = dot(&header, self.row(found.row)) * scale;
        let header_square: f32 = header.iter().map(|value| value * value).sum();
        let header_score: f32 = header.iter().zip(query).map(|(one, two)| one * two).sum();
        let length = (norm * norm + 2.0 * norm * along + header_square).max(0.0).sqrt();
        if length == 0.0 { 0.0 } else { (norm * found.score + header_score) / length }
    }

    fn row(&self, row: usize) -> &[i8] {
        &self.vectors.values[row * self.dimension..(row + 1) * self.dimension]
    }
}

/// The words that say where a node stands: the last directory, the file stem, the container.
pub(crate) fn header_words(path: &str, container: &str) -> String {
    let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
    let mut parts: Vec<&str> = stem.rsplit('/').take(2).collect();
    parts.reverse();
    parts.push(container);
    parts.join(" ")
}

/// Eight sums side by side, which the compiler turns into vector instructions.
fn dot(query: &[f32], row: &[i8]) -> f32 {
    let mut sums = [0.0f32; 8];
    let (queries, rows) = (query.chunks_exact(8), row.chunks_exact(8));
    let tail: f32 = queries.remainder().iter().zip(rows.remainder()).map(|(one, two)| one * f32::from(*two)).sum();
    for (queries, rows) in queries.zip(rows) {
        for lane in 0..8 {
            sums[lane] += queries[lane] * f32::from(rows[lane]);
        }
    }
    sums.iter().sum::<f32>() + tail
}

#[cfg(test)]
mod tests {
    use precedent_model::Table;

    use super::*;

    #[test]
    fn the_scan_returns_the_best_in_order_and_only_what_is_wanted() {
        let vectors = Vectors {
            chunk: vec![0, 1, 2, 3],
            norm: vec![1.0; 4],
            scale: vec![1.0 / 127.0; 4],
            values: vec![127, 0, 0, 127, 90, 90, -127, 0],
        };
        let index = VectorIndex { vectors, dimension: 2 };
        let order = |wanted: &dyn Fn(u32) -> bool| -> Vec<u32> {
            index.nearest(&[1.0, 0.0], 2, &index.rows(wanted)).iter().map(|found| found.chunk).collect()
        };
        assert_eq!(order(&|_| true), [0, 2]);
        assert_eq!(order(&|chunk| chunk != 0), [2, 1]);
    }

    #[test]
    fn the_place_is_weighed_in_as_if_it_had_been_embedded() {
        let table = Table::built_in();
        let (text, name) = ("fn open(path: &Path) -> Result<File> { File::open(path) }", "open");
        let document = table.document(text, name);
        let row = crate::shard::VectorRow::quantise(0, &document.unit, document.norm);
        let vectors = Vectors { chunk: vec![0], norm: vec![row.norm], scale: vec![row.scale], values: row.vector };
        let index = VectorIndex { vectors, dimension: table.dimension() };
        let query = table.query("open a configuration file").unit;
        let found = index.nearest(&query, 1, &[0])[0];

        let header = table.header("config settings Loader");
        let whole: Vec<f32> = document.unit.iter().zip(&header).map(|(one, two)| one * document.norm + two).collect();
        let length = whole.iter().map(|value| value * value).sum::<f32>().sqrt();
        let exact: f32 = whole.iter().zip(&query).map(|(one, two)| one * two / length).sum();
        let scored = index.score_at_place(&table, &found, &query, "config/settings.rs", "Loader");
        assert!((scored - exact).abs() < 0.01, "{scored} against {exact}");
        assert!((scored - found.score).abs() > 0.01, "the place should matter here");
    }

    #[test]
    fn the_header_is_directory_stem_and_container() {
        assert_eq!(header_words("src/http/message.rs", "Header"), "http message Header");
        assert_eq!(header_words("README", ""), "README ");
    }
}
