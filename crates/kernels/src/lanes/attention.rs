//! Causal attention of one window, head by head, for a block of up to 32 queries at a time that lie side by side: scores, softmax and
//! weighted sums are the same few operations for every key, which is one number broadcast to all queries.
//!
//! A softmax is the same whatever is subtracted from its scores. The largest score, which one would have to look for first, is
//! only one choice; |query| · the largest |key| so far is as good while it is small, and then scores begin at its negative.
//!
//! What AbsTopK zeroed costs little: a feature that is zero in all queries of a block, or in all keys, is left out of the scores, and
//! where none is left every score is zero, so that attention is a running mean of the values. Both are exact where keys are finite; where the
//! square of one is not, nothing is left out.

use super::{TILE, lanes_of, load, store};
use crate::aligned::Aligned;
use crate::attention::AttentionShape;
use crate::exp::exp2_lanes;
use crate::isa::dispatch;
use crate::vector::{LANES, Vector};

/// Vectors of a block of queries, where the instruction set has the registers; else one.
const ACROSS: usize = 2;
/// Keys scored together, and features of the values summed together: with two vectors across, sixteen sums hide the latency of a
/// multiply-add, and what a feature costs besides.
const GROUP: usize = 8;
/// The same where registers are few.
const FEW: usize = 4;
/// Up to here the bound on a query's scores, as an exponent of 2, is what is subtracted. Scores then lie between 0 and −2 · this, so
/// that no weight underflows, and are rounded as numbers of that size: by 2⁻¹⁹ at most.
const BOUND: f32 = 32.0;
/// Below this an exponent of 2 is taken at this: all stays normal.
const LOWEST: f32 = -125.0;

/// Room for [`lanes_attention`], kept between calls.
#[derive(Clone, Debug, Default)]
pub struct AttentionScratch {
    /// `[keys][queries]` of one tile of keys.
    weights: Aligned,
    /// `[features][queries]`, sums over the keys so far.
    sums: Aligned,
    /// `[features][queries]`, the live ones alone.
    queries: Aligned,
    /// The largest |key|² up to each token.
    reach: Vec<f32>,
    /// Features that are not zero in all keys.
    live_keys: Vec<bool>,
    /// Whether some |key|² is not finite, so that a query's zero may not leave it out.
    plain: bool,
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

/// What one instruction compares; NaN counts as small here, as it is seen elsewhere.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if b > a { b } else { a }
}

/// The largest |key|² up to each token of the window, and which features are not zero in all keys.
#[inline(always)]
fn survey_keys<V: Vector>(head: Head<'_>, scratch: &mut AttentionScratch) {
    let mut largest = 0.0f32;
    scratch.plain = false;
    scratch.live_keys.clear();
    scratch.live_keys.resize(head.d, false);
    scratch.reach.clear();
    for tile in 0..head.qkv.count() {
        let (keys, lanes, tokens) = head.part(1, tile);
        let mut squares = [0.0; TILE];
        for (live, row) in scratch.live_keys.iter_mut().zip(keys.chunks_exact(lanes)) {
            *live |= is_live(&row[..tokens]);
            for first in (0..lanes).step_by(LANES) {
                let key = V::load(&row[first..]);
                key.multiply_add(key, V::load(&squares[first..])).store(&mut squares[first..]);
            }
        }
        scratch.plain |= squares.iter().fold(false, |plain, square| plain | !square.is_finite());
        // Sixteen by sixteen first: one long chain of comparisons would take as long as much of the attention.
        let (vectors, _) = squares.as_chunks_mut::<LANES>();
        for lane in 1..LANES {
            for vector in &mut *vectors {
                vector[lane] = larger(vector[lane - 1], vector[lane]);
            }
        }
        for vector in vectors {
            for square in &mut *vector {
                *square = larger(largest, *square);
            }
            largest = vector[LANES - 1];
        }
        scratch.reach.extend_from_slice(&squares[..lanes]);
    }
}

