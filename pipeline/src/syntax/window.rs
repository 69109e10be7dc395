//! Windows: a version of a file is parsed only around what differs from the version before it.
//!
//! Items that stand in unchanged lines are left out of the parse, all but those beside a change: these *shields* are
//! parsed again, and must come back as they were. What is left out then comes over from the version before.
//!
//! Why this gives what a parse of everything gives: a parser that has read a whole, untouched item is where it was after
//! that item before, and reads what follows alike. What can reach past an item, such as a brace or a quote that is not
//! closed, changes the item too, or is an error. How a parser finds its way after an error may depend on all that follows.
//! So every doubt makes the plan fail, and the file is parsed whole: a shield that has changed, any error in what was
//! parsed, any old one that is not inside a function or the like. Functions with old errors can only be left out, behind
//! shields that have none.

use std::ops::Range;

use rustc_hash::FxHashMap;

use super::extent::Lines;
use super::items::{Found, Item, find};
use super::languages::{Grammar, Shape};
use super::parse::budget;
use super::stretches::{Stretch, unchanged};

/// What follows a version with more errors than this is parsed whole, for each error is compared with each item.
const MAX_ERRORS: usize = 100;

/// How often windows are tried before a version is parsed whole. An attempt costs a small part of that, and each takes more
/// of the version as changed.
const MAX_ATTEMPTS: usize = 3;

/// What is kept of a version with a grammar to cut the next one from.
#[derive(Clone, Debug)]
pub(super) struct Outline {
    pub(super) grammar: &'static Grammar,
    pub(super) source: Box<str>,
    pub(super) starts: Box<[usize]>,
    pub(super) items: Vec<Item>,
    /// The extents of the items, widened to lines.
    pub(super) extents: Vec<Range<usize>>,
    /// Which of them share no line with anything.
    pub(super) whole: Vec<bool>,
    pub(super) errors: Vec<Range<usize>>,
    pub(super) nodes: Vec<PlacedNode>,
    /// At least as many reports of progress as parsing it whole would make.
    pub(super) reports: usize,
}

/// Where a node stands, in lines from 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlacedNode {
    /// First and last.
    pub(super) lines: (u32, u32),
    /// The first line of the item that it is, or is a part of.
    pub(super) owner: u32,
}

impl Outline {
    /// About how many bytes it holds.
    pub(super) fn bytes(&self) -> usize {
        self.source.len()
            + size_of_val(&*self.starts)
            + self.items.len() * (size_of::<Item>() + size_of::<Range<usize>>() + 16)
            + size_of_val(&*self.nodes)
    }
}

/// A version as found in windows: all of its items, and the lines that need no second look.
pub(super) struct Windowed {
    pub(super) found: Found,
    /// In order of where they are now.
    pub(super) carried: Vec<Stretch>,
}

/// Finds the items of a source from those of the version before it; `None` when that cannot be done for sure.
///
/// A shield that does not come back has been changed by what is beside it: documentation that was put above it, a block
/// that was closed around it. It is tried once more as if its own lines had changed, so that its neighbours must shield.
pub(super) fn find_from(before: &Outline, lines: &Lines<'_>) -> Option<Windowed> {
    if before.errors.len() > MAX_ERRORS {
        return None;
    }
    let old_lines = Lines::known(&before.source, &before.starts);
    let blocks = unchanged(&old_lines, lines);
    let mut past = Past::of(before, &old_lines, &blocks)?;
    for _ in 0..MAX_ATTEMPTS {
        match attempt(before, &past, &blocks, lines)? {
            Ok(windowed) => return Some(windowed),
            Err(lost) => past.expose(&lost),
        }
    }
    None
}

