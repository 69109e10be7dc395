//! Open: from what somebody typed to a model that is ready.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::embed::{Device, EmbedError, Embedder, Hashes, OnnxEncoder, Options, Settings, StaticModel, Table};
use crate::hub::{Hub, Progress, Wanted};
use crate::presets::{self, Preset};
use crate::runtime::{self, RuntimePlaces};

/// The name of the model that is part of the program.
pub const BUILT_IN: &str = "built-in";

/// Everything that is needed to open a model, beside its name.
#[derive(Debug)]
pub struct Models {
    /// Where fetched models come from.
    pub hub: Hub,
    /// Where a runtime may be.
    pub runtime: RuntimePlaces,
    /// Hashes of files.
    pub hashes: Hashes,
}

/// Where a model is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In the program.
    BuiltIn,
    /// In a directory.
    Directory(PathBuf),
    /// On the hub.
    Repository {
        /// What people call it.
        name: String,
        /// The repository.
        repository: String,
        /// The commit, branch or tag.
        revision: Option<String>,
        /// What stands in for what its files do not say.
        settings: Box<Settings>,
    },
}

impl Source {
    /// Understands `built-in`, a directory, a preset's name, or `OWNER/NAME[@REVISION]` on the hub.
    ///
    /// # Errors
    /// [`EmbedError::Unknown`] for anything else.
    pub fn parse(text: &str) -> Result<Source, EmbedError> {
        if text == BUILT_IN {
            return Ok(Source::BuiltIn);
        }
        if let Some(preset) = Preset::named(text) {
            return Ok(Source::Repository {
                name: preset.name.to_owned(),
                repository: preset.repository.to_owned(),
                revision: preset.revision.map(str::to_owned),
                settings: Box::new(preset.settings()),
            });
        }
        if let Some(preset) = presets::Decoder::named(text) {
            return Ok(Source::Repository {
                name: preset.name.to_owned(),
                repository: preset.repository.to_owned(),
                revision: preset.revision.map(str::to_owned),
                settings: Box::default(),
            });
        }
        if Path::new(text).is_dir() {
            return Ok(Source::Directory(PathBuf::from(text)));
        }
        let (repository, revision) = match text.split_once('@') {
            Some((repository, revision)) => (repository, Some(revision.to_owned())),
            None => (text, None),
        };
        let is_name = |name: &str| {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            !name.is_empty() && !name.starts_with('.') && name.chars().all(is_plain)
        };
        match repository.split_once('/') {
            Some((owner, name)) if is_name(owner) && is_name(name) && revision.as_deref().is_none_or(is_name) => {
                let settings = Box::default();
                Ok(Source::Repository { name: text.to_owned(), repository: repository.to_owned(), revision, settings })
            }
            _ => Err(EmbedError::Unknown { name: text.to_owned() }),
        }
    }

    /// The same, and the graph that may be named behind `#`, as in `OWNER/NAME#onnx/model_q4.onnx`: a decoder's files often
    /// have several, with weights of other widths.
    ///
    /// # Errors
    /// [`EmbedError::Unknown`] for anything else, and where what is named is no graph.
    pub fn parse_with_graph(text: &str) -> Result<(Source, Option<String>), EmbedError> {
        let Some((name, graph)) = text.rsplit_once('#').filter(|_| !Path::new(text).is_dir()) else {
            return Ok((Source::parse(text)?, None));
        };
        let is_plain = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains('\\');
        if !graph.ends_with(".onnx") || !graph.split('/').all(is_plain) {
            return Err(EmbedError::Unknown { name: text.to_owned() });
        }
        Ok((Source::parse(name)?, Some(graph.to_owned())))
    }

    /// What of a repository is wanted; `None` for a model that is here anyway.
    pub fn wanted(&self) -> Option<Wanted<'_>> {
        self.wanted_with(None)
    }

    /// The same, with another graph than the usual one.
    pub fn wanted_with<'a>(&'a self, graph: Option<&'a str>) -> Option<Wanted<'a>> {
        match self {
            Source::Repository { name, repository, revision, .. } => {
                let graph = graph.or(graph_of(name));
                Some(Wanted { name, repository, revision: revision.as_deref(), graph, half: false })
            }
            _ => None,
        }
    }
}

/// The graph of a decoder that has a name here.
fn graph_of(name: &str) -> Option<&'static str> {
    presets::Decoder::named(name).map(|preset| preset.graph)
}

impl Models {
    /// Makes a model ready, which may mean to fetch it.
    ///
    /// # Errors
    /// If it is not to be had, or does not work.
    pub fn open(
        &self,
        source: &Source,
        options: &Options,
        progress: Progress<'_>,
    ) -> Result<Arc<dyn Embedder>, EmbedError> {
        let (name, directory, settings) = match source {
            Source::BuiltIn => return Ok(Arc::new(Table::built_in())),
            Source::Directory(directory) => {
                let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
                (name, directory.clone(), Settings::default())
            }
            Source::Repository { name, settings, repository, revision } => {
                let (revision, graph) = (revision.as_deref(), graph_of(name));
                let wanted = Wanted { name, repository, revision, graph, half: false };
                // For a static model no runtime is loaded.
                let is_static = self.hub.find(wanted, &self.hashes)?.is_some_and(|found| StaticModel::is_in(&found));
                let wanted = Wanted { half: !is_static && self.has_gpu(options.device), ..wanted };
                (name.clone(), self.hub.fetch(wanted, &self.hashes, progress)?, (**settings).clone())
            }
        };
        if StaticModel::is_in(&directory) {
            return Ok(Arc::new(StaticModel::load(&name, &directory, &self.hashes)?));
        }
        Ok(Arc::new(self.open_onnx(&name, &directory, &settings, options)?))
    }

