//! Windows: a version of a file is parsed only around what differs from the version before it.
//!
//! Items that stand in unchanged lines are left out of the parse, all but those beside a change: these *shields* are
//! parsed again, and must come back as they were. What is left out then comes over from the version before.
//!
//! Why this gives what a parse of everything gives: a parser that has read a whole, untouched item is where it was after
//! that item before, and reads what follows alike. What can reach past an item, such as a brace or a quote that is not
//! closed, changes the item too. So every doubt (a shield that has changed, an error that is not one of the old ones) makes
//! the plan fail, and the file is parsed whole. Stretches with errors are never left out, and have shields of their own.

use std::collections::HashMap;
use std::ops::Range;

use imara_diff::{Algorithm, Diff, InternedInput};

use super::extent::Lines;
use super::items::{Found, Item, find};
use super::languages::{Grammar, Shape};
use super::parse::budget;

/// What is kept of a version to cut the next one from.
#[derive(Clone, Debug)]
pub struct Outline {
    pub(super) source: Box<str>,
    pub(super) starts: Box<[usize]>,
    pub(super) items: Vec<Item>,
    /// The extents of the items, widened to lines.
    pub(super) extents: Vec<Range<usize>>,
    /// Which of them share no line with anything.
    pub(super) whole: Vec<bool>,
    pub(super) errors: Vec<Range<usize>>,
    /// First and last line of each node, from 1.
    pub(super) nodes: Vec<(u32, u32)>,
    /// At least as many reports of progress as parsing it whole would make.
    pub(super) reports: usize,
}

impl Outline {
    /// About how many bytes it holds.
    pub fn bytes(&self) -> usize {
        self.source.len()
            + size_of_val(&*self.starts)
            + self.items.len() * (size_of::<Item>() + size_of::<Range<usize>>() + 16)
            + size_of_val(&*self.nodes)
    }
}

/// Lines that came over with the nodes in them, from 0.
#[derive(Clone, Debug)]
pub(super) struct Carried {
    pub(super) old: Range<usize>,
    pub(super) new_start: usize,
}

impl Carried {
    pub(super) fn new_end(&self) -> usize {
        self.new_start + self.old.len()
    }
}

/// A version as found in windows: all of its items, and the lines that need no second look.
pub(super) struct Windowed {
    pub(super) found: Found,
    pub(super) carried: Vec<Carried>,
}

/// Finds the items of a source from those of the version before it; `None` when that cannot be done for sure.
pub(super) fn find_from(grammar: &Grammar, before: &Outline, lines: &Lines<'_>) -> Option<Windowed> {
    let old_lines = Lines::known(&before.source, &before.starts);
    let blocks = unchanged(&old_lines, lines);
    let plan = Plan::of(before, &old_lines, lines.starts.len(), &blocks);
    let kept = plan.kept(&blocks, lines);
    let found = if kept.is_empty() { Found::default() } else { find(grammar, lines, &kept)? };
    let reports = before.reports + found.reports;
    if reports > budget(lines.source.len()) {
        return None;
    }
    let joined = Joining { before, old_lines: &old_lines, lines, blocks: &blocks, plan: &plan }.join(found)?;
    let carried = plan.carried.iter().map(|old| {
        let block = &blocks[block_of(&blocks, old.start)?];
        Some(Carried { old: old.clone(), new_start: old.start - block.old.start + block.new_start })
    });
    let mut carried: Vec<Carried> = carried.collect::<Option<_>>()?;
    carried.sort_unstable_by_key(|carried| carried.new_start);
    Some(Windowed { found: Found { reports, ..joined }, carried })
}

/// Lines that stand in both versions one after the other, from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Block {
    old: Range<usize>,
    new_start: usize,
}

