//! Client: requests to GitHub's API, one at a time, within a budget. The only room with octocrab.
//!
//! octocrab's own retries are not compiled in: they repeat a POST that may have been done, and do not wait as long as
//! GitHub asks. Reads are repeated here. A write whose outcome is unknown is never repeated blindly: it is reported as
//! [`Failure::Doubtful`], and whoever wrote reads back. Redirects are not followed, so the token stays where it was sent.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use octocrab::Octocrab;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A larger answer is not read to its end.
const MAX_ANSWER_BYTES: usize = 32 << 20;
/// Entries of a page; GitHub gives no more.
pub const PAGE: usize = 100;
/// Attempts of a read, the first one included.
const MAX_ATTEMPTS: u32 = 4;
/// What GitHub asks to wait when it names no time.
const UNNAMED_WAIT: Duration = Duration::from_secs(60);
/// The version of the API that is asked for.
const API_VERSION: &str = "2022-11-28";

/// Where and how to ask.
#[derive(Clone)]
pub struct Settings {
    /// The API's address, as `GITHUB_API_URL` has it; GitHub Enterprise's ends in `/api/v3`.
    pub api: String,
    /// The token; never printed.
    pub token: String,
    /// Requests in all.
    pub max_requests: u32,
    /// Seconds of waiting for limits and for a server that fails, in all.
    pub max_wait: Duration,
    /// Time for everything.
    pub deadline: Duration,
    /// Time for one answer.
    pub timeout: Duration,
    /// How to wait.
    pub sleep: Arc<dyn Fn(Duration) + Send + Sync>,
}

