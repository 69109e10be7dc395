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
}

/// What was recorded when a model was first fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    /// The commit.
    revision: String,
    files: BTreeMap<String, FileRecord>,
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
        let directory = self.snapshot(wanted.repository, &record.revision);
        if record.files.keys().any(|file| !directory.join(file).is_file()) {
            return Ok(None);
        }
        check(wanted.name, &directory, &record, hashes)?;
        Ok(Some(directory))
    }

    /// The directory of a model, whose files are fetched where they are not here.
    ///
    /// # Errors
    /// If the hub cannot be reached or has no such model, if a file is not what was recorded, or if nothing may be
    /// asked of the network.
    pub fn fetch(&self, wanted: Wanted<'_>, hashes: &Hashes, progress: Progress<'_>) -> Result<PathBuf, EmbedError> {
        if let Some(directory) = self.find(wanted, hashes)? {
            return Ok(directory);
        }
        let failed = |why: String| EmbedError::Fetch { model: wanted.name.to_owned(), why };
        let mut records = self.records()?;
        let known = records.get(&key(wanted)).cloned();
        if self.offline {
            return match self.adopt(wanted, known.as_ref()) {
                Some(directory) => {
                    records.insert(key(wanted), record(&directory, hashes).map_err(failed)?);
                    self.write(&records).map_err(failed)?;
                    Ok(directory)
                }
                None => Err(failed(format!(
                    "HF_HUB_OFFLINE is set, and not all of its files are in `{}`",
                    self.cache.display()
                ))),
            };
        }
        let revision = known.as_ref().map(|record| record.revision.as_str()).or(wanted.revision);
        let directory = self.download(wanted, revision, progress).map_err(failed)?;
        match &known {
            Some(record) => check(wanted.name, &directory, record, hashes)?,
            None => {
                records.insert(key(wanted), record(&directory, hashes).map_err(failed)?);
                self.write(&records).map_err(failed)?;
            }
        }
        Ok(directory)
    }

    /// Forgets what was recorded of a model, so that the next fetch takes what is there then.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn forget(&self, wanted: Wanted<'_>) -> Result<(), EmbedError> {
        let mut records = self.records()?;
        if records.remove(&key(wanted)).is_some() {
            self.write(&records).map_err(|why| EmbedError::Fetch { model: wanted.name.to_owned(), why })?;
        }
        Ok(())
    }

    /// Brings the files at a revision; returns their directory, which is named by the commit.
    fn download(&self, wanted: Wanted<'_>, revision: Option<&str>, progress: Progress<'_>) -> Result<PathBuf, String> {
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
        let bring = |name: &str| self.bring(&repo, &directory, name, progress);
        let small = |name: &&String| SMALL_FILES.contains(&name.as_str()) || name.ends_with("_Pooling/config.json");
        names.iter().filter(small).try_for_each(|name| bring(name))?;
        let weights: Vec<&String> = if crate::embed::StaticModel::is_in(&directory) {
            names.iter().filter(|name| *name == STATIC_WEIGHTS).collect()
        } else {
            let graphs: Vec<&str> = wanted.graph.map_or_else(|| GRAPHS.to_vec(), |graph| vec![graph]);
            let graph = graphs.iter().copied().find(|graph| names.iter().any(|name| name == graph));
            let of_graph = |name: &&String| {
                // Weights beside the graph: `model.onnx_data`, `model.onnx.data`.
                let rest = graph.and_then(|graph| name.strip_prefix(graph));
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['_', '.']))
            };
            names.iter().filter(of_graph).collect()
        };
        if weights.is_empty() {
            return Err(format!(
                "`{}` has no ONNX graph (`{}`); export one into a directory and name that",
                wanted.repository,
                wanted.graph.unwrap_or(GRAPHS[0])
            ));
        }
        weights.into_iter().try_for_each(|name| bring(name))?;
        Ok(directory)
    }

    /// Brings one file, unless it is here.
    fn bring(&self, repo: &ApiRepo, directory: &Path, name: &str, progress: Progress<'_>) -> Result<(), String> {
        let path = directory.join(name);
        if path.is_file() {
            return Ok(());
        }
        let step = Step { name: name.to_owned(), done: 0, total: 0, progress };
        repo.download_with_progress(name, step).map_err(|error| format!("`{name}`: {}", said(&error)))?;
        // The hub names large files by their hash, so a damaged download shows at once.
        let blob = path.canonicalize().map_err(|error| format!("`{name}` cannot be read: {error}"))?;
        let expected = blob.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if expected.len() == 64 && expected.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            let found = crate::embed::sha256(&blob).map_err(|error| format!("`{name}` cannot be read: {error}"))?;
            if found != expected {
                let _ = std::fs::remove_file(&blob);
                let _ = std::fs::remove_file(&path);
                return Err(format!("`{name}` came with other bytes than the hub names; it was removed, try again"));
            }
        }
        Ok(())
    }

    fn snapshot(&self, repository: &str, commit: &str) -> PathBuf {
        self.cache.join(format!("models--{}", repository.replace('/', "--"))).join("snapshots").join(commit)
    }

    /// A model that another tool has put into the cache, if all of it is there.
    fn adopt(&self, wanted: Wanted<'_>, known: Option<&Record>) -> Option<PathBuf> {
        if known.is_some() {
            return None;
        }
        let asked = wanted.revision.unwrap_or("main");
        let references = self.cache.join(format!("models--{}", wanted.repository.replace('/', "--"))).join("refs");
        let commit = match is_commit(asked) {
            true => asked.to_owned(),
            false => std::fs::read_to_string(references.join(asked)).ok()?.trim().to_owned(),
        };
        let directory = self.snapshot(wanted.repository, &commit);
        let has = |name: &str| directory.join(name).is_file();
        let weights = if crate::embed::StaticModel::is_in(&directory) {
            has(STATIC_WEIGHTS)
        } else {
            wanted.graph.map_or_else(|| GRAPHS.iter().any(|graph| has(graph)), has)
        };
        (is_commit(&commit) && weights && has("tokenizer.json") && has("config.json")).then_some(directory)
    }

    fn records(&self) -> Result<BTreeMap<String, Record>, EmbedError> {
        let failed = |why: String| EmbedError::Fetch { model: "any model".into(), why };
        match std::fs::read(&self.records) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|error| failed(format!("`{}` is damaged: {error}; remove it", self.records.display()))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(failed(format!("`{}` cannot be read: {error}", self.records.display()))),
        }
    }

    fn write(&self, records: &BTreeMap<String, Record>) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("`{}` cannot be written: {error}", self.records.display());
        let text = serde_json::to_vec_pretty(records).map_err(|error| error.to_string())?;
        self.records.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(failed)?;
        let temporary = self.records.with_extension("tmp");
        std::fs::write(&temporary, text).and_then(|()| std::fs::rename(&temporary, &self.records)).map_err(failed)
    }
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
fn record(directory: &Path, hashes: &Hashes) -> Result<Record, String> {
    let mut files = BTreeMap::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).map_err(|error| format!("`{}`: {error}", folder.display()))?;
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let unreadable = |error: std::io::Error| format!("`{}` cannot be read: {error}", path.display());
            let name = path.strip_prefix(directory).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            let bytes = path.metadata().map_err(unreadable)?.len();
            files.insert(name, FileRecord { bytes, sha256: hashes.of(&path).map_err(unreadable)? });
        }
    }
    let revision = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Record { revision, files })
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
