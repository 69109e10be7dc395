//! Embeds texts and says how fast: `embed MODEL TEXTS.json OUT.f32 [--device D] [--threads N] [--repeat N] [--batch TOKENS]`
//!
//! TEXTS.json is a list of strings. The vectors are written in little-endian f32, and one line of JSON is printed. With
//! `built-in` for MODEL the table is timed; its vectors come from texts without names. With `--batch` batches have so many
//! tokens; otherwise as many as prove fastest.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program of its own")]

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use precedent_model::embed::{Device, Hashes, Options, Settings, StaticModel};
use precedent_model::hub::Hub;
use precedent_model::open::{Models, Source};
use precedent_model::runtime::RuntimePlaces;
use precedent_model::{Document, Embedder};
use rayon::prelude::*;

fn main() -> ExitCode {
    match run() {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<String, Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, texts, out, options @ ..] = &arguments[..] else {
        return Err("embed MODEL TEXTS.json OUT.f32 [--device D] [--threads N] [--repeat N] [--batch TOKENS]".into());
    };
    let option = |name: &str| options.iter().position(|given| given == name).and_then(|at| options.get(at + 1));
    let device: Device = option("--device").map_or("cpu", String::as_str).parse()?;
    let threads = option("--threads").map(|text| text.parse()).transpose()?;
    let repeat: usize = option("--repeat").map_or(Ok(1), |text| text.parse())?;
    let texts: Vec<String> = serde_json::from_slice(&std::fs::read(texts)?)?;
    let documents: Vec<Document<'_>> = texts.iter().map(|text| Document { text, name: "" }).collect();
    let models = Models {
        hub: Hub { cache: "".into(), endpoint: None, token: None, offline: true, records: "no-records.json".into() },
        runtime: RuntimePlaces {
            named: std::env::var_os("ORT_DYLIB_PATH").map(Into::into),
            ..RuntimePlaces::default()
        },
        hashes: Hashes::default(),
    };
    let options = Options { device, threads, tell: Arc::new(|text: &str| eprintln!("note: {text}")) };
    let mut tokens = None;
    let mut batch = None;
    let (embedder, encoder): (Arc<dyn Embedder>, _) = match Source::parse(model)? {
        Source::Directory(directory) if !StaticModel::is_in(&directory) => {
            let encoder = Arc::new(models.open_onnx(model, &directory, &Settings::default(), &options)?);
            (encoder.clone(), Some(encoder))
        }
        source => (models.open(&source, &options, &|_, _, _| {})?, None),
    };
    if let Some(encoder) = &encoder {
        if let Some(size) = option("--batch") {
            encoder.fix_batch(size.parse()?);
        }
        let counts: Vec<usize> = texts.par_iter().map(|text| encoder.count_tokens(text)).collect::<Result<_, _>>()?;
        tokens = Some(counts.iter().sum::<usize>());
    }
    let mut seconds = Vec::new();
    let mut embedded = embedder.documents(&documents[..documents.len().min(64)])?;
    for _ in 0..repeat {
        let started = Instant::now();
        embedded = embedder.documents(&documents)?;
        seconds.push(started.elapsed().as_secs_f64());
    }
    if let Some(encoder) = &encoder {
        batch = Some((encoder.batch_tokens(), encoder.device()));
    }
    let bytes: Vec<u8> =
        embedded.embeddings.iter().flat_map(|vector| &vector.unit).flat_map(|x| x.to_le_bytes()).collect();
    std::fs::write(out, bytes)?;
    Ok(serde_json::to_string(&serde_json::json!({
        "texts": texts.len(),
        "tokens": tokens,
        "dimension": embedder.dimension(),
        "batch_tokens": batch.as_ref().map(|(size, _)| size),
        "sessions": encoder.as_ref().map(|encoder| encoder.sessions()),
        "device": batch.as_ref().map(|(_, device)| device),
        "failed": embedded.failed.len(),
        "seconds": seconds,
    }))?)
}
