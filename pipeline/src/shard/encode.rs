//! Rows → Arrow batches, one function a table.

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, FixedSizeBinaryBuilder, ListBuilder};
use arrow_array::{
    ArrayRef, BinaryArray, Float32Array, RecordBatch, StringArray, TimestampMillisecondArray, UInt32Array,
};
use arrow_schema::{ArrowError, DataType, Field};

use super::clusters::code;
use super::rows::{ChunkRow, ClusterRow, CommitRow, EditRow, SpanRow, VectorRow};
use super::schema::Table;

/// The first and the last second of the years 1 to 9999, since 1970.
const TIMES: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// A row that a table can take.
pub(super) trait Encode: Sized + Sync {
    /// The table.
    const TABLE: Table;

    /// The columns of some rows, in the order of the schema.
    fn columns(rows: &[Self], dimension: u32) -> Result<Vec<ArrayRef>, ArrowError>;

    /// About how many bytes the row's variable part takes, by which the writer bounds its batches.
    fn weight(&self) -> usize;

    /// Some rows as a batch of the table's schema.
    fn batch(rows: &[Self], dimension: u32) -> Result<RecordBatch, ArrowError> {
        RecordBatch::try_new(Self::TABLE.schema(dimension), Self::columns(rows, dimension)?)
    }
}

impl Encode for CommitRow {
    const TABLE: Table = Table::Commits;

    fn columns(rows: &[Self], _: u32) -> Result<Vec<ArrayRef>, ArrowError> {
        let element = Field::new("element", DataType::Binary, false);
        let mut parents = ListBuilder::new(BinaryBuilder::new()).with_field(element);
        for row in rows {
            row.parents.iter().for_each(|parent| parents.values().append_value(parent.as_bytes()));
            parents.append(true);
        }
        Ok(vec![
            numbers(rows.iter().map(|row| row.number)),
            Arc::new(BinaryArray::from_iter_values(rows.iter().map(|row| row.id.as_bytes()))),
            Arc::new(parents.finish()),
            texts(rows.iter().map(|row| row.author.as_str())),
            texts(rows.iter().map(|row| row.author_email.as_str())),
            times(rows.iter().map(|row| row.author_time)),
            times(rows.iter().map(|row| row.commit_time)),
            texts(rows.iter().map(|row| row.message.as_str())),
        ])
    }

    fn weight(&self) -> usize {
        self.author.len() + self.author_email.len() + self.message.len() + 32 * self.parents.len()
    }
}

impl Encode for EditRow {
    const TABLE: Table = Table::Edits;

    fn columns(rows: &[Self], _: u32) -> Result<Vec<ArrayRef>, ArrowError> {
        Ok(vec![
            numbers(rows.iter().map(|row| row.commit)),
            texts(rows.iter().map(|row| &*row.path)),
            optional_texts(rows.iter().map(|row| row.symbol.as_deref())),
            optional_texts(rows.iter().map(|row| row.kind.as_deref())),
            texts(rows.iter().map(|row| row.change.as_str())),
            Arc::new(rows.iter().map(|row| row.before).collect::<UInt32Array>()),
            Arc::new(rows.iter().map(|row| row.after).collect::<UInt32Array>()),
            optional_texts(rows.iter().map(|row| row.before_path.as_deref())),
            optional_texts(rows.iter().map(|row| row.before_symbol.as_deref())),
            Arc::new(rows.iter().map(|row| row.similarity).collect::<Float32Array>()),
            numbers(rows.iter().map(|row| row.start_line)),
            numbers(rows.iter().map(|row| row.end_line)),
            Arc::new(rows.iter().map(|row| row.before_blob.as_ref().map(|id| id.as_bytes())).collect::<BinaryArray>()),
            Arc::new(rows.iter().map(|row| row.after_blob.as_ref().map(|id| id.as_bytes())).collect::<BinaryArray>()),
            optional_texts(rows.iter().map(|row| row.skipped.as_deref())),
        ])
    }

    fn weight(&self) -> usize {
        let optional = [&self.symbol, &self.kind, &self.before_path, &self.before_symbol, &self.skipped];
        self.path.len() + optional.into_iter().flatten().map(|text| text.len()).sum::<usize>()
    }
}

impl Encode for ChunkRow {
    const TABLE: Table = Table::Chunks;

