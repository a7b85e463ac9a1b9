//! The scoring loop: documents in, token records out. Memory does not grow with the corpus, only with its largest
//! document (some 25 bytes a byte of it).
//!
//! Passes over the corpus. The survey (`plan`) reads and tokenises every document, so that whatever is wrong with
//! the corpus is said before an hour is spent on it, and so that progress knows the end. The calibration (`calibrate`)
//! fits the run's temperature on the discovery half. The last pass scores group after group of documents (`groups`) and
//! pushes each to the sink.

mod calibrate;
mod groups;
mod plan;
mod temperature;

use std::time::Instant;

use deltaloss_corpus::{Corpus, CorpusHasher, Document, hex, text_sha256};
use deltaloss_records::{
    CalibrationHalf, CorpusInfo, DocumentRecord, RUN_SCHEMA, RunInfo, RunningTotals, Sink, Split,
    TokenRecord, TokenScore, Totals,
};

use self::groups::{Cut, Groups, for_each_window};
use self::plan::{Plan, Survey};
use crate::error::LmError;
use crate::scorer::{ScoreFailure, Scorer, Window};
use crate::window::WindowMode;

/// How to score.
#[derive(Clone, Debug)]
pub struct ScoreOptions {
    /// How long documents are cut.
    pub mode: WindowMode,
    /// Inputs a window; the scorer's context by default.
    pub context: Option<usize>,
    /// Whether the scorer's beginning-of-text token stands in front of every document, so that the first token is
    /// predicted too; what the model was made for ([`Scorer::adds_beginning_of_text`]) by default.
    pub beginning_of_text: Option<bool>,
    /// Leave out documents with too few tokens instead of failing.
    pub skip_unusable: bool,
    /// Fit the run's temperature on the discovery half first, and record every token at it too.
    pub calibrate: bool,
}

impl Default for ScoreOptions {
    fn default() -> Self {
        ScoreOptions {
            mode: WindowMode::Chunk,
            context: None,
            beginning_of_text: None,
            skip_unusable: false,
            calibrate: true,
        }
    }
}

/// How far scoring has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The survey has read this many documents.
    Surveyed {
        /// Documents so far.
        documents: u64,
    },
    /// A pass of the calibration begins; there is one, or a few where the temperature is far from what it looked at first.
    CalibrationStarted {
        /// Tokens it will look at.
        tokens: u64,
    },
    /// The calibration has looked at this many more tokens.
    Calibrated {
        /// Tokens since the last call.
        tokens: u64,
    },
    /// Scoring begins.
    Started {
        /// Tokens that will be predicted.
        tokens: u64,
    },
    /// This many more tokens were predicted.
    Scored {
        /// Tokens since the last call.
        tokens: u64,
    },
}

/// Scores a corpus into a sink and returns what `run.json` records. `progress` returns whether to go on.
///
/// # Errors
/// The corpus is empty, unreadable or holds documents from which nothing can be predicted; a document is too
/// large; a loss is not finite; the sink refuses; `progress` returned false. The sink must then be dropped.
pub fn score(
    scorer: &mut dyn Scorer,
    corpus: &Corpus,
    options: &ScoreOptions,
    sink: &mut dyn Sink,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<RunInfo, LmError> {
    let plan = Plan::new(scorer, options)?;
    let survey = Survey::new(scorer, corpus, &plan, progress)?;
    let fitted = calibrate::fit(scorer, corpus, &plan, survey.discovery, options.calibrate, progress)?;
    go_on(progress, Progress::Started { tokens: survey.predicted })?;
    let started = Instant::now();
    let mut pass = Pass {
        plan: &plan,
        beta: fitted.beta,
        sink,
        progress,
        totals: RunningTotals::default(),
        discovery: HalfSums::default(),
        confirmation: HalfSums::default(),
        documents: 0,
        hash: CorpusHasher::new(),
    };
    for group in Groups::new(corpus)? {
        pass.score_group(scorer, group?)?;
    }
    let elapsed_seconds = started.elapsed().as_secs_f64();
    if pass.hash.finish() != survey.sha256 {
        return Err(LmError::CorpusChanged { corpus: corpus.name().to_owned() });
    }
    let totals = pass.totals.totals();
    Ok(RunInfo {
        schema: RUN_SCHEMA.to_owned(),
        model: scorer.model().clone(),
        tokenizer: scorer.tokenizer().clone(),
        corpus: CorpusInfo {
            name: corpus.name().to_owned(),
            sha256: hex(&survey.sha256),
            documents: u64::from(pass.documents),
            skipped: survey.skipped,
        },
        window: plan.describe(),
        temperature: fitted.beta.map(|beta| 1.0 / f64::from(beta)),
        calibration: Some(fitted.describe(pass.discovery.means(), pass.confirmation.means())),
        engine: scorer.engine(),
        tokens_per_second: totals.tokens as f64 / elapsed_seconds.max(f64::MIN_POSITIVE),
        totals,
        elapsed_seconds,
    })
}

/// Tells how far it has come; an error where the listener wants to stop.
fn go_on(progress: &mut dyn FnMut(Progress) -> bool, event: Progress) -> Result<(), LmError> {
    if progress(event) { Ok(()) } else { Err(LmError::Interrupted) }
}

/// Sums over the predicted tokens of one half of the documents, in corpus order.
#[derive(Default)]
struct HalfSums {
    documents: u64,
    plain: RunningTotals,
    /// Loss and entropy at the run's temperature.
    calibrated: Option<[f64; 2]>,
}

impl HalfSums {
    fn add(&mut self, records: &[TokenRecord]) {
        self.documents += 1;
        for record in records {
            self.plain.add(record);
            if let Some(calibrated) = record.score.calibrated {
                let [loss, entropy] = self.calibrated.get_or_insert_default();
                *loss += f64::from(calibrated.loss_nats);
                *entropy += f64::from(calibrated.entropy_nats);
            }
        }
    }

    fn means(&self) -> CalibrationHalf {
        let Totals { tokens, mean_loss_nats, mean_entropy_nats, .. } = self.plain.totals();
        let calibrated = self.calibrated.map(|sums| sums.map(|sum| sum / tokens as f64));
        CalibrationHalf {
            documents: self.documents,
            tokens,
            mean_loss_nats,
            mean_entropy_nats,
            mean_loss_calibrated_nats: calibrated.map(|[loss, _]| loss),
            mean_entropy_calibrated_nats: calibrated.map(|[_, entropy]| entropy),
        }
    }
}

/// The last pass.
struct Pass<'a> {
    plan: &'a Plan,
    /// The run's inverse temperature.
    beta: Option<f32>,
    sink: &'a mut dyn Sink,
    progress: &'a mut dyn FnMut(Progress) -> bool,
    totals: RunningTotals,
    discovery: HalfSums,
    confirmation: HalfSums,
    documents: u32,
    hash: CorpusHasher,
}

