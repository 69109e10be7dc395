//! Runtime: finds an ONNX Runtime and loads it, once a process.
//!
//! It is a library of its own that is looked for when an ONNX model is asked for, and never before.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ort::environment::Environment;
use ort::ep::ExecutionProvider;

use crate::embed::EmbedError;

/// Where a runtime may be, best first.
#[derive(Debug, Clone, Default)]
pub struct RuntimePlaces {
    /// A library that somebody named, as `ORT_DYLIB_PATH` does. If there is one, no other is looked for.
    pub named: Option<PathBuf>,
    /// The folder in which [`crate::install`] puts runtimes, one folder each.
    pub installed: Option<PathBuf>,
    /// The folder of the executable.
    pub beside: Option<PathBuf>,
}

/// Why a library is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It was named.
    Named,
    /// It was installed.
    Installed,
    /// It lies next to the executable.
    Beside,
}

impl Origin {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Origin::Named => "named by ORT_DYLIB_PATH",
            Origin::Installed => "installed",
            Origin::Beside => "next to the executable",
        }
    }
}

impl RuntimePlaces {
    /// The library that would be loaded.
    pub fn find(&self) -> Option<(PathBuf, Origin)> {
        if let Some(named) = &self.named {
            let library = if named.is_dir() { library_in(named) } else { None };
            return Some((library.unwrap_or_else(|| named.clone()), Origin::Named));
        }
        if let Some(installed) = &self.installed {
            let mut folders: Vec<PathBuf> = std::fs::read_dir(installed)
                .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
                .unwrap_or_default();
            // The version that this program installs, with CUDA before without; then whatever else is there.
            folders.sort_by_key(|folder| {
                let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
                (!name.contains(crate::install::VERSION), !name.contains("gpu"), name)
            });
            if let Some(library) = folders.iter().find_map(|folder| library_in(folder)) {
                return Some((library, Origin::Installed));
            }
        }
        let library = library_in(self.beside.as_deref()?)?;
        Some((library, Origin::Beside))
    }
}

/// The runtime's library in a folder, under the names that it has on each system.
fn library_in(folder: &Path) -> Option<PathBuf> {
    let is_library = |name: &str| {
        name == "onnxruntime.dll"
            || name.starts_with("libonnxruntime.so")
            || (name.starts_with("libonnxruntime.") && name.ends_with(".dylib"))
    };
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(is_library))
        .collect();
    found.sort();
    found.into_iter().next()
}

/// A runtime that has been loaded.
pub struct Runtime {
    pub(crate) environment: Environment,
    /// The library.
    pub path: PathBuf,
    /// Its version, as it says itself.
    pub version: String,
    /// What it can compute with, among what is used here.
    pub providers: Vec<&'static str>,
}

/// Loads a library. Only one can be in a process: the first that is asked for, whether or not it loads.
///
/// # Errors
/// [`EmbedError::Runtime`] with the path of the first, if it is no such library, one of another version or architecture, or
/// not there.
pub fn load(path: &Path) -> Result<&'static Runtime, EmbedError> {
    static LOADED: OnceLock<Result<Runtime, (PathBuf, String)>> = OnceLock::new();
    let loaded = LOADED.get_or_init(|| load_first(path).map_err(|why| (path.to_owned(), why.replace('\n', " "))));
    loaded.as_ref().map_err(|(path, why)| EmbedError::Runtime { path: path.clone(), why: why.clone() })
}

fn load_first(path: &Path) -> Result<Runtime, String> {
    if !path.is_file() {
        return Err("there is no such file".into());
    }
    let builder = ort::init_from(path).map_err(|error| match error {
        // The system's own words are then that there is no such file.
        ort::LoadDynamicError::Dlopen { .. } if is_for_another_processor(path) => {
            "it is made for another kind of processor".into()
        }
        ort::LoadDynamicError::Dlopen { error, .. } => format!("the system cannot load it: {error}"),
        ort::LoadDynamicError::MissingApi { .. } => "it is another library".into(),
        ort::LoadDynamicError::BadVersion { version_str, .. } => {
            format!("it is version {version_str}, and 1.{} or newer is needed", ort::MINOR_VERSION)
        }
        other => other.to_string(),
    })?;
    let environment =
        builder.with_name("precedent").with_telemetry(false).build().map_err(|error| error.message().to_owned())?;
    // What fails comes back as an error and is told in our words. Warnings of the runtime are about its graphs, not for
    // those who use this.
    environment.set_log_level(ort::logging::LogLevel::Fatal);
    let mut providers = vec!["CPU"];
    if ort::ep::CUDA::is_available().unwrap_or(false) {
        providers.insert(0, "CUDA");
    }
    Ok(Runtime { environment, path: path.to_owned(), version: version(ort::info(), path), providers })
}

/// Whether a library's ELF header names another processor than that of this program.
fn is_for_another_processor(library: &Path) -> bool {
    let machine = |path: &Path| -> Option<[u8; 3]> {
        let mut header = [0; 20];
        std::fs::File::open(path).ok()?.read_exact(&mut header).ok()?;
        // Its class, of 32 or 64 bits, and its machine.
        header.starts_with(b"\x7fELF").then_some([header[4], header[18], header[19]])
    };
    let own = std::env::current_exe().ok().and_then(|program| machine(&program));
    own.is_some_and(|own| machine(library).is_some_and(|other| other != own))
}

/// The version in the runtime's description of its own build, or else in the library's name.
fn version(build: &str, path: &Path) -> String {
    let branch = build.split(['=', ',', ' ']).find_map(|word| word.strip_prefix("rel-"));
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let digits = name.find(|c: char| c.is_ascii_digit()).map(|at| name[at..].trim_end_matches(".dylib"));
    branch.or(digits).unwrap_or("of unknown version").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_looked_at_in_order() {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(&path, "").expect("a file");
            path
        };
        let mut places = RuntimePlaces {
            named: None,
            installed: Some(directory.path().join("runtime")),
            beside: Some(directory.path().join("bin")),
        };
        assert_eq!(places.find(), None);
        let beside = at("bin/libonnxruntime.so.1.20.0");
        at("bin/libonnxruntime_providers_shared.so");
        assert_eq!(places.find(), Some((beside, Origin::Beside)));
        let other = at("runtime/onnxruntime-1.10.0/libonnxruntime.so.1.10.0");
        assert_eq!(places.find(), Some((other, Origin::Installed)));
        let ours = at(&format!("runtime/onnxruntime-{}/libonnxruntime.so.1", crate::install::VERSION));
        assert_eq!(places.find(), Some((ours, Origin::Installed)));
        let named = at("mine/onnxruntime.dll");
        places.named = Some(directory.path().join("mine"));
        assert_eq!(places.find(), Some((named, Origin::Named)));
        places.named = Some("no/such/file.so".into());
        assert_eq!(places.find(), Some(("no/such/file.so".into(), Origin::Named)));
    }

    #[test]
    fn versions_are_read_from_the_build_or_the_name() {
        let build = "ORT Build Info: git-branch=rel-1.31.1, git-commit-id=0, build type=Release";
        assert_eq!(version(build, Path::new("x")), "1.31.1");
        assert_eq!(version("HEAD", Path::new("/a/libonnxruntime.so.1.31.1")), "1.31.1");
        assert_eq!(version("HEAD", Path::new("/a/libonnxruntime.1.31.1.dylib")), "1.31.1");
        assert_eq!(version("HEAD", Path::new("onnxruntime.dll")), "of unknown version");
    }
}
