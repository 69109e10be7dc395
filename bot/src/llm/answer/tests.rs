//! Untrue answers, made by rule, none of which may come through; and true ones, all of which must.

use std::sync::Arc;

use precedent_pipeline::shard::ObjectId;
use precedent_pipeline::syntax::language;
use serde_json::json;

use super::*;
use crate::diff::FileDiff;
use crate::finding::Citation;
use crate::llm::passage::{Offered, walk};
use crate::llm::prompt;

const PATH: &str = "src/retry.rs";

/// Forty functions, of which every other one is changed in its middle line.
fn texts() -> (String, String) {
    let function = |at: usize, is_new: bool| {
        let middle = match (at.is_multiple_of(2), is_new) {
            (true, true) => format!("    let delay_{at} = base_{at} << attempt_{at};\n"),
            _ => format!("    let delay_{at} = base_{at}.saturating_mul(attempt_{at});\n"),
        };
        format!(
            "fn wait_{at}(base_{at}: u64, attempt_{at}: u64) -> u64 {{\n{middle}    delay_{at}.min(LIMIT_{at})\n}}\n\n\n\n\n\n"
        )
    };
    let whole = |is_new: bool| (0..40).map(|at| function(at, is_new)).collect();
    (whole(false), whole(true))
}

fn file() -> ChangedFile {
    let (before, after) = texts();
    ChangedFile {
        path: Arc::from(PATH),
        old_path: None,
        language: Ok(language("rust").expect("a language")),
        diff: FileDiff::between(&before, &after),
        before,
        after,
        exists: true,
    }
}

fn passage(file: &ChangedFile) -> Passage {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<String>>();
    let (old, new) = (lines(&file.before), lines(&file.after));
    let node = NodeName { path: PATH.into(), symbol: "wait".into() };
    let hunks: Vec<Shown> = file
        .diff
        .hunks
        .iter()
        .enumerate()
        .map(|(at, hunk)| Shown {
            number: at as u32 + 1,
            signature: String::new(),
            node: node.clone(),
            lines: walk(&file.diff, hunk, &old, &new),
        })
        .collect();
    let offered = ["0123456789abcdef0123456789abcdef01234567", "89abcdef0123456789abcdef0123456789abcdef"]
        .iter()
        .enumerate()
        .map(|(at, commit)| Offered {
            id: format!("P{}", at + 1),
            text: "history of `wait`: fixed twice".into(),
            citations: vec![Citation {
                commit: ObjectId::from_hex(commit).expect("an id"),
                path: "src/old.rs".into(),
                lines: [1, 2],
                quote: "fn wait() {".into(),
            }],
        })
        .collect::<Vec<Offered>>();
    let text = prompt::question(PATH, "", &hunks, &offered, "");
    Passage { path: PATH.into(), file: 0, hunks, offered, text, tokens: 0, risk: 0.0 }
}

/// A true claim about the hunk with this number, from 0.
fn claim(passage: &Passage, hunk: usize) -> Value {
    let shown = &passage.hunks[hunk];
    let line = shown.lines.iter().find(|line| line.mark == Mark::Added).expect("an added line");
    json!({
        "hunk": shown.number,
        "line": line.new,
        "quote": line.text,
        "kind": "bug",
        "severity": "major",
        "title": "The delay overflows",
        "body": format!("A shift by more than 63 panics or wraps, see line {}.", line.new),
        "suggestion": null,
        "precedents": ["P1"],
    })
}

fn answer(claim: &Value) -> String {
    json!({"findings": [claim]}).to_string()
}

/// One way to make a true claim untrue; `n` makes it differ each time.
type Spoil = fn(&Passage, &mut Value, usize);

fn with(claim: &mut Value, name: &str, value: impl Into<Value>) {
    claim[name] = value.into();
}

/// A line near the quoted one.
fn later(claim: &mut Value, n: usize) {
    let line = claim["line"].as_u64().unwrap_or_default();
    with(claim, "line", line + 1 + (n % 3) as u64);
}

/// A body that names what was not shown.
fn says(claim: &mut Value, body: String) {
    with(claim, "body", format!("It overflows. {body} too."));
}

