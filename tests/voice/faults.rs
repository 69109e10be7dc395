//! Servers that fail, in whatever way, and what is asked of them then.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::{AFTER, BEFORE, Scripted, asking, claim, first_or_second, one_file, repository, said, user};
use crate::github::http::Response;
use crate::support::Ran;

#[test]
fn what_fails_for_the_moment_is_asked_again() {
    let fixture = one_file();
    let model = Scripted::new(|body, at| match at {
        0 => Some(Response::json(503, &json!({"error": "loading"})).with("retry-after", "0")),
        1 => None,
        _ => Some(said(body, &first_or_second(body, &json!([claim()])))),
    });
    let review = model.json(&fixture, &[]);
    assert_eq!(review["findings"].as_array().map(Vec::len), Some(1), "{review:#}");
    assert_eq!(review["llm"]["requests"], 4);
}

#[test]
fn an_attempt_that_is_given_up_counts() {
    let model = Scripted::new(|body, at| {
        if at == 0 {
            return Some(Response::json(503, &json!({})).with("retry-after", "0"));
        }
        std::thread::sleep(Duration::from_secs(8));
        Some(said(body, "{}"))
    });
    let review = model.json(&one_file(), &["--llm-seconds", "3"]);
    assert_eq!(review["llm"]["requests"], 2, "{review:#}");
    let promised = review["llm"]["tokens"]["prompt"].as_u64().expect("a number");
    assert!(promised > 400, "nobody says what it cost, so all of the question counts: {promised}");
}

#[test]
fn a_server_without_schemas_is_asked_without() {
    let fixture = one_file();
    let model = Scripted::new(|body, _| match body["response_format"]["type"].as_str() {
        Some("json_schema") => Some(Response::json(400, &json!({"error": {"message": "response_format is unknown"}}))),
        Some(_) => Some(Response::json(422, &json!({"detail": "json_object is unknown"}))),
        None => Some(said(body, &format!("Sure!\n{}", first_or_second(body, &json!([claim()]))))),
    });
    let review = model.json(&fixture, &[]);
    assert_eq!(review["findings"].as_array().map(Vec::len), Some(1), "{review:#}");
    let formats: Vec<Value> = model.bodies().iter().map(|body| body["response_format"]["type"].clone()).collect();
    assert_eq!(formats, [json!("json_schema"), json!("json_object"), Value::Null, Value::Null]);
}

/// A question that is too long is too long in every form: the next ones are asked by schema as before.
#[test]
fn a_refusal_of_another_kind_changes_no_form() {
    let fixture = repository(&[("src/a.rs", BEFORE, AFTER), ("src/b.rs", BEFORE, AFTER)]);
    let model = Scripted::new(|body, _| match user(body).contains("file: src/a.rs") {
        true => Some(Response::json(400, &json!({"error": {"message": "maximum context length is 512 tokens"}}))),
        false => {
            std::thread::sleep(Duration::from_millis(300));
            Some(said(body, &first_or_second(body, &json!([claim()]))))
        }
    });
    let review = model.json(&fixture, &[]);
    assert_eq!(review["findings"].as_array().map(Vec::len), Some(1), "{review:#}");
    assert!(review["skipped"].to_string().contains("maximum context length"), "{}", review["skipped"]);
    for body in model.bodies() {
        assert_eq!(body["response_format"]["type"], "json_schema", "the second look comes behind the refusal");
    }
    assert_eq!(model.asked().len(), 3, "and what is refused so is not asked again");
}

/// As the server of llama.cpp's Python bindings answers.
#[test]
fn a_server_that_fails_on_one_form_of_schema_is_asked_in_another() {
    let fixture = one_file();
    let model = Scripted::new(|body, _| match body["response_format"]["type"].as_str() {
        Some("json_object") => Some(said(body, &first_or_second(body, &json!([claim()])))),
        _ => Some(Response::json(
            500,
            &json!({"error": {"message": "('body', 'response_format', 'type'): Input should be 'text' or 'json_object'"}}),
        )),
    });
    let review = model.json(&fixture, &[]);
    assert_eq!(review["findings"].as_array().map(Vec::len), Some(1), "{review:#}");
    let bodies = model.bodies();
    assert_eq!(bodies.len(), 3, "it is learned once");
    assert_eq!(bodies[1]["response_format"]["schema"], bodies[0]["response_format"]["json_schema"]["schema"]);
}

