//! A GGUF model as a [`Scorer`].

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::OnceLock;

use deltaloss_kernels::{Isa, LossRow, TemperedRow, loss_row_tempered};
use deltaloss_lm::{
    LmError, LossSums, Rows, ScoreFailure, Scorer, Token, Window, loss_sums_of_rows, scores_of_rows,
};
use deltaloss_records::{EngineInfo, ModelInfo, TokenScore, TokenizerInfo};
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::{KvCacheType, LlamaContextParams};
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::{LogOptions, send_logs_to_tracing};
use rayon::prelude::*;

use crate::gguf::GgufHeader;
use crate::log::overhear;
use crate::vocabulary::Vocabulary;

/// The version of the bindings, which is that of the llama.cpp they bring along.
const BINDINGS: &str = "llama-cpp-2 0.1.160";
/// `LLAMA_FLASH_ATTN_TYPE_DISABLED` of llama.h.
const NO_FLASH_ATTENTION: i32 = 0;
/// The smallest room for a window, inputs.
const LEAST_ROOM: usize = 256;

/// How to run a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LlamaOptions {
    /// Layers whose weights go to the GPU, where the build has one; `None` is none.
    pub gpu_layers: Option<u32>,
    /// Inputs that go through the model at once. Memory is so many rows of logits; the numbers depend on it in their
    /// last digits.
    pub batch: usize,
}

impl Default for LlamaOptions {
    fn default() -> Self {
        LlamaOptions { gpu_layers: None, batch: 512 }
    }
}

/// A GGUF model, run by llama.cpp, with the tokenizer that its file holds.
///
/// A window is computed by itself, in parts of [`LlamaOptions::batch`] inputs and in room whose size depends on its own
/// length, so its numbers do not depend on other windows.
#[derive(Debug)]
pub struct LlamaScorer {
    info: ModelInfo,
    tokenizer: TokenizerInfo,
    vocabulary: Vocabulary,
    model: LlamaModel,
    context: usize,
    beginning_of_text: Option<u32>,
    adds_beginning_of_text: bool,
    options: LlamaOptions,
    isa: Isa,
}

/// llama.cpp's global state, made once and never ended.
fn backend() -> Result<&'static LlamaBackend, String> {
    static BACKEND: OnceLock<Result<LlamaBackend, String>> = OnceLock::new();
    BACKEND
        .get_or_init(|| {
            send_logs_to_tracing(LogOptions::default());
            LlamaBackend::init().map_err(|error| error.to_string())
        })
        .as_ref()
        .map_err(Clone::clone)
}

impl LlamaScorer {
    /// Loads the model in the file at `path`.
    ///
    /// # Errors
    /// As [`GgufHeader::read`]; also when llama.cpp cannot load the model, or memory is short.
    pub fn open(path: &Path, options: LlamaOptions) -> Result<Self, LmError> {
        let not_a_model = |problem: String| LmError::NotAModel { path: path.to_owned(), problem };
        let header = GgufHeader::read(path)?;
        if options.batch < 2 {
            return Err(LmError::Window(format!("a batch of {} inputs; give at least 2", options.batch)));
        }
        let backend = backend().map_err(not_a_model)?;
        if options.gpu_layers.is_some_and(|layers| layers > 0) && !backend.supports_gpu_offload() {
            return Err(not_a_model(
                "layers were to go to a GPU, but this build of llama.cpp finds none; build with the feature cuda, vulkan \
                 or metal, or leave --gpu-layers out"
                    .into(),
            ));
        }
        let params = LlamaModelParams::default().with_n_gpu_layers(options.gpu_layers.unwrap_or(0));
        let (model, heard) = overhear(|| LlamaModel::load_from_file(backend, path, &params));
        let model = model.map_err(|_| not_a_model(format!("llama.cpp cannot load it: {heard}")))?;
        let vocabulary = Vocabulary::new(&model);
        if vocabulary.len() as u64 != header.vocabulary {
            let (got, due) = (vocabulary.len(), header.vocabulary);
            return Err(not_a_model(format!("llama.cpp finds {got} tokens in it, its header {due}")));
        }
        if model.decode_start_token().0 >= 0 {
            return Err(not_a_model("it has an encoder; name a model that is a decoder alone".into()));
        }
        let vocab = model.vocab();
        let beginning_of_text = u32::try_from(vocab.bos().0).ok();
        let adds_beginning_of_text = vocab.should_add_bos() && beginning_of_text.is_some();
        Ok(LlamaScorer {
            info: ModelInfo {
                name: path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
                source: path.display().to_string(),
                sha256: file_sha256(path)?,
                architecture: header.describe(),
                parameters: header.parameters,
                nonzero_parameters: header.parameters,
            },
            tokenizer: TokenizerInfo {
                name: header.tokenizer,
                sha256: header.tokenizer_sha256,
                size: header.vocabulary,
            },
            vocabulary,
            context: header.context as usize,
            beginning_of_text,
            adds_beginning_of_text,
            model,
            options,
            isa: Isa::best(),
        })
    }

