//! Arrow batches → rows, one function a table, with strings shared.
//!
//! A batch may hold any columns: each is asked for by name and type, and what is missing or null where it must not
//! be is an error in words, for the reader to put the file's name to.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    Array, BinaryArray, BooleanArray, DictionaryArray, FixedSizeBinaryArray, Float32Array, Int64Array,
    LargeStringArray, ListArray, RecordBatch, StringArray, TimestampMillisecondArray, UInt32Array,
};

use super::encode::Encode;
use super::ids::{ChunkId, ObjectId};
use super::rows::{Change, ChunkHead, ChunkRow, ClusterRow, CommitRow, EditRow, ReviewRow, SpanRow};

/// A row that can be read back whole.
pub(super) trait Decode: Encode {
    /// Appends the batch's rows to `out`.
    fn decode(batch: &RecordBatch, strings: &mut Strings, out: &mut Vec<Self>) -> Result<(), String>;
}

/// Strings that were met before, so that equal ones share one allocation.
#[derive(Default)]
pub(super) struct Strings {
    known: HashSet<Arc<str>>,
    /// For each column the dictionary of its last batch. Batches of one row group share their dictionary, so most
    /// batches look nothing up.
    columns: HashMap<&'static str, Dictionary>,
}

/// A dictionary of Parquet, with the strings already made of it.
struct Dictionary {
    values: StringArray,
    made: Vec<Option<Arc<str>>>,
}

impl Dictionary {
    fn of(values: &StringArray) -> Self {
        Self { values: values.clone(), made: vec![None; values.len()] }
    }
}

impl Strings {
    fn share(known: &mut HashSet<Arc<str>>, text: &str) -> Arc<str> {
        if let Some(shared) = known.get(text) {
            return Arc::clone(shared);
        }
        let shared: Arc<str> = text.into();
        known.insert(Arc::clone(&shared));
        shared
    }

    /// The values of a column of repeated strings, one a row.
    pub(super) fn column(&mut self, batch: &RecordBatch, name: &'static str) -> Result<Vec<Option<Arc<str>>>, String> {
        let array: &DictionaryArray<Int32Type> = column(batch, name)?;
        let values = array.values().as_any().downcast_ref::<StringArray>().ok_or_else(|| mistyped(name))?;
        let held = self.columns.entry(name).or_insert_with(|| Dictionary::of(values));
        // The values are held, so their memory cannot have been given to other ones in the meantime.
        let same = held.values.len() == values.len()
            && std::ptr::eq(held.values.value_offsets().as_ptr(), values.value_offsets().as_ptr());
        if !same {
            *held = Dictionary::of(values);
        }
        let mut strings = Vec::with_capacity(array.len());
        for key in array.keys() {
            let Some(key) = key else {
                strings.push(None);
                continue;
            };
            let key = key as usize;
            let slot = held.made.get_mut(key).ok_or_else(|| format!("column {name} points outside its dictionary"))?;
            let text = slot.get_or_insert_with(|| Self::share(&mut self.known, values.value(key)));
            strings.push(Some(Arc::clone(text)));
        }
        Ok(strings)
    }

    /// The same for a column that has no nulls.
    fn required(&mut self, batch: &RecordBatch, name: &'static str) -> Result<Vec<Arc<str>>, String> {
        self.column(batch, name)?.into_iter().map(|text| text.ok_or_else(|| null(name))).collect()
    }
}

impl Decode for CommitRow {
    fn decode(batch: &RecordBatch, strings: &mut Strings, out: &mut Vec<Self>) -> Result<(), String> {
        let number: &UInt32Array = required(batch, "number")?;
        let id: &BinaryArray = required(batch, "id")?;
        let parents: &ListArray = required(batch, "parents")?;
        let author = strings.required(batch, "author")?;
        let author_email = strings.required(batch, "author_email")?;
        let author_time: &TimestampMillisecondArray = required(batch, "author_time")?;
        let commit_time: &TimestampMillisecondArray = required(batch, "commit_time")?;
        let message: &LargeStringArray = required(batch, "message")?;
        for i in 0..batch.num_rows() {
            let list = parents.value(i);
            let list = list.as_any().downcast_ref::<BinaryArray>().ok_or_else(|| mistyped("parents"))?;
            out.push(Self {
                number: number.value(i),
                id: object_id(id.value(i))?,
                parents: list.iter().map(|parent| object_id(parent.unwrap_or_default())).collect::<Result<_, _>>()?,
                author: author[i].to_string(),
                author_email: author_email[i].to_string(),
                author_time: author_time.value(i).div_euclid(1000),
                commit_time: commit_time.value(i).div_euclid(1000),
                message: message.value(i).to_owned(),
            });
        }
        Ok(())
    }
}

