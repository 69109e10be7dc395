//! The chain before our small GitHub: a gate for each of them, and Prism with GitHub's own description behind all gates.
//!
//! What a gate is asked goes to Prism, and from there through one router to the GitHub that the gate is of, which a header
//! names. One Prism serves all tests, since each takes a second to start. Whatever it says against a request fails the
//! test, and so does what it says against an answer, unless the test plants just that. Where the contract is not
//! installed a gate is the GitHub itself, and that is said.
//!
//! Two things go around Prism. It knows REST alone, so GraphQL does. And where GitHub Enterprise has the API below
//! `/api/v3`, Prism is asked without that, for the description has one root.

use std::collections::HashMap;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use serde_json::Value;

use super::http::{Request, Response, Server, forward, header};

/// What answers a request.
type Handler = Arc<dyn Fn(&Request) -> Response + Send + Sync>;

/// Which GitHub a request is for, and what it asked for, since Prism writes queries anew.
const FOR: &str = "x-test-github";
const TARGET: &str = "x-test-target";
/// Where GitHub Enterprise has the API.
const ENTERPRISE: &str = "/api/v3";

/// Where `just contract` put GitHub's description; `None` where it has not run.
#[expect(clippy::print_stderr, reason = "that nothing was checked must be seen")]
pub(super) fn contract() -> Option<PathBuf> {
    match std::env::var_os("PRECEDENT_CONTRACT") {
        Some(path) => Some(path.into()),
        None => {
            assert!(std::env::var_os("PRECEDENT_REQUIRE_CONTRACT").is_none(), "the contract is required and not here");
            eprintln!(
                "PRECEDENT_CONTRACT is not set: nothing is held against GitHub's description; see `just contract`"
            );
            None
        }
    }
}

/// The way to a GitHub.
pub(super) struct Gate {
    server: Server,
    prism: Option<&'static Prism>,
    number: u64,
    found: Arc<Found>,
}

/// What was seen at a gate.
#[derive(Default)]
struct Found {
    /// Requests that Prism looked at.
    checked: AtomicUsize,
    violations: Mutex<Vec<Violation>>,
    /// Parts of what may be said against answers.
    planted: Mutex<Vec<String>>,
}

#[derive(Debug)]
struct Violation {
    is_of_request: bool,
    text: String,
}

impl Gate {
    /// The gate of what answers so. A `straight` one leads past Prism.
    pub(super) fn new(straight: bool, handle: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Gate {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (number, handle) = (NEXT.fetch_add(1, Ordering::Relaxed), Arc::new(handle) as Handler);
        let found = Arc::new(Found::default());
        let prism = if straight { None } else { prism() };
        let server = match prism {
            None => Server::start(move |request| Some(handle(&request))),
            Some(prism) => {
                prism.routes.lock().expect("the routes").insert(number, Arc::clone(&handle));
                let noted = Arc::clone(&found);
                Server::start(move |request| match request.target.ends_with("/graphql") {
                    true => Some(handle(&request)),
                    false => prism.pass(number, request, &noted),
                })
            }
        };
        Gate { server, prism, number, found }
    }

    pub(super) fn address(&self) -> &str {
        self.server.address()
    }

    /// Allows, and demands, that something is said against an answer that has this in it.
    pub(super) fn plant(&self, part: &str) {
        self.found.planted.lock().expect("what is planted").push(part.to_owned());
    }

    /// Requests that Prism looked at.
    pub(super) fn checked(&self) -> usize {
        self.found.checked.load(Ordering::SeqCst)
    }

    /// What was said that nobody planted, and what was planted and not said.
    fn wrong(&self) -> Vec<String> {
        if self.prism.is_none() {
            return Vec::new();
        }
        let violations = self.found.violations.lock().expect("the violations");
        let planted = self.found.planted.lock().expect("what is planted");
        let is_planted = |violation: &&Violation| {
            !violation.is_of_request && planted.iter().any(|part| violation.text.contains(part))
        };
        let said = violations.iter().filter(|violation| !is_planted(violation)).map(|violation| violation.text.clone());
        let is_missing = |part: &&String| !violations.iter().any(|violation| violation.text.contains(*part));
        let missing = planted.iter().filter(is_missing).map(|part| format!("planted and not noticed: {part}"));
        said.chain(missing).collect()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let Some(prism) = self.prism {
            prism.routes.lock().expect("the routes").remove(&self.number);
        }
        if !std::thread::panicking() {
            assert_eq!(self.wrong(), Vec::<String>::new(), "GitHub's description of its API says otherwise");
        }
    }
}

/// Prism and its router, for as long as the tests run.
struct Prism {
    address: String,
    routes: Arc<Mutex<HashMap<u64, Handler>>>,
    _router: Server,
    /// It ends with its input, and so with this process.
    _process: Child,
}

fn prism() -> Option<&'static Prism> {
    static PRISM: OnceLock<Option<Prism>> = OnceLock::new();
    PRISM.get_or_init(|| contract().map(|contract| Prism::start(&contract))).as_ref()
}

