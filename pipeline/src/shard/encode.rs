//! Rows → Arrow batches, one function a table.

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, FixedSizeBinaryBuilder, ListBuilder};
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Float32Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
    UInt32Array,
};
use arrow_schema::{ArrowError, DataType, Field};

use super::clusters::code;
use super::rows::{ChunkRow, ClusterRow, CommitRow, EditRow, ReviewRow, SpanRow, VectorRow};
use super::schema::Table;

/// The first and the last second of the years 1 to 9999, since 1970.
const TIMES: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// A row that a table can take.
pub(super) trait Encode: Sized + Sync {
    /// The table.
    const TABLE: Table;

    /// The columns of some rows, in the order of the schema.
    fn columns(rows: &[Self], dimension: u32) -> Result<Vec<ArrayRef>, ArrowError>;

    /// Puts rows into the order in which a shard holds them.
    fn order(rows: &mut Vec<Self>);

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

    fn order(rows: &mut Vec<Self>) {
        rows.sort_by_key(|row| row.number);
    }

    fn weight(&self) -> usize {
        self.author.len() + self.author_email.len() + self.message.len() + 32 * self.parents.len()
    }
}

impl Encode for EditRow {
    const TABLE: Table = Table::Edits;

    fn columns(rows: &[Self], _: u32) -> Result<Vec<ArrayRef>, ArrowError> {
        let mut blobs =
            ListBuilder::new(BinaryBuilder::new()).with_field(Field::new("element", DataType::Binary, true));
        for row in rows {
            let sides = [&row.before_blob, &row.after_blob];
            let is_any = sides.iter().any(|side| side.is_some());
            if is_any {
                sides.into_iter().for_each(|side| blobs.values().append_option(side.as_ref().map(|id| id.as_bytes())));
            }
            blobs.append(is_any);
        }
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
            numbers(rows.iter().map(|row| lines(row.start_line, row.end_line))),
            Arc::new(blobs.finish()),
            optional_texts(rows.iter().map(|row| row.skipped.as_deref())),
        ])
    }

    fn order(_: &mut Vec<Self>) {
        // They come in order of commit, and those of one commit in an order of their own.
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

    fn order(rows: &mut Vec<Self>) {
        // Versions of one node become neighbours, which zstd finds to repeat each other: half the bytes. Nodes of one name
        // are told apart by their first lines, which takes another seventh.
        fn place(row: &ChunkRow) -> (&str, &str, &str, &str, u32) {
            (&*row.lang, &*row.kind, &*row.name, row.text.split('\n').next().unwrap_or_default(), row.number)
        }
        rows.sort_by(|one, two| place(one).cmp(&place(two)));
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
            numbers(rows.iter().map(|row| lines(row.start_line, row.end_line))),
        ])
    }

    fn order(rows: &mut Vec<Self>) {
        order_spans(rows);
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

    /// They come cluster by cluster, and stay so.
    fn order(_: &mut Vec<Self>) {}

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

    fn order(rows: &mut Vec<Self>) {
        rows.sort_by(|one, two| (&one.shard, one.first_row).cmp(&(&two.shard, two.first_row)));
    }

    fn weight(&self) -> usize {
        self.centre.len()
    }
}

impl Encode for ReviewRow {
    const TABLE: Table = Table::Reviews;

