//! Five hundred untrue statements, planted among true ones in the answers of a scripted server: none is shown, each is dropped for
//! its own reason, and every true one comes through.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Scripted, dropped, first_or_second, repository, said, user};
use crate::support::Fixture;

/// Files of each language, with one changed function each. Each answer is about one file.
const FILES: usize = 42;
/// An answer holds four statements, of which one is true.
const UNTRUE: usize = 3;
const TITLE: &str = "The shift loses bits";

/// A file with a number before and after the change: its path, its text around the changed line, and that line.
fn file(at: usize) -> (String, String, String) {
    let (path, text, before, after) = match at % 4 {
        0 => (
            "src/wait_N.rs",
            "pub fn wait_N(base_N: u64, attempt_N: u64) -> u64 {\n@\n    delay_N\n}\n",
            "    let delay_N = base_N.saturating_mul(attempt_N);",
            "    let delay_N = base_N << attempt_N;",
        ),
        1 => (
            "lib/wait_N.py",
            "def wait_N(base_N, attempt_N):\n@\n    return delay_N\n",
            "    delay_N = min(base_N * attempt_N, 600)",
            "    delay_N = base_N << attempt_N",
        ),
        2 => (
            "web/wait_N.js",
            "export function wait_N(base_N, attempt_N) {\n@\n  return delay_N;\n}\n",
            "  const delay_N = Math.min(base_N * attempt_N, 600);",
            "  const delay_N = base_N << attempt_N;",
        ),
        _ => (
            "pkg/wait_N.go",
            "package pkg\n\nfunc wait_N(base_N uint64, attempt_N uint64) uint64 {\n@\n\treturn delay_N\n}\n",
            "\tdelay_N := min(base_N*attempt_N, 600)",
            "\tdelay_N := base_N << attempt_N",
        ),
    };
    let numbered = |text: &str| text.replace('N', &at.to_string());
    (numbered(path), numbered(&text.replace('@', before)), numbered(&text.replace('@', after)))
}

/// What one question shows: read from the question itself.
struct Shown {
    path: String,
    /// The added line and its number, and the first unchanged one.
    line: u64,
    quote: String,
    unchanged: (u64, String),
    /// Of the repository, but not shown: a commit and a file.
    commit: String,
    file: String,
}

impl Shown {
    fn of(question: &str, commit: &str, file: &str) -> Shown {
        let path = question.lines().find_map(|line| line.strip_prefix("file: ")).expect("a file").to_owned();
        let numbered = |mark: char| {
            let line = question.lines().find(|line| line.starts_with(mark) && line.contains(" | ")).expect("a line");
            let (number, text) = line[1..].split_once(" | ").expect("a number");
            (number.trim().parse().expect("a number"), text.to_owned())
        };
        let (line, quote) = numbered('+');
        Shown { path, line, quote, unchanged: numbered(' '), commit: commit.into(), file: file.into() }
    }

    fn claim(&self) -> Value {
        json!({
            "hunk": 1, "line": self.line, "quote": self.quote.trim(), "kind": "bug", "severity": "major", "title": TITLE,
            "body": format!("A shift by 64 or more is no product, see line {}.", self.line),
            "suggestion": null, "precedents": [],
        })
    }

    /// The sign that a comment begins with.
    fn comment(&self) -> &'static str {
        if self.path.ends_with(".py") { "#" } else { "//" }
    }
}

/// A way to make a true statement untrue, `n` making it differ each time.
type Spoil = fn(&Shown, &mut Value, usize);

fn set(claim: &mut Value, name: &str, value: impl Into<Value>) {
    claim[name] = value.into();
}

fn says(claim: &mut Value, text: &str) {
    set(claim, "body", format!("The product is lost. {text}"));
}

const QUOTE: &str = "a quote that is not in the hunk";
const LINE: &str = "a line that is not the quoted one, or not shown";
const HUNK: &str = "about a hunk that was not shown";
const UNCHANGED: &str = "about lines that this change leaves as they are";
const PRECEDENT: &str = "a precedent that was not given";
const INVENTED: &str = "a commit or a file that was not shown";
const NAME: &str = "a name in code that was not shown";
const SUGGESTION: &str = "a suggestion that does not apply or does not parse";
const SHAPE: &str = "not in the shape that was asked for";
const WORDS: &str = "nothing said, or too much";

