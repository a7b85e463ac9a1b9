//! What can go wrong with a corpus.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::options::{SkipReason, Skipped};

/// A place in a corpus's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// Where in it.
    pub position: Position,
}

/// Where in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// The file as a whole.
    File,
    /// A line, counting from 1.
    Line(u64),
    /// A row of a table, counting from 0.
    Row(u64),
}

impl Place {
    pub(crate) fn new(path: &Path, position: Position) -> Self {
        Self { path: path.to_owned(), position }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown_path(&self.path))?;
        match self.position {
            Position::File => Ok(()),
            Position::Line(line) => write!(f, ", line {line}"),
            Position::Row(row) => write!(f, ", row {row} (counting from 0)"),
        }
    }
}

/// An error in finding or reading a corpus.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CorpusError {
    /// Nothing was typed.
    #[error("the corpus is empty text; give builtin:python-stdlib, a folder, or a file")]
    EmptySource,
    /// `builtin:` with a name there is not.
    #[error("there is no built-in corpus {name:?}; there are: {known}")]
    UnknownBuiltin {
        /// What was typed after `builtin:`.
        name: String,
        /// The names there are.
        known: String,
    },
    /// `hf:`, which would need a download.
    #[error(
        "{typed}: a corpus of the hub cannot be opened before it is downloaded; give the folder it was put in (for example: hf \
         download {repository} --repo-type dataset --local-dir DATA), or let `deltaloss::Downloads` have it"
    )]
    DownloadUnavailable {
        /// What was typed.
        typed: String,
        /// The part after `hf:`.
        repository: String,
    },
    /// No such file or folder.
    #[error("{}: no such file or folder; a corpus is builtin:NAME, a folder, or a file", shown_path(path))]
    NotFound {
        /// What was typed.
        path: PathBuf,
    },
    /// A pipe, a device or a socket.
    #[error(
        "{}: neither a regular file nor a folder; a corpus is read more than once, so write it to a \
         file first",
        shown_path(path)
    )]
    NotRegular {
        /// What was typed.
        path: PathBuf,
    },
    /// A format that is not read.
    #[error("{}: {format} is not read; {advice}", shown_path(path))]
    UnsupportedFormat {
        /// The file.
        path: PathBuf,
        /// The format, from the file's extension.
        format: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// A Git LFS pointer in a data set's place.
    #[error(
        "{}: a Git LFS pointer, not the data set itself; fetch the files with `git lfs pull` in the clone, or \
         with the hub's own program (hf download)",
        shown_path(path)
    )]
    NotFetched {
        /// The file.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("{}: cannot {action}: {error}", shown_path(path))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system said; it is in the message, so not in the source chain as well.
        error: io::Error,
    },
    /// An option that cannot be met.
    #[error("the corpus option {option} cannot be met: {problem}")]
    Option {
        /// The field of [`CorpusOptions`](crate::CorpusOptions).
        option: &'static str,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A folder without a file to take.
    #[error(
        "{}: no file to read: looked for {extensions} and saw {others}{example} (hidden files, links to \
         elsewhere and the usual build folders aside); name those to take with --extensions",
        shown_path(path)
    )]
    NoMatchingFile {
        /// The folder.
        path: PathBuf,
        /// The extensions looked for.
        extensions: String,
        /// How many other files were seen, in words.
        others: String,
        /// One of the other files, in words, or nothing.
        example: String,
    },
    /// A folder with both source files and data sets, not as the hub's data sets lie on disk.
    #[error(
        "{}: holds both source files ({source_files}, for example {}) and data sets ({data_files}, for example \
         {}), and either may be meant; pass --extensions with those to take, such as {source_extension} or \
         {data_extension}",
        shown_path(path),
        shown(source_example),
        shown(data_example)
    )]
    MixedFolder {
        /// The folder.
        path: PathBuf,
        /// How many source-code files.
        source_files: u64,
        /// One of them, relative to the folder.
        source_example: String,
        /// That one's extension.
        source_extension: &'static str,
        /// How many JSON Lines and Parquet files.
        data_files: u64,
        /// One of them, relative to the folder.
        data_example: String,
        /// That one's extension.
        data_extension: &'static str,
    },
    /// Text that is not UTF-8.
    #[error(
        "{place}: not valid UTF-8 at byte {byte_offset}; convert it, or leave such documents out with \
         --skip-unusable"
    )]
    InvalidUtf8 {
        /// The file, or the line of it.
        place: Place,
        /// The first byte that is wrong, counting from 0 at the place's beginning.
        byte_offset: usize,
    },
    /// A document or a line above the limit.
    #[error(
        "{place}: larger than the {limit_bytes} bytes that a document or a line may have; split it, or \
         leave such documents out with --skip-unusable"
    )]
    TooLarge {
        /// The file, line or row.
        place: Place,
        /// The limit.
        limit_bytes: u64,
    },
    /// A line that is not one JSON object.
    #[error(
        "{place}: not one JSON object a line: {detail}; a JSON array or an object over several lines \
         must be rewritten as JSON Lines (jq -c does it)"
    )]
    InvalidJson {
        /// The line.
        place: Place,
        /// What the parser said.
        detail: String,
    },
    /// No column with the text, or with the name.
    #[error("{place}: no column {wanted}; there are: {found}; set {option} to the one to take")]
    MissingColumn {
        /// The file or the line.
        place: Place,
        /// The option that names the column.
        option: &'static str,
        /// The columns looked for.
        wanted: String,
        /// The columns there are.
        found: String,
    },
    /// A column that does not hold what it should.
    #[error(
        "{place}: column {column:?} should hold {expected}, but holds {found}; set {option} to another \
         column, or leave such documents out with --skip-unusable"
    )]
    WrongValue {
        /// The line or row.
        place: Place,
        /// The column.
        column: String,
        /// The option that names the column.
        option: &'static str,
        /// What was expected.
        expected: &'static str,
        /// What was found.
        found: &'static str,
    },
    /// A column of a Parquet file that is not of a type that can be read.
    #[error(
        "{}: column {column:?} is {found}, but must be {expected}; set {option} to another column, or \
         write the file again with a string column",
        shown_path(path)
    )]
    WrongColumnType {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// The option that names the column.
        option: &'static str,
        /// What was expected.
        expected: &'static str,
        /// The type found.
        found: String,
    },
    /// `solutions` that is no JSON list of strings.
    #[error(
        "{place}, problem {}: solutions should be a JSON list of strings inside a string, but {detail}; \
         name --text-column if this is not the APPS layout",
        shown(problem)
    )]
    BadSolutions {
        /// The line or row.
        place: Place,
        /// The problem's id.
        problem: String,
        /// What was found.
        detail: String,
    },
    /// A Parquet file that cannot be decoded.
    #[error(
        "{place}: cannot read it as Parquet: {detail}; the file may be damaged or incomplete: fetch or \
         write it again"
    )]
    Parquet {
        /// The file, or the row.
        place: Place,
        /// What the decoder said.
        detail: String,
    },
    /// A pass that gave nothing.
    #[error("{corpus}: no document to read; left out: {skipped}")]
    NoDocuments {
        /// The corpus's name.
        corpus: String,
        /// What was left out.
        skipped: Skipped,
    },
    /// The packed built-in corpus does not decode, which only a broken build of the program can cause.
    #[error(
        "the built-in corpus {name} does not unpack: {detail}; this program was not built properly: \
         build it again"
    )]
    DamagedBuiltin {
        /// The corpus.
        name: &'static str,
        /// What is wrong.
        detail: String,
    },
}

