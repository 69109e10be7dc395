//! What `benches/search/compare.py` times of ours: builds a store of vectors, opens it, asks it.
//!
//! ```text
//! vectors embed TEXTS.json OUT.f32               questions, embedded by the built-in table
//! vectors build VECTORS.i8 SCALES.f32 STORE      a store of 256-dimensional vectors, and nothing else, in one shard
//! vectors build VECTORS.i8 SCALES.f32 STORE ROWS the same, so many rows a generation, merged at the end as runs do
//! vectors first STORE QUESTIONS.f32              opens the store and asks the first question
//! vectors ask   STORE QUESTIONS.f32 EFFORTS.json OUT.u32 [WANTED.u8]
//! ```
//!
//! `ask` loads the store and asks every question with every effort on one thread: an effort is `[share, least, compared]`, or
//! `null` for the usual one.
//! It writes ten chunk numbers a question, effort after effort, and prints one line of JSON with the seconds of each.
//! WANTED holds one byte a chunk, 1 for those that may be found.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program of its own")]

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use precedent_model::Table;
use precedent_pipeline::search::{Effort, VectorIndex};
use precedent_pipeline::shard::{Generation, Merging, Settings, Store, VectorRow};

/// Values a vector.
const DIMENSION: usize = 256;
/// Results a question.
const COUNT: usize = 10;

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

fn run() -> Result<String, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["embed", texts, out] => embed(texts, out),
        ["build", vectors, scales, store] => build(vectors, scales, Path::new(store), None),
        ["build", vectors, scales, store, rows] => build(vectors, scales, Path::new(store), Some(rows.parse()?)),
        ["first", store, questions] => first(&open(store)?, &read_questions(questions)?),
        ["ask", store, questions, efforts, out] => ask(&open(store)?, &read_questions(questions)?, efforts, out, None),
        ["ask", store, questions, efforts, out, wanted] => {
            ask(&open(store)?, &read_questions(questions)?, efforts, out, Some(&std::fs::read(wanted)?))
        }
        _ => Err("vectors embed|build|first|ask …, as the top of the file tells".into()),
    }
}

fn embed(texts: &str, out: &str) -> Result<String, Box<dyn Error>> {
    let texts: Vec<String> = serde_json::from_slice(&std::fs::read(texts)?)?;
    let table = Table::built_in();
    let bytes: Vec<u8> =
        texts.iter().flat_map(|text| table.query(text).unit).flat_map(|value| value.to_le_bytes()).collect();
    std::fs::write(out, bytes)?;
    Ok(serde_json::json!({ "questions": texts.len() }).to_string())
}

fn build(
    vectors: &str,
    scales: &str,
    directory: &Path,
    rows_a_generation: Option<usize>,
) -> Result<String, Box<dyn Error>> {
    let (values, scales) = (std::fs::read(vectors)?, floats(&std::fs::read(scales)?));
    let rows = values.chunks_exact(DIMENSION).zip(&scales).enumerate();
    let vectors: Vec<VectorRow> = rows
        .map(|(chunk, (row, scale))| VectorRow {
            chunk: chunk as u32,
            norm: 1.0,
            scale: *scale,
            vector: row.iter().map(|byte| *byte as i8).collect(),
        })
        .collect();
    let settings = Settings { chunker: "none".into(), embedder: "built-in".into(), dimension: DIMENSION as u32 };
    let mut store = Store::create(directory, settings);
    let lock = store.lock()?;
    let begun = Instant::now();
    match rows_a_generation {
        None => store.commit(&lock, Generation { vectors, ..Generation::default() })?,
        Some(rows) => {
            for vectors in vectors.chunks(rows.max(1)) {
                store.commit(&lock, Generation { vectors: vectors.to_vec(), ..Generation::default() })?;
            }
            store.merge(&lock, Merging::Levels)?;
            // Those that were merged are no longer read, and are not to be counted.
            store.clear(&lock, Duration::ZERO)?;
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    Ok(serde_json::json!({ "rows": scales.len(), "seconds": seconds, "bytes": store.bytes_on_disk() }).to_string())
}

fn first(store: &Store, questions: &[Vec<f32>]) -> Result<String, Box<dyn Error>> {
    let index = VectorIndex::open(store)?;
    let question = questions.first().ok_or("there is no question")?;
    let (found, how) = index.search(question, COUNT, &index.all(), &Effort::usual(index.len(), index.len()))?;
    let chunks: Vec<u32> = found.iter().map(|found| found.chunk).collect();
    Ok(serde_json::json!({ "chunks": chunks, "how": how }).to_string())
}

fn ask(
    store: &Store,
    questions: &[Vec<f32>],
    efforts: &str,
    out: &str,
    wanted: Option<&[u8]>,
) -> Result<String, Box<dyn Error>> {
    let efforts: Vec<Option<(f32, usize, usize)>> = serde_json::from_slice(&std::fs::read(efforts)?)?;
    let begun = Instant::now();
    let index = VectorIndex::load(store)?;
    let load = begun.elapsed().as_secs_f64();
    let rows = match wanted {
        Some(wanted) => index.rows(|chunk| wanted.get(chunk as usize) == Some(&1))?,
        None => index.all(),
    };
    let (mut answers, mut seconds) = (Vec::new(), Vec::new());
    for effort in efforts {
        let usual = Effort::usual(rows.len(), index.len());
        let effort = effort.map_or(usual, |(share, least, compared)| Effort { share, least, compared, ..usual });
        let mut of_effort = Vec::with_capacity(questions.len());
        for question in questions {
            let begun = Instant::now();
            let (found, _) = index.search(question, COUNT, &rows, &effort)?;
            of_effort.push(begun.elapsed().as_secs_f64());
            let chunks = found.iter().map(|found| found.chunk).chain(std::iter::repeat(u32::MAX)).take(COUNT);
            answers.extend(chunks.flat_map(u32::to_le_bytes));
        }
        seconds.push(of_effort);
    }
    std::fs::write(out, answers)?;
    Ok(serde_json::json!({ "load": load, "seconds": seconds }).to_string())
}

fn open(store: &str) -> Result<Store, Box<dyn Error>> {
    Store::open(Path::new(store))?.ok_or_else(|| format!("there is no store in `{store}`").into())
}

fn read_questions(path: &str) -> Result<Vec<Vec<f32>>, Box<dyn Error>> {
    Ok(floats(&std::fs::read(path)?).chunks_exact(DIMENSION).map(<[f32]>::to_vec).collect())
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let word = |word: &[u8]| f32::from_le_bytes([word[0], word[1], word[2], word[3]]);
    bytes.chunks_exact(4).map(word).collect()
}
