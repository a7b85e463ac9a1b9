//! A model's files, and the native model made of them.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use deltaloss_checkpoint::{Checkpoint, LoadReport, read_bounded};
use deltaloss_corpus::hex;
use deltaloss_kernels::{Isa, LossRow, TemperedRow};
use deltaloss_records::ModelInfo;
use sha2::{Digest, Sha256};

use crate::arch::circuit_sparsity::CircuitSparsity;
use crate::arch::tensors::WeightStatistics;
use crate::config::Config;
use crate::error::LmError;

/// Configurations have some thousand bytes.
const LARGEST_CONFIG: u64 = 16 << 20;
/// Names of the configuration file, in the order they are looked for.
const CONFIG_FILES: [&str; 2] = ["beeg_config.json", "config.json"];
/// Names of the weights file, likewise.
const WEIGHT_FILES: [&str; 3] = ["final_model.pt", "model.safetensors", "model.safetensors.zst"];

/// A model's configuration and weights, read but not yet understood.
#[derive(Debug)]
pub struct ModelFiles {
    /// The name shown in reports.
    pub name: String,
    /// Where they came from.
    pub source: String,
    /// The folder, if they came from one; its tokenizer is looked for there.
    pub folder: Option<PathBuf>,
    /// SHA-256 of the configuration's bytes, then the weights', hexadecimal.
    pub sha256: String,
    config_file: String,
    config: String,
    checkpoint: Checkpoint,
}

impl ModelFiles {
    /// Reads a folder in the circuit-sparsity layout: `beeg_config.json` (or `config.json`) and `final_model.pt`,
    /// `model.safetensors` or `model.safetensors.zst`.
    ///
    /// # Errors
    /// There is no such folder, it lacks a file, or a file cannot be read.
    pub fn open(folder: &Path) -> Result<Self, LmError> {
        let not_a_model = |problem: String| LmError::NotAModel { path: folder.to_owned(), problem };
        if !folder.exists() {
            return Err(not_a_model("there is no such folder".into()));
        }
        if !folder.is_dir() {
            return Err(not_a_model(
                "it is a file; name the folder that holds it and beeg_config.json".into(),
            ));
        }
        let find = |names: &[&str]| names.iter().map(|name| folder.join(name)).find(|path| path.is_file());
        let config_path = find(&CONFIG_FILES)
            .ok_or_else(|| not_a_model(format!("it has no {}", CONFIG_FILES.join(" or "))))?;
        let weights_path = find(&WEIGHT_FILES)
            .ok_or_else(|| not_a_model(format!("it has no {}", WEIGHT_FILES.join(" or "))))?;
        let config = read_bounded(&config_path, LARGEST_CONFIG)?;
        let mut hash = Sha256::new_with_prefix(&config);
        let mut file = File::open(&weights_path).map_err(LmError::io(&weights_path, "open it"))?;
        copy_into(&mut file, &mut hash).map_err(LmError::io(&weights_path, "read it"))?;
        let config_file = config_path.display().to_string();
        let config = String::from_utf8(config)
            .map_err(|error| LmError::Config { file: config_file.clone(), problem: error.to_string() })?;
        let absolute = folder.canonicalize().map_err(LmError::io(folder, "resolve it"))?;
        let name =
            absolute.file_name().map_or_else(|| "model".into(), |name| name.to_string_lossy().into_owned());
        Ok(ModelFiles {
            name,
            source: folder.display().to_string(),
            folder: Some(folder.to_owned()),
            sha256: hex(&hash.finalize()),
            config_file,
            config,
            checkpoint: Checkpoint::open(&weights_path)?,
        })
    }

    /// A model that is part of the program.
    ///
    /// # Errors
    /// The bytes are no checkpoint.
    pub fn from_memory(
        name: &str,
        source: &str,
        config: &str,
        weights: &'static [u8],
    ) -> Result<Self, LmError> {
        let hash = Sha256::new_with_prefix(config).chain_update(weights);
        Ok(ModelFiles {
            name: name.to_owned(),
            source: source.to_owned(),
            folder: None,
            sha256: hex(&hash.finalize()),
            config_file: format!("{source}: beeg_config.json"),
            config: config.to_owned(),
            checkpoint: Checkpoint::from_bytes(source, weights)?,
        })
    }

    /// The configuration as it lies in the file, JSON.
    pub fn config_json(&self) -> &str {
        &self.config
    }

