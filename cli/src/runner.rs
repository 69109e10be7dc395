//! Runner: a GitHub Actions run as its environment tells of it, and what it reads back.

use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use precedent_bot::github::event::Event;
use precedent_bot::github::outputs;
use precedent_bot::github::threads;

use crate::failure::{Failure, Kind};
use crate::screen;

/// The API's address outside of GitHub Enterprise.
const PUBLIC_API: &str = "https://api.github.com";
/// The server's, likewise.
const PUBLIC_SERVER: &str = "https://github.com";

/// A run.
pub(crate) struct Runner {
    pub(crate) api: String,
    pub(crate) graphql: String,
    pub(crate) server: String,
    pub(crate) token: String,
    repository: Option<String>,
    event_name: Option<String>,
    event_path: Option<PathBuf>,
    step_summary: Option<PathBuf>,
    output: Option<PathBuf>,
    temporary: Option<PathBuf>,
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

impl Runner {
    pub(crate) fn from_environment() -> Runner {
        let api = variable("GITHUB_API_URL").unwrap_or_else(|| PUBLIC_API.to_owned());
        Runner {
            graphql: variable("GITHUB_GRAPHQL_URL").unwrap_or_else(|| threads::address(&api)),
            api,
            server: variable("GITHUB_SERVER_URL").unwrap_or_else(|| PUBLIC_SERVER.to_owned()),
            token: variable("GITHUB_TOKEN").unwrap_or_default(),
            repository: variable("GITHUB_REPOSITORY"),
            event_name: variable("GITHUB_EVENT_NAME"),
            event_path: variable("GITHUB_EVENT_PATH").map(PathBuf::from),
            step_summary: variable("GITHUB_STEP_SUMMARY").map(PathBuf::from),
            output: variable("GITHUB_OUTPUT").map(PathBuf::from),
            temporary: variable("RUNNER_TEMP").map(PathBuf::from),
        }
    }

    /// What the run is about.
    pub(crate) fn event(&self, path: Option<&Path>) -> Result<Event, Failure> {
        let missing = |what: &str| {
            Failure::new(Kind::Usage, format!("{what} is not set"))
                .with_hint("a workflow run sets it; see docs/github.md")
        };
        let path = path.or(self.event_path.as_deref()).ok_or_else(|| missing("GITHUB_EVENT_PATH"))?;
        let name = self.event_name.as_deref().ok_or_else(|| missing("GITHUB_EVENT_NAME"))?;
        let repository = self.repository.as_deref().ok_or_else(|| missing("GITHUB_REPOSITORY"))?;
        let payload = std::fs::read(path)
            .map_err(|error| Failure::new(Kind::Usage, format!("cannot read `{}`: {error}", path.display())))?;
        Ok(Event::read(&payload, name, repository)?)
    }

    /// A folder that lasts as long as the job.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.temporary.clone().unwrap_or_else(env::temp_dir)
    }

    /// The repository that the run is in.
    pub(crate) fn repository(&self) -> Option<&str> {
        self.repository.as_deref()
    }

    /// Adds to the step summary where there is one.
    pub(crate) fn note(&self, markdown: &str) {
        if self.step_summary.is_some() {
            self.summarise(markdown);
        }
    }

    /// Adds to the step summary, or says it on standard error where there is none.
    pub(crate) fn summarise(&self, markdown: &str) {
        let written = self.step_summary.as_ref().map(|path| append(path, markdown));
        if let Some(Err(error)) = &written {
            screen::tell(&format!("note: the step summary could not be written: {error}"));
        }
        if !matches!(written, Some(Ok(()))) {
            screen::tell(markdown.trim_end());
        }
    }

    /// Sets outputs of the step.
    pub(crate) fn set(&self, values: &[(&str, String)]) -> Result<(), Failure> {
        let Some(path) = &self.output else { return Ok(()) };
        let entries: String = values.iter().map(|(name, value)| outputs::entry(name, value)).collect();
        append(path, &entries).map_err(|error| {
            Failure::new(Kind::Usage, format!("cannot write the outputs to `{}`: {error}", path.display()))
        })
    }
}

fn append(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(text.as_bytes())?;
    if text.ends_with('\n') { Ok(()) } else { file.write_all(b"\n") }
}

/// A line for a log; where a runner reads the log, one that it does not take for a command.
pub(crate) fn inert(text: &str) -> String {
    if variable("GITHUB_ACTIONS").is_some() { outputs::inert(text) } else { text.to_owned() }
}
