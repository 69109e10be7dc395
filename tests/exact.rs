//! `precedent search` against what was written into a history: which places stand at a revision, what ever stood, and what
//! filters leave of it. The expected sets are computed from the texts that make the history, and not from any store.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::{Fixture, import};

/// More than there are places of all history, so that all come back.
const ALL: &str = "1000";
const COMMITS: usize = 60;
const DAY: i64 = 86_400;
/// Noon of 2024-03-10.
const START: i64 = 1_710_072_000;
const AUTHORS: [&str; 3] = ["Ada", "Bob", "Cy"];
const FILES: [&str; 6] = ["a.rs", "src/b.rs", "src/deep/c.rs", "lib/d.py", "lib/e.py", "src/z.py"];
/// The name of what is a type in Rust.
const TYPE: &str = "Ship";
/// The question has a word of every text, so that nothing is left out for being near to nothing.
const QUESTION: &str = "the harbour of the boat";

/// A node's text, and where it stands: path and name.
type Place = (String, String);
type Tree = BTreeMap<Place, String>;

/// A commit as it was made.
struct Commit {
    author: usize,
    day: i64,
    parents: Vec<usize>,
    tree: Tree,
    id: String,
}

/// A history of a line and a branch that is merged into it again and again.
struct History {
    fixture: Fixture,
    commits: Vec<Commit>,
}

/// Numbers that look random and are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn of<'a, T>(&mut self, among: &'a [T]) -> &'a T {
        &among[self.below(among.len())]
    }
}

/// A function or a type. Those of one name and version are equal, whatever file they are in.
fn text(path: &str, name: &str, version: usize) -> String {
    let steps = [0, 1, 2 + 10 * version];
    let lines = |end: &str| steps.map(|step| format!("    boat_{name} = harbour(boat_{name}, {step}){end}\n")).concat();
    match (path.ends_with(".rs"), name) {
        (true, TYPE) => format!("struct {name} {{\n    boat: u32,\n    harbour: u32,\n    version_{version}: u32,\n}}"),
        (true, _) => format!("fn {name}(mut boat_{name}: u64) {{\n{}}}", lines(";")),
        (false, _) => format!("def {name}(boat_{name}):\n{}    return boat_{name}", lines("")),
    }
}

/// What a path says of language, and a place of its kind.
fn lang(path: &str) -> &'static str {
    if path.ends_with(".rs") { "rust" } else { "python" }
}

fn kind((path, name): &Place) -> &'static str {
    if name == TYPE && lang(path) == "rust" { "struct" } else { "function" }
}

/// The files of a tree.
fn files(tree: &Tree) -> BTreeMap<&str, String> {
    let mut files: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    tree.iter().for_each(|((path, _), text)| files.entry(path).or_default().push(text));
    files.into_iter().map(|(path, texts)| (path, texts.join("\n\n") + "\n")).collect()
}

impl History {
    fn new(seed: u64) -> History {
        let mut random = Random(seed);
        let mut commits: Vec<Commit> = Vec::new();
        // The last commit of each line; the branch has the files of its own folder, so that merges are clean.
        let (mut main, mut branch) = (None, None);
        for at in 0..COMMITS {
            let on_branch = branch.is_some() && at + 1 < COMMITS && random.below(3) == 0;
            let parents: Vec<usize> = match (main, branch) {
                // The last one too, so that all are its ancestors.
                (Some(main), Some(branch)) if (at % 9 == 8 && !on_branch) || at + 1 == COMMITS => vec![main, branch],
                _ => (if on_branch { branch } else { main }).into_iter().collect(),
            };
            let mut tree = parents.first().map_or_else(Tree::new, |parent| commits[*parent].tree.clone());
            if let [_, other] = parents[..] {
                tree.retain(|(path, _), _| !path.starts_with("lib/"));
                tree.extend(commits[other].tree.clone().into_iter().filter(|((path, _), _)| path.starts_with("lib/")));
            } else {
                let of_line: Vec<&str> =
                    FILES.into_iter().filter(|path| path.starts_with("lib/") == on_branch).collect();
                // What is removed and what is added go in commits of their own: else the one might be the other, renamed.
                let removes = at > 8 && random.below(5) == 0;
                for _ in 0..1 + random.below(3) {
                    let path = *random.of(&of_line);
                    let name = *random.of(&[TYPE, "f1", "f2", "f3"]);
                    let place = (path.to_owned(), name.to_owned());
                    if removes {
                        tree.remove(&place);
                    } else {
                        tree.insert(place, text(path, name, random.below(3)));
                    }
                }
            }
            let (author, day) = (random.below(AUTHORS.len()), at as i64 / 3);
            commits.push(Commit { author, day, parents, tree, id: String::new() });
            if on_branch {
                branch = Some(at)
            } else {
                main = Some(at)
            }
            if branch.is_none() && at == 4 {
                branch = Some(at);
            }
        }
        let fixture = Fixture::empty();
        import(&fixture, &stream(&commits));
        // Messages are numbers, by which ids are found.
        let log = fixture.git(&["log", "--all", "--format=%H %s"]);
        for line in log.lines() {
            let (id, at) = line.split_once(' ').expect("an id and a number");
            commits[at.parse::<usize>().expect("a number")].id = id.to_owned();
        }
        History { fixture, commits }
    }

