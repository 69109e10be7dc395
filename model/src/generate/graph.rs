//! Graph: one step of a decoder, with the keys and values of earlier tokens kept on its device.

use std::num::NonZero;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use half::f16;
use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::{DynTensor, DynValue, Tensor, TensorElementType, ValueType};

use super::gpu_of;
use crate::embed::Options;
use crate::runtime::Runtime;

/// A decoder's graph on a device.
pub(super) struct Graph {
    session: Mutex<Session>,
    inputs: Vec<(String, Input)>,
    /// Outputs with keys and values, each with the input that it becomes.
    carried: Vec<(String, String)>,
    gpu: Option<i32>,
    label: String,
}

enum Input {
    Ids {
        is_wide: bool,
    },
    Mask {
        is_wide: bool,
    },
    Positions {
        is_wide: bool,
    },
    /// Keys or values of earlier tokens.
    Past {
        heads: i64,
        width: i64,
        ty: TensorElementType,
    },
    /// Whether there are earlier tokens.
    HasPast,
    /// How many rows of logits are wanted.
    Rows,
}

/// What is kept of earlier tokens.
pub(super) struct Memory {
    tokens: usize,
    past: Vec<(String, DynValue)>,
}

fn first_line(error: &ort::Error) -> String {
    let message = error.message();
    message.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("the runtime does not say why").to_owned()
}

impl Graph {
    pub(super) fn open(runtime: &'static Runtime, file: &Path, options: &Options) -> Result<Graph, String> {
        let gpu = gpu_of(options.device, runtime.providers.contains(&"CUDA"))?;
        let cores = options.threads.or_else(|| std::thread::available_parallelism().ok().map(NonZero::get));
        let build = |gpu: Option<i32>| -> ort::Result<Session> {
            let mut builder = Session::builder(&runtime.environment)?
                .with_optimization_level(GraphOptimizationLevel::All)?
                .with_intra_threads(cores.unwrap_or(1).max(1))?
                .with_memory_pattern(false)?;
            if let Some(number) = gpu {
                let cuda = ort::ep::CUDA::default().with_device_id(number).with_tf32(false).build();
                builder = builder.with_execution_providers([cuda.error_on_failure()])?;
            }
            builder.commit_from_file(file)
        };
        let is_free = options.device == crate::embed::Device::Auto;
        let (session, gpu) = match build(gpu) {
            Ok(session) => (session, gpu),
            Err(error) if gpu.is_some() && is_free => {
                (options.tell)(&format!("the GPU cannot be used ({}); the model runs on the CPU", first_line(&error)));
                (build(None).map_err(|error| first_line(&error))?, None)
            }
            Err(error) => return Err(first_line(&error)),
        };
        let inputs: Vec<(String, Input)> = session
            .inputs()
            .iter()
            .map(|input| Ok((input.name().to_owned(), input_of(input.name(), input.dtype())?)))
            .collect::<Result<_, String>>()?;
        if !session.outputs().iter().any(|output| output.name() == "logits") {
            return Err("the graph has no output `logits`".into());
        }
        let mut carried = Vec::new();
        for (name, _) in inputs.iter().filter(|(_, input)| matches!(input, Input::Past { .. })) {
            let present = name.replacen("past_key_values", "present", 1);
            if !session.outputs().iter().any(|output| output.name() == present) {
                return Err(format!("the graph takes `{name}` and gives no `{present}`"));
            }
            carried.push((present, name.clone()));
        }
        if carried.is_empty() {
            return Err("the graph keeps nothing of earlier tokens; export it with past key values".into());
        }
        let label = gpu.map_or_else(|| "CPU".to_owned(), |number| format!("CUDA {number}"));
        Ok(Graph { session: Mutex::new(session), inputs, carried, gpu, label })
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// How many layers keep something of earlier tokens, and how many heads of the first one do.
    pub(super) fn keeps(&self) -> (usize, usize) {
        let heads = self.inputs.iter().find_map(|(_, input)| match input {
            Input::Past { heads, .. } => Some(*heads as usize),
            _ => None,
        });
        (self.carried.len() / 2, heads.unwrap_or_default())
    }

    /// Nothing kept yet.
    pub(super) fn memory(&self) -> Result<Memory, String> {
        let empty = |(name, input): &(String, Input)| match input {
            Input::Past { heads, width, ty } => {
                let tensor = DynTensor::new(&Allocator::default(), *ty, [1, *heads, 0, *width]);
                Some(tensor.map(|tensor| (name.clone(), tensor.into_dyn())).map_err(|error| first_line(&error)))
            }
            _ => None,
        };
        Ok(Memory { tokens: 0, past: self.inputs.iter().filter_map(empty).collect::<Result<_, _>>()? })
    }

    /// Runs once; returns how many tokens the model knows.
    pub(super) fn probe(&self) -> Result<usize, String> {
        Ok(self.step(&mut self.memory()?, &[0])?.len())
    }

    /// Reads tokens behind those that are kept; returns the logits of what follows the last one.
    pub(super) fn step(&self, memory: &mut Memory, tokens: &[u32]) -> Result<Vec<f32>, String> {
        let (count, all) = (tokens.len(), memory.tokens + tokens.len());
        let ids = || tokens.iter().map(|token| i64::from(*token)).collect();
        let positions = || (memory.tokens..all).map(|at| at as i64).collect();
        let mut made: Vec<(&str, DynTensor)> = Vec::new();
        for (name, input) in &self.inputs {
            let tensor = match input {
                Input::Ids { is_wide } => integers(ids(), count, *is_wide),
                Input::Mask { is_wide } => integers(vec![1; all], all, *is_wide),
                Input::Positions { is_wide } => integers(positions(), count, *is_wide),
                Input::HasPast => Tensor::from_array(([1], vec![memory.tokens > 0])).map(Tensor::upcast),
                Input::Rows => Tensor::from_array(((), vec![1i64])).map(Tensor::upcast),
                Input::Past { .. } => continue,
            };
            made.push((name, tensor.map_err(|error| first_line(&error))?));
        }
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let mut run = || -> ort::Result<(DynValue, Vec<(String, DynValue)>)> {
            let mut binding = session.create_binding()?;
            for (name, tensor) in &made {
                binding.bind_input(*name, tensor)?;
            }
            for (name, value) in &memory.past {
                binding.bind_input(name.as_str(), value)?;
            }
            let host = MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, MemoryType::Default)?;
            let kept = match self.gpu {
                Some(number) => {
                    MemoryInfo::new(AllocationDevice::CUDA, number, AllocatorType::Device, MemoryType::Default)?
                }
                None => MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, MemoryType::Default)?,
            };
            binding.bind_output_to_device("logits", &host)?;
            for (present, _) in &self.carried {
                binding.bind_output_to_device(present.as_str(), &kept)?;
            }
            let mut outputs = session.run_binding(&binding)?;
            binding.synchronize_outputs()?;
            let mut take = |name: &str| outputs.remove(name).ok_or_else(|| ort::Error::new("an output is missing"));
            let logits = take("logits")?;
            let past = self.carried.iter().map(|(present, name)| Ok((name.clone(), take(present)?)));
            Ok((logits, past.collect::<ort::Result<_>>()?))
        };
        let (logits, past) = run().map_err(|error| first_line(&error))?;
        (memory.past, memory.tokens) = (past, all);
        last_row(&logits)
    }
}

