//! `beeg_config.json`: the configuration of a circuit-sparsity model (Gao et al. 2025, arXiv 2511.13653).

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::error::LmError;

/// What the published configuration says, checked and with its defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Longest context, tokens.
    pub block_size: usize,
    /// Vocabulary entries.
    pub vocab_size: usize,
    /// Layers.
    pub n_layer: usize,
    /// Attention heads.
    pub n_head: usize,
    /// Width of a head; heads need not tile the model.
    pub d_head: usize,
    /// Width of the residual stream.
    pub d_model: usize,
    /// Neurons of an MLP.
    pub d_mlp: usize,
    /// Whether linear layers have biases.
    pub bias: bool,
    /// Whether LayerNorm has biases.
    pub ln_bias: bool,
    /// RMSNorm in place of LayerNorm.
    pub rms_norm: bool,
    /// The MLP's activation.
    pub activation: Activation,
    /// Whether the residual stream passes through relu after each block half.
    pub residual_relu: bool,
    /// Where AbsTopK acts and what fraction it keeps.
    pub top_k: Option<ActivationSparsity>,
    /// Whether the unembedding is the embedding.
    pub tied_unembed: bool,
    /// Whether a `vocab x vocab` table of logit biases is indexed by the current token.
    pub bigram_table: bool,
    /// Width of position embeddings that are concatenated instead of added.
    pub d_pos_emb: Option<usize>,
    /// Whether each head has a learned logit in its softmax denominator.
    pub sink: bool,
    /// The tokenizer's name.
    pub tokenizer_name: String,
}

/// The MLP's activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x·Φ(x), exact.
    Gelu,
    /// max(x, 0).
    Relu,
}

/// AbsTopK: which places keep only a fraction of their entries.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivationSparsity {
    /// The fraction kept.
    pub fraction: f64,
    /// The places.
    pub places: BTreeSet<Place>,
}

/// A place where AbsTopK can act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// What attention reads.
    AttentionIn,
    /// What attention writes.
    AttentionOut,
    /// What the MLP reads.
    MlpIn,
    /// What the MLP writes.
    MlpOut,
    /// The MLP's neurons after their activation.
    MlpNeuron,
    /// Queries of all heads together.
    AttentionQuery,
    /// Keys of all heads together.
    AttentionKey,
    /// Values of all heads together.
    AttentionValue,
    /// The residual stream after attention.
    ResidualAfterAttention,
    /// The residual stream after the MLP.
    ResidualAfterMlp,
}

/// Names of places in `afrac_loctypes`.
const PLACES: [(&str, Place); 10] = [
    ("attn_in", Place::AttentionIn),
    ("attn_out", Place::AttentionOut),
    ("mlp_in", Place::MlpIn),
    ("mlp_out", Place::MlpOut),
    ("mlp_neuron", Place::MlpNeuron),
    ("attn_q", Place::AttentionQuery),
    ("attn_k", Place::AttentionKey),
    ("attn_v", Place::AttentionValue),
    ("resid_post_attn", Place::ResidualAfterAttention),
    ("resid_post_mlp", Place::ResidualAfterMlp),
];

/// Fields that never change what inference computes, whatever their value.
const HARMLESS: [&str; 24] = [
    "dropout",
    "flash",
    "grad_checkpointing",
    "debug_nans",
    "enable_sparse_kernels",
    "learnable_bigram_table",
    "dropout_cat_pos_emb",
    "sinusoidal_cat_pos_emb",
    "model_type",
    "architectures",
    "auto_map",
    "transformers_version",
    "torch_dtype",
    "dtype",
    "use_cache",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "is_decoder",
    "return_dict",
    "max_position_embeddings",
    "vocab_file",
    "merges_file",
    "_name_or_path",
];

/// No configuration of a published model comes near these; beyond them a file is damaged or hostile.
const MOST_LAYERS: usize = 4096;
const LARGEST_DIMENSION: u64 = 1 << 24;

