//! The circuit-sparsity transformer (Gao et al. 2025, arXiv 2511.13653): its tensors and their wiring.
//!
//! One window is computed at a time, in tiles of up to 64 tokens with features as rows (`deltaloss_kernels::TILE`), so a token's numbers
//! depend on its window alone. In shapes `D` is d_model, `V` the vocabulary, `[features][lanes]` one tile.

use std::ops::Range;

use deltaloss_checkpoint::{Checkpoint, LoadReport};
use deltaloss_kernels::{
    AttentionShape, Isa, LossRow, TemperedRow, add_assign, gelu, lanes_abs_top_k, lanes_attention,
    lanes_layer_norm, lanes_rms_norm, loss_row_tempered, relu,
};

use super::tensors::{Tensors, WeightStatistics};
use super::workspace::{Pool, Select, Tile, Workspace, tiles};
use crate::config::{Activation, Config, Place};
use crate::error::LmError;
use crate::linear::Linear;

/// f32's machine epsilon: what the published RMSNorm adds to the mean square.
const RMS_NORM_EPS: f32 = f32::EPSILON;
const LAYER_NORM_EPS: f32 = 1e-5;
/// The hub repository's name for the whole model.
const HUB_PREFIX: &str = "circuit_model.";

/// The weights, ready to run.
#[derive(Clone, Debug)]
pub(crate) struct CircuitSparsity {
    config: Config,
    isa: Isa,
    /// `[V, D]`.
    token_embedding: Vec<f32>,
    /// `[block_size, d_pos_emb or D]`.
    position_embedding: Vec<f32>,
    layers: Vec<Layer>,
    final_norm: Norm,
    unembedding: Linear,
    /// `[V]`.
    logits_bias: Option<Vec<f32>>,
    /// `[V, V]`, a row for each current token.
    bigram_table: Option<Vec<f32>>,
    statistics: WeightStatistics,
    pool: Pool,
}

#[derive(Clone, Debug)]
struct Layer {
    attention: HalfInput,
    qkv: Linear,
    attention_out: Linear,
    /// `[H]`: heads whose output weights are all zero, which need no attention.
    unread: Vec<bool>,
    /// `[H]`.
    sink: Option<Vec<f32>>,
    mlp: HalfInput,
    mlp_in: Linear,
    mlp_out: Linear,
}

/// What a block half reads: the normed stream, above the normed position embedding where that is set.
#[derive(Clone, Debug)]
struct HalfInput {
    norm: Norm,
    position_norm: Option<Norm>,
}

#[derive(Clone, Debug)]
struct Norm {
    weight: Vec<f32>,
    bias: Option<Vec<f32>>,
    rms: bool,
}

impl Norm {
    fn apply(&self, isa: Isa, x: &[f32], lanes: usize, out: &mut [f32]) {
        if self.rms {
            lanes_rms_norm(isa, x, &self.weight, RMS_NORM_EPS, lanes, out);
        } else {
            lanes_layer_norm(isa, x, &self.weight, self.bias.as_deref(), LAYER_NORM_EPS, lanes, out);
        }
    }
}

