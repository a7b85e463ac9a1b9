//! Causal attention of one window, head by head, for a block of up to 32 queries at a time that lie side by side: scores, softmax and
//! weighted sums are the same few operations for every key, which is one number broadcast to all queries.
//!
//! What AbsTopK zeroed costs little: a feature that is zero in all queries of a block, or in all keys, is left out of the scores, and
//! where none is left every score is zero, so that attention is a running mean of the values. Both are exact.

use super::{TILE, lanes_of, load, store};
use crate::aligned::Aligned;
use crate::attention::AttentionShape;
use crate::exp::exp2_nonpositive_lanes;
use crate::isa::dispatch;
use crate::vector::{LANES, Vector};

/// Vectors of a block of queries.
const ACROSS: usize = 2;
/// Keys scored together: with two vectors across, sixteen sums hide the latency of a multiply-add, and what a feature costs besides.
const KEYS: usize = 8;
/// Features of the values summed together, likewise.
const FEATURES: usize = 8;

/// Room for [`lanes_attention`], kept between calls.
#[derive(Clone, Debug, Default)]
pub struct AttentionScratch {
    /// `[keys][queries]`.
    scores: Aligned,
    /// `[features][queries]`, the live ones alone.
    queries: Aligned,
    /// Features that are not zero in all keys.
    live_keys: Vec<bool>,
    /// Features that are not zero in all keys nor in all queries of the block.
    live: Vec<usize>,
}

/// A window's matrix of `features` rows, cut into tiles: all have [`TILE`] lanes but the last.
#[derive(Clone, Copy)]
struct Tiles<'a> {
    data: &'a [f32],
    features: usize,
    tokens: usize,
}

impl<'a> Tiles<'a> {
    /// Rows `rows.start..` of tile `index`, its lanes, and its tokens.
    #[inline(always)]
    fn rows(&self, index: usize, first_row: usize, rows: usize) -> (&'a [f32], usize, usize) {
        let tokens = TILE.min(self.tokens - index * TILE);
        let lanes = lanes_of(tokens);
        let start = index * TILE * self.features + first_row * lanes;
        (&self.data[start..start + rows * lanes], lanes, tokens)
    }

    fn count(&self) -> usize {
        self.tokens.div_ceil(TILE)
    }
}

/// One head's place in the tiles.
#[derive(Clone, Copy)]
struct Head<'a> {
    qkv: Tiles<'a>,
    /// First rows of its queries, keys and values.
    first_rows: [usize; 3],
    d: usize,
    sink: Option<f32>,
}

impl<'a> Head<'a> {
    #[inline(always)]
    fn part(&self, part: usize, tile: usize) -> (&'a [f32], usize, usize) {
        self.qkv.rows(tile, self.first_rows[part], self.d)
    }
}

/// Whether an entry is not zero (without leaving the loop early, which keeps it in vectors).
#[inline(always)]
fn is_live(row: &[f32]) -> bool {
    row.iter().fold(0, |bits, value| bits | value.to_bits() << 1) != 0
}

/// Scores of `KEYS` keys from lane `key` of a tile on, for all queries of a block.
#[inline(always)]
fn dots<V: Vector, const A: usize>(
    scratch: &AttentionScratch,
    keys: &[f32],
    lanes: usize,
    key: usize,
) -> [[V; A]; KEYS] {
    let mut sums = [[V::splat(0.0); A]; KEYS];
    for (queries, &feature) in scratch.queries.chunks_exact(A * LANES).zip(&scratch.live) {
        let queries: [V; A] = load(queries, 0);
        let keys = &keys[feature * lanes + key..][..KEYS];
        for j in 0..KEYS {
            let entry = V::splat(keys[j]);
            for v in 0..A {
                sums[j][v] = entry.multiply_add(queries[v], sums[j][v]);
            }
        }
    }
    sums
}

