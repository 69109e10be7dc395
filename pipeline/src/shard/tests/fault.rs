//! A disk that breaks at a chosen step, and what must hold whichever step that is.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use super::super::disk::{Disk, Step};
use super::super::folder::Folder;
use super::*;

/// What happens at the chosen step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// The step fails, a write after half of its bytes, and those after it do not.
    Error,
    /// The step fails, and so do all after it.
    Full,
    /// The process ends: the same, but nobody is there to clear up. What was done stays.
    Killed,
    /// The power fails: also, what was not synced is lost, names as well as content.
    Power,
}

const FATES: [Fate; 4] = [Fate::Error, Fate::Full, Fate::Killed, Fate::Power];

#[derive(Debug)]
pub(in super::super) struct Fault {
    /// The step, from 1.
    at: usize,
    fate: Fate,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    steps: usize,
    /// The last step that failed, in words.
    failed: Option<String>,
    /// How to undo what would not outlast a power failure: where it happened, and what was there before.
    names: Vec<(PathBuf, Undo)>,
    /// Files whose content would not.
    contents: BTreeSet<PathBuf>,
}

#[derive(Debug)]
enum Undo {
    /// A file or folder that was not there.
    Created(PathBuf),
    /// A file's former name, and what had its new one.
    Renamed(PathBuf, PathBuf, Option<Vec<u8>>),
    /// A file that was there.
    Removed(PathBuf, Vec<u8>),
}

impl Fault {
    fn new(at: usize, fate: Fate) -> Arc<Fault> {
        Arc::new(Fault { at, fate, state: Mutex::default() })
    }

    /// What failed, if the step was reached.
    fn failed(&self) -> Option<String> {
        self.state.lock().unwrap().failed.clone()
    }

    /// Takes a step, or does not. Threads take turns, so that what is undone is undone in order.
    pub(in super::super) fn take<T>(&self, step: Step<'_>, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state.lock().unwrap();
        state.steps += 1;
        let begins = state.steps == self.at;
        if !begins && (state.failed.is_none() || self.fate == Fate::Error) {
            state.note(step);
            return act();
        }
        if begins {
            state.failed = Some(format!("{step:.100?}"));
            if let Step::Write(path, bytes) = step {
                let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
                file.write_all(&bytes[..bytes.len() / 2]).unwrap();
            }
            if self.fate == Fate::Power {
                state.lose();
            }
        }
        Err(io::Error::new(io::ErrorKind::StorageFull, "no space left"))
    }
}

impl State {
    fn note(&mut self, step: Step<'_>) {
        let folder = |path: &Path| path.parent().unwrap().to_owned();
        match step {
            Step::CreateFolder(path) | Step::Create(path) if !path.exists() => {
                self.names.push((folder(path), Undo::Created(path.to_owned())));
            }
            Step::CreateFolder(_) | Step::Create(_) => {}
            Step::Write(path, _) => {
                self.contents.insert(path.to_owned());
            }
            Step::Sync(path) => {
                self.contents.remove(path);
            }
            Step::SyncFolder(path) => self.names.retain(|(folder, _)| folder != path),
            Step::Rename(from, to) => {
                if self.contents.remove(from) {
                    self.contents.insert(to.to_owned());
                }
                if from.exists() {
                    let undo = Undo::Renamed(from.to_owned(), to.to_owned(), fs::read(to).ok());
                    self.names.push((folder(to), undo));
                }
            }
            Step::Remove(path) => {
                if let Ok(bytes) = fs::read(path) {
                    self.names.push((folder(path), Undo::Removed(path.to_owned(), bytes)));
                }
            }
            // What was set aside is not missed.
            Step::RemoveFolder(path) => self.names.retain(|(folder, _)| !folder.starts_with(path)),
        }
    }

    /// What is there after the power failed. A file whose content was not synced is there, and empty.
    fn lose(&mut self) {
        for path in std::mem::take(&mut self.contents) {
            if path.exists() {
                fs::write(path, "").unwrap();
            }
        }
        for (_, undo) in std::mem::take(&mut self.names).into_iter().rev() {
            match undo {
                Undo::Created(path) if path.is_dir() => fs::remove_dir_all(path).unwrap(),
                Undo::Created(path) => fs::remove_file(path).unwrap(),
                Undo::Renamed(from, to, before) => {
                    fs::rename(&to, from).unwrap();
                    if let Some(bytes) = before {
                        fs::write(to, bytes).unwrap();
                    }
                }
                Undo::Removed(path, bytes) => fs::write(path, bytes).unwrap(),
            }
        }
    }
}

/// The generations of the store that these tests write.
const COUNTS: [u32; 2] = [5, 3];

fn generation(number: usize) -> Generation {
    sample(COUNTS[..number].iter().sum(), COUNTS[number])
}

/// A folder on a disk with this fault.
pub(super) fn folder_at(dir: &Path, fault: Option<Arc<Fault>>) -> Location {
    Location::of(Folder { disk: Disk { fault }, ..Folder::new(dir.to_owned()) })
}

/// Every file of the store, but for the lock.
pub(super) fn files(dir: &Path) -> BTreeSet<PathBuf> {
    let list = |folder: &Path| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let (folders, mut files): (Vec<_>, Vec<_>) = list(dir).into_iter().partition(|path| path.is_dir());
    files.extend(folders.iter().flat_map(|folder| list(folder)));
    let names = files.into_iter().map(|path| path.strip_prefix(dir).unwrap().to_owned());
    names.filter(|name| name != Path::new("lock")).collect()
}