impl Prism {
    fn start(contract: &Path) -> Prism {
        let routes: Arc<Mutex<HashMap<u64, Handler>>> = Arc::default();
        let known = Arc::clone(&routes);
        let router = Server::start(move |mut request| {
            let number = header(&request.headers, FOR)?.parse().ok()?;
            let handle = Arc::clone(known.lock().expect("the routes").get(&number)?);
            request.target = header(&request.headers, TARGET)?.to_owned();
            Some(handle(&request))
        });
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        let process = Command::new("node")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/github/prism.mjs"))
            .arg(contract.canonicalize().expect("the contract"))
            .args([format!("http://{}", router.address()), port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("node");
        let prism = Prism { address: format!("127.0.0.1:{port}"), routes, _router: router, _process: process };
        for _ in 0..600 {
            if TcpStream::connect(&prism.address).is_ok() {
                return prism;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("prism did not start");
    }

    /// Asks Prism, and notes what it says against the request and its answer.
    fn pass(&self, number: u64, mut request: Request, found: &Found) -> Option<Response> {
        let asked = format!("{} {}", request.method, request.target);
        let target = request.target.clone();
        request.headers.extend([(FOR.to_owned(), number.to_string()), (TARGET.to_owned(), target.clone())]);
        request.target = target.strip_prefix(ENTERPRISE).unwrap_or(&target).to_owned();
        // Prism waits for ever for the rest of what it cannot read.
        if !request.body.is_empty() && serde_json::from_slice::<Value>(&request.body).is_err() {
            let text = format!("{asked}: its body is not JSON");
            found.violations.lock().expect("the violations").push(Violation { is_of_request: true, text });
            return None;
        }
        let answer = forward(&self.address, &request)?;
        found.checked.fetch_add(1, Ordering::SeqCst);
        found.violations.lock().expect("the violations").extend(violations(&asked, &answer));
        Some(answer)
    }
}

/// What an answer of Prism says against a request and its answer.
fn violations(asked: &str, answer: &Response) -> Vec<Violation> {
    let of = |is_of_request: bool, said: &str| Violation { is_of_request, text: format!("{asked}: {said}") };
    // An answer of Prism's own.
    if header(&answer.headers, "content-type").is_some_and(|kind| kind.contains("problem+json")) {
        return vec![of(true, &String::from_utf8_lossy(&answer.body))];
    }
    let Some(said) = header(&answer.headers, "sl-violations") else { return Vec::new() };
    match serde_json::from_str::<Vec<Value>>(said) {
        Ok(all) => all.iter().map(|one| of(one["location"][0] != "response", &one.to_string())).collect(),
        // A list that is too long is cut; what is said against the request stands before the rest.
        Err(_) => vec![of(said.contains("\"location\":[\"request\""), said)],
    }
}

mod tests {
    use super::*;

    fn ask(gate: &Gate, method: &str, target: &str, body: &str) -> Option<u16> {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let (method, target) = (method.to_owned(), target.to_owned());
        let request = Request { method, target, headers, body: body.as_bytes().to_vec() };
        Some(forward(gate.address(), &request)?.status)
    }

    /// What a gate says at its end, without ending the test with it.
    fn verdict(gate: Gate) -> Vec<String> {
        let wrong = gate.wrong();
        gate.found.violations.lock().expect("the violations").clear();
        gate.found.planted.lock().expect("what is planted").clear();
        wrong
    }

    fn answering(status: u16, body: Value) -> Gate {
        Gate::new(false, move |_| Response::json(status, &body))
    }

    const REVIEWS: &str = "/repos/octo/hello/pulls/7/reviews";
    const PULL: &str = "/repos/octo/hello/pulls/7";

    #[test]
    fn a_wrong_request_fails_whatever_is_planted() {
        if contract().is_none() {
            return;
        }
        let wrong = |method: &str, target: &str, body: &str, about: &str| {
            let gate = answering(404, serde_json::json!({"message": "Not Found"}));
            gate.plant(about);
            ask(&gate, method, target, body);
            let wrong = verdict(gate);
            assert!(wrong.iter().any(|said| said.contains(about)), "{about}: {wrong:?}");
        };
        wrong("POST", REVIEWS, r#"{"event": "APPLAUD"}"#, "event");
        wrong("POST", REVIEWS, r#"{"comments": [{"path": 7, "body": "x"}]}"#, "path");
        wrong("GET", &format!("{PULL}/comments?direction=sideways"), "", "direction");
        wrong("GET", &format!("{PULL}/applause"), "", "route");
        wrong("POST", REVIEWS, "{", "JSON");
        wrong("POST", &format!("{ENTERPRISE}{REVIEWS}"), r#"{"event": "APPLAUD"}"#, "event");
    }

    #[test]
    fn a_wrong_answer_fails_unless_it_is_planted_and_what_is_planted_must_be_there() {
        if contract().is_none() {
            return;
        }
        let gate = answering(200, serde_json::json!({"number": "seven"}));
        ask(&gate, "GET", PULL, "");
        assert!(verdict(gate).iter().any(|said| said.contains("number")));
        // A status that is not described.
        let unknown = || answering(418, serde_json::json!({"message": "I am a teapot"}));
        let gate = unknown();
        gate.plant("status");
        assert_eq!(ask(&gate, "GET", PULL, ""), Some(418));
        assert_eq!(verdict(gate), Vec::<String>::new());
        let gate = unknown();
        gate.plant("status");
        gate.plant("a mouse");
        ask(&gate, "GET", PULL, "");
        assert_eq!(verdict(gate), ["planted and not noticed: a mouse"]);
    }

    #[test]
    fn a_gate_that_found_something_ends_its_test() {
        if contract().is_none() {
            return;
        }
        let ended = std::panic::catch_unwind(|| {
            let gate = answering(404, serde_json::json!({"message": "Not Found"}));
            ask(&gate, "GET", &format!("{PULL}/applause"), "");
        });
        assert!(ended.is_err());
    }
}
