//! Post: a report to one review and one summary comment. The only place that writes to GitHub.
//!
//! What is there already is read first; a plan is made, which is pure; then it is carried out, and after every write
//! whose outcome is unknown it is read back. A second run on the same head writes nothing.

use std::collections::{HashMap, HashSet};

use http::Method;
use serde::{Deserialize, Serialize};

use super::client::{Client, Failure};
use super::comment;
use super::event::PullRequest;
use super::marker::Marker;
use super::patch;
use super::report::{Finding, Report};
use crate::diff::FileDiff;
use crate::finding::Side;

/// Pages of comments and reviews that are looked through.
const MAX_PAGES: usize = 10;
/// Pages of files; GitHub has no more.
const MAX_FILE_PAGES: usize = 30;
/// Attempts of a write, each after reading back.
const MAX_WRITES: u32 = 3;

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
    #[serde(default)]
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

/// Findings that are to be told, and how.
struct Plan<'a> {
    commented: Vec<&'a Finding>,
    /// New, but not on a line that may carry a comment.
    elsewhere: Vec<&'a Finding>,
    /// New, beyond the cap.
    beyond: usize,
    known: usize,
}

/// Posts a report on the pull request of this run. `own_diff` are the hunks by path as Git has them, for files whose patch
/// GitHub leaves out.
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
    let anchors = poster.anchors(own_diff, &mut notes)?;
    let plan = plan(report, &present, &anchors, settings);
    if plan.beyond > 0 {
        notes.push(format!("{} more findings: a review has at most {}", plan.beyond, settings.max_comments));
    }
    if plan.known > 0 {
        notes.push(format!("{} findings were told before and are not repeated", plan.known));
    }
    let outcome = poster.review(&plan, &present, &mut notes)?;
    let summary = poster.summary(&plan, &present)?;
    let settled = poster.settle(&present)?;
    Ok(Posted { outcome, summary, settled, notes })
}

/// New findings, best first; what was told before is not told again, whatever became of it.
fn plan<'a>(
    report: &'a Report,
    present: &Present,
    anchors: &HashMap<String, FileDiff>,
    settings: &Settings,
) -> Plan<'a> {
    let mut known: HashSet<String> = HashSet::new();
    for review in present.reviews.iter().filter(|review| is_by(review.user.as_ref(), settings)) {
        if let Some(Marker::Review { findings, .. }) = marker(review.body.as_ref()) {
            known.extend(findings);
        }
    }
    for comment in present.comments.iter().filter(|comment| is_by(comment.user.as_ref(), settings)) {
        if let Some(Marker::Finding { id, .. }) = marker(comment.body.as_ref()) {
            known.insert(id);
        }
    }
    let mut plan = Plan { commented: Vec::new(), elsewhere: Vec::new(), beyond: 0, known: 0 };
    let mut seen: HashSet<&str> = HashSet::new();
    for finding in report.findings.iter().filter(|finding| seen.insert(&finding.id)) {
        if !is_anchored(finding, anchors) {
            plan.elsewhere.push(finding);
        } else if known.contains(&finding.id) {
            plan.known += 1;
        } else if plan.commented.len() < settings.max_comments {
            plan.commented.push(finding);
        } else {
            plan.beyond += 1;
        }
    }
    let room = settings.max_comments.saturating_sub(plan.commented.len());
    if plan.elsewhere.len() > room {
        plan.beyond += plan.elsewhere.len() - room;
        plan.elsewhere.truncate(room);
    }
    plan
}

/// Whether both ends of a finding stand in one hunk.
fn is_anchored(finding: &Finding, anchors: &HashMap<String, FileDiff>) -> bool {
    let Some(diff) = anchors.get(&finding.path) else { return false };
    let hunk = diff.hunk_of(finding.side, finding.line);
    match finding.start_line {
        None => hunk.is_some(),
        Some(start) => start <= finding.line && hunk.is_some() && diff.hunk_of(finding.side, start) == hunk,
    }
}

fn is_by(user: Option<&User>, settings: &Settings) -> bool {
    user.is_some_and(|user| user.login.eq_ignore_ascii_case(&settings.author))
}

fn marker(body: Option<&String>) -> Option<Marker> {
    Marker::find(body?)
}

