//! `precedent review --event`: the pull request of a workflow run.
//!
//! Its commits are fetched as data, or its files come through GitHub's API where Git cannot fetch. What it changes about
//! this program's configuration counts for nothing, for that is read from the base.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use precedent_bot::Review;
use precedent_bot::change::Change;
use precedent_bot::finding::Left;
use precedent_bot::github::client::{self, Client, Settings as Access};
use precedent_bot::github::event::{Event, PullRequest};
use precedent_bot::github::fetch::{self, FetchError};
use precedent_bot::github::objects::{self, ObjectsError};
use precedent_bot::github::post::PostError;
use precedent_bot::github::summary::{self, IndexAge};
use precedent_bot::redact;
use precedent_bot::render::{self, Passages};
use precedent_pipeline::shard::ObjectId;

use super::review::{deliver, reviewed, verdict};
use crate::args::{Format, ReviewArguments};
use crate::failure::{Failure, Kind};
use crate::place::{Place, Settings};
use crate::runner::Runner;
use crate::screen;
use crate::voice::Speaker;

/// The folder of an index that only one job has, in the job's temporary folder.
const OWN_INDEX: &str = "precedent-index";

pub(super) fn run(settings: &Settings, options: &ReviewArguments, event: &Path) -> Result<ExitCode, Failure> {
    let runner = Runner::from_environment();
    let done = attempt(settings, options, event, &runner);
    if let Err(failure) = &done {
        runner.summarise(&summary::failed("the review", failure.message(), failure.hint()));
    }
    done
}

fn attempt(settings: &Settings, options: &ReviewArguments, event: &Path, runner: &Runner) -> Result<ExitCode, Failure> {
    let pull = match runner.event(Some(event))? {
        Event::Review(pull) => pull,
        Event::Skip(pull, why) => {
            runner.summarise(&summary::not_reviewed(&pull, why.why()));
            runner.set(&[("reviewed", "false".into()), ("findings", "0".into()), ("reason", why.why().into())])?;
            screen::tell(&format!("pull request {} is not reviewed: {}", pull.number, why.why()));
            return Ok(ExitCode::SUCCESS);
        }
    };
    let speaker = Speaker::open(options)?;
    let Brought { mut place, head, larger, notice } = bring(settings, options, runner, &pull)?;
    let quiet = Settings { json: true, ..settings.clone() };
    let mut age = age(&place);
    let attempt = |place: &Place| {
        place.with_archive(&quiet, &[pull.base], |archive, embedder| {
            let change = Change::between(&place.repository, pull.base, head)?.with_huge(&larger);
            let review = reviewed(&speaker, place, archive, embedder, change)?;
            Ok((review, u64::from(archive.store().manifest().next_commit)))
        })
    };
    let mut done = attempt(&place);
    if let Err(failure) = &done
        && failure.is_foreign()
    {
        // What was restored may come from another version, model or repository: no reason to leave the change unreviewed.
        let folder = runner.temporary().join(OWN_INDEX);
        screen::tell(&format!(
            "note: {}; this review makes an index of its own in `{}`",
            failure.message(),
            folder.display()
        ));
        let why = failure.message().to_owned();
        place = place.with_folder(folder);
        age = IndexAge { unfit: Some(why), ..self::age(&place) };
        done = attempt(&place);
    }
    let (review, commits) = done?;
    age.commits_added = commits.saturating_sub(age.commits_before);
    let passages = match options.format {
        Some(Format::Html) => super::review::passages(&place.repository, &review, pull.head),
        _ => Passages::default(),
    };
    let mut review = review.of_head(pull.head);
    review.skipped.extend(notice);
    let text = match options.format {
        None | Some(Format::Json) => render::json_of(&review, Some(&pull)),
        Some(Format::Markdown) => render::markdown(&review),
        Some(Format::Html) => render::html(&review, &passages),
        Some(Format::Sarif) => render::sarif(&review),
        Some(Format::Annotations) => render::annotations(&review),
        Some(Format::Terminal) => render::terminal(&review, screen::style()),
    };
    if redact::gives_away(&text, &runner.token) {
        return Err(Failure::new(Kind::Secret, "the review holds the token of this run, so it was not written"));
    }
    speaker.guard(&review, &text)?;
    deliver(options, &text)?;
    runner.set(&outputs(options, &review))?;
    runner.summarise(&summary::reviewed(&pull, &review, &age));
    Ok(verdict(options, &review))
}

