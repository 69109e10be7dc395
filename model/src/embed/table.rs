//! A static token table: one learned vector per token; a text is the weighted sum of its tokens.
//!
//! Each part of a text sums, over its distinct tokens t,
//! `(1 + ln count(t)) · weight[t] · scale[t] · vectors[t]`, with one weight for queries and one for
//! documents. A document has three parts: its text, which counts for less the longer its sum is, its own name × 3, its
//! header × 1.6.
//! There is no context beyond the counts: the order of words does not matter.

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::OnceLock;

use pulp::{Arch, Simd, WithSimd};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::pieces::{KnownWords, Pieces};
use super::words::for_each_word;
use super::{Embedding, ModelError, length};

/// Components per vector.
const DIMENSION: usize = 256;

/// The own name's part, which says most. The table was trained with this weight.
const NAME_WEIGHT: f32 = 3.0;

/// The header's part. The table was trained with 0.7; this finds more on development repositories, since its weights have been
/// brought closer together.
const HEADER_WEIGHT: f32 = 1.6;

/// The length of a text's sum that counts for what it is: about that of a function of the middle.
const TEXT_LENGTH: f32 = 11.2;

/// Path and container parts that only say where a language puts its files.
const LAYOUT_WORDS: [&str; 6] = ["src", "lib", "mod", "main", "index", "__init__"];

/// The built-in table and its vocabulary.
const MODEL: &[u8] = include_bytes!("../../assets/model.safetensors");
const VOCABULARY: &str = include_str!("../../assets/vocab.txt");
/// The fingerprint of the two, which a start need not work out: hashing them takes longer than a search may.
const BUILT_IN_FINGERPRINT: &str = "table-v4:1fab7df8ef4ea7a8";

/// An embedding model that is one table of token vectors.
#[derive(Debug)]
pub struct Table {
    pieces: Pieces,
    /// One row of signed 8-bit components per token. Those of the built-in table stay where the program is mapped, so that
    /// a question reads the few that it needs.
    vectors: Cow<'static, [[u8; DIMENSION]]>,
    /// `query_weight × scale`, per token.
    query_factors: Vec<f32>,
    /// `document_weight × scale`, per token.
    document_factors: Vec<f32>,
    fingerprint: String,
}

