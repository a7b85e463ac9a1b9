//! The table 'held fixed': Δ by category with frequency, position, depth, repetition and entropy held fixed.
//!
//! It belongs to the second pass: how often each token occurs has to be known before a token's covariates are.

mod covariates;
mod fit;
mod sums;
#[cfg(test)]
mod tests;
mod totals;

use std::collections::HashMap;
use std::sync::Arc;

use deltaloss_records::{Role, WindowInfo};

use crate::families::{correct, two_sided};
use crate::student::upper_quantile;
use crate::{
    Estimate, HeldFixed, HeldFixedCategory, HeldFixedCovariate, HeldFixedPair, HeldFixedSlope, SecondRows,
    Test,
};
use covariates::{NAMES, Windows};
use fit::{Coefficient, Design};
use sums::{DocumentSums, OUTCOMES, Observation};

/// The sums by document of the regression.
#[derive(Clone, Debug)]
pub(crate) struct Regression {
    /// Of each token, over all documents.
    occurrences: Arc<HashMap<u32, u64>>,
    windows: Windows,
    entropy_of: Role,
    /// Place of that model among the models of the rows; of the oracle, which is none of them, nothing.
    entropy_place: Option<usize>,
    /// Place of the placebo, where there is one.
    placebo: Option<usize>,
    /// Ascending by document, those with tokens only.
    documents: Vec<DocumentSums>,
}

impl Regression {
    /// No documents yet. `occurrences` are those of each token among the joined tokens of all documents, `window` is that of
    /// run a, `roles` are those of all runs, that of the oracle last where there is one.
    pub(crate) fn new(occurrences: HashMap<u32, u64>, window: &WindowInfo, roles: &[Role]) -> Self {
        let entropy_of = entropy_control(roles);
        Regression {
            occurrences: Arc::new(occurrences),
            windows: Windows::new(window),
            entropy_of,
            entropy_place: roles
                .iter()
                .position(|role| *role == entropy_of)
                .filter(|_| entropy_of != Role::Oracle),
            placebo: roles.iter().position(|role| *role == Role::Placebo),
            documents: Vec::new(),
        }
    }

    /// The same without documents.
    pub(crate) fn fresh(&self) -> Self {
        Regression { occurrences: Arc::clone(&self.occurrences), documents: Vec::new(), ..*self }
    }

    /// Adds a document.
    pub(crate) fn add_rows(&mut self, rows: &SecondRows<'_>) {
        let (a, b) = (rows.losses[0], rows.losses[1]);
        let placebo = self.placebo.map(|place| rows.losses[place]);
        let entropy = |row: usize| match self.entropy_place {
            Some(place) => Some(rows.entropies[place][row]),
            None => rows.oracle.and_then(|oracle| oracle[row]),
        };
        let covariates = covariates::of_document(rows, entropy, self.windows, &self.occurrences);
        // What has no entropy of the oracle takes no part.
        let observations = covariates.enumerate().filter_map(|(row, x)| {
            let b = f64::from(b[row]);
            let second = placebo.map_or(0.0, |placebo| f64::from(placebo[row]) - b);
            let y = [f64::from(a[row]) - b, second];
            Some(Observation { category: u32::from(rows.category[row]), x: x?, y })
        });
        self.add(DocumentSums::new(rows.document, observations));
    }

    /// Adds the documents of another part.
    pub(crate) fn merge(&mut self, other: Self) {
        self.documents.extend(other.documents);
        self.documents.sort_by_key(|sums| sums.document);
    }

    fn add(&mut self, sums: DocumentSums) {
        if !sums.categories.is_empty() {
            let place = self.documents.partition_point(|known| known.document < sums.document);
            self.documents.insert(place, sums);
        }
    }

