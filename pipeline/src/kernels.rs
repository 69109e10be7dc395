//! Kernels: the sums that vector search spends its time in.
//!
//! Products are plain loops that the compiler turns into the widest instructions that the machine has, by way of `pulp`, which
//! asks the processor at the first call. Sums over codes are look-ups, 32 at once where there is AVX2 or NEON. Both are of
//! integers, so that every machine gets the same.

use std::array;
use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

/// The greatest component of a 16-bit vector whose product with any signed 8-bit vector fits in 32 bits.
pub(crate) fn widest(dimension: usize) -> i16 {
    let bound = i32::MAX as usize / (128 * dimension.max(1));
    bound.min(i16::MAX as usize) as i16
}

/// A vector of floats in 16 bits a dimension, and what one step of it is.
pub(crate) fn widened(values: &[f32], greatest: i16) -> (Vec<i16>, f32) {
    let largest = values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let step = largest / f32::from(greatest.max(1));
    let steps = |value: &f32| if step > 0.0 { (value / step).round() as i16 } else { 0 };
    (values.iter().map(steps).collect(), step)
}

/// The product of a 16-bit vector, bounded by [`widest`], with an 8-bit one.
pub(crate) fn product(wide: &[i16], row: &[i8]) -> i32 {
    struct Product<'a>(&'a [i16], &'a [i8]);
    impl WithSimd for Product<'_> {
        type Output = i32;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> i32 {
            of(self.0, self.1)
        }
    }
    Arch::new().dispatch(Product(wide, row))
}

/// The products of an 8-bit vector with each of some 16-bit ones of the same length, which stand one after the other.
pub(crate) fn products(row: &[i8], wide: &[i16], out: &mut Vec<i32>) {
    struct Products<'a>(&'a [i8], &'a [i16], &'a mut Vec<i32>);
    impl WithSimd for Products<'_> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) {
            let Products(row, wide, out) = self;
            out.clear();
            out.reserve(wide.len() / row.len().max(1));
            for wide in wide.chunks_exact(row.len().max(1)) {
                out.push(of(wide, row));
            }
        }
    }
    Arch::new().dispatch(Products(row, wide, out));
}

#[inline(always)]
fn of(wide: &[i16], row: &[i8]) -> i32 {
    // Nothing wraps; saying that it may keeps checks out of the loop.
    wide.iter().zip(row).fold(0_i32, |sum, (one, two)| sum.wrapping_add(i32::from(*one).wrapping_mul(i32::from(*two))))
}

/// Codes that are added up side by side.
pub(crate) const BLOCK: usize = 32;

/// Codes in blocks: the first byte of each code of a block, then the second of each, as wide registers take them. The last
/// block is filled up with zeros.
#[derive(Default)]
pub(crate) struct Blocks {
    bytes: Vec<[u8; BLOCK]>,
    /// Bytes of a code.
    width: usize,
}

impl Blocks {
    /// Puts codes of `width` bytes, which stand one after the other, in blocks.
    pub(crate) fn new(codes: &[u8], width: usize) -> Blocks {
        let mut bytes = Vec::with_capacity(codes.len().div_ceil(BLOCK));
        for codes in codes.chunks(BLOCK * width.max(1)) {
            let byte = |place: usize, code: usize| codes.get(code * width + place).copied().unwrap_or(0);
            bytes.extend((0..width).map(|place| array::from_fn(|code| byte(place, code))));
        }
        Blocks { bytes, width }
    }
}

/// What half a byte of a code adds to a sum, at each half: the sum over its four dimensions of the question's components, each
/// added where the bit is one and taken away where it is zero. Sums are made as those of Quicker ADC (André and others, 2019):
/// each table lies in a register, where 32 codes are looked up at once.
pub(crate) struct CodeTable {
    /// For each byte of a code its lower and its upper half, from 0 to 126; zero is 63.
    halves: Vec<[[u8; 16]; 2]>,
    /// What one step of a sum is.
    step: f32,
}

/// What stands for a sum of zero in a table; twice as much, twice, still fits a byte.
const ZERO: f32 = 63.0;

