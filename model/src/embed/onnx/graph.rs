//! Graph: a graph on a device, from tokens to vectors, with as many sessions as its work is worth.

use std::num::NonZero;
use std::path::Path;
use std::sync::{Condvar, Mutex};

use half::f16;
use half::slice::HalfFloatSliceExt as _;
use ort::ep::ExecutionProviderDispatch;
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::{DynTensor, DynValue, Shape, Tensor, TensorElementType, ValueType};

use super::{Options, weights_of};
use crate::embed::engine::lock;
use crate::embed::layout::{Layout, Pooling};
use crate::runtime::Runtime;

/// A graph that is smaller gets sessions on as many cores as there is work for, which share nothing and never wait for each
/// other; a larger one gets one session with a thread for each core, since each session holds the weights.
const SHARED_GRAPH_BYTES: u64 = 256 << 20;
/// What the weights of all sessions on the CPU may take.
const SESSIONS_BYTES: u64 = 1 << 30;
/// Sessions on a GPU, each with a stream of its own: while one waits for the host, the other computes. Each holds the
/// weights, so a graph that is larger than this has one.
const GPU_SESSIONS: usize = 2;
const GPU_SHARED_GRAPH_BYTES: u64 = 1 << 30;

/// Sums of layers and their normalisation are two kernels on the CPU, since the one that the runtime makes of them takes longer
/// than both.
const NOT_FUSED_ON_CPU: (&str, &str) = ("optimization.disable_specified_optimizers", "SkipLayerNormFusion");

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
pub(super) struct Sessions {
    idle: Mutex<Idle>,
    freed: Condvar,
    open: Box<dyn Fn() -> Result<Session, String> + Send + Sync>,
    pub(super) most: usize,
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

    pub(super) fn opened(&self) -> usize {
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
pub(super) enum Precision {
    /// Half where there is one.
    Best,
    Single,
}

/// A graph on a device.
pub(super) struct Graph {
    pub(super) sessions: Sessions,
    /// Threads of one session.
    pub(super) threads: usize,
    inputs: Vec<Input>,
    output: Output,
    pooling: Pooling,
    dimension: Option<usize>,
    hidden_size: Option<usize>,
    fixed_rows: Option<usize>,
    pub(super) fixed_length: Option<usize>,
    /// The number of the CUDA device; `None` on the CPU.
    pub(super) gpu: Option<i32>,
    pub(super) is_half: bool,
    pub(super) label: String,
}

impl Graph {
    pub(super) fn open(
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
            threads,
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

    pub(super) fn run(&self, batch: &[&[u32]]) -> Result<Vec<Vec<f32>>, String> {
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
    let opened = builder(runtime, gpu, threads).and_then(|mut builder| builder.commit_from_file(file));
    opened.map_err(|error| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        format!("the runtime cannot open `{name}`: {}", first_line(error.message()))
    })
}

fn builder(runtime: &'static Runtime, gpu: Option<i32>, threads: usize) -> ort::Result<SessionBuilder> {
    let builder = Session::builder(&runtime.environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(threads)?
        .with_memory_pattern(false)?;
    Ok(match gpu {
        Some(number) => {
            let cuda: ExecutionProviderDispatch =
                ort::ep::CUDA::default().with_device_id(number).with_tf32(false).build();
            builder.with_execution_providers([cuda.error_on_failure()])?
        }
        None => builder.with_config_entry(NOT_FUSED_ON_CPU.0, NOT_FUSED_ON_CPU.1)?,
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
    use super::super::devices::tests::{models, runtime};
    use super::*;

    #[test]
    fn sums_and_their_normalisation_stay_apart_on_the_cpu() {
        let Some(runtime) = runtime() else { return };
        let directory = tempfile::tempdir().expect("a directory");
        let written = directory.path().join("optimised.onnx");
        let session = builder(runtime, None, 1)
            .and_then(|builder| Ok(builder.with_optimized_model_path(&written)?))
            .and_then(|mut builder| builder.commit_from_file(models().join("bert/onnx/model.onnx")));
        session.expect("a session");
        let graph = std::fs::read(written).expect("the graph as it is run");
        let has = |kernel: &[u8]| graph.windows(kernel.len()).any(|part| part == kernel);
        assert!(has(b"LayerNormalization"));
        assert!(!has(b"SkipLayerNormalization"));
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
}
