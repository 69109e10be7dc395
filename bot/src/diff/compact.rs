//! Compact: where an inserted or removed block may stand in several places, the place that Git picks. Pure.
//!
//! A block slides while the line before it equals its last line, or the line after it its first. It joins the blocks
//! that it meets; it stands beside a change of the other side if it can; otherwise the indentation of the lines around
//! decides (`diff.indentHeuristic`, on by default; M. Haggerty, `diff-slider-tools`, whose weights these are).

/// An indentation counts up to here.
const MAX_INDENT: i64 = 200;
/// Blank lines count up to here.
const MAX_BLANKS: i64 = 20;
/// A block slides no further than this.
const MAX_SLIDING: i64 = 100;

const START_OF_FILE: i64 = 1;
const END_OF_FILE: i64 = 21;
const TOTAL_BLANK: i64 = -30;
const POST_BLANK: i64 = 6;
const INDENT: i64 = -4;
const INDENT_WITH_BLANK: i64 = 10;
const OUTDENT: i64 = 24;
const OUTDENT_WITH_BLANK: i64 = 17;
const DEDENT: i64 = 23;
const DEDENT_WITH_BLANK: i64 = 17;
/// A deeper indentation outweighs any of these.
const INDENT_WEIGHT: i64 = 60;

/// One side of a difference.
pub(super) struct Side<'a> {
    /// Equal lines have equal numbers.
    pub(super) lines: &'a [u32],
    /// The lines themselves.
    pub(super) texts: &'a [&'a [u8]],
    /// Which lines are changed.
    pub(super) changed: &'a mut [bool],
}

/// A run of changed lines, perhaps empty, half open.
#[derive(Debug, Clone, Copy)]
struct Group {
    start: usize,
    end: usize,
}

impl Side<'_> {
    fn is_changed(&self, at: usize) -> bool {
        self.changed.get(at).copied().unwrap_or(false)
    }

    fn first(&self) -> Group {
        let mut group = Group { start: 0, end: 0 };
        while self.is_changed(group.end) {
            group.end += 1;
        }
        group
    }

    fn next(&self, group: &mut Group) -> bool {
        if group.end == self.lines.len() {
            return false;
        }
        group.start = group.end + 1;
        group.end = group.start;
        while self.is_changed(group.end) {
            group.end += 1;
        }
        true
    }

    fn previous(&self, group: &mut Group) -> bool {
        if group.start == 0 {
            return false;
        }
        group.end = group.start - 1;
        group.start = group.end;
        while group.start > 0 && self.is_changed(group.start - 1) {
            group.start -= 1;
        }
        true
    }

    fn slide_up(&mut self, group: &mut Group) -> bool {
        if group.start == 0 || self.lines[group.start - 1] != self.lines[group.end - 1] {
            return false;
        }
        group.start -= 1;
        group.end -= 1;
        self.changed[group.start] = true;
        self.changed[group.end] = false;
        while group.start > 0 && self.is_changed(group.start - 1) {
            group.start -= 1;
        }
        true
    }

    fn slide_down(&mut self, group: &mut Group) -> bool {
        if group.end == self.lines.len() || self.lines[group.start] != self.lines[group.end] {
            return false;
        }
        self.changed[group.start] = false;
        self.changed[group.end] = true;
        group.start += 1;
        group.end += 1;
        while self.is_changed(group.end) {
            group.end += 1;
        }
        true
    }

    /// Moves every block of this side to where Git shows it; `other` is the other side.
    pub(super) fn compact(&mut self, other: &Side<'_>) {
        let mut group = self.first();
        let mut beside = other.first();
        loop {
            if group.start < group.end {
                self.settle(&mut group, other, &mut beside);
            }
            if !self.next(&mut group) {
                return;
            }
            other.next(&mut beside);
        }
    }

    fn settle(&mut self, group: &mut Group, other: &Side<'_>, beside: &mut Group) {
        let mut size;
        let mut earliest_end;
        let mut is_beside_change;
        loop {
            size = group.end - group.start;
            while self.slide_up(group) {
                other.previous(beside);
            }
            earliest_end = group.end;
            is_beside_change = beside.start < beside.end;
            while self.slide_down(group) {
                other.next(beside);
                is_beside_change |= beside.start < beside.end;
            }
            if size == group.end - group.start {
                break;
            }
        }
        if group.end == earliest_end {
            return;
        }
        if is_beside_change {
            while beside.start == beside.end && self.slide_up(group) {
                other.previous(beside);
            }
            return;
        }
        let best = self.best_end(*group, size, earliest_end);
        while group.end > best && self.slide_up(group) {
            other.previous(beside);
        }
    }

    /// The end at which the two splits that a block makes look best; the last of equals.
    fn best_end(&self, group: Group, size: usize, earliest_end: usize) -> usize {
        let end = group.end as i64;
        let first = (earliest_end as i64).max(end - size as i64 - 1).max(end - MAX_SLIDING);
        let mut best = (end, Score::default());
        for shift in first..=end {
            let mut score = Score::default();
            score.add(&self.measure(shift));
            score.add(&self.measure(shift - size as i64));
            if shift == first || score.compared(best.1) <= 0 {
                best = (shift, score);
            }
        }
        best.0 as usize
    }

    /// What stands around a split before line `split`.
    fn measure(&self, split: i64) -> Split {
        let total = self.texts.len() as i64;
        let at_end = split >= total;
        let mut found = Split {
            at_end,
            indent: if at_end { -1 } else { indent(self.texts[split as usize]) },
            pre_blanks: 0,
            pre_indent: -1,
            post_blanks: 0,
            post_indent: -1,
        };
        (found.pre_blanks, found.pre_indent) = self.blanks((0..split.min(total)).rev());
        (found.post_blanks, found.post_indent) = self.blanks(split + 1..total);
        found
    }

    /// How many blank lines come first, and the indentation behind them.
    fn blanks(&self, lines: impl Iterator<Item = i64>) -> (i64, i64) {
        let mut blanks = 0;
        for at in lines {
            let found = indent(self.texts[at as usize]);
            if found != -1 {
                return (blanks, found);
            }
            blanks += 1;
            if blanks == MAX_BLANKS {
                return (blanks, 0);
            }
        }
        (blanks, -1)
    }
}

