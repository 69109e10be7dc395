//! Commands: one file each.

mod doctor;
mod eval;
mod export;
mod index;
mod lineage;
mod models;
mod post;
mod replay;
mod review;
mod review_event;
mod reviews;
mod runtime;
mod search;
mod store;
mod survey;
mod upkeep;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::args::{Arguments, Command, ModelsCommand, ReviewsCommand, RuntimeCommand, StoreCommand};
use crate::failure::Failure;
use crate::place::Settings;

/// The version of every JSON object that is printed.
const SCHEMA: u32 = 1;

/// Runs what was asked for.
pub(crate) fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let mut settings = Settings {
        // Git sets GIT_DIR for its hooks.
        repository: arguments
            .repo
            .or_else(|| std::env::var_os("GIT_DIR").filter(|path| !path.is_empty()).map(PathBuf::from))
            .unwrap_or_else(|| PathBuf::from(".")),
        store: arguments.store,
        json: arguments.json,
    };
    match arguments.command {
        Command::Index(options) => {
            if let Some(repository) = &options.repository {
                settings.repository.clone_from(repository);
            }
            index::run(&settings, &options)
        }
        Command::Search(options) => search::run(&settings, &options),
        Command::Lineage(options) => lineage::run(&settings, &options),
        Command::Review(options) => review::run(&settings, &options),
        Command::Replay(options) => replay::run(&settings, &options),
        Command::Post(options) => post::run(&settings, &options),
        Command::Reviews(ReviewsCommand::Fetch(options)) => reviews::fetch(&settings, &options),
        Command::Eval(options) => eval::run(&settings, &options),
        Command::Doctor(options) => doctor::run(&settings, &options),
        Command::Export(options) => export::run(&settings, &options),
        Command::Store(StoreCommand::Check) => store::check(&settings),
        Command::Store(StoreCommand::Compact) => store::compact(&settings),
        Command::Store(StoreCommand::Gc(options)) => store::gc(&settings, &options),
        Command::Models(ModelsCommand::List) => models::list(&settings),
        Command::Models(ModelsCommand::Fetch(options)) => models::fetch(&settings, &options),
        Command::Models(ModelsCommand::Check(options)) => models::check(&settings, &options),
        Command::Runtime(RuntimeCommand::Install(options)) => runtime::install(&settings, &options),
        Command::Runtime(RuntimeCommand::Show) => runtime::show(&settings),
    }
}

/// One JSON object on a line of its own, with the schema version first.
fn json_line(value: &impl serde::Serialize) -> String {
    #[derive(serde::Serialize)]
    struct Versioned<'a, T> {
        schema: u32,
        #[serde(flatten)]
        value: &'a T,
    }
    let mut text = serde_json::to_string(&Versioned { schema: SCHEMA, value })
        .expect("because what is printed holds nothing that JSON cannot");
    text.push('\n');
    text
}
