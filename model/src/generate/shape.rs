//! Shape: a JSON schema to the tokens that may come next, by llguidance. The only file that sees it.
//!
//! What is forced is written without being drawn from. Near the limit of tokens only what leads to the end is drawn, so that
//! no text is cut in the middle.

use std::sync::Arc;

use llguidance::api::TopLevelGrammar;
use llguidance::{Matcher, ParserFactory};
use serde_json::{Value, json};
use tokenizers::Tokenizer;
use toktrie::{ApproximateTokEnv, TokEnv, TokRxInfo, TokTrie};

use super::draw::{Draw, likeliest};

/// What leads to the end outside of a string, as it is preferred near the limit: ends before separators, the shortest value
/// where one must stand.
const CLOSERS: [&str; 11] = ["]", "}", "\"", ",", ":", "0", "[", "{", "n", "f", "t"];
/// What leads to the end inside of one.
const QUOTE: &str = "\"";

/// A model's tokens, made ready for schemas.
pub(super) struct Shapes {
    factory: ParserFactory,
    environment: TokEnv,
    closers: Vec<u32>,
    quote: Option<u32>,
    ends: Vec<u32>,
}

/// A text that is being written in a shape.
pub(super) struct Shape<'a> {
    matcher: Matcher,
    shapes: &'a Shapes,
    /// Tokens that bringing the text to its end may take.
    reserve: usize,
    is_complete: bool,
    /// Whether the text so far ends inside of a string, and there behind a backslash.
    in_string: bool,
    is_escaped: bool,
}

impl Shapes {
    /// Reads the bytes of every token. `width` is how many tokens the model knows.
    pub(super) fn of(tokenizer: &Tokenizer, file: &Value, ends: &[u32], width: usize) -> Result<Shapes, String> {
        let end = *ends.first().ok_or("no token ends a text")?;
        if end as usize >= width {
            return Err(format!("its end has number {end}, and the model knows {width} tokens"));
        }
        let is_byte_level = file["decoder"].to_string().contains("ByteLevel");
        let special = |id: u32| {
            let added = file["added_tokens"].as_array().into_iter().flatten();
            added
                .into_iter()
                .find(|token| token["id"].as_u64() == Some(u64::from(id)))
                .map(|token| token["special"] == true)
        };
        let mut words: Vec<Vec<u8>> = vec![Vec::new(); width];
        for (token, id) in tokenizer.get_vocab(true) {
            let word = match special(id) {
                Some(true) => [&[TokTrie::SPECIAL_TOKEN_MARKER], token.as_bytes()].concat(),
                Some(false) => token.into_bytes(),
                None if is_byte_level => byte_level(&token),
                None => pieces(&token),
            };
            if let Some(place) = words.get_mut(id as usize) {
                *place = word;
            }
        }
        let token_of = |text: &str| words.iter().position(|word| word == text.as_bytes()).map(|at| at as u32);
        let closers = CLOSERS.iter().filter_map(|text| token_of(text)).collect();
        let quote = token_of(QUOTE);
        let trie = TokTrie::from(&TokRxInfo::new(width as u32, end), &words).with_eos_tokens(ends);
        let environment: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
        let mut factory = ParserFactory::new_simple(&environment).map_err(|error| error.to_string())?;
        factory.quiet();
        Ok(Shapes { factory, environment, closers, quote, ends: ends.to_vec() })
    }

    /// Begins a text that cannot leave a schema.
    pub(super) fn begin(&self, schema: &Value, room: usize) -> Result<Shape<'_>, String> {
        let mut strict = schema.clone();
        // White space could go on for ever.
        strict["x-guidance"] = json!({"whitespace_flexible": false});
        let grammar = TopLevelGrammar::from_json_schema(strict);
        let matcher = Matcher::new(self.factory.create_parser(grammar));
        if let Some(why) = matcher.get_error() {
            return Err(format!("the schema cannot be followed: {why}"));
        }
        let shortest = skeleton(schema).to_string();
        let tokens = self.environment.tok_trie().greedy_tokenize(shortest.as_bytes()).len();
        // Half as much again, since pieces that are forced one by one are shorter than those of a whole text.
        Ok(Shape {
            matcher,
            shapes: self,
            reserve: (tokens + tokens / 2 + 24).min(room.max(1)),
            is_complete: false,
            in_string: false,
            is_escaped: false,
        })
    }
}

