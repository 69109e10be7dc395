//! Config: what a repository's owners ask of reviews, read from the base of a change and from nowhere else. Pure but for
//! [`Config::at`], which reads one blob.
//!
//! ```toml
//! max-findings = 3            # at most three
//! mute = ["broken-reference"] # checks that say nothing
//! speak = ["copied-doc"]      # checks that speak here although they are not right often enough
//!
//! [[paths]]
//! path = "docs/old/"          # a file, or a directory with its slash
//! mute = ["*"]                # every check
//! instructions = "…"          # for a language model
//!
//! [llm]
//! instructions = "…"          # for every file
//! max-requests = 10           # less than the program's own limits
//! ```

use precedent_pipeline::history::Objects;
use precedent_pipeline::shard::ObjectId;
use serde::Deserialize;

use crate::finding::Finding;

/// Where it may stand; the first that is there counts.
pub const FILES: [&str; 2] = ["precedent.toml", ".precedent.toml"];
/// Findings shown on one change, at the most, whatever is asked for.
pub const MAX_FINDINGS: usize = 3;
/// More than that is no configuration; in bytes.
const MAX_BYTES: usize = 64 << 10;

/// The settings.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Config {
    /// Fewer findings than [`MAX_FINDINGS`].
    pub max_findings: Option<usize>,
    /// Checks that say nothing.
    pub mute: Vec<String>,
    /// Checks that speak whatever was found of how often they are right; their claims state no confidence.
    pub speak: Vec<String>,
    /// Settings of parts of the tree.
    pub paths: Vec<PathConfig>,
    /// What a language model is told, and what may be spent on it.
    pub llm: LlmConfig,
}

/// What a language model is told, and what may be spent on it: less than the program's own limits, never more.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct LlmConfig {
    /// What the project wants a reviewer to know.
    pub instructions: String,
    /// Precedents in one question.
    pub precedents: Option<usize>,
    /// Tokens read and written.
    pub max_tokens: Option<u64>,
    /// Questions.
    pub max_requests: Option<u32>,
    /// Time for everything, in seconds.
    pub max_seconds: Option<u64>,
    /// Money, in the unit of the prices.
    pub max_cost: Option<f64>,
    /// Money for a million tokens that are read.
    pub input_price: Option<f64>,
    /// Money for a million tokens that are written.
    pub output_price: Option<f64>,
}

/// The settings of one path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PathConfig {
    /// A file, or a directory with its slash.
    pub path: String,
    /// Checks that say nothing of what is anchored or cited there; `*` for all.
    #[serde(default)]
    pub mute: Vec<String>,
    /// What a language model is told about what is there.
    #[serde(default)]
    pub instructions: String,
}

impl Config {
    /// The settings in the tree of `base`; the default when there are none.
    ///
    /// # Errors
    /// What is wrong with the file, in a sentence.
    pub fn at(objects: &Objects, base: &ObjectId) -> Result<Config, String> {
        for path in FILES {
            let Some(entry) = objects.entry(base, path) else { continue };
            let Ok(bytes) = objects.blob_within(&entry.id, MAX_BYTES) else {
                return Err(format!("`{path}` cannot be read or is too long"));
            };
            return Config::parse(&String::from_utf8_lossy(&bytes)).map_err(|why| format!("`{path}`: {why}"));
        }
        Ok(Config::default())
    }

    /// Reads a text.
    ///
    /// # Errors
    /// The first line of what is wrong with it.
    pub fn parse(text: &str) -> Result<Config, String> {
        let config: Config =
            toml::from_str(text).map_err(|error| error.message().lines().next().unwrap_or_default().to_owned())?;
        let llm = &config.llm;
        for (name, amount) in
            [("max-cost", llm.max_cost), ("input-price", llm.input_price), ("output-price", llm.output_price)]
        {
            if amount.is_some_and(|amount| !is_amount(amount)) {
                return Err(format!("`{name}` is no amount of money"));
            }
        }
        Ok(config)
    }

    /// What a language model is told about a file: what holds for every file first.
    pub fn instructions(&self, path: &str) -> String {
        let own = self.paths.iter().filter(|setting| setting.holds(path)).map(|setting| &setting.instructions);
        let all = std::iter::once(&self.llm.instructions).chain(own);
        all.map(|text| text.trim()).filter(|text| !text.is_empty()).collect::<Vec<&str>>().join("\n")
    }

    /// How many findings may be shown.
    pub fn max_findings(&self) -> usize {
        self.max_findings.unwrap_or(MAX_FINDINGS).min(MAX_FINDINGS)
    }

    /// Whether the owners want to hear a check that is not right often enough.
    pub fn asks_for(&self, check: &str) -> bool {
        self.speak.iter().any(|asked| asked == check)
    }

    /// Whether a check says nothing, wherever it is.
    pub fn mutes_all(&self, check: &str) -> bool {
        names(&self.mute, check)
    }

