//! Copy: existing code that a new or edited node is nearly the same as. Folded, however alike the two are: in most readings that
//! were made with other rules less than half was useful, and too few lines of the present ones were judged.

use std::cell::LazyCell;
use std::collections::{BTreeMap, HashSet};

use precedent_pipeline::lineage::last_name;
use precedent_pipeline::search::stands_apart;
use precedent_pipeline::syntax::{Kind, documented};

use crate::change::{Change, ChangedFile, ChangedNode};
use crate::companions::features::is_test;
use crate::companions::names;
use crate::evidence::Evidence;
use crate::finding::{Fact, FactKind, NodeName};
use crate::precedent::{Neighbour, Precedents};
use crate::render::code;

/// Shared tokens from which a candidate is listed, and from which one of the same name is taken for a copy. Who takes a function to
/// another file under its name has copied it, and may go on to change it there.
const MIN_LISTED_OVERLAP: f32 = 0.6;
const MIN_COPIED_OVERLAP: f32 = 0.85;
/// From this overlap on two functions are the same but for a word or two, and one is a copy whatever their names are. Another
/// name says that something else is meant, and what is less alike is mostly so by form: 8 of 25 that were judged were useful.
const SAME_OVERLAP: f32 = 0.95;
/// From this overlap on a candidate is of the same pattern. One more of a pattern that stands there several times, as
/// `get_u16` beside `get_u8`, `get_u32` and `get_u64`, is no news.
const PATTERN_OVERLAP: f32 = 0.75;
/// Lines of a copy that are code, and of one that is the same but for a word or two. What is shorter is quicker written than
/// shared.
const MIN_LINES: usize = 10;
const MIN_LINES_OF_SAME: usize = 7;
/// From so many files on that have a function of one name, the name is a form that each module fills in, as `run` or `setup`.
const MANY_NAMESAKES: usize = 8;
/// From so many file names on that two folders have in common, if they are also so large a share of the smaller one's, one
/// folder is the other again: a package that is taken over, or another version of it.
const MIN_TWIN_FILES: usize = 4;
const MIN_TWIN_SHARE: (usize, usize) = (2, 3);

/// Whether the names of two files have a word in common, so that they are about one thing, and what is alike in them is so on
/// purpose: `tag/delete.rs` and `bookmark/delete.rs`, `walk.rs` and `walk_async.rs`, `ngx_http_map.c` and `ngx_stream_map.c`.
/// Nobody looks for a copy where nothing is called alike.
fn are_counterparts(one: &str, two: &str) -> bool {
    let words = |path: &str| names::words(parts(path).1.split('.').next().unwrap_or_default());
    names::shared(&words(one), &words(two)) > 0
}

/// The folder of a path, and the name of the file.
fn parts(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// Whether two files stand in one directory, whose files are written in view of each other: what is alike there is so on purpose.
fn are_neighbours(one: &str, two: &str) -> bool {
    parts(one).0 == parts(two).0
}

/// Whether the folders of two files hold much the same, by the names of all files: what is alike there is so on purpose.
fn are_in_twins<'f>(files: impl Iterator<Item = &'f str> + Clone, one: &str, two: &str) -> bool {
    let names = |of: &str| -> HashSet<&str> {
        files.clone().map(parts).filter(|(folder, _)| *folder == parts(of).0).map(|(_, name)| name).collect()
    };
    let (one, two) = (names(one), names(two));
    let shared = one.intersection(&two).count();
    let (share, whole) = MIN_TWIN_SHARE;
    shared >= MIN_TWIN_FILES && shared * whole >= one.len().min(two.len()) * share
}

/// Whether a path says that what stands there is on its way out, so that nobody will keep it in step.
fn is_leaving(path: &str) -> bool {
    const WORDS: [&str; 4] = ["deprecated", "legacy", "old", "original"];
    path.split(['/', '.', '_', '-']).any(|word| WORDS.iter().any(|known| word.eq_ignore_ascii_case(known)))
}

