//! Voice: what a language model is given of a review, and what comes back. Types alone; who speaks is `llm`, which can be
//! left out of a build.

use serde::Serialize;

use crate::change::Change;
use crate::config::Config;
use crate::evidence::Evidence;
use crate::finding::{Fact, Finding, Left};
use crate::precedent::Precedents;

/// A review so far: all that may be told to a model.
pub struct Material<'a> {
    /// The sources of citations, the object database among them.
    pub evidence: &'a Evidence<'a>,
    /// The change.
    pub change: &'a Change,
    /// What is known at its base.
    pub precedents: &'a Precedents<'a>,
    /// The facts of the briefing.
    pub facts: &'a [Fact],
    /// The claims of the checks.
    pub findings: &'a [Finding],
    /// The settings, as of the base.
    pub config: &'a Config,
}

/// What a model came to, after all that it could not prove was dropped.
#[derive(Debug, Clone, Default)]
pub struct Spoken {
    /// Claims, best first, each with the code that it quotes as its citation.
    pub findings: Vec<Finding>,
    /// What was not done, and why.
    pub skipped: Vec<Left>,
    /// The account of it.
    pub account: Account,
}

/// An account of what a model was asked and what became of its answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Account {
    /// The model's name.
    pub model: String,
    /// Questions that were sent, repeated ones included.
    pub requests: u32,
    /// Answers that were known from before.
    pub cached: u32,
    /// Tokens that were read and written.
    pub tokens: Tokens,
    /// What that costs by the prices in the settings; null without prices.
    pub cost: Option<f64>,
    /// Wall-clock time in seconds.
    pub seconds: f64,
    /// Statements that it made.
    pub stated: u32,
    /// Statements and answers that were dropped, by reason.
    pub dropped: Vec<Dropped>,
    /// Secrets that were taken out.
    pub redacted: Redacted,
    /// Characters without width, or that turn the direction of writing, that were shown to it by their numbers.
    pub hidden_characters: u32,
    /// Files that were not asked about, riskiest first.
    pub unasked: Vec<Unasked>,
    /// Whether an answer held the key that the model was asked with. Such a review is not to leave.
    #[serde(skip)]
    pub gave_away: bool,
}

/// Tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tokens {
    /// Read.
    pub prompt: u64,
    /// Written.
    pub completion: u64,
}

// Servers say how many there were, so that sums must hold whatever they say.
impl std::ops::AddAssign for Tokens {
    fn add_assign(&mut self, other: Tokens) {
        self.prompt = self.prompt.saturating_add(other.prompt);
        self.completion = self.completion.saturating_add(other.completion);
    }
}

impl std::ops::Add for Tokens {
    type Output = Tokens;

    fn add(mut self, other: Tokens) -> Tokens {
        self += other;
        self
    }
}

impl std::ops::SubAssign for Tokens {
    fn sub_assign(&mut self, other: Tokens) {
        self.prompt = self.prompt.saturating_sub(other.prompt);
        self.completion = self.completion.saturating_sub(other.completion);
    }
}

/// Statements that were dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dropped {
    /// Why.
    pub reason: &'static str,
    /// How many.
    pub count: u32,
}

/// Secrets that were taken out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Redacted {
    /// Of what was sent.
    pub prompt: u32,
    /// Of what came back.
    pub answer: u32,
}

/// A file that was not asked about.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Unasked {
    /// The file.
    pub path: String,
    /// How likely history makes it that a change of it is repaired later; comparable within a review.
    pub risk: f64,
    /// Why it was not.
    pub why: String,
}

/// Somebody who speaks about a review.
pub type Voice<'v> = &'v dyn Fn(&Material<'_>) -> Spoken;
