//! Forward and backward pass of one sequence through the circuit-sparsity transformer, on one thread.
//!
//! A sequence is computed in tiles of up to 64 tokens with features as rows (`deltaloss_kernels::TILE`), as in scoring. Letters: `T` tokens,
//! `D` = d_model, `A` width of all heads, `M` neurons, `V` vocabulary. What the backward pass needs is kept in [`Room`]. Lanes past the
//! last token hold finite numbers on the way forward and zeros on the way back.

mod ends;

use std::ops::Range;

use deltaloss_kernels::{
    Attended, AttentionShape, Isa, add_assign, gelu_with_slope, lanes_attention_forward,
    lanes_attention_gradient, lanes_layer_norm, lanes_layer_norm_gradient, lanes_rms_norm,
    lanes_rms_norm_gradient, lanes_turn, multiply_assign, relu,
};
use deltaloss_lm::{Activation, Config, Place};

use crate::layout::{LayerPlaces, LinearPlace, NormPlace, Places};
use crate::room::{LayerRoom, Room, Work};
use crate::selection::{Select, Selection};
use crate::tile::{Tile, tiles};
use crate::weights::{Linear, Prepared, Weights};

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

/// One sequence's tokens, and what its loss counts.
#[derive(Clone, Copy)]
pub(crate) struct Sequence<'a> {
    pub(crate) inputs: &'a [u32],
    pub(crate) targets: &'a [u32],
    pub(crate) scale: f32,
}

impl<'a> Network<'a> {
    /// Runs one sequence: adds `scale` times the gradient of its summed loss to `gradient`, and gives that loss, nats.
    pub(crate) fn sequence(&self, sequence: Sequence<'_>, room: &mut Room, gradient: &mut [f32]) -> f64 {
        room.prepare(self.config, sequence.inputs.len());
        self.embed(sequence.inputs, room);
        for i in 0..room.layers.len() {
            let (before, own) = room.layers.split_at_mut(i);
            let stream = before.last().map_or(&room.embedded, |layer| &layer.after);
            let Some(layer) = own.first_mut() else { continue };
            let size = (room.tokens, room.lanes);
            self.forward_attention(i, stream, layer, &mut room.work, size);
            self.forward_mlp(i, layer, &mut room.work, size);
        }
        let loss = self.unembed(sequence, room, gradient);
        for i in (0..room.layers.len()).rev() {
            self.backward_mlp(i, room, gradient);
            self.backward_attention(i, room, gradient);
        }
        self.embed_gradient(sequence.inputs, room, gradient);
        loss
    }

