//! Upkeep: finds the store of a repository fit for use, or makes it so, and brings it up to tips.
//!
//! A store that is damaged, or that was made while the clone was cut off shorter, is set aside and
//! built again, since history is there to build it from. A store of another repository or of another
//! maker is refused: nothing that someone may want is thrown away unasked.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use precedent_model::{Embedder, Table};

use crate::archive::{Kept, made_of};
use crate::history::Repository;
use crate::ingest::{IndexOptions, IndexReport, Interrupt, Progress, index, is_indexed};
use crate::shard::{Location, ObjectId, Settings, Store, StoreError, WriteLock};
use crate::syntax::Skip;
use crate::{PipelineError, syntax};

/// The folder inside a store for what was counted of it, how many files are kept in it, and the bytes of what each was made of.
const LEFT_OUT: &str = "left-out";
const LEFT_OUT_KEPT: usize = 1;
const OF_HASH: usize = 32;
/// How long to wait for another writer, and between two looks.
const LOCK_WAIT: Duration = Duration::from_secs(2);
const LOCK_POLL: Duration = Duration::from_millis(50);

/// Something that was done about a store and that a person should hear of.
#[derive(Debug, Clone)]
pub struct Notice {
    /// One sentence, lower case, without a full stop.
    pub text: String,
}

/// How a run may treat the store.
#[derive(Debug, Clone)]
pub struct UpkeepOptions {
    /// Start over, whatever is there; says why.
    pub rebuild: Option<String>,
    /// What makes the vectors.
    pub embedder: Arc<dyn Embedder>,
    /// How the run goes about it.
    pub index: IndexOptions,
}

impl Default for UpkeepOptions {
    /// With the built-in model.
    fn default() -> Self {
        UpkeepOptions { rebuild: None, embedder: Arc::new(Table::built_in()), index: IndexOptions::default() }
    }
}

/// Opens the store in `location`, or makes one, and indexes everything that `tips` reach.
///
/// # Errors
/// As [`index`]; also a store of another repository or maker, and one that somebody else is writing.
pub fn bring_up(
    repository: &Repository,
    location: &Location,
    tips: &[ObjectId],
    options: &UpkeepOptions,
    notice: &dyn Fn(Notice),
    progress: &(dyn Fn(Progress) + Sync),
    interrupt: &Interrupt,
) -> Result<(Store, IndexReport), PipelineError> {
    let (store, mut report) = brought_up(repository, location, tips, options, notice, progress, interrupt)?;
    if repository.is_partial() {
        // What earlier runs did not find is no less missing. A shard that cannot be read is for those who need it to deal
        // with.
        report.missing = report.missing.max(missing(&store).unwrap_or(0));
        report.partial |= report.missing > 0;
    }
    Ok((store, report))
}

/// How many file contents the store lacks since the clone lacked them. It is asked at each run in a partial clone, and follows
/// from the edits, of which all would have to be read: so it is kept in a file.
fn missing(store: &Store) -> Result<u64, StoreError> {
    let made_of = made_of(store, None, &["edits"]);
    let kept = Kept::new(store, None, LEFT_OUT, &made_of, LEFT_OUT_KEPT);
    let whole = |number: [u8; 8]| [made_of.as_bytes().as_slice(), &number].concat();
    let counted = kept.read(|bytes| {
        let number = *bytes.get(OF_HASH..)?.first_chunk()?;
        (*bytes == hashed(whole(number))).then(|| u64::from_le_bytes(number))
    });
    if let Some(counted) = counted {
        return Ok(counted);
    }
    let counted = store.left_out(Skip::Missing.as_str())?;
    kept.keep(&hashed(whole(counted.to_le_bytes())));
    Ok(counted)
}

/// Some bytes and their hash.
fn hashed(mut bytes: Vec<u8>) -> Vec<u8> {
    let hash = blake3::hash(&bytes);
    bytes.extend_from_slice(hash.as_bytes());
    bytes
}

