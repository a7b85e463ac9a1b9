//! The gradient of causal attention, in blocks of queries as [`crate::attention`] has them. The formulas are in
//! [`crate::reference`]; scores and softmax are computed again rather than kept (Dao et al. 2022, arXiv 2205.14135).

use crate::aligned::Aligned;
use crate::attention::{
    ACROSS, AttentionShape, Gathered, KEYS, QUERIES, Queries, Sizes, block_scores, dots, load, mix, on_sink,
    scatter, store,
};
use crate::exp::exp_nonpositive_lanes;
use crate::isa::dispatch;
use crate::vector::{LANES, Vector};

/// One head's matrices and the gradients in its keys and values, `[padded tokens][padded width]`.
struct Head {
    queries: Gathered,
    d_out: Gathered,
    keys: Gathered,
    values: Gathered,
    d_keys: Aligned,
    d_values: Aligned,
}

/// A block's weights and the gradients in its scores, each `[keys][QUERIES]`.
struct Block {
    weights: Aligned,
    d_scores: Aligned,
    /// `[used][QUERIES]`.
    d_queries: Aligned,
}

impl Block {
    /// Fills both for the block at `first`; gives each query's weight on the sink times Σ p·dp.
    #[inline(always)]
    fn fill<V: Vector>(
        &mut self,
        head: &Head,
        sizes: Sizes,
        first: usize,
        sink: Option<f32>,
    ) -> Option<[f32; QUERIES]> {
        let len = sizes.keys(first) * QUERIES;
        let (weights, d_weights) = (&mut self.weights[..len], &mut self.d_scores[..len]);
        let start = sink.unwrap_or(f32::NEG_INFINITY);
        let max = block_scores::<V>(&head.keys.rows, &head.queries.turned, sizes, first, start, weights);
        let on_sink = on_sink(sink, max);
        let zero = [V::splat(0.0); ACROSS];
        let (mut total, mut mean) = (on_sink.unwrap_or(zero), zero);
        let groups = weights.chunks_exact_mut(KEYS * QUERIES).zip(d_weights.chunks_exact_mut(KEYS * QUERIES));
        for (group, (weights, d_weights)) in groups.enumerate() {
            let d = dots::<V>(&head.values.rows, &head.d_out.turned, sizes, group * KEYS, first);
            let rows = weights.chunks_exact_mut(QUERIES).zip(d_weights.chunks_exact_mut(QUERIES));
            for ((weights, d_weights), &d) in rows.zip(&d) {
                let mut own: Queries<V> = load(weights);
                for v in 0..ACROSS {
                    own[v] = exp_nonpositive_lanes(own[v].subtract(max[v]));
                    total[v] = total[v].add(own[v]);
                    mean[v] = own[v].multiply_add(d[v], mean[v]);
                }
                store(own, weights);
                store(d, d_weights);
            }
        }
        let mut totals = [0.0; QUERIES];
        store(total, &mut totals);
        let per_total: Queries<V> = load(&totals.map(|total| 1.0 / total));
        for v in 0..ACROSS {
            mean[v] = mean[v].multiply(per_total[v]);
        }
        for (weights, d_scores) in weights.chunks_exact_mut(QUERIES).zip(d_weights.chunks_exact_mut(QUERIES))
        {
            let (mut own, mut d): (Queries<V>, Queries<V>) = (load(weights), load(d_scores));
            for v in 0..ACROSS {
                own[v] = own[v].multiply(per_total[v]);
                d[v] = own[v].multiply(d[v].subtract(mean[v]));
            }
            store(own, weights);
            store(d, d_scores);
        }
        on_sink.map(|on_sink| {
            let mut shares = [0.0; QUERIES];
            let share = |v: usize| on_sink[v].multiply(per_total[v]).multiply(mean[v]);
            store(std::array::from_fn(share), &mut shares);
            shares
        })
    }
}

