//! Fetch: the commits of a pull request into a clone, as data: nothing of it is checked out, built or run.

use std::path::Path;
use std::process::{Command, Stdio};

use precedent_pipeline::shard::ObjectId;

use super::event::PullNumber;
use crate::redact;

/// Where to fetch from.
#[derive(Debug, Clone)]
pub struct Source<'a> {
    /// A remote of the clone, or an address.
    pub remote: &'a str,
    /// The server's address, which alone gets the token.
    pub server: &'a str,
    /// A token that may read; empty for none.
    pub token: &'a str,
}

/// Why a commit could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Git is not here.
    #[error("git could not be run: {0}")]
    NoGit(#[source] std::io::Error),
    /// Git said no.
    #[error("`{what}` could not be fetched: {said}")]
    Refused {
        /// What was fetched.
        what: String,
        /// What Git gave as the reason, made harmless.
        said: String,
    },
}

/// What is fetched, into a reference of our own that no branch or tag points to.
#[derive(Debug, Clone, Copy)]
pub enum Want {
    /// The head of a pull request.
    Pull(PullNumber),
    /// A commit by its id, as servers allow for commits that a reference reaches.
    Commit(ObjectId),
}

impl Want {
    fn refspec(&self) -> String {
        match self {
            Want::Pull(number) => format!("+refs/pull/{number}/head:refs/precedent/pull/{number}"),
            Want::Commit(id) => format!("+{id}:refs/precedent/commit/{id}"),
        }
    }

    fn name(&self) -> String {
        match self {
            Want::Pull(number) => format!("refs/pull/{number}/head"),
            Want::Commit(id) => id.to_string(),
        }
    }
}

/// How much of the past is fetched with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// What the clone lacks, as far back as the clone itself goes or, for another line of history, all of it.
    AsIs,
    /// So many commits from each on, in a shallow clone.
    Commits(u32),
    /// All of it; the clone is shallow no longer.
    All,
}

/// Fetches commits.
///
/// # Errors
/// [`FetchError`].
pub fn fetch(directory: &Path, source: &Source<'_>, wants: &[Want], depth: Depth) -> Result<(), FetchError> {
    let mut command = Command::new("git");
    command.arg("-C").arg(directory);
    // Nothing that a repository's own configuration could start is started.
    command.args(["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "protocol.ext.allow=never"]);
    command.args(["fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--no-auto-gc"]);
    match depth {
        Depth::AsIs => {}
        Depth::Commits(count) => drop(command.arg(format!("--depth={count}"))),
        Depth::All => drop(command.arg("--unshallow")),
    }
    command.args(["--end-of-options", source.remote]).args(wants.iter().map(Want::refspec));
    command.env("GIT_TERMINAL_PROMPT", "0").stdin(Stdio::null()).stdout(Stdio::null());
    if !source.token.is_empty() && source.server.starts_with("https://") {
        let basic = redact::base64(format!("x-access-token:{}", source.token).as_bytes());
        command.env("GIT_CONFIG_COUNT", "1");
        command.env("GIT_CONFIG_KEY_0", format!("http.{}/.extraheader", source.server.trim_end_matches('/')));
        command.env("GIT_CONFIG_VALUE_0", format!("AUTHORIZATION: basic {basic}"));
    }
    let output = command.output().map_err(FetchError::NoGit)?;
    if output.status.success() {
        return Ok(());
    }
    let what: Vec<String> = wants.iter().map(Want::name).collect();
    Err(FetchError::Refused { what: what.join("` and `"), said: reason(&String::from_utf8_lossy(&output.stderr)) })
}

/// The first error of what Git said, or the last line where it names none.
fn reason(said: &str) -> String {
    let mut lines = said.lines().filter(|line| !line.trim().is_empty());
    let error = lines.clone().find(|line| line.starts_with("fatal: ") || line.starts_with("error: "));
    let reason = error.or_else(|| lines.next_back()).unwrap_or("no reason given");
    crate::render::visible(&redact::redacted(reason).0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_first_error_that_git_names() {
        let gone = "fatal: 'x' does not appear to be a git repository\nfatal: Could not read from remote repository.\n\nPlease make sure you have the correct access rights\nand the repository exists.\n";
        assert_eq!(reason(gone), "fatal: 'x' does not appear to be a git repository");
        assert_eq!(reason("remote: no\n\nsorry\u{202e}\n\n"), "sorryU+202E");
        assert_eq!(reason("\n"), "no reason given");
        let with_key = reason("fatal: unable to access 'https://me:hunter2hunter2@example.org/a.git/': no");
        assert!(!with_key.contains("hunter2"), "{with_key}");
    }
}
