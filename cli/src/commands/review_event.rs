//! `precedent review --event`: the pull request of a workflow run.
//!
//! Its commits are fetched as data, or its files come through GitHub's API where Git cannot fetch. What it changes about
//! this program's configuration counts for nothing, for that is read from the base.

use std::collections::HashSet;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use precedent_bot::Review;
use precedent_bot::change::Change;
use precedent_bot::finding::Left;
use precedent_bot::github::client::{self, Client, Settings as Access};
use precedent_bot::github::event::{Event, PullRequest};
use precedent_bot::github::fetch::{self, Depth, FetchError, Want};
use precedent_bot::github::objects::{self, ObjectsError};
use precedent_bot::github::post::PostError;
use precedent_bot::github::summary::{self, IndexAge};
use precedent_bot::redact;
use precedent_bot::render::{self, Passages};
use precedent_pipeline::archive::Archive;
use precedent_pipeline::history::Walk;
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
/// How many commits of a shallow clone are fetched from each end of a pull request, until they reach what is indexed.
const DEPTHS: [u32; 6] = [16, 64, 256, 1024, 4096, 16_384];

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
    let fetcher = Fetcher { settings, options, runner, pull: &pull };
    let Brought { mut place, head, larger, notice } = fetcher.bring()?;
    let quiet = Settings { json: true, ..settings.clone() };
    let mut age = age(&place);
    let with_passages = options.format == Some(Format::Html);
    let attempt = |place: &Place| {
        place.with_archive(&quiet, &[pull.base], |archive, embedder| {
            let change = fetcher.change(place, archive, head)?.with_huge(&larger);
            let review = reviewed(&speaker, place, archive, embedder, change)?;
            let passages = match with_passages {
                true => super::review::passages(&place.repository, archive, &review, pull.head),
                false => Passages::default(),
            };
            Ok((review, passages, u64::from(archive.store().manifest().next_commit)))
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
        // An index of its own begins with nothing, so it takes the whole history.
        if let Err(failed) = fetcher.unshallow(&place) {
            screen::tell(&format!("note: {failed}"));
        }
        place = Place::open(settings)?.with_folder(folder);
        age = IndexAge { unfit: Some(why), ..self::age(&place) };
        done = attempt(&place);
    }
    let (review, passages, commits) = done?;
    age.commits_added = commits.saturating_sub(age.commits_before);
    let mut review = review.of_head(pull.head);
    review.skipped.extend(notice);
    let text = match options.format {
        None | Some(Format::Json) => render::json_of(&review, Some(&pull)),
        Some(Format::Markdown) => render::markdown(&review),
        Some(Format::Html) => render::html(&review, &passages),
        Some(Format::Sarif) => render::sarif(&review),
        Some(Format::Annotations) => render::annotations(&review),
        Some(Format::Terminal) => render::terminal(&review, screen::style(), None),
    };
    if redact::gives_away(&text, &runner.token) {
        return Err(Failure::new(Kind::Secret, "the review holds the token of this run, so it was not written"));
    }
    speaker.guard(&review, &text)?;
    deliver(options, &text)?;
    runner.set(&outputs(options, &review))?;
    runner.summarise(&summary::reviewed(&pull, &review, &age));
    if review.change.files.iter().all(|file| file.language.is_err()) {
        screen::tell("note: nothing was reviewed; the step summary says why");
    }
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

/// What brings a pull request into the clone, and as much of its past as the index lacks.
struct Fetcher<'a> {
    settings: &'a Settings,
    options: &'a ReviewArguments,
    runner: &'a Runner,
    pull: &'a PullRequest,
}

impl Fetcher<'_> {
    /// By Git, and by the API where Git cannot.
    fn bring(&self) -> Result<Brought, Failure> {
        let Fetcher { settings, runner, pull, .. } = self;
        let place = Place::open(settings)?;
        let (head, larger, mut notice) = match self.fetch_ends(&place) {
            Ok(()) => (pull.head, Vec::new(), None),
            Err(failed) if runner.token.is_empty() => {
                return Err(Failure::new(Kind::GitHub, failed.to_string()).with_hint(
                    "the checkout needs the remote that the pull request was made to; see workflows/review.yml",
                ));
            }
            Err(failed) => {
                let brought = self.ask_the_api(&place, &failed)?;
                let larger = match brought.larger.len() {
                    0 => String::new(),
                    count => format!("; {count} that are too large to be reviewed were not asked for"),
                };
                let notice = Left {
                    what: "the pull request's own commits".into(),
                    why: format!("{failed}; their files came through github's API{larger}"),
                };
                (brought.commit, brought.larger, Some(notice))
            }
        };
        if let Err(failed) = self.reach_the_index(head) {
            screen::tell(&format!("note: {}", failed.message()));
            let what = "the history between this clone and the index".into();
            notice = notice.or(Some(Left { what, why: failed.message().to_owned() }));
        }
        Ok(Brought { place: Place::open(settings)?, head, larger, notice })
    }

    fn ask_the_api(&self, place: &Place, failed: &FetchError) -> Result<objects::Brought, Failure> {
        screen::tell(&format!("note: {failed}; asking github's API"));
        let client = Client::new(Access::new(&*self.runner.api, &*self.runner.token)).map_err(PostError::from)?;
        objects::bring(&client, &place.repository, self.pull).map_err(|error| {
            let hint = hint(&error);
            Failure::new(Kind::GitHub, format!("{failed}, and github's API does not help: {error}")).with_hint(hint)
        })
    }

    /// Fetches by Git the two ends where the clone lacks them.
    fn fetch_ends(&self, place: &Place) -> Result<(), FetchError> {
        // New packs are seen by a new handle.
        let has = |id: &ObjectId| Place::open(self.settings).is_ok_and(|place| place.repository.objects().contains(id));
        // Another line of history would come whole.
        let depth = if place.repository.shallow().is_empty() { Depth::AsIs } else { Depth::Commits(DEPTHS[0]) };
        if !has(&self.pull.head) {
            self.fetch(place, &[Want::Pull(self.pull.number)], depth)?;
        }
        for id in [self.pull.head, self.pull.base] {
            if !has(&id) {
                self.fetch(place, &[Want::Commit(id)], depth)?;
            }
        }
        Ok(())
    }

    /// Deepens a shallow clone until what it cuts off is indexed.
    fn reach_the_index(&self, head: ObjectId) -> Result<(), Failure> {
        let ends = [head, self.pull.base];
        let mut depths = DEPTHS.into_iter();
        loop {
            let place = Place::open(self.settings)?;
            if place.repository.shallow().is_empty() {
                return Ok(());
            }
            // A store that cannot be read is made again, from all of history.
            let store = place.existing().ok().flatten();
            let indexed = store.and_then(|store| store.commit_ids().ok()).unwrap_or_default();
            let indexed: HashSet<ObjectId> = indexed.into_iter().collect();
            if indexed.is_empty() {
                return Ok(self.unshallow(&place)?);
            }
            if Walk::new(&place.repository, &ends, &indexed)?.cut_off(&place.repository).next().is_none() {
                return Ok(());
            }
            let Some(depth) = depths.next() else { return Ok(self.unshallow(&place)?) };
            self.fetch(&place, &self.ends(), Depth::Commits(depth))?;
        }
    }

    fn unshallow(&self, place: &Place) -> Result<(), FetchError> {
        if place.repository.shallow().is_empty() {
            return Ok(());
        }
        self.fetch(place, &self.ends(), Depth::All)
    }

    fn ends(&self) -> [Want; 2] {
        [Want::Pull(self.pull.number), Want::Commit(self.pull.base)]
    }

    fn fetch(&self, place: &Place, wants: &[Want], depth: Depth) -> Result<(), FetchError> {
        let Runner { server, token, .. } = self.runner;
        let source = fetch::Source { remote: &self.options.remote, server, token };
        fetch::fetch(&place.repository.directory(), &source, wants, depth)
    }

    /// The change, from the merge base on. Where the clone is shallow, that is found in what is indexed.
    fn change(&self, place: &Place, archive: &Archive, head: ObjectId) -> Result<Change, Failure> {
        let base = self.pull.base;
        if place.repository.shallow().is_empty() {
            return Ok(Change::between(&place.repository, base, head)?);
        }
        let merge_base = archive.merge_base(&place.repository, base, head)?;
        if place.repository.objects().contains(&merge_base) {
            return Ok(Change::since(&place.repository, merge_base, base, head)?);
        }
        self.fetch(place, &[Want::Commit(merge_base)], Depth::Commits(1))?;
        Ok(Change::since(&Place::open(self.settings)?.repository, merge_base, base, head)?)
    }
}

/// What helps where neither Git nor the API brought a pull request.
fn hint(error: &ObjectsError) -> &'static str {
    match error {
        ObjectsError::NotHere { .. } | ObjectsError::History(_) => {
            "the checkout needs the history of the base, as with `fetch-depth: 0`, where git cannot fetch more; see workflows/review.yml"
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
    let time = |tip| objects.commit(&place.repository, tip).map(|commit| commit.commit_time);
    let newest = match manifest.tips.iter().map(time).collect::<Result<Vec<i64>, _>>() {
        Ok(times) => times.into_iter().max(),
        // A shallow clone may lack the tips.
        Err(_) => {
            let commits = store.commits().unwrap_or_default();
            commits.iter().filter(|commit| manifest.tips.contains(&commit.id)).map(|commit| commit.commit_time).max()
        }
    };
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
