//! A model behind an address that speaks OpenAI's chat completions: llama.cpp, Ollama, vLLM, DeepSeek, OpenAI and others.
//!
//! One question, one answer, nothing streamed. An answer is read up to a limit, within a time, and believed only if it is
//! by the model that was asked. What failed for the moment is asked again, as late as the server wishes; redirects are not
//! followed, so the key stays where it was sent.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use precedent_model::generate::Counter;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, StatusCode, Url};
use serde_json::{Value, json};

use super::model::{Ask, Model, Refusal, Reply, Shape};
use crate::redact::redacted;
use crate::render::visible;

/// A longer answer is not read.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// How often one question is sent.
const MAX_ATTEMPTS: u32 = 4;
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// Where more than this is left for a question, an attempt may take two thirds of it, so that one that is never answered can be
/// made again. As much is kept for the second look, so that a model that needs all of a shorter time has none for that.
const ROOM_FOR_ANOTHER: Duration = Duration::from_secs(10);
/// How often it is looked whether anybody still waits.
const TICK: Duration = Duration::from_millis(50);
/// Without a tokenizer at hand: few tokens of code are shorter than this, in bytes.
const BYTES_A_TOKEN: usize = 3;
/// No text has tokens that are longer than this in bytes, taken together: a server that counts fewer is not believed.
const MAX_BYTES_A_TOKEN: usize = 64;
/// Nor is one that counts more than this many times the tokens that are expected: its own words are some, but no more.
const MAX_TIMES_EXPECTED: usize = 4;
/// Questions at the same time.
const PARALLEL: usize = 4;

/// Where a model is and how it is called there.
#[derive(Clone)]
pub struct Address {
    /// The address up to `/chat/completions`, as in `http://localhost:8080/v1`.
    pub url: String,
    /// The model's name there.
    pub model: String,
    /// The name that stands in its answers, where the server has another one for it.
    pub answers_as: Option<String>,
    /// The key; empty for none. Never printed.
    pub key: String,
    /// Tokens of its context.
    pub context_tokens: usize,
}

impl fmt::Debug for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Address").field("url", &self.url).field("model", &self.model).finish_non_exhaustive()
    }
}

/// What a server was found to understand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Dialect {
    format: Format,
    /// Whether the limit of an answer has its newer name.
    has_new_limit: bool,
    /// Whether nothing may be said of how tokens are drawn.
    has_no_temperature: bool,
}

impl Dialect {
    /// What both have found. Questions are asked side by side, and each learns one thing at a time.
    fn and(self, other: Dialect) -> Dialect {
        Dialect {
            format: self.format.max(other.format),
            has_new_limit: self.has_new_limit || other.has_new_limit,
            has_no_temperature: self.has_no_temperature || other.has_no_temperature,
        }
    }
}

/// How the shape of an answer is asked for, best first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Format {
    /// By a JSON schema.
    #[default]
    Schema,
    /// As a JSON object with the schema beside, which servers of llama.cpp's Python bindings know and no other form.
    ObjectOfSchema,
    /// As any JSON object; the rules describe it.
    Object,
    /// By the rules alone.
    Words,
}

/// A model behind an address.
pub struct OpenAi {
    address: Address,
    endpoint: Url,
    client: Client,
    dialect: Mutex<Dialect>,
    counter: Option<Counter>,
}

