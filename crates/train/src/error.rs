//! What can go wrong in training.

use std::path::{Path, PathBuf};

/// An error of this crate; messages name the file and key, what was found, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The configuration file cannot be used.
    #[error("{file}: {problem}")]
    Config {
        /// The file.
        file: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The file system refused.
    #[error("{path}: cannot {action}: {source}", path = .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something is where the model is to go.
    #[error("{path} exists already; name another --out, or remove it", path = .path.display())]
    OutputExists {
        /// The folder.
        path: PathBuf,
    },
    /// An unfinished training is there.
    #[error(
        "{path} holds an unfinished training; go on with --resume, or remove that folder to start anew",
        path = .path.display()
    )]
    Unfinished {
        /// The working folder.
        path: PathBuf,
    },
    /// Another process trains into the same folder.
    #[error("{path} is being trained by another process of deltaloss; wait for it, or choose another --out", path = .path.display())]
    Busy {
        /// The folder to write.
        path: PathBuf,
    },
    /// The checkpoint belongs to another training, or is damaged.
    #[error("{path}: cannot resume from it: {problem}", path = .path.display())]
    Resume {
        /// The checkpoint.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The corpus or tokenizer cannot be trained on.
    #[error("{0}")]
    Data(String),
    /// The run diverged.
    #[error(
        "the training diverged at step {step} of {steps}: {problem}. The model of step {saved} is in {path}. Lower peak_learning_rate (it is {peak}), or lengthen warmup_fraction",
        path = .path.display()
    )]
    Diverged {
        /// Where it was noticed.
        step: u64,
        /// Steps of the whole training.
        steps: u64,
        /// What was seen.
        problem: String,
        /// The last checkpoint's step.
        saved: u64,
        /// The working folder.
        path: PathBuf,
        /// The peak learning rate.
        peak: f64,
    },
    /// The listener wanted to stop; a checkpoint was written.
    #[error("interrupted after {step} of {steps} steps, saved in {path}; go on with --resume", path = .path.display())]
    Interrupted {
        /// Steps done.
        step: u64,
        /// Steps of the whole training.
        steps: u64,
        /// The checkpoint.
        path: PathBuf,
    },
    /// The listener wanted to stop before the first step.
    #[error("interrupted before the first step; nothing was written")]
    InterruptedEarly,
    /// A model or tokenizer error.
    #[error("{0}")]
    Lm(#[from] deltaloss_lm::LmError),
    /// The corpus cannot be read.
    #[error("{0}")]
    Corpus(#[from] deltaloss_corpus::CorpusError),
    /// A checkpoint cannot be read or written.
    #[error("{0}")]
    Checkpoint(#[from] deltaloss_checkpoint::Error),
}

impl TrainError {
    /// For `map_err` on file-system calls.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> TrainError {
        let path = path.to_owned();
        move |source| TrainError::Io { path, action, source }
    }
}
