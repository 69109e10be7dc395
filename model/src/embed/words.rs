//! Words: the lower-cased parts that identifiers and prose are made of.
//!
//! A word is a maximal match of `[A-Z]+(?![a-z]) | [A-Z]?[a-z]+ | [0-9]+ | [^\x00-\x7f]+`, tried
//! in this order; every other character separates. No stemming and no stop words.
//!
//! Where words begin depends on no more than a byte and its neighbours, so it is worked out for 64 bytes at a time, a bit
//! each: going through a text byte by byte, a processor guesses wrong at nearly every word's end.

use super::packed::{PACKED_BYTES, Packed};

/// Bytes looked at together: as many as a number has bits.
const BLOCK: usize = 64;

/// A lower-cased word.
#[derive(Clone, Copy)]
pub(crate) struct Word<'a> {
    pub(crate) text: &'a [u8],
    /// None if it is too long.
    pub(crate) packed: Option<Packed>,
}

/// Calls `each` with every word of `text` in order. `lowered` is working space.
#[inline]
pub(crate) fn for_each_word(text: &str, lowered: &mut Vec<u8>, mut each: impl FnMut(Word<'_>)) {
    let (blocks, rest) = text.as_bytes().as_chunks::<BLOCK>();
    // There is always a last block with a byte that separates, and then one that a word may be read into.
    let mut last = [0; BLOCK];
    last[..rest.len()].copy_from_slice(rest);
    let mut blocks = blocks.iter().chain([&last, &[0; BLOCK]]);
    if lowered.len() < text.len() + 3 * BLOCK {
        lowered.resize(text.len() + 3 * BLOCK, 0);
    }
    let mut lowered_blocks = 0;
    let mut classify_next = |lowered: &mut [u8]| {
        let block = blocks.next()?;
        let (all, _) = lowered.as_chunks_mut::<BLOCK>();
        let classes = Classes::of(block, &mut all[lowered_blocks]);
        lowered_blocks += 1;
        Some(classes)
    };
    let (mut before, mut base, mut start) = (Classes::default(), 0, 0);
    let Some(mut classes) = classify_next(lowered) else { return };
    while let Some(next) = classify_next(lowered) {
        let (mut starts, mut ends) = classes.bounds(before, next);
        let mut next_start = || {
            let start = base + starts.trailing_zeros() as usize;
            starts &= starts.wrapping_sub(1);
            start
        };
        // A word that the last block has left open keeps its start.
        if !before.ends_in_word() {
            start = next_start();
        }
        while ends != 0 {
            let end = base + ends.trailing_zeros() as usize;
            ends &= ends - 1;
            if lowered[start] < 128 {
                let packed = Packed::at_start_of(&lowered[start..start + PACKED_BYTES], end - start);
                each(Word { text: &lowered[start..end], packed });
            } else {
                // Whole runs are lowered, since a sigma's lower case depends on its neighbours.
                let run = text[start..end].to_lowercase();
                each(Word { text: run.as_bytes(), packed: Packed::new(run.as_bytes()) });
            }
            start = next_start();
        }
        (before, classes, base) = (classes, next, base + BLOCK);
    }
}

/// Which bytes of a block are of which class, the first byte lowest. All others separate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Classes {
    upper: u64,
    lower: u64,
    digit: u64,
    non_ascii: u64,
}

impl Classes {
    /// Also lowers the block.
    #[inline]
    fn of(block: &[u8; BLOCK], lowered: &mut [u8; BLOCK]) -> Classes {
        let mut classes = Classes::default();
        let eights = block.as_chunks::<8>().0.iter().zip(lowered.as_chunks_mut::<8>().0);
        for (at, (eight, lowered)) in eights.enumerate() {
            let bytes = u64::from_le_bytes(*eight);
            // From here on a byte's answer is its highest bit, and no sum reaches the next byte.
            let ascii = bytes & repeat(0x7f);
            let non_ascii = bytes & repeat(0x80);
            let from = |first: u8, bytes: u64| bytes + repeat(0x80 - first);
            let within =
                |first, last: u8, bytes| from(first, bytes) & !from(last + 1, bytes) & !non_ascii & repeat(0x80);
            let letter = within(b'a', b'z', ascii | repeat(0x20));
            let lower = letter & bytes << 2;
            let upper = letter & !lower;
            *lowered = (bytes | upper >> 2).to_le_bytes();
            let put = |classes: &mut u64, highest: u64| *classes |= gather(highest) << (8 * at);
            put(&mut classes.upper, upper);
            put(&mut classes.lower, lower);
            put(&mut classes.digit, within(b'0', b'9', ascii));
            put(&mut classes.non_ascii, non_ascii);
        }
        classes
    }

