//! Causal attention of one window for training: as [`crate::lanes_attention`], and each query's largest score and sum of weights beside
//! it, with which the gradient computes every weight again in one step (Dao et al. 2022, arXiv 2205.14135).

#![allow(clippy::needless_range_loop, reason = "loops of constant length over what is to stay in registers")]

use super::{TILE, lanes_of, load, store};
use crate::aligned::Aligned;
use crate::attention::AttentionShape;
use crate::exp::exp2_lanes;
use crate::isa::dispatch;
use crate::vector::{LANES, Vector};

/// Vectors of a block of queries.
pub(super) const ACROSS: usize = 2;
/// Queries of a block.
pub(super) const QUERIES: usize = ACROSS * LANES;
/// Keys scored together: with two vectors across, sixteen sums hide the latency of a multiply-add, and what a feature costs besides.
pub(super) const KEYS: usize = 8;
/// Features summed together over the keys, likewise.
const FEATURES: usize = 8;

/// Room for [`lanes_attention_forward`], kept between calls.
#[derive(Clone, Debug, Default)]
pub struct ForwardScratch {
    /// `[keys][queries]`.
    scores: Aligned,
    /// `[features][queries]`.
    queries: Aligned,
}

/// 2ˣ for x that is at most a rounding above zero, of what is far below about 2⁻¹²⁵, so that nothing is subnormal, which costs a hundred cycles; NaN stays.
#[inline(always)]
pub(super) fn power<V: Vector>(x: V) -> V {
    exp2_lanes(x.larger(V::splat(-125.0)))
}

/// A window's matrix of `features` rows, tile after tile.
#[derive(Clone, Copy)]
pub(super) struct Window {
    features: usize,
    lanes: usize,
}

impl Window {
    pub(super) fn new(features: usize, tokens: usize) -> Self {
        Window { features, lanes: lanes_of(tokens) }
    }

    /// Where `rows` rows of tile `tile` lie, from row `first` on, and the tile's lanes.
    #[inline(always)]
    pub(super) fn rows(self, tile: usize, first: usize, rows: usize) -> (std::ops::Range<usize>, usize) {
        let lanes = TILE.min(self.lanes - tile * TILE);
        let start = tile * TILE * self.features + first * lanes;
        (start..start + rows * lanes, lanes)
    }

    /// Entries of the window.
    pub(super) fn len(self) -> usize {
        self.features * self.lanes
    }

    /// The blocks of queries: tile, first lane in it, and vectors across.
    pub(super) fn blocks(self) -> impl Iterator<Item = (usize, usize, usize)> {
        (0..self.lanes)
            .step_by(QUERIES)
            .map(move |first| (first / TILE, first % TILE, ((self.lanes - first) / LANES).min(ACROSS)))
    }
}

/// A block of queries: the lanes from `first` of tile `tile` on.
#[derive(Clone, Copy)]
pub(super) struct Block {
    pub(super) tile: usize,
    pub(super) first: usize,
}

impl Block {
    /// The keys that some query of the block sees, tile by tile: the tile and how many.
    #[inline(always)]
    pub(super) fn keys<const A: usize>(self, tile: usize) -> usize {
        if tile < self.tile { TILE } else { self.first + A * LANES }
    }

    /// Queries of the block that are before key `key` of tile `tile`.
    #[inline(always)]
    pub(super) fn before(self, tile: usize, key: usize) -> usize {
        if tile < self.tile { 0 } else { key.saturating_sub(self.first) }
    }

    /// Its first query in the window.
    #[inline(always)]
    pub(super) fn start(self) -> usize {
        self.tile * TILE + self.first
    }
}

/// A block's lanes of a part `[d][lanes]` of a tile, times `scale`, to `to` `[d][A·16]`.
#[inline(always)]
pub(super) fn gather<V: Vector, const A: usize>(
    part: &[f32],
    lanes: usize,
    first: usize,
    scale: f32,
    to: &mut [f32],
) {
    for (part, to) in part.chunks_exact(lanes).zip(to.chunks_exact_mut(A * LANES)) {
        let mut own: [V; A] = load(part, first);
        for v in 0..A {
            own[v] = own[v].multiply(V::splat(scale));
        }
        store(own, to, 0);
    }
}

/// `Σ_i rows[i][key + j]·block[i][query]` for `KEYS` keys and every query of a block; `rows` `[d][lanes]`, `block` `[d][A·16]`.
#[inline(always)]
pub(super) fn dots<V: Vector, const A: usize>(
    rows: &[f32],
    lanes: usize,
    key: usize,
    block: &[f32],
) -> [[V; A]; KEYS] {
    let mut sums = [[V::splat(0.0); A]; KEYS];
    for (row, block) in rows.chunks_exact(lanes).zip(block.chunks_exact(A * LANES)) {
        let (keys, queries): (_, [V; A]) = (&row[key..key + KEYS], load(block, 0));
        for j in 0..KEYS {
            let entry = V::splat(keys[j]);
            for v in 0..A {
                sums[j][v] = entry.multiply_add(queries[v], sums[j][v]);
            }
        }
    }
    sums
}

