//! Lexicon: the words of all texts and all messages of a store, in index files of their own.
//!
//! Two tantivy indexes, `lexical/texts` with a document a chunk and `lexical/messages` with one a commit. That of texts has
//! their signatures too, which ranking asks for of more texts than are read. Both are derived
//! from the tables, so nothing depends on them: what is missing, of another store, or damaged is made again, and what is
//! new is added. Scores are those of [`super::LexicalIndex`], but for lengths, which are rounded.

mod among;
mod documents;
mod hollow;
mod stems;

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use tantivy::collector::{FilterCollector, TopDocs};
use tantivy::query::{BooleanQuery, Occur, Query, TermQuery};
use tantivy::schema::{FAST, Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::TextAnalyzer;
use tantivy::{Index, IndexReader, IndexWriter, ReloadPolicy, TantivyDocument, Term};

use super::looks::{self, Looks};
use super::signature;
use super::words::{for_each_stem, telling_stems};
use crate::caught::caught;
use crate::shard::{Store, StoreError};
use among::Among;
use documents::{Messages, Source, Texts};
use stems::Stems;

pub(crate) use documents::messages_of;

/// The folder inside a store.
const FOLDER: &str = "lexical";
/// Names the way in which documents are made; another way is another index.
const MAKER: &str = "words-2";
/// How often a name counts.
pub(crate) const NAME_TIMES: f32 = 3.0;
/// Memory for documents that are not written yet, in bytes: enough that most stores are one segment.
const WRITER_BYTES: usize = 256 << 20;
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
    /// Those by which it is told how rare a word is, and how long a text.
    pub(super) among: Wanted,
}

/// What holds words of a question, by number, with BM25 scores, best first, and what it was found in.
pub(super) struct Worded {
    pub(super) best: Vec<(u32, f32)>,
    /// What a text would score that said nothing but the question, without end.
    most: f32,
    index: WordIndex,
}

impl Worded {
    /// A score as a share of the most that there could be.
    pub(super) fn share(&self, score: Option<f32>) -> f32 {
        score.unwrap_or(0.0) / self.most.max(f32::MIN_POSITIVE)
    }

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
    if let Ok((best, most)) = index.best(asked) {
        return Ok(Worded { best, most, index });
    }
    // Damage that left length and time of the files alone: they are looked at once more, and made again.
    for folder in folders {
        drop(fs::remove_file(folder.join(CHECKED)));
    }
    let index = open(folders, source)?;
    let (best, most) = index.best(asked).unwrap_or_default();
    Ok(Worded { best, most, index })
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
        let metas = index.load_metas()?;
        let Some(payload) = metas.payload else { return Ok(None) };
        let Ok(seal) = serde_json::from_str::<Seal>(&payload) else { return Ok(None) };
        // Room is made for as many documents as are stated: there are no more than the store has.
        let documents: u64 = metas.segments.iter().map(|segment| u64::from(segment.max_doc())).sum();
        if documents != u64::from(seal.count) || index.schema() != schema().0 {
            return Ok(None);
        }
        let Some(held) = seal.holds(source)? else { return Ok(None) };
        Ok((is_whole(folder, &index)? && hollow::are_sound(&index)?).then_some((index, held)))
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

    /// The wanted documents that hold words of the question, with their BM25 scores, best first; and the most that there could
    /// be.
    fn best(&self, asked: &Asked<'_>) -> Result<(Vec<(u32, f32)>, f32), LexiconError> {
        guarded(|| self.try_best(asked))
    }

    fn try_best(&self, asked: &Asked<'_>) -> Result<(Vec<(u32, f32)>, f32), LexiconError> {
        let terms: Vec<Term> =
            question_stems(asked.question).into_iter().map(|stem| Term::from_field_text(self.words, &stem)).collect();
        let searcher = self.reader.searcher();
        if terms.is_empty() || asked.count == 0 {
            return Ok((Vec::new(), 0.0));
        }
        let among = Among::of(&searcher, self.words, &*asked.among)?;
        if among.documents() == 0 {
            return Ok((Vec::new(), 0.0));
        }
        let wanted = Arc::clone(&asked.wanted);
        let wanted = move |number: u64| u32::try_from(number).is_ok_and(|number| wanted(number));
        let top = TopDocs::with_limit(asked.count).order_by_score();
        let top = FilterCollector::new(NUMBER.to_owned(), wanted, top);
        let query = |term: &Term| -> (Occur, Box<dyn Query>) {
            (Occur::Should, Box::new(TermQuery::new(term.clone(), IndexRecordOption::WithFreqs)))
        };
        let query = BooleanQuery::new(terms.iter().map(query).collect());
        let found = searcher.search_with_statistics_provider(&query, &top, &among)?;
        let mut best = Vec::with_capacity(found.len());
        for (score, address) in found {
            let numbers = searcher.segment_reader(address.segment_ord).fast_fields().u64(NUMBER)?;
            if let Some(number) = numbers.first(address.doc_id).and_then(|number| u32::try_from(number).ok()) {
                best.push((number, score));
            }
        }
        best.sort_by(|one: &(u32, f32), two| two.1.total_cmp(&one.1).then(one.0.cmp(&two.0)));
        Ok((best, among.most(&terms)?))
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
    caught(work).unwrap_or(Err(LexiconError::Panic))
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

#[cfg(test)]
mod tests;
