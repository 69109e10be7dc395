//! Change: two commits to the nodes that differ between them.
//!
//! What the head brings is chunked in memory and never enters the store.

use std::collections::HashMap;
use std::sync::Arc;

use precedent_pipeline::Chunker;
use precedent_pipeline::Piece;
use precedent_pipeline::PipelineError;
use precedent_pipeline::history::{AttributeRules, Entry, Objects, Repository};
use precedent_pipeline::lineage::{self, FileNodes, Placed};
use precedent_pipeline::shard::{Change as Kind, ChunkId, ObjectId};
use precedent_pipeline::syntax::{Bag, Language, MAX_NODE_BYTES, Skip, comments};
use rayon::prelude::*;
use rustc_hash::FxHashSet;

use crate::diff::{FileDiff, tree};
use crate::finding::{Left, NodeName};
use crate::render::subject;

/// A larger diff than this is reviewed by file only, so that a review ends in time.
const MAX_FILES: usize = 2_000;

/// Commits of a change are counted up to here.
pub(crate) const MAX_COMMITS: usize = 10_000;

/// Git's id of the tree that holds nothing: the old side of a root commit.
pub fn empty_tree(like: &ObjectId) -> ObjectId {
    const SHA1: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
    const SHA256: &str = "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321";
    let text = if like.as_bytes().len() == 20 { SHA1 } else { SHA256 };
    ObjectId::from_hex(text).expect("because it is written in hexadecimal digits")
}

/// A change under review.
#[derive(Debug, Clone)]
pub struct Change {
    /// The merge base: the old side of the diff.
    pub base: ObjectId,
    /// The tip that precedents are known at.
    pub base_tip: ObjectId,
    /// The new side.
    pub head: ObjectId,
    /// The subject of the head's message.
    pub subject: String,
    /// The head's author.
    pub author: String,
    /// How many commits it brings, 10,000 at the most; one step along first parents is one. 0 where a clone does not know.
    pub commits: usize,
    /// Every changed file, by path.
    pub files: Vec<ChangedFile>,
    /// Every changed node.
    pub nodes: Vec<ChangedNode>,
}

/// A changed file.
#[derive(Debug, Clone)]
pub struct ChangedFile {
    /// The path; of the old side when it was removed.
    pub path: Arc<str>,
    /// The path that it was renamed from, if it was; the difference is to the text there.
    pub old_path: Option<Arc<str>>,
    /// Its language, or why it was not looked into.
    pub language: Result<&'static Language, &'static str>,
    /// The old text; empty when it was added, or not looked into.
    pub before: String,
    /// The new text; empty when it was removed, or not looked into.
    pub after: String,
    /// The difference.
    pub diff: FileDiff,
    /// Whether it exists on the new side.
    pub exists: bool,
}

/// A changed node.
#[derive(Debug, Clone)]
pub struct ChangedNode {
    /// What happened to it.
    pub kind: Kind,
    /// Where it stood, if it did.
    pub before: Option<(Arc<str>, Piece)>,
    /// Where it stands, if it does.
    pub after: Option<(Arc<str>, Piece)>,
    /// Its language.
    pub language: &'static Language,
    /// Whether it is now a part of a function that is too long for one node, and says nothing of the whole.
    pub is_part: bool,
}

impl ChangedNode {
    /// Its present path and piece, or its last ones.
    pub fn now(&self) -> &(Arc<str>, Piece) {
        self.after.as_ref().or(self.before.as_ref()).expect("because a changed node has at least one side")
    }

    /// Whether only comments, documentation or blank lines differ. What cannot be told is not said to be so.
    pub fn is_in_words(&self) -> bool {
        let (Some((_, before)), Some((_, after))) = (&self.before, &self.after) else { return false };
        let code = |text| code_of(self.language, text);
        before.chunk != after.chunk && code(&before.text).is_some_and(|before| Some(before) == code(&after.text))
    }

