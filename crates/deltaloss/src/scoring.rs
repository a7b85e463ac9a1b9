//! From what a user names to a scorer, and from a scorer to a run on disk.

use std::path::Path;
use std::time::Duration;

use deltaloss_corpus::Corpus;
use deltaloss_lm::{LmError, ModelFiles, NativeScorer, Progress, ScoreOptions, Scorer, Tokenizer, score};
use deltaloss_records::{RunInfo, RunWriter, TokenForm};

use crate::bundled;
use crate::downloads::ModelPlace;
use crate::error::Error;

/// How to run a model in GGUF form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GgufOptions {
    /// Layers whose weights go to a GPU; none by default.
    pub gpu_layers: Option<u32>,
    /// Inputs that go through the model at once; memory is so many rows of logits. 512 by default.
    pub batch: Option<usize>,
    /// Whether to compute with weights as the file has them (false) or as the f32 they stand for (true); by default as f32 on a
    /// processor for models of up to a thousand million weights.
    pub widen: Option<bool>,
    /// The model's name in reports; its file's name by default.
    pub name: Option<String>,
    /// Where it came from, where that is not its file.
    pub source: Option<String>,
}

/// Reads the files of a model: `builtin:NAME` or a folder in the circuit-sparsity layout.
///
/// # Errors
/// There is no such model, or its files cannot be read.
pub fn open_model(source: &str) -> Result<ModelFiles, Error> {
    let refuse = |problem: String| Error::Source { source_name: source.to_owned(), problem };
    if let Some(name) = source.strip_prefix("builtin:") {
        let files = bundled::model(name).ok_or_else(|| {
            refuse(format!("no such bundled model; there are {}", bundled::BUNDLED_MODELS.join(", ")))
        })?;
        return Ok(files?);
    }
    for scheme in ["csp:", "hf:"] {
        if source.starts_with(scheme) {
            return Err(refuse(format!(
                "a model by name is to be downloaded first, with `Downloads::model`; or name its folder or .gguf file in place of \
                 `{scheme}…`"
            )));
        }
    }
    if is_gguf(source) {
        return Err(refuse("GGUF models are for `deltaloss score` and `deltaloss inspect` only".into()));
    }
    Ok(ModelFiles::open(Path::new(source))?)
}

/// Whether a model's source names a GGUF file, by its ending.
pub fn is_gguf(source: &str) -> bool {
    Path::new(source).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"))
}

/// Opens a model in GGUF form with the tokenizer that its file holds.
///
/// # Errors
/// The file is damaged, or holds a model that cannot score text; in a build without the feature `llama`, always.
#[cfg(feature = "llama")]
pub fn open_gguf(path: &Path, options: &GgufOptions) -> Result<Box<dyn Scorer>, Error> {
    use deltaloss_llama::{LlamaOptions, LlamaScorer, Weights};
    let weights = match options.widen {
        None => Weights::Auto,
        Some(true) => Weights::Widened,
        Some(false) => Weights::Stored,
    };
    let batch = options.batch.unwrap_or(LlamaOptions::default().batch);
    let mut scorer =
        LlamaScorer::open(path, LlamaOptions { gpu_layers: options.gpu_layers, batch, weights })?;
    if let Some(name) = &options.name {
        scorer.rename(name);
    }
    if let Some(source) = &options.source {
        scorer.set_source(source);
    }
    Ok(Box::new(scorer))
}

/// Opens a model in GGUF form with the tokenizer that its file holds.
///
/// # Errors
/// The file is damaged, or holds a model that cannot score text; in a build without the feature `llama`, always.
#[cfg(not(feature = "llama"))]
pub fn open_gguf(path: &Path, _: &GgufOptions) -> Result<Box<dyn Scorer>, Error> {
    Err(no_gguf(&path.display().to_string()))
}

#[cfg(not(feature = "llama"))]
fn no_gguf(source: &str) -> Error {
    Error::Source {
        source_name: source.to_owned(),
        problem: "this build does not run GGUF models; build it with `cargo build --release --features llama`, which \
                  needs cmake, a C++ compiler and libclang (see the README)"
            .into(),
    }
}

/// Refuses a GGUF model that this build cannot run, before it is downloaded.
#[cfg(not(feature = "llama"))]
pub(crate) fn refuse_gguf(source: &str) -> Result<(), Error> {
    if is_gguf(source) { Err(no_gguf(source)) } else { Ok(()) }
}

/// This build runs them.
#[cfg(feature = "llama")]
pub(crate) fn refuse_gguf(_: &str) -> Result<(), Error> {
    Ok(())
}

/// Loads a model in GGUF form and predicts one token. llama.cpp ends the process where a file contradicts itself in ways that
/// only it notices, so this is for a process that may end.
///
/// # Errors
/// As [`open_gguf`].
#[cfg(feature = "llama")]
pub fn try_gguf(path: &Path) -> Result<(), Error> {
    Ok(deltaloss_llama::LlamaScorer::try_out(path)?)
}

