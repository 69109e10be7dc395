//! Ledger: who changed what together, as of one first-parent step after another.
//!
//! It reads the edits of a store in the order of the steps that brought them, and never one of a later step, so that
//! whatever is asked of it is what was known then. A node keeps its number when it is renamed or moved.

use std::collections::HashSet;
use std::sync::Arc;

use precedent_pipeline::archive::{Archive, Units};
use precedent_pipeline::shard::{Change, EditRow};
use precedent_pipeline::syntax::Kind;

use rustc_hash::FxHashMap;

use super::authors::Authors;
use super::names;

/// A step that touches more files is a sweep, and says nothing of what belongs together.
pub const MAX_FILES_IN_STEP: usize = 40;
/// The same for nodes: what a step of this many nodes says of two of them is next to nothing.
pub const MAX_NODES_IN_STEP: usize = 200;

/// A node through its life.
#[derive(Debug, Clone)]
pub struct Node {
    /// Where it stands, or stood last.
    pub path: Arc<str>,
    /// Its qualified name there.
    pub symbol: Arc<str>,
    /// What it is.
    pub kind: Arc<str>,
    /// The number of its file.
    pub file: u32,
    /// The number of its text.
    pub chunk: u32,
    /// Its first line when it was last edited; what others moved it by since is not known.
    pub line: u32,
    /// Whether it is there.
    pub alive: bool,
    /// The steps that changed it and are no sweeps, oldest first, by their places in [`Ledger::steps`].
    pub steps: Vec<u32>,
    /// How many sweeps changed it as well.
    pub sweeps: u32,
    /// The step that brought it.
    pub born: u32,
}

/// A file through its life.
#[derive(Debug, Clone)]
pub struct File {
    /// Its path, present or last.
    pub path: Arc<str>,
    /// Whether it is there.
    pub alive: bool,
    /// The steps that changed it and are no sweeps.
    pub steps: Vec<u32>,
    /// How many sweeps changed it as well.
    pub sweeps: u32,
    /// The nodes that stand in it, by number; some may have left.
    pub nodes: Vec<u32>,
}

/// One first-parent step.
#[derive(Debug, Clone)]
pub struct Step {
    /// The number of its commit on the first-parent line.
    pub commit: u32,
    /// Who wrote what it brought, without integrators and bots; may be empty.
    pub authors: Vec<u32>,
    /// When it was committed, in seconds since 1970 UTC.
    pub time: i64,
    /// The nodes that it changed, by number; none of a sweep.
    pub nodes: Vec<u32>,
    /// The files that it changed, by number; none of a sweep.
    pub files: Vec<u32>,
    /// Whether it is too large to tell anything.
    pub is_sweep: bool,
}

/// What a step does to one node, or to one file, seen from before it.
#[derive(Debug, Clone)]
pub struct Touched {
    /// Its number; `None` for what is new.
    pub id: Option<u32>,
    /// Where it stands afterwards, or stood last.
    pub path: Arc<str>,
    /// Its name there; empty for a file.
    pub symbol: Arc<str>,
    /// What it is; empty for a file.
    pub kind: Arc<str>,
    /// Its text before.
    pub before: Option<u32>,
    /// Its text afterwards.
    pub after: Option<u32>,
    /// Whether it is there afterwards.
    pub exists: bool,
    line: u32,
}

/// What a step does, seen from before it.
#[derive(Debug, Clone, Default)]
pub struct Preview {
    /// Nodes, in the order in which they were first touched.
    pub nodes: Vec<Touched>,
    /// Files likewise.
    pub files: Vec<Touched>,
}

/// The order of a first-parent line: each step with the edits that it brought.
#[derive(Default)]
pub struct Line<'a> {
    /// Commit of each step, oldest first.
    pub spine: Vec<u32>,
    edits: FxHashMap<u32, Vec<&'a EditRow>>,
    commits: FxHashMap<u32, Vec<u32>>,
}

