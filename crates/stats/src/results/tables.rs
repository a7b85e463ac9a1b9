//! Analyses 2 to 6 as data: correlations, rows of groups of tokens, distributions, cells.

use deltaloss_records::Role;
use serde::{Deserialize, Serialize};

use super::{Estimate, Test};

/// Analysis 2, for one pair of models. A coefficient is null where it does not exist: fewer than two
/// points, or all losses of one model equal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairCorrelation {
    /// The model on the x axis.
    pub x: Role,
    /// The model on the y axis.
    pub y: Role,
    /// Pearson's r of the losses over occurrences.
    pub pearson_occurrences: Option<Estimate>,
    /// Spearman's rank correlation of the losses over occurrences (ties share their mean rank). Beyond 2¹⁸ tokens
    /// losses that agree in 12 bits of precision count as ties, which moves it by less than 10⁻⁶. Its interval
    /// resamples the linearised coefficient on Fisher's scale.
    pub spearman_occurrences: Option<Estimate>,
    /// Vocabulary entries that occur.
    pub vocabulary_entries: u64,
    /// Pearson's r of the mean losses of vocabulary entries, each entry counted once (the post's Figure 33). The
    /// interval is of the coefficient to be expected of a corpus of this size: that of the replicates, moved on Fisher's
    /// scale to where their mean is the estimate. It has no standard error, since which entries occur is no sum.
    pub pearson_vocabulary: Option<Estimate>,
    /// The same with each entry weighted by its occurrences.
    pub pearson_vocabulary_weighted: Option<Estimate>,
    /// The grid of occurrences.
    pub heatmap_occurrences: Heatmap,
    /// The grid of vocabulary entries: each entry lies at its mean losses and adds its occurrences.
    pub heatmap_vocabulary: Heatmap,
}

/// A square log-log grid of token counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Heatmap {
    /// Cell boundaries on both axes, nats, ascending, one more than cells a side.
    pub edges_nats: Vec<f64>,
    /// Tokens in each cell: `counts[y][x]`.
    pub counts: Vec<Vec<u64>>,
    /// Tokens beyond the grid (below its first edge or above its last on either axis).
    pub outside: u64,
}

/// One group of tokens: a category, a bracket token, a bracket count, a depth.
///
/// Numbers of Δ are null where the group is empty, those of the placebo where there is none. The excess is the
/// group's mean Δ less the mean Δ of all tokens of the same documents. Each column of tests is one family.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeltaRow {
    /// What the group is.
    pub name: String,
    /// Occurrences.
    pub tokens: u64,
    /// Their UTF-8 bytes.
    pub bytes: u64,
    /// Distinct vocabulary entries among them.
    pub vocabulary_entries: u64,
    /// Documents with at least one.
    pub documents: u64,
    /// Mean loss of a, nats.
    pub loss_a_nats: Option<Estimate>,
    /// Mean loss of b, nats.
    pub loss_b_nats: Option<Estimate>,
    /// Mean Δ = loss a − loss b, nats.
    pub delta_nats: Option<Estimate>,
    /// Whether `delta_nats` is zero.
    pub delta_test: Option<Test>,
    /// Summed Δ over summed bytes, nats a byte: what to read where a and b have different tokens.
    pub delta_nats_per_byte: Option<Estimate>,
    /// Mean Δ of the group − mean Δ of all tokens, nats.
    pub excess_nats: Option<Estimate>,
    /// Whether `excess_nats` is zero.
    pub excess_test: Option<Test>,
    /// The group's summed Δ over the summed Δ of all tokens; null where the total is zero.
    pub share_of_gap: Option<Estimate>,
    /// Mean Δ of (placebo, b) on the same tokens, nats.
    pub placebo_delta_nats: Option<Estimate>,
    /// Whether `placebo_delta_nats` is zero.
    pub placebo_delta_test: Option<Test>,
    /// The excess of (placebo, b), nats.
    pub placebo_excess_nats: Option<Estimate>,
    /// Whether `placebo_excess_nats` is zero.
    pub placebo_excess_test: Option<Test>,
    /// The group's share of the gap of (placebo, b).
    pub placebo_share_of_gap: Option<Estimate>,
    /// `delta_nats` − `placebo_delta_nats`.
    pub difference_nats: Option<Estimate>,
    /// Whether `difference_nats` is zero.
    pub difference_test: Option<Test>,
    /// `excess_nats` − `placebo_excess_nats`.
    pub excess_difference_nats: Option<Estimate>,
    /// Whether `excess_difference_nats` is zero.
    pub excess_difference_test: Option<Test>,
}

