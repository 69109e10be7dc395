//! Copy: existing code that a new or edited node is nearly the same as.

use precedent_pipeline::lineage::last_name;
use precedent_pipeline::syntax::Kind;

use crate::change::{Change, ChangedNode};
use crate::companions::features::is_test;
use crate::evidence::Evidence;
use crate::finding::{Fact, FactKind, NodeName};
use crate::precedent::{Neighbour, Precedents};
use crate::render::code;

/// Shared tokens from which a candidate is listed, and from which people see it.
const MIN_LISTED_OVERLAP: f32 = 0.6;
const MIN_SHOWN_OVERLAP: f32 = 0.85;
/// From this overlap on a candidate is of the same pattern. One more of a pattern that stands there several times, as
/// `get_u16` beside `get_u8`, `get_u32` and `get_u64`, is no news.
const PATTERN_OVERLAP: f32 = 0.75;
/// A shorter node is quicker written than shared, in lines.
const MIN_SHOWN_LINES: u32 = 8;

/// Living nodes that are like a changed one.
pub(super) fn facts(change: &Change, precedents: &Precedents<'_>, evidence: &Evidence<'_>) -> Vec<Fact> {
    of(change, &precedents.neighbours, evidence)
}

/// Whether a near-copy of a node is worth a look.
pub(crate) fn may_be_shown(node: &ChangedNode) -> bool {
    let Some((path, piece)) = &node.after else { return false };
    // The same resemblance before this change is no news.
    let is_new = node.before.is_none();
    let is_long = piece.end_line + 1 - piece.start_line >= MIN_SHOWN_LINES;
    // Tests repeat each other so that each can be read alone.
    is_new && is_long && piece.kind == Kind::Function && !is_test(piece.kind.as_str(), path)
}

/// The same from the neighbours of each changed node.
pub(crate) fn of(change: &Change, neighbours: &[Vec<Neighbour>], evidence: &Evidence<'_>) -> Vec<Fact> {
    let mut facts = Vec::new();
    for (node, neighbours) in change.nodes.iter().zip(neighbours) {
        let Some((path, piece)) = &node.after else { continue };
        let is_pattern = neighbours.iter().filter(|near| near.overlap >= PATTERN_OVERLAP).count() > 1;
        let is_worth_a_look = may_be_shown(node) && !is_pattern;
        for (at, near) in neighbours.iter().filter(|near| near.overlap >= MIN_LISTED_OVERLAP).enumerate() {
            let place = &near.place;
            let Some(citation) = evidence.cite(&change.base, &place.path, place.start_line, place.end_line) else {
                continue;
            };
            // Implementations of one trait or interface, and the same function for two platforms, are alike on purpose.
            let is_namesake = last_name(&place.symbol) == last_name(&piece.symbol);
            let has_home = [&*place.symbol, &*piece.symbol].iter().any(|symbol| *symbol != last_name(symbol));
            let is_for_one = piece.text.lines().any(|line| line.trim_start().starts_with("#[cfg("));
            let is_boilerplate = is_namesake && (has_home || is_for_one || *place.path == **path);
            facts.push(Fact {
                kind: FactKind::Copy,
                node: NodeName { path: place.path.to_string(), symbol: place.symbol.to_string() },
                about: NodeName { path: path.to_string(), symbol: piece.symbol.clone() },
                text: format!("{:.0} % like {}, by the tokens of both", near.overlap * 100.0, code(&place.symbol)),
                score: f64::from(near.overlap),
                shown: at == 0 && is_worth_a_look && !is_boilerplate && near.overlap >= MIN_SHOWN_OVERLAP,
                here: None,
                citations: vec![citation],
            });
        }
    }
    facts
}
