//! `precedent review`: facts that are true, claims that are right, citations that resolve.

use serde_json::Value;

use crate::support::{Fixture, Ran, precedent};

/// Every citation, anywhere in a review, as Git sees it.
pub(crate) fn assert_citations_resolve(fixture: &Fixture, review: &Value) -> usize {
    let statements = ["briefing", "findings"].iter().flat_map(|part| review[part].as_array().expect("a list"));
    let mut count = 0;
    for statement in statements {
        let citations = statement["citations"].as_array().expect("a list");
        assert!(!citations.is_empty(), "without evidence: {statement}");
        for citation in citations {
            let commit = citation["commit"].as_str().expect("a commit");
            assert_eq!(fixture.git(&["cat-file", "-t", commit]), "commit");
            let file = fixture.git(&["show", &format!("{commit}:{}", citation["path"].as_str().expect("a path"))]);
            let lines: Vec<&str> = file.lines().collect();
            let (start, end) =
                (citation["lines"][0].as_u64().expect("a line"), citation["lines"][1].as_u64().expect("a line"));
            assert!(start >= 1 && start <= end && end as usize <= lines.len(), "{citation}");
            assert_eq!(lines[start as usize - 1].trim(), citation["quote"].as_str().expect("a quote"), "{citation}");
            count += 1;
        }
    }
    count
}