const SPOILS: [(Spoil, &[Reason]); 57] = [
    (|_, claim, n| with(claim, "quote", format!("let delay = base.pow({n});")), &[Reason::Quote]),
    (|_, claim, n| with(claim, "quote", format!("let delay_{n} = base_{n} << attempt_{n}; // {n}")), &[Reason::Quote]),
    (|_, claim, n| with(claim, "quote", ["", "  ", "}", ";", "()"][n % 5]), &[Reason::Quote]),
    (|passage, claim, n| with(claim, "quote", passage.hunks[(n + 1) % 20].lines[3].text.clone()), &[Reason::Quote]),
    (|_, claim, n| with(claim, "quote", format!("fn wait_{}(base_{}: u64,", 2 * n, 2 * n)), &[Reason::Unchanged]),
    (|_, claim, n| with(claim, "line", 9_000 + n), &[Reason::Line]),
    (|_, claim, n| later(claim, n), &[Reason::Line]),
    (|_, claim, _| with(claim, "line", 0), &[Reason::Line]),
    (|_, claim, n| with(claim, "hunk", 100 + n), &[Reason::Hunk]),
    (|_, claim, _| with(claim, "hunk", 0), &[Reason::Hunk]),
    (|_, claim, n| with(claim, "precedents", json!([format!("P{}", n + 3)])), &[Reason::Precedent]),
    (|_, claim, n| with(claim, "body", format!("As P{} shows, it overflows.", n + 3)), &[Reason::Precedent]),
    (
        |_, claim, n| with(claim, "body", format!("Commit {:07x}a{n:02x} fixed it.", n * 7919 + 0xb1_e5ad)),
        &[Reason::Invented],
    ),
    (|_, claim, n| with(claim, "title", format!("It undoes deadbeef{n:02}")), &[Reason::Invented]),
    (|_, claim, n| with(claim, "body", format!("The caller in `src/other_{n}.rs` breaks.")), &[Reason::Invented]),
    (|_, claim, n| with(claim, "body", format!("It contradicts line {}.", 5_000 + n)), &[Reason::Line]),
    (|_, claim, n| with(claim, "body", format!("See {PATH}:{} too.", 5_000 + n)), &[Reason::Line]),
    (|_, claim, n| with(claim, "suggestion", format!("    let delay_{n} = (base << ;")), &[Reason::Suggestion]),
    (|_, claim, n| with(claim, "suggestion", format!("    }} }} fn broken_{n}(")), &[Reason::Suggestion]),
    (
        |_, claim, n| with(claim, "suggestion", format!("let delay_{0} = base_{0} << attempt_{0};", 2 * n)),
        &[Reason::Suggestion],
    ),
    (
        |_, claim, n| with(claim, "suggestion", format!("    let delay_{n} = 1;\n    ...\n    delay_{n}")),
        &[Reason::Suggestion],
    ),
    (|_, claim, n| with(claim, "suggestion", "    let x = 1;\n".repeat(11 + n)), &[Reason::Suggestion]),
    (|_, claim, n| with(claim, ["kind", "severity"][n % 2], ["nit", "style", "blocker"][n % 3]), &[Reason::Shape]),
    (
        |_, claim, n| with(claim, ["extra", "hunk", "quote", "title", "precedents"][n % 5], json!({"n": n})),
        &[Reason::Shape],
    ),
    (|_, claim, n| with(claim, ["title", "body"][n % 2], ["", "?!", " \n"][n % 3]), &[Reason::Words]),
    (|_, claim, n| says(claim, format!("See L{}-L{}", 5_000 + n, 5_010 + n)), &[Reason::Line]),
    (|_, claim, n| says(claim, format!("See {PATH}#L{}", 5_000 + n)), &[Reason::Line]),
    (
        |_, claim, n| {
            let (first, last) = (claim["line"].clone(), 5_000 + n);
            let dash = [" - ", "..", "-", " – ", " through ", "/", " and ", " or "][n % 8];
            says(claim, format!("See lines {first}{dash}{last}"));
        },
        &[Reason::Line],
    ),
    (
        |_, claim, n| {
            says(claim, format!("See lines {}, {} and {}", claim["line"].clone(), claim["line"].clone(), 5_000 + n))
        },
        &[Reason::Line],
    ),
    (
        |_, claim, n| {
            let before = ["number", "no.", "#", ":", "`"][n % 5];
            says(claim, format!("See line {before} {}", 5_000 + n));
        },
        &[Reason::Line],
    ),
    (|_, claim, n| says(claim, format!("See line {}/{}", claim["line"].clone(), 5_000 + n)), &[Reason::Line]),
    (|_, claim, n| says(claim, format!("See the {}th line", 5_004 + 10 * n)), &[Reason::Line]),
    (
        |_, claim, n| says(claim, format!("See {} {}", ["ln", "LINE", "Line:", "ln."][n % 4], 5_000 + n)),
        &[Reason::Line],
    ),
    (|_, claim, n| says(claim, format!("See line{0} and ln{0} and L5,{0}", 500 + n)), &[Reason::Line]),
    (
        |_, claim, n| says(claim, format!("Commit {} did", ["deadbeef", "beefcafe", "facade"][n % 2])),
        &[Reason::Invented],
    ),
    (|_, claim, n| says(claim, format!("Commit {} did", 1_234_567 + n)), &[Reason::Invented]),
    (|_, claim, n| says(claim, format!("The commit `{:x}9a{:x}` did", 3 + n % 9, n % 16)), &[Reason::Invented]),
    (|_, claim, n| says(claim, format!("Commits 0123456, {:x}9a1c and others did", 0x30 + n)), &[Reason::Invented]),
    (|_, claim, n| says(claim, format!("See other_{n}.rs")), &[Reason::Invented]),
    (
        |_, claim, n| says(claim, format!("See {}", ["other.rs", "Cargo.toml", "notes.md", "a.h"][n % 4])),
        &[Reason::Invented],
    ),
    (
        |_, claim, n| {
            says(claim, format!("See {}", ["src/other", "src/waits", "lib/wait", "../retry", "a/b/c"][n % 5]))
        },
        &[Reason::Invented],
    ),
    (|_, claim, n| says(claim, format!("See precedent {}", 3 + n)), &[Reason::Precedent]),
    (|_, claim, n| says(claim, format!("See precedents 1, 2 and {}", 3 + n)), &[Reason::Precedent]),
    (|_, claim, n| says(claim, format!("See p{}", 3 + n)), &[Reason::Precedent]),
    (|_, claim, n| says(claim, format!("See #{}", 4_711 + n)), &[Reason::Invented]),
    (|_, claim, n| says(claim, format!("`frobnicate_{n}()` breaks")), &[Reason::Name]),
    (
        |_, claim, n| says(claim, format!("The caller {} breaks", ["frob_all", "frob()", "`Frob::all`"][n % 3])),
        &[Reason::Name],
    ),
    (
        |_, claim, n| {
            let word =
                ["PR", "pull request", "issue", "Issue #", "MR", "ticket", "bug", "merge request", "issue no."][n % 9];
            says(claim, format!("See {word} {}", 4_711 + n));
        },
        &[Reason::Invented],
    ),
    (|_, claim, n| says(claim, format!("See {}{}", ["GH-", "!", "gh-", "PR-"][n % 4], 4_711 + n)), &[Reason::Invented]),
    (|_, claim, n| says(claim, format!("See {} 7 and {}", ["issues", "PRs"][n % 2], 4_711 + n)), &[Reason::Invented]),
    (|_, claim, n| says(claim, format!("See {}{}", ["rev ", "r", "revs "][n % 3], 1_234_567 + n)), &[Reason::Invented]),
    (|_, claim, n| says(claim, format!("See {} {}", ["row", "rows", "Row"][n % 3], 5_000 + n)), &[Reason::Line]),
    (
        |_, claim, n| says(claim, format!("{} breaks", ["Frob::all", "frobAll", "FrobAll", "frob::all(3)"][n % 4])),
        &[Reason::Name],
    ),
    (|_, claim, n| says(claim, format!("See https://example.org/a?b={n}.")), &[Reason::Invented]),
    (
        |_, claim, n| {
            let said = ["commit deadbee1", "#4711", "PR 4711", "see src/other.rs", "https://example.org"][n % 5];
            with(claim, "suggestion", format!("    let delay_{n} = {n}; // {said}"));
        },
        &[Reason::Invented],
    ),
    (
        |_, claim, n| {
            let said = [format!("as line {}", 5_000 + n), format!("{PATH}:{}", 5_000 + n)];
            with(claim, "suggestion", format!("    /* {} */\n    let delay_{n} = {n};", said[n % 2]));
        },
        &[Reason::Line],
    ),
    (
        |_, claim, n| {
            with(claim, "suggestion", format!("    let delay_{n} = {n}; // frobs_{n}"));
            says(claim, format!("It frobs_{n} and does"));
        },
        &[Reason::Name],
    ),
];

