//! Short texts as numbers, and a table to look them up in.

/// The longest text that is packed, in bytes.
pub(crate) const PACKED_BYTES: usize = 16;

/// Up to 16 bytes of text as two numbers, the first byte lowest. No text here has a zero byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Packed([u64; 2]);

/// What is left of 16 bytes when only so many of them count.
const MASKS: [[u64; 2]; PACKED_BYTES + 1] = {
    let mut masks = [[0; 2]; PACKED_BYTES + 1];
    let mut bytes = 1;
    while bytes <= PACKED_BYTES {
        masks[bytes] = masks[bytes - 1];
        masks[bytes][(bytes - 1) / 8] |= 0xff << (8 * ((bytes - 1) % 8));
        bytes += 1;
    }
    masks
};

impl Packed {
    /// The first `len` bytes of `bytes`; `None` if they are too many, or if `bytes` ends before 16.
    #[inline]
    pub(crate) fn at_start_of(bytes: &[u8], len: usize) -> Option<Packed> {
        let (mask, bytes) = (MASKS.get(len)?, bytes.first_chunk::<PACKED_BYTES>()?);
        let bytes = u128::from_le_bytes(*bytes);
        Some(Packed([bytes as u64 & mask[0], (bytes >> 64) as u64 & mask[1]]))
    }

    /// None if the text is longer.
    #[inline]
    pub(crate) fn new(text: &[u8]) -> Option<Packed> {
        let mut bytes = [0; PACKED_BYTES];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        Packed::at_start_of(&bytes, text.len())
    }

    /// Two multiplications and a fold, in place of a hash that withstands chosen keys. Its highest bits are the best.
    #[inline]
    fn hash(self) -> u64 {
        // Two odd constants with their bits well spread: the fractions of the golden ratio and of √3.
        let low = self.0[0].wrapping_mul(0x9e37_79b9_7f4a_7c15);
        low ^ self.0[1].wrapping_mul(0xbb67_ae85_84ca_a73b)
    }
}

/// Texts and their numbers, which are given once and in order. Those that come first are found fastest: each lies where
/// its hash says unless an earlier one does, and their keys lie together, so that they stay in the cache.
///
/// A lookup costs little whatever is asked: no more than the longest run of taken slots, and the texts are not a stranger's.
#[derive(Debug)]
pub(crate) struct PackedIndex {
    /// An entry of `keys`, or 0 where there is none. A power of two of them, at least twice as many as there are texts.
    slots: Vec<u32>,
    /// Of number n at n + 1; zero at 0, and for texts that are too long to be here.
    keys: Vec<Packed>,
    shift: u32,
}

impl PackedIndex {
    /// Room for `texts` numbers.
    pub(crate) fn with_capacity(texts: usize) -> PackedIndex {
        let slots = (2 * texts).next_power_of_two().max(2);
        let mut keys = Vec::with_capacity(texts + 1);
        keys.push(Packed([0; 2]));
        PackedIndex { slots: vec![0; slots], keys, shift: u64::BITS - slots.trailing_zeros() }
    }

    /// Adds the text of the next number, `None` if it cannot be packed. False if it is here already.
    ///
    /// # Panics
    /// If there is no room.
    pub(crate) fn push(&mut self, text: Option<Packed>) -> bool {
        assert!(2 * self.keys.len() <= self.slots.len() + 2, "there is room");
        let entry = self.keys.len() as u32;
        self.keys.push(text.unwrap_or(Packed([0; 2])));
        let Some(text) = text else { return true };
        let mut slot = self.first_slot(text);
        while self.slots[slot] != 0 {
            if self.keys[self.slots[slot] as usize] == text {
                return false;
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        self.slots[slot] = entry;
        true
    }

    /// The number of a text.
    #[inline]
    pub(crate) fn get(&self, text: Packed) -> Option<u32> {
        let mut slot = self.first_slot(text);
        loop {
            let entry = self.slots[slot];
            if entry == 0 || self.keys[entry as usize] == text {
                return entry.checked_sub(1);
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }

    #[inline]
    fn first_slot(&self, text: Packed) -> usize {
        (text.hash() >> self.shift) as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_is_packed_wherever_it_stands() {
        let bytes = b"abcdefghijklmnopqrstuvwxyz";
        for len in 0..=PACKED_BYTES {
            let mut expected = [0; PACKED_BYTES];
            expected[..len].copy_from_slice(&bytes[..len]);
            let packed = Packed::at_start_of(bytes, len).expect("it is short");
            let [low, high] = packed.0;
            assert_eq!((u128::from(high) << 64 | u128::from(low)).to_le_bytes(), expected);
            assert_eq!(Packed::new(&bytes[..len]), Some(packed));
        }
        assert_eq!(Packed::at_start_of(bytes, PACKED_BYTES + 1), None);
        assert_eq!(Packed::at_start_of(b"abc", 3), None, "too little to read");
        assert_eq!(Packed::new(&bytes[..=PACKED_BYTES]), None);
    }

    proptest! {
        #[test]
        fn texts_are_found_by_their_numbers(texts in prop::collection::vec("[a-c]{1,3}|[a-z]{1,18}", 0..200)) {
            let mut index = PackedIndex::with_capacity(texts.len());
            let mut expected = std::collections::HashMap::new();
            for (number, text) in (0..).zip(&texts) {
                let packed = Packed::new(text.as_bytes());
                let is_new = packed.is_none() || !expected.contains_key(text);
                prop_assert_eq!(index.push(packed), is_new);
                if packed.is_some() {
                    expected.entry(text.clone()).or_insert(number);
                }
                for asked in texts.iter().filter_map(|text| Some((text, Packed::new(text.as_bytes())?))) {
                    prop_assert_eq!(index.get(asked.1), expected.get(asked.0).copied());
                }
            }
        }
    }
}
