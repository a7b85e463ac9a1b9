//! What two models that differ only by seed show, beside what the two compared show.

use std::fmt::Display;

use deltaloss_records::Role;
use deltaloss_stats::{DeltaRow, Test};

use super::confidence::{deltas, enough_delta, range_in_words};
use super::{NAMED, both, listed, model, ordered, part_of, rows_with_enough_tokens};
use crate::format;
use crate::prose::Prose;
use crate::view::{View, holds, value};

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
    Some(model(prose.text("one retraining of "), view, Role::B).text(
        ": the test of a difference covers the choice of documents, not what yet another seed would do.",
    ))
}

/// The categories whose difference is not that of the twins.
fn categories(view: View<'_>) -> Option<Prose> {
    let all = rows_with_enough_tokens(&view.lead().categories);
    // Each with the difference of the two, which is what is tested.
    let tested: Vec<(&DeltaRow, f64)> = all
        .into_iter()
        .filter(|(row, _)| row.difference_test.is_some())
        .filter_map(|(row, _)| Some((row, value(row.difference_nats)?)))
        .collect();
    if tested.is_empty() {
        return None;
    }
    let shown: Vec<_> = tested.iter().copied().filter(|(row, _)| holds(row.difference_test)).collect();
    let (wins, losses) = (ordered(&shown, |delta| delta < 0.0), ordered(&shown, |delta| delta > 0.0));
    let lead = if shown.is_empty() { "Within the placebo" } else { "Beyond the placebo" };
    let part = part_of(shown.len(), tested.len(), ["category tested", "categories tested"]);
    let prose = Prose::new().strong(lead).text(format!(": in {part}, Δ differs from that between "));
    let prose = model(model(prose, view, Role::B).text(" and its twin "), view, Role::Placebo)
        .text(" at q\u{a0}<\u{a0}0.05.");
    let side = |prose: Prose, role, rows: &[(&DeltaRow, f64)]| {
        model(prose, view, role).text(" in ").then(named(rows.len(), rows))
    };
    let favours = || Prose::new().text(" Beyond what the twin does, the difference favours ");
    Some(match (wins.is_empty(), losses.is_empty()) {
        (true, true) => prose,
        (false, true) => prose.then(side(favours(), Role::A, &wins)).text("."),
        (true, false) => prose.then(side(favours(), Role::B, &losses)).text("."),
        (false, false) => {
            let a = side(favours(), Role::A, &wins).text("; ");
            prose.then(side(a, Role::B, &losses)).text(".")
        }
    })
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
    let prose = Prose::new().text("In mean loss ").then(both(view)).text(format!(
        " differ by {}, the twins by {}",
        format::nats(ours.abs()),
        format::nats(placebo.abs())
    ));
    Some(match view.lead().overall.placebo_difference {
        None => prose.text("."),
        Some(found) => prose.text(format!(
            "; Δ less the placebo’s is {}.",
            format::NumberFormat::Delta.write_estimate(Some(found.mean_delta_nats))
        )),
    })
}

/// Confident tokens of the placebo beside those of a.
fn confidence(view: View<'_>) -> Option<Prose> {
    let rows = &view.lead().confidence;
    let tested: Vec<(f64, Option<Test>)> = rows
        .iter()
        .filter(|row| enough_delta(row.a_confident).is_some())
        .filter(|row| row.placebo_confident.and_then(enough_delta).is_some())
        .filter_map(|row| row.a_difference)
        .filter(|found| found.delta_test.is_some())
        .filter_map(|found| Some((value(found.delta_nats)?, found.delta_test)))
        .collect();
    if tested.is_empty() {
        return None;
    }
    let placebo = deltas(rows, |row| row.placebo_confident);
    let prose = model(Prose::new().text("Where "), view, Role::Placebo).text(" is confident and ");
    let prose = model(prose, view, Role::B).text(" is not, Δ\u{a0}=\u{a0}");
    let prose = model(model(prose, view, Role::Placebo).text(" − "), view, Role::B);
    let prose = prose.text(format!(
        " {}: what choosing tokens by entropy does of itself. With ",
        range_in_words(&placebo)
    ));
    let lower = tested.iter().filter(|(delta, test)| *delta < 0.0 && holds(*test)).count();
    let higher = tested.iter().filter(|(delta, test)| *delta > 0.0 && holds(*test)).count();
    let part = |count| part_of(count, tested.len(), ["pair tested", "pairs tested"]);
    let mut text = format!(" in its place Δ is lower at {}", part(lower));
    if higher > 0 {
        text.push_str(&format!(" and higher at {higher}"));
    }
    Some(model(prose, view, Role::A).text(format!("{text} (q\u{a0}<\u{a0}0.05).")))
}
