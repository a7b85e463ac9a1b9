//! An experiment file: models with their roles, a corpus, windows and analyses, in TOML.
//!
//! Paths are as on the command line: from the folder that the program is called in. `experiments/` has examples.

mod cache;
mod render;
mod run;

use std::path::{Path, PathBuf};

use deltaloss_checkpoint::read_bounded;
use deltaloss_corpus::{Corpus, CorpusOptions, Solutions};
use deltaloss_lm::{ScoreOptions, WindowMode};
use deltaloss_records::{Basis, Role};
use deltaloss_sources::Download;
use deltaloss_stats::Options;
use deltaloss_train::refuse_unknown_keys;
use serde::Deserialize;

pub use self::cache::RunCache;
pub(crate) use self::render::heading;
pub(crate) use self::run::run_into;
pub use self::run::{ExperimentEvent, RunOptions, run_experiment};
use crate::downloads::{Downloads, open_corpus};
use crate::error::Error;
use crate::scoring::{GgufOptions, is_gguf};

/// Experiment files have some hundred bytes.
const LARGEST_EXPERIMENT: u64 = 1 << 20;

const MODEL_KEYS: &[&str] = &[
    "source",
    "run",
    "label",
    "tokenizer",
    "context",
    "beginning_of_text",
    "compact",
    "gpu_layers",
    "batch",
    "weights",
];

/// Every key, by table; the empty table is the top.
const KEYS: [(&str, &[&str]); 10] = [
    ("", &["output", "corpus", "window", "models", "oracle", "analyses"]),
    (
        "corpus",
        &[
            "source",
            "text_column",
            "name_column",
            "extensions",
            "solutions",
            "max_documents",
            "sample",
            "skip_unusable",
            "keep_going",
        ],
    ),
    ("window", &["mode", "stride", "context", "beginning_of_text"]),
    ("models", &["a", "b", "benchmark", "placebo"]),
    ("models.a", MODEL_KEYS),
    ("models.b", MODEL_KEYS),
    ("models.benchmark", MODEL_KEYS),
    ("models.placebo", MODEL_KEYS),
    ("oracle", MODEL_KEYS),
    (
        "analyses",
        &["rules", "calibrate", "lead", "confident_below_nats", "uncertain_above_nats", "replicates", "seed"],
    ),
];

/// An experiment: what is scored, and what is computed from it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Experiment {
    /// The file's name without its ending, for messages and for the folder that is written by default.
    #[serde(skip)]
    pub name: String,
    /// The folder to write; `deltaloss-NAME` by default.
    pub output: Option<PathBuf>,
    /// What is scored.
    pub corpus: CorpusTable,
    /// How documents are cut.
    #[serde(default)]
    pub window: WindowTable,
    /// The models that are compared.
    pub models: Models,
    /// A stronger model, whose entropy classes the tokens.
    pub oracle: Option<ModelTable>,
    /// What is computed.
    #[serde(default)]
    pub analyses: AnalysesTable,
}

/// `[corpus]`: as the options of `deltaloss score`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct CorpusTable {
    /// As for `--corpus`.
    pub source: String,
    /// The column with the text.
    pub text_column: Option<String>,
    /// The column with the documents' names.
    pub name_column: Option<String>,
    /// Extensions of a folder's files.
    pub extensions: Option<Vec<String>>,
    /// Which solutions of an APPS problem.
    #[serde(default)]
    pub solutions: SolutionsChoice,
    /// Only the first so many documents.
    pub max_documents: Option<u64>,
    /// Only so many documents, chosen by a hash of their text.
    pub sample: Option<u64>,
    /// Leave out and count documents that cannot be used.
    #[serde(default)]
    pub skip_unusable: bool,
    /// Count documents as failed whose loss is not finite, instead of stopping.
    #[serde(default)]
    pub keep_going: bool,
}

