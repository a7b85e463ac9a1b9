//! Groups of tokens and their rows in a table: categories, bracket tokens, depths.

use std::collections::HashSet;

use crate::bootstrap::{Cell, Resampled, Resamples, clustered_error, percentiles};
use crate::sums::{GroupSums, Sums};
use crate::{CheckedJoin, DeltaRow, Estimate};

#[cfg(test)]
mod tests;

/// All tokens of a join, which groups are set against.
#[derive(Clone, Debug)]
pub(crate) struct Whole {
    /// Their sums.
    sums: Sums,
    /// Summed Δ of each document, `[document]`; 0 where it has no tokens.
    deltas: Vec<f64>,
    /// Documents with tokens.
    documents: usize,
    /// Summed Δ of each replicate, `[replicate]`.
    resampled: Option<Vec<f64>>,
}

impl Whole {
    /// Sums all tokens.
    pub(crate) fn new(join: &CheckedJoin<'_>, resamples: &Resamples) -> Self {
        let table = GroupSums::collect(join, 0..join.rows(), 1, |_, found| found.push(0));
        let cells = table.by_group().remove(0);
        let mut deltas = vec![0.0; join.documents().len()];
        for cell in &cells {
            deltas[cell.document] = cell.sums[DELTA];
        }
        let resampled =
            resamples.totals(&cells).map(|totals| totals.iter().map(|sums| sums[DELTA]).collect());
        Whole { sums: table.totals()[0], deltas, documents: cells.len(), resampled }
    }

    /// A group's part in the summed Δ; nothing where that is zero (or too small to divide by).
    ///
    /// A replicate in which the whole Δ has the other sign has no share: one of a gap the other way round is
    /// another number.
    fn share(&self, part: f64, group: &Resampled<'_, 5>) -> Option<Estimate> {
        let mut estimate = share(part, self.sums.delta)?;
        let (Some(parts), Some(wholes)) = (group.totals(), &self.resampled) else { return Some(estimate) };
        let same_sign = |whole: f64| whole * self.sums.delta > 0.0;
        estimate.interval = percentiles(
            parts.iter().zip(wholes).map(|(part, &whole)| same_sign(whole).then(|| part[DELTA] / whole)),
        );
        if estimate.interval.is_some() {
            estimate.standard_error = self.share_error(estimate.value, group.cells());
        }
        Some(estimate)
    }

    /// The standard error of a share. Documents without the group count: they are part of the gap.
    fn share_error(&self, share: f64, group: &[Cell<5>]) -> Option<f64> {
        let mut residuals: Vec<f64> = self.deltas.iter().map(|delta| -share * delta).collect();
        for cell in group {
            residuals[cell.document] += cell.sums[DELTA];
        }
        // Documents without tokens are no clusters; their residuals are zero.
        clustered_error(residuals.into_iter(), self.documents, self.sums.delta)
    }
}

/// Places in the cells of [`GroupSums::by_group`].
pub(crate) const TOKENS: usize = 0;
const LOSS_A: usize = 1;
const LOSS_B: usize = 2;
pub(crate) const DELTA: usize = 3;
pub(crate) const DELTA_PLACEBO: usize = 4;

/// The mean of one of the sums over a group's tokens, with its uncertainty; nothing without tokens.
fn mean(sums: &Sums, total: f64, group: &Resampled<'_, 5>, column: usize) -> Option<Estimate> {
    sums.mean(total).map(|mean| group.ratio(mean, column, TOKENS))
}

/// A division of the rows into named groups that do not overlap; rows may belong to none.
#[derive(Clone, Debug)]
pub(crate) struct Grouping {
    /// `[group]`.
    pub(crate) names: Vec<String>,
    /// `[row]`.
    pub(crate) of_row: Vec<Option<u32>>,
}

impl Grouping {
    /// Distinct vocabulary entries of each group, `[group]`.
    fn vocabulary_entries(&self, tokens: &[u32]) -> Vec<u64> {
        let mut entries = vec![0; self.names.len()];
        let mut seen = HashSet::new();
        for (&group, &token) in self.of_row.iter().zip(tokens) {
            if let Some(group) = group
                && seen.insert((group, token))
            {
                entries[group as usize] += 1;
            }
        }
        entries
    }

    /// One table row a group, in the order of the groups.
    pub(crate) fn delta_rows(
        &self,
        join: &CheckedJoin<'_>,
        resamples: &Resamples,
        whole: &Whole,
    ) -> Vec<DeltaRow> {
        let table = GroupSums::collect(join, 0..join.rows(), self.names.len(), |row, found| {
            found.extend(self.of_row[row]);
        });
        let (totals, documents) = (table.totals(), table.documents_with());
        let cells = table.by_group();
        let entries = self.vocabulary_entries(&join.joined().token);
        let has_placebo = join.placebo().is_some();
        let row = |group: usize| {
            let sums = &totals[group];
            let group_sums = resamples.resample(&cells[group]);
            let mean = |total: f64, column: usize| mean(sums, total, &group_sums, column);
            DeltaRow {
                name: self.names[group].clone(),
                tokens: sums.tokens,
                vocabulary_entries: entries[group],
                documents: documents[group],
                loss_a_nats: mean(sums.loss_a, LOSS_A),
                loss_b_nats: mean(sums.loss_b, LOSS_B),
                delta_nats: mean(sums.delta, DELTA),
                share_of_gap: whole.share(sums.delta, &group_sums),
                placebo_delta_nats: mean(sums.delta_placebo, DELTA_PLACEBO).filter(|_| has_placebo),
                ..DeltaRow::default()
            }
        };
        (0..self.names.len()).map(row).collect()
    }
}

/// A part of a gap over the gap; nothing where the gap is zero (or too small to divide by).
fn share(part: f64, whole: f64) -> Option<Estimate> {
    let share = part / whole;
    share.is_finite().then(|| Estimate::point(share))
}

/// Puts rows in order of mean Δ, most negative first and empty groups last; equal ones stay in order.
pub(crate) fn sort_by_delta(rows: &mut [DeltaRow]) {
    rows.sort_by(|left, right| {
        let key = |row: &DeltaRow| row.delta_nats.map_or(f64::INFINITY, |delta| delta.value);
        key(left).total_cmp(&key(right))
    });
}