    /// Where words start, and where there is the first byte behind one.
    #[inline]
    fn bounds(self, before: Classes, next: Classes) -> (u64, u64) {
        let behind = |here: u64, before: u64| here << 1 | before >> (BLOCK - 1);
        let behind_upper = behind(self.upper, before.upper);
        let before_lower = self.lower >> 1 | next.lower << (BLOCK - 1);
        // A capital before a lower-case letter opens its word: `HTTPHeader` is http, header.
        let starts = self.upper & (!behind_upper | before_lower)
            | self.lower & !(behind_upper | behind(self.lower, before.lower))
            | self.digit & !behind(self.digit, before.digit)
            | self.non_ascii & !behind(self.non_ascii, before.non_ascii);
        let ends = behind(self.any(), before.any()) & (starts | !self.any());
        (starts, ends)
    }

    #[inline]
    fn any(self) -> u64 {
        self.upper | self.lower | self.digit | self.non_ascii
    }

    #[inline]
    fn ends_in_word(self) -> bool {
        self.any() >> (BLOCK - 1) == 1
    }
}

/// A byte eight times.
const fn repeat(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// The highest bit of each byte, the first lowest; all other bits are zero.
#[inline]
fn gather(highest: u64) -> u64 {
    // Each bit is moved to its place in the highest byte, and no two to the same.
    (highest >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{BLOCK, for_each_word};
    use crate::embed::packed::Packed;

    fn words(text: &str, lowered: &mut Vec<u8>) -> Vec<String> {
        let mut words = Vec::new();
        for_each_word(text, lowered, |word| {
            assert_eq!(word.packed, Packed::new(word.text));
            words.push(String::from_utf8(word.text.to_vec()).expect("words are text"));
        });
        words
    }

    /// The rule as it is written, byte by byte.
    fn words_plainly(text: &str) -> Vec<String> {
        let (bytes, mut words, mut start) = (text.as_bytes(), Vec::new(), 0);
        while start < bytes.len() {
            let run =
                |from: usize, of: fn(&u8) -> bool| from + bytes[from..].iter().take_while(|byte| of(byte)).count();
            let upper = run(start, u8::is_ascii_uppercase);
            let end = match bytes[start] {
                b'A'..=b'Z' => match (run(upper, u8::is_ascii_lowercase), upper - start) {
                    (lower, _) if lower == upper => upper,
                    (lower, 1) => lower,
                    _ => upper - 1,
                },
                b'a'..=b'z' => run(start, u8::is_ascii_lowercase),
                b'0'..=b'9' => run(start, u8::is_ascii_digit),
                128.. => run(start, |byte| !byte.is_ascii()),
                _ => start,
            };
            words.extend((end > start).then(|| text[start..end].to_lowercase()));
            start = end.max(start + 1);
        }
        words
    }

    fn check(text: &str, expected: &[&str]) {
        // Also across the end of a block, and with working space that has been used.
        let mut lowered = vec![b'x'; 5];
        for before in 0..=BLOCK {
            assert_eq!(words(&format!("{}{text}", " ".repeat(before)), &mut lowered), expected, "words of {text:?}");
        }
        assert_eq!(words_plainly(text), expected, "words of {text:?}");
    }

    proptest! {
        #[test]
        fn any_text_has_the_words_of_the_rule(text in "([aZ]|[a-z]{1,70}|[A-Z]{1,70}|[0-9]{1,3}|[ΣßÄ名\u{0}\u{7f}@\\[`{/:]|.){0,90}") {
            prop_assert_eq!(words(&text, &mut Vec::new()), words_plainly(&text));
        }
    }

    #[test]
    fn words_split_where_the_pattern_splits() {
        check("", &[]);
        check("_ (\u{7f}) \n", &[]);
        check("parseHTTPHeader2", &["parse", "http", "header", "2"]);
        check("HTTPHeader", &["http", "header"]);
        check("snake_case SHOUTING_CASE", &["snake", "case", "shouting", "case"]);
        check("Ab", &["ab"]);
        check("ABc", &["a", "bc"]);
        check("A", &["a"]);
        check("A1Bb2", &["a", "1", "bb", "2"]);
        check("AéB", &["a", "é", "b"]);
        check("xY", &["x", "y"]);
        check("u64::MAX", &["u", "64", "max"]);
    }

    #[test]
    fn non_ascii_runs_are_lowered_as_unicode() {
        check("ÄÖ", &["äö"]);
        // A capital sigma is final here, since a letter stands before it and none after it.
        check("ΟΔΟΣ ΟΔΟΣΑ", &["οδος", "οδοσα"]);
        // Lower-casing may leave the non-ASCII range: the Kelvin sign becomes a plain k.
        check("\u{212a}", &["k"]);
        check("名前x", &["名前", "x"]);
    }
}
