//! The language model's room: a review so far → questions → answers → claims that are proven from the diff.
//!
//! ```text
//! change, precedents, facts ──prompt──▶ passages ──chain──▶ model (http, local)
//!                                          │                    │ text
//!                                          └──── answer ◀───────┘
//!                              quotes, lines, ids and suggestions held against the passage
//!                                                    │ what is left
//!                                     a second question, whose answer may only reject
//! ```
//!
//! Only `chain` sees llm-chain. A model that fails takes nothing with it: what was not done is said.

mod answer;
mod budget;
mod cache;
mod chain;
mod control;
mod http;
mod local;
mod mentions;
mod model;
mod passage;
mod prompt;

pub use budget::Limits;
pub use cache::Cache;
pub use http::{Address, OpenAi};
pub use local::Local;
pub use model::{Ask, Message, Model, Refusal, Reply, Role, Shape};

use std::sync::atomic::AtomicBool;

use crate::voice::{Material, Spoken};

/// How a model is asked.
pub struct Settings<'a> {
    /// The model.
    pub model: &'a dyn Model,
    /// Answers from before, if they are kept.
    pub cache: Option<Cache>,
    /// What may be spent; the repository's own settings may only lower it.
    pub limits: Limits,
    /// Set by who does not want to wait any longer.
    pub cancelled: &'a AtomicBool,
}

/// Asks a model about a change.
pub fn speak(settings: &Settings<'_>, material: &Material<'_>) -> Spoken {
    let limits = settings.limits.within(&material.config.llm);
    let plan = passage::plan(material, settings.model, &limits);
    chain::run(settings, material, &limits, plan)
}

/// Exactly what would be sent, but for the claims in the second look, and what it would cost; nothing is sent.
pub fn explain(settings: &Settings<'_>, material: &Material<'_>) -> String {
    let limits = settings.limits.within(&material.config.llm);
    let plan = passage::plan(material, settings.model, &limits);
    chain::explain(settings.model, &limits, &plan)
}
