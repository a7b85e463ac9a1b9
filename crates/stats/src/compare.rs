//! The comparison as a whole: classifying the tokens of a join and filling every section of the results.

use std::collections::HashMap;

use deltaloss_records::Joined;

use crate::bootstrap::Resamples;
use crate::grouping::{Grouping, Whole, sort_by_delta};
use crate::{
    CheckedJoin, CompareError, Comparison, DeltaRow, RESULTS_SCHEMA, Rules, Sections, Setup, SetupModel,
    brackets, confidence, correlation, entropy, overall,
};

#[cfg(test)]
mod tests;

/// What a comparison leaves to choose.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// A model is confident of a token if its entropy is below this, nats: a row of analysis 6 for each.
    pub confident_below_nats: Vec<f64>,
    /// A model is uncertain of a token if its entropy is above this, nats: combined with each of the former.
    pub uncertain_above_nats: Vec<f64>,
    /// Resamples of the documents that intervals come from; 0 for no intervals. They take a byte a
    /// document each.
    pub replicates: u32,
    /// Seed of the resamples.
    pub seed: u64,
}

impl Default for Options {
    /// The post's thresholds, and 2,000 resamples.
    fn default() -> Self {
        Options {
            confident_below_nats: vec![0.25, 0.5, 0.75, 1.0],
            uncertain_above_nats: vec![1.0, 2.0, 3.0],
            replicates: 2_000,
            // Any number would do; one that JSON readers with doubles only keep whole.
            seed: 20_080_901,
        }
    }
}

/// The index in `rules.names()` of each row's category, `[row]`.
///
/// # Errors
///
/// When the join contradicts itself; see [`CheckedJoin::new`].
pub fn classify_rows(joined: &Joined, rules: &Rules) -> Result<Vec<u8>, CompareError> {
    let join = CheckedJoin::new(joined)?;
    let mut known: HashMap<&[u8], u8> = HashMap::new();
    let mut classify = |row: usize| {
        let token = join.token_bytes(row);
        // `Rules` holds at most 256 categories.
        *known.entry(token).or_insert_with(|| rules.classify(token) as u8)
    };
    Ok((0..join.rows()).map(&mut classify).collect())
}

/// Computes analyses 1 to 6 of a join; `categories` is what [`classify_rows`] made of it with these rules.
///
/// The result depends on nothing but the arguments: one thread, sums in the order of rows and documents.
///
/// # Errors
///
/// When the join is empty, lacks role a or b, contradicts itself or holds a value that is not finite; when
/// the categories do not fit the join and the rules; when a threshold is not finite.
pub fn compare(
    joined: &Joined,
    rules: &Rules,
    categories: &[u8],
    options: &Options,
) -> Result<Comparison, CompareError> {
    let join = CheckedJoin::new(joined)?;
    check_categories(&join, rules, categories)?;
    check_thresholds("confident_below_nats", &options.confident_below_nats)?;
    check_thresholds("uncertain_above_nats", &options.uncertain_above_nats)?;
    let resamples = Resamples::of_join(&join, options.replicates, options.seed);
    let whole = Whole::new(&join, &resamples);
    Ok(Comparison {
        schema: RESULTS_SCHEMA.to_owned(),
        setup: setup(&join, rules),
        all: Sections {
            documents: join.documents_with_rows().count() as u64,
            tokens: join.rows() as u64,
            bytes: join.bytes(),
            intervals: resamples.note(),
            overall: overall::overall(&join, &resamples),
            correlation: correlation::correlations(&join, &resamples),
            categories: category_rows(&join, rules, categories, &resamples, &whole),
            brackets: brackets::brackets(&join, &resamples, &whole),
            entropy: entropy::entropy_distributions(&join, &resamples),
            entropy_pairs: Vec::new(),
            confidence: confidence::confidence(
                &join,
                &options.confident_below_nats,
                &options.uncertain_above_nats,
                &resamples,
            ),
        },
        discovery: None,
        confirmation: None,
    })
}

fn check_categories(join: &CheckedJoin<'_>, rules: &Rules, categories: &[u8]) -> Result<(), CompareError> {
    let (rows, names) = (join.rows(), rules.names().len());
    if categories.len() != rows {
        let reason = format!("it holds {} values where the join has {rows} rows", categories.len());
        return Err(CompareError::Categories { reason });
    }
    match categories.iter().position(|&category| usize::from(category) >= names) {
        Some(row) => {
            let found = categories[row];
            let reason =
                format!("row {row} has category {found} where rules `{}` have {names}", rules.name());
            Err(CompareError::Categories { reason })
        }
        None => Ok(()),
    }
}

fn check_thresholds(option: &'static str, thresholds: &[f64]) -> Result<(), CompareError> {
    match thresholds.iter().find(|threshold| !threshold.is_finite()) {
        Some(&value) => Err(CompareError::Threshold { option, value }),
        None => Ok(()),
    }
}

fn setup(join: &CheckedJoin<'_>, rules: &Rules) -> Setup {
    let models = join.models().iter().map(|model| SetupModel {
        role: model.role,
        label: model.label.clone(),
        run: model.run.clone(),
    });
    Setup {
        models: models.collect(),
        documents: join.documents().len() as u64,
        tokens: join.rows() as u64,
        bytes: join.bytes(),
        left_out: join.joined().left_out,
        rules: rules.name().to_owned(),
    }
}

/// Analysis 3: every category, most negative Δ first, empty ones last.
fn category_rows(
    join: &CheckedJoin<'_>,
    rules: &Rules,
    categories: &[u8],
    resamples: &Resamples,
    whole: &Whole,
) -> Vec<DeltaRow> {
    let of_row = categories.iter().map(|&category| Some(u32::from(category))).collect();
    let mut rows = Grouping { names: rules.names().to_vec(), of_row }.delta_rows(join, resamples, whole);
    sort_by_delta(&mut rows);
    rows
}
