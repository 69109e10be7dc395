//! Model: what takes messages and gives text, wherever it runs.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use serde_json::Value;

use super::control;

/// Who says a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The rules.
    System,
    /// The question.
    User,
}

impl Role {
    /// As chat templates and servers call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
        }
    }
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What is said.
    pub content: String,
}

/// The shape of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// Its name, for servers that want one.
    pub name: &'static str,
    /// A JSON schema.
    pub schema: Value,
}

/// A question.
pub struct Ask<'a> {
    /// The messages.
    pub messages: &'a [Message],
    /// What the answer must look like.
    pub shape: &'a Shape,
    /// Tokens of the answer, at the most.
    pub max_tokens: usize,
    /// How long it may take, repetitions included.
    pub timeout: Duration,
    /// Asked before it is sent again, with what became of the attempt before: whether it may be.
    pub again: &'a (dyn Fn(&Refusal) -> bool + Send + Sync),
    /// Set by who does not want to wait any longer.
    pub cancelled: &'a AtomicBool,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// What was said.
    pub text: String,
    /// Tokens that were read.
    pub prompt_tokens: u64,
    /// Tokens that were written.
    pub completion_tokens: u64,
    /// Whether there were no tokens left for the rest of it.
    pub is_cut: bool,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It took too long.
    #[error("the model did not answer in time")]
    TooSlow,
    /// Somebody did not want to wait any longer.
    #[error("it was interrupted")]
    Cancelled,
    /// Nobody answers there.
    #[error("the model cannot be reached: {0}")]
    Unreachable(String),
    /// The connection ended before the answer did.
    #[error("the model's answer broke off: {0}")]
    Broken(String),
    /// It was refused.
    #[error("the server answered {status}: {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it said, made harmless.
        message: String,
    },
    /// An answer that is none.
    #[error("the server's answer is none: {0}")]
    Malformed(String),
    /// An answer by somebody else.
    #[error("`{answered}` answered, and `{asked}` was asked")]
    OtherModel {
        /// Who was asked.
        asked: String,
        /// Who answered.
        answered: String,
    },
    /// A model that does not work.
    #[error("the model failed: {0}")]
    Failed(String),
}

impl Refusal {
    /// Whether the model may have worked for nothing, and nobody says how much: then all that was promised counts.
    pub fn may_have_cost(&self) -> bool {
        match self {
            Refusal::Unreachable(_) => false,
            // What is turned away costs nothing; a proxy that gave up on a model does not know what the model did.
            Refusal::Refused { status, .. } => matches!(status, 500 | 502 | 504),
            _ => true,
        }
    }
}

/// A language model.
#[async_trait]
pub trait Model: Send + Sync {
    /// What people call it.
    fn name(&self) -> &str;

    /// What else its answers depend on, for remembering them.
    fn fingerprint(&self) -> String;

    /// Tokens that a question and its answer may have together.
    fn context_tokens(&self) -> usize;

    /// How many tokens a text is.
    fn count(&self, text: &str) -> usize;

    /// A text in which nothing is left that the model would take for the end of a message.
    fn plain(&self, text: &str) -> String {
        control::plain(text)
    }

    /// Tokens that a chat adds to its messages.
    fn overhead(&self, messages: usize) -> usize {
        8 * messages + 8
    }

    /// Questions that may be asked at the same time.
    fn parallel(&self) -> usize;

    /// What it is asked with and must never be seen; empty for nothing.
    fn key(&self) -> &str;

    /// The text that a model of one text reads in place of messages.
    fn as_one_text(&self, _: &[Message]) -> Option<String> {
        None
    }

    /// What goes with the messages of a question: the limit of its answer, how tokens are drawn, and the shape.
    fn beside(&self, shape: &Shape, max_tokens: usize) -> Value;

    /// Asks.
    ///
    /// # Errors
    /// Why there is no answer.
    async fn answer(&self, ask: &Ask<'_>) -> Result<Reply, Refusal>;
}
