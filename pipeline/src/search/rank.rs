//! Rank: what was found by meaning, by words and by history, in one order.
//!
//! A candidate's score is the sum of its [signals](SIGNALS), each about 0 to 1, weighed by the kind of the question, and for
//! questions in words what [`trees`] make of them. Both were chosen on development repositories: docs/ranking.md.

use std::cell::RefCell;
use std::sync::Arc;

use precedent_model::Embedder;
use rustc_hash::FxHashMap;

use super::likeness::Kinship;
use super::past::{Deeds, Past, Votes};
use super::question::{Question, QuestionKind};
use super::words::{is_empty, telling_stems};
use super::{trees, weights};
use crate::archive::Known;
use crate::syntax::Kind;

/// How many of each side count: those behind have 0 there.
pub const SIDE: usize = 100;

/// Files that are candidates because commits speak for them, and nodes of each.
const VOTED_FILES: usize = 30;
const VOTED_NODES: usize = 4;

/// What a candidate is judged by.
pub const SIGNALS: [&str; 28] = [
    "meaning",
    "words",
    "definition",
    "named",
    "called",
    "path",
    "container",
    "coherence",
    "apart",
    "callable",
    "size",
    "said",
    "said-file",
    "churn",
    "churn-file",
    "recent",
    "recent-file",
    "mended",
    "private",
    "prose",
    "akin",
    "common",
    "declared",
    "container-akin",
    "container-said",
    "covered",
    "similar",
    "kind",
];

/// The signals of one candidate, in the order of [`SIGNALS`].
pub type Signals = [f32; SIGNALS.len()];

/// A node that may be what is asked for.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The path.
    pub path: Arc<str>,
    /// Qualified name inside the file.
    pub symbol: Arc<str>,
    /// The enclosing container.
    pub container: Arc<str>,
    /// Its own name.
    pub name: Arc<str>,
    /// The kind of node.
    pub kind: Arc<str>,
    /// How many lines it has.
    pub lines: u32,
    /// Cosine similarity with the question, if it is among the nearest.
    pub similarity: Option<f32>,
    /// BM25, if it is among the best.
    pub words: Option<f32>,
    /// Its BM25 as a share of the most that a text could have.
    pub covered: f32,
    /// Cosine similarity of its name with the question, if the model can tell.
    pub called: f32,
    /// How its words and those of the question are like each other.
    pub kinship: Kinship,
    /// Cosine similarity with what the nearest have in common.
    pub common: f32,
}

/// What history says, for the signals.
pub struct Told<'a> {
    /// All edits.
    pub past: &'a Past<'a>,
    /// Which of them count.
    pub known: &'a Known,
    /// The commit asked at, by number.
    pub tip: u32,
    /// What commits that speak of the question touched.
    pub votes: &'a Votes,
}

/// The signals of every candidate. They depend on each other: sides are scaled by their best, files by their nodes.
pub(crate) fn signals(question: &Question, candidates: &[Candidate], told: Option<&Told<'_>>) -> Vec<Signals> {
    let meaning = side(candidates, |candidate| candidate.similarity);
    let words = side(candidates, |candidate| candidate.words);
    let mut of_file: FxHashMap<&str, f32> = FxHashMap::default();
    let base = |at: usize| 0.6 * meaning[at] + 0.4 * words[at];
    for (at, candidate) in candidates.iter().enumerate() {
        *of_file.entry(&candidate.path).or_default() += base(at);
    }
    let most = of_file.values().fold(f32::MIN_POSITIVE, |most, sum| most.max(*sum));
    let history = told.map(History::new);
    let prefers_functions =
        !question.about_documents && (question.kinds.is_empty() || question.kinds.contains(&Kind::Function));
    let rows = candidates.iter().enumerate().map(|(at, candidate)| {
        let [definition, named] = name_matches(question, candidate);
        let [said, said_file, churn, churn_file, recent, recent_file, mended] =
            history.as_ref().map_or([0.0; 7], |history| history.of(candidate));
        [
            meaning[at],
            words[at],
            definition,
            named,
            candidate.called,
            share_of(question, path_words(&candidate.path)),
            share_of(question, &candidate.container),
            // What the rest of the file adds.
            (of_file[&*candidate.path] - base(at)) / most,
            f32::from(u8::from(
                !question.about_tests && stands_apart(&candidate.kind, &candidate.path, &candidate.container),
            )),
            f32::from(u8::from(prefers_functions && &*candidate.kind == "function")),
            (1.0 + candidate.lines as f32).ln() / 8.0,
            said,
            said_file,
            churn,
            churn_file,
            recent,
            recent_file,
            mended,
            f32::from(u8::from(candidate.name.starts_with('_'))),
            f32::from(u8::from(!question.about_documents && is_prose(&candidate.kind))),
            candidate.kinship.akin,
            candidate.common,
            candidate.kinship.declared,
            candidate.kinship.container_akin,
            candidate.kinship.container_said,
            candidate.covered,
            candidate.similarity.unwrap_or(0.0),
            f32::from(u8::from(question.kinds.iter().any(|kind| kind.as_str() == &*candidate.kind))),
        ]
    });
    rows.collect()
}

