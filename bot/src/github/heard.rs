//! Heard: what people made of the comments that this program wrote. It reads and never writes.
//!
//! The newest review comments of a repository are looked through, since a reaction does not change when a comment was last
//! edited. A comment counts as *taken up* when there are more thumbs up than down, or when a later push settled it, and as
//! *turned down* when there are more thumbs down, or when a member answered that it will not be acted on.
//!
//! Where none of these tells, a conversation that a person resolved does: people resolve what they have done and what they
//! will not do, so it counts as taken up when the lines changed since the comment, and as turned down when they did not.
//! Of the rest nothing is known.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Deserialize;

use super::client::{Client, Failure, Settings};
use super::marker::Marker;
use super::threads::{self, Resolved};
use crate::outcomes::Heard;

/// Pages of the newest comments that are read, a hundred each.
const MAX_PAGES: usize = 5;
/// What a member says who will not act on a comment.
const REFUSALS: [&str; 9] = [
    "won't fix",
    "wontfix",
    "will not fix",
    "false positive",
    "false alarm",
    "not a problem",
    "not an issue",
    "by design",
    "as intended",
];

#[derive(Deserialize)]
struct Comment {
    id: i64,
    user: Option<User>,
    body: Option<String>,
    #[serde(default)]
    author_association: String,
    in_reply_to_id: Option<i64>,
    #[serde(default)]
    pull_request_url: String,
    #[serde(default)]
    reactions: Reactions,
}

#[derive(Deserialize)]
struct User {
    login: String,
}

#[derive(Deserialize, Default)]
struct Reactions {
    #[serde(rename = "+1", default)]
    up: u32,
    #[serde(rename = "-1", default)]
    down: u32,
    #[serde(default)]
    heart: u32,
    #[serde(default)]
    hooray: u32,
    #[serde(default)]
    confused: u32,
}

/// What was heard.
#[derive(Debug, Clone, Default)]
pub struct Hearing {
    /// What became of comments, by check.
    pub heard: BTreeMap<String, Heard>,
    /// What could not be learned, one sentence each.
    pub notes: Vec<String>,
    /// Requests to GraphQL.
    pub requests: u32,
}

/// What became of a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    TakenUp,
    TurnedDown,
    Open,
}

/// A comment of ours.
struct Own {
    id: i64,
    pull: Option<u64>,
    check: String,
    outcome: Outcome,
}

/// Counts, by check, what became of the comments that `author` wrote with our marker in `repository` (`OWNER/NAME`).
/// Comments from before markers named their check are left out. `graphql` is how to ask GraphQL, which is done only for
/// comments of which nothing else is known; that it fails is a note.
///
/// # Errors
/// Any [`Failure`] but a doubtful one.
pub fn heard(client: &Client, graphql: &Settings, repository: &str, author: &str) -> Result<Hearing, Failure> {
    let path = format!("/repos/{repository}/pulls/comments?sort=created&direction=desc");
    let (comments, more): (Vec<Comment>, bool) = client.list(&path, MAX_PAGES, |_| false)?;
    let own = own_comments(&comments, author);
    let open = own.iter().filter(|own| own.outcome == Outcome::Open);
    // The newest first.
    let pulls: BTreeSet<u64> = open.filter_map(|own| own.pull).collect();
    let pulls: Vec<u64> = pulls.into_iter().rev().collect();
    let told = threads::resolved(graphql, repository, &pulls, author);
    let mut notes = told.notes;
    if more {
        notes.push(format!("only the newest {} comments were looked through for own ones", comments.len()));
    }
    Ok(Hearing { heard: counted(&own, &told.resolved), notes, requests: told.requests })
}

fn own_comments(comments: &[Comment], author: &str) -> Vec<Own> {
    let mut answers: HashMap<i64, Vec<&Comment>> = HashMap::new();
    for comment in comments {
        if let Some(to) = comment.in_reply_to_id {
            answers.entry(to).or_default().push(comment);
        }
    }
    let mut found = Vec::new();
    let is_ours = |user: &User| user.login.eq_ignore_ascii_case(author);
    for own in comments.iter().filter(|comment| comment.user.as_ref().is_some_and(is_ours)) {
        let marker = own.body.as_deref().and_then(Marker::find);
        let Some(Marker::Finding { check: Some(check), settled, .. }) = marker else { continue };
        let Reactions { up, down, heart, hooray, confused } = own.reactions;
        let (up, down) = (u64::from(up) + u64::from(heart) + u64::from(hooray), u64::from(down) + u64::from(confused));
        let is_refused = answers.get(&own.id).is_some_and(|answers| answers.iter().any(|answer| refuses(answer)));
        let outcome = match (down > up || is_refused, up > down || settled) {
            (true, _) => Outcome::TurnedDown,
            (false, true) => Outcome::TakenUp,
            (false, false) => Outcome::Open,
        };
        let pull = own.pull_request_url.rsplit('/').next().and_then(|number| number.parse().ok());
        found.push(Own { id: own.id, pull, check, outcome });
    }
    found
}

