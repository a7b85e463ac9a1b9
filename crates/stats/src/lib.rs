//! Pure statistics over joined records: no input, no output, no model, no page.
//!
//! [`classify_rows`] gives each token of a join its category by [`Rules`], [`compare()`] computes the
//! analyses and fills a [`Comparison`]. Everything about groups of tokens is derived from sums by document;
//! intervals come from resampling those, document by document.
//!
//! # How an analysis is built
//!
//! 1. An [`Accumulator`] is fed one document's joined rows at a time ([`DocumentRows`]), keeps sums of that
//!    document under its index in the corpus, and merges with accumulators of other documents.
//! 2. When all documents are in, it is finished three times, each time with the `Resamples` of one set of
//!    documents: all, the discovery half, the confirmation half. `Resamples::contains(document)` says which
//!    documents belong to the set; their sums give the point estimates (in document order), `Resamples` the
//!    intervals, from replicates that all statistics of the set share.
//! 3. What comes out is a field of [`Sections`], which [`Comparison`] holds three of.
//!
//! What needs the distribution of all tokens first (medians, ranks) takes a second pass of the same form.

mod bootstrap;
mod brackets;
mod checked;
mod compare;
mod confidence;
mod correlation;
mod distribution;
mod document;
mod entropy;
mod equivalence;
mod error;
mod estimate;
mod families;
mod groups;
mod heatmap;
mod moments;
mod nesting;
mod oracle;
mod overall;
mod ranks;
mod regression;
mod reliability;
mod results;
mod rows;
mod rules;
mod student;
mod table;
#[cfg(test)]
mod testing;
mod vocabulary;

pub use checked::{CheckedJoin, token_depths};
pub use compare::{Classifier, FirstPass, Options, classify_rows, compare};
pub use document::{Accumulator, DocumentRows, GuessRows, ModelRows, SecondRows};
pub use error::CompareError;
pub use ranks::SecondPass;
pub use results::*;
pub use rules::{Rules, RulesError};
