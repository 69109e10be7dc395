//! The `precedent` command: arguments → settings → stages; progress, output, exit codes.
//!
//! The only crate that reads the environment, prints, and ends the process.

mod args;
mod commands;
mod failure;
mod model;
mod place;
mod progress;
mod runner;
mod screen;
mod voice;

use std::process::ExitCode;

use clap::Parser;

use args::Arguments;

/// Parsing makes and frees many small pieces, which the C library's allocator spends a quarter of the time on. The
/// parsers, which are written in C, use this one too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match commands::run(arguments) {
        Ok(code) => code,
        Err(failure) => {
            failure.print();
            failure.exit_code()
        }
    }
}
