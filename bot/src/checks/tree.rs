//! Tree: every file at the head of a change, by the words that it holds.
//!
//! A claim about a name must know every place where the name still stands. Each blob is read once and remembered by the
//! hashes of its words; what holds a word is then a look-up, and only what holds it is read again and parsed. Nothing is
//! read before it is asked for: most changes take no name out of use.

use std::cell::{OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::rc::Rc;

use precedent_pipeline::history::{Entry, Mode, NoBlob, Objects, Repository};
use precedent_pipeline::shard::ObjectId;
use precedent_pipeline::syntax::{self, Language, MAX_FILE_BYTES, classify_path};

/// How far a file is looked at to tell text from bytes; as Git does.
const BINARY_PROBE_BYTES: usize = 8_000;
/// Texts that are kept, in bytes; those of one tree's hits are far fewer.
const KEPT_TEXT_BYTES: usize = 64 << 20;
/// Blobs of which the words are kept, beside those of the tree at hand.
const KEPT_BLOBS: usize = 20_000;

/// What was read of blobs, for one tree or for one after the other.
#[derive(Default)]
pub struct Library {
    words: RefCell<HashMap<ObjectId, Rc<[u32]>>>,
    missing: RefCell<HashSet<ObjectId>>,
    texts: RefCell<HashMap<ObjectId, Rc<str>>>,
    text_bytes: RefCell<usize>,
    comments: RefCell<HashMap<ObjectId, Rc<[Range<usize>]>>>,
}

/// What a file is to a reader of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Prose for people: all of it speaks.
    Document(&'static Language),
    /// Code with a grammar: its comments speak.
    Code(&'static Language),
    /// Settings and scripts without a grammar: lines that begin with a mark of comment speak.
    Settings,
    /// Anything else: data, generated code, code of others. It uses names, and says nothing.
    Other,
}

/// The tree of one commit.
pub struct Tree<'a> {
    repository: Option<&'a Repository>,
    objects: &'a Objects,
    library: &'a Library,
    commit: ObjectId,
    /// `None` inside when the tree cannot be listed.
    files: OnceCell<Option<Vec<(String, Entry)>>>,
    /// Whether every file could be read.
    is_whole: OnceCell<bool>,
}

impl<'a> Tree<'a> {
    /// The tree of a commit. A whole tree is read on two threads if that may open `repository` once more.
    pub fn of(
        repository: Option<&'a Repository>,
        objects: &'a Objects,
        library: &'a Library,
        commit: &ObjectId,
    ) -> Tree<'a> {
        let (files, is_whole) = (OnceCell::new(), OnceCell::new());
        Tree { repository, objects, library, commit: *commit, files, is_whole }
    }

    fn files(&self) -> &[(String, Entry)] {
        let listed = self.files.get_or_init(|| {
            let mut files = self.objects.files(&self.commit).ok()?;
            files.retain(|(_, entry)| entry.mode == Mode::File);
            Some(files)
        });
        listed.as_deref().unwrap_or_default()
    }

    /// Whether the names of the files are known: of a tree that cannot be listed nothing can be said.
    pub fn is_listed(&self) -> bool {
        self.files();
        self.files.get().is_some_and(Option::is_some)
    }

    /// Whether every file of code is there to be read, as it may not be in a partial clone. Where one is missing, nobody
    /// knows what uses a name.
    pub fn is_whole(&self) -> bool {
        self.is_listed() && *self.is_whole.get_or_init(|| self.read())
    }

    /// Reads what the library does not know yet, and says whether nothing is missing.
    fn read(&self) -> bool {
        let files = self.files();
        let library = self.library;
        let unread: Vec<ObjectId> = {
            let mut known = library.words.borrow_mut();
            // The trees of a long history share most of their files; what none of them has now is let go.
            if known.len() > KEPT_BLOBS + 2 * files.len() {
                let here: HashSet<ObjectId> = files.iter().map(|(_, entry)| entry.id).collect();
                known.retain(|id, _| here.contains(id));
            }
            let mut ids: Vec<ObjectId> =
                files.iter().map(|(_, entry)| entry.id).filter(|id| !known.contains_key(id)).collect();
            ids.sort_unstable();
            ids.dedup();
            ids
        };
        let read = match self.repository {
            // Two handles cost less to make than what they save on a tree that has never been read.
            Some(repository) if unread.len() > 64 => {
                let (one, two) = unread.split_at(unread.len() / 2);
                std::thread::scope(|scope| {
                    let other = scope.spawn(|| words_of(&Objects::for_blobs(repository), two));
                    let mut read = words_of(self.objects, one);
                    read.extend(other.join().unwrap_or_default());
                    read
                })
            }
            _ => words_of(self.objects, &unread),
        };
        let (mut known, mut missing) = (library.words.borrow_mut(), library.missing.borrow_mut());
        for (id, words) in read {
            if words.is_none() {
                missing.insert(id);
            }
            known.insert(id, Rc::from(words.unwrap_or_default()));
        }
        missing.is_empty()
            || !files.iter().any(|(path, entry)| missing.contains(&entry.id) && matches!(role(path), Role::Code(_)))
    }

    /// The path of a file.
    pub fn path(&self, file: usize) -> &str {
        &self.files()[file].0
    }

    /// Every path, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files().iter().map(|(path, _)| path.as_str())
    }

    /// The file at this path.
    pub fn find(&self, path: &str) -> Option<usize> {
        self.files().binary_search_by(|(other, _)| other.as_str().cmp(path)).ok()
    }

    /// Whether a file stands at this path.
    pub fn has(&self, path: &str) -> bool {
        self.find(path).is_some()
    }

    /// Whether a directory stands at this path, given without its final slash.
    pub fn has_directory(&self, path: &str) -> bool {
        let start = self.files().partition_point(|(other, _)| other.as_str() < path);
        self.files()[start..]
            .iter()
            .take_while(|(other, _)| other.starts_with(path))
            .any(|(other, _)| other[path.len()..].starts_with('/'))
    }

    /// The files that hold every word of `phrase`, in order of their paths.
    pub fn holders(&self, phrase: &str) -> Vec<usize> {
        let wanted: Vec<u32> = words(phrase).map(|(_, word)| hash(word.as_bytes())).collect();
        if wanted.is_empty() {
            return Vec::new();
        }
        self.is_whole();
        let known = self.library.words.borrow();
        let holds = |entry: &Entry| {
            known.get(&entry.id).is_some_and(|held| wanted.iter().all(|word| held.binary_search(word).is_ok()))
        };
        self.files().iter().enumerate().filter(|(_, (_, entry))| holds(entry)).map(|(at, _)| at).collect()
    }

    /// The text of a file; bytes that are not UTF-8 become U+FFFD. `None` when it cannot be read.
    pub fn text(&self, file: usize) -> Option<Rc<str>> {
        let id = self.files()[file].1.id;
        if let Some(text) = self.library.texts.borrow().get(&id) {
            return Some(text.clone());
        }
        let bytes = self.objects.blob(&id)?;
        let text: Rc<str> = String::from_utf8_lossy(&bytes).into();
        let mut kept = self.library.text_bytes.borrow_mut();
        if *kept > KEPT_TEXT_BYTES {
            self.library.texts.borrow_mut().clear();
            *kept = 0;
        }
        *kept += text.len();
        self.library.texts.borrow_mut().insert(id, text.clone());
        Some(text)
    }

    /// The bytes of a file's comments; `None` where they cannot be told.
    pub fn comments(&self, file: usize, language: &'static Language) -> Option<Rc<[Range<usize>]>> {
        let id = self.files()[file].1.id;
        if let Some(found) = self.library.comments.borrow().get(&id) {
            return Some(found.clone());
        }
        // To parse a larger file would take too long.
        let text = self.text(file).filter(|text| text.len() <= MAX_FILE_BYTES)?;
        let found: Rc<[Range<usize>]> = syntax::comments(language, &text)?.into();
        self.library.comments.borrow_mut().insert(id, found.clone());
        Some(found)
    }

    /// What a file is.
    pub fn role(&self, file: usize) -> Role {
        role(self.path(file))
    }
}

