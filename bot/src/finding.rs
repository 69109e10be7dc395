//! Finding: what a review may say, and the proof that goes with it.
//!
//! A citation exists only after it has been read, from the object database or, where a clone lacks the commit, from the
//! store; and it is read again before anything is shown.

use precedent_pipeline::history::Objects;
use precedent_pipeline::shard::ObjectId;
use serde::Serialize;

/// A place in history: lines of a file as of a commit, with the first of them quoted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Citation {
    /// The commit.
    #[serde(serialize_with = "as_text")]
    pub commit: ObjectId,
    /// The path in its tree.
    pub path: String,
    /// First and last line, from 1.
    pub lines: [u32; 2],
    /// The first line, without surrounding white space.
    pub quote: String,
}

/// A line without surrounding white space, cut where it stops being a quotation; nothing of what is no text.
fn quote(line: &[u8]) -> String {
    const MAX_QUOTE_CHARS: usize = 240;
    if line.contains(&0) {
        return String::new();
    }
    let line = &line[..line.len().min(4 * MAX_QUOTE_CHARS)];
    String::from_utf8_lossy(line).trim().chars().take(MAX_QUOTE_CHARS).collect()
}

/// The first of some lines of a file, from 1, without its line feed; `None` unless all of them are there. An empty file has none,
/// and none begins behind the last line feed.
fn first_line(content: &[u8], start: u32, end: u32) -> Option<&[u8]> {
    if start == 0 || end < start {
        return None;
    }
    let behind = |content: &[u8], feeds: u32| match feeds {
        0 => Some(0),
        _ => memchr::memchr_iter(b'\n', content).nth(feeds as usize - 1).map(|at| at + 1),
    };
    let here = &content[behind(content, start - 1)?..];
    behind(here, end - start).filter(|at| *at < here.len())?;
    Some(&here[..memchr::memchr(b'\n', here).unwrap_or(here.len())])
}

fn as_text<S: serde::Serializer>(id: &ObjectId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

impl Citation {
    /// Reads the place; `None` unless commit, path and lines exist.
    pub fn read(objects: &Objects, commit: &ObjectId, path: &str, start: u32, end: u32) -> Option<Citation> {
        let content = objects.content(commit, path)?;
        Some(Citation::quoting(commit, path, [start, end], first_line(&content, start, end)?))
    }

    /// A place whose first line was read elsewhere.
    pub(crate) fn quoting(commit: &ObjectId, path: &str, lines: [u32; 2], first: &[u8]) -> Citation {
        Citation { commit: *commit, path: path.to_owned(), lines, quote: quote(first) }
    }

    /// The lines, each ending in a line feed; `None` when they cannot be read.
    pub fn passage(&self, objects: &Objects) -> Option<String> {
        let content = objects.content(&self.commit, &self.path)?;
        let [first, last] = self.lines;
        let lines = String::from_utf8_lossy(&content);
        let kept = lines.lines().skip(first.saturating_sub(1) as usize).take((last + 1 - first) as usize);
        Some(kept.flat_map(|line| [line, "\n"]).collect())
    }

    /// Whether the place still reads as quoted.
    pub fn holds(&self, objects: &Objects) -> bool {
        Citation::read(objects, &self.commit, &self.path, self.lines[0], self.lines[1]).as_ref() == Some(self)
    }
}

/// A node by its place.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct NodeName {
    /// The path.
    pub path: String,
    /// Qualified name inside the file; empty for the file itself.
    pub symbol: String,
}

/// The kinds of fact, in the order in which they are told: what is rare, and teaches most, before what every node has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FactKind {
    /// A line that a fix added and that goes away.
    #[serde(rename = "return")]
    Undo,
    /// Text that was removed before and comes back.
    Return,
    /// What a reviewer said of the nearest code.
    Review,
    /// What usually changes with it.
    Companion,
    /// Existing code like it.
    Copy,
    /// Tests that usually change with it.
    Test,
    /// Age, edits, fixes of the changed node.
    Life,
}

/// A true statement about the changed nodes.
#[derive(Debug, Clone, Serialize)]
pub struct Fact {
    /// The kind of fact.
    pub kind: FactKind,
    /// What is pointed at.
    pub node: NodeName,
    /// The changed node that it concerns.
    pub about: NodeName,
    /// The statement.
    pub text: String,
    /// How much a reviewer would learn, higher first; comparable within a kind.
    pub score: f64,
    /// Whether it meets the rules of its kind. Checks claim from such facts alone, and the briefing opens some of them.
    pub passes: bool,
    /// Whether people see it at once; the others are folded.
    pub shown: bool,
    /// For a companion: whether this change touches it too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub here: Option<bool>,
    /// The evidence.
    pub citations: Vec<Citation>,
}

/// Which side of the diff a line is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Side {
    /// The old version.
    Left,
    /// The new version.
    Right,
}

/// How bad it would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Misleading, or untidy.
    Minor,
    /// Wrong in some cases.
    Major,
    /// Wrong in most.
    Critical,
}

