//! Secrets of many kinds, in many disguises; and code that looks like one.

use super::planted::{assignments, disguises, kinds, planted, short_passwords};
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
        "cache_key = \"users_by_region_and_day\"",
        "let linear = layer(512, 2048);",
        "twitter_url = \"https://example.org/precedent\"",
        "pub access: BTreeMap<String, AccessMode2>,",
        "key: value_of_the_first_entry",
        "curl -u \"$USER:$PASSWORD\" https://example.org",
        "kind: ConfigMap\ndata:\n  region: eu-central-1\n",
        "sc_config.load(path).unwrap()",
        "token: oauth2.Token",
        "self.token = sha256.hexdigest",
        "connect(token=oauth2.token2)",
        "password: x509::Secret,",
        "password = \"\"",
        "let password = \"<password>\";",
        "placeholder=\"password\" type=\"password\"",
        "\"password\": \"string\"",
        "\"password\": \"Your password\",",
        "password: \"must have 8 characters\",",
        "hash_password(\"letmein\")",
        "read_password(\"Word: \")",
        "let words = password(first, \"second\");",
        "password_hint = \"letmein\"",
        "password = os.getenv(\"DB_PASSWORD\", \"\")",
        "password = getpass(\"Password: \")",
        "password = \"${DB_PASSWORD}\"",
        "password: \"{{ vault_password }}\"",
        "password = f\"{user}:{word}\"",
        "password_file = \"/run/pw\"",
        "password: \"/run/secrets/db\"",
        "password: \"********\"",
        "PASSWORD_FIELD = \"password\"",
        "fetch(url, { credentials: \"include\" })",
        "cargo-credential = \"0.4\"",
        "Kind::Secret => \"exp master\",",
        "Secret => b\"derived\",",
        "password: &str, other: u64",
        "password: str = None",
        "password: string;",
        "password = input2()",
        "DB_PASSWORD=$DB_PASSWORD",
        "export DB_PASSWORD=changeme",
        "SOURCE[tls13secretstest]=tls13secretstest.c",
        "secrets: inherit",
        "password: ${{ secrets.REGISTRY_PASSWORD }}",
        "[\"token\", \"clientSecret\", \"accessToken\"]",
        "(\"password\", \"username\", \"region2\")",
        "{\"kind\": \"password\", \"field_name2\": 1}",
        "Usage: x --token TOKEN --password <PASSWORD1>",
        "<token>identifier</token>",
        "let password =\n    read_password(stdin2);",
        "if is_token || is_number2 { }",
        "const TABLE: [u8; 18] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18];",
        "[72, 101, 108, 108, 111, 44, 32, 119, 111, 114, 108, 100, 33, 32, 72, 101, 121]",
        "println!(\"a\\nname_of_a_thing_that_is_long: {}\\n\", b)",
        "build-and-publish-to-pypi-when-a-tag-is-pushed-to-the-main-branch",
    ] {
        assert_eq!(redacted(text), (text.to_owned(), 0));
    }
}

/// Each of these had its rest looked through again at each of its words, which is minutes for a text of this length.
#[test]
fn a_long_line_is_looked_through_once() {
    const BYTES: usize = 1 << 18;
    for part in [
        "ab/",
        "a1B+",
        "a=",
        "eyJ.",
        "SG.",
        "glc_/",
        "://",
        "a://b:",
        "password=",
        "token=1a",
        "-----BEGIN ",
        "a\"+\"",
        "\\u{",
        "\\u{1",
        "&#",
        "&#1",
        "npm_",
        "x-npm_",
        "1,",
        "1, ",
        "0x1,\n",
        "1 ",
        "</",
        "<token>1",
        "--token ",
        "\"token\",",
        "token:\n",
        "token||",
    ] {
        let text = part.repeat(BYTES / part.len());
        let (out, _) = redacted(&text);
        assert!(!out.is_empty(), "{part}");
    }
}

#[test]
fn a_secret_behind_a_path_is_seen() {
    let check = |text: &str, kept: &str| {
        let (out, count) = redacted(text);
        assert!(out.starts_with(kept) && out.ends_with("[secret]") && count == 1, "{out}");
    };
    let secret = "q7Zt2KfXw9Lp4RvB8sNc1HdYg6JmT3aUe5qW";
    check(
        &format!("get https://example.org/some/long/path/with/many/words/in/front/of/it/and/more/after/that/{secret}"),
        "get https://example.org/some/",
    );
    check(&format!("curl -H {secret}"), "curl -H ");
    check(&format!("a/b/{}", "0123456789abcdef".repeat(2)), "");
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

#[test]
fn no_planted_secret_is_left_in_any_disguise() {
    let mut count = 0;
    let mut left = Vec::new();
    for (line, secret) in planted() {
        for (disguise, text) in disguises(&secret, &base64) {
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

#[test]
fn no_value_of_a_secrets_name_is_left() {
    for (line, secret) in assignments().into_iter().chain(short_passwords()) {
        let source = format!("fn main() {{}}\n{}\nfn after() {{}}\n", line.replace("{}", secret));
        let (out, found) = redacted(&source);
        assert!(found > 0 && !out.contains(secret), "{source} -> {out}");
        assert!(out.starts_with("fn main() {}\n") && out.ends_with("\nfn after() {}\n"), "{out}");
        assert_eq!(out.lines().count(), source.lines().count(), "{out}");
    }
}

/// Each kind in each disguise; those that only the name of a service tells, where that name is in the same line.
#[test]
fn no_kind_of_secret_is_left_in_any_disguise() {
    let (mut count, mut left) = (0, Vec::new());
    for (kind, line, secret) in kinds() {
        for (disguise, text) in disguises(&secret, &base64) {
            let source = format!("fn main() {{}}\n{}\nfn after() {{}}\n", line.replace("{}", &text));
            let (out, found) = redacted(&source);
            count += 1;
            if found == 0 || gives_away(&out, &secret) || out.contains(&text) {
                left.push(format!("{kind}, {disguise}: {source:?} -> {out:?}"));
            }
        }
    }
    assert!(count >= 2_200, "{count}");
    assert_eq!(left, Vec::<String>::new(), "{} of {count}", left.len());
}

#[test]
fn no_kind_of_secret_that_gitleaks_knows_is_left() {
    let kinds = kinds();
    assert!(kinds.len() >= 200, "{}", kinds.len());
    let mut left = Vec::new();
    for (kind, line, secret) in &kinds {
        let source =
            format!("fn main() {{\n    let before = 1;\n}}\n{}\nfn after() {{}}\n", line.replace("{}", secret));
        let (out, found) = redacted(&source);
        // Nor is a part of it that is longer than what surrounds it by chance.
        let parts = secret.split(['.', '|', ':']).filter(|part| part.len() >= 12 && !part.starts_with("eyJhbGci"));
        let is_left = parts.into_iter().any(|part| out.contains(part) && !line.contains(part));
        if found == 0 || out.contains(secret.as_str()) || gives_away(&out, secret) || is_left {
            left.push(format!("{kind}: {line} {secret} -> {out:?}"));
        }
        assert!(out.contains("fn after() {}") && out.contains("let before = 1;"), "{kind}: {out}");
    }
    assert_eq!(left, Vec::<String>::new(), "{} of {}", left.len(), kinds.len());
}
