//! A sentence encoder as an ONNX graph, run by the ONNX Runtime.
//!
//! With `model/src/runtime.rs` this is the only room of the `ort` crate, and the only one of `tokenizers` beside
//! `static_model.rs`.
//!
//! The graph takes `input_ids` and whatever else of the usual inputs it declares. Its output is a vector a token, which
//! is pooled here, or a vector a text. Rows are padded at their end and masked, so a text's vector does not depend on
//! those beside it, beyond rounding.

use std::fmt;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Condvar, Mutex, OnceLock, RwLock};

use half::f16;
use half::slice::HalfFloatSliceExt as _;
use ort::ep::ExecutionProviderDispatch;
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::{DynTensor, DynValue, Shape, Tensor, TensorElementType, ValueType};
use sha2::{Digest, Sha256};
use tokenizers::{PostProcessor, Tokenizer, TruncationParams};

use super::engine::{Broken, Compute, Engine, Outcome, Tokens, Watch, lock};
use super::hashes::Hashes;
use super::layout::{Layout, Pooling, Settings};
use super::tuner::Tuner;
use super::{Document, EmbedError, Embedded, Embedder, Embedding, FailedText};
use crate::runtime::{self, Runtime};

/// Bytes of a text that are read for each token that is wanted; words are shorter. Bounds the work on huge texts.
const BYTES_A_TOKEN: usize = 64;
/// A graph that is smaller gets sessions on as many cores as there is work for, which share nothing and never wait for each
/// other; a larger one gets one session with a thread for each core, since each session holds the weights.
const SHARED_GRAPH_BYTES: u64 = 256 << 20;
/// What the weights of all sessions on the CPU may take.
const SESSIONS_BYTES: u64 = 1 << 30;
/// Tokens a batch where measurement starts.
const FIRST_BATCH_CPU: usize = 1024;
const FIRST_BATCH_CUDA: usize = 16_384;
/// Texts × longest² of a batch on the CPU, where too little memory ends the process and is no error: with twelve heads
/// 800 MB. A GPU says that it has too little, and batches become smaller then.
const ROOM_CPU: usize = 1 << 24;
/// How near the vectors of the graph in half precision must be to those of the other one. Rounding keeps them within
/// .999; those of another model are far away.
const HALF_NEAR: f32 = 0.99;
/// Texts by which the two are compared.
const SAMPLES: [&str; 3] = ["a", "parse a date from a string", "fn main() { println!(\"hello\"); }"];
/// So many texts do not all fail for reasons of their own.
const MANY: usize = 8;
/// Batches in work on a GPU: one in each session, the others are being prepared or pooled.
const GPU_WORKERS: usize = 5;
/// Sessions on a GPU, each with a stream of its own: while one waits for the host, the other computes. Each holds the
/// weights, so a graph that is larger than this has one.
const GPU_SESSIONS: usize = 2;
const GPU_SHARED_GRAPH_BYTES: u64 = 1 << 30;

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

/// The device in use, and how to get to the other one.
struct Devices {
    now: RwLock<Arc<Graph>>,
    /// The graph on the CPU, opened when a GPU first needs it.
    other: OnceLock<Result<Arc<Graph>, String>>,
    name: String,
    runtime: &'static Runtime,
    layout: Layout,
    options: Options,
}

impl Devices {
    fn open(name: &str, runtime: &'static Runtime, layout: &Layout, options: &Options) -> Result<Devices, EmbedError> {
        let refused = |why: String| EmbedError::Model { directory: layout.directory.clone(), why };
        let has_cuda = runtime.providers.contains(&"CUDA");
        let on_gpu = match options.device {
            Device::Cpu => None,
            Device::Auto if !has_cuda => None,
            Device::Auto => match Graph::open(runtime, layout, Some((0, Precision::Best)), options) {
                Ok(graph) => Some(graph),
                Err(why) => {
                    (options.tell)(&format!("the GPU cannot be used ({why}); `{name}` runs on the CPU"));
                    None
                }
            },
            Device::Cuda(number) if has_cuda => {
                let gpu = Some((number, Precision::Best));
                Some(Graph::open(runtime, layout, gpu, options).map_err(|why| EmbedError::Compute {
                    model: name.to_owned(),
                    why: format!("CUDA {number}: {why}"),
                })?)
            }
            Device::Cuda(_) => {
                let why = "it has no CUDA; install one that has with: precedent runtime install --cuda".into();
                return Err(EmbedError::Runtime { path: runtime.path.clone(), why });
            }
        };
        let graph = match on_gpu {
            Some(graph) => graph,
            None => Graph::open(runtime, layout, None, options).map_err(refused)?,
        };
        Ok(Devices {
            now: RwLock::new(Arc::new(graph)),
            other: OnceLock::new(),
            name: name.to_owned(),
            runtime,
            layout: layout.clone(),
            options: options.clone(),
        })
    }

