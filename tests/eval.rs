//! `precedent eval`: retrieval measured on a repository's own words.

use serde_json::Value;

use crate::support::{Fixture, keys};

#[track_caller]
fn check_figures(report: &Value) {
    let baselines = ["bm25", "hybrid", "vectors"];
    assert_eq!(keys(&report["baselines"]), baselines);
    for way in baselines.map(|name| &report["baselines"][name]).into_iter().chain([&report["metrics"]]) {
        assert_eq!(keys(way), ["mrr@10", "ndcg@10", "recall@10", "success@10"]);
        for name in keys(way) {
            let part = |end: &str| way[name][end].as_f64().expect("a number");
            let (low, value, high) = (part("low"), part("value"), part("high"));
            assert!(0.0 <= low && low <= value && value <= high && high <= 1.0, "{name}: {report}");
        }
    }
}

#[test]
fn documentation_finds_its_function() {
    let fixture = Fixture::new("review");
    let report = fixture.json(&["eval", "doc-search", "--json"]);
    assert_eq!(keys(&report), ["baselines", "candidates", "metrics", "queries", "repo", "schema", "task"]);
    assert_eq!((&report["schema"], &report["task"]), (&1.into(), &"doc-search".into()));
    assert!(report["queries"].as_u64().expect("a number") > 0);
    check_figures(&report);
    // The same again, and with another draw of all there are.
    assert_eq!(report, fixture.json(&["eval", "doc-search", "--json"]));
    let shown = fixture.run(&["eval", "doc-search"]).stdout;
    assert!(shown.contains("hybrid") && shown.lines().all(|line| line.len() <= 80), "{shown}");
}

/// What documents a function is asked and not searched, and a sentence that names its function is not asked.
#[test]
fn documentation_is_removed_from_what_is_searched() {
    let fixture = Fixture::empty();
    fixture.git(&["init", "--quiet", "--initial-branch", "main"]);
    let source = "/// Counts the pears of every basket together\n\
                  pub fn tally(list: &[u32]) -> u32 {\n    list.iter().sum()\n}\n\n\
                  /// Puts plums into order by weight\n\
                  pub fn arrange(plums: &mut Vec<u32>) {\n    plums.sort_by_key(|weight| *weight);\n}\n\n\
                  /// Has the careful mix paint makes in a bucket\n\
                  pub fn mix_paint() -> u32 {\n    7\n}\n";
    fixture.commit("src/lib.rs", source, "Add some functions");
    let report = fixture.json(&["eval", "doc-search", "--json"]);
    assert_eq!((&report["queries"], &report["candidates"]), (&2.into(), &3.into()), "{report}");
    // Pears are in the documentation alone, so words find one of two functions.
    assert_eq!(report["baselines"]["bm25"]["recall@10"]["value"], 0.5, "{report}");
}

#[test]
fn each_signal_is_left_out_in_turn() {
    let fixture = Fixture::new("review");
    let report = fixture.json(&["eval", "doc-search", "--json", "--among-all", "--ablate"]);
    let gains = report["ablations"].as_object().expect("an object");
    let mut signals = precedent_pipeline::search::SIGNALS.to_vec();
    signals.sort_unstable();
    assert_eq!(keys(&report["ablations"]), signals);
    let gain = |signal: &str| gains[signal]["mrr@10"]["value"].as_f64().expect("a number");
    assert!(signals.iter().all(|signal| gain(signal).abs() <= 1.0), "{report}");
    // Nothing is asked of history here, and something else makes a difference.
    assert_eq!((gain("said"), gain("churn"), gain("recent")), (0.0, 0.0, 0.0));
    assert!(signals.iter().any(|signal| gain(signal) != 0.0), "{report}");
    assert_eq!(report["metrics"], fixture.json(&["eval", "doc-search", "--json", "--among-all"])["metrics"]);
    let shown = fixture.run(&["eval", "doc-search", "--among-all", "--ablate"]).stdout;
    let told = |signal: &&str| shown.lines().any(|line| line.split_whitespace().next() == Some(signal));
    assert!(signals.iter().all(told) && shown.lines().all(|line| line.len() <= 80), "{shown}");
}

