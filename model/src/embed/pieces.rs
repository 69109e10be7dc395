//! Pieces: a word as the cheapest sequence of tokens.
//!
//! A word that is a token stays whole. Any other is split into tokens, each of which costs a constant and the logarithm of
//! its place in the vocabulary: that is in order of frequency, and by Zipf's law a place is inverse to a frequency. So few
//! pieces win over many, then frequent ones over rare ones: `isqrt` is `i`, `sqrt`. A token means the same wherever in a
//! word it stands. A word that cannot be covered is one unknown token.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use super::ModelError;
use super::packed::{Packed, PackedIndex};
use super::words::Word;

/// The token of every word that cannot be covered.
pub(crate) const UNKNOWN: u32 = 1;

/// A longer word is unknown, in characters. The table was trained with this limit.
const LONGEST_WORD_CHARS: usize = 64;

/// No character takes more bytes.
const LONGEST_WORD_BYTES: usize = 4 * LONGEST_WORD_CHARS;

/// What each piece costs beside its place, in thousandths of a nat. The table was trained with this cost.
const PIECE_COST: u32 = 10_000;

/// A vocabulary, arranged for looking tokens up. A token's number is its line, from 0.
#[derive(Debug)]
pub(crate) struct Pieces {
    /// Pieces of up to 16 bytes: nearly all.
    short: PackedIndex,
    long: HashMap<Box<[u8]>, u32>,
    longest_bytes: usize,
    /// Per token.
    costs: Vec<u32>,
    /// No other vocabulary of this process has it.
    number: u64,
}

/// Vocabularies that were read so far.
static READ: AtomicU64 = AtomicU64::new(1);

/// Words that are kept with their parts.
const MAX_KNOWN_WORDS: usize = 16_384;

/// Words of one vocabulary that were cut in parts lately: the same identifiers come again and again.
#[derive(Debug, Default)]
pub(crate) struct KnownWords {
    /// The vocabulary's number.
    of: u64,
    /// Where a word's tokens are. Words are a stranger's, so they are hashed with a secret.
    places: HashMap<Packed, (u32, u32)>,
    tokens: Vec<u32>,
}

impl KnownWords {
    /// Those of a vocabulary; what is known of another one is forgotten.
    pub(crate) fn of(&mut self, pieces: &Pieces) -> &mut KnownWords {
        if self.of != pieces.number || self.places.len() > MAX_KNOWN_WORDS {
            self.places.clear();
            self.tokens.clear();
            self.of = pieces.number;
        }
        self
    }
}

impl Pieces {
    /// Reads a vocabulary: one token per line, the frequent first.
    pub(crate) fn parse(vocabulary: &str) -> Result<Pieces, ModelError> {
        let mut pieces = Pieces {
            short: PackedIndex::with_capacity(vocabulary.lines().count()),
            long: HashMap::default(),
            longest_bytes: 0,
            costs: Vec::new(),
            number: READ.fetch_add(1, Ordering::Relaxed),
        };
        for (token, line) in (0..).zip(vocabulary.lines()) {
            if !pieces.insert(line.as_bytes(), token) {
                return Err(ModelError::Duplicate { token: line.to_owned() });
            }
            // Whole numbers add up the same in any order and on any machine.
            let place = f64::from(token) + 1.0;
            pieces.costs.push(PIECE_COST + (1000.0 * place.ln()).round() as u32);
        }
        match pieces.get(b"[UNK]") {
            Some(UNKNOWN) => Ok(pieces),
            _ => Err(ModelError::NoUnknown),
        }
    }

    /// The number of tokens.
    pub(crate) fn len(&self) -> usize {
        self.costs.len()
    }

    /// Appends the tokens of one word. `known` is that of this vocabulary.
    #[inline]
    pub(crate) fn encode(&self, word: Word<'_>, known: &mut KnownWords, tokens: &mut Vec<u32>) {
        // Most words are a token of their own.
        let token = match word.packed {
            Some(packed) => self.short.get(packed),
            None => self.long.get(word.text).copied(),
        };
        match token {
            Some(token) => tokens.push(token),
            None => self.encode_in_known_parts(word, known, tokens),
        }
    }

    fn encode_in_known_parts(&self, word: Word<'_>, known: &mut KnownWords, tokens: &mut Vec<u32>) {
        let Word { text: word, packed } = word;
        let Some(packed) = packed else { return self.encode_in_parts(word, tokens) };
        if let Some((first, end)) = known.places.get(&packed) {
            return tokens.extend_from_slice(&known.tokens[*first as usize..*end as usize]);
        }
        let first = tokens.len();
        self.encode_in_parts(word, tokens);
        if known.places.len() > MAX_KNOWN_WORDS {
            return;
        }
        let place = known.tokens.len() as u32;
        known.tokens.extend_from_slice(&tokens[first..]);
        known.places.insert(packed, (place, known.tokens.len() as u32));
    }

    /// Finds, for each cut of the word, the cheapest way there; of equal ones that with the longest last piece.
    fn encode_in_parts(&self, word: &[u8], tokens: &mut Vec<u32>) {
        if is_too_long(word) {
            return tokens.push(UNKNOWN);
        }
        let mut ways = [None; LONGEST_WORD_BYTES + 1];
        ways[0] = Some(Way { cost: 0, from: 0, token: UNKNOWN });
        // Every cut is tried, also inside of a character: no token ends there, so none is found.
        for end in 1..=word.len() {
            for from in end.saturating_sub(self.longest_bytes)..end {
                let Some(before) = ways[from] else { continue };
                let Some(token) = self.get(&word[from..end]) else { continue };
                let way = Way { cost: before.cost + self.costs[token as usize], from, token };
                if ways[end].is_none_or(|best| way.cost < best.cost) {
                    ways[end] = Some(way);
                }
            }
        }
        let first_token = tokens.len();
        let mut end = word.len();
        while let Some(way) = ways[end] {
            tokens.push(way.token);
            end = way.from;
            if end == 0 {
                return tokens[first_token..].reverse();
            }
        }
        tokens.push(UNKNOWN);
    }

