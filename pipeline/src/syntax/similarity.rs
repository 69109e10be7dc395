//! Similarity: how much of two texts is the same, as bags of tokens.
//!
//! It serves to follow a function through edits, renames and moves. It is about characters, not about meaning, and it
//! does not parse.

use std::cmp::Ordering;

/// The tokens of one text: their hashes, sorted, each as often as it occurs.
///
/// A word is a token, and so is each operator character. Space, quotes, commas and brackets are not: a formatter moves
/// and adds them freely, and they follow from the words around them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bag(Box<[u32]>);

impl Bag {
    /// The bag of a text.
    pub fn of(text: &str) -> Bag {
        let mut tokens = Vec::with_capacity(text.len() / 6);
        let bytes = text.as_bytes();
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            match CLASSES[usize::from(*byte)] {
                Class::Nothing => at += 1,
                Class::Operator => {
                    tokens.push(hashed(BASIS, *byte));
                    at += 1;
                }
                Class::Word | Class::NotAscii => match word(text, at) {
                    (end, token) if end > at => {
                        tokens.push(token);
                        at = end;
                    }
                    _ => {
                        let letter = text[at..].chars().next().unwrap_or_default();
                        let end = at + letter.len_utf8();
                        if !letter.is_whitespace() {
                            tokens.push(fnv1a(&bytes[at..end]));
                        }
                        at = end;
                    }
                },
            }
        }
        tokens.sort_unstable();
        Bag(tokens.into_boxed_slice())
    }

    /// How many tokens it holds.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it holds no token.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How often it holds a word.
    pub fn count(&self, word: &str) -> usize {
        let token = fnv1a(word.as_bytes());
        let first = self.0.partition_point(|held| *held < token);
        self.0[first..].iter().take_while(|held| **held == token).count()
    }

    /// What is left when the tokens of another are taken out of it, each as often as it occurs there.
    pub fn without(&self, other: &Bag) -> Bag {
        let mut left = Vec::new();
        let mut at = 0;
        for token in &self.0 {
            while other.0.get(at).is_some_and(|taken| taken < token) {
                at += 1;
            }
            if other.0.get(at) == Some(token) {
                at += 1;
            } else {
                left.push(*token);
            }
        }
        Bag(left.into_boxed_slice())
    }
}

/// What a byte of a text is to a bag.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Nothing,
    Word,
    Operator,
    NotAscii,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::NotAscii; 256];
    let mut byte = 0;
    while byte < 128 {
        classes[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => Class::Word,
            b'"' | b'\'' | b'`' | b',' | b';' | b'(' | b')' | b'[' | b']' | b'{' | b'}' => Class::Nothing,
            b' ' | b'\t'..=b'\r' => Class::Nothing,
            _ => Class::Operator,
        };
        byte += 1;
    }
    classes
};

/// Where the word ends that begins here, and its token; here, if none does.
fn word(text: &str, from: usize) -> (usize, u32) {
    let bytes = text.as_bytes();
    let (mut at, mut token) = (from, BASIS);
    while let Some(byte) = bytes.get(at) {
        match CLASSES[usize::from(*byte)] {
            Class::Word => {
                token = hashed(token, *byte);
                at += 1;
            }
            Class::NotAscii => match text[at..].chars().next().filter(|letter| letter.is_alphanumeric()) {
                Some(letter) => {
                    token = bytes[at..at + letter.len_utf8()].iter().fold(token, |token, byte| hashed(token, *byte));
                    at += letter.len_utf8();
                }
                None => break,
            },
            _ => break,
        }
    }
    (at, token)
}

/// The Dice coefficient of two bags, 2·|A∩B| / (|A| + |B|) with multiplicities: 1 for equal bags, also for two empty
/// ones, and 0 where nothing is shared.
pub fn similarity(a: &Bag, b: &Bag) -> f32 {
    if a.is_empty() && b.is_empty() {
        return 1.0;
    }
    2.0 * shared(a, b) as f32 / (a.len() + b.len()) as f32
}

