//! The configuration file of a training: TOML with the tables `model`, `data` and `recipe`, and a seed.
//!
//! `[model]` has the names of `beeg_config.json`; `vocab_size` comes from the tokenizer. Whatever is left out has the
//! value of the published recipe (`Gao et al. 2025, arXiv 2511.13653`). A key that nothing knows is refused with the
//! nearest one that is known.

use std::path::Path;

use deltaloss_lm::Config;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::adam::AdamConstants;
use crate::error::TrainError;
use crate::keys::refuse_unknown_keys;
use crate::schedule::Schedule;
use crate::step::Recipe;

/// A whole training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainConfig {
    /// Decides the initial weights and the order of the data.
    pub seed: u64,
    /// The model's shape.
    pub model: ModelTable,
    /// What it learns from.
    pub data: DataTable,
    /// How it learns.
    pub recipe: RecipeTable,
}

/// `[model]`: fields of `beeg_config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelTable {
    /// Inputs of a sequence.
    pub block_size: usize,
    /// Layers.
    pub n_layer: usize,
    /// Heads.
    pub n_head: usize,
    /// Width of a head.
    pub d_head: usize,
    /// Width of the residual stream.
    pub d_model: usize,
    /// Neurons of an MLP; four times `d_model` by default.
    pub d_mlp: Option<usize>,
    /// Biases in linear layers.
    pub bias: bool,
    /// Biases in LayerNorm.
    pub ln_bias: bool,
    /// RMSNorm in place of LayerNorm.
    pub rms_norm: bool,
    /// `gelu` or `relu`.
    pub activation_type: String,
    /// `identity` or `relu`.
    pub residual_activation_type: String,
    /// The fraction of activations that AbsTopK keeps; none by default.
    pub afrac: Option<f64>,
    /// Where AbsTopK acts.
    pub afrac_loctypes: String,
    /// Unembedding shared with the embedding.
    pub tied_unembed: bool,
    /// A learned table of logit biases, indexed by the current token.
    pub enable_bigram_table: bool,
    /// A learned logit a head in the softmax denominator.
    pub sink: bool,
}

impl Default for ModelTable {
    fn default() -> Self {
        ModelTable {
            block_size: 256,
            n_layer: 4,
            n_head: 8,
            d_head: 16,
            d_model: 128,
            d_mlp: None,
            bias: true,
            ln_bias: true,
            rms_norm: true,
            activation_type: "gelu".into(),
            residual_activation_type: "identity".into(),
            afrac: None,
            afrac_loctypes: "attn_in,attn_out,mlp_in,mlp_out,mlp_neuron,attn_v,attn_k,attn_q".into(),
            tied_unembed: false,
            enable_bigram_table: false,
            sink: false,
        }
    }
}

/// `[data]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataTable {
    /// As for `deltaloss score --corpus`.
    pub corpus: String,
    /// As for `deltaloss score --tokenizer`.
    pub tokenizer: String,
    /// The column with the text, in JSON Lines and Parquet.
    #[serde(default)]
    pub text_column: Option<String>,
    /// Only the first so many documents.
    #[serde(default)]
    pub max_documents: Option<u64>,
}

/// `[recipe]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RecipeTable {
    /// Sequences of a batch.
    pub batch_sequences: usize,
    /// Passes over the corpus; or give `steps`.
    pub passes: Option<f64>,
    /// Steps; or give `passes`. One pass by default.
    pub steps: Option<u64>,
    /// The learning rate at its highest.
    pub peak_learning_rate: f64,
    /// Share of the steps over which the rate rises.
    pub warmup_fraction: f64,
    /// The fraction of each matrix that stays at the end; 1 is dense.
    pub kept_fraction: f64,
    /// Share of the steps after which the fraction falls.
    pub anneal_start: f64,
    /// Share of the steps after which it has reached `kept_fraction`.
    pub anneal_stop: f64,
    /// Entries that every neuron of an attention or MLP matrix keeps.
    pub min_alive_per_neuron: usize,
    /// Adam's decay of the mean gradient.
    pub beta1: f64,
    /// Adam's decay of the mean squared gradient.
    pub beta2: f64,
    /// Adam's eps, beside a gradient of root mean square 1.
    pub eps: f64,
    /// Decoupled decay of matrices.
    pub weight_decay: f64,
    /// Whether position embeddings are trained; they are zero otherwise.
    pub train_positions: bool,
    /// Groups of sequences whose gradients are summed apart; more threads than groups find no work.
    pub gradient_groups: usize,
    /// Steps from one checkpoint to the next.
    pub checkpoint_every_steps: u64,
}

impl Default for RecipeTable {
    fn default() -> Self {
        RecipeTable {
            batch_sequences: 32,
            passes: None,
            steps: None,
            peak_learning_rate: 1.28e-2,
            warmup_fraction: 0.01,
            kept_fraction: 1.0,
            anneal_start: 0.01,
            anneal_stop: 0.5,
            min_alive_per_neuron: 4,
            beta1: 0.9,
            beta2: 0.95,
            eps: 0.1,
            weight_decay: 0.1,
            train_positions: false,
            gradient_groups: 8,
            checkpoint_every_steps: 200,
        }
    }
}