impl CircuitSparsity {
    /// Builds the model from a checkpoint, whose tensors must fit `config` exactly.
    pub(crate) fn load(
        name: &str,
        config: Config,
        checkpoint: &Checkpoint,
        isa: Isa,
    ) -> Result<(Self, LoadReport), LmError> {
        let mut loader = Loader { config: &config, tensors: Tensors::new(name, checkpoint, HUB_PREFIX) };
        let (vocab, d) = (config.vocab_size, config.d_model);
        let token_embedding = loader.tensors.take("transformer.wte.weight", &[vocab, d])?;
        let position_width = config.d_pos_emb.unwrap_or(d);
        let position_embedding =
            loader.tensors.take("transformer.wpe.weight", &[config.block_size, position_width])?;
        let layers = (0..config.n_layer).map(|i| loader.layer(i)).collect::<Result<Vec<_>, _>>()?;
        let final_norm = loader.norm("transformer.ln_f", d)?;
        let unembedding = if config.tied_unembed {
            // Files may carry the shared matrix under its second name too.
            loader.tensors.binder.ignore("lm_head.weight");
            linear_of(&token_embedding, None, vocab, d)
        } else {
            linear_of(&loader.tensors.take("lm_head.weight", &[vocab, d])?, None, vocab, d)
        };
        let logits_bias = loader.tensors.take_optional("final_logits_bias", &[vocab])?;
        let bigram_table = match config.bigram_table {
            true => Some(loader.tensors.take("bigram_table", &[vocab, vocab])?),
            false => None,
        };
        let (report, mut statistics) = loader.tensors.finish()?;
        let linears = layers.iter().flat_map(|l| [&l.qkv, &l.attention_out, &l.mlp_in, &l.mlp_out]);
        for linear in linears.chain([&unembedding]) {
            statistics.linear_layers += 1;
            statistics.sparse_layers += usize::from(linear.is_sparse());
        }
        let model = CircuitSparsity {
            config,
            isa,
            token_embedding,
            position_embedding,
            layers,
            final_norm,
            unembedding,
            logits_bias,
            bigram_table,
            statistics,
            pool: Pool::default(),
        };
        Ok((model, report))
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn statistics(&self) -> WeightStatistics {
        self.statistics
    }

    pub(crate) fn isa(&self) -> Isa {
        self.isa
    }

    /// Logits `[T, V]` after each input.
    pub(crate) fn logits(&self, inputs: &[u32]) -> Vec<f32> {
        let mut out = Vec::with_capacity(inputs.len() * self.config.vocab_size);
        self.for_each_tile(inputs, |_, logits| out.extend_from_slice(logits));
        out
    }

    /// What each position from `skip` on says about its target, and the same at each inverse temperature, `betas.len()`
    /// rows a position.
    pub(crate) fn losses(
        &self,
        inputs: &[u32],
        targets: &[u32],
        skip: usize,
        betas: &[f32],
    ) -> (Vec<LossRow>, Vec<TemperedRow>) {
        let (mut rows, mut tempered) = self.all_losses(inputs, targets, skip, betas);
        // What is not finite reaches some earlier tokens of its block in attention (`lanes_attention`); alone, these are as they should be.
        let first = rows.iter().position(|row| !row.is_finite()).unwrap_or(rows.len());
        for at in first..rows.len() {
            let upto = skip + at + 1;
            let (alone, alone_tempered) =
                self.all_losses(&inputs[..upto], &targets[..upto], skip + at, betas);
            rows[at] = alone[0];
            tempered[at * betas.len()..][..betas.len()].copy_from_slice(&alone_tempered);
            if !rows[at].is_finite() {
                break;
            }
        }
        (rows, tempered)
    }

    fn all_losses(
        &self,
        inputs: &[u32],
        targets: &[u32],
        skip: usize,
        betas: &[f32],
    ) -> (Vec<LossRow>, Vec<TemperedRow>) {
        let recorded = inputs.len() - skip;
        let mut rows = Vec::with_capacity(recorded);
        let mut tempered = vec![TemperedRow::default(); recorded * betas.len()];
        self.for_each_tile(inputs, |tokens, logits| {
            for (t, logits) in tokens.zip(logits.chunks_exact(self.config.vocab_size)) {
                if t >= skip {
                    let at_betas = &mut tempered[(t - skip) * betas.len()..][..betas.len()];
                    rows.push(loss_row_tempered(self.isa, logits, targets[t] as usize, betas, at_betas));
                }
            }
        });
        (rows, tempered)
    }

    /// Calls `use_tile` with the logits of every tile, `[tokens, V]`.
    fn for_each_tile(&self, inputs: &[u32], mut use_tile: impl FnMut(Range<usize>, &[f32])) {
        let Config { d_model: d, vocab_size: vocab, .. } = self.config;
        self.pool.with(|work| {
            self.prepare(work, inputs.len());
            self.embed(work, inputs);
            for (index, layer) in self.layers.iter().enumerate() {
                self.attend(work, layer, index, inputs.len());
                for tile in tiles(inputs.len()) {
                    self.finish_attention(work, layer, index, tile);
                    self.think(work, layer, index, tile);
                }
            }
            for tile in tiles(inputs.len()) {
                let (lanes, normed) = (tile.lanes, &mut work.out[..d * tile.lanes]);
                self.final_norm.apply(self.isa, &work.stream[tile.part(d)], lanes, normed);
                let logits = &mut work.logits[..vocab * lanes];
                self.unembedding.apply(self.isa, normed, lanes, logits);
                let rows = tile.rows_of(self.isa, logits, &mut work.rows);
                for (row, &token) in rows.chunks_exact_mut(vocab).zip(&inputs[tile.tokens()]) {
                    if let Some(bias) = &self.logits_bias {
                        add_assign(row, bias);
                    }
                    if let Some(table) = &self.bigram_table {
                        add_assign(row, &table[token as usize * vocab..][..vocab]);
                    }
                }
                use_tile(tile.tokens(), rows);
            }
        });
    }

    /// Makes room for a window of so many tokens.
    fn prepare(&self, work: &mut Workspace, tokens: usize) {
        let Config { d_model: d, d_mlp, d_pos_emb, vocab_size: vocab, n_layer, .. } = self.config;
        let (width, places) = (self.config.heads_width(), Place::COUNT);
        work.prepare(
            tokens,
            [d, 3 * width, width, d_pos_emb.unwrap_or(0)],
            [self.config.d_in(), d_mlp, d, vocab],
        );
        work.select.guesses.resize(n_layer * places, Default::default());
    }

    /// The stream at its beginning, and the position embedding where it stays apart.
    fn embed(&self, work: &mut Workspace, inputs: &[u32]) {
        let Config { d_model: d, d_pos_emb, .. } = self.config;
        for tile in tiles(inputs.len()) {
            let row = |t: usize| &self.token_embedding[inputs[t] as usize * d..][..d];
            let position = |width: usize| move |t: usize| &self.position_embedding[t * width..][..width];
            let stream = &mut work.stream[tile.part(d)];
            tile.fill(row, stream);
            match d_pos_emb {
                Some(width) => tile.fill(position(width), &mut work.positions[tile.part(width)]),
                None => tile.add(position(d), stream),
            }
        }
    }

    /// The input of a block half, `[d_in][lanes]`.
    fn read(&self, work: &mut Workspace, half: &HalfInput, tile: Tile) {
        let (d, lanes) = (self.config.d_model, tile.lanes);
        let (stream, positions) = work.input[..self.config.d_in() * lanes].split_at_mut(d * lanes);
        half.norm.apply(self.isa, &work.stream[tile.part(d)], lanes, stream);
        if let Some(norm) = &half.position_norm {
            norm.apply(self.isa, &work.positions[tile.part(norm.weight.len())], lanes, positions);
        }
    }

    /// Attention of the whole window up to what its heads give.
    fn attend(&self, work: &mut Workspace, layer: &Layer, index: usize, tokens: usize) {
        let (d_in, width) = (self.config.d_in(), self.config.heads_width());
        for tile in tiles(tokens) {
            self.read(work, &layer.attention, tile);
            let (lanes, select) = (tile.lanes, &mut work.select);
            let input = &mut work.input[..d_in * lanes];
            self.keep_top_k(input, lanes, (index, Place::AttentionIn), select);
            let qkv = &mut work.qkv[tile.part(3 * width)];
            layer.qkv.apply(self.isa, input, lanes, qkv);
            let places = [Place::AttentionQuery, Place::AttentionKey, Place::AttentionValue];
            for (part, place) in qkv.chunks_exact_mut(width * lanes).zip(places) {
                self.keep_top_k(part, lanes, (index, place), select);
            }
        }
        let shape = AttentionShape { tokens, heads: self.config.n_head, head_width: self.config.d_head };
        let (sink, all) = (layer.sink.as_deref(), Tile::all(tokens));
        let (qkv, mixed) = (&work.qkv[all.part(3 * width)], &mut work.mixed[all.part(width)]);
        lanes_attention(self.isa, qkv, sink, shape, &layer.unread, &mut work.attention, mixed);
    }

    /// What attention writes to the stream.
    fn finish_attention(&self, work: &mut Workspace, layer: &Layer, index: usize, tile: Tile) {
        let (width, lanes) = (self.config.heads_width(), tile.lanes);
        let out = &mut work.out[..self.config.d_model * lanes];
        layer.attention_out.apply(self.isa, &work.mixed[tile.part(width)], lanes, out);
        self.keep_top_k(out, lanes, (index, Place::AttentionOut), &mut work.select);
        self.write(work, (index, Place::ResidualAfterAttention), tile);
    }

    /// The MLP, and what it writes to the stream.
    fn think(&self, work: &mut Workspace, layer: &Layer, index: usize, tile: Tile) {
        self.read(work, &layer.mlp, tile);
        let (lanes, select) = (tile.lanes, &mut work.select);
        let input = &mut work.input[..self.config.d_in() * lanes];
        self.keep_top_k(input, lanes, (index, Place::MlpIn), select);
        let neurons = &mut work.neurons[..self.config.d_mlp * lanes];
        layer.mlp_in.apply(self.isa, input, lanes, neurons);
        match self.config.activation {
            Activation::Gelu => gelu(self.isa, neurons),
            Activation::Relu => relu(neurons),
        }
        self.keep_top_k(neurons, lanes, (index, Place::MlpNeuron), select);
        let out = &mut work.out[..self.config.d_model * lanes];
        layer.mlp_out.apply(self.isa, neurons, lanes, out);
        self.keep_top_k(out, lanes, (index, Place::MlpOut), select);
        self.write(work, (index, Place::ResidualAfterMlp), tile);
    }

    /// Adds a block half's output to the stream.
    fn write(&self, work: &mut Workspace, at: (usize, Place), tile: Tile) {
        let d = self.config.d_model;
        let stream = &mut work.stream[tile.part(d)];
        add_assign(stream, &work.out[..d * tile.lanes]);
        if self.config.residual_relu {
            relu(stream);
        }
        self.keep_top_k(stream, tile.lanes, at, &mut work.select);
    }

    /// AbsTopK on a tile, where the configuration has it at this place of a layer.
    fn keep_top_k(&self, x: &mut [f32], lanes: usize, (layer, place): (usize, Place), select: &mut Select) {
        let width = x.len() / lanes;
        if let Some(k) = self.config.top_k.as_ref().and_then(|top_k| top_k.kept(place, width)) {
            let guess = &mut select.guesses[layer * Place::COUNT + place as usize];
            lanes_abs_top_k(self.isa, x, lanes, k, guess, &mut select.scratch);
        }
    }
}

/// Takes the parts of the model.
struct Loader<'a> {
    config: &'a Config,
    tensors: Tensors<'a>,
}

