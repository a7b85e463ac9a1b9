//! Runs joined token by token, column by column, in memory.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::record::Split;
use crate::run_info::RunInfo;
use crate::table::TokenColumns;

/// What a run is in a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The model whose advantages are looked for; its tokens are the rows.
    A,
    /// The model it is compared with.
    B,
    /// A third model that both are correlated with.
    Benchmark,
    /// A retrained twin of `b`.
    Placebo,
    /// A stronger model whose entropy classes the tokens.
    Oracle,
}

impl Role {
    /// The suffix of this role's columns in `joined.parquet`, without the underscore.
    pub fn name(self) -> &'static str {
        match self {
            Role::A => "a",
            Role::B => "b",
            Role::Benchmark => "benchmark",
            Role::Placebo => "placebo",
            Role::Oracle => "oracle",
        }
    }
}

/// Runs over one corpus, joined: row i of every column is the same token of the same document.
///
/// Rows are ordered by document, then position, and hold the tokens that every run predicted.
#[derive(Clone, Debug)]
pub struct Joined {
    /// The documents of the corpus, in order, also those of which no token was joined.
    pub documents: Vec<JoinedDocument>,
    /// Index of each row's document in `documents`.
    pub document: Vec<u32>,
    /// Index of each row's token in its document's token sequence.
    pub position: Vec<u32>,
    /// Vocabulary id (in A's vocabulary) of each row's token.
    pub token: Vec<u32>,
    /// Where each row's token starts in its document's text, bytes.
    pub byte_start: Vec<u32>,
    /// Where it ends, bytes.
    pub byte_end: Vec<u32>,
    /// The runs' columns; the first is role A, the second role B, and none is the oracle.
    pub models: Vec<JoinedModel>,
    /// The oracle's entropies, where there is one.
    pub oracle: Option<JoinedOracle>,
    /// Tokens that some run predicted and another did not, and which are therefore in no row.
    pub left_out: u64,
}

/// A document of a join.
#[derive(Clone, Debug)]
pub struct JoinedDocument {
    /// Its name in the corpus.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Discovery or confirmation.
    pub split: Split,
    /// Its rows.
    pub rows: Range<usize>,
}

/// One run's columns in a join.
#[derive(Clone, Debug)]
pub struct JoinedModel {
    /// What the run is in this comparison.
    pub role: Role,
    /// The name shown in reports.
    pub label: String,
    /// The run's provenance.
    pub run: RunInfo,
    /// Whether the run has other tokens than run a, so that its losses were carried by bytes and its entropies by characters.
    pub carried: bool,
    /// Loss of each row's token, nats.
    pub loss: Vec<f32>,
    /// Entropy of the distribution each row's token was drawn from, nats.
    pub entropy: Vec<f32>,
    /// Loss and entropy at the run's temperature, where it was fitted.
    pub calibrated: Option<CalibratedLosses>,
    /// What the model ranked where; nothing where the run has none, or other tokens than run a: a guess at one token says
    /// nothing of another.
    pub guesses: Option<Guesses>,
    /// The run's own tokens of the same documents, where they are others than run a's; documents are counted as in
    /// [`Joined::documents`].
    pub own: Option<OwnTokens>,
}

/// The tokens of a run that has others than run a.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OwnTokens {
    /// A row a token; documents are counted as in [`Joined::documents`].
    pub columns: TokenColumns,
    /// Whether rank, top token and top probability are known; otherwise they are zero.
    pub has_guesses: bool,
}

/// Losses and entropies of each row's token at a run's temperature.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CalibratedLosses {
    /// Loss, nats.
    pub loss: Vec<f32>,
    /// Entropy, nats.
    pub entropy: Vec<f32>,
}

/// What a model thought likeliest at each row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Guesses {
    /// Vocabulary entries with a strictly larger logit than each row's token.
    pub rank: Vec<u32>,
    /// The likeliest entry at each row.
    pub top_token: Vec<u32>,
    /// Its probability.
    pub top_probability: Vec<f32>,
    /// The same at the run's temperature, where it was fitted.
    pub top_probability_calibrated: Option<Vec<f32>>,
}

/// A stronger model's entropies, carried to the rows by characters.
#[derive(Clone, Debug)]
pub struct JoinedOracle {
    /// The name shown in reports.
    pub label: String,
    /// The run's provenance.
    pub run: RunInfo,
    /// The mean entropy over each row's characters, as scored, nats; nothing where the oracle's tokens do not cover them.
    pub entropy: Vec<Option<f32>>,
}

/// Which losses and entropies a comparison is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Those of the models as they are.
    #[default]
    AsScored,
    /// Those of every model at its own temperature, fitted on the discovery half.
    Calibrated,
}

impl JoinedModel {
    /// Loss and entropy of each row on a basis, nats; nothing where the run has no temperature.
    pub fn on(&self, basis: Basis) -> Option<[&[f32]; 2]> {
        match basis {
            Basis::AsScored => Some([&self.loss, &self.entropy]),
            Basis::Calibrated => {
                self.calibrated.as_ref().map(|columns| [&columns.loss[..], &columns.entropy[..]])
            }
        }
    }
}

impl Joined {
    /// How many tokens were joined.
    pub fn rows(&self) -> usize {
        self.token.len()
    }

    /// The columns of the run with this role, if it takes part.
    pub fn model(&self, role: Role) -> Option<&JoinedModel> {
        self.models.iter().find(|model| model.role == role)
    }

    /// The bytes of row `row`'s token in its document's text. A token may split a character, so they
    /// need not be UTF-8.
    pub fn token_bytes(&self, row: usize) -> &[u8] {
        let text = self.documents[self.document[row] as usize].text.as_bytes();
        &text[self.byte_start[row] as usize..self.byte_end[row] as usize]
    }
}
