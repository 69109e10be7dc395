//! Named: values that are given to names of secrets, in code, settings, tags and options. Pure.

use std::ops::Range;

use super::password::is_password;
use super::rules::{MAX_LOOK_BYTES, beginning, entropy, is_plain, is_token_letter, run};
use super::tables::{NAMES, PASSWORDS, PLACEHOLDERS, QUALIFIERS, SERVICES, WEAK_NAMES};

/// Bits a character from which a value given to a name of a secret is one.
const MIN_NAMED_ENTROPY: f64 = 2.5;
/// The shortest value of a named secret, in characters.
const MIN_NAMED_CHARS: usize = 8;

fn is_bare(letter: char) -> bool {
    !letter.is_whitespace() && !"\"'`,;)]}&".contains(letter)
}

/// Values that are given to names of secrets: `api_key = "…"`, `"token": "…"`, `PASSWORD=…`, `AccountKey=…;`, `("token", "…")`,
/// `token || "…"`, `.password("…")`. Passwords that nothing but their name tells are looked for only where the text is `as_written`: in one that is
/// put together from pieces, what follows in a list would be part of them.
pub(super) fn named(text: &str, as_written: bool) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut until = 0;
    for (at, mark) in text.match_indices(['=', ':', ',', '|', '?', '(']) {
        // What stands in a secret is part of it.
        if at < until {
            continue;
        }
        let (before, after) = (&text[..at], at + mark.len());
        // These part much else, so that both sides must look like it.
        let is_weak = match mark {
            "," => match before.ends_with(['"', '\'', '`']) {
                true => true,
                false => continue,
            },
            "(" if is_setter(before) => true,
            "(" => continue,
            "|" | "?" if text[after..].starts_with(mark) => true,
            "|" | "?" => continue,
            _ => false,
        };
        let Some(strength) = names_a_secret(before) else { continue };
        let is_password_name = as_written && strength == Name::Password;
        let rest = &text[after..];
        // `:=`, `==`, `=>` and `: &str =`
        let lead = run(rest, |letter| "=>|? \t".contains(letter));
        let lead = lead + next_line(&rest[lead..]);
        let value = &rest[lead..];
        let (skip, value) = match value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("Basic ")) {
            Some(token) => (value.len() - token.len(), token),
            None => (0, value),
        };
        let start = after + lead + skip;
        let (open, body) = match literal(value) {
            Some(inside) if is_password_name => (inside.start, &value[inside.start..all_pieces(value, inside.end)]),
            Some(inside) => (inside.start, &value[inside]),
            None => (0, &value[..run(beginning(value), is_bare)]),
        };
        let is_quoted = open > 0;
        // `"kind": "password", "name2": …`
        let is_next_name =
            mark == "," && value[open + body.len()..].trim_start_matches(['"', '\'', '`', ' ']).starts_with(':');
        // What a name is mapped to has a name in quotation marks, or in Ruby one behind a colon; else it is a branch of code.
        let is_branch = rest.starts_with('>') && !before.trim_end().ends_with(['"', '\'']) && !is_symbol(before);
        let is_secret = match strength {
            _ if is_next_name => false,
            _ if is_password_name && mark != "," && is_quoted && !is_branch && is_password(body) => true,
            _ if is_password_name && !is_weak && !is_quoted && is_plain_setting(before, lead, value, body) => true,
            _ if is_weak && (!is_quoted || !body.bytes().any(|byte| byte.is_ascii_digit())) => false,
            Name::Password | Name::Secret => {
                is_secret_value(body, is_quoted) && (is_quoted || !is_code(before, lead, value, body))
            }
            Name::Service => is_key(body, 14, 2.0),
            Name::Weak => is_key(body, 16, 3.5) && !is_plain(body.as_bytes()),
        };
        if is_secret {
            let length = if is_quoted { body.len() } else { run(value, is_bare) };
            until = start + open + length;
            found.push(start + open..until);
        }
    }
    found
}

