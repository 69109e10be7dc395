//! Voice: which language model a review asks, as the arguments and the environment say.

use precedent_bot::Review;
#[cfg(feature = "llm")]
use precedent_bot::finding::Left;
use precedent_bot::voice::{Material, Spoken};

use crate::args::ReviewArguments;
use crate::failure::{Failure, Kind};

/// A language model, or nobody.
pub(crate) struct Speaker {
    #[cfg(feature = "llm")]
    inner: Option<Result<opened::Opened, String>>,
    /// What would be said, instead of saying it.
    explained: std::cell::RefCell<Option<String>>,
    explains: bool,
}

/// The model that was asked for on the command line, or else by the environment.
fn asked(options: &ReviewArguments) -> Option<String> {
    let named = options.llm.clone().or_else(|| std::env::var("PRECEDENT_LLM").ok());
    named.filter(|name| !name.is_empty() && name != "none")
}

impl Speaker {
    /// Makes the model ready. That it cannot be made so is among what the review leaves out; only what was typed wrongly
    /// ends the run.
    pub(crate) fn open(options: &ReviewArguments) -> Result<Speaker, Failure> {
        let asked = asked(options);
        if asked.is_none() && options.explain_prompt {
            return Err(Failure::new(Kind::Usage, "--explain-prompt needs a language model")
                .with_hint("name one, as in: precedent review --llm deepseek-coder-1.3b-instruct --explain-prompt"));
        }
        Speaker::of(asked, options)
    }

    #[cfg(feature = "llm")]
    fn of(asked: Option<String>, options: &ReviewArguments) -> Result<Speaker, Failure> {
        let inner = match asked.map(|name| opened::Opened::new(&name, options)).transpose() {
            Err(failure) if failure.is_usage() || options.explain_prompt => return Err(failure),
            Err(failure) => Some(Err(failure.message().to_owned())),
            Ok(opened) => opened.map(Ok),
        };
        Ok(Speaker { inner, explained: std::cell::RefCell::default(), explains: options.explain_prompt })
    }

    #[cfg(not(feature = "llm"))]
    fn of(asked: Option<String>, options: &ReviewArguments) -> Result<Speaker, Failure> {
        match asked {
            Some(name) => {
                Err(Failure::new(Kind::Usage, format!("this build knows no language model, so not `{name}`"))
                    .with_hint("build it with its default features"))
            }
            None => Ok(Speaker { explained: std::cell::RefCell::default(), explains: options.explain_prompt }),
        }
    }

    /// Whether anybody is asked.
    pub(crate) fn is_there(&self) -> bool {
        #[cfg(feature = "llm")]
        {
            self.inner.is_some()
        }
        #[cfg(not(feature = "llm"))]
        {
            false
        }
    }

    /// Asks, or writes down what would be asked.
    pub(crate) fn speak(&self, material: &Material<'_>) -> Spoken {
        #[cfg(feature = "llm")]
        match &self.inner {
            Some(Ok(opened)) if self.explains => *self.explained.borrow_mut() = Some(opened.explain(material)),
            Some(Ok(opened)) => return opened.speak(material),
            Some(Err(why)) => {
                let left = Left { what: "the language model".into(), why: why.clone() };
                return Spoken { skipped: vec![left], ..Spoken::default() };
            }
            None => {}
        }
        #[cfg(not(feature = "llm"))]
        let _ = material;
        Spoken::default()
    }

    /// What would be sent, if that was all that was wanted.
    pub(crate) fn explanation(&self) -> Option<String> {
        self.explained.borrow_mut().take().filter(|_| self.explains)
    }

    /// Refuses a review that would give away what the model was asked with.
    pub(crate) fn guard(&self, review: &Review, text: &str) -> Result<(), Failure> {
        let gave_away = review.voice.as_ref().is_some_and(|account| account.gave_away);
        #[cfg(feature = "llm")]
        let key = self.inner.as_ref().and_then(|opened| opened.as_ref().ok()).map_or("", |opened| opened.key());
        #[cfg(feature = "llm")]
        let gave_away = gave_away || precedent_bot::redact::gives_away(text, key);
        #[cfg(not(feature = "llm"))]
        let _ = text;
        if gave_away {
            return Err(Failure::new(
                Kind::Secret,
                "the language model's key came back in an answer, so the review was not written",
            )
            .with_hint("the key is not safe with that server: take it back"));
        }
        Ok(())
    }
}

