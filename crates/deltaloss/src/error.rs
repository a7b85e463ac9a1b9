//! One error for the whole library: whichever room it came from, its message stands for itself.

/// Why deltaloss could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A model, tokenizer or scoring error.
    #[error(transparent)]
    Lm(#[from] deltaloss_lm::LmError),
    /// A checkpoint cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] deltaloss_checkpoint::Error),
    /// A corpus cannot be read.
    #[error(transparent)]
    Corpus(#[from] deltaloss_corpus::CorpusError),
    /// A run or a comparison cannot be read or written.
    #[error(transparent)]
    Records(#[from] deltaloss_records::RecordsError),
    /// Category rules that are none.
    #[error(transparent)]
    Rules(#[from] deltaloss_stats::RulesError),
    /// Nothing can be computed from the join.
    #[error(transparent)]
    Compare(#[from] deltaloss_stats::CompareError),
    /// A download failed.
    #[error(transparent)]
    Download(#[from] deltaloss_sources::SourceError),
    /// The report cannot be written.
    #[error(transparent)]
    Report(#[from] deltaloss_report::ReportError),
    /// A training failed or was interrupted.
    #[error(transparent)]
    Train(Box<deltaloss_train::TrainError>),
    /// A source that this version cannot open.
    #[error("{source_name}: {problem}")]
    Source {
        /// What was named.
        source_name: String,
        /// Why not, and what to do.
        problem: String,
    },
}

impl From<deltaloss_train::TrainError> for Error {
    fn from(error: deltaloss_train::TrainError) -> Self {
        Error::Train(Box::new(error))
    }
}
