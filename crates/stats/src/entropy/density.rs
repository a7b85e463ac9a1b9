//! The density of a cumulative histogram.
//!
//! The density is the derivative of a smoothed cumulative histogram. The cumulative histogram has fine bins
//! of 0.005 nats and is smoothed with a Gaussian; differences over 0.02 nats, centred on each grid point,
//! are its derivative. Entropies crowd against zero, below which there are none, so a plain Gaussian would
//! carry mass across and halve the density there. The cumulative histogram is therefore continued beyond
//! both ends of the grid by point reflection, as if the data were mirrored there: no mass is lost, and the
//! trapezoid rule over the grid gives back the share of tokens within it.

/// From one grid point to the next, nats.
pub(crate) const GRID_STEP: f64 = 0.02;
/// Bins of the cumulative histogram between two grid points; even, so that midpoints are bin edges.
pub(crate) const BINS_PER_STEP: usize = 4;
pub(crate) const BIN: f64 = GRID_STEP / BINS_PER_STEP as f64;

/// The Gaussian's standard deviation, nats. It shrinks with the fifth root of the number of tokens, which
/// balances noise against blur; the factor keeps the peak below 0.1 nats of a language model's entropies
/// visible. It depends on nothing else, so that the models of a comparison are smoothed alike.
pub(super) fn bandwidth_nats(tokens: u64) -> f64 {
    (0.5 * (tokens as f64).powf(-0.2)).clamp(0.03, 0.15)
}

/// The density per nat at `steps` + 1 points from 0 on, from counts of the first `steps` x [`BINS_PER_STEP`] fine bins
/// among `tokens` in all.
pub(super) fn density(counts: &[f64], steps: usize, tokens: u64) -> Vec<f64> {
    let histogram = Cumulative::new(counts);
    let kernel = gaussian(bandwidth_nats(tokens) / BIN);
    let per_nat = 1.0 / (GRID_STEP * tokens as f64);
    // Rounding may leave a difference of equal values just below zero.
    (0..=steps).map(|step| (histogram.difference(step, &kernel) * per_nat).max(0.0)).collect()
}

/// What one token of each step-wide bin adds to the densities: `[bin]` of (first grid point, values per nat and token),
/// the token spread evenly over the bin.
pub(super) fn responses(steps: usize, tokens: u64) -> Vec<(usize, Vec<f64>)> {
    let kernel = gaussian(bandwidth_nats(tokens) / BIN);
    let reach = kernel.len() / BINS_PER_STEP + 2;
    let mut counts = vec![0.0; steps * BINS_PER_STEP];
    let mut of_bin = |bin: usize| {
        let within = bin * BINS_PER_STEP..(bin + 1) * BINS_PER_STEP;
        counts[within.clone()].fill(1.0 / BINS_PER_STEP as f64);
        let histogram = Cumulative::new(&counts);
        counts[within].fill(0.0);
        let (first, last) = (bin.saturating_sub(reach), (bin + 1 + reach).min(steps));
        let values = (first..=last).map(|step| histogram.difference(step, &kernel) / GRID_STEP);
        (first, values.collect::<Vec<f64>>())
    };
    // Far from both ends all responses have one form.
    let is_inner = |bin: usize| bin > 2 * reach && bin + 2 * reach + 1 < steps;
    let inner = (0..steps).find(|&bin| is_inner(bin)).map(|bin| of_bin(bin).1);
    let response = |bin: usize| match &inner {
        Some(inner) if is_inner(bin) => (bin - reach, inner.clone()),
        _ => of_bin(bin),
    };
    (0..steps).map(response).collect()
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
    fn new(counts: &[f64]) -> Self {
        let mut total = 0.0;
        let counted = counts.iter().map(|count| {
            total += count;
            total
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

    /// How many tokens lie within half a step of a grid point, after smoothing.
    fn difference(&self, step: usize, kernel: &[f64]) -> f64 {
        let (middle, half) = ((step * BINS_PER_STEP) as isize, (BINS_PER_STEP / 2) as isize);
        self.smoothed(middle + half, kernel) - self.smoothed(middle - half, kernel)
    }
}
