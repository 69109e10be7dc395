//! Write: objects that came another way than by Git, into the object database.
//!
//! An object is written only if it hashes to the id that it was asked for by. Nothing is checked out, and no branch or tag
//! is touched.

use gix::actor::Signature;
use gix::bstr::BStr;
use gix::objs::Kind;
use gix::refs::transaction::PreviousValue;
use gix::validate::path::component;

use super::Objects;
use super::repository::{from_gix, to_gix};
use crate::shard::ObjectId;

/// The modes that Git gives to entries of trees, without leading zeros; the last is that of old files.
const MODES: [&str; 6] = ["100644", "100755", "120000", "40000", "160000", "100664"];
/// The mode of a directory.
const DIRECTORY: &str = "40000";
/// The mode of a symbolic link.
const SYMLINK: &str = "120000";

/// Why an object is not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// It is not what was asked for.
    #[error("what came as {kind} {id} hashes to {found}")]
    OtherContent {
        /// `tree` or `blob`.
        kind: &'static str,
        /// The object that was asked for.
        id: ObjectId,
        /// The object that came.
        found: ObjectId,
    },
    /// A name that no file may have.
    #[error("tree {tree} has an entry named {name:?}, which Git does not allow")]
    Name {
        /// The tree.
        tree: ObjectId,
        /// The name.
        name: String,
    },
    /// A mode that Git does not know.
    #[error("tree {tree} has an entry with the mode {mode:?}, which Git does not know")]
    Mode {
        /// The tree.
        tree: ObjectId,
        /// The mode.
        mode: String,
    },
    /// Anything that gix reports.
    #[error("cannot write {what}")]
    Write {
        /// What was being written.
        what: String,
        /// What gix said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl WriteError {
    fn write(what: impl Into<String>, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> WriteError {
        WriteError::Write { what: what.into(), source: source.into() }
    }
}

/// An entry of a tree that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// The name in its directory.
    pub name: String,
    /// The mode in octal digits, as in `100644`.
    pub mode: String,
    /// The blob, the tree, or the commit of a submodule.
    pub id: ObjectId,
}

/// A commit that is to be written.
#[derive(Debug, Clone)]
pub struct NewCommit<'a> {
    /// Its root tree.
    pub tree: ObjectId,
    /// Its only parent.
    pub parent: ObjectId,
    /// The author's name, who also commits.
    pub author: &'a str,
    /// The author's e-mail address.
    pub author_email: &'a str,
    /// Seconds since 1970-01-01 UTC.
    pub time: i64,
    /// The whole message.
    pub message: &'a str,
}

impl Objects {
    /// Writes a blob.
    ///
    /// # Errors
    /// [`WriteError::OtherContent`] unless the bytes hash to `id`, [`WriteError::Write`].
    pub fn write_blob(&self, id: &ObjectId, bytes: &[u8]) -> Result<(), WriteError> {
        self.write(Kind::Blob, "blob", id, bytes)
    }

    /// Writes a tree; its entries may come in any order.
    ///
    /// # Errors
    /// [`WriteError::Name`] and [`WriteError::Mode`] for entries that Git does not know, [`WriteError::OtherContent`]
    /// unless they make the tree `id`, [`WriteError::Write`].
    pub fn write_tree(&self, id: &ObjectId, mut entries: Vec<NewEntry>) -> Result<(), WriteError> {
        for entry in &mut entries {
            let mode = entry.mode.trim_start_matches('0');
            if !MODES.contains(&mode) {
                return Err(WriteError::Mode { tree: *id, mode: entry.mode.clone() });
            }
            entry.mode = mode.to_owned();
            if !is_name(entry) {
                return Err(WriteError::Name { tree: *id, name: entry.name.clone() });
            }
        }
        // Git's order: a directory stands where its name with a slash behind it would.
        entries.sort_by_cached_key(|entry| {
            let slash = if entry.mode == DIRECTORY { "/" } else { "" };
            format!("{}{slash}", entry.name).into_bytes()
        });
        let mut bytes = Vec::new();
        for entry in &entries {
            bytes.extend_from_slice(format!("{} {}\0", entry.mode, entry.name).as_bytes());
            bytes.extend_from_slice(entry.id.as_bytes());
        }
        self.write(Kind::Tree, "tree", id, &bytes)
    }

