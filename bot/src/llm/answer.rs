//! Answer: text from a model to claims that are proven from the passage that it was shown. Pure.
//!
//! Nothing is repaired and nothing is guessed: what does not hold is dropped, and counted by its reason.

use std::collections::BTreeMap;

use precedent_pipeline::syntax;
use serde::Deserialize;
use serde_json::Value;

use super::control;
use super::mentions;
use super::passage::{Mark, Passage, Shown};
use super::prompt::{KINDS, MAX_CLAIMS};
use crate::change::ChangedFile;
use crate::config;
use crate::finding::{NodeName, Severity, Side};
use crate::redact::{MARK, redacted};
use crate::render::visible;
use crate::sanitise;

/// A longer answer is not read.
const MAX_ANSWER_BYTES: usize = 256 << 10;
/// Letters and digits of a quote, at the least.
const MIN_QUOTE_SIGNS: usize = 3;
/// Longest title and body, in characters.
const MAX_TITLE_CHARS: usize = 200;
const MAX_BODY_CHARS: usize = 1_500;

/// Why something was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    Shape,
    Hunk,
    Quote,
    Unchanged,
    Line,
    Precedent,
    Invented,
    Name,
    Suggestion,
    Words,
    Repeated,
    Muted,
    Rejected,
    Unweighed,
    Unread,
}

impl Reason {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Reason::Shape => "not in the shape that was asked for",
            Reason::Hunk => "about a hunk that was not shown",
            Reason::Quote => "a quote that is not in the hunk",
            Reason::Unchanged => "about lines that this change leaves as they are",
            Reason::Line => "a line that is not the quoted one, or not shown",
            Reason::Precedent => "a precedent that was not given",
            Reason::Invented => "a commit or a file that was not shown",
            Reason::Name => "a name in code that was not shown",
            Reason::Suggestion => "a suggestion that does not apply or does not parse",
            Reason::Words => "nothing said, or too much",
            Reason::Repeated => "said already",
            Reason::Muted => "muted by the project",
            Reason::Rejected => "rejected by the second look",
            Reason::Unweighed => "not looked at a second time",
            Reason::Unread => "a citation that did not resolve",
        }
    }
}

/// How often each reason came up.
pub(super) type Drops = BTreeMap<Reason, u32>;

/// A claim that holds against its passage.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Claim {
    pub(super) check: &'static str,
    pub(super) severity: Severity,
    pub(super) title: String,
    pub(super) body: String,
    pub(super) suggestion: Option<String>,
    pub(super) side: Side,
    /// First and last line on that side.
    pub(super) lines: [u32; 2],
    /// What was quoted, as it was shown.
    pub(super) quote: String,
    pub(super) node: NodeName,
    /// The places of the cited precedents among those that were offered.
    pub(super) cited: Vec<usize>,
}

/// What an answer came to.
#[derive(Debug, Default)]
pub(super) struct Judged {
    pub(super) claims: Vec<Claim>,
    pub(super) stated: u32,
    pub(super) dropped: Drops,
    /// Secrets that were taken out of its words.
    pub(super) redacted: u32,
}

/// A claim as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    hunk: u32,
    line: u32,
    quote: String,
    kind: String,
    severity: String,
    title: String,
    body: String,
    #[serde(default)]
    suggestion: Option<String>,
    #[serde(default)]
    precedents: Vec<String>,
}

/// Holds an answer against the passage that it is about.
pub(super) fn judge(passage: &Passage, file: &ChangedFile, answer: &str) -> Judged {
    let mut judged = Judged::default();
    let Some(list) = list_in(answer) else {
        judged.stated = 1;
        judged.dropped.insert(Reason::Shape, 1);
        return judged;
    };
    judged.stated = list.len() as u32;
    for (at, value) in list.into_iter().enumerate() {
        let claim = match serde_json::from_value::<Written>(value) {
            Ok(written) if at < MAX_CLAIMS => claim(passage, file, written, &mut judged.redacted),
            _ => Err(Reason::Shape),
        };
        let claim = claim.and_then(|claim| {
            let is_known = judged.claims.iter().any(|known| known.side == claim.side && known.lines == claim.lines);
            if is_known { Err(Reason::Repeated) } else { Ok(claim) }
        });
        match claim {
            Ok(claim) => judged.claims.push(claim),
            Err(reason) => *judged.dropped.entry(reason).or_default() += 1,
        }
    }
    judged
}

