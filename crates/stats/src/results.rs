//! The results of a comparison: plain data, one struct a section, serialised as `results.json`.
//!
//! Losses, entropies and differences are in nats. Δ is always loss of the first model named minus loss of
//! the second, so Δ < 0 means that the first wins.

use deltaloss_records::{Basis, Role, RunInfo};
use serde::{Deserialize, Serialize};

mod held_fixed;
mod oracle;
mod reliability;
mod tables;

pub use held_fixed::*;
pub use oracle::*;
pub use reliability::*;
pub use tables::*;

/// The schema name of `results.json`. (Version 1 had one set of sections and no tests; version 2 no
/// oracle, and an accuracy of every model.)
pub const RESULTS_SCHEMA: &str = "deltaloss.results/3";

/// Everything computed from one join: over all documents, and over each half of them apart; as scored, and again with
/// every model at its own temperature.
///
/// Headline numbers are those of `confirmation`, with `discovery` beside them: whatever was chosen by looking
/// at the data (thresholds, temperatures, hypotheses) was chosen on the discovery half.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// [`RESULTS_SCHEMA`].
    pub schema: String,
    /// What was compared.
    pub setup: Setup,
    /// All documents with joined tokens.
    pub all: Sections,
    /// Those of the discovery half; null where none of its documents has joined tokens.
    #[serde(default)]
    pub discovery: Option<Sections>,
    /// Those of the confirmation half; null where none of its documents has joined tokens.
    #[serde(default)]
    pub confirmation: Option<Sections>,
    /// The same with the losses and entropies of every model at its own temperature; null where a run has none.
    #[serde(default)]
    pub calibrated: Option<ByHalf>,
}

/// Every analysis on one basis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ByHalf {
    /// All documents with joined tokens.
    pub all: Sections,
    /// Those of the discovery half; null where none of its documents has joined tokens.
    pub discovery: Option<Sections>,
    /// Those of the confirmation half; null where none of its documents has joined tokens.
    pub confirmation: Option<Sections>,
}

impl Comparison {
    /// Puts together what the passes found on each basis; the numbers of tokens and bytes in `setup` are set.
    pub fn new(setup: Setup, as_scored: ByHalf, calibrated: Option<ByHalf>) -> Self {
        let ByHalf { all, discovery, confirmation } = as_scored;
        let setup = Setup { tokens: all.tokens, bytes: all.bytes, ..setup };
        Comparison { schema: RESULTS_SCHEMA.to_owned(), setup, all, discovery, confirmation, calibrated }
    }
}

/// Every analysis over one set of documents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sections {
    /// Documents with joined tokens.
    pub documents: u64,
    /// Their joined tokens: every table below is about these.
    pub tokens: u64,
    /// UTF-8 bytes of these tokens.
    pub bytes: u64,
    /// How the intervals below were made, or why there are none.
    pub intervals: IntervalNote,
    /// Analysis 1.
    pub overall: Overall,
    /// Analysis 2: every pair of models, (a, b) first.
    pub correlation: Vec<PairCorrelation>,
    /// Analysis 3: most negative Δ first.
    pub categories: Vec<DeltaRow>,
    /// Analysis 4.
    pub brackets: Brackets,
    /// Analysis 5: one a model, in the order of `setup.models`.
    pub entropy: Vec<EntropyDistribution>,
    /// Analysis 5, differences of two models: (a, b); where there is a placebo also (placebo, b), and (a,
    /// placebo), which is the difference of these two.
    pub entropy_pairs: Vec<EntropyPair>,
    /// Analysis 6.
    pub confidence: Vec<ConfidenceRow>,
    /// Analysis 7; null where there is no oracle.
    #[serde(default)]
    pub oracle: Option<Oracle>,
    /// Analysis 8: whether each model's probabilities mean what they say, in the order of `setup.models` but for those
    /// without guesses; the same on either basis.
    #[serde(default)]
    pub reliability: Vec<Reliability>,
    /// Δ with category, frequency, position, depth, repetition and entropy held fixed at once.
    #[serde(default)]
    pub held_fixed: Option<HeldFixed>,
}

/// A number with room for its uncertainty.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The number.
    pub value: f64,
    /// Its 95 % interval, where one was computed.
    pub interval: Option<[f64; 2]>,
    /// Its cluster-robust standard error (linearised ratio, documents as clusters), where one was computed.
    #[serde(default)]
    pub standard_error: Option<f64>,
}

impl Estimate {
    /// A number without an interval.
    pub fn point(value: f64) -> Self {
        Estimate { value, interval: None, standard_error: None }
    }
}

/// A two-sided t test that a number is zero: its estimate over its cluster-robust standard error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Test {
    /// Documents that hold tokens of the group, less one; for a difference of two groups the fewer.
    pub degrees_of_freedom: u64,
    /// The probability of so large a |t| were the number zero.
    pub p_value: f64,
    /// The Benjamini–Hochberg q-value (Benjamini and Hochberg 1995) within the number's family: the tested
    /// rows of one table and column, of one set of documents.
    pub q_value: f64,
}

