//! Reviews: what members said of pull requests that were merged, from GitHub's API. Nothing is written there.
//!
//! Comments come by the time of their last edit, so that a later run asks for what is new or edited alone, and a run whose
//! budget ends goes on where it stopped. What was said of a pull request that is not merged yet is read again once it is:
//! its number waits. Which commit brought a pull request in is read from the messages of indexed commits first
//! (`Merge pull request #7 from …`, `… (#7)`), and asked for only where they do not tell; of those that wait, some each run.
//! Where a limit of the run ends it, what was read is kept.

use std::collections::{BTreeMap, HashMap, HashSet};

use precedent_pipeline::shard::{CommitRow, ObjectId, ReviewsPlace};
use serde::Deserialize;

use super::client::{Client, Failure};

/// Pull requests that a run asks for one by one, and those of which it reads the comments anew.
const MAX_ASKED: usize = 100;
/// Pull requests that wait to be merged; most of the older ones never will.
const MAX_WAITING: usize = 2_000;
/// Those of them that a run asks for, the one first that was asked for longest ago: a merge need not name them.
const MAX_WAITING_ASKED: usize = 20;
/// Pages of comments of one pull request.
const MAX_PAGES_A_PULL: usize = 5;
/// Longer comments and hunks are cut: they are shown in a line, and embedded in some dozens.
const MAX_TEXT_BYTES: usize = 16 << 10;

/// What is said in a review comment, with the commit that brought its pull request in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The number of the comment.
    pub comment: i64,
    /// The number of the pull request.
    pub pull: u32,
    /// The login of its author.
    pub author: String,
    /// When it was said, in seconds since 1970 UTC.
    pub created: i64,
    /// When it was last edited, likewise.
    pub updated: i64,
    /// Its address.
    pub link: String,
    /// The indexed commit that brought the pull request in.
    pub merge: ObjectId,
    /// The file that it is about.
    pub path: String,
    /// Whether the lines that it is about changed afterwards.
    pub outdated: bool,
    /// Its text.
    pub text: String,
    /// The hunk of the diff down to the line that it is about.
    pub hunk: String,
}

/// What a run brought.
#[derive(Debug, Clone, Default)]
pub struct Fetched {
    /// Comments worth keeping.
    pub said: Vec<Said>,
    /// Comments that were read.
    pub read: usize,
    /// Those left out, by reason.
    pub left_out: BTreeMap<&'static str, usize>,
    /// Whether there are more, which the next run reads.
    pub more: bool,
    /// Where the next run goes on.
    pub place: ReviewsPlace,
}

#[derive(Deserialize)]
struct Comment {
    id: i64,
    user: Option<User>,
    body: String,
    path: String,
    #[serde(default)]
    diff_hunk: String,
    html_url: String,
    pull_request_url: String,
    #[serde(default)]
    author_association: String,
    created_at: String,
    updated_at: String,
    in_reply_to_id: Option<i64>,
    position: Option<i64>,
    line: Option<i64>,
    original_line: Option<i64>,
}

#[derive(Deserialize)]
struct User {
    login: String,
    #[serde(rename = "type", default)]
    kind: String,
}

#[derive(Deserialize)]
struct Pull {
    #[serde(default)]
    state: String,
    merged_at: Option<String>,
    merge_commit_sha: Option<String>,
}

/// Reads the comments of `repository` (`OWNER/NAME`) from `place` on, at most `max_pages` hundred, and those of pull requests
/// that have been waiting and were merged since.
///
/// # Errors
/// Any [`Failure`] but a doubtful one.
pub fn fetch(
    client: &Client,
    repository: &str,
    place: &ReviewsPlace,
    max_pages: usize,
    commits: &[CommitRow],
) -> Result<Fetched, Failure> {
    let mut merges = Merges::of(client, repository, commits);
    let mut fetched = Fetched { place: place.clone(), ..Fetched::default() };
    let mut waiting = fetched.awaited(&place.waiting, &mut merges)?;
    let since = place.until.map(|since| format!("&since={}", written(since))).unwrap_or_default();
    let path = format!("/repos/{repository}/pulls/comments?sort=updated&direction=asc{since}");
    let (comments, more) = match client.list_within::<Comment>(&path, max_pages) {
        // What waited is there already.
        Err(failure) if failure.is_limit() && fetched.read > 0 => (Vec::new(), true),
        read => read?,
    };
    fetched.more |= more;
    for comment in comments {
        // A pull request beyond those that may be asked for is the next run's, and all that follows.
        if merges.is_spent(&comment) {
            fetched.more = true;
            break;
        }
        let (updated, pull) = (seconds(&comment.updated_at), comment.pull());
        match fetched.take(comment, &mut merges) {
            Ok(Some(NOT_MERGED)) => {
                waiting.extend(pull.filter(|pull| !waiting.contains(pull) && merges.may_come(*pull)))
            }
            Ok(_) => {}
            Err(failure) if failure.is_limit() => {
                fetched.more = true;
                break;
            }
            Err(failure) => return Err(failure),
        }
        fetched.place.until = updated.max(fetched.place.until);
    }
    fetched.place.waiting = newest(waiting);
    Ok(fetched)
}