impl Shape<'_> {
    /// The next token, with `left` to go.
    pub(super) fn next(&mut self, logits: &mut [f32], left: usize, draw: &mut Draw) -> Result<u32, String> {
        let failed = |error: &dyn std::fmt::Display| format!("the schema cannot be followed: {error}");
        let mask = self.matcher.compute_mask_or_eos().map_err(|error| failed(&error))?;
        let is_allowed = |token: u32| (token as usize) < logits.len() && mask.is_allowed(token);
        let is_closing = left <= self.reserve;
        let forced = if is_closing { self.matcher.compute_ff_bytes() } else { Vec::new() };
        let forced = self.shapes.environment.tok_trie().greedy_tokenize(&forced).first().copied();
        let closers: Vec<u32> = match self.in_string {
            true => self.shapes.quote.into_iter().collect(),
            false => self.shapes.closers.clone(),
        };
        let closer = || closers.iter().copied().find(|token| is_allowed(*token));
        let end = self.shapes.ends.iter().copied().find(|token| is_allowed(*token));
        let closing = match () {
            () if !is_closing => None,
            () if end.is_some() => end,
            () => forced.filter(|token| is_allowed(*token)).or_else(closer),
        };
        let token = match closing {
            Some(token) => token,
            None => {
                for (at, logit) in logits.iter_mut().enumerate() {
                    if at >= mask.len() || !mask.is_allowed(at as u32) || logit.is_nan() {
                        *logit = f32::NEG_INFINITY;
                    }
                }
                let token = if is_closing { likeliest(logits) } else { draw.next(logits) };
                // Logits that are no numbers leave nothing to choose by; the grammar does.
                if mask.is_allowed(token) { token } else { mask.first_bit_set().ok_or("nothing may follow")? as u32 }
            }
        };
        self.matcher.consume_token(token).map_err(|error| failed(&error))?;
        self.is_complete = self.matcher.is_stopped() || self.shapes.ends.contains(&token);
        self.follow(token);
        Ok(token)
    }

    /// Keeps whether the text ends inside of a string.
    fn follow(&mut self, token: u32) {
        for byte in self.shapes.environment.tok_trie().token(token) {
            match (self.in_string, self.is_escaped, byte) {
                (true, true, _) => self.is_escaped = false,
                (true, false, b'\\') => self.is_escaped = true,
                (true, false, b'"') => self.in_string = false,
                (false, _, b'"') => self.in_string = true,
                _ => {}
            }
        }
    }

    /// Whether the text is whole and can have no more.
    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }
}

/// The shortest value of a schema that has one element in each list, with the longest names where one must be chosen.
fn skeleton(schema: &Value) -> Value {
    if let Some(names) = schema["enum"].as_array() {
        return names.iter().max_by_key(|name| name.to_string().len()).cloned().unwrap_or_default();
    }
    let ty = schema["type"].as_str().or_else(|| schema["type"][0].as_str()).unwrap_or("null");
    match ty {
        "object" => {
            let members = schema["properties"].as_object().into_iter().flatten();
            Value::Object(members.into_iter().map(|(name, member)| (name.clone(), skeleton(member))).collect())
        }
        "array" => Value::Array(vec![skeleton(&schema["items"])]),
        "string" => "".into(),
        "integer" | "number" => 0.into(),
        "boolean" => false.into(),
        _ => Value::Null,
    }
}

/// The bytes of a token of a byte-level tokenizer, which writes every byte as a visible letter.
fn byte_level(token: &str) -> Vec<u8> {
    let byte = |letter: char| {
        let code = u32::from(letter);
        let is_itself = matches!(code, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
        match code {
            _ if is_itself => Some(code as u8),
            // The others follow from 256 on, in order.
            0x100..=0x120 => Some((code - 0x100) as u8),
            0x121..=0x142 => Some((code - 0x121 + 0x7f) as u8),
            0x143 => Some(0xad),
            _ => None,
        }
    };
    let bytes: Option<Vec<u8>> = token.chars().map(byte).collect();
    bytes.unwrap_or_else(|| token.as_bytes().to_vec())
}

/// The bytes of a token of a tokenizer of pieces: `▁` is a space, `<0x0A>` is a byte.
fn pieces(token: &str) -> Vec<u8> {
    let byte = token.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
    match byte.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
        Some(byte) => vec![byte],
        None => token.replace('▁', " ").into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_bytes() {
        assert_eq!(byte_level("ĠaĊ"), b" a\n");
        assert_eq!(byte_level("Ã©"), "é".as_bytes());
        assert_eq!(
            (pieces("▁a"), pieces("<0x0A>"), pieces("<0xZZ>")),
            (b" a".to_vec(), b"\n".to_vec(), b"<0xZZ>".to_vec())
        );
        let all: std::collections::HashSet<Vec<u8>> = (0x21u32..0x144)
            .filter_map(char::from_u32)
            .map(|letter| byte_level(&letter.to_string()))
            .filter(|bytes| bytes.len() == 1)
            .collect();
        assert_eq!(all.len(), 256, "each byte has a letter");
    }

    #[test]
    fn the_shortest_value_has_everything_once() {
        let schema = json!({"type": "object", "properties": {
            "list": {"type": "array", "items": {"enum": ["a", "long"]}},
            "text": {"type": ["string", "null"]},
        }});
        assert_eq!(skeleton(&schema), json!({"list": ["long"], "text": ""}));
    }
}
