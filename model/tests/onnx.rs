//! ONNX models, run by a real runtime and compared with what sentence-transformers and model2vec give.
//!
//! The runtime is looked for as the program does, with `target/test-data` for the user's data directory. Where there is
//! none these tests say so and check nothing, unless `PRECEDENT_REQUIRE_RUNTIME` is set, as in `.ci/run`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use precedent_model::embed::{Device, Hashes, OnnxEncoder, Options, SETTINGS_FILE, Settings, StaticModel};
use precedent_model::runtime::RuntimePlaces;
use precedent_model::{Document, EmbedError, Embedder, Table};

/// How near a vector must be to the reference.
const NEAR: f32 = 0.9999;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn models() -> PathBuf {
    root().join("fixtures/models")
}

/// The runtime's library; `None` where there is none and none is required.
fn library() -> Option<PathBuf> {
    let places = RuntimePlaces {
        named: std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from),
        installed: Some(root().join("target/test-data/runtime")),
        beside: None,
    };
    let found = places.find().map(|(path, _)| path);
    assert!(
        found.is_some() || std::env::var_os("PRECEDENT_REQUIRE_RUNTIME").is_none(),
        "a runtime is required: PRECEDENT_DATA=$PWD/target/test-data precedent runtime install"
    );
    if found.is_none() {
        // Written past the test harness, which shows what is printed only of tests that fail.
        let _ = writeln!(std::io::stderr(), "NOT CHECKED: there is no ONNX Runtime; see CONTRIBUTING.md");
    }
    found
}

/// The CPU, or what `PRECEDENT_TEST_DEVICE` names.
fn device() -> Device {
    std::env::var("PRECEDENT_TEST_DEVICE").map_or(Device::Cpu, |name| name.parse().expect("a device"))
}

fn load(directory: &Path, library: &Path) -> Result<OnnxEncoder, EmbedError> {
    let options = Options { device: device(), threads: Some(2), tell: Arc::new(|_| {}) };
    OnnxEncoder::load("tiny", directory, &Settings::default(), library, &Hashes::default(), &options)
}

/// Documents and questions.
fn texts() -> (Vec<String>, Vec<String>) {
    #[derive(serde::Deserialize)]
    struct Texts {
        documents: Vec<String>,
        questions: Vec<String>,
    }
    let text = std::fs::read(models().join("texts.json")).expect("texts");
    let texts: Texts = serde_json::from_slice(&text).expect("texts");
    assert_eq!(texts.documents.len(), 500);
    (texts.documents, texts.questions)
}

fn documents(model: &dyn Embedder, texts: &[&str]) -> Vec<Vec<f32>> {
    let documents: Vec<Document<'_>> = texts.iter().map(|text| Document { text, name: "a_name" }).collect();
    let embedded = model.documents(&documents).expect("vectors");
    assert_eq!(embedded.failed, []);
    embedded.embeddings.into_iter().map(|embedding| embedding.unit).collect()
}

fn cosine(one: &[f32], two: &[f32]) -> f32 {
    let dot = |one: &[f32], two: &[f32]| one.iter().zip(two).map(|(x, y)| x * y).sum::<f32>();
    dot(one, two) / (dot(one, one) * dot(two, two)).sqrt()
}

fn check_reference(model: &dyn Embedder, name: &str) {
    let bytes = std::fs::read(models().join(name).join("vectors.f32")).expect("vectors");
    let values: Vec<f32> = bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let (texts, questions) = texts();
    let mut expected = values.chunks(model.dimension());
    assert_eq!(expected.len(), texts.len() + questions.len(), "{name}");
    let found = documents(model, &texts.iter().map(String::as_str).collect::<Vec<_>>());
    let queries = questions.iter().map(|question| model.query(question).expect("a vector").unit);
    for (text, found) in texts.iter().chain(&questions).zip(found.into_iter().chain(queries)) {
        let expected = expected.next().expect("a vector");
        if expected.iter().all(|value| *value == 0.0) {
            assert_eq!(found, expected, "{name}: {text:?}");
            continue;
        }
        let cosine = cosine(&found, expected);
        assert!(cosine >= NEAR, "{name}: {cosine} for {text:?}");
    }
    // Another text's vector would not pass, or this would prove nothing.
    let one = values.chunks(model.dimension()).nth(20).expect("a vector");
    let others = values.chunks(model.dimension()).filter(|other| cosine(other, one) < NEAR).count();
    assert!(others > 490, "{name}: {others}");
}

