//! Lexicon: the words of all texts and all messages of a store, in index files of their own.
//!
//! Two tantivy indexes, `lexical/texts` with a document a chunk and `lexical/messages` with one a commit. Both are derived
//! from the tables, so nothing depends on them: what is missing, of another store, or damaged is made again, and what is
//! new is added. Scores are those of [`LexicalIndex`](super::LexicalIndex), but for lengths, which are rounded, and for
//! statistics, which are of all history.

use std::collections::HashMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tantivy::collector::{FilterCollector, TopDocs};
use tantivy::query::{BooleanQuery, Occur, Query, TermQuery};
use tantivy::schema::{FAST, Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::{TextAnalyzer, Token, TokenStream, Tokenizer};
use tantivy::{Index, IndexReader, IndexWriter, ReloadPolicy, TantivyDocument, Term};

use super::LexicalIndex;
use super::past::{SUBJECT_TIMES, said};
use super::vector::header_words;
use super::words::{for_each_stem, telling_stems};
use crate::archive::Archive;
use crate::shard::StoreError;

/// The folder inside a store.
const FOLDER: &str = "lexical";
/// Names the way in which documents are made; another way is another index.
const MAKER: &str = "words-1";
/// How often a name counts.
pub(crate) const NAME_TIMES: f32 = 3.0;
/// Memory for documents that are not written yet, in bytes.
const WRITER_BYTES: usize = 64 << 20;
/// Documents whose texts are read at once.
const BATCH: u32 = 16_384;
const TOKENIZER: &str = "stems";

/// Both indexes, open.
pub struct Lexicon {
    texts: WordIndex,
    messages: WordIndex,
    /// Where they are; `None` in memory.
    place: Option<PathBuf>,
}

/// Why words cannot be searched.
#[derive(Debug, thiserror::Error)]
enum LexiconError {
    #[error(transparent)]
    Index(#[from] tantivy::TantivyError),
    #[error(transparent)]
    Files(#[from] std::io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the reader gave up")]
    Panic,
}

impl Lexicon {
    /// Opens the indexes of a store, brought up to what the archive holds: in the store, else in `elsewhere`, else in
    /// memory.
    ///
    /// # Errors
    /// A store whose texts cannot be read. Index files never are a reason to fail.
    pub fn open(archive: &Archive, elsewhere: Option<&Path>) -> Result<Lexicon, StoreError> {
        let places = std::iter::once(archive.store().dir().join(FOLDER)).chain(elsewhere.map(|dir| dir.join(FOLDER)));
        for place in places {
            match Lexicon::at(archive, Some(&place)) {
                Err(LexiconError::Store(damage)) => return Err(damage),
                Err(_) => {}
                Ok(lexicon) => return Ok(lexicon),
            }
        }
        match Lexicon::at(archive, None) {
            Ok(lexicon) => Ok(lexicon),
            Err(LexiconError::Store(damage)) => Err(damage),
            Err(error) => Err(StoreError::Damaged { what: FOLDER.into(), why: error.to_string() }),
        }
    }

    fn at(archive: &Archive, place: Option<&Path>) -> Result<Lexicon, LexiconError> {
        let folder = |name: &str| place.map(|place| place.join(name));
        Ok(Lexicon {
            texts: WordIndex::open(folder("texts").as_deref(), &Texts::new(archive))?,
            messages: WordIndex::open(folder("messages").as_deref(), &Messages { archive })?,
            place: place.map(Path::to_owned),
        })
    }

    /// Where the indexes are kept; `None` where no place could be written.
    pub fn place(&self) -> Option<&Path> {
        self.place.as_deref()
    }

    /// The wanted chunks that hold words of the question, with their BM25 scores, best first. A damaged index finds nothing.
    pub fn texts(
        &self,
        question: &str,
        count: usize,
        wanted: Arc<dyn Fn(u32) -> bool + Send + Sync>,
    ) -> Vec<(u32, f32)> {
        self.texts.best(question, count, wanted)
    }

    /// The wanted commits whose messages hold words of the question, likewise.
    pub fn messages(
        &self,
        question: &str,
        count: usize,
        wanted: Arc<dyn Fn(u32) -> bool + Send + Sync>,
    ) -> Vec<(u32, f32)> {
        self.messages.best(question, count, wanted)
    }
}

/// Documents numbered from 0, and what tells them from others.
trait Source {
    fn count(&self) -> u32;
    /// A hash of the first so many.
    fn mark(&self, count: u32) -> String;
    /// Adds the documents of a range of numbers.
    fn add(
        &self,
        numbers: std::ops::Range<u32>,
        sink: &mut dyn FnMut(u32, &[(&str, usize)]) -> Result<(), LexiconError>,
    ) -> Result<(), LexiconError>;
}

struct Texts<'a> {
    archive: &'a Archive,
}

impl<'a> Texts<'a> {
    fn new(archive: &'a Archive) -> Texts<'a> {
        Texts { archive }
    }

    /// For each chunk where it first stood.
    fn places(&self) -> HashMap<u32, String> {
        let mut places = HashMap::new();
        for edit in self.archive.edits() {
            if let (Some(chunk), Some(symbol)) = (edit.after, &edit.symbol) {
                places.entry(chunk).or_insert_with(|| header_words(&edit.path, super::container_of(symbol)));
            }
        }
        places
    }
}

impl Source for Texts<'_> {
    fn count(&self) -> u32 {
        self.archive.chunk_count() as u32
    }

    fn mark(&self, count: u32) -> String {
        let mut hasher = blake3::Hasher::new();
        (0..count).for_each(|chunk| drop(hasher.update(self.archive.head(chunk).id.as_bytes())));
        hasher.finalize().to_hex().to_string()
    }

    fn add(
        &self,
        numbers: std::ops::Range<u32>,
        sink: &mut dyn FnMut(u32, &[(&str, usize)]) -> Result<(), LexiconError>,
    ) -> Result<(), LexiconError> {
        let places = self.places();
        let mut start = numbers.start;
        while start < numbers.end {
            let end = numbers.end.min(start.saturating_add(BATCH));
            let batch: Vec<u32> = (start..end).collect();
            for chunk in self.archive.store().chunks_by_number(&batch)? {
                let place = places.get(&chunk.number).map_or("", String::as_str);
                sink(chunk.number, &[(&chunk.text, 1), (&chunk.name, NAME_TIMES as usize), (place, 1)])?;
            }
            start = end;
        }
        Ok(())
    }
}

struct Messages<'a> {
    archive: &'a Archive,
}

impl Source for Messages<'_> {
    fn count(&self) -> u32 {
        self.archive.commit_count() as u32
    }

    fn mark(&self, count: u32) -> String {
        let mut hasher = blake3::Hasher::new();
        (0..count).for_each(|commit| drop(hasher.update(self.archive.commit(commit).id.as_bytes())));
        hasher.finalize().to_hex().to_string()
    }

    fn add(
        &self,
        numbers: std::ops::Range<u32>,
        sink: &mut dyn FnMut(u32, &[(&str, usize)]) -> Result<(), LexiconError>,
    ) -> Result<(), LexiconError> {
        for number in numbers {
            let (subject, body) = said(&self.archive.commit(number).message);
            sink(number, &[(subject, SUBJECT_TIMES), (&body, 1)])?;
        }
        Ok(())
    }
}

