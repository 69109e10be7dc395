//! Redact: what looks like a secret, out of a text; and whether a text gives a known one away. Pure.

/// Letters of a secret that must be there before anything is compared.
const MIN_SECRET_CHARS: usize = 12;

/// Prefixes of tokens, and how many characters follow at the least.
const TOKENS: [(&str, usize); 16] = [
    ("AKIA", 16),
    ("ASIA", 16),
    ("ghp_", 20),
    ("gho_", 20),
    ("ghu_", 20),
    ("ghs_", 20),
    ("ghr_", 20),
    ("github_pat_", 20),
    ("glpat-", 16),
    ("sk-", 20),
    ("xoxb-", 10),
    ("xoxp-", 10),
    ("AIza", 30),
    ("npm_", 30),
    ("pypi-", 40),
    ("hf_", 30),
];

/// The text with every token and private key replaced, and how many there were.
pub fn redacted(text: &str) -> (String, usize) {
    const BEGIN: &str = "-----BEGIN ";
    let mut out = String::with_capacity(text.len());
    let mut count = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let is_word_start = out.chars().next_back().is_none_or(|letter| !is_token_letter(letter));
        if rest.starts_with(BEGIN)
            && let Some(end) = private_key_end(rest)
        {
            out.push_str("[private key]");
            count += 1;
            rest = &rest[end..];
            continue;
        }
        if is_word_start && let Some(end) = token_end(rest) {
            out.push_str("[secret]");
            count += 1;
            rest = &rest[end..];
            continue;
        }
        let letter = rest.chars().next().expect("because there is text left");
        out.push(letter);
        rest = &rest[letter.len_utf8()..];
    }
    (out, count)
}

fn is_token_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-')
}

fn token_end(text: &str) -> Option<usize> {
    TOKENS.iter().find_map(|(prefix, least)| {
        let tail = text.strip_prefix(prefix)?;
        let length = tail.chars().take_while(|letter| is_token_letter(*letter)).count();
        (length >= *least).then_some(prefix.len() + length)
    })
}

/// Where a private key ends; the end of the text when it is cut off.
fn private_key_end(text: &str) -> Option<usize> {
    let line = text.lines().next()?;
    if !line.contains("PRIVATE KEY") {
        return None;
    }
    const END: &str = "PRIVATE KEY-----";
    let first = text.find(END).map(|at| at + END.len())?;
    Some(text[first..].find(END).map_or(text.len(), |at| first + at + END.len()))
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
mod tests {
    use super::*;

    #[test]
    fn tokens_and_private_keys_are_replaced() {
        let check = |text: &str, expected: &str, count: usize| {
            assert_eq!(redacted(text), (expected.to_owned(), count));
        };
        check("key = \"AKIAIOSFODNN7EXAMPLE\"", "key = \"[secret]\"", 1);
        check("a ghp_0123456789abcdefghij b", "a [secret] b", 1);
        check("task-0123456789abcdefghijklmnop", "task-0123456789abcdefghijklmnop", 0);
        check("x\n-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\ny", "x\n[private key]\ny", 1);
        check("-----BEGIN PRIVATE KEY-----\nabc", "[private key]", 1);
        check("-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE-----", 0);
    }

    #[test]
    fn a_known_secret_is_seen_in_disguise() {
        let secret = "sk-canary-0123456789abcdef";
        assert!(gives_away("the key is sk-canary-0123456789abcdef.", secret));
        assert!(gives_away("s k - c a n a r y - 0123 4567 89ab cdef", secret));
        assert!(gives_away("sk-canary-\u{200b}0123456789\nabcdef", secret));
        for around in ["", "x", "xy", "xyz"] {
            assert!(gives_away(&base64(format!("{around}{secret} tail").as_bytes()), secret), "{around}");
        }
        assert!(gives_away("736b2d63616e6172792d30313233343536373839616263646566", secret));
        assert!(!gives_away("nothing to see", secret) && !gives_away("abc", "abc"));
    }

    #[test]
    fn base64_is_that_of_the_standard() {
        for (plain, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(plain.as_bytes()), text);
        }
    }
}
