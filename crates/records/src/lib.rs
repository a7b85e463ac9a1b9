//! The narrow waist of deltaloss: the token record, the token table on disk, and the join of runs.
//!
//! Scoring pushes token records into a [`Sink`], statistics read a [`Joined`]; this crate is the only contact
//! between the two, and knows neither models nor statistics.

mod carry;
mod comparison_reader;
mod comparison_writer;
mod error;
mod join;
mod joined;
mod joined_table;
mod locked;
mod merge;
mod parts;
mod plan;
mod read;
mod reader;
mod record;
mod run_info;
mod select;
mod staged;
mod table;
mod table_file;
#[cfg(test)]
mod tests;
mod write;

pub use carry::{Spans, carry_mean, carry_sum};
pub use comparison_reader::{
    ComparisonTables, DocumentEntry, DocumentTokens, TokenGuesses, TokensOfModel, TokensOfOther,
};
pub use comparison_writer::ComparisonWriter;
pub use error::RecordsError;
pub use join::{JoinReader, join};
pub use joined::{
    Basis, CalibratedLosses, Guesses, Joined, JoinedDocument, JoinedModel, JoinedOracle, OwnTokens, Role,
};
pub use joined_table::{ColumnPiece, JoinedColumns, JoinedWriter};
pub use merge::merge_shards;
pub use plan::{FailedText, Fitted, Restored, Resumed, ScoringPlan};
pub use read::Run;
pub use record::{CalibratedScore, DocumentRecord, Split, TokenRecord, TokenScore};
pub use run_info::{
    CalibrationHalf, CalibrationInfo, CorpusInfo, EngineInfo, Failure, HalfSums, ModelInfo, RUN_SCHEMA,
    RunInfo, RunningTotals, ShardInfo, TokenizerInfo, Totals, WindowInfo,
};
pub use staged::{FolderKind, StagedFolder, abandon_staged_folders};
pub use table::{CalibratedColumns, ScoreColumns, TokenColumns};
pub use write::{MemorySink, RunWriter, Sink, TokenForm, copy_run, write_documents};