    fn columns(rows: &[Self], dimension: u32) -> Result<Vec<ArrayRef>, ArrowError> {
        Ok(vec![
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.comment))),
            numbers(rows.iter().map(|row| row.pull)),
            texts(rows.iter().map(|row| &*row.author)),
            times(rows.iter().map(|row| row.created)),
            times(rows.iter().map(|row| row.updated)),
            texts(rows.iter().map(|row| row.link.as_str())),
            Arc::new(BinaryArray::from_iter_values(rows.iter().map(|row| row.merge.as_bytes()))),
            texts(rows.iter().map(|row| &*row.path)),
            Arc::new(rows.iter().map(|row| Some(row.outdated)).collect::<BooleanArray>()),
            texts(rows.iter().map(|row| row.text.as_str())),
            texts(rows.iter().map(|row| row.hunk.as_str())),
            floats(rows.iter().map(|row| row.scale)),
            values(rows.iter().map(|row| &*row.vector), dimension)?,
        ])
    }

    fn order(rows: &mut Vec<Self>) {
        rows.sort_by_key(|row| row.comment);
    }

    fn weight(&self) -> usize {
        self.author.len() + self.link.len() + self.path.len() + self.text.len() + self.hunk.len() + self.vector.len()
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

/// How many lines there are from the first to the last one; none where there is no first one, as for a whole file. Versions
/// of a node that stand in another place have as many.
fn lines(first: u32, last: u32) -> u32 {
    if first == 0 { 0 } else { last.saturating_sub(first).saturating_add(1) }
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

/// Puts the blobs of spans into the order of their first chunk, and leaves the spans of a blob as they are. Versions
/// of one file mostly begin with the same chunk, so they become neighbours, and compression finds what they repeat
/// however long the history between them: 2.9 bytes a row, against 3.4 in order of history and 4.5 in order of id.
fn order_spans(spans: &mut [SpanRow]) {
    let mut order: Vec<(u32, u32)> = Vec::with_capacity(spans.len());
    for (at, span) in (0_u32..).zip(spans.iter()) {
        let first = match order.last() {
            Some(last) if spans[at as usize - 1].blob == span.blob => last.0,
            _ => span.chunk,
        };
        order.push((first, at));
    }
    order.sort_unstable();
    // The rows take their places in circles, without a second list of them.
    let mut source: Vec<u32> = order.into_iter().map(|(_, at)| at).collect();
    for start in 0..source.len() {
        let mut place = start;
        while source[place] as usize != start {
            let from = source[place] as usize;
            spans.swap(place, from);
            source[place] = place as u32;
            place = from;
        }
        source[place] = place as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::super::ids::{ChunkId, ObjectId};
    use super::*;

    #[test]
    fn versions_of_a_file_become_neighbours() {
        let span = |blob: u8, chunk| SpanRow {
            blob: ObjectId::from_bytes(&[blob; 20]).unwrap(),
            chunk,
            symbol: "f".into(),
            container: "".into(),
            start_line: 1,
            end_line: 2,
        };
        let mut spans = vec![span(9, 5), span(9, 1), span(1, 2), span(1, 7), span(8, 5), span(8, 0)];
        order_spans(&mut spans);
        let order: Vec<_> = spans.iter().map(|span| (span.blob.as_bytes()[0], span.chunk)).collect();
        assert_eq!(order, [(1, 2), (1, 7), (9, 5), (9, 1), (8, 5), (8, 0)]);
    }

    #[test]
    fn versions_of_a_node_become_neighbours() {
        let chunk = |number, name: &str, kind: &str| ChunkRow {
            number,
            id: ChunkId([0; 16]),
            lang: "rust".into(),
            kind: kind.into(),
            name: name.into(),
            text: String::new(),
        };
        let mut chunks = vec![
            chunk(1, "b", "function"),
            chunk(2, "a", "function"),
            chunk(3, "b", "const"),
            chunk(4, "b", "function"),
            chunk(5, "a", "function"),
        ];
        ChunkRow::order(&mut chunks);
        assert_eq!(chunks.iter().map(|chunk| chunk.number).collect::<Vec<_>>(), [3, 2, 5, 1, 4]);
        let text = |number, text: &str| ChunkRow { text: text.to_owned(), ..chunk(number, "new", "function") };
        let mut chunks = vec![
            text(1, "fn new() -> Zone {\n1"),
            text(2, "fn new() -> Area {\n2"),
            text(3, "fn new() -> Zone {\n0"),
            text(4, "fn new() -> Area {"),
        ];
        ChunkRow::order(&mut chunks);
        assert_eq!(chunks.iter().map(|chunk| chunk.number).collect::<Vec<_>>(), [2, 4, 1, 3]);
    }
}
