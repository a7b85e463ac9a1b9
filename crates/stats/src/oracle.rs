//! Analysis 7: Δ by the entropy of a stronger model, in bins of equal count, and the trend over tokens.
//!
//! The bins' edges are quantiles of the oracle's entropies among the tokens of the set of documents that is analysed. They do
//! not depend on any loss of a or b, so nothing is selected by the outcome, and each half has its own.
//!
//! The trend is ordinary least squares over tokens. Its interval resamples documents; its standard error is the
//! cluster-robust one (CR1 without covariates, Cameron and Miller 2015, section II): a document's residual is Σ (x − x̄) e over Σ (x − x̄)².

#[cfg(test)]
mod tests;

use std::sync::Arc;

use deltaloss_records::{Role, Split};

use crate::bootstrap::{Cell, Resamples};
use crate::distribution::{Distribution, Edges, key};
use crate::estimate::{Measured, Resampled, clustered_error};
use crate::groups::{GroupTable, Whole, sums_of};
use crate::ranks::PARTS;
use crate::rows::delta_rows;
use crate::table::{DocumentTable, Halves};
use crate::{DocumentRows, Estimate, Oracle, OracleBin, OracleTrend, SecondRows};

/// Bins of equal count, as in the post.
const BINS: usize = 20;

/// The first pass: how the oracle's entropies are distributed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct OracleEntropies {
    halves: Halves<Entropies>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Entropies {
    known: Distribution,
    without_value: u64,
}

impl Entropies {
    fn merge(&mut self, other: &Self) {
        self.known.merge(&other.known);
        self.without_value += other.without_value;
    }
}

impl OracleEntropies {
    pub(crate) fn add_document(&mut self, rows: &DocumentRows<'_>) {
        let Some(oracle) = rows.oracle else { return };
        let known: Vec<f32> = oracle.iter().flatten().copied().collect();
        let half = self.halves.of(rows.split);
        half.without_value += (oracle.len() - known.len()) as u64;
        half.known.extend(&known);
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.halves.discovery.merge(&other.halves.discovery);
        self.halves.confirmation.merge(&other.halves.confirmation);
    }

    /// The second pass.
    pub(crate) fn second_pass(&self, roles: &[Role]) -> OracleSums {
        let parts = PARTS.map(|half| {
            let Entropies { known, without_value } = self.halves.of_part(half, Entropies::merge);
            PartPlan { edges: known.sorted().edges(BINS), without_value }
        });
        OracleSums {
            parts: Arc::new(parts),
            placebo: roles.iter().position(|role| *role == Role::Placebo),
            groups: GroupTable::default(),
            entropies: [(); 3].map(|()| DocumentTable::new(BINS)),
            moments: DocumentTable::new(MOMENTS),
        }
    }
}

/// What the first pass found of one set of documents.
#[derive(Clone, Debug)]
struct PartPlan {
    edges: Edges,
    without_value: u64,
}

/// Sums of a document for the trend: [n, Σx, Σx², Σy, Σxy, Σz, Σxz], x being the oracle's entropy, y Δ of (a, b), z
/// Δ of (placebo, b).
const MOMENTS: usize = 7;

/// The second pass: sums by document and bin.
#[derive(Clone, Debug)]
pub(crate) struct OracleSums {
    parts: Arc<[PartPlan; 3]>,
    /// Place of the placebo among the models.
    placebo: Option<usize>,
    /// By (part, bin).
    groups: GroupTable<(usize, usize)>,
    /// Summed entropies by bin, `[part]`.
    entropies: [DocumentTable; 3],
    moments: DocumentTable,
}

impl OracleSums {
    /// The same without documents.
    pub(crate) fn fresh(&self) -> Self {
        OracleSums {
            parts: Arc::clone(&self.parts),
            placebo: self.placebo,
            groups: GroupTable::default(),
            entropies: [(); 3].map(|()| DocumentTable::new(BINS)),
            moments: self.moments.fresh(),
        }
    }

