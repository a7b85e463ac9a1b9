//! The token table: the input is `tokens.parquet` of an otherwise well-formed run of one document.

#![no_main]

mod common;

use std::path::PathBuf;
use std::sync::OnceLock;

use deltaloss::records::{
    CorpusInfo, DocumentRecord, EngineInfo, ModelInfo, RUN_SCHEMA, Run, RunInfo, RunWriter, Sink, Split,
    TokenRecord, TokenScore, TokenizerInfo, Totals, WindowInfo,
};
use libfuzzer_sys::fuzz_target;

const TEXT: &str = "x = [1, 2]";

/// A run of a document of ten tokens, a byte each.
fn run() -> &'static PathBuf {
    static RUN: OnceLock<PathBuf> = OnceLock::new();
    RUN.get_or_init(|| {
        let path = common::folder().join("run");
        let mut writer = RunWriter::create(&path, true).unwrap();
        let text = || "fuzz".to_owned();
        let tokens: Vec<TokenRecord> = (1..10)
            .map(|at| TokenRecord {
                document: 0,
                position: at,
                token: at,
                byte_start: at,
                byte_end: at + 1,
                score: TokenScore { loss_nats: 1.0, entropy_nats: 1.0, ..TokenScore::default() },
            })
            .collect();
        let document = DocumentRecord {
            document: 0,
            name: text(),
            text: TEXT.to_owned(),
            tokens: 10,
            scored: 9,
            truncated: false,
            split: Split::Discovery,
        };
        writer.document(&document, &tokens).unwrap();
        let model = ModelInfo {
            name: text(),
            source: text(),
            sha256: text(),
            architecture: text(),
            parameters: 1,
            nonzero_parameters: 1,
        };
        let info = RunInfo {
            schema: RUN_SCHEMA.to_owned(),
            model,
            tokenizer: TokenizerInfo { name: text(), sha256: text(), size: 100 },
            corpus: CorpusInfo { name: text(), sha256: text(), documents: 1, skipped: 0 },
            shard: None,
            failures: Vec::new(),
            window: WindowInfo { context: 16, mode: "chunk".into(), stride: None, beginning_of_text: None },
            temperature: None,
            calibration: None,
            engine: EngineInfo { version: text(), instruction_set: text(), threads: 1 },
            totals: Totals { tokens: 9, ..Totals::default() },
            elapsed_seconds: 1.0,
            tokens_per_second: 9.0,
        };
        writer.finish(&info).unwrap();
        // For whoever wants a seed: a well-formed table.
        if let Some(seed) = std::env::var_os("DELTALOSS_FUZZ_SEED") {
            std::fs::copy(path.join("tokens.parquet"), seed).unwrap();
        }
        path
    })
}

fuzz_target!(|data: &[u8]| {
    let folder = run();
    std::fs::write(folder.join("tokens.parquet"), data).unwrap();
    if let Ok(run) = Run::open(folder)
        && let Ok(tokens) = run.tokens()
    {
        assert_eq!(tokens.len(), 9);
        assert!(tokens.byte_end.iter().all(|&end| end as usize <= TEXT.len()));
        assert!(tokens.scores.loss.iter().all(|loss| loss.is_finite()));
    }
});
