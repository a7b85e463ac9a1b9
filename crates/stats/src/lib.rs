//! Pure statistics over joined records: no input, no output, no model, no page.
//!
//! [`classify_rows`] gives each token of a join its category by [`Rules`], [`compare()`] computes the
//! analyses and fills a [`Comparison`]. Everything about groups of tokens is derived from [`GroupSums`],
//! sums by document; intervals come from resampling those, document by document.

mod bootstrap;
mod brackets;
mod checked;
mod compare;
mod confidence;
mod correlation;
mod entropy;
mod equivalence;
mod error;
mod grouping;
mod heatmap;
mod moments;
mod nesting;
mod overall;
mod regression;
mod results;
mod rules;
mod student;
mod sums;
#[cfg(test)]
mod testing;

pub use checked::CheckedJoin;
pub use compare::{Options, classify_rows, compare};
pub use error::CompareError;
pub use regression::{HeldFixed, HeldFixedCategory, HeldFixedCovariate, HeldFixedPair, HeldFixedSlope};
pub use results::*;
pub use rules::{Rules, RulesError};
pub use sums::{GroupSum, GroupSums, Sums};
