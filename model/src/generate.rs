//! A decoder as an ONNX graph: text to text, one token after the other.
//!
//! The graph has the usual exported contract: `input_ids`, `attention_mask`, `position_ids` and
//! `past_key_values.N.key`/`.value` in, `logits` and `present.N.key`/`.value` out. Keys and values of earlier tokens stay on
//! the device that computed them. How positions turn is part of the graph, as its configuration had it when it was exported.

mod chat;
mod draw;
mod graph;
mod shape;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::Value;
use sha2::{Digest, Sha256};
use tokenizers::Tokenizer;

pub use draw::Sampling;

use crate::embed::{Device, EmbedError, Hashes, Options, weights_of};
use crate::runtime;
use chat::Template;
use draw::Draw;
use graph::Graph;
use shape::Shapes;

/// Tokens of a prompt that are read at once: each makes a row as wide as the vocabulary.
const READ_AT_ONCE: usize = 256;
/// The context of a model that does not say.
const USUAL_CONTEXT: usize = 2048;
/// Where a graph may be in a model's directory, best first.
const GRAPHS: [&str; 6] = [
    "onnx/model.onnx",
    "model.onnx",
    "onnx/decoder_model_merged.onnx",
    "decoder_model_merged.onnx",
    "onnx/model_quantized.onnx",
    "model_quantized.onnx",
];

/// What to write.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Tokens at the most.
    pub max_tokens: usize,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// Texts that end it; they are not part of what was written. A schema has an end of its own, so that they do not count beside
    /// one.
    pub stops: Vec<String>,
    /// A JSON schema that the text cannot leave. Near the limit it is brought to its end, so that it is whole.
    pub schema: Option<Value>,
    /// When to stop at the latest.
    pub deadline: Option<Instant>,
}

/// Why it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The model came to an end, or to one of the texts that end it, or the schema has no more.
    Stop,
    /// There were no tokens left.
    Length,
    /// Time was over.
    Deadline,
    /// Somebody did not want to wait any longer.
    Cancelled,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The text, without special tokens.
    pub text: String,
    /// Its tokens, with the one that ended it.
    pub tokens: Vec<u32>,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Why it ended.
    pub ending: Ending,
}

/// A model's tokenizer alone, to count with.
#[derive(Debug, Clone)]
pub struct Counter(Tokenizer);

impl Counter {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence.
    pub fn open(file: &Path) -> Result<Counter, String> {
        plain_tokenizer(file).map(Counter)
    }

    /// How many tokens a text is.
    pub fn count(&self, text: &str) -> usize {
        tokens_of(&self.0, text)
    }
}

/// A tokenizer that neither pads nor cuts.
fn plain_tokenizer(file: &Path) -> Result<Tokenizer, String> {
    let mut tokenizer = Tokenizer::from_file(file)
        .map_err(|error| format!("`{}` is not a readable tokenizer: {error}", file.display()))?;
    tokenizer.with_padding(None);
    let _ = tokenizer.with_truncation(None);
    Ok(tokenizer)
}

fn tokens_of(tokenizer: &Tokenizer, text: &str) -> usize {
    tokenizer.encode_fast(text, false).map_or(text.len(), |encoding| encoding.len())
}

/// A decoder, ready to run.
pub struct Decoder {
    name: String,
    tokenizer: Tokenizer,
    template: Option<Template>,
    graph: Graph,
    shapes: Shapes,
    ends: Vec<u32>,
    /// Tokens that a template writes and nobody else may.
    controls: HashSet<u32>,
    context_tokens: usize,
    fingerprint: String,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Decoder").field("name", &self.name).field("context_tokens", &self.context_tokens).finish()
    }
}

impl Decoder {
    /// Whether a directory holds a decoder: its configuration names one that writes.
    pub fn is_in(directory: &Path) -> bool {
        let config = read(&directory.join("config.json")).unwrap_or_default();
        let names = config["architectures"].as_array().into_iter().flatten().filter_map(Value::as_str);
        names.into_iter().any(|name| name.ends_with("ForCausalLM"))
    }