    /// The weights as they lie in the file.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The configuration.
    ///
    /// # Errors
    /// It cannot be run; see [`Config::from_json`].
    pub fn config(&self) -> Result<Config, LmError> {
        Config::from_json(&self.config, &self.config_file)
    }
}

/// Hashes a file of any size without holding it.
fn copy_into(file: &mut File, hash: &mut Sha256) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        hash.update(&buffer[..read]);
    }
}

/// A model that the native engine runs.
#[derive(Clone, Debug)]
pub struct NativeModel {
    info: ModelInfo,
    network: CircuitSparsity,
    report: LoadReport,
}

impl NativeModel {
    /// Builds the model; its kernels run on `isa`.
    ///
    /// # Errors
    /// The configuration cannot be run, or the weights do not fit it or are not finite.
    pub fn load(files: &ModelFiles, isa: Isa) -> Result<Self, LmError> {
        let config = files.config()?;
        let architecture = config.describe();
        let (network, report) = CircuitSparsity::load(&files.name, config, &files.checkpoint, isa)?;
        let WeightStatistics { parameters, nonzero_parameters, .. } = network.statistics();
        let info = ModelInfo {
            name: files.name.clone(),
            source: files.source.clone(),
            sha256: files.sha256.clone(),
            architecture,
            parameters,
            nonzero_parameters,
        };
        Ok(NativeModel { info, network, report })
    }

    /// Provenance and size.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    pub(crate) fn rename(&mut self, name: &str) {
        name.clone_into(&mut self.info.name);
    }

    pub(crate) fn set_source(&mut self, source: &str) {
        source.clone_into(&mut self.info.source);
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        self.network.config()
    }

    /// What was used of the checkpoint.
    pub fn report(&self) -> &LoadReport {
        &self.report
    }

    /// Counts of parameters and of layers stored sparse.
    pub fn statistics(&self) -> WeightStatistics {
        self.network.statistics()
    }

    /// The instruction set its kernels run on.
    pub fn isa(&self) -> Isa {
        self.network.isa()
    }

    /// Logits `[T, V]`, row-major, after each of `T` inputs.
    ///
    /// # Errors
    /// More inputs than the context, or an input beyond the vocabulary.
    pub fn logits(&self, inputs: &[u32]) -> Result<Vec<f32>, LmError> {
        self.check(inputs)?;
        Ok(self.network.logits(inputs))
    }

    /// What each position from `skip` on says about its target, in `inputs.len() - skip` rows.
    ///
    /// # Errors
    /// More inputs than the context, inputs and targets of different number, or a token beyond the vocabulary.
    pub fn losses(&self, inputs: &[u32], targets: &[u32], skip: usize) -> Result<Vec<LossRow>, LmError> {
        Ok(self.losses_tempered(inputs, targets, skip, &[])?.0)
    }

    /// [`NativeModel::losses`], and from the same logits what softmax(β·logits) gives, in `betas.len()` rows a position for
    /// `betas` in their order.
    ///
    /// # Errors
    /// As [`NativeModel::losses`], or an inverse temperature that is not a positive number.
    pub fn losses_tempered(
        &self,
        inputs: &[u32],
        targets: &[u32],
        skip: usize,
        betas: &[f32],
    ) -> Result<(Vec<LossRow>, Vec<TemperedRow>), LmError> {
        self.check(inputs)?;
        self.check(targets)?;
        if inputs.len() != targets.len() || skip > inputs.len() {
            let (inputs, targets) = (inputs.len(), targets.len());
            return Err(LmError::Window(format!(
                "{inputs} inputs, {targets} targets, {skip} of them to skip"
            )));
        }
        if let Some(beta) = betas.iter().find(|beta| !(beta.is_finite() && **beta > 0.0)) {
            return Err(LmError::Window(format!("an inverse temperature of {beta}; it must be above 0")));
        }
        Ok(self.network.losses(inputs, targets, skip, betas))
    }

    fn check(&self, tokens: &[u32]) -> Result<(), LmError> {
        let Config { block_size, vocab_size, .. } = *self.config();
        if tokens.len() > block_size {
            let problem =
                format!("a window of {} tokens, but the model's context is {block_size}", tokens.len());
            return Err(LmError::Window(problem));
        }
        match tokens.iter().find(|&&token| token as usize >= vocab_size) {
            Some(token) => {
                Err(LmError::Window(format!("token {token} is beyond the vocabulary of {vocab_size}")))
            }
            None => Ok(()),
        }
    }
}
