//! The second pass: medians and Spearman's rank correlation, which need the distribution of all tokens first.
//!
//! *Medians* are exact. Their interval is that of Woodruff (1952): the interval of the share of tokens below the
//! median, from the resamples, carried back through the distribution of all tokens.
//!
//! *Spearman's ρ* is Pearson's r of the ranks. Ranks are exact up to 2¹⁸ tokens; beyond, values whose upper 20 bits agree
//! share their mean rank, which changes ρ by less than Σ p³ over the bins' shares p (about 10⁻⁷ for losses). Its
//! interval resamples the linearised coefficient: with u and v the centred ranks, a document adds to E[uv] the sum
//! over its tokens of uv + h(x) + h(y), where h(x) = E[1{x < X} v(Y)] is what a token does to the ranks of the others (the
//! influence function of Croux and Dehon 2010). The interval is made on Fisher's scale artanh ρ, so that it stays within ±1.

use std::sync::Arc;

use deltaloss_records::Split;

use crate::bootstrap::Resamples;
use crate::distribution::{Distribution, Middle, Ranks, Sorted, key};
use crate::estimate::{Resampled, combine};
use crate::oracle::OracleSums;
use crate::regression::Regression;
use crate::table::{DocumentTable, Halves};
use crate::{Accumulator, DocumentRows, Estimate, SecondRows};

#[cfg(test)]
mod tests;

/// The sets of documents that are analysed: all, and each half.
pub(crate) const PARTS: [Option<Split>; 3] = [None, Some(Split::Discovery), Some(Split::Confirmation)];

/// Places of the models of every pair, the earlier one first.
pub(crate) fn pairs(models: usize) -> impl Iterator<Item = (usize, usize)> + Clone {
    (1..models).flat_map(|second| (0..second).map(move |first| (first, second)))
}

/// Eight bins an octave from 2⁻²⁰ to 2⁵ nats; what is below or above lies in the first or last.
const COARSE: usize = 25 * 8 + 1;

fn coarse(key: u32) -> usize {
    const LOWEST: u32 = 0x800 | ((127 - 20) << 3);
    ((key >> 20).saturating_sub(LOWEST) as usize).min(COARSE - 1)
}

/// What the first pass finds of one half: how losses and entropies are distributed.
#[derive(Clone, Debug, PartialEq)]
struct Columns {
    /// `[model]`.
    losses: Vec<Distribution>,
    /// `[model]`.
    entropies: Vec<Distribution>,
    /// Tokens by the coarse bins of two models' losses, `[pair][bin of the first x bin of the second]`.
    joint: Vec<Vec<u64>>,
}

impl Columns {
    fn merge(&mut self, other: &Self) {
        let ours = self.losses.iter_mut().chain(&mut self.entropies);
        ours.zip(other.losses.iter().chain(&other.entropies)).for_each(|(ours, theirs)| ours.merge(theirs));
        let ours = self.joint.iter_mut().flatten();
        ours.zip(other.joint.iter().flatten()).for_each(|(ours, theirs)| *ours += theirs);
    }
}

/// The first pass.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DistributionSums {
    halves: Halves<Columns>,
}

impl DistributionSums {
    pub(crate) fn new(models: usize) -> Self {
        let columns = || Columns {
            losses: vec![Distribution::default(); models],
            entropies: vec![Distribution::default(); models],
            joint: vec![vec![0; COARSE * COARSE]; pairs(models).count()],
        };
        DistributionSums { halves: Halves { discovery: columns(), confirmation: columns() } }
    }

    /// What the second pass has to look for, if any token is in the part.
    fn plan(&self, half: Option<Split>) -> Option<Plan> {
        let columns = self.halves.of_part(half, Columns::merge);
        let losses: Vec<Sorted> = columns.losses.iter().map(Distribution::sorted).collect();
        let entropies: Vec<Sorted> = columns.entropies.iter().map(Distribution::sorted).collect();
        if losses.first().is_none_or(|losses| losses.count() == 0) {
            return None;
        }
        let influences = pairs(losses.len()).zip(&columns.joint).map(|((first, second), joint)| {
            let transposed: Vec<u64> =
                (0..COARSE * COARSE).map(|at| joint[at % COARSE * COARSE + at / COARSE]).collect();
            [influence(joint, &losses[second]), influence(&transposed, &losses[first])]
        });
        Some(Plan {
            influences: influences.collect(),
            ranks: losses.iter().map(Sorted::ranks).collect(),
            middles: entropies.iter().map(Middle::new).collect(),
            losses,
            entropies,
        })
    }
}

impl Accumulator for DistributionSums {
    fn add_document(&mut self, rows: &DocumentRows<'_>) {
        let columns = self.halves.of(rows.split);
        let mut bins = Vec::with_capacity(rows.models.len());
        for (index, model) in rows.models.iter().enumerate() {
            columns.losses[index].extend(model.loss);
            columns.entropies[index].extend(model.entropy);
            bins.push(model.loss.iter().map(|&loss| coarse(key(loss))).collect::<Vec<usize>>());
        }
        for ((first, second), joint) in pairs(bins.len()).zip(&mut columns.joint) {
            for (first, second) in bins[first].iter().zip(&bins[second]) {
                joint[first * COARSE + second] += 1;
            }
        }
    }

