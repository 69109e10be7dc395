//! The checks, silent or not, on changes made for them: what they claim, what they leave alone, and who may speak.

use serde_json::Value;

use crate::support::Fixture;

/// What every check says of the last commit: check and title.
fn alarms(fixture: &Fixture) -> Vec<(String, String)> {
    let lines = fixture.json_lines(&["eval", "checks", "--alarms", "HEAD~1..HEAD"]);
    let (summary, alarms) = lines.split_last().expect("a summary");
    assert_eq!(
        (summary["changes"].as_u64(), summary["alarms"].as_u64()),
        (Some(1), Some(alarms.len() as u64)),
        "{summary}"
    );
    for alarm in alarms {
        assert_in_diff(fixture, alarm);
    }
    let text = |alarm: &Value, key: &str| alarm[key].as_str().expect("text").to_owned();
    alarms.iter().map(|alarm| (text(alarm, "check"), text(alarm, "title"))).collect()
}

/// Whether Git shows the anchor of an alarm, moves taken for moves.
fn assert_in_diff(fixture: &Fixture, alarm: &Value) {
    let diff = fixture.git(&["diff", "--find-renames", "--no-prefix", "HEAD~1..HEAD"]);
    let (path, line) = (alarm["path"].as_str().expect("a path"), alarm["line"].as_u64().expect("a line"));
    let is_left = alarm["side"] == "LEFT";
    let (mut here, mut old, mut new) = (false, 0, 0);
    for text in diff.lines() {
        if let Some(name) = text.strip_prefix(if is_left { "--- " } else { "+++ " }) {
            here = name == path;
        } else if let Some(header) = text.strip_prefix("@@ -") {
            let start = |part: &str| part.split(',').next().and_then(|start| start.parse::<u64>().ok());
            let (before, after) = header.split_once(" +").expect("two sides");
            old = start(before).expect("a line");
            new = start(after.split(' ').next().expect("a range")).expect("a line");
        } else if here && !text.starts_with("+++") && !text.starts_with("---") {
            let (is_old, is_new) = (!text.starts_with('+'), !text.starts_with('-'));
            if is_left && text.starts_with('-') && old == line || !is_left && is_new && new == line {
                return;
            }
            old += u64::from(is_old);
            new += u64::from(is_new);
        }
    }
    panic!("{path}:{line} is not in the diff: {alarm}\n{diff}");
}

/// Commits some files, then others, and says what is claimed of the second commit.
fn check(before: &[(&str, &str)], after: &[(&str, &str)], expected: &[(&str, &str)]) {
    let fixture = Fixture::new("review");
    for files in [before, after] {
        for (path, text) in files {
            let file = fixture.repo().join(path);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            match *text {
                "" => std::fs::remove_file(&file).expect("a file to remove"),
                text => std::fs::write(&file, text).expect("a file"),
            }
        }
        fixture.git(&["add", "--all"]);
        fixture.git(&["commit", "--quiet", "--message", "change"]);
    }
    let expected: Vec<_> = expected.iter().map(|(check, title)| ((*check).to_owned(), (*title).to_owned())).collect();
    assert_eq!(alarms(&fixture), expected);
}

#[test]
fn a_name_that_is_dead_and_still_spoken_of_is_claimed() {
    check(
        &[
            ("a.rs", "pub fn open_file() {}\n\npub fn other() {}\n"),
            ("b.rs", "/// Like [`open_file`], but shut.\npub fn shut() {}\n"),
        ],
        &[("a.rs", "pub fn other() {}\n")],
        &[("dead-name", "`b.rs` still speaks of the function `open_file`, which this change removes")],
    );
}

#[test]
fn a_name_that_anything_uses_is_not_claimed() {
    for user in ["pub fn user() {\n    crate::open_file();\n}\n", "pub const NAME: &str = \"open_file\";\n"] {
        check(
            &[
                ("a.rs", "pub fn open_file() {}\n\npub fn other() {}\n"),
                ("b.rs", "/// Like [`open_file`], but shut.\npub fn shut() {}\n"),
                ("c.rs", user),
            ],
            &[("a.rs", "pub fn other() {}\n")],
            &[],
        );
    }
}

