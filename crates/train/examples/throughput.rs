//! Tokens a second of training, by shape, threads and kept fraction: `bench/train/README.md` says how to read it.
//!
//! `cargo run --release -p deltaloss-train --example throughput -- SHAPE KEPT STEPS` with SHAPE `dense-4x128` or
//! `sparse-4x192`; prints one line of JSON.

#![allow(clippy::print_stdout, reason = "a measurement prints")]

use std::time::Instant;

use deltaloss_kernels::Isa;
use deltaloss_lm::Config;
use deltaloss_train::{AdamConstants, Batch, Layout, Recipe, Schedule, Trainer, initial_parameters};

const BATCH: usize = 32;
const CONTEXT: usize = 256;
const VOCABULARY: u32 = 2048;
/// Steps before the clock counts.
const WARM_UP: usize = 2;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [shape, kept, steps] = arguments.as_slice() else {
        return Err("give SHAPE KEPT STEPS".into());
    };
    let (kept, steps): (f64, usize) = (kept.parse()?, steps.parse()?);
    let json = match shape.as_str() {
        "dense-4x128" => config(128, 8, ""),
        "sparse-4x192" => config(
            192,
            12,
            r#""afrac": 0.25, "afrac_loctypes": "attn_in,attn_out,mlp_in,mlp_out,mlp_neuron,attn_v,attn_k,attn_q","#,
        ),
        other => return Err(format!("no shape {other}").into()),
    };
    let config = Config::from_json(&json, shape)?;
    let layout = Layout::new(&config, false);
    let parameters = initial_parameters(&config, &layout, 1);
    let mut trainer = Trainer::new(config, false, parameters, Isa::best());
    let recipe = recipe(kept);
    let (mut seconds, mut processor) = (Vec::new(), Vec::new());
    let mut loss = 0.0;
    for step in 0..WARM_UP + steps {
        let tokens = batch(step as u64);
        let (start, used) = (Instant::now(), processor_seconds());
        loss = trainer.take_step(&recipe, Batch { tokens: &tokens, sequence_tokens: CONTEXT + 1 }).loss_nats;
        if step >= WARM_UP {
            seconds.push(start.elapsed().as_secs_f64());
            processor.push(processor_seconds() - used);
        }
    }
    seconds.sort_by(f64::total_cmp);
    processor.sort_by(f64::total_cmp);
    let median = seconds.get(seconds.len() / 2).copied().unwrap_or(f64::NAN);
    let per_step = (BATCH * CONTEXT) as f64;
    println!(
        "{{\"engine\": \"deltaloss\", \"shape\": \"{shape}\", \"kept\": {kept}, \"threads\": {}, \"steps\": {steps}, \
         \"tokens_per_second_median\": {:.0}, \"tokens_per_second_best\": {:.0}, \"processor_seconds_least\": {:.2}, \"loss_nats\": {loss:.4}}}",
        rayon::current_num_threads(),
        per_step / median,
        per_step / seconds.first().copied().unwrap_or(f64::NAN),
        processor.first().copied().unwrap_or(f64::NAN),
    );
    Ok(())
}

/// What this process has used of all processors so far, to a hundredth of a second; zero where Linux does not say.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let behind_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = behind_name.split_whitespace().skip(11).take(2);
    ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn config(width: usize, heads: usize, more: &str) -> String {
    format!(
        r#"{{"block_size": {CONTEXT}, "vocab_size": {VOCABULARY}, "n_layer": 4, "n_head": {heads}, "d_head": 16,
            "d_model": {width}, "d_mlp": {}, {more} "rms_norm": true, "tied_unembed": false}}"#,
        4 * width
    )
}

/// As far as the fraction goes: a model whose annealing is over.
fn recipe(kept: f64) -> Recipe {
    Recipe {
        schedule: Schedule {
            steps: 1000,
            warmup_steps: 1,
            anneal_start_step: 0,
            anneal_stop_step: 1,
            peak_learning_rate: 0.0128,
            target_fraction: kept,
        },
        adam: AdamConstants { beta1: 0.9, beta2: 0.95, eps: 0.1, gradient_eps: 1e-5, weight_decay: 0.1 },
        min_alive_per_neuron: 4,
        gradient_groups: 8,
    }
}

/// Tokens with a Zipf-like distribution, the same in every engine: x ← 6364136223846793005·x + 1442695040888963407.
fn batch(seed: u64) -> Vec<u32> {
    let mut state = seed;
    let mut token = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let uniform = (state >> 40) as f64 / (1u64 << 24) as f64;
        ((f64::from(VOCABULARY)).powf(uniform) as u32).min(VOCABULARY - 1)
    };
    (0..BATCH * (CONTEXT + 1)).map(|_| token()).collect()
}
