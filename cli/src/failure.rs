//! Failure: an error as a person meets it: one sentence, a hint, an exit code.

use std::error::Error;
use std::process::ExitCode;

use precedent_bot::github::event::EventError;
use precedent_bot::github::fetch::FetchError;
use precedent_bot::github::post::PostError;
use precedent_model::EmbedError;
use precedent_pipeline::PipelineError;
use precedent_pipeline::history::HistoryError;
use precedent_pipeline::shard::StoreError;

/// Kinds of failure, by exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Internal = 1,
    Usage = 2,
    /// The repository or the store.
    Data = 3,
    GitHub = 4,
    /// The model or the runtime.
    Model = 5,
    /// A secret would have left.
    Secret = 6,
    Interrupted = 130,
}

/// Why the command ends without what was asked for.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    message: String,
    hint: Option<String>,
    /// What is wrong with the store, where building it again would help.
    damage: Option<String>,
    /// Whether the store is sound and not for us: of another repository, model or version.
    foreign: bool,
}

impl Failure {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Failure {
        Failure { kind, message: message.into(), hint: None, damage: None, foreign: false }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Whether something was typed wrongly.
    #[cfg(feature = "llm")]
    pub(crate) fn is_usage(&self) -> bool {
        self.kind == Kind::Usage
    }

    pub(crate) fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    pub(crate) fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }

    /// Whether a store is there that is sound and not for us.
    pub(crate) fn is_foreign(&self) -> bool {
        self.foreign
    }

    pub(crate) fn interrupted() -> Failure {
        Failure::new(Kind::Interrupted, "interrupted").with_hint("what was indexed is kept; run it again to go on")
    }

    #[expect(clippy::print_stderr, reason = "the one place that reports an error")]
    pub(crate) fn print(&self) {
        eprintln!("error: {}", crate::runner::inert(&self.message));
        if let Some(hint) = &self.hint {
            eprintln!("  {}", crate::runner::inert(hint));
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.kind as u8)
    }
}

/// The message with everything that caused it.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(&format!(": {cause_text}"));
        }
        source = cause.source();
    }
    text
}

impl From<PipelineError> for Failure {
    fn from(error: PipelineError) -> Failure {
        let hint = match &error {
            PipelineError::Model(model) => model.hint(),
            PipelineError::History(history) => history.hint(),
            PipelineError::Store(store) => store_hint(store),
            PipelineError::OtherRepository { .. } => Some(
                "give each repository a store of its own with --store, or rebuild: precedent index --rebuild".into(),
            ),
            PipelineError::NotAStore { .. } => Some("name a directory of its own with --store".into()),
            PipelineError::OtherMaker { .. } => {
                Some("name its model with --model, or build it again with: precedent index --rebuild".into())
            }
            PipelineError::Pattern { .. } => None,
        };
        let kind = match &error {
            PipelineError::Pattern { .. } | PipelineError::Model(EmbedError::Unknown { .. }) => Kind::Usage,
            PipelineError::Model(_) => Kind::Model,
            _ => Kind::Data,
        };
        let damage = match &error {
            PipelineError::Store(StoreError::Damaged { what, why }) => Some(format!("{what} is damaged ({why})")),
            _ => None,
        };
        let foreign = matches!(
            &error,
            PipelineError::OtherRepository { .. }
                | PipelineError::OtherMaker { .. }
                | PipelineError::Store(StoreError::Version { .. })
        );
        Failure { kind, message: chain(&error), hint, damage, foreign }
    }
}

fn store_hint(error: &StoreError) -> Option<String> {
    match error {
        StoreError::Damaged { .. } => Some("build it again with: precedent index --rebuild".into()),
        StoreError::Version { .. } => {
            Some("use the version that made it, or build it again with: precedent index --rebuild".into())
        }
        StoreError::Locked { .. } => Some("wait for that run to end, or use another place with --store".into()),
        StoreError::Stale { .. } => Some("another run wrote to the store just now; run this again".into()),
        StoreError::Write { .. } => Some("nothing that was indexed before is lost; make room, or use --store".into()),
        StoreError::Read { .. } => None,
    }
}

impl From<HistoryError> for Failure {
    fn from(error: HistoryError) -> Failure {
        PipelineError::from(error).into()
    }
}

impl From<PostError> for Failure {
    fn from(error: PostError) -> Failure {
        let hint = match &error {
            PostError::GitHub(failure) => failure.hint(),
            PostError::OtherAuthor { actual, .. } => Some(format!("name it with: --author '{actual}'")),
            PostError::ForeignPending(_) => Some("send or discard it on GitHub, then run this again".into()),
            PostError::StillPending => Some("run it again, or discard it on GitHub".into()),
            PostError::RefusedTwice(_) | PostError::Lost(_) => None,
        };
        Failure { kind: Kind::GitHub, message: chain(&error), hint, damage: None, foreign: false }
    }
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Failure {
        Failure::new(Kind::GitHub, error.to_string())
    }
}

impl From<EventError> for Failure {
    fn from(error: EventError) -> Failure {
        let hint = match &error {
            EventError::WrongEvent(_) => Some("run it on `pull_request_target` or `pull_request`".to_owned()),
            _ => None,
        };
        Failure { kind: Kind::Usage, message: error.to_string(), hint, damage: None, foreign: false }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        PipelineError::from(error).into()
    }
}

impl From<EmbedError> for Failure {
    fn from(error: EmbedError) -> Failure {
        PipelineError::from(error).into()
    }
}
