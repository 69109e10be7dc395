//! Budget: what a review may spend on a model, and what it has spent. Pure but for the clock.

use std::time::{Duration, Instant};

use crate::config::{LlmConfig, is_amount};
use crate::voice::Tokens;

/// Room of a second answer, in tokens: for the frame of its list, and for each id in it. A local decoder begins to close its
/// answer when fewer are left than closing one could take, about 40, so that the frame must have room for that beside itself.
const SECOND_FRAME_TOKENS: usize = 64;
const SECOND_ID_TOKENS: usize = 8;
/// Part of a review's time that is kept for the second look; at least so many seconds, and never more than half.
const SECOND_PART: u32 = 5;
const SECOND_LEAST: Duration = Duration::from_secs(10);

/// What may be spent on one review.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Tokens read and written.
    pub tokens: u64,
    /// Questions, repeated ones included.
    pub requests: u32,
    /// Time for everything.
    pub time: Duration,
    /// Money, in the unit of the prices.
    pub cost: Option<f64>,
    /// Money for a million tokens that are read, and that are written.
    pub prices: Option<[f64; 2]>,
    /// Tokens of an answer.
    pub answer_tokens: usize,
    /// Tokens that a model may think before each answer.
    pub thinking_tokens: usize,
    /// Tokens of the hunks in one question.
    pub passage_tokens: usize,
    /// Precedents in one question.
    pub precedents: usize,
    /// Tokens of all precedents in one question.
    pub precedent_tokens: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            tokens: 60_000,
            requests: 24,
            time: Duration::from_secs(300),
            cost: None,
            prices: None,
            answer_tokens: 800,
            thinking_tokens: 0,
            passage_tokens: 1_500,
            precedents: 4,
            precedent_tokens: 500,
        }
    }
}

impl Limits {
    /// The same, where the repository's owners do not want less. What they allow beyond it does not count, since they do
    /// not pay for every run.
    pub fn within(&self, config: &LlmConfig) -> Limits {
        let lower = |mine: Option<f64>, theirs: Option<f64>| match (mine, theirs) {
            (Some(mine), Some(theirs)) => Some(mine.min(theirs)),
            (mine, theirs) => mine.or(theirs),
        };
        // A price below nothing would give back what is spent.
        let amount = |number: Option<f64>| number.filter(|number| is_amount(*number));
        let prices = amount(config.input_price).zip(amount(config.output_price)).map(|(input, output)| [input, output]);
        Limits {
            tokens: config.max_tokens.map_or(self.tokens, |tokens| tokens.min(self.tokens)),
            requests: config.max_requests.map_or(self.requests, |requests| requests.min(self.requests)),
            time: config.max_seconds.map_or(self.time, |seconds| Duration::from_secs(seconds).min(self.time)),
            cost: lower(self.cost, amount(config.max_cost)),
            prices: self.prices.or(prices),
            precedents: config.precedents.map_or(self.precedents, |precedents| precedents.min(self.precedents)),
            ..*self
        }
    }

    /// Tokens that may be written for an answer about a passage, thoughts included.
    pub(super) fn first_answer(&self) -> usize {
        self.answer_tokens + self.thinking_tokens
    }

    /// Tokens that may be written for a second look at so many claims, thoughts included.
    pub(super) fn second_answer(&self, claims: usize) -> usize {
        SECOND_FRAME_TOKENS + SECOND_ID_TOKENS * claims + self.thinking_tokens
    }

    /// Time that is kept for the second look.
    pub(super) fn second_time(&self) -> Duration {
        (self.time / SECOND_PART).max(SECOND_LEAST).min(self.time / 2)
    }

    /// Says why so much may not be spent, if it may not.
    pub(super) fn allow(&self, tokens: Tokens) -> Result<(), String> {
        if tokens.prompt.saturating_add(tokens.completion) > self.tokens {
            return Err(format!("a review may spend {} tokens", self.tokens));
        }
        match (self.cost, self.cost_of(tokens)) {
            (Some(limit), Some(cost)) if cost > limit => Err(format!("a review may cost {limit}")),
            (Some(limit), None) => Err(format!("a review may cost {limit}, and no prices are set")),
            _ => Ok(()),
        }
    }

    /// What tokens cost.
    pub fn cost_of(&self, tokens: Tokens) -> Option<f64> {
        let [input, output] = self.prices?;
        Some((tokens.prompt as f64 * input + tokens.completion as f64 * output) / 1e6)
    }
}

