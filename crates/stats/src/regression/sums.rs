//! What the regression keeps of each document: sums from which X'X and X'y follow.
//!
//! A token has one category, so the categories' columns are zero but in one place: X'X holds the tokens of
//! each category, the covariates' sums within it and the covariates' products over all of them, and nothing
//! else. That is some 180 numbers a document with nineteen categories, however many tokens it has.

/// Covariates beside the category.
pub(crate) const COVARIATES: usize = 5;

/// Distinct products of two covariates.
pub(super) const PRODUCTS: usize = COVARIATES * (COVARIATES + 1) / 2;

/// What is explained: loss of a − loss of b, and loss of the placebo − loss of b (0 without a placebo).
pub(crate) const OUTCOMES: usize = 2;

/// One token as the regression sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Observation {
    /// Index of its category.
    pub(crate) category: u32,
    /// Its covariates, in the order of [`NAMES`](super::covariates::NAMES).
    pub(crate) x: [f64; COVARIATES],
    /// Its outcomes, nats.
    pub(crate) y: [f64; OUTCOMES],
}

/// The tokens of one category within one document.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct CategorySums {
    pub(crate) category: u32,
    /// How many.
    pub(crate) tokens: u64,
    /// Summed covariates.
    pub(crate) x: [f64; COVARIATES],
    /// Summed outcomes.
    pub(crate) y: [f64; OUTCOMES],
}

impl CategorySums {
    /// No tokens yet.
    pub(super) fn new(category: u32) -> Self {
        CategorySums { category, tokens: 0, x: [0.0; COVARIATES], y: [0.0; OUTCOMES] }
    }

    /// The summed outcome, in which each of the two has this weight.
    pub(crate) fn outcome(&self, weights: [f64; OUTCOMES]) -> f64 {
        weighted(weights, self.y)
    }
}

/// The tokens of one document.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DocumentSums {
    /// The document's index in the join.
    pub(crate) document: u32,
    /// Ascending by category, those with tokens only.
    pub(crate) categories: Vec<CategorySums>,
    /// Summed products of covariates, at [`pair_at`].
    products: [f64; PRODUCTS],
    /// Summed products of a covariate and an outcome, `[covariate][outcome]`.
    with_outcomes: [[f64; OUTCOMES]; COVARIATES],
    /// Summed products of outcomes: first squared, second squared, first times second.
    outcomes: [f64; 3],
}

impl DocumentSums {
    /// Sums a document's tokens in their order.
    pub(crate) fn new(document: u32, observations: impl Iterator<Item = Observation>) -> Self {
        let mut sums = DocumentSums {
            document,
            categories: Vec::new(),
            products: [0.0; PRODUCTS],
            with_outcomes: [[0.0; OUTCOMES]; COVARIATES],
            outcomes: [0.0; 3],
        };
        observations.for_each(|observation| sums.add(&observation));
        sums
    }

    fn add(&mut self, Observation { category, x, y }: &Observation) {
        let place = match self.categories.binary_search_by_key(category, |sums| sums.category) {
            Ok(place) => place,
            Err(place) => {
                self.categories.insert(place, CategorySums::new(*category));
                place
            }
        };
        let sums = &mut self.categories[place];
        sums.tokens += 1;
        sums.x.iter_mut().zip(x).for_each(|(sum, x)| *sum += x);
        sums.y.iter_mut().zip(y).for_each(|(sum, y)| *sum += y);
        for (i, with_outcomes) in self.with_outcomes.iter_mut().enumerate() {
            for j in 0..=i {
                self.products[pair_at(i, j)] += x[i] * x[j];
            }
            with_outcomes.iter_mut().zip(y).for_each(|(sum, y)| *sum += x[i] * y);
        }
        for (sum, product) in self.outcomes.iter_mut().zip([y[0] * y[0], y[1] * y[1], y[0] * y[1]]) {
            *sum += product;
        }
    }

    /// The summed products of covariates, at [`pair_at`].
    pub(super) fn products(&self) -> &[f64; PRODUCTS] {
        &self.products
    }

    /// The summed products of a covariate and an outcome, `[covariate][outcome]`.
    pub(super) fn with_outcomes(&self) -> &[[f64; OUTCOMES]; COVARIATES] {
        &self.with_outcomes
    }

    /// The summed square of the outcome with these weights.
    pub(crate) fn outcome_squares(&self, [first, second]: [f64; OUTCOMES]) -> f64 {
        let [squares, other_squares, crossed] = self.outcomes;
        first * first * squares + second * second * other_squares + 2.0 * first * second * crossed
    }

    /// Tokens.
    pub(crate) fn tokens(&self) -> u64 {
        self.categories.iter().map(|sums| sums.tokens).sum()
    }
}

/// Where the product of two covariates stands.
pub(super) fn pair_at(i: usize, j: usize) -> usize {
    let (i, j) = (i.max(j), i.min(j));
    i * (i + 1) / 2 + j
}

/// An outcome with these weights.
fn weighted(weights: [f64; OUTCOMES], of: [f64; OUTCOMES]) -> f64 {
    weights[0] * of[0] + weights[1] * of[1]
}