    fn now(&self) -> Arc<Graph> {
        self.now.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

impl Devices {
    /// Compares a graph in half precision, where one is used, with the other one. If its vectors are not those, that is
    /// said, and the other graph is used on the same device.
    fn compare_half(&self, batch: &[&[u32]]) -> Result<(), String> {
        let now = self.now();
        let (Some(half), Some(number)) = (self.layout.half_graph.as_ref().filter(|_| now.is_half), now.gpu) else {
            return Ok(());
        };
        let whole = Graph::open(self.runtime, &self.layout, None, &self.options)?;
        let Err(why) = near(&now, &whole, batch) else { return Ok(()) };
        let file = half.file_name().unwrap_or_default().to_string_lossy();
        (self.options.tell)(&format!("`{file}` of `{}` is not used: {why}", self.name));
        let graph = Graph::open(self.runtime, &self.layout, Some((number, Precision::Single)), &self.options)?;
        *self.now.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(graph);
        Ok(())
    }

    fn other(&self) -> Result<Arc<Graph>, String> {
        let open = || Graph::open(self.runtime, &self.layout, None, &self.options).map(Arc::new);
        let opened = self.other.get_or_init(|| {
            open().inspect_err(|why| {
                (self.options.tell)(&format!("`{}` cannot be run on the CPU in place of the GPU: {why}", self.name));
            })
        });
        opened.clone()
    }
}

/// Whether two graphs give the same vectors, beyond rounding, and what differs.
fn near(one: &Graph, two: &Graph, batch: &[&[u32]]) -> Result<(), String> {
    let (ones, twos) = (one.run(batch)?, two.run(batch)?);
    for (one, two) in ones.iter().zip(&twos) {
        if one.len() != two.len() {
            return Err(format!("it gives {} components, and the graph in full precision {}", one.len(), two.len()));
        }
        let dot = |one: &[f32], two: &[f32]| one.iter().zip(two).map(|(x, y)| x * y).sum::<f32>();
        let cosine = dot(one, two) / (dot(one, one) * dot(two, two)).sqrt();
        if cosine.is_nan() || cosine < HALF_NEAR {
            return Err(format!(
                "a vector of it has a cosine of {cosine:.3} with that of the graph in full precision; they are not of one model"
            ));
        }
    }
    Ok(())
}

impl Compute for Devices {
    fn run(&self, batch: &[&[u32]]) -> Result<Vec<Vec<f32>>, String> {
        self.now().run(batch)
    }

    fn run_elsewhere(&self, batch: &[&[u32]]) -> Option<Result<Vec<Vec<f32>>, String>> {
        if self.options.device != Device::Auto || self.now().gpu.is_none() {
            return None;
        }
        Some(self.other().ok()?.run(batch))
    }

    fn move_elsewhere(&self, probe: &[u32], why: &str) -> bool {
        if self.options.device != Device::Auto {
            return false;
        }
        // Held while the other device is tried, so that only one worker changes it.
        let mut now = self.now.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if now.gpu.is_none() {
            // Another worker has been here first, or there is no other device.
            return now.run(&[probe]).is_ok();
        }
        let Ok(graph) = self.other() else { return false };
        let works = graph.run(&[probe]).is_ok();
        if works {
            (self.options.tell)(&format!("the GPU has failed ({why}); `{}` goes on with the CPU", self.name));
            *now = graph;
        }
        works
    }

    fn workers(&self) -> usize {
        let now = self.now();
        if now.gpu.is_some() { GPU_WORKERS } else { now.sessions.most }
    }

    fn first_batch(&self) -> usize {
        if self.now().gpu.is_some() { FIRST_BATCH_CUDA } else { FIRST_BATCH_CPU }
    }

    fn room(&self) -> usize {
        if self.now().gpu.is_some() { usize::MAX } else { ROOM_CPU }
    }
}

/// One input of a graph.
struct Input {
    name: String,
    kind: InputKind,
    is_wide: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum InputKind {
    Ids,
    Mask,
    Types,
    Positions,
    /// Keys or values of earlier tokens, of which there are none: heads and components of each.
    Past {
        shape: Vec<i64>,
        ty: TensorElementType,
    },
}

/// What a graph gives.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Output {
    /// A vector a token.
    Tokens(String),
    /// A vector a text.
    Texts(String),
}

impl Output {
    fn name(&self) -> &str {
        let (Output::Tokens(name) | Output::Texts(name)) = self;
        name
    }
}

/// Sessions of one graph, opened as they are needed.
struct Sessions {
    idle: Mutex<Idle>,
    freed: Condvar,
    open: Box<dyn Fn() -> Result<Session, String> + Send + Sync>,
    most: usize,
}

struct Idle {
    sessions: Vec<Session>,
    opened: usize,
    /// Less than all if one could not be opened.
    most: usize,
}

/// A session that nobody else uses; it goes back when this is dropped.
struct Taken<'a> {
    session: Option<Session>,
    sessions: &'a Sessions,
}

impl Sessions {
    fn new(first: Session, most: usize, open: Box<dyn Fn() -> Result<Session, String> + Send + Sync>) -> Sessions {
        let idle = Idle { sessions: vec![first], opened: 1, most };
        Sessions { idle: Mutex::new(idle), freed: Condvar::new(), open, most }
    }

