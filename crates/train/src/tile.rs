//! Some tokens of a sequence, side by side: where their part of a matrix lies.

use std::ops::Range;

use deltaloss_kernels::{TILE, lanes_of};

/// Up to [`TILE`] tokens of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tile {
    pub(crate) first: usize,
    count: usize,
    /// Tokens with their padding.
    pub(crate) lanes: usize,
}

/// The tiles of a sequence of so many tokens.
pub(crate) fn tiles(tokens: usize) -> impl DoubleEndedIterator<Item = Tile> + ExactSizeIterator {
    (0..tokens.div_ceil(TILE)).map(move |index| {
        let first = index * TILE;
        let count = TILE.min(tokens - first);
        Tile { first, count, lanes: lanes_of(count) }
    })
}

impl Tile {
    /// Its tokens in the sequence.
    pub(crate) fn tokens(self) -> Range<usize> {
        self.first..self.first + self.count
    }

    /// The same tokens as a sequence of their own.
    pub(crate) fn alone(self) -> Self {
        Tile { first: 0, ..self }
    }

    /// Where it lies in the sequence's matrix of so many features, tile after tile `[features][lanes]`.
    pub(crate) fn part(self, features: usize) -> Range<usize> {
        self.first * features..(self.first + self.lanes) * features
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_a_sequence() {
        for tokens in [0, 1, 16, 17, 64, 65, 130, 256] {
            let mut next = (0, 0);
            for tile in tiles(tokens) {
                assert_eq!((tile.tokens().start, tile.part(3).start), next);
                next = (tile.tokens().end, tile.part(3).end);
            }
            assert_eq!(next, (tokens, 3 * lanes_of(tokens)));
        }
    }
}
