//! Causal attention for training, in blocks of queries: a block's queries lie side by side in vector lanes, so that scores, softmax
//! and weighted sums are the same few vector operations for every key, without a sum across lanes.
//!
//! A head is gathered once: queries turned (features as rows), keys and values as rows. A block's scores, at most
//! tokens x 32 of them, stay in the first- or second-level cache. What is not finite in a later token of a query's block
//! reaches it (0·∞), which a diverged training alone has.

use crate::aligned::Aligned;
use crate::exp::exp_nonpositive_lanes;
use crate::isa::dispatch;
use crate::vector::{LANES, Vector};

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

/// Vectors across a block.
pub(crate) const ACROSS: usize = 2;
/// Queries of a block.
pub(crate) const QUERIES: usize = ACROSS * LANES;
/// Keys worked on together, and what the number of keys is rounded up to.
pub(crate) const KEYS: usize = 4;
/// Features summed together over the keys; divides `LANES`.
const FEATURES: usize = 8;

/// One number a query of a block.
pub(crate) type Queries<V> = [V; ACROSS];

/// A block's row of numbers.
#[inline(always)]
pub(crate) fn load<V: Vector>(row: &[f32]) -> Queries<V> {
    std::array::from_fn(|i| V::load(&row[i * LANES..]))
}

/// Writes a block's row of numbers.
#[inline(always)]
pub(crate) fn store<V: Vector>(numbers: Queries<V>, row: &mut [f32]) {
    for (i, numbers) in numbers.into_iter().enumerate() {
        numbers.store(&mut row[i * LANES..]);
    }
}

/// One head's part of a matrix, as rows and turned.
#[derive(Clone, Debug)]
pub(crate) struct Gathered {
    /// `[padded tokens][padded width]`.
    pub(crate) rows: Aligned,
    /// `[used][padded tokens]`; empty where nothing needs it.
    pub(crate) turned: Aligned,
}

/// The sizes of one head's buffers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) tokens: usize,
    pub(crate) d: usize,
    /// Tokens rounded up to `QUERIES`.
    pub(crate) padded: usize,
    /// d rounded up to `LANES`.
    pub(crate) width: usize,
    /// d rounded up to `FEATURES`: what of a row is not known to be zero.
    pub(crate) used: usize,
}

impl Sizes {
    pub(crate) fn new(shape: AttentionShape) -> Self {
        let d = shape.head_width;
        Sizes {
            tokens: shape.tokens,
            d,
            padded: shape.tokens.next_multiple_of(QUERIES),
            width: d.next_multiple_of(LANES),
            used: d.next_multiple_of(FEATURES),
        }
    }

    /// Keys that some query of the block at `first` sees, rounded up to `KEYS`.
    pub(crate) fn keys(&self, first: usize) -> usize {
        (first + QUERIES).min(self.tokens.next_multiple_of(KEYS))
    }
}

impl Gathered {
    /// Room for rows; what is beyond tokens and width stays zero.
    pub(crate) fn rows_only(sizes: Sizes) -> Self {
        Gathered { rows: Aligned::zeros(sizes.padded * sizes.width), turned: Aligned::default() }
    }

    /// Room for rows and columns.
    pub(crate) fn both(sizes: Sizes) -> Self {
        Gathered { turned: Aligned::zeros(sizes.used * sizes.padded), ..Self::rows_only(sizes) }
    }