    fn opened(&self) -> usize {
        lock(&self.idle).opened
    }

    /// One that is idle, or a new one, or the next that becomes idle.
    fn take(&self) -> Taken<'_> {
        let mut idle = lock(&self.idle);
        loop {
            if let Some(session) = idle.sessions.pop() {
                return Taken { session: Some(session), sessions: self };
            }
            if idle.opened < idle.most {
                idle.opened += 1;
                drop(idle);
                let opened = (self.open)();
                idle = lock(&self.idle);
                match opened {
                    Ok(session) => return Taken { session: Some(session), sessions: self },
                    // There is at least one, which will do.
                    Err(_) => {
                        idle.opened -= 1;
                        idle.most = idle.opened;
                    }
                }
            } else {
                idle = self.freed.wait(idle).unwrap_or_else(std::sync::PoisonError::into_inner);
            }
        }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        lock(&self.sessions.idle).sessions.extend(self.session.take());
        self.sessions.freed.notify_one();
    }
}

/// Which of a model's graphs a GPU gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Precision {
    /// Half where there is one.
    Best,
    Single,
}

/// A graph on a device.
struct Graph {
    sessions: Sessions,
    inputs: Vec<Input>,
    output: Output,
    pooling: Pooling,
    dimension: Option<usize>,
    hidden_size: Option<usize>,
    fixed_rows: Option<usize>,
    fixed_length: Option<usize>,
    /// The number of the CUDA device; `None` on the CPU.
    gpu: Option<i32>,
    is_half: bool,
    label: String,
}

impl Graph {
    fn open(
        runtime: &'static Runtime,
        layout: &Layout,
        gpu: Option<(i32, Precision)>,
        options: &Options,
    ) -> Result<Graph, String> {
        let half = layout.half_graph.as_ref().filter(|_| gpu.is_some_and(|(_, wanted)| wanted == Precision::Best));
        let file = half.unwrap_or(&layout.graph).clone();
        let (is_half, gpu) = (half.is_some(), gpu.map(|(number, _)| number));
        let cores = options.threads.or_else(|| std::thread::available_parallelism().ok().map(NonZero::get));
        let bytes = std::iter::once(file.clone())
            .chain(weights_of(&file))
            .filter_map(|file| Some(file.metadata().ok()?.len()))
            .sum::<u64>();
        let (most, threads) = match gpu {
            Some(_) if bytes <= GPU_SHARED_GRAPH_BYTES => (GPU_SESSIONS, 1),
            Some(_) => (1, 1),
            None => sessions_and_threads(cores.unwrap_or(1), bytes),
        };
        let open = move || session(runtime, &file, gpu, threads);
        let first = open()?;
        let inputs: Vec<Input> =
            first.inputs().iter().map(|input| input_of(input.name(), input.dtype())).collect::<Result<_, _>>()?;
        let Some(ids) = inputs.iter().position(|input| input.kind == InputKind::Ids) else {
            return Err(format!("the graph has no input `input_ids`; it has {}", names(first.inputs())));
        };
        let axes: Vec<i64> = match first.inputs()[ids].dtype() {
            ValueType::Tensor { shape, .. } => shape.to_vec(),
            _ => Vec::new(),
        };
        let fixed = |at: usize| axes.get(at).copied().filter(|axis| *axis > 0).map(|axis| axis as usize);
        Ok(Graph {
            inputs,
            output: output_of(&first, layout.is_pooling_chosen)?,
            pooling: layout.pooling,
            dimension: layout.dimension,
            hidden_size: layout.hidden_size,
            fixed_rows: fixed(0),
            fixed_length: fixed(1),
            gpu,
            is_half,
            label: gpu.map_or_else(|| "CPU".to_owned(), |number| format!("CUDA {number}")),
            sessions: Sessions::new(first, most, Box::new(open)),
        })
    }