impl Table {
    /// The table that is part of the program, read on first use.
    pub fn built_in() -> &'static Table {
        static BUILT_IN: OnceLock<Table> = OnceLock::new();
        BUILT_IN.get_or_init(|| {
            Table::read(MODEL, VOCABULARY, Cow::Borrowed, BUILT_IN_FINGERPRINT.to_owned())
                .expect("because the built-in table is tested")
        })
    }

    /// Reads a table from a safetensors file and its vocabulary, one token per line.
    ///
    /// For n tokens the file holds `vectors`, int8 of n × 256, and `scale`, `query_weight` and
    /// `document_weight`, f32 of n each.
    ///
    /// # Errors
    /// If the file is not readable, a tensor is missing or of another type or shape or not
    /// finite, or the vocabulary repeats a token or has no `[UNK]` on its second line.
    pub fn from_bytes(model: &[u8], vocabulary: &str) -> Result<Table, ModelError> {
        Table::read(model, vocabulary, |rows| Cow::Owned(rows.to_vec()), fingerprint(model, vocabulary))
    }

    /// [`Table::from_bytes`] with a known fingerprint and a way to keep the rows.
    fn read<'data>(
        model: &'data [u8],
        vocabulary: &str,
        keep: impl Fn(&'data [[u8; DIMENSION]]) -> Cow<'static, [[u8; DIMENSION]]>,
        fingerprint: String,
    ) -> Result<Table, ModelError> {
        let pieces = Pieces::parse(vocabulary)?;
        let tensors = SafeTensors::deserialize(model).map_err(ModelError::Container)?;
        let scales = floats(&tensors, "scale", pieces.len())?;
        let scaled = |name| -> Result<Vec<f32>, ModelError> {
            let weights = floats(&tensors, name, pieces.len())?;
            Ok(weights.iter().zip(&scales).map(|(weight, scale)| weight * scale).collect())
        };
        Ok(Table {
            query_factors: scaled("query_weight")?,
            document_factors: scaled("document_weight")?,
            vectors: keep(rows(&tensors, "vectors", pieces.len())?),
            fingerprint,
            pieces,
        })
    }

    /// The number of components of every vector.
    pub fn dimension(&self) -> usize {
        DIMENSION
    }

    /// Names everything that decides a vector: vectors compare only under equal fingerprints.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Embeds a piece of code and its own name, without a header.
    pub fn document(&self, text: &str, name: &str) -> Embedding {
        let mut sum = self.sum(text, 1.0, &self.document_factors);
        let share = text_share(length(&sum));
        let name = self.sum(name, NAME_WEIGHT, &self.document_factors);
        sum.iter_mut().zip(name).for_each(|(total, name)| *total = *total * share + name);
        Embedding::from_sum(sum)
    }

    /// The header's part of a document, weighted and not normalised: [`Embedding::with_header`].
    ///
    /// `words` are the file stem and the enclosing container. What white space, `/`, `\` or `:`
    /// parts and is only layout, as `src` or `mod`, is left out; `mod_rs` is kept.
    pub fn header(&self, words: &str) -> Vec<f32> {
        let names = words.split(|c: char| c.is_whitespace() || matches!(c, '/' | '\\' | ':'));
        let telling: Vec<&str> = names.filter(|name| !LAYOUT_WORDS.contains(name)).collect();
        self.sum(&telling.join(" "), HEADER_WEIGHT, &self.document_factors)
    }

    /// Embeds a question.
    pub fn query(&self, text: &str) -> Embedding {
        Embedding::from_sum(self.sum(text, 1.0, &self.query_factors))
    }

    /// The weighted sum of a part.
    fn sum(&self, text: &str, part_weight: f32, factors: &[f32]) -> Vec<f32> {
        let mut scratch = SCRATCH.take();
        let mut terms = Vec::with_capacity(128);
        self.tokenise(text, &mut scratch);
        scratch.drain_counts(self.pieces.len(), |token, count| {
            let factor = part_weight * count_weight(count) * factors[token];
            terms.push((factor, &self.vectors[token]));
        });
        SCRATCH.set(scratch);
        weighted_sum(&terms)
    }

    /// Leaves the tokens of `text` in `scratch`, in order.
    fn tokenise(&self, text: &str, scratch: &mut Scratch) {
        scratch.tokens.clear();
        let tokens = &mut scratch.tokens;
        let known = scratch.words.of(&self.pieces);
        for_each_word(text, &mut scratch.lowered, |word| self.pieces.encode(word, known, tokens));
    }
}

/// Working space, kept per thread since a chunk takes less time than allocating it would.
#[derive(Default)]
struct Scratch {
    lowered: Vec<u8>,
    tokens: Vec<u32>,
    /// Per token of the vocabulary; all zero between uses.
    counts: Vec<u32>,
    words: KnownWords,
}

thread_local! {
    static SCRATCH: Cell<Scratch> = Cell::default();
}

impl Scratch {
    /// Gives each distinct token with its count, and forgets them.
    ///
    /// In the order of first appearance, so that a sum has the same bits on every machine.
    fn drain_counts(&mut self, vocabulary_len: usize, mut each: impl FnMut(usize, u32)) {
        if self.counts.len() < vocabulary_len {
            self.counts.resize(vocabulary_len, 0);
        }
        for &token in &self.tokens {
            self.counts[token as usize] += 1;
        }
        for token in self.tokens.drain(..) {
            match std::mem::take(&mut self.counts[token as usize]) {
                0 => {}
                count => each(token as usize, count),
            }
        }
    }
}

