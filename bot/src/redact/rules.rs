//! Rules: what a secret looks like. Pure data, and the walk over one text that applies it.
//!
//! Prefixes are those that the services publish for their tokens, and the kinds are those of gitleaks' rules (of version 8.30),
//! which the tests plant by their names. What has no prefix is told by the name that it is given to, or by how random it
//! looks.

use std::collections::HashSet;
use std::ops::Range;

/// What follows a prefix of a token.
#[derive(Clone, Copy)]
enum Tail {
    /// Letters, digits, `_` and `-`.
    Word,
    /// The same, and dots.
    Dotted,
    /// What base64 is written with.
    Base64,
}

/// Prefixes of tokens, how many characters follow at the least, and which.
const TOKENS: [(&str, usize, Tail); 150] = [
    ("AKIA", 16, Tail::Word),
    ("ASIA", 16, Tail::Word),
    ("AGPA", 16, Tail::Word),
    ("AROA", 16, Tail::Word),
    ("AIDA", 16, Tail::Word),
    ("ABIA", 16, Tail::Word),
    ("ACCA", 16, Tail::Word),
    ("A3T", 17, Tail::Word),
    ("ghp_", 20, Tail::Word),
    ("gho_", 20, Tail::Word),
    ("ghu_", 20, Tail::Word),
    ("ghs_", 20, Tail::Word),
    ("ghr_", 20, Tail::Word),
    ("github_pat_", 20, Tail::Word),
    ("glpat-", 16, Tail::Word),
    ("gldt-", 16, Tail::Word),
    ("glrt-", 16, Tail::Word),
    ("glptt-", 16, Tail::Word),
    ("sk-", 20, Tail::Word),
    ("sk_live_", 16, Tail::Word),
    ("sk_test_", 16, Tail::Word),
    ("rk_live_", 16, Tail::Word),
    ("rk_test_", 16, Tail::Word),
    ("pk_live_", 16, Tail::Word),
    ("whsec_", 16, Tail::Base64),
    ("xoxb-", 10, Tail::Word),
    ("xoxp-", 10, Tail::Word),
    ("xoxa-", 10, Tail::Word),
    ("xoxr-", 10, Tail::Word),
    ("xoxs-", 10, Tail::Word),
    ("xapp-", 10, Tail::Word),
    ("AIza", 30, Tail::Word),
    ("ya29.", 20, Tail::Word),
    ("GOCSPX-", 20, Tail::Word),
    ("npm_", 30, Tail::Word),
    ("pypi-", 40, Tail::Word),
    ("hf_", 30, Tail::Word),
    ("dckr_pat_", 20, Tail::Word),
    ("dop_v1_", 32, Tail::Word),
    ("doo_v1_", 32, Tail::Word),
    ("dor_v1_", 32, Tail::Word),
    ("SG.", 20, Tail::Dotted),
    ("key-", 32, Tail::Word),
    ("shpat_", 20, Tail::Word),
    ("shpss_", 20, Tail::Word),
    ("shpca_", 20, Tail::Word),
    ("shppa_", 20, Tail::Word),
    ("sq0atp-", 20, Tail::Word),
    ("sq0csp-", 20, Tail::Word),
    ("EAAA", 50, Tail::Word),
    ("hvs.", 20, Tail::Word),
    ("hvb.", 20, Tail::Word),
    ("s.", 24, Tail::Word),
    ("glsa_", 20, Tail::Word),
    ("glc_", 20, Tail::Base64),
    ("lin_api_", 20, Tail::Word),
    ("ntn_", 30, Tail::Word),
    ("secret_", 30, Tail::Word),
    ("rubygems_", 32, Tail::Word),
    ("tfp_", 30, Tail::Word),
    ("dapi", 32, Tail::Word),
    ("PMAK-", 30, Tail::Word),
    ("AGE-SECRET-KEY-1", 30, Tail::Word),
    ("ops_eyJ", 100, Tail::Base64),
    ("p8e-", 32, Tail::Word),
    ("LTAI", 20, Tail::Word),
    ("AKCp", 60, Tail::Word),
    ("ABSK", 100, Tail::Base64),
    ("bedrock-api-key-", 16, Tail::Base64),
    ("4b1d", 38, Tail::Word),
    ("CLOJARS_", 50, Tail::Word),
    ("v1.0-", 100, Tail::Word),
    ("dnkey-", 60, Tail::Base64),
    ("dp.pt.", 40, Tail::Word),
    ("duffel_test_", 40, Tail::Base64),
    ("duffel_live_", 40, Tail::Base64),
    ("dt0c01.", 80, Tail::Dotted),
    ("EZAK", 54, Tail::Word),
    ("EZTK", 54, Tail::Word),
    ("EAAM", 90, Tail::Word),
    ("EAAC", 90, Tail::Word),
    ("FLWSECK_TEST-", 12, Tail::Word),
    ("FLWPUBK_TEST-", 30, Tail::Word),
    ("fo1_", 40, Tail::Word),
    ("fm1a_", 90, Tail::Base64),
    ("fm1r_", 90, Tail::Base64),
    ("fm2_", 90, Tail::Base64),
    ("fio-u-", 60, Tail::Base64),
    ("glcbt-", 20, Tail::Word),
    ("glffct-", 20, Tail::Word),
    ("glft-", 20, Tail::Word),
    ("glimt-", 20, Tail::Word),
    ("glagent-", 40, Tail::Word),
    ("gloas-", 60, Tail::Word),
    ("GR1348941", 20, Tail::Word),
    ("glsoat-", 20, Tail::Word),
    ("_gitlab_session=", 32, Tail::Word),
    ("pat.", 60, Tail::Dotted),
    ("sat.", 60, Tail::Dotted),
    ("atlasv1.", 60, Tail::Base64),
    ("HRKU-AA", 50, Tail::Word),
    ("api_org_", 30, Tail::Word),
    ("ico-", 32, Tail::Word),
    ("s-s4t2ud-", 60, Tail::Word),
    ("s-s4t2af-", 60, Tail::Word),
    ("xkeysib-", 60, Tail::Word),
    ("sntrys_", 60, Tail::Base64),
    ("sntryu_", 60, Tail::Word),
    ("sm_aat_", 16, Tail::Word),
    ("sm_pat_", 16, Tail::Word),
    ("sm_sat_", 16, Tail::Word),
    ("shippo_live_", 40, Tail::Word),
    ("shippo_test_", 40, Tail::Word),
    ("xoxe-", 20, Tail::Word),
    ("xoxe.xoxb-", 20, Tail::Word),
    ("xoxe.xoxp-", 20, Tail::Word),
    ("xoxo-", 10, Tail::Word),
    ("sgp_", 40, Tail::Word),
    ("sk_prod_", 10, Tail::Word),
    ("rk_prod_", 10, Tail::Word),
    ("SK", 32, Tail::Word),
    ("tk-us-", 40, Tail::Word),
    ("NRJS-", 19, Tail::Word),
    ("NRII-", 30, Tail::Word),
    ("NRAK-", 27, Tail::Word),
    ("pplx-", 40, Tail::Word),
    ("pnu_", 36, Tail::Word),
    ("pscale_tkn_", 32, Tail::Dotted),
    ("pscale_oauth_", 32, Tail::Dotted),
    ("pscale_pw_", 32, Tail::Dotted),
    ("pul-", 40, Tail::Word),
    ("rdme_", 60, Tail::Word),
    ("sha256~", 40, Tail::Word),
    ("API-", 26, Tail::Word),
    ("pk.", 60, Tail::Dotted),
    ("access-sandbox-", 30, Tail::Word),
    ("access-development-", 30, Tail::Word),
    ("access-production-", 30, Tail::Word),
    ("pubkey-", 32, Tail::Word),
    ("t1.", 80, Tail::Dotted),
    ("AQVN", 35, Tail::Word),
    ("YC", 38, Tail::Word),
    ("A3-", 30, Tail::Word),
    ("sl.", 100, Tail::Base64),
    ("hooks.slack.com/", 40, Tail::Base64),
    ("webhook.office.com/webhookb2/", 30, Tail::Base64),
    ("sc_", 60, Tail::Dotted),
    ("ext_", 60, Tail::Dotted),
    ("scauth_", 60, Tail::Dotted),
    ("authress_", 60, Tail::Dotted),
];

