//! Companion: what usually changes together with what this change touches.
//!
//! Counted over first-parent steps, so that a pull request of ten commits counts once. What the change lacks is ranked by
//! what [`crate::companions`] makes of it; what it touches anyway comes after that. Each companion is shown beside the
//! changed node that it belongs to most: by the lower end of Wilson's interval for "of the steps that changed this, how
//! many changed that". Tests are a kind of their own.

use std::cell::LazyCell;
use std::collections::HashSet;
use std::sync::Arc;

use precedent_pipeline::shard::{Change as Edit, EditRow, ObjectId};
use precedent_pipeline::syntax::Kind;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::change::{Change, ChangedNode};
use crate::companions::features;
use crate::evidence::Evidence;
use crate::finding::{Citation, Fact, FactKind, NodeName};
use crate::precedent::{MAX_FILES, Precedents};
use crate::render::code;

/// A step that touches more files is a sweep, and says nothing of what belongs together.
const MAX_FILES_IN_STEP: usize = 40;
/// Candidates listed for each changed node or file.
const MAX_LISTED: usize = 12;
/// People see a companion from this share of this many steps on.
const MIN_SHOWN_SHARE: f64 = 0.6;
/// Files have many occasions to change together; those that are generated or kept in pairs do so nearly always.
const MIN_SHOWN_FILE_SHARE: f64 = 0.95;
const MIN_SHOWN_TOGETHER: usize = 3;
/// z for a one-sided 90 % bound: a ranking, not a claim.
const Z: f64 = 1.28;

/// Companions of the changed nodes, then of the changed files.
pub(super) fn facts(change: &Change, precedents: &Precedents<'_>, evidence: &Evidence<'_>) -> Vec<Fact> {
    let ground = Ground { steps: Steps::of(precedents), here: Here::of(change), precedents };
    let mut found = Vec::new();
    for ((node, trace), examined) in change.nodes.iter().zip(&precedents.traces).zip(&precedents.examined) {
        if *examined && node.before.is_some() && counts(node.now().1.kind.as_str()) {
            let companions = node_companions(node, trace, &ground);
            let (path, piece) = node.now();
            let is_of_tests = is_of_tests(piece.kind.as_str(), path);
            found.push(Found { changed: Some(node), is_of_tests, ..companions });
        }
    }
    for file in change.files.iter().take(MAX_FILES) {
        found.push(Found { is_of_tests: is_of_tests("", &file.path), ..file_companions(&file.path, &ground) });
    }
    let cited = found.iter().flat_map(|found| found.candidates.iter().take(MAX_LISTED));
    evidence.expect(cited.filter_map(|candidate| places(&candidate.edits).next()));
    let cite = |edits: &[&EditRow]| latest_place(edits, &change.base, precedents, evidence);
    let mut facts: Vec<(Fact, f64)> = found.into_iter().flat_map(|found| found.facts(&cite, &change.nodes)).collect();
    facts.sort_by(|one, two| two.1.total_cmp(&one.1).then_with(|| one.0.about.cmp(&two.0.about)));
    let mut told: HashSet<NodeName> = HashSet::new();
    for (fact, _) in &mut facts {
        fact.passes = fact.passes && told.insert(fact.node.clone());
    }
    facts.into_iter().map(|(fact, _)| fact).collect()
}

/// How good a companion is that the change lacks, from 0 to 1; what it has teaches less.
fn worth(companion: &NodeName, is_here: bool, share: f64, precedents: &Precedents<'_>) -> f64 {
    const HERE: f64 = 1e-6;
    if is_here {
        return HERE * share;
    }
    let ranking = &precedents.ranking;
    let found = match companion.symbol.is_empty() {
        true => ranking.files.get(companion.path.as_str()),
        false => ranking.nodes.get(&(companion.path.as_str().into(), companion.symbol.as_str().into())),
    };
    found.copied().unwrap_or(0.0).max(HERE)
}

fn is_test(companion: &NodeName, edits: &[&EditRow]) -> bool {
    let name = companion.path.rsplit('/').next().unwrap_or(&companion.path);
    edits.iter().any(|edit| edit.kind.as_deref() == Some(Kind::Test.as_str()))
        || companion.path.starts_with("tests/")
        || companion.path.contains("/tests/")
        || name.starts_with("test_")
        || name.contains("_test.")
}

