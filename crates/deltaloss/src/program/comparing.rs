//! `deltaloss compare`.

use std::path::Path;

use deltaloss::records::{Basis, Role};
use deltaloss::report::{Colours, terminal_summary, window_difference};
use deltaloss::stats::{Comparison, Options};
use deltaloss::{CompareOptions, compare_runs};

use super::arguments::Compare;
use super::console::Console;
use super::failure::{Failure, say};

/// Columns of a terminal that everyone has.
pub(crate) const WIDTH: usize = 80;

pub(crate) fn run(call: &Compare, console: &Console, colours: Colours) -> Result<(), Failure> {
    let named = [
        (Role::A, Some(&call.a)),
        (Role::B, Some(&call.b)),
        (Role::Benchmark, call.benchmark.as_ref()),
        (Role::Placebo, call.placebo.as_ref()),
        (Role::Oracle, call.oracle.as_ref()),
    ];
    let label = |role: Role| {
        call.label.iter().rev().find(|(name, _)| name == role.name()).map(|(_, label)| label.clone())
    };
    let absent =
        |(name, _): &&(String, String)| !named.iter().any(|(role, run)| run.is_some() && role.name() == name);
    if let Some((name, _)) = call.label.iter().find(absent) {
        return Err(Failure::Misuse(format!("--label names the role {name}, but there is no --{name}")));
    }
    let runs =
        named.into_iter().filter_map(|(role, run)| run.map(|run| (role, run.clone(), label(role)))).collect();
    let basis = if call.calibrated { Basis::Calibrated } else { Basis::AsScored };
    let options = CompareOptions { runs, rules: call.rules.clone(), basis, statistics: Options::default() };
    let comparison = compare_runs(&options, &call.out, call.overwrite)?;
    if let Some(difference) = window_difference(&comparison) {
        console.note(&format!("note: {difference}; what the models see before a token differs with it"));
    }
    say_results(&comparison, &call.out, call.json, colours)?;
    console.note(&format!("report: {}", call.out.join("report.html").display()));
    Ok(())
}

/// Ends a command with its results: the table, or `results.json` as it was written.
pub(crate) fn say_results(
    comparison: &Comparison,
    out: &Path,
    json: bool,
    colours: Colours,
) -> Result<(), Failure> {
    if !json {
        return say(&terminal_summary(comparison, WIDTH, colours));
    }
    let path = out.join("results.json");
    let read = std::fs::read_to_string(&path);
    say(&read.map_err(|error| Failure::work(format!("{}: cannot read it: {error}", path.display())))?)
}
