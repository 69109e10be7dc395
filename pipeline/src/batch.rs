//! Batch: some commits and the versions that they need to rows: the third stage of a run.
//!
//! Matching is spread over the threads; numbering is done in order, so that the rows do not depend on how many there are.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use rayon::prelude::*;
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};

use crate::changes::{Changed, Class, Classified, LetIn};
use crate::chunker::Interner;
use crate::cut::{Cut, Numbers, key};
use crate::history::Entry;
use crate::ingest::Run;
use crate::lineage::{self, NodeEdit, Placed};
use crate::shard::{Change, ChunkId, ChunkRow, CommitRow, EditRow, Generation, ObjectId, SpanRow, Store, StoreError};
use crate::syntax::Bag;
use crate::version::{Key, Outcome, Version};

/// What a run knows of the store's rows while it adds to them.
pub(crate) struct Rows<'n> {
    numbers: &'n Numbers,
    /// Blobs whose places the store already has, by language: equal content may be Markdown here and plain text there.
    spanned: FxHashSet<(ObjectId, Arc<str>)>,
    strings: Interner,
    next_commit: u32,
    next_chunk: u32,
}

/// The number of each text that a store holds.
///
/// # Errors
/// A shard that cannot be read.
pub(crate) fn numbers(store: &Store) -> Result<Numbers, StoreError> {
    Ok(Numbers::new(store.chunk_ids()?.into_iter().map(|(number, id)| (id, number)).collect()))
}

impl<'n> Rows<'n> {
    /// What a store says before anything is added to it.
    ///
    /// # Errors
    /// A shard that cannot be read.
    pub(crate) fn of(store: &Store, numbers: &'n Numbers) -> Result<Rows<'n>, StoreError> {
        Ok(Rows {
            numbers,
            spanned: spanned(store)?,
            strings: Interner::default(),
            next_commit: store.manifest().next_commit,
            next_chunk: store.manifest().next_chunk,
        })
    }
}

/// Blobs and languages that have places in the store.
fn spanned(store: &Store) -> Result<FxHashSet<(ObjectId, Arc<str>)>, StoreError> {
    let heads = store.chunk_heads()?;
    let mut spanned = FxHashSet::default();
    let mut last: Option<(ObjectId, &Arc<str>)> = None;
    let mut unknown = None;
    store.each_span(|blob, chunk| match heads.get(chunk as usize) {
        // The spans of a blob stand together.
        Some(head) if last != Some((blob, &head.lang)) => {
            last = Some((blob, &head.lang));
            spanned.insert((blob, head.lang.clone()));
        }
        Some(_) => {}
        None => unknown = Some(chunk),
    })?;
    match unknown {
        Some(chunk) => {
            Err(StoreError::Damaged { what: "spans".into(), why: format!("no chunk has the number {chunk}") })
        }
        None => Ok(spanned),
    }
}

/// The versions that a batch of commits needs.
pub(crate) type Needed = FxHashMap<Key, Outcome>;

impl Rows<'_> {
    /// Gives the new texts of a version their numbers, and records where its nodes stand.
    pub(crate) fn push_version(&mut self, cut: Cut, generation: &mut Generation, run: &mut Run) {
        let Cut { id, language, chunked } = cut;
        run.seconds.inflate += chunked.work.inflate;
        run.seconds.parse += chunked.work.parse;
        run.seconds.hash += chunked.work.hash;
        let version = match chunked.version {
            Ok(version) => version,
            Err(skip) => {
                run.skipped.insert((id, skip));
                return;
            }
        };
        if !language.is_text() {
            run.count_reading(language.name, chunked.reading);
        }
        if !chunked.fresh.is_empty() {
            let mut numbers = self.numbers.write().unwrap_or_else(PoisonError::into_inner);
            for fresh in chunked.fresh {
                let placed = &version.placed[fresh.node];
                numbers.entry(placed.chunk).or_insert_with(|| {
                    let number = self.next_chunk;
                    self.next_chunk += 1;
                    run.chunks += 1;
                    generation.chunks.push(ChunkRow {
                        number,
                        id: placed.chunk,
                        lang: self.strings.intern(language.name),
                        kind: self.strings.intern(placed.kind.as_str()),
                        name: self.strings.intern(&fresh.name),
                        text: fresh.text,
                    });
                    number
                });
            }
        }
        if self.spanned.insert((id, self.strings.intern(language.name))) {
            run.file_versions += 1;
            run.bytes_parsed += chunked.bytes;
            run.nodes += version.placed.len() as u64;
            let numbers = self.numbers.read().unwrap_or_else(PoisonError::into_inner);
            for (placed, container) in version.placed.iter().zip(&version.containers) {
                generation.spans.push(SpanRow {
                    blob: id,
                    chunk: numbers[&placed.chunk],
                    symbol: placed.symbol.clone(),
                    container: container.clone(),
                    start_line: placed.start_line,
                    end_line: placed.end_line,
                });
            }
        }
    }

