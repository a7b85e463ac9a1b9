//! The circuit-sparsity transformer (Gao et al. 2025, arXiv 2511.13653): its tensors and their wiring.
//!
//! Letters: `T` tokens of a window, `D` = d_model, `V` = vocabulary. One window is computed at a time, so a
//! token's numbers depend on its window alone.

use std::ops::Range;

use deltaloss_checkpoint::{Binder, Checkpoint, LoadReport};
use deltaloss_kernels::{
    AttentionShape, Isa, LossRow, SparseScratch, TemperedRow, abs_top_k, add_assign, causal_attention, gelu,
    layer_norm, loss_row_tempered, relu, rms_norm,
};

use crate::config::{Activation, Config, Place};
use crate::error::LmError;
use crate::linear::Linear;

/// f32's machine epsilon: what the published RMSNorm adds to the mean square.
const RMS_NORM_EPS: f32 = f32::EPSILON;
const LAYER_NORM_EPS: f32 = 1e-5;
/// Tokens whose logits are held at once.
const LOGIT_TILE: usize = 64;
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
}

/// Counted while loading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WeightStatistics {
    /// Entries of all tensors that were used.
    pub parameters: u64,
    /// Those that are not zero.
    pub nonzero_parameters: u64,
    /// Linear layers, embeddings excluded.
    pub linear_layers: usize,
    /// Those stored sparse.
    pub sparse_layers: usize,
}

#[derive(Clone, Debug)]
struct Layer {
    attention: HalfInput,
    qkv: Linear,
    attention_out: Linear,
    /// `[H]`.
    sink: Option<Vec<f32>>,
    mlp: HalfInput,
    mlp_in: Linear,
    mlp_out: Linear,
}

