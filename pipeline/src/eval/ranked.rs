//! Ranked: some nodes, searched as search does, and by its parts alone.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use precedent_model::{Document, EmbedError, Embedder};
use rayon::prelude::*;

use super::figures::{Figures, Outcome};
use super::memory::{Memory, Recalled};
use super::{ByFile, EvalOptions, EvalReport, Gains, Judged};
use crate::chunker::Piece;
use crate::search::{
    Candidate, FILE_DECAY, Kin, Kinship, LexicalIndex, NAME_TIMES, Question, SIDE, SIGNALS, Signals, asks_history,
    header_words, in_common, order, pool, readable, signals, signature_words, voted,
};
use crate::shard::ObjectId;

/// What BM25 counts for in the plain hybrid; vectors count for the rest.
const LEXICAL_SHARE: f32 = 0.3;

/// A node that may be found.
pub(super) struct Node {
    pub(super) path: Arc<str>,
    pub(super) symbol: Arc<str>,
    pub(super) container: Arc<str>,
    pub(super) name: Arc<str>,
    pub(super) kind: Arc<str>,
    pub(super) lines: u32,
    pub(super) text: String,
}

impl Node {
    pub(super) fn of(path: Arc<str>, piece: Piece) -> Node {
        Node {
            path,
            symbol: piece.symbol.into(),
            container: piece.container.into(),
            name: piece.name.into(),
            kind: piece.kind.as_str().into(),
            lines: piece.end_line - piece.start_line + 1,
            text: piece.text,
        }
    }
}

/// Some of the nodes, by number.
#[derive(Clone)]
pub(super) struct Members(Vec<u64>);

impl Members {
    pub(super) fn of(numbers: impl IntoIterator<Item = u32>) -> Members {
        let mut words = Vec::new();
        for number in numbers {
            let word = number as usize / 64;
            if words.len() <= word {
                words.resize(word + 1, 0);
            }
            words[word] |= 1 << (number % 64);
        }
        Members(words)
    }

    pub(super) fn has(&self, number: u32) -> bool {
        self.0.get(number as usize / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }
}

/// Nodes, ready to be searched.
pub(super) struct Nodes<'e> {
    embedder: &'e dyn Embedder,
    nodes: &'e [Node],
    lexical: LexicalIndex,
    /// Unit vectors of text and name, and with the place; of the name alone, where the model can tell.
    plain: Vec<Vec<f32>>,
    placed: Vec<Vec<f32>>,
    by_path: HashMap<Arc<str>, Vec<u32>>,
    memory: Option<Memory<'e>>,
}

/// A query with its right answers.
pub(super) struct Asked {
    pub(super) text: String,
    pub(super) golds: Vec<u32>,
    /// Which nodes are searched.
    pub(super) tree: usize,
    /// The commit whose past is known.
    pub(super) at: ObjectId,
}

/// What one query gave, one list a way: search as it is, then the baselines.
struct Found {
    ways: [Vec<u32>; 4],
    files: Vec<Arc<str>>,
    question: Question,
    candidates: Vec<Candidate>,
    numbers: Vec<u32>,
    signals: Vec<Signals>,
}

