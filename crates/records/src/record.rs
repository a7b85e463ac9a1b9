//! The token record and the document record: what scoring produces and everything later reads.

use serde::{Deserialize, Serialize};

/// One predicted token of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenRecord {
    /// Row of the document in the run's documents.
    pub document: u32,
    /// Index of the token in its document's token sequence.
    pub position: u32,
    /// Vocabulary id.
    pub token: u32,
    /// First byte of the token in the document's UTF-8 text.
    pub byte_start: u32,
    /// One past the last byte of the token in the document's UTF-8 text.
    pub byte_end: u32,
    /// What the model gave this token.
    pub score: TokenScore,
}

/// What a model gives one token: the columns that do not depend on where the token stands.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TokenScore {
    /// −ln p(token given what precedes it), nats.
    pub loss_nats: f32,
    /// −Σ p ln p of the predictive distribution over the whole vocabulary, nats.
    pub entropy_nats: f32,
    /// How many vocabulary entries have a strictly larger logit than the token.
    pub rank: u32,
    /// The likeliest vocabulary entry (the lowest id among equals).
    pub top_token: u32,
    /// The probability of `top_token`.
    pub top_probability: f32,
    /// The same at the run's fitted temperature, where it was fitted.
    pub calibrated: Option<CalibratedScore>,
}

/// What a model gives one token once its logits are divided by the run's temperature. Rank and likeliest entry are those of
/// the [`TokenScore`], since a temperature does not change their order.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CalibratedScore {
    /// −ln p(token given what precedes it), nats.
    pub loss_nats: f32,
    /// −Σ p ln p of the predictive distribution over the whole vocabulary, nats.
    pub entropy_nats: f32,
    /// The probability of the likeliest entry.
    pub top_probability: f32,
}

/// Which half of the documents a document belongs to; decided by a hash of its text, so the same in every run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Thresholds, temperatures and ideas come from this half.
    Discovery,
    /// Headline numbers come from this half.
    Confirmation,
}

impl Split {
    /// The split of a document whose text has this SHA-256.
    pub fn of(text_sha256: &[u8; 32]) -> Self {
        if text_sha256[0] & 1 == 0 { Split::Discovery } else { Split::Confirmation }
    }

    /// The name used in `documents.parquet`.
    pub fn name(self) -> &'static str {
        match self {
            Split::Discovery => "discovery",
            Split::Confirmation => "confirmation",
        }
    }
}

impl std::str::FromStr for Split {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "discovery" => Ok(Split::Discovery),
            "confirmation" => Ok(Split::Confirmation),
            other => Err(format!("split `{other}` is neither `discovery` nor `confirmation`")),
        }
    }
}

/// One document of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct DocumentRecord {
    /// Row of this document, counted from 0 in corpus order.
    pub document: u32,
    /// Where the text came from: a path below the corpus, a line, a problem's id.
    pub name: String,
    /// The text, UTF-8.
    pub text: String,
    /// How many tokens the text has under the run's tokenizer.
    pub tokens: u32,
    /// How many of them were predicted.
    pub scored: u32,
    /// Whether tokens were left out because the window ended before the text.
    pub truncated: bool,
    /// Discovery or confirmation.
    pub split: Split,
}
