//! The [`Scorer`]: anything that gives a full next-token distribution at every position of a window.

use deltaloss_kernels::{LossRow, TemperedRow};
use deltaloss_records::{CalibratedScore, EngineInfo, ModelInfo, TokenScore, TokenizerInfo};
use rayon::prelude::*;

use crate::error::LmError;
use crate::model::NativeModel;
use crate::tokenizer::{Token, Tokenizer};

/// Tokens to score: `targets[i]` follows `inputs[i]`; the first `skip` targets are context only.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a> {
    /// What the model reads.
    pub inputs: &'a [u32],
    /// What it should predict after each input.
    pub targets: &'a [u32],
    /// How many targets at the start are not recorded.
    pub skip: usize,
}

/// A target whose loss or entropy is not finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NonFinite {
    /// Index of the window in the call.
    pub window: usize,
    /// Index of the target in the window.
    pub target: usize,
}

/// Why windows could not be scored.
#[derive(Debug)]
pub enum ScoreFailure {
    /// A NaN or an infinity came out.
    NonFinite(NonFinite),
    /// The windows do not fit the model, or its engine failed.
    Engine(LmError),
}

/// Losses and entropies of the recorded targets of a window at one temperature, summed in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LossSums {
    /// −ln p of each target, nats.
    pub loss_nats: f64,
    /// Entropy of each predictive distribution, nats.
    pub entropy_nats: f64,
}

/// A model with its tokenizer.
///
/// The loop in [`crate::score`] cuts documents into windows and calls [`Scorer::score`] with some dozen of them at
/// a time; how they are spread over threads or a device is the scorer's business, but the numbers of one
/// window must not depend on the others.
///
/// Temperatures are given by their inverse: at β the predictive distribution is softmax(β·logits).
/// `deltaloss_kernels::loss_row_tempered` gives all that is asked for from one row of logits.
pub trait Scorer {
    /// The model's provenance.
    fn model(&self) -> &ModelInfo;

    /// What computes the numbers.
    fn engine(&self) -> EngineInfo;

    /// The version of the numbers: another one where the same engine on the same instruction set could give other bits. Runs
    /// that are kept, and parts of runs, are used again only where it is the same.
    fn numbers(&self) -> String {
        self.engine().version
    }

    /// The tokenizer's provenance.
    fn tokenizer(&self) -> &TokenizerInfo;

    /// The longest window, inputs.
    fn context(&self) -> usize;

    /// The token that can be put in front of a document, if the vocabulary has one.
    fn beginning_of_text(&self) -> Option<u32>;

    /// Whether the model was made to read that token in front of every document, so that it stands there unless it is
    /// asked not to.
    fn adds_beginning_of_text(&self) -> bool {
        false
    }

    /// The tokens of each text.
    ///
    /// # Errors
    /// The tokenizer has no token for some of a text ([`LmError::Encode`], by the text's index).
    fn encode(&self, texts: &[&str]) -> Result<Vec<Vec<Token>>, LmError>;

