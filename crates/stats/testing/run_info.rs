//! The provenance of a run that never was, for the tests and the simulation.

use deltaloss_records::{
    CorpusInfo, EngineInfo, ModelInfo, RUN_SCHEMA, RunInfo, TokenizerInfo, Totals, WindowInfo,
};

/// A run of a model of this name, over windows of `context` inputs, with `vocabulary` entries.
pub(crate) fn run_info(name: &str, vocabulary: u64, context: u32) -> RunInfo {
    let text = || name.to_owned();
    RunInfo {
        schema: RUN_SCHEMA.to_owned(),
        model: ModelInfo {
            name: text(),
            source: text(),
            sha256: text(),
            architecture: text(),
            parameters: 2,
            nonzero_parameters: 1,
        },
        tokenizer: TokenizerInfo { name: text(), sha256: text(), size: vocabulary },
        corpus: CorpusInfo { name: text(), sha256: text(), documents: 1, skipped: 0 },
        shard: None,
        failures: Vec::new(),
        window: WindowInfo { context, mode: "truncate".to_owned(), stride: None, beginning_of_text: None },
        temperature: None,
        calibration: None,
        engine: EngineInfo { version: text(), instruction_set: text(), threads: 1 },
        totals: Totals::default(),
        elapsed_seconds: 1.0,
        tokens_per_second: 1.0,
    }
}
