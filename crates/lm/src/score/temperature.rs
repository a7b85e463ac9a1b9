//! The temperature T that minimises a mean loss (Guo et al. 2017, arXiv 1706.04599, section 4.2): the search itself, which
//! knows neither models nor documents.
//!
//! The mean loss is convex in β = 1/T. Its slope there is mean(E[l] − l of the target), l the logits and E under
//! softmax(βl), which is (mean loss − mean entropy)/β. So losses and entropies at a few β bracket the minimum, and no
//! logit is kept:
//!
//! 1. a coarse grid in ln β over the whole range, on a pilot sample, says where to look;
//! 2. one pass over all tokens takes the slope at nine Chebyshev–Lobatto nodes in ln β about that place; the root of
//!    the polynomial through them is the minimum.
//!
//! The slope is analytic in ln β: the zeros of a softmax sum over V entries lie some π/ln V from the real axis (where
//! many equal entries meet one that leads), 0.29 for 50,257 entries and twice the half-width of the nodes, so that each
//! node takes three quarters of the polynomial's error away. That is checked, not trusted: the five nodes of even index
//! are a Chebyshev–Lobatto set too, and where their root differs by more than [`AGREEMENT`] a narrower pass follows. Where
//! the minimum lies beyond the nodes, the next pass looks there.

use crate::scorer::LossSums;

/// Temperatures looked at.
pub(super) const SEARCHED_TEMPERATURES: [f64; 2] = [0.1, 10.0];
/// Nodes of the coarse grid.
const GRID: usize = 14;
/// Intervals between the nodes of a pass; even, so that every second node is a set of its own.
const INTERVALS: usize = 8;
/// Half the width of the first pass, in ln β: many standard errors of a minimum found on a pilot of some thousand tokens.
const HALF_WIDTH: f64 = 0.15;
/// How far the roots of nine and of five nodes may be apart, in ln β. The error falls geometrically with the nodes, so
/// that of nine is about the square of that of five.
const AGREEMENT: f64 = 1e-3;
/// The share of the entropy that a pass must change for logits not to count as all equal.
const LEAST_CHANGE: f64 = 1e-6;

/// Over which tokens losses are summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// A sample of the discovery half.
    Pilot,
    /// The whole discovery half.
    All,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fit {
    /// The minimum.
    Minimum {
        /// Its inverse temperature.
        beta: f32,
        /// Whether the loss still falls there, at an end of the range.
        at_edge: bool,
    },
    /// The loss does not depend on the temperature.
    Flat,
}

/// Finds the minimum of the mean loss, within 1e-4 in T. `sums` gives the losses and entropies of all tokens of an extent,
/// summed, at each inverse temperature.
pub(super) fn fit<E>(mut sums: impl FnMut(Extent, &[f32]) -> Result<Vec<LossSums>, E>) -> Result<Fit, E> {
    let [lowest, highest] = ends();
    let grid: Vec<f32> = (0..GRID)
        .map(|i| (lowest + (highest - lowest) * i as f64 / (GRID - 1) as f64).exp() as f32)
        .collect();
    let mut centre = Slopes::new(&grid, &sums(Extent::Pilot, &grid)?).nearest_crossing();
    let mut half = HALF_WIDTH;
    loop {
        centre = centre.clamp(lowest + half, highest - half);
        let nodes = lobatto(centre, half);
        let of_nodes = sums(Extent::All, &nodes)?;
        let (first, last) = (of_nodes[0].entropy_nats, of_nodes[INTERVALS].entropy_nats);
        if first - last <= LEAST_CHANGE * first {
            return Ok(Fit::Flat);
        }
        let slopes = Slopes::new(&nodes, &of_nodes);
        let at_edge = |place: f64| Ok(Fit::Minimum { beta: place.exp() as f32, at_edge: true });
        match slopes.side() {
            Side::Below if centre <= lowest + half => return at_edge(lowest),
            Side::Above if centre >= highest - half => return at_edge(highest),
            Side::Below => centre -= 2.0 * half,
            Side::Above => centre += 2.0 * half,
            Side::Between => {
                let root = slopes.root();
                if (root - slopes.every_second().root()).abs() <= AGREEMENT {
                    return Ok(Fit::Minimum { beta: root.exp() as f32, at_edge: false });
                }
                (centre, half) = (root, half / 4.0);
            }
        }
    }
}