impl<'e> Nodes<'e> {
    /// Embeds nodes and counts their words.
    ///
    /// # Errors
    /// An embedder that cannot go on. A node that fails alone has no vector, and is found by its words only.
    pub(super) fn new(
        embedder: &'e dyn Embedder,
        nodes: &'e [Node],
        memory: Option<Memory<'e>>,
    ) -> Result<Nodes<'e>, EmbedError> {
        let mut lexical = LexicalIndex::default();
        let mut by_path: HashMap<Arc<str>, Vec<u32>> = HashMap::new();
        for (at, node) in (0u32..).zip(nodes) {
            let header = header_words(&node.path, &node.container);
            lexical.add(&[(&node.text, 1.0), (&node.name, NAME_TIMES), (&header, 1.0)]);
            by_path.entry(node.path.clone()).or_default().push(at);
        }
        let documents: Vec<Document<'_>> =
            nodes.iter().map(|node| Document { text: &node.text, name: &node.name }).collect();
        let embeddings = embedder.documents(&documents)?.embeddings;
        let (plain, placed) = nodes
            .par_iter()
            .zip(embeddings)
            .map(|(node, embedding)| {
                let header = embedder.header(&header_words(&node.path, &node.container));
                let placed =
                    header.map_or_else(|| embedding.unit.clone(), |header| embedding.with_header(&header).unit);
                (embedding.unit, placed)
            })
            .unzip();
        Ok(Nodes { embedder, nodes, lexical, plain, placed, by_path, memory })
    }

    /// Asks every query of the nodes of its tree.
    pub(super) fn evaluate(
        &self,
        task: &'static str,
        asked: &[Asked],
        trees: &[Members],
        options: &EvalOptions,
    ) -> Result<EvalReport, EmbedError> {
        let found: Vec<Found> =
            asked.par_iter().map(|asked| self.find(asked, &trees[asked.tree])).collect::<Result<_, EmbedError>>()?;
        let by_node =
            |found: &[u32], asked: &Asked| Outcome::of(found, asked.golds.len(), |node| asked.golds.contains(node));
        let figures = |list: &dyn Fn(&Found, &Asked) -> Outcome| {
            let outcomes: Vec<Outcome> = found.iter().zip(asked).map(|(found, asked)| list(found, asked)).collect();
            Figures::of(&outcomes, options.seed)
        };
        let way = |way: usize| figures(&|found, asked| by_node(&found.ways[way], asked));
        let file_way =
            |way: usize| figures(&|found, asked| self.by_file(self.files_of(&found.ways[way]), &asked.golds));
        let by_file = options.by_file.then(|| {
            let mut baselines: BTreeMap<&'static str, Figures> =
                [("bm25", file_way(1)), ("vectors", file_way(2)), ("hybrid", file_way(3))].into();
            if self.memory.is_some() {
                baselines.insert("messages", figures(&|found, asked| self.by_file(found.files.clone(), &asked.golds)));
            }
            ByFile { metrics: file_way(0), baselines }
        });
        let ablations = options.ablate.then(|| {
            let ablation = |(signal, name): (usize, &&'static str)| {
                let outcomes: Vec<(Outcome, Outcome)> = found
                    .par_iter()
                    .zip(asked)
                    .map(|(found, asked)| {
                        let without = found.without(signal);
                        if options.by_file {
                            let [all, without] =
                                [&found.ways[0], &without].map(|list| self.by_file(self.files_of(list), &asked.golds));
                            (all, without)
                        } else {
                            (by_node(&found.ways[0], asked), by_node(&without, asked))
                        }
                    })
                    .collect();
                (*name, Gains::of(&outcomes, options.seed))
            };
            SIGNALS.iter().enumerate().map(ablation).collect()
        });
        let judged = if options.keep { self.judged(&found, asked, options.by_file) } else { Vec::new() };
        let sizes = asked.iter().map(|asked| trees[asked.tree].len());
        Ok(EvalReport {
            task,
            queries: asked.len(),
            candidates: sizes.sum::<usize>() / asked.len().max(1),
            metrics: way(0),
            baselines: [("bm25", way(1)), ("vectors", way(2)), ("hybrid", way(3))].into(),
            by_file,
            ablations,
            judged,
        })
    }

    /// The nodes found, best first: by search as it is, by BM25, by vectors without the place, by both.
    fn find(&self, asked: &Asked, tree: &Members) -> Result<Found, EmbedError> {
        let text = readable(&asked.text);
        let query = self.embedder.query(text)?.unit;
        let (near, worded) =
            (nearest(&self.placed, &query, tree), self.lexical.best(text, SIDE, |node| tree.has(node)));
        let recalled = self.memory.as_ref().and_then(|memory| memory.recall(text, &asked.at));
        // As in search, history has a say where the kind of question asks for it.
        let heard = recalled.as_ref().filter(|_| asks_history(text));
        let spoken_for = heard.map_or_else(Vec::new, |recalled| self.spoken_for(recalled, tree));
        let pool = pool(&near, &worded, &spoken_for);
        let mut candidates: Vec<Candidate> =
            pool.iter().map(|(node, similarity, words)| self.candidate(*node, *similarity, *words, &query)).collect();
        let most = self.lexical.most(text, |node| tree.has(node)).max(f32::MIN_POSITIVE);
        for candidate in &mut candidates {
            candidate.covered = candidate.words.unwrap_or(0.0) / most;
        }
        let mut kin = Kin::of(self.embedder, text)?;
        for (candidate, (node, ..)) in candidates.iter_mut().zip(&pool) {
            let signature = signature_words(&self.nodes[*node as usize].text);
            candidate.kinship = kin.with(&candidate.name, &candidate.container, &candidate.path, &signature);
        }
        let placed = |at: usize| Some(Cow::Borrowed(self.placed[pool[at].0 as usize].as_slice()));
        let common = in_common(&query, pool.len(), placed);
        candidates.iter_mut().zip(common).for_each(|(candidate, common)| candidate.common = common);
        let question = Question::new(text);
        let told = self.memory.as_ref().zip(heard).map(|(memory, recalled)| memory.told(recalled));
        let signals = signals(&question, &candidates, told.as_ref());
        let numbers: Vec<u32> = pool.iter().map(|(node, _, _)| *node).collect();
        let searched =
            order(question.kind, FILE_DECAY, &candidates, &signals).into_iter().map(|(at, _)| numbers[at]).collect();
        let fused = fused(&near, &worded);
        let order = |scored: Vec<(u32, f32)>| scored.into_iter().map(|(at, _)| at).collect();
        let plain = nearest(&self.plain, &query, tree);
        Ok(Found {
            ways: [searched, order(worded), order(plain), order(fused)],
            files: recalled.map_or_else(Vec::new, |recalled| recalled.files()),
            question,
            candidates,
            numbers,
            signals,
        })
    }

    /// Nodes in files that commits speak for.
    fn spoken_for(&self, recalled: &Recalled, tree: &Members) -> Vec<u32> {
        voted(&recalled.votes, |path| {
            let nodes = self.by_path.get(path).into_iter().flatten().copied();
            nodes.filter(|node| tree.has(*node)).map(|node| (node, self.nodes[node as usize].symbol.clone())).collect()
        })
    }

    fn candidate(&self, node: u32, similarity: Option<f32>, words: Option<f32>, query: &[f32]) -> Candidate {
        let Node { path, symbol, container, name, kind, lines, .. } = &self.nodes[node as usize];
        Candidate {
            path: path.clone(),
            symbol: symbol.clone(),
            container: container.clone(),
            name: name.clone(),
            kind: kind.clone(),
            lines: *lines,
            similarity,
            words,
            covered: 0.0,
            called: crate::search::called(self.embedder, name, query),
            kinship: Kinship::default(),
            common: 0.0,
        }
    }

    /// The files of some nodes, each once.
    fn files_of(&self, nodes: &[u32]) -> Vec<Arc<str>> {
        let mut seen = HashSet::new();
        let paths = nodes.iter().map(|node| &self.nodes[*node as usize].path);
        paths.filter(|path| seen.insert(Arc::clone(path))).cloned().collect()
    }

    fn by_file(&self, files: Vec<Arc<str>>, golds: &[u32]) -> Outcome {
        let golds: HashSet<Arc<str>> = self.files_of(golds).into_iter().collect();
        Outcome::of(&files, golds.len(), |file| golds.contains(file))
    }

    /// What [`EvalReport::judged`] keeps.
    fn judged(&self, found: &[Found], asked: &[Asked], by_file: bool) -> Vec<Judged> {
        let judged = found.iter().zip(asked).map(|(found, asked)| {
            let golds: HashSet<u32> = asked.golds.iter().copied().collect();
            let gold_files: HashSet<Arc<str>> = self.files_of(&asked.golds).into_iter().collect();
            let mut files: HashMap<&str, u32> = HashMap::new();
            let rows =
                found.candidates.iter().zip(&found.numbers).zip(&found.signals).map(|((candidate, node), signals)| {
                    let next = files.len() as u32;
                    let file = *files.entry(&candidate.path).or_insert(next);
                    (
                        signals.to_vec(),
                        u8::from(golds.contains(node)),
                        u8::from(gold_files.contains(&candidate.path)),
                        file,
                    )
                });
            Judged {
                kind: found.question.kind,
                rows: rows.collect(),
                golds: if by_file { gold_files.len() } else { golds.len() },
            }
        });
        judged.collect()
    }
}

