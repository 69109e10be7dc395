//! Parts: what is added or removed, and shares its text with another node of the same commit.
//!
//! It only says more of what pairing left over: an addition may be a split or a copy, and beside a removal may stand the
//! node that the text went into. Additions and removals stay as many as they were.

use std::sync::Arc;

use super::{NodeEdit, Placed, Texts, last_name};
use crate::shard::Change;
use crate::syntax::{Bag, Kind, containment, shared, similarity};

/// Where the other node began to call the part as it was split off, or ceased to as it was joined: the share of the
/// part's tokens that the other node lost (split) or won (joined), or else the similarity of part and loss or gain.
const CALLED_PART: f32 = 0.6;
/// A part that is called has at least this many tokens. Fewer are shared by accident.
const MIN_CALLED_TOKENS: usize = 20;
/// Where no call tells, the similarity of part and loss or gain.
const PART_SIMILARITY: f32 = 0.75;
/// Or else the share of the part's tokens in them. Then the part must also be a good share of them: a long text holds
/// any short one.
const PART: f32 = 0.8;
const MIN_SHARE_OF_WHOLE: f32 = 0.2;
/// A part that is not called has at least this many tokens.
const MIN_TOKENS: usize = 40;
/// A copy is at least this similar.
const COPY_SIMILARITY: f32 = 0.8;
/// A copy has at least this many tokens.
const MIN_COPY_TOKENS: usize = 24;
/// More comparisons than this are not made, so that a commit which imports a directory costs linear time.
const MAX_COMPARISONS: usize = 160_000;

/// A node before the commit that still stands after it.
pub(super) type Standing<'a> = (Arc<str>, &'a Placed);

/// Tells splits, joins and copies among the edits of one commit.
pub(super) fn tell<'a>(edits: &mut Vec<NodeEdit>, standing: &dyn Fn() -> Vec<Standing<'a>>, texts: &dyn Texts) {
    let is_one = |edit: &NodeEdit, change| edit.change == change && size(edit, texts) >= MIN_CALLED_TOKENS;
    let added: Vec<usize> = (0..edits.len()).filter(|at| is_one(&edits[*at], Change::Added)).collect();
    let removed: Vec<usize> = (0..edits.len()).filter(|at| is_one(&edits[*at], Change::Removed)).collect();
    let splits = matched(edits, &added, Side::Lost, texts);
    let joins = matched(edits, &removed, Side::Won, texts);
    let mut joined = Vec::new();
    for join in joins {
        // What came out of a node that is gone did not also take it in.
        if !splits.iter().any(|split| (split.part, split.whole) == (join.whole, join.part)) {
            let mut edit = edits[join.whole].clone();
            relate(&mut edit, Change::Joined, edits[join.part].before.clone(), texts);
            joined.push(edit);
        }
    }
    for split in splits {
        let source = edits[split.whole].before.clone();
        relate(&mut edits[split.part], Change::Split, source, texts);
    }
    let open: Vec<usize> = added.into_iter().filter(|at| edits[*at].change == Change::Added).collect();
    if open.iter().any(|at| is_copied(&edits[*at])) {
        copies(edits, &open, standing(), texts);
    }
    edits.extend(joined);
}

/// Makes an edit the relation between its node after and another node before.
fn relate(edit: &mut NodeEdit, change: Change, before: Option<(Arc<str>, Placed)>, texts: &dyn Texts) {
    let bag = |side: &Option<(Arc<str>, Placed)>| side.as_ref().and_then(|(_, node)| texts.bag(&node.chunk));
    if let (Some(one), Some(two)) = (bag(&before), bag(&edit.after)) {
        let measure = if change == Change::Copied { similarity } else { containment };
        edit.similarity = Some(measure(one, two));
    }
    edit.change = change;
    edit.before = before;
}

fn size(edit: &NodeEdit, texts: &dyn Texts) -> usize {
    edit.after.as_ref().or(edit.before.as_ref()).and_then(|(_, node)| texts.bag(&node.chunk)).map_or(0, Bag::len)
}