impl CodeTable {
    /// The table of a question.
    pub(crate) fn new(question: &[f32]) -> CodeTable {
        let sums = |components: &[f32]| {
            let component = |at: usize| components.get(at).copied().unwrap_or(0.0);
            let sign = |half: usize, at: usize| if half >> at & 1 == 1 { 1.0 } else { -1.0 };
            array::from_fn::<f32, 16, _>(|half| (0..4).map(|at| sign(half, at) * component(at)).sum())
        };
        let bytes: Vec<[[f32; 16]; 2]> = question
            .chunks(8)
            .map(|eight| [sums(&eight[..eight.len().min(4)]), sums(&eight[eight.len().min(4)..])])
            .collect();
        let greatest =
            bytes.as_flattened().as_flattened().iter().fold(0.0_f32, |greatest, sum| greatest.max(sum.abs()));
        let step = greatest / ZERO;
        let rounded = |sum: f32| if step > 0.0 { (sum / step + ZERO).round() as u8 } else { ZERO as u8 };
        CodeTable { halves: bytes.iter().map(|halves| halves.map(|sums| sums.map(rounded))).collect(), step }
    }

    /// Bytes of a code.
    pub(crate) fn width(&self) -> usize {
        self.halves.len()
    }

    /// For each code of some blocks, the sum of the question's components with its signs.
    pub(crate) fn sums(&self, codes: &Blocks, blocks: Range<usize>, out: &mut Vec<f32>) {
        out.clear();
        let bytes = &codes.bytes[blocks.start * codes.width..blocks.end * codes.width];
        let parts = || bytes.chunks_exact(self.width().max(1));
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        if let Some(machine) = wide::Machine::try_new() {
            for block in parts() {
                out.extend(wide::sums(machine, &self.halves, block).iter().map(|sum| self.scaled(*sum)));
            }
            return;
        }
        for block in parts() {
            out.extend(narrow_sums(&self.halves, block).iter().map(|sum| self.scaled(*sum)));
        }
    }

    fn scaled(&self, sum: u32) -> f32 {
        (sum as f32 - 2.0 * ZERO * self.halves.len() as f32) * self.step
    }
}