/// What an index says it holds, beside its documents.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Seal {
    maker: String,
    count: u32,
    mark: String,
}

impl Seal {
    fn of(source: &dyn Source, count: u32) -> Seal {
        Seal { maker: MAKER.to_owned(), count, mark: source.mark(count) }
    }
}

struct WordIndex {
    reader: IndexReader,
    words: Field,
}

impl WordIndex {
    /// Opens the index in a folder, or in memory. One that is behind is brought up, one that is unfit made again.
    fn open(folder: Option<&Path>, source: &dyn Source) -> Result<WordIndex, LexiconError> {
        let Some(folder) = folder else {
            return WordIndex::fill(Index::create_in_ram(schema().0), source, 0);
        };
        let existing = guarded(|| Ok(WordIndex::existing(folder, source)));
        if let Ok(Some((index, held))) = existing {
            if held == source.count() {
                return guarded(|| WordIndex::over(index));
            }
            if let Ok(index) = guarded(|| WordIndex::fill(index, source, held)) {
                return Ok(index);
            }
        }
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => fs::create_dir_all(folder)?,
        }
        guarded(|| WordIndex::fill(Index::create_in_dir(folder, schema().0)?, source, 0))
    }

    /// The index in a folder and the number of its documents, if its files are whole and of this store.
    fn existing(folder: &Path, source: &dyn Source) -> Option<(Index, u32)> {
        if !folder.join("meta.json").exists() {
            return None;
        }
        let index = Index::open_in_dir(folder).ok()?;
        let seal: Seal = serde_json::from_str(&index.load_metas().ok()?.payload?).ok()?;
        let is_ours =
            index.schema() == schema().0 && seal.count <= source.count() && seal == Seal::of(source, seal.count);
        (is_ours && index.validate_checksum().ok()?.is_empty()).then_some((index, seal.count))
    }

    /// Adds the documents from `held` on.
    fn fill(index: Index, source: &dyn Source, held: u32) -> Result<WordIndex, LexiconError> {
        register(&index);
        let (_, words, number) = schema();
        let mut writer: IndexWriter = index.writer_with_num_threads(1, WRITER_BYTES)?;
        source.add(held..source.count(), &mut |at, parts| {
            let mut document = TantivyDocument::default();
            document.add_u64(number, u64::from(at));
            for (text, times) in parts {
                (0..*times).for_each(|_| document.add_text(words, text));
            }
            writer.add_document(document)?;
            Ok(())
        })?;
        let mut commit = writer.prepare_commit()?;
        let seal = Seal::of(source, source.count());
        commit.set_payload(&serde_json::to_string(&seal).map_err(std::io::Error::from)?);
        commit.commit()?;
        writer.wait_merging_threads()?;
        WordIndex::over(index)
    }

    fn over(index: Index) -> Result<WordIndex, LexiconError> {
        register(&index);
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(WordIndex { reader, words: schema().1 })
    }

    fn best(&self, question: &str, count: usize, wanted: Arc<dyn Fn(u32) -> bool + Send + Sync>) -> Vec<(u32, f32)> {
        guarded(|| self.try_best(question, count, wanted)).unwrap_or_default()
    }

    fn try_best(
        &self,
        question: &str,
        count: usize,
        wanted: Arc<dyn Fn(u32) -> bool + Send + Sync>,
    ) -> Result<Vec<(u32, f32)>, LexiconError> {
        let term = |stem: String| -> (Occur, Box<dyn Query>) {
            let term = Term::from_field_text(self.words, &stem);
            (Occur::Should, Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs)))
        };
        let terms: Vec<_> = question_stems(question).into_iter().map(term).collect();
        let searcher = self.reader.searcher();
        if terms.is_empty() || count == 0 || searcher.num_docs() == 0 {
            return Ok(Vec::new());
        }
        let top = TopDocs::with_limit(count).order_by_score();
        let wanted = move |number: u64| u32::try_from(number).is_ok_and(|number| wanted(number));
        let found =
            searcher.search(&BooleanQuery::new(terms), &FilterCollector::new("number".to_owned(), wanted, top))?;
        let mut best = Vec::with_capacity(found.len());
        for (score, address) in found {
            let numbers = searcher.segment_reader(address.segment_ord).fast_fields().u64("number")?;
            if let Some(number) = numbers.first(address.doc_id).and_then(|number| u32::try_from(number).ok()) {
                best.push((number, score));
            }
        }
        best.sort_by(|one: &(u32, f32), two| two.1.total_cmp(&one.1).then(one.0.cmp(&two.0)));
        Ok(best)
    }
}

