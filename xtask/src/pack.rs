//! Makes a bundled asset of a model folder: its configuration as it is, its weights as zstd-compressed f16.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use deltaloss_checkpoint::{Checkpoint, Compression, Dtype, TensorToWrite, atomic_write, write_safetensors};

/// Small, and paid once: decompression does not slow with the level.
const ZSTD_LEVEL: i32 = 19;

/// Packs the model in `from` into `to`; says what it came to.
pub(crate) fn pack_model(from: &Path, to: &Path) -> Result<String, Box<dyn Error>> {
    // As released, or as trained here.
    let weights = ["final_model.pt", "model.safetensors"].map(|name| from.join(name));
    let checkpoint = Checkpoint::open(weights.iter().find(|path| path.is_file()).unwrap_or(&weights[0]))?;
    let config = fs::read(from.join("beeg_config.json"))?;
    let mut tensors = Vec::new();
    for tensor in checkpoint.tensors() {
        tensors.push((tensor.name(), tensor.shape(), tensor.to_f32()?));
    }
    let worst = tensors.iter().flat_map(|(_, _, data)| data).fold(0.0f32, |worst, v| worst.max(v.abs()));
    if worst > 65_504.0 {
        return Err(format!("{}: a weight of {worst} does not fit in f16", from.display()).into());
    }
    let list: Vec<_> = tensors
        .iter()
        .map(|(name, shape, data)| TensorToWrite { name, dtype: Dtype::F16, shape, data })
        .collect();
    fs::create_dir_all(to)?;
    let weights = to.join("model.safetensors.zst");
    write_safetensors(&weights, &list, &BTreeMap::new(), Compression::Zstd { level: ZSTD_LEVEL })?;
    atomic_write(to.join("beeg_config.json"), &config)?;
    let entries: usize = tensors.iter().map(|(_, _, data)| data.len()).sum();
    Ok(format!("{}: {} entries in {} bytes", weights.display(), entries, fs::metadata(&weights)?.len()))
}
