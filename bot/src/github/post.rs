//! Post: a report to one review and one summary comment. The only place that writes to GitHub.
//!
//! What is there already is read first; a plan is made, which is pure; then it is carried out, and after every write
//! whose outcome is unknown it is read back. A second run on the same head says nothing that the first one said.

use std::collections::{HashMap, HashSet};

use http::Method;
use serde::{Deserialize, Serialize};

use super::client::{Client, Failure};
use super::comment;
use super::event::PullRequest;
use super::marker::Marker;
use super::patch;
use super::plan::{Known, Plan};
use super::report::{Finding, Report};
use super::settle::{self, Files, Open};
use crate::diff::FileDiff;
use crate::finding::Side;

/// Pages of comments and reviews that are looked through.
const MAX_PAGES: usize = 10;
/// Pages of files; GitHub has no more.
const MAX_FILE_PAGES: usize = 30;
/// Attempts of a write, each after reading back.
const MAX_WRITES: u32 = 3;
/// Comments that a run marks as settled, a request each; the next run goes on.
const MAX_SETTLED: usize = 4;

/// How to post.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The account that the token belongs to.
    pub author: String,
    /// Comments of one review.
    pub max_comments: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        // More than about thirty have been seen to be half posted.
        Settings { author: "github-actions[bot]".to_owned(), max_comments: 20 }
    }
}

/// Why nothing, or not everything, was posted.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// GitHub.
    #[error(transparent)]
    GitHub(#[from] Failure),
    /// A review that somebody else left unsent under this account.
    #[error("a pending review of `{0}` that is not ours keeps this one from being made")]
    ForeignPending(String),
    /// The token belongs to another account than was said.
    #[error("the token writes as `{actual}`, not as `{expected}`, so a later run would not know its own comments")]
    OtherAuthor {
        /// Who wrote.
        actual: String,
        /// Who was said to.
        expected: String,
    },
    /// What an earlier run left unsent cannot be taken away.
    #[error("a pending review that an earlier run left could not be deleted")]
    StillPending,
    /// Neither comments nor a review without them were taken.
    #[error("github refused the review with its comments and without them: {0}")]
    RefusedTwice(String),
    /// Tried as often as it may be.
    #[error("nobody knows whether the {0} was posted, and it is not there")]
    Lost(&'static str),
}

/// What became of the review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A review was posted, with this many comments.
    Posted {
        /// Comments on lines.
        comments: usize,
    },
    /// All findings were known from before, or there were none.
    NothingNew,
    /// This head had a review already.
    AlreadyReviewed,
    /// The pull request has moved on to this head, or was closed.
    Stale(String),
}

/// What was done.
#[derive(Debug, Clone)]
pub struct Posted {
    /// The review.
    pub outcome: Outcome,
    /// `created`, `updated`, `unchanged` or `none`.
    pub summary: &'static str,
    /// Comments whose findings are gone.
    pub settled: usize,
    /// What a person should know, one sentence each.
    pub notes: Vec<String>,
}

#[derive(Deserialize)]
struct Pull {
    state: String,
    head: Head,
    #[serde(default)]
    merged: bool,
}

#[derive(Deserialize)]
struct Head {
    sha: String,
}

#[derive(Deserialize)]
struct User {
    login: String,
}

#[derive(Deserialize)]
struct Review {
    id: u64,
    user: Option<User>,
    #[serde(default)]
    body: Option<String>,
    state: String,
}

#[derive(Deserialize)]
struct LineComment {
    id: u64,
    user: Option<User>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    path: String,
    #[serde(default)]
    original_commit_id: String,
    /// Both are null once a push changed the lines.
    line: Option<u64>,
    position: Option<i64>,
}

#[derive(Deserialize)]
struct IssueComment {
    id: u64,
    user: Option<User>,
    #[serde(default)]
    body: Option<String>,
}

#[derive(Deserialize)]
struct File {
    filename: String,
    previous_filename: Option<String>,
    patch: Option<String>,
}

#[derive(Serialize)]
struct NewReview<'a> {
    commit_id: &'a str,
    event: &'static str,
    body: String,
    comments: Vec<NewComment>,
}

