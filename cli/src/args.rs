//! Arguments: what was typed. The documentation of each field is its `--help`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Code review that cites precedent
///
/// Indexes every version of every function ever committed to a Git repository, and reviews a change
/// against that history.
#[derive(Debug, Parser)]
#[command(name = "precedent", version, propagate_version = true, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    /// The repository, bare or not [default: the current directory]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) repo: Option<PathBuf>,

    /// Where the index is kept [default: `precedent` in the repository's Git directory]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) store: Option<String>,

    /// Print machine output on standard output and nothing else
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Index(IndexArguments),
    Search(SearchArguments),
    Lineage(LineageArguments),
    Review(ReviewArguments),
    Eval(EvalArguments),
    /// Say what is here: repository, index, model, machine
    Doctor,
    #[command(subcommand)]
    Store(StoreCommand),
}

/// Index the whole history that a revision reaches; a second run takes only what is new
#[derive(Debug, Args)]
pub(crate) struct IndexArguments {
    /// The repository, bare or not [default: the current directory]
    #[arg(value_name = "REPO", conflicts_with = "repo")]
    pub(crate) repository: Option<PathBuf>,

    /// Index what this revision reaches; may be given again [default: HEAD]
    #[arg(long = "tip", value_name = "REV")]
    pub(crate) tips: Vec<String>,

    /// Build the index again from nothing
    #[arg(long)]
    pub(crate) rebuild: bool,

    /// How to parse the versions of a file; the index is the same
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Reparse::Window)]
    pub(crate) reparse: Reparse,

    /// About how much memory to use, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 384, value_parser = clap::value_parser!(u32).range(32..=1_048_576))]
    pub(crate) memory: u32,

    /// Only list what each commit changed, one `COMMIT TAB PATH` a line, and index nothing
    #[arg(long, hide = true, conflicts_with = "json")]
    pub(crate) list_changes: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Reparse {
    /// Each version whole
    Full,
    /// Each version around what differs from the one before it
    Window,
}

/// Search nodes by meaning, at a commit or over all of history
#[derive(Debug, Args)]
pub(crate) struct SearchArguments {
    /// The question, in words or code
    pub(crate) query: String,

    /// How many results
    #[arg(short = 'k', value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) count: u16,

    /// Search what was alive at this revision [default: HEAD]
    #[arg(long, value_name = "REV", conflicts_with = "history")]
    pub(crate) as_of: Option<String>,

    /// Search every version in every indexed history, one row a node
    #[arg(long)]
    pub(crate) history: bool,

    /// With --history, one row a version
    #[arg(long, requires = "history")]
    pub(crate) all_versions: bool,

    /// Only paths that match, as in `src/**/*.rs`
    #[arg(long, value_name = "GLOB")]
    pub(crate) path: Option<String>,

    /// Only this language, as in `rust`
    #[arg(long, value_name = "LANG")]
    pub(crate) lang: Option<String>,

    /// Only this kind of node, as in `function`
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<String>,
}

/// Measure how well search finds what it should in this repository
#[derive(Debug, Args)]
pub(crate) struct EvalArguments {
    /// What to ask
    #[arg(value_enum)]
    pub(crate) task: EvalTask,

    /// How many queries at most
    #[arg(long, value_name = "N", default_value_t = 800, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) queries: u32,

    /// Draw other queries
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,

    /// The tree to search, and with message-search the last commit [default: HEAD]
    #[arg(long, value_name = "REV")]
    pub(crate) as_of: Option<String>,

    /// For `questions`: a file with one question a line, as training/paraphrase/README.md tells
    #[arg(long, value_name = "FILE")]
    pub(crate) questions: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EvalTask {
    /// Functions by the first sentence of their documentation, which the searched text then lacks
    DocSearch,
    /// The nodes that a commit changed by its message, in the tree before it
    MessageSearch,
    /// Nodes by questions that somebody wrote down
    Questions,
}

/// Tell the life of one node or file, newest first
#[derive(Debug, Args)]
pub(crate) struct LineageArguments {
    /// PATH for a file, PATH:LINE or PATH#SYMBOL for a node
    #[arg(value_name = "PATH[:LINE|#SYMBOL]")]
    pub(crate) place: String,

    /// As known at this revision [default: HEAD]
    #[arg(long, value_name = "REV")]
    pub(crate) as_of: Option<String>,
}

/// Review a change against the history that is known at its base
#[derive(Debug, Args)]
pub(crate) struct ReviewArguments {
    /// The change [default: the default branch .. HEAD]
    #[arg(value_name = "BASE..HEAD")]
    pub(crate) range: Option<String>,

    /// How to write the review [default: terminal]
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,

    /// Write the review to a file
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    /// End with exit code 10 if a finding is at least this severe
    #[arg(long, value_enum, value_name = "SEVERITY")]
    pub(crate) fail_on: Option<Severity>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Terminal,
    Json,
    Markdown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Severity {
    Info,
    Minor,
    Major,
    Critical,
}

/// Look after the index
#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Read every byte of the index and report what does not fit
    Check,
}
