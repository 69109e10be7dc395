//! What a review may ask and spend.

use serde_json::json;

use super::{AFTER, BEFORE, Scripted, claim, first_or_second, repository, user};
use crate::github::http::Response;

/// One unit of money a token, so that sums can be read.
const PRICES: &str = "[llm]\ninput-price = 1000000\noutput-price = 1000000\n";

/// Of a server that is busy, each request counts, whichever question it repeats; and one is left for the second look.
#[test]
fn no_more_requests_are_sent_than_may_be() {
    let names: Vec<String> = (0..6).map(|at| format!("src/m{at}.rs")).collect();
    let files: Vec<(&str, &str, &str)> = names.iter().map(|name| (name.as_str(), BEFORE, AFTER)).collect();
    for (files, sent) in [(&files[..], 4), (&files[..2], 4), (&files[..1], 4)] {
        let model = Scripted::new(|_, _| Some(Response::json(503, &json!({})).with("retry-after", "0")));
        let review = model.json(&repository(files), &["--llm-requests", "5"]);
        assert_eq!((model.asked().len(), &review["llm"]["requests"]), (sent, &json!(sent)), "{} files", files.len());
        assert_eq!(review["llm"]["unasked"].as_array().map(Vec::len), Some(files.len()));
    }
}

#[test]
fn money_is_kept_for_the_second_look() {
    let fixture = repository(&[("precedent.toml", PRICES, PRICES), ("src/lib.rs", BEFORE, AFTER)]);
    let silent = Scripted::claiming(json!([]));
    let explained = |more: &[&str]| {
        let ran = silent.review(&fixture, &[&["--explain-prompt"], more].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.stdout
    };
    let text = explained(&[]);
    let sum = text.lines().find(|line| line.contains(" questions to ")).expect("the sum");
    let numbers: Vec<u64> = sum.split([' ', ',', ';']).filter_map(|word| word.parse().ok()).collect();
    let [1, read, written, read_again, written_again] = numbers[..] else { panic!("{sum}") };
    assert_eq!(written, 800);
    let most = read + written + read_again + written_again;
    assert!(text.contains(&format!("--- at most {most}.000000 by the prices that are set")), "{text}");
    let short = (most - 1).to_string();
    let text = explained(&["--llm-cost", &short]);
    assert!(text.contains("not asked: src/lib.rs") && text.contains(&format!("a review may cost {short}")), "{text}");
    assert!(text.contains("0 questions to tiny-coder, 0 tokens"), "{text}");
    assert!(silent.asked().is_empty());
    // A server whose first answer costs all that it may.
    let dear = Scripted::new(move |body, at| {
        let text = first_or_second(body, &json!([claim()]));
        let usage = if at == 0 { [read, written] } else { [read_again, written_again] };
        Some(Response::json(
            200,
            &json!({
                "model": body["model"], "choices": [{"message": {"content": text}}],
                "usage": {"prompt_tokens": usage[0], "completion_tokens": usage[1]},
            }),
        ))
    });
    let poor = dear.json(&fixture, &["--llm-cost", &short]);
    assert_eq!((dear.asked().len(), poor["llm"]["unasked"].as_array().map(Vec::len)), (0, Some(1)));
    let enough = dear.json(&fixture, &["--llm-cost", &most.to_string()]);
    assert_eq!(enough["findings"].as_array().map(Vec::len), Some(1), "{enough:#}");
    assert_eq!((&enough["llm"]["requests"], enough["llm"]["cost"].as_f64()), (&json!(2), Some(most as f64)));
}

/// The prices of whoever pays count, and neither side can set one that gives money back.
#[test]
fn a_repository_cannot_lift_the_cap_on_money() {
    let model = Scripted::claiming(json!([claim()]));
    for (prices, why) in [
        ("input-price = -1.0\noutput-price = 1.0", "`input-price` is no amount of money"),
        ("input-price = nan\noutput-price = 1.0", "`input-price` is no amount of money"),
    ] {
        let config = format!("[llm]\n{prices}\n");
        let fixture = repository(&[("precedent.toml", &config, &config), ("src/lib.rs", BEFORE, AFTER)]);
        let review = model.json(&fixture, &["--llm-cost", "5"]);
        let skipped = review["skipped"].to_string();
        assert!(skipped.contains(why) && skipped.contains("no prices are set"), "{skipped}");
    }
    let free = "[llm]\ninput-price = 0.0\noutput-price = 0.0\n";
    let fixture = repository(&[("precedent.toml", free, free), ("src/lib.rs", BEFORE, AFTER)]);
    let mine = ["--llm-input-price", "1000000", "--llm-output-price", "1000000", "--llm-cost", "5"];
    let review = model.json(&fixture, &mine);
    assert!(review["skipped"].to_string().contains("a review may cost 5"), "{}", review["skipped"]);
    assert!(model.asked().is_empty());
    for wrong in ["nan", "-1", "inf", "much"] {
        let ran = model.review(&fixture, &[&format!("--llm-cost={wrong}")]);
        assert_eq!(ran.code, 2, "{wrong}: {}", ran.stderr);
        assert!(ran.stderr.contains("no amount of money"), "{}", ran.stderr);
    }
}

/// A hunk that no question holds is asked about in parts; together they show each line once.
#[test]
fn a_hunk_that_is_larger_than_the_context_is_asked_about_in_parts() {
    let line = |at: usize| format!("    let value_{at} = compute(value_{}, {at});\n", at.saturating_sub(1));
    let body: String = (0..120).map(line).collect();
    let fixture = repository(&[("src/lib.rs", "fn a() {\n}\n", &format!("fn a() {{\n{body}}}\n"))]);
    let model = Scripted::claiming(json!([]));
    let review = model.json(&fixture, &["--llm-context", "1900", "--llm-tokens", "200000"]);
    assert_eq!(review["skipped"], json!([]), "{review:#}");
    let bodies = model.bodies();
    assert!(bodies.len() > 3, "{}", bodies.len());
    for at in 0..120 {
        let wanted = format!(" | {}", line(at));
        let holding = bodies.iter().filter(|body| user(body).contains(&wanted)).count();
        assert_eq!(holding, 1, "{at}");
    }
    for body in &bodies {
        let bytes: usize = body["messages"]
            .as_array()
            .expect("messages")
            .iter()
            .filter_map(|message| message["content"].as_str())
            .map(str::len)
            .sum();
        assert!(bytes / 3 + 800 <= 1900, "{bytes} bytes, at three a token, and the answer");
    }
}

/// A line for which there is no room is left out, and its file is named; the rest is asked about.
#[test]
fn a_line_that_is_larger_than_the_context_is_left_out() {
    let after = format!("fn a() {{\n    small();\n    let long = \"{}\";\n}}\n", "word ".repeat(80));
    let fixture = repository(&[("src/lib.rs", "fn a() {\n}\n", &after)]);
    let model = Scripted::claiming(json!([]));
    let explained = |context: usize| {
        let ran = model.review(&fixture, &["--explain-prompt", "--llm-context", &context.to_string()]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.stdout
    };
    let left_out = "the model's context is smaller than its hunks";
    let between = (1_300..2_000).step_by(20).map(explained).find(|text| text.contains("small();"));
    let text = between.expect("a context in which the short line fits");
    assert!(text.contains(left_out) && !text.contains("word word"), "{text}");
    let whole = explained(4_000);
    assert!(!whole.contains(left_out) && whole.contains("word word"), "{whole}");
}

/// What cannot be asked about is not read: of sixty files that each hold a hidden character, those in questions are counted.
#[test]
fn files_that_are_not_asked_about_are_not_read() {
    let names: Vec<String> = (0..60).map(|at| format!("src/m{at}.rs")).collect();
    let hidden = AFTER.replace("Waits", "Wa\u{200b}its");
    let files: Vec<(&str, &str, &str)> = names.iter().map(|name| (name.as_str(), BEFORE, hidden.as_str())).collect();
    let fixture = repository(&files);
    let model = Scripted::claiming(json!([]));
    for (limit, why) in [(["--llm-requests", "4"], "may ask 4 questions"), (["--llm-tokens", "9000"], "may spend 9000")]
    {
        let review = model.json(&fixture, &limit);
        let unasked = review["llm"]["unasked"].as_array().expect("a list");
        assert!((50..60).contains(&unasked.len()), "{review:#}");
        assert!(unasked.iter().all(|left| left["why"].as_str().is_some_and(|text| text.contains(why))), "{review:#}");
        let hidden = review["llm"]["hidden_characters"].as_u64().expect("a number");
        assert!((1..=10).contains(&hidden), "{hidden}");
    }
}
