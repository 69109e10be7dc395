//! Export: a store's vectors, with what they are of, in the files of other people's tools.
//!
//! Every unique text of a store is a row: its vector, and where it stood first. Rows come in the order in which texts
//! are stored, one shard in memory at a time. How each tool takes its file in is told in `docs/export.md`.

mod faiss;
mod npy;
mod weaviate;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::archive::Archive;
use crate::shard::{ChunkId, ChunkRow, PineconeWriter, StoreError, Vectors};

/// What to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One file that `faiss.read_index` opens, and JSON lines beside it that say what its ids are of.
    Faiss,
    /// One Parquet file for Pinecone's bulk import.
    Pinecone,
    /// One JSON object a line, each an object of Weaviate's batch interface.
    Weaviate,
    /// A folder with `vectors.npy`, `ids.npy` and `chunks.jsonl`.
    Npy,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// Texts, each with its vector.
    pub rows: u64,
    /// Texts that are not among them, since the format takes no vector of zeros.
    pub left_out: u64,
    /// Values a vector.
    pub dimension: usize,
    /// The files.
    pub files: Vec<PathBuf>,
    /// Their bytes.
    pub bytes: u64,
}

/// Why there is no export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What is known of one exported text, beside its vector.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Described<'a> {
    /// The id of its vector where ids are numbers.
    number: u32,
    /// The chunk's id, in hexadecimal.
    chunk: String,
    lang: &'a str,
    kind: &'a str,
    name: &'a str,
    /// Where it stood first; empty for a text that no edit brought.
    path: &'a str,
    symbol: &'a str,
    lines: [u32; 2],
    commit: String,
    /// When that commit was made, in seconds since 1970.
    time: i64,
    text: &'a str,
}

/// Writes the texts of a store to `out`.
///
/// # Errors
/// A shard that cannot be read, or a file that cannot be written; then nothing has the name that was asked for.
pub fn export(archive: &Archive, format: Format, out: &Path) -> Result<Exported, ExportError> {
    let vectors = Rows::of(archive)?;
    match format {
        Format::Faiss => faiss::write(archive, &vectors, out),
        Format::Npy => npy::write(archive, &vectors, out),
        Format::Weaviate => {
            one_file(archive, &vectors, out, |file, described, vector| weaviate::write(file, described, vector))
        }
        Format::Pinecone => write_pinecone(archive, &vectors, out),
    }
}

/// The vectors of a store, found by the number of their text.
struct Rows {
    vectors: Vectors,
    dimension: usize,
    row_of: Vec<u32>,
    /// The edit that brought each text first.
    first: HashMap<u32, u32>,
}

impl Rows {
    fn of(archive: &Archive) -> Result<Self, StoreError> {
        let vectors = archive.store().vectors()?;
        let mut row_of = vec![u32::MAX; archive.chunk_count()];
        for (row, chunk) in vectors.chunk.iter().enumerate() {
            let known = row_of.get_mut(*chunk as usize);
            *known.ok_or_else(|| damaged(format!("chunk {chunk} is not stored")))? = row as u32;
        }
        if let Some(bare) = row_of.iter().position(|row| *row == u32::MAX) {
            return Err(damaged(format!("chunk {bare} has none")));
        }
        let mut first = HashMap::with_capacity(row_of.len());
        for (at, edit) in archive.edits().iter().enumerate() {
            if let Some(chunk) = edit.after {
                first.entry(chunk).or_insert(at as u32);
            }
        }
        Ok(Self { vectors, dimension: archive.store().manifest().dimension as usize, row_of, first })
    }

    fn count(&self) -> u64 {
        self.row_of.len() as u64
    }

    /// The values of a text's vector.
    fn values(&self, chunk: u32) -> Vec<f32> {
        let row = self.row_of[chunk as usize] as usize;
        let steps = &self.vectors.values[row * self.dimension..(row + 1) * self.dimension];
        steps.iter().map(|step| f32::from(*step) * self.vectors.scale[row]).collect()
    }

