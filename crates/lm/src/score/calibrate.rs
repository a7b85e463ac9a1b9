//! The run's temperature: passes over the discovery half that sum losses at a few temperatures and keep no logits.

use std::time::Instant;

use deltaloss_corpus::{Corpus, text_sha256};
use deltaloss_records::{CalibrationHalf, CalibrationInfo, Fitted, RunInfo, Split};

use super::failures::Failures;
use super::groups::{Cut, Groups, for_each_window};
use super::plan::{Half, Plan};
use super::temperature::{self, Extent, Fit, SEARCHED_TEMPERATURES};
use super::{Progress, ScoreOptions, go_on};
use crate::error::LmError;
use crate::scorer::{LossSums, ScoreFailure, Scorer, Window};

/// Fewest tokens of the discovery half that carry a temperature: its standard error is then some 5 %.
const FEWEST_TOKENS: u64 = 1000;
/// Fewest documents: the temperature of one is that document's.
const FEWEST_DOCUMENTS: u64 = 2;
/// The pilot takes each discovery document's first window, until it has so many tokens.
const PILOT_TOKENS: u64 = 8192;

/// What came of it.
#[derive(Default)]
pub(super) struct Calibration {
    /// The run's inverse temperature.
    pub(super) beta: Option<f32>,
    at_edge: bool,
    none_because: Option<String>,
    elapsed_seconds: f64,
}

impl Calibration {
    fn none(because: impl Into<String>) -> Self {
        Calibration { none_because: Some(because.into()), ..Calibration::default() }
    }

    /// What an earlier scoring had fitted.
    pub(super) fn take_up(fitted: Fitted, failures: &mut Failures) -> Self {
        failures.take_up(&fitted.failures);
        let Fitted { beta, at_edge, none_because, elapsed_seconds, .. } = fitted;
        Calibration { beta, at_edge, none_because, elapsed_seconds }
    }

    /// As it is kept for a later scoring.
    pub(super) fn keep(&self, failures: &Failures) -> Fitted {
        let Calibration { beta, at_edge, none_because, elapsed_seconds } = self;
        Fitted {
            beta: *beta,
            at_edge: *at_edge,
            none_because: none_because.clone(),
            elapsed_seconds: *elapsed_seconds,
            failures: failures.texts(),
        }
    }

    /// The temperature of another run.
    fn of_run(run: &RunInfo) -> Self {
        let info = run.calibration.clone().unwrap_or_default();
        match run.temperature {
            Some(temperature) => Calibration {
                beta: Some((1.0 / temperature) as f32),
                at_edge: info.at_edge,
                none_because: None,
                elapsed_seconds: info.elapsed_seconds,
            },
            None => Self::none(run.no_temperature_because()),
        }
    }

    /// What `run.json` says about it.
    pub(super) fn describe(
        &self,
        discovery: CalibrationHalf,
        confirmation: CalibrationHalf,
    ) -> CalibrationInfo {
        CalibrationInfo {
            none_because: self.none_because.clone(),
            searched: SEARCHED_TEMPERATURES,
            at_edge: self.at_edge,
            elapsed_seconds: self.elapsed_seconds,
            discovery,
            confirmation,
        }
    }
}

