//! Fixtures and the binary under test.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A repository made by a script in `fixtures/`, in a directory of its own.
pub(crate) struct Fixture {
    directory: TempDir,
}

impl Fixture {
    /// Runs `fixtures/NAME.sh`.
    pub(crate) fn new(name: &str) -> Fixture {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let script = root().join("fixtures").join(format!("{name}.sh"));
        let output = Command::new("sh")
            .arg(&script)
            .arg(directory.path().join("repo"))
            .output()
            .expect("a shell to run the fixture");
        assert!(output.status.success(), "{name}.sh: {}", String::from_utf8_lossy(&output.stderr));
        Fixture { directory }
    }

    /// An empty directory, for what is no repository or becomes one.
    pub(crate) fn empty() -> Fixture {
        let directory = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir(directory.path().join("repo")).expect("a folder");
        Fixture { directory }
    }

    pub(crate) fn repo(&self) -> PathBuf {
        self.directory.path().join("repo")
    }

    /// A path beside the repository.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.repo().join(".git/precedent")
    }

    /// Runs the binary in the repository.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(precedent(&self.repo(), arguments).output().expect("the binary"))
    }

    /// Runs the binary, which must succeed, and reads what it printed as one JSON object.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let ran = self.run(arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.stderr);
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}", ran.stdout))
    }

    /// The same, one JSON object a line.
    pub(crate) fn json_lines(&self, arguments: &[&str]) -> Vec<Value> {
        let ran = self.run(arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.stderr);
        ran.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON on each line")).collect()
    }

    /// Asks Git, which must answer.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git(&self.repo(), arguments)
    }

    /// Writes a file and commits it, in the same second as all others.
    pub(crate) fn commit(&self, path: &str, text: &str, message: &str) {
        let file = self.repo().join(path);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        std::fs::write(file, text).expect("a file");
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
    }
}

/// How a run of the binary ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Ran {
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).expect("UTF-8 on standard output"),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// The binary with these arguments, in this directory, with an environment that holds no surprises.
pub(crate) fn precedent(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_precedent"));
    command.current_dir(directory).args(arguments).stdin(Stdio::null());
    command.env("XDG_CACHE_HOME", directory.join("../cache").as_os_str());
    command
}

/// Runs Git without the user's configuration.
pub(crate) fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(directory)
        .args(arguments)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .envs([("GIT_AUTHOR_NAME", "Ada"), ("GIT_AUTHOR_EMAIL", "ada@example.org")])
        .envs([("GIT_COMMITTER_NAME", "Ada"), ("GIT_COMMITTER_EMAIL", "ada@example.org")])
        .envs([("GIT_AUTHOR_DATE", "@1710000000 +0000"), ("GIT_COMMITTER_DATE", "@1710000000 +0000")])
        .output()
        .expect("git");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// The keys of an object, in order.
pub(crate) fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// The root of this project.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// The count of a reason in `skipped`, 0 when it is not there.
pub(crate) fn skipped(report: &Value, reason: &str) -> u64 {
    let reasons = report["skipped"].as_array().expect("a list");
    reasons.iter().find(|skip| skip["reason"] == reason).map_or(0, |skip| skip["count"].as_u64().expect("a count"))
}

/// A table of a store as lines of text, sorted, with numbers resolved to what they stand for, so that
/// two stores of the same history compare equal however they were built.
pub(crate) fn content(store: &Path) -> Vec<String> {
    use precedent_pipeline::shard::Store;
    let store = Store::open(store).expect("a store that opens").expect("a store");
    let commits = store.commits().expect("commits");
    let chunks = store.chunks().expect("chunks");
    let commit_ids: HashMap<u32, _> = commits.iter().map(|row| (row.number, row.id)).collect();
    let chunk_ids: HashMap<u32, _> = chunks.iter().map(|row| (row.number, row.id)).collect();
    let commit = |number: u32| commit_ids[&number];
    let chunk = |number: u32| chunk_ids[&number];
    let mut lines: Vec<String> = Vec::new();
    lines.extend(commits.iter().map(|row| format!("commit {} {:?} {}", row.id, row.parents, row.message)));
    lines.extend(chunks.iter().map(|row| format!("chunk {} {} {} {}", row.id, row.kind, row.name, row.text)));
    lines.extend(store.spans().expect("spans").iter().map(|row| {
        format!("span {} {} {} {}-{}", row.blob, chunk(row.chunk), row.symbol, row.start_line, row.end_line)
    }));
    lines.extend(store.edits().expect("edits").iter().map(|row| {
        format!(
            "edit {} {} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {}-{}",
            commit(row.commit),
            row.path,
            row.symbol,
            row.change,
            row.before.map(chunk),
            row.after.map(chunk),
            row.before_path,
            row.before_symbol,
            row.similarity,
            row.skipped,
            row.start_line,
            row.end_line
        )
    }));
    let vectors = store.vectors().expect("vectors");
    let dimension = vectors.values.len() / vectors.chunk.len().max(1);
    lines.extend(vectors.chunk.iter().enumerate().map(|(at, number)| {
        let values = &vectors.values[at * dimension..(at + 1) * dimension];
        format!("vector {} {} {values:?}", chunk(*number), vectors.scale[at])
    }));
    lines.sort();
    lines
}

/// Makes commits from a stream for `git fast-import`.
pub(crate) fn import(fixture: &Fixture, stream: &[u8]) {
    use std::io::Write;
    fixture.git(&["init", "--quiet", "--initial-branch=main"]);
    let mut import = std::process::Command::new("git")
        .args(["fast-import", "--quiet"])
        .current_dir(fixture.repo())
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("git");
    import.stdin.take().expect("a pipe").write_all(stream).expect("a reader");
    assert!(import.wait().expect("an end").success());
}

/// A commit of that stream, which changes files to texts.
pub(crate) fn stream_commit(stream: &mut Vec<u8>, time: &str, message: &str, files: &[(&str, &str)]) {
    let head = format!("commit refs/heads/main\ncommitter Ada <ada@example.org> {time} +0000\n");
    stream.extend_from_slice(format!("{head}data {}\n{message}\n", message.len()).as_bytes());
    for (path, text) in files {
        stream.extend_from_slice(format!("M 100644 inline {path}\ndata {}\n{text}\n", text.len()).as_bytes());
    }
}