#[test]
fn words_about_the_past_are_let_be() {
    check(
        &[
            ("a.rs", "pub fn open_file() {}\n\npub fn other() {}\n"),
            ("CHANGELOG.md", "- `open_file` opens\n"),
            ("b.rs", "/// Formerly `open_file`.\npub fn shut() {}\n"),
        ],
        &[("a.rs", "pub fn other() {}\n")],
        &[],
    );
}

#[test]
fn words_about_something_else_of_the_name_are_let_be() {
    let counter = "pub struct Shared {\n    num_idle: usize,\n    other: u8,\n}\n";
    let without = "pub struct Shared {\n    other: u8,\n}\n";
    // A field of two words, in another directory that does not know the type.
    check(
        &[("a/worker.rs", counter), ("b/pool.rs", "/// Then `num_idle` goes down.\npub fn shut() {}\n")],
        &[("a/worker.rs", without)],
        &[],
    );
    // The same where the type is known.
    check(
        &[
            ("a/worker.rs", &counter.replace("Shared", "SharedState")),
            ("b/pool.rs", "/// Of [`SharedState`] `num_idle` goes down.\npub fn shut() {}\n"),
        ],
        &[("a/worker.rs", &without.replace("Shared", "SharedState"))],
        &[("stale-doc", "`b/pool.rs` still speaks of the field `num_idle`, which this change removes")],
    );
    // A longer name took the place of what was only used.
    check(
        &[("a.rs", "pub fn a(v: &mut [u8]) {\n    // `select_nth` is quick.\n    v.select_nth(1);\n}\n")],
        &[("a.rs", "pub fn a(v: &mut [u8]) {\n    // `select_nth` is quick.\n    v.select_nth_by(1);\n}\n")],
        &[],
    );
    // Private now.
    check(
        &[("a.go", "package a\n\n// See ListPostings.\nfunc b() {}\n\nfunc ListPostings() int {\n\treturn 1\n}\n")],
        &[("a.go", "package a\n\n// See ListPostings.\nfunc b() {}\n\nfunc listPostings() int {\n\treturn 1\n}\n")],
        &[],
    );
}

#[test]
fn methods_may_come_from_new_parents() {
    let doc = "Call ``remove_namespaces`` first.\n";
    let before = "class Selector:\n    def remove_namespaces(self):\n        return 1\n\n    def other(self):\n        return 2\n";
    let method = "    def remove_namespaces(self):\n        return 1\n\n";
    let claim = "`docs/a.rst` still speaks of the function `remove_namespaces`, which this change removes";
    check(&[("a.py", before), ("docs/a.rst", doc)], &[("a.py", &before.replace(method, ""))], &[("dead-name", claim)]);
    check(
        &[("a.py", before), ("docs/a.rst", doc)],
        &[("a.py", &before.replace(method, "").replace("Selector:", "Selector(Base):"))],
        &[],
    );
}

#[test]
fn a_comment_inside_a_function_is_about_its_parameters() {
    let before = "pub fn read(limit: usize) -> usize {\n    // At most `limit` of them.\n    limit + 1\n}\n";
    check(
        &[("a.rs", before)],
        &[("a.rs", &before.replace("(limit", "(most").replace("limit +", "most +"))],
        &[("stale-doc", "a comment of `read` still names `limit`, which this change renames to `most`")],
    );
}

#[test]
fn parts_of_types_are_claimed_in_several_languages() {
    let doc = "# Use\n\nSet `max_size` to a number.\n";
    let expected =
        &[("stale-doc", "`docs/use.md` still speaks of the field `max_size`, which this change renames to `limit`")];
    let before = "pub struct Config {\n    pub max_size: u64,\n    pub name: String,\n}\n";
    check(&[("a.rs", before), ("docs/use.md", doc)], &[("a.rs", &before.replace("max_size", "limit"))], expected);
    let before = "class Config:\n    max_size = 1\n    name = 'x'\n";
    check(&[("a.py", before), ("docs/use.md", doc)], &[("a.py", &before.replace("max_size", "limit"))], expected);
}

