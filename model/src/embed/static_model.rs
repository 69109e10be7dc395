//! A static model in model2vec's layout: one vector a token, and a text is their mean.
//!
//! `model.safetensors` holds `embeddings`, rows × components; optionally `weights`, one a row or a token, and `mapping`,
//! the row of each token where tokens share rows. `tokenizer.json` and `config.json` lie beside it.

use std::path::Path;

use half::f16;
use rayon::prelude::*;
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokenizers::{Tokenizer, TruncationParams};

use super::hashes::Hashes;
use super::onnx::tokenizer;
use super::{Document, EmbedError, Embedded, Embedder, Embedding, FailedText};

const TENSORS: &str = "model.safetensors";
const TOKENIZER: &str = "tokenizer.json";
const CONFIG: &str = "config.json";
/// Tokens that are read of a text, unless its `config.json` says otherwise.
const DEFAULT_TOKENS: usize = 512;

/// A table of token vectors that was read from a directory.
pub struct StaticModel {
    name: String,
    tokenizer: Tokenizer,
    /// Row by row.
    vectors: Vec<f32>,
    dimension: usize,
    /// For each token its row and weight.
    tokens: Vec<(u32, f32)>,
    unknown: Option<u32>,
    max_tokens: usize,
    /// Characters that are read of a text, as model2vec has it: for each token as many as the median one has.
    max_characters: usize,
    fingerprint: String,
}

impl std::fmt::Debug for StaticModel {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("StaticModel").field("name", &self.name).field("dimension", &self.dimension).finish()
    }
}

#[derive(Default, Deserialize)]
struct Config {
    model_type: Option<String>,
    #[serde(default)]
    architectures: Vec<String>,
    embedding_dtype: Option<String>,
    max_length: Option<usize>,
}

impl StaticModel {
    /// Whether a directory holds such a model, as its `config.json` says: a token's vectors have a type, and no layers.
    pub fn is_in(directory: &Path) -> bool {
        let config = std::fs::read(directory.join(CONFIG)).ok();
        let config: Option<Config> = config.and_then(|text| serde_json::from_slice(&text).ok());
        config.is_some_and(|config| {
            config.model_type.as_deref() == Some("model2vec")
                || config.architectures.iter().any(|name| name == "StaticModel")
                || (config.model_type.is_none() && config.embedding_dtype.is_some())
        })
    }

    /// Reads the model in a directory.
    ///
    /// # Errors
    /// [`EmbedError::Model`] naming what is missing, damaged or does not fit.
    pub fn load(name: &str, directory: &Path, hashes: &Hashes) -> Result<StaticModel, EmbedError> {
        Self::read(name, directory, hashes).map_err(|why| EmbedError::Model { directory: directory.to_owned(), why })
    }

