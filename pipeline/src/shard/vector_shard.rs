//! One shard of `vectors`, of which single rows are read by their position in the file.
//!
//! All columns are of fixed width and neither compressed nor nested, so the offset index of the Parquet file says where
//! each row lies, and what a query wants is read and nothing else. What is read so was not hashed. Instead a row is
//! compared with its `step`, which every component of it decides; a shard that is read whole is hashed as any other.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use rayon::prelude::*;

use super::bytes::ShardBytes;
use super::clusters::code;
use super::error::StoreError;
use super::footer::footer;
use super::manifest::ShardEntry;
use super::reader::{check_columns, check_counts};
use super::rows::{ClusterRow, VectorRow};
use super::schema::Table;
use super::store::Store;
use crate::caught::caught;

/// The most that a page's header takes beyond its values. Ours have no statistics; what they have takes 30 bytes.
const HEADER_BYTES: u64 = 4096;
/// How far a step may differ from what the row makes it, relative to itself: another program may sum in another order.
const STEP_TOLERANCE: f32 = 1e-4;
/// Rows that are no further apart are read at once: what lies between takes less time than another call.
const CLOSE_ROWS: u32 = 16;

/// A column of the table, in the order of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// Number of the chunk, little-endian u32.
    Chunk,
    /// Length before normalisation, little-endian f32.
    Norm,
    /// One step of the values, little-endian f32.
    Scale,
    /// One step of the code, little-endian f32.
    Step,
    /// One bit a dimension, least first.
    Code,
    /// Signed bytes.
    Vector,
}

/// Rows of one page, and where their values begin.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    first_row: u64,
    rows: u64,
    offset: u64,
}

/// An opened shard of `vectors` with its clusters.
#[derive(Debug)]
pub struct VectorShard {
    entry: ShardEntry,
    file: ShardBytes,
    dimension: usize,
    columns: [Vec<Stretch>; 6],
    clusters: Vec<ClusterRow>,
}

impl Store {
    /// Opens the shards of vectors, oldest first. Reads the whole of `clusters`, and of `vectors` only the footers.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] naming a shard whose footer, or whose clusters, do not fit.
    pub fn vector_shards(&self) -> Result<Vec<VectorShard>, StoreError> {
        let mut clusters: HashMap<Arc<str>, Vec<ClusterRow>> = HashMap::new();
        for cluster in self.table::<ClusterRow>()? {
            clusters.entry(Arc::clone(&cluster.shard)).or_default().push(cluster);
        }
        let entries = self.manifest().shards_of(Table::Vectors.name());
        entries
            .map(|entry| {
                let clusters = clusters.remove(entry.stem()).unwrap_or_default();
                check_clusters(entry, &clusters).map_err(|why| StoreError::damaged(entry.file(), why))?;
                let file = self.open_unread(entry)?;
                // As for a whole shard: a footer that somebody made up may make the reader of Parquet panic.
                let columns = caught(|| stretches(&file, entry, self.manifest().dimension))
                    .unwrap_or_else(|| Err("reading it as Parquet failed".to_owned()))
                    .map_err(|why| StoreError::damaged(entry.file(), why))?;
                let dimension = self.manifest().dimension as usize;
                Ok(VectorShard { entry: entry.clone(), file, dimension, columns, clusters })
            })
            .collect()
    }

    /// The vectors of some chunks, in an order of the store's choosing. Only their rows are read, and each is compared with
    /// its step; a chunk without a vector has no row.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] naming the shard.
    pub fn vectors_of(&self, wanted: impl Fn(u32) -> bool + Sync) -> Result<Vec<VectorRow>, StoreError> {
        let shards = self.vector_shards()?;
        let read: Vec<Result<Vec<VectorRow>, StoreError>> = shards.par_iter().map(|shard| shard.of(&wanted)).collect();
        let mut found = Vec::new();
        read.into_iter().try_for_each(|rows| rows.map(|rows| found.extend(rows)))?;
        Ok(found)
    }

