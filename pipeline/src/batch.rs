//! Batch: some commits to rows.
//!
//! Reading, parsing and matching are spread over the threads; numbering is done in order, so that the rows do not depend
//! on how many there are.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use rayon::prelude::*;

use crate::PipelineError;
use crate::chunker::{Chunker, Interner, Piece};
use crate::history::{AttributeRules, Commit, Entry, FileChange, Repository};
use crate::ingest::Run;
use crate::lineage::{self, NodeEdit, Placed};
use crate::shard::{Change, ChunkId, ChunkRow, CommitRow, EditRow, Generation, ObjectId, SpanRow, Store, StoreError};
use crate::syntax::{Bag, Language, Skip};

/// What the run knows while it goes through the batches.
pub(crate) struct Known {
    /// Every chunk of the store, by its number.
    chunks: HashMap<ChunkId, u32>,
    /// Token bags of the chunks that this run has seen the text of.
    bags: HashMap<ChunkId, Bag>,
    /// Blobs whose places the store already has, by language: equal content may be Markdown here and plain text there.
    spanned: HashSet<(ObjectId, Arc<str>)>,
    /// File versions chunked in this run.
    versions: HashMap<(ObjectId, &'static str), Version>,
    strings: Interner,
    next_commit: u32,
    next_chunk: u32,
}

impl Known {
    /// What a store says before anything is added to it.
    ///
    /// # Errors
    /// A shard that cannot be read.
    pub(crate) fn of(store: &Store) -> Result<Known, StoreError> {
        Ok(Known {
            chunks: store.chunk_ids()?.into_iter().map(|(number, id)| (id, number)).collect(),
            bags: HashMap::new(),
            spanned: spanned(store)?,
            versions: HashMap::new(),
            strings: Interner::default(),
            next_commit: store.manifest().next_commit,
            next_chunk: store.manifest().next_chunk,
        })
    }
}

type Version = Result<Arc<[Placed]>, Skip>;

/// One file version that must be chunked.
struct Job {
    path: Arc<str>,
    id: ObjectId,
    language: &'static Language,
}

/// How the content of one side of a file change is to be treated.
type Class = Result<&'static Language, Skip>;

struct Classified {
    change: FileChange,
    before: Vec<Option<(Entry, Class)>>,
    after: Option<(Entry, Class)>,
}

/// Blobs and languages that have places in the store.
fn spanned(store: &Store) -> Result<HashSet<(ObjectId, Arc<str>)>, StoreError> {
    let heads = store.chunk_heads()?;
    let mut spanned = HashSet::new();
    for (blob, chunk) in store.span_chunks()? {
        let unknown = || StoreError::Damaged { what: "spans".into(), why: format!("no chunk has the number {chunk}") };
        spanned.insert((blob, heads.get(chunk as usize).ok_or_else(unknown)?.lang.clone()));
    }
    Ok(spanned)
}

/// Reads, chunks, numbers and matches one batch of commits; the rows go into `generation`.
///
/// # Errors
/// History that cannot be read.
pub(crate) fn ingest_batch(
    repository: &Repository,
    batch: &[ObjectId],
    known: &mut Known,
    rules: &mut AttributeRules,
    generation: &mut Generation,
    run: &mut Run,
) -> Result<(), PipelineError> {
    let started = Instant::now();
    let commits: Vec<(Commit, Vec<FileChange>)> = batch
        .par_iter()
        .with_min_len(16)
        .map_init(
            || repository.objects(),
            |objects, id| {
                let commit = objects.commit(repository, id)?;
                let changes = objects.changes(&commit)?;
                Ok((commit, changes))
            },
        )
        .collect::<Result<_, PipelineError>>()?;
    let classified = classify(repository, commits, rules);
    run.seconds.history += started.elapsed().as_secs_f64();

    let started = Instant::now();
    let jobs = jobs_of(&classified, known);
    chunk_versions(repository, &jobs, known, generation, run);
    let edits: Vec<Vec<NodeEdit>> = classified.par_iter().map(|(_, changes)| node_edits(changes, known)).collect();
    for ((commit, changes), edits) in classified.into_iter().zip(edits) {
        push_rows(commit, changes, edits, known, generation, run);
    }
    run.seconds.syntax += started.elapsed().as_secs_f64();
    Ok(())
}

/// Decides for each side of each change what its content is, in order, since attributes build up.
fn classify(
    repository: &Repository,
    commits: Vec<(Commit, Vec<FileChange>)>,
    rules: &mut AttributeRules,
) -> Vec<(Commit, Vec<Classified>)> {
    let objects = repository.objects();
    commits
        .into_iter()
        .map(|(commit, changes)| {
            for change in &changes {
                rules.notice(&change.path);
            }
            let classified = changes
                .into_iter()
                .map(|change| {
                    let attributes = rules.of(&objects, &commit.id, &change.path);
                    let class = |entry: Entry| (entry, Chunker::classify(&change.path, &entry, attributes));
                    Classified {
                        before: change.before.iter().map(|entry| entry.map(class)).collect(),
                        after: change.after.map(class),
                        change,
                    }
                })
                .collect();
            (commit, classified)
        })
        .collect()
}

/// The file versions that this batch needs and this run has not chunked yet, each once, in order.
fn jobs_of(commits: &[(Commit, Vec<Classified>)], known: &Known) -> Vec<Job> {
    let mut wanted: HashSet<(ObjectId, &'static str)> = HashSet::new();
    let mut jobs = Vec::new();
    for (_, changes) in commits {
        for change in changes {
            for (entry, class) in change.before.iter().flatten().chain(&change.after) {
                let Ok(language) = class else { continue };
                let key = (entry.id, language.name);
                if !known.versions.contains_key(&key) && wanted.insert(key) {
                    jobs.push(Job { path: change.change.path.clone(), id: entry.id, language });
                }
            }
        }
    }
    jobs
}

/// A chunked version on its way from a worker: text only where the chunk may be new.
struct Chunked {
    pieces: Result<Vec<(Piece, Option<Bag>)>, Skip>,
    bytes: u64,
}

fn chunk_versions(
    repository: &Repository,
    jobs: &[Job],
    known: &mut Known,
    generation: &mut Generation,
    run: &mut Run,
) {
    // Slices bound how many texts wait for the ordered part at once.
    for slice in jobs.chunks(1024) {
        let seen = &*known;
        let chunked: Vec<Chunked> = slice
            .par_iter()
            .with_max_len(8)
            .map_init(
                || repository.objects(),
                |objects, job| {
                    let (nodes, bytes) = Chunker::chunk(objects, &job.path, &job.id, job.language);
                    Chunked { pieces: nodes.map(|pieces| strip_known(pieces, seen)), bytes }
                },
            )
            .collect();
        for (job, version) in slice.iter().zip(chunked) {
            number_version(job, version, known, generation, run);
        }
    }
}

/// Drops the texts that the store has, so that waiting results stay small.
fn strip_known(pieces: Vec<Piece>, known: &Known) -> Vec<(Piece, Option<Bag>)> {
    pieces
        .into_iter()
        .map(|mut piece| {
            let bag = (!known.bags.contains_key(&piece.chunk)).then(|| Bag::of(&piece.text));
            if known.chunks.contains_key(&piece.chunk) {
                piece.text = String::new();
            }
            (piece, bag)
        })
        .collect()
}

/// Gives new chunks their numbers, in order, and records where the nodes stand.
fn number_version(job: &Job, version: Chunked, known: &mut Known, generation: &mut Generation, run: &mut Run) {
    let key = (job.id, job.language.name);
    let pieces = match version.pieces {
        Ok(pieces) => pieces,
        Err(skip) => {
            run.skipped.insert((job.id, skip));
            known.versions.insert(key, Err(skip));
            return;
        }
    };
    let lang = known.strings.intern(job.language.name);
    let is_new = known.spanned.insert((job.id, lang));
    if is_new {
        run.file_versions += 1;
        run.bytes_parsed += version.bytes;
        run.nodes += pieces.len() as u64;
    }
    let mut placed = Vec::with_capacity(pieces.len());
    for (piece, bag) in pieces {
        if let Some(bag) = bag {
            known.bags.entry(piece.chunk).or_insert(bag);
        }
        let number = match known.chunks.get(&piece.chunk) {
            Some(number) => *number,
            None => {
                let number = known.next_chunk;
                known.next_chunk += 1;
                known.chunks.insert(piece.chunk, number);
                run.chunks += 1;
                generation.chunks.push(ChunkRow {
                    number,
                    id: piece.chunk,
                    lang: known.strings.intern(job.language.name),
                    kind: known.strings.intern(piece.kind.as_str()),
                    name: known.strings.intern(&piece.name),
                    text: piece.text,
                });
                number
            }
        };
        let symbol = known.strings.intern(&piece.symbol);
        if is_new {
            generation.spans.push(SpanRow {
                blob: job.id,
                chunk: number,
                symbol: symbol.clone(),
                container: known.strings.intern(&piece.container),
                start_line: piece.start_line,
                end_line: piece.end_line,
            });
        }
        placed.push(Placed {
            symbol,
            kind: piece.kind,
            chunk: piece.chunk,
            start_line: piece.start_line,
            end_line: piece.end_line,
        });
    }
    known.versions.insert(key, Ok(placed.into()));
}

fn node_edits(changes: &[Classified], known: &Known) -> Vec<NodeEdit> {
    let nodes = |side: &Option<(Entry, Class)>| -> &[Placed] {
        let Some((entry, Ok(language))) = side else { return &[] };
        match known.versions.get(&(entry.id, language.name)) {
            Some(Ok(placed)) => placed,
            _ => &[],
        }
    };
    let files: Vec<lineage::FileNodes<'_>> = changes
        .iter()
        .map(|file| lineage::FileNodes {
            path: file.change.path.clone(),
            before: file.before.iter().map(nodes).collect(),
            after: nodes(&file.after),
        })
        .collect();
    lineage::edits(&files, &known.bags)
}

fn push_rows(
    commit: Commit,
    changes: Vec<Classified>,
    edits: Vec<NodeEdit>,
    known: &mut Known,
    generation: &mut Generation,
    run: &mut Run,
) {
    let number = known.next_commit;
    known.next_commit += 1;
    run.commits += 1;
    run.edits += edits.len() as u64;
    run.file_edits += changes.len() as u64;
    let sources = renamed_files(&changes);
    for change in changes {
        generation.edits.push(file_row(number, commit.boundary, change, &sources, known, run));
    }
    for edit in edits {
        generation.edits.push(node_row(number, commit.boundary, edit, known));
    }
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

/// Files that only changed their path: new path to old path, for equal content.
fn renamed_files(changes: &[Classified]) -> HashMap<Arc<str>, Arc<str>> {
    let mut gone: HashMap<ObjectId, Vec<&Arc<str>>> = HashMap::new();
    for change in changes.iter().rev() {
        if let (Some(Some((entry, _))), None) = (change.before.first(), &change.after) {
            gone.entry(entry.id).or_default().push(&change.change.path);
        }
    }
    changes
        .iter()
        .filter(|change| change.before.iter().all(Option::is_none))
        .filter_map(|change| {
            let source = gone.get_mut(&change.after.as_ref()?.0.id)?.pop()?;
            Some((change.change.path.clone(), source.clone()))
        })
        .collect()
}

fn file_row(
    commit: u32,
    boundary: bool,
    file: Classified,
    sources: &HashMap<Arc<str>, Arc<str>>,
    known: &mut Known,
    run: &mut Run,
) -> EditRow {
    let path = known.strings.intern(&file.change.path);
    let before = file.before.iter().flatten().next().map(|(entry, _)| entry.id);
    let before_path = sources.get(&file.change.path).cloned();
    let skip = file.after.as_ref().or(file.before.iter().flatten().next()).and_then(|(entry, class)| match class {
        Err(skip) => {
            run.skipped.insert((entry.id, *skip));
            Some(*skip)
        }
        Ok(language) => {
            known.versions.get(&(entry.id, language.name)).and_then(|version| version.as_ref().err().copied())
        }
    });
    let change = match (before, &file.after) {
        _ if boundary => Change::Present,
        (_, None) => Change::Removed,
        (None, Some(_)) if before_path.is_some() => Change::Moved,
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
        before_path,
        before_symbol: None,
        similarity: None,
        start_line: 0,
        end_line: 0,
        before_blob: before,
        after_blob: file.after.map(|(entry, _)| entry.id),
        skipped: skip.map(|skip| known.strings.intern(skip.as_str())),
    }
}

fn node_row(commit: u32, boundary: bool, edit: NodeEdit, known: &mut Known) -> EditRow {
    let (path, node) = edit.after.as_ref().or(edit.before.as_ref()).expect("because an edit has at least one side");
    let before = edit.before.as_ref();
    let number =
        |place: Option<&(Arc<str>, Placed)>| place.and_then(|(_, node)| known.chunks.get(&node.chunk).copied());
    EditRow {
        commit,
        path: path.clone(),
        symbol: Some(node.symbol.clone()),
        kind: Some(known.strings.intern(node.kind.as_str())),
        change: if boundary { Change::Present } else { edit.change },
        before: number(before),
        after: number(edit.after.as_ref()),
        before_path: before.filter(|(old, _)| old != path).map(|(old, _)| old.clone()),
        before_symbol: before.filter(|(_, old)| old.symbol != node.symbol).map(|(_, old)| old.symbol.clone()),
        similarity: edit.similarity,
        start_line: node.start_line,
        end_line: node.end_line,
        before_blob: None,
        after_blob: None,
        skipped: None,
    }
}
