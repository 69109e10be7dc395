//! Lexicon: the words of all texts and all messages of a store, in index files of their own.
//!
//! Two tantivy indexes, `lexical/texts` with a document a chunk and `lexical/messages` with one a commit. That of texts has
//! their signatures too, which ranking asks for of more texts than are read. Both are derived
//! from the tables, so nothing depends on them: what is missing, of another store, or damaged is made again, and what is
//! new is added. Scores are those of [`LexicalIndex`], but for lengths, which are rounded, and for statistics, which are of
//! all history.

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use tantivy::collector::{FilterCollector, TopDocs};
use tantivy::query::{BooleanQuery, Occur, Query, TermQuery};
use tantivy::schema::{FAST, Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::{TextAnalyzer, Token, TokenStream, Tokenizer};
use tantivy::{Index, IndexReader, IndexWriter, ReloadPolicy, TantivyDocument, Term};

use super::LexicalIndex;
use super::looks::{self, Looks};
use super::past::{SUBJECT_TIMES, said};
use super::signature::{self, signature_words};
use super::vector::header_words;
use super::words::{for_each_stem, telling_stems};
use crate::archive::Archive;
use crate::shard::{Store, StoreError};

/// The folder inside a store.
const FOLDER: &str = "lexical";
/// Names the way in which documents are made; another way is another index.
const MAKER: &str = "words-2";
/// How often a name counts.
pub(crate) const NAME_TIMES: f32 = 3.0;
/// Memory for documents that are not written yet, in bytes: enough that most stores are one segment.
const WRITER_BYTES: usize = 256 << 20;
/// Documents whose texts are read at once.
const BATCH: u32 = 16_384;
const TOKENIZER: &str = "stems";
/// Columns: the number of a document, and the words of its signature.
pub(super) const NUMBER: &str = "number";
pub(super) const SIGNATURE: &str = "signature";
/// How long another search is waited for that writes to an index; 1.2 million texts take some two minutes.
const PATIENCE: Duration = Duration::from_secs(300);
/// And how often it is asked after.
const PAUSE: Duration = Duration::from_millis(10);
/// The files of an index that were whole when they were looked at.
const CHECKED: &str = "checked.json";
/// How the names of these begin, also while one is written.
const CHECKED_STEM: &str = "checked.";

/// Which documents may be found, by number.
pub(super) type Wanted = Arc<dyn Fn(u32) -> bool + Send + Sync>;

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

/// A question about words: how many documents to find, and among which.
pub(super) struct Asked<'a> {
    pub(super) question: &'a str,
    pub(super) count: usize,
    pub(super) wanted: Wanted,
}

/// What holds words of a question, by number, with BM25 scores, best first, and what it was found in.
pub(super) struct Worded {
    pub(super) best: Vec<(u32, f32)>,
    index: WordIndex,
}

impl Worded {
    /// The words of the signatures of some documents; none where the index does not read.
    pub(super) fn signatures(&self, wanted: impl Fn(u32) -> bool) -> FxHashMap<u32, String> {
        guarded(|| Ok(signature::kept(&self.index.reader.searcher(), wanted)?)).unwrap_or_default()
    }
}

/// The texts of a store that hold words of a question. The index is brought up to what the store holds: beside the store, else
/// in `elsewhere`, else in memory.
///
/// # Errors
/// A store whose texts cannot be read. Index files never are a reason to fail.
pub(super) fn texts(store: &Store, elsewhere: Option<&Path>, asked: &Asked<'_>) -> Result<Worded, StoreError> {
    best(&folders(store, elsewhere, "texts"), &Texts { store }, asked)
}

/// The commits of a store by the words of their messages, likewise.
///
/// # Errors
/// A store whose commits cannot be read.
pub(super) fn messages(
    store: &Store,
    elsewhere: Option<&Path>,
    asked: &Asked<'_>,
) -> Result<Vec<(u32, f32)>, StoreError> {
    Ok(best(&folders(store, elsewhere, "messages"), &Messages { store }, asked)?.best)
}

/// Where an index may be, the place to be preferred first.
fn folders(store: &Store, elsewhere: Option<&Path>, name: &str) -> Vec<PathBuf> {
    [store.dir(), elsewhere].into_iter().flatten().map(|place| place.join(FOLDER).join(name)).collect()
}

