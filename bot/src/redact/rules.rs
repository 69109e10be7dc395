//! Rules: what a secret looks like, and the walk over one text that looks for all of them. Pure.
//!
//! Prefixes are those that the services publish for their tokens, and the kinds are those of gitleaks' rules (of version 8.30),
//! which the tests plant by their names. What has no prefix is told by the name that it is given to, or by how random it
//! looks.

use std::collections::HashSet;
use std::ops::Range;

use super::named::{curl_users, in_options, in_tags, is_variable, named};
use super::tables::{TOKENS, Tail};

/// Bits a character from which a run of characters is no word and no name.
const MIN_BARE_ENTROPY: f64 = 4.0;
/// The same where it is of hexadecimal digits, which have four at the most.
const MIN_HEX_ENTROPY: f64 = 3.0;
/// The shortest run that is taken for a secret by its looks alone, in characters.
const MIN_BARE_CHARS: usize = 32;
/// Sums of entropies are rounded.
const ROUNDING: f64 = 1e-9;
/// What is looked at of a value, an address or the head of an armour, in bytes: whoever writes longer ones could have a text
/// looked through as often as it has letters.
pub(super) const MAX_LOOK_BYTES: usize = 1_000;

/// Where the secrets of a text are, in order; they may touch. See [`named`] for `as_written`.
pub(super) fn spans(text: &str, as_written: bool) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    found.extend(private_keys(text));
    found.extend(passwords_in_addresses(text));
    found.extend(named(text, as_written));
    found.extend(in_tags(text));
    found.extend(in_options(text));
    found.extend(curl_users(text));
    found.extend(secret_manifests(text));
    let mut at = 0;
    let mut before = Before::Word;
    let mut randoms = Randoms::default();
    while at < text.len() {
        let rest = &text[at..];
        // The letter of `\n` is none of the word behind it.
        if let [b'\\', b'n' | b'r' | b't' | b'b' | b'f' | b'v', ..] = rest.as_bytes() {
            at += 2;
            before = Before::Word;
            continue;
        }
        let length = match before {
            Before::Word => token(rest, false)
                .or_else(|| web_token(rest))
                .or_else(|| azure_secret(rest))
                .or_else(|| after_its_id(rest))
                .or_else(|| randoms.length(text, at)),
            Before::Part => token(rest, true),
            Before::Letter => None,
        };
        if let Some(length) = length {
            found.push(at..at + length);
            at += length;
            before = Before::Letter;
            continue;
        }
        let letter = rest.chars().next().expect("because there is text left");
        before = match letter {
            '-' | '_' => Before::Part,
            letter if is_token_letter(letter) => Before::Letter,
            _ => Before::Word,
        };
        at += letter.len_utf8();
    }
    found
}

/// What may begin at a place.
#[derive(Clone, Copy)]
enum Before {
    Word,
    /// A part of a word, behind `-` or `_`.
    Part,
    Letter,
}

pub(super) fn is_token_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-')
}

pub(super) fn run(text: &str, is_part: impl Fn(char) -> bool) -> usize {
    text.find(|letter| !is_part(letter)).unwrap_or(text.len())
}

/// The length of a token with a known prefix. A part of a word is one only if its prefix is long and its tail has a digit.
fn token(text: &str, is_part_of_word: bool) -> Option<usize> {
    TOKENS.iter().find_map(|(prefix, least, tail)| {
        let rest = text.strip_prefix(prefix)?;
        let is_part = |letter: char| match tail {
            Tail::Word => is_token_letter(letter),
            Tail::Dotted => is_token_letter(letter) || letter == '.',
            Tail::Base64 => is_random_letter(letter),
        };
        // `s.` and its like also begin calls and fields: their tails must look random.
        let is_vague = prefix.len() <= 4 && !prefix.starts_with('A') || is_part_of_word;
        if is_part_of_word && prefix.len() < 4 {
            return None;
        }
        let begin = beginning(rest);
        let begin = &begin[..run(begin, is_part)];
        let is_random = !is_vague || begin.bytes().any(|byte| byte.is_ascii_digit());
        (begin.len() >= *least && is_random).then(|| prefix.len() + run(rest, is_part))
    })
}

