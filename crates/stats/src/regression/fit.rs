//! Least squares from documents' sums, with errors clustered by document.
//!
//! The columns are one for each category and the covariates. The categories' part of X'X is diagonal, so they
//! are eliminated first (Frisch and Waugh 1933, Lovell 1963): slopes come from the covariates' products
//! within categories, and a category's intercept is its mean outcome less what the slopes make of its mean
//! covariates. What is left to solve has one equation a covariate. Covariates are scaled to unit variance
//! within categories, and one that nothing is left of beside those before it is dropped, not solved for.
//!
//! Errors are cluster-robust (Liang and Zeger 1986) with the small-sample factor
//! G / (G − 1) · (N − 1) / (N − K), for G documents, N tokens and K columns (CR1; Cameron and Miller 2015).
//! They are sums of squares of the documents' influences: A⁻¹ X'(y − Xβ) of a document for a coefficient.
//! A category's adjusted mean is taken at the mean covariates of all tokens, and its excess is against
//! their mean outcome. Both of those are of the sampled documents too, so their influences are added: with no
//! covariate an excess has the standard error that the linearised difference of two means has.

use nalgebra::{Cholesky, DMatrix, DVector};

use super::sums::{COVARIATES, DocumentSums, OUTCOMES};
use crate::bootstrap::FEWEST_DOCUMENTS;

/// A covariate whose sum of squares about its mean is a smaller part than this of that about zero does not
/// vary: rounding leaves about 1e-13 of it.
const CONSTANT: f64 = 1e-10;

/// A covariate is dropped when less than this part of its variance within categories is left beside the
/// covariates before it: a variance inflation above a million.
const LEAST_TOLERANCE: f64 = 1e-6;

/// Why a covariate takes no part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// It does not vary.
    Constant,
    /// It does not vary within categories.
    FixedByCategory,
    /// It is a linear combination of categories and of covariates before it.
    Collinear,
}

impl Dropped {
    /// The reason in words.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Dropped::Constant => "it is the same for every token",
            Dropped::FixedByCategory => "it is the same for every token of a category",
            Dropped::Collinear => "the categories and the covariates above it determine it",
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
    /// Nothing where too few documents hold tokens, or too few tokens are left beside the columns.
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

/// A category's tokens over all documents.
#[derive(Clone, Copy, Debug, Default)]
struct Category {
    tokens: f64,
    /// Documents that hold some.
    documents: u64,
    /// Mean covariates.
    mean: [f64; COVARIATES],
}

/// The columns of the regression, whatever the outcome.
pub(crate) struct Design<'a> {
    documents: &'a [&'a DocumentSums],
    /// `[category]`, those without tokens too.
    categories: Vec<Category>,
    /// Tokens.
    tokens: f64,
    /// `[covariate]`.
    pub(crate) spread: [Spread; COVARIATES],
    /// `[covariate]`.
    pub(crate) dropped: [Option<Dropped>; COVARIATES],
    /// The covariates that take part, ascending.
    kept: Vec<usize>,
    /// Square roots of their sums of squares within categories, `[kept]`.
    scales: Vec<f64>,
    /// The inverse of their correlations within categories, `[kept x kept]`.
    inverse: DMatrix<f64>,
}

