//! Attributes: what `.gitattributes` says of a path, as of a commit.
//!
//! Read from the commit's own tree, so that history gives the same answer on every machine; the
//! user's global attributes and `.git/info/attributes` take no part.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use gix::attrs::search::{MetadataCollection, Outcome};
use gix::attrs::{Search, StateRef};
use gix::bstr::BStr;

use super::{Entry, Objects, path_to_bytes};
use crate::shard::ObjectId;

/// The file name that holds attributes.
pub(crate) const FILE_NAME: &str = ".gitattributes";

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

/// Attribute files met so far, parsed once each.
///
/// `directories` names every directory in which history has ever held an attribute file; only
/// those are looked up, which for most repositories is none or the root.
#[derive(Default)]
pub struct AttributeRules {
    directories: BTreeSet<String>,
    parsed: HashMap<Vec<(String, ObjectId)>, Arc<Rules>>,
}

struct Rules {
    search: Search,
    names: MetadataCollection,
}

const SELECTED: [&str; 4] = ["linguist-vendored", "linguist-generated", "binary", "diff"];

impl AttributeRules {
    /// Starts with the directories that an earlier run has seen (`""` is the root).
    pub fn new(directories: impl IntoIterator<Item = String>) -> Self {
        AttributeRules { directories: directories.into_iter().collect(), parsed: HashMap::new() }
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

    /// Remembers a directory if `path` is an attribute file.
    pub fn notice(&mut self, path: &str) {
        if let Some(directory) = path.strip_suffix(FILE_NAME)
            && (directory.is_empty() || directory.ends_with('/'))
        {
            self.directories.insert(directory.trim_end_matches('/').to_owned());
        }
    }

    /// What `commit` says of `path`.
    pub fn of(&mut self, objects: &Objects, commit: &ObjectId, path: &str) -> Attributes {
        if self.directories.is_empty() {
            return Attributes::default();
        }
        let files: Vec<(String, ObjectId)> = self
            .directories
            .iter()
            .filter(|directory| {
                directory.is_empty() || path.strip_prefix(directory.as_str()).is_some_and(|rest| rest.starts_with('/'))
            })
            .filter_map(|directory| {
                let file = if directory.is_empty() { FILE_NAME.to_owned() } else { format!("{directory}/{FILE_NAME}") };
                let Entry { id, .. } = objects.entry(commit, &file)?;
                Some((directory.clone(), id))
            })
            .collect();
        if files.is_empty() {
            return Attributes::default();
        }
        let rules = match self.parsed.get(&files) {
            Some(rules) => rules.clone(),
            None => {
                let rules = Arc::new(Rules::parse(objects, &files));
                self.parsed.insert(files, rules.clone());
                rules
            }
        };
        rules.of(path)
    }
}

impl Rules {
    fn parse(objects: &Objects, files: &[(String, ObjectId)]) -> Rules {
        let mut names = MetadataCollection::default();
        let mut search = Search::default();
        let builtin = b"[attr]binary -diff -merge -text";
        let mut add = |bytes: &[u8], source: PathBuf, root: Option<&std::path::Path>, macros| {
            // Unreadable patterns are dropped by gix; the rest of the file still counts.
            let _ = search.add_patterns_buffer(bytes, source, root, &mut names, macros);
        };
        add(builtin, PathBuf::from("[builtin]"), None, true);
        for (directory, id) in files {
            let bytes = objects.blob(id).unwrap_or_default();
            let source = PathBuf::from(directory).join(FILE_NAME);
            add(&bytes, source, Some(std::path::Path::new("")), directory.is_empty());
        }
        Rules { search, names }
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
