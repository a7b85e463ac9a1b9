//! Products with a sparse weight matrix.
//!
//! A tile of 32 tokens is turned so that features are rows; then each nonzero weight is one broadcast
//! multiply-add over a row of tokens, and one output's 32 sums stay in registers.

use crate::isa::{dispatch, multiply_add};

/// Tokens in a tile: two AVX-512 registers of sums, and few enough that the tile's inputs stay in the first-level
/// cache (`examples/density.rs`).
const TILE: usize = 32;
/// Outputs turned back together: one cache line of each token's row.
const TURN: usize = 16;

/// A sparse matrix `[rows, columns]` in compressed sparse row form; entries that are zero are not stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Csr {
    rows: usize,
    columns: usize,
    /// Row r's entries are `starts[r]..starts[r + 1]`.
    starts: Vec<usize>,
    column: Vec<u32>,
    value: Vec<f32>,
}

impl Csr {
    /// The nonzero entries of a dense row-major `[rows, columns]` matrix. NaN is an entry.
    pub fn from_dense(matrix: &[f32], rows: usize, columns: usize) -> Self {
        assert_eq!(matrix.len(), rows * columns, "Csr: matrix is not [{rows}, {columns}]");
        assert!(u32::try_from(columns).is_ok(), "Csr: {columns} columns");
        let (mut starts, mut column, mut value) = (vec![0], Vec::new(), Vec::new());
        for row in 0..rows {
            for (i, &entry) in matrix[row * columns..][..columns].iter().enumerate() {
                if entry != 0.0 {
                    column.push(i as u32);
                    value.push(entry);
                }
            }
            starts.push(value.len());
        }
        Csr { rows, columns, starts, column, value }
    }

    /// Stored entries.
    pub fn nonzero(&self) -> usize {
        self.value.len()
    }

    /// The columns and values of a row's entries, in the order of columns.
    pub(crate) fn row(&self, row: usize) -> (&[u32], &[f32]) {
        let entries = self.starts[row]..self.starts[row + 1];
        (&self.column[entries.clone()], &self.value[entries])
    }

    /// Outputs of the product.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Inputs of the product.
    pub fn columns(&self) -> usize {
        self.columns
    }
}

/// Room for [`sparse_product`], kept between calls.
#[derive(Clone, Debug, Default)]
pub struct SparseScratch {
    /// `[K][TILE]`: the tile's inputs, features as rows.
    turned: Vec<f32>,
}

#[inline(always)]
fn sparse_product_body<const FMA: bool>(
    x: &[f32],
    weight: &Csr,
    bias: Option<&[f32]>,
    scratch: &mut SparseScratch,
    out: &mut [f32],
) {
    let (k, n) = (weight.columns, weight.rows);
    assert!(k > 0 && x.len().is_multiple_of(k), "sparse_product: x has no rows of {k}");
    let tokens = x.len() / k;
    assert_eq!(out.len(), tokens * n, "sparse_product: out is not [{tokens}, {n}]");
    assert!(bias.is_none_or(|bias| bias.len() == n), "sparse_product: bias is not [{n}]");
    scratch.turned.resize(k * TILE, 0.0);
    for first in (0..tokens).step_by(TILE) {
        let count = TILE.min(tokens - first);
        turn(&x[first * k..(first + count) * k], k, &mut scratch.turned);
        for row_start in (0..n).step_by(TURN) {
            let rows = TURN.min(n - row_start);
            let mut sums = [[0.0f32; TILE]; TURN];
            for r in 0..rows {
                let start = bias.map_or(0.0, |bias| bias[row_start + r]);
                sums[r] = row_sums::<FMA>(weight, row_start + r, start, &scratch.turned);
            }
            for t in 0..count {
                let out = &mut out[(first + t) * n + row_start..][..rows];
                for (r, out) in out.iter_mut().enumerate() {
                    *out = sums[r][t];
                }
            }
        }
    }
}

