//! Documents a few megabytes at a time, cut into windows and handed to the scorer in batches: what every pass that needs
//! the model is made of.

use deltaloss_corpus::{Corpus, Document};

use super::plan::Plan;
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
pub(super) struct Groups {
    documents: deltaloss_corpus::Documents,
    done: bool,
}

impl Groups {
    pub(super) fn new(corpus: &Corpus) -> Result<Self, LmError> {
        Ok(Groups { documents: corpus.documents()?, done: false })
    }

    /// Documents that the corpus left out on request.
    pub(super) fn skipped(&self) -> u64 {
        self.documents.skipped().total()
    }
}

impl Iterator for Groups {
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
                    bytes += document.text.len();
                    group.push(document);
                }
            }
        }
        (!group.is_empty()).then_some(Ok(group))
    }
}

/// A document cut into windows.
pub(super) struct Cut {
    pub(super) document: Document,
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
                cuts.push(Cut { document, tokens, sequence, spans });
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
/// the document in `cuts`.
pub(super) fn for_each_window<T>(
    plan: &Plan,
    cuts: &[Cut],
    mut score: impl FnMut(&[Window<'_>]) -> Result<Vec<T>, ScoreFailure>,
    mut receive: impl FnMut(usize, T) -> Result<(), LmError>,
) -> Result<(), LmError> {
    let mut all: Vec<(usize, &WindowSpan)> = Vec::new();
    for (index, cut) in cuts.iter().enumerate() {
        all.extend(cut.spans.iter().map(|span| (index, span)));
    }
    for batch in all.chunks(BATCH_WINDOWS) {
        let windows: Vec<Window<'_>> = batch.iter().map(|(index, span)| cuts[*index].window(span)).collect();
        let scored = score(&windows).map_err(|failure| explain(plan, failure, batch, cuts))?;
        if scored.len() != windows.len() {
            let (model, got, due) = (&plan.model, scored.len(), windows.len());
            return Err(LmError::Window(format!("the scorer of {model} answered {got} windows of {due}")));
        }
        for ((index, _), of_window) in batch.iter().zip(scored) {
            receive(*index, of_window)?;
        }
    }
    Ok(())
}

fn explain(plan: &Plan, failure: ScoreFailure, batch: &[(usize, &WindowSpan)], cuts: &[Cut]) -> LmError {
    match failure {
        ScoreFailure::Engine(error) => error,
        ScoreFailure::NonFinite(at) => {
            let (index, span) = batch[at.window];
            LmError::NonFiniteLoss {
                model: plan.model.clone(),
                document: cuts[index].document.name.clone(),
                position: (span.inputs.start + at.target + 1 - plan.front()) as u32,
            }
        }
    }
}