fn best(folders: &[PathBuf], source: &dyn Source, asked: &Asked<'_>) -> Result<Worded, StoreError> {
    let index = open(folders, source)?;
    if let Ok(best) = index.best(asked) {
        return Ok(Worded { best, index });
    }
    // Damage that left length and time of the files alone: they are looked at once more, and made again.
    for folder in folders {
        drop(fs::remove_file(folder.join(CHECKED)));
    }
    let index = open(folders, source)?;
    Ok(Worded { best: index.best(asked).unwrap_or_default(), index })
}

fn open(folders: &[PathBuf], source: &dyn Source) -> Result<WordIndex, StoreError> {
    for folder in folders {
        match WordIndex::open(Some(folder), source) {
            Err(LexiconError::Store(damage)) => return Err(damage),
            Err(_) => {}
            Ok(index) => return Ok(index),
        }
    }
    match WordIndex::open(None, source) {
        Ok(index) => Ok(index),
        Err(LexiconError::Store(damage)) => Err(damage),
        Err(error) => Err(StoreError::Damaged { what: FOLDER.into(), why: error.to_string() }),
    }
}

/// Takes the words of a document, in parts that count so many times each, and those of its signature.
type Sink<'a> = dyn FnMut(u32, &[(&str, usize)], &str) -> Result<(), LexiconError> + 'a;

/// Documents numbered from 0, and what tells them from others.
trait Source {
    fn count(&self) -> u32;
    /// The files that they are in: the same files hold the same documents.
    fn files(&self) -> Vec<String>;
    /// A hash of the first so many.
    fn mark(&self, count: u32) -> Result<String, StoreError>;
    /// Adds the documents of a range of numbers.
    fn add(&self, numbers: std::ops::Range<u32>, sink: &mut Sink<'_>) -> Result<(), LexiconError>;
}

fn files_of(store: &Store, table: &str) -> Vec<String> {
    store.manifest().shards_of(table).map(|shard| shard.name.clone()).collect()
}

struct Texts<'a> {
    store: &'a Store,
}

impl Texts<'_> {
    /// For some chunks the words of where each first stood.
    fn places(&self, numbers: &std::ops::Range<u32>) -> Result<HashMap<u32, String>, StoreError> {
        let mut places = HashMap::new();
        for edit in self.store.edits()? {
            if let (Some(chunk), Some(symbol)) = (edit.after, &edit.symbol)
                && numbers.contains(&chunk)
            {
                places.entry(chunk).or_insert_with(|| header_words(&edit.path, super::container_of(symbol)));
            }
        }
        Ok(places)
    }
}

impl Source for Texts<'_> {
    fn count(&self) -> u32 {
        self.store.manifest().next_chunk
    }

    fn files(&self) -> Vec<String> {
        files_of(self.store, "chunks")
    }

    fn mark(&self, count: u32) -> Result<String, StoreError> {
        let mut ids = self.store.chunk_ids()?;
        ids.retain(|(number, _)| *number < count);
        ids.sort_unstable();
        let mut hasher = blake3::Hasher::new();
        for (_, id) in &ids {
            hasher.update(id.as_bytes());
        }
        Ok(hasher.finalize().to_hex().to_string())
    }

    fn add(&self, numbers: std::ops::Range<u32>, sink: &mut Sink<'_>) -> Result<(), LexiconError> {
        if numbers.is_empty() {
            return Ok(());
        }
        let places = self.places(&numbers)?;
        let mut start = numbers.start;
        while start < numbers.end {
            let end = numbers.end.min(start.saturating_add(BATCH));
            let batch: Vec<u32> = (start..end).collect();
            for chunk in self.store.chunks_by_number(&batch)? {
                let place = places.get(&chunk.number).map_or("", String::as_str);
                let parts = [(chunk.text.as_str(), 1), (&chunk.name, NAME_TIMES as usize), (place, 1)];
                sink(chunk.number, &parts, &signature_words(&chunk.text))?;
            }
            start = end;
        }
        Ok(())
    }
}

struct Messages<'a> {
    store: &'a Store,
}

