//! What two models that differ only by seed show, beside what the two compared show.

use std::fmt::Display;

use deltaloss_records::Role;
use deltaloss_stats::DeltaRow;

use super::{
    NAMED, both, deltas, enough_delta, listed, model, ordered, part_of, range_in_words,
    rows_with_enough_tokens,
};
use crate::format;
use crate::prose::Prose;
use crate::view::{FEW_TOKENS, View, value};

/// Which differences a change of seed does not reach.
pub(super) fn placebo(view: View<'_>) -> Option<Prose> {
    if !view.has_placebo() {
        return Some(
            Prose::new().text("There is ").strong("no placebo").text(
                " here, so how far two models that differ only by their seed would differ is not known.",
            ),
        );
    }
    let mut prose = Prose::new();
    if let Some(sentences) = categories(view) {
        prose = prose.then(sentences).text(" ");
    }
    if let Some(sentence) = mean_losses(view) {
        prose = prose.then(sentence).text(" ");
    }
    if let Some(sentence) = confidence(view) {
        prose = prose.then(sentence).text(" ");
    }
    prose = model(prose.text("The placebo, "), view, Role::Placebo).text(", is ");
    Some(model(prose.text("one retraining of "), view, Role::B).text(": a scale to read by, not a test."))
}

/// The categories whose difference is larger than any between the twins.
fn categories(view: View<'_>) -> Option<Prose> {
    let all = rows_with_enough_tokens(&view.comparison.all.categories);
    let rows: Vec<(&DeltaRow, f64)> =
        all.into_iter().filter(|(row, _)| value(row.placebo_delta_nats).is_some()).collect();
    let placebo = rows.iter().filter_map(|(row, _)| value(row.placebo_delta_nats));
    let largest = placebo.map(f64::abs).reduce(f64::max)?;
    let (wins, losses) = (ordered(&rows, |delta| delta < -largest), ordered(&rows, |delta| delta > largest));
    let beyond = wins.len() + losses.len();
    let lead = if beyond == 0 { "Within the placebo" } else { "Beyond the placebo" };
    let count = match beyond {
        0 => format!(": none of {} category differences exceeds ", rows.len()),
        1 => format!(": 1 of {} category differences exceeds ", rows.len()),
        _ => format!(": {beyond} of {} category differences exceed ", rows.len()),
    };
    let prose = Prose::new()
        .strong(lead)
        .text(count)
        .text(format!("{}, the largest between ", format::nats(largest)));
    let prose = model(model(prose, view, Role::B).text(" and its twin "), view, Role::Placebo).text(".");
    if beyond == 0 {
        return Some(prose);
    }
    let prose = match (wins.is_empty(), losses.is_empty()) {
        (false, false) => {
            let a =
                model(prose.text(" "), view, Role::A).text(" is ahead in ").then(named(wins.len(), &wins));
            model(a.text("; "), view, Role::B).text(" in ").then(named(losses.len(), &losses))
        }
        (a_wins_none, _) => {
            let (role, rows) = if a_wins_none { (Role::B, &losses) } else { (Role::A, &wins) };
            let count = if beyond == 1 { "it".to_owned() } else { format!("all {beyond}") };
            model(prose.text(" "), view, role).text(" is ahead in ").then(named(count, rows))
        }
    };
    Some(prose.text("."))
}

/// `5, most on X (−0.320), Y (−0.210) and Z (−0.090)`.
fn named(count: impl Display, rows: &[(&DeltaRow, f64)]) -> Prose {
    let between = if rows.len() > NAMED { ", most on " } else { ": " };
    let names = listed(rows, |_, delta| format!(" ({})", format::delta(delta)));
    Prose::new().text(format!("{count}{between}")).then(names)
}

/// The difference of the mean losses beside that of the twins.
fn mean_losses(view: View<'_>) -> Option<Prose> {
    let ours = value(view.pair(Role::A, Role::B)?.mean_delta_nats)?;
    let placebo = value(view.pair(Role::Placebo, Role::B)?.mean_delta_nats)?;
    let (ours, placebo) = (format::nats(ours.abs()), format::nats(placebo.abs()));
    Some(
        Prose::new()
            .text("In mean loss ")
            .then(both(view))
            .text(format!(" differ by {ours}, the twins by {placebo}.")),
    )
}

/// Confident tokens of the placebo beside those of a.
fn confidence(view: View<'_>) -> Option<Prose> {
    let rows = &view.comparison.all.confidence;
    let pairs: Vec<(f64, f64)> = rows
        .iter()
        .filter_map(|row| Some((enough_delta(row.a_confident)?, enough_delta(row.placebo_confident?)?)))
        .collect();
    if pairs.is_empty() {
        return None;
    }
    let lower = pairs.iter().filter(|(ours, placebo)| ours < placebo).count();
    let placebo = deltas(rows, |row| row.placebo_confident);
    let prose = model(Prose::new().text("Where "), view, Role::Placebo).text(" is confident and ");
    let prose = model(prose, view, Role::B).text(" is not, Δ\u{a0}=\u{a0}");
    let prose = model(model(prose, view, Role::Placebo).text(" − "), view, Role::B);
    let prose = prose.text(format!(" {}; ", range_in_words(&placebo)));
    Some(model(prose, view, Role::A).text(format!(
        " in its place has the lower Δ at {} where both have at least {FEW_TOKENS} tokens.",
        part_of(lower, pairs.len(), ["pair", "pairs"])
    )))
}
