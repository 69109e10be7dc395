//! Presets: models that have been named, with where they are and on what terms.
//!
//! What a model's own files say wins over what is said here, as [`Layout::read`](crate::embed::Layout::read) has it; but
//! what is said here of the tokens that are read wins over `tokenizer_config.json` and `config.json`, which say what would
//! fit.
//! A revision is pinned where one is known; hashes are recorded when a model is first fetched.

use crate::embed::{Pooling, Settings};

/// A named model.
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    /// What it is called here.
    pub name: &'static str,
    /// The repository on the hub, with an ONNX graph.
    pub repository: &'static str,
    /// The commit in it; `None` where it is recorded at the first fetch.
    pub revision: Option<&'static str>,
    /// The licence, by its SPDX name.
    pub licence: &'static str,
    /// Whether the licence allows commercial use.
    pub commercial: bool,
    /// Parameters, in millions.
    pub millions: u32,
    /// Components per vector.
    pub dimension: usize,
    /// Tokens that are read of a text.
    pub max_tokens: usize,
    /// How the vectors of the tokens become one, unless the model's files say otherwise; `None` for static models.
    pub pooling: Option<Pooling>,
    /// What stands before a question.
    pub query_prefix: &'static str,
    /// What stands before a document.
    pub document_prefix: &'static str,
}

/// All of them, small ones first.
pub const PRESETS: [Preset; 8] = [
    Preset {
        name: "potion-base-8M",
        repository: "minishlab/potion-base-8M",
        revision: Some("bf8b056651a2c21b8d2565580b8569da283cab23"),
        licence: "MIT",
        commercial: true,
        millions: 8,
        dimension: 256,
        max_tokens: 512,
        pooling: None,
        query_prefix: "",
        document_prefix: "",
    },
    Preset {
        name: "potion-retrieval-32M",
        repository: "minishlab/potion-retrieval-32M",
        revision: Some("6fc8051fab2a1e0ee76689cf08c853792ac285e7"),
        licence: "MIT",
        commercial: true,
        millions: 32,
        dimension: 512,
        max_tokens: 512,
        pooling: None,
        query_prefix: "",
        document_prefix: "",
    },
    Preset {
        name: "all-MiniLM-L6-v2",
        repository: "sentence-transformers/all-MiniLM-L6-v2",
        revision: Some("c9745ed1d9f207416be6d2e6f8de32d1f16199bf"),
        licence: "Apache-2.0",
        commercial: true,
        millions: 23,
        dimension: 384,
        max_tokens: 256,
        pooling: Some(Pooling::Mean),
        query_prefix: "",
        document_prefix: "",
    },
    Preset {
        name: "bge-small-en-v1.5",
        repository: "BAAI/bge-small-en-v1.5",
        revision: Some("5c38ec7c405ec4b44b94cc5a9bb96e735b38267a"),
        licence: "MIT",
        commercial: true,
        millions: 33,
        dimension: 384,
        max_tokens: 512,
        pooling: Some(Pooling::Cls),
        query_prefix: "Represent this sentence for searching relevant passages: ",
        document_prefix: "",
    },
    Preset {
        name: "CodeRankEmbed",
        repository: "zuliaio/coderankembed-onnx",
        revision: None,
        licence: "MIT",
        commercial: true,
        millions: 137,
        dimension: 768,
        max_tokens: 2048,
        pooling: Some(Pooling::Cls),
        query_prefix: "Represent this query for searching relevant code: ",
        document_prefix: "",
    },
    Preset {
        name: "jina-embeddings-v2-base-code",
        repository: "jinaai/jina-embeddings-v2-base-code",
        revision: Some("516f4baf13dec4ddddda8631e019b5737c8bc250"),
        licence: "Apache-2.0",
        commercial: true,
        millions: 161,
        dimension: 768,
        max_tokens: 2048,
        pooling: Some(Pooling::Mean),
        query_prefix: "",
        document_prefix: "",
    },
    Preset {
        name: "jina-code-embeddings-0.5b",
        repository: "nchapman/jina-code-embeddings-0.5b-onnx",
        revision: None,
        licence: "CC-BY-NC-4.0",
        commercial: false,
        millions: 494,
        dimension: 896,
        max_tokens: 2048,
        pooling: Some(Pooling::LastToken),
        query_prefix: "Find the most relevant code snippet given the following query:\n",
        document_prefix: "Candidate code snippet:\n",
    },
    Preset {
        name: "Qwen3-Embedding-0.6B",
        repository: "onnx-community/Qwen3-Embedding-0.6B-ONNX",
        revision: Some("c25a394dd583836952667c12f008335071b3f43d"),
        licence: "Apache-2.0",
        commercial: true,
        millions: 596,
        dimension: 1024,
        max_tokens: 2048,
        pooling: Some(Pooling::LastToken),
        query_prefix: "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:",
        document_prefix: "",
    },
];

