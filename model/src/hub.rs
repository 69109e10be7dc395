//! Hub: brings a model's files from a Hugging Face hub into its usual cache, and knows them again.
//!
//! The first time, the commit and the SHA-256 of each file are recorded; from then on the files must be those, and are
//! asked for at that commit. What is in the cache needs no network. This is the only room of `hf-hub`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hf_hub::api::sync::{ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Repo, RepoType};
use serde::{Deserialize, Serialize};

use crate::embed::{EmbedError, Hashes, SETTINGS_FILE};
use crate::kept;

/// Files of a model that are small and say how it is used.
const SMALL_FILES: [&str; 9] = [
    "config.json",
    "generation_config.json",
    "chat_template.jinja",
    "tokenizer.json",
    "tokenizer_config.json",
    "modules.json",
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
    SETTINGS_FILE,
];
/// The weights of a static model.
const STATIC_WEIGHTS: &str = "model.safetensors";
/// Graphs, best first.
const GRAPHS: [&str; 2] = ["onnx/model.onnx", "model.onnx"];
/// How often an interrupted download is gone on with.
const RETRIES: usize = 5;

/// Where models come from and where they are kept.
#[derive(Debug, Clone)]
pub struct Hub {
    /// The cache, laid out as all tools of the hub do.
    pub cache: PathBuf,
    /// Another address of the hub.
    pub endpoint: Option<String>,
    /// What lets one read private repositories.
    pub token: Option<String>,
    /// Whether nothing may be asked of the network.
    pub offline: bool,
    /// The file in which the commits and hashes are recorded.
    pub records: PathBuf,
}

/// What to bring.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// What people call the model.
    pub name: &'a str,
    /// The repository.
    pub repository: &'a str,
    /// The commit, branch or tag; `None` for the newest of the default branch.
    pub revision: Option<&'a str>,
    /// The graph, where there are several and it is not the usual one.
    pub graph: Option<&'a str>,
    /// Whether the usual graph is wanted in half precision too, where there is one: a GPU computes in it.
    pub half: bool,
}

/// What was recorded when a model was first fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    /// The commit.
    revision: String,
    files: BTreeMap<String, FileRecord>,
    /// Whether the hub's list of files was seen, so that none is missing.
    #[serde(default = "yes")]
    listed: bool,
    /// Whether the graph in half precision is among them, if there is one.
    #[serde(default)]
    half: bool,
}