/// The unchanged stretches of two versions, in order.
fn unchanged(old: &Lines<'_>, new: &Lines<'_>) -> Vec<Block> {
    let (old_count, new_count) = (old.starts.len(), new.starts.len());
    let prefix = common_prefix(old.source.as_bytes(), new.source.as_bytes());
    // A line counts if its end is in the prefix too.
    let first = old.starts.partition_point(|start| *start <= prefix) - 1;
    let longest = old.source.len().min(new.source.len()) - old.starts[first];
    let suffix = common_suffix(old.source.as_bytes(), new.source.as_bytes(), longest);
    // A line counts if what ends the line before it is in the suffix too.
    let after = |lines: &Lines<'_>| lines.starts.partition_point(|start| *start <= lines.source.len() - suffix);
    let last = (old_count - after(old)).min(new_count - after(new)).min((old_count - first).min(new_count - first));
    let (old_middle, new_middle) = (first..old_count - last, first..new_count - last);
    let mut blocks = vec![Block { old: 0..first, new_start: 0 }];
    if !old_middle.is_empty() && !new_middle.is_empty() {
        let texts = |lines: &'_ Lines<'_>, range: &Range<usize>| -> Vec<Range<usize>> {
            range
                .clone()
                .map(|at| lines.starts[at]..lines.starts.get(at + 1).map_or(lines.source.len(), |end| *end))
                .collect()
        };
        let mut input: InternedInput<&str> = InternedInput::default();
        input.update_before(texts(old, &old_middle).into_iter().map(|line| &old.source[line]));
        input.update_after(texts(new, &new_middle).into_iter().map(|line| &new.source[line]));
        let (mut old_at, mut new_at) = (old_middle.start, new_middle.start);
        for hunk in Diff::compute(Algorithm::Histogram, &input).hunks() {
            let old_end = first + hunk.before.start as usize;
            blocks.push(Block { old: old_at..old_end, new_start: new_at });
            (old_at, new_at) = (first + hunk.before.end as usize, first + hunk.after.end as usize);
        }
        blocks.push(Block { old: old_at..old_middle.end, new_start: new_at });
    }
    blocks.push(Block { old: old_middle.end..old_count, new_start: new_middle.end });
    blocks.retain(|block| !block.old.is_empty());
    // Blocks that touch on both sides are one.
    blocks.dedup_by(|next, kept| {
        let touch = kept.old.end == next.old.start && kept.new_start + kept.old.len() == next.new_start;
        if touch {
            kept.old.end = next.old.end;
        }
        touch
    });
    blocks
}

fn common_prefix(one: &[u8], two: &[u8]) -> usize {
    const STEP: usize = 64;
    let whole = one.chunks_exact(STEP).zip(two.chunks_exact(STEP)).take_while(|(one, two)| one == two).count() * STEP;
    whole + one[whole..].iter().zip(&two[whole..]).take_while(|(one, two)| one == two).count()
}

fn common_suffix(one: &[u8], two: &[u8], longest: usize) -> usize {
    const STEP: usize = 64;
    let (one, two) = (&one[one.len() - longest..], &two[two.len() - longest..]);
    let whole = one.rchunks_exact(STEP).zip(two.rchunks_exact(STEP)).take_while(|(one, two)| one == two).count() * STEP;
    let rest = one[..longest - whole].iter().rev().zip(two[..longest - whole].iter().rev());
    whole + rest.take_while(|(one, two)| one == two).count()
}

/// The block that holds this old line.
fn block_of(blocks: &[Block], line: usize) -> Option<usize> {
    let at = blocks.partition_point(|block| block.old.end <= line);
    (at < blocks.len() && blocks[at].old.start <= line).then_some(at)
}

/// What becomes of an item of the version before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Its lines have changed, or it has errors: it is parsed, and what it is now is what the parse says.
    Touched,
    /// It is parsed, and must come back as it was.
    Shield,
    /// It is left out of the parse.
    LeftOut,
}

struct Plan {
    fates: Vec<Fate>,
    /// Old lines that are left out, from 0, in order and apart.
    left_out: Vec<Range<usize>>,
    /// Old lines that come over: what is left out, and the shields beside it.
    carried: Vec<Range<usize>>,
}

