//! Redact: what looks like a secret, out of a text; and whether a text gives a known one away. Pure.
//!
//! A secret is looked for as it stands, and in disguise: in base64 or hexadecimal digits, in percent or backslash escapes or
//! character references, as a list of bytes, and put together from pieces of text. Lines stay where they are, so that what is said of a line is still true.

mod named;
mod password;
mod rules;
mod tables;

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
    let mut found = rules::spans(text, true);
    if depth < MAX_DEPTH {
        found.extend(encoded_runs(text, depth));
        found.extend(byte_lists(text, depth));
        found.extend(in_pieces(text, depth));
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
    let mut at = 0;
    while at < text.len() {
        let length = encoded_run(&text[at..]);
        let run = &text[at..at + length];
        if length >= MIN_ENCODED_CHARS {
            found.extend(hidden_in(run, depth).into_iter().map(|span| at + span.start..at + span.end));
        }
        at += length;
        at += text[at..].chars().next().map_or(0, char::len_utf8);
    }
    found
}

/// The length of a run of the letters that encodings are written with; braces are some of them in `\u{41}` alone.
fn encoded_run(text: &str) -> usize {
    let is_part = |letter: u8| letter.is_ascii_alphanumeric() || b"+/=_-%\\&#;.~".contains(&letter);
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        at += match bytes[at] {
            letter if is_part(letter) => 1,
            b'{' if bytes[..at].ends_with(b"\\u") => match escape(&text[at - 2..]) {
                Some((_, length)) => length - 2,
                None => break,
            },
            _ => break,
        };
    }
    at
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

/// The letter that an escape at the beginning of a text stands for, and how long the escape is: `%41`, `\x41`, `\u0041`,
/// `\u{41}`, `\101`, `&#65;` or `&#x41;`.
fn escape(text: &str) -> Option<(char, usize)> {
    const LONGEST: usize = 10;
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize, radix: u32| {
        let digits = text.get(from..to)?;
        let is_number = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
        char::from_u32(u32::from_str_radix(digits, radix).ok().filter(|_| is_number)?)
    };
    let up_to = |end: u8| bytes.iter().take(LONGEST).position(|byte| *byte == end);
    match bytes {
        [b'%', ..] => Some((number(1, 3, 16)?, 3)),
        [b'\\', b'x', ..] => Some((number(2, 4, 16)?, 4)),
        [b'\\', b'u', b'{', ..] => up_to(b'}').and_then(|end| Some((number(3, end, 16)?, end + 1))),
        [b'\\', b'u', ..] => Some((number(2, 6, 16)?, 6)),
        [b'\\', b'0'..=b'7', ..] => Some((number(1, 4, 8)?, 4)),
        [b'&', b'#', b'x' | b'X', ..] => up_to(b';').and_then(|end| Some((number(3, end, 16)?, end + 1))),
        [b'&', b'#', ..] => up_to(b';').and_then(|end| Some((number(2, end, 10)?, end + 1))),
        _ => None,
    }
}

/// A text with its escapes undone, and character references too.
fn unescaped(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let (letter, length) = escape(rest).unwrap_or((letter, letter.len_utf8()));
        out.push(letter);
        rest = &rest[length..];
    }
    as_text(out.into_bytes()).map(|text| crate::sanitise::decoded(&text)).filter(|decoded| decoded != text)
}

/// Lists of the numbers of bytes, `0x41, 0x4b` or `65, 75`, that are a secret as text.
fn byte_lists(text: &str, depth: usize) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find(|letter: char| letter.is_ascii_digit()).map(|start| at + start) {
        let mut bytes = Vec::new();
        let mut end = start;
        let mut next = start;
        loop {
            let rest = &text[next..];
            let length = rest.find(|letter: char| !letter.is_ascii_alphanumeric()).unwrap_or(rest.len());
            let byte = match rest[..length].strip_prefix("0x") {
                Some(digits) => u8::from_str_radix(digits, 16).ok(),
                None => rest[..length].parse().ok(),
            };
            let Some(byte) = byte else { break };
            bytes.push(byte);
            end = next + length;
            let gap = text[end..].find(|letter: char| !letter.is_whitespace() && letter != ',');
            match gap {
                Some(gap) if text[end..end + gap].contains(',') => next = end + gap,
                _ => break,
            }
        }
        if bytes.len() >= MIN_ENCODED_CHARS && as_text(bytes).is_some_and(|text| !secrets(&text, depth + 1).is_empty())
        {
            found.push(start..end);
        }
        // Behind the number that was looked at last.
        at = end.max(next);
        at += text[at..].find(|letter: char| !letter.is_ascii_alphanumeric()).unwrap_or(text.len() - at);
    }
    found
}

/// Secrets that are put together from pieces: `"AKIA" + "…"`, adjacent literals, letters without width in between, or letters
/// some of which are escaped; encoded ones too.
fn in_pieces(text: &str, depth: usize) -> Vec<Range<usize>> {
    // The text without its seams and escapes, and where each byte of it stands.
    let mut whole = String::with_capacity(text.len());
    let mut places: Vec<Range<usize>> = Vec::with_capacity(text.len());
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
        let escape = escape(rest);
        let (letter, length) = escape.unwrap_or((letter, letter.len_utf8()));
        whole.push(letter);
        places.extend(std::iter::repeat_n(at..at + length, letter.len_utf8()));
        at += length;
        if escape.is_some() {
            seams.push(whole.len());
        }
    }
    if seams.is_empty() {
        return Vec::new();
    }
    let crosses = |span: &Range<usize>| {
        let next = seams.partition_point(|seam| *seam <= span.start);
        seams.get(next).is_some_and(|seam| *seam <= span.end)
    };
    let found = rules::spans(&whole, false).into_iter().chain(encoded_runs(&whole, depth));
    found.filter(crosses).map(|span| places[span.start].start..places[span.end - 1].end).collect()
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