/// Records without the word were made from a list.
fn yes() -> bool {
    true
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct FileRecord {
    bytes: u64,
    sha256: String,
}

/// Hears how far a file has come: its name, bytes done, bytes in all.
pub type Progress<'a> = &'a dyn Fn(&str, u64, u64);

impl Hub {
    /// The directory of a model whose files are all here and are what was recorded; `None` if some are not here.
    ///
    /// # Errors
    /// [`EmbedError::Changed`] if a file is another one.
    pub fn find(&self, wanted: Wanted<'_>, hashes: &Hashes) -> Result<Option<PathBuf>, EmbedError> {
        let Some(record) = self.records()?.remove(&key(wanted)) else { return Ok(None) };
        self.find_recorded(wanted, &record, hashes)
    }

    /// The directory of a model, whose files are fetched where they are not here.
    ///
    /// # Errors
    /// If the hub cannot be reached or has no such model, if a file is not what was recorded, or if nothing may be
    /// asked of the network.
    pub fn fetch(&self, wanted: Wanted<'_>, hashes: &Hashes, progress: Progress<'_>) -> Result<PathBuf, EmbedError> {
        let Some(record) = self.records()?.remove(&key(wanted)) else {
            return self.fetch_again(wanted, hashes, progress);
        };
        let here = self.find_recorded(wanted, &record, hashes)?;
        if let Some(directory) = &here
            && (self.offline || (record.listed && (record.half || !wanted.half)))
        {
            return Ok(directory.clone());
        }
        let half = wanted.half || record.half;
        match (self.bring_all(Wanted { half, ..wanted }, Some(&record.revision), progress), here) {
            (Ok(brought), _) => self.keep(wanted, brought, Some(record), hashes),
            // What was recorded is here, and will do until the hub answers.
            (Err(_), Some(directory)) => Ok(directory),
            (Err(why), None) => Err(EmbedError::Fetch { model: wanted.name.to_owned(), why }),
        }
    }

    /// The same, whatever was recorded. Files that are here are kept if they are what the hub names; what was recorded
    /// is replaced when all of them are here.
    ///
    /// # Errors
    /// As [`Hub::fetch`].
    pub fn fetch_again(
        &self,
        wanted: Wanted<'_>,
        hashes: &Hashes,
        progress: Progress<'_>,
    ) -> Result<PathBuf, EmbedError> {
        // Offline there is nothing newer than what was recorded.
        let known = self.records()?.remove(&key(wanted)).filter(|_| self.offline);
        let revision = known.as_ref().map(|record| record.revision.as_str()).or(wanted.revision);
        let brought = self
            .bring_all(wanted, revision, progress)
            .map_err(|why| EmbedError::Fetch { model: wanted.name.to_owned(), why })?;
        self.keep(wanted, brought, None, hashes)
    }

    fn find_recorded(
        &self,
        wanted: Wanted<'_>,
        record: &Record,
        hashes: &Hashes,
    ) -> Result<Option<PathBuf>, EmbedError> {
        let directory = self.snapshot(wanted.repository, &record.revision);
        if record.files.keys().any(|file| !directory.join(file).is_file()) {
            return Ok(None);
        }
        check(wanted.name, &directory, record, hashes)?;
        Ok(Some(directory))
    }

    /// Records what was brought, if it is what was known of it.
    fn keep(
        &self,
        wanted: Wanted<'_>,
        brought: Brought,
        known: Option<Record>,
        hashes: &Hashes,
    ) -> Result<PathBuf, EmbedError> {
        let failed = |why: String| EmbedError::Fetch { model: wanted.name.to_owned(), why };
        if let Some(mut known) = known {
            known.files.retain(|name, _| brought.files.contains(name));
            check(wanted.name, &brought.directory, &known, hashes)?;
        }
        let record = record(&brought, hashes).map_err(failed)?;
        kept::change(&self.records, |records: &mut BTreeMap<String, Record>| {
            records.insert(key(wanted), record);
        })
        .map_err(failed)?;
        Ok(brought.directory)
    }

    /// All files of a model, from the hub or, where nothing may be asked of it, from the cache.
    fn bring_all(&self, wanted: Wanted<'_>, revision: Option<&str>, progress: Progress<'_>) -> Result<Brought, String> {
        if self.offline {
            return self.adopt(wanted, revision)?.ok_or_else(|| {
                format!("HF_HUB_OFFLINE is set, and not all of its files are in `{}`", self.cache.display())
            });
        }
        self.download(wanted, revision, progress)
    }

    /// Brings the files at a revision into a directory that is named by the commit.
    fn download(&self, wanted: Wanted<'_>, revision: Option<&str>, progress: Progress<'_>) -> Result<Brought, String> {
        let mut builder = ApiBuilder::new().with_cache_dir(self.cache.clone()).with_progress(false);
        builder = builder.with_retries(RETRIES).with_token(self.token.clone());
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint.clone());
        }
        let api = builder.build().map_err(|error| said(&error))?;
        let at = |revision: &str| {
            let (repository, revision) = (wanted.repository.to_owned(), revision.to_owned());
            api.repo(Repo::with_revision(repository, RepoType::Model, revision))
        };
        let info = at(revision.unwrap_or("main")).info().map_err(|error| said(&error))?;
        if !is_commit(&info.sha) || revision.is_some_and(|revision| is_commit(revision) && revision != info.sha) {
            return Err(format!("the hub answers with commit `{}`", info.sha));
        }
        let names: Vec<String> =
            info.siblings.into_iter().map(|file| file.rfilename).filter(|name| is_plain(name)).collect();
        let repo = at(&info.sha);
        let directory = self.snapshot(wanted.repository, &info.sha);
        let bring = |name: &String| self.bring(&repo, &directory, name, progress);
        let mut files = small_files(&names);
        files.iter().try_for_each(bring)?;
        let weights = weights(&names, &directory, wanted);
        if weights.is_empty() {
            return Err(format!(
                "`{}` has no ONNX graph (`{}`); export one into a directory and name that",
                wanted.repository,
                wanted.graph.unwrap_or(GRAPHS[0])
            ));
        }
        weights.iter().try_for_each(bring)?;
        files.extend(weights);
        Ok(Brought { directory, files, listed: true, half: wanted.half })
    }

    /// Brings one file, unless it is here and is what the hub names.
    fn bring(&self, repo: &ApiRepo, directory: &Path, name: &str, progress: Progress<'_>) -> Result<(), String> {
        let path = directory.join(name);
        if path.is_file() {
            if is_as_named(&path).map_err(|error| format!("`{name}` cannot be read: {error}"))? != Some(false) {
                return Ok(());
            }
            remove(&path);
        }
        let step = Step { name: name.to_owned(), done: 0, total: 0, progress };
        repo.download_with_progress(name, step).map_err(|error| format!("`{name}`: {}", said(&error)))?;
        // A damaged download shows at once.
        if is_as_named(&path).map_err(|error| format!("`{name}` cannot be read: {error}"))? == Some(false) {
            remove(&path);
            return Err(format!("`{name}` came with other bytes than the hub names; it was removed, try again"));
        }
        Ok(())
    }

    fn snapshot(&self, repository: &str, commit: &str) -> PathBuf {
        self.cache.join(format!("models--{}", repository.replace('/', "--"))).join("snapshots").join(commit)
    }

    /// A model that another tool has put into the cache, if what every model needs is there. Whether more belongs to it
    /// only the hub could say.
    fn adopt(&self, wanted: Wanted<'_>, revision: Option<&str>) -> Result<Option<Brought>, String> {
        let asked = revision.unwrap_or("main");
        let references = self.cache.join(format!("models--{}", wanted.repository.replace('/', "--"))).join("refs");
        let commit = match is_commit(asked) {
            true => asked.to_owned(),
            false => std::fs::read_to_string(references.join(asked)).unwrap_or_default().trim().to_owned(),
        };
        let directory = self.snapshot(wanted.repository, &commit);
        if !is_commit(&commit) || !directory.is_dir() {
            return Ok(None);
        }
        let names = files_in(&directory)?;
        let (mut files, weights) = (small_files(&names), weights(&names, &directory, wanted));
        let has = |name: &str| files.iter().any(|file| file == name);
        if weights.is_empty() || !has("tokenizer.json") || !has("config.json") {
            return Ok(None);
        }
        files.extend(weights);
        for name in &files {
            if is_as_named(&directory.join(name)).map_err(|error| format!("`{name}` cannot be read: {error}"))?
                == Some(false)
            {
                return Err(format!("HF_HUB_OFFLINE is set, and `{name}` in the cache is damaged"));
            }
        }
        Ok(Some(Brought { directory, files, listed: false, half: wanted.half }))
    }

    fn records(&self) -> Result<BTreeMap<String, Record>, EmbedError> {
        kept::read(&self.records).map_err(|why| EmbedError::Fetch { model: "any model".into(), why })
    }
}