impl Source for Messages<'_> {
    fn count(&self) -> u32 {
        self.store.manifest().next_commit
    }

    fn files(&self) -> Vec<String> {
        files_of(self.store, "commits")
    }

    fn mark(&self, count: u32) -> Result<String, StoreError> {
        let mut hasher = blake3::Hasher::new();
        for id in self.store.commit_ids()?.iter().take(count as usize) {
            hasher.update(id.as_bytes());
        }
        Ok(hasher.finalize().to_hex().to_string())
    }

    fn add(&self, numbers: std::ops::Range<u32>, sink: &mut Sink<'_>) -> Result<(), LexiconError> {
        for commit in self.store.commits()?.into_iter().filter(|commit| numbers.contains(&commit.number)) {
            let (subject, body) = said(&commit.message);
            sink(commit.number, &[(subject, SUBJECT_TIMES), (&body, 1)], "")?;
        }
        Ok(())
    }
}

/// What an index says it holds, beside its documents.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Seal {
    maker: String,
    count: u32,
    files: Vec<String>,
    mark: String,
}

impl Seal {
    fn of(source: &dyn Source) -> Result<Seal, StoreError> {
        let count = source.count();
        Ok(Seal { maker: MAKER.to_owned(), count, files: source.files(), mark: source.mark(count)? })
    }

    /// What of the source was sealed, if it is that source.
    fn holds(&self, source: &dyn Source) -> Result<Option<Held>, StoreError> {
        if self.maker != MAKER || self.count > source.count() {
            return Ok(None);
        }
        if self.count == source.count() && self.files == source.files() {
            return Ok(Some(Held::All));
        }
        // Shards that were merged hold what they held, and the seal is then set anew.
        Ok((self.mark == source.mark(self.count)?).then_some(Held::First(self.count)))
    }
}

/// How much of a source an index holds.
#[derive(Debug, PartialEq, Eq)]
enum Held {
    All,
    First(u32),
}

/// Documents by their words.
struct WordIndex {
    reader: IndexReader,
    words: Field,
}

impl WordIndex {
    /// Opens the index in a folder, or in memory. One that is behind is brought up, one that is unfit made again, by one
    /// process at a time: the others wait for it.
    fn open(folder: Option<&Path>, source: &dyn Source) -> Result<WordIndex, LexiconError> {
        let Some(folder) = folder else {
            return WordIndex::fill(Index::create_in_ram(schema().0), source, 0);
        };
        if let Some((index, Held::All)) = WordIndex::sound(folder, source)?
            && let Ok(index) = guarded(|| WordIndex::over(index))
        {
            return Ok(index);
        }
        let _lock = lock(folder)?;
        // Whoever held it until now may have done it.
        match WordIndex::sound(folder, source)? {
            Some((index, Held::All)) => {
                if let Ok(index) = guarded(|| WordIndex::over(index)) {
                    return Ok(index);
                }
            }
            Some((index, Held::First(count))) => match guarded(|| WordIndex::fill(index, source, count)) {
                Err(LexiconError::Store(damage)) => return Err(damage.into()),
                Err(_) => {}
                done => return done,
            },
            None => {}
        }
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => fs::create_dir_all(folder)?,
        }
        guarded(|| WordIndex::fill(Index::create_in_dir(folder, schema().0)?, source, 0))
    }

    /// As [`WordIndex::existing`], where an index that cannot be read is none.
    fn sound(folder: &Path, source: &dyn Source) -> Result<Option<(Index, Held)>, StoreError> {
        match guarded(|| WordIndex::existing(folder, source)) {
            Err(LexiconError::Store(damage)) => Err(damage),
            other => Ok(other.ok().flatten()),
        }
    }

    /// The index in a folder and what it holds, if its files are whole and of this store.
    fn existing(folder: &Path, source: &dyn Source) -> Result<Option<(Index, Held)>, LexiconError> {
        if !folder.join("meta.json").exists() {
            return Ok(None);
        }
        let index = Index::open_in_dir(folder)?;
        let Some(payload) = index.load_metas()?.payload else { return Ok(None) };
        let Ok(seal) = serde_json::from_str::<Seal>(&payload) else { return Ok(None) };
        if index.schema() != schema().0 {
            return Ok(None);
        }
        let Some(held) = seal.holds(source)? else { return Ok(None) };
        Ok(is_whole(folder, &index)?.then_some((index, held)))
    }

    /// Adds the documents from `held` on.
    fn fill(index: Index, source: &dyn Source, held: u32) -> Result<WordIndex, LexiconError> {
        register(&index);
        let (_, [words, number, signature]) = schema();
        let mut writer: IndexWriter = index.writer_with_num_threads(1, WRITER_BYTES)?;
        source.add(held..source.count(), &mut |at, parts, declared| {
            let mut document = TantivyDocument::default();
            document.add_u64(number, u64::from(at));
            for (text, times) in parts {
                (0..*times).for_each(|_| document.add_text(words, text));
            }
            if !declared.is_empty() {
                document.add_bytes(signature, declared.as_bytes());
            }
            writer.add_document(document)?;
            Ok(())
        })?;
        let mut commit = writer.prepare_commit()?;
        commit.set_payload(&serde_json::to_string(&Seal::of(source)?).map_err(std::io::Error::from)?);
        commit.commit()?;
        writer.wait_merging_threads()?;
        WordIndex::over(index)
    }

    fn over(index: Index) -> Result<WordIndex, LexiconError> {
        register(&index);
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(WordIndex { reader, words: schema().1[0] })
    }

    /// The wanted documents that hold words of the question, with their BM25 scores, best first.
    fn best(&self, asked: &Asked<'_>) -> Result<Vec<(u32, f32)>, LexiconError> {
        guarded(|| self.try_best(asked.question, asked.count, Arc::clone(&asked.wanted)))
    }

    fn try_best(&self, question: &str, count: usize, wanted: Wanted) -> Result<Vec<(u32, f32)>, LexiconError> {
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
            searcher.search(&BooleanQuery::new(terms), &FilterCollector::new(NUMBER.to_owned(), wanted, top))?;
        let mut best = Vec::with_capacity(found.len());
        for (score, address) in found {
            let numbers = searcher.segment_reader(address.segment_ord).fast_fields().u64(NUMBER)?;
            if let Some(number) = numbers.first(address.doc_id).and_then(|number| u32::try_from(number).ok()) {
                best.push((number, score));
            }
        }
        best.sort_by(|one: &(u32, f32), two| two.1.total_cmp(&one.1).then(one.0.cmp(&two.0)));
        Ok(best)
    }
}

