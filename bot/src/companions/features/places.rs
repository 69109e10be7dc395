//! Places: how a candidate's path stands to those that a change touches. Pure.

use precedent_pipeline::syntax::Kind;
use rustc_hash::FxHashMap;

use super::wording::rarity;
use crate::companions::ledger::Ledger;
use crate::companions::names;
use crate::companions::question::Question;

fn directory(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

pub(super) fn extension(path: &str) -> &str {
    path.rsplit('/').next().and_then(|file| file.rsplit_once('.')).map_or("", |(_, extension)| extension)
}

/// The files of a change, by what places are compared by.
pub(super) struct Paths<'a>(Vec<Path<'a>>);

struct Path<'a> {
    path: &'a str,
    directory: &'a str,
    parts: usize,
    stem: String,
}

impl<'a> Path<'a> {
    fn of(path: &'a str) -> Path<'a> {
        Path { path, directory: directory(path), parts: path.split('/').count(), stem: names::file_stem(path) }
    }
}

impl<'a> Paths<'a> {
    pub(super) fn of(question: &'a Question) -> Paths<'a> {
        Paths(question.files.iter().map(|(_, path)| Path::of(path)).collect())
    }

    /// Same directory, the share of the path that is common, same stem: the best over the change's files.
    pub(super) fn columns(&self, path: &str) -> [f32; 3] {
        let mut columns = [0f32; 3];
        let one = Path::of(path);
        for other in &self.0 {
            let common = path.split('/').zip(other.path.split('/')).take_while(|(one, two)| one == two).count();
            let most = one.parts.max(other.parts);
            columns[0] = columns[0].max(f32::from(u8::from(one.directory == other.directory)));
            columns[1] = columns[1].max(common as f32 / most as f32);
            columns[2] = columns[2].max(f32::from(u8::from(other.path != path && other.stem == one.stem)));
        }
        columns
    }
}

/// Whether a node, or with an empty kind a file, is of the tests, by its kind and path.
pub fn is_test(kind: &str, path: &str) -> bool {
    kind == Kind::Test.as_str()
        || path.starts_with("tests/")
        || path.contains("/tests/")
        || path.contains("test_")
        || path.contains("_test.")
}

/// The words of the paths of a change's files, and how rare each is among the candidates.
pub(super) struct PathWords {
    seen: Vec<Vec<u32>>,
    rarity: FxHashMap<u32, f32>,
}

impl PathWords {
    pub(super) fn of(ledger: &Ledger, question: &Question, ids: &[u32]) -> PathWords {
        let mut counts: FxHashMap<u32, u32> = FxHashMap::default();
        for id in ids {
            for word in names::words(&ledger.files[*id as usize].path) {
                *counts.entry(word).or_default() += 1;
            }
        }
        let rarity = counts.into_iter().map(|(word, count)| (word, rarity(ids.len(), count))).collect();
        PathWords { seen: question.files.iter().map(|(_, path)| names::words(path)).collect(), rarity }
    }

    /// The share of the words of a path, and of the likest one of the change, that both have, weighed by rarity.
    pub(super) fn of_path(&self, path: &str) -> f32 {
        let own = names::words(path);
        let weight = |words: &[u32]| words.iter().filter_map(|word| self.rarity.get(word)).sum::<f32>();
        let whole = weight(&own);
        let likeness = |other: &Vec<u32>| {
            let shared: Vec<u32> = own.iter().copied().filter(|word| other.binary_search(word).is_ok()).collect();
            let shared = weight(&shared);
            let all = whole + weight(other) - shared;
            if all > 0.0 { shared / all } else { 0.0 }
        };
        self.seen.iter().map(likeness).fold(0.0, f32::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_paths_that_few_have_say_most() {
        let rarity = ["src", "lib", "timeouts", "docs"]
            .map(|word| (names::hash(word), if word == "timeouts" { 4.0 } else { 1.0 }));
        let words = PathWords { seen: vec![names::words("src/timeouts")], rarity: rarity.into_iter().collect() };
        let (far, near, same) =
            (words.of_path("src/lib"), words.of_path("docs/timeouts"), words.of_path("src/timeouts"));
        assert!(0.0 < far && far < near && near < same && (same - 1.0).abs() < 1e-6, "{far} {near} {same}");
        assert_eq!(words.of_path("docs"), 0.0);
    }
}
