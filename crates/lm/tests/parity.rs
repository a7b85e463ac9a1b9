//! The native engine against what the published implementation computed.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps in vain")]

mod common;

use std::path::PathBuf;

use deltaloss_kernels::Isa;
use deltaloss_lm::{ModelFiles, NativeModel, check};

fn cases() -> Vec<PathBuf> {
    let folder = common::fixtures().join("circuit-sparsity");
    let mut cases: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|case| case.is_dir());
    cases.sort();
    assert!(!cases.is_empty(), "no case in {}", folder.display());
    cases
}

#[test]
fn every_fixture_is_reproduced_on_every_instruction_set() {
    for case in cases() {
        let files = ModelFiles::open(&case).unwrap();
        for isa in Isa::available() {
            let model = NativeModel::load(&files, isa).unwrap();
            let report = check(&model, &case.join("expected.safetensors")).unwrap();
            assert!(report.passed(), "{} on {isa}\n{report}", case.display());
            assert!(report.targets > 50, "{}: only {} targets", case.display(), report.targets);
        }
    }
}

#[test]
fn the_projects_fixtures_run_both_dense_and_sparse_storage() {
    let statistics = |name: &str| {
        let files = ModelFiles::open(&common::own_fixtures().join("circuit-sparsity").join(name)).unwrap();
        NativeModel::load(&files, Isa::best()).unwrap().statistics()
    };
    let (sparse, dense) = (statistics("sparse_sink"), statistics("dense_rms"));
    assert!(sparse.sparse_layers > 0, "{sparse:?}");
    assert_eq!(dense.sparse_layers, 0, "{dense:?}");
}

#[test]
fn a_wrong_model_fails_the_check() {
    let folder = common::own_fixtures().join("circuit-sparsity");
    let model =
        NativeModel::load(&ModelFiles::open(&folder.join("dense_rms")).unwrap(), Isa::best()).unwrap();
    let report = check(&model, &folder.join("dense_bf16/expected.safetensors")).unwrap();
    assert!(!report.passed());
    assert!(report.logits.beyond > 100 && report.loss.beyond > 10, "{report}");
}

#[test]
fn a_token_does_not_depend_on_what_follows_it() {
    for case in cases() {
        let model = NativeModel::load(&ModelFiles::open(&case).unwrap(), Isa::best()).unwrap();
        let tokens: Vec<u32> = (0..40).map(|i| (i * 37 + 11) % model.config().vocab_size as u32).collect();
        let whole = model.losses(&tokens[..39], &tokens[1..], 0).unwrap();
        for length in [1, 2, 17, 32] {
            let prefix = model.losses(&tokens[..length], &tokens[1..=length], 0).unwrap();
            for (t, (a, b)) in prefix.iter().zip(&whole).enumerate() {
                let difference = (a.loss_nats - b.loss_nats).abs();
                assert!(difference < 1e-5, "{}: {length} tokens, position {t}: {a:?} {b:?}", case.display());
            }
        }
    }
}

#[test]
fn skipping_and_repeating_change_no_bit() {
    for case in cases() {
        let model = NativeModel::load(&ModelFiles::open(&case).unwrap(), Isa::best()).unwrap();
        let tokens: Vec<u32> = (0..40).map(|i| (i * 37 + 11) % model.config().vocab_size as u32).collect();
        let long = model.losses(&tokens[..39], &tokens[1..], 0).unwrap();
        let later = model.losses(&tokens[..39], &tokens[1..], 20).unwrap();
        assert_eq!(long[20..], later, "{}: skipping changes nothing", case.display());
        let again = model.losses(&tokens[..39], &tokens[1..], 0).unwrap();
        assert_eq!(long, again, "{}: bit-identical", case.display());
    }
}

#[test]
fn windows_beyond_the_model_are_refused() {
    let case = &cases()[0];
    let model = NativeModel::load(&ModelFiles::open(case).unwrap(), Isa::best()).unwrap();
    let (context, vocabulary) = (model.config().block_size, model.config().vocab_size as u32);
    assert!(model.logits(&vec![0; context]).is_ok());
    let message = model.logits(&vec![0; context + 1]).unwrap_err().to_string();
    assert!(message.contains(&format!("context is {context}")), "{message}");
    let message = model.logits(&[vocabulary]).unwrap_err().to_string();
    assert!(message.contains(&format!("beyond the vocabulary of {vocabulary}")), "{message}");
}