impl CorpusTable {
    /// All of a corpus.
    pub fn new(source: impl Into<String>) -> Self {
        CorpusTable {
            source: source.into(),
            text_column: None,
            name_column: None,
            extensions: None,
            solutions: SolutionsChoice::First,
            max_documents: None,
            sample: None,
            skip_unusable: false,
            keep_going: false,
        }
    }

    /// What its keys ask for.
    pub fn options(&self) -> CorpusOptions {
        let CorpusTable { text_column, name_column, extensions, max_documents, sample, .. } = self.clone();
        let skip_unusable = self.skip_unusable;
        let solutions = match self.solutions {
            SolutionsChoice::First => Solutions::First,
            SolutionsChoice::All => Solutions::All,
        };
        CorpusOptions {
            text_column,
            name_column,
            extensions,
            solutions,
            max_documents,
            sample,
            skip_unusable,
        }
    }
}

/// Which solutions of an APPS problem are documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum SolutionsChoice {
    /// The first of each problem.
    #[default]
    First,
    /// Every one.
    All,
}

/// `[window]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct WindowTable {
    /// What is done with documents longer than the context.
    pub mode: ModeChoice,
    /// Inputs from one window to the next, for `slide`; half the context by default.
    pub stride: Option<usize>,
    /// Inputs a window; each model's longest by default.
    pub context: Option<usize>,
    /// Whether a beginning-of-text token stands in front of every document; what the model was made for by default.
    pub beginning_of_text: Option<bool>,
}

/// How long documents are cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModeChoice {
    /// The first window only.
    Truncate,
    /// Window after window.
    #[default]
    Chunk,
    /// Overlapping windows.
    Slide,
}

/// `[models]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Models {
    /// Differences are its loss minus b's.
    pub a: ModelTable,
    /// The model it is compared with.
    pub b: ModelTable,
    /// A third model that both are correlated with.
    pub benchmark: Option<ModelTable>,
    /// A retrained twin of b.
    pub placebo: Option<ModelTable>,
}

/// `[models.ROLE]` and `[oracle]`: a model to score, or a run that is there already.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ModelTable {
    /// As for `deltaloss score --model`.
    pub source: Option<String>,
    /// A run's folder in its place; for the demonstration's oracle a bundled one.
    pub run: Option<String>,
    /// The name in the report; the model's own by default.
    pub label: Option<String>,
    /// As for `deltaloss score --tokenizer`; the model's own by default.
    pub tokenizer: Option<String>,
    /// In place of `[window]`'s.
    pub context: Option<usize>,
    /// In place of `[window]`'s.
    pub beginning_of_text: Option<bool>,
    /// Losses and entropies only, in half precision; yes for the oracle by default, no for the others.
    pub compact: Option<bool>,
    /// For a GGUF model: layers whose weights go to a GPU.
    pub gpu_layers: Option<u32>,
    /// For a GGUF model: inputs that go through the model at once.
    pub batch: Option<usize>,
    /// For a GGUF model: the form of the weights that it computes with.
    pub weights: Option<WeightsChoice>,
}

/// The form of a GGUF model's weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WeightsChoice {
    /// As the file has them.
    Stored,
    /// As the f32 that they stand for.
    F32,
}

/// `[analyses]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct AnalysesTable {
    /// A file of category rules in place of the built-in ones.
    pub rules: Option<PathBuf>,
    /// Fit each model's temperature, and compute everything at it too. The oracle's is never fitted: nothing uses it.
    pub calibrate: bool,
    /// Which numbers lead in the report.
    pub lead: LeadChoice,
    /// Entropies below which a model is confident, nats.
    pub confident_below_nats: Vec<f64>,
    /// Entropies above which a model is uncertain, nats.
    pub uncertain_above_nats: Vec<f64>,
    /// Resamples of the documents that intervals come from.
    pub replicates: u32,
    /// Their seed.
    pub seed: u64,
}

/// Which numbers lead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeadChoice {
    /// Those of the models as they are.
    #[default]
    AsScored,
    /// Those of every model at its own temperature.
    Calibrated,
}

