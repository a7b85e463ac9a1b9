//! Per-document sums of groups of tokens: what every number about a group is derived from.
//!
//! Uncertainty comes from whole documents: a resample of documents weights these sums and never looks at tokens
//! again. Sums are in double precision and run in the order of a document's rows, then of documents.

use std::collections::{BTreeMap, HashSet};

use crate::bootstrap::{Cell, Resamples, percentiles};
use crate::estimate::{Measured, Resampled, Sum, Term, clustered_error, combine};
use crate::table::Halves;
use crate::{DocumentRows, Estimate};
use deltaloss_records::{Role, Split};

#[cfg(test)]
mod tests;

/// How many sums a cell of a group has: [tokens, loss of a, loss of b, loss a − loss b, loss of the placebo − loss b,
/// bytes].
pub(crate) const SUMS: usize = 6;

/// The place of the tokens.
pub(crate) const TOKENS: usize = 0;
/// The place of the bytes.
pub(crate) const BYTES: usize = 5;

/// A group's sums with their replicates.
pub(crate) type Group = Resampled<SUMS>;

pub(crate) const LOSS_A: Sum<SUMS> = |sums| sums[1];
pub(crate) const LOSS_B: Sum<SUMS> = |sums| sums[2];
pub(crate) const DELTA: Sum<SUMS> = |sums| sums[3];
pub(crate) const PLACEBO: Sum<SUMS> = |sums| sums[4];
/// Δ of (a, b) − Δ of (placebo, b).
pub(crate) const DIFFERENCE: Sum<SUMS> = |sums| sums[3] - sums[4];

/// The sums of one token alone, from its losses under a, b and the placebo, and its bytes.
pub(crate) fn sums_of([a, b]: [f32; 2], placebo: Option<f32>, bytes: u32) -> [f64; SUMS] {
    let [a, b] = [a, b].map(f64::from);
    let placebo = placebo.map_or(0.0, |placebo| f64::from(placebo) - b);
    [1.0, a, b, a - b, placebo, f64::from(bytes)]
}

/// One group's sums by document, and which vocabulary entries it holds in each half.
#[derive(Clone, Debug, Default, PartialEq)]
struct Gathered {
    cells: Vec<Cell<SUMS>>,
    entries: Halves<HashSet<u32>>,
}

/// Sums by document of groups that are known by a key; groups may overlap.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GroupTable<K: Ord> {
    groups: BTreeMap<K, Gathered>,
}

impl<K: Ord> Default for GroupTable<K> {
    fn default() -> Self {
        GroupTable { groups: BTreeMap::new() }
    }
}

/// One group over a set of documents.
#[derive(Clone, Debug)]
pub(crate) struct GroupOf<K> {
    pub(crate) key: K,
    pub(crate) group: Group,
    /// Distinct vocabulary entries.
    pub(crate) vocabulary_entries: u64,
}

impl<K: Ord + Clone + Send + Sync> GroupTable<K> {
    /// Adds a document; `keys(index, found)` pushes the groups of token `index`, each once.
    pub(crate) fn add(&mut self, rows: &DocumentRows<'_>, keys: impl FnMut(usize, &mut Vec<K>)) {
        let placebo = rows.model(Role::Placebo);
        let sums = |index: usize| {
            let losses = [rows.a().loss[index], rows.b().loss[index]];
            let bytes = rows.byte_end[index] - rows.byte_start[index];
            sums_of(losses, placebo.map(|placebo| placebo.loss[index]), bytes)
        };
        self.add_tokens((rows.document, rows.split), rows.token, sums, keys);
    }

    /// Adds a document of these tokens, of which `sums(index)` gives [`sums_of`] one.
    pub(crate) fn add_tokens(
        &mut self,
        (document, split): (u32, Split),
        tokens: &[u32],
        sums: impl Fn(usize) -> [f64; SUMS],
        mut keys: impl FnMut(usize, &mut Vec<K>),
    ) {
        let mut of_document: BTreeMap<K, ([f64; SUMS], Vec<u32>)> = BTreeMap::new();
        let mut found = Vec::new();
        for (index, &token) in tokens.iter().enumerate() {
            keys(index, &mut found);
            if found.is_empty() {
                continue;
            }
            let sums = sums(index);
            for key in found.drain(..) {
                let (total, entries) = of_document.entry(key).or_default();
                total.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
                entries.push(token);
            }
        }
        for (key, (sums, mut entries)) in of_document {
            entries.sort_unstable();
            entries.dedup();
            let group = self.groups.entry(key).or_default();
            group.cells.push(Cell { document, sums });
            group.entries.of(split).extend(entries);
        }
    }

    /// Adds other documents.
    pub(crate) fn merge(&mut self, other: Self) {
        for (key, gathered) in other.groups {
            let group = self.groups.entry(key).or_default();
            group.cells.extend(gathered.cells);
            group.entries.discovery.extend(gathered.entries.discovery);
            group.entries.confirmation.extend(gathered.entries.confirmation);
        }
    }

    /// The groups that have tokens in a set of documents, by ascending key.
    pub(crate) fn groups(&self, half: Option<Split>, resamples: &Resamples) -> Vec<GroupOf<K>> {
        self.groups_where(half, resamples, |_| true)
    }