/// What a block half reads: the normed stream, beside the normed position embedding where that is set.
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
    fn apply(&self, isa: Isa, x: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; x.len()];
        if self.rms {
            rms_norm(isa, x, &self.weight, RMS_NORM_EPS, &mut out);
        } else {
            layer_norm(isa, x, &self.weight, self.bias.as_deref(), LAYER_NORM_EPS, &mut out);
        }
        out
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
        let mut tensors = Tensors::new(name, &config, checkpoint);
        let (vocab, d) = (config.vocab_size, config.d_model);
        let token_embedding = tensors.take("transformer.wte.weight", &[vocab, d])?;
        let position_width = config.d_pos_emb.unwrap_or(d);
        let position_embedding =
            tensors.take("transformer.wpe.weight", &[config.block_size, position_width])?;
        let layers = (0..config.n_layer).map(|i| tensors.layer(i)).collect::<Result<Vec<_>, _>>()?;
        let final_norm = tensors.norm("transformer.ln_f", d)?;
        let unembedding = if config.tied_unembed {
            // Files may carry the shared matrix under its second name too.
            tensors.binder.ignore("lm_head.weight");
            tensors.raw_linear(&token_embedding, None, vocab, d)
        } else {
            let weight = tensors.take("lm_head.weight", &[vocab, d])?;
            tensors.raw_linear(&weight, None, vocab, d)
        };
        let logits_bias = tensors.take_optional("final_logits_bias", &[vocab])?;
        let bigram_table =
            if config.bigram_table { Some(tensors.take("bigram_table", &[vocab, vocab])?) } else { None };
        let (report, mut statistics) = tensors.finish()?;
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

    /// Calls `use_tile` with the logits of every `LOGIT_TILE` tokens.
    fn for_each_tile(&self, inputs: &[u32], mut use_tile: impl FnMut(Range<usize>, &[f32])) {
        let d = self.config.d_model;
        let hidden = self.hidden(inputs);
        let (mut scratch, mut logits) = (SparseScratch::default(), Vec::new());
        for start in (0..inputs.len()).step_by(LOGIT_TILE) {
            let tokens = start..inputs.len().min(start + LOGIT_TILE);
            self.unembedding.apply(
                self.isa,
                &hidden[tokens.start * d..tokens.end * d],
                &mut scratch,
                &mut logits,
            );
            for (t, row) in tokens.clone().zip(logits.chunks_exact_mut(self.config.vocab_size)) {
                if let Some(bias) = &self.logits_bias {
                    add_assign(row, bias);
                }
                if let Some(table) = &self.bigram_table {
                    let vocab = self.config.vocab_size;
                    add_assign(row, &table[inputs[t] as usize * vocab..][..vocab]);
                }
            }
            use_tile(tokens, &logits);
        }
    }

    /// The residual stream after the last norm, `[T, D]`.
    fn hidden(&self, inputs: &[u32]) -> Vec<f32> {
        let Config { d_model: d, d_pos_emb, .. } = self.config;
        let mut x: Vec<f32> = inputs
            .iter()
            .flat_map(|&token| &self.token_embedding[token as usize * d..][..d])
            .copied()
            .collect();
        let positions = &self.position_embedding[..inputs.len() * d_pos_emb.unwrap_or(d)];
        if d_pos_emb.is_none() {
            add_assign(&mut x, positions);
        }
        let mut scratch = SparseScratch::default();
        for layer in &self.layers {
            let out = self.attend(layer, self.read(&layer.attention, &x, positions), &mut scratch);
            self.write(&mut x, &out, Place::ResidualAfterAttention);
            let out = self.think(layer, self.read(&layer.mlp, &x, positions), &mut scratch);
            self.write(&mut x, &out, Place::ResidualAfterMlp);
        }
        self.final_norm.apply(self.isa, &x)
    }

    /// The input of a block half, `[T, d_in]`.
    fn read(&self, input: &HalfInput, x: &[f32], positions: &[f32]) -> Vec<f32> {
        let normed = input.norm.apply(self.isa, x);
        let Some(position_norm) = &input.position_norm else { return normed };
        let positions = position_norm.apply(self.isa, positions);
        let (d, p) = (self.config.d_model, position_norm.weight.len());
        normed
            .chunks_exact(d)
            .zip(positions.chunks_exact(p))
            .flat_map(|(x, p)| x.iter().chain(p))
            .copied()
            .collect()
    }

    fn attend(&self, layer: &Layer, mut x: Vec<f32>, scratch: &mut SparseScratch) -> Vec<f32> {
        let width = self.config.heads_width();
        self.keep_top_k(&mut x, self.config.d_in(), Place::AttentionIn);
        let mut qkv = Vec::new();
        layer.qkv.apply(self.isa, &x, scratch, &mut qkv);
        for row in qkv.chunks_exact_mut(3 * width) {
            let places = [Place::AttentionQuery, Place::AttentionKey, Place::AttentionValue];
            for (part, place) in row.chunks_exact_mut(width).zip(places) {
                self.keep_top_k(part, width, place);
            }
        }
        let tokens = qkv.len() / (3 * width);
        let shape = AttentionShape { tokens, heads: self.config.n_head, head_width: self.config.d_head };
        let mut mixed = vec![0.0; tokens * width];
        causal_attention(self.isa, &qkv, layer.sink.as_deref(), shape, &mut mixed);
        let mut out = Vec::new();
        layer.attention_out.apply(self.isa, &mixed, scratch, &mut out);
        self.keep_top_k(&mut out, self.config.d_model, Place::AttentionOut);
        out
    }

    fn think(&self, layer: &Layer, mut x: Vec<f32>, scratch: &mut SparseScratch) -> Vec<f32> {
        self.keep_top_k(&mut x, self.config.d_in(), Place::MlpIn);
        let mut neurons = Vec::new();
        layer.mlp_in.apply(self.isa, &x, scratch, &mut neurons);
        match self.config.activation {
            Activation::Gelu => gelu(self.isa, &mut neurons),
            Activation::Relu => relu(&mut neurons),
        }
        self.keep_top_k(&mut neurons, self.config.d_mlp, Place::MlpNeuron);
        let mut out = Vec::new();
        layer.mlp_out.apply(self.isa, &neurons, scratch, &mut out);
        self.keep_top_k(&mut out, self.config.d_model, Place::MlpOut);
        out
    }

    /// Adds a block half's output to the stream.
    fn write(&self, x: &mut [f32], out: &[f32], place: Place) {
        add_assign(x, out);
        if self.config.residual_relu {
            relu(x);
        }
        self.keep_top_k(x, self.config.d_model, place);
    }

    /// AbsTopK on rows of `width`, where the configuration has it at `place`.
    fn keep_top_k(&self, x: &mut [f32], width: usize, place: Place) {
        if let Some(k) = self.config.top_k.as_ref().and_then(|top_k| top_k.kept(place, width)) {
            abs_top_k(self.isa, x, width, k);
        }
    }
}

