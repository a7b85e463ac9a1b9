//! Progress for people: a bar with rate and time left, on a terminal and unless told to be quiet.

use std::io::{IsTerminal, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deltaloss::Progress;
use deltaloss::records::abandon_staged_folders;
use deltaloss::sources::Download;
use deltaloss::train::TrainProgress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Whether the first Ctrl-C only asks the work to stop, since it saves before it ends.
static SAVES_FIRST: AtomicBool = AtomicBool::new(false);
/// Whether it was asked.
static ASKED: AtomicBool = AtomicBool::new(false);

/// What to say when Ctrl-C is how the command ends.
static ENDS_WITH: OnceLock<&str> = OnceLock::new();

/// Where progress goes.
pub(crate) struct Console {
    shows: bool,
    quiet: bool,
}

impl Console {
    pub(crate) fn new(quiet: bool) -> Self {
        // Without a handler Ctrl-C still works, only less tidily: staged folders stay behind.
        let _ = ctrlc::set_handler(|| {
            if SAVES_FIRST.load(Ordering::SeqCst) && !ASKED.swap(true, Ordering::SeqCst) {
                complain("stopping after this step …");
                return;
            }
            let kept = abandon_staged_folders();
            if let Some(words) = ENDS_WITH.get() {
                complain(words);
                std::process::exit(0);
            }
            match kept.first() {
                None => complain("interrupted; nothing was written"),
                Some(kept) => complain(&format!(
                    "interrupted; what was scored is kept in {}, and the same command goes on from there",
                    kept.display()
                )),
            }
            std::process::exit(130);
        });
        Console { shows: !quiet && std::io::stderr().is_terminal(), quiet }
    }

    /// A line about what was done, unless told to be quiet.
    pub(crate) fn note(&self, line: &str) {
        if !self.quiet {
            complain(line);
        }
    }

    /// From now on Ctrl-C is how the command ends, and no failure.
    pub(crate) fn ends_at_once(&self, words: &'static str) {
        let _ = ENDS_WITH.set(words);
    }

    /// A bar for one scoring.
    pub(crate) fn bar(&self, name: &str) -> ScoringBar {
        ScoringBar { bar: self.spinner(name) }
    }

    /// Bars for downloads.
    pub(crate) fn downloads(&self) -> DownloadBar {
        DownloadBar { shows: self.shows, quiet: self.quiet, current: None }
    }

    /// A bar for one training; from now on the first Ctrl-C lets it save.
    pub(crate) fn training_bar(&self, name: &str) -> TrainingBar {
        SAVES_FIRST.store(true, Ordering::SeqCst);
        TrainingBar { bar: self.spinner(name), tokens_per_step: 0 }
    }

    fn spinner(&self, name: &str) -> ProgressBar {
        let target = if self.shows { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        bar.set_style(style("{prefix:<14} {spinner} {msg}"));
        bar.set_prefix(name.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        bar
    }
}

/// A line on standard error. That nobody listens there is no reason to fail.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Shows downloads, a bar for each file.
pub(crate) struct DownloadBar {
    shows: bool,
    quiet: bool,
    current: Option<(String, ProgressBar)>,
}

impl DownloadBar {
    /// Takes note; the answer is always to go on (Ctrl-C ends the program; what is there of a file is kept).
    pub(crate) fn hear(&mut self, download: Download<'_>) -> bool {
        if let Some(trouble) = download.trouble {
            let line = format!("{}: {trouble}", download.name);
            match &self.current {
                // A bar that is drawn is not written over.
                _ if self.quiet => {}
                Some((_, bar)) => bar.suspend(|| complain(&line)),
                None => complain(&line),
            }
            return true;
        }
        if self.current.as_ref().is_none_or(|(name, _)| name != download.name) {
            let target = if self.shows { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
            let bar = ProgressBar::with_draw_target(download.total_bytes, target);
            bar.set_style(style(
                "{prefix:<14} {bar:24} {bytes:>10} of {total_bytes}  {bytes_per_sec:>14}  {eta} left",
            ));
            let name: String = download.name.chars().filter(|c| !c.is_control()).collect();
            bar.set_prefix(name);
            // What was there before counts for no rate.
            bar.set_position(download.done_bytes);
            bar.reset_eta();
            self.finish();
            self.current = Some((download.name.to_owned(), bar));
        }
        if let Some((_, bar)) = &self.current {
            bar.set_position(download.done_bytes);
        }
        if download.total_bytes == Some(download.done_bytes) {
            self.finish();
        }
        true
    }

    fn finish(&mut self) {
        if let Some((_, bar)) = self.current.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for DownloadBar {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Shows one scoring.
pub(crate) struct ScoringBar {
    bar: ProgressBar,
}

impl ScoringBar {
    /// Takes note; the answer is always to go on (Ctrl-C ends the program, wherever it is).
    pub(crate) fn hear(&self, progress: Progress) -> bool {
        match progress {
            Progress::Surveyed { documents } => {
                self.bar.set_message(format!("reading: {documents} documents"))
            }
            Progress::CalibrationStarted { tokens } => self.start("calibrating", tokens),
            Progress::Started { tokens } => self.start("scoring", tokens),
            Progress::Restored { tokens, .. } => {
                self.bar.inc(tokens);
                self.bar.reset_eta();
            }
            Progress::Calibrated { tokens } | Progress::Scored { tokens } => self.bar.inc(tokens),
        }
        true
    }

    fn start(&self, what: &'static str, tokens: u64) {
        self.bar.set_style(style(
            "{prefix:<14} {msg:<11} {bar:24} {human_pos:>10} of {human_len} tokens  {per_sec:>14}  {eta} left",
        ));
        self.bar.set_message(what);
        self.bar.set_length(tokens);
        self.bar.set_position(0);
        self.bar.reset_eta();
    }
}

impl Drop for ScoringBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Shows one training.
pub(crate) struct TrainingBar {
    bar: ProgressBar,
    tokens_per_step: u64,
}

impl TrainingBar {
    /// Takes note; returns whether to go on.
    pub(crate) fn hear(&mut self, progress: TrainProgress) -> bool {
        match progress {
            TrainProgress::Reading { documents } => {
                self.bar.set_message(format!("reading: {documents} documents"));
            }
            TrainProgress::Started { steps, done, tokens_per_step } => {
                self.tokens_per_step = tokens_per_step;
                self.bar.set_style(style("{prefix:<14} {bar:24} {pos} of {len} steps  {msg}  {eta} left"));
                self.bar.set_message("");
                self.bar.set_length(steps);
                self.bar.set_position(done);
                self.bar.reset_eta();
            }
            TrainProgress::Stepped(report) => {
                self.bar.inc(1);
                self.bar.set_message(format!(
                    "loss {:.4}  {:.0} tokens/s  rate {:.2e}  kept {:.3}",
                    report.loss_nats,
                    self.bar.per_sec() * self.tokens_per_step as f64,
                    report.learning_rate,
                    report.kept_fraction
                ));
            }
            _ => {}
        }
        !ASKED.load(Ordering::SeqCst)
    }
}

impl Drop for TrainingBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
