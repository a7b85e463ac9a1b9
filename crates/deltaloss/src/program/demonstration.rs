//! `deltaloss demo`.

use std::time::Instant;

use deltaloss::demo;
use deltaloss::report::Colours;

use super::arguments::Demo;
use super::comparing::say_results;
use super::console::{Console, ScoringBar};
use super::failure::Failure;

pub(crate) fn run(call: &Demo, console: &Console, colours: Colours) -> Result<(), Failure> {
    let started = Instant::now();
    console.note(&format!(
        "Scoring {} files of Python's standard library with four bundled models …",
        call.documents
    ));
    let mut current: Option<(String, ScoringBar)> = None;
    let comparison = demo(&call.out, call.documents, &mut |model, progress| {
        if current.as_ref().is_none_or(|(name, _)| name != model) {
            current = Some((model.to_owned(), console.bar(model)));
        }
        current.as_ref().is_none_or(|(_, bar)| bar.hear(progress))
    })?;
    drop(current);
    say_results(&comparison, &call.out, call.json, colours)?;
    console.note(&format!(
        "Done in {:.0} s. Open {}",
        started.elapsed().as_secs_f64(),
        call.out.join("report.html").display()
    ));
    Ok(())
}
