//! The demonstration: the whole analysis on what the program brings with it.

use std::io::Read;
use std::path::Path;

use deltaloss_lm::Progress;
use deltaloss_stats::Comparison;

use crate::error::Error;
use crate::experiment::{Experiment, ExperimentEvent, RunOptions, heading, run_into};

/// The experiment, which is part of the program.
const EXPERIMENT: &str = include_str!("../../../experiments/demo.toml");

/// How many files of Python's standard library the demonstration scores by default.
pub const DEMO_DOCUMENTS: u64 = 120;

/// The demonstration's experiment (`experiments/demo.toml`) over `documents` files.
fn experiment(documents: u64) -> Result<Experiment, Error> {
    let mut experiment = Experiment::from_toml(EXPERIMENT, "demo.toml")?;
    experiment.corpus.sample = Some(documents);
    Ok(experiment)
}

/// Scores `documents` files of Python's standard library with the four bundled models and compares them, with the bundled
/// oracle's run over the same files, into `out` with the runs in `out/runs`. The oracle has scored the [`DEMO_DOCUMENTS`]
/// files of the default; other files' tokens have no value of it. An earlier demonstration there is replaced. `progress` hears the model's name and
/// returns whether to go on.
///
/// # Errors
/// `out` is something else, cannot be written, or `progress` stopped; then nothing is left behind.
pub fn demo(
    out: &Path,
    documents: u64,
    progress: &mut dyn FnMut(&str, Progress) -> bool,
) -> Result<Comparison, Error> {
    // Replaced unasked, so it must not be somebody's own experiment.
    let options = RunOptions { overwrite: !holds_another_experiment(out), ..RunOptions::default() };
    run_into(&experiment(documents)?, (out, "demonstration"), &options, &mut |event| match event {
        ExperimentEvent::Scoring { model, progress: at } => progress(model, at),
        _ => true,
    })
}

/// Whether a folder holds the copy of an experiment that is not the demonstration's.
fn holds_another_experiment(out: &Path) -> bool {
    let Ok(file) = std::fs::File::open(out.join("experiment.toml")) else { return false };
    let ours = format!("# {}", heading("demo"));
    let mut start = Vec::new();
    file.take(ours.len() as u64).read_to_end(&mut start).is_err() || start != ours.as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_the_files() {
        let asked = experiment(DEMO_DOCUMENTS).unwrap();
        assert_eq!(asked, Experiment::from_toml(EXPERIMENT, "demo.toml").unwrap());
    }
}