impl OpenAi {
    /// Connects when the first question is asked.
    ///
    /// # Errors
    /// A sentence on an address or a key that cannot be used.
    pub fn new(address: Address) -> Result<OpenAi, String> {
        let unusable = |why: &str| format!("`{}` cannot be used as a model's address: {why}", address.url);
        let base = address.url.trim_end_matches('/').trim_end_matches("/chat/completions");
        let endpoint = Url::parse(&format!("{base}/chat/completions")).map_err(|error| unusable(&error.to_string()))?;
        let is_local = match endpoint.host_str() {
            Some(host) => {
                let host = host.trim_matches(['[', ']']);
                host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
            }
            None => return Err(unusable("it names no host")),
        };
        match endpoint.scheme() {
            "https" => {}
            "http" if is_local || address.key.is_empty() => {}
            "http" => return Err(unusable("the key would travel unencrypted; use https")),
            _ => return Err(unusable("it is neither http nor https")),
        }
        if !endpoint.username().is_empty() || endpoint.password().is_some() {
            return Err(unusable("a key does not belong in it; set PRECEDENT_LLM_KEY"));
        }
        if !address.key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("the key of the language model holds characters that no key has".into());
        }
        // Another part of the program may have chosen it before; it is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .user_agent(concat!("precedent/", env!("CARGO_PKG_VERSION")));
        if is_local {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| unusable(&cause(&error)))?;
        Ok(OpenAi { address, endpoint, client, dialect: Mutex::default(), counter: None })
    }

    /// Counts tokens as the model does, and not by their usual length.
    #[must_use]
    pub fn counting_with(self, counter: Counter) -> OpenAi {
        OpenAi { counter: Some(counter), ..self }
    }

    fn dialect(&self) -> MutexGuard<'_, Dialect> {
        self.dialect.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request but for its messages.
    fn body(&self, shape: &Shape, max_tokens: usize, dialect: Dialect) -> Value {
        let limit = if dialect.has_new_limit { "max_completion_tokens" } else { "max_tokens" };
        let mut body = json!({
            "model": self.address.model,
            "stream": false,
            limit: max_tokens,
        });
        if !dialect.has_no_temperature {
            body["temperature"] = 0.into();
            body["seed"] = 0.into();
        }
        match dialect.format {
            Format::Schema => {
                body["response_format"] = json!({
                    "type": "json_schema",
                    "json_schema": {"name": shape.name, "strict": true, "schema": unbounded(&shape.schema)},
                });
            }
            Format::ObjectOfSchema => {
                body["response_format"] = json!({"type": "json_object", "schema": unbounded(&shape.schema)});
            }
            Format::Object => body["response_format"] = json!({"type": "json_object"}),
            Format::Words => {}
        }
        body
    }

    /// Sends a question once.
    async fn attempt(&self, ask: &Ask<'_>, dialect: Dialect) -> Outcome {
        let mut body = self.body(ask.shape, ask.max_tokens, dialect);
        body["messages"] = json!(ask.messages);
        let body = body.to_string();
        let mut request = self.client.post(self.endpoint.clone()).header(CONTENT_TYPE, "application/json").body(body);
        if !self.address.key.is_empty() {
            let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {}", self.address.key)) else {
                return Outcome::Final(Refusal::Failed("its key cannot stand in a request".into()));
            };
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let mut answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => {
                let why = self.harmless(&cause(&error));
                let is_sent = !error.is_connect() && !error.is_builder();
                return Outcome::Again(if is_sent { Refusal::Broken(why) } else { Refusal::Unreachable(why) }, None);
            }
        };
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut body = Vec::new();
        loop {
            match answer.chunk().await {
                Ok(Some(part)) => {
                    body.extend_from_slice(&part);
                    if body.len() > MAX_ANSWER_BYTES {
                        return Outcome::Final(Refusal::Malformed(format!(
                            "it is longer than {MAX_ANSWER_BYTES} bytes"
                        )));
                    }
                }
                Ok(None) => break,
                Err(error) => return Outcome::Again(Refusal::Broken(self.harmless(&cause(&error))), None),
            }
        }
        if status.is_success() {
            return match self.read(ask, &body) {
                Ok(reply) => Outcome::Answered(reply),
                Err(refusal) => Outcome::Final(refusal),
            };
        }
        self.refused(status, &headers, &body, dialect)
    }

    /// What an answer says.
    fn read(&self, ask: &Ask<'_>, body: &[u8]) -> Result<Reply, Refusal> {
        let malformed = |why: &str| Refusal::Malformed(why.to_owned());
        let text = String::from_utf8_lossy(body);
        if text.trim_start().starts_with('<') {
            return Err(malformed("it is a page for people; see whether the address is that of the API"));
        }
        let answer: Value = serde_json::from_slice(body).map_err(|_| malformed("it is not JSON"))?;
        let asked = self.address.answers_as.as_ref().unwrap_or(&self.address.model);
        if let Some(model) = answer["model"].as_str()
            && !is_same_model(asked, model)
        {
            let answered = self.harmless(model);
            return Err(Refusal::OtherModel { asked: asked.clone(), answered });
        }
        let choice = &answer["choices"][0];
        let is_cut = choice["finish_reason"] == "length";
        let content = match choice["message"]["content"].as_str() {
            Some(content) => content,
            // Whoever thinks in secret may have no room left to speak.
            None if is_cut => "",
            None => return Err(malformed("it holds no text")),
        };
        // Some models think aloud first.
        let text = content.rsplit_once("</think>").map_or(content, |(_, said)| said).to_owned();
        let bytes: usize = ask.messages.iter().map(|message| message.content.len()).sum();
        let read: usize = ask.messages.iter().map(|message| self.count(&message.content)).sum();
        let written = self.count(content);
        let usage = |name: &str, bytes: usize, own: usize, most: usize| {
            let least = bytes.div_ceil(MAX_BYTES_A_TOKEN) as u64;
            let most = (most * MAX_TIMES_EXPECTED) as u64;
            answer["usage"][name].as_u64().unwrap_or(own as u64).clamp(least, most.max(least))
        };
        Ok(Reply {
            prompt_tokens: usage("prompt_tokens", bytes, read, read.max(bytes)),
            completion_tokens: usage("completion_tokens", content.len(), written, written.max(ask.max_tokens)),
            text,
            is_cut,
        })
    }

    fn refused(&self, status: StatusCode, headers: &HeaderMap, body: &[u8], dialect: Dialect) -> Outcome {
        let said = said(body);
        let refusal = Refusal::Refused { status: status.as_u16(), message: self.harmless(&said) };
        // A form that a server does not know may make it fail in place of refusing.
        let is_about_form = names_the_form(&said) && dialect.format != Format::Words;
        if status == StatusCode::INTERNAL_SERVER_ERROR && is_about_form {
            let format = match dialect.format {
                Format::Schema => Format::ObjectOfSchema,
                Format::ObjectOfSchema => Format::Object,
                Format::Object | Format::Words => Format::Words,
            };
            if format != dialect.format {
                return Outcome::Otherwise(refusal, Dialect { format, ..dialect });
            }
        }
        if matches!(status.as_u16(), 408 | 409 | 425 | 429 | 500 | 502 | 503 | 504 | 529) {
            return Outcome::Again(refusal, wait(headers));
        }
        let is_about = |word: &str| said.contains(word);
        let mut other = dialect;
        if matches!(status.as_u16(), 400 | 404 | 415 | 422 | 501) {
            match () {
                () if is_about("max_completion_tokens") && !dialect.has_new_limit => other.has_new_limit = true,
                () if (is_about("temperature") || is_about("seed")) && !dialect.has_no_temperature => {
                    other.has_no_temperature = true;
                }
                () if is_about_form => {
                    other.format = match dialect.format {
                        Format::Schema | Format::ObjectOfSchema => Format::Object,
                        Format::Object | Format::Words => Format::Words,
                    };
                }
                () => {}
            }
        }
        if other == dialect { Outcome::Final(refusal) } else { Outcome::Otherwise(refusal, other) }
    }

    /// A text for people, without the key and without what a terminal would obey.
    fn harmless(&self, text: &str) -> String {
        const MAX_CHARS: usize = 300;
        let text = match self.address.key.is_empty() {
            true => text.to_owned(),
            false => text.replace(&self.address.key, "***"),
        };
        visible(&redacted(&text).0).chars().take(MAX_CHARS).collect()
    }
}

