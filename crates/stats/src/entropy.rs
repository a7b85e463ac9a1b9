//! Analysis 5: how each model's entropies are distributed.
//!
//! Means and shares are ratios of sums by document. Of the density ([`density`]), every document keeps how many of its
//! tokens fall into each bin of 0.02 nats; a replicate weights these counts and smooths them as the whole is smoothed.

mod density;
#[cfg(test)]
mod tests;

use rayon::prelude::*;

use deltaloss_records::Split;

use crate::bootstrap::{FEWEST_DOCUMENTS, Resamples, percentiles};
use crate::overall::{Labelled, OverallSums};
use crate::table::Halves;
use crate::{Accumulator, DocumentRows, EntropyDistribution, Estimate};
use density::{BIN, BINS_PER_STEP, GRID_STEP};

/// The grid covers at least this (the post's figure does) and grows to the largest entropy.
const SHORTEST_GRID_NATS: f64 = 8.0;
/// It grows no further: a vocabulary of 2³² entries has at most ln 2³² = 22.2 nats.
const LONGEST_GRID_NATS: f64 = 23.0;
/// Fine bins up to there.
const FINE_BINS: usize = 4_600;
/// Replicates that are summed at a time: their sums stay in the second cache.
const SUMMED_TOGETHER: usize = 64;

/// One model's entropies of one half, counted.
#[derive(Clone, Debug, PartialEq)]
struct Counted {
    /// Tokens in each fine bin.
    fine: Vec<u64>,
    largest: f32,
}

impl Counted {
    fn merge(&mut self, other: &Self) {
        self.fine.iter_mut().zip(&other.fine).for_each(|(ours, theirs)| *ours += theirs);
        self.largest = self.largest.max(other.largest);
    }
}

/// One model's counts by document and bin of one grid step; bins without tokens are not stored.
#[derive(Clone, Debug, Default, PartialEq)]
struct ByDocument {
    /// The documents added, each with its tokens and the end of its bins below.
    documents: Vec<(u32, u32, usize)>,
    bins: Vec<u16>,
    counts: Vec<u32>,
}

/// The sums of analysis 5.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EntropySums {
    /// `[model]`.
    halves: Halves<Vec<Counted>>,
    /// `[model]`.
    by_document: Vec<ByDocument>,
}

impl EntropySums {
    pub(crate) fn new(models: usize) -> Self {
        let counted = Counted { fine: vec![0; FINE_BINS + 1], largest: 0.0 };
        let half = vec![counted; models];
        EntropySums {
            halves: Halves { discovery: half.clone(), confirmation: half },
            by_document: vec![ByDocument::default(); models],
        }
    }

