//! What the viewer's script is told: a comparison, a list of documents, a stretch of a document.

use std::collections::HashMap;

use deltaloss_records::{ComparisonTables, DocumentEntry, DocumentTokens, RecordsError, Role, TokensOfModel};
use deltaloss_stats::Comparison;
use serde::Serialize;

use crate::escape;
use crate::view::{View, basis_name};

/// A comparison, as the viewer needs it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparisonView {
    /// `a against b`.
    pub title: String,
    /// `as_scored` or `calibrated`: the losses and entropies shown.
    pub basis: &'static str,
    /// The models: role and label, a first.
    pub models: Vec<ModelLabel>,
    /// The oracle's label, where there is an oracle.
    pub oracle: Option<String>,
    /// Names of the categories.
    pub categories: Vec<String>,
    /// Documents of the comparison.
    pub documents: u64,
    /// Joined tokens.
    pub tokens: u64,
}

/// A model's name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelLabel {
    /// Its role.
    pub role: &'static str,
    /// Its label.
    pub label: String,
    /// Whether it has tokens of its own.
    pub own_tokens: bool,
}

/// Some documents of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DocumentList {
    /// How many match what was asked for.
    pub matching: usize,
    /// Those of the page asked for.
    pub documents: Vec<DocumentItem>,
}

/// A document in a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DocumentItem {
    /// Its index in the corpus.
    pub document: usize,
    /// Its name.
    pub name: String,
    /// `discovery` or `confirmation`.
    pub split: &'static str,
    /// Joined tokens.
    pub tokens: u32,
    /// Their total Δ, nats.
    pub total: f64,
}

/// A stretch of a document: consecutive joined tokens.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DocumentView {
    /// The document.
    #[serde(flatten)]
    pub item: DocumentItem,
    /// The first token shown, counted from 0 among the joined ones.
    pub from: u32,
    /// What each token is, column by column.
    pub text: Vec<String>,
    /// Text between tokens, that no token shown covers: index of the token that it precedes, and the text.
    pub gaps: Vec<(usize, String)>,
    /// The bytes of tokens that begin or end within a character, which is in the text of the one with its first byte.
    pub pieces: Vec<(usize, String)>,
    /// Index in the document's token sequence.
    pub position: Vec<u32>,
    /// First byte in the document.
    pub byte: Vec<u32>,
    /// Loss of a − loss of b, nats.
    pub delta: Vec<f64>,
    /// Index among the comparison's categories.
    pub category: Vec<Option<usize>>,
    /// Brackets open where the token starts.
    pub depth: Vec<u32>,
    /// The oracle's entropy, nats.
    pub oracle: Option<Vec<Option<f64>>>,
    /// What each model gives the tokens.
    pub models: Vec<ModelView>,
    /// The tokens over the same bytes of runs that have others.
    pub own: Vec<OwnView>,
    /// The texts that top guesses refer to; null where an entry occurs nowhere in the documents.
    pub guesses: Vec<Option<String>>,
}

/// What a model gives some tokens.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelView {
    /// Its role.
    pub role: &'static str,
    /// Losses, nats.
    pub loss: Vec<f64>,
    /// Entropies, nats.
    pub entropy: Vec<f64>,
    /// Entries that the model held likelier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank: Option<Vec<u32>>,
    /// Vocabulary entry of the top guess.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top: Option<Vec<u32>>,
    /// Index of its text in `guesses`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guess: Option<Vec<usize>>,
    /// Its probability.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probability: Option<Vec<f64>>,
}

/// The own tokens of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OwnView {
    /// The tokens.
    pub text: Vec<String>,
    /// Text between them.
    pub gaps: Vec<(usize, String)>,
    /// The bytes of those that begin or end within a character.
    pub pieces: Vec<(usize, String)>,
    /// What the run's model gives them.
    #[serde(flatten)]
    pub model: ModelView,
}

/// What the viewer is told of a comparison.
pub fn comparison_view(comparison: &Comparison) -> ComparisonView {
    let view = View::new(comparison);
    let label = |role| escape::visible(&view.label(role));
    let models = &comparison.setup.models;
    ComparisonView {
        title: format!("{} against {}", label(Role::A), label(Role::B)),
        basis: basis_name(view.basis()),
        models: models
            .iter()
            .map(|model| ModelLabel {
                role: model.role.name(),
                label: label(model.role),
                own_tokens: model.carried,
            })
            .collect(),
        oracle: comparison.setup.oracle.as_ref().map(|_| label(Role::Oracle)),
        categories: category_names(comparison),
        documents: comparison.setup.documents,
        tokens: comparison.setup.tokens,
    }
}

/// The categories, in the order of the results over all documents.
fn category_names(comparison: &Comparison) -> Vec<String> {
    comparison.all.categories.iter().map(|row| escape::visible(&row.name)).collect()
}

impl DocumentItem {
    /// A document of a comparison by its index.
    pub fn of(document: usize, entry: &DocumentEntry) -> Self {
        DocumentItem {
            document,
            name: escape::visible(&entry.name),
            split: entry.split.name(),
            tokens: entry.rows,
            total: rounded(entry.delta_nats),
        }
    }
}

/// What the viewer is told of some tokens of a document: `count` from the joined token `from` on, or as many as there are.
/// Losses and entropies are on the comparison's basis. No text in it holds a control character but line ends and tabs.
///
/// # Errors
/// There is no such document, or the tables cannot be decoded or contradict each other.
pub fn document_view(
    comparison: &Comparison,
    tables: &ComparisonTables,
    document: usize,
    (from, count): (u32, u32),
) -> Result<DocumentView, RecordsError> {
    let basis = View::new(comparison).basis();
    let tokens = tables.tokens(document, from..from.saturating_add(count), basis)?;
    let item = DocumentItem::of(document, &tables.documents()[document]);
    Ok(of_tokens(item, from, &tokens, &category_names(comparison), &mut Guesses::of(tables)))
}

