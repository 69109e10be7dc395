//! Layout: what the files of a model's directory say about it.
//!
//! The files are those of sentence-transformers: `modules.json`, `1_Pooling/config.json`,
//! `config_sentence_transformers.json`, `sentence_bert_config.json`, `tokenizer_config.json`, `tokenizer.json`,
//! `config.json` and `onnx/model.onnx`. What they leave open a small file beside them says, [`SETTINGS_FILE`], which
//! also wins over them.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::EmbedError;
pub use super::pooling::Pooling;

/// The settings of a model, beside its files.
pub const SETTINGS_FILE: &str = "precedent.toml";

/// Where a graph may lie, best first.
const GRAPHS: [&str; 2] = ["onnx/model.onnx", "model.onnx"];
/// The same graph in half precision, for a device that computes in it.
const HALF_GRAPHS: [&str; 2] = ["onnx/model_fp16.onnx", "model_fp16.onnx"];
/// Where no file limits the length of a text; the usual limit of BERT.
const DEFAULT_TOKENS: usize = 512;
/// The most that is read of a text unless [`SETTINGS_FILE`] asks for more. Attention takes memory by the square of it: with
/// 8,192 tokens and twelve heads 3.2 GB for one text, with these 200 MB.
const MOST_TOKENS: usize = 2048;
/// `model_max_length` of a tokenizer without a limit is about 1e30.
const NO_LIMIT: f64 = 1e9;
/// Prompts for documents, by name, as sentence-transformers looks them up.
const DOCUMENT_PROMPTS: [&str; 3] = ["document", "passage", "corpus"];

/// What [`SETTINGS_FILE`] may say; all of it is optional.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// The graph, as a path in the directory.
    pub onnx: Option<PathBuf>,
    /// The same graph in half precision.
    pub onnx_half: Option<PathBuf>,
    /// The tokenizer, as a path in the directory.
    pub tokenizer: Option<PathBuf>,
    /// How the vectors of the tokens become one.
    pub pooling: Option<Pooling>,
    /// What stands before a question.
    pub query_prefix: Option<String>,
    /// What stands before a document.
    pub document_prefix: Option<String>,
    /// Tokens that are read of a text.
    pub max_tokens: Option<usize>,
    /// Components that are kept, for a model that was trained to be cut off (Matryoshka).
    pub dimension: Option<usize>,
}

impl Settings {
    /// These settings, and where they say nothing, others.
    #[must_use]
    pub fn or(self, other: Settings) -> Settings {
        Settings {
            onnx: self.onnx.or(other.onnx),
            onnx_half: self.onnx_half.or(other.onnx_half),
            tokenizer: self.tokenizer.or(other.tokenizer),
            pooling: self.pooling.or(other.pooling),
            query_prefix: self.query_prefix.or(other.query_prefix),
            document_prefix: self.document_prefix.or(other.document_prefix),
            max_tokens: self.max_tokens.or(other.max_tokens),
            dimension: self.dimension.or(other.dimension),
        }
    }
}

/// A model's directory, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The directory.
    pub directory: PathBuf,
    /// The graph.
    pub graph: PathBuf,
    /// The same graph in half precision, if it is there.
    pub half_graph: Option<PathBuf>,
    /// The tokenizer.
    pub tokenizer: PathBuf,
    /// How the vectors of the tokens become one.
    pub pooling: Pooling,
    /// Whether [`SETTINGS_FILE`] says so, which then counts also where the graph pools by itself.
    pub is_pooling_chosen: bool,
    /// What stands before a question.
    pub query_prefix: String,
    /// What stands before a document.
    pub document_prefix: String,
    /// Tokens that are read of a text.
    pub max_tokens: usize,
    /// Whether texts are lowercased before the tokenizer.
    pub lowercase: bool,
    /// Components that are kept; `None` for all.
    pub dimension: Option<usize>,
    /// Components of a token's vector, as the files say.
    pub hidden_size: Option<usize>,
    /// Rows of the token table, as the files say.
    pub vocabulary_size: Option<usize>,
}