impl Default for AnalysesTable {
    fn default() -> Self {
        let Options { confident_below_nats, uncertain_above_nats, replicates, seed, .. } = Options::default();
        let (rules, calibrate, lead) = (None, true, LeadChoice::AsScored);
        AnalysesTable { rules, calibrate, lead, confident_below_nats, uncertain_above_nats, replicates, seed }
    }
}

impl Experiment {
    /// Reads an experiment file.
    ///
    /// # Errors
    /// It cannot be read, or as [`Experiment::from_toml`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = path.display().to_string();
        let bytes = read_bounded(path, LARGEST_EXPERIMENT)?;
        let text = String::from_utf8(bytes).map_err(|error| refuse(&file, error.to_string()))?;
        Self::from_toml(&text, &file)
    }

    /// Reads an experiment; `file` is named in errors, and gives the experiment its name.
    ///
    /// # Errors
    /// The text is no TOML, has an unknown key, or values that cannot be or do not go together.
    pub fn from_toml(text: &str, file: &str) -> Result<Self, Error> {
        refuse_unknown_keys(text, &KEYS).map_err(|problem| refuse(file, problem))?;
        let mut experiment: Experiment = toml::from_str(text)
            .map_err(|error: toml::de::Error| refuse(file, error.to_string().trim_end().to_owned()))?;
        let stem = Path::new(file).file_stem().map(|stem| stem.to_string_lossy().into_owned());
        experiment.name = stem.unwrap_or_else(|| "experiment".to_owned());
        experiment.check().map_err(|problem| refuse(file, problem))?;
        Ok(experiment)
    }

    /// The folder that is written unless another is asked for.
    pub fn output(&self) -> PathBuf {
        self.output.clone().unwrap_or_else(|| PathBuf::from(format!("deltaloss-{}", self.name)))
    }

    /// The models and the oracle with their roles, in the order in which they are scored.
    pub fn cast(&self) -> Vec<(Role, &ModelTable)> {
        let Models { a, b, benchmark, placebo } = &self.models;
        let all = [
            (Role::A, Some(a)),
            (Role::B, Some(b)),
            (Role::Benchmark, benchmark.as_ref()),
            (Role::Placebo, placebo.as_ref()),
            (Role::Oracle, self.oracle.as_ref()),
        ];
        all.into_iter().filter_map(|(role, model)| Some((role, model?))).collect()
    }

    fn check(&self) -> Result<(), String> {
        if self.output.as_ref().is_some_and(|output| output.as_os_str().is_empty()) {
            return Err("output is empty; name a folder, or leave it out".into());
        }
        for (role, model) in self.cast() {
            model.check().map_err(|problem| format!("[{}] {problem}", table_name(role)))?;
        }
        let WindowTable { mode, stride, .. } = self.window;
        if stride.is_some() && mode != ModeChoice::Slide {
            return Err("[window] stride goes with mode = \"slide\" only".into());
        }
        let analyses = &self.analyses;
        if analyses.lead == LeadChoice::Calibrated && !analyses.calibrate {
            return Err("[analyses] lead = \"calibrated\" needs calibrate = true".into());
        }
        for (name, thresholds) in [
            ("confident_below_nats", &analyses.confident_below_nats),
            ("uncertain_above_nats", &analyses.uncertain_above_nats),
        ] {
            let ascend = thresholds.windows(2).all(|pair| pair[0] < pair[1]);
            if thresholds.is_empty()
                || !ascend
                || !thresholds.iter().all(|value| value.is_finite() && *value > 0.0)
            {
                return Err(format!("[analyses] {name} must be a list of ascending numbers above 0"));
            }
        }
        Ok(())
    }

    /// Opens the corpus, which may be downloaded first.
    pub(crate) fn open_corpus(
        &self,
        downloads: Option<&Downloads>,
        hear: &mut dyn FnMut(ExperimentEvent<'_>) -> bool,
    ) -> Result<Corpus, Error> {
        let mut listener = |download: Download<'_>| hear(ExperimentEvent::Downloading(download));
        open_corpus(&self.corpus.source, self.corpus.options(), downloads, &mut listener)
    }

    /// How a model of a role is scored whose longest window is `longest` inputs.
    pub(crate) fn score_options(&self, role: Role, model: &ModelTable, longest: usize) -> ScoreOptions {
        let window = &self.window;
        let context = model.context.or(window.context);
        ScoreOptions {
            mode: match window.mode {
                ModeChoice::Truncate => WindowMode::Truncate,
                ModeChoice::Chunk => WindowMode::Chunk,
                ModeChoice::Slide => {
                    let half = context.unwrap_or(longest).div_ceil(2);
                    WindowMode::Slide { stride: window.stride.unwrap_or(half) }
                }
            },
            context,
            beginning_of_text: model.beginning_of_text.or(window.beginning_of_text),
            skip_unusable: self.corpus.skip_unusable,
            calibrate: self.analyses.calibrate && role != Role::Oracle,
            keep_going: self.corpus.keep_going,
            ..ScoreOptions::default()
        }
    }

    /// How the numbers are computed.
    pub(crate) fn statistics(&self) -> Options {
        let analyses = self.analyses.clone();
        Options {
            confident_below_nats: analyses.confident_below_nats,
            uncertain_above_nats: analyses.uncertain_above_nats,
            replicates: analyses.replicates,
            seed: analyses.seed,
            basis: match analyses.lead {
                LeadChoice::AsScored => Basis::AsScored,
                LeadChoice::Calibrated => Basis::Calibrated,
            },
        }
    }
}

