//! The seven tables: their columns, as Arrow types, and how Parquet stores each.
//!
//! The types here are those that any reader gets from the Parquet file alone; no Arrow schema is embedded.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::manifest::FORMAT;

/// zstd's default level, for what is written while commits wait.
const QUICK_LEVEL: i32 = 3;
/// The level for what was merged, and will stay.
const THOROUGH_LEVEL: i32 = 9;
/// Bytes of a page before compression, which is as far as zstd looks back for repetition.
const PAGE_BYTES: usize = 1 << 20;
/// The same for texts, of which a few are read at a time, each with its page. Twice that would save 8 % of the bytes and
/// take twice as long to read one.
const TEXT_PAGE_BYTES: usize = 1 << 19;
/// Bytes of a dictionary. The default of 1 MiB is too little for the paths and symbols of a million edits, and past
/// the limit every value is written out.
const DICTIONARY_BYTES: usize = 8 << 20;
/// Rows of a row group in narrow tables.
const GROUP_ROWS: usize = 1 << 20;
/// Rows of a row group in tables with a text or a vector a row, of which the writer holds a group in memory.
const WIDE_GROUP_ROWS: usize = 1 << 16;

/// How hard to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    Quick,
    Thorough,
}

/// A table of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Commits,
    Edits,
    Chunks,
    Spans,
    Vectors,
    Clusters,
    Reviews,
}

impl Table {
    pub(super) const ALL: [Self; 7] =
        [Self::Commits, Self::Edits, Self::Chunks, Self::Spans, Self::Vectors, Self::Clusters, Self::Reviews];

