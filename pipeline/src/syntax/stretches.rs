//! Stretches: the lines that two versions of a file have in common.

use std::ops::Range;

use imara_diff::{Algorithm, Diff, InternedInput};

use super::extent::Lines;

/// Lines that stand in both versions one after the other, from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) old: Range<usize>,
    pub(super) new_start: usize,
}

impl Stretch {
    pub(super) fn new_end(&self) -> usize {
        self.new_start + self.old.len()
    }
}

/// The unchanged stretches of two versions, in order.
pub(super) fn unchanged(old: &Lines<'_>, new: &Lines<'_>) -> Vec<Stretch> {
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
    let mut blocks = vec![Stretch { old: 0..first, new_start: 0 }];
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
            blocks.push(Stretch { old: old_at..old_end, new_start: new_at });
            (old_at, new_at) = (first + hunk.before.end as usize, first + hunk.after.end as usize);
        }
        blocks.push(Stretch { old: old_at..old_middle.end, new_start: new_at });
    }
    blocks.push(Stretch { old: old_middle.end..old_count, new_start: new_middle.end });
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

/// Bytes that are compared at once; in the last of them, one by one in such steps.
const STEPS: [usize; 2] = [4096, 64];

fn common_prefix(one: &[u8], two: &[u8]) -> usize {
    let mut at = 0;
    for step in STEPS {
        let pairs = one[at..].chunks_exact(step).zip(two[at..].chunks_exact(step));
        at += pairs.take_while(|(one, two)| one == two).count() * step;
    }
    at + one[at..].iter().zip(&two[at..]).take_while(|(one, two)| one == two).count()
}

fn common_suffix(one: &[u8], two: &[u8], longest: usize) -> usize {
    let (one, two) = (&one[one.len() - longest..], &two[two.len() - longest..]);
    let mut left = longest;
    for step in STEPS {
        let pairs = one[..left].rchunks_exact(step).zip(two[..left].rchunks_exact(step));
        left -= pairs.take_while(|(one, two)| one == two).count() * step;
    }
    let rest = one[..left].iter().rev().zip(two[..left].iter().rev());
    longest - left + rest.take_while(|(one, two)| one == two).count()
}
