//! Clusters: vectors that lie together, and the short codes of vectors within one.
//!
//! Spherical k-means in two levels, each trained on a sample: √k coarse clusters, then clusters inside each; in the end a
//! vector goes to the nearest of the clusters inside the few coarse ones that are nearest to it. Nothing is random and all
//! comparisons are of integers, so that every machine makes the same clusters of the same vectors.
//!
//! A **code** has one bit a dimension: whether the vector exceeds the cluster's centre there. With it goes a **step**, which
//! makes `similarity(centre, q) + step · Σ ±qᵢ` an unbiased estimate of the vector's similarity to q when the rest of a
//! vector has no preferred direction: for rest r = v − c it is `|r|² / Σ|rᵢ|`. (Gao and Long, "RaBitQ", SIGMOD 2024, whose
//! random rotation is left out: on vectors of code it gained nothing.)

use super::rows::VectorRow;
use crate::kernels;

/// Fewer vectors than this are one cluster: reading them all is as quick.
const LEAST_CLUSTERED: usize = 1024;
/// The average number of vectors of a cluster is a quarter of the root of their number, within these bounds. That is
/// 4√n clusters up to a million vectors, and a table of centres that stays small above.
const CLUSTER_ROWS: std::ops::RangeInclusive<usize> = 64..=256;
/// Vectors of a sample for each cluster, and passes over it: more of either changed recall by less than it varies.
const SAMPLE_A_CLUSTER: usize = 48;
const PASSES: usize = 6;
/// Coarse clusters whose clusters are compared with a vector.
const COARSE_COMPARED: usize = 3;

/// Some vectors that lie together.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Group {
    /// Positions among the vectors, ascending.
    pub(super) members: Vec<u32>,
    /// Their mean, in eight bits a dimension.
    pub(super) centre: Vec<i8>,
    /// One step of `centre`.
    pub(super) scale: f32,
}

/// Parts vectors into groups; each is in one, and no group is empty.
pub(super) fn group(rows: &[VectorRow], dimension: usize) -> Vec<Group> {
    let all = || (0..rows.len() as u32).collect::<Vec<_>>();
    let groups = if rows.len() < LEAST_CLUSTERED { vec![all()] } else { Trainer { rows, dimension }.groups(all()) };
    groups.into_iter().filter(|members| !members.is_empty()).map(|members| centred(rows, members, dimension)).collect()
}

/// The code of a vector in its group, least bit first, and the code's step. Bits past the last dimension are zero.
pub(crate) fn code(vector: &[i8], scale: f32, centre: &[i8], centre_scale: f32) -> (Vec<u8>, f32) {
    let mut code = vec![0; vector.len().div_ceil(8)];
    let (mut square, mut sum) = (0.0_f64, 0.0_f64);
    for (at, (value, middle)) in vector.iter().zip(centre).enumerate() {
        let rest = f32::from(*value) * scale - f32::from(*middle) * centre_scale;
        code[at / 8] |= u8::from(rest >= 0.0) << (at % 8);
        square += f64::from(rest) * f64::from(rest);
        sum += f64::from(rest).abs();
    }
    let step = (square / sum) as f32;
    (code, if step.is_finite() { step } else { 0.0 })
}

struct Trainer<'a> {
    rows: &'a [VectorRow],
    dimension: usize,
}

