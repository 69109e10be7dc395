//! Precedent: for each changed node, what history knew of it at the base.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use precedent_model::{Document, Embedder};
use precedent_pipeline::archive::{Archive, Known, Place, Units};
use precedent_pipeline::history::{Commit, Mode, Objects, Repository};
use precedent_pipeline::lineage::last_name;
use precedent_pipeline::search::{Rows, Scored, VectorIndex};
use precedent_pipeline::shard::{ChunkId, EditRow, ObjectId, ReviewRow};
use precedent_pipeline::syntax::{Bag, Kind, similarity};
use precedent_pipeline::{Piece, PipelineError};
use rustc_hash::FxHashMap;

use crate::change::{Change, ChangedNode, empty_tree};
use crate::companions::authors::Authors;
use crate::companions::ledger::Line;
use crate::companions::ranking::{self, Ranking, Weights};

/// Nearest nodes considered for each changed node.
const NEIGHBOURS: usize = 8;
/// Shorter texts are alike by accident; in tokens.
const MIN_COMPARED_TOKENS: usize = 30;

/// From this many questions on it pays to read all vectors first.
const MANY_QUESTIONS: usize = 24;

/// Nodes of one change that are looked up, so that a review ends in time; those with the longest past first.
const MAX_EXAMINED: usize = 200;
/// Files of one change that are looked up, for the same reason.
pub const MAX_FILES: usize = 200;

/// Commits of one change whose authors are asked for.
const MAX_COMMITS: usize = 1_000;

/// Comments of reviewers considered for each changed node, and the least cosine similarity of the code that they are about.
const COMMENTS: usize = 8;
const MIN_COSINE: f32 = 0.5;

/// A living node whose text is near to a changed one.
#[derive(Debug, Clone)]
pub struct Neighbour {
    /// Where it stands at the base.
    pub place: Place,
    /// Cosine similarity of the embeddings, -1 to 1.
    pub cosine: f32,
    /// Shared tokens (Dice coefficient), 0 to 1.
    pub overlap: f32,
    /// Files of the base that have a node of its kind and its last name, its own among them.
    pub namesakes: usize,
}

/// What is known at the base of a change.
pub struct Precedents<'a> {
    /// The archive underneath.
    pub archive: &'a Archive,
    /// The commits known at the base.
    pub known: Known,
    /// Their first-parent steps.
    pub units: Units,
    /// Nodes in the base tree, by path and symbol.
    pub alive: HashSet<(Arc<str>, Arc<str>)>,
    /// Files in the base tree.
    pub files: HashSet<String>,
    /// The numbers of the changed nodes' texts, before and after, as far as the store has them.
    pub numbers: FxHashMap<ChunkId, u32>,
    /// For each changed node, in order: its edits as known, newest first.
    pub traces: Vec<Vec<&'a EditRow>>,
    /// For each changed node, in order: whether it was looked up; false for the rest of a very large change.
    pub examined: Vec<bool>,
    /// For each changed node, in order: its neighbours, nearest first.
    pub neighbours: Vec<Vec<Neighbour>>,
    /// What reviewers said of earlier pull requests, whatever is known of them at the base.
    pub reviews: Vec<ReviewRow>,
    /// For each changed node, in order: places among `reviews`, with the cosine similarity of the code that was spoken of
    /// and the node's; the nearest, and all that are about its file.
    pub said: Vec<Vec<(usize, f32)>>,
    /// Who is who.
    pub authors: Authors,
    /// The first-parent steps with the edits that they brought.
    pub line: Line<'a>,
    /// What the ranking makes of all that this change does not touch.
    pub ranking: Ranking,
}

