//! The covariates of a token: what is held fixed beside its category.

use std::collections::HashMap;

use deltaloss_records::WindowInfo;

use super::sums::COVARIATES;
use crate::SecondRows;

/// What each covariate is, in the order of [`of_document`]'s columns; the entropy's is completed by the model
/// it is of.
///
/// Frequency and position enter as logarithms. Loss falls as a power of the place in the context (Kaplan et al.
/// 2020, arXiv 2001.08361, appendix D.5): most is gained over the first few tokens, and a straight line over
/// thousands of places would miss that. Frequencies spread over orders of magnitude (Zipf).
pub(crate) const NAMES: [&str; COVARIATES] = [
    "ln occurrences of the token among the joined tokens",
    "ln tokens before it in the window",
    "bracket depth",
    "occurred before in the window",
    "entropy",
];

/// Where windows start, from the run's provenance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Windows {
    /// Inputs of a window.
    context: u64,
    /// Inputs from one window to the next; nothing where there is but one window.
    step: Option<u64>,
    /// Tokens put before the document's first.
    front: u64,
}

impl Windows {
    /// The windows of a run. A mode that is not known counts as one window.
    pub(crate) fn new(window: &WindowInfo) -> Self {
        let step = match window.mode.as_str() {
            "chunk" => Some(window.context),
            "slide" => window.stride,
            _ => None,
        };
        Windows {
            context: u64::from(window.context.max(1)),
            step: step.map(|step| u64::from(step.max(1))),
            front: u64::from(window.beginning_of_text.is_some()),
        }
    }

    /// The token's index in the scored sequence, and that of the first input of the window that predicted it:
    /// the first window that reaches so far.
    fn place(&self, position: u32) -> (u64, u64) {
        let target = u64::from(position) + self.front;
        let beyond_first = target.saturating_sub(self.context);
        let start = self.step.map_or(0, |step| beyond_first.div_ceil(step) * step);
        (target, start.min(target))
    }
}

/// The covariates of a document's tokens, in order: `entropy` is the control's of each row, nats; `occurrences` of a token
/// are those among all that are joined. Nothing for a token without an entropy.
///
/// Only joined tokens are looked at for earlier occurrences: where no beginning-of-text token is put in
/// front, a document's first token is predicted by no run and therefore unseen here.
pub(crate) fn of_document<'a>(
    rows: &'a SecondRows<'_>,
    entropy: impl Fn(usize) -> Option<f32> + 'a,
    windows: Windows,
    occurrences: &'a HashMap<u32, u64>,
) -> impl Iterator<Item = Option<[f64; COVARIATES]>> + 'a {
    let mut last_place: HashMap<u32, u64> = HashMap::new();
    (0..rows.token.len()).map(move |row| {
        let (target, start) = windows.place(rows.position[row]);
        let token = rows.token[row];
        let repeated = last_place.insert(token, target).is_some_and(|last| last >= start);
        let count = occurrences.get(&token).copied().unwrap_or(1);
        Some([
            (count as f64).ln(),
            // At least one input precedes every token that a model predicts.
            ((target - start).max(1) as f64).ln(),
            f64::from(rows.depth[row]),
            f64::from(u8::from(repeated)),
            f64::from(entropy(row)?),
        ])
    })
}

#[cfg(test)]
mod tests {
    use deltaloss_records::Split;

    use super::*;

    fn windows(mode: &str, stride: Option<u32>, beginning_of_text: Option<u32>) -> Windows {
        Windows::new(&WindowInfo { context: 4, mode: mode.to_owned(), stride, beginning_of_text })
    }

    fn starts(windows: Windows) -> Vec<u64> {
        (1..=9).map(|position| windows.place(position).1).collect()
    }

    #[test]
    fn windows_start_where_the_scorer_starts_them() {
        // The drawings in `lm/src/window.rs`.
        assert_eq!(starts(windows("truncate", None, None)), [0; 9]);
        assert_eq!(starts(windows("chunk", None, None)), [0, 0, 0, 0, 4, 4, 4, 4, 8]);
        assert_eq!(starts(windows("slide", Some(2), None)), [0, 0, 0, 0, 2, 2, 4, 4, 6]);
        // With a token in front everything is one further.
        assert_eq!(starts(windows("chunk", None, Some(0))), [0, 0, 0, 4, 4, 4, 4, 8, 8]);
        assert_eq!(windows("chunk", None, Some(0)).place(0), (1, 0));
    }

    #[test]
    fn odd_provenance_does_not_panic() {
        for (mode, context, stride) in
            [("chunk", 0, None), ("slide", 0, Some(0)), ("slide", 2, Some(9)), ("?", 7, Some(1))]
        {
            let info = WindowInfo { context, mode: mode.to_owned(), stride, beginning_of_text: None };
            for position in [0, 1, 5, u32::MAX] {
                let (target, start) = Windows::new(&info).place(position);
                assert!(start <= target);
            }
        }
    }

    #[test]
    fn covariates_by_hand() {
        let rows = SecondRows {
            document: 0,
            split: Split::Discovery,
            position: &[1, 2, 3, 4, 5, 6, 7],
            token: &[7, 8, 7, 9, 7, 8, 8],
            category: &[0; 7],
            depth: &[0, 1, 1, 2, 0, 0, 3],
            bytes: &[1; 7],
            losses: &[],
            entropies: &[],
            oracle: None,
        };
        // The last has none, so it takes no part.
        let entropy = [Some(0.5), Some(1.0), Some(0.0), Some(2.0), Some(0.25), Some(0.125), None];
        let occurrences = HashMap::from([(7, 30), (8, 2), (9, 1)]);
        let found: Vec<_> =
            of_document(&rows, |row| entropy[row], windows("chunk", None, None), &occurrences).collect();
        let ln = f64::ln;
        assert_eq!(
            found,
            [
                Some([ln(30.0), ln(1.0), 0.0, 0.0, 0.5]),
                Some([ln(2.0), ln(2.0), 1.0, 0.0, 1.0]),
                Some([ln(30.0), ln(3.0), 1.0, 1.0, 0.0]),
                Some([0.0, ln(4.0), 2.0, 0.0, 2.0]),
                // The second window starts at token 4, which is neither 7 nor 8.
                Some([ln(30.0), ln(1.0), 0.0, 0.0, 0.25]),
                Some([ln(2.0), ln(2.0), 0.0, 0.0, 0.125]),
                None,
            ]
        );
    }
}