/// Parses the windows of a plan and brings over the rest. The error names the shields that did not come back.
fn attempt(
    before: &Outline,
    past: &Past<'_>,
    blocks: &[Stretch],
    lines: &Lines<'_>,
) -> Option<Result<Windowed, Vec<usize>>> {
    let old_lines = past.lines;
    let plan = Plan::of(past, old_lines.starts.len(), lines.starts.len(), blocks);
    let kept = plan.kept(blocks, lines);
    let found = if kept.is_empty() { Found::default() } else { find(before.grammar, lines, &kept)? };
    let reports = before.reports + found.reports;
    if reports > budget(lines.source.len()) || !found.errors.is_empty() {
        return None;
    }
    let joining = Joining { before, past, lines, blocks, plan: &plan, holds_names: holders_of_names(before) };
    let (joined, renamed) = match joining.join(found)? {
        Ok(joined) => joined,
        Err(lost) => return Some(Err(lost)),
    };
    let comes_over =
        |old: &&Range<usize>| !renamed.iter().any(|holder| holder.start <= old.start && old.end <= holder.end + 1);
    let carried = plan.carried.iter().filter(comes_over).map(|old| {
        let block = &blocks[block_of(blocks, old.start)?];
        Some(Stretch { old: old.clone(), new_start: old.start - block.old.start + block.new_start })
    });
    let mut carried: Vec<Stretch> = carried.collect::<Option<_>>()?;
    carried.sort_unstable_by_key(|carried| carried.new_start);
    Some(Ok(Windowed { found: Found { reports, ..joined }, carried }))
}

/// Which items hold declarations.
fn holders_of_names(before: &Outline) -> Vec<bool> {
    let mut holds_names = vec![false; before.items.len()];
    for item in before.items.iter().rev().filter(|item| item.label.is_some()) {
        let mut holder = item.within;
        while let Some(index) = holder.filter(|index| !holds_names[*index as usize]) {
            holds_names[index as usize] = true;
            holder = before.items[index as usize].within;
        }
    }
    holds_names
}

/// The block that holds this old line.
fn block_of(blocks: &[Stretch], line: usize) -> Option<usize> {
    let at = blocks.partition_point(|block| block.old.end <= line);
    (at < blocks.len() && blocks[at].old.start <= line).then_some(at)
}

/// What becomes of an item of the version before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Its lines have changed: it is parsed, and what it is now is what the parse says.
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

/// The version before, made ready for planning.
struct Past<'a> {
    lines: &'a Lines<'a>,
    items: &'a [Item],
    spans: Vec<Span>,
    /// What stands directly in each item; last, what stands in none.
    children: Vec<Vec<usize>>,
}

impl<'a> Past<'a> {
    /// `None` where something did not parse that is in no declaration: its reach is unknown.
    fn of(before: &'a Outline, old: &'a Lines<'a>, blocks: &[Stretch]) -> Option<Past<'a>> {
        let items = &before.items;
        let mut spans: Vec<Span> = (0..items.len()).map(|index| Span::of(before, index, old, blocks)).collect();
        let mut children = vec![Vec::new(); items.len() + 1];
        for (index, item) in items.iter().enumerate() {
            children[item.within.map_or(items.len(), |holder| holder as usize)].push(index);
        }
        for (span, (item, inside)) in spans.iter_mut().zip(items.iter().zip(&children)) {
            let after = inside.last().map_or(item.extent.start, |last| items[*last].extent.end);
            span.ends_itself = old.source.get(after..item.extent.end).is_some_and(|rest| rest.ends_with('}'));
        }
        if before.grammar.is_indented && children.iter().any(|inside| is_uneven(items, inside, old)) {
            return None;
        }
        for error in &before.errors {
            let holds = |item: &Item| item.extent.start < error.start && error.end < item.extent.end;
            if !items.iter().any(|item| matches!(item.shape, Shape::Leaf(_)) && holds(item)) {
                return None;
            }
            let lines = old.index(error.start)..old.index(error.end);
            for span in &mut spans {
                span.flawed |= span.lines.start <= lines.end && lines.start <= span.lines.end;
            }
        }
        Some(Past { lines: old, items, spans, children })
    }
}

/// Whether neighbours in one block begin their lines in different columns. tree-sitter-python reads on over that without an
/// error, and where it goes on then depends on all that it has read.
fn is_uneven(items: &[Item], inside: &[usize], lines: &Lines<'_>) -> bool {
    let column = |item: &Item| {
        let before = &lines.source[lines.start(item.extent.start)..item.extent.start];
        before.bytes().all(|byte| matches!(byte, b' ' | b'\t')).then_some(before)
    };
    inside.array_windows().any(|[one, other]| {
        let (one, other) = (&items[*one], &items[*other]);
        one.group == other.group && column(one).zip(column(other)).is_some_and(|(one, other)| one != other)
    })
}

impl Past<'_> {
    /// Takes these items as changed. A statement depends on all of what it is in: whether that lists its statements at
    /// all, and where they end. What they are in is not thinned again, since without its middle they did not come back.
    fn expose(&mut self, lost: &[usize]) {
        for &index in lost {
            let mut around = Some(index);
            while let Some(holder) = around.filter(|holder| !self.spans[*holder].exposed) {
                self.spans[holder].exposed = true;
                around = self.items[holder].within.map(|holder| holder as usize);
            }
            let mut top = index;
            while let (Shape::Plain, Some(holder)) = (self.items[top].shape, self.items[top].within) {
                top = holder as usize;
            }
            self.spans[top].block = None;
            let mut pending = if top == index { Vec::new() } else { self.children[top].clone() };
            while let Some(inner) = pending.pop() {
                self.spans[inner].block = None;
                pending.extend(&self.children[inner]);
            }
        }
    }

