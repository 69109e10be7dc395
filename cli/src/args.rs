//! Arguments: what was typed. The documentation of each field is its `--help`.

use std::path::PathBuf;
use std::time::Duration;

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

    /// Where the index is kept: a directory, or s3://BUCKET/PREFIX [default: `precedent` in the repository's Git directory]
    #[arg(long, global = true, value_name = "DIR|URL")]
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
    Replay(ReplayArguments),
    Post(PostArguments),
    #[command(subcommand)]
    Reviews(ReviewsCommand),
    Eval(EvalArguments),
    /// Say what is here: repository, index, model, runtime, machine
    Doctor(DoctorArguments),
    #[command(subcommand)]
    Store(StoreCommand),
    Export(ExportArguments),
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

    /// Afterwards review past changes as of then, for so many seconds at the most, until the last 500 are done
    /// [default: one second, and only if there are 20 new ones]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(crate) replay: Option<u32>,

    /// Do not review past changes afterwards
    #[arg(long, conflicts_with = "replay")]
    pub(crate) no_replay: bool,

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

    /// Only texts that an author brought whose name or address holds this
    #[arg(long, value_name = "TEXT")]
    pub(crate) author: Option<String>,

    /// Only texts that were brought on this day or later
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub(crate) since: Option<i64>,

    /// Only texts that were brought on this day or before
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub(crate) until: Option<i64>,

    /// Also say how the vectors were searched, and what part of the nearest that found
    #[arg(long)]
    pub(crate) explain: bool,
}

/// The first second of a day in UTC, since 1970.
fn day(text: &str) -> Result<i64, String> {
    let wrong = || format!("`{text}` is no day, as in 2024-01-31");
    let parts: Vec<i64> = text.split('-').map(|part| part.parse().map_err(|_| wrong())).collect::<Result<_, _>>()?;
    let [year @ 1..=9999, month @ 1..=12, day @ 1..=31] = parts[..] else { return Err(wrong()) };
    // Years that begin in March end with the leap day: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    Ok((days - 719_468) * 86_400)
}

/// Review past changes as of then, and compare with what happened next
#[derive(Debug, Args)]
pub(crate) struct ReplayArguments {
    /// How many of the latest changes, or which share of all, as in `20%`
    #[arg(long, value_name = "N|N%", default_value = "500")]
    pub(crate) last: String,

    /// The last change [default: HEAD]
    #[arg(long, value_name = "REV")]
    pub(crate) as_of: Option<String>,

    /// Keep what became of each check's claims in the index, where reviews read it
    #[arg(long)]
    pub(crate) keep: bool,
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

    /// The tree to search, and with message-search and copies the last commit [default: HEAD]
    #[arg(long, value_name = "REV")]
    pub(crate) as_of: Option<String>,

    /// Ask this model, a name or a directory; message-search asks the index's [default: the index's, or the built-in one]
    #[arg(long, value_name = "NAME|DIR")]
    pub(crate) model: Option<String>,

    /// Where an ONNX model runs: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE")]
    pub(crate) device: Option<String>,

    /// For `checks`: print what every check says of each step of a range, or of the last `--queries` steps to a revision
    #[arg(long, value_name = "RANGE")]
    pub(crate) alarms: Option<String>,

    /// For `checks`: the directory of labels, files of one judged alarm a line
    #[arg(long, value_name = "DIR", default_value = "fixtures/labels")]
    pub(crate) labels: PathBuf,

    /// For `checks`: print the table that is built in, as these labels give it
    #[arg(long, conflicts_with = "json")]
    pub(crate) table: bool,

    /// Tell what each signal of the ranking adds
    #[arg(long)]
    pub(crate) ablate: bool,

    /// Search everything in the tree, as `search` does: tests, code without a name and sections of documents too
    #[arg(long)]
    pub(crate) among_all: bool,

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
    /// How often what the checks say was judged to be right
    Checks,
    /// The near-copies of the last `--queries` steps that meet all rules, for readers to judge; one a line, as JSON
    Copies,
}

/// Tell the life of one node or file, newest first
#[derive(Debug, Args)]
pub(crate) struct LineageArguments {
    /// PATH for a file, PATH:LINE or PATH#SYMBOL for a node; from here or from the root, and the end of a symbol will do
    #[arg(value_name = "PATH[:LINE|#SYMBOL]")]
    pub(crate) place: String,

    /// As known at this revision [default: HEAD]
    #[arg(long, value_name = "REV")]
    pub(crate) as_of: Option<String>,
}