impl Plan {
    fn of(before: &Outline, old: &Lines<'_>, new_lines: usize, blocks: &[Block]) -> Plan {
        let items = &before.items;
        let mut children = vec![Vec::new(); items.len() + 1];
        for (index, item) in items.iter().enumerate() {
            children[item.parent.map_or(items.len(), |parent| parent)].push(index);
        }
        let spans: Vec<Span> = (0..items.len()).map(|index| Span::of(before, index, old, blocks)).collect();
        let mut plan = Plan { fates: vec![Fate::Touched; items.len()], left_out: Vec::new(), carried: Vec::new() };
        for (fate, span) in plan.fates.iter_mut().zip(&spans) {
            if span.block.is_some() {
                *fate = Fate::Shield;
            }
        }
        let whole_file = 0..old.starts.len() - 1;
        // Lines that came before the first one, or after the last, are no change of either.
        let (first, last) = (blocks.first(), blocks.last());
        let begins_alike = first.is_some_and(|block| block.old.start == 0 && block.new_start == 0);
        let ends_alike = last
            .is_some_and(|block| block.old.end == old.starts.len() && block.new_start + block.old.len() == new_lines);
        let mut pending = vec![(items.len(), whole_file)];
        while let Some((container, lines)) = pending.pop() {
            let inside = &children[container];
            let ends_itself = container == items.len() || spans[container].ends_itself;
            let mut at = 0;
            while at < inside.len() {
                let first = inside[at];
                let span = &spans[first];
                let Some(block) = span.block.filter(|_| span.whole) else {
                    if plan.fates[first] == Fate::Touched && items[first].shape.is_open() {
                        pending.push((first, span.lines.clone()));
                    }
                    at += 1;
                    continue;
                };
                let same_run = |index: &&usize| {
                    let next = &spans[**index];
                    next.block == Some(block)
                        && next.whole
                        && items[**index].group == items[first].group
                        && clear(&before.errors, old, &(span.lines.start..next.lines.end))
                };
                let length = 1 + inside[at + 1..].iter().take_while(same_run).count();
                let run = &inside[at..at + length];
                let run_lines = span.lines.start..spans[run[length - 1]].lines.end;
                let unchanged = |lines: Range<usize>| {
                    blocks[block].old.start <= lines.start
                        && lines.end < blocks[block].old.end
                        && clear(&before.errors, old, &lines)
                };
                let in_file = container == items.len();
                let open_left = unchanged(lines.start..run_lines.start) && (begins_alike || !in_file);
                let open_right = unchanged(run_lines.end..lines.end) && (ends_alike || !in_file);
                let left = usize::from(!open_left);
                let right = usize::from(!open_right || !ends_itself);
                // A stretch between items is one node, so only what lies between two items comes over.
                let is_item = |index: &&usize| items[**index].shape != Shape::Plain;
                if let (Some(first), Some(last)) = (run.iter().find(is_item), run.iter().rfind(is_item)) {
                    plan.carried.push(spans[*first].lines.start..spans[*last].lines.end + 1);
                }
                for shield in run[..left.min(length)].iter().chain(&run[(length - right).max(left.min(length))..]) {
                    plan.thin(*shield, &children, items, &spans);
                }
                if left + right < length {
                    plan.leave_out(&run[left..length - right], &children, &spans);
                }
                at += length;
            }
        }
        plan.left_out.sort_unstable_by_key(|lines| lines.start);
        plan
    }

    /// Leaves out neighbours and all that is in them.
    fn leave_out(&mut self, run: &[usize], children: &[Vec<usize>], spans: &[Span]) {
        self.left_out.push(spans[run[0]].lines.start..spans[run[run.len() - 1]].lines.end + 1);
        let mut pending = run.to_vec();
        while let Some(index) = pending.pop() {
            self.fates[index] = Fate::LeftOut;
            pending.extend(&children[index]);
        }
    }

