//! Tokens side by side: a matrix of a tile of up to [`TILE`] tokens lies with features as rows, `[features][lanes]`, lanes the number of
//! tokens rounded up to 16.
//!
//! Every operation of a model then is the same few vector operations for all tokens of a tile, without a step across lanes, and
//! what one layer writes is what the next one reads. A lane's numbers do not depend on the others, so a token's do not depend on how
//! tokens are cut into tiles. Lanes past the last token hold numbers that nobody reads.

mod attention;
mod attention_forward;
mod attention_gradient;
mod cross_entropy;
mod dense;
mod kept;
mod kept_product;
mod keys;
mod norm;
mod norm_gradient;
mod rows;
mod select;
mod sparse;
mod turned;
mod weight_gradient;

pub use attention::{AttentionScratch, lanes_attention};
pub use attention_forward::{ForwardScratch, lanes_attention_forward};
pub use attention_gradient::{Attended, GradientScratch, lanes_attention_gradient};
pub use cross_entropy::lanes_cross_entropy_gradient;
pub use dense::{Packed, lanes_dense_product};
pub use kept::{lanes_kept, lanes_mask};
pub use kept_product::{KeptScratch, Panels, lanes_kept_product, lanes_kept_weight_gradient};
pub use norm::{lanes_layer_norm, lanes_rms_norm};
pub use norm_gradient::{lanes_layer_norm_gradient, lanes_rms_norm_gradient};
pub use rows::rows_of_lanes;
pub use select::{SelectGuess, SelectScratch, lanes_abs_top_k};
pub use sparse::lanes_sparse_product;
pub use turned::{Turned, lanes_turn, lanes_turn_back};
pub use weight_gradient::{lanes_sum, lanes_weight_gradient};

use crate::vector::{LANES, Vector};

/// Tokens of a whole tile: four AVX-512 registers, so that a weight, loaded once, is used on all of them.
pub const TILE: usize = 64;

/// Lanes of a tile of so many tokens.
pub fn lanes_of(tokens: usize) -> usize {
    tokens.next_multiple_of(LANES)
}

/// Asserts that lanes are whole vectors of one tile, and gives the number of rows of a matrix.
#[inline(always)]
#[track_caller]
fn rows_of(what: &str, x: &[f32], lanes: usize) -> usize {
    assert!(
        lanes > 0 && lanes <= TILE && lanes.is_multiple_of(LANES) && x.len().is_multiple_of(lanes),
        "{what}: {} entries in rows of {lanes} lanes",
        x.len()
    );
    x.len() / lanes
}

/// So many vectors of one row, from its lane `first` on.
#[inline(always)]
fn load<V: Vector, const ACROSS: usize>(row: &[f32], first: usize) -> [V; ACROSS] {
    let part = &row[first..first + ACROSS * LANES];
    // Not `array::from_fn`: what is inside a closure is not compiled for the caller's instruction set.
    let mut vectors = [V::splat(0.0); ACROSS];
    for i in 0..ACROSS {
        vectors[i] = V::load(&part[i * LANES..]);
    }
    vectors
}

/// Writes them.
#[inline(always)]
fn store<V: Vector, const ACROSS: usize>(vectors: [V; ACROSS], row: &mut [f32], first: usize) {
    let part = &mut row[first..first + ACROSS * LANES];
    for i in 0..ACROSS {
        vectors[i].store(&mut part[i * LANES..]);
    }
}

/// Runs `$body::<$V, A>(…, first)` for all lanes, as many vectors at once as the instruction set has registers for.
macro_rules! across_lanes {
    ($V:ident, $lanes:expr, $body:ident($($argument:expr),* $(,)?)) => {{
        let (lanes, mut first) = ($lanes, 0);
        while first < lanes {
            let left = (lanes - first) / $crate::vector::LANES;
            if $V::ACROSS >= 4 && left >= 4 {
                $body::<$V, 4>($($argument,)* first);
                first += 4 * $crate::vector::LANES;
            } else if $V::ACROSS >= 2 && left >= 2 {
                $body::<$V, 2>($($argument,)* first);
                first += 2 * $crate::vector::LANES;
            } else {
                $body::<$V, 1>($($argument,)* first);
                first += $crate::vector::LANES;
            }
        }
    }};
}
use across_lanes;

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// Rows `[tokens][features]` as tiles, one after the other; lanes past the last token hold `fill`.
    pub(crate) fn tiles(rows: &[f32], features: usize, fill: f32) -> Vec<(usize, Vec<f32>)> {
        rows.chunks(features * TILE)
            .map(|rows| {
                let tokens = rows.len() / features;
                let lanes = lanes_of(tokens);
                let mut tile = vec![fill; features * lanes];
                for (t, row) in rows.chunks(features).enumerate() {
                    for (i, &value) in row.iter().enumerate() {
                        tile[i * lanes + t] = value;
                    }
                }
                (lanes, tile)
            })
            .collect()
    }

    /// The first `tokens` lanes of a tile as rows.
    pub(crate) fn rows(tile: &[f32], lanes: usize, tokens: usize) -> Vec<f32> {
        let features = tile.len() / lanes;
        (0..tokens).flat_map(|t| (0..features).map(move |i| tile[i * lanes + t])).collect()
    }

    /// Rows `[tokens][features]` as the matrix of a window, tile after tile, with zeros past the last token.
    pub(crate) fn window(rows: &[f32], features: usize) -> Vec<f32> {
        tiles(rows, features, 0.0).into_iter().flat_map(|(_, tile)| tile).collect()
    }

    /// The first `tokens` lanes of a window's matrix as rows.
    pub(crate) fn rows_of_window(window: &[f32], tokens: usize) -> Vec<f32> {
        let features = window.len() / lanes_of(tokens);
        let of_tile =
            |(i, tile): (usize, &[f32])| rows(tile, tile.len() / features, TILE.min(tokens - i * TILE));
        window.chunks(TILE * features).enumerate().flat_map(of_tile).collect()
    }

    /// Rows `[tokens][features]`, turned as a window's tiles would be.
    pub(crate) fn turned(isa: crate::Isa, rows: &[f32], features: usize) -> Turned {
        let (window, mut turned) = (window(rows, features), Turned::default());
        turned.prepare(features, window.len() / features);
        for (i, tile) in window.chunks(TILE * features).enumerate() {
            lanes_turn(isa, tile, tile.len() / features, i * TILE, &mut turned);
        }
        turned
    }
}