/// Names whose values are secrets, in lower case and without `_` and `-`.
const NAMES: [&str; 19] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "authkey",
    "privatekey",
    "signingkey",
    "encryptionkey",
    "accountkey",
    "sharedaccesskey",
    "clientsecret",
    "credential",
    "authorization",
    "connectionstring",
    "masterkey",
];

/// Names of services, in lower case and without `_`, `-` and dots: what is given to a name that holds one, and could be a key, is
/// one. Most of their keys have no prefix.
const SERVICES: [&str; 75] = [
    "adafruit",
    "adobe",
    "airtable",
    "algolia",
    "alibaba",
    "asana",
    "atlassian",
    "confluence",
    "jira",
    "beamer",
    "bitbucket",
    "bittrex",
    "meraki",
    "cloudflare",
    "codecov",
    "cohere",
    "coinbase",
    "confluent",
    "contentful",
    "datadog",
    "discord",
    "droneci",
    "dropbox",
    "etsy",
    "facebook",
    "fastly",
    "finicity",
    "finnhub",
    "flickr",
    "freshbooks",
    "gitter",
    "gocardless",
    "heroku",
    "hubspot",
    "intercom",
    "jfrog",
    "artifactory",
    "bintray",
    "xray",
    "kraken",
    "kucoin",
    "launchdarkly",
    "linearclient",
    "linkedin",
    "lobapi",
    "lobpub",
    "looker",
    "mailchimp",
    "mailgun",
    "mapbox",
    "mattermost",
    "messagebird",
    "netlify",
    "newrelic",
    "nytimes",
    "newyorktimes",
    "okta",
    "plaid",
    "privateai",
    "rapidapi",
    "sendbird",
    "sentry",
    "snyk",
    "sonar",
    "squarespace",
    "sumologic",
    "telegram",
    "travis",
    "twitch",
    "twitter",
    "typeform",
    "yandex",
    "zendesk",
    "contribsys",
    "freemius",
];
/// Ends of names whose values are secrets if they look random.
const WEAK_NAMES: [&str; 4] = ["key", "auth", "creds", "access"];