fn brought_up(
    repository: &Repository,
    location: &Location,
    tips: &[ObjectId],
    options: &UpkeepOptions,
    notice: &dyn Fn(Notice),
    progress: &(dyn Fn(Progress) + Sync),
    interrupt: &Interrupt,
) -> Result<(Store, IndexReport), PipelineError> {
    let embedder = &*options.embedder;
    let look = || match &options.rebuild {
        None => find(repository, location, embedder),
        Some(_) if matches!(Store::open(location), Ok(None)) => Ok(Found::None),
        Some(_) if !location.was_written()? => Err(not_a_store(location)),
        Some(why) => Ok(Found::Unfit(why.clone())),
    };
    if let Found::Fit(store) = look()?
        // A shard that cannot be read has no answer here; the second look deals with it.
        && is_indexed(&store, tips).unwrap_or(false)
    {
        // Nothing to write, so no lock: readers never wait for a writer.
        let report = crate::ingest::nothing_new(&store);
        return Ok((*store, report));
    }
    let lock = wait_for_lock(&empty(location, embedder))?;
    // Another run may have written between the first look and the lock.
    let mut store = match look()? {
        Found::Fit(store) => *store,
        Found::None => empty(location, embedder),
        Found::Unfit(why) => start_over(location, embedder, &why, notice)?,
    };
    match index(repository, &mut store, &lock, tips, embedder, &options.index, progress, interrupt) {
        Err(PipelineError::Store(StoreError::Damaged { what, why })) => {
            let mut store = start_over(location, embedder, &format!("{what} is damaged ({why})"), notice)?;
            let report = index(repository, &mut store, &lock, tips, embedder, &options.index, progress, interrupt)?;
            Ok((store, report))
        }
        Err(error) => Err(error),
        Ok(report) => Ok((store, report)),
    }
}

/// Two runs that begin together both end well if the first one is quick.
fn wait_for_lock(store: &Store) -> Result<WriteLock, StoreError> {
    let begun = Instant::now();
    loop {
        match store.lock() {
            Err(StoreError::Locked { .. }) if begun.elapsed() < LOCK_WAIT => std::thread::sleep(LOCK_POLL),
            other => return other,
        }
    }
}

/// A store as it was found.
enum Found {
    Fit(Box<Store>),
    None,
    /// Not to be used; why.
    Unfit(String),
}

fn find(repository: &Repository, location: &Location, embedder: &dyn Embedder) -> Result<Found, PipelineError> {
    let store = match Store::open(location) {
        Ok(None) => return Ok(Found::None),
        Ok(Some(store)) => store,
        // A store that was ever written holds a lock file. Without one, this is somebody else's `manifest.json`.
        Err(StoreError::Damaged { .. }) if !location.was_written()? => return Err(not_a_store(location)),
        Err(StoreError::Damaged { what, why }) => return Ok(Found::Unfit(format!("{what} is damaged ({why})"))),
        Err(error) => return Err(error.into()),
    };
    check_maker(&store, location, embedder)?;
    check_repository(repository, &store, location)?;
    let still_shallow = |commit: &ObjectId| repository.is_shallow_at(commit);
    if !store.manifest().shallow.iter().all(still_shallow) {
        return Ok(Found::Unfit("it was made from a shorter clone".into()));
    }
    Ok(Found::Fit(Box::new(store)))
}

/// Refuses a store whose rows would not fit ours.
fn check_maker(store: &Store, location: &Location, embedder: &dyn Embedder) -> Result<(), PipelineError> {
    let manifest = store.manifest();
    for (what, found, expected) in [
        ("chunker", manifest.chunker.as_str(), syntax::CHUNKER),
        ("embedder", manifest.embedder.as_str(), embedder.fingerprint()),
    ] {
        if found != expected {
            return Err(PipelineError::OtherMaker {
                store: PathBuf::from(location.to_string()),
                what,
                found: found.to_owned(),
                expected: expected.to_owned(),
            });
        }
    }
    Ok(())
}

/// A store and a repository belong together when they share an indexed commit.
fn check_repository(repository: &Repository, store: &Store, location: &Location) -> Result<(), PipelineError> {
    let objects = repository.objects();
    let manifest = store.manifest();
    let no_tip_here = !manifest.tips.iter().any(|tip| objects.contains(tip));
    if no_tip_here && manifest.rows("commits") > 0 {
        // Tips may have been rewritten away; any commit will do.
        let shared = match store.commits() {
            Ok(commits) => commits.iter().rev().any(|commit| objects.contains(&commit.id)),
            Err(StoreError::Damaged { .. }) => true,
            Err(error) => return Err(error.into()),
        };
        if !shared {
            return Err(PipelineError::OtherRepository { store: PathBuf::from(location.to_string()) });
        }
    }
    Ok(())
}

fn not_a_store(location: &Location) -> PipelineError {
    PipelineError::NotAStore { directory: PathBuf::from(location.to_string()) }
}

fn empty(location: &Location, embedder: &dyn Embedder) -> Store {
    Store::create(
        location,
        Settings {
            chunker: syntax::CHUNKER.to_owned(),
            embedder: embedder.fingerprint().to_owned(),
            dimension: embedder.dimension() as u32,
        },
    )
}

fn start_over(
    location: &Location,
    embedder: &dyn Embedder,
    why: &str,
    notice: &dyn Fn(Notice),
) -> Result<Store, PipelineError> {
    let aside = Store::set_aside(location)?;
    notice(Notice { text: format!("the store is built again: {why}; what was there is in `{}`", aside.display()) });
    Ok(empty(location, embedder))
}
