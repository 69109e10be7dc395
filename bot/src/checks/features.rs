//! Stale-doc, of feature flags: this change removes a feature of a Cargo package, and documentation in the package still
//! tells people to turn it on.

use std::collections::{BTreeMap, BTreeSet};

use super::mention::{is_about_another_time, is_historical};
use super::tree::Role;
use super::{Scene, anchor, stale_doc};
use crate::change::ChangedFile;
use crate::finding::{Citation, Finding, NodeName, Severity, Side};
use crate::render::code;

/// One claim for each feature.
pub(super) fn findings(scene: &Scene<'_>) -> Vec<Finding> {
    let is_manifest = |file: &&ChangedFile| file.exists && file.path.rsplit('/').next() == Some("Cargo.toml");
    let mut found = Vec::new();
    for file in scene.change.files.iter().filter(is_manifest) {
        let after = features(&file.after);
        for (feature, line) in features(&file.before) {
            if !after.contains_key(&feature) && !is_known_elsewhere(scene, &file.path, &feature) {
                found.extend(finding(scene, file, &feature, line));
            }
        }
    }
    found
}

/// The features of a manifest, with their lines from 1: the keys of `[features]`, and optional dependencies.
fn features(manifest: &str) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    let mut section = "";
    for (number, line) in (1u32..).zip(manifest.lines()) {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']');
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        let key = key.trim().trim_matches('"');
        let is_optional = section.ends_with("dependencies") && value.contains("optional") && value.contains("true");
        if (section == "features" || is_optional) && !key.starts_with('#') {
            found.insert(key.to_owned(), number);
        }
    }
    found
}

/// Whether another manifest of the tree has a feature or a dependency of this name: the words may mean that one.
fn is_known_elsewhere(scene: &Scene<'_>, own: &str, feature: &str) -> bool {
    scene.tree.holders(feature).into_iter().any(|file| {
        let path = scene.tree.path(file);
        let holds = || {
            scene
                .tree
                .text(file)
                .is_some_and(|text| text.contains(&format!("\"{feature}\"")) || features(&text).contains_key(feature))
        };
        path.ends_with("Cargo.toml") && (path != own && holds())
    })
}

fn finding(scene: &Scene<'_>, file: &ChangedFile, feature: &str, line: u32) -> Option<Finding> {
    let directory = file.path.strip_suffix("Cargo.toml").unwrap_or_default();
    let mut places: BTreeSet<(usize, u32)> = BTreeSet::new();
    for holder in scene.tree.holders(feature) {
        let path = scene.tree.path(holder);
        if !path.starts_with(directory) || is_historical(path) {
            continue;
        }
        let Some(text) = scene.tree.text(holder) else { continue };
        let comments = match scene.tree.role(holder) {
            Role::Document(_) => None,
            Role::Code(language) => Some(scene.tree.comments(holder, language)?),
            Role::Settings | Role::Other => continue,
        };
        for mark in marks(feature) {
            for (at, _) in text.match_indices(&mark).filter(|(at, _)| ends(&text[at + mark.len()..])) {
                let is_said = comments.as_ref().is_none_or(|comments| comments.iter().any(|range| range.contains(&at)));
                let number = u32::try_from(text[..at].matches('\n').count() + 1).unwrap_or(u32::MAX);
                if is_said && !is_about_another_time(&text, number) {
                    places.insert((holder, number));
                }
            }
        }
    }
    let (first, number) = *places.first()?;
    let path = scene.tree.path(first).to_owned();
    let cited = Citation::read(scene.objects, &scene.change.head, &path, number, number)?;
    let origin = Citation::read(scene.objects, &scene.change.base, &file.path, line, line)?;
    let anchor = anchor::of_new_line(scene.change, &path, number).or_else(|| {
        let is_shown = file.diff.removed.binary_search(&line).is_ok();
        is_shown.then(|| anchor::Anchor { path: file.path.to_string(), side: Side::Left, line })
    })?;
    let node = NodeName { path: file.path.to_string(), symbol: String::new() };
    Some(Finding {
        id: Finding::id(stale_doc::NAME, &node, feature),
        check: stale_doc::NAME,
        path: anchor.path,
        side: anchor.side,
        start_line: None,
        line: anchor.line,
        severity: Severity::Major,
        confidence: None,
        title: format!("{} still speaks of the feature {}, which this change removes", code(&path), code(feature)),
        body: format!("Line {number} of {} reads: {}.", code(&path), code(&cited.quote)),
        suggestion: None,
        citations: vec![cited, origin],
    })
}

/// Whether the name of a feature ends before this text, and does not go on in it.
fn ends(rest: &str) -> bool {
    let goes_on = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '+' | '/');
    let mut letters = rest.chars();
    match letters.next() {
        Some('.') => !letters.next().is_some_and(char::is_alphanumeric),
        Some(letter) => !goes_on(letter),
        None => true,
    }
}

/// The ways to name a feature that cannot mean anything else.
fn marks(feature: &str) -> [String; 5] {
    [
        format!("feature = \"{feature}\""),
        format!("--features {feature}"),
        format!("--features={feature}"),
        format!("`{feature}` feature"),
        format!("feature `{feature}`"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_does_not_end_within_a_longer_one() {
        for (rest, expected) in [
            ("", true),
            ("`.", true),
            (" and", true),
            (",more", true),
            (".", true),
            (". Then", true),
            ("-path", false),
            ("_path", false),
            ("er", false),
            ("/std", false),
            (".1", false),
        ] {
            assert_eq!(ends(rest), expected, "{rest:?}");
        }
    }

    #[test]
    fn features_are_keys_and_optional_dependencies() {
        let text = "[package]\nname = \"x\"\n[dependencies]\na = \"1\"\nb = { version = \"1\", optional = true }\n[features]\ndefault = []\n\"c-d\" = [\"b\"]\n";
        let found: Vec<_> = features(text).into_iter().collect();
        assert_eq!(found, [("b".to_owned(), 5), ("c-d".to_owned(), 8), ("default".to_owned(), 7)]);
    }
}