/// Loads a model in GGUF form and predicts one token. llama.cpp ends the process where a file contradicts itself in ways that
/// only it notices, so this is for a process that may end.
///
/// # Errors
/// As [`open_gguf`].
#[cfg(not(feature = "llama"))]
pub fn try_gguf(path: &Path) -> Result<(), Error> {
    open_gguf(path, &GgufOptions::default()).map(drop)
}

/// Reads a tokenizer: `builtin:NAME`, a folder, or a `tokenizer.json`.
///
/// # Errors
/// There is none, or its files contradict themselves.
pub fn open_tokenizer(source: &str) -> Result<Tokenizer, Error> {
    match source.strip_prefix("builtin:") {
        Some(bundled::BUNDLED_TOKENIZER) => Ok(bundled::tokenizer()?),
        Some(_) => Err(Error::Source {
            source_name: source.to_owned(),
            problem: format!("no such bundled tokenizer; there is {}", bundled::BUNDLED_TOKENIZER),
        }),
        None if source.starts_with("hf:") || source.starts_with("csp:") => Err(Error::Source {
            source_name: source.to_owned(),
            problem: "a tokenizer is not downloaded by itself: one comes with its model, or name a folder that holds it"
                .into(),
        }),
        None => Ok(Tokenizer::open(Path::new(source))?),
    }
}

/// Opens a model with its tokenizer: the one named, else the one in the model's folder, else the bundled one if the
/// model's configuration names it.
///
/// # Errors
/// As [`open_model`] and [`open_tokenizer`]; also when the two do not belong together.
pub fn open_scorer(model: &str, tokenizer: Option<&str>) -> Result<NativeScorer, Error> {
    ModelPlace { path: model.to_owned(), tokenizer: None, names: None }.open(tokenizer)
}

/// The tokenizer that belongs to a model whose configuration names it `name`: the one in the model's folder, else the
/// bundled one of that name.
///
/// # Errors
/// There is neither, or the files in the folder contradict themselves.
pub fn find_tokenizer(files: &ModelFiles, name: &str) -> Result<Tokenizer, Error> {
    if let Some(folder) = &files.folder {
        match Tokenizer::open(folder) {
            Err(LmError::NoTokenizer { .. }) => {}
            outcome => return Ok(outcome?.named(name)),
        }
    }
    if name == bundled::BUNDLED_TOKENIZER {
        return Ok(bundled::tokenizer()?);
    }
    Err(Error::Source {
        source_name: files.source.clone(),
        problem: format!(
            "the model's tokenizer is `{name}`, which is neither in its folder (vocab.bpe with encoder.json, or \
             tokenizer.json) nor bundled; name its folder with --tokenizer"
        ),
    })
}

/// Scores a corpus and writes the run to `out`, which appears when it is complete, its tokens in a form. `progress` returns
/// whether to go on.
///
/// # Errors
/// `out` is taken (and `overwrite` is off, or it is no run), or scoring fails; then nothing is left behind.
pub fn score_to_folder(
    scorer: &mut dyn Scorer,
    corpus: &Corpus,
    options: &ScoreOptions,
    (out, form): (&Path, TokenForm),
    overwrite: bool,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<RunInfo, Error> {
    let mut writer = RunWriter::create(out, overwrite)?.with_form(form);
    let run = score(scorer, corpus, options, &mut writer, progress)?;
    writer.finish(&run)?;
    Ok(run)
}

/// As [`score_to_folder`], for long scorings: what is finished is kept in `OUT.scoring`, once a second or whenever 1 % more time was
/// spent, and the same call goes on from there after the process was killed. The result is the same byte for byte, but for times.
/// With `overwrite`, what is kept of another scoring is removed.
///
/// # Errors
/// As [`score_to_folder`]; another process works on `out`; what is kept there belongs to another scoring.
pub fn score_resumably(
    scorer: &mut dyn Scorer,
    corpus: &Corpus,
    options: &ScoreOptions,
    (out, form): (&Path, TokenForm),
    overwrite: bool,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<RunInfo, Error> {
    score_in_parts(scorer, corpus, options, (out, form), (overwrite, PART), progress)
}

/// The least time of which the result is kept.
const PART: Duration = Duration::from_secs(1);

/// As [`score_resumably`], with the least time of which the result is kept.
///
/// # Errors
/// As [`score_resumably`].
pub fn score_in_parts(
    scorer: &mut dyn Scorer,
    corpus: &Corpus,
    options: &ScoreOptions,
    (out, form): (&Path, TokenForm),
    (overwrite, least): (bool, Duration),
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<RunInfo, Error> {
    let mut writer = RunWriter::resumable(out, overwrite, least)?.with_form(form);
    let run = score(scorer, corpus, options, &mut writer, progress)?;
    writer.finish(&run)?;
    Ok(run)
}