/// Whether a node, or with an empty kind a file, is of the tests: also of their helpers and data.
pub(super) fn is_of_tests(kind: &str, path: &str) -> bool {
    let is_folder = |part: &str| matches!(part, "test" | "tests" | "spec" | "specs" | "__tests__");
    features::is_test(kind, path) || path.to_lowercase().split('/').any(is_folder)
}

/// Imports change with everything and prose has no name that lasts: neither has companions.
fn counts(kind: &str) -> bool {
    kind != Kind::Run.as_str() && kind != Kind::Section.as_str()
}

/// The steps that are small enough to tell.
struct Steps<'a> {
    edits: FxHashMap<u32, &'a [&'a EditRow]>,
}

impl<'a> Steps<'a> {
    fn of(precedents: &'a Precedents<'a>) -> Steps<'a> {
        let edits = precedents
            .line
            .all()
            .iter()
            .filter(|(_, edits)| {
                let files = edits.iter().filter(|edit| edit.symbol.is_none()).map(|edit| &*edit.path);
                // Mostly there are no more rows than that.
                files.clone().count() <= MAX_FILES_IN_STEP
                    || files.collect::<HashSet<&str>>().len() <= MAX_FILES_IN_STEP
            })
            .map(|(unit, edits)| (*unit, edits.as_slice()))
            .collect();
        Steps { edits }
    }
}

/// What this change touches.
struct Here<'a> {
    nodes: HashSet<(&'a str, &'a str)>,
    files: HashSet<&'a str>,
}

impl<'a> Here<'a> {
    fn of(change: &'a Change) -> Here<'a> {
        let sides = change.nodes.iter().flat_map(|node| [&node.before, &node.after]).flatten();
        Here {
            nodes: sides.map(|(path, piece)| (&**path, piece.symbol.as_str())).collect(),
            files: change.files.iter().map(|file| &*file.path).collect(),
        }
    }
}

/// What companions are found in.
struct Ground<'a> {
    steps: Steps<'a>,
    here: Here<'a>,
    precedents: &'a Precedents<'a>,
}

fn node_companions<'a>(node: &ChangedNode, trace: &[&EditRow], ground: &Ground<'a>) -> Found<'a> {
    let Ground { steps, here, precedents } = ground;
    let all: HashSet<u32> = trace.iter().filter_map(|edit| precedents.units.of(edit.commit)).collect();
    let own: Vec<u32> = all.iter().copied().filter(|unit| steps.edits.contains_key(unit)).collect();
    let about = node.name();
    let own_names: FxHashSet<(&str, Option<&str>)> =
        trace.iter().map(|edit| (&*edit.path, edit.symbol.as_deref())).collect();
    let mut together: FxHashMap<(&Arc<str>, &Arc<str>), Vec<&EditRow>> = FxHashMap::default();
    for unit in &own {
        let mut seen = FxHashSet::default();
        for edit in steps.edits[unit].iter().rev() {
            let Some(symbol) = &edit.symbol else { continue };
            let is_self = own_names.contains(&(&*edit.path, Some(&**symbol)))
                || *edit.path == *about.path && encloses(symbol, &about.symbol);
            if is_self || edit.kind.as_deref().is_some_and(|kind| !counts(kind)) || !seen.insert((&edit.path, symbol)) {
                continue;
            }
            together.entry((&edit.path, symbol)).or_default().push(edit);
        }
    }
    let candidates = together
        .into_iter()
        .filter(|((path, symbol), _)| precedents.alive.contains(&((*path).clone(), (*symbol).clone())))
        .map(|((path, symbol), edits)| {
            let companion = NodeName { path: path.to_string(), symbol: symbol.to_string() };
            let is_here = here.nodes.contains(&(&**path, &**symbol));
            (companion, edits, is_here)
        })
        .collect();
    Found::ranked(candidates, Counted { steps: own.len(), sweeps: all.len() - own.len() }, about, precedents)
}

