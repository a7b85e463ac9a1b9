//! What happens where one model is confident and the other is not, in sentences.

use deltaloss_records::Role;
use deltaloss_stats::{ConfidenceCell, ConfidenceRow};

use super::{SMALLEST_SHOWN, model, part_of};
use crate::format;
use crate::prose::Prose;
use crate::scale::extent;
use crate::view::{FEW_TOKENS, View, holds, value};

/// What a threshold is in sentences, and several.
const PAIR: &str = "pair of c and u";
const PAIRS: &str = "pairs of c and u";

/// What happens where one is confident and the other is not.
pub(super) fn confidence(view: View<'_>) -> Option<Prose> {
    let rows = &view.lead().confidence;
    if rows.is_empty() {
        return None;
    }
    let a = deltas(rows, |row| Some(row.a_confident));
    let b = deltas(rows, |row| Some(row.b_confident));
    if a.is_empty() && b.is_empty() {
        let text = format!(
            " are there {FEW_TOKENS} tokens on which one model is confident (entropy below c) and the other is not (above u)."
        );
        return Some(
            Prose::new().text("At ").strong(format!("none of the {} {PAIRS}", rows.len())).text(text),
        );
    }
    let prose = model(Prose::new().text("Where "), view, Role::A).text(" is ").strong("confident");
    let prose = model(prose.text(" (entropy below c) and "), view, Role::B).text(" is not (above u), ");
    let [one, many] = [PAIR, PAIRS].map(|noun| format!("{noun} with at least {FEW_TOKENS} tokens"));
    let enough_tokens = [one.as_str(), many.as_str()];
    let prose = prose
        .then(ahead_in_words(view, Role::A, |row| row.a_confident, enough_tokens))
        .text(" The other way round, ");
    let again = if a.is_empty() { enough_tokens } else { ["such pair", "such pairs"] };
    let prose = prose.then(ahead_in_words(view, Role::B, |row| row.b_confident, again)).text(" ");
    let tokens = || rows.iter().map(|row| [row.a_confident.tokens, row.b_confident.tokens]);
    let enough = tokens().filter(|[a, b]| *a.max(b) >= FEW_TOKENS);
    let (more_a, more_b) = enough
        .clone()
        .fold((0, 0), |(more_a, more_b), [a, b]| (more_a + usize::from(a > b), more_b + usize::from(b > a)));
    let (role, more) = if more_b > more_a { (Role::B, more_b) } else { (Role::A, more_a) };
    let part = part_of(more, enough.count(), ["pair", "pairs"]);
    Some(
        model(prose, view, role)
            .text(format!(" is the confident one on more tokens at {part} where either has {FEW_TOKENS}. The pairs overlap: each holds the tokens of all stricter ones.")),
    )
}

/// The range of Δ, how often the confident model is ahead over the `pairs` that have enough tokens, at how many of these
/// that holds, and the range in the discovery half.
fn ahead_in_words(
    view: View<'_>,
    confident: Role,
    cell: fn(&ConfidenceRow) -> ConfidenceCell,
    pairs: [&str; 2],
) -> Prose {
    let rows = &view.lead().confidence;
    let found = deltas(rows, |row| Some(cell(row)));
    if found.is_empty() {
        return Prose::new().text(format!("none of the {PAIRS} has {FEW_TOKENS} tokens."));
    }
    let sign = if confident == Role::A { -1.0 } else { 1.0 };
    let is_ahead = |delta: f64| delta * sign >= SMALLEST_SHOWN;
    let ahead = found.iter().filter(|delta| is_ahead(**delta)).count();
    let prose = Prose::new().text(format!("Δ {}: ", range_in_words(&found)));
    let mut text = format!(" is ahead at {}", part_of(ahead, found.len(), pairs));
    let cells = || rows.iter().map(cell);
    if ahead > 0 && cells().any(|cell| cell.delta_test.is_some()) {
        let shown = cells()
            .filter(|cell| holds(cell.delta_test))
            .filter(|cell| enough_delta(*cell).is_some_and(is_ahead));
        text.push_str(&match shown.count() {
            every if every == ahead => " (q\u{a0}<\u{a0}0.05)".to_owned(),
            0 => " (nowhere at q\u{a0}<\u{a0}0.05)".to_owned(),
            some => format!(" (at {some} with q\u{a0}<\u{a0}0.05)"),
        });
    }
    text.push('.');
    let before = view.beside().map(|half| deltas(&half.confidence, |row| Some(cell(row))));
    if let Some(before) = before.filter(|before| !before.is_empty()) {
        text.push_str(&format!(" In the discovery half it {}.", range_in_words(&before)));
    }
    model(prose, view, confident).text(text)
}

/// Δ of the cells with enough tokens to be taken seriously.
pub(super) fn deltas(
    rows: &[ConfidenceRow],
    cell: impl Fn(&ConfidenceRow) -> Option<ConfidenceCell>,
) -> Vec<f64> {
    rows.iter().filter_map(|row| enough_delta(cell(row)?)).collect()
}

/// The cell's Δ, where it has enough tokens to be taken seriously.
pub(super) fn enough_delta(cell: ConfidenceCell) -> Option<f64> {
    value(cell.delta_nats).filter(|_| cell.tokens >= FEW_TOKENS)
}

/// `runs from −2.500 to −0.300`, `is −0.300`.
pub(super) fn range_in_words(deltas: &[f64]) -> String {
    match extent(deltas.iter().copied()) {
        None => format!("is {}", format::ABSENT),
        Some([low, high]) if format::delta(low) == format::delta(high) => {
            format!("is {}", format::delta(low))
        }
        Some([low, high]) => format!("runs from {} to {}", format::delta(low), format::delta(high)),
    }
}