    /// Whether an encoder would be tried on a GPU.
    pub fn has_gpu(&self, device: Device) -> bool {
        let has_cuda = |library: &Path| runtime::load(library).is_ok_and(|found| found.providers.contains(&"CUDA"));
        match device {
            Device::Cpu => false,
            Device::Cuda(_) => true,
            Device::Auto => self.runtime.find().is_some_and(|(library, _)| has_cuda(&library)),
        }
    }

    /// Makes a model that writes ready, which may mean to fetch it; with this graph of it, or the usual one.
    ///
    /// # Errors
    /// If it is not to be had, or does not work.
    #[cfg(feature = "generate")]
    pub fn open_decoder(
        &self,
        source: &Source,
        graph: Option<&str>,
        options: &Options,
        progress: Progress<'_>,
    ) -> Result<crate::generate::Decoder, EmbedError> {
        let (name, directory) = match source {
            Source::BuiltIn => return Err(EmbedError::Unknown { name: BUILT_IN.to_owned() }),
            Source::Directory(directory) => {
                (directory.file_name().unwrap_or_default().to_string_lossy().into_owned(), directory.clone())
            }
            Source::Repository { name, repository, revision, .. } => {
                let graph = graph.or(graph_of(name));
                let wanted = Wanted { name, repository, revision: revision.as_deref(), graph, half: false };
                (name.clone(), self.hub.fetch(wanted, &self.hashes, progress)?)
            }
        };
        let (library, _) = self.runtime.find().ok_or_else(|| EmbedError::NoRuntime { model: name.clone() })?;
        let graph = graph.or(graph_of(&name));
        crate::generate::Decoder::load(&name, &directory, graph, &library, &self.hashes, options)
    }

    /// Makes the ONNX model in a directory ready.
    ///
    /// # Errors
    /// If it is not to be had, or does not work.
    pub fn open_onnx(
        &self,
        name: &str,
        directory: &Path,
        settings: &Settings,
        options: &Options,
    ) -> Result<OnnxEncoder, EmbedError> {
        // What is wrong with the files is worth more than what is missing to run them.
        crate::embed::Layout::read(directory, settings)?;
        let (library, _) = self.runtime.find().ok_or_else(|| EmbedError::NoRuntime { model: name.to_owned() })?;
        OnnxEncoder::load(name, directory, settings, &library, &self.hashes, options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graph_may_be_named() {
        let (source, graph) = Source::parse_with_graph("owner/name@v1#onnx/model_q4.onnx").expect("a source");
        let wanted = source.wanted_with(graph.as_deref()).expect("a repository");
        assert_eq!(
            (wanted.repository, wanted.revision, wanted.graph),
            ("owner/name", Some("v1"), Some("onnx/model_q4.onnx"))
        );
        let (source, graph) = Source::parse_with_graph("deepseek-coder-1.3b-instruct").expect("a preset");
        assert_eq!(graph, None);
        assert_eq!(source.wanted().expect("a repository").graph, Some("onnx/model_int8.onnx"));
        let (source, graph) = Source::parse_with_graph("Deepseek-Coder-1.3b-instruct#model.onnx").expect("a preset");
        let wanted = source.wanted_with(graph.as_deref()).expect("a repository");
        assert_eq!((wanted.name, wanted.graph), ("deepseek-coder-1.3b-instruct", Some("model.onnx")));
        assert_eq!(
            Source::parse_with_graph(".#a.onnx").ok(),
            Some((Source::Directory(".".into()), Some("a.onnx".into())))
        );
        for wrong in ["owner/name#", "owner/name#model.bin", "owner/name#../a.onnx", "owner/name#/a.onnx", "#a.onnx"] {
            assert!(matches!(Source::parse_with_graph(wrong), Err(EmbedError::Unknown { .. })), "{wrong}");
        }
    }

    #[test]
    fn names_directories_and_repositories_are_told_apart() {
        let repository = |text: &str| match Source::parse(text) {
            Ok(Source::Repository { repository, revision, .. }) => Some((repository, revision)),
            _ => None,
        };
        assert_eq!(Source::parse("built-in").ok(), Some(Source::BuiltIn));
        assert_eq!(Source::parse(".").ok(), Some(Source::Directory(".".into())));
        let minilm = repository("ALL-minilm-l6-v2").expect("a preset");
        assert_eq!(minilm.0, "sentence-transformers/all-MiniLM-L6-v2");
        for name in ["all-MiniLM-L6-v2", "Qwen2.5-Coder-1.5B-Instruct"] {
            assert!(
                repository(name).is_some_and(|(_, revision)| revision.is_some()),
                "{name} is asked for as it is pinned"
            );
        }
        assert_eq!(repository("owner/name@v1"), Some(("owner/name".into(), Some("v1".into()))));
        for wrong in ["no-such-model", "a/b/c", "../x", "/no/such/place", "", "owner/", "owner/name@"] {
            assert!(matches!(Source::parse(wrong), Err(EmbedError::Unknown { .. })), "{wrong}");
        }
    }
}