    fn ancestors(&self, at: usize) -> BTreeSet<usize> {
        let (mut found, mut pending) = (BTreeSet::new(), vec![at]);
        while let Some(at) = pending.pop() {
            if found.insert(at) {
                pending.extend(&self.commits[at].parents);
            }
        }
        found
    }

    /// Whether a commit brought a text to a place: no parent had it there.
    fn brought(&self, at: usize, place: &Place, text: &str) -> bool {
        let has = |at: usize| self.commits[at].tree.get(place).is_some_and(|there| there == text);
        has(at) && !self.commits[at].parents.iter().any(|parent| has(*parent))
    }

    fn ask(&self, store: &str, more: &[&str]) -> Vec<Value> {
        self.fixture.json_lines(&[&["search", QUESTION, "--json", "--store", store], more].concat())
    }
}

fn stream(commits: &[Commit]) -> Vec<u8> {
    let mut stream = String::new();
    for (at, commit) in commits.iter().enumerate() {
        let (author, time) = (AUTHORS[commit.author], START + commit.day * DAY);
        // Two branches, so that neither is lost.
        let line = if at + 1 == commits.len() { "main" } else { "lines" };
        stream.push_str(&format!("commit refs/heads/{line}\nmark :{}\n", at + 1));
        for who in ["author", "committer"] {
            stream.push_str(&format!("{who} {author} <{author}@example.org> {time} +0000\n"));
        }
        let message = at.to_string();
        stream.push_str(&format!("data {}\n{message}\n", message.len()));
        for (which, parent) in commit.parents.iter().enumerate() {
            stream.push_str(&format!("{} :{}\n", if which == 0 { "from" } else { "merge" }, parent + 1));
        }
        stream.push_str("deleteall\n");
        for (path, text) in files(&commit.tree) {
            stream.push_str(&format!("M 100644 inline {path}\ndata {}\n{text}\n", text.len()));
        }
        stream.push('\n');
    }
    stream.into_bytes()
}