/// What a file of this path is.
pub fn role(path: &str) -> Role {
    match classify_path(path) {
        Ok(language) if !language.is_text() => Role::Code(language),
        Ok(language) => match language.name {
            "markdown" | "restructuredtext" | "asciidoc" | "roff" => Role::Document(language),
            "text" if is_prose(path) => Role::Document(language),
            _ => Role::Settings,
        },
        Err(_) => Role::Other,
    }
}

/// Plain text that people read, and not a list for a program.
fn is_prose(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_lowercase();
    ["readme", "contributing", "install", "hacking", "guide"].iter().any(|start| name.starts_with(start))
}

/// Larger files are data, and not asked for a name.
const MAX_READ_BYTES: usize = 32 << 20;

/// The hashes of the words of each blob; none of those too large or not text, `None` of what is not there.
fn words_of(objects: &Objects, ids: &[ObjectId]) -> Vec<(ObjectId, Option<Vec<u32>>)> {
    let read = |id: &ObjectId| {
        let content = match objects.blob_within(id, MAX_READ_BYTES) {
            Ok(content) => content,
            Err(NoBlob::Larger) => return Some(Vec::new()),
            Err(NoBlob::Missing) => return None,
        };
        if content[..content.len().min(BINARY_PROBE_BYTES)].contains(&0) {
            return Some(Vec::new());
        }
        let mut found = hashes(&content);
        found.sort_unstable();
        found.dedup();
        found.shrink_to_fit();
        Some(found)
    };
    ids.iter().map(|id| (*id, read(id))).collect()
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// FNV-1a; that two words share one costs a look at a file and no more.
const FNV_START: u32 = 0x811c_9dc5;
const FNV_STEP: u32 = 0x0100_0193;

fn hash(word: &[u8]) -> u32 {
    word.iter().fold(FNV_START, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(FNV_STEP))
}

fn hashes(content: &[u8]) -> Vec<u32> {
    let mut found = Vec::with_capacity(content.len() / 8);
    let mut running = FNV_START;
    let mut inside = false;
    for byte in content {
        if is_word(*byte) {
            running = (running ^ u32::from(*byte)).wrapping_mul(FNV_STEP);
            inside = true;
        } else if inside {
            found.push(running);
            running = FNV_START;
            inside = false;
        }
    }
    if inside {
        found.push(running);
    }
    found
}

/// The words of a text, each with the byte where it starts: letters, digits and underscores in a row.
pub fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() && !is_word(bytes[at]) {
            at += 1;
        }
        let start = at;
        while at < bytes.len() && is_word(bytes[at]) {
            at += 1;
        }
        (start < at).then(|| (start, &text[start..at]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_apart_and_hash_alike_however_they_are_met() {
        let text = "a_b(c1) --dry-run «é»\nend";
        let found: Vec<&str> = words(text).map(|(_, word)| word).collect();
        assert_eq!(found, ["a_b", "c1", "dry", "run", "«é»", "end"]);
        let one_by_one: Vec<u32> = found.iter().map(|word| hash(word.as_bytes())).collect();
        assert_eq!(hashes(text.as_bytes()), one_by_one);
    }

    #[test]
    fn files_have_roles() {
        let name = |role| match role {
            Role::Document(_) => "document",
            Role::Code(_) => "code",
            Role::Settings => "settings",
            Role::Other => "other",
        };
        for (path, expected) in [
            ("README.md", "document"),
            ("docs/api.rst", "document"),
            ("src/lib.rs", "code"),
            ("Cargo.toml", "settings"),
            ("requirements.txt", "settings"),
            ("README.txt", "document"),
            ("vendor/x/lib.rs", "other"),
            ("logo.png", "other"),
        ] {
            assert_eq!(name(role(path)), expected, "{path}");
        }
    }
}