#[derive(Debug, Clone, Serialize)]
struct NewComment {
    path: String,
    line: u32,
    side: Side,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_side: Option<Side>,
    body: String,
}

#[derive(Serialize)]
struct Body<'a> {
    body: &'a str,
}

/// What is on the pull request already.
struct Present {
    reviews: Vec<Review>,
    comments: Vec<LineComment>,
    summary: Option<(u64, String)>,
    truncated: bool,
}

/// The files that are asked about.
#[derive(Default)]
struct Shown {
    /// The hunks that may carry comments: GitHub's own where it gives them, else Git's.
    anchors: HashMap<String, FileDiff>,
    files: Files,
}

impl Shown {
    fn fingerprint(&self, path: &str) -> Option<&str> {
        self.files.patches.get(path)?.as_deref()
    }
}

/// Posts a report on the pull request of this run. `own_diff` are the hunks by path as Git has them, for files that GitHub
/// leaves out, or whose patch it does.
///
/// # Errors
/// Whatever keeps it from being posted whole; see [`PostError`].
pub fn post(
    client: &Client,
    pull: &PullRequest,
    report: &Report,
    own_diff: &HashMap<String, FileDiff>,
    settings: &Settings,
) -> Result<Posted, PostError> {
    let poster = Poster { client, pull, report, settings };
    if let Some(stale) = poster.stale()? {
        return Ok(Posted { outcome: Outcome::Stale(stale), summary: "none", settled: 0, notes: Vec::new() });
    }
    let present = poster.present()?;
    let mut notes = Vec::new();
    if present.truncated {
        notes.push(format!("only the first {} comments were looked through", MAX_PAGES * super::client::PAGE));
    }
    let open = poster.open(&present);
    let shown = poster.shown(own_diff, &open, &mut notes)?;
    let known = known(report, &present, settings);
    let plan = Plan::of(report, &known, &shown.anchors, settings.max_comments);
    if plan.beyond > 0 {
        notes.push(format!("{} more findings: a review has at most {}", plan.beyond, settings.max_comments));
    }
    if plan.known > 0 {
        notes.push(format!("{} findings were told before and are not repeated", plan.known));
    }
    let outcome = poster.review(&plan, &present, &shown, &mut notes)?;
    let summary = poster.summary(&plan, &present)?;
    let settled = poster.settle(&open, &shown.files, &mut notes)?;
    Ok(Posted { outcome, summary, settled, notes })
}

/// What was told of a pull request, as the markers of our own reviews and comments say.
fn known(report: &Report, present: &Present, settings: &Settings) -> Known {
    let mut known = Known::default();
    for review in present.reviews.iter().filter(|review| is_by(review.user.as_ref(), settings)) {
        if let Some(Marker::Review { head, findings }) = marker(review.body.as_ref()) {
            known.of_head += if head == report.head { findings.len() } else { 0 };
            known.ids.extend(findings);
        }
    }
    for comment in present.comments.iter().filter(|comment| is_by(comment.user.as_ref(), settings)) {
        if let Some(Marker::Finding { id, .. }) = marker(comment.body.as_ref()) {
            known.ids.insert(id);
        }
    }
    known
}

fn is_by(user: Option<&User>, settings: &Settings) -> bool {
    user.is_some_and(|user| user.login.eq_ignore_ascii_case(&settings.author))
}

fn marker(body: Option<&String>) -> Option<Marker> {
    Marker::find(body?)
}

fn as_comment(finding: &Finding, shown: &Shown) -> NewComment {
    let start = finding.start_line.filter(|start| *start < finding.line);
    NewComment {
        path: finding.path.clone(),
        line: finding.line,
        side: finding.side,
        start_line: start,
        start_side: start.map(|_| finding.side),
        body: comment::finding(finding, shown.fingerprint(&finding.path)),
    }
}

struct Poster<'a> {
    client: &'a Client,
    pull: &'a PullRequest,
    report: &'a Report,
    settings: &'a Settings,
}

