//! A sentence encoder as an ONNX graph, run by the ONNX Runtime.
//!
//! What runs it is in `onnx/`: `devices.rs` goes from a GPU that fails to the CPU, and `graph.rs` is the room of the `ort`
//! crate.
//!
//! The graph takes `input_ids` and whatever else of the usual inputs it declares. Its output is a vector a token, which
//! is pooled here, or a vector a text. Rows are padded at their end and masked, so a text's vector does not depend on
//! those beside it, beyond rounding.

mod devices;
mod graph;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};
use tokenizers::{PostProcessor, Tokenizer, TruncationParams};

use super::engine::{Broken, Compute, Engine, Outcome, Tokens, Watch, lock};
use super::hashes::Hashes;
use super::layout::{Layout, Settings};
use super::tuner::Tuner;
use super::{Document, EmbedError, Embedded, Embedder, Embedding, FailedText};
use crate::runtime;
use devices::Devices;

/// Bytes of a text that are read for each token that is wanted; words are shorter. Bounds the work on huge texts.
const BYTES_A_TOKEN: usize = 64;
/// Texts by which a graph in half precision is compared with the other one.
const SAMPLES: [&str; 3] = ["a", "parse a date from a string", "fn main() { println!(\"hello\"); }"];
/// So many texts do not all fail for reasons of their own.
const MANY: usize = 8;

/// Where to compute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Device {
    /// On a GPU if there is one that works, else on the CPU; also if it fails in mid-run.
    #[default]
    Auto,
    /// On the CPU.
    Cpu,
    /// On the CUDA device with this number, and nowhere else.
    Cuda(i32),
}

impl std::str::FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Device, String> {
        match text.split_once(':') {
            None if text == "auto" => Ok(Device::Auto),
            None if text == "cpu" => Ok(Device::Cpu),
            None if text == "cuda" => Ok(Device::Cuda(0)),
            Some(("cuda", number)) if number.bytes().all(|digit| digit.is_ascii_digit()) => {
                number.parse().map(Device::Cuda).map_err(|_| format!("`{number}` is no number of a device"))
            }
            _ => Err(format!("`{text}` is no device: auto, cpu, cuda or cuda:N")),
        }
    }
}

/// What hears of something that a person should know.
pub type Tell = Arc<dyn Fn(&str) + Send + Sync>;

/// How a model is run. No choice changes a vector beyond rounding.
#[derive(Clone)]
pub struct Options {
    /// Where to compute.
    pub device: Device,
    /// Threads on the CPU; `None` for all cores.
    pub threads: Option<usize>,
    /// Hears of a change of device.
    pub tell: Tell,
}

impl Default for Options {
    fn default() -> Options {
        Options { device: Device::Auto, threads: None, tell: Arc::new(|_| {}) }
    }
}

/// An encoder, ready to run.
pub struct OnnxEncoder {
    name: String,
    layout: Layout,
    tokenizer: Tokenizer,
    fingerprint: String,
    dimension: usize,
    max_tokens: usize,
    probe: Tokens,
    devices: Devices,
    tuner: Mutex<Tuner>,
}

impl fmt::Debug for OnnxEncoder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("OnnxEncoder").field("name", &self.name).field("layout", &self.layout).finish()
    }
}

impl OnnxEncoder {
    /// Reads a model's directory and makes it ready. `given` stands in for what its files do not say.
    ///
    /// # Errors
    /// If a file is missing, damaged or of another model, or if the runtime cannot run the graph.
    pub fn load(
        name: &str,
        directory: &Path,
        given: &Settings,
        library: &Path,
        hashes: &Hashes,
        options: &Options,
    ) -> Result<OnnxEncoder, EmbedError> {
        let layout = Layout::read(directory, given)?;
        let refused = |why: String| EmbedError::Model { directory: directory.to_owned(), why };
        let fingerprint = fingerprint(&layout, hashes).map_err(refused)?;
        let mut tokenizer = tokenizer(&layout.tokenizer, layout.vocabulary_size).map_err(refused)?;
        let runtime = runtime::load(library)?;
        let devices = Devices::open(name, runtime, &layout, options)?;
        let fixed_length = devices.now().fixed_length;
        let max_tokens = fixed_length.map_or(layout.max_tokens, |length| length.min(layout.max_tokens));
        truncate(&mut tokenizer, max_tokens).map_err(refused)?;
        let mut encoder = OnnxEncoder {
            name: name.to_owned(),
            tuner: Mutex::new(Tuner::new(devices.first_batch())),
            layout,
            tokenizer,
            fingerprint,
            dimension: 0,
            max_tokens,
            probe: Vec::new(),
            devices,
        };
        encoder.probe = encoder.tokenise("a").map_err(|why| refused(format!("its tokenizer fails: {why}")))?;
        if encoder.probe.is_empty() {
            return Err(refused("its tokenizer makes nothing of `a`".into()));
        }
        let samples = SAMPLES.map(|text| encoder.tokenise(text)).into_iter().collect::<Result<Vec<_>, _>>();
        let samples = samples.map_err(|why| refused(format!("its tokenizer fails: {why}")))?;
        encoder.devices.compare_half(&samples.iter().map(Vec::as_slice).collect::<Vec<_>>()).map_err(refused)?;
        let vectors = encoder.devices.run(&[&encoder.probe]).or_else(|why| {
            match encoder.devices.move_elsewhere(&encoder.probe, &why) {
                true => encoder.devices.run(&[&encoder.probe]),
                false => Err(why),
            }
        });
        encoder.tuner = Mutex::new(Tuner::new(encoder.devices.first_batch()));
        let width = vectors.map_err(|why| refused(format!("its graph does not run: {why}")))?.swap_remove(0).len();
        encoder.dimension = encoder.layout.dimension.unwrap_or(width);
        if encoder.dimension > width {
            return Err(refused(format!(
                "{} components are asked for, and its graph gives {width}",
                encoder.dimension
            )));
        }
        Ok(encoder)
    }

