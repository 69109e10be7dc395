//! Password: whether a text that is given to the name of a password is one, however short and plain it is. Pure.
//!
//! As in detect-secrets' rule of keywords, the name alone is enough, and what is certainly none is told by its looks: what is
//! filled in elsewhere, what names a thing, and what is said to people.

use super::named::is_variable;
use super::tables::PLACEHOLDERS;

/// Shorter ones are no secret worth the name, in characters.
const MIN_CHARS: usize = 3;
/// The longest that people type, in characters.
const MAX_CHARS: usize = 100;
/// What is filled in where it stands.
const FILLED_IN: [&str; 9] = ["${", "{{", "#{", "$(", "<%", "%s", "{}", "{0}", "%("];
/// Words that name a password, and do not stand in one that is worth hiding unless it has a digit.
const LABELS: [&str; 7] = ["passw", "passphrase", "pwd", "secret", "credential", "kennwort", "token"];
/// Words that are given to such names and say how something is done, in lower case.
const WAYS: [&str; 34] = [
    "string",
    "str",
    "text",
    "bytes",
    "number",
    "object",
    "bool",
    "boolean",
    "true",
    "false",
    "yes",
    "hidden",
    "visible",
    "required",
    "optional",
    "invalid",
    "unknown",
    "missing",
    "default",
    "disabled",
    "enabled",
    "include",
    "omit",
    "same-origin",
    "basic",
    "bearer",
    "plain",
    "prompt",
    "stdin",
    "file",
    "keyring",
    "encrypted",
    "anonymous",
    "undefined",
];
/// Words of sentences; a phrase of other words may be a password.
const OF_SENTENCES: [&str; 52] = [
    "a", "an", "the", "is", "are", "was", "be", "been", "must", "may", "can", "cannot", "should", "will", "your",
    "you", "my", "our", "this", "that", "it", "its", "please", "enter", "no", "not", "for", "of", "to", "from", "and",
    "or", "in", "on", "at", "with", "without", "by", "as", "if", "too", "than", "has", "have", "do", "does", "don't",
    "forgot", "sign", "log", "login", "reset",
];

/// Whether this is a password that somebody wrote down.
pub(super) fn is_password(value: &str) -> bool {
    let value = value.trim();
    let length = value.chars().count();
    let lower = value.to_lowercase();
    let has_digit = value.bytes().any(|byte| byte.is_ascii_digit());
    let is_mask = value.chars().all(|letter| value.starts_with(letter));
    let is_none = || WAYS.contains(&&*lower) || PLACEHOLDERS.iter().any(|word| lower.starts_with(word));
    let is_label = || LABELS.iter().any(|word| lower.contains(word));
    (MIN_CHARS..=MAX_CHARS).contains(&length)
        && value.bytes().any(|byte| byte.is_ascii_alphanumeric())
        && !is_mask
        && !is_variable(value)
        && !FILLED_IN.iter().any(|mark| value.contains(mark))
        && !is_place(value)
        && !is_version(value)
        && !is_constant(value)
        && (has_digit || !is_none() && !is_label())
        && !is_sentence(&lower)
}

/// A path, a file or an address.
fn is_place(value: &str) -> bool {
    value.starts_with(['/', '~']) || value.starts_with("./") || value.starts_with("../") || value.contains("://")
}

/// A number of a version: `0.4`, `^1.2.3`.
fn is_version(value: &str) -> bool {
    value.contains('.')
        && value.trim_start_matches(['^', '~', '=', 'v']).bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// The name of a constant or a variable of an environment: `DB_PASSWORD`.
fn is_constant(value: &str) -> bool {
    value.contains('_') && value.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

/// What is said to people: words of which one only joins others, or that end as a sentence does.
fn is_sentence(lower: &str) -> bool {
    let words: Vec<&str> = lower.split_whitespace().collect();
    let ends = lower.ends_with(['.', '?', ':', '…']) || lower.contains(", ");
    words.len() > 1 && (ends || words.iter().any(|word| OF_SENTENCES.contains(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_is_told_from_what_they_read() {
        for value in [
            "abc",
            "hunter2",
            "letmein",
            "Summer",
            "s3cret",
            "password1",
            "correct horse battery staple",
            "Winter over 2026!",
            "pa$$word!1",
            "trustno1",
            "test1234",
            "qwertz-uiop",
        ] {
            assert!(is_password(value), "{value}");
        }
        for value in [
            "",
            "ab",
            "***",
            "xxxx",
            "----",
            "password",
            "my-secret",
            "Your password",
            "changeme",
            "example",
            "<password>",
            "${DB_PASSWORD}",
            "$PASSWORD",
            "{password}",
            "pre{{ password }}",
            "DB_PASSWORD",
            "^0.4",
            "/run/credentials/db",
            "./pw.txt",
            "https://example.org",
            "string",
            "Required",
            "same-origin",
            "is too short",
            "Must have 8 characters.",
            "Forgot it?",
            "пароль",
        ] {
            assert!(!is_password(value), "{value}");
        }
    }
}
