//! `precedent search`: by meaning, at a commit, over history.

use std::io::Write;
use std::process::Stdio;

use crate::support::{Fixture, Ran, import, precedent, stream_commit};

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

/// A function of a few lines about this, so that what becomes of it can be followed.
fn function(name: &str, about: &str) -> String {
    let lines: String =
        (0..4).map(|at| format!("    let {about}_{at} = {about}.take({at}).{about}_of({name:?});\n")).collect();
    format!("fn {name}({about}: &mut {about}) {{\n{lines}    {about}.end()\n}}\n")
}

#[test]
fn a_name_that_passes_to_another_node_is_two_nodes() {
    // `old` gets another name, and later another function is called so; two functions swap their names.
    let fixture = Fixture::empty();
    let (boat, tree) = ("boat", "tree");
    let mut stream = Vec::new();
    let none = || "fn none() {}\n".to_owned();
    let versions = [
        [function("old", "hinge"), function("left", boat), function("right", tree), none()],
        [function("new", "hinge"), function("aside", boat), function("right", tree), none()],
        [function("new", "hinge"), function("aside", boat), function("left", tree), none()],
        [function("new", "hinge"), function("right", boat), function("left", tree), none()],
        [function("new", "hinge"), function("right", boat), function("left", tree), function("old", "paint")],
        [function("new", "hinge"), function("right", boat), none(), function("old", "paint")],
    ];
    for (at, functions) in versions.iter().enumerate() {
        stream_commit(&mut stream, &format!("{}", 1_710_000_000 + at), "next", &[("a.rs", &functions.join("\n"))]);
    }
    import(&fixture, &stream);
    let commits = fixture.git(&["rev-list", "--reverse", "HEAD"]);
    let commits: Vec<&str> = commits.lines().collect();
    let hits = fixture.json_lines(&["search", "what is taken", "--history", "--json", "-k", "50"]);
    // What a node was about, with its first commit and its last one, its versions, and whether it stands.
    let lives = [("hinge", 0, 1, 2, true), ("boat", 0, 3, 3, true), ("tree", 0, 5, 2, false), ("paint", 4, 4, 1, true)];
    for (about, first, last, versions, alive) in lives {
        let of: Vec<_> = hits.iter().filter(|hit| hit["text"].as_str().expect("text").contains(about)).collect();
        assert_eq!(of.len(), 1, "{about}: {hits:?}");
        let life = (&of[0]["first_commit"], &of[0]["last_commit"], &of[0]["versions"], &of[0]["alive"]);
        assert_eq!(life, (&commits[first].into(), &commits[last].into(), &versions.into(), &alive.into()), "{about}");
    }
    let names: std::collections::HashSet<_> = hits.iter().map(|hit| hit["lineage"].as_str().expect("a name")).collect();
    assert_eq!(names.len(), hits.len());
}

#[test]
fn what_comes_back_in_its_place_is_the_same_node_also_if_it_was_changed() {
    let fixture = Fixture::empty();
    let changed = |name: &str, about: &str| function(name, about).replace("end()", "close()");
    let (stays, other) = ("fn stays() {}\n".to_owned(), "fn taken() -> u64 {\n    7 + 11\n}\n".to_owned());
    let versions = [
        [stays.clone(), function("kept", "hinge"), function("taken", "boat")].join("\n"),
        stays.clone(),
        [stays, changed("kept", "hinge"), other].join("\n"),
    ];
    let mut stream = Vec::new();
    for (at, text) in versions.iter().enumerate() {
        stream_commit(&mut stream, &format!("{}", 1_710_000_000 + at), "next", &[("a.rs", text)]);
    }
    import(&fixture, &stream);
    let hits = fixture.json_lines(&["search", "what is taken", "--history", "--json", "-k", "50"]);
    let of = |symbol: &str| hits.iter().filter(|hit| hit["symbol"] == symbol).collect::<Vec<_>>();
    let kept = of("kept");
    assert_eq!(kept.len(), 1, "{hits:?}");
    assert_eq!((&kept[0]["versions"], &kept[0]["alive"]), (&2.into(), &true.into()));
    assert_eq!(of("taken").len(), 2, "another function took its name: {hits:?}");
}

