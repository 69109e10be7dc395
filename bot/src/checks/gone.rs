//! Gone: the names that a change takes out of the code, with what they were.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use precedent_pipeline::lineage::last_name;
use precedent_pipeline::syntax::{self, Kind, Language, MemberKind};

use super::mention::is_unmistakable;
use super::tree::{Role, role, words};
use crate::change::{Change, ChangedFile, ChangedNode};
use crate::finding::NodeName;

/// Names looked into on one change, so that a review ends in time.
const MAX_NAMES: usize = 3_000;

/// What a name was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// An option of a command line, `--name`.
    Option,
    /// A variable of the environment.
    Environment,
    /// A field of a type.
    Field,
    /// A variant of an enumeration.
    Variant,
    /// A parameter of a function.
    Parameter,
    /// A function or a method.
    Function,
    /// A type, a trait, a class.
    Type,
    /// A constant.
    Constant,
    /// A macro.
    Macro,
    /// Something that was used here; where it was defined is not known.
    Used,
}

impl What {
    /// The word for it.
    pub(super) fn noun(self) -> &'static str {
        match self {
            What::Option => "command-line option",
            What::Environment => "environment variable",
            What::Field => "field",
            What::Variant => "variant",
            What::Parameter => "parameter",
            What::Function => "function",
            What::Type => "type",
            What::Constant => "constant",
            What::Macro => "macro",
            What::Used => "name",
        }
    }
}

/// A name that stood in code before this change, and in no changed line after it.
#[derive(Debug, Clone)]
pub(super) struct Gone {
    /// The name, without marks.
    pub(super) name: String,
    /// What it was.
    pub(super) what: What,
    /// The node that it was, or was part of.
    pub(super) node: NodeName,
    /// The file that it stood in at the base.
    pub(super) path: Arc<str>,
    /// The line that it stood in at the base, from 1.
    pub(super) line: u32,
    /// The name that took its place, if one did.
    pub(super) replacement: Option<String>,
}

/// A name on removed lines that no added line of code holds.
pub(super) struct Candidate<'c> {
    /// The name.
    pub(super) name: &'c str,
    places: Vec<Place>,
}

/// Where a name stood at the base.
struct Place {
    /// The number of the changed file.
    file: usize,
    /// The byte in its old text.
    at: usize,
    /// The line, from 1.
    line: u32,
}

/// Every unmistakable name on a removed line of a file of code, in order of the names. It may have stood in a comment
/// there: to know takes a parse, which few names are worth.
pub(super) fn candidates(change: &Change) -> Vec<Candidate<'_>> {
    let mut found: BTreeMap<&str, Candidate<'_>> = BTreeMap::new();
    let mut kept: HashSet<&str> = HashSet::new();
    let is_code = |file: &ChangedFile| matches!(role(&file.path), Role::Code(_)) && file.language.is_ok();
    for file in change.files.iter().filter(|file| is_code(file)) {
        kept.extend(words_on(&file.after, &file.diff.added).map(|(_, _, word)| word));
    }
    for (number, file) in change.files.iter().enumerate().filter(|(_, file)| is_code(file)) {
        for (line, at, word) in words_on(&file.before, &file.diff.removed) {
            if !is_unmistakable(word) || kept.contains(word) || !found.contains_key(word) && found.len() >= MAX_NAMES {
                continue;
            }
            let candidate = found.entry(word).or_insert_with(|| Candidate { name: word, places: Vec::new() });
            candidate.places.push(Place { file: number, at, line });
        }
    }
    found.into_values().collect()
}

/// The words on these lines of a text, each with its line from 1 and its byte.
fn words_on<'t>(text: &'t str, lines: &'t [u32]) -> impl Iterator<Item = (u32, usize, &'t str)> {
    let mut start = 0;
    (1u32..)
        .zip(if lines.is_empty() { "" } else { text }.split_inclusive('\n'))
        .filter_map(move |(number, line)| {
            let at = start;
            start += line.len();
            lines.binary_search(&number).is_ok().then_some((number, at, line))
        })
        .flat_map(|(number, start, line)| words(line).map(move |(at, word)| (number, start + at, word)))
}

/// The comments of the old texts of a change, each parsed when it is asked for.
#[derive(Default)]
pub(super) struct OldComments(HashMap<usize, Option<Vec<Range<usize>>>>);

impl OldComments {
    /// The candidate where it first stood in code, if it did.
    pub(super) fn in_code(&mut self, change: &Change, candidate: &Candidate<'_>) -> Option<Gone> {
        let mut is_code = |place: &&Place| {
            let comments = self.0.entry(place.file).or_insert_with(|| {
                let file = &change.files[place.file];
                syntax::comments(file.language.ok()?, &file.before)
            });
            comments.as_ref().is_some_and(|comments| !comments.iter().any(|range| range.contains(&place.at)))
        };
        let place = candidate.places.iter().find(|place| is_code(place))?;
        let path = change.files[place.file].path.clone();
        Some(Gone {
            name: candidate.name.to_owned(),
            what: What::Used,
            node: NodeName { path: path.to_string(), symbol: String::new() },
            path,
            line: place.line,
            replacement: None,
        })
    }
}