/// Types, tests and sections are among what is searched if that is wanted, and asked for by nobody.
#[test]
fn functions_are_found_among_all_else() {
    let fixture = Fixture::empty();
    fixture.git(&["init", "--quiet", "--initial-branch", "main"]);
    let source = "/// Counts the pears of every basket together\n\
                  pub fn tally(list: &[u32]) -> u32 {\n    list.iter().sum()\n}\n\n\
                  /// Holds plums of one size\n\
                  pub struct Crate {\n    plums: u32,\n}\n";
    fixture.commit("src/lib.rs", source, "Add a function");
    fixture.commit("README.md", "# Fruit\n\nWhat weighs pears.\n", "Say what it is");
    let of = |more: &[&str]| fixture.json(&[&["eval", "doc-search", "--json"], more].concat());
    let (functions, all) = (of(&[]), of(&["--among-all"]));
    assert_eq!((&functions["queries"], &functions["candidates"]), (&1.into(), &1.into()), "{functions}");
    assert_eq!((&all["queries"], &all["candidates"]), (&1.into(), &3.into()), "{all}");
}

#[test]
fn messages_find_what_they_changed() {
    let fixture = Fixture::new("review");
    let report = fixture.json(&["eval", "message-search", "--json"]);
    assert_eq!(report["task"], "message-search");
    assert!(report["queries"].as_u64().expect("a number") > 0);
    check_figures(&report);
}

#[test]
fn questions_are_answered_at_their_commit() {
    let fixture = Fixture::new("numeric");
    let head = fixture.git(&["rev-parse", "HEAD"]);
    let ask = |lines: &str| {
        let file = fixture.repo().join("questions.jsonl");
        std::fs::write(&file, lines).expect("a file");
        vec!["eval", "questions", "--json", "--questions"]
            .into_iter()
            .map(str::to_owned)
            .chain([file.display().to_string()])
            .collect::<Vec<_>>()
    };
    let good = format!(
        "{{\"commit\":\"{head}\",\"question\":\"parse a header\",\"gold\":[{{\"path\":\"src/text.rs\",\"name\":\"parse_header\",\"line\":3}}]}}\n"
    );
    let arguments = ask(&good);
    let report = fixture.json(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!((&report["queries"], &report["metrics"]["mrr@10"]["value"]), (&1.into(), &1.0.into()), "{report}");
    check_figures(&report);
    let root = fixture.git(&["rev-list", "--max-parents=0", "HEAD"]);
    let arguments = ask(&format!("{good}{}", good.replace(&head, &root)));
    let ran = fixture.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("note: 1 of 2 questions are about other commits"), "{}", ran.stderr);

    for (lines, said, expected) in [
        ("{\"question\":1}\n".to_owned(), "line 1 of", 2),
        (good.replace(&head, &"0".repeat(40)), "is about a commit of this repository", 3),
        (good.replace("parse_header", "nobody"), "gives no queries", 3),
    ] {
        let arguments = ask(&lines);
        let ran = fixture.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(ran.stderr.contains(said) && ran.code == expected, "{}: {}", ran.code, ran.stderr);
    }
}

