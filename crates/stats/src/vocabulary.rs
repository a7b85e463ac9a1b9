//! Sums by document and vocabulary entry, and Pearson's r of the mean losses of entries.
//!
//! What one entry's losses add up to over all documents is summed in fixed point, so that it does not depend on the order
//! of documents; by document it is kept in single precision, since only resamples look at it. A document takes
//! 8 bytes and 4 a model for each entry that it holds.
//!
//! A replicate weights the documents' sums, forms each entry's means anew, and takes r over the entries that it
//! holds. That costs (entries held, summed over documents) x (models + 1) x replicates multiplications. A resample
//! of documents has noisier means than the corpus, which pulls r towards zero; the interval is therefore
//! moved, on Fisher's scale, to where the mean of the replicates falls on the estimate. It is an interval of the
//! coefficient to be expected of a corpus of this size.

use std::collections::BTreeMap;

use rayon::prelude::*;

use deltaloss_records::Split;

use crate::bootstrap::{Resamples, percentiles};
use crate::estimate::clustered_error;
use crate::moments::pearson;
use crate::ranks::pairs;
use crate::table::Halves;
use crate::{Accumulator, DocumentRows, Estimate};

#[cfg(test)]
mod tests;

/// Fixed point: so many units a nat.
const UNITS_A_NAT: f64 = (1u64 << 60) as f64;

/// Numbers of a block of replicates that are summed at a time: they stay in the second cache.
const SUMMED_TOGETHER: usize = 1 << 18;

/// An entry's occurrences and losses in fixed point.
#[derive(Clone, Debug, Default, PartialEq)]
struct Total {
    count: u64,
    /// `[model]`.
    losses: Vec<i128>,
}

impl Total {
    fn add(&mut self, count: u64, losses: impl Iterator<Item = i128>) {
        self.count += count;
        for (index, loss) in losses.enumerate() {
            match self.losses.get_mut(index) {
                Some(total) => *total = total.saturating_add(loss),
                None => self.losses.push(loss),
            }
        }
    }
}

/// The sums of the vocabulary entries.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct VocabularySums {
    models: usize,
    totals: Halves<BTreeMap<u32, Total>>,
    /// The documents added, each with the end of its entries below.
    documents: Vec<(u32, usize)>,
    entries: Vec<u32>,
    counts: Vec<u32>,
    /// `[entry of a document][model]`.
    losses: Vec<f32>,
}

/// The mean losses of the entries of a set of documents.
#[derive(Clone, Debug)]
pub(crate) struct Entries {
    /// Vocabulary ids, ascending.
    pub(crate) ids: Vec<u32>,
    /// Occurrences, `[entry]`.
    pub(crate) counts: Vec<u64>,
    /// `[model][entry]`.
    pub(crate) means: Vec<Vec<f64>>,
}

/// Pearson's r over entries, each counted once and each by its occurrences.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct EntryCorrelation {
    pub(crate) unweighted: Option<Estimate>,
    pub(crate) weighted: Option<Estimate>,
}

impl VocabularySums {
    pub(crate) fn new(models: usize) -> Self {
        VocabularySums {
            models,
            totals: Halves::default(),
            documents: Vec::new(),
            entries: Vec::new(),
            counts: Vec::new(),
            losses: Vec::new(),
        }
    }

    /// The entries that occur in a set of documents.
    pub(crate) fn entries(&self, half: Option<Split>) -> Entries {
        let totals = self.totals.of_part(half, merge_totals);
        let nats = |units: i128, count: u64| units as f64 / UNITS_A_NAT / count as f64;
        let mean =
            |model: usize| totals.values().map(move |total| nats(total.losses[model], total.count)).collect();
        Entries {
            ids: totals.keys().copied().collect(),
            counts: totals.values().map(|total| total.count).collect(),
            means: (0..self.models).map(mean).collect(),
        }
    }

    /// The places of the documents of a set among those added, in order.
    fn of_set(&self, resamples: &Resamples) -> Vec<(usize, std::ops::Range<usize>)> {
        let starts = std::iter::once(0).chain(self.documents.iter().map(|(_, end)| *end));
        let ranges =
            self.documents.iter().zip(starts).map(|(&(document, end), start)| (document, start..end));
        let mut found: Vec<(usize, std::ops::Range<usize>)> =
            ranges.filter_map(|(document, range)| Some((resamples.slot(document)?, range))).collect();
        found.sort_unstable_by_key(|(slot, _)| *slot);
        found
    }