/// `sums[key, i] += Σ_lane weights[key, lane]·rows[first + lane, i]`, for two sets of weights, rows and sums at once: that
/// many independent sums hide the latency of a multiply-add.
#[inline(always)]
fn add_outer<V: Vector>(
    weights: [&[f32]; 2],
    rows: [&[f32]; 2],
    sizes: Sizes,
    first: usize,
    sums: [&mut [f32]; 2],
) {
    let width = sizes.width;
    let [rows_a, rows_b] = rows;
    let (rows_a, rows_b) =
        (&rows_a[first * width..][..QUERIES * width], &rows_b[first * width..][..QUERIES * width]);
    let [sums_a, sums_b] = sums;
    let weights = weights[0].chunks_exact(KEYS * QUERIES).zip(weights[1].chunks_exact(KEYS * QUERIES));
    let sums = sums_a.chunks_exact_mut(KEYS * width).zip(sums_b.chunks_exact_mut(KEYS * width));
    for ((weights_a, weights_b), (sums_a, sums_b)) in weights.zip(sums) {
        for chunk in (0..width).step_by(LANES) {
            let (mut own_a, mut own_b) = ([V::splat(0.0); KEYS], [V::splat(0.0); KEYS]);
            for lane in 0..QUERIES {
                let row_a = V::load(&rows_a[lane * width + chunk..]);
                let row_b = V::load(&rows_b[lane * width + chunk..]);
                for j in 0..KEYS {
                    own_a[j] = V::splat(weights_a[j * QUERIES + lane]).multiply_add(row_a, own_a[j]);
                    own_b[j] = V::splat(weights_b[j * QUERIES + lane]).multiply_add(row_b, own_b[j]);
                }
            }
            for (own, sums) in [(own_a, &mut *sums_a), (own_b, &mut *sums_b)] {
                for (own, sums) in own.iter().zip(sums.chunks_exact_mut(width)) {
                    let sums = &mut sums[chunk..];
                    V::load(sums).add(*own).store(sums);
                }
            }
        }
    }
}

#[inline(always)]
fn causal_attention_gradient_body<V: Vector>(
    qkv: &[f32],
    sink: Option<&[f32]>,
    shape: AttentionShape,
    d_out: &[f32],
    d_qkv: &mut [f32],
    mut d_sink: Option<&mut [f32]>,
) {
    let AttentionShape { tokens, heads, head_width: d } = shape;
    let row = heads * d;
    let wide = tokens * 3 * row;
    assert_eq!(qkv.len(), wide, "causal_attention_gradient: qkv is not [{tokens}, 3·{heads}·{d}]");
    assert_eq!(d_qkv.len(), wide, "causal_attention_gradient: d_qkv is not [{tokens}, 3·{heads}·{d}]");
    assert_eq!(d_out.len(), tokens * row, "causal_attention_gradient: d_out is not [{tokens}, {heads}·{d}]");
    assert_eq!(sink.map(<[f32]>::len), d_sink.as_ref().map(|d| d.len()), "causal_attention_gradient: d_sink");
    assert!(sink.is_none_or(|sink| sink.len() == heads), "causal_attention_gradient: sink is not [{heads}]");
    let sizes = Sizes::new(shape);
    let room = Aligned::zeros(sizes.padded * QUERIES);
    let mut block =
        Block { weights: room.clone(), d_scores: room, d_queries: Aligned::zeros(sizes.used * QUERIES) };
    let rows = Gathered::rows_only(sizes);
    let mut head = Head {
        queries: Gathered::both(sizes),
        d_out: Gathered::both(sizes),
        d_keys: rows.rows.clone(),
        d_values: rows.rows.clone(),
        keys: rows.clone(),
        values: rows,
    };
    let scale = 1.0 / (d as f32).sqrt();
    for h in 0..heads {
        head.queries.gather::<V>(qkv, 3 * row, h * d, sizes, scale);
        head.keys.gather::<V>(qkv, 3 * row, row + h * d, sizes, 1.0);
        head.values.gather::<V>(qkv, 3 * row, 2 * row + h * d, sizes, 1.0);
        head.d_out.gather::<V>(d_out, row, h * d, sizes, 1.0);
        head.d_keys.fill(0.0);
        head.d_values.fill(0.0);
        for first in (0..tokens).step_by(QUERIES) {
            let on_sink = block.fill::<V>(&head, sizes, first, sink.map(|sink| sink[h]));
            if let (Some(d_sink), Some(on_sink)) = (&mut d_sink, on_sink) {
                d_sink[h] -= on_sink[..QUERIES.min(tokens - first)].iter().sum::<f32>();
            }
            let len = sizes.keys(first) * QUERIES;
            let (weights, d_scores) = (&block.weights[..len], &block.d_scores[..len]);
            mix::<V>(&head.keys.rows, d_scores, sizes, &mut block.d_queries);
            scatter(&block.d_queries, &[scale; QUERIES], sizes, first, d_qkv, 3 * row, h * d);
            let rows = [&head.queries.rows[..], &head.d_out.rows[..]];
            let sums = [&mut head.d_keys[..], &mut head.d_values[..]];
            add_outer::<V>([d_scores, weights], rows, sizes, first, sums);
        }
        for (t, d_qkv) in d_qkv.chunks_exact_mut(3 * row).enumerate() {
            // The queries were scaled when they were gathered.
            d_qkv[row + h * d..][..d].copy_from_slice(&head.d_keys[t * sizes.width..][..d]);
            d_qkv[2 * row + h * d..][..d].copy_from_slice(&head.d_values[t * sizes.width..][..d]);
        }
    }
}

