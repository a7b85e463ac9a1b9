//! Weight gradients: sums over tokens of outer products. Six outputs of a panel of 64 inputs are kept in registers over a block of
//! tokens; each token's inputs are loaded once for six multiply-adds, each output's gradient, a number broadcast, once for four.

#![allow(clippy::needless_range_loop, reason = "loops of constant length over what is to stay in registers")]

use super::rows::Turn;
use super::turned::{PANEL, Turned, tiles_of};
use super::{TILE, lanes_of, load};
use crate::isa::dispatch;
use crate::vector::{LANES, Vector};

/// Outputs summed together: with four vectors across, 24 of AVX-512's 32 registers hold sums.
const OUTPUTS: usize = 6;
/// Lanes of a block: a panel of them is 32 KiB, which stays in the first-level cache.
pub(super) const BLOCK: usize = 2 * TILE;

/// Adds sums to the first entries of a row; the row may be shorter than they are.
#[inline(always)]
pub(super) fn add_to_row<V: Vector, const A: usize>(sums: [V; A], row: &mut [f32]) {
    if row.len() >= A * LANES {
        for v in 0..A {
            let part = &mut row[v * LANES..][..LANES];
            V::load(part).add(sums[v]).store(part);
        }
        return;
    }
    for v in 0..A {
        let mut lanes = [0.0; LANES];
        sums[v].store(&mut lanes);
        for (value, lane) in row.iter_mut().skip(v * LANES).zip(lanes) {
            *value += lane;
        }
    }
}

/// `sums[n] += Σ_t d[n][t]·x[t]` over one tile: `d` begins at the first output's row, `x` is `[lanes][PANEL]`.
#[inline(always)]
fn multiply<V: Vector, const A: usize, const N: usize>(
    mut sums: [[V; A]; N],
    d: &[f32],
    x: &[f32],
    lanes: usize,
    column: usize,
) -> [[V; A]; N] {
    let mut rows = [&d[..0]; N];
    for n in 0..N {
        rows[n] = &d[n * lanes..][..lanes];
    }
    for (t, x) in x.chunks_exact(PANEL).take(lanes).enumerate() {
        let x: [V; A] = load(x, column);
        for n in 0..N {
            let d = V::splat(rows[n][t]);
            for v in 0..A {
                sums[n][v] = d.multiply_add(x[v], sums[n][v]);
            }
        }
    }
    sums
}

/// One block of tokens, one group of outputs from `output` on, `A` vectors of a panel from `column` on.
#[inline(always)]
fn group<V: Vector, const A: usize, const N: usize>(
    d: &[f32],
    x: &[f32],
    lanes: usize,
    output: usize,
    column: usize,
    d_weight: &mut [f32],
    width: usize,
) {
    let outputs = d.len() / lanes;
    let rows = &mut d_weight[output * width..];
    for n in 0..N {
        for v in 0..A {
            V::prefetch(&rows[(n * width).min(rows.len())..], v * LANES);
        }
    }
    let mut sums = [[V::splat(0.0); A]; N];
    for (first, count) in tiles_of(lanes) {
        let d = &d[first * outputs + output * count..(first + count) * outputs];
        sums = multiply(sums, d, &x[first * PANEL..][..count * PANEL], count, column);
    }
    for n in 0..N {
        let row = &mut rows[n * width..];
        let len = row.len().min(width);
        add_to_row(sums[n], &mut row[..len]);
    }
}

/// All outputs of one block of tokens and one part of a panel; `d_weight` begins at the part's first column.
#[inline(always)]
fn outputs<V: Vector, const A: usize>(
    d: &[f32],
    x: &[f32],
    lanes: usize,
    column: usize,
    d_weight: &mut [f32],
    (width, last): (usize, usize),
) {
    let (count, mut output) = (d.len() / lanes, 0);
    // A row's entries behind the last column belong to the next row: then sums go through `add_to_row`'s short way.
    let whole = last >= A * LANES;
    while output < count {
        if whole && count - output >= OUTPUTS {
            group::<V, A, OUTPUTS>(d, x, lanes, output, column, d_weight, width);
            output += OUTPUTS;
        } else if whole && count - output >= 2 {
            group::<V, A, 2>(d, x, lanes, output, column, d_weight, width);
            output += 2;
        } else {
            let end = (output * width + last).min(d_weight.len());
            group::<V, A, 1>(d, x, lanes, output, column, &mut d_weight[..end], width);
            output += 1;
        }
    }
}

#[inline(always)]
fn lanes_weight_gradient_body<V: Vector>(d: &[f32], x: &Turned, first: usize, d_weight: &mut [f32]) {
    let inputs = x.features();
    let Some(outputs_count) = d_weight.len().checked_div(inputs) else { return };
    let Some(lanes) = d.len().checked_div(outputs_count) else { return };
    assert_eq!(
        d_weight.len(),
        outputs_count * inputs,
        "lanes_weight_gradient: d_weight is not [N, {inputs}]"
    );
    assert!(
        d.len() == outputs_count * lanes && lanes == lanes_of(lanes) && first + lanes <= x.lanes(),
        "lanes_weight_gradient: d has not {outputs_count} rows of lanes that x has"
    );
    for start in (0..lanes).step_by(BLOCK) {
        let count = BLOCK.min(lanes - start);
        let d = &d[start * outputs_count..][..count * outputs_count];
        for panel in 0..inputs.div_ceil(PANEL) {
            let x = x.panel(panel, first + start, count);
            let mut column = 0;
            while column < PANEL && panel * PANEL + column < inputs {
                let at = panel * PANEL + column;
                let (d_weight, place) = (&mut d_weight[at..], (inputs, inputs - at));
                if V::ACROSS >= 4 && inputs - at >= PANEL {
                    outputs::<V, 4>(d, x, count, column, d_weight, place);
                    column += PANEL;
                } else {
                    outputs::<V, 1>(d, x, count, column, d_weight, place);
                    column += LANES;
                }
            }
        }
    }
}