    /// The lines between the braces of an item, if it may stand without them.
    fn hollow(&self, index: usize) -> Option<Range<usize>> {
        let Item { extent, hollow, .. } = &self.items[index];
        let span = &self.spans[index];
        if hollow.is_empty() || span.flawed || !span.whole {
            return None;
        }
        let line = |at: u32| self.lines.index(extent.start + at as usize);
        Some(line(hollow.start)..line(hollow.end))
    }
}

impl Plan {
    fn of(past: &Past<'_>, old_lines: usize, new_lines: usize, blocks: &[Stretch]) -> Plan {
        let fate = |span: &Span| if span.block.is_some() { Fate::Shield } else { Fate::Touched };
        let fates = past.spans.iter().map(fate).collect();
        let mut plan = Plan { fates, left_out: Vec::new(), carried: Vec::new() };
        // Lines that came before the first one, or after the last, are no change of either.
        let begins_alike = blocks.first().is_some_and(|block| block.old.start == 0 && block.new_start == 0);
        let ends_alike = blocks
            .last()
            .is_some_and(|block| block.old.end == old_lines && block.new_start + block.old.len() == new_lines);
        let file = past.items.len();
        let mut pending = vec![(file, 0..old_lines - 1)];
        while let Some((holder, lines)) = pending.pop() {
            let inside = &past.children[holder];
            let ends_itself = holder == file || past.spans[holder].ends_itself;
            let mut at = 0;
            while at < inside.len() {
                let first = &past.spans[inside[at]];
                let Some(block) = first.block.filter(|_| first.whole) else {
                    if plan.fates[inside[at]] == Fate::Touched {
                        pending.push((inside[at], first.lines.clone()));
                    }
                    at += 1;
                    continue;
                };
                let goes_on = |index: &&usize| {
                    let next = &past.spans[**index];
                    next.block == Some(block) && next.whole && past.items[**index].group == past.items[inside[at]].group
                };
                let length = 1 + inside[at + 1..].iter().take_while(goes_on).count();
                let run = &inside[at..at + length];
                let run_lines = first.lines.start..past.spans[run[length - 1]].lines.end;
                let unchanged = |lines: Range<usize>| {
                    let block = &blocks[block].old;
                    block.start <= lines.start && lines.end < block.end
                };
                let in_file = holder == file;
                // What begins with its holder is next to what stands before that, such as a comment before the first item of
                // a body in Ruby, which lies outside of the body.
                let begins_with_holder = !in_file && run_lines.start <= lines.start;
                let open_left =
                    unchanged(lines.start..run_lines.start) && (begins_alike || !in_file) && !begins_with_holder;
                let open_right = unchanged(run_lines.end..lines.end) && (ends_alike || !in_file) && ends_itself;
                plan.run(past, run, open_left, open_right);
                at += length;
            }
        }
        plan.left_out.sort_unstable_by_key(|lines| lines.start);
        plan
    }

