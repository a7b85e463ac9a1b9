//! Turns models and text into scores: configuration, weights, tokenizers, the native engine, windows and the
//! scoring loop. Knows no Parquet, no statistics, no page.

mod arch;
mod check;
mod config;
mod error;
mod linear;
mod model;
mod score;
mod scorer;
mod tokenizer;
mod window;

pub use arch::tensors::WeightStatistics;
pub use check::{CheckReport, LOGIT_TOLERANCE, LOSS_TOLERANCE_NATS, Worst, check};
pub use config::{Activation, ActivationSparsity, Config, Place};
pub use error::LmError;
pub use linear::SPARSE_BELOW;
pub use model::{ModelFiles, NativeModel};
pub use score::{Progress, ScoreOptions, score};
pub use scorer::{
    LossSums, NUMBERS, NativeScorer, NonFinite, Rows, ScoreFailure, Scorer, Window, loss_sums_of_rows,
    scores_of_rows,
};
pub use tokenizer::{Token, Tokenizer, TokenizerPair, train_tokenizer};
pub use window::{WindowMode, WindowSpan, windows};