    /// Reads a model's directory and makes it ready. `graph` names the graph in it, if it is not the usual one.
    ///
    /// # Errors
    /// If a file is missing, damaged or of another model, or if the runtime cannot run the graph.
    pub fn load(
        name: &str,
        directory: &Path,
        graph: Option<&str>,
        library: &Path,
        hashes: &Hashes,
        options: &Options,
    ) -> Result<Decoder, EmbedError> {
        let refused = |why: String| EmbedError::Model { directory: directory.to_owned(), why };
        let config = read(&directory.join("config.json")).map_err(refused)?;
        let settings = read(&directory.join("tokenizer_config.json")).unwrap_or_default();
        let generation = read(&directory.join("generation_config.json")).unwrap_or_default();
        let places: Vec<&str> = graph.map_or_else(|| GRAPHS.to_vec(), |graph| vec![graph]);
        let file = places.iter().map(|graph| directory.join(graph)).find(|file| file.is_file());
        let file = file.ok_or_else(|| refused(format!("it has no graph (`{}`)", places[0])))?;
        let tokenizer_file = directory.join("tokenizer.json");
        let tokenizer = plain_tokenizer(&tokenizer_file).map_err(refused)?;
        let template = Template::read(directory, &settings).map_err(refused)?;
        let controls = controls(&tokenizer);
        let ends = ends(&tokenizer, &config, &generation, &settings);
        of_one_model(&tokenizer, &ends, &settings).map_err(refused)?;
        let runtime = runtime::load(library)?;
        let graph = Graph::open(runtime, &file, options).map_err(refused)?;
        let width = graph.probe().map_err(|why| refused(format!("its graph does not run: {why}")))?;
        let largest = tokenizer.get_vocab(true).into_values().max().unwrap_or_default() as usize;
        // Models know more tokens than there are, up to the next round number.
        if largest >= width || largest < width / 10 * 9 {
            return Err(refused(format!(
                "`tokenizer.json` has tokens up to number {largest}, and the model knows {width}; they are not of one model"
            )));
        }
        let (layers, heads) = graph.keeps();
        for (name, found) in [("vocab_size", width), ("num_hidden_layers", layers), ("num_key_value_heads", heads)] {
            if let Some(said) = config[name].as_u64().filter(|said| *said != found as u64) {
                return Err(refused(format!(
                    "`config.json` says {said} of `{name}`, and the graph has {found}; they are not of one model"
                )));
            }
        }
        let shapes = Shapes::of(&tokenizer, &read(&tokenizer_file).map_err(refused)?, &ends, width).map_err(refused)?;
        let context_tokens = ["max_position_embeddings", "n_positions", "max_seq_len"]
            .iter()
            .find_map(|name| config[*name].as_u64())
            .map_or(USUAL_CONTEXT, |tokens| tokens as usize);
        let mut files = vec![tokenizer_file, file.clone()];
        files.extend(weights_of(&file));
        let fingerprint = fingerprint(&files, &template, hashes).map_err(refused)?;
        let decoder = Decoder {
            name: name.to_owned(),
            tokenizer,
            template,
            graph,
            shapes,
            ends,
            controls,
            context_tokens,
            fingerprint,
        };
        // A template that fails would fail at every question.
        if decoder.template.is_some() {
            decoder.chat(&[("system", "a"), ("user", "b")]).map_err(refused)?;
        }
        Ok(decoder)
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its texts depend on: graph, tokenizer and template.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Tokens that a prompt and what is written may have together.
    pub fn context_tokens(&self) -> usize {
        self.context_tokens
    }

    /// What it is computed with, as in `CPU` or `CUDA 0`.
    pub fn device(&self) -> &str {
        self.graph.label()
    }

    /// How many tokens a text is.
    pub fn count(&self, text: &str) -> usize {
        tokens_of(&self.tokenizer, text)
    }

    /// Tokens that the template adds to a message of rules and one of a user.
    pub fn template_tokens(&self) -> usize {
        self.chat(&[("system", ""), ("user", "")]).map_or(0, |prompt| self.count(&prompt)) + 4
    }

    /// Messages (who, what) as the model was trained to read them, up to where its answer begins. What is said is
    /// [`plain`](Decoder::plain), so that no message can end itself. To a model whose template knows no rules, the user says
    /// them.
    ///
    /// # Errors
    /// What is wrong with the template, in a sentence.
    pub fn chat(&self, messages: &[(&str, &str)]) -> Result<String, String> {
        match &self.template {
            Some(template) => {
                let plain: Vec<(&str, String)> =
                    messages.iter().map(|(role, text)| (*role, self.plain(text))).collect();
                let said: Vec<(&str, &str)> = plain.iter().map(|(role, text)| (*role, text.as_str())).collect();
                template.render(&said, true).or_else(|why| match said[..] {
                    [("system", rules), ("user", question), ref more @ ..] => {
                        let both = format!("{rules}\n\n{question}");
                        template.render(&[&[("user", both.as_str())], more].concat(), true).map_err(|_| why)
                    }
                    _ => Err(why),
                })
            }
            None => Err(format!("`{}` has no chat template", self.name)),
        }
    }

    /// A text that holds none of the tokens that a template writes: where their names stand, a space parts them.
    pub fn plain(&self, text: &str) -> String {
        // A token that survives being parted, as one of a single letter would, is left out.
        const PARTED: usize = 2;
        const ROUNDS: usize = 8;
        let mut text = text.to_owned();
        for round in 0..ROUNDS {
            let Ok(encoding) = self.tokenizer.encode(text.as_str(), false) else { break };
            let tokens = encoding.get_ids().iter().zip(encoding.get_offsets());
            let mut places: Vec<(usize, usize)> =
                tokens.filter(|(id, _)| self.controls.contains(id)).map(|(_, place)| *place).collect();
            places.dedup();
            for (start, end) in places.iter().rev().copied() {
                let Some(token) = text.get(start..end) else { continue };
                let begin = start + token.len() - token.trim_start().len();
                let first = text[begin..end].chars().next().map_or(0, char::len_utf8);
                if round < PARTED {
                    text.insert(begin + first, ' ');
                } else {
                    text.replace_range(start..end, "");
                }
            }
            if places.is_empty() {
                break;
            }
        }
        text
    }

    /// The tokens of a prompt. Special tokens are read where their text stands; a template writes them, and so none are added
    /// where it begins with one.
    ///
    /// # Errors
    /// If the tokenizer fails.
    pub fn tokenise(&self, prompt: &str, with_start: bool) -> Result<Vec<u32>, String> {
        let encoding = self.tokenizer.encode_fast(prompt, with_start);
        encoding.map(|encoding| encoding.get_ids().to_vec()).map_err(|error| format!("its tokenizer fails: {error}"))
    }

    /// Writes what follows a prompt that a template made.
    ///
    /// # Errors
    /// If the prompt leaves no room, or the graph fails.
    pub fn generate(&self, prompt: &str, request: &Request, is_over: &dyn Fn() -> bool) -> Result<Written, String> {
        self.continue_from(&self.tokenise(prompt, false)?, request, is_over)
    }

    /// Writes what follows these tokens.
    ///
    /// # Errors
    /// If they leave no room, or the graph fails.
    pub fn continue_from(
        &self,
        prompt: &[u32],
        request: &Request,
        is_over: &dyn Fn() -> bool,
    ) -> Result<Written, String> {
        if prompt.is_empty() {
            return Err("the prompt is empty".into());
        }
        if request.stops.iter().any(String::is_empty) {
            return Err("an empty text ends nothing".into());
        }
        if prompt.len() >= self.context_tokens {
            return Err(format!(
                "the prompt has {} tokens, and the context holds {} with the answer",
                prompt.len(),
                self.context_tokens
            ));
        }
        let room = (self.context_tokens - prompt.len()).min(request.max_tokens);
        let mut shape = request.schema.as_ref().map(|schema| self.shapes.begin(schema, room)).transpose()?;
        let mut draw = Draw::new(&request.sampling);
        let mut memory = self.graph.memory()?;
        let interrupted = |tokens: &[u32]| {
            let ending = match () {
                () if is_over() => Ending::Cancelled,
                () if request.deadline.is_some_and(|deadline| Instant::now() >= deadline) => Ending::Deadline,
                () => return None,
            };
            Some(self.written(tokens, prompt.len(), ending, &[]))
        };
        let mut logits = Vec::new();
        for part in prompt.chunks(READ_AT_ONCE) {
            if let Some(written) = interrupted(&[]) {
                return written;
            }
            logits = self.graph.step(&mut memory, part)?;
        }
        let mut tokens: Vec<u32> = Vec::new();
        while tokens.len() < room {
            if let Some(written) = interrupted(&tokens) {
                return written;
            }
            let token = match &mut shape {
                Some(shape) => shape.next(&mut logits, room - tokens.len(), &mut draw)?,
                None => draw.next(&mut logits),
            };
            tokens.push(token);
            let is_end = match &shape {
                Some(shape) => shape.is_complete(),
                None => self.ends.contains(&token),
            };
            if is_end {
                return self.written(&tokens, prompt.len(), Ending::Stop, &[]);
            }
            if shape.is_none() && self.has_stop(&tokens, &request.stops)? {
                return self.written(&tokens, prompt.len(), Ending::Stop, &request.stops);
            }
            if tokens.len() < room {
                logits = self.graph.step(&mut memory, &[token])?;
            }
        }
        self.written(&tokens, prompt.len(), Ending::Length, &[])
    }

    /// Writes without keeping anything of earlier tokens: slow, and what the other way must be equal to.
    ///
    /// # Errors
    /// If the graph fails.
    pub fn continue_without_memory(
        &self,
        prompt: &[u32],
        max_tokens: usize,
        sampling: &Sampling,
    ) -> Result<Vec<u32>, String> {
        let mut draw = Draw::new(sampling);
        let mut all = prompt.to_vec();
        while all.len() < prompt.len() + max_tokens {
            let mut logits = self.graph.step(&mut self.graph.memory()?, &all)?;
            let token = draw.next(&mut logits);
            all.push(token);
            if self.ends.contains(&token) {
                break;
            }
        }
        Ok(all.split_off(prompt.len()))
    }

    /// Whether the last token brings one of these texts to its end. No more of the end is read than can hold it: all tokens but
    /// special ones have a byte at least.
    fn has_stop(&self, tokens: &[u32], stops: &[String]) -> Result<bool, String> {
        const SPECIAL: usize = 8;
        let Some(longest) = stops.iter().map(String::len).max() else { return Ok(false) };
        let tail = self.text(&tokens[tokens.len().saturating_sub(longest + SPECIAL)..])?;
        Ok(stops.iter().any(|stop| tail.contains(stop.as_str())))
    }

    fn text(&self, tokens: &[u32]) -> Result<String, String> {
        self.tokenizer.decode(tokens, true).map_err(|error| format!("its tokenizer fails: {error}"))
    }

    fn written(
        &self,
        tokens: &[u32],
        prompt_tokens: usize,
        ending: Ending,
        stops: &[String],
    ) -> Result<Written, String> {
        let mut text = self.text(tokens)?;
        if let Some(at) = stops.iter().filter_map(|stop| text.find(stop.as_str())).min() {
            text.truncate(at);
        }
        Ok(Written { text, tokens: tokens.to_vec(), prompt_tokens, ending })
    }
}

fn read(file: &Path) -> Result<Value, String> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let bytes = std::fs::read(file).map_err(|error| format!("`{name}` cannot be read: {error}"))?;
    serde_json::from_slice(&bytes).map_err(|error| format!("`{name}` is no JSON: {error}"))
}