    /// Reads the head that starts at column `start` of `matrix` `[tokens][row]`, each entry times `scale`.
    #[inline(always)]
    pub(crate) fn gather<V: Vector>(
        &mut self,
        matrix: &[f32],
        row: usize,
        start: usize,
        sizes: Sizes,
        scale: f32,
    ) {
        let Sizes { tokens, d, padded, width, .. } = sizes;
        for (t, own) in self.rows.chunks_exact_mut(width).take(tokens).enumerate() {
            let from = &matrix[t * row + start..][..d];
            let mut whole = from.chunks_exact(LANES);
            let mut to = own.chunks_exact_mut(LANES);
            for (from, to) in (&mut whole).zip(&mut to) {
                V::load(from).multiply(V::splat(scale)).store(to);
            }
            for (from, to) in whole.remainder().iter().zip(to.next().into_iter().flatten()) {
                *to = from * scale;
            }
        }
        if self.turned.is_empty() {
            return;
        }
        for (t, own) in self.rows.chunks_exact(width).take(tokens).enumerate() {
            for (i, &value) in own[..d].iter().enumerate() {
                self.turned[i * padded + t] = value;
            }
        }
    }
}

/// `Σ_i rows[key + j, i]·turned[i, first + lane]` for `KEYS` keys and every query of the block at `first`.
#[inline(always)]
pub(crate) fn dots<V: Vector>(
    rows: &[f32],
    turned: &[f32],
    sizes: Sizes,
    key: usize,
    first: usize,
) -> [Queries<V>; KEYS] {
    let Sizes { padded, width, used, .. } = sizes;
    let rows: [&[f32]; KEYS] = std::array::from_fn(|j| &rows[(key + j) * width..][..used]);
    let mut sums = [[V::splat(0.0); ACROSS]; KEYS];
    for i in 0..used {
        let queries: Queries<V> = load(&turned[i * padded + first..][..QUERIES]);
        for j in 0..KEYS {
            let entry = V::splat(rows[j][i]);
            for v in 0..ACROSS {
                sums[j][v] = entry.multiply_add(queries[v], sums[j][v]);
            }
        }
    }
    sums
}

/// A block's scores `[keys][QUERIES]`, −∞ where the key is later than the query, and the largest of each query and `start`.
#[inline(always)]
pub(crate) fn block_scores<V: Vector>(
    keys: &[f32],
    queries: &[f32],
    sizes: Sizes,
    first: usize,
    start: f32,
    scores: &mut [f32],
) -> Queries<V> {
    let mut max = [V::splat(start); ACROSS];
    for (group, scores) in scores.chunks_exact_mut(KEYS * QUERIES).enumerate() {
        let key = group * KEYS;
        let mut sums = dots::<V>(keys, queries, sizes, key, first);
        if key + KEYS > first {
            for (j, sums) in sums.iter_mut().enumerate() {
                // Queries before the key.
                let before = (key + j).saturating_sub(first);
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = sum.fill_first(before.saturating_sub(v * LANES), f32::NEG_INFINITY);
                }
            }
        }
        for (&sums, scores) in sums.iter().zip(scores.chunks_exact_mut(QUERIES)) {
            for v in 0..ACROSS {
                max[v] = max[v].larger(sums[v]);
            }
            store(sums, scores);
        }
    }
    max
}

/// `out[i][lane] = Σ_key rows[key, i]·weights[key, lane]`, out `[used][QUERIES]`.
#[inline(always)]
pub(crate) fn mix<V: Vector>(rows: &[f32], weights: &[f32], sizes: Sizes, out: &mut [f32]) {
    for (chunk, out) in out.chunks_exact_mut(FEATURES * QUERIES).enumerate() {
        let mut sums = [[V::splat(0.0); ACROSS]; FEATURES];
        for (row, weights) in rows.chunks_exact(sizes.width).zip(weights.chunks_exact(QUERIES)) {
            let row = &row[chunk * FEATURES..][..FEATURES];
            let weights: Queries<V> = load(weights);
            for i in 0..FEATURES {
                let entry = V::splat(row[i]);
                for v in 0..ACROSS {
                    sums[i][v] = entry.multiply_add(weights[v], sums[i][v]);
                }
            }
        }
        for (out, &sums) in out.chunks_exact_mut(QUERIES).zip(&sums) {
            store(sums, out);
        }
    }
}

