//! GGUF models: trying one out in a process of its own, and `deltaloss inspect MODEL.gguf`.
//!
//! llama.cpp ends the process where a file contradicts itself in ways that only it would notice. So the program first has a
//! child load the model and predict from one token.

use std::path::Path;
use std::process::{Command, Stdio};

use deltaloss::try_gguf;

use super::arguments::TryGguf;
use super::failure::Failure;

/// The hidden command by which the program calls itself.
pub(crate) const TRY: &str = "try-gguf";

/// In the child. What fails in an orderly way, the parent finds again.
pub(crate) fn run(call: &TryGguf) -> Result<(), Failure> {
    let _ = try_gguf(&call.model);
    Ok(())
}

/// In the parent: refuses a model that a child does not survive.
pub(crate) fn try_out(model: &Path) -> Result<(), Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::work(format!("cannot find the program's own file: {error}")))?;
    let tried = Command::new(program)
        .arg(TRY)
        .arg(model)
        .env("GGML_NO_BACKTRACE", "1")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failure::work(format!("cannot start a process to try the model in: {error}")))?;
    if tried.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&tried.stderr);
    let said = words.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("without a word");
    Err(Failure::work(format!(
        "{}: llama.cpp gave up on it ({}; {}): the file is damaged, or of a kind that this version does not know",
        model.display(),
        tried.status,
        said.chars().take(300).collect::<String>()
    )))
}

/// What the file says of itself.
#[cfg(feature = "llama")]
pub(crate) fn inspect(path: &Path) -> Result<(), Failure> {
    let header = deltaloss::llama::GgufHeader::read(path).map_err(super::failure::from_room)?;
    super::failure::say(&super::inspect::rows(&[
        ("model", path.display().to_string()),
        ("architecture", header.describe()),
        ("context", format!("{} tokens", header.context)),
        ("parameters", header.parameters.to_string()),
        ("tokenizer", format!("{}, {} entries", header.tokenizer, header.vocabulary)),
    ]))
}

/// What the file says of itself.
#[cfg(not(feature = "llama"))]
pub(crate) fn inspect(path: &Path) -> Result<(), Failure> {
    // Says how to build a program that can.
    Ok(try_gguf(path)?)
}
