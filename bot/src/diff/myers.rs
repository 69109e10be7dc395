//! Myers: which lines two versions do not share, with the shortcuts that Git takes. Pure.
//!
//! E. W. Myers, "An O(ND) Difference Algorithm and Its Variations" (1986), the linear-space variant. Of many shortest
//! differences Git shows one, and where the shortest would take too long, not the shortest; comments are anchored in
//! what it shows. So the order of the search, the lines left out of it, and the points at which it gives up are Git's.

/// A run of equal lines of this length is a sign of being on a good path.
const SNAKE_LINES: i64 = 20;
/// Below this cost nothing is cut short.
const HEURISTIC_MIN_COST: i64 = 256;
/// How far a path must have come, as a multiple of its cost, to be taken for a good one.
const HEURISTIC_FACTOR: i64 = 4;
/// The search never gives up below this cost.
const MIN_MAX_COST: i64 = 256;
/// A line with at least the square root of all, and at most this many matches, is a frequent one.
const MAX_EQUAL_LIMIT: usize = 1024;
/// How far frequent lines look around for lines without a match.
const SCAN_WINDOW: usize = 100;
/// A frequent line is left out where at most one in this many around it is frequent.
const FREQUENT_RUN: usize = 4;
/// Beyond every line.
const BEYOND: i64 = i64::MAX / 2;

/// For each line of both sides, whether it is changed. Equal lines have equal numbers below `kinds`.
pub(super) fn changed(old: &[u32], new: &[u32], kinds: usize) -> (Vec<bool>, Vec<bool>) {
    let (mut old_changed, mut new_changed) = (vec![false; old.len()], vec![false; new.len()]);
    let start = old.iter().zip(new).take_while(|(one, two)| one == two).count();
    let least = old.len().min(new.len()) - start;
    let end = old.iter().rev().zip(new.iter().rev()).take(least).take_while(|(one, two)| one == two).count();
    let (old_range, new_range) = (start..old.len() - end, start..new.len() - end);

    let counts = |lines: &[u32]| {
        let mut counts = vec![0usize; kinds];
        for line in lines {
            counts[*line as usize] += 1;
        }
        counts
    };
    let old_kept = kept(old, old_range, &counts(new), &mut old_changed);
    let new_kept = kept(new, new_range, &counts(old), &mut new_changed);
    let diagonals = old_kept.len() + new_kept.len() + 3;
    let mut search = Search {
        old: old_kept.iter().map(|at| old[*at]).collect(),
        new: new_kept.iter().map(|at| new[*at]).collect(),
        forward: vec![0; diagonals + 1],
        backward: vec![0; diagonals + 1],
        zero: new_kept.len() as i64 + 1,
        max_cost: (rough_root(diagonals) as i64).max(MIN_MAX_COST),
        old_changed: Vec::new(),
        new_changed: Vec::new(),
    };
    search.run();
    for at in search.old_changed {
        old_changed[old_kept[at as usize]] = true;
    }
    for at in search.new_changed {
        new_changed[new_kept[at as usize]] = true;
    }
    (old_changed, new_changed)
}

