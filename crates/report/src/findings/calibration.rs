//! What calibration changes, in sentences.

use deltaloss_records::{Basis, Role};
use deltaloss_stats::{ConfidenceCell, ConfidenceRow, Sections};

use super::confidence::{deltas, range_in_words};
use super::{model, rows_with_enough_tokens};
use crate::format::{self, NumberFormat};
use crate::prose::{Prose, in_words};
use crate::view::{View, pair_of};

/// The differences with every model at its own temperature beside those as scored.
pub(super) fn calibration(view: View<'_>) -> Option<Prose> {
    let as_scored = view.on(Basis::AsScored)?;
    let pair = pair_of(as_scored, Role::A, Role::B)?;
    let calibrated = view
        .on(Basis::Calibrated)
        .and_then(|sections| Some((sections, pair_of(sections, Role::A, Role::B)?)));
    let Some((calibrated, again)) = calibrated else {
        return Some(Prose::new().text("Losses are ").strong("as scored").text(
            ": not every run has a temperature, so how much of the differences is sharpness alone is not known.",
        ));
    };
    let write = |estimate| NumberFormat::Delta.write_estimate(Some(estimate));
    let prose = Prose::new().strong("Calibrated").then(temperatures(view)).text(format!(
        ", Δ over all tokens is {}; as scored it is {}.",
        write(again.mean_delta_nats),
        write(pair.mean_delta_nats)
    ));
    let prose = prose.text(brackets(as_scored, calibrated).unwrap_or_default());
    Some(match confidence(view, as_scored, calibrated) {
        None => prose,
        Some(sentence) => prose.text(" ").then(sentence),
    })
}

/// `, with the logits of sparse divided by 1.021 and those of dense by 0.9734`.
fn temperatures(view: View<'_>) -> Prose {
    let of = |role| view.model(role).and_then(|model| model.run.temperature).map(format::significant);
    match (of(Role::A), of(Role::B)) {
        (Some(a), Some(b)) => {
            let prose = model(Prose::new().text(", with the logits of "), view, Role::A);
            model(prose.text(format!(" divided by {a} and those of ")), view, Role::B)
                .text(format!(" by {b}"))
        }
        _ => Prose::new(),
    }
}

/// Δ on closing brackets, by how many a token holds.
fn brackets(as_scored: &Sections, calibrated: &Sections) -> Option<String> {
    let on = |sections: &Sections| -> Vec<(String, String)> {
        let mut rows = rows_with_enough_tokens(&sections.brackets.by_count);
        rows.reverse(); // the table has most brackets first
        rows.into_iter().map(|(row, delta)| (row.name.clone(), format::delta(delta))).collect()
    };
    let (before, after) = (on(as_scored), on(calibrated));
    let counts: Vec<String> = after.iter().map(|(name, _)| name.clone()).collect();
    if counts.is_empty() || before.len() != after.len() {
        return None;
    }
    let numbers = |rows: &[(String, String)]| {
        in_words(&rows.iter().map(|(_, delta)| delta.clone()).collect::<Vec<_>>())
    };
    Some(format!(
        " On closing brackets it is {} where a token holds {}; as scored {}.",
        numbers(&after),
        in_words(&counts),
        numbers(&before)
    ))
}

/// Δ where one model is confident and the other is not, both ways.
fn confidence(view: View<'_>, as_scored: &Sections, calibrated: &Sections) -> Option<Prose> {
    let range = |sections: &Sections, cell: fn(&ConfidenceRow) -> ConfidenceCell| {
        let found = deltas(&sections.confidence, |row| Some(cell(row)));
        if found.is_empty() { "has too few tokens to be told".to_owned() } else { range_in_words(&found) }
    };
    let both = |cell| format!("{}; as scored it {}", range(calibrated, cell), range(as_scored, cell));
    if as_scored.confidence.is_empty() {
        return None;
    }
    let prose = model(Prose::new().text("Where "), view, Role::A).text(" is confident and ");
    let prose = model(prose, view, Role::B);
    Some(prose.text(format!(
        " is not, Δ {}. The other way round, it {}.",
        both(|row| row.a_confident),
        both(|row| row.b_confident)
    )))
}