impl Settings {
    /// The defaults for an address and a token.
    pub fn new(api: impl Into<String>, token: impl Into<String>) -> Settings {
        Settings {
            api: api.into(),
            token: token.into(),
            max_requests: 200,
            max_wait: Duration::from_secs(180),
            deadline: Duration::from_secs(300),
            timeout: Duration::from_secs(30),
            sleep: Arc::new(std::thread::sleep),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Settings").field("api", &self.api).finish_non_exhaustive()
    }
}

/// Why GitHub did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It said no; nothing was done.
    #[error("github answered {status} to {request}: {message}")]
    Refused {
        /// What was asked.
        request: String,
        /// The HTTP status.
        status: u16,
        /// GitHub's message, made harmless.
        message: String,
    },
    /// It asked to wait longer than this run may.
    #[error("github's rate limit lasts for {seconds} more seconds, which is longer than this run may wait")]
    RateLimited {
        /// Seconds until it ends.
        seconds: u64,
    },
    /// A write was sent, and nobody knows whether it was done.
    #[error("{request} may or may not have been done: {why}")]
    Doubtful {
        /// What was asked.
        request: String,
        /// What happened.
        why: String,
    },
    /// No answer.
    #[error("no answer to {request}: {why}")]
    Unreachable {
        /// What was asked.
        request: String,
        /// What happened.
        why: String,
    },
    /// An answer that is not what GitHub sends.
    #[error("the answer to {request} is not what github sends: {why}")]
    Malformed {
        /// What was asked.
        request: String,
        /// What is wrong.
        why: String,
    },
    /// The run's own limit.
    #[error("this run may make {0} requests and has made them")]
    OverBudget(u32),
    /// The run's own time.
    #[error("this run may take {0} seconds and has taken them")]
    OutOfTime(u64),
    /// An address or a token that cannot be used.
    #[error("the {0} cannot be used")]
    Settings(&'static str),
}

impl Failure {
    /// What to do about it, if that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Failure::Refused { status: 401, .. } => Some("the token is wrong or has expired".into()),
            Failure::Refused { status: 403, .. } => {
                Some("the job needs `permissions: pull-requests: write`, which a pull request from a fork never gets; see workflows/review.yml".into())
            }
            Failure::Refused { status: 404, .. } => {
                Some("the repository or the pull request is not there for this token".into())
            }
            Failure::RateLimited { .. } => Some("run it again when the limit has ended".into()),
            Failure::Unreachable { .. } => Some("see whether the API's address is right: GITHUB_API_URL".into()),
            _ => None,
        }
    }

    /// Whether it is a limit of this run's own that ended it, and not the request.
    pub fn is_limit(&self) -> bool {
        matches!(self, Failure::OverBudget(_) | Failure::OutOfTime(_) | Failure::RateLimited { .. })
    }

    /// The HTTP status of a refusal.
    pub fn status(&self) -> Option<u16> {
        match self {
            Failure::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}

/// An answer with a status of success.
struct Answer {
    headers: HeaderMap,
    body: Vec<u8>,
}

/// What one attempt came to.
enum Attempt {
    Answered(Answer),
    /// It asked to wait; nothing was done.
    Wait(Duration),
    /// It failed, and what it did is unknown.
    Unknown(String),
    Refused(u16, String),
}

/// A connection to GitHub.
pub struct Client {
    octocrab: Octocrab,
    runtime: tokio::runtime::Runtime,
    settings: Settings,
    started: Instant,
    requests: Cell<u32>,
    waited: Cell<Duration>,
}

impl Client {
    /// Connects when the first request is made.
    ///
    /// # Errors
    /// [`Failure::Settings`] for an address or a token that cannot stand in a request.
    pub fn new(settings: Settings) -> Result<Client, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|_| Failure::Settings("network"))?;
        if !settings.token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Failure::Settings("token"));
        }
        let mut builder = Octocrab::builder()
            .base_uri(settings.api.trim_end_matches('/'))
            .map_err(|_| Failure::Settings("address of the API"))?
            .set_connect_timeout(Some(settings.timeout))
            .set_read_timeout(Some(settings.timeout))
            .set_write_timeout(Some(settings.timeout))
            .add_header(http::header::ACCEPT, "application/vnd.github+json".to_owned())
            .add_header(http::HeaderName::from_static("x-github-api-version"), API_VERSION.to_owned());
        if !settings.token.is_empty() {
            builder = builder.personal_token(settings.token.clone());
        }
        // The connections belong to the runtime.
        let octocrab = {
            let _guard = runtime.enter();
            builder.build().map_err(|_| Failure::Settings("address of the API"))?
        };
        Ok(Client {
            octocrab,
            runtime,
            settings,
            started: Instant::now(),
            requests: Cell::new(0),
            waited: Cell::new(Duration::ZERO),
        })
    }

    /// Requests made so far, repeated ones included.
    pub fn requests(&self) -> u32 {
        self.requests.get()
    }

    /// Requests that this run may still make.
    pub fn left(&self) -> u32 {
        self.settings.max_requests.saturating_sub(self.requests.get())
    }

    /// Reads one object.
    ///
    /// # Errors
    /// Any [`Failure`] but a doubtful one.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let answer = self.read(&Method::GET, path, None)?;
        parse(&format!("GET {path}"), &answer.body)
    }

    /// Reads a list, page after page, until one is not full, `enough` says so, or `max_pages` are read. The second value
    /// is true when there may be more.
    ///
    /// Pages are counted here and links are not followed, so that a repeated or a foreign link leads nowhere.
    ///
    /// # Errors
    /// Any [`Failure`] but a doubtful one.
    pub fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        max_pages: usize,
        enough: impl Fn(&[T]) -> bool,
    ) -> Result<(Vec<T>, bool), Failure> {
        let (mut all, mut page) = (Vec::new(), 1);
        let mut more = true;
        while more && page <= max_pages && !(page > 1 && enough(&all)) {
            more = self.page(path, page, &mut all)?;
            page += 1;
        }
        Ok((all, more))
    }

    /// Reads a list likewise, and keeps what was read where a limit of this run ends it; unless that is nothing.
    ///
    /// # Errors
    /// Any [`Failure`] but a doubtful one.
    pub fn list_within<T: DeserializeOwned>(&self, path: &str, max_pages: usize) -> Result<(Vec<T>, bool), Failure> {
        let (mut all, mut page) = (Vec::new(), 1);
        let mut more = true;
        while more && page <= max_pages {
            more = match self.page(path, page, &mut all) {
                Err(failure) if failure.is_limit() && !all.is_empty() => break,
                read => read?,
            };
            page += 1;
        }
        Ok((all, more))
    }

    /// Reads one page of a list; whether there is another.
    fn page<T: DeserializeOwned>(&self, path: &str, page: usize, all: &mut Vec<T>) -> Result<bool, Failure> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let path = format!("{path}{separator}per_page={PAGE}&page={page}");
        let answer = self.read(&Method::GET, &path, None)?;
        let entries: Vec<T> = parse(&format!("GET {path}"), &answer.body)?;
        let is_last = entries.len() < PAGE || !names_next(&answer.headers);
        all.extend(entries);
        Ok(!is_last)
    }

    /// Writes once. When GitHub asks to wait, nothing was done, so it is waited for and written then.
    ///
    /// # Errors
    /// [`Failure::Doubtful`] when it may have been done.
    pub fn write<T: DeserializeOwned>(
        &self,
        method: &Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, Failure> {
        let request = format!("{method} {path}");
        let body = body.map(|body| serde_json::to_string(body).expect("because a body of ours can be written as JSON"));
        for _ in 0..MAX_ATTEMPTS {
            match self.attempt(method, path, body.as_deref())? {
                Attempt::Answered(answer) => {
                    let body: &[u8] = if answer.body.is_empty() { b"null" } else { &answer.body };
                    return parse(&request, body)
                        .map_err(|failure| Failure::Doubtful { request: request.clone(), why: failure.to_string() });
                }
                Attempt::Wait(time) => self.wait(time)?,
                Attempt::Unknown(why) => return Err(Failure::Doubtful { request, why }),
                Attempt::Refused(status, message) => return Err(Failure::Refused { request, status, message }),
            }
        }
        Err(Failure::RateLimited { seconds: 0 })
    }

    /// Asks GraphQL, at this path. A query is sent as a write is, and is a read: it may be asked again.
    ///
    /// # Errors
    /// Any [`Failure`] but a doubtful one; [`Failure::Refused`] too where the answer has errors.
    pub fn query<T: DeserializeOwned>(&self, path: &str, query: &impl Serialize) -> Result<T, Failure> {
        #[derive(serde::Deserialize)]
        struct Answered<T> {
            data: Option<T>,
            #[serde(default)]
            errors: Vec<QueryError>,
        }
        #[derive(serde::Deserialize)]
        struct QueryError {
            message: String,
        }
        let request = format!("POST {path}");
        let body = serde_json::to_string(query).expect("because a query of ours can be written as JSON");
        let answer = self.read(&Method::POST, path, Some(&body))?;
        match parse::<Answered<T>>(&request, &answer.body)? {
            Answered { errors, .. } if !errors.is_empty() => {
                let message = self.harmless(&errors[0].message);
                Err(Failure::Refused { request, status: StatusCode::OK.as_u16(), message })
            }
            Answered { data: Some(data), .. } => Ok(data),
            Answered { data: None, .. } => Err(Failure::Malformed { request, why: "it has no data".into() }),
        }
    }

    fn read(&self, method: &Method, path: &str, body: Option<&str>) -> Result<Answer, Failure> {
        let request = format!("{method} {path}");
        let mut last = String::new();
        for attempt in 0..MAX_ATTEMPTS {
            match self.attempt(method, path, body)? {
                Attempt::Answered(answer) => return Ok(answer),
                Attempt::Wait(time) => self.wait(time)?,
                Attempt::Refused(status, message) => return Err(Failure::Refused { request, status, message }),
                Attempt::Unknown(why) => {
                    last = why;
                    if attempt + 1 < MAX_ATTEMPTS {
                        self.pause(attempt)?;
                    }
                }
            }
        }
        Err(Failure::Unreachable { request, why: last })
    }

    /// Waits one, two, four seconds before what failed is tried again.
    ///
    /// # Errors
    /// [`Failure::RateLimited`] when this run may not wait that long.
    pub fn pause(&self, attempt: u32) -> Result<(), Failure> {
        self.wait(Duration::from_secs(1 << attempt.min(5)))
    }

    fn wait(&self, time: Duration) -> Result<(), Failure> {
        if self.waited.get() + time > self.settings.max_wait {
            return Err(Failure::RateLimited { seconds: time.as_secs() });
        }
        self.waited.set(self.waited.get() + time);
        (self.settings.sleep)(time);
        Ok(())
    }

    fn attempt(&self, method: &Method, path: &str, body: Option<&str>) -> Result<Attempt, Failure> {
        if self.requests.get() >= self.settings.max_requests {
            return Err(Failure::OverBudget(self.settings.max_requests));
        }
        let left = self.settings.deadline.saturating_sub(self.started.elapsed());
        if left.is_zero() {
            return Err(Failure::OutOfTime(self.settings.deadline.as_secs()));
        }
        self.requests.set(self.requests.get() + 1);
        let mut request = Request::builder().method(method).uri(path);
        if body.is_some() {
            request = request.header(http::header::CONTENT_TYPE, "application/json");
        }
        let request =
            request.body(body.unwrap_or("").to_owned()).map_err(|_| Failure::Settings("path of a request"))?;
        let answered = self.runtime.block_on(async {
            tokio::time::timeout(left.min(self.settings.timeout), async {
                let answer = self.octocrab.execute(request).await.map_err(|error| cause(&error))?;
                let (parts, body) = answer.into_parts();
                let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await.map_err(|error| cause(&*error))?;
                Ok::<_, String>((parts, body.to_bytes().to_vec()))
            })
            .await
            .unwrap_or_else(|_| Err("it took too long".to_owned()))
        });
        Ok(match answered {
            Err(why) => Attempt::Unknown(self.harmless(&why)),
            Ok((parts, body)) => self.judged(parts.status, parts.headers, body),
        })
    }

    fn judged(&self, status: StatusCode, headers: HeaderMap, body: Vec<u8>) -> Attempt {
        if status.is_success() {
            return Attempt::Answered(Answer { headers, body });
        }
        let message = self.harmless(&message(status, &headers, &body));
        let is_limit = status == StatusCode::TOO_MANY_REQUESTS
            || status == StatusCode::FORBIDDEN
                && (headers.contains_key("retry-after")
                    || header(&headers, "x-ratelimit-remaining") == Some(0)
                    || message.contains("rate limit"));
        if is_limit {
            return Attempt::Wait(asked_wait(&headers));
        }
        if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT {
            return Attempt::Unknown(format!("{}: {message}", status.as_u16()));
        }
        Attempt::Refused(status.as_u16(), message)
    }

    /// A text for people, without the token and without what a terminal or a runner would obey.
    fn harmless(&self, text: &str) -> String {
        const MAX_CHARS: usize = 300;
        let text =
            if self.settings.token.is_empty() { text.to_owned() } else { text.replace(&self.settings.token, "***") };
        crate::render::visible(&text).chars().take(MAX_CHARS).collect()
    }
}

