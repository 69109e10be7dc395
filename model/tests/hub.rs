//! Fetching models, from a hub that lives in the test.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use precedent_model::embed::{Hashes, StaticModel};
use precedent_model::hub::{Hub, Wanted};
use precedent_model::{EmbedError, Embedder};
use sha2::{Digest, Sha256};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const WANTED: Wanted<'static> =
    Wanted { name: "tiny", repository: "owner/tiny", revision: None, graph: None, half: false };

/// Serves the tiny static model, and remembers what was asked for.
struct Server {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
    /// The next answers for the weights end after so many bytes, or carry other bytes.
    trouble: Arc<Mutex<Vec<Trouble>>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Trouble {
    EndsAfter(usize),
    OtherBytes,
}

impl Server {
    fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let (asked, trouble) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
        let (log, plan) = (asked.clone(), trouble.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // An answer that cannot be given is the client's to notice.
                let _ = answer(stream, &log, &plan);
            }
        });
        Server { address, asked, trouble }
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().expect("a lock"))
    }
}

fn content(folder: &str, name: &str) -> Vec<u8> {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/models");
    std::fs::read(models.join(folder).join(name)).expect("a file")
}

/// The files of a repository, in the order in which the hub lists them.
fn files(repository: &str) -> Option<Vec<(&'static str, Vec<u8>)>> {
    let of = |folder: &str, names: &[&'static str]| names.iter().map(|name| (*name, content(folder, name))).collect();
    Some(match repository {
        "owner/tiny" => {
            let mut files: Vec<_> = of("static", &["config.json", "tokenizer.json"]);
            files.extend([("README.md", Vec::new()), ("../out", Vec::new())]);
            files.push(("model.safetensors", content("static", "model.safetensors")));
            files
        }
        "owner/writer" => of(
            "writers/widths",
            &["config.json", "tokenizer.json", "tokenizer_config.json", "onnx/model_int8.onnx", "onnx/model_q4.onnx"],
        ),
        "owner/parts" => {
            let mut files: Vec<_> = of("bert", &["config.json", "tokenizer.json", "onnx/model.onnx"]);
            files.extend([("onnx/model.onnx_data", b"data".to_vec()), ("onnx/model_fp16.onnx", b"half".to_vec())]);
            files.extend([("onnx/model_fp16.onnx_data", b"half data".to_vec()), ("onnx/model_q4.onnx", Vec::new())]);
            files
        }
        _ => return None,
    })
}

/// As the hub names a blob: large files by their SHA-256, small ones by Git's id.
fn etag(name: &str, bytes: &[u8]) -> String {
    if name.ends_with(".json") {
        let blob = [format!("blob {}\0", bytes.len()).as_bytes(), bytes].concat();
        return sha1dc::digest(&blob).expect("no collision").to_string();
    }
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn answer(mut stream: TcpStream, log: &Mutex<Vec<String>>, plan: &Mutex<Vec<Trouble>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap_or(Ok(String::new()))?;
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut range = None;
    for line in lines {
        let line = line?.to_lowercase();
        if line.is_empty() {
            break;
        }
        range = line.strip_prefix("range: bytes=").map(str::to_owned).or(range);
    }
    let listed = path.strip_prefix("/api/models/").and_then(|rest| files(rest.split_once("/revision/")?.0));
    if let Some(files) = listed {
        log.lock().expect("a lock").push("list".into());
        let files: Vec<String> = files.iter().map(|(name, _)| format!(r#"{{"rfilename":"{name}"}}"#)).collect();
        let body = format!(r#"{{"sha":"{COMMIT}","siblings":[{}]}}"#, files.join(","));
        return write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    }
    let file = path[1..]
        .split_once(&format!("/resolve/{COMMIT}/"))
        .and_then(|(repository, wanted)| files(repository)?.into_iter().find(|(name, _)| *name == wanted));
    let Some((name, bytes)) = file else {
        return write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let range = range.unwrap_or_else(|| "0-".into());
    let (start, end) = range.split_once('-').expect("a range");
    let start: usize = start.parse().expect("a number");
    let end = end.parse().map_or(bytes.len(), |end: usize| (end + 1).min(bytes.len()));
    let etag = etag(name, &bytes);
    write!(
        stream,
        "HTTP/1.1 206 Partial Content\r\nx-repo-commit: {COMMIT}\r\netag: \"{etag}\"\r\n\
         Content-Range: bytes {start}-{}/{}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        end.saturating_sub(1),
        bytes.len(),
        end - start
    )?;
    let mut body = bytes[start..end].to_vec();
    if end - start > 1 || bytes.len() == 1 {
        log.lock().expect("a lock").push(format!("{name} {start}"));
        let trouble = if name == "model.safetensors" { plan.lock().expect("a lock").pop() } else { None };
        match trouble {
            Some(Trouble::EndsAfter(count)) => body.truncate(count),
            Some(Trouble::OtherBytes) => body[0] ^= 1,
            None => {}
        }
    }
    stream.write_all(&body)
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().expect("a directory"))
    }

    fn hub(&self, server: &Server) -> Hub {
        Hub {
            cache: self.0.path().join("hub"),
            endpoint: Some(server.address.clone()),
            token: None,
            offline: false,
            records: self.0.path().join("data/models.json"),
        }
    }
}

fn fetch(hub: &Hub) -> Result<PathBuf, EmbedError> {
    hub.fetch(WANTED, &Hashes::default(), &|_, _, _| {})
}

#[test]
fn a_model_is_fetched_once_and_needs_no_network_from_then_on() {
    let (server, place) = (Server::start(), Place::new());
    let hub = place.hub(&server);
    let directory = fetch(&hub).expect("a model");
    assert!(directory.ends_with(format!("models--owner--tiny/snapshots/{COMMIT}")), "{}", directory.display());
    let model = StaticModel::load("tiny", &directory, &Hashes::default()).expect("a model");
    assert_eq!(model.dimension(), 32);
    let asked = server.asked();
    assert_eq!(asked, ["list", "config.json 0", "tokenizer.json 0", "model.safetensors 0"]);
    let offline = Hub { offline: true, endpoint: Some("http://127.0.0.1:1".into()), ..hub };
    assert_eq!(fetch(&offline).expect("a model"), directory);
    assert!(server.asked().is_empty());
}

#[test]
fn a_download_that_breaks_off_goes_on_where_it_ended() {
    let (server, place) = (Server::start(), Place::new());
    server.trouble.lock().expect("a lock").push(Trouble::EndsAfter(1000));
    fetch(&place.hub(&server)).expect("a model");
    assert_eq!(server.asked()[3..], ["model.safetensors 0", "model.safetensors 1000"]);
}

#[test]
fn damaged_downloads_and_changed_files_are_found_out() {
    let (server, place) = (Server::start(), Place::new());
    let hub = place.hub(&server);
    server.trouble.lock().expect("a lock").push(Trouble::OtherBytes);
    let why = fetch(&hub).expect_err("a damaged file").to_string();
    assert!(why.contains("`model.safetensors` came with other bytes than the hub names"), "{why}");
    let directory = fetch(&hub).expect("a model, the second time");
    let file = directory.join("model.safetensors").canonicalize().expect("a file");
    let mut bytes = std::fs::read(&file).expect("a file");
    bytes[100] ^= 1;
    std::fs::write(&file, bytes).expect("a file");
    let why = fetch(&hub).expect_err("a changed file").to_string();
    assert!(why.contains("`model.safetensors` of `tiny` is not what it was") && why.contains("SHA-256"), "{why}");
}

/// Changes one byte of a file in the cache, and gives back what it was.
fn damage(file: &Path) -> Vec<u8> {
    let bytes = std::fs::read(file).expect("a file");
    let mut other = bytes.clone();
    other[100] ^= 1;
    std::fs::write(file.canonicalize().expect("a file"), other).expect("a file");
    bytes
}

#[test]
fn a_changed_file_is_never_taken_for_what_the_hub_has() {
    let (server, place) = (Server::start(), Place::new());
    let hub = place.hub(&server);
    let again = |hub: &Hub| hub.fetch_again(WANTED, &Hashes::default(), &|_, _, _| {});
    let directory = fetch(&hub).expect("a model");
    for name in ["model.safetensors", "tokenizer.json"] {
        server.asked();
        let file = directory.join(name);
        let original = damage(&file);
        // What cannot be brought again leaves the record as it is.
        again(&Hub { endpoint: Some("http://127.0.0.1:1".into()), ..hub.clone() }).expect_err("no hub");
        let why = again(&Hub { offline: true, ..hub.clone() }).expect_err("a damaged file").to_string();
        assert!(why.contains(&format!("`{name}` in the cache is damaged")), "{why}");
        assert!(matches!(fetch(&hub), Err(EmbedError::Changed { .. })), "{name}");
        assert_eq!(again(&hub).expect("a model"), directory);
        assert_eq!(std::fs::read(&file).expect("a file"), original, "{name}");
        assert_eq!(server.asked(), ["list".to_owned(), format!("{name} 0")]);
        assert_eq!(fetch(&hub).expect("a model"), directory);
    }
}

const PARTS: Wanted<'static> =
    Wanted { name: "parts", repository: "owner/parts", revision: None, graph: None, half: false };

/// What another tool brought is used offline, and is completed when the hub can be asked.
#[test]
fn a_part_of_a_model_is_not_taken_for_all_of_it() {
    let (server, place) = (Server::start(), Place::new());
    let hub = place.hub(&server);
    let references = hub.cache.join("models--owner--parts/refs");
    let directory = hub.cache.join("models--owner--parts/snapshots").join(COMMIT);
    std::fs::create_dir_all(&references).expect("a folder");
    std::fs::create_dir_all(directory.join("onnx")).expect("a folder");
    std::fs::write(references.join("main"), COMMIT).expect("a file");
    for name in ["config.json", "tokenizer.json", "onnx/model.onnx"] {
        std::fs::write(directory.join(name), content("bert", name)).expect("a file");
    }
    let fetch = |hub: &Hub| hub.fetch(PARTS, &Hashes::default(), &|_, _, _| {});
    let offline = Hub { offline: true, ..hub.clone() };
    let nowhere = Hub { endpoint: Some("http://127.0.0.1:1".into()), ..hub.clone() };
    assert_eq!(fetch(&offline).expect("a model"), directory);
    assert_eq!(fetch(&nowhere).expect("a model"), directory);
    assert!(!directory.join("onnx/model.onnx_data").exists());
    assert_eq!(fetch(&hub).expect("a model"), directory);
    assert_eq!(server.asked(), ["list", "onnx/model.onnx_data 0"]);
    assert_eq!(fetch(&hub).expect("a model"), directory);
    assert_eq!(server.asked(), [""; 0]);
}

/// A GPU's graph comes when there is a GPU, at the commit that was recorded, and with its weights.
#[test]
fn the_graph_in_half_precision_comes_when_it_is_wanted() {
    let (server, place) = (Server::start(), Place::new());
    let hub = place.hub(&server);
    let fetch = |half| hub.fetch(Wanted { half, ..PARTS }, &Hashes::default(), &|_, _, _| {}).expect("a model");
    let directory = fetch(false);
    assert!(directory.join("onnx/model.onnx_data").is_file() && !directory.join("onnx/model_fp16.onnx").exists());
    server.asked();
    fetch(true);
    assert_eq!(server.asked(), ["list", "onnx/model_fp16.onnx 0", "onnx/model_fp16.onnx_data 0"]);
    assert!(!directory.join("onnx/model_q4.onnx").exists());
    // From then on it is among the files that must not change.
    fetch(false);
    fetch(true);
    assert_eq!(server.asked(), [""; 0]);
    std::fs::write(directory.join("onnx/model_fp16.onnx").canonicalize().expect("a file"), "flah").expect("a file");
    assert!(matches!(hub.find(PARTS, &Hashes::default()), Err(EmbedError::Changed { .. })));
}

#[test]
fn what_cannot_be_reached_is_said() {
    let (server, place) = (Server::start(), Place::new());
    let hub = place.hub(&server);
    let offline = Hub { offline: true, ..hub.clone() };
    assert!(fetch(&offline).expect_err("no model").to_string().contains("HF_HUB_OFFLINE is set"));
    assert!(server.asked().is_empty());
    let nowhere = Hub { endpoint: Some("http://127.0.0.1:1".into()), ..hub.clone() };
    let why = fetch(&nowhere).expect_err("no model").to_string();
    assert!(why.starts_with("`tiny` could not be fetched: ") && why.contains("127.0.0.1:1"), "{why}");
    let wanted = Wanted { repository: "owner/other", ..WANTED };
    let why = hub.fetch(wanted, &Hashes::default(), &|_, _, _| {}).expect_err("no model").to_string();
    assert!(why.contains("404"), "{why}");
}

/// Of several graphs the one that is named is brought, and each is recorded for itself.
#[test]
fn a_graph_that_is_named_is_the_one_that_comes() {
    let server = Server::start();
    let place = Place::new();
    let hub = place.hub(&server);
    let wanted = |graph| Wanted { name: "writer", repository: "owner/writer", revision: None, graph, half: false };
    let fetched = |graph| hub.fetch(wanted(graph), &Hashes::default(), &|_, _, _| {});
    let why = fetched(None).expect_err("there is no usual one").to_string();
    assert!(why.contains("onnx/model.onnx"), "{why}");
    let first = fetched(Some("onnx/model_q4.onnx")).expect("a model");
    assert!(first.join("onnx/model_q4.onnx").is_file() && !first.join("onnx/model_int8.onnx").exists());
    let second = fetched(Some("onnx/model_int8.onnx")).expect("a model");
    assert!(second.join("onnx/model_int8.onnx").is_file());
    assert!(hub.find(wanted(Some("onnx/model_q4.onnx")), &Hashes::default()).is_ok_and(|found| found == Some(first)));
    // Nor does one need the other.
    std::fs::remove_file(second.join("onnx/model_q4.onnx")).expect("a file");
    assert!(
        hub.find(wanted(Some("onnx/model_int8.onnx")), &Hashes::default()).is_ok_and(|found| found == Some(second))
    );
}