    /// Matches what a batch of commits changed, and records it.
    pub(crate) fn push_commits(
        &mut self,
        commits: Vec<Changed>,
        needed: &Needed,
        generation: &mut Generation,
        run: &mut Run,
    ) {
        let edits: Vec<Vec<NodeEdit>> = commits
            .par_iter()
            .map(|changed| {
                let mut edits = node_edits(&changed.files, needed);
                edits.extend(nodes_let_in(&changed.let_in, needed));
                edits
            })
            .collect();
        for (changed, edits) in commits.into_iter().zip(edits) {
            self.push_commit(changed, edits, needed, generation, run);
        }
    }

    fn push_commit(
        &mut self,
        changed: Changed,
        edits: Vec<NodeEdit>,
        needed: &Needed,
        generation: &mut Generation,
        run: &mut Run,
    ) {
        let Changed { commit, files: changes, .. } = changed;
        let number = self.next_commit;
        self.next_commit += 1;
        run.commits += 1;
        run.edits += edits.len() as u64;
        run.file_edits += changes.len() as u64;
        let sources = renamed_files(&changes, &edits, needed);
        for change in changes {
            generation.edits.push(self.file_row(number, commit.boundary, change, &sources, needed, run));
        }
        let numbers = self.numbers.read().unwrap_or_else(PoisonError::into_inner);
        let strings = &mut self.strings;
        generation
            .edits
            .extend(edits.into_iter().map(|edit| node_row(number, commit.boundary, edit, &numbers, strings)));
        generation.commits.push(CommitRow {
            number,
            id: commit.id,
            parents: commit.parents,
            author: commit.author,
            author_email: commit.author_email,
            author_time: commit.author_time,
            commit_time: commit.commit_time,
            message: commit.message,
        });
    }

    fn file_row(
        &mut self,
        commit: u32,
        boundary: bool,
        file: Classified,
        sources: &HashMap<Arc<str>, Source>,
        needed: &Needed,
        run: &mut Run,
    ) -> EditRow {
        let path = self.strings.intern(&file.change.path);
        let before = file.before.iter().flatten().next().map(|(entry, _)| entry.id);
        let source = sources.get(&file.change.path);
        let skip = file.after.as_ref().or(file.before.iter().flatten().next()).and_then(|(entry, class)| match class {
            Err(skip) => {
                run.skipped.insert((entry.id, *skip));
                Some(*skip)
            }
            Ok(language) => needed.get(&(entry.id, language.name)).and_then(|version| version.as_ref().err().copied()),
        });
        let change = match (before, &file.after) {
            _ if boundary => Change::Present,
            (_, None) => Change::Removed,
            (None, Some(_)) if source.is_some() => Change::Moved,
            (None, Some(_)) => Change::Added,
            (Some(_), Some(_)) => Change::Modified,
        };
        EditRow {
            commit,
            path,
            symbol: None,
            kind: None,
            change,
            before: None,
            after: None,
            before_path: source.map(|source| source.path.clone()),
            before_symbol: None,
            similarity: source.map(|source| thousandths(source.similarity)),
            start_line: 0,
            end_line: 0,
            before_blob: before,
            after_blob: file.after.map(|(entry, _)| entry.id),
            skipped: skip.map(|skip| self.strings.intern(skip.as_str())),
        }
    }
}