/// Whether a new function is kept apart on purpose: a stand-in for tests, or a step from one version of data to the next, which
/// must do later what it does today.
fn is_kept_apart(path: &str) -> bool {
    const WORDS: [&str; 10] =
        ["dummy", "fake", "fakes", "migration", "migrations", "mock", "mocks", "stub", "stubs", "upgrade"];
    path.split(['/', '.', '_', '-']).any(|word| WORDS.iter().any(|known| word.eq_ignore_ascii_case(known)))
}

/// Whether functions of this name set something up, which each does for its own module or type.
fn is_constructor(name: &str) -> bool {
    let goes_on = |rest: &str| rest.starts_with(|letter: char| letter == '_' || letter.is_uppercase());
    matches!(name, "New" | "constructor" | "init" | "main" | "new")
        || name.strip_prefix("New").is_some_and(goes_on)
        || name.starts_with("new_")
        || (name.len() > 4 && name.starts_with("__") && name.ends_with("__"))
}

/// Whether a comment of a function says that it was copied.
fn says_so(text: &str) -> bool {
    const PHRASES: [&str; 9] = [
        "adapted from",
        "borrowed from",
        "copied from",
        "copied verbatim",
        "copy past",
        "copy-past",
        "copypast",
        "ported from",
        "taken from",
    ];
    let comments = text.lines().filter(|line| is_comment(line)).map(str::to_lowercase);
    comments.into_iter().any(|comment| PHRASES.iter().any(|phrase| comment.contains(phrase)))
}

/// Whether a change says of a file what it did not say before: that something there is deprecated.
fn deprecates(file: &ChangedFile) -> bool {
    let count = |text: &str| text.to_lowercase().matches("deprecated").count();
    count(&file.after) > count(&file.before)
}

/// Whether one of two symbols of a file is of what the other one encloses.
fn is_inside(one: &str, two: &str) -> bool {
    let encloses = |outer: &str, inner: &str| {
        inner
            .strip_prefix(outer)
            .is_some_and(|rest| rest.starts_with(|letter: char| !letter.is_alphanumeric() && letter != '_'))
    };
    encloses(one, two) || encloses(two, one)
}

/// Living nodes that are like a changed one.
pub(super) fn facts(change: &Change, precedents: &Precedents<'_>, evidence: &Evidence<'_>) -> Vec<Fact> {
    of(change, &precedents.neighbours, evidence).into_iter().map(|(_, fact)| fact).collect()
}

/// Whether a near-copy of a node may be worth a look, wherever it stands.
pub(crate) fn may_pass(node: &ChangedNode) -> bool {
    let Some((path, piece)) = &node.after else { return false };
    // The same resemblance before this change is no news, and tests, examples and benchmarks repeat each other so that each
    // can be read alone.
    node.before.is_none()
        && piece.kind == Kind::Function
        && lines_of_code(&piece.text) >= MIN_LINES_OF_SAME
        && own_lines(node) >= MIN_LINES_OF_SAME
        && !is_aside(path)
        && !is_kept_apart(path)
        && !is_constructor(last_name(&piece.symbol))
        && !says_so(&piece.text)
        && !is_test(piece.kind.as_str(), path)
        && !stands_apart(piece.kind.as_str(), path, &piece.container)
}

/// Whether a build wrote the file, or brought others' code in: a bundle holds its libraries, as the next one does. Or whether it
/// tests, in a folder that is not called so.
fn is_aside(path: &str) -> bool {
    const FOLDERS: [&str; 5] = ["dist", "fuzz", "fuzzing", "regress", "vendors"];
    path.rsplit_once('/').is_some_and(|(folders, _)| folders.split('/').any(|part| FOLDERS.contains(&part)))
}

/// Lines of a node as it stands that are code; a string that documents it, as in Python, is none.
fn own_lines(node: &ChangedNode) -> usize {
    let (_, piece) = node.now();
    lines_of_code(&documented(node.language, &piece.text).code)
}