    /// What its files say.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What it is computed with at present, as in `CPU` or `CUDA 0`.
    pub fn device(&self) -> String {
        self.devices.now().label.clone()
    }

    /// Tokens a batch, as measured so far.
    pub fn batch_tokens(&self) -> usize {
        lock(&self.tuner).best()
    }

    /// Computes batches of so many tokens from now on, whatever is fastest: for comparisons.
    pub fn fix_batch(&self, tokens: usize) {
        *lock(&self.tuner) = Tuner::fixed(tokens);
    }

    /// How many sessions of its graph have been opened; a question alone needs one.
    pub fn sessions(&self) -> usize {
        self.devices.now().sessions.opened()
    }

    /// How many tokens are read of a document, prefix and special tokens included.
    ///
    /// # Errors
    /// If the tokenizer fails.
    pub fn count_tokens(&self, text: &str) -> Result<usize, String> {
        self.tokenise(&format!("{}{text}", self.layout.document_prefix)).map(|tokens| tokens.len())
    }

    fn tokenise(&self, text: &str) -> Result<Tokens, String> {
        let end = text.floor_char_boundary(self.max_tokens.saturating_mul(BYTES_A_TOKEN));
        let lowered;
        let text = if self.layout.lowercase {
            lowered = text[..end].to_lowercase();
            lowered.as_str()
        } else {
            &text[..end]
        };
        self.tokenizer
            .encode_fast(text, true)
            .map(|encoding| encoding.get_ids().to_vec())
            .map_err(|error| format!("its tokenizer fails: {error}"))
    }

    /// `None` if `watch` did not want to go on.
    fn embed(&self, texts: &[&str], watch: Watch<'_>) -> Result<Option<Vec<Outcome>>, EmbedError> {
        let engine = Engine {
            tokenise: &|text| self.tokenise(text),
            compute: &self.devices,
            tuner: &self.tuner,
            probe: &self.probe,
            moves: AtomicUsize::new(0),
        };
        let broken = |why: &str| EmbedError::Compute { model: self.name.clone(), why: why.to_owned() };
        let Some(outcomes) = engine.run(texts, watch).map_err(|Broken(why)| broken(&why))? else { return Ok(None) };
        // Where all of many texts fail, it is not because of the texts.
        match outcomes.first() {
            Some(Err(why)) if outcomes.len() >= MANY && outcomes.iter().all(Result::is_err) => Err(broken(why)),
            _ => Ok(Some(outcomes)),
        }
    }

    /// The unit vector of what was pooled, cut to the dimension. A text without tokens has a vector of zeros.
    fn embedding(&self, mut pooled: Vec<f32>) -> Embedding {
        pooled.resize(self.dimension, 0.0);
        Embedding::from_sum(pooled)
    }
}

impl Embedder for OnnxEncoder {
    fn name(&self) -> &str {
        &self.name
    }

    fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    fn dimension(&self) -> usize {
        self.dimension
    }

    fn max_tokens(&self) -> Option<usize> {
        Some(self.max_tokens)
    }

