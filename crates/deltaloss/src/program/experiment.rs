//! `deltaloss run`.

use std::path::Path;
use std::time::Instant;

use deltaloss::report::{terminal_summary, window_difference};
use deltaloss::{Experiment, ExperimentEvent, RunCache, cache_folder, is_gguf, run_experiment};

use super::arguments::RunExperiment;
use super::comparing::WIDTH;
use super::console::{Console, ScoringBar};
use super::failure::{Failure, say};
use super::gguf::try_out;

pub(crate) fn run(call: &RunExperiment, console: &Console) -> Result<(), Failure> {
    let started = Instant::now();
    let experiment = Experiment::open(&call.experiment)?;
    let out = call.out.clone().unwrap_or_else(|| experiment.output());
    let cache = if call.no_cache { None } else { Some(RunCache::new(cache_folder()?.join("runs"))) };
    if cfg!(feature = "llama") {
        for (_, model) in experiment.cast() {
            match &model.source {
                Some(source) if is_gguf(source) && Path::new(source).is_file() => try_out(Path::new(source))?,
                _ => {}
            }
        }
    }
    let mut bars = Bars { console, current: None };
    let comparison =
        run_experiment(&experiment, &out, call.overwrite, cache.as_ref(), &mut |event| bars.hear(event))?;
    drop(bars);
    if let Some(difference) = window_difference(&comparison) {
        console.note(&format!("note: {difference}; what the models see before a token differs with it"));
    }
    say(&terminal_summary(&comparison, WIDTH))?;
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
            _ => {
                self.current = None;
                true
            }
        }
    }
}