    /// Whether it differs in nothing but in what lies in it and is a changed node of its own, of which more is known.
    pub fn is_by_its_parts(&self, nodes: &[ChangedNode]) -> bool {
        type Side = fn(&ChangedNode) -> Option<&(Arc<str>, Piece)>;
        let own_lines = |side: Side| {
            let (path, piece) = side(self)?;
            let lines = piece.start_line..=piece.end_line;
            // Where nodes inside were cut out of its text, what differs in that is its own.
            if piece.text.lines().count() != lines.clone().count() {
                return None;
            }
            let parts: Vec<(u32, u32)> = nodes
                .iter()
                .filter_map(side)
                .filter(|(other, part)| {
                    other == path && lines.contains(&part.start_line) && part.end_line <= piece.end_line
                })
                .map(|(_, part)| (part.start_line, part.end_line))
                .filter(|part| *part != (piece.start_line, piece.end_line))
                .collect();
            let in_part = |line: u32| parts.iter().any(|(first, last)| (*first..=*last).contains(&line));
            let text = (piece.start_line..).zip(piece.text.lines().map(str::trim));
            let own: Vec<&str> =
                text.filter(|(at, line)| !line.is_empty() && !in_part(*at)).map(|(_, line)| line).collect();
            Some((own, parts.len()))
        };
        let sides = (own_lines(|node| node.before.as_ref()), own_lines(|node| node.after.as_ref()));
        matches!(sides, (Some((before, one)), Some((after, two))) if one + two > 0 && before == after)
    }

    /// Its present name.
    pub fn name(&self) -> NodeName {
        let (path, piece) = self.now();
        NodeName { path: path.to_string(), symbol: piece.symbol.clone() }
    }
}

impl Change {
    /// Which of several it is that one fact is about, where other nodes that change have its name, as overloads do; the
    /// beginning of a sentence.
    pub(crate) fn which(&self, node: &ChangedNode) -> String {
        let (path, piece) = node.now();
        let is_namesake = |other: &&ChangedNode| {
            let (other_path, other) = other.now();
            other.symbol == piece.symbol && other_path == path
        };
        match self.nodes.iter().filter(is_namesake).nth(1) {
            Some(_) => format!("of the one in line {}: ", piece.start_line),
            None => String::new(),
        }
    }

    /// Reads the change from the merge base of `base_tip` and `head` to `head`.
    ///
    /// # Errors
    /// History that cannot be read, or two commits without a common one.
    pub fn between(repository: &Repository, base_tip: ObjectId, head: ObjectId) -> Result<Change, PipelineError> {
        Ok(Change::of_files(repository, base_tip, head)?.with_nodes())
    }

    /// The same where the merge base is known.
    ///
    /// # Errors
    /// History that cannot be read.
    pub fn since(
        repository: &Repository,
        base: ObjectId,
        base_tip: ObjectId,
        head: ObjectId,
    ) -> Result<Change, PipelineError> {
        Ok(Change::files_since(repository, base, base_tip, head)?.with_nodes())
    }

    /// The same without the nodes, which take the longest.
    ///
    /// # Errors
    /// As [`Change::between`].
    pub fn of_files(repository: &Repository, base_tip: ObjectId, head: ObjectId) -> Result<Change, PipelineError> {
        let is_root = base_tip == empty_tree(&head);
        let base = if is_root { base_tip } else { repository.merge_base(base_tip, head)? };
        Change::files_since(repository, base, base_tip, head)
    }