impl<'a> Line<'a> {
    /// The steps up to a commit, by number.
    pub fn of(archive: &'a Archive, tip: u32) -> Line<'a> {
        let units = archive.units(tip);
        Line::with(archive, &units, tip)
    }

    /// The same, where the steps are known.
    pub fn with(archive: &'a Archive, units: &Units, tip: u32) -> Line<'a> {
        let mut edits: FxHashMap<u32, Vec<&EditRow>> = FxHashMap::default();
        for edit in archive.edits() {
            if let Some(unit) = units.of(edit.commit) {
                edits.entry(unit).or_default().push(edit);
            }
        }
        let mut commits: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
        for commit in 0..=tip {
            if let Some(unit) = units.of(commit) {
                commits.entry(unit).or_default().push(commit);
            }
        }
        let mut spine: Vec<u32> = commits.keys().copied().collect();
        spine.sort_unstable();
        Line { spine, edits, commits }
    }

    /// All steps with their edits.
    pub fn all(&self) -> &FxHashMap<u32, Vec<&'a EditRow>> {
        &self.edits
    }

    /// The edits of a step, parents first.
    pub fn edits(&self, commit: u32) -> &[&'a EditRow] {
        self.edits.get(&commit).map_or(&[], Vec::as_slice)
    }

    /// The commits of a step.
    pub fn commits(&self, commit: u32) -> &[u32] {
        self.commits.get(&commit).map_or(&[], Vec::as_slice)
    }
}

/// What is known after some steps.
#[derive(Default)]
pub struct Ledger {
    /// Every node that ever was, by number.
    pub nodes: Vec<Node>,
    /// Every file that ever was, by number.
    pub files: Vec<File>,
    /// Every step so far.
    pub steps: Vec<Step>,
    /// Who is who.
    pub authors: Authors,
    places: FxHashMap<Arc<str>, FxHashMap<Arc<str>, u32>>,
    paths: FxHashMap<Arc<str>, u32>,
    /// For each author the nodes that they changed: the latest step, and how many.
    pub by_author: FxHashMap<u32, FxHashMap<u32, (u32, u32)>>,
    /// The same for files.
    pub files_by_author: FxHashMap<u32, FxHashMap<u32, (u32, u32)>>,
    /// Nodes by the stem of their name.
    pub by_name: FxHashMap<String, Vec<u32>>,
    /// Files by the stem of theirs.
    pub by_stem: FxHashMap<String, Vec<u32>>,
}

/// Imports change with everything and prose has no name that lasts: neither has companions.
pub fn counts(kind: &str) -> bool {
    kind != Kind::Run.as_str() && kind != Kind::Section.as_str()
}

/// One name inside the other: `outer` and `outer::inner` change together by construction.
pub fn encloses(one: &str, two: &str) -> bool {
    let inside = |outer: &str, inner: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with(['.', ':']));
    inside(one, two) || inside(two, one)
}

impl Ledger {
    /// Nothing yet.
    pub fn new(authors: Authors) -> Ledger {
        Ledger { authors, ..Ledger::default() }
    }

    /// A node that stands somewhere, by number.
    pub fn node_at(&self, path: &str, symbol: &str) -> Option<u32> {
        self.places.get(path)?.get(symbol).copied().filter(|id| self.nodes[*id as usize].alive)
    }

    /// A file that is there, by number.
    pub fn file_at(&self, path: &str) -> Option<u32> {
        self.paths.get(path).copied().filter(|id| self.files[*id as usize].alive)
    }

    /// What a step does, seen from before it.
    pub fn preview(&self, edits: &[&EditRow]) -> Preview {
        let mut preview = Preview::default();
        let mut at: FxHashMap<(Arc<str>, Arc<str>), usize> = FxHashMap::default();
        let mut file_at: FxHashMap<Arc<str>, usize> = FxHashMap::default();
        for edit in edits {
            let from_path = edit.before_path.clone().unwrap_or_else(|| edit.path.clone());
            let moves = matches!(edit.change, Change::Moved | Change::Renamed);
            let is_new = matches!(edit.change, Change::Added | Change::Split | Change::Copied | Change::Present);
            let Some(symbol) = &edit.symbol else {
                let key = if moves { from_path } else { edit.path.clone() };
                let index = *file_at.entry(key.clone()).or_insert_with(|| {
                    preview.files.push(Touched {
                        id: self.file_at(&key),
                        path: key.clone(),
                        symbol: "".into(),
                        kind: "".into(),
                        before: None,
                        after: None,
                        exists: true,
                        line: 0,
                    });
                    preview.files.len() - 1
                });
                let touched = &mut preview.files[index];
                touched.exists = edit.change != Change::Removed;
                if moves && touched.path != edit.path {
                    touched.path = edit.path.clone();
                    file_at.remove(&key);
                    file_at.insert(edit.path.clone(), index);
                }
                continue;
            };
            if edit.change == Change::Joined {
                continue;
            }
            let key = match moves {
                true => (from_path, edit.before_symbol.clone().unwrap_or_else(|| symbol.clone())),
                false => (edit.path.clone(), symbol.clone()),
            };
            let index = *at.entry(key.clone()).or_insert_with(|| {
                let id = self.node_at(&key.0, &key.1);
                preview.nodes.push(Touched {
                    id,
                    path: key.0.clone(),
                    symbol: key.1.clone(),
                    kind: edit.kind.clone().unwrap_or_else(|| "".into()),
                    before: id.map(|id| self.nodes[id as usize].chunk),
                    after: None,
                    exists: true,
                    line: edit.start_line,
                });
                preview.nodes.len() - 1
            });
            let touched = &mut preview.nodes[index];
            if is_new && !touched.exists || edit.after.is_some() {
                touched.exists = true;
                touched.line = edit.start_line;
            }
            touched.after = edit.after;
            touched.exists = edit.change != Change::Removed;
            if moves {
                touched.path = edit.path.clone();
                touched.symbol = symbol.clone();
                at.remove(&key);
                at.insert((edit.path.clone(), symbol.clone()), index);
            }
        }
        // What a step brings and takes away again was never there.
        preview.nodes.retain(|touched| touched.id.is_some() || touched.exists);
        preview.files.retain(|touched| touched.id.is_some() || touched.exists);
        preview
    }