#[test]
fn as_many_come_back_as_are_asked_for_and_exist() {
    const VERSIONS: usize = 700;
    const OTHERS: usize = 12;
    let fixture = Fixture::empty();
    let mut stream = Vec::new();
    let others: String = (0..OTHERS).map(|at| format!("fn leaf_{at}() -> u32 {{\n    {at}\n}}\n\n")).collect();
    for at in 0..VERSIONS {
        let family = function("retry", "connection").replace("end()", &format!("connect_again({at})"));
        let files = [("near.rs", family.as_str()), ("far.rs", &others)];
        stream_commit(&mut stream, &format!("{}", 1_710_000_000 + at), "again", &files[..if at == 0 { 2 } else { 1 }]);
    }
    import(&fixture, &stream);
    let ask = |more: &[&str]| {
        let question = ["search", "retry the connection: connect again", "--history", "--json", "-k", "10"];
        fixture.json_lines(&[&question[..], more].concat())
    };
    let hits = ask(&[]);
    assert_eq!(hits.len(), 10);
    assert_eq!((&hits[0]["symbol"], &hits[0]["versions"]), (&"retry".into(), &VERSIONS.into()));
    // Under 2 % of all texts are left by this filter.
    let hits = ask(&["--path", "far.rs"]);
    assert!(hits.len() == 10 && hits.iter().all(|hit| hit["path"] == "far.rs"));
    assert_eq!(ask(&["--all-versions", "--path", "near.rs"]).len(), 10);
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
    let question = ["search", "opens a connection", "--json", "-k", "5"];
    let ask = || [&[][..], &["--history"]].map(|more| fixture.json_lines(&[&question, more].concat()));
    let expected = ask();
    let [lexical, places, nodes] = ["lexical", "places", "nodes"].map(|name| fixture.store().join(name));
    assert!(lexical.join("texts/meta.json").is_file());
    for folder in [&places, &nodes] {
        assert_eq!(std::fs::read_dir(folder).expect("a folder").count(), 1);
    }
    assert_eq!(ask(), expected, "from the files");
    for folder in [lexical.join("texts"), places.clone(), nodes.clone()] {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            std::fs::write(entry.expect("an entry").path(), "\0").expect("a file");
        }
        assert_eq!(ask(), expected, "{}", folder.display());
    }
    for folder in [&lexical, &places, &nodes] {
        std::fs::remove_dir_all(folder).expect("removed");
        std::fs::write(folder, "in the way").expect("a file");
    }
    assert_eq!(ask(), expected, "the cache does as well");
    assert!(fixture.json(&["store", "check", "--json"])["ok"].as_bool().expect("a verdict"));
}

