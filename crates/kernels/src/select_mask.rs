//! AbsTopK for training: which entries were kept, so that the gradient passes there and nowhere else.

use crate::isa::dispatch;
use crate::select::{Cut, MAGNITUDE, cut, first_guess};

#[inline(always)]
fn abs_top_k_mask_body<const FMA: bool>(x: &mut [f32], width: usize, k: usize, mask: &mut [u8]) {
    assert!(
        width > 0 && x.len().is_multiple_of(width),
        "abs_top_k_mask: {} entries in rows of {width}",
        x.len()
    );
    assert_eq!(x.len(), mask.len(), "abs_top_k_mask: lengths differ");
    if k >= width {
        mask.fill(1);
        return;
    }
    if k == 0 {
        x.fill(0.0);
        mask.fill(0);
        return;
    }
    let first_guess = first_guess(width, k);
    for (row, mask) in x.chunks_exact_mut(width).zip(mask.chunks_exact_mut(width)) {
        keep(row, cut(row, k as u32, first_guess), mask);
    }
}

#[inline(always)]
fn keep(row: &mut [f32], cut: Cut, mask: &mut [u8]) {
    let Cut { from, tied, mut spare } = cut;
    if spare == 0 {
        for (value, mask) in row.iter_mut().zip(mask) {
            let keeps = value.to_bits() & MAGNITUDE >= from;
            *mask = u8::from(keeps);
            *value = if keeps { *value } else { 0.0 };
        }
        return;
    }
    for (value, mask) in row.iter_mut().zip(mask) {
        let magnitude = value.to_bits() & MAGNITUDE;
        let takes = magnitude == tied && spare > 0;
        spare -= u32::from(takes);
        let keeps = takes || magnitude >= from;
        *mask = u8::from(keeps);
        *value = if keeps { *value } else { 0.0 };
    }
}

dispatch! {
    /// In each row of `width` entries keeps the `k` of largest magnitude (of equal ones the lower index), with 1 in `mask`, and sets
    /// the others to zero, with 0. Exact; a zero may be among the kept. NaN counts as larger than infinity.
    pub fn abs_top_k_mask(x: &mut [f32], width: usize, k: usize, mask: &mut [u8]) = abs_top_k_mask_body
}

#[inline(always)]
fn apply_mask_body<const FMA: bool>(mask: &[u8], d: &mut [f32]) {
    assert_eq!(mask.len(), d.len(), "apply_mask: lengths differ");
    for (d, &mask) in d.iter_mut().zip(mask) {
        *d = if mask == 0 { 0.0 } else { *d };
    }
}

dispatch! {
    /// The gradient through AbsTopK: `d` where the mask is 1, zero where it is 0. Exact.
    pub fn apply_mask(mask: &[u8], d: &mut [f32]) = apply_mask_body
}

#[inline(always)]
fn sum_rows_body<const FMA: bool>(x: &[f32], out: &mut [f32]) {
    let width = out.len();
    assert!(width > 0 && x.len().is_multiple_of(width), "sum_rows: {} entries in rows of {width}", x.len());
    for row in x.chunks_exact(width) {
        for (out, &value) in out.iter_mut().zip(row) {
            *out += value;
        }
    }
}

dispatch! {
    /// Adds every row of `x` `[T, N]` to `out` `[N]`, in order: the gradient of a bias. Within T·2⁻²⁴ of the sum of the
    /// magnitudes.
    pub fn sum_rows(x: &[f32], out: &mut [f32]) = sum_rows_body
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Isa, reference};

    proptest! {
        #[test]
        fn keeps_what_abs_top_k_keeps(
            row in prop::collection::vec(prop_oneof![-3f32..3.0, Just(0.0), Just(1.0), Just(-1.0)], 1..200),
            k in 0usize..200,
        ) {
            for isa in Isa::available() {
                let (mut plain, mut masked) = (row.clone(), row.clone());
                let mut mask = vec![9; row.len()];
                reference::abs_top_k(&mut plain, k);
                abs_top_k_mask(isa, &mut masked, row.len(), k, &mut mask);
                let bits = |row: &[f32]| row.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                prop_assert_eq!(bits(&plain), bits(&masked));
                let kept = mask.iter().filter(|&&m| m == 1).count();
                prop_assert_eq!(kept, k.min(row.len()));
                // The gradient passes exactly where the value did.
                let mut d = row.clone();
                apply_mask(isa, &mask, &mut d);
                prop_assert_eq!(bits(&d).iter().map(|b| b << 1).collect::<Vec<_>>(), bits(&masked).iter().map(|b| b << 1).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn handles_ties_the_ends_and_odd_values() {
        for (row, k) in [
            (&[1.0, -1.0, 1.0, -1.0, 0.5][..], 2),
            (&[0.0, -0.0, 0.0, 2.0], 2),
            (&[3.0; 7], 3),
            (&[1.0, 2.0], 0),
            (&[1.0, 2.0], 5),
            (&[f32::INFINITY, f32::NEG_INFINITY, 1.0, f32::MIN_POSITIVE, 1e-45], 3),
            (&[f32::NAN, 1.0, 2.0, f32::INFINITY], 2),
        ] {
            let mut expected = row.to_vec();
            reference::abs_top_k(&mut expected, k);
            for isa in Isa::available() {
                let mut kept = row.to_vec();
                abs_top_k_mask(isa, &mut kept, row.len(), k, &mut vec![9; row.len()]);
                let bits = |row: &[f32]| row.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&kept), bits(&expected), "{isa}: {row:?} keeping {k}");
            }
        }
    }

    #[test]
    fn treats_rows_apart() {
        for isa in Isa::available() {
            let mut x = [1.0, 2.0, 3.0, 30.0, 20.0, 10.0];
            abs_top_k_mask(isa, &mut x, 3, 1, &mut [9; 6]);
            assert_eq!(x, [0.0, 0.0, 3.0, 30.0, 0.0, 0.0]);
        }
    }

    #[test]
    fn the_gradient_passes_where_finite_differences_say() {
        // Away from ties AbsTopK is the identity on what it keeps and constant elsewhere.
        let row = [3.0f32, -1.0, 0.5, -2.0, 0.25];
        for isa in Isa::available() {
            let mut mask = [0; 5];
            abs_top_k_mask(isa, &mut row.clone(), 5, 2, &mut mask);
            for i in 0..5 {
                let at = |by: f32| {
                    let mut x = row;
                    x[i] += by;
                    reference::abs_top_k(&mut x, 2);
                    x[i]
                };
                assert_eq!((at(0.125) - at(-0.125)) / 0.25, f32::from(mask[i]));
            }
        }
    }

    #[test]
    fn rows_are_summed_onto_what_is_there() {
        for isa in Isa::available() {
            let mut out = [10.0, 20.0];
            sum_rows(isa, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &mut out);
            assert_eq!(out, [19.0, 32.0]);
        }
    }
}