    /// How many chunks have a vector of zeros alone, so that nothing finds them by meaning: texts without a word, and those
    /// that could not be embedded. Of the shards only `scale` is read.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] naming the shard.
    pub fn zero_vectors(&self) -> Result<u64, StoreError> {
        let mut scales = Vec::new();
        let mut zeros = 0;
        for shard in self.vector_shards()? {
            scales.clear();
            shard.read(Column::Scale, 0..shard.rows(), &mut scales)?;
            zeros += scales.chunks_exact(4).filter(|scale| **scale == 0.0_f32.to_le_bytes()).count() as u64;
        }
        Ok(zeros)
    }

    /// Compares a shard's bytes with its hash, unless that was done before.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if they differ.
    pub fn verify(&self, shard: &VectorShard) -> Result<(), StoreError> {
        self.open_shard(&shard.entry).map(drop)
    }
}

impl VectorShard {
    /// The file, relative to the store.
    pub fn file(&self) -> String {
        self.entry.file()
    }

    /// Rows in it.
    pub fn rows(&self) -> u32 {
        // Compared with a bound below 2^32 when the manifest was read.
        self.entry.rows as u32
    }

    /// Its clusters, in order of their rows, which they share out among them.
    pub fn clusters(&self) -> &[ClusterRow] {
        &self.clusters
    }

    /// Bytes of a value of a column.
    pub fn width(&self, column: Column) -> usize {
        match column {
            Column::Chunk | Column::Norm | Column::Scale | Column::Step => 4,
            Column::Code => self.dimension.div_ceil(8),
            Column::Vector => self.dimension,
        }
    }

    /// Appends the values of some rows, width after width.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if the rows are not there.
    pub fn read(&self, column: Column, rows: Range<u32>, out: &mut Vec<u8>) -> Result<(), StoreError> {
        let width = self.width(column) as u64;
        let (mut next, end) = (u64::from(rows.start), u64::from(rows.end));
        let stretches = &self.columns[column as usize];
        let mut at = stretches.partition_point(|stretch| stretch.first_row + stretch.rows <= next);
        while next < end {
            let stretch = stretches.get(at).ok_or_else(|| self.damaged("it ends before its last row"))?;
            let upto = end.min(stretch.first_row + stretch.rows);
            let begin = out.len();
            out.resize(begin + ((upto - next) * width) as usize, 0);
            let offset = stretch.offset + (next - stretch.first_row) * width;
            self.file.read_at(&mut out[begin..], offset).map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => self.damaged("it ends before its last row"),
                _ => self.damaged(&error.to_string()),
            })?;
            (next, at) = (upto, at + 1);
        }
        Ok(())
    }

    fn of(&self, wanted: impl Fn(u32) -> bool) -> Result<Vec<VectorRow>, StoreError> {
        let (mut chunks, mut step, mut asked) = (Vec::new(), Vec::new(), Vec::new());
        self.read(Column::Chunk, 0..self.rows(), &mut chunks)?;
        for (row, chunk) in (0..).zip(chunks.chunks_exact(4)) {
            let chunk = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
            if wanted(chunk) {
                step.clear();
                self.read(Column::Step, row..row + 1, &mut step)?;
                asked.push((row, chunk, f32::from_le_bytes([step[0], step[1], step[2], step[3]])));
            }
        }
        self.some_rows(&asked)
    }

    /// One row, after comparing it with its step and the cluster that it is of.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if the row is not what it was when it was written.
    pub fn row(&self, row: u32, chunk: u32, step: f32) -> Result<VectorRow, StoreError> {
        let mut found = self.some_rows(&[(row, chunk, step)])?;
        found.pop().ok_or_else(|| self.damaged("it ends before its last row"))
    }

    /// As [`VectorShard::row`], for some rows in ascending order with their chunks and steps. What lies close together is
    /// read together.
    ///
    /// # Errors
    /// Likewise.
    pub fn some_rows(&self, asked: &[(u32, u32, f32)]) -> Result<Vec<VectorRow>, StoreError> {
        let mut found = Vec::with_capacity(asked.len());
        let (mut norms, mut scales, mut vectors) = (Vec::new(), Vec::new(), Vec::new());
        for near in asked.chunk_by(|one, two| two.0.wrapping_sub(one.0) <= CLOSE_ROWS) {
            let rows = near[0].0..near[near.len() - 1].0.saturating_add(1);
            for (column, bytes) in
                [(Column::Norm, &mut norms), (Column::Scale, &mut scales), (Column::Vector, &mut vectors)]
            {
                bytes.clear();
                self.read(column, rows.clone(), bytes)?;
            }
            for (row, chunk, step) in near {
                let at = (row - rows.start) as usize;
                let float = |bytes: &[u8]| {
                    f32::from_le_bytes([bytes[4 * at], bytes[4 * at + 1], bytes[4 * at + 2], bytes[4 * at + 3]])
                };
                let vector = vectors[at * self.dimension..][..self.dimension].iter().map(|byte| *byte as i8).collect();
                let row_found = VectorRow { chunk: *chunk, norm: float(&norms), scale: float(&scales), vector };
                self.compare(*row, *step, &row_found)?;
                found.push(row_found);
            }
        }
        Ok(found)
    }

    /// Compares a row with its step and the cluster that it is of.
    fn compare(&self, row: u32, step: f32, found: &VectorRow) -> Result<(), StoreError> {
        let at = self.clusters.partition_point(|cluster| cluster.first_row + cluster.rows <= row);
        let cluster = self.clusters.get(at).ok_or_else(|| self.damaged("a row is of no cluster"))?;
        let (_, expected) = code(&found.vector, found.scale, &cluster.centre, cluster.scale);
        if is_near(expected, step) {
            Ok(())
        } else {
            Err(self.damaged(&format!("the vector in row {row} does not have the step that is stated")))
        }
    }

    /// Compares every row with its code and its step.
    pub(super) fn check_codes(&self) -> Result<(), StoreError> {
        for cluster in &self.clusters {
            let rows = cluster.first_row..cluster.first_row + cluster.rows;
            let mut columns =
                [Column::Vector, Column::Scale, Column::Step, Column::Code].map(|column| (column, Vec::new()));
            columns.iter_mut().try_for_each(|(column, bytes)| self.read(*column, rows.clone(), bytes))?;
            let [vectors, scales, steps, codes] = columns.map(|(column, bytes)| (bytes, self.width(column)));
            for (at, row) in rows.enumerate() {
                let value = |(bytes, width): &(Vec<u8>, usize)| bytes[at * width..(at + 1) * width].to_vec();
                let float = |bytes: Vec<u8>| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
                let vector: Vec<i8> = value(&vectors).iter().map(|byte| *byte as i8).collect();
                let (code, step) = code(&vector, float(value(&scales)), &cluster.centre, cluster.scale);
                if code != value(&codes) || !is_near(step, float(value(&steps))) {
                    return Err(self.damaged(&format!("the vector in row {row} does not have the code that is stated")));
                }
            }
        }
        Ok(())
    }

    fn damaged(&self, why: &str) -> StoreError {
        StoreError::damaged(self.entry.file(), why)
    }
}