/// A power of two about the square root.
fn rough_root(mut number: usize) -> usize {
    let mut root = 1;
    while number > 0 {
        root <<= 1;
        number >>= 2;
    }
    root
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Matches {
    None,
    Some,
    Frequent,
}

/// The lines of a range that take part in the search; the others are changed.
fn kept(lines: &[u32], range: std::ops::Range<usize>, others: &[usize], changed: &mut [bool]) -> Vec<usize> {
    let limit = rough_root(lines.len()).min(MAX_EQUAL_LIMIT);
    let matches: Vec<Matches> = lines[range.clone()]
        .iter()
        .map(|line| match others[*line as usize] {
            0 => Matches::None,
            count if count >= limit => Matches::Frequent,
            _ => Matches::Some,
        })
        .collect();
    let mut kept = Vec::with_capacity(range.len());
    for (offset, kind) in matches.iter().enumerate() {
        let is_kept = match kind {
            Matches::None => false,
            Matches::Some => true,
            Matches::Frequent => !is_amid_unmatched(&matches, offset),
        };
        if is_kept {
            kept.push(range.start + offset);
        } else {
            changed[range.start + offset] = true;
        }
    }
    kept
}

/// Whether a frequent line stands in a run of lines without a match, on both sides.
fn is_amid_unmatched(matches: &[Matches], at: usize) -> bool {
    let count = |around: &mut dyn Iterator<Item = &Matches>| {
        let (mut none, mut frequent) = (0, 1);
        for kind in around.take_while(|kind| **kind != Matches::Some) {
            match kind {
                Matches::None => none += 1,
                _ => frequent += 1,
            }
        }
        (none, frequent)
    };
    let (none_before, frequent_before) = count(&mut matches[..at].iter().rev().take(SCAN_WINDOW));
    if none_before == 0 {
        return false;
    }
    let (none_after, frequent_after) = count(&mut matches[at + 1..].iter().take(SCAN_WINDOW));
    if none_after == 0 {
        return false;
    }
    let (none, frequent) = (none_before + none_after, frequent_before + frequent_after);
    frequent * FREQUENT_RUN < frequent + none
}

/// A part of both sides, half open.
#[derive(Debug, Clone, Copy)]
struct Area {
    old_start: i64,
    old_end: i64,
    new_start: i64,
    new_end: i64,
}

/// A point that the best path goes through, and whether each half must be minimal.
struct Split {
    old: i64,
    new: i64,
    is_minimal: [bool; 2],
}

struct Search {
    old: Vec<u32>,
    new: Vec<u32>,
    /// Furthest old line on each diagonal, from the start; `zero` is the index of diagonal 0.
    forward: Vec<i64>,
    /// The same, from the end.
    backward: Vec<i64>,
    zero: i64,
    max_cost: i64,
    old_changed: Vec<i64>,
    new_changed: Vec<i64>,
}

impl Search {
    fn run(&mut self) {
        let whole = Area { old_start: 0, old_end: self.old.len() as i64, new_start: 0, new_end: self.new.len() as i64 };
        let mut pending = vec![(whole, false)];
        while let Some((mut area, is_minimal)) = pending.pop() {
            self.shrink(&mut area);
            if area.old_start == area.old_end {
                self.new_changed.extend(area.new_start..area.new_end);
            } else if area.new_start == area.new_end {
                self.old_changed.extend(area.old_start..area.old_end);
            } else {
                let split = self.split(area, is_minimal);
                let before = Area { old_end: split.old, new_end: split.new, ..area };
                let after = Area { old_start: split.old, new_start: split.new, ..area };
                pending.push((after, split.is_minimal[1]));
                pending.push((before, split.is_minimal[0]));
            }
        }
    }

    fn same(&self, old: i64, new: i64) -> bool {
        self.old[old as usize] == self.new[new as usize]
    }

    fn shrink(&self, area: &mut Area) {
        while area.old_start < area.old_end
            && area.new_start < area.new_end
            && self.same(area.old_start, area.new_start)
        {
            area.old_start += 1;
            area.new_start += 1;
        }
        while area.old_start < area.old_end
            && area.new_start < area.new_end
            && self.same(area.old_end - 1, area.new_end - 1)
        {
            area.old_end -= 1;
            area.new_end -= 1;
        }
    }

    fn forward(&mut self, diagonal: i64) -> &mut i64 {
        &mut self.forward[(self.zero + diagonal) as usize]
    }

    fn backward(&mut self, diagonal: i64) -> &mut i64 {
        &mut self.backward[(self.zero + diagonal) as usize]
    }

    /// Walks from both ends until the paths meet, one is good enough, or the search gives up.
    fn split(&mut self, area: Area, is_minimal: bool) -> Split {
        let (least, greatest) = (area.old_start - area.new_end, area.old_end - area.new_start);
        let (forward_mid, backward_mid) = (area.old_start - area.new_start, area.old_end - area.new_end);
        let is_odd = (forward_mid - backward_mid) & 1 != 0;
        let mut ahead = Reach { first: forward_mid, last: forward_mid };
        let mut behind = Reach { first: backward_mid, last: backward_mid };
        *self.forward(forward_mid) = area.old_start;
        *self.backward(backward_mid) = area.old_end;
        let mut cost = 0;
        loop {
            cost += 1;
            let mut has_snake = false;
            let (low, high) = ahead.widen(least, greatest);
            if low {
                *self.forward(ahead.first - 1) = -1;
            }
            if high {
                *self.forward(ahead.last + 1) = -1;
            }
            for diagonal in ahead.diagonals() {
                let (below, above) = (*self.forward(diagonal - 1), *self.forward(diagonal + 1));
                let start = if below >= above { below + 1 } else { above };
                let mut old = start;
                while old < area.old_end && old - diagonal < area.new_end && self.same(old, old - diagonal) {
                    old += 1;
                }
                has_snake |= old - start > SNAKE_LINES;
                *self.forward(diagonal) = old;
                if is_odd && behind.holds(diagonal) && *self.backward(diagonal) <= old {
                    return Split { old, new: old - diagonal, is_minimal: [true, true] };
                }
            }
            let (low, high) = behind.widen(least, greatest);
            if low {
                *self.backward(behind.first - 1) = BEYOND;
            }
            if high {
                *self.backward(behind.last + 1) = BEYOND;
            }
            for diagonal in behind.diagonals() {
                let (below, above) = (*self.backward(diagonal - 1), *self.backward(diagonal + 1));
                let start = if below < above { below } else { above - 1 };
                let mut old = start;
                while old > area.old_start && old - diagonal > area.new_start && self.same(old - 1, old - diagonal - 1)
                {
                    old -= 1;
                }
                has_snake |= start - old > SNAKE_LINES;
                *self.backward(diagonal) = old;
                if !is_odd && ahead.holds(diagonal) && old <= *self.forward(diagonal) {
                    return Split { old, new: old - diagonal, is_minimal: [true, true] };
                }
            }
            if is_minimal {
                continue;
            }
            if has_snake
                && cost > HEURISTIC_MIN_COST
                && let Some(split) = self.good_path(area, cost, ahead, behind, forward_mid, backward_mid)
            {
                return split;
            }
            if cost >= self.max_cost {
                return self.furthest(area, ahead, behind);
            }
        }
    }

    /// A path that has come far for its cost and ends in a run of equal lines.
    fn good_path(
        &mut self,
        area: Area,
        cost: i64,
        ahead: Reach,
        behind: Reach,
        forward_mid: i64,
        backward_mid: i64,
    ) -> Option<Split> {
        let mut best = 0;
        let mut found = None;
        for diagonal in ahead.diagonals() {
            let old = *self.forward(diagonal);
            let new = old - diagonal;
            let value = (old - area.old_start) + (new - area.new_start) - (diagonal - forward_mid).abs();
            if value > HEURISTIC_FACTOR * cost
                && value > best
                && (area.old_start + SNAKE_LINES..area.old_end).contains(&old)
                && (area.new_start + SNAKE_LINES..area.new_end).contains(&new)
                && (1..=SNAKE_LINES).all(|back| self.same(old - back, new - back))
            {
                best = value;
                found = Some(Split { old, new, is_minimal: [true, false] });
            }
        }
        if found.is_some() {
            return found;
        }
        for diagonal in behind.diagonals() {
            let old = *self.backward(diagonal);
            let new = old - diagonal;
            let value = (area.old_end - old) + (area.new_end - new) - (diagonal - backward_mid).abs();
            if value > HEURISTIC_FACTOR * cost
                && value > best
                && (area.old_start + 1..=area.old_end - SNAKE_LINES).contains(&old)
                && (area.new_start + 1..=area.new_end - SNAKE_LINES).contains(&new)
                && (0..SNAKE_LINES).all(|on| self.same(old + on, new + on))
            {
                best = value;
                found = Some(Split { old, new, is_minimal: [false, true] });
            }
        }
        found
    }

    /// Where the search has come furthest when it gives up.
    fn furthest(&mut self, area: Area, ahead: Reach, behind: Reach) -> Split {
        let (mut far, mut far_old) = (-1, -1);
        for diagonal in ahead.diagonals() {
            let mut old = (*self.forward(diagonal)).min(area.old_end);
            let mut new = old - diagonal;
            if area.new_end < new {
                old = area.new_end + diagonal;
                new = area.new_end;
            }
            if far < old + new {
                (far, far_old) = (old + new, old);
            }
        }
        let (mut near, mut near_old) = (BEYOND, BEYOND);
        for diagonal in behind.diagonals() {
            let mut old = (*self.backward(diagonal)).max(area.old_start);
            let mut new = old - diagonal;
            if new < area.new_start {
                old = area.new_start + diagonal;
                new = area.new_start;
            }
            if old + new < near {
                (near, near_old) = (old + new, old);
            }
        }
        if (area.old_end + area.new_end) - near < far - (area.old_start + area.new_start) {
            Split { old: far_old, new: far - far_old, is_minimal: [true, false] }
        } else {
            Split { old: near_old, new: near - near_old, is_minimal: [false, true] }
        }
    }
}

/// The diagonals that a search has reached, every other one of them.
#[derive(Debug, Clone, Copy)]
struct Reach {
    first: i64,
    last: i64,
}

impl Reach {
    /// One diagonal further on both sides, or one back where the area ends; whether it went further.
    fn widen(&mut self, least: i64, greatest: i64) -> (bool, bool) {
        let (low, high) = (self.first > least, self.last < greatest);
        self.first += if low { -1 } else { 1 };
        self.last += if high { 1 } else { -1 };
        (low, high)
    }

    /// From the last to the first.
    fn diagonals(self) -> impl Iterator<Item = i64> {
        (0..=(self.last - self.first) / 2).map(move |step| self.last - 2 * step).take_while(move |at| *at >= self.first)
    }

    fn holds(self, diagonal: i64) -> bool {
        (self.first..=self.last).contains(&diagonal)
    }
}
