//! What an analysis is fed: the joined rows of one document at a time.

use deltaloss_records::{Role, Split};

/// One document's joined rows. All columns are equally long; index `i` is the same token in each.
///
/// Checked before it is made: losses and entropies are finite, spans lie within `text`, categories within the
/// rules.
#[derive(Clone, Copy, Debug)]
pub struct DocumentRows<'a> {
    /// The document's index in the corpus.
    pub document: u32,
    /// The half it belongs to.
    pub split: Split,
    /// Its text.
    pub text: &'a str,
    /// Index of each token in the document's token sequence, ascending.
    pub position: &'a [u32],
    /// Vocabulary ids.
    pub token: &'a [u32],
    /// Where each token starts in `text`, bytes.
    pub byte_start: &'a [u32],
    /// Where it ends, bytes.
    pub byte_end: &'a [u32],
    /// Each token's category: an index in the names of the rules.
    pub category: &'a [u8],
    /// How many brackets are open where each token starts.
    pub depth: &'a [u32],
    /// The runs: a, b, then the others in the order of [`Role`], without the oracle.
    pub models: &'a [ModelRows<'a>],
    /// The oracle's entropy of each token, nats, where there is an oracle; nothing where it has no value.
    pub oracle: Option<&'a [Option<f32>]>,
}

/// One run's columns in [`DocumentRows`].
#[derive(Clone, Copy, Debug)]
pub struct ModelRows<'a> {
    /// What the run is.
    pub role: Role,
    /// Loss of each token on the comparison's basis, nats.
    pub loss: &'a [f32],
    /// Entropy of the distribution each token was drawn from, on the same basis, nats.
    pub entropy: &'a [f32],
    /// What the model thought likeliest; nothing where it has other tokens.
    pub guesses: Option<GuessRows<'a>>,
}

/// What a model thought likeliest at each token.
#[derive(Clone, Copy, Debug)]
pub struct GuessRows<'a> {
    /// Vocabulary entries with a strictly larger logit than each token.
    pub rank: &'a [u32],
    /// The likeliest entry at each token.
    pub top_token: &'a [u32],
    /// Its probability, as scored on either basis.
    pub top_probability: &'a [f32],
    /// The same at the run's temperature, where the run has one.
    pub top_probability_calibrated: Option<&'a [f32]>,
}

/// What the second pass looks at of one document's joined rows. All columns are equally long.
#[derive(Clone, Copy, Debug)]
pub struct SecondRows<'a> {
    /// The document's index in the corpus.
    pub document: u32,
    /// The half it belongs to.
    pub split: Split,
    /// Index of each token in the document's token sequence, ascending.
    pub position: &'a [u32],
    /// Vocabulary ids.
    pub token: &'a [u32],
    /// Each token's category: an index in the names of the rules.
    pub category: &'a [u8],
    /// How many brackets are open where each token starts.
    pub depth: &'a [u32],
    /// Bytes of each token.
    pub bytes: &'a [u32],
    /// Losses, nats, `[model][token]`: a, b, then the others in the order of [`Role`].
    pub losses: &'a [&'a [f32]],
    /// Entropies, nats, likewise.
    pub entropies: &'a [&'a [f32]],
    /// The oracle's, as in [`DocumentRows`].
    pub oracle: Option<&'a [Option<f32>]>,
}

impl<'a> DocumentRows<'a> {
    /// How many tokens.
    pub fn len(&self) -> usize {
        self.token.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.token.is_empty()
    }

    /// The bytes of token `index`. A token may split a character, so they need not be UTF-8.
    pub fn token_bytes(&self, index: usize) -> &'a [u8] {
        &self.text.as_bytes()[self.byte_start[index] as usize..self.byte_end[index] as usize]
    }

    /// Run a.
    pub fn a(&self) -> &'a ModelRows<'a> {
        &self.models[0]
    }

    /// Run b.
    pub fn b(&self) -> &'a ModelRows<'a> {
        &self.models[1]
    }

    /// The run with this role, if it takes part.
    pub fn model(&self, role: Role) -> Option<&'a ModelRows<'a>> {
        self.models.iter().find(|model| model.role == role)
    }
}

/// Sums by document of one analysis, in memory that grows with documents and not with their tokens.
///
/// A document is added whole, once, to one accumulator. Accumulators of different documents merge, in any
/// order and grouping, to the same bits as one that was fed all documents: nothing is summed over documents
/// before the results are computed.
pub trait Accumulator: Sized + Send {
    /// Adds a document with at least one row.
    fn add_document(&mut self, rows: &DocumentRows<'_>);

    /// Adds what `other` has found in other documents.
    fn merge(&mut self, other: Self);
}