impl<'a> Precedents<'a> {
    /// Collects what is known at the tip of the base.
    ///
    /// # Errors
    /// History or a store that cannot be read, or a model that fails.
    pub fn gather(
        archive: &'a Archive,
        embedder: &dyn Embedder,
        repository: &Repository,
        objects: &Objects,
        change: &Change,
    ) -> Result<Self, PipelineError> {
        let number = archive.number(&change.base_tip);
        let known = archive.known_at(&change.base_tip).unwrap_or_default();
        let units = number.map(|number| archive.units(number)).unwrap_or_default();
        let numbers = archive.chunk_numbers(&change.chunks());
        let traces: Vec<Vec<&EditRow>> = change
            .nodes
            .iter()
            .map(|node| {
                let (path, piece) = node.before.as_ref().unwrap_or(node.now());
                let text = numbers.get(&piece.chunk).copied();
                archive.trace(&known, path, &piece.symbol, piece.kind.as_str(), text)
            })
            .collect();
        let examined = examined(&traces);
        let is_root = change.base == empty_tree(&change.head);
        let mailmap = ranking::mailmap(objects, &change.base_tip);
        let authors = Authors::new(mailmap.clone());
        let commits = brought(repository, objects, archive, &known, &change.head);
        let units_of = &units;
        // What changed with what, and what stands in the tree, have nothing in common.
        let (ranked, near) = std::thread::scope(|scope| {
            let ranked = scope.spawn(move || {
                let Some(tip) = number else { return Ok(Default::default()) };
                let line = Line::with(archive, units_of, tip);
                let ledger = ranking::ledger(archive, &line, mailmap);
                Ranking::of(archive, &ledger, &Weights::built_in(), change, &commits).map(|ranking| (line, ranking))
            });
            let near = || {
                let places = if is_root { Vec::new() } else { archive.alive(objects, &change.base)? };
                let wants = wants(change, |at| examined[at]);
                let asked = wants.iter().flatten().count();
                let near = match asked {
                    0 => vec![Vec::new(); change.nodes.len()],
                    _ => {
                        let open = if asked > MANY_QUESTIONS { VectorIndex::load } else { VectorIndex::open };
                        neighbours(archive, &open(archive.store())?, embedder, change, &wants, &places)?
                    }
                };
                Ok::<_, PipelineError>((places, near))
            };
            let near = near();
            (ranked.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), near)
        });
        let ((line, ranking), (places, neighbours)) = (ranked?, near?);
        let files = if is_root { Vec::new() } else { objects.files(&change.base)? };
        let files = files.into_iter().filter(|(_, entry)| entry.mode == Mode::File).map(|(path, _)| path).collect();
        let reviews = archive.store().reviews()?;
        Ok(Precedents {
            said: said(&reviews, embedder, change, &examined)?,
            reviews,
            neighbours,
            numbers,
            examined,
            alive: places.into_iter().map(|place| (place.path, place.symbol)).collect(),
            authors,
            archive,
            known,
            units,
            files,
            traces,
            line,
            ranking,
        })
    }
}

/// The commits of a change, the head first: what the head reaches and the base does not know. What cannot be read is left out.
fn brought(
    repository: &Repository,
    objects: &Objects,
    archive: &Archive,
    known: &Known,
    head: &ObjectId,
) -> Vec<Commit> {
    let mut commits: Vec<Commit> = Vec::new();
    let mut seen: HashSet<ObjectId> = HashSet::from([*head]);
    let mut pending = VecDeque::from([*head]);
    while let Some(id) = pending.pop_front().filter(|_| commits.len() < MAX_COMMITS) {
        let is_known = archive.number(&id).is_some_and(|number| known.has(number));
        let Some(commit) = objects.commit(repository, &id).ok().filter(|_| !is_known) else { continue };
        pending.extend(commit.parents.iter().filter(|parent| seen.insert(**parent)));
        commits.push(commit);
    }
    commits
}

fn examined(traces: &[Vec<&EditRow>]) -> Vec<bool> {
    let mut order: Vec<usize> = (0..traces.len()).collect();
    order.sort_by_key(|at| (std::cmp::Reverse(traces[*at].len()), *at));
    let mut examined = vec![false; traces.len()];
    for at in order.into_iter().take(MAX_EXAMINED) {
        examined[at] = true;
    }
    examined
}

/// For each changed node, in order, the tokens of those that are wanted and worth comparing.
pub(crate) fn wants(change: &Change, wanted: impl Fn(usize) -> bool) -> Vec<Option<Bag>> {
    change.nodes.iter().enumerate().map(|(at, node)| comparable(node).filter(|_| wanted(at))).collect()
}

