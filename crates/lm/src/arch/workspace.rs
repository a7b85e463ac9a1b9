//! What a model computes in: tiles of a window, and buffers that are kept from window to window.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use deltaloss_kernels::{
    Aligned, AttentionScratch, Isa, SelectGuess, SelectScratch, TILE, lanes_of, rows_of_lanes,
};

/// Some tokens of a window, side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tile {
    first: usize,
    count: usize,
    /// Tokens with their padding.
    pub(super) lanes: usize,
}

/// The tiles of a window of so many tokens.
pub(super) fn tiles(tokens: usize) -> impl Iterator<Item = Tile> {
    (0..tokens).step_by(TILE).map(move |first| {
        let count = TILE.min(tokens - first);
        Tile { first, count, lanes: lanes_of(count) }
    })
}

impl Tile {
    /// The whole window, tile after tile.
    pub(super) fn all(tokens: usize) -> Self {
        Tile { first: 0, count: tokens, lanes: lanes_of(tokens) }
    }

    /// Where its tokens lie in the window.
    pub(super) fn tokens(self) -> Range<usize> {
        self.first..self.first + self.count
    }

    /// Where it lies in the window's matrix of so many features.
    pub(super) fn part(self, features: usize) -> Range<usize> {
        self.first * features..(self.first + self.lanes) * features
    }

    /// Writes each token's row to `out` `[features][lanes]`, and zeros beside them.
    pub(super) fn fill<'a>(self, row: impl Fn(usize) -> &'a [f32], out: &mut [f32]) {
        out.fill(0.0);
        self.add(row, out);
    }

    /// Adds each token's row to `out` `[features][lanes]`.
    pub(super) fn add<'a>(self, row: impl Fn(usize) -> &'a [f32], out: &mut [f32]) {
        for (lane, token) in self.tokens().enumerate() {
            for (out, &value) in out[lane..].iter_mut().step_by(self.lanes).zip(row(token)) {
                *out += value;
            }
        }
    }

    /// A matrix `[features][lanes]` as `[tokens, features]`.
    pub(super) fn rows_of<'a>(self, isa: Isa, x: &[f32], rows: &'a mut Aligned) -> &'a mut [f32] {
        let features = x.len() / self.lanes;
        let rows = &mut rows[..x.len()];
        rows_of_lanes(isa, x, self.lanes, rows);
        &mut rows[..self.count * features]
    }
}

/// Buffers of one window's computation.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    /// The residual stream, `[D][lanes]` for every tile.
    pub(super) stream: Aligned,
    /// Queries, keys and values, `[3·H·D][lanes]` for every tile.
    pub(super) qkv: Aligned,
    /// What the heads give, `[H·D][lanes]` for every tile.
    pub(super) mixed: Aligned,
    /// Position embeddings that are not added to the stream, for every tile.
    pub(super) positions: Aligned,
    /// A block half's input, `[d_in][lanes]`.
    pub(super) input: Aligned,
    /// `[d_mlp][lanes]`.
    pub(super) neurons: Aligned,
    /// A block half's output, `[D][lanes]`.
    pub(super) out: Aligned,
    /// `[V][lanes]`.
    pub(super) logits: Aligned,
    /// `[lanes, V]`.
    pub(super) rows: Aligned,
    pub(super) attention: AttentionScratch,
    pub(super) select: Select,
}

/// What AbsTopK works in.
#[derive(Debug, Default)]
pub(super) struct Select {
    /// Where it begins to search, for every layer and place.
    pub(super) guesses: Vec<SelectGuess>,
    pub(super) scratch: SelectScratch,
}

impl Workspace {
    /// Makes room: `of_window` features of stream, qkv, mixed and positions, `of_tile` of input, neurons, out and logits.
    pub(super) fn prepare(&mut self, tokens: usize, of_window: [usize; 4], of_tile: [usize; 4]) {
        let window = [&mut self.stream, &mut self.qkv, &mut self.mixed, &mut self.positions];
        for (buffer, features) in window.into_iter().zip(of_window) {
            buffer.at_least(lanes_of(tokens) * features);
        }
        let lanes = TILE.min(lanes_of(tokens));
        let tile = [&mut self.input, &mut self.neurons, &mut self.out, &mut self.logits];
        for (buffer, features) in tile.into_iter().zip(of_tile) {
            buffer.at_least(lanes * features);
        }
        self.rows.at_least(lanes * of_tile[3]);
    }
}

/// Workspaces that are not in use: as many come to be as windows are computed at once.
#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<Vec<Workspace>>);

impl Clone for Pool {
    /// A copy of a model makes its own.
    fn clone(&self) -> Self {
        Pool::default()
    }
}

impl Pool {
    /// Runs `f` with a workspace that nobody else uses.
    pub(super) fn with<T>(&self, f: impl FnOnce(&mut Workspace) -> T) -> T {
        let free = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut work = free().pop().unwrap_or_default();
        let result = f(&mut work);
        free().push(work);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_a_window() {
        for tokens in [0, 1, 16, 17, 64, 65, 130] {
            let all: Vec<Tile> = tiles(tokens).collect();
            let mut next = (0, 0);
            for tile in all {
                assert_eq!((tile.tokens().start, tile.part(3).start), next);
                next = (tile.tokens().end, tile.part(3).end);
            }
            assert_eq!(next, (tokens, Tile::all(tokens).part(3).end));
        }
    }

    #[test]
    fn rows_come_back_as_they_were() {
        let data: Vec<f32> = (0..70 * 5).map(|i| i as f32).collect();
        let mut work = Workspace::default();
        work.prepare(70, [5, 0, 0, 0], [5, 0, 0, 5]);
        for tile in tiles(70) {
            let stream = &mut work.stream[tile.part(5)];
            tile.fill(|t| &data[t * 5..][..5], stream);
            let rows = tile.rows_of(Isa::best(), stream, &mut work.rows);
            assert_eq!(rows, &data[tile.tokens().start * 5..tile.tokens().end * 5]);
            tile.add(|t| &data[t * 5..][..5], stream);
            let doubled: Vec<f32> = rows.iter().map(|value| 2.0 * value).collect();
            assert_eq!(tile.rows_of(Isa::best(), &work.stream[tile.part(5)], &mut work.rows), doubled);
        }
    }
}