impl ModelTable {
    fn check(&self) -> Result<(), String> {
        if self.label.as_ref().is_some_and(|label| label.trim().is_empty()) {
            return Err("label is empty; give a name, or leave it out".into());
        }
        match (&self.source, &self.run) {
            (None, None) => Err("names neither a source (a model to score) nor a run (its folder)".into()),
            (Some(_), Some(_)) => Err("names both a source and a run; leave one out".into()),
            (Some(source), None) if self.tokenizer.is_some() && is_gguf(source) => {
                Err("tokenizer: a .gguf model has its own; leave it out".into())
            }
            (Some(_), None) => Ok(()),
            (None, Some(_)) => {
                let for_scoring = [
                    ("tokenizer", self.tokenizer.is_some()),
                    ("context", self.context.is_some()),
                    ("beginning_of_text", self.beginning_of_text.is_some()),
                    ("compact", self.compact.is_some()),
                    ("gpu_layers", self.gpu_layers.is_some()),
                    ("batch", self.batch.is_some()),
                    ("weights", self.weights.is_some()),
                ];
                match for_scoring.iter().find(|(_, given)| *given) {
                    Some((key, _)) => {
                        Err(format!("{key} says how a model is scored, but run names one that was scored"))
                    }
                    None => Ok(()),
                }
            }
        }
    }

    /// Whether its run has losses and entropies only.
    pub(crate) fn is_compact(&self, role: Role) -> bool {
        self.compact.unwrap_or(role == Role::Oracle)
    }

    /// Its options as a GGUF model; whether there are any.
    pub(crate) fn gguf_options(&self) -> (GgufOptions, bool) {
        let options = GgufOptions {
            gpu_layers: self.gpu_layers,
            batch: self.batch,
            widen: self.weights.map(|weights| weights == WeightsChoice::F32),
            name: None,
            source: None,
        };
        let given = options != GgufOptions::default();
        (options, given)
    }
}

/// What a role's table is called in the file.
fn table_name(role: Role) -> String {
    match role {
        Role::Oracle => "oracle".to_owned(),
        _ => format!("models.{}", role.name()),
    }
}

fn refuse(file: &str, problem: String) -> Error {
    Error::Source { source_name: file.to_owned(), problem }
}

#[cfg(test)]
mod tests;
