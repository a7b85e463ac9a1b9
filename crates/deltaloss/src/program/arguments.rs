//! The command line, as clap reads it.

use std::path::PathBuf;

use clap::builder::{BoolishValueParser, NonEmptyStringValueParser, RangedU64ValueParser, ValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use deltaloss::kernels::Isa;
use deltaloss::report::viewer::DocumentOrder;
use deltaloss::{CorpusTable, SolutionsChoice};

use super::colour::ColourChoice;

/// Finds out what one language model does better than another, token by token.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Show no progress and no notes
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Download nothing: of csp: and hf: names, use what is in the cache (DELTALOSS_CACHE, else the user's own)
    #[arg(long, global = true)]
    pub(crate) offline: bool,
    /// Threads to use [default: one a core]; the numbers do not depend on it
    #[arg(long, global = true, value_name = "N", value_parser = RangedU64ValueParser::<u64>::new().range(1..=1024))]
    pub(crate) threads: Option<u64>,
    /// Compute with these instructions: avx512, avx2 or portable [default: the best that the processor has]. Numbers then
    /// differ in their last bits
    #[arg(long, global = true, value_name = "NAME", value_parser = isa)]
    pub(crate) isa: Option<Isa>,
    /// When to colour what is printed
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t)]
    pub(crate) color: ColourChoice,
}

fn isa(name: &str) -> Result<Isa, String> {
    name.parse()
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the whole analysis on bundled models and real Python code, without a network
    Demo(Demo),
    /// Run an experiment file: score its models, or take their runs from the cache, and compare them
    Run(RunExperiment),
    /// Score a corpus with a model, into a run
    Score(Box<Score>),
    /// Make one run of the shards that `score --shard` wrote
    Merge(Merge),
    /// Compare two runs, into a folder with a report
    Compare(Compare),
    /// Look at a comparison token by token, in the browser
    View(ViewComparison),
    /// Print a comparison's documents, shaded, in the terminal
    Show(Show),
    /// Say what is in a model or a run
    Inspect(Inspect),
    /// Replay what another implementation computed and compare
    Check(Check),
    /// Print the token ids of a text as a JSON array
    Tokenize(Tokenize),
    /// Train a model, dense or weight-sparse, by the published recipe
    Train(Train),
    /// Make a tokenizer from a corpus
    TrainTokenizer(TrainTokenizer),
    /// Load a GGUF model and predict one token
    #[command(hide = true)]
    TryGguf(TryGguf),
}

