//! What the engine leaves out, against the same model without leaving it out; and where it stops being finite.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps in vain")]

use std::collections::BTreeMap;
use std::path::Path;

use deltaloss_checkpoint::{Compression, Dtype, TensorToWrite, write_safetensors};

use super::*;

/// The fixture `case`, each of its tensors `[rows, columns]` changed.
fn changed(case: &str, change: impl Fn(&str, usize, &mut [f32])) -> CircuitSparsity {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/circuit-sparsity").join(case);
    let source = Checkpoint::open(&folder.join("final_model.pt")).unwrap();
    let tensors: Vec<_> = source
        .tensors()
        .map(|tensor| {
            let mut data = tensor.to_f32().unwrap();
            change(tensor.name(), *tensor.shape().last().unwrap(), &mut data);
            (tensor.name().to_owned(), tensor.shape().to_vec(), data)
        })
        .collect();
    let list: Vec<_> = tensors
        .iter()
        .map(|(name, shape, data)| TensorToWrite { name, dtype: Dtype::F32, shape, data })
        .collect();
    let copy = tempfile::tempdir().unwrap();
    let path = copy.path().join("model.safetensors");
    write_safetensors(&path, &list, &BTreeMap::new(), Compression::None).unwrap();
    let config = std::fs::read_to_string(folder.join("beeg_config.json")).unwrap();
    let config = Config::from_json(&config, "beeg_config.json").unwrap();
    CircuitSparsity::load(case, config, &Checkpoint::open(&path).unwrap(), Isa::best()).unwrap().0
}

#[test]
fn a_head_that_nothing_reads_is_left_out_exactly() {
    for case in ["dense_rms", "sparse_sink", "sparse_bigram"] {
        let width = changed(case, |_, _, _| {}).config.d_head;
        let model = changed(case, |name, columns, data| {
            if name.contains("attn.c_proj.weight") {
                data.chunks_exact_mut(columns).for_each(|row| row[..width].fill(0.0));
            }
        });
        let mut plain = model.clone();
        for layer in &mut plain.layers {
            assert!(layer.unread[0] && !layer.unread[1..].contains(&true), "{case}: {:?}", layer.unread);
            layer.unread.fill(false);
        }
        let inputs: Vec<u32> = (0..20).collect();
        assert_eq!(model.logits(&inputs), plain.logits(&inputs), "{case}");
    }
}

#[test]
fn the_first_token_that_is_not_finite_is_the_one_that_made_it_so() {
    const CULPRIT: u32 = 7;
    // One feature is 0 but in one token, whose values it takes beyond what f32 holds.
    let model = changed("dense_rms", |name, columns, data| match name {
        "transformer.wte.weight" => {
            for (token, row) in data.chunks_exact_mut(columns).enumerate() {
                row[0] = if token as u32 == CULPRIT { 10.0 } else { 0.0 };
            }
        }
        "transformer.wpe.weight" => data.chunks_exact_mut(columns).for_each(|row| row[0] = 0.0),
        "transformer.h.0.attn.c_attn.weight" => {
            let values = data.len() / columns / 3 * 2;
            data.chunks_exact_mut(columns).skip(values).for_each(|row| row[0] = f32::MAX);
        }
        _ => {}
    });
    let inputs = [1, 2, 3, 4, CULPRIT, 5, 6];
    let targets = [2, 3, 4, CULPRIT, 5, 6, 8];
    let before = model.losses(&inputs[..4], &targets[..4], 0, &[0.5]);
    for skip in [0, 2] {
        let (rows, tempered) = model.losses(&inputs, &targets, skip, &[0.5]);
        assert_eq!(rows.iter().position(|row| !row.is_finite()), Some(4 - skip));
        assert_eq!((&rows[..4 - skip], &tempered[..4 - skip]), (&before.0[skip..], &before.1[skip..]));
    }
}
