//! Stems: our words, for an index of words to take apart texts with.

use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

use crate::search::words::for_each_stem;

/// Our words, as tantivy asks for them.
#[derive(Clone, Default)]
pub(super) struct Stems {
    stems: String,
    ends: Vec<usize>,
    token: Token,
}

pub(super) struct StemStream<'a> {
    of: &'a mut Stems,
    next: usize,
}

impl Tokenizer for Stems {
    type TokenStream<'a> = StemStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> StemStream<'a> {
        self.stems.clear();
        self.ends.clear();
        for_each_stem(text, |stem| {
            self.stems.push_str(stem);
            self.ends.push(self.stems.len());
        });
        self.token.reset();
        StemStream { of: self, next: 0 }
    }
}

impl TokenStream for StemStream<'_> {
    fn advance(&mut self) -> bool {
        let Some(&end) = self.of.ends.get(self.next) else { return false };
        let start = self.next.checked_sub(1).map_or(0, |before| self.of.ends[before]);
        self.of.token.text.clear();
        self.of.token.text.push_str(&self.of.stems[start..end]);
        self.of.token.position = self.next;
        self.next += 1;
        true
    }

    fn token(&self) -> &Token {
        &self.of.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.of.token
    }
}
