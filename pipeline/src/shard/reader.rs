//! Reading: tables of a store → rows.
//!
//! A shard is read in three steps that each can refuse it: its size and hash against the manifest, its footer
//! against the table's columns and the manifest's counts, then its pages. The hash is taken once for each opened
//! store; a shard never changes after it is written.

use std::sync::Arc;

use arrow_array::{Array, BinaryArray, FixedSizeBinaryArray, Float32Array, LargeStringArray, RecordBatch, UInt32Array};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, RowSelection};
use parquet::arrow::{ArrowSchemaConverter, ProjectionMask, parquet_to_arrow_field_levels};
use parquet::file::metadata::ParquetMetaData;
use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

use super::bytes::ShardBytes;
use super::decode::{Decode, Strings, decode_blobs, decode_chunk_heads, decode_chunk_ids, object_id, required};
use super::error::StoreError;
use super::footer::footer;
use super::ids::{ChunkId, ObjectId};
use super::manifest::{FORMAT, MANIFEST, Manifest, OLDEST_FORMAT, ShardEntry, plausible};
use super::pages::CheckedRowGroups;
use super::rows::{ChunkHead, ChunkRow, CommitRow, EditRow, SpanRow};
use super::schema::Table;
use super::store::Store;
use crate::caught::caught;

/// Rows that are decoded at a time.
const BATCH_ROWS: usize = 8192;
/// The same where rows are picked out. Parquet decodes all that lies between those of a batch where they lie closer than some
/// thirty rows, so a batch of thousands holds the texts of the whole shard.
const SELECTED_ROWS: usize = 128;
/// Rows that room is made for because a manifest states them.
const MOST_RESERVED: u64 = 1 << 21;

/// All vectors of a store, one row a chunk, as parallel arrays.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Vectors {
    /// [`ChunkRow::number`] of each row.
    pub chunk: Vec<u32>,
    /// Length of each vector before it was made a unit vector.
    pub norm: Vec<f32>,
    /// One step of each vector's values.
    pub scale: Vec<f32>,
    /// The values, row after row: rows × dimension.
    pub values: Vec<i8>,
}

/// Which columns and rows of a shard to read.
#[derive(Default)]
pub(super) struct Part<'a> {
    /// Column names; `None` is all.
    pub(super) columns: Option<&'a [&'a str]>,
    /// Rows; `None` is all.
    pub(super) rows: Option<RowSelection>,
    /// Whether the caller has another proof of what it reads than the hash of the whole shard.
    pub(super) proven: bool,
}

impl Store {
    /// Every commit, in the order in which they were stored.
    pub fn commits(&self) -> Result<Vec<CommitRow>, StoreError> {
        self.table()
    }

    /// Every edit, in the order in which they were stored.
    pub fn edits(&self) -> Result<Vec<EditRow>, StoreError> {
        self.table()
    }

    /// How many file contents were left out for this reason when their commits were indexed.
    pub fn left_out(&self, reason: &str) -> Result<u64, StoreError> {
        let left_out = self.side_by_side(Table::Edits, |shard| {
            let (mut blobs, mut strings) = (Vec::new(), Strings::default());
            let columns = ["blobs", "before_blob", "after_blob", "skipped"];
            let part = Part { columns: Some(&columns), rows: None, ..Part::default() };
            self.read_shard(Table::Edits, shard, part, |batch| {
                let skipped = strings.column(batch, "skipped")?;
                for ([before, after], why) in decode_blobs(batch)?.into_iter().zip(skipped) {
                    if why.as_deref() == Some(reason) {
                        blobs.extend(after.or(before));
                    }
                }
                Ok(())
            })?;
            Ok(blobs)
        })?;
        Ok(left_out.into_iter().collect::<FxHashSet<ObjectId>>().len() as u64)
    }