    fn read(name: &str, directory: &Path, hashes: &Hashes) -> Result<StaticModel, String> {
        let bytes = |name: &str| {
            std::fs::read(directory.join(name)).map_err(|error| format!("`{name}` cannot be read: {error}"))
        };
        let config: Config =
            serde_json::from_slice(&bytes(CONFIG)?).map_err(|error| format!("`{CONFIG}` is damaged: {error}"))?;
        let content = bytes(TENSORS)?;
        let tensors = SafeTensors::deserialize(&content).map_err(|error| format!("`{TENSORS}` is damaged: {error}"))?;
        let (shape, vectors) = floats(&tensors, "embeddings")?.ok_or("`model.safetensors` has no `embeddings`")?;
        let &[rows, dimension] = &shape[..] else {
            return Err(format!("`embeddings` has shape {shape:?}, expected rows × components"));
        };
        if rows == 0 || dimension == 0 {
            return Err(format!("`embeddings` has shape {shape:?}, which is empty"));
        }
        let weights = floats(&tensors, "weights")?.map(|(_, weights)| weights);
        let mapping = integers(&tensors, "mapping")?;
        let count = mapping.as_ref().map_or(rows, Vec::len);
        let mut tokenizer = tokenizer(&directory.join(TOKENIZER), Some(count))?;
        let max_tokens = config.max_length.unwrap_or(DEFAULT_TOKENS).max(1);
        let params = TruncationParams { max_length: max_tokens, ..TruncationParams::default() };
        tokenizer.with_truncation(Some(params)).map_err(|error| error.to_string())?;
        let tokens = (0..count)
            .map(|token| {
                let row = mapping.as_ref().map_or(token as u64, |mapping| mapping[token]);
                if row >= rows as u64 {
                    return Err(format!("`mapping` sends token {token} to row {row} of {rows}"));
                }
                // One weight a token; where there is none a row's would do, both being one in most files.
                let weight = match &weights {
                    None => 1.0,
                    Some(weights) => *weights
                        .get(token)
                        .ok_or_else(|| format!("`weights` has {} values for {count} tokens", weights.len()))?,
                };
                Ok((row as u32, weight))
            })
            .collect::<Result<Vec<_>, String>>()?;
        let mut hasher = Sha256::new();
        for file in [TENSORS, TOKENIZER] {
            let hash = hashes.of(&directory.join(file)).map_err(|error| format!("`{file}` cannot be read: {error}"))?;
            hasher.update(hash);
        }
        hasher.update(max_tokens.to_le_bytes());
        let digits: String = hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let lengths = tokenizer.get_vocab(true).into_keys().map(|token| token.chars().count()).collect();
        Ok(StaticModel {
            name: name.to_owned(),
            unknown: unknown(&directory.join(TOKENIZER)).and_then(|token| tokenizer.token_to_id(&token)),
            tokenizer,
            vectors,
            dimension,
            tokens,
            max_tokens,
            max_characters: max_tokens.saturating_mul(median(lengths)),
            fingerprint: format!("static-v2:{digits}"),
        })
    }

    fn embed(&self, text: &str) -> Result<Embedding, String> {
        let end = text.char_indices().nth(self.max_characters).map_or(text.len(), |(end, _)| end);
        let encoding = self.tokenizer.encode_fast(&text[..end], false).map_err(|error| error.to_string())?;
        let mut sum = vec![0.0f32; self.dimension];
        let mut count = 0;
        for token in encoding.get_ids().iter().filter(|token| Some(**token) != self.unknown) {
            let (row, weight) = self.tokens[*token as usize];
            let start = row as usize * self.dimension;
            let vector = &self.vectors[start..start + self.dimension];
            sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += weight * value);
            count += 1;
        }
        if count > 0 {
            sum.iter_mut().for_each(|value| *value /= count as f32);
        }
        Ok(Embedding::from_sum(sum))
    }
}

impl Embedder for StaticModel {
    fn name(&self) -> &str {
        &self.name
    }

    fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    fn dimension(&self) -> usize {
        self.dimension
    }

    fn max_tokens(&self) -> Option<usize> {
        Some(self.max_tokens)
    }

    fn documents(&self, documents: &[Document<'_>]) -> Result<Embedded, EmbedError> {
        let outcomes: Vec<_> = documents.par_iter().map(|document| self.embed(document.text)).collect();
        let mut embedded = Embedded::default();
        for (at, outcome) in outcomes.into_iter().enumerate() {
            embedded.embeddings.push(outcome.unwrap_or_else(|why| {
                embedded.failed.push(FailedText { at, why });
                Embedding::from_sum(vec![0.0; self.dimension])
            }));
        }
        Ok(embedded)
    }

    fn query(&self, text: &str) -> Result<Embedding, EmbedError> {
        self.embed(text).map_err(|why| EmbedError::Compute { model: self.name.clone(), why })
    }

    fn header(&self, _: &str) -> Option<Vec<f32>> {
        None
    }
}

/// The middle one of some numbers, or the mean of the middle two, rounded down.
fn median(mut numbers: Vec<usize>) -> usize {
    numbers.sort_unstable();
    match numbers.len() {
        0 => 0,
        count => (numbers[(count - 1) / 2] + numbers[count / 2]) / 2,
    }
}

/// The token that stands for what is unknown; it says nothing about a text and is left out.
fn unknown(file: &Path) -> Option<String> {
    #[derive(Deserialize)]
    struct File {
        model: Model,
    }
    #[derive(Deserialize)]
    struct Model {
        unk_token: Option<String>,
    }
    serde_json::from_slice::<File>(&std::fs::read(file).ok()?).ok()?.model.unk_token
}

/// A shape, and values row by row.
type Floats = (Vec<usize>, Vec<f32>);

/// A tensor of floats, as f32. `None` if there is none of that name.
fn floats(tensors: &SafeTensors<'_>, name: &str) -> Result<Option<Floats>, String> {
    let Ok(tensor) = tensors.tensor(name) else { return Ok(None) };
    let data = tensor.data();
    let values: Vec<f32> = match tensor.dtype() {
        Dtype::F32 => data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        Dtype::F64 => data.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32).collect(),
        Dtype::F16 => data.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect(),
        Dtype::I8 => data.iter().map(|byte| f32::from(byte.cast_signed())).collect(),
        other => return Err(format!("`{name}` holds {other:?}, expected f32, f64, f16 or int8")),
    };
    if let Some(at) = values.iter().position(|value| !value.is_finite()) {
        return Err(format!("`{name}` has a value that is not finite, number {at}"));
    }
    Ok(Some((tensor.shape().to_vec(), values)))
}

