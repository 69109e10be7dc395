//! The `precedent` command: arguments → settings → stages; progress, output, exit codes.
//!
//! The only crate that reads the environment, prints, and ends the process.

mod args;
mod commands;
mod failure;
mod place;
mod progress;
mod screen;

use std::process::ExitCode;

use clap::Parser;

use args::Arguments;

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