    pub(crate) fn add_rows(&mut self, rows: &SecondRows<'_>) {
        let Some(oracle) = rows.oracle else { return };
        let placebo = self.placebo.map(|place| rows.losses[place]);
        let sums = |index: usize| {
            let losses = [rows.losses[0][index], rows.losses[1][index]];
            sums_of(losses, placebo.map(|placebo| placebo[index]), rows.bytes[index])
        };
        let parts: Vec<usize> =
            (0..PARTS.len()).filter(|&part| PARTS[part].is_none_or(|half| half == rows.split)).collect();
        let mut entropies = [[0.0; BINS]; 3];
        let mut moments = [0.0; MOMENTS];
        self.groups.add_tokens((rows.document, rows.split), rows.token, sums, |index, found| {
            let Some(entropy) = oracle[index] else { return };
            let x = f64::from(entropy);
            for &part in &parts {
                let bin = self.parts[part].edges.bin(key(entropy));
                found.push((part, bin));
                entropies[part][bin] += x;
            }
            let [_, _, _, y, z, _] = sums(index);
            for (moment, value) in moments.iter_mut().zip([1.0, x, x * x, y, x * y, z, x * z]) {
                *moment += value;
            }
        });
        for part in parts {
            self.entropies[part].push(rows.document, entropies[part]);
        }
        self.moments.push(rows.document, moments);
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.groups.merge(other.groups);
        self.moments.merge(other.moments);
        for (ours, theirs) in self.entropies.iter_mut().zip(other.entropies) {
            ours.merge(theirs);
        }
    }

    /// Computes analysis 7 of a set of documents.
    pub(crate) fn finish(&self, part: usize, half: Option<Split>, label: &str, whole: &Whole<'_>) -> Oracle {
        let resamples = whole.resamples;
        let groups = self.groups.groups_where(half, resamples, |key| key.0 == part);
        let mut entropies = [0.0; BINS];
        for cell in
            self.entropies[part].cells(resamples, |row| std::array::from_fn::<f64, BINS, _>(|bin| row[bin]))
        {
            entropies.iter_mut().zip(cell.sums).for_each(|(total, sum)| *total += sum);
        }
        let rows = delta_rows(&groups, |(_, bin)| (bin + 1).to_string(), whole);
        let bins = groups.iter().zip(rows).map(|(of, row)| {
            let (_, bin) = of.key;
            let up_to_nats = self.parts[part].edges.up_to(bin);
            OracleBin { up_to_nats, mean_entropy_nats: entropies[bin] / row.tokens as f64, row }
        });
        let bins: Vec<OracleBin> = bins.collect();
        let line = Line::new(&self.moments, resamples);
        let trend = line.as_ref().map(|line| line.trend(OUTCOME_A, resamples));
        let with_placebo = line.as_ref().filter(|_| whole.has_placebo);
        let difference = with_placebo.map(|line| line.slope(DIFFERENCE, resamples));
        Oracle {
            label: label.to_owned(),
            tokens: bins.iter().map(|bin| bin.row.tokens).sum(),
            without_value: self.parts[part].without_value,
            crossings_nats: crossings(&bins),
            bins,
            trend,
            placebo_trend: with_placebo.map(|line| line.trend(OUTCOME_PLACEBO, resamples)),
            slope_difference: difference.map(|found| found.estimate),
            slope_difference_test: difference.and_then(|found| found.test()),
        }
    }
}

/// Where the line through the bins changes its sign.
fn crossings(bins: &[OracleBin]) -> Vec<f64> {
    // A bin that is level only touches zero.
    let point = |bin: &OracleBin| {
        Some((bin.mean_entropy_nats, bin.row.delta_nats?.value)).filter(|(_, delta)| *delta != 0.0)
    };
    let points: Vec<(f64, f64)> = bins.iter().filter_map(point).collect();
    let crossing = |&[(left, from), (right, to)]: &[(f64, f64); 2]| {
        (from * to < 0.0).then(|| left + (right - left) * from / (from - to))
    };
    points.array_windows().filter_map(crossing).collect()
}

/// [Σy, Σxy] of an outcome from the moments.
type Outcome = fn(&[f64; MOMENTS]) -> [f64; 2];

