//! A store in a bucket, on a server that speaks S3's protocol.
//!
//! `just s3` installs the server, and names it in `PRECEDENT_S3_SERVER`. Where that is not set nothing is checked here.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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

/// What becomes of a request that somebody between a program and its bucket sees.
enum Fate {
    Passed,
    /// It is passed on, and the answer is lost.
    Cut,
    /// It is answered as S3 does where a key may not do that.
    Refused,
}

/// Somebody between a program and its bucket, until it is dropped.
struct Between {
    address: String,
    over: Arc<AtomicBool>,
}

impl Between {
    fn start(upstream: &str, fate: impl Fn(&[u8]) -> Fate + Send + Sync + 'static) -> Between {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let over = Arc::new(AtomicBool::new(false));
        let (ended, upstream, fate) = (Arc::clone(&over), upstream.to_owned(), Arc::new(fate));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let (fate, upstream) = (Arc::clone(&fate), upstream.clone());
                std::thread::spawn(move || stream.ok().and_then(|stream| pass(&stream, &upstream, &*fate)));
            }
        });
        Between { address, over }
    }
}

impl Drop for Between {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(&self.address);
    }
}

/// Passes the requests of one connection on, one after the other.
fn pass(client: &TcpStream, upstream: &str, fate: &dyn Fn(&[u8]) -> Fate) -> Option<()> {
    let mut requests = BufReader::new(client.try_clone().ok()?);
    let mut client = client;
    loop {
        let request = message(&mut requests, true)?;
        let fate = fate(&request);
        if let Fate::Refused = fate {
            let body = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
            let head =
                format!("HTTP/1.1 403 Forbidden\r\nContent-Type: application/xml\r\nContent-Length: {}", body.len());
            client.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).ok()?;
            continue;
        }
        let mut server = TcpStream::connect(upstream).ok()?;
        server.write_all(&request).ok()?;
        // The answer to a HEAD has a length and no body.
        let answer = message(&mut BufReader::new(server), !request.starts_with(b"HEAD "))?;
        if let Fate::Cut = fate {
            return None;
        }
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
    // Every third request is done, and nobody hears of it.
    let (asked, cut) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&cut);
    let between = Between::start(&server.address, move |_| {
        let at = asked.fetch_add(1, Ordering::Relaxed) + 1;
        if at % 3 > 0 {
            return Fate::Passed;
        }
        counter.fetch_add(1, Ordering::Relaxed);
        Fate::Cut
    });
    let ran = asking(&between.address, &fixture, &["index", "--json", "--store", STORE]).output().expect("the binary");
    let ran = Ran::of(ran);
    assert!(cut.load(Ordering::Relaxed) > 3);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(server.json(&fixture, &["store", "check", "--json", "--store", STORE])["ok"], true);
    let folder = fixture.beside("folder").to_string_lossy().into_owned();
    let there = fixture.json(&["index", "--json", "--store", &folder]);
    assert_eq!(server.json(&fixture, &["index", "--json", "--store", STORE])["totals"], there["totals"]);
}

/// What all that is in the bucket is called, and which version it has.
fn listed(server: &Server) -> String {
    let mut stream = TcpStream::connect(&server.address).expect("the server");
    let request = "GET /history?list-type=2 HTTP/1.1\r\nHost: s3\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let entries = answer.split("<Contents>").skip(1);
    entries.filter_map(|entry| entry.split("<StorageClass>").next()).collect()
}

#[test]
fn a_key_that_may_only_read_reviews_with_an_index_that_is_behind() {
    let Some(program) = installed() else { return };
    let (server, fixture) = (Server::start(&program), Fixture::new("review"));
    server.json(&fixture, &["index", "--tip", "main~3", "--json", "--store", STORE]);
    let before = listed(&server);
    assert!(before.contains("manifest.json") && before.contains("<ETag>"), "{before}");
    let refused = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&refused);
    let reading = Between::start(&server.address, move |request| {
        if request.starts_with(b"GET ") || request.starts_with(b"HEAD ") {
            return Fate::Passed;
        }
        counter.fetch_add(1, Ordering::Relaxed);
        Fate::Refused
    });
    let ask = |arguments: &[&str]| {
        let arguments = [arguments, &["--store", STORE]].concat();
        Ran::of(asking(&reading.address, &fixture, &arguments).output().expect("the binary"))
    };
    // The same as with an index that is up to date.
    let review = ["review", "main..topic", "--json"];
    let here = fixture.run(&review);
    let ran = ask(&review);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(without_time_and_place(&ran.stdout), without_time_and_place(&here.stdout), "{}", ran.stderr);
    assert!(ran.stderr.contains("s3://history/of/this/lock` cannot be written"), "{}", ran.stderr);
    assert!(ran.stderr.contains("kept in memory, for this run alone"), "{}", ran.stderr);
    assert!(refused.load(Ordering::Relaxed) > 0);
    // So are questions; and what is asked at what is indexed says nothing.
    assert_eq!(ask(&["search", "connect", "--json"]).code, 0);
    let known = ask(&["search", "connect", "--json", "--as-of", "main~3"]);
    assert_eq!((known.code, known.stderr.as_str()), (0, ""));
    // Who is to write is told that it cannot.
    for arguments in [&["index"][..], &["store", "compact"], &["replay", "--last", "2", "--keep"]] {
        let ran = ask(arguments);
        assert_eq!(ran.code, 3, "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("cannot write"), "{arguments:?}: {}", ran.stderr);
    }
    assert_eq!(listed(&server), before, "nothing was written");
    // Where there is no index at all, one is made for the run.
    let empty = [&review[..], &["--store", "s3://history/elsewhere"]].concat();
    let ran = Ran::of(asking(&reading.address, &fixture, &empty).output().expect("the binary"));
    assert_eq!(without_time_and_place(&ran.stdout), without_time_and_place(&here.stdout), "{}", ran.stderr);
    assert_eq!(listed(&server), before, "nothing was written");
}

