//! A weights file of any form: safetensors, PyTorch's zip, Zstandard around either.

#![no_main]

mod common;

use deltaloss::checkpoint::Checkpoint;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let path = common::file("model.safetensors", data);
    if let Ok(checkpoint) = Checkpoint::open(&path) {
        for tensor in checkpoint.tensors() {
            let _ = tensor.to_f32();
        }
    }
});