/// What is kept back for a later question.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) requests: u32,
    pub(super) tokens: Tokens,
    pub(super) time: Duration,
}

/// What has been spent, and what is promised to questions that are under way.
#[derive(Debug)]
pub(super) struct Ledger {
    limits: Limits,
    started: Instant,
    pub(super) requests: u32,
    pub(super) tokens: Tokens,
    promised: Tokens,
}

impl Ledger {
    pub(super) fn new(limits: Limits) -> Ledger {
        Ledger { limits, started: Instant::now(), requests: 0, tokens: Tokens::default(), promised: Tokens::default() }
    }

    /// Time that is left beside what is kept.
    pub(super) fn left(&self, kept: Kept) -> Duration {
        self.limits.time.saturating_sub(kept.time).saturating_sub(self.started.elapsed())
    }

    pub(super) fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// Counts a request and sets tokens aside for it and its answer, or says why it may not be sent.
    pub(super) fn promise(&mut self, question: Tokens, kept: Kept) -> Result<(), String> {
        let all = self.tokens + self.promised + question + kept.tokens;
        if self.requests + kept.requests >= self.limits.requests {
            return Err(format!("a review may ask {} questions and has asked them", self.limits.requests));
        }
        if self.left(kept).is_zero() {
            let beside = if kept.time.is_zero() { "" } else { ", but for those of the second look" };
            let seconds = self.limits.time.as_secs();
            return Err(format!("a review may take {seconds} seconds and has taken them{beside}"));
        }
        self.limits.allow(all)?;
        self.promised += question;
        self.requests += 1;
        Ok(())
    }

    /// Counts one more request for a question that was promised; where the one before may have cost what nobody says, all
    /// of that counts as spent.
    pub(super) fn promise_again(&mut self, question: Tokens, has_cost: bool, kept: Kept) -> Result<(), String> {
        if has_cost {
            self.promise(question, kept)?;
            self.promised -= question;
            self.tokens += question;
        } else {
            self.promise(Tokens::default(), kept)?;
        }
        Ok(())
    }