/// A nightly job may take long, and no review waits for it.
#[test]
fn while_another_process_writes_to_a_bucket_reviews_go_on() {
    let Some(program) = installed() else { return };
    let (server, fixture) = (Server::start(&program), Fixture::new("review"));
    server.json(&fixture, &["index", "--tip", "main~3", "--json", "--store", STORE]);
    // A writer that takes the lock, which it does at its second try since the lock is there and free, and from then on
    // can do nothing, not even give it back.
    let tries = AtomicUsize::new(0);
    let between = Between::start(&server.address, move |request| {
        let is_try = request.starts_with(b"PUT /history/of/this/lock");
        let before = if is_try { tries.fetch_add(1, Ordering::SeqCst) } else { tries.load(Ordering::SeqCst) };
        if before < 2 { Fate::Passed } else { Fate::Refused }
    });
    let writer = asking(&between.address, &fixture, &["index", "--store", STORE]).output().expect("the binary");
    assert_eq!(Ran::of(writer).code, 3);
    let before = listed(&server);
    let here = fixture.run(&["review", "main..topic", "--json"]);
    let ran = server.run(&fixture, &["review", "main..topic", "--json", "--store", STORE]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(without_time_and_place(&ran.stdout), without_time_and_place(&here.stdout));
    assert!(
        ran.stderr.contains("lock` is held by another writer; what the index lacks is kept in memory"),
        "{}",
        ran.stderr
    );
    let ran = server.run(&fixture, &["index", "--store", STORE]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(ran.stderr.contains("another"), "{}", ran.stderr);
    assert_eq!(listed(&server), before, "nothing was written");
}

/// With a key that may only read, in a job of a pull request, whose step summary says how old the index is.
#[test]
fn a_pull_request_is_reviewed_with_a_key_that_may_only_read() {
    use crate::github::run::{Runner, github_of, payload};
    let Some(program) = installed() else { return };
    let (server, fixture) = (Server::start(&program), Fixture::new("review"));
    server.json(&fixture, &["index", "--tip", "main~3", "--json", "--store", STORE]);
    let before = listed(&server);
    let reading = Between::start(&server.address, |request| match request.starts_with(b"GET ") {
        true => Fate::Passed,
        false if request.starts_with(b"HEAD ") => Fate::Passed,
        false => Fate::Refused,
    });
    let github = github_of(&fixture);
    let runner = Runner::new(&payload(&fixture), &github.api());
    let (event, out) = (runner.path("event.json"), runner.path("findings.json"));
    let (event, out) = (event.to_string_lossy(), out.to_string_lossy());
    let mut command =
        asking(&reading.address, &fixture, &["review", "--event", &event, "--out", &out, "--store", STORE]);
    let ran = Ran::of(command.envs(&runner.variables).output().expect("the binary"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(runner.findings()["findings"][0]["check"], "stale-doc");
    let summary = runner.read("summary.md");
    assert!(summary.contains("The index held 5 commits, the newest of "), "{summary}");
    assert!(summary.contains("; 3 were added for this review."), "{summary}");
    assert_eq!(listed(&server), before, "nothing was written");
}

#[test]
fn what_was_got_once_is_not_got_again_and_what_is_not_it_is_not_used() {
    let Some(program) = installed() else { return };
    let (server, fixture) = (Server::start(&program), Fixture::new("review"));
    let there = fixture.json(&["review", "main..topic", "--json"]);
    server.json(&fixture, &["index", "--json", "--store", STORE]);
    let shelf = fixture.beside("cache/precedent/shards");
    // On another machine nothing is on the shelf.
    std::fs::remove_dir_all(&shelf).expect("what was written is on the shelf");
    let got = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&got);
    let between = Between::start(&server.address, move |request| {
        let first = request.split(|byte| *byte == b'\n').next().unwrap_or_default();
        if first.starts_with(b"GET ") && String::from_utf8_lossy(first).contains(".parquet") {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        Fate::Passed
    });
    let review = || {
        got.store(0, Ordering::Relaxed);
        let arguments = ["review", "main..topic", "--json", "--store", STORE];
        let ran = Ran::of(asking(&between.address, &fixture, &arguments).output().expect("the binary"));
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert_eq!(without_time_and_place(&ran.stdout), without_time_and_place(&there.to_string()));
        got.load(Ordering::Relaxed)
    };
    let first = review();
    assert!(first >= 5, "{first} shards");
    assert_eq!(review(), 0, "all of it is here");
    let shards: Vec<PathBuf> =
        std::fs::read_dir(&shelf).expect("the shelf").map(|entry| entry.expect("a file").path()).collect();
    // Two threads that want the same one may both get it.
    assert!((5..=first).contains(&shards.len()), "{shards:?}");
    for shard in &shards {
        let mut bytes = std::fs::read(shard).expect("a shard");
        *bytes.last_mut().expect("a byte") ^= 1;
        std::fs::write(shard, bytes).expect("a shard");
    }
    assert!(review() >= shards.len(), "what was changed is got again");
    assert_eq!(review(), 0);
}
