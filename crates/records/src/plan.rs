//! What a run's numbers depend on, and what an earlier scoring by the same plan has left.

use serde::{Deserialize, Serialize};

use crate::record::TokenRecord;
use crate::run_info::{Failure, WindowInfo};

/// Everything that the rows of a run's token table depend on: what was scored by one plan can be gone on with by the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoringPlan {
    /// SHA-256 of the model's files.
    pub model: String,
    /// SHA-256 of the tokenizer's files.
    pub tokenizer: String,
    /// SHA-256 over the corpus's texts.
    pub corpus: String,
    /// How documents are cut.
    pub window: WindowInfo,
    /// Whether a temperature is fitted, or the one that is given (its inverse's bits).
    pub calibration: String,
    /// The engine's version of its numbers, and the instruction set.
    pub engine: String,
    /// Which part of the corpus, as in `2/8`.
    pub shard: Option<String>,
}

impl ScoringPlan {
    /// In what another plan differs, in words.
    pub fn difference(&self, other: &ScoringPlan) -> Option<String> {
        let parts = [
            ("the model is another", self.model != other.model),
            ("the tokenizer is another", self.tokenizer != other.tokenizer),
            ("the corpus is another, or has changed", self.corpus != other.corpus),
            ("the windows are others", self.window != other.window),
            ("the calibration is another", self.calibration != other.calibration),
            ("the engine or the instruction set is another", self.engine != other.engine),
            ("the shard is another", self.shard != other.shard),
        ];
        parts.iter().find(|(_, differs)| *differs).map(|(problem, _)| (*problem).to_owned())
    }
}

/// A temperature that was fitted, or why none was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Fitted {
    /// The run's inverse temperature.
    pub beta: Option<f32>,
    /// Whether it lies at the end of what was searched.
    pub at_edge: bool,
    /// Why there is none.
    pub none_because: Option<String>,
    /// Wall-clock time of the passes that fitted it.
    pub elapsed_seconds: f64,
    /// Documents of the discovery half that failed on the way.
    #[serde(default)]
    pub failures: Vec<FailedText>,
}

/// A text that failed: what is known of it before it has a place in a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedText {
    /// SHA-256 of the text, hexadecimal.
    pub sha256: String,
    /// Index of the token whose loss is not finite.
    pub position: u32,
}

/// What an earlier scoring by the same plan has left.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resumed {
    /// The temperature.
    pub fitted: Option<Fitted>,
    /// Documents scored, from the first on.
    pub documents: u32,
    /// The time that they took.
    pub elapsed_seconds: f64,
}

/// A document that was scored before.
#[derive(Clone, Debug, PartialEq)]
pub struct Restored {
    /// Its predicted tokens; none of one that failed.
    pub tokens: Vec<TokenRecord>,
    /// Why it has none.
    pub failure: Option<Failure>,
}