/// The files of a model that are here now.
struct Brought {
    directory: PathBuf,
    files: Vec<String>,
    listed: bool,
    half: bool,
}

/// Of the names of all files, those that say how a model is used.
fn small_files(names: &[String]) -> Vec<String> {
    let is_small = |name: &&String| SMALL_FILES.contains(&name.as_str()) || name.ends_with("_Pooling/config.json");
    names.iter().filter(is_small).cloned().collect()
}

/// Of the names of all files, the weights that are wanted; none if there is no such graph. The small files are in the
/// directory already.
fn weights(names: &[String], directory: &Path, wanted: Wanted<'_>) -> Vec<String> {
    if crate::embed::StaticModel::is_in(directory) {
        return names.iter().filter(|name| *name == STATIC_WEIGHTS).cloned().collect();
    }
    let has = |graph: &str| names.iter().any(|name| name == graph);
    let graph = match wanted.graph {
        Some(graph) => Some(graph).filter(|graph| has(graph)),
        None => GRAPHS.into_iter().find(|graph| has(graph)),
    };
    let mut graphs: Vec<String> = graph.map(str::to_owned).into_iter().collect();
    if wanted.half && wanted.graph.is_none() {
        graphs.extend(graph.map(|graph| graph.replace(".onnx", "_fp16.onnx")).filter(|half| has(half)));
    }
    // Weights beside the graph: `model.onnx_data`, `model.onnx.data`.
    let is_of = |name: &str, graph: &str| {
        name.strip_prefix(graph).is_some_and(|rest| rest.is_empty() || rest.starts_with(['_', '.']))
    };
    names.iter().filter(|name| graphs.iter().any(|graph| is_of(name, graph))).cloned().collect()
}