fn is_near(expected: f32, stated: f32) -> bool {
    (expected - stated).abs() <= STEP_TOLERANCE * stated.abs()
}

/// The clusters share out the rows of the shard, in order.
fn check_clusters(entry: &ShardEntry, clusters: &[ClusterRow]) -> Result<(), String> {
    let mut next = 0_u64;
    for cluster in clusters {
        if u64::from(cluster.first_row) != next || cluster.rows == 0 {
            return Err(format!("its clusters leave out row {next} or have it twice"));
        }
        next += u64::from(cluster.rows);
    }
    if next == entry.rows { Ok(()) } else { Err(format!("its clusters have {next} rows and not {}", entry.rows)) }
}

/// Where the rows of each column lie, after checking the footer.
fn stretches(file: &ShardBytes, entry: &ShardEntry, dimension: u32) -> Result<[Vec<Stretch>; 6], String> {
    let words = |error: parquet::errors::ParquetError| error.to_string();
    let reader = ParquetMetaDataReader::new_with_metadata(footer(file)?);
    let mut reader = reader.with_offset_index_policy(PageIndexPolicy::Required);
    reader.read_page_indexes(file).map_err(words)?;
    let metadata = reader.finish().map_err(words)?;
    check_columns(Table::Vectors, dimension, &metadata)?;
    check_counts(entry, &metadata)?;
    let widths = [4, 4, 4, 4, u64::from(dimension.div_ceil(8)), u64::from(dimension)];
    let mut columns = <[Vec<Stretch>; 6]>::default();
    for (at, (column, width)) in columns.iter_mut().zip(widths).enumerate() {
        *column = column_stretches(&metadata, at, width, entry.bytes)?;
    }
    Ok(columns)
}

