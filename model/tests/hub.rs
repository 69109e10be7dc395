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
const WANTED: Wanted<'static> = Wanted { name: "tiny", repository: "owner/tiny", revision: None, graph: None };

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

fn content(folder: &str, name: &str) -> Option<Vec<u8>> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/models").join(folder).join(name)).ok()
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
    if path.starts_with("/api/models/owner/tiny/revision/") {
        log.lock().expect("a lock").push("list".into());
        let body = format!(
            r#"{{"sha":"{COMMIT}","siblings":[{{"rfilename":"config.json"}},{{"rfilename":"tokenizer.json"}},{{"rfilename":"README.md"}},{{"rfilename":"../out"}},{{"rfilename":"model.safetensors"}}]}}"#
        );
        return write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    }
    if path.starts_with("/api/models/owner/writer/revision/") {
        let names =
            ["config.json", "tokenizer.json", "tokenizer_config.json", "onnx/model_int8.onnx", "onnx/model_q4.onnx"];
        let files: Vec<String> = names.iter().map(|name| format!(r#"{{"rfilename":"{name}"}}"#)).collect();
        let body = format!(r#"{{"sha":"{COMMIT}","siblings":[{}]}}"#, files.join(","));
        return write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    }
    let places = [("tiny", "static"), ("writer", "writers/widths")];
    let file = places.iter().find_map(|(name, folder)| {
        let name = path.strip_prefix(&format!("/owner/{name}/resolve/{COMMIT}/"))?;
        Some((name, content(folder, name)?))
    });
    let Some((name, bytes)) = file else {
        return write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let range = range.unwrap_or_else(|| "0-".into());
    let (start, end) = range.split_once('-').expect("a range");
    let start: usize = start.parse().expect("a number");
    let end = end.parse().map_or(bytes.len(), |end: usize| (end + 1).min(bytes.len()));
    let etag: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
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
    let wanted = |graph| Wanted { name: "writer", repository: "owner/writer", revision: None, graph };
    let fetched = |graph| hub.fetch(wanted(graph), &Hashes::default(), &|_, _, _| {});
    let why = fetched(None).expect_err("there is no usual one").to_string();
    assert!(why.contains("onnx/model.onnx"), "{why}");
    let first = fetched(Some("onnx/model_q4.onnx")).expect("a model");
    assert!(first.join("onnx/model_q4.onnx").is_file() && !first.join("onnx/model_int8.onnx").exists());
    let second = fetched(Some("onnx/model_int8.onnx")).expect("a model");
    assert!(second.join("onnx/model_int8.onnx").is_file());
    assert!(hub.find(wanted(Some("onnx/model_q4.onnx")), &Hashes::default()).is_ok_and(|found| found == Some(first)));
}
