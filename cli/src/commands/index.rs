//! `precedent index`

use std::process::ExitCode;

use precedent_bot::render::short;
use precedent_pipeline::shard::ObjectId;
use precedent_pipeline::{IndexOptions, UpkeepOptions};
use serde::Serialize;

use super::json_line;
use super::upkeep::{self, Replayed};
use crate::args::{IndexArguments, Reparse};
use crate::failure::Failure;
use crate::place::{Place, Settings, shown_place};
use crate::runner::Runner;
use crate::{model, screen};

pub(crate) fn run(settings: &Settings, options: &IndexArguments) -> Result<ExitCode, Failure> {
    let place = Place::open(settings)?;
    let mut tips: Vec<ObjectId> = Vec::new();
    for tip in &options.tips {
        tips.push(place.repository.resolve(tip)?);
    }
    if tips.is_empty() {
        tips.push(place.repository.head()?);
    }
    if options.list_changes {
        return list_changes(&place, &tips);
    }
    let rebuild = options.rebuild.then(|| "that was asked for".to_owned());
    let index = IndexOptions {
        reparse: match options.reparse {
            Reparse::Full => precedent_pipeline::Reparse::Full,
            Reparse::Window => precedent_pipeline::Reparse::Window,
        },
        memory: (options.memory as usize) << 20,
    };
    let embedder = model::choose(&place, options.model.as_deref(), model::device(options.device.as_deref())?)?;
    let mut ready = place.bring_up(&tips, &UpkeepOptions { rebuild, embedder, index })?;
    for caveat in screen::caveats(&ready.report) {
        screen::tell(&format!("note: {caveat}"));
    }
    let replay = match options.no_replay || ready.report.interrupted {
        true => None,
        false => Some(upkeep::replay(&place, &ready.store, &tips[0], options.replay)),
    };
    if let Some(generation) = replay.as_ref().and_then(|replay| replay.generation) {
        ready.report.generation = generation;
    }
    let report = &ready.report;
    Runner::from_environment().note(&precedent_bot::github::summary::indexed(report));
    if settings.json {
        let peak_rss_bytes = peak_rss_bytes();
        screen::print(&json_line(&Whole { report, peak_rss_bytes, replay: replay.as_ref() }))?;
    } else if report.commits == 0 && !report.interrupted {
        let commits = screen::counted(report.totals.commits, "commit");
        screen::print(&format!("  nothing new since {} · {commits} indexed\n", short(&tips[0])))?;
    } else {
        screen::print(&screen::index_summary(report, &ready.model, &shown_place(ready.store.location())))?;
    }
    if let Some(replay) = replay.as_ref().filter(|_| !settings.json) {
        screen::print(&replay.shown())?;
    }
    let interrupted = report.interrupted || replay.is_some_and(|replay| replay.interrupted);
    if interrupted { Err(Failure::interrupted()) } else { Ok(ExitCode::SUCCESS) }
}

/// What benches compare with `git log --raw -c`.
fn list_changes(place: &Place, tips: &[ObjectId]) -> Result<ExitCode, Failure> {
    let mut lines = String::new();
    precedent_pipeline::each_change(&place.repository, tips, |commit, changes| {
        let commit = commit.to_string();
        for change in changes {
            lines.extend([&commit, "\t", &change.path, "\n"]);
        }
    })?;
    screen::print(&lines)?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    report: &'a precedent_pipeline::IndexReport,
    /// Null where the system does not tell.
    peak_rss_bytes: Option<u64>,
    /// Null where past changes were not to be replayed.
    replay: Option<&'a Replayed>,
}

/// The most memory this process has held, as Linux counts it.
fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
