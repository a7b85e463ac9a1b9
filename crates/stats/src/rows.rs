//! Groups of tokens as rows of a table: categories, bracket tokens, counts, depths.

use rayon::prelude::*;

use crate::DeltaRow;
use crate::bootstrap::Cell;
use crate::estimate::Measured;
use crate::estimate::Resampled;
use crate::families::correct;
use crate::groups::{BYTES, DELTA, DIFFERENCE, Group, GroupOf, LOSS_A, LOSS_B, PLACEBO, SUMS, TOKENS, Whole};

#[cfg(test)]
mod tests;

/// A row for each group, in their order; the tests of each column are a family.
pub(crate) fn delta_rows<K: Sync>(
    groups: &[GroupOf<K>],
    name: impl Fn(&K) -> String + Sync,
    whole: &Whole<'_>,
) -> Vec<DeltaRow> {
    let row = |of: &GroupOf<K>| DeltaRow { name: name(&of.key), ..delta_row(of, whole) };
    let mut rows: Vec<DeltaRow> = groups.par_iter().map(row).collect();
    correct_columns(&mut rows);
    rows
}

/// A row of a group without tokens.
pub(crate) fn empty_row(name: &str, whole: &Whole<'_>) -> DeltaRow {
    let none: Vec<Cell<SUMS>> = Vec::new();
    let group = Resampled::new(none, whole.resamples);
    DeltaRow { name: name.to_owned(), ..delta_row(&GroupOf { key: (), group, vocabulary_entries: 0 }, whole) }
}

/// Turns the p-values of each column into q-values.
pub(crate) fn correct_columns(rows: &mut [DeltaRow]) {
    correct(rows.iter_mut().map(|row| &mut row.delta_test));
    correct(rows.iter_mut().map(|row| &mut row.excess_test));
    correct(rows.iter_mut().map(|row| &mut row.placebo_delta_test));
    correct(rows.iter_mut().map(|row| &mut row.placebo_excess_test));
    correct(rows.iter_mut().map(|row| &mut row.difference_test));
    correct(rows.iter_mut().map(|row| &mut row.excess_difference_test));
}

fn delta_row<K>(of: &GroupOf<K>, whole: &Whole<'_>) -> DeltaRow {
    let group = &of.group;
    let estimate = |found: Option<Measured>| found.map(|found| found.estimate);
    let test = |found: Option<Measured>| found.and_then(|found| found.test());
    let (delta, excess) = (whole.mean(group, DELTA), whole.excess(group, DELTA));
    let row = DeltaRow {
        tokens: group.totals()[TOKENS] as u64,
        bytes: group.totals()[BYTES] as u64,
        vocabulary_entries: of.vocabulary_entries,
        documents: group.cells().len() as u64,
        loss_a_nats: estimate(whole.mean(group, LOSS_A)),
        loss_b_nats: estimate(whole.mean(group, LOSS_B)),
        delta_nats: estimate(delta),
        delta_test: test(delta),
        delta_nats_per_byte: estimate(whole.mean_per_byte(group, DELTA)),
        excess_nats: estimate(excess),
        excess_test: test(excess),
        share_of_gap: whole.share(group, DELTA),
        ..DeltaRow::default()
    };
    if whole.has_placebo { with_placebo(row, group, whole) } else { row }
}

fn with_placebo(row: DeltaRow, group: &Group, whole: &Whole<'_>) -> DeltaRow {
    let estimate = |found: Option<Measured>| found.map(|found| found.estimate);
    let test = |found: Option<Measured>| found.and_then(|found| found.test());
    let (delta, excess) = (whole.mean(group, PLACEBO), whole.excess(group, PLACEBO));
    let (difference, excess_difference) = (whole.mean(group, DIFFERENCE), whole.excess(group, DIFFERENCE));
    DeltaRow {
        placebo_delta_nats: estimate(delta),
        placebo_delta_test: test(delta),
        placebo_excess_nats: estimate(excess),
        placebo_excess_test: test(excess),
        placebo_share_of_gap: whole.share(group, PLACEBO),
        difference_nats: estimate(difference),
        difference_test: test(difference),
        excess_difference_nats: estimate(excess_difference),
        excess_difference_test: test(excess_difference),
        ..row
    }
}

/// Puts rows in order of mean Δ, most negative first and empty groups last; equal ones stay in order.
pub(crate) fn sort_by_delta(rows: &mut [DeltaRow]) {
    rows.sort_by(|left, right| {
        let key = |row: &DeltaRow| row.delta_nats.map_or(f64::INFINITY, |delta| delta.value);
        key(left).total_cmp(&key(right))
    });
}
