//! Scored runs kept by content: what a run's numbers depend on is the name of its folder.

use std::path::{Path, PathBuf};

use deltaloss_corpus::{Corpus, CorpusHasher, hex, text_sha256};
use deltaloss_lm::{Progress, ScoreOptions, Scorer};
use deltaloss_records::{RecordsError, Run, RunInfo, TokenForm, copy_run};
use serde_json::json;

use crate::error::Error;
use crate::scoring::score_resumably;

/// Changes whenever the form of what is kept changes.
const FORMAT: u32 = 1;

/// A folder of scored runs, each under a hash of all that its tables depend on: the model's and the tokenizer's bytes, the
/// documents' texts and names, windows, calibration, form, and the engine.
#[derive(Clone, Debug)]
pub struct RunCache {
    folder: PathBuf,
}

/// Another process at the same run is at the same model and corpus, not at the same output.
fn busy(error: Error, model: &str) -> Error {
    match error {
        Error::Records(RecordsError::Busy { path }) => Error::Source {
            source_name: model.to_owned(),
            problem: format!(
                "another process of deltaloss is scoring it on this corpus ({}); wait for it, or pass --no-cache",
                path.display()
            ),
        },
        error => error,
    }
}

/// What a corpus holds: a hash of its texts and one of its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    texts: String,
    names: String,
}

impl Content {
    /// Reads a corpus through.
    pub(super) fn of(corpus: &Corpus) -> Result<Self, Error> {
        let (mut texts, mut names) = (CorpusHasher::new(), CorpusHasher::new());
        for document in corpus.documents()? {
            let document = document?;
            texts.update(&document.text);
            names.update(&document.name);
        }
        Ok(Content { texts: hex(&texts.finish()), names: hex(&names.finish()) })
    }
}

impl RunCache {
    /// The runs in `folder`, which need not exist.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        RunCache { folder: folder.into() }
    }

    /// Where the run of this scorer over this corpus is kept, or would be.
    pub(super) fn place(
        &self,
        scorer: &dyn Scorer,
        content: &Content,
        options: &ScoreOptions,
        form: TokenForm,
    ) -> PathBuf {
        let engine = scorer.engine();
        let key = json!({
            "format": FORMAT,
            "model": scorer.model().sha256,
            "tokenizer": scorer.tokenizer().sha256,
            "texts": content.texts,
            "names": content.names,
            "mode": format!("{:?}", options.mode),
            "context": options.context.unwrap_or(scorer.context()),
            "beginning_of_text": options
                .beginning_of_text
                .unwrap_or(scorer.adds_beginning_of_text())
                .then(|| scorer.beginning_of_text()),
            "skip_unusable": options.skip_unusable,
            "keep_going": options.keep_going,
            "calibrate": options.calibrate,
            "form": format!("{form:?}"),
            "numbers": scorer.numbers(),
            "instruction_set": engine.instruction_set,
        });
        self.folder.join(hex(&text_sha256(&key.to_string())))
    }

    /// Puts a run to `out`: the one kept, or a new one, which is kept. The answer's second half is whether it was there.
    pub(super) fn fetch(
        &self,
        scorer: &mut dyn Scorer,
        corpus: &Corpus,
        content: &Content,
        options: &ScoreOptions,
        (out, form): (&Path, TokenForm),
        progress: &mut dyn FnMut(Progress) -> bool,
    ) -> Result<(RunInfo, bool), Error> {
        let kept = self.place(scorer, content, options, form);
        let found = if kept.exists() { Some(Run::open_info(&kept)?) } else { None };
        let there = found.is_some();
        let info = match found {
            Some(info) => info,
            None => {
                let info = score_resumably(scorer, corpus, options, (&kept, form), true, progress)
                    .map_err(|error| busy(error, &scorer.model().name))?;
                if Content::of(corpus)? != *content {
                    // Under this name stands what another corpus gave.
                    let _ = std::fs::remove_dir_all(&kept);
                    let corpus = corpus.name().to_owned();
                    return Err(deltaloss_lm::LmError::CorpusChanged { corpus }.into());
                }
                info
            }
        };
        // Names are not part of the content, and may be others today.
        let mut info =
            RunInfo { model: scorer.model().clone(), tokenizer: scorer.tokenizer().clone(), ..info };
        corpus.name().clone_into(&mut info.corpus.name);
        copy_run(&kept, out, &info)?;
        Ok((info, there))
    }
}
