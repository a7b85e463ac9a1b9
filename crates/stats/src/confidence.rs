//! Analysis 6: tokens of which one model is sure and the other is not.

use deltaloss_records::JoinedModel;

use crate::bootstrap::{Cell, Resamples};
use crate::grouping::{DELTA, DELTA_PLACEBO, TOKENS};
use crate::sums::{GroupSums, Sums};
use crate::{CheckedJoin, ConfidenceCell, ConfidenceRow};

#[cfg(test)]
mod tests;

/// Computes analysis 6: a row for each threshold of confidence with each of uncertainty, nats, both strict.
pub(crate) fn confidence(
    join: &CheckedJoin<'_>,
    below: &[f64],
    above: &[f64],
    resamples: &Resamples,
) -> Vec<ConfidenceRow> {
    let thresholds: Vec<(f64, f64)> =
        below.iter().flat_map(|&below| above.iter().map(move |&above| (below, above))).collect();
    let (a, b) = (join.a(), join.b());
    let both_ways = |first: &JoinedModel| {
        let first_confident = disagreements(join, &thresholds, first, b);
        first_confident.into_iter().zip(disagreements(join, &thresholds, b, first)).collect::<Vec<_>>()
    };
    let delta = |group: &Group| cell(group, group.sums.delta, DELTA, resamples);
    let delta_placebo = |group: &Group| cell(group, group.sums.delta_placebo, DELTA_PLACEBO, resamples);
    let of_a = both_ways(a);
    let of_placebo = join.placebo().map(both_ways);
    let row = |index: usize| {
        let placebo = of_placebo.as_ref().map(|sums| &sums[index]);
        ConfidenceRow {
            confident_below_nats: thresholds[index].0,
            uncertain_above_nats: thresholds[index].1,
            a_confident: delta(&of_a[index].0),
            b_confident: delta(&of_a[index].1),
            placebo_confident: placebo.map(|(placebo_confident, _)| delta_placebo(placebo_confident)),
            b_confident_over_placebo: placebo.map(|(_, b_confident)| delta_placebo(b_confident)),
            a_difference: None,
            b_difference: None,
        }
    };
    (0..thresholds.len()).map(row).collect()
}

/// The tokens that meet one condition.
struct Group {
    sums: Sums,
    cells: Vec<Cell<5>>,
}

/// The sums of the tokens of which `confident` is sure and `uncertain` is not, `[threshold]`.
fn disagreements(
    join: &CheckedJoin<'_>,
    thresholds: &[(f64, f64)],
    confident: &JoinedModel,
    uncertain: &JoinedModel,
) -> Vec<Group> {
    let holds = |row: usize, (below, above): (f64, f64)| {
        f64::from(confident.entropy[row]) < below && f64::from(uncertain.entropy[row]) > above
    };
    let table = GroupSums::collect(join, 0..join.rows(), thresholds.len(), |row, found| {
        let held = thresholds.iter().zip(0..).filter(|(threshold, _)| holds(row, **threshold));
        found.extend(held.map(|(_, group)| group));
    });
    table.totals().into_iter().zip(table.by_group()).map(|(sums, cells)| Group { sums, cells }).collect()
}

fn cell(group: &Group, delta: f64, column: usize, resamples: &Resamples) -> ConfidenceCell {
    let of_document =
        |cell: &Cell<5>| Cell { document: cell.document, sums: [cell.sums[TOKENS], cell.sums[column]] };
    let cells: Vec<Cell<2>> = group.cells.iter().map(of_document).collect();
    let mean = group.sums.mean(delta);
    let delta_nats = mean.map(|mean| resamples.resample(&cells).ratio(mean, 1, 0));
    ConfidenceCell { tokens: group.sums.tokens, delta_nats, ..ConfidenceCell::default() }
}
