//! Chain: passages to proven claims, by llm-chain's map-reduce chain. The only file that sees llm-chain.
//!
//! The map step asks about a passage; its executor holds the answer against the passage at once and hands on only what is
//! left, in lines with ids. The reduce step is the second look: it is shown those lines, and its answer is a list of ids,
//! so that it can rank and reject but add nothing. An executor here never fails: a question without an answer has an empty
//! one, and the reason is kept, so that one failure does not end the chain.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use llm_chain::Parameters;
use llm_chain::chains::map_reduce;
use llm_chain::options::Options;
use llm_chain::output::Output;
use llm_chain::prompt::{ChatMessageCollection, ChatRole, Data, Prompt, PromptTemplate, StringTemplate};
use llm_chain::step::Step;
use llm_chain::tokens::{PromptTokensError, TokenCollection, TokenCount, Tokenizer, TokenizerError};
use llm_chain::traits::{Executor, ExecutorCreationError, ExecutorError};
use tokio::sync::Semaphore;

use super::Settings;
use super::answer::{self, Claim, Drops, Reason};
use super::budget::{Kept, Ledger, Limits};
use super::cache::Cache;
use super::model::{Ask, Message, Model, Refusal, Reply, Role, Shape};
use super::passage::{self, Passage, Plan};
use super::prompt;
use crate::change::ChangedFile;
use crate::finding::{Finding, Left};
use crate::redact;
use crate::voice::{Account, Dropped, Material, Redacted, Spoken, Tokens, Unasked};

/// The parameter that llm-chain puts a document's text into.
const TEXT: &str = "{{ text }}";

/// The map step: the rules, then the passage.
fn first_step() -> Step {
    Step::for_prompt_template(template(prompt::RULES, TEXT))
}

/// The reduce step: other rules, then what was claimed.
fn second_step(fence: &str) -> Step {
    Step::for_prompt_template(template(
        prompt::SECOND_RULES,
        &format!("=== data {fence} ===\n{TEXT}\n=== end {fence} ===\n"),
    ))
}

fn template(rules: &str, user: &str) -> PromptTemplate {
    Data::Chat(
        ChatMessageCollection::new()
            .with_system(StringTemplate::static_string(rules))
            .with_user(StringTemplate::tera(user)),
    )
}

fn messages(prompt: &Prompt) -> Vec<Message> {
    let role = |role: &ChatRole| if *role == ChatRole::System { Role::System } else { Role::User };
    prompt.to_chat().iter().map(|said| Message { role: role(said.role()), content: said.body().clone() }).collect()
}

fn question_of(model: &dyn Model, passage: &Passage) -> Vec<Message> {
    let formatted = first_step().format(&Parameters::new_with_text(passage.text.as_str()));
    formatted.map(|prompt| sent(model, messages(&prompt))).unwrap_or_default()
}

/// Messages as they leave.
fn sent(model: &dyn Model, mut messages: Vec<Message>) -> Vec<Message> {
    for message in &mut messages {
        message.content = prompt::sent(model, &message.content);
    }
    messages
}

/// Secrets that were taken out of messages.
fn secrets_of(messages: &[Message]) -> u32 {
    messages.iter().map(|message| message.content.matches(redact::MARK).count() as u32).sum()
}

/// Messages for people to read.
fn said(model: &dyn Model, messages: &[Message]) -> String {
    match model.as_one_text(messages) {
        Some(text) => format!("--- prompt\n{text}\n"),
        None => messages
            .iter()
            .map(|message| format!("--- {}\n{}\n", message.role.as_str(), message.content.trim_end()))
            .collect(),
    }
}

