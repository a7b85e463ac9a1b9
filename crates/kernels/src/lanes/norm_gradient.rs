//! Gradients of RMSNorm and LayerNorm of all lanes at once; the formulas are in [`crate::reference`].

#![allow(clippy::needless_range_loop, reason = "loops of constant length over what is to stay in registers")]

use super::norm::{scale, squares, total};
use super::rows::Turn;
use super::weight_gradient::{add_to_row, sums_of_lanes};
use super::{TILE, rows_of};
use crate::isa::dispatch;
use crate::vector::{LANES, Vector};

/// What each lane's gradient needs beside its entries: with x̂ = (x − mean)·scale and g = d·weight, d_x = scale·(g − shift − x̂·along).
#[derive(Clone, Copy)]
struct Lanes<V> {
    mean: V,
    scale: V,
    shift: V,
    along: V,
}

impl<V: Vector> Lanes<V> {
    #[inline(always)]
    fn of<const CENTRED: bool>(
        x: &[f32],
        weight: &[f32],
        d: &[f32],
        eps: f32,
        lanes: usize,
        first: usize,
    ) -> Self {
        let per_entry = V::splat(1.0 / weight.len() as f32);
        let zero = V::splat(0.0);
        let mean = if CENTRED { total::<V>(x, lanes, first).multiply(per_entry) } else { zero };
        let scale = scale(squares::<V>(x, mean, lanes, first), weight.len(), eps);
        // Two sums in turn hide some of the latency of a multiply-add.
        let (mut shift, mut along) = ([zero; 2], [zero; 2]);
        for (i, (x, d)) in x.chunks_exact(lanes).zip(d.chunks_exact(lanes)).enumerate() {
            let g = V::load(&d[first..]).multiply(V::splat(weight[i]));
            let x = V::load(&x[first..]).subtract(mean);
            along[i % 2] = g.multiply_add(x, along[i % 2]);
            if CENTRED {
                shift[i % 2] = shift[i % 2].add(g);
            }
        }
        let shift = shift[0].add(shift[1]).multiply(per_entry);
        let along = along[0].add(along[1]).multiply(per_entry).multiply(scale);
        Lanes { mean, scale, shift, along }
    }
}

/// Gradients of norms with (`CENTRED`) and without a mean.
#[inline(always)]
fn gradient<V: Turn, const CENTRED: bool>(
    x: &[f32],
    weight: &[f32],
    eps: f32,
    (d, lanes): (&[f32], usize),
    d_x: &mut [f32],
    d_weight: &mut [f32],
    mut d_bias: Option<&mut [f32]>,
) {
    let width = rows_of("lanes norm gradient: x", x, lanes);
    assert!(x.len() == d.len() && x.len() == d_x.len(), "lanes norm gradient: lengths differ");
    assert!(weight.len() == width && d_weight.len() == width, "lanes norm gradient: weight is not [{width}]");
    assert!(d_bias.as_ref().is_none_or(|d| d.len() == width), "lanes norm gradient: d_bias is not [{width}]");
    let zero = V::splat(0.0);
    let mut of = [Lanes { mean: zero, scale: zero, shift: zero, along: zero }; TILE / LANES];
    for group in 0..lanes / LANES {
        of[group] = Lanes::of::<CENTRED>(x, weight, d, eps, lanes, group * LANES);
    }
    for start in (0..width).step_by(LANES) {
        let count = LANES.min(width - start);
        let (mut of_weight, mut of_bias) = ([zero; LANES], [zero; LANES]);
        for i in 0..LANES {
            if i >= count {
                continue;
            }
            let row = (start + i) * lanes;
            let w = V::splat(weight[start + i]);
            for group in 0..lanes / LANES {
                let at = row + group * LANES;
                let Lanes { mean, scale, shift, along } = of[group];
                let d = V::load(&d[at..]);
                let normed = V::load(&x[at..]).subtract(mean).multiply(scale);
                of_weight[i] = d.multiply_add(normed, of_weight[i]);
                of_bias[i] = of_bias[i].add(d);
                let own = d.multiply(w).subtract(shift).subtract(normed.multiply(along));
                scale.multiply_add(own, V::load(&d_x[at..])).store(&mut d_x[at..]);
            }
        }
        add_to_row([sums_of_lanes(of_weight)], &mut d_weight[start..][..count]);
        if let Some(d_bias) = &mut d_bias {
            add_to_row([sums_of_lanes(of_bias)], &mut d_bias[start..][..count]);
        }
    }
}

#[inline(always)]
fn lanes_rms_norm_gradient_body<V: Turn>(
    x: &[f32],
    weight: &[f32],
    eps: f32,
    d_and_lanes: (&[f32], usize),
    d_x: &mut [f32],
    d_weight: &mut [f32],
) {
    gradient::<V, false>(x, weight, eps, d_and_lanes, d_x, d_weight, None);
}

dispatch! {
    /// Adds the gradients of [`lanes_rms_norm`](crate::lanes_rms_norm) in x `[width][lanes]` and weight `[width]`, given the one in its
    /// output and the lanes; these are to be zero past the last token. d_x is within 4e-6 of the lane's largest |d·weight| divided by its root mean
    /// square (the terms, which may cancel), d_weight within 1e-5 of the sum of |d·x̂|.
    pub fn lanes_rms_norm_gradient(
        x: &[f32],
        weight: &[f32],
        eps: f32,
        d_and_lanes: (&[f32], usize),
        d_x: &mut [f32],
        d_weight: &mut [f32],
    ) = vector lanes_rms_norm_gradient_body
}