/// Where the text of a string stands, if a value begins with one, whatever makes it: `"…"`, `b'…'`, `String::from("…")`. It ends
/// with its line.
fn literal(value: &str) -> Option<Range<usize>> {
    const MAKERS: [&str; 9] = [
        "Some(",
        "Ok(",
        "String::from(",
        "new String(",
        "SecretString::from(",
        "SecretString::new(",
        "Secret::new(",
        "SecretStr(",
        "str(",
    ];
    const PREFIXES: [char; 8] = ['b', 'f', 'r', 'u', 'L', '@', 'B', 'R'];
    let mut rest = value;
    while let Some(inside) = MAKERS.iter().find_map(|maker| rest.strip_prefix(maker)) {
        rest = inside;
    }
    let rest = rest.trim_start_matches(PREFIXES);
    let quote = rest.chars().next().filter(|letter| matches!(letter, '"' | '\'' | '`'))?;
    let body = &rest[1..];
    let body = body.strip_prefix("Bearer ").or_else(|| body.strip_prefix("Basic ")).unwrap_or(body);
    let start = value.len() - body.len();
    Some(start..start + end_of(body, quote))
}

/// Where the text of a string ends: with its line at the latest.
fn end_of(body: &str, quote: char) -> usize {
    let mut is_escaped = false;
    let mut letters = body.char_indices();
    let end = letters.find(|(_, letter)| {
        let ends = *letter == '\n' || *letter == quote && !is_escaped;
        is_escaped = *letter == '\\' && !is_escaped;
        ends
    });
    end.map_or(body.len(), |(at, _)| at)
}

/// Where the last of the pieces ends that a text is put together from, `"…" + "…"` or in PHP `'…' . '…'`, if its first one ends
/// here.
fn all_pieces(value: &str, first_end: usize) -> usize {
    const MOST: usize = 8;
    let next = |end: usize| {
        let quote = value[end..].chars().next().filter(|letter| matches!(letter, '"' | '\'' | '`'))?;
        let glue = beginning(&value[end + 1..]).trim_start();
        let body = glue.strip_prefix(['+', '.'])?.trim_start().strip_prefix(quote)?;
        let start = end + 1 + beginning(&value[end + 1..]).len() - body.len();
        Some(start + end_of(&value[start..], quote))
    };
    std::iter::successors(Some(first_end), |end| next(*end)).take(MOST).last().unwrap_or(first_end)
}

/// Whether a call sets a password: `.password(`, `set_password(`, `withPassword(`.
fn is_setter(before: &str) -> bool {
    let name = before.trim_end_matches(is_token_letter);
    let name = before[name.len()..].to_ascii_lowercase().replace('_', "");
    let name = name.strip_prefix("set").or_else(|| name.strip_prefix("with")).unwrap_or(&name);
    matches!(name, "password" | "passwd" | "passphrase")
}

/// Whether a name is a symbol of Ruby's: `:password`.
fn is_symbol(before: &str) -> bool {
    let before = before.trim_end().trim_end_matches(is_token_letter);
    before.ends_with(':') && !before.ends_with("::")
}

/// The length of the end of a line and what stands before a quotation on the next one.
fn next_line(text: &str) -> usize {
    let end = text.strip_prefix('\\').unwrap_or(text);
    let Some(next) = end.strip_prefix("\r\n").or_else(|| end.strip_prefix('\n')) else { return 0 };
    let value = beginning(next).trim_start_matches([' ', '\t']);
    let skipped = beginning(next).len() - value.len();
    if value.starts_with(['"', '\'', '`']) { text.len() - next.len() + skipped } else { 0 }
}

/// Whether a value without quotes is code that is assigned, as in `token = self.next(` and `token: oauth2.Token`. Settings of
/// an environment (`DB_PASSWORD=a.b`) are none; elsewhere what has dots and colons is no path of names if a part of it begins
/// with a digit or has one before a letter.
fn is_code(before: &str, lead: usize, value: &str, body: &str) -> bool {
    let is_alone = is_alone(value, body);
    let is_part_of_path = |part: &str| {
        let pairs = part.as_bytes().windows(2);
        !part.starts_with(|letter: char| letter.is_ascii_digit())
            && !pairs.into_iter().any(|pair| pair[0].is_ascii_digit() && pair[1].is_ascii_alphabetic())
    };
    match () {
        () if is_setting(before, lead, value, body) => false,
        () if body.contains(['(', '[', '<']) => true,
        () if body.contains(['.', ':']) => !is_alone || body.split(['.', ':']).all(is_part_of_path),
        () => false,
    }
}