fn input_of(name: &str, ty: &ValueType) -> Result<Input, String> {
    let ValueType::Tensor { ty, shape, .. } = ty else {
        return Err(format!("the graph's input `{name}` is no tensor"));
    };
    let is_wide = *ty != TensorElementType::Int32;
    match name {
        "input_ids" => Ok(Input::Ids { is_wide }),
        "attention_mask" => Ok(Input::Mask { is_wide }),
        "position_ids" => Ok(Input::Positions { is_wide }),
        "use_cache_branch" => Ok(Input::HasPast),
        "num_logits_to_keep" => Ok(Input::Rows),
        _ if name.starts_with("past_key_values.") && shape.len() == 4 && shape[1] > 0 && shape[3] > 0 => match ty {
            TensorElementType::Float32 | TensorElementType::Float16 => {
                Ok(Input::Past { heads: shape[1], width: shape[3], ty: *ty })
            }
            _ => Err(format!("the graph's input `{name}` holds {ty}")),
        },
        _ => Err(format!(
            "the graph asks for an input `{name}`; known are input_ids, attention_mask, position_ids and past_key_values"
        )),
    }
}

/// One row of integers, of 64 bits or of 32.
fn integers(values: Vec<i64>, length: usize, is_wide: bool) -> ort::Result<DynTensor> {
    if is_wide {
        return Ok(Tensor::from_array(([1, length], values))?.upcast());
    }
    let narrow: Vec<i32> = values.into_iter().map(|value| value as i32).collect();
    Ok(Tensor::from_array(([1, length], narrow))?.upcast())
}

/// The logits behind the last token.
fn last_row(logits: &DynValue) -> Result<Vec<f32>, String> {
    let row = |shape: &[i64], total: usize| match shape {
        [1, rows, width] if *rows > 0 && *width > 0 => Ok(total - *width as usize),
        [1, width] if *width > 0 => Ok(total - *width as usize),
        _ => Err(format!("the output `logits` has shape {shape:?}")),
    };
    if let Ok((shape, values)) = logits.try_extract_tensor::<f32>() {
        return Ok(values[row(shape, values.len())?..].to_vec());
    }
    match logits.try_extract_tensor::<f16>() {
        Ok((shape, values)) => Ok(values[row(shape, values.len())?..].iter().map(|value| value.to_f32()).collect()),
        Err(error) => Err(first_line(&error)),
    }
}
