//! A real model, SmolLM2-135M-Instruct in Q4_1, against PyTorch on its dequantised weights.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps in vain")]

mod common;

use std::ops::Range;

use common::{distance, id_list, ids, open, read_json, score_whole, smollm2, whole};
use deltaloss_llama::{LlamaOptions, LlamaScorer};
use deltaloss_lm::{Scorer, Window};

fn expected() -> Vec<serde_json::Value> {
    read_json(&common::fixtures().join("smollm2/expected.json"))
}

/// The characters that the bytes touch, some of them in part.
fn characters(text: &str, bytes: &Range<usize>) -> Range<usize> {
    let holding = |byte: usize| text.char_indices().take_while(|(at, _)| *at <= byte).count() - 1;
    holding(bytes.start)..holding(bytes.end - 1) + 1
}

#[test]
fn ids_and_spans_are_those_of_the_models_own_tokenizer() {
    let scorer = open(&smollm2());
    for case in expected() {
        let text = case["text"].as_str().unwrap();
        let tokens = scorer.encode(&[text]).unwrap().remove(0);
        assert_eq!(id_list(&tokens), ids(&case["ids"]));
        let spans: Vec<Vec<u32>> = case["char_spans"].as_array().unwrap().iter().map(ids).collect();
        for (token, span) in tokens.iter().zip(&spans) {
            let here = characters(text, &token.bytes);
            assert_eq!([here.start as u32, here.end as u32], span[..], "{token:?}");
        }
        let mut at = 0;
        for token in &tokens {
            assert_eq!(token.bytes.start, at, "spans tile the text");
            at = token.bytes.end;
        }
        assert_eq!(at, text.len());
    }
    assert!(!scorer.adds_beginning_of_text(), "its file says add_bos_token = false");
    assert_eq!((scorer.context(), scorer.tokenizer().size), (8192, 49_152));
}

/// The tolerances are those for llama.cpp's arithmetic, which rounds activations to eight bits where weights are quantised.
#[test]
fn losses_entropies_and_ranks_are_those_of_the_dequantised_weights() {
    let mut scorer = open(&smollm2());
    for case in expected() {
        let scores = score_whole(&mut scorer, &ids(&case["ids"]));
        let distance = distance(&scores, &case);
        println!("{distance:?}");
        assert!(distance.mean_loss < 0.04, "{distance:?}");
        assert!(distance.mean_entropy < 0.06, "{distance:?}");
        assert!(distance.worst_loss < 1.0, "{distance:?}");
        assert!(distance.correlation > 0.995, "{distance:?}");
    }
}

#[test]
fn a_windows_bits_depend_on_nothing_but_the_window() {
    let mut scorer = open(&smollm2());
    let tokens = ids(&expected()[0]["ids"]);
    let lengths = [257, 1, 2, 100, 256, 31];
    let windows: Vec<Window<'_>> = lengths.iter().map(|&length| whole(&tokens[..length + 1])).collect();
    let together = scorer.score(&windows, Some(0.9)).unwrap();
    for (window, scores) in windows.iter().zip(&together) {
        let alone = scorer.score(&[*window], Some(0.9)).unwrap().remove(0);
        assert_eq!(&alone, scores, "{} inputs", window.inputs.len());
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let on_one = one.install(|| scorer.score(&[*window], Some(0.9))).unwrap().remove(0);
        assert_eq!(&on_one, scores, "{} inputs on one thread", window.inputs.len());
    }
    let skipping = Window { skip: 40, ..windows[3] };
    let scores = scorer.score(&[skipping], Some(0.9)).unwrap().remove(0);
    assert_eq!(scores[..], together[3][40..], "what is not recorded changes nothing");
}

#[test]
fn a_temperature_of_one_is_none_and_sums_are_sums() {
    let mut scorer = open(&smollm2());
    let tokens = ids(&expected()[1]["ids"]);
    let window = whole(&tokens);
    let scores = scorer.score(&[window], Some(1.0)).unwrap().remove(0);
    let sums = scorer.loss_sums(&[window], &[1.0, 0.5]).unwrap().remove(0);
    assert!(scores.iter().all(|score| score.calibrated.unwrap().loss_nats == score.loss_nats));
    let loss: f64 = scores.iter().map(|score| f64::from(score.loss_nats)).sum();
    assert!((sums[0].loss_nats - loss).abs() < 1e-4 * loss, "{sums:?}, {loss}");
    assert!(sums[1].entropy_nats > sums[0].entropy_nats, "half the logits are less certain: {sums:?}");
}

#[test]
fn parts_of_a_window_continue_each_other() {
    let tokens = ids(&expected()[0]["ids"]);
    let scores: Vec<Vec<_>> = [512, 64]
        .into_iter()
        .map(|batch| {
            let options = LlamaOptions { batch, ..LlamaOptions::default() };
            score_whole(&mut LlamaScorer::open(&smollm2(), options).unwrap(), &tokens)
        })
        .collect();
    for (a, b) in scores[0].iter().zip(&scores[1]) {
        assert!((a.loss_nats - b.loss_nats).abs() < 2e-3, "{a:?}, {b:?}");
    }
}

#[test]
fn special_tokens_in_a_document_are_ordinary_characters() {
    let scorer = open(&smollm2());
    let text = "<|endoftext|> and <|im_start|>";
    let tokens = scorer.encode(&[text]).unwrap().remove(0);
    assert!(tokens.len() > 8, "{tokens:?}");
    assert!(tokens.iter().all(|token| token.id > 16), "the first seventeen are special: {tokens:?}");
    assert!(scorer.encode(&[""]).unwrap()[0].is_empty());
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut scorer = open(&smollm2());
    let long = vec![5; 8194];
    let error = format!("{:?}", scorer.score(&[whole(&long)], None).unwrap_err());
    assert!(error.contains("8193") && error.contains("8192"), "{error}");
    for (inputs, targets) in [([49_152], [3]), ([3], [49_152])] {
        let window = Window { inputs: &inputs, targets: &targets, skip: 0 };
        let error = format!("{:?}", scorer.score(&[window], None).unwrap_err());
        assert!(error.contains("token 49152 of a vocabulary of 49152"), "{error}");
    }
}
