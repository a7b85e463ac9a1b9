//! Forward and backward pass of one sequence through the circuit-sparsity transformer, on one thread.
//!
//! Letters: `T` tokens, `D` = d_model, `A` width of all heads, `M` neurons, `V` vocabulary. What the backward pass
//! needs is kept in [`Room`], which is reused from sequence to sequence.

use std::ops::Range;

use deltaloss_kernels::{
    AttentionShape, Isa, add_assign, causal_attention, causal_attention_gradient, cross_entropy_gradient,
    gelu_gradient, gelu_into, layer_norm, layer_norm_gradient, relu, rms_norm, rms_norm_gradient,
};
use deltaloss_lm::{Activation, Config, Place};

use crate::layout::{LayerPlaces, LinearPlace, NormPlace, Places};
use crate::selection::Selection;
use crate::weights::{Linear, Prepared, Scratch, Weights};

/// f32's machine epsilon: what the published RMSNorm adds to the mean square.
const RMS_NORM_EPS: f32 = f32::EPSILON;
const LAYER_NORM_EPS: f32 = 1e-5;

/// What one step shares among its sequences.
#[derive(Clone, Copy)]
pub(crate) struct Network<'a> {
    pub(crate) isa: Isa,
    pub(crate) config: &'a Config,
    pub(crate) places: &'a Places,
    pub(crate) parameters: &'a [f32],
    pub(crate) prepared: &'a Prepared,
}

/// What a layer leaves for its backward pass.
#[derive(Debug, Default)]
struct LayerRoom {
    attention_in: Vec<f32>,
    attention_in_kept: Selection,
    qkv: Vec<f32>,
    qkv_kept: Selection,
    mixed: Vec<f32>,
    attention_out_kept: Selection,
    middle_kept: Selection,
    /// The stream between the halves.
    middle: Vec<f32>,
    mlp_in: Vec<f32>,
    mlp_in_kept: Selection,
    /// Before the activation.
    sums: Vec<f32>,
    neurons: Vec<f32>,
    neurons_kept: Selection,
    mlp_out_kept: Selection,
    after_kept: Selection,
    /// The stream after the layer.
    after: Vec<f32>,
}

/// Buffers for one sequence at a time.
#[derive(Debug, Default)]
pub(crate) struct Room {
    layers: Vec<LayerRoom>,
    embedded: Vec<f32>,
    normed: Vec<f32>,
    logits: Vec<f32>,
    /// Gradients: in the stream, in a half's output, in its input, and two in between.
    d_stream: Vec<f32>,
    d_half: Vec<f32>,
    d_input: Vec<f32>,
    d_wide: Vec<f32>,
    d_mixed: Vec<f32>,
    scratch: Scratch,
}

/// Makes `buffer` `len` long; what was in it does not matter.
fn sized<T: Copy + Default>(buffer: &mut Vec<T>, len: usize) -> &mut [T] {
    buffer.resize(len, T::default());
    buffer
}

impl<'a> Network<'a> {
    /// Runs one sequence: adds `scale` times the gradient of its summed loss to `gradient`, and gives that loss, nats.
    pub(crate) fn sequence(
        &self,
        inputs: &[u32],
        targets: &[u32],
        scale: f32,
        room: &mut Room,
        gradient: &mut [f32],
    ) -> f64 {
        room.layers.resize_with(self.config.n_layer, LayerRoom::default);
        self.forward(inputs, room);
        let loss = cross_entropy_gradient(self.isa, &mut room.logits, targets, self.config.vocab_size, scale);
        self.backward(inputs, room, gradient);
        loss
    }

