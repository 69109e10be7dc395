//! Draw: logits to a token. Pure, and the same on every machine for the same seed.

/// How tokens are drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Sampling {
    /// The likeliest; of equals, the first.
    #[default]
    Greedy,
    /// By chance: logits divided by the temperature, the `top_k` likeliest kept, of those the likeliest that have `top_p`
    /// together, and then a number in [0, 1) from the seed, held against their sums in order of their numbers.
    Seeded {
        /// The seed.
        seed: u64,
        /// More than 0; 1 leaves the logits as they are.
        temperature: f32,
        /// How many are kept; 0 for all.
        top_k: usize,
        /// The share that is kept; 1 for all.
        top_p: f32,
    },
}

/// Draws tokens, one after the other.
pub(super) struct Draw {
    sampling: Sampling,
    state: u64,
}

impl Draw {
    pub(super) fn new(sampling: &Sampling) -> Draw {
        let state = match sampling {
            Sampling::Greedy => 0,
            Sampling::Seeded { seed, .. } => *seed,
        };
        Draw { sampling: *sampling, state }
    }

    /// The next token. The logits are used up.
    pub(super) fn next(&mut self, logits: &mut [f32]) -> u32 {
        let Sampling::Seeded { temperature, top_k, top_p, .. } = self.sampling else { return likeliest(logits) };
        logits.iter_mut().for_each(|logit| *logit /= temperature);
        let number = self.number();
        let mut order: Vec<u32> =
            (0..logits.len() as u32).filter(|at| logits[*at as usize] > f32::NEG_INFINITY).collect();
        order.sort_by(|one, two| logits[*two as usize].total_cmp(&logits[*one as usize]).then(one.cmp(two)));
        if top_k > 0 {
            order.truncate(top_k);
        }
        let Some(first) = order.first() else { return 0 };
        let highest = f64::from(logits[*first as usize]);
        let weight = |at: u32| (f64::from(logits[at as usize]) - highest).exp();
        let total: f64 = order.iter().map(|at| weight(*at)).sum();
        if top_p < 1.0 {
            let mut sum = 0.0;
            let kept = order.iter().take_while(|at| {
                let is_kept = sum < f64::from(top_p) * total;
                sum += weight(**at);
                is_kept
            });
            let kept = kept.count().max(1);
            order.truncate(kept);
        }
        let last = *order.last().expect("because one is always kept");
        order.sort_unstable();
        let total: f64 = order.iter().map(|at| weight(*at)).sum();
        let mut sum = 0.0;
        for at in order {
            sum += weight(at);
            if number * total < sum {
                return at;
            }
        }
        last
    }

    /// A number in [0, 1) by splitmix64 (Steele, Lea and Flood, 2014): 53 bits of it.
    fn number(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        (bits >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// The first of the largest.
pub(super) fn likeliest(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (at, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = at;
        }
    }
    best as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equals_is_taken() {
        assert_eq!(likeliest(&[0.0, 3.0, 3.0, 1.0]), 1);
        assert_eq!(Draw::new(&Sampling::Greedy).next(&mut [1.0, 0.5]), 0);
    }

    #[test]
    fn chance_follows_the_weights_and_the_seed() {
        let sampling = Sampling::Seeded { seed: 7, temperature: 1.0, top_k: 0, top_p: 1.0 };
        let logits = [0.0f32, (3.0f32).ln(), f32::NEG_INFINITY];
        let drawn = |sampling: &Sampling| -> Vec<u32> {
            let mut draw = Draw::new(sampling);
            (0..4000).map(|_| draw.next(&mut logits.clone())).collect()
        };
        let first = drawn(&sampling);
        assert_eq!(first, drawn(&sampling));
        let ones = first.iter().filter(|token| **token == 1).count();
        assert!((2850..3150).contains(&ones), "{ones} of 4000, expected about 3000");
        assert!(first.iter().all(|token| *token < 2));
        let cut = Sampling::Seeded { seed: 7, temperature: 1.0, top_k: 1, top_p: 1.0 };
        assert!(drawn(&cut).iter().all(|token| *token == 1));
        let cut = Sampling::Seeded { seed: 7, temperature: 1.0, top_k: 0, top_p: 0.5 };
        assert!(drawn(&cut).iter().all(|token| *token == 1));
    }

    #[test]
    fn numbers_are_those_of_splitmix64() {
        let mut draw = Draw::new(&Sampling::Seeded { seed: 1_234_567, temperature: 1.0, top_k: 0, top_p: 1.0 });
        // The first outputs of the reference for this seed are 6457827717110365317 and 3203168211198807973.
        let expected = [6_457_827_717_110_365_317u64, 3_203_168_211_198_807_973];
        for bits in expected {
            assert_eq!(draw.number(), (bits >> 11) as f64 / (1u64 << 53) as f64);
        }
    }
}
