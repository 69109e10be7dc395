//! A decoder on this machine, with random weights: what it says proves nothing, so that nothing is shown, and all of the way
//! there is gone.

use std::path::Path;

use precedent_model::generate::Counter;
use serde_json::{Value, json};

use super::{AFTER, BEFORE, repository};
use crate::models::library;
use crate::support::{Fixture, Ran, precedent, root};

/// A tiny decoder whose configuration allows it to read the rules.
fn decoder(fixture: &Fixture, name: &str) -> String {
    let folder = fixture.beside(name);
    std::fs::create_dir(&folder).expect("a folder");
    for entry in std::fs::read_dir(root().join("fixtures/models/writers").join(name)).expect("a model") {
        let path = entry.expect("a file").path();
        std::fs::copy(&path, folder.join(path.file_name().expect("a name"))).expect("a copy");
    }
    let config = folder.join("config.json");
    let mut value: Value = serde_json::from_slice(&std::fs::read(&config).expect("a file")).expect("JSON");
    value["max_position_embeddings"] = 16_384.into();
    std::fs::write(config, value.to_string()).expect("a file");
    folder.display().to_string()
}

fn run(fixture: &Fixture, library: &Path, model: &str, more: &[&str]) -> Ran {
    let arguments = [&["review", "main..topic", "--llm", model][..], more].concat();
    let ran =
        Ran::of(precedent(&fixture.repo(), &arguments).env("ORT_DYLIB_PATH", library).output().expect("the binary"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    ran
}

#[test]
fn a_decoder_in_a_folder_reviews_a_change() {
    let Some(library) = library() else { return };
    let fixture = repository(&[("src/a.rs", BEFORE, AFTER), ("src/b.rs", BEFORE, AFTER)]);
    for name in ["deepseek", "qwen"] {
        let folder = decoder(&fixture, name);
        let json = |more: &[&str]| -> Value {
            let ran = run(&fixture, &library, &folder, &[&["--json", "--llm-requests", "3"], more].concat());
            serde_json::from_str(&ran.stdout).expect("JSON")
        };
        let explained = run(&fixture, &library, &folder, &["--explain-prompt"]).stdout;
        assert!(explained.contains("2 questions to ") && explained.contains("\"sampling\":\"greedy\""), "{explained}");
        let counter = Counter::open(&Path::new(&folder).join("tokenizer.json")).expect("a tokenizer");
        let prompts: Vec<&str> = explained
            .split("--- prompt\n")
            .skip(1)
            .map(|text| text.split("\n--- ").next().unwrap_or_default())
            .collect();
        assert_eq!(prompts.len(), 3, "two questions and the second look: {explained}");
        assert!(prompts[0].contains("+    3 |     base << attempt"), "{}", prompts[0]);
        let late = json(&["--llm-seconds", "0"]);
        assert_eq!(late["llm"]["unasked"].as_array().map(Vec::len), Some(2), "{late:#}");
        assert!(late["skipped"].to_string().contains("0 seconds"), "{}", late["skipped"]);
        let review = json(&[]);
        let account = &review["llm"];
        assert_eq!((&account["requests"], &account["cached"], &account["unasked"]), (&json!(2), &json!(0), &json!([])));
        let read: usize = prompts[..2].iter().map(|prompt| counter.count(prompt)).sum();
        assert_eq!(account["tokens"]["prompt"], read, "what is explained is what is read");
        let written = account["tokens"]["completion"].as_u64().expect("a number");
        assert!((1..=1_600).contains(&written), "{written}");
        assert!(!account["dropped"].to_string().contains("shape"), "it cannot leave its shape: {account:#}");
        assert_eq!(review["findings"], json!([]), "{review:#}");
        let again = json(&[]);
        assert_eq!((&again["llm"]["requests"], &again["llm"]["cached"]), (&json!(0), &json!(2)), "{again:#}");
        assert_eq!(again["llm"]["stated"], account["stated"]);
    }
}

/// Whatever is wrong with its files, the review comes out, and says what was not done.
#[test]
fn a_decoder_that_cannot_answer_takes_nothing_with_it() {
    let Some(library) = library() else { return };
    let fixture = repository(&[("src/a.rs", BEFORE, AFTER)]);
    let plain = fixture.json(&["review", "main..topic", "--json"]);
    let review = |folder: &str| -> Value {
        let ran = run(&fixture, &library, folder, &["--json"]);
        let review: Value = serde_json::from_str(&ran.stdout).expect("JSON");
        assert_eq!((&review["briefing"], &review["findings"]), (&plain["briefing"], &plain["findings"]));
        assert_eq!(review["partial"], true, "{review:#}");
        review
    };
    let folder = decoder(&fixture, "qwen");
    let config = Path::new(&folder).join("config.json");
    let mut value: Value = serde_json::from_slice(&std::fs::read(&config).expect("a file")).expect("JSON");
    value["max_position_embeddings"] = 512.into();
    std::fs::write(&config, value.to_string()).expect("a file");
    let small = review(&folder);
    let unasked = small["llm"]["unasked"].to_string();
    assert!(unasked.contains("src/a.rs") && unasked.contains("context is smaller than its hunks"), "{small:#}");
    assert_eq!(small["llm"]["requests"], 0);
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        let other = root().join("fixtures/models/writers/deepseek").join(name);
        std::fs::copy(other, Path::new(&folder).join(name)).expect("a copy");
    }
    let mixed = review(&folder);
    let skipped = mixed["skipped"].to_string();
    assert!(skipped.contains("the language model") && skipped.contains("not of one model"), "{skipped}");
}