impl Decode for EditRow {
    fn decode(batch: &RecordBatch, strings: &mut Strings, out: &mut Vec<Self>) -> Result<(), String> {
        let commit: &UInt32Array = required(batch, "commit")?;
        let mut path = strings.required(batch, "path")?;
        let mut symbol = strings.column(batch, "symbol")?;
        let mut kind = strings.column(batch, "kind")?;
        let change = strings.required(batch, "change")?;
        let before: &UInt32Array = column(batch, "before")?;
        let after: &UInt32Array = column(batch, "after")?;
        let mut before_path = strings.column(batch, "before_path")?;
        let mut before_symbol = strings.column(batch, "before_symbol")?;
        let similarity: &Float32Array = column(batch, "similarity")?;
        let start_line: &UInt32Array = required(batch, "start_line")?;
        let end_line = last_lines(batch, start_line)?;
        let blobs = decode_blobs(batch)?;
        let mut skipped = strings.column(batch, "skipped")?;
        for i in 0..batch.num_rows() {
            out.push(Self {
                commit: commit.value(i),
                path: std::mem::take(&mut path[i]),
                symbol: symbol[i].take(),
                kind: kind[i].take(),
                change: Change::from_word(&change[i]).ok_or_else(|| format!("no change is called {:?}", change[i]))?,
                before: before.is_valid(i).then(|| before.value(i)),
                after: after.is_valid(i).then(|| after.value(i)),
                before_path: before_path[i].take(),
                before_symbol: before_symbol[i].take(),
                similarity: similarity.is_valid(i).then(|| similarity.value(i)),
                start_line: start_line.value(i),
                end_line: end_line[i],
                before_blob: blobs[i][0],
                after_blob: blobs[i][1],
                skipped: skipped[i].take(),
            });
        }
        Ok(())
    }
}

impl Decode for ChunkRow {
    fn decode(batch: &RecordBatch, strings: &mut Strings, out: &mut Vec<Self>) -> Result<(), String> {
        let text: &LargeStringArray = required(batch, "text")?;
        let mut heads = Vec::with_capacity(batch.num_rows());
        decode_chunk_heads(batch, strings, &mut heads)?;
        for (i, head) in heads.into_iter().enumerate() {
            let ChunkHead { number, id, lang, kind, name } = head;
            out.push(Self { number, id, lang, kind, name, text: text.value(i).to_owned() });
        }
        Ok(())
    }
}

impl Decode for SpanRow {
    fn decode(batch: &RecordBatch, strings: &mut Strings, out: &mut Vec<Self>) -> Result<(), String> {
        let blob: &BinaryArray = required(batch, "blob")?;
        let chunk: &UInt32Array = required(batch, "chunk")?;
        let symbol = strings.required(batch, "symbol")?;
        let container = strings.required(batch, "container")?;
        let start_line: &UInt32Array = required(batch, "start_line")?;
        let end_line = last_lines(batch, start_line)?;
        for (i, (symbol, container)) in symbol.into_iter().zip(container).enumerate() {
            out.push(Self {
                blob: object_id(blob.value(i))?,
                chunk: chunk.value(i),
                symbol,
                container,
                start_line: start_line.value(i),
                end_line: end_line[i],
            });
        }
        Ok(())
    }
}

impl Decode for ClusterRow {
    fn decode(batch: &RecordBatch, strings: &mut Strings, out: &mut Vec<Self>) -> Result<(), String> {
        let shard = strings.required(batch, "shard")?;
        let first_row: &UInt32Array = required(batch, "first_row")?;
        let rows: &UInt32Array = required(batch, "rows")?;
        let scale: &Float32Array = required(batch, "scale")?;
        let centre: &FixedSizeBinaryArray = required(batch, "centre")?;
        for (i, shard) in shard.into_iter().enumerate() {
            out.push(Self {
                shard,
                first_row: first_row.value(i),
                rows: rows.value(i),
                scale: scale.value(i),
                centre: centre.value(i).iter().map(|byte| *byte as i8).collect(),
            });
        }
        Ok(())
    }
}