/// How alike a name and a question are, from -1 to 1; 0 where the model cannot tell.
pub(crate) fn called(embedder: &dyn Embedder, name: &str, query: &[f32]) -> f32 {
    let Some(vector) = embedder.header(name) else { return 0.0 };
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    let product: f32 = vector.iter().zip(query).map(|(one, two)| one * two).sum();
    if length > 0.0 { product / length } else { 0.0 }
}

/// The candidates in order, best first, with their scores. Each further node of a file loses `decay`, so that one file does
/// not fill the page.
pub(crate) fn order(
    kind: QuestionKind,
    decay: f32,
    candidates: &[Candidate],
    signals: &[Signals],
) -> Vec<(usize, f32)> {
    let mut scores = sums(&weights::of(kind), signals);
    if kind == QuestionKind::Words {
        scores.iter_mut().zip(trees::corrections(signals)).for_each(|(score, correction)| *score += correction);
    }
    in_order(scores, decay, candidates)
}

/// The sum of each candidate's signals.
pub fn sums(weights: &Signals, signals: &[Signals]) -> Vec<f32> {
    signals.iter().map(|row| row.iter().zip(weights).map(|(signal, weight)| signal * weight).sum()).collect()
}

fn in_order(scores: Vec<f32>, decay: f32, candidates: &[Candidate]) -> Vec<(usize, f32)> {
    let best_first = |one: &(usize, f32), two: &(usize, f32)| {
        let place = |at: usize| (&candidates[at].path, &candidates[at].symbol, candidates[at].lines);
        two.1.total_cmp(&one.1).then_with(|| place(one.0).cmp(&place(two.0))).then(one.0.cmp(&two.0))
    };
    let mut scored: Vec<(usize, f32)> = scores.into_iter().enumerate().collect();
    scored.sort_by(best_first);
    let mut seen: FxHashMap<&str, f32> = FxHashMap::default();
    for (at, score) in &mut scored {
        let before = seen.entry(&candidates[*at].path).or_default();
        *score -= decay * before.min(4.0);
        *before += 1.0;
    }
    scored.sort_by(best_first);
    scored
}

/// What either side found, each once: the place, its similarity and its BM25. `voted` come last.
pub(crate) fn pool(near: &[(u32, f32)], worded: &[(u32, f32)], voted: &[u32]) -> Vec<(u32, Option<f32>, Option<f32>)> {
    let mut at: FxHashMap<u32, usize> = FxHashMap::default();
    let mut pool: Vec<(u32, Option<f32>, Option<f32>)> = Vec::new();
    let mut slot = |pool: &mut Vec<(u32, Option<f32>, Option<f32>)>, place: u32| {
        *at.entry(place).or_insert_with(|| {
            pool.push((place, None, None));
            pool.len() - 1
        })
    };
    for (place, score) in near {
        let slot = slot(&mut pool, *place);
        pool[slot].1 = Some(*score);
    }
    for (place, score) in worded {
        let slot = slot(&mut pool, *place);
        pool[slot].2 = Some(*score);
    }
    for place in voted {
        slot(&mut pool, *place);
    }
    pool
}

