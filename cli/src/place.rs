//! Place: which repository, and where its store is.

use std::io;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};

use precedent_model::Embedder;
use precedent_pipeline::archive::Archive;
use precedent_pipeline::history::Repository;
use precedent_pipeline::shard::{Location, LocationError, ObjectId, Store, StoreError};
use precedent_pipeline::{IndexReport, PipelineError, UpkeepOptions, bring_up};

use crate::failure::{Failure, Kind};
use crate::progress::{Bar, interruptible};
use crate::{model, screen};

/// Folder of the store inside the Git directory, and inside the user's cache.
const FOLDER: &str = "precedent";
/// Folder of shards from buckets, inside the one in the user's cache.
const SHELF: &str = "shards";

/// What the arguments say about places.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) repository: PathBuf,
    pub(crate) store: Option<String>,
    pub(crate) json: bool,
}

/// An opened repository and the places that may hold its store, best first.
pub(crate) struct Place {
    pub(crate) repository: Repository,
    locations: Vec<Location>,
}

impl Place {
    pub(crate) fn open(settings: &Settings) -> Result<Place, Failure> {
        let repository = Repository::discover(&settings.repository)?;
        let locations = match &settings.store {
            Some(store) => vec![location(store)?],
            None => {
                let git = repository.common_directory();
                let cache = cache_directory(&git);
                std::iter::once(git.join(FOLDER)).chain(cache).map(Location::folder).collect()
            }
        };
        Ok(Place { repository, locations })
    }

    /// The same repository with its store in another folder.
    pub(crate) fn with_folder(self, folder: PathBuf) -> Place {
        Place { locations: vec![Location::folder(folder)], ..self }
    }

    /// The place of the store that would be used first.
    pub(crate) fn location(&self) -> &Location {
        &self.locations[0]
    }

    /// A folder in the user's cache for what cannot be kept in the store.
    pub(crate) fn cache(&self) -> Option<PathBuf> {
        cache_directory(&self.repository.common_directory())
    }

    /// The first store that there is, in whatever place.
    pub(crate) fn existing(&self) -> Result<Option<Store>, StoreError> {
        for location in &self.locations {
            match Store::open(location) {
                Ok(Some(store)) => return Ok(Some(store)),
                Err(StoreError::Read { source, .. }) if is_out_of_reach(&source) => {}
                other => drop(other?),
            }
        }
        Ok(None)
    }

    /// Brings the store up to `tips` and does some work on all of it, as [`Place::with_store`].
    pub(crate) fn with_archive<T>(
        &self,
        settings: &Settings,
        tips: &[ObjectId],
        work: impl Fn(&Archive, &dyn Embedder) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        // To take an archive apart, edit by edit, takes longer than to end the process, which follows.
        self.with_store(settings, tips, |store, embedder| work(&ManuallyDrop::new(Archive::open(store)?), embedder))
    }

    /// Brings the store up to `tips` and does some work on it. Damage that only reading finds is answered as any
    /// other: the store is built again, and the work done once more. The model is the store's own.
    pub(crate) fn with_store<T>(
        &self,
        settings: &Settings,
        tips: &[ObjectId],
        work: impl Fn(Store, &dyn Embedder) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let embedder = model::choose(self, None, model::device(None)?)?;
        let attempt = |options: &UpkeepOptions| {
            let ready = self.bring_up_to_read(tips, options)?;
            ready.announce(settings)?;
            work(ready.store, &*options.embedder)
        };
        let options = UpkeepOptions { embedder, ..UpkeepOptions::default() };
        match attempt(&options) {
            Err(failure) => match failure.damage() {
                Some(damage) => attempt(&UpkeepOptions { rebuild: Some(damage.to_owned()), ..options }),
                None => Err(failure),
            },
            done => done,
        }
    }

    /// Brings the store up to `tips`, in the user's cache if the first place cannot be written.
    pub(crate) fn bring_up(&self, tips: &[ObjectId], options: &UpkeepOptions) -> Result<Ready, Failure> {
        Ok(self.try_places(tips, options)?)
    }