#[test]
fn the_terminal_shows_facts_and_one_claim_in_eighty_columns() {
    let fixture = Fixture::new("review");
    let ran = fixture.run(&["review", "main..topic"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.lines().all(|line| line.chars().count() <= 80), "{}", ran.stdout);
    insta::assert_snapshot!(ran.stdout);
}

#[test]
fn markdown_says_the_same() {
    let fixture = Fixture::new("review");
    let ran = fixture.run(&["review", "main..topic", "--format", "markdown"]);
    insta::assert_snapshot!(ran.stdout);
}

#[test]
fn a_page_holds_the_claim_the_facts_and_the_diff_and_asks_for_nothing() {
    let fixture = Fixture::new("review");
    let ran = fixture.run(&["review", "main..topic", "--format", "html"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let page = ran.stdout;
    let claim = fixture.json(&["review", "main..topic", "--json"])["findings"][0]["title"]
        .as_str()
        .expect("a title")
        .to_owned();
    let told = claim.split('`').next().expect("words").trim().to_owned();
    // Told at the top, and in its place in the diff.
    assert_eq!(page.matches(told.as_str()).count(), 2, "{told}: {page}");
    for part in [
        "<h2 id=\"facts-title\">",
        "<svg class=\"life\"",
        "class=\"pair\"",
        "<tr class=\"plus\">",
        "default-src 'none'",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    for asking in ["<script", "<link", "<img", "url(", "@import", " src=", "http://"] {
        assert!(!page.contains(asking), "{asking}");
    }
    // Tags close in order.
    let mut open: Vec<&str> = Vec::new();
    for tag in page.split('<').skip(1).map(|rest| rest.split('>').next().unwrap_or("")) {
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap_or("");
        match tag {
            _ if tag.starts_with('!') || tag.ends_with('/') || ["meta"].contains(&name) => {}
            _ if tag.starts_with('/') => assert_eq!(open.pop(), Some(name), "{tag}"),
            _ => open.push(name),
        }
    }
    assert_eq!(open, [""; 0]);
}

#[test]
fn a_page_counts_as_its_sentences_do() {
    let fixture = Fixture::new("review");
    let text = |value: u8| format!("pub fn moved() -> u8 {{\n    let one = {value};\n    one + one\n}}\n");
    (0..4).for_each(|value| fixture.commit("a.rs", &text(value), "step"));
    std::fs::remove_file(fixture.repo().join("a.rs")).expect("a file");
    fixture.commit("b.rs", &text(3), "fix the place of it");
    fixture.commit("b.rs", &text(4), "step");
    std::fs::write(fixture.repo().join("Cargo.lock"), "version = 4\n").expect("a file");
    fixture.commit("b.rs", &text(5), "step");
    let page = fixture.run(&["review", "HEAD~1..HEAD", "--format", "html"]).stdout;
    assert!(page.contains("4 edits") && page.contains(">4 × edited<") && page.contains(">1 × moved<"), "{page}");
    assert!(!page.contains("× fixed"), "it was moved by a fix and not edited: {page}");
    assert!(page.contains("<code>Cargo.lock</code> </summary>"), "nothing in it was counted: {page}");
}

#[test]
fn without_a_range_the_default_branch_is_the_base() {
    let fixture = Fixture::new("review");
    let named = fixture.json(&["review", "main..topic", "--format", "json"]);
    let implied = fixture.json(&["review", "--json"]);
    for part in ["base", "head", "briefing", "findings", "skipped"] {
        assert_eq!(named[part], implied[part], "{part}");
    }
}

#[test]
fn the_change_itself_never_enters_the_store() {
    let fixture = Fixture::new("review");
    fixture.json(&["review", "main..topic", "--json"]);
    let report = fixture.json(&["index", "--json", "--tip", "main"]);
    assert_eq!((report["commits"].as_u64(), report["totals"]["commits"].as_u64()), (Some(0), Some(8)));
}

#[test]
fn the_contract_of_the_json_holds_and_every_citation_resolves() {
    let fixture = Fixture::new("review");
    let review = fixture.json(&["review", "main..topic", "--json"]);
    assert_eq!(review["schema"], 1);
    assert_eq!(review["base"], fixture.git(&["merge-base", "main", "topic"]).as_str());
    assert_eq!(review["head"], fixture.git(&["rev-parse", "topic"]).as_str());
    assert!(review["model"].as_str().is_some_and(|model| model.starts_with("table-")));
    assert!(review["seconds"].is_number());
    assert!(assert_citations_resolve(&fixture, &review) >= 6);

    for fact in review["briefing"].as_array().expect("facts") {
        assert!(
            ["companion", "life", "return", "test", "copy", "review"].contains(&fact["kind"].as_str().expect("a kind"))
        );
        for name in ["node", "about"] {
            assert!(fact[name]["path"].is_string() && fact[name]["symbol"].is_string());
        }
        assert!(fact["text"].is_string() && fact["score"].is_number());
        let [passes, shown] = ["passes", "shown"].map(|key| fact[key].as_bool().expect("a flag"));
        assert!(passes || !shown, "only what passes is open: {fact}");
    }
    let findings = review["findings"].as_array().expect("findings");
    assert_eq!(findings.len(), 1);
    let finding = &findings[0];
    assert_eq!(finding["check"], "stale-doc");
    assert_eq!((finding["path"].as_str(), finding["side"].as_str()), (Some("src/client.rs"), Some("RIGHT")));
    assert_eq!((finding["line"].as_u64(), finding["start_line"].as_u64()), (Some(7), None));
    assert_eq!(finding["severity"], "minor");
    assert_eq!(finding["suggestion"], "/// Gives up after `timeout` seconds without a first byte.");
    let confidence = &finding["confidence"];
    assert_eq!(confidence["basis"], "labels", "{finding}");
    assert!(confidence["value"].as_f64().is_some_and(|value| (0.6..1.0).contains(&value)), "{finding}");
    assert!(confidence["n"].as_u64().is_some_and(|n| n > 0), "{finding}");
}

#[test]
fn a_corrected_documentation_is_not_claimed_to_be_stale() {
    let fixture = Fixture::new("review");
    let path = fixture.repo().join("src/client.rs");
    let fixed = std::fs::read_to_string(&path).expect("the file").replace("`timeout_secs`", "`timeout`");
    fixture.commit("src/client.rs", &fixed, "correct the documentation");
    let review = fixture.json(&["review", "main..topic", "--json"]);
    assert_eq!(review["findings"], serde_json::json!([]));
}

#[test]
fn a_claim_ends_a_run_with_ten_only_when_asked() {
    let fixture = Fixture::new("review");
    let code = |arguments: &[&str]| fixture.run(arguments).code;
    assert_eq!(code(&["review", "main..topic"]), 0);
    assert_eq!(code(&["review", "main..topic", "--fail-on", "minor"]), 10);
    assert_eq!(code(&["review", "main..topic", "--fail-on", "major"]), 0);
}

#[test]
fn nothing_to_say_is_one_line() {
    let fixture = Fixture::new("review");
    fixture.commit("README.md", "A client, for tests.\n", "reword");
    let ran = fixture.run(&["review", "HEAD~1..HEAD"]);
    assert!(ran.stdout.contains("nothing claimed · nothing worth a look"), "{}", ran.stdout);
    let same = fixture.run(&["review", "HEAD..HEAD"]);
    assert!(same.stdout.contains("0 files, 0 nodes changed"), "{}", same.stdout);
    assert!(!same.stderr.contains("note:"), "{}", same.stderr);
}

#[test]
fn a_subject_over_two_lines_is_told_whole() {
    let fixture = Fixture::new("review");
    fixture.commit("a.rs", "pub fn a() {}\n", "add a function\nthat does nothing\n\nNobody asked for it.");
    let shown = fixture.run(&["review", "HEAD~1..HEAD"]).stdout;
    assert!(shown.contains("  add a function that does nothing\n"), "{shown}");
    let shown = fixture.run(&["lineage", "a.rs#a"]).stdout;
    assert!(shown.contains("add a function that does"), "{shown}");
}

#[test]
fn a_head_with_nothing_new_is_told_what_to_type_instead() {
    let fixture = Fixture::new("review");
    fixture.git(&["checkout", "--quiet", "main"]);
    let ran = fixture.run(&["review"]);
    assert!(ran.stderr.contains("note: HEAD has nothing that main lacks"), "{}", ran.stderr);
    assert!(ran.stderr.contains("precedent review HEAD~1..HEAD"), "{}", ran.stderr);

    // What is proposed for work that is not committed reviews it.
    assert!(ran.stderr.contains("precedent review HEAD..$(git stash create)"), "{}", ran.stderr);
    let path = fixture.repo().join("src/client.rs");
    let text = std::fs::read_to_string(&path).expect("a file");
    std::fs::write(&path, format!("{text}\nfn late() {{}}\n")).expect("a file");
    let stash = fixture.git(&["stash", "create"]);
    let review = fixture.json(&["review", &format!("HEAD..{}", stash.trim()), "--json"]);
    assert_eq!(review["files"]["changed"], 1);
}

#[test]
fn a_change_of_more_than_one_commit_says_how_many() {
    let fixture = Fixture::new("review");
    let first = fixture.git(&["rev-parse", "HEAD"]);
    for number in 0..3 {
        fixture.commit("README.md", &format!("Take {number}.\n"), "reword");
    }
    let ran = fixture.run(&["review", &format!("{}..HEAD", first.trim())]);
    assert!(ran.stdout.contains("\n  3 commits, 1 file, "), "{}", ran.stdout);
    let ran = fixture.run(&["review", "HEAD~1..HEAD"]);
    assert!(ran.stdout.contains("\n  1 file, "), "{}", ran.stdout);

    // A shallow clone does not know all of them, and says nothing.
    let range = format!("{}..HEAD", fixture.git(&["rev-parse", "HEAD~2"]).trim());
    let shallow = fixture.beside("shallow");
    let url = format!("file://{}", fixture.repo().display());
    fixture.git(&["clone", "--quiet", "--depth", "3", &url, &shallow.display().to_string()]);
    let ran = Ran::of(precedent(&shallow, &["review", &range]).output().expect("the binary"));
    assert!(ran.stdout.contains("\n  1 file, "), "{} {}", ran.stdout, ran.stderr);
}

#[test]
fn what_cannot_be_read_as_text_is_listed_and_the_rest_is_reviewed() {
    let fixture = Fixture::new("hostile");
    for step in ["HEAD~7..HEAD", "HEAD~1..HEAD"] {
        let review = fixture.json(&["review", step, "--json"]);
        let skipped = review["skipped"].as_array().expect("a list");
        assert!(skipped.iter().any(|left| left["what"] == "huge.md" && left["why"] == "huge"), "{review}");
        assert_eq!(review["partial"], true);
        assert_citations_resolve(&fixture, &review);
    }
}

#[test]
fn hostile_names_do_nothing_on_a_terminal_or_in_markdown() {
    let fixture = Fixture::new("review");
    let odd = "docs/<img src=x> @team \u{202e}`tick`.md";
    let function = |step: usize| format!("pub fn odd(value: usize) -> usize {{\n    value + {step}\n}}\n");
    for step in 0..5 {
        fixture.commit(odd, &format!("text {step}\n"), "only words");
        std::fs::write(fixture.repo().join("odd.rs"), function(step)).expect("a file");
        fixture.git(&["add", "--all"]);
        let author = "--author=Eve `@team [link](x) \u{202e} <eve@example.org>";
        fixture.git(&["commit", "--quiet", "--amend", author, "--message", "fix: \u{1b}[31m <b>@team</b>"]);
    }
    fixture.commit("odd.rs", &function(9), "subject \u{1b}[31m \u{202e}");
    for format in ["terminal", "markdown", "html"] {
        let text = fixture.run(&["review", "HEAD~1..HEAD", "--format", format]).stdout;
        assert!(!text.contains(['\u{202e}', '\u{1b}']), "{text}");
        assert!(text.contains("U+202E"), "{text}");
        assert!(format != "html" || !text.contains("<b>@team") && !text.contains("<img src=x"), "{text}");
        if format == "markdown" {
            insta::assert_snapshot!(text);
        }
    }
}

/// A Python module in two versions, reviewed; the titles of what is claimed.
fn python_claims(before: &str, after: &str) -> Vec<String> {
    let fixture = Fixture::new("review");
    fixture.commit("module.py", before, "before");
    fixture.commit("module.py", after, "after");
    let review = fixture.json(&["review", "HEAD~1..HEAD", "--json"]);
    assert_citations_resolve(&fixture, &review);
    let findings = review["findings"].as_array().expect("a list");
    findings.iter().map(|finding| finding["title"].as_str().expect("a title").to_owned()).collect()
}

#[test]
fn a_parameter_of_python_that_is_gone_and_still_documented_is_claimed() {
    let documented = "def load(path, encoding):\n    \"\"\"Load it.\n\n    :param path: where\n    :param encoding: how\n    \"\"\"\n    return open(path, encoding=encoding).read()\n";
    let removed = documented.replace("(path, encoding):", "(path):").replace(", encoding=encoding", "");
    assert_eq!(
        python_claims(documented, &removed),
        ["the documentation of `load` still names `encoding`, which this change removes"]
    );
    // Used as a name of something else in the body: the words may mean that.
    let kept = documented.replace("(path, encoding):", "(path):").replace("return", "encoding = 'utf-8'\n    return");
    assert_eq!(python_claims(documented, &kept), [""; 0]);
}

#[test]
fn what_can_still_be_passed_by_name_is_not_claimed_to_be_gone() {
    let before = "def outer(limit, other):\n    \"\"\"Do it.\n\n    Args:\n        limit: how many\n    \"\"\"\n    return limit\n";
    let after = before.replace("(limit, other)", "(other, **options)").replace("return limit", "return options");
    assert_eq!(python_claims(before, &after), [""; 0]);
    let after = before.replace("(limit, other)", "(other)").replace("return limit", "return other[\"limit\"]");
    assert_eq!(python_claims(before, &after), [""; 0]);
}

#[test]
fn a_shallow_clone_does_not_say_who_wrote_what_is_older() {
    let fixture = Fixture::new("review");
    let clone = fixture.beside("clone");
    let from = format!("file://{}", fixture.repo().display());
    fixture.git(&["clone", "--quiet", "--depth", "2", "--branch", "topic", &from, &clone.to_string_lossy()]);
    let ran = crate::support::precedent(&clone, &["review", "HEAD~1..HEAD", "--json"]).output().expect("the binary");
    let review: Value = serde_json::from_slice(&ran.stdout).expect("JSON");
    let finding = &review["findings"][0];
    assert_eq!(finding["check"], "stale-doc");
    assert!(!finding["body"].as_str().expect("a body").contains("written in"), "{finding}");
}

#[test]
fn a_file_that_moved_and_changed_is_one_file_with_its_removed_lines() {
    let fixture = Fixture::new("review");
    let text = |name: &str| format!("pub fn {name}() -> u8 {{\n    1\n}}\n\npub fn stays() -> u8 {{\n    2\n}}\n");
    fixture.commit("src/old.rs", &text("before"), "add it");
    fixture.git(&["mv", "src/old.rs", "src/new.rs"]);
    fixture.commit("src/new.rs", &text("after"), "move and change it");
    let review = fixture.json(&["review", "HEAD~1..HEAD", "--json"]);
    assert_eq!(review["files"]["changed"], 1);
    let page = fixture.run(&["review", "HEAD~1..HEAD", "--format", "html"]).stdout;
    assert!(page.contains("was src/old.rs") && page.contains("pub fn before() -&gt; u8"), "{page}");
    assert_eq!(page.matches("<details class=\"file\"").count(), 1);
}

#[test]
fn long_names_stay_within_the_columns() {
    let fixture = Fixture::new("review");
    let path = format!("src/{}/client.rs", ["a_rather_long_name"; 6].join("/"));
    let name = "a_function_with_a_name_that_goes_on_and_on_".repeat(3);
    for value in 0..5 {
        let text =
            format!("pub fn {name}() -> u8 {{\n    {value}\n}}\n\npub fn 数える関数() -> u8 {{\n    {value}\n}}\n");
        fixture.commit(&path, &text, "change it");
    }
    let ran = fixture.run(&["review", "HEAD~1..HEAD"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let is_command = |line: &str| line.trim_start().starts_with("precedent lineage");
    let wide = ran.stdout.lines().filter(|line| !is_command(line)).find(|line| line.chars().count() > 80);
    assert_eq!(wide, None, "{}", ran.stdout);
    assert!(ran.stdout.contains("/client.rs:1") && ran.stdout.contains("数える関数"), "{}", ran.stdout);
    assert!(!ran.stdout.contains('\u{1b}'), "no colour and no link without a terminal");
}

/// Reviews a range in every format, and gives the JSON.
fn reviewed(fixture: &Fixture, range: &str) -> Value {
    for format in ["terminal", "markdown", "html", "sarif", "annotations"] {
        let ran = fixture.run(&["review", range, "--format", format]);
        assert_eq!(ran.code, 0, "{range} {format}: {}", ran.stderr);
    }
    let review = fixture.json(&["review", range, "--json"]);
    assert_citations_resolve(fixture, &review);
    review
}

#[test]
fn changes_without_lines_are_reviewed_and_say_why_nothing_was_looked_into() {
    let fixture = Fixture::new("review");
    fixture.git(&["switch", "--quiet", "main"]);
    fixture.commit("tool.rs", "pub fn tool() {}\n", "add a tool");
    fixture.git(&["update-index", "--chmod=+x", "tool.rs"]);
    fixture.git(&["commit", "--quiet", "--message", "a mode"]);
    let review = reviewed(&fixture, "HEAD~1..HEAD");
    assert_eq!((&review["files"]["changed"], &review["findings"]), (&1.into(), &serde_json::json!([])));

    let commit = fixture.git(&["rev-parse", "HEAD"]);
    fixture.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{commit},vendored")]);
    fixture.git(&["commit", "--quiet", "--message", "a submodule"]);
    std::fs::write(fixture.repo().join("picture.png"), [0_u8, 1, 2, 3]).expect("a file");
    fixture.git(&["add", "picture.png"]);
    fixture.git(&["commit", "--quiet", "--message", "a picture"]);
    let review = reviewed(&fixture, "HEAD~2..HEAD");
    let skipped = review["skipped"].as_array().expect("a list");
    for what in ["vendored", "picture.png"] {
        assert!(skipped.iter().any(|left| left["what"] == what && left["why"] != ""), "{what}: {skipped:?}");
    }
    assert_eq!((&review["files"]["changed"], &review["files"]["reviewed"]), (&2.into(), &0.into()));
}

#[test]
fn a_merge_and_a_base_that_went_on_are_compared_with_where_they_parted() {
    let fixture = Fixture::new("review");
    fixture.git(&["switch", "--quiet", "main"]);
    fixture.commit("src/other.rs", "pub fn other() {}\n", "go on");
    let parted = fixture.git(&["merge-base", "main", "topic"]);
    let review = reviewed(&fixture, "main..topic");
    assert_eq!((&review["base"], &review["files"]["changed"]), (&parted.clone().into(), &1.into()));
    assert_ne!(review["base_tip"], review["base"]);
    fixture.git(&["merge", "--quiet", "--no-ff", "--message", "merge it", "topic"]);
    let merge = reviewed(&fixture, "HEAD~1..HEAD");
    assert_eq!(merge["files"]["changed"], 1);
    assert_eq!(merge["findings"][0]["check"], "stale-doc");
}

#[test]
fn a_history_of_one_commit_and_an_index_of_another_time_will_do() {
    let fixture = Fixture::empty();
    fixture.git(&["init", "--quiet", "--initial-branch", "main"]);
    fixture.commit("a.rs", "pub fn a() {}\n", "begin");
    assert_eq!(reviewed(&fixture, "HEAD~1..HEAD")["files"]["changed"], 1);

    // What the index knows beyond the base makes no difference, and what it lacks it is given.
    let fixture = Fixture::new("review");
    let plain = |mut review: Value| {
        review.as_object_mut().expect("an object").remove("seconds");
        review
    };
    fixture.json(&["index", "--tip", "main~3", "--json"]);
    let from_older = plain(reviewed(&fixture, "main..topic"));
    fixture.json(&["index", "--tip", "topic", "--json"]);
    assert_eq!(plain(reviewed(&fixture, "main..topic")), from_older);
}

#[test]
fn thousands_of_moved_files_are_counted_as_git_counts_them() {
    let fixture = Fixture::new("review");
    fixture.git(&["switch", "--quiet", "main"]);
    std::fs::create_dir(fixture.repo().join("before")).expect("a folder");
    for at in 0..5_000 {
        let path = fixture.repo().join(format!("before/f{at}.rs"));
        std::fs::write(path, format!("pub fn f{at}() -> u32 {{\n    {at}\n}}\n")).expect("a file");
    }
    fixture.git(&["add", "--all"]);
    fixture.git(&["commit", "--quiet", "--message", "add many"]);
    fixture.git(&["mv", "before", "after"]);
    fixture.git(&["commit", "--quiet", "--message", "move them"]);
    let review = fixture.json(&["review", "HEAD~1..HEAD", "--json"]);
    assert_eq!(review["files"]["changed"], 5_000);
    assert_eq!(review["partial"], true);
}

#[test]
fn of_many_findings_the_best_are_shown_and_the_rest_is_said() {
    let fixture = Fixture::new("review");
    let text = |names: &[&str]| -> String {
        (names.iter().enumerate())
            .map(|(at, name)| {
                format!("/// Takes `first_value`.\npub fn f{at}({name}: u8) -> u8 {{\n    {name}\n}}\n\n")
            })
            .collect()
    };
    fixture.commit("src/many.rs", &text(&["first_value"; 6]), "add them");
    let muted = text(&["other_value"; 6]).replacen(
        "/// Takes `first_value`.\n",
        "// precedent: ignore[stale-doc] known\n/// Takes `first_value`.\n",
        1,
    );
    fixture.commit("src/many.rs", &muted, "rename them");
    let review = fixture.json(&["review", "HEAD~1..HEAD", "--json"]);
    let findings = review["findings"].as_array().expect("a list");
    assert_eq!(findings.len(), 3, "{findings:?}");
    assert!(
        findings.iter().all(|finding| !finding["title"].as_str().expect("a title").contains("`f0`")),
        "{findings:?}"
    );
    let skipped = review["skipped"].as_array().expect("a list");
    assert!(skipped.iter().any(|left| left["what"] == "2 more findings"), "{skipped:?}");
}

#[test]
fn checks_made_of_facts_speak_when_they_are_asked_to() {
    let fixture = Fixture::new("review");
    // What is alike in one directory is no duplicate.
    fixture.git(&["switch", "--quiet", "topic"]);
    let copy = fixture.git(&["show", "main:src/retry.rs"]).replace("backoff", "pause");
    fixture.commit("tools/pause.rs", &copy, "pause before the next one");
    for (check, is_said) in [("duplicate", true), ("companion", true), ("undoes-a-fix", false)] {
        fixture.git(&["switch", "--quiet", "main"]);
        let speak = format!("speak = [\"{check}\"]\nmute = [\"stale-doc\"]\n");
        fixture.commit("precedent.toml", &speak, "let one speak");
        fixture.git(&["rebase", "--quiet", "main", "topic"]);
        let review = fixture.json(&["review", "main..topic", "--json"]);
        let findings = review["findings"].as_array().expect("a list");
        assert_eq!(!findings.is_empty(), is_said, "{check}: {findings:?}");
        assert!(findings.iter().all(|finding| finding["check"] == check), "{check}: {findings:?}");
    }
}

/// A near-copy that meets all rules is told where one looks, and one that does not in the JSON alone.
#[test]
fn a_near_copy_that_passes_is_open_wherever_it_is_told() {
    let fixture = Fixture::new("review");
    fixture.git(&["switch", "--quiet", "topic"]);
    let copy = fixture.git(&["show", "main:src/retry.rs"]).replace("backoff", "pause");
    fixture.commit("tools/pause.rs", &copy, "pause before the next one");
    let review = fixture.json(&["review", "main..topic", "--json"]);
    let facts = review["briefing"].as_array().expect("facts");
    let copies: Vec<(&str, &Value, &Value)> = facts
        .iter()
        .filter(|fact| fact["kind"] == "copy")
        .map(|fact| (fact["about"]["symbol"].as_str().expect("a name"), &fact["passes"], &fact["shown"]))
        .collect();
    let (yes, no) = (Value::Bool(true), Value::Bool(false));
    assert_eq!(copies, [("pause", &yes, &yes), ("reconnect_delay", &no, &no)]);
    // As it is told in one form and another, by the share of the tokens.
    let (open, folded) = ("98 % like", "97 % like");
    for format in ["terminal", "markdown", "html"] {
        let told = fixture.run(&["review", "main..topic", "--format", format]).stdout;
        assert!(told.contains(open) && !told.contains(folded), "{format}: {told}");
        let (before, _) = told.split_once(open).expect("because it is there");
        assert!(
            !before.contains("<details>") || before.rfind("</details>") > before.rfind("<details>"),
            "{format}: {told}"
        );
    }
}

#[test]
fn what_a_very_large_change_leaves_out_is_said() {
    let fixture = Fixture::new("review");
    for file in 0..260 {
        std::fs::write(fixture.repo().join(format!("many_{file}.rs")), format!("pub fn many_{file}() {{}}\n"))
            .expect("a file");
    }
    fixture.commit("one.rs", "pub fn one() {}\n", "very many files");
    let review = fixture.json(&["review", "HEAD~1..HEAD", "--json"]);
    let skipped: Vec<&str> =
        review["skipped"].as_array().expect("a list").iter().map(|left| left["what"].as_str().expect("text")).collect();
    assert_eq!(skipped, ["the companions of 61 files", "the past of 61 nodes"]);
    let terminal = fixture.run(&["review", "HEAD~1..HEAD"]).stdout;
    assert!(terminal.contains("left out: the companions of 61 files (the change is very large)"), "{terminal}");
}

#[test]
fn a_change_of_a_hundred_thousand_lines_is_bounded_and_says_what_it_left_out() {
    let fixture = Fixture::new("review");
    fixture.git(&["switch", "--quiet", "main"]);
    for file in 0..50 {
        let text: String = (0..500)
            .map(|at| format!("pub fn many_{file}_{at}(x: u32) -> u32 {{\n    x * {at} + {file}\n}}\n\n"))
            .collect();
        std::fs::write(fixture.repo().join(format!("many_{file}.rs")), text).expect("a file");
    }
    fixture.git(&["add", "--all"]);
    fixture.git(&["commit", "--quiet", "--message", "very many lines"]);
    assert!(fixture.git(&["diff", "--shortstat", "HEAD~1"]).contains("100000 insertions"));
    let review = fixture.json(&["review", "HEAD~1..HEAD", "--json"]);
    assert_eq!((&review["files"]["reviewed"], &review["partial"]), (&50.into(), &true.into()));
    let skipped = review["skipped"].as_array().expect("a list");
    assert!(skipped.iter().any(|left| left["what"] == "the past of 24800 nodes"), "{skipped:?}");
    let page = fixture.run(&["review", "HEAD~1..HEAD", "--format", "html"]).stdout;
    assert!(page.contains("are left out here: the change is very large.") && page.len() < 4 << 20, "{}", page.len());
}

#[test]
fn a_root_commit_is_reviewed_against_nothing() {
    let fixture = Fixture::new("review");
    let root = fixture.git(&["rev-list", "--max-parents=0", "HEAD"]);
    let empty = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
    for base in [empty.to_owned(), format!("{root}^"), format!("{root}~1")] {
        let review = fixture.json(&["review", &format!("{base}..{root}"), "--json"]);
        assert_eq!((review["base"].as_str(), review["head"].as_str()), (Some(empty), Some(root.as_str())));
        let briefing = review["briefing"].as_array().expect("facts");
        assert!(briefing.is_empty(), "nothing is known before the first commit: {briefing:?}");
    }
    let review = fixture.json(&["review", &format!("{root}^!"), "--json"]);
    assert_eq!((review["base"].as_str(), review["head"].as_str()), (Some(empty), Some(root.as_str())));
    let one = fixture.json(&["review", "HEAD^!", "--json"]);
    assert_eq!(one["base"], fixture.git(&["rev-parse", "HEAD~1"]));
    // A parent that is missing elsewhere is still an error.
    assert_eq!(fixture.run(&["review", &format!("{root}^..HEAD")]).code, 3);
}

#[test]
fn a_commit_that_says_nothing_is_said_to() {
    let fixture = Fixture::new("review");
    std::fs::write(fixture.repo().join("src/client.rs"), "pub fn f() {\n    1\n}\n").expect("a file");
    fixture.git(&["add", "."]);
    fixture.git(&["commit", "--quiet", "--allow-empty-message", "-m", ""]);
    let shown = fixture.run(&["review", "HEAD^!"]).stdout;
    assert!(
        shown.starts_with("  ") && shown.lines().next().is_some_and(|line| line.ends_with("  (no message)")),
        "{shown}"
    );
    assert!(fixture.run(&["review", "HEAD^!", "--format", "html"]).stdout.contains("<h1>(no message)</h1>"));
    assert!(fixture.run(&["lineage", "src/client.rs#f"]).stdout.contains("(no message) ("));
}

#[test]
fn what_is_told_next_has_a_name() {
    let fixture = Fixture::new("review");
    let file = |line: &str| format!("use b;\n{line}static A: u8 = 1;\n\npub fn f() {{}}\n");
    fixture.commit("top.rs", &file(""), "begin");
    fixture.commit("top.rs", &file("use crash::Handler as Guarded;\n"), "fix a crash");
    fixture.commit("top.rs", &file(""), "simplify");
    let shown = fixture.run(&["review", "HEAD^!"]).stdout;
    assert!(shown.contains("(top)") && !shown.contains("more:"), "{shown}");
}

#[test]
fn findings_are_sarif_and_annotations_for_those_who_want_no_comments() {
    let fixture = Fixture::new("review");
    let log = fixture.json(&["review", "main..topic", "--format", "sarif"]);
    // For `tests/sarif.sh`, which holds them against the schema.
    let kept = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("sarif");
    std::fs::create_dir_all(&kept).expect("a folder");
    std::fs::write(kept.join("findings.sarif"), log.to_string()).expect("written");
    let nothing = fixture.run(&["review", "main..main", "--format", "sarif"]);
    std::fs::write(kept.join("nothing.sarif"), &nothing.stdout).expect("written");
    let result = &log["runs"][0]["results"][0];
    assert_eq!(
        (&log["version"], &result["ruleId"], &result["level"]),
        (&"2.1.0".into(), &"stale-doc".into(), &"warning".into())
    );
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(
        (&place["artifactLocation"]["uri"], &place["region"]["startLine"]),
        (&"src/client.rs".into(), &7.into())
    );
    assert!(result["relatedLocations"].as_array().is_some_and(|places| !places.is_empty()));

    let ran = fixture.run(&["review", "main..topic", "--format", "annotations"]);
    assert!(
        ran.stdout.starts_with("::warning file=src/client.rs,line=7,endLine=7,title=stale-doc%3A the "),
        "{}",
        ran.stdout
    );
    assert_eq!(ran.stdout.lines().count(), 1);
}
