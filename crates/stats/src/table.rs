//! A table of numbers by document: what most accumulators keep.

use deltaloss_records::Split;

use crate::bootstrap::{Cell, Resamples};

/// A row of `width` sums for each document that was added.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DocumentTable {
    width: usize,
    documents: Vec<u32>,
    /// `[document added][sum]`.
    values: Vec<f64>,
}

impl DocumentTable {
    /// A table without documents.
    pub(crate) fn new(width: usize) -> Self {
        DocumentTable { width, documents: Vec::new(), values: Vec::new() }
    }

    /// A table of the same width without documents.
    pub(crate) fn fresh(&self) -> Self {
        DocumentTable::new(self.width)
    }

    /// Adds a document's sums.
    pub(crate) fn push(&mut self, document: u32, sums: impl IntoIterator<Item = f64>) {
        self.documents.push(document);
        self.values.extend(sums);
        debug_assert_eq!(self.values.len(), self.documents.len() * self.width);
    }

    /// Adds other documents.
    pub(crate) fn merge(&mut self, other: Self) {
        self.documents.extend(other.documents);
        self.values.extend(other.values);
    }

    /// What `sums` makes of the rows of the set's documents, ascending.
    pub(crate) fn cells<const N: usize>(
        &self,
        resamples: &Resamples,
        sums: impl Fn(&[f64]) -> [f64; N],
    ) -> Vec<Cell<N>> {
        let rows = self.documents.iter().zip(self.values.chunks_exact(self.width));
        let mut cells: Vec<Cell<N>> = rows
            .filter(|(document, _)| resamples.contains(**document))
            .map(|(&document, row)| Cell { document, sums: sums(row) })
            .collect();
        cells.sort_unstable_by_key(|cell| cell.document);
        cells
    }
}

/// Something for each half of the documents.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Halves<T> {
    pub(crate) discovery: T,
    pub(crate) confirmation: T,
}

impl<T> Halves<T> {
    pub(crate) fn of(&mut self, split: Split) -> &mut T {
        match split {
            Split::Discovery => &mut self.discovery,
            Split::Confirmation => &mut self.confirmation,
        }
    }

    /// The half named, or both merged where none is.
    pub(crate) fn of_part(&self, half: Option<Split>, merge: impl Fn(&mut T, &T)) -> T
    where
        T: Clone,
    {
        match half {
            Some(Split::Discovery) => self.discovery.clone(),
            Some(Split::Confirmation) => self.confirmation.clone(),
            None => {
                let mut both = self.discovery.clone();
                merge(&mut both, &self.confirmation);
                both
            }
        }
    }
}