impl Layout {
    /// Reads the files in `directory`. `given` stands in for what neither they nor [`SETTINGS_FILE`] say.
    ///
    /// # Errors
    /// [`EmbedError::Model`] naming the file that is missing, unreadable or asks for what is not supported.
    pub fn read(directory: &Path, given: &Settings) -> Result<Layout, EmbedError> {
        let files = Files { directory };
        if !directory.is_dir() {
            return Err(files.refused("it is no directory"));
        }
        let settings = files.settings()?;
        let config: Config = files.json("config.json")?.unwrap_or_default();
        let sentence: SentenceConfig = files.json("sentence_bert_config.json")?.unwrap_or_default();
        let tokenizer_config: TokenizerConfig = files.json("tokenizer_config.json")?.unwrap_or_default();
        let prompts: Prompts = files.json("config_sentence_transformers.json")?.unwrap_or_default();
        let from_modules = files.pooling()?;
        let is_pooling_chosen = settings.pooling.is_some();
        let most_tokens = settings.max_tokens.map_or(MOST_TOKENS, |chosen| chosen.max(MOST_TOKENS));
        let settings = settings.or(Settings {
            pooling: from_modules,
            query_prefix: prompts.of(&["query"]),
            document_prefix: prompts.of(&DOCUMENT_PROMPTS),
            max_tokens: sentence.max_seq_length,
            ..Settings::default()
        });
        let settings = settings.or(given.clone());
        let Some(pooling) = settings.pooling else {
            return Err(files.refused(&format!(
                "neither `modules.json` nor `{SETTINGS_FILE}` says how it pools: mean, cls or last-token"
            )));
        };
        let max_tokens = settings.max_tokens.unwrap_or_else(|| {
            let tokenizer = tokenizer_config.model_max_length.filter(|length| (1.0..NO_LIMIT).contains(length));
            let limits = [tokenizer.map(|length| length as usize), config.max_position_embeddings];
            limits.into_iter().flatten().min().unwrap_or(DEFAULT_TOKENS)
        });
        let max_tokens = max_tokens.min(most_tokens);
        if max_tokens == 0 || settings.dimension == Some(0) {
            return Err(files.refused("its settings ask for no tokens or no components"));
        }
        Ok(Layout {
            directory: directory.to_owned(),
            graph: files.find("a graph", settings.onnx.as_deref(), &GRAPHS)?,
            half_graph: match settings.onnx_half.as_deref() {
                Some(half) => Some(files.find("a graph in half precision", Some(half), &[])?),
                // A graph that was chosen by hand is the one that is meant on every device.
                None if settings.onnx.is_some() => None,
                None => files.find("a graph in half precision", None, &HALF_GRAPHS).ok(),
            },
            tokenizer: files.find("a tokenizer", settings.tokenizer.as_deref(), &["tokenizer.json"])?,
            pooling,
            is_pooling_chosen,
            query_prefix: settings.query_prefix.unwrap_or_default(),
            document_prefix: settings.document_prefix.unwrap_or_default(),
            max_tokens,
            lowercase: sentence.do_lower_case,
            dimension: settings.dimension,
            hidden_size: config.hidden_size,
            vocabulary_size: config.vocab_size,
        })
    }

    /// What of this decides a vector, beside the contents of graph and tokenizer.
    pub(super) fn recipe(&self) -> String {
        let chosen = if self.is_pooling_chosen { " chosen" } else { "" };
        format!(
            "{:?}{chosen} {:?} {:?} {} {} {:?}",
            self.pooling, self.query_prefix, self.document_prefix, self.max_tokens, self.lowercase, self.dimension
        )
    }
}

#[derive(Default, Deserialize)]
struct Config {
    hidden_size: Option<usize>,
    vocab_size: Option<usize>,
    max_position_embeddings: Option<usize>,
}

