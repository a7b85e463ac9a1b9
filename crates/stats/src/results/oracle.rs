//! The section of analysis 7.

use serde::{Deserialize, Serialize};

use super::{DeltaRow, Estimate, Test};

/// Analysis 7: Δ by the entropy of a stronger model, the oracle, as scored on either basis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Oracle {
    /// The name shown in reports.
    pub label: String,
    /// Tokens with an entropy of the oracle: what the numbers below are about.
    pub tokens: u64,
    /// Tokens without one, which its own tokens do not cover.
    pub without_value: u64,
    /// At most twenty bins of about as many tokens each, by ascending entropy; equal entropies are in one bin, so that there are
    /// fewer where many are equal. The tests of each column are a family.
    pub bins: Vec<OracleBin>,
    /// Where the line through the bins (mean entropy, mean Δ) changes its sign, nats, ascending; a bin that is level is passed over.
    pub crossings_nats: Vec<f64>,
    /// The trend of Δ of (a, b); null where the entropies are all equal.
    pub trend: Option<OracleTrend>,
    /// That of (placebo, b), where there is a placebo.
    pub placebo_trend: Option<OracleTrend>,
    /// Slope of (a, b) − slope of (placebo, b), nats a nat.
    pub slope_difference: Option<Estimate>,
    /// Whether that is zero; a family of its own, so that q = p.
    pub slope_difference_test: Option<Test>,
}

/// Tokens whose oracle entropy is at most `up_to_nats` and above that of the bin before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OracleBin {
    /// The largest entropy of the bin, nats. (Beyond 2¹⁸ tokens entropies are told apart in 12 bits of precision here.)
    pub up_to_nats: f64,
    /// The mean entropy of its tokens, nats.
    pub mean_entropy_nats: f64,
    /// The numbers of Δ; `name` counts the bins from 1.
    #[serde(flatten)]
    pub row: DeltaRow,
}

/// The least-squares line of Δ on the oracle's entropy over tokens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct OracleTrend {
    /// Its slope, nats of Δ for a nat of entropy.
    pub slope: Estimate,
    /// Whether that is zero; a family of its own, so that q = p.
    pub slope_test: Option<Test>,
    /// Δ at an entropy of 0, nats.
    pub intercept_nats: Estimate,
    /// The entropy at which the line crosses zero, nats, which may be below 0; null where it is level, but for rounding. It has an
    /// interval only where the slope is five of its standard errors from zero.
    pub crossing_nats: Option<Estimate>,
}
