//! `precedent post`

use std::collections::HashMap;
use std::path::Path;
use std::process::ExitCode;

use precedent_bot::diff::FileDiff;
use precedent_bot::diff::tree;
use precedent_bot::github::client::{Client, Settings as Access};
use precedent_bot::github::event::{Event, PullRequest};
use precedent_bot::github::post::{self, Outcome, PostError, Posted};
use precedent_bot::github::report::{MAX_REPORT_BYTES, Report};
use precedent_bot::github::summary;
use precedent_bot::redact;
use precedent_pipeline::history::Repository;

use crate::args::PostArguments;
use crate::failure::{Failure, Kind};
use crate::place::Settings;
use crate::runner::Runner;
use crate::screen;

#[derive(serde::Serialize)]
struct Printed<'a> {
    outcome: &'static str,
    comments: usize,
    summary: &'a str,
    settled: usize,
    notes: &'a [String],
    requests: u32,
}

pub(crate) fn run(settings: &Settings, options: &PostArguments) -> Result<ExitCode, Failure> {
    let runner = Runner::from_environment();
    let done = attempt(settings, options, &runner);
    if let Err(failure) = &done {
        runner.summarise(&summary::failed("posting", failure.message(), failure.hint()));
    }
    done
}

fn attempt(settings: &Settings, options: &PostArguments, runner: &Runner) -> Result<ExitCode, Failure> {
    let pull = match runner.event(options.event.as_deref())? {
        Event::Review(pull) => pull,
        Event::Skip(pull, why) => {
            runner.summarise(&summary::not_reviewed(&pull, why.why()));
            return Ok(ExitCode::SUCCESS);
        }
    };
    let bytes = read(&options.findings)?;
    refuse_secrets(&bytes, runner)?;
    let refused = |error: &dyn std::error::Error| Failure::new(Kind::GitHub, error.to_string());
    let report = Report::read(&bytes).map_err(|error| refused(&error))?;
    report.belongs_to(&pull).map_err(|error| {
        refused(&error).with_hint("nothing was posted: findings are taken from the run of this pull request alone")
    })?;
    if runner.token.is_empty() {
        return Err(Failure::new(Kind::Usage, "GITHUB_TOKEN is not set")
            .with_hint("give the step: env: GITHUB_TOKEN: ${{ github.token }}"));
    }
    let client = Client::new(Access::new(&*runner.api, &*runner.token)).map_err(PostError::from)?;
    let how = post::Settings { author: options.author.clone(), max_comments: usize::from(options.max_comments) };
    let posted = post::post(&client, &pull, &report, &own_diff(settings, &pull), &how)?;
    tell(settings, runner, &pull, &posted, client.requests())?;
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let cannot = |why: String| Failure::new(Kind::Usage, format!("cannot read `{}`: {why}", path.display()));
    let size = std::fs::metadata(path).map_err(|error| cannot(error.to_string()))?.len();
    if size > MAX_REPORT_BYTES {
        return Err(cannot(format!("it has {size} bytes, and a review has fewer than {MAX_REPORT_BYTES}")));
    }
    std::fs::read(path).map_err(|error| cannot(error.to_string()))
}

/// The token of this run must not be in what a job without it has written.
fn refuse_secrets(findings: &[u8], runner: &Runner) -> Result<(), Failure> {
    if redact::gives_away(&String::from_utf8_lossy(findings), &runner.token) {
        return Err(Failure::new(Kind::Secret, "the findings hold the token of this run, so nothing was posted")
            .with_hint("replace the token, and see who could write the findings"));
    }
    Ok(())
}

/// The hunks as Git has them, where the clone has the commits; nothing otherwise, for GitHub's own come first.
fn own_diff(settings: &Settings, pull: &PullRequest) -> HashMap<String, FileDiff> {
    let hunks = || {
        let repository = Repository::discover(&settings.repository).ok()?;
        let base = repository.merge_base(pull.base, pull.head).ok()?;
        let objects = repository.objects();
        let changes = objects.between(&base, &pull.head).ok()?;
        let files = tree::diff(&objects, &changes);
        Some(files.into_iter().map(|file| (file.path().to_string(), file.diff)).collect())
    };
    hunks().unwrap_or_default()
}

fn tell(
    settings: &Settings,
    runner: &Runner,
    pull: &PullRequest,
    posted: &Posted,
    requests: u32,
) -> Result<(), Failure> {
    let (outcome, comments) = match &posted.outcome {
        Outcome::Posted { comments } => ("posted", *comments),
        Outcome::NothingNew => ("nothing-new", 0),
        Outcome::AlreadyReviewed => ("already-reviewed", 0),
        Outcome::Stale(_) => ("stale", 0),
    };
    runner.set(&[("outcome", outcome.to_owned()), ("comments", comments.to_string())])?;
    runner.summarise(&summary::posted(pull, posted, requests));
    if settings.json {
        let printed = Printed {
            outcome,
            comments,
            summary: posted.summary,
            settled: posted.settled,
            notes: &posted.notes,
            requests,
        };
        screen::print(&super::json_line(&printed))?;
    }
    Ok(())
}
