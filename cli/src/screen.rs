//! Screen: what standard output is, and small pieces of text for it.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};

use precedent_bot::render::Style;
use precedent_pipeline::IndexReport;

use crate::failure::{Failure, Kind};

/// Columns where the output is no terminal.
const DEFAULT_COLUMNS: usize = 80;

/// Texts without a vector that are named.
const SHOWN_FAILURES: usize = 5;

/// Width and colour for standard output.
pub(crate) fn style() -> Style {
    let is_terminal = io::stdout().is_terminal();
    let width = if is_terminal {
        console::Term::stdout().size_checked().map_or(DEFAULT_COLUMNS, |(_, columns)| usize::from(columns))
    } else {
        DEFAULT_COLUMNS
    };
    let colour = is_terminal && wants_colour(|name| std::env::var_os(name));
    Style { width: width.clamp(40, 120), colour }
}

/// Whether a terminal is to have colour and links, by the environment: see no-color.org; one that calls itself dumb knows neither.
fn wants_colour(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    variable("NO_COLOR").is_none_or(|value| value.is_empty()) && variable("TERM").is_none_or(|term| term != "dumb")
}

/// Writes to standard output. A reader that went away, as `head` does, is no error.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Kind::Internal, format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes a line for people to standard error.
pub(crate) fn tell(text: &str) {
    // Whoever closed standard error does not want to hear of it.
    let _ = writeln!(io::stderr(), "{}", crate::runner::inert(text));
}

/// 1234567 as "1,234,567".
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// "1 commit", "1,200 commits".
pub(crate) fn counted(number: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// Bytes in the largest decimal unit that leaves at least one.
pub(crate) fn bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", count as f64 / 1e6),
        _ => format!("{:.2} GB", count as f64 / 1e9),
    }
}

/// A stage of a run: what it did, and how long that took.
pub(crate) fn line(label: &str, text: &str, seconds: f64) -> String {
    let left = format!("  {label:<8}  {text}");
    let gap = 72usize.saturating_sub(left.chars().count()).max(1);
    format!("{left}{}{seconds:>5.1} s\n", " ".repeat(gap))
}

/// What an index run did, in a few lines.
pub(crate) fn index_summary(report: &IndexReport, model: &str, store: &str) -> String {
    let mut out = String::new();
    let history =
        format!("{}, {} of files", counted(report.commits, "commit"), counted(report.file_versions, "version"));
    out.push_str(&line("history", &history, report.seconds.history));
    let syntax = format!("{}, {}", counted(report.nodes, "node"), counted(report.chunks, "new text"));
    out.push_str(&line("syntax", &syntax, report.seconds.syntax));
    out.push_str(&line("embed", &format!("{} ({model})", grouped(report.embedded)), report.seconds.embed));
    out.push_str(&line("store", &format!("{store}  {}", bytes(report.store_bytes)), report.seconds.write));
    if !report.skipped.is_empty() {
        let reasons: Vec<String> =
            report.skipped.iter().map(|skip| format!("{} {}", grouped(skip.count), skip.reason)).collect();
        for (at, text) in precedent_bot::render::wrap(&reasons.join(", "), 66).into_iter().enumerate() {
            let label = if at == 0 { "left out" } else { "" };
            out.push_str(&format!("  {label:<8}  {text}\n"));
        }
    }
    out
}

/// What makes a run partial, as sentences.
pub(crate) fn caveats(report: &IndexReport) -> Vec<String> {
    let mut caveats = Vec::new();
    if report.shallow > 0 {
        caveats.push(
            "this clone is shallow: history is indexed as far as it goes; deepen it with: git fetch --unshallow"
                .to_owned(),
        );
    }
    if report.missing > 0 {
        caveats.push(format!(
            "{} missing from the index, since a partial clone lacks them; bring them with: git fetch --refetch --no-filter, then: precedent index --rebuild",
            if report.missing == 1 { "1 file version is".to_owned() } else { format!("{} file versions are", grouped(report.missing)) }
        ));
    }
    for failed in report.unembedded.iter().take(SHOWN_FAILURES) {
        caveats.push(format!("`{}` ({}) has no vector: {}", failed.name, &failed.chunk, failed.why));
    }
    if report.unembedded.len() > SHOWN_FAILURES {
        let more = counted((report.unembedded.len() - SHOWN_FAILURES) as u64, "more text");
        caveats.push(format!("{more} have no vector; all are listed by: precedent index --json"));
    }
    caveats
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_in_threes() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!((counted(1, "commit"), counted(1200, "commit")), ("1 commit".into(), "1,200 commits".into()));
    }

    #[test]
    fn colour_is_for_terminals_that_know_it_and_people_who_want_it() {
        let check = |set: &[(&str, &str)], expected: bool| {
            let value = |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
            assert_eq!(wants_colour(value), expected, "{set:?}");
        };
        check(&[], true);
        check(&[("TERM", "xterm-256color"), ("NO_COLOR", "")], true);
        check(&[("NO_COLOR", "1")], false);
        check(&[("TERM", "dumb")], false);
    }

    #[test]
    fn sizes_are_in_decimal_units() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(3_140_000), "3.1 MB");
    }
}