/// `sums[i] += Σ_key rows[i][key]·weights[key]` over the keys of one tile, for `FEATURES` rows of `lanes`.
#[inline(always)]
fn mix_tile<V: Vector, const A: usize>(
    mut sums: [[V; A]; FEATURES],
    rows: &[f32],
    lanes: usize,
    weights: &[f32],
) -> [[V; A]; FEATURES] {
    let keys = weights.len() / (A * LANES);
    let mut features = [&rows[..0]; FEATURES];
    for i in 0..FEATURES {
        // Past the last row the last is summed again, and not written.
        let start = (i * lanes).min(rows.len() - lanes);
        features[i] = &rows[start..][..keys];
    }
    for (key, weights) in weights.chunks_exact(A * LANES).enumerate() {
        let weights: [V; A] = load(weights, 0);
        for i in 0..FEATURES {
            let value = V::splat(features[i][key]);
            for v in 0..A {
                sums[i][v] = value.multiply_add(weights[v], sums[i][v]);
            }
        }
    }
    sums
}

/// `out[i][query] = scale[query]·Σ_key rows[i][key]·weights[key][query]` for a head's `d` rows of a matrix, from its row `first_row` on, over all
/// keys that the block sees; into the block's lanes of `out` `[d][lanes]`.
#[inline(always)]
pub(super) fn mix<V: Vector, const A: usize>(
    (matrix, window, first_row): (&[f32], Window, usize),
    block: Block,
    weights: &[f32],
    scale: [V; A],
    out: &mut [f32],
    out_lanes: usize,
) {
    let d = out.len() / out_lanes;
    for start in (0..d).step_by(FEATURES) {
        let mut sums = [[V::splat(0.0); A]; FEATURES];
        for tile in 0..=block.tile {
            let (rows, lanes) = window.rows(tile, first_row + start, FEATURES.min(d - start));
            let weights = &weights[tile * TILE * A * LANES..][..block.keys::<A>(tile) * A * LANES];
            sums = mix_tile(sums, &matrix[rows], lanes, weights);
        }
        for i in 0..FEATURES {
            if start + i < d {
                for v in 0..A {
                    sums[i][v] = sums[i][v].multiply(scale[v]);
                }
                store(sums[i], &mut out[(start + i) * out_lanes..], block.first);
            }
        }
    }
}

/// One head of a window.
#[derive(Clone, Copy)]
struct Head<'a> {
    qkv: &'a [f32],
    window: Window,
    /// First rows of its queries, keys and values.
    first_rows: [usize; 3],
    d: usize,
    /// Scores are exponents of 2.
    sink: Option<f32>,
}

/// The block's scores, −∞ where the key is later than the query, and the largest of each query.
#[inline(always)]
fn score<V: Vector, const A: usize>(head: Head<'_>, block: Block, scratch: &mut ForwardScratch) -> [V; A] {
    let mut max = [V::splat(head.sink.unwrap_or(f32::NEG_INFINITY)); A];
    let mut scores = scratch.scores.chunks_exact_mut(KEYS * A * LANES);
    for tile in 0..=block.tile {
        let (rows, lanes) = head.window.rows(tile, head.first_rows[1], head.d);
        let keys = &head.qkv[rows];
        for key in (0..block.keys::<A>(tile)).step_by(KEYS) {
            let mut sums = dots::<V, A>(keys, lanes, key, &scratch.queries);
            if block.before(tile, key + KEYS - 1) > 0 {
                for j in 0..KEYS {
                    let before = block.before(tile, key + j);
                    for v in 0..A {
                        sums[j][v] =
                            sums[j][v].fill_first(before.saturating_sub(v * LANES), f32::NEG_INFINITY);
                    }
                }
            }
            let Some(scores) = scores.next() else { continue };
            for j in 0..KEYS {
                for v in 0..A {
                    max[v] = max[v].larger(sums[j][v]);
                }
                store(sums[j], scores, j * A * LANES);
            }
        }
    }
    max
}

/// Turns the block's scores into weights, and gives each query's sum of them and `total`. What is later than a query has no weight at
/// all, not even a tiny one.
#[inline(always)]
fn weigh<V: Vector, const A: usize>(
    scores: &mut [f32],
    start: usize,
    max: [V; A],
    mut total: [V; A],
) -> [V; A] {
    for (key, scores) in scores.chunks_exact_mut(A * LANES).enumerate() {
        let mut weights: [V; A] = load(scores, 0);
        for v in 0..A {
            weights[v] = power(weights[v].subtract(max[v]));
        }
        if key > start {
            for v in 0..A {
                weights[v] = weights[v].fill_first((key - start).saturating_sub(v * LANES), 0.0);
            }
        }
        for v in 0..A {
            total[v] = total[v].add(weights[v]);
        }
        store(weights, scores, 0);
    }
    total
}

