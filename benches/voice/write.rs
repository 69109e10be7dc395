//! Writes with a decoder and says how fast: `write MODEL [--device D] [--threads N] [--prompt N] [--tokens N] [--repeat N]`
//!
//! The prompt is N tokens drawn at random, and what is written goes on to N tokens whatever it says. One line of JSON is
//! printed: for each round the seconds until the first token and the seconds of the others.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program of its own")]

use std::cell::RefCell;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use precedent_model::embed::{Device, Hashes, Options};
use precedent_model::generate::{Decoder, Request};

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
    let [model, options @ ..] = &arguments[..] else {
        return Err("write MODEL [--device D] [--threads N] [--prompt N] [--tokens N] [--repeat N]".into());
    };
    let option = |name: &str| options.iter().position(|given| given == name).and_then(|at| options.get(at + 1));
    let number = |name: &str, usual: usize| option(name).map_or(Ok(usual), |text| text.parse());
    let device: Device = option("--device").map_or("cpu", String::as_str).parse()?;
    let threads = option("--threads").map(|text| text.parse()).transpose()?;
    let (prompt, tokens, repeat) = (number("--prompt", 256)?, number("--tokens", 64)?, number("--repeat", 3)?);
    let library = std::env::var_os("ORT_DYLIB_PATH").ok_or("ORT_DYLIB_PATH names no runtime")?;
    let options = Options { device, threads, tell: Arc::new(|text: &str| eprintln!("note: {text}")) };
    let decoder = Decoder::load("model", Path::new(model), None, Path::new(&library), &Hashes::default(), &options)?;
    // A fixed sequence: a multiplicative generator, whose upper bits choose among the first thousand tokens.
    let mut state = 20_261_126_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        3 + ((state >> 33) % 500) as u32
    };
    let asked: Vec<u32> = (0..prompt).map(|_| next()).collect();
    let mut rounds = Vec::new();
    for _ in 0..repeat {
        // It asks before each part of the prompt and each token whether it is over.
        let times = RefCell::new(Vec::new());
        let is_over = || {
            times.borrow_mut().push(Instant::now());
            false
        };
        let request = Request { max_tokens: tokens, ..Request::default() };
        let started = Instant::now();
        let count = decoder.continue_from(&asked, &request, &is_over)?.tokens.len();
        let times = times.into_inner();
        let steps = &times[times.len() - count..];
        let writing = steps[count - 1].duration_since(steps[0]).as_secs_f64();
        rounds.push(serde_json::json!({
            "prompt_tokens": prompt,
            "first_token_seconds": steps[0].duration_since(started).as_secs_f64(),
            "tokens": count,
            "tokens_a_second": (count - 1) as f64 / writing,
        }));
    }
    Ok(serde_json::to_string(&serde_json::json!({ "device": decoder.device(), "rounds": rounds }))?)
}
