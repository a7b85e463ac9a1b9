//! The two ends of the network: where tokens become a stream, and where the stream becomes a loss.

use deltaloss_kernels::{lanes_cross_entropy_gradient, lanes_turn};
use deltaloss_lm::Config;

use super::{Network, Sequence};
use crate::room::Room;
use crate::tile::tiles;

/// Tiles whose logits are in work together: as few as keeps a weight gradient's sums long and the logits in the second-level cache.
const TILES_OF_LOGITS: usize = 2;

impl Network<'_> {
    /// The stream before the first layer.
    pub(super) fn embed(&self, inputs: &[u32], room: &mut Room) {
        let d = self.config.d_model;
        let (embedding, positions) = (self.slice(&self.places.tokens), self.slice(&self.places.positions));
        let positioned = positions.iter().any(|&p| p != 0.0);
        for tile in tiles(inputs.len()) {
            let out = &mut room.embedded[tile.part(d)];
            for (lane, t) in tile.tokens().enumerate() {
                let row = &embedding[inputs[t] as usize * d..][..d];
                for (out, &value) in out[lane..].iter_mut().step_by(tile.lanes).zip(row) {
                    *out = value;
                }
                if positioned {
                    let row = &positions[t * d..][..d];
                    for (out, &value) in out[lane..].iter_mut().step_by(tile.lanes).zip(row) {
                        *out += value;
                    }
                }
            }
        }
    }

    /// The gradient of embeddings, from the one in that stream.
    pub(super) fn embed_gradient(&self, inputs: &[u32], room: &Room, gradient: &mut [f32]) {
        let d = self.config.d_model;
        for tile in tiles(inputs.len()) {
            let d_stream = &room.work.d_stream[tile.part(d)];
            for (lane, t) in tile.tokens().enumerate() {
                let column = || d_stream[lane..].iter().step_by(tile.lanes);
                let row = self.places.tokens.start + inputs[t] as usize * d;
                for (sum, &value) in gradient[row..row + d].iter_mut().zip(column()) {
                    *sum += value;
                }
                if self.places.positions_trained {
                    let row = self.places.positions.start + t * d;
                    for (sum, &value) in gradient[row..row + d].iter_mut().zip(column()) {
                        *sum += value;
                    }
                }
            }
        }
    }

    /// From the stream after the last layer to the loss, and back to the gradient in that stream. Logits are there for a few tiles at a
    /// time.
    pub(super) fn unembed(&self, sequence: Sequence<'_>, room: &mut Room, gradient: &mut [f32]) -> f64 {
        let Config { d_model: d, vocab_size: vocab, .. } = *self.config;
        let unembedding = self.linear(&self.places.unembedding, &self.prepared.unembedding);
        let stream = room.layers.last().map_or(&room.embedded, |layer| &layer.after);
        let work = &mut room.work;
        work.d_stream.fill(0.0);
        let (mut loss, mut tiles) = (0.0, tiles(sequence.inputs.len()));
        loop {
            let (mut lanes, mut first) = (0, 0);
            for tile in tiles.by_ref().take(TILES_OF_LOGITS) {
                first = tile.first - lanes;
                let input = &mut work.input[..d * tile.lanes];
                self.norm(&self.places.final_norm, &stream[tile.part(d)], tile.lanes, input);
                lanes_turn(self.isa, input, tile.lanes, tile.first, &mut work.normed);
                let logits = &mut work.logits[lanes * vocab..][..tile.lanes * vocab];
                unembedding.forward(input, tile.alone(), logits);
                self.bias_logits(&sequence.inputs[tile.tokens()], tile.lanes, logits);
                let targets = &sequence.targets[tile.tokens()];
                loss += lanes_cross_entropy_gradient(self.isa, logits, targets, tile.lanes, sequence.scale);
                self.bigram_gradient(&sequence.inputs[tile.tokens()], tile.lanes, logits, gradient);
                unembedding.input_gradient(logits, tile.alone(), input);
                let d_stream = &mut work.d_stream[tile.part(d)];
                self.norm_gradient(
                    &self.places.final_norm,
                    &stream[tile.part(d)],
                    (input, tile.lanes),
                    d_stream,
                    gradient,
                );
                lanes += tile.lanes;
            }
            if lanes == 0 {
                return loss;
            }
            let d_logits = &work.logits[..lanes * vocab];
            unembedding.weight_gradient(d_logits, (&work.normed, first), &mut work.kept, gradient);
        }
    }

    /// Adds what the current tokens alone say to a tile's logits.
    fn bias_logits(&self, inputs: &[u32], lanes: usize, logits: &mut [f32]) {
        let (bias, vocab) = (self.slice(&self.places.logits_bias), self.config.vocab_size);
        if bias.iter().any(|&b| b != 0.0) {
            for (row, &bias) in logits.chunks_exact_mut(lanes).zip(bias) {
                row.iter_mut().for_each(|logit| *logit += bias);
            }
        }
        if let Some(table) = &self.places.bigram_table {
            let table = self.slice(table);
            for (lane, &token) in inputs.iter().enumerate() {
                let row = &table[token as usize * vocab..][..vocab];
                for (logit, &bias) in logits[lane..].iter_mut().step_by(lanes).zip(row) {
                    *logit += bias;
                }
            }
        }
    }

    fn bigram_gradient(&self, inputs: &[u32], lanes: usize, d_logits: &[f32], gradient: &mut [f32]) {
        let Some(table) = &self.places.bigram_table else { return };
        let vocab = self.config.vocab_size;
        let table = &mut gradient[table.clone()];
        // In the published implementation the last entry of the vocabulary (`<|endoftext|>`) is the table's padding: its row is
        // read and never trained.
        let trained = |&(_, token): &(usize, &u32)| (*token as usize) + 1 < vocab;
        for (lane, &token) in inputs.iter().enumerate().filter(trained) {
            let row = &mut table[token as usize * vocab..][..vocab];
            for (sum, &d) in row.iter_mut().zip(d_logits[lane..].iter().step_by(lanes)) {
                *sum += d;
            }
        }
    }
}
