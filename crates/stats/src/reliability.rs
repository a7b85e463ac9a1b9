//! Whether a model's probabilities mean what they say: reliability diagram and expected calibration error of its
//! likeliest token (Guo, Pleiss, Sun and Weinberger 2017, arXiv 1706.04599, sections 2 and 3), as scored and at the
//! model's temperature.
//!
//! Tokens are binned by the probability of the likeliest entry, bin m holding ((m − 1)/15, m/15]; a hit is a token that is that
//! entry. The error is Σ over bins of |hits − summed probability|, over the tokens.
//!
//! A replicate keeps each bin's sign as it is in the whole: what noise adds to an absolute value would else count twice,
//! once in the error and once more in its replicates. The error itself stays above 0 for any finite number of tokens,
//! calibrated or not, and more so the fewer there are.

use crate::bootstrap::{Cell, Resamples};
use crate::estimate::Resampled;
use crate::overall::Labelled;
use crate::table::DocumentTable;
use crate::{Accumulator, DocumentRows, Estimate, Reliability, ReliabilityBin, ReliabilityDiagram};

#[cfg(test)]
mod tests;

/// Bins of equal width, as in the paper's tables.
const BINS: usize = 15;
/// Sums of a bin: tokens, hits, probability.
const OF_BIN: usize = 3;
/// Sums of a diagram.
const OF_DIAGRAM: usize = BINS * OF_BIN;

/// The sums of all models' diagrams, as scored and calibrated.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ReliabilitySums {
    models: usize,
    table: DocumentTable,
}

impl ReliabilitySums {
    /// Without documents.
    pub(crate) fn new(models: usize) -> Self {
        ReliabilitySums { models, table: DocumentTable::new(OF_DIAGRAM * 2 * models) }
    }

    /// The diagrams of a set of documents.
    pub(crate) fn finish(&self, models: &[Labelled<'_>], resamples: &Resamples) -> Vec<Reliability> {
        let of_model = |(index, &(role, label)): (usize, &Labelled<'_>)| {
            Some(Reliability {
                role,
                label: label.to_owned(),
                as_scored: self.diagram(index, resamples)?,
                calibrated: self.diagram(self.models + index, resamples),
            })
        };
        models.iter().enumerate().filter_map(of_model).collect()
    }

    /// The diagram at a place of the table, where those as scored come first; nothing without a token, as of a run without a
    /// temperature.
    fn diagram(&self, place: usize, resamples: &Resamples) -> Option<ReliabilityDiagram> {
        let cells: Vec<Cell<OF_DIAGRAM>> =
            self.table.cells(resamples, |row| std::array::from_fn(|sum| row[place * OF_DIAGRAM + sum]));
        let mut totals = [0.0; OF_DIAGRAM];
        for cell in &cells {
            for (total, sum) in totals.iter_mut().zip(cell.sums) {
                *total += sum;
            }
        }
        if (0..BINS).all(|bin| totals[OF_BIN * bin] == 0.0) {
            return None;
        }
        let signs: [f64; BINS] = std::array::from_fn(|bin| {
            let [_, hits, probability] = of_bin(&totals, bin);
            if hits < probability { -1.0 } else { 1.0 }
        });
        // What a document adds, with each bin's gap (hits − summed probability) multiplied by something.
        let ratio = |weight: &dyn Fn(usize) -> f64| -> Estimate {
            let sums = |cell: &Cell<OF_DIAGRAM>| {
                let bins = || (0..BINS).map(|bin| of_bin(&cell.sums, bin));
                let gap = bins()
                    .enumerate()
                    .map(|(bin, [_, hits, probability])| weight(bin) * (hits - probability));
                Cell { document: cell.document, sums: [gap.sum(), bins().map(|[tokens, ..]| tokens).sum()] }
            };
            let sums = Resampled::<2>::new(cells.iter().map(sums).collect(), resamples);
            sums.ratio(|sums| sums[0], 1, resamples)
        };
        Some(ReliabilityDiagram {
            expected_calibration_error: ratio(&|bin| signs[bin]),
            overconfidence: ratio(&|_| -1.0),
            bins: (0..BINS).map(|bin| bin_row(bin, &totals, &cells, resamples)).collect(),
        })
    }
}

impl Accumulator for ReliabilitySums {
    fn add_document(&mut self, rows: &DocumentRows<'_>) {
        let guesses = || rows.models.iter().map(|model| model.guesses);
        let as_scored = guesses().map(|guesses| Some((guesses?.top_token, guesses?.top_probability)));
        let calibrated =
            guesses().map(|guesses| Some((guesses?.top_token, guesses?.top_probability_calibrated?)));
        let mut sums = Vec::with_capacity(2 * OF_DIAGRAM * rows.models.len());
        for diagram in as_scored.chain(calibrated) {
            let mut of_diagram = [0.0; OF_DIAGRAM];
            let (top_token, probabilities) = diagram.unwrap_or_default();
            for (index, &probability) in probabilities.iter().enumerate() {
                let hit = rows.token[index] == top_token[index];
                let sums = [1.0, f64::from(u8::from(hit)), f64::from(probability)];
                let first = OF_BIN * bin_of(f64::from(probability));
                for (total, sum) in of_diagram[first..].iter_mut().zip(sums) {
                    *total += sum;
                }
            }
            sums.extend(of_diagram);
        }
        self.table.push(rows.document, sums);
    }

    fn merge(&mut self, other: Self) {
        self.table.merge(other.table);
    }
}

/// The bin of a probability; what rounding takes beyond 0 or 1 counts in the bin there.
fn bin_of(probability: f64) -> usize {
    // A float that is not above 0 becomes 0.
    ((probability * BINS as f64).ceil() as usize).clamp(1, BINS) - 1
}

/// A bin's [tokens, hits, summed probability].
fn of_bin(sums: &[f64; OF_DIAGRAM], bin: usize) -> [f64; OF_BIN] {
    std::array::from_fn(|sum| sums[OF_BIN * bin + sum])
}

fn bin_row(
    bin: usize,
    totals: &[f64; OF_DIAGRAM],
    cells: &[Cell<OF_DIAGRAM>],
    resamples: &Resamples,
) -> ReliabilityBin {
    let [tokens, hits, probability] = of_bin(totals, bin);
    let gaps = cells.iter().filter_map(|cell| {
        let [tokens, hits, probability] = of_bin(&cell.sums, bin);
        (tokens > 0.0).then_some(Cell { document: cell.document, sums: [hits - probability, tokens] })
    });
    let filled = tokens > 0.0;
    let gap = || Resampled::<2>::new(gaps.collect(), resamples).ratio(|sums| sums[0], 1, resamples);
    ReliabilityBin {
        above: bin as f64 / BINS as f64,
        up_to: (bin + 1) as f64 / BINS as f64,
        tokens: tokens as u64,
        mean_probability: filled.then(|| probability / tokens),
        accuracy: filled.then(|| hits / tokens),
        gap: filled.then(gap),
    }
}