/// Values that are given to such names and are no secrets, in lower case.
const PLACEHOLDERS: [&str; 12] = [
    "changeme",
    "example",
    "placeholder",
    "your",
    "xxxx",
    "test",
    "dummy",
    "redacted",
    "secret]",
    "none",
    "null",
    "todo",
];

/// Bits a character from which a value given to a name of a secret is one.
const MIN_NAMED_ENTROPY: f64 = 2.5;
/// Bits a character from which a run of characters is no word and no name.
const MIN_BARE_ENTROPY: f64 = 4.0;
/// The same where it is of hexadecimal digits, which have four at the most.
const MIN_HEX_ENTROPY: f64 = 3.0;
/// The shortest value of a named secret, in characters.
const MIN_NAMED_CHARS: usize = 8;
/// The shortest run that is taken for a secret by its looks alone, in characters.
const MIN_BARE_CHARS: usize = 32;
/// Sums of entropies are rounded.
const ROUNDING: f64 = 1e-9;
/// What is looked at of a value, an address or the head of an armour, in bytes: whoever writes longer ones could have a text
/// looked through as often as it has letters.
const MAX_LOOK_BYTES: usize = 1_000;

/// Where the secrets of a text are, in order; they may touch.
pub(super) fn spans(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    found.extend(private_keys(text));
    found.extend(passwords_in_addresses(text));
    found.extend(named(text));
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

fn is_token_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-')
}