    fn linear(&self, place: &'a LinearPlace, weights: &'a Weights) -> Linear<'a> {
        Linear { isa: self.isa, place, weights, parameters: self.parameters }
    }

    fn slice(&self, range: &Range<usize>) -> &'a [f32] {
        &self.parameters[range.clone()]
    }

    fn forward(&self, inputs: &[u32], room: &mut Room) {
        let Config { d_model: d, vocab_size: vocab, .. } = *self.config;
        let tokens = inputs.len();
        let embedding = self.slice(&self.places.tokens);
        let embedded = sized(&mut room.embedded, tokens * d);
        for (row, &token) in embedded.chunks_exact_mut(d).zip(inputs) {
            row.copy_from_slice(&embedding[token as usize * d..][..d]);
        }
        add_assign(embedded, &self.slice(&self.places.positions)[..tokens * d]);
        for i in 0..room.layers.len() {
            let (before, own) = room.layers.split_at_mut(i);
            let stream = before.last().map_or(&room.embedded, |layer| &layer.after);
            let Some(layer) = own.first_mut() else { continue };
            self.forward_layer(i, stream, layer, &mut room.scratch);
        }
        let stream = room.layers.last().map_or(&room.embedded, |layer| &layer.after);
        let normed = sized(&mut room.normed, tokens * d);
        self.norm(&self.places.final_norm, stream, normed);
        let unembedding = self.linear(&self.places.unembedding, &self.prepared.unembedding);
        let logits = sized(&mut room.logits, tokens * vocab);
        unembedding.forward(normed, None, &mut room.scratch, logits);
        let bias = self.slice(&self.places.logits_bias);
        let biased = bias.iter().any(|&b| b != 0.0);
        let table = self.places.bigram_table.as_ref().map(|range| self.slice(range));
        for (row, &token) in logits.chunks_exact_mut(vocab).zip(inputs) {
            if biased {
                add_assign(row, bias);
            }
            if let Some(table) = table {
                add_assign(row, &table[token as usize * vocab..][..vocab]);
            }
        }
    }

    fn forward_layer(&self, i: usize, stream: &[f32], room: &mut LayerRoom, scratch: &mut Scratch) {
        let places = &self.places.layers[i];
        let [qkv, attention_out, mlp_in, mlp_out] = &self.prepared.layers[i];
        let (d, heads) = (self.config.d_model, self.config.heads_width());
        let tokens = stream.len() / d;
        let input = sized(&mut room.attention_in, tokens * d);
        self.norm(&places.norms[0], stream, input);
        self.keep(input, d, Place::AttentionIn, &mut room.attention_in_kept);
        let all = sized(&mut room.qkv, tokens * 3 * heads);
        let kept = room.attention_in_kept.mostly_zero();
        self.linear(&places.qkv, qkv).forward(input, kept, scratch, all);
        self.keep_qkv(all, heads, &mut room.qkv_kept);
        let mixed = sized(&mut room.mixed, tokens * heads);
        let sink = places.sink.as_ref().map(|range| self.slice(range));
        causal_attention(self.isa, all, sink, self.shape(tokens), mixed);
        let middle = sized(&mut room.middle, tokens * d);
        self.linear(&places.attention_out, attention_out).forward(mixed, None, scratch, middle);
        self.keep(middle, d, Place::AttentionOut, &mut room.attention_out_kept);
        self.join(stream, middle, Place::ResidualAfterAttention, &mut room.middle_kept);
        let input = sized(&mut room.mlp_in, tokens * d);
        self.norm(&places.norms[1], middle, input);
        self.keep(input, d, Place::MlpIn, &mut room.mlp_in_kept);
        let sums = sized(&mut room.sums, tokens * self.config.d_mlp);
        let kept = room.mlp_in_kept.mostly_zero();
        self.linear(&places.mlp_in, mlp_in).forward(input, kept, scratch, sums);
        let neurons = sized(&mut room.neurons, sums.len());
        match self.config.activation {
            Activation::Gelu => gelu_into(self.isa, sums, neurons),
            Activation::Relu => {
                neurons.copy_from_slice(sums);
                relu(neurons);
            }
        }
        self.keep(neurons, self.config.d_mlp, Place::MlpNeuron, &mut room.neurons_kept);
        let after = sized(&mut room.after, tokens * d);
        let kept = room.neurons_kept.mostly_zero();
        self.linear(&places.mlp_out, mlp_out).forward(neurons, kept, scratch, after);
        self.keep(after, d, Place::MlpOut, &mut room.mlp_out_kept);
        self.join(&room.middle, after, Place::ResidualAfterMlp, &mut room.after_kept);
    }

    fn backward(&self, inputs: &[u32], room: &mut Room, gradient: &mut [f32]) {
        let Config { d_model: d, vocab_size: vocab, .. } = *self.config;
        let size = inputs.len() * d;
        if let Some(table) = &self.places.bigram_table {
            let table = &mut gradient[table.clone()];
            // In the published implementation the last entry of the vocabulary (`<|endoftext|>`) is the table's padding:
            // its row is read and never trained.
            let trained = |&(_, token): &(&[f32], &u32)| (*token as usize) + 1 < vocab;
            for (row, &token) in room.logits.chunks_exact(vocab).zip(inputs).filter(trained) {
                add_assign(&mut table[token as usize * vocab..][..vocab], row);
            }
        }
        let unembedding = self.linear(&self.places.unembedding, &self.prepared.unembedding);
        let d_normed = sized(&mut room.d_half, size);
        unembedding.backward(&room.normed, (&room.logits, None), &mut room.scratch, gradient, d_normed);
        let d_stream = sized(&mut room.d_stream, size);
        d_stream.fill(0.0);
        let stream = room.layers.last().map_or(&room.embedded, |layer| &layer.after);
        self.norm_gradient(&self.places.final_norm, stream, d_normed, d_stream, gradient);
        for i in (0..self.config.n_layer).rev() {
            self.backward_mlp(i, room, gradient);
            self.backward_attention(i, room, gradient);
        }
        let table = &mut gradient[self.places.tokens.clone()];
        for (row, &token) in room.d_stream.chunks_exact(d).zip(inputs) {
            add_assign(&mut table[token as usize * d..][..d], row);
        }
        if self.places.positions_trained {
            add_assign(&mut gradient[self.places.positions.clone()][..size], &room.d_stream);
        }
    }

    fn backward_mlp(&self, i: usize, room: &mut Room, gradient: &mut [f32]) {
        let places: &LayerPlaces = &self.places.layers[i];
        let [.., mlp_in, mlp_out] = &self.prepared.layers[i];
        let Room { layers, d_stream, d_half, d_input, d_wide, scratch, .. } = room;
        let layer = &layers[i];
        self.leave(&layer.after, &layer.after_kept, d_stream);
        d_half.copy_from_slice(d_stream);
        layer.mlp_out_kept.mask(self.isa, d_half);
        let d_neurons = sized(d_wide, layer.neurons.len());
        let d_out = (&d_half[..], layer.mlp_out_kept.mostly_zero());
        self.linear(&places.mlp_out, mlp_out).backward(&layer.neurons, d_out, scratch, gradient, d_neurons);
        layer.neurons_kept.mask(self.isa, d_neurons);
        match self.config.activation {
            Activation::Gelu => gelu_gradient(self.isa, &layer.sums, d_neurons),
            Activation::Relu => positive_only(&layer.sums, d_neurons),
        }
        let d_input = sized(d_input, layer.mlp_in.len());
        let d_out = (&d_neurons[..], layer.neurons_kept.mostly_zero());
        self.linear(&places.mlp_in, mlp_in).backward(&layer.mlp_in, d_out, scratch, gradient, d_input);
        layer.mlp_in_kept.mask(self.isa, d_input);
        self.norm_gradient(&places.norms[1], &layer.middle, d_input, d_stream, gradient);
    }

    fn backward_attention(&self, i: usize, room: &mut Room, gradient: &mut [f32]) {
        let places: &LayerPlaces = &self.places.layers[i];
        let [qkv, attention_out, ..] = &self.prepared.layers[i];
        let Room { layers, embedded, d_stream, d_half, d_input, d_wide, d_mixed, scratch, .. } = room;
        let (before, own) = layers.split_at(i);
        let stream = before.last().map_or(&*embedded, |layer| &layer.after);
        let Some(layer) = own.first() else { return };
        self.leave(&layer.middle, &layer.middle_kept, d_stream);
        d_half.copy_from_slice(d_stream);
        layer.attention_out_kept.mask(self.isa, d_half);
        let d_mixed = sized(d_mixed, layer.mixed.len());
        let out = self.linear(&places.attention_out, attention_out);
        let d_out = (&d_half[..], layer.attention_out_kept.mostly_zero());
        out.backward(&layer.mixed, d_out, scratch, gradient, d_mixed);
        let d_qkv = sized(d_wide, layer.qkv.len());
        let tokens = layer.mixed.len() / self.config.heads_width();
        let sink = places.sink.as_ref().map(|range| self.slice(range));
        let d_sink = places.sink.as_ref().map(|range| &mut gradient[range.clone()]);
        causal_attention_gradient(self.isa, &layer.qkv, sink, self.shape(tokens), d_mixed, d_qkv, d_sink);
        layer.qkv_kept.mask(self.isa, d_qkv);
        let d_input = sized(d_input, layer.attention_in.len());
        let d_out = (&d_qkv[..], layer.qkv_kept.mostly_zero());
        self.linear(&places.qkv, qkv).backward(&layer.attention_in, d_out, scratch, gradient, d_input);
        layer.attention_in_kept.mask(self.isa, d_input);
        self.norm_gradient(&places.norms[0], stream, d_input, d_stream, gradient);
    }

    fn shape(&self, tokens: usize) -> AttentionShape {
        AttentionShape { tokens, heads: self.config.n_head, head_width: self.config.d_head }
    }

    fn norm(&self, place: &NormPlace, x: &[f32], out: &mut [f32]) {
        let weight = self.slice(&place.weight);
        if self.config.rms_norm {
            rms_norm(self.isa, x, weight, RMS_NORM_EPS, out);
        } else {
            let bias = place.bias.as_ref().map(|range| self.slice(range));
            layer_norm(self.isa, x, weight, bias, LAYER_NORM_EPS, out);
        }
    }

    /// Adds the norm's gradients to `d_x` and `gradient`.
    fn norm_gradient(&self, place: &NormPlace, x: &[f32], d: &[f32], d_x: &mut [f32], gradient: &mut [f32]) {
        let weight = self.slice(&place.weight);
        if self.config.rms_norm {
            let d_weight = &mut gradient[place.weight.clone()];
            rms_norm_gradient(self.isa, x, weight, RMS_NORM_EPS, d, d_x, d_weight);
            return;
        }
        // The bias lies right behind the weight.
        let end = place.bias.as_ref().map_or(place.weight.end, |bias| bias.end);
        let (d_weight, d_bias) = gradient[place.weight.start..end].split_at_mut(place.weight.len());
        let d_bias = place.bias.as_ref().map(|_| d_bias);
        layer_norm_gradient(self.isa, x, weight, LAYER_NORM_EPS, d, d_x, (d_weight, d_bias));
    }

    /// AbsTopK on rows of `width` where the configuration has it at `place`.
    fn keep(&self, x: &mut [f32], width: usize, place: Place, kept: &mut Selection) {
        kept.keep(self.isa, x, width, [self.kept(place, width)]);
    }

    fn kept(&self, place: Place, width: usize) -> Option<usize> {
        self.config.top_k.as_ref().and_then(|top_k| top_k.kept(place, width))
    }

    /// AbsTopK on queries, keys and values, each over all heads.
    fn keep_qkv(&self, qkv: &mut [f32], width: usize, kept: &mut Selection) {
        let places = [Place::AttentionQuery, Place::AttentionKey, Place::AttentionValue];
        kept.keep(self.isa, qkv, width, places.map(|place| self.kept(place, width)));
    }

    /// `x` joins the stream: `x += stream`, relu where the residual stream has it, AbsTopK.
    fn join(&self, stream: &[f32], x: &mut [f32], place: Place, kept: &mut Selection) {
        add_assign(x, stream);
        if self.config.residual_relu {
            relu(x);
        }
        self.keep(x, self.config.d_model, place, kept);
    }

    /// The gradient back through [`Network::join`], down to the sum.
    fn leave(&self, joined: &[f32], kept: &Selection, d_stream: &mut [f32]) {
        kept.mask(self.isa, d_stream);
        if self.config.residual_relu {
            positive_only(joined, d_stream);
        }
    }
}

/// The gradient through relu: zero where x is not positive.
fn positive_only(x: &[f32], d: &mut [f32]) {
    for (d, &x) in d.iter_mut().zip(x) {
        // Not `x <= 0`: a NaN stays visible.
        if !(x > 0.0 || x.is_nan()) {
            *d = 0.0;
        }
    }
}