/// Those with the highest numbers, as many as may wait, in their order.
fn newest(mut waiting: Vec<u32>) -> Vec<u32> {
    if waiting.len() > MAX_WAITING {
        let mut sorted = waiting.clone();
        sorted.sort_unstable();
        let least = sorted[sorted.len() - MAX_WAITING];
        waiting.retain(|pull| *pull >= least);
    }
    waiting
}

const NOT_MERGED: &str = "its pull request was not merged, or is not indexed";

impl Fetched {
    /// Reads what was said of those among the waiting that were merged since; returns those that wait still, the one first
    /// that was asked for longest ago.
    fn awaited(&mut self, waiting: &[u32], merges: &mut Merges<'_>) -> Result<Vec<u32>, Failure> {
        let (mut unasked, mut asked) = (Vec::new(), Vec::new());
        let (mut questions, mut answers) = (0, 0);
        for pull in waiting {
            let is_told = merges.known.contains_key(pull);
            if answers >= MAX_ASKED || !is_told && questions >= MAX_WAITING_ASKED {
                self.more |= is_told;
                unasked.push(*pull);
                continue;
            }
            questions += usize::from(!is_told);
            let read = merges.fate(*pull).and_then(|fate| {
                if fate == Fate::Merged {
                    answers += 1;
                    self.take_all(*pull, merges)?;
                }
                Ok(fate)
            });
            match read {
                Ok(Fate::Merged | Fate::Closed) => {}
                Ok(Fate::Open) => asked.push(*pull),
                Err(failure) if failure.is_limit() => {
                    self.more = true;
                    unasked.push(*pull);
                    answers = MAX_ASKED;
                }
                Err(failure) => return Err(failure),
            }
        }
        unasked.append(&mut asked);
        Ok(unasked)
    }

