//! Analysis 2: how the losses of every two models go together (the post's Figure 33).

use std::collections::HashMap;

use deltaloss_records::{Role, Split};

use crate::bootstrap::Resamples;
use crate::estimate::{Resampled, clustered_error};
use crate::heatmap::{Counts, Grid};
use crate::ranks::{SecondPass, pairs};
use crate::table::{DocumentTable, Halves};
use crate::vocabulary::{Entries, VocabularySums};
use crate::{Accumulator, DocumentRows, Estimate, PairCorrelation};

#[cfg(test)]
mod tests;

/// The grid of occurrences, nats. Losses beyond it are counted as outside.
const OCCURRENCES_NATS: [f64; 2] = [0.001, 20.0];

/// The grid of vocabulary entries covers at least this, as the post's does, and grows to the data's extremes.
const VOCABULARY_NATS: [f64; 2] = [0.3, 18.0];

/// It grows no further than this, lest one odd entry squeeze all others into a corner.
const VOCABULARY_LIMIT_NATS: [f64; 2] = [0.01, 20.0];

/// What is counted of one half.
#[derive(Clone, Debug, PartialEq)]
struct Counted {
    /// The smallest and the largest loss, `[model]`.
    extremes: Vec<[f32; 2]>,
    /// Occurrences on the grid, `[pair]`: the first model of the pair on the x axis.
    grids: Vec<Counts>,
}

impl Counted {
    fn merge(&mut self, other: &Self) {
        for (ours, theirs) in self.extremes.iter_mut().zip(&other.extremes) {
            *ours = [ours[0].min(theirs[0]), ours[1].max(theirs[1])];
        }
        self.grids.iter_mut().zip(&other.grids).for_each(|(ours, theirs)| ours.merge(theirs));
    }
}

/// The sums of analysis 2.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CorrelationSums {
    roles: Vec<Role>,
    grid: Grid,
    halves: Halves<Counted>,
    /// By document: tokens; each model's loss and the squares of its deviations from the document's mean; for each pair
    /// the products of deviations.
    moments: DocumentTable,
    vocabulary: VocabularySums,
}

impl CorrelationSums {
    pub(crate) fn new(roles: &[Role]) -> Self {
        let counted = Counted {
            extremes: vec![[f32::INFINITY, f32::NEG_INFINITY]; roles.len()],
            grids: vec![Counts::default(); pairs(roles.len()).count()],
        };
        CorrelationSums {
            roles: roles.to_vec(),
            grid: Grid::log_spaced(OCCURRENCES_NATS[0], OCCURRENCES_NATS[1]),
            halves: Halves { discovery: counted.clone(), confirmation: counted },
            moments: DocumentTable::new(1 + 2 * roles.len() + pairs(roles.len()).count()),
            vocabulary: VocabularySums::new(roles.len()),
        }
    }

    /// Occurrences of each token over all documents.
    pub(crate) fn occurrences(&self) -> HashMap<u32, u64> {
        let entries = self.vocabulary.entries(None);
        entries.ids.into_iter().zip(entries.counts).collect()
    }

    /// The grid of vocabulary entries for all sets of documents, so that their panels compare: from the discovery half,
    /// where there is one.
    fn vocabulary_grid(&self) -> Grid {
        let mut entries = self.vocabulary.entries(Some(Split::Discovery));
        if entries.ids.is_empty() {
            entries = self.vocabulary.entries(None);
        }
        let means = || entries.means.iter().flatten().copied();
        let low = means().fold(VOCABULARY_NATS[0], f64::min).max(VOCABULARY_LIMIT_NATS[0]);
        let high = means().fold(VOCABULARY_NATS[1], f64::max).min(VOCABULARY_LIMIT_NATS[1]);
        Grid::log_spaced(low, high)
    }

    /// Computes analysis 2 of a set of documents, the `part`-th: (a, b) first, then the pairs with the benchmark, with the
    /// placebo.
    pub(crate) fn finish(
        &self,
        half: Option<Split>,
        part: usize,
        second_pass: &SecondPass,
        resamples: &Resamples,
    ) -> Vec<PairCorrelation> {
        let counted = self.halves.of_part(half, Counted::merge);
        let entries = self.vocabulary.entries(half);
        let over_entries = self.vocabulary.correlate(&entries, resamples);
        let grid = self.vocabulary_grid();
        let correlate = |(index, (first, second)): (usize, (usize, usize))| {
            let turned = precedence(self.roles[second]) < precedence(self.roles[first]);
            let (x, y) = if turned { (second, first) } else { (first, second) };
            let occurrences = self.grid.heatmap(&counted.grids[index]);
            PairCorrelation {
                x: self.roles[x],
                y: self.roles[y],
                pearson_occurrences: self.pearson(index, [first, second], &counted, resamples),
                spearman_occurrences: second_pass.spearman(part, index, resamples),
                vocabulary_entries: entries.ids.len() as u64,
                pearson_vocabulary: over_entries[index].unweighted,
                pearson_vocabulary_weighted: over_entries[index].weighted,
                heatmap_occurrences: if turned { occurrences.transposed() } else { occurrences },
                heatmap_vocabulary: grid.heatmap(&entry_counts(&grid, &entries, x, y)),
            }
        };
        pairs(self.roles.len()).enumerate().map(correlate).collect()
    }