    fn described<'a>(&self, archive: &'a Archive, chunk: &'a ChunkRow) -> Described<'a> {
        let edit = self.first.get(&chunk.number).map(|at| &archive.edits()[*at as usize]);
        let commit = edit.map(|edit| archive.commit(edit.commit));
        Described {
            number: chunk.number,
            chunk: chunk.id.to_string(),
            lang: &chunk.lang,
            kind: &chunk.kind,
            name: &chunk.name,
            path: edit.map_or("", |edit| &edit.path),
            symbol: edit.and_then(|edit| edit.symbol.as_deref()).unwrap_or_default(),
            lines: edit.map_or([0, 0], |edit| [edit.start_line, edit.end_line]),
            commit: commit.map(|commit| commit.id.to_string()).unwrap_or_default(),
            time: commit.map_or(0, |commit| commit.commit_time),
            text: &chunk.text,
        }
    }

    fn exported(&self, files: Vec<PathBuf>) -> Result<Exported, ExportError> {
        let mut bytes = 0;
        for file in &files {
            bytes += fs::metadata(file).map_err(writing(file))?.len();
        }
        Ok(Exported { rows: self.count(), left_out: 0, dimension: self.dimension, files, bytes })
    }
}

fn damaged(why: String) -> StoreError {
    StoreError::Damaged { what: "vectors".into(), why }
}

