//! Redact: what looks like a secret, out of a text; and whether a text gives a known one away. Pure.
//!
//! A secret is looked for as it stands, and in disguise: in base64 or hexadecimal digits, in percent or backslash escapes,
//! and put together from pieces of text. Lines stay where they are, so that what is said of a line is still true.

mod rules;

use std::ops::Range;

/// Letters of a secret that must be there before anything is compared.
const MIN_SECRET_CHARS: usize = 12;
/// What stands in the place of a secret.
pub const MARK: &str = "[secret]";
/// Encodings within encodings are looked through so often.
const MAX_DEPTH: usize = 2;
/// A shorter run of an encoding hides nothing.
const MIN_ENCODED_CHARS: usize = 16;

/// The text with everything that looks like a secret replaced, and how many there were. It has as many lines as before.
pub fn redacted(text: &str) -> (String, usize) {
    let spans = merged(secrets(text, 0));
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for span in &spans {
        out.push_str(&text[from..span.start]);
        out.push_str(MARK);
        out.extend(text[span.clone()].chars().filter(|letter| *letter == '\n'));
        from = span.end;
    }
    out.push_str(&text[from..]);
    (out, spans.len())
}

/// Where the secrets of a text are.
fn secrets(text: &str, depth: usize) -> Vec<Range<usize>> {
    let mut found = rules::spans(text);
    if depth < MAX_DEPTH {
        found.extend(encoded_runs(text, depth));
        found.extend(in_pieces(text));
    }
    found
}

fn merged(mut spans: Vec<Range<usize>>) -> Vec<Range<usize>> {
    spans.sort_by_key(|span| (span.start, span.end));
    let mut out: Vec<Range<usize>> = Vec::new();
    for span in spans {
        match out.last_mut() {
            Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
            _ => out.push(span),
        }
    }
    out
}

/// Runs of characters that are a secret once they are decoded.
fn encoded_runs(text: &str, depth: usize) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || "+/=_-%\\&#;.~".contains(letter);
    let mut at = 0;
    while at < text.len() {
        let length = text[at..].find(|letter| !is_part(letter)).unwrap_or(text.len() - at);
        let run = &text[at..at + length];
        if length >= MIN_ENCODED_CHARS {
            found.extend(hidden_in(run, depth).into_iter().map(|span| at + span.start..at + span.end));
        }
        at += length;
        at += text[at..].chars().next().map_or(0, char::len_utf8);
    }
    found
}

/// The parts of a run that decode to a secret.
fn hidden_in(run: &str, depth: usize) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let is_secret = |text: &str| !secrets(text, depth + 1).is_empty();
    if run.contains(['%', '\\', '&']) && unescaped(run).is_some_and(|text| is_secret(&text)) {
        found.push(0..run.len());
        return found;
    }
    // An encoding may stand behind a name or a path, so its parts are looked at as well.
    let mut from = 0;
    for part in run.split(['\\', '%', '&', '#', ';', '.', '~']) {
        let start = from;
        from += part.len() + 1;
        let trimmed = part.trim_start_matches(['=', '-', '/']);
        let start = start + part.len() - trimmed.len();
        if trimmed.len() < MIN_ENCODED_CHARS {
            continue;
        }
        let decoded = [from_hex(trimmed), from_base64(trimmed), from_base64(trimmed.get(1..).unwrap_or_default())];
        if decoded.into_iter().flatten().any(|text| is_secret(&text)) {
            found.push(start..start + trimmed.len());
        }
    }
    found
}

/// Bytes that are text, where all of them are.
fn as_text(bytes: Vec<u8>) -> Option<String> {
    let text = String::from_utf8(bytes).ok()?;
    let is_plain = |letter: char| !letter.is_control() || letter.is_whitespace();
    text.chars().all(is_plain).then_some(text)
}

fn from_hex(text: &str) -> Option<String> {
    let text = text.strip_prefix("0x").unwrap_or(text);
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    as_text((0..text.len()).step_by(2).map(byte).collect::<Option<Vec<u8>>>()?)
}

fn from_base64(text: &str) -> Option<String> {
    as_text(base64_bytes(text)?)
}

/// The bytes that [`base64`] makes a text of, in either alphabet, padded or not (RFC 4648).
pub fn base64_bytes(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    Some(bytes)
}

