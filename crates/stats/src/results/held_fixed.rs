//! The section of the results that the regression fills.

use deltaloss_records::Role;
use serde::{Deserialize, Serialize};

use super::{Estimate, Test};

/// Analysis of Δ with several things held fixed at once: least squares of Δ on a token's category and on
/// the covariates below, over tokens. Standard errors come from leaving out one document at a time (CR3); intervals here
/// are 95 % t intervals from them, not resampled ones.
///
/// It describes, it does not say what causes what. Which columns take part was fixed before any data were
/// seen; the entropy in particular is that of a model outside the pair where there is one, since a
/// model's own entropy goes with its own loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldFixed {
    /// Tokens.
    pub tokens: u64,
    /// Documents with tokens.
    pub documents: u64,
    /// Whose entropy is held fixed: the benchmark's, else the oracle's, else b's.
    pub entropy_of: Role,
    /// What is held fixed beside the category.
    pub covariates: Vec<HeldFixedCovariate>,
    /// (a, b) first; then (placebo, b) and, as the difference of the two, (a, placebo), where there is a
    /// placebo.
    pub pairs: Vec<HeldFixedPair>,
}

/// A covariate over the tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldFixedCovariate {
    /// What it is, with its unit.
    pub name: String,
    /// Its mean, at which categories are compared.
    pub mean: f64,
    /// Its standard deviation.
    pub standard_deviation: f64,
    /// Why it takes no part, where it does not.
    pub dropped_because: Option<String>,
}

/// The regression for one pair of models.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldFixedPair {
    /// The first model: Δ = loss of first − loss of second.
    pub first: Role,
    /// The second.
    pub second: Role,
    /// Part of the variance of Δ over tokens that category and covariates explain together; null where Δ does
    /// not vary.
    pub r_squared: Option<f64>,
    /// One for each covariate.
    pub slopes: Vec<HeldFixedSlope>,
    /// One for each category with tokens, in the order of the rules.
    pub categories: Vec<HeldFixedCategory>,
}

/// What a covariate does to Δ, category and the other covariates held fixed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldFixedSlope {
    /// The covariate.
    pub name: String,
    /// Change of Δ for one unit of it, nats; null where it was dropped.
    pub delta_nats_per_unit: Option<Estimate>,
    /// Whether that is zero; the covariates of the pair are the family.
    pub delta_test: Option<Test>,
}

/// A category with the covariates held fixed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldFixedCategory {
    /// The category.
    pub name: String,
    /// Its tokens.
    pub tokens: u64,
    /// Documents that hold some: its errors rest on these.
    pub documents: u64,
    /// Its mean Δ if its tokens had the mean covariates of all tokens, nats.
    pub delta_nats: Estimate,
    /// That less the mean Δ of all tokens, nats; null where there is no other category.
    pub excess_nats: Option<Estimate>,
    /// Whether `excess_nats` is zero; the categories of the pair are the family.
    pub excess_test: Option<Test>,
}