    /// The same for who only reads: where no place can be written, or somebody else writes in a bucket just then, what
    /// the store lacks is added in memory.
    fn bring_up_to_read(&self, tips: &[ObjectId], options: &UpkeepOptions) -> Result<Ready, Failure> {
        let last = self.locations.last().expect("because there is always a first place");
        let error = match self.try_places(tips, options) {
            Err(PipelineError::Store(error)) => error,
            other => return Ok(other?),
        };
        let why = match &error {
            StoreError::Write { path, source } if is_out_of_reach(source) => {
                format!("`{}` cannot be written", path.display())
            }
            // In a folder, the writer is on this machine and its user knows of it.
            StoreError::Locked { path, .. } if last.path().is_none() => {
                format!("`{}` is held by another writer", path.display())
            }
            _ => return Err(PipelineError::Store(error).into()),
        };
        screen::tell(&format!("note: {why}; what the index lacks is kept in memory, for this run alone"));
        Ok(self.try_in(&last.draft(), tips, options)?)
    }

    /// The first place that can be written, or the last one's failure.
    fn try_places(&self, tips: &[ObjectId], options: &UpkeepOptions) -> Result<Ready, PipelineError> {
        let (last, others) = self.locations.split_last().expect("because there is always a first place");
        for location in others {
            match self.try_in(location, tips, options) {
                Err(PipelineError::Store(StoreError::Write { path, source } | StoreError::Read { path, source }))
                    if is_out_of_reach(&source) =>
                {
                    screen::tell(&format!(
                        "note: `{}` is out of reach; the index is kept in the cache",
                        path.display()
                    ));
                }
                other => return other,
            }
        }
        self.try_in(last, tips, options)
    }

    fn try_in(&self, location: &Location, tips: &[ObjectId], options: &UpkeepOptions) -> Result<Ready, PipelineError> {
        let bar = Bar::new();
        let notice = |notice: precedent_pipeline::Notice| {
            screen::tell(&format!("note: {}", notice.text));
        };
        let result = interruptible(|flag| {
            bring_up(&self.repository, location, tips, options, &notice, &|step| bar.show(step), flag)
        });
        bar.finish();
        let (store, report) = result?;
        let model = options.embedder.name().to_owned();
        Ok(Ready { store, report, model })
    }
}

/// A store that is up to date.
pub(crate) struct Ready {
    pub(crate) store: Store,
    pub(crate) report: IndexReport,
    /// What people call the model.
    pub(crate) model: String,
}

impl Ready {
    /// Says on standard error what was indexed and what is missing, and ends an interrupted run.
    pub(crate) fn announce(&self, settings: &Settings) -> Result<(), Failure> {
        if self.report.commits > 0 && !settings.json {
            let shown = shown_place(self.store.location());
            screen::tell(screen::index_summary(&self.report, &self.model, &shown).trim_end());
            screen::tell("");
        }
        for caveat in screen::caveats(&self.report) {
            screen::tell(&format!("note: {caveat}"));
        }
        if self.report.interrupted { Err(Failure::interrupted()) } else { Ok(()) }
    }
}

/// A place as short as it can be said from here.
pub(crate) fn shown_place(location: &Location) -> String {
    let here = std::env::current_dir().ok().and_then(|here| here.canonicalize().ok());
    let path = location.path();
    let short = path.zip(here).and_then(|(path, here)| path.strip_prefix(here).ok().map(Path::to_owned));
    short.map_or_else(|| location.to_string(), |path| path.display().to_string())
}

fn location(store: &str) -> Result<Location, Failure> {
    Location::parse_with_shelf(store, user_cache().map(|cache| cache.join(SHELF))).map_err(|error| match error {
        LocationError::Empty => {
            Failure::new(Kind::Usage, "--store is empty").with_hint("leave it out for the default place")
        }
        error => Failure::new(Kind::Usage, error.to_string())
            .with_hint("give a directory or a bucket, as in: --store path/to/store or --store s3://bucket/store"),
    })
}

/// The folder of this program in the user's cache.
pub(crate) fn user_cache() -> Option<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))?;
    Some(base.join(FOLDER))
}

/// One folder in the user's cache for each repository, named by a hash of its path.
fn cache_directory(git: &Path) -> Option<PathBuf> {
    let digits = blake3::hash(git.as_os_str().as_encoded_bytes()).to_hex();
    Some(user_cache()?.join(&digits[..32]))
}

fn is_out_of_reach(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}
