//! Which lines may carry a comment, with `git diff` as the judge; `benches/anchors` asks the same of thousands of diffs.

use std::collections::BTreeMap;

use precedent_bot::diff::tree;
use precedent_bot::finding::Side;
use precedent_pipeline::history::Repository;

use crate::support::Fixture;

/// Old path, hunk headers, and each line that may carry a comment as (side, line).
type Shown = (Option<String>, Vec<[u32; 4]>, Vec<(char, u32)>);

/// What `git diff` shows of each file that has hunks.
fn by_git(fixture: &Fixture, base: &str, head: &str) -> BTreeMap<String, Shown> {
    let text = fixture.git(&["diff", "--no-color", "--find-renames", base, head]);
    let mut files: BTreeMap<String, Shown> = BTreeMap::new();
    let (mut old_path, mut path, mut is_link) = (None, String::new(), false);
    let (mut old, mut new, mut left) = (0, 0, [0u32; 2]);
    for line in text.split('\n') {
        let in_hunk = left != [0, 0];
        if in_hunk {
            let shown = files.entry(path.clone()).or_default();
            match line.chars().next() {
                Some('+') => {
                    shown.2.push(('R', new));
                    (new, left[1]) = (new + 1, left[1] - 1);
                }
                Some('-') => {
                    shown.2.push(('L', old));
                    (old, left[0]) = (old + 1, left[0] - 1);
                }
                Some('\\') => {}
                _ => {
                    shown.2.push(('R', new));
                    (old, new, left) = (old + 1, new + 1, [left[0] - 1, left[1] - 1]);
                }
            }
        } else if let Some(rest) = line.strip_prefix("@@ -").filter(|_| !is_link) {
            let ranges = rest.split(" @@").next().expect("a header").replace('+', "");
            let numbers: Vec<u32> = ranges
                .split(' ')
                .flat_map(|range| {
                    let (start, count) = range.split_once(',').unwrap_or((range, "1"));
                    [start.parse().expect("a number"), count.parse().expect("a number")]
                })
                .collect();
            let hunk: [u32; 4] = numbers.try_into().expect("four numbers");
            let entry = files.entry(path.clone()).or_default();
            entry.0.clone_from(&old_path);
            entry.1.push(hunk);
            (old, new, left) = (hunk[0], hunk[2], [hunk[1], hunk[3]]);
        } else if line.starts_with("diff --git ") {
            is_link = false;
        } else if line.ends_with(" 120000") {
            is_link = true;
        } else if let Some(name) = line.strip_prefix("--- ") {
            old_path = name.strip_prefix("a/").map(str::to_owned);
        } else if let Some(name) = line.strip_prefix("+++ ") {
            path = name.strip_prefix("b/").map_or_else(|| old_path.clone().expect("a side"), str::to_owned);
        }
    }
    files
}

#[test]
fn every_line_of_every_hunk_is_where_git_diff_has_it() {
    let fixture = Fixture::new("anchors");
    let repository = Repository::discover(&fixture.repo()).expect("a repository");
    let objects = repository.objects();
    let log = fixture.git(&["log", "--format=%H"]);
    let commits: Vec<&str> = log.lines().collect();
    let mut lines = 0;
    // Every commit against every earlier one, and the other way round.
    for head in &commits {
        for base in commits.iter().filter(|base| *base != head) {
            let id = |revision: &str| repository.resolve(revision).expect("a commit");
            let changes = objects.between(&id(base), &id(head)).expect("changes");
            let expected = by_git(&fixture, base, head);
            let mut found: BTreeMap<String, Shown> = BTreeMap::new();
            for file in tree::diff(&objects, &changes).iter().filter(|file| !file.diff.hunks.is_empty()) {
                let diff = &file.diff;
                let hunks = diff.hunks.iter().map(|h| [h.old_start, h.old_lines, h.new_start, h.new_lines]).collect();
                let old = file.old_path.as_ref().map(ToString::to_string);
                let wanted = expected.get(&**file.path()).map_or(&[][..], |shown| &shown.2);
                let last = wanted.iter().map(|(_, line)| *line).max().unwrap_or(0) + 3;
                let mut places: Vec<(char, u32)> = (0..=last)
                    .flat_map(|line| [('L', Side::Left, line), ('R', Side::Right, line)])
                    .filter(|(_, side, line)| diff.hunk_of(*side, *line).is_some())
                    .map(|(letter, _, line)| (letter, line))
                    .collect();
                places.sort_unstable();
                lines += places.len();
                found.insert(file.path().to_string(), (old, hunks, places));
            }
            let mut expected = expected;
            expected.values_mut().for_each(|shown| shown.2.sort_unstable());
            assert_eq!(found, expected, "git diff {base} {head}");
        }
    }
    assert!(lines > 1_000, "{lines} lines");
}
