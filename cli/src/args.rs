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
    /// Say what is here: repository, index, model, runtime, machine
    Doctor,
    #[command(subcommand)]
    Store(StoreCommand),
    #[command(subcommand)]
    Models(ModelsCommand),
    #[command(subcommand)]
    Runtime(RuntimeCommand),
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

    /// Embed with this model: a preset, OWNER/NAME on the hub, or a directory
    /// [default: the index's own, or PRECEDENT_MODEL, or built-in]
    #[arg(long, value_name = "NAME|DIR")]
    pub(crate) model: Option<String>,

    /// Run the model on: auto, cpu, cuda or cuda:N [default: PRECEDENT_DEVICE, or auto]
    #[arg(long, value_name = "DEVICE")]
    pub(crate) device: Option<String>,

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
    /// The question: a description, a name, a piece of code, or what has changed; `-` is standard input
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

    /// Ask this model, a name or a directory; message-search asks the index's [default: the index's, or the built-in one]
    #[arg(long, value_name = "NAME|DIR")]
    pub(crate) model: Option<String>,

    /// Where an ONNX model runs: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE")]
    pub(crate) device: Option<String>,

    /// Tell what each signal of the ranking adds
    #[arg(long)]
    pub(crate) ablate: bool,

    /// For `message-search`: ask the whole message, and not its subject alone
    #[arg(long)]
    pub(crate) whole_messages: bool,

    /// Write what each candidate is judged by to a file, one query a line
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) judged: Option<PathBuf>,

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

/// Look after embedding models
#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// List the models that have a name here, with their licences
    List,
    Fetch(ModelsFetchArguments),
    Check(ModelsCheckArguments),
}

/// Bring a model's files here; they are the same ever after
#[derive(Debug, Args)]
pub(crate) struct ModelsFetchArguments {
    /// A preset, or `OWNER/NAME` or `OWNER/NAME@REVISION` on the hub
    #[arg(value_name = "NAME")]
    pub(crate) model: String,

    /// Forget what was recorded when it was first fetched, and take what is there now
    #[arg(long)]
    pub(crate) again: bool,
}

/// Load a model and embed a few texts with it
#[derive(Debug, Args)]
pub(crate) struct ModelsCheckArguments {
    /// A preset, OWNER/NAME on the hub, or a directory
    #[arg(value_name = "NAME|DIR")]
    pub(crate) model: String,

    /// Run it on: auto, cpu, cuda or cuda:N [default: PRECEDENT_DEVICE, or auto]
    #[arg(long, value_name = "DEVICE")]
    pub(crate) device: Option<String>,
}

/// Look after the ONNX Runtime, which ONNX models need
#[derive(Debug, Subcommand)]
pub(crate) enum RuntimeCommand {
    Install(RuntimeInstallArguments),
    /// Say which runtime is found and what it can compute with
    Show,
}

/// Install an official build, from its Python wheel; needs Python 3 with pip
#[derive(Debug, Args)]
pub(crate) struct RuntimeInstallArguments {
    /// The build for NVIDIA GPUs; it needs CUDA 13 and cuDNN 9
    #[arg(long)]
    pub(crate) cuda: bool,
}
