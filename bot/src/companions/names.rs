//! Names: what the name of a node or a file says of those that belong to it. Pure.

use precedent_pipeline::lineage::last_name;
use precedent_pipeline::search::for_each_word;

/// The number of a word, for sets of them.
pub fn hash(word: &str) -> u32 {
    hashed(word.bytes())
}

/// FNV-1a.
fn hashed(bytes: impl Iterator<Item = u8>) -> u32 {
    bytes.fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// What a text is compared by, each kind as sorted numbers, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// Its identifiers.
    pub identifiers: Vec<u32>,
    /// Two identifiers of one line that follow each other: calls on fields, types of parameters, arguments by name.
    pub pairs: Vec<u32>,
    /// Its lines, without white space; of those with a few letters.
    pub lines: Vec<u32>,
}

impl Terms {
    /// The terms of a text.
    pub fn of(text: &str) -> Terms {
        const LETTERS_OF_WORD: usize = 3;
        const LETTERS_OF_LINE: usize = 8;
        let mut terms = Terms::default();
        for line in text.lines() {
            let mut last = None;
            for word in line.split(|letter: char| !letter.is_alphanumeric() && letter != '_') {
                if word.len() < LETTERS_OF_WORD || word.starts_with(|first: char| first.is_ascii_digit()) {
                    continue;
                }
                let word = hash(word);
                terms.identifiers.push(word);
                terms.pairs.extend(last.map(|last| pair(last, word)));
                last = Some(word);
            }
            if line.bytes().filter(|byte| byte.is_ascii_alphanumeric() || *byte >= 0x80).count() >= LETTERS_OF_LINE {
                terms.lines.push(hashed(line.bytes().filter(|byte| !byte.is_ascii_whitespace())));
            }
        }
        for kind in [&mut terms.identifiers, &mut terms.pairs, &mut terms.lines] {
            kind.sort_unstable();
            kind.dedup();
            kind.shrink_to_fit();
        }
        terms
    }
}

fn pair(one: u32, two: u32) -> u32 {
    (one.rotate_left(16) ^ two).wrapping_mul(0x9e37_79b1)
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
        let (one, two) = (Terms::of("alpha(beta, gamma, 12ab, x)"), Terms::of("beta gamma delta"));
        let (one, two) = (one.identifiers, two.identifiers);
        assert_eq!((one.len(), shared(&one, &two)), (3, 2));
        assert_eq!(without(&one, &two), [hash("alpha")]);
    }

    #[test]
    fn terms_are_of_one_line_and_white_space_says_nothing() {
        let (one, two) = (Terms::of("  self.shell().warn(message);\n}"), Terms::of("self . shell() .warn( message );"));
        assert_eq!(one, two);
        assert_eq!((one.identifiers.len(), one.pairs.len(), one.lines.len()), (4, 3, 1));
        let apart = Terms::of("self\nshell\nwarn\nmessage");
        assert_eq!((apart.identifiers.len(), apart.pairs.len(), apart.lines.len()), (4, 0, 0));
        let turned = Terms::of("message(self.warn(shell));");
        assert_eq!((one.identifiers == turned.identifiers, shared(&one.pairs, &turned.pairs)), (true, 0));
    }
}