/// Whether a file of the cache is what the name of its blob says, which is the SHA-256 of a large file and Git's id of a
/// small one; `None` where the name says nothing.
fn is_as_named(path: &Path) -> std::io::Result<Option<bool>> {
    let blob = path.canonicalize()?;
    let name = blob.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if !name.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Ok(None);
    }
    Ok(match name.len() {
        64 => Some(crate::embed::sha256(&blob)? == name.to_lowercase()),
        40 => {
            // Some proxies name small files by the plain SHA-1.
            let content = std::fs::read(&blob)?;
            let (mut of_git, mut plain) = (sha1dc::Hasher::new(), sha1dc::Hasher::new());
            of_git.update(format!("blob {}\0", content.len()).as_bytes());
            [&mut of_git, &mut plain].into_iter().for_each(|hasher| hasher.update(&content));
            let is = |hasher: sha1dc::Hasher| hasher.finalize().is_ok_and(|id| id.to_string() == name.to_lowercase());
            Some(is(of_git) || is(plain))
        }
        _ => None,
    })
}

/// Removes a file of the cache and the blob that it points to.
fn remove(path: &Path) {
    if let Ok(blob) = path.canonicalize() {
        let _ = std::fs::remove_file(blob);
    }
    let _ = std::fs::remove_file(path);
}

/// The names of all files in a directory and below, with `/` between folders.
fn files_in(directory: &Path) -> Result<Vec<String>, String> {
    let mut files = Vec::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).map_err(|error| format!("`{}`: {error}", folder.display()))?;
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            if path.is_dir() {
                folders.push(path);
            } else if path.is_file() {
                files.push(path.strip_prefix(directory).unwrap_or(&path).to_string_lossy().replace('\\', "/"));
            }
        }
    }
    files.sort();
    Ok(files)
}

fn key(wanted: Wanted<'_>) -> String {
    let revision = wanted.revision.map_or(String::new(), |revision| format!("@{revision}"));
    let graph = wanted.graph.map_or(String::new(), |graph| format!("#{graph}"));
    format!("{}{revision}{graph}", wanted.repository)
}

fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// A file's name that stays in its folder.
fn is_plain(name: &str) -> bool {
    Path::new(name).components().all(|part| matches!(part, std::path::Component::Normal(_)))
}

/// What the files of a model are.
fn record(brought: &Brought, hashes: &Hashes) -> Result<Record, String> {
    let mut files = BTreeMap::new();
    for name in &brought.files {
        let path = brought.directory.join(name);
        let unreadable = |error: std::io::Error| format!("`{}` cannot be read: {error}", path.display());
        let bytes = path.metadata().map_err(unreadable)?.len();
        files.insert(name.clone(), FileRecord { bytes, sha256: hashes.of(&path).map_err(unreadable)? });
    }
    let revision = brought.directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Record { revision, files, listed: brought.listed, half: brought.half })
}

fn check(model: &str, directory: &Path, record: &Record, hashes: &Hashes) -> Result<(), EmbedError> {
    for (name, file) in &record.files {
        let changed = |why: String| EmbedError::Changed { model: model.to_owned(), file: name.clone(), why };
        let path = directory.join(name);
        let bytes = path.metadata().map_err(|error| changed(format!("it cannot be read: {error}")))?.len();
        if bytes != file.bytes {
            return Err(changed(format!("it has {bytes} bytes, not {}", file.bytes)));
        }
        let sha256 = hashes.of(&path).map_err(|error| changed(format!("it cannot be read: {error}")))?;
        if sha256 != file.sha256 {
            return Err(changed(format!("its SHA-256 is {sha256}, not {}", file.sha256)));
        }
    }
    Ok(())
}

/// An error of the client, in words.
fn said(error: &ApiError) -> String {
    let text = match error {
        ApiError::TooManyRetries(last) => return format!("{}, {RETRIES} times", said(last)),
        ApiError::LockAcquisition(_) => "another process is fetching it".to_owned(),
        other => other.to_string(),
    };
    text.trim_start_matches("request error: ").replace('\n', " ")
}

/// How far one file has come.
struct Step<'a> {
    name: String,
    done: u64,
    total: u64,
    progress: Progress<'a>,
}

impl hf_hub::api::Progress for Step<'_> {
    fn init(&mut self, size: usize, _: &str) {
        (self.done, self.total) = (0, size as u64);
        (self.progress)(&self.name, self.done, self.total);
    }

    fn update(&mut self, size: usize) {
        self.done += size as u64;
        (self.progress)(&self.name, self.done, self.total);
    }

    fn finish(&mut self) {
        (self.progress)(&self.name, self.total, self.total);
    }
}