impl Loader<'_> {
    fn layer(&mut self, i: usize) -> Result<Layer, LmError> {
        let at = format!("transformer.h.{i}");
        let Config { d_model: d, n_head, d_head, d_mlp, sink, .. } = *self.config;
        let (d_in, heads) = (self.config.d_in(), self.config.heads_width());
        self.tensors.binder.ignore(&format!("{at}.attn.bias"));
        let attention = self.half_input(&at, 1)?;
        let qkv = self.linear(&format!("{at}.attn.c_attn"), 3 * heads, d_in)?;
        let out_weight = self.tensors.take(&format!("{at}.attn.c_proj.weight"), &[d, heads])?;
        let out_bias = self.bias(&format!("{at}.attn.c_proj"), d)?;
        let sink = match sink {
            true => Some(self.tensors.take(&format!("{at}.attn.attn_imp.sink_logit"), &[n_head])?),
            false => None,
        };
        Ok(Layer {
            attention,
            qkv,
            unread: unread_heads(&out_weight, n_head, d_head),
            attention_out: linear_of(&out_weight, out_bias, d, heads),
            sink,
            mlp: self.half_input(&at, 2)?,
            mlp_in: self.linear(&format!("{at}.mlp.c_fc"), d_mlp, d_in)?,
            mlp_out: self.linear(&format!("{at}.mlp.c_proj"), d, d_mlp)?,
        })
    }

    fn half_input(&mut self, at: &str, half: usize) -> Result<HalfInput, LmError> {
        let norm = self.norm(&format!("{at}.ln_{half}"), self.config.d_model)?;
        let position_norm = match self.config.d_pos_emb {
            Some(width) => Some(self.norm(&format!("{at}.ln_p{half}"), width)?),
            None => None,
        };
        Ok(HalfInput { norm, position_norm })
    }

    fn norm(&mut self, at: &str, width: usize) -> Result<Norm, LmError> {
        let rms = self.config.rms_norm;
        let weight = self.tensors.take(&format!("{at}.weight"), &[width])?;
        let bias = match self.config.ln_bias && !rms {
            true => Some(self.tensors.take(&format!("{at}.bias"), &[width])?),
            false => None,
        };
        Ok(Norm { weight, bias, rms })
    }

    fn linear(&mut self, at: &str, outputs: usize, inputs: usize) -> Result<Linear, LmError> {
        let weight = self.tensors.take(&format!("{at}.weight"), &[outputs, inputs])?;
        Ok(linear_of(&weight, self.bias(at, outputs)?, outputs, inputs))
    }

    fn bias(&mut self, at: &str, outputs: usize) -> Result<Option<Vec<f32>>, LmError> {
        match self.config.bias {
            true => Ok(Some(self.tensors.take(&format!("{at}.bias"), &[outputs])?)),
            false => Ok(None),
        }
    }
}

/// A layer of a missing matrix is never run: the loader's `finish` fails first.
fn linear_of(weight: &[f32], bias: Option<Vec<f32>>, outputs: usize, inputs: usize) -> Linear {
    Linear::new(weight, bias, if weight.is_empty() { 0 } else { outputs }, inputs)
}

/// Heads of which no output weight is not zero; `out_weight` is `[D, heads·d_head]`.
fn unread_heads(out_weight: &[f32], n_head: usize, d_head: usize) -> Vec<bool> {
    let mut unread = vec![true; n_head];
    for row in out_weight.chunks_exact(n_head * d_head) {
        for (unread, weights) in unread.iter_mut().zip(row.chunks_exact(d_head)) {
            *unread &= weights.iter().all(|&weight| weight == 0.0);
        }
    }
    unread
}

#[cfg(test)]
mod tests;
