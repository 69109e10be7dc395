//! Objects: those of a pull request by GitHub's API, where Git cannot fetch them.
//!
//! ```text
//! head ──git/commits──▶ its tree ──git/trees──▶ trees that the clone lacks ─┐
//! base...head ──compare──▶ merge base ────────────difference────────────────┴─git/blobs──▶ files that the clone lacks
//! ```
//!
//! The API's word is taken for two things: which tree the head has, and which commit of the clone is the merge base. All
//! else is known by what it hashes to. The commits between are not brought: one commit of our own stands for them, with the
//! head's tree and message and the merge base as its parent.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use precedent_pipeline::history::{HistoryError, Mode, NewCommit, NewEntry, Objects, Repository, WriteError};
use precedent_pipeline::shard::ObjectId;
use precedent_pipeline::syntax::MAX_FILE_BYTES;
use serde::Deserialize;

use super::client::{Client, Failure};
use super::event::PullRequest;
use crate::redact;

/// What was brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brought {
    /// The commit that has the files of the head.
    pub commit: ObjectId,
    /// Paths of files that are larger than any that is reviewed, and were not asked for.
    pub larger: Vec<Arc<str>>,
}

/// Why nothing was brought.
#[derive(Debug, thiserror::Error)]
pub enum ObjectsError {
    /// GitHub.
    #[error(transparent)]
    GitHub(#[from] Failure),
    /// History, which the API does not bring.
    #[error("the {what} {id} is not in this clone")]
    NotHere {
        /// `base` or `merge base`.
        what: &'static str,
        /// The commit.
        id: ObjectId,
    },
    /// A merge base that is none.
    #[error("{id}, which github calls the merge base, is no ancestor of the base")]
    NoAncestor {
        /// The commit.
        id: ObjectId,
    },
    /// More than a run may ask for.
    #[error("{wanted} {what} are missing here, and this run may ask github for {left} more objects")]
    TooMany {
        /// `files` or `directories`.
        what: &'static str,
        /// How many are missing.
        wanted: usize,
        /// Requests that are left.
        left: u32,
    },
    /// One directory has more entries than GitHub gives.
    #[error("tree {0} has more entries than github gives")]
    Truncated(ObjectId),
    /// An answer about another object, or in another form.
    #[error("what came as {what} is not what was asked for")]
    Other {
        /// `commit ID`, `blob ID`.
        what: String,
    },
    /// An object that cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The clone cannot be read.
    #[error(transparent)]
    History(#[from] HistoryError),
}

#[derive(Deserialize)]
struct Commit {
    sha: ObjectId,
    tree: Named,
    author: Person,
    message: String,
}

#[derive(Deserialize)]
struct Named {
    sha: ObjectId,
}

#[derive(Deserialize)]
struct Person {
    name: String,
    email: String,
    date: String,
}

#[derive(Deserialize)]
struct Comparison {
    merge_base_commit: Named,
}

#[derive(Deserialize)]
struct Tree {
    tree: Vec<Listed>,
    #[serde(default)]
    truncated: bool,
}

/// An entry of a tree, or of any tree below it.
#[derive(Deserialize)]
struct Listed {
    path: String,
    mode: String,
    #[serde(rename = "type")]
    kind: String,
    sha: ObjectId,
    #[serde(default)]
    size: Option<u64>,
}

#[derive(Deserialize)]
struct Blob {
    content: String,
    encoding: String,
}

/// Brings the files of a pull request's head into the clone, under a commit of our own that `refs/precedent/pull/N` points
/// to. The base must be there. What was written before a failure is not referred to.
///
/// # Errors
/// [`ObjectsError`].
pub fn bring(client: &Client, repository: &Repository, pull: &PullRequest) -> Result<Brought, ObjectsError> {
    let objects = repository.objects();
    if !objects.contains(&pull.base) {
        return Err(ObjectsError::NotHere { what: "base", id: pull.base });
    }
    let asker = Asker { client, objects: &objects, path: format!("/repos/{}", pull.repository) };
    let head: Commit = asker.get(&format!("/git/commits/{}", pull.head))?;
    if head.sha != pull.head {
        return Err(ObjectsError::Other { what: format!("commit {}", pull.head) });
    }
    let base = asker.merge_base(repository, pull)?;
    let tree = head.tree.sha;
    let sizes = asker.trees(&tree)?;
    let larger = asker.files(&objects.commit(repository, &base)?.tree, &tree, &sizes)?;
    let commit = objects.write_commit(&NewCommit {
        tree,
        parent: base,
        author: &head.author.name,
        author_email: &head.author.email,
        time: head.author.date.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_second),
        message: &head.message,
    })?;
    // Git would not forgive a reference to what is not all there.
    if larger.is_empty() {
        objects.point(&format!("refs/precedent/pull/{}", pull.number), &commit)?;
    }
    Ok(Brought { commit, larger })
}

struct Asker<'a> {
    client: &'a Client,
    objects: &'a Objects,
    /// Of the repository.
    path: String,
}