/// How the intervals of a set of documents were made.
///
/// A number whose group has tokens in fewer than `fewest_documents` documents carries none, nor does a share of
/// a gap whose mean is fewer than five of its standard errors from zero: what is divided by so unsure a number has no
/// interval worth the name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IntervalNote {
    /// The method, in words.
    pub method: String,
    /// How many of such intervals hold the true value: 0.95.
    pub level: f64,
    /// Resamples of the documents.
    pub replicates: u64,
    /// Seed of the resamples.
    pub seed: u64,
    /// Documents that were drawn from: those with joined tokens.
    pub documents: u64,
    /// A number from fewer documents carries no interval, no standard error and no test.
    pub fewest_documents: u64,
    /// Why no number at all carries an interval, where that is so.
    pub none_because: Option<String>,
}

/// What was compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    /// The runs with their roles; a first, b second; without the oracle.
    pub models: Vec<SetupModel>,
    /// The oracle's run, where there is one.
    #[serde(default)]
    pub oracle: Option<SetupModel>,
    /// Documents of the corpus.
    pub documents: u64,
    /// Tokens joined: every table below is about these.
    pub tokens: u64,
    /// UTF-8 bytes of the joined tokens.
    pub bytes: u64,
    /// Tokens that some run predicted and another did not.
    pub left_out: u64,
    /// Name of the category rules.
    pub rules: String,
    /// Which numbers lead in the report, and what `delta` in `joined.parquet` is of: the models as scored, or each at its
    /// own temperature.
    #[serde(default)]
    pub basis: Basis,
}

/// One run of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SetupModel {
    /// Its role.
    pub role: Role,
    /// The name shown in reports.
    pub label: String,
    /// Its provenance.
    pub run: RunInfo,
    /// Whether its tokens are others than run a's, so that its losses were carried by bytes and its entropies by characters.
    #[serde(default)]
    pub carried: bool,
}

/// Analysis 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Overall {
    /// Each model on the joined tokens, in the order of `setup.models`.
    pub models: Vec<ModelSummary>,
    /// (a, b) first, then (placebo, b) where there is a placebo.
    pub pairs: Vec<PairSummary>,
    /// Pair (a, b) less pair (placebo, b), where there is a placebo.
    #[serde(default)]
    pub placebo_difference: Option<PairDifference>,
}

/// What pair (a, b) shows beyond pair (placebo, b), on the same tokens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairDifference {
    /// Difference of the mean Δ, nats.
    pub mean_delta_nats: Estimate,
    /// Whether it is zero; a family of its own, so that q = p.
    pub mean_delta_test: Option<Test>,
    /// Difference of the shares of tokens with Δ < 0.
    pub first_wins_tokens: Estimate,
    /// Difference of the shares of documents whose mean Δ is < 0.
    pub first_wins_documents: Estimate,
}

/// One model on the joined tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelSummary {
    /// Its role.
    pub role: Role,
    /// The name shown in reports.
    pub label: String,
    /// Mean loss, nats a token.
    pub mean_loss_nats: Estimate,
    /// Total loss in bits over total bytes.
    pub bits_per_byte: Estimate,
    /// exp(mean loss); the largest double where that overflows.
    pub perplexity: Estimate,
    /// Share of tokens whose rank is 0; null where the run has no
    /// ranks, or other tokens than a, whose rows these are.
    pub top1_accuracy: Option<Estimate>,
    /// Mean entropy, nats.
    pub mean_entropy_nats: Estimate,
    /// Median entropy, nats; its interval is Woodruff's (1952), from the share of tokens below.
    pub median_entropy_nats: Estimate,
}

/// Two models on the joined tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairSummary {
    /// The first model: Δ = loss of first − loss of second.
    pub first: Role,
    /// The second.
    pub second: Role,
    /// Mean Δ over tokens, nats.
    pub mean_delta_nats: Estimate,
    /// Whether it is zero; a family of its own, so that q = p.
    #[serde(default)]
    pub mean_delta_test: Option<Test>,
    /// Summed Δ over summed bytes, nats a byte.
    #[serde(default)]
    pub delta_nats_per_byte: Option<Estimate>,
    /// Share of tokens with Δ < 0.
    pub first_wins_tokens: Estimate,
    /// Share of documents (with joined tokens) whose mean Δ is < 0.
    pub first_wins_documents: Estimate,
    /// Whether the mean Δ is shown to be small; null where it has no standard error.
    #[serde(default)]
    pub equivalence: Option<Equivalence>,
}

/// Two one-sided t tests of |mean Δ| < margin, from the cluster-robust standard error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Equivalence {
    /// The margin, nats.
    pub margin_nats: f64,
    /// Documents with joined tokens, less one.
    pub degrees_of_freedom: u64,
    /// The larger of the two p-values.
    pub p_value: f64,
    /// The 90 % t interval of the mean Δ, nats: within the margin exactly where `equivalent`.
    pub interval_90: [f64; 2],
    /// Whether `p_value` is below 0.05. If not, a difference is not thereby shown.
    pub equivalent: bool,
}