/// The sums of a block, one look-up after the other.
fn narrow_sums(halves: &[[[u8; 16]; 2]], block: &[[u8; BLOCK]]) -> [u32; BLOCK] {
    let mut sums = [0; BLOCK];
    for ([low, high], bytes) in halves.iter().zip(block) {
        for (sum, byte) in sums.iter_mut().zip(bytes) {
            *sum += u32::from(low[usize::from(byte & 15)] + high[usize::from(byte >> 4)]);
        }
    }
    sums
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod wide {
    use std::array;

    #[cfg(target_arch = "aarch64")]
    pub(super) use pulp::aarch64::Neon as Machine;
    use pulp::cast;
    #[cfg(target_arch = "x86_64")]
    pub(super) use pulp::x86::V3 as Machine;

    use super::BLOCK;

    /// So many bytes of codes fit a sum of 16 bits.
    const BYTES: usize = 256;

    /// The sums of a block, 32 look-ups at once.
    pub(super) fn sums(machine: Machine, halves: &[[[u8; 16]; 2]], block: &[[u8; BLOCK]]) -> [u32; BLOCK] {
        struct Sums<'a>(Machine, &'a [[[u8; 16]; 2]], &'a [[u8; BLOCK]]);
        impl pulp::NullaryFnOnce for Sums<'_> {
            type Output = [u32; BLOCK];
            #[inline(always)]
            fn call(self) -> [u32; BLOCK] {
                let Sums(machine, halves, block) = self;
                let mut sums = [0; BLOCK];
                for (halves, block) in halves.chunks(BYTES).zip(block.chunks(BYTES)) {
                    let some = added(machine, halves, block);
                    sums = array::from_fn(|code| sums[code] + u32::from(some[code]));
                }
                sums
            }
        }
        machine.vectorize(Sums(machine, halves, block))
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn added(Machine { avx2, .. }: Machine, halves: &[[[u8; 16]; 2]], block: &[[u8; BLOCK]]) -> [u16; BLOCK] {
        use std::arch::x86_64::{__m128i, __m256i};

        let nothing: __m256i = cast([0_u8; 32]);
        let half: __m256i = cast([15_u8; 32]);
        let table = |half: [u8; 16]| avx2._mm256_broadcastsi128_si256(cast::<_, __m128i>(half));
        // Sums of even codes with those of odd ones above them, and of odd codes alone.
        let (mut both, mut odd) = (nothing, nothing);
        for ([low, high], bytes) in halves.iter().zip(block) {
            let bytes: __m256i = cast(*bytes);
            let lower = avx2._mm256_and_si256(bytes, half);
            let upper = avx2._mm256_and_si256(avx2._mm256_srli_epi16::<4>(bytes), half);
            let lower = avx2._mm256_shuffle_epi8(table(*low), lower);
            let upper = avx2._mm256_shuffle_epi8(table(*high), upper);
            let sum = avx2._mm256_add_epi8(lower, upper);
            both = avx2._mm256_add_epi16(both, sum);
            odd = avx2._mm256_add_epi16(odd, avx2._mm256_srli_epi16::<8>(sum));
        }
        let even: [u16; 16] = cast(avx2._mm256_sub_epi16(both, avx2._mm256_slli_epi16::<8>(odd)));
        let odd: [u16; 16] = cast(odd);
        array::from_fn(|code| if code % 2 == 0 { even[code / 2] } else { odd[code / 2] })
    }

    #[cfg(target_arch = "aarch64")]
    #[inline(always)]
    fn added(Machine { neon, .. }: Machine, halves: &[[[u8; 16]; 2]], block: &[[u8; BLOCK]]) -> [u16; BLOCK] {
        use std::arch::aarch64::{uint8x16_t, uint16x8_t};

        let half: uint8x16_t = cast([15_u8; 16]);
        // Sums of eight codes each.
        let mut eights: [uint16x8_t; 4] = cast([0_u16; BLOCK]);
        for (tables, bytes) in halves.iter().zip(block) {
            let [low, high]: [uint8x16_t; 2] = cast(*tables);
            let sixteens: [uint8x16_t; 2] = cast(*bytes);
            for (bytes, eights) in sixteens.into_iter().zip(eights.as_chunks_mut::<2>().0) {
                let lower = neon.vqtbl1q_u8(low, neon.vandq_u8(bytes, half));
                let upper = neon.vqtbl1q_u8(high, neon.vshrq_n_u8::<4>(bytes));
                let sum = neon.vaddq_u8(lower, upper);
                eights[0] = neon.vaddw_u8(eights[0], neon.vget_low_u8(sum));
                eights[1] = neon.vaddw_high_u8(eights[1], sum);
            }
        }
        cast(eights)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_widest_product_fits() {
        for dimension in [1, 256, 384, 4096, 65_536] {
            let wide = vec![widest(dimension); dimension];
            let exact = -128 * i64::from(wide[0]) * dimension as i64;
            assert_eq!(i64::from(product(&wide, &vec![-128; dimension])), exact);
        }
        assert_eq!(widened(&[0.0, -0.0], 100), (vec![0, 0], 0.0));
    }

    #[test]
    fn sums_of_many_dimensions_fit() {
        let codes = vec![0xff; 1000];
        let table = CodeTable::new(&[1.0; 8000]);
        let mut sums = Vec::new();
        table.sums(&Blocks::new(&codes, 1000), 0..1, &mut sums);
        assert!((sums[0] - 8000.0).abs() < 0.01 && (sums[1] + 8000.0).abs() < 0.01, "{sums:?}");
    }

    proptest! {
        #[test]
        fn a_product_is_that_of_the_floats(
            values in prop::collection::vec(-1.0_f32..1.0, 100),
            row in prop::collection::vec(any::<i8>(), 100),
        ) {
            let (wide, step) = widened(&values, widest(100));
            let exact: f32 = values.iter().zip(&row).map(|(one, two)| one * f32::from(*two)).sum();
            prop_assert!((product(&wide, &row) as f32 * step - exact).abs() < 0.5);
        }

        #[test]
        fn a_sum_over_a_code_is_that_of_signed_components(
            question in prop::collection::vec(-1.0_f32..1.0, 1..200),
            codes in prop::collection::vec(any::<u8>(), 25 * 70),
        ) {
            let table = CodeTable::new(&question);
            let width = table.width();
            let (blocks, mut sums) = (Blocks::new(&codes[..70 * width], width), Vec::new());
            table.sums(&blocks, 0..3, &mut sums);
            prop_assert_eq!(sums.len(), 3 * BLOCK);
            for (code, sum) in codes.chunks(width).zip(&sums).take(70) {
                let sign = |at: usize| if code[at / 8] >> (at % 8) & 1 == 1 { 1.0 } else { -1.0 };
                let exact: f32 = question.iter().enumerate().map(|(at, value)| sign(at) * value).sum();
                prop_assert!((sum - exact).abs() < table.step * width as f32, "{sum} {exact}");
            }
            let narrow = narrow_sums(&table.halves, &blocks.bytes[2 * width..]);
            prop_assert_eq!(&sums[2 * BLOCK..], narrow.map(|sum| table.scaled(sum)));
        }
    }
}
