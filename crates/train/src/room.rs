//! What one sequence's forward pass leaves for its backward pass, and buffers to work in; reused from sequence to sequence.

use deltaloss_kernels::{Aligned, ForwardScratch, GradientScratch, TILE, Turned, lanes_of};
use deltaloss_lm::Config;

use crate::selection::{Select, Selection};
use crate::weights::KeptWork;

/// What a layer leaves. Matrices are `[features][lanes]` for tile after tile; what weight gradients read is turned.
#[derive(Debug, Default)]
pub(crate) struct LayerRoom {
    pub(crate) attention_in: Turned,
    pub(crate) attention_in_kept: Selection,
    pub(crate) qkv: Aligned,
    pub(crate) qkv_kept: Selection,
    /// Of attention: see `deltaloss_kernels::lanes_attention_forward`.
    pub(crate) normalisers: Aligned,
    pub(crate) mixed: Aligned,
    pub(crate) mixed_turned: Turned,
    pub(crate) attention_out_kept: Selection,
    pub(crate) middle_kept: Selection,
    /// The stream between the halves.
    pub(crate) middle: Aligned,
    pub(crate) mlp_in: Turned,
    pub(crate) mlp_in_kept: Selection,
    /// The activation's derivative.
    pub(crate) slopes: Aligned,
    pub(crate) neurons: Turned,
    pub(crate) neurons_kept: Selection,
    pub(crate) mlp_out_kept: Selection,
    pub(crate) after_kept: Selection,
    /// The stream after the layer.
    pub(crate) after: Aligned,
}

/// Buffers that every layer uses.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// `[D][lanes]` of one tile: a half's input.
    pub(crate) input: Aligned,
    /// `[M][lanes]` of one tile.
    pub(crate) neurons: Aligned,
    /// `[V][lanes]` of two tiles.
    pub(crate) logits: Aligned,
    /// What the unembedding reads.
    pub(crate) normed: Turned,
    /// Gradients of the whole sequence: in the stream, in a half's output and input, in its neurons or queries, keys and values, and in
    /// what the heads give.
    pub(crate) d_stream: Aligned,
    pub(crate) d_half: Aligned,
    pub(crate) d_input: Aligned,
    pub(crate) d_wide: Aligned,
    pub(crate) d_mixed: Aligned,
    pub(crate) select: Select,
    pub(crate) kept: KeptWork,
    pub(crate) attention: ForwardScratch,
    pub(crate) attention_gradient: GradientScratch,
}

/// Everything that one sequence needs.
#[derive(Debug, Default)]
pub(crate) struct Room {
    /// `[inputs]`; the tokens of the sequence now in work.
    pub(crate) tokens: usize,
    /// Of the whole sequence with its padding.
    pub(crate) lanes: usize,
    pub(crate) embedded: Aligned,
    pub(crate) layers: Vec<LayerRoom>,
    pub(crate) work: Work,
}

impl Room {
    /// Makes room for a sequence of so many tokens.
    pub(crate) fn prepare(&mut self, config: &Config, tokens: usize) {
        let Config { d_model: d, d_mlp, vocab_size: vocab, n_layer, n_head, .. } = *config;
        let (heads, lanes) = (config.heads_width(), lanes_of(tokens));
        (self.tokens, self.lanes) = (tokens, lanes);
        let size = |buffer: &mut Aligned, len: usize| {
            // Exactly: slices of a whole sequence are taken whole.
            if buffer.len() != len {
                *buffer = Aligned::zeros(len);
            }
        };
        size(&mut self.embedded, d * lanes);
        self.layers.resize_with(n_layer, LayerRoom::default);
        for layer in &mut self.layers {
            let turned = [
                (&mut layer.attention_in, d),
                (&mut layer.mixed_turned, heads),
                (&mut layer.mlp_in, d),
                (&mut layer.neurons, d_mlp),
            ];
            turned.into_iter().for_each(|(turned, features)| turned.prepare(features, lanes));
            let buffers = [
                (&mut layer.qkv, 3 * heads),
                (&mut layer.normalisers, 2 * n_head),
                (&mut layer.mixed, heads),
                (&mut layer.middle, d),
                (&mut layer.slopes, d_mlp),
                (&mut layer.after, d),
            ];
            buffers.into_iter().for_each(|(buffer, features)| size(buffer, features * lanes));
        }
        let (work, tile) = (&mut self.work, TILE.min(lanes));
        work.normed.prepare(d, lanes);
        size(&mut work.input, d * tile);
        size(&mut work.neurons, d_mlp * tile);
        size(&mut work.logits, vocab * lanes.min(2 * TILE));
        size(&mut work.d_stream, d * lanes);
        size(&mut work.d_half, d * lanes);
        size(&mut work.d_input, d * lanes);
        size(&mut work.d_wide, d_mlp.max(3 * heads) * lanes);
        size(&mut work.d_mixed, heads * lanes);
    }
}
