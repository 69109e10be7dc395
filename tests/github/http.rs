//! HTTP for the doubles: one request a connection, nothing else.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn json(status: u16, value: &serde_json::Value) -> Response {
        let headers = vec![("content-type".to_owned(), "application/json; charset=utf-8".to_owned())];
        Response { status, headers, body: value.to_string().into_bytes() }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Response {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

pub(crate) fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// A server on a port of its own, until it is dropped.
pub(crate) struct Server {
    address: String,
    stopping: Arc<AtomicBool>,
}

impl Server {
    /// `handle` answers a request, or drops the connection with `None`.
    pub(crate) fn start(handle: impl Fn(Request) -> Option<Response> + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopping);
        let handle = Arc::new(handle);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let handle = Arc::clone(&handle);
                if let Ok(stream) = stream {
                    std::thread::spawn(move || answer(stream, &*handle));
                }
            }
        });
        Server { address, stopping }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // The listener waits for one more.
        let _ = TcpStream::connect(&self.address);
    }
}

fn answer(mut stream: TcpStream, handle: &dyn Fn(Request) -> Option<Response>) {
    let Some((first, headers, body)) = read_message(&mut stream, true) else { return };
    let mut words = first.split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return };
    let request = Request { method: method.to_owned(), target: target.to_owned(), headers, body };
    if let Some(response) = handle(request) {
        let mut head = format!("HTTP/1.1 {} X\r\n", response.status);
        for (name, value) in &response.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\nconnection: close\r\n\r\n", response.body.len()));
        // In one piece: the second of two would wait until the first was acknowledged.
        let _ = stream.write_all(&[head.as_bytes(), &response.body].concat());
    }
    let _ = stream.shutdown(Shutdown::Both);
}

/// Passes a request on; `None` when there is no answer.
pub(crate) fn forward(address: &str, request: &Request) -> Option<Response> {
    let mut stream = TcpStream::connect(address).ok()?;
    let mut head =
        format!("{} {} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n", request.method, request.target);
    for (name, value) in &request.headers {
        if !["host", "connection", "content-length", "transfer-encoding"].contains(&name.to_lowercase().as_str()) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", request.body.len()));
    stream.write_all(&[head.as_bytes(), &request.body].concat()).ok()?;
    let (first, headers, body) = read_message(&mut stream, false)?;
    let status = first.split(' ').nth(1)?.parse().ok()?;
    let kept = |name: &str| !["connection", "content-length", "transfer-encoding", "keep-alive"].contains(&name);
    let headers = headers.into_iter().filter(|(name, _)| kept(&name.to_lowercase())).collect();
    Some(Response { status, headers, body })
}

/// The first line, the headers and the body of a message.
#[expect(clippy::type_complexity, reason = "three parts of one message, taken apart at once")]
fn read_message(stream: &mut TcpStream, is_request: bool) -> Option<(String, Vec<(String, String)>, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16_384];
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&buffer[..count]);
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let first = lines.next()?.to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let mut body = bytes[end + 4..].to_vec();
    let length: Option<usize> = header(&headers, "content-length").and_then(|length| length.parse().ok());
    let is_chunked = header(&headers, "transfer-encoding").is_some_and(|coding| coding.contains("chunked"));
    let wanted = if is_chunked || !is_request && length.is_none() { usize::MAX } else { length.unwrap_or(0) };
    while body.len() < wanted && !(is_chunked && body.ends_with(b"0\r\n\r\n")) {
        match stream.read(&mut buffer) {
            Ok(count) if count > 0 => body.extend_from_slice(&buffer[..count]),
            _ => break,
        }
    }
    Some((first, headers, if is_chunked { unchunked(&body) } else { body }))
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(end) = body.windows(2).position(|window| window == b"\r\n") {
        let size = std::str::from_utf8(&body[..end]).ok().and_then(|text| usize::from_str_radix(text.trim(), 16).ok());
        let Some(size) = size.filter(|size| *size > 0 && end + 2 + size <= body.len()) else { break };
        out.extend_from_slice(&body[end + 2..end + 2 + size]);
        body = body.get(end + 4 + size..).unwrap_or(&[]);
    }
    out
}