    /// Gives the model another name in reports.
    pub fn rename(&mut self, name: &str) {
        name.clone_into(&mut self.info.name);
    }

    fn failed(&self, problem: impl Into<String>) -> LmError {
        LmError::Engine { model: self.info.name.clone(), problem: problem.into() }
    }

    /// Room for windows of up to `room` inputs, one at a time.
    fn room(&self, room: usize) -> Result<LlamaContext<'_>, LmError> {
        let batch = self.options.batch.min(room) as u32;
        let threads = threads() as i32;
        let params = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(room as u32))
            .with_n_batch(batch)
            .with_n_ubatch(batch)
            .with_n_seq_max(1)
            .with_n_threads(threads)
            .with_n_threads_batch(threads)
            .with_flash_attention_policy(NO_FLASH_ATTENTION)
            .with_type_k(KvCacheType::F32)
            .with_type_v(KvCacheType::F32)
            .with_no_perf(true);
        let backend = backend().map_err(|problem| self.failed(problem))?;
        let (context, heard) = overhear(|| self.model.new_context(backend, params));
        context.map_err(|_| {
            self.failed(format!(
                "llama.cpp cannot make room for windows of {room} inputs: {heard}. Give a shorter --context or a smaller \
                 --batch"
            ))
        })
    }

    /// The rows of every window at `betas`.
    fn rows(&self, windows: &[Window<'_>], betas: &[f32]) -> Result<Vec<Rows>, LmError> {
        let mut rows: Vec<Rows> = vec![Rows::default(); windows.len()];
        let rooms: Vec<usize> =
            windows.iter().map(|window| room_for(window.inputs.len(), self.context)).collect();
        let mut sizes = rooms.clone();
        sizes.sort_unstable();
        sizes.dedup();
        for size in sizes {
            let mut context = self.room(size)?;
            for (index, window) in windows.iter().enumerate().filter(|(index, _)| rooms[*index] == size) {
                rows[index] = self.window(&mut context, window, betas)?;
            }
        }
        Ok(rows)
    }

    fn window(
        &self,
        context: &mut LlamaContext<'_>,
        window: &Window<'_>,
        betas: &[f32],
    ) -> Result<Rows, LmError> {
        if window.inputs.len() > self.context {
            let (inputs, longest) = (window.inputs.len(), self.context);
            return Err(self.failed(format!("a window of {inputs} inputs; the model was made for {longest}")));
        }
        let size = self.options.batch.min(context.n_batch() as usize);
        let mut batch = LlamaBatch::new(size, 1);
        let mut rows = Rows::default();
        context.clear_kv_cache();
        for start in (0..window.inputs.len()).step_by(size) {
            let part = start..window.inputs.len().min(start + size);
            batch.clear();
            for at in part.clone() {
                let token = self.token(window.inputs[at])?;
                batch
                    .add(token, at as i32, &[0], at >= window.skip)
                    .map_err(|error| self.failed(error.to_string()))?;
            }
            let (decoded, heard) = overhear(|| context.decode(&mut batch));
            decoded.map_err(|error| self.failed(format!("llama.cpp failed: {error}; {heard}")))?;
            let recorded = part.start.max(window.skip)..part.end;
            let logits: Vec<(&[f32], u32)> = recorded
                .map(|at| (context.get_logits_ith((at - part.start) as i32), window.targets[at]))
                .collect();
            self.append(&logits, betas, &mut rows)?;
        }
        Ok(rows)
    }

    fn token(&self, id: u32) -> Result<LlamaToken, LmError> {
        if id as usize >= self.vocabulary.len() {
            return Err(self.failed(format!("token {id} of a vocabulary of {}", self.vocabulary.len())));
        }
        Ok(LlamaToken(id as i32))
    }

    /// Adds the rows of some targets.
    fn append(&self, logits: &[(&[f32], u32)], betas: &[f32], rows: &mut Rows) -> Result<(), LmError> {
        for &(_, target) in logits {
            self.token(target)?;
        }
        let row = |&(logits, target): &(&[f32], u32)| -> (LossRow, Vec<TemperedRow>) {
            let mut tempered = vec![TemperedRow::default(); betas.len()];
            let row = loss_row_tempered(self.isa, logits, target as usize, betas, &mut tempered);
            (row, tempered)
        };
        let computed: Vec<_> = logits.par_iter().map(row).collect();
        for (row, tempered) in computed {
            rows.0.push(row);
            rows.1.extend(tempered);
        }
        Ok(())
    }
}

