//! Planted: secrets of many kinds in many disguises, for tests here and of what is sent to a model.

/// Tokens as services make them, and other secrets, each in a line of code.
pub(crate) fn planted() -> Vec<(&'static str, String)> {
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
pub(crate) fn disguises(secret: &str, base64: &dyn Fn(&[u8]) -> String) -> Vec<(&'static str, String)> {
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