/// The tokens that a template writes: those that are marked as special, and those with a name in brackets.
fn controls(tokenizer: &Tokenizer) -> HashSet<u32> {
    let is_bracketed = |text: &str| {
        let inner = text.strip_prefix('<').and_then(|text| text.strip_suffix('>'));
        let inner = inner.or_else(|| text.strip_prefix('[').and_then(|text| text.strip_suffix(']')));
        inner.is_some_and(|inner| inner.chars().any(char::is_alphabetic))
    };
    let added = tokenizer.get_added_tokens_decoder();
    added.iter().filter(|(_, token)| token.special || is_bracketed(&token.content)).map(|(id, _)| *id).collect()
}

/// The tokens that end a text, by number in either configuration, or by name in the tokenizer's.
fn ends(tokenizer: &Tokenizer, config: &Value, generation: &Value, settings: &Value) -> Vec<u32> {
    let mut ends = Vec::new();
    for place in [&generation["eos_token_id"], &config["eos_token_id"]] {
        let list = place.as_array().cloned().unwrap_or_else(|| vec![place.clone()]);
        ends.extend(list.iter().filter_map(Value::as_u64).map(|id| id as u32));
    }
    let name = &settings["eos_token"];
    let name = name.as_str().or_else(|| name["content"].as_str());
    ends.extend(name.and_then(|name| tokenizer.token_to_id(name)));
    ends.sort_unstable();
    ends.dedup();
    ends
}