/// Gives every text to `each`, with what is known of it.
fn each_row(
    archive: &Archive,
    rows: &Rows,
    mut each: impl FnMut(&Described<'_>, &[f32]) -> Result<(), ExportError>,
) -> Result<(), ExportError> {
    let mut count = 0;
    archive.store().each_chunk::<ExportError>(|chunk| {
        if chunk.number as usize >= rows.row_of.len() {
            return Err(damaged(format!("chunk {} is not counted", chunk.number)).into());
        }
        count += 1;
        each(&rows.described(archive, &chunk), &rows.values(chunk.number))
    })?;
    // A file's header says how many there are.
    if count == rows.count() { Ok(()) } else { Err(damaged("the store changed while it was read".into()).into()) }
}

fn one_file(
    archive: &Archive,
    rows: &Rows,
    out: &Path,
    mut write: impl FnMut(&mut dyn Write, &Described<'_>, &[f32]) -> io::Result<()>,
) -> Result<Exported, ExportError> {
    let mut file = Unfinished::create(out)?;
    each_row(archive, rows, |described, vector| write(&mut file.out, described, vector).map_err(writing(out)))?;
    file.finish()?;
    rows.exported(vec![out.to_owned()])
}

fn write_pinecone(archive: &Archive, rows: &Rows, out: &Path) -> Result<Exported, ExportError> {
    let mut file = Unfinished::create(out)?;
    let mut writer = PineconeWriter::new(&mut file.out).map_err(writing(out))?;
    let mut left_out = 0;
    each_row(archive, rows, |described, vector| {
        // One record of zeros is refused, and with it the import where it may not go on after an error.
        if vector.iter().all(|value| *value == 0.0) {
            left_out += 1;
            return Ok(());
        }
        let metadata = pinecone_metadata(described);
        writer.push(&described.chunk, vector, &metadata).map_err(writing(out))
    })?;
    writer.finish().map_err(writing(out))?;
    file.finish()?;
    let exported = rows.exported(vec![out.to_owned()])?;
    Ok(Exported { rows: exported.rows - left_out, left_out, ..exported })
}

/// The most bytes of metadata that Pinecone takes for a record.
const PINECONE_METADATA_BYTES: usize = 40 << 10;

/// What is known of a text as a flat JSON object, as Pinecone wants it: no lists of numbers, and not too long. A text
/// that is too long is cut.
fn pinecone_metadata(described: &Described<'_>) -> String {
    let object = |text: &str| {
        serde_json::json!({
            "chunk": described.chunk, "number": described.number, "lang": described.lang, "kind": described.kind, "name": described.name,
            "path": described.path, "symbol": described.symbol, "start_line": described.lines[0],
            "end_line": described.lines[1], "commit": described.commit, "time": described.time, "text": text,
        })
        .to_string()
    };
    let mut length = described.text.len();
    loop {
        let metadata = object(&described.text[..described.text.floor_char_boundary(length)]);
        if metadata.len() <= PINECONE_METADATA_BYTES || length == 0 {
            return metadata;
        }
        length /= 2;
    }
}

/// A file that gets its name when it is complete.
struct Unfinished {
    out: BufWriter<File>,
    temporary: PathBuf,
    path: PathBuf,
}

impl Unfinished {
    fn create(path: &Path) -> Result<Self, ExportError> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        let file = File::create(&temporary).map_err(writing(&temporary))?;
        Ok(Self { out: BufWriter::new(file), temporary, path: path.to_owned() })
    }

    fn finish(mut self) -> Result<(), ExportError> {
        self.out.flush().map_err(writing(&self.temporary))?;
        fs::rename(&self.temporary, &self.path).map_err(writing(&self.path))?;
        self.temporary = PathBuf::new();
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.temporary.as_os_str().is_empty() {
            // There is nothing more to say than why it was not finished.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

fn writing(path: &Path) -> impl FnOnce(io::Error) -> ExportError {
    let path = path.to_owned();
    |source| ExportError::Write { path, source }
}

/// One JSON object and the end of its line.
fn write_line(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

/// A chunk's id as a UUID of version 8, whose other bits are free to choose.
fn uuid(id: &str) -> String {
    let mut digits: Vec<char> = id.chars().collect();
    if digits.len() == 2 * size_of::<ChunkId>() {
        digits[12] = '8';
        let variant = 0b1000 | digits[16].to_digit(16).unwrap_or_default() & 0b0011;
        digits[16] = char::from_digit(variant, 16).unwrap_or('8');
    }
    let part = |from: usize, to: usize| digits[from.min(digits.len())..to.min(digits.len())].iter().collect::<String>();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

#[cfg(test)]
mod tests {
    use parquet::file::metadata::ParquetMetaDataReader;

    use super::*;
    use crate::chunker::chunk_id;
    use crate::shard::{Generation, Settings, Store, VectorRow};
    use crate::syntax::Kind;

    #[test]
    fn a_text_without_a_vector_is_no_record_of_pinecone() {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings { chunker: "none".into(), embedder: "none".into(), dimension: 4 };
        let mut store = Store::create(&dir.path().join("store"), settings);
        let texts = ["fn a() {}", "{}", "fn b() {}"];
        let chunks = (0..).zip(texts).map(|(number, text)| ChunkRow {
            number,
            id: chunk_id("rust", Kind::Function, "f", text),
            lang: "rust".into(),
            kind: "function".into(),
            name: "f".into(),
            text: text.to_owned(),
        });
        let values = [[0.6, 0.8, 0.0, 0.0], [0.0; 4], [0.0, 0.0, 0.0, 1.0]];
        let vectors = (0..).zip(values).map(|(number, values)| VectorRow::quantise(number, &values, 1.0));
        let generation = Generation { chunks: chunks.collect(), vectors: vectors.collect(), ..Generation::default() };
        store.commit(&store.lock().unwrap(), generation).unwrap();
        let archive = Archive::open(store).unwrap();
        let out = dir.path().join("out.parquet");
        let exported = export(&archive, Format::Pinecone, &out).unwrap();
        assert_eq!((exported.rows, exported.left_out), (2, 1));
        let metadata = ParquetMetaDataReader::new().parse_and_finish(&File::open(&out).unwrap()).unwrap();
        assert_eq!(metadata.file_metadata().num_rows(), 2);
        let exported = export(&archive, Format::Npy, &dir.path().join("npy")).unwrap();
        assert_eq!((exported.rows, exported.left_out), (3, 0));
    }

    fn described(text: &str) -> Described<'_> {
        Described {
            number: 3,
            chunk: "00112233445566778899aabbccddeeff".into(),
            lang: "rust",
            kind: "function",
            name: "f",
            path: "src/a.rs",
            symbol: "A::f",
            lines: [1, 2],
            commit: "c".into(),
            time: 5,
            text,
        }
    }

    #[test]
    fn an_id_is_a_uuid_that_says_it_is_of_ones_own_making() {
        assert_eq!(uuid(&described("").chunk), "00112233-4455-8677-8899-aabbccddeeff");
        assert_eq!(uuid(&"f".repeat(32)), "ffffffff-ffff-8fff-bfff-ffffffffffff");
    }

    #[test]
    fn metadata_that_would_be_refused_is_cut_between_characters() {
        let metadata = pinecone_metadata(&described("fn f() {}"));
        assert!(metadata.contains("fn f() {}") && metadata.contains("00112233445566778899aabbccddeeff"));
        let long = "é\u{1}".repeat(100_000);
        let metadata = pinecone_metadata(&described(&long));
        assert!(metadata.len() <= PINECONE_METADATA_BYTES, "{}", metadata.len());
        let object: serde_json::Value = serde_json::from_str(&metadata).unwrap();
        let text = object["text"].as_str().unwrap();
        assert!(!text.is_empty() && long.starts_with(text));
    }
}
