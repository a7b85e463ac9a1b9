//! Causal attention for one window, head by head.
//!
//! For each head the keys are turned (features as rows, so that a query's scores are computed 64 keys at a time)
//! and the values gathered in rows padded to 16. For each query: scores, softmax by [`exp_nonpositive`], weighted
//! sum of values in four running sums.

use crate::exp::exp_nonpositive;
use crate::isa::{dispatch, multiply_add};
use crate::vector::LANES;

/// Keys scored together.
const BLOCK: usize = 64;
/// Running sums over the values, to hide the latency of a multiply-add.
const CHAINS: usize = 4;

/// The shape of one window's attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionShape {
    /// Tokens of the window.
    pub tokens: usize,
    /// Heads.
    pub heads: usize,
    /// Width of a head.
    pub head_width: usize,
}

/// One head's keys and values.
struct Head {
    /// `[D][padded tokens]`, scaled by 1 / sqrt(D).
    keys: Vec<f32>,
    /// `[padded tokens][padded D]`.
    values: Vec<f32>,
    /// Tokens rounded up to `BLOCK`.
    padded: usize,
    /// D rounded up to `LANES`.
    padded_width: usize,
}

impl Head {
    fn new(shape: AttentionShape) -> Self {
        let padded = shape.tokens.next_multiple_of(BLOCK);
        let padded_width = shape.head_width.next_multiple_of(LANES);
        Head {
            keys: vec![0.0; shape.head_width * padded],
            values: vec![0.0; padded * padded_width],
            padded,
            padded_width,
        }
    }

    /// Reads head `head` out of `qkv`.
    #[inline(always)]
    fn gather(&mut self, qkv: &[f32], head: usize, shape: AttentionShape) {
        let AttentionShape { tokens, heads, head_width: d } = shape;
        let width = heads * d;
        let scale = 1.0 / (d as f32).sqrt();
        for t in 0..tokens {
            let row = &qkv[t * 3 * width..][..3 * width];
            for (i, &key) in row[width + head * d..][..d].iter().enumerate() {
                self.keys[i * self.padded + t] = key * scale;
            }
            self.values[t * self.padded_width..][..d].copy_from_slice(&row[2 * width + head * d..][..d]);
        }
    }

    /// Scores of keys `0..scores.len()` (a multiple of `BLOCK`).
    #[inline(always)]
    fn score<const FMA: bool>(&self, query: &[f32], scores: &mut [f32]) {
        for (block, scores) in scores.chunks_exact_mut(BLOCK).enumerate() {
            let mut sums = [0.0f32; BLOCK];
            for (i, &q) in query.iter().enumerate() {
                let keys = &self.keys[i * self.padded + block * BLOCK..][..BLOCK];
                for (sum, &key) in sums.iter_mut().zip(keys) {
                    *sum = multiply_add::<FMA>(q, key, *sum);
                }
            }
            scores.copy_from_slice(&sums);
        }
    }

    /// `out[i] = Σ_j weights[j]·values[j, i] · scale`. Values past the last weight are not touched: one that is not
    /// finite would poison the sum even at weight zero.
    #[inline(always)]
    fn mix<const FMA: bool>(&self, weights: &[f32], scale: f32, out: &mut [f32]) {
        for (chunk, out) in out.chunks_mut(LANES).enumerate() {
            let mut sums = [[0.0f32; LANES]; CHAINS];
            for (group, weights) in weights.chunks(CHAINS).enumerate() {
                for (chain, &weight) in weights.iter().enumerate() {
                    let row = (group * CHAINS + chain) * self.padded_width + chunk * LANES;
                    let values = &self.values[row..][..LANES];
                    for (sum, &value) in sums[chain].iter_mut().zip(values) {
                        *sum = multiply_add::<FMA>(weight, value, *sum);
                    }
                }
            }
            for (i, out) in out.iter_mut().enumerate() {
                *out = ((sums[0][i] + sums[1][i]) + (sums[2][i] + sums[3][i])) * scale;
            }
        }
    }
}

