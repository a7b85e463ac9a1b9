//! The scoring loop: documents in, token records out. Memory does not grow with the corpus, only with its largest
//! document (some 25 bytes a byte of it).
//!
//! Passes over the corpus. The survey (`plan`) reads and tokenises every document, so that whatever is wrong with
//! the corpus is said before an hour is spent on it, and so that progress knows the end. The calibration (`calibrate`)
//! fits the run's temperature on the discovery half. The last pass scores group after group of documents (`groups`) and
//! pushes each to the sink.

mod calibrate;
mod failures;
mod groups;
mod plan;
mod temperature;

use std::time::Instant;

use deltaloss_corpus::{Corpus, CorpusHasher, Document, hex};
use deltaloss_records::{
    CorpusInfo, DocumentRecord, Failure, HalfSums, RUN_SCHEMA, Restored, RunInfo, RunningTotals, ShardInfo,
    Sink, Split, TokenRecord, TokenScore,
};

use self::calibrate::Calibration;
use self::failures::Failures;
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
    /// In place of fitting one: the temperature of a run that was scored in the same way.
    pub temperature_of: Option<Box<RunInfo>>,
    /// Record a document whose loss is not finite as failed, and go on, instead of stopping.
    pub keep_going: bool,
    /// Score one of so many parts of the corpus: (which, from 1; of how many). The temperature is still the whole
    /// discovery half's.
    pub shard: Option<(u32, u32)>,
}

impl Default for ScoreOptions {
    fn default() -> Self {
        ScoreOptions {
            mode: WindowMode::Chunk,
            context: None,
            beginning_of_text: None,
            skip_unusable: false,
            calibrate: true,
            temperature_of: None,
            keep_going: false,
            shard: None,
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
    /// So much of it was scored before, and is kept.
    Restored {
        /// Documents.
        documents: u32,
        /// Tokens.
        tokens: u64,
    },
    /// This many more tokens were predicted.
    Scored {
        /// Tokens since the last call.
        tokens: u64,
    },
}

/// Scores a corpus into a sink and returns what `run.json` records. `progress` returns whether to go on. What the sink has kept of an
/// earlier scoring by the same plan is not scored again.
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
    let survey = Survey::new(scorer, corpus, &plan, options.shard, progress)?;
    if let Some(run) = &options.temperature_of {
        check_same_scoring(run, scorer, &plan, &survey)?;
    }
    let resumed = sink.begin(&plan.identity(scorer, options, &survey))?;
    let mut failures = Failures::new(options.keep_going);
    let fitted = match resumed.fitted {
        Some(fitted) => Calibration::take_up(fitted, &mut failures),
        None => calibrate::fit(scorer, corpus, &plan, survey.discovery, options, &mut failures, progress)?,
    };
    sink.fitted(&fitted.keep(&failures))?;
    go_on(progress, Progress::Started { tokens: survey.predicted })?;
    let started = Instant::now();
    let mut pass = Pass {
        plan: &plan,
        beta: fitted.beta,
        sink,
        progress,
        failures,
        failed: Vec::new(),
        restoring: resumed.documents > 0,
        totals: RunningTotals::default(),
        discovery: HalfSums::default(),
        confirmation: HalfSums::default(),
        documents: 0,
        hash: CorpusHasher::new(),
    };
    for group in Groups::of_slice(corpus, survey.slice.as_ref())? {
        pass.score_group(scorer, group?)?;
    }
    let elapsed_seconds = resumed.elapsed_seconds + started.elapsed().as_secs_f64();
    if !survey.is_of(&pass.hash) {
        return Err(LmError::CorpusChanged { corpus: corpus.name().to_owned() });
    }
    if let (0, Some(failure)) = (pass.totals.totals().tokens, pass.failed.first()) {
        // Nothing is left to be averaged.
        return Err(failures::error(&plan.model, &failure.name, failure.position, options.keep_going));
    }
    let totals = pass.totals.totals();
    let sha256 = hex(&pass.hash.clone().finish());
    Ok(RunInfo {
        schema: RUN_SCHEMA.to_owned(),
        model: scorer.model().clone(),
        tokenizer: scorer.tokenizer().clone(),
        corpus: CorpusInfo {
            name: corpus.name().to_owned(),
            sha256,
            documents: u64::from(pass.documents),
            skipped: survey.skipped,
        },
        shard: survey.slice.as_ref().map(|slice| ShardInfo {
            index: slice.index,
            of: slice.of,
            first_document: slice.documents.start,
            corpus_documents: survey.documents,
            corpus_sha256: hex(&survey.sha256),
        }),
        failures: pass.failed,
        window: plan.describe(),
        temperature: fitted.beta.map(|beta| 1.0 / f64::from(beta)),
        calibration: Some(fitted.describe(pass.discovery.means(), pass.confirmation.means())),
        engine: scorer.engine(),
        tokens_per_second: totals.tokens as f64 / elapsed_seconds.max(f64::MIN_POSITIVE),
        totals,
        elapsed_seconds,
    })
}

/// A temperature belongs to a model, its discovery half and its windows: another run's stands in only where these are the same.
fn check_same_scoring(
    run: &RunInfo,
    scorer: &dyn Scorer,
    plan: &Plan,
    survey: &Survey,
) -> Result<(), LmError> {
    let corpus = run.shard.as_ref().map_or(&run.corpus.sha256, |shard| &shard.corpus_sha256);
    let same = [
        ("model", run.model.sha256 == scorer.model().sha256),
        ("tokenizer", run.tokenizer.sha256 == scorer.tokenizer().sha256),
        ("corpus", *corpus == hex(&survey.sha256)),
        ("windows", run.window == plan.describe()),
    ];
    match same.iter().find(|(_, same)| !same) {
        None => Ok(()),
        Some((what, _)) => Err(LmError::Window(format!(
            "the run of {} has other {what} than what is scored here, so its temperature cannot be taken",
            run.model.name
        ))),
    }
}

/// Tells how far it has come; an error where the listener wants to stop.
fn go_on(progress: &mut dyn FnMut(Progress) -> bool, event: Progress) -> Result<(), LmError> {
    if progress(event) { Ok(()) } else { Err(LmError::Interrupted) }
}

/// The last pass.
struct Pass<'a> {
    plan: &'a Plan,
    /// The run's inverse temperature.
    beta: Option<f32>,
    sink: &'a mut dyn Sink,
    progress: &'a mut dyn FnMut(Progress) -> bool,
    failures: Failures,
    failed: Vec<Failure>,
    /// Whether the sink may have the next document already.
    restoring: bool,
    totals: RunningTotals,
    discovery: HalfSums,
    confirmation: HalfSums,
    documents: u32,
    hash: CorpusHasher,
}

