//! The built-in table as an [`Embedder`].

use rayon::prelude::*;

use super::{Document, EmbedError, Embedded, Embedder, Embedding, Table};

impl Embedder for &'static Table {
    fn name(&self) -> &str {
        "built-in"
    }

    fn fingerprint(&self) -> &str {
        Table::fingerprint(self)
    }

    fn dimension(&self) -> usize {
        Table::dimension(self)
    }

    fn max_tokens(&self) -> Option<usize> {
        None
    }

    fn documents(&self, documents: &[Document<'_>]) -> Result<Embedded, EmbedError> {
        let embeddings = documents.par_iter().map(|document| self.document(document.text, document.name)).collect();
        Ok(Embedded { embeddings, failed: Vec::new() })
    }

    fn query(&self, text: &str) -> Result<Embedding, EmbedError> {
        Ok(Table::query(self, text))
    }

    fn header(&self, words: &str) -> Option<Vec<f32>> {
        Some(Table::header(self, words))
    }
}