    /// Plans for untouched neighbours: those at an end that is not open stay, up to one that can be a shield.
    fn run(&mut self, past: &Past<'_>, run: &[usize], open_left: bool, open_right: bool) {
        let can_shield = |index: &usize| past.spans[*index].can_shield && !past.spans[*index].flawed;
        let left = if open_left { 0 } else { run.iter().position(can_shield).map_or(run.len(), |at| at + 1) };
        let right = if open_right { run.len() } else { run.iter().rposition(can_shield).unwrap_or(0) };
        for index in run[..left].iter().chain(&run[right.max(left)..]) {
            self.thin(past, *index);
        }
        if left < right {
            self.leave_out(past, &run[left..right]);
        }
        // A stretch between declarations is one node, so only what lies between two of them comes over.
        let is_node = |index: &&usize| past.items[**index].shape != Shape::Plain;
        if let (Some(first), Some(last)) = (run.iter().find(is_node), run.iter().rfind(is_node)) {
            self.carried.push(past.spans[*first].lines.start..past.spans[*last].lines.end + 1);
        }
    }

    /// Leaves out neighbours and all that is in them.
    fn leave_out(&mut self, past: &Past<'_>, run: &[usize]) {
        self.left_out.push(past.spans[run[0]].lines.start..past.spans[run[run.len() - 1]].lines.end + 1);
        self.forget(past, run.to_vec());
    }

    fn forget(&mut self, past: &Past<'_>, mut pending: Vec<usize>) {
        while let Some(index) = pending.pop() {
            self.fates[index] = Fate::LeftOut;
            pending.extend(&past.children[index]);
        }
    }

    /// Leaves out most of what is in something that stays: its first and last lines are what shields. An empty body must be
    /// one still: in Python it cannot be.
    fn thin(&mut self, past: &Past<'_>, kept: usize) {
        let mut pending = vec![kept];
        while let Some(index) = pending.pop() {
            if past.spans[index].exposed {
                continue;
            }
            if let Some(hollow) = past.hollow(index) {
                let is_in = |inner: &usize| {
                    let lines = &past.spans[*inner].lines;
                    hollow.start <= lines.start && lines.end < hollow.end
                };
                let (inner, outer): (Vec<usize>, Vec<usize>) =
                    past.children[index].iter().partition(|inner| is_in(inner));
                self.left_out.push(hollow);
                self.forget(past, inner);
                pending.extend(outer);
                continue;
            }
            let inside = &past.children[index];
            let last = inside.len() - usize::from(!past.spans[index].ends_itself && !inside.is_empty());
            let mut at = 0;
            while at < inside.len() {
                pending.push(inside[at]);
                let group = past.items[inside[at]].group;
                at += 1;
                let goes = |index: &&usize| past.items[**index].group == group && past.spans[**index].whole;
                let length = inside[at..last.max(at)].iter().take_while(goes).count();
                if length > 0 {
                    self.leave_out(past, &inside[at..at + length]);
                    at += length;
                }
            }
        }
    }

