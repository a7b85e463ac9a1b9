//! A copy of a model whose logits are multiplied by a number: the same model at another temperature, in a folder of its own.

use std::collections::BTreeMap;
use std::path::Path;

use deltaloss::checkpoint::{Compression, Dtype, TensorToWrite, write_safetensors};

/// What the logits of a circuit-sparsity model are linear in: the last norm, with which the unembedding's product grows,
/// and what is added to that product.
const LINEAR_IN: [&str; 4] =
    ["transformer.ln_f.weight", "transformer.ln_f.bias", "final_logits_bias", "bigram_table"];

/// Writes a copy of a bundled model or of a model's folder to `out`, its logits multiplied by `factor`. The tokenizer is not
/// copied.
pub(crate) fn sharpen(model: &str, factor: f32, out: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let files = deltaloss::open_model(model)?;
    let mut tensors = Vec::new();
    for tensor in files.checkpoint().tensors() {
        let mut values = tensor.to_f32()?;
        if LINEAR_IN.iter().any(|name| tensor.name().ends_with(name)) {
            values.iter_mut().for_each(|value| *value *= factor);
        }
        tensors.push((tensor.name().to_owned(), tensor.shape().to_vec(), values));
    }
    let written: Vec<TensorToWrite<'_>> = tensors
        .iter()
        .map(|(name, shape, data)| TensorToWrite { name, dtype: Dtype::F32, shape, data })
        .collect();
    std::fs::create_dir_all(out)?;
    std::fs::write(out.join("beeg_config.json"), files.config_json())?;
    write_safetensors(&out.join("model.safetensors"), &written, &BTreeMap::new(), Compression::None)?;
    Ok(())
}