dispatch! {
    /// Gradient of [`causal_attention`](crate::causal_attention) given the one in its output, d_out `[T, H·D]`: d_qkv
    /// `[T, 3·H·D]` is overwritten, d_sink `[H]` (there if and only if `sink` is) is added to. Within 2e-5 relative to
    /// the largest gradient.
    pub fn causal_attention_gradient(
        qkv: &[f32],
        sink: Option<&[f32]>,
        shape: AttentionShape,
        d_out: &[f32],
        d_qkv: &mut [f32],
        d_sink: Option<&mut [f32]>,
    ) = vector causal_attention_gradient_body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, assert_close_rows};
    use crate::{Isa, causal_attention, reference};

    #[test]
    fn equals_the_reference() {
        let mut random = Random::new(34);
        for (tokens, heads, head_width) in
            [(1, 1, 1), (5, 2, 3), (17, 6, 4), (64, 3, 16), (65, 2, 8), (130, 2, 40)]
        {
            let shape = AttentionShape { tokens, heads, head_width };
            let qkv: Vec<f32> =
                random.normals(tokens * 3 * heads * head_width).iter().map(|v| v * 1.5).collect();
            let d_out = random.normals(tokens * heads * head_width);
            let sink = random.normals(heads);
            for sink in [None, Some(&sink[..])] {
                let (d_qkv, d_sink) = reference::causal_attention_gradients(&qkv, sink, shape, &d_out);
                let expected = reference::causal_attention(&qkv, sink, shape);
                for isa in Isa::available() {
                    let mut out = vec![f32::NAN; expected.len()];
                    causal_attention(isa, &qkv, sink, shape, &mut out);
                    assert_close_rows(&out, &expected, expected.len(), 1e-5, isa);
                    let mut fast = vec![f32::NAN; qkv.len()];
                    let mut fast_sink = sink.map(|_| vec![1.0; heads]);
                    causal_attention_gradient(
                        isa,
                        &qkv,
                        sink,
                        shape,
                        &d_out,
                        &mut fast,
                        fast_sink.as_deref_mut(),
                    );
                    assert_close_rows(&fast, &d_qkv, d_qkv.len(), 2e-5, isa);
                    if let Some(fast_sink) = fast_sink {
                        let plus_one: Vec<f32> = d_sink.iter().map(|d| d + 1.0).collect();
                        assert_close_rows(&fast_sink, &plus_one, heads, 2e-5, isa);
                    }
                }
            }
        }
    }
}