/// A similarity as the store has it: what is beyond three decimals takes half of its bytes and says nothing. One is kept for
/// texts of the same words.
fn thousandths(similarity: f32) -> f32 {
    if similarity < 1.0 { ((similarity * 1000.0).round() / 1000.0).min(0.999) } else { similarity }
}

fn version<'k>(side: &Option<(Entry, Class)>, needed: &'k Needed) -> Option<&'k Version> {
    needed.get(&key(side)?)?.as_deref().ok()
}

/// The token bags of the nodes that a commit's files hold, put in order when the first is asked for.
struct Bags<'k> {
    changes: &'k [Classified],
    needed: &'k Needed,
    by_chunk: OnceCell<FxHashMap<ChunkId, &'k Bag>>,
}

impl lineage::Texts for Bags<'_> {
    fn bag(&self, chunk: &ChunkId) -> Option<&Bag> {
        let by_chunk = self.by_chunk.get_or_init(|| {
            let sides = self.changes.iter().flat_map(|file| file.before.iter().chain([&file.after]));
            let versions: Vec<&Version> = sides.filter_map(|side| version(side, self.needed)).collect();
            let count = versions.iter().map(|version| version.placed.len()).sum();
            let mut by_chunk = FxHashMap::with_capacity_and_hasher(count, FxBuildHasher);
            for version in versions {
                by_chunk.extend(
                    version.placed.iter().map(|placed| placed.chunk).zip(version.bags.iter().map(|bag| &**bag)),
                );
            }
            by_chunk
        });
        by_chunk.get(chunk).copied()
    }
}

fn node_edits(changes: &[Classified], needed: &Needed) -> Vec<NodeEdit> {
    let nodes = |side| version(side, needed).map_or(&[][..], |version| &version.placed);
    let files: Vec<lineage::FileNodes<'_>> = changes
        .iter()
        .map(|file| lineage::FileNodes {
            path: file.change.path.clone(),
            before: file.before.iter().map(nodes).collect(),
            after: nodes(&file.after),
        })
        .collect();
    lineage::edits(&files, &Bags { changes, needed, by_chunk: OnceCell::new() })
}

/// The nodes of files that a commit lets in. They are older than it, and were not seen until then.
fn nodes_let_in(files: &[LetIn], needed: &Needed) -> Vec<NodeEdit> {
    let nodes = |file: &LetIn| {
        let version = needed.get(&(file.id, file.language.name)).and_then(|version| version.as_deref().ok());
        let placed = version.map_or(&[][..], |version| &version.placed).iter().cloned();
        let path = file.path.clone();
        placed.map(move |node| NodeEdit {
            change: Change::Present,
            before: None,
            after: Some((path.clone(), node)),
            similarity: None,
        })
    };
    files.iter().flat_map(nodes).collect()
}

/// Where a file was before.
struct Source {
    path: Arc<str>,
    /// 0 to 1.
    similarity: f32,
}

/// A new file whose nodes are so like those of one that is gone is that file, renamed: Git's own threshold.
const RENAMED_FILE_SIMILARITY: f32 = 0.5;