/// A tensor of row numbers. `None` if there is none of that name.
fn integers(tensors: &SafeTensors<'_>, name: &str) -> Result<Option<Vec<u64>>, String> {
    let Ok(tensor) = tensors.tensor(name) else { return Ok(None) };
    let data = tensor.data();
    // A negative number becomes one that no row has.
    let values = match tensor.dtype() {
        Dtype::I64 | Dtype::U64 => data.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect(),
        Dtype::I32 | Dtype::U32 => {
            data.as_chunks().0.iter().map(|bytes| u64::from(u32::from_le_bytes(*bytes))).collect()
        }
        other => return Err(format!("`{name}` holds {other:?}, expected integers")),
    };
    Ok(Some(values))
}

#[cfg(test)]
mod tests {
    use safetensors::tensor::TensorView;

    use super::*;

    fn fixture() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/models/static")
    }

    /// The fixture's tokenizer and settings with other tensors: name, type, shape and bytes of each.
    fn read(tensors: &[(&str, Dtype, Vec<usize>, Vec<u8>)]) -> Result<StaticModel, String> {
        let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
            (*name, TensorView::new(*dtype, shape.clone(), bytes).expect("a tensor"))
        });
        read_file(&safetensors::serialize(views, None).expect("a file"))
    }

    fn read_file(content: &[u8]) -> Result<StaticModel, String> {
        let directory = tempfile::tempdir().expect("a directory");
        for name in [TOKENIZER, CONFIG] {
            std::fs::copy(fixture().join(name), directory.path().join(name)).expect("a file");
        }
        std::fs::write(directory.path().join(TENSORS), content).expect("a file");
        StaticModel::read("static", directory.path(), &Hashes::default())
    }

    /// The fixture's vectors, 192 rows of 32, and for each of its 384 tokens a row and a weight.
    fn parts() -> (Vec<f32>, Vec<u64>, Vec<f32>) {
        let content = std::fs::read(fixture().join(TENSORS)).expect("a file");
        let tensors = SafeTensors::deserialize(&content).expect("tensors");
        let floats = |name: &str| floats(&tensors, name).expect("floats").expect("a tensor").1;
        let mapping = integers(&tensors, "mapping").expect("integers").expect("a tensor");
        (floats("embeddings"), mapping, floats("weights"))
    }

    fn bytes<T, const N: usize>(values: &[T], to: impl Fn(&T) -> [u8; N]) -> Vec<u8> {
        values.iter().flat_map(to).collect()
    }

    #[test]
    fn every_type_of_numbers_gives_the_same_vectors() {
        let (vectors, mapping, weights) = parts();
        let base = StaticModel::read("static", &fixture(), &Hashes::default()).expect("a model");
        let text = "fn parse(line: &str) -> Result<Date, Error> { todo!() }";
        let expected = base.embed(text).expect("a vector").unit;
        let most = vectors.iter().fold(0.0f32, |most, value| most.max(value.abs()));
        let small = |value: &f32| ((value / most * 127.0).round() as i8).to_le_bytes();
        let embeddings = [
            (Dtype::F32, bytes(&vectors, |value| value.to_le_bytes()), 0.999_999),
            (Dtype::F64, bytes(&vectors, |value| f64::from(*value).to_le_bytes()), 0.999_999),
            (Dtype::F16, bytes(&vectors, |value| f16::from_f32(*value).to_le_bytes()), 0.9999),
            (Dtype::I8, bytes(&vectors, small), 0.99),
        ];
        let mappings = [
            (Dtype::I64, bytes(&mapping, |row| row.to_le_bytes())),
            (Dtype::U64, bytes(&mapping, |row| row.to_le_bytes())),
            (Dtype::I32, bytes(&mapping, |row| (*row as i32).to_le_bytes())),
            (Dtype::U32, bytes(&mapping, |row| (*row as u32).to_le_bytes())),
        ];
        let weights = bytes(&weights, |weight| weight.to_le_bytes());
        for ((dtype, embeddings, near), (integers, mapping)) in embeddings.into_iter().zip(mappings) {
            let model = read(&[
                ("embeddings", dtype, vec![192, 32], embeddings),
                ("mapping", integers, vec![384], mapping),
                ("weights", Dtype::F32, vec![384], weights.clone()),
            ]);
            let found = model.expect("a model").embed(text).expect("a vector").unit;
            let cosine: f32 = found.iter().zip(&expected).map(|(x, y)| x * y).sum();
            assert!(cosine >= near, "{dtype:?} and {integers:?}: {cosine}");
        }
        // A row a token, in place of a mapping, and its weight in the row.
        let (_, mapping, weights) = parts();
        let rows: Vec<f32> = mapping
            .iter()
            .zip(weights)
            .flat_map(|(row, weight)| vectors[*row as usize * 32..][..32].iter().map(move |value| value * weight))
            .collect();
        let rows = bytes(&rows, |value| value.to_le_bytes());
        let model = read(&[("embeddings", Dtype::F32, vec![384, 32], rows)]).expect("a model");
        let found = model.embed(text).expect("a vector").unit;
        assert!(found.iter().zip(&expected).all(|(x, y)| (x - y).abs() < 1e-5));
    }

    #[test]
    fn tensors_that_are_damaged_or_do_not_fit_are_named() {
        let content = std::fs::read(fixture().join(TENSORS)).expect("a file");
        for cut in [0, 5, 100, content.len() - 1] {
            let why = read_file(&content[..cut]).expect_err("no model");
            assert!(why.contains("`model.safetensors` is damaged"), "{cut}: {why}");
        }
        let rows = |count: usize, value: f32| {
            ("embeddings", Dtype::F32, vec![count, 2], bytes(&vec![value; count * 2], |value| value.to_le_bytes()))
        };
        let mapping = |row: i32| ("mapping", Dtype::I32, vec![384], bytes(&[row; 384], |row| row.to_le_bytes()));
        for (tensors, expected) in [
            (vec![], "has no `embeddings`"),
            (vec![("embeddings", Dtype::F32, vec![4], vec![0; 16])], "has shape [4], expected rows × components"),
            (vec![("embeddings", Dtype::F32, vec![384, 0], vec![])], "which is empty"),
            (vec![("embeddings", Dtype::BF16, vec![384, 1], vec![0; 768])], "holds BF16, expected f32"),
            (vec![rows(384, f32::NAN)], "has a value that is not finite, number 0"),
            (vec![rows(100, 1.0)], "has tokens up to number 383, and the model has rows for 100"),
            (vec![rows(8, 1.0), mapping(8)], "`mapping` sends token 0 to row 8 of 8"),
            (vec![rows(8, 1.0), mapping(-1)], "`mapping` sends token 0 to row 4294967295 of 8"),
            (vec![rows(8, 1.0), ("mapping", Dtype::U8, vec![384], vec![0; 384])], "`mapping` holds U8"),
            (
                vec![rows(384, 1.0), ("weights", Dtype::F32, vec![3], vec![0; 12])],
                "`weights` has 3 values for 384 tokens",
            ),
        ] {
            let why = read(&tensors).expect_err("no model");
            assert!(why.contains(expected), "{expected}: {why}");
        }
        let nowhere =
            StaticModel::read("static", Path::new("no/such/place"), &Hashes::default()).expect_err("no model");
        assert!(nowhere.contains("`config.json` cannot be read"), "{nowhere}");
    }
}
