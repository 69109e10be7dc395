//! `precedent eval checks`: what the checks say of past changes, and how often the labels call it right.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use precedent_bot::calibration::{self, Label, Reliability, Score};
use precedent_bot::change::Change;
use precedent_bot::checks::tree::{Library, Tree};
use precedent_bot::checks::{Scene, alarms, may_claim};
use precedent_bot::finding::{self, Finding};
use precedent_pipeline::history::{Objects, Repository};
use precedent_pipeline::shard::ObjectId;
use serde::Serialize;

use crate::failure::{Failure, Kind};
use crate::place::Settings;
use crate::screen;

/// What the labels say.
#[derive(Serialize)]
struct Judged {
    task: &'static str,
    repo: Option<&'static str>,
    queries: usize,
    metrics: Metrics,
    baselines: BTreeMap<&'static str, ()>,
}

#[derive(Serialize)]
struct Metrics {
    /// Of all that was judged in repositories that took no part in the design.
    precision: f64,
    low: f64,
    high: f64,
    checks: Vec<Score>,
    repositories: BTreeMap<String, Score>,
    reliability: Reliability,
}

/// Computes from labels how often each check was right, and how well the stated confidence fits.
pub(super) fn judge(settings: &Settings, directory: &Path, as_table: bool) -> Result<ExitCode, Failure> {
    let labels = labels(directory)?;
    let scores = calibration::scores(&labels);
    if as_table {
        screen::print(&calibration::table(&scores))?;
        return Ok(ExitCode::SUCCESS);
    }
    let judged: Vec<&Label> = labels.iter().filter(|label| !label.design).collect();
    let all = total("all", judged.iter().copied());
    let names: BTreeSet<&String> = judged.iter().map(|label| &label.repo).collect();
    let of = |name: &String| (name.clone(), total(name, judged.iter().copied().filter(|label| label.repo == *name)));
    let (low, high) = all.interval();
    let metrics = Metrics {
        precision: all.precision(),
        low,
        high,
        checks: scores,
        repositories: names.into_iter().map(of).collect(),
        reliability: calibration::reliability(&labels),
    };
    let report = Judged { task: "checks", repo: None, queries: judged.len(), metrics, baselines: BTreeMap::new() };
    screen::print(&if settings.json { super::json_line(&report) } else { shown(&report) })?;
    Ok(ExitCode::SUCCESS)
}

fn total<'l>(name: &str, labels: impl Iterator<Item = &'l Label>) -> Score {
    let (mut n, mut right) = (0, 0);
    for label in labels {
        n += 1;
        right += u32::from(label.is_right());
    }
    Score { check: name.to_owned(), n, right }
}

/// Every label of a directory, file after file.
fn labels(directory: &Path) -> Result<Vec<Label>, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::new(Kind::Usage, format!("`{}` cannot be read: {error}", directory.display()))
            .with_hint("name a directory of labels, as in: precedent eval checks --labels fixtures/labels")
    };
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        files.push(entry.map_err(unreadable)?.path());
    }
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    let mut found = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).map_err(unreadable)?;
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            found.push(serde_json::from_str(line).map_err(|error| {
                Failure::new(Kind::Usage, format!("line {number} of `{}` is no label: {error}", file.display()))
            })?);
        }
    }
    Ok(found)
}

fn shown(report: &Judged) -> String {
    let row = |score: &Score| {
        let (low, high) = score.interval();
        let interval = format!("{low:.2}-{high:.2}");
        format!("  {:<28}{:<9}{:<7}{:<11.2}{interval}\n", score.check, score.n, score.right, score.precision())
    };
    let mut out = format!("  {:<28}{:<9}{:<7}{:<11}{}\n", "", "judged", "right", "precision", "95 %");
    let metrics = &report.metrics;
    metrics.checks.iter().chain(metrics.repositories.values()).for_each(|score| out.push_str(&row(score)));
    let Reliability { n, brier, bins } = &metrics.reliability;
    out.push_str(&format!("\n  stated without the own repository: {n} labels, Brier score {brier:.3}\n"));
    for bin in bins {
        let (low, high) = bin.interval;
        out.push_str(&format!(
            "  stated {:.2}, right {:.2} ({low:.2}-{high:.2}) of {}\n",
            bin.stated, bin.right, bin.n
        ));
    }
    out
}

/// One alarm, as a line.
#[derive(Serialize)]
struct Alarm<'a> {
    repo: &'a str,
    commit: String,
    #[serde(flatten)]
    finding: &'a Finding,
}

/// The last line: how much was looked at.
#[derive(Serialize)]
struct Surveyed<'a> {
    repo: &'a str,
    first: String,
    last: String,
    changes: usize,
    alarms: usize,
    seconds: f64,
}

/// Prints what every check, silent or not, says of each first-parent step of a range, oldest first.
pub(super) fn survey(repository: &Repository, name: &str, range: &str, limit: usize) -> Result<(), Failure> {
    let started = std::time::Instant::now();
    let objects = repository.objects();
    let steps = steps(repository, &objects, range, limit)?;
    let library = Library::default();
    let mut count = 0;
    for (base, head) in &steps {
        let change = Change::of_files(repository, *base, *head)?;
        let tree = Tree::of(None, &objects, &library, head);
        if !may_claim(&Scene::new(&change, &objects, &tree, None)) {
            continue;
        }
        let change = change.with_nodes();
        let (found, _) =
            finding::verified(alarms(&Scene::new(&change, &objects, &tree, None)), |citation| citation.holds(&objects));
        for finding in &found {
            count += 1;
            screen::print(&super::json_line(&Alarm { repo: name, commit: head.to_string(), finding }))?;
        }
    }
    let end = |step: Option<&(ObjectId, ObjectId)>| step.map(|(_, head)| head.to_string()).unwrap_or_default();
    screen::print(&super::json_line(&Surveyed {
        repo: name,
        first: end(steps.first()),
        last: end(steps.last()),
        changes: steps.len(),
        alarms: count,
        seconds: started.elapsed().as_secs_f64(),
    }))
}

/// The first-parent steps of `BASE..TIP`, or the last ones that lead to a single revision; oldest first.
fn steps(
    repository: &Repository,
    objects: &Objects,
    range: &str,
    limit: usize,
) -> Result<Vec<(ObjectId, ObjectId)>, Failure> {
    let (base, tip) = range.split_once("..").map_or((None, range), |(base, tip)| (Some(base), tip));
    let base = base.map(|base| repository.resolve(base)).transpose()?;
    let mut head = repository.resolve(tip)?;
    let mut steps = Vec::new();
    while Some(head) != base && steps.len() < limit {
        let commit = objects.commit(repository, &head).map_err(precedent_pipeline::PipelineError::from)?;
        let Some(parent) = commit.parents.first() else { break };
        steps.push((*parent, head));
        head = *parent;
    }
    steps.reverse();
    Ok(steps)
}
