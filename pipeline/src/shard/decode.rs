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
        let end_line: &UInt32Array = required(batch, "end_line")?;
        let before_blob: &BinaryArray = column(batch, "before_blob")?;
        let after_blob: &BinaryArray = column(batch, "after_blob")?;
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
                end_line: end_line.value(i),
                before_blob: before_blob.is_valid(i).then(|| object_id(before_blob.value(i))).transpose()?,
                after_blob: after_blob.is_valid(i).then(|| object_id(after_blob.value(i))).transpose()?,
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
        let end_line: &UInt32Array = required(batch, "end_line")?;
        for (i, (symbol, container)) in symbol.into_iter().zip(container).enumerate() {
            out.push(Self {
                blob: object_id(blob.value(i))?,
                chunk: chunk.value(i),
                symbol,
                container,
                start_line: start_line.value(i),
                end_line: end_line.value(i),
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