/// The block's queries of its live features, scaled so that scores are exponents of 2.
#[inline(always)]
fn gather_queries<V: Vector, const A: usize>(
    head: Head<'_>,
    tile: usize,
    first: usize,
    scratch: &mut AttentionScratch,
) {
    let (queries, lanes, _) = head.part(0, tile);
    let scale = V::splat(std::f32::consts::LOG2_E / (head.d as f32).sqrt());
    scratch.live.clear();
    for (feature, row) in queries.chunks_exact(lanes).enumerate() {
        if scratch.live_keys[feature] && is_live(&row[first..][..A * LANES]) {
            let mut queries: [V; A] = load(row, first);
            for queries in &mut queries {
                *queries = queries.multiply(scale);
            }
            store(queries, &mut scratch.queries, scratch.live.len() * A * LANES);
            scratch.live.push(feature);
        }
    }
}

/// Fills the scores `[keys][queries]` of the block that begins at lane `first` of `tile`, −∞ where the key is later than the
/// query, and gives the largest of each query and `start`.
#[inline(always)]
fn score<V: Vector, const A: usize>(
    head: Head<'_>,
    tile: usize,
    first: usize,
    start: f32,
    scratch: &mut AttentionScratch,
) -> [V; A] {
    let mut max = [V::splat(start); A];
    let mut scores = std::mem::take(&mut scratch.scores);
    let mut place = 0;
    for key_tile in 0..=tile {
        let (keys, lanes, _) = head.part(1, key_tile);
        let end = if key_tile < tile { TILE } else { first + A * LANES };
        for key in (0..end).step_by(KEYS) {
            let mut sums = dots::<V, A>(scratch, keys, lanes, key);
            if key_tile == tile && key + KEYS > first {
                for (j, sums) in sums.iter_mut().enumerate() {
                    let before = (key + j).saturating_sub(first);
                    for (v, sum) in sums.iter_mut().enumerate() {
                        *sum = sum.fill_first(before.saturating_sub(v * LANES), f32::NEG_INFINITY);
                    }
                }
            }
            for sums in sums {
                for v in 0..A {
                    max[v] = max[v].larger(sums[v]);
                }
                store(sums, &mut scores, place);
                place += A * LANES;
            }
        }
    }
    scratch.scores = scores;
    max
}

/// Turns the scores of some keys into weights, and gives each query's sum of them and `total`.
#[inline(always)]
fn weigh<V: Vector, const A: usize>(scores: &mut [f32], max: [V; A], mut total: [V; A]) -> [V; A] {
    for scores in scores.chunks_exact_mut(A * LANES) {
        let mut weights: [V; A] = load(scores, 0);
        for v in 0..A {
            weights[v] = exp2_nonpositive_lanes(weights[v].subtract(max[v]));
            total[v] = total[v].add(weights[v]);
        }
        store(weights, scores, 0);
    }
    total
}

/// The same for the keys that are as late as the block's queries: what is later than a query has no weight at all, not even a tiny one.
#[inline(always)]
fn weigh_late<V: Vector, const A: usize>(scores: &mut [f32], max: [V; A], mut total: [V; A]) -> [V; A] {
    for (key, scores) in scores.chunks_exact_mut(A * LANES).enumerate() {
        let mut weights: [V; A] = load(scores, 0);
        for v in 0..A {
            let weight = exp2_nonpositive_lanes(weights[v].subtract(max[v]));
            weights[v] = weight.fill_first(key.saturating_sub(v * LANES), 0.0);
            total[v] = total[v].add(weights[v]);
        }
        store(weights, scores, 0);
    }
    total
}