    fn run(&self, batch: &[&[u32]]) -> Result<Vec<Vec<f32>>, String> {
        let at_once = self.fixed_rows.unwrap_or(batch.len()).max(1);
        let mut vectors = Vec::with_capacity(batch.len());
        for part in batch.chunks(at_once) {
            vectors.extend(self.run_part(part, at_once)?);
        }
        Ok(vectors)
    }

    /// Runs as many texts as the graph takes; the rows that are missing are padding.
    fn run_part(&self, batch: &[&[u32]], rows: usize) -> Result<Vec<Vec<f32>>, String> {
        let longest = batch.iter().map(|row| row.len()).max().unwrap_or(0);
        let length = self.fixed_length.unwrap_or(longest);
        if longest > length {
            return Err(format!("the graph takes {length} tokens, and a text has {longest}"));
        }
        let inputs: Vec<(&str, DynTensor)> = self
            .inputs
            .iter()
            .map(|input| Ok((input.name.as_str(), tensor(input, batch, rows, length)?)))
            .collect::<Result<_, String>>()?;
        let output = self.compute(&inputs)?;
        let (shape, values) = floats(&output)?;
        let lengths = batch.iter().map(|row| row.len());
        match (&self.output, &shape[..]) {
            (Output::Tokens(_), &[found, tokens, width]) if found as usize == rows && tokens as usize == length => {
                let width = self.check_width(width as usize)?;
                let row = |(at, tokens): (usize, usize)| {
                    let start = at * length * width;
                    values.range(start, start + tokens * width, |rows| self.pooling.pool(rows, width))
                };
                Ok(lengths.enumerate().map(row).map(|vector| self.cut(vector)).collect())
            }
            (Output::Texts(_), &[found, width]) if found as usize == rows => {
                let width = width as usize;
                let row = |at: usize| values.range(at * width, (at + 1) * width, <[f32]>::to_vec);
                Ok((0..batch.len()).map(row).map(|vector| self.cut(vector)).collect())
            }
            _ => Err(format!(
                "the output `{}` has shape {:?} for {rows} texts of {length} tokens",
                self.output.name(),
                &shape[..]
            )),
        }
    }

    fn check_width(&self, width: usize) -> Result<usize, String> {
        match self.hidden_size {
            Some(expected) if expected != width => Err(format!(
                "the graph gives {width} components a token, and `config.json` says {expected}; they are not of one model"
            )),
            _ => Ok(width),
        }
    }

    fn cut(&self, mut vector: Vec<f32>) -> Vec<f32> {
        // Too few components are found out when the model is loaded.
        vector.truncate(self.dimension.unwrap_or(vector.len()));
        vector
    }

    /// Binds the inputs and the one output that is wanted, so that no other is computed or copied.
    fn compute(&self, inputs: &[(&str, DynTensor)]) -> Result<DynValue, String> {
        let compute = |session: &mut Session| -> ort::Result<DynValue> {
            let mut binding = session.create_binding()?;
            for (name, tensor) in inputs {
                binding.bind_input(*name, tensor)?;
            }
            let memory = if self.gpu.is_some() {
                MemoryInfo::new(AllocationDevice::CUDA_PINNED, 0, AllocatorType::Device, MemoryType::CPUOutput)?
            } else {
                MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, MemoryType::Default)?
            };
            binding.bind_output_to_device(self.output.name(), &memory)?;
            let mut outputs = session.run_binding(&binding)?;
            binding.synchronize_outputs()?;
            outputs.remove(self.output.name()).ok_or_else(|| ort::Error::new("the output is missing"))
        };
        let mut taken = self.sessions.take();
        let session = taken.session.as_mut().expect("because it is there until it goes back");
        compute(session).map_err(|error| first_line(error.message()))
    }
}

