//! The gradient of causal attention, block of queries by block. The formulas are in [`crate::reference`]; weights are computed again rather
//! than kept, and Σ p·dp of a query is its output times the gradient there (Dao et al. 2022, arXiv 2205.14135).

#![allow(clippy::needless_range_loop, reason = "loops of constant length over what is to stay in registers")]

use super::attention_forward::{ACROSS, Block, KEYS, QUERIES, Window, dots, gather, mix, power};
use super::rows::Turn;
use super::{TILE, lanes_of, load, store};
use crate::aligned::Aligned;
use crate::attention::AttentionShape;
use crate::isa::dispatch;
use crate::vector::{LANES, Vector};

/// What [`lanes_attention_forward`](crate::lanes_attention_forward) read and wrote.
#[derive(Clone, Copy, Debug)]
pub struct Attended<'a> {
    /// Queries, keys and values.
    pub qkv: &'a [f32],
    /// Sinks, where the model has them.
    pub sink: Option<&'a [f32]>,
    /// The shape.
    pub shape: AttentionShape,
    /// What the heads gave.
    pub out: &'a [f32],
    /// Largest scores and sums of weights.
    pub normalisers: &'a [f32],
}

/// Room for [`lanes_attention_gradient`], kept between calls.
#[derive(Clone, Debug, Default)]
pub struct GradientScratch {
    /// Weights and gradients in the scores, `[keys][queries]`.
    weights: Aligned,
    d_scores: Aligned,
    /// A block's queries and the gradient in their outputs, `[d][queries]`, and turned, `[queries][width]`.
    queries: Aligned,
    d_out: Aligned,
    query_rows: Aligned,
    d_out_rows: Aligned,
    /// Gradients in a head's keys and values, `[lanes][width]`.
    d_keys: Aligned,
    d_values: Aligned,
}

/// One head of a window.
#[derive(Clone, Copy)]
struct Head<'a> {
    of: Attended<'a>,
    d_out: &'a [f32],
    window: Window,
    out_window: Window,
    /// First rows of its queries, keys and values.
    first_rows: [usize; 3],
    d: usize,
    /// d rounded up to whole vectors.
    width: usize,
    /// Each query's largest score and one over its sum of weights.
    maxima: &'a [f32],
    per_totals: &'a [f32],
}

impl Head<'_> {
    #[inline(always)]
    fn part(&self, part: usize, tile: usize) -> (&[f32], usize) {
        let (rows, lanes) = self.window.rows(tile, self.first_rows[part], self.d);
        (&self.of.qkv[rows], lanes)
    }
}

/// `[d][A·16]` turned, times `scale`, to `[A·16][width]`.
#[inline(always)]
fn turn_block<V: Turn, const A: usize>(block: &[f32], width: usize, scale: f32, to: &mut [f32]) {
    let d = block.len() / (A * LANES);
    for start in (0..width).step_by(LANES) {
        for v in 0..A {
            let mut square = [V::splat(0.0); LANES];
            for i in 0..LANES {
                if start + i < d {
                    square[i] = V::load(&block[((start + i) * A + v) * LANES..]).multiply(V::splat(scale));
                }
            }
            let turned = V::turn(square);
            for i in 0..LANES {
                turned[i].store(&mut to[(v * LANES + i) * width + start..]);
            }
        }
    }
}

/// Each query's Σ p·dp.
#[inline(always)]
fn along<V: Vector, const A: usize>(head: Head<'_>, block: Block, d_out: &[f32]) -> [V; A] {
    let (rows, lanes) = head.out_window.rows(block.tile, head.first_rows[0], head.d);
    let mut sums = [V::splat(0.0); A];
    for (out, d) in head.of.out[rows].chunks_exact(lanes).zip(d_out.chunks_exact(A * LANES)) {
        let (out, d): ([V; A], [V; A]) = (load(out, block.first), load(d, 0));
        for v in 0..A {
            sums[v] = out[v].multiply_add(d[v], sums[v]);
        }
    }
    sums
}

