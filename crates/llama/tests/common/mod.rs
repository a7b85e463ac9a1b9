//! Where the fixtures and the downloaded model lie, and how scores compare with them.

#![allow(dead_code, reason = "each test file uses what it needs")]

use std::path::{Path, PathBuf};

use deltaloss_llama::{LlamaOptions, LlamaScorer};
use deltaloss_lm::{Scorer, Token, Window};
use deltaloss_records::TokenScore;
use serde_json::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The folder named by `DELTALOSS_FIXTURES`, or the project's own.
pub(crate) fn fixtures() -> PathBuf {
    std::env::var_os("DELTALOSS_FIXTURES").map_or_else(|| root().join("fixtures"), PathBuf::from)
}

/// The real model: in the folder named by `DELTALOSS_SMOLLM2`, or in `target/smollm2`.
pub(crate) fn smollm2() -> PathBuf {
    let folder =
        std::env::var_os("DELTALOSS_SMOLLM2").map_or_else(|| root().join("target/smollm2"), PathBuf::from);
    let file = folder.join("SmolLM2-135M-Instruct.Q4_1.gguf");
    assert!(
        file.is_file(),
        "{} is not there. Get it (93 MB) in the repository's root with\n  python3 fixtures/smollm2/download.py\nor name \
         the folder that holds it in DELTALOSS_SMOLLM2",
        file.display()
    );
    file
}

pub(crate) fn open(file: &Path) -> LlamaScorer {
    LlamaScorer::open(file, LlamaOptions::default()).unwrap()
}

pub(crate) fn read_json(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

pub(crate) fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

pub(crate) fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

/// The window that predicts every token of `tokens` but the first.
pub(crate) fn whole(tokens: &[u32]) -> Window<'_> {
    Window { inputs: &tokens[..tokens.len() - 1], targets: &tokens[1..], skip: 0 }
}

pub(crate) fn score_whole(scorer: &mut LlamaScorer, tokens: &[u32]) -> Vec<TokenScore> {
    scorer.score(&[whole(tokens)], None).unwrap().remove(0)
}

pub(crate) fn id_list(tokens: &[Token]) -> Vec<u32> {
    tokens.iter().map(|token| token.id).collect()
}

pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Pearson's.
pub(crate) fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let (mean_a, mean_b) = (mean(a), mean(b));
    let moment = |x: &[f64], mx: f64, y: &[f64], my: f64| -> f64 {
        x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum()
    };
    moment(a, mean_a, b, mean_b) / (moment(a, mean_a, a, mean_a) * moment(b, mean_b, b, mean_b)).sqrt()
}

/// How far scores are from what was expected.
#[derive(Debug)]
pub(crate) struct Distance {
    pub(crate) mean_loss: f64,
    pub(crate) mean_entropy: f64,
    pub(crate) worst_loss: f64,
    pub(crate) worst_entropy: f64,
    pub(crate) correlation: f64,
    pub(crate) ranks_that_differ: usize,
}

pub(crate) fn distance(scores: &[TokenScore], expected: &Value) -> Distance {
    let (loss, entropy) = (floats(&expected["loss"]), floats(&expected["entropy"]));
    let rank = ids(&expected["rank"]);
    assert_eq!((scores.len(), entropy.len(), rank.len()), (loss.len(), loss.len(), loss.len()));
    let losses: Vec<f64> = scores.iter().map(|score| f64::from(score.loss_nats)).collect();
    let entropies: Vec<f64> = scores.iter().map(|score| f64::from(score.entropy_nats)).collect();
    let worst = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    Distance {
        mean_loss: (mean(&losses) - mean(&loss)).abs(),
        mean_entropy: (mean(&entropies) - mean(&entropy)).abs(),
        worst_loss: worst(&losses, &loss),
        worst_entropy: worst(&entropies, &entropy),
        correlation: correlation(&losses, &loss),
        ranks_that_differ: scores.iter().zip(&rank).filter(|(score, rank)| score.rank != **rank).count(),
    }
}
