//! Among: the statistics of BM25, of some documents of an index as if there were no others.
//!
//! An index has the words of all history. How rare a word is and how long a text is for its kind is asked of what is
//! searched alone, so that an answer about a tree is what it was when nothing had followed.

use std::sync::{Mutex, PoisonError};

use rustc_hash::FxHashMap;
use tantivy::query::Bm25StatisticsProvider;
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocSet, Searcher, TERMINATED, TantivyError, Term};

use super::NUMBER;
use crate::search::lexical::most;

/// Documents of an index.
pub(super) struct Among<'a> {
    searcher: &'a Searcher,
    /// For each segment, whether each of its documents is one.
    members: Vec<Vec<bool>>,
    documents: u64,
    words: u64,
    /// How many hold a word, of those that were asked about.
    counted: Mutex<FxHashMap<Term, u64>>,
}

impl<'a> Among<'a> {
    /// Those whose number is wanted; `words` is the field that is counted.
    ///
    /// # Errors
    /// Files that are not what was written.
    pub(super) fn of(
        searcher: &'a Searcher,
        words: Field,
        wanted: &dyn Fn(u32) -> bool,
    ) -> Result<Among<'a>, TantivyError> {
        let mut among = Among { searcher, members: Vec::new(), documents: 0, words: 0, counted: Mutex::default() };
        for segment in searcher.segment_readers() {
            let (numbers, lengths) = (segment.fast_fields().u64(NUMBER)?, segment.get_fieldnorms_reader(words)?);
            let mut members = vec![false; segment.max_doc() as usize];
            for (document, member) in (0..).zip(&mut members) {
                let number = numbers.first(document).and_then(|number| u32::try_from(number).ok());
                *member = number.is_some_and(wanted);
                if *member {
                    among.documents += 1;
                    among.words += u64::from(lengths.fieldnorm(document));
                }
            }
            among.members.push(members);
        }
        Ok(among)
    }

    /// What a document would score that said these words and nothing else, without end.
    ///
    /// # Errors
    /// Files that are not what was written.
    pub(super) fn most(&self, terms: &[Term]) -> tantivy::Result<f32> {
        let held = terms.iter().map(|term| Ok(self.doc_freq(term)? as f32)).collect::<tantivy::Result<Vec<f32>>>()?;
        Ok(most(self.documents as f32, held))
    }

    /// How many there are.
    pub(super) fn documents(&self) -> u64 {
        self.documents
    }
}

impl Bm25StatisticsProvider for Among<'_> {
    fn total_num_tokens(&self, _: Field) -> tantivy::Result<u64> {
        Ok(self.words)
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Ok(self.documents)
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        if self.documents == self.searcher.num_docs() {
            return self.searcher.doc_freq(term);
        }
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counted.get(term) {
            return Ok(*count);
        }
        let mut count = 0;
        for (segment, members) in self.searcher.segment_readers().iter().zip(&self.members) {
            let index = segment.inverted_index(term.field())?;
            let Some(mut postings) = index.read_postings(term, IndexRecordOption::Basic)? else { continue };
            let mut document = postings.doc();
            while document != TERMINATED {
                count += u64::from(members.get(document as usize).copied().unwrap_or(false));
                document = postings.advance();
            }
        }
        counted.insert(term.clone(), count);
        Ok(count)
    }
}
