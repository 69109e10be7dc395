//! A store in a bucket, on a server that speaks S3's protocol.
//!
//! `just s3` installs the server, and names it in `PRECEDENT_S3_SERVER`. Where that is not set nothing is checked here.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{Fixture, Ran, precedent};

/// The server's program; `None` where it was not installed.
#[expect(clippy::print_stderr, reason = "that nothing was checked must be seen")]
fn installed() -> Option<PathBuf> {
    match std::env::var_os("PRECEDENT_S3_SERVER") {
        Some(path) => Some(path.into()),
        None => {
            assert!(std::env::var_os("PRECEDENT_REQUIRE_S3").is_none(), "a server of S3 is required and not here");
            eprintln!("PRECEDENT_S3_SERVER is not set: nothing is checked here; see `just s3`");
            None
        }
    }
}

/// A server with one bucket, `history`, until it is dropped.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(program: &Path) -> Server {
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        let process = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server");
        let server = Server { process, address: format!("127.0.0.1:{port}") };
        for _ in 0..600 {
            if let Ok(mut stream) = TcpStream::connect(&server.address) {
                let request = "PUT /history HTTP/1.1\r\nHost: s3\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                stream.write_all(request.as_bytes()).expect("a request");
                let mut answer = String::new();
                stream.read_to_string(&mut answer).expect("an answer");
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
                return server;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the server did not start");
    }

    fn command(&self, fixture: &Fixture, arguments: &[&str]) -> Command {
        asking(&self.address, fixture, arguments)
    }

    fn run(&self, fixture: &Fixture, arguments: &[&str]) -> Ran {
        Ran::of(self.command(fixture, arguments).output().expect("the binary"))
    }

    fn json(&self, fixture: &Fixture, arguments: &[&str]) -> serde_json::Value {
        let ran = self.run(fixture, arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.stderr);
        serde_json::from_str(&ran.stdout).expect("JSON")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A command that finds its bucket at an address.
fn asking(address: &str, fixture: &Fixture, arguments: &[&str]) -> Command {
    let mut command = precedent(&fixture.repo(), arguments);
    command
        .env("AWS_ENDPOINT_URL", format!("http://{address}"))
        .envs([("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("AWS_REGION", "eu-central-1")])
        .env_remove("AWS_SESSION_TOKEN");
    command
}

const STORE: &str = "s3://history/of/this";

#[test]
fn a_bucket_answers_as_a_folder_does() {
    let Some(program) = installed() else { return };
    let (server, fixture) = (Server::start(&program), Fixture::new("review"));
    let index = ["index", "--json", "--store"];
    let first = server.json(&fixture, &[&index[..], &[STORE]].concat());
    let folder = fixture.beside("folder");
    let there = fixture.json(&[&index[..], &[&*folder.to_string_lossy()]].concat());
    for key in ["commits", "chunks", "edits", "store_bytes", "shards", "generation"] {
        assert_eq!(first[key], there[key], "{key}");
    }
    assert_eq!(server.json(&fixture, &[&index[..], &[STORE]].concat())["commits"], 0, "nothing is new");
    for question in [
        &["search", "connect", "--json", "-k", "5"][..],
        &["search", "connect", "--json", "--history"],
        &["lineage", "src/client.rs", "--json"],
        &["review", "HEAD~1..HEAD", "--json"],
        &["store", "check", "--json"],
    ] {
        let here = fixture.run(&[question, &["--store", &*folder.to_string_lossy()]].concat());
        let ran = server.run(&fixture, &[question, &["--store", STORE]].concat());
        assert_eq!(
            (ran.code, without_time_and_place(&ran.stdout)),
            (here.code, without_time_and_place(&here.stdout)),
            "{}",
            ran.stderr
        );
    }
    // What was made elsewhere in between is there for everybody.
    fixture.commit("src/more.rs", "pub fn more() -> u32 {\n    7\n}\n", "more");
    assert_eq!(server.json(&fixture, &[&index[..], &[STORE]].concat())["commits"], 1);
    let compact = server.json(&fixture, &["store", "compact", "--json", "--store", STORE]);
    assert!(compact["shards"].as_u64().is_some(), "{compact}");
    assert_eq!(server.json(&fixture, &["store", "gc", "--grace", "0", "--json", "--store", STORE])["schema"], 1);
    assert_eq!(server.json(&fixture, &["store", "check", "--json", "--store", STORE])["ok"], true);
    assert!(!fixture.store().exists(), "nothing is written beside it");
}

/// JSON, in one value or one a line, without the time that it took and the place of the store.
fn without_time_and_place(text: &str) -> Vec<serde_json::Value> {
    let values = serde_json::Deserializer::from_str(text).into_iter();
    values
        .map(|value| {
            let mut value: serde_json::Value = value.expect("JSON");
            if let Some(object) = value.as_object_mut() {
                object.retain(|key, _| key != "seconds" && key != "path");
            }
            value
        })
        .collect()
}

#[test]
fn of_two_writers_at_once_none_loses_what_the_other_wrote() {
    let Some(program) = installed() else { return };
    let (server, fixture) = (Server::start(&program), Fixture::new("numeric"));
    for branch in ["one", "two"] {
        fixture.git(&["switch", "--quiet", "--create", branch, "main"]);
        for at in 0..5 {
            fixture.commit(&format!("{branch}{at}.rs"), &format!("fn {branch}{at}() {{}}\n"), branch);
        }
    }
    let index = |tip: &str| server.command(&fixture, &["index", "--json", "--tip", tip, "--store", STORE]);
    for _ in 0..20 {
        let running: Vec<Child> = ["one", "two"]
            .iter()
            .map(|tip| index(tip).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary"))
            .collect();
        let mut done = 0;
        for mut process in running {
            let mut said = String::new();
            process.stderr.take().expect("a pipe").read_to_string(&mut said).expect("text");
            match process.wait().expect("an end").code() {
                Some(0) => done += 1,
                // Who came second is told so, and comes again.
                Some(3) => assert!(said.contains("another process") || said.contains("is written"), "{said}"),
                other => panic!("{other:?}: {said}"),
            }
        }
        assert!(done > 0);
    }
    for tip in ["one", "two"] {
        assert_eq!(Ran::of(index(tip).output().expect("the binary")).code, 0);
    }
    assert_eq!(server.json(&fixture, &["store", "check", "--json", "--store", STORE])["ok"], true);
    // The same as one writer makes, in whatever order.
    let alone = fixture.beside("alone");
    for tip in ["one", "two"] {
        fixture.json(&["index", "--json", "--tip", tip, "--store", &alone.to_string_lossy()]);
    }
    let together = server.json(&fixture, &["index", "--json", "--tip", "one", "--store", STORE]);
    assert_eq!(together["totals"], fixture.json(&["index", "--json", "--store", &alone.to_string_lossy()])["totals"]);
}

#[test]
fn a_bucket_that_is_not_there_or_not_ours_is_said_in_a_sentence() {
    let Some(program) = installed() else { return };
    let (server, fixture) = (Server::start(&program), Fixture::new("numeric"));
    let ran = server.run(&fixture, &["index", "--store", "s3://elsewhere/store"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(ran.stderr.contains("s3://elsewhere/store/"), "{}", ran.stderr);
    let ran = server.run(&fixture, &["index", "--store", "s3:///store"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    // Nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let ran = asking(&format!("127.0.0.1:{port}"), &fixture, &["store", "check", "--store", STORE]).output();
    let ran = Ran::of(ran.expect("the binary"));
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(!ran.stderr.contains("panicked") && ran.stderr.lines().count() <= 3, "{}", ran.stderr);
}

/// Passes connections on, and cuts some of them: every third after the request was passed on, so that what it asked for
/// may have happened.
struct Cutter {
    address: String,
    cut: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
}

impl Cutter {
    fn start(upstream: &str) -> Cutter {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (cut, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counter, ended, upstream) = (Arc::clone(&cut), Arc::clone(&over), upstream.to_owned());
        let asked = Arc::new(Mutex::new(0_usize));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let (asked, counter, upstream) = (Arc::clone(&asked), Arc::clone(&counter), upstream.clone());
                std::thread::spawn(move || stream.ok().and_then(|stream| pass(&stream, &upstream, &asked, &counter)));
            }
        });
        Cutter { address, cut, over }
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(&self.address);
    }
}

/// Passes the requests of one connection on, one after the other.
fn pass(client: &TcpStream, upstream: &str, asked: &Mutex<usize>, cut: &AtomicUsize) -> Option<()> {
    let mut requests = BufReader::new(client.try_clone().ok()?);
    loop {
        let request = message(&mut requests, true)?;
        let mut server = TcpStream::connect(upstream).ok()?;
        server.write_all(&request).ok()?;
        // The answer to a HEAD has a length and no body.
        let answer = message(&mut BufReader::new(server), !request.starts_with(b"HEAD "))?;
        let at = {
            let mut asked = asked.lock().expect("no panic");
            *asked += 1;
            *asked
        };
        if at % 3 == 0 {
            cut.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let mut client = client;
        client.write_all(&answer).ok()?;
    }
}

/// The bytes of one request or answer.
fn message(stream: &mut impl BufRead, has_body: bool) -> Option<Vec<u8>> {
    let (mut bytes, mut length) = (Vec::new(), 0);
    loop {
        let mut line = Vec::new();
        if stream.read_until(b'\n', &mut line).ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&line).to_ascii_lowercase();
        if let Some(value) = text.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        bytes.extend_from_slice(&line);
        if line == b"\r\n" {
            break;
        }
    }
    if has_body {
        stream.take(length).read_to_end(&mut bytes).ok()?;
    }
    Some(bytes)
}

#[test]
fn answers_that_are_lost_lose_nothing() {
    let Some(program) = installed() else { return };
    let (server, fixture) = (Server::start(&program), Fixture::new("review"));
    let cutter = Cutter::start(&server.address);
    let ran = asking(&cutter.address, &fixture, &["index", "--json", "--store", STORE]).output().expect("the binary");
    let ran = Ran::of(ran);
    assert!(cutter.cut.load(Ordering::Relaxed) > 3);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(server.json(&fixture, &["store", "check", "--json", "--store", STORE])["ok"], true);
    let folder = fixture.beside("folder").to_string_lossy().into_owned();
    let there = fixture.json(&["index", "--json", "--store", &folder]);
    assert_eq!(server.json(&fixture, &["index", "--json", "--store", STORE])["totals"], there["totals"]);
}
