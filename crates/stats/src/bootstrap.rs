//! Intervals and standard errors of sums over documents, with documents as the unit that is drawn.
//!
//! Tokens of one document are far from independent, so documents are resampled, never tokens: the cluster
//! bootstrap of Cameron, Gelbach and Miller (2008), with percentile intervals (Efron and Tibshirani 1993, ch. 13),
//! expanded for the number of documents (Hesterberg 2015, arXiv 1411.5279, section 5.3): plain ones are too narrow by a factor of
//! sqrt((n − 1) / n) and by that of normal to t quantiles. A replicate draws as many documents as there are, with replacement, and weights each
//! document's sums by how often it came up; tokens are not looked at again. All statistics of a set of
//! documents share the same draws, so their replicates can be compared one by one.
//!
//! Assumed: documents are independent draws from what the corpus stands for. What a group of fewer than
//! [`FEWEST_DOCUMENTS`] documents shows carries neither interval nor standard error, since both are too narrow there.

mod draws;
#[cfg(test)]
mod tests;

use rayon::prelude::*;

use draws::Draws;

use crate::IntervalNote;

#[cfg(test)]
pub(crate) use draws::Draws as TestDraws;

/// A number from fewer documents than this carries no interval and no standard error.
pub(crate) const FEWEST_DOCUMENTS: usize = 10;

/// Of the replicates this share may lack a number; with more, there is no interval.
const MOST_WITHOUT_NUMBER: f64 = 0.05;

/// Standard normal numbers within ± this are 95 %.
const NORMAL_95: f64 = 1.959_963_984_540_054;

/// So many replicates are summed at a time: their sums stay in the fastest cache.
pub(crate) const BLOCK: usize = 256;

/// So many replicates are drawn at a time, before their counts are laid out by document.
const DRAWN_TOGETHER: usize = 64;

/// The slot of a document that is not in the set.
const OUTSIDE: u32 = u32::MAX;

/// What one document adds to `N` sums.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cell<const N: usize> {
    /// The document's index in the corpus.
    pub(crate) document: u32,
    /// What it adds.
    pub(crate) sums: [f64; N],
}

/// A set of documents, and how often each came up in each replicate.
#[derive(Clone, Debug)]
pub(crate) struct Resamples {
    /// Documents of the set.
    documents: usize,
    replicates: usize,
    seed: u64,
    /// `[document of the corpus]`: its place among the documents of the set, or [`OUTSIDE`].
    slots: Vec<u32>,
    /// `[block][slot][replicate of the block]`, one byte each: memory grows with documents, not with tokens.
    /// Empty where there are too few documents.
    blocks: Vec<Vec<u8>>,
}

impl Resamples {
    /// Draws from a set of documents, given by ascending index in the corpus.
    ///
    /// Each replicate has a stream of random numbers of its own, so replicates may be drawn in any order.
    pub(crate) fn new(documents: &[u32], replicates: u32, seed: u64) -> Self {
        let length = documents.last().map_or(0, |last| *last as usize + 1);
        let mut slots = vec![OUTSIDE; length];
        for (&document, slot) in documents.iter().zip(0..) {
            slots[document as usize] = slot;
        }
        let (documents, replicates) = (documents.len(), replicates as usize);
        let mut streams = Draws::new(seed);
        let seeds: Vec<u64> = (0..replicates).map(|_| streams.next()).collect();
        let enough = documents >= FEWEST_DOCUMENTS;
        let blocks =
            seeds.par_chunks(BLOCK).filter(|_| enough).map(|seeds| draw_block(documents, seeds)).collect();
        Resamples { documents, replicates, seed, slots, blocks }
    }

    /// Documents of the set.
    pub(crate) fn documents(&self) -> usize {
        self.documents
    }

    /// Whether a document of the corpus is in the set.
    pub(crate) fn contains(&self, document: u32) -> bool {
        self.slot(document).is_some()
    }

    /// The document's place among those of the set.
    pub(crate) fn slot(&self, document: u32) -> Option<usize> {
        self.slots.get(document as usize).filter(|&&slot| slot != OUTSIDE).map(|&slot| slot as usize)
    }

    /// How often the documents came up, block by block: `[slot][replicate of the block]` with the number of
    /// replicates of the block. Nothing where there are no replicates.
    pub(crate) fn blocks(&self) -> impl IndexedParallelIterator<Item = (&[u8], usize)> {
        let length = |block: usize| BLOCK.min(self.replicates - block * BLOCK);
        self.blocks.par_iter().enumerate().map(move |(index, block)| (block.as_slice(), length(index)))
    }

    /// Whether there are replicates of something that is found in `documents` documents.
    pub(crate) fn reach(&self, documents: usize) -> bool {
        documents >= FEWEST_DOCUMENTS && !self.blocks.is_empty()
    }

    /// What the results say about how their intervals were made.
    pub(crate) fn note(&self) -> IntervalNote {
        let none_because = if self.documents < FEWEST_DOCUMENTS {
            let holds = if self.documents == 1 { "document holds" } else { "documents hold" };
            Some(format!(
                "only {} {holds} tokens that every model predicted, and intervals need at least {FEWEST_DOCUMENTS}",
                self.documents
            ))
        } else {
            (self.replicates == 0).then(|| "no replicates were asked for".to_owned())
        };
        IntervalNote {
            method: "percentile bootstrap by document, expanded for their number (Hesterberg 2015)"
                .to_owned(),
            level: 0.95,
            replicates: self.replicates as u64,
            seed: self.seed,
            documents: self.documents as u64,
            fewest_documents: FEWEST_DOCUMENTS as u64,
            none_because,
        }
    }

