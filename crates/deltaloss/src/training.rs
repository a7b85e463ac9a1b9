//! From a configuration file to a trained model, and from a corpus to a tokenizer.

use std::fs;
use std::path::Path;

use deltaloss_checkpoint::{atomic_write, read_bounded};
use deltaloss_corpus::{Corpus, CorpusError, CorpusOptions};
use deltaloss_lm::{LmError, Tokenizer, TokenizerPair};
use deltaloss_sources::Download;
use deltaloss_train::{TrainConfig, TrainError, TrainProgress, TrainSummary, TrainingTokenizer, train};

use crate::bundled::{BUNDLED_TOKENIZER, TOKENIZER_FILES};
use crate::downloads::{Downloads, open_corpus};
use crate::error::Error;
use crate::scoring::open_tokenizer;

/// How to train a model.
#[derive(Clone, Debug, Default)]
pub struct TrainOptions {
    /// Stands in for the corpus that the configuration names.
    pub corpus: Option<String>,
    /// Go on from the checkpoint of a training that was stopped, if there is one.
    pub resume: bool,
    /// Where corpora by name come from; without, only what is on this machine can be named.
    pub downloads: Option<Downloads>,
}

/// What a training is at.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum TrainEvent<'a> {
    /// A file of the corpus is being downloaded.
    Downloading(Download<'a>),
    /// It reads or learns.
    Training(TrainProgress),
}

/// Trains the model that `config` describes into the folder `out`, in the released layout. `hear` returns whether to go on;
/// when it does not, a checkpoint is written from which a later training goes on.
///
/// # Errors
/// The configuration, corpus or tokenizer cannot be used; `out` exists; see [`deltaloss_train::train`].
pub fn train_model(
    config: &Path,
    out: &Path,
    options: &TrainOptions,
    hear: &mut dyn FnMut(TrainEvent<'_>) -> bool,
) -> Result<TrainSummary, Error> {
    let name = config.display().to_string();
    let mut config = TrainConfig::open(config)?;
    refuse_existing(out)?;
    if let Some(corpus) = &options.corpus {
        config.data.corpus.clone_from(corpus);
    }
    let source = &config.data.tokenizer;
    let tokenizer = TrainingTokenizer { tokenizer: open_tokenizer(source)?, files: tokenizer_files(source)? };
    let TrainOptions { resume, downloads, .. } = options;
    let options = CorpusOptions {
        text_column: config.data.text_column.clone(),
        max_documents: config.data.max_documents,
        ..CorpusOptions::default()
    };
    let corpus = open_corpus(&config.data.corpus, options, downloads.as_ref(), &mut |download| {
        hear(TrainEvent::Downloading(download))
    })?;
    let mut progress = |progress| hear(TrainEvent::Training(progress));
    Ok(train(&config, &name, &corpus, &tokenizer, out, *resume, &mut progress)?)
}

/// Before anything is downloaded or read for it.
fn refuse_existing(out: &Path) -> Result<(), Error> {
    match fs::symlink_metadata(out) {
        Ok(_) => Err(TrainError::OutputExists { path: out.to_owned() }.into()),
        Err(_) => Ok(()),
    }
}

/// The files of a tokenizer that [`open_tokenizer`] opens.
fn tokenizer_files(source: &str) -> Result<Vec<(String, Vec<u8>)>, Error> {
    if source.strip_prefix("builtin:") == Some(BUNDLED_TOKENIZER) {
        return Ok(TOKENIZER_FILES.map(|(name, content)| (name.to_owned(), content.to_vec())).into());
    }
    // The tokenizer was opened from these very files, so their size is bounded already.
    let read = |path: &Path, name: &str| Ok((name.to_owned(), read_bounded(path, u64::MAX)?));
    let path = Path::new(source);
    if path.is_file() {
        return Ok(vec![read(path, "tokenizer.json")?]);
    }
    let pair = ["vocab.bpe", "encoder.json"];
    let names =
        if pair.iter().all(|name| path.join(name).is_file()) { &pair[..] } else { &["tokenizer.json"] };
    names.iter().map(|name| read(&path.join(name), name)).collect()
}

/// Trains a tokenizer of `size` entries on a corpus, into the folder `out`. Gives its size, which is smaller where the
/// corpus has too little to merge.
///
/// # Errors
/// The corpus cannot be read, `out` exists or cannot be written.
pub fn train_tokenizer(corpus: &Corpus, size: usize, out: &Path) -> Result<usize, Error> {
    refuse_existing(out)?;
    let mut failed: Option<CorpusError> = None;
    let mut documents = corpus.documents()?;
    let texts = std::iter::from_fn(|| match documents.next()? {
        Ok(document) => Some(document.text),
        Err(error) => {
            failed = Some(error);
            None
        }
    });
    let trained = deltaloss_lm::train_tokenizer(texts, size);
    if let Some(error) = failed {
        return Err(error.into());
    }
    let pair = trained?;
    let name = out.display().to_string();
    // What cannot be read back is not worth writing.
    Tokenizer::from_pair(&name, &pair.merges, &pair.encoder, &name)?;
    write_pair(&pair, out).map_err(|source| LmError::Io {
        path: out.to_owned(),
        action: "write the tokenizer there",
        source,
    })?;
    Ok(pair.size)
}

/// Writes both files beside `out` and moves them there together.
fn write_pair(pair: &TokenizerPair, out: &Path) -> std::io::Result<()> {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let staging = out.with_file_name(name);
    fs::create_dir_all(&staging)?;
    for (name, content) in [("vocab.bpe", &pair.merges), ("encoder.json", &pair.encoder)] {
        atomic_write(staging.join(name), content).map_err(std::io::Error::other)?;
    }
    fs::rename(&staging, out)
}
