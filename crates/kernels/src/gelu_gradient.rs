//! Gradient of GELU: Φ(x) + x·φ(x), from the same fit as the forward version (`gelu.rs`), which shares its exponential
//! with φ.

use crate::exp::exp_nonpositive;
use crate::gelu::{gelu_body, scaled_tail};
use crate::isa::{dispatch, multiply_add};
use crate::vector::Vector;

/// 1 / sqrt(2π).
const DENSITY_AT_ZERO: f32 = 0.398_942_3;

#[inline(always)]
fn gelu_gradient_body<const FMA: bool>(x: &[f32], d: &mut [f32]) {
    assert_eq!(x.len(), d.len(), "gelu_gradient: lengths differ");
    for (d, &x) in d.iter_mut().zip(x) {
        let a = x.abs();
        let e = exp_nonpositive::<FMA>(-0.5 * a * a);
        let tail = e * scaled_tail::<FMA>(a);
        let cdf = if x < 0.0 { tail } else { 1.0 - tail };
        // For |x| where the density is zero x·e may be ∞·0.
        let slope = if e == 0.0 { cdf } else { multiply_add::<FMA>(x * DENSITY_AT_ZERO, e, cdf) };
        *d *= slope;
    }
}

dispatch! {
    /// Multiplies the gradient in GELU's output by its derivative at `x`, which is within 1e-6 of the exact one.
    pub fn gelu_gradient(x: &[f32], d: &mut [f32]) = gelu_gradient_body
}

#[inline(always)]
fn gelu_into_body<V: Vector>(x: &[f32], out: &mut [f32]) {
    out.copy_from_slice(x);
    gelu_body::<V>(out);
}

dispatch! {
    /// GELU of `x` into `out`: as [`gelu`](crate::gelu), leaving x for the gradient.
    pub fn gelu_into(x: &[f32], out: &mut [f32]) = vector gelu_into_body
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
            let mut d = vec![1.0; x.len()];
            gelu_gradient(isa, &x, &mut d);
            for i in 0..x.len() {
                assert!((d[i] - exact[i]).abs() <= 1e-6, "{isa}: at {}: {}, not {}", x[i], d[i], exact[i]);
            }
            let (mut out, mut in_place) = (vec![0.0; x.len()], x.clone());
            gelu_into(isa, &x, &mut out);
            gelu(isa, &mut in_place);
            assert_eq!(out, in_place);
        }
    }

    #[test]
    fn has_the_right_limits() {
        for isa in Isa::available() {
            let mut d = [1.0, 1.0, 2.0, 1.0];
            gelu_gradient(isa, &[-1e30, 1e30, 0.0, f32::NAN], &mut d);
            assert_eq!(d[..3], [0.0, 1.0, 1.0]);
            assert!(d[3].is_nan());
        }
    }
}
