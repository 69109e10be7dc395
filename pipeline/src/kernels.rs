//! Kernels: the sums that vector search spends its time in.
//!
//! Plain loops that the compiler turns into the instructions that every x86-64 and every AArch64 has: products of 16 bits
//! eight at a time, and for codes a table that is looked up with eight dimensions at once, which needs no instruction that
//! a machine may lack. Sums are of integers, so that every machine gets the same.

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
    // Nothing wraps; saying that it may keeps checks out of the loop.
    wide.iter().zip(row).fold(0_i32, |sum, (one, two)| sum.wrapping_add(i32::from(*one).wrapping_mul(i32::from(*two))))
}

/// For each byte that a code can have at each place, the sum over its eight dimensions of the question's components, each
/// added where the bit is one and taken away where it is zero.
pub(crate) struct CodeTable {
    /// One table for each byte of a code. Their values fit 16 bits, which keeps them in the nearest cache.
    sums: Vec<[i16; 256]>,
    /// What one step of a sum is.
    step: f32,
}

/// The greatest component in a table: eight of them fit 16 bits.
const GREATEST: i16 = i16::MAX / 8;

impl CodeTable {
    /// The table of a question.
    pub(crate) fn new(question: &[f32]) -> CodeTable {
        let (steps, step) = widened(question, GREATEST);
        let table = |components: &[i16]| {
            let mut sums = [0; 256];
            sums[0] = -components.iter().sum::<i16>();
            for byte in 1..256_usize {
                let bit = byte.trailing_zeros() as usize;
                // A code's bits past the last dimension are zero in any store of ours, and count for nothing in others.
                sums[byte] = sums[byte & (byte - 1)] + 2 * components.get(bit).copied().unwrap_or(0);
            }
            sums
        };
        CodeTable { sums: steps.chunks(8).map(table).collect(), step }
    }

    /// Bytes of a code.
    pub(crate) fn width(&self) -> usize {
        self.sums.len()
    }

    /// The sum of the question's components with the signs of a code.
    pub(crate) fn sum(&self, code: &[u8]) -> f32 {
        let sum: i32 = self.sums.iter().zip(code).map(|(sums, byte)| i32::from(sums[usize::from(*byte)])).sum();
        sum as f32 * self.step
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
            code in any::<[u8; 25]>(),
        ) {
            let table = CodeTable::new(&question);
            let sign = |at: usize| if code[at / 8] >> (at % 8) & 1 == 1 { 1.0 } else { -1.0 };
            let exact: f32 = question.iter().enumerate().map(|(at, value)| sign(at) * value).sum();
            prop_assert!((table.sum(&code[..table.width()]) - exact).abs() < 0.03, "{exact}");
        }
    }
}
