//! Repository: an opened Git repository, and what can be asked of it by name.
//!
//! Opened without the user's or the system's Git configuration, so that the same history gives the
//! same index on every machine.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use gix::bstr::BStr;
use gix::odb::pack::cache::lru::MemoryCappedHashmap;
use gix::prelude::FindExt;
use rustc_hash::FxHashMap;

use super::packs::{Decoder, Found, Packs};
use super::{Entry, Mode, path_from_bytes, path_to_bytes};
use crate::shard::ObjectId;

/// Bytes of decoded objects that each thread keeps for the next tree difference.
const OBJECT_CACHE_BYTES: usize = 32 << 20;
/// Bytes of objects that each thread keeps as bases of deltas. Those of blobs, which are larger, are kept with the packs.
const TREE_DELTA_CACHE_BYTES: usize = 8 << 20;
/// Bytes of files' contents that a handle keeps, from which on it forgets them.
const CONTENT_BYTES: usize = 32 << 20;

/// What helps where there is no commit.
const NO_COMMITS: &str = "make a first commit; there is nothing to index before it";

/// Why history could not be read.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// No repository at this path or above it.
    #[error("`{}` is not in a Git repository", path.display())]
    NotARepository {
        /// Where the search began.
        path: PathBuf,
    },
    /// A repository without a commit.
    #[error("the repository at `{}` has no commits yet", path.display())]
    Empty {
        /// The Git directory.
        path: PathBuf,
    },
    /// A revision that names no commit here.
    #[error("`{revision}` is not a commit here")]
    NoSuchRevision {
        /// What was asked for.
        revision: String,
        /// What this repository does have, for the hint.
        hint: Option<String>,
    },
    /// Two commits with no ancestor in common.
    #[error("`{one}` and `{two}` have no commit in common")]
    Unrelated {
        /// One commit.
        one: ObjectId,
        /// The other.
        two: ObjectId,
    },
    /// An object that history refers to and the repository does not hold.
    #[error("{kind} {id} is missing from the repository")]
    Missing {
        /// `commit`, `tree` or `blob`.
        kind: &'static str,
        /// The object.
        id: ObjectId,
        /// True in a partial clone, where Git itself would fetch it.
        promised: bool,
    },
    /// Anything that gix reports otherwise.
    #[error("cannot read {what}")]
    Read {
        /// What was being read.
        what: String,
        /// What gix said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl HistoryError {
    pub(super) fn read(what: impl Into<String>, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        HistoryError::Read { what: what.into(), source: source.into() }
    }

    /// What to do about it, if that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            HistoryError::NotARepository { .. } => {
                Some("go into one, or name it with: --repo path/to/repository".into())
            }
            HistoryError::Empty { .. } => Some(NO_COMMITS.into()),
            HistoryError::NoSuchRevision { hint, .. } => hint.clone(),
            HistoryError::Unrelated { .. } => {
                Some("in a shallow clone the common commit may be cut off: git fetch --unshallow".into())
            }
            HistoryError::Missing { promised: true, .. } => {
                Some("this is a partial clone; bring everything with: git fetch --refetch --no-filter".into())
            }
            HistoryError::Missing { promised: false, .. } => {
                Some("the repository is damaged or incomplete; see: git fsck".into())
            }
            HistoryError::Read { .. } => Some("the repository may be damaged; see: git fsck".into()),
        }
    }
}

/// An opened repository, to be shared between threads; each takes its own [`Objects`].
pub struct Repository {
    inner: gix::ThreadSafeRepository,
    shallow: Vec<ObjectId>,
    packs: Arc<OnceLock<Packs>>,
}

impl Repository {
    /// Opens the repository at `path` or above it, bare or not.
    ///
    /// # Errors
    /// [`HistoryError::NotARepository`], or [`HistoryError::Read`] if there is one that gix cannot open.
    pub fn discover(path: &Path) -> Result<Repository, HistoryError> {
        // What `git replace` shows in place of an object is not what was committed.
        let options = || gix::open::Options::isolated().config_overrides(["core.useReplaceRefs=false"]);
        let trust = gix::sec::trust::Mapping { full: options(), reduced: options() };
        if gix::discover::upwards(path).is_err() {
            return Err(HistoryError::NotARepository { path: path.to_owned() });
        }
        let inner = gix::ThreadSafeRepository::discover_opts(path, Default::default(), trust)
            .map_err(|error| HistoryError::read(format!("the repository at `{}`", path.display()), error))?;
        let local = inner.to_thread_local();
        let shallow = local
            .shallow_commits()
            .map_err(|error| HistoryError::read("the list of shallow commits", error))?
            .map(|commits| commits.iter().map(|id| from_gix(id)).collect())
            .unwrap_or_default();
        Ok(Repository { inner, shallow, packs: Arc::default() })
    }