#[test]
fn options_features_and_variables_are_claimed() {
    let before = "#[derive(Parser)]\nstruct Args {\n    #[arg(long = \"dry-run\")]\n    quiet: bool,\n    #[arg(long = \"other-one\")]\n    other: bool,\n}\n";
    check(
        &[("a.rs", before), ("README.md", "Call it with `--dry-run`.\n")],
        &[("a.rs", &before.replace("    #[arg(long = \"dry-run\")]\n    quiet: bool,\n", ""))],
        &[("stale-doc", "`README.md` still speaks of the command-line option `--dry-run`, which this change removes")],
    );
    let before = "[package]\nname = \"x\"\n\n[features]\nfast-path = []\nother = []\n";
    check(
        &[("Cargo.toml", before), ("README.md", "Turn it on with `--features fast-path`.\n")],
        &[("Cargo.toml", &before.replace("fast-path = []\n", ""))],
        &[("stale-doc", "`README.md` still speaks of the feature `fast-path`, which this change removes")],
    );
    check(
        &[
            ("a.py", "import os\n\nlimit = os.environ.get(\"APP_LIMIT\")\nother = 1\n"),
            ("README.md", "Set APP_LIMIT to a number.\n"),
        ],
        &[("a.py", "import os\n\nother = 1\n")],
        &[("stale-doc", "`README.md` still speaks of the environment variable `APP_LIMIT`, which this change removes")],
    );
}

#[test]
fn references_that_lead_nowhere_are_claimed() {
    let text = "one\ntwo\nthree\nfour\n";
    check(
        &[("docs/a.md", text), ("docs/b.md", "See [a](a.md) and [web](https://example.org/a.md).\n")],
        &[("docs/a.md", "")],
        &[("broken-reference", "`docs/b.md` still points at `docs/a.md`, which this change moves or removes")],
    );
    check(
        &[("docs/a.md", "# A\n\n## Old name\n\nx\n"), ("docs/b.md", "See [a](a.md#old-name).\n")],
        &[("docs/a.md", "# A\n\n## New name\n\nx\n")],
        &[(
            "broken-reference",
            "`docs/b.md` still points at the heading `#old-name` of `docs/a.md`, which this change renames or removes",
        )],
    );
    // The anchor is given in another way now.
    for new in ["# A\n\nOld name\n: x\n", "# A\n\n## New name {#old-name}\n\nx\n", "# A\n\n<a name=\"old-name\"></a>\n"]
    {
        check(
            &[("docs/a.md", "# A\n\n## Old name\n\nx\n"), ("docs/b.md", "See [a](a.md#old-name).\n")],
            &[("docs/a.md", new)],
            &[],
        );
    }
    // Corrected in the same change.
    check(
        &[("docs/a.md", text), ("docs/b.md", "See [a](a.md).\n")],
        &[("docs/a.md", ""), ("docs/c.md", text), ("docs/b.md", "See [a](c.md).\n")],
        &[],
    );
}

#[test]
fn a_moved_file_is_claimed_at_what_it_became() {
    let lines: String = (1..20).map(|number| format!("pub const N{number}: u8 = {number};\n")).collect();
    check(
        &[("src/a/old_place.rs", &lines), ("src/b.rs", "// As in src/a/old_place.rs.\npub fn b() {}\n")],
        &[("src/a/old_place.rs", ""), ("src/a/new_place.rs", &lines.replace("N7", "M7"))],
        &[(
            "broken-reference",
            "`src/b.rs` still points at `src/a/old_place.rs`, which this change moves to `src/a/new_place.rs`",
        )],
    );
}

#[test]
fn a_file_is_what_git_says_it_became_and_no_other() {
    let guide = |title: &str| {
        let lines: String = (0..24).map(|at| format!("Line {at} of the guide, which says something.\n")).collect();
        format!("# {title}\n\n{lines}")
    };
    // `a2.md` becomes `b.md` as it is, so `a.md`, which is nearly the same, is gone.
    let fixture = Fixture::new("review");
    fixture.commit("docs/a.md", &guide("A"), "add a guide");
    fixture.commit("docs/a2.md", &guide("B"), "add another");
    fixture.commit("README.md", "See [the guide](docs/a.md).\n", "point at it");
    fixture.git(&["rm", "--quiet", "docs/a.md"]);
    fixture.git(&["mv", "docs/a2.md", "docs/b.md"]);
    fixture.git(&["commit", "--quiet", "--message", "keep one"]);
    let alarms = alarms(&fixture);
    let [(check, title)] = &alarms[..] else { panic!("{alarms:?}") };
    assert_eq!(check, "broken-reference");
    assert!(title.contains("removes") && !title.contains("b.md"), "{title}");
}

