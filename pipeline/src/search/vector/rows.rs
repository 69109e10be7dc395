//! Rows: some of an index, as one bit each.

use std::ops::Range;

/// Which rows of an index a search may find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// One bit a row; `None` is every row.
    bits: Option<Vec<u64>>,
    /// How many.
    count: usize,
}

impl Rows {
    pub(super) fn all(count: usize) -> Rows {
        Rows { bits: None, count }
    }

    pub(super) fn those(wanted: impl Iterator<Item = bool>) -> Rows {
        let (mut bits, mut count) = (Vec::new(), 0);
        for (row, wanted) in wanted.enumerate() {
            if row % 64 == 0 {
                bits.push(0);
            }
            if wanted {
                bits[row / 64] |= 1 << (row % 64);
                count += 1;
            }
        }
        Rows { bits: Some(bits), count }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Puts those within a range, in order, in place of what `out` holds.
    pub(super) fn within(&self, range: Range<u32>, out: &mut Vec<u32>) {
        out.clear();
        let Some(bits) = &self.bits else { return out.extend(range) };
        let (first, end) = (range.start as usize, range.end as usize);
        for (at, word) in bits.iter().enumerate().take(end.div_ceil(64)).skip(first / 64) {
            let mut word = *word;
            if at == first / 64 {
                word &= u64::MAX << (first % 64);
            }
            if at == end / 64 {
                word &= !(u64::MAX << (end % 64));
            }
            while word != 0 {
                out.push((at * 64) as u32 + word.trailing_zeros());
                word &= word - 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_range_has_those_that_were_given(
            wanted in prop::collection::vec(any::<bool>(), 1..300),
            ends in any::<[prop::sample::Index; 2]>(),
        ) {
            let mut ends = ends.map(|end| end.index(wanted.len() + 1) as u32);
            ends.sort_unstable();
            let rows = Rows::those(wanted.iter().copied());
            let mut found = Vec::new();
            rows.within(ends[0]..ends[1], &mut found);
            let expected: Vec<u32> = (ends[0]..ends[1]).filter(|row| wanted[*row as usize]).collect();
            prop_assert_eq!(found, expected);
            prop_assert_eq!(rows.len(), wanted.iter().filter(|wanted| **wanted).count());
        }
    }
}
