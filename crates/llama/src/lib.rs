//! Scores with GGUF models through llama.cpp: a `Scorer` of `deltaloss_lm` with the model's own tokenizer.
//!
//! llama.cpp runs the model; losses, entropies and ranks come from its logits by `deltaloss_kernels`, as everywhere. It
//! is C++ that trusts what it reads, so the file's header is checked here first (`GgufHeader`).
//!
//! Without the feature `llama` this crate is empty, and nothing but Rust is needed to build it.

#[cfg(feature = "llama")]
mod gguf;
#[cfg(feature = "llama")]
mod log;
#[cfg(feature = "llama")]
mod open;
#[cfg(feature = "llama")]
mod scorer;
#[cfg(feature = "llama")]
mod vocabulary;
#[cfg(feature = "llama")]
mod widen;

#[cfg(feature = "llama")]
pub use gguf::GgufHeader;
#[cfg(feature = "llama")]
pub use open::{LlamaOptions, Weights};
#[cfg(feature = "llama")]
pub use scorer::LlamaScorer;