/// `sums[feature][query] += Σ_key value · weight` over the keys of one tile.
#[inline(always)]
fn mix_tile<V: Vector, const A: usize>(
    mut sums: [[V; A]; FEATURES],
    values: &[f32],
    features: [usize; FEATURES],
    lanes: usize,
    weights: &[f32],
) -> [[V; A]; FEATURES] {
    let keys = weights.len() / (A * LANES);
    let mut rows = [&values[..0]; FEATURES];
    for i in 0..FEATURES {
        rows[i] = &values[features[i] * lanes..][..keys];
    }
    for key in 0..keys {
        let weights: [V; A] = load(&weights[key * A * LANES..], 0);
        for i in 0..FEATURES {
            let value = V::splat(rows[i][key]);
            for v in 0..A {
                sums[i][v] = value.multiply_add(weights[v], sums[i][v]);
            }
        }
    }
    sums
}

/// `out[feature][query] = Σ_key value · weight / total` for the head's features, into rows of `lanes` from lane `first` on.
#[inline(always)]
fn mix<V: Vector, const A: usize>(
    head: Head<'_>,
    tile: usize,
    first: usize,
    weights: &[f32],
    total: [V; A],
    out: &mut [f32],
) {
    let mut totals = [[0.0; LANES]; A];
    for v in 0..A {
        total[v].store(&mut totals[v]);
    }
    let mut scale = total;
    for v in 0..A {
        scale[v] = V::load(&totals[v].map(|total| 1.0 / total));
    }
    for start in (0..head.d).step_by(FEATURES) {
        // Past the last feature the last is summed again, and not written.
        let features: [usize; FEATURES] = std::array::from_fn(|i| (start + i).min(head.d - 1));
        let mut sums = [[V::splat(0.0); A]; FEATURES];
        for key_tile in 0..=tile {
            let (values, lanes, tokens) = head.part(2, key_tile);
            let keys = if key_tile < tile { TILE } else { tokens.min(first + A * LANES) };
            let weights = &weights[key_tile * TILE * A * LANES..][..keys * A * LANES];
            sums = mix_tile(sums, values, features, lanes, weights);
        }
        let lanes = out.len() / head.d;
        for i in 0..FEATURES {
            if start + i < head.d {
                for v in 0..A {
                    sums[i][v] = sums[i][v].multiply(scale[v]);
                }
                store(sums[i], &mut out[(start + i) * lanes..], first);
            }
        }
    }
}

/// Attention where every score is zero: the mean of the values so far; with a sink its weight is added to their number.
#[inline(always)]
fn mean_of_values<V: Vector, const A: usize>(head: Head<'_>, tile: usize, first: usize, out: &mut [f32]) {
    // exp(score − max) of every key, and of the sink.
    let max = head.sink.unwrap_or(0.0).max(0.0);
    let (of_key, of_sink) = ((-max).exp(), head.sink.map_or(0.0, |sink| (sink - max).exp()));
    let lanes = out.len() / head.d;
    for (feature, out) in out.chunks_exact_mut(lanes).enumerate() {
        let mut sum = 0.0f32;
        for key_tile in 0..tile {
            let (values, lanes, _) = head.part(2, key_tile);
            sum += values[feature * lanes..][..TILE].iter().sum::<f32>();
        }
        let (values, lanes, _) = head.part(2, tile);
        let values = &values[feature * lanes..][..lanes];
        sum += values[..first].iter().sum::<f32>();
        for lane in first..first + A * LANES {
            sum += values[lane];
            out[lane] = sum * of_key / ((tile * TILE + lane + 1) as f32 * of_key + of_sink);
        }
    }
}

/// One block of queries, from lane `first` of `tile` on.
#[inline(always)]
fn block<V: Vector, const A: usize>(
    head: Head<'_>,
    tile: usize,
    first: usize,
    scratch: &mut AttentionScratch,
    out: &mut [f32],
) {
    gather_queries::<V, A>(head, tile, first, scratch);
    if scratch.live.is_empty() {
        mean_of_values::<V, A>(head, tile, first, out);
        return;
    }
    let sink = head.sink.map(|sink| sink * std::f32::consts::LOG2_E);
    let max = score::<V, A>(head, tile, first, sink.unwrap_or(f32::NEG_INFINITY), scratch);
    let mut total = [V::splat(0.0); A];
    if let Some(sink) = sink {
        for v in 0..A {
            total[v] = exp2_nonpositive_lanes(V::splat(sink).subtract(max[v]));
        }
    }
    let first_key = tile * TILE + first;
    let keys = head.qkv.tokens.min(first_key + A * LANES);
    let (early, late) = scratch.scores[..keys * A * LANES].split_at_mut(first_key * A * LANES);
    let total = weigh_late(late, max, weigh(early, max, total));
    mix::<V, A>(head, tile, first, &scratch.scores, total, out);
}