/// `1 + ln count`, through f64: its rounding to f32 hides the last bit, in which platforms differ.
#[inline]
fn count_weight(count: u32) -> f32 {
    if count == 1 { 1.0 } else { (1.0 + f64::from(count).ln()) as f32 }
}

/// What a text is multiplied by, for the length of its sum: `(TEXT_LENGTH / length)^⅜`. So a long function does not drown
/// its name and its place.
///
/// In square roots, which every machine rounds alike.
fn text_share(length: f32) -> f32 {
    if length == 0.0 {
        return 1.0;
    }
    let quarter = (TEXT_LENGTH / length).sqrt().sqrt();
    quarter * quarter.sqrt()
}

/// Components summed at a time: as many as stay in the registers.
const TILE: usize = 32;

/// Sums `factor × vector` over the terms, in their order for each component, with the widest instructions that there are. Nothing
/// is fused, so that every machine gets the same.
fn weighted_sum(terms: &[(f32, &[u8; DIMENSION])]) -> Vec<f32> {
    struct Sum<'a>(&'a [(f32, &'a [u8; DIMENSION])]);
    impl WithSimd for Sum<'_> {
        type Output = Vec<f32>;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> Vec<f32> {
            let mut sum = Vec::with_capacity(DIMENSION);
            for start in (0..DIMENSION).step_by(TILE) {
                let mut totals = [0.0f32; TILE];
                for (factor, vector) in self.0 {
                    for (total, &component) in totals.iter_mut().zip(&vector[start..start + TILE]) {
                        *total += factor * f32::from(component.cast_signed());
                    }
                }
                sum.extend_from_slice(&totals);
            }
            sum
        }
    }
    Arch::new().dispatch(Sum(terms))
}

/// `v4` is the computation in this crate: another rule, limit or weight here needs another number.
fn fingerprint(model: &[u8], vocabulary: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(model).update(vocabulary.as_bytes());
    format!("table-v4:{}", &hasher.finalize().to_hex()[..16])
}

/// A vector of one finite f32 per token.
fn floats(tensors: &SafeTensors<'_>, name: &'static str, tokens: usize) -> Result<Vec<f32>, ModelError> {
    let tensor = tensor(tensors, name, Dtype::F32, "f32", &[tokens])?;
    let (words, _) = tensor.data().as_chunks::<4>();
    let values: Vec<f32> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
    match values.iter().position(|value| !value.is_finite()) {
        Some(row) => Err(ModelError::NotFinite { tensor: name, row }),
        None => Ok(values),
    }
}

/// A matrix of one int8 row per token.
fn rows<'data>(
    tensors: &SafeTensors<'data>,
    name: &'static str,
    tokens: usize,
) -> Result<&'data [[u8; DIMENSION]], ModelError> {
    let tensor = tensor(tensors, name, Dtype::I8, "int8", &[tokens, DIMENSION])?;
    Ok(tensor.data().as_chunks::<DIMENSION>().0)
}

/// A tensor of just this element type and shape.
fn tensor<'data>(
    tensors: &SafeTensors<'data>,
    name: &'static str,
    dtype: Dtype,
    dtype_name: &'static str,
    shape: &[usize],
) -> Result<TensorView<'data>, ModelError> {
    let tensor = tensors.tensor(name).map_err(|_| ModelError::Missing { tensor: name })?;
    if tensor.dtype() != dtype {
        return Err(ModelError::ElementType {
            tensor: name,
            found: format!("{:?}", tensor.dtype()).to_lowercase(),
            expected: dtype_name,
        });
    }
    if tensor.shape() != shape {
        return Err(ModelError::Shape { tensor: name, found: tensor.shape().to_vec(), expected: shape.to_vec() });
    }
    Ok(tensor)
}

#[cfg(test)]
mod tests {
    use safetensors::Dtype;
    use safetensors::tensor::TensorView;