impl Trainer<'_> {
    fn groups(&self, all: Vec<u32>) -> Vec<Vec<u32>> {
        let bounds = CLUSTER_ROWS;
        let average = ((all.len() as f64).sqrt() / 4.0).clamp(*bounds.start() as f64, *bounds.end() as f64);
        let wanted = (all.len() as f64 / average).ceil();
        let coarse = self.train(&all, wanted.sqrt().ceil() as usize);
        let cells = self.parted(&all, &coarse);
        let fine: Vec<Vec<i16>> = cells
            .iter()
            .map(|members| self.train(members, (members.len() as f64 / average).round().max(1.0) as usize))
            .collect();
        self.refined(&all, &coarse, &fine)
    }

    /// The members by the coarse centre that is nearest.
    fn parted(&self, members: &[u32], centres: &[i16]) -> Vec<Vec<u32>> {
        let mut cells = vec![Vec::new(); centres.len() / self.dimension];
        for (member, nearest) in members.iter().zip(self.nearest(members, centres)) {
            cells[nearest].push(*member);
        }
        cells
    }

    /// The members by the fine centre that is nearest, among those of the nearest coarse ones.
    fn refined(&self, members: &[u32], coarse: &[i16], fine: &[Vec<i16>]) -> Vec<Vec<u32>> {
        let sizes = fine.iter().map(|centres| centres.len() / self.dimension);
        let firsts: Vec<usize> = sizes
            .scan(0, |next, size| {
                let first = *next;
                *next += size;
                Some(first)
            })
            .collect();
        let count = fine.iter().map(Vec::len).sum::<usize>() / self.dimension;
        let mut groups = vec![Vec::new(); count];
        let (mut near, mut products) = (Vec::new(), Vec::new());
        for member in members {
            let row = &self.rows[*member as usize].vector;
            kernels::products(row, coarse, &mut products);
            near.clear();
            near.extend(products.iter().enumerate().map(|(at, product)| (std::cmp::Reverse(*product), at)));
            let last = COARSE_COMPARED.min(near.len()) - 1;
            near.select_nth_unstable(last);
            let mut best = (i32::MIN, 0);
            for (_, cell) in &near[..=last] {
                let (at, product) = greatest(&fine[*cell], row, &mut products);
                if product > best.0 {
                    best = (product, firsts[*cell] + at);
                }
            }
            groups[best.1].push(*member);
        }
        groups
    }

    /// Centres of `members`, trained on some of them, as 16-bit rows of one length.
    fn train(&self, members: &[u32], count: usize) -> Vec<i16> {
        let count = count.clamp(1, members.len().max(1));
        // Members are in order of number, which is that of history: every so-manieth is a fair sample.
        let stride = (members.len() / (count * SAMPLE_A_CLUSTER)).max(1);
        let sample: Vec<u32> = members.iter().copied().step_by(stride).collect();
        let seeds = (0..count).map(|at| sample.get(at * sample.len() / count).copied());
        let mut centres: Vec<i16> = seeds.flat_map(|seed| self.wide(&self.values(seed))).collect();
        for _ in 0..PASSES {
            let nearest = self.nearest(&sample, &centres);
            let mut sums = vec![0.0_f32; count * self.dimension];
            let mut sizes = vec![0_u32; count];
            for (member, centre) in sample.iter().zip(&nearest) {
                let row = &self.rows[*member as usize];
                let sum = &mut sums[*centre * self.dimension..][..self.dimension];
                sum.iter_mut().zip(&row.vector).for_each(|(sum, value)| *sum += f32::from(*value) * row.scale);
                sizes[*centre] += 1;
            }
            for (at, sum) in sums.chunks_exact(self.dimension).enumerate() {
                let centre = &mut centres[at * self.dimension..][..self.dimension];
                if sizes[at] > 0 {
                    centre.copy_from_slice(&self.wide(sum));
                } else if let Some(lost) = sample.get((at * 7919 + 13) % sample.len().max(1)) {
                    // A centre that nothing is near to starts again from another vector.
                    centre.copy_from_slice(&self.wide(&self.values(Some(*lost))));
                }
            }
        }
        centres
    }

    fn nearest(&self, members: &[u32], centres: &[i16]) -> Vec<usize> {
        let mut products = Vec::new();
        let rows = members.iter().map(|member| &self.rows[*member as usize].vector);
        rows.map(|row| greatest(centres, row, &mut products).0).collect()
    }

    fn values(&self, member: Option<u32>) -> Vec<f32> {
        member.map_or_else(|| vec![0.0; self.dimension], |member| self.rows[member as usize].dequantise())
    }

    /// A vector of any length as a unit vector in 16 bits a dimension.
    fn wide(&self, values: &[f32]) -> Vec<i16> {
        let length = values.iter().map(|value| f64::from(*value) * f64::from(*value)).sum::<f64>().sqrt();
        let factor = if length > 0.0 { f64::from(kernels::widest(self.dimension)) / length } else { 0.0 };
        values.iter().map(|value| (f64::from(*value) * factor).round() as i16).collect()
    }
}