#[derive(Debug, Args)]
pub(crate) struct TryGguf {
    pub(crate) model: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// The folder to write; an earlier demonstration there is replaced
    #[arg(long, value_name = "OUT", default_value = "deltaloss-demo")]
    pub(crate) out: PathBuf,
    /// How many files of Python's standard library to score; the bundled oracle knows those of the default
    #[arg(long, value_name = "N", default_value_t = deltaloss::DEMO_DOCUMENTS, value_parser = positive())]
    pub(crate) documents: u64,
    /// Print results.json in place of the table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RunExperiment {
    /// Models with their roles, a corpus, windows and analyses, in TOML; experiments/ has examples
    #[arg(value_name = "EXPERIMENT.toml")]
    pub(crate) experiment: PathBuf,
    /// The folder to write [default: the file's output, else deltaloss-NAME]
    #[arg(long, value_name = "OUT")]
    pub(crate) out: Option<PathBuf>,
    /// Replace the experiment at --out
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Score every model, and keep no run in the cache folder (DELTALOSS_CACHE, else the user's own)
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Print results.json in place of the table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Score {
    /// A folder in the circuit-sparsity layout, csp:NAME (a released model), hf:ORG/REPO[@REVISION][:FILE], builtin:NAME, or a .gguf file
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: String,
    /// What to score: builtin:python-stdlib, a folder or file of source code, JSON Lines, Parquet, hf:ORG/REPO[@REVISION][:FILE]
    #[arg(long, value_name = "CORPUS")]
    pub(crate) corpus: String,
    /// The run to write
    #[arg(long, value_name = "RUN")]
    pub(crate) out: PathBuf,
    /// The tokenizer's folder (vocab.bpe with encoder.json, or tokenizer.json) [default: the model's own]
    #[arg(long, value_name = "DIR")]
    pub(crate) tokenizer: Option<String>,
    /// The model's name in reports [default: its folder's name]
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) name: Option<String>,
    /// Leave out (and count) documents that cannot be used instead of failing
    #[arg(long)]
    pub(crate) skip_unusable: bool,
    /// Score once only, without fitting the model's best temperature on the discovery half first
    #[arg(long)]
    pub(crate) no_calibrate: bool,
    /// Write losses and entropies only, rounded to half precision: some five bytes a token, enough for `compare --oracle`
    #[arg(long)]
    pub(crate) compact: bool,
    /// Record a document whose loss is not finite as failed, and go on; nothing of it enters any number
    #[arg(long)]
    pub(crate) keep_going: bool,
    /// Replace the run at --out, and begin anew where parts of another scoring are kept
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Score part I of N of the corpus, for `deltaloss merge`; the temperature is the whole discovery half's all the same
    #[arg(long, value_name = "I/N", value_parser = ValueParser::new(shard))]
    pub(crate) shard: Option<(u32, u32)>,
    /// Take the temperature of another shard's run in place of fitting it again
    #[arg(long, value_name = "RUN", conflicts_with = "no_calibrate")]
    pub(crate) temperature_of: Option<PathBuf>,
    /// Seconds of which the result is kept at least
    #[arg(long, value_name = "S", hide = true, default_value_t = 1.0, value_parser = ValueParser::new(seconds))]
    pub(crate) part_seconds: f64,
    #[command(flatten)]
    pub(crate) window: WindowChoice,
    #[command(flatten)]
    pub(crate) corpus_options: CorpusChoice,
    #[command(flatten)]
    pub(crate) gguf: GgufChoice,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "GGUF models")]
