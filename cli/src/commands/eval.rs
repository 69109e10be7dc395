//! `precedent eval`

use std::path::Path;
use std::process::ExitCode;

use precedent_bot::render::visible;
use precedent_bot::replay::{self, NearCopy};
use precedent_pipeline::eval::{self, EvalOptions, EvalReport, Figure, Figures, Judged, Question};
use precedent_pipeline::history::Repository;
use precedent_pipeline::shard::ObjectId;
use serde::Serialize;

use super::{json_line, survey};
use crate::args::{EvalArguments, EvalTask};
use crate::failure::{Failure, Kind};
use crate::model;
use crate::place::{Place, Settings};
use crate::screen;

pub(crate) fn run(settings: &Settings, options: &EvalArguments) -> Result<ExitCode, Failure> {
    if options.task == EvalTask::Checks && options.alarms.is_none() {
        return survey::judge(settings, &options.labels, options.table);
    }
    let place = Place::open(settings)?;
    if let (EvalTask::Checks, Some(range)) = (options.task, &options.alarms) {
        survey::survey(&place.repository, &name(&place.repository), range, options.queries as usize)?;
        return Ok(ExitCode::SUCCESS);
    }
    let commit = match &options.as_of {
        Some(revision) => place.repository.resolve(revision)?,
        None => place.repository.head()?,
    };
    if options.task == EvalTask::Copies {
        return copies(settings, &place, &commit, options.queries as usize);
    }
    let drawn = EvalOptions {
        queries: options.queries as usize,
        seed: options.seed,
        ablate: options.ablate,
        keep: options.judged.is_some(),
        among_all: options.among_all,
        whole_messages: options.whole_messages,
        ..EvalOptions::default()
    };
    let chosen = || model::choose(&place, options.model.as_deref(), model::device(options.device.as_deref())?);
    let report = match (options.task, &options.questions) {
        (EvalTask::DocSearch, _) => {
            let embedder = chosen()?;
            place.with_archive(settings, &[commit], |archive, _| {
                Ok(eval::doc_search(&place.repository, Some(archive), &*embedder, &commit, &drawn)?)
            })?
        }
        (EvalTask::MessageSearch, _) => place.with_archive(settings, &[commit], |archive, embedder| {
            Ok(eval::message_search(archive, embedder, &place.repository.objects(), &commit, &drawn)?)
        })?,
        (EvalTask::Checks | EvalTask::Copies, _) => unreachable!("because it has returned"),
        (EvalTask::Questions, Some(file)) => {
            let (commit, questions) = read(&place.repository, file)?;
            let embedder = chosen()?;
            place.with_archive(settings, &[commit], |archive, _| {
                Ok(eval::questions(&place.repository, Some(archive), &*embedder, &commit, &questions, &drawn)?)
            })?
        }
        (EvalTask::Questions, None) => {
            return Err(Failure::new(Kind::Usage, "no file of questions is given")
                .with_hint("as in: precedent eval questions --questions training/paraphrase/dev.jsonl"));
        }
    };
    if report.queries == 0 {
        return Err(Failure::new(Kind::Data, "this history gives no queries").with_hint(match options.task {
            EvalTask::DocSearch => "no function is documented by a sentence that does not hold its name",
            EvalTask::MessageSearch => "no commit changes a few functions and says so in at least three words",
            EvalTask::Questions => "no question is about a commit of this repository",
            EvalTask::Checks | EvalTask::Copies => "there are no labels",
        }));
    }
    if let Some(file) = &options.judged {
        keep(&report.judged, file)?;
    }
    let name = name(&place.repository);
    let text = match settings.json {
        true => json_line(&Document { repo: &name, report: &report }),
        false => shown(&name, &report),
    };
    screen::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the near-copies, and how many steps were looked at.
fn copies(settings: &Settings, place: &Place, tip: &ObjectId, last: usize) -> Result<ExitCode, Failure> {
    let (lines, looked) = place.with_archive(settings, &[*tip], |archive, embedder| {
        let mut lines = String::new();
        let each = |copy: &NearCopy| lines.push_str(&json_line(copy));
        let looked = replay::near_copies(&place.repository, archive, embedder, tip, last, each)?;
        Ok((lines, looked.unwrap_or_default()))
    })?;
    screen::print(&(lines + &json_line(&looked)))?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct Document<'a> {
    repo: &'a str,
    #[serde(flatten)]
    report: &'a EvalReport,
}

/// One query a line.
fn keep(judged: &[Judged], file: &Path) -> Result<(), Failure> {
    let text: String = judged.iter().map(json_line).collect();
    std::fs::write(file, text)
        .map_err(|error| Failure::new(Kind::Usage, format!("`{}` cannot be written: {error}", file.display())))
}

/// The questions of a file that are about commits of this repository. They must all be about one commit, the tree that is
/// searched.
fn read(repository: &Repository, file: &Path) -> Result<(ObjectId, Vec<Question>), Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::new(Kind::Usage, format!("`{}` cannot be read: {error}", file.display())))?;
    let mut questions: Vec<Question> = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let question = serde_json::from_str(line).map_err(|error| {
            Failure::new(Kind::Usage, format!("line {} of `{}` is no question: {error}", number + 1, file.display()))
                .with_hint(r#"a line is {"commit":"…","question":"…","gold":[{"path":"…","name":"…","line":1}]}"#)
        })?;
        questions.push(question);
    }
    let objects = repository.objects();
    let commit_of = |question: &Question| -> Option<ObjectId> {
        let commit = repository.resolve(&question.commit).ok()?;
        objects.files(&commit).is_ok().then_some(commit)
    };
    let Some(commit) = questions.iter().find_map(commit_of) else {
        return Err(Failure::new(
            Kind::Data,
            format!("no question of `{}` is about a commit of this repository", file.display()),
        ));
    };
    let full = commit.to_string();
    let all = questions.len();
    questions.retain(|question| full.starts_with(&question.commit));
    if questions.len() < all {
        let others = all - questions.len();
        screen::tell(&format!(
            "note: {others} of {all} questions are about other commits than {full:.12}, and are left out"
        ));
    }
    Ok((commit, questions))
}

