//! Parquet for Pinecone's bulk import: `id`, `values`, `metadata`. It is no table of a store, and is here since this is
//! the room of Parquet.

use std::io::{self, Write};
use std::sync::Arc;

use arrow_array::builder::{Float32Builder, ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

/// Records that are encoded at a time.
const BATCH_ROWS: usize = 1024;

/// Writes records for Pinecone's bulk import.
pub struct PineconeWriter<W: Write + Send> {
    writer: ArrowWriter<W>,
    schema: Arc<Schema>,
    ids: StringBuilder,
    values: ListBuilder<Float32Builder>,
    metadata: StringBuilder,
    rows: usize,
}

impl<W: Write + Send> PineconeWriter<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// What writing to `out` gives.
    pub fn new(out: W) -> io::Result<Self> {
        let element = Arc::new(Field::new("element", DataType::Float32, true));
        let schema = Arc::new(Schema::new(vec![
            Field::new("id", DataType::Utf8, false),
            Field::new("values", DataType::List(Arc::clone(&element)), false),
            Field::new("metadata", DataType::Utf8, true),
        ]));
        let zstd = ZstdLevel::try_new(3).expect("because the level is one of zstd's 22");
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(zstd)).build();
        let writer = ArrowWriter::try_new(out, Arc::clone(&schema), Some(properties))?;
        let values = ListBuilder::new(Float32Builder::new()).with_field(element);
        Ok(Self { writer, schema, ids: StringBuilder::new(), values, metadata: StringBuilder::new(), rows: 0 })
    }

    /// Adds a record; `metadata` is a flat JSON object.
    ///
    /// # Errors
    /// As [`PineconeWriter::new`].
    pub fn push(&mut self, id: &str, values: &[f32], metadata: &str) -> io::Result<()> {
        self.ids.append_value(id);
        self.values.values().append_slice(values);
        self.values.append(true);
        self.metadata.append_value(metadata);
        self.rows += 1;
        if self.rows == BATCH_ROWS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.rows = 0;
        let columns: Vec<ArrayRef> =
            vec![Arc::new(self.ids.finish()), Arc::new(self.values.finish()), Arc::new(self.metadata.finish())];
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(io::Error::other)?;
        Ok(self.writer.write(&batch)?)
    }

    /// Ends the file.
    ///
    /// # Errors
    /// As [`PineconeWriter::new`].
    pub fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.writer.close()?;
        Ok(())
    }
}