/// A near-copy is listed at the step that brought it, beside what stood at its base; that the pattern has grown since, and that
/// its original is gone, is not known then.
#[test]
fn near_copies_are_those_that_a_review_of_the_step_would_show() {
    let fixture = Fixture::empty();
    fixture.git(&["init", "--quiet", "--initial-branch", "main"]);
    let function = |name: &str, divisor: u32| {
        format!(
            "pub fn {name}(list: &[u32]) -> u32 {{\n    let mut sum = 0;\n    let mut most = 0;\n    for item in list {{\n        \
             if *item > most {{\n            most = *item;\n        }}\n        sum += *item / {divisor};\n    }}\n    \
             if sum > most {{\n        return sum - most;\n    }}\n    most\n}}\n"
        )
    };
    fixture.commit("src/pears.rs", &function("weigh_pears", 3), "Weigh pears");
    fixture.commit("lib/plums.rs", &function("price_plums", 5), "Price plums");
    fixture.commit("src/words.rs", "pub fn short() -> u32 {\n    7\n}\n", "Add what is too short");
    fixture.commit("app/figs.rs", &function("count_figs", 7), "Count figs");
    fixture.commit("src/pears.rs", "\n", "Take pears out");
    let lines = fixture.json_lines(&["eval", "copies", "--queries", "50"]);
    let (summary, copies) = lines.split_last().expect("a summary");
    assert_eq!(
        (&summary["steps"], &summary["asked"], &summary["shown"]),
        (&5.into(), &2.into(), &1.into()),
        "of figs there were two already: {lines:?}"
    );
    let [copy] = copies else { panic!("{copies:?}") };
    assert_eq!(copy["about"]["symbol"], "price_plums");
    assert_eq!((&copy["like"]["path"], &copy["like"]["symbol"]), (&"src/pears.rs".into(), &"weigh_pears".into()));
    assert_eq!(copy["commit"].as_str(), Some(fixture.git(&["rev-parse", "HEAD~3"]).trim()));
    assert_eq!(copy["base"].as_str(), Some(fixture.git(&["rev-parse", "HEAD~4"]).trim()));
    assert_eq!((copy["lines"][0].as_u64(), copy["like_lines"][1].as_u64()), (Some(1), Some(14)));
}

/// A move is no copy, in a change that is so large that the file's old place was not looked into.
#[test]
fn a_function_that_a_large_change_moves_is_no_near_copy() {
    // As many files as a change may have to be looked into, one in two places.
    const FILES: usize = 1_001;
    let fixture = Fixture::empty();
    fixture.git(&["init", "--quiet", "--initial-branch", "main"]);
    let old = fixture.repo().join("place");
    std::fs::create_dir_all(&old).expect("a folder");
    for at in 0..FILES {
        std::fs::write(old.join(format!("{at:04}.txt")), format!("{at}\n")).expect("a file");
    }
    let sum: String = (0..9).map(|at| format!("    let part_{at} = list[{at}] * {at};\n")).collect();
    let function = format!("pub fn weigh(list: &[u32]) -> u32 {{\n{sum}    part_0 + part_8\n}}\n");
    fixture.commit("place/weigh.rs", &function, "Weigh");
    std::fs::create_dir_all(fixture.repo().join("new")).expect("a folder");
    fixture.git(&["mv", "place", "new/deep"]);
    fixture.git(&["mv", "new/deep/weigh.rs", "new/deep/heft.rs"]);
    fixture.git(&["commit", "--quiet", "--message", "Move everything"]);
    fixture.commit("other/scale.rs", &function, "Weigh elsewhere");
    let lines = fixture.json_lines(&["eval", "copies", "--queries", "50"]);
    let (summary, copies) = lines.split_last().expect("a summary");
    assert_eq!((&summary["asked"], &summary["shown"]), (&2.into(), &1.into()), "{lines:?}");
    assert_eq!(copies[0]["about"]["path"], "other/scale.rs", "a copy is one");
}

/// What another name has must be the same but for a word or two, documentation is no code, and a bundle is nobody's work.
#[test]
fn a_near_copy_is_shown_by_its_name_its_code_and_its_place() {
    let fixture = Fixture::empty();
    fixture.git(&["init", "--quiet", "--initial-branch", "main"]);
    let rust = |name: &str, most: &str| {
        let sum: String = (0..8).map(|at| format!("    let {most}_{at} = list[{at}] * {at};\n")).collect();
        format!(
            "pub fn {name}(list: &[u32]) -> u32 {{\n{sum}    let left = list[8] * 8;\n    let right = list[9] * 9;\n    left + right\n}}\n"
        )
    };
    let push: String = (0..12).map(|at| format!("  out.push(rows.get('k{at}').price + base);\n")).collect();
    let script = format!("function weigh(rows, base, out) {{\n{push}  return out.length;\n}}\n");
    let python = "def weigh(items):\n    \"\"\"\n    Weighs all items,\n    one after the other,\n    as the scales have it.\n    \"\"\"\n    total = sum(item.weight * item.count for item in items)\n    most = max(item.weight * item.count for item in items)\n    return total - most\n";
    fixture.commit("src/first.rs", &rust("weigh", "part"), "Weigh");
    fixture.commit("src/scale.js", &script, "Weigh in a script");
    fixture.commit("tools/scale.py", python, "Weigh in Python");
    fixture.commit("app/renamed.rs", &rust("price", "share"), "Price, which is formed alike");
    fixture.commit("web/dist/all.js", &script, "Build");
    fixture.commit("more/short.py", python, "Weigh again in three lines");
    let none = fixture.json_lines(&["eval", "copies", "--queries", "50"]);
    assert_eq!(none.last().expect("a summary")["shown"], 0, "{none:?}");
    fixture.commit("app/renamed.rs", "\n", "Take prices out");
    fixture.commit("lib/second.rs", &rust("weigh", "share"), "Weigh elsewhere");
    let lines = fixture.json_lines(&["eval", "copies", "--queries", "1"]);
    assert_eq!(lines[0]["about"]["path"], "lib/second.rs", "{lines:?}");
}

