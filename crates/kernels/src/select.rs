//! AbsTopK: keep the entries of largest magnitude.

use crate::isa::dispatch;

pub(crate) const MAGNITUDE: u32 = 0x7fff_ffff;
/// Guesses between two counts before the search halves what is left.
const GUESSES: u32 = 8;

/// What a row keeps: every magnitude of at least `from`, and of those equal to `tied`, the next below, the first `spare`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) from: u32,
    pub(crate) tied: u32,
    pub(crate) spare: u32,
}

/// The cut that keeps `k` entries, 0 < k < the row's length. `first_guess` times the row's mean magnitude is where the search
/// begins: see [`first_guess`].
///
/// The bits of a non-negative f32 order as the numbers do. The search narrows down between a threshold that more
/// than k entries reach and one that fewer do, by linear interpolation of the counts and then by halving, and ends as soon as
/// exactly k reach one, or between neighbours: then entries are tied. Exact.
#[inline(always)]
pub(crate) fn cut(row: &[f32], k: u32, first_guess: f32) -> Cut {
    let mut guess = (sum_of_magnitudes(row) / row.len() as f32 * first_guess).to_bits();
    let (mut low, mut reach_low) = (0u32, row.len() as u32);
    let (mut high, mut reach_high) = (MAGNITUDE + 1, 0u32);
    let mut guesses = 0;
    while high - low > 1 {
        if guesses > GUESSES || !(low < guess && guess < high) {
            guess = low + (high - low) / 2;
        }
        guesses += 1;
        let reached = count(row, |magnitude| magnitude >= guess);
        if reached == k {
            return Cut { from: guess, tied: 0, spare: 0 };
        }
        if reached > k {
            (low, reach_low) = (guess, reached);
        } else {
            (high, reach_high) = (guess, reached);
        }
        let (below, above) = (f32::from_bits(low), f32::from_bits(high));
        // Nothing is known above yet where this is not finite: then half as much again.
        let between =
            below + (above - below) * ((reach_low - k) as f32 + 0.5) / (reach_low - reach_high) as f32;
        guess = if high > MAGNITUDE { below * 1.5 } else { between }.to_bits();
    }
    Cut { from: high, tied: low, spare: k - reach_high }
}

/// Roughly: in lanes, so that it takes few steps.
#[inline(always)]
fn sum_of_magnitudes(row: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 16];
    for chunk in row.chunks_exact(16) {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value.abs();
        }
    }
    let rest = row.chunks_exact(16).remainder();
    lanes.iter().chain(rest).map(|value| value.abs()).sum()
}

/// The magnitude that `k` of `width` normal numbers exceed, over their mean magnitude (Hastings 1955, sheet 67).
pub(crate) fn first_guess(width: usize, k: usize) -> f32 {
    let t = (-2.0 * (k as f64 / width as f64 / 2.0).ln()).sqrt();
    let quantile = t - (2.30753 + 0.27061 * t) / (1.0 + 0.99229 * t + 0.04481 * t * t);
    (quantile * (std::f64::consts::PI / 2.0).sqrt()).max(0.0) as f32
}

#[inline(always)]
fn abs_top_k_body<const FMA: bool>(x: &mut [f32], width: usize, k: usize) {
    assert!(width > 0 && x.len().is_multiple_of(width), "abs_top_k: {} entries in rows of {width}", x.len());
    if k >= width {
        return;
    }
    if k == 0 {
        x.fill(0.0);
        return;
    }
    let first_guess = first_guess(width, k);
    for row in x.chunks_exact_mut(width) {
        let Cut { from, tied, mut spare } = cut(row, k as u32, first_guess);
        if spare == 0 {
            for value in row {
                *value = if value.to_bits() & MAGNITUDE >= from { *value } else { 0.0 };
            }
            continue;
        }
        for value in row {
            let magnitude = value.to_bits() & MAGNITUDE;
            if magnitude == tied && spare > 0 {
                spare -= 1;
            } else if magnitude < from {
                *value = 0.0;
            }
        }
    }
}

#[inline(always)]
pub(crate) fn count(row: &[f32], holds: impl Fn(u32) -> bool) -> u32 {
    row.iter().map(|value| u32::from(holds(value.to_bits() & MAGNITUDE))).sum()
}

dispatch! {
    /// In each row of `width` entries keeps the `k` of largest magnitude (of equal ones the lower index) and sets
    /// the others to zero. Exact. NaN counts as larger than infinity.
    pub fn abs_top_k(x: &mut [f32], width: usize, k: usize) = abs_top_k_body
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Isa, reference};

    fn check(row: &[f32], k: usize) {
        let mut expected = row.to_vec();
        reference::abs_top_k(&mut expected, k);
        for isa in Isa::available() {
            let mut fast = row.to_vec();
            abs_top_k(isa, &mut fast, row.len(), k);
            let bits = |row: &[f32]| row.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&fast), bits(&expected), "{isa}: {row:?} keeping {k}");
        }
    }

    #[test]
    fn keeps_the_lower_index_of_equal_magnitudes() {
        check(&[1.0, -1.0, 1.0, -1.0, 0.5], 2);
        check(&[0.0, -0.0, 0.0, 2.0], 2);
        check(&[3.0; 7], 3);
    }

    #[test]
    fn handles_the_ends_and_odd_values() {
        check(&[1.0, 2.0], 0);
        check(&[1.0, 2.0], 2);
        check(&[1.0, 2.0], 5);
        check(&[f32::INFINITY, f32::NEG_INFINITY, 1.0, f32::MIN_POSITIVE, 1e-45], 3);
        check(&[f32::NAN, 1.0, 2.0, f32::INFINITY], 2);
    }

    proptest! {
        #[test]
        fn equals_sorting(row in prop::collection::vec(prop_oneof![-3f32..3.0, Just(0.0), Just(1.0), Just(-1.0)], 1..300), k in 0usize..300) {
            check(&row, k);
        }
    }

    #[test]
    fn treats_rows_apart() {
        for isa in Isa::available() {
            let mut x = [1.0, 2.0, 3.0, 30.0, 20.0, 10.0];
            abs_top_k(isa, &mut x, 3, 1);
            assert_eq!(x, [0.0, 0.0, 3.0, 30.0, 0.0, 0.0]);
        }
    }
}