/// How sure a claim is, and on what ground.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Confidence {
    /// 0 to 1.
    pub value: f64,
    /// `labels` or `repository`.
    pub basis: &'static str,
    /// Judged cases behind it.
    pub n: u32,
}

impl Confidence {
    /// The ground in words, as in "right in 86 of 94 judged cases elsewhere".
    pub fn ground(&self) -> Option<String> {
        ground(self.value, self.basis, self.n)
    }
}

/// The ground of a confidence in words; `None` if it says nothing that can be read so.
pub fn ground(value: f64, basis: &str, n: u32) -> Option<String> {
    if !(0.0..=1.0).contains(&value) || n == 0 {
        return None;
    }
    let cases = f64::from(n);
    match basis {
        // What is stated is the share with one right and one wrong added.
        "labels" => {
            let right = (value * (cases + 2.0) - 1.0).round().clamp(0.0, cases);
            Some(format!("right in {right} of {n} judged cases elsewhere"))
        }
        "repository" => Some(format!("taken up at most {:.0} % of the time, by {n} comments here", value * 100.0)),
        _ => None,
    }
}

/// A claim about the change.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// Check, node and evidence, hashed: the same claim has the same id whatever its wording.
    pub id: String,
    /// The check that makes the claim.
    pub check: &'static str,
    /// Where it is anchored.
    pub path: String,
    /// On which side.
    pub side: Side,
    /// First line of a range; null for a single line.
    pub start_line: Option<u32>,
    /// The line, inside a hunk of the diff.
    pub line: u32,
    /// How bad.
    pub severity: Severity,
    /// How sure; null until it has been measured.
    pub confidence: Option<Confidence>,
    /// One line.
    pub title: String,
    /// The claim and its ground.
    pub body: String,
    /// Text for the anchored lines that would settle it.
    pub suggestion: Option<String>,
    /// The evidence.
    pub citations: Vec<Citation>,
}

impl Finding {
    /// Confidence times severity, by which findings are ranked.
    pub fn weight(&self) -> f64 {
        let severity = match self.severity {
            Severity::Info => 1.0,
            Severity::Minor => 2.0,
            Severity::Major => 4.0,
            Severity::Critical => 8.0,
        };
        severity * self.confidence.map_or(0.0, |confidence| confidence.value)
    }

    /// The id of a claim.
    pub fn id(check: &str, node: &NodeName, evidence: &str) -> String {
        let mut hasher = blake3::Hasher::new();
        for part in [check, &node.path, &node.symbol, evidence] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finalize().to_hex()[..16].to_owned()
    }
}

/// Something that was not looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Left {
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
}

/// A statement that carries citations.
pub trait Cited {
    /// Its evidence.
    fn citations(&self) -> &[Citation];
}

impl Cited for Fact {
    fn citations(&self) -> &[Citation] {
        &self.citations
    }
}

impl Cited for Finding {
    fn citations(&self) -> &[Citation] {
        &self.citations
    }
}

/// Keeps the statements that have evidence, all of which holds; and counts the others.
pub fn verified<T: Cited>(statements: Vec<T>, holds: impl Fn(&Citation) -> bool) -> (Vec<T>, usize) {
    let before = statements.len();
    let kept: Vec<T> = statements
        .into_iter()
        .filter(|statement| !statement.citations().is_empty() && statement.citations().iter().all(&holds))
        .collect();
    let dropped = before - kept.len();
    (kept, dropped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cited_that_are_there() {
        let check = |content: &str, start, end, expected: Option<&str>| {
            let found = first_line(content.as_bytes(), start, end);
            assert_eq!(found, expected.map(str::as_bytes), "{content:?} {start} {end}");
        };
        for (content, lines) in [("a\nb\n", 2), ("a\nb", 2), ("a\n\n", 2), ("\n", 1), ("a", 1), ("", 0)] {
            for end in 1..5 {
                check(content, 1, end, content.split('\n').next().filter(|_| end <= lines));
                check(content, 2, end, content.split('\n').nth(1).filter(|_| 2 <= end && end <= lines));
            }
        }
        check("a\n", 0, 1, None);
        check("a\nb\n", 2, 1, None);
    }

    #[test]
    fn what_is_no_text_is_not_quoted() {
        assert_eq!(quote(b"  let a = 1;  "), "let a = 1;");
        assert_eq!(quote(b"\x1f\x8b\0\0cargo.tar"), "");
    }

    #[test]
    fn the_ground_is_what_was_judged() {
        for (value, basis, n, expected) in [
            (26.0 / 28.0, "labels", 26, Some("right in 25 of 26 judged cases elsewhere")),
            (61.0 / 64.0, "labels", 62, Some("right in 60 of 62 judged cases elsewhere")),
            (0.7, "repository", 40, Some("taken up at most 70 % of the time, by 40 comments here")),
            (0.7, "labels", 0, None),
            (7.0, "labels", 9, None),
            (0.7, "elsewhere", 9, None),
        ] {
            assert_eq!(ground(value, basis, n).as_deref(), expected, "{value} {basis} {n}");
        }
    }
}