    /// The correlations of each pair of models over entries, `[pair]`.
    pub(crate) fn correlate(&self, entries: &Entries, resamples: &Resamples) -> Vec<EntryCorrelation> {
        let weights: Vec<f64> = entries.counts.iter().map(|&count| count as f64).collect();
        let place = |id: &u32| entries.ids.partition_point(|other| other < id) as u32;
        let places: Vec<u32> = self.entries.par_iter().map(place).collect();
        let enough = resamples.reach(resamples.documents());
        let replicates = enough.then(|| self.replicates(entries, &places, resamples));
        let pair = |(index, (first, second)): (usize, (usize, usize))| {
            let (x, y) = (&entries.means[first], &entries.means[second]);
            let interval = |value: f64, weighting: usize| {
                let replicates = replicates.as_ref()?.iter().map(|of_pairs| of_pairs[index][weighting]);
                recentred(value, replicates, resamples.documents())
            };
            let weighted = pearson(x, y, Some(&weights));
            EntryCorrelation {
                unweighted: pearson(x, y, None)
                    .map(|r| Estimate { interval: interval(r, 0), ..Estimate::point(r) }),
                weighted: weighted.map(|value| Estimate {
                    value,
                    interval: interval(value, 1),
                    standard_error: self.weighted_error(entries, &places, [first, second], value, resamples),
                }),
            }
        };
        pairs(self.models).enumerate().collect::<Vec<_>>().into_par_iter().map(pair).collect()
    }

    /// The coefficients [each entry once, weighted] of each replicate, `[replicate][pair]`.
    fn replicates(
        &self,
        entries: &Entries,
        places: &[u32],
        resamples: &Resamples,
    ) -> Vec<Vec<[Option<f64>; 2]>> {
        let documents = self.of_set(resamples);
        let columns = self.models + 1;
        // Whole vectors of eight.
        let together = (SUMMED_TOGETHER / (entries.ids.len() * columns).max(1)).clamp(8, 64) / 8 * 8;
        let of_block = |(block, length): (&[u8], usize)| {
            let mut found = Vec::with_capacity(length);
            let mut totals = Vec::new();
            for first in (0..length).step_by(together) {
                let width = together.min(length - first);
                totals.clear();
                totals.resize(entries.ids.len() * columns * width, 0.0);
                for (slot, range) in &documents {
                    let times: Vec<f64> = block[slot * length + first..][..width]
                        .iter()
                        .map(|&times| f64::from(times))
                        .collect();
                    self.add_times(range.clone(), places, &times, &mut totals);
                }
                found.extend((0..width).map(|replicate| self.coefficients(&totals, width, replicate)));
            }
            found
        };
        resamples.blocks().flat_map_iter(of_block).collect()
    }

    /// Adds a document's sums, `times` as often, to totals `[entry][count, model][replicate]`.
    fn add_times(&self, range: std::ops::Range<usize>, places: &[u32], times: &[f64], totals: &mut [f64]) {
        let (columns, width) = (self.models + 1, times.len());
        for at in range {
            let totals = &mut totals[places[at] as usize * columns * width..][..columns * width];
            let losses = self.losses[at * self.models..][..self.models].iter().map(|&loss| f64::from(loss));
            let sums = std::iter::once(f64::from(self.counts[at])).chain(losses);
            for (totals, sum) in totals.chunks_exact_mut(width).zip(sums) {
                totals.iter_mut().zip(times).for_each(|(total, times)| *total += times * sum);
            }
        }
    }

    /// The coefficients of one replicate, from its totals.
    fn coefficients(&self, totals: &[f64], width: usize, replicate: usize) -> Vec<[Option<f64>; 2]> {
        let columns = self.models + 1;
        let (mut counts, mut means) = (Vec::new(), vec![Vec::new(); self.models]);
        for totals in totals.chunks_exact(columns * width) {
            let count = totals[replicate];
            if count > 0.0 {
                counts.push(count);
                let losses = means.iter_mut().zip(totals[width..].chunks_exact(width));
                losses.for_each(|(means, totals)| means.push(totals[replicate] / count));
            }
        }
        let pair = |(first, second): (usize, usize)| {
            let (x, y): (&[f64], &[f64]) = (&means[first], &means[second]);
            [pearson(x, y, None), pearson(x, y, Some(&counts))]
        };
        pairs(self.models).map(pair).collect()
    }