/// The messages of all commits, in memory.
pub(crate) fn messages_of(archive: &Archive) -> LexicalIndex {
    let mut messages = LexicalIndex::default();
    for number in 0..archive.commit_count() as u32 {
        let (subject, body) = said(&archive.commit(number).message);
        messages.add(&[(subject, SUBJECT_TIMES as f32), (&body, 1.0)]);
    }
    messages
}

/// The words of a question that tell something; all of them where none does.
pub(super) fn question_stems(question: &str) -> Vec<String> {
    let stems = telling_stems(question);
    if !stems.is_empty() {
        return stems;
    }
    let mut all: Vec<String> = Vec::new();
    for_each_stem(question, |stem| {
        if !all.iter().any(|known| known == stem) {
            all.push(stem.to_owned());
        }
    });
    all
}

/// Files that tantivy trusts may be anybody's: what it gives up on is an error here.
fn guarded<T>(work: impl FnOnce() -> Result<T, LexiconError>) -> Result<T, LexiconError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(LexiconError::Panic))
}

/// Words with their counts, no positions; the document's number beside them. Nothing is stored.
fn schema() -> (Schema, Field, Field) {
    let mut schema = Schema::builder();
    let indexing = TextFieldIndexing::default()
        .set_tokenizer(TOKENIZER)
        .set_index_option(IndexRecordOption::WithFreqs)
        .set_fieldnorms(true);
    let words = schema.add_text_field("words", TextOptions::default().set_indexing_options(indexing));
    let number = schema.add_u64_field("number", FAST);
    (schema.build(), words, number)
}

fn register(index: &Index) {
    index.tokenizers().register(TOKENIZER, TextAnalyzer::builder(Stems::default()).build());
}

/// Our words, as tantivy asks for them.
#[derive(Clone, Default)]
struct Stems {
    stems: String,
    ends: Vec<usize>,
    token: Token,
}

struct StemStream<'a> {
    of: &'a mut Stems,
    next: usize,
}

