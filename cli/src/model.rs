//! Model: which model a command works with, and where models and runtimes are kept.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use precedent_model::embed::{Device, Hashes, Options};
use precedent_model::hub::Hub;
use precedent_model::kept;
use precedent_model::open::{Models, Source};
use precedent_model::presets::{Decoder, Preset};
use precedent_model::runtime::RuntimePlaces;
use precedent_model::{Embedder, Table};

use crate::failure::{Failure, Kind};
use crate::place::Place;
use crate::progress::Download;
use crate::screen;

/// The user's data directory for this program.
pub(crate) fn data_directory() -> Result<PathBuf, Failure> {
    let named = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || named(if cfg!(windows) { "USERPROFILE" } else { "HOME" });
    let base = match std::env::consts::OS {
        "windows" => named("LOCALAPPDATA"),
        "macos" => named("XDG_DATA_HOME").or_else(|| Some(home()?.join("Library/Application Support"))),
        _ => named("XDG_DATA_HOME").or_else(|| Some(home()?.join(".local/share"))),
    };
    named("PRECEDENT_DATA").or_else(|| Some(base?.join("precedent"))).ok_or_else(|| {
        Failure::new(Kind::Usage, "there is no home directory to keep models in")
            .with_hint("set PRECEDENT_DATA to a directory")
    })
}

/// Where models, runtimes and what is known of them are, as the environment says.
pub(crate) fn models() -> Result<Models, Failure> {
    let data = data_directory()?;
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let home = named("HOME").or_else(|| named("USERPROFILE")).map(PathBuf::from);
    let hub_home = named("HF_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(named("XDG_CACHE_HOME").map(PathBuf::from)?.join("huggingface")))
        .or_else(|| Some(home?.join(".cache/huggingface")))
        .unwrap_or_else(|| data.join("huggingface"));
    let cache = named("HF_HUB_CACHE").map_or_else(|| hub_home.join("hub"), PathBuf::from);
    let text = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let token = text("HF_TOKEN").or_else(|| std::fs::read_to_string(hub_home.join("token")).ok());
    let is_on =
        |name: &str| text(name).is_some_and(|value| matches!(&*value.to_uppercase(), "1" | "TRUE" | "YES" | "ON"));
    Ok(Models {
        hub: Hub {
            cache,
            endpoint: text("HF_ENDPOINT").map(|endpoint| endpoint.trim_end_matches('/').to_owned()),
            token: token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty()),
            offline: is_on("HF_HUB_OFFLINE"),
            records: data.join("models.json"),
        },
        runtime: RuntimePlaces {
            named: named("ORT_DYLIB_PATH").map(PathBuf::from),
            installed: Some(data.join("runtime")),
            beside: std::env::current_exe().ok().and_then(|path| path.parent().map(Path::to_owned)),
        },
        hashes: Hashes::remembered(data.join("hashes.json")),
    })
}

/// The device that was asked for on the command line, or else by the environment.
pub(crate) fn device(asked: Option<&str>) -> Result<Device, Failure> {
    let (text, from) = match asked {
        Some(text) => (text.to_owned(), "--device"),
        None => match std::env::var("PRECEDENT_DEVICE") {
            Ok(text) if !text.is_empty() => (text, "PRECEDENT_DEVICE"),
            _ => return Ok(Device::Auto),
        },
    };
    text.parse().map_err(|why| Failure::new(Kind::Usage, format!("{from}: {why}")))
}

/// Makes a model ready. The terms of one that is fetched are told.
pub(crate) fn open(source: &Source, device: Device) -> Result<Arc<dyn Embedder>, Failure> {
    if *source == Source::BuiltIn {
        return Ok(Arc::new(Table::built_in()));
    }
    let models = models()?;
    if let Some(wanted) = source.wanted() {
        if Decoder::named(wanted.name).is_some() {
            return Err(Failure::new(Kind::Usage, format!("`{}` writes text and gives no vectors", wanted.name))
                .with_hint(format!("it is used with: precedent review --llm {}", wanted.name)));
        }
        if models.hub.find(wanted, &models.hashes)?.is_none() {
            tell_licence(wanted.name);
        }
    }
    let options =
        Options { device, threads: None, tell: Arc::new(|text: &str| screen::tell(&format!("note: {text}"))) };
    let download = Download::new();
    let model = models.open(source, &options, &|file, done, total| download.show(file, done, total));
    download.finish();
    Ok(model?)
}

/// Says on what terms a model may be used, before it is fetched.
pub(crate) fn tell_licence(name: &str) {
    screen::tell(&if let Some(preset) = Preset::named(name) {
        let use_of = if preset.commercial { "" } else { ", which forbids commercial use" };
        format!("note: the licence of `{}` is {}{use_of}", preset.name, preset.licence)
    } else if let Some(preset) = Decoder::named(name) {
        format!("note: the licence of `{}` is {}", preset.name, preset.licence)
    } else {
        format!("note: the licence of `{name}` is said at its repository")
    });
}

/// The model for the store of a place: the one that was asked for, or that the store was built with, or that the
/// environment names, or the built-in one.
pub(crate) fn choose(place: &Place, asked: Option<&str>, device: Device) -> Result<Arc<dyn Embedder>, Failure> {
    // A damaged store is dealt with, and said to be damaged, when it is brought up.
    let recorded = place.existing().ok().flatten().map(|store| store.manifest().embedder.clone());
    let source = match (asked, recorded) {
        (Some(asked), _) => Source::parse(asked)?,
        (None, Some(recorded)) if recorded == Table::built_in().fingerprint() => Source::BuiltIn,
        (None, Some(recorded)) => match known()?.remove(&recorded) {
            Some(known) => Source::parse(&known)?,
            // The store is then refused with both fingerprints.
            None => Source::BuiltIn,
        },
        (None, None) => match std::env::var("PRECEDENT_MODEL") {
            Ok(named) if !named.is_empty() => Source::parse(&named)?,
            _ => Source::BuiltIn,
        },
    };
    let model = open(&source, device)?;
    remember(&source, &model)?;
    Ok(model)
}

/// Whether a store that was built with this fingerprint would be opened.
pub(crate) fn is_known(fingerprint: &str) -> bool {
    fingerprint == Table::built_in().fingerprint() || known().is_ok_and(|known| known.contains_key(fingerprint))
}

/// What people typed for models that stores were built with, by fingerprint.
fn known() -> Result<BTreeMap<String, String>, Failure> {
    kept::read(&fingerprints()?).map_err(|why| Failure::new(Kind::Usage, why))
}

fn fingerprints() -> Result<PathBuf, Failure> {
    Ok(data_directory()?.join("fingerprints.json"))
}

/// Keeps what a fingerprint belongs to, so that a store is opened with its model from then on.
fn remember(source: &Source, model: &Arc<dyn Embedder>) -> Result<(), Failure> {
    let typed = match source {
        Source::BuiltIn => return Ok(()),
        Source::Directory(directory) => {
            let whole = directory.canonicalize().unwrap_or_else(|_| directory.clone());
            whole.display().to_string()
        }
        Source::Repository { name, .. } => name.clone(),
    };
    if known()?.get(model.fingerprint()) == Some(&typed) {
        return Ok(());
    }
    kept::change(&fingerprints()?, |known: &mut BTreeMap<String, String>| {
        known.insert(model.fingerprint().to_owned(), typed);
    })
    .map_err(|why| Failure::new(Kind::Usage, why).with_hint("set PRECEDENT_DATA to a directory that can be written"))
}
