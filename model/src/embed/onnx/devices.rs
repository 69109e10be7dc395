//! Devices: the graph in use, and the way from a GPU that fails to the CPU.

use std::sync::{Arc, OnceLock, RwLock};

use super::graph::{Graph, Precision};
use super::{Device, Options};
use crate::embed::EmbedError;
use crate::embed::engine::Compute;
use crate::embed::layout::Layout;
use crate::runtime::Runtime;

/// Tokens a batch where measurement starts. On the CPU so many for each thread of a session, as then what goes from layer to
/// layer stays in the cache of its core; but no more than are soon done where there are many threads.
const FIRST_BATCH_THREAD: usize = 256;
const FIRST_BATCH_CPU: usize = 1024;
const FIRST_BATCH_CUDA: usize = 16_384;
/// Texts × longest² of a batch on the CPU, where too little memory ends the process and is no error: with twelve heads
/// 800 MB. A GPU says that it has too little, and batches become smaller then.
const ROOM_CPU: usize = 1 << 24;
/// How near the vectors of the graph in half precision must be to those of the other one. Rounding keeps them within
/// .999; those of another model are far away.
const HALF_NEAR: f32 = 0.99;
/// Batches in work on a GPU: one in each session, the others are being prepared or pooled.
const GPU_WORKERS: usize = 5;

/// The device in use, and how to get to the other one.
pub(super) struct Devices {
    now: RwLock<Arc<Graph>>,
    /// The graph on the CPU, opened when a GPU first needs it.
    other: OnceLock<Result<Arc<Graph>, String>>,
    name: String,
    runtime: &'static Runtime,
    layout: Layout,
    options: Options,
}

impl Devices {
    pub(super) fn open(
        name: &str,
        runtime: &'static Runtime,
        layout: &Layout,
        options: &Options,
    ) -> Result<Devices, EmbedError> {
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

    pub(super) fn now(&self) -> Arc<Graph> {
        self.now.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

impl Devices {
    /// Compares a graph in half precision, where one is used, with the other one. If its vectors are not those, that is
    /// said, and the other graph is used on the same device.
    pub(super) fn compare_half(&self, batch: &[&[u32]]) -> Result<(), String> {
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
        let now = self.now();
        match now.gpu {
            Some(_) => FIRST_BATCH_CUDA,
            None => (FIRST_BATCH_THREAD * now.threads).min(FIRST_BATCH_CPU),
        }
    }

    fn room(&self) -> usize {
        if self.now().gpu.is_some() { usize::MAX } else { ROOM_CPU }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::{Path, PathBuf};
    use std::sync::Mutex;

    use super::super::Tell;
    use super::*;
    use crate::embed::engine::lock;
    use crate::embed::layout::Settings;
    use crate::runtime;

    pub(in super::super) fn models() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/models")
    }

    /// The runtime that `model/tests/onnx.rs` finds too; `None` where there is none and none is required.
    pub(in super::super) fn runtime() -> Option<&'static Runtime> {
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
        assert_eq!((auto.workers(), auto.first_batch(), auto.room()), (2, FIRST_BATCH_THREAD, ROOM_CPU));
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
    fn batches_start_as_large_as_the_threads_of_a_session_want() {
        let Some(runtime) = runtime() else { return };
        for (threads, expected) in [(1, 256), (3, 768), (16, 1024)] {
            let mut graph = graph(runtime, "plain");
            graph.threads = threads;
            let devices = Devices {
                now: RwLock::new(Arc::new(graph)),
                other: OnceLock::new(),
                name: "tiny".into(),
                runtime,
                layout: layout("plain"),
                options: Options::default(),
            };
            assert_eq!(devices.first_batch(), expected, "{threads} threads");
        }
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
