//! The sample's provenance: its runs, and how reliable each is.

use deltaloss_records::{
    Basis, CorpusInfo, EngineInfo, ModelInfo, RUN_SCHEMA, Role, RunInfo, TokenizerInfo, Totals, WindowInfo,
};
use deltaloss_stats::{Estimate, Reliability, ReliabilityDiagram, Setup, SetupModel};

use super::{MODELS, Model, bits_per_byte};

pub(super) fn setup() -> Setup {
    let models = MODELS.iter().map(|model| SetupModel {
        role: model.0,
        label: model.1.into(),
        run: run(model),
        carried: false,
    });
    Setup {
        models: models.collect(),
        oracle: None,
        documents: 4_982,
        tokens: 870_144,
        bytes: 2_714_849,
        left_out: 0,
        rules: "python-19".into(),
        basis: Basis::AsScored,
    }
}

/// A stronger model with other tokens.
pub(super) fn oracle() -> SetupModel {
    let label = "gpt-oss-20b";
    let mut run = run(&(Role::Oracle, label, 1.12, 1.05, 0.61, 20_914_757_184, 20_914_757_184));
    run.tokenizer = TokenizerInfo { name: "o200k_harmony".into(), sha256: "77".repeat(32), size: 201_088 };
    SetupModel { role: Role::Oracle, label: label.into(), run, carried: true }
}

fn run(&(role, label, loss, entropy, _, parameters, nonzero): &Model) -> RunInfo {
    let hash = |seed: u8| {
        (0..32u8).map(|i| format!("{:02x}", i.wrapping_mul(37).wrapping_add(seed))).collect::<String>()
    };
    RunInfo {
        schema: RUN_SCHEMA.to_owned(),
        model: ModelInfo {
            name: label.into(),
            source: format!("csp:{}", role.name()),
            sha256: hash(role.name().len() as u8),
            architecture: if role == Role::A {
                "sparse transformer, 8 layers, d_model 2048, AbsTopK 256".into()
            } else {
                "dense transformer, 8 layers, d_model 512".into()
            },
            parameters,
            nonzero_parameters: nonzero,
        },
        tokenizer: TokenizerInfo { name: "tinypython_2k".into(), sha256: hash(200), size: 2048 },
        corpus: CorpusInfo {
            name: "apps: solutions, first of each problem".into(),
            sha256: hash(77),
            documents: 4_982,
            skipped: 0,
        },
        shard: None,
        failures: Vec::new(),
        window: WindowInfo { context: 256, mode: "truncate".into(), stride: None, beginning_of_text: None },
        temperature: (role != Role::Placebo).then_some(0.5 + loss / 5.0),
        calibration: None,
        engine: EngineInfo {
            version: "deltaloss-native 0.1.0".into(),
            instruction_set: "x86-64 AVX-512".into(),
            threads: 8,
        },
        totals: Totals {
            tokens: 870_144,
            bytes: 2_714_849,
            mean_loss_nats: loss,
            mean_entropy_nats: entropy,
            bits_per_byte: bits_per_byte(loss),
        },
        elapsed_seconds: 412.7,
        tokens_per_second: 2_108.4,
    }
}

pub(super) fn reliability(&(role, label, loss, ..): &Model) -> Reliability {
    let diagram = |error: f64| ReliabilityDiagram {
        expected_calibration_error: Estimate::point(error),
        overconfidence: Estimate::point(error / 2.0),
        bins: Vec::new(),
    };
    Reliability {
        role,
        label: label.into(),
        as_scored: diagram(loss / 50.0),
        calibrated: (role != Role::Placebo).then(|| diagram(loss / 200.0)),
    }
}