impl Place {
    /// How many places there are.
    pub const COUNT: usize = PLACES.len();
}

impl ActivationSparsity {
    /// How many of `width` entries stay at `place`; `None` where all do.
    pub fn kept(&self, place: Place, width: usize) -> Option<usize> {
        self.places.contains(&place).then(|| (self.fraction * width as f64).floor() as usize)
    }
}

impl Config {
    /// Reads a configuration; `file` is named in errors.
    ///
    /// # Errors
    /// The text is no JSON object, lacks a field, holds a value of the wrong kind, contradicts itself, or switches
    /// on arithmetic that this engine does not have.
    pub fn from_json(text: &str, file: &str) -> Result<Self, LmError> {
        let bad = |problem: String| LmError::Config { file: file.to_owned(), problem };
        let value: Value = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
        let Value::Object(map) = value else {
            return Err(bad("not a JSON object".into()));
        };
        let mut fields = Fields { map, known: BTreeSet::new() };
        let config = Self::from_fields(&mut fields).map_err(bad)?;
        fields.refuse_unknown().map_err(bad)?;
        config.check().map_err(bad)?;
        Ok(config)
    }

    fn from_fields(fields: &mut Fields) -> Result<Self, String> {
        let d_model = fields.dimension("d_model")?.unwrap_or(768);
        let n_head = fields.dimension("n_head")?.unwrap_or(12);
        let d_mlp = match (fields.dimension("d_mlp")?, fields.dimension("n_mlp")?) {
            (Some(new), Some(old)) if new != old => return Err(format!("d_mlp is {new} but n_mlp is {old}")),
            (new, old) => new.or(old).unwrap_or(4 * d_model),
        };
        let d_head = match fields.dimension("d_head")? {
            Some(d_head) => d_head,
            None if d_model.is_multiple_of(n_head) => d_model / n_head,
            None => {
                return Err(format!(
                    "d_head is not given and d_model {d_model} is no multiple of n_head {n_head}"
                ));
            }
        };
        Ok(Config {
            block_size: fields.dimension("block_size")?.unwrap_or(1024),
            vocab_size: fields.dimension("vocab_size")?.unwrap_or(50304),
            n_layer: fields.dimension("n_layer")?.unwrap_or(12),
            n_head,
            d_head,
            d_model,
            d_mlp,
            bias: fields.flag("bias", true)?,
            ln_bias: fields.flag("ln_bias", true)?,
            rms_norm: fields.flag("rms_norm", false)?,
            activation: fields
                .choice("activation_type", &[("gelu", Activation::Gelu), ("relu", Activation::Relu)])?,
            residual_relu: fields
                .choice("residual_activation_type", &[("identity", false), ("relu", true)])?,
            top_k: fields.top_k()?,
            tied_unembed: fields.flag("tied_unembed", true)?,
            bigram_table: fields.flag("enable_bigram_table", false)?,
            d_pos_emb: fields.dimension("d_pos_emb")?,
            sink: fields.flag("sink", false)?,
            tokenizer_name: fields.text("tokenizer_name")?.unwrap_or_else(|| "tinypython_2k".into()),
        })
    }

    fn check(&self) -> Result<(), String> {
        if self.n_layer > MOST_LAYERS {
            return Err(format!("n_layer is {}; this engine takes up to {MOST_LAYERS}", self.n_layer));
        }
        let product = |a: usize, b: usize| a.checked_mul(b).filter(|&n| n <= (1 << 33));
        let widest = [self.d_mlp, 3 * self.heads_width(), self.vocab_size, self.block_size].into_iter().max();
        let largest = widest.and_then(|width| product(width, self.d_model + self.d_pos_emb.unwrap_or(0)));
        if largest.is_none() {
            return Err("a matrix of these dimensions would have more than 2³³ entries".into());
        }
        if self.bigram_table && product(self.vocab_size, self.vocab_size).is_none() {
            return Err(format!("a bigram table of {0} x {0} entries", self.vocab_size));
        }
        Ok(())
    }

