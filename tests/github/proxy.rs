//! A proxy that does to chosen requests what networks and servers do.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::fake::refusal;
use super::http::{Response, Server, forward};

#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// The server did it, and the answer is lost: 502.
    BadGateway,
    /// The same before the server heard of it.
    BadGatewayBefore,
    /// The server did it, and the connection breaks.
    Drop,
    /// The connection breaks before.
    DropBefore,
    /// Too many requests, `retry-after` seconds.
    TooMany(u64),
    /// This answer in place of the server's.
    Instead(Response),
}

pub(crate) struct Proxy {
    server: Server,
    seen: Arc<AtomicUsize>,
}

impl Proxy {
    /// Faults by the number of the request, from 0.
    pub(crate) fn new(upstream: &str, faults: HashMap<usize, Fault>) -> Proxy {
        let upstream = upstream.to_owned();
        let seen = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&seen);
        let server = Server::start(move |request| {
            let number = counter.fetch_add(1, Ordering::SeqCst);
            match faults.get(&number) {
                None => forward(&upstream, &request),
                Some(Fault::BadGateway) => {
                    forward(&upstream, &request);
                    Some(html(502))
                }
                Some(Fault::BadGatewayBefore) => Some(html(502)),
                Some(Fault::Drop) => {
                    forward(&upstream, &request);
                    None
                }
                Some(Fault::DropBefore) => None,
                Some(Fault::TooMany(seconds)) => {
                    Some(refusal(429, "You have exceeded a rate limit").with("retry-after", &seconds.to_string()))
                }
                Some(Fault::Instead(response)) => Some(response.clone()),
            }
        });
        Proxy { server, seen }
    }

    pub(crate) fn api(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Requests so far.
    pub(crate) fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }
}

pub(crate) fn html(status: u16) -> Response {
    let headers = vec![("content-type".to_owned(), "text/html".to_owned())];
    Response { status, headers, body: b"<html><body>Unicorn!</body></html>".to_vec() }
}
