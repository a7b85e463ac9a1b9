//! GELU with its derivative Φ(x) + x·φ(x), from the same fit (`gelu.rs`), which shares its exponential with φ.

use crate::gelu::tail_and_exp;
use crate::isa::dispatch;
use crate::vector::{LANES, Vector};

/// 1 / sqrt(2π).
const DENSITY_AT_ZERO: f32 = 0.398_942_3;

/// GELU and its derivative.
#[inline(always)]
fn both<V: Vector>(x: V) -> (V, V) {
    let (tail, exp) = tail_and_exp(x);
    let product = x.multiply(tail);
    let value = product.where_negative(x, x.subtract(product));
    let cdf = tail.where_negative(x, V::splat(1.0).subtract(tail));
    (value, exp.multiply(x).multiply_add(V::splat(DENSITY_AT_ZERO), cdf))
}

#[inline(always)]
fn gelu_with_slope_body<V: Vector>(x: &mut [f32], out: &mut [f32]) {
    assert_eq!(x.len(), out.len(), "gelu_with_slope: lengths differ");
    let (mut xs, mut outs) = (x.chunks_exact_mut(LANES), out.chunks_exact_mut(LANES));
    for (x, out) in (&mut xs).zip(&mut outs) {
        let (value, slope) = both(V::load(x));
        value.store(out);
        slope.store(x);
    }
    let (x, out) = (xs.into_remainder(), outs.into_remainder());
    if !x.is_empty() {
        let (mut lanes, mut values) = ([0.0; LANES], [0.0; LANES]);
        lanes[..x.len()].copy_from_slice(x);
        let (value, slope) = both(V::load(&lanes));
        value.store(&mut values);
        slope.store(&mut lanes);
        x.copy_from_slice(&lanes[..x.len()]);
        out.copy_from_slice(&values[..out.len()]);
    }
}

dispatch! {
    /// GELU of `x` into `out`, as [`gelu`](crate::gelu); `x` becomes its derivative there, within 1e-6 of the exact one.
    pub fn gelu_with_slope(x: &mut [f32], out: &mut [f32]) = vector gelu_with_slope_body
}

/// `d` times `slope`, entry by entry.
pub fn multiply_assign(d: &mut [f32], slope: &[f32]) {
    assert_eq!(d.len(), slope.len(), "multiply_assign: lengths differ");
    for (d, slope) in d.iter_mut().zip(slope) {
        *d *= slope;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Isa, gelu, reference};

    #[test]
    fn equals_the_reference_over_the_whole_range() {
        let x: Vec<f32> = (-200_000..=200_000).map(|i| i as f32 * 1e-4).collect();
        let exact = reference::gelu_gradient(&x, &vec![1.0; x.len()]);
        for isa in Isa::available() {
            let (mut slope, mut out, mut in_place) = (x.clone(), vec![0.0; x.len()], x.clone());
            gelu_with_slope(isa, &mut slope, &mut out);
            for i in 0..x.len() {
                assert!(
                    (slope[i] - exact[i]).abs() <= 1e-6,
                    "{isa}: at {}: {}, not {}",
                    x[i],
                    slope[i],
                    exact[i]
                );
            }
            gelu(isa, &mut in_place);
            assert_eq!(out, in_place);
        }
    }

    #[test]
    fn has_the_right_limits() {
        for isa in Isa::available() {
            let (mut slope, mut out) = ([-1e30, 1e30, 0.0, f32::NAN], [0.0; 4]);
            gelu_with_slope(isa, &mut slope, &mut out);
            assert_eq!((slope[..2].to_vec(), out[..3].to_vec()), (vec![0.0, 1.0], vec![0.0, 1e30, 0.0]));
            assert!((slope[2] - 0.5).abs() <= 1e-6 && slope[3].is_nan() && out[3].is_nan());
        }
    }

    #[test]
    fn a_gradient_is_multiplied_entry_by_entry() {
        let mut d = [1.0, 2.0, -3.0];
        multiply_assign(&mut d, &[0.5, 0.0, 2.0]);
        assert_eq!(d, [0.5, 0.0, -6.0]);
    }
}