impl Pass<'_> {
    fn score_group(&mut self, scorer: &mut dyn Scorer, group: Vec<Document>) -> Result<(), LmError> {
        let mut cuts = Cut::group(scorer, self.plan, group)?;
        cuts.drain(..self.restore(&cuts)?);
        let mut failures = std::mem::take(&mut self.failures);
        let (plan, beta) = (self.plan, self.beta);
        // Scores come in the order of documents: those of the one at `next`.
        let (mut next, mut scores) = (0, Vec::<TokenScore>::new());
        for_each_window(
            plan,
            &cuts,
            &mut failures,
            |windows| {
                let scored = scorer.score(windows, beta)?;
                check_scores(&plan.model, windows, &scored, beta.is_some()).map_err(ScoreFailure::Engine)?;
                Ok(scored)
            },
            |index, list, failures| {
                while next < index {
                    self.push(&cuts[next], &std::mem::take(&mut scores), failures)?;
                    next += 1;
                }
                scores.extend_from_slice(&list);
                go_on(self.progress, Progress::Scored { tokens: list.len() as u64 })
            },
        )?;
        for cut in &cuts[next..] {
            self.push(cut, &std::mem::take(&mut scores), &failures)?;
        }
        self.failures = failures;
        Ok(())
    }

    /// Takes what the sink has of these documents, and answers how many it had.
    fn restore(&mut self, cuts: &[Cut]) -> Result<usize, LmError> {
        let (mut documents, mut tokens) = (0, 0);
        for cut in cuts {
            let kept = if self.restoring { self.sink.restore(self.documents)? } else { None };
            let Some(Restored { tokens: records, failure }) = kept else {
                self.restoring = false;
                break;
            };
            if let Some(failure) = failure {
                self.failures.note(cut.sha256, failure.position);
            } else if !self.fits(cut, &records) {
                return Err(LmError::CorpusChanged { corpus: cut.document.name.clone() });
            }
            let scores: Vec<TokenScore> = records.iter().map(|record| record.score).collect();
            let failures = std::mem::take(&mut self.failures);
            self.push(cut, &scores, &failures)?;
            self.failures = failures;
            documents += 1;
            tokens += scores.len() as u64;
        }
        if documents > 0 {
            go_on(self.progress, Progress::Restored { documents: documents as u32, tokens })?;
        }
        Ok(documents)
    }

    /// Whether the records are of this document's tokens.
    fn fits(&self, cut: &Cut, records: &[TokenRecord]) -> bool {
        let first = 1 - self.plan.front();
        records.len() == self.plan.predicted(cut.tokens.len())
            && records.iter().zip(cut.tokens.iter().zip(0u32..).skip(first)).all(
                |(record, (token, position))| {
                    (record.position, record.token) == (position, token.id)
                        && record.score.calibrated.is_some() == self.beta.is_some()
                },
            )
    }

    /// Hands a document and its records to the sink; without records if it failed.
    fn push(&mut self, cut: &Cut, scores: &[TokenScore], failures: &Failures) -> Result<(), LmError> {
        let first = 1 - self.plan.front();
        let failure = failures.position(&cut.sha256).map(|position| Failure {
            document: self.documents,
            name: cut.document.name.clone(),
            position,
        });
        let scores = if failure.is_some() { &[] } else { scores };
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
        let split = Split::of(&cut.sha256);
        if let Some(failure) = &failure {
            self.sink.failed(failure)?;
        } else {
            match split {
                Split::Discovery => self.discovery.add(&records),
                Split::Confirmation => self.confirmation.add(&records),
            }
        }
        self.failed.extend(failure);
        let record = DocumentRecord {
            document: self.documents,
            split,
            name: cut.document.name.clone(),
            text: cut.document.text.clone(),
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