    /// Reads what was said of one pull request.
    fn take_all(&mut self, pull: u32, merges: &mut Merges<'_>) -> Result<(), Failure> {
        let path = format!("/repos/{}/pulls/{pull}/comments", merges.repository);
        match merges.client.list(&path, MAX_PAGES_A_PULL, |_: &[Comment]| false) {
            Ok((comments, _)) => comments.into_iter().try_for_each(|comment| self.take(comment, merges).map(|_| ())),
            Err(Failure::Refused { status: 404, .. }) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Keeps a comment, or counts and returns why it is left out.
    fn take(&mut self, comment: Comment, merges: &mut Merges<'_>) -> Result<Option<&'static str>, Failure> {
        let said = said(comment, merges)?;
        self.read += 1;
        match said {
            Ok(said) => {
                self.said.push(said);
                Ok(None)
            }
            Err(why) => {
                *self.left_out.entry(why).or_default() += 1;
                Ok(Some(why))
            }
        }
    }
}

impl Comment {
    fn pull(&self) -> Option<u32> {
        self.pull_request_url.rsplit('/').next()?.parse().ok()
    }
}

/// A comment as it is kept, or why it is not.
fn said(comment: Comment, merges: &mut Merges<'_>) -> Result<Result<Said, &'static str>, Failure> {
    let left_out = |why| Ok(Err(why));
    let Some(user) = &comment.user else { return left_out("its author is gone") };
    if user.kind == "Bot" || user.login.ends_with("[bot]") {
        return left_out("a bot said it");
    }
    if !["OWNER", "MEMBER", "COLLABORATOR"].contains(&comment.author_association.as_str()) {
        return left_out("its author is no member");
    }
    if comment.in_reply_to_id.is_some() {
        return left_out("it is an answer");
    }
    if comment.body.trim().is_empty() || comment.diff_hunk.is_empty() {
        return left_out("it is about no code");
    }
    let number = comment.pull();
    let (Some(pull), Some(created), Some(updated)) =
        (number, seconds(&comment.created_at), seconds(&comment.updated_at))
    else {
        return left_out("it is not in GitHub's shape");
    };
    let Some(merge) = merges.commit(pull)? else {
        return left_out(NOT_MERGED);
    };
    // GitHub drops the place of a comment when a push changed its lines.
    let outdated = comment.position.is_none() && comment.line.is_none() && comment.original_line.is_some();
    Ok(Ok(Said {
        comment: comment.id,
        pull,
        author: user.login.clone(),
        created,
        updated,
        link: comment.html_url,
        merge,
        path: comment.path,
        outdated,
        text: cut(comment.body),
        hunk: cut_front(comment.diff_hunk),
    }))
}

/// What became of a pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// An indexed commit brought it in.
    Merged,
    /// Not yet, or its commit is not indexed yet.
    Open,
    /// It was closed without.
    Closed,
}

/// Which commit brought a pull request in.
struct Merges<'a> {
    client: &'a Client,
    repository: &'a str,
    indexed: HashSet<ObjectId>,
    known: HashMap<u32, Option<ObjectId>>,
    closed: HashSet<u32>,
    asked: usize,
}

impl<'a> Merges<'a> {
    fn of(client: &'a Client, repository: &'a str, commits: &[CommitRow]) -> Merges<'a> {
        let mut known = HashMap::new();
        // The first that names it: later ones revert it, or carry it to another branch.
        for commit in commits {
            if let Some(pull) = pull_of(&commit.message) {
                known.entry(pull).or_insert(Some(commit.id));
            }
        }
        let indexed = commits.iter().map(|commit| commit.id).collect();
        Merges { client, repository, indexed, known, closed: HashSet::new(), asked: 0 }
    }

    /// Whether a comment takes a question that this run may not ask any more.
    fn is_spent(&self, comment: &Comment) -> bool {
        self.asked >= MAX_ASKED && comment.pull().is_some_and(|pull| !self.known.contains_key(&pull))
    }

    fn commit(&mut self, pull: u32) -> Result<Option<ObjectId>, Failure> {
        if let Some(known) = self.known.get(&pull) {
            return Ok(*known);
        }
        self.asked += 1;
        self.fate(pull)?;
        Ok(self.known.get(&pull).copied().flatten())
    }

    /// Whether a pull request may still be merged, as far as is known.
    fn may_come(&self, pull: u32) -> bool {
        !self.closed.contains(&pull)
    }

    /// What became of a pull request; asked for where no message tells.
    fn fate(&mut self, pull: u32) -> Result<Fate, Failure> {
        if let Some(known) = self.known.get(&pull) {
            return Ok(if known.is_some() { Fate::Merged } else { Fate::Open });
        }
        let (found, fate) = match self.client.get::<Pull>(&format!("/repos/{}/pulls/{pull}", self.repository)) {
            Ok(Pull { merged_at: Some(_), merge_commit_sha: Some(id), .. }) => {
                let id = ObjectId::from_hex(&id).ok().filter(|id| self.indexed.contains(id));
                (id, if id.is_some() { Fate::Merged } else { Fate::Open })
            }
            Ok(Pull { merged_at: None, state, .. }) if state == "closed" => {
                self.closed.insert(pull);
                (None, Fate::Closed)
            }
            Ok(_) | Err(Failure::Refused { status: 404, .. }) => (None, Fate::Open),
            Err(failure) => return Err(failure),
        };
        self.known.insert(pull, found);
        Ok(fate)
    }
}

/// The pull request that a commit's message says it brings in.
fn pull_of(message: &str) -> Option<u32> {
    let subject = message.lines().next()?.trim_end();
    if let Some(rest) = subject.strip_prefix("Merge pull request #") {
        return rest.split(' ').next()?.parse().ok();
    }
    if subject.starts_with("Revert ") {
        return None;
    }
    subject.strip_suffix(')')?.rsplit_once("(#")?.1.parse().ok()
}

/// The code of a hunk, without the diff's marks: the side that its last line is on.
pub fn code_of(hunk: &str) -> String {
    let lines = || hunk.lines().filter(|line| !line.starts_with("@@") && !line.starts_with('\\'));
    let gone = if lines().next_back().is_some_and(|line| line.starts_with('-')) { '+' } else { '-' };
    let kept: Vec<&str> =
        lines().filter(|line| !line.starts_with(gone)).map(|line| line.get(1..).unwrap_or("")).collect();
    // The lines before the one that it is about say most about it.
    const MOST_LINES: usize = 24;
    kept[kept.len().saturating_sub(MOST_LINES)..].join("\n")
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
    text
}

fn cut_front(text: String) -> String {
    let from = text.ceil_char_boundary(text.len().saturating_sub(MAX_TEXT_BYTES));
    text[from..].to_owned()
}

fn seconds(written: &str) -> Option<i64> {
    written.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
}

fn written(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_the_pull_request_that_it_brings_in() {
        let check = |message: &str, expected: Option<u32>| assert_eq!(pull_of(message), expected, "{message}");
        check("Merge pull request #12 from someone/topic\n\nWords", Some(12));
        check("Read faster (#345)", Some(345));
        check("Read faster (#345)\n\nCloses #7", Some(345));
        check("Revert \"Read faster (#345)\" (#346)", None);
        check("Read faster, see (#345) for more", None);
        check("Read faster", None);
        check("", None);
        check("x (#99999999999)", None);
    }

    #[test]
    fn the_code_of_a_hunk_is_that_of_the_side_that_is_spoken_of() {
        let hunk = "@@ -1,3 +1,3 @@ fn a\n one\n-two\n+zwei\n three";
        assert_eq!(code_of(hunk), "one\nzwei\nthree");
        assert_eq!(code_of("@@ -1,3 +1,3 @@\n one\n+zwei\n-two"), "one\ntwo");
        assert_eq!(code_of("@@ -1 +1 @@\n\\ No newline at end of file"), "");
        let long: String = (0..100).map(|line| format!("+{line}\n")).collect();
        assert!(code_of(&long).starts_with("76\n"));
    }

    #[test]
    fn long_texts_are_cut_between_letters() {
        assert_eq!(cut("é".repeat(MAX_TEXT_BYTES)).len(), MAX_TEXT_BYTES);
        assert!(cut_front(format!("x{}", "é".repeat(MAX_TEXT_BYTES))).starts_with('é'));
    }
}