/// The questions as they would be sent, and what they would cost.
pub(super) fn explain(model: &dyn Model, limits: &Limits, plan: &Plan) -> String {
    let mut out = String::new();
    let mut secrets = 0;
    let path = |path: &str| crate::render::visible(&redact::redacted(path).0);
    for (at, passage) in plan.passages.iter().enumerate() {
        out.push_str(&format!(
            "--- question {} of {}: {}, {} tokens\n",
            at + 1,
            plan.passages.len(),
            path(&passage.path),
            passage.tokens
        ));
        let messages = question_of(model, passage);
        secrets += secrets_of(&messages);
        out.push_str(&said(model, &messages));
    }
    if !plan.passages.is_empty() {
        let beside = model.beside(&prompt::shape(), limits.first_answer());
        out.push_str(&format!("--- each with {beside}\n"));
        out.push_str("--- the second look, here at no claim; with each claim its answer may be 8 tokens longer\n");
        let second = second_step(&prompt::fence("")).format(&Parameters::new_with_text(""));
        out.push_str(&said(model, &second.map(|prompt| sent(model, messages(&prompt))).unwrap_or_default()));
        out.push_str(&format!("--- with {}\n", model.beside(&prompt::second_shape(0), limits.second_answer(0))));
    }
    for left in &plan.unasked {
        out.push_str(&format!("--- not asked: {} (risk {:.1}): {}\n", path(&left.path), left.risk, left.why));
    }
    let read: usize = plan.passages.iter().map(|passage| passage.tokens).sum();
    let written = plan.passages.len() * limits.first_answer();
    let first = Tokens { prompt: read as u64, completion: written as u64 };
    let second = plan.kept.tokens;
    out.push_str(&format!(
        "--- {} questions to {}, {read} tokens to read, at most {written} to write; then a second look at what is claimed, at \
         most {} to read and {} to write\n",
        plan.passages.len(),
        model.name(),
        second.prompt,
        second.completion
    ));
    if let Some(cost) = limits.cost_of(first + second) {
        out.push_str(&format!("--- at most {cost:.6} by the prices that are set, the second look included\n"));
    }
    if secrets > 0 {
        out.push_str(&format!("--- {secrets} secrets were taken out\n"));
    }
    out
}

/// Asks about each passage, holds the answers against them, and looks at what is left a second time.
pub(super) fn run(settings: &Settings<'_>, material: &Material<'_>, limits: &Limits, plan: Plan) -> Spoken {
    let Plan { passages, unasked, kept, hidden_characters } = plan;
    let desk = Desk::new(settings, &material.change.files, *limits, &passages, kept);
    if !passages.is_empty() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match runtime {
            Ok(runtime) => {
                runtime.block_on(desk.ask_all());
                // A local model that is still computing sees that its time is over; nobody waits for it.
                runtime.shutdown_background();
            }
            Err(error) => desk.desk().left.push(Left { what: "the language model".into(), why: error.to_string() }),
        }
    }
    desk.spoken(material, unasked, hidden_characters)
}

/// What is on the desk while questions are out.
struct State {
    ledger: Ledger,
    /// Claims that hold, with their passage, by number.
    claims: Vec<(usize, Claim)>,
    /// Numbers of the claims that the last second looks kept, best first; `None` for those that nobody weighed.
    verdicts: HashMap<usize, bool>,
    order: Vec<usize>,
    /// The claims of second questions that were asked; llm-chain goes on as long as its documents do not become one.
    seconds: HashSet<Vec<usize>>,
    dropped: Drops,
    stated: u32,
    cached: u32,
    /// Secrets that were taken out of what was asked, and out of what was answered.
    secrets: u32,
    redacted: u32,
    left: Vec<Left>,
    unasked: Vec<Unasked>,
    gave_away: bool,
}

struct Desk<'a> {
    settings: &'a Settings<'a>,
    /// The object database is for one thread, so that of the material only this comes along.
    files: &'a [ChangedFile],
    limits: Limits,
    passages: &'a [Passage],
    /// What is kept back for the second look.
    kept: Kept,
    /// Which passage a formatted question is about.
    questions: HashMap<String, usize>,
    turn: Semaphore,
    state: Mutex<State>,
}

