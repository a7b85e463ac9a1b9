//! Documents from wherever they lie, and their content hashes.
//!
//! A [`CorpusSource`] is what the user typed: `builtin:python-stdlib`, a folder, or a file. [`Corpus::open`]
//! looks at it once and says at once what is wrong; [`Corpus::documents`] then streams its documents, as
//! often as wanted and always in the same order. One document (of the APPS layout, one problem's solutions) is
//! in memory at a time, whatever the corpus's size.
//!
//! ```
//! use deltaloss_corpus::{Corpus, CorpusHasher, CorpusOptions, CorpusSource};
//!
//! # fn main() -> Result<(), deltaloss_corpus::CorpusError> {
//! let source = CorpusSource::parse("builtin:python-stdlib")?;
//! let corpus = Corpus::open(&source, CorpusOptions { sample: Some(3), ..CorpusOptions::default() })?;
//! let mut hasher = CorpusHasher::new();
//! for document in corpus.documents()? {
//!     hasher.update(&document?.text);
//! }
//! assert_eq!(hasher.documents(), 3);
//! # Ok(())
//! # }
//! ```
//!
//! # What is read, and how
//!
//! | what | documents |
//! |---|---|
//! | `builtin:NAME` | the files packed into the program, see [`Builtin`] |
//! | a folder | its data sets, or else its source code and prose, in the order of their paths' bytes, see [`extensions`] |
//! | `.jsonl`, `.ndjson`, `.json` | JSON Lines: one object a line; `.zst` beside them: the same, Zstandard-compressed |
//! | `.parquet` | one row a document |
//! | any other file | one document |
//!
//! Text is what is in the file: a byte order mark and every newline stay as they are, and a document may be
//! empty. Text that is not valid UTF-8 is an error that names the file and the byte, or, with
//! [`CorpusOptions::skip_unusable`], a document left out and counted in [`Documents::skipped`].
//!
//! In JSON Lines and Parquet the text is in the column [`CorpusOptions::text_column`], by default the first
//! there is of `text`, `content`, `code`; the name in [`CorpusOptions::name_column`], by default the first
//! there is of `name`, `path`, `id`, else `FILE:LINE` (lines count from 1) or `FILE:ROW` (rows count from 0,
//! as data frames do). Where a folder gives several such files, a name from a column that was not asked for has
//! the file's path in front, without the extension: id 7 of `test.jsonl` is `test/7`, that of `train.jsonl`
//! `train/7`. Names need not differ.
//!
//! Rows with a `solutions` column are the APPS layout (`codeparrot/apps`): `solutions` is a JSON list of
//! programs inside a string, each program a document named `apps/PROBLEM/INDEX` (in a clone of the data set
//! `apps/test/PROBLEM/INDEX` and `apps/train/PROBLEM/INDEX`, since the two files number their problems alike);
//! problems without a solution are left out and counted.

mod apps;
mod builtin;
mod corpus;
mod error;
pub mod extensions;
mod folder;
mod hash;
mod json_lines;
mod options;
mod parquet_rows;
mod plain_file;
mod rows;
mod source;
#[cfg(test)]
mod stdlib_filter;

pub use builtin::Builtin;
pub use corpus::{Corpus, Document, Documents};
pub use error::{CorpusError, Place, Position};
pub use hash::{CorpusHasher, hex, text_sha256};
pub use options::{CorpusOptions, SkipReason, Skipped, Solutions};
pub use plain_file::MAX_DOCUMENT_BYTES;
pub use source::CorpusSource;
