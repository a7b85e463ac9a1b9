//! Least squares from documents' sums, with errors from leaving documents out.
//!
//! The columns are one for each category and the covariates. The categories' part of X'X is diagonal, so they
//! are eliminated first (Frisch and Waugh 1933, Lovell 1963): slopes come from the covariates' products
//! within categories, and a category's intercept is its mean outcome less what the slopes make of its mean
//! covariates. What is left to solve has one equation a covariate. Covariates are scaled to unit variance
//! within categories, and one that nothing is left of beside those before it is dropped, not solved for.
//!
//! Errors are those of the jackknife that leaves out one document at a time: with θ₋ the number without document g, the
//! variance is (G − 1) / G · Σ (θ₋ − θ)² over the G documents. Of slopes that is CR3 (MacKinnon, Nielsen and Webb 2023, "Fast and
//! reliable jackknife and bootstrap methods for cluster-robust inference", Journal of Applied Econometrics 38; Bell and McCaffrey 2002): unlike the
//! sandwich (CR1) it is not too small where few documents have most of the leverage, as those with deep brackets have. A
//! category's adjusted mean is taken at the mean covariates of all tokens, and its excess is against their mean outcome; both
//! are of the sampled documents too, and each document is left out of them as well.

use nalgebra::DMatrix;

use super::sums::{COVARIATES, DocumentSums, OUTCOMES};
use super::totals::{CONSTANT, LEAST_TOLERANCE, Line, Totals, left_over};
use crate::bootstrap::FEWEST_DOCUMENTS;

/// Why a covariate takes no part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// It does not vary.
    Constant,
    /// It does not vary within categories.
    FixedByCategory,
    /// It is a linear combination of categories and of covariates before it.
    Collinear,
    /// It is one of those without some one document.
    OneDocument,
}

impl Dropped {
    /// The reason in words.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Dropped::Constant => "it is the same for every token",
            Dropped::FixedByCategory => "it is the same for every token of a category",
            Dropped::Collinear => "the categories and the covariates above it determine it",
            Dropped::OneDocument => {
                "one document alone tells it from the categories and the covariates above it"
            }
        }
    }
}

/// A covariate's distribution over all tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Spread {
    pub(crate) mean: f64,
    pub(crate) standard_deviation: f64,
}

/// A number with its clustered standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Coefficient {
    pub(crate) value: f64,
    /// Nothing where too few documents hold tokens.
    pub(crate) standard_error: Option<f64>,
    /// Documents that hold what it is about: all of them, or those with the category.
    pub(crate) documents: u64,
}

/// A category with the covariates held fixed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Adjusted {
    pub(crate) category: u32,
    pub(crate) tokens: u64,
    /// Its mean outcome at the mean covariates of all tokens.
    pub(crate) mean: Coefficient,
    /// That less the mean outcome of all tokens.
    pub(crate) excess: Coefficient,
}

/// One regression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fit {
    /// Change of the outcome for one unit, `[covariate]`; nothing where it was dropped.
    pub(crate) slopes: [Option<Coefficient>; COVARIATES],
    /// Ascending by category, those with tokens.
    pub(crate) categories: Vec<Adjusted>,
    /// Part of the outcome's variance that the columns explain; nothing where it does not vary.
    pub(crate) r_squared: Option<f64>,
}

/// The columns of the regression, whatever the outcome.
pub(crate) struct Design<'a> {
    documents: &'a [&'a DocumentSums],
    totals: Totals,
    /// Documents that hold some, `[category]`.
    category_documents: Vec<u64>,
    /// `[covariate]`.
    pub(crate) spread: [Spread; COVARIATES],
    /// `[covariate]`.
    pub(crate) dropped: [Option<Dropped>; COVARIATES],
    /// The covariates that take part, ascending.
    kept: Vec<usize>,
}

