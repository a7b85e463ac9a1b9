//! The whole network's gradient against finite differences, for every variant of the architecture that can be trained.
//!
//! Along the gradient of one parameter, of length |g|, the loss must rise by |g| a unit: a wrong or missing term in any
//! entry changes the one and not the other. AbsTopK, where differences jump, has the published fixtures (`parity.rs`).

#![allow(clippy::unwrap_used, reason = "a test")]

use deltaloss_kernels::Isa;
use deltaloss_lm::Config;
use deltaloss_train::{Batch, Layout, Trainer, initial_parameters};

const CONTEXT: usize = 12;
const VOCABULARY: usize = 40;
/// The rises that steps aim for, nats: the larger is farther above the rounding of an f32 loss, smaller ones cross fewer
/// kinks of a relu. One of them must fit.
const RISES: [f64; 3] = [1e-3, 4e-4, 1.5e-4];

fn config(more: &str) -> Config {
    let json = format!(
        r#"{{"block_size": {CONTEXT}, "vocab_size": {VOCABULARY}, "n_layer": 2, "n_head": 3, "d_head": 8, "d_model": 20,
            "d_mlp": 36 {more}}}"#
    );
    Config::from_json(&json, "test").unwrap()
}

fn batch() -> Vec<u32> {
    let mut state = 3u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32 % VOCABULARY as u32
    };
    (0..3 * (CONTEXT + 1)).map(|_| next()).collect()
}

fn check(more: &str, train_positions: bool) {
    let config = config(more);
    let layout = Layout::new(&config, train_positions);
    let tokens = batch();
    let batch = Batch { tokens: &tokens, sequence_tokens: CONTEXT + 1 };
    // Larger than at the start of a training, so that nothing is nearly linear.
    let mut parameters = initial_parameters(&config, &layout, 5);
    let noise = initial_parameters(&config, &layout, 6);
    for parameter in layout.parameters() {
        for (i, at) in parameter.range.clone().enumerate() {
            parameters[at] += 8.0 * noise[at]
                + if parameter.trained { 0.1 * ((i * 7 % 11) as f32 - 5.0) / 5.0 } else { 0.0 };
        }
    }
    let loss = |parameters: &[f32]| {
        let mut trainer = Trainer::new(config.clone(), train_positions, parameters.to_vec(), Isa::best());
        let loss = trainer.loss_and_gradient(batch, 2);
        (loss, trainer.gradient().to_vec())
    };
    let gradient = loss(&parameters).1;
    for parameter in layout.parameters() {
        let own = &gradient[parameter.range.clone()];
        let length = own.iter().map(|&g| f64::from(g) * f64::from(g)).sum::<f64>().sqrt();
        if !parameter.trained {
            assert_eq!(length, 0.0, "{more}: {} is not trained", parameter.name);
            continue;
        }
        assert!(length > 1e-5, "{more}: {} has no gradient", parameter.name);
        let moved = |by: f64| {
            let mut moved = parameters.clone();
            for (value, &g) in moved[parameter.range.clone()].iter_mut().zip(own) {
                *value += (by * f64::from(g) / length) as f32;
            }
            loss(&moved).0
        };
        let slopes = RISES.map(|rise| {
            let step = rise / length;
            (moved(step) - moved(-step)) / (2.0 * step)
        });
        assert!(
            slopes.iter().any(|slope| (slope / length - 1.0).abs() < 0.01),
            "{more}: along {} the loss rises by {slopes:?}, the gradient says {length}",
            parameter.name
        );
    }
}

#[test]
fn layer_norm_gelu() {
    check("", false);
}

#[test]
fn layer_norm_without_bias_relu_no_biases() {
    check(r#", "ln_bias": false, "bias": false, "activation_type": "relu""#, false);
}

#[test]
fn rms_norm_with_relu_in_the_residual_stream() {
    check(r#", "rms_norm": true, "residual_activation_type": "relu""#, false);
}

#[test]
fn attention_sink_and_trained_positions() {
    check(r#", "rms_norm": true, "sink": true"#, true);
}

#[test]
fn untied_unembedding_and_bigram_table() {
    check(
        r#", "rms_norm": true, "tied_unembed": false, "enable_bigram_table": true, "learnable_bigram_table": true"#,
        false,
    );
}