/// Fills the block's weights and the gradients in its scores.
#[inline(always)]
fn fill<V: Vector, const A: usize>(
    head: Head<'_>,
    block: Block,
    mean: [V; A],
    scratch: &mut GradientScratch,
) {
    let max: [V; A] = load(head.maxima, block.start());
    let per_total: [V; A] = load(head.per_totals, block.start());
    let GradientScratch { weights, d_scores, queries, d_out, .. } = scratch;
    let mut groups =
        weights.chunks_exact_mut(KEYS * A * LANES).zip(d_scores.chunks_exact_mut(KEYS * A * LANES));
    for tile in 0..=block.tile {
        let ((keys, lanes), (values, _)) = (head.part(1, tile), head.part(2, tile));
        for key in (0..block.keys::<A>(tile)).step_by(KEYS) {
            let Some((weights, d_scores)) = groups.next() else { continue };
            let late = block.before(tile, key + KEYS - 1) > 0;
            let mut own = dots::<V, A>(keys, lanes, key, queries);
            for j in 0..KEYS {
                for v in 0..A {
                    own[j][v] = power(own[j][v].subtract(max[v])).multiply(per_total[v]);
                }
                if late {
                    let before = block.before(tile, key + j);
                    for v in 0..A {
                        own[j][v] = own[j][v].fill_first(before.saturating_sub(v * LANES), 0.0);
                    }
                }
                store(own[j], weights, j * A * LANES);
            }
            let mut d = dots::<V, A>(values, lanes, key, d_out);
            for j in 0..KEYS {
                let own: [V; A] = load(weights, j * A * LANES);
                for v in 0..A {
                    d[j][v] = own[v].multiply(d[j][v].subtract(mean[v]));
                }
                store(d[j], d_scores, j * A * LANES);
            }
        }
    }
}

/// `sums[key, i] += Σ_query weights[key, query]·rows[query, i]`, for two sets of weights, rows and sums at once: that many independent sums
/// hide the latency of a multiply-add.
#[inline(always)]
fn add_outer<V: Vector, const A: usize>(
    weights: [&[f32]; 2],
    rows: [&[f32]; 2],
    width: usize,
    [sums_a, sums_b]: [&mut [f32]; 2],
) {
    let groups = weights[0].chunks_exact(KEYS * A * LANES).zip(weights[1].chunks_exact(KEYS * A * LANES));
    let sums = sums_a.chunks_exact_mut(KEYS * width).zip(sums_b.chunks_exact_mut(KEYS * width));
    for ((weights_a, weights_b), (sums_a, sums_b)) in groups.zip(sums) {
        // Of a length that is known, so that nothing is checked in the loop.
        let (mut of_a, mut of_b) = ([&weights_a[..A * LANES]; KEYS], [&weights_b[..A * LANES]; KEYS]);
        for j in 0..KEYS {
            of_a[j] = &weights_a[j * A * LANES..][..A * LANES];
            of_b[j] = &weights_b[j * A * LANES..][..A * LANES];
        }
        for chunk in (0..width).step_by(LANES) {
            let (mut own_a, mut own_b) = ([V::splat(0.0); KEYS], [V::splat(0.0); KEYS]);
            let rows = rows[0].chunks_exact(width).zip(rows[1].chunks_exact(width));
            for (lane, (row_a, row_b)) in (0..A * LANES).zip(rows) {
                let (row_a, row_b) = (V::load(&row_a[chunk..]), V::load(&row_b[chunk..]));
                for j in 0..KEYS {
                    own_a[j] = V::splat(of_a[j][lane]).multiply_add(row_a, own_a[j]);
                    own_b[j] = V::splat(of_b[j][lane]).multiply_add(row_b, own_b[j]);
                }
            }
            for j in 0..KEYS {
                let (a, b) = (&mut sums_a[j * width + chunk..], &mut sums_b[j * width + chunk..]);
                V::load(a).add(own_a[j]).store(a);
                V::load(b).add(own_b[j]).store(b);
            }
        }
    }
}

/// One block of queries; gives Σ p·dp of each.
#[inline(always)]
fn backward<V: Turn, const A: usize>(
    head: Head<'_>,
    block: Block,
    scratch: &mut GradientScratch,
    d_queries: &mut [f32],
) -> [V; A] {
    let Head { d, width, .. } = head;
    let ((queries, lanes), of_scores) = (head.part(0, block.tile), 1.0 / (d as f32).sqrt());
    let d_out = &head.d_out[head.out_window.rows(block.tile, head.first_rows[0], d).0];
    let own = 0..d * A * LANES;
    let exponents = std::f32::consts::LOG2_E * of_scores;
    gather::<V, A>(queries, lanes, block.first, 1.0, &mut scratch.queries[own.clone()]);
    gather::<V, A>(d_out, lanes, block.first, 1.0, &mut scratch.d_out[own.clone()]);
    turn_block::<V, A>(&scratch.queries[own.clone()], width, of_scores, &mut scratch.query_rows);
    turn_block::<V, A>(&scratch.d_out[own.clone()], width, 1.0, &mut scratch.d_out_rows);
    gather::<V, A>(queries, lanes, block.first, exponents, &mut scratch.queries[own.clone()]);
    let mean = along::<V, A>(head, block, &scratch.d_out[own]);
    fill::<V, A>(head, block, mean, scratch);
    let len = (block.start() + A * LANES) * A * LANES;
    let (weights, d_scores) = (&scratch.weights[..len], &scratch.d_scores[..len]);
    let keys = (head.of.qkv, head.window, head.first_rows[1]);
    mix::<V, A>(keys, block, d_scores, [V::splat(of_scores); A], d_queries, lanes);
    let rows = [&scratch.query_rows[..], &scratch.d_out_rows[..]];
    add_outer::<V, A>([d_scores, weights], rows, width, [&mut scratch.d_keys[..], &mut scratch.d_values[..]]);
    mean
}