/// The clone, with both ends of the pull request in it.
struct Brought {
    place: Place,
    /// The commit that has the head's files.
    head: ObjectId,
    /// Files that are too large to be brought.
    larger: Vec<Arc<str>>,
    /// What people should know of how it came.
    notice: Option<Left>,
}

/// Brings the pull request into the clone: by Git, and by the API where Git cannot.
fn bring(
    settings: &Settings,
    options: &ReviewArguments,
    runner: &Runner,
    pull: &PullRequest,
) -> Result<Brought, Failure> {
    let place = Place::open(settings)?;
    let failed = match fetch_missing(settings, &place, options, runner, pull) {
        Ok(()) => {
            let place = Place::open(settings)?;
            return Ok(Brought { place, head: pull.head, larger: Vec::new(), notice: None });
        }
        Err(failed) => failed,
    };
    if runner.token.is_empty() {
        return Err(Failure::new(Kind::GitHub, failed.to_string())
            .with_hint("the checkout needs the remote that the pull request was made to; see workflows/review.yml"));
    }
    screen::tell(&format!("note: {failed}; asking github's API"));
    let client = Client::new(Access::new(&*runner.api, &*runner.token)).map_err(PostError::from)?;
    let brought = objects::bring(&client, &place.repository, pull).map_err(|error| {
        let hint = hint(&error);
        Failure::new(Kind::GitHub, format!("{failed}, and github's API does not help: {error}")).with_hint(hint)
    })?;
    let larger = match brought.larger.len() {
        0 => String::new(),
        count => format!("; {count} that are too large to be reviewed were not asked for"),
    };
    let notice = Left {
        what: "the pull request's own commits".into(),
        why: format!("{failed}; their files came through github's API{larger}"),
    };
    let place = Place::open(settings)?;
    Ok(Brought { place, head: brought.commit, larger: brought.larger, notice: Some(notice) })
}

/// Fetches by Git what the clone lacks.
fn fetch_missing(
    settings: &Settings,
    place: &Place,
    options: &ReviewArguments,
    runner: &Runner,
    pull: &PullRequest,
) -> Result<(), FetchError> {
    // New packs are seen by a new handle.
    let has = |id| Place::open(settings).is_ok_and(|place| place.repository.objects().contains(id));
    let source = fetch::Source { remote: &options.remote, server: &runner.server, token: &runner.token };
    let directory = place.repository.directory();
    if !has(&pull.head) {
        fetch::pull(&directory, &source, pull.number)?;
    }
    for id in [&pull.head, &pull.base] {
        if !has(id) {
            fetch::commit(&directory, &source, id)?;
        }
    }
    Ok(())
}

/// What helps where neither Git nor the API brought a pull request.
fn hint(error: &ObjectsError) -> &'static str {
    match error {
        ObjectsError::NotHere { .. } | ObjectsError::History(_) => {
            "the checkout needs the whole history of the base, as with `fetch-depth: 0`; see workflows/review.yml"
        }
        ObjectsError::GitHub(client::Failure::Refused { status: 403, .. }) => {
            "the job needs `permissions: contents: read`; see workflows/review.yml"
        }
        _ => "the checkout needs the remote that the pull request was made to; see workflows/review.yml",
    }
}

/// What the index holds before the review.
fn age(place: &Place) -> IndexAge {
    let Ok(Some(store)) = place.existing() else {
        return IndexAge { commits_before: 0, commits_added: 0, newest: None, unfit: None };
    };
    let manifest = store.manifest();
    let objects = place.repository.objects();
    let times = manifest.tips.iter().filter_map(|tip| objects.commit(&place.repository, tip).ok());
    let newest = times.map(|commit| commit.commit_time).max();
    IndexAge { commits_before: u64::from(manifest.next_commit), commits_added: 0, newest, unfit: None }
}

fn outputs(options: &ReviewArguments, review: &Review) -> Vec<(&'static str, String)> {
    let mut outputs = vec![
        ("reviewed", review.change.files.iter().any(|file| file.language.is_ok()).to_string()),
        ("findings", review.findings.len().to_string()),
        ("facts", review.briefing.iter().filter(|fact| fact.shown).count().to_string()),
    ];
    if let Some(out) = &options.out {
        outputs.push(("report", out.display().to_string()));
    }
    outputs
}