impl Pass<'_> {
    fn score_group(&mut self, scorer: &mut dyn Scorer, group: Vec<Document>) -> Result<(), LmError> {
        let cuts = Cut::group(scorer, self.plan, group)?;
        let mut scores: Vec<Vec<TokenScore>> = vec![Vec::new(); cuts.len()];
        let (plan, beta) = (self.plan, self.beta);
        for_each_window(
            plan,
            &cuts,
            |windows| {
                let scored = scorer.score(windows, beta)?;
                check_scores(&plan.model, windows, &scored, beta.is_some()).map_err(ScoreFailure::Engine)?;
                Ok(scored)
            },
            |index, list| {
                scores[index].extend_from_slice(&list);
                go_on(self.progress, Progress::Scored { tokens: list.len() as u64 })
            },
        )?;
        for (cut, scores) in cuts.into_iter().zip(scores) {
            self.push(cut, &scores)?;
        }
        Ok(())
    }

    /// Hands a document and its records to the sink.
    fn push(&mut self, cut: Cut, scores: &[TokenScore]) -> Result<(), LmError> {
        let first = 1 - self.plan.front();
        let records: Vec<TokenRecord> = scores
            .iter()
            .enumerate()
            .map(|(i, &score)| {
                let token = &cut.tokens[first + i];
                TokenRecord {
                    document: self.documents,
                    position: (first + i) as u32,
                    token: token.id,
                    byte_start: token.bytes.start as u32,
                    byte_end: token.bytes.end as u32,
                    score,
                }
            })
            .collect();
        self.hash.update(&cut.document.text);
        records.iter().for_each(|record| self.totals.add(record));
        let split = Split::of(&text_sha256(&cut.document.text));
        match split {
            Split::Discovery => self.discovery.add(&records),
            Split::Confirmation => self.confirmation.add(&records),
        }
        let record = DocumentRecord {
            document: self.documents,
            split,
            name: cut.document.name,
            text: cut.document.text,
            tokens: cut.tokens.len() as u32,
            scored: records.len() as u32,
            truncated: first + records.len() < cut.tokens.len(),
        };
        self.documents += 1;
        Ok(self.sink.document(&record, &records)?)
    }
}

/// One score too few would move every later loss onto the wrong token; a score with a temperature where none was asked
/// for, or without, would make a column of two meanings.
fn check_scores(
    model: &str,
    windows: &[Window<'_>],
    scored: &[Vec<TokenScore>],
    calibrated: bool,
) -> Result<(), LmError> {
    let due: Vec<usize> = windows.iter().map(|window| window.targets.len() - window.skip).collect();
    let got: Vec<usize> = scored.iter().map(Vec::len).collect();
    if due != got {
        return Err(LmError::Window(format!(
            "the scorer of {model} gave {got:?} scores for windows of {due:?} targets"
        )));
    }
    if scored.iter().flatten().any(|score| score.calibrated.is_some() != calibrated) {
        let (gave, asked) = if calibrated { ("without", "with one") } else { ("at", "without any") };
        return Err(LmError::Window(format!(
            "the scorer of {model} gave scores {gave} a temperature where it was to score {asked}"
        )));
    }
    Ok(())
}