    /// Every chunk with its text, in order of number. Where ids are enough, [`Store::chunk_ids`] reads a fraction of the bytes.
    pub fn chunks(&self) -> Result<Vec<ChunkRow>, StoreError> {
        let mut chunks: Vec<ChunkRow> = self.table()?;
        chunks.sort_unstable_by_key(|chunk| chunk.number);
        Ok(chunks)
    }

    /// Gives every chunk to `each`, in an order of the store's choosing, one shard in memory at a time.
    pub fn each_chunk<E: From<StoreError>>(&self, mut each: impl FnMut(ChunkRow) -> Result<(), E>) -> Result<(), E> {
        for shard in self.shards(Table::Chunks) {
            let mut chunks: Vec<ChunkRow> = Vec::new();
            self.read_rows(shard, &mut Strings::default(), &mut chunks)?;
            chunks.into_iter().try_for_each(&mut each)?;
        }
        Ok(())
    }

    /// Every span. The spans of a blob that was stored at once are together and in order; blobs come in an order of
    /// the store's choosing.
    pub fn spans(&self) -> Result<Vec<SpanRow>, StoreError> {
        self.table()
    }

    /// Number and id of every chunk, in an order of the store's choosing.
    pub fn chunk_ids(&self) -> Result<Vec<(u32, ChunkId)>, StoreError> {
        let mut ids = Vec::new();
        for shard in self.shards(Table::Chunks) {
            let part = Part { columns: Some(&["number", "id"]), rows: None, ..Part::default() };
            self.read_shard(Table::Chunks, shard, part, |batch| decode_chunk_ids(batch, &mut ids))?;
        }
        Ok(ids)
    }

    /// Every chunk without its text, in order of number.
    pub fn chunk_heads(&self) -> Result<Vec<ChunkHead>, StoreError> {
        let mut all = self.side_by_side(Table::Chunks, |shard| {
            let (mut heads, mut strings) = (Vec::new(), Strings::default());
            let part = Part { columns: Some(&["number", "id", "lang", "kind", "name"]), rows: None, ..Part::default() };
            self.read_shard(Table::Chunks, shard, part, |batch| decode_chunk_heads(batch, &mut strings, &mut heads))?;
            Ok(heads)
        })?;
        all.sort_unstable_by_key(|head| head.number);
        Ok(all)
    }

    /// The spans of some blobs. Those of a blob that was stored at once are together and in order. Of the others no more
    /// is read than which blob they are of.
    pub fn spans_of(&self, wanted: impl Fn(&ObjectId) -> bool + Sync) -> Result<Vec<SpanRow>, StoreError> {
        self.side_by_side(Table::Spans, |shard| {
            let (mut ranges, mut row) = (Vec::new(), 0);
            let (mut last, mut wants_last) = (Vec::new(), false);
            let part = Part { columns: Some(&["blob"]), rows: None, ..Part::default() };
            self.read_shard(Table::Spans, shard, part, |batch| {
                for blob in required::<BinaryArray>(batch, "blob")?.iter().flatten() {
                    // The spans of a blob are together, so most rows are of the same one as the row before.
                    if blob != last {
                        last = blob.to_vec();
                        wants_last = wanted(&object_id(blob)?);
                    }
                    if wants_last {
                        ranges.push(row..row + 1);
                    }
                    row += 1;
                }
                Ok(())
            })?;
            let rows = RowSelection::from_consecutive_ranges(ranges.into_iter(), row);
            let (mut spans, mut strings) = (Vec::new(), Strings::default());
            if rows.selects_any() {
                let part = Part { columns: None, rows: Some(rows), ..Part::default() };
                let decode = |batch: &RecordBatch| SpanRow::decode(batch, &mut strings, &mut spans);
                self.read_shard(Table::Spans, shard, part, decode)?;
            }
            Ok(spans)
        })
    }

