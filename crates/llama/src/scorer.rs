//! A GGUF model as a [`Scorer`].

use std::num::NonZeroU32;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use deltaloss_kernels::{Isa, LossRow, TemperedRow, loss_row_tempered};
use deltaloss_lm::{
    LmError, LossSums, Rows, ScoreFailure, Scorer, Token, Window, loss_sums_of_rows, scores_of_rows,
};
use deltaloss_records::{EngineInfo, ModelInfo, TokenScore, TokenizerInfo};
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::{KvCacheType, LlamaContextParams};
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use rayon::prelude::*;

use crate::gguf::GgufHeader;
use crate::log::overhear;
use crate::open::{LlamaOptions, Weights, backend, file_sha256, load, wants_widening};
use crate::vocabulary::{EncodeFailure, Unspelt, Vocabulary};

/// The version of the bindings, which is that of the llama.cpp they bring along.
const BINDINGS: &str = "llama-cpp-2 0.1.160";
/// `LLAMA_FLASH_ATTN_TYPE_AUTO` of llama.h: wherever the device has it. It takes keys and values as 16-bit floats.
const FLASH_ATTENTION: i32 = -1;
/// The most windows computed side by side on a processor: each needs its own rows of logits.
const MOST_WORKERS: usize = 16;
/// The fewest inputs at once: below, nothing is gained but waiting.
const LEAST_BATCH: usize = 32;
/// The smallest room for a window, inputs.
const LEAST_ROOM: usize = 256;

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
    /// Whether the weights were widened.
    widened: bool,
    isa: Isa,
}

impl LlamaScorer {
    /// Loads the model in the file at `path`.
    ///
    /// # Errors
    /// As [`GgufHeader::read`]; also when llama.cpp cannot load the model, or memory is short.
    pub fn open(path: &Path, options: LlamaOptions) -> Result<Self, LmError> {
        let mut scorer = Self::open_unhashed(path, options)?;
        scorer.info.sha256 = file_sha256(path)?;
        Ok(scorer)
    }

    /// Loads the model in the file at `path`, cuts a text and predicts one token, and forgets all of it: where that ends the
    /// process, which llama.cpp may do with a damaged file, it should be another one than that which is to go on.
    ///
    /// # Errors
    /// As [`LlamaScorer::open`].
    pub fn try_out(path: &Path) -> Result<(), LmError> {
        let options = LlamaOptions { weights: Weights::Stored, ..LlamaOptions::default() };
        let mut scorer = Self::open_unhashed(path, options)?;
        scorer.encode(&["def f(x):\n    return 1\n"])?;
        let window = Window { inputs: &[0, 0], targets: &[0, 0], skip: 0 };
        match scorer.score(&[window], None) {
            Err(ScoreFailure::Engine(error)) => Err(error),
            _ => Ok(()),
        }
    }