/// One name inside the other: `outer` and `outer::inner` change together by construction.
fn encloses(one: &str, two: &str) -> bool {
    let inside = |outer: &str, inner: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with(['.', ':']));
    inside(one, two) || inside(two, one)
}

fn file_companions<'a>(path: &Arc<str>, ground: &Ground<'a>) -> Found<'a> {
    let Ground { steps, here, precedents } = ground;
    let trace = precedents.archive.trace_file(&precedents.known, path);
    let own_paths: HashSet<&str> = trace.iter().map(|edit| &*edit.path).collect();
    let all: HashSet<u32> = trace.iter().filter_map(|edit| precedents.units.of(edit.commit)).collect();
    let own: Vec<u32> = all.iter().copied().filter(|unit| steps.edits.contains_key(unit)).collect();
    let mut together: FxHashMap<&Arc<str>, Vec<&EditRow>> = FxHashMap::default();
    for unit in &own {
        let mut seen = FxHashSet::default();
        for edit in steps.edits[unit].iter().rev() {
            if edit.symbol.is_none()
                && edit.path != *path
                && !own_paths.contains(&*edit.path)
                && seen.insert(&edit.path)
            {
                together.entry(&edit.path).or_default().push(edit);
            }
        }
    }
    let about = NodeName { path: path.to_string(), symbol: String::new() };
    let candidates = together
        .into_iter()
        .filter(|(path, _)| precedents.files.contains(&***path))
        .map(|(path, edits)| {
            let companion = NodeName { path: path.to_string(), symbol: String::new() };
            (companion, edits, here.files.contains(&**path))
        })
        .collect();
    Found::ranked(candidates, Counted { steps: own.len(), sweeps: all.len() - own.len() }, about, precedents)
}

/// The steps that changed something: those that are counted, and those too large to tell.
#[derive(Clone, Copy)]
struct Counted {
    steps: usize,
    sweeps: usize,
}

/// A companion of a changed node or file.
struct Candidate<'a> {
    node: NodeName,
    /// Its edits in common steps.
    edits: Vec<&'a EditRow>,
    is_here: bool,
    score: f64,
    /// The lower end of the interval of its share.
    bound: f64,
}

/// The companions of one changed node or file, best first.
struct Found<'a> {
    about: NodeName,
    /// The node; nothing for a file.
    changed: Option<&'a ChangedNode>,
    /// Whether it is of the tests, which change with the code, and not the code with them.
    is_of_tests: bool,
    counted: Counted,
    candidates: Vec<Candidate<'a>>,
}

impl<'a> Found<'a> {
    fn ranked(
        candidates: Vec<(NodeName, Vec<&'a EditRow>, bool)>,
        counted: Counted,
        about: NodeName,
        precedents: &Precedents<'_>,
    ) -> Found<'a> {
        let mut candidates: Vec<Candidate<'_>> = candidates
            .into_iter()
            .map(|(node, edits, is_here)| {
                let bound = wilson_lower(edits.len(), counted.steps, Z);
                let score = worth(&node, is_here, bound, precedents);
                Candidate { node, edits, is_here, score, bound }
            })
            .collect();
        candidates.sort_by(|one, two| {
            (two.score, two.bound)
                .partial_cmp(&(one.score, one.bound))
                .expect("because neither is NaN")
                .then_with(|| one.node.cmp(&two.node))
        });
        Found { about, changed: None, is_of_tests: false, counted, candidates }
    }