    /// Writes a commit and gives its id. What a signature cannot hold is left out of the author's name and address.
    ///
    /// # Errors
    /// [`WriteError::Write`].
    pub fn write_commit(&self, commit: &NewCommit<'_>) -> Result<ObjectId, WriteError> {
        let plain = |text: &str| text.replace(['<', '>', '\n', '\0'], "").trim().into();
        let signature = Signature {
            name: plain(commit.author),
            email: plain(commit.author_email),
            time: gix::date::Time::new(commit.time, 0),
        };
        let commit = gix::objs::Commit {
            tree: to_gix(&commit.tree),
            parents: [to_gix(&commit.parent)].into_iter().collect(),
            author: signature.clone(),
            committer: signature,
            encoding: None,
            message: commit.message.replace('\0', "").into(),
            extra_headers: Vec::new(),
        };
        let id = self.repo.write_object(commit).map_err(|error| WriteError::write("a commit", error))?;
        Ok(from_gix(&id.detach()))
    }

    /// Makes `name`, a full name such as `refs/precedent/pull/7`, point to a commit, whatever it pointed to.
    ///
    /// # Errors
    /// [`WriteError::Write`].
    pub fn point(&self, name: &str, commit: &ObjectId) -> Result<(), WriteError> {
        let pointed = self.repo.reference(name, to_gix(commit), PreviousValue::Any, "");
        pointed.map(drop).map_err(|error| WriteError::write(format!("`{name}`"), error))
    }

    fn write(&self, kind: Kind, called: &'static str, id: &ObjectId, bytes: &[u8]) -> Result<(), WriteError> {
        let failed = |error| WriteError::write(format!("{called} {id}"), error);
        let found = gix::objs::compute_hash(self.repo.object_hash(), kind, bytes);
        let found = from_gix(&found.map_err(|error| WriteError::write(format!("{called} {id}"), error))?);
        if found != *id {
            return Err(WriteError::OtherContent { kind: called, id: *id, found });
        }
        gix::objs::Write::write_buf(&self.repo.objects, kind, bytes).map(drop).map_err(failed)
    }
}