impl Tokenizer for Stems {
    type TokenStream<'a> = StemStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> StemStream<'a> {
        self.stems.clear();
        self.ends.clear();
        for_each_stem(text, |stem| {
            self.stems.push_str(stem);
            self.ends.push(self.stems.len());
        });
        self.token.reset();
        StemStream { of: self, next: 0 }
    }
}

impl TokenStream for StemStream<'_> {
    fn advance(&mut self) -> bool {
        let Some(&end) = self.of.ends.get(self.next) else { return false };
        let start = self.next.checked_sub(1).map_or(0, |before| self.of.ends[before]);
        self.of.token.text.clear();
        self.of.token.text.push_str(&self.of.stems[start..end]);
        self.of.token.position = self.next;
        self.next += 1;
        true
    }

    fn token(&self) -> &Token {
        &self.of.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.of.token
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::LexicalIndex;

    /// Documents of one text each.
    struct Listed(Vec<&'static str>);

    impl Source for Listed {
        fn count(&self) -> u32 {
            self.0.len() as u32
        }

        fn mark(&self, count: u32) -> String {
            self.0[..count as usize].concat()
        }

        fn add(
            &self,
            numbers: std::ops::Range<u32>,
            sink: &mut dyn FnMut(u32, &[(&str, usize)]) -> Result<(), LexiconError>,
        ) -> Result<(), LexiconError> {
            numbers.into_iter().try_for_each(|number| sink(number, &[(self.0[number as usize], 1), ("name", 2)]))
        }
    }

    const DOCUMENTS: [&str; 4] =
        ["open the file", "fn openSocket(address) { connect(address) }", "closes doors and files", "opened 日付 twice"];

    fn all() -> Arc<dyn Fn(u32) -> bool + Send + Sync> {
        Arc::new(|_| true)
    }

    fn numbers(index: &WordIndex, question: &str) -> Vec<u32> {
        index.best(question, 10, all()).into_iter().map(|(number, _)| number).collect()
    }

    #[test]
    fn scores_are_those_of_the_formula() {
        let mut exact = LexicalIndex::default();
        DOCUMENTS.iter().for_each(|text| exact.add(&[(text, 1.0), ("name", 2.0)]));
        let index = WordIndex::open(None, &Listed(DOCUMENTS.into())).expect("an index");
        for question in ["open files", "address", "name", "日付"] {
            let (ours, expected) = (index.best(question, 10, all()), exact.best(question, 10, |_| true));
            assert_eq!(ours.len(), expected.len(), "{question}");
            for (one, two) in ours.iter().zip(&expected) {
                assert!((one.1 - two.1).abs() < 1e-4, "{question}: {ours:?} {expected:?}");
            }
        }
        assert!(numbers(&index, "").is_empty() && numbers(&index, "window").is_empty());
        assert_eq!(index.best("open", 10, Arc::new(|number| number == 3)).len(), 1);
    }

    #[test]
    fn what_is_new_is_added_and_what_is_other_is_made_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("texts");
        let open =
            |documents: &[&'static str]| WordIndex::open(Some(&place), &Listed(documents.to_vec())).expect("an index");
        assert_eq!(numbers(&open(&DOCUMENTS[..2]), "open"), [0, 1]);
        assert_eq!(numbers(&open(&DOCUMENTS), "file"), [0, 2]);
        let (index, held) = WordIndex::existing(&place, &Listed(DOCUMENTS.into())).expect("it is there");
        assert_eq!(
            (held, index.load_metas().expect("metas").segments.len()),
            (4, 2),
            "the first two were not made again"
        );
        // Another store, and one that is shorter than what was indexed.
        assert_eq!(numbers(&open(&["a window", "open"]), "open"), [1]);
        assert_eq!(numbers(&open(&["a window"]), "open"), [0u32; 0]);
    }

    #[test]
    fn damage_is_made_good() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("texts");
        let source = Listed(DOCUMENTS.into());
        let expected = numbers(&WordIndex::open(Some(&place), &source).expect("an index"), "open");
        let files: Vec<PathBuf> =
            fs::read_dir(&place).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
        for file in files.iter().filter(|file| file.is_file()) {
            let whole = fs::read(file).unwrap_or_default();
            if whole.is_empty() {
                continue;
            }
            let mut flipped = whole.clone();
            flipped[whole.len() / 3] ^= 0x55;
            for bytes in [&flipped[..], &whole[..whole.len() / 2], &[]] {
                fs::write(file, bytes).expect("written");
                let index = WordIndex::open(Some(&place), &source).expect("an index");
                assert_eq!(numbers(&index, "open"), expected, "{}", file.display());
            }
        }
    }
}