/// What one attempt came to.
enum Outcome {
    Answered(Reply),
    /// It may work later: after so long, if the server says so.
    Again(Refusal, Option<Duration>),
    /// It may work if it is said otherwise.
    Otherwise(Refusal, Dialect),
    Final(Refusal),
}

#[async_trait]
impl Model for OpenAi {
    fn name(&self) -> &str {
        &self.address.model
    }

    fn fingerprint(&self) -> String {
        self.endpoint.to_string()
    }

    fn context_tokens(&self) -> usize {
        self.address.context_tokens
    }

    fn count(&self, text: &str) -> usize {
        self.counter.as_ref().map_or_else(|| text.len().div_ceil(BYTES_A_TOKEN), |counter| counter.count(text))
    }

    fn parallel(&self) -> usize {
        PARALLEL
    }

    fn key(&self) -> &str {
        &self.address.key
    }

    fn beside(&self, shape: &Shape, max_tokens: usize) -> Value {
        self.body(shape, max_tokens, *self.dialect())
    }

    async fn answer(&self, ask: &Ask<'_>) -> Result<Reply, Refusal> {
        let deadline = Instant::now() + ask.timeout;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let dialect = *self.dialect();
            let until = Instant::now() + attempt_time(deadline.saturating_duration_since(Instant::now()));
            let outcome = match patient(self.attempt(ask, dialect), until, ask.cancelled).await {
                Err(Refusal::TooSlow) if until < deadline => Outcome::Again(Refusal::TooSlow, Some(Duration::ZERO)),
                outcome => outcome?,
            };
            let (refusal, wait) = match outcome {
                Outcome::Answered(reply) => return Ok(reply),
                Outcome::Final(refusal) => return Err(refusal),
                Outcome::Otherwise(refusal, other) => {
                    let mut known = self.dialect();
                    *known = known.and(other);
                    drop(known);
                    (refusal, Duration::ZERO)
                }
                Outcome::Again(refusal, asked) => {
                    (refusal, asked.unwrap_or(Duration::from_millis(500 << attempts.min(4))))
                }
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if attempts >= MAX_ATTEMPTS || wait >= left || !(ask.again)(&refusal) {
                return Err(refusal);
            }
            patient(tokio::time::sleep(wait), deadline, ask.cancelled).await?;
        }
    }
}