#[test]
fn one_line_of_documentation_is_claimed_once() {
    check(
        &[(
            "src/a.rs",
            "/// Opens `host_name`.\npub fn connect_to(host_name: &str) -> usize {\n    host_name.len()\n}\n",
        )],
        &[("src/a.rs", "/// Opens `host_name`.\npub fn open_it(address: &str) -> usize {\n    address.len()\n}\n")],
        &[(
            "stale-doc",
            "the documentation of `open_it` still names `host_name`, which this change renames to `address`",
        )],
    );
}

#[test]
fn a_large_file_that_holds_a_name_keeps_it_from_being_dead() {
    let filler = "// nothing to see here, and a great deal of it\n".repeat(40_000);
    let user = format!("{filler}pub fn user() {{\n    crate::open_file();\n}}\n");
    check(
        &[
            ("a.rs", "pub fn open_file() {}\n\npub fn other() {}\n"),
            ("b.rs", "/// Like [`open_file`], but shut.\npub fn shut() {}\n"),
            ("large.rs", &user),
        ],
        &[("a.rs", "pub fn other() {}\n")],
        &[],
    );
}

#[test]
fn a_claim_says_where_the_name_itself_stood() {
    let fixture = Fixture::new("review");
    let before = "/// Opens.\n///\n/// As it should.\npub fn open_file() {}\n\npub fn other() {}\n";
    fixture.commit("a.rs", before, "add it");
    fixture.commit("b.rs", "/// Like [`open_file`], but shut.\npub fn shut() {}\n", "speak of it");
    fixture.commit("a.rs", "pub fn other() {}\n", "remove it");
    let lines = fixture.json_lines(&["eval", "checks", "--alarms", "HEAD~1..HEAD"]);
    let body = lines[0]["body"].as_str().expect("a body");
    assert!(body.contains("It stood in line 4 of `a.rs` before."), "{body}");
}

#[test]
fn documentation_that_was_copied_with_its_function_is_claimed() {
    let first = "package a\n\n// SetInput sets where to read from.\nfunc SetInput(a int) int {\n\treturn a\n}\n";
    let second = "\n// SetInput sets where to read from.\nfunc SetOutput(a int) int {\n\treturn a + 1\n}\n";
    check(
        &[("a.go", first)],
        &[("a.go", &format!("{first}{second}"))],
        &[("copied-doc", "the documentation of `SetOutput` begins with `SetInput`, another function of this file")],
    );
}

/// A test that is one that stands there already, but for its name, was to be changed.
#[test]
fn a_test_that_was_copied_and_not_changed_is_claimed() {
    let python = |name: &str, most: &str| {
        format!(
            "def {name}(store):\n    store.put('plum', 3)\n    assert store.get('plum') == {most}\n    assert len(store) == 1\n\n\n"
        )
    };
    let first = python("test_put", "3");
    let claim = "the test `test_put_again` is `test_put` but for its name, and asserts nothing new";
    let with = |more: &str| format!("{first}{more}");
    let says = |before: &str, after: &str, claims: &[(&str, &str)]| {
        check(&[("test_store.py", before)], &[("test_store.py", after)], claims);
    };
    says(&first, &with(&python("test_put_again", "3")), &[("copied-test", claim)]);
    // Another value, another decorator, another white space in a string, or another scope.
    says(&first, &with(&python("test_put_again", "4")), &[]);
    says(&first, &with(&format!("@slow\n{}", python("test_put_again", "3"))), &[]);
    says(&first, &with(&python("test_put_again", "3").replace("'plum'", "'plum '")), &[]);
    let of_class = python("test_put_again", "3").replace("def ", "    def ").replace("    ", "      ");
    says(&first, &with(&format!("class TestOther:\n{of_class}")), &[]);
    // The one that stood there goes, or is what was changed; or a test that hangs on its name.
    says(&first, &python("test_put_again", "3"), &[]);
    says(&first, &format!("{}{}", python("test_put", "5"), python("test_put_again", "3")), &[]);
    let named = |name: &str| python(name, "snapshot(3)");
    says(&named("test_put"), &format!("{}{}", named("test_put"), named("test_put_again")), &[]);
    // What is short may be said twice, by its lines or by its letters.
    let short =
        "def test_put(store):\n    assert store.get('plum').weight() == 3 and store.get('pear').weight() == 4\n\n\n";
    says(short, &format!("{short}{}", short.replace("test_put", "test_put_again")), &[]);
    let short = "def test_put(store):\n    a = store\n    assert a\n    assert a\n\n\n";
    says(short, &format!("{short}{}", short.replace("test_put", "test_put_again")), &[]);
}