/// Columns of white space before a line's first other character; -1 for a blank line.
fn indent(text: &[u8]) -> i64 {
    let mut columns = 0;
    for byte in text {
        match byte {
            b' ' => columns += 1,
            b'\t' => columns += 8 - columns % 8,
            b'\n' | b'\r' => {}
            _ => return columns,
        }
        if columns >= MAX_INDENT {
            return MAX_INDENT;
        }
    }
    -1
}

struct Split {
    at_end: bool,
    indent: i64,
    pre_blanks: i64,
    pre_indent: i64,
    post_blanks: i64,
    post_indent: i64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Score {
    indent: i64,
    penalty: i64,
}

impl Score {
    fn add(&mut self, split: &Split) {
        if split.pre_indent == -1 && split.pre_blanks == 0 {
            self.penalty += START_OF_FILE;
        }
        if split.at_end {
            self.penalty += END_OF_FILE;
        }
        let post_blanks = if split.indent == -1 { 1 + split.post_blanks } else { 0 };
        let blanks = split.pre_blanks + post_blanks;
        self.penalty += TOTAL_BLANK * blanks + POST_BLANK * post_blanks;
        let indent = if split.indent == -1 { split.post_indent } else { split.indent };
        self.indent += indent;
        let choose = |plain: i64, with_blank: i64| if blanks != 0 { with_blank } else { plain };
        if indent == -1 || split.pre_indent == -1 || indent == split.pre_indent {
            return;
        }
        self.penalty += if indent > split.pre_indent {
            choose(INDENT, INDENT_WITH_BLANK)
        } else if split.post_indent != -1 && split.post_indent > indent {
            choose(OUTDENT, OUTDENT_WITH_BLANK)
        } else {
            choose(DEDENT, DEDENT_WITH_BLANK)
        };
    }

    fn compared(self, other: Score) -> i64 {
        INDENT_WEIGHT * (self.indent - other.indent).signum() + (self.penalty - other.penalty)
    }
}
