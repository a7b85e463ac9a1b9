//! Analysis 1: each model on all joined tokens, and each pair of models.

use std::f64::consts::LN_2;

use deltaloss_records::JoinedModel;

use crate::bootstrap::{Cell, Resamples};
use crate::equivalence::equivalence;
use crate::{CheckedJoin, Estimate, ModelSummary, Overall, PairSummary};

#[cfg(test)]
mod tests;

/// Computes analysis 1.
pub(crate) fn overall(join: &CheckedJoin<'_>, resamples: &Resamples) -> Overall {
    let models = join.models().iter().map(|model| summarise_model(join, model, resamples)).collect();
    let firsts = [Some(join.a()), join.placebo()];
    let pairs =
        firsts.into_iter().flatten().map(|first| summarise_pair(join, first, join.b(), resamples)).collect();
    Overall { models, pairs, placebo_difference: None }
}

/// Each sum over the documents, in their order.
fn totals<const N: usize>(cells: &[Cell<N>]) -> [f64; N] {
    let mut totals = [0.0; N];
    for (total, column) in totals.iter_mut().zip(0..) {
        *total = cells.iter().fold(0.0, |total, cell| total + cell.sums[column]);
    }
    totals
}

/// A model's [tokens, bytes, loss, loss in bits, entropy, tokens of rank 0] by document.
fn model_sums(join: &CheckedJoin<'_>, model: &JoinedModel) -> Vec<Cell<6>> {
    let of_document = |document: usize| {
        let rows = join.documents()[document].rows.clone();
        let [mut bytes, mut loss, mut entropy, mut top1] = [0.0; 4];
        for row in rows.clone() {
            bytes += join.token_bytes(row).len() as f64;
            loss += f64::from(model.loss[row]);
            entropy += f64::from(model.entropy[row]);
            top1 += f64::from(u8::from(model.rank[row] == 0));
        }
        Cell { document, sums: [rows.len() as f64, bytes, loss, loss / LN_2, entropy, top1] }
    };
    join.documents_with_rows().map(of_document).collect()
}

fn summarise_model(join: &CheckedJoin<'_>, model: &JoinedModel, resamples: &Resamples) -> ModelSummary {
    let cells = model_sums(join, model);
    let [tokens, bytes, loss, _, entropy, top1] = totals(&cells);
    let resampled = resamples.resample(&cells);
    let mean_loss_nats = resampled.ratio(loss / tokens, 2, 0);
    ModelSummary {
        role: model.role,
        label: model.label.clone(),
        mean_loss_nats,
        bits_per_byte: resampled.ratio(loss / LN_2 / bytes, 3, 1),
        perplexity: perplexity(mean_loss_nats),
        top1_accuracy: resampled.ratio(top1 / tokens, 5, 0),
        mean_entropy_nats: resampled.ratio(entropy / tokens, 4, 0),
        median_entropy_nats: Estimate::point(median(&model.entropy)),
    }
}

/// exp of a mean loss and of its interval's ends, which is the interval of exp.
fn perplexity(mean_loss_nats: Estimate) -> Estimate {
    let exp = |nats: f64| nats.exp().min(f64::MAX);
    let interval = mean_loss_nats.interval.map(|ends| ends.map(exp));
    Estimate { interval, ..Estimate::point(exp(mean_loss_nats.value)) }
}

/// A pair's [tokens, Δ, tokens won] by document.
fn pair_sums(join: &CheckedJoin<'_>, first: &JoinedModel, second: &JoinedModel) -> Vec<Cell<3>> {
    let of_document = |document: usize| {
        let rows = join.documents()[document].rows.clone();
        let (mut total, mut wins) = (0.0, 0.0);
        for row in rows.clone() {
            let delta = f64::from(first.loss[row]) - f64::from(second.loss[row]);
            total += delta;
            wins += f64::from(u8::from(delta < 0.0));
        }
        Cell { document, sums: [rows.len() as f64, total, wins] }
    };
    join.documents_with_rows().map(of_document).collect()
}

fn summarise_pair(
    join: &CheckedJoin<'_>,
    first: &JoinedModel,
    second: &JoinedModel,
    resamples: &Resamples,
) -> PairSummary {
    let cells = pair_sums(join, first, second);
    let [tokens, delta, wins] = totals(&cells);
    let resampled = resamples.resample(&cells);
    let won = |cell: &Cell<3>| f64::from(u8::from(cell.sums[1] < 0.0));
    let documents: Vec<Cell<2>> =
        cells.iter().map(|cell| Cell { document: cell.document, sums: [1.0, won(cell)] }).collect();
    let [with_tokens, documents_won] = totals(&documents);
    let mean_delta_nats = resampled.ratio(delta / tokens, 1, 0);
    PairSummary {
        first: first.role,
        second: second.role,
        mean_delta_nats,
        mean_delta_test: None,
        first_wins_tokens: resampled.ratio(wins / tokens, 2, 0),
        first_wins_documents: resamples.resample(&documents).ratio(documents_won / with_tokens, 1, 0),
        equivalence: equivalence(&mean_delta_nats, cells.len()),
    }
}

/// The middle value, or the mean of the two middle values; `values` must not be empty.
pub(crate) fn median(values: &[f32]) -> f64 {
    let mut values = values.to_vec();
    let middle = values.len() / 2;
    let odd = !values.len().is_multiple_of(2);
    let (below, &mut upper, _) = values.select_nth_unstable_by(middle, f32::total_cmp);
    match below.iter().copied().max_by(f32::total_cmp) {
        Some(lower) if !odd => (f64::from(lower) + f64::from(upper)) / 2.0,
        _ => f64::from(upper),
    }
}