    fn merge(&mut self, other: Self) {
        self.halves.discovery.merge(&other.halves.discovery);
        self.halves.confirmation.merge(&other.halves.confirmation);
    }
}

/// h(x) = E[1{x < X} v(Y)] by the coarse bin of x (up to a constant), from tokens by the coarse bins of x and y.
fn influence(joint: &[u64], y: &Sorted) -> Vec<f64> {
    let (mut sums, mut counts) = (vec![0.0; COARSE], vec![0u64; COARSE]);
    for (key, count, place) in y.centred() {
        sums[coarse(key)] += count as f64 * place;
        counts[coarse(key)] += count;
    }
    let means: Vec<f64> = sums.iter().zip(&counts).map(|(sum, &count)| sum / count.max(1) as f64).collect();
    let all = y.count() as f64;
    let slice =
        |joint: &[u64]| joint.iter().zip(&means).map(|(&count, mean)| count as f64 * mean).sum::<f64>() / all;
    let slices: Vec<f64> = joint.chunks_exact(COARSE).map(slice).collect();
    let mut above = 0.0;
    let mut tails: Vec<f64> = Vec::with_capacity(COARSE);
    for slice in slices.iter().rev() {
        tails.push(above + slice / 2.0);
        above += slice;
    }
    tails.reverse();
    tails
}

/// What the second pass looks for in one set of documents.
#[derive(Clone, Debug)]
struct Plan {
    /// `[model]`.
    losses: Vec<Sorted>,
    /// `[model]`.
    entropies: Vec<Sorted>,
    /// Of losses, `[model]`.
    ranks: Vec<Ranks>,
    /// Of entropies, without counts, `[model]`.
    middles: Vec<Middle>,
    /// h of the first and of the second model, `[pair]`.
    influences: Vec<[Vec<f64>; 2]>,
}

/// The second pass over the same documents: what takes the distribution of all tokens, which the first has found.
///
/// It looks at what [`SecondRows`] holds only.
#[derive(Clone, Debug)]
pub struct SecondPass {
    /// By the order of [`PARTS`].
    plans: Arc<[Option<Plan>; 3]>,
    /// `[part][model]`.
    middles: [Vec<Middle>; 3],
    /// The table 'held fixed'.
    pub(crate) regression: Regression,
    /// Analysis 7, where there is an oracle.
    pub(crate) oracle: Option<OracleSums>,
    /// By part: tokens, entropies below the threshold of each model, then Σuv and Σ of influences of each pair.
    tables: [DocumentTable; 3],
}

impl SecondPass {
    /// Of a first pass.
    pub(crate) fn new(first: &DistributionSums, regression: Regression, oracle: Option<OracleSums>) -> Self {
        let plans = PARTS.map(|half| first.plan(half));
        let models = first.halves.discovery.losses.len();
        let width = 1 + models + 2 * pairs(models).count();
        let middles =
            [0, 1, 2].map(|part: usize| plans[part].as_ref().map_or(Vec::new(), |plan| plan.middles.clone()));
        let tables = [(); 3].map(|()| DocumentTable::new(width));
        SecondPass { plans: Arc::new(plans), middles, regression, oracle, tables }
    }

    /// The same pass before it has looked at anything, for other documents.
    #[must_use]
    pub fn fresh(&self) -> Self {
        let middles = [0, 1, 2]
            .map(|part: usize| self.plans[part].as_ref().map_or(Vec::new(), |plan| plan.middles.clone()));
        let tables = [0, 1, 2].map(|part: usize| self.tables[part].fresh());
        let regression = self.regression.fresh();
        let oracle = self.oracle.as_ref().map(OracleSums::fresh);
        SecondPass { plans: Arc::clone(&self.plans), middles, regression, oracle, tables }
    }

    /// Adds a document with at least one row; its models are in the order of the first pass.
    pub fn add_rows(&mut self, rows: &SecondRows<'_>) {
        self.regression.add_rows(rows);
        self.oracle.iter_mut().for_each(|oracle| oracle.add_rows(rows));
        self.add_columns(rows.document, rows.split, rows.losses, rows.entropies);
    }

