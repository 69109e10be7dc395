//! `precedent review`

use std::cell::Cell;
use std::panic::resume_unwind;
use std::process::ExitCode;
use std::thread;

use precedent_bot::Review;
use precedent_bot::change::{Change, empty_tree};
use precedent_bot::evidence::Evidence;
use precedent_bot::finding::{Citation, Severity as Found};
use precedent_bot::render;
use precedent_bot::voice::{Material, Voice};
use precedent_model::Embedder;
use precedent_pipeline::PipelineError;
use precedent_pipeline::archive::Archive;
use precedent_pipeline::history::Repository;
use precedent_pipeline::shard::ObjectId;

use crate::args::{Format, ReviewArguments, Severity};
use crate::failure::{Failure, Kind};
use crate::place::{Place, Settings};
use crate::screen;
use crate::voice::Speaker;

/// The exit code for `--fail-on`.
const FINDINGS: u8 = 10;

pub(crate) fn run(settings: &Settings, options: &ReviewArguments) -> Result<ExitCode, Failure> {
    if let Some(event) = &options.event {
        return super::review_event::run(settings, options, event);
    }
    let format = match (options.format, settings.json) {
        (Some(Format::Terminal | Format::Markdown | Format::Html | Format::Sarif | Format::Annotations), true) => {
            return Err(
                Failure::new(Kind::Usage, "--json and --format name two formats").with_hint("leave one of them out")
            );
        }
        (Some(format), _) => format,
        (None, true) => Format::Json,
        (None, false) => Format::Terminal,
    };
    let speaker = Speaker::open(options)?;
    let place = Place::open(settings)?;
    let (base, head) = range(&place, options.range.as_deref())?;
    let quiet = Settings { json: settings.json || format != Format::Terminal, ..settings.clone() };
    // Nothing is known before a root commit; the index only has to be there.
    let tip = if base == empty_tree(&head) { head } else { base };
    let read = || Change::between(&place.repository, base, head);
    let (review, passages) = thread::scope(|scope| {
        // What the change is can be read while the index is; again only where damage to the index calls for another one.
        let early = Cell::new(Some(scope.spawn(read)));
        place.with_archive(&quiet, &[tip], |archive, embedder| {
            let early = early.take().map(|early| early.join().unwrap_or_else(|panic| resume_unwind(panic)));
            let review = reviewed(&speaker, &place, archive, embedder, early.unwrap_or_else(read)?)?;
            let passages = match format {
                Format::Html => passages(&place.repository, archive, &review, head),
                _ => render::Passages::default(),
            };
            Ok((review, passages))
        })
    })?;
    if let Some(text) = speaker.explanation() {
        deliver(options, &explanation(settings, &text))?;
        return Ok(ExitCode::SUCCESS);
    }
    let text = match format {
        Format::Terminal => render::terminal(&review, screen::style(), place.repository.work_tree().as_deref()),
        Format::Json => render::json(&review),
        Format::Markdown => render::markdown(&review),
        Format::Html => render::html(&review, &passages),
        Format::Sarif => render::sarif(&review),
        Format::Annotations => render::annotations(&review),
    };
    speaker.guard(&review, &text)?;
    deliver(options, &text)?;
    if options.range.is_none() && review.change.base == head {
        nothing_new(&place);
    }
    Ok(verdict(options, &review))
}

/// Says what to do where a head has nothing that the default branch lacks, which is what is reviewed if nothing is named.
fn nothing_new(place: &Place) {
    let Some((branch, _)) = place.repository.default_branch() else { return };
    screen::tell(&format!("note: HEAD has nothing that {branch} lacks, so there was nothing to review"));
    screen::tell("  its last change:           precedent review HEAD~1..HEAD");
    if place.repository.work_tree().is_some() {
        screen::tell("  what is not committed yet: precedent review HEAD..$(git stash create)");
    }
}