/// Percent escapes, `\x41`, `\u0041`, `\u{41}`, `\101` and character references, undone.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    let digits = |text: &str, from: usize, count: usize, radix: u32| {
        u32::from_str_radix(text.get(from..from + count)?, radix).ok()
    };
    while let Some(letter) = rest.chars().next() {
        let escape = match letter {
            '%' => digits(rest, 1, 2, 16).map(|code| (code, 3)),
            '\\' => match rest.as_bytes().get(1) {
                Some(b'x') => digits(rest, 2, 2, 16).map(|code| (code, 4)),
                Some(b'u') if rest[2..].starts_with('{') => {
                    let end = rest.find('}');
                    end.and_then(|end| Some((digits(rest, 3, end.checked_sub(3)?, 16)?, end + 1)))
                }
                Some(b'u') => digits(rest, 2, 4, 16).map(|code| (code, 6)),
                Some(b'0'..=b'7') => digits(rest, 1, 3, 8).map(|code| (code, 4)),
                _ => None,
            },
            _ => None,
        };
        match escape.and_then(|(code, length)| Some((char::from_u32(code)?, length))) {
            Some((letter, length)) => {
                bytes.extend(letter.to_string().bytes());
                rest = &rest[length..];
            }
            None => {
                bytes.extend(letter.to_string().bytes());
                rest = &rest[letter.len_utf8()..];
            }
        }
    }
    as_text(bytes).map(|text| crate::sanitise::decoded(&text)).filter(|decoded| decoded != text)
}

/// Secrets that are put together from pieces: `"AKIA" + "…"`, adjacent literals, or letters without width in between.
fn in_pieces(text: &str) -> Vec<Range<usize>> {
    // The text without its seams, and where each byte of it stands.
    let mut whole = String::with_capacity(text.len());
    let mut places: Vec<usize> = Vec::with_capacity(text.len());
    let mut seams = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if let Some(length) = seam(rest) {
            seams.push(whole.len());
            at += length;
            continue;
        }
        let letter = rest.chars().next().expect("because there is text left");
        whole.push(letter);
        places.extend(at..at + letter.len_utf8());
        at += letter.len_utf8();
    }
    if seams.is_empty() {
        return Vec::new();
    }
    places.push(text.len());
    let crosses = |span: &Range<usize>| {
        let next = seams.partition_point(|seam| *seam <= span.start);
        seams.get(next).is_some_and(|seam| *seam < span.end)
    };
    rules::spans(&whole).into_iter().filter(crosses).map(|span| places[span.start]..places[span.end - 1] + 1).collect()
}

/// The length of what stands between two pieces of one text.
fn seam(text: &str) -> Option<usize> {
    const LONGEST: usize = 80;
    let first = text.chars().next()?;
    if matches!(first, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
    {
        return Some(first.len_utf8());
    }
    if !matches!(first, '"' | '\'' | '`') {
        return None;
    }
    let mut glue = 0;
    for (at, letter) in text.char_indices().skip(1).take(LONGEST) {
        match letter {
            '"' | '\'' | '`' if at > 1 || glue > 0 => return Some(at + 1),
            '+' | '.' | ',' | '&' | '\\' if glue < 2 => glue += 1,
            ' ' | '\t' | '\n' | '\r' => {}
            _ => return None,
        }
    }
    None
}

/// Whether a text holds a secret: as it is, split by anything, in hexadecimal, or in base64 at any offset.
pub fn gives_away(text: &str, secret: &str) -> bool {
    let plain = |text: &str| -> String { text.chars().filter(char::is_ascii_alphanumeric).collect() };
    if plain(secret).len() < MIN_SECRET_CHARS {
        return false;
    }
    let text = plain(text);
    if text.contains(&plain(secret)) {
        return true;
    }
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    if text.to_ascii_lowercase().contains(&hex) {
        return true;
    }
    encoded(secret).iter().any(|form| text.contains(&plain(form)))
}

/// The middle of a secret in base64, at each of the three offsets that it may stand at.
fn encoded(secret: &str) -> [String; 3] {
    [0usize, 1, 2].map(|offset| {
        let padded: Vec<u8> = std::iter::repeat_n(0, offset).chain(secret.bytes()).collect();
        let text = base64(&padded);
        // The first and the last group mix with what stands around.
        let start = if offset == 0 { 0 } else { 4 };
        text.trim_end_matches('=')
            .get(start..text.trim_end_matches('=').len().saturating_sub(2))
            .unwrap_or("")
            .to_owned()
    })
}

/// Bytes in base64, with padding (RFC 4648).
pub fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().enumerate().fold(0u32, |bits, (at, byte)| bits | u32::from(*byte) << (16 - 8 * at));
        for at in 0..4 {
            out.push(if at <= group.len() { char::from(LETTERS[(bits >> (18 - 6 * at)) as usize & 63]) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod planted;
#[cfg(test)]
mod tests;
