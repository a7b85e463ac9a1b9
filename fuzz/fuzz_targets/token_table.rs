//! The token table of an otherwise well-formed run of one document: what begins with `P` is `tokens.parquet`; anything else
//! changes rows of a table that is well-formed but for what they say.

#![no_main]

mod common;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use deltaloss::records::{
    CorpusInfo, DocumentRecord, EngineInfo, ModelInfo, RUN_SCHEMA, Run, RunInfo, RunWriter, Sink, Split,
    TokenForm, TokenRecord, TokenScore, TokenizerInfo, Totals, WindowInfo,
};
use libfuzzer_sys::fuzz_target;

const TEXT: &str = "x = [1, 2]";

/// The rows that such a run has.
fn honest_rows() -> Vec<TokenRecord> {
    let score = TokenScore { loss_nats: 1.0, entropy_nats: 1.0, ..TokenScore::default() };
    (1..10)
        .map(|at| TokenRecord {
            document: 0,
            position: at,
            token: at,
            byte_start: at,
            byte_end: at + 1,
            score,
        })
        .collect()
}

/// Rows that differ from the honest ones in what the bytes say: which row, which column, which value.
fn changed_rows(data: &[u8]) -> Vec<TokenRecord> {
    let mut rows = honest_rows();
    for change in data.chunks_exact(6) {
        let value = u32::from_le_bytes([change[2], change[3], change[4], change[5]]);
        let at = usize::from(change[0]) % rows.len();
        let (row, float) = (&mut rows[at], f32::from_bits(value));
        match change[1] % 12 {
            0 => row.document = value,
            1 => row.position = value,
            2 => row.token = value,
            3 => row.byte_start = value,
            4 => row.byte_end = value,
            5 => row.score.loss_nats = float,
            6 => row.score.entropy_nats = float,
            7 => row.score.rank = value,
            8 => row.score.top_token = value,
            9 => row.score.top_probability = float,
            10 => {
                let row = *row;
                rows.push(row);
            }
            _ if rows.len() > 1 => drop(rows.remove(at)),
            _ => {}
        }
    }
    rows
}

/// Writes a run of one document and these tokens.
fn write_run(path: &Path, tokens: &[TokenRecord], form: TokenForm) {
    let mut writer = RunWriter::create(path, true).unwrap().with_form(form);
    let text = || "fuzz".to_owned();
    let document = DocumentRecord {
        document: 0,
        name: text(),
        text: TEXT.to_owned(),
        tokens: 10,
        scored: 9,
        truncated: false,
        split: Split::Discovery,
    };
    writer.document(&document, tokens).unwrap();
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
}

/// An honest run, whose token table is then replaced.
fn run() -> &'static PathBuf {
    static RUN: OnceLock<PathBuf> = OnceLock::new();
    RUN.get_or_init(|| {
        let path = common::folder().join("run");
        // For whoever wants seeds: well-formed tables.
        if let Some(seeds) = std::env::var_os("DELTALOSS_FUZZ_SEEDS") {
            for (form, name) in [(TokenForm::Full, "full"), (TokenForm::Compact, "compact")] {
                write_run(&path, &honest_rows(), form);
                std::fs::copy(path.join("tokens.parquet"), Path::new(&seeds).join(name)).unwrap();
            }
        }
        write_run(&path, &honest_rows(), TokenForm::Full);
        path
    })
}

fuzz_target!(|data: &[u8]| {
    let folder = run();
    let folder = match data {
        [b'P', ..] => {
            std::fs::write(folder.join("tokens.parquet"), data).unwrap();
            folder.clone()
        }
        _ => {
            let changed = common::folder().join("changed");
            let form = if data.len() % 6 == 0 { TokenForm::Full } else { TokenForm::Compact };
            write_run(&changed, &changed_rows(data), form);
            changed
        }
    };
    if let Ok(run) = Run::open(&folder)
        && let Ok(tokens) = run.tokens()
    {
        assert_eq!(tokens.len(), 9);
        assert!(tokens.byte_end.iter().all(|&end| end as usize <= TEXT.len()));
        assert!(tokens.scores.loss.iter().all(|loss| loss.is_finite()));
    }
});