fn column_stretches(metadata: &ParquetMetaData, column: usize, width: u64, bytes: u64) -> Result<Vec<Stretch>, String> {
    let misplaced = || format!("column {column} has a page that is not where its index says");
    let index = metadata.offset_index().ok_or_else(|| "it has no offset index".to_owned())?;
    // No page lies over another, so that there are no more rows than the file has bytes for.
    let (mut stretches, mut group_first, mut free_from) = (Vec::new(), 0_u64, 0_u64);
    for (group, pages) in metadata.row_groups().iter().zip(index) {
        if group.column(column).compression() != Compression::UNCOMPRESSED {
            return Err(format!("column {column} is compressed"));
        }
        // Compared with the manifest's count before, which is below 2^32.
        let group_rows = group.num_rows() as u64;
        let pages = pages.get(column).ok_or_else(misplaced)?.page_locations();
        for (at, page) in pages.iter().enumerate() {
            let row = |index: i64| u64::try_from(index).ok().filter(|row| *row <= group_rows).ok_or_else(misplaced);
            let first = row(page.first_row_index)?;
            let last = pages.get(at + 1).map_or(Ok(group_rows), |next| row(next.first_row_index))?;
            let rows = last.checked_sub(first).ok_or_else(misplaced)?;
            let size = u64::try_from(page.compressed_page_size).map_err(|_| misplaced())?;
            let begin = u64::try_from(page.offset).map_err(|_| misplaced())?;
            let values = rows.checked_mul(width).ok_or_else(misplaced)?;
            let end = begin.checked_add(size).filter(|end| *end <= bytes).ok_or_else(misplaced)?;
            let header = size.checked_sub(values).filter(|header| *header <= HEADER_BYTES).ok_or_else(misplaced)?;
            if begin + header + values != end || begin < free_from || (at == 0 && first != 0) {
                return Err(misplaced());
            }
            free_from = end;
            stretches.push(Stretch { first_row: group_first + first, rows, offset: begin + header });
        }
        group_first += group_rows;
    }
    let stated: u64 = stretches.iter().map(|stretch| stretch.rows).sum();
    if stated == group_first { Ok(stretches) } else { Err(misplaced()) }
}

#[cfg(test)]
mod tests {
    use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::{EnabledStatistics, WriterProperties};

    use super::super::Generation;
    use super::super::store::Settings;
    use super::*;

    const DIMENSION: usize = 12;

    /// A store of so many vectors around four directions.
    fn store_of(dir: &std::path::Path, count: u32) -> (Store, Vec<VectorRow>) {
        let settings = Settings { chunker: "none".into(), embedder: "none".into(), dimension: DIMENSION as u32 };
        let mut store = Store::create(dir, settings);
        let lock = store.lock().unwrap();
        let value = |number: u32, at: usize| {
            let noise = (number.wrapping_mul(2_654_435_761) >> (at + 3)) % 97;
            noise as f32 / 200.0 + f32::from(u8::from(number as usize % 4 == at))
        };
        let row = |number| (number, (0..DIMENSION).map(|at| value(number, at)).collect::<Vec<f32>>());
        let vectors: Vec<VectorRow> =
            (0..count).map(row).map(|(number, values)| VectorRow::quantise(number, &values, number as f32)).collect();
        store.commit(&lock, Generation { vectors: vectors.clone(), ..Generation::default() }).unwrap();
        (store, vectors)
    }

    fn float(shard: &VectorShard, column: Column, row: u32) -> f32 {
        let mut bytes = Vec::new();
        shard.read(column, row..row + 1, &mut bytes).unwrap();
        f32::from_le_bytes(bytes.try_into().unwrap())
    }

    fn chunk(shard: &VectorShard, row: u32) -> u32 {
        float(shard, Column::Chunk, row).to_bits()
    }

