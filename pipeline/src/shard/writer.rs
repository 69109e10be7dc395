//! Writing one shard: rows → a file named by its content.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use super::clusters::{Group, group};
use super::encode::{CodedRow, Encode};
use super::error::StoreError;
use super::location::Medium;
use super::manifest::{ShardEntry, plausible};
use super::rows::{ClusterRow, VectorRow};
use super::schema::Effort;

/// Rows that are encoded at a time.
const BATCH_ROWS: usize = 8192;
/// Bytes of strings that are encoded at a time, far below the 2 GiB that Arrow's offsets and Parquet's pages hold.
const BATCH_BYTES: usize = 64 << 20;
/// The longest row, in bytes, for the same reason.
const LONGEST_ROW_BYTES: usize = 1 << 30;

/// Writes the rows, which are in order, as a new shard under its final name. `None` if there are no rows.
pub(super) fn write_shard<R: Encode>(
    medium: &dyn Medium,
    rows: &[R],
    dimension: u32,
    effort: Effort,
) -> Result<Option<ShardEntry>, StoreError> {
    if rows.is_empty() {
        return Ok(None);
    }
    medium.write_shard(R::TABLE.name(), &mut |out| write_rows(out, rows, dimension, effort)).map(Some)
}

/// Writes vectors in clusters: a shard of `vectors`, and one of `clusters` that says where in it each lies.
pub(super) fn write_vectors(
    medium: &dyn Medium,
    rows: &[VectorRow],
    dimension: u32,
    effort: Effort,
) -> Result<Vec<ShardEntry>, StoreError> {
    let groups = group(rows, dimension as usize);
    let coded = groups.iter().flat_map(|group| {
        let rows = group.members.iter().map(|member| &rows[*member as usize]);
        rows.map(|row| CodedRow::new(row, &group.centre, group.scale))
    });
    let Some(vectors) = write_shard(medium, &coded.collect::<Vec<_>>(), dimension, effort)? else {
        return Ok(Vec::new());
    };
    let shard: Arc<str> = vectors.stem().into();
    let mut next = 0;
    let place = |Group { members, centre, scale }: Group| {
        let first_row = next;
        next += members.len() as u32;
        ClusterRow { shard: Arc::clone(&shard), first_row, rows: members.len() as u32, scale, centre }
    };
    let places: Vec<ClusterRow> = groups.into_iter().map(place).collect();
    Ok(std::iter::once(vectors).chain(write_shard(medium, &places, dimension, effort)?).collect())
}

fn write_rows<R: Encode>(
    out: &mut (dyn Write + Send),
    rows: &[R],
    dimension: u32,
    effort: Effort,
) -> io::Result<ShardEntry> {
    let mut out = Hashed { out, hasher: blake3::Hasher::new() };
    let metadata = write_parquet(&mut out, rows, dimension, effort).map_err(io_error)?;
    let bytes = out.hasher.count();
    let groups = metadata.row_groups().iter();
    let expanded = groups.flat_map(|group| group.columns()).map(|column| column.uncompressed_size() as u64).sum();
    plausible(rows.len() as u64, expanded, bytes).map_err(|why| invalid(format!("the new shard {why}")))?;
    Ok(ShardEntry::new(R::TABLE.name(), out.hasher.finalize(), rows.len() as u64, bytes))
}

fn write_parquet<R: Encode>(
    out: &mut Hashed<'_>,
    rows: &[R],
    dimension: u32,
    effort: Effort,
) -> Result<ParquetMetaData, ParquetError> {
    let properties = R::TABLE.properties(effort);
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(out, R::TABLE.schema(dimension), options)?;
    for batch in batches(rows) {
        if let [row] = batch
            && row.weight() > LONGEST_ROW_BYTES
        {
            return Err(ParquetError::External(invalid(format!("a row of {} bytes", row.weight())).into()));
        }
        writer.write(&R::batch(batch, dimension)?)?;
    }
    writer.close()
}

/// Cuts the rows so that no batch of several rows exceeds [`BATCH_ROWS`] or [`BATCH_BYTES`].
fn batches<R: Encode>(mut rows: &[R]) -> impl Iterator<Item = &[R]> {
    std::iter::from_fn(move || {
        let (mut length, mut bytes) = (0, 0);
        while length < rows.len().min(BATCH_ROWS) {
            bytes += rows[length].weight();
            if length > 0 && bytes > BATCH_BYTES {
                break;
            }
            length += 1;
        }
        let (batch, rest) = rows.split_at(length);
        rows = rest;
        (!batch.is_empty()).then_some(batch)
    })
}

/// A file that is hashed as it is written, so that its name is known when it ends.
struct Hashed<'o> {
    out: &'o mut (dyn Write + Send),
    hasher: blake3::Hasher,
}

impl Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Rows that the tables cannot hold.
pub(super) fn invalid(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why.into())
}

/// Keeps the kind of an I/O error that went through Parquet, for a full disk should be told as one.
fn io_error(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_bounded_in_rows_and_bytes() {
        struct Weighs(usize);
        impl Encode for Weighs {
            const TABLE: super::super::schema::Table = super::super::schema::Table::Chunks;
            fn columns(_: &[Self], _: u32) -> Result<Vec<arrow_array::ArrayRef>, arrow_schema::ArrowError> {
                unreachable!()
            }
            fn order(_: &mut Vec<Self>) {
                unreachable!()
            }
            fn weight(&self) -> usize {
                self.0
            }
        }
        let lengths = |rows: &[Weighs]| batches(rows).map(<[_]>::len).collect::<Vec<_>>();
        let light: Vec<_> = (0..BATCH_ROWS + 1).map(|_| Weighs(1)).collect();
        assert_eq!(lengths(&light), [BATCH_ROWS, 1]);
        let heavy = [Weighs(1), Weighs(BATCH_BYTES), Weighs(2 * BATCH_BYTES), Weighs(1), Weighs(1)];
        assert_eq!(lengths(&heavy), [1, 1, 1, 2]);
        assert!(lengths(&[]).is_empty());
    }
}
