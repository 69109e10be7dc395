//! Event: the payload of a workflow run to the pull request that it is about, or to the reason why there is nothing to do.
//!
//! Only what is needed is read; everything in it is hostile and nothing of it is ever run.

use precedent_pipeline::shard::ObjectId;
use serde::{Deserialize, Serialize};

/// A larger payload is not GitHub's.
const MAX_PAYLOAD_BYTES: usize = 32 << 20;

/// The events that a review can follow.
const EVENTS: [&str; 2] = ["pull_request", "pull_request_target"];

/// The number of a pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PullNumber(pub u64);

impl std::fmt::Display for PullNumber {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}", self.0)
    }
}

/// Which pull request, at which commits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequest {
    /// `OWNER/NAME` of the repository that it is made to.
    pub repository: String,
    /// Its number.
    pub number: PullNumber,
    /// The commit that is proposed.
    pub head: ObjectId,
    /// The tip of the branch that it is proposed for.
    pub base: ObjectId,
    /// Whether it comes from another repository.
    pub fork: bool,
}

/// What a payload asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A review of this pull request.
    Review(PullRequest),
    /// Nothing, for this reason; the pull request is named for the record.
    Skip(PullRequest, Skip),
}

/// Why a pull request is not reviewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// It is a draft.
    Draft,
    /// It has been merged.
    Merged,
    /// It has been closed.
    Closed,
    /// Its conversation is locked.
    Locked,
    /// It changes no files.
    NoFiles,
    /// A bot made it.
    BotAuthor,
    /// The repository that it comes from is gone.
    HeadGone,
    /// What happened to it changes no code.
    OtherAction,
}

impl Skip {
    /// The reason as a clause: "it is a draft".
    pub fn why(self) -> &'static str {
        match self {
            Skip::Draft => "it is a draft",
            Skip::Merged => "it has been merged",
            Skip::Closed => "it is closed",
            Skip::Locked => "its conversation is locked",
            Skip::NoFiles => "it changes no files",
            Skip::BotAuthor => "a bot made it",
            Skip::HeadGone => "the repository that it comes from is gone",
            Skip::OtherAction => "what happened to it changes no code",
        }
    }
}

/// Why a payload is refused.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum EventError {
    /// Not one of the events that a review can follow.
    #[error("the event `{0}` is not about the code of a pull request")]
    WrongEvent(String),
    /// Not JSON, or not in the shape of a payload.
    #[error("the event payload is not what GitHub sends: {0}")]
    Malformed(String),
    /// The payload is about another repository than the run is in.
    #[error("the event is about `{payload}`, but this run is in `{run}`")]
    OtherRepository {
        /// What the payload says.
        payload: String,
        /// What the environment says.
        run: String,
    },
}

#[derive(Deserialize)]
struct Payload {
    action: String,
    number: u64,
    pull_request: Pull,
    repository: Named,
}

#[derive(Deserialize)]
struct Pull {
    number: u64,
    state: String,
    #[serde(default)]
    draft: Option<bool>,
    #[serde(default)]
    locked: Option<bool>,
    #[serde(default)]
    merged: Option<bool>,
    #[serde(default)]
    changed_files: Option<u64>,
    user: Option<User>,
    head: Branch,
    base: Branch,
}

#[derive(Deserialize)]
struct Branch {
    sha: ObjectId,
    repo: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    full_name: String,
}

#[derive(Deserialize)]
struct User {
    #[serde(default, rename = "type")]
    kind: Option<String>,
}

impl Event {
    /// Reads a payload; `name` and `repository` are what the run's environment says.
    ///
    /// # Errors
    /// A payload that is malformed, of another event, or about another repository.
    pub fn read(payload: &[u8], name: &str, repository: &str) -> Result<Event, EventError> {
        if !EVENTS.contains(&name) {
            return Err(EventError::WrongEvent(crate::render::visible(name)));
        }
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(EventError::Malformed(format!("it has {} bytes", payload.len())));
        }
        let malformed = |why: String| EventError::Malformed(crate::render::visible(&why));
        let payload: Payload = serde_json::from_slice(payload).map_err(|error| malformed(error.to_string()))?;
        let named = [Some(&payload.repository), payload.pull_request.base.repo.as_ref()];
        let mut named = named.into_iter().flatten();
        if let Some(other) = named.find(|other| !other.full_name.eq_ignore_ascii_case(repository)) {
            return Err(EventError::OtherRepository {
                payload: crate::render::visible(&other.full_name),
                run: repository.to_owned(),
            });
        }
        if !is_repository_name(repository) {
            return Err(malformed(format!("`{repository}` is not the name of a repository")));
        }
        if payload.number != payload.pull_request.number || payload.number == 0 {
            return Err(malformed("its two numbers differ".into()));
        }
        let pull = &payload.pull_request;
        let request = PullRequest {
            repository: repository.to_owned(),
            number: PullNumber(payload.number),
            head: pull.head.sha,
            base: pull.base.sha,
            fork: pull.head.repo.as_ref().is_none_or(|head| !head.full_name.eq_ignore_ascii_case(repository)),
        };
        Ok(match skip(&payload) {
            Some(why) => Event::Skip(request, why),
            None => Event::Review(request),
        })
    }
}

