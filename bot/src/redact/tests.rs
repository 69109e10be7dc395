//! Secrets of many kinds, in many disguises; and code that looks like one.

use super::*;

#[test]
fn tokens_and_private_keys_are_replaced() {
    let check = |text: &str, expected: &str, count: usize| {
        assert_eq!(redacted(text), (expected.to_owned(), count));
    };
    check("key = \"AKIAIOSFODNN7EXAMPLE\"", "key = \"[secret]\"", 1);
    check("a ghp_0123456789abcdefghij b", "a [secret] b", 1);
    check("task-0123456789abcdefghijklmnop", "task-0123456789abcdefghijklmnop", 0);
    check("x\n-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\ny", "x\n[secret]\n\n\ny", 1);
    check("-----BEGIN PRIVATE KEY-----\nabc", "[secret]\n", 1);
    check("-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE-----", 0);
    check("postgres://app:hunter2hunter2@db/x", "postgres://app:[secret]@db/x", 1);
    check("\"AKIA\" + \"IOSFODNN7EXAMPLE\"", "\"[secret]\"", 1);
}

#[test]
fn code_is_left_alone() {
    for text in [
        "let token = self.tokens.next().expect(\"a token\");",
        "password: String,",
        "fn a_very_long_function_name_that_says_what_it_checks_for_version_2() {}",
        "const SECRET_NAMES: [&str; 3] = [\"a\", \"b\", \"c\"];",
        "commit 3f786850e387550fdab836ed7e6dc881de23001b",
        "use crate::syntax::languages::JavaScriptTypeScriptAndTsx;",
        "https://example.org/a/b?c=d#e",
        "git@github.com:owner/name.git",
        "password = os.environ[\"DATABASE_PASSWORD\"]",
        "token_count: usize = 12345678",
        "src/components/very/long/path/to/some/file/in/the/tree/index.ts",
        "if key == other_key_of_the_same_kind_of_thing { }",
    ] {
        assert_eq!(redacted(text), (text.to_owned(), 0));
    }
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
        assert_eq!(base64_bytes(text).as_deref(), Some(plain.as_bytes()));
    }
    let all: Vec<u8> = (0..=255).collect();
    assert_eq!(base64_bytes(&base64(&all)), Some(all));
    for other in ["Zm9v!", "=Zg=", "Zm=v", "Zm 9v"] {
        assert_eq!(base64_bytes(other), None, "{other}");
    }
}

/// Tokens as services make them, and other secrets, each in a line of code.
fn planted() -> Vec<(&'static str, String)> {
    let body = |length: usize| -> String {
        const LETTERS: &[u8] = b"q7Zt2KfXw9Lp4RvB8sNc1HdYg6JmT3aUe5";
        (0..length).map(|at| char::from(LETTERS[(at * 7 + length) % LETTERS.len()])).collect()
    };
    let upper = |length: usize| body(length).to_ascii_uppercase();
    let hex = |length: usize| -> String {
        let digit = |at: usize| char::from(b"3f9a1c7e05b8d264"[(at * at * 3 + at * 7 + 5) / 4 % 16]);
        (0..length).map(digit).collect()
    };
    vec![
        ("let id = \"{}\";", format!("AKIA{}", upper(16))),
        ("let id = \"{}\";", format!("ASIA{}", upper(16))),
        ("# {}", format!("ghp_{}", body(36))),
        ("# {}", format!("github_pat_{}", body(60))),
        ("const X: &str = \"{}\";", format!("ghs_{}", body(36))),
        ("curl -H 'PRIVATE-TOKEN: {}'", format!("glpat-{}", body(20))),
        ("openai.api_key = '{}'", format!("sk-{}", body(48))),
        ("stripe('{}')", format!("sk_live_{}", body(24))),
        ("hook = '{}'", format!("whsec_{}", body(32))),
        ("slack(\"{}\")", format!("xoxb-{}-{}", "123456789012", body(24))),
        ("maps.load(\"{}\")", format!("AIza{}", body(35))),
        ("//registry/:_authToken={}", format!("npm_{}", body(36))),
        ("password: {}", format!("pypi-{}", body(60))),
        ("login(\"{}\")", format!("hf_{}", body(34))),
        ("docker login -p {}", format!("dckr_pat_{}", body(27))),
        ("token = \"{}\"", format!("dop_v1_{}", hex(64))),
        ("mail.key('{}')", format!("SG.{}.{}", body(22), body(43))),
        ("shop = \"{}\"", format!("shpat_{}", hex(32))),
        ("vault login {}", format!("hvs.{}", body(40))),
        ("grafana: {}", format!("glsa_{}", body(32))),
        ("auth = \"{}\"", format!("eyJhbGciOiJIUzI1NiJ9.{}.{}", body(40), body(43))),
        ("db_password = \"{}\"", body(20)),
        ("API_KEY={}", hex(32)),
        ("\"client_secret\": \"{}\",", body(40)),
        ("url = \"postgres://app:{}@db.internal/main\"", body(24)),
        ("AccountKey={};EndpointSuffix=core", format!("{}==", body(86))),
    ]
}

/// A secret as people write it down, and as people hide it.
fn disguises(secret: &str) -> Vec<(&'static str, String)> {
    let each = |make: &dyn Fn(u8) -> String| -> String { secret.bytes().map(make).collect() };
    let (left, right) = secret.split_at(secret.len() / 2);
    let mut zero_width = secret.to_owned();
    zero_width.insert(7, '\u{200b}');
    vec![
        ("plain", secret.to_owned()),
        ("base64", base64(secret.as_bytes())),
        ("base64 with a name before it", base64(format!("user:{secret}").as_bytes())),
        ("base64 twice", base64(base64(secret.as_bytes()).as_bytes())),
        ("hexadecimal", each(&|byte| format!("{byte:02x}"))),
        ("percent", each(&|byte| format!("%{byte:02X}"))),
        ("\\x", each(&|byte| format!("\\x{byte:02x}"))),
        ("\\u", each(&|byte| format!("\\u{byte:04x}"))),
        ("two pieces", format!("{left}\" + \"{right}")),
        ("two lines", format!("{left}\"\n    \"{right}")),
        ("a letter without width", zero_width),
    ]
}

#[test]
fn no_planted_secret_is_left_in_any_disguise() {
    let mut count = 0;
    let mut left = Vec::new();
    for (line, secret) in planted() {
        for (disguise, text) in disguises(&secret) {
            let source = format!("fn main() {{\n    {}\n}}\n", line.replace("{}", &text));
            let (out, found) = redacted(&source);
            count += 1;
            if found == 0 || gives_away(&out, &secret) || out.contains(&text) {
                left.push(format!("{disguise}: {source:?} -> {out:?}"));
            }
            assert_eq!(out.lines().count(), source.lines().count(), "{source:?}");
        }
    }
    assert!(count >= 200, "{count}");
    assert_eq!(left, Vec::<String>::new(), "{} of {count}", left.len());
}