    use super::{DIMENSION, MODEL, TEXT_LENGTH, Table, VOCABULARY, fingerprint, text_share};
    use crate::embed::{Embedding, ModelError};

    const ISQRT: &str = "fn isqrt(n: u64) -> u64 {\n    let mut x = n;\n    \
        while x * x > n { x = (x + n / x) / 2; }\n    x\n}";
    const PARSE_HEADER: &str = "fn parse_header(line: &str) -> Option<(&str, &str)> { line.split_once(':') }";

    fn document(text: &str, name: &str, header: &str) -> Embedding {
        let table = Table::built_in();
        table.document(text, name).with_header(&table.header(header))
    }

    fn check_start(embedding: &Embedding, expected: [f32; 4]) {
        for (found, expected) in embedding.unit.iter().zip(expected) {
            let start = &embedding.unit[..4];
            assert!((found - expected).abs() < 1e-4, "{start:?} is not {expected:?}");
        }
    }

    fn check_product(left: &Embedding, right: &Embedding, expected: f32) {
        let product: f32 = left.unit.iter().zip(&right.unit).map(|(l, r)| l * r).sum();
        assert!((product - expected).abs() < 1e-4, "{product} is not {expected}");
    }

    #[test]
    fn the_built_in_table_gives_its_published_values() {
        let query = Table::built_in().query("calculate square root");
        check_start(&query, [0.104444, 0.130618, -0.206439, 0.025644]);
        let isqrt = document(ISQRT, "isqrt", "numeric roots");
        check_start(&isqrt, [0.179349, 0.085288, -0.099336, 0.196147]);
        check_product(&query, &isqrt, 0.3574);
        let other = document(PARSE_HEADER, "parse_header", "http message");
        check_product(&query, &other, -0.0346);
    }

    #[test]
    fn a_repeated_call_gives_the_same_bits() {
        let table = Table::built_in();
        let first = table.document(ISQRT, "isqrt");
        table.query("something else in between");
        assert_eq!(first, table.document(ISQRT, "isqrt"));
        let elsewhere = std::thread::spawn(|| Table::built_in().document(ISQRT, "isqrt"));
        assert_eq!(first, elsewhere.join().expect("the thread ends"));
    }

    #[test]
    fn a_text_without_tokens_is_zero() {
        let zero = Embedding { unit: vec![0.0; DIMENSION], norm: 0.0 };
        let table = Table::built_in();
        assert_eq!(table.document("", ""), zero);
        assert_eq!(table.document("{ } // !", "_"), zero);
        assert_eq!(table.query(" "), zero);
        assert_eq!(table.header(""), zero.unit);
    }

    #[test]
    fn layout_words_are_left_out_of_a_header_only_as_whole_names() {
        let table = Table::built_in();
        let bare = table.header("numeric Roots");
        assert_eq!(table.header("src/numeric/mod Roots __init__"), bare);
        assert_eq!(table.header("numeric::index main::Roots"), bare);
        assert_eq!(table.header("main"), table.header(""));
        assert_ne!(table.header("main_loop"), table.header("loop"));
    }