#[test]
fn of_a_thousand_untrue_answers_none_comes_through() {
    let file = file();
    let passage = passage(&file);
    assert_eq!(passage.hunks.len(), 20);
    let mut count = 0;
    for (at, (spoil, reasons)) in SPOILS.iter().enumerate() {
        for n in 0..20 {
            let mut claim = claim(&passage, n % 20);
            spoil(&passage, &mut claim, n);
            let judged = judge(&passage, &file, &answer(&claim));
            assert_eq!(judged.claims, [], "way {at}, {n}: {claim}");
            let found: Vec<Reason> = judged.dropped.keys().copied().collect();
            assert_eq!(found, *reasons, "way {at}, {n}: {claim}");
            assert_eq!((judged.stated, judged.dropped.values().sum::<u32>()), (1, 1));
            count += 1;
        }
    }
    assert_eq!(count, 1_140);
}

#[test]
fn true_answers_come_through() {
    let file = file();
    let passage = passage(&file);
    for hunk in 0..20 {
        let judged = judge(&passage, &file, &answer(&claim(&passage, hunk)));
        assert_eq!((judged.claims.len(), &judged.dropped), (1, &Drops::new()), "{hunk}");
        let found = &judged.claims[0];
        let line = found.lines[0] as usize;
        assert!(file.after.lines().nth(line - 1).is_some_and(|text| text.contains("<< attempt")), "{found:?}");
        assert_eq!((found.side, found.check, found.cited.as_slice()), (Side::Right, "model-bug", &[0][..]));
    }
}