    fn linear(&self, place: &'a LinearPlace, weights: &'a Weights) -> Linear<'a> {
        Linear { isa: self.isa, place, weights, parameters: self.parameters }
    }

    fn slice(&self, range: &Range<usize>) -> &'a [f32] {
        &self.parameters[range.clone()]
    }

    /// The first half of a layer, up to the stream between the halves.
    fn forward_attention(
        &self,
        i: usize,
        stream: &[f32],
        room: &mut LayerRoom,
        work: &mut Work,
        (tokens, lanes): (usize, usize),
    ) {
        let places = &self.places.layers[i];
        let [qkv, attention_out, ..] = &self.prepared.layers[i];
        let (qkv, out) = (self.linear(&places.qkv, qkv), self.linear(&places.attention_out, attention_out));
        let (d, heads, select) = (self.config.d_model, self.config.heads_width(), &mut work.select);
        for tile in tiles(tokens) {
            let at = (tile, lanes);
            let input = &mut work.input[..d * tile.lanes];
            self.norm(&places.norms[0], &stream[tile.part(d)], tile.lanes, input);
            self.keep(input, at, Place::AttentionIn, &mut room.attention_in_kept, select);
            lanes_turn(self.isa, input, tile.lanes, tile.first, &mut room.attention_in);
            qkv.forward(input, tile, &mut room.qkv);
        }
        qkv.forward_kept(&room.attention_in, &mut work.kept, &mut room.qkv);
        for tile in tiles(tokens) {
            let all = &mut room.qkv[tile.part(3 * heads)];
            self.keep_qkv(all, (tile, lanes), &mut room.qkv_kept, select);
        }
        let sink = places.sink.as_ref().map(|range| self.slice(range));
        let (mixed, normalisers) = (&mut room.mixed, &mut room.normalisers);
        let shape = self.shape(tokens);
        lanes_attention_forward(self.isa, &room.qkv, sink, shape, &mut work.attention, mixed, normalisers);
        for tile in tiles(tokens) {
            let at = (tile, lanes);
            let mixed = &room.mixed[tile.part(heads)];
            lanes_turn(self.isa, mixed, tile.lanes, tile.first, &mut room.mixed_turned);
            out.forward(mixed, tile, &mut room.middle);
            let middle = &mut room.middle[tile.part(d)];
            self.keep(middle, at, Place::AttentionOut, &mut room.attention_out_kept, select);
            let (stream, place) = (&stream[tile.part(d)], Place::ResidualAfterAttention);
            self.join(stream, middle, at, place, &mut room.middle_kept, select);
        }
    }

    /// The second half of a layer.
    fn forward_mlp(&self, i: usize, room: &mut LayerRoom, work: &mut Work, (tokens, lanes): (usize, usize)) {
        let places = &self.places.layers[i];
        let [.., mlp_in, mlp_out] = &self.prepared.layers[i];
        let (mlp_in, mlp_out) = (self.linear(&places.mlp_in, mlp_in), self.linear(&places.mlp_out, mlp_out));
        let Config { d_model: d, d_mlp, .. } = *self.config;
        let select = &mut work.select;
        for tile in tiles(tokens) {
            let input = &mut work.input[..d * tile.lanes];
            self.norm(&places.norms[1], &room.middle[tile.part(d)], tile.lanes, input);
            self.keep(input, (tile, lanes), Place::MlpIn, &mut room.mlp_in_kept, select);
            lanes_turn(self.isa, input, tile.lanes, tile.first, &mut room.mlp_in);
            mlp_in.forward(input, tile, &mut room.slopes);
        }
        mlp_in.forward_kept(&room.mlp_in, &mut work.kept, &mut room.slopes);
        for tile in tiles(tokens) {
            let sums = &mut room.slopes[tile.part(d_mlp)];
            let neurons = &mut work.neurons[..d_mlp * tile.lanes];
            match self.config.activation {
                Activation::Gelu => gelu_with_slope(self.isa, sums, neurons),
                Activation::Relu => relu_with_slope(sums, neurons),
            }
            self.keep(neurons, (tile, lanes), Place::MlpNeuron, &mut room.neurons_kept, select);
            lanes_turn(self.isa, neurons, tile.lanes, tile.first, &mut room.neurons);
            mlp_out.forward(neurons, tile, &mut room.after);
        }
        mlp_out.forward_kept(&room.neurons, &mut work.kept, &mut room.after);
        for tile in tiles(tokens) {
            let (at, middle, after) =
                ((tile, lanes), &room.middle[tile.part(d)], &mut room.after[tile.part(d)]);
            self.keep(after, at, Place::MlpOut, &mut room.mlp_out_kept, select);
            self.join(middle, after, at, Place::ResidualAfterMlp, &mut room.after_kept, select);
        }
    }

    fn backward_mlp(&self, i: usize, room: &mut Room, gradient: &mut [f32]) {
        let places: &LayerPlaces = &self.places.layers[i];
        let [.., mlp_in, mlp_out] = &self.prepared.layers[i];
        let (mlp_in, mlp_out) = (self.linear(&places.mlp_in, mlp_in), self.linear(&places.mlp_out, mlp_out));
        let Config { d_model: d, d_mlp, .. } = *self.config;
        let (layer, work, lanes) = (&room.layers[i], &mut room.work, room.lanes);
        let d_neurons = &mut work.d_wide[..d_mlp * lanes];
        for tile in tiles(room.tokens) {
            let d_stream = &mut work.d_stream[tile.part(d)];
            self.leave(&layer.after[tile.part(d)], &layer.after_kept, tile, d_stream);
            let d_half = &mut work.d_half[tile.part(d)];
            d_half.copy_from_slice(d_stream);
            layer.mlp_out_kept.mask(self.isa, tile, d_half);
            mlp_out.input_gradient(d_half, tile, d_neurons);
        }
        mlp_out.input_gradient_kept(&work.d_half, &mut work.kept, d_neurons);
        for tile in tiles(room.tokens) {
            let d_neurons = &mut d_neurons[tile.part(d_mlp)];
            layer.neurons_kept.mask(self.isa, tile, d_neurons);
            multiply_assign(d_neurons, &layer.slopes[tile.part(d_mlp)]);
            mlp_in.input_gradient(d_neurons, tile, &mut work.d_input);
        }
        mlp_in.input_gradient_kept(d_neurons, &mut work.kept, &mut work.d_input);
        for tile in tiles(room.tokens) {
            let (d_input, d_stream) = (&mut work.d_input[tile.part(d)], &mut work.d_stream[tile.part(d)]);
            layer.mlp_in_kept.mask(self.isa, tile, d_input);
            let middle = &layer.middle[tile.part(d)];
            self.norm_gradient(&places.norms[1], middle, (d_input, tile.lanes), d_stream, gradient);
        }
        mlp_out.weight_gradient(&work.d_half, (&layer.neurons, 0), &mut work.kept, gradient);
        mlp_in.weight_gradient(d_neurons, (&layer.mlp_in, 0), &mut work.kept, gradient);
    }

    fn backward_attention(&self, i: usize, room: &mut Room, gradient: &mut [f32]) {
        let places: &LayerPlaces = &self.places.layers[i];
        let [qkv, attention_out, ..] = &self.prepared.layers[i];
        let (qkv, out) = (self.linear(&places.qkv, qkv), self.linear(&places.attention_out, attention_out));
        let (d, heads) = (self.config.d_model, self.config.heads_width());
        let Room { layers, embedded, work, tokens, lanes } = room;
        let (before, own) = layers.split_at(i);
        let stream = before.last().map_or(&*embedded, |layer| &layer.after);
        let Some(layer) = own.first() else { return };
        for tile in tiles(*tokens) {
            let d_stream = &mut work.d_stream[tile.part(d)];
            self.leave(&layer.middle[tile.part(d)], &layer.middle_kept, tile, d_stream);
            let d_half = &mut work.d_half[tile.part(d)];
            d_half.copy_from_slice(d_stream);
            layer.attention_out_kept.mask(self.isa, tile, d_half);
            out.input_gradient(d_half, tile, &mut work.d_mixed);
        }
        out.input_gradient_kept(&work.d_half, &mut work.kept, &mut work.d_mixed);
        let d_qkv = &mut work.d_wide[..3 * heads * *lanes];
        let sink = places.sink.as_ref().map(|range| self.slice(range));
        let d_sink = places.sink.as_ref().map(|range| &mut gradient[range.clone()]);
        let (shape, normalisers) = (self.shape(*tokens), &layer.normalisers[..]);
        let attended = Attended { qkv: &layer.qkv, sink, shape, out: &layer.mixed, normalisers };
        let scratch = &mut work.attention_gradient;
        lanes_attention_gradient(self.isa, attended, &work.d_mixed, scratch, d_qkv, d_sink);
        for tile in tiles(*tokens) {
            let d_qkv = &mut d_qkv[tile.part(3 * heads)];
            layer.qkv_kept.mask(self.isa, tile, d_qkv);
            qkv.input_gradient(d_qkv, tile, &mut work.d_input);
        }
        qkv.input_gradient_kept(d_qkv, &mut work.kept, &mut work.d_input);
        for tile in tiles(*tokens) {
            let d_input = &mut work.d_input[tile.part(d)];
            layer.attention_in_kept.mask(self.isa, tile, d_input);
            let (stream, d_stream) = (&stream[tile.part(d)], &mut work.d_stream[tile.part(d)]);
            self.norm_gradient(&places.norms[0], stream, (d_input, tile.lanes), d_stream, gradient);
        }
        out.weight_gradient(&work.d_half, (&layer.mixed_turned, 0), &mut work.kept, gradient);
        qkv.weight_gradient(d_qkv, (&layer.attention_in, 0), &mut work.kept, gradient);
    }

    fn shape(&self, tokens: usize) -> AttentionShape {
        AttentionShape { tokens, heads: self.config.n_head, head_width: self.config.d_head }
    }

    fn norm(&self, place: &NormPlace, x: &[f32], lanes: usize, out: &mut [f32]) {
        let weight = self.slice(&place.weight);
        if self.config.rms_norm {
            lanes_rms_norm(self.isa, x, weight, RMS_NORM_EPS, lanes, out);
        } else {
            let bias = place.bias.as_ref().map(|range| self.slice(range));
            lanes_layer_norm(self.isa, x, weight, bias, LAYER_NORM_EPS, lanes, out);
        }
    }

    /// Adds the norm's gradients to `d_x` and `gradient`.
    fn norm_gradient(
        &self,
        place: &NormPlace,
        x: &[f32],
        d_and_lanes: (&[f32], usize),
        d_x: &mut [f32],
        gradient: &mut [f32],
    ) {
        let weight = self.slice(&place.weight);
        if self.config.rms_norm {
            let d_weight = &mut gradient[place.weight.clone()];
            lanes_rms_norm_gradient(self.isa, x, weight, RMS_NORM_EPS, d_and_lanes, d_x, d_weight);
            return;
        }
        // The bias lies right behind the weight.
        let end = place.bias.as_ref().map_or(place.weight.end, |bias| bias.end);
        let (d_weight, d_bias) = gradient[place.weight.start..end].split_at_mut(place.weight.len());
        let d_bias = place.bias.as_ref().map(|_| d_bias);
        lanes_layer_norm_gradient(self.isa, x, weight, LAYER_NORM_EPS, d_and_lanes, d_x, (d_weight, d_bias));
    }

    /// AbsTopK on a tile where the configuration has it at `place`.
    fn keep(
        &self,
        x: &mut [f32],
        at: (Tile, usize),
        place: Place,
        kept: &mut Selection,
        select: &mut Select,
    ) {
        let width = x.len() / at.0.lanes;
        kept.keep(self.isa, x, at, [self.kept(place, width)], select);
    }

    fn kept(&self, place: Place, width: usize) -> Option<usize> {
        self.config.top_k.as_ref().and_then(|top_k| top_k.kept(place, width))
    }

    /// AbsTopK on queries, keys and values, each over all heads.
    fn keep_qkv(&self, qkv: &mut [f32], at: (Tile, usize), kept: &mut Selection, select: &mut Select) {
        let places = [Place::AttentionQuery, Place::AttentionKey, Place::AttentionValue];
        let width = self.config.heads_width();
        kept.keep(self.isa, qkv, at, places.map(|place| self.kept(place, width)), select);
    }

    /// `x` joins the stream: `x += stream`, relu where the residual stream has it, AbsTopK.
    fn join(
        &self,
        stream: &[f32],
        x: &mut [f32],
        at: (Tile, usize),
        place: Place,
        kept: &mut Selection,
        select: &mut Select,
    ) {
        add_assign(x, stream);
        if self.config.residual_relu {
            relu(x);
        }
        self.keep(x, at, place, kept, select);
    }

    /// The gradient back through [`Network::join`], down to the sum.
    fn leave(&self, joined: &[f32], kept: &Selection, tile: Tile, d_stream: &mut [f32]) {
        kept.mask(self.isa, tile, d_stream);
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

/// relu of `x` into `out`; `x` becomes its derivative there. A NaN stays visible.
fn relu_with_slope(x: &mut [f32], out: &mut [f32]) {
    for (x, out) in x.iter_mut().zip(out) {
        *out = if *x < 0.0 { 0.0 } else { *x };
        *x = if x.is_nan() { *x } else { f32::from(u8::from(*x > 0.0)) };
    }
}