impl Found {
    /// The order without one signal.
    fn without(&self, signal: usize) -> Vec<u32> {
        let mut signals = self.signals.clone();
        signals.iter_mut().for_each(|row| row[signal] = 0.0);
        let order = order(self.question.kind, FILE_DECAY, &self.candidates, &signals);
        order.into_iter().map(|(at, _)| self.numbers[at]).collect()
    }
}

fn nearest(vectors: &[Vec<f32>], query: &[f32], tree: &Members) -> Vec<(u32, f32)> {
    let mut scored: Vec<(u32, f32)> = (0u32..)
        .zip(vectors)
        .filter(|(at, _)| tree.has(*at))
        .map(|(at, vector)| (at, vector.iter().zip(query).map(|(one, two)| one * two).sum()))
        .collect();
    let best_first = |one: &(u32, f32), two: &(u32, f32)| two.1.total_cmp(&one.1).then(one.0.cmp(&two.0));
    if scored.len() > SIDE {
        scored.select_nth_unstable_by(SIDE, best_first);
        scored.truncate(SIDE);
    }
    scored.sort_unstable_by(best_first);
    scored
}

/// Both lists as one, each scaled to 0 for its last and 1 for its first.
fn fused(searched: &[(u32, f32)], lexical: &[(u32, f32)]) -> Vec<(u32, f32)> {
    let mut sum: BTreeMap<u32, f32> = BTreeMap::new();
    for (scored, share) in [(searched, 1.0 - LEXICAL_SHARE), (lexical, LEXICAL_SHARE)] {
        let (Some((_, best)), Some((_, worst))) = (scored.first(), scored.last()) else { continue };
        let range = (best - worst).max(f32::MIN_POSITIVE);
        for (at, score) in scored {
            *sum.entry(*at).or_default() += share * (score - worst) / range;
        }
    }
    let mut fused: Vec<(u32, f32)> = sum.into_iter().collect();
    fused.sort_by(|one, two| two.1.total_cmp(&one.1));
    fused
}