/// Whether an answer is a list of statements, whatever they are worth.
pub(super) fn is_list(answer: &str) -> bool {
    list_in(answer).is_some()
}

fn list_in(answer: &str) -> Option<Vec<Value>> {
    match object_in(answer)?.get_mut("findings").map(Value::take) {
        Some(Value::Array(list)) => Some(list),
        _ => None,
    }
}

/// The ids that a second answer keeps, in its order; `None` when it is out of shape.
pub(super) fn kept(answer: &str) -> Option<Vec<String>> {
    let object = object_in(answer)?;
    let ids = object.get("keep")?.as_array()?;
    ids.iter().map(|id| id.as_str().map(str::to_owned)).collect()
}

/// The JSON object of an answer: all of it, or what stands in a fence or after some words.
fn object_in(answer: &str) -> Option<Value> {
    if answer.len() > MAX_ANSWER_BYTES {
        return None;
    }
    let start = answer.find('{')?;
    let mut values = serde_json::Deserializer::from_str(&answer[start..]).into_iter::<Value>();
    values.next()?.ok().filter(Value::is_object)
}

fn claim(passage: &Passage, file: &ChangedFile, written: Written, secrets: &mut u32) -> Result<Claim, Reason> {
    let check = KINDS.iter().find(|(kind, _)| *kind == written.kind).map(|(_, check)| *check).ok_or(Reason::Shape)?;
    let severity = match &*written.severity {
        "info" => Severity::Info,
        "minor" => Severity::Minor,
        "major" => Severity::Major,
        "critical" => Severity::Critical,
        _ => return Err(Reason::Shape),
    };
    let hunk = passage.hunks.iter().find(|hunk| hunk.number == written.hunk).ok_or(Reason::Hunk)?;
    let found = quoted(hunk, &written.quote, written.line)?;
    let mut cited = Vec::new();
    for id in &written.precedents {
        let at = passage.offered.iter().position(|offered| offered.id == *id).ok_or(Reason::Precedent)?;
        if !cited.contains(&at) {
            cited.push(at);
        }
    }
    let mut plain = |text: &str| {
        let (text, count) = redacted(&sanitise::decoded(text));
        *secrets += count as u32;
        visible(text.split_whitespace().collect::<Vec<&str>>().join(" ").as_str())
    };
    let (title, body) = (plain(&written.title), plain(&written.body));
    let fits = |text: &str, most: usize| text.chars().any(char::is_alphabetic) && text.chars().count() <= most;
    if !fits(&title, MAX_TITLE_CHARS) || !fits(&body, MAX_BODY_CHARS) {
        return Err(Reason::Words);
    }
    let own = written.suggestion.as_deref().unwrap_or_default();
    for text in [&title, &body] {
        mentions::check(passage, hunk, text, own)?;
    }
    let suggestion = match written.suggestion.filter(|text| !text.trim().is_empty()) {
        Some(text) => {
            mentions::check_comments(passage, hunk, &text)?;
            Some(suggestion(file, &found, &text)?)
        }
        None => None,
    };
    if found.side == Side::Right
        && (found.lines[0]..=found.lines[1]).any(|line| config::is_ignored(&file.after, line, check))
    {
        return Err(Reason::Muted);
    }
    Ok(Claim {
        check,
        severity,
        title,
        body,
        suggestion,
        side: found.side,
        lines: found.lines,
        quote: found.quote,
        node: hunk.node.clone(),
        cited,
    })
}

/// Where a quote was found.
struct Found {
    side: Side,
    lines: [u32; 2],
    quote: String,
}