/// Review a change against the history that is known at its base
#[derive(Debug, Args)]
#[cfg_attr(not(feature = "llm"), allow(dead_code, reason = "a build without language models refuses them by name"))]
pub(crate) struct ReviewArguments {
    /// The change, also REV^! for that of one commit [default: the default branch .. HEAD]
    #[arg(value_name = "BASE..HEAD")]
    pub(crate) range: Option<String>,

    /// The pull request of a workflow run: the payload that GITHUB_EVENT_PATH names
    #[arg(long, value_name = "FILE", conflicts_with = "range")]
    pub(crate) event: Option<PathBuf>,

    /// With --event, the remote that has the pull request
    #[arg(long, value_name = "NAME|URL", default_value = "origin", requires = "event")]
    pub(crate) remote: String,

    /// How to write the review [default: terminal, or json with --event]
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,

    /// Write the review to a file
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    /// End with exit code 10 if a finding is at least this severe
    #[arg(long, value_enum, value_name = "SEVERITY")]
    pub(crate) fail_on: Option<Severity>,

    /// Ask a language model too: a model of this machine (a preset, OWNER/NAME or a directory; `#onnx/model_q4.onnx`
    /// behind it names a graph), with --llm-url a model's name there, or none [default: PRECEDENT_LLM, or none]
    #[arg(long, value_name = "NAME|DIR|none", help_heading = "Language model")]
    pub(crate) llm: Option<String>,

    /// The address of a server with OpenAI's chat completions; PRECEDENT_LLM_KEY is the key [default: PRECEDENT_LLM_URL]
    #[arg(long, value_name = "URL", help_heading = "Language model")]
    pub(crate) llm_url: Option<String>,

    /// Print exactly what would be asked and what it would cost, and ask nothing
    #[arg(long, help_heading = "Language model")]
    pub(crate) explain_prompt: bool,

    /// With --llm-url, the tokens of the model's context [default: 8192]
    #[arg(long, value_name = "TOKENS", help_heading = "Language model")]
    pub(crate) llm_context: Option<usize>,

    /// With --llm-url, the model's tokenizer.json, to count its tokens with [default: a token for every 3 bytes]
    #[arg(long, value_name = "FILE", help_heading = "Language model")]
    pub(crate) llm_tokenizer: Option<PathBuf>,

    /// With --llm-url, tokens that a model may think before each answer; they are added to those of the answer [default: 0]
    #[arg(long, value_name = "TOKENS", help_heading = "Language model")]
    pub(crate) llm_thinking_tokens: Option<u32>,

    /// With --llm-url, the name that the server gives the model in its answers, where it is another one
    #[arg(long, value_name = "NAME", help_heading = "Language model")]
    pub(crate) llm_answers_as: Option<String>,

    /// Tokens read and written, at the most [default: 60000]
    #[arg(long, value_name = "N", help_heading = "Language model")]
    pub(crate) llm_tokens: Option<u64>,

    /// Questions, at the most [default: 24]
    #[arg(long, value_name = "N", help_heading = "Language model")]
    pub(crate) llm_requests: Option<u32>,

    /// Seconds, at the most [default: 300]
    #[arg(long, value_name = "N", help_heading = "Language model")]
    pub(crate) llm_seconds: Option<u64>,

    /// Money, at the most, by the prices that are given here or in precedent.toml
    #[arg(long, value_name = "AMOUNT", value_parser = amount, help_heading = "Language model")]
    pub(crate) llm_cost: Option<f64>,

    /// Money for a million tokens that are read [default: that in precedent.toml]
    #[arg(long, value_name = "AMOUNT", value_parser = amount, requires = "llm_output_price", help_heading = "Language model")]
    pub(crate) llm_input_price: Option<f64>,

    /// Money for a million tokens that are written [default: that in precedent.toml]
    #[arg(long, value_name = "AMOUNT", value_parser = amount, requires = "llm_input_price", help_heading = "Language model")]
    pub(crate) llm_output_price: Option<f64>,
}

/// An amount of money.
fn amount(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|number| precedent_bot::config::is_amount(*number))
        .ok_or_else(|| "it is no amount of money".into())
}

/// Post the findings of a review on its pull request; nothing else here writes to GitHub
///
/// Reads GITHUB_TOKEN, GITHUB_API_URL, GITHUB_REPOSITORY and GITHUB_EVENT_NAME, and writes to GITHUB_STEP_SUMMARY and
/// GITHUB_OUTPUT where they are set.
#[derive(Debug, Args)]
pub(crate) struct PostArguments {
    /// What `review --event` wrote
    #[arg(value_name = "FINDINGS.json")]
    pub(crate) findings: PathBuf,