    #[test]
    fn every_row_is_where_the_index_says() {
        let dir = tempfile::tempdir().unwrap();
        let (store, vectors) = store_of(dir.path(), 2500);
        let shard = &store.vector_shards().unwrap()[0];
        assert!(shard.clusters().len() > 4, "{}", shard.clusters().len());
        let mut seen = std::collections::HashSet::new();
        for row in 0..shard.rows() {
            let chunk = chunk(shard, row);
            assert!(seen.insert(chunk));
            let found = shard.row(row, chunk, float(shard, Column::Step, row)).unwrap();
            assert_eq!(found, vectors[chunk as usize]);
        }
        shard.check_codes().unwrap();
        assert!(shard.read(Column::Vector, 2499..2501, &mut Vec::new()).is_err(), "there is no row 2500");
        let mut across = Vec::new();
        shard.read(Column::Vector, 0..2500, &mut across).unwrap();
        assert_eq!(across.len(), 2500 * DIMENSION);
    }

    #[test]
    fn the_vectors_of_some_chunks_are_those_that_were_stored() {
        let dir = tempfile::tempdir().unwrap();
        let (store, vectors) = store_of(dir.path(), 2500);
        let mut found = store.vectors_of(|chunk| chunk % 7 == 3 || chunk > 2490).unwrap();
        found.sort_by_key(|row| row.chunk);
        let expected: Vec<VectorRow> =
            vectors.into_iter().filter(|row| row.chunk % 7 == 3 || row.chunk > 2490).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_row_that_was_changed_is_found_without_reading_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = store_of(dir.path(), 300);
        let path = dir.path().join(store.manifest().shards[0].file());
        let shard = &store.vector_shards().unwrap()[0];
        let place = shard.columns[Column::Vector as usize][0].offset as usize + 7 * DIMENSION;
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[place] ^= 0x10;
        std::fs::write(&path, bytes).unwrap();
        let shard = &store.vector_shards().unwrap()[0];
        let row = |row| shard.row(row, chunk(shard, row), float(shard, Column::Step, row));
        assert!(row(6).is_ok() && row(8).is_ok());
        assert!(row(7).unwrap_err().to_string().contains("row 7"));
        assert!(shard.check_codes().unwrap_err().to_string().contains("row 7"));
        assert!(store.verify(shard).unwrap_err().to_string().contains("hash"));
    }

    /// Two pages in one place would be more rows than the file has bytes for.
    #[test]
    fn pages_that_lie_over_each_other_are_refused() {
        let values: ArrayRef = Arc::new(UInt32Array::from_iter_values(0..8));
        let batch = RecordBatch::try_from_iter([("chunk", values)]).unwrap();
        let properties = WriterProperties::builder().set_dictionary_enabled(false).set_data_page_row_count_limit(4);
        let properties = properties.set_write_batch_size(4).set_statistics_enabled(EnabledStatistics::None).build();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        let file = bytes::Bytes::from(writer.into_inner().unwrap());
        let reader = ParquetMetaDataReader::new().with_offset_index_policy(PageIndexPolicy::Required);
        let metadata = reader.parse_and_finish(&file).unwrap();
        let found = column_stretches(&metadata, 0, 4, file.len() as u64).unwrap();
        assert_eq!(found.iter().map(|stretch| stretch.rows).collect::<Vec<_>>(), [4, 4]);
        let mut index = metadata.offset_index().unwrap().clone();
        let [first, second] = &mut index[0][0].page_locations[..] else { panic!("two pages") };
        assert_eq!(first.compressed_page_size, second.compressed_page_size);
        second.offset = first.offset;
        let overlapping = metadata.into_builder().set_offset_index(Some(index)).build();
        assert!(column_stretches(&overlapping, 0, 4, file.len() as u64).is_err());
    }

    #[test]
    fn clusters_that_do_not_fit_are_refused() {
        let entry = ShardEntry::new("vectors", blake3::hash(b"x"), 10, 1000);
        let cluster = |first_row, rows| ClusterRow { shard: "s".into(), first_row, rows, scale: 1.0, centre: vec![] };
        assert!(check_clusters(&entry, &[cluster(0, 4), cluster(4, 6)]).is_ok());
        let none: &[ClusterRow] = &[];
        for clusters in [
            none,
            &[cluster(0, 4)],
            &[cluster(0, 4), cluster(5, 5)],
            &[cluster(0, 4), cluster(3, 7)],
            &[cluster(0, 4), cluster(4, 0), cluster(4, 6)],
            &[cluster(0, 4), cluster(4, u32::MAX)],
        ] {
            assert!(check_clusters(&entry, clusters).is_err(), "{clusters:?}");
        }
    }
}