impl<'a> Design<'a> {
    /// The design of these documents, whose categories lie below `categories`; nothing without tokens.
    pub(crate) fn new(documents: &'a [&'a DocumentSums], categories: usize) -> Option<Self> {
        let tokens = documents.iter().map(|sums| sums.tokens()).sum::<u64>() as f64;
        if tokens == 0.0 {
            return None;
        }
        let categories = category_means(documents, categories);
        let total =
            |value: &dyn Fn(&DocumentSums) -> f64| documents.iter().map(|sums| value(sums)).sum::<f64>();
        let raw = DMatrix::from_fn(COVARIATES, COVARIATES, |i, j| total(&|sums| sums.product(i, j)));
        let mean: [f64; COVARIATES] = std::array::from_fn(|i| {
            categories.iter().map(|category| category.tokens * category.mean[i]).sum::<f64>() / tokens
        });
        let about_mean = |i: usize| raw[(i, i)] - tokens * mean[i] * mean[i];
        let spread = std::array::from_fn(|i| Spread {
            mean: mean[i],
            standard_deviation: (about_mean(i).max(0.0) / tokens).sqrt(),
        });
        let between = |i: usize, j: usize| {
            categories
                .iter()
                .map(|category| category.tokens * category.mean[i] * category.mean[j])
                .sum::<f64>()
        };
        let within = DMatrix::from_fn(COVARIATES, COVARIATES, |i, j| raw[(i, j)] - between(i, j));
        let mut dropped = std::array::from_fn(|i| {
            let varies = |squares: f64| squares > CONSTANT * raw[(i, i)];
            match (varies(about_mean(i)), varies(within[(i, i)])) {
                (false, _) => Some(Dropped::Constant),
                (true, false) => Some(Dropped::FixedByCategory),
                (true, true) => None,
            }
        });
        let kept = drop_collinear(&within, &mut dropped);
        let correlations = correlations(&within, &kept);
        // What is kept has passed the same decomposition, column by column.
        let inverse = Cholesky::new(correlations)?.inverse();
        let scales = kept.iter().map(|&i| within[(i, i)].sqrt()).collect();
        Some(Design { documents, categories, tokens, spread, dropped, kept, scales, inverse })
    }

    /// Regresses the outcome in which each of the two has this weight.
    pub(crate) fn fit(&self, weights: [f64; OUTCOMES]) -> Fit {
        let line = Line::new(self, weights);
        let influences = Influences::new(self, &line, weights);
        let slopes = std::array::from_fn(|covariate| {
            let place = self.kept.iter().position(|&kept| kept == covariate)?;
            let documents = self.documents.len() as u64;
            Some(self.coefficient(line.slopes[place], influences.slopes[place], documents))
        });
        let with_tokens = self.categories.iter().zip(0u32..).filter(|(category, _)| category.tokens > 0.0);
        let categories = with_tokens.zip(&influences.categories).map(|((category, index), squares)| {
            let mean = line.intercepts[index as usize] + line.at_mean;
            Adjusted {
                category: index,
                tokens: category.tokens as u64,
                mean: self.coefficient(mean, squares[0], category.documents),
                excess: self.coefficient(mean - line.mean, squares[1], category.documents),
            }
        });
        Fit { slopes, categories: categories.collect(), r_squared: line.r_squared }
    }

    /// A coefficient about so many documents, with the error that the documents' squared influences give.
    fn coefficient(&self, value: f64, squares: f64, documents: u64) -> Coefficient {
        let columns =
            self.categories.iter().filter(|category| category.tokens > 0.0).count() + self.kept.len();
        let (left, clusters) = (self.tokens - columns as f64, self.documents.len() as f64);
        let enough = documents >= FEWEST_DOCUMENTS as u64 && left > 0.0;
        let factor = clusters / (clusters - 1.0) * (self.tokens - 1.0) / left;
        let error = (squares * factor).sqrt();
        let standard_error = (enough && error.is_finite()).then_some(error);
        Coefficient { value, standard_error, documents }
    }

    /// Solves for the kept covariates: `right` holds their products with something.
    fn solve(&self, right: impl Iterator<Item = f64>) -> Vec<f64> {
        let scaled = right.zip(&self.scales).map(|(product, scale)| product / scale);
        let right = DVector::from_iterator(self.kept.len(), scaled);
        let solved = &self.inverse * right;
        solved.iter().zip(&self.scales).map(|(value, scale)| value / scale).collect()
    }
}

