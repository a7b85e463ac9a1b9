//! What AbsTopK kept at one place: the way of the gradient.

use deltaloss_kernels::{Isa, SelectGuess, SelectScratch, lanes_abs_top_k, lanes_kept, lanes_mask};

use crate::tile::Tile;

/// What AbsTopK works in, kept from tile to tile.
#[derive(Debug, Default)]
pub(crate) struct Select {
    scratch: SelectScratch,
}

/// The kept entries of a window's matrix; nothing where AbsTopK does not act.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    /// `[features][lanes / 16]` for tile after tile, a bit a lane.
    bits: Vec<u16>,
    /// Features of a token.
    width: usize,
    /// Where the search begins; what is kept does not depend on it.
    guesses: [SelectGuess; 3],
}

/// Lanes whose bits are together.
const LANES: usize = 16;

impl Selection {
    /// Keeps the `counts[part]` largest entries of each part of every lane of the tile `x`, in place; a tile has as many parts of one
    /// width, one below the other, as there are counts. No count: the whole part. `lanes` are those of the window.
    pub(crate) fn keep<const PARTS: usize>(
        &mut self,
        isa: Isa,
        x: &mut [f32],
        (tile, lanes): (Tile, usize),
        counts: [Option<usize>; PARTS],
        select: &mut Select,
    ) {
        if counts.iter().all(Option::is_none) {
            self.bits.clear();
            return;
        }
        self.width = x.len() / tile.lanes;
        self.bits.resize(self.width * lanes / LANES, 0);
        let own = self.part(tile);
        let part = x.len() / PARTS;
        let parts = x.chunks_exact_mut(part).zip(self.bits[own].chunks_exact_mut(part / LANES));
        for ((index, count), (x, bits)) in counts.into_iter().enumerate().zip(parts) {
            let count = count.unwrap_or(self.width);
            lanes_abs_top_k(isa, x, tile.lanes, count, &mut self.guesses[index % 3], &mut select.scratch);
            lanes_kept(isa, x, tile.lanes, count, bits);
        }
    }

    fn part(&self, tile: Tile) -> std::ops::Range<usize> {
        let part = tile.part(self.width);
        part.start / LANES..part.end / LANES
    }

    /// The gradient's way back in one tile: zero where nothing was kept.
    pub(crate) fn mask(&self, isa: Isa, tile: Tile, d: &mut [f32]) {
        if !self.bits.is_empty() {
            lanes_mask(isa, &self.bits[self.part(tile)], d);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tile::tiles;

    #[test]
    fn parts_are_selected_apart_and_the_gradient_passes_where_they_were_kept() {
        // Two parts of three features, two tokens in lanes of 16.
        let tile = tiles(2).next().unwrap();
        let lanes = |rows: [[f32; 6]; 2]| {
            let mut x = vec![0.0; 6 * tile.lanes];
            for (t, row) in rows.iter().enumerate() {
                for (i, &value) in row.iter().enumerate() {
                    x[i * tile.lanes + t] = value;
                }
            }
            x
        };
        let x = [[1.0, -3.0, 2.0, 5.0, 4.0, 6.0], [-9.0, 8.0, 7.0, 0.5, 0.25, 0.75]];
        for isa in Isa::available() {
            let (mut kept, mut selection, mut select) = (lanes(x), Selection::default(), Select::default());
            selection.keep(isa, &mut kept, (tile, tile.lanes), [Some(1), None], &mut select);
            let expected = [[0.0, -3.0, 0.0, 5.0, 4.0, 6.0], [-9.0, 0.0, 0.0, 0.5, 0.25, 0.75]];
            assert_eq!(kept, lanes(expected));
            let mut d = lanes([[1.0; 6]; 2]);
            selection.mask(isa, tile, &mut d);
            assert_eq!(d, lanes(expected.map(|row| row.map(|value| f32::from(u8::from(value != 0.0))))));
            selection.keep(isa, &mut kept, (tile, tile.lanes), [None, None], &mut select);
            let mut d = lanes([[1.0; 6]; 2]);
            selection.mask(isa, tile, &mut d);
            assert_eq!(d, lanes([[1.0; 6]; 2]), "AbsTopK does not act");
        }
    }
}
