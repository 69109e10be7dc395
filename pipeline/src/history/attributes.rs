//! Attributes: what `.gitattributes` says of a path, as of a commit.
//!
//! Read from the commit's own tree, so that history gives the same answer on every machine; the
//! user's global attributes and `.git/info/attributes` take no part.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use gix::attrs::search::{MetadataCollection, Outcome};
use gix::attrs::{Search, StateRef};
use gix::bstr::BStr;

use super::{Entry, HistoryError, Mode, Objects, path_to_bytes};
use crate::shard::ObjectId;

/// The file name that holds attributes.
const FILE_NAME: &str = ".gitattributes";

/// What was said of one path; `None` where nothing was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `linguist-vendored`.
    pub vendored: Option<bool>,
    /// `linguist-generated`.
    pub generated: Option<bool>,
    /// `binary`, or `-diff`: Git itself would show no text.
    pub binary: Option<bool>,
}

/// The attribute files of one tree: the blob in each directory that has one (`""` is the root).
pub type AttributeFiles = BTreeMap<String, ObjectId>;

/// Attribute files met so far, parsed once each.
///
/// `directories` names every directory in which history has ever held an attribute file; only
/// those are looked up, which for most repositories is none or the root.
#[derive(Default)]
pub struct AttributeRules {
    directories: BTreeSet<String>,
    parsed: HashMap<Vec<(String, ObjectId)>, Arc<Rules>>,
    missing: BTreeSet<ObjectId>,
}

struct Rules {
    search: Search,
    names: MetadataCollection,
}

const SELECTED: [&str; 4] = ["linguist-vendored", "linguist-generated", "binary", "diff"];

/// The directory whose attribute file `path` is; `None` for any other file.
pub(crate) fn attribute_directory(path: &str) -> Option<&str> {
    let directory = path.strip_suffix(FILE_NAME)?;
    (directory.is_empty() || directory.ends_with('/')).then(|| directory.trim_end_matches('/'))
}

impl AttributeRules {
    /// Starts with the directories that an earlier run has seen (`""` is the root).
    pub fn new(directories: impl IntoIterator<Item = String>) -> Self {
        AttributeRules { directories: directories.into_iter().collect(), ..AttributeRules::default() }
    }

    /// The rules of one tree, given its files.
    pub fn in_tree(files: &[(String, Entry)]) -> Self {
        let mut rules = AttributeRules::default();
        for (path, _) in files {
            rules.notice(path);
        }
        rules
    }

    /// Every directory seen so far, sorted.
    pub fn directories(&self) -> Vec<String> {
        self.directories.iter().cloned().collect()
    }

    /// Whether no attribute file was ever seen.
    pub fn is_empty(&self) -> bool {
        self.directories.is_empty()
    }

    /// Remembers a directory if `path` is an attribute file.
    pub fn notice(&mut self, path: &str) {
        if let Some(directory) = attribute_directory(path) {
            self.directories.insert(directory.to_owned());
        }
    }

    /// The attribute files in the tree of `commit`.
    pub fn files(&self, objects: &Objects, commit: &ObjectId) -> AttributeFiles {
        let file = |directory: &String| Some((directory.clone(), Self::file(objects, commit, directory)?));
        self.directories.iter().filter_map(file).collect()
    }

    /// The attribute file in one directory of the tree of `commit`.
    pub fn file(objects: &Objects, commit: &ObjectId, directory: &str) -> Option<ObjectId> {
        let path = if directory.is_empty() { FILE_NAME.to_owned() } else { format!("{directory}/{FILE_NAME}") };
        // What a link or a submodule of that name holds is not rules.
        objects.entry(commit, &path).filter(|entry| entry.mode == Mode::File).map(|entry| entry.id)
    }

    /// Attribute files that a partial clone lacks, of those that were asked for. They count as empty.
    pub fn missing(&self) -> impl Iterator<Item = &ObjectId> {
        self.missing.iter()
    }

    /// What `commit` says of `path`.
    ///
    /// # Errors
    /// An attribute file that is damaged, or missing and not on purpose.
    pub fn of(&mut self, objects: &Objects, commit: &ObjectId, path: &str) -> Result<Attributes, HistoryError> {
        let around = self.directories.iter().filter(|directory| holds(directory, path));
        let files: AttributeFiles =
            around.filter_map(|directory| Some((directory.clone(), Self::file(objects, commit, directory)?))).collect();
        self.said(objects, &files, path)
    }

    /// What the attribute files of a tree say of `path`.
    ///
    /// # Errors
    /// An attribute file that is damaged, or missing and not on purpose.
    pub fn said(&mut self, objects: &Objects, files: &AttributeFiles, path: &str) -> Result<Attributes, HistoryError> {
        let around: Vec<(String, ObjectId)> = files
            .iter()
            .filter(|(directory, _)| holds(directory, path))
            .map(|(directory, id)| (directory.clone(), *id))
            .collect();
        if around.is_empty() {
            return Ok(Attributes::default());
        }
        let rules = match self.parsed.get(&around) {
            Some(rules) => rules.clone(),
            None => {
                let rules = Arc::new(Rules::parse(objects, &around, &mut self.missing)?);
                self.parsed.insert(around, rules.clone());
                rules
            }
        };
        Ok(rules.of(path))
    }
}

/// Whether a path lies in a directory, however deep.
fn holds(directory: &str, path: &str) -> bool {
    directory.is_empty() || path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
}

impl Rules {
    fn parse(
        objects: &Objects,
        files: &[(String, ObjectId)],
        missing: &mut BTreeSet<ObjectId>,
    ) -> Result<Rules, HistoryError> {
        let mut names = MetadataCollection::default();
        let mut search = Search::default();
        let builtin = b"[attr]binary -diff -merge -text";
        let mut add = |bytes: &[u8], source: PathBuf, root: Option<&std::path::Path>, macros| {
            // Unreadable patterns are dropped by gix; the rest of the file still counts.
            let _ = search.add_patterns_buffer(bytes, source, root, &mut names, macros);
        };
        add(builtin, PathBuf::from("[builtin]"), None, true);
        for (directory, id) in files {
            let bytes = match objects.blob(id) {
                Some(bytes) => bytes,
                None => match objects.blob_failure(id) {
                    Some(failure) => return Err(failure),
                    None => {
                        missing.insert(*id);
                        Vec::new()
                    }
                },
            };
            let source = PathBuf::from(directory).join(FILE_NAME);
            add(&bytes, source, Some(std::path::Path::new("")), directory.is_empty());
        }
        Ok(Rules { search, names })
    }

    fn of(&self, path: &str) -> Attributes {
        let mut outcome = Outcome::default();
        outcome.initialize_with_selection(&self.names, SELECTED);
        let bytes = path_to_bytes(path);
        self.search.pattern_matching_relative_path(
            BStr::new(&bytes),
            gix::glob::pattern::Case::Sensitive,
            Some(false),
            &mut outcome,
        );
        let mut said = Attributes::default();
        for found in outcome.iter_selected() {
            let state = match found.assignment.state {
                StateRef::Set => true,
                StateRef::Unset => false,
                StateRef::Value(value) => value.as_bstr() != "false" && value.as_bstr() != "0",
                StateRef::Unspecified => continue,
            };
            match found.assignment.name.as_str() {
                "linguist-vendored" => said.vendored = Some(state),
                "linguist-generated" => said.generated = Some(state),
                "binary" if state => said.binary = Some(true),
                "diff" if !state => said.binary = Some(true),
                _ => {}
            }
        }
        said
    }
}
