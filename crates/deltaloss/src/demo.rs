//! The demonstration: the whole analysis on what the program brings with it.

use std::path::Path;

use deltaloss_corpus::{Corpus, CorpusOptions, CorpusSource};
use deltaloss_lm::{Progress, ScoreOptions};
use deltaloss_records::{Basis, FolderKind, Role, Run, StagedFolder, TokenForm};
use deltaloss_stats::Comparison;

use crate::bundled::ORACLE;
use crate::compare::{COMPARISON_ENTRIES, CompareOptions, write_comparison};
use crate::error::Error;
use crate::oracle::write_oracle_run;
use crate::scoring::{open_scorer, score_to_folder};

/// How many files of Python's standard library the demonstration scores by default.
pub const DEMO_DOCUMENTS: u64 = 120;

/// Everything that a demonstration's folder may hold: what a comparison does, and the runs.
const DEMONSTRATION_ENTRIES: [&str; COMPARISON_ENTRIES.len() + 1] = {
    let mut entries = ["runs"; COMPARISON_ENTRIES.len() + 1];
    let mut index = 0;
    while index < COMPARISON_ENTRIES.len() {
        entries[index] = COMPARISON_ENTRIES[index];
        index += 1;
    }
    entries
};

/// The folder of a demonstration: a comparison with its runs.
const DEMONSTRATION: FolderKind = FolderKind {
    name: "demonstration",
    marker: "results.json",
    schema: "deltaloss.results/",
    entries: &DEMONSTRATION_ENTRIES,
    required: &["report.html", "runs"],
};

/// The bundled models and their roles.
const CAST: [(Role, &str); 4] = [
    (Role::A, "sparse"),
    (Role::B, "dense"),
    (Role::Benchmark, "dense-small"),
    (Role::Placebo, "dense-twin"),
];

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
    let folder = StagedFolder::new(out, DEMONSTRATION, true)?;
    let sample = CorpusOptions { sample: Some(documents), ..CorpusOptions::default() };
    let corpus = Corpus::open(&CorpusSource::parse("builtin:python-stdlib")?, sample)?;
    let mut runs = Vec::new();
    for (role, name) in CAST {
        let mut scorer = open_scorer(&format!("builtin:{name}"), None)?;
        let run = folder.path().join("runs").join(name);
        let to = (run.as_path(), TokenForm::Full);
        score_to_folder(&mut scorer, &corpus, &ScoreOptions::default(), to, false, &mut |p| {
            progress(name, p)
        })?;
        runs.push((role, run, None));
    }
    let oracle = folder.path().join("runs").join(ORACLE);
    write_oracle_run(&Run::open(&runs[0].1)?, &oracle)?;
    runs.push((Role::Oracle, oracle, None));
    let comparison =
        write_comparison(&CompareOptions { runs, rules: None, basis: Basis::AsScored }, folder.path())?;
    folder.commit()?;
    Ok(comparison)
}