    /// The same without the nodes, where the merge base is known.
    ///
    /// # Errors
    /// History that cannot be read.
    pub fn files_since(
        repository: &Repository,
        base: ObjectId,
        base_tip: ObjectId,
        head: ObjectId,
    ) -> Result<Change, PipelineError> {
        let objects = repository.objects();
        let commit = objects.commit(repository, &head)?;
        let is_root = base == empty_tree(&head);
        let changes = if is_root { objects.difference(None, &commit.tree)? } else { objects.between(&base, &head)? };
        let mut files = Vec::with_capacity(changes.len());
        // Configuration comes from the base, never from the change.
        let old_files = if is_root { Vec::new() } else { objects.files(&base)? };
        let mut rules = AttributeRules::in_tree(&old_files);
        for (at, change) in changes.iter().enumerate() {
            let attributes = rules.of(&objects, &base, &change.path)?;
            let before = change.before.first().copied().flatten();
            let entry = change.after.or(before).expect("because a change has at least one side");
            let mut language = Chunker::classify(&change.path, &entry, attributes).map_err(Skip::as_str);
            if at >= MAX_FILES {
                language = Err("too many files");
            }
            let (old, new) = match language {
                Ok(known) => {
                    let old = before.map_or(Ok(String::new()), |entry| text_of(&objects, &change.path, &entry, known));
                    let new =
                        change.after.map_or(Ok(String::new()), |entry| text_of(&objects, &change.path, &entry, known));
                    match (old, new) {
                        (Ok(old), Ok(new)) => (old, new),
                        (Err(skip), _) | (_, Err(skip)) => {
                            language = Err(skip.as_str());
                            (String::new(), String::new())
                        }
                    }
                }
                Err(_) => (String::new(), String::new()),
            };
            files.push(ChangedFile {
                path: change.path.clone(),
                old_path: None,
                language,
                diff: FileDiff::between(&old, &new),
                before: old,
                after: new,
                exists: change.after.is_some(),
            });
        }
        pair_renames(&mut files, &tree::renames(&objects, &changes));
        let is_step = is_root || commit.parents.first() == Some(&base);
        let commits = match () {
            () if is_step => 1,
            // What a shallow clone lacks cannot be counted.
            () if !repository.shallow().is_empty() => 0,
            () => repository.count_between(&base, &head, MAX_COMMITS).unwrap_or(0),
        };
        Ok(Change {
            base,
            base_tip,
            head,
            subject: subject(&commit.message),
            author: commit.author,
            commits,
            files,
            nodes: Vec::new(),
        })
    }

    /// Parses both sides of every file and finds the nodes that differ.
    pub fn with_nodes(self) -> Change {
        let cut = |file: &ChangedFile| {
            let language = file.language.ok()?;
            let chunk = |text: &str| Chunker::chunk_text(language, text);
            let (old, new) = rayon::join(|| chunk(&file.before), || chunk(&file.after));
            Some((file.path.clone(), language, old, new))
        };
        let nodes = changed_nodes(self.files.par_iter().filter_map(cut).collect());
        Change { nodes, ..self }
    }

    /// The texts of the changed nodes, before and after.
    pub fn chunks(&self) -> FxHashSet<ChunkId> {
        let sides = self.nodes.iter().flat_map(|node| [&node.before, &node.after]).flatten();
        sides.map(|(_, piece)| piece.chunk).collect()
    }

    /// A changed file by its path.
    pub fn file(&self, path: &str) -> Option<&ChangedFile> {
        self.files.iter().find(|file| &*file.path == path)
    }

    /// The changed files as Git lists them: one that moved stands under its new name alone.
    pub fn shown_files(&self) -> impl Iterator<Item = &ChangedFile> {
        let moved: FxHashSet<&str> = self.files.iter().filter_map(|file| file.old_path.as_deref()).collect();
        self.files.iter().filter(move |file| !moved.contains(&*file.path))
    }

    /// Says of files that are not in the repository for their size that this is why.
    pub fn with_huge(mut self, paths: &[Arc<str>]) -> Change {
        for file in self.files.iter_mut().filter(|file| paths.contains(&file.path)) {
            if file.language == Err(Skip::Missing.as_str()) {
                file.language = Err(Skip::Huge.as_str());
            }
        }
        self
    }

    /// Files that were not looked into, by reason.
    pub fn skipped(&self) -> Vec<Left> {
        self.shown_files()
            .filter_map(|file| {
                let why = file.language.err()?;
                Some(Left { what: file.path.to_string(), why: why.to_owned() })
            })
            .collect()
    }
}

/// A renamed file is shown against its old text, and so are its hunks; the old one has none.
fn pair_renames(files: &mut [ChangedFile], renames: &HashMap<Arc<str>, Arc<str>>) {
    for (new, old) in renames {
        let Some(from) = files.iter().position(|file| file.path == *old) else { continue };
        let before = files[from].before.clone();
        files[from].diff = FileDiff::default();
        if let Some(file) = files.iter_mut().find(|file| file.path == *new) {
            // Both sides must have been looked into for the hunks to be those of Git.
            file.diff = FileDiff::between(&before, &file.after);
            file.old_path = Some(old.clone());
        }
    }
}

fn text_of(objects: &Objects, path: &str, entry: &Entry, language: &'static Language) -> Result<String, Skip> {
    Chunker::text(objects, path, &entry.id, language).map(|(text, _)| text)
}

