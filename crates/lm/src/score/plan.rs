//! What is known before anything is scored: the options with the scorer's defaults, and a survey of the corpus.

use std::ops::Range;

use deltaloss_corpus::{Corpus, CorpusHasher, hex, text_sha256};
use deltaloss_records::{ScoringPlan, Split, WindowInfo};

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

    /// What the numbers depend on.
    pub(super) fn identity(
        &self,
        scorer: &dyn Scorer,
        options: &ScoreOptions,
        survey: &Survey,
    ) -> ScoringPlan {
        let calibration = match &options.temperature_of {
            Some(run) => format!("temperature {:?}", run.temperature),
            None => (if options.calibrate { "fitted" } else { "none" }).to_owned(),
        };
        ScoringPlan {
            model: scorer.model().sha256.clone(),
            tokenizer: scorer.tokenizer().sha256.clone(),
            corpus: hex(&survey.sha256),
            window: self.describe(),
            calibration,
            engine: format!("{} on {}", scorer.numbers(), scorer.engine().instruction_set),
            shard: options.shard.map(|(index, of)| format!("{index}/{of}")),
        }
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

/// A shard of the corpus: documents that follow each other.
pub(super) struct Slice {
    /// Which one, from 1, of how many.
    pub(super) index: u32,
    pub(super) of: u32,
    /// Indexes among the documents from which something can be predicted.
    pub(super) documents: Range<u32>,
    /// Places in the corpus of the others.
    pub(super) short: Vec<u64>,
    /// SHA-256 over the texts of the slice.
    sha256: [u8; 32],
}

/// What the first pass found.
pub(super) struct Survey {
    /// Documents from which something can be predicted.
    pub(super) documents: u64,
    /// What is to be scored, where it is not everything.
    pub(super) slice: Option<Slice>,
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
        shard: Option<(u32, u32)>,
        progress: &mut dyn FnMut(Progress) -> bool,
    ) -> Result<Self, LmError> {
        if let Some((index, of)) = shard
            && !(1..=of).contains(&index)
        {
            return Err(LmError::Window(format!("shard {index} of {of}; they are counted from 1")));
        }
        // Predicted tokens of each document, and the places of those of which there are none: for shards only.
        let (mut weights, mut places) = (Vec::new(), Vec::new());
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
                    if shard.is_some() {
                        places.push(documents - 1);
                    }
                    if examples.len() < EXAMPLES {
                        examples.push(format!("`{}` ({})", document.name, tokens.len()));
                    }
                    continue;
                }
                let of_document = plan.predicted(tokens.len()) as u64;
                predicted += of_document;
                if shard.is_some() {
                    weights.push(of_document);
                }
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
        let (usable, skipped) = (hash.documents(), short + groups.skipped());
        let mut survey =
            Survey { documents: usable, slice: None, predicted, discovery, sha256: hash.finish(), skipped };
        if let Some((index, of)) = shard {
            survey.cut_slice(corpus, (index, of), &weights, places)?;
        }
        Ok(survey)
    }

    /// Narrows what is to be scored to a shard: shard k of n has the documents before which a k-th n-th of all tokens, less one n-th,
    /// is predicted, so that all have about as much to do.
    fn cut_slice(
        &mut self,
        corpus: &Corpus,
        (index, of): (u32, u32),
        weights: &[u64],
        short: Vec<u64>,
    ) -> Result<(), LmError> {
        let mut before = 0u64;
        let mut documents: Option<Range<u32>> = None;
        let mut first = 0;
        let all = std::mem::take(&mut self.predicted);
        for (place, weight) in (0u32..).zip(weights) {
            let shard = u128::from(before) * u128::from(of) / u128::from(all.max(1));
            before += weight;
            if shard < u128::from(index - 1) {
                first = place + 1;
            } else if shard == u128::from(index - 1) {
                documents = Some(documents.map_or(place, |range| range.start)..place + 1);
                self.predicted += weight;
            }
        }
        let documents = documents.unwrap_or(first..first);
        let mut slice = Slice { index, of, documents, short, sha256: [0; 32] };
        let mut hash = CorpusHasher::new();
        for group in Groups::of_slice(corpus, Some(&slice))? {
            group?.iter().for_each(|document| hash.update(&document.text));
        }
        slice.sha256 = hash.finish();
        self.slice = Some(slice);
        Ok(())
    }

    /// Whether these are the texts that are to be scored.
    pub(super) fn is_of(&self, hash: &CorpusHasher) -> bool {
        let due = self.slice.as_ref().map_or(&self.sha256, |slice| &slice.sha256);
        hash.clone().finish() == *due
    }
}