pub(crate) struct GgufChoice {
    /// Layers to put on the GPU, in a build with cuda, vulkan or metal [default: 0]
    #[arg(long, value_name = "N")]
    pub(crate) gpu_layers: Option<u32>,
    /// Inputs that go through the model at once; memory is that many rows of logits [default: 512]
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<u64>::new().range(32..=65536))]
    pub(crate) batch: Option<u64>,
    /// Compute with the weights as the file has them, or as the f32 they stand for, which takes 4 bytes a weight [default: f32
    /// without a GPU for models of up to a thousand million weights, else stored]
    #[arg(long, value_enum, value_name = "FORM")]
    pub(crate) weights: Option<WeightForm>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WeightForm {
    /// As the file has them; llama.cpp then rounds activations to eight bits
    Stored,
    /// Widened; nothing is rounded
    F32,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Windows")]
pub(crate) struct WindowChoice {
    /// What to do with documents longer than the context
    #[arg(long = "window", value_enum, default_value_t = Mode::Chunk)]
    pub(crate) mode: Mode,
    /// Inputs from one window to the next, for --window slide [default: half the context]
    #[arg(long, value_name = "N", value_parser = positive())]
    pub(crate) stride: Option<u64>,
    /// Inputs a window [default: the model's longest]
    #[arg(long, value_name = "N", value_parser = positive())]
    pub(crate) context: Option<u64>,
    /// Put the tokenizer's beginning-of-text token (<|endoftext|>) in front of every document, so that its first token is
    /// predicted too, or do not [default: what the GGUF file says; otherwise no]
    #[arg(long, value_name = "yes|no", num_args = 0..=1, require_equals = true, default_missing_value = "yes", value_parser = BoolishValueParser::new())]
    pub(crate) beginning_of_text: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Score the first window only
    Truncate,
    /// Go on with the next window
    Chunk,
    /// Overlapping windows; each token from the first that reaches it
    Slide,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Corpus")]
pub(crate) struct CorpusChoice {
    /// The column that holds the text [default: text, content or code; solutions as in APPS]
    #[arg(long, value_name = "NAME")]
    pub(crate) text_column: Option<String>,
    /// The column that names a document
    #[arg(long, value_name = "NAME")]
    pub(crate) name_column: Option<String>,
    /// File name extensions to read from a folder, with commas [default: data sets, or else source code and plain text]
    #[arg(long, value_name = "EXT", value_delimiter = ',')]
    pub(crate) extensions: Option<Vec<String>>,
    /// Which solutions of an APPS problem to score
    #[arg(long, value_enum, default_value_t)]
    pub(crate) solutions: SolutionsChoice,
    /// Score the first N documents only
    #[arg(long, value_name = "N", value_parser = positive())]
    pub(crate) max_documents: Option<u64>,
    /// Score N documents chosen by a hash of their text: the same ones every time
    #[arg(long, value_name = "N", value_parser = positive())]
    pub(crate) sample: Option<u64>,
}

impl CorpusChoice {
    /// As the table of an experiment file.
    pub(crate) fn table(&self, source: &str, skip_unusable: bool) -> CorpusTable {
        let choice = self.clone();
        CorpusTable {
            text_column: choice.text_column,
            name_column: choice.name_column,
            extensions: choice.extensions,
            solutions: choice.solutions,
            max_documents: choice.max_documents,
            sample: choice.sample,
            skip_unusable,
            ..CorpusTable::new(source)
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Merge {
    /// All shards of one run, in any order
    #[arg(value_name = "SHARD", required = true)]
    pub(crate) shards: Vec<PathBuf>,
    /// The run to write
    #[arg(long, value_name = "RUN")]
    pub(crate) out: PathBuf,
    /// Write losses and entropies only, as `score --compact`
    #[arg(long)]
    pub(crate) compact: bool,
    /// Replace the run at --out
    #[arg(long)]
    pub(crate) overwrite: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// The run of model a: differences are its loss minus b's
    #[arg(long, value_name = "RUN")]
    pub(crate) a: PathBuf,
    /// The run of model b
    #[arg(long, value_name = "RUN")]
    pub(crate) b: PathBuf,
    /// The run of a third model that both are correlated with
    #[arg(long, value_name = "RUN")]
    pub(crate) benchmark: Option<PathBuf>,
    /// The run of a retrained twin of b: what two models that differ by their seed show
    #[arg(long, value_name = "RUN")]
    pub(crate) placebo: Option<PathBuf>,
    /// The run of a stronger model, whose entropy classes the tokens; its tokenizer may be another
    #[arg(long, value_name = "RUN")]
    pub(crate) oracle: Option<PathBuf>,
    /// The folder to write
    #[arg(long, value_name = "OUT")]
    pub(crate) out: PathBuf,
    /// A name in reports for a role, as in --label a=Sparse
    #[arg(long, value_name = "ROLE=NAME", value_parser = ValueParser::new(label))]
    pub(crate) label: Vec<(String, String)>,
    /// Category rules (TOML) in place of the built-in ones
    #[arg(long, value_name = "FILE")]
    pub(crate) rules: Option<PathBuf>,
    /// Let the numbers lead that have each model at its own best temperature, which its run holds; results.json has both
    #[arg(long)]
    pub(crate) calibrated: bool,
    /// Print results.json in place of the table
    #[arg(long)]
    pub(crate) json: bool,
    /// Replace the comparison at --out
    #[arg(long)]
    pub(crate) overwrite: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ViewComparison {
    /// A comparison's folder, as `compare` and `demo` write it
    #[arg(value_name = "OUT")]
    pub(crate) comparison: PathBuf,
    /// The port of 127.0.0.1 to listen on [default: one that is free]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) port: u16,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// A comparison's folder, as `compare` and `demo` write it
    #[arg(value_name = "OUT")]
    pub(crate) comparison: PathBuf,
    /// The document to print: its name, or a part that no other name holds; without, documents are listed
    #[arg(long, value_name = "NAME")]
    pub(crate) document: Option<String>,
    /// What tokens are shaded by
    #[arg(long, value_enum, default_value_t)]
    pub(crate) shade: ShadeChoice,
    /// The first token to print, counted from 1
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) from: u32,
    /// How many tokens to print [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) tokens: Option<u32>,
    /// Documents that are listed first
    #[arg(long, value_enum, default_value_t, conflicts_with = "document")]
    pub(crate) order: OrderChoice,
    /// Print JSON: what the viewer is told
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ShadeChoice {
    /// The difference of the losses
    #[default]
    Delta,
    /// The loss of a
    LossA,
    /// The loss of b
    LossB,
    /// The entropy of a
    EntropyA,
    /// The entropy of b
    EntropyB,
    /// The oracle's entropy
    Oracle,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum OrderChoice {
    /// Those that a wins most, in total
    #[default]
    A,
    /// Those that b wins most
    B,
    /// Those of the largest total |Δ|
    Size,
    /// That of the corpus
    Corpus,
}

impl From<OrderChoice> for DocumentOrder {
    fn from(order: OrderChoice) -> Self {
        match order {
            OrderChoice::A => DocumentOrder::WinsOfA,
            OrderChoice::B => DocumentOrder::WinsOfB,
            OrderChoice::Size => DocumentOrder::Size,
            OrderChoice::Corpus => DocumentOrder::Corpus,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// A model (as for `score --model`) or a run's folder
    #[arg(value_name = "MODEL|RUN")]
    pub(crate) what: String,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// A model, as for `score --model`
    #[arg(value_name = "MODEL")]
    pub(crate) model: String,
    /// Tokens, logits, losses, entropies and ranks that another implementation computed (safetensors)
    #[arg(value_name = "EXPECTED.safetensors")]
    pub(crate) expected: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Tokenize {
    /// The tokenizer's folder (vocab.bpe with encoder.json, or tokenizer.json), or builtin:NAME
    #[arg(long, value_name = "DIR")]
    pub(crate) tokenizer: String,
}

#[derive(Debug, Args)]
pub(crate) struct Train {
    /// What to train: TOML with the tables model, data and recipe, and a seed
    #[arg(value_name = "CONFIG.toml")]
    pub(crate) config: PathBuf,
    /// The corpus, in place of the one that the configuration names; as for `score --corpus`
    #[arg(long, value_name = "CORPUS")]
    pub(crate) corpus: Option<String>,
    /// The folder to write; while training goes on, OUT.training beside it holds the checkpoint
    #[arg(long, value_name = "MODEL")]
    pub(crate) out: PathBuf,
    /// Go on from the checkpoint of a training that was stopped, if there is one
    #[arg(long)]
    pub(crate) resume: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TrainTokenizer {
    /// What to learn from, as for `score --corpus`
    #[arg(long, value_name = "CORPUS")]
    pub(crate) corpus: String,
    /// Entries: the 256 bytes, merges, and <|endoftext|>
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<u64>::new().range(257..=1 << 20))]
    pub(crate) size: u64,
    /// The folder to write: vocab.bpe and encoder.json
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Learn from the first N documents only
    #[arg(long, value_name = "N", value_parser = positive())]
    pub(crate) max_documents: Option<u64>,
}

fn positive() -> RangedU64ValueParser<u64> {
    RangedU64ValueParser::new().range(1..=u64::from(u32::MAX))
}

fn shard(text: &str) -> Result<(u32, u32), String> {
    let parsed = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    match parsed {
        Some((index, of)) if (1..=of).contains(&index) => Ok((index, of)),
        _ => Err("not I/N with I from 1 to N, as in 2/8".into()),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.0..=1e6).contains(&seconds) => Ok(seconds),
        _ => Err("not a number of seconds".into()),
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    let roles = ["a", "b", "benchmark", "placebo", "oracle"];
    match text.split_once('=') {
        Some((role, name)) if roles.contains(&role) && !name.trim().is_empty() => {
            Ok((role.into(), name.into()))
        }
        _ => Err(format!("not ROLE=NAME with a role of {}", roles.join(", "))),
    }
}