/// Finds out what a name was, from the nodes of the change that defined it.
pub(super) fn define(change: &Change, gone: &mut Gone) {
    for node in &change.nodes {
        let Some((path, before)) = &node.before else { continue };
        if !before.text.contains(gone.name.as_str()) {
            continue;
        }
        let name = NodeName { path: path.to_string(), symbol: before.symbol.clone() };
        let own = if before.name.is_empty() { last_name(&before.symbol) } else { &before.name };
        let found = if own == gone.name { kind(before.kind).map(|what| (what, None)) } else { part(node, &gone.name) };
        let Some((what, line)) = found else { continue };
        let line = before.start_line + line.unwrap_or_else(|| line_in_code(node.language, &before.text, &gone.name));
        if what < gone.what {
            gone.what = what;
            gone.path = path.clone();
            gone.line = line;
            // The documentation of a function is spoken of under its present name.
            gone.node = if what == What::Parameter { node.name() } else { name };
            gone.replacement = replacement(node, &gone.name, what);
        }
    }
    if gone.what == What::Used && OTHERS.contains(&gone.name.as_str()) {
        return;
    }
    if is_environment(change, gone) {
        gone.what = What::Environment;
    }
}

fn kind(kind: Kind) -> Option<What> {
    match kind {
        Kind::Function => Some(What::Function),
        Kind::Struct | Kind::Enum | Kind::Union | Kind::Trait | Kind::TypeAlias | Kind::Class => Some(What::Type),
        Kind::Macro => Some(What::Macro),
        Kind::Const => Some(What::Constant),
        Kind::Test | Kind::Run | Kind::Section | Kind::Impl => None,
    }
}

/// The line inside a node, from 0, in which its code first has a name; neither a comment nor an attribute counts.
fn line_in_code(language: &'static Language, text: &str, name: &str) -> u32 {
    let comments = syntax::comments(language, text).unwrap_or_default();
    let is_code = |at: usize| {
        let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
        let is_attribute = text[line..].trim_start().starts_with(['#', '@']);
        !is_attribute && !comments.iter().any(|range| range.contains(&at))
    };
    let found = words(text).find(|(at, word)| *word == name && is_code(*at));
    found.map_or(0, |(at, _)| u32::try_from(text[..at].matches('\n').count()).unwrap_or(0))
}

/// A member of a type, with its line inside the node from 0, or a parameter of a function.
fn part(node: &ChangedNode, name: &str) -> Option<(What, Option<u32>)> {
    let (_, before) = node.before.as_ref()?;
    match before.kind {
        Kind::Struct | Kind::Enum | Kind::Union | Kind::Trait | Kind::Class => {
            let members = syntax::members(node.language, &before.text);
            let member = members.into_iter().find(|member| member.name == name)?;
            let what = match member.kind {
                MemberKind::Field => What::Field,
                MemberKind::Variant => What::Variant,
            };
            Some((what, Some(member.line)))
        }
        Kind::Function => {
            let parts = syntax::anatomy(node.language, &before.text);
            parts.parameters.iter().any(|parameter| parameter == name).then_some((What::Parameter, None))
        }
        _ => None,
    }
}

/// The one name that came where the old one went.
fn replacement(node: &ChangedNode, name: &str, what: What) -> Option<String> {
    let (_, before) = node.before.as_ref()?;
    let (_, after) = node.after.as_ref()?;
    let only = |old: Vec<String>, new: Vec<String>| -> Option<String> {
        let at = old.iter().position(|other| other == name)?;
        let candidate = new.get(at)?;
        let is_rename = old.len() == new.len() && !old.contains(candidate);
        is_rename.then(|| candidate.clone())
    };
    let members = |text: &str| -> Vec<String> {
        syntax::members(node.language, text).into_iter().map(|member| member.name).collect()
    };
    let parameters = |text: &str| syntax::anatomy(node.language, text).parameters;
    match what {
        What::Field | What::Variant => only(members(&before.text), members(&after.text)),
        What::Parameter => only(parameters(&before.text), parameters(&after.text)),
        _ => Some(after.name.clone()).filter(|new| !new.is_empty() && new != name),
    }
}

/// Variables that belong to other programs, and are there whether this one asks or not; prefixes end in `_`.
const OTHERS: &[&str] = &[
    "OUT_DIR",
    "CARGO_",
    "RUST_",
    "RUSTC_",
    "RUSTDOC_",
    "GITHUB_",
    "NO_COLOR",
    "XDG_",
    "NODE_ENV",
    "PYTHON_",
    "JAVA_HOME",
    "LC_",
    "LD_",
    "GIT_",
    "DOCKER_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "AWS_",
    "SSH_",
    "NUM_JOBS",
];

