//! What it takes to open a model: the options, llama.cpp's global state, the file or its widened copy.

use std::path::Path;
use std::sync::OnceLock;

use deltaloss_lm::LmError;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::{LogOptions, send_logs_to_tracing};

use crate::gguf::GgufHeader;
use crate::log::overhear;
use crate::widen::{can_widen, widen};

/// The most weights that [`Weights::Auto`] widens: 4 GB of memory.
const MOST_WIDENED: u64 = 1_000_000_000;

/// In what form a model's weights are computed with. The numbers differ in how llama.cpp rounds: quantised weights are
/// multiplied with activations of eight bits, f32 weights with activations as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weights {
    /// As f32 on a processor for models of up to a thousand million weights, otherwise as stored.
    #[default]
    Auto,
    /// As the file has them.
    Stored,
    /// As the f32 that the stored ones stand for: four bytes each, some twice as fast on a processor, and nothing rounded.
    Widened,
}

/// How to run a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LlamaOptions {
    /// Layers whose weights go to the GPU, where the build has one; `None` is none.
    pub gpu_layers: Option<u32>,
    /// Inputs that go through the model at once. Memory is so many rows of logits; the numbers depend on it in their
    /// last digits.
    pub batch: usize,
    /// In what form the weights are computed with.
    pub weights: Weights,
}

impl Default for LlamaOptions {
    fn default() -> Self {
        LlamaOptions { gpu_layers: None, batch: 512, weights: Weights::Auto }
    }
}

/// llama.cpp's global state, made once and never ended.
pub(crate) fn backend() -> Result<&'static LlamaBackend, String> {
    static BACKEND: OnceLock<Result<LlamaBackend, String>> = OnceLock::new();
    BACKEND
        .get_or_init(|| {
            send_logs_to_tracing(LogOptions::default());
            LlamaBackend::init().map_err(|error| error.to_string())
        })
        .as_ref()
        .map_err(Clone::clone)
}

/// Whether the weights are to be widened.
pub(crate) fn wants_widening(header: &GgufHeader, options: &LlamaOptions) -> Result<bool, String> {
    let on_gpu = options.gpu_layers.is_some_and(|layers| layers > 0);
    match options.weights {
        Weights::Stored => Ok(false),
        Weights::Auto => Ok(!on_gpu && header.parameters <= MOST_WIDENED && can_widen(&header.layout)),
        Weights::Widened if can_widen(&header.layout) => Ok(true),
        // Nothing but f32 is in it.
        Weights::Widened if header.types.iter().all(|(name, _)| *name == "F32") => Ok(false),
        Weights::Widened => {
            let types: Vec<&str> = header.types.iter().map(|(name, _)| *name).collect();
            Err(format!(
                "its weights cannot be widened to f32: it has tensors of types {}; leave --weights out",
                types.join(", ")
            ))
        }
    }
}

/// Hands the file, or its widened copy, to llama.cpp.
pub(crate) fn load(
    backend: &LlamaBackend,
    path: &Path,
    header: &GgufHeader,
    options: &LlamaOptions,
    widened: bool,
) -> Result<LlamaModel, LmError> {
    let copy = if widened { Some(widen(path, header)?) } else { None };
    let file = copy.as_ref().map_or(path, |copy| copy.path());
    // The copy is gone as soon as it is read, so it must not be mapped.
    let params = LlamaModelParams::default()
        .with_n_gpu_layers(options.gpu_layers.unwrap_or(0))
        .with_use_mmap(copy.is_none());
    let (model, heard) = overhear(|| LlamaModel::load_from_file(backend, file, &params));
    model.map_err(|_| LmError::NotAModel {
        path: path.to_owned(),
        problem: format!("llama.cpp cannot load it: {heard}"),
    })
}

/// SHA-256 of a file, hexadecimal.
pub(crate) fn file_sha256(path: &Path) -> Result<String, LmError> {
    use sha2::{Digest, Sha256};
    let io = |action| {
        let path = path.to_owned();
        move |source| LmError::Io { path, action, source }
    };
    let mut file = std::fs::File::open(path).map_err(io("open it"))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 4 << 20];
    loop {
        match std::io::Read::read(&mut file, &mut buffer).map_err(io("read it"))? {
            0 => return Ok(deltaloss_corpus::hex(&hash.finalize())),
            read => hash.update(&buffer[..read]),
        }
    }
}
