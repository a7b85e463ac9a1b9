//! A whole training: from a configuration and a corpus to a folder in the released layout.
//!
//! While it goes on, `OUT.training/` beside the output holds the last checkpoint. The model's folder is made in there
//! and moved to its place at the end, so it appears whole or not at all.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Instant;

use deltaloss_checkpoint::{Compression, Dtype, TensorToWrite, atomic_write, write_safetensors};
use deltaloss_corpus::Corpus;
use deltaloss_kernels::Isa;
use deltaloss_lm::Tokenizer;
use serde_json::json;

use crate::checkpoint::{self, Identity, Saved};
use crate::config::TrainConfig;
use crate::curve::Curve;
use crate::data::{Data, DataInfo};
use crate::error::TrainError;
use crate::init::initial_parameters;
use crate::layout::Layout;
use crate::step::{Batch, Recipe, StepReport, Trainer};

/// Steps that the loss at the end, and a test for divergence, are averaged over.
const RECENT_STEPS: usize = 50;
/// A model that is worse than equal probabilities by this much, nats, is not learning any more.
const WORSE_THAN_EQUAL_NATS: f64 = 1.0;
const CHECKPOINT: &str = "checkpoint.safetensors";

/// What a listener hears; it returns whether to go on.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum TrainProgress {
    /// Documents read and tokenised so far.
    Reading {
        /// So many.
        documents: u64,
    },
    /// Training begins.
    Started {
        /// Steps of the whole training.
        steps: u64,
        /// Steps done before.
        done: u64,
        /// Targets of a step.
        tokens_per_step: u64,
    },
    /// A step was done.
    Stepped(StepReport),
}

/// A tokenizer with its files, which the model's folder gets a copy of.
#[derive(Debug)]
pub struct TrainingTokenizer {
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// Name and content of each of its files.
    pub files: Vec<(String, Vec<u8>)>,
}

/// What a training came to.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainSummary {
    /// Steps.
    pub steps: u64,
    /// Targets seen.
    pub tokens: u64,
    /// Mean training loss of the last steps, nats.
    pub loss_nats: f64,
    /// All parameters, and those that are not zero.
    pub parameters: u64,
    /// Those that are not zero.
    pub nonzero_parameters: u64,
    /// Time spent on steps.
    pub elapsed_seconds: f64,
}

/// Trains a model into `out`. `config_file` is named in errors about the configuration.
///
/// # Errors
/// `out` exists or another process trains it, or an unfinished training of it is there and `resume` is off, or there is one that does not fit; the data cannot
/// be read; the run diverges; `progress` stopped it (then a checkpoint was written).
pub fn train(
    config: &TrainConfig,
    config_file: &str,
    corpus: &Corpus,
    tokenizer: &TrainingTokenizer,
    out: &Path,
    resume: bool,
    progress: &mut dyn FnMut(TrainProgress) -> bool,
) -> Result<TrainSummary, TrainError> {
    let folders = Folders::new(out, resume)?;
    let size = tokenizer.tokenizer.size();
    let model = config.model_config(size, &tokenizer.tokenizer.info().name, config_file)?;
    let data = Data::read(corpus, &tokenizer.tokenizer, model.block_size, config.seed, &mut |documents| {
        progress(TrainProgress::Reading { documents })
    })?;
    let recipe = config.recipe.resolve(data.info().sequences);
    let identity = identity(config, data.info());
    let train_positions = config.recipe.train_positions;
    let layout = Layout::new(&model, train_positions);
    let mut run = if resume && folders.checkpoint.is_file() {
        let saved = checkpoint::load(&folders.checkpoint, &identity, &layout)?;
        let curve = Curve { losses: saved.losses, gradient_sizes: saved.gradient_sizes };
        let trainer =
            Trainer::resume(model, train_positions, saved.parameters, saved.moments, saved.step, Isa::best());
        Run::new(trainer, recipe, curve, data, identity, folders, saved.elapsed_seconds)
    } else {
        let parameters = initial_parameters(&model, &layout, config.seed);
        let trainer = Trainer::new(model, train_positions, parameters, Isa::best());
        Run::new(trainer, recipe, Curve::default(), data, identity, folders, 0.0)
    };
    let lock = run.folders.lock()?;
    run.go(config, progress)?;
    run.write_model(config, tokenizer, lock)
}

/// Where things lie.
#[derive(Debug)]
struct Folders {
    out: PathBuf,
    working: PathBuf,
    checkpoint: PathBuf,
}

