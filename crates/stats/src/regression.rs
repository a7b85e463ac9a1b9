//! The table 'held fixed': Δ by category with frequency, position, depth, repetition and entropy held fixed.
//!
//! [`RegressionSums`] takes the joined rows document by document and merges; [`held_fixed`] makes the section
//! of it. Occurrences of tokens are counted before, in a pass of their own.

mod covariates;
mod fit;
mod results;
mod sums;
#[cfg(test)]
mod tests;

use deltaloss_records::Role;

pub(crate) use covariates::{DocumentColumns, Windows, of_document};
pub use results::{HeldFixed, HeldFixedCategory, HeldFixedCovariate, HeldFixedPair, HeldFixedSlope};
pub(crate) use sums::{Observation, RegressionSums};

use crate::Estimate;
use crate::student::{upper_quantile, upper_tail};
use covariates::NAMES;
use fit::{Coefficient, Design};
use sums::{DocumentSums, OUTCOMES};

/// Makes the section of the documents for which `part` holds; nothing without tokens.
///
/// `categories` names the categories, `entropy_of` the model whose entropy the observations hold, and with
/// `placebo` their second outcome is a placebo's.
pub(crate) fn held_fixed(
    sums: &RegressionSums,
    part: impl Fn(usize) -> bool,
    categories: &[String],
    entropy_of: Role,
    placebo: bool,
) -> Option<HeldFixed> {
    let documents: Vec<&DocumentSums> = sums.documents.iter().filter(|sums| part(sums.document)).collect();
    let design = Design::new(&documents, categories.len())?;
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

/// Which model's entropy is held fixed: one outside the pair where there is one.
pub(crate) fn entropy_control(roles: &[Role]) -> Role {
    [Role::Benchmark, Role::Oracle].into_iter().find(|role| roles.contains(role)).unwrap_or(Role::B)
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
        p_value: slope.and_then(p_value),
    });
    let several = fit.categories.len() > 1;
    let tests: Vec<Option<f64>> =
        fit.categories.iter().map(|adjusted| p_value(adjusted.excess).filter(|_| several)).collect();
    let rows = fit.categories.iter().zip(&tests).zip(q_values(&tests)).map(|((adjusted, p_value), q_value)| {
        HeldFixedCategory {
            name: categories[adjusted.category as usize].clone(),
            tokens: adjusted.tokens,
            documents: adjusted.excess.documents,
            delta_nats: estimate(adjusted.mean),
            excess_nats: several.then(|| estimate(adjusted.excess)),
            p_value: *p_value,
            q_value,
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
