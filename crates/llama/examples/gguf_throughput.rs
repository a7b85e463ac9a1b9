//! How many tokens a second a GGUF model scores, on windows of one length: for `bench/llama/`.
//!
//! `gguf_throughput MODEL.gguf TEXT [FORM [INPUTS [WINDOWS [BATCH]]]]` prints one line a round and the mean loss, by which builds and
//! forms of a model are seen to compute the same. FORM is `auto`, `stored` or `f32`.

#![allow(clippy::print_stdout, reason = "it is a program")]

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use deltaloss_llama::{LlamaOptions, LlamaScorer, Weights};
use deltaloss_lm::{Scorer, Window};

const ROUNDS: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, text, numbers @ ..] = arguments.as_slice() else {
        return Err("gguf_throughput MODEL.gguf TEXT [FORM [INPUTS [WINDOWS [BATCH]]]]".into());
    };
    let (form, numbers) =
        numbers.split_first().map_or(("auto", numbers), |(form, rest)| (form.as_str(), rest));
    let weights = match form {
        "auto" => Weights::Auto,
        "stored" => Weights::Stored,
        "f32" => Weights::Widened,
        other => return Err(format!("{other} is no form of weights").into()),
    };
    let numbers: Vec<usize> = numbers.iter().map(|number| number.parse()).collect::<Result<_, _>>()?;
    let number = |at: usize, default: usize| numbers.get(at).copied().unwrap_or(default);
    let (inputs, count) = (number(0, 384), number(1, 8));
    let options = LlamaOptions { batch: number(2, 512), weights, ..LlamaOptions::default() };
    let mut scorer = LlamaScorer::open(Path::new(model), options)?;
    let tokens = scorer.encode(&[&std::fs::read_to_string(text)?])?.remove(0);
    let ids: Vec<u32> = tokens.iter().map(|token| token.id).collect();
    let windows: Vec<Window<'_>> = ids
        .windows(inputs + 1)
        .step_by(inputs)
        .take(count)
        .map(|part| Window { inputs: &part[..inputs], targets: &part[1..], skip: 0 })
        .collect();
    if windows.len() < count {
        return Err(
            format!("the text has {} tokens, too few for {count} windows of {inputs}", ids.len()).into()
        );
    }
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let scores = scorer.score(&windows, None).map_err(|failure| format!("{failure:?}"))?;
        let seconds = started.elapsed().as_secs_f64();
        let losses = scores.iter().flatten().map(|score| f64::from(score.loss_nats));
        let tokens = (inputs * count) as f64;
        println!("{:8.1} tokens/s, mean loss {:.5}", tokens / seconds, losses.sum::<f64>() / tokens);
    }
    Ok(())
}
