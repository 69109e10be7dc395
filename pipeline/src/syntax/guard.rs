//! Guards: what a grammar or its own scanner cannot take is kept from it.
//!
//! The scanners that some grammars bring are C code with fixed buffers and assertions. Where a source could overrun the
//! one or trip the other, it is parsed as something of the same length without what is dangerous. Places in the tree are
//! then places in the source, and all text is still taken from the source.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use super::languages::Grammar;
use super::macros;

/// What a scanner cannot take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hazard {
    None,
    /// Heredocs as in Ruby. tree-sitter-ruby's scanner keeps the words of all that are open in a buffer of 1,024 bytes,
    /// beside five bytes for each string that it believes open, and can write one byte too many; and a word of more than
    /// 255 bytes trips an assertion. Both end the process.
    Heredocs,
    /// Macros that are called as a keyword or a type is, `try!(…)` and `str![…]`. tree-sitter-rust knows none of them, and
    /// its error recovery costs more time than the rest of the file; another name of the same length stands in.
    KeywordMacros,
    /// An annotation in a last line that no line break ends. tree-sitter-kotlin-ng's scanner looks for space behind it, or for
    /// a line break, and does not see that the file ends: it never comes back.
    Annotations,
    /// Macros of C and C++ that stand where nothing of the language may; see `macros.rs`.
    Macros,
}

/// The names of such macros with the mark of a call, and what stands in.
const KEYWORD_MACROS: [(&str, &str); 2] = [("try!", "tr_!"), ("str!", "st_!")];

/// A source as its grammar's scanner may see it: of the same length, without what is dangerous.
pub(super) struct Tame<'s> {
    source: Cow<'s, str>,
    /// What stands in for as many bytes of it, and from where on; in order.
    renamed: Vec<(usize, &'static str)>,
}

impl Tame<'_> {
    pub(super) fn len(&self) -> usize {
        self.source.len()
    }

    /// Some of it from this byte on; nothing at its end.
    pub(super) fn from(&self, at: usize) -> &[u8] {
        let next = self.renamed.partition_point(|(start, name)| start + name.len() <= at);
        match self.renamed.get(next) {
            Some((start, name)) if *start <= at => &name.as_bytes()[at - start..],
            Some((start, _)) => &self.source.as_bytes()[at..*start],
            None => self.source.as_bytes().get(at..).unwrap_or_default(),
        }
    }
}

impl Grammar {
    /// The name of the macro that a comment stands in for in the tree, given what the source has there.
    pub(super) fn macro_behind<'s>(&self, text: &'s str) -> Option<&'s str> {
        (self.hazard == Hazard::Macros).then(|| macros::behind(text)).flatten()
    }
}

impl Hazard {
    /// The source as the scanner may see it; `None` when it cannot be made safe.
    pub(super) fn tame(self, source: &str) -> Option<Tame<'_>> {
        let copied = |source| Some(Tame { source, renamed: Vec::new() });
        match self {
            Hazard::None => copied(Cow::Borrowed(source)),
            Hazard::Heredocs if heredoc(source, 0).is_none() => copied(Cow::Borrowed(source)),
            Hazard::KeywordMacros => Some(Tame { source: Cow::Borrowed(source), renamed: keyword_macros(source) }),
            Hazard::Macros => Some(Tame { source: Cow::Borrowed(source), renamed: macros::stand_ins(source) }),
            Hazard::Annotations => copied(without_last_annotation(source)),
            Hazard::Heredocs => {
                without_heredocs(source).filter(|tame| heredoc(tame, 0).is_none()).and_then(|tame| copied(tame.into()))
            }
        }
    }
}

fn keyword_macros(source: &str) -> Vec<(usize, &'static str)> {
    let mut renamed = Vec::new();
    for (name, other) in KEYWORD_MACROS {
        for at in memchr::memmem::find_iter(source.as_bytes(), name) {
            let ends_a_word = source[..at].ends_with(|letter: char| letter.is_alphanumeric() || "_#'".contains(letter));
            if !ends_a_word && source[at + name.len()..].starts_with(['(', '[', '{', ' ']) {
                renamed.push((at, other));
            }
        }
    }
    renamed.sort_unstable();
    renamed
}

fn without_last_annotation(source: &str) -> Cow<'_, str> {
    let last = source.rfind('\n').map_or(0, |end| end + 1);
    match source[last..].contains('@') {
        true => Cow::Owned(source[..last].to_owned() + &source[last..].replace('@', " ")),
        false => Cow::Borrowed(source),
    }
}

/// What may open a heredoc: `<<`, `-` or `~`, and a word or a string.
struct Opener {
    whole: Range<usize>,
    word: Range<usize>,
}

/// The first such place from here on. The scanner would take no other.
fn heredoc(source: &str, from: usize) -> Option<Opener> {
    source[from..].match_indices("<").map(|(at, _)| from + at).find_map(|start| {
        let after = source[start..].strip_prefix("<<")?;
        let after = after.strip_prefix(['-', '~']).unwrap_or(after);
        let at = source.len() - after.len();
        let (word, end) = match after.chars().next()? {
            quote @ ('"' | '\'' | '`') => {
                let end = at + 1 + after[1..].find([quote, '\n']).unwrap_or(after.len() - 1);
                (at + 1..end, (end + 1).min(source.len()))
            }
            first if !first.is_ascii() || first.is_ascii_alphanumeric() || first == '_' => {
                let in_word = |letter: char| !letter.is_ascii() || letter.is_ascii_alphanumeric() || letter == '_';
                let end = at + after.find(|letter| !in_word(letter)).unwrap_or(after.len());
                (at..end, end)
            }
            _ => return None,
        };
        Some(Opener { whole: start..end, word })
    })
}