    /// Enters what a question that was promised has really taken.
    pub(super) fn enter(&mut self, promised: Tokens, spent: Tokens) {
        self.promised -= promised;
        self.tokens += spent;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(prompt: u64, completion: u64) -> Tokens {
        Tokens { prompt, completion }
    }

    #[test]
    fn nothing_is_promised_beyond_a_limit() {
        let limits = Limits { tokens: 1000, requests: 3, ..Limits::default() };
        let mut ledger = Ledger::new(limits);
        let nothing = Kept::default();
        assert_eq!(ledger.promise(tokens(500, 100), nothing), Ok(()));
        assert!(ledger.promise(tokens(400, 100), nothing).is_err_and(|why| why.contains("1000 tokens")));
        assert_eq!(ledger.promise_again(tokens(500, 100), false, nothing), Ok(()));
        ledger.enter(tokens(500, 100), tokens(450, 20));
        assert_eq!((ledger.requests, ledger.tokens), (2, tokens(450, 20)));
        assert_eq!(ledger.promise(tokens(400, 100), nothing), Ok(()));
        assert!(ledger.promise(tokens(1, 1), nothing).is_err_and(|why| why.contains("3 questions")));
        let late = Ledger::new(Limits { time: Duration::ZERO, ..limits }).promise(tokens(1, 1), nothing);
        assert!(late.is_err_and(|why| why.contains("0 seconds")));
    }

    #[test]
    fn what_is_kept_back_is_not_promised() {
        let mut ledger = Ledger::new(Limits { tokens: 1000, requests: 2, ..Limits::default() });
        let kept = Kept { requests: 1, tokens: tokens(200, 50), ..Kept::default() };
        assert!(ledger.promise(tokens(700, 51), kept).is_err_and(|why| why.contains("1000 tokens")));
        assert_eq!(ledger.promise(tokens(700, 50), kept), Ok(()));
        assert!(ledger.promise_again(tokens(700, 50), false, kept).is_err_and(|why| why.contains("2 questions")));
        ledger.enter(tokens(700, 50), tokens(700, 50));
        assert_eq!(ledger.promise(tokens(200, 50), Kept::default()), Ok(()));
    }

    #[test]
    fn time_is_kept_for_the_second_look() {
        let of = |seconds| Limits { time: Duration::from_secs(seconds), ..Limits::default() };
        for (seconds, kept) in [(300, 60_000), (60, 12_000), (30, 10_000), (6, 3_000), (1, 500), (0, 0)] {
            assert_eq!(of(seconds).second_time(), Duration::from_millis(kept), "{seconds}");
        }
        let limits = of(300);
        let mut ledger = Ledger::new(limits);
        let kept = Kept { time: limits.second_time(), ..Kept::default() };
        assert!(
            ledger.left(kept) <= Duration::from_secs(240) && ledger.left(Kept::default()) > Duration::from_secs(240)
        );
        let all = Kept { time: limits.time, ..kept };
        assert!(ledger.promise(tokens(1, 1), all).is_err_and(|why| why.contains("but for those of the second look")));
        assert_eq!(ledger.promise(tokens(1, 1), Kept::default()), Ok(()));
    }

    #[test]
    fn sums_that_are_too_large_lift_no_limit() {
        let most = tokens(u64::MAX, u64::MAX);
        let mut ledger = Ledger::new(Limits::default());
        assert_eq!(ledger.promise(tokens(1, 1), Kept::default()), Ok(()));
        ledger.enter(tokens(1, 1), most);
        assert_eq!(ledger.tokens, most);
        assert!(ledger.promise(tokens(1, 1), Kept::default()).is_err_and(|why| why.contains("tokens")));
        ledger.enter(most, most);
        assert_eq!(ledger.promised, Tokens::default());
    }

    #[test]
    fn an_attempt_that_nobody_accounts_for_counts_in_full() {
        let mut ledger = Ledger::new(Limits { tokens: 1000, requests: 9, ..Limits::default() });
        assert_eq!(ledger.promise(tokens(300, 100), Kept::default()), Ok(()));
        assert_eq!(ledger.promise_again(tokens(300, 100), true, Kept::default()), Ok(()));
        assert!(ledger.promise_again(tokens(300, 100), true, Kept::default()).is_err_and(|why| why.contains("1000")));
        ledger.enter(tokens(300, 100), tokens(300, 20));
        assert_eq!((ledger.requests, ledger.tokens), (2, tokens(600, 120)));
    }

    #[test]
    fn money_needs_prices() {
        let limits = Limits { cost: Some(0.001), ..Limits::default() };
        assert!(Ledger::new(limits).promise(tokens(1, 1), Kept::default()).is_err_and(|why| why.contains("no prices")));
        let mut ledger = Ledger::new(Limits { prices: Some([1.0, 2.0]), ..limits });
        assert_eq!(ledger.promise(tokens(500, 200), Kept::default()), Ok(()));
        assert!(ledger.promise(tokens(200, 0), Kept::default()).is_err_and(|why| why.contains("0.001")));
    }

    #[test]
    fn a_repository_may_only_want_less() {
        let config =
            LlmConfig { max_requests: Some(100), max_tokens: Some(10), max_cost: Some(2.0), ..LlmConfig::default() };
        let limits = Limits { cost: Some(1.0), ..Limits::default() }.within(&config);
        assert_eq!((limits.requests, limits.tokens, limits.cost), (24, 10, Some(1.0)));
    }

    #[test]
    fn a_repository_cannot_make_tokens_cheap() {
        let priced = |input: f64, output: f64| LlmConfig {
            input_price: Some(input),
            output_price: Some(output),
            max_cost: Some(f64::NAN),
            ..LlmConfig::default()
        };
        let mine = Limits { cost: Some(1.0), prices: Some([2.0, 4.0]), ..Limits::default() };
        assert_eq!(mine.within(&priced(0.0, 0.0)).prices, Some([2.0, 4.0]), "who pays says what it costs");
        let open = Limits { prices: None, ..mine };
        assert_eq!(open.within(&priced(1.0, 3.0)).prices, Some([1.0, 3.0]));
        for (input, output) in [(-1.0, 3.0), (1.0, -3.0), (f64::NAN, 1.0), (1.0, f64::INFINITY)] {
            let limits = open.within(&priced(input, output));
            assert_eq!((limits.prices, limits.cost), (None, Some(1.0)));
            assert!(limits.allow(tokens(1, 1)).is_err_and(|why| why.contains("no prices")));
        }
    }
}