    /// Width of all heads side by side.
    pub fn heads_width(&self) -> usize {
        self.n_head * self.d_head
    }

    /// Width of what each block half reads.
    pub fn d_in(&self) -> usize {
        self.d_model + self.d_pos_emb.unwrap_or(0)
    }

    /// The shape in words, for reports.
    pub fn describe(&self) -> String {
        let Config { n_layer, d_model, n_head, d_head, d_mlp, vocab_size, .. } = self;
        let mut text = format!(
            "circuit-sparsity transformer: {n_layer} layers x {d_model}, {n_head} heads of {d_head}, {d_mlp} neurons, vocabulary {vocab_size}"
        );
        if let Some(top_k) = &self.top_k {
            text += &format!(", AbsTopK {} at {} places", top_k.fraction, top_k.places.len());
        }
        for (on, what) in [(self.bigram_table, "bigram table"), (self.sink, "attention sink")] {
            if on {
                text += &format!(", {what}");
            }
        }
        text
    }
}

/// The object's fields, and which of them were asked for.
struct Fields {
    map: Map<String, Value>,
    known: BTreeSet<&'static str>,
}

impl Fields {
    /// A field's value; null counts as absent.
    fn get(&mut self, name: &'static str) -> Option<&Value> {
        self.known.insert(name);
        self.map.get(name).filter(|value| !value.is_null())
    }