#[cfg(feature = "llm")]
mod opened {
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::time::Duration;

    use precedent_bot::llm::{self, Address, Cache, Limits, Local, Model, OpenAi, Settings};
    use precedent_bot::voice::{Material, Spoken};
    use precedent_model::embed::Options;
    use precedent_model::generate::Counter;
    use precedent_model::open::Source;

    use crate::args::ReviewArguments;
    use crate::failure::{Failure, Kind};
    use crate::progress::{Download, interruptible};
    use crate::{model, screen};

    pub(super) struct Opened {
        model: Box<dyn Model>,
        limits: Limits,
        cache: Option<PathBuf>,
    }

    fn variable(name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }

    impl Opened {
        pub(super) fn new(name: &str, options: &ReviewArguments) -> Result<Opened, Failure> {
            let url = options.llm_url.clone().or_else(|| variable("PRECEDENT_LLM_URL"));
            // What a decoder here writes cannot leave its shape, so that there is nothing to think in.
            let thinking = url.as_ref().and(options.llm_thinking_tokens).unwrap_or_default();
            let model: Box<dyn Model> = match url {
                Some(url) => Box::new(hosted(name, url, options)?),
                None => Box::new(local(name)?),
            };
            let usual = Limits::default();
            let limits = Limits {
                tokens: options.llm_tokens.unwrap_or(usual.tokens),
                requests: options.llm_requests.unwrap_or(usual.requests),
                time: options.llm_seconds.map_or(usual.time, Duration::from_secs),
                cost: options.llm_cost,
                thinking_tokens: thinking as usize,
                prices: options.llm_input_price.zip(options.llm_output_price).map(|(input, output)| [input, output]),
                ..usual
            };
            let cache = crate::place::user_cache().map(|cache| cache.join("answers"));
            Ok(Opened { model, limits, cache })
        }

        pub(super) fn key(&self) -> &str {
            self.model.key()
        }

        pub(super) fn speak(&self, material: &Material<'_>) -> Spoken {
            interruptible(|flag| llm::speak(&self.settings(flag), material))
        }

        pub(super) fn explain(&self, material: &Material<'_>) -> String {
            interruptible(|flag| llm::explain(&self.settings(flag), material))
        }

        fn settings<'a>(&'a self, flag: &'a std::sync::atomic::AtomicBool) -> Settings<'a> {
            Settings {
                model: &*self.model,
                cache: self.cache.clone().map(Cache::in_folder),
                limits: self.limits,
                cancelled: flag,
            }
        }
    }

    fn hosted(name: &str, url: String, options: &ReviewArguments) -> Result<OpenAi, Failure> {
        let key = variable("PRECEDENT_LLM_KEY").unwrap_or_default();
        let context_tokens = options.llm_context.unwrap_or(8192);
        let answers_as = options.llm_answers_as.clone();
        let address = Address { url, model: name.to_owned(), answers_as, key: key.trim().to_owned(), context_tokens };
        let model = OpenAi::new(address).map_err(|why| {
            Failure::new(Kind::Usage, why)
                .with_hint("give the address up to `/chat/completions`, as in: --llm-url http://localhost:8080/v1")
        })?;
        let tokenizer =
            options.llm_tokenizer.clone().or_else(|| variable("PRECEDENT_LLM_TOKENIZER").map(PathBuf::from));
        let Some(file) = tokenizer else { return Ok(model) };
        let counter = Counter::open(&file).map_err(|why| Failure::new(Kind::Usage, why))?;
        Ok(model.counting_with(counter))
    }

    fn local(name: &str) -> Result<Local, Failure> {
        let (source, graph) = Source::parse_with_graph(name)?;
        let tell = Arc::new(|text: &str| screen::tell(&format!("note: {text}")));
        let options = Options { device: model::device(None)?, threads: None, tell };
        let download = Download::new();
        let show = |file: &str, done, total| download.show(file, done, total);
        let decoder = model::models()?.open_decoder(&source, graph.as_deref(), &options, &show);
        download.finish();
        Ok(Local::new(decoder?))
    }
}