/// What was shown may be named, in whichever way, and what only looks like a name is none.
#[test]
fn true_words_come_through() {
    let file = file();
    let passage = passage(&file);
    let line = claim(&passage, 0)["line"].as_u64().expect("a line");
    for body in [
        format!("On line {line}, 64 bits are shifted out."),
        format!("Line {line}: 64 attempts are enough."),
        format!("See {PATH}:{line}, L{line} and lines {line}-{}.", line + 1),
        format!("See {PATH}#L{line}, or `retry.rs` at ln {line}."),
        format!("As lines {line} and {} of the hunk say.", line + 1),
        "P1, P2 and precedent 2 say so, and precedents 1 and 2.".into(),
        "Commit 01234567 fixed it, and the commit added a bound; see 89abcdef01.".into(),
        "See src/old.rs, where it stood.".into(),
        "The commit faced this, in 3 commits and 12 lines.".into(),
        "`delay_0` is `None` or a `u64`, and `base_0 << attempt_0` wraps.".into(),
        "Reads and/or writes: I/O, key/value, n/2, 1/2, 50 % of 1,000,000, e.g. 1.5 or v1.2.3.".into(),
        "`attempt_0.checked_add(1)` would say so.".into(),
        "The argument(s) of wait_0() may be 0x7fffffff, i.e. too many.".into(),
        "The loop issues 64 requests; that is a bug. 2 of them fail, as on GitHub, with a TypeError.".into(),
        "u64::MAX overflows, and 12 rows more; is it !0 or r12?".into(),
    ] {
        let mut about = claim(&passage, 0);
        with(&mut about, "body", body.clone());
        with(&mut about, "suggestion", "let delay_0 = attempt_0.checked_add(1).map_or(base_0, |_| base_0);");
        let judged = judge(&passage, &file, &answer(&about));
        assert_eq!((judged.claims.len(), &judged.dropped), (1, &Drops::new()), "{body}");
    }
}