#[inline(always)]
fn lanes_layer_norm_gradient_body<V: Turn>(
    x: &[f32],
    weight: &[f32],
    eps: f32,
    d_and_lanes: (&[f32], usize),
    d_x: &mut [f32],
    (d_weight, d_bias): (&mut [f32], Option<&mut [f32]>),
) {
    gradient::<V, true>(x, weight, eps, d_and_lanes, d_x, d_weight, d_bias);
}

dispatch! {
    /// Adds the gradients of [`lanes_layer_norm`](crate::lanes_layer_norm) in x `[width][lanes]`, weight and bias `[width]`, given the one in its
    /// output and the lanes; these are to be zero past the last token. d_x is within 8e-6 of the lane's largest |d·weight| divided by its deviation
    /// (the terms, which may cancel), the others within 1e-5 of the sum of their terms' magnitudes.
    pub fn lanes_layer_norm_gradient(
        x: &[f32],
        weight: &[f32],
        eps: f32,
        d_and_lanes: (&[f32], usize),
        d_x: &mut [f32],
        d_weight_and_bias: (&mut [f32], Option<&mut [f32]>),
    ) = vector lanes_layer_norm_gradient_body
}

#[cfg(test)]
mod tests {
    use super::super::testing::{rows, tiles};
    use super::*;
    use crate::testing::Random;
    use crate::{Isa, reference};

    /// Largest |d·weight| of a row divided by its spread: what the terms of d_x are made of.
    fn terms(x: &[f32], weight: &[f32], d: &[f32], centred: bool) -> f32 {
        let width = weight.len() as f32;
        let mean = if centred { x.iter().sum::<f32>() / width } else { 0.0 };
        let spread = (x.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / width + 1e-3).sqrt();
        d.iter().zip(weight).fold(0.0f32, |m, (d, w)| m.max((d * w).abs())) / spread
    }

    #[track_caller]
    fn assert_within(actual: &[f32], expected: &[f32], bound: f32, isa: Isa) {
        for (a, e) in actual.iter().zip(expected) {
            assert!((a - e).abs() <= bound, "{isa}: {a}, not {e}; the bound is {bound:e}");
        }
    }

    #[test]
    fn equal_the_reference_and_add() {
        let mut random = Random::new(31);
        for (tokens, width) in [(1, 2), (5, 3), (17, 16), (64, 48), (40, 100), (5, 192)] {
            let (x, weight, d) =
                (random.normals(tokens * width), random.normals(width), random.normals(tokens * width));
            let (rms_x, rms_weight) = reference::rms_norm_gradients(&x, &weight, 1e-3, &d);
            let (layer_x, layer_weight, layer_bias) = reference::layer_norm_gradients(&x, &weight, 1e-3, &d);
            let ((lanes, x_tile), (_, d_tile)) =
                (tiles(&x, width, 0.5).remove(0), tiles(&d, width, 0.0).remove(0));
            let d_and_lanes = (&d_tile[..], lanes);
            for isa in Isa::available() {
                let mut rms = (vec![0.0; x_tile.len()], vec![0.0; width]);
                lanes_rms_norm_gradient(isa, &x_tile, &weight, 1e-3, d_and_lanes, &mut rms.0, &mut rms.1);
                let mut layer = (vec![0.0; x_tile.len()], vec![0.0; width], vec![0.0; width]);
                let of_weight = (&mut layer.1[..], Some(&mut layer.2[..]));
                lanes_layer_norm_gradient(isa, &x_tile, &weight, 1e-3, d_and_lanes, &mut layer.0, of_weight);
                let (rms_rows, layer_rows) = (rows(&rms.0, lanes, tokens), rows(&layer.0, lanes, tokens));
                for row in 0..tokens {
                    let at = row * width..(row + 1) * width;
                    let (x, d) = (&x[at.clone()], &d[at.clone()]);
                    let bound = 4e-6 * terms(x, &weight, d, false);
                    assert_within(&rms_rows[at.clone()], &rms_x[at.clone()], bound, isa);
                    let bound = 8e-6 * terms(x, &weight, d, true);
                    assert_within(&layer_rows[at.clone()], &layer_x[at], bound, isa);
                }
                // Sums over the tokens: as many terms of about one.
                let bound = 2e-6 * (tokens as f32 + 4.0);
                assert_within(&rms.1, &rms_weight, bound, isa);
                assert_within(&layer.1, &layer_weight, bound, isa);
                assert_within(&layer.2, &layer_bias, bound, isa);
                // Once more: twice the gradient.
                let once = rms.clone();
                lanes_rms_norm_gradient(isa, &x_tile, &weight, 1e-3, d_and_lanes, &mut rms.0, &mut rms.1);
                assert_within(&rms.0, &once.0.iter().map(|v| 2.0 * v).collect::<Vec<_>>(), 1e-5, isa);
                assert_within(&rms.1, &once.1.iter().map(|v| 2.0 * v).collect::<Vec<_>>(), 2.0 * bound, isa);
            }
        }
    }
}