impl Decode for ReviewRow {
    fn decode(batch: &RecordBatch, strings: &mut Strings, out: &mut Vec<Self>) -> Result<(), String> {
        let comment: &Int64Array = required(batch, "comment")?;
        let pull: &UInt32Array = required(batch, "pull")?;
        let author = strings.required(batch, "author")?;
        let created: &TimestampMillisecondArray = required(batch, "created")?;
        let updated: &TimestampMillisecondArray = required(batch, "updated")?;
        let link: &LargeStringArray = required(batch, "link")?;
        let merge: &BinaryArray = required(batch, "merge")?;
        let path = strings.required(batch, "path")?;
        let outdated: &BooleanArray = required(batch, "outdated")?;
        let text: &LargeStringArray = required(batch, "text")?;
        let hunk: &LargeStringArray = required(batch, "hunk")?;
        let scale: &Float32Array = required(batch, "scale")?;
        let vector: &FixedSizeBinaryArray = required(batch, "vector")?;
        for (i, (author, path)) in author.into_iter().zip(path).enumerate() {
            out.push(Self {
                comment: comment.value(i),
                pull: pull.value(i),
                author,
                created: created.value(i).div_euclid(1000),
                updated: updated.value(i).div_euclid(1000),
                link: link.value(i).to_owned(),
                merge: object_id(merge.value(i))?,
                path,
                outdated: outdated.value(i),
                text: text.value(i).to_owned(),
                hunk: hunk.value(i).to_owned(),
                scale: scale.value(i),
                vector: vector.value(i).iter().map(|byte| *byte as i8).collect(),
            });
        }
        Ok(())
    }
}

/// Chunks without their text.
pub(super) fn decode_chunk_heads(
    batch: &RecordBatch,
    strings: &mut Strings,
    out: &mut Vec<ChunkHead>,
) -> Result<(), String> {
    let lang = strings.required(batch, "lang")?;
    let kind = strings.required(batch, "kind")?;
    let name = strings.required(batch, "name")?;
    let mut ids = Vec::with_capacity(batch.num_rows());
    decode_chunk_ids(batch, &mut ids)?;
    for (((number, id), lang), (kind, name)) in ids.into_iter().zip(lang).zip(kind.into_iter().zip(name)) {
        out.push(ChunkHead { number, id, lang, kind, name });
    }
    Ok(())
}

/// Appends each chunk's number and id.
pub(super) fn decode_chunk_ids(batch: &RecordBatch, out: &mut Vec<(u32, ChunkId)>) -> Result<(), String> {
    let number: &UInt32Array = required(batch, "number")?;
    let id: &FixedSizeBinaryArray = required(batch, "id")?;
    for i in 0..batch.num_rows() {
        let id = id.value(i).try_into().map_err(|_| "a chunk id is not of 16 bytes".to_owned())?;
        out.push((number.value(i), ChunkId(id)));
    }
    Ok(())
}

/// The last line of each row: its first line and how many there are, or, in format 2, the line itself.
fn last_lines(batch: &RecordBatch, first: &UInt32Array) -> Result<Vec<u32>, String> {
    if batch.column_by_name("lines").is_none() {
        return Ok(required::<UInt32Array>(batch, "end_line")?.values().to_vec());
    }
    let lines: &UInt32Array = required(batch, "lines")?;
    let last = |(first, lines): (&u32, &u32)| match (first, lines) {
        (0, 0) => Ok(0),
        (0, _) | (_, 0) => Err(format!("{lines} lines from line {first} on")),
        _ => first.checked_add(lines - 1).ok_or_else(|| format!("{lines} lines from line {first} on")),
    };
    first.values().iter().zip(lines.values()).map(last).collect()
}