impl<'a> Desk<'a> {
    fn new(
        settings: &'a Settings<'a>,
        files: &'a [ChangedFile],
        limits: Limits,
        passages: &'a [Passage],
        kept: Kept,
    ) -> Desk<'a> {
        let state = State {
            ledger: Ledger::new(limits),
            claims: Vec::new(),
            verdicts: HashMap::new(),
            order: Vec::new(),
            seconds: HashSet::new(),
            dropped: Drops::new(),
            stated: 0,
            cached: 0,
            secrets: 0,
            redacted: 0,
            left: Vec::new(),
            unasked: Vec::new(),
            gave_away: false,
        };
        let step = first_step();
        let questions = passages
            .iter()
            .enumerate()
            .filter_map(|(at, passage)| {
                Some((step.format(&Parameters::new_with_text(passage.text.as_str())).ok()?.to_string(), at))
            })
            .collect();
        let turn = Semaphore::new(settings.model.parallel().max(1));
        Desk { settings, files, limits, passages, kept, questions, turn, state: Mutex::new(state) }
    }

    fn desk(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask_all(&self) {
        let texts: String = self.passages.iter().map(|passage| passage.text.as_str()).collect();
        let chain = map_reduce::Chain::new(first_step(), second_step(&prompt::fence(&texts)));
        let documents = self.passages.iter().map(|passage| Parameters::new_with_text(passage.text.as_str())).collect();
        if let Err(error) = chain.run(documents, Parameters::new(), &Clerk(self)).await {
            self.desk().left.push(Left { what: "the language model".into(), why: error.to_string() });
        }
    }

    /// Asks about a passage; returns its claims in lines.
    async fn first(&self, at: usize, messages: Vec<Message>) -> String {
        let passage = &self.passages[at];
        let tokens = Tokens { prompt: passage.tokens as u64, completion: self.limits.first_answer() as u64 };
        let unanswered = |why: String| {
            let path = passage.path.clone();
            let mut desk = self.desk();
            if !desk.unasked.iter().any(|left| left.path == path) {
                desk.unasked.push(Unasked { path, risk: passage.risk, why });
            }
        };
        let shape = (prompt::shape(), answer::is_list as fn(&str) -> bool);
        let reply = match self.ask(messages, shape, tokens, self.kept).await {
            Ok(reply) => reply,
            Err(why) => {
                unanswered(why);
                return String::new();
            }
        };
        if !answer::is_list(&reply.text) {
            unanswered(out_of_shape(&reply, self.limits.first_answer()));
        }
        let judged = answer::judge(passage, &self.files[passage.file], &reply.text);
        let mut desk = self.desk();
        desk.stated += judged.stated;
        desk.redacted += judged.redacted;
        for (reason, count) in judged.dropped {
            *desk.dropped.entry(reason).or_default() += count;
        }
        let mut lines = String::new();
        for claim in judged.claims {
            let number = desk.claims.len() + 1;
            lines.push_str(&in_lines(number, &passage.path, &claim));
            desk.claims.push((at, claim));
        }
        lines
    }

    /// Looks at claims in lines a second time; returns the lines of those that are kept.
    async fn second(&self, messages: Vec<Message>) -> String {
        let claims = messages.last().map(|message| in_parts(&message.content)).unwrap_or_default();
        let mut numbers: Vec<usize> = claims.keys().copied().collect();
        numbers.sort_unstable();
        if claims.is_empty() || !self.desk().seconds.insert(numbers) {
            return String::new();
        }
        let tokens = messages.iter().map(|message| self.settings.model.count(&message.content)).sum::<usize>();
        let tokens = Tokens {
            prompt: (tokens + self.settings.model.overhead(2)) as u64,
            completion: self.limits.second_answer(claims.len()) as u64,
        };
        let is_whole: fn(&str) -> bool = |text| answer::kept(text).is_some();
        let shape = (prompt::second_shape(claims.len()), is_whole);
        let reply = self.ask(messages, shape, tokens, Kept::default()).await;
        let kept = match reply {
            Ok(reply) => {
                let room = self.limits.second_answer(claims.len());
                answer::kept(&reply.text).ok_or_else(|| out_of_shape(&reply, room))
            }
            Err(why) => Err(why),
        };
        let mut desk = self.desk();
        match kept {
            Ok(ids) => {
                let mut kept: Vec<usize> = Vec::new();
                for id in ids {
                    let number = id.strip_prefix('F').and_then(|number| number.parse().ok());
                    match number.filter(|number| claims.contains_key(number) && !kept.contains(number)) {
                        Some(number) => kept.push(number),
                        // It may only reject; what it invents is dropped.
                        None => *desk.dropped.entry(Reason::Shape).or_default() += 1,
                    }
                }
                for number in claims.keys() {
                    desk.verdicts.insert(*number, kept.contains(number));
                }
                desk.order.retain(|number| !claims.contains_key(number));
                desk.order.extend(&kept);
                kept.iter().map(|number| claims[number].as_str()).collect()
            }
            Err(why) => {
                // What an earlier look kept stays kept; it is only not compared with the rest.
                let is_weighed = claims.keys().all(|number| desk.verdicts.contains_key(number));
                let what = match is_weighed {
                    true => "the comparison of all that the language model claims",
                    false => "the second look at what the language model claims",
                };
                desk.left.push(Left { what: what.into(), why });
                String::new()
            }
        }
    }

    /// Sends a question, unless its answer is known or it may not be sent. Only an answer in its shape is remembered: another
    /// would be as useless the next time.
    async fn ask(
        &self,
        messages: Vec<Message>,
        (shape, is_whole): (Shape, fn(&str) -> bool),
        promised: Tokens,
        kept: Kept,
    ) -> Result<Reply, String> {
        let model = self.settings.model;
        let max_tokens = promised.completion as usize;
        let messages = sent(model, messages);
        let key = Cache::key(model, &messages, &shape, max_tokens);
        let known = self.settings.cache.as_ref().and_then(|cache| cache.get(&key));
        if let Some(reply) = known.filter(|reply| is_whole(&reply.text)) {
            let mut desk = self.desk();
            desk.cached += 1;
            desk.secrets += secrets_of(&messages);
            return Ok(reply);
        }
        let _turn = self.turn.acquire().await;
        let timeout = {
            let mut desk = self.desk();
            desk.ledger.promise(promised, kept)?;
            desk.secrets += secrets_of(&messages);
            desk.ledger.left(kept)
        };
        let again =
            |refusal: &Refusal| self.desk().ledger.promise_again(promised, refusal.may_have_cost(), kept).is_ok();
        let ask = Ask {
            messages: &messages,
            shape: &shape,
            max_tokens,
            timeout,
            again: &again,
            cancelled: self.settings.cancelled,
        };
        let answered = tokio::time::timeout(timeout, model.answer(&ask)).await.unwrap_or(Err(Refusal::TooSlow));
        let spent = match &answered {
            Ok(reply) => Tokens { prompt: reply.prompt_tokens, completion: reply.completion_tokens },
            Err(refusal) if refusal.may_have_cost() => promised,
            Err(_) => Tokens::default(),
        };
        let mut desk = self.desk();
        desk.ledger.enter(promised, spent);
        let reply = answered.map_err(|refusal| refusal.to_string())?;
        if !model.key().is_empty() && redact::gives_away(&reply.text, model.key()) {
            desk.gave_away = true;
            return Err("the answer held the key that the model was asked with".into());
        }
        drop(desk);
        if let Some(cache) = self.settings.cache.as_ref().filter(|_| is_whole(&reply.text)) {
            cache.put(&key, &reply);
        }
        Ok(reply)
    }

    /// The claims that were kept, as findings, and the account of everything.
    fn spoken(self, material: &Material<'_>, unasked: Vec<Unasked>, hidden_characters: u32) -> Spoken {
        let Desk { settings, limits, passages, state, .. } = self;
        let mut state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut drop_one = |reason: Reason| *state.dropped.entry(reason).or_default() += 1;
        let mut findings: Vec<Finding> = Vec::new();
        for number in 1..=state.claims.len() {
            match state.verdicts.get(&number) {
                Some(true) => {}
                Some(false) => drop_one(Reason::Rejected),
                None => drop_one(Reason::Unweighed),
            }
        }
        for number in &state.order {
            let (at, claim) = &state.claims[number - 1];
            let Some(finding) = finding(material, &passages[*at], claim) else {
                drop_one(Reason::Unread);
                continue;
            };
            let is_same = |other: &Finding| {
                other.path == finding.path && other.side == finding.side && other.line == finding.line
            };
            if material.config.mutes(&finding) {
                drop_one(Reason::Muted);
            } else if findings.iter().chain(material.findings).any(is_same) {
                drop_one(Reason::Repeated);
            } else {
                findings.push(finding);
            }
        }
        // Sorting is stable, so that the second look's order decides among equals.
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        let mut all_unasked = unasked;
        for left in state.unasked {
            if !all_unasked.iter().any(|known| known.path == left.path) {
                all_unasked.push(left);
            }
        }
        all_unasked.sort_by(|one, two| two.risk.total_cmp(&one.risk).then_with(|| one.path.cmp(&two.path)));
        let mut skipped = state.left;
        skipped.extend(all_unasked.iter().map(|left| Left {
            what: format!("the language model's reading of {}", left.path),
            why: left.why.clone(),
        }));
        if settings.cancelled.load(std::sync::atomic::Ordering::SeqCst) && skipped.is_empty() {
            skipped.push(Left { what: "the language model".into(), why: Refusal::Cancelled.to_string() });
        }
        let account = Account {
            model: settings.model.name().to_owned(),
            requests: state.ledger.requests,
            cached: state.cached,
            tokens: state.ledger.tokens,
            cost: limits.cost_of(state.ledger.tokens),
            seconds: state.ledger.seconds(),
            stated: state.stated,
            dropped: state
                .dropped
                .iter()
                .map(|(reason, count)| Dropped { reason: reason.as_str(), count: *count })
                .collect(),
            redacted: Redacted { prompt: state.secrets, answer: state.redacted },
            hidden_characters,
            unasked: all_unasked,
            gave_away: state.gave_away,
        };
        Spoken { findings, skipped, account }
    }
}