/// The block's queries of its live features, scaled so that scores are exponents of 2; gives a bound on each query's scores.
#[inline(always)]
fn gather_queries<V: Vector, const A: usize>(
    head: Head<'_>,
    tile: usize,
    first: usize,
    scratch: &mut AttentionScratch,
) -> [[f32; LANES]; A] {
    let (queries, lanes, _) = head.part(0, tile);
    let scale = V::splat(std::f32::consts::LOG2_E / (head.d as f32).sqrt());
    let mut squares = [V::splat(0.0); A];
    scratch.live.clear();
    for (feature, row) in queries.chunks_exact(lanes).enumerate() {
        if scratch.plain || scratch.live_keys[feature] && is_live(&row[first..][..A * LANES]) {
            let mut queries: [V; A] = load(row, first);
            for v in 0..A {
                queries[v] = queries[v].multiply(scale);
                squares[v] = queries[v].multiply_add(queries[v], squares[v]);
            }
            store(queries, &mut scratch.queries, scratch.live.len() * A * LANES);
            scratch.live.push(feature);
        }
    }
    let reach: [V; A] = load(&scratch.reach[tile * TILE..], first);
    let mut bounds = [[0.0; LANES]; A];
    for v in 0..A {
        squares[v].multiply(reach[v]).store(&mut bounds[v]);
        for bound in &mut bounds[v] {
            *bound = bound.sqrt();
        }
    }
    bounds
}

/// `start` + the scores of `G` keys from lane `key` of a tile on, for all queries of a block.
#[inline(always)]
fn scores<V: Vector, const A: usize, const G: usize>(
    start: [V; A],
    scratch: &AttentionScratch,
    keys: &[f32],
    lanes: usize,
    key: usize,
) -> [[V; A]; G] {
    let mut sums = [start; G];
    for (queries, &feature) in scratch.queries.chunks_exact(A * LANES).zip(&scratch.live) {
        let queries: [V; A] = load(queries, 0);
        let keys = &keys[feature * lanes + key..][..G];
        for j in 0..G {
            let entry = V::splat(keys[j]);
            for v in 0..A {
                sums[j][v] = entry.multiply_add(queries[v], sums[j][v]);
            }
        }
    }
    sums
}

/// The keys of one tile that some query of a block sees.
#[derive(Clone, Copy)]
struct Seen {
    tile: usize,
    end: usize,
    /// The block's first lane, where the tile is the block's own; else past the end: keys from there on are later than some query.
    late: usize,
}

impl Seen {
    /// Lanes of a block's vector `v` that are before key `key`.
    #[inline(always)]
    fn before(self, key: usize, v: usize) -> usize {
        (key.saturating_sub(self.late)).saturating_sub(v * LANES)
    }
}

/// What a block from lane `first` of `tile` on sees of each tile.
#[inline(always)]
fn seen<const A: usize>(tile: usize, first: usize, key_tile: usize) -> Seen {
    let own = key_tile == tile;
    let end = if own { first + A * LANES } else { TILE };
    Seen { tile: key_tile, end, late: if own { first } else { TILE } }
}

/// The largest score of each query.
#[inline(always)]
fn largest<V: Vector, const A: usize, const G: usize>(
    head: Head<'_>,
    tile: usize,
    first: usize,
    scratch: &AttentionScratch,
) -> [V; A] {
    let mut max = [V::splat(f32::NEG_INFINITY); A];
    for key_tile in 0..=tile {
        let seen = seen::<A>(tile, first, key_tile);
        let (keys, lanes, _) = head.part(1, key_tile);
        for key in (0..seen.end).step_by(G) {
            let scores: [_; G] = scores([V::splat(0.0); A], scratch, keys, lanes, key);
            for (j, scores) in scores.into_iter().enumerate() {
                for v in 0..A {
                    let seen = scores[v].fill_first(seen.before(key + j, v), f32::NEG_INFINITY);
                    max[v] = max[v].larger(seen);
                }
            }
        }
    }
    max
}

