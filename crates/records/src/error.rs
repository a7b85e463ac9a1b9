//! What can go wrong between token records and the disk.

use std::path::{Path, PathBuf};

/// An error of this crate; messages name the file, what was expected and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordsError {
    /// The file system refused.
    #[error("{path}: cannot {action}: {source}", path = .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried, as a verb phrase.
        action: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The output folder is there already.
    #[error("{path} exists already; choose another --out, or pass --overwrite to replace it", path = .path.display())]
    OutputExists {
        /// The folder.
        path: PathBuf,
    },
    /// Another process works on the same output.
    #[error("{path} is being written by another process of deltaloss; wait for it, or choose another --out", path = .path.display())]
    Busy {
        /// The output folder.
        path: PathBuf,
    },
    /// There are finished parts of a scoring by another plan.
    #[error("{path} holds finished parts of a scoring that cannot be gone on with: {difference}. Remove that folder, choose another --out, or pass --overwrite to start again", path = .path.display())]
    OtherScoring {
        /// The folder of the parts.
        path: PathBuf,
        /// In what the plans differ.
        difference: String,
    },
    /// A finished part is not what was written.
    #[error("{path}: {problem}. The part is damaged: remove the folder that it lies in, and score again", path = .path.display())]
    DamagedPart {
        /// The part.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Shards that do not make up one run.
    #[error("the shards do not make up one run: {problem}")]
    Shards {
        /// What is missing or differs.
        problem: String,
    },
    /// The output folder is there, was to be replaced, and is something else.
    #[error("{path} exists and is not replaced, for it does not look like deltaloss's own {kind}: {difference}. Choose another --out or remove it yourself", path = .path.display())]
    NotOurs {
        /// The folder.
        path: PathBuf,
        /// What was to be written.
        kind: &'static str,
        /// How it differs from a folder of that kind.
        difference: String,
    },
    /// No folder can be made or replaced there.
    #[error("{path} {problem}", path = .path.display())]
    Unusable {
        /// What was named.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
    /// The work is finished but could not be moved to its place.
    #[error("{problem}; the finished work is kept in {kept}, move it to {destination} yourself", kept = .kept.display(), destination = .destination.display())]
    Kept {
        /// What went wrong.
        problem: String,
        /// Where it was to stand.
        destination: PathBuf,
        /// Where it is.
        kept: PathBuf,
    },
    /// The folder holds no run.
    #[error("{path} is not a run: it has no {missing}. `deltaloss score` makes runs", path = .path.display())]
    NotARun {
        /// The folder.
        path: PathBuf,
        /// The file that is not there.
        missing: String,
    },
    /// A JSON file does not hold what it should.
    #[error("{path}: {message}", path = .path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Line, column and what is wrong.
        message: String,
    },
    /// Written by another version.
    #[error("{path}: schema `{found}`, but this version of deltaloss reads `{expected}`; score again with this version", path = .path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// The schema it names.
        found: String,
        /// The schema this version reads.
        expected: &'static str,
    },
    /// A Parquet file cannot be decoded.
    #[error("{path}: not a readable Parquet file: {message}", path = .path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        message: String,
    },
    /// A column is missing or of another type.
    #[error("{path}: column `{column}` {problem}", path = .path.display())]
    Column {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A row contradicts another row or the documents.
    #[error("{path}: row {row}: {problem}", path = .path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The row, counted from 0 over all parts.
        row: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// The tokens of a document overlap, so that nothing can be carried to them or from them.
    #[error("{path}: document `{document}`: {problem}; the tokens of a run follow each other in the text, so this run is damaged: score it again", path = .path.display())]
    Spans {
        /// The run's folder.
        path: PathBuf,
        /// The document's name.
        document: String,
        /// Which token, and what is wrong with it.
        problem: String,
    },
    /// A run's totals are no numbers.
    #[error("the totals of a run are not finite ({what}); nothing was written")]
    NonFiniteTotals {
        /// The totals.
        what: String,
    },
    /// Roles are missing or given twice.
    #[error(
        "a comparison needs one run of role a, one of role b, and at most one of any other; it got {found}"
    )]
    Roles {
        /// The roles given.
        found: String,
    },
    /// Rows are missing.
    #[error("{path}: {problem}. A part of the table is missing or cut short; score again", path = .path.display())]
    Incomplete {
        /// The run.
        path: PathBuf,
        /// What is missing.
        problem: String,
    },
    /// Runs over different texts cannot be joined.
    #[error(
        "the runs are over different corpora: {first}, {second} ({difference}). Score both on one corpus with the same limits"
    )]
    DifferentCorpora {
        /// One run and its corpus.
        first: String,
        /// The other run and its corpus.
        second: String,
        /// The first difference found.
        difference: String,
    },
    /// A calibrated comparison of a run without a temperature.
    #[error(
        "the run of {run} has no temperature ({because}), so it cannot be compared calibrated. Score it again on a corpus that gives one, or leave out --calibrated"
    )]
    NoTemperature {
        /// The run's label.
        run: String,
        /// Why it has none.
        because: String,
    },
    /// No token was predicted by every run.
    #[error("no token was predicted by every run ({left_out} by some but not all): nothing to compare")]
    NothingJoined {
        /// Tokens that some run predicted.
        left_out: u64,
    },
}

impl RecordsError {
    /// For `map_err` on file-system calls.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> RecordsError {
        let path = path.to_owned();
        move |source| RecordsError::Io { path, action, source }
    }

    /// For `map_err` on Parquet calls.
    pub(crate) fn parquet(path: &Path) -> impl Fn(parquet::errors::ParquetError) -> RecordsError {
        let path = path.to_owned();
        move |error| RecordsError::Parquet { path: path.clone(), message: error.to_string() }
    }
}