    /// Leaves out most of what is in a shield: its first and last lines are what shields.
    fn thin(&mut self, shield: usize, children: &[Vec<usize>], items: &[Item], spans: &[Span]) {
        let mut pending = vec![shield];
        while let Some(index) = pending.pop() {
            if !items[index].shape.is_open() {
                continue;
            }
            let inside = &children[index];
            let mut at = 0;
            while at < inside.len() {
                let group = items[inside[at]].group;
                let whole = |index: &usize| items[*index].group == group && spans[*index].whole;
                let last = inside.len() - usize::from(!spans[index].ends_itself);
                // A body must not become empty: in Python it cannot be.
                pending.push(inside[at]);
                at += 1;
                let length = inside[at..last.max(at)].iter().take_while(|index| whole(index)).count();
                if length > 0 {
                    self.leave_out(&inside[at..at + length], children, spans);
                }
                at += length;
            }
        }
    }

    /// The bytes of the new source that are parsed.
    fn kept(&self, blocks: &[Block], new: &Lines<'_>) -> Vec<Range<usize>> {
        let mut kept = Vec::new();
        let mut at = 0;
        for lines in &self.left_out {
            let Some(block) = block_of(blocks, lines.start) else { continue };
            let delta = |line: usize| line - blocks[block].old.start + blocks[block].new_start;
            let start = new.starts[delta(lines.start)];
            let end = new.starts.get(delta(lines.end)).copied().unwrap_or(new.source.len());
            kept.push(at..start);
            at = end;
        }
        kept.push(at..new.source.len());
        kept.retain(|part| !part.is_empty());
        kept
    }
}

/// Where an old item stands.
struct Span {
    /// Its lines from 0, the last one inclusive as the end.
    lines: Range<usize>,
    /// Whether it shares none of them.
    whole: bool,
    /// The block that holds all of its lines, if none has changed and all of it parsed.
    block: Option<usize>,
    /// Whether its end is a bracket. If not, it ends with what is in it, which must then be parsed.
    ends_itself: bool,
}

impl Span {
    fn of(before: &Outline, index: usize, old: &Lines<'_>, blocks: &[Block]) -> Span {
        let extent = &before.extents[index];
        let lines = old.index(extent.start)..old.index(extent.end);
        let block = block_of(blocks, lines.start).filter(|at| lines.end < blocks[*at].old.end);
        Span {
            whole: before.whole[index],
            block: block.filter(|_| clear(&before.errors, old, &lines)),
            ends_itself: before.items[index].shape.is_open() && old.source[..extent.end].trim_end().ends_with('}'),
            lines,
        }
    }
}

/// Whether these lines, the last one inclusive, hold no error.
fn clear(errors: &[Range<usize>], old: &Lines<'_>, lines: &Range<usize>) -> bool {
    errors.is_empty() || {
        let start = old.starts[lines.start];
        let end = old.end(old.starts[lines.end]);
        !errors.iter().any(|error| error.start <= end && start <= error.end)
    }
}

/// Brings what was parsed and what was left out together.
struct Joining<'a> {
    before: &'a Outline,
    old_lines: &'a Lines<'a>,
    lines: &'a Lines<'a>,
    blocks: &'a [Block],
    plan: &'a Plan,
}

