//! Values of a run with other tokens than run a's, carried to run a's through the text.

use super::{Piece, RowsOfModel, Source};
use crate::carry::{Spans, carry_mean, carry_sum};
use crate::error::RecordsError;
use crate::joined::CalibratedLosses;

/// A model's values at rows of run a; nothing where its own tokens do not cover them.
#[derive(Clone, Debug, Default)]
pub(super) struct Carried {
    as_scored: Columns,
    /// The same at the run's temperature.
    calibrated: Option<Columns>,
}

/// Losses and entropies at rows of run a.
#[derive(Clone, Debug, Default)]
struct Columns {
    loss: Vec<Option<f64>>,
    entropy: Vec<Option<f32>>,
}

impl Columns {
    /// The rows that stay, all of which are covered.
    fn rows(&self, stays: &[bool]) -> (Vec<f32>, Vec<f32>) {
        let losses = self.loss.iter().zip(stays).filter(|(_, stays)| **stays);
        let entropies = self.entropy.iter().zip(stays).filter(|(_, stays)| **stays);
        (
            losses.filter_map(|(loss, _)| loss.map(|loss| loss as f32)).collect(),
            entropies.filter_map(|(entropy, _)| *entropy).collect(),
        )
    }
}

impl Carried {
    /// Whether the row has values. (All columns of a run cover the same rows.)
    pub(super) fn covers(&self, row: usize) -> bool {
        self.as_scored.loss[row].is_some() && self.as_scored.entropy[row].is_some()
    }

    /// The rows that stay, all of which are covered.
    pub(super) fn rows(&self, stays: &[bool]) -> RowsOfModel {
        let (loss, entropy) = self.as_scored.rows(stays);
        let calibrated = self.calibrated.as_ref().map(|columns| {
            let (loss, entropy) = columns.rows(stays);
            CalibratedLosses { loss, entropy }
        });
        (loss, entropy, calibrated, None)
    }
}

/// One run's tokens of one document, and where they lie in its piece.
struct OfDocument<'p> {
    spans: Spans<'p>,
    rows: std::ops::Range<usize>,
}

/// A run of a piece.
type Of<'p> = (&'p Source, &'p Piece);

/// Carries losses and entropies to the given rows of run a.
pub(super) fn carry(from: Of<'_>, to: Of<'_>, rows: &[usize]) -> Result<Carried, RecordsError> {
    let scores = &from.1.columns.scores;
    let mut carried =
        Carried { calibrated: scores.calibrated.as_ref().map(|_| Default::default()), ..Carried::default() };
    for_each_document(from, to, rows, |theirs, ours, text| {
        let at = theirs.rows;
        let carry = |to: &mut Columns, loss: &[f32], entropy: &[f32]| {
            to.loss.extend(carry_sum(theirs.spans, &loss[at.clone()], ours));
            to.entropy.extend(carry_mean(theirs.spans, &entropy[at.clone()], ours, text));
        };
        carry(&mut carried.as_scored, &scores.loss, &scores.entropy);
        if let (Some(to), Some(columns)) = (&mut carried.calibrated, &scores.calibrated) {
            carry(to, &columns.loss, &columns.entropy);
        }
    })?;
    Ok(carried)
}

/// Carries entropies to the given rows of run a.
pub(super) fn carry_entropy(
    from: Of<'_>,
    to: Of<'_>,
    rows: &[usize],
) -> Result<Vec<Option<f32>>, RecordsError> {
    let entropy = &from.1.columns.scores.entropy;
    let mut carried = Vec::with_capacity(rows.len());
    for_each_document(from, to, rows, |theirs, ours, text| {
        carried.extend(carry_mean(theirs.spans, &entropy[theirs.rows], ours, text));
    })?;
    Ok(carried)
}

/// Hands over every document in which run a has some of these rows: the other run's tokens, run a's, the text.
fn for_each_document(
    from: Of<'_>,
    to: Of<'_>,
    rows: &[usize],
    mut hand_over: impl FnMut(OfDocument<'_>, Spans<'_>, &str),
) -> Result<(), RecordsError> {
    let (theirs, ours) = (&from.1.columns, &to.1.columns);
    let starts: Vec<u32> = rows.iter().map(|&row| ours.byte_start[row]).collect();
    let ends: Vec<u32> = rows.iter().map(|&row| ours.byte_end[row]).collect();
    let (mut our_row, mut their_row) = (0, 0);
    for document in &to.1.documents {
        let our_first = our_row;
        our_row +=
            rows[our_first..].iter().take_while(|&&row| ours.document[row] == document.document).count();
        let their_first = their_row;
        their_row +=
            theirs.document[their_first..].iter().take_while(|&&index| index == document.document).count();
        let spans = |of: Of<'_>, starts, ends| {
            Spans::new(starts, ends).map_err(|(token, problem)| RecordsError::Spans {
                path: of.0.reader.folder().to_owned(),
                document: document.name.clone(),
                problem: format!("row {token} of the document has {problem}"),
            })
        };
        let ours = spans(to, &starts[our_first..our_row], &ends[our_first..our_row])?;
        let rows = their_first..their_row;
        let theirs = spans(from, &theirs.byte_start[rows.clone()], &theirs.byte_end[rows.clone()])?;
        hand_over(OfDocument { spans: theirs, rows }, ours, &document.text);
    }
    Ok(())
}
