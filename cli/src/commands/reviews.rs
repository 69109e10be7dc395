//! `precedent reviews fetch`

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use precedent_bot::github::client::{Client, Settings as Access};
use precedent_bot::github::heard::{self, Hearing};
use precedent_bot::github::post::PostError;
use precedent_bot::github::reviews::{self, Said, code_of};
use precedent_bot::outcomes::{BLOB, Heard, Outcomes};
use precedent_model::{Document, Embedder};
use precedent_pipeline::shard::{ReviewRow, Store, VectorRow};

use super::json_line;
use crate::args::FetchReviewsArguments;
use crate::failure::{Failure, Kind};
use crate::model;
use crate::place::{Place, Settings};
use crate::runner::Runner;
use crate::screen;

/// Requests besides the pages, and seconds besides those that pages may take.
const MORE_REQUESTS: u32 = 200;
const MORE_SECONDS: u64 = 300;
/// A page of a hundred comments takes GitHub about one.
const SECONDS_A_PAGE: u64 = 2;

#[derive(serde::Serialize)]
struct Printed<'a> {
    repository: &'a str,
    read: usize,
    kept: usize,
    left_out: &'a BTreeMap<&'static str, usize>,
    total: usize,
    more: bool,
    heard: &'a BTreeMap<String, Heard>,
    /// What could not be learned, one sentence each.
    notes: &'a [String],
    requests: u32,
}

pub(crate) fn fetch(settings: &Settings, options: &FetchReviewsArguments) -> Result<ExitCode, Failure> {
    let runner = Runner::from_environment();
    let from = options.from.as_deref().or(runner.repository()).ok_or_else(|| {
        Failure::new(Kind::Usage, "which repository on GitHub is meant is not known")
            .with_hint("name it, as in: precedent reviews fetch --from OWNER/NAME")
    })?;
    if !is_repository(from) {
        return Err(Failure::new(Kind::Usage, format!("`{from}` is not the name of a repository on GitHub"))
            .with_hint("a name is OWNER/NAME, as in: precedent reviews fetch --from rust-lang/cargo"));
    }
    let repository = Place::open(settings)?;
    let store = super::store::existing(&repository)?;
    let embedder = model::choose(&repository, None, model::device(None)?)?;
    let commits = store.commits()?;
    let place = &store.manifest().reviews;
    let access = Access::new(&*runner.api, &*runner.token);
    let client = Client::new(for_pages(&access, options.max_pages)).map_err(PostError::from)?;
    let fetched =
        reviews::fetch(&client, from, place, usize::from(options.max_pages), &commits).map_err(PostError::from)?;
    let kept = fetched.said.len();
    let rows = rows(fetched.said, &*embedder)?;
    // The lock is taken for the write alone: nobody waits for GitHub.
    let lock = store.lock()?;
    let mut store = Store::open(store.location())?.unwrap_or(store);
    store.put_reviews(&lock, rows, fetched.place)?;
    drop(lock);
    let (hearing, asked) = hear(&access, &runner, from, &options.author, &Outcomes::of(&store).heard)?;
    let lock = store.lock()?;
    let mut store = Store::open(store.location())?.unwrap_or(store);
    let outcomes = Outcomes { heard: hearing.heard, ..Outcomes::of(&store) };
    store.put_blob(&lock, BLOB, outcomes.to_value())?;
    let total = store.reviews()?.len();
    let printed = Printed {
        repository: from,
        read: fetched.read,
        kept,
        left_out: &fetched.left_out,
        total,
        more: fetched.more,
        heard: &outcomes.heard,
        notes: &hearing.notes,
        requests: client.requests() + asked + hearing.requests,
    };
    screen::print(&if settings.json { json_line(&printed) } else { shown(&printed) })?;
    Ok(ExitCode::SUCCESS)
}

/// What people made of own comments, and how many requests that took of GitHub. Where a limit ends it, what was known from
/// before stays.
fn hear(
    access: &Access,
    runner: &Runner,
    from: &str,
    author: &str,
    known: &BTreeMap<String, Heard>,
) -> Result<(Hearing, u32), Failure> {
    let client = Client::new(access.clone()).map_err(PostError::from)?;
    let graphql = Access::new(&*runner.graphql, &*runner.token);
    let hearing = match heard::heard(&client, &graphql, from, author) {
        Err(failure) if failure.is_limit() => Hearing {
            heard: known.clone(),
            notes: vec![format!("what people made of own comments could not be read: {failure}")],
            requests: 0,
        },
        read => read.map_err(PostError::from)?,
    };
    Ok((hearing, client.requests()))
}

/// A budget that these pages fit into, and what else is asked.
fn for_pages(access: &Access, pages: u16) -> Access {
    Access {
        max_requests: MORE_REQUESTS + u32::from(pages),
        deadline: Duration::from_secs(MORE_SECONDS + SECONDS_A_PAGE * u64::from(pages)),
        ..access.clone()
    }
}

fn is_repository(name: &str) -> bool {
    let is_part = |part: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        !part.is_empty() && part.len() <= 100 && part != "." && part != ".." && part.bytes().all(is_plain)
    };
    name.split_once('/').is_some_and(|(owner, name)| is_part(owner) && is_part(name))
}

/// Comments with the vectors of the code that they are about.
fn rows(said: Vec<Said>, embedder: &dyn Embedder) -> Result<Vec<ReviewRow>, Failure> {
    let codes: Vec<String> = said.iter().map(|said| code_of(&said.hunk)).collect();
    let documents: Vec<Document<'_>> = codes.iter().map(|text| Document { text, name: "" }).collect();
    let embedded = embedder.documents(&documents)?;
    let rows = said.into_iter().zip(embedded.embeddings).map(|(said, embedding)| {
        let VectorRow { scale, vector, .. } = VectorRow::quantise(0, &embedding.unit, embedding.norm);
        ReviewRow {
            comment: said.comment,
            pull: said.pull,
            author: said.author.into(),
            created: said.created,
            updated: said.updated,
            link: said.link,
            merge: said.merge,
            path: said.path.into(),
            outdated: said.outdated,
            text: said.text,
            hunk: said.hunk,
            scale,
            vector,
        }
    });
    Ok(rows.collect())
}

fn shown(printed: &Printed<'_>) -> String {
    let Printed { repository, read, kept, total, more, .. } = printed;
    let mut out = format!("  {repository}: {read} comments read, {kept} kept; the index has {total}\n");
    for (why, count) in printed.left_out {
        out.push_str(&format!("  left out {count:>6}  {why}\n"));
    }
    for (check, Heard { taken_up, turned_down, open }) in printed.heard {
        out.push_str(&format!(
            "  own comments of {check}: {taken_up} taken up, {turned_down} turned down, {open} open\n"
        ));
    }
    for note in printed.notes {
        out.push_str(&format!("  {note}\n"));
    }
    if *more {
        out.push_str("  there are more: run it again\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_pages_as_may_be_asked_for_fit_into_the_budget() {
        let access = Access::new("https://api.github.com", "");
        for pages in [1, 50, 1000] {
            let budget = for_pages(&access, pages);
            assert!(budget.max_requests >= u32::from(pages) + access.max_requests, "{pages}");
            assert!(budget.deadline >= access.deadline + Duration::from_secs(u64::from(pages)), "{pages}");
        }
    }
}
