//! Dense products, through the `gemm` crate.

use gemm::{Parallelism, gemm};

/// `out[t, n] = bias[n] + Σ_k x[t, k]·weight[k, n]`: x `[T, K]`, weight `[K, N]` (the transpose of what
/// checkpoints store, see [`transpose`]), out `[T, N]`.
///
/// One thread; the result depends on the operands, their shape and the machine (`gemm` chooses instruction set and
/// blocking by its processor and caches). Within (K + 2)·2⁻²⁴ of the sum of the terms' magnitudes, bias included.
pub fn dense_product(x: &[f32], weight: &[f32], bias: Option<&[f32]>, shape: [usize; 3], out: &mut [f32]) {
    let [t, k, n] = shape;
    assert_eq!(x.len(), t * k, "dense_product: x is not [{t}, {k}]");
    assert_eq!(weight.len(), k * n, "dense_product: weight is not [{k}, {n}]");
    assert_eq!(out.len(), t * n, "dense_product: out is not [{t}, {n}]");
    if let Some(bias) = bias {
        assert_eq!(bias.len(), n, "dense_product: bias is not [{n}]");
        for row in out.chunks_exact_mut(n.max(1)) {
            row.copy_from_slice(bias);
        }
    } else {
        out.fill(0.0);
    }
    if t == 0 || k == 0 || n == 0 {
        return;
    }
    let rows = |row| View { row, column: 1 };
    strided_product(shape, (x, rows(k)), (weight, rows(n)), (out, rows(n)));
}

/// How a matrix lies in a slice: the steps from row to row and from column to column.
#[derive(Clone, Copy, Debug)]
struct View {
    row: usize,
    column: usize,
}

impl View {
    fn check(&self, what: &str, len: usize, rows: usize, columns: usize) {
        let last = (rows - 1) * self.row + (columns - 1) * self.column;
        assert!(
            last < len,
            "strided_product: {what} [{rows}, {columns}] of {self:?} is not in {len} entries"
        );
    }
}

/// `out += lhs·rhs`; lhs `[m, k]`, rhs `[k, n]`, out `[m, n]`, each anywhere in its slice. The
/// entries of `out` must be apart: its rows may not overlap.
fn strided_product([m, k, n]: [usize; 3], lhs: (&[f32], View), rhs: (&[f32], View), out: (&mut [f32], View)) {
    assert!(m > 0 && k > 0 && n > 0, "strided_product: an empty matrix");
    lhs.1.check("lhs", lhs.0.len(), m, k);
    rhs.1.check("rhs", rhs.0.len(), k, n);
    out.1.check("out", out.0.len(), m, n);
    assert!(out.1.column == 1 && out.1.row >= n, "strided_product: rows of out overlap");
    // SAFETY: the checks above show that every entry gemm reads or writes lies in its slice (offsets only grow with row
    // and column), that entries of `out` are apart, and `out` is borrowed mutably, so it overlaps neither operand.
    unsafe {
        gemm(
            m,
            n,
            k,
            out.0.as_mut_ptr(),
            out.1.column as isize,
            out.1.row as isize,
            true,
            lhs.0.as_ptr(),
            lhs.1.column as isize,
            lhs.1.row as isize,
            rhs.0.as_ptr(),
            rhs.1.column as isize,
            rhs.1.row as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// The transpose of a `[rows, columns]` matrix.
pub fn transpose(matrix: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    assert_eq!(matrix.len(), rows * columns, "transpose: matrix is not [{rows}, {columns}]");
    let mut out = vec![0.0; matrix.len()];
    // Blocks keep both sides' cache lines in use.
    const BLOCK: usize = 32;
    for row_start in (0..rows).step_by(BLOCK) {
        for column_start in (0..columns).step_by(BLOCK) {
            for row in row_start..rows.min(row_start + BLOCK) {
                for column in column_start..columns.min(column_start + BLOCK) {
                    out[column * rows + row] = matrix[row * columns + column];
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{Random, assert_product};

    #[test]
    fn equals_the_reference() {
        let mut random = Random::new(3);
        for [t, k, n] in [[1, 1, 1], [3, 5, 7], [16, 48, 192], [17, 64, 33], [65, 192, 576], [256, 128, 512]]
        {
            let (x, weight, bias) = (random.normals(t * k), random.normals(n * k), random.normals(n));
            for bias in [None, Some(&bias[..])] {
                let mut out = vec![f32::NAN; t * n];
                dense_product(&x, &transpose(&weight, n, k), bias, [t, k, n], &mut out);
                assert_product(&out, &x, &weight, bias, [t, k, n]);
            }
        }
    }

    #[test]
    fn nothing_to_add_leaves_the_bias() {
        let mut out = [9.0; 4];
        dense_product(&[], &[], Some(&[1.0, 2.0]), [2, 0, 2], &mut out);
        assert_eq!(out, [1.0, 2.0, 1.0, 2.0]);
    }

    proptest! {
        #[test]
        fn transposing_twice_is_the_identity(rows in 0usize..70, columns in 0usize..70) {
            let matrix: Vec<f32> = (0..rows * columns).map(|i| i as f32).collect();
            let twice = transpose(&transpose(&matrix, rows, columns), columns, rows);
            prop_assert_eq!(twice, matrix);
        }
    }
}
