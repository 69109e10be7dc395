//! Tests of the index of words.

use std::sync::atomic::{AtomicU32, Ordering};

use super::documents::Sink;
use super::*;
use crate::search::LexicalIndex;
use crate::search::signature::signature_words;

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
    index.best(&Asked { question, count: 10, wanted, among: all() }).expect("a sound index").0
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
        let asked = Asked { question: "open", count: 10, wanted: all(), among: all() };
        let worded = best(&place, &Listed(documents.to_vec()), &asked).expect("an index");
        let mut told: Vec<(u32, String)> = worded.signatures(|number| wanted.contains(&number)).into_iter().collect();
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
    let asked = Asked { question: "open", count: 10, wanted: all(), among: all() };
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
    let (index, held) = WordIndex::existing(&place, &Listed(DOCUMENTS.into())).expect("readable").expect("it is there");
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
    let asked = Asked { question: "open", count: 10, wanted: all(), among: all() };
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

#[test]
fn what_is_not_among_those_that_are_searched_says_nothing_of_words() {
    // Of the first two documents alone, and of all as far as they are those two: the score of the formula either way.
    let alone = WordIndex::open(None, &Listed(DOCUMENTS[..2].into())).expect("an index");
    let index = WordIndex::open(None, &Listed(DOCUMENTS.into())).expect("an index");
    let first: Wanted = Arc::new(|number| number < 2);
    for question in ["open files", "address", "name", "door", "日付"] {
        let expected = scored(&alone, question, all());
        let asked = Asked { question, count: 10, wanted: Arc::clone(&first), among: Arc::clone(&first) };
        assert_eq!(index.best(&asked).expect("a sound index").0, expected, "{question}");
        let none = Asked { question, count: 10, wanted: Arc::clone(&first), among: Arc::new(|_| false) };
        assert_eq!(index.best(&none).expect("a sound index").0, [], "{question}");
    }
    assert_ne!(scored(&index, "open", Arc::clone(&first)), scored(&alone, "open", all()), "of all they are others");
}