/// The repository by the name of its directory.
pub(super) fn name(repository: &Repository) -> String {
    let directory = repository.common_directory();
    let own = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    match own(&directory) {
        Some(name) if name == ".git" => directory.parent().and_then(own).unwrap_or(name),
        name => name.unwrap_or_default(),
    }
}

fn shown(name: &str, report: &EvalReport) -> String {
    let mut out = format!(
        "  {} of {}: {} queries over {} nodes\n\n  {:<9}{:<17}{:<17}{:<17}{}\n",
        report.task,
        visible(name),
        report.queries,
        report.candidates,
        "",
        "MRR@10",
        "NDCG@10",
        "recall@10",
        "success@10"
    );
    let ways = std::iter::once((&"search", &report.metrics)).chain(&report.baselines);
    for (way, Figures { mrr, ndcg, recall, success }) in ways {
        let [mrr, ndcg, recall, success] = [mrr, ndcg, recall, success].map(figure);
        out.push_str(&format!("  {way:<9}{mrr:<17}{ndcg:<17}{recall:<17}{success}\n"));
    }
    if let Some(gains) = &report.ablations {
        out.push_str(&format!("\n  {:<15}{:<9}recall@10, what each signal adds\n", "", "MRR@10"));
        for (signal, gains) in gains {
            let (mrr, recall) = (gains.mrr.value, gains.recall.value);
            out.push_str(&format!("  {signal:<15}{mrr:<+9.4}{recall:+.4}\n"));
        }
    }
    out
}

/// `.531 (.50-.56)`
fn figure(figure: &Figure) -> String {
    let digits = |value: f64, count: usize| {
        let text = format!("{value:.count$}");
        // All of it takes no more room than parts of it.
        text.strip_prefix('0').map_or_else(|| text[..=count].to_owned(), str::to_owned)
    };
    format!("{} ({}-{})", digits(figure.value, 3), digits(figure.low, 2), digits(figure.high, 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        assert_eq!(figure(&Figure { value: 0.5314, low: 0.5, high: 0.56 }), ".531 (.50-.56)");
        assert_eq!(figure(&Figure { value: 1.0, low: 0.994, high: 1.0 }), "1.00 (.99-1.0)");
    }
}
