//! The models, the tokenizer and the oracle's run that are part of the program (`assets/`).

use deltaloss_lm::{LmError, ModelFiles, Tokenizer};

struct BundledModel {
    name: &'static str,
    config: &'static str,
    weights: &'static [u8],
}

macro_rules! bundled_model {
    ($name:literal) => {
        BundledModel {
            name: $name,
            config: include_str!(concat!("../../../assets/models/", $name, "/beeg_config.json")),
            weights: include_bytes!(concat!("../../../assets/models/", $name, "/model.safetensors.zst")),
        }
    };
}

const MODELS: [BundledModel; 4] = [
    bundled_model!("sparse"),
    bundled_model!("dense"),
    bundled_model!("dense-twin"),
    bundled_model!("dense-small"),
];

/// Names of the bundled models, for `builtin:NAME`.
pub const BUNDLED_MODELS: [&str; 4] = [MODELS[0].name, MODELS[1].name, MODELS[2].name, MODELS[3].name];

/// Name of the bundled tokenizer, for `builtin:NAME` and for models whose configuration names it.
pub const BUNDLED_TOKENIZER: &str = "pycode_2k";

/// The files of a bundled model.
pub(crate) fn model(name: &str) -> Option<Result<ModelFiles, LmError>> {
    let model = MODELS.iter().find(|model| model.name == name)?;
    Some(ModelFiles::from_memory(model.name, &format!("builtin:{name}"), model.config, model.weights))
}

/// The bundled tokenizer's `vocab.bpe` and `encoder.json`.
pub(crate) const TOKENIZER_FILES: [(&str, &[u8]); 2] = [
    ("vocab.bpe", include_bytes!("../../../assets/tokenizer/pycode_2k/vocab.bpe")),
    ("encoder.json", include_bytes!("../../../assets/tokenizer/pycode_2k/encoder.json")),
];

/// The bundled tokenizer.
pub(crate) fn tokenizer() -> Result<Tokenizer, LmError> {
    let [(_, merges), (_, encoder)] = TOKENIZER_FILES;
    Tokenizer::from_pair(BUNDLED_TOKENIZER, merges, encoder, &format!("builtin:{BUNDLED_TOKENIZER}"))
}

/// The name of the folder of the bundled oracle's run, in `assets/oracle/` and in a demonstration's `runs/`.
pub(crate) const ORACLE: &str = "smollm2-135m-instruct";

/// `run.json` of a run of SmolLM2-135M-Instruct over the demonstration's corpus (`assets/README.md` says how it was made).
pub(crate) const ORACLE_RUN: &[u8] = include_bytes!("../../../assets/oracle/smollm2-135m-instruct/run.json");

/// Its token table.
pub(crate) const ORACLE_TOKENS: &[u8] =
    include_bytes!("../../../assets/oracle/smollm2-135m-instruct/tokens.parquet");

/// Its documents without their texts: SHA-256 of the text, tokens, scored tokens, whether truncated.
pub(crate) const ORACLE_DOCUMENTS: &str =
    include_str!("../../../assets/oracle/smollm2-135m-instruct/documents.tsv");
