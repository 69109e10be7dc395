//! Marker: what our own comments carry, so that a later run knows them. Pure.
//!
//! HTML comments at the end of a body. Only bodies written by our own author count, for anybody can write a marker.

const PREFIX: &str = "<!-- precedent:";
const SUFFIX: &str = " -->";
/// What stands before the fingerprint of a patch.
const PATCH: &str = "patch:";

/// A marker found in, or made for, a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Marker {
    /// The summary comment.
    Summary,
    /// The review of a head, with the ids of its findings.
    Review {
        /// The commit, in hexadecimal.
        head: String,
        /// Findings that it made, as comments or in its body.
        findings: Vec<String>,
    },
    /// A comment on a line.
    Finding {
        /// The finding.
        id: String,
        /// The check that made it; markers did not always name it.
        check: Option<String>,
        /// What the patch of its file was, by [`super::patch::fingerprint`], where GitHub gave one.
        patch: Option<String>,
        /// Whether the code has changed since and the finding is gone.
        settled: bool,
    },
}

impl Marker {
    /// The text for a body.
    pub fn text(&self) -> String {
        let words = match self {
            Marker::Summary => "summary".to_owned(),
            Marker::Review { head, findings } => {
                [&["review".to_owned(), head.clone()], findings.as_slice()].concat().join(" ")
            }
            Marker::Finding { id, check, patch, settled } => {
                let check = check.as_ref().map(|check| format!(" {check}")).unwrap_or_default();
                let patch = patch.as_ref().map(|patch| format!(" {PATCH}{patch}")).unwrap_or_default();
                format!("finding {id}{check}{patch}{}", if *settled { " settled" } else { "" })
            }
        };
        format!("{PREFIX}1 {words}{SUFFIX}")
    }

    /// The last marker of a body.
    pub fn find(body: &str) -> Option<Marker> {
        let start = body.rfind(PREFIX)? + PREFIX.len();
        let end = start + body[start..].find(SUFFIX)?;
        let words: Vec<&str> = body[start..end].split(' ').collect();
        let is_hex = |word: &str| (16..=64).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        match words.as_slice() {
            ["1", "summary"] => Some(Marker::Summary),
            ["1", "review", head, ids @ ..] if is_hex(head) => Some(Marker::Review {
                head: (*head).to_owned(),
                findings: ids.iter().filter(|id| is_hex(id)).map(|id| (*id).to_owned()).collect(),
            }),
            ["1", "finding", id, rest @ ..] if is_hex(id) => {
                let (rest, settled) = match rest {
                    [rest @ .., "settled"] => (rest, true),
                    rest => (rest, false),
                };
                let patch = rest.last().and_then(|word| word.strip_prefix(PATCH));
                let rest = if patch.is_some() { &rest[..rest.len() - 1] } else { rest };
                let patch = patch.filter(|patch| is_hex(patch));
                let check = match rest {
                    [] => None,
                    [check] => Some((*check).to_owned()),
                    _ => return None,
                };
                Some(Marker::Finding { id: (*id).to_owned(), check, patch: patch.map(str::to_owned), settled })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_read_as_they_were_written() {
        let id = "0123456789abcdef".to_owned();
        for marker in [
            Marker::Summary,
            Marker::Review { head: "a".repeat(40), findings: vec![id.clone()] },
            Marker::Review { head: "a".repeat(40), findings: vec![] },
        ] {
            assert_eq!(Marker::find(&format!("text\n\n{}", marker.text())), Some(marker));
        }
        for check in [None, Some("stale-doc".to_owned())] {
            for patch in [None, Some("fedcba9876543210".to_owned())] {
                for settled in [false, true] {
                    let marker =
                        Marker::Finding { id: id.clone(), check: check.clone(), patch: patch.clone(), settled };
                    assert_eq!(Marker::find(&format!("text\n\n{}", marker.text())), Some(marker));
                }
            }
        }
    }

    #[test]
    fn other_comments_are_no_markers() {
        for body in [
            "",
            "<!-- other -->",
            "<!-- precedent:1 finding x -->",
            "<!-- precedent:2 summary -->",
            "<!-- precedent:1 finding 0123456789abcdef one two -->",
            "<!-- precedent:1 summary",
        ] {
            assert_eq!(Marker::find(body), None, "{body}");
        }
    }
}
