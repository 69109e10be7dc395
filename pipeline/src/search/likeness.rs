//! Likeness: what words of names are like words of a question, and what the nearest have in common.

use std::borrow::Cow;

use precedent_model::{EmbedError, Embedder, Embedding};
use rustc_hash::FxHashMap;

use super::vector::header_words;
use super::words::telling_words;

/// The words of a question, which words of names and places are compared with.
pub(crate) struct Kin<'e> {
    embedder: &'e dyn Embedder,
    /// Of each word its unit vector, and what it weighs in a question.
    asked: Vec<(Vec<f32>, f32)>,
    /// Words that were met.
    met: FxHashMap<String, Met>,
}

/// How alike each word of the question is to a word, and what that weighs in a text.
struct Met {
    alike: Vec<f32>,
    weight: f32,
}

/// How the words of a candidate and those of the question are like each other, 0 to 1.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kinship {
    /// How much of the question its name, its place and its signature say.
    pub akin: f32,
    /// How much of its signature the question says.
    pub declared: f32,
    /// How much of the question its container says.
    pub container_akin: f32,
    /// How much of its container the question says.
    pub container_said: f32,
}

impl<'e> Kin<'e> {
    /// # Errors
    /// An embedder that cannot go on.
    pub(crate) fn of(embedder: &'e dyn Embedder, question: &str) -> Result<Kin<'e>, EmbedError> {
        let mut asked = Vec::new();
        // A model that cannot tell of names has none.
        let is_sum = embedder.header("").is_some();
        for word in if is_sum { telling_words(question) } else { Vec::new() } {
            let Embedding { unit, norm } = embedder.query(&word)?;
            asked.push((unit, norm));
        }
        Ok(Kin { embedder, asked, met: FxHashMap::default() })
    }

    /// How a candidate is like the question; `signature` are the words of its signature.
    pub(crate) fn with(&mut self, name: &str, container: &str, path: &str, signature: &str) -> Kinship {
        if self.asked.is_empty() {
            return Kinship::default();
        }
        let place = format!("{name} {container} {} {signature}", header_words(path, ""));
        let [(akin, _), (_, declared), (container_akin, container_said)] =
            [place.as_str(), signature, container].map(|words| self.alike(words));
        Kinship { akin, declared, container_akin, container_said }
    }

    /// How much of the question some words say, and how much of them the question says: each word by the nearest of the others,
    /// weighed, 0 to 1.
    fn alike(&mut self, words: &str) -> (f32, f32) {
        let Kin { embedder, asked, met } = self;
        let mut best = vec![0.0f32; asked.len()];
        let (mut said, mut weights) = (0.0, 0.0);
        for word in telling_words(words) {
            let Met { alike, weight } = met.entry(word).or_insert_with_key(|word| {
                let vector = embedder.header(word).unwrap_or_default();
                let weight = dot(&vector, &vector).sqrt();
                let alike = asked.iter().map(|(unit, _)| dot(unit, &vector) / weight.max(f32::MIN_POSITIVE));
                Met { alike: alike.collect(), weight }
            });
            best.iter_mut().zip(alike.iter()).for_each(|(best, alike)| *best = best.max(*alike));
            said += *weight * alike.iter().fold(0.0f32, |best, alike| best.max(*alike));
            weights += *weight;
        }
        let all: f32 = asked.iter().map(|(_, weight)| weight).sum();
        let akin: f32 = asked.iter().zip(&best).map(|((_, weight), alike)| weight * alike).sum();
        let share = |part: f32, all: f32| if all > 0.0 { part / all } else { 0.0 };
        (share(akin, all), share(said, weights))
    }
}

/// How many of the nearest have something in common.
const NEAREST: usize = 10;

/// Of so many vectors, by number, the similarity with the mean of those nearest to the question. What has no vector is like
/// nothing.
pub(crate) fn in_common<'v>(
    question: &[f32],
    count: usize,
    vector: impl Fn(usize) -> Option<Cow<'v, [f32]>>,
) -> Vec<f32> {
    if question.iter().all(|value| *value == 0.0) {
        return vec![0.0; count];
    }
    let mut nearest: Vec<(usize, f32)> =
        (0..count).filter_map(|at| vector(at).map(|vector| (at, dot(question, &vector)))).collect();
    nearest.sort_unstable_by(|one, two| two.1.total_cmp(&one.1).then(one.0.cmp(&two.0)));
    let mut mean = vec![0.0; question.len()];
    for vector in nearest.into_iter().take(NEAREST).filter_map(|(at, _)| vector(at)) {
        mean.iter_mut().zip(&*vector).for_each(|(sum, value)| *sum += value);
    }
    let length = dot(&mean, &mean).sqrt().max(f32::MIN_POSITIVE);
    (0..count).map(|at| vector(at).map_or(0.0, |vector| dot(&mean, &vector) / length)).collect()
}