/// The length of a JSON web token: three parts, of which the first is a JSON object in base64.
fn web_token(text: &str) -> Option<usize> {
    if !text.starts_with("eyJ") {
        return None;
    }
    let first = run(text, is_token_letter);
    let second = run(text[first..].strip_prefix('.')?, is_token_letter);
    (first >= 10 && second >= 10).then(|| run(text, |letter| is_token_letter(letter) || letter == '.'))
}

fn is_random_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "+/=_-".contains(letter)
}

/// What begins a text, as far as it is looked at.
pub(super) fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_LOOK_BYTES)]
}

/// The run of characters that is being looked at, and where in it something begins that no person writes.
#[derive(Default)]
struct Randoms {
    end: usize,
    starts: HashSet<usize>,
}

impl Randoms {
    /// The length of such a thing at the start of a word.
    fn length(&mut self, text: &str, at: usize) -> Option<usize> {
        if at >= self.end {
            let rest = &text[at..];
            self.end = at + run(rest, is_random_letter);
            self.starts = random_starts(&text[at..self.end]).into_iter().map(|start| at + start).collect();
        }
        self.starts.contains(&at).then(|| self.end - at)
    }
}

/// The starts of words in a run from which on it is long, mixed, and has much information a character. From the end on, so
/// that each letter is looked at once however many words there are.
fn random_starts(word: &str) -> Vec<usize> {
    let bytes = word.as_bytes();
    let mut found = Vec::new();
    let mut counts = [0usize; 256];
    // Sum of count · log2(count) over all characters.
    let mut sum = 0.0;
    let (mut digits, mut lower, mut upper, mut others, mut words) = (0, 0, 0, 0, 0);
    let mut part_end = bytes.len();
    for at in (0..bytes.len()).rev() {
        let byte = bytes[at];
        let weight = |count: usize| if count == 0 { 0.0 } else { count as f64 * (count as f64).log2() };
        let count = &mut counts[usize::from(byte)];
        sum += weight(*count + 1) - weight(*count);
        *count += 1;
        digits += usize::from(byte.is_ascii_digit());
        lower += usize::from(byte.is_ascii_lowercase());
        upper += usize::from(byte.is_ascii_uppercase());
        others += usize::from(!byte.is_ascii_hexdigit());
        let is_start = at == 0 || is_separator(bytes[at - 1]);
        if is_separator(byte) {
            part_end = at;
        } else if is_start && is_plain(&bytes[at..part_end]) {
            words += part_end - at;
        }
        let length = bytes.len() - at;
        let is_word_start = at == 0 || !is_token_letter(char::from(bytes[at - 1]));
        // A path or a long name: most of it is words.
        if !is_word_start || length < MIN_BARE_CHARS || words * 2 > length {
            continue;
        }
        let entropy = (length as f64).log2() - sum / length as f64 + ROUNDING;
        let is_mixed = digits > 0 && lower > 0 && upper > 0;
        let is_hex = others == 0 && digits > 0;
        // Forty digits name a commit and are no secret.
        let is_id = is_hex && length == 40;
        if !is_id && (is_hex && entropy >= MIN_HEX_ENTROPY || is_mixed && entropy >= MIN_BARE_ENTROPY) {
            found.push(at);
        }
    }
    found
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'_' | b'-' | b'/' | b'=' | b'+')
}

/// Whether a part of a name is a word: letters alone, or with few digits and few changes of case.
pub(super) fn is_plain(part: &[u8]) -> bool {
    let digits = part.iter().filter(|byte| byte.is_ascii_digit()).count();
    let turns = part.windows(2).filter(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase());
    digits * 6 <= part.len() && turns.count() * 4 <= part.len()
}

/// Bits a character (Shannon, over the characters of the text itself).
pub(super) fn entropy(text: &str) -> f64 {
    let mut counts = [0usize; 256];
    text.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    let total = text.len() as f64;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| *count as f64 / total)
        .map(|share| -share * share.log2())
        .sum()
}

