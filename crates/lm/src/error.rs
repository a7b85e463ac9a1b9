//! What can go wrong between a model's files and its scores.

use std::path::{Path, PathBuf};

/// An error of this crate; messages name the file, tensor, document or token, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LmError {
    /// The file system refused.
    #[error("{path}: cannot {action}: {source}", path = .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The folder holds no model.
    #[error("{path} is not a model: {problem}", path = .path.display())]
    NotAModel {
        /// What was named.
        path: PathBuf,
        /// What is missing.
        problem: String,
    },
    /// A configuration that cannot be run.
    #[error("{file}: {problem}")]
    Config {
        /// The configuration file.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// The weights cannot be read, or do not fit the configuration.
    #[error("{0}")]
    Checkpoint(#[from] deltaloss_checkpoint::Error),
    /// A weight is NaN or infinite.
    #[error(
        "{model}: tensor `{tensor}` holds {value} at entry {entry}; the file is damaged or the training diverged"
    )]
    NonFiniteWeight {
        /// The model.
        model: String,
        /// The tensor.
        tensor: String,
        /// The value.
        value: f32,
        /// Where it stands, row-major.
        entry: usize,
    },
    /// A tokenizer's files contradict themselves or a text cannot be encoded.
    #[error("{file}: {problem}")]
    Tokenizer {
        /// The tokenizer file.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// No tokenizer was found.
    #[error("{path}: no tokenizer found: {problem}", path = .path.display())]
    NoTokenizer {
        /// Where one was looked for.
        path: PathBuf,
        /// What is missing and what to do.
        problem: String,
    },
    /// The tokenizer has ids that the model has no embedding for.
    #[error(
        "the tokenizer {tokenizer} has {size} entries, but the model {model} has a vocabulary of {vocabulary}: they do not belong together. Name the model's own tokenizer with --tokenizer"
    )]
    Vocabulary {
        /// The tokenizer.
        tokenizer: String,
        /// Its entries.
        size: usize,
        /// The model.
        model: String,
        /// Its vocabulary.
        vocabulary: usize,
    },
    /// The tokenizer has no tokens that spell out a text.
    #[error("text {text} of the call, byte {byte}: the tokenizer {tokenizer} {problem}")]
    Encode {
        /// The tokenizer.
        tokenizer: String,
        /// The text's index in the call.
        text: usize,
        /// The first byte that is not spelt out.
        byte: usize,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The same, of a document of a corpus.
    #[error("document `{document}`, byte {byte}: the tokenizer {tokenizer} {problem}")]
    EncodeDocument {
        /// The tokenizer.
        tokenizer: String,
        /// The document.
        document: String,
        /// The first byte that is not spelt out.
        byte: usize,
        /// What is wrong and what to do.
        problem: String,
    },
    /// Another engine than the native one failed.
    #[error("{model}: {problem}")]
    Engine {
        /// The model.
        model: String,
        /// What the engine said.
        problem: String,
    },
    /// The window asked for cannot be used.
    #[error("{0}")]
    Window(String),
    /// A reference to check against is none.
    #[error("{path} is no reference for this model: {problem}", path = .path.display())]
    Reference {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The corpus cannot be read.
    #[error("{0}")]
    Corpus(#[from] deltaloss_corpus::CorpusError),
    /// The corpus has no document.
    #[error("the corpus {corpus} has no document to score")]
    EmptyCorpus {
        /// The corpus.
        corpus: String,
    },
    /// Documents from which no token can be predicted.
    #[error(
        "the corpus {corpus} has {count} document(s) of fewer than {needed} tokens, from which nothing can be predicted: {examples}. Take them out, or pass --skip-unusable to leave them out"
    )]
    ShortDocuments {
        /// The corpus.
        corpus: String,
        /// How many there are.
        count: u64,
        /// Tokens a document needs.
        needed: usize,
        /// The first few names, with their token counts.
        examples: String,
    },
    /// A document is too large for the table's 32 bits.
    #[error("document `{document}` has {bytes} bytes; the token table counts in 32 bits. Split the document")]
    DocumentTooLarge {
        /// The document.
        document: String,
        /// Its size.
        bytes: usize,
    },
    /// The corpus has more documents than the table can count.
    #[error(
        "the corpus {corpus} has {documents} documents; the token table counts in 32 bits. Score it in parts"
    )]
    TooManyDocuments {
        /// The corpus.
        corpus: String,
        /// How many there are.
        documents: u64,
    },
    /// The corpus gave other documents on its second pass.
    #[error("the corpus {corpus} changed while it was scored; run again when nothing writes to it")]
    CorpusChanged {
        /// The corpus.
        corpus: String,
    },
    /// A NaN or an infinity came out of the model.
    #[error(
        "{model}: the loss of token {position} of document `{document}` is not finite: a NaN or an infinity in its logits. The weights may be damaged, or too large for f32. --keep-going leaves such documents out and counts them"
    )]
    NonFiniteLoss {
        /// The model.
        model: String,
        /// The document.
        document: String,
        /// The token's index in the document.
        position: u32,
    },
    /// Every document failed.
    #[error(
        "{model}: no document could be scored: the loss of every one is not finite somewhere, first that of token {position} of document `{document}`. The weights may be damaged, or too large for f32"
    )]
    AllFailed {
        /// The model.
        model: String,
        /// The first document.
        document: String,
        /// The token's index in it.
        position: u32,
    },
    /// The listener to the progress wanted to stop.
    #[error("interrupted; nothing was written")]
    Interrupted,
    /// The sink refused.
    #[error("{0}")]
    Records(#[from] deltaloss_records::RecordsError),
}

impl LmError {
    /// For `map_err` on file-system calls.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> LmError {
        let path = path.to_owned();
        move |source| LmError::Io { path, action, source }
    }
}