/// Whether an entry has a name that a file may have here: one component, and none that stands for the Git directory.
fn is_name(entry: &NewEntry) -> bool {
    let mode = (entry.mode == SYMLINK).then_some(component::Mode::Symlink);
    let options = component::Options { protect_windows: false, protect_hfs: true, protect_ntfs: true };
    !entry.name.contains(['/', '\0']) && gix::validate::path::component(BStr::new(&entry.name), mode, options).is_ok()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::history::Repository;

    /// Git's ids of the blob `hello\n` and of trees of it, as `git hash-object` and `git mktree` give them.
    const HELLO: &str = "ce013625030ba8dba906f756967f9e9ca394464a";

    fn id(hex: &str) -> ObjectId {
        ObjectId::from_hex(hex).expect("an id")
    }

    fn entry(mode: &str, name: &str) -> NewEntry {
        NewEntry { name: name.into(), mode: mode.into(), id: id(HELLO) }
    }

    fn empty() -> (tempfile::TempDir, Objects) {
        let directory = tempfile::tempdir().expect("a folder");
        let made = Command::new("git").args(["init", "--quiet"]).arg(directory.path()).status();
        assert!(made.expect("git").success());
        let objects = Repository::discover(directory.path()).expect("a repository").objects();
        (directory, objects)
    }

    #[test]
    fn only_what_hashes_to_its_id_is_written() {
        let (_directory, objects) = empty();
        assert!(matches!(objects.write_blob(&id(HELLO), b"hullo\n"), Err(WriteError::OtherContent { .. })));
        assert!(!objects.contains(&id(HELLO)));
        objects.write_blob(&id(HELLO), b"hello\n").expect("it is what it is called");
        assert_eq!(objects.blob(&id(HELLO)).as_deref(), Some(&b"hello\n"[..]));
    }

    #[test]
    fn entries_are_put_in_gits_order() {
        let (directory, objects) = empty();
        objects.write_blob(&id(HELLO), b"hello\n").expect("written");
        let git = |arguments: &[&str], input: &str| {
            use std::io::Write;
            let mut git = Command::new("git");
            git.current_dir(directory.path()).args(arguments);
            git.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
            let mut git = git.spawn().expect("git");
            git.stdin.take().expect("its input").write_all(input.as_bytes()).expect("written");
            String::from_utf8(git.wait_with_output().expect("git").stdout).expect("text").trim().to_owned()
        };
        let inner = git(&["mktree"], &format!("100644 blob {HELLO}\tx\n"));
        let commit = "1".repeat(40);
        let files: String = [("100644", "a.b"), ("100755", "a0"), ("120000", "link")]
            .map(|(mode, name)| format!("{mode} blob {HELLO}\t{name}\n"))
            .concat();
        let listed = format!("{files}040000 tree {inner}\ta\n160000 commit {commit}\tsub\n");
        let outer = git(&["mktree", "--missing"], &listed);
        let entries = vec![
            NewEntry { id: id(&commit), ..entry("160000", "sub") },
            entry("100755", "a0"),
            NewEntry { id: id(&inner), ..entry("040000", "a") },
            entry("120000", "link"),
            entry("100644", "a.b"),
        ];
        objects.write_tree(&id(&outer), entries.clone()).expect("the tree that Git makes of them");
        let fewer = entries[1..].to_vec();
        assert!(matches!(objects.write_tree(&id(&outer), fewer), Err(WriteError::OtherContent { .. })));
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let (_directory, objects) = empty();
        for name in ["", ".", "..", "a/b", "/a", ".git", ".GIT", ".g\u{200c}it", "git~1", "a\0b"] {
            let written = objects.write_tree(&id(HELLO), vec![entry("100644", name)]);
            assert!(matches!(written, Err(WriteError::Name { .. })), "{name:?}");
        }
        for mode in ["", "0", "644", "100600", "100644 x", "x"] {
            let written = objects.write_tree(&id(HELLO), vec![entry(mode, "a")]);
            assert!(matches!(written, Err(WriteError::Mode { .. })), "{mode:?}");
        }
        for name in [".gitignore", "a\\b", "con", "…", "a b"] {
            let written = objects.write_tree(&id(HELLO), vec![entry("100644", name)]);
            assert!(matches!(written, Err(WriteError::OtherContent { .. })), "{name:?}");
        }
    }

    #[test]
    fn a_commit_and_a_name_for_it_are_what_git_reads() {
        let (directory, objects) = empty();
        let tree = id("4b825dc642cb6eb9a060e54bf8d69288fbee4904");
        objects.write_tree(&tree, Vec::new()).expect("the empty tree");
        let commit = NewCommit {
            tree,
            parent: id(HELLO),
            author: "Ada <a>\n",
            author_email: "ada@example.org",
            time: 1_700_000_000,
            message: "one\n\ntwo\n",
        };
        let written = objects.write_commit(&commit).expect("a commit");
        objects.point("refs/precedent/pull/7", &written).expect("a name");
        objects.point("refs/precedent/pull/7", &written).expect("the same name");
        let mut git = Command::new("git");
        git.current_dir(directory.path()).args(["cat-file", "-p", "refs/precedent/pull/7"]);
        let read = git.output().expect("git").stdout;
        let expected = format!(
            "tree {tree}\nparent {HELLO}\nauthor Ada a <ada@example.org> 1700000000 +0000\ncommitter Ada a <ada@example.org> 1700000000 +0000\n\none\n\ntwo\n"
        );
        assert_eq!(String::from_utf8_lossy(&read), expected);
    }
}