/// What the published recipe adds to the gradient's root mean square before dividing by it.
const GRADIENT_EPS: f64 = 1e-5;
/// Every key, by table; the empty table is the top.
const KEYS: [(&str, &[&str]); 4] = [
    ("", &["seed", "model", "data", "recipe"]),
    (
        "model",
        &[
            "block_size",
            "n_layer",
            "n_head",
            "d_head",
            "d_model",
            "d_mlp",
            "bias",
            "ln_bias",
            "rms_norm",
            "activation_type",
            "residual_activation_type",
            "afrac",
            "afrac_loctypes",
            "tied_unembed",
            "enable_bigram_table",
            "sink",
        ],
    ),
    ("data", &["corpus", "tokenizer", "text_column", "max_documents"]),
    (
        "recipe",
        &[
            "batch_sequences",
            "passes",
            "steps",
            "peak_learning_rate",
            "warmup_fraction",
            "kept_fraction",
            "anneal_start",
            "anneal_stop",
            "min_alive_per_neuron",
            "beta1",
            "beta2",
            "eps",
            "weight_decay",
            "train_positions",
            "gradient_groups",
            "checkpoint_every_steps",
        ],
    ),
];

impl TrainConfig {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// It cannot be read, or as [`TrainConfig::from_toml`].
    pub fn open(path: &Path) -> Result<Self, TrainError> {
        let text = std::fs::read_to_string(path).map_err(TrainError::io(path, "read it"))?;
        Self::from_toml(&text, &path.display().to_string())
    }

    /// Reads a configuration; `file` is named in errors.
    ///
    /// # Errors
    /// The text is no TOML, has an unknown key or a value that cannot be.
    pub fn from_toml(text: &str, file: &str) -> Result<Self, TrainError> {
        let bad = |problem: String| TrainError::Config { file: file.to_owned(), problem };
        refuse_unknown_keys(text, &KEYS).map_err(bad)?;
        let config: TrainConfig = toml::from_str(text).map_err(|error| bad(error.to_string()))?;
        config.recipe.check().map_err(bad)?;
        Ok(config)
    }

    /// The text of the model's `beeg_config.json`.
    pub fn model_json(&self, vocab_size: usize, tokenizer: &str) -> String {
        let model = &self.model;
        let mut fields = Map::new();
        for (name, value) in [
            ("block_size", json!(model.block_size)),
            ("vocab_size", json!(vocab_size)),
            ("n_layer", json!(model.n_layer)),
            ("n_head", json!(model.n_head)),
            ("d_head", json!(model.d_head)),
            ("d_model", json!(model.d_model)),
            ("dropout", json!(0.0)),
            ("bias", json!(model.bias)),
            ("ln_bias", json!(model.ln_bias)),
            ("rms_norm", json!(model.rms_norm)),
            ("residual_activation_type", json!(model.residual_activation_type)),
            ("activation_type", json!(model.activation_type)),
            ("afrac", json!(model.afrac)),
            ("afrac_loctypes", json!(model.afrac_loctypes)),
            ("debug_nans", json!(false)),
            ("tied_unembed", json!(model.tied_unembed)),
            ("tokenizer_name", json!(tokenizer)),
            ("grad_checkpointing", json!(false)),
            ("d_mlp", json!(model.d_mlp.unwrap_or_else(|| model.d_model.saturating_mul(4)))),
            ("enable_bigram_table", json!(model.enable_bigram_table)),
            ("learnable_bigram_table", json!(model.enable_bigram_table)),
            ("d_pos_emb", Value::Null),
            ("dropout_cat_pos_emb", json!(false)),
            ("sinusoidal_cat_pos_emb", json!(false)),
            ("enable_sparse_kernels", json!(false)),
            ("flash", json!(true)),
            ("sink", json!(model.sink)),
        ] {
            fields.insert(name.to_owned(), value);
        }
        let mut text = serde_json::to_string_pretty(&Value::Object(fields)).unwrap_or_default();
        text.push('\n');
        text
    }

    /// The model's configuration; `file` is named in errors.
    ///
    /// # Errors
    /// A value that no model can have.
    pub fn model_config(&self, vocab_size: usize, tokenizer: &str, file: &str) -> Result<Config, TrainError> {
        Ok(Config::from_json(&self.model_json(vocab_size, tokenizer), &format!("{file}: [model]"))?)
    }
}