    /// Adds the next token; false if it was there already.
    fn insert(&mut self, piece: &[u8], token: u32) -> bool {
        self.longest_bytes = self.longest_bytes.max(piece.len());
        let packed = Packed::new(piece);
        let is_new = self.short.push(packed);
        is_new && (packed.is_some() || self.long.insert(piece.into(), token).is_none())
    }

    #[inline]
    fn get(&self, piece: &[u8]) -> Option<u32> {
        match Packed::new(piece) {
            Some(packed) => self.short.get(packed),
            None => self.long.get(piece).copied(),
        }
    }
}

/// How a cut of a word is best reached.
#[derive(Debug, Clone, Copy)]
struct Way {
    cost: u32,
    from: usize,
    /// The last piece.
    token: u32,
}

/// Counts characters and not bytes, by the bytes that do not continue a character.
fn is_too_long(word: &[u8]) -> bool {
    let chars = word.iter().filter(|&&byte| byte & 0b1100_0000 != 0b1000_0000);
    word.len() > LONGEST_WORD_CHARS && chars.count() > LONGEST_WORD_CHARS
}

#[cfg(test)]
mod tests {
    use super::{KnownWords, LONGEST_WORD_CHARS, Pieces, UNKNOWN};
    use crate::embed::ModelError;
    use crate::embed::packed::Packed;
    use crate::embed::words::Word;

    /// `map` is 2, `i` is 7 and `é` is 11.
    const VOCABULARY: &str = "[PAD]\n[UNK]\nmap\nis\nhas\nsqrt\nhash\ni\ns\nc\nlongpiecelongpiece\né\n";

    fn encode(pieces: &Pieces, word: &str, known: &mut KnownWords, tokens: &mut Vec<u32>) {
        let text = word.as_bytes();
        pieces.encode(Word { text, packed: Packed::new(text) }, known.of(pieces), tokens);
    }

    fn check(word: &str, expected: &[u32]) {
        let pieces = Pieces::parse(VOCABULARY).expect("the vocabulary is valid");
        let mut tokens = vec![77];
        let mut known = KnownWords::default();
        encode(&pieces, word, &mut known, &mut tokens);
        // A second time it is known.
        let first = tokens.len();
        encode(&pieces, word, &mut known, &mut tokens);
        assert_eq!(tokens.split_off(first), tokens[1..], "{word}");
        assert_eq!(tokens.split_off(1), expected, "tokens of {word:?}");
        assert_eq!(tokens, [77], "what was there before {word:?}");
    }

    #[test]
    fn a_token_stays_whole() {
        check("map", &[2]);
        check("is", &[3]);
        check("longpiecelongpiece", &[10]);
    }

    #[test]
    fn a_compound_falls_into_its_words() {
        check("isqrt", &[7, 5]);
        check("hashmap", &[6, 2]);
        check("sqrtclongpiecelongpiece", &[5, 9, 10]);
        check("ésqrt", &[11, 5]);
    }

    #[test]
    fn few_pieces_win_and_then_frequent_ones() {
        check("hasi", &[4, 7]);
        check("iss", &[3, 8]);
        let pieces = Pieces::parse("[PAD]\n[UNK]\nab\nc\na\nbc\n").expect("the vocabulary is valid");
        let mut tokens = Vec::new();
        encode(&pieces, "abc", &mut KnownWords::default(), &mut tokens);
        assert_eq!(tokens, [2, 3], "places 2 and 3 against 4 and 5");
    }

    #[test]
    fn pieces_of_every_length_are_told_apart() {
        let word = "abababababababababab";
        let pieces = (1..=word.len()).map(|len| &word[..len]);
        let vocabulary = ["[PAD]", "[UNK]"].into_iter().chain(pieces).collect::<Vec<_>>();
        let pieces = Pieces::parse(&vocabulary.join("\n")).expect("the vocabulary is valid");
        for (token, piece) in (0..).zip(vocabulary).skip(2) {
            let mut tokens = Vec::new();
            encode(&pieces, piece, &mut KnownWords::default(), &mut tokens);
            assert_eq!(tokens, [token], "tokens of {piece:?}");
        }
    }

    #[test]
    fn what_cannot_be_covered_is_one_unknown() {
        check("x", &[UNKNOWN]);
        check("mapx", &[UNKNOWN]);
        check("xmap", &[UNKNOWN]);
        check("è", &[UNKNOWN]);
    }

    #[test]
    fn the_limit_counts_characters() {
        let cs = "c".repeat(LONGEST_WORD_CHARS - 1);
        let mut expected = vec![11];
        expected.resize(LONGEST_WORD_CHARS, 9);
        check(&format!("é{cs}"), &expected);
        check(&format!("é{cs}c"), &[UNKNOWN]);
        check(&"é".repeat(LONGEST_WORD_CHARS), &[11; LONGEST_WORD_CHARS]);
        check(&"\u{1f600}".repeat(LONGEST_WORD_CHARS), &[UNKNOWN]);
    }

    #[test]
    fn a_vocabulary_must_be_usable() {
        let error = Pieces::parse("[PAD]\na\n[UNK]\n").expect_err("unknown is elsewhere");
        assert!(matches!(error, ModelError::NoUnknown), "{error}");
        let error = Pieces::parse("[PAD]\n[UNK]\na\na\n").expect_err("a token is repeated");
        assert_eq!(error.to_string(), "the vocabulary has `a` twice");
    }
}
