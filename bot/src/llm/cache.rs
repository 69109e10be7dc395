//! Cache: answers by the content of their questions, so that the same question is not paid for twice.
//!
//! What is kept is the model's text, which is held against the passage again whenever it is read: a file that somebody
//! else wrote can say no more than a model can.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::model::{Message, Model, Reply, Shape};

/// Answers that are kept; beyond them the oldest go.
const MAX_FILES: usize = 2_000;
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
        Some(Reply { text: entry.text, prompt_tokens: entry.prompt_tokens, completion_tokens: entry.completion_tokens })
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
        let _ =
            std::fs::write(&temporary, text).and_then(|()| std::fs::rename(&temporary, path.with_extension("json")));
        self.clear();
    }

    fn clear(&self) {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten();
        let mut files: Vec<(SystemTime, PathBuf)> = entries
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                Some((path.metadata().ok()?.modified().ok()?, path))
            })
            .filter(|(_, path)| is_ours(path))
            .collect();
        if files.len() > MAX_FILES {
            files.sort();
            let count = files.len() - MAX_FILES;
            for (_, path) in files.into_iter().take(count) {
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

/// Whether a file has the name of an answer.
fn is_ours(path: &Path) -> bool {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    path.extension().is_some_and(|ending| ending == "json")
        && stem.len() == 64
        && stem.bytes().all(|c| c.is_ascii_hexdigit())
}