/// Lines that are neither blank nor comments.
fn lines_of_code(text: &str) -> usize {
    text.lines().filter(|line| !line.trim_start().is_empty() && !is_comment(line)).count()
}

fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    ["//", "#", "/*", "*", "--"].iter().any(|start| line.starts_with(start))
}

/// Whether a function is so like another, of the same name or not, that it was copied and not only formed alike.
fn is_like(is_namesake: bool, overlap: f32) -> bool {
    overlap >= if is_namesake { MIN_COPIED_OVERLAP } else { SAME_OVERLAP }
}

/// Whether a copy of so many lines, so like the other, is worth a look.
fn is_long(lines: usize, overlap: f32) -> bool {
    lines >= if overlap >= SAME_OVERLAP { MIN_LINES_OF_SAME } else { MIN_LINES }
}

/// The same from the neighbours of each changed node, each with the number of its node in the change.
pub(crate) fn of(change: &Change, neighbours: &[Vec<Neighbour>], evidence: &Evidence<'_>) -> Vec<(usize, Fact)> {
    let mut facts = Vec::new();
    // Read where a copy meets all other rules, which is rare.
    let files = LazyCell::new(|| evidence.objects().files(&change.head).unwrap_or_default());
    for (number, (node, neighbours)) in change.nodes.iter().zip(neighbours).enumerate() {
        let Some((path, piece)) = &node.after else { continue };
        if node.is_part {
            continue;
        }
        let is_pattern = neighbours.iter().filter(|near| near.overlap >= PATTERN_OVERLAP).count() > 1;
        let is_worth_a_look = may_pass(node) && !is_pattern;
        let lines = if is_worth_a_look { own_lines(node) } else { 0 };
        for (at, near) in neighbours.iter().filter(|near| near.overlap >= MIN_LISTED_OVERLAP).enumerate() {
            let place = &near.place;
            if *place.path == **path && is_inside(&place.symbol, &piece.symbol) {
                continue;
            }
            let Some(citation) = evidence.cite(&change.base, &place.path, place.start_line, place.end_line) else {
                continue;
            };
            // Implementations of one trait or interface, and the same function for two platforms, are alike on purpose.
            let is_namesake = last_name(&place.symbol) == last_name(&piece.symbol);
            let has_home = [&*place.symbol, &*piece.symbol].iter().any(|symbol| *symbol != last_name(symbol));
            let is_for_one = piece.text.lines().any(|line| line.trim_start().starts_with("#[cfg("));
            let is_boilerplate = is_namesake && (has_home || is_for_one);
            // What goes away was moved. Its nodes tell so themselves where the file was looked into.
            let is_going = change.file(&place.path).is_some_and(|file| !file.exists || deprecates(file));
            let is_form = is_namesake && near.namesakes >= MANY_NAMESAKES;
            let fact = Fact {
                kind: FactKind::Copy,
                node: NodeName { path: place.path.to_string(), symbol: place.symbol.to_string() },
                about: NodeName { path: path.to_string(), symbol: piece.symbol.clone() },
                text: format!("{:.0} % like {}, by the tokens of both", near.overlap * 100.0, code(&place.symbol)),
                score: f64::from(near.overlap),
                passes: at == 0
                    && is_worth_a_look
                    && !is_boilerplate
                    && !is_form
                    && !is_going
                    && !is_aside(&place.path)
                    && is_like(is_namesake, near.overlap)
                    && !stands_apart("", &place.path, &place.container)
                    && !are_counterparts(path, &place.path)
                    && !are_neighbours(path, &place.path)
                    && !is_leaving(path)
                    && !is_leaving(&place.path)
                    && is_long(lines, near.overlap)
                    && !are_in_twins(files.iter().map(|(path, _)| path.as_str()), path, &place.path),
                shown: false,
                here: None,
                citations: vec![citation],
            };
            facts.push((number, fact));
        }
    }
    fold(&mut facts);
    facts
}