/// Files of one directory are written in view of each other, and nobody keeps in step what is on its way out.
#[test]
fn a_near_copy_stands_elsewhere_and_is_there_to_stay() {
    let fixture = Fixture::empty();
    fixture.git(&["init", "--quiet", "--initial-branch", "main"]);
    let function = |name: &str| {
        let sum: String =
            (0..12).map(|at| format!("    let {name}_{at} = {name}_of_{at}({name}_row, {name}_base);\n")).collect();
        format!("pub fn {name}(list: &[u32]) -> u32 {{\n{sum}    {name}_0 + {name}_11\n}}\n")
    };
    fixture.commit("src/first.rs", &function("weigh"), "Weigh");
    fixture.commit("src/second.rs", &function("weigh"), "Weigh beside it");
    fixture.commit("app/cost.rs", &function("price"), "Price");
    fixture.commit("old/pay/fee.rs", &function("price"), "Keep it");
    let none = fixture.json_lines(&["eval", "copies", "--queries", "50"]);
    let summary = none.last().expect("a summary");
    assert_eq!((&summary["asked"], &summary["shown"]), (&3.into(), &0.into()), "{none:?}");
    fixture.commit("app/bill.rs", &function("charge"), "Charge");
    fixture.commit("lib/pay/cost.rs", &function("charge"), "Charge elsewhere");
    let lines = fixture.json_lines(&["eval", "copies", "--queries", "1"]);
    assert_eq!(lines[0]["about"]["path"], "lib/pay/cost.rs", "{lines:?}");
}

/// What each module has by convention, what says itself that it was copied, and what is to be kept apart is no news.
#[test]
fn a_near_copy_that_is_meant_is_not_shown() {
    let fixture = Fixture::empty();
    fixture.git(&["init", "--quiet", "--initial-branch", "main"]);
    let body = |key: &str| -> String {
        (0..12).map(|at| format!("    total += {key}_of_{at}({key}_row, {key}_base);\n")).collect()
    };
    let function =
        |name: &str, key: &str| format!("pub fn {name}(mut total: u32) -> u32 {{\n{}    total\n}}\n", body(key));
    let other = |at: usize| format!("pub fn tidy() -> u8 {{\n    {at}\n}}\n");
    for at in 0..7 {
        fixture.commit(&format!("part{at}/tidy.rs"), &other(at), "Tidy a part");
    }
    fixture.commit("shop/tidy.rs", &function("tidy", "shelf"), "Tidy the shop");
    fixture.commit("shop/open.rs", &function("new_shop", "door"), "Open the shop");
    fixture.commit("shop/price.rs", &function("price", "plum"), "Price plums");
    fixture.commit("shop/weigh.rs", &function("weigh", "pear"), "Weigh pears");
    fixture.commit("shop/move.rs", &function("carry", "crate"), "Carry crates");
    fixture.commit("yard/much/sweep.rs", &function("tidy", "shelf"), "Tidy the yard, as all parts do");
    fixture.commit("yard/much/begin.rs", &function("new_shop", "door"), "Open the yard");
    let said = format!("// Copied from the shop.\n{}", function("price", "plum"));
    fixture.commit("yard/much/cost.rs", &said, "Price in the yard, and say so");
    fixture.commit("yard/mock_scale.rs", &function("weigh", "pear"), "Stand in for the scales");
    fixture.commit("yard/migrations/first.rs", &function("weigh", "pear"), "Migrate");
    let after = format!("//! Deprecated: see the yard.\n{}", function("carry", "crate"));
    std::fs::write(fixture.repo().join("shop/move.rs"), &after).expect("a file");
    fixture.commit("yard/much/carry.rs", &function("carry", "crate"), "Carry from the yard");
    let none = fixture.json_lines(&["eval", "copies", "--queries", "6"]);
    assert_eq!(none.last().expect("a summary")["shown"], 0, "{none:?}");
    fixture.commit("yard/much/buy.rs", &function("buy", "plum"), "Buy");
    fixture.git(&["rm", "--quiet", "yard/much/cost.rs", "yard/mock_scale.rs", "yard/migrations/first.rs"]);
    fixture.git(&["commit", "--quiet", "--message", "Take away"]);
    fixture.commit("yard/much/heft.rs", &function("weigh", "pear"), "Weigh in the yard");
    let lines = fixture.json_lines(&["eval", "copies", "--queries", "1"]);
    assert_eq!(lines[0]["about"]["path"], "yard/much/heft.rs", "{lines:?}");
}