fn counted(own: &[Own], resolved: &HashMap<i64, Resolved>) -> BTreeMap<String, Heard> {
    let mut found: BTreeMap<String, Heard> = BTreeMap::new();
    for own in own {
        let heard = found.entry(own.check.clone()).or_default();
        let outcome = match (own.outcome, resolved.get(&own.id)) {
            (Outcome::Open, Some(Resolved { outdated: true })) => Outcome::TakenUp,
            (Outcome::Open, Some(Resolved { outdated: false })) => Outcome::TurnedDown,
            (known, _) => known,
        };
        match outcome {
            Outcome::TakenUp => heard.taken_up += 1,
            Outcome::TurnedDown => heard.turned_down += 1,
            Outcome::Open => heard.open += 1,
        }
    }
    found
}

/// Whether a member says that nothing will be done.
fn refuses(answer: &Comment) -> bool {
    let words = answer.body.as_deref().unwrap_or("").to_lowercase().replace('’', "'");
    ["OWNER", "MEMBER", "COLLABORATOR"].contains(&answer.author_association.as_str())
        && REFUSALS.iter().any(|refusal| words.contains(refusal))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOT: &str = "github-actions[bot]";

    fn comment(id: i64, login: &str, body: &str) -> Comment {
        Comment {
            id,
            user: Some(User { login: login.into() }),
            body: Some(body.into()),
            author_association: "MEMBER".into(),
            in_reply_to_id: None,
            pull_request_url: format!("https://api.github.com/repos/octo/hello/pulls/{}", id % 2),
            reactions: Reactions::default(),
        }
    }

    fn own(id: i64, check: Option<&str>, settled: bool) -> Comment {
        let marker =
            Marker::Finding { id: "0123456789abcdef".into(), check: check.map(str::to_owned), patch: None, settled };
        comment(id, BOT, &format!("words\n\n{}", marker.text()))
    }

    #[test]
    fn a_comment_is_what_people_made_of_it() {
        let reacted = |id, up, down| Comment {
            reactions: Reactions { up, down, ..Reactions::default() },
            ..own(id, Some("stale-doc"), false)
        };
        let answer = |id, to, association: &str, body| Comment {
            in_reply_to_id: Some(to),
            author_association: association.into(),
            ..comment(id, "ada", body)
        };
        let comments = [
            reacted(1, 2, 0),
            reacted(2, 0, 1),
            reacted(3, 1, 1),
            own(4, Some("stale-doc"), true),
            own(5, Some("stale-doc"), false),
            answer(50, 5, "MEMBER", "That is By Design."),
            own(6, Some("stale-doc"), false),
            answer(60, 6, "NONE", "won't fix"),
            own(7, Some("dead-name"), true),
            answer(70, 7, "OWNER", "Won’t fix, another thing."),
            own(8, None, true),
            Comment { user: Some(User { login: "eve".into() }), ..own(9, Some("stale-doc"), true) },
            Comment { user: None, ..own(10, Some("stale-doc"), true) },
        ];
        let own = own_comments(&comments, BOT);
        let found = counted(&own, &HashMap::new());
        assert_eq!(found["stale-doc"], Heard { taken_up: 2, turned_down: 2, open: 2 });
        assert_eq!(found["dead-name"], Heard { taken_up: 0, turned_down: 1, open: 0 });
        assert_eq!(found.len(), 2);
        // A conversation that was resolved tells only where nothing else does: 3 and 6 are open, 1 and 2 are not.
        let resolved = [(1, false), (2, true), (3, true), (6, false), (99, true)];
        let resolved = resolved.map(|(id, outdated)| (id, Resolved { outdated })).into();
        let found = counted(&own, &resolved);
        assert_eq!(found["stale-doc"], Heard { taken_up: 3, turned_down: 3, open: 0 });
        let open: Vec<(i64, Option<u64>)> =
            own.iter().filter(|own| own.outcome == Outcome::Open).map(|own| (own.id, own.pull)).collect();
        assert_eq!(open, [(3, Some(1)), (6, Some(0))]);
    }
}