    /// A table of three tokens, with `damage` done to one tensor: its name, type and shape.
    fn small_model(damage: Option<(&str, Dtype, Vec<usize>)>, weight: f32) -> Vec<u8> {
        let mut tensors = vec![
            ("vectors", Dtype::I8, vec![3, DIMENSION], vec![1u8; 3 * DIMENSION]),
            ("scale", Dtype::F32, vec![3], 0.5f32.to_le_bytes().repeat(3)),
            ("query_weight", Dtype::F32, vec![3], weight.to_le_bytes().repeat(3)),
            ("document_weight", Dtype::F32, vec![3], 2f32.to_le_bytes().repeat(3)),
        ];
        if let Some((name, dtype, shape)) = damage {
            let bytes = shape.iter().product::<usize>() * dtype.bitsize() / 8;
            tensors.retain(|tensor| tensor.0 != name);
            if bytes > 0 {
                tensors.push((name, dtype, shape, vec![0; bytes]));
            }
        }
        let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
            (*name, TensorView::new(*dtype, shape.clone(), bytes).expect("the shape fits"))
        });
        safetensors::serialize(views, None).expect("the tensors serialise")
    }

    const SMALL_VOCABULARY: &str = "[PAD]\n[UNK]\nroot\n";

    #[test]
    fn counts_weights_and_names_enter_as_documented() {
        let table = Table::from_bytes(&small_model(None, 3.0), SMALL_VOCABULARY).expect("valid");
        let check = |norm: f32, expected_component: f32| {
            let expected = expected_component * (DIMENSION as f32).sqrt();
            assert!((norm - expected).abs() < 1e-3, "{norm} is not {expected}");
        };
        check(table.query("root").norm, 3.0 * 0.5);
        check(table.query("root unheard").norm, 3.0 * 0.5 * 2.0);
        check(table.query("Root root").norm, 3.0 * 0.5 * (1.0 + 2f32.ln()));
        // The text's sum is sixteen times ones.
        check(table.document("root", "root").norm, 2.0 * 0.5 * ((11.2f32 / 16.0).powf(0.375) + 3.0));
        assert_eq!(table.header("root"), [1.6; DIMENSION]);
    }

    #[test]
    fn a_longer_text_counts_for_less_than_its_length() {
        let near = |found: f32, expected: f32| assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
        near(text_share(TEXT_LENGTH), 1.0);
        near(text_share(16.0 * TEXT_LENGTH), 16f32.powf(-0.375));
        near(text_share(TEXT_LENGTH / 16.0), 16f32.powf(0.375));
        assert_eq!(text_share(0.0), 1.0);
    }

    #[test]
    fn a_fingerprint_follows_the_model_and_the_vocabulary() {
        let of = |weight, vocabulary| {
            let table = Table::from_bytes(&small_model(None, weight), vocabulary).expect("valid");
            table.fingerprint().to_owned()
        };
        assert_ne!(of(1.0, SMALL_VOCABULARY), of(2.0, SMALL_VOCABULARY));
        assert_ne!(of(1.0, SMALL_VOCABULARY), of(1.0, "[PAD]\n[UNK]\nroots\n"));
        assert_eq!(Table::built_in().fingerprint(), fingerprint(MODEL, VOCABULARY));
    }

    fn error(model: &[u8]) -> String {
        Table::from_bytes(model, SMALL_VOCABULARY).expect_err("the model is damaged").to_string()
    }

    #[test]
    fn a_damaged_model_is_an_error_that_names_the_tensor() {
        let check = |name, dtype, shape: &[usize], expected: &str| {
            assert_eq!(error(&small_model(Some((name, dtype, shape.to_vec())), 1.0)), expected);
        };
        check("scale", Dtype::F32, &[0], "the model has no tensor `scale`");
        check("scale", Dtype::F16, &[3], "tensor `scale` holds f16, expected f32");
        check("scale", Dtype::F32, &[2], "tensor `scale` has shape [2], expected [3]");
        check("vectors", Dtype::U8, &[3, 256], "tensor `vectors` holds u8, expected int8");
        let expected = "tensor `vectors` has shape [3, 128], expected [3, 256]";
        check("vectors", Dtype::I8, &[3, 128], expected);
        let expected = "tensor `query_weight` has a value that is not finite, in row 0";
        assert_eq!(error(&small_model(None, f32::NAN)), expected);
    }

    #[test]
    fn bytes_that_are_no_model_are_an_error() {
        let whole = small_model(None, 1.0);
        for len in 0..whole.len() {
            let result = Table::from_bytes(&whole[..len], SMALL_VOCABULARY);
            assert!(matches!(result, Err(ModelError::Container(_))), "{len} bytes");
        }
        assert!(Table::from_bytes(&whole, "[PAD]\n[UNK]\n").is_err());
    }
}