    /// A handle for one thread, with caches of its own.
    pub fn objects(&self) -> Objects {
        Objects::for_trees(self)
    }

    /// The Git directory that all worktrees of this repository share.
    pub fn common_directory(&self) -> PathBuf {
        let directory = self.inner.to_thread_local().common_dir().to_owned();
        directory.canonicalize().unwrap_or(directory)
    }

    /// The work tree, where there is one.
    pub fn work_tree(&self) -> Option<PathBuf> {
        self.inner.work_dir().and_then(|directory| directory.canonicalize().ok())
    }

    /// The directory that a person would name: the worktree, or the bare repository itself.
    pub fn directory(&self) -> PathBuf {
        self.inner.work_dir().unwrap_or(self.inner.git_dir()).to_owned()
    }

    /// The commits whose parents a shallow clone lacks, sorted; empty in a full clone.
    pub fn shallow(&self) -> &[ObjectId] {
        &self.shallow
    }

    /// Whether a shallow clone lacks the parents of this commit.
    pub fn is_shallow_at(&self, commit: &ObjectId) -> bool {
        self.shallow.binary_search(commit).is_ok()
    }

    /// Whether objects may be missing on purpose, to be fetched when Git needs them.
    pub fn is_partial(&self) -> bool {
        is_partial(&self.inner.to_thread_local())
    }

    /// The commit that `HEAD` names.
    ///
    /// # Errors
    /// [`HistoryError::Empty`] before the first commit.
    pub fn head(&self) -> Result<ObjectId, HistoryError> {
        let repo = self.inner.to_thread_local();
        let head = repo.head().map_err(|error| HistoryError::read("`HEAD`", error))?;
        if head.is_unborn() {
            let branch = head.referent_name().map_or_else(|| "HEAD".to_owned(), |name| name.shorten().to_string());
            return Err(match branch_names(&repo).first() {
                None => HistoryError::Empty { path: self.inner.git_dir().to_owned() },
                Some(other) => HistoryError::NoSuchRevision {
                    revision: "HEAD".to_owned(),
                    hint: Some(format!(
                        "it names the branch `{branch}`, which does not exist; name another, such as `{other}`"
                    )),
                },
            });
        }
        self.resolve("HEAD")
    }

    /// The commit that a revision names, as `git rev-parse` would read it.
    ///
    /// # Errors
    /// [`HistoryError::NoSuchRevision`] with a hint that names what is there.
    pub fn resolve(&self, revision: &str) -> Result<ObjectId, HistoryError> {
        let repo = self.inner.to_thread_local();
        let unknown = || HistoryError::NoSuchRevision {
            revision: revision.to_owned(),
            hint: self.revision_hint(&repo, revision),
        };
        let id = repo.rev_parse_single(BStr::new(revision)).map_err(|_| unknown())?;
        // A name that stands for something that cannot be read is a name all the same.
        let object =
            id.object().map_err(|error| self.objects().unreadable("commit", &from_gix(&id.detach()), error))?;
        let commit = object.peel_to_commit().map_err(|_| unknown())?;
        Ok(from_gix(&commit.id))
    }

