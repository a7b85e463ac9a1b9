//! What is known before anything is scored: the options with the scorer's defaults, and a survey of the corpus.

use deltaloss_corpus::{Corpus, CorpusHasher, text_sha256};
use deltaloss_records::{Split, WindowInfo};

use super::groups::{Groups, encode};
use super::{Progress, ScoreOptions, go_on};
use crate::error::LmError;
use crate::scorer::Scorer;
use crate::window::{WindowMode, WindowSpan, windows};

/// How many unusable documents an error names.
const EXAMPLES: usize = 5;

/// The options with the scorer's defaults filled in.
pub(super) struct Plan {
    mode: WindowMode,
    context: usize,
    pub(super) beginning_of_text: Option<u32>,
    skip_unusable: bool,
    pub(super) model: String,
}

impl Plan {
    pub(super) fn new(scorer: &dyn Scorer, options: &ScoreOptions) -> Result<Self, LmError> {
        let longest = scorer.context();
        let context = options.context.unwrap_or(longest);
        if context > longest {
            let model = &scorer.model().name;
            return Err(LmError::Window(format!(
                "a context of {context}, but {model} was made for {longest} at most"
            )));
        }
        // Says what is wrong with the window before any document is read.
        windows(0, context, options.mode)?;
        let wanted = options.beginning_of_text.unwrap_or(scorer.adds_beginning_of_text());
        let beginning_of_text = match (wanted, scorer.beginning_of_text()) {
            (false, _) => None,
            (true, Some(token)) => Some(token),
            (true, None) => {
                let tokenizer = &scorer.tokenizer().name;
                return Err(LmError::Window(format!(
                    "the tokenizer {tokenizer} has no beginning-of-text token"
                )));
            }
        };
        Ok(Plan {
            mode: options.mode,
            context,
            beginning_of_text,
            skip_unusable: options.skip_unusable,
            model: scorer.model().name.clone(),
        })
    }

    /// Tokens in front of the document's own.
    pub(super) fn front(&self) -> usize {
        usize::from(self.beginning_of_text.is_some())
    }

    /// Fewest tokens from which one can be predicted.
    pub(super) fn needed(&self) -> usize {
        2 - self.front()
    }

    pub(super) fn spans(&self, tokens: usize) -> Result<Vec<WindowSpan>, LmError> {
        windows(tokens + self.front(), self.context, self.mode)
    }

    /// Tokens predicted of a document of `tokens` tokens.
    pub(super) fn predicted(&self, tokens: usize) -> usize {
        let all = (tokens + self.front()).saturating_sub(1);
        if self.mode == WindowMode::Truncate { all.min(self.context) } else { all }
    }

    pub(super) fn describe(&self) -> WindowInfo {
        WindowInfo {
            context: self.context as u32,
            mode: self.mode.name().to_owned(),
            stride: match self.mode {
                WindowMode::Slide { stride } => Some(stride as u32),
                WindowMode::Truncate | WindowMode::Chunk => None,
            },
            beginning_of_text: self.beginning_of_text,
        }
    }
}

/// What the first pass found.
pub(super) struct Survey {
    /// Tokens that will be predicted.
    pub(super) predicted: u64,
    pub(super) discovery: Half,
    pub(super) sha256: [u8; 32],
    /// Documents left out on request.
    pub(super) skipped: u64,
}

/// How much of the corpus is in the discovery half.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Half {
    pub(super) documents: u64,
    /// Tokens that will be predicted.
    pub(super) tokens: u64,
}

impl Survey {
    pub(super) fn new(
        scorer: &dyn Scorer,
        corpus: &Corpus,
        plan: &Plan,
        progress: &mut dyn FnMut(Progress) -> bool,
    ) -> Result<Self, LmError> {
        let (mut hash, mut predicted, mut documents) = (CorpusHasher::new(), 0, 0u64);
        let (mut short, mut examples) = (0, Vec::new());
        let mut discovery = Half::default();
        let mut groups = Groups::new(corpus)?;
        for group in groups.by_ref() {
            let group = group?;
            for (document, tokens) in group.iter().zip(encode(scorer, &group)?) {
                documents += 1;
                if u32::try_from(document.text.len()).is_err() {
                    let (document, bytes) = (document.name.clone(), document.text.len());
                    return Err(LmError::DocumentTooLarge { document, bytes });
                }
                if tokens.len() < plan.needed() {
                    short += 1;
                    if examples.len() < EXAMPLES {
                        examples.push(format!("`{}` ({})", document.name, tokens.len()));
                    }
                    continue;
                }
                let of_document = plan.predicted(tokens.len()) as u64;
                predicted += of_document;
                if Split::of(&text_sha256(&document.text)) == Split::Discovery {
                    discovery.documents += 1;
                    discovery.tokens += of_document;
                }
                hash.update(&document.text);
            }
            go_on(progress, Progress::Surveyed { documents })?;
        }
        if short > 0 && !plan.skip_unusable {
            let more = if short > EXAMPLES as u64 { ", …" } else { "" };
            return Err(LmError::ShortDocuments {
                corpus: corpus.name().to_owned(),
                count: short,
                needed: plan.needed(),
                examples: examples.join(", ") + more,
            });
        }
        if u32::try_from(documents).is_err() {
            return Err(LmError::TooManyDocuments { corpus: corpus.name().to_owned(), documents });
        }
        if hash.documents() == 0 {
            return Err(LmError::EmptyCorpus { corpus: corpus.name().to_owned() });
        }
        Ok(Survey { predicted, discovery, sha256: hash.finish(), skipped: short + groups.skipped() })
    }
}