    /// What is read of each shard of a table, by several threads, in the order of the shards.
    fn side_by_side<R: Send>(
        &self,
        table: Table,
        read: impl Fn(&ShardEntry) -> Result<Vec<R>, StoreError> + Sync,
    ) -> Result<Vec<R>, StoreError> {
        let shards: Vec<&ShardEntry> = self.shards(table).collect();
        let parts: Vec<Result<Vec<R>, StoreError>> = shards.par_iter().map(|shard| read(shard)).collect();
        let mut rows = Vec::with_capacity(parts.iter().flatten().map(Vec::len).sum());
        for part in parts {
            rows.extend(part?);
        }
        Ok(rows)
    }

    /// The chunks with these numbers, one for each and in the same order. Only pages that hold one of them are
    /// decompressed. A number that no chunk has is damage, since numbers come from other tables of the store.
    pub fn chunks_by_number(&self, numbers: &[u32]) -> Result<Vec<ChunkRow>, StoreError> {
        let wanted: FxHashSet<u32> = numbers.iter().copied().collect();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let chunks = self.side_by_side(Table::Chunks, |shard| {
            let rows = self.rows_numbered(shard, &wanted)?;
            let (mut chunks, mut strings): (Vec<ChunkRow>, _) = (Vec::new(), Strings::default());
            if rows.selects_any() {
                let part = Part { columns: None, rows: Some(rows), ..Part::default() };
                let decode = |batch: &RecordBatch| ChunkRow::decode(batch, &mut strings, &mut chunks);
                self.read_shard(Table::Chunks, shard, part, decode)?;
            }
            Ok(chunks)
        })?;
        let found: FxHashMap<u32, ChunkRow> = chunks.into_iter().map(|chunk| (chunk.number, chunk)).collect();
        let chunk = |number: &u32| {
            let missing = || StoreError::damaged("chunks", format!("no chunk has the number {number}"));
            found.get(number).cloned().ok_or_else(missing)
        };
        numbers.iter().map(chunk).collect()
    }