/// What is wrong with an answer out of shape that had room for so many tokens.
fn out_of_shape(reply: &Reply, room: usize) -> String {
    match reply.is_cut {
        true => format!("the answer was cut at {room} tokens; a model that thinks first needs --llm-thinking-tokens"),
        false => format!("the answer was {}", Reason::Shape.as_str()),
    }
}

/// A claim for the second look. The first line has its id, the others cannot look like one.
fn in_lines(number: usize, path: &str, claim: &Claim) -> String {
    let quote: String = claim.quote.lines().take(6).map(|line| format!("    | {line}\n")).collect();
    format!(
        "F{number} · {}:{} · {} · {} — {}\n{quote}",
        crate::render::visible(path),
        claim.lines[0],
        claim.check,
        claim.title,
        claim.body
    )
}

/// Claims in lines, by number.
fn in_parts(text: &str) -> HashMap<usize, String> {
    let mut parts: HashMap<usize, String> = HashMap::new();
    let mut current = None;
    for line in text.lines() {
        let number =
            line.strip_prefix('F').and_then(|rest| rest.split_once(" · ")).and_then(|(number, _)| number.parse().ok());
        match (number, current) {
            (Some(number), _) => {
                current = Some(number);
                parts.insert(number, format!("{line}\n"));
            }
            (None, Some(number)) if line.starts_with("    | ") => {
                parts.entry(number).or_default().push_str(&format!("{line}\n"));
            }
            _ => current = None,
        }
    }
    parts
}

