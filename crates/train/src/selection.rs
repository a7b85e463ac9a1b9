//! What AbsTopK kept at one place: the way of the gradient, and what products may leave out.

use deltaloss_kernels::{Isa, Kept, abs_top_k_mask, apply_mask};

/// Products leave zeros out where at most this share of a row was kept; above it multiplying by them is faster.
const MOSTLY_ZERO: f64 = 0.4;

/// The kept entries of a matrix `[T, width]`; nothing where AbsTopK does not act.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    mask: Vec<u8>,
    kept: Kept,
}

impl Selection {
    /// Keeps the `counts[part]` largest entries of each part of every row of `x`, in place; a row has as many parts of
    /// one width as there are counts. No count: the whole part.
    pub(crate) fn keep<const PARTS: usize>(
        &mut self,
        isa: Isa,
        x: &mut [f32],
        width: usize,
        counts: [Option<usize>; PARTS],
    ) {
        if counts.iter().all(Option::is_none) {
            self.mask.clear();
            self.kept.clear();
            return;
        }
        self.mask.resize(x.len(), 0);
        let counts = counts.map(|count| count.unwrap_or(width).min(width));
        if counts.iter().all(|&count| count == counts[0]) {
            abs_top_k_mask(isa, x, width, counts[0], &mut self.mask);
        } else {
            let parts = x.chunks_exact_mut(width).zip(self.mask.chunks_exact_mut(width));
            for (part, (x, mask)) in parts.enumerate() {
                abs_top_k_mask(isa, x, width, counts[part % PARTS], mask);
            }
        }
        let (kept, whole) = (counts.iter().sum::<usize>(), PARTS * width);
        if kept as f64 <= MOSTLY_ZERO * whole as f64 {
            self.kept.fill(isa, &self.mask, whole, kept);
        } else {
            self.kept.clear();
        }
    }

    /// The gradient's way back: zero where nothing was kept.
    pub(crate) fn mask(&self, isa: Isa, d: &mut [f32]) {
        if !self.mask.is_empty() {
            apply_mask(isa, &self.mask, d);
        }
    }

    /// The kept entries, where products should work from them.
    pub(crate) fn mostly_zero(&self) -> Option<&Kept> {
        (!self.kept.is_empty()).then_some(&self.kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_selected_apart_and_the_gradient_passes_where_they_were_kept() {
        let x = [1.0f32, -3.0, 2.0, 5.0, 4.0, 6.0, -9.0, 8.0, 7.0, 0.5, 0.25, 0.75];
        for isa in Isa::available() {
            let (mut kept, mut selection) = (x, Selection::default());
            selection.keep(isa, &mut kept, 3, [Some(1), None]);
            assert_eq!(kept, [0.0, -3.0, 0.0, 5.0, 4.0, 6.0, -9.0, 0.0, 0.0, 0.5, 0.25, 0.75]);
            let mut d = [1.0; 12];
            selection.mask(isa, &mut d);
            assert_eq!(d, kept.map(|value| f32::from(u8::from(value != 0.0))));
            assert!(selection.mostly_zero().is_none(), "four of six");
            selection.keep(isa, &mut kept, 3, [Some(1), Some(1)]);
            assert!(selection.mostly_zero().is_some(), "two of six");
            selection.keep(isa, &mut kept, 3, [None, None]);
            assert!(selection.mostly_zero().is_none());
            let mut d = [1.0; 12];
            selection.mask(isa, &mut d);
            assert_eq!(d, [1.0; 12]);
        }
    }
}