type Side = (Arc<str>, &'static Language, Vec<Piece>, Vec<Piece>);

fn changed_nodes(sides: Vec<Side>) -> Vec<ChangedNode> {
    let placed = |pieces: &[Piece]| -> Vec<Placed> {
        pieces
            .iter()
            .map(|piece| Placed {
                symbol: piece.symbol.as_str().into(),
                kind: piece.kind,
                chunk: piece.chunk,
                start_line: piece.start_line,
                end_line: piece.end_line,
            })
            .collect()
    };
    let nodes: Vec<(Vec<Placed>, Vec<Placed>)> =
        sides.iter().map(|(_, _, before, after)| (placed(before), placed(after))).collect();
    let files: Vec<FileNodes<'_>> = sides
        .iter()
        .zip(&nodes)
        .map(|((path, ..), (before, after))| FileNodes { path: path.clone(), before: vec![before], after })
        .collect();
    let pieces = sides.iter().flat_map(|(_, _, before, after)| before.iter().chain(after));
    let texts: HashMap<ChunkId, &str> = pieces.map(|piece| (piece.chunk, piece.text.as_str())).collect();
    let bags: HashMap<ChunkId, Bag> = texts.into_par_iter().map(|(chunk, text)| (chunk, Bag::of(text))).collect();
    let edits = lineage::edits(&files, &bags);
    let by_path: HashMap<&str, &Side> = sides.iter().map(|side| (&*side.0, side)).collect();
    let find = |path: &Arc<str>, node: &Placed, old: bool| -> (Arc<str>, Piece) {
        let (_, _, before, after) = by_path[&**path];
        let pieces = if old { before } else { after };
        let piece = pieces
            .iter()
            .find(|piece| {
                piece.chunk == node.chunk && piece.start_line == node.start_line && *piece.symbol == *node.symbol
            })
            .expect("because the edit was made from these pieces");
        (path.clone(), piece.clone())
    };
    let mut changed: Vec<ChangedNode> = edits
        .into_iter()
        // Of a join, the two nodes have edits of their own.
        .filter(|edit| edit.change != Kind::Joined)
        .map(|edit| {
            let side = edit.after.as_ref().or(edit.before.as_ref());
            let (path, _) = side.expect("because an edit has a side");
            let language = by_path[&**path].1;
            let after = edit.after.map(|(path, node)| find(&path, &node, false));
            ChangedNode {
                kind: edit.change,
                language,
                // A split or a copy was not there before, whatever its text came from.
                before: edit
                    .before
                    .filter(|_| !matches!(edit.change, Kind::Split | Kind::Copied))
                    .map(|(path, node)| find(&path, &node, true)),
                is_part: after.as_ref().is_some_and(|(path, piece)| is_part(piece, &by_path[&**path].3)),
                after,
            }
        })
        .collect();
    changed.sort_by(|one, two| {
        let key = |node: &ChangedNode| {
            let (path, piece) = node.now();
            (path.clone(), piece.start_line, piece.symbol.clone())
        };
        key(one).cmp(&key(two))
    });
    changed
}

/// The lines of a text without its comments, as far as anything stands in them; nothing for a text format.
pub(crate) fn code_of(language: &'static Language, text: &str) -> Option<Vec<String>> {
    let mut code = String::with_capacity(text.len());
    let mut end = 0;
    for comment in comments(language, text)? {
        code.push_str(text.get(end..comment.start)?);
        end = comment.end;
    }
    code.push_str(text.get(end..)?);
    Some(code.lines().map(str::trim_end).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// Whether a piece is a part of a function that is too long for one. It has the function's symbol.
fn is_part(piece: &Piece, of_file: &[Piece]) -> bool {
    let is_same = |other: &&Piece| other.symbol == piece.symbol && other.kind == piece.kind;
    let abuts = |other: &Piece| piece.end_line + 1 == other.start_line || other.end_line + 1 == piece.start_line;
    let bytes: usize = of_file.iter().filter(is_same).map(|same| same.text.len()).sum();
    bytes > MAX_NODE_BYTES && of_file.iter().filter(is_same).any(abuts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_long_function_is_no_function() {
        let long: String = (0..2_000).map(|at| format!("    f({at});\n\n")).collect();
        let text = format!("fn long() {{\n{long}}}\nfn one() {{\n    f(1);\n}}\nfn two() {{\n    f(2);\n}}\n");
        let language = precedent_pipeline::syntax::language("rust").expect("because it is in the table");
        let pieces = Chunker::chunk_text(language, &text);
        let parts = pieces.iter().filter(|piece| is_part(piece, &pieces)).map(|piece| piece.name.as_str());
        let names: Vec<&str> = parts.collect();
        assert!(names.len() > 1 && names.iter().all(|name| *name == "long"), "{names:?}");
    }

    #[test]
    fn what_differs_in_its_parts_alone_is_told_from_what_differs_itself() {
        let language = precedent_pipeline::syntax::language("javascript").expect("because it is in the table");
        let path: Arc<str> = "a.js".into();
        let nodes = |before: &str, after: &str| -> Vec<ChangedNode> {
            let (old, new) = (Chunker::chunk_text(language, before), Chunker::chunk_text(language, after));
            let changed = old.into_iter().zip(new).filter(|(old, new)| old.chunk != new.chunk);
            let node = |(old, new)| ChangedNode {
                kind: Kind::Modified,
                before: Some((path.clone(), old)),
                after: Some((path.clone(), new)),
                language,
                is_part: false,
            };
            changed.map(node).collect()
        };
        let text = |outer: &str, inner: &str| {
            format!(
                "function walk(node) {{\n  start({outer});\n  function enter(node) {{\n    see({inner});\n  }}\n  enter(node);\n}}\n"
            )
        };
        let check = |before: (&str, &str), after: (&str, &str), expected: &[(&str, bool)]| {
            let nodes = nodes(&text(before.0, before.1), &text(after.0, after.1));
            let found: Vec<(&str, bool)> =
                nodes.iter().map(|node| (node.now().1.name.as_str(), node.is_by_its_parts(&nodes))).collect();
            assert_eq!(found, expected);
        };
        check(("1", "1"), ("1", "2"), &[("walk", true), ("enter", false)]);
        check(("1", "1"), ("1", "2, 3,\n\n      4"), &[("walk", true), ("enter", false)]);
        check(("1", "1"), ("2", "2"), &[("walk", false), ("enter", false)]);
        check(("1", "1"), ("2", "1"), &[("walk", false)]);
        // The methods of a class are no part of its text, whose lines are therefore not those of the file.
        let class =
            |field: u32, seen: u32| format!("class A {{\n  m() {{\n    see({seen});\n  }}\n  x = {field};\n}}\n");
        let nodes = nodes(&class(1, 1), &class(2, 2));
        let found: Vec<(&str, bool)> =
            nodes.iter().map(|node| (node.now().1.name.as_str(), node.is_by_its_parts(&nodes))).collect();
        assert_eq!(found, [("A", false), ("m", false)]);
    }

    #[test]
    fn words_are_told_from_code() {
        let check = |name: &str, before: &str, after: &str, expected: bool| {
            let language = precedent_pipeline::syntax::language(name).expect("because it is in the table");
            let piece = |text| Chunker::chunk_text(language, text).pop().expect("because there is a node");
            let path: Arc<str> = "a".into();
            let sides = (Some((path.clone(), piece(before))), Some((path, piece(after))));
            let kind = Kind::Modified;
            let node = ChangedNode { kind, before: sides.0, after: sides.1, language, is_part: false };
            assert_eq!(node.is_in_words(), expected, "{after}");
        };
        let rust = "/// One.\nfn f() {\n    g(1); // here\n}\n";
        check("rust", rust, "/// Two.\n/// And three.\nfn f() {\n\n    g(1);\n}\n", true);
        check("rust", rust, "/// One.\nfn f() {\n    g(2); // here\n}\n", false);
        check("rust", rust, rust, false);
        let python = "def f():\n    \"\"\"One.\"\"\"\n    return \"a\"  # b\n";
        check("python", python, "def f():\n    \"\"\"Two.\n\n    More.\n    \"\"\"\n    return \"a\"\n", true);
        check("python", python, "def f():\n    \"\"\"One.\"\"\"\n    return \"c\"  # b\n", false);
        check("java", "/** One. */\nclass A {}\n", "/** Two. */\nclass A {}\n", true);
        check("markdown", "# A\n\nOne.\n", "# A\n\nTwo.\n", false);
    }
}
