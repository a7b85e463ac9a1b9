//! Token columns in memory and their Arrow form: the one place that knows the column names and types.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array, RecordBatch, UInt32Array};
use arrow_schema::{ArrowError, DataType, Field, Schema};

use crate::record::{CalibratedScore, TokenRecord, TokenScore};

/// Token records, column by column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TokenColumns {
    /// Row of the document.
    pub document: Vec<u32>,
    /// Index in the document's token sequence.
    pub position: Vec<u32>,
    /// Vocabulary id.
    pub token: Vec<u32>,
    /// First byte in the document's text.
    pub byte_start: Vec<u32>,
    /// One past the last byte.
    pub byte_end: Vec<u32>,
    /// What the model gave each token.
    pub scores: ScoreColumns,
}

/// A model's columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScoreColumns {
    /// Loss, nats.
    pub loss: Vec<f32>,
    /// Entropy, nats.
    pub entropy: Vec<f32>,
    /// Entries with a strictly larger logit.
    pub rank: Vec<u32>,
    /// The likeliest entry.
    pub top_token: Vec<u32>,
    /// Its probability.
    pub top_probability: Vec<f32>,
    /// The columns at the run's temperature, where it was fitted.
    pub calibrated: Option<CalibratedColumns>,
}

/// A model's columns at its run's temperature.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CalibratedColumns {
    /// Loss, nats.
    pub loss: Vec<f32>,
    /// Entropy, nats.
    pub entropy: Vec<f32>,
    /// Probability of the likeliest entry.
    pub top_probability: Vec<f32>,
}

/// Names of the columns that say where a token stands.
pub(crate) const PLACE: [&str; 5] = ["document", "position", "token", "byte_start", "byte_end"];
/// Names of a model's columns.
pub(crate) const SCORES: [&str; 5] = ["loss", "entropy", "rank", "top_token", "top_probability"];

/// Those of [`SCORES`] that a table may lack, all together.
pub(crate) const GUESSES: [&str; 3] = ["rank", "top_token", "top_probability"];

/// Names of a model's columns at its run's temperature, in the order of [`CalibratedColumns`].
pub(crate) const CALIBRATED: [&str; 3] =
    ["loss_calibrated", "entropy_calibrated", "top_probability_calibrated"];

impl CalibratedColumns {
    fn push(&mut self, score: CalibratedScore) {
        self.loss.push(score.loss_nats);
        self.entropy.push(score.entropy_nats);
        self.top_probability.push(score.top_probability);
    }

    fn get(&self, row: usize) -> CalibratedScore {
        CalibratedScore {
            loss_nats: self.loss[row],
            entropy_nats: self.entropy[row],
            top_probability: self.top_probability[row],
        }
    }

    /// Arrays for [`CALIBRATED`].
    pub(crate) fn arrays(&self, rows: Range<usize>) -> [ArrayRef; 3] {
        [&self.loss, &self.entropy, &self.top_probability]
            .map(|column| Arc::new(Float32Array::from(column[rows.clone()].to_vec())) as ArrayRef)
    }
}

impl ScoreColumns {
    /// Adds a row. Either every row is calibrated or none: a table of both cannot be written.
    pub fn push(&mut self, score: TokenScore) {
        self.loss.push(score.loss_nats);
        self.entropy.push(score.entropy_nats);
        self.rank.push(score.rank);
        self.top_token.push(score.top_token);
        self.top_probability.push(score.top_probability);
        if let Some(calibrated) = score.calibrated {
            self.calibrated.get_or_insert_default().push(calibrated);
        }
    }

    /// Row `row`.
    pub fn get(&self, row: usize) -> TokenScore {
        TokenScore {
            loss_nats: self.loss[row],
            entropy_nats: self.entropy[row],
            rank: self.rank[row],
            top_token: self.top_token[row],
            top_probability: self.top_probability[row],
            calibrated: self.calibrated.as_ref().map(|calibrated| calibrated.get(row)),
        }
    }

    fn clear(&mut self) {
        self.loss.clear();
        self.entropy.clear();
        self.rank.clear();
        self.top_token.clear();
        self.top_probability.clear();
        self.calibrated = None;
    }
}

impl TokenColumns {
    /// Rows.
    pub fn len(&self) -> usize {
        self.token.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.token.is_empty()
    }