#[test]
fn an_answer_out_of_shape_is_not_remembered() {
    let fixture = one_file();
    let cut = Scripted::new(|body, at| {
        let whole = first_or_second(body, &json!([claim()]));
        // The first answer is cut in the first run, the second in the second.
        Some(said(body, if at == 0 || at == 2 { &whole[..whole.len() - 9] } else { &whole }))
    });
    let reviews = [0, 1, 2, 3].map(|_| cut.json(&fixture, &[]));
    let shown = reviews.each_ref().map(|review| review["findings"].as_array().map_or(0, Vec::len));
    assert_eq!(shown, [0, 0, 1, 1], "{reviews:#?}");
    let sent = reviews.each_ref().map(|review| review["llm"]["requests"].as_u64().expect("a number"));
    assert_eq!(sent, [1, 2, 1, 0], "what was whole is remembered");
}

/// A server waits as long as it says, and no longer than there is time; what stays busy is asked four times in all.
#[test]
fn a_busy_server_is_asked_as_often_as_it_may_be() {
    for (wait, sent) in [("0", 4), ("7200", 1), ("Fri, 31 Dec 2100 23:59:59 GMT", 1)] {
        let model = Scripted::new(move |_, _| Some(Response::json(503, &json!({})).with("retry-after", wait)));
        let review = model.json(&one_file(), &[]);
        assert_eq!((model.asked().len(), &review["llm"]["requests"]), (sent, &json!(sent)), "{wait}");
        assert!(review["skipped"].to_string().contains("503"), "{}", review["skipped"]);
    }
}

/// A server that writes what it likes; its address, and how often it was asked.
fn raw(write: impl Fn(&mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let count = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut buffer = [0; 1 << 16];
            // The beginning of the question is enough to know that there is one.
            if stream.read(&mut buffer).is_ok_and(|bytes| bytes > 0) {
                count.fetch_add(1, Ordering::SeqCst);
                // The other side hangs up when it has enough.
                let _ = write(&mut stream);
            }
        }
    });
    (address, asked)
}

#[test]
fn an_answer_that_breaks_off_or_never_ends_is_left_out() {
    let half = |stream: &mut TcpStream| {
        stream.write_all(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 4000\r\n\r\n{\"choices\":[{",
        )?;
        stream.flush()
    };
    let endless = |stream: &mut TcpStream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")?;
        loop {
            stream.write_all(&[b' '; 1 << 14])?;
        }
    };
    for (address, why) in [(raw(half).0, "broke off"), (raw(endless).0, "longer than")] {
        let fixture = one_file();
        let plain = fixture.json(&["review", "main..topic", "--json"]);
        let ran = Ran::of(asking(&address, &fixture, &["--json", "--llm-seconds", "3"]).output().expect("the binary"));
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let review: Value = serde_json::from_str(&ran.stdout).expect("JSON");
        assert_eq!((&review["briefing"], &review["findings"]), (&plain["briefing"], &plain["findings"]), "{why}");
        assert!(review["skipped"].to_string().contains(why), "{}", review["skipped"]);
        let promised = review["llm"]["tokens"]["prompt"].as_u64().expect("a number");
        assert!(promised > 400, "what it cost nobody says: {promised}");
    }
}

/// Whoever does not want to wait has the briefing.
#[cfg(unix)]
#[test]
fn a_review_that_is_interrupted_is_delivered_without_the_model() {
    let (address, asked) = raw(|stream| {
        // Until the other side hangs up.
        stream.read(&mut [0; 1 << 16]).map(drop)?;
        std::thread::sleep(Duration::from_secs(60));
        Ok(())
    });
    let fixture = one_file();
    let plain = fixture.json(&["review", "main..topic", "--json"]);
    let mut command = asking(&address, &fixture, &["--json"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary");
    while asked.load(Ordering::SeqCst) == 0 {
        std::thread::sleep(Duration::from_millis(20));
    }
    let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.is_ok_and(|status| status.success()));
    let ran = Ran::of(child.wait_with_output().expect("the end"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let review: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!((&review["briefing"], &review["findings"]), (&plain["briefing"], &plain["findings"]));
    assert!(review["skipped"].to_string().contains("it was interrupted"), "{}", review["skipped"]);
    assert_eq!(review["llm"]["requests"], 1);
}