/// Threads for llama.cpp: as many as our own, but never more than there are cores.
fn threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    rayon::current_num_threads().min(cores)
}

/// Inputs that there is to be room for, from a window's own length alone: some models choose their position encoding
/// by it.
fn room_for(inputs: usize, longest: usize) -> usize {
    inputs.next_power_of_two().min(longest).max(inputs).max(LEAST_ROOM)
}

fn file_sha256(path: &Path) -> Result<String, LmError> {
    use sha2::{Digest, Sha256};
    let io = |action| {
        let path = path.to_owned();
        move |source| LmError::Io { path, action, source }
    };
    let mut file = std::fs::File::open(path).map_err(io("open it"))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 4 << 20];
    loop {
        match std::io::Read::read(&mut file, &mut buffer).map_err(io("read it"))? {
            0 => return Ok(deltaloss_corpus::hex(&hash.finalize())),
            read => hash.update(&buffer[..read]),
        }
    }
}

impl Scorer for LlamaScorer {
    fn model(&self) -> &ModelInfo {
        &self.info
    }

    fn engine(&self) -> EngineInfo {
        EngineInfo {
            version: format!(
                "deltaloss-llama {} ({BINDINGS}), {} inputs at once, {} layers on a GPU",
                env!("CARGO_PKG_VERSION"),
                self.options.batch,
                self.options.gpu_layers.unwrap_or(0)
            ),
            instruction_set: self.isa.to_string(),
            threads: threads() as u32,
        }
    }

    fn tokenizer(&self) -> &TokenizerInfo {
        &self.tokenizer
    }

    fn context(&self) -> usize {
        self.context
    }

    fn beginning_of_text(&self) -> Option<u32> {
        self.beginning_of_text
    }

    fn adds_beginning_of_text(&self) -> bool {
        self.adds_beginning_of_text
    }

    fn encode(&self, texts: &[&str]) -> Result<Vec<Vec<Token>>, LmError> {
        let encoded = self.vocabulary.encode(&self.model, texts, threads());
        let encoded = encoded.map_err(|error| self.failed(format!("cannot start a thread: {error}")))?;
        encoded.map_err(|(text, unspelt)| LmError::Encode {
            tokenizer: self.tokenizer.name.clone(),
            text,
            byte: unspelt.byte,
            problem: unspelt.problem,
        })
    }

    fn score(
        &mut self,
        windows: &[Window<'_>],
        beta: Option<f32>,
    ) -> Result<Vec<Vec<TokenScore>>, ScoreFailure> {
        let rows = self.rows(windows, beta.as_slice()).map_err(ScoreFailure::Engine)?;
        scores_of_rows(windows, &rows)
    }

    fn calibrates(&self) -> bool {
        true
    }

    fn loss_sums(
        &mut self,
        windows: &[Window<'_>],
        betas: &[f32],
    ) -> Result<Vec<Vec<LossSums>>, ScoreFailure> {
        let rows = self.rows(windows, betas).map_err(ScoreFailure::Engine)?;
        loss_sums_of_rows(windows, &rows, betas.len())
    }
}