/// Turns the first `n` scores into exp(score − max) and the rest into zero; returns the denominator.
#[inline(always)]
fn softmax_weights<const FMA: bool>(scores: &mut [f32], n: usize, sink: Option<f32>) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    scores[n..].fill(f32::NEG_INFINITY);
    for chunk in scores.chunks_exact(LANES) {
        for (lane, &score) in lanes.iter_mut().zip(chunk) {
            *lane = if score > *lane { score } else { *lane };
        }
    }
    let max = lanes.iter().copied().chain(sink).fold(f32::NEG_INFINITY, f32::max);
    let mut sums = [0.0f32; LANES];
    for chunk in scores.chunks_exact_mut(LANES) {
        for (sum, score) in sums.iter_mut().zip(chunk) {
            *score = exp_nonpositive::<FMA>(*score - max);
            *sum += *score;
        }
    }
    sums.iter().sum::<f32>() + sink.map_or(0.0, |sink| exp_nonpositive::<FMA>(sink - max))
}

#[inline(always)]
fn causal_attention_body<const FMA: bool>(
    qkv: &[f32],
    sink: Option<&[f32]>,
    shape: AttentionShape,
    out: &mut [f32],
) {
    let AttentionShape { tokens, heads, head_width: d } = shape;
    let width = heads * d;
    assert_eq!(qkv.len(), tokens * 3 * width, "causal_attention: qkv is not [{tokens}, 3·{heads}·{d}]");
    assert_eq!(out.len(), tokens * width, "causal_attention: out is not [{tokens}, {heads}·{d}]");
    assert!(sink.is_none_or(|sink| sink.len() == heads), "causal_attention: sink is not [{heads}]");
    let mut head = Head::new(shape);
    let mut scores = vec![0.0; head.padded];
    for h in 0..heads {
        head.gather(qkv, h, shape);
        let sink = sink.map(|sink| sink[h]);
        for t in 0..tokens {
            let scores = &mut scores[..(t + 1).next_multiple_of(BLOCK)];
            head.score::<FMA>(&qkv[t * 3 * width + h * d..][..d], scores);
            let total = softmax_weights::<FMA>(scores, t + 1, sink);
            head.mix::<FMA>(&scores[..t + 1], 1.0 / total, &mut out[t * width + h * d..][..d]);
        }
    }
}

dispatch! {
    /// Causal softmax attention of one window: `qkv` `[T, 3·H·D]` (queries, keys, values side by side, each cut into
    /// heads of D), out `[T, H·D]`. Scores are divided by sqrt(D). `sink` `[H]` adds exp(sink) to each softmax
    /// denominator, with no value (Xiao et al. 2023, arXiv 2309.17453, in its learned form). Within 1e-5 relative to
    /// the largest value.
    pub fn causal_attention(
        qkv: &[f32],
        sink: Option<&[f32]>,
        shape: AttentionShape,
        out: &mut [f32],
    ) = causal_attention_body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, assert_close_rows};
    use crate::{Isa, reference};

    #[test]
    fn equals_the_reference() {
        let mut random = Random::new(6);
        for (tokens, heads, head_width) in
            [(1, 1, 1), (5, 2, 3), (17, 6, 4), (64, 3, 16), (65, 2, 8), (130, 2, 40)]
        {
            let shape = AttentionShape { tokens, heads, head_width };
            let qkv: Vec<f32> =
                random.normals(tokens * 3 * heads * head_width).iter().map(|v| v * 2.0).collect();
            let sink = random.normals(heads);
            for sink in [None, Some(&sink[..])] {
                let expected = reference::causal_attention(&qkv, sink, shape);
                for isa in Isa::available() {
                    let mut out = vec![f32::NAN; expected.len()];
                    causal_attention(isa, &qkv, sink, shape, &mut out);
                    assert_close_rows(&out, &expected, expected.len(), 1e-5, isa);
                }
            }
        }
    }

    #[test]
    fn a_poisoned_key_or_value_is_seen_from_its_token_on() {
        let shape = AttentionShape { tokens: 3, heads: 1, head_width: 2 };
        for isa in Isa::available() {
            for part in [2, 4] {
                let mut qkv = vec![1.0; 3 * 3 * 2];
                qkv[6 + part..][..2].fill(f32::NAN); // token 1's key or value
                let mut out = vec![0.0; 6];
                causal_attention(isa, &qkv, None, shape, &mut out);
                assert!(
                    out[..2].iter().all(|v| v.is_finite()),
                    "{isa}: token 0 does not see token 1: {out:?}"
                );
                assert!(out[2..].iter().all(|v| v.is_nan()), "{isa}: {out:?}");
            }
        }
    }
}