/// A name in capitals that a removed line asks the environment for.
fn is_environment(change: &Change, gone: &Gone) -> bool {
    if OTHERS.iter().any(|other| gone.name == *other || other.ends_with('_') && gone.name.starts_with(other)) {
        return false;
    }
    let is_loud = gone.name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    if !is_loud {
        return false;
    }
    let Some(file) = change.file(&gone.path) else { return false };
    let line = file.before.lines().nth(gone.line as usize - 1).unwrap_or_default().to_lowercase();
    let quoted = [format!("\"{}\"", gone.name), format!("'{}'", gone.name)];
    let name = gone.name.to_lowercase();
    let is_asked = ["env", "environ"].iter().any(|word| line.replace(&name, "").contains(word));
    let is_quoted = quoted.iter().any(|quoted| line.contains(&quoted.to_lowercase()));
    is_asked && (is_quoted || line.contains(&format!("env.{name}")))
}

/// Options of a command line on removed lines, `--name` without the dashes, with the line where each stood.
pub(super) fn options(change: &Change) -> Vec<Gone> {
    let mut found: Vec<Gone> = Vec::new();
    for file in change.files.iter().filter(|file| matches!(role(&file.path), Role::Code(_)) && file.language.is_ok()) {
        let lines: Vec<&str> = file.before.lines().collect();
        for number in &file.diff.removed {
            let line = lines.get(*number as usize - 1).copied().unwrap_or_default();
            for name in options_in(line) {
                if found.iter().any(|gone| gone.name == name) {
                    continue;
                }
                let node = NodeName { path: file.path.to_string(), symbol: String::new() };
                let (path, line) = (file.path.clone(), *number);
                found.push(Gone { name, what: What::Option, node, path, line, replacement: None });
            }
        }
    }
    found
}

/// The options that a line of code defines, in the ways that the common libraries have for it.
fn options_in(line: &str) -> Vec<String> {
    /// What stands before the quoted name.
    const DEFINES: &[&str] = &[
        "long = \"",
        "long=\"",
        ".long(\"",
        "flag(\"",
        "opt(\"",
        "multi_opt(\"",
        "optional_multi_opt(\"",
        "Arg::new(\"",
        "add_argument(\"--",
        "add_argument('--",
        "option(\"--",
        "option('--",
        "add_option(\"--",
        "add_option('--",
        ".Flags().Bool(\"",
        ".Flags().String(\"",
        ".Flags().Int(\"",
        ".option('--",
        ".option(\"--",
        "Flag(\"",
        "Flag{Name: \"",
        "case \"--",
    ];
    let trimmed = line.trim_start();
    if trimmed.starts_with("//") || trimmed.starts_with('#') && !trimmed.starts_with("#[") || trimmed.starts_with('*') {
        return Vec::new();
    }
    let mut found = Vec::new();
    for mark in DEFINES {
        for (at, _) in line.match_indices(mark) {
            let rest = &line[at + mark.len()..];
            let end =
                rest.find(|letter: char| !(letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-'));
            let name = &rest[..end.unwrap_or(rest.len())];
            let closes = rest[name.len()..].starts_with(['"', '\'', '=', ' ', '/']);
            let is_name = name.len() >= 4
                && name.contains('-')
                && !name.ends_with('-')
                && name.starts_with(|first: char| first.is_ascii_lowercase());
            if closes && is_name && !found.iter().any(|other| other == name) {
                found.push(name.to_owned());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_options(line: &str, expected: &[&str]) {
        assert_eq!(options_in(line), expected, "{line}");
    }

    #[test]
    fn a_name_stands_where_the_code_has_it() {
        let rust = syntax::classify_path("a.rs").expect("a language");
        let check = |text: &str, expected: u32| assert_eq!(line_in_code(rust, text, "host"), expected, "{text}");
        check("/// Of `host`.\n#[doc(alias = \"host\")]\nfn a(\n    host: u8,\n) {}", 3);
        check("fn host() {}", 0);
        check("/// Of `host`.\nfn a() {}", 0);
    }

    #[test]
    fn options_are_found_where_they_are_defined() {
        check_options("    #[arg(long = \"dry-run\", value_name = \"x-y\")]", &["dry-run"]);
        check_options("parser.add_argument(\"--no-color\", help='a')", &["no-color"]);
        check_options("opt(\"build-plan\", \"Output the build plan\")", &["build-plan"]);
        check_options("cmd.arg(\"--all-targets\");", &[]);
        check_options("case \"--no-mouse\":", &["no-mouse"]);
        check_options("// \"--not-this\"", &[]);
        check_options("let x = a - b;", &[]);
    }
}
