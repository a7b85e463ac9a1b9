//! Analysis 6: tokens of which one model is sure and the other is not.

use rayon::prelude::*;

use deltaloss_records::{Role, Split};

use crate::estimate::Resampled;
use crate::estimate::{Measured, Sum};
use crate::families::correct;
use crate::groups::{DELTA, Group, GroupTable, PLACEBO, SUMS, TOKENS, Whole};
use crate::{Accumulator, ConfidenceCell, ConfidenceDifference, ConfidenceRow, DocumentRows, Test};

#[cfg(test)]
mod tests;

/// Who is sure and who is not, in the order of the cells of a row.
const WAYS: [[Role; 2]; 4] =
    [[Role::A, Role::B], [Role::B, Role::A], [Role::Placebo, Role::B], [Role::B, Role::Placebo]];

/// The sums of analysis 6: a row for each threshold of confidence with each of uncertainty, nats, both strict.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ConfidenceSums {
    thresholds: Vec<(f64, f64)>,
    /// By the places in `WAYS` and in `thresholds`.
    cells: GroupTable<(usize, usize)>,
}

impl ConfidenceSums {
    pub(crate) fn new(below: &[f64], above: &[f64]) -> Self {
        let thresholds = below.iter().flat_map(|&below| above.iter().map(move |&above| (below, above)));
        ConfidenceSums { thresholds: thresholds.collect(), cells: GroupTable::default() }
    }

    /// Computes analysis 6 of a set of documents.
    pub(crate) fn finish(&self, half: Option<Split>, whole: &Whole<'_>) -> Vec<ConfidenceRow> {
        let found = self.cells.groups(half, whole.resamples);
        let none = Resampled::<SUMS>::new(Vec::new(), whole.resamples);
        let group = |way: usize, threshold: usize| {
            let place = found.binary_search_by_key(&(way, threshold), |of| of.key);
            place.map_or(&none, |place| &found[place].group)
        };
        let row =
            |index: usize| row(self.thresholds[index], [0, 1, 2, 3].map(|way| group(way, index)), whole);
        let mut rows: Vec<ConfidenceRow> = (0..self.thresholds.len()).into_par_iter().map(row).collect();
        correct_families(&mut rows);
        rows
    }
}

impl Accumulator for ConfidenceSums {
    fn add_document(&mut self, rows: &DocumentRows<'_>) {
        let entropies = WAYS.map(|roles| {
            let [sure, unsure] = roles.map(|role| rows.model(role).map(|model| model.entropy));
            Some((sure?, unsure?))
        });
        let (thresholds, cells) = (&self.thresholds, &mut self.cells);
        let most = thresholds.iter().fold(f64::NEG_INFINITY, |most, (below, _)| f64::max(most, *below));
        cells.add(rows, |index, found| {
            for (way, entropies) in entropies.iter().enumerate() {
                let Some((sure, unsure)) = entropies else { continue };
                let (sure, unsure) = (f64::from(sure[index]), f64::from(unsure[index]));
                if sure >= most {
                    continue;
                }
                let held = thresholds.iter().enumerate();
                let held = held.filter(|(_, (below, above))| sure < *below && unsure > *above);
                found.extend(held.map(|(threshold, _)| (way, threshold)));
            }
        });
    }

    fn merge(&mut self, other: Self) {
        self.cells.merge(other.cells);
    }
}

fn row(thresholds: (f64, f64), ways: [&Group; 4], whole: &Whole<'_>) -> ConfidenceRow {
    let [a, b, placebo, over_placebo] = ways;
    let has_placebo = whole.has_placebo;
    ConfidenceRow {
        confident_below_nats: thresholds.0,
        uncertain_above_nats: thresholds.1,
        a_confident: cell(a, DELTA, whole),
        b_confident: cell(b, DELTA, whole),
        placebo_confident: has_placebo.then(|| cell(placebo, PLACEBO, whole)),
        b_confident_over_placebo: has_placebo.then(|| cell(over_placebo, PLACEBO, whole)),
        a_difference: has_placebo.then(|| difference(a, placebo, whole)),
        b_difference: has_placebo.then(|| difference(b, over_placebo, whole)),
    }
}

fn cell(group: &Group, sum: Sum<SUMS>, whole: &Whole<'_>) -> ConfidenceCell {
    let (delta, excess) = (whole.mean(group, sum), whole.excess(group, sum));
    ConfidenceCell {
        tokens: group.totals()[TOKENS] as u64,
        documents: group.cells().len() as u64,
        delta_nats: delta.map(|delta| delta.estimate),
        delta_test: delta.and_then(|delta| delta.test()),
        excess_nats: excess.map(|excess| excess.estimate),
        excess_test: excess.and_then(|excess| excess.test()),
        share_of_gap: whole.share(group, sum),
    }
}

/// A cell of (a, b) less one of (placebo, b), which are about different tokens.
fn difference(group: &Group, placebo: &Group, whole: &Whole<'_>) -> ConfidenceDifference {
    let delta: Option<Measured> = whole.difference((group, DELTA), (placebo, PLACEBO));
    let excess: Option<Measured> = whole.excess_difference((group, DELTA), (placebo, PLACEBO));
    ConfidenceDifference {
        delta_nats: delta.map(|delta| delta.estimate),
        delta_test: delta.and_then(|delta| delta.test()),
        excess_nats: excess.map(|excess| excess.estimate),
        excess_test: excess.and_then(|excess| excess.test()),
    }
}

/// The tests of all rows, both ways, for (a, b), for (placebo, b) and for their difference.
fn correct_families(rows: &mut [ConfidenceRow]) {
    type OfCell = fn(&mut ConfidenceCell) -> &mut Option<Test>;
    type OfDifference = fn(&mut ConfidenceDifference) -> &mut Option<Test>;
    for of in [(|cell| &mut cell.delta_test) as OfCell, |cell| &mut cell.excess_test] {
        correct(rows.iter_mut().flat_map(|row| [&mut row.a_confident, &mut row.b_confident]).map(of));
        let placebo = |row| -> [Option<&mut ConfidenceCell>; 2] {
            let row: &mut ConfidenceRow = row;
            [row.placebo_confident.as_mut(), row.b_confident_over_placebo.as_mut()]
        };
        correct(rows.iter_mut().flat_map(placebo).flatten().map(of));
    }
    for of in
        [(|difference| &mut difference.delta_test) as OfDifference, |difference| &mut difference.excess_test]
    {
        let both = |row| -> [Option<&mut ConfidenceDifference>; 2] {
            let row: &mut ConfidenceRow = row;
            [row.a_difference.as_mut(), row.b_difference.as_mut()]
        };
        correct(rows.iter_mut().flat_map(both).flatten().map(of));
    }
}
