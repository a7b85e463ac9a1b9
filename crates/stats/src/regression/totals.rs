//! Sums over documents, and the line that least squares draws through them.

use nalgebra::{Cholesky, DMatrix, DVector};

use super::sums::{COVARIATES, CategorySums, DocumentSums, OUTCOMES, PRODUCTS, pair_at};

/// A covariate whose sum of squares about its mean is a smaller part than this of that about zero does not
/// vary: rounding leaves about 1e-13 of it.
pub(super) const CONSTANT: f64 = 1e-10;

/// A covariate takes no part when less than this part of its variance within categories is left beside the
/// covariates before it: a variance inflation above a million.
pub(super) const LEAST_TOLERANCE: f64 = 1e-6;

/// The sums of documents.
#[derive(Clone, Debug)]
pub(super) struct Totals {
    pub(super) tokens: f64,
    /// `[category]`, those without tokens too.
    pub(super) categories: Vec<CategorySums>,
    products: [f64; PRODUCTS],
    with_outcomes: [[f64; OUTCOMES]; COVARIATES],
}

impl Totals {
    /// Adds documents in their order; their categories lie below `categories`.
    pub(super) fn new(documents: &[&DocumentSums], categories: usize) -> Self {
        let mut totals = Totals {
            tokens: 0.0,
            categories: (0..categories as u32).map(CategorySums::new).collect(),
            products: [0.0; PRODUCTS],
            with_outcomes: [[0.0; OUTCOMES]; COVARIATES],
        };
        documents.iter().for_each(|document| totals.add(document, 1.0));
        totals
    }

    /// The sums of all documents but one of them.
    pub(super) fn without(&self, document: &DocumentSums) -> Self {
        let mut left = self.clone();
        left.add(document, -1.0);
        left
    }

    /// Adds a document, or takes it away.
    fn add(&mut self, document: &DocumentSums, sign: f64) {
        for own in &document.categories {
            let category = &mut self.categories[own.category as usize];
            self.tokens += sign * own.tokens as f64;
            category.tokens =
                if sign > 0.0 { category.tokens + own.tokens } else { category.tokens - own.tokens };
            category.x.iter_mut().zip(own.x).for_each(|(sum, x)| *sum += sign * x);
            category.y.iter_mut().zip(own.y).for_each(|(sum, y)| *sum += sign * y);
        }
        self.products.iter_mut().zip(document.products()).for_each(|(sum, product)| *sum += sign * product);
        for (sums, own) in self.with_outcomes.iter_mut().zip(document.with_outcomes()) {
            sums.iter_mut().zip(own).for_each(|(sum, product)| *sum += sign * product);
        }
    }

    /// Those with tokens.
    pub(super) fn held(&self) -> impl Iterator<Item = &CategorySums> {
        self.categories.iter().filter(|category| category.tokens > 0)
    }

    /// Mean of a covariate over all tokens.
    pub(super) fn mean(&self, covariate: usize) -> f64 {
        self.held().map(|category| category.x[covariate]).sum::<f64>() / self.tokens
    }

    /// Mean outcome over all tokens.
    pub(super) fn mean_outcome(&self, weights: [f64; OUTCOMES]) -> f64 {
        self.held().map(|category| category.outcome(weights)).sum::<f64>() / self.tokens
    }

    /// Summed product of two covariates.
    pub(super) fn product(&self, i: usize, j: usize) -> f64 {
        self.products[pair_at(i, j)]
    }

    /// Summed product of two covariates about their categories' means.
    pub(super) fn within(&self, i: usize, j: usize) -> f64 {
        let between = self.held().map(|category| category.x[i] * category.x[j] / category.tokens as f64);
        self.product(i, j) - between.sum::<f64>()
    }

    /// The place of the first of these covariates that does not vary within categories, or that those before it determine.
    pub(super) fn first_determined(&self, kept: &[usize]) -> Option<usize> {
        let within = DMatrix::from_fn(COVARIATES, COVARIATES, |i, j| self.within(i, j));
        (0..kept.len()).find(|&place| {
            let i = kept[place];
            let varies = within[(i, i)] > CONSTANT * self.product(i, i);
            !varies || left_over(&within, &kept[..=place]).is_none_or(|left| left < LEAST_TOLERANCE)
        })
    }

    /// Summed product of a covariate and an outcome about their categories' means.
    fn within_outcome(&self, i: usize, weights: [f64; OUTCOMES]) -> f64 {
        let [first, second] = self.with_outcomes[i];
        let product = weights[0] * first + weights[1] * second;
        let between =
            self.held().map(|category| category.x[i] * category.outcome(weights) / category.tokens as f64);
        product - between.sum::<f64>()
    }
}

/// A regression line: what least squares makes of sums.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// `[kept covariate]`.
    pub(super) slopes: Vec<f64>,
    /// The outcome at the mean covariates of all tokens, `[category]`; not a number where there are no tokens.
    pub(super) adjusted: Vec<f64>,
    /// The mean outcome.
    pub(super) mean: f64,
    /// What the slopes explain of the outcome's squares within categories.
    pub(super) explained: f64,
}

impl Line {
    /// The line of the outcome in which each of the two has this weight, on categories and the covariates that are
    /// kept, none of which is to be [determined](Totals::first_determined); nothing where one is.
    pub(super) fn new(totals: &Totals, kept: &[usize], weights: [f64; OUTCOMES]) -> Option<Self> {
        let within = DMatrix::from_fn(COVARIATES, COVARIATES, |i, j| totals.within(i, j));
        let decomposed = Cholesky::new(correlations(&within, kept))?;
        let scales: Vec<f64> = kept.iter().map(|&i| within[(i, i)].sqrt()).collect();
        let products: Vec<f64> = kept.iter().map(|&i| totals.within_outcome(i, weights)).collect();
        let scaled = products.iter().zip(&scales).map(|(product, scale)| product / scale);
        let right = DVector::from_iterator(kept.len(), scaled);
        let solved = decomposed.solve(&right);
        let slopes: Vec<f64> = solved.iter().zip(&scales).map(|(value, scale)| value / scale).collect();
        let means: Vec<f64> = kept.iter().map(|&i| totals.mean(i)).collect();
        let adjusted = totals.categories.iter().map(|category| {
            let tokens = category.tokens as f64;
            let moved = kept.iter().zip(&means).zip(&slopes);
            let moved = moved.map(|((&i, mean), slope)| (mean - category.x[i] / tokens) * slope);
            category.outcome(weights) / tokens + moved.sum::<f64>()
        });
        let adjusted = adjusted.collect();
        let explained = slopes.iter().zip(&products).map(|(slope, product)| slope * product).sum();
        Some(Line { slopes, adjusted, mean: totals.mean_outcome(weights), explained })
    }
}

/// What part of the variance of the last of these covariates those before it leave over.
pub(super) fn left_over(products: &DMatrix<f64>, of: &[usize]) -> Option<f64> {
    let decomposed = Cholesky::new(correlations(products, of))?;
    // The last pivot squared.
    decomposed.l_dirty().diagonal().iter().next_back().map(|pivot| pivot * pivot)
}

/// The correlations of these covariates, from their products about means.
fn correlations(products: &DMatrix<f64>, of: &[usize]) -> DMatrix<f64> {
    DMatrix::from_fn(of.len(), of.len(), |i, j| {
        let (i, j) = (of[i], of[j]);
        if i == j { 1.0 } else { products[(i, j)] / (products[(i, i)].sqrt() * products[(j, j)].sqrt()) }
    })
}