#[inline(always)]
fn lanes_attention_body<V: Vector>(
    qkv: &[f32],
    sink: Option<&[f32]>,
    shape: AttentionShape,
    unread: &[bool],
    scratch: &mut AttentionScratch,
    out: &mut [f32],
) {
    let AttentionShape { tokens, heads, head_width: d } = shape;
    let width = heads * d;
    let padded = tokens / TILE * TILE + lanes_of(tokens % TILE);
    assert_eq!(
        qkv.len(),
        padded * 3 * width,
        "lanes_attention: qkv is not [3·{heads}·{d}] of {tokens} tokens"
    );
    assert_eq!(out.len(), padded * width, "lanes_attention: out is not [{heads}·{d}] of {tokens} tokens");
    assert!(sink.is_none_or(|sink| sink.len() == heads), "lanes_attention: sink is not [{heads}]");
    assert_eq!(unread.len(), heads, "lanes_attention: unread is not [{heads}]");
    scratch.scores.at_least(padded.next_multiple_of(ACROSS * LANES) * ACROSS * LANES);
    scratch.queries.at_least(d * ACROSS * LANES);
    let tiles = Tiles { data: qkv, features: 3 * width, tokens };
    for h in (0..heads).filter(|&h| !unread[h]) {
        let first_rows = [0, 1, 2].map(|part| part * width + h * d);
        let head = Head { qkv: tiles, first_rows, d, sink: sink.map(|sink| sink[h]) };
        scratch.live_keys.clear();
        scratch.live_keys.resize(d, false);
        for tile in 0..tiles.count() {
            let (keys, lanes, tokens) = head.part(1, tile);
            for (live, row) in scratch.live_keys.iter_mut().zip(keys.chunks_exact(lanes)) {
                *live |= is_live(&row[..tokens]);
            }
        }
        for tile in 0..tiles.count() {
            let lanes = lanes_of(TILE.min(tokens - tile * TILE));
            let out = &mut out[tile * TILE * width + h * d * lanes..][..d * lanes];
            for first in (0..lanes).step_by(ACROSS * LANES) {
                if first + ACROSS * LANES <= lanes {
                    block::<V, ACROSS>(head, tile, first, scratch, out);
                } else {
                    block::<V, 1>(head, tile, first, scratch, out);
                }
            }
        }
    }
}

dispatch! {
    /// Causal softmax attention of one window: `qkv` holds `[3·H·D][lanes]` for tile after tile (queries, keys, values one below the
    /// other, each cut into heads of D), `out` `[H·D][lanes]` likewise; see [`crate::lanes_of`]. Scores are divided by sqrt(D). `sink`
    /// `[H]` adds exp(sink) to each softmax denominator, with no value (Xiao et al. 2023, arXiv 2309.17453, in its learned form). Heads
    /// that are `unread` `[H]` are left as they are in `out`. Within 1e-5 relative to the largest value.
    ///
    /// A number that is not finite can reach the tokens before its own that are in the same block of queries, up to 31.
    pub fn lanes_attention(
        qkv: &[f32],
        sink: Option<&[f32]>,
        shape: AttentionShape,
        unread: &[bool],
        scratch: &mut AttentionScratch,
        out: &mut [f32],
    ) = vector lanes_attention_body
}

#[cfg(test)]
mod tests;