/// What is no test is not said to assert nothing, documentation says nothing either, and of two of one name nothing is known.
#[test]
fn a_copied_test_is_a_test_of_a_name_of_its_own() {
    let python = |name: &str, doc: &str, most: u8| {
        format!(
            "def {name}(store):\n{doc}    store.put('plum', 3)\n    assert store.get('plum') == {most}\n    assert len(store) == 1\n\n\n"
        )
    };
    let says = |before: &[String], more: &str, claims: &[(&str, &str)]| {
        let before = before.concat();
        check(&[("test_store.py", &before)], &[("test_store.py", &format!("{before}{more}"))], claims);
    };
    let first = || python("test_put", "", 3);
    says(&[first()], &python("puts_as_tested", "", 3), &[]);
    says(&[python("puts_as_tested", "", 3)], &first(), &[]);
    let claim = "the test `test_put_again` is `test_put` but for its name, and asserts nothing new";
    says(
        &[first()],
        &python("test_put_again", "    \"\"\"Puts a plum a second time.\"\"\"\n", 3),
        &[("copied-test", claim)],
    );
    says(&[first(), python("test_put_again", "", 4)], &python("test_put_again", "", 3), &[]);
    // What was changed until it is the other one is not new.
    let (before, after) = ([first(), python("test_put_again", "", 4)], [first(), python("test_put_again", "", 3)]);
    check(&[("test_store.py", &before.concat())], &[("test_store.py", &after.concat())], &[]);
}

/// A test of another scope is another test, however the file is indented.
#[test]
fn a_copied_test_of_another_scope_says_nothing() {
    let test = |name: &str| {
        format!(
            "#[test]\nfn {name}() {{\nlet mut store = made();\nstore.put(\"plum\", 3);\nassert_eq!(store.len(), 1);\n}}\n"
        )
    };
    let of = |scope: &str, tests: &str| format!("mod {scope} {{\nuse super::{scope}_store as made;\n{tests}}}\n");
    let first = of("large", &test("puts"));
    let says = |after: &str, claims: &[(&str, &str)]| {
        check(&[("tests/store.rs", &first)], &[("tests/store.rs", after)], claims);
    };
    says(&format!("{first}{}", of("small", &test("puts_again"))), &[]);
    let claim = "the test `puts_again` is `puts` but for its name, and asserts nothing new";
    says(&of("large", &format!("{}{}", test("puts"), test("puts_again"))), &[("copied-test", claim)]);
}

/// The same in a language whose tests are marked, and in one whose tests are called.
#[test]
fn a_copied_test_is_known_by_its_mark_or_its_call() {
    let rust = |name: &str, mark: &str| {
        format!(
            "#[test]\n{mark}fn {name}() {{\n    let mut store = Store::new();\n    store.put(\"plum\", 3);\n    assert_eq!(store.len(), 1);\n}}\n\n"
        )
    };
    let claim = "the test `puts_again` is `puts` but for its name, and asserts nothing new";
    let first = rust("puts", "");
    check(
        &[("tests/store.rs", &first)],
        &[("tests/store.rs", &format!("{first}{}", rust("puts_again", "")))],
        &[("copied-test", claim)],
    );
    check(
        &[("tests/store.rs", &first)],
        &[("tests/store.rs", &format!("{first}{}", rust("puts_again", "#[should_panic]\n")))],
        &[],
    );
    let script = |name: &str| {
        format!(
            "  it('{name}', () => {{\n    const store = make()\n    store.put('plum', 3)\n    expect(store.size).toBe(1)\n  }})\n"
        )
    };
    let claim = "the test `puts again` is `puts` but for its name, and asserts nothing new";
    let suite = |tests: &str| format!("describe('store', () => {{\n{tests}}})\n");
    let both = suite(&format!("{}{}", script("puts"), script("puts again")));
    check(&[("store.test.js", &suite(&script("puts")))], &[("store.test.js", &both)], &[("copied-test", claim)]);
}

