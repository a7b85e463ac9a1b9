//! From runs on disk to a comparison on disk.

use std::path::{Path, PathBuf};

use deltaloss_checkpoint::read_bounded;
use deltaloss_records::{FolderKind, Role, Run, StagedFolder, join, write_joined};
use deltaloss_stats::{Comparison, Options, Rules, classify_rows, compare};

use crate::error::Error;

/// Rules have some thousand bytes.
const LARGEST_RULES: u64 = 16 << 20;

/// The folder of a comparison.
const COMPARISON: FolderKind = FolderKind {
    name: "comparison",
    marker: "results.json",
    schema: "deltaloss.results/",
    entries: &["figures", "joined.parquet", "report.html", "report.md", "results.json", "tables"],
    required: &["report.html"],
};

/// Which runs to compare, and how.
#[derive(Clone, Debug)]
pub struct CompareOptions {
    /// The runs: role, folder, and the name shown in reports (the model's own by default). Role a and role b once
    /// each, any other at most once.
    pub runs: Vec<(Role, PathBuf, Option<String>)>,
    /// A file of category rules in place of the built-in ones.
    pub rules: Option<PathBuf>,
}

impl CompareOptions {
    /// Compares the runs in two folders: Δ = loss of `a` − loss of `b`.
    pub fn new(a: impl Into<PathBuf>, b: impl Into<PathBuf>) -> Self {
        CompareOptions { runs: vec![(Role::A, a.into(), None), (Role::B, b.into(), None)], rules: None }
    }

    /// Adds a run in another role.
    #[must_use]
    pub fn with(mut self, role: Role, run: impl Into<PathBuf>) -> Self {
        self.runs.push((role, run.into(), None));
        self
    }
}

/// Compares runs and writes the comparison to `out`, which appears when it is complete.
///
/// # Errors
/// `out` is taken (and `overwrite` is off, or it is no comparison), a run cannot be read, the runs do not belong
/// together, or the rules are none.
pub fn compare_runs(options: &CompareOptions, out: &Path, overwrite: bool) -> Result<Comparison, Error> {
    let folder = StagedFolder::new(out, COMPARISON, overwrite)?;
    let comparison = write_comparison(options, folder.path())?;
    folder.commit()?;
    Ok(comparison)
}

/// Compares runs and writes the comparison's files into a folder that exists.
///
/// # Errors
/// As [`compare_runs`].
pub fn write_comparison(options: &CompareOptions, folder: &Path) -> Result<Comparison, Error> {
    let rules = match &options.rules {
        None => Rules::builtin(),
        Some(path) => {
            let name = path.display().to_string();
            let bytes = read_bounded(path, LARGEST_RULES)?;
            let text = String::from_utf8(bytes)
                .map_err(|error| Error::Source { source_name: name.clone(), problem: error.to_string() })?;
            Rules::from_toml(&text, &name)?
        }
    };
    let mut runs = Vec::with_capacity(options.runs.len());
    for (role, path, label) in &options.runs {
        let run = Run::open(path)?;
        let label = label.clone().unwrap_or_else(|| run.info.model.name.clone());
        runs.push((*role, label, run));
    }
    make_labels_differ(&mut runs);
    let joined = join(runs)?;
    let categories = classify_rows(&joined, &rules)?;
    let comparison = compare(&joined, &rules, &categories, &Options::default())?;
    write_joined(&folder.join("joined.parquet"), &joined, &categories, rules.names())?;
    deltaloss_report::write_report(&comparison, folder)?;
    Ok(comparison)
}

/// Two runs of one name cannot be told apart in a figure: those get their role beside it, until all differ.
fn make_labels_differ(runs: &mut [(Role, String, Run)]) {
    loop {
        let labels: Vec<String> = runs.iter().map(|(_, label, _)| label.clone()).collect();
        let shared = |label: &String| labels.iter().filter(|other| *other == label).count() > 1;
        let mut changed = false;
        for (role, label, _) in runs.iter_mut().filter(|(_, label, _)| shared(label)) {
            *label = format!("{label} ({})", role.name());
            changed = true;
        }
        if !changed {
            return;
        }
    }
}