/// Writes what is still to be written, through a disk with this fault.
fn go_on(dir: &Path, fault: Option<Arc<Fault>>) -> Result<(), StoreError> {
    let mut store = Store::open(dir)?.unwrap_or_else(|| Store::create(dir, settings()));
    store.location = folder_at(dir, fault);
    let lock = store.lock()?;
    for number in store.manifest().generation as usize..COUNTS.len() {
        store.commit(&lock, generation(number))?;
    }
    Ok(())
}

/// Calls this with one fault after the other, until there are not so many steps.
pub(super) fn at_every_step(fate: Fate, mut run: impl FnMut(Arc<Fault>)) {
    for at in 1.. {
        let fault = Fault::new(at, fate);
        run(fault.clone());
        if fault.failed().is_none() {
            assert!(at > 20, "{at} steps are not all of them");
            return;
        }
    }
}

#[test]
fn a_crash_at_any_step_leaves_a_generation_that_the_next_run_builds_on() {
    let whole = tempfile::tempdir().unwrap();
    let expected = store_of(whole.path(), &COUNTS);
    let expected_files = files(whole.path());
    for fate in [Fate::Killed, Fate::Power] {
        let mut seen = BTreeSet::new();
        at_every_step(fate, |fault| {
            let parent = tempfile::tempdir().unwrap();
            let dir = parent.path().join("store");
            let outcome = go_on(&dir, Some(fault.clone()));
            assert_eq!(outcome.is_err(), fault.failed().is_some(), "{fault:?}");
            let found = Store::open(&dir).unwrap_or_else(|error| panic!("{error}: {fault:?}"));
            let count = found.as_ref().map_or(0, |store| store.manifest().generation as usize);
            seen.insert(count);
            if let Some(found) = found {
                assert_eq!(found.check().unwrap().problems, Vec::<String>::new(), "{fault:?}");
                let commits = COUNTS[..count].iter().sum();
                assert_eq!(found.commits().unwrap(), sample(0, commits).commits, "{fault:?}");
                assert_eq!(found.edits().unwrap(), sample(0, commits).edits, "{fault:?}");
            }
            go_on(&dir, None).unwrap_or_else(|error| panic!("{error}: {fault:?}"));
            assert_eq!(open(&dir).manifest(), expected.manifest(), "{fault:?}");
            assert_eq!(open(&dir).check().unwrap().problems, Vec::<String>::new(), "{fault:?}");
            assert_eq!(files(&dir), expected_files, "{fault:?}");
        });
        assert_eq!(seen, BTreeSet::from([0, 1, 2]), "{fate:?}");
    }
}

#[test]
fn a_failure_at_any_step_is_told_and_the_same_call_succeeds_afterwards() {
    let whole = tempfile::tempdir().unwrap();
    let expected = store_of(whole.path(), &COUNTS);
    let expected_files = files(whole.path());
    for fate in [Fate::Error, Fate::Full] {
        let mut after_the_manifest = 0;
        at_every_step(fate, |fault| {
            let dir = tempfile::tempdir().unwrap();
            let mut store = store_of(dir.path(), &COUNTS[..1]);
            let lock = store.lock().unwrap();
            store.location = folder_at(dir.path(), Some(fault.clone()));
            let outcome = store.commit(&lock, generation(1));
            let Some(step) = fault.failed() else { return outcome.unwrap() };
            // An error of `clean_up` is dropped, and there is none in a commit that fares well.
            let error = outcome.unwrap_err();
            assert!(matches!(&error, StoreError::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull));
            store.location = folder_at(dir.path(), None);
            if open(dir.path()).manifest().generation == 2 {
                // The new generation counts, and whether it lasts is not known.
                assert!(step.starts_with("SyncFolder"), "{step}");
                assert!(matches!(store.commit(&lock, generation(1)), Err(StoreError::Stale { .. })), "{step}");
                after_the_manifest += 1;
            } else {
                assert_eq!(open(dir.path()).manifest(), store.manifest(), "{step}");
                store.commit(&lock, generation(1)).unwrap_or_else(|error| panic!("{error}: {step}"));
            }
            assert_eq!(open(dir.path()).manifest(), expected.manifest(), "{step}");
            assert_eq!(files(dir.path()), expected_files, "{step}");
        });
        assert_eq!(after_the_manifest, 1);
    }
}

#[test]
fn a_store_is_set_aside_whole_or_is_still_there() {
    for fate in FATES {
        for at in 1.. {
            let fault = Fault::new(at, fate);
            let dir = tempfile::tempdir().unwrap();
            store_of(dir.path(), &COUNTS);
            let outcome = Store::set_aside(folder_at(dir.path(), Some(fault.clone())));
            // Without its manifest it is no store, whatever else is still to be moved.
            if let Some(store) = Store::open(dir.path()).unwrap_or_else(|error| panic!("{error}: {fault:?}")) {
                assert_eq!(store.check().unwrap().problems, Vec::<String>::new(), "{fault:?}");
            }
            Store::set_aside(dir.path()).unwrap();
            assert!(Store::open(dir.path()).unwrap().is_none());
            if fault.failed().is_none() {
                outcome.unwrap();
                break;
            }
        }
    }
}