/// Gradient in the head's sink of one block: −Σ of its weight times Σ p·dp.
#[inline(always)]
fn of_sink<V: Vector, const A: usize>(head: Head<'_>, block: Block, sink: f32, mean: [V; A]) -> f32 {
    let max: [V; A] = load(head.maxima, block.start());
    let per_total: [V; A] = load(head.per_totals, block.start());
    let mut sum = 0.0;
    for v in 0..A {
        let exp = power(V::splat(sink * std::f32::consts::LOG2_E).subtract(max[v]));
        let mut lanes = [0.0; LANES];
        exp.multiply(per_total[v]).multiply(mean[v]).store(&mut lanes);
        for share in lanes {
            sum -= share;
        }
    }
    sum
}

/// A head's rows `[lanes][width]` turned into the tiles' rows from `first_row` on.
#[inline(always)]
fn turn_to_tiles<V: Turn>(rows: &[f32], head: Head<'_>, first_row: usize, d_qkv: &mut [f32]) {
    let width = head.width;
    for (index, rows) in rows.chunks(TILE * width).enumerate() {
        let (at, lanes) = head.window.rows(index, first_row, head.d);
        let out = &mut d_qkv[at];
        for (lane, rows) in rows.chunks_exact(LANES * width).enumerate() {
            for start in (0..width).step_by(LANES) {
                let mut square = [V::splat(0.0); LANES];
                for i in 0..LANES {
                    square[i] = V::load(&rows[i * width + start..]);
                }
                let turned = V::turn(square);
                for i in 0..LANES {
                    if start + i < head.d {
                        turned[i].store(&mut out[(start + i) * lanes + lane * LANES..]);
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn lanes_attention_gradient_body<V: Turn>(
    of: Attended<'_>,
    d_out: &[f32],
    scratch: &mut GradientScratch,
    d_qkv: &mut [f32],
    mut d_sink: Option<&mut [f32]>,
) {
    let AttentionShape { tokens, heads, head_width: d } = of.shape;
    let row = heads * d;
    let (window, out_window, lanes) =
        (Window::new(3 * row, tokens), Window::new(row, tokens), lanes_of(tokens));
    let fits = |matrix: &[f32], window: Window| matrix.len() == window.len();
    assert!(
        fits(of.qkv, window) && fits(d_qkv, window),
        "lanes_attention_gradient: qkv is not [3·{heads}·{d}]"
    );
    assert!(
        fits(of.out, out_window) && fits(d_out, out_window),
        "lanes_attention_gradient: out is not [{heads}·{d}]"
    );
    assert_eq!(of.normalisers.len(), heads * 2 * lanes, "lanes_attention_gradient: normalisers");
    assert_eq!(
        of.sink.map(<[f32]>::len),
        d_sink.as_ref().map(|d| d.len()),
        "lanes_attention_gradient: d_sink"
    );
    assert!(
        of.sink.is_none_or(|sink| sink.len() == heads),
        "lanes_attention_gradient: sink is not [{heads}]"
    );
    let width = d.next_multiple_of(LANES);
    for buffer in [&mut scratch.weights, &mut scratch.d_scores] {
        buffer.at_least(lanes.next_multiple_of(QUERIES) * QUERIES);
    }
    for buffer in [&mut scratch.queries, &mut scratch.d_out, &mut scratch.query_rows, &mut scratch.d_out_rows]
    {
        buffer.at_least(width * QUERIES);
    }
    scratch.d_keys.at_least(lanes * width);
    scratch.d_values.at_least(lanes * width);
    for (h, normalisers) in of.normalisers.chunks_exact(2 * lanes.max(1)).enumerate() {
        let first_rows = [h * d, row + h * d, 2 * row + h * d];
        let (maxima, per_totals) = normalisers.split_at(lanes);
        let head = Head { of, d_out, window, out_window, first_rows, d, width, maxima, per_totals };
        scratch.d_keys[..lanes * width].fill(0.0);
        scratch.d_values[..lanes * width].fill(0.0);
        for (tile, first, across) in window.blocks() {
            let block = Block { tile, first };
            let d_queries = &mut d_qkv[window.rows(tile, h * d, d).0];
            let share = if across == ACROSS {
                let mean = backward::<V, ACROSS>(head, block, scratch, d_queries);
                of.sink.map_or(0.0, |sink| of_sink(head, block, sink[h], mean))
            } else {
                let mean = backward::<V, 1>(head, block, scratch, d_queries);
                of.sink.map_or(0.0, |sink| of_sink(head, block, sink[h], mean))
            };
            if let Some(d_sink) = &mut d_sink {
                d_sink[h] += share;
            }
        }
        turn_to_tiles::<V>(&scratch.d_keys[..lanes * width], head, first_rows[1], d_qkv);
        turn_to_tiles::<V>(&scratch.d_values[..lanes * width], head, first_rows[2], d_qkv);
    }
}

dispatch! {
    /// Gradient of [`lanes_attention_forward`](crate::lanes_attention_forward) given the one in its output, d_out `[H·D][lanes]` for tile after tile,
    /// which is zero past the last token: d_qkv `[3·H·D][lanes]` is overwritten, d_sink `[H]` (there if and only if the sink is) is added to. Within 2e-5
    /// relative to the largest gradient.
    pub fn lanes_attention_gradient(
        of: Attended<'_>,
        d_out: &[f32],
        scratch: &mut GradientScratch,
        d_qkv: &mut [f32],
        d_sink: Option<&mut [f32]>,
    ) = vector lanes_attention_gradient_body
}

#[cfg(test)]
mod tests {
    use super::super::testing::{rows_of_window, window};
    use super::*;
    use crate::testing::{Random, assert_close_rows};
    use crate::{ForwardScratch, Isa, lanes_attention_forward, reference};

    #[test]
    fn output_and_gradient_equal_the_reference() {
        let mut random = Random::new(34);
        let (mut forward, mut back) = (ForwardScratch::default(), GradientScratch::default());
        for (tokens, heads, head_width) in
            [(1, 1, 1), (5, 2, 3), (17, 6, 4), (64, 3, 16), (65, 2, 8), (130, 2, 40), (100, 1, 20)]
        {
            let shape = AttentionShape { tokens, heads, head_width };
            let width = heads * head_width;
            let qkv: Vec<f32> = random.normals(tokens * 3 * width).iter().map(|v| v * 1.5).collect();
            let (d_out, sink) = (random.normals(tokens * width), random.normals(heads));
            for sink in [None, Some(&sink[..])] {
                let (d_qkv, d_sink) = reference::causal_attention_gradients(&qkv, sink, shape, &d_out);
                let expected = reference::causal_attention(&qkv, sink, shape);
                let (qkv, d_out) = (window(&qkv, 3 * width), window(&d_out, width));
                for isa in Isa::available() {
                    let lanes = lanes_of(tokens);
                    let (mut out, mut normalisers) =
                        (vec![f32::NAN; d_out.len()], vec![f32::NAN; heads * 2 * lanes]);
                    lanes_attention_forward(isa, &qkv, sink, shape, &mut forward, &mut out, &mut normalisers);
                    let out_rows = rows_of_window(&out, tokens);
                    assert_close_rows(&out_rows, &expected, expected.len(), 1e-5, isa);
                    let of = Attended { qkv: &qkv, sink, shape, out: &out, normalisers: &normalisers };
                    let mut fast = vec![f32::NAN; qkv.len()];
                    let mut fast_sink = sink.map(|_| vec![1.0; heads]);
                    lanes_attention_gradient(isa, of, &d_out, &mut back, &mut fast, fast_sink.as_deref_mut());
                    assert_close_rows(&rows_of_window(&fast, tokens), &d_qkv, d_qkv.len(), 2e-5, isa);
                    if let Some(fast_sink) = fast_sink {
                        let plus_one: Vec<f32> = d_sink.iter().map(|d| d + 1.0).collect();
                        assert_close_rows(&fast_sink, &plus_one, heads, 2e-5, isa);
                    }
                }
            }
        }
    }
}
