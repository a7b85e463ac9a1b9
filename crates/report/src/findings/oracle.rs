//! Where Δ changes with the entropy of a stronger model, in sentences.

use deltaloss_records::Role;
use deltaloss_stats::{Estimate, Oracle, Sections};

use super::model;
use crate::format::{self, NumberFormat};
use crate::prose::{Prose, in_words};
use crate::view::{View, holds, value};

/// Both ends of the range of entropies, where Δ crosses zero, and the trend.
pub(super) fn oracle(view: View<'_>) -> Option<Prose> {
    let found = view.lead().oracle.as_ref()?;
    let ends = [found.bins.first()?, found.bins.last()?];
    let prose = Prose::new().text("By the entropy of ").strong("a stronger model");
    let prose = model(prose.text(", "), view, Role::Oracle);
    if found.bins.len() == 1 {
        return Some(prose.text(": all tokens have nearly the same, so it tells none apart."));
    }
    let [low, high] = ends.map(|bin| {
        let delta = NumberFormat::Delta.write_marked(bin.row.delta_nats, holds(bin.row.delta_test));
        format!("{delta} nats where it is {}", format::nats(bin.mean_entropy_nats))
    });
    let crossings: Vec<String> = found.crossings_nats.iter().map(|nats| format::nats(*nats)).collect();
    let crossing = match crossings.len() {
        0 => ", without changing its sign between".to_owned(),
        1 => format!(", changing its sign at {}", in_words(&crossings)),
        many => format!(", changing its sign {many} times, first at {}", crossings[0]),
    };
    let prose = prose.text(format!(", Δ is {low} and {high}{crossing}."));
    Some(prose.text(trend_in_words(view, found)))
}

fn trend_in_words(view: View<'_>, found: &Oracle) -> String {
    let Some(trend) = &found.trend else { return String::new() };
    let shown = NumberFormat::Delta.write_marked(Some(trend.slope), holds(trend.slope_test));
    let slope = |sections: &Sections| Some(sections.oracle.as_ref()?.trend?.slope);
    let number = |estimate: Option<Estimate>| value(estimate).map(format::delta);
    let mut words = format!(" Its trend is {shown} nats for a nat of entropy");
    let mut beside = Vec::new();
    beside.extend(number(view.beside().and_then(slope)).map(|slope| format!("discovery half: {slope}")));
    beside.extend(number(view.other_basis().and_then(|basis| view.on(basis)).and_then(slope)).map(|slope| {
        let name = match view.other_basis() {
            Some(deltaloss_records::Basis::AsScored) => "as scored",
            _ => "calibrated",
        };
        format!("{name}: {slope}")
    }));
    beside.extend(
        number(found.placebo_trend.map(|trend| trend.slope)).map(|slope| format!("placebo: {slope}")),
    );
    if !beside.is_empty() {
        words.push_str(&format!(" ({})", beside.join("; ")));
    }
    words.push('.');
    words
}