    /// The standard error of the weighted coefficient, linearised in the entries' counts and sums.
    fn weighted_error(
        &self,
        entries: &Entries,
        places: &[u32],
        pair: [usize; 2],
        r: f64,
        resamples: &Resamples,
    ) -> Option<f64> {
        let all = entries.counts.iter().sum::<u64>() as f64;
        let weighted = |value: &dyn Fn(usize) -> f64| {
            entries.counts.iter().enumerate().map(|(entry, &count)| count as f64 * value(entry)).sum::<f64>()
                / all
        };
        let standard = pair.map(|model| {
            let means = &entries.means[model];
            let mean = weighted(&|entry| means[entry]);
            let spread = weighted(&|entry| (means[entry] - mean).powi(2)).sqrt();
            (spread, means.iter().map(|value| (value - mean) / spread).collect::<Vec<f64>>())
        });
        let [(spread_x, x), (spread_y, y)] = &standard;
        let residual = |(_, range): &(usize, std::ops::Range<usize>)| -> f64 {
            let term = |at: usize| {
                let entry = places[at] as usize;
                let count = f64::from(self.counts[at]);
                let beyond = pair.map(|model| {
                    f64::from(self.losses[at * self.models + model]) - entries.means[model][entry] * count
                });
                let (x, y) = (x[entry], y[entry]);
                count * (x * y - r / 2.0 * (x * x + y * y))
                    + beyond[0] * (y - r * x) / spread_x
                    + beyond[1] * (x - r * y) / spread_y
            };
            range.clone().map(term).sum::<f64>() / all
        };
        clustered_error(self.of_set(resamples).iter().map(residual), resamples.documents())
    }
}

impl Accumulator for VocabularySums {
    fn add_document(&mut self, rows: &DocumentRows<'_>) {
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by_key(|&index| rows.token[index]);
        let totals = self.totals.of(rows.split);
        for run in order.chunk_by(|&left, &right| rows.token[left] == rows.token[right]) {
            let (id, count) = (rows.token[run[0]], run.len());
            let sum = |losses: &[f32]| run.iter().map(|&index| f64::from(losses[index])).sum::<f64>();
            let sums: Vec<f64> = rows.models.iter().map(|model| sum(model.loss)).collect();
            // The conversion rounds towards zero and saturates.
            let units = sums.iter().map(|sum| (sum * UNITS_A_NAT) as i128);
            totals.entry(id).or_default().add(count as u64, units);
            self.entries.push(id);
            self.counts.push(count.min(u32::MAX as usize) as u32);
            self.losses.extend(sums.iter().map(|&sum| sum as f32));
        }
        self.documents.push((rows.document, self.entries.len()));
    }

    fn merge(&mut self, other: Self) {
        merge_totals(&mut self.totals.discovery, &other.totals.discovery);
        merge_totals(&mut self.totals.confirmation, &other.totals.confirmation);
        let start = self.entries.len();
        self.documents.extend(other.documents.iter().map(|(document, end)| (*document, start + end)));
        self.entries.extend(other.entries);
        self.counts.extend(other.counts);
        self.losses.extend(other.losses);
    }
}

fn merge_totals(ours: &mut BTreeMap<u32, Total>, theirs: &BTreeMap<u32, Total>) {
    for (&id, total) in theirs {
        ours.entry(id).or_default().add(total.count, total.losses.iter().copied());
    }
}

/// The interval of a coefficient from its replicates, moved on Fisher's scale to where their mean is the coefficient.
fn recentred(
    value: f64,
    replicates: impl Iterator<Item = Option<f64>>,
    documents: usize,
) -> Option<[f64; 2]> {
    let place = Some(value.atanh()).filter(|place| place.is_finite())?;
    let fisher: Vec<Option<f64>> = replicates.map(|r| r.map(f64::atanh).filter(|z| z.is_finite())).collect();
    let known: Vec<f64> = fisher.iter().flatten().copied().collect();
    let mean = known.iter().sum::<f64>() / known.len() as f64;
    let ends = percentiles(fisher.into_iter(), documents)?.map(|end| (place + end - mean).tanh());
    Some(ends)
}