/// A suite whose name is put together is no part of the symbol of its tests, and each may set up another state.
#[test]
fn a_copied_test_of_another_suite_says_nothing() {
    let test = |name: &str| {
        format!(
            "    it '{name}' do\n      store.put('plum', 3)\n      expect(store.get('plum')).to be(3)\n      expect(store).not_to be_empty\n    end\n"
        )
    };
    let context = |of: &str, tests: &str| {
        format!(
            "  context 'which is ' \\\n          '{of}' do\n    let(:store) {{ Store.new('{of}') }}\n\n{tests}  end\n"
        )
    };
    let suite = |contexts: &[String]| format!("describe Store do\n{}end\n", contexts.join("\n"));
    let empty = context("empty", &test("puts"));
    let before = suite(std::slice::from_ref(&empty));
    let says = |after: String, claims: &[(&str, &str)]| {
        check(&[("spec/store_spec.rb", &before)], &[("spec/store_spec.rb", &after)], claims);
    };
    says(suite(&[empty.clone(), context("full", &test("puts what is there"))]), &[]);
    let claim = "the test `puts again` is `puts` but for its name, and asserts nothing new";
    says(suite(&[context("empty", &format!("{}\n{}", test("puts"), test("puts again")))]), &[("copied-test", claim)]);
}

#[test]
fn lines_that_go_and_are_pointed_at_are_claimed_and_lines_that_move_are_not() {
    let code = |names: &[&str]| -> String {
        names.iter().map(|name| format!("pub fn {name}() -> u8 {{\n    1\n}}\n\n")).collect()
    };
    let whole = code(&["one", "two", "three", "four"]);
    let docs = "The [second](../src/a.rs#L5-L7) and the [last](../src/a.rs#L13-L15).\n\nSee `src/a.rs:9-11`.\n";
    let expected = [
        "`docs/guide.md` points at lines 5 to 7 of `src/a.rs`, which this change removes",
        "`docs/guide.md` points at lines 13 to 15 of `src/a.rs`, which has 12 lines after this change",
    ];
    let (fewer, moved) = (code(&["one", "three", "four"]), code(&["zero", "one", "two", "three", "four"]));
    check(
        &[("src/a.rs", &whole), ("docs/guide.md", docs)],
        &[("src/a.rs", &fewer)],
        &[("broken-lines", expected[0]), ("broken-lines", expected[1])],
    );
    check(&[("src/a.rs", &whole), ("docs/guide.md", docs)], &[("src/a.rs", &moved)], &[]);
    // Where the change sees to it, or something else stands there now.
    check(
        &[("src/a.rs", &whole), ("docs/guide.md", docs)],
        &[("src/a.rs", &fewer), ("docs/guide.md", "The [last](../src/a.rs#L9-L11).\n")],
        &[],
    );
    let other = whole.replace("pub fn two() -> u8 {\n    1", "pub fn second() -> u16 {\n    2");
    check(&[("src/a.rs", &whole), ("docs/guide.md", docs)], &[("src/a.rs", &other)], &[]);
}

#[test]
fn doctor_says_which_checks_may_speak() {
    let fixture = Fixture::new("review");
    let voices = fixture.json(&["doctor", "--checks", "--json"]);
    let checks = voices["checks"].as_array().expect("a list");
    let of = |name: &str| checks.iter().find(|check| check["check"] == name).expect("a check");
    for check in checks {
        let speaks = check["low"].as_f64().expect("a bound") >= voices["speaks_from"].as_f64().expect("a bar");
        assert_eq!(check["speaks"], speaks, "{check}");
    }
    for unjudged in ["companion", "broken-lines"] {
        assert_eq!(of(unjudged)["speaks"], false, "what nobody has judged is silent");
    }
    let shown = fixture.run(&["doctor", "--checks"]).stdout;
    assert!(shown.contains("a check speaks from a lower bound of 0.60"), "{shown}");
}