/// Whether nothing but a comment stands behind a value in its line.
fn is_alone(value: &str, body: &str) -> bool {
    let rest = value[body.len()..].trim_start_matches([' ', '\t']);
    rest.is_empty() || rest.starts_with(['\n', '\r', '#'])
}

/// Whether a value without quotes is a setting of an environment: `DB_PASSWORD=…`.
fn is_setting(before: &str, lead: usize, value: &str, body: &str) -> bool {
    let is_name = |letter: char| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_';
    is_alone(value, body) && lead == 0 && before.ends_with(is_name)
}

/// Whether a value without quotes is a password all the same: that of a setting, however plain it is; and what stands alone
/// behind a colon, as in YAML, where it has a digit and is no path of names.
fn is_plain_setting(before: &str, lead: usize, value: &str, body: &str) -> bool {
    const MIN_CHARS: usize = 6;
    let has_digit = body.bytes().any(|byte| byte.is_ascii_digit());
    let is_yaml = lead > 0 && is_alone(value, body) && has_digit && body.len() >= MIN_CHARS;
    let is_value = is_setting(before, lead, value, body) || is_yaml && !is_code(before, lead, value, body);
    is_value && is_password(body)
}

/// The text of an element that is named as a secret: `<password>…</password>`.
pub(super) fn in_tags(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("</") {
        let start = text.floor_char_boundary(at.saturating_sub(MAX_LOOK_BYTES));
        let Some((tag, value)) = text[start..at].rsplit_once('>') else { continue };
        let Some((_, name)) = tag.rsplit_once('<') else { continue };
        let name = name.split_whitespace().next().unwrap_or_default();
        let has_digit = value.bytes().any(|byte| byte.is_ascii_digit());
        let is_secret = match names_a_secret(name) {
            Some(Name::Password) => has_digit && is_secret_value(value, true) || is_password(value),
            Some(Name::Secret) => has_digit && is_secret_value(value, true),
            _ => false,
        };
        if is_secret {
            found.push(at - value.len()..at);
        }
    }
    found
}

/// The value behind an option of a command that is named as a secret: `--password …`.
pub(super) fn in_options(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (at, mark) in text.match_indices("--") {
        let rest = beginning(&text[at + mark.len()..]);
        let name = &rest[..run(rest, is_token_letter)];
        let gap = run(&rest[name.len()..], |letter| letter == ' ');
        let start = at + mark.len() + name.len() + gap;
        let value = beginning(&text[start..]);
        let value = &value[..run(value, is_bare)];
        let is_value = gap > 0 && !value.starts_with('-') && !value.contains(['(', '[', '<']);
        let has_digit = value.bytes().any(|byte| byte.is_ascii_digit());
        let is_secret = match names_a_secret(name).filter(|_| is_value) {
            Some(Name::Password) => is_secret_value(value, false) || has_digit && is_password(value),
            Some(Name::Secret) => is_secret_value(value, false),
            _ => false,
        };
        if is_secret {
            found.push(start..start + run(&text[start..], is_bare));
        }
    }
    found
}

/// What a name says of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    /// It is a secret, however short and plain it is.
    Password,
    /// It is a secret, if it looks like one.
    Secret,
    /// It is for a service, and so perhaps a key.
    Service,
    /// It may be one.
    Weak,
}

