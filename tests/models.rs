//! Models and runtimes, as the command line meets them.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Fixture, Ran, precedent};

fn tiny(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/models").join(name);
    path.canonicalize().expect("a model").display().to_string()
}

/// The binary with a data directory of the fixture's own and nothing of the user's.
fn command(fixture: &Fixture, arguments: &[&str]) -> Command {
    let mut command = precedent(&fixture.repo(), arguments);
    command.env("PRECEDENT_DATA", fixture.beside("data")).env("HF_HOME", fixture.beside("hub"));
    for name in ["ORT_DYLIB_PATH", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "PRECEDENT_MODEL", "PRECEDENT_DEVICE"] {
        command.env_remove(name);
    }
    command
}

fn run(fixture: &Fixture, arguments: &[&str]) -> Ran {
    Ran::of(command(fixture, arguments).output().expect("the binary"))
}

/// A library that was installed for tests; see `model/tests/onnx.rs`.
pub(crate) fn library() -> Option<PathBuf> {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/test-data/runtime");
    let places = precedent_model::runtime::RuntimePlaces {
        named: std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from),
        installed: Some(installed),
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

#[test]
fn without_a_runtime_an_onnx_model_is_refused_and_the_built_in_one_works() {
    let fixture = Fixture::new("review");
    let ran = run(&fixture, &["index", "--model", &tiny("bert")]);
    assert_eq!(ran.code, 5, "{}", ran.stderr);
    assert!(ran.stderr.contains("`bert` is an ONNX model, and there is no ONNX Runtime here"), "{}", ran.stderr);
    assert!(ran.stderr.contains("precedent runtime install"), "{}", ran.stderr);
    assert!(!fixture.store().exists());
    assert_eq!(run(&fixture, &["search", "connect"]).code, 0);
    let show = run(&fixture, &["runtime", "show"]);
    assert_eq!((show.code, show.stdout.contains("none")), (0, true), "{}", show.stdout);
}

#[test]
fn a_library_that_is_no_runtime_is_named() {
    let fixture = Fixture::new("review");
    let text = fixture.beside("text.so");
    std::fs::write(&text, "no library").expect("a file");
    for (library, expected) in
        [(text.as_path(), "the system cannot load it"), (Path::new("/no/such.so"), "no such file")]
    {
        let output = command(&fixture, &["runtime", "show"]).env("ORT_DYLIB_PATH", library).output();
        let ran = Ran::of(output.expect("the binary"));
        assert_eq!(ran.code, 5, "{}", ran.stderr);
        assert!(ran.stderr.contains(&*library.to_string_lossy()) && ran.stderr.contains(expected), "{}", ran.stderr);
    }
}

/// What opens and is not the runtime that is needed: too old, another library, of another processor.
#[cfg(target_os = "linux")]
#[test]
fn a_runtime_of_another_version_or_processor_is_named() {
    let fixture = Fixture::new("review");
    let compile = |name: &str, source: &str| {
        let (file, library) = (fixture.beside(&format!("{name}.c")), fixture.beside(&format!("{name}.so")));
        std::fs::write(&file, source).expect("a file");
        let mut compiler = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
        let status = compiler.args(["-shared", "-fPIC", "-o"]).args([&library, &file]).status();
        assert!(status.expect("a C compiler, which this project needs").success());
        library
    };
    let old = compile(
        "old",
        "struct base { const void *(*api)(unsigned); const char *(*version)(void); };\n\
         static const void *api(unsigned number) { return number ? 0 : 0; }\n\
         static const char *version(void) { return \"1.10.0\"; }\n\
         static const struct base base = { api, version };\n\
         const struct base *OrtGetApiBase(void) { return &base; }\n",
    );
    let other = compile("other", "int answer(void) { return 42; }\n");
    // The same library with another machine in its header.
    let mut bytes = std::fs::read(&old).expect("a library");
    bytes[18] ^= 1;
    let foreign = fixture.beside("foreign.so");
    std::fs::write(&foreign, bytes).expect("a file");
    for (library, expected) in [
        (old, "it is version 1.10.0, and 1.23 or newer is needed"),
        (other, "it is another library"),
        (foreign, "it is made for another kind of processor"),
    ] {
        for arguments in [vec!["runtime", "show"], vec!["models", "check", &tiny("bert")]] {
            let output = command(&fixture, &arguments).env("ORT_DYLIB_PATH", &library).output();
            let ran = Ran::of(output.expect("the binary"));
            assert_eq!(ran.code, 5, "{arguments:?}: {}", ran.stderr);
            assert!(ran.stderr.contains(expected), "{arguments:?}: {}", ran.stderr);
            assert_eq!(ran.stderr.lines().count(), 2, "a sentence and a hint: {}", ran.stderr);
        }
    }
}

#[test]
fn the_licence_of_a_model_is_told_before_it_is_fetched() {
    let fixture = Fixture::new("review");
    let offline = |arguments: &[&str]| {
        Ran::of(command(&fixture, arguments).env("HF_HUB_OFFLINE", "1").output().expect("the binary"))
    };
    for arguments in [["index", "--model"], ["models", "check"], ["models", "fetch"]] {
        let ran = offline(&[&arguments[..], &["jina-code-embeddings-0.5b"]].concat());
        assert_eq!(ran.code, 5, "{}", ran.stderr);
        let told = "note: the licence of `jina-code-embeddings-0.5b` is CC-BY-NC-4.0, which forbids commercial use";
        let at = |text: &str| ran.stderr.find(text).unwrap_or_else(|| panic!("{text}: {}", ran.stderr));
        assert!(at(told) < at("HF_HUB_OFFLINE is set"), "{}", ran.stderr);
    }
    let output = command(&fixture, &["index"]).env("HF_HUB_OFFLINE", "1").env("PRECEDENT_MODEL", "owner/name").output();
    let ran = Ran::of(output.expect("the binary"));
    assert!(ran.stderr.contains("note: the licence of `owner/name` is said at its repository"), "{}", ran.stderr);
    // One that writes is refused before a gigabyte of it is fetched.
    let ran = offline(&["index", "--model", "qwen2.5-coder-1.5b-instruct"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("writes text and gives no vectors"), "{}", ran.stderr);
    assert!(ran.stderr.contains("review --llm Qwen2.5-Coder-1.5B-Instruct"), "{}", ran.stderr);
}

#[test]
fn names_that_are_no_model_are_usage_errors_and_offline_is_said() {
    let fixture = Fixture::new("review");
    let ran = run(&fixture, &["index", "--model", "no-such-model"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("`no-such-model` is no model"), "{}", ran.stderr);
    assert_eq!(run(&fixture, &["index", "--device", "tpu"]).code, 2);
    let output = command(&fixture, &["models", "fetch", "all-MiniLM-L6-v2"]).env("HF_HUB_OFFLINE", "1").output();
    let ran = Ran::of(output.expect("the binary"));
    assert_eq!(ran.code, 5, "{}", ran.stderr);
    assert!(ran.stderr.contains("HF_HUB_OFFLINE is set"), "{}", ran.stderr);
    let list = run(&fixture, &["models", "list"]);
    assert_eq!(list.code, 0, "{}", list.stderr);
    let line = |name: &str| list.stdout.lines().find(|line| line.contains(name)).expect(name).to_owned();
    let noncommercial = line("jina-code-embeddings-0.5b");
    assert!(noncommercial.contains("CC-BY-NC-4.0"), "{noncommercial}");
    assert!(noncommercial.ends_with("no commercial use; not fetched"), "{noncommercial}");
    assert!(line("jina-embeddings-v2-base-code").contains("Apache-2.0"));
}

#[test]
fn a_static_model_is_indexed_and_searched_with_and_kept_for_its_store() {
    let fixture = Fixture::new("review");
    let ran = run(&fixture, &["index", "--model", &tiny("static")]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("(static)"), "{}", ran.stdout);
    let hits = run(&fixture, &["search", "connect", "--json", "-k", "3"]);
    assert_eq!((hits.code, hits.stdout.lines().count()), (0, 3), "{}", hits.stderr);
    assert_eq!(run(&fixture, &["review", "main..topic"]).code, 0);
    let other = run(&fixture, &["index", "--model", "built-in"]);
    assert_eq!(other.code, 3, "{}", other.stderr);
    assert!(other.stderr.contains("was built with embedder `static-v2:"), "{}", other.stderr);
    // Where its model is not known, the store is refused and not built again.
    std::fs::remove_dir_all(fixture.beside("data")).expect("the data directory");
    let unknown = run(&fixture, &["search", "connect"]);
    assert_eq!(unknown.code, 3, "{}", unknown.stderr);
    assert!(unknown.stderr.contains("--model"), "{}", unknown.stderr);
    assert_eq!(run(&fixture, &["index", "--model", &tiny("static")]).code, 0);
    assert_eq!(run(&fixture, &["search", "connect"]).code, 0);
}

#[test]
fn an_onnx_model_is_indexed_and_searched_with() {
    let Some(library) = library() else { return };
    let fixture = Fixture::new("review");
    let run = |arguments: &[&str]| {
        Ran::of(command(&fixture, arguments).env("ORT_DYLIB_PATH", &library).output().expect("the binary"))
    };
    let ran = run(&["index", "--model", &tiny("decoder"), "--device", "cpu", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(report["embedded"], report["chunks"]);
    assert_eq!(report["unembedded"], serde_json::json!([]));
    let hits = run(&["search", "connect", "--json", "-k", "3"]);
    assert_eq!((hits.code, hits.stdout.lines().count()), (0, 3), "{}", hits.stderr);
    assert_eq!(run(&["review", "main..topic"]).code, 0);
    assert_eq!(run(&["store", "check"]).code, 0);
    let check = run(&["models", "check", &tiny("rope"), "--json"]);
    assert_eq!(check.code, 0, "{}", check.stderr);
    let doctor = run(&["doctor"]);
    assert!(doctor.stdout.contains("ONNX Runtime") && doctor.stdout.contains("CPU"), "{}", doctor.stdout);
    // A device that is not here is no reason to use another one unasked.
    let ran = run(&["index", "--rebuild", "--device", "cuda:7"]);
    assert_eq!(ran.code, 5, "{}", ran.stderr);
}