/// The right to write to the index in a folder, until the file is closed. Waits for whoever has it; one who was stopped is
/// waited for no longer than [`PATIENCE`].
fn lock(folder: &Path) -> Result<File, LexiconError> {
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)?;
    }
    let file = File::options().create(true).append(true).open(folder.with_extension("lock"))?;
    let since = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if since.elapsed() < PATIENCE => thread::sleep(PAUSE),
            Err(TryLockError::WouldBlock) => return Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
}

/// Whether the files of an index have the checksums that they state. Those that look as they did when that was found out
/// are not read again: damage that leaves length and time alone shows in what is found, and no text comes from here.
fn is_whole(folder: &Path, index: &Index) -> Result<bool, LexiconError> {
    let now = looks_in(folder)?;
    let checked = folder.join(CHECKED);
    if looks::kept(&checked).as_ref() == Some(&now) {
        return Ok(true);
    }
    let whole = index.validate_checksum()?.is_empty();
    if whole {
        // A place that cannot be written is checked each time.
        drop(looks::keep(&checked, &now));
    }
    Ok(whole)
}

fn looks_in(folder: &Path) -> Result<Looks, std::io::Error> {
    let mut looks = Looks::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with(CHECKED_STEM) && !name.starts_with('.') {
            looks.insert(name, looks::look(&entry.path())?);
        }
    }
    Ok(looks)
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