/// Files that are there under another path now, by their new path: those of equal content, and of what is left those
/// whose nodes came out of one file that is gone, the likest first.
fn renamed_files(changes: &[Classified], edits: &[NodeEdit], needed: &Needed) -> HashMap<Arc<str>, Source> {
    let is_gone = |change: &&Classified| change.after.is_none() && matches!(change.before.first(), Some(Some(_)));
    let is_new = |change: &&Classified| change.after.is_some() && change.before.iter().all(Option::is_none);
    let mut by_content: HashMap<ObjectId, Vec<&Arc<str>>> = HashMap::new();
    for change in changes.iter().rev().filter(is_gone) {
        if let Some((entry, _)) = &change.before[0] {
            by_content.entry(entry.id).or_default().push(&change.change.path);
        }
    }
    let mut sources = HashMap::new();
    let mut taken: FxHashSet<&str> = FxHashSet::default();
    for change in changes.iter().filter(is_new) {
        let id = change.after.as_ref().map(|(entry, _)| entry.id);
        if let Some(path) = id.and_then(|id| by_content.get_mut(&id)?.pop()) {
            taken.insert(path);
            sources.insert(change.change.path.clone(), Source { path: path.clone(), similarity: 1.0 });
        }
    }
    for (similarity, old, new) in alike(changes.iter().filter(is_gone), changes.iter().filter(is_new), edits, needed) {
        if !sources.contains_key(new) && taken.insert(old) {
            sources.insert(new.clone(), Source { path: old.clone(), similarity });
        }
    }
    sources
}

/// Pairs of a file that is gone and a new one that are alike, the likest first: the lines of nodes that moved from one
/// to the other, each as much as the node is alike, of all lines of nodes in both.
fn alike<'c>(
    gone: impl Iterator<Item = &'c Classified>,
    new: impl Iterator<Item = &'c Classified>,
    edits: &[NodeEdit],
    needed: &Needed,
) -> Vec<(f32, &'c Arc<str>, &'c Arc<str>)> {
    let lines = |node: &Placed| (node.end_line + 1 - node.start_line) as f32;
    let sized = |path: &'c Arc<str>, side: &Option<(Entry, Class)>| {
        Some((&**path, (path, version(side, needed)?.placed.iter().map(lines).sum::<f32>())))
    };
    let gone: FxHashMap<&str, _> = gone.filter_map(|file| sized(&file.change.path, &file.before[0])).collect();
    let new: FxHashMap<&str, _> = new.filter_map(|file| sized(&file.change.path, &file.after)).collect();
    let mut shared: FxHashMap<(&str, &str), f32> = FxHashMap::default();
    for edit in edits.iter().filter(|edit| edit.change == Change::Moved) {
        if let (Some((old, before)), Some((path, after))) = (&edit.before, &edit.after) {
            *shared.entry((old, path)).or_default() += edit.similarity.unwrap_or(1.0) * (lines(before) + lines(after));
        }
    }
    let mut pairs: Vec<_> = shared
        .into_iter()
        .filter_map(|((old, path), shared)| {
            let ((old, before), (path, after)) = (gone.get(old)?, new.get(path)?);
            Some((shared / (before + after), *old, *path))
        })
        .filter(|(similarity, ..)| *similarity >= RENAMED_FILE_SIMILARITY)
        .collect();
    pairs.sort_by(|one, other| other.0.total_cmp(&one.0).then_with(|| (one.1, one.2).cmp(&(other.1, other.2))));
    pairs
}

fn node_row(
    commit: u32,
    boundary: bool,
    edit: NodeEdit,
    numbers: &FxHashMap<ChunkId, u32>,
    strings: &mut Interner,
) -> EditRow {
    let (path, node) = edit.after.as_ref().or(edit.before.as_ref()).expect("because an edit has at least one side");
    let before = edit.before.as_ref();
    let number = |place: Option<&(Arc<str>, Placed)>| place.and_then(|(_, node)| numbers.get(&node.chunk).copied());
    EditRow {
        commit,
        path: path.clone(),
        symbol: Some(node.symbol.clone()),
        kind: Some(strings.intern(node.kind.as_str())),
        change: if boundary { Change::Present } else { edit.change },
        before: number(before),
        after: number(edit.after.as_ref()),
        before_path: before.filter(|(old, _)| old != path).map(|(old, _)| old.clone()),
        before_symbol: before.filter(|(_, old)| old.symbol != node.symbol).map(|(_, old)| old.symbol.clone()),
        similarity: edit.similarity.map(thousandths),
        start_line: node.start_line,
        end_line: node.end_line,
        before_blob: None,
        after_blob: None,
        skipped: None,
    }
}