    /// The name, which is also the folder's.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Commits => "commits",
            Self::Edits => "edits",
            Self::Chunks => "chunks",
            Self::Spans => "spans",
            Self::Vectors => "vectors",
            Self::Clusters => "clusters",
            Self::Reviews => "reviews",
        }
    }

    /// The columns that are written. `dimension` is the store's number of values a vector.
    pub(super) fn schema(self, dimension: u32) -> SchemaRef {
        self.schema_of(FORMAT, dimension)
    }

    /// The columns as a format has them.
    pub(super) fn schema_of(self, format: u64, dimension: u32) -> SchemaRef {
        let number = |name| Field::new(name, DataType::UInt32, false);
        let text = |name| Field::new(name, DataType::Utf8, false);
        let id = |name| Field::new(name, DataType::Binary, false);
        let float = |name| Field::new(name, DataType::Float32, false);
        let fixed = |name, width| Field::new(name, DataType::FixedSizeBinary(width), false);
        let optional = |field: Field| field.with_nullable(true);
        Arc::new(Schema::new(match self {
            Self::Commits => vec![
                number("number"),
                id("id"),
                Field::new("parents", DataType::List(Arc::new(id("element"))), false),
                text("author"),
                text("author_email"),
                Field::new("author_time", time(), false),
                Field::new("commit_time", time(), false),
                text("message"),
            ],
            Self::Edits if format == 2 => vec![
                number("commit"),
                text("path"),
                optional(text("symbol")),
                optional(text("kind")),
                text("change"),
                optional(number("before")),
                optional(number("after")),
                optional(text("before_path")),
                optional(text("before_symbol")),
                optional(float("similarity")),
                number("start_line"),
                number("end_line"),
                optional(id("before_blob")),
                optional(id("after_blob")),
                optional(text("skipped")),
            ],
            Self::Edits => vec![
                number("commit"),
                text("path"),
                optional(text("symbol")),
                optional(text("kind")),
                text("change"),
                optional(number("before")),
                optional(number("after")),
                optional(text("before_path")),
                optional(text("before_symbol")),
                optional(float("similarity")),
                number("start_line"),
                number("lines"),
                Field::new("blobs", DataType::List(Arc::new(optional(id("element")))), true),
                optional(text("skipped")),
            ],
            Self::Chunks => {
                vec![number("number"), fixed("id", 16), text("lang"), text("kind"), text("name"), text("text")]
            }
            Self::Spans => vec![
                id("blob"),
                number("chunk"),
                text("symbol"),
                text("container"),
                number("start_line"),
                number(if format == 2 { "end_line" } else { "lines" }),
            ],
            Self::Vectors => vec![
                number("chunk"),
                float("norm"),
                float("scale"),
                float("step"),
                // Manifests with more than 65,536 dimensions are refused, so the casts are exact.
                fixed("code", dimension.div_ceil(8) as i32),
                fixed("vector", dimension as i32),
            ],
            Self::Clusters => vec![
                text("shard"),
                number("first_row"),
                number("rows"),
                float("scale"),
                fixed("centre", dimension as i32),
            ],
            Self::Reviews => vec![
                Field::new("comment", DataType::Int64, false),
                number("pull"),
                text("author"),
                Field::new("created", time(), false),
                Field::new("updated", time(), false),
                text("link"),
                id("merge"),
                text("path"),
                Field::new("outdated", DataType::Boolean, false),
                text("text"),
                text("hunk"),
                float("scale"),
                fixed("vector", dimension as i32),
            ],
        }))
    }

    /// The columns as reading wants them: strings that repeat stay dictionaries, so that each is made once, and long
    /// ones get offsets of 64 bits, so that a batch of them cannot overflow.
    pub(super) fn read_fields(self, format: u64, dimension: u32) -> Fields {
        let retyped = |field: &Arc<Field>| match (field.data_type(), field.name().as_str()) {
            (DataType::Utf8, "text" | "message" | "hunk" | "link") => {
                Field::clone(field).with_data_type(DataType::LargeUtf8)
            }
            (DataType::Utf8, _) => Field::clone(field)
                .with_data_type(DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))),
            _ => Field::clone(field),
        };
        self.schema_of(format, dimension).fields().iter().map(retyped).collect()
    }

    /// Columns whose values repeat: a dictionary in each row group, then indices in runs or packed bits.
    fn dictionaries(self) -> &'static [&'static str] {
        match self {
            Self::Commits => &["author", "author_email"],
            // Both blobs of a row are in one column, for one dictionary: most stand before one edit and after another.
            Self::Edits => &[
                "path",
                "symbol",
                "kind",
                "change",
                "before_path",
                "before_symbol",
                "similarity",
                "blobs.list.element",
                "skipped",
            ],
            Self::Chunks => &["lang", "kind", "name"],
            Self::Spans => &["blob", "symbol", "container"],
            Self::Clusters => &["shard"],
            Self::Reviews => &["author", "path"],
            Self::Vectors => &[],
        }
    }

    /// Columns that ascend, or nearly: differences in packed bits.
    fn deltas(self) -> &'static [&'static str] {
        match self {
            Self::Commits | Self::Chunks => &["number"],
            Self::Edits => &["commit", "after"],
            // Not here: `chunk` and the lines of spans. Versions of a file repeat each other's numbers, which zstd
            // finds in whole bytes and not in packed bits.
            Self::Spans => &[],
            Self::Clusters => &["first_row"],
            Self::Reviews => &["comment"],
            // Read by position, so each value has its place.
            Self::Vectors => &[],
        }
    }

    /// Columns of numbers that are near to each other and repeat: the first bytes of all, then the second, and so on.
    fn splits(self) -> &'static [&'static str] {
        match self {
            Self::Spans => &["chunk", "start_line", "lines"],
            Self::Edits => &["before", "start_line", "lines"],
            Self::Commits | Self::Chunks | Self::Vectors | Self::Clusters | Self::Reviews => &[],
        }
    }

    /// Columns whose least and greatest value help no reader.
    fn without_statistics(self) -> &'static [&'static str] {
        match self {
            Self::Commits => &["message"],
            Self::Chunks => &["text"],
            Self::Vectors => &["vector", "code", "step", "norm", "scale"],
            Self::Clusters => &["scale", "centre"],
            Self::Reviews => &["text", "hunk", "link", "scale", "vector"],
            Self::Edits | Self::Spans => &[],
        }
    }

    /// Bytes of a shard that merging at the end of a run leaves alone. Large enough that a year of nights makes few
    /// shards, and small enough that a first run of 100,000 texts rewrites each row once at most.
    pub(super) fn full_bytes(self) -> u64 {
        match self {
            Self::Chunks | Self::Vectors | Self::Clusters | Self::Reviews => 8 << 20,
            Self::Commits | Self::Edits | Self::Spans => 2 << 20,
        }
    }

    /// The most rows of a shard that compaction makes, which are in memory while it does: some 400 MB of text.
    pub(super) fn most_rows(self) -> u64 {
        match self {
            Self::Chunks | Self::Vectors | Self::Clusters | Self::Reviews => 1 << 18,
            Self::Commits | Self::Edits | Self::Spans => 1 << 22,
        }
    }

    /// How Parquet stores the table.
    pub(super) fn properties(self, effort: Effort) -> WriterProperties {
        let level = if effort == Effort::Quick { QUICK_LEVEL } else { THOROUGH_LEVEL };
        let zstd = ZstdLevel::try_new(level).expect("because the level is one of zstd's 22");
        let wide = matches!(self, Self::Chunks | Self::Vectors);
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(zstd))
            .set_dictionary_enabled(false)
            .set_dictionary_page_size_limit(DICTIONARY_BYTES)
            .set_data_page_size_limit(PAGE_BYTES)
            .set_data_page_row_count_limit(GROUP_ROWS)
            .set_max_row_group_row_count(Some(if wide { WIDE_GROUP_ROWS } else { GROUP_ROWS }))
            .set_statistics_enabled(EnabledStatistics::Chunk);
        for column in self.dictionaries() {
            let path: Vec<String> = column.split('.').map(str::to_owned).collect();
            properties = properties.set_column_dictionary_enabled(ColumnPath::from(path), true);
        }
        for column in self.deltas() {
            properties = properties.set_column_encoding(ColumnPath::from(*column), Encoding::DELTA_BINARY_PACKED);
        }
        for column in self.splits() {
            properties = properties.set_column_encoding(ColumnPath::from(*column), Encoding::BYTE_STREAM_SPLIT);
        }
        for column in self.without_statistics() {
            properties = properties.set_column_statistics_enabled(ColumnPath::from(*column), EnabledStatistics::None);
        }
        properties = properties.set_column_data_page_size_limit(ColumnPath::from("text"), TEXT_PAGE_BYTES);
        if self == Self::Vectors {
            // A search reads the rows that it wants by their position in the file. Quantised values are close to noise:
            // zstd saved 9 % of them, and made reading them 2.6 times as long.
            properties = properties.set_compression(Compression::UNCOMPRESSED);
        }
        properties.build()
    }
}

/// Parquet has no seconds, so times are milliseconds.
fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}
