//! `precedent search`: by meaning, at a commit, over history.

use std::io::Write;
use std::process::Stdio;

use crate::support::{Fixture, Ran, precedent};

#[test]
fn what_is_meant_is_found_though_no_word_of_it_is_written() {
    let fixture = Fixture::new("numeric");
    for (question, expected) in [("calculate square root", "sqrt"), ("iteration over a range", "each_step")] {
        let hits = fixture.json_lines(&["search", question, "--json", "-k", "3"]);
        assert_eq!(hits[0]["symbol"], expected, "{question}: {hits:?}");
    }
    // Nowhere in the repository stands a word of either question that carries meaning.
    let files = fixture.git(&["ls-files"]);
    for file in files.lines() {
        let text = std::fs::read_to_string(fixture.repo().join(file)).expect("a text file").to_lowercase();
        let mut words = text.split(|letter: char| !letter.is_alphanumeric());
        let said = words.find(|word| ["calculate", "square", "root", "iteration", "over"].contains(word));
        assert_eq!(said, None, "{file}");
    }
}

#[test]
fn a_result_names_a_place_that_git_knows() {
    let fixture = Fixture::new("review");
    for hit in fixture.json_lines(&["search", "wait before the next attempt", "--json", "-k", "5"]) {
        assert_eq!(hit["schema"], 1);
        let place = format!("{}:{}", hit["commit"].as_str().expect("a commit"), hit["path"].as_str().expect("a path"));
        let file = fixture.git(&["show", &place]);
        let line = hit["lines"][0].as_u64().expect("a line") as usize;
        let first = hit["text"].as_str().expect("text").lines().next().expect("a line").to_owned();
        assert_eq!(file.lines().nth(line - 1).expect("the line").trim(), first.trim(), "{hit}");
    }
}

#[test]
fn as_of_shows_what_was_alive_then_and_history_what_ever_was() {
    let fixture = Fixture::new("review");
    let first = fixture.git(&["rev-list", "--max-parents=0", "HEAD"]);
    let then = fixture.json_lines(&["search", "how long to wait", "--as-of", &first, "--json", "-k", "20"]);
    let place = then.iter().find(|hit| hit["symbol"] == "backoff").expect("backoff");
    assert_eq!(place["path"], "src/client.rs", "it moved only later");
    assert!(then.iter().all(|hit| hit["symbol"] != "reconnect_delay"), "nobody had written it yet");

    let ever = fixture.json_lines(&["search", "opens a connection", "--history", "--json", "-k", "20"]);
    let connect: Vec<_> = ever.iter().filter(|hit| hit["symbol"] == "connect").collect();
    assert_eq!(connect.len(), 1, "one row a node");
    assert_eq!(connect[0]["versions"], 6);
    assert_eq!(connect[0]["alive"], true);
    assert_eq!(connect[0]["first_commit"], first.as_str());
    let all =
        fixture.json_lines(&["search", "opens a connection", "--history", "--all-versions", "--json", "-k", "20"]);
    assert_eq!(all.iter().filter(|hit| hit["symbol"] == "connect").count(), 6);
}

#[test]
fn a_name_is_found_by_its_definition_and_by_its_words() {
    let fixture = Fixture::new("review");
    for question in ["backoff", "backoff()", "where is `backoff` decided?"] {
        let hits = fixture.json_lines(&["search", question, "--json", "-k", "3"]);
        assert_eq!(hits[0]["symbol"], "backoff", "{question}: {hits:?}");
    }
}

#[test]
fn what_is_derived_is_made_again_when_it_is_damaged_or_cannot_be_kept() {
    let fixture = Fixture::new("review");
    let ask = || fixture.json_lines(&["search", "opens a connection", "--json", "-k", "5"]);
    let expected = ask();
    let (lexical, places) = (fixture.store().join("lexical"), fixture.store().join("places"));
    assert!(lexical.join("texts/meta.json").is_file());
    assert_eq!(std::fs::read_dir(&places).expect("a folder").count(), 1);
    assert_eq!(ask(), expected, "from the files");
    for folder in [lexical.join("texts"), places.clone()] {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            std::fs::write(entry.expect("an entry").path(), "\0").expect("a file");
        }
        assert_eq!(ask(), expected, "{}", folder.display());
    }
    for folder in [&lexical, &places] {
        std::fs::remove_dir_all(folder).expect("removed");
        std::fs::write(folder, "in the way").expect("a file");
    }
    assert_eq!(ask(), expected, "the cache does as well");
    assert!(fixture.json(&["store", "check", "--json"])["ok"].as_bool().expect("a verdict"));
}