/// What of the other node is compared with a part.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    /// The tokens that it lost: the part was split off.
    Lost,
    /// The tokens that it won: the part was joined to it.
    Won,
}

/// A part and the node that it came from or went into, by their places among the edits.
struct Part {
    part: usize,
    whole: usize,
}

/// A node whose text changed in this commit.
struct Whole {
    at: usize,
    lost: Bag,
    won: Bag,
}

impl Whole {
    /// `None` where nothing changed that a part could be.
    fn of(at: usize, edit: &NodeEdit, side: Side, texts: &dyn Texts) -> Option<Whole> {
        let (before, after) = (edit.before.as_ref(), edit.after.as_ref());
        let has_parts = |(_, node): &(Arc<str>, Placed)| matches!(node.kind, Kind::Function | Kind::Test);
        let own = if side == Side::Lost { before } else { after };
        if !own.is_some_and(has_parts) {
            return None;
        }
        let bag = |(_, node): &(Arc<str>, Placed)| texts.bag(&node.chunk);
        let (lost, won) = match (before, after) {
            (Some((_, old)), Some((_, new))) if old.chunk == new.chunk => return None,
            (Some(old), Some(new)) => {
                let (old, new) = (bag(old)?, bag(new)?);
                (old.without(new), new.without(old))
            }
            (Some(old), None) => (bag(old)?.clone(), Bag::default()),
            (None, Some(new)) => (Bag::default(), bag(new)?.clone()),
            (None, None) => return None,
        };
        let compared = if side == Side::Lost { &lost } else { &won };
        (compared.len() >= MIN_CALLED_TOKENS / 2).then_some(Whole { at, lost, won })
    }

    fn side(&mut self, side: Side) -> &mut Bag {
        if side == Side::Lost { &mut self.lost } else { &mut self.won }
    }

    /// How much of a part this side holds, if that is enough.
    fn holds(&self, part: &Bag, name: &str, side: Side) -> Option<f32> {
        let (text, calls) = if side == Side::Lost { (&self.lost, &self.won) } else { (&self.won, &self.lost) };
        let common = shared(part, text) as f32;
        let share = common / part.len() as f32;
        let alike = 2.0 * common / (part.len() + text.len()) as f32;
        let is_called = calls.count(name) > 0 && share.max(alike) >= CALLED_PART;
        let is_large = share >= PART && common >= MIN_SHARE_OF_WHOLE * text.len() as f32;
        let is_plain = part.len() >= MIN_TOKENS && (alike >= PART_SIMILARITY || is_large);
        (is_called || is_plain).then_some(share.max(alike))
    }
}

/// For each part the node that lost or won it, best first; what one part takes is not there for the next.
fn matched(edits: &[NodeEdit], parts: &[usize], side: Side, texts: &dyn Texts) -> Vec<Part> {
    let of_part = |at: usize| {
        let place = if side == Side::Lost { &edits[at].after } else { &edits[at].before };
        let (_, node) = place.as_ref()?;
        Some((texts.bag(&node.chunk)?, last_name(&node.symbol), node.kind))
    };
    let parts: Vec<usize> = parts
        .iter()
        .copied()
        .filter(|at| of_part(*at).is_some_and(|(_, _, kind)| matches!(kind, Kind::Function | Kind::Test)))
        .collect();
    if parts.is_empty() {
        return Vec::new();
    }
    let mut wholes: Vec<Whole> =
        edits.iter().enumerate().filter_map(|(at, edit)| Whole::of(at, edit, side, texts)).collect();
    if parts.len().saturating_mul(wholes.len()) > MAX_COMPARISONS {
        return Vec::new();
    }
    let mut candidates: Vec<(f32, usize, usize)> = Vec::new();
    for &part in &parts {
        let Some((bag, name, _)) = of_part(part) else { continue };
        for (at, whole) in wholes.iter().enumerate().filter(|(_, whole)| whole.at != part) {
            if let Some(share) = whole.holds(bag, name, side) {
                candidates.push((share, part, at));
            }
        }
    }
    candidates.sort_by(|one, two| two.0.total_cmp(&one.0).then(one.1.cmp(&two.1)).then(one.2.cmp(&two.2)));
    let mut found: Vec<Part> = Vec::new();
    for (_, part, at) in candidates {
        let Some((bag, name, _)) = of_part(part) else { continue };
        if found.iter().any(|other| other.part == part) || wholes[at].holds(bag, name, side).is_none() {
            continue;
        }
        let text = wholes[at].side(side);
        *text = text.without(bag);
        found.push(Part { part, whole: wholes[at].at });
    }
    found
}

