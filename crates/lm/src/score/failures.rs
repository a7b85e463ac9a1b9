//! Documents whose loss is not finite: the first stops the scoring, or each is noted and left out whole.

use std::collections::HashMap;

use deltaloss_corpus::hex;
use deltaloss_records::FailedText;

use crate::error::LmError;

/// The texts that failed so far, by their SHA-256: equal texts fail alike.
#[derive(Debug, Default)]
pub(super) struct Failures {
    keep_going: bool,
    positions: HashMap<[u8; 32], u32>,
}

impl Failures {
    pub(super) fn new(keep_going: bool) -> Self {
        Failures { keep_going, positions: HashMap::new() }
    }

    /// Where this text failed, if it did: the index of a token.
    pub(super) fn position(&self, sha256: &[u8; 32]) -> Option<u32> {
        self.positions.get(sha256).copied()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.positions.len()
    }

    /// Takes note of a text that failed in an earlier scoring.
    pub(super) fn note(&mut self, sha256: [u8; 32], position: u32) {
        self.positions.entry(sha256).or_insert(position);
    }

    /// Takes note of a text that fails now, or stops the scoring.
    pub(super) fn fail(
        &mut self,
        model: &str,
        (document, sha256): (&str, [u8; 32]),
        position: u32,
    ) -> Result<(), LmError> {
        if !self.keep_going {
            return Err(error(model, document, position, false));
        }
        self.note(sha256, position);
        Ok(())
    }

    /// As they are kept beside a temperature.
    pub(super) fn texts(&self) -> Vec<FailedText> {
        let mut texts: Vec<FailedText> = self
            .positions
            .iter()
            .map(|(sha256, &position)| FailedText { sha256: hex(sha256), position })
            .collect();
        texts.sort_by(|one, other| one.sha256.cmp(&other.sha256));
        texts
    }

    /// Takes up those of a temperature that was kept.
    pub(super) fn take_up(&mut self, texts: &[FailedText]) {
        for text in texts {
            let mut sha256 = [0; 32];
            let digits = |at: usize| text.sha256.get(2 * at..2 * at + 2);
            for (at, byte) in sha256.iter_mut().enumerate() {
                *byte = digits(at).and_then(|pair| u8::from_str_radix(pair, 16).ok()).unwrap_or_default();
            }
            self.note(sha256, text.position);
        }
    }
}

/// The error of a document whose loss is not finite.
pub(super) fn error(model: &str, document: &str, position: u32, all: bool) -> LmError {
    let (model, document) = (model.to_owned(), document.to_owned());
    if all {
        LmError::AllFailed { model, document, position }
    } else {
        LmError::NonFiniteLoss { model, document, position }
    }
}
