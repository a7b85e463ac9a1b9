//! The table 'held fixed': Δ by category with frequency, position, depth, repetition and entropy held fixed.
//!
//! Two passes: [`Occurrences`] counts the tokens, then [`Regression`] takes the documents' sums, which the section
//! is made of. Both merge.

mod covariates;
mod fit;
mod results;
mod sums;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use deltaloss_records::{Role, WindowInfo};

pub use results::{HeldFixed, HeldFixedCategory, HeldFixedCovariate, HeldFixedPair, HeldFixedSlope};

use crate::student::{upper_quantile, upper_tail};
use crate::{Accumulator, DocumentRows, Estimate, Test};
use covariates::{NAMES, Windows};
use fit::{Coefficient, Design};
use sums::{DocumentSums, OUTCOMES, Observation};

/// How often each token occurs among the joined tokens of all documents; memory grows with the vocabulary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Occurrences {
    counts: HashMap<u32, u64>,
}

impl Accumulator for Occurrences {
    fn add_document(&mut self, rows: &DocumentRows<'_>) {
        for &token in rows.token {
            *self.counts.entry(token).or_insert(0) += 1;
        }
    }

    #[expect(clippy::iter_over_hash_type, reason = "sums of whole numbers do not depend on their order")]
    fn merge(&mut self, other: Self) {
        for (token, count) in other.counts {
            *self.counts.entry(token).or_insert(0) += count;
        }
    }
}

/// The sums by document of the regression.
#[derive(Clone, Debug)]
pub(crate) struct Regression {
    occurrences: Arc<Occurrences>,
    windows: Windows,
    entropy_of: Role,
    placebo: bool,
    /// Ascending by document, those with tokens only.
    documents: Vec<DocumentSums>,
}

impl Accumulator for Regression {
    fn add_document(&mut self, rows: &DocumentRows<'_>) {
        let entropy = rows.model(self.entropy_of).map_or(rows.b().entropy, |model| model.entropy);
        let placebo = rows.model(Role::Placebo).filter(|_| self.placebo);
        let (a, b) = (rows.a().loss, rows.b().loss);
        let covariates = covariates::of_document(rows, entropy, self.windows, &self.occurrences.counts);
        let observations = covariates.enumerate().map(|(row, x)| {
            let b = f64::from(b[row]);
            let second = placebo.map_or(0.0, |placebo| f64::from(placebo.loss[row]) - b);
            Observation { category: u32::from(rows.category[row]), x, y: [f64::from(a[row]) - b, second] }
        });
        self.add(DocumentSums::new(rows.document, observations));
    }

    fn merge(&mut self, other: Self) {
        self.documents.extend(other.documents);
        self.documents.sort_by_key(|sums| sums.document);
    }
}

impl Regression {
    /// No documents yet. `window` is that of run a, `roles` are those of all runs.
    pub(crate) fn new(occurrences: Arc<Occurrences>, window: &WindowInfo, roles: &[Role]) -> Self {
        Regression {
            occurrences,
            windows: Windows::new(window),
            entropy_of: entropy_control(roles),
            placebo: roles.contains(&Role::Placebo),
            documents: Vec::new(),
        }
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
        held_fixed(&documents, categories, self.entropy_of, self.placebo)
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
    let mut pairs = vec![pair(Role::A, Role::B, [1.0, 0.0])];
    if placebo {
        pairs.push(pair(Role::Placebo, Role::B, [0.0, 1.0]));
        pairs.push(pair(Role::A, Role::Placebo, [1.0, -1.0]));
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
) -> HeldFixedPair {
    let fit = design.fit(weights);
    let slopes = names.iter().zip(fit.slopes).map(|(name, slope)| HeldFixedSlope {
        name: name.clone(),
        delta_nats_per_unit: slope.map(estimate),
        delta_test: slope.and_then(|slope| {
            // Each slope is a family of its own.
            p_value(slope).map(|p| test(slope, p, p))
        }),
    });
    let several = fit.categories.len() > 1;
    let tests: Vec<Option<f64>> =
        fit.categories.iter().map(|adjusted| p_value(adjusted.excess).filter(|_| several)).collect();
    let rows =
        fit.categories.iter().zip(&tests).zip(q_values(&tests)).map(|((adjusted, p_value), q_value)| {
            HeldFixedCategory {
                name: categories[adjusted.category as usize].clone(),
                tokens: adjusted.tokens,
                documents: adjusted.excess.documents,
                delta_nats: estimate(adjusted.mean),
                excess_nats: several.then(|| estimate(adjusted.excess)),
                excess_test: p_value.zip(q_value).map(|(p, q)| test(adjusted.excess, p, q)),
            }
        });
    HeldFixedPair {
        first,
        second,
        r_squared: fit.r_squared,
        slopes: slopes.collect(),
        categories: rows.collect(),
    }
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

fn test(coefficient: Coefficient, p_value: f64, q_value: f64) -> Test {
    Test { degrees_of_freedom: coefficient.documents - 1, p_value, q_value }
}

/// Of the two-sided t test against 0; nothing where there is no spread to test by.
fn p_value(coefficient: Coefficient) -> Option<f64> {
    let error = coefficient.standard_error.filter(|error| *error > 0.0)?;
    let t = (coefficient.value / error).abs();
    t.is_finite().then(|| 2.0 * upper_tail(t, coefficient.documents - 1))
}

/// The Benjamini–Hochberg (1995) q-values of a family's p-values; what was not tested stays without.
fn q_values(p_values: &[Option<f64>]) -> Vec<Option<f64>> {
    let mut tested: Vec<(f64, usize)> =
        p_values.iter().zip(0..).filter_map(|(p, index)| Some(((*p)?, index))).collect();
    tested.sort_by(|left, right| left.0.total_cmp(&right.0));
    let mut q_values = vec![None; p_values.len()];
    let (family, mut least) = (tested.len() as f64, 1.0f64);
    for (rank, (p, index)) in tested.into_iter().enumerate().rev() {
        least = least.min(p * family / (rank + 1) as f64);
        q_values[index] = Some(least);
    }
    q_values
}