    /// The bytes of the new source that are parsed.
    fn kept(&self, blocks: &[Stretch], new: &Lines<'_>) -> Vec<Range<usize>> {
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
    /// The block that holds all of its lines, if none has changed.
    block: Option<usize>,
    /// Whether it begins with a word or the like. A lone backslash or semicolon is a statement too, but means what is
    /// beside it.
    can_shield: bool,
    /// Whether something in it did not parse.
    flawed: bool,
    /// Whether it, or something in it, did not come back as a shield.
    exposed: bool,
    /// Whether a bracket ends it, behind all that is in it. If not, it ends where its last part does, which must then be
    /// parsed.
    ends_itself: bool,
}

impl Span {
    fn of(before: &Outline, index: usize, old: &Lines<'_>, blocks: &[Stretch]) -> Span {
        let extent = &before.extents[index];
        let lines = old.index(extent.start)..old.index(extent.end);
        Span {
            whole: before.whole[index],
            block: block_of(blocks, lines.start).filter(|at| lines.end < blocks[*at].old.end),
            can_shield: old.source[before.items[index].extent.clone()]
                .starts_with(|letter: char| letter.is_alphanumeric() || "_#@\"'/".contains(letter)),
            flawed: false,
            exposed: false,
            ends_itself: false,
            lines,
        }
    }
}

/// Brings what was parsed and what was left out together.
struct Joining<'a> {
    before: &'a Outline,
    past: &'a Past<'a>,
    lines: &'a Lines<'a>,
    blocks: &'a [Stretch],
    plan: &'a Plan,
    /// Which old items hold declarations.
    holds_names: Vec<bool>,
}

