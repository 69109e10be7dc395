//! A model on this machine: a decoder that the ONNX Runtime runs, with answers that cannot leave their shape.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use precedent_model::generate::{Decoder, Ending, Request, Sampling};
use serde_json::{Value, json};

use super::control;
use super::model::{Ask, Message, Model, Refusal, Reply, Shape};

/// A model on this machine.
pub struct Local {
    decoder: Arc<Decoder>,
}

impl Local {
    /// A decoder as a model.
    pub fn new(decoder: Decoder) -> Local {
        Local { decoder: Arc::new(decoder) }
    }

    fn prompt(&self, messages: &[Message]) -> Result<String, String> {
        let said: Vec<(&str, &str)> =
            messages.iter().map(|message| (message.role.as_str(), message.content.as_str())).collect();
        self.decoder.chat(&said)
    }
}

/// Tells a decoder to stop when nobody waits for it any longer.
struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[async_trait]
impl Model for Local {
    fn name(&self) -> &str {
        self.decoder.name()
    }

    fn fingerprint(&self) -> String {
        self.decoder.fingerprint().to_owned()
    }

    fn context_tokens(&self) -> usize {
        self.decoder.context_tokens()
    }

    fn count(&self, text: &str) -> usize {
        self.decoder.count(text)
    }

    fn plain(&self, text: &str) -> String {
        self.decoder.plain(&control::plain(text))
    }

    fn overhead(&self, _: usize) -> usize {
        self.decoder.template_tokens()
    }

    /// One question has all cores.
    fn parallel(&self) -> usize {
        1
    }

    fn key(&self) -> &str {
        ""
    }

    fn as_one_text(&self, messages: &[Message]) -> Option<String> {
        self.prompt(messages).ok()
    }

    fn beside(&self, shape: &Shape, max_tokens: usize) -> Value {
        json!({"max_tokens": max_tokens, "sampling": "greedy", "schema": shape.schema})
    }

    async fn answer(&self, ask: &Ask<'_>) -> Result<Reply, Refusal> {
        let prompt = self.prompt(ask.messages).map_err(Refusal::Failed)?;
        let decoder = Arc::clone(&self.decoder);
        let is_over = Arc::new(AtomicBool::new(false));
        let waiting = Waiting(Arc::clone(&is_over));
        let request = Request {
            max_tokens: ask.max_tokens,
            sampling: Sampling::Greedy,
            stops: Vec::new(),
            schema: Some(ask.shape.schema.clone()),
            deadline: Some(Instant::now() + ask.timeout),
        };
        let mut task = tokio::task::spawn_blocking(move || {
            decoder.generate(&prompt, &request, &|| is_over.load(Ordering::SeqCst))
        });
        let written = loop {
            if ask.cancelled.load(Ordering::SeqCst) {
                return Err(Refusal::Cancelled);
            }
            match tokio::time::timeout(std::time::Duration::from_millis(50), &mut task).await {
                Ok(Ok(written)) => break written,
                Ok(Err(error)) => return Err(Refusal::Failed(error.to_string())),
                Err(_) => {}
            }
        };
        drop(waiting);
        let written = written.map_err(Refusal::Failed)?;
        match written.ending {
            Ending::Deadline => Err(Refusal::TooSlow),
            Ending::Cancelled => Err(Refusal::Cancelled),
            Ending::Stop | Ending::Length => Ok(Reply {
                text: written.text,
                prompt_tokens: written.prompt_tokens as u64,
                completion_tokens: written.tokens.len() as u64,
                is_cut: written.ending == Ending::Length,
            }),
        }
    }
}