/// The lines that the citations of a review are of, by what they are called once its head is called `head`.
pub(super) fn passages(
    repository: &Repository,
    archive: &Archive,
    review: &Review,
    head: ObjectId,
) -> render::Passages {
    let objects = repository.objects();
    let evidence = Evidence::new(&objects, archive);
    let key = |citation: &Citation| match citation.commit == review.change.head {
        true => render::passage_key(&Citation { commit: head, ..citation.clone() }),
        false => render::passage_key(citation),
    };
    let facts = review.briefing.iter().flat_map(|fact| &fact.citations);
    let all = facts.chain(review.findings.iter().flat_map(|finding| &finding.citations));
    all.filter_map(|citation| Some((key(citation), evidence.passage(citation)?))).collect()
}

/// A review, with a language model's voice if one is asked.
pub(super) fn reviewed(
    speaker: &Speaker,
    place: &Place,
    archive: &Archive,
    embedder: &dyn Embedder,
    change: Change,
) -> Result<Review, PipelineError> {
    let speak = |material: &Material<'_>| speaker.speak(material);
    let voice: Option<Voice<'_>> = if speaker.is_there() { Some(&speak) } else { None };
    precedent_bot::review_with(&place.repository, archive, embedder, change, voice)
}

/// What would be asked, as text or as one JSON object.
fn explanation(settings: &Settings, text: &str) -> String {
    #[derive(serde::Serialize)]
    struct Explanation<'a> {
        explanation: &'a str,
    }
    if settings.json { super::json_line(&Explanation { explanation: text }) } else { text.to_owned() }
}

/// Writes a review where it is wanted.
pub(super) fn deliver(options: &ReviewArguments, text: &str) -> Result<(), Failure> {
    match &options.out {
        None => screen::print(text),
        Some(path) => std::fs::write(path, text)
            .map_err(|error| Failure::new(Kind::Usage, format!("cannot write `{}`: {error}", path.display()))),
    }
}

/// The exit code, which `--fail-on` may change.
pub(super) fn verdict(options: &ReviewArguments, review: &Review) -> ExitCode {
    let bar = options.fail_on.map(|severity| match severity {
        Severity::Info => Found::Info,
        Severity::Minor => Found::Minor,
        Severity::Major => Found::Major,
        Severity::Critical => Found::Critical,
    });
    let fails = bar.is_some_and(|bar| review.findings.iter().any(|finding| finding.severity >= bar));
    if fails { ExitCode::from(FINDINGS) } else { ExitCode::SUCCESS }
}

/// The two ends of the change: the tip of the base, and the head.
fn range(place: &Place, typed: Option<&str>) -> Result<(ObjectId, ObjectId), Failure> {
    let repository = &place.repository;
    let Some(typed) = typed else {
        let head = repository.head()?;
        let (_, base) = repository.default_branch().ok_or_else(|| {
            Failure::new(Kind::Data, "this repository has no default branch to compare with")
                .with_hint("name the change, as in: precedent review BASE..HEAD")
        })?;
        return Ok((base, head));
    };
    // Git's word for a commit without its parents; of a merge, what it brought to its first.
    let alone = typed.strip_suffix("^!").map(|commit| format!("{commit}^..{commit}"));
    let typed = alone.as_deref().unwrap_or(typed);
    let Some((base, tip)) = typed.split_once("...").or_else(|| typed.split_once("..")) else {
        return Err(Failure::new(Kind::Usage, format!("`{typed}` is not a range"))
            .with_hint(format!("name two ends, as in: precedent review {typed}~1..{typed}")));
    };
    let end = |revision: &str| if revision.is_empty() { repository.head() } else { repository.resolve(revision) };
    let head = end(tip)?;
    let base = match end(base) {
        Err(_) if is_before_root(repository, base, &head) => empty_tree(&head),
        base => base?,
    };
    Ok((base, head))
}

/// Whether a base that does not resolve means the emptiness before a root commit: Git's empty tree by its id, or the
/// parent of a head that has none.
fn is_before_root(repository: &Repository, base: &str, head: &ObjectId) -> bool {
    if base == empty_tree(head).to_string() {
        return true;
    }
    let child = base.strip_suffix("~1").or_else(|| base.strip_suffix("^")).or_else(|| base.strip_suffix("~"));
    let is_head = |child: &str| repository.resolve(child).is_ok_and(|child| child == *head);
    let commit = repository.objects().commit(repository, head);
    child.is_some_and(is_head) && commit.is_ok_and(|commit| commit.parents.is_empty() && !commit.boundary)
}
