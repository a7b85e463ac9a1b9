//! Dense products: six outputs of all lanes are kept in registers, so that each input is loaded once for six multiply-adds and each
//! weight once for four. The inputs of a block of features stay in the first-level cache, the weights stream by.

use super::{across_lanes, load, rows_of, store};
use crate::aligned::Aligned;
use crate::isa::dispatch;
use crate::vector::Vector;

/// Outputs computed together: with four vectors across, 24 of AVX-512's 32 registers hold sums; with one, 12 of AVX2's 16.
const OUTPUTS: usize = 6;
/// Inputs of a block: 32 KiB at 64 lanes.
const BLOCK: usize = 128;
/// Weights are asked for so far ahead: they come from beyond the second-level cache, and the processor does not look past a page by itself.
const AHEAD: usize = 2 * BLOCK * OUTPUTS;

/// A dense matrix `[N, K]`, packed in the order in which [`lanes_dense_product`] reads it.
#[derive(Clone, Debug)]
pub struct Packed {
    outputs: usize,
    inputs: usize,
    /// For one block of inputs after the other `[N / OUTPUTS, rounded up][inputs of the block][OUTPUTS]`, zeros beyond N: all of it is
    /// read from front to back.
    values: Aligned,
}

impl Packed {
    /// Packs a row-major matrix.
    pub fn new(matrix: &[f32], outputs: usize, inputs: usize) -> Self {
        assert_eq!(matrix.len(), outputs * inputs, "Packed: matrix is not [{outputs}, {inputs}]");
        let padded = outputs.next_multiple_of(OUTPUTS);
        let mut values = Aligned::zeros(padded * inputs);
        for (n, row) in matrix.chunks_exact(inputs.max(1)).enumerate() {
            for (block, weights) in row.chunks(BLOCK).enumerate() {
                let start = block * BLOCK * padded + n / OUTPUTS * OUTPUTS * weights.len();
                for (k, &weight) in weights.iter().enumerate() {
                    values[start + k * OUTPUTS + n % OUTPUTS] = weight;
                }
            }
        }
        Packed { outputs, inputs, values }
    }
}

/// `sums[n] += Σ_k weights[k, n]·x[k]` over a block of features.
// By value, and every loop over sums of constant length: else the compiler keeps a copy of them in memory.
#[inline(always)]
fn multiply<V: Vector, const ACROSS: usize>(
    mut sums: [[V; ACROSS]; OUTPUTS],
    x: &[f32],
    weights: &[f32],
    lanes: usize,
    first: usize,
) -> [[V; ACROSS]; OUTPUTS] {
    for (inputs, weights) in x.chunks_exact(lanes).zip(weights.chunks_exact(OUTPUTS)) {
        let inputs: [V; ACROSS] = load(inputs, first);
        V::prefetch(weights, AHEAD);
        for n in 0..OUTPUTS {
            let weight = V::splat(weights[n]);
            for v in 0..ACROSS {
                sums[n][v] = weight.multiply_add(inputs[v], sums[n][v]);
            }
        }
    }
    sums
}

#[inline(always)]
fn panels<V: Vector, const ACROSS: usize>(
    x: &[f32],
    weight: &Packed,
    bias: Option<&[f32]>,
    lanes: usize,
    out: &mut [f32],
    first: usize,
) {
    for start in (0..weight.inputs).step_by(BLOCK) {
        let block = BLOCK.min(weight.inputs - start);
        let x = &x[start * lanes..][..block * lanes];
        let padded = weight.outputs.next_multiple_of(OUTPUTS);
        let panels = weight.values[start * padded..][..block * padded].chunks_exact(block * OUTPUTS);
        for (panel, (weights, out)) in panels.zip(out.chunks_mut(OUTPUTS * lanes)).enumerate() {
            let outputs = out.len() / lanes;
            let mut sums = [[V::splat(0.0); ACROSS]; OUTPUTS];
            for n in 0..OUTPUTS {
                if n < outputs && start > 0 {
                    sums[n] = load(&out[n * lanes..], first);
                } else if n < outputs
                    && let Some(bias) = bias
                {
                    sums[n] = [V::splat(bias[panel * OUTPUTS + n]); ACROSS];
                }
            }
            sums = multiply(sums, x, weights, lanes, first);
            for n in 0..OUTPUTS {
                if n < outputs {
                    store(sums[n], &mut out[n * lanes..], first);
                }
            }
        }
    }
}