/// Each of these copies is left out by one rule alone.
#[test]
fn a_near_copy_is_left_out_by_each_rule() {
    let fixture = Fixture::empty();
    fixture.git(&["init", "--quiet", "--initial-branch", "main"]);
    let lines = |key: &str, numbers: std::ops::Range<usize>| -> String {
        numbers.map(|at| format!("    total += {key}_of_{at}({key}_row, {key}_base);\n")).collect()
    };
    let with = |name: &str, lines: &str| format!("pub fn {name}(mut total: u32) -> u32 {{\n{lines}    total\n}}\n");
    let function = |key: &str| with(key, &lines(key, 0..12));
    let method = |of: &str| format!("impl {of} {{\n{}}}\n", function("stir"));
    let script = format!("function fold(total) {{\n{}  return total;\n}}\n", lines("fold", 0..12));
    let fields: String = (0..12).map(|at| format!("    pub plate_{at}: Plate{at},\n")).collect();
    let table = format!("pub struct Table {{\n{fields}}}\n");
    let unix = |key: &str| format!("#[cfg(unix)]\n{}", function(key));
    let (loose, looser) = (lines("grate", 0..6), lines("grate", 0..4) + &lines("shave", 4..6));
    let before = [
        ("kitchen/pot.rs", method("Pot")),
        ("kitchen/fire.rs", unix("light")),
        ("kitchen/jug.rs", function("pour")),
        ("bar/deep/pour.rs", with("pour", &lines("spill", 0..12))),
        ("kitchen/table.rs", table.clone()),
        ("kitchen/dist/fold.js", script.clone()),
        ("examples/bake.rs", function("bake")),
        ("shop/be/part/roll_out.rs", function("roll")),
        ("old/knead.rs", function("knead")),
        ("kitchen/grate.rs", with("grate", &loose)),
        ("kitchen/boil.rs", function("boil")),
        ("kitchen/slice.rs", function("slice")),
        // So that the two folders are not the same again.
        ("kitchen/sink.rs", "pub const SINK: u8 = 1;\n".to_owned()),
        ("kitchen/stove.rs", "pub const STOVE: u8 = 1;\n".to_owned()),
    ];
    let after = [
        ("bar/deep/glass.rs", method("Glass")),
        ("bar/deep/lamp.rs", unix("light")),
        ("bar/deep/pour.rs", function("pour")),
        ("bar/deep/desk.rs", table),
        ("bar/deep/crease.js", script),
        ("bar/deep/oven.rs", function("bake")),
        ("store/pin_and_roll.rs", function("roll")),
        ("bar/deep/dough.rs", function("knead")),
        ("bar/deep/cheese.rs", with("grate", &looser)),
        ("bar/examples/water.rs", function("boil")),
    ];
    for (files, message) in [(&before[..], "Cook"), (&after[..], "Cook again")] {
        for (path, text) in files {
            let file = fixture.repo().join(path);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            std::fs::write(file, text).expect("a file");
        }
        fixture.git(&["add", "--all"]);
        fixture.git(&["commit", "--quiet", "--message", message]);
    }
    let none = fixture.json_lines(&["eval", "copies", "--queries", "1"]);
    assert_eq!(none.last().expect("a summary")["shown"], 0, "{none:?}");
    fixture.commit("bar/deep/cut.rs", &function("slice"), "Slice at the bar");
    let lines = fixture.json_lines(&["eval", "copies", "--queries", "1"]);
    assert_eq!(lines[0]["about"]["path"], "bar/deep/cut.rs", "{lines:?}");
}