/// A claim with its evidence read from the object database: what it quotes, then what it cites.
fn finding(material: &Material<'_>, passage: &Passage, claim: &Claim) -> Option<Finding> {
    let file = &material.change.files[passage.file];
    let is_new = claim.side == crate::finding::Side::Right;
    let mut citations =
        vec![passage::citation(material.evidence.objects(), material.change, file, is_new, claim.lines)?];
    for at in &claim.cited {
        citations.extend(passage.offered[*at].citations.first().cloned());
    }
    let [start, line] = claim.lines;
    Some(Finding {
        id: Finding::id(claim.check, &claim.node, &claim.quote),
        check: claim.check,
        path: passage.path.clone(),
        side: claim.side,
        start_line: (start < line).then_some(start),
        line,
        severity: claim.severity,
        // Nobody has judged what this model says here.
        confidence: None,
        title: claim.title.clone(),
        body: claim.body.clone(),
        suggestion: claim.suggestion.clone(),
        citations,
    })
}

/// The executor that llm-chain sees.
struct Clerk<'a>(&'a Desk<'a>);

/// Passages are cut to size before the chain begins, so that nothing has to be split in it.
struct Whole<'a>(&'a dyn Model);

impl Tokenizer for Whole<'_> {
    fn tokenize_str(&self, doc: &str) -> Result<TokenCollection, TokenizerError> {
        Ok(vec![0usize; self.0.count(doc)].into())
    }

    fn to_string(&self, _: TokenCollection) -> Result<String, TokenizerError> {
        Err(TokenizerError::ToStringError)
    }

    fn split_text(&self, doc: &str, _: usize, _: usize) -> Result<Vec<String>, TokenizerError> {
        Ok(vec![doc.to_owned()])
    }
}

#[async_trait]
impl Executor for Clerk<'_> {
    type StepTokenizer<'b>
        = Whole<'b>
    where
        Self: 'b;

    fn new_with_options(_: Options) -> Result<Self, ExecutorCreationError> {
        Err(ExecutorCreationError::FieldRequiredError("a model".into()))
    }

    async fn execute(&self, _: &Options, prompt: &Prompt) -> Result<Output, ExecutorError> {
        // The chain's loop has no other place where time can run out.
        tokio::task::yield_now().await;
        let said = messages(prompt);
        let text = match self.0.questions.get(&prompt.to_string()) {
            Some(at) => self.0.first(*at, said).await,
            None => self.0.second(said).await,
        };
        Ok(Output::new_immediate(Data::text(text)))
    }

    fn tokens_used(&self, options: &Options, prompt: &Prompt) -> Result<TokenCount, PromptTokensError> {
        let most = self.max_tokens_allowed(options);
        let used = self.0.settings.model.count(&prompt.to_string());
        Ok(TokenCount::new(most, i32::try_from(used).unwrap_or(i32::MAX).min(most)))
    }

    fn max_tokens_allowed(&self, _: &Options) -> i32 {
        let most = self.0.settings.model.context_tokens().saturating_sub(self.0.limits.first_answer());
        i32::try_from(most).unwrap_or(i32::MAX)
    }

    fn answer_prefix(&self, _: &Prompt) -> Option<String> {
        None
    }

    fn get_tokenizer(&self, _: &Options) -> Result<Whole<'_>, TokenizerError> {
        Ok(Whole(self.0.settings.model))
    }
}

#[cfg(test)]
mod tests;