#[inline(always)]
fn lanes_dense_product_body<V: Vector>(
    x: &[f32],
    weight: &Packed,
    bias: Option<&[f32]>,
    lanes: usize,
    out: &mut [f32],
) {
    let (k, n) =
        (rows_of("lanes_dense_product: x", x, lanes), rows_of("lanes_dense_product: out", out, lanes));
    assert_eq!(
        [n, k],
        [weight.outputs, weight.inputs],
        "lanes_dense_product: out and x do not fit the weight"
    );
    assert!(bias.is_none_or(|bias| bias.len() == n), "lanes_dense_product: bias is not [{n}]");
    if k == 0 {
        for (n, out) in out.chunks_exact_mut(lanes).enumerate() {
            out.fill(bias.map_or(0.0, |bias| bias[n]));
        }
        return;
    }
    across_lanes!(V, lanes, panels(x, weight, bias, lanes, out));
}

dispatch! {
    /// `out[n][t] = bias[n] + Σ_k weight[n, k]·x[k][t]`: x `[K][lanes]`, weight `[N, K]`, out `[N][lanes]`. Each output is summed in
    /// the order of k, whatever the number of lanes; within (K + 2)·2⁻²⁴ of the sum of the terms' magnitudes, bias
    /// included.
    pub fn lanes_dense_product(x: &[f32], weight: &Packed, bias: Option<&[f32]>, lanes: usize, out: &mut [f32])
        = vector lanes_dense_product_body
}

#[cfg(test)]
mod tests {
    use super::super::testing::{rows, tiles};
    use super::*;
    use crate::Isa;
    use crate::testing::{Random, assert_product};

    #[test]
    fn equals_the_reference() {
        let mut random = Random::new(40);
        for [t, k, n] in
            [[1, 1, 1], [3, 5, 7], [16, 48, 192], [17, 64, 33], [40, 300, 13], [64, 129, 6], [64, 256, 50]]
        {
            let (x, weight, bias) = (random.normals(t * k), random.normals(n * k), random.normals(n));
            let packed = Packed::new(&weight, n, k);
            let [(lanes, tile)] = &tiles(&x, k, 1.0)[..] else { panic!("one tile") };
            for bias in [None, Some(&bias[..])] {
                for isa in Isa::available() {
                    let mut out = vec![f32::NAN; n * lanes];
                    lanes_dense_product(isa, tile, &packed, bias, *lanes, &mut out);
                    assert_product(&rows(&out, *lanes, t), &x, &weight, bias, [t, k, n]);
                }
            }
        }
    }

    #[test]
    fn nothing_to_add_leaves_the_bias() {
        for isa in Isa::available() {
            let mut out = [9.0; 32];
            lanes_dense_product(isa, &[], &Packed::new(&[], 2, 0), Some(&[1.0, 2.0]), 16, &mut out);
            assert_eq!((out[..16].to_vec(), out[16..].to_vec()), (vec![1.0; 16], vec![2.0; 16]));
        }
    }

    #[test]
    fn a_lane_does_not_depend_on_the_others() {
        let mut random = Random::new(41);
        let (t, k, n) = (64, 150, 20);
        let (x, weight) = (random.normals(t * k), random.normals(n * k));
        let packed = Packed::new(&weight, n, k);
        for isa in Isa::available() {
            let mut all = vec![0.0; n * 64];
            lanes_dense_product(isa, &tiles(&x, k, 0.0)[0].1, &packed, None, 64, &mut all);
            for count in [1, 17, 33, 48] {
                let (lanes, tile) = tiles(&x[..count * k], k, f32::NAN).remove(0);
                let mut few = vec![0.0; n * lanes];
                lanes_dense_product(isa, &tile, &packed, None, lanes, &mut few);
                assert_eq!(rows(&few, lanes, count), rows(&all, 64, count), "{isa}: {count} tokens");
            }
        }
    }
}
