//! Tests of what is sent to a server and read from it.

use super::super::model::{Message, Role};
use super::super::prompt;
use super::*;

fn address(url: &str, key: &str) -> Address {
    Address { url: url.into(), model: "m".into(), answers_as: None, key: key.into(), context_tokens: 4096 }
}

/// What is read of an answer whose choice and usage are these.
fn read(choice: Value, usage: Value) -> Result<Reply, Refusal> {
    let model = OpenAi::new(address("http://localhost/v1", "")).expect("a model");
    let messages = [Message { role: Role::User, content: "x".repeat(3_200) }];
    let shape = prompt::shape();
    let ask = Ask {
        messages: &messages,
        shape: &shape,
        max_tokens: 800,
        timeout: Duration::from_secs(1),
        again: &|_| false,
        cancelled: &AtomicBool::new(false),
    };
    model.read(&ask, json!({"model": "m", "choices": [choice], "usage": usage}).to_string().as_bytes())
}

#[test]
fn what_a_server_counts_is_believed_within_reason() {
    let counted = |usage: Value| {
        let reply = read(json!({"message": {"content": "y".repeat(320)}}), usage).expect("an answer");
        (reply.prompt_tokens, reply.completion_tokens)
    };
    assert_eq!(counted(json!({"prompt_tokens": 900, "completion_tokens": 90})), (900, 90));
    assert_eq!(counted(Value::Null), (1_067, 107), "a token for every three bytes");
    assert_eq!(counted(json!({"prompt_tokens": 0, "completion_tokens": 0})), (50, 5));
    let most = counted(json!({"prompt_tokens": u64::MAX, "completion_tokens": u64::MAX}));
    assert_eq!(most, (4 * 3_200, 4 * 800));
    assert_eq!(counted(json!({"prompt_tokens": -1, "completion_tokens": 1e300})), (1_067, 107));
}

#[test]
fn an_answer_that_is_cut_is_told_from_one_that_is_whole() {
    let cut = |content: Value, reason: &str| {
        let reply = read(json!({"message": {"content": content}, "finish_reason": reason}), Value::Null);
        reply.map(|reply| (reply.text, reply.is_cut))
    };
    assert_eq!(cut(json!("{\"a"), "length"), Ok(("{\"a".into(), true)));
    assert_eq!(cut(Value::Null, "length"), Ok((String::new(), true)));
    assert_eq!(cut(json!("{}"), "stop"), Ok(("{}".into(), false)));
    assert!(matches!(cut(Value::Null, "stop"), Err(Refusal::Malformed(_))));
}

#[test]
fn an_attempt_leaves_time_for_another() {
    for (left, time) in [(240, 160), (60, 40), (30, 20), (12, 8), (10, 10), (3, 3), (0, 0)] {
        assert_eq!(attempt_time(Duration::from_secs(left)), Duration::from_secs(time), "{left}");
    }
}

#[test]
fn what_was_found_side_by_side_is_kept() {
    let one = Dialect { format: Format::Object, has_new_limit: true, has_no_temperature: false };
    let other = Dialect { format: Format::Schema, has_new_limit: false, has_no_temperature: true };
    assert_eq!(one.and(other), Dialect { format: Format::Object, has_new_limit: true, has_no_temperature: true });
    assert_eq!(one.and(other), other.and(one));
}

#[test]
fn a_key_travels_encrypted_or_not_at_all() {
    for (url, key, is_usable) in [
        ("https://api.example.org/v1", "k", true),
        ("http://localhost:8080/v1", "k", true),
        ("http://127.0.0.1:8080/v1/", "k", true),
        ("http://[::1]:8080/v1", "k", true),
        ("http://models.example.org/v1", "", true),
        ("http://models.example.org/v1", "k", false),
        ("http://127.0.0.1.example.org/v1", "k", false),
        ("https://user:word@api.example.org/v1", "k", false),
        ("ftp://localhost/v1", "", false),
        ("localhost", "", false),
        ("https://api.example.org/v1", "k\nx: y", false),
    ] {
        assert_eq!(OpenAi::new(address(url, key)).is_ok(), is_usable, "{url}");
    }
    let shown = format!("{:?}", address("http://localhost/v1", "secret-key"));
    assert!(!shown.contains("secret-key"));
}

#[test]
fn names_of_one_model_are_known() {
    for (asked, answered, same) in [
        ("gpt-4o-mini", "gpt-4o-mini-2024-07-18", true),
        ("qwen2.5-coder:1.5b", "qwen2.5-coder:1.5b", true),
        ("tiny", "/models/tiny.gguf", true),
        ("deepseek-ai/deepseek-coder-1.3b-instruct", "deepseek-coder-1.3b-instruct", true),
        ("a", "", true),
        ("gpt-4o", "gpt-4o-2024-08-06", true),
        ("gpt-4o-2024-08-06", "gpt-4o", true),
        ("gpt-4", "gpt-4-0613", true),
        ("claude", "claude-latest", true),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022", true),
        ("claude-3-5-sonnet-latest", "claude-3-5-haiku-20241022", false),
        ("gpt-4o-2024-08-06", "gpt-4o-2024-05-13", false),
        ("qwen2.5-coder", "qwen2.5-coder:7b", true),
        ("tiny", "tiny-q4_k_m.gguf", true),
        ("gpt-4o", "other", false),
        ("gpt-4o", "gpt-4o-mini", false),
        ("gpt-4o-mini", "gpt-4o", false),
        ("gpt-4o", "gpt-4o-mini-2024-07-18", false),
        ("tiny-coder", "tiny", false),
        ("tiny", "tiny-coder", false),
        ("tiny", "tiny-coder.gguf", false),
        ("gpt-4", "gpt-4o", false),
        ("phi-3", "phi-3-5", false),
        ("qwen2.5-coder:7b", "qwen2.5-coder:1.5b", false),
        ("tiny", "huge.gguf", false),
    ] {
        assert_eq!(is_same_model(asked, answered), same, "{asked} {answered}");
    }
}

#[test]
fn servers_say_when_to_come_again() {
    let headers = |text: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_str(text).expect("a value"));
        wait(&headers)
    };
    assert_eq!(headers("7"), Some(Duration::from_secs(7)));
    assert_eq!(headers("0.25"), Some(Duration::from_millis(250)));
    assert_eq!(headers("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
    assert!(headers("Fri, 31 Dec 2100 23:59:59 GMT").is_some_and(|time| time > Duration::from_secs(3600)));
    assert_eq!((headers("soon"), wait(&HeaderMap::new())), (None, None));
}
