//! Documents a few megabytes at a time, cut into windows and handed to the scorer in batches: what every pass that needs
//! the model is made of.

use deltaloss_corpus::{Corpus, Document, text_sha256};

use super::failures::Failures;
use super::plan::{Plan, Slice};
use crate::error::LmError;
use crate::scorer::{ScoreFailure, Scorer, Window};
use crate::tokenizer::Token;
use crate::window::WindowSpan;

/// Windows handed to the scorer at once.
const BATCH_WINDOWS: usize = 64;
/// A group of documents is closed at this much text, whatever its number of windows.
const GROUP_BYTES: usize = 4 << 20;

pub(super) fn encode(scorer: &dyn Scorer, group: &[Document]) -> Result<Vec<Vec<Token>>, LmError> {
    let texts: Vec<&str> = group.iter().map(|document| document.text.as_str()).collect();
    let tokens = scorer.encode(&texts).map_err(|error| named(error, group))?;
    if tokens.len() == texts.len() {
        return Ok(tokens);
    }
    let (name, got, due) = (&scorer.tokenizer().name, tokens.len(), texts.len());
    Err(LmError::Window(format!("the tokenizer {name} gave tokens of {got} texts for {due}")))
}

/// Puts the document's name into an error that knows it by its index.
fn named(error: LmError, group: &[Document]) -> LmError {
    match error {
        LmError::Encode { tokenizer, text, byte, problem } => match group.get(text) {
            Some(document) => {
                LmError::EncodeDocument { tokenizer, document: document.name.clone(), byte, problem }
            }
            None => LmError::Encode { tokenizer, text, byte, problem },
        },
        error => error,
    }
}

/// Documents a few megabytes at a time.
pub(super) struct Groups<'a> {
    documents: deltaloss_corpus::Documents,
    done: bool,
    slice: Option<&'a Slice>,
    /// Documents read, and those among them from which something can be predicted.
    read: u64,
    usable: u32,
}

impl<'a> Groups<'a> {
    pub(super) fn new(corpus: &Corpus) -> Result<Self, LmError> {
        Self::of_slice(corpus, None)
    }

    /// Only the documents of a slice, where there is one.
    pub(super) fn of_slice(corpus: &Corpus, slice: Option<&'a Slice>) -> Result<Self, LmError> {
        Ok(Groups { documents: corpus.documents()?, done: false, slice, read: 0, usable: 0 })
    }

    /// Whether the document read last is wanted; the end of a slice ends everything.
    fn wants(&mut self) -> bool {
        let Some(slice) = self.slice else { return true };
        let at = self.read;
        self.read += 1;
        if slice.short.binary_search(&at).is_ok() {
            return false;
        }
        let place = self.usable;
        self.usable += 1;
        self.done = self.usable >= slice.documents.end;
        slice.documents.contains(&place)
    }

    /// Documents that the corpus left out on request.
    pub(super) fn skipped(&self) -> u64 {
        self.documents.skipped().total()
    }
}

impl Iterator for Groups<'_> {
    type Item = Result<Vec<Document>, LmError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (mut group, mut bytes) = (Vec::new(), 0);
        while !self.done && bytes < GROUP_BYTES {
            match self.documents.next() {
                None => self.done = true,
                Some(Err(error)) => {
                    self.done = true;
                    return Some(Err(error.into()));
                }
                Some(Ok(document)) => {
                    if self.wants() {
                        bytes += document.text.len();
                        group.push(document);
                    }
                }
            }
        }
        (!group.is_empty()).then_some(Ok(group))
    }
}

/// A document cut into windows.
pub(super) struct Cut {
    pub(super) document: Document,
    pub(super) sha256: [u8; 32],
    pub(super) tokens: Vec<Token>,
    /// The token ids, behind the beginning-of-text token if there is one.
    sequence: Vec<u32>,
    pub(super) spans: Vec<WindowSpan>,
}

impl Cut {
    /// Tokenises and cuts documents, leaving out those from which nothing can be predicted.
    pub(super) fn group(scorer: &dyn Scorer, plan: &Plan, group: Vec<Document>) -> Result<Vec<Cut>, LmError> {
        let mut cuts = Vec::with_capacity(group.len());
        for (tokens, document) in encode(scorer, &group)?.into_iter().zip(group) {
            if tokens.len() >= plan.needed() {
                let sequence =
                    plan.beginning_of_text.into_iter().chain(tokens.iter().map(|t| t.id)).collect();
                let spans = plan.spans(tokens.len())?;
                let sha256 = text_sha256(&document.text);
                cuts.push(Cut { document, sha256, tokens, sequence, spans });
            }
        }
        Ok(cuts)
    }

    fn window(&self, span: &WindowSpan) -> Window<'_> {
        Window {
            inputs: &self.sequence[span.inputs.clone()],
            targets: &self.sequence[span.inputs.start + 1..span.inputs.end + 1],
            skip: span.skip,
        }
    }
}

/// Hands the windows of `cuts` to `score` in batches, in order, and what it gives for each to `receive`, with the index of
/// the document in `cuts`. Windows of documents that failed are left out from then on; what was received of one before, `receive` has to
/// forget.
pub(super) fn for_each_window<T>(
    plan: &Plan,
    cuts: &[Cut],
    failures: &mut Failures,
    mut score: impl FnMut(&[Window<'_>]) -> Result<Vec<T>, ScoreFailure>,
    mut receive: impl FnMut(usize, T, &Failures) -> Result<(), LmError>,
) -> Result<(), LmError> {
    let mut all: Vec<(usize, &WindowSpan)> = Vec::new();
    for (index, cut) in cuts.iter().enumerate() {
        all.extend(cut.spans.iter().map(|span| (index, span)));
    }
    for batch in all.chunks(BATCH_WINDOWS) {
        let mut batch = batch.to_vec();
        let scored = loop {
            batch.retain(|(index, _)| failures.position(&cuts[*index].sha256).is_none());
            let windows: Vec<Window<'_>> =
                batch.iter().map(|(index, span)| cuts[*index].window(span)).collect();
            match score(&windows) {
                Ok(scored) => break scored,
                Err(ScoreFailure::Engine(error)) => return Err(error),
                Err(ScoreFailure::NonFinite(at)) => {
                    let (index, span) = batch[at.window];
                    let position = (span.inputs.start + at.target + 1 - plan.front()) as u32;
                    let cut = &cuts[index];
                    failures.fail(&plan.model, (&cut.document.name, cut.sha256), position)?;
                }
            }
        };
        if scored.len() != batch.len() {
            let (model, got, due) = (&plan.model, scored.len(), batch.len());
            return Err(LmError::Window(format!("the scorer of {model} answered {got} windows of {due}")));
        }
        for ((index, _), of_window) in batch.iter().zip(scored) {
            receive(*index, of_window, failures)?;
        }
    }
    Ok(())
}