impl Poster<'_> {
    fn path(&self, what: &str) -> String {
        format!("/repos/{}/pulls/{}{what}", self.pull.repository, self.pull.number)
    }

    fn issue_path(&self) -> String {
        format!("/repos/{}/issues/{}/comments", self.pull.repository, self.pull.number)
    }

    /// Why the report is about something that is no more; `None` when it is not.
    fn stale(&self) -> Result<Option<String>, PostError> {
        let pull: Pull = self.client.get(&self.path(""))?;
        if pull.head.sha != self.report.head {
            let now = crate::render::visible(comment::short(&pull.head.sha));
            return Ok(Some(format!("the pull request has moved on to {now}")));
        }
        if pull.merged || pull.state != "open" {
            return Ok(Some("the pull request is not open any more".to_owned()));
        }
        Ok(None)
    }

    fn present(&self) -> Result<Present, PostError> {
        let (reviews, more_reviews) = self.client.list(&self.path("/reviews"), MAX_PAGES, |_: &[Review]| false)?;
        let (comments, more_comments) =
            self.client.list(&self.path("/comments"), MAX_PAGES, |_: &[LineComment]| false)?;
        let (issue_comments, more_issue) = self.issue_comments()?;
        let summary = self.own_summary(issue_comments);
        let truncated = more_reviews || more_comments || more_issue && summary.is_none();
        Ok(Present { reviews, comments, summary, truncated })
    }

    fn issue_comments(&self) -> Result<(Vec<IssueComment>, bool), PostError> {
        let has_summary = |comments: &[IssueComment]| comments.iter().any(|comment| self.is_own_summary(comment));
        Ok(self.client.list(&self.issue_path(), MAX_PAGES, has_summary)?)
    }

    fn is_own_summary(&self, comment: &IssueComment) -> bool {
        is_by(comment.user.as_ref(), self.settings) && marker(comment.body.as_ref()) == Some(Marker::Summary)
    }

    fn own_summary(&self, comments: Vec<IssueComment>) -> Option<(u64, String)> {
        let own = comments.into_iter().find(|comment| self.is_own_summary(comment))?;
        Some((own.id, own.body.unwrap_or_default()))
    }

    /// Comments of ours whose findings are not among those of today.
    fn open(&self, present: &Present) -> Vec<Open> {
        let current: HashSet<&str> = self.report.findings.iter().map(|finding| &*finding.id).collect();
        let own = present.comments.iter().filter(|comment| is_by(comment.user.as_ref(), self.settings));
        own.filter_map(|comment| match marker(comment.body.as_ref())? {
            Marker::Finding { id, check, patch, settled: false }
                if !current.contains(&*id) && comment.original_commit_id != self.report.head =>
            {
                let body = comment.body.clone().unwrap_or_default();
                let outdated = comment.line.is_none() && comment.position.is_none();
                Some(Open { comment: comment.id, id, check, path: comment.path.clone(), patch, outdated, body })
            }
            _ => None,
        })
        .collect()
    }

    /// The files that findings and open comments name.
    fn shown(
        &self,
        own_diff: &HashMap<String, FileDiff>,
        open: &[Open],
        notes: &mut Vec<String>,
    ) -> Result<Shown, PostError> {
        let findings = self.report.findings.iter().map(|finding| &*finding.path);
        let wanted: HashSet<&str> = findings.chain(open.iter().map(|open| &*open.path)).collect();
        let mut shown = Shown::default();
        if wanted.is_empty() {
            return Ok(shown);
        }
        let has_all = |files: &[File]| {
            let names: HashSet<&str> = files.iter().map(|file| &*file.filename).collect();
            wanted.iter().all(|path| names.contains(path))
        };
        let (files, more) = self.client.list(&self.path("/files"), MAX_FILE_PAGES, has_all)?;
        let count = files.len();
        // GitHub's list ends there, whatever more there is.
        let more = more || count >= MAX_FILE_PAGES * super::client::PAGE;
        shown.files.is_whole = !more;
        for File { filename, previous_filename, patch } in files {
            shown.files.renamed.extend(previous_filename);
            if wanted.contains(&*filename) && !shown.files.patches.contains_key(&filename) {
                shown.anchors.extend(patch.as_deref().and_then(patch::parse).map(|diff| (filename.clone(), diff)));
                shown.files.patches.insert(filename, patch.as_deref().map(patch::fingerprint));
            }
        }
        let is_shown = |path: &str| shown.files.patches.get(path).is_some_and(Option::is_some);
        let unshown: Vec<&str> = wanted.into_iter().filter(|path| !is_shown(path)).collect();
        let is_missing = |path: &&str| !own_diff.contains_key(*path) && !shown.files.patches.contains_key(*path);
        if more && unshown.iter().any(is_missing) {
            notes.push(format!("only the first {count} files of the pull request were looked through"));
        }
        let own = unshown.into_iter().filter_map(|path| Some((path.to_owned(), own_diff.get(path)?.clone())));
        shown.anchors.extend(own);
        Ok(shown)
    }

    fn review(
        &self,
        plan: &Plan<'_>,
        present: &Present,
        shown: &Shown,
        notes: &mut Vec<String>,
    ) -> Result<Outcome, PostError> {
        if plan.commented.is_empty() {
            return Ok(Outcome::NothingNew);
        }
        if self.has_review(&present.reviews).is_some() {
            return Ok(Outcome::AlreadyReviewed);
        }
        self.clear_pending(&present.reviews)?;
        let mut comments: Vec<NewComment> = plan.commented.iter().map(|finding| as_comment(finding, shown)).collect();
        let mut body = comment::review(self.report, &plan.commented, &[]);
        let mut refusal: Option<String> = None;
        for attempt in 0..MAX_WRITES {
            let posted = NewReview {
                commit_id: &self.report.head,
                event: "COMMENT",
                body: body.clone(),
                comments: comments.clone(),
            };
            match self.client.write::<Review>(&Method::POST, &self.path("/reviews"), Some(&posted)) {
                Ok(review) => {
                    self.check_author(review.user.as_ref())?;
                    return Ok(Outcome::Posted { comments: comments.len() });
                }
                Err(Failure::Refused { status: 422, message, .. }) => match refusal {
                    Some(_) => return Err(PostError::RefusedTwice(message)),
                    None => {
                        notes.push(format!("github refused the comments on lines ({message}); they are in the review"));
                        refusal = Some(message);
                        comments.clear();
                        body = comment::review(self.report, &[], &plan.commented);
                    }
                },
                Err(Failure::Doubtful { .. }) => {
                    self.client.pause(attempt)?;
                    let reviews = self.reviews()?;
                    if self.has_review(&reviews).is_some() {
                        return Ok(Outcome::Posted { comments: comments.len() });
                    }
                    self.clear_pending(&reviews)?;
                }
                Err(other) => return Err(other.into()),
            }
        }
        Err(PostError::Lost("review"))
    }

    fn reviews(&self) -> Result<Vec<Review>, PostError> {
        Ok(self.client.list(&self.path("/reviews"), MAX_PAGES, |_: &[Review]| false)?.0)
    }

    /// Our own review of this head, sent.
    fn has_review(&self, reviews: &[Review]) -> Option<u64> {
        let is_ours = |review: &&Review| {
            review.state != "PENDING"
                && is_by(review.user.as_ref(), self.settings)
                && matches!(marker(review.body.as_ref()), Some(Marker::Review { head, .. }) if head == self.report.head)
        };
        reviews.iter().find(is_ours).map(|review| review.id)
    }

    /// Deletes what an earlier run left unsent, since GitHub allows one pending review.
    fn clear_pending(&self, reviews: &[Review]) -> Result<(), PostError> {
        let mut is_done = self.delete_pending(reviews)?;
        for attempt in 1..MAX_WRITES {
            if is_done {
                return Ok(());
            }
            self.client.pause(attempt - 1)?;
            is_done = self.delete_pending(&self.reviews()?)?;
        }
        if is_done { Ok(()) } else { Err(PostError::StillPending) }
    }

    /// Whether all pending reviews of ours are known to be gone.
    fn delete_pending(&self, reviews: &[Review]) -> Result<bool, PostError> {
        let mut is_done = true;
        for review in reviews.iter().filter(|review| review.state == "PENDING") {
            if !is_by(review.user.as_ref(), self.settings) {
                continue;
            }
            if !matches!(marker(review.body.as_ref()), Some(Marker::Review { .. })) {
                return Err(PostError::ForeignPending(self.settings.author.clone()));
            }
            let path = self.path(&format!("/reviews/{}", review.id));
            match self.client.write::<serde_json::Value>(&Method::DELETE, &path, None::<&()>) {
                Ok(_) | Err(Failure::Refused { status: 404, .. }) => {}
                Err(Failure::Doubtful { .. }) => is_done = false,
                Err(other) => return Err(other.into()),
            }
        }
        Ok(is_done)
    }

    fn check_author(&self, user: Option<&User>) -> Result<(), PostError> {
        if is_by(user, self.settings) {
            return Ok(());
        }
        let actual = user.map_or_else(|| "nobody".to_owned(), |user| crate::render::visible(&user.login));
        Err(PostError::OtherAuthor { actual, expected: self.settings.author.clone() })
    }

    fn summary(&self, plan: &Plan<'_>, present: &Present) -> Result<&'static str, PostError> {
        let wanted = comment::summary(self.report, &plan.elsewhere);
        match (&present.summary, wanted) {
            (None, None) => Ok("none"),
            (None, Some(body)) => self.create_summary(&body),
            (Some((id, old)), wanted) => {
                let body = wanted.unwrap_or_else(|| comment::nothing(self.report));
                // GitHub may end lines in its own way.
                if old.replace('\r', "").trim() == body.trim() {
                    return Ok("unchanged");
                }
                let path = format!("/repos/{}/issues/comments/{id}", self.pull.repository);
                // Somebody may have deleted it since it was read.
                if self.replace(&path, &body)? { Ok("updated") } else { self.create_summary(&body) }
            }
        }
    }

    fn create_summary(&self, body: &str) -> Result<&'static str, PostError> {
        for attempt in 0..MAX_WRITES {
            match self.client.write::<IssueComment>(&Method::POST, &self.issue_path(), Some(&Body { body })) {
                Ok(comment) => {
                    self.check_author(comment.user.as_ref())?;
                    return Ok("created");
                }
                Err(Failure::Doubtful { .. }) => {
                    self.client.pause(attempt)?;
                    if self.own_summary(self.issue_comments()?.0).is_some() {
                        return Ok("created");
                    }
                }
                Err(other) => return Err(other.into()),
            }
        }
        Err(PostError::Lost("summary"))
    }

    /// Replaces a body; false when it is there no more. Doing so twice is as doing it once, so nothing is read back.
    fn replace(&self, path: &str, body: &str) -> Result<bool, PostError> {
        let mut attempt = 0;
        loop {
            match self.client.write::<serde_json::Value>(&Method::PATCH, path, Some(&Body { body })) {
                Ok(_) => return Ok(true),
                Err(Failure::Refused { status: 404, .. }) => return Ok(false),
                Err(Failure::Doubtful { .. }) if attempt + 1 < MAX_WRITES => self.client.pause(attempt)?,
                Err(other) => return Err(other.into()),
            }
            attempt += 1;
        }
    }

    /// Marks comments whose findings are gone, as far as a run may.
    fn settle(&self, open: &[Open], files: &Files, notes: &mut Vec<String>) -> Result<usize, PostError> {
        let settled: Vec<&Open> = open.iter().filter(|open| settle::is_settled(open, self.report, files)).collect();
        let mut count = 0;
        for open in settled.iter().take(MAX_SETTLED) {
            let path = format!("/repos/{}/pulls/comments/{}", self.pull.repository, open.comment);
            let body = comment::settled(&open.body, &open.id, open.check.as_deref(), &self.report.head);
            count += usize::from(self.replace(&path, &body)?);
        }
        if settled.len() > MAX_SETTLED {
            notes.push(format!(
                "{} more comments are settled, and the next run marks them",
                settled.len() - MAX_SETTLED
            ));
        }
        Ok(count)
    }
}