/// Fills the weights `[keys][queries]` of one tile of keys, 2 to the power of the scores from `start` on (no less than
/// [`LOWEST`] where `CLAMP`), zero where the key is later than the query, and gives each query's sum of them and `total`.
#[inline(always)]
fn weigh<V: Vector, const A: usize, const G: usize, const CLAMP: bool>(
    head: Head<'_>,
    seen: Seen,
    start: [V; A],
    mut total: [V; A],
    scratch: &mut AttentionScratch,
) -> [V; A] {
    let (keys, lanes, _) = head.part(1, seen.tile);
    let mut weights = std::mem::take(&mut scratch.weights);
    for (key, weights) in (0..seen.end).step_by(G).zip(weights.chunks_exact_mut(G * A * LANES)) {
        let mut scores: [_; G] = scores(start, scratch, keys, lanes, key);
        for score in scores.as_flattened_mut() {
            if CLAMP {
                *score = score.larger(V::splat(LOWEST));
            }
            *score = exp2_lanes(*score);
        }
        if key + G > seen.late {
            for (j, scores) in scores.iter_mut().enumerate() {
                for (v, score) in scores.iter_mut().enumerate() {
                    *score = score.fill_first(seen.before(key + j, v), 0.0);
                }
            }
        }
        for (j, &scores) in scores.iter().enumerate() {
            for v in 0..A {
                total[v] = total[v].add(scores[v]);
            }
            store(scores, weights, j * A * LANES);
        }
    }
    scratch.weights = weights;
    total
}

/// `sums[feature][query] += Σ_key value · weight` over the keys of one tile.
#[inline(always)]
fn mix<V: Vector, const A: usize, const G: usize>(
    head: Head<'_>,
    seen: Seen,
    scratch: &mut AttentionScratch,
) {
    let (values, lanes, tokens) = head.part(2, seen.tile);
    let keys = seen.end.min(tokens);
    let weights = &scratch.weights[..keys * A * LANES];
    for start in (0..head.d).step_by(G) {
        // Past the last feature the last is summed again, and not written.
        let mut rows = [&values[..0]; G];
        let mut sums = [[V::splat(0.0); A]; G];
        for i in 0..G {
            let feature = (start + i).min(head.d - 1);
            rows[i] = &values[feature * lanes..][..keys];
            sums[i] = load(&scratch.sums, feature * A * LANES);
        }
        for key in 0..keys {
            let weights: [V; A] = load(&weights[key * A * LANES..], 0);
            for i in 0..G {
                let value = V::splat(rows[i][key]);
                for v in 0..A {
                    sums[i][v] = value.multiply_add(weights[v], sums[i][v]);
                }
            }
        }
        let rows = scratch.sums[start * A * LANES..head.d * A * LANES].chunks_exact_mut(A * LANES);
        for (sums, row) in sums.into_iter().zip(rows) {
            store(sums, row, 0);
        }
    }
}