fn skip(payload: &Payload) -> Option<Skip> {
    let pull = &payload.pull_request;
    let is_bot = pull.user.as_ref().and_then(|user| user.kind.as_deref()) == Some("Bot");
    let reasons = [
        (pull.merged == Some(true), Skip::Merged),
        (pull.state != "open" || payload.action == "closed", Skip::Closed),
        (pull.draft == Some(true), Skip::Draft),
        (pull.locked == Some(true), Skip::Locked),
        (pull.head.repo.is_none(), Skip::HeadGone),
        (pull.changed_files == Some(0), Skip::NoFiles),
        (is_bot, Skip::BotAuthor),
        (
            !matches!(&*payload.action, "opened" | "reopened" | "synchronize" | "ready_for_review" | "edited"),
            Skip::OtherAction,
        ),
    ];
    reasons.into_iter().find_map(|(holds, why)| holds.then_some(why))
}

/// `OWNER/NAME` of what GitHub allows in either, so that it is a path and nothing else.
pub fn is_repository_name(text: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && part.len() <= 100
            && !matches!(part, "." | "..")
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    text.split_once('/').is_some_and(|(owner, name)| is_part(owner) && is_part(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "ec26c3e57ca3a959ca5aad62de7213c562f8c821";

    fn payload(edit: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
        let mut value = serde_json::json!({
            "action": "opened",
            "number": 2,
            "pull_request": {
                "number": 2, "state": "open", "draft": false, "locked": false, "merged": false, "changed_files": 1,
                "title": "\"; curl x|sh #", "user": {"login": "ada", "type": "User"},
                "head": {"sha": HEAD, "ref": "$(id)", "repo": {"full_name": "ada/Hello"}},
                "base": {"sha": HEAD.replace('e', "f"), "ref": "main", "repo": {"full_name": "octo/Hello"}},
            },
            "repository": {"full_name": "octo/Hello"},
        });
        edit(&mut value);
        value.to_string().into_bytes()
    }

    fn read(payload: &[u8]) -> Result<Event, EventError> {
        Event::read(payload, "pull_request_target", "octo/Hello")
    }

    #[test]
    fn an_opened_pull_request_of_a_fork_is_reviewed() {
        let Ok(Event::Review(request)) = read(&payload(|_| {})) else { panic!("a review") };
        assert_eq!((request.number, request.fork, request.head.to_string().as_str()), (PullNumber(2), true, HEAD));
        let own = payload(|value| value["pull_request"]["head"]["repo"]["full_name"] = "Octo/hello".into());
        assert!(matches!(read(&own), Ok(Event::Review(request)) if !request.fork));
    }

    #[test]
    fn each_reason_to_skip_is_its_own() {
        let check = |field: &str, to: serde_json::Value, why: Skip| {
            let payload = payload(|value| *value.pointer_mut(field).expect("a field") = to);
            assert!(matches!(read(&payload), Ok(Event::Skip(_, found)) if found == why), "{field}");
        };
        check("/pull_request/draft", true.into(), Skip::Draft);
        check("/pull_request/merged", true.into(), Skip::Merged);
        check("/pull_request/state", "closed".into(), Skip::Closed);
        check("/pull_request/locked", true.into(), Skip::Locked);
        check("/pull_request/changed_files", 0.into(), Skip::NoFiles);
        check("/pull_request/user/type", "Bot".into(), Skip::BotAuthor);
        check("/pull_request/head/repo", serde_json::Value::Null, Skip::HeadGone);
        check("/action", "labeled".into(), Skip::OtherAction);
    }

    #[test]
    fn what_is_no_payload_of_this_run_is_refused() {
        let refused = |payload: &[u8]| matches!(read(payload), Err(EventError::Malformed(_)));
        assert!(refused(b"") && refused(b"{}") && refused(b"[1]") && refused(b"{\"action\":\"opened\""));
        assert!(refused(&payload(|value| value["number"] = 3.into())));
        assert!(refused(&payload(|value| value["pull_request"]["head"]["sha"] = "main; rm -rf /".into())));
        let other = payload(|value| value["repository"]["full_name"] = "evil/Hello".into());
        assert!(matches!(read(&other), Err(EventError::OtherRepository { .. })));
        let based = payload(|value| value["pull_request"]["base"]["repo"]["full_name"] = "evil/Hello".into());
        assert!(matches!(read(&based), Err(EventError::OtherRepository { .. })));
        let wrong = Event::read(&payload(|_| {}), "workflow_run", "octo/Hello");
        assert_eq!(wrong, Err(EventError::WrongEvent("workflow_run".into())));
    }

    #[test]
    fn names_of_repositories_are_paths_and_nothing_else() {
        assert!(is_repository_name("octo/Hello-World.rs"));
        for bad in ["octo", "octo/", "/x", "a/b/c", "../x", "a/..", "a b/c", "a/b?c", "a/%2e"] {
            assert!(!is_repository_name(bad), "{bad}");
        }
    }
}
