//! Names: what the name of a node or a file says of those that belong to it. Pure.

use precedent_pipeline::lineage::last_name;
use precedent_pipeline::search::for_each_word;

/// The number of a word, for sets of them.
pub fn hash(word: &str) -> u32 {
    word.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// The identifiers of a text, each once, as sorted numbers.
pub fn identifiers(text: &str) -> Vec<u32> {
    const LEAST_LETTERS: usize = 3;
    let mut found: Vec<u32> = text
        .split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .filter(|word| word.len() >= LEAST_LETTERS && !word.starts_with(|first: char| first.is_ascii_digit()))
        .map(hash)
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// The words of a name in lower case, each once, as sorted numbers; without those that only say that it is a test.
pub fn words(name: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for_each_word(name, |word| {
        if !is_of_tests(word) {
            found.push(hash(word));
        }
    });
    found.sort_unstable();
    found.dedup();
    found
}

fn is_of_tests(word: &str) -> bool {
    matches!(word, "test" | "tests" | "testing" | "spec" | "should" | "bench")
}

/// The name of a node by which it and its tests are the same: `Parser::next`, `test_next` and `TestNext` are `next`.
pub fn node_stem(symbol: &str) -> String {
    stem(last_name(symbol))
}

/// The same of a file: `src/parse.rs`, `tests/parse.rs` and `parse_test.go` are `parse`. What is named for its folder goes
/// by that.
pub fn file_stem(path: &str) -> String {
    let mut parts = path.rsplit('/');
    let file = parts.next().unwrap_or(path);
    let own = file.split_once('.').map_or(file, |(own, _)| if own.is_empty() { file } else { own });
    let own = match own {
        "mod" | "lib" | "main" | "index" | "__init__" => parts.next().unwrap_or(own),
        own => own,
    };
    stem(own)
}

fn stem(name: &str) -> String {
    let mut stem = String::new();
    for_each_word(name, |word| {
        if !is_of_tests(word) {
            stem.push_str(word);
        }
    });
    stem
}

/// Shared members of two sorted sets.
pub fn shared(one: &[u32], two: &[u32]) -> usize {
    let (mut at, mut count) = (0, 0);
    for word in one {
        while two.get(at).is_some_and(|other| other < word) {
            at += 1;
        }
        count += usize::from(two.get(at) == Some(word));
    }
    count
}

/// Members of one sorted set that the other lacks.
pub fn without(one: &[u32], two: &[u32]) -> Vec<u32> {
    one.iter().copied().filter(|word| two.binary_search(word).is_err()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_has_the_stem_of_what_it_tests() {
        let check = |one: &str, two: &str| assert_eq!(node_stem(one), node_stem(two));
        check("Parser::next", "tests::test_next");
        check("parseHeader", "TestParseHeader");
        check("parse_header", "parseHeader");
        assert_ne!(node_stem("next"), node_stem("next_line"));
        let check = |one: &str, two: &str| assert_eq!(file_stem(one), file_stem(two));
        check("src/parse.rs", "tests/test_parse.py");
        check("parse.go", "parse_test.go");
        check("src/parse/mod.rs", "src/parse.rs");
        assert_eq!(file_stem(".gitignore"), "gitignore");
    }

    #[test]
    fn sets_are_compared() {
        let (one, two) = (identifiers("alpha(beta, gamma, 12ab, x)"), identifiers("beta gamma delta"));
        assert_eq!((one.len(), shared(&one, &two)), (3, 2));
        assert_eq!(without(&one, &two), [hash("alpha")]);
    }
}
