//! Finds out what one language model does better than another, token by token.
//!
//! Score a corpus under two models, then compare the two runs:
//!
//! ```no_run
//! use std::path::Path;
//!
//! use deltaloss::corpus::{Corpus, CorpusOptions, CorpusSource};
//! use deltaloss::records::TokenForm;
//! use deltaloss::{CompareOptions, ScoreOptions, compare_runs, open_scorer, score_to_folder};
//!
//! let corpus = Corpus::open(&CorpusSource::parse("builtin:python-stdlib")?, CorpusOptions::default())?;
//! for model in ["sparse", "dense"] {
//!     let mut scorer = open_scorer(&format!("builtin:{model}"), None)?;
//!     let out = Path::new("runs").join(model);
//!     let to = (out.as_path(), TokenForm::Full);
//!     score_to_folder(&mut scorer, &corpus, &ScoreOptions::default(), to, false, &mut |_| true)?;
//! }
//! let options = CompareOptions::new("runs/sparse", "runs/dense");
//! let comparison = compare_runs(&options, Path::new("comparison"), false)?;
//! println!("mean difference {:.4} nats", comparison.all.overall.pairs[0].mean_delta_nats.value);
//! # Ok::<(), deltaloss::Error>(())
//! ```
//!
//! This crate only wires the rooms together; each is re-exported under its own name. What is
//! written where, and what each room must not know, is in `ARCHITECTURE.md`.

mod bundled;
mod cache_folder;
mod compare;
mod demo;
mod downloads;
mod error;
mod experiment;
mod opened;
mod oracle;
mod scoring;
mod training;

pub use bundled::{BUNDLED_MODELS, BUNDLED_TOKENIZER};
pub use cache_folder::cache_folder;
pub use compare::{CompareOptions, compare_runs, write_comparison};
pub use deltaloss_checkpoint as checkpoint;
pub use deltaloss_corpus as corpus;
pub use deltaloss_kernels as kernels;
#[cfg(feature = "llama")]
pub use deltaloss_llama as llama;
pub use deltaloss_lm as lm;
pub use deltaloss_lm::{Progress, ScoreOptions, WindowMode};
pub use deltaloss_records as records;
pub use deltaloss_report as report;
pub use deltaloss_sources as sources;
pub use deltaloss_stats as stats;
pub use deltaloss_train as train;
pub use demo::{DEMO_DOCUMENTS, demo};
pub use downloads::{DownloadListener, Downloads, ModelPlace, open_corpus};
pub use error::Error;
pub use experiment::{
    AnalysesTable, CorpusTable, Experiment, ExperimentEvent, LeadChoice, ModeChoice, ModelTable, Models,
    RunCache, RunOptions, SolutionsChoice, WeightsChoice, WindowTable, run_experiment,
};
pub use opened::OpenComparison;
pub use scoring::{
    GgufOptions, find_tokenizer, is_gguf, open_gguf, open_model, open_scorer, open_tokenizer, score_in_parts,
    score_resumably, score_to_folder, try_gguf,
};
pub use training::{TrainEvent, TrainOptions, train_model, train_tokenizer};
