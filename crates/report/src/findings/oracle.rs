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
    Some(told_apart(prose, view, found).text(trend_in_words(view, found)))
}

/// In how many bins either model is ahead beyond chance.
fn told_apart(prose: Prose, view: View<'_>, found: &Oracle) -> Prose {
    let tested: Vec<_> = found.bins.iter().filter(|bin| bin.row.delta_test.is_some()).collect();
    if tested.is_empty() {
        return prose;
    }
    let deltas =
        tested.iter().filter(|bin| holds(bin.row.delta_test)).filter_map(|bin| value(bin.row.delta_nats));
    let (of_a, of_b): (Vec<f64>, Vec<f64>) = deltas.partition(|delta| *delta < 0.0);
    let (of_a, of_b) = (of_a.len(), of_b.len());
    let bins = if tested.len() == 1 {
        "of the one bin tested".to_owned()
    } else {
        format!("of the {} bins tested", tested.len())
    };
    match (of_a, of_b) {
        (0, 0) => prose.text(format!(" Δ differs from zero at q < 0.05 in none {bins}.")),
        (some, 0) | (0, some) => {
            let ahead = if of_b == 0 { Role::A } else { Role::B };
            let prose = prose.text(format!(" Δ differs from zero at q < 0.05 in {some} {bins}, always for "));
            model(prose, view, ahead).text(".")
        }
        _ => {
            let all = of_a + of_b;
            let prose =
                prose.text(format!(" Δ differs from zero at q < 0.05 in {all} {bins}, in {of_a} for "));
            let prose = model(prose, view, Role::A).text(format!(" and in {of_b} for "));
            model(prose, view, Role::B).text(".")
        }
    }
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