fn as_comment(finding: &Finding) -> NewComment {
    let start = finding.start_line.filter(|start| *start < finding.line);
    NewComment {
        path: finding.path.clone(),
        line: finding.line,
        side: finding.side,
        start_line: start,
        start_side: start.map(|_| finding.side),
        body: comment::finding(finding),
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

    /// The hunks of the files that findings name: GitHub's own where it gives them, else Git's.
    fn anchors(
        &self,
        own_diff: &HashMap<String, FileDiff>,
        notes: &mut Vec<String>,
    ) -> Result<HashMap<String, FileDiff>, PostError> {
        let mut wanted: HashSet<&str> = self.report.findings.iter().map(|finding| &*finding.path).collect();
        let mut anchors = HashMap::new();
        if wanted.is_empty() {
            return Ok(anchors);
        }
        let has_all = |files: &[File]| {
            let names: HashSet<&str> = files.iter().map(|file| &*file.filename).collect();
            wanted.iter().all(|path| names.contains(path))
        };
        let (files, truncated) = self.client.list(&self.path("/files"), MAX_FILE_PAGES, has_all)?;
        for file in &files {
            if !wanted.remove(&*file.filename) {
                continue;
            }
            let diff = match file.patch.as_deref() {
                Some(patch) => patch::parse(patch),
                None => own_diff.get(&file.filename).cloned(),
            };
            anchors.extend(diff.map(|diff| (file.filename.clone(), diff)));
        }
        if truncated && !wanted.is_empty() {
            notes.push(format!("only the first {} files of the pull request were looked through", files.len()));
        }
        Ok(anchors)
    }

    fn review(&self, plan: &Plan<'_>, present: &Present, notes: &mut Vec<String>) -> Result<Outcome, PostError> {
        if plan.commented.is_empty() {
            return Ok(Outcome::NothingNew);
        }
        if self.has_review(&present.reviews).is_some() {
            return Ok(Outcome::AlreadyReviewed);
        }
        self.clear_pending(&present.reviews)?;
        let mut comments: Vec<NewComment> = plan.commented.iter().map(|finding| as_comment(finding)).collect();
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
                    let (reviews, _) = self.client.list(&self.path("/reviews"), MAX_PAGES, |_: &[Review]| false)?;
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
        for review in reviews.iter().filter(|review| review.state == "PENDING") {
            if !is_by(review.user.as_ref(), self.settings) {
                continue;
            }
            if !matches!(marker(review.body.as_ref()), Some(Marker::Review { .. })) {
                return Err(PostError::ForeignPending(self.settings.author.clone()));
            }
            let path = self.path(&format!("/reviews/{}", review.id));
            match self.client.write::<serde_json::Value>(&Method::DELETE, &path, None::<&()>) {
                Ok(_) | Err(Failure::Doubtful { .. } | Failure::Refused { status: 404, .. }) => {}
                Err(other) => return Err(other.into()),
            }
        }
        Ok(())
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
                self.replace(&path, &body)?;
                Ok("updated")
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

    /// Replaces a body, which may be done twice.
    fn replace(&self, path: &str, body: &str) -> Result<(), PostError> {
        for attempt in 0..MAX_WRITES {
            match self.client.write::<serde_json::Value>(&Method::PATCH, path, Some(&Body { body })) {
                Err(Failure::Doubtful { .. }) if attempt + 1 < MAX_WRITES => self.client.pause(attempt)?,
                done => return Ok(done.map(|_| ())?),
            }
        }
        Ok(())
    }

    /// Marks comments whose findings are gone, when the code has changed since and their file was reviewed.
    fn settle(&self, present: &Present) -> Result<usize, PostError> {
        let current: HashSet<&str> = self.report.findings.iter().map(|finding| &*finding.id).collect();
        let left: HashSet<&str> = self.report.skipped.iter().map(|left| &*left.what).collect();
        // Where findings were left out, a missing one may be among them.
        if self.report.skipped.iter().any(|left| left.what.contains("finding") || left.what.contains("statement")) {
            return Ok(0);
        }
        let mut count = 0;
        for old in present.comments.iter().filter(|comment| is_by(comment.user.as_ref(), self.settings)) {
            let Some(Marker::Finding { id, check, settled: false }) = marker(old.body.as_ref()) else { continue };
            let is_open =
                current.contains(&*id) || left.contains(&*old.path) || old.original_commit_id == self.report.head;
            if is_open || count == self.settings.max_comments {
                continue;
            }
            let path = format!("/repos/{}/pulls/comments/{}", self.pull.repository, old.id);
            let old_body = old.body.as_deref().unwrap_or("");
            self.replace(&path, &comment::settled(old_body, &id, check.as_deref(), &self.report.head))?;
            count += 1;
        }
        Ok(count)
    }
}