/// Keeps one copy of those that a change takes from one folder to another, and counts the others there: they are of one
/// cause and ask one question.
fn fold(facts: &mut [(usize, Fact)]) {
    let mut groups: BTreeMap<(String, String), Vec<&mut Fact>> = BTreeMap::new();
    for (_, fact) in facts.iter_mut().filter(|(_, fact)| fact.passes) {
        let folders = (parts(&fact.about.path).0.to_owned(), parts(&fact.node.path).0.to_owned());
        groups.entry(folders).or_default().push(fact);
    }
    for ((here, there), mut group) in groups {
        group.sort_by(|one, two| two.score.total_cmp(&one.score).then_with(|| one.about.cmp(&two.about)));
        let Some((best, others)) = group.split_first_mut().filter(|(_, others)| !others.is_empty()) else { continue };
        let folder = |path: &str| code(if path.is_empty() { "." } else { path });
        let (count, are) = (others.len(), if others.len() == 1 { "is" } else { "are" });
        best.text += &format!("; {count} more of {} {are} like what stands in {}", folder(&here), folder(&there));
        others.iter_mut().for_each(|fact| fact.passes = false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_what_is_neither_blank_nor_a_comment() {
        assert_eq!(
            lines_of_code(
                "/// Adds.\n#[inline]\nfn add() {\n\n    // one\n    1 * 2\n    /* two\n     * three */\n}\n"
            ),
            3
        );
        assert_eq!(lines_of_code(""), 0);
    }

    #[test]
    fn what_is_built_or_tests_is_known_by_its_folder() {
        assert!(is_aside(".github/actions/msi/dist/index.js") && is_aside("regress/hooks.sh"));
        assert!(!is_aside("src/dist.js") && !is_aside("src/distance/a.js") && !is_aside("fuzz"));
    }

    #[test]
    fn counterparts_are_told_by_the_words_of_their_names() {
        for (one, two) in [
            ("src/locale/be/_lib/a.js", "src/locale/ru/_lib/a.js"),
            ("src/commands/tag/delete.rs", "src/commands/bookmark/delete.rs"),
            ("lib/walk.rs", "lib/walk_async.rs"),
            ("src/stream/ngx_stream_map_module.c", "src/http/modules/ngx_http_map_module.c"),
            ("wasmJs/io/DateWasm.kt", "js/io/util/DateJs.kt"),
            ("a/playground/vite.config.ts", "b/vite.config.js"),
        ] {
            assert!(are_counterparts(one, two) && are_counterparts(two, one), "{one} {two}");
        }
        for (one, two) in [
            ("src/retry.rs", "src/client.rs"),
            ("src/retry/one.rs", "src/retry/two.rs"),
            ("src/walk.rs", "lib/walker.rs"),
            ("src/one_test.rs", "lib/two_test.rs"),
            (".rs", ".rs"),
        ] {
            assert!(!are_counterparts(one, two) && !are_counterparts(two, one), "{one} {two}");
        }
    }

    #[test]
    fn what_has_another_name_must_be_the_same_but_for_a_word_or_two() {
        assert!(is_like(true, 0.86) && !is_like(true, 0.84));
        assert!(is_like(false, 0.96) && !is_like(false, 0.94));
    }

    #[test]
    fn a_loose_copy_must_be_longer() {
        assert!(is_long(7, 0.97) && !is_long(6, 1.0));
        assert!(is_long(10, 0.86) && !is_long(9, 0.86));
    }

    #[test]
    fn files_of_one_directory_are_neighbours() {
        assert!(
            are_neighbours("a/b.rs", "a/c.rs") && are_neighbours("a.rs", "b.rs") && are_neighbours("a/b.rs", "a/b.rs")
        );
        assert!(!are_neighbours("a/b.rs", "c.rs") && !are_neighbours("a/b/c.rs", "a/c.rs"));
    }

    #[test]
    fn folders_of_the_same_files_are_twins() {
        let files = |here: &[&str], there: &[&str]| -> Vec<String> {
            let of = |folder: &str, names: &[&str]| names.iter().map(|name| format!("{folder}/{name}")).collect();
            let (here, there): (Vec<String>, Vec<String>) = (of("v1", here), of("lib/v2", there));
            here.into_iter().chain(there).collect()
        };
        let are_twins = |here: &[&str], there: &[&str]| {
            are_in_twins(files(here, there).iter().map(String::as_str), "v1/a.c", "lib/v2/b.c")
        };
        assert!(are_twins(
            &["a.c", "b.c", "c.c", "d.c", "e.c", "f.c"],
            &["a.c", "b.c", "c.c", "d.c", "x.c", "y.c", "z.c"]
        ));
        assert!(!are_twins(&["a.c", "b.c", "c.c"], &["a.c", "b.c", "c.c"]));
        assert!(!are_twins(
            &["a.c", "b.c", "c.c", "d.c", "e.c", "f.c", "g.c"],
            &["a.c", "b.c", "c.c", "d.c", "v", "w", "x"]
        ));
        // What stands below does not count.
        assert!(!are_twins(&["a.c", "b.c", "c.c", "s/d.c"], &["a.c", "b.c", "c.c", "s/d.c"]));
    }

    fn copy(about: &str, node: &str, score: f64) -> (usize, Fact) {
        let name = |path: &str| NodeName { path: path.to_owned(), symbol: "f".to_owned() };
        let fact = Fact {
            kind: FactKind::Copy,
            node: name(node),
            about: name(about),
            text: "alike".to_owned(),
            score,
            passes: true,
            shown: false,
            here: None,
            citations: Vec::new(),
        };
        (0, fact)
    }

    #[test]
    fn copies_from_one_folder_to_another_are_told_in_one_line() {
        let mut facts =
            [copy("a/one.rs", "b/x.rs", 0.9), copy("a/two.rs", "b/y.rs", 0.95), copy("a/c/one.rs", "b/x.rs", 0.9)];
        fold(&mut facts);
        let told: Vec<(bool, &str)> = facts.iter().map(|(_, fact)| (fact.passes, fact.text.as_str())).collect();
        assert_eq!(
            told,
            [(false, "alike"), (true, "alike; 1 more of `a` is like what stands in `b`"), (true, "alike")]
        );
        let mut facts = [copy("one.rs", "b/x.rs", 0.9), copy("two.rs", "b/y.rs", 0.9), copy("z.rs", "b/z.rs", 0.9)];
        facts[2].1.passes = false;
        fold(&mut facts);
        let told: Vec<(bool, &str)> = facts.iter().map(|(_, fact)| (fact.passes, fact.text.as_str())).collect();
        assert_eq!(
            told,
            [(true, "alike; 1 more of `.` is like what stands in `b`"), (false, "alike"), (false, "alike")]
        );
    }

    #[test]
    fn what_is_on_its_way_out_says_so() {
        for path in ["old/log/a.go", "log/deprecated.go", "rollup.original.config.mjs", "src/Legacy/a.py", "ui_old.c"] {
            assert!(is_leaving(path), "{path}");
        }
        assert!(!is_leaving("src/gold/threshold.rs") && !is_leaving("folder/older.rs"));
    }

    #[test]
    fn what_was_copied_says_so_in_a_comment() {
        for said in ["// Copied from b.", "# TODO: Copy pasted from b.", "/* copy-pasted */", "// copypasta"] {
            assert!(says_so(&format!("fn a() {{\n    {said}\n}}")), "{said}");
        }
        assert!(!says_so("fn copied() {\n    copied(\"from\"); // copies it\n}"));
    }

    #[test]
    fn what_is_inside_a_function_is_known_by_its_symbol() {
        assert!(is_inside("build", "build.handler") && is_inside("a::b", "a"));
        assert!(!is_inside("build", "builder") && !is_inside("build", "build_all") && !is_inside("a.b", "a.c"));
    }
}
