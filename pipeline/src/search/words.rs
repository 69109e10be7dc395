//! Words: the lower-cased parts of identifiers and prose, their stems, and those that say nothing.

/// Stems of words that name nothing: articles, prepositions, auxiliaries.
const EMPTY: [&str; 62] = [
    "a", "all", "also", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by", "can", "could", "do", "doe",
    "for", "from", "given", "has", "hav", "how", "i", "if", "in", "into", "is", "it", "its", "may", "no", "not", "of",
    "on", "one", "or", "our", "out", "should", "so", "som", "such", "than", "that", "the", "their", "then", "ther",
    "thes", "they", "thi", "to", "was", "we", "what", "when", "wher", "which", "will", "with", "would",
];

/// Whether a stem names nothing.
pub(super) fn is_empty(stem: &str) -> bool {
    EMPTY.binary_search(&stem).is_ok()
}

/// The distinct stems of a text that name something, in order of appearance.
pub(super) fn telling_stems(text: &str) -> Vec<String> {
    let mut stems: Vec<String> = Vec::new();
    for_each_stem(text, |stem| {
        if !is_empty(stem) && !stems.iter().any(|known| known == stem) {
            stems.push(stem.to_owned());
        }
    });
    stems
}

/// The words of a text that name something, each once: of those with one stem the first.
pub(super) fn telling_words(text: &str) -> Vec<String> {
    let (mut words, mut stems): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for_each_word(text, |word| {
        let stem = stem(word);
        if !is_empty(stem) && !stems.iter().any(|known| known == stem) {
            stems.push(stem.to_owned());
            words.push(word.to_owned());
        }
    });
    words
}

/// Calls `each` with every word, in lower case and lightly stemmed: the parts of identifiers, `parse` and `header` of
/// `parseHeader`, each digit run a word of its own.
pub(super) fn for_each_stem(text: &str, mut each: impl FnMut(&str)) {
    for_each_word(text, |word| each(stem(word)));
}

/// Calls `each` with every word of a text in lower case.
pub fn for_each_word(text: &str, mut each: impl FnMut(&str)) {
    let mut word = String::new();
    let mut before = None;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let starts_word = match before {
            Some(before) => {
                let class = |letter: char| (letter.is_alphabetic(), letter.is_numeric());
                let next_is_lower = letters.peek().is_some_and(|next| next.is_lowercase());
                class(before) != class(letter) || letter.is_uppercase() && (char::is_lowercase(before) || next_is_lower)
            }
            None => true,
        };
        if starts_word && !word.is_empty() {
            each(&word);
            word.clear();
        }
        if letter.is_alphanumeric() {
            word.extend(letter.to_lowercase());
        }
        before = Some(letter);
    }
    if !word.is_empty() {
        each(&word);
    }
}

/// A word without the ending of a plural, a participle, a gerund or an infinitive, where enough of it is left: `parse`,
/// `parses`, `parsed` and `parsing` are `pars`, `map` and `mapping` are `map`.
fn stem(word: &str) -> &str {
    if word.ends_with("ss") || !word.is_ascii() {
        return word;
    }
    let cut = |ending: &str, least: usize| word.strip_suffix(ending).filter(|rest| rest.len() >= least);
    if let Some(rest) = cut("ing", 4).or_else(|| cut("ed", 4)) {
        return without_double(rest);
    }
    let rest = cut("es", 4).or_else(|| cut("s", 3)).unwrap_or(word);
    rest.strip_suffix('e').filter(|rest| rest.len() >= 3).unwrap_or(rest)
}

/// `mapp` is `map`; `call` and `pass` stay, since their consonant is double without an ending as well.
fn without_double(word: &str) -> &str {
    match word.as_bytes() {
        [.., before, last] if before == last && !b"aeiouls".contains(last) => &word[..word.len() - 1],
        _ => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let mut words = Vec::new();
        for_each_word(text, |word| words.push(word.to_owned()));
        words
    }

    #[test]
    fn identifiers_are_their_words() {
        assert_eq!(words("parseHTTPHeader2 snake_case"), ["parse", "http", "header", "2", "snake", "case"]);
        assert_eq!(words("  Été-là "), ["été", "là"]);
        assert_eq!(words("a.b(c)"), ["a", "b", "c"]);
        assert!(words("->").is_empty());
    }

    #[test]
    fn endings_go_where_a_word_is_left() {
        let check = |words: &[&str], expected: &str| {
            words.iter().for_each(|word| assert_eq!(stem(word), expected, "{word}"));
        };
        check(&["parse", "parses", "parsed", "parsing"], "pars");
        check(&["file", "files"], "fil");
        check(&["match", "matches", "matching"], "match");
        check(&["mapping", "mapped"], "map");
        check(&["calling", "call"], "call");
        for whole in ["class", "ring", "is", "bed", "sees", "map"] {
            check(&[whole], if whole == "sees" { "see" } else { whole });
        }
    }

    #[test]
    fn empty_words_are_in_order() {
        assert!(EMPTY.is_sorted());
        assert_eq!(telling_stems("how to parse the parsed dates"), ["pars", "dat"]);
        assert_eq!(telling_words("how to parse the parsed dates"), ["parse", "dates"]);
        assert!(telling_stems("where does this have some of the").is_empty());
    }
}