impl Folders {
    /// Makes the working folder and keeps other processes out of it for as long as the answer lives; the system lets go of it
    /// with the process.
    fn lock(&self) -> Result<File, TrainError> {
        let working = &self.working;
        fs::create_dir_all(working).map_err(TrainError::io(working, "create the folder"))?;
        let path = working.join("lock");
        let lock = File::options().create(true).truncate(false).write(true).open(&path);
        let lock = lock.map_err(TrainError::io(&path, "open it"))?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => Err(TrainError::Busy { path: self.out.clone() }),
            // A file system without locks: better unguarded than not at all.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(lock),
        }
    }

    fn new(out: &Path, resume: bool) -> Result<Self, TrainError> {
        if fs::symlink_metadata(out).is_ok() {
            return Err(TrainError::OutputExists { path: out.to_owned() });
        }
        let Some(name) = out.file_name() else {
            let source = std::io::Error::from(std::io::ErrorKind::InvalidInput);
            return Err(TrainError::io(out, "make a folder of this name")(source));
        };
        let mut name = name.to_owned();
        name.push(".training");
        let working = out.with_file_name(name);
        let checkpoint = working.join(CHECKPOINT);
        if !resume && checkpoint.exists() {
            return Err(TrainError::Unfinished { path: working });
        }
        Ok(Folders { out: out.to_owned(), working, checkpoint })
    }
}

/// The configuration and the data's content, which a checkpoint must agree with.
fn identity(config: &TrainConfig, info: &DataInfo) -> Identity {
    // Where the corpus lies, and how often it is saved, do not matter.
    let mut config = config.clone();
    config.data.corpus = String::new();
    config.data.tokenizer = String::new();
    config.recipe.checkpoint_every_steps = 0;
    let text = serde_json::to_string(&config).unwrap_or_default();
    Identity::from([
        ("configuration".to_owned(), text),
        ("corpus sha256".to_owned(), info.corpus_sha256.clone()),
        ("tokenizer sha256".to_owned(), info.tokenizer_sha256.clone()),
        // Bits differ between instruction sets.
        ("instruction set".to_owned(), Isa::best().to_string()),
    ])
}

struct Run {
    trainer: Trainer,
    recipe: Recipe,
    curve: Curve,
    data: Data,
    identity: Identity,
    folders: Folders,
    elapsed_before: f64,
    started: Instant,
    /// The last checkpoint's step.
    saved: u64,
}

impl Run {
    fn new(
        trainer: Trainer,
        recipe: Recipe,
        curve: Curve,
        data: Data,
        identity: Identity,
        folders: Folders,
        elapsed_before: f64,
    ) -> Self {
        let saved = trainer.step();
        let started = Instant::now();
        Run { trainer, recipe, curve, data, identity, folders, elapsed_before, started, saved }
    }

    fn elapsed_seconds(&self) -> f64 {
        self.elapsed_before + self.started.elapsed().as_secs_f64()
    }

    fn go(
        &mut self,
        config: &TrainConfig,
        progress: &mut dyn FnMut(TrainProgress) -> bool,
    ) -> Result<(), TrainError> {
        let sequences = config.recipe.batch_sequences;
        let context = self.trainer.config().block_size;
        let steps = self.recipe.schedule.steps;
        let done = self.trainer.step();
        let tokens_per_step = (sequences * context) as u64;
        let mut goes_on = progress(TrainProgress::Started { steps, done, tokens_per_step });
        while self.trainer.step() < steps {
            if !goes_on {
                self.save()?;
                let path = self.folders.checkpoint.clone();
                return Err(TrainError::Interrupted { step: self.trainer.step(), steps, path });
            }
            let tokens = self.data.batch(self.trainer.step(), sequences);
            let batch = Batch { tokens: &tokens, sequence_tokens: context + 1 };
            let report = self.trainer.take_step(&self.recipe, batch);
            if !report.is_finite() {
                let problem =
                    format!("the loss is {}, the gradient's size {}", report.loss_nats, report.gradient_rms);
                return Err(self.diverged(report.step, problem));
            }
            self.curve.losses.push(report.loss_nats as f32);
            self.curve.gradient_sizes.push(report.gradient_rms as f32);
            self.check_learning(report.step)?;
            goes_on = progress(TrainProgress::Stepped(report));
            if self.trainer.step().is_multiple_of(config.recipe.checkpoint_every_steps) {
                self.save()?;
            }
        }
        Ok(())
    }

    /// A model that has become worse than equal probabilities does not come back.
    fn check_learning(&self, step: u64) -> Result<(), TrainError> {
        let equal = (self.trainer.config().vocab_size as f64).ln();
        if self.curve.losses.len() < RECENT_STEPS {
            return Ok(());
        }
        let recent = self.curve.recent_loss(RECENT_STEPS);
        if recent <= equal + WORSE_THAN_EQUAL_NATS {
            return Ok(());
        }
        let problem = format!(
            "the mean loss of the last {RECENT_STEPS} steps is {recent:.3} nats, while equal probabilities give {equal:.3}"
        );
        Err(self.diverged(step, problem))
    }

    fn diverged(&self, step: u64, problem: String) -> TrainError {
        let schedule = &self.recipe.schedule;
        TrainError::Diverged {
            step,
            steps: schedule.steps,
            problem,
            saved: self.saved,
            path: self.folders.working.clone(),
            peak: schedule.peak_learning_rate,
        }
    }

