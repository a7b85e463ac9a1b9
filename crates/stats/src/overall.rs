//! Analysis 1: each model on all joined tokens, and each pair of models. Analysis 5's means and shares come from the
//! same sums.

use std::f64::consts::LN_2;

use deltaloss_records::Role;

use crate::bootstrap::Resamples;
use crate::equivalence::equivalence;
use crate::estimate::{Measured, Resampled, Sum, combine};
use crate::table::DocumentTable;
use crate::{
    Accumulator, DocumentRows, EntropyPair, Estimate, ModelSummary, Overall, PairDifference, PairSummary,
};

#[cfg(test)]
mod tests;

/// A prediction of less entropy counts as sure in the post.
const LOW_ENTROPY_NATS: f64 = 0.2;

/// Sums of a document: tokens and bytes, then those of each model, then those of each pair.
const OF_DOCUMENT: usize = 2;
/// Sums of a model: loss, entropy, tokens of rank 0 (no number where the model has other tokens), tokens of low entropy.
const OF_MODEL: usize = 4;
/// Sums of a pair: Δ, tokens won.
const OF_PAIR: usize = 2;

/// A run of a comparison: its role and the name shown in reports.
pub(crate) type Labelled<'a> = (Role, &'a str);

/// The sums of analysis 1.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OverallSums {
    models: usize,
    /// Places of the first models of the pairs; the second is always b.
    firsts: Vec<usize>,
    table: DocumentTable,
}

impl OverallSums {
    pub(crate) fn new(roles: &[Role]) -> Self {
        let firsts: Vec<usize> =
            (0..roles.len()).filter(|&model| matches!(roles[model], Role::A | Role::Placebo)).collect();
        let width = OF_DOCUMENT + OF_MODEL * roles.len() + OF_PAIR * firsts.len();
        OverallSums { models: roles.len(), firsts, table: DocumentTable::new(width) }
    }
}

impl Accumulator for OverallSums {
    fn add_document(&mut self, rows: &DocumentRows<'_>) {
        let bytes: u64 = (0..rows.len()).map(|index| rows.token_bytes(index).len() as u64).sum();
        let mut sums = vec![rows.len() as f64, bytes as f64];
        for model in rows.models {
            let total = |values: &[f32]| values.iter().map(|&value| f64::from(value)).sum::<f64>();
            let first = match model.guesses {
                Some(guesses) => guesses.rank.iter().filter(|&&rank| rank == 0).count() as f64,
                None => f64::NAN,
            };
            let low = model.entropy.iter().filter(|&&entropy| f64::from(entropy) < LOW_ENTROPY_NATS).count();
            sums.extend([total(model.loss), total(model.entropy), first, low as f64]);
        }
        for &first in &self.firsts {
            let losses = rows.models[first].loss.iter().zip(rows.b().loss);
            let (mut total, mut wins) = (0.0, 0.0);
            for delta in losses.map(|(&first, &second)| f64::from(first) - f64::from(second)) {
                total += delta;
                wins += f64::from(u8::from(delta < 0.0));
            }
            sums.extend([total, wins]);
        }
        self.table.push(rows.document, sums);
    }

    fn merge(&mut self, other: Self) {
        self.table.merge(other.table);
    }
}

/// A model's [tokens, bytes, loss, entropy, tokens of rank 0, tokens of low entropy] by document.
type ModelSums = Resampled<6>;

impl OverallSums {
    /// [tokens, bytes] of a set of documents.
    pub(crate) fn size(&self, resamples: &Resamples) -> [u64; 2] {
        let cells = self.table.cells(resamples, |row| [row[0], row[1]]);
        [0, 1].map(|column| cells.iter().map(|cell| cell.sums[column] as u64).sum())
    }

    fn model(&self, model: usize, resamples: &Resamples) -> ModelSums {
        let first = OF_DOCUMENT + OF_MODEL * model;
        let cells = self.table.cells(resamples, |row| {
            [row[0], row[1], row[first], row[first + 1], row[first + 2], row[first + 3]]
        });
        Resampled::new(cells, resamples)
    }