/// How long an attempt may take of what is left for its question.
fn attempt_time(left: Duration) -> Duration {
    if left > ROOM_FOR_ANOTHER { left * 2 / 3 } else { left }
}

/// Waits for something as long as there is time and somebody wants it.
async fn patient<T>(work: impl Future<Output = T>, deadline: Instant, cancelled: &AtomicBool) -> Result<T, Refusal> {
    let mut work = std::pin::pin!(work);
    loop {
        if cancelled.load(Ordering::SeqCst) {
            return Err(Refusal::Cancelled);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Refusal::TooSlow);
        }
        if let Ok(done) = tokio::time::timeout(left.min(TICK), work.as_mut()).await {
            return Ok(done);
        }
    }
}

/// Whether two names are of one model: servers add dates, tags, folders and file endings. Whatever else is longer names
/// another one, as `-mini` does.
fn is_same_model(asked: &str, answered: &str) -> bool {
    let plain = |name: &str| {
        let name = name.rsplit(['/', '\\']).next().unwrap_or(name).to_lowercase();
        let name = name.trim_end_matches(".gguf").trim_end_matches(":latest");
        // What is latest has another name in the answer: that of its day.
        name.strip_suffix("-latest").unwrap_or(name).to_owned()
    };
    let (asked, answered) = (plain(asked), plain(answered));
    let more = answered.strip_prefix(&*asked).or_else(|| asked.strip_prefix(&*answered));
    answered.is_empty() || more.is_some_and(is_addition)
}

/// Whether what one name has more than another is a tag (`:7b`), a date (`-2024-07-18`, `-0613`), `-latest`, or how the
/// weights are kept (`-q4_k_m`).
fn is_addition(more: &str) -> bool {
    if more.is_empty() || more.strip_prefix(':').is_some_and(|tag| !tag.is_empty() && !tag.contains(':')) {
        return true;
    }
    let Some(rest) = more.strip_prefix(['-', '.', '@', '_']) else { return false };
    let parts: Vec<&str> = rest.split(['-', '.', '@', '_']).collect();
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if parts.iter().all(|part| is_number(part)) {
        let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
        return matches!(lengths[..], [8] | [6] | [4] | [4, 2, 2] | [4, 2] | [2, 2]);
    }
    let is_width = |part: &str| part.strip_prefix("iq").or(part.strip_prefix('q')).is_some_and(is_number);
    match parts[0] {
        "latest" | "gguf" | "fp16" | "bf16" | "f16" | "f32" | "fp8" | "int8" | "int4" | "awq" | "gptq" => {
            parts.len() == 1
        }
        first => {
            is_width(first) && parts[1..].iter().all(|part| matches!(*part, "0" | "1" | "k" | "xs" | "s" | "m" | "l"))
        }
    }
}

/// How long a server asks to wait: seconds, or a date.
fn wait(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds.max(0.0)).ok();
    }
    let date = jiff::fmt::rfc2822::parse(&text.replace("GMT", "+0000")).ok()?.timestamp();
    let seconds = date.as_second().saturating_sub(jiff::Timestamp::now().as_second()).max(0);
    Some(Duration::from_secs(seconds.unsigned_abs()))
}

/// A schema without the limits of length that not every server knows; answers are measured here.
fn unbounded(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            let kept = members.iter().filter(|(name, _)| !matches!(&***name, "maxLength" | "maxItems"));
            Value::Object(kept.map(|(name, member)| (name.clone(), unbounded(member))).collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(unbounded).collect()),
        other => other.clone(),
    }
}

/// What a refusal says, where it is in any of the usual places.
fn said(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(16 << 10)]).into_owned();
    let Ok(value) = serde_json::from_str::<Value>(&text) else {
        return if text.trim_start().starts_with('<') { "a page for people".into() } else { text };
    };
    let places = [&value["error"]["message"], &value["message"], &value["detail"], &value["error"]];
    places.into_iter().find_map(Value::as_str).map_or(text, str::to_owned)
}

/// Whether a refusal is about the form that an answer was asked for in. What is too long, or of another kind, is no less so
/// in another form.
fn names_the_form(said: &str) -> bool {
    const NAMES: [&str; 7] = [
        "response_format",
        "response format",
        "json_schema",
        "json_object",
        "json schema",
        "grammar",
        "structured output",
    ];
    let said = said.to_lowercase();
    NAMES.iter().any(|name| said.contains(name))
}

/// The innermost cause of an error, which names what happened.
fn cause(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests;