    fn add_columns(&mut self, document: u32, split: Split, losses: &[&[f32]], entropies: &[&[f32]]) {
        let keys = |columns: &[&[f32]]| -> Vec<Vec<u32>> {
            columns.iter().map(|column| column.iter().map(|&value| key(value)).collect()).collect()
        };
        let (losses, entropies) = (keys(losses), keys(entropies));
        for (part, half) in PARTS.into_iter().enumerate() {
            let Some(plan) = &self.plans[part] else { continue };
            if half.is_some_and(|half| half != split) {
                continue;
            }
            let mut sums = vec![losses.first().map_or(0, Vec::len) as f64];
            for (keys, middle) in entropies.iter().zip(&mut self.middles[part]) {
                keys.iter().for_each(|&key| middle.look(key));
                sums.push(keys.iter().filter(|&&key| key < middle.threshold()).count() as f64);
            }
            let places = losses
                .iter()
                .zip(&plan.ranks)
                .map(|(keys, ranks)| keys.iter().map(|&key| ranks.of(key)).collect::<Vec<f64>>());
            let places: Vec<Vec<f64>> = places.collect();
            for ((first, second), [of_first, of_second]) in pairs(losses.len()).zip(&plan.influences) {
                let (mut product, mut influence) = (0.0, 0.0);
                for (token, (u, v)) in places[first].iter().zip(&places[second]).enumerate() {
                    product += u * v;
                    influence += u * v
                        + of_first[coarse(losses[first][token])]
                        + of_second[coarse(losses[second][token])];
                }
                sums.extend([product, influence]);
            }
            self.tables[part].push(document, sums);
        }
    }

    /// The median entropy of a model.
    pub(crate) fn median(&self, part: usize, model: usize, resamples: &Resamples) -> Estimate {
        let Some(plan) = &self.plans[part] else { return Estimate::point(f64::NAN) };
        let value = self.middles[part][model].median();
        let cells = self.tables[part].cells(resamples, |row| [row[0], row[1 + model]]);
        let sums = Resampled::new(cells, resamples);
        let Some(below) = combine(&[sums.term(|sums| sums[1], 0)], resamples).map(|found| found.estimate)
        else {
            return Estimate::point(value);
        };
        // Where a replicate's share below the median is larger, its median lies lower by as much.
        let entropies = &plan.entropies[model];
        let carried = |share: f64| entropies.quantile(0.5 - (share - below.value));
        let interval = below.interval.map(|[low, high]| [carried(high).min(value), carried(low).max(value)]);
        let standard_error = below
            .standard_error
            .map(|error| (entropies.quantile(0.5 + error) - entropies.quantile(0.5 - error)) / 2.0);
        Estimate { value, interval, standard_error }
    }

    /// Spearman's ρ of the losses of a pair, by its place in [`pairs`]; nothing where one model's losses are all equal.
    pub(crate) fn spearman(&self, part: usize, pair: usize, resamples: &Resamples) -> Option<Estimate> {
        let plan = self.plans[part].as_ref()?;
        let (first, second) = pairs(plan.losses.len()).nth(pair)?;
        let spread = |losses: &Sorted| -> Option<f64> {
            let squares = losses.centred().map(|(_, count, place)| count as f64 * place * place);
            (!losses.is_one_run()).then(|| squares.sum::<f64>() / losses.count() as f64)
        };
        let scale = (spread(&plan.losses[first])? * spread(&plan.losses[second])?).sqrt();
        let column = 1 + plan.losses.len() + 2 * pair;
        let cells = self.tables[part].cells(resamples, |row| [row[0], row[column], row[column + 1]]);
        let sums = Resampled::new(cells, resamples);
        let value = (sums.ratio(|sums| sums[1], 0, resamples).value / scale).clamp(-1.0, 1.0);
        let influence = combine(&[sums.term(|sums| sums[2], 0)], resamples)?.estimate;
        let on_fishers_scale =
            |end: f64| (value.atanh() + (end - influence.value) / (scale * (1.0 - value * value))).tanh();
        let interval = influence.interval.map(|ends| ends.map(on_fishers_scale));
        Some(Estimate {
            value,
            interval: interval.filter(|ends| ends.iter().all(|end| end.is_finite())),
            standard_error: influence.standard_error.map(|error| error / scale),
        })
    }
}

impl Accumulator for SecondPass {
    fn add_document(&mut self, rows: &DocumentRows<'_>) {
        let losses: Vec<&[f32]> = rows.models.iter().map(|model| model.loss).collect();
        let entropies: Vec<&[f32]> = rows.models.iter().map(|model| model.entropy).collect();
        let bytes: Vec<u32> =
            rows.byte_start.iter().zip(rows.byte_end).map(|(start, end)| end - start).collect();
        self.add_rows(&SecondRows {
            document: rows.document,
            split: rows.split,
            position: rows.position,
            token: rows.token,
            category: rows.category,
            depth: rows.depth,
            losses: &losses,
            entropies: &entropies,
            bytes: &bytes,
            oracle: rows.oracle,
        });
    }

    fn merge(&mut self, other: Self) {
        for (ours, theirs) in self.middles.iter_mut().flatten().zip(other.middles.iter().flatten()) {
            ours.merge(theirs);
        }
        self.regression.merge(other.regression);
        if let (Some(ours), Some(theirs)) = (&mut self.oracle, other.oracle) {
            ours.merge(theirs);
        }
        for (ours, theirs) in self.tables.iter_mut().zip(other.tables) {
            ours.merge(theirs);
        }
    }
}
