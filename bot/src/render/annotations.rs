//! Annotations: the findings as workflow commands, which a runner shows beside the code.

use super::visible;
use crate::Review;
use crate::finding::{Finding, Severity, Side};

/// More are not shown for one step.
const MAX_ANNOTATIONS: usize = 10;

/// One workflow command a line, for the findings that a runner shows.
pub fn annotations(review: &Review) -> String {
    review.findings.iter().take(MAX_ANNOTATIONS).map(annotation).collect()
}

fn annotation(finding: &Finding) -> String {
    let command = match finding.severity {
        Severity::Info => "notice",
        Severity::Minor => "warning",
        Severity::Major | Severity::Critical => "error",
    };
    let place = match finding.side {
        Side::Right => {
            let start = finding.start_line.unwrap_or(finding.line);
            format!("file={},line={start},endLine={}", property(&finding.path), finding.line)
        }
        // A removed line is no line of the file as it is now.
        Side::Left => format!("file={}", property(&finding.path)),
    };
    let title = property(&format!("{}: {}", finding.check, finding.title));
    format!("::{command} {place},title={title}::{}\n", message(&finding.body))
}

/// The text of a command: it ends with its line, and `%` begins an escape.
fn message(text: &str) -> String {
    visible(text).replace('%', "%25")
}

/// A property also ends at a comma, and the properties at a colon.
fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_end_its_command() {
        assert_eq!(message("50%\n::error::x"), "50%25 ::error::x");
        assert_eq!(property("a,line=1::b\r"), "a%2Cline=1%3A%3AbU+000D");
    }
}