/// A pattern, and whether it means a path.
type Pattern = (&'static str, fn(&str) -> bool);
const PATTERNS: [Pattern; 5] = [
    ("src/**", |path| path.starts_with("src/")),
    ("*.rs", |path| path.ends_with(".rs") && !path.contains('/')),
    ("**/*.py", |path| path.ends_with(".py")),
    ("src/*", |path| path.starts_with("src/") && !path["src/".len()..].contains('/')),
    ("{a.rs,lib/?.py}", |path| path == "a.rs" || path.starts_with("lib/")),
];

/// What is filtered by.
#[derive(Debug, Default)]
struct Filters {
    /// By position among the patterns.
    path: Option<usize>,
    lang: Option<&'static str>,
    kind: Option<&'static str>,
    author: Option<usize>,
    since: Option<i64>,
    until: Option<i64>,
}

impl Filters {
    /// Some at random: each of the six in one of four.
    fn any(random: &mut Random) -> Filters {
        let days = COMMITS / 3;
        let fourths = [(); 6].map(|()| random.below(4) == 0);
        Filters {
            path: fourths[0].then(|| random.below(PATTERNS.len())),
            lang: fourths[1].then(|| *random.of(&["rust", "python"])),
            kind: fourths[2].then(|| *random.of(&["function", "struct"])),
            author: fourths[3].then(|| random.below(AUTHORS.len())),
            since: fourths[4].then(|| random.below(days) as i64),
            until: fourths[5].then(|| random.below(days) as i64),
        }
    }

    fn arguments(&self) -> Vec<String> {
        let date = |day: i64| format!("2024-03-{}", 10 + day);
        let named = [
            ("--path", self.path.map(|at| PATTERNS[at].0.to_owned())),
            ("--lang", self.lang.map(str::to_owned)),
            ("--kind", self.kind.map(str::to_owned)),
            ("--author", self.author.map(|author| AUTHORS[author].to_uppercase())),
            ("--since", self.since.map(date)),
            ("--until", self.until.map(date)),
        ];
        named.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value?])).flatten().collect()
    }

    fn allows_place(&self, place: &Place) -> bool {
        self.path.is_none_or(|at| PATTERNS[at].1(&place.0))
            && self.lang.is_none_or(|wanted| lang(&place.0) == wanted)
            && self.kind.is_none_or(|wanted| kind(place) == wanted)
    }

    fn allows_commit(&self, commit: &Commit) -> bool {
        self.author.is_none_or(|author| commit.author == author)
            && self.since.is_none_or(|since| commit.day >= since)
            && self.until.is_none_or(|until| commit.day <= until)
    }
}

/// Where a result stands and what its text is.
fn row(hit: &Value) -> (Place, String) {
    let of = |key: &str| hit[key].as_str().expect("text").to_owned();
    ((of("path"), of("symbol")), of("text"))
}

fn sorted<T: Ord>(rows: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut rows: Vec<T> = rows.into_iter().collect();
    rows.sort();
    rows
}

#[test]
fn filters_leave_what_they_should_of_a_tree_and_as_many_come_back_as_there_are() {
    let history = History::new(1);
    let store = history.fixture.store().to_string_lossy().into_owned();
    let (mut random, mut found) = (Random(2), 0);
    for _ in 0..40 {
        let (at, filters) = (random.below(COMMITS), Filters::any(&mut random));
        let commit = &history.commits[at];
        let known = history.ancestors(at);
        let is_wanted = |place: &Place, text: &str| {
            let mut bringers = known.iter().filter(|at| history.brought(**at, place, text));
            filters.allows_place(place) && bringers.any(|at| filters.allows_commit(&history.commits[*at]))
        };
        let wanted = commit.tree.iter().filter(|(place, text)| is_wanted(place, text));
        let expected: Vec<(Place, String)> = wanted.map(|(place, text)| (place.clone(), text.clone())).collect();
        let arguments = filters.arguments();
        let more: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let hits = history.ask(&store, &[&["--as-of", &commit.id, "-k", ALL], &more[..]].concat());
        assert_eq!(sorted(hits.iter().map(row)), expected, "commit {at}, {filters:?}");
        for hit in &hits {
            assert_eq!(told(&history, hit), row(hit).1, "{hit}");
        }
        // The first three of fewer are three, and of those.
        let few = history.ask(&store, &[&["--as-of", &commit.id, "-k", "3"], &more[..]].concat());
        assert_eq!(few.len(), expected.len().min(3), "commit {at}, {filters:?}");
        assert!(few.iter().all(|hit| expected.contains(&row(hit))));
        found += usize::from(!expected.is_empty());
    }
    assert!(found > 20, "most filters should leave something: {found}");
}

/// The lines that a result names, in the file as of the commit that it names.
fn told(history: &History, hit: &Value) -> String {
    let commit = history.commits.iter().find(|commit| commit.id == hit["commit"]).expect("a commit of this history");
    let line = |at: usize| hit["lines"][at].as_u64().expect("a line") as usize;
    let file = &files(&commit.tree)[hit["path"].as_str().expect("a path")];
    file.lines().skip(line(0) - 1).take(line(1) + 1 - line(0)).collect::<Vec<_>>().join("\n")
}