#[inline(always)]
fn attend<V: Vector, const A: usize>(
    head: Head<'_>,
    block: Block,
    scratch: &mut ForwardScratch,
    out: &mut [f32],
    [maxima, per_totals]: [&mut [f32]; 2],
) {
    let (rows, lanes) = head.window.rows(block.tile, head.first_rows[0], head.d);
    let scale = std::f32::consts::LOG2_E / (head.d as f32).sqrt();
    gather::<V, A>(&head.qkv[rows], lanes, block.first, scale, &mut scratch.queries[..head.d * A * LANES]);
    let max = score::<V, A>(head, block, scratch);
    let mut total = [V::splat(0.0); A];
    if let Some(sink) = head.sink {
        for v in 0..A {
            total[v] = power(V::splat(sink).subtract(max[v]));
        }
    }
    let weights = &mut scratch.scores[..(block.start() + A * LANES) * A * LANES];
    let total = weigh(weights, block.start(), max, total);
    let mut per_total = total;
    for v in 0..A {
        let mut lanes = [0.0; LANES];
        total[v].store(&mut lanes);
        for lane in 0..LANES {
            lanes[lane] = 1.0 / lanes[lane];
        }
        per_total[v] = V::load(&lanes);
    }
    store(max, maxima, block.start());
    store(per_total, per_totals, block.start());
    mix::<V, A>((head.qkv, head.window, head.first_rows[2]), block, weights, per_total, out, lanes);
}

#[inline(always)]
fn lanes_attention_forward_body<V: Vector>(
    qkv: &[f32],
    sink: Option<&[f32]>,
    shape: AttentionShape,
    scratch: &mut ForwardScratch,
    out: &mut [f32],
    normalisers: &mut [f32],
) {
    let AttentionShape { tokens, heads, head_width: d } = shape;
    let width = heads * d;
    let (window, out_window) = (Window::new(3 * width, tokens), Window::new(width, tokens));
    assert_eq!(
        qkv.len(),
        window.len(),
        "lanes_attention_forward: qkv is not [3·{heads}·{d}] of {tokens} tokens"
    );
    assert_eq!(
        out.len(),
        out_window.len(),
        "lanes_attention_forward: out is not [{heads}·{d}] of {tokens} tokens"
    );
    assert!(sink.is_none_or(|sink| sink.len() == heads), "lanes_attention_forward: sink is not [{heads}]");
    let lanes = lanes_of(tokens);
    assert_eq!(
        normalisers.len(),
        heads * 2 * lanes,
        "lanes_attention_forward: normalisers are not [{heads}, 2, {lanes}]"
    );
    scratch.scores.at_least(lanes.next_multiple_of(QUERIES) * QUERIES);
    scratch.queries.at_least(d * QUERIES);
    for (h, normalisers) in normalisers.chunks_exact_mut(2 * lanes.max(1)).enumerate() {
        let first_rows = [h * d, width + h * d, 2 * width + h * d];
        let sink = sink.map(|sink| sink[h] * std::f32::consts::LOG2_E);
        let head = Head { qkv, window, first_rows, d, sink };
        for (tile, first, across) in window.blocks() {
            let block = Block { tile, first };
            let out = &mut out[out_window.rows(tile, h * d, d).0];
            let (maxima, per_totals) = normalisers.split_at_mut(lanes);
            if across == ACROSS {
                attend::<V, ACROSS>(head, block, scratch, out, [maxima, per_totals]);
            } else {
                attend::<V, 1>(head, block, scratch, out, [maxima, per_totals]);
            }
        }
    }
}

dispatch! {
    /// Causal softmax attention of one window, for [`lanes_attention_gradient`](crate::lanes_attention_gradient): `qkv` holds `[3·H·D][lanes]` for
    /// tile after tile (queries, keys, values one below the other, each cut into heads of D), `out` `[H·D][lanes]` likewise. Scores are divided by
    /// sqrt(D). `sink` `[H]` adds exp(sink) to each softmax denominator. `normalisers` `[H, 2, lanes of the window]`: each query's largest score,
    /// as an exponent of 2, and one over its sum of weights. Within 1e-5 relative to the largest value.
    pub fn lanes_attention_forward(
        qkv: &[f32],
        sink: Option<&[f32]>,
        shape: AttentionShape,
        scratch: &mut ForwardScratch,
        out: &mut [f32],
        normalisers: &mut [f32],
    ) = vector lanes_attention_forward_body
}
