//! RMSNorm (Zhang and Sennrich 2019, arXiv 1910.07467) and LayerNorm (Ba et al. 2016, arXiv 1607.06450) of all lanes at once.

use super::rows_of;
use crate::isa::dispatch;
use crate::vector::{LANES, Vector};

/// Running sums, so that no rounding error grows with more than a quarter of the features.
const CHAINS: usize = 4;

/// `Σ_i (x[i][first + lane] − mean)²`.
#[inline(always)]
pub(super) fn squares<V: Vector>(x: &[f32], mean: V, lanes: usize, first: usize) -> V {
    let mut sums = [V::splat(0.0); CHAINS];
    let mut groups = x.chunks_exact(CHAINS * lanes);
    for rows in &mut groups {
        for i in 0..CHAINS {
            let centred = V::load(&rows[i * lanes + first..]).subtract(mean);
            sums[i] = centred.multiply_add(centred, sums[i]);
        }
    }
    for row in groups.remainder().chunks_exact(lanes) {
        let centred = V::load(&row[first..]).subtract(mean);
        sums[0] = centred.multiply_add(centred, sums[0]);
    }
    sums[0].add(sums[1]).add(sums[2].add(sums[3]))
}

/// `Σ_i x[i][first + lane]`.
#[inline(always)]
pub(super) fn total<V: Vector>(x: &[f32], lanes: usize, first: usize) -> V {
    let mut sums = [V::splat(0.0); CHAINS];
    let mut groups = x.chunks_exact(CHAINS * lanes);
    for rows in &mut groups {
        for i in 0..CHAINS {
            sums[i] = sums[i].add(V::load(&rows[i * lanes + first..]));
        }
    }
    for row in groups.remainder().chunks_exact(lanes) {
        sums[0] = sums[0].add(V::load(&row[first..]));
    }
    sums[0].add(sums[1]).add(sums[2].add(sums[3]))
}

/// `1 / sqrt(square / width + eps)` lane by lane.
#[inline(always)]
pub(super) fn scale<V: Vector>(square: V, width: usize, eps: f32) -> V {
    let mut lanes = [0.0; LANES];
    square.store(&mut lanes);
    V::load(&lanes.map(|square| 1.0 / (square / width as f32 + eps).sqrt()))
}

#[inline(always)]
fn lanes_rms_norm_body<V: Vector>(x: &[f32], weight: &[f32], eps: f32, lanes: usize, out: &mut [f32]) {
    let width = rows_of("lanes_rms_norm: x", x, lanes);
    assert_eq!(x.len(), out.len(), "lanes_rms_norm: lengths differ");
    assert_eq!(width, weight.len(), "lanes_rms_norm: weight is not [{width}]");
    for first in (0..lanes).step_by(LANES) {
        let square = squares::<V>(x, V::splat(0.0), lanes, first);
        let scale = scale(square, width, eps);
        for ((x, out), &weight) in x.chunks_exact(lanes).zip(out.chunks_exact_mut(lanes)).zip(weight) {
            V::load(&x[first..]).multiply(scale).multiply(V::splat(weight)).store(&mut out[first..]);
        }
    }
}

dispatch! {
    /// [RMSNorm](crate::reference::rms_norm) of every lane of `x` `[width][lanes]`, within 2e-6 relative to the lane's largest output.
    pub fn lanes_rms_norm(x: &[f32], weight: &[f32], eps: f32, lanes: usize, out: &mut [f32]) = vector lanes_rms_norm_body
}

#[inline(always)]
fn lanes_layer_norm_body<V: Vector>(
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    eps: f32,
    lanes: usize,
    out: &mut [f32],
) {
    let width = rows_of("lanes_layer_norm: x", x, lanes);
    assert_eq!(x.len(), out.len(), "lanes_layer_norm: lengths differ");
    assert_eq!(width, weight.len(), "lanes_layer_norm: weight is not [{width}]");
    assert!(bias.is_none_or(|bias| bias.len() == width), "lanes_layer_norm: bias is not [{width}]");
    for first in (0..lanes).step_by(LANES) {
        let mean = total::<V>(x, lanes, first).multiply(V::splat(1.0 / width as f32));
        let square = squares::<V>(x, mean, lanes, first);
        let scale = scale(square, width, eps);
        for (i, (x, out)) in x.chunks_exact(lanes).zip(out.chunks_exact_mut(lanes)).enumerate() {
            let scaled = V::load(&x[first..]).subtract(mean).multiply(scale);
            let shift = bias.map_or(0.0, |bias| bias[i]);
            scaled.multiply(V::splat(weight[i])).add(V::splat(shift)).store(&mut out[first..]);
        }
    }
}

dispatch! {
    /// [LayerNorm](crate::reference::layer_norm) of every lane of `x` `[width][lanes]`, within 4e-6 relative to the lane's largest output where
    /// the mean is no larger than the deviation.
    pub fn lanes_layer_norm(
        x: &[f32],
        weight: &[f32],
        bias: Option<&[f32]>,
        eps: f32,
        lanes: usize,
        out: &mut [f32],
    ) = vector lanes_layer_norm_body
}

#[cfg(test)]
mod tests {
    use super::super::testing::{rows, tiles};
    use super::*;
    use crate::testing::{Random, assert_close_rows};
    use crate::{Isa, reference};

    const EPS: f32 = 1.192_092_9e-7;

    #[test]
    fn both_equal_the_reference() {
        let mut random = Random::new(43);
        for (tokens, width) in [(1, 1), (5, 3), (16, 16), (17, 100), (64, 192), (33, 1024)] {
            let (x, weight, bias) =
                (random.normals(tokens * width), random.normals(width), random.normals(width));
            let (lanes, tile) = tiles(&x, width, 0.5).remove(0);
            for isa in Isa::available() {
                let mut out = vec![f32::NAN; tile.len()];
                lanes_rms_norm(isa, &tile, &weight, EPS, lanes, &mut out);
                let expected = reference::rms_norm(&x, &weight, EPS);
                assert_close_rows(&rows(&out, lanes, tokens), &expected, width, 2e-6, isa);
                for bias in [None, Some(&bias[..])] {
                    lanes_layer_norm(isa, &tile, &weight, bias, 1e-5, lanes, &mut out);
                    // One entry is its own mean.
                    let expected = reference::layer_norm(&x, &weight, bias, 1e-5);
                    assert_close_rows(&rows(&out, lanes, tokens), &expected, width, 4e-6, isa);
                }
            }
        }
    }

    #[test]
    fn lanes_of_zeros_stay_finite() {
        for isa in Isa::available() {
            let mut out = [1.0; 64];
            lanes_rms_norm(isa, &[0.0; 64], &[1.0; 4], EPS, 16, &mut out);
            assert_eq!(out, [0.0; 64]);
            lanes_layer_norm(isa, &[0.0; 64], &[1.0; 4], None, 1e-5, 16, &mut out);
            assert_eq!(out, [0.0; 64]);
        }
    }
}