    /// Scores windows: for each, one score a target from `skip` on, in order. With `beta` each score is also calibrated
    /// ([`TokenScore::calibrated`]) at that inverse temperature, and otherwise the same.
    ///
    /// # Errors
    /// See [`ScoreFailure`]; the first non-finite target in window order is the one named.
    fn score(
        &mut self,
        windows: &[Window<'_>],
        beta: Option<f32>,
    ) -> Result<Vec<Vec<TokenScore>>, ScoreFailure>;

    /// Whether [`Scorer::loss_sums`] works, and [`Scorer::score`] with an inverse temperature.
    fn calibrates(&self) -> bool {
        false
    }

    /// Losses and entropies, summed for each window over its targets from `skip` on, at each inverse temperature: `[window][β]`.
    /// A temperature is fitted by these; nothing else of a row of logits needs to be kept.
    ///
    /// # Errors
    /// As [`Scorer::score`]; always for a scorer that does not calibrate.
    fn loss_sums(
        &mut self,
        _windows: &[Window<'_>],
        _betas: &[f32],
    ) -> Result<Vec<Vec<LossSums>>, ScoreFailure> {
        let problem = format!("the scorer of {} does not score at other temperatures", self.model().name);
        Err(ScoreFailure::Engine(LmError::Window(problem)))
    }
}

/// A window's rows: one a recorded target, and one for each of them and each inverse temperature, `[target][β]`.
pub type Rows = (Vec<LossRow>, Vec<TemperedRow>);

/// What [`Scorer::score`] answers, from the rows of each window at one inverse temperature or none.
///
/// # Errors
/// The first score that is not finite.
pub fn scores_of_rows(windows: &[Window<'_>], scored: &[Rows]) -> Result<Vec<Vec<TokenScore>>, ScoreFailure> {
    let mut scores = Vec::with_capacity(scored.len());
    for (index, (window, (rows, tempered))) in windows.iter().zip(scored).enumerate() {
        let calibrated = tempered.iter().map(Some).chain(std::iter::repeat(None));
        let list: Vec<TokenScore> = rows.iter().zip(calibrated).map(token_score).collect();
        // As it will be stored: a loss can be finite in f64 and not in f32.
        if let Some(i) = list.iter().position(|score| !is_finite(score)) {
            return Err(ScoreFailure::NonFinite(NonFinite { window: index, target: window.skip + i }));
        }
        scores.push(list);
    }
    Ok(scores)
}

/// What [`Scorer::loss_sums`] answers, from the rows of each window at `betas` inverse temperatures.
///
/// # Errors
/// The first row that is not finite.
pub fn loss_sums_of_rows(
    windows: &[Window<'_>],
    scored: &[Rows],
    betas: usize,
) -> Result<Vec<Vec<LossSums>>, ScoreFailure> {
    let mut all = Vec::with_capacity(scored.len());
    for (index, (window, (_, tempered))) in windows.iter().zip(scored).enumerate() {
        let mut sums = vec![LossSums::default(); betas];
        for (i, of_target) in tempered.chunks_exact(betas.max(1)).enumerate() {
            if !of_target.iter().all(TemperedRow::is_finite) {
                let target = window.skip + i;
                return Err(ScoreFailure::NonFinite(NonFinite { window: index, target }));
            }
            for (sum, row) in sums.iter_mut().zip(of_target) {
                sum.loss_nats += row.loss_nats;
                sum.entropy_nats += row.entropy_nats;
            }
        }
        all.push(sums);
    }
    Ok(all)
}

fn token_score((row, calibrated): (&LossRow, Option<&TemperedRow>)) -> TokenScore {
    TokenScore {
        loss_nats: row.loss_nats as f32,
        entropy_nats: row.entropy_nats as f32,
        rank: row.rank,
        top_token: row.top,
        top_probability: row.top_probability as f32,
        calibrated: calibrated.map(|row| CalibratedScore {
            loss_nats: row.loss_nats as f32,
            entropy_nats: row.entropy_nats as f32,
            top_probability: row.top_probability as f32,
        }),
    }
}

/// The version of the native engine's numbers ([`Scorer::numbers`]): to be raised with every change after which a score may have
/// other bits.
pub const NUMBERS: u32 = 3;

/// The native engine as a [`Scorer`]: windows are spread over rayon's threads, each computed on one.
#[derive(Debug)]
pub struct NativeScorer {
    model: NativeModel,
    tokenizer: Tokenizer,
}

impl NativeScorer {
    /// Joins a model and its tokenizer.
    ///
    /// # Errors
    /// The tokenizer has ids beyond the model's vocabulary.
    pub fn new(model: NativeModel, tokenizer: Tokenizer) -> Result<Self, LmError> {
        if tokenizer.size() > model.config().vocab_size {
            return Err(LmError::Vocabulary {
                tokenizer: tokenizer.info().name.clone(),
                size: tokenizer.size(),
                model: model.info().name.clone(),
                vocabulary: model.config().vocab_size,
            });
        }
        Ok(NativeScorer { model, tokenizer })
    }

    /// Gives the model another name in reports.
    pub fn rename(&mut self, name: &str) {
        self.model.rename(name);
    }

    /// Records that the model came from elsewhere than where its files lie.
    pub fn set_source(&mut self, source: &str) {
        self.model.set_source(source);
    }

    /// The model.
    pub fn native_model(&self) -> &NativeModel {
        &self.model
    }

    /// [`NativeModel::losses_tempered`] of every window.
    fn tempered(&self, windows: &[Window<'_>], betas: &[f32]) -> Result<Vec<Rows>, ScoreFailure> {
        windows
            .par_iter()
            .map(|window| self.model.losses_tempered(window.inputs, window.targets, window.skip, betas))
            .collect::<Result<_, _>>()
            .map_err(ScoreFailure::Engine)
    }
}

impl Scorer for NativeScorer {
    fn model(&self) -> &ModelInfo {
        self.model.info()
    }

    fn engine(&self) -> EngineInfo {
        EngineInfo {
            version: concat!("deltaloss-native ", env!("CARGO_PKG_VERSION")).to_owned(),
            instruction_set: self.model.isa().to_string(),
            threads: rayon::current_num_threads() as u32,
        }
    }

    fn numbers(&self) -> String {
        format!("deltaloss-native/{NUMBERS}")
    }

    fn tokenizer(&self) -> &TokenizerInfo {
        self.tokenizer.info()
    }

    fn context(&self) -> usize {
        self.model.config().block_size
    }

    fn beginning_of_text(&self) -> Option<u32> {
        self.tokenizer.end_of_text()
    }

    fn encode(&self, texts: &[&str]) -> Result<Vec<Vec<Token>>, LmError> {
        texts.par_iter().map(|text| self.tokenizer.encode(text)).collect()
    }

    fn score(
        &mut self,
        windows: &[Window<'_>],
        beta: Option<f32>,
    ) -> Result<Vec<Vec<TokenScore>>, ScoreFailure> {
        scores_of_rows(windows, &self.tempered(windows, beta.as_slice())?)
    }

    fn calibrates(&self) -> bool {
        true
    }

    fn loss_sums(
        &mut self,
        windows: &[Window<'_>],
        betas: &[f32],
    ) -> Result<Vec<Vec<LossSums>>, ScoreFailure> {
        loss_sums_of_rows(windows, &self.tempered(windows, betas)?, betas.len())
    }
}

fn is_finite(score: &TokenScore) -> bool {
    let calibrated = score.calibrated.unwrap_or_default();
    [score.loss_nats, score.entropy_nats, calibrated.loss_nats, calibrated.entropy_nats]
        .iter()
        .all(|value| value.is_finite())
}