    /// The texts in some rows of the chunks, counted through their shards in order, one for each and in the same order.
    /// Shards are not compared with their hashes: the caller knows the ids of the texts, which are hashes too.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] naming the shard, or where there is no such row.
    pub fn texts_in_rows(&self, rows: &[u32]) -> Result<Vec<String>, StoreError> {
        let mut wanted: Vec<u64> = rows.iter().map(|row| u64::from(*row)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let (mut first, mut parts) = (0, Vec::new());
        for shard in self.shards(Table::Chunks) {
            let end = first + shard.rows;
            let here = &wanted[wanted.partition_point(|row| *row < first)..wanted.partition_point(|row| *row < end)];
            if !here.is_empty() {
                parts.push((shard, first, here));
            }
            first = end;
        }
        let read: Vec<Result<Vec<String>, StoreError>> = parts
            .par_iter()
            .map(|(shard, first, here)| {
                let ranges = here.iter().map(|row| (row - first) as usize..(row - first) as usize + 1);
                let rows = Some(RowSelection::from_consecutive_ranges(ranges, shard.rows as usize));
                let part = Part { columns: Some(&["text"]), rows, proven: true };
                let mut texts = Vec::with_capacity(here.len());
                self.read_shard(Table::Chunks, shard, part, |batch| {
                    texts.extend(required::<LargeStringArray>(batch, "text")?.iter().flatten().map(str::to_owned));
                    Ok(())
                })?;
                if texts.len() == here.len() {
                    Ok(texts)
                } else {
                    Err(StoreError::damaged(shard.file(), "it lacks rows"))
                }
            })
            .collect();
        let mut found: Vec<String> = Vec::with_capacity(wanted.len());
        for texts in read {
            found.extend(texts?);
        }
        let text = |row: &u32| {
            let at = wanted.binary_search(&u64::from(*row)).ok();
            at.and_then(|at| found.get(at).cloned())
                .ok_or_else(|| StoreError::damaged("chunks", format!("there is no row {row}")))
        };
        rows.iter().map(text).collect()
    }

    /// The rows of a shard of chunks whose number is wanted.
    fn rows_numbered(&self, shard: &ShardEntry, wanted: &FxHashSet<u32>) -> Result<RowSelection, StoreError> {
        let (mut ranges, mut row) = (Vec::new(), 0);
        let part = Part { columns: Some(&["number"]), rows: None, ..Part::default() };
        self.read_shard(Table::Chunks, shard, part, |batch| {
            for number in required::<UInt32Array>(batch, "number")?.values() {
                if wanted.contains(number) {
                    ranges.push(row..row + 1);
                }
                row += 1;
            }
            Ok(())
        })?;
        Ok(RowSelection::from_consecutive_ranges(ranges.into_iter(), row))
    }

    /// Gives blob and chunk of every span to `each`, in the order in which they were stored.
    pub fn each_span(&self, mut each: impl FnMut(ObjectId, u32)) -> Result<(), StoreError> {
        for shard in self.shards(Table::Spans) {
            let part = Part { columns: Some(&["blob", "chunk"]), rows: None, ..Part::default() };
            self.read_shard(Table::Spans, shard, part, |batch| {
                let blobs: &BinaryArray = required(batch, "blob")?;
                let chunks: &UInt32Array = required(batch, "chunk")?;
                for (row, chunk) in chunks.values().iter().enumerate() {
                    each(object_id(blobs.value(row))?, *chunk);
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// The object id of every commit, in the order in which they were stored.
    pub fn commit_ids(&self) -> Result<Vec<ObjectId>, StoreError> {
        let mut ids = Vec::new();
        for shard in self.shards(Table::Commits) {
            let part = Part { columns: Some(&["id"]), rows: None, ..Part::default() };
            self.read_shard(Table::Commits, shard, part, |batch| {
                for id in required::<BinaryArray>(batch, "id")?.iter().flatten() {
                    ids.push(object_id(id)?);
                }
                Ok(())
            })?;
        }
        Ok(ids)
    }

    /// Every vector, in order of its chunk's number.
    pub fn vectors(&self) -> Result<Vectors, StoreError> {
        let mut vectors = Vectors::default();
        for shard in self.shards(Table::Vectors) {
            self.read_shard(Table::Vectors, shard, Part::default(), |batch| vectors.append(batch))?;
        }
        Ok(vectors.in_order_of_chunk())
    }

    fn shards(&self, table: Table) -> impl Iterator<Item = &ShardEntry> {
        self.manifest().shards_of(table.name())
    }

    pub(super) fn table<R: Decode>(&self) -> Result<Vec<R>, StoreError> {
        // Room for all of them at once: growing would clear and copy pages over and over.
        let stated: u64 = self.shards(R::TABLE).map(|shard| shard.rows).sum();
        let (mut rows, mut strings) = (Vec::with_capacity(stated.min(MOST_RESERVED) as usize), Strings::default());
        for shard in self.shards(R::TABLE) {
            self.read_rows(shard, &mut strings, &mut rows)?;
        }
        Ok(rows)
    }

    /// Appends the rows of one shard.
    pub(super) fn read_rows<R: Decode>(
        &self,
        shard: &ShardEntry,
        strings: &mut Strings,
        rows: &mut Vec<R>,
    ) -> Result<(), StoreError> {
        self.read_shard(R::TABLE, shard, Part::default(), |batch| R::decode(batch, strings, rows))
    }

    /// Gives a part of one shard to `each`, batch after batch.
    pub(super) fn read_shard(
        &self,
        table: Table,
        shard: &ShardEntry,
        part: Part<'_>,
        mut each: impl FnMut(&RecordBatch) -> Result<(), String>,
    ) -> Result<(), StoreError> {
        let damaged = |why: String| StoreError::damaged(shard.file(), why);
        let file = if part.proven { self.open_unread(shard)? } else { self.open_shard(shard)? };
        // Needed: parquet 59 panics on what no check here sees, such as a dictionary index of a fixed-length column
        // beyond its dictionary, or levels cut short. Nothing of a reader that panicked is used again.
        caught(|| {
            let all = part.rows.is_none();
            let mut rows = 0;
            for batch in batches(table, self.manifest().dimension, shard, file, part)? {
                let batch = batch.map_err(|error| error.to_string())?;
                rows += batch.num_rows() as u64;
                each(&batch)?;
            }
            if all && rows != shard.rows {
                return Err(format!("it has {rows} rows and not {}", shard.rows));
            }
            Ok(())
        })
        .unwrap_or_else(|| Err("reading it as Parquet failed".to_owned()))
        .map_err(damaged)
    }

    /// Opens a shard without comparing its bytes with its hash.
    pub(super) fn open_unread(&self, shard: &ShardEntry) -> Result<ShardBytes, StoreError> {
        // A place that checks what it opens is told that this was checked.
        self.location().medium().open(&shard.file(), true)?.ok_or_else(|| self.missing(shard))
    }

    /// Opens a shard whose size and hash are right.
    pub(super) fn open_shard(&self, shard: &ShardEntry) -> Result<ShardBytes, StoreError> {
        let verified = self.is_verified(&shard.blake3);
        let medium = self.location().medium();
        let Some(mut file) = medium.open(&shard.file(), verified)? else { return Err(self.missing(shard)) };
        if !verified {
            let (hash, bytes) = file.hash().map_err(StoreError::read(medium.name(&shard.file())))?;
            if bytes != shard.bytes {
                let why = format!("it has {bytes} bytes and not {}", shard.bytes);
                return Err(StoreError::damaged(shard.file(), why));
            }
            if hash.to_hex().as_str() != shard.blake3 {
                return Err(StoreError::damaged(shard.file(), "its bytes do not have the hash in the manifest"));
            }
            self.set_verified(&shard.blake3);
        }
        Ok(file)
    }

    /// What it means that a shard is not there: damage, or that its time was over.
    fn missing(&self, shard: &ShardEntry) -> StoreError {
        match Manifest::read(self.location().medium()) {
            Ok(Some((now, _))) if now.shards.iter().all(|other| other.file() != shard.file()) => StoreError::Stale {
                path: self.location().medium().name(MANIFEST),
                found: now.generation,
                expected: self.manifest().generation,
            },
            _ => StoreError::damaged(shard.file(), "it is missing"),
        }
    }
}

impl Vectors {
    /// The same rows, by number. Shards keep them cluster by cluster.
    fn in_order_of_chunk(self) -> Vectors {
        let mut order: Vec<usize> = (0..self.chunk.len()).collect();
        order.sort_by_key(|row| self.chunk[*row]);
        let dimension = self.values.len() / self.chunk.len().max(1);
        Vectors {
            chunk: order.iter().map(|row| self.chunk[*row]).collect(),
            norm: order.iter().map(|row| self.norm[*row]).collect(),
            scale: order.iter().map(|row| self.scale[*row]).collect(),
            values: order.iter().flat_map(|row| self.values[row * dimension..][..dimension].to_vec()).collect(),
        }
    }

    pub(super) fn append(&mut self, batch: &RecordBatch) -> Result<(), String> {
        let vectors: &FixedSizeBinaryArray = required(batch, "vector")?;
        self.chunk.extend_from_slice(required::<UInt32Array>(batch, "chunk")?.values());
        self.norm.extend_from_slice(required::<Float32Array>(batch, "norm")?.values());
        self.scale.extend_from_slice(required::<Float32Array>(batch, "scale")?.values());
        for i in 0..vectors.len() {
            self.values.extend(vectors.value(i).iter().map(|byte| *byte as i8));
        }
        Ok(())
    }
}

/// Starts to decode a shard, after its footer was checked.
fn batches(
    table: Table,
    dimension: u32,
    shard: &ShardEntry,
    file: ShardBytes,
    part: Part<'_>,
) -> Result<ParquetRecordBatchReader, String> {
    let words = |error: parquet::errors::ParquetError| error.to_string();
    let metadata = footer(&file)?;
    let format = check_columns(table, dimension, &metadata)?;
    check_counts(shard, &metadata)?;
    let columns = metadata.file_metadata().schema_descr();
    let mask = match part.columns {
        Some(names) => ProjectionMask::columns(columns, names.iter().copied()),
        None => ProjectionMask::all(),
    };
    let levels =
        parquet_to_arrow_field_levels(columns, mask, Some(&table.read_fields(format, dimension))).map_err(words)?;
    let groups = CheckedRowGroups { file: Arc::new(file), metadata: Arc::new(metadata) };
    // Room for a whole batch is made and cleared before the first row is read, so none is made for rows that are not there.
    let batch = match &part.rows {
        Some(selected) => selected.row_count().clamp(1, SELECTED_ROWS),
        None => (shard.rows as usize).clamp(1, BATCH_ROWS),
    };
    ParquetRecordBatchReader::try_new_with_row_groups(&levels, &groups, batch, part.rows).map_err(words)
}

/// The columns of the file are exactly those of the table, in one of the formats that are read, which is returned: a store
/// keeps shards of the former one until they are merged.
pub(super) fn check_columns(table: Table, dimension: u32, metadata: &ParquetMetaData) -> Result<u64, String> {
    let why = match check_columns_of(FORMAT, table, dimension, metadata) {
        Ok(()) => return Ok(FORMAT),
        Err(why) => why,
    };
    let mut former = (OLDEST_FORMAT..FORMAT).rev();
    former.find(|format| check_columns_of(*format, table, dimension, metadata).is_ok()).ok_or(why)
}

fn check_columns_of(format: u64, table: Table, dimension: u32, metadata: &ParquetMetaData) -> Result<(), String> {
    let schema = table.schema_of(format, dimension);
    let expected = ArrowSchemaConverter::new().convert(&schema).map_err(|error| error.to_string())?;
    let found = metadata.file_metadata().schema_descr();
    for column in expected.columns() {
        let same = found.columns().iter().any(|other| {
            other.path() == column.path()
                && other.physical_type() == column.physical_type()
                && other.type_length() == column.type_length()
                && other.logical_type_ref() == column.logical_type_ref()
                && other.max_def_level() == column.max_def_level()
                && other.max_rep_level() == column.max_rep_level()
        });
        if !same {
            return Err(format!("column {} is missing or has another type", column.path()));
        }
    }
    if found.num_columns() != expected.num_columns() {
        return Err(format!("it has {} columns and not {}", found.num_columns(), expected.num_columns()));
    }
    Ok(())
}

/// The counts in the footer agree with each other and with the manifest.
pub(super) fn check_counts(shard: &ShardEntry, metadata: &ParquetMetaData) -> Result<(), String> {
    let count = |number: i64| u64::try_from(number).map_err(|_| format!("a count is {number}"));
    let (mut rows, mut expanded) = (0_u64, 0_u64);
    for group in metadata.row_groups() {
        let group_rows = count(group.num_rows())?;
        rows = rows.saturating_add(group_rows);
        for column in group.columns() {
            let values = count(column.num_values())?;
            let nested = column.column_descr().max_rep_level() > 0;
            if !nested && values != group_rows {
                return Err(format!("a column has {values} values for {group_rows} rows"));
            }
            plausible(values, 0, shard.bytes)?;
            let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
            if count(start)?.saturating_add(count(column.compressed_size())?) > shard.bytes {
                return Err(format!("column {} ends outside the file", column.column_path()));
            }
            let bytes = count(column.uncompressed_size())?;
            expanded = expanded.saturating_add(bytes);
        }
    }
    if rows != shard.rows || count(metadata.file_metadata().num_rows())? != rows {
        return Err(format!("it states {rows} rows, and the manifest {}", shard.rows));
    }
    plausible(rows, expanded, shard.bytes)
}