    /// Computes analysis 5 of a set of documents, in the order of the models.
    pub(crate) fn finish(
        &self,
        half: Option<Split>,
        models: &[Labelled<'_>],
        overall: &OverallSums,
        medians: &[Estimate],
        resamples: &Resamples,
    ) -> Vec<EntropyDistribution> {
        let counted = self.halves.of_part(half, |ours, theirs| {
            ours.iter_mut().zip(theirs).for_each(|(ours, theirs)| ours.merge(theirs));
        });
        let largest = counted.iter().fold(0.0, |most, counted| f64::max(most, f64::from(counted.largest)));
        let steps = grid_steps(largest);
        let [tokens, _] = overall.size(resamples);
        let enough = resamples.documents() >= FEWEST_DOCUMENTS;
        let responses = if enough { density::responses(steps, tokens) } else { Vec::new() };
        let of_model = |(index, &(role, label)): (usize, &Labelled<'_>)| {
            let density = density::density(&grid_counts(&counted[index], steps), steps, tokens);
            let of_documents = enough.then(|| self.by_document[index].of_set(steps, &responses, resamples));
            let [mean_nats, share_below_0_2] = overall.entropy(index, resamples);
            EntropyDistribution {
                role,
                label: label.to_owned(),
                mean_nats,
                median_nats: medians[index],
                share_below_0_2,
                grid_nats: (0..=steps).map(|index| index as f64 * GRID_STEP).collect(),
                density_intervals_per_nat: of_documents.as_ref().and_then(|found| found.intervals(&density)),
                density_standard_errors_per_nat: of_documents.as_ref().map(OfDocuments::errors),
                density_per_nat: density,
            }
        };
        models.iter().enumerate().map(of_model).collect()
    }
}

impl Accumulator for EntropySums {
    fn add_document(&mut self, rows: &DocumentRows<'_>) {
        let half = self.halves.of(rows.split);
        for ((model, counted), by_document) in rows.models.iter().zip(half).zip(&mut self.by_document) {
            let mut bins: Vec<u16> = Vec::with_capacity(rows.len());
            for &entropy in model.entropy {
                counted.largest = counted.largest.max(entropy);
                // Rounding may have left an entropy below zero: it counts as zero.
                let nats = f64::from(entropy).max(0.0);
                if nats <= LONGEST_GRID_NATS {
                    let bin = ((nats / BIN) as usize).min(FINE_BINS);
                    counted.fine[bin] += 1;
                    bins.push((bin / BINS_PER_STEP) as u16);
                }
            }
            bins.sort_unstable();
            for run in bins.chunk_by(|left, right| left == right) {
                by_document.bins.push(run[0]);
                by_document.counts.push(run.len() as u32);
            }
            by_document.documents.push((rows.document, rows.len() as u32, by_document.bins.len()));
        }
    }

    fn merge(&mut self, other: Self) {
        for (ours, theirs) in [
            (&mut self.halves.discovery, &other.halves.discovery),
            (&mut self.halves.confirmation, &other.halves.confirmation),
        ] {
            ours.iter_mut().zip(theirs).for_each(|(ours, theirs)| ours.merge(theirs));
        }
        for (ours, theirs) in self.by_document.iter_mut().zip(other.by_document) {
            let start = ours.bins.len();
            let documents = theirs.documents.into_iter();
            ours.documents.extend(documents.map(|(document, tokens, end)| (document, tokens, start + end)));
            ours.bins.extend(theirs.bins);
            ours.counts.extend(theirs.counts);
        }
    }
}

/// How many steps the grid of all models takes, where the largest entropy is `largest`.
fn grid_steps(largest: f64) -> usize {
    (largest.clamp(SHORTEST_GRID_NATS, LONGEST_GRID_NATS) / GRID_STEP).ceil() as usize
}

/// The counts of the fine bins of the grid; what lies on its end belongs to the last.
fn grid_counts(counted: &Counted, steps: usize) -> Vec<f64> {
    let bins = steps * BINS_PER_STEP;
    let mut counts: Vec<f64> = counted.fine[..bins].iter().map(|&count| count as f64).collect();
    counts[bins - 1] += counted.fine[bins..].iter().sum::<u64>() as f64;
    counts
}

/// A document of a set: its slot, its tokens, the range of its bins.
type Place = (usize, f64, std::ops::Range<usize>);

/// The counts of a set's documents on a grid, with what a token of each bin adds to the densities.
struct OfDocuments<'a> {
    counts: &'a ByDocument,
    places: Vec<Place>,
    responses: &'a [(usize, Vec<f64>)],
    points: usize,
    resamples: &'a Resamples,
}

impl ByDocument {
    fn of_set<'a>(
        &'a self,
        steps: usize,
        responses: &'a [(usize, Vec<f64>)],
        resamples: &'a Resamples,
    ) -> OfDocuments<'a> {
        let starts = std::iter::once(0).chain(self.documents.iter().map(|(.., end)| *end));
        let place = |(&(document, tokens, end), start): (&(u32, u32, usize), usize)| {
            Some((resamples.slot(document)?, f64::from(tokens), start..end))
        };
        let mut places: Vec<Place> = self.documents.iter().zip(starts).filter_map(place).collect();
        places.sort_unstable_by_key(|(slot, ..)| *slot);
        OfDocuments { counts: self, places, responses, points: steps + 1, resamples }
    }
}