impl Asker<'_> {
    fn get<T: serde::de::DeserializeOwned>(&self, what: &str) -> Result<T, Failure> {
        self.client.get(&format!("{}{what}", self.path))
    }

    fn merge_base(&self, repository: &Repository, pull: &PullRequest) -> Result<ObjectId, ObjectsError> {
        // The commits between are not needed; one is the least that a page has.
        let compared: Comparison = self.get(&format!("/compare/{}...{}?per_page=1", pull.base, pull.head))?;
        let id = compared.merge_base_commit.sha;
        if !self.objects.contains(&id) {
            return Err(ObjectsError::NotHere { what: "merge base", id });
        }
        if repository.merge_base(pull.base, id)? != id {
            return Err(ObjectsError::NoAncestor { id });
        }
        Ok(id)
    }

    /// Writes the trees from `root` on that the clone lacks, and gives the sizes of files in bytes.
    fn trees(&self, root: &ObjectId) -> Result<HashMap<ObjectId, u64>, ObjectsError> {
        let mut sizes = HashMap::new();
        let all: Tree = self.get(&format!("/git/trees/{root}?recursive=1"))?;
        if all.truncated {
            self.walk(root, &mut sizes)?;
            return Ok(sizes);
        }
        sizes.extend(all.tree.iter().filter_map(Listed::sized));
        // The deepest first, so that a tree is written after those that it names.
        let mut trees: Vec<(&str, ObjectId)> =
            all.tree.iter().filter(|entry| entry.kind == "tree").map(|entry| (&*entry.path, entry.sha)).collect();
        trees.sort_by_key(|(path, _)| std::cmp::Reverse(path.matches('/').count()));
        let mut entries: HashMap<&str, Vec<NewEntry>> = HashMap::new();
        for entry in &all.tree {
            let (directory, name) = entry.path.rsplit_once('/').unwrap_or(("", &entry.path));
            entries.entry(directory).or_default().push(entry.named(name));
        }
        for (path, id) in trees.into_iter().chain([("", *root)]) {
            if !self.objects.contains(&id) {
                self.objects.write_tree(&id, entries.remove(path).unwrap_or_default())?;
            }
        }
        Ok(sizes)
    }

    /// Writes a tree and those below it that the clone lacks, one request each.
    fn walk(&self, id: &ObjectId, sizes: &mut HashMap<ObjectId, u64>) -> Result<(), ObjectsError> {
        let tree: Tree = self.get(&format!("/git/trees/{id}"))?;
        if tree.truncated {
            return Err(ObjectsError::Truncated(*id));
        }
        let below: Vec<ObjectId> = tree
            .tree
            .iter()
            .filter(|entry| entry.kind == "tree" && !self.objects.contains(&entry.sha))
            .map(|entry| entry.sha)
            .collect();
        self.afford("directories", below.len())?;
        for id in below {
            // Two directories may be the same.
            if !self.objects.contains(&id) {
                self.walk(&id, sizes)?;
            }
        }
        sizes.extend(tree.tree.iter().filter_map(Listed::sized));
        self.objects.write_tree(id, tree.tree.iter().map(|entry| entry.named(&entry.path)).collect())?;
        Ok(())
    }

    /// Writes the files that differ between two trees and that the clone lacks; gives the paths of those that are too large
    /// to be reviewed.
    fn files(
        &self,
        before: &ObjectId,
        after: &ObjectId,
        sizes: &HashMap<ObjectId, u64>,
    ) -> Result<Vec<Arc<str>>, ObjectsError> {
        let changes = self.objects.difference(Some(before), after)?;
        let (mut wanted, mut larger, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
        for change in changes {
            let Some(entry) = change.after.filter(|entry| entry.mode != Mode::Submodule) else { continue };
            if self.objects.contains(&entry.id) {
                continue;
            }
            match sizes.get(&entry.id) {
                Some(size) if *size > MAX_FILE_BYTES as u64 => larger.push(change.path),
                _ if seen.insert(entry.id) => wanted.push(entry.id),
                _ => {}
            }
        }
        self.afford("files", wanted.len())?;
        for id in wanted {
            let blob: Blob = self.get(&format!("/git/blobs/{id}"))?;
            // GitHub breaks it into lines.
            let text = Some(blob.content.replace('\n', "")).filter(|_| blob.encoding == "base64");
            let bytes = text.and_then(|text| redact::base64_bytes(&text));
            let bytes = bytes.ok_or_else(|| ObjectsError::Other { what: format!("blob {id}") })?;
            self.objects.write_blob(&id, &bytes)?;
        }
        Ok(larger)
    }

    fn afford(&self, what: &'static str, wanted: usize) -> Result<(), ObjectsError> {
        let left = self.client.left();
        if wanted > left as usize { Err(ObjectsError::TooMany { what, wanted, left }) } else { Ok(()) }
    }
}

impl Listed {
    fn named(&self, name: &str) -> NewEntry {
        NewEntry { name: name.to_owned(), mode: self.mode.clone(), id: self.sha }
    }

    fn sized(&self) -> Option<(ObjectId, u64)> {
        Some((self.sha, self.size?))
    }
}