#[derive(Default, Deserialize)]
struct SentenceConfig {
    max_seq_length: Option<usize>,
    #[serde(default)]
    do_lower_case: bool,
}

#[derive(Default, Deserialize)]
struct TokenizerConfig {
    model_max_length: Option<f64>,
}

#[derive(Default, Deserialize)]
struct Prompts {
    #[serde(default)]
    prompts: std::collections::BTreeMap<String, Option<String>>,
    default_prompt_name: Option<String>,
}

impl Prompts {
    /// The prompt of the first of these names that there is, or else the default one. An empty one says nothing:
    /// sentence-transformers writes one for each name that nobody has set.
    fn of(&self, names: &[&str]) -> Option<String> {
        let named = names.iter().find_map(|name| self.prompts.get(*name));
        let prompt = named.or_else(|| self.prompts.get(self.default_prompt_name.as_ref()?));
        prompt.cloned().flatten().filter(|prompt| !prompt.is_empty())
    }
}

/// The files of one directory.
struct Files<'a> {
    directory: &'a Path,
}

impl Files<'_> {
    fn refused(&self, why: &str) -> EmbedError {
        EmbedError::Model { directory: self.directory.to_owned(), why: why.to_owned() }
    }

    /// A JSON file; `None` if it is not there.
    fn json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, EmbedError> {
        let text = match std::fs::read(self.directory.join(name)) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.refused(&format!("`{name}` cannot be read: {error}"))),
        };
        match serde_json::from_slice(&text) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(self.refused(&format!("`{name}` is damaged: {error}"))),
        }
    }

    fn settings(&self) -> Result<Settings, EmbedError> {
        let text = match std::fs::read_to_string(self.directory.join(SETTINGS_FILE)) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Settings::default()),
            Err(error) => return Err(self.refused(&format!("`{SETTINGS_FILE}` cannot be read: {error}"))),
        };
        toml::from_str(&text).map_err(|error| {
            self.refused(&format!("`{SETTINGS_FILE}` is not understood: {}", error.message().replace('\n', " ")))
        })
    }

    /// What `modules.json` and the pooling's own file say.
    fn pooling(&self) -> Result<Option<Pooling>, EmbedError> {
        #[derive(Deserialize)]
        struct Module {
            #[serde(default)]
            path: String,
            r#type: String,
        }
        let modules: Vec<Module> = self.json("modules.json")?.unwrap_or_default();
        let mut pooling = None;
        for module in &modules {
            let kind = module.r#type.rsplit('.').next().unwrap_or_default();
            match kind {
                "Transformer" | "Normalize" => {}
                "Pooling" => {
                    let file = format!("{}/config.json", module.path);
                    let config: Value = self
                        .json(&file)?
                        .ok_or_else(|| self.refused(&format!("`{file}` is missing, which `modules.json` names")))?;
                    pooling = Some(pooling_of(&config).map_err(|why| self.refused(&format!("`{file}` {why}")))?);
                }
                _ => {
                    return Err(self.refused(&format!(
                        "`modules.json` has a module `{kind}`; only Transformer, Pooling and Normalize are supported"
                    )));
                }
            }
        }
        Ok(pooling)
    }

    /// The chosen file, or the first of some that is there.
    fn find(&self, what: &str, chosen: Option<&Path>, names: &[&str]) -> Result<PathBuf, EmbedError> {
        let candidates: Vec<&Path> = match chosen {
            Some(chosen) => vec![chosen],
            None => names.iter().map(Path::new).collect(),
        };
        let found = candidates.iter().map(|name| self.directory.join(name)).find(|path| path.is_file());
        found.ok_or_else(|| {
            let names: Vec<String> = candidates.iter().map(|name| format!("`{}`", name.display())).collect();
            self.refused(&format!("it has no {}, which would be {what}", names.join(" or ")))
        })
    }
}