dispatch! {
    /// Adds the gradient of a product in its weight: `d_weight[n, k] += Σ_t d[n][t]·x[k][t]` over all lanes of `d`, which holds
    /// `[N][lanes]` for tile after tile; `x` is turned, `first` its lane that is d's first; d_weight `[N, K]`. Lanes past the last token
    /// must hold zeros in d and finite numbers in x. Within (lanes + 2)·2⁻²⁴ of the sum of the terms' magnitudes, what was there before
    /// included.
    pub fn lanes_weight_gradient(d: &[f32], x: &Turned, first: usize, d_weight: &mut [f32]) = vector lanes_weight_gradient_body
}

/// The sum of every vector's lanes: lane i has that of `rows[i]`.
#[inline(always)]
pub(super) fn sums_of_lanes<V: Turn>(rows: [V; LANES]) -> V {
    let mut turned = V::turn(rows);
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            turned[i] = turned[i].add(turned[i + half]);
        }
        half /= 2;
    }
    turned[0]
}

#[inline(always)]
fn lanes_sum_body<V: Turn>(x: &[f32], lanes: usize, out: &mut [f32]) {
    let features = super::rows_of("lanes_sum", x, lanes);
    assert_eq!(features, out.len(), "lanes_sum: out is not [{features}]");
    for (x, out) in x.chunks(LANES * lanes).zip(out.chunks_mut(LANES)) {
        let mut rows = [V::splat(0.0); LANES];
        for i in 0..LANES {
            if i < out.len() {
                for lane in (0..lanes).step_by(LANES) {
                    rows[i] = rows[i].add(V::load(&x[i * lanes + lane..]));
                }
            }
        }
        add_to_row([sums_of_lanes(rows)], out);
    }
}

dispatch! {
    /// Adds the sum of each row of a tile `x` `[N][lanes]` to `out` `[N]`: the gradient of a bias. Within lanes·2⁻²⁴ of the sum of the
    /// magnitudes.
    pub fn lanes_sum(x: &[f32], lanes: usize, out: &mut [f32]) = vector lanes_sum_body
}

#[cfg(test)]
mod tests {
    use super::super::testing::{turned, window};
    use super::*;
    use crate::testing::{Random, assert_product};
    use crate::{Isa, transpose};

    #[test]
    fn equals_the_reference_and_adds() {
        let mut random = Random::new(60);
        for shape @ [t, k, n] in [
            [1, 1, 1],
            [3, 5, 7],
            [24, 16, 48],
            [65, 192, 33],
            [130, 70, 11],
            [256, 128, 96],
            [200, 100, 13],
            [64, 64, 2],
        ] {
            let (x, d) = (random.normals(t * k), random.normals(t * n));
            for isa in Isa::available() {
                let (x_turned, d_lanes) = (turned(isa, &x, k), window(&d, n));
                let mut sum = vec![0.0; n * k];
                lanes_weight_gradient(isa, &d_lanes, &x_turned, 0, &mut sum);
                assert_product(&sum, &transpose(&d, t, n), &transpose(&x, t, k), None, [n, t, k]);
                let once = sum.clone();
                lanes_weight_gradient(isa, &d_lanes, &x_turned, 0, &mut sum);
                let close = |a: f32, b: f32| (a - b).abs() <= 1e-5 * (1.0 + b.abs()) * (t as f32).sqrt();
                assert!(sum.iter().zip(&once).all(|(&a, &b)| close(a, 2.0 * b)), "{isa}: {shape:?}");
            }
        }
    }

    #[test]
    fn a_part_of_a_window_gives_its_part_of_the_sum() {
        let mut random = Random::new(61);
        let (t, k, n) = (192, 40, 9);
        let (x, d) = (random.normals(t * k), random.normals(t * n));
        for isa in Isa::available() {
            let x_turned = turned(isa, &x, k);
            let mut part = vec![0.0; n * k];
            lanes_weight_gradient(isa, &window(&d[64 * n..], n), &x_turned, 64, &mut part);
            let (d, x) = (transpose(&d[64 * n..], t - 64, n), transpose(&x[64 * k..], t - 64, k));
            assert_product(&part, &d, &x, None, [n, t - 64, k]);
        }
    }

    #[test]
    fn rows_are_summed_onto_what_is_there() {
        let mut random = Random::new(62);
        for (n, lanes) in [(1, 16), (5, 32), (16, 64), (40, 48)] {
            let x = random.normals(n * lanes);
            for isa in Isa::available() {
                let mut out = vec![10.0; n];
                lanes_sum(isa, &x, lanes, &mut out);
                for (out, row) in out.iter().zip(x.chunks_exact(lanes)) {
                    let exact: f64 = row.iter().map(|&v| f64::from(v)).sum::<f64>() + 10.0;
                    let bound: f64 = row.iter().map(|&v| f64::from(v.abs())).sum::<f64>() + 10.0;
                    assert!(
                        (f64::from(*out) - exact).abs() <= bound * lanes as f64 * 2f64.powi(-24),
                        "{isa}"
                    );
                }
            }
        }
    }
}
