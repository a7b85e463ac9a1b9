//! A linear layer whose weights are stored dense or sparse, whichever is faster at their density.

use deltaloss_kernels::{Csr, Isa, Packed, lanes_dense_product, lanes_sparse_product};

/// Below this share of nonzero entries the sparse product is the faster one, at every shape of the models at hand
/// (`bench/density/`).
pub const SPARSE_BELOW: f64 = 0.25;

/// `y = W·x + b` for every token of a tile, W `[outputs, inputs]`.
#[derive(Clone, Debug)]
pub(crate) struct Linear {
    storage: Storage,
    bias: Option<Vec<f32>>,
}

#[derive(Clone, Debug)]
enum Storage {
    Dense(Packed),
    Sparse(Csr),
}

impl Linear {
    /// From W as checkpoints store it.
    pub(crate) fn new(weight: &[f32], bias: Option<Vec<f32>>, outputs: usize, inputs: usize) -> Self {
        let nonzero = weight.iter().filter(|&&w| w != 0.0).count();
        let storage = if (nonzero as f64) < SPARSE_BELOW * weight.len() as f64 {
            Storage::Sparse(Csr::from_dense(weight, outputs, inputs))
        } else {
            Storage::Dense(Packed::new(weight, outputs, inputs))
        };
        Linear { storage, bias }
    }

    pub(crate) fn is_sparse(&self) -> bool {
        matches!(self.storage, Storage::Sparse(_))
    }

    /// `out` `[outputs][lanes]` from `x` `[inputs][lanes]`.
    pub(crate) fn apply(&self, isa: Isa, x: &[f32], lanes: usize, out: &mut [f32]) {
        match &self.storage {
            Storage::Dense(weight) => lanes_dense_product(isa, x, weight, self.bias.as_deref(), lanes, out),
            Storage::Sparse(weight) => lanes_sparse_product(isa, x, weight, self.bias.as_deref(), lanes, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_storage_follows_the_density_and_changes_nothing() {
        let (outputs, inputs, lanes) = (6, 8, 16);
        let x: Vec<f32> = (0..lanes * inputs).map(|i| (i as f32 * 0.37).sin()).collect();
        let weight: Vec<f32> =
            (0..outputs * inputs).map(|i| if i % 10 == 0 { (i as f32 * 0.11).cos() } else { 0.0 }).collect();
        let bias: Vec<f32> = (0..outputs).map(|i| i as f32).collect();
        let sparse = Linear::new(&weight, Some(bias), outputs, inputs);
        assert!(sparse.is_sparse());
        let dense =
            Linear { storage: Storage::Dense(Packed::new(&weight, outputs, inputs)), ..sparse.clone() };
        let (mut a, mut b) = (vec![0.0; outputs * lanes], vec![1.0; outputs * lanes]);
        sparse.apply(Isa::best(), &x, lanes, &mut a);
        dense.apply(Isa::best(), &x, lanes, &mut b);
        assert_eq!(a, b);
        assert!(!Linear::new(&[1.0; 48], None, outputs, inputs).is_sparse());
    }
}