/// The changed lines of a hunk that a quote is taken from; the line that the answer names must be among them.
fn quoted(hunk: &Shown, quote: &str, line: u32) -> Result<Found, Reason> {
    let parts: Vec<String> = quote
        .trim_matches(['\n', '\r'])
        .lines()
        .map(|part| unnumbered(&control::plain(&visible(&part.replace('\t', "    ")))).trim().to_owned())
        .collect();
    if parts.iter().flat_map(|part| part.chars()).filter(|letter| letter.is_alphanumeric()).count() < MIN_QUOTE_SIGNS {
        return Err(Reason::Quote);
    }
    let mut is_found = false;
    let mut is_changed = false;
    for (side, other) in [(Side::Right, Mark::Removed), (Side::Left, Mark::Added)] {
        let shown: Vec<_> = hunk.lines.iter().filter(|line| line.mark != other).collect();
        for window in shown.windows(parts.len()) {
            let last = parts.len() - 1;
            let matches = window.iter().zip(&parts).enumerate().all(|(at, (shown, part))| {
                let text = shown.text.trim();
                match (at == 0, at == last) {
                    (true, true) => text.contains(part.as_str()),
                    (true, false) => text.ends_with(part.as_str()),
                    (false, true) => text.starts_with(part.as_str()),
                    (false, false) => text == part,
                }
            });
            if !matches {
                continue;
            }
            is_found = true;
            let number = |line: &super::passage::Line| if side == Side::Right { line.new } else { line.old };
            let changed: Vec<_> = window.iter().filter(|line| line.mark != Mark::Same).collect();
            let (Some(first), Some(end)) = (changed.first(), changed.last()) else { continue };
            is_changed = true;
            let lines = [number(first), number(end)];
            if (lines[0]..=lines[1]).contains(&line) {
                return Ok(Found { side, lines, quote: parts.join("\n") });
            }
        }
    }
    Err(match (is_found, is_changed) {
        (false, _) => Reason::Quote,
        (true, false) => Reason::Unchanged,
        (true, true) => Reason::Line,
    })
}

/// A line without the mark and the number that it was shown with.
fn unnumbered(line: &str) -> &str {
    let Some((head, rest)) = line.split_once('|') else { return line };
    let head = head.trim_start().trim_start_matches(['+', '-']).trim();
    if !head.is_empty() && head.bytes().all(|byte| byte.is_ascii_digit()) { rest } else { line }
}

/// A replacement for the quoted lines that is small, changes something, and leaves the file no harder to parse.
fn suggestion(file: &ChangedFile, found: &Found, text: &str) -> Result<String, Reason> {
    let text = text.trim_end_matches(['\n', '\r']);
    let is_usable = found.side == Side::Right && sanitise::suggestion(text).is_some() && !text.contains(MARK);
    let (_, secrets) = redacted(text);
    if !is_usable || secrets > 0 {
        return Err(Reason::Suggestion);
    }
    let mut lines: Vec<&str> = file.after.lines().collect();
    let (start, end) = (found.lines[0] as usize - 1, found.lines[1] as usize);
    let replaced = lines.get(start..end).ok_or(Reason::Suggestion)?;
    // A model forgets where the line began; its own indentation counts when it has any.
    let indent: String = replaced[0].chars().take_while(|letter| letter.is_whitespace()).collect();
    let text = match text.starts_with(char::is_whitespace) || indent.is_empty() {
        true => text.to_owned(),
        false => text.lines().map(|line| format!("{indent}{line}")).collect::<Vec<String>>().join("\n"),
    };
    if replaced.iter().map(|line| line.trim()).eq(text.lines().map(str::trim)) {
        return Err(Reason::Suggestion);
    }
    let new: Vec<&str> = text.lines().collect();
    lines.splice(start..end, new);
    let mut applied = lines.join("\n");
    applied.push('\n');
    let language = file.language.map_err(|_| Reason::Suggestion)?;
    match (syntax::faults(language, &file.after), syntax::faults(language, &applied)) {
        (Some(before), Some(after)) if after <= before => Ok(text),
        // Prose has no grammar to break.
        (None, None) if language.is_text() => Ok(text),
        _ => Err(Reason::Suggestion),
    }
}

#[cfg(test)]
mod tests;
