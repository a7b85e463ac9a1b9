//! Transposes.

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

    proptest! {
        #[test]
        fn transposing_twice_is_the_identity(rows in 0usize..70, columns in 0usize..70) {
            let matrix: Vec<f32> = (0..rows * columns).map(|i| i as f32).collect();
            let twice = transpose(&transpose(&matrix, rows, columns), columns, rows);
            prop_assert_eq!(twice, matrix);
        }
    }
}