impl OfDocuments<'_> {
    /// The bin's place on the grid: what lies on its end belongs to the last bin.
    fn bin(&self, at: usize) -> usize {
        usize::from(self.counts.bins[at]).min(self.responses.len() - 1)
    }

    /// Adds `count` tokens of a bin to densities.
    fn respond(&self, bin: usize, count: f64, densities: &mut [f64]) {
        let (first, values) = &self.responses[bin];
        densities[*first..].iter_mut().zip(values).for_each(|(density, value)| *density += count * value);
    }

    /// Densities of step-wide bins, times tokens.
    fn densities(&self) -> (Vec<f64>, f64) {
        let (mut densities, mut tokens) = (vec![0.0; self.points], 0.0);
        for (_, of_document, range) in &self.places {
            tokens += of_document;
            for at in range.clone() {
                self.respond(self.bin(at), f64::from(self.counts.counts[at]), &mut densities);
            }
        }
        (densities, tokens)
    }

    /// The standard error of each density.
    fn errors(&self) -> Vec<f64> {
        let (densities, tokens) = self.densities();
        // As `clustered_error`, for all grid points at once.
        let documents = self.places.len();
        let mut squares = vec![0.0; self.points];
        let mut residuals = vec![0.0; self.points];
        for (_, of_document, range) in &self.places {
            residuals.iter_mut().zip(&densities).for_each(|(residual, density)| {
                *residual = -density / tokens * of_document;
            });
            for at in range.clone() {
                self.respond(self.bin(at), f64::from(self.counts.counts[at]), &mut residuals);
            }
            squares.iter_mut().zip(&residuals).for_each(|(sum, residual)| *sum += residual * residual);
        }
        let correction = documents as f64 / (documents - 1) as f64;
        squares.into_iter().map(|sum| (sum * correction).sqrt() / tokens).collect()
    }

    /// The interval of each density; replicates are binned more coarsely than `exact` and are moved by the difference.
    fn intervals(&self, exact: &[f64]) -> Option<Vec<[f64; 2]>> {
        if !self.resamples.reach(self.places.len()) {
            return None;
        }
        let replicates: Vec<Vec<f64>> =
            self.resamples.blocks().flat_map_iter(|(block, length)| self.replicates(block, length)).collect();
        let (densities, tokens) = self.densities();
        let of_point = |point: usize| {
            let of_point = replicates.iter().map(|densities| Some(densities[point]));
            let ends = percentiles(of_point, self.places.len())?;
            Some(ends.map(|end| (end + exact[point] - densities[point] / tokens).max(0.0)))
        };
        (0..self.points).into_par_iter().map(of_point).collect()
    }

    /// The densities of a block's replicates, `[replicate][grid point]`.
    fn replicates(&self, block: &[u8], length: usize) -> Vec<Vec<f64>> {
        let mut found = Vec::with_capacity(length);
        for first in (0..length).step_by(SUMMED_TOGETHER) {
            let width = SUMMED_TOGETHER.min(length - first);
            let mut counts = vec![0.0; self.responses.len() * width];
            let mut tokens = vec![0.0; width];
            for (slot, of_document, range) in &self.places {
                let times: Vec<f64> =
                    block[slot * length + first..][..width].iter().map(|&times| f64::from(times)).collect();
                tokens.iter_mut().zip(&times).for_each(|(tokens, times)| *tokens += of_document * times);
                for at in range.clone() {
                    let count = f64::from(self.counts.counts[at]);
                    let counts = &mut counts[self.bin(at) * width..][..width];
                    counts.iter_mut().zip(&times).for_each(|(total, times)| *total += count * times);
                }
            }
            for (replicate, tokens) in tokens.iter().enumerate() {
                let mut densities = vec![0.0; self.points];
                for bin in 0..self.responses.len() {
                    self.respond(bin, counts[bin * width + replicate] / tokens, &mut densities);
                }
                found.push(densities);
            }
        }
        found
    }
}