/// Both spellings: one `pooling_mode`, or a truth value for each.
fn pooling_of(config: &Value) -> Result<Pooling, String> {
    let mut modes: Vec<&str> = match &config["pooling_mode"] {
        Value::String(mode) => vec![mode.as_str()],
        Value::Array(modes) => modes.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if let Value::Object(keys) = config {
        let is_on = |(key, value): (&_, &Value)| -> Option<String> {
            let key: &String = key;
            (value == &Value::Bool(true)).then(|| key.strip_prefix("pooling_mode_").map(str::to_owned)).flatten()
        };
        let on: Vec<String> = keys.iter().filter_map(is_on).collect();
        modes.extend(
            keys.keys().filter_map(|key| key.strip_prefix("pooling_mode_")).filter(|key| on.iter().any(|on| on == key)),
        );
    }
    match modes[..] {
        ["mean_tokens" | "mean"] => Ok(Pooling::Mean),
        ["cls_token" | "cls"] => Ok(Pooling::Cls),
        ["lasttoken" | "last_token"] => Ok(Pooling::LastToken),
        [] => Err("names no pooling".into()),
        _ => Err(format!("pools by {}, which is not supported", modes.join(" and "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(directory: &Path, name: &str, text: &str) {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    /// The files of a model whose graph is empty.
    fn model() -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("a directory");
        for (name, text) in [
            ("onnx/model.onnx", ""),
            ("tokenizer.json", "{}"),
            ("config.json", r#"{"hidden_size": 384, "vocab_size": 30522, "max_position_embeddings": 512}"#),
            (
                "modules.json",
                r#"[{"path": "", "type": "sentence_transformers.models.Transformer"},
                    {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
                    {"path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}]"#,
            ),
            ("1_Pooling/config.json", r#"{"pooling_mode_cls_token": false, "pooling_mode_mean_tokens": true}"#),
            ("sentence_bert_config.json", r#"{"max_seq_length": 256, "do_lower_case": false}"#),
            ("config_sentence_transformers.json", r#"{"prompts": {"query": "find: ", "passage": "text: "}}"#),
        ] {
            write(directory.path(), name, text);
        }
        directory
    }

    fn refused(directory: &Path) -> String {
        Layout::read(directory, &Settings::default()).expect_err("no layout").to_string()
    }

    #[test]
    fn the_models_own_files_say_how_it_is_used() {
        let directory = model();
        let layout = Layout::read(directory.path(), &Settings::default()).expect("a layout");
        assert_eq!(layout.pooling, Pooling::Mean);
        assert_eq!((layout.query_prefix.as_str(), layout.document_prefix.as_str()), ("find: ", "text: "));
        assert_eq!((layout.max_tokens, layout.dimension), (256, None));
        assert_eq!((layout.hidden_size, layout.vocabulary_size), (Some(384), Some(30_522)));
        assert_eq!(layout.half_graph, None);
    }

    #[test]
    fn the_settings_beside_them_win_and_what_is_given_fills_gaps() {
        let directory = model();
        write(directory.path(), SETTINGS_FILE, "pooling = \"last-token\"\nmax-tokens = 64\ndimension = 128");
        write(directory.path(), "onnx/model_fp16.onnx", "");
        std::fs::remove_file(directory.path().join("config_sentence_transformers.json")).expect("a file");
        let given = Settings { query_prefix: Some("q: ".into()), max_tokens: Some(9), ..Settings::default() };
        let layout = Layout::read(directory.path(), &given).expect("a layout");
        assert_eq!((layout.pooling, layout.max_tokens, layout.dimension), (Pooling::LastToken, 64, Some(128)));
        assert_eq!((layout.query_prefix.as_str(), layout.document_prefix.as_str()), ("q: ", ""));
        assert_eq!(layout.half_graph, Some(directory.path().join("onnx/model_fp16.onnx")));
    }

    #[test]
    fn empty_prompts_say_nothing_and_empty_settings_do() {
        let directory = model();
        let given = Settings {
            query_prefix: Some("given q: ".into()),
            document_prefix: Some("given d: ".into()),
            ..Settings::default()
        };
        let prefixes = || {
            let layout = Layout::read(directory.path(), &given).expect("a layout");
            (layout.query_prefix, layout.document_prefix)
        };
        for text in [
            r#"{"prompts": {"query": "", "document": ""}, "default_prompt_name": null}"#,
            r#"{"prompts": {"query": null, "document": null}}"#,
        ] {
            write(directory.path(), "config_sentence_transformers.json", text);
            assert_eq!(prefixes(), ("given q: ".into(), "given d: ".into()), "{text}");
        }
        write(directory.path(), SETTINGS_FILE, "query-prefix = \"\"");
        assert_eq!(prefixes(), (String::new(), "given d: ".into()));
    }

    #[test]
    fn without_a_limit_of_its_own_the_smaller_of_the_others_holds() {
        let directory = model();
        std::fs::remove_file(directory.path().join("sentence_bert_config.json")).expect("a file");
        let tokens = || Layout::read(directory.path(), &Settings::default()).expect("a layout").max_tokens;
        assert_eq!(tokens(), 512);
        write(directory.path(), "tokenizer_config.json", r#"{"model_max_length": 1000000000000000019884624838656}"#);
        assert_eq!(tokens(), 512);
        write(directory.path(), "tokenizer_config.json", r#"{"model_max_length": 100}"#);
        assert_eq!(tokens(), 100);
    }

    #[test]
    fn long_texts_are_read_as_far_only_if_somebody_asks_for_it() {
        let directory = model();
        write(directory.path(), "sentence_bert_config.json", r#"{"max_seq_length": 8192}"#);
        let tokens = || Layout::read(directory.path(), &Settings::default()).expect("a layout").max_tokens;
        assert_eq!(tokens(), 2048);
        write(directory.path(), SETTINGS_FILE, "max-tokens = 8192");
        assert_eq!(tokens(), 8192);
    }

    #[test]
    fn both_spellings_of_poolings_are_read() {
        let pooling = |text: &str| pooling_of(&serde_json::from_str(text).expect("JSON"));
        assert_eq!(pooling(r#"{"pooling_mode": "cls"}"#), Ok(Pooling::Cls));
        assert_eq!(pooling(r#"{"pooling_mode": ["lasttoken"]}"#), Ok(Pooling::LastToken));
        assert_eq!(pooling(r#"{"pooling_mode_lasttoken": true}"#), Ok(Pooling::LastToken));
        assert!(pooling(r#"{"pooling_mode_max_tokens": true}"#).is_err());
        assert!(pooling(r#"{"pooling_mode": ["cls", "mean"]}"#).is_err());
        assert!(pooling("{}").is_err());
    }

    #[test]
    fn what_is_missing_or_damaged_is_named() {
        for (name, expected) in [
            ("onnx/model.onnx", "no `onnx/model.onnx` or `model.onnx`, which would be a graph"),
            ("tokenizer.json", "no `tokenizer.json`, which would be a tokenizer"),
            ("1_Pooling/config.json", "`1_Pooling/config.json` is missing"),
            ("modules.json", "says how it pools"),
        ] {
            let directory = model();
            std::fs::remove_file(directory.path().join(name)).expect("a file");
            let why = refused(directory.path());
            assert!(why.contains(expected), "{name}: {why}");
        }
        for (name, text, expected) in [
            ("config.json", "{", "`config.json` is damaged"),
            ("modules.json", r#"[{"path": "2_Dense", "type": "x.Dense"}]"#, "has a module `Dense`"),
            (SETTINGS_FILE, "poling = \"mean\"", "is not understood: unknown field `poling`"),
            (SETTINGS_FILE, "onnx = \"other.onnx\"", "no `other.onnx`"),
            (SETTINGS_FILE, "dimension = 0", "no tokens or no components"),
        ] {
            let directory = model();
            write(directory.path(), name, text);
            let why = refused(directory.path());
            assert!(why.contains(expected), "{name}: {why}");
        }
        assert!(refused(Path::new("no/such/place")).contains("it is no directory"));
    }
}