#[test]
fn a_removed_line_may_be_quoted_and_a_suggestion_keeps_its_place() {
    let file = file();
    let passage = passage(&file);
    let removed = passage.hunks[1].lines.iter().find(|line| line.mark == Mark::Removed).expect("a removed line");
    let mut about = claim(&passage, 1);
    with(&mut about, "quote", removed.text.clone());
    with(&mut about, "line", removed.old);
    with(&mut about, "body", "The bound that was here is lost.");
    let judged = judge(&passage, &file, &answer(&about));
    assert_eq!(judged.claims.len(), 1, "{:?}", judged.dropped);
    assert_eq!((judged.claims[0].side, judged.claims[0].lines), (Side::Left, [removed.old; 2]));
    let mut better = claim(&passage, 2);
    with(&mut better, "suggestion", "let delay_4 = base_4.saturating_mul(attempt_4);");
    let judged = judge(&passage, &file, &answer(&better));
    assert_eq!(
        judged.claims[0].suggestion.as_deref(),
        Some("    let delay_4 = base_4.saturating_mul(attempt_4);"),
        "with the indentation of the line that it replaces"
    );
}

#[test]
fn a_quote_may_have_its_mark_and_number() {
    let file = file();
    let passage = passage(&file);
    let line = passage.hunks[0].lines.iter().find(|line| line.mark == Mark::Added).expect("an added line");
    let mut about = claim(&passage, 0);
    with(&mut about, "quote", prompt::line(line).trim_end().to_owned());
    assert_eq!(judge(&passage, &file, &answer(&about)).claims.len(), 1);
}

#[test]
fn answers_out_of_shape_are_bounded_and_invent_nothing() {
    let file = file();
    let passage = passage(&file);
    let good = answer(&claim(&passage, 0));
    for (text, claims) in [
        (String::new(), 0),
        ("The change looks good to me.".into(), 0),
        ("{\"findings\": [".into(), 0),
        ("{\"findings\": NaN}".into(), 0),
        ("{\"findings\": {}}".into(), 0),
        ("[]".into(), 0),
        ("<html><body>busy</body></html>".into(), 0),
        ("x".repeat(10 << 20), 0),
        ("{\"findings\": [".repeat(200_000), 0),
        (format!("{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000)), 0),
        (good.clone(), 1),
        (format!("Here it is:\n```json\n{good}\n```\nThat is all {{}}."), 1),
    ] {
        let judged = judge(&passage, &file, &text);
        assert_eq!(judged.claims.len(), claims, "{:.80}", text);
        assert_eq!(judged.dropped.get(&Reason::Shape).copied().unwrap_or_default(), 1 - claims as u32, "{text:.80}");
    }
    let one = claim(&passage, 0);
    let many = json!({"findings": vec![one; 50]}).to_string();
    let judged = judge(&passage, &file, &many);
    assert_eq!((judged.claims.len(), judged.stated), (1, 50));
    assert_eq!(judged.dropped.values().sum::<u32>(), 49);
}

#[test]
fn words_are_plain_and_hold_no_secret() {
    let file = file();
    let passage = passage(&file);
    let mut about = claim(&passage, 0);
    with(&mut about, "title", "It&#64;leaks \u{202e} now");
    with(&mut about, "body", "The key is ghp_0123456789abcdefghijklmnopqrstuv in it.");
    let judged = judge(&passage, &file, &answer(&about));
    assert_eq!(judged.claims[0].title, "It@leaks U+202E now");
    assert_eq!((judged.claims[0].body.as_str(), judged.redacted), ("The key is [secret] in it.", 1));
}

#[test]
fn code_may_ask_for_silence() {
    let mut file = file();
    file.after = file.after.replacen(
        "    let delay_0 = base_0 << attempt_0;",
        "    let delay_0 = base_0 << attempt_0; // precedent: ignore[model-bug] bounded by the caller",
        1,
    );
    file.diff = FileDiff::between(&file.before, &file.after);
    let passage = passage(&file);
    let mut about = claim(&passage, 0);
    with(&mut about, "quote", "let delay_0 = base_0 << attempt_0;");
    assert_eq!(judge(&passage, &file, &answer(&about)).dropped, Drops::from([(Reason::Muted, 1)]));
}

#[test]
fn the_second_answer_is_a_list_of_ids() {
    assert_eq!(kept("{\"keep\":[\"F2\",\"F1\"]}"), Some(vec!["F2".into(), "F1".into()]));
    assert_eq!(kept("{\"keep\":[]}"), Some(Vec::new()));
    for wrong in ["", "keep all", "{}", "{\"keep\":\"F1\"}", "{\"keep\":[1]}"] {
        assert_eq!(kept(wrong), None, "{wrong}");
    }
}