/// Takes tensors by name and shape, counting parameters and refusing what is not finite.
struct Tensors<'a> {
    name: &'a str,
    config: &'a Config,
    binder: Binder<'a>,
    statistics: WeightStatistics,
}

impl<'a> Tensors<'a> {
    fn new(name: &'a str, config: &'a Config, checkpoint: &'a Checkpoint) -> Self {
        let binder = Binder::with_prefix(checkpoint, HUB_PREFIX);
        Tensors { name, config, binder, statistics: WeightStatistics::default() }
    }

    /// The tensor's entries; empty where it is missing or of another shape, which `finish` reports.
    fn take(&mut self, tensor: &str, shape: &[usize]) -> Result<Vec<f32>, LmError> {
        let values = self.binder.take_f32(tensor, shape)?;
        self.inspect(tensor, values).map(Option::unwrap_or_default)
    }

    fn take_optional(&mut self, tensor: &str, shape: &[usize]) -> Result<Option<Vec<f32>>, LmError> {
        let values = self.binder.take_optional_f32(tensor, shape)?;
        self.inspect(tensor, values)
    }

    fn inspect(&mut self, tensor: &str, values: Option<Vec<f32>>) -> Result<Option<Vec<f32>>, LmError> {
        let Some(values) = values else { return Ok(None) };
        if let Some(entry) = values.iter().position(|value| !value.is_finite()) {
            let (model, tensor, value) = (self.name.to_owned(), tensor.to_owned(), values[entry]);
            return Err(LmError::NonFiniteWeight { model, tensor, value, entry });
        }
        self.statistics.parameters += values.len() as u64;
        self.statistics.nonzero_parameters += values.iter().filter(|&&v| v != 0.0).count() as u64;
        Ok(Some(values))
    }

    fn layer(&mut self, i: usize) -> Result<Layer, LmError> {
        let at = format!("transformer.h.{i}");
        let (d, d_in, heads) = (self.config.d_model, self.config.d_in(), self.config.heads_width());
        self.binder.ignore(&format!("{at}.attn.bias"));
        let n_head = self.config.n_head;
        Ok(Layer {
            attention: self.half_input(&at, 1)?,
            qkv: self.linear(&format!("{at}.attn.c_attn"), 3 * heads, d_in)?,
            attention_out: self.linear(&format!("{at}.attn.c_proj"), d, heads)?,
            sink: match self.config.sink {
                true => Some(self.take(&format!("{at}.attn.attn_imp.sink_logit"), &[n_head])?),
                false => None,
            },
            mlp: self.half_input(&at, 2)?,
            mlp_in: self.linear(&format!("{at}.mlp.c_fc"), self.config.d_mlp, d_in)?,
            mlp_out: self.linear(&format!("{at}.mlp.c_proj"), d, self.config.d_mlp)?,
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
        let weight = self.take(&format!("{at}.weight"), &[width])?;
        let bias = if self.config.ln_bias && !rms {
            Some(self.take(&format!("{at}.bias"), &[width])?)
        } else {
            None
        };
        Ok(Norm { weight, bias, rms })
    }

    fn linear(&mut self, at: &str, outputs: usize, inputs: usize) -> Result<Linear, LmError> {
        let weight = self.take(&format!("{at}.weight"), &[outputs, inputs])?;
        let bias = if self.config.bias { Some(self.take(&format!("{at}.bias"), &[outputs])?) } else { None };
        Ok(self.raw_linear(&weight, bias, outputs, inputs))
    }

    /// A layer of a missing matrix is never run: `finish` fails first.
    fn raw_linear(&self, weight: &[f32], bias: Option<Vec<f32>>, outputs: usize, inputs: usize) -> Linear {
        if weight.is_empty() {
            Linear::new(&[], bias, 0, inputs)
        } else {
            Linear::new(weight, bias, outputs, inputs)
        }
    }

    fn finish(self) -> Result<(LoadReport, WeightStatistics), LmError> {
        let report = self.binder.finish()?;
        Ok((report, self.statistics))
    }
}