    /// Whether a finding is not to be shown.
    pub fn mutes(&self, finding: &Finding) -> bool {
        let cited = finding.citations.first().map(|citation| citation.path.as_str());
        let is_at = |setting: &PathConfig| {
            [Some(finding.path.as_str()), cited].into_iter().flatten().any(|path| setting.holds(path))
        };
        let is_muted = |setting: &PathConfig| is_at(setting) && names(&setting.mute, finding.check);
        self.mutes_all(finding.check) || self.paths.iter().any(is_muted)
    }
}

/// Whether a list of checks has this one in it.
fn names(mute: &[String], check: &str) -> bool {
    mute.iter().any(|muted| muted == "*" || muted == check)
}

/// Whether a number can be an amount of money that is paid.
pub fn is_amount(number: f64) -> bool {
    number.is_finite() && number >= 0.0
}

impl PathConfig {
    /// Whether it is about this file.
    fn holds(&self, path: &str) -> bool {
        path == self.path || self.path.ends_with('/') && path.starts_with(&self.path)
    }
}

/// Whether the code itself asks that a check be silent about a line: `precedent: ignore[check] reason`, in that line or in
/// the one above it. Without a reason it asks for nothing.
pub fn is_ignored(text: &str, line: u32, check: &str) -> bool {
    let above = (line as usize).saturating_sub(2);
    let count = if line >= 2 { 2 } else { 1 };
    text.lines().skip(above).take(count).any(|line| {
        let Some(rest) = line.split_once("precedent: ignore[").map(|(_, rest)| rest) else { return false };
        let Some((checks, reason)) = rest.split_once(']') else { return false };
        let has_reason = reason.chars().any(char::is_alphanumeric);
        has_reason && checks.split(',').any(|name| name.trim() == check)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{Severity, Side};

    fn finding(check: &'static str, path: &str) -> Finding {
        Finding {
            id: String::new(),
            check,
            path: path.to_owned(),
            side: Side::Right,
            start_line: None,
            line: 1,
            severity: Severity::Minor,
            confidence: None,
            title: String::new(),
            body: String::new(),
            suggestion: None,
            citations: Vec::new(),
        }
    }

    #[test]
    fn checks_and_paths_are_muted() {
        let config = Config::parse(
            "max-findings = 9\nmute = [\"dead-name\"]\n[[paths]]\npath = \"docs/\"\nmute = [\"*\"]\n[[paths]]\npath = \"a.rs\"\nmute = [\"stale-doc\"]\n",
        )
        .expect("a configuration");
        assert_eq!(config.max_findings(), MAX_FINDINGS, "never more");
        for (check, path, expected) in [
            ("dead-name", "b.rs", true),
            ("stale-doc", "b.rs", false),
            ("stale-doc", "a.rs", true),
            ("stale-doc", "docs/x.md", true),
            ("stale-doc", "docsx", false),
        ] {
            assert_eq!(config.mutes(&finding(check, path)), expected, "{check} {path}");
        }
    }

    #[test]
    fn a_model_is_told_what_holds_for_a_file() {
        let config = Config::parse(
            "[llm]\ninstructions = \"all\"\nmax-cost = 0.5\n[[paths]]\npath = \"db/\"\ninstructions = \"here\"\n",
        )
        .expect("a configuration");
        assert_eq!((config.instructions("db/a.rs"), config.instructions("a.rs")), ("all\nhere".into(), "all".into()));
        assert_eq!(config.llm.max_cost, Some(0.5));
        assert!(Config::parse("[llm]\nurl = \"x\"").is_err(), "where a key is sent is not the repository's to say");
    }

    #[test]
    fn money_is_an_amount() {
        for setting in ["max-cost = -1.0", "input-price = -0.5", "output-price = nan", "input-price = inf"] {
            let why = Config::parse(&format!("[llm]\n{setting}\n")).expect_err("a refusal");
            assert!(setting.starts_with(why.trim_start_matches('`').split('`').next().unwrap_or("?")), "{why}");
        }
        let free = Config::parse("[llm]\ninput-price = 0.0\noutput-price = 0\n").map(|config| config.llm.input_price);
        assert_eq!(free, Ok(Some(0.0)));
    }

    #[test]
    fn what_is_not_known_is_said() {
        assert!(Config::parse("mutes = []").expect_err("a misspelling").contains("mutes"));
        assert_eq!(Config::parse(""), Ok(Config::default()));
    }

    #[test]
    fn code_may_ask_for_silence_with_a_reason() {
        let text = "a\n// precedent: ignore[stale-doc, dead-name] the old name is meant\nb\nc\n// precedent: ignore[dead-name]\nd\n";
        for (line, check, expected) in [
            (3, "dead-name", true),
            (2, "stale-doc", true),
            (3, "broken-reference", false),
            (4, "dead-name", false),
            (6, "dead-name", false),
            (1, "dead-name", false),
        ] {
            assert_eq!(is_ignored(text, line, check), expected, "{line} {check}");
        }
    }
}
