//! Analysis 5: how each model's entropies are distributed.
//!
//! The density is the derivative of a smoothed cumulative histogram. The cumulative histogram has fine bins
//! of 0.005 nats and is smoothed with a Gaussian; differences over 0.02 nats, centred on each grid point,
//! are its derivative. Entropies crowd against zero, below which there are none, so a plain Gaussian would
//! carry mass across and halve the density there. The cumulative histogram is therefore continued beyond
//! both ends of the grid by point reflection, as if the data were mirrored there: no mass is lost, and the
//! trapezoid rule over the grid gives back the share of tokens within it.

use deltaloss_records::JoinedModel;

use crate::bootstrap::{Cell, Resamples};
use crate::overall::median;
use crate::{CheckedJoin, EntropyDistribution, Estimate};

#[cfg(test)]
mod tests;

/// From one grid point to the next, nats.
const GRID_STEP: f64 = 0.02;
/// Bins of the cumulative histogram between two grid points; even, so that midpoints are bin edges.
const BINS_PER_STEP: usize = 4;
const BIN: f64 = GRID_STEP / BINS_PER_STEP as f64;
/// The grid covers at least this (the post's figure does) and grows to the largest entropy.
const SHORTEST_GRID_NATS: f64 = 8.0;
/// It grows no further: a vocabulary of 2³² entries has at most ln 2³² = 22.2 nats.
const LONGEST_GRID_NATS: f64 = 23.0;
/// A prediction of less entropy counts as sure in the post.
const LOW_ENTROPY_NATS: f64 = 0.2;

/// Computes analysis 5, in the order of the join's models.
pub(crate) fn entropy_distributions(
    join: &CheckedJoin<'_>,
    resamples: &Resamples,
) -> Vec<EntropyDistribution> {
    let largest = join
        .models()
        .iter()
        .flat_map(|model| &model.entropy)
        .fold(0.0, |most, &entropy| f64::max(most, f64::from(entropy)));
    let steps = grid_steps(largest);
    join.models().iter().map(|model| distribution(join, model, steps, resamples)).collect()
}

/// How many steps the grid of all models takes, where the largest entropy is `largest`.
fn grid_steps(largest: f64) -> usize {
    (largest.clamp(SHORTEST_GRID_NATS, LONGEST_GRID_NATS) / GRID_STEP).ceil() as usize
}

fn distribution(
    join: &CheckedJoin<'_>,
    model: &JoinedModel,
    steps: usize,
    resamples: &Resamples,
) -> EntropyDistribution {
    let tokens = join.rows() as f64;
    // By document, as all sums are: [tokens, entropy, tokens of low entropy].
    let of_document = |document: usize| {
        let entropies = &model.entropy[join.documents()[document].rows.clone()];
        let total: f64 = entropies.iter().map(|&entropy| f64::from(entropy)).sum();
        let low = entropies.iter().filter(|&&entropy| f64::from(entropy) < LOW_ENTROPY_NATS).count();
        Cell { document, sums: [entropies.len() as f64, total, low as f64] }
    };
    let cells: Vec<Cell<3>> = join.documents_with_rows().map(of_document).collect();
    let (total, low) =
        cells.iter().fold((0.0, 0.0), |(total, low), cell| (total + cell.sums[1], low + cell.sums[2]));
    let resampled = resamples.resample(&cells);
    EntropyDistribution {
        role: model.role,
        label: model.label.clone(),
        mean_nats: resampled.ratio(total / tokens, 1, 0),
        median_nats: Estimate::point(median(&model.entropy)),
        share_below_0_2: resampled.ratio(low / tokens, 2, 0),
        grid_nats: (0..=steps).map(|index| index as f64 * GRID_STEP).collect(),
        density_per_nat: density(&model.entropy, steps),
        density_intervals_per_nat: None,
        density_standard_errors_per_nat: None,
    }
}

/// The Gaussian's standard deviation, nats. It shrinks with the fifth root of the number of tokens, which
/// balances noise against blur; the factor keeps the peak below 0.1 nats of a language model's entropies
/// visible. It depends on nothing else, so that the models of a comparison are smoothed alike.
fn bandwidth_nats(tokens: usize) -> f64 {
    (0.5 * (tokens as f64).powf(-0.2)).clamp(0.03, 0.15)
}

/// The density per nat at `steps` + 1 points from 0 on.
fn density(entropies: &[f32], steps: usize) -> Vec<f64> {
    let histogram = Cumulative::new(entropies, steps * BINS_PER_STEP);
    let kernel = gaussian(bandwidth_nats(entropies.len()) / BIN);
    let per_nat = 1.0 / (GRID_STEP * entropies.len() as f64);
    let half = (BINS_PER_STEP / 2) as isize;
    let difference = |step: usize| {
        let middle = (step * BINS_PER_STEP) as isize;
        histogram.smoothed(middle + half, &kernel) - histogram.smoothed(middle - half, &kernel)
    };
    // Rounding may leave a difference of equal values just below zero.
    (0..=steps).map(|step| (difference(step) * per_nat).max(0.0)).collect()
}

/// Half of a Gaussian with this standard deviation in bins: the weights of the centre and of each bin to
/// one side. The whole sums to 1.
fn gaussian(deviation: f64) -> Vec<f64> {
    let reach = (5.0 * deviation).ceil() as usize;
    let mut kernel: Vec<f64> =
        (0..=reach).map(|bin| (-0.5 * (bin as f64 / deviation).powi(2)).exp()).collect();
    let total = kernel[0] + 2.0 * kernel[1..].iter().sum::<f64>();
    kernel.iter_mut().for_each(|weight| *weight /= total);
    kernel
}

/// A cumulative histogram: how many tokens lie below each bin edge.
struct Cumulative {
    /// `[edge]`; one more than bins.
    below: Vec<f64>,
}

impl Cumulative {
    /// Counts the entropies that lie within `bins` bins from 0 on. Rounding may have left an entropy below
    /// zero: it counts as zero.
    fn new(entropies: &[f32], bins: usize) -> Self {
        let end = bins as f64 * BIN;
        let mut counts = vec![0u64; bins];
        for entropy in
            entropies.iter().map(|&entropy| f64::from(entropy).max(0.0)).filter(|&entropy| entropy <= end)
        {
            counts[((entropy / BIN) as usize).min(bins - 1)] += 1;
        }
        let mut total = 0;
        let counted = counts.iter().map(|count| {
            total += count;
            total as f64
        });
        Cumulative { below: std::iter::once(0.0).chain(counted).collect() }
    }

    /// The value at an edge, continued beyond either end by point reflection.
    fn at(&self, edge: isize) -> f64 {
        let last = self.below.len() - 1;
        if edge < 0 {
            -self.at(-edge)
        } else if edge as usize > last {
            2.0 * self.below[last] - self.at(2 * last as isize - edge)
        } else {
            self.below[edge as usize]
        }
    }

    /// The value at an edge after smoothing with a symmetric kernel.
    fn smoothed(&self, edge: isize, kernel: &[f64]) -> f64 {
        let sides = kernel.iter().enumerate().skip(1).map(|(distance, weight)| {
            weight * (self.at(edge - distance as isize) + self.at(edge + distance as isize))
        });
        kernel[0] * self.at(edge) + sides.sum::<f64>()
    }
}