impl<'a> Design<'a> {
    /// The design of these documents, whose categories lie below `categories`; nothing without tokens.
    pub(crate) fn new(documents: &'a [&'a DocumentSums], categories: usize) -> Option<Self> {
        let totals = Totals::new(documents, categories);
        if totals.tokens == 0.0 {
            return None;
        }
        let mut category_documents = vec![0; categories];
        for sums in documents.iter().flat_map(|document| &document.categories) {
            category_documents[sums.category as usize] += 1;
        }
        let about_mean = |i: usize| totals.product(i, i) - totals.tokens * totals.mean(i) * totals.mean(i);
        let spread = std::array::from_fn(|i| Spread {
            mean: totals.mean(i),
            standard_deviation: (about_mean(i).max(0.0) / totals.tokens).sqrt(),
        });
        let within = DMatrix::from_fn(COVARIATES, COVARIATES, |i, j| totals.within(i, j));
        let mut dropped = std::array::from_fn(|i| {
            let varies = |squares: f64| squares > CONSTANT * totals.product(i, i);
            match (varies(about_mean(i)), varies(within[(i, i)])) {
                (false, _) => Some(Dropped::Constant),
                (true, false) => Some(Dropped::FixedByCategory),
                (true, true) => None,
            }
        });
        let mut kept = drop_collinear(&within, &mut dropped);
        if documents.len() >= FEWEST_DOCUMENTS {
            for document in documents {
                drop_told_by_one(&totals.without(document), &mut kept, &mut dropped);
            }
        }
        Some(Design { documents, totals, category_documents, spread, dropped, kept })
    }

    /// Regresses the outcome in which each of the two has this weight; nothing if rounding makes the kept columns singular.
    pub(crate) fn fit(&self, weights: [f64; OUTCOMES]) -> Option<Fit> {
        let line = Line::new(&self.totals, &self.kept, weights)?;
        let mut squares = Squares::new(&line);
        for document in self.documents {
            squares.add(&line, Line::new(&self.totals.without(document), &self.kept, weights));
        }
        let slopes = std::array::from_fn(|covariate| {
            let place = self.kept.iter().position(|&kept| kept == covariate)?;
            let documents = self.documents.len() as u64;
            Some(self.coefficient(line.slopes[place], squares.slopes[place], documents))
        });
        let categories = self.totals.held().map(|category| {
            let index = category.category as usize;
            let (mean, documents) = (line.adjusted[index], self.category_documents[index]);
            let [of_mean, of_excess] = squares.categories[index];
            Adjusted {
                category: category.category,
                tokens: category.tokens,
                mean: self.coefficient(mean, of_mean, documents),
                excess: self.coefficient(mean - line.mean, of_excess, documents),
            }
        });
        let categories = categories.collect();
        Some(Fit { slopes, categories, r_squared: self.r_squared(&line, weights) })
    }

    /// A coefficient about so many documents, with the error that the squares of its changes give.
    fn coefficient(&self, value: f64, squares: f64, documents: u64) -> Coefficient {
        let clusters = self.documents.len() as f64;
        let error = (squares * (clusters - 1.0) / clusters).sqrt();
        let enough = documents >= FEWEST_DOCUMENTS as u64;
        let standard_error = (enough && error.is_finite()).then_some(error);
        Coefficient { value, standard_error, documents }
    }

    fn r_squared(&self, line: &Line, weights: [f64; OUTCOMES]) -> Option<f64> {
        let totals = &self.totals;
        let squares: f64 = self.documents.iter().map(|sums| sums.outcome_squares(weights)).sum();
        let of_mean = totals.tokens * line.mean * line.mean;
        let by_category: f64 =
            totals.held().map(|category| category.outcome(weights).powi(2) / category.tokens as f64).sum();
        let (explained, about_mean) = (by_category - of_mean + line.explained, squares - of_mean);
        (about_mean > CONSTANT * squares).then(|| (explained / about_mean).clamp(0.0, 1.0))
    }
}

/// Sums of squares of what leaving out a document changes.
struct Squares {
    /// `[kept covariate]`.
    slopes: Vec<f64>,
    /// Of the adjusted mean and of the excess, `[category]`.
    categories: Vec<[f64; 2]>,
}

impl Squares {
    fn new(line: &Line) -> Self {
        Squares { slopes: vec![0.0; line.slopes.len()], categories: vec![[0.0; 2]; line.adjusted.len()] }
    }

    /// Adds what is different without a document; without one that cannot be left out (there are few), nothing is known.
    fn add(&mut self, line: &Line, without: Option<Line>) {
        let Some(without) = without else {
            self.slopes.fill(f64::NAN);
            self.categories.fill([f64::NAN; 2]);
            return;
        };
        for ((sum, all), left) in self.slopes.iter_mut().zip(&line.slopes).zip(&without.slopes) {
            *sum += (left - all).powi(2);
        }
        let mean = without.mean - line.mean;
        for ((sums, all), left) in self.categories.iter_mut().zip(&line.adjusted).zip(&without.adjusted) {
            let adjusted = left - all;
            sums[0] += adjusted * adjusted;
            sums[1] += (adjusted - mean).powi(2);
        }
    }
}

/// Drops covariates that do not stand alone in these totals, which lack one document.
fn drop_told_by_one(without: &Totals, kept: &mut Vec<usize>, dropped: &mut [Option<Dropped>; COVARIATES]) {
    while let Some(place) = without.first_determined(kept) {
        dropped[kept.remove(place)] = Some(Dropped::OneDocument);
    }
}

/// Drops covariates that those before them determine, and returns the others.
fn drop_collinear(products: &DMatrix<f64>, dropped: &mut [Option<Dropped>; COVARIATES]) -> Vec<usize> {
    let mut kept = Vec::new();
    for (covariate, dropped) in dropped.iter_mut().enumerate().filter(|(_, dropped)| dropped.is_none()) {
        kept.push(covariate);
        if left_over(products, &kept).is_none_or(|left| left < LEAST_TOLERANCE) {
            *dropped = Some(Dropped::Collinear);
            kept.pop();
        }
    }
    kept
}
