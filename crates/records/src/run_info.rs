//! `run.json`: what was scored, by what, how, and what it came to.

use serde::{Deserialize, Serialize};

use crate::record::TokenRecord;

/// The schema name that this version writes; a reader refuses others.
pub const RUN_SCHEMA: &str = "deltaloss.run/1";

/// The contents of `run.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// [`RUN_SCHEMA`].
    pub schema: String,
    /// The model that scored.
    pub model: ModelInfo,
    /// Its tokenizer.
    pub tokenizer: TokenizerInfo,
    /// What was scored.
    pub corpus: CorpusInfo,
    /// Which part of the corpus this is, of a run that is to be merged with others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<ShardInfo>,
    /// Documents that could not be scored: they are in the table of documents, with no token.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failure>,
    /// How documents were cut into windows.
    pub window: WindowInfo,
    /// The temperature fitted on the discovery half, where it was: by it the logits are divided in the columns
    /// `loss_calibrated`, `entropy_calibrated` and `top_probability_calibrated`.
    pub temperature: Option<f64>,
    /// How that came about, or why there is none. Runs of versions that fitted none lack it.
    #[serde(default)]
    pub calibration: Option<CalibrationInfo>,
    /// What computed the numbers.
    pub engine: EngineInfo,
    /// What the run came to.
    pub totals: Totals,
    /// Wall-clock time of the scoring, without the calibration's.
    pub elapsed_seconds: f64,
    /// Scored tokens a second.
    pub tokens_per_second: f64,
}

impl RunInfo {
    /// Why the run has no temperature, in words; to be asked only where it has none.
    pub fn no_temperature_because(&self) -> String {
        let because = self.calibration.as_ref().and_then(|info| info.none_because.clone());
        because.unwrap_or_else(|| "it was scored by a version that fitted none".to_owned())
    }
}

/// A model's provenance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// The name shown in reports.
    pub name: String,
    /// Where it was loaded from, as the user named it.
    pub source: String,
    /// SHA-256 of the configuration and weight files' bytes, hexadecimal.
    pub sha256: String,
    /// The architecture and its shape in words.
    pub architecture: String,
    /// Stored parameters.
    pub parameters: u64,
    /// Parameters that are not zero.
    pub nonzero_parameters: u64,
}

/// A tokenizer's provenance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenizerInfo {
    /// Its name.
    pub name: String,
    /// SHA-256 of its files' bytes, hexadecimal. Runs whose tokenizers agree here join by position.
    pub sha256: String,
    /// Vocabulary entries.
    pub size: u64,
}

/// A corpus's provenance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CorpusInfo {
    /// The corpus as the user named it, with the limits that were set.
    pub name: String,
    /// SHA-256 over the texts in order, hexadecimal.
    pub sha256: String,
    /// Documents scored.
    pub documents: u64,
    /// Documents left out because they could not be used (only ever on request).
    pub skipped: u64,
}

/// A part of a corpus: documents that follow each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardInfo {
    /// Which one, from 1.
    pub index: u32,
    /// Of how many.
    pub of: u32,
    /// The index in the whole corpus of its first document.
    pub first_document: u32,
    /// Documents of the whole corpus.
    pub corpus_documents: u64,
    /// SHA-256 over the whole corpus's texts, hexadecimal.
    pub corpus_sha256: String,
}

/// A document whose loss came out as a NaN or an infinity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Its row in `documents.parquet`.
    pub document: u32,
    /// Its name.
    pub name: String,
    /// Index of the token whose loss is not finite, in its token sequence.
    pub position: u32,
}

/// How documents were cut into windows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowInfo {
    /// Inputs a window.
    pub context: u32,
    /// `truncate`, `chunk` or `slide`.
    pub mode: String,
    /// Inputs from one window's start to the next, for `slide`.
    pub stride: Option<u32>,
    /// The token put in front of every document, if any.
    pub beginning_of_text: Option<u32>,
}

