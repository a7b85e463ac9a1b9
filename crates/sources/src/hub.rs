//! The model hub: what a repository holds at a revision.

use serde::Deserialize;

use crate::error::SourceError;
use crate::name::check_path;

/// What is needed of the hub's answer about a repository.
#[derive(Debug, Deserialize)]
struct Answer {
    sha: Option<String>,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Debug, Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    lfs: Option<Lfs>,
}

#[derive(Debug, Deserialize)]
struct Lfs {
    sha256: Option<String>,
    size: Option<u64>,
}

/// A repository at a commit.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
pub(crate) struct Listing {
    pub(crate) commit: String,
    pub(crate) files: Vec<ListedFile>,
}

/// A file of a repository; its SHA-256 is published for large ones only.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
pub(crate) struct ListedFile {
    pub(crate) path: String,
    pub(crate) size_bytes: Option<u64>,
    pub(crate) sha256: Option<String>,
}

impl Listing {
    /// Understands the hub's answer, and refuses names that lead out of a folder.
    pub(crate) fn parse(bytes: &[u8], repository: &str) -> Result<Self, SourceError> {
        let refuse = |problem: String| SourceError::Repository { repository: repository.to_owned(), problem };
        let answer: Answer = serde_json::from_slice(bytes)
            .map_err(|error| refuse(format!("the hub's answer is not understood: {error}")))?;
        let is_commit = |sha: &String| sha.len() == 40 && sha.bytes().all(|b| b.is_ascii_hexdigit());
        let commit = answer
            .sha
            .filter(is_commit)
            .ok_or_else(|| refuse("the hub's answer names no commit".into()))?
            .to_lowercase();
        let mut files = Vec::with_capacity(answer.siblings.len());
        for Sibling { rfilename, size, lfs } in answer.siblings {
            check_path(&rfilename).map_err(|problem| refuse(format!("its file {problem}")))?;
            let (sha256, lfs_size) = lfs.map_or((None, None), |lfs| (lfs.sha256, lfs.size));
            let is_hash = |sha: &String| sha.len() == 64 && sha.bytes().all(|b| b.is_ascii_hexdigit());
            let sha256 = sha256.map(|sha| sha.to_lowercase());
            if let Some(bad) = sha256.as_ref().filter(|sha| !is_hash(sha)) {
                return Err(refuse(format!(
                    "its file `{rfilename}` has the SHA-256 `{}`",
                    bad.escape_debug()
                )));
            }
            files.push(ListedFile { path: rfilename, size_bytes: lfs_size.or(size), sha256 });
        }
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(Listing { commit, files })
    }

    /// The file of this path.
    pub(crate) fn file(&self, path: &str) -> Option<&ListedFile> {
        self.files.iter().find(|file| file.path == path)
    }
}
