//! A small stateful GitHub: pull request, files, reviews, comments, and the rules that it enforces on them.
//!
//! The rules are those of GitHub's documentation, and of what other bots ran into; docs/github.md lists them. Answers take
//! the shape of GitHub's own examples where `PRECEDENT_CONTRACT` names a file of them, so that its API description can
//! check them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use serde_json::{Value, json};

use super::chain::Gate;
use super::http::{Request, Response, header};
use super::{git_data, graph};

pub(crate) const REPOSITORY: &str = "octo/hello";
pub(crate) const NUMBER: u64 = 7;
pub(crate) const AUTHOR: &str = "github-actions[bot]";
pub(crate) const TOKEN: &str = "ghs_test0123456789abcdefghijkl";
/// What the pull request does to its file, and what it does after a push.
const PATCH: &str = "@@ -2,7 +2,7 @@ fn a\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8";
const PUSHED_PATCH: &str = "@@ -2,7 +2,7 @@ fn a\n 2\n 3\n 4\n-5\n+cinq\n 6\n 7\n 8";
/// GitHub lists no more files of a pull request.
const MAX_FILES: usize = 3_000;
/// GitHub's own limit.
const MAX_BODY_CHARS: usize = 65_536;

/// Everything that is on GitHub.
pub(crate) struct State {
    pub(crate) head: String,
    pub(crate) pull_state: String,
    /// `filename`, `status`, `patch` and so on.
    pub(crate) files: Vec<Value>,
    /// The same of files whose lines take comments although the list of files does not show them.
    pub(crate) unshown: Vec<Value>,
    pub(crate) reviews: Vec<Value>,
    pub(crate) comments: Vec<Value>,
    pub(crate) issue_comments: Vec<Value>,
    /// Review comments of all other pull requests.
    pub(crate) past_comments: Vec<Value>,
    /// Pull requests that were merged, with the commits that brought them in.
    pub(crate) merged: HashMap<u64, String>,
    /// Pull requests that were closed without.
    pub(crate) closed: Vec<u64>,
    /// Conversations that GraphQL tells of, by pull request.
    pub(crate) threads: Vec<(u64, Value)>,
    /// The repository whose objects are given.
    pub(crate) repository: Option<PathBuf>,
    /// Whether every page of a list is its first, with a link to itself.
    pub(crate) repeats_pages: bool,
    /// Whether a list of all trees is cut off.
    pub(crate) truncates: bool,
    /// Whether the token may write.
    pub(crate) may_write: bool,
    /// Refuse every comment on a line, whatever the rules say.
    pub(crate) refuses_comments: bool,
    /// What was asked, and how it was answered.
    pub(crate) log: Vec<(String, String, u16)>,
    next_id: u64,
}

pub(crate) struct GitHub {
    state: Arc<Mutex<State>>,
    gate: Gate,
}

impl GitHub {
    /// An open pull request with one file: lines 1 to 9, of which 5 is replaced.
    pub(crate) fn new(head: &str) -> GitHub {
        Self::with(head, false)
    }

    /// The same without Prism before it, for tests whose requests are those of many others and that make thousands.
    pub(crate) fn straight(head: &str) -> GitHub {
        Self::with(head, true)
    }

    fn with(head: &str, straight: bool) -> GitHub {
        let state = State {
            head: head.to_owned(),
            pull_state: "open".into(),
            files: vec![file("src/a.rs", Some(PATCH))],
            unshown: Vec::new(),
            reviews: Vec::new(),
            comments: Vec::new(),
            issue_comments: Vec::new(),
            past_comments: Vec::new(),
            merged: HashMap::new(),
            closed: Vec::new(),
            threads: Vec::new(),
            repository: None,
            repeats_pages: false,
            truncates: false,
            may_write: true,
            refuses_comments: false,
            log: Vec::new(),
            next_id: 100,
        };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let gate = Gate::new(straight, move |request| shared.lock().expect("the state").handle(request));
        GitHub { state, gate }
    }

    /// The address of its gate.
    pub(crate) fn address(&self) -> &str {
        self.gate.address()
    }