/// How many sessions a graph of so many bytes gets on this many cores, and how many threads each has.
fn sessions_and_threads(cores: usize, bytes: u64) -> (usize, usize) {
    let cores = cores.max(1);
    if bytes > SHARED_GRAPH_BYTES {
        return (1, cores);
    }
    let most = usize::try_from(SESSIONS_BYTES / bytes.max(1)).unwrap_or(usize::MAX);
    let threads = cores.div_ceil(most.min(cores));
    (cores / threads, threads)
}

fn session(runtime: &'static Runtime, file: &Path, gpu: Option<i32>, threads: usize) -> Result<Session, String> {
    let build = || -> ort::Result<Session> {
        let mut builder = Session::builder(&runtime.environment)?
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_intra_threads(threads)?
            .with_memory_pattern(false)?;
        if let Some(number) = gpu {
            let cuda: ExecutionProviderDispatch =
                ort::ep::CUDA::default().with_device_id(number).with_tf32(false).build();
            builder = builder.with_execution_providers([cuda.error_on_failure()])?;
        }
        builder.commit_from_file(file)
    };
    build().map_err(|error| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        format!("the runtime cannot open `{name}`: {}", first_line(error.message()))
    })
}

fn first_line(message: &str) -> String {
    message.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("the runtime does not say why").to_owned()
}