    /// The payload of the run [default: what GITHUB_EVENT_PATH names]
    #[arg(long, value_name = "FILE")]
    pub(crate) event: Option<PathBuf>,

    /// The account that the token belongs to
    #[arg(long, value_name = "LOGIN", default_value = "github-actions[bot]")]
    pub(crate) author: String,

    /// Comments on lines, at the most
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u8).range(1..=20))]
    pub(crate) max_comments: u8,
}

/// Keep what reviewers said of earlier pull requests
#[derive(Debug, Subcommand)]
pub(crate) enum ReviewsCommand {
    Fetch(FetchReviewsArguments),
}

/// Read review comments of merged pull requests from GitHub into the index; a second run takes what is new or edited
///
/// Kept are the comments of owners, members and collaborators that begin a conversation about code. Reads GITHUB_TOKEN,
/// GITHUB_API_URL, GITHUB_GRAPHQL_URL and GITHUB_REPOSITORY where they are set; a token that may read is enough.
#[derive(Debug, Args)]
pub(crate) struct FetchReviewsArguments {
    /// The repository on GitHub [default: GITHUB_REPOSITORY]
    #[arg(long, value_name = "OWNER/NAME")]
    pub(crate) from: Option<String>,

    /// Read at most so many hundred comments; the next run goes on behind them
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) max_pages: u16,

    /// The account that posts for this program: what people made of its comments is counted, by check
    #[arg(long, value_name = "LOGIN", default_value = "github-actions[bot]")]
    pub(crate) author: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Terminal,
    Json,
    Markdown,
    /// A page to read in a browser, which needs nothing else
    Html,
    /// The findings, as SARIF 2.1.0 for code scanning
    Sarif,
    /// The findings, as workflow commands that a runner shows beside the code
    Annotations,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Severity {
    Info,
    Minor,
    Major,
    Critical,
}

/// What `doctor` is asked for besides
#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    /// Say which checks may speak, and on what ground
    #[arg(long)]
    pub(crate) checks: bool,
}

/// Look after the index
#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Read every byte of the index and report what does not fit
    Check,
    /// Merge all shards into few large ones
    Compact,
    Gc(GcArguments),
}

/// Remove files that no longer count
#[derive(Debug, Args)]
pub(crate) struct GcArguments {
    /// Leave what a command may still be reading that began this long ago: 90s, 15m, 1h, 2d
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration)]
    pub(crate) grace: Duration,
}

/// A whole number of seconds, minutes, hours or days.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let seconds: u64 = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        "" if digits == "0" => 1,
        _ => return Err("give a number and a unit, as in 90s, 15m, 1h or 2d".to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_| format!("`{digits}` is not a whole number"))?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(|| "that is too long".to_owned())
}

/// Write the index's vectors, with what they are of, for another tool
#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    /// For which tool
    #[arg(long, value_enum)]
    pub(crate) format: ExportFormat,

    /// The file, or for npy the folder [default: precedent.faiss, .parquet, .jsonl, or precedent-npy]
    #[arg(long, value_name = "PATH")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// An index that faiss.read_index opens
    Faiss,
    /// Parquet for Pinecone's bulk import
    Pinecone,
    /// Weaviate's batch objects, one a line
    Weaviate,
    /// NumPy arrays
    Npy,
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
    /// A preset, or `OWNER/NAME` or `OWNER/NAME@REVISION` on the hub; `#onnx/model_q4.onnx` behind it names a graph
    #[arg(value_name = "NAME")]
    pub(crate) model: String,

    /// Take what is there now, whatever was recorded when it was first fetched
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        let check = |text: &str, seconds: Option<u64>| {
            assert_eq!(duration(text).ok(), seconds.map(Duration::from_secs), "{text}");
        };
        check("0", Some(0));
        check("90s", Some(90));
        check("15m", Some(900));
        check("2h", Some(7200));
        check("1d", Some(86_400));
        for wrong in ["", "5", "h", "-1s", "1w", "1.5h", "99999999999999999999s", "9999999999999999999d", "é"] {
            check(wrong, None);
        }
    }

    #[test]
    fn days_are_counted_as_the_calendar_has_them() {
        for (text, expected) in [
            ("1970-01-01", 0),
            ("1969-12-31", -86_400),
            ("2000-02-29", 951_782_400),
            ("2000-03-01", 951_868_800),
            ("2024-01-31", 1_706_659_200),
        ] {
            assert_eq!(day(text), Ok(expected), "{text}");
        }
        for text in ["", "today", "2024-13-01", "2024-01", "2024-01-01-01", "24/1/1"] {
            assert!(day(text).is_err(), "{text}");
        }
    }
}
