//! Pooling: the vectors of a text's tokens to one vector.

use serde::{Deserialize, Serialize};

/// How the vectors of the tokens become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// The mean over all tokens.
    Mean,
    /// The first token's vector.
    Cls,
    /// The last token's vector.
    LastToken,
}

impl Pooling {
    /// Pools `tokens` rows of `width` components.
    ///
    /// The rows of padding must have been left out.
    pub(super) fn pool(self, rows: &[f32], width: usize) -> Vec<f32> {
        let tokens = rows.len() / width.max(1);
        match self {
            _ if tokens == 0 => vec![0.0; width],
            Pooling::Cls => rows[..width].to_vec(),
            Pooling::LastToken => rows[(tokens - 1) * width..].to_vec(),
            Pooling::Mean => {
                let mut sum = vec![0.0f32; width];
                for row in rows.chunks_exact(width) {
                    sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
                }
                sum.iter_mut().for_each(|value| *value /= tokens as f32);
                sum
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pooling;

    #[test]
    fn each_pooling_takes_its_rows() {
        let rows = [1.0, 2.0, 3.0, 4.0, 5.0, 9.0];
        assert_eq!(Pooling::Cls.pool(&rows, 2), [1.0, 2.0]);
        assert_eq!(Pooling::LastToken.pool(&rows, 2), [5.0, 9.0]);
        assert_eq!(Pooling::Mean.pool(&rows, 2), [3.0, 5.0]);
        assert_eq!(Pooling::Mean.pool(&[], 2), [0.0, 0.0]);
    }
}
