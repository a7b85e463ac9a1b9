//! exp of a non-positive number, the form every softmax needs.
//!
//! 1. n = round(x / ln 2), r = x − n·ln 2 in two parts (Cody and Waite), so |r| ≤ ln 2 / 2.
//! 2. exp(r) = 1 + r + r²·P(r), P of degree 4 (`tools/fit_coefficients.py`).
//! 3. exp(x) = exp(r)·2ⁿ, by adding n to the exponent bits.

use crate::isa::multiply_add;
use crate::vector::Vector;

/// Below this, exp(x) is not a normal f32: the result is zero.
const LOWEST: f32 = -87.336_54;
/// 1.5·2²³: adding it rounds to the nearest integer and leaves that integer in the low mantissa bits.
const ROUND: f32 = 12_582_912.0;
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;
const P: [f32; 5] = [0.5, 0.166_665_78, 0.041_666_854, 0.008_363_141, 0.001_390_128];

/// exp(x) for x ≤ 0, within 1.5 units in the last place; 0 below −87.3365; NaN for NaN.
#[inline(always)]
pub(crate) fn exp_nonpositive<const FMA: bool>(x: f32) -> f32 {
    let shifted = multiply_add::<FMA>(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = multiply_add::<FMA>(-n, LN2_LOW, multiply_add::<FMA>(-n, LN2_HIGH, x));
    let mut p = P[4];
    p = multiply_add::<FMA>(p, r, P[3]);
    p = multiply_add::<FMA>(p, r, P[2]);
    p = multiply_add::<FMA>(p, r, P[1]);
    p = multiply_add::<FMA>(p, r, P[0]);
    let exp_r = 1.0 + multiply_add::<FMA>(r * r, p, r);
    let exponent = shifted.to_bits().wrapping_add(127) << 23;
    let result = exp_r * f32::from_bits(exponent);
    if x < LOWEST { 0.0 } else { result }
}

/// [`exp_nonpositive`] lane by lane, with the same steps.
#[inline(always)]
pub(crate) fn exp_nonpositive_lanes<V: Vector>(x: V) -> V {
    let shifted = x.multiply_add(V::splat(std::f32::consts::LOG2_E), V::splat(ROUND));
    let n = shifted.subtract(V::splat(ROUND));
    let r = n.multiply_add(V::splat(-LN2_HIGH), x);
    let r = n.multiply_add(V::splat(-LN2_LOW), r);
    let mut p = V::splat(P[4]);
    for coefficient in [P[3], P[2], P[1], P[0]] {
        p = p.multiply_add(r, V::splat(coefficient));
    }
    let exp_r = r.multiply(r).multiply_add(p, r).add(V::splat(1.0));
    exp_r.multiply(shifted.power_of_two()).zero_below(x, LOWEST)
}

/// 2ʳ for 0 ≤ r ≤ 1 (`tools/fit_coefficients.py`).
const P2: [f32; 6] = [0.999_999_94, 0.693_153_1, 0.240_153_61, 0.055_826_318, 0.008_989_341, 0.001_877_576_6];

/// 2ˣ lane by lane, within 2.5e-7 relative, for x from −126 to 126; NaN stays, and other x give anything. A bit over half
/// of the steps of [`exp_nonpositive_lanes`], for softmaxes whose base and bounds are folded into what they are of.
#[inline(always)]
pub(crate) fn exp2_lanes<V: Vector>(x: V) -> V {
    let r = x.fraction();
    let mut p = V::splat(P2[5]);
    for coefficient in [P2[4], P2[3], P2[2], P2[1], P2[0]] {
        p = p.multiply_add(r, V::splat(coefficient));
    }
    p.times_power_of_floor(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worst(step: usize) -> (f64, f32) {
        let mut worst = (0.0, 0.0);
        let lowest = LOWEST.to_bits();
        for bits in (0x8000_0000..=lowest).step_by(step) {
            let x = f32::from_bits(bits);
            let exact = f64::from(x).exp();
            let unit = f64::from(f32::EPSILON) * 2f64.powi(exact.log2().floor() as i32);
            for value in [exp_nonpositive::<true>(x), exp_nonpositive::<false>(x)] {
                let error = (f64::from(value) - exact).abs() / unit;
                if error > worst.0 {
                    worst = (error, x);
                }
            }
        }
        worst
    }

    #[test]
    fn stays_within_one_and_a_half_units_in_the_last_place() {
        let (error, x) = worst(257);
        assert!(error <= 1.5, "{error} units at {x}");
    }

    #[test]
    #[ignore = "a billion arguments; run by hand after changing a coefficient"]
    fn stays_within_one_and_a_half_units_everywhere() {
        let (error, x) = worst(1);
        assert!(error <= 1.5, "{error} units at {x}");
    }

    #[inline(always)]
    fn lanes_body<V: Vector>(x: &mut [f32]) {
        for x in x.chunks_exact_mut(16) {
            exp_nonpositive_lanes(V::load(x)).store(x);
        }
    }

    crate::isa::dispatch! { fn lanes(x: &mut [f32]) = vector lanes_body }

    #[test]
    fn lanes_give_the_same_bits() {
        let xs: Vec<f32> = (0x8000_0000..=(LOWEST * 1.1).to_bits())
            .step_by(0x0123_4567 / 16)
            .map(f32::from_bits)
            .chain([0.0, -0.0, f32::NEG_INFINITY, f32::MIN, -1.0, -20.5])
            .chain(std::iter::repeat(-0.5))
            .take(1024)
            .collect();
        for isa in crate::Isa::available() {
            let mut exps = xs.clone();
            lanes(isa, &mut exps);
            for (&x, exp) in xs.iter().zip(exps) {
                let fused = isa != crate::Isa::Portable || cfg!(target_arch = "aarch64");
                let expected = if fused { exp_nonpositive::<true>(x) } else { exp_nonpositive::<false>(x) };
                assert_eq!(exp.to_bits(), expected.to_bits(), "{isa}: exp({x})");
            }
            let mut poisoned = [f32::NAN; 16];
            lanes(isa, &mut poisoned);
            assert!(poisoned.iter().all(|value| value.is_nan()), "{isa}");
        }
    }

    #[inline(always)]
    fn powers_body<V: Vector>(x: &mut [f32]) {
        for x in x.chunks_exact_mut(16) {
            exp2_lanes(V::load(x)).store(x);
        }
    }

    crate::isa::dispatch! { fn powers(x: &mut [f32]) = vector powers_body }

    #[test]
    fn powers_of_two_stay_within_their_bound() {
        let until = |end: f32| (end.signum().to_bits() & 0x8000_0000)..=end.to_bits();
        let xs: Vec<f32> =
            until(-126.0).step_by(2_003).chain(until(126.0).step_by(2_003)).map(f32::from_bits).collect();
        let xs = &xs[..xs.len() / 16 * 16];
        for isa in crate::Isa::available() {
            let mut found = xs.to_vec();
            powers(isa, &mut found);
            for (&x, &found) in xs.iter().zip(&found) {
                let exact = f64::from(x).exp2();
                assert!(
                    (f64::from(found) / exact - 1.0).abs() <= 2.5e-7,
                    "{isa}: 2^{x} = {found}, not {exact}"
                );
            }
            let mut poisoned = [f32::NAN, f32::INFINITY - f32::INFINITY].repeat(8);
            powers(isa, &mut poisoned);
            assert!(poisoned.iter().all(|power| power.is_nan()), "{isa}: {poisoned:?}");
        }
    }

    #[test]
    fn has_the_right_limits() {
        for exp in [exp_nonpositive::<true>, exp_nonpositive::<false>] {
            assert_eq!(exp(0.0), 1.0);
            assert_eq!(exp(-0.0), 1.0);
            assert_eq!(exp(-88.0), 0.0);
            assert_eq!(exp(f32::MIN), 0.0);
            assert_eq!(exp(f32::NEG_INFINITY), 0.0);
            assert!(exp(f32::NAN).is_nan());
        }
    }
}
