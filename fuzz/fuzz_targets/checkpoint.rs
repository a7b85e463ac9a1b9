//! A weights file of any form: safetensors, PyTorch's zip, Zstandard around either.
//!
//! What begins with `{` is the header of a safetensors file and, after a byte 0xff, its data: the length in front of it is right.
//! What begins with `Z` is compressed first.

#![no_main]

mod common;

use std::borrow::Cow;

use deltaloss::checkpoint::Checkpoint;
use libfuzzer_sys::fuzz_target;

fn framed(data: &[u8]) -> Cow<'_, [u8]> {
    match data {
        [b'{', ..] => {
            let at = data.iter().position(|&byte| byte == 0xff).unwrap_or(data.len());
            let (header, tensors) = (&data[..at], data.get(at + 1..).unwrap_or_default());
            Cow::Owned([&(header.len() as u64).to_le_bytes()[..], header, tensors].concat())
        }
        [b'Z', rest @ ..] => Cow::Owned(zstd::bulk::compress(&framed(rest), 1).unwrap()),
        _ => Cow::Borrowed(data),
    }
}

fuzz_target!(|data: &[u8]| {
    let path = common::file("model.safetensors", &framed(data));
    if let Ok(checkpoint) = Checkpoint::open(&path) {
        for tensor in checkpoint.tensors() {
            let _ = tensor.to_f32();
        }
    }
});
