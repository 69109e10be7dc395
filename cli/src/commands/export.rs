//! `precedent export`

use std::path::PathBuf;
use std::process::ExitCode;

use precedent_pipeline::archive::Archive;
use precedent_pipeline::export::{ExportError, Exported, Format, export};
use serde::Serialize;

use super::{json_line, store};
use crate::args::{ExportArguments, ExportFormat};
use crate::failure::{Failure, Kind};
use crate::place::{Place, Settings};
use crate::screen;

#[derive(Serialize)]
struct Document<'a> {
    format: &'static str,
    #[serde(flatten)]
    exported: &'a Exported,
}

pub(crate) fn run(settings: &Settings, options: &ExportArguments) -> Result<ExitCode, Failure> {
    let (format, name, default) = match options.format {
        ExportFormat::Faiss => (Format::Faiss, "faiss", "precedent.faiss"),
        ExportFormat::Pinecone => (Format::Pinecone, "pinecone", "precedent.parquet"),
        ExportFormat::Weaviate => (Format::Weaviate, "weaviate", "precedent.jsonl"),
        ExportFormat::Npy => (Format::Npy, "npy", "precedent-npy"),
    };
    let archive = Archive::open(store::existing(&Place::open(settings)?)?)?;
    let out = options.out.clone().unwrap_or_else(|| PathBuf::from(default));
    let exported = export(&archive, format, &out).map_err(|error| match error {
        ExportError::Store(error) => Failure::from(error),
        ExportError::Write { path, source } => {
            Failure::new(Kind::Usage, format!("cannot write `{}`: {source}", path.display()))
                .with_hint("name another place with --out")
        }
    })?;
    if settings.json {
        screen::print(&json_line(&Document { format: name, exported: &exported }))?;
    } else {
        let (rows, dimension) = (screen::counted(exported.rows, "vector"), exported.dimension);
        let mut text = format!("  {rows} of {dimension} values, {}\n", screen::bytes(exported.bytes));
        if exported.left_out > 0 {
            let left_out = screen::counted(exported.left_out, "text");
            text.push_str(&format!("  {left_out} left out, whose vectors are zeros\n"));
        }
        for file in &exported.files {
            text.push_str(&format!("  {}\n", file.display()));
        }
        screen::print(&text)?;
    }
    Ok(ExitCode::SUCCESS)
}