/// Fits the temperature on the discovery half, where it is `asked` for and can be.
pub(super) fn fit(
    scorer: &mut dyn Scorer,
    corpus: &Corpus,
    plan: &Plan,
    discovery: Half,
    options: &ScoreOptions,
    failures: &mut Failures,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<Calibration, LmError> {
    let Half { documents, tokens } = discovery;
    if let Some(run) = &options.temperature_of {
        return Ok(Calibration::of_run(run));
    }
    if !options.calibrate {
        return Ok(Calibration::none("calibration was not asked for"));
    }
    if !scorer.calibrates() {
        return Ok(Calibration::none("this engine does not score at other temperatures"));
    }
    if documents == 0 {
        return Ok(Calibration::none("no document falls into the discovery half"));
    }
    if documents < FEWEST_DOCUMENTS || tokens < FEWEST_TOKENS {
        return Ok(Calibration::none(format!(
            "the discovery half has {tokens} tokens in {documents} documents, and a temperature needs at least \
             {FEWEST_TOKENS} in {FEWEST_DOCUMENTS}"
        )));
    }
    let started = Instant::now();
    let found = temperature::fit(|extent, betas| {
        if extent == Extent::All {
            go_on(progress, Progress::CalibrationStarted { tokens })?;
        }
        loop {
            let known = failures.len();
            let (seen, sums) = sum_losses(scorer, corpus, plan, extent, betas, failures, progress)?;
            if failures.len() > known {
                // Something of those that failed on the way is in the sums.
                continue;
            }
            if extent == Extent::All && seen != tokens && failures.is_empty() {
                return Err(LmError::CorpusChanged { corpus: corpus.name().to_owned() });
            }
            return Ok(sums);
        }
    })?;
    let fitted = match found {
        Fit::Minimum { beta, at_edge } => Calibration { beta: Some(beta), at_edge, ..Calibration::default() },
        Fit::Flat => {
            Calibration::none("the model gives all tokens the same probability, whatever the temperature")
        }
    };
    Ok(Calibration { elapsed_seconds: started.elapsed().as_secs_f64(), ..fitted })
}

/// Sums the losses and entropies of the discovery half, or of the pilot's sample of it, at each inverse temperature, in the
/// order of tokens, and counts the tokens.
fn sum_losses(
    scorer: &mut dyn Scorer,
    corpus: &Corpus,
    plan: &Plan,
    extent: Extent,
    betas: &[f32],
    failures: &mut Failures,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<(u64, Vec<LossSums>), LmError> {
    let (mut seen, mut sums) = (0, vec![LossSums::default(); betas.len()]);
    for group in Groups::new(corpus)? {
        let mut group = group?;
        group.retain(|document| Split::of(&text_sha256(&document.text)) == Split::Discovery);
        let mut cuts = Cut::group(scorer, plan, group)?;
        if extent == Extent::Pilot {
            take_first_windows(&mut cuts, PILOT_TOKENS - seen);
        }
        for_each_window(
            plan,
            &cuts,
            failures,
            |windows| {
                let scored = scorer.loss_sums(windows, betas)?;
                check_sums(plan, &scored, betas).map_err(ScoreFailure::Engine)?;
                Ok(windows.iter().map(recorded).zip(scored).collect())
            },
            |_, (tokens, of_window): (u64, Vec<LossSums>), _| {
                seen += tokens;
                for (sum, of_window) in sums.iter_mut().zip(of_window) {
                    sum.loss_nats += of_window.loss_nats;
                    sum.entropy_nats += of_window.entropy_nats;
                }
                match extent {
                    Extent::Pilot => Ok(()),
                    Extent::All => go_on(progress, Progress::Calibrated { tokens }),
                }
            },
        )?;
        if extent == Extent::Pilot && seen >= PILOT_TOKENS {
            break;
        }
    }
    Ok((seen, sums))
}

/// Targets of a window that are recorded.
fn recorded(window: &Window<'_>) -> u64 {
    (window.targets.len() - window.skip) as u64
}

/// Leaves each document its first window, and documents until they have `enough` tokens.
fn take_first_windows(cuts: &mut Vec<Cut>, enough: u64) {
    let (mut taken, mut documents) = (0, 0);
    for cut in cuts.iter_mut() {
        if taken >= enough {
            break;
        }
        cut.spans.truncate(1);
        taken += cut.spans.iter().map(|span| (span.inputs.len() - span.skip) as u64).sum::<u64>();
        documents += 1;
    }
    cuts.truncate(documents);
}

fn check_sums(plan: &Plan, scored: &[Vec<LossSums>], betas: &[f32]) -> Result<(), LmError> {
    let (model, due) = (&plan.model, betas.len());
    match scored.iter().find(|sums| sums.len() != due) {
        None => Ok(()),
        Some(sums) => Err(LmError::Window(format!(
            "the scorer of {model} summed losses at {} temperatures for {due}",
            sums.len()
        ))),
    }
}