    /// Listed up to a limit, each with its latest common step as evidence.
    fn facts(self, cite: &dyn Fn(&[&EditRow]) -> Option<Citation>, nodes: &[ChangedNode]) -> Vec<(Fact, f64)> {
        let Found { about, changed, is_of_tests: is_about_tests, counted, candidates } = self;
        // Where the code stays as it is, nothing has to change with it, and what changes in its parts is told of those. To tell
        // takes a parse.
        let stays = LazyCell::new(|| changed.is_some_and(|node| node.is_by_its_parts(nodes) || node.is_in_words()));
        let facts = candidates.into_iter().filter_map(|Candidate { node, edits, is_here, score, bound }| {
            let citation = cite(&edits)?;
            let count = edits.len();
            let share = count as f64 / counted.steps as f64;
            let changes = counted.steps;
            // What was left out of the count is said, so that the sentence is true as it stands.
            let limit = match counted.sweeps {
                0 => String::new(),
                _ => format!(" (up to {MAX_FILES_IN_STEP} files)"),
            };
            let (name, subject) = match (node.symbol.as_str(), about.symbol.as_str()) {
                ("", "") => (code(&node.path), "this file".to_owned()),
                ("", about) => (code(&node.path), code(about)),
                (name, "") => (code(name), "this file".to_owned()),
                // As in two files that are kept alike.
                (name, about) if name == about => {
                    (format!("{} of {}", code(name), code(&node.path)), "this one".to_owned())
                }
                (name, about) => (code(name), code(about)),
            };
            let least = if about.symbol.is_empty() { MIN_SHOWN_FILE_SHARE } else { MIN_SHOWN_SHARE };
            let kind = if is_test(&node, &edits) { FactKind::Test } else { FactKind::Companion };
            // Who edits a test need not touch the code that it tests.
            let is_code_of_test = is_about_tests && kind != FactKind::Test && !is_of_tests("", &node.path);
            let fact = Fact {
                kind,
                text: format!("{name} changed in {count} of the {changes} changes of {subject}{limit}"),
                node,
                about: about.clone(),
                score,
                passes: !is_here && share >= least && count >= MIN_SHOWN_TOGETHER && !is_code_of_test && !*stays,
                shown: false,
                here: Some(is_here),
                citations: vec![citation],
            };
            Some((fact, bound))
        });
        facts.take(MAX_LISTED).collect()
    }
}

/// The places at which the companion stood in common steps, latest first.
fn places<'a>(edits: &[&'a EditRow]) -> impl Iterator<Item = &'a EditRow> + use<'a> {
    let mut edits: Vec<&EditRow> = edits.iter().filter(|edit| edit.change != Edit::Removed).copied().collect();
    edits.sort_by_key(|edit| std::cmp::Reverse(edit.commit));
    edits.into_iter()
}

/// The companion at the latest step in which both changed; a file at the base, where a clone lacks the step.
fn latest_place(
    edits: &[&EditRow],
    base: &ObjectId,
    precedents: &Precedents<'_>,
    evidence: &Evidence<'_>,
) -> Option<Citation> {
    let at_step = places(edits).find_map(|edit| {
        let commit = precedents.archive.commit(edit.commit).id;
        let (start, end) = if edit.symbol.is_some() { (edit.start_line, edit.end_line) } else { (1, 1) };
        evidence.cite(&commit, &edit.path, start, end)
    });
    let now = edits.iter().max_by_key(|edit| edit.commit).filter(|edit| edit.symbol.is_none());
    at_step.or_else(|| evidence.cite(base, &now?.path, 1, 1))
}

/// The lower end of the score interval for a proportion (Wilson, 1927).
fn wilson_lower(hits: usize, trials: usize, z: f64) -> f64 {
    if trials == 0 {
        return 0.0;
    }
    let (trials, share) = (trials as f64, hits as f64 / trials as f64);
    let centre = share + z * z / (2.0 * trials);
    let spread = z * (share * (1.0 - share) / trials + z * z / (4.0 * trials * trials)).sqrt();
    (centre - spread) / (1.0 + z * z / trials)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_evidence_at_the_same_share_scores_higher() {
        assert!(wilson_lower(9, 10, Z) > wilson_lower(3, 3, Z) * 0.9);
        assert!(wilson_lower(30, 30, Z) > wilson_lower(3, 3, Z));
        assert!(wilson_lower(1, 1, Z) < wilson_lower(8, 10, Z));
        assert_eq!(wilson_lower(0, 0, Z), 0.0);
        // The textbook value: 8 of 10 at 95 %.
        assert!((wilson_lower(8, 10, 1.96) - 0.4902).abs() < 0.001);
    }

    #[test]
    fn nested_names_enclose_each_other() {
        assert!(encloses("outer", "outer::inner"));
        assert!(encloses("Class.method", "Class"));
        assert!(!encloses("out", "outer"));
        assert!(!encloses("outer", "outer"));
    }
}