    /// Pearson's r over occurrences, from each document's [tokens, x, y, x², y², xy] about the means of all tokens: sums
    /// of squares of the losses themselves would cancel.
    fn pearson(
        &self,
        pair: usize,
        models: [usize; 2],
        counted: &Counted,
        resamples: &Resamples,
    ) -> Option<Estimate> {
        let constant = |model: usize| counted.extremes[model][0] == counted.extremes[model][1];
        if models.into_iter().any(constant) {
            return None;
        }
        let (column, product) = (|model: usize| 1 + 2 * model, 1 + 2 * self.roles.len() + pair);
        let sums = Resampled::new(
            self.moments.cells(resamples, |row| [row[0], row[column(models[0])], row[column(models[1])]]),
            resamples,
        );
        let [tokens, x, y] = *sums.totals();
        let means = [x / tokens, y / tokens];
        let centred = self.moments.cells(resamples, |row| {
            let tokens = row[0];
            let [x, y] = [0, 1].map(|which| row[column(models[which])] - tokens * means[which]);
            let [xx, yy] = models.map(|model| row[column(model) + 1]);
            [tokens, x, y, xx + x * x / tokens, yy + y * y / tokens, row[product] + x * y / tokens]
        });
        let sums = Resampled::new(centred, resamples);
        let value = pearson_of_sums(sums.totals())?;
        let [tokens, x, y, xx, yy, _] = *sums.totals();
        let (var_x, var_y) = (xx - x * x / tokens, yy - y * y / tokens);
        let residual = |sums: &[f64; 6]| {
            sums[5] / (var_x.sqrt() * var_y.sqrt()) - value / 2.0 * (sums[3] / var_x + sums[4] / var_y)
        };
        let residuals = sums.cells().iter().map(|cell| residual(&cell.sums));
        let standard_error = clustered_error(residuals, sums.cells().len());
        Some(Estimate { value, interval: sums.interval(pearson_of_sums), standard_error })
    }
}

impl Accumulator for CorrelationSums {
    fn add_document(&mut self, rows: &DocumentRows<'_>) {
        let counted = self.halves.of(rows.split);
        let tokens = rows.len() as f64;
        let mut sums = vec![tokens];
        let (mut deviations, mut cells) = (Vec::new(), Vec::new());
        for (model, extremes) in rows.models.iter().zip(&mut counted.extremes) {
            let total: f64 = model.loss.iter().map(|&loss| f64::from(loss)).sum();
            let of_token: Vec<f64> =
                model.loss.iter().map(|&loss| f64::from(loss) - total / tokens).collect();
            sums.extend([total, of_token.iter().map(|deviation| deviation * deviation).sum()]);
            deviations.push(of_token);
            cells.push(model.loss.iter().map(|&loss| self.grid.cell(f64::from(loss))).collect::<Vec<_>>());
            *extremes =
                model.loss.iter().fold(*extremes, |[low, high], &loss| [low.min(loss), high.max(loss)]);
        }
        for ((first, second), counts) in pairs(rows.models.len()).zip(&mut counted.grids) {
            sums.push(deviations[first].iter().zip(&deviations[second]).map(|(x, y)| x * y).sum());
            cells[first].iter().zip(&cells[second]).for_each(|(&x, &y)| counts.add(x, y, 1));
        }
        self.moments.push(rows.document, sums);
        self.vocabulary.add_document(rows);
    }

    fn merge(&mut self, other: Self) {
        self.halves.discovery.merge(&other.halves.discovery);
        self.halves.confirmation.merge(&other.halves.confirmation);
        self.moments.merge(other.moments);
        self.vocabulary.merge(other.vocabulary);
    }
}

/// Each entry at its mean losses, with its occurrences.
fn entry_counts(grid: &Grid, entries: &Entries, x: usize, y: usize) -> Counts {
    let mut counts = Counts::default();
    for (entry, &count) in entries.counts.iter().enumerate() {
        counts.add(grid.cell(entries.means[x][entry]), grid.cell(entries.means[y][entry]), count);
    }
    counts
}

/// Pearson's r from [points, Σx, Σy, Σx², Σy², Σxy]; nothing where x or y does not vary beyond rounding.
fn pearson_of_sums(&[points, x, y, xx, yy, xy]: &[f64; 6]) -> Option<f64> {
    let (var_x, var_y) = (xx - x * x / points, yy - y * y / points);
    let varies = points > 0.0 && var_x > 1e-12 * xx && var_y > 1e-12 * yy;
    varies.then(|| ((xy - x * y / points) / (var_x.sqrt() * var_y.sqrt())).clamp(-1.0, 1.0))
}

/// Which of two models lies on the x axis: the smaller. What is compared *with* comes before what is
/// compared, which makes the post's panels: dense (b) against benchmark, sparse (a) against benchmark,
/// sparse against dense.
fn precedence(role: Role) -> u8 {
    match role {
        Role::Benchmark => 0,
        Role::B => 1,
        Role::Placebo => 2,
        Role::A => 3,
        // It is no model of a pair.
        Role::Oracle => 4,
    }
}