/// Writes a block's `[used][QUERIES]`, each query times its `scale`, to the head at column `start` of `out` `[tokens][row]`.
#[inline(always)]
pub(crate) fn scatter(
    block: &[f32],
    scale: &[f32; QUERIES],
    sizes: Sizes,
    first: usize,
    out: &mut [f32],
    row: usize,
    start: usize,
) {
    for lane in 0..QUERIES.min(sizes.tokens - first) {
        let out = &mut out[(first + lane) * row + start..][..sizes.d];
        for (i, out) in out.iter_mut().enumerate() {
            *out = block[i * QUERIES + lane] * scale[lane];
        }
    }
}

/// What the sink adds to each query's denominator.
#[inline(always)]
pub(crate) fn on_sink<V: Vector>(sink: Option<f32>, max: Queries<V>) -> Option<Queries<V>> {
    sink.map(|sink| max.map(|max| exp_nonpositive_lanes(V::splat(sink).subtract(max))))
}

#[inline(always)]
fn causal_attention_body<V: Vector>(
    qkv: &[f32],
    sink: Option<&[f32]>,
    shape: AttentionShape,
    out: &mut [f32],
) {
    let AttentionShape { tokens, heads, head_width: d } = shape;
    let row = heads * d;
    assert_eq!(qkv.len(), tokens * 3 * row, "causal_attention: qkv is not [{tokens}, 3·{heads}·{d}]");
    assert_eq!(out.len(), tokens * row, "causal_attention: out is not [{tokens}, {heads}·{d}]");
    assert!(sink.is_none_or(|sink| sink.len() == heads), "causal_attention: sink is not [{heads}]");
    let sizes = Sizes::new(shape);
    let mut queries = Gathered::both(sizes);
    let (mut keys, mut values) = (Gathered::rows_only(sizes), Gathered::rows_only(sizes));
    let mut scores = Aligned::zeros(sizes.padded * QUERIES);
    let mut mixed = Aligned::zeros(sizes.used * QUERIES);
    let scale = 1.0 / (d as f32).sqrt();
    for h in 0..heads {
        queries.gather::<V>(qkv, 3 * row, h * d, sizes, scale);
        keys.gather::<V>(qkv, 3 * row, row + h * d, sizes, 1.0);
        values.gather::<V>(qkv, 3 * row, 2 * row + h * d, sizes, 1.0);
        let sink = sink.map(|sink| sink[h]);
        for first in (0..tokens).step_by(QUERIES) {
            let scores = &mut scores[..sizes.keys(first) * QUERIES];
            let start = sink.unwrap_or(f32::NEG_INFINITY);
            let max = block_scores::<V>(&keys.rows, &queries.turned, sizes, first, start, scores);
            let mut total = on_sink(sink, max).unwrap_or([V::splat(0.0); ACROSS]);
            for scores in scores.chunks_exact_mut(QUERIES) {
                let mut weights: Queries<V> = load(scores);
                for v in 0..ACROSS {
                    weights[v] = exp_nonpositive_lanes(weights[v].subtract(max[v]));
                    total[v] = total[v].add(weights[v]);
                }
                store(weights, scores);
            }
            mix::<V>(&values.rows, scores, sizes, &mut mixed);
            let mut scale = [0.0; QUERIES];
            store(total, &mut scale);
            let scale = scale.map(|total| 1.0 / total);
            scatter(&mixed, &scale, sizes, first, out, row, h * d);
        }
    }
}

dispatch! {
    /// Causal softmax attention of one window: `qkv` `[T, 3·H·D]` (queries, keys, values side by side, each cut into
    /// heads of D), out `[T, H·D]`. Scores are divided by sqrt(D). `sink` `[H]` adds exp(sink) to each softmax
    /// denominator, with no value (Xiao et al. 2023, arXiv 2309.17453, in its learned form). Within 1e-5 relative to
    /// the largest value. For training; scoring has [`crate::lanes_attention`].
    pub fn causal_attention(
        qkv: &[f32],
        sink: Option<&[f32]>,
        shape: AttentionShape,
        out: &mut [f32],
    ) = vector causal_attention_body
}