/// The range of ln β.
fn ends() -> [f64; 2] {
    let [lowest, highest] = SEARCHED_TEMPERATURES;
    [-highest.ln(), -lowest.ln()]
}

/// Chebyshev–Lobatto nodes: dense towards both ends, which are among them.
fn lobatto(middle: f64, half: f64) -> Vec<f32> {
    let angle = |j: usize| std::f64::consts::PI * j as f64 / INTERVALS as f64;
    (0..=INTERVALS).map(|j| (middle - half * angle(j).cos()).exp() as f32).collect()
}

/// Where the minimum lies of the places looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Below,
    Between,
    Above,
}

/// The slope of the summed loss in β, at ascending places in ln β. It rises: the loss is convex.
#[derive(Clone, Debug)]
struct Slopes {
    places: Vec<f64>,
    slopes: Vec<f64>,
}

impl Slopes {
    fn new(betas: &[f32], sums: &[LossSums]) -> Self {
        let slope = |(&beta, sums): (&f32, &LossSums)| (sums.loss_nats - sums.entropy_nats) / f64::from(beta);
        Slopes {
            places: betas.iter().map(|&beta| f64::from(beta).ln()).collect(),
            slopes: betas.iter().zip(sums).map(slope).collect(),
        }
    }

    fn every_second(&self) -> Self {
        let halve = |values: &[f64]| values.iter().step_by(2).copied().collect();
        Slopes { places: halve(&self.places), slopes: halve(&self.slopes) }
    }

    fn side(&self) -> Side {
        match (self.slopes.first(), self.slopes.last()) {
            (Some(&first), _) if first > 0.0 => Side::Below,
            (_, Some(&last)) if last < 0.0 => Side::Above,
            _ => Side::Between,
        }
    }

    /// Where a straight line between two nodes crosses zero; the first or last node where none does.
    fn nearest_crossing(&self) -> f64 {
        let after = self.slopes.partition_point(|&slope| slope < 0.0);
        if after == 0 || after == self.slopes.len() {
            return self.places[after.min(self.places.len() - 1)];
        }
        let (low, high) = (self.slopes[after - 1], self.slopes[after]);
        let share = -low / (high - low);
        self.places[after - 1] + share * (self.places[after] - self.places[after - 1])
    }

    /// The root of the polynomial through all nodes, by bisection between the first and the last, whose slopes differ in
    /// sign.
    fn root(&self) -> f64 {
        let weights = self.weights();
        let (mut low, mut high) = (self.places[0], self.places[self.places.len() - 1]);
        // Each step halves the interval; 60 take any below a double's resolution.
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if self.interpolate(&weights, middle) < 0.0 { low = middle } else { high = middle }
        }
        f64::midpoint(low, high)
    }

    /// Barycentric weights (Berrut and Trefethen 2004, eq. 3.2): β is a float, so its nodes are not quite Chebyshev's.
    fn weights(&self) -> Vec<f64> {
        let weight = |&at: &f64| {
            let others = self.places.iter().filter(|&&other| other != at);
            1.0 / others.map(|other| at - other).product::<f64>()
        };
        self.places.iter().map(weight).collect()
    }

    /// The polynomial's value (the same, eq. 4.2).
    fn interpolate(&self, weights: &[f64], place: f64) -> f64 {
        let (mut over, mut under) = (0.0, 0.0);
        for ((&at, &slope), &weight) in self.places.iter().zip(&self.slopes).zip(weights) {
            if place == at {
                return slope;
            }
            over += weight / (place - at) * slope;
            under += weight / (place - at);
        }
        over / under
    }
}

#[cfg(test)]
mod tests;
