//! Arithmetic on slices: the operations of the models, fast, each beside a plain reference version.
//!
//! Letters used in shapes: `T` tokens (rows), `K` inputs of a product, `N` its outputs, `H` heads, `D` width of
//! a head, `V` vocabulary. Every matrix is row-major. Lengths that do not fit the shapes are a programmer's
//! error and panic; no value in a slice does.
//!
//! An operation takes the [`Isa`] to run on, so that every variant this processor has can be tested against
//! [`mod@reference`]. Results may differ in the last bits between instruction sets; on one they depend on the operands alone.

#![allow(unsafe_code, reason = "the one crate with SIMD")]

mod aligned;
mod attention;
mod exp;
mod gelu;
mod gelu_gradient;
mod isa;
mod lanes;
mod loss;
pub mod reference;
mod select;
mod sparse;
#[cfg(test)]
mod testing;
mod transpose;
mod vector;

pub use aligned::Aligned;
pub use attention::AttentionShape;
pub use gelu::gelu;
pub use gelu_gradient::{gelu_with_slope, multiply_assign};
pub use isa::Isa;
pub use lanes::{
    Attended, AttentionScratch, ForwardScratch, GradientScratch, KeptScratch, Packed, Panels, SelectGuess,
    SelectScratch, TILE, Turned, lanes_abs_top_k, lanes_attention, lanes_attention_forward,
    lanes_attention_gradient, lanes_cross_entropy_gradient, lanes_dense_product, lanes_kept,
    lanes_kept_product, lanes_kept_weight_gradient, lanes_layer_norm, lanes_layer_norm_gradient, lanes_mask,
    lanes_of, lanes_rms_norm, lanes_rms_norm_gradient, lanes_sparse_product, lanes_sum, lanes_turn,
    lanes_turn_back, lanes_weight_gradient, rows_of_lanes,
};
pub use loss::{LossRow, TemperedRow, loss_row, loss_row_tempered};
pub use sparse::Csr;
pub use transpose::transpose;

/// Sets the negative entries of `x` to zero; NaN stays.
pub fn relu(x: &mut [f32]) {
    for value in x {
        if *value < 0.0 {
            *value = 0.0;
        }
    }
}

/// Adds `y` to `x`, entry by entry.
pub fn add_assign(x: &mut [f32], y: &[f32]) {
    assert_eq!(x.len(), y.len(), "add_assign: lengths differ");
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}