/// Places that commits speak for: the most touched files, and in each the most touched nodes. `places` gives the places
/// in a file, by path.
pub(crate) fn voted(votes: &Votes, places: impl Fn(&Arc<str>) -> Vec<(u32, Arc<str>)>) -> Vec<u32> {
    let mut files: Vec<(&Arc<str>, f32)> = votes.files.iter().map(|(path, vote)| (path, *vote)).collect();
    files.sort_by(|one, two| two.1.total_cmp(&one.1).then_with(|| one.0.cmp(two.0)));
    let mut voted = Vec::new();
    for (path, _) in files.into_iter().take(VOTED_FILES) {
        let vote = |symbol: &Arc<str>| votes.nodes.get(&(path.clone(), symbol.clone())).copied().unwrap_or(0.0);
        let mut nodes: Vec<(u32, f32)> =
            places(path).into_iter().map(|(place, symbol)| (place, vote(&symbol))).collect();
        nodes.sort_by(|one, two| two.1.total_cmp(&one.1).then(one.0.cmp(&two.0)));
        voted.extend(nodes.into_iter().take(VOTED_NODES).map(|(place, _)| place));
    }
    voted
}

/// Scores from 0 for the last of a side to 1 for its first.
fn side(candidates: &[Candidate], score: impl Fn(&Candidate) -> Option<f32>) -> Vec<f32> {
    let mut sorted: Vec<f32> = candidates.iter().filter_map(&score).collect();
    sorted.sort_unstable_by(|one, two| two.total_cmp(one));
    let best = sorted.first().copied().unwrap_or(0.0);
    let worst = sorted.get(SIDE - 1).or(sorted.last()).copied().unwrap_or(0.0);
    // One alone is the best of its side.
    let range = best - worst;
    let scaled = |score: f32| if range > 0.0 { ((score - worst) / range).max(0.0) } else { 1.0 };
    candidates.iter().map(|candidate| score(candidate).map_or(0.0, scaled)).collect()
}

/// How much a name counts that has other capitals than a question that is a name, and one that has only its words.
const OTHER_CAPITALS: f32 = 0.5;
const OTHER_SPELLING: f32 = 0.4;
/// How much an `impl` counts for such a question: what it is about is defined elsewhere.
const IMPL: f32 = 0.3;

/// Whether the question spells the name, and how much of the name's words it holds, less for a name of one word.
fn name_matches(question: &Question, candidate: &Candidate) -> [f32; 2] {
    let spells = |name: &str, symbol: &str, word: &str| {
        let (symbol, word) = (symbol.replace("::", "."), word.replace("::", "."));
        !name.is_empty() && (word == name || symbol == word || symbol.ends_with(&format!(".{word}")))
    };
    let (name, symbol) = (candidate.name.to_lowercase(), candidate.symbol.to_lowercase());
    let is_spelt = question.spelt.iter().any(|word| spells(&name, &symbol, &word.to_lowercase()));
    let stems = telling_stems(&candidate.name);
    let held = stems.iter().filter(|stem| question.stems.contains(stem)).count() as f32;
    let share = if stems.is_empty() { 0.0 } else { held / (stems.len() as f32 + 0.5) };
    if question.kind != QuestionKind::Symbol {
        return [f32::from(u8::from(is_spelt)), share];
    }
    let is_exact = || question.spelt.iter().any(|word| spells(&candidate.name, &candidate.symbol, word));
    let spelling = match () {
        () if is_spelt && is_exact() => 1.0,
        () if is_spelt => OTHER_CAPITALS,
        () if !stems.is_empty() && stems == question.stems => OTHER_SPELLING,
        () => 0.0,
    };
    [if &*candidate.kind == "impl" { IMPL * spelling } else { spelling }, share]
}

/// The share of some words that the question holds.
fn share_of(question: &Question, words: &str) -> f32 {
    let stems = telling_stems(words);
    let held = stems.iter().filter(|stem| !is_empty(stem) && question.stems.contains(stem)).count();
    held as f32 / stems.len().max(1) as f32
}

/// The last directory and the file's stem.
fn path_words(path: &str) -> &str {
    let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
    let start = stem.rmatch_indices('/').nth(1).map_or(0, |(at, _)| at + 1);
    &stem[start..]
}

