//! `deltaloss run`.

use std::time::Instant;

use deltaloss::report::{Colours, window_difference};
use deltaloss::{Downloads, Experiment, ExperimentEvent, RunCache, RunOptions, cache_folder, run_experiment};

use super::arguments::RunExperiment;
use super::comparing::say_results;
use super::console::{Console, DownloadBar, ScoringBar};
use super::failure::Failure;
use super::gguf::try_out;

pub(crate) fn run(
    call: &RunExperiment,
    offline: bool,
    console: &Console,
    colours: Colours,
) -> Result<(), Failure> {
    let started = Instant::now();
    let experiment = Experiment::open(&call.experiment)?;
    let out = call.out.clone().unwrap_or_else(|| experiment.output());
    let cache = if call.no_cache { None } else { Some(RunCache::new(cache_folder()?.join("runs"))) };
    let downloads = Some(Downloads::new(offline));
    let options = RunOptions { overwrite: call.overwrite, cache, downloads };
    let mut bars = Bars { console, current: None, downloads: console.downloads(), gave_up: None };
    let outcome = run_experiment(&experiment, &out, &options, &mut |event| bars.hear(event));
    if let Some(failure) = bars.gave_up.take() {
        return Err(failure);
    }
    drop(bars);
    let comparison = outcome?;
    if let Some(difference) = window_difference(&comparison) {
        console.note(&format!("note: {difference}; what the models see before a token differs with it"));
    }
    say_results(&comparison, &out, call.json, colours)?;
    console.note(&format!(
        "Done in {:.0} s. Open {}",
        started.elapsed().as_secs_f64(),
        out.join("report.html").display()
    ));
    Ok(())
}

/// A bar for each model in its turn.
struct Bars<'a> {
    console: &'a Console,
    current: Option<(String, ScoringBar)>,
    downloads: DownloadBar,
    /// Why a model cannot be opened, where a child found out.
    gave_up: Option<Failure>,
}

impl Bars<'_> {
    fn hear(&mut self, event: ExperimentEvent<'_>) -> bool {
        match event {
            ExperimentEvent::Scoring { model, progress } => {
                if self.current.as_ref().is_none_or(|(name, _)| name != model) {
                    self.current = Some((model.to_owned(), self.console.bar(model)));
                }
                self.current.as_ref().is_none_or(|(_, bar)| bar.hear(progress))
            }
            ExperimentEvent::Kept { model } => {
                self.current = None;
                self.console.note(&format!("{model}: scored before, its run is taken from the cache"));
                true
            }
            ExperimentEvent::Downloading(download) => self.downloads.hear(download),
            ExperimentEvent::OpeningGguf(path) if cfg!(feature = "llama") => {
                self.gave_up = try_out(path).err();
                self.gave_up.is_none()
            }
            _ => {
                self.current = None;
                true
            }
        }
    }
}
