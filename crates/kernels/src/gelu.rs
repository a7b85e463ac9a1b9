//! GELU in its exact form: x·Φ(x), Φ the normal distribution function (Hendrycks and Gimpel 2016,
//! arXiv 1606.08415), not the tanh approximation.
//!
//! With a = |x|, Q(a) = exp(−a²/2)·s·P(s), s = 1 / (1 + 0.35·a), P of degree 8
//! (`tools/fit_coefficients.py`); Φ(x) is Q(a) for x < 0 and 1 − Q(a) otherwise, so the tail keeps its relative
//! accuracy.

use crate::exp::exp2_lanes;
use crate::isa::dispatch;
use crate::vector::{LANES, Vector};

const P: [f32; 9] = [
    0.139_621_4,
    0.139_861_88,
    0.119_832_76,
    0.105_508_47,
    -0.023_111_045,
    0.159_176_06,
    -0.255_716_03,
    0.143_972_6,
    -0.029_146_126,
];

/// Q(|x|), and exp(−x²/2).
#[inline(always)]
pub(crate) fn tail_and_exp<V: Vector>(x: V) -> (V, V) {
    let a = x.magnitude();
    let s = a.multiply_add(V::splat(0.35), V::splat(1.0)).reciprocal();
    let mut p = V::splat(P[8]);
    for degree in [7, 6, 5, 4, 3, 2, 1, 0] {
        p = p.multiply_add(s, V::splat(P[degree]));
    }
    // exp(−a²/2) as a power of 2; from about a = 13 on it is not normal, and nothing beside x.
    let exponent = a.multiply(V::splat(-0.5 * std::f32::consts::LOG2_E)).multiply(a);
    let exp = exp2_lanes(exponent).zero_below(exponent, -126.0);
    (exp.multiply(s.multiply(p)), exp)
}

#[inline(always)]
fn gelu_lanes<V: Vector>(x: V) -> V {
    let (tail, _) = tail_and_exp(x);
    // x·Q below zero, x − x·Q above.
    let product = x.multiply(tail);
    product.where_negative(x, x.subtract(product))
}

#[inline(always)]
fn gelu_body<V: Vector>(x: &mut [f32]) {
    let mut chunks = x.chunks_exact_mut(LANES);
    for chunk in &mut chunks {
        gelu_lanes(V::load(chunk)).store(chunk);
    }
    let rest = chunks.into_remainder();
    if !rest.is_empty() {
        let mut lanes = [0.0; LANES];
        lanes[..rest.len()].copy_from_slice(rest);
        gelu_lanes(V::load(&lanes)).store(&mut lanes);
        rest.copy_from_slice(&lanes[..rest.len()]);
    }
}

dispatch! {
    /// Applies GELU to every entry, within 3e-7·max(1, |x|) of the exact value.
    pub fn gelu(x: &mut [f32]) = vector gelu_body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Isa, reference};

    #[test]
    fn stays_within_its_bound_over_the_whole_range() {
        let x: Vec<f32> = (-400_000..=400_000).map(|i| i as f32 * 5e-5).collect();
        let mut exact = x.clone();
        reference::gelu(&mut exact);
        for isa in Isa::available() {
            let mut fast = x.clone();
            gelu(isa, &mut fast);
            for i in 0..x.len() {
                let bound = 3e-7 * f32::max(1.0, x[i].abs());
                assert!(
                    (fast[i] - exact[i]).abs() <= bound,
                    "{isa}: gelu({}) = {}, not {}",
                    x[i],
                    fast[i],
                    exact[i]
                );
            }
        }
    }

    #[test]
    fn has_the_right_limits() {
        for isa in Isa::available() {
            let mut x = [0.0, -1e30, 1e30, f32::NAN, -40.0];
            gelu(isa, &mut x);
            assert_eq!(&x[..3], &[0.0, 0.0, 1e30]);
            assert!(x[3].is_nan());
            assert_eq!(x[4], 0.0);
        }
    }
}