/// Refuses a tokenizer that does not have the tokens that the other files name: those that begin and end a text are there, and
/// no ordinary one is among the ends.
fn of_one_model(tokenizer: &Tokenizer, ends: &[u32], settings: &Value) -> Result<(), String> {
    for place in ["bos_token", "eos_token"] {
        let name = settings[place].as_str().or_else(|| settings[place]["content"].as_str());
        if let Some(name) = name.filter(|name| tokenizer.token_to_id(name).is_none()) {
            return Err(format!(
                "`tokenizer_config.json` names the token `{name}`, which `tokenizer.json` does not have; they are not of one model"
            ));
        }
    }
    let added = tokenizer.get_added_tokens_decoder();
    let mut ordinary = ends.iter().filter(|end| !added.contains_key(end));
    let ordinary = ordinary.find_map(|end| Some((end, tokenizer.id_to_token(*end)?)));
    match ordinary {
        Some((end, token)) => Err(format!(
            "a text ends with token {end}, which is the ordinary `{token}` in `tokenizer.json`; they are not of one model"
        )),
        None => Ok(()),
    }
}

fn fingerprint(files: &[PathBuf], template: &Option<Template>, hashes: &Hashes) -> Result<String, String> {
    let mut hasher = Sha256::new();
    for file in files {
        let hash = hashes.of(file).map_err(|error| format!("`{}` cannot be read: {error}", file.display()))?;
        hasher.update(hash);
    }
    hasher.update(template.as_ref().map_or("", |template| template.source()));
    let digits: String = hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("decoder-v1:{digits}"))
}

/// Devices are chosen as for encoders.
fn gpu_of(device: Device, has_cuda: bool) -> Result<Option<i32>, String> {
    match device {
        Device::Cpu => Ok(None),
        Device::Auto => Ok(has_cuda.then_some(0)),
        Device::Cuda(number) if has_cuda => Ok(Some(number)),
        Device::Cuda(_) => Err("the runtime has no CUDA".into()),
    }
}