    /// Computes analysis 1 of a set of documents; `medians` are those of the models' entropies.
    pub(crate) fn finish(
        &self,
        models: &[Labelled<'_>],
        medians: &[Estimate],
        resamples: &Resamples,
    ) -> Overall {
        let summary = |(index, &(role, label)): (usize, &Labelled<'_>)| {
            let sums = self.model(index, resamples);
            let mean_loss_nats = sums.ratio(|sums| sums[2], 0, resamples);
            ModelSummary {
                role,
                label: label.to_owned(),
                mean_loss_nats,
                bits_per_byte: sums.ratio(|sums| sums[2] / LN_2, 1, resamples),
                perplexity: perplexity(mean_loss_nats),
                top1_accuracy: (!sums.totals()[4].is_nan()).then(|| sums.ratio(|sums| sums[4], 0, resamples)),
                mean_entropy_nats: sums.ratio(|sums| sums[3], 0, resamples),
                median_entropy_nats: medians[index],
            }
        };
        let pairs: Vec<Pair> = (0..self.firsts.len())
            .map(|pair| self.pair(pair, models[self.firsts[pair]].0, resamples))
            .collect();
        Overall {
            models: models.iter().enumerate().map(summary).collect(),
            pairs: pairs.iter().map(|pair| pair.summarise(resamples)).collect(),
            placebo_difference: match &pairs[..] {
                [pair, placebo] => Some(pair_difference(pair, placebo, resamples)),
                _ => None,
            },
        }
    }

    fn pair(&self, pair: usize, first: Role, resamples: &Resamples) -> Pair {
        let column = OF_DOCUMENT + OF_MODEL * self.models + OF_PAIR * pair;
        let cells = self.table.cells(resamples, |row| {
            let won = f64::from(u8::from(row[column] < 0.0));
            [row[0], 1.0, row[column], row[column + 1], won, row[1]]
        });
        Pair { first, sums: Resampled::new(cells, resamples) }
    }

    /// The differences of models in analysis 5: of mean entropies and of shares of low entropy.
    pub(crate) fn entropy_pairs(&self, models: &[Labelled<'_>], resamples: &Resamples) -> Vec<EntropyPair> {
        let place = |role: Role| models.iter().position(|(other, _)| *other == role);
        let pairs = [[Role::A, Role::B], [Role::Placebo, Role::B], [Role::A, Role::Placebo]];
        let places = pairs.into_iter().filter_map(|[first, second]| Some((place(first)?, place(second)?)));
        let pair = |(first, second): (usize, usize)| {
            let (left, right) = (self.model(first, resamples), self.model(second, resamples));
            let difference =
                |sum: Sum<6>| combine(&[left.term(sum, 0), right.term(sum, 0).minus()], resamples);
            let (mean, share) = (difference(|sums| sums[3])?, difference(|sums| sums[5])?);
            Some(EntropyPair {
                first: models[first].0,
                second: models[second].0,
                mean_nats: mean.estimate,
                mean_test: mean.test(),
                share_below_0_2: share.estimate,
                share_below_0_2_test: share.test(),
            })
        };
        places.filter_map(pair).collect()
    }

    /// A model's [mean entropy, share of tokens of low entropy].
    pub(crate) fn entropy(&self, model: usize, resamples: &Resamples) -> [Estimate; 2] {
        let sums = self.model(model, resamples);
        [sums.ratio(|sums| sums[3], 0, resamples), sums.ratio(|sums| sums[5], 0, resamples)]
    }
}

/// exp of a mean loss and of its interval's ends, which is the interval of exp; the standard error by the delta method.
fn perplexity(mean_loss_nats: Estimate) -> Estimate {
    let exp = |nats: f64| nats.exp().min(f64::MAX);
    let value = exp(mean_loss_nats.value);
    let standard_error = mean_loss_nats.standard_error.map(|error| value * error);
    Estimate {
        value,
        interval: mean_loss_nats.interval.map(|ends| ends.map(exp)),
        standard_error: standard_error.filter(|error| error.is_finite()),
    }
}

/// Sums of a pair by document: [tokens, 1, Δ, tokens won, 1 if the document is won, bytes].
const PAIR_SUMS: usize = 6;

/// A pair's sums.
struct Pair {
    first: Role,
    sums: Resampled<PAIR_SUMS>,
}

const PAIR_DELTA: Sum<PAIR_SUMS> = |sums| sums[2];
const PAIR_WINS: Sum<PAIR_SUMS> = |sums| sums[3];
const PAIR_DOCUMENTS_WON: Sum<PAIR_SUMS> = |sums| sums[4];
/// The place of the bytes.
const PAIR_BYTES: usize = 5;

impl Pair {
    fn summarise(&self, resamples: &Resamples) -> PairSummary {
        let mean_delta = combine(&[self.sums.term(PAIR_DELTA, 0)], resamples);
        let mean_delta_nats = mean_delta.map_or(Estimate::point(f64::NAN), |found| found.estimate);
        PairSummary {
            first: self.first,
            second: Role::B,
            mean_delta_nats,
            mean_delta_test: mean_delta.and_then(|found| found.test()),
            delta_nats_per_byte: combine(&[self.sums.term(PAIR_DELTA, PAIR_BYTES)], resamples)
                .map(|found| found.estimate),
            first_wins_tokens: self.sums.ratio(PAIR_WINS, 0, resamples),
            first_wins_documents: self.sums.ratio(PAIR_DOCUMENTS_WON, 1, resamples),
            equivalence: equivalence(&mean_delta_nats, self.sums.cells().len()),
        }
    }
}

/// (a, b) less (placebo, b).
fn pair_difference(pair: &Pair, placebo: &Pair, resamples: &Resamples) -> PairDifference {
    let difference = |sum: Sum<PAIR_SUMS>, under: usize| -> Option<Measured> {
        combine(&[pair.sums.term(sum, under), placebo.sums.term(sum, under).minus()], resamples)
    };
    let estimate = |found: Option<Measured>| found.map_or(Estimate::point(f64::NAN), |found| found.estimate);
    let mean_delta = difference(PAIR_DELTA, 0);
    PairDifference {
        mean_delta_nats: estimate(mean_delta),
        mean_delta_test: mean_delta.and_then(|found| found.test()),
        first_wins_tokens: estimate(difference(PAIR_WINS, 0)),
        first_wins_documents: estimate(difference(PAIR_DOCUMENTS_WON, 1)),
    }
}
