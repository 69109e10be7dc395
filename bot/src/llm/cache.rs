//! Cache: answers by the content of their questions, so that the same question is not paid for twice.
//!
//! What is kept is the model's text, which is held against the passage again whenever it is read: a file that somebody
//! else wrote can say no more than a model can.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::model::{Message, Model, Reply, Shape};

/// Answers that are kept; beyond them the oldest go.
const MAX_FILES: usize = 2_000;
/// An older file that was not finished belongs to no run that is still going on.
const MAX_UNFINISHED: Duration = Duration::from_secs(3_600);
/// A larger file is none of ours.
const MAX_BYTES: u64 = 1 << 20;

/// A folder of answers.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    text: String,
    prompt_tokens: u64,
    completion_tokens: u64,
}

impl Cache {
    /// Keeps answers in a folder, which need not be there yet.
    pub fn in_folder(folder: PathBuf) -> Cache {
        Cache { folder }
    }

    /// What a question is known by.
    pub(super) fn key(model: &dyn Model, messages: &[Message], shape: &Shape, max_tokens: usize) -> String {
        let question = (model.name(), model.fingerprint(), messages, shape.schema.to_string(), max_tokens);
        let text = serde_json::to_vec(&question).expect("because text and numbers are JSON");
        blake3::hash(&text).to_hex().to_string()
    }

    /// The answer from before, if there is one.
    pub(super) fn get(&self, key: &str) -> Option<Reply> {
        let path = self.folder.join(key).with_extension("json");
        if path.metadata().ok()?.len() > MAX_BYTES {
            return None;
        }
        let entry: Entry = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
        // Only whole answers are kept.
        Some(Reply {
            text: entry.text,
            prompt_tokens: entry.prompt_tokens,
            completion_tokens: entry.completion_tokens,
            is_cut: false,
        })
    }

    /// Keeps an answer. That it cannot be kept is no failure of a review.
    pub(super) fn put(&self, key: &str, reply: &Reply) {
        let entry = Entry {
            text: reply.text.clone(),
            prompt_tokens: reply.prompt_tokens,
            completion_tokens: reply.completion_tokens,
        };
        let text = serde_json::to_vec(&entry).expect("because text and numbers are JSON");
        if text.len() as u64 > MAX_BYTES || std::fs::create_dir_all(&self.folder).is_err() {
            return;
        }
        // Another run may read it at this moment.
        let path = self.folder.join(key);
        let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
        let _ = write(&temporary, &text).and_then(|()| std::fs::rename(&temporary, path.with_extension("json")));
        self.clear();
    }

    fn clear(&self) {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten();
        let files = entries.filter_map(|entry| {
            let path = entry.ok()?.path();
            Some((path.metadata().ok()?.modified().ok()?, path))
        });
        let (mut answers, others): (Vec<_>, Vec<_>) = files.partition(|(_, path)| is_answer(path));
        answers.sort();
        let count = answers.len().saturating_sub(MAX_FILES);
        // What runs that were killed left behind.
        let is_left = |time: &SystemTime| time.elapsed().is_ok_and(|age| age > MAX_UNFINISHED);
        let unfinished = others.into_iter().filter(|(time, path)| is_unfinished(path) && is_left(time));
        for (_, path) in answers.into_iter().take(count).chain(unfinished) {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Writes a file that others may not read, since answers quote code.
fn write(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text)
}

/// Whether a name is that of a question.
fn is_key(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|c| c.is_ascii_hexdigit())
}

/// Whether a file has the name of an answer.
fn is_answer(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.and_then(|name| name.strip_suffix(".json")).is_some_and(is_key)
}

/// Whether a file has the name of an answer that is being written.
fn is_unfinished(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.and_then(|name| name.strip_suffix(".tmp")).and_then(|name| name.split_once('.'));
    name.is_some_and(|(key, run)| is_key(key) && !run.is_empty() && run.bytes().all(|c| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_killed_runs_left_is_cleared_and_answers_are_for_nobody_else() {
        let directory = tempfile::tempdir().expect("a directory");
        let cache = Cache::in_folder(directory.path().join("answers"));
        let key = |digit: &str| digit.repeat(64);
        let reply = Reply { text: "{}".into(), prompt_tokens: 1, completion_tokens: 2, is_cut: false };
        cache.put(&key("a"), &reply);
        let old = SystemTime::now() - Duration::from_secs(7_200);
        let place = |name: String| directory.path().join("answers").join(name);
        let (left, going_on, other) =
            (place(format!("{}.41.tmp", key("b"))), place(format!("{}.42.tmp", key("c"))), place("notes.tmp".into()));
        for path in [&left, &going_on, &other] {
            std::fs::write(path, "x").expect("a file");
        }
        for path in [&left, &other] {
            let file = std::fs::File::options().write(true).open(path).expect("the file");
            file.set_modified(old).expect("an older file");
        }
        cache.put(&key("d"), &reply);
        assert!(!left.exists() && going_on.exists() && other.exists());
        assert_eq!((cache.get(&key("a")), cache.get(&key("d"))), (Some(reply.clone()), Some(reply)));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = place(format!("{}.json", key("d"))).metadata().expect("the file").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
}
