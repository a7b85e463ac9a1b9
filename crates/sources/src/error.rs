//! What can go wrong between a name and its files.

use std::io;
use std::path::{Path, PathBuf};

/// An error of this crate; messages name the address or the file, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// What was typed is no name.
    #[error("{typed}: {problem}")]
    Name {
        /// What was typed.
        typed: String,
        /// What is wrong with it.
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
        source: io::Error,
    },
    /// It is not in the cache, and nothing may be downloaded.
    #[error("{name} is not in the cache ({cache}), and --offline is set; run once without it, or copy the file there", cache = .cache.display())]
    Offline {
        /// The file's name.
        name: String,
        /// Where it would lie.
        cache: PathBuf,
    },
    /// The server has no such file.
    #[error("{address}: there is no such file ({status}); check the name{hint}")]
    NotFound {
        /// The address.
        address: String,
        /// The status.
        status: u16,
        /// What else it may be.
        hint: &'static str,
    },
    /// The server wants to know who asks, or refuses.
    #[error(
        "{address}: access is refused ({status}); if the repository is private or gated, set HF_TOKEN to a token that may read it"
    )]
    Refused {
        /// The address.
        address: String,
        /// The status.
        status: u16,
    },
    /// The download failed, after it was tried again.
    #[error("{address}: {problem}{kept}")]
    Failed {
        /// The address.
        address: String,
        /// What happened last.
        problem: String,
        /// What is kept of it, in words; empty if nothing is.
        kept: String,
    },
    /// The bytes are not those that are due.
    #[error("{address}: {problem}")]
    Mismatch {
        /// The address.
        address: String,
        /// What was expected, what came, and what to do.
        problem: String,
    },
    /// A file in the cache is not what was downloaded.
    #[error("{path}: {problem}. Remove it to have it downloaded again", path = .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A repository does not hold what is looked for.
    #[error("hf:{repository}: {problem}")]
    Repository {
        /// The repository.
        repository: String,
        /// What is missing, and what there is.
        problem: String,
    },
    /// The listener wanted to stop.
    #[error("interrupted; what was downloaded is kept, and the same command goes on from there")]
    Interrupted,
}

impl SourceError {
    /// For `map_err` on file-system calls.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> SourceError {
        let path = path.to_owned();
        move |source| SourceError::Io { path, action, source }
    }
}