/// The provenance of a run's temperature, or of its absence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CalibrationInfo {
    /// Why no temperature was fitted, where none was.
    pub none_because: Option<String>,
    /// The lowest and highest temperature that was looked at.
    pub searched: [f64; 2],
    /// Whether the loss still falls towards the end of what was searched, at which the temperature then stands.
    pub at_edge: bool,
    /// Wall-clock time of the passes over the discovery half that fitted it.
    pub elapsed_seconds: f64,
    /// The half that the temperature was fitted on.
    pub discovery: CalibrationHalf,
    /// The half that had no part in it.
    pub confirmation: CalibrationHalf,
}

/// One half of the documents, as scored and at the run's temperature.
///
/// At the temperature that minimises the mean loss of a set of tokens, their mean loss equals their mean entropy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CalibrationHalf {
    /// Documents scored.
    pub documents: u64,
    /// Tokens predicted.
    pub tokens: u64,
    /// Their mean loss as scored, nats; 0 where there are none.
    pub mean_loss_nats: f64,
    /// Their mean entropy as scored, nats; 0 where there are none.
    pub mean_entropy_nats: f64,
    /// Their mean loss at the temperature, nats.
    pub mean_loss_calibrated_nats: Option<f64>,
    /// Their mean entropy at the temperature, nats.
    pub mean_entropy_calibrated_nats: Option<f64>,
}

/// Sums over the predicted tokens of one half of the documents, in corpus order.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HalfSums {
    documents: u64,
    plain: RunningTotals,
    /// Loss and entropy at the run's temperature.
    calibrated: Option<[f64; 2]>,
}

impl HalfSums {
    /// Adds a document's predicted tokens.
    pub fn add(&mut self, records: &[TokenRecord]) {
        self.documents += 1;
        for record in records {
            self.plain.add(record);
            if let Some(calibrated) = record.score.calibrated {
                let [loss, entropy] = self.calibrated.get_or_insert_default();
                *loss += f64::from(calibrated.loss_nats);
                *entropy += f64::from(calibrated.entropy_nats);
            }
        }
    }

    /// What the documents so far come to.
    pub fn means(&self) -> CalibrationHalf {
        let Totals { tokens, mean_loss_nats, mean_entropy_nats, .. } = self.plain.totals();
        let calibrated = self.calibrated.map(|sums| sums.map(|sum| sum / tokens as f64));
        CalibrationHalf {
            documents: self.documents,
            tokens,
            mean_loss_nats,
            mean_entropy_nats,
            mean_loss_calibrated_nats: calibrated.map(|[loss, _]| loss),
            mean_entropy_calibrated_nats: calibrated.map(|[_, entropy]| entropy),
        }
    }
}

/// What computed the numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EngineInfo {
    /// `deltaloss-native 0.1.0`, say.
    pub version: String,
    /// The instruction set that the kernels ran on.
    pub instruction_set: String,
    /// Threads used; the numbers do not depend on it.
    pub threads: u32,
}

/// What the run came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// Tokens predicted.
    pub tokens: u64,
    /// UTF-8 bytes of the predicted tokens.
    pub bytes: u64,
    /// Mean loss over the predicted tokens, nats.
    pub mean_loss_nats: f64,
    /// Mean entropy over the predicted tokens, nats.
    pub mean_entropy_nats: f64,
    /// Total loss in bits over the bytes predicted.
    pub bits_per_byte: f64,
}

/// Sums over predicted tokens, which are to be added in corpus order.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RunningTotals {
    tokens: u64,
    bytes: u64,
    loss: f64,
    entropy: f64,
}

impl RunningTotals {
    /// Adds a predicted token.
    pub fn add(&mut self, record: &TokenRecord) {
        self.tokens += 1;
        self.bytes += u64::from(record.byte_end - record.byte_start);
        self.loss += f64::from(record.score.loss_nats);
        self.entropy += f64::from(record.score.entropy_nats);
    }

    /// What the tokens so far come to; means of none are 0.
    pub fn totals(&self) -> Totals {
        let over = |sum: f64, count: u64| if count == 0 { 0.0 } else { sum / count as f64 };
        Totals {
            tokens: self.tokens,
            bytes: self.bytes,
            mean_loss_nats: over(self.loss, self.tokens),
            mean_entropy_nats: over(self.entropy, self.tokens),
            bits_per_byte: over(self.loss / std::f64::consts::LN_2, self.bytes),
        }
    }
}
