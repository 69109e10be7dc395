//! Threads: which conversations of pull requests people resolved. Only GraphQL tells. It reads and never writes.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::client::{Client, Failure, Settings};

/// Pull requests that a run asks about, the newest.
const MAX_PULLS: usize = 50;
/// Pages of conversations of one pull request, a hundred each.
const MAX_PAGES: usize = 3;

/// What is asked. A comment's number is its `fullDatabaseId`: those of today are larger than `databaseId` can hold.
pub const QUERY: &str = "\
query($owner: String!, $name: String!, $number: Int!, $after: String) {
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) {
      reviewThreads(first: 100, after: $after) {
        pageInfo { hasNextPage endCursor }
        nodes { isResolved isOutdated resolvedBy { login } comments(first: 1) { nodes { fullDatabaseId } } }
      }
    }
  }
}";

/// A conversation that a person resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolved {
    /// Whether the lines changed since its first comment.
    pub outdated: bool,
}

/// What GraphQL told.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// Conversations by the number of their first comment.
    pub resolved: HashMap<i64, Resolved>,
    /// What was not learned, one sentence each.
    pub notes: Vec<String>,
    /// Requests that were made, repeated ones included.
    pub requests: u32,
}

#[derive(Serialize)]
struct Query<'a> {
    query: &'static str,
    variables: Variables<'a>,
}

#[derive(Serialize)]
struct Variables<'a> {
    owner: &'a str,
    name: &'a str,
    number: u64,
    after: Option<&'a str>,
}

#[derive(Deserialize)]
struct Data {
    repository: Option<Repository>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Repository {
    pull_request: Option<Pull>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pull {
    review_threads: Threads,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Threads {
    page_info: PageInfo,
    nodes: Vec<Thread>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    has_next_page: bool,
    end_cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Thread {
    is_resolved: bool,
    is_outdated: bool,
    resolved_by: Option<User>,
    comments: Comments,
}

#[derive(Deserialize)]
struct User {
    login: String,
}

#[derive(Deserialize)]
struct Comments {
    nodes: Vec<Comment>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Comment {
    full_database_id: Option<Number>,
}

/// GraphQL writes numbers of this size as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Text(String),
    Plain(i64),
}

/// The address of GraphQL beside that of the REST API: GitHub Enterprise has `/api/graphql` and `/api/v3`.
pub fn address(api: &str) -> String {
    let api = api.trim_end_matches('/');
    let base = api.strip_suffix("/v3").filter(|base| base.ends_with("/api")).unwrap_or(api);
    format!("{base}/graphql")
}

/// Which conversations of these pull requests of `repository` (`OWNER/NAME`) were resolved by a person: by a user, as
/// GitHub's schema has it, and not by `author`. `access.api` is the address of GraphQL. A failure ends the asking and is a
/// note.
pub fn resolved(access: &Settings, repository: &str, pulls: &[u64], author: &str) -> Told {
    let mut told = Told::default();
    if pulls.is_empty() {
        return told;
    }
    if pulls.len() > MAX_PULLS {
        let more = pulls.len() - MAX_PULLS;
        told.notes.push(format!("{more} more pull requests were not asked about for resolved conversations"));
    }
    if let Err(failure) = ask(access, repository, &pulls[..pulls.len().min(MAX_PULLS)], author, &mut told) {
        told.notes.push(format!("whether conversations were resolved is not known: {failure}"));
    }
    told
}

fn ask(access: &Settings, repository: &str, pulls: &[u64], author: &str, told: &mut Told) -> Result<(), Failure> {
    let unusable = || Failure::Settings("address of GraphQL");
    let (base, name) = access.api.trim_end_matches('/').rsplit_once('/').ok_or_else(unusable)?;
    let client = Client::new(Settings { api: base.to_owned(), ..access.clone() }).map_err(|_| unusable())?;
    let asked = pulls.iter().try_for_each(|number| {
        let threads = threads(&client, &format!("/{name}"), repository, *number)?;
        told.resolved.extend(threads.iter().filter_map(|thread| thread.resolved(author)));
        Ok(())
    });
    told.requests = client.requests();
    asked
}

fn threads(client: &Client, path: &str, repository: &str, number: u64) -> Result<Vec<Thread>, Failure> {
    let (owner, name) = repository.split_once('/').unwrap_or((repository, ""));
    let (mut all, mut after): (Vec<Thread>, Option<String>) = (Vec::new(), None);
    for _ in 0..MAX_PAGES {
        let variables = Variables { owner, name, number, after: after.as_deref() };
        let data: Data = client.query(path, &Query { query: QUERY, variables })?;
        // One that is not there has no conversations.
        let Some(pull) = data.repository.and_then(|repository| repository.pull_request) else { break };
        let Threads { page_info, nodes } = pull.review_threads;
        all.extend(nodes);
        if !page_info.has_next_page {
            break;
        }
        after = page_info.end_cursor;
    }
    Ok(all)
}

impl Thread {
    fn resolved(&self, author: &str) -> Option<(i64, Resolved)> {
        let by = self.resolved_by.as_ref().filter(|_| self.is_resolved)?;
        // GraphQL names bots without the brackets that REST puts behind them.
        let is_ours = by.login.eq_ignore_ascii_case(author.strip_suffix("[bot]").unwrap_or(author));
        let id = match self.comments.nodes.first()?.full_database_id.as_ref()? {
            Number::Text(text) => text.parse().ok()?,
            Number::Plain(number) => *number,
        };
        (!is_ours).then_some((id, Resolved { outdated: self.is_outdated }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graphql_is_beside_the_rest() {
        let check = |api: &str, expected: &str| assert_eq!(address(api), expected);
        check("https://api.github.com", "https://api.github.com/graphql");
        check("https://api.github.com/", "https://api.github.com/graphql");
        check("https://git.example.org/api/v3", "https://git.example.org/api/graphql");
        check("https://git.example.org/api/v3/", "https://git.example.org/api/graphql");
        check("https://api.example.ghe.com", "https://api.example.ghe.com/graphql");
        check("http://127.0.0.1:9/v3", "http://127.0.0.1:9/v3/graphql");
    }

    #[test]
    fn only_what_a_person_resolved_counts() {
        let check = |thread: serde_json::Value, expected: Option<(i64, bool)>| {
            let thread: Thread = serde_json::from_value(thread).expect("a thread");
            let found = thread.resolved("github-actions[bot]").map(|(id, resolved)| (id, resolved.outdated));
            assert_eq!(found, expected);
        };
        let thread = |resolved: bool, by: serde_json::Value, id: serde_json::Value| {
            serde_json::json!({
                "isResolved": resolved, "isOutdated": true, "resolvedBy": by,
                "comments": {"nodes": [{"fullDatabaseId": id}]},
            })
        };
        let by = |login: &str| serde_json::json!({"login": login});
        check(thread(true, by("ada"), "3000000000".into()), Some((3_000_000_000, true)));
        check(thread(true, by("ada"), 7.into()), Some((7, true)));
        check(thread(false, by("ada"), 7.into()), None);
        check(thread(true, serde_json::Value::Null, 7.into()), None);
        check(thread(true, by("github-actions"), 7.into()), None);
        check(thread(true, by("ada"), serde_json::Value::Null), None);
        check(thread(true, by("ada"), "x".into()), None);
    }
}