fn names(outlets: &[ort::value::Outlet]) -> String {
    let names: Vec<String> = outlets.iter().map(|outlet| format!("`{}`", outlet.name())).collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

fn input_of(name: &str, ty: &ValueType) -> Result<Input, String> {
    let ValueType::Tensor { ty, shape, .. } = ty else {
        return Err(format!("the graph's input `{name}` is no tensor"));
    };
    let kind = match name {
        "input_ids" => InputKind::Ids,
        "attention_mask" => InputKind::Mask,
        "token_type_ids" => InputKind::Types,
        "position_ids" => InputKind::Positions,
        _ if name.starts_with("past_key_values.") && shape.len() == 4 && shape[1] > 0 && shape[3] > 0 => {
            InputKind::Past { shape: shape.to_vec(), ty: *ty }
        }
        _ => {
            return Err(format!(
                "the graph asks for an input `{name}`; known are input_ids, attention_mask, token_type_ids, position_ids"
            ));
        }
    };
    let is_wide = match (&kind, ty) {
        (InputKind::Past { .. }, TensorElementType::Float32 | TensorElementType::Float16) => true,
        (InputKind::Past { .. }, _) => return Err(format!("the graph's input `{name}` holds {ty}")),
        (_, TensorElementType::Int64) => true,
        (_, TensorElementType::Int32) => false,
        _ => return Err(format!("the graph's input `{name}` holds {ty}, expected int64 or int32")),
    };
    Ok(Input { name: name.to_owned(), kind, is_wide })
}

/// What the exporters name `sentence_embedding` is pooled already, and is left aside only if a pooling was chosen by hand and
/// there is something to pool. A `pooler_output` is not what such models are used by.
fn output_of(session: &Session, is_pooling_chosen: bool) -> Result<Output, String> {
    let rank = |ty: &ValueType| match ty {
        ValueType::Tensor { ty: TensorElementType::Float32 | TensorElementType::Float16, shape, .. } => shape.len(),
        _ => 0,
    };
    let named = |name: &str, wanted: usize| {
        session.outputs().iter().find(|output| output.name() == name && rank(output.dtype()) == wanted)
    };
    let by_name = named("last_hidden_state", 3).or_else(|| named("token_embeddings", 3));
    let tokens = by_name.or_else(|| session.outputs().iter().find(|output| rank(output.dtype()) == 3));
    let texts = named("sentence_embedding", 2).filter(|_| !is_pooling_chosen || tokens.is_none());
    if let Some(output) = texts {
        return Ok(Output::Texts(output.name().to_owned()));
    }
    if let Some(output) = tokens {
        return Ok(Output::Tokens(output.name().to_owned()));
    }
    match session.outputs() {
        [output] if rank(output.dtype()) == 2 => Ok(Output::Texts(output.name().to_owned())),
        outputs => Err(format!(
            "the graph has no output with a vector a token, or one vector a text; it has {}",
            names(outputs)
        )),
    }
}

fn tensor(input: &Input, batch: &[&[u32]], rows: usize, length: usize) -> Result<DynTensor, String> {
    let message = |error: ort::Error| first_line(error.message());
    if let InputKind::Past { shape, ty } = &input.kind {
        let shape = [rows as i64, shape[1], 0, shape[3]];
        return DynTensor::new(&ort::memory::Allocator::default(), *ty, shape).map_err(message);
    }
    let mut values = vec![0i64; rows * length];
    for (row, tokens) in values.chunks_exact_mut(length.max(1)).zip(batch) {
        for (at, (value, token)) in row.iter_mut().zip(tokens.iter()).enumerate() {
            *value = match input.kind {
                InputKind::Ids => i64::from(*token),
                InputKind::Mask => 1,
                InputKind::Positions => at as i64,
                InputKind::Types | InputKind::Past { .. } => 0,
            };
        }
    }
    // Some graphs divide by the number of tokens of a row, so rows that only fill up have one.
    if input.kind == InputKind::Mask {
        values.chunks_exact_mut(length.max(1)).skip(batch.len()).for_each(|row| row[0] = 1);
    }
    let shape = [rows as i64, length as i64];
    if input.is_wide {
        Tensor::from_array((shape, values)).map(Tensor::upcast).map_err(message)
    } else {
        // Token numbers are below 2^31, for they are rows of a table.
        let values: Vec<i32> = values.into_iter().map(|value| value as i32).collect();
        Tensor::from_array((shape, values)).map(Tensor::upcast).map_err(message)
    }
}

/// Values of either precision.
enum Floats<'a> {
    Single(&'a [f32]),
    Half(&'a [f16]),
}

impl Floats<'_> {
    fn range<T>(&self, start: usize, end: usize, work: impl FnOnce(&[f32]) -> T) -> T {
        match self {
            Floats::Single(values) => work(&values[start..end]),
            Floats::Half(values) => {
                let mut single = vec![0.0; end - start];
                values[start..end].convert_to_f32_slice(&mut single);
                work(&single)
            }
        }
    }
}

fn floats(value: &DynValue) -> Result<(&Shape, Floats<'_>), String> {
    if let Ok((shape, values)) = value.try_extract_tensor::<f32>() {
        return Ok((shape, Floats::Single(values)));
    }
    let (shape, values) = value.try_extract_tensor::<f16>().map_err(|error| first_line(error.message()))?;
    Ok((shape, Floats::Half(values)))
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

    #[test]
    fn sessions_take_the_cores_and_no_more_than_their_share_of_memory() {
        for (cores, megabytes, expected) in [
            (0, 90, (1, 1)),
            (2, 90, (2, 1)),
            (16, 90, (8, 2)),
            (64, 90, (10, 6)),
            (4, 0, (4, 1)),
            (16, 250, (4, 4)),
            (16, 300, (1, 16)),
        ] {
            assert_eq!(sessions_and_threads(cores, megabytes << 20), expected, "{cores} and {megabytes}");
        }
    }

    fn models() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/models")
    }

    /// The runtime that `model/tests/onnx.rs` finds too; `None` where there is none and none is required.
    fn runtime() -> Option<&'static Runtime> {
        let places = runtime::RuntimePlaces {
            named: std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from),
            installed: Some(models().join("../../target/test-data/runtime")),
            beside: None,
        };
        let found = places.find();
        assert!(found.is_some() || std::env::var_os("PRECEDENT_REQUIRE_RUNTIME").is_none(), "a runtime is required");
        if found.is_none() {
            let _ = std::io::Write::write_all(&mut std::io::stderr(), b"NOT CHECKED: there is no ONNX Runtime\n");
        }
        found.map(|(path, _)| runtime::load(&path).expect("a runtime"))
    }

    /// The tiny BERT with a graph of `odd`.
    fn layout(graph: &str) -> Layout {
        let layout = Layout::read(&models().join("bert"), &Settings::default()).expect("a layout");
        let graph = models().join("odd").join(format!("{graph}.onnx"));
        Layout { graph, hidden_size: None, vocabulary_size: None, ..layout }
    }

    fn graph(runtime: &'static Runtime, name: &str) -> Graph {
        Graph::open(runtime, &layout(name), None, &Options::default()).expect("a graph")
    }

    #[test]
    fn what_a_gpu_cannot_do_the_cpu_does_where_it_may() {
        let Some(runtime) = runtime() else { return };
        let heard = Arc::new(Mutex::new(Vec::new()));
        // What is taken for a GPU is a graph that takes eight tokens.
        let devices = |device: Device, other: &str| {
            let (mut lost, heard) = (graph(runtime, "fixed"), heard.clone());
            lost.gpu = Some(0);
            let tell: Tell = Arc::new(move |text| lock(&heard).push(text.to_owned()));
            Devices {
                now: RwLock::new(Arc::new(lost)),
                other: OnceLock::new(),
                name: "tiny".into(),
                runtime,
                layout: layout(other),
                options: Options { device, threads: Some(2), tell },
            }
        };
        let text: &[u32] = &[2, 10, 11, 12, 13, 14, 15, 16, 17, 3];
        let expected = graph(runtime, "plain").run(&[text]).expect("vectors");

        let auto = devices(Device::Auto, "plain");
        assert!(auto.run(&[text]).is_err());
        assert_eq!((auto.workers(), auto.first_batch(), auto.room()), (GPU_WORKERS, FIRST_BATCH_CUDA, usize::MAX));
        assert_eq!(auto.run_elsewhere(&[text]), Some(Ok(expected.clone())));
        assert!(auto.run(&[text]).is_err(), "one text elsewhere moves nothing");
        assert!(lock(&heard).is_empty());
        assert!(auto.move_elsewhere(text, "it is gone") && auto.move_elsewhere(text, "it is gone"));
        assert_eq!(*lock(&heard), ["the GPU has failed (it is gone); `tiny` goes on with the CPU"]);
        assert_eq!(auto.run(&[text]), Ok(expected));
        assert_eq!((auto.workers(), auto.first_batch(), auto.room()), (2, FIRST_BATCH_CPU, ROOM_CPU));
        assert_eq!(auto.run_elsewhere(&[text]), None);

        let named = devices(Device::Cuda(0), "plain");
        assert_eq!((named.run_elsewhere(&[text]), named.move_elsewhere(text, "it is gone")), (None, false));

        lock(&heard).clear();
        let broken = devices(Device::Auto, "no-such-graph");
        assert_eq!((broken.run_elsewhere(&[text]), broken.move_elsewhere(text, "it is gone")), (None, false));
        let heard = lock(&heard);
        assert_eq!(heard.len(), 1, "{heard:?}");
        assert!(
            heard[0].contains("cannot be run on the CPU in place of the GPU: the runtime cannot open"),
            "{heard:?}"
        );
    }

    #[test]
    fn a_graph_of_another_model_is_told_from_one_in_half_precision() {
        let Some(runtime) = runtime() else { return };
        let texts: [&[u32]; 2] = [&[2, 10, 3], &[2, 12, 13, 14, 3]];
        // `narrow` is the same in half precision, and `broken` has other rows for two tokens.
        let plain = graph(runtime, "plain");
        assert_eq!(near(&graph(runtime, "narrow"), &plain, &texts), Ok(()));
        let why = near(&graph(runtime, "broken"), &plain, &texts).expect_err("another model");
        assert!(why.contains("they are not of one model"), "{why}");
        let bert = Layout::read(&models().join("bert"), &Settings::default()).expect("a layout");
        let bert = Graph::open(runtime, &bert, None, &Options::default()).expect("a graph");
        let why = near(&bert, &plain, &texts).expect_err("another model");
        assert!(why.contains("it gives 32 components, and the graph in full precision 4"), "{why}");
        // A row that a graph has no room for is an error and no panic.
        let why = graph(runtime, "fixed").run(&[&[2, 10, 10, 10, 10, 10, 10, 10, 3]]).expect_err("too long");
        assert!(why.contains("takes 8 tokens, and a text has 9"), "{why}");
    }
}