/// Eight sums side by side, which the compiler turns into vector instructions.
fn dot(one: &[f32], two: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    let (ones, twos) = (one.chunks_exact(8), two.chunks_exact(8));
    let tail: f32 = ones.remainder().iter().zip(twos.remainder()).map(|(one, two)| one * two).sum();
    for (ones, twos) in ones.zip(twos) {
        for lane in 0..8 {
            sums[lane] += ones[lane] * twos[lane];
        }
    }
    sums.iter().sum::<f32>() + tail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_said_by_its_words_and_by_words_like_them() {
        let table = precedent_model::Table::built_in();
        let mut kin = Kin::of(&table, "how to remove a directory").expect("because the table takes any text");
        let [same, like, other, none] =
            ["remove_directory", "delete_folder", "paint_colour", ""].map(|it| kin.alike(it).0);
        assert!((same - 1.0).abs() < 1e-3, "{same}");
        assert!(same > like && like > other && other > none, "{like} {other} {none}");
        let said = |words: &str| kin.alike(words).1;
        let [same, like, more, none] =
            ["remove_directory", "delete_folder", "remove_directory_paint_colour", ""].map(said);
        assert!((same - 1.0).abs() < 1e-3 && same > like && like > more && more > none, "{same} {like} {more} {none}");
        assert_eq!(Kin::of(&table, "").expect("the same").alike("remove"), (0.0, 0.0));
    }

    #[test]
    fn a_signature_says_what_a_name_and_a_place_do_not() {
        let table = precedent_model::Table::built_in();
        let mut kin = Kin::of(&table, "remove a directory").expect("because the table takes any text");
        let bare = kin.with("apply", "Disk", "src/fs.rs", "");
        let told = kin.with("apply", "Disk", "src/fs.rs", "apply directory remove options");
        assert!(told.akin > bare.akin + 0.2, "{told:?} {bare:?}");
        assert!(told.declared > 0.0 && bare.declared == 0.0, "{told:?} {bare:?}");
        let within = kin.with("apply", "Directory", "src/fs.rs", "");
        assert!(
            within.container_akin > bare.container_akin && within.container_said > bare.container_said,
            "{within:?}"
        );
    }

    #[test]
    fn what_the_nearest_have_in_common_is_their_mean() {
        // Eleven near the question, of which the last is the farthest, and two that have nothing to do with them.
        let near = |at: usize| vec![1.0, 0.01 * at as f32, 0.0];
        let mut vectors: Vec<Option<Vec<f32>>> = (0..11).map(|at| Some(near(at))).collect();
        vectors.extend([None, Some(vec![0.0, 0.0, 1.0])]);
        let get = |at: usize| vectors[at].as_deref().map(Cow::Borrowed);
        let common = in_common(&[1.0, -0.5, 0.0], vectors.len(), get);
        let mean = [1.0, 0.045];
        let length = (1.0f32 + 0.045 * 0.045).sqrt();
        for (at, common) in common[..11].iter().enumerate() {
            assert!((common - (mean[0] + mean[1] * 0.01 * at as f32) / length).abs() < 1e-5, "{at}: {common}");
        }
        assert_eq!(common[11..], [0.0; 2]);
        assert_eq!(in_common(&[0.0; 3], vectors.len(), get), [0.0; 13], "no word of the question is known");
    }
}