/// Words with their counts, no positions; the document's number and its signature beside them. Nothing is stored.
fn schema() -> (Schema, [Field; 3]) {
    let mut schema = Schema::builder();
    let indexing = TextFieldIndexing::default()
        .set_tokenizer(TOKENIZER)
        .set_index_option(IndexRecordOption::WithFreqs)
        .set_fieldnorms(true);
    let words = schema.add_text_field("words", TextOptions::default().set_indexing_options(indexing));
    let number = schema.add_u64_field(NUMBER, FAST);
    let signature = schema.add_bytes_field(SIGNATURE, FAST);
    (schema.build(), [words, number, signature])
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
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Documents of one text each.
    struct Listed(Vec<&'static str>);

    impl Source for Listed {
        fn count(&self) -> u32 {
            self.0.len() as u32
        }

        fn files(&self) -> Vec<String> {
            self.0.iter().map(ToString::to_string).collect()
        }

        fn mark(&self, count: u32) -> Result<String, StoreError> {
            Ok(self.0[..count as usize].concat())
        }

        fn add(&self, numbers: std::ops::Range<u32>, sink: &mut Sink<'_>) -> Result<(), LexiconError> {
            numbers.into_iter().try_for_each(|number| {
                let text = self.0[number as usize];
                sink(number, &[(text, 1), ("name", 2)], &signature_words(text))
            })
        }
    }

    const DOCUMENTS: [&str; 4] =
        ["open the file", "fn openSocket(address) { connect(address) }", "closes doors and files", "opened 日付 twice"];

    fn all() -> Arc<dyn Fn(u32) -> bool + Send + Sync> {
        Arc::new(|_| true)
    }

    fn scored(index: &WordIndex, question: &str, wanted: Wanted) -> Vec<(u32, f32)> {
        index.best(&Asked { question, count: 10, wanted }).expect("a sound index")
    }

    fn numbers(index: &WordIndex, question: &str) -> Vec<u32> {
        scored(index, question, all()).into_iter().map(|(number, _)| number).collect()
    }

    #[test]
    fn scores_are_those_of_the_formula() {
        let mut exact = LexicalIndex::default();
        DOCUMENTS.iter().for_each(|text| exact.add(&[(text, 1.0), ("name", 2.0)]));
        let index = WordIndex::open(None, &Listed(DOCUMENTS.into())).expect("an index");
        for question in ["open files", "address", "name", "日付"] {
            let (ours, expected) = (scored(&index, question, all()), exact.best(question, 10, |_| true));
            assert_eq!(ours.len(), expected.len(), "{question}");
            for (one, two) in ours.iter().zip(&expected) {
                assert!((one.1 - two.1).abs() < 1e-4, "{question}: {ours:?} {expected:?}");
            }
        }
        assert!(numbers(&index, "").is_empty() && numbers(&index, "window").is_empty());
        assert_eq!(scored(&index, "open", Arc::new(|number| number == 3)).len(), 1);
    }

    #[test]
    fn signatures_are_kept_of_each_and_in_each_part_of_an_index() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = [folder.path().join("texts")];
        let told = |documents: &[&'static str], wanted: &[u32]| {
            let asked = Asked { question: "open", count: 10, wanted: all() };
            let worded = best(&place, &Listed(documents.to_vec()), &asked).expect("an index");
            let mut told: Vec<(u32, String)> =
                worded.signatures(|number| wanted.contains(&number)).into_iter().collect();
            told.sort_unstable();
            told
        };
        let more = ["// none", "fn zoom(far: u8) {", "fn open() { far() }", "fn zoom(far: u8) { near() }"];
        let expected = [(1, "fn zoom far u 8"), (2, "fn open"), (3, "fn zoom far u 8")];
        let expected = expected.map(|(number, words)| (number, words.to_owned()));
        assert_eq!(told(&more[..2], &[0, 1, 7]), expected[..1]);
        assert_eq!(told(&more, &[0, 1, 2, 3]), expected, "of two parts");
        assert_eq!(told(&more, &[2]), expected[1..2]);
    }

    #[test]
    fn an_index_without_signatures_is_made_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("texts");
        fs::create_dir(&place).expect("made");
        let source = Listed(DOCUMENTS.into());
        // As it was made before: other columns, by another maker, of the same documents.
        let mut before = Schema::builder();
        before.add_u64_field(NUMBER, FAST);
        let index = Index::create_in_dir(&place, before.build()).expect("an index");
        let mut writer: IndexWriter<TantivyDocument> = index.writer_with_num_threads(1, 15 << 20).expect("a writer");
        let mut commit = writer.prepare_commit().expect("a commit");
        let seal = Seal { maker: "words-1".to_owned(), ..Seal::of(&source).expect("readable") };
        commit.set_payload(&serde_json::to_string(&seal).expect("JSON"));
        commit.commit().expect("written");
        drop(writer);
        let asked = Asked { question: "open", count: 10, wanted: all() };
        let worded = best(&[place], &source, &asked).expect("an index");
        assert_eq!(worded.best.len(), 3);
        assert_eq!(worded.signatures(|number| number == 1)[&1], "fn open socket address");
    }

    #[test]
    fn what_is_new_is_added_and_what_is_other_is_made_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("texts");
        let open =
            |documents: &[&'static str]| WordIndex::open(Some(&place), &Listed(documents.to_vec())).expect("an index");
        assert_eq!(numbers(&open(&DOCUMENTS[..2]), "open"), [0, 1]);
        assert_eq!(numbers(&open(&DOCUMENTS), "file"), [0, 2]);
        let (index, held) =
            WordIndex::existing(&place, &Listed(DOCUMENTS.into())).expect("readable").expect("it is there");
        assert_eq!(
            (held, index.load_metas().expect("metas").segments.len()),
            (Held::All, 2),
            "the first two were not made again"
        );
        // Another store, and one that is shorter than what was indexed.
        assert_eq!(numbers(&open(&["a window", "open"]), "open"), [1]);
        assert_eq!(numbers(&open(&["a window"]), "open"), [0u32; 0]);
    }

    /// Documents that take a while to read, and how many were read.
    struct Slow(Listed, AtomicU32);

    impl Source for Slow {
        fn count(&self) -> u32 {
            self.0.count()
        }

        fn files(&self) -> Vec<String> {
            self.0.files()
        }

        fn mark(&self, count: u32) -> Result<String, StoreError> {
            self.0.mark(count)
        }

        fn add(&self, numbers: std::ops::Range<u32>, sink: &mut Sink<'_>) -> Result<(), LexiconError> {
            self.1.fetch_add(numbers.len() as u32, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(100));
            self.0.add(numbers, sink)
        }
    }

    #[test]
    fn of_several_searches_at_once_one_counts_words_and_all_find_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("texts");
        // Nothing is there at first, and then an index that is behind.
        for (count, read) in [(2, 2), (DOCUMENTS.len(), 2)] {
            let source = Slow(Listed(DOCUMENTS[..count].to_vec()), AtomicU32::new(0));
            let exact = numbers(&WordIndex::open(None, &source.0).expect("an index"), "open file");
            thread::scope(|scope| {
                let search = || numbers(&WordIndex::open(Some(&place), &source).expect("an index"), "open file");
                let searches: Vec<_> = (0..4).map(|_| scope.spawn(search)).collect();
                for search in searches {
                    assert_eq!(search.join().expect("an answer"), exact, "{count} documents");
                }
            });
            assert_eq!(source.1.into_inner(), read, "{count} documents");
        }
    }

    #[test]
    fn damage_that_does_not_show_is_made_good_when_it_is_met() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("texts");
        let source = Listed(DOCUMENTS.into());
        let asked = Asked { question: "open", count: 10, wanted: all() };
        let ask = || best(std::slice::from_ref(&place), &source, &asked).expect("a readable source").best;
        let expected = ask();
        let of_kind = |kind: &str| {
            let mut files = fs::read_dir(&place).expect("a folder").map(|entry| entry.expect("an entry").path());
            files.find(|file| file.extension().is_some_and(|end| end == kind)).expect("a file of this kind")
        };
        for kind in ["idx", "term", "fast", "fieldnorm"] {
            // Made anew by the round before, under another name.
            let file = of_kind(kind);
            let (length, changed) = looks::look(&file).expect("a file");
            fs::write(&file, vec![0; length as usize]).expect("written");
            let changed = std::time::UNIX_EPOCH + Duration::from_nanos(changed);
            File::options().append(true).open(&file).and_then(|file| file.set_modified(changed)).expect("set back");
            assert_eq!(ask(), expected, "{kind}");
            assert_ne!(of_kind(kind), file, "it was made again");
        }
    }

    #[test]
    fn damage_is_made_good() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("texts");
        let source = Listed(DOCUMENTS.into());
        let expected = numbers(&WordIndex::open(Some(&place), &source).expect("an index"), "open");
        let files: Vec<std::path::PathBuf> =
            fs::read_dir(&place).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
        // A file that looks as it did is not looked at again, which is what these do not.
        for file in files.iter().filter(|file| file.is_file() && !file.ends_with(CHECKED)) {
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
