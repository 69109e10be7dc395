//! Looks: files that were whole when they were read, and what they looked like then, so that they need not be read again.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::UNIX_EPOCH;
use std::{fs, io};

/// Length in bytes, and time of change in nanoseconds since 1970, of each of some files.
pub(super) type Looks = BTreeMap<String, (u64, u64)>;

/// How a file looks now.
pub(super) fn look(file: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::metadata(file)?;
    let changed = metadata.modified()?.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    Ok((metadata.len(), changed))
}

/// What was kept in a file; `None` if there is none, or it cannot be read.
pub(super) fn kept(file: &Path) -> Option<Looks> {
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

/// Keeps it there, whole or not at all.
pub(super) fn keep(file: &Path, looks: &Looks) -> io::Result<()> {
    let temporary = file.with_extension(format!("{}.tmp", std::process::id()));
    let written = fs::write(&temporary, serde_json::to_vec(looks)?).and_then(|()| fs::rename(&temporary, file));
    if written.is_err() {
        // Nothing that could be done about it is left.
        drop(fs::remove_file(&temporary));
    }
    written
}