    /// Takes a step.
    pub fn advance(&mut self, archive: &Archive, line: &Line<'_>, commit: u32, preview: &Preview) {
        let number = self.steps.len() as u32;
        let authors = self.authors.of_step(archive, line.commits(commit));
        let counted = preview.nodes.iter().filter(|touched| counts(&touched.kind)).count();
        let is_sweep = preview.files.len() > MAX_FILES_IN_STEP || counted > MAX_NODES_IN_STEP;
        let files = self.advance_files(preview, number);
        let nodes = self.advance_nodes(preview, number);
        for &file in &files {
            let file = &mut self.files[file as usize];
            if is_sweep { file.sweeps += 1 } else { file.steps.push(number) }
        }
        for &node in &nodes {
            let node = &mut self.nodes[node as usize];
            if is_sweep { node.sweeps += 1 } else { node.steps.push(number) }
        }
        if !is_sweep {
            for author in &authors {
                for (all, changed) in [(&mut self.by_author, &nodes), (&mut self.files_by_author, &files)] {
                    let theirs = all.entry(*author).or_default();
                    for id in changed {
                        let (last, count) = theirs.entry(*id).or_default();
                        *last = number;
                        *count += 1;
                    }
                }
            }
        }
        let time = archive.commit(commit).commit_time;
        let (nodes, files) = if is_sweep { (Vec::new(), Vec::new()) } else { (nodes, files) };
        self.steps.push(Step { commit, authors, time, nodes, files, is_sweep });
    }

    fn advance_files(&mut self, preview: &Preview, _number: u32) -> Vec<u32> {
        let mut changed = Vec::with_capacity(preview.files.len());
        for touched in &preview.files {
            let id = match touched.id {
                Some(id) => id,
                None => self.file_id(&touched.path),
            };
            let file = &mut self.files[id as usize];
            file.alive = touched.exists;
            if file.path != touched.path {
                file.path = touched.path.clone();
                self.paths.insert(touched.path.clone(), id);
                self.by_stem.entry(names::file_stem(&touched.path)).or_default().push(id);
            }
            changed.push(id);
        }
        changed.sort_unstable();
        changed.dedup();
        changed
    }

    fn file_id(&mut self, path: &Arc<str>) -> u32 {
        if let Some(id) = self.paths.get(path) {
            return *id;
        }
        let id = self.files.len() as u32;
        self.files.push(File { path: path.clone(), alive: true, steps: Vec::new(), sweeps: 0, nodes: Vec::new() });
        self.paths.insert(path.clone(), id);
        self.by_stem.entry(names::file_stem(path)).or_default().push(id);
        id
    }

    fn advance_nodes(&mut self, preview: &Preview, number: u32) -> Vec<u32> {
        let mut changed = Vec::with_capacity(preview.nodes.len());
        for touched in &preview.nodes {
            let file = self.file_id(&touched.path);
            let known =
                touched.id.or_else(|| self.places.get(&touched.path).and_then(|at| at.get(&touched.symbol)).copied());
            let id = match known {
                Some(id) => id,
                None => {
                    let id = self.nodes.len() as u32;
                    self.nodes.push(Node {
                        path: touched.path.clone(),
                        symbol: touched.symbol.clone(),
                        kind: touched.kind.clone(),
                        file: u32::MAX,
                        chunk: 0,
                        line: 0,
                        alive: true,
                        steps: Vec::new(),
                        sweeps: 0,
                        born: number,
                    });
                    id
                }
            };
            let node = &mut self.nodes[id as usize];
            node.alive = touched.exists;
            if let Some(chunk) = touched.after {
                node.chunk = chunk;
                node.line = touched.line;
            }
            if touched.id.is_none() || node.symbol != touched.symbol {
                self.by_name.entry(names::node_stem(&touched.symbol)).or_default().push(id);
            }
            node.path = touched.path.clone();
            node.symbol = touched.symbol.clone();
            if node.file != file {
                node.file = file;
                self.files[file as usize].nodes.push(id);
            }
            self.places.entry(touched.path.clone()).or_default().insert(touched.symbol.clone(), id);
            if counts(&touched.kind) {
                changed.push(id);
            }
        }
        changed.sort_unstable();
        changed.dedup();
        changed
    }

    /// The nodes of a file that are there.
    pub fn nodes_in(&self, file: u32) -> impl Iterator<Item = u32> {
        self.files[file as usize].nodes.iter().copied().filter(move |id| {
            let node = &self.nodes[*id as usize];
            node.alive && node.file == file
        })
    }

    /// How many steps changed both of two nodes, or of two files, given their steps in order.
    pub fn together(one: &[u32], two: &[u32]) -> usize {
        let (few, many) = if one.len() < two.len() { (one, two) } else { (two, one) };
        let many: HashSet<u32> = many.iter().copied().collect();
        few.iter().filter(|step| many.contains(step)).count()
    }
}