    fn revision_hint(&self, repo: &gix::Repository, revision: &str) -> Option<String> {
        if !self.shallow.is_empty() && revision.contains(['~', '^']) {
            return Some("this clone is shallow; bring the rest with: git fetch --unshallow".into());
        }
        let base = revision.split(['~', '^']).next().unwrap_or(revision);
        if base != revision && !base.is_empty() && repo.rev_parse_single(BStr::new(base)).is_ok() {
            return Some(format!("`{base}` is, but its history does not reach that far back"));
        }
        let has_any = repo.references().ok().and_then(|all| Some(all.all().ok()?.next().is_some()));
        if has_any == Some(false) && repo.head_id().is_err() {
            return Some(NO_COMMITS.into());
        }
        let on_remote = format!("origin/{base}");
        if !base.is_empty() && repo.rev_parse_single(BStr::new(&on_remote)).is_ok() {
            return Some(format!("there is `{on_remote}`"));
        }
        let names = branch_names(repo);
        let here = match names.as_slice() {
            [] => return None,
            [one] => format!("one branch, `{one}`"),
            many => {
                let shown: Vec<String> = many.iter().take(4).map(|name| format!("`{name}`")).collect();
                let more = if many.len() > 4 { " and more" } else { "" };
                format!("{}{more}", shown.join(", "))
            }
        };
        // To ask a remote for what could be no branch would fail, or set another one.
        let full = format!("refs/heads/{base}");
        let is_branch = gix::validate::reference::branch_name(BStr::new(&full)).is_ok() && !base.starts_with('-');
        match is_branch && repo.find_remote("origin").is_ok() {
            true => Some(format!(
                "this clone has {here}; fetch more with: git fetch origin {base}, which is `origin/{base}` then"
            )),
            false => Some(format!("this clone has {here}")),
        }
    }

    /// The branch that changes are compared with: what the remote calls its head, else `main` or
    /// `master`, local before remote. Its name and its commit.
    pub fn default_branch(&self) -> Option<(String, ObjectId)> {
        let repo = self.inner.to_thread_local();
        let remote_head = repo
            .find_reference("refs/remotes/origin/HEAD")
            .ok()
            .and_then(|head| head.target().try_name().map(|name| name.shorten().to_string()));
        let candidates = ["main", "master", "trunk", "origin/main", "origin/master"].map(str::to_owned);
        remote_head.into_iter().chain(candidates).find_map(|name| {
            let id = repo.rev_parse_single(BStr::new(&name)).ok()?;
            Some((name, from_gix(&id.detach())))
        })
    }

    /// The best common ancestor of two commits.
    ///
    /// # Errors
    /// [`HistoryError::Unrelated`] when they have none.
    pub fn merge_base(&self, one: ObjectId, two: ObjectId) -> Result<ObjectId, HistoryError> {
        let repo = self.inner.to_thread_local();
        let base = repo
            .merge_base(to_gix(&one), to_gix(&two))
            .map_err(|error| HistoryError::read(format!("the history between {one} and {two}"), error))?;
        base.map(|id| from_gix(&id.detach())).ok_or(HistoryError::Unrelated { one, two })
    }

    /// How many commits lead to `head` that do not lead to `base`, `most` at the most.
    ///
    /// # Errors
    /// History that cannot be read.
    pub fn count_between(&self, base: &ObjectId, head: &ObjectId, most: usize) -> Result<usize, HistoryError> {
        let repo = self.inner.to_thread_local();
        let what = || format!("the history of {head}");
        let walk = repo.rev_walk([to_gix(head)]).with_hidden([to_gix(base)]).all();
        let mut walk = walk.map_err(|error| HistoryError::read(what(), error))?.take(most);
        walk.try_fold(0, |count, commit| match commit {
            Ok(_) => Ok(count + 1),
            Err(error) => Err(HistoryError::read(what(), error)),
        })
    }
}

/// By the settings that Git makes of it, or by the mark that it puts beside packs of such a clone, where those are gone.
fn is_partial(repo: &gix::Repository) -> bool {
    let config = repo.config_snapshot();
    let packs = || repo.objects.store_ref().path().join("pack").read_dir();
    let is_mark = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.is_ok_and(|entry| entry.path().extension() == Some(OsStr::new("promisor")))
    };
    config.string("extensions.partialClone").is_some()
        || config
            .plumbing()
            .sections_by_name("remote")
            .is_some_and(|mut remotes| remotes.any(|remote| remote.value("promisor").is_some()))
        || packs().is_ok_and(|mut entries| entries.any(is_mark))
}

fn branch_names(repo: &gix::Repository) -> Vec<String> {
    let Ok(platform) = repo.references() else { return Vec::new() };
    let Ok(branches) = platform.local_branches() else { return Vec::new() };
    branches.filter_map(Result::ok).map(|branch| branch.name().shorten().to_string()).collect()
}

/// One thread's view of the object database.
pub struct Objects {
    pub(super) repo: gix::Repository,
    /// Trees that are compared are decoded into these, one a side.
    pub(super) tree_buffers: RefCell<Vec<Vec<u8>>>,
    contents: RefCell<Contents>,
    /// Opened with the first blob that is read.
    packs: Arc<OnceLock<Packs>>,
    decoder: RefCell<Decoder>,
}