/// Whether what stands before an equals sign or a colon is the name of a secret, and how sure that is.
fn names_a_secret(before: &str) -> Option<Name> {
    const LONGEST: usize = 64;
    let from = before.floor_char_boundary(before.len().saturating_sub(LONGEST));
    let line = before[from..].rsplit('\n').next().unwrap_or_default();
    // A type may stand between a name and its value.
    let line = line.trim_end();
    let line = line.strip_suffix("[]").unwrap_or(line).trim_end_matches(|letter: char| " \t\"'`&>]".contains(letter));
    let name: String = line
        .chars()
        .rev()
        .take_while(|letter| is_token_letter(*letter) || *letter == '.')
        .filter(|letter| !matches!(letter, '_' | '-' | '.'))
        .map(|letter| letter.to_ascii_lowercase())
        .collect::<Vec<char>>()
        .into_iter()
        .rev()
        .collect();
    if matches!(&*name, "str" | "string" | "staticstr" | "byte" | "u8") {
        // Behind a colon, or in Go behind a space.
        let cut = line.rfind([':', '(']).or_else(|| line.rfind(' ')).filter(|cut| *cut > 0)?;
        return names_a_secret(&line[..cut]);
    }
    // `<add key="Password" value="…" />`
    if name == "value" {
        let attribute = ["key=\"", "name=\""].iter().find_map(|mark| Some(line.rsplit_once(mark)?.1))?;
        return names_a_secret(attribute.split('"').next()?);
    }
    let ends_with =
        |known: &&str| name.ends_with(*known) || name.strip_suffix('s').is_some_and(|name| name.ends_with(*known));
    let is_password = |name: &str| {
        PASSWORDS
            .iter()
            .any(|known| name.ends_with(known) || name.strip_suffix('s').is_some_and(|name| name.ends_with(known)))
    };
    match () {
        () if is_password(unqualified(&name)) => Some(Name::Password),
        () if NAMES.iter().any(&ends_with) => Some(Name::Secret),
        () if SERVICES.iter().any(|service| name.contains(service)) => Some(Name::Service),
        () if WEAK_NAMES.iter().any(ends_with) => Some(Name::Weak),
        () => None,
    }
}

/// A name without what says where or when it counts: `passwordold2` is `password`.
fn unqualified(name: &str) -> &str {
    let mut name = name;
    loop {
        let shorter = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
        let shorter = QUALIFIERS.iter().find_map(|word| shorter.strip_suffix(word)).unwrap_or(shorter);
        if shorter == name {
            return name;
        }
        name = shorter;
    }
}

/// Whether a value could be a key: long enough, in the letters of keys, and with a digit.
fn is_key(value: &str, least: usize, entropy_least: f64) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"_-=+/.:~%".contains(&byte);
    value.len() >= least
        && value.bytes().all(is_part)
        && !value.contains("://")
        && value.bytes().any(|byte| byte.is_ascii_digit())
        && !is_variable(value)
        && entropy(value) >= entropy_least
}

/// The password in `curl -u user:password`.
pub(super) fn curl_users(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (at, word) in text.match_indices("curl ") {
        let start = at + word.len();
        let rest = beginning(&text[start..]);
        let line = rest.split('\n').next().unwrap_or_default();
        for option in [" -u", " --user"] {
            let Some(option_at) = format!(" {line}").find(option) else { continue };
            // The space before the line is not there.
            let after = option_at + option.len() - 1;
            let value = line[after..].trim_start_matches(['=', ' ']).trim_start_matches(['"', '\'']);
            let value_at = start + line.len() - value.len();
            let length = run(value, |letter| !letter.is_whitespace() && !"\"'".contains(letter));
            let Some(colon) = value[..length].find(':') else { continue };
            let password = &value[colon + 1..length];
            if password.len() >= 3 && !is_variable(password) {
                found.push(value_at + colon + 1..value_at + length);
            }
        }
    }
    found
}

fn is_secret_value(value: &str, is_quoted: bool) -> bool {
    let lower = value.to_ascii_lowercase();
    let is_placeholder = is_variable(value) || PLACEHOLDERS.iter().any(|word| lower.starts_with(word));
    let is_random = entropy(value) >= MIN_NAMED_ENTROPY && value.bytes().any(|byte| byte.is_ascii_digit());
    value.len() >= MIN_NAMED_CHARS
        && !value.contains(' ')
        && !is_placeholder
        && (is_random || is_quoted && entropy(value) >= MIN_NAMED_ENTROPY && !value.bytes().all(is_name_byte))
}

/// Whether a value is filled in elsewhere: `$NAME`, `{name}`, `<name>`, `%s`; but not `%41`, an escape.
pub(super) fn is_variable(value: &str) -> bool {
    let is_escape =
        value.strip_prefix('%').is_some_and(|rest| rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()));
    value.starts_with(['$', '{', '<', '%']) && !is_escape
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || matches!(byte, b'_' | b'-' | b'.' | b'/')
}