#[test]
fn several_searches_at_once_share_what_is_derived() {
    let fixture = Fixture::new("review");
    fixture.json(&["index", "--json"]);
    let arguments = ["search", "opens a connection", "--json", "-k", "5"];
    let at_once = || {
        let mut searches = Vec::new();
        for _ in 0..4 {
            let mut command = precedent(&fixture.repo(), &arguments);
            searches.push(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary"));
        }
        let mut answers = Vec::new();
        for search in searches {
            let ran = Ran::of(search.wait_with_output().expect("an end"));
            assert!(ran.code == 0 && ran.stdout.lines().count() == 5, "{ran:?}");
            answers.push(ran.stdout);
        }
        let one = fixture.run(&arguments).stdout;
        assert!(answers.iter().all(|answer| *answer == one), "{answers:?}");
    };
    at_once();
    let meta = || std::fs::read_to_string(fixture.store().join("lexical/texts/meta.json")).expect("an index");
    let segments = |meta: &str| serde_json::from_str::<serde_json::Value>(meta).expect("JSON")["segments"].clone();
    let before = segments(&meta());
    fixture.git(&["checkout", "--quiet", "--force", "main"]);
    fixture.commit("src/more.rs", "pub fn connection_count() -> usize {\n    12\n}\n", "count");
    at_once();
    let after = segments(&meta());
    let of = |segments: &serde_json::Value| segments.as_array().expect("a list").clone();
    assert!(of(&after).len() == of(&before).len() + 1, "{after}");
    assert!(of(&before).iter().all(|segment| of(&after).contains(segment)), "what was counted stays: {after}");
    assert!(!fixture.beside("cache").join("precedent").exists(), "nobody had to keep words elsewhere");
}

#[test]
fn the_trees_asked_about_last_are_kept() {
    let fixture = Fixture::new("many");
    let history = fixture.git(&["rev-list", "HEAD"]);
    let others: Vec<&str> = history.lines().skip(1).take(8).collect();
    let ask = |more: &[&str]| assert_eq!(fixture.run(&[&["search", "x y", "--json"], more].concat()).code, 0);
    ask(&[]);
    let places = fixture.store().join("places");
    let names = || -> Vec<_> {
        std::fs::read_dir(&places).expect("a folder").map(|entry| entry.expect("an entry").file_name()).collect()
    };
    let head = names();
    assert_eq!(head.len(), 1);
    others[..7].iter().for_each(|other| ask(&["--as-of", other]));
    ask(&[]);
    ask(&["--as-of", others[7]]);
    assert!(names().len() == 8 && names().contains(&head[0]), "it was asked about again");
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
    assert!(fixture.run(&["search", "number", "--path", "nowhere/**"]).stdout.starts_with("  nothing found"));
}

#[test]
fn where_filters_leave_nothing_that_is_said() {
    let fixture = Fixture::new("review");
    let said = |more: &[&str]| fixture.run(&[&["search", "connect"], more].concat()).stdout;
    let shown = said(&["--path", "no/such/**"]);
    assert_eq!(shown, "  nothing found: nothing passes the filters; paths are from the root of the repository\n");
    assert_eq!(said(&["--lang", "zig"]), "  nothing found: nothing passes the filters\n");
}

#[test]
fn an_explanation_follows_when_it_is_asked_for() {
    let fixture = Fixture::new("numeric");
    let lines = fixture.json_lines(&["search", "number", "--json", "-k", "2", "--explain"]);
    let explain = &lines[2]["explain"];
    assert_eq!((&explain["method"], &explain["recall"]), (&"exact".into(), &1.0.into()), "{explain}");
    assert_eq!(explain["compared"], explain["wanted"]);
    assert_eq!(explain["kind"], "symbol");
    assert_eq!(explain["worded"], 0, "no text holds the word");
    let named = fixture.json_lines(&["search", "sqrt", "--json", "-k", "1", "--explain"]);
    assert_eq!(named[1]["explain"]["worded"], 1, "{named:?}");
    assert_eq!(lines[2]["schema"], 1);
    let shown = fixture.run(&["search", "number", "--explain"]).stdout;
    let last = shown.lines().last().expect("a line");
    assert!(shown.contains("\n  question taken for a name; "), "{shown}");
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

#[test]
fn who_brought_a_text_is_asked_of_the_node_that_stands_there_as_known_then() {
    let fixture = Fixture::empty();
    let mut stream = Vec::new();
    stream_commit(&mut stream, "1710000000", "one", &[("a.rs", &function("boat", "hull"))]);
    import(&fixture, &stream);
    fixture.git(&["reset", "--quiet", "--hard"]);
    let first = fixture.git(&["rev-parse", "HEAD"]);
    let text = function("boat", "hull");
    std::fs::write(fixture.repo().join("b.rs"), &text).expect("a file");
    std::fs::create_dir(fixture.repo().join("moved")).expect("a folder");
    fixture.git(&["add", "--all"]);
    fixture.git(&["commit", "--quiet", "--message", "two", "--author", "Bob <bob@example.org>"]);
    fixture.git(&["mv", "a.rs", "moved/c.rs"]);
    fixture.git(&["commit", "--quiet", "--message", "three", "--author", "Cy <cy@example.org>"]);
    // All of it is indexed before anything is asked.
    assert_eq!(fixture.json(&["index", "--json"])["commits"], 3);
    let paths = |more: &[&str]| {
        let hits = fixture.json_lines(&[&["search", "the boat", "--json"], more].concat());
        let mut paths: Vec<String> = hits.iter().map(|hit| hit["path"].as_str().expect("a path").to_owned()).collect();
        paths.sort_unstable();
        paths
    };
    assert_eq!(paths(&["--as-of", &first, "--author", "bob"]), [""; 0], "he copied it only later");
    assert_eq!(paths(&["--as-of", &first, "--author", "ada"]), ["a.rs"]);
    assert_eq!(paths(&["--author", "bob"]), ["b.rs"], "the other one is not his");
    assert_eq!(paths(&["--author", "ada"]), ["moved/c.rs"], "wherever it was moved to");
}