/// The blobs before and after each edit: in one column, or, in format 2, in one each.
pub(super) fn decode_blobs(batch: &RecordBatch) -> Result<Vec<[Option<ObjectId>; 2]>, String> {
    let some = |array: &BinaryArray, at: usize| array.is_valid(at).then(|| object_id(array.value(at))).transpose();
    let rows = 0..batch.num_rows();
    if batch.column_by_name("blobs").is_none() {
        let (before, after): (&BinaryArray, &BinaryArray) =
            (column(batch, "before_blob")?, column(batch, "after_blob")?);
        return rows.map(|row| Ok([some(before, row)?, some(after, row)?])).collect();
    }
    let blobs: &ListArray = column(batch, "blobs")?;
    let sides: &BinaryArray = blobs.values().as_any().downcast_ref().ok_or_else(|| mistyped("blobs"))?;
    rows.map(|row| match (blobs.is_valid(row), blobs.value_offsets()[row] as usize, blobs.value_length(row)) {
        (false, ..) => Ok([None, None]),
        (true, at, 2) => Ok([some(sides, at)?, some(sides, at + 1)?]),
        (true, _, length) => Err(format!("{length} blobs of an edit, which has two sides")),
    })
    .collect()
}

/// A column by name and type.
pub(super) fn column<'a, A: 'static>(batch: &'a RecordBatch, name: &str) -> Result<&'a A, String> {
    let array = batch.column_by_name(name).ok_or_else(|| format!("column {name} is missing"))?;
    array.as_any().downcast_ref::<A>().ok_or_else(|| mistyped(name))
}

/// A column by name and type that has no nulls.
pub(super) fn required<'a, A: Array + 'static>(batch: &'a RecordBatch, name: &str) -> Result<&'a A, String> {
    let array: &A = column(batch, name)?;
    if array.null_count() > 0 { Err(null(name)) } else { Ok(array) }
}

/// An object id from a store, whose length is not known to be right.
pub(super) fn object_id(bytes: &[u8]) -> Result<ObjectId, String> {
    ObjectId::from_bytes(bytes).map_err(|error| error.to_string())
}

fn mistyped(name: &str) -> String {
    format!("column {name} has another type")
}

fn null(name: &str) -> String {
    format!("column {name} has no value in some row")
}

#[cfg(test)]
mod tests {
    use arrow_array::ArrayRef;
    use arrow_array::builder::{BinaryBuilder, ListBuilder};

    use super::*;

    #[test]
    fn lines_that_no_file_has_are_refused() {
        let read = |first: u32, lines: u32| {
            let first = UInt32Array::from(vec![first]);
            let columns: [(&str, ArrayRef); 1] = [("lines", Arc::new(UInt32Array::from(vec![lines])))];
            last_lines(&RecordBatch::try_from_iter(columns).unwrap(), &first)
        };
        assert_eq!(read(0, 0), Ok(vec![0]));
        assert_eq!((read(7, 1), read(7, 3)), (Ok(vec![7]), Ok(vec![9])));
        assert_eq!(read(2, u32::MAX - 1), Ok(vec![u32::MAX]));
        for (first, lines) in [(0, 1), (7, 0), (2, u32::MAX), (u32::MAX, 2)] {
            assert!(read(first, lines).unwrap_err().contains(&format!("from line {first} on")), "{first} {lines}");
        }
    }

    #[test]
    fn an_edit_has_two_blobs_or_none() {
        let id = ObjectId::from_bytes(&[7; 20]).unwrap();
        let read = |sides: &[Option<&[u8]>]| {
            let mut blobs = ListBuilder::new(BinaryBuilder::new());
            blobs.append(false);
            sides.iter().for_each(|side| blobs.values().append_option(*side));
            blobs.append(true);
            let columns: [(&str, ArrayRef); 1] = [("blobs", Arc::new(blobs.finish()))];
            decode_blobs(&RecordBatch::try_from_iter(columns).unwrap())
        };
        let some: Option<&[u8]> = Some(&[7; 20]);
        assert_eq!(read(&[some, None]), Ok(vec![[None, None], [Some(id), None]]));
        assert_eq!(read(&[None, some]), Ok(vec![[None, None], [None, Some(id)]]));
        for sides in [&[][..], &[some], &[some, None, None]] {
            assert!(read(sides).unwrap_err().contains("two sides"), "{sides:?}");
        }
        assert!(read(&[Some(&[7; 3]), None]).is_err());
    }
}
