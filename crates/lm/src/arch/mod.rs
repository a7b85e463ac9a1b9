//! Architectures, one file of wiring each, whatever the storage of the weights.

pub(crate) mod circuit_sparsity;
pub(crate) mod tensors;
mod workspace;
