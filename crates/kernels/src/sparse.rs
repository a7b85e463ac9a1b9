//! Sparse matrices.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_zero_is_not_stored_and_nan_is() {
        let csr = Csr::from_dense(&[0.0, 2.0, -0.0, 0.0, 0.0, 0.0, f32::NAN, 0.0, 5.0], 3, 3);
        assert_eq!((csr.rows(), csr.columns(), csr.nonzero()), (3, 3, 3));
        assert_eq!([csr.row(0), csr.row(1)], [(&[1][..], &[2.0][..]), (&[][..], &[][..])]);
        assert!(csr.row(2).0 == [0, 2] && csr.row(2).1[0].is_nan() && csr.row(2).1[1] == 5.0);
    }
}