/// A named model that writes.
#[derive(Debug, Clone, Copy)]
pub struct Decoder {
    /// What it is called here.
    pub name: &'static str,
    /// The repository on the hub.
    pub repository: &'static str,
    /// The commit in it; `None` where it is recorded at the first fetch.
    pub revision: Option<&'static str>,
    /// The graph in it: weights of eight bits, which run on a CPU.
    pub graph: &'static str,
    /// The licence, by its SPDX name.
    pub licence: &'static str,
    /// Whether the licence allows commercial use.
    pub commercial: bool,
    /// Parameters, in millions.
    pub millions: u32,
    /// Tokens of its context.
    pub context_tokens: usize,
}

/// All of them. Their chat templates and the tokens that end an answer are in their own files.
pub const DECODERS: [Decoder; 2] = [
    Decoder {
        name: "deepseek-coder-1.3b-instruct",
        repository: "onnx-community/deepseek-coder-1.3b-instruct-ONNX",
        revision: None,
        graph: "onnx/model_int8.onnx",
        // Commercial use is allowed; some uses are not.
        licence: "LicenseRef-DeepSeek",
        commercial: true,
        millions: 1346,
        context_tokens: 16_384,
    },
    Decoder {
        name: "Qwen2.5-Coder-1.5B-Instruct",
        repository: "onnx-community/Qwen2.5-Coder-1.5B-Instruct",
        revision: Some("9493f20a97d52b45bd0d0092bc3651c162e14ee9"),
        graph: "onnx/model_int8.onnx",
        licence: "Apache-2.0",
        commercial: true,
        millions: 1544,
        context_tokens: 32_768,
    },
];

impl Decoder {
    /// The preset of this name, whatever its case.
    pub fn named(name: &str) -> Option<&'static Decoder> {
        DECODERS.iter().find(|preset| preset.name.eq_ignore_ascii_case(name))
    }
}

impl Preset {
    /// The preset of this name, whatever its case.
    pub fn named(name: &str) -> Option<&'static Preset> {
        PRESETS.iter().find(|preset| preset.name.eq_ignore_ascii_case(name))
    }

    /// What stands in for what the model's files do not say.
    pub fn settings(&self) -> Settings {
        Settings {
            pooling: self.pooling,
            query_prefix: Some(self.query_prefix.to_owned()),
            document_prefix: Some(self.document_prefix.to_owned()),
            max_tokens: Some(self.max_tokens),
            ..Settings::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hub takes whole commits only.
    fn is_whole(revision: &str) -> bool {
        revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
    }

    #[test]
    fn presets_have_names_of_their_own_and_whole_revisions() {
        for preset in &PRESETS {
            assert_eq!(Preset::named(&preset.name.to_lowercase()).map(|found| found.name), Some(preset.name));
            assert!(preset.revision.is_none_or(is_whole), "{}", preset.name);
            assert_eq!(preset.commercial, !preset.licence.contains("-NC-"), "{}", preset.name);
        }
        assert!(Preset::named("no-such-model").is_none());
    }

    #[test]
    fn decoders_have_names_of_their_own_and_narrow_graphs() {
        for preset in &DECODERS {
            assert_eq!(Decoder::named(&preset.name.to_uppercase()).map(|found| found.name), Some(preset.name));
            assert!(Preset::named(preset.name).is_none(), "{}", preset.name);
            assert!(preset.revision.is_none_or(is_whole), "{}", preset.name);
            assert!(preset.repository.contains('/') && preset.graph.ends_with("_int8.onnx"), "{}", preset.name);
            assert!(preset.context_tokens >= 8_192 && (1_000..2_000).contains(&preset.millions), "{}", preset.name);
        }
        assert!(Decoder::named("deepseek-coder-1.3b-instruct").is_some());
        assert!(DECODERS.iter().any(|preset| preset.licence == "Apache-2.0"), "one without conditions of use");
    }
}