/// With the reason that each must be dropped for. Their number has no factor in common with that of the languages, so that each
/// meets all of them.
const SPOILS: [(&str, Spoil); 33] = [
    (QUOTE, |_, claim, n| set(claim, "quote", format!("delay = base.pow({n})"))),
    (QUOTE, |shown, claim, n| set(claim, "quote", shown.quote.trim().replace("<<", [">>", "<<<", "<", "* "][n % 4]))),
    (QUOTE, |_, claim, n| set(claim, "quote", format!("base_{0} << attempt_{0}", n + 1000))),
    (QUOTE, |_, claim, n| set(claim, "quote", ["", "  ", "}", ";", "()"][n % 5])),
    (UNCHANGED, |shown, claim, _| {
        set(claim, "quote", shown.unchanged.1.trim());
        set(claim, "line", shown.unchanged.0);
    }),
    (LINE, |_, claim, n| set(claim, "line", 9_000 + n)),
    (LINE, |shown, claim, n| set(claim, "line", shown.line + 1 + (n % 3) as u64)),
    (LINE, |_, claim, _| set(claim, "line", 0)),
    (HUNK, |_, claim, n| set(claim, "hunk", [0, 2, 99, 100_000][n % 4])),
    (PRECEDENT, |_, claim, n| set(claim, "precedents", json!([format!("P{}", 50 + n)]))),
    (PRECEDENT, |_, claim, n| says(claim, &format!("P{} shows it.", 50 + n))),
    (PRECEDENT, |_, claim, n| says(claim, &format!("It is as in precedent {}.", 50 + n))),
    (INVENTED, |_, claim, n| says(claim, &format!("Commit {:07x}a{n:02x} bounded it.", n * 7919 + 0xb1_e5ad))),
    (INVENTED, |shown, claim, n| says(claim, &format!("Commit {} bounded it.", &shown.commit[..[7, 12, 40][n % 3]]))),
    (INVENTED, |shown, claim, _| says(claim, &format!("The caller in `{}` breaks.", shown.file))),
    (INVENTED, |_, claim, n| says(claim, &format!("The caller in src/other_{n}.rs breaks."))),
    (INVENTED, |_, claim, n| says(claim, &format!("See {}{}.", ["#", "PR ", "issue ", "GH-"][n % 4], 4_711 + n))),
    (INVENTED, |_, claim, n| says(claim, &format!("See https://example.org/{n}."))),
    (LINE, |_, claim, n| says(claim, &format!("Line {} relies on it.", 5_000 + n))),
    (LINE, |shown, claim, n| says(claim, &format!("See {}:{}.", shown.path, 5_000 + n))),
    (NAME, |_, claim, n| says(claim, &format!("`frobnicate_{n}()` breaks."))),
    (NAME, |_, claim, n| says(claim, ["FrobAll() breaks.", "`Frob::all` breaks.", "frob_all() breaks."][n % 3])),
    (SUGGESTION, |_, claim, n| set(claim, "suggestion", format!("    delay_{n} = ((base <<"))),
    (SUGGESTION, |_, claim, n| set(claim, "suggestion", format!("    }} }} ) fn wait_{n}("))),
    (SUGGESTION, |shown, claim, _| set(claim, "suggestion", shown.quote.clone())),
    (SUGGESTION, |shown, claim, n| set(claim, "suggestion", format!("{}\n", shown.quote).repeat(12 + n % 9))),
    (INVENTED, |shown, claim, n| {
        let said = ["commit deadbee1", "#4711", "see src/other.rs"][n % 3];
        set(claim, "suggestion", format!("{} {} {said}", shown.quote.replace("<<", "*"), shown.comment()));
    }),
    (SHAPE, |_, claim, n| set(claim, ["kind", "severity"][n % 2], ["nit", "style", "blocker"][n % 3])),
    (SHAPE, |_, claim, n| set(claim, "confidence", n)),
    (SHAPE, |_, claim, n| {
        claim.as_object_mut().expect("an object").remove(["hunk", "line", "quote", "title", "body"][n % 5]);
    }),
    (SHAPE, |shown, claim, n| {
        set(claim, "line", [json!(shown.line.to_string()), json!(-1), json!(1.5)][n % 3].clone())
    }),
    (WORDS, |_, claim, n| set(claim, ["title", "body"][n % 2], ["", "?!", " \n"][n % 3])),
    (WORDS, |_, claim, _| says(claim, &"It is lost. ".repeat(200))),
];