/// The nearest of some places for each changed node whose tokens are given.
pub(crate) fn neighbours(
    archive: &Archive,
    index: &VectorIndex,
    embedder: &dyn Embedder,
    change: &Change,
    wants: &[Option<Bag>],
    places: &[Place],
) -> Result<Vec<Vec<Neighbour>>, PipelineError> {
    let touched: HashSet<(&str, &str)> = change
        .nodes
        .iter()
        .flat_map(|node| [&node.before, &node.after])
        .flatten()
        .map(|(path, piece)| (&**path, piece.symbol.as_str()))
        .collect();
    let mut by_chunk: HashMap<u32, Vec<&Place>> = HashMap::new();
    for place in places.iter().filter(|place| !touched.contains(&(&*place.path, &*place.symbol))) {
        by_chunk.entry(place.chunk).or_default().push(place);
    }
    let mut rows_of_kind: HashMap<&str, Rows> = HashMap::new();
    let mut found: Vec<Vec<Scored>> = vec![Vec::new(); change.nodes.len()];
    let wanted: Vec<(usize, &Piece)> = change
        .nodes
        .iter()
        .zip(wants)
        .enumerate()
        .filter_map(|(at, (node, bag))| bag.as_ref().and(node.after.as_ref()).map(|(_, piece)| (at, piece)))
        .collect();
    let documents: Vec<Document<'_>> =
        wanted.iter().map(|(_, piece)| Document { text: &piece.text, name: &piece.name }).collect();
    // A text that fails has a vector of zeros, which is near to nothing.
    let embedded = embedder.documents(&documents)?;
    for ((at, piece), query) in wanted.iter().zip(&embedded.embeddings) {
        let kind = piece.kind.as_str();
        if !rows_of_kind.contains_key(kind) {
            let of_kind = |chunk| by_chunk.contains_key(&chunk) && *archive.head(chunk).kind == *kind;
            rows_of_kind.insert(kind, index.rows(of_kind)?);
        }
        found[*at] = index.nearest(&query.unit, NEIGHBOURS, &rows_of_kind[kind])?;
    }
    // One reading for all, since each goes through the whole table.
    let mut numbers: Vec<u32> = found.iter().flatten().map(|scored| scored.chunk).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let bags: HashMap<u32, Bag> = archive
        .store()
        .chunks_by_number(&numbers)?
        .into_iter()
        .map(|chunk| (chunk.number, Bag::of(&chunk.text)))
        .collect();
    let first = |scored: &Scored| by_chunk.get(&scored.chunk).and_then(|places| places.first());
    let namesakes = namesakes(archive, places, found.iter().flatten().filter_map(first).copied());
    Ok(found
        .iter()
        .zip(wants)
        .map(|(found, bag)| {
            let mut near: Vec<Neighbour> = found
                .iter()
                .filter_map(|scored| {
                    let place = *first(scored)?;
                    let overlap = similarity(bag.as_ref()?, bags.get(&scored.chunk)?);
                    let namesakes = namesakes.get(&name_of(archive, place)).map_or(0, HashSet::len);
                    Some(Neighbour { place: place.clone(), cosine: scored.score, overlap, namesakes })
                })
                .collect();
            near.sort_by(|one, two| two.overlap.total_cmp(&one.overlap));
            near
        })
        .collect())
}

/// The kind of a node, and the last part of its name.
fn name_of<'a>(archive: &'a Archive, place: &'a Place) -> (&'a str, &'a str) {
    (&archive.head(place.chunk).kind, last_name(&place.symbol))
}

/// The files that have a node of the kind and the name of one that was found.
fn namesakes<'a>(
    archive: &'a Archive,
    places: &'a [Place],
    found: impl Iterator<Item = &'a Place>,
) -> HashMap<(&'a str, &'a str), HashSet<&'a str>> {
    let mut files: HashMap<_, HashSet<&str>> = found.map(|place| (name_of(archive, place), HashSet::new())).collect();
    for place in places {
        if let Some(files) = files.get_mut(&name_of(archive, place)) {
            files.insert(&place.path);
        }
    }
    files
}

/// The comments that are about code like each node, or about its file.
fn said(
    reviews: &[ReviewRow],
    embedder: &dyn Embedder,
    change: &Change,
    examined: &[bool],
) -> Result<Vec<Vec<(usize, f32)>>, PipelineError> {
    if reviews.is_empty() {
        return Ok(vec![Vec::new(); change.nodes.len()]);
    }
    let piece = |node: &ChangedNode| {
        let (path, piece) = node.after.as_ref().or(node.before.as_ref())?;
        Some((path.clone(), piece.text.clone(), piece.name.clone()))
    };
    let pieces: Vec<_> = change.nodes.iter().map(|node| piece(node).unwrap_or_default()).collect();
    let documents: Vec<Document<'_>> = pieces.iter().map(|(_, text, name)| Document { text, name }).collect();
    let embedded = embedder.documents(&documents)?;
    let near = |((path, ..), query): (&(Arc<str>, String, String), &precedent_model::Embedding)| {
        let mut near: Vec<(usize, f32)> = reviews
            .iter()
            .enumerate()
            .map(|(at, row)| {
                let values = row.vector.iter().zip(&query.unit);
                (at, row.scale * values.map(|(value, wanted)| f32::from(*value) * wanted).sum::<f32>())
            })
            .collect();
        near.sort_by(|one, two| two.1.total_cmp(&one.1).then(one.0.cmp(&two.0)));
        let mut rank = 0..;
        near.retain(|(at, cosine)| {
            let is_near = rank.next().is_some_and(|rank| rank < COMMENTS) && *cosine >= MIN_COSINE;
            is_near || reviews[*at].path == *path
        });
        near
    };
    let all = pieces.iter().zip(&embedded.embeddings).map(near);
    Ok(all.zip(examined).map(|(near, examined)| if *examined { near } else { Vec::new() }).collect())
}

/// The tokens of a node that is worth comparing: code, new or edited, and long enough.
fn comparable(node: &ChangedNode) -> Option<Bag> {
    let (_, piece) = node.after.as_ref()?;
    if matches!(piece.kind, Kind::Run | Kind::Section | Kind::Impl) {
        return None;
    }
    let bag = Bag::of(&piece.text);
    (bag.len() >= MIN_COMPARED_TOKENS).then_some(bag)
}
