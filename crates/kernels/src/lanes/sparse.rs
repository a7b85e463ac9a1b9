//! Sparse products: each stored weight is a multiply-add over all lanes of one input row; one output's sums stay in registers.

use super::{across_lanes, load, rows_of, store};
use crate::isa::dispatch;
use crate::sparse::Csr;
use crate::vector::Vector;

#[inline(always)]
fn outputs<V: Vector, const ACROSS: usize>(
    x: &[f32],
    weight: &Csr,
    bias: Option<&[f32]>,
    lanes: usize,
    out: &mut [f32],
    first: usize,
) {
    for (n, out) in out.chunks_exact_mut(lanes).enumerate() {
        let mut sums = [V::splat(bias.map_or(0.0, |bias| bias[n])); ACROSS];
        let (columns, values) = weight.row(n);
        for (&column, &value) in columns.iter().zip(values) {
            let inputs: [V; ACROSS] = load(x, column as usize * lanes + first);
            let value = V::splat(value);
            for v in 0..ACROSS {
                sums[v] = value.multiply_add(inputs[v], sums[v]);
            }
        }
        store(sums, out, first);
    }
}

#[inline(always)]
fn lanes_sparse_product_body<V: Vector>(
    x: &[f32],
    weight: &Csr,
    bias: Option<&[f32]>,
    lanes: usize,
    out: &mut [f32],
) {
    let (k, n) =
        (rows_of("lanes_sparse_product: x", x, lanes), rows_of("lanes_sparse_product: out", out, lanes));
    assert_eq!(
        [n, k],
        [weight.rows(), weight.columns()],
        "lanes_sparse_product: out and x do not fit the weight"
    );
    assert!(bias.is_none_or(|bias| bias.len() == n), "lanes_sparse_product: bias is not [{n}]");
    across_lanes!(V, lanes, outputs(x, weight, bias, lanes, out));
}

dispatch! {
    /// [`lanes_dense_product`](super::lanes_dense_product) over the stored entries of a sparse weight; the same order of summation and
    /// the same bound.
    pub fn lanes_sparse_product(x: &[f32], weight: &Csr, bias: Option<&[f32]>, lanes: usize, out: &mut [f32])
        = vector lanes_sparse_product_body
}

#[cfg(test)]
mod tests {
    use super::super::testing::{rows, tiles};
    use super::*;
    use crate::testing::Random;
    use crate::{Isa, Packed, lanes_dense_product};

    #[test]
    fn equals_the_dense_product_bit_for_bit() {
        let mut random = Random::new(42);
        for ([t, k, n], density) in [
            ([1, 1, 1], 1.0),
            ([3, 5, 7], 0.5),
            ([64, 48, 16], 0.1),
            ([33, 192, 33], 0.05),
            ([50, 64, 768], 0.01),
            ([7, 9, 4], 0.0),
        ] {
            let (x, bias) = (random.normals(t * k), random.normals(n));
            let weight: Vec<f32> =
                (0..n * k).map(|_| if random.uniform() < density { random.normal() } else { 0.0 }).collect();
            let (csr, packed) = (Csr::from_dense(&weight, n, k), Packed::new(&weight, n, k));
            let (lanes, tile) = tiles(&x, k, 0.0).remove(0);
            for bias in [None, Some(&bias[..])] {
                for isa in Isa::available() {
                    let (mut sparse, mut dense) = (vec![f32::NAN; n * lanes], vec![f32::NAN; n * lanes]);
                    lanes_sparse_product(isa, &tile, &csr, bias, lanes, &mut sparse);
                    lanes_dense_product(isa, &tile, &packed, bias, lanes, &mut dense);
                    assert_eq!(rows(&sparse, lanes, t), rows(&dense, lanes, t), "{isa}: {:?}", [t, k, n]);
                }
            }
        }
    }
}