fn run(text: &str, is_part: impl Fn(char) -> bool) -> usize {
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
fn beginning(text: &str) -> &str {
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
fn is_plain(part: &[u8]) -> bool {
    let digits = part.iter().filter(|byte| byte.is_ascii_digit()).count();
    let turns = part.windows(2).filter(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase());
    digits * 6 <= part.len() && turns.count() * 4 <= part.len()
}

/// Bits a character (Shannon, over the characters of the text itself).
fn entropy(text: &str) -> f64 {
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

fn is_bare(letter: char) -> bool {
    !letter.is_whitespace() && !"\"'`,;)]}&".contains(letter)
}

/// Values that are given to names of secrets: `api_key = "…"`, `"token": "…"`, `PASSWORD=…`, `AccountKey=…;`, `("token", "…")`,
/// `token || "…"`.
fn named(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut until = 0;
    for (at, mark) in text.match_indices(['=', ':', ',', '|', '?']) {
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
            "|" | "?" if text[after..].starts_with(mark) => true,
            "|" | "?" => continue,
            _ => false,
        };
        let Some(strength) = names_a_secret(before) else { continue };
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
        let (open, body) = match value.chars().next() {
            Some(quote @ ('"' | '\'' | '`')) => {
                let body = &value[1..];
                let body = body.strip_prefix("Bearer ").or_else(|| body.strip_prefix("Basic ")).unwrap_or(body);
                let open = value.len() - body.len();
                (open, &body[..body.find([quote, '\n']).unwrap_or(body.len())])
            }
            _ => (0, &value[..run(beginning(value), is_bare)]),
        };
        let is_quoted = open > 0;
        // `"kind": "password", "name2": …`
        let is_next_name =
            mark == "," && value[open + body.len()..].trim_start_matches(['"', '\'', '`', ' ']).starts_with(':');
        let is_secret = match strength {
            _ if is_next_name => false,
            _ if is_weak && (!is_quoted || !body.bytes().any(|byte| byte.is_ascii_digit())) => false,
            Name::Secret => is_secret_value(body, is_quoted) && (is_quoted || !is_code(before, lead, value, body)),
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
    let rest = value[body.len()..].trim_start_matches([' ', '\t']);
    let is_alone = rest.is_empty() || rest.starts_with(['\n', '\r', '#']);
    let is_name = |letter: char| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_';
    let is_setting = is_alone && lead == 0 && before.ends_with(is_name);
    let is_part_of_path = |part: &str| {
        let pairs = part.as_bytes().windows(2);
        !part.starts_with(|letter: char| letter.is_ascii_digit())
            && !pairs.into_iter().any(|pair| pair[0].is_ascii_digit() && pair[1].is_ascii_alphabetic())
    };
    match () {
        () if is_setting => false,
        () if body.contains(['(', '[', '<']) => true,
        () if body.contains(['.', ':']) => !is_alone || body.split(['.', ':']).all(is_part_of_path),
        () => false,
    }
}

/// The text of an element that is named as a secret: `<password>…</password>`.
fn in_tags(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("</") {
        let start = text.floor_char_boundary(at.saturating_sub(MAX_LOOK_BYTES));
        let Some((tag, value)) = text[start..at].rsplit_once('>') else { continue };
        let Some((_, name)) = tag.rsplit_once('<') else { continue };
        let name = name.split_whitespace().next().unwrap_or_default();
        let is_random = value.bytes().any(|byte| byte.is_ascii_digit());
        if is_random && names_a_secret(name) == Some(Name::Secret) && is_secret_value(value, true) {
            found.push(at - value.len()..at);
        }
    }
    found
}

/// The value behind an option of a command that is named as a secret: `--password …`.
fn in_options(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (at, mark) in text.match_indices("--") {
        let rest = beginning(&text[at + mark.len()..]);
        let name = &rest[..run(rest, is_token_letter)];
        let gap = run(&rest[name.len()..], |letter| letter == ' ');
        let start = at + mark.len() + name.len() + gap;
        let value = beginning(&text[start..]);
        let value = &value[..run(value, is_bare)];
        let is_option = gap > 0 && !value.starts_with('-') && names_a_secret(name) == Some(Name::Secret);
        if is_option && is_secret_value(value, false) && !value.contains(['(', '[', '<']) {
            found.push(start..start + run(&text[start..], is_bare));
        }
    }
    found
}

/// What a name says of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    /// It is a secret.
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
    let line = line.trim_end_matches(|letter: char| " \t\"'`&>]".contains(letter));
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
        let cut = line.rfind([':', '(']).filter(|cut| *cut > 0)?;
        return names_a_secret(&line[..cut]);
    }
    // `<add key="Password" value="…" />`
    if name == "value" {
        let attribute = ["key=\"", "name=\""].iter().find_map(|mark| Some(line.rsplit_once(mark)?.1))?;
        return names_a_secret(attribute.split('"').next()?);
    }
    let ends_with =
        |known: &&str| name.ends_with(*known) || name.strip_suffix('s').is_some_and(|name| name.ends_with(*known));
    match () {
        () if NAMES.iter().any(&ends_with) => Some(Name::Secret),
        () if SERVICES.iter().any(|service| name.contains(service)) => Some(Name::Service),
        () if WEAK_NAMES.iter().any(ends_with) => Some(Name::Weak),
        () => None,
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
fn curl_users(text: &str) -> Vec<Range<usize>> {
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
fn is_variable(value: &str) -> bool {
    let is_escape =
        value.strip_prefix('%').is_some_and(|rest| rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()));
    value.starts_with(['$', '{', '<', '%']) && !is_escape
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || matches!(byte, b'_' | b'-' | b'.' | b'/')
}