/// Why the bytes of a blob cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoBlob {
    /// It has more than was asked for.
    Larger,
    /// It is not there, or not a blob, or damaged.
    Missing,
}

/// Contents of files that were asked for, by commit and path.
#[derive(Default)]
struct Contents {
    of: FxHashMap<(ObjectId, String), Option<Arc<Vec<u8>>>>,
    bytes: usize,
}

impl Objects {
    /// A handle that keeps the commits and trees that it has read.
    pub fn for_trees(repository: &Repository) -> Objects {
        Objects::with_cache(repository, OBJECT_CACHE_BYTES)
    }

    /// A handle that keeps none of what it has read; what blobs are stored as differences from is kept for all handles.
    pub fn for_blobs(repository: &Repository) -> Objects {
        Objects::with_cache(repository, 0)
    }

    fn with_cache(repository: &Repository, bytes: usize) -> Objects {
        let mut repo = repository.inner.to_thread_local();
        repo.object_cache_size(bytes);
        repo.objects.set_pack_cache(|| Box::new(MemoryCappedHashmap::new(TREE_DELTA_CACHE_BYTES)));
        Objects {
            repo,
            tree_buffers: RefCell::default(),
            contents: RefCell::default(),
            packs: repository.packs.clone(),
            decoder: RefCell::default(),
        }
    }

    /// The bytes of a blob; `None` when it is missing or not a blob.
    pub fn blob(&self, id: &ObjectId) -> Option<Vec<u8>> {
        self.blob_within(id, usize::MAX).ok()
    }

    /// The bytes of a blob of at most so many.
    ///
    /// # Errors
    /// That it is larger, missing, or not a blob.
    pub fn blob_within(&self, id: &ObjectId, most: usize) -> Result<Vec<u8>, NoBlob> {
        let id = to_gix(id);
        let packs = self.packs.get_or_init(|| Packs::open(self.repo.objects.store_ref()));
        match packs.blob(&id, most, &mut self.decoder.borrow_mut()) {
            Some(Found::Content(content)) => return Ok(content),
            Some(Found::Larger) => return Err(NoBlob::Larger),
            None => {}
        }
        let is_larger = |size: u64| usize::try_from(size).map_or(true, |size| size > most);
        if most < usize::MAX && is_larger(self.repo.find_header(id).map_err(|_| NoBlob::Missing)?.size()) {
            return Err(NoBlob::Larger);
        }
        let mut buffer = Vec::new();
        self.repo.objects.find_blob(&id, &mut buffer).map(|blob| blob.data.to_vec()).map_err(|_| NoBlob::Missing)
    }

    /// What the file at `path` holds in the tree of `commit`; `None` when it is missing or no blob. What was asked for
    /// lately is kept, since the places that are cited lie in few files.
    pub fn content(&self, commit: &ObjectId, path: &str) -> Option<Arc<Vec<u8>>> {
        let key = (*commit, path.to_owned());
        if let Some(known) = self.contents.borrow().of.get(&key) {
            return known.clone();
        }
        let content = self.entry(commit, path).and_then(|entry| self.blob(&entry.id)).map(Arc::new);
        let mut contents = self.contents.borrow_mut();
        if contents.bytes > CONTENT_BYTES {
            *contents = Contents::default();
        }
        contents.bytes += path.len() + content.as_ref().map_or(0, |content| content.len());
        contents.of.insert(key, content.clone());
        content
    }

    /// Why a blob cannot be had; `None` when it is left out on purpose, as in a partial clone.
    pub fn blob_failure(&self, id: &ObjectId) -> Option<HistoryError> {
        let error: Box<dyn std::error::Error + Send + Sync> =
            match self.repo.objects.find_blob(&to_gix(id), &mut Vec::new()) {
                Err(error) => error.into(),
                Ok(_) => "it was not there a moment ago".into(),
            };
        let failure = self.unreadable("blob", id, error);
        (!matches!(failure, HistoryError::Missing { promised: true, .. })).then_some(failure)
    }

    /// Whether the repository holds this object.
    pub fn contains(&self, id: &ObjectId) -> bool {
        self.repo.has_object(to_gix(id))
    }

