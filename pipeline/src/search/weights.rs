//! Weights: what each signal counts for, by the kind of the question. Chosen by `training/ranking/choose.py` on
//! development repositories, rounded, and left out below 0.05; docs/ranking.md has the measurements.

use super::question::QuestionKind;
use super::rank::{SIGNALS, Signals};

/// What each further node of a file loses.
pub(crate) const FILE_DECAY: f32 = 0.02;

/// The weights for a kind of question, in the order of the signals.
pub fn of(kind: QuestionKind) -> Signals {
    match kind {
        QuestionKind::Words => WORDS,
        QuestionKind::Change => CHANGE,
        QuestionKind::Symbol => SYMBOL,
        QuestionKind::Code => CODE,
    }
}

/// Whether what history says counts for a kind of question.
pub(super) fn ask_history(kind: QuestionKind) -> bool {
    let weights = of(kind);
    SIGNALS.iter().zip(weights).any(|(name, weight)| HISTORY.contains(name) && weight != 0.0)
}

/// The signals that come of history.
const HISTORY: [&str; 7] = ["said", "said-file", "churn", "churn-file", "recent", "recent-file", "mended"];

/// Fitted to documentation, without history, which added nothing there. By judgement are `definition`, since the sentences that
/// were asked never hold the name, and `callable` and `prose`, since all of them ask for functions. `named` is left out by judgement
/// too, for the same reason as `definition`, and `kind` is by judgement, since few ask for one.
/// `container-akin` takes back what `akin` gives for the container.
const WORDS: Signals = [
    0.81, 0.19, 0.20, 0.0, 0.21, 0.0, 0.0, 0.11, -0.15, 0.40, 0.55, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -0.40,
    0.61, -0.30, 0.40, -0.28, 0.17, 0.0, 0.0, 0.40,
];
/// Fitted to messages of commits and to documentation that opens as they do.
const CHANGE: Signals = [
    0.55, 0.45, 0.16, 0.15, 0.27, 0.25, 0.15, 0.0, -0.21, 0.14, 0.17, 0.17, 0.27, 0.05, -0.33, 0.07, 0.33, 0.20, 0.0,
    0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
];
/// Not fitted: a definition comes before its uses, and the rest orders definitions of one name.
const SYMBOL: Signals = [
    0.4, 0.4, 1.0, 0.5, 0.2, 0.1, 0.1, 0.0, -0.2, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
    0.0, 0.0, 0.0, 0.0, 0.0,
];
/// Not fitted: names inside a piece of code are mostly those of what it uses, so only the whole of it counts.
const CODE: Signals = [
    0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
    0.0, 0.0, 0.0, 0.0, 0.0,
];