impl CorpusError {
    /// Wraps what the system said about `path`.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io { path: path.to_owned(), action, error }
    }

    /// The reason to count when the document at fault may be left out; none when the file or the corpus is at
    /// fault.
    pub(crate) fn skip_reason(&self) -> Option<SkipReason> {
        match self {
            Self::InvalidUtf8 { .. } => Some(SkipReason::InvalidUtf8),
            Self::TooLarge { .. } => Some(SkipReason::TooLarge),
            Self::InvalidJson { .. } => Some(SkipReason::InvalidJson),
            Self::WrongValue { .. } => Some(SkipReason::NoText),
            // A Parquet file lacks a column for all its rows: that is the file's fault, not a document's.
            Self::MissingColumn { place, .. } if matches!(place.position, Position::Line(_)) => {
                Some(SkipReason::NoText)
            }
            Self::BadSolutions { .. } => Some(SkipReason::BadSolutions),
            _ => None,
        }
    }
}

/// How much of what comes from a file is shown, in characters.
const SHOWN_CHARS: usize = 200;

/// Text from a file as messages show it: cut, and with control characters escaped, so that it can neither fill a
/// terminal nor drive it.
pub(crate) fn shown(text: &str) -> String {
    escape_controls(&cut(text))
}

/// A path as messages show it: whole, since it must be found again.
fn shown_path(path: &Path) -> String {
    escape_controls(&path.to_string_lossy())
}

fn escape_controls(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            escaped.extend(character.escape_default());
        } else {
            escaped.push(character);
        }
    }
    escaped
}

fn cut(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default())),
        None => Cow::Borrowed(text),
    }
}

/// Names in a list for a message: quoted, at most 20 of them.
pub(crate) fn list(names: &[impl AsRef<str>]) -> String {
    const SHOWN: usize = 20;
    if names.is_empty() {
        return "none".to_owned();
    }
    let mut text = names
        .iter()
        .take(SHOWN)
        .map(|name| format!("{:?}", cut(name.as_ref())))
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}
