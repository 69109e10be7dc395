//! Pages of a shard, looked at before they are decoded.
//!
//! The hash of a shard protects against damage, not against a store that somebody made up, hash and all. Parquet's
//! decoders trust what a page states: two encodings of strings allocate as many lengths as the page claims, which
//! can exceed any memory and abort the process. Pages come through here so that only the encodings of this format,
//! with counts that fit the column, reach a decoder.

use std::sync::Arc;

use parquet::arrow::arrow_reader::RowGroups;
use parquet::basic::{Encoding, Type};
use parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::serialized_reader::SerializedPageReader;

use super::bytes::ShardBytes;
use super::headers::check_headers;

/// The row groups of one open shard.
pub(super) struct CheckedRowGroups {
    pub(super) file: Arc<ShardBytes>,
    pub(super) metadata: Arc<ParquetMetaData>,
}

impl RowGroups for CheckedRowGroups {
    fn num_rows(&self) -> usize {
        // Compared with the manifest's count, a u32, before any page is read.
        self.metadata.file_metadata().num_rows() as usize
    }

    fn column_chunks(&self, column: usize) -> Result<Box<dyn PageIterator>> {
        let (file, metadata) = (Arc::clone(&self.file), Arc::clone(&self.metadata));
        Ok(Box::new(CheckedColumn { file, metadata, column, group: 0 }))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(self.metadata.row_groups().iter())
    }

    fn metadata(&self) -> &ParquetMetaData {
        &self.metadata
    }
}

/// One column through all row groups.
struct CheckedColumn {
    file: Arc<ShardBytes>,
    metadata: Arc<ParquetMetaData>,
    column: usize,
    group: usize,
}

impl Iterator for CheckedColumn {
    type Item = Result<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        let group = self.metadata.row_groups().get(self.group)?;
        self.group += 1;
        let column = group.column(self.column);
        let (start, length) = column.byte_range();
        let expanded = column.uncompressed_size().max(0) as u64;
        if let Err(why) = check_headers(&self.file, start, length, expanded) {
            return Some(Err(ParquetError::General(why)));
        }
        let pages = SerializedPageReader::new(Arc::clone(&self.file), column, group.num_rows() as usize, None);
        Some(pages.map(|pages| {
            let checked = CheckedPages {
                pages,
                physical: column.column_type(),
                values_left: column.num_values().max(0) as u64,
                bytes_left: column.uncompressed_size().max(0) as u64,
            };
            Box::new(checked) as Box<dyn PageReader>
        }))
    }
}

impl PageIterator for CheckedColumn {}

/// The pages of one column in one row group.
struct CheckedPages {
    pages: SerializedPageReader<ShardBytes>,
    physical: Type,
    /// Values that the column chunk states and no page has brought yet.
    values_left: u64,
    /// The same for bytes after decompression. The statement includes the pages' headers, so it is an upper bound.
    bytes_left: u64,
}

impl CheckedPages {
    fn check(&mut self, page: &Page) -> std::result::Result<(), &'static str> {
        let bytes = page.buffer().len() as u64;
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or("its pages hold more bytes than it states")?;
        match page {
            Page::DictionaryPage { num_values, encoding, .. } => {
                // Every value of a dictionary takes four bytes at least: a length, or a number.
                if u64::from(*num_values) > bytes / 4 {
                    return Err("a dictionary states more values than it has bytes for");
                }
                match encoding {
                    Encoding::PLAIN | Encoding::PLAIN_DICTIONARY => Ok(()),
                    _ => Err("a dictionary has an encoding that is not of this format"),
                }
            }
            Page::DataPage { num_values, encoding, .. } => {
                self.values_left = self
                    .values_left
                    .checked_sub(u64::from(*num_values))
                    .ok_or("its pages hold more values than it states")?;
                match (encoding, self.physical) {
                    (Encoding::PLAIN | Encoding::RLE_DICTIONARY, _)
                    | (Encoding::DELTA_BINARY_PACKED | Encoding::BYTE_STREAM_SPLIT, Type::INT32 | Type::INT64) => {
                        Ok(())
                    }
                    _ => Err("a page has an encoding that is not of this format"),
                }
            }
            Page::DataPageV2 { .. } => Err("a page has a version that is not of this format"),
        }
    }
}

impl PageReader for CheckedPages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.pages.get_next_page()?;
        if let Some(page) = &page {
            self.check(page).map_err(|why| ParquetError::General(why.to_owned()))?;
        }
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.pages.at_record_boundary()
    }
}

impl Iterator for CheckedPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}