/// Private keys in their armour; to the end of the text where the end is cut off.
fn private_keys(text: &str) -> Vec<Range<usize>> {
    const BEGIN: &str = "-----BEGIN ";
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find(BEGIN).map(|at| from + at) {
        let rest = &text[at..];
        let name = beginning(&rest[BEGIN.len()..]).split(['\n', '\r']).next().unwrap_or_default();
        let name = name.split("-----").next().unwrap_or_default();
        if !name.contains("PRIVATE KEY") {
            from = at + BEGIN.len();
            continue;
        }
        let end = format!("-----END {name}-----");
        let length = rest.find(&end).map_or(rest.len(), |found| found + end.len());
        found.push(at..at + length);
        from = at + length;
    }
    found
}

/// The password in `scheme://user:password@host`.
fn passwords_in_addresses(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (at, mark) in text.match_indices("://") {
        let start = at + mark.len();
        let rest = beginning(&text[start..]);
        let length = run(rest, |letter| !letter.is_whitespace() && !"\"'`<>".contains(letter));
        let Some(end) = rest[..length].find(['/', '?', '#']).or(Some(length)) else { continue };
        // A slash may stand in a password; what counts is the last `@` before the host.
        let Some(host) = rest[..length].rfind('@') else { continue };
        let end = end.max(host);
        let Some(colon) = rest[..end.min(host)].find(':') else { continue };
        let password = &rest[colon + 1..host];
        if password.len() >= 3 && !is_variable(password) {
            found.push(start + colon + 1..start + host);
        }
    }
    found
}

/// The values of a Kubernetes manifest whose kind is a secret.
fn secret_manifests(text: &str) -> Vec<Range<usize>> {
    const MIN_CHARS: usize = 10;
    let mut found = Vec::new();
    let mut at = 0;
    let (mut is_secret, mut is_data) = (false, false);
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let plain = line.trim();
        let is_indented = line.starts_with([' ', '\t']);
        match plain.split_once(':') {
            _ if plain == "---" => (is_secret, is_data) = (false, false),
            Some(("kind", kind)) => is_secret = kind.trim().trim_matches(['"', '\'']).eq_ignore_ascii_case("secret"),
            Some((name, value)) if is_indented && is_data && is_secret => {
                let value = value.trim();
                let is_value = value.chars().all(is_random_letter);
                if !name.contains(' ') && value.len() >= MIN_CHARS && is_value {
                    let value_at = start + line.rfind(value).unwrap_or_default();
                    found.push(value_at..value_at + value.len());
                }
            }
            Some((name, _)) if !is_indented => is_data = matches!(name, "data" | "stringData"),
            _ => {}
        }
    }
    found
}

/// The length of a token whose id stands before its secret: those of Terraform Cloud and of Airtable.
fn after_its_id(text: &str) -> Option<usize> {
    const ID_CHARS: usize = 14;
    const MIN_SECRET_CHARS: usize = 60;
    [("", ".atlasv1."), ("pat", ".")].iter().find_map(|(prefix, mark)| {
        let (id, rest) = text.strip_prefix(prefix)?.split_at_checked(ID_CHARS)?;
        let secret = rest.strip_prefix(mark)?;
        let length = run(beginning(secret), is_random_letter);
        let is_token = id.bytes().all(|byte| byte.is_ascii_alphanumeric()) && length >= MIN_SECRET_CHARS;
        is_token.then(|| prefix.len() + ID_CHARS + mark.len() + run(secret, is_random_letter))
    })
}

/// The length of a client secret of Azure: `Q~` behind three letters and a digit.
fn azure_secret(text: &str) -> Option<usize> {
    let is_part = |letter: char| is_token_letter(letter) || matches!(letter, '.' | '~');
    let mark = text.get(3..6)?;
    let is_mark = mark.starts_with(|letter: char| letter.is_ascii_digit()) && mark.ends_with("Q~");
    let length = if is_mark { run(beginning(text), is_part) } else { 0 };
    (is_mark && text[..3].chars().all(is_part) && (37..=44).contains(&length)).then_some(length)
}
