//! ΔLoss of every category: as it is, beyond the placebo's, and in either half of the documents.

use deltaloss_records::Role;
use deltaloss_stats::{Comparison, DeltaRow};

use super::Figure;
use super::delta_panel::{DeltaPanel, DeltaPanels, Quantity};
use crate::svg::Svg;
use crate::view::{View, delta_of, row_named};

/// Horizontal bars of ΔLoss by category, in the order of the comparison: where a wins most comes first.
pub fn categories(comparison: &Comparison) -> Figure {
    let view = View::new(comparison);
    let (a, b) = (view.label(Role::A), view.label(Role::B));
    let description = format!(
        "Horizontal bars, one per category, of the loss of {a} minus the loss of {b}; bars to the left mean that {a} is better."
    );
    let title = "ΔLoss by category".to_owned();
    one_panel(view, "categories", title, description, &view.lead().categories, Quantity::Delta)
}

/// Bars of ΔLoss less the placebo's by category; nothing where there is no placebo.
pub fn placebo(comparison: &Comparison) -> Option<Figure> {
    let view = View::new(comparison);
    // The difference takes the place of Δ.
    let beyond = |row: &DeltaRow| DeltaRow {
        delta_nats: row.difference_nats,
        delta_test: row.difference_test,
        placebo_delta_nats: None,
        ..row.clone()
    };
    let mut rows: Vec<DeltaRow> =
        view.lead().categories.iter().filter(|row| row.difference_nats.is_some()).map(beyond).collect();
    if rows.is_empty() {
        return None;
    }
    let key = |row: &DeltaRow| delta_of(row).unwrap_or(f64::INFINITY);
    rows.sort_by(|one, other| key(one).total_cmp(&key(other)));
    let (a, b, placebo) = (view.label(Role::A), view.label(Role::B), view.label(Role::Placebo));
    let description = format!(
        "Horizontal bars, one per category, of the loss of {a} minus the loss of {b}, less the loss of {placebo} minus the loss of {b}; bars to the left mean that {a} gains what a change of seed does not."
    );
    let title = "ΔLoss beyond the placebo".to_owned();
    Some(one_panel(view, "placebo", title, description, &rows, Quantity::BeyondPlacebo))
}

/// Bars of ΔLoss by category in the confirmation half, beside the discovery half's; nothing where they are not told apart.
pub fn confirmation(comparison: &Comparison) -> Option<Figure> {
    let view = View::new(comparison);
    let discovery = &view.beside()?.categories;
    let beside = |row: &DeltaRow| DeltaRow {
        placebo_delta_nats: row_named(discovery, &row.name).and_then(|row| row.delta_nats),
        ..row.clone()
    };
    let rows: Vec<DeltaRow> = view.lead().categories.iter().map(beside).collect();
    let (a, b) = (view.label(Role::A), view.label(Role::B));
    let description = format!(
        "Horizontal bars, one per category, of the loss of {a} minus the loss of {b} on the confirmation half, with a mark for the discovery half."
    );
    let title = "ΔLoss in both halves".to_owned();
    Some(one_panel(view, "confirmation", title, description, &rows, Quantity::Halves))
}

fn one_panel(
    view: View<'_>,
    name: &'static str,
    title: String,
    description: String,
    rows: &[DeltaRow],
    quantity: Quantity,
) -> Figure {
    let panel = DeltaPanel { title: None, heading: "Category", rows, tokens: false };
    let mut panels = DeltaPanels::new(view, std::slice::from_ref(&panel), quantity);
    let mut svg = Svg::default();
    let bottom = panels.draw(&mut svg, 0.0, &panel);
    let height = panels.draw_key(&mut svg, bottom);
    Figure::new(name, title, description, height, svg)
}