/// A function that grows too long for one node is cut in parts; a part that holds nothing but the function inside is no copy.
#[test]
fn a_part_of_a_long_function_is_like_nothing() {
    let fixture = Fixture::empty();
    fixture.git(&["init", "--quiet", "--initial-branch", "main"]);
    let script = |settings: usize| {
        let set: String = (0..settings).map(|at| format!("  set('key{at:03}', options.key{at:03})\n")).collect();
        let push: String = (0..90).map(|at| format!("    res.push(req.part{at:03} * {at})\n")).collect();
        format!("function build (options) {{\n{set}\n  function handle (req, res) {{\n{push}  }}\n}}\n")
    };
    fixture.commit("lib/route.js", &script(340), "Route");
    fixture.commit("lib/route.js", &script(430), "Set more");
    let review = fixture.json(&["review", "HEAD~1..HEAD", "--json"]);
    let facts = review["briefing"].as_array().expect("facts");
    assert!(facts.iter().all(|fact| fact["kind"] != "copy"), "{facts:?}");
}

/// What a change takes from one folder to another is told once, and what it takes from a folder that is the same again not at all.
#[test]
fn near_copies_from_one_folder_to_another_are_one_and_between_twins_none() {
    let fixture = Fixture::empty();
    fixture.git(&["init", "--quiet", "--initial-branch", "main"]);
    let function = |key: &str| {
        let lines: String = (0..12).map(|at| format!("    total += {key}_of_{at}({key}_row, {key}_base);\n")).collect();
        format!("pub fn {key}(mut total: u32) -> u32 {{\n{lines}    total\n}}\n")
    };
    fixture.commit("kitchen/bake.rs", &function("bake"), "Bake");
    fixture.commit("kitchen/roll.rs", &function("roll"), "Roll");
    fixture.commit("bar/deep/both.rs", &format!("{}{}", function("bake"), function("roll")), "Do both");
    let lines = fixture.json_lines(&["eval", "copies", "--queries", "1"]);
    assert_eq!((lines.len(), &lines[1]["shown"]), (2, &1.into()), "{lines:?}");
    fixture.commit("kitchen/stir.rs", &function("stir"), "Stir");
    for (at, name) in ["cup", "fork", "knife", "spoon"].iter().enumerate() {
        for folder in ["kitchen", "bar/deep"] {
            fixture.commit(&format!("{folder}/{name}.rs"), &format!("pub const {name}: u8 = {at};\n"), "Lay");
        }
    }
    fixture.commit("bar/deep/whirl.rs", &function("stir"), "Stir at the bar");
    let none = fixture.json_lines(&["eval", "copies", "--queries", "1"]);
    assert_eq!((&none[0]["asked"], &none[0]["shown"]), (&1.into(), &0.into()), "{none:?}");
    fixture.commit("kitchen/whisk.rs", &function("whisk"), "Whisk");
    fixture.commit("hall/deep/whirl.rs", &function("whisk"), "Whisk in the hall, which is another place");
    let lines = fixture.json_lines(&["eval", "copies", "--queries", "1"]);
    assert_eq!(lines[0]["about"]["path"], "hall/deep/whirl.rs", "{lines:?}");
}