fn of_tokens(
    item: DocumentItem,
    from: u32,
    tokens: &DocumentTokens,
    categories: &[String],
    guesses: &mut Guesses<'_>,
) -> DocumentView {
    let whole = from == 0 && tokens.position.len() == item.tokens as usize;
    let first = if from == 0 { 0 } else { tokens.byte_start.first().copied().unwrap_or(0) };
    let end = if whole { tokens.text.len() as u32 } else { tokens.byte_end.last().copied().unwrap_or(first) };
    let Pieces { text, gaps, pieces } =
        cut_text(&tokens.text, &tokens.byte_start, &tokens.byte_end, (first, end));
    let index: HashMap<String, usize> = categories.iter().cloned().zip(0..).collect();
    let own = tokens.own.iter().map(|own| {
        let Pieces { text, gaps, pieces } =
            cut_text(&tokens.text, &own.byte_start, &own.byte_end, (first, end));
        OwnView { text, gaps, pieces, model: guesses.model(&own.scores) }
    });
    let own: Vec<OwnView> = own.collect();
    DocumentView {
        item,
        from,
        text,
        gaps,
        pieces,
        position: tokens.position.clone(),
        byte: tokens.byte_start.clone(),
        delta: tokens.delta.iter().copied().map(rounded).collect(),
        category: tokens.category.iter().map(|name| index.get(&escape::visible(name)).copied()).collect(),
        depth: tokens.depth.clone(),
        oracle: tokens.oracle.as_ref().map(|column| {
            column.iter().map(|entropy| entropy.map(|entropy| rounded(f64::from(entropy)))).collect()
        }),
        models: tokens.models.iter().map(|model| guesses.model(model)).collect(),
        own,
        guesses: std::mem::take(&mut guesses.texts),
    }
}

/// Texts of top guesses, each once.
struct Guesses<'t> {
    tables: &'t ComparisonTables,
    index: HashMap<(Role, u32), usize>,
    texts: Vec<Option<String>>,
}

impl<'t> Guesses<'t> {
    fn of(tables: &'t ComparisonTables) -> Self {
        Guesses { tables, index: HashMap::new(), texts: Vec::new() }
    }

    fn index(&mut self, role: Role, token: u32) -> usize {
        *self.index.entry((role, token)).or_insert_with(|| {
            self.texts.push(self.tables.entry_text(role, token).map(|text| shown(text.as_bytes())));
            self.texts.len() - 1
        })
    }

    fn model(&mut self, model: &TokensOfModel) -> ModelView {
        let round = |column: &[f32]| column.iter().map(|value| rounded(f64::from(*value))).collect();
        let guesses = model.guesses.as_ref();
        ModelView {
            role: model.role.name(),
            loss: round(&model.loss),
            entropy: round(&model.entropy),
            rank: guesses.map(|guesses| guesses.rank.clone()),
            top: guesses.map(|guesses| guesses.top_token.clone()),
            guess: guesses.map(|guesses| {
                guesses.top_token.iter().map(|token| self.index(model.role, *token)).collect()
            }),
            probability: guesses.map(|guesses| round(&guesses.top_probability)),
        }
    }
}

/// The texts of some tokens, and what stands between them.
#[derive(Debug, Default, PartialEq)]
struct Pieces {
    text: Vec<String>,
    gaps: Vec<(usize, String)>,
    pieces: Vec<(usize, String)>,
}

/// The texts of tokens, and those of the gaps before and behind them, within the bytes from `first` to `end`. A character that
/// tokens split belongs to the one with its first byte, so that all of them together are the text.
fn cut_text(text: &str, starts: &[u32], ends: &[u32], (first, end): (u32, u32)) -> Pieces {
    let character = |byte: u32| text.ceil_char_boundary(byte as usize);
    let between = |from: u32, to: u32| {
        let (from, to) = (character(from), character(to));
        shown(text.get(from..to).unwrap_or_default().as_bytes())
    };
    let mut found = Pieces::default();
    let mut before = first;
    for (index, (start, stop)) in starts.iter().zip(ends).enumerate() {
        // Another run's token may reach beyond the stretch.
        let [start, stop] = [*start, *stop].map(|byte| byte.clamp(first, end));
        if character(start) > character(before) {
            found.gaps.push((index, between(before, start)));
        }
        found.text.push(between(start, stop));
        if [start, stop].iter().any(|byte| !text.is_char_boundary(*byte as usize)) {
            let bytes = text.as_bytes().get(start as usize..stop as usize).unwrap_or_default();
            found.pieces.push((index, shown(bytes)));
        }
        before = stop;
    }
    if character(end) > character(before) {
        found.gaps.push((found.text.len(), between(before, end)));
    }
    found
}

/// Text with line ends and tabs as they are, other controls and what acts on the text around it made visible, and bytes that
/// are a piece of a character as `\xe2`.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for piece in chunk.valid().split_inclusive(['\n', '\t']) {
            let (words, end) = match piece.strip_suffix(['\n', '\t']) {
                Some(words) => (words, &piece[words.len()..]),
                None => (piece, ""),
            };
            out.push_str(&escape::visible(words));
            out.push_str(end);
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

/// To four decimals: what a reader takes in, and few bytes.
fn rounded(value: f64) -> f64 {
    let rounded = (value * 1e4).round() / 1e4;
    // −0 is written with its sign.
    if rounded == 0.0 { 0.0 } else { rounded }
}