/// How much of the smaller bag the other holds, |A∩B| / min(|A|, |B|) with multiplicities. The empty bag is in every one.
pub fn containment(a: &Bag, b: &Bag) -> f32 {
    match a.len().min(b.len()) {
        0 => 1.0,
        smaller => shared(a, b) as f32 / smaller as f32,
    }
}

/// How many tokens two bags share, |A∩B| with multiplicities.
pub fn shared(a: &Bag, b: &Bag) -> usize {
    let (mut at_a, mut at_b, mut shared) = (0, 0, 0_usize);
    while let (Some(token_a), Some(token_b)) = (a.0.get(at_a), b.0.get(at_b)) {
        let order = token_a.cmp(token_b);
        at_a += usize::from(order != Ordering::Greater);
        at_b += usize::from(order != Ordering::Less);
        shared += usize::from(order == Ordering::Equal);
    }
    shared
}

/// FNV-1a with 32 bits (Fowler, Noll and Vo): the same everywhere, and good enough where a collision costs little.
pub(super) fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(BASIS, |hash, byte| hashed(hash, *byte))
}

const BASIS: u32 = 0x811c_9dc5;

const fn hashed(hash: u32, byte: u8) -> u32 {
    (hash ^ byte as u32).wrapping_mul(0x0100_0193)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(a: &str, b: &str, expected: f32) {
        let measured = similarity(&Bag::of(a), &Bag::of(b));
        assert!((measured - expected).abs() < 1e-6, "{measured} for {a:?} and {b:?}");
    }

    #[test]
    fn shared_tokens_count_as_often_as_they_occur() {
        check("a b c d", "a b x y", 0.5);
        check("a a a", "a", 0.5);
        check("a.b", "a.c", 2.0 / 3.0);
        check("naïve größe", "größe naïve", 1.0);
    }

    #[test]
    fn formatting_does_not_count_and_operators_do() {
        check("f(a, b)", "f(\n    a,\n    b,\n)", 1.0);
        check("a < b", "a <= b", 6.0 / 7.0);
    }

    #[test]
    fn nothing_is_like_nothing_only() {
        check("", "", 1.0);
        check("", "a", 0.0);
    }

    #[test]
    fn a_part_is_contained_in_its_whole() {
        let check = |a: &str, b: &str, expected: f32| {
            let measured = containment(&Bag::of(a), &Bag::of(b));
            assert!((measured - expected).abs() < 1e-6, "{measured} for {a:?} and {b:?}");
        };
        check("b c", "a b c d", 1.0);
        check("a b c d", "b x", 0.5);
        check("a a", "a b b b", 0.5);
        check("", "a", 1.0);
    }

    #[test]
    fn a_bag_without_another_keeps_what_is_too_many() {
        let left = |a: &str, b: &str| Bag::of(a).without(&Bag::of(b));
        assert_eq!(left("a a b c", "a c d"), Bag::of("a b"));
        assert_eq!(left("a", ""), Bag::of("a"));
        assert_eq!(left("", "a"), Bag::of(""));
        let bag = Bag::of("f(a, f.b)");
        assert_eq!((bag.count("f"), bag.count("a"), bag.count("g")), (2, 1, 0));
    }

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(fnv1a(b""), 0x811c_9dc5);
        assert_eq!(fnv1a(b"foobar"), 0xbf9c_f968);
    }

    proptest! {
        #[test]
        fn similarity_is_symmetric_and_between_zero_and_one(a in "[ab<é (]{0,12}", b in "[ab<é (]{0,12}") {
            let (a, b) = (Bag::of(&a), Bag::of(&b));
            let measured = similarity(&a, &b);
            prop_assert!((0.0..=1.0).contains(&measured));
            prop_assert_eq!(measured, similarity(&b, &a));
            prop_assert_eq!(similarity(&a, &a), 1.0);
            prop_assert!((0.0..=1.0).contains(&containment(&a, &b)));
            prop_assert_eq!(a.without(&b).len(), a.len() - shared(&a, &b));
        }
    }
}