    /// Makes the section of the documents for which `part` holds, with these names of the categories; nothing
    /// without tokens.
    pub(crate) fn held_fixed(&self, part: impl Fn(u32) -> bool, categories: &[String]) -> Option<HeldFixed> {
        let documents: Vec<&DocumentSums> =
            self.documents.iter().filter(|sums| part(sums.document)).collect();
        held_fixed(&documents, categories, self.entropy_of, self.placebo.is_some())
    }
}

/// Whose entropy is held fixed: a model's outside the pair where there is one.
fn entropy_control(roles: &[Role]) -> Role {
    [Role::Benchmark, Role::Oracle].into_iter().find(|role| roles.contains(role)).unwrap_or(Role::B)
}

fn held_fixed(
    documents: &[&DocumentSums],
    categories: &[String],
    entropy_of: Role,
    placebo: bool,
) -> Option<HeldFixed> {
    let design = Design::new(documents, categories.len())?;
    let names = covariate_names(entropy_of);
    let covariates = names.iter().zip(design.spread).zip(design.dropped).map(|((name, spread), dropped)| {
        HeldFixedCovariate {
            name: name.clone(),
            mean: spread.mean,
            standard_deviation: spread.standard_deviation,
            dropped_because: dropped.map(|why| why.reason().to_owned()),
        }
    });
    let pair = |first, second, weights| pair(&design, (first, second), weights, &names, categories);
    let mut pairs = vec![pair(Role::A, Role::B, [1.0, 0.0])?];
    if placebo {
        pairs.push(pair(Role::Placebo, Role::B, [0.0, 1.0])?);
        pairs.push(pair(Role::A, Role::Placebo, [1.0, -1.0])?);
    }
    Some(HeldFixed {
        tokens: documents.iter().map(|sums| sums.tokens()).sum(),
        documents: documents.len() as u64,
        entropy_of,
        covariates: covariates.collect(),
        pairs,
    })
}

fn covariate_names(entropy_of: Role) -> Vec<String> {
    let mut names: Vec<String> = NAMES.map(str::to_owned).to_vec();
    if let Some(last) = names.last_mut() {
        *last = format!("{last} of {}, nats", entropy_of.name());
    }
    names
}

fn pair(
    design: &Design<'_>,
    (first, second): (Role, Role),
    weights: [f64; OUTCOMES],
    names: &[String],
    categories: &[String],
) -> Option<HeldFixedPair> {
    let fit = design.fit(weights)?;
    let slopes = names.iter().zip(fit.slopes).map(|(name, slope)| HeldFixedSlope {
        name: name.clone(),
        delta_nats_per_unit: slope.map(estimate),
        delta_test: slope.and_then(test),
    });
    let several = fit.categories.len() > 1;
    let rows = fit.categories.iter().map(|adjusted| HeldFixedCategory {
        name: categories[adjusted.category as usize].clone(),
        tokens: adjusted.tokens,
        documents: adjusted.excess.documents,
        delta_nats: estimate(adjusted.mean),
        excess_nats: several.then(|| estimate(adjusted.excess)),
        excess_test: test(adjusted.excess).filter(|_| several),
    });
    let (mut slopes, mut rows): (Vec<HeldFixedSlope>, Vec<HeldFixedCategory>) =
        (slopes.collect(), rows.collect());
    correct(slopes.iter_mut().map(|row| &mut row.delta_test));
    correct(rows.iter_mut().map(|row| &mut row.excess_test));
    Some(HeldFixedPair { first, second, r_squared: fit.r_squared, slopes, categories: rows })
}

/// A coefficient with its t interval.
fn estimate(coefficient: Coefficient) -> Estimate {
    let Coefficient { value, standard_error, documents } = coefficient;
    let interval = standard_error.map(|error| {
        let half = upper_quantile(0.025, documents - 1) * error;
        [value - half, value + half]
    });
    Estimate { value, interval, standard_error }
}

fn test(coefficient: Coefficient) -> Option<Test> {
    two_sided(&estimate(coefficient), coefficient.documents as usize)
}