    fn columns(rows: &[Self], _: u32) -> Result<Vec<ArrayRef>, ArrowError> {
        let mut ids = FixedSizeBinaryBuilder::with_capacity(rows.len(), 16);
        rows.iter().try_for_each(|row| ids.append_value(row.id.as_bytes()))?;
        Ok(vec![
            numbers(rows.iter().map(|row| row.number)),
            Arc::new(ids.finish()),
            texts(rows.iter().map(|row| &*row.lang)),
            texts(rows.iter().map(|row| &*row.kind)),
            texts(rows.iter().map(|row| &*row.name)),
            texts(rows.iter().map(|row| row.text.as_str())),
        ])
    }

    fn weight(&self) -> usize {
        self.lang.len() + self.kind.len() + self.name.len() + self.text.len()
    }
}

impl Encode for SpanRow {
    const TABLE: Table = Table::Spans;

    fn columns(rows: &[Self], _: u32) -> Result<Vec<ArrayRef>, ArrowError> {
        Ok(vec![
            Arc::new(BinaryArray::from_iter_values(rows.iter().map(|row| row.blob.as_bytes()))),
            numbers(rows.iter().map(|row| row.chunk)),
            texts(rows.iter().map(|row| &*row.symbol)),
            texts(rows.iter().map(|row| &*row.container)),
            numbers(rows.iter().map(|row| row.start_line)),
            numbers(rows.iter().map(|row| row.end_line)),
        ])
    }

    fn weight(&self) -> usize {
        self.symbol.len() + self.container.len()
    }
}

/// A vector with its code in its cluster.
pub(super) struct CodedRow<'a> {
    row: &'a VectorRow,
    code: Vec<u8>,
    step: f32,
}

impl<'a> CodedRow<'a> {
    pub(super) fn new(row: &'a VectorRow, centre: &[i8], centre_scale: f32) -> Self {
        let (code, step) = code(&row.vector, row.scale, centre, centre_scale);
        Self { row, code, step }
    }
}

impl Encode for CodedRow<'_> {
    const TABLE: Table = Table::Vectors;

    fn columns(rows: &[Self], dimension: u32) -> Result<Vec<ArrayRef>, ArrowError> {
        let mut codes = FixedSizeBinaryBuilder::with_capacity(rows.len(), dimension.div_ceil(8) as i32);
        rows.iter().try_for_each(|coded| codes.append_value(&coded.code))?;
        Ok(vec![
            numbers(rows.iter().map(|coded| coded.row.chunk)),
            floats(rows.iter().map(|coded| coded.row.norm)),
            floats(rows.iter().map(|coded| coded.row.scale)),
            floats(rows.iter().map(|coded| coded.step)),
            Arc::new(codes.finish()),
            values(rows.iter().map(|coded| &*coded.row.vector), dimension)?,
        ])
    }

    fn weight(&self) -> usize {
        self.row.vector.len()
    }
}

impl Encode for ClusterRow {
    const TABLE: Table = Table::Clusters;

    fn columns(rows: &[Self], dimension: u32) -> Result<Vec<ArrayRef>, ArrowError> {
        Ok(vec![
            texts(rows.iter().map(|row| &*row.shard)),
            numbers(rows.iter().map(|row| row.first_row)),
            numbers(rows.iter().map(|row| row.rows)),
            floats(rows.iter().map(|row| row.scale)),
            values(rows.iter().map(|row| &*row.centre), dimension)?,
        ])
    }

    fn weight(&self) -> usize {
        self.centre.len()
    }
}

/// Signed bytes, `dimension` a row; any other length is refused.
fn values<'a>(rows: impl Iterator<Item = &'a [i8]>, dimension: u32) -> Result<ArrayRef, ArrowError> {
    let mut vectors = FixedSizeBinaryBuilder::with_capacity(rows.size_hint().0, dimension as i32);
    for row in rows {
        let bytes: Vec<u8> = row.iter().map(|step| *step as u8).collect();
        vectors.append_value(bytes)?;
    }
    Ok(Arc::new(vectors.finish()))
}

fn floats(values: impl Iterator<Item = f32>) -> ArrayRef {
    Arc::new(Float32Array::from_iter_values(values))
}

fn numbers(values: impl Iterator<Item = u32>) -> ArrayRef {
    Arc::new(UInt32Array::from_iter_values(values))
}

fn texts<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn optional_texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

fn times(seconds: impl Iterator<Item = i64>) -> ArrayRef {
    let milliseconds = seconds.map(|seconds| seconds.clamp(*TIMES.start(), *TIMES.end()) * 1000);
    Arc::new(TimestampMillisecondArray::from_iter_values(milliseconds).with_timezone("UTC"))
}