    fn save(&mut self) -> Result<(), TrainError> {
        let saved = Saved {
            step: self.trainer.step(),
            elapsed_seconds: self.elapsed_seconds(),
            parameters: self.trainer.parameters().to_vec(),
            moments: self.trainer.moments().clone(),
            losses: self.curve.losses.clone(),
            gradient_sizes: self.curve.gradient_sizes.clone(),
        };
        checkpoint::save(&self.folders.checkpoint, &self.identity, &saved)?;
        self.saved = saved.step;
        Ok(())
    }

    /// Writes the model's folder and moves it to its place.
    fn write_model(
        &mut self,
        config: &TrainConfig,
        tokenizer: &TrainingTokenizer,
        lock: File,
    ) -> Result<TrainSummary, TrainError> {
        // A kill from here on costs no step.
        self.save()?;
        let summary = self.summary(config);
        let folder = self.folders.working.join("model");
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(TrainError::io(&folder, "remove what a kill left there"))?;
        }
        fs::create_dir(&folder).map_err(TrainError::io(&folder, "create the folder"))?;
        let (size, name) = (tokenizer.tokenizer.size(), &tokenizer.tokenizer.info().name);
        let tokens_per_step = summary.tokens / summary.steps.max(1);
        let text = |name: &str, text: &str| atomic_write(folder.join(name), text.as_bytes());
        text("beeg_config.json", &config.model_json(size, name))?;
        text("loss.csv", &self.curve.csv(&self.recipe.schedule, tokens_per_step))?;
        text("loss.svg", &self.curve.svg())?;
        text("training.json", &self.training_json(config, &summary))?;
        for (name, content) in &tokenizer.files {
            atomic_write(folder.join(name), content)?;
        }
        self.write_weights(&folder.join("model.safetensors"))?;
        fs::rename(&folder, &self.folders.out)
            .map_err(TrainError::io(&self.folders.out, "move the finished model here"))?;
        // What comes now finds the model, and goes away. Some systems do not remove a file that is open.
        drop(lock);
        let working = &self.folders.working;
        fs::remove_dir_all(working).map_err(TrainError::io(working, "remove the working folder"))?;
        Ok(summary)
    }

    fn write_weights(&self, path: &Path) -> Result<(), TrainError> {
        let parameters = self.trainer.parameters();
        let mut tensors = Vec::new();
        for parameter in self.trainer.layout().parameters() {
            let data = &parameters[parameter.range.clone()];
            let shape = &parameter.shape;
            tensors.push(TensorToWrite { name: &parameter.name, dtype: Dtype::F32, shape, data });
            if self.trainer.config().tied_unembed && parameter.name == "transformer.wte.weight" {
                // The published class has the shared matrix under both names.
                tensors.push(TensorToWrite { name: "lm_head.weight", dtype: Dtype::F32, shape, data });
            }
        }
        write_safetensors(path, &tensors, &Default::default(), Compression::None)?;
        Ok(())
    }

    fn summary(&self, config: &TrainConfig) -> TrainSummary {
        let parameters = self.trainer.parameters();
        let per_step = config.recipe.batch_sequences * self.trainer.config().block_size;
        TrainSummary {
            steps: self.trainer.step(),
            tokens: self.trainer.step() * per_step as u64,
            loss_nats: self.curve.recent_loss(RECENT_STEPS),
            parameters: parameters.len() as u64,
            nonzero_parameters: parameters.iter().filter(|&&p| p != 0.0).count() as u64,
            elapsed_seconds: self.elapsed_seconds(),
        }
    }

    fn training_json(&self, config: &TrainConfig, summary: &TrainSummary) -> String {
        let points: Vec<_> = self
            .curve
            .points()
            .into_iter()
            .map(|(step, loss)| json!({"step": step, "loss_nats": (loss * 1e6).round() / 1e6}))
            .collect();
        let nonzero: serde_json::Map<_, _> = self
            .trainer
            .layout()
            .parameters()
            .iter()
            .map(|p| {
                let values = &self.trainer.parameters()[p.range.clone()];
                (p.name.clone(), json!(values.iter().filter(|&&v| v != 0.0).count()))
            })
            .collect();
        let value = json!({
            "schema": 1,
            "configuration": config,
            "recipe": self.recipe,
            "data": self.data.info(),
            "steps": summary.steps,
            "tokens": summary.tokens,
            "loss_nats": summary.loss_nats,
            "loss_steps": RECENT_STEPS.min(self.curve.losses.len()),
            "parameters": summary.parameters,
            "nonzero_parameters": summary.nonzero_parameters,
            "nonzero_by_tensor": nonzero,
            "elapsed_seconds": summary.elapsed_seconds,
            "tokens_per_second": summary.tokens as f64 / summary.elapsed_seconds.max(1e-9),
            "engine": {
                "version": env!("CARGO_PKG_VERSION"),
                "instruction_set": Isa::best().to_string(),
                "threads": rayon::current_num_threads(),
            },
            "curve": points,
        });
        serde_json::to_string_pretty(&value).unwrap_or_default() + "\n"
    }
}
