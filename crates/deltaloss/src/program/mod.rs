//! The program's commands, one file each.

pub(crate) mod arguments;
pub(crate) mod check;
pub(crate) mod colour;
pub(crate) mod comparing;
pub(crate) mod console;
pub(crate) mod demonstration;
pub(crate) mod experiment;
pub(crate) mod failure;
pub(crate) mod gguf;
pub(crate) mod inspect;
pub(crate) mod merging;
pub(crate) mod scoring;
pub(crate) mod showing;
pub(crate) mod tokenize;
pub(crate) mod train_tokenizer;
pub(crate) mod training;
pub(crate) mod viewing;

use arguments::Arguments;
use console::Console;
use failure::Failure;

/// Threads, instruction set and the console, before any command runs.
pub(crate) fn set_up(arguments: &Arguments) -> Result<Console, Failure> {
    if let Some(threads) = arguments.threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads as usize)
            .build_global()
            .map_err(|error| Failure::work(format!("cannot start {threads} threads: {error}")))?;
    }
    if let Some(isa) = arguments.isa
        && let Err(other) = isa.choose()
    {
        return Err(Failure::work(format!("--isa {isa} comes too late: {other} is in use")));
    }
    Ok(Console::new(arguments.quiet))
}