/// `out[feature][query] = sum / total` for the head's features, into rows of `lanes` from lane `first` on.
#[inline(always)]
fn write_means<V: Vector, const A: usize>(
    sums: &[f32],
    total: [V; A],
    d: usize,
    first: usize,
    out: &mut [f32],
) {
    let mut scale = total;
    for v in 0..A {
        let mut totals = [0.0; LANES];
        total[v].store(&mut totals);
        scale[v] = V::load(&totals.map(|total| 1.0 / total));
    }
    let lanes = out.len() / d;
    for (sums, out) in sums.chunks_exact(A * LANES).zip(out.chunks_exact_mut(lanes)) {
        let mut means: [V; A] = load(sums, 0);
        for v in 0..A {
            means[v] = means[v].multiply(scale[v]);
        }
        store(means, out, first);
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

/// NaN is not.
#[inline(always)]
fn is_small(bound: f32) -> bool {
    bound <= BOUND
}

/// One block of queries, from lane `first` of `tile` on.
#[inline(always)]
fn block<V: Vector, const A: usize, const G: usize>(
    head: Head<'_>,
    tile: usize,
    first: usize,
    scratch: &mut AttentionScratch,
    out: &mut [f32],
) {
    let mut bounds = gather_queries::<V, A>(head, tile, first, scratch);
    if scratch.live.is_empty() {
        mean_of_values::<V, A>(head, tile, first, out);
        return;
    }
    let sink = head.sink.map(|sink| sink * std::f32::consts::LOG2_E);
    // Each query for itself, so that what is subtracted does not depend on the others.
    let mut clamp = false;
    for bound in bounds.as_flattened_mut() {
        if is_small(*bound) {
            *bound = bound.max(sink.unwrap_or(0.0));
        }
        clamp |= !is_small(*bound);
    }
    if clamp {
        let largest = largest::<V, A, G>(head, tile, first, scratch);
        for (bounds, largest) in bounds.iter_mut().zip(largest) {
            let mut scores = [0.0; LANES];
            largest.store(&mut scores);
            for (bound, score) in bounds.iter_mut().zip(scores) {
                if !is_small(*bound) {
                    *bound = sink.map_or(score, |sink| score.max(sink));
                }
            }
        }
    }
    let mut start = [V::splat(0.0); A];
    let mut total = [V::splat(0.0); A];
    for v in 0..A {
        start[v] = V::splat(0.0).subtract(V::load(&bounds[v]));
        if let Some(sink) = sink {
            total[v] = exp2_lanes(V::splat(sink).add(start[v]).larger(V::splat(LOWEST)));
        }
    }
    scratch.sums[..head.d * A * LANES].fill(0.0);
    for key_tile in 0..=tile {
        let seen = seen::<A>(tile, first, key_tile);
        total = if clamp {
            weigh::<V, A, G, true>(head, seen, start, total, scratch)
        } else {
            weigh::<V, A, G, false>(head, seen, start, total, scratch)
        };
        mix::<V, A, G>(head, seen, scratch);
    }
    write_means(&scratch.sums[..head.d * A * LANES], total, head.d, first, out);
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
    scratch.weights.at_least(TILE * ACROSS * LANES);
    scratch.sums.at_least(d * ACROSS * LANES);
    scratch.queries.at_least(d * ACROSS * LANES);
    let tiles = Tiles { data: qkv, features: 3 * width, tokens };
    for h in 0..heads {
        let first_rows = [0, 1, 2].map(|part| part * width + h * d);
        let head = Head { qkv: tiles, first_rows, d, sink: sink.map(|sink| sink[h]) };
        if !unread[h] {
            survey_keys::<V>(head, scratch);
        }
        for tile in 0..tiles.count() {
            let lanes = lanes_of(TILE.min(tokens - tile * TILE));
            let out = &mut out[tile * TILE * width + h * d * lanes..][..d * lanes];
            if unread[h] {
                // What was there may not be finite, and a dense product multiplies it by zero.
                out.fill(0.0);
                continue;
            }
            for first in (0..lanes).step_by(V::ACROSS.min(ACROSS) * LANES) {
                if V::ACROSS < ACROSS {
                    block::<V, 1, FEW>(head, tile, first, scratch, out);
                } else if first + ACROSS * LANES > lanes {
                    block::<V, 1, GROUP>(head, tile, first, scratch, out);
                } else {
                    block::<V, ACROSS, GROUP>(head, tile, first, scratch, out);
                }
            }
        }
    }
}

dispatch! {
    /// Causal softmax attention of one window: `qkv` holds `[3·H·D][lanes]` for tile after tile (queries, keys, values one below the
    /// other, each cut into heads of D), `out` `[H·D][lanes]` likewise; see [`crate::lanes_of`]. Scores are divided by sqrt(D). `sink`
    /// `[H]` adds exp(sink) to each softmax denominator, with no value (Xiao et al. 2023, arXiv 2309.17453, in its learned form). Heads
    /// that are `unread` `[H]` are zero in `out`. Within 1e-5 relative to the largest value.
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