/// The centre whose product with a vector is greatest, the first of equals, and the product.
fn greatest(centres: &[i16], row: &[i8], products: &mut Vec<i32>) -> (usize, i32) {
    kernels::products(row, centres, products);
    let mut best = (0, i32::MIN);
    for (at, product) in products.iter().enumerate() {
        if *product > best.1 {
            best = (at, *product);
        }
    }
    best
}

/// A group with its mean.
fn centred(rows: &[VectorRow], members: Vec<u32>, dimension: usize) -> Group {
    let mut sum = vec![0.0_f64; dimension];
    for member in &members {
        let row = &rows[*member as usize];
        sum.iter_mut().zip(&row.vector).for_each(|(sum, value)| *sum += f64::from(f32::from(*value) * row.scale));
    }
    let mean: Vec<f32> = sum.iter().map(|sum| (sum / members.len() as f64) as f32).collect();
    let VectorRow { scale, vector, .. } = VectorRow::quantise(0, &mean, 0.0);
    Group { members, centre: vector, scale }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DIMENSION: usize = 16;

    /// Vectors around so many directions, in turn.
    fn vectors(count: usize, directions: usize) -> Vec<VectorRow> {
        (0..count)
            .map(|at| {
                let mut state = (at as u32).wrapping_mul(2_654_435_761).wrapping_add(1);
                let values: Vec<f32> = (0..DIMENSION)
                    .map(|dimension| {
                        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        let noise = (state >> 16) as f32 / 65_536.0 - 0.5;
                        f32::from(u8::from(at % directions == dimension)) * 4.0 + noise
                    })
                    .collect();
                VectorRow::quantise(at as u32, &values, 1.0)
            })
            .collect()
    }

    #[test]
    fn few_vectors_are_one_group() {
        let rows = vectors(LEAST_CLUSTERED - 1, 4);
        let groups = group(&rows, DIMENSION);
        assert_eq!(groups.len(), 1);
        assert!(groups[0].members.iter().copied().eq(0..rows.len() as u32));
        assert!(group(&[], DIMENSION).is_empty());
    }

    #[test]
    fn what_lies_together_is_grouped_and_nothing_is_lost() {
        let rows = vectors(3000, 7);
        let groups = group(&rows, DIMENSION);
        assert!((7..=100).contains(&groups.len()), "{}", groups.len());
        let mut all: Vec<u32> = groups.iter().flat_map(|group| group.members.clone()).collect();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..3000));
        for group in &groups {
            let direction = group.members[0] % 7;
            assert!(group.members.iter().all(|member| member % 7 == direction), "{group:?}");
        }
        assert_eq!(groups, super::group(&rows, DIMENSION), "the same of the same");
    }

    #[test]
    fn equal_vectors_and_zeros_are_grouped_too() {
        let row = |number, value: f32| VectorRow::quantise(number, &[value; DIMENSION], 1.0);
        for value in [0.0, 0.25] {
            let rows: Vec<VectorRow> = (0..2000).map(|number| row(number, value)).collect();
            let groups = group(&rows, DIMENSION);
            assert_eq!(groups.iter().map(|group| group.members.len()).sum::<usize>(), 2000);
        }
    }

    proptest! {
        #[test]
        fn a_step_restores_the_vector_along_itself(
            vector in prop::collection::vec(-127_i8..=127, DIMENSION),
            centre in prop::collection::vec(-127_i8..=127, DIMENSION),
        ) {
            // Along its own rest the estimate is exact: step · Σ ±rᵢ = |r|².
            let (scale, middle) = (0.01, 0.007);
            let (code, step) = code(&vector, scale, &centre, middle);
            let rest: Vec<f32> =
                vector.iter().zip(&centre).map(|(v, c)| f32::from(*v) * scale - f32::from(*c) * middle).collect();
            let signed = |at: usize| if code[at / 8] >> (at % 8) & 1 == 1 { rest[at] } else { -rest[at] };
            let estimate = step * (0..DIMENSION).map(signed).sum::<f32>();
            let square: f32 = rest.iter().map(|value| value * value).sum();
            prop_assert!((estimate - square).abs() <= 1e-4 * square.max(1e-3), "{estimate} against {square}");
        }
    }
}
