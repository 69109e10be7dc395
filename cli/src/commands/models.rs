//! `precedent models list`, `fetch` and `check`

use std::process::ExitCode;

use precedent_model::open::{BUILT_IN, Source};
use precedent_model::presets::{DECODERS, PRESETS, Preset};
use precedent_model::{Document, Table};
use serde::Serialize;

use super::json_line;
use crate::args::{ModelsCheckArguments, ModelsFetchArguments};
use crate::failure::{Failure, Kind};
use crate::place::Settings;
use crate::progress::Download;
use crate::{model, screen};

/// Components of vectors that were computed in different batches differ by less.
const ROUNDING: f32 = 1e-4;

#[derive(Serialize)]
struct Listed {
    name: &'static str,
    licence: &'static str,
    commercial: bool,
    millions: u32,
    dimension: usize,
    max_tokens: usize,
    repository: &'static str,
    revision: Option<&'static str>,
    fetched: bool,
}

pub(crate) fn list(settings: &Settings) -> Result<ExitCode, Failure> {
    let models = model::models()?;
    let mut out = String::from("  model                         parameters  vector  licence\n");
    let dimension = Table::built_in().dimension();
    out.push_str(&format!("  {BUILT_IN:<28}  {:>10}  {dimension:>6}  {:<13}  in the program\n", "", "as precedent"));
    let mut json = String::new();
    for preset in &PRESETS {
        let source = Source::parse(preset.name)?;
        // A model whose files have changed is not here as it should be.
        let found = source.wanted().map(|wanted| models.hub.find(wanted, &models.hashes));
        let fetched = matches!(found, Some(Ok(Some(_))));
        json.push_str(&json_line(&Listed {
            name: preset.name,
            licence: preset.licence,
            commercial: preset.commercial,
            millions: preset.millions,
            dimension: preset.dimension,
            max_tokens: preset.max_tokens,
            repository: preset.repository,
            revision: preset.revision,
            fetched,
        }));
        out.push_str(&format!(
            "  {:<28}  {:>8} M  {:>6}  {:<13}  {}{}\n",
            preset.name,
            preset.millions,
            preset.dimension,
            preset.licence,
            if preset.commercial { "" } else { "no commercial use; " },
            if fetched { "fetched" } else { "not fetched" }
        ));
    }
    out.push_str("\n  models that write, for review --llm\n");
    for preset in &DECODERS {
        let source = Source::parse(preset.name)?;
        let found = source.wanted().map(|wanted| models.hub.find(wanted, &models.hashes));
        let fetched = matches!(found, Some(Ok(Some(_))));
        json.push_str(&json_line(&Listed {
            name: preset.name,
            licence: preset.licence,
            commercial: preset.commercial,
            millions: preset.millions,
            dimension: 0,
            max_tokens: preset.context_tokens,
            repository: preset.repository,
            revision: preset.revision,
            fetched,
        }));
        let state = if fetched { "fetched" } else { "not fetched" };
        out.push_str(&format!(
            "  {:<28}  {:>8} M  {:>6}  {:<13}  {state}\n",
            preset.name, preset.millions, "", preset.licence
        ));
    }
    screen::print(if settings.json { &json } else { &out })?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn fetch(settings: &Settings, options: &ModelsFetchArguments) -> Result<ExitCode, Failure> {
    let (source, graph) = Source::parse_with_graph(&options.model)?;
    let Some(mut wanted) = source.wanted_with(graph.as_deref()) else {
        return Err(Failure::new(Kind::Usage, format!("`{}` is here already", options.model))
            .with_hint(format!("look at it with: precedent models check {}", options.model)));
    };
    model::tell_licence(wanted.name);
    let models = model::models()?;
    // A model that writes has no use for it, and may be any that is no preset.
    wanted.half = Preset::named(wanted.name).is_some() && models.has_gpu(model::device(None)?);
    let download = Download::new();
    let progress = |file: &str, done, total| download.show(file, done, total);
    let directory = match options.again {
        true => models.hub.fetch_again(wanted, &models.hashes, &progress),
        false => models.hub.fetch(wanted, &models.hashes, &progress),
    };
    download.finish();
    let directory = directory?.display().to_string();
    screen::print(&if settings.json {
        json_line(&serde_json::json!({ "model": wanted.name, "directory": directory }))
    } else {
        format!("  {directory}\n")
    })?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct Checked<'a> {
    model: &'a str,
    fingerprint: &'a str,
    dimension: usize,
    max_tokens: Option<usize>,
    /// How far the vectors of the same texts are apart when other texts are computed with them.
    difference: f32,
    /// Cosine of a question with code that answers it, and with other code.
    related: f32,
    unrelated: f32,
}

pub(crate) fn check(settings: &Settings, options: &ModelsCheckArguments) -> Result<ExitCode, Failure> {
    let source = Source::parse(&options.model)?;
    let device = model::device(options.device.as_deref())?;
    let model = model::open(&source, device)?;
    let texts = [
        "def read_csv(path):\n    with open(path) as file:\n        return list(csv.reader(file))",
        "fn clamp(value: f64, low: f64, high: f64) -> f64 { value.max(low).min(high) }",
        "x",
        "",
    ];
    let documents = texts.map(|text| Document { text, name: "" });
    let together = model.documents(&documents)?;
    if let Some(failed) = together.failed.first() {
        return Err(Failure::new(Kind::Model, format!("`{}` fails on a plain text: {}", model.name(), failed.why)));
    }
    let mut difference = 0.0f32;
    for (document, expected) in documents.iter().zip(&together.embeddings) {
        let alone = model.documents(&[*document])?;
        for (one, two) in alone.embeddings[0].unit.iter().zip(&expected.unit) {
            difference = difference.max((one - two).abs());
        }
    }
    let query = model.query("load the rows of a spreadsheet file")?;
    let cosine = |at: usize| -> f32 { together.embeddings[at].unit.iter().zip(&query.unit).map(|(x, y)| x * y).sum() };
    let checked = Checked {
        model: model.name(),
        fingerprint: model.fingerprint(),
        dimension: model.dimension(),
        max_tokens: model.max_tokens(),
        difference,
        related: cosine(0),
        unrelated: cosine(1),
    };
    let tokens = checked.max_tokens.map_or("any length".to_owned(), |tokens| format!("{tokens} tokens"));
    let text = if settings.json {
        json_line(&checked)
    } else {
        format!(
            "  model       {}, {}\n  vector      {} components, texts of {tokens}\n  order       changes a component \
             by {difference:.1e} at most\n  question    {:.2} to code that answers it, {:.2} to other code\n",
            checked.model, checked.fingerprint, checked.dimension, checked.related, checked.unrelated
        )
    };
    screen::print(&text)?;
    if difference > ROUNDING {
        screen::tell(
            "note: vectors depend on the texts beside them, as those of graphs with dynamically quantised activations do",
        );
    }
    Ok(ExitCode::SUCCESS)
}