    /// Says that an answer, and no request, is not what GitHub's description has; a part of what is said against it.
    pub(crate) fn plant(&self, part: &str) {
        self.gate.plant(part);
    }

    /// Requests that were held against GitHub's description.
    pub(crate) fn checked(&self) -> usize {
        self.gate.checked()
    }

    pub(crate) fn api(&self) -> String {
        format!("http://{}", self.address())
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("the state")
    }
}

pub(crate) fn file(path: &str, patch: Option<&str>) -> Value {
    let mut file = json!({"sha": "bbcd538c8e72b8c175046e27cc8f907076331401", "filename": path, "status": "modified", "additions": 1, "deletions": 1, "changes": 2});
    if let Some(patch) = patch {
        file["patch"] = patch.into();
    }
    file
}

pub(crate) fn user(login: &str) -> Value {
    json!({"login": login, "id": 1, "type": "Bot"})
}

impl State {
    fn handle(&mut self, request: &Request) -> Response {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        // GitHub Enterprise answers below this path.
        let path = path.strip_prefix("/api/v3").unwrap_or(path);
        let response = self.route(request, path, query);
        self.log.push((request.method.clone(), request.target.clone(), response.status));
        response
    }

    fn route(&mut self, request: &Request, path: &str, query: &str) -> Response {
        let authorised = header(&request.headers, "authorization").is_some_and(|value| value.ends_with(TOKEN));
        if !authorised {
            return refusal(401, "Bad credentials");
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
        if let ("POST", "/graphql" | "/api/graphql") = (&*request.method, path) {
            return Response::json(200, &graph::answered(&body, REPOSITORY, &self.threads));
        }
        let Some(rest) = path.strip_prefix(&format!("/repos/{REPOSITORY}/")) else { return refusal(404, "Not Found") };
        let parts: Vec<&str> = rest.split('/').collect();
        let number = NUMBER.to_string();
        if request.method != "GET" && !self.may_write {
            return refusal(403, "Resource not accessible by integration");
        }
        match (&*request.method, &*parts) {
            ("GET", ["pulls", n]) if *n == number => Response::json(200, &self.pull()),
            ("GET", ["pulls", "comments"]) => self.past(path, query),
            ("GET", ["pulls", n]) if self.merged.contains_key(&n.parse().unwrap_or(0)) => {
                let number: u64 = n.parse().unwrap_or(0);
                let merged = json!({
                    "number": number, "state": "closed", "merged": true, "merged_at": "2020-01-01T00:00:00Z",
                    "merge_commit_sha": self.merged[&number],
                });
                Response::json(200, &shaped("pull", merged))
            }
            ("GET", ["pulls", n]) if self.closed.iter().any(|closed| closed.to_string() == *n) => {
                let number: u64 = n.parse().unwrap_or(0);
                let closed = json!({"number": number, "state": "closed", "merged": false, "merged_at": null});
                Response::json(200, &shaped("pull", closed))
            }
            ("GET", ["pulls", n, "files"]) if *n == number => {
                self.page(&self.files[..self.files.len().min(MAX_FILES)], "file", path, query)
            }
            ("GET", ["pulls", n, "reviews"]) if *n == number => self.page(&self.reviews, "review", path, query),
            ("GET", ["pulls", n, "comments"]) if *n == number => self.page(&self.comments, "comment", path, query),
            ("GET", ["pulls", n, "comments"]) if self.past_comments.iter().any(|comment| is_of(comment, n)) => {
                let own: Vec<Value> = self.past_comments.iter().filter(|comment| is_of(comment, n)).cloned().collect();
                self.page(&own, "comment", path, query)
            }
            ("GET", ["issues", n, "comments"]) if *n == number => {
                self.page(&self.issue_comments, "issue-comment", path, query)
            }
            ("POST", ["pulls", n, "reviews"]) if *n == number => self.create_review(&body),
            ("POST", ["issues", n, "comments"]) if *n == number => self.create_issue_comment(&body),
            ("DELETE", ["pulls", n, "reviews", id]) if *n == number => self.delete_review(id),
            ("PATCH", ["issues", "comments", id]) => edit(&mut self.issue_comments, id, &body, "issue-comment"),
            ("PATCH", ["pulls", "comments", id]) => edit(&mut self.comments, id, &body, "comment"),
            ("GET", ["git", ..] | ["compare", ..]) => {
                let repository = self.repository.as_deref();
                let given =
                    repository.and_then(|repository| git_data::given(repository, &parts, query, self.truncates));
                given.map_or_else(
                    || refusal(404, "Not Found"),
                    |(kind, value)| Response::json(200, &shaped(kind, value)),
                )
            }
            _ => refusal(404, "Not Found"),
        }
    }

    /// Comments by the time of their last edit, as `sort=updated&direction=asc` asks for.
    fn past(&self, path: &str, query: &str) -> Response {
        let since = query.split('&').find_map(|pair| pair.strip_prefix("since=")).unwrap_or("");
        let updated = |comment: &Value| comment["updated_at"].as_str().unwrap_or("").to_owned();
        let mut comments: Vec<Value> =
            self.past_comments.iter().filter(|comment| updated(comment).as_str() >= since).cloned().collect();
        comments.sort_by_key(updated);
        self.page(&comments, "comment", path, query)
    }

    fn pull(&self) -> Value {
        let mut pull = shaped("pull", json!({"number": NUMBER, "state": self.pull_state, "merged": false}));
        if pull["head"].is_null() {
            pull["head"] = json!({});
        }
        pull["head"]["sha"] = self.head.clone().into();
        pull
    }

    fn page(&self, entries: &[Value], kind: &str, path: &str, query: &str) -> Response {
        let query: HashMap<&str, &str> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        let number = |name: &str, default: usize| query.get(name).and_then(|v| v.parse().ok()).unwrap_or(default);
        let page = if self.repeats_pages { 1 } else { number("page", 1) };
        let size = number("per_page", 30).min(100);
        let start = (page - 1) * size;
        let shown: Vec<Value> =
            entries.iter().skip(start).take(size).map(|entry| without_nulls(as_given(kind, entry))).collect();
        let response = Response::json(200, &shown.into());
        if self.repeats_pages {
            return response.with("link", &format!("<http://evil.example{path}?page=1>; rel=\"next\""));
        }
        if start + size < entries.len() {
            // A link to another host, which nobody may follow.
            let link = format!("<http://evil.example{path}?per_page={size}&page={}>; rel=\"next\"", page + 1);
            return response.with("link", &link);
        }
        response
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn create_review(&mut self, body: &Value) -> Response {
        if let Err(why) = self.accepts_review(body) {
            return unprocessable(&why);
        }
        let state = match body["event"].as_str() {
            None => "PENDING",
            Some("COMMENT") => "COMMENTED",
            Some("APPROVE") => "APPROVED",
            Some(_) => "CHANGES_REQUESTED",
        };
        let id = self.id();
        let comments = body["comments"].as_array().cloned().unwrap_or_default();
        let is_too_many = comments.len() > 30;
        for comment in comments.iter().take(if is_too_many { 10 } else { comments.len() }) {
            let mut comment = comment.clone();
            comment["id"] = self.id().into();
            comment["user"] = user(AUTHOR);
            comment["pull_request_review_id"] = id.into();
            comment["original_commit_id"] = self.head.clone().into();
            comment["commit_id"] = self.head.clone().into();
            self.comments.push(comment);
        }
        let review = json!({
            "id": id, "user": user(AUTHOR), "body": body["body"].as_str().unwrap_or(""), "state": state,
            "commit_id": self.head,
        });
        self.reviews.push(review.clone());
        if is_too_many { refusal(502, "Server Error") } else { Response::json(200, &shaped("review", review)) }
    }

    fn accepts_review(&self, body: &Value) -> Result<(), String> {
        if self.reviews.iter().any(|review| review["state"] == "PENDING") {
            return Err("User can only have one pending review per pull request".into());
        }
        if body["commit_id"].as_str() != Some(&self.head) {
            return Err("The commit is not part of the pull request".into());
        }
        let comments = body["comments"].as_array().cloned().unwrap_or_default();
        let text = body["body"].as_str().unwrap_or("");
        if text.is_empty() && (comments.is_empty() || body["event"] != "COMMENT") {
            return Err("body can't be blank".into());
        }
        if text.chars().count() > MAX_BODY_CHARS {
            return Err("body is too long (maximum is 65536 characters)".into());
        }
        if self.refuses_comments && !comments.is_empty() {
            return Err("Line could not be resolved".into());
        }
        comments.iter().try_for_each(|comment| self.accepts_comment(comment))
    }

    fn accepts_comment(&self, comment: &Value) -> Result<(), String> {
        let allowed = ["path", "body", "line", "side", "start_line", "start_side"];
        if comment.as_object().expect("an object").keys().any(|key| !allowed.contains(&key.as_str())) {
            return Err("an unknown property".into());
        }
        let length = comment["body"].as_str().unwrap_or("").chars().count();
        if length == 0 || length > MAX_BODY_CHARS {
            return Err("the comment's body is blank or too long".into());
        }
        let all = self.files.iter().chain(&self.unshown).filter(|file| file["filename"] == comment["path"]);
        let Some(patch) = all.into_iter().find_map(|file| file["patch"].as_str()) else {
            return Err("Path could not be resolved".into());
        };
        let hunks = commentable(patch);
        let side = comment["side"].as_str().unwrap_or("RIGHT");
        let hunk_of = |side: &str, line: &Value| {
            let place = (side.to_owned(), line.as_u64().unwrap_or(0));
            hunks.iter().position(|hunk| hunk.contains(&place))
        };
        let Some(hunk) = hunk_of(side, &comment["line"]) else { return Err("Line could not be resolved".into()) };
        if !comment["start_line"].is_null() {
            let start_side = comment["start_side"].as_str().unwrap_or(side);
            let is_before = comment["start_line"].as_u64() < comment["line"].as_u64();
            if !is_before || hunk_of(start_side, &comment["start_line"]) != Some(hunk) {
                return Err("start_line must precede the end line in the same hunk".into());
            }
        }
        Ok(())
    }

    /// A push that changes the line that the pull request adds.
    pub(crate) fn push(&mut self, head: &str) {
        self.head = head.to_owned();
        self.files = vec![file("src/a.rs", Some(PUSHED_PATCH))];
    }

    /// What GitHub makes of a comment whose lines a push changed.
    pub(crate) fn outdate(&mut self, at: usize) {
        for key in ["line", "position"] {
            self.comments[at][key] = Value::Null;
        }
    }

    fn delete_review(&mut self, id: &str) -> Response {
        let Some(at) = self.reviews.iter().position(|review| is_called(review, id)) else {
            return refusal(404, "Not Found");
        };
        if self.reviews[at]["state"] != "PENDING" {
            return unprocessable("Can not delete a non-pending pull request review");
        }
        Response::json(200, &shaped("review", self.reviews.remove(at)))
    }

    fn create_issue_comment(&mut self, body: &Value) -> Response {
        let text = body["body"].as_str().unwrap_or("");
        if text.is_empty() || text.chars().count() > MAX_BODY_CHARS {
            return unprocessable("body is blank or too long");
        }
        let comment = json!({"id": self.id(), "user": user(AUTHOR), "body": text});
        self.issue_comments.push(comment.clone());
        Response::json(201, &shaped("issue-comment", comment))
    }

    /// All bodies that were written, and the states of all reviews.
    pub(crate) fn written(&self) -> String {
        let all = self.reviews.iter().chain(&self.comments).chain(&self.issue_comments);
        all.filter_map(|entry| entry["body"].as_str()).collect::<Vec<_>>().join("\n----\n")
    }

    /// Reviews that people can see.
    pub(crate) fn sent_reviews(&self) -> usize {
        self.reviews.iter().filter(|review| review["state"] == "COMMENTED").count()
    }

    pub(crate) fn count(&self, method: &str) -> usize {
        self.log.iter().filter(|(known, ..)| known == method).count()
    }
}

/// Whether a path names this entry.
fn is_called(entry: &Value, id: &str) -> bool {
    entry["id"].as_u64().is_some_and(|number| number.to_string() == id)
}

fn edit(entries: &mut [Value], id: &str, body: &Value, kind: &str) -> Response {
    match entries.iter_mut().find(|entry| is_called(entry, id)) {
        Some(entry) => {
            entry["body"] = body["body"].clone();
            Response::json(200, &without_nulls(shaped(kind, entry.clone())))
        }
        None => refusal(404, "Not Found"),
    }
}

pub(crate) fn refusal(status: u16, message: &str) -> Response {
    Response::json(status, &json!({"message": message, "documentation_url": "https://docs.github.com/rest"}))
}

fn unprocessable(why: &str) -> Response {
    Response::json(
        422,
        &json!({"message": "Unprocessable Entity", "errors": [why], "documentation_url": "https://docs.github.com/rest"}),
    )
}

/// For each hunk of a patch, the places that may carry a comment. Written apart from the program's own reader.
fn commentable(patch: &str) -> Vec<Vec<(String, u64)>> {
    let mut hunks: Vec<Vec<(String, u64)>> = Vec::new();
    let (mut old, mut new) = (0u64, 0u64);
    for line in patch.lines() {
        if let Some(rest) = line.strip_prefix("@@ -") {
            let numbers: Vec<u64> = rest.split([',', ' ', '+']).filter_map(|word| word.parse().ok()).collect();
            let has_old_count = rest.split(" +").next().is_some_and(|old| old.contains(','));
            old = numbers[0];
            new = numbers[if has_old_count { 2 } else { 1 }];
            hunks.push(Vec::new());
        } else if let Some(hunk) = hunks.last_mut() {
            match line.chars().next() {
                Some('+') => {
                    hunk.push(("RIGHT".into(), new));
                    new += 1;
                }
                Some('-') => {
                    hunk.push(("LEFT".into(), old));
                    old += 1;
                }
                Some('\\') => {}
                _ => {
                    hunk.push(("RIGHT".into(), new));
                    (old, new) = (old + 1, new + 1);
                }
            }
        }
    }
    hunks
}

/// GitHub's description has no null where a comment has no place, or is no answer; GitHub itself has.
fn without_nulls(mut entry: Value) -> Value {
    if let Some(entry) = entry.as_object_mut() {
        for key in ["in_reply_to_id", "line", "position"] {
            if entry.get(key).is_some_and(Value::is_null) {
                entry.remove(key);
            }
        }
    }
    entry
}

/// An entry in the shape of GitHub's example; a file has a patch only where it has one of its own.
fn as_given(kind: &str, entry: &Value) -> Value {
    let mut given = shaped(kind, entry.clone());
    if kind == "file"
        && entry["patch"].is_null()
        && let Some(given) = given.as_object_mut()
    {
        given.remove("patch");
    }
    given
}

/// An answer in the shape of GitHub's example of that kind, with our own values in it.
fn shaped(kind: &str, own: Value) -> Value {
    static EXAMPLES: OnceLock<Value> = OnceLock::new();
    let examples = EXAMPLES.get_or_init(|| match std::env::var("PRECEDENT_CONTRACT_EXAMPLES") {
        Ok(path) => serde_json::from_slice(&std::fs::read(path).expect("the examples")).expect("JSON"),
        Err(_) => json!({}),
    });
    let Some(example) = examples.get(kind).and_then(Value::as_object) else { return own };
    let mut merged = example.clone();
    for (key, value) in own.as_object().expect("an object") {
        match (merged.get_mut(key), value) {
            // A user of ours has few fields; the example's has all.
            (Some(Value::Object(known)), Value::Object(value)) => known.extend(value.clone()),
            _ => {
                merged.insert(key.clone(), value.clone());
            }
        }
    }
    Value::Object(merged)
}

/// Whether a comment is of the pull request with this number.
fn is_of(comment: &Value, number: &str) -> bool {
    comment["pull_request_url"].as_str().and_then(|url| url.rsplit('/').next()) == Some(number)
}