/// Analysis 4.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Brackets {
    /// Tokens made only of closing brackets, one row a token text, most negative Δ first.
    pub by_token: Vec<DeltaRow>,
    /// Tokens of closing brackets, colons and white space, by how many closing brackets they hold, most
    /// first.
    pub by_count: Vec<DeltaRow>,
    /// Tokens that hold a closing bracket, by the nesting depth where they start.
    pub by_depth: Vec<DeltaRow>,
}

/// Analysis 5, for one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EntropyDistribution {
    /// The model's role.
    pub role: Role,
    /// The name shown in reports.
    pub label: String,
    /// Mean entropy, nats.
    pub mean_nats: Estimate,
    /// Median entropy, nats.
    pub median_nats: Estimate,
    /// Share of tokens with entropy below 0.2 nats.
    pub share_below_0_2: Estimate,
    /// Entropies at which the density is given, nats, ascending.
    pub grid_nats: Vec<f64>,
    /// Density at `grid_nats`, per nat: the derivative of the smoothed cumulative histogram.
    pub density_per_nat: Vec<f64>,
    /// The 95 % interval of each density, pointwise; null as intervals are.
    #[serde(default)]
    pub density_intervals_per_nat: Option<Vec<[f64; 2]>>,
    /// The cluster-robust standard error of each density; null as standard errors are.
    #[serde(default)]
    pub density_standard_errors_per_nat: Option<Vec<f64>>,
}

/// Analysis 5, two models: number of the first − number of the second, on the same tokens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EntropyPair {
    /// The first model.
    pub first: Role,
    /// The second.
    pub second: Role,
    /// Difference of the mean entropies, nats.
    pub mean_nats: Estimate,
    /// Whether it is zero; a family of its own, so that q = p.
    pub mean_test: Option<Test>,
    /// Difference of the shares of tokens with entropy below 0.2 nats.
    pub share_below_0_2: Estimate,
    /// Whether it is zero; a family of its own, so that q = p.
    pub share_below_0_2_test: Option<Test>,
}

/// Analysis 6, for one pair of thresholds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConfidenceRow {
    /// The confident model's entropy is below this, nats.
    pub confident_below_nats: f64,
    /// The other model's entropy is above this, nats.
    pub uncertain_above_nats: f64,
    /// a confident, b uncertain; Δ = a − b.
    pub a_confident: ConfidenceCell,
    /// b confident, a uncertain; Δ = a − b.
    pub b_confident: ConfidenceCell,
    /// Placebo confident, b uncertain; Δ = placebo − b. What selection by a model's own entropy alone does.
    pub placebo_confident: Option<ConfidenceCell>,
    /// b confident, placebo uncertain; Δ = placebo − b.
    pub b_confident_over_placebo: Option<ConfidenceCell>,
    /// `a_confident` − `placebo_confident`. Each model's own entropy selects, so the two are about different
    /// tokens: a difference of two ratios, from the same resamples.
    #[serde(default)]
    pub a_difference: Option<ConfidenceDifference>,
    /// `b_confident` − `b_confident_over_placebo`, likewise.
    #[serde(default)]
    pub b_difference: Option<ConfidenceDifference>,
}

/// The tokens that meet one condition of analysis 6.
///
/// Tests: the cells of (a, b), both ways and of all rows, are one family for Δ and one for the excess; those
/// of (placebo, b) likewise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConfidenceCell {
    /// Occurrences.
    pub tokens: u64,
    /// Documents with at least one.
    pub documents: u64,
    /// Mean Δ, nats; null when there is no such token.
    pub delta_nats: Option<Estimate>,
    /// Whether it is zero.
    pub delta_test: Option<Test>,
    /// Mean Δ − mean Δ of all tokens, nats.
    pub excess_nats: Option<Estimate>,
    /// Whether it is zero.
    pub excess_test: Option<Test>,
    /// The cell's summed Δ over the summed Δ of all tokens; null where the total is zero.
    pub share_of_gap: Option<Estimate>,
}

/// A cell of (a, b) less the same cell of (placebo, b). The differences of all rows, both ways, are one family
/// for Δ and one for the excess.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConfidenceDifference {
    /// Difference of the mean Δ, nats; null where either cell has no token.
    pub delta_nats: Option<Estimate>,
    /// Whether it is zero.
    pub delta_test: Option<Test>,
    /// Difference of the excesses, nats.
    pub excess_nats: Option<Estimate>,
    /// Whether it is zero.
    pub excess_test: Option<Test>,
}