/// Row `row` of the weights times every token of the tile.
#[inline(always)]
fn row_sums<const FMA: bool>(weight: &Csr, row: usize, start: f32, turned: &[f32]) -> [f32; TILE] {
    let mut sums = [start; TILE];
    let entries = weight.starts[row]..weight.starts[row + 1];
    for (&column, &value) in weight.column[entries.clone()].iter().zip(&weight.value[entries]) {
        let tokens = &turned[column as usize * TILE..][..TILE];
        for (sum, &token) in sums.iter_mut().zip(tokens) {
            *sum = multiply_add::<FMA>(value, token, *sum);
        }
    }
    sums
}

/// `x` `[tokens, k]` to `[k][TILE]`; tokens past the last are zero.
#[inline(always)]
fn turn(x: &[f32], k: usize, turned: &mut [f32]) {
    let tokens = x.len() / k;
    if tokens < TILE {
        turned.fill(0.0);
    }
    for start in (0..k).step_by(TURN) {
        let width = TURN.min(k - start);
        for t in 0..tokens {
            for (i, &value) in x[t * k + start..][..width].iter().enumerate() {
                turned[(start + i) * TILE + t] = value;
            }
        }
    }
}

dispatch! {
    /// `out[t, n] = bias[n] + Σ_k x[t, k]·weight[n, k]` over the stored entries: x `[T, K]`, weight `[N, K]`, out
    /// `[T, N]`. Each output is summed in column order, whatever the number of tokens; within
    /// (K + 2)·2⁻²⁴ of the sum of the terms' magnitudes, bias included.
    pub fn sparse_product(
        x: &[f32],
        weight: &Csr,
        bias: Option<&[f32]>,
        scratch: &mut SparseScratch,
        out: &mut [f32],
    ) = sparse_product_body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;
    use crate::testing::{Random, assert_product};

    #[test]
    fn equals_the_reference() {
        let mut random = Random::new(4);
        for ([t, k, n], density) in [
            ([1, 1, 1], 1.0),
            ([3, 5, 7], 0.5),
            ([64, 48, 16], 0.1),
            ([65, 192, 33], 0.05),
            ([200, 64, 768], 0.01),
            ([7, 9, 4], 0.0),
        ] {
            let (x, bias) = (random.normals(t * k), random.normals(n));
            let weight: Vec<f32> =
                (0..n * k).map(|_| if random.uniform() < density { random.normal() } else { 0.0 }).collect();
            let csr = Csr::from_dense(&weight, n, k);
            assert_eq!(csr.nonzero(), weight.iter().filter(|&&w| w != 0.0).count());
            for bias in [None, Some(&bias[..])] {
                for isa in Isa::available() {
                    let mut out = vec![f32::NAN; t * n];
                    sparse_product(isa, &x, &csr, bias, &mut SparseScratch::default(), &mut out);
                    assert_product(&out, &x, &weight, bias, [t, k, n]);
                }
            }
        }
    }

    #[test]
    fn a_token_does_not_depend_on_its_neighbours() {
        let mut random = Random::new(5);
        let (t, k, n) = (130, 40, 50);
        let x = random.normals(t * k);
        let weight: Vec<f32> =
            (0..n * k).map(|_| if random.uniform() < 0.2 { random.normal() } else { 0.0 }).collect();
        let csr = Csr::from_dense(&weight, n, k);
        for isa in Isa::available() {
            let mut scratch = SparseScratch::default();
            let mut all = vec![0.0; t * n];
            sparse_product(isa, &x, &csr, None, &mut scratch, &mut all);
            for token in [0, 31, 32, 64, 129] {
                let mut one = vec![0.0; n];
                sparse_product(isa, &x[token * k..][..k], &csr, None, &mut scratch, &mut one);
                assert_eq!(one, all[token * n..][..n], "{isa}: token {token}");
            }
        }
    }
}
