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

/// In front of a server: the first connection gets these bytes and then nothing, and stays open; the others are passed on.
fn stalling_once(first: &'static [u8], server: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        let mut held = None;
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            if held.is_none() {
                let _ = stream.write_all(first);
                held = Some(stream);
                continue;
            }
            let Ok(behind) = TcpStream::connect(&server) else { return };
            let pairs = [(stream.try_clone(), behind.try_clone()), (Ok(behind), Ok(stream))];
            for (from, to) in pairs {
                let (Ok(mut from), Ok(mut to)) = (from, to) else { return };
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
    address
}

/// A connection on which nothing comes, or no more than the beginning, is given up for another one, and the review is whole.
#[test]
fn a_question_that_stalls_is_asked_again_on_another_connection() {
    let half: &[u8] =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 4000\r\n\r\n{\"choices\":[{";
    let review = |first: &'static [u8]| -> Value {
        let fixture = one_file();
        let model = Scripted::claiming(json!([claim()]));
        let address = stalling_once(first, model.server.address().to_owned());
        let ran = Ran::of(asking(&address, &fixture, &["--json", "--llm-seconds", "22"]).output().expect("the binary"));
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert_eq!(model.asked().len(), 2, "the question once more, and the second look");
        serde_json::from_str(&ran.stdout).expect("JSON")
    };
    // Side by side, since each waits until the first attempt is given up.
    let reviews = std::thread::scope(|scope| {
        [&b""[..], half].map(|first| scope.spawn(move || review(first))).map(|run| run.join().expect("a review"))
    });
    for review in reviews {
        assert_eq!(review["findings"].as_array().map(Vec::len), Some(1), "{review:#}");
        assert_eq!((&review["skipped"], &review["partial"]), (&json!([]), &json!(false)), "{review:#}");
        assert_eq!(review["llm"]["requests"], 3);
        let read = review["llm"]["tokens"]["prompt"].as_u64().expect("a number");
        assert!(read > 200 + 400, "the attempt that was given up counts in full: {read}");
    }
}

/// A question that is never answered takes the time of no other, nor that of the second look.
#[test]
fn one_stalled_question_takes_no_finding_with_it() {
    let fixture = repository(&[("src/a.rs", BEFORE, AFTER), ("src/b.rs", BEFORE, AFTER)]);
    let model = Scripted::new(|body, _| {
        if user(body).contains("file: src/b.rs") {
            std::thread::sleep(Duration::from_secs(12));
        }
        Some(said(body, &first_or_second(body, &json!([claim()]))))
    });
    let review = model.json(&fixture, &["--llm-seconds", "6"]);
    assert_eq!(review["findings"].as_array().map(Vec::len), Some(1), "{review:#}");
    assert_eq!(review["findings"][0]["path"], "src/a.rs");
    let unasked = review["llm"]["unasked"].as_array().expect("a list");
    assert_eq!((unasked.len(), &unasked[0]["path"]), (1, &json!("src/b.rs")), "{review:#}");
    assert!(unasked[0]["why"].as_str().is_some_and(|why| why.contains("in time")), "{review:#}");
}

/// A server may say that it read and wrote nothing, or more than there is: the limits hold all the same.
#[test]
fn a_server_that_counts_wrongly_lifts_no_limit() {
    let names: Vec<String> = (0..6).map(|at| format!("src/m{at}.rs")).collect();
    let files: Vec<(&str, &str, &str)> = names.iter().map(|name| (name.as_str(), BEFORE, AFTER)).collect();
    for (count, least, most) in [(u64::MAX, 1_000, 100_000), (0, 100, 1_000)] {
        let model = Scripted::new(move |body, _| {
            let text = first_or_second(body, &json!([]));
            let usage = json!({"prompt_tokens": count, "completion_tokens": count});
            let choices = json!([{"message": {"content": text}}]);
            Some(Response::json(200, &json!({"model": body["model"], "choices": choices, "usage": usage})))
        });
        let review = model.json(&repository(&files), &["--llm-tokens", "20000"]);
        let read = review["llm"]["tokens"]["prompt"].as_u64().expect("a number");
        assert!((least..most).contains(&read), "{read}: {review:#}");
        assert!(!review["briefing"].is_null(), "{review:#}");
    }
}

/// A model that thinks before it speaks may have no room left to speak, which is said; with room for its thoughts it has.
#[test]
fn an_answer_that_is_cut_is_said_to_be() {
    let thinking = || {
        Scripted::new(|body, _| {
            let room = body["max_tokens"].as_u64().unwrap_or_default();
            let is_enough = room > 1_000;
            let text = if is_enough { first_or_second(body, &json!([claim()])) } else { String::new() };
            let reason = if is_enough { "stop" } else { "length" };
            let choices = json!([{"message": {"content": text}, "finish_reason": reason}]);
            Some(Response::json(200, &json!({"model": body["model"], "choices": choices})))
        })
    };
    let model = thinking();
    let review = model.json(&one_file(), &[]);
    let skipped = review["skipped"].to_string();
    assert!(skipped.contains("cut at 800 tokens") && skipped.contains("--llm-thinking-tokens"), "{skipped}");
    let model = thinking();
    let review = model.json(&one_file(), &["--llm-thinking-tokens", "1000"]);
    assert_eq!(review["findings"].as_array().map(Vec::len), Some(1), "{review:#}");
    let rooms: Vec<Value> = model.bodies().iter().map(|body| body["max_tokens"].clone()).collect();
    assert_eq!(rooms, [json!(1_800), json!(1_072)]);
}

/// A deployment has a name of its own, and its answers name the model behind it.
#[test]
fn a_server_may_call_the_model_otherwise() {
    let model = Scripted::new(|body, _| {
        let mut named = body.clone();
        named["model"] = "huge-2024-08-06".into();
        Some(said(&named, &first_or_second(body, &json!([claim()]))))
    });
    let fixture = one_file();
    let refused = model.json(&fixture, &[]);
    assert!(refused["skipped"].to_string().contains("`huge-2024-08-06` answered"), "{}", refused["skipped"]);
    let review = model.json(&fixture, &["--llm-answers-as", "huge"]);
    assert_eq!(review["findings"].as_array().map(Vec::len), Some(1), "{review:#}");
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
