//! Vectors: which chunks are nearest to a question.
//!
//! A store's vectors lie in clusters, and each has a code of one bit a dimension ([`crate::shard`]). A search estimates
//! similarities from codes, cluster after cluster, nearest first, until it has looked at its share of what is wanted; the
//! best estimates are then computed from the vectors. What is filtered out is left out before it is counted, so a narrow
//! filter makes the search go on until there is enough, and few wanted rows are all computed.
//!
//! An index is *opened*, which reads where clusters lie and later only what a question needs, or *loaded* whole, which
//! pays when many questions follow. Both find the same.

mod explain;
mod rows;
mod scan;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use precedent_model::Embedder;

use super::looks::{self, Looks};
use crate::kernels::{Blocks, product, widened, widest};
use crate::shard::{Column, Store, StoreError, VectorRow, VectorShard};

pub use explain::{Explanation, Method};
pub use rows::Rows;
pub use scan::Effort;

/// The shards that were whole when they were looked at.
const CHECKED: &str = "checked.json";

/// Vectors that are read at a time.
const READ_ROWS: u32 = 2048;

/// The vectors of a store.
pub struct VectorIndex {
    dimension: usize,
    shards: Vec<VectorShard>,
    /// The first row of each shard, and the number of all rows.
    firsts: Vec<u32>,
    clusters: Vec<Cluster>,
    /// The centres of the clusters, one after the other.
    centres: Vec<i8>,
    /// The chunk of each row, once they were read.
    chunks: OnceLock<Vec<u32>>,
    memory: Option<Memory>,
}

/// Where a cluster lies.
struct Cluster {
    shard: usize,
    rows: Range<u32>,
    scale: f32,
}

/// Every row, as parallel arrays.
#[derive(Default)]
struct Memory {
    norm: Vec<f32>,
    scale: Vec<f32>,
    step: Vec<f32>,
    codes: Blocks,
    values: Vec<i8>,
}

/// A candidate: its row, its chunk, and the cosine similarity of text and name alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// Row in the index.
    pub row: usize,
    /// Chunk number.
    pub chunk: u32,
    /// Cosine similarity, -1 to 1.
    pub score: f32,
    norm: f32,
    scale: f32,
    vector: Arc<[i8]>,
}

impl VectorIndex {
    /// Opens the vectors of a store. Reads where clusters lie; a question then reads what it needs.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] naming the shard.
    pub fn open(store: &Store) -> Result<VectorIndex, StoreError> {
        let dimension = store.manifest().dimension as usize;
        let shards = store.vector_shards()?;
        let (mut firsts, mut clusters, mut centres) = (vec![0_u32], Vec::new(), Vec::new());
        for (at, shard) in shards.iter().enumerate() {
            let first = firsts[at];
            let end = first.checked_add(shard.rows());
            firsts
                .push(end.ok_or_else(|| StoreError::Damaged { what: "vectors".into(), why: "too many rows".into() })?);
            for cluster in shard.clusters() {
                let rows = first + cluster.first_row..first + cluster.first_row + cluster.rows;
                clusters.push(Cluster { shard: at, rows, scale: cluster.scale });
                centres.extend_from_slice(&cluster.centre);
            }
        }
        Ok(VectorIndex { dimension, shards, firsts, clusters, centres, chunks: OnceLock::new(), memory: None })
    }

    /// As [`VectorIndex::open`], of shards that have their hashes. One that looks as it did when that was found out is not
    /// read again; `elsewhere` is a folder for where the store cannot note it. Objects are not compared.
    ///
    /// # Errors
    /// Likewise.
    pub fn open_whole(store: &Store, elsewhere: Option<&Path>) -> Result<VectorIndex, StoreError> {
        let index = VectorIndex::open(store)?;
        let Some(dir) = store.dir() else { return Ok(index) };
        let notes: Vec<PathBuf> = [Some(dir), elsewhere].into_iter().flatten().map(|dir| dir.join(CHECKED)).collect();
        let before = notes.iter().find_map(|file| looks::kept(file)).unwrap_or_default();
        let mut now = Looks::new();
        for shard in &index.shards {
            let file = shard.file();
            let look = looks::look(&dir.join(&file)).ok();
            if look.is_none() || before.get(&file) != look.as_ref() {
                store.verify(shard)?;
            }
            now.extend(look.map(|look| (file, look)));
        }
        if now != before {
            // Where it cannot be noted, the next search reads them again.
            let _ = notes.iter().any(|file| looks::keep(file, &now).is_ok());
        }
        Ok(index)
    }

    /// Reads all vectors of a store, and compares them with their hashes.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] naming the shard.
    pub fn load(store: &Store) -> Result<VectorIndex, StoreError> {
        let index = VectorIndex::open(store)?;
        let (mut memory, mut codes) = (Memory::default(), Vec::new());
        index.shards.iter().try_for_each(|shard| store.verify(shard))?;
        // Room for all at once, which those files hold, and what is read in between in parts: memory that is used once costs
        // as much as reading it does.
        memory.values.reserve_exact(index.len() * index.dimension);
        codes.reserve_exact(index.len() * index.dimension.div_ceil(8));
        let mut bytes = Vec::new();
        for shard in &index.shards {
            let rows = 0..shard.rows();
            memory.norm.extend(words(shard, Column::Norm, rows.clone())?.map(f32::from_le_bytes));
            memory.scale.extend(words(shard, Column::Scale, rows.clone())?.map(f32::from_le_bytes));
            memory.step.extend(words(shard, Column::Step, rows.clone())?.map(f32::from_le_bytes));
            shard.read(Column::Code, rows.clone(), &mut codes)?;
            for first in rows.clone().step_by(READ_ROWS as usize) {
                bytes.clear();
                shard.read(Column::Vector, first..rows.end.min(first.saturating_add(READ_ROWS)), &mut bytes)?;
                memory.values.extend(bytes.iter().map(|byte| *byte as i8));
            }
        }
        index.chunks()?;
        memory.codes = Blocks::new(&codes, index.dimension.div_ceil(8));
        Ok(VectorIndex { memory: Some(memory), ..index })
    }