/// Whether a node of this kind is worth the word. Runs, sections and headers of impls are alike by habit.
fn is_copied(edit: &NodeEdit) -> bool {
    edit.after.as_ref().is_some_and(|(_, node)| !matches!(node.kind, Kind::Run | Kind::Section | Kind::Impl))
}

/// A path and a node there, after the node's size.
type Sized = (usize, (Arc<str>, Placed));

/// Additions that are nearly a node that stood before and still stands: under its name, or elsewhere by now.
fn copies(edits: &mut [NodeEdit], added: &[usize], standing: Vec<Standing<'_>>, texts: &dyn Texts) {
    let gone_on = edits
        .iter()
        .filter(|edit| matches!(edit.change, Change::Renamed | Change::Moved))
        .filter_map(|edit| edit.before.clone());
    let mut sources: Vec<Sized> = standing
        .into_iter()
        .map(|(path, node)| (path, node.clone()))
        .chain(gone_on)
        .filter_map(|place| Some((texts.bag(&place.1.chunk)?.len(), place)))
        .filter(|(size, _)| *size >= MIN_COPY_TOKENS / 2)
        .collect();
    sources.sort_by_key(|(size, _)| *size);
    let wanted: Vec<(usize, &[Sized])> = added
        .iter()
        .filter(|at| is_copied(&edits[**at]))
        .filter_map(|&at| {
            let length = size(&edits[at], texts);
            // Beyond these sizes two bags cannot be similar enough, whatever they hold.
            let reach = COPY_SIMILARITY / (2.0 - COPY_SIMILARITY);
            let (least, most) = ((length as f32 * reach) as usize, (length as f32 / reach).ceil() as usize);
            let near = &sources[sources.partition_point(|(size, _)| *size < least)..];
            let near = &near[..near.partition_point(|(size, _)| *size <= most)];
            (length >= MIN_COPY_TOKENS).then_some((at, near))
        })
        .collect();
    if wanted.iter().map(|(_, near)| near.len()).sum::<usize>() > MAX_COMPARISONS {
        return;
    }
    for (at, near) in wanted {
        let Some((path, node)) = edits[at].after.clone() else { continue };
        let Some(bag) = texts.bag(&node.chunk) else { continue };
        let best = near
            .iter()
            .filter(|(_, (_, source))| source.kind == node.kind)
            .filter_map(|(_, place)| Some((similarity(texts.bag(&place.1.chunk)?, bag), place)))
            .filter(|(score, _)| *score >= COPY_SIMILARITY)
            .max_by(|(one, first), (two, second)| {
                // Of equals, the one of the same name, then of the same file, then the first.
                let same = |place: &(Arc<str>, Placed)| {
                    (last_name(&place.1.symbol) == last_name(&node.symbol), place.0 == path)
                };
                let order = |place: &(Arc<str>, Placed)| (place.0.clone(), place.1.start_line);
                one.total_cmp(two).then(same(first).cmp(&same(second))).then(order(second).cmp(&order(first)))
            });
        if let Some((_, source)) = best {
            let source = source.clone();
            relate(&mut edits[at], Change::Copied, Some(source), texts);
        }
    }
}