    fn dimension(&mut self, name: &'static str) -> Result<Option<usize>, String> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_u64() {
            Some(n) if (1..=LARGEST_DIMENSION).contains(&n) => Ok(Some(n as usize)),
            _ => Err(format!("{name} is {value}, not a whole number from 1 to {LARGEST_DIMENSION}")),
        }
    }

    fn flag(&mut self, name: &'static str, default: bool) -> Result<bool, String> {
        match self.get(name) {
            None => Ok(default),
            Some(value) => value.as_bool().ok_or_else(|| format!("{name} is {value}, not true or false")),
        }
    }

    fn text(&mut self, name: &'static str) -> Result<Option<String>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(value) => Err(format!("{name} is {value}, not a string")),
        }
    }

    /// One of `options`, the first by default.
    fn choice<T: Copy>(&mut self, name: &'static str, options: &[(&str, T)]) -> Result<T, String> {
        let Some(text) = self.text(name)? else { return Ok(options[0].1) };
        let found = options.iter().find(|(option, _)| *option == text);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let names: Vec<_> = options.iter().map(|(option, _)| *option).collect();
            format!("{name} is `{text}`; this engine has {}", names.join(" and "))
        })
    }

    fn top_k(&mut self) -> Result<Option<ActivationSparsity>, String> {
        let fraction = match self.get("afrac") {
            None => None,
            Some(value) => match value.as_f64() {
                Some(fraction) if fraction > 0.0 && fraction <= 1.0 => Some(fraction),
                _ => return Err(format!("afrac is {value}, not a number above 0 and up to 1")),
            },
        };
        let text = self.text("afrac_loctypes")?.unwrap_or_else(|| "attn_in,attn_out,mlp_in,mlp_out".into());
        let Some(fraction) = fraction else { return Ok(None) };
        let mut places = BTreeSet::new();
        // Not trimmed: the published code does not either, so that a blank there switches a place off.
        for name in text.split(',').filter(|name| !name.is_empty()) {
            let place = PLACES.iter().find(|(known, _)| *known == name).ok_or_else(|| {
                let known: Vec<_> = PLACES.iter().map(|(known, _)| *known).collect();
                format!("afrac_loctypes names `{name}`; this engine has {}", known.join(", "))
            })?;
            places.insert(place.1);
        }
        Ok(Some(ActivationSparsity { fraction, places }))
    }

    /// A field that nobody asked for may only be harmless or off.
    fn refuse_unknown(&self) -> Result<(), String> {
        for (name, value) in &self.map {
            let off = match value {
                Value::Null | Value::Bool(false) => true,
                Value::Number(number) => number.as_f64() == Some(0.0),
                Value::String(text) => text.is_empty(),
                Value::Array(list) => list.is_empty(),
                Value::Bool(true) | Value::Object(_) => false,
            };
            if !off && !self.known.contains(name.as_str()) && !HARMLESS.contains(&name.as_str()) {
                return Err(format!(
                    "`{name}` is {value}: this engine does not know what that changes in the arithmetic and refuses \
                     to guess. If it has no effect on inference, remove it from the file"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        Config::from_json(text, "c.json").map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_are_the_published_ones() {
        let config = read("{}").unwrap();
        assert_eq!((config.block_size, config.vocab_size, config.n_layer), (1024, 50304, 12));
        assert_eq!((config.n_head, config.d_model, config.d_head, config.d_mlp), (12, 768, 64, 3072));
        assert!(config.bias && config.ln_bias && config.tied_unembed);
        assert!(!config.rms_norm && !config.bigram_table && !config.sink && !config.residual_relu);
        assert_eq!((config.top_k, config.d_pos_emb), (None, None));
        assert_eq!(config.tokenizer_name, "tinypython_2k");
    }

    #[test]
    fn older_names_and_off_switches_are_understood() {
        let config = read(
            r#"{"d_model": 48, "n_head": 6, "n_mlp": 192, "use_tied_aux_matrix": false, "bigram_table_rank": null,
                "unembed_rank": null, "afrac_ste": false, "mup": false, "pfrac": 0, "dropout": 0.1, "flash": true}"#,
        )
        .unwrap();
        assert_eq!((config.d_mlp, config.d_head), (192, 8));
    }

    #[test]
    fn sparsity_is_a_fraction_of_each_width_rounded_down() {
        let config = read(r#"{"afrac": 0.25, "afrac_loctypes": "attn_in,mlp_neuron"}"#).unwrap();
        let top_k = config.top_k.unwrap();
        assert_eq!(top_k.kept(Place::AttentionIn, 1023), Some(255));
        assert_eq!(top_k.kept(Place::MlpNeuron, 3), Some(0));
        assert_eq!(top_k.kept(Place::MlpOut, 1023), None);
    }

    #[test]
    fn what_the_engine_lacks_is_refused_by_name() {
        for (text, expected) in [
            (r#"{"mup": true}"#, "`mup` is true"),
            (r#"{"unembed_rank": 16}"#, "`unembed_rank` is 16"),
            (
                r#"{"activation_type": "swiglu"}"#,
                "activation_type is `swiglu`; this engine has gelu and relu",
            ),
            (r#"{"residual_activation_type": "gelu"}"#, "this engine has identity and relu"),
            (r#"{"afrac": 0.5, "afrac_loctypes": "attn_in,moe"}"#, "names `moe`"),
            (r#"{"afrac": 0.5, "afrac_loctypes": "attn_in, mlp_in"}"#, "names ` mlp_in`"),
            (r#"{"n_layer": 5000}"#, "n_layer is 5000"),
            (r#"{"afrac": 0}"#, "afrac is 0"),
            (r#"{"afrac": 1.5}"#, "afrac is 1.5"),
            (r#"{"d_model": 0}"#, "d_model is 0"),
            (r#"{"d_model": -4}"#, "d_model is -4"),
            (r#"{"n_layer": 1e30}"#, "n_layer is 1e+30"),
            (r#"{"d_model": 100, "n_head": 3}"#, "no multiple of n_head 3"),
            (r#"{"d_mlp": 8, "n_mlp": 9}"#, "d_mlp is 8 but n_mlp is 9"),
            (r#"{"vocab_size": 16000000, "d_model": 1000000, "n_head": 1}"#, "more than 2³³ entries"),
            (r#"{"bias": 1}"#, "bias is 1, not true or false"),
            ("[]", "not a JSON object"),
            ("{", "line 1"),
        ] {
            let message = read(text).unwrap_err();
            assert!(message.starts_with("c.json: ") && message.contains(expected), "{text}: {message}");
        }
    }
}
