//! Kept: small JSON files that several processes read and change.
//!
//! A change is made under a lock and replaces the file as a whole, so nobody reads half of it and no change is lost.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a file holds; the default where there is none.
///
/// # Errors
/// A sentence that names the file, if it cannot be read or is damaged.
pub fn read<T: DeserializeOwned + Default>(file: &Path) -> Result<T, String> {
    match std::fs::read(file) {
        Ok(text) => serde_json::from_slice(&text)
            .map_err(|error| format!("`{}` is damaged: {error}; remove it", file.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(T::default()),
        Err(error) => Err(format!("`{}` cannot be read: {error}", file.display())),
    }
}

/// Changes what a file holds, and makes the file and its folder where there is none.
///
/// # Errors
/// A sentence that names the file, if it cannot be read or written, or is damaged.
pub fn change<T: DeserializeOwned + Default + Serialize>(
    file: &Path,
    change: impl FnOnce(&mut T),
) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("`{}` cannot be written: {error}", file.display());
    file.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(failed)?;
    let lock = File::create(file.with_extension("lock")).map_err(failed)?;
    // On a file system without locks the last of two that write at once wins.
    let _ = lock.lock();
    let mut content: T = read(file)?;
    change(&mut content);
    let text = serde_json::to_vec_pretty(&content).map_err(|error| error.to_string())?;
    let temporary = file.with_extension("tmp");
    std::fs::write(&temporary, text).and_then(|()| std::fs::rename(&temporary, file)).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn changes_that_are_made_at_once_are_all_kept() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("data/kept.json");
        assert_eq!(read::<BTreeMap<String, usize>>(&file), Ok(BTreeMap::new()));
        std::thread::scope(|scope| {
            for number in 0..16usize {
                let file = &file;
                scope.spawn(move || {
                    change(file, |content: &mut BTreeMap<String, usize>| {
                        content.insert(number.to_string(), number);
                    })
                    .expect("a change");
                });
            }
        });
        assert_eq!(read::<BTreeMap<String, usize>>(&file).expect("content").len(), 16);
        std::fs::write(&file, "{\"1\":").expect("a file");
        let why = read::<BTreeMap<String, usize>>(&file).expect_err("damage");
        assert!(why.contains("kept.json` is damaged") && why.ends_with("remove it"), "{why}");
    }
}