    fn open_unhashed(path: &Path, options: LlamaOptions) -> Result<Self, LmError> {
        let not_a_model = |problem: String| LmError::NotAModel { path: path.to_owned(), problem };
        let header = GgufHeader::read(path)?;
        if options.batch < LEAST_BATCH {
            let batch = options.batch;
            return Err(LmError::Window(format!("a batch of {batch} inputs; give at least {LEAST_BATCH}")));
        }
        let backend = backend().map_err(not_a_model)?;
        if options.gpu_layers.is_some_and(|layers| layers > 0) && !backend.supports_gpu_offload() {
            return Err(not_a_model(
                "layers were to go to a GPU, but this build of llama.cpp finds none; build with the feature cuda, vulkan \
                 or metal, or leave --gpu-layers out"
                    .into(),
            ));
        }
        let widened = wants_widening(&header, &options).map_err(not_a_model)?;
        let model = load(backend, path, &header, &options, widened)?;
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
                sha256: String::new(),
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
            widened,
            isa: Isa::best(),
        })
    }

    /// Gives the model another name in reports.
    pub fn rename(&mut self, name: &str) {
        name.clone_into(&mut self.info.name);
    }

    /// Records that the model came from elsewhere than where its file lies.
    pub fn set_source(&mut self, source: &str) {
        source.clone_into(&mut self.info.source);
    }

    fn on_gpu(&self) -> bool {
        self.options.gpu_layers.is_some_and(|layers| layers > 0)
    }

    fn failed(&self, problem: impl Into<String>) -> LmError {
        LmError::Engine { model: self.info.name.clone(), problem: problem.into() }
    }

    /// Room for windows of up to `room` inputs, one at a time, computed by `threads` threads.
    fn room(&self, room: usize, threads: usize) -> Result<LlamaContext<'_>, LmError> {
        let batch = self.options.batch.min(room) as u32;
        let params = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(room as u32))
            .with_n_batch(batch)
            .with_n_ubatch(batch)
            .with_n_seq_max(1)
            .with_n_threads(threads as i32)
            .with_n_threads_batch(threads as i32)
            .with_flash_attention_policy(FLASH_ATTENTION)
            .with_type_k(KvCacheType::F16)
            .with_type_v(KvCacheType::F16)
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
        for window in windows {
            self.check(window)?;
        }
        let rooms: Vec<usize> =
            windows.iter().map(|window| room_for(window.inputs.len(), self.context)).collect();
        let mut sizes = rooms.clone();
        sizes.sort_unstable();
        sizes.dedup();
        let mut rows: Vec<Rows> = vec![Rows::default(); windows.len()];
        for size in sizes {
            let of_size: Vec<usize> = (0..windows.len()).filter(|&index| rooms[index] == size).collect();
            let found = self.rows_of_size(windows, &of_size, size, betas)?;
            for (index, found) in of_size.into_iter().zip(found) {
                rows[index] = found;
            }
        }
        Ok(rows)
    }

    /// The rows of the windows `chosen`, all of which fit into `room` inputs: each is computed by one worker, for threads that
    /// share a window wait for each other some hundred times in it.
    fn rows_of_size(
        &self,
        windows: &[Window<'_>],
        chosen: &[usize],
        room: usize,
        betas: &[f32],
    ) -> Result<Vec<Rows>, LmError> {
        let threads = threads();
        let workers = if self.on_gpu() { 1 } else { threads.min(chosen.len()).min(MOST_WORKERS) };
        let mut contexts =
            (0..workers).map(|_| self.room(room, threads / workers)).collect::<Result<Vec<_>, _>>()?;
        let next = AtomicUsize::new(0);
        let work = |context: &mut LlamaContext<'_>| -> Result<Vec<(usize, Rows)>, LmError> {
            let mut done = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(&index) = chosen.get(at) else { return Ok(done) };
                done.push((at, self.window(context, &windows[index], betas, workers == 1)?));
            }
        };
        let work = &work;
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let started: Vec<_> =
                contexts.iter_mut().map(|context| scope.spawn(move || work(context))).collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            started.into_iter().map(join).collect()
        });
        let mut rows: Vec<Rows> = vec![Rows::default(); chosen.len()];
        for outcome in outcomes {
            for (at, found) in outcome? {
                rows[at] = found;
            }
        }
        Ok(rows)
    }

    /// The window's tokens are the model's, and it is no longer than the model can take.
    fn check(&self, window: &Window<'_>) -> Result<(), LmError> {
        let (inputs, longest, size) = (window.inputs.len(), self.context, self.vocabulary.len());
        if inputs > longest {
            return Err(self.failed(format!("a window of {inputs} inputs; the model was made for {longest}")));
        }
        match window.inputs.iter().chain(window.targets).find(|&&token| token as usize >= size) {
            Some(token) => Err(self.failed(format!("token {token} of a vocabulary of {size}"))),
            None => Ok(()),
        }
    }

    fn window(
        &self,
        context: &mut LlamaContext<'_>,
        window: &Window<'_>,
        betas: &[f32],
        spread: bool,
    ) -> Result<Rows, LmError> {
        let size = self.options.batch.min(context.n_batch() as usize);
        let mut batch = LlamaBatch::new(size, 1);
        let mut rows = Rows::default();
        context.clear_kv_cache();
        for part in parts(window.inputs.len(), size) {
            batch.clear();
            for at in part.clone() {
                let token = LlamaToken(window.inputs[at] as i32);
                batch
                    .add(token, at as i32, &[0], at >= window.skip)
                    .map_err(|error| self.failed(error.to_string()))?;
            }
            let (decoded, heard) = overhear(|| context.decode(&mut batch));
            decoded.map_err(|error| self.failed(format!("llama.cpp failed: {error}; {heard}")))?;
            let logits: Vec<(&[f32], u32)> = (part.start.max(window.skip)..part.end)
                .map(|at| (context.get_logits_ith((at - part.start) as i32), window.targets[at]))
                .collect();
            self.append(&logits, betas, spread, &mut rows);
        }
        Ok(rows)
    }

    /// Adds the rows of some targets, spread over rayon's threads or not.
    fn append(&self, logits: &[(&[f32], u32)], betas: &[f32], spread: bool, rows: &mut Rows) {
        let row = |&(logits, target): &(&[f32], u32)| -> (LossRow, Vec<TemperedRow>) {
            let mut tempered = vec![TemperedRow::default(); betas.len()];
            let row = loss_row_tempered(self.isa, logits, target as usize, betas, &mut tempered);
            (row, tempered)
        };
        let computed: Vec<_> =
            if spread { logits.par_iter().map(row).collect() } else { logits.iter().map(row).collect() };
        for (row, tempered) in computed {
            rows.0.push(row);
            rows.1.extend(tempered);
        }
    }
}