    /// Those of them whose key is kept.
    pub(crate) fn groups_where(
        &self,
        half: Option<Split>,
        resamples: &Resamples,
        keep: impl Fn(&K) -> bool,
    ) -> Vec<GroupOf<K>> {
        let of = |(key, gathered): (&K, &Gathered)| {
            let mut cells: Vec<Cell<SUMS>> =
                gathered.cells.iter().filter(|cell| resamples.contains(cell.document)).copied().collect();
            cells.sort_unstable_by_key(|cell| cell.document);
            let Halves { discovery, confirmation } = &gathered.entries;
            let entries = match half {
                Some(Split::Discovery) => discovery.len(),
                Some(Split::Confirmation) => confirmation.len(),
                None => discovery.union(confirmation).count(),
            };
            (!cells.is_empty()).then(|| GroupOf {
                key: key.clone(),
                group: Resampled::new(cells, resamples),
                vocabulary_entries: entries as u64,
            })
        };
        self.groups.iter().filter(|(key, _)| keep(key)).filter_map(of).collect()
    }
}

/// All tokens of a set of documents, which groups are set against.
#[derive(Clone, Debug)]
pub(crate) struct Whole<'r> {
    pub(crate) group: Group,
    pub(crate) resamples: &'r Resamples,
    /// Whether the sums of the placebo mean anything.
    pub(crate) has_placebo: bool,
}

impl Whole<'_> {
    /// The mean of a sum over a group's tokens; nothing without tokens.
    pub(crate) fn mean(&self, group: &Group, sum: Sum<SUMS>) -> Option<Measured> {
        combine(&[group.term(sum, TOKENS)], self.resamples)
    }

    /// A sum over a group's tokens, by their bytes; nothing without bytes.
    pub(crate) fn mean_per_byte(&self, group: &Group, sum: Sum<SUMS>) -> Option<Measured> {
        combine(&[group.term(sum, BYTES)], self.resamples)
    }

    /// The mean of a sum over a group's tokens less that over all tokens.
    pub(crate) fn excess(&self, group: &Group, sum: Sum<SUMS>) -> Option<Measured> {
        combine(&[group.term(sum, TOKENS), self.group.term(sum, TOKENS).minus()], self.resamples)
    }

    /// The mean of one sum over one group's tokens less the mean of another over another's.
    pub(crate) fn difference(
        &self,
        left: (&Group, Sum<SUMS>),
        right: (&Group, Sum<SUMS>),
    ) -> Option<Measured> {
        combine(&[left.0.term(left.1, TOKENS), right.0.term(right.1, TOKENS).minus()], self.resamples)
    }

    /// The difference of two groups' excesses.
    pub(crate) fn excess_difference(
        &self,
        left: (&Group, Sum<SUMS>),
        right: (&Group, Sum<SUMS>),
    ) -> Option<Measured> {
        let terms: [Term<'_, SUMS>; 4] = [
            left.0.term(left.1, TOKENS),
            self.group.term(left.1, TOKENS).minus(),
            right.0.term(right.1, TOKENS).minus(),
            self.group.term(right.1, TOKENS),
        ];
        combine(&terms, self.resamples)
    }

    /// A group's part in the summed Δ; nothing where that is zero (or too small to divide by).
    ///
    /// No bounded interval holds the truth of a ratio whose denominator may be zero (Gleser and Hwang 1987, The Annals of
    /// Statistics 15), so there is one only where the whole gap is clear of zero.
    pub(crate) fn share(&self, group: &Group, sum: Sum<SUMS>) -> Option<Estimate> {
        let (part, whole) = (sum(group.totals()), sum(self.group.totals()));
        // −0 / x + 0 is 0.
        let value = part / whole + 0.0;
        if !value.is_finite() {
            return None;
        }
        let gap = self.group.term(sum, TOKENS).without_interval(self.resamples);
        let clear = gap.is_some_and(|gap| gap.is_clear_of_zero());
        let (Some(parts), Some(wholes), true) = (group.replicates(), self.group.replicates(), clear) else {
            return Some(Estimate::point(value));
        };
        let share = |(part, whole): (&[f64; SUMS], &[f64; SUMS])| {
            Some(sum(part) / sum(whole)).filter(|share| share.is_finite())
        };
        let interval = percentiles(parts.iter().zip(wholes).map(share), group.cells().len());
        let standard_error = interval.and_then(|_| self.share_error(group, sum, value));
        Some(Estimate { value, interval, standard_error })
    }

    /// The standard error of a share. Documents without the group count: they are part of the gap.
    fn share_error(&self, group: &Group, sum: Sum<SUMS>, share: f64) -> Option<f64> {
        let whole = sum(self.group.totals());
        let mut residuals = vec![0.0; self.resamples.documents()];
        for (cells, factor) in [(self.group.cells(), -share), (group.cells(), 1.0)] {
            for cell in cells {
                if let Some(slot) = self.resamples.slot(cell.document) {
                    residuals[slot] += factor * sum(&cell.sums) / whole;
                }
            }
        }
        clustered_error(residuals.into_iter(), self.resamples.documents())
    }
}