/// A source with a string in place of what opens a heredoc, and a comment in place of its body. Where no line ends one,
/// an operator stands in its place.
fn without_heredocs(source: &str) -> Option<String> {
    let mut tame = source.as_bytes().to_vec();
    let mut lines = Vec::new();
    let mut ends: HashMap<&str, Vec<usize>> = HashMap::new();
    for line in source.split_inclusive('\n') {
        let start = lines.last().map_or(0, |last: &Range<usize>| last.end);
        ends.entry(line.trim()).or_default().push(lines.len());
        lines.push(start..start + line.len());
    }
    let mut number = 0;
    while let Some(line) = lines.get(number) {
        let is_comment = source[line.clone()].trim_start().starts_with('#');
        let mut at = line.start;
        let mut body = number + 1;
        while let Some(opener) = heredoc(&source[..line.end], at) {
            at = opener.whole.start + 1;
            let word = source[opener.word].trim();
            let end = ends
                .get(word)
                .filter(|_| !word.is_empty() && !is_comment)
                .and_then(|numbers| numbers.get(numbers.partition_point(|end| *end < body)).copied());
            let Some(end) = end else {
                tame[opener.whole.start..opener.whole.start + 2].copy_from_slice(b"+ ");
                continue;
            };
            at = opener.whole.end;
            tame[opener.whole.clone()].fill(b'_');
            tame[opener.whole.start] = b'"';
            tame[opener.whole.end - 1] = b'"';
            for masked in &lines[body..=end] {
                let text = masked.start..masked.start + source[masked.clone()].trim_end().len();
                tame[text.clone()].fill(b' ');
                tame[text].iter_mut().take(1).for_each(|first| *first = b'#');
            }
            body = end + 1;
        }
        number = body;
    }
    String::from_utf8(tame).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tame(hazard: Hazard, source: &str) -> Option<String> {
        let tame = hazard.tame(source)?;
        let mut seen = Vec::new();
        while seen.len() < tame.len() {
            seen.extend_from_slice(tame.from(seen.len()));
        }
        assert!(tame.from(tame.len()).is_empty() && tame.len() == source.len());
        String::from_utf8(seen).ok()
    }

    #[track_caller]
    fn check_heredocs(source: &str, expected: Option<&str>) {
        assert_eq!(tame(Hazard::Heredocs, source).as_deref(), expected, "{source}");
    }

    #[test]
    fn heredocs_become_strings_and_comments() {
        check_heredocs("x = 1\nclass << self\n", Some("x = 1\nclass << self\n"));
        check_heredocs("f(<<~EOS, 1)\n  a\n\n  EOS\ng\n", Some("f(\"____\", 1)\n#  \n\n#    \ng\n"));
        check_heredocs("a <<A, <<-'B C'\nx\nA\ny\nB C\nz", Some("a \"_\", \"______\"\n#\n#\n#\n#  \nz"));
        check_heredocs("x = <<É\né\nÉ\n", Some("x = \"__\"\n# \n# \n"));
    }

    #[test]
    fn what_no_line_ends_becomes_an_operator() {
        check_heredocs("a <<b\nc", Some("a + b\nc"));
        check_heredocs("# as <<A\nb\nA", Some("# as + A\nb\nA"));
        check_heredocs("a <<\"b", Some("a + \"b"));
        check_heredocs(&format!("<<{}", "A".repeat(300)), Some(&format!("+ {}", "A".repeat(300))));
        check_heredocs("<<\"\"", Some("+ \"\""));
    }

    #[test]
    fn macros_that_are_called_as_keywords_get_other_names() {
        let tame = |source| tame(Hazard::KeywordMacros, source).expect("because there is nothing to refuse");
        assert_eq!(tame("try!(a); x(str![[b]], \"str!\")"), "tr_!(a); x(st_![[b]], \"str!\")");
        assert_eq!(tame("my_try!(a); r#try!(b); substr![c]; try {}"), "my_try!(a); r#try!(b); substr![c]; try {}");
    }

    #[test]
    fn an_annotation_in_a_last_line_without_an_end_is_no_longer_one() {
        let tame = |source| tame(Hazard::Annotations, source).expect("because there is nothing to refuse");
        assert_eq!(tame("@A\nclass B @C(\"@\")"), "@A\nclass B  C(\" \")");
        assert_eq!(tame("@A\n"), "@A\n");
    }

    /// The scanner never came back from these.
    #[test]
    fn kotlin_may_end_in_an_annotation() {
        let kotlin = crate::syntax::language("kotlin").expect("because the table has it");
        for end in ["@D", "@D(", "@D(x)", "  @D(x, \"\")"] {
            for source in [
                format!("class A {{\n    val b = 1\n    {end}"),
                format!("class A(\n    val b: Int\n)\n{end}"),
                format!("val a = 1\n{end}"),
            ] {
                assert!(
                    crate::syntax::nodes(kotlin, &source).iter().any(|node| node.text.contains(end.trim())),
                    "{source}"
                );
            }
        }
    }

    /// A scanner that does not see the end of a file never comes back.
    #[test]
    fn a_file_may_end_anywhere() {
        for (name, source) in crate::syntax::tests::SAMPLES {
            let language = crate::syntax::language(name).expect("because the table has it");
            for (at, _) in source.char_indices() {
                for end in ["", "@D(x", "\"", "`", "/*", "<<E"] {
                    let cut = source[..at].to_owned() + end;
                    let last = crate::syntax::nodes(language, &cut).into_iter().map(|node| node.end_line).max();
                    assert!(last.unwrap_or(0) as usize <= cut.split('\n').count(), "{cut}");
                }
            }
        }
    }

    #[test]
    fn what_stays_dangerous_is_refused() {
        check_heredocs("<<<<A\nA\n", None);
    }
}