impl RecipeTable {
    fn check(&self) -> Result<(), String> {
        let share = |name: &str, value: f64, least: f64, open: bool| {
            let fits = value.is_finite() && value <= 1.0 && if open { value > least } else { value >= least };
            if fits { Ok(()) } else { Err(format!("[recipe] {name} is {value}, not a share of 1")) }
        };
        share("warmup_fraction", self.warmup_fraction, 0.0, false)?;
        share("anneal_start", self.anneal_start, 0.0, false)?;
        share("anneal_stop", self.anneal_stop, 0.0, false)?;
        share("kept_fraction", self.kept_fraction, 0.0, true)?;
        let decay = |name: &str, value: f64| match value {
            0.0..1.0 => Ok(()),
            _ => Err(format!("[recipe] {name} is {value}, not at least 0 and below 1")),
        };
        decay("beta1", self.beta1)?;
        decay("beta2", self.beta2)?;
        for (name, value) in [
            ("peak_learning_rate", self.peak_learning_rate),
            ("eps", self.eps),
            ("passes", self.passes.unwrap_or(1.0)),
        ] {
            if !(value > 0.0 && value.is_finite()) {
                return Err(format!("[recipe] {name} is {value}, not a number above 0"));
            }
        }
        if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) {
            return Err(format!("[recipe] weight_decay is {}, not a number from 0", self.weight_decay));
        }
        if self.anneal_start > self.anneal_stop {
            return Err(format!(
                "[recipe] anneal_start {} is after anneal_stop {}",
                self.anneal_start, self.anneal_stop
            ));
        }
        if self.passes.is_some() && self.steps.is_some() {
            return Err("[recipe] gives both passes and steps; leave one out".into());
        }
        for (name, value) in [
            ("batch_sequences", self.batch_sequences as u64),
            ("gradient_groups", self.gradient_groups as u64),
            ("checkpoint_every_steps", self.checkpoint_every_steps),
            ("steps", self.steps.unwrap_or(1)),
        ] {
            if value == 0 {
                return Err(format!("[recipe] {name} is 0; give at least 1"));
            }
        }
        Ok(())
    }

    /// The recipe for a corpus of `sequences` whole sequences a pass.
    pub(crate) fn resolve(&self, sequences: u64) -> Recipe {
        let whole = (self.passes.unwrap_or(1.0) * sequences as f64 / self.batch_sequences as f64) as u64;
        let steps = self.steps.unwrap_or(whole).max(1);
        let share = |fraction: f64| (fraction * steps as f64).round() as u64;
        Recipe {
            schedule: Schedule {
                steps,
                warmup_steps: share(self.warmup_fraction),
                anneal_start_step: share(self.anneal_start),
                anneal_stop_step: share(self.anneal_stop),
                peak_learning_rate: self.peak_learning_rate,
                target_fraction: self.kept_fraction,
            },
            adam: AdamConstants {
                beta1: self.beta1,
                beta2: self.beta2,
                eps: self.eps,
                gradient_eps: GRADIENT_EPS,
                weight_decay: self.weight_decay,
            },
            min_alive_per_neuron: self.min_alive_per_neuron,
            gradient_groups: self.gradient_groups,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "seed = 7\n[model]\n[data]\ncorpus = \"c\"\ntokenizer = \"t\"\n[recipe]\n";

    fn read(more: &str) -> Result<TrainConfig, String> {
        TrainConfig::from_toml(&format!("{LEAST}{more}"), "c.toml").map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_left_out_is_the_published_recipe() {
        let config = read("").unwrap();
        assert_eq!(config.seed, 7);
        let recipe = config.recipe.resolve(3200);
        assert_eq!(recipe.schedule.steps, 100);
        assert_eq!((recipe.schedule.warmup_steps, recipe.schedule.anneal_start_step), (1, 1));
        assert_eq!(recipe.schedule.anneal_stop_step, 50);
        assert_eq!((recipe.adam.eps, recipe.adam.weight_decay), (0.1, 0.1));
        let model = config.model_config(96, "t", "c.toml").unwrap();
        assert_eq!((model.vocab_size, model.d_mlp, model.top_k), (96, 512, None));
    }

    #[test]
    fn unknown_keys_are_refused_with_the_nearest_known() {
        for (more, message) in [
            (
                "peak_learning_rat = 1\n",
                "c.toml: [recipe] unknown key `peak_learning_rat`; the nearest known is `peak_learning_rate`",
            ),
            ("kept = 1\n", "[recipe] unknown key `kept`"),
            ("[modle]\n", "unknown key `modle`; the nearest known is `model`"),
        ] {
            let error = read(more).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn values_that_cannot_be_are_refused_by_name() {
        for (more, message) in [
            ("kept_fraction = 0.0\n", "kept_fraction is 0"),
            ("kept_fraction = 1.5\n", "kept_fraction is 1.5"),
            ("beta1 = 1.0\n", "beta1 is 1"),
            ("peak_learning_rate = nan\n", "peak_learning_rate is NaN"),
            ("steps = 0\n", "steps is 0"),
            ("steps = 1\npasses = 1.0\n", "both passes and steps"),
            ("anneal_start = 0.6\n", "anneal_start 0.6 is after anneal_stop 0.5"),
            ("batch_sequences = -1\n", "batch_sequences"),
            ("eps = \"x\"\n", "eps"),
            ("=", "c.toml"),
        ] {
            let error = read(more).unwrap_err();
            assert!(error.contains(message), "{more}: {error}");
        }
        let config = TrainConfig::from_toml(&LEAST.replace("[model]\n", "[model]\nafrac = 2.0\n"), "c.toml");
        let error = config.unwrap().model_config(96, "t", "c.toml").unwrap_err().to_string();
        assert!(error.contains("[model]: afrac is 2"), "{error}");
    }
}