#[test]
fn of_five_hundred_untrue_answers_none_is_shown() {
    let files: Vec<(String, String, String)> = (0..4 * FILES).map(file).collect();
    let listed: Vec<(&str, &str, &str)> =
        files.iter().map(|(path, before, after)| (&**path, &**before, &**after)).collect();
    let fixture = repository(&listed);
    let (commit, hidden) = unrelated(&fixture);
    let number = |path: &str| files.iter().position(|(known, _, _)| known == path).expect("a file of the change");
    let planted = |at: usize| (0..UNTRUE).map(move |nth| SPOILS[(UNTRUE * at + nth) % SPOILS.len()]);
    let mut expected: BTreeMap<&str, u64> = BTreeMap::new();
    for (reason, _) in (0..files.len()).flat_map(planted) {
        *expected.entry(reason).or_default() += 1;
    }
    let count: u64 = expected.values().sum();
    assert!(count >= 500, "{count}");
    let numbers: BTreeMap<String, usize> = files.iter().map(|(path, _, _)| (path.clone(), number(path))).collect();
    let model = Scripted::new(move |body, _| {
        let question = user(body);
        if !question.contains("\nfile: ") {
            return Some(said(body, &first_or_second(body, &json!([]))));
        }
        let shown = Shown::of(question, &commit, &hidden);
        let at = numbers[&shown.path];
        // The true one comes last, so that an untrue one that came through would be shown in its place.
        let mut claims: Vec<Value> = planted(at)
            .map(|(_, spoil)| {
                let mut claim = shown.claim();
                spoil(&shown, &mut claim, at);
                claim
            })
            .collect();
        claims.push(shown.claim());
        Some(said(body, &json!({"findings": claims}).to_string()))
    });
    let limits = ["--llm-requests", "400", "--llm-tokens", "9000000", "--llm-context", "200000"];
    let review = model.json(&fixture, &limits);
    assert_eq!(review["llm"]["unasked"], json!([]));
    assert_eq!(review["llm"]["stated"], count + files.len() as u64);
    let reasons: BTreeMap<&str, u64> = dropped(&review).into_iter().collect();
    assert_eq!(reasons, expected, "each for its own reason, and no true one");
    // All that came through is what the second look is asked about.
    let second = model.bodies().pop().expect("a second look");
    let ids = |line: &&str| line.starts_with('F') && line.contains(" · ");
    let through: Vec<&str> = user(&second).lines().filter(ids).collect();
    assert_eq!(through.len(), files.len());
    assert!(through.iter().all(|line| line.contains(TITLE)), "{through:#?}");
    let shown = review["findings"].as_array().expect("findings");
    assert!(shown.iter().all(|finding| finding["title"] == TITLE), "{shown:#?}");
    assert_eq!(shown.len(), 3, "no more are shown of so many");
    let rest = format!("{} more findings", files.len() - 3);
    assert!(review["skipped"].to_string().contains(&rest), "{}", review["skipped"]);
}

/// A commit and a file that the repository has and the change does not touch.
fn unrelated(fixture: &Fixture) -> (String, String) {
    fixture.git(&["checkout", "--quiet", "main"]);
    fixture.commit("src/hidden.rs", "pub fn hidden() {}\n", "add what is not shown");
    let commit = fixture.git(&["rev-parse", "main"]);
    fixture.git(&["checkout", "--quiet", "topic"]);
    fixture.git(&["rebase", "--quiet", "main"]);
    (commit, "src/hidden.rs".to_owned())
}
