//! What the user typed, understood.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::builtin::Builtin;
use crate::error::{CorpusError, list};

/// Where a corpus lies: `builtin:NAME`, a folder, or a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorpusSource {
    typed: String,
    location: Location,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    Builtin(Builtin),
    Folder(PathBuf),
    File(PathBuf),
}

impl CorpusSource {
    /// Understands what the user typed. A path that begins with `builtin:` or `hf:` is given as
    /// `./builtin:…`.
    ///
    /// # Errors
    /// A built-in corpus there is not, `hf:` (nothing is downloaded here), a path where nothing is, and
    /// what is neither a regular file nor a folder.
    pub fn parse(typed: &str) -> Result<Self, CorpusError> {
        if typed.trim().is_empty() {
            return Err(CorpusError::EmptySource);
        }
        if let Some(name) = typed.strip_prefix("builtin:") {
            let builtin =
                Builtin::ALL.into_iter().find(|builtin| builtin.name() == name).ok_or_else(|| {
                    let known: Vec<String> =
                        Builtin::ALL.iter().map(|b| format!("builtin:{}", b.name())).collect();
                    CorpusError::UnknownBuiltin { name: name.to_owned(), known: list(&known) }
                })?;
            return Ok(Self { typed: typed.to_owned(), location: Location::Builtin(builtin) });
        }
        if let Some(repository) = typed.strip_prefix("hf:") {
            let repository = repository.to_owned();
            return Err(CorpusError::DownloadUnavailable { typed: typed.to_owned(), repository });
        }
        Self::from_path(Path::new(typed))
    }

    /// A folder or a file, for callers that have a path already.
    ///
    /// # Errors
    /// A path where nothing is, or what is neither a regular file nor a folder.
    pub fn from_path(path: &Path) -> Result<Self, CorpusError> {
        let metadata = fs::metadata(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => CorpusError::NotFound { path: path.to_owned() },
            _ => CorpusError::io(path, "look it up")(error),
        })?;
        let location = if metadata.is_dir() {
            Location::Folder(path.to_owned())
        } else if metadata.is_file() {
            Location::File(path.to_owned())
        } else {
            return Err(CorpusError::NotRegular { path: path.to_owned() });
        };
        Ok(Self { typed: path.display().to_string(), location })
    }

    /// Under another name, in messages and in what is recorded: where it came from, say.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { typed: name.to_owned(), ..self }
    }

    /// What was typed.
    pub fn typed(&self) -> &str {
        &self.typed
    }

    pub(crate) fn location(&self) -> &Location {
        &self.location
    }
}

impl fmt::Display for CorpusSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.typed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.txt");
        fs::write(&file, "a").unwrap();
        let location = |typed: &str| CorpusSource::parse(typed).unwrap().location;
        assert_eq!(location("builtin:python-stdlib"), Location::Builtin(Builtin::PythonStdlib));
        assert_eq!(location(folder.path().to_str().unwrap()), Location::Folder(folder.path().to_owned()));
        assert_eq!(location(file.to_str().unwrap()), Location::File(file.clone()));
        assert_eq!(
            CorpusSource::parse("builtin:python-stdlib").unwrap().to_string(),
            "builtin:python-stdlib"
        );
    }

    #[test]
    fn what_is_not_a_corpus() {
        let says = |typed: &str, parts: &[&str]| {
            let text = CorpusSource::parse(typed).unwrap_err().to_string();
            for part in parts {
                assert!(text.contains(part), "{text:?} lacks {part:?}");
            }
        };
        says("", &["empty"]);
        says("  ", &["empty"]);
        says("builtin:nope", &["\"nope\"", "builtin:python-stdlib"]);
        says(
            "hf:codeparrot/apps",
            &["hf:codeparrot/apps", "before it is downloaded", "hf download codeparrot/apps", "folder"],
        );
        says("no/such/place", &["no/such/place", "no such file or folder"]);
        #[cfg(unix)]
        says("/dev/null", &["/dev/null", "neither a regular file nor a folder"]);
    }
}