    /// How many vectors there are.
    pub fn len(&self) -> usize {
        self.firsts[self.shards.len()] as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every row, for [`VectorIndex::nearest`].
    pub fn all(&self) -> Rows {
        Rows::all(self.len())
    }

    /// The rows whose chunk is wanted, for [`VectorIndex::nearest`].
    ///
    /// # Errors
    /// [`StoreError::Damaged`] naming the shard.
    pub fn rows(&self, wanted: impl Fn(u32) -> bool) -> Result<Rows, StoreError> {
        Ok(Rows::those(self.chunks()?.iter().map(|chunk| wanted(*chunk))))
    }

    /// The chunk of each row.
    fn chunks(&self) -> Result<&[u32], StoreError> {
        if let Some(chunks) = self.chunks.get() {
            return Ok(chunks);
        }
        let mut chunks = Vec::with_capacity(self.len());
        for shard in &self.shards {
            chunks.extend(words(shard, Column::Chunk, 0..shard.rows())?.map(u32::from_le_bytes));
        }
        // Who else read them meanwhile has read the same.
        Ok(self.chunks.get_or_init(|| chunks))
    }

    /// The `count` nearest of some rows to a unit vector, best first.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] naming the shard.
    pub fn nearest(&self, question: &[f32], count: usize, rows: &Rows) -> Result<Vec<Scored>, StoreError> {
        Ok(self.search(question, count, rows, &Effort::usual(rows.len(), self.len()))?.0)
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
        let along = dot(&header, &found.vector) * found.scale;
        let header_square: f32 = header.iter().map(|value| value * value).sum();
        let header_score: f32 = header.iter().zip(query).map(|(one, two)| one * two).sum();
        let length = (found.norm * found.norm + 2.0 * found.norm * along + header_square).max(0.0).sqrt();
        if length == 0.0 { 0.0 } else { (found.norm * found.score + header_score) / length }
    }

    /// The unit vector with the place added, as [`VectorIndex::score_at_place`] has it.
    pub fn at_place(&self, embedder: &dyn Embedder, found: &Scored, path: &str, container: &str) -> Vec<f32> {
        let scale = found.scale * found.norm;
        let mut vector: Vec<f32> = found.vector.iter().map(|value| f32::from(*value) * scale).collect();
        if let Some(header) = embedder.header(&header_words(path, container)) {
            vector.iter_mut().zip(header).for_each(|(value, of_place)| *value += of_place);
        }
        let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
        vector.iter_mut().for_each(|value| *value /= length);
        vector
    }

    /// One row from memory or from its shard.
    fn document(&self, row: u32, chunk: u32, step: f32) -> Result<VectorRow, StoreError> {
        if let Some(memory) = &self.memory {
            let at = row as usize;
            let vector = memory.values[at * self.dimension..][..self.dimension].to_vec();
            return Ok(VectorRow { chunk, norm: memory.norm[at], scale: memory.scale[at], vector });
        }
        let shard = self.firsts.partition_point(|first| *first <= row) - 1;
        self.shards[shard].row(row - self.firsts[shard], chunk, step)
    }
}

/// The values of a column of four bytes.
fn words(shard: &VectorShard, column: Column, rows: Range<u32>) -> Result<impl Iterator<Item = [u8; 4]>, StoreError> {
    let mut bytes = Vec::new();
    shard.read(column, rows, &mut bytes)?;
    Ok((0..bytes.len() / 4).map(move |at| [bytes[4 * at], bytes[4 * at + 1], bytes[4 * at + 2], bytes[4 * at + 3]]))
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
    fn the_place_is_weighed_in_as_if_it_had_been_embedded() {
        let table = Table::built_in();
        let (text, name) = ("fn open(path: &Path) -> Result<File> { File::open(path) }", "open");
        let document = table.document(text, name);
        let VectorRow { norm, scale, vector, .. } = VectorRow::quantise(0, &document.unit, document.norm);
        let query = table.query("open a configuration file").unit;
        let score = dot(&query, &vector) * scale;
        let found = Scored { row: 0, chunk: 0, score, norm, scale, vector: vector.into() };

        let header = table.header("config settings Loader");
        let whole: Vec<f32> = document.unit.iter().zip(&header).map(|(one, two)| one * document.norm + two).collect();
        let length = whole.iter().map(|value| value * value).sum::<f32>().sqrt();
        let exact: f32 = whole.iter().zip(&query).map(|(one, two)| one * two / length).sum();
        let index = VectorIndex {
            dimension: table.dimension(),
            shards: vec![],
            firsts: vec![0],
            clusters: vec![],
            centres: vec![],
            chunks: OnceLock::new(),
            memory: None,
        };
        let scored = index.score_at_place(&table, &found, &query, "config/settings.rs", "Loader");
        assert!((scored - exact).abs() < 0.01, "{scored} against {exact}");
        let placed = index.at_place(&table, &found, "config/settings.rs", "Loader");
        let product: f32 = placed.iter().zip(&query).map(|(one, two)| one * two).sum();
        assert!((product - exact).abs() < 0.01, "{product} against {exact}");
        assert!((scored - found.score).abs() > 0.01, "the place should matter here");
    }

    #[test]
    fn the_header_is_directory_stem_and_container() {
        assert_eq!(header_words("src/http/message.rs", "Header"), "http message Header");
        assert_eq!(header_words("README", ""), "README ");
    }
}