#[test]
fn three_architectures_equal_sentence_transformers() {
    let Some(library) = library() else { return };
    for name in ["bert", "rope", "decoder"] {
        check_reference(&load(&models().join(name), &library).expect("a model"), name);
    }
}

#[test]
fn a_static_model_equals_model2vec() {
    let model = StaticModel::load("static", &models().join("static"), &Hashes::default()).expect("a model");
    check_reference(&model, "static");
    // Of long texts it reads no more than model2vec; these are those of training/tiny/make.py.
    let (texts, _) = texts();
    let reversed: Vec<&str> = texts.iter().rev().map(String::as_str).collect();
    let long = [texts.join("\n"), reversed.join("\n"), "größe東京 ".repeat(2000), "( ) ".repeat(2000)];
    let bytes = std::fs::read(models().join("static/long.f32")).expect("vectors");
    let values: Vec<f32> = bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let found = documents(&model, &long.each_ref().map(String::as_str));
    for (at, (found, expected)) in found.iter().zip(values.chunks(model.dimension())).enumerate() {
        assert!(cosine(found, expected) >= NEAR, "{at}: {}", cosine(found, expected));
    }
}

#[test]
fn neither_the_order_nor_the_neighbours_of_a_text_change_its_vector() {
    let Some(library) = library() else { return };
    let (texts, _) = texts();
    for name in ["bert", "rope", "decoder"] {
        let model = load(&models().join(name), &library).expect("a model");
        let forward: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut other: Vec<&str> = forward.iter().rev().copied().step_by(2).collect();
        other.extend_from_within(..40);
        let vectors = documents(&model, &forward);
        for (text, found) in other.iter().zip(documents(&model, &other)) {
            let at = forward.iter().position(|other| other == text).expect("the text");
            let apart = found.iter().zip(&vectors[at]).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
            assert!(apart < 1e-5, "{name}: {apart} for {text:?}");
        }
    }
}

#[test]
fn huge_texts_are_read_as_far_as_the_model_reads() {
    let Some(library) = library() else { return };
    let model = load(&models().join("bert"), &library).expect("a model");
    let words = "fn parse ( line ) ".repeat(600_000);
    assert!(words.len() > 10_000_000);
    let spaces = " ".repeat(10 << 20);
    let vectors = documents(&model, &[&words, &words[..2000], &spaces, ""]);
    assert!(cosine(&vectors[0], &vectors[1]) > 0.99999);
    assert!(cosine(&vectors[2], &vectors[3]) > 0.99999);
    let model = StaticModel::load("static", &models().join("static"), &Hashes::default()).expect("a model");
    let vectors = documents(&model, &[&words, &words[..9000], &spaces, ""]);
    assert!(cosine(&vectors[0], &vectors[1]) > 0.99999);
    assert_eq!(vectors[2], vectors[3]);
}

#[test]
fn the_built_in_table_reads_huge_texts_to_their_end() {
    let table = Table::built_in();
    // Each word as often as the others, so that the direction is that of one of each.
    let text = "fn parse_date(line: &str) -> Moment { todo!() }\n";
    let many = table.document(&text.repeat((10 << 20) / text.len() + 1), "");
    let similar = cosine(&many.unit, &table.document(text, "").unit);
    assert!(similar > 0.9999, "{similar}");
    // Words that are too long to be one tell nothing.
    for text in ["x".repeat(10 << 20), "東".repeat((10 << 20) / 3), " ".repeat(10 << 20)] {
        let found = table.document(&text, "");
        assert!(found.norm == 0.0 && found.unit.iter().all(|value| *value == 0.0), "{:?}", text.chars().next());
    }
    assert!(table.document(&format!("{} tokenizer", "x".repeat(10 << 20)), "").norm > 0.0);
}

/// The tiny BERT with another graph or other files.
struct Changed(tempfile::TempDir);

impl Changed {
    fn new() -> Changed {
        let changed = Changed(tempfile::tempdir().expect("a directory"));
        for name in ["config.json", "modules.json", "1_Pooling/config.json", "tokenizer.json", "onnx/model.onnx"] {
            changed.write(name, &std::fs::read(models().join("bert").join(name)).expect("a file"));
        }
        changed
    }

    /// With a graph of `odd`, whose tokens have four components.
    fn odd(name: &str) -> Changed {
        let changed = Changed::new();
        let graph = models().join("odd").join(format!("{name}.onnx"));
        changed.write("onnx/model.onnx", &std::fs::read(graph).expect("a graph"));
        changed.write("config.json", br#"{"hidden_size": 4, "vocab_size": 384, "max_position_embeddings": 64}"#);
        changed
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, bytes).expect("a file");
    }