/// Whether a node is a test, an example, a benchmark or the like, by its kind, its path or its container.
pub fn stands_apart(kind: &str, path: &str, container: &str) -> bool {
    const FOLDERS: [&str; 22] = [
        "__tests__",
        "bench",
        "benches",
        "benchmark",
        "benchmarks",
        "demo",
        "demos",
        "e2e",
        "example",
        "examples",
        "fixture",
        "fixtures",
        "mock",
        "mocks",
        "sample",
        "samples",
        "spec",
        "specs",
        "test",
        "testdata",
        "testing",
        "tests",
    ];
    let is_folder = |part: &str| {
        FOLDERS.contains(&part) || part.ends_with("-tests") || part.ends_with("-test") || part.ends_with("_tests")
    };
    let lower = path.to_lowercase();
    let (folders, file) = lower.rsplit_once('/').unwrap_or(("", &lower));
    let stem = file.split_once('.').map_or(file, |(stem, _)| stem);
    kind == "test"
        || folders.split('/').any(is_folder)
        || is_folder(stem)
        || stem.starts_with("test_")
        || ["_test", "_tests", "_spec", "_bench", "-test"].iter().any(|end| stem.ends_with(end))
        || [".test.", ".spec."].iter().any(|part| file.contains(part))
        || container.split("::").any(|part| matches!(part, "tests" | "test" | "bench" | "benches"))
        || ["Test", "Tests", "TestCase"].iter().any(|end| stem_of(path).ends_with(end))
}

/// Whether a node is a section of a document, or lines that define nothing.
fn is_prose(kind: &str) -> bool {
    matches!(kind, "section" | "run")
}

fn stem_of(path: &str) -> &str {
    let file = path.rsplit_once('/').map_or(path, |(_, file)| file);
    file.split_once('.').map_or(file, |(stem, _)| stem)
}

/// What is told of paths, each looked up once.
struct History<'a> {
    told: &'a Told<'a>,
    paths: RefCell<FxHashMap<Arc<str>, Arc<super::past::FileDeeds>>>,
}

impl<'a> History<'a> {
    fn new(told: &'a Told<'a>) -> History<'a> {
        History { told, paths: RefCell::default() }
    }

    /// said, said-file, churn, churn-file, recent, recent-file, mended.
    fn of(&self, candidate: &Candidate) -> [f32; 7] {
        let Told { past, known, tip, votes } = self.told;
        let mut at = |path: &Arc<str>| {
            let mut paths = self.paths.borrow_mut();
            paths.entry(path.clone()).or_insert_with(|| Arc::new(past.at_path(path, known))).clone()
        };
        let node = past.of_node(&candidate.path, &candidate.symbol, known, &mut at);
        let file = past.of_file(&candidate.path, known, &mut at);
        let name = (candidate.path.clone(), candidate.symbol.clone());
        let vote = |vote: Option<&f32>| vote.copied().unwrap_or(0.0);
        [
            vote(votes.nodes.get(&name)),
            vote(votes.files.get(&candidate.path)),
            churn(node),
            churn(file),
            recent(node, *tip),
            recent(file, *tip),
            node.mends as f32 / (node.edits + 1) as f32,
        ]
    }
}

/// From 0 for one edit or none to 1 for a few hundred.
fn churn(deeds: Deeds) -> f32 {
    (deeds.edits.max(1) as f32).ln() / 6.0
}