    /// The sums of each replicate, `[replicate]`; nothing where too few documents hold anything. The cells' documents
    /// are of the set, each at most once; sums run in their order.
    pub(crate) fn totals<const N: usize>(&self, cells: &[Cell<N>]) -> Option<Vec<[f64; N]>> {
        if !self.reach(cells.len()) {
            return None;
        }
        let of_block = |(block, length): (&[u8], usize)| {
            let columns = self.block_totals(cells, block, length);
            let totals =
                (0..length).map(move |replicate| std::array::from_fn(|column| columns[column][replicate]));
            totals.collect::<Vec<[f64; N]>>()
        };
        Some(self.blocks().flat_map_iter(of_block).collect())
    }

    /// The sums of a block's replicates, `[sum][replicate]`.
    fn block_totals<const N: usize>(
        &self,
        cells: &[Cell<N>],
        block: &[u8],
        length: usize,
    ) -> [[f64; BLOCK]; N] {
        let (mut columns, mut times) = ([[0.0; BLOCK]; N], [0.0; BLOCK]);
        for cell in cells {
            let Some(slot) = self.slot(cell.document) else { continue };
            for (times, &drawn) in times.iter_mut().zip(&block[slot * length..][..length]) {
                *times = f64::from(drawn);
            }
            for (column, sum) in columns.iter_mut().zip(cell.sums) {
                for (total, times) in column.iter_mut().zip(&times) {
                    *total += times * sum;
                }
            }
        }
        columns
    }
}

/// Draws a replicate for each seed: `[slot][replicate]`.
fn draw_block(documents: usize, seeds: &[u64]) -> Vec<u8> {
    let mut block = vec![0u8; documents * seeds.len()];
    // Counted replicate by replicate in memory of their own: scattered over the block, each count would miss the cache.
    let mut counts = vec![0u8; documents * DRAWN_TOGETHER.min(seeds.len())];
    for (part, part_seeds) in seeds.chunks(DRAWN_TOGETHER).enumerate() {
        counts.fill(0);
        for (counts, &seed) in counts.chunks_exact_mut(documents).zip(part_seeds) {
            let mut draws = Draws::new(seed);
            for _ in 0..documents {
                // That one document comes up 256 times has a probability below 1 / 256! < 10^-500.
                let count = &mut counts[draws.below(documents)];
                *count = count.saturating_add(1);
            }
        }
        for (slot, row) in block.chunks_exact_mut(seeds.len()).enumerate() {
            let row = &mut row[part * DRAWN_TOGETHER..][..part_seeds.len()];
            for (replicate, times) in row.iter_mut().enumerate() {
                *times = counts[replicate * documents + slot];
            }
        }
    }
    block
}

/// Which part of the replicates lies beyond either end of a 95 % interval from `documents` documents: Φ(−t·sqrt(n / (n − 1))), t
/// being Student's 97.5 % quantile with n − 1 degrees of freedom. 0.0086 for 10 documents, 0.0218 for 60, 0.025 in the limit.
pub(crate) fn tail(documents: usize) -> f64 {
    let degrees = documents.saturating_sub(1).max(1) as f64;
    libm::erfc(student_95(degrees) * ((degrees + 1.0) / degrees / 2.0).sqrt()) / 2.0
}

/// Student's two-sided 95 % point (Abramowitz and Stegun 1964, 26.7.5), within 3e-5 from 9 degrees of freedom on.
fn student_95(degrees: f64) -> f64 {
    let z = NORMAL_95;
    let polynomial = |coefficients: &[f64]| coefficients.iter().fold(0.0, |sum, c| sum * z * z + c) * z;
    let terms = [
        polynomial(&[1.0, 1.0]) / 4.0,
        polynomial(&[5.0, 16.0, 3.0]) / 96.0,
        polynomial(&[3.0, 19.0, 17.0, -15.0]) / 384.0,
        polynomial(&[79.0, 776.0, 1482.0, -1920.0, -945.0]) / 92_160.0,
    ];
    terms.iter().rev().fold(0.0, |sum, term| (sum + term) / degrees) + z
}

/// The expanded percentile interval of the replicates of a statistic of `documents` documents, interpolated between
/// neighbours. Replicates without a number are left out; nothing where they are more than one in twenty.
pub(crate) fn percentiles(
    replicates: impl Iterator<Item = Option<f64>>,
    documents: usize,
) -> Option<[f64; 2]> {
    let (mut values, mut all) = (Vec::new(), 0usize);
    for value in replicates {
        all += 1;
        values.extend(value.filter(|value| value.is_finite()));
    }
    let missing = all - values.len();
    if values.is_empty() || missing as f64 > MOST_WITHOUT_NUMBER * all as f64 {
        return None;
    }
    values.sort_unstable_by(f64::total_cmp);
    let at = |quantile: f64| {
        let place = quantile * (values.len() - 1) as f64;
        let (below, above) = (values[place.floor() as usize], values[place.ceil() as usize]);
        below + (above - below) * place.fract()
    };
    let tail = tail(documents);
    Some([tail, 1.0 - tail].map(at))
}