impl Joining<'_> {
    /// Where bytes of unchanged lines are now.
    fn now(&self, range: &Range<usize>) -> Option<Range<usize>> {
        let line = self.old_lines.index(range.start);
        let block = &self.blocks[block_of(self.blocks, line)?];
        if self.old_lines.index(range.end) >= block.old.end {
            return None;
        }
        let start =
            self.lines.starts[line - block.old.start + block.new_start] + range.start - self.old_lines.starts[line];
        Some(start..start + range.len())
    }

    fn join(&self, found: Found) -> Option<Found> {
        self.check_errors(&found)?;
        let old = &self.before.items;
        let place = |item: &Item| (item.extent.start, item.extent.end, item.shape);
        let mut by_place: HashMap<_, Vec<usize>> = HashMap::with_capacity(found.items.len());
        for (index, item) in found.items.iter().enumerate().rev() {
            by_place.entry(place(item)).or_default().push(index);
        }
        // The new place of each old item that was parsed, and of each that holds one.
        let mut counterpart: Vec<Option<usize>> = vec![None; old.len()];
        let mut groups: HashMap<(Option<usize>, Option<usize>), Option<usize>> = HashMap::new();
        for (index, item) in old.iter().enumerate() {
            if self.plan.fates[index] != Fate::Shield {
                continue;
            }
            let extent = self.now(&item.extent)?;
            let new = by_place.get_mut(&(extent.start, extent.end, item.shape))?.pop()?;
            if !same_item(item, &found.items[new]) {
                return None;
            }
            counterpart[index] = Some(new);
            self.match_parents(&found, &mut counterpart, index, new)?;
            groups.insert((item.parent, item.group), found.items[new].group);
        }
        // All in file order: what was parsed, with its index, and what was left out, with its old one.
        let mut order: Vec<(Range<usize>, Result<usize, usize>)> =
            found.items.iter().enumerate().map(|(index, item)| (item.extent.clone(), Ok(index))).collect();
        for (index, item) in old.iter().enumerate().filter(|(index, _)| self.plan.fates[*index] == Fate::LeftOut) {
            order.push((self.now(&item.extent)?, Err(index)));
        }
        order.sort_by_key(|(extent, _)| (extent.start, std::cmp::Reverse(extent.end)));
        let mut of_found = vec![0; found.items.len()];
        let mut of_old = vec![None; old.len()];
        for (at, (_, origin)) in order.iter().enumerate() {
            match origin {
                Ok(index) => of_found[*index] = at,
                Err(index) => of_old[*index] = Some(at),
            }
        }
        for (index, new) in counterpart.iter().enumerate() {
            if let Some(new) = new {
                of_old[index] = Some(of_found[*new]);
            }
        }
        let mut found_items: Vec<Option<Item>> = found.items.into_iter().map(Some).collect();
        let mut items = Vec::with_capacity(order.len());
        for (extent, origin) in order {
            items.push(match origin {
                Ok(index) => {
                    let item = found_items[index].take().expect("because each index comes once");
                    Item { parent: item.parent.map(|parent| of_found[parent]), ..item }
                }
                Err(index) => {
                    let item = &old[index];
                    let parent = match item.parent {
                        Some(parent) => Some(of_old[parent]?),
                        None => None,
                    };
                    let group = match groups.get(&(item.parent, item.group)) {
                        Some(group) => *group,
                        None => item.group.map(|start| (start + extent.start).saturating_sub(item.extent.start)),
                    };
                    Item { parent, group, extent, ..item.clone() }
                }
            });
        }
        Some(Found { items, errors: found.errors, reports: found.reports })
    }

    /// The errors must be those of unchanged lines, all of them.
    fn check_errors(&self, found: &Found) -> Option<()> {
        let mut expected: Vec<Range<usize>> = self.before.errors.iter().filter_map(|error| self.now(error)).collect();
        let mut errors = found.errors.clone();
        expected.sort_unstable_by_key(|error| (error.start, error.end));
        errors.sort_unstable_by_key(|error| (error.start, error.end));
        (expected == errors).then_some(())
    }

    /// What holds a shield must be what held it, by name.
    fn match_parents(
        &self,
        found: &Found,
        counterpart: &mut [Option<usize>],
        mut old: usize,
        mut new: usize,
    ) -> Option<()> {
        loop {
            match (self.before.items[old].parent, found.items[new].parent) {
                (None, None) => return Some(()),
                (Some(old_parent), Some(new_parent)) => {
                    match counterpart[old_parent] {
                        Some(known) => return (known == new_parent).then_some(()),
                        None if !same_item(&self.before.items[old_parent], &found.items[new_parent]) => return None,
                        None => counterpart[old_parent] = Some(new_parent),
                    }
                    (old, new) = (old_parent, new_parent);
                }
                _ => return None,
            }
        }
    }
}

fn same_item(one: &Item, two: &Item) -> bool {
    one.shape == two.shape && one.name == two.name && one.interface == two.interface && one.is_test == two.is_test
}

#[cfg(test)]
mod tests;