#[test]
fn all_that_ever_stood_is_found_one_row_a_node_with_its_life_and_filters_hold_there_too() {
    let history = History::new(3);
    let store = history.fixture.store().to_string_lossy().into_owned();
    let last = &history.commits[COMMITS - 1];
    // Every text that a commit brought to a place, with the commits that did.
    let mut ever: BTreeMap<(Place, String), Vec<usize>> = BTreeMap::new();
    for (at, commit) in history.commits.iter().enumerate() {
        for (place, text) in commit.tree.iter().filter(|(place, text)| history.brought(at, place, text)) {
            ever.entry((place.clone(), text.clone())).or_default().push(at);
        }
    }
    let removed = |at: usize, place: &Place| {
        let is_there = |at: usize| history.commits[at].tree.contains_key(place);
        let parents = &history.commits[at].parents;
        !is_there(at) && !parents.is_empty() && parents.iter().all(|parent| is_there(*parent))
    };
    let mut random = Random(4);
    for round in 0..20 {
        let filters = if round == 0 { Filters::default() } else { Filters::any(&mut random) };
        let arguments = filters.arguments();
        let more: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let is_wanted = |(place, _): &(Place, String), by: &[usize]| {
            filters.allows_place(place) && by.iter().any(|at| filters.allows_commit(&history.commits[*at]))
        };
        let expected: Vec<&(Place, String)> =
            ever.iter().filter(|(standing, by)| is_wanted(standing, by)).map(|(standing, _)| standing).collect();
        let hits = history.ask(&store, &[&["--history", "--all-versions", "-k", ALL], &more[..]].concat());
        assert_eq!(
            sorted(hits.iter().map(row)),
            expected.iter().map(|one| (*one).clone()).collect::<Vec<_>>(),
            "{filters:?}"
        );
        for hit in &hits {
            assert_eq!(told(&history, hit), row(hit).1, "{hit}");
        }
        let nodes: BTreeSet<&Place> = expected.iter().map(|(place, _)| place).collect();
        let hits = history.ask(&store, &[&["--history", "-k", ALL], &more[..]].concat());
        assert_eq!(
            sorted(hits.iter().map(|hit| row(hit).0)),
            nodes.into_iter().cloned().collect::<Vec<_>>(),
            "{filters:?}"
        );
        for hit in &hits {
            let place = row(hit).0;
            let texts: Vec<_> = ever.iter().filter(|((there, _), _)| *there == place).collect();
            let edits =
                || texts.iter().flat_map(|(_, by)| (*by).clone()).chain((0..COMMITS).filter(|at| removed(*at, &place)));
            assert_eq!(hit["versions"], texts.len(), "{hit}");
            assert_eq!(hit["alive"], last.tree.contains_key(&place), "{hit}");
            assert_eq!(hit["first_commit"], history.commits[edits().min().expect("an edit")].id, "{hit}");
            assert_eq!(hit["last_commit"], history.commits[edits().max().expect("an edit")].id, "{hit}");
        }
    }
}

#[test]
fn an_answer_at_a_revision_is_that_of_an_index_that_ends_there() {
    let history = History::new(5);
    let whole = history.fixture.store().to_string_lossy().into_owned();
    history.fixture.json(&["index", "--json", "--no-replay"]);
    for at in (3..COMMITS).step_by(8) {
        let id = history.commits[at].id.as_str();
        let part = history.fixture.beside(&format!("part-{at}")).to_string_lossy().into_owned();
        let report = history.fixture.json(&["index", "--json", "--no-replay", "--tip", id, "--store", &part]);
        assert_eq!(report["commits"], history.ancestors(at).len());
        for question in ["harbour", "boat_f1", "what is done with the second boat", "struct Ship { boat: u32 }"] {
            let ask = |store: &str| {
                let asked = ["search", question, "--as-of", id, "--json", "-k", ALL, "--store", store];
                let hits = history.fixture.json_lines(&asked);
                let told = |hit: Value| {
                    let score = hit["score"].as_f64().expect("a score");
                    (hit["path"].clone(), hit["symbol"].clone(), hit["chunk"].clone(), format!("{score:.4}"))
                };
                hits.into_iter().map(told).collect::<Vec<_>>()
            };
            let (of_whole, of_part) = (ask(&whole), ask(&part));
            assert!(!of_part.is_empty());
            assert_eq!(of_whole, of_part, "commit {at}: {question}");
        }
    }
}
