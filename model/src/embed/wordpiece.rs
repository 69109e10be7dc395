//! WordPiece: a word as the fewest pieces that a greedy reader finds in a vocabulary.
//!
//! From the left, the longest piece that fits is taken; every piece but the first is marked `##`
//! in the vocabulary. A word that cannot be covered to its end is one unknown token.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::ModelError;

/// The token of every word that cannot be covered.
pub(crate) const UNKNOWN: u32 = 1;

/// A longer word is unknown, in characters. The vocabulary was trained with this limit.
const LONGEST_WORD_CHARS: usize = 64;

/// A vocabulary, arranged for looking pieces up. A piece's token is its line, from 0.
#[derive(Debug)]
pub(crate) struct WordPiece {
    openings: Pieces,
    continuations: Pieces,
    len: usize,
}

impl WordPiece {
    /// Reads a vocabulary: one piece per line.
    pub(crate) fn parse(vocabulary: &str) -> Result<WordPiece, ModelError> {
        let mut pieces = WordPiece { openings: Pieces::default(), continuations: Pieces::default(), len: 0 };
        for (token, line) in (0..).zip(vocabulary.lines()) {
            let (side, piece) = match line.strip_prefix("##") {
                Some(piece) => (&mut pieces.continuations, piece),
                None => (&mut pieces.openings, line),
            };
            if side.insert(piece, token) {
                return Err(ModelError::Duplicate { token: line.to_owned() });
            }
            pieces.len += 1;
        }
        match pieces.openings.get(b"[UNK]") {
            Some(UNKNOWN) => Ok(pieces),
            _ => Err(ModelError::NoUnknown),
        }
    }

    /// The number of tokens.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Appends the tokens of one lower-cased word.
    #[inline]
    pub(crate) fn encode(&self, word: &[u8], tokens: &mut Vec<u32>) {
        // Most words are a piece of their own.
        match self.openings.get(word) {
            Some(token) if word.len() <= LONGEST_WORD_CHARS => tokens.push(token),
            _ => self.encode_in_parts(word, tokens),
        }
    }

    fn encode_in_parts(&self, word: &[u8], tokens: &mut Vec<u32>) {
        let first_token = tokens.len();
        let mut rest = if is_too_long(word) { &[] } else { word };
        let mut side = &self.openings;
        while let Some((token, piece_len)) = side.longest_prefix(rest) {
            tokens.push(token);
            rest = &rest[piece_len..];
            side = &self.continuations;
            if rest.is_empty() {
                return;
            }
        }
        tokens.truncate(first_token);
        tokens.push(UNKNOWN);
    }
}

/// Counts characters and not bytes, by the bytes that do not continue a character.
fn is_too_long(word: &[u8]) -> bool {
    let chars = word.iter().filter(|&&byte| byte & 0b1100_0000 != 0b1000_0000);
    word.len() > LONGEST_WORD_CHARS && chars.count() > LONGEST_WORD_CHARS
}

/// The pieces that may stand in one position.
#[derive(Debug, Default)]
struct Pieces {
    /// Pieces of up to 16 bytes: nearly all. Comparing them is one instruction or two.
    short: HashMap<Packed, u32, BuildHasherDefault<PackedHasher>>,
    long: HashMap<Box<[u8]>, u32>,
    longest_bytes: usize,
}

impl Pieces {
    /// Adds a piece; true if it was there already.
    fn insert(&mut self, piece: &str, token: u32) -> bool {
        self.longest_bytes = self.longest_bytes.max(piece.len());
        let piece = piece.as_bytes();
        let previous = match Packed::new(piece) {
            Some(packed) => self.short.insert(packed, token),
            None => self.long.insert(piece.into(), token),
        };
        previous.is_some()
    }

    #[inline]
    fn get(&self, piece: &[u8]) -> Option<u32> {
        match Packed::new(piece) {
            Some(packed) => self.short.get(&packed).copied(),
            None => self.long.get(piece).copied(),
        }
    }

    /// The token and the length in bytes of the longest piece that `text` starts with.
    ///
    /// Every cut is tried, also inside of a character: no piece ends there, so none is found.
    fn longest_prefix(&self, text: &[u8]) -> Option<(u32, usize)> {
        let longest = text.len().min(self.longest_bytes);
        let mut cuts = (1..=longest).rev();
        cuts.find_map(|len| Some((self.get(&text[..len])?, len)))
    }
}

/// Up to 16 bytes of text as one number, the first byte lowest. No text here has a zero byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Packed(u128);

