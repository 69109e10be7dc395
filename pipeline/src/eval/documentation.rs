//! Documentation: a function is asked for by the first sentence of what documents it.

use std::collections::BTreeMap;
use std::sync::Arc;

use precedent_model::Embedder;
use rayon::prelude::*;

use super::memory::Memory;
use super::ranked::{Asked, Members, Node, Nodes, draw};
use super::{EvalOptions, EvalReport};
use crate::PipelineError;
use crate::archive::Archive;
use crate::chunker::{Chunker, Piece};
use crate::history::{AttributeRules, Objects, Repository};
use crate::search::for_each_word;
use crate::shard::ObjectId;
use crate::syntax::{self, DocLine, Kind, Language};

/// Words that a query has at the least.
const LEAST_WORDS: usize = 3;

/// Searches the functions of a tree, without their documentation, by sentences of it, among all else that is there if that
/// is wanted. With an archive, what is known at the commit counts too.
///
/// # Errors
/// An embedder that cannot go on, a tree that cannot be read.
pub fn doc_search(
    repository: &Repository,
    archive: Option<&Archive>,
    embedder: &dyn Embedder,
    commit: &ObjectId,
    options: &EvalOptions,
) -> Result<EvalReport, PipelineError> {
    let mut nodes = Vec::new();
    // Functions that are documented alike are all right.
    let mut by_sentence: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for (path, language, piece) in pieces(repository, commit)? {
        if piece.kind != Kind::Function {
            if options.among_all {
                nodes.push(Node::of(path, piece));
            }
            continue;
        }
        let documented = syntax::documented(language, &piece.text);
        let sentence = sentence(&documented.lines).and_then(|sentence| without_subject(&sentence, &piece.name));
        if let Some(sentence) = sentence.filter(|sentence| !names(sentence, &piece.name)) {
            by_sentence.entry(sentence).or_default().push(nodes.len() as u32);
        }
        nodes.push(Node::of(path, Piece { text: documented.code, ..piece }));
    }
    let asked = by_sentence.into_iter().map(|(text, golds)| Asked { text, golds, tree: 0, at: *commit }).collect();
    let asked = draw(asked, options.queries, options.seed, |asked| asked.text.clone());
    let all = Members::of(0..nodes.len() as u32);
    Ok(Nodes::new(embedder, &nodes, archive.map(Memory::new))?.evaluate("doc-search", &asked, &[all], options)?)
}

/// A node with its path and its language.
type Found = (Arc<str>, &'static Language, Piece);

/// The nodes of every file in a tree, in order.
pub(super) fn pieces(repository: &Repository, commit: &ObjectId) -> Result<Vec<Found>, PipelineError> {
    let objects = repository.objects();
    let mut files = objects.files(commit)?;
    files.sort_by(|one, two| one.0.cmp(&two.0));
    let mut rules = AttributeRules::in_tree(&files);
    let mut wanted = Vec::new();
    for (path, entry) in files {
        let attributes = rules.of(&objects, commit, &path)?;
        if let Ok(language) = Chunker::classify(&path, &entry, attributes).map_err(drop) {
            wanted.push((path, entry.id, language));
        }
    }
    let cut: Vec<Vec<Found>> = wanted
        .par_iter()
        .map_init(
            || Objects::for_blobs(repository),
            |objects, (path, id, language)| match Chunker::chunk(objects, path, id, language).0 {
                Ok(pieces) => {
                    let path: Arc<str> = path.as_str().into();
                    pieces.into_iter().map(|piece| (path.clone(), *language, piece)).collect()
                }
                Err(_) => Vec::new(),
            },
        )
        .collect();
    Ok(cut.into_iter().flatten().collect())
}

/// The first sentence of documentation, in plain words; `None` where it says too little.
fn sentence(lines: &[DocLine]) -> Option<String> {
    let first = lines.first()?;
    let opens_list = |text: &str| text.starts_with(['#', '@', '-', '*', ':', '<', '`', '|', '\\', '=']);
    let mut text = String::new();
    let paragraph = lines.iter().zip(first.line..).take_while(|(line, number)| line.line == *number);
    for (line, _) in paragraph {
        if opens_list(&line.text) {
            break;
        }
        text.push_str(&line.text);
        text.push(' ');
    }
    let plain: String = text.chars().filter(|letter| !"`*[]{}\"".contains(*letter)).collect();
    let end = plain.find(". ").or_else(|| plain.find("; ")).or_else(|| plain.find(": ")).unwrap_or(plain.len());
    let sentence = plain[..end].split_whitespace().collect::<Vec<_>>().join(" ");
    let sentence = sentence.trim_end_matches('.').to_owned();
    let mut words = 0;
    for_each_word(&sentence, |_| words += 1);
    (words >= LEAST_WORDS).then_some(sentence)
}

/// A sentence without the name that it begins with, as is the custom in Go; `None` where too little is left.
fn without_subject(sentence: &str, name: &str) -> Option<String> {
    let rest = match sentence.split_once(' ') {
        Some((first, rest)) if first.trim_end_matches(['(', ')', ',']) == name => rest,
        _ => return Some(sentence.to_owned()),
    };
    let mut words = 0;
    for_each_word(rest, |_| words += 1);
    (words >= LEAST_WORDS).then(|| rest.to_owned())
}

/// Whether a sentence holds all words of a name one after the other.
fn names(sentence: &str, name: &str) -> bool {
    let words = |text: &str| {
        let mut words = Vec::new();
        for_each_word(text, |word| words.push(word.to_owned()));
        words
    };
    let (sentence, name) = (words(sentence), words(name));
    !name.is_empty() && sentence.windows(name.len()).any(|window| window == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[(u32, &str)]) -> Option<String> {
        let lines: Vec<DocLine> =
            lines.iter().map(|(line, text)| DocLine { line: *line, text: (*text).to_owned() }).collect();
        sentence(&lines)
    }

    #[test]
    fn the_first_sentence_is_taken_as_plain_words() {
        assert_eq!(
            of(&[(0, "Opens the `file` at"), (1, "this path. Then more.")]).as_deref(),
            Some("Opens the file at this path")
        );
        assert_eq!(of(&[(0, "Opens the file."), (2, "Another paragraph")]).as_deref(), Some("Opens the file"));
        assert_eq!(of(&[(0, "Opens the file"), (1, "@param path where")]).as_deref(), Some("Opens the file"));
        assert_eq!(of(&[(0, "Two words")]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn sentences_that_hold_the_name_are_known() {
        assert!(names("Opens a new socket and waits", "new_socket"));
        assert_eq!(without_subject("Open makes a socket ready", "Open").as_deref(), Some("makes a socket ready"));
        assert_eq!(without_subject("Open makes one", "Open"), None);
        assert_eq!(without_subject("Opens a new socket", "Open").as_deref(), Some("Opens a new socket"));
        assert!(names("Parses it", "parses"));
        assert!(!names("Opens a new quick socket", "new_socket"));
        assert!(!names("Opens a socket", ""));
    }
}