    /// What stands at `path` in the tree of `commit`.
    pub fn entry(&self, commit: &ObjectId, path: &str) -> Option<Entry> {
        let tree = self.repo.find_commit(to_gix(commit)).ok()?.tree().ok()?;
        let bytes = path_to_bytes(path);
        let entry = tree.lookup_entry(bytes.split(|byte| *byte == b'/')).ok()??;
        Mode::of(entry.mode()).map(|mode| Entry { id: from_gix(entry.oid()), mode })
    }

    /// Every file in the tree of `commit`, by path; submodules are left out.
    ///
    /// # Errors
    /// [`HistoryError::Missing`] when the commit or one of its trees is not there.
    pub fn files(&self, commit: &ObjectId) -> Result<Vec<(String, Entry)>, HistoryError> {
        let root = self.tree_of(commit)?;
        let mut files = Vec::new();
        let mut pending = vec![(Vec::new(), root)];
        let mut buffer = Vec::new();
        while let Some((prefix, tree)) = pending.pop() {
            let entries = self
                .repo
                .objects
                .find_tree_iter(&to_gix(&tree), &mut buffer)
                .map_err(|error| self.unreadable("tree", &tree, error))?;
            for entry in entries {
                let entry = entry.map_err(|error| HistoryError::read(format!("tree {tree}"), error))?;
                let mut path: Vec<u8> = prefix.clone();
                path.extend_from_slice(entry.filename);
                if entry.mode.is_tree() {
                    path.push(b'/');
                    pending.push((path, from_gix(entry.oid)));
                } else if let Some(mode) = Mode::of(entry.mode).filter(|mode| *mode != Mode::Submodule) {
                    files.push((path_from_bytes(&path), Entry { id: from_gix(entry.oid), mode }));
                }
            }
        }
        files.sort_unstable_by(|one, two| one.0.cmp(&two.0));
        Ok(files)
    }

    /// The root tree of a commit.
    pub(super) fn tree_of(&self, commit: &ObjectId) -> Result<ObjectId, HistoryError> {
        let mut buffer = Vec::new();
        let iter = self
            .repo
            .objects
            .find_commit_iter(&to_gix(commit), &mut buffer)
            .map_err(|error| self.unreadable("commit", commit, error))?;
        let mut iter = iter;
        let tree = iter.tree_id().map_err(|error| HistoryError::read(format!("commit {commit}"), error))?;
        Ok(from_gix(&tree))
    }

    /// Why an object cannot be had: it is not there, or it is damaged.
    pub(super) fn unreadable(
        &self,
        kind: &'static str,
        id: &ObjectId,
        error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> HistoryError {
        if self.contains(id) { HistoryError::read(format!("{kind} {id}"), error) } else { self.missing(kind, id) }
    }

    pub(super) fn missing(&self, kind: &'static str, id: &ObjectId) -> HistoryError {
        HistoryError::Missing { kind, id: *id, promised: is_partial(&self.repo) }
    }
}

/// Handles that threads take turns with, so that their caches last.
pub struct Pool<'r> {
    repository: &'r Repository,
    make: fn(&Repository) -> Objects,
    free: Mutex<Vec<Objects>>,
}

/// A handle of a [`Pool`], which it goes back to when it is dropped.
pub struct Pooled<'p> {
    objects: Option<Objects>,
    free: &'p Mutex<Vec<Objects>>,
}

impl<'r> Pool<'r> {
    /// An empty pool; handles are made when none is free.
    pub fn new(repository: &'r Repository, make: fn(&Repository) -> Objects) -> Pool<'r> {
        Pool { repository, make, free: Mutex::default() }
    }

    /// A handle that nobody else uses meanwhile.
    pub fn take(&self) -> Pooled<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Pooled { objects: Some(free.unwrap_or_else(|| (self.make)(self.repository))), free: &self.free }
    }
}

impl std::ops::Deref for Pooled<'_> {
    type Target = Objects;

    fn deref(&self) -> &Objects {
        self.objects.as_ref().expect("because it is there until the end")
    }
}

impl Drop for Pooled<'_> {
    fn drop(&mut self) {
        if let Some(objects) = self.objects.take() {
            self.free.lock().unwrap_or_else(PoisonError::into_inner).push(objects);
        }
    }
}

pub(super) fn to_gix(id: &ObjectId) -> gix::ObjectId {
    gix::ObjectId::from_bytes_or_panic(id.as_bytes())
}

pub(super) fn from_gix(id: &gix::oid) -> ObjectId {
    ObjectId::from_bytes(id.as_bytes()).expect("because Git's ids are 20 or 32 bytes long")
}
