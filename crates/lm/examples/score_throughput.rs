//! How many tokens a second a model in the circuit-sparsity layout scores, on windows of pseudo-random tokens: for `bench/score/`.
//!
//! `score_throughput MODEL [WINDOWS [CONTEXT [ROUNDS [ISA]]]]` prints a line of JSON a round, with the mean loss and entropy, by which
//! engines are seen to compute the same. `RAYON_NUM_THREADS` sets the threads.

#![allow(clippy::print_stdout, reason = "it is a program")]

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use deltaloss_kernels::Isa;
use deltaloss_lm::{ModelFiles, NativeModel};
use rayon::prelude::*;

/// SplitMix64 of the index, so that `bench/score/pytorch.py` scores the same tokens.
fn tokens(count: usize, vocabulary: usize) -> Vec<u32> {
    let token = |i: usize| {
        let mut z = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % vocabulary as u64) as u32
    };
    (0..count).map(token).collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, numbers @ ..] = arguments.as_slice() else {
        return Err("score_throughput MODEL [WINDOWS [CONTEXT [ROUNDS [ISA]]]]".into());
    };
    let number = |at: usize, default: usize| numbers.get(at).map_or(Ok(default), |n| n.parse());
    let (windows, context, rounds) = (number(0, 64)?, number(1, 256)?, number(2, 3)?);
    let isa = match numbers.get(3) {
        None => Isa::best(),
        Some(name) => Isa::available()
            .into_iter()
            .find(|isa| isa.to_string() == *name)
            .ok_or_else(|| format!("this processor has no {name}"))?,
    };
    let started = Instant::now();
    let model = NativeModel::load(&ModelFiles::open(Path::new(model))?, isa)?;
    let load_seconds = started.elapsed().as_secs_f64();
    let ids = tokens(windows * (context + 1), model.config().vocab_size);
    for _ in 0..rounds {
        let started = Instant::now();
        let rows = ids
            .par_chunks_exact(context + 1)
            .map(|window| model.losses(&window[..context], &window[1..], 0))
            .collect::<Result<Vec<_>, _>>()?;
        let seconds = started.elapsed().as_secs_f64();
        let count = (windows * context) as f64;
        let (loss, entropy) = rows
            .iter()
            .flatten()
            .fold((0.0, 0.0), |sums, row| (sums.0 + row.loss_nats, sums.1 + row.entropy_nats));
        println!(
            "{{\"engine\": \"deltaloss {isa}\", \"model\": \"{}\", \"context\": {context}, \"windows\": {windows}, \"threads\": {}, \
             \"tokens_per_second\": {:.1}, \"mean_loss_nats\": {:.6}, \"mean_entropy_nats\": {:.6}, \"load_seconds\": {load_seconds:.2}}}",
            model.info().name,
            rayon::current_num_threads(),
            count / seconds,
            loss / count,
            entropy / count,
        );
    }
    Ok(())
}