impl Packed {
    /// None if the text is longer.
    ///
    /// Reads from both ends, which may overlap, so that there is no loop over the bytes.
    #[inline]
    fn new(text: &[u8]) -> Option<Packed> {
        let len = text.len();
        let (first, last, last_len) = if let (Some(first), Some(last)) = ends::<8>(text) {
            (u64::from_le_bytes(*first), u64::from_le_bytes(*last), 8)
        } else if let (Some(first), Some(last)) = ends::<4>(text) {
            (u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into(), 4)
        } else if let (Some(first), Some(last)) = ends::<2>(text) {
            (u16::from_le_bytes(*first).into(), u16::from_le_bytes(*last).into(), 2)
        } else {
            return Some(Packed(text.first().map_or(0, |&byte| byte.into())));
        };
        let shift = 8 * (len - last_len);
        (len <= 16).then(|| Packed(u128::from(first) | u128::from(last) << shift))
    }
}

#[inline]
fn ends<const N: usize>(text: &[u8]) -> (Option<&[u8; N]>, Option<&[u8; N]>) {
    (text.first_chunk(), text.last_chunk())
}

/// Two multiplications and a fold, in place of a hash that withstands chosen keys: the vocabulary
/// is fixed, so nobody can choose them.
#[derive(Default)]
struct PackedHasher(u64);

impl Hasher for PackedHasher {
    /// Two odd constants with their bits well spread: the fractions of the golden ratio and of √3.
    #[inline]
    fn write_u128(&mut self, packed: u128) {
        let low = (packed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let high = ((packed >> 64) as u64).wrapping_mul(0xbb67_ae85_84ca_a73b);
        self.0 = low ^ high.rotate_left(32);
    }

    /// Only packed text is hashed, so this is never the hot path.
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u128(u128::from(self.0) << 8 | u128::from(byte)));
    }

    /// Multiplication mixes upwards, and the map reads the lowest bits first.
    #[inline]
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_WORD_CHARS, UNKNOWN, WordPiece};
    use crate::embed::ModelError;

    /// Tokens 0 to 8: the two special ones, then `a` is 2 and `é` is 8.
    const VOCABULARY: &str = "[PAD]\n[UNK]\na\nab\n##b\n##c\n##cd\nlongpiece\né\n";

    fn check(word: &str, expected: &[u32]) {
        let pieces = WordPiece::parse(VOCABULARY).expect("the vocabulary is valid");
        let mut tokens = vec![77];
        pieces.encode(word.as_bytes(), &mut tokens);
        assert_eq!(tokens.split_off(1), expected, "tokens of {word:?}");
        assert_eq!(tokens, [77], "what was there before {word:?}");
    }

    #[test]
    fn the_longest_piece_wins_at_each_step() {
        check("a", &[2]);
        check("ab", &[3]);
        check("abc", &[3, 5]);
        check("acdb", &[2, 6, 4]);
        check("longpiececc", &[7, 5, 5]);
        check("éb", &[8, 4]);
    }

    #[test]
    fn pieces_of_every_length_are_told_apart() {
        let word = "abababababababababab";
        let pieces = (1..=word.len()).map(|len| &word[..len]);
        let vocabulary = ["[PAD]", "[UNK]"].into_iter().chain(pieces).collect::<Vec<_>>();
        let pieces = WordPiece::parse(&vocabulary.join("\n")).expect("the vocabulary is valid");
        for (token, piece) in (0..).zip(vocabulary).skip(2) {
            let mut tokens = Vec::new();
            pieces.encode(piece.as_bytes(), &mut tokens);
            assert_eq!(tokens, [token], "tokens of {piece:?}");
        }
    }

    #[test]
    fn what_cannot_be_covered_is_one_unknown() {
        check("x", &[UNKNOWN]);
        check("abx", &[UNKNOWN]);
        check("ba", &[UNKNOWN]);
        check("è", &[UNKNOWN]);
    }

    #[test]
    fn the_limit_counts_characters() {
        let cs = "c".repeat(LONGEST_WORD_CHARS - 1);
        let mut expected = vec![8];
        expected.resize(LONGEST_WORD_CHARS, 5);
        check(&format!("é{cs}"), &expected);
        check(&format!("é{cs}c"), &[UNKNOWN]);
    }

    #[test]
    fn a_vocabulary_must_be_usable() {
        let error = WordPiece::parse("[PAD]\na\n[UNK]\n").expect_err("unknown is elsewhere");
        assert!(matches!(error, ModelError::NoUnknown), "{error}");
        let error = WordPiece::parse("[PAD]\n[UNK]\n##a\n##a\n").expect_err("a piece is repeated");
        assert_eq!(error.to_string(), "the vocabulary has `##a` twice");
    }
}
