//! Point estimate, interval, standard error and test of ratios of sums and of their differences.
//!
//! The standard error is that of the linearised ratio Σx / Σn: the residuals x − (Σx / Σn) n of documents are
//! independent where tokens' are not, and their sum of squares over (Σn)² times D / (D − 1) estimates the
//! ratio's variance, D being the documents that hold tokens of the group (Cameron and Miller 2015, §II). Residuals of a
//! difference of ratios are the differences of the ratios' residuals, document by document, and D counts the
//! documents that take part in any of them.

use crate::bootstrap::{Cell, FEWEST_DOCUMENTS, Resamples, percentiles};
use crate::families::two_sided;
use crate::{Estimate, Test};

#[cfg(test)]
mod tests;

/// What is divided by has to be so many of its standard errors from zero for the ratio to have an interval.
const CLEAR_OF_ZERO: f64 = 5.0;

/// Sums by document with their totals and replicates.
#[derive(Clone, Debug)]
pub(crate) struct Resampled<const N: usize> {
    cells: Vec<Cell<N>>,
    totals: [f64; N],
    /// `[replicate]`, where enough documents hold anything.
    replicates: Option<Vec<[f64; N]>>,
}

/// A linear combination of a cell's sums.
pub(crate) type Sum<const N: usize> = fn(&[f64; N]) -> f64;

/// One ratio of sums in a combination of ratios.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Term<'a, const N: usize> {
    /// By what the ratio is multiplied: 1 or −1.
    pub(crate) sign: f64,
    /// The group.
    pub(crate) group: &'a Resampled<N>,
    /// The numerator.
    pub(crate) over: Sum<N>,
    /// The denominator's place in the sums; its sums are never negative.
    pub(crate) under: usize,
}

/// A number with what its test needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Measured {
    /// The number.
    pub(crate) estimate: Estimate,
    /// Documents of the smallest group that takes part.
    pub(crate) documents: usize,
}

impl Measured {
    /// The test that the number is zero, with q = p; nothing without a standard error, or where that is zero.
    pub(crate) fn test(&self) -> Option<Test> {
        two_sided(&self.estimate, self.documents)
    }
}

impl<const N: usize> Resampled<N> {
    /// Sums cells, whose documents are of the set, ascending, each with something in it.
    pub(crate) fn new(cells: Vec<Cell<N>>, resamples: &Resamples) -> Self {
        let mut totals = [0.0; N];
        for cell in &cells {
            for (total, sum) in totals.iter_mut().zip(cell.sums) {
                *total += sum;
            }
        }
        let replicates = resamples.totals(&cells);
        Resampled { cells, totals, replicates }
    }

    /// The documents' sums.
    pub(crate) fn cells(&self) -> &[Cell<N>] {
        &self.cells
    }

    /// The sums over all documents.
    pub(crate) fn totals(&self) -> &[f64; N] {
        &self.totals
    }

    /// The sums of each replicate, where there are any.
    pub(crate) fn replicates(&self) -> Option<&[[f64; N]]> {
        self.replicates.as_deref()
    }

    /// The interval of what `statistic` makes of a replicate's sums.
    pub(crate) fn interval(&self, statistic: impl Fn(&[f64; N]) -> Option<f64>) -> Option<[f64; 2]> {
        percentiles(self.replicates.as_ref()?.iter().map(statistic), self.cells.len())
    }

    /// The ratio of two sums as a term of a combination.
    pub(crate) fn term(&self, over: Sum<N>, under: usize) -> Term<'_, N> {
        Term { sign: 1.0, group: self, over, under }
    }

    /// The ratio of two sums; the denominator must not be zero.
    pub(crate) fn ratio(&self, over: Sum<N>, under: usize, resamples: &Resamples) -> Estimate {
        combine(&[self.term(over, under)], resamples)
            .map_or(Estimate::point(f64::NAN), |found| found.estimate)
    }
}

impl Estimate {
    /// Whether the number is five of its standard errors from zero, so that one may divide by it.
    pub(crate) fn is_clear_of_zero(&self) -> bool {
        self.standard_error.is_some_and(|error| self.value.abs() >= CLEAR_OF_ZERO * error)
    }
}

impl<const N: usize> Term<'_, N> {
    /// The ratio with its standard error alone.
    pub(crate) fn without_interval(self, resamples: &Resamples) -> Option<Estimate> {
        let value = self.value(&self.group.totals)?;
        let enough = self.group.cells.len() >= FEWEST_DOCUMENTS;
        let standard_error = enough.then(|| combined_error(&[self], resamples)).flatten();
        Some(Estimate { standard_error, ..Estimate::point(value) })
    }

    /// The same term, subtracted.
    pub(crate) fn minus(self) -> Self {
        Term { sign: -self.sign, ..self }
    }

    fn value(&self, sums: &[f64; N]) -> Option<f64> {
        (sums[self.under] > 0.0).then(|| self.sign * (self.over)(sums) / sums[self.under])
    }
}

/// The sum of signed ratios; nothing where a denominator is zero.
pub(crate) fn combine<const N: usize>(terms: &[Term<'_, N>], resamples: &Resamples) -> Option<Measured> {
    let value = added(terms.iter().map(|term| term.value(&term.group.totals)))?;
    let replicates: Option<Vec<&[[f64; N]]>> = terms.iter().map(|term| term.group.replicates()).collect();
    let documents = terms.iter().map(|term| term.group.cells.len()).min().unwrap_or(0);
    let interval = replicates.and_then(|replicates| {
        let count = replicates.first().map_or(0, |first| first.len());
        let at = |replicate: usize| {
            added(terms.iter().zip(&replicates).map(|(term, sums)| term.value(&sums[replicate])))
        };
        percentiles((0..count).map(at), documents)
    });
    let standard_error = (documents >= FEWEST_DOCUMENTS).then(|| combined_error(terms, resamples)).flatten();
    Some(Measured { estimate: Estimate { value, interval, standard_error }, documents })
}

/// The sum, where there is every part of it.
fn added(mut parts: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    parts.try_fold(0.0, |sum, part| Some(sum + part?))
}

fn combined_error<const N: usize>(terms: &[Term<'_, N>], resamples: &Resamples) -> Option<f64> {
    // A document's residual is none where it takes no part.
    let mut residuals: Vec<Option<f64>> = vec![None; resamples.documents()];
    for term in terms {
        let (over, under) = ((term.over)(&term.group.totals), term.group.totals[term.under]);
        let ratio = over / under;
        for cell in &term.group.cells {
            let Some(slot) = resamples.slot(cell.document) else { continue };
            let residual = term.sign * ((term.over)(&cell.sums) - ratio * cell.sums[term.under]) / under;
            *residuals[slot].get_or_insert(0.0) += residual;
        }
    }
    let documents = residuals.iter().flatten().count();
    clustered_error(residuals.into_iter().flatten(), documents)
}

/// The standard error from one residual for each of `documents` documents; residuals that are zero anyhow may be
/// more or fewer. Nothing for too few documents.
pub(crate) fn clustered_error(residuals: impl Iterator<Item = f64>, documents: usize) -> Option<f64> {
    if documents < FEWEST_DOCUMENTS {
        return None;
    }
    let squares: f64 = residuals.map(|residual| residual * residual).sum();
    let error = (squares * documents as f64 / (documents - 1) as f64).sqrt();
    error.is_finite().then_some(error)
}
