//! Analysis 8: whether probabilities mean what they say.

use deltaloss_records::Role;
use serde::{Deserialize, Serialize};

use crate::Estimate;

/// A model's reliability.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// Its role.
    pub role: Role,
    /// The name shown in reports.
    pub label: String,
    /// As the model is.
    pub as_scored: ReliabilityDiagram,
    /// At its temperature, where its run has one.
    pub calibrated: Option<ReliabilityDiagram>,
}

/// The probability of the likeliest token against how often it is the token (Guo et al. 2017, arXiv 1706.04599).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityDiagram {
    /// Σ over bins of tokens·|accuracy − mean probability|, over all tokens. It is above 0 for any finite number of tokens,
    /// of a calibrated model too; interval and standard error keep each bin's sign as it is in the whole, so they do
    /// not allow for that.
    pub expected_calibration_error: Estimate,
    /// Mean probability − accuracy over all tokens: above 0, the model is surer than it is right.
    pub overconfidence: Estimate,
    /// Fifteen bins of equal width.
    pub bins: Vec<ReliabilityBin>,
}

/// Tokens whose likeliest entry has a probability in (`above`, `up_to`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// The lower end.
    pub above: f64,
    /// The upper end.
    pub up_to: f64,
    /// How many.
    pub tokens: u64,
    /// Mean probability of the likeliest entry; null for an empty bin, as below.
    pub mean_probability: Option<f64>,
    /// Share of the tokens that are the likeliest entry.
    pub accuracy: Option<f64>,
    /// Accuracy − mean probability.
    pub gap: Option<Estimate>,
}