fn category_means(documents: &[&DocumentSums], categories: usize) -> Vec<Category> {
    let mut means = vec![Category::default(); categories];
    for sums in documents.iter().flat_map(|document| &document.categories) {
        let category = &mut means[sums.category as usize];
        category.tokens += sums.tokens as f64;
        category.documents += 1;
        category.mean.iter_mut().zip(sums.x).for_each(|(mean, x)| *mean += x);
    }
    for category in means.iter_mut().filter(|category| category.tokens > 0.0) {
        category.mean.iter_mut().for_each(|mean| *mean /= category.tokens);
    }
    means
}

/// The correlations of these covariates, from their products about means.
fn correlations(products: &DMatrix<f64>, of: &[usize]) -> DMatrix<f64> {
    DMatrix::from_fn(of.len(), of.len(), |i, j| {
        let (i, j) = (of[i], of[j]);
        if i == j { 1.0 } else { products[(i, j)] / (products[(i, i)].sqrt() * products[(j, j)].sqrt()) }
    })
}

/// Drops covariates that those before them determine, and returns the others.
fn drop_collinear(products: &DMatrix<f64>, dropped: &mut [Option<Dropped>; COVARIATES]) -> Vec<usize> {
    let mut kept = Vec::new();
    for (covariate, dropped) in dropped.iter_mut().enumerate().filter(|(_, dropped)| dropped.is_none()) {
        kept.push(covariate);
        // The last pivot squared is the part of the variance that is left.
        let left = Cholesky::new(correlations(products, &kept)).map(|cholesky| {
            let last = kept.len() - 1;
            cholesky.l_dirty()[(last, last)].powi(2)
        });
        if left.is_none_or(|left| left < LEAST_TOLERANCE) {
            *dropped = Some(Dropped::Collinear);
            kept.pop();
        }
    }
    kept
}

/// The fitted line of one outcome.
struct Line {
    /// `[kept]`.
    slopes: Vec<f64>,
    /// The outcome of a token whose covariates are zero, `[category]`.
    intercepts: Vec<f64>,
    /// What the slopes make of the mean covariates.
    at_mean: f64,
    /// The mean outcome.
    mean: f64,
    r_squared: Option<f64>,
}

impl Line {
    fn new(design: &Design<'_>, weights: [f64; OUTCOMES]) -> Self {
        let mut sums = vec![0.0; design.categories.len()];
        for cell in design.documents.iter().flat_map(|document| &document.categories) {
            sums[cell.category as usize] += cell.outcome(weights);
        }
        let total = |value: &dyn Fn(&DocumentSums) -> f64| {
            design.documents.iter().map(|sums| value(sums)).sum::<f64>()
        };
        let within: Vec<f64> = (design.kept.iter())
            .map(|&covariate| {
                let between =
                    design.categories.iter().zip(&sums).map(|(category, y)| category.mean[covariate] * y);
                total(&|sums| sums.with_outcome(covariate, weights)) - between.sum::<f64>()
            })
            .collect();
        let slopes = design.solve(within.iter().copied());
        let intercepts = design.categories.iter().zip(&sums).map(|(category, y)| {
            let of_slopes = design.kept.iter().zip(&slopes).map(|(&i, slope)| category.mean[i] * slope);
            if category.tokens > 0.0 { y / category.tokens - of_slopes.sum::<f64>() } else { 0.0 }
        });
        let intercepts: Vec<f64> = intercepts.collect();
        let at_mean = design.kept.iter().zip(&slopes).map(|(&i, slope)| design.spread[i].mean * slope).sum();
        let mean = sums.iter().sum::<f64>() / design.tokens;
        let squares = total(&|sums| sums.outcome_squares(weights));
        let about_mean = squares - design.tokens * mean * mean;
        let means = design.categories.iter().zip(&sums).filter(|(category, _)| category.tokens > 0.0);
        let by_category = means.map(|(category, y)| y * y / category.tokens).sum::<f64>();
        let by_slopes: f64 = slopes.iter().zip(&within).map(|(slope, product)| slope * product).sum();
        let explained = by_category - design.tokens * mean * mean + by_slopes;
        let varies = about_mean > CONSTANT * squares;
        let r_squared = varies.then(|| (explained / about_mean).clamp(0.0, 1.0));
        Line { slopes, intercepts, at_mean, mean, r_squared }
    }
}