    /// Adds a row.
    pub fn push(&mut self, record: TokenRecord) {
        self.document.push(record.document);
        self.position.push(record.position);
        self.token.push(record.token);
        self.byte_start.push(record.byte_start);
        self.byte_end.push(record.byte_end);
        self.scores.push(record.score);
    }

    /// Row `row`.
    pub fn get(&self, row: usize) -> TokenRecord {
        TokenRecord {
            document: self.document[row],
            position: self.position[row],
            token: self.token[row],
            byte_start: self.byte_start[row],
            byte_end: self.byte_end[row],
            score: self.scores.get(row),
        }
    }

    /// Some of the rows.
    pub(crate) fn rows(&self, rows: Range<usize>) -> TokenColumns {
        let mut columns = TokenColumns::default();
        rows.for_each(|row| columns.push(self.get(row)));
        columns
    }

    pub(crate) fn clear(&mut self) {
        self.document.clear();
        self.position.clear();
        self.token.clear();
        self.byte_start.clear();
        self.byte_end.clear();
        self.scores.clear();
    }

    /// The rows as an Arrow batch of [`token_schema`].
    pub(crate) fn to_batch(&self, guesses: bool) -> Result<RecordBatch, ArrowError> {
        let mut columns =
            place_arrays([&self.document, &self.position, &self.token, &self.byte_start, &self.byte_end]);
        let s = &self.scores;
        let scores = score_arrays(&s.loss, &s.entropy, &s.rank, &s.top_token, &s.top_probability);
        let kept = |name: &str| guesses || !GUESSES.contains(&name);
        columns.extend(SCORES.iter().zip(scores).filter(|(name, _)| kept(name)).map(|(_, array)| array));
        let calibrated =
            s.calibrated.iter().flat_map(|calibrated| calibrated.arrays(0..calibrated.loss.len()));
        // The last is a guess's probability.
        columns.extend(calibrated.take(if guesses { CALIBRATED.len() } else { CALIBRATED.len() - 1 }));
        RecordBatch::try_new(Arc::new(token_schema(s.calibrated.is_some(), guesses)), columns)
    }
}

/// Arrays for [`PLACE`].
pub(crate) fn place_arrays(columns: [&[u32]; 5]) -> Vec<ArrayRef> {
    columns.into_iter().map(|column| Arc::new(UInt32Array::from(column.to_vec())) as ArrayRef).collect()
}

/// Arrays for [`SCORES`].
pub(crate) fn score_arrays(
    loss: &[f32],
    entropy: &[f32],
    rank: &[u32],
    top: &[u32],
    probability: &[f32],
) -> [ArrayRef; 5] {
    let float = |column: &[f32]| Arc::new(Float32Array::from(column.to_vec())) as ArrayRef;
    let integer = |column: &[u32]| Arc::new(UInt32Array::from(column.to_vec())) as ArrayRef;
    [float(loss), float(entropy), integer(rank), integer(top), float(probability)]
}

/// Fields for [`PLACE`].
pub(crate) fn place_fields() -> Vec<Field> {
    PLACE.iter().map(|name| Field::new(*name, DataType::UInt32, false)).collect()
}

/// The schema of `tokens.parquet`, with or without the columns at a temperature and the guesses.
pub(crate) fn token_schema(calibrated: bool, guesses: bool) -> Schema {
    let types = [DataType::Float32, DataType::Float32, DataType::UInt32, DataType::UInt32, DataType::Float32];
    let mut fields = place_fields();
    let scores = SCORES.iter().zip(types).filter(|(name, _)| guesses || !GUESSES.contains(name));
    fields.extend(scores.map(|(name, kind)| Field::new(*name, kind, false)));
    if calibrated {
        let names = CALIBRATED.iter().take(if guesses { CALIBRATED.len() } else { CALIBRATED.len() - 1 });
        fields.extend(names.map(|name| Field::new(*name, DataType::Float32, false)));
    }
    Schema::new(fields)
}

/// The schema of `documents.parquet`.
pub(crate) fn document_schema() -> Schema {
    Schema::new(vec![
        Field::new("document", DataType::UInt32, false),
        Field::new("name", DataType::Utf8, false),
        Field::new("text", DataType::Utf8, false),
        Field::new("tokens", DataType::UInt32, false),
        Field::new("scored", DataType::UInt32, false),
        Field::new("truncated", DataType::Boolean, false),
        Field::new("split", DataType::Utf8, false),
    ])
}