/// How long GitHub asks to wait: `retry-after`, then the reset of its limit, else a minute.
fn asked_wait(headers: &HeaderMap) -> Duration {
    if let Some(seconds) = header(headers, "retry-after") {
        return Duration::from_secs(seconds);
    }
    let now = jiff::Timestamp::now().as_second();
    match header(headers, "x-ratelimit-reset").and_then(|reset| i64::try_from(reset).ok()) {
        // A second more, since clocks differ.
        Some(reset) if header(headers, "x-ratelimit-remaining") == Some(0) => {
            Duration::from_secs(reset.saturating_sub(now).max(0).unsigned_abs() + 1)
        }
        _ => UNNAMED_WAIT,
    }
}

fn header(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// Whether there is another page. GitHub says so in `Link` wherever there is.
fn names_next(headers: &HeaderMap) -> bool {
    match headers.get(http::header::LINK).and_then(|link| link.to_str().ok()) {
        Some(link) => link.contains("rel=\"next\""),
        None => false,
    }
}

/// GitHub's message, or what stands in its place.
fn message(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Refusal {
        message: String,
        #[serde(default)]
        errors: serde_json::Value,
    }
    if status.is_redirection() {
        return "it was moved elsewhere, and redirects are not followed".to_owned();
    }
    match serde_json::from_slice::<Refusal>(body) {
        Ok(refusal) if refusal.errors.is_null() => refusal.message,
        Ok(refusal) => format!("{} {}", refusal.message, refusal.errors),
        Err(_) => {
            let kind = headers.get(http::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("nothing");
            format!("an answer of {kind} in place of JSON")
        }
    }
}

fn parse<T: DeserializeOwned>(request: &str, body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| Failure::Malformed {
        request: request.to_owned(),
        why: crate::render::visible(&error.to_string()),
    })
}

/// An error with everything that caused it; octocrab's own text says little.
fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(&format!(": {inner_text}"));
        }
        source = inner.source();
    }
    text
}

/// A path segment, percent-encoded.
pub fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_encoded() {
        assert_eq!(segment("a b/ü%"), "a%20b%2F%C3%BC%25");
    }

    #[test]
    fn waits_are_as_long_as_github_asks() {
        let check = |pairs: &[(&'static str, String)], seconds: std::ops::RangeInclusive<u64>| {
            let headers = pairs
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().expect("a value")));
            assert!(seconds.contains(&asked_wait(&headers.collect()).as_secs()));
        };
        let reset = jiff::Timestamp::now().as_second() + 7200;
        check(&[("retry-after", "7".into())], 7..=7);
        check(&[("x-ratelimit-remaining", "0".into()), ("x-ratelimit-reset", reset.to_string())], 7195..=7202);
        check(&[], 60..=60);
        check(&[("retry-after", "soon".into())], 60..=60);
    }

    #[test]
    fn the_token_is_never_part_of_what_is_printed() {
        let settings = Settings::new("https://api.github.com", "ghs_secret");
        assert!(!format!("{settings:?}").contains("secret"));
        let client = Client::new(settings).expect("a client");
        assert_eq!(client.harmless("bad ghs_secret\n::add-mask::x"), "bad *** ::add-mask::x");
    }
}