/// Sums of the documents' squared influences.
struct Influences {
    /// `[kept]`.
    slopes: Vec<f64>,
    /// Of the adjusted mean and of the excess, `[category with tokens]`.
    categories: Vec<[f64; 2]>,
}

impl Influences {
    fn new(design: &Design<'_>, line: &Line, weights: [f64; OUTCOMES]) -> Self {
        let with_tokens: Vec<usize> =
            (0..design.categories.len()).filter(|&index| design.categories[index].tokens > 0.0).collect();
        let mut squares = Influences {
            slopes: vec![0.0; design.kept.len()],
            categories: vec![[0.0; 2]; with_tokens.len()],
        };
        let mut residuals = vec![0.0; design.categories.len()];
        for document in design.documents {
            let slopes = of_document(design, line, weights, document, &mut residuals);
            squares.slopes.iter_mut().zip(&slopes).for_each(|(sum, influence)| *sum += influence * influence);
            let weigh = |of: &dyn Fn(usize) -> f64| -> f64 {
                design.kept.iter().zip(&slopes).map(|(&i, influence)| of(i) * influence).sum()
            };
            let [at_mean, mean] = of_means(design, line, weights, document);
            for (squares, &index) in squares.categories.iter_mut().zip(&with_tokens) {
                let category = &design.categories[index];
                let moved = weigh(&|i| design.spread[i].mean - category.mean[i]);
                let adjusted = residuals[index] / category.tokens + moved + at_mean;
                squares[0] += adjusted * adjusted;
                squares[1] += (adjusted - mean) * (adjusted - mean);
            }
        }
        squares
    }
}

/// A document's influence on each slope; `residuals` becomes its summed residuals, `[category]`.
fn of_document(
    design: &Design<'_>,
    line: &Line,
    weights: [f64; OUTCOMES],
    document: &DocumentSums,
    residuals: &mut [f64],
) -> Vec<f64> {
    residuals.fill(0.0);
    for cell in &document.categories {
        let index = cell.category as usize;
        let of_slopes: f64 = design.kept.iter().zip(&line.slopes).map(|(&i, slope)| cell.x[i] * slope).sum();
        residuals[index] = cell.outcome(weights) - cell.tokens as f64 * line.intercepts[index] - of_slopes;
    }
    // Each kept covariate about its category's mean, times the residuals.
    let scores = design.kept.iter().map(|&i| {
        let of_slopes: f64 =
            design.kept.iter().zip(&line.slopes).map(|(&j, slope)| document.product(i, j) * slope).sum();
        let by_category = document.categories.iter().map(|cell| {
            let index = cell.category as usize;
            cell.x[i] * line.intercepts[index] + design.categories[index].mean[i] * residuals[index]
        });
        document.with_outcome(i, weights) - of_slopes - by_category.sum::<f64>()
    });
    design.solve(scores)
}

/// A document's influence on what the slopes make of the mean covariates, and on the mean outcome.
fn of_means(design: &Design<'_>, line: &Line, weights: [f64; OUTCOMES], document: &DocumentSums) -> [f64; 2] {
    let tokens = document.tokens() as f64;
    let sum =
        |of: &dyn Fn(&super::sums::CategorySums) -> f64| document.categories.iter().map(of).sum::<f64>();
    let at_mean: f64 = (design.kept.iter().zip(&line.slopes))
        .map(|(&i, slope)| slope * (sum(&|cell| cell.x[i]) - tokens * design.spread[i].mean))
        .sum();
    let mean = sum(&|cell| cell.outcome(weights)) - tokens * line.mean;
    [at_mean / design.tokens, mean / design.tokens]
}