impl Joining<'_> {
    /// Where bytes of unchanged lines are now.
    fn now(&self, range: &Range<usize>) -> Option<Range<usize>> {
        let old = self.past.lines;
        let block = &self.blocks[block_of(self.blocks, old.index(range.start))?];
        if old.index(range.end) >= block.old.end {
            return None;
        }
        Some(self.shifted(range, block))
    }

    /// Where an item in unchanged lines is now.
    fn item_now(&self, index: usize) -> Option<Range<usize>> {
        let extent = &self.before.items[index].extent;
        match self.past.spans[index].block {
            Some(block) => Some(self.shifted(extent, &self.blocks[block])),
            None => self.now(extent),
        }
    }

    fn shifted(&self, range: &Range<usize>, block: &Stretch) -> Range<usize> {
        let start = range.start - self.past.lines.starts[block.old.start] + self.lines.starts[block.new_start];
        start..start + range.len()
    }

    /// All items, and the old lines of those holders whose name has changed: what they hold is called otherwise now. The
    /// error names the shields that did not come back.
    #[expect(
        clippy::type_complexity,
        reason = "the three outcomes are named above, and only one caller tells them apart"
    )]
    fn join(&self, mut found: Found) -> Option<Result<(Found, Vec<Range<usize>>), Vec<usize>>> {
        let old = &self.before.items;
        let mut by_place: FxHashMap<_, Vec<usize>> = FxHashMap::default();
        for (index, item) in found.items.iter().enumerate().rev() {
            by_place.entry((item.extent.start, item.extent.end, item.shape)).or_default().push(index);
        }
        // The new place of each old item that was parsed, and of each that holds one.
        let mut counterpart: Vec<Option<usize>> = vec![None; old.len()];
        let mut groups: FxHashMap<(Option<u32>, Option<u32>), Option<u32>> = FxHashMap::default();
        let mut renamed = Vec::new();
        let mut lost = Vec::new();
        for (index, item) in old.iter().enumerate() {
            if self.plan.fates[index] != Fate::Shield {
                continue;
            }
            let extent = self.item_now(index)?;
            let new = by_place
                .get_mut(&(extent.start, extent.end, item.shape))
                .and_then(Vec::pop)
                .filter(|new| same_item(item, &found.items[*new]));
            counterpart[index] = new;
            match new.filter(|new| self.match_holders(&found, &mut counterpart, &mut renamed, index, *new).is_some()) {
                Some(new) => _ = groups.insert((item.within, item.group), found.items[new].group),
                None => lost.push(index),
            }
        }
        if !lost.is_empty() {
            return Some(Err(lost));
        }
        // All in file order: what was parsed, with its index, and what was left out, with its old one.
        let mut order: Vec<(Range<usize>, Result<usize, usize>)> =
            found.items.iter().enumerate().map(|(index, item)| (item.extent.clone(), Ok(index))).collect();
        for index in (0..old.len()).filter(|index| self.plan.fates[*index] == Fate::LeftOut) {
            order.push((self.item_now(index)?, Err(index)));
        }
        order.sort_by_key(|(extent, _)| (extent.start, std::cmp::Reverse(extent.end)));
        let mut of_found = vec![0; found.items.len()];
        let mut of_old = vec![None; old.len()];
        for (at, (_, origin)) in order.iter().enumerate() {
            match origin {
                Ok(index) => of_found[*index] = at as u32,
                Err(index) => of_old[*index] = Some(at as u32),
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
                    let moved = |index: Option<u32>| index.map(|index| of_found[index as usize]);
                    Item { parent: moved(item.parent), within: moved(item.within), ..item }
                }
                Err(index) => {
                    let item = &old[index];
                    let moved = |index: Option<u32>| match index {
                        Some(index) => of_old[index as usize].map(Some),
                        None => Some(None),
                    };
                    let shifted = |start: u32| (start as usize + extent.start).saturating_sub(item.extent.start) as u32;
                    let group = groups.get(&(item.within, item.group)).copied();
                    Item {
                        parent: moved(item.parent)?,
                        within: moved(item.within)?,
                        group: group.unwrap_or_else(|| item.group.map(shifted)),
                        extent,
                        ..item.clone()
                    }
                }
            });
        }
        found
            .errors
            .extend(self.before.errors.iter().filter(|error| self.is_left_out(error)).filter_map(|e| self.now(e)));
        Some(Ok((Found { items, errors: found.errors, reports: found.reports }, renamed)))
    }

    fn is_left_out(&self, bytes: &Range<usize>) -> bool {
        let line = self.past.lines.index(bytes.start);
        let at = self.plan.left_out.partition_point(|lines| lines.end <= line);
        self.plan.left_out.get(at).is_some_and(|lines| lines.start <= line)
    }

    /// What holds a shield must be what held it, but for its name.
    fn match_holders(
        &self,
        found: &Found,
        counterpart: &mut [Option<usize>],
        renamed: &mut Vec<Range<usize>>,
        mut old: usize,
        mut new: usize,
    ) -> Option<()> {
        loop {
            match (self.before.items[old].within, found.items[new].within) {
                (None, None) => return Some(()),
                (Some(old_holder), Some(new_holder)) => {
                    let (old_holder, new_holder) = (old_holder as usize, new_holder as usize);
                    let (old_item, new_item) = (&self.before.items[old_holder], &found.items[new_holder]);
                    match counterpart[old_holder] {
                        Some(known) => return (known == new_holder).then_some(()),
                        // Statements do not care for the name of what they are in.
                        None if old_item.shape == new_item.shape && !self.holds_names[old_holder] => {}
                        None if same_item(old_item, new_item) => {}
                        None if old_item.shape == new_item.shape && self.tells_tests_alike(old_item, new_item) => {
                            let extent = &self.before.extents[old_holder];
                            renamed.push(self.past.lines.index(extent.start)..self.past.lines.index(extent.end));
                        }
                        None => return None,
                    }
                    counterpart[old_holder] = Some(new_holder);
                    (old, new) = (old_holder, new_holder);
                }
                _ => return None,
            }
        }
    }

    /// Whether what the one holds is a test if it is one in the other.
    fn tells_tests_alike(&self, old: &Item, new: &Item) -> bool {
        self.before.grammar.test_method_prefixes.is_empty() || names_tests(old) == names_tests(new)
    }
}

/// Whether methods in this class may be tests.
pub(super) fn names_tests(item: &Item) -> bool {
    item.name().contains("Test")
}

fn same_item(one: &Item, two: &Item) -> bool {
    one.shape == two.shape && one.label == two.label && one.is_test == two.is_test
}

#[cfg(test)]
mod tests;
