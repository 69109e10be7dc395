//! Words: the lower-cased parts that identifiers and prose are made of.
//!
//! A word is a maximal match of `[A-Z]+(?![a-z]) | [A-Z]?[a-z]+ | [0-9]+ | [^\x00-\x7f]+`, tried
//! in this order; every other character separates. No stemming and no stop words.

/// Calls `each` with every word of `text` in order. `lowered` is working space.
pub(crate) fn for_each_word(text: &str, lowered: &mut Vec<u8>, mut each: impl FnMut(&[u8])) {
    let bytes = text.as_bytes();
    // Lowering all of it at once is faster than each word on its own.
    lowered.clear();
    lowered.extend_from_slice(bytes);
    lowered.make_ascii_lowercase();
    let mut start = 0;
    while let Some(&first) = bytes.get(start) {
        let class = CLASSES[usize::from(first)];
        if class == Class::Separator {
            start += 1;
            continue;
        }
        let end = word_end(bytes, start, class);
        match class {
            // Whole runs are lowered, since a sigma's lower case depends on its neighbours.
            Class::NonAscii => each(text[start..end].to_lowercase().as_bytes()),
            _ => each(&lowered[start..end]),
        }
        start = end;
    }
}

/// Where the word ends whose first byte, at `start`, is of `class`.
#[inline]
fn word_end(bytes: &[u8], start: usize, class: Class) -> usize {
    let end = run_end(bytes, start + 1, class);
    if class != Class::Upper || run_end(bytes, end, Class::Lower) == end {
        return end;
    }
    // The last capital opens the lower-case word that follows: `HTTPHeader` is http, header.
    match end - start {
        1 => run_end(bytes, end, Class::Lower),
        _ => end - 1,
    }
}

/// The first position from `start` on that is not of `class`.
#[inline]
fn run_end(bytes: &[u8], start: usize, class: Class) -> usize {
    let mut end = start;
    while end < bytes.len() && CLASSES[usize::from(bytes[end])] == class {
        end += 1;
    }
    end
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Separator,
    Upper,
    Lower,
    Digit,
    NonAscii,
}

/// The class of each byte. A byte above 127 is always part of a non-ASCII character.
const CLASSES: [Class; 256] = {
    let mut classes = [Class::Separator; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'A'..=b'Z' => Class::Upper,
            b'a'..=b'z' => Class::Lower,
            b'0'..=b'9' => Class::Digit,
            128.. => Class::NonAscii,
            _ => Class::Separator,
        };
        byte += 1;
    }
    classes
};

#[cfg(test)]
mod tests {
    use super::for_each_word;

    fn check(text: &str, expected: &[&str]) {
        let mut words = Vec::new();
        for_each_word(text, &mut Vec::new(), |word| {
            words.push(String::from_utf8(word.to_vec()).expect("words are text"));
        });
        assert_eq!(words, expected, "words of {text:?}");
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