#[test]
fn odd_questions_get_a_sentence_or_an_answer() {
    let fixture = Fixture::new("review");
    let ask = |input: &[u8]| {
        let mut command = precedent(&fixture.repo(), &["search", "-", "--json", "-k", "3"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary");
        let mut stdin = child.stdin.take().expect("a pipe");
        // It may end before it has read all.
        let written = stdin.write_all(input);
        drop((written, stdin));
        Ran::of(child.wait_with_output().expect("an end"))
    };
    let megabyte = "retry the connection ".repeat(50_000);
    let ran = ask(megabyte.as_bytes());
    assert!(ran.code == 0 && ran.stdout.lines().count() == 3 && ran.stderr.contains("bytes are read"), "{ran:?}");
    for (input, said) in
        [(&b""[..], "the question is empty"), (b" -> ", "the question holds no word"), (&[0, 159, 146], "no word")]
    {
        let ran = ask(input);
        assert!(ran.code == 2 && ran.stderr.contains(said), "{ran:?}");
    }
    assert_eq!(ask("接続 を 開く".as_bytes()).code, 0);
    assert_eq!(ask(&[b"retry \xff\xfe connect \0"[..].to_vec(), vec![0xc3]].concat()).code, 0);
}

#[test]
fn filters_hold_for_every_result() {
    let fixture = Fixture::new("numeric");
    let hits = fixture.json_lines(&[
        "search",
        "number",
        "--json",
        "--lang",
        "rust",
        "--kind",
        "function",
        "--path",
        "src/num*.rs",
    ]);
    assert_eq!(hits.len(), 4);
    assert!(
        hits.iter().all(|hit| hit["path"] == "src/numeric.rs" && hit["kind"] == "function" && hit["lang"] == "rust")
    );
    assert_eq!(fixture.run(&["search", "number", "--path", "nowhere/**"]).stdout, "  nothing found\n");
}

#[test]
fn an_explanation_follows_when_it_is_asked_for() {
    let fixture = Fixture::new("numeric");
    let lines = fixture.json_lines(&["search", "number", "--json", "-k", "2", "--explain"]);
    let explain = &lines[2]["explain"];
    assert_eq!((&explain["method"], &explain["recall"]), (&"exact".into(), &1.0.into()), "{explain}");
    assert_eq!(explain["compared"], explain["wanted"]);
    assert_eq!(lines[2]["schema"], 1);
    let shown = fixture.run(&["search", "number", "--explain"]).stdout;
    let last = shown.lines().last().expect("a line");
    assert!(last.starts_with("  vectors  compared all ") && last.ends_with("found 100 % of the nearest ten"), "{last}");
}

#[test]
fn who_brought_a_text_and_when_is_a_filter_too() {
    let fixture = Fixture::new("review");
    let authors = fixture.git(&["log", "--format=%an", "--reverse"]);
    let author = authors.lines().next().expect("a commit").to_owned();
    let hits = |more: &[&str]| {
        let question = ["search", "opens a connection", "--json", "-k", "50"];
        fixture.json_lines(&[&question[..], more].concat())
    };
    for history in [&["--history"][..], &[]] {
        let all = hits(history).len();
        assert!(all > 3);
        assert_eq!(hits(&[history, &["--since", "2100-01-01"]].concat()).len(), 0);
        assert_eq!(hits(&[history, &["--until", "2100-01-01"]].concat()).len(), all);
        assert_eq!(hits(&[history, &["--author", "nobody of this name"]].concat()).len(), 0);
        assert!(!hits(&[history, &["--author", &author.to_uppercase()]].concat()).is_empty());
    }
    let wrong = fixture.run(&["search", "x", "--since", "tomorrow"]);
    assert_eq!(wrong.code, 2);
}
