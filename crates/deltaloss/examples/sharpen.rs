//! `cargo run --release --example sharpen -- MODEL FACTOR OUT`: a copy of a model whose logits are multiplied by FACTOR. It
//! makes the twin of `bench/calibration`: one and the same model, overconfident.

#[path = "../testing/sharpen.rs"]
mod sharpen;

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, factor, out] = &arguments[..] else {
        return Err("usage: sharpen MODEL FACTOR OUT, as in `sharpen builtin:dense 1.2 sharpened`".into());
    };
    let factor: f32 = factor.parse().map_err(|error| format!("FACTOR `{factor}`: {error}"))?;
    if !(factor.is_finite() && factor > 0.0) {
        return Err(format!("FACTOR {factor}: it must be a number above 0").into());
    }
    sharpen::sharpen(model, factor, Path::new(out))
}
