//! The plain version of every operation: no blocking, no SIMD, sums in f64. The fast versions are tested
//! against these, and these against the published implementation's outputs.

use crate::{AttentionShape, LossRow, TemperedRow};

mod gradients;

pub use gradients::{
    causal_attention_gradients, cross_entropy_gradient, gelu_gradient, layer_norm_gradients,
    product_gradients, rms_norm_gradients,
};

/// `out[t, n] = bias[n] + Σ_k x[t, k]·weight[n, k]`, weight `[N, K]` as checkpoints store it.
pub fn product(x: &[f32], weight: &[f32], bias: Option<&[f32]>, t: usize, k: usize, n: usize) -> Vec<f32> {
    let mut out = vec![0.0; t * n];
    for row in 0..t {
        for column in 0..n {
            let mut sum = bias.map_or(0.0, |bias| f64::from(bias[column]));
            for i in 0..k {
                sum += f64::from(x[row * k + i]) * f64::from(weight[column * k + i]);
            }
            out[row * n + column] = sum as f32;
        }
    }
    out
}

/// Keeps the `k` entries of largest magnitude (of equal ones the lower index) and sets the others to zero.
pub fn abs_top_k(row: &mut [f32], k: usize) {
    let mut order: Vec<usize> = (0..row.len()).collect();
    order.sort_by(|&i, &j| row[j].abs().total_cmp(&row[i].abs()).then(i.cmp(&j)));
    for &i in order.iter().skip(k) {
        row[i] = 0.0;
    }
}

/// x·Φ(x) with Φ from the error function's continued fraction and series, in f64.
pub fn gelu(x: &mut [f32]) {
    for value in x {
        let v = f64::from(*value);
        *value = (v * normal_cdf(v)) as f32;
    }
}

/// Φ(x): the Maclaurin series of erf near zero, Lentz's continued fraction of erfc in the tails
/// (Abramowitz and Stegun 7.1.6 and 7.1.14).
fn normal_cdf(x: f64) -> f64 {
    let z = x.abs() / std::f64::consts::SQRT_2;
    let tail = if z < 2.5 {
        let (mut term, mut sum, mut n) = (z, z, 0.0);
        while term > 1e-18 * sum {
            n += 1.0;
            term *= 2.0 * z * z / (2.0 * n + 1.0);
            sum += term;
        }
        0.5 - sum * (-z * z).exp() / std::f64::consts::PI.sqrt()
    } else if z.is_nan() {
        z
    } else {
        let mut fraction = z;
        for n in (1..200).rev() {
            fraction = z + f64::from(n) / 2.0 / fraction;
        }
        0.5 * (-z * z).exp() / fraction / std::f64::consts::PI.sqrt()
    };
    if x < 0.0 { tail } else { 1.0 - tail }
}

/// Divides each row of width `weight.len()` by the root of its mean square (plus `eps`), times `weight`.
pub fn rms_norm(x: &[f32], weight: &[f32], eps: f32) -> Vec<f32> {
    x.chunks_exact(weight.len())
        .flat_map(|row| {
            let mean_square = row.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / row.len() as f64;
            let scale = 1.0 / (mean_square + f64::from(eps)).sqrt();
            row.iter().zip(weight).map(move |(&v, &w)| (f64::from(v) * scale * f64::from(w)) as f32)
        })
        .collect()
}

/// Centres each row, divides it by its standard deviation (variance plus `eps`), times `weight`, plus `bias`.
pub fn layer_norm(x: &[f32], weight: &[f32], bias: Option<&[f32]>, eps: f32) -> Vec<f32> {
    let mut out = Vec::with_capacity(x.len());
    for row in x.chunks_exact(weight.len()) {
        let mean = row.iter().map(|&v| f64::from(v)).sum::<f64>() / row.len() as f64;
        let variance = row.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / row.len() as f64;
        let scale = 1.0 / (variance + f64::from(eps)).sqrt();
        for (i, &v) in row.iter().enumerate() {
            let shift = bias.map_or(0.0, |bias| f64::from(bias[i]));
            out.push(((f64::from(v) - mean) * scale * f64::from(weight[i]) + shift) as f32);
        }
    }
    out
}

/// Causal attention over `qkv` `[T, 3·H·D]`, giving `[T, H·D]`; see [`crate::lanes_attention`].
pub fn causal_attention(qkv: &[f32], sink: Option<&[f32]>, shape: AttentionShape) -> Vec<f32> {
    let AttentionShape { tokens, heads, head_width: d } = shape;
    let width = heads * d;
    let at =
        |token: usize, part: usize, head: usize| &qkv[token * 3 * width + part * width + head * d..][..d];
    let mut out = vec![0.0; tokens * width];
    for head in 0..heads {
        for t in 0..tokens {
            let q = at(t, 0, head);
            let dot = |k: &[f32]| q.iter().zip(k).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
            let scores: Vec<f64> = (0..=t).map(|j| dot(at(j, 1, head)) / (d as f64).sqrt()).collect();
            let sink = sink.map(|sink| f64::from(sink[head]));
            let max = scores.iter().copied().chain(sink).fold(f64::NEG_INFINITY, f64::max);
            let total: f64 = scores.iter().copied().chain(sink).map(|s| (s - max).exp()).sum();
            for i in 0..d {
                let sum: f64 = (0..=t).map(|j| (scores[j] - max).exp() * f64::from(at(j, 2, head)[i])).sum();
                out[t * width + head * d + i] = (sum / total) as f32;
            }
        }
    }
    out
}

/// Loss, entropy, rank and likeliest entry of one row of logits; see [`crate::loss_row`].
pub fn loss_row(logits: &[f32], target: usize) -> LossRow {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let TemperedRow { loss_nats, entropy_nats, top_probability } = tempered_row(logits, target, 1.0);
    LossRow {
        loss_nats,
        entropy_nats,
        rank: logits.iter().filter(|&&l| l > logits[target]).count() as u32,
        top: logits.iter().position(|&l| l == max).unwrap_or(0) as u32,
        top_probability,
    }
}

/// Loss, entropy and largest probability of softmax(β·logits); see [`crate::loss_row_tempered`].
pub fn tempered_row(logits: &[f32], target: usize, beta: f32) -> TemperedRow {
    let scaled: Vec<f64> = logits.iter().map(|&l| f64::from(beta) * f64::from(l)).collect();
    let max = scaled.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let log_total = scaled.iter().map(|&l| (l - max).exp()).sum::<f64>().ln() + max;
    let entropy_nats = scaled
        .iter()
        .map(|&l| {
            let log_p = l - log_total;
            if log_p == f64::NEG_INFINITY { 0.0 } else { -log_p.exp() * log_p }
        })
        .sum();
    TemperedRow {
        loss_nats: log_total - scaled[target],
        entropy_nats,
        top_probability: (max - log_total).exp(),
    }
}