    fn load(&self, library: &Path) -> Result<OnnxEncoder, EmbedError> {
        load(self.0.path(), library)
    }

    fn refused(&self, library: &Path) -> String {
        self.load(library).expect_err("no model").to_string()
    }
}

#[test]
fn files_that_are_damaged_or_of_another_model_are_named() {
    let Some(library) = library() else { return };
    let changed = Changed::new();
    changed.load(&library).expect("a model, before anything is wrong");
    let graph = std::fs::read(models().join("bert/onnx/model.onnx")).expect("a graph");
    changed.write("onnx/model.onnx", &graph[..graph.len() / 2]);
    assert!(
        changed.refused(&library).contains("the runtime cannot open `model.onnx`"),
        "{}",
        changed.refused(&library)
    );

    // A graph whose weights lie beside it, which are missing or cut off.
    let changed = Changed::new();
    changed.write("onnx/model.onnx", &std::fs::read(models().join("odd/beside.onnx")).expect("a graph"));
    changed.write("config.json", br#"{"hidden_size": 4, "vocab_size": 384}"#);
    let weights = std::fs::read(models().join("odd/model.onnx_data")).expect("weights");
    changed.write("onnx/model.onnx_data", &weights);
    changed.load(&library).expect("a model, with its weights");
    changed.write("onnx/model.onnx_data", &weights[..weights.len() / 2]);
    let why = changed.refused(&library);
    assert!(why.contains("the runtime cannot open `model.onnx`"), "{why}");
    std::fs::remove_file(changed.0.path().join("onnx/model.onnx_data")).expect("a file");
    let why = changed.refused(&library);
    assert!(why.contains("the runtime cannot open `model.onnx`") && why.contains("model.onnx_data"), "{why}");

    for (name, text, expected) in [
        ("tokenizer.json", "{", "`tokenizer.json` is not a readable tokenizer"),
        (
            "config.json",
            r#"{"vocab_size": 100}"#,
            "`tokenizer.json` has tokens up to number 383, and the model has rows for 100",
        ),
        ("config.json", r#"{"hidden_size": 48}"#, "the graph gives 32 components a token, and `config.json` says 48"),
        (SETTINGS_FILE, "dimension = 33", "33 components are asked for, and its graph gives 32"),
        (SETTINGS_FILE, "max-tokens = 2", "2 special ones take the room"),
    ] {
        let changed = Changed::new();
        changed.write(name, text.as_bytes());
        let why = changed.refused(&library);
        assert!(why.contains(expected), "{name}: {why}");
    }
}

/// Where no file says how many rows the graph has, the text with a token beyond them is what fails.
#[test]
fn a_token_beyond_a_table_of_unknown_size_fails_by_text() {
    let Some(library) = library() else { return };
    let changed = Changed::odd("plain");
    changed.write("config.json", br#"{"hidden_size": 4}"#);
    let tokenizer = std::fs::read(models().join("bert/tokenizer.json")).expect("a tokenizer");
    let mut tokenizer: serde_json::Value = serde_json::from_slice(&tokenizer).expect("JSON");
    tokenizer["model"]["vocab"]["strange"] = 384.into();
    changed.write("tokenizer.json", tokenizer.to_string().as_bytes());
    let model = changed.load(&library).expect("a model");
    let documents = ["a b", "a strange b", "let value = 1"].map(|text| Document { text, name: "" });
    let embedded = model.documents(&documents).expect("vectors");
    assert_eq!(embedded.failed.iter().map(|failed| failed.at).collect::<Vec<_>>(), [1], "{:?}", embedded.failed);
    assert!(embedded.failed[0].why.contains("384"), "{:?}", embedded.failed);
    let zeros = embedded.embeddings.iter().map(|embedding| embedding.unit.iter().all(|value| *value == 0.0));
    assert_eq!(zeros.collect::<Vec<_>>(), [false, true, false]);
}

/// What fails is told in our words alone, and none of the runtime's own lines are on the terminal.
#[test]
fn the_runtime_writes_nothing_by_itself() {
    if library().is_none() {
        return;
    }
    let mut this = Command::new(std::env::current_exe().expect("this program"));
    let output = this.args(["--exact", "a_token_beyond_a_table_of_unknown_size_fails_by_text", "--nocapture"]).output();
    let output = output.expect("this program");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    assert!(!said.contains("onnxruntime"), "{said}");
}

#[test]
fn a_matryoshka_dimension_keeps_the_first_components() {
    let Some(library) = library() else { return };
    let whole = Changed::new().load(&library).expect("a model");
    let changed = Changed::new();
    changed.write(SETTINGS_FILE, b"dimension = 8");
    let cut = changed.load(&library).expect("a model");
    assert_eq!((cut.dimension(), whole.dimension()), (8, 32));
    assert_ne!(cut.fingerprint(), whole.fingerprint());
    let (one, two) = (documents(&cut, &["parse a line"]), documents(&whole, &["parse a line"]));
    assert!(cosine(&one[0], &two[0][..8]) > 0.99999);
    assert!((cosine(&one[0], &one[0]) - 1.0).abs() < 1e-5);
}

#[test]
fn graphs_with_other_inputs_outputs_and_axes_are_understood_or_refused() {
    let Some(library) = library() else { return };
    for (name, expected) in [
        ("renamed", "the graph asks for an input `words`"),
        ("stranger", "the graph asks for an input `pixel_values`"),
        (
            "classes",
            "the graph has no output with a vector a token, or one vector a text; it has `pooler_output`, `logits`",
        ),
    ] {
        let why = Changed::odd(name).refused(&library);
        assert!(why.contains(expected), "{name}: {why}");
    }
    let texts = ["a b", "x", "a b c d e f", "let value = 1", ""];
    let plain = documents(&Changed::odd("plain").load(&library).expect("a model"), &texts);
    for name in ["outputs", "narrow", "fixed"] {
        let model = Changed::odd(name).load(&library).expect(name);
        for (found, expected) in documents(&model, &texts).iter().zip(&plain) {
            assert!(cosine(found, expected) > 0.999, "{name}");
        }
    }
    assert_eq!(Changed::odd("fixed").load(&library).expect("a model").max_tokens(), Some(8));
    // A graph that pools by itself is taken at its word, whatever the model's files say, and not if somebody chose.
    let pooled = Changed::odd("pooled");
    pooled.write("1_Pooling/config.json", br#"{"pooling_mode_cls_token": true}"#);
    let own = pooled.load(&library).expect("a model");
    assert!(cosine(&documents(&own, &["a b", "x"])[0], &plain[0]) > 0.99999);
    pooled.write(SETTINGS_FILE, b"pooling = \"cls\"");
    let chosen = pooled.load(&library).expect("a model");
    let vectors = documents(&chosen, &["a b", "x", "let value = 1"]);
    assert!(vectors.iter().all(|vector| cosine(vector, &vectors[0]) > 0.99999), "all begin with the same token");
    assert!(cosine(&vectors[0], &plain[0]) < 0.999);
    assert_ne!(own.fingerprint(), chosen.fingerprint());
}

/// Each session has the weights, so none is opened that nobody needs.
#[test]
fn a_question_needs_one_session() {
    let Some(library) = library() else { return };
    let options = Options { device: Device::Cpu, threads: Some(8), tell: Arc::new(|_| {}) };
    let bert = models().join("bert");
    let model = OnnxEncoder::load("tiny", &bert, &Settings::default(), &library, &Hashes::default(), &options);
    let model = model.expect("a model");
    model.query("parse a date").expect("a vector");
    documents(&model, &["a", "b c"]);
    assert_eq!(model.sessions(), 1);
    let (texts, _) = texts();
    documents(&model, &texts.iter().map(String::as_str).collect::<Vec<_>>());
    assert!((2..=8).contains(&model.sessions()), "{}", model.sessions());
}

#[test]
fn vectors_that_are_no_directions_are_reported_by_text() {
    let Some(library) = library() else { return };
    let model = Changed::odd("broken").load(&library).expect("a model");
    let texts = ["a", "a b", "d", "c", "e f g"];
    let documents = texts.map(|text| Document { text, name: "" });
    let embedded = model.documents(&documents).expect("vectors");
    let failed: Vec<(usize, &str)> = embedded.failed.iter().map(|failed| (failed.at, failed.why.as_str())).collect();
    assert_eq!(
        failed,
        [(1, "the model gives a vector with values that are not finite"), (3, "the model gives a vector of zeros"),]
    );
    for (at, embedding) in embedded.embeddings.iter().enumerate() {
        let length: f32 = embedding.unit.iter().map(|value| value * value).sum();
        let expected = if [1, 3].contains(&at) { 0.0 } else { 1.0 };
        assert!((length - expected).abs() < 1e-5, "{at}: {length}");
    }
}
