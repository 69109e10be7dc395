//! Planted: secrets of many kinds in many disguises, for tests here and of what is sent to a model.

/// Tokens as services make them, and other secrets, each in a line of code.
pub(crate) fn planted() -> Vec<(&'static str, String)> {
    let body = |length: usize| letters(length, 'm');
    let upper = |length: usize| letters(length, 'u');
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

/// Kinds of secrets with a prefix, named as gitleaks' rules are: prefix, how much follows, and of which letters.
const WITH_PREFIX: [(&str, &str, usize, char); 114] = [
    ("1password-service-account-token", "ops_eyJ", 250, 'm'),
    ("adobe-client-secret", "p8e-", 32, 'l'),
    ("age-secret-key", "AGE-SECRET-KEY-1", 58, 'u'),
    ("alibaba-access-key-id", "LTAI", 20, 'l'),
    ("anthropic-admin-api-key", "sk-ant-admin01-", 93, 'm'),
    ("anthropic-api-key", "sk-ant-api03-", 93, 'm'),
    ("artifactory-api-key", "AKCp", 69, 'm'),
    ("artifactory-reference-token", "cmVmd", 59, 'm'),
    ("aws-access-token", "AKIA", 16, 'u'),
    ("aws-amazon-bedrock-api-key-long-lived", "ABSK", 109, 'm'),
    ("aws-amazon-bedrock-api-key-short-lived", "bedrock-api-key-", 32, 'm'),
    ("clickhouse-cloud-api-secret-key", "4b1d", 38, 'm'),
    ("clojars-api-token", "CLOJARS_", 60, 'l'),
    ("databricks-api-token", "dapi", 32, 'h'),
    ("digitalocean-access-token", "doo_v1_", 64, 'h'),
    ("digitalocean-pat", "dop_v1_", 64, 'h'),
    ("digitalocean-refresh-token", "dor_v1_", 64, 'h'),
    ("doppler-api-token", "dp.pt.", 43, 'l'),
    ("duffel-api-token", "duffel_live_", 43, 'l'),
    ("easypost-api-token", "EZAK", 54, 'l'),
    ("easypost-test-api-token", "EZTK", 54, 'l'),
    ("facebook-page-access-token", "EAAM", 100, 'l'),
    ("flutterwave-encryption-key", "FLWSECK_TEST-", 12, 'h'),
    ("flutterwave-public-key", "FLWPUBK_TEST-", 32, 'h'),
    ("flutterwave-secret-key", "FLWSECK_TEST-", 34, 'h'),
    ("flyio-access-token", "fo1_", 43, 'm'),
    ("frameio-api-token", "fio-u-", 64, 'l'),
    ("gcp-api-key", "AIza", 35, 'm'),
    ("github-app-token", "ghu_", 36, 'm'),
    ("github-fine-grained-pat", "github_pat_", 82, 'm'),
    ("github-oauth", "gho_", 36, 'm'),
    ("github-pat", "ghp_", 36, 'm'),
    ("github-refresh-token", "ghr_", 36, 'm'),
    ("gitlab-cicd-job-token", "glcbt-", 24, 'm'),
    ("gitlab-deploy-token", "gldt-", 20, 'm'),
    ("gitlab-feature-flag-client-token", "glffct-", 20, 'm'),
    ("gitlab-feed-token", "glft-", 20, 'm'),
    ("gitlab-incoming-mail-token", "glimt-", 25, 'm'),
    ("gitlab-kubernetes-agent-token", "glagent-", 50, 'm'),
    ("gitlab-oauth-app-secret", "gloas-", 64, 'm'),
    ("gitlab-pat", "glpat-", 20, 'm'),
    ("gitlab-pat-routable", "glpat-", 40, 'm'),
    ("gitlab-ptt", "glptt-", 40, 'h'),
    ("gitlab-rrt", "GR1348941", 20, 'm'),
    ("gitlab-runner-authentication-token", "glrt-", 20, 'm'),
    ("gitlab-runner-authentication-token-routable", "glrt-t1_", 37, 'm'),
    ("gitlab-scim-token", "glsoat-", 20, 'm'),
    ("gitlab-session-cookie", "_gitlab_session=", 32, 'l'),
    ("grafana-api-key", "eyJrIjoi", 70, 'm'),
    ("grafana-cloud-api-token", "glc_", 40, 'm'),
    ("grafana-service-account-token", "glsa_", 41, 'm'),
    ("heroku-api-key-v2", "HRKU-AA", 58, 'm'),
    ("huggingface-access-token", "hf_", 34, 'l'),
    ("huggingface-organization-api-token", "api_org_", 34, 'l'),
    ("infracost-api-token", "ico-", 32, 'm'),
    ("intra42-client-secret", "s-s4t2ud-", 64, 'h'),
    ("linear-api-key", "lin_api_", 40, 'l'),
    ("notion-api-token", "ntn_", 46, 'm'),
    ("npm-access-token", "npm_", 36, 'l'),
    ("octopus-deploy-api-key", "API-", 26, 'u'),
    ("openai-api-key", "sk-proj-", 120, 'm'),
    ("openshift-user-token", "sha256~", 43, 'm'),
    ("perplexity-api-key", "pplx-", 48, 'm'),
    ("planetscale-api-token", "pscale_tkn_", 43, 'm'),
    ("planetscale-oauth-token", "pscale_oauth_", 43, 'm'),
    ("planetscale-password", "pscale_pw_", 43, 'm'),
    ("postman-api-token", "PMAK-", 59, 'h'),
    ("prefect-api-token", "pnu_", 36, 'm'),
    ("pulumi-api-token", "pul-", 40, 'h'),
    ("pypi-upload-token", "pypi-AgEIcHlwaS5vcmc", 60, 'm'),
    ("readme-api-token", "rdme_", 70, 'l'),
    ("rubygems-api-token", "rubygems_", 48, 'h'),
    ("scalingo-api-token", "tk-us-", 48, 'm'),
    ("sendgrid-api-token", "SG.", 66, 'l'),
    ("sendinblue-api-token", "xkeysib-", 81, 'h'),
    ("sentry-org-token", "sntrys_eyJpYXQiO", 90, 'm'),
    ("sentry-user-token", "sntryu_", 64, 'h'),
    ("settlemint-application-access-token", "sm_aat_", 16, 'm'),
    ("settlemint-personal-access-token", "sm_pat_", 16, 'm'),
    ("settlemint-service-access-token", "sm_sat_", 16, 'm'),
    ("shippo-api-token", "shippo_live_", 40, 'h'),
    ("shopify-access-token", "shpat_", 32, 'h'),
    ("shopify-custom-access-token", "shpca_", 32, 'h'),
    ("shopify-private-app-access-token", "shppa_", 32, 'h'),
    ("shopify-shared-secret", "shpss_", 32, 'h'),
    ("slack-app-token", "xapp-1-A0123-", 40, 'l'),
    ("slack-bot-token", "xoxb-123456789012-1234567890123-", 24, 'm'),
    ("slack-config-access-token", "xoxe.xoxb-1-", 163, 'u'),
    ("slack-config-refresh-token", "xoxe-1-", 146, 'u'),
    ("slack-legacy-bot-token", "xoxb-123456789012-", 24, 'm'),
    ("slack-legacy-token", "xoxo-12345-12345-12345-", 32, 'h'),
    ("slack-legacy-workspace-token", "xoxa-2-", 40, 'm'),
    ("slack-user-token", "xoxp-1234567890-1234567890-1234567890-", 32, 'm'),
    ("sourcegraph-access-token", "sgp_local_", 40, 'h'),
    ("square-access-token", "EAAA", 60, 'm'),
    ("stripe-access-token", "sk_live_", 40, 'm'),
    ("twilio-api-key", "SK", 32, 'h'),
    ("vault-batch-token", "hvb.", 138, 'm'),
    ("vault-service-token", "hvs.", 95, 'm'),
    ("yandex-api-key", "AQVN", 37, 'm'),
    ("yandex-aws-access-token", "YC", 38, 'm'),
    ("mapbox-api-token", "pk.", 83, 'l'),
    ("mailgun-private-api-token", "key-", 32, 'h'),
    ("mailgun-pub-key", "pubkey-", 32, 'h'),
    ("new-relic-browser-api-token", "NRJS-", 19, 'h'),
    ("new-relic-insert-key", "NRII-", 32, 'l'),
    ("new-relic-user-api-key", "NRAK-", 27, 'l'),
    ("plaid-api-token", "access-sandbox-", 36, 'h'),
    ("typeform-api-token", "tfp_", 59, 'l'),
    ("defined-networking-api-token", "dnkey-", 79, 'l'),
    ("dropbox-short-lived-api-token", "sl.", 135, 'l'),
    ("yandex-access-token", "t1.", 98, 'm'),
    ("slack-webhook-url", "hooks.slack.com/services/", 44, 'm'),
    ("cloudflare-origin-ca-key", "v1.0-", 171, 'h'),
];

/// Kinds that are told by the name of a service: that name, how long they are, and of which letters.
const WITH_SERVICE: [(&str, &str, usize, char); 86] = [
    ("adafruit-api-key", "adafruit", 32, 'l'),
    ("adobe-client-id", "adobe", 32, 'h'),
    ("airtable-api-key", "airtable", 17, 'l'),
    ("algolia-api-key", "algolia", 32, 'l'),
    ("alibaba-secret-key", "alibaba", 30, 'l'),
    ("asana-client-id", "asana", 16, 'd'),
    ("asana-client-secret", "asana", 32, 'l'),
    ("atlassian-api-token", "atlassian", 24, 'm'),
    ("beamer-api-token", "beamer", 46, 'l'),
    ("bitbucket-client-id", "bitbucket", 32, 'l'),
    ("bitbucket-client-secret", "bitbucket", 64, 'l'),
    ("bittrex-access-key", "bittrex", 32, 'l'),
    ("bittrex-secret-key", "bittrex", 32, 'l'),
    ("cisco-meraki-api-key", "meraki", 40, 'h'),
    ("cloudflare-api-key", "cloudflare", 40, 'l'),
    ("cloudflare-global-api-key", "cloudflare", 37, 'h'),
    ("codecov-access-token", "codecov", 32, 'l'),
    ("cohere-api-token", "cohere", 40, 'm'),
    ("coinbase-access-token", "coinbase", 64, 'l'),
    ("confluent-access-token", "confluent", 16, 'l'),
    ("confluent-secret-key", "confluent", 64, 'l'),
    ("contentful-delivery-api-token", "contentful", 43, 'l'),
    ("datadog-access-token", "datadog", 40, 'l'),
    ("discord-api-token", "discord", 64, 'h'),
    ("discord-client-id", "discord", 18, 'd'),
    ("discord-client-secret", "discord", 32, 'l'),
    ("droneci-access-token", "droneci", 32, 'l'),
    ("dropbox-api-token", "dropbox", 15, 'l'),
    ("dropbox-long-lived-api-token", "dropbox", 64, 'l'),
    ("etsy-access-token", "etsy", 24, 'l'),
    ("facebook-secret", "facebook", 32, 'h'),
    ("fastly-api-token", "fastly", 32, 'l'),
    ("finicity-api-token", "finicity", 32, 'h'),
    ("finicity-client-secret", "finicity", 20, 'l'),
    ("finnhub-access-token", "finnhub", 20, 'l'),
    ("flickr-access-token", "flickr", 32, 'l'),
    ("freshbooks-access-token", "freshbooks", 64, 'l'),
    ("gitter-access-token", "gitter", 40, 'l'),
    ("gocardless-api-token", "gocardless", 45, 'l'),
    ("heroku-api-key", "heroku", 36, 'h'),
    ("hubspot-api-key", "hubspot", 36, 'h'),
    ("intercom-api-key", "intercom", 60, 'l'),
    ("jfrog-api-key", "jfrog", 73, 'l'),
    ("jfrog-identity-token", "artifactory", 64, 'l'),
    ("kraken-access-token", "kraken", 84, 'l'),
    ("kucoin-access-token", "kucoin", 24, 'h'),
    ("kucoin-secret-key", "kucoin", 36, 'h'),
    ("launchdarkly-access-token", "launchdarkly", 40, 'l'),
    ("linear-client-secret", "linear_client", 32, 'h'),
    ("linkedin-client-id", "linkedin", 14, 'l'),
    ("linkedin-client-secret", "linked_in", 16, 'l'),
    ("lob-api-key", "lob_api", 40, 'h'),
    ("lob-pub-api-key", "lob_pub", 40, 'h'),
    ("looker-client-id", "looker", 20, 'l'),
    ("looker-client-secret", "looker", 24, 'l'),
    ("mailchimp-api-key", "mailchimp", 37, 'h'),
    ("mailgun-signing-key", "mailgun", 50, 'h'),
    ("mattermost-access-token", "mattermost", 26, 'l'),
    ("messagebird-api-token", "message_bird", 25, 'l'),
    ("messagebird-client-id", "messagebird", 36, 'h'),
    ("netlify-access-token", "netlify", 43, 'l'),
    ("new-relic-user-api-id", "new_relic", 64, 'l'),
    ("nytimes-access-token", "nytimes", 32, 'l'),
    ("okta-access-token", "okta", 42, 'm'),
    ("plaid-client-id", "plaid", 24, 'l'),
    ("plaid-secret-key", "plaid", 30, 'l'),
    ("privateai-api-token", "private_ai", 32, 'l'),
    ("rapidapi-access-token", "rapidapi", 50, 'l'),
    ("sendbird-access-id", "sendbird", 36, 'h'),
    ("sendbird-access-token", "sendbird", 40, 'h'),
    ("sentry-access-token", "sentry", 64, 'h'),
    ("snyk-api-token", "snyk", 36, 'h'),
    ("sonar-api-token", "sonar", 40, 'l'),
    ("squarespace-access-token", "squarespace", 36, 'h'),
    ("sumologic-access-id", "sumologic", 14, 'm'),
    ("sumologic-access-token", "sumologic", 64, 'l'),
    ("telegram-bot-api-token", "telegram", 45, 'm'),
    ("travisci-access-token", "travis", 22, 'l'),
    ("twitch-api-token", "twitch", 30, 'l'),
    ("twitter-access-secret", "twitter", 45, 'l'),
    ("twitter-access-token", "twitter", 50, 'm'),
    ("twitter-api-key", "twitter", 25, 'l'),
    ("twitter-api-secret", "twitter", 50, 'l'),
    ("twitter-bearer-token", "twitter", 90, 'm'),
    ("zendesk-secret-key", "zendesk", 40, 'l'),
    ("freemius-secret-key", "freemius", 32, 'm'),
];

/// A secret of each of gitleaks' kinds in a line of code, made by rule. The one that is told by the name of a file
/// (`pkcs12-file`) is missing, since such files are not text.
pub(crate) fn kinds() -> Vec<(&'static str, String, String)> {
    let upper = |length: usize| letters(length, 'u');
    let mut all: Vec<(&str, String, String)> = Vec::new();
    for (kind, prefix, length, which) in WITH_PREFIX {
        all.push((kind, "let k = \"{}\";".to_owned(), format!("{prefix}{}", letters(length, which))));
    }
    for (at, (kind, service, length, which)) in WITH_SERVICE.into_iter().enumerate() {
        let line = match at % 4 {
            0 => format!("{service}_key = \"{{}}\""),
            1 => format!("\"{service}.id\": \"{{}}\","),
            2 => format!("export {}_TOKEN={{}}", service.to_uppercase()),
            _ => format!("const {service}: &str = \"{{}}\";"),
        };
        all.push((kind, line, letters(length, which)));
    }
    let more: [(&str, &str, String); 21] = [
        (
            "1password-secret-key",
            "let k = \"{}\";",
            format!("A3-{}-{}-{}-{}-{}", upper(6), upper(11), upper(5), upper(5), upper(5)),
        ),
        ("airtable-personnal-access-token", "let k = \"{}\";", format!("pat{}.{}", letters(14, 'm'), letters(64, 'h'))),
        (
            "authress-service-client-access-key",
            "let k = \"{}\";",
            format!("sc_{}.{}.acc_{}.{}", letters(20, 'l'), letters(5, 'l'), letters(20, 'l'), letters(60, 'm')),
        ),
        ("azure-ad-client-secret", "let k = \"{}\";", format!("Ab38Q~{}", letters(34, 'm'))),
        ("curl-auth-header", "curl -H \"Authorization: Bearer {}\" x", letters(30, 'm')),
        ("curl-auth-user", "curl -u admin:{} https://example.org", letters(16, 'm')),
        ("dynatrace-api-token", "let k = \"{}\";", format!("dt0c01.{}.{}", upper(24), upper(64))),
        ("facebook-access-token", "facebook_token = \"{}\"", format!("{}|{}", letters(15, 'd'), letters(27, 'l'))),
        ("generic-api-key", "signing_key = \"{}\"", letters(40, 'm')),
        (
            "harness-api-key",
            "let k = \"{}\";",
            format!("pat.{}.{}.{}", letters(22, 'm'), letters(24, 'm'), letters(20, 'm')),
        ),
        ("hashicorp-tf-api-token", "let k = \"{}\";", format!("{}.atlasv1.{}", letters(14, 'm'), letters(65, 'm'))),
        ("hashicorp-tf-password", "administrator_login_password = \"{}\"", letters(18, 'm')),
        ("jwt", "let k = \"{}\";", format!("eyJhbGciOiJIUzI1NiJ9.eyJ{}.{}", letters(40, 'm'), letters(43, 'm'))),
        ("jwt-base64", "let k = \"{}\";", format!("ZXlKaGJHY2lPaUpJVXpJMU5pSjku{}", letters(60, 'm'))),
        ("kubernetes-secret-yaml", "kind: Secret\ndata:\n  first: {}\n", letters(24, 'm')),
        ("maxmind-license-key", "let k = \"{}\";", format!("{}_{}_mmk", letters(6, 'm'), letters(29, 'm'))),
        (
            "microsoft-teams-webhook",
            "let k = \"https://a.{}\";",
            format!("webhook.office.com/webhookb2/{}", letters(36, 'h')),
        ),
        ("nuget-config-password", "<add key=\"ClearTextPassword\" value=\"{}\" />", letters(16, 'm')),
        ("sidekiq-secret", "BUNDLE_GEMS__CONTRIBSYS__COM={}", format!("{}:{}", letters(8, 'h'), letters(8, 'h'))),
        ("sidekiq-sensitive-url", "https://a:{}@gems.contribsys.com/", letters(8, 'h')),
        ("private-key", "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----", letters(64, 'm')),
    ];
    all.extend(more.into_iter().map(|(kind, line, secret)| (kind, line.to_owned(), secret)));
    all
}

/// Passwords of people, each in one of the ways in which values are given to names.
pub(crate) fn assignments() -> Vec<(&'static str, &'static str)> {
    vec![
        ("DB_PASSWORD={}", "Tr0ub4dor.and.3x"),
        ("export DB_PASSWORD={}", "Tr0ub4dor:and<3x"),
        ("DB_PASSWORD={} # the old one", "troubador.and33"),
        ("password: {}", "p4ss:word99"),
        ("  - token: {}", "tok.4ab.99xyz"),
        ("<password>{}</password>", "hunt3r2hunter2"),
        ("<db:Password kind=\"plain\">{}</db:Password>", "hunt3r2:hunter.2"),
        ("setenv(\"API_TOKEN\", \"{}\")", "k3y-of-the-house"),
        ("headers.set('Authorization', 'Bearer {}')", "k3yofthehouse"),
        ("    (\"password\", \"{}\"),", "k3y.of.the.house"),
        ("const token = process.env.TOKEN || \"{}\";", "k3yofthehouse"),
        ("token = given_token ?? '{}'", "k3yofthehouse"),
        ("mysqladmin --password {} status", "hunt3r2hunter2"),
        ("run(&[\"--api-token\", \"{}\"])", "k3yofthehouse"),
        ("let password =\n    \"{}\";", "k3yofthehouse"),
        ("\"secret\":\n  \"{}\"", "k3yofthehouse"),
        ("print(\"x:\\n{}\")", "AKIAIOSFODNN7EXAMPLE"),
        ("print(\"x:\\t{}\")", "0f1e2d3c4b5a69788796a5b4c3d2e1f0"),
        ("path/x-{}", "AKIAIOSFODNN7EXAMPLE"),
        ("old_{}", "ghp_0123456789abcdefghijABCDEFGHIJ012345"),
        ("let id = \"{}\";", "A3T5IOSFODNN7EXAMPLE"),
        ("let key = [{}];", "65, 75, 73, 65, 73, 79, 83, 70, 79, 68, 78, 78, 55, 69, 88, 65, 77, 80, 76, 69"),
        (
            "let key: [u8; 20] = [\n    {}\n];",
            "0x41, 0x4b, 0x49, 0x41, 0x49, 0x4f, 0x53, 0x46, 0x4f, 0x44, 0x4e, 0x4e, 0x37, 0x45, 0x58, 0x41, 0x4d, 0x50, 0x4c, 0x45",
        ),
    ]
}

/// Letters that look random: mixed, of one case, digits, or hexadecimal digits.
fn letters(length: usize, which: char) -> String {
    const MIXED: &[u8] = b"q7Zt2KfXw9Lp4RvB8sNc1HdYg6JmT3aUe5";
    let mixed = |at: usize| char::from(MIXED[(at * 7 + length) % MIXED.len()]);
    (0..length)
        .map(|at| match which {
            'd' => char::from(b"8305172946"[(at * 3 + length) % 10]),
            'h' => char::from(b"3f9a1c7e05b8d264"[(at * at * 3 + at * 7 + length) / 4 % 16]),
            'l' => mixed(at).to_ascii_lowercase(),
            'u' => mixed(at).to_ascii_uppercase(),
            _ => mixed(at),
        })
        .collect()
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
        ("base64 on two lines", {
            let text = base64(secret.as_bytes());
            let (left, right) = text.split_at(text.len() / 2);
            format!("{left}\"\n    \"{right}")
        }),
        ("upper hexadecimal", each(&|byte| format!("{byte:02X}"))),
        ("octal", each(&|byte| format!("\\{byte:03o}"))),
        ("\\u{}", each(&|byte| format!("\\u{{{byte:x}}}"))),
        ("references", each(&|byte| format!("&#{byte};"))),
        ("hexadecimal references", each(&|byte| format!("&#x{byte:X};"))),
        ("every second letter", {
            let letter = |(at, byte): (usize, u8)| match at % 2 {
                0 => format!("\\x{byte:02x}"),
                _ => char::from(byte).to_string(),
            };
            secret.bytes().enumerate().map(letter).collect()
        }),
        ("a letter without width", zero_width),
    ]
}