/// From 1 for the latest commit to 0 for the first.
fn recent(deeds: Deeds, tip: u32) -> f32 {
    if deeds.last == 0 {
        return 0.0;
    }
    let since = tip.saturating_sub(deeds.last - 1) as f32;
    1.0 - (1.0 + since).ln() / (2.0 + tip as f32).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(path: &str, symbol: &str, similarity: f32, words: f32) -> Candidate {
        let (container, name) = symbol.rsplit_once("::").unwrap_or(("", symbol));
        Candidate {
            path: path.into(),
            symbol: symbol.into(),
            container: container.into(),
            name: name.into(),
            kind: "function".into(),
            lines: 3,
            similarity: Some(similarity),
            words: Some(words),
            covered: words / 10.0,
            called: 0.0,
            kinship: Kinship::default(),
            common: 0.0,
        }
    }

    #[track_caller]
    fn first(question: &str, candidates: &[Candidate]) -> String {
        let question = Question::new(question);
        let signals = signals(&question, candidates, None);
        candidates[order(question.kind, weights::FILE_DECAY, candidates, &signals)[0].0].symbol.to_string()
    }

    #[test]
    fn a_name_finds_its_definition_before_its_uses() {
        let all = [
            candidate("a.rs", "caller", 0.9, 9.0),
            candidate("b.rs", "Buffer::roll", 0.5, 5.0),
            candidate("c.rs", "z", 0.1, 0.1),
        ];
        assert_eq!(first("Buffer::roll", &all), "Buffer::roll");
        assert_eq!(first("roll", &all), "Buffer::roll");
    }

    #[test]
    fn tests_come_last_unless_asked_for() {
        let all = [
            candidate("src/a.rs", "one", 0.50, 5.0),
            candidate("tests/a.rs", "two", 0.51, 5.1),
            candidate("c.rs", "z", 0.1, 0.1),
        ];
        assert_eq!(first("what opens the door", &all), "one");
        assert_eq!(first("tests of what opens the door", &all), "two");
    }

    #[test]
    fn a_type_comes_before_what_is_made_for_it_and_before_names_like_it() {
        let of_kind = |kind: &str, symbol: &str, name: &str, words| Candidate {
            kind: kind.into(),
            name: name.into(),
            ..candidate("a.rs", symbol, words / 10.0, words)
        };
        let all = [
            of_kind("impl", "impl Buffer", "Buffer", 9.0),
            of_kind("struct", "Buffered", "Buffered", 8.0),
            of_kind("function", "Config::buffer", "buffer", 8.0),
            of_kind("struct", "Buffer", "Buffer", 5.0),
            candidate("b.rs", "z", 0.1, 1.0),
        ];
        assert_eq!(first("Buffer", &all), "Buffer");
        assert_eq!(first("buffer", &all), "Config::buffer");
        assert_eq!(first("impl Buffer", &all[..1]), "impl Buffer");
    }

    #[test]
    fn a_name_of_one_letter_comes_first_after_the_word_for_a_kind() {
        let all = [candidate("a.rs", "b", 0.6, 5.0), candidate("a.rs", "a", 0.5, 4.0)];
        assert_eq!(first("function a", &all), "a");
    }

    #[test]
    fn documents_come_last_unless_asked_for() {
        let section = Candidate { kind: "section".into(), ..candidate("README.md", "two", 0.55, 5.5) };
        let all = [candidate("src/a.rs", "one", 0.50, 5.0), section, candidate("c.rs", "z", 0.1, 0.1)];
        assert_eq!(first("what opens the door", &all), "one");
        assert_eq!(first("documentation of what opens the door", &all), "two");
    }

    #[test]
    fn a_kind_that_is_asked_for_comes_first() {
        let holder = Candidate { kind: "struct".into(), ..candidate("b.rs", "Options", 0.50, 5.0) };
        let all = [candidate("a.rs", "options", 0.55, 5.5), holder, candidate("c.rs", "z", 0.1, 0.1)];
        assert_eq!(first("what holds the options of the door", &all), "options");
        assert_eq!(first("struct that holds the options of the door", &all), "Options");
    }

    #[test]
    fn what_stands_apart_is_known_by_its_place() {
        let check = |path: &str, symbol: &str, expected: bool| {
            let Candidate { kind, path, container, .. } = candidate(path, symbol, 0.0, 0.0);
            assert_eq!(stands_apart(&kind, &path, &container), expected, "{path} {symbol}");
        };
        for path in [
            "tests/a.rs",
            "pkg/a_test.go",
            "test_a.py",
            "a.test.ts",
            "benches/b.rs",
            "x/examples/c.rs",
            "src/FooTest.php",
        ] {
            check(path, "f", true);
        }
        check("src/a.rs", "tests::f", true);
        check("src/latest.rs", "contest", false);
        check("src/attest/a.rs", "f", false);
    }

    #[test]
    fn sides_are_scaled_by_their_best_and_worst() {
        let all = [candidate("a", "a", 0.8, 1.0), candidate("b", "b", 0.6, 1.0), candidate("c", "c", 0.4, 1.0)];
        let meaning = side(&all, |one| one.similarity);
        assert!((meaning[1] - 0.5).abs() < 1e-6 && meaning[0] == 1.0 && meaning[2] == 0.0, "{meaning:?}");
        assert_eq!(side(&all, |one| one.words), [1.0; 3]);
        assert_eq!(side(&all, |_| None), [0.0; 3]);
    }

    #[test]
    fn a_file_does_not_fill_the_page() {
        let all: Vec<Candidate> =
            (0..3).map(|at| candidate(if at < 2 { "a" } else { "b" }, ["x", "y", "z"][at], 0.0, 0.0)).collect();
        let order: Vec<usize> = in_order(vec![1.0, 0.9, 0.85], 0.1, &all).iter().map(|(at, _)| *at).collect();
        assert_eq!(order, [0, 2, 1]);
    }
}