/// The first `count` of the items in the order of their hashes under a seed.
pub(super) fn draw<T>(mut items: Vec<T>, count: usize, seed: u64, identity: impl Fn(&T) -> String) -> Vec<T> {
    items.sort_by_cached_key(|item| {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes());
        hasher.update(identity(item).as_bytes());
        *hasher.finalize().as_bytes()
    });
    items.truncate(count);
    items
}

#[cfg(test)]
mod tests {
    use precedent_model::Table;

    use super::*;

    fn node(name: &str, text: &str) -> Node {
        Node {
            path: format!("{name}.rs").into(),
            symbol: name.into(),
            container: "".into(),
            name: name.into(),
            kind: "function".into(),
            lines: 1,
            text: text.to_owned(),
        }
    }

    #[test]
    fn every_way_finds_what_shares_all_words() {
        let nodes = [
            node("parse_date", "fn parse_date(text: &str) -> Date { Date::from(text) }"),
            node("open_socket", "fn open_socket(address: &str) -> Socket { Socket::connect(address) }"),
            node("sort_names", "fn sort_names(names: &mut [String]) { names.sort(); }"),
        ];
        let table = Table::built_in();
        let nodes = Nodes::new(&table, &nodes, None).expect("because the table takes any text");
        let at = ObjectId::from_bytes(&[1; 20]).expect("because it has 20 bytes");
        let asked = Asked { text: "open a socket to an address".into(), golds: vec![1], tree: 0, at };
        let find = |tree: &[u32]| {
            let tree = Members::of(tree.iter().copied());
            nodes.find(&asked, &tree).expect("because the table takes any text").ways
        };
        for ranked in find(&[0, 1, 2]) {
            assert_eq!(ranked[0], 1, "{ranked:?}");
        }
        // What is not in the tree is not found.
        for ranked in find(&[0, 2]) {
            assert!(!ranked.contains(&1), "{ranked:?}");
        }
    }

    #[test]
    fn lists_are_fused_by_their_shares() {
        let fused = fused(&[(1, 0.9), (2, 0.8), (3, 0.5)], &[(4, 7.0), (2, 3.0)]);
        let order: Vec<u32> = fused.iter().map(|(at, _)| *at).collect();
        assert_eq!(order, [1, 2, 4, 3]);
        assert!((fused[0].1 - 0.7).abs() < 1e-6 && (fused[1].1 - 0.525).abs() < 1e-6, "{fused:?}");
    }

    #[test]
    fn members_are_those_that_were_named() {
        let members = Members::of([0, 63, 64, 200]);
        let had: Vec<u32> = (0..300).filter(|number| members.has(*number)).collect();
        assert_eq!((had, members.len()), (vec![0, 63, 64, 200], 4));
    }

    #[test]
    fn a_larger_draw_holds_a_smaller_one() {
        let all: Vec<u32> = (0..100).collect();
        let drawn = |count, seed| draw(all.clone(), count, seed, u32::to_string);
        assert_eq!(drawn(10, 1), drawn(50, 1)[..10]);
        assert_ne!(drawn(10, 1), drawn(10, 2));
    }
}