const OUTCOME_A: Outcome = |sums| [sums[3], sums[4]];
const OUTCOME_PLACEBO: Outcome = |sums| [sums[5], sums[6]];
const DIFFERENCE: Outcome = |sums| [sums[3] - sums[5], sums[4] - sums[6]];

/// Least squares of outcomes on the oracle's entropy.
struct Line {
    sums: Resampled<MOMENTS>,
}

/// Slope and mean outcome, with the mean entropy, of some sums; nothing where the entropies are equal.
fn slope_of(sums: &[f64; MOMENTS], outcome: Outcome) -> Option<[f64; 3]> {
    let [n, x, xx, ..] = *sums;
    let [y, xy] = outcome(sums);
    let spread = xx - x * x / n;
    // Rounding leaves some 1e-16 of Σx² where all are equal.
    (n > 0.0 && spread > 1e-12 * xx).then(|| [(xy - x * y / n) / spread, y / n, x / n])
}

impl Line {
    fn new(moments: &DocumentTable, resamples: &Resamples) -> Option<Self> {
        let mut cells: Vec<Cell<MOMENTS>> =
            moments.cells(resamples, |row| std::array::from_fn(|sum| row[sum]));
        cells.retain(|cell| cell.sums[0] > 0.0);
        let sums = Resampled::new(cells, resamples);
        slope_of(sums.totals(), OUTCOME_A)?;
        Some(Line { sums })
    }

    fn trend(&self, outcome: Outcome, resamples: &Resamples) -> OracleTrend {
        let slope = self.slope(outcome, resamples);
        let [value, mean_y, mean_x] = slope_of(self.sums.totals(), outcome).unwrap_or([f64::NAN; 3]);
        let intercept = |sums: &[f64; MOMENTS]| slope_of(sums, outcome).map(|[slope, y, x]| y - slope * x);
        let crossing = |sums: &[f64; MOMENTS]| slope_of(sums, outcome).map(|[slope, y, x]| x - y / slope);
        // As with shares of a gap: what is divided by has to be clear of zero.
        let clear = slope.estimate.is_clear_of_zero();
        let estimate =
            |value: f64, interval: Option<[f64; 2]>| Estimate { interval, ..Estimate::point(value) };
        let [n, x, xx, ..] = *self.sums.totals();
        // A slope that moves Δ by less than rounding crosses nowhere.
        let is_level = value.abs() * ((xx - x * x / n) / n).sqrt() <= 1e-12 * mean_y.abs();
        OracleTrend {
            slope: slope.estimate,
            slope_test: slope.test(),
            intercept_nats: estimate(mean_y - value * mean_x, self.sums.interval(intercept)),
            crossing_nats: (!is_level)
                .then(|| estimate(mean_x - mean_y / value, self.sums.interval(crossing).filter(|_| clear)))
                .filter(|crossing| crossing.value.is_finite()),
        }
    }

    fn slope(&self, outcome: Outcome, resamples: &Resamples) -> Measured {
        let totals = self.sums.totals();
        let [slope, mean_y, mean_x] = slope_of(totals, outcome).unwrap_or([f64::NAN; 3]);
        let spread = totals[2] - totals[1] * totals[1] / totals[0];
        let residual = |cell: &Cell<MOMENTS>| {
            let [n, x, xx, ..] = cell.sums;
            let [y, xy] = outcome(&cell.sums);
            let products = xy - mean_x * y - mean_y * x + n * mean_x * mean_y;
            let squares = xx - 2.0 * mean_x * x + n * mean_x * mean_x;
            (products - slope * squares) / spread
        };
        let documents = self.sums.cells().len();
        let standard_error = resamples
            .reach(documents)
            .then(|| clustered_error(self.sums.cells().iter().map(residual), documents));
        let interval = self.sums.interval(|sums| slope_of(sums, outcome).map(|[slope, ..]| slope));
        let estimate = Estimate { value: slope, interval, standard_error: standard_error.flatten() };
        Measured { estimate, documents }
    }
}