/// Threads for llama.cpp: as many as our own, but never more than there are cores.
fn threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    rayon::current_num_threads().min(cores)
}

/// A window's inputs in parts of at most `size`, none but the whole of a single one: attention of one input to many is summed
/// by llama.cpp in as many pieces as there are threads.
fn parts(inputs: usize, size: usize) -> Vec<Range<usize>> {
    let (mut parts, mut start) = (Vec::new(), 0);
    while start < inputs {
        let left = inputs - start;
        let length = if left == size + 1 { size - 1 } else { left.min(size) };
        parts.push(start..start + length);
        start += length;
    }
    parts
}

/// Inputs that there is to be room for, from a window's own length alone: some models choose their position encoding
/// by it.
fn room_for(inputs: usize, longest: usize) -> usize {
    inputs.next_power_of_two().min(longest).max(inputs).max(LEAST_ROOM)
}

impl Scorer for LlamaScorer {
    fn model(&self) -> &ModelInfo {
        &self.info
    }

    fn engine(&self) -> EngineInfo {
        EngineInfo {
            version: format!(
                "deltaloss-llama {} ({BINDINGS}), weights {}, {} inputs at once, {} layers on a GPU",
                env!("CARGO_PKG_VERSION"),
                if self.widened { "widened to f32" } else { "as stored" },
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
        self.vocabulary.encode(&self.model, texts, threads()).map_err(|failure| match failure {
            EncodeFailure::Thread(error) => self.failed(format!("cannot start a thread: {error}")),
            EncodeFailure::Text(text, Unspelt { byte, problem }) => {
                LmError::Encode { tokenizer: self.tokenizer.name.clone(), text, byte, problem }
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_tile_the_window_and_none_but_the_whole_is_a_single_input() {
        for size in [LEAST_BATCH, 33, 512] {
            for inputs in (0..5 * size).step_by(1 + size / 100) {
                let parts = parts(inputs, size);
                let tiled: Vec<usize> = parts.iter().cloned().flatten().collect();
                assert_eq!(tiled, (0..inputs).collect::<Vec<_>>());
                assert!(parts.iter().all(|part| part.len() <= size && (part.len() > 1 || inputs == 1)));
            }
        }
    }

    #[test]
    fn room_depends_on_the_window_and_ends_at_what_the_model_can_take() {
        let rooms = [1, 256, 257, 1000, 1024, 1500].map(|inputs| room_for(inputs, 1500));
        assert_eq!(rooms, [256, 256, 512, 1024, 1024, 1500]);
        assert_eq!(room_for(3, 64), 256);
    }
}
