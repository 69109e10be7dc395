//! Signature: what a text says before its body, by words, and where these are kept for a search that reads few texts.

use rustc_hash::FxHashMap;
use tantivy::{Searcher, TantivyError};

use super::lexicon::{NUMBER, SIGNATURE};
use super::words::telling_words;

/// Bytes of a signature that are looked at.
const READ_BYTES: usize = 400;
/// What comments and decorations begin with.
const LEADING: [&str; 5] = ["//", "#", "@", "*", "/*"];
/// What a body begins with.
const BODY: [&str; 3] = ["{", ":\n", "=>"];

/// The part of a text before its body, without the comments and decorations above it.
fn signature(text: &str) -> &str {
    let is_leading = |line: &str| line.is_empty() || LEADING.iter().any(|mark| line.starts_with(mark));
    let leading = text.split_inclusive('\n').take_while(|line| is_leading(line.trim()));
    let rest = &text[leading.map(str::len).sum()..];
    let body = BODY.iter().filter_map(|mark| rest.find(mark)).min().unwrap_or(rest.len());
    &rest[..rest.floor_char_boundary(body.min(READ_BYTES))]
}

/// The words of a text's signature that tell something, each once.
pub(crate) fn signature_words(text: &str) -> String {
    telling_words(signature(text)).join(" ")
}

/// What an index keeps of the signatures of some documents, by number.
///
/// # Errors
/// Files that are not what was written.
pub(super) fn kept(searcher: &Searcher, wanted: impl Fn(u32) -> bool) -> Result<FxHashMap<u32, String>, TantivyError> {
    let mut signatures = FxHashMap::default();
    for segment in searcher.segment_readers() {
        let fields = segment.fast_fields();
        let Some(column) = fields.bytes(SIGNATURE)? else { continue };
        let numbers = fields.u64(NUMBER)?;
        // Of each wanted document its signature, by its place among all that there are.
        let mut places: Vec<(u64, u32)> = Vec::new();
        for document in 0..segment.max_doc() {
            let number = numbers.first(document).and_then(|number| u32::try_from(number).ok());
            if let Some(number) = number.filter(|number| wanted(*number)) {
                places.extend(column.ords().first(document).map(|place| (place, number)));
            }
        }
        places.sort_unstable();
        let (sorted, mut next): (Vec<u64>, _) = (places.iter().map(|(place, _)| *place).collect(), places.iter());
        column.dictionary().sorted_ords_to_term_cb(&sorted, |bytes| {
            if let Some((_, number)) = next.next() {
                signatures.insert(*number, String::from_utf8_lossy(bytes).into_owned());
            }
        })?;
    }
    Ok(signatures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_ends_before_the_body_and_begins_after_what_stands_above() {
        let check = |text: &str, expected: &str| assert_eq!(signature_words(text), expected, "{text}");
        check(
            "/// Opens it.\n#[inline]\npub fn open(path: &Path) -> Handle {\n    body()\n}",
            "pub fn open path handle",
        );
        check("/**\n * Opens it.\n */\n\nasync open(path) {}", "async open path");
        check("@cached\ndef open_it(self, path: Path) -> None:\n    \"\"\"Opens.\"\"\"\n", "def open self path none");
        check("const open = (path) => read(path)", "const open path");
        check("# Only a comment", "");
        check("", "");
        check(&format!("{} end", "é".repeat(300)), &"é".repeat(200));
    }
}