    /// The text alone; a name is part of most texts, and is not said twice.
    fn documents(&self, documents: &[Document<'_>]) -> Result<Embedded, EmbedError> {
        Ok(self.documents_while(documents, &|_| true)?.expect("because it was to go on"))
    }

    fn documents_while(
        &self,
        documents: &[Document<'_>],
        goes_on: &(dyn Fn(usize) -> bool + Sync),
    ) -> Result<Option<Embedded>, EmbedError> {
        let prefix = &self.layout.document_prefix;
        let prefixed: Vec<String> = match prefix.is_empty() {
            true => Vec::new(),
            false => documents.iter().map(|document| format!("{prefix}{}", document.text)).collect(),
        };
        let texts: Vec<&str> = match prefix.is_empty() {
            true => documents.iter().map(|document| document.text).collect(),
            false => prefixed.iter().map(String::as_str).collect(),
        };
        let Some(outcomes) = self.embed(&texts, goes_on)? else { return Ok(None) };
        let mut embedded = Embedded::default();
        for (at, outcome) in outcomes.into_iter().enumerate() {
            let pooled = outcome.unwrap_or_else(|why| {
                embedded.failed.push(FailedText { at, why });
                Vec::new()
            });
            embedded.embeddings.push(self.embedding(pooled));
        }
        Ok(Some(embedded))
    }

    fn query(&self, text: &str) -> Result<Embedding, EmbedError> {
        let prefixed = format!("{}{text}", self.layout.query_prefix);
        let outcome = self.embed(&[&prefixed], &|_| true)?.expect("because it was to go on").swap_remove(0);
        outcome
            .map(|pooled| self.embedding(pooled))
            .map_err(|why| EmbedError::Compute { model: self.name.clone(), why })
    }

    fn header(&self, _: &str) -> Option<Vec<f32>> {
        None
    }
}

/// `v1` is the computation in this crate: another rule here needs another number.
///
/// The graph in half precision is left out, so that a store can be made on a GPU and asked on a CPU, and whether or not
/// that graph is here: it is used only if its vectors are those of the other one ([`Devices::compare_half`]).
fn fingerprint(layout: &Layout, hashes: &Hashes) -> Result<String, String> {
    let mut hasher = Sha256::new();
    hasher.update(layout.recipe());
    let mut files = vec![layout.tokenizer.clone(), layout.graph.clone()];
    files.extend(weights_of(&layout.graph));
    for file in files {
        let hash = hashes.of(&file).map_err(|error| format!("`{}` cannot be read: {error}", file.display()))?;
        hasher.update(hash);
    }
    let digits: String = hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("onnx-v1:{digits}"))
}

/// Files with the weights of a graph that does not hold them itself: `model.onnx_data` beside `model.onnx`.
pub(crate) fn weights_of(graph: &Path) -> Vec<PathBuf> {
    let (Some(folder), Some(name)) = (graph.parent(), graph.file_name().and_then(|name| name.to_str())) else {
        return Vec::new();
    };
    let is_weights = |path: &PathBuf| {
        let other = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        other.strip_prefix(name).is_some_and(|rest| rest.starts_with(['_', '.']))
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_weights).collect();
    files.sort();
    files
}

/// A tokenizer whose ids all have a row in the model's table.
pub(super) fn tokenizer(file: &Path, rows: Option<usize>) -> Result<Tokenizer, String> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let mut tokenizer =
        Tokenizer::from_file(file).map_err(|error| format!("`{name}` is not a readable tokenizer: {error}"))?;
    tokenizer.with_padding(None);
    let largest = tokenizer.get_vocab(true).into_values().max();
    match (largest, rows) {
        (Some(largest), Some(rows)) if largest as usize >= rows => Err(format!(
            "`{name}` has tokens up to number {largest}, and the model has rows for {rows}; they are not of one model"
        )),
        _ => Ok(tokenizer),
    }
}

fn truncate(tokenizer: &mut Tokenizer, max_tokens: usize) -> Result<(), String> {
    let special = tokenizer.get_post_processor().map_or(0, |processor| processor.added_tokens(false));
    if max_tokens <= special {
        return Err(format!("it reads {max_tokens} tokens of a text, and {special} special ones take the room"));
    }
    let params = TruncationParams { max_length: max_tokens, ..TruncationParams::default() };
    tokenizer.with_truncation(Some(params)).map_err(|error| error.to_string()).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named_as_elsewhere() {
        let device = |text: &str| text.parse::<Device>();
        assert_eq!(device("auto"), Ok(Device::Auto));
        assert_eq!(device("cpu"), Ok(Device::Cpu));
        assert_eq!(device("cuda"), Ok(Device::Cuda(0)));
        assert_eq!(device("cuda:3"), Ok(Device::Cuda(3)));
        for wrong in ["gpu", "cuda:", "cuda:-1", "cuda:x", "cpu:0", "CUDA"] {
            assert!(device(wrong).is_err(), "{wrong}");
        }
    }
}
