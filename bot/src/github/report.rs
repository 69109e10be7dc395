//! Report: a findings file as `post` reads it. It comes from a job that a stranger's code may have reached, so every
//! field is checked and nothing in it is believed.

use serde::Deserialize;

use super::event::PullRequest;
use crate::finding::Side;

/// A larger file is not read.
pub const MAX_REPORT_BYTES: u64 = 16 << 20;
/// No review has more of either.
const MAX_ENTRIES: usize = 20_000;

/// A review, as its JSON has it.
#[derive(Debug, Clone, Deserialize)]
pub struct Report {
    /// The version of the shape.
    pub schema: u32,
    /// The pull request that was reviewed.
    pub pull_request: PullRequest,
    /// The tip that precedents were known at.
    pub base_tip: String,
    /// The commit that was reviewed.
    pub head: String,
    /// Facts.
    pub briefing: Vec<Fact>,
    /// Claims, best first.
    pub findings: Vec<Finding>,
    /// What was left out.
    pub skipped: Vec<Left>,
    /// The checks that had a voice. Of another, a finding that is missing says nothing.
    #[serde(default)]
    pub checks: Vec<String>,
    /// The language model, if one was asked.
    #[serde(default)]
    pub llm: Option<Asked>,
    /// How many files were looked into, and how many there were.
    #[serde(default)]
    pub files: Files,
}

/// Files of a change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
pub struct Files {
    /// All.
    pub changed: u64,
    /// Those that were looked into.
    pub reviewed: u64,
}

/// A place by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Node {
    /// The path.
    pub path: String,
    /// The qualified name; empty for the file.
    pub symbol: String,
}

/// A fact.
#[derive(Debug, Clone, Deserialize)]
pub struct Fact {
    /// Its kind.
    pub kind: String,
    /// What it concerns.
    pub about: Node,
    /// What it says.
    pub text: String,
    /// Whether it meets the rules of its kind; what an older program wrote does not say so.
    #[serde(default)]
    pub passes: bool,
    /// Whether people see it at once.
    pub shown: bool,
    /// Whether this change touches what it points at.
    #[serde(default)]
    pub here: Option<bool>,
    /// Its evidence.
    pub citations: Vec<Citation>,
}

/// A place in history.
#[derive(Debug, Clone, Deserialize)]
pub struct Citation {
    /// The commit.
    pub commit: String,
    /// The path.
    pub path: String,
    /// First and last line.
    pub lines: [u32; 2],
    /// The first of them.
    pub quote: String,
}

/// A claim.
#[derive(Debug, Clone, Deserialize)]
pub struct Finding {
    /// Check, node and evidence, hashed.
    pub id: String,
    /// The check.
    pub check: String,
    /// Where it is anchored.
    pub path: String,
    /// On which side.
    #[serde(deserialize_with = "side")]
    pub side: Side,
    /// First line of a range.
    pub start_line: Option<u32>,
    /// The line, or the last of a range.
    pub line: u32,
    /// How bad.
    pub severity: String,
    /// How sure.
    #[serde(default)]
    pub confidence: Option<Confidence>,
    /// One line.
    pub title: String,
    /// The claim and its ground.
    pub body: String,
    /// Text for the anchored lines.
    pub suggestion: Option<String>,
    /// Its evidence.
    pub citations: Vec<Citation>,
}

/// How sure a claim is.
#[derive(Debug, Clone, Deserialize)]
pub struct Confidence {
    /// 0 to 1.
    pub value: f64,
    /// The ground.
    pub basis: String,
    /// Judged cases.
    pub n: u32,
}

/// Something left out.
#[derive(Debug, Clone, Deserialize)]
pub struct Left {
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
    /// Whether it is a file of the change.
    #[serde(default)]
    pub file: bool,
}

/// A language model that was asked.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// Files that it did not read.
    pub unasked: Vec<Unasked>,
}

/// A file that a language model did not read.
#[derive(Debug, Clone, Deserialize)]
pub struct Unasked {
    /// Its path.
    pub path: String,
}

/// Whether claims under this name are a language model's.
pub fn is_of_model(check: &str) -> bool {
    check.starts_with("model-")
}

fn side<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Side, D::Error> {
    match &*String::deserialize(from)? {
        "LEFT" => Ok(Side::Left),
        "RIGHT" => Ok(Side::Right),
        other => Err(serde::de::Error::custom(format!("`{other}` is not a side"))),
    }
}

/// Why a findings file is refused.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum ReportError {
    /// Not JSON of this shape.
    #[error("the findings are not a review: {0}")]
    Malformed(String),
    /// A shape of another version.
    #[error("the findings are of schema {0}, and this program knows 1")]
    Schema(u32),
    /// Findings of another pull request, or of none.
    #[error("the findings are about {named}, but this run is about {run}")]
    OtherPull {
        /// What the file says.
        named: String,
        /// What the event says.
        run: String,
    },
}

impl Report {
    /// Reads a findings file.
    ///
    /// # Errors
    /// [`ReportError::Malformed`] for anything that a review cannot be.
    pub fn read(bytes: &[u8]) -> Result<Report, ReportError> {
        let malformed = |why: String| ReportError::Malformed(crate::render::visible(&why));
        let report: Report = serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
        if report.schema != 1 {
            return Err(ReportError::Schema(report.schema));
        }
        if report.findings.len().max(report.briefing.len()).max(report.skipped.len()) > MAX_ENTRIES {
            return Err(malformed("it has too many entries".into()));
        }
        if report.head != report.pull_request.head.to_string() {
            return Err(malformed("its two heads differ".into()));
        }
        for finding in &report.findings {
            let is_id =
                (16..=64).contains(&finding.id.len()) && finding.id.bytes().all(|byte| byte.is_ascii_hexdigit());
            let is_check = (1..=40).contains(&finding.check.len())
                && finding.check.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
            if !is_id || !is_check {
                return Err(malformed("a finding has no proper id or check".into()));
            }
        }
        Ok(report)
    }

    /// Whether a claim of this check about this file would be among the findings if it held: the check spoke, the file was
    /// looked into, and nothing of the answer was cut off.
    pub fn would_tell(&self, check: &str, path: &str) -> bool {
        let is_left = |is: &dyn Fn(&str) -> bool| self.skipped.iter().any(|left| is(&left.what));
        let is_cut = |what: &str| {
            what.ends_with(" more findings")
                || what == "the configuration"
                || ["statements: ", "the past of ", "the companions of "].iter().any(|part| what.starts_with(part))
        };
        if is_left(&is_cut) || is_left(&|what| what == path) {
            return false;
        }
        if !is_of_model(check) {
            return self.checks.iter().any(|spoke| spoke == check);
        }
        let failed = |what: &str| what == "the language model" || what.starts_with("the second look at ");
        self.llm.as_ref().is_some_and(|asked| asked.unasked.iter().all(|left| left.path != path)) && !is_left(&failed)
    }

    /// Refuses findings that name another pull request than the run's.
    ///
    /// # Errors
    /// [`ReportError::OtherPull`].
    pub fn belongs_to(&self, run: &PullRequest) -> Result<(), ReportError> {
        let named = &self.pull_request;
        if named.number == run.number && named.repository.eq_ignore_ascii_case(&run.repository) {
            return Ok(());
        }
        let name = |pull: &PullRequest| format!("{}#{}", crate::render::visible(&pull.repository), pull.number);
        Err(ReportError::OtherPull { named: name(named), run: name(run) })
    }
}
