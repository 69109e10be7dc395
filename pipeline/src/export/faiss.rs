//! FAISS: an `IndexIDMap` over an `IndexFlatIP`, in FAISS's own file format.
//!
//! The values are 32-bit floats, since a FAISS quantiser has one scale a dimension and ours has one a vector: any other
//! index would be of other vectors. All numbers are little-endian. The layout is that of `write_index` in FAISS's
//! `impl/index_write.cpp`; whoever wants fewer bytes builds an index of another kind from this one.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{ExportError, Exported, Rows, Unfinished, each_row, write_line, writing};
use crate::archive::Archive;

/// FAISS's number for the inner product.
const INNER_PRODUCT: i32 = 0;
/// A field that FAISS writes and does not use.
const UNUSED: i64 = 1 << 20;

/// Writes the index to `out`, and what its ids are of to `out.jsonl`.
pub(super) fn write(archive: &Archive, rows: &Rows, out: &Path) -> Result<Exported, ExportError> {
    let mut lines = out.as_os_str().to_owned();
    lines.push(".jsonl");
    let lines = PathBuf::from(lines);
    let (mut index, mut described_file) = (Unfinished::create(out)?, Unfinished::create(&lines)?);
    let (count, dimension) = (rows.count(), rows.dimension);
    write_head(&mut index.out, count, dimension).map_err(writing(out))?;
    let mut ids: Vec<i64> = Vec::with_capacity(count as usize);
    each_row(archive, rows, |described, vector| {
        ids.push(i64::from(described.number));
        let values = vector.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        index.out.write_all(&values).map_err(writing(out))?;
        write_line(&mut described_file.out, described).map_err(writing(&lines))
    })?;
    write_ids(&mut index.out, &ids).map_err(writing(out))?;
    described_file.finish()?;
    index.finish()?;
    rows.exported(vec![out.to_owned(), lines])
}

/// Everything before the values.
fn write_head(out: &mut dyn Write, count: u64, dimension: usize) -> io::Result<()> {
    write_header(out, b"IxMp", count, dimension)?;
    write_header(out, b"IxFI", count, dimension)?;
    // The length of what follows, in units of four bytes.
    out.write_all(&(count * dimension as u64).to_le_bytes())
}

fn write_header(out: &mut dyn Write, kind: &[u8; 4], count: u64, dimension: usize) -> io::Result<()> {
    out.write_all(kind)?;
    out.write_all(&(dimension as i32).to_le_bytes())?;
    out.write_all(&(count as i64).to_le_bytes())?;
    out.write_all(&UNUSED.to_le_bytes())?;
    out.write_all(&UNUSED.to_le_bytes())?;
    // It is trained.
    out.write_all(&[1])?;
    out.write_all(&INNER_PRODUCT.to_le_bytes())
}

/// The ids, which end the file.
fn write_ids(out: &mut dyn Write, ids: &[i64]) -> io::Result<()> {
    out.write_all(&(ids.len() as u64).to_le_bytes())?;
    ids.iter().try_for_each(|id| out.write_all(&id.to_le_bytes()))
}
